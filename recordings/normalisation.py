"""Digits learned at every depth, gain and rate, with and without batch normalisation."""

from itertools import product

import numpy as np
import torch
from torch import nn

from course_lib.data import load_digits
from course_lib.training import TrainingError, evaluate, fit

SETTINGS = {
    "data": "1,442 digits of 8 x 8 pixels, less their mean, over their deviation",
    "net": "fully connected, 32 wide, ReLU after each hidden layer",
    "weights": "normal, of standard deviation gain / sqrt(fan_in); biases 0",
    "training": "plain SGD, batches of 64, 10 epochs",
    "depths": [2, 5, 10, 20],
    "gains": [0.5, 1.0, 1.4142, 2.0],
    "rates": [0.01, 0.03, 0.1, 0.3, 1.0],
    "normalised": [False, True],
    "seeds": [0, 1, 2],
    "loss": "mean over the steps between two records, 25 records of a run; null once diverged",
    "error": "of the 355 test digits, in percent",
}
WIDTH, EPOCHS, RECORDS = 32, 10, 25


def grid():
    """Return the settings of every run."""
    axes = {"depth": "depths", "gain": "gains", "rate": "rates", "normalised": "normalised"}
    axes |= {"seed": "seeds"}
    return [
        dict(zip(axes, values, strict=True))
        for values in product(*(SETTINGS[axis] for axis in axes.values()))
    ]


def run(setting):
    """Train with one setting; return its losses and its test error.

    Parameters
    ----------
    setting : dict
        An entry of :func:`grid`.

    Returns
    -------
    dict
        ``losses``, a list of 25 floats or None, and ``error``, in percent.
    """
    digits = load_digits()
    mean, deviation = digits.x_train.mean(), digits.x_train.std()
    x_train, x_test = ((x - mean) / deviation for x in (digits.x_train, digits.x_test))
    net = build(**{name: setting[name] for name in ("depth", "gain", "normalised", "seed")})
    losses = []

    def watched(output, labels):
        loss = nn.functional.cross_entropy(output, labels)
        losses.append(loss.item())
        return loss

    options = {"learning_rate": setting["rate"], "momentum": 0.0, "seed": setting["seed"]}
    try:
        fit(net, x_train, digits.y_train, epochs=EPOCHS, loss=watched, progress=False, **options)
        error = 100 * (1 - evaluate(net, x_test, digits.y_test))
    except TrainingError:
        error = 90.0  # it answers nothing better than chance
    steps = EPOCHS * -(-len(x_train) // 64)
    return {"losses": averaged(losses, steps), "error": round(error, 1)}


def build(depth, gain, normalised, seed):
    """Return a net of `depth` hidden layers whose weights have the standard deviation stated."""
    rng = torch.Generator().manual_seed(seed)
    layers, inputs = [nn.Flatten()], 64
    for _ in range(depth):
        layers.append(nn.Linear(inputs, WIDTH))
        layers += [nn.BatchNorm1d(WIDTH)] if normalised else []
        layers.append(nn.ReLU())
        inputs = WIDTH
    net = nn.Sequential(*layers, nn.Linear(inputs, 10))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5, generator=rng)
            nn.init.zeros_(layer.bias)
    return net


def averaged(losses, steps):
    """Return the means of the losses in 25 stretches of `steps`, None where they are not finite."""
    missing = np.full(steps - len(losses), np.nan)
    parts = np.array_split(np.concatenate([losses, missing]), RECORDS)
    means = [float(np.mean(part)) for part in parts]
    return [round(mean, 3) if np.isfinite(mean) else None for mean in means]
