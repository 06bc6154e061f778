"""Train a model: one function, the same for every chapter, that comes out the same every time."""

import contextlib
import math
import time
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from course_lib.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from course_lib.training.device import check_device, choose_device, exact_convolutions
from course_lib.training.evaluation import accuracy, evaluate
from course_lib.training.progress import open_bar
from course_lib.training.schedules import SCHEDULES
from course_lib.training.seeding import borrowed_randomness, seed_torch
from course_lib.training.tensors import as_tensors, borrowed, check_rows, on_all, weight_type

RESIDENT = 2**30  # bytes of data that are put on the device whole; more goes there by batches


class TrainingError(RuntimeError):
    """Training broke down; the message says when, and what to try."""


class Epoch(NamedTuple):
    """One pass over the data: its number, from 1, mean loss, validation metric or None, seconds."""

    epoch: int
    loss: float
    metric: float | None
    seconds: float


@dataclass
class History:
    """What happened during :func:`fit`: the loss of every step, and a record of every epoch."""

    losses: list = field(default_factory=list)
    records: list = field(default_factory=list)

    @property
    def metrics(self):
        """The validation metric after each epoch."""
        return [record.metric for record in self.records]

    @property
    def seconds(self):
        """All epochs together."""
        return sum(record.seconds for record in self.records)

    def __repr__(self):
        if not self.records:
            return "History: no epoch"
        first, last = self.records[0], self.records[-1]
        metric = "" if last.metric is None else f", validation {last.metric:.4g}"
        return (
            f"History: {last.epoch} epochs of {len(self.losses) // last.epoch} steps, "
            f"loss {first.loss:.4g} to {last.loss:.4g}{metric}"
        )


def fit(
    model,
    images,
    labels,
    *,
    epochs,
    batch_size=64,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=0.0,
    optimizer="sgd",
    schedule=None,
    loss=cross_entropy,
    seed=0,
    device=None,
    mixed_precision=None,
    validation=None,
    metric=accuracy,
    augment=None,
    checkpoint=None,
    progress=None,
):
    """Train `model`, in place, to give `labels` for `images`.

    Every epoch goes over the images in a new random order, in batches whose sizes differ by at most
    one. All randomness (order, augmentation, dropout) is drawn from `seed` and the number of the
    epoch: on one machine the same call on the same weights gives the same weights, bit for bit.
    The model is left on the device and in the mode in which it was found, and so are torch's
    generators. Parameters with ``requires_grad=False`` stay as they are; batch normalisation
    still updates its running statistics.

    Parameters
    ----------
    model : torch.nn.Module
        It may return a tensor, or a tuple if `loss` takes one.
    images : array or tensor, shape (N, ...)
        Floats are converted to the type of the weights.
    labels : array or tensor, or a tuple of them, shape (N, ...)
        What `loss` compares the outputs with.
    epochs : int
        Passes over the images.
    batch_size : int
        The most images in a step.
    learning_rate : float
        The largest, where there is a schedule. For Adam, try 0.001.
    momentum : float
        Of SGD.
    weight_decay : float
        Times the weights is added to the gradients, of SGD and Adam.
    optimizer : {"sgd", "adam"} or callable
        A callable makes one: ``optimizer(parameters, lr=learning_rate)``.
    schedule : None, {"cosine", "one-cycle"} or callable
        A callable gets the share of the steps that are done, from 0 to 1, and returns a factor for
        the learning rate.
    loss : callable
        ``loss(output, labels)`` of a batch, a scalar.
    seed : int
        0 or more.
    device : torch.device or str, optional
        By default :func:`choose_device`.
    mixed_precision : bool, optional
        Whether to compute the outputs in 16 bits (bfloat16 where the hardware has it); by default
        on a CUDA device only. The loss is computed in 32.
    validation : (images, labels), optional
        What to compute `metric` on after every epoch.
    metric : callable
        ``metric(output, labels)`` of all validation images.
    augment : callable, optional
        ``augment(batch, rng)`` gets the images of a batch, a tensor on the CPU, and a generator of
        NumPy, and returns the images to train on, as a tensor or an array.
    checkpoint : str or Path, optional
        A file that is written after every epoch. If it is there, training goes on from it, and ends
        with the weights that it would have without the stop.
    progress : bool or callable, optional
        Whether to show a bar; by default in notebooks and terminals. A callable gets the
        :class:`Epoch` after each, and after the checkpoint is written.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument has no meaning; the message says which.
    CheckpointError
        If `checkpoint` is something else, or of a training with other settings.
    TrainingError
        If the loss or a weight is no longer a finite number.

    Examples
    --------
    >>> history = fit(lenet5(), digits.x_train, digits.y_train, epochs=10, schedule="one-cycle")
    >>> plots.curves({"loss": history.losses})
    """
    check_numbers(epochs, batch_size, learning_rate, momentum, weight_decay, seed)
    factor = the_schedule(schedule)
    dtype = weight_type(model)
    images = as_tensors("fit", "images", images, dtype)
    labels = as_tensors("fit", "labels", labels, dtype)
    check_rows("fit", images, labels)
    if not images.isfinite().all():
        raise ValueError("fit: `images` has entries that are not finite")
    if validation is not None and (not isinstance(validation, tuple) or len(validation) != 2):
        raise ValueError("fit: `validation` must be a pair, (images, labels)")
    device = choose_device() if device is None else check_device("fit", "device", device)
    cast = sixteen_bits(mixed_precision, device)
    resident = augment is None and 2 * images.nbytes < RESIDENT
    images = images.to(device if resident else "cpu")
    labels = on_all(lambda part: part.to(images.device), labels)
    steps = -(-len(images) // batch_size)
    history, shown = History(), ""

    with (
        borrowed(model, device, training=True),
        borrowed_randomness(device),
        exact_convolutions(),
        contextlib.closing(open_bar(epochs * steps, progress)) as bar,
    ):
        settings = {
            "batch_size": int(batch_size),
            "learning_rate": float(learning_rate),
            "momentum": float(momentum),
            "weight_decay": float(weight_decay),
            "optimizer": named(optimizer),
            "schedule": named(schedule),
            "loss": named(loss),
            "augment": named(augment),
            "seed": int(seed),
        }
        optimizer = the_optimizer(optimizer, model, learning_rate, momentum, weight_decay)
        stepper = Stepper(model, optimizer, loss, device, cast)
        if checkpoint is not None:
            settings["data"] = checksum(images, labels)
            if schedule is not None:  # without one, epochs may be added later
                settings["epochs"] = int(epochs)
            stepper.resume(checkpoint, settings, history, epochs)
            bar.update(len(history.losses))

        for epoch in range(len(history.records), epochs):
            started = time.perf_counter()
            rng = np.random.default_rng((seed, epoch))
            seed_torch(int(rng.integers(2**63)), device)
            bar.set_description(f"epoch {epoch + 1} of {epochs}", refresh=False)
            total = 0.0
            for rows in np.array_split(rng.permutation(len(images)), steps):
                rows = torch.from_numpy(rows).to(images.device)
                batch = images[rows]
                if augment is not None:
                    batch = as_tensors("fit", "augment", augment(batch, rng), dtype)
                target = on_all(lambda part, rows=rows: part[rows], labels)
                stepper.set_rate(factor(len(history.losses) / (epochs * steps)))
                value = stepper.step(batch, target)
                where = f"step {len(history.losses) + 1} (epoch {epoch + 1} of {epochs})"
                stepper.check(value, where, first=not history.losses)
                history.losses.append(value)
                total += value * len(rows)
                bar.set_postfix_str(f"loss {value:.3f}{shown}", refresh=False)
                bar.update()
            stepper.check_weights(where)
            score = None
            if validation is not None:
                score = evaluate(model, *validation, metric=metric, device=device)
                shown = f", {named(metric)} {score:.3f}"
            seconds = time.perf_counter() - started
            history.records.append(Epoch(epoch + 1, total / len(images), score, seconds))
            if checkpoint is not None:
                stepper.write(checkpoint, settings, history)
            if callable(progress):
                progress(history.records[-1])
    return history


class Stepper:
    """What takes the steps: a model, its optimiser, and the precision in which they work."""

    def __init__(self, model, optimizer, loss, device, cast):
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.device, self.cast = device, cast
        self.rates = [group["lr"] for group in optimizer.param_groups]
        # In float16 small gradients are 0 unless the loss is scaled up.
        self.scaler = torch.amp.GradScaler("cuda", enabled=cast == torch.float16)

    def set_rate(self, factor):
        """Set the learning rate to `factor` times what it was given as."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def step(self, batch, target):
        """Take one step, and return the loss before it as a float."""
        batch = batch.to(self.device)
        target = on_all(lambda part: part.to(self.device), target)
        if self.cast is None:
            output = self.model(batch)
        else:
            with torch.autocast(self.device.type, self.cast):
                output = self.model(batch)
            output = on_all(lambda part: part.float(), output)
        value = self.loss(output, target)
        if not isinstance(value, torch.Tensor) or value.ndim:
            got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise ValueError(f"fit: `loss` returned {got}, expected a tensor without axes")
        self.optimizer.zero_grad()
        self.scaler.scale(value).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value.item()

    def check(self, value, where, first):
        """Raise unless the loss is a finite number."""
        if math.isfinite(value):
            return
        rate = self.optimizer.param_groups[0]["lr"]
        remedy = f"Try a learning rate of {rate / 10:.2g}, or a schedule that begins with less"
        if first:  # no step was taken
            remedy = "Look for log(0) or division by 0 in the loss, and for weights not finite"
        raise TrainingError(
            f"fit: the loss is {value} at {where}, with a learning rate of {rate:.3g}. {remedy}"
        )

    def check_weights(self, where):
        """Raise unless all weights are finite numbers: no checkpoint should hold others."""
        for name, weight in self.model.named_parameters():
            if not weight.isfinite().all():
                rate = self.optimizer.param_groups[0]["lr"]
                raise TrainingError(
                    f"fit: `{name}` is not finite after {where}, with a learning rate of "
                    f"{rate:.3g}. Try a learning rate of {rate / 10:.2g}"
                )

    def write(self, path, settings, history):
        """Write a checkpoint."""
        save_checkpoint(
            path,
            {
                "settings": settings,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "losses": history.losses,
                "records": [tuple(record) for record in history.records],
            },
        )

    def resume(self, path, settings, history, epochs):
        """Go back to the checkpoint at `path`; if there is none yet, write the first.

        The first one is there so that a run that was stopped in its first epoch starts again from
        the same weights.
        """
        if not Path(path).exists():
            self.write(path, settings, history)
            return
        state = load_checkpoint(path)
        check_settings(path, state["settings"], settings)
        if len(state["records"]) > epochs:
            raise CheckpointError(
                f"fit: {path} has {len(state['records'])} epochs already, more than the {epochs} "
                "asked for; ask for as many, or choose another path"
            )
        shapes = [
            {name: tuple(value.shape) for name, value in weights.items()}
            for weights in (state["model"], self.model.state_dict())
        ]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"fit: {path} holds another model: the names or shapes of its weights differ; "
                "choose another path"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        history.losses.extend(state["losses"])
        history.records.extend(Epoch(*record) for record in state["records"])


def check_settings(path, old, new):
    """Raise if a checkpoint was written with other settings, or on other data."""
    changed = [name for name in (*new, *old) if old.get(name) != new.get(name)]
    if "data" in changed:
        raise CheckpointError(
            f"fit: {path} was written with other images or labels; choose another path"
        )
    if changed:
        name = changed[0]
        raise CheckpointError(
            f"fit: {path} was written with `{name}` {old.get(name)!r}, now it is "
            f"{new.get(name)!r}; go back to that, or choose another path"
        )


def checksum(images, labels):
    """Return a text that differs, very likely, if a number or a shape does."""
    parts = (images, *labels) if isinstance(labels, tuple) else (images, labels)
    sums = [(tuple(part.shape), crc32(part.cpu().contiguous().numpy())) for part in parts]
    return str(sums)


def named(setting):
    """Return the name of a function or a class, as it can be written to a checkpoint."""
    if setting is None or isinstance(setting, str):
        return setting
    return getattr(setting, "__qualname__", type(setting).__qualname__)


def check_numbers(epochs, batch_size, learning_rate, momentum, weight_decay, seed):
    """Raise unless these are numbers that mean something."""
    for name, value, least in (
        ("epochs", epochs, 1),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
    ):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"fit: `{name}` is {value!r}, expected an int, {least} or more")
    for name, value, top in (
        ("learning_rate", learning_rate, math.inf),
        ("momentum", momentum, 1),
        ("weight_decay", weight_decay, math.inf),
    ):
        if not isinstance(value, Real) or not 0 <= value < top:
            limit = "" if top == math.inf else f" and less than {top}"
            raise ValueError(f"fit: `{name}` is {value!r}, expected a number, 0 or more{limit}")


def the_schedule(schedule):
    """Return a schedule as a function from the share of steps done to a factor."""
    if schedule is None:
        return lambda t: 1.0
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise ValueError(
            f"fit: `schedule` is {schedule!r}, expected None, {', '.join(map(repr, SCHEDULES))} or "
            "a function"
        )
    return SCHEDULES[schedule]


def the_optimizer(optimizer, model, learning_rate, momentum, weight_decay):
    """Return an optimiser of the parameters of `model` that are to be trained."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not weights:
        raise ValueError("fit: the model has no parameter with `requires_grad`")
    if callable(optimizer):
        return optimizer(weights, lr=learning_rate)
    if optimizer == "sgd":
        return torch.optim.SGD(
            weights, lr=learning_rate, momentum=momentum, weight_decay=weight_decay
        )
    if optimizer == "adam":
        return torch.optim.Adam(weights, lr=learning_rate, weight_decay=weight_decay)
    raise ValueError(f"fit: `optimizer` is {optimizer!r}, expected 'sgd', 'adam' or a function")


def sixteen_bits(mixed_precision, device):
    """Return the type of 16 bits to compute in, or None."""
    if mixed_precision is None:
        mixed_precision = device.type == "cuda"
    if not mixed_precision:
        return None
    if device.type == "mps":
        raise ValueError("fit: `mixed_precision` is for cuda and cpu, the device is mps")
    bfloat = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if bfloat else torch.float16
