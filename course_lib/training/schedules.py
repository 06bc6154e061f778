"""How the learning rate changes: a factor for each moment t of the training, from 0 to 1."""

import math


def cosine(t):
    """Fall from 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * t))


def one_cycle(t, rise=0.3, start=1 / 25, end=1e-5):
    """Rise from `start` to 1 in the first part, `rise`, of the training, then fall to `end`.

    L. N. Smith & N. Topin (2018), "Super-Convergence", https://arxiv.org/abs/1708.07120, with the
    cosines of fast.ai; the momentum stays.
    """
    if t < rise:
        return 1 - (1 - start) * cosine(t / rise)
    return end + (1 - end) * cosine((t - rise) / (1 - rise))


SCHEDULES = {"cosine": cosine, "one-cycle": one_cycle}
