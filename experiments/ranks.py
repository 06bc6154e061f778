"""The processes of one run: `torchrun` starts several, each with a GPU of its own or on the CPU."""

import contextlib
import os
from datetime import timedelta
from typing import NamedTuple

import torch
from torch import distributed

from course_lib.training import choose_device

__all__ = ["Ranks", "joined_processes"]

PATIENCE = timedelta(days=1)  # selective search may keep one process longer than another


class Ranks(NamedTuple):
    """This process among all.

    Attributes
    ----------
    rank, size : int
        Its number, from 0, and how many there are.
    device : torch.device
        On which it computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self):
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def mine(self, count):
        """Return the numbers below `count` that fall to this process, one in `size`."""
        return range(self.rank, count, self.size)

    def wait(self):
        """Return when all processes have come here."""
        if self.size > 1:
            distributed.barrier()

    def gathered(self, thing):
        """Return what each process calls with, a list in the order of their numbers."""
        things = [thing]
        if self.size > 1:
            things = [None] * self.size
            distributed.all_gather_object(things, thing)
        return things


@contextlib.contextmanager
def joined_processes(device=None):
    """Join the processes that `torchrun` started, if it did; a context that gives the `Ranks`.

    They speak by NCCL between GPUs and by gloo otherwise.

    Parameters
    ----------
    device : torch.device or str, optional
        By default the GPU whose number is that of the process on this machine, or what
        :func:`course_lib.training.choose_device` chooses.

    Raises
    ------
    ValueError
        If there are fewer GPUs than processes.
    """
    size, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    device = choose_device() if device is None else torch.device(device)
    if size == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"voc: process {local + 1} of this machine has no GPU, there are "
                f"{torch.cuda.device_count()}; give torchrun --nproc-per-node as many, or --device "
                "cpu"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    elif device.type == "mps":
        device = torch.device("cpu")  # gloo does not know it
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Ranks(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()
