"""Train a detector on several devices: each process takes its share of a step, all learn together.

:func:`course_lib.training.fit` has its images in one tensor and on one device. Here they differ in
size, come from the disk, and a step is spread over processes; checkpoints, errors and randomness
are as there.
"""

import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from course_lib.training import CheckpointError, TrainingError, load_checkpoint, save_checkpoint
from course_lib.training.fitting import check_settings, sixteen_bits
from course_lib.training.progress import open_bar
from course_lib.training.seeding import borrowed_randomness, seed_torch
from experiments.pictures import collate

__all__ = ["Epoch", "learning_rate_factor", "train"]

MOMENTUM, WEIGHT_DECAY = 0.9, 0.0005
BIAS_RATE = 2.0  # times the learning rate: Fast R-CNN, section 2.3


class Epoch(NamedTuple):
    """One pass: its number, from 1, the mean of each loss, photographs seen, seconds."""

    epoch: int
    losses: dict
    pictures: int
    seconds: float


def train(
    detector,
    pictures,
    ranks,
    *,
    epochs,
    steps,
    batch_size,
    learning_rate,
    reference,
    checkpoint,
    settings,
    resume=False,
    seed=0,
    workers=0,
    mixed_precision=None,
    progress=print,
):
    """Train a detector in place, on all processes together, by SGD with momentum.

    Parameters
    ----------
    detector : FastRCNN or FasterRCNN
        Its `forward` returns its losses: it is what DistributedDataParallel wraps.
    pictures : Pictures
    ranks : Ranks
    epochs : int
    steps : sequence of int
        Epochs after which the learning rate falls to a tenth.
    batch_size : int
        Photographs of a process in a step.
    learning_rate : float
        For steps of `reference` photographs. For k times as many it is k times as large, and the
        first epoch rises to that.
    reference : int
    checkpoint : Path
        Written after every epoch by the first process.
    settings : dict
        What has to be the same if one goes on from the checkpoint.
    resume : bool
        Whether to go on from it; if there is none, the training begins.
    seed : int
    workers : int
        Processes that read, for each that trains.
    mixed_precision : bool, optional
        Whether to compute in 16 bits where that is safe; by default on a GPU only.
    progress : callable
        Gets a line of text after each epoch, in the first process.

    Returns
    -------
    list of Epoch

    Raises
    ------
    CheckpointError
        If the checkpoint is there and `resume` is False, or it is of another training.
    TrainingError
        If a loss is no longer a finite number.

    References
    ----------
    P. Goyal et al. (2017), "Accurate, Large Minibatch SGD", sections 2.1 and 2.2, for the learning
    rate of larger steps.
    """
    device, records = ranks.device, []
    cast = sixteen_bits(mixed_precision, device)
    detector.to(device).train()
    generator = torch.Generator()  # draws regions and anchors, which is done on the CPU
    model, optimizer = detector, the_optimizer(detector, learning_rate)
    rates = [group["lr"] for group in optimizer.param_groups]
    # In float16 small gradients are 0 unless the loss is scaled up.
    scaler = torch.amp.GradScaler("cuda", enabled=cast == torch.float16)
    if checkpoint.exists():
        records = restored(checkpoint, settings, resume, detector, optimizer, scaler)
    if ranks.size > 1:
        # A step without any object does not use the boxes' weights.
        model = DistributedDataParallel(detector, find_unused_parameters=True)
    sampler = DistributedSampler(pictures, num_replicas=ranks.size, rank=ranks.rank, seed=seed)
    scale = batch_size * ranks.size / reference
    with borrowed_randomness(device):
        for epoch in range(len(records), epochs):
            started = time.perf_counter()
            pictures.epoch = epoch
            sampler.set_epoch(epoch)
            rng = np.random.default_rng((seed, epoch, ranks.rank))
            seed_torch(int(rng.integers(2**63)), device)  # of dropout
            generator.manual_seed(int(rng.integers(2**63)))
            loader = DataLoader(
                pictures,
                batch_size,
                sampler=sampler,
                num_workers=workers,
                collate_fn=collate,
                pin_memory=device.type == "cuda",
            )
            sums, seen = {}, 0
            with open_bar(len(loader), None if ranks.first else False) as bar:
                bar.set_description(f"epoch {epoch + 1} of {epochs}", refresh=False)
                for step, batch in enumerate(loader):
                    factor = learning_rate_factor(epoch + step / len(loader), steps, scale)
                    for group, rate in zip(optimizer.param_groups, rates, strict=True):
                        group["lr"] = rate * factor
                    with torch.autocast(device.type, cast, enabled=cast is not None):
                        more = () if batch.proposals is None else (batch.proposals,)
                        losses = model(batch.images, batch.targets, *more, generator=generator)
                    where = f"step {step + 1} of epoch {epoch + 1}"
                    for name, value in one_step(losses, optimizer, scaler, where).items():
                        sums[name] = sums.get(name, 0) + value * len(batch.images)
                    seen += len(batch.images)
                    bar.update()
            means, seen = over_all(ranks.gathered((sums, seen)))
            records.append(Epoch(epoch + 1, means, seen, time.perf_counter() - started))
            if ranks.first:
                write(checkpoint, settings, detector, optimizer, scaler, records)
                parts = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
                progress(f"epoch {epoch + 1} of {epochs}: {parts}; {records[-1].seconds:.0f} s")
            ranks.wait()
    return records


def over_all(shares):
    """Return mean losses and the count of photographs, from the sums and counts of processes."""
    seen = sum(count for _, count in shares)
    names = shares[0][0]
    return {name: sum(sums[name] for sums, _ in shares) / seen for name in names}, seen


def one_step(losses, optimizer, scaler, where):
    """Take a step down the sum of the losses, and return them, a dict of floats."""
    total = sum(part.float() for part in losses)
    values = {name: part.item() for name, part in losses._asdict().items()}
    if not math.isfinite(sum(values.values())):
        rate = optimizer.param_groups[0]["lr"]
        raise TrainingError(
            f"voc: the losses are {values} at {where}, with a learning rate of {rate:.3g}; try "
            f"--learning-rate {rate / 10:.2g}"
        )
    optimizer.zero_grad()
    scaler.scale(total).backward()
    scaler.step(optimizer)
    scaler.update()
    return values


def learning_rate_factor(time, steps, scale):
    """Return by what to multiply the learning rate.

    Parameters
    ----------
    time : float
        Epochs that are done.
    steps : sequence of int
        Each of them divides it by 10.
    scale : float
        How many times more photographs than in the paper a step has; if they are more, the rate
        rises from the paper's during the first epoch.
    """
    if scale > 1 and time < 1:
        return 1 + (scale - 1) * time
    return scale * 0.1 ** sum(step <= time for step in steps)


def the_optimizer(detector, learning_rate):
    """Return SGD for what is to be trained; biases learn at twice the rate."""
    named = [(name, p) for name, p in detector.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in named if not name.endswith("bias")], "lr": learning_rate},
        {
            "params": [p for name, p in named if name.endswith("bias")],
            "lr": BIAS_RATE * learning_rate,
        },
    ]
    return torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def write(path, settings, detector, optimizer, scaler, records):
    """Write a checkpoint."""
    save_checkpoint(
        path,
        {
            "settings": settings,
            "model": detector.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "records": [tuple(record) for record in records],
        },
    )


def restored(path, settings, resume, detector, optimizer, scaler):
    """Go back to a checkpoint, and return the records of its epochs."""
    if not resume:
        raise CheckpointError(
            f"voc: {path} is there already; give --resume to go on from it, or another --out"
        )
    state = load_checkpoint(path)
    check_settings(path, state["settings"], settings)
    detector.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state["scaler"])
    return [Epoch(*record) for record in state["records"]]
