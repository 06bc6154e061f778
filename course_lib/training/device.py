"""Where to compute."""

import os

import torch


def choose_device():
    """Return the fastest device of this machine: CUDA, else MPS (a Mac's), else the CPU.

    The environment variable ``COURSE_DEVICE`` overrides the choice, ``COURSE_DEVICE=cpu`` for
    example.

    Raises
    ------
    ValueError
        If ``COURSE_DEVICE`` names no device that is there.
    """
    wanted = os.environ.get("COURSE_DEVICE")
    if wanted:
        return check_device("choose_device", "COURSE_DEVICE", wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_device(who, name, wanted):
    """Return the device that `wanted` names; raise a ValueError if it is not there."""
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"{who}: `{name}` is {wanted!r}, expected cpu, cuda or mps") from None
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": torch.backends.mps.is_available()}
    if (device.index or 0) >= there.get(device.type, 0):
        raise ValueError(
            f"{who}: `{name}` is {wanted!r}, which this machine does not have; expected "
            f"{choose_there(there)}"
        )
    return device


def exact_convolutions():
    """Return a context in which cuDNN works in all 32 bits, and the same way every time."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


def choose_there(there):
    """Return the names of the devices that are there, as text."""
    return " or ".join(name for name, count in there.items() if count)
