"""First values of weights, in PyTorch. The twin is :mod:`course_lib.numpy_layers.initializers`."""

import torch

from course_lib.shapes import fans


def normal(shape, *, std=0.01, rng, dtype=torch.float32):
    """As :func:`course_lib.numpy_layers.normal`; `rng` is a :class:`torch.Generator`."""
    return std * torch.randn(shape, generator=rng, device=rng.device, dtype=dtype)


def xavier_normal(shape, *, gain=1.0, rng, dtype=torch.float32):
    """As :func:`course_lib.numpy_layers.xavier_normal`; `rng` is a :class:`torch.Generator`."""
    fan_in, fan_out = fans("xavier_normal", shape)
    return normal(shape, std=gain * (2 / (fan_in + fan_out)) ** 0.5, rng=rng, dtype=dtype)


def he_normal(shape, *, negative_slope=0.0, rng, dtype=torch.float32):
    """As :func:`course_lib.numpy_layers.he_normal`; `rng` is a :class:`torch.Generator`."""
    fan_in, _ = fans("he_normal", shape)
    std = (2 / ((1 + negative_slope**2) * fan_in)) ** 0.5
    return normal(shape, std=std, rng=rng, dtype=dtype)
