"""Where randomness comes from, and how it is given back."""

import contextlib
import random

import numpy as np
import torch


def seed(number):
    """Seed Python and PyTorch, and return a generator of NumPy, seeded too.

    NumPy's own global generator is left alone: pass the one you get to what needs it.

    Parameters
    ----------
    number : int
        0 or more.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        If `number` is no int, or negative.

    Examples
    --------
    >>> rng = seed(0)
    >>> model = lenet5()  # the same weights every time
    """
    if not isinstance(number, (int, np.integer)) or number < 0:
        raise ValueError(f"seed: `number` is {number!r}, expected an int, 0 or more")
    random.seed(int(number))
    torch.manual_seed(int(number))
    return np.random.default_rng(number)


@contextlib.contextmanager
def borrowed_randomness(device):
    """Lend out torch's generators for the CPU and `device`; put them back as they were."""
    cpu = torch.get_rng_state()
    other = device_randomness(device)
    before = other.get_rng_state() if other else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if other:
            other.set_rng_state(before)


def seed_torch(number, device):
    """Seed torch's generators for the CPU and `device`, and no other."""
    torch.default_generator.manual_seed(number)
    other = device_randomness(device)
    if other:
        other.manual_seed(number)


def device_randomness(device):
    """Return the module that holds the generator of a device beside the CPU, or None."""
    return {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)
