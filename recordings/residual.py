"""Plain and residual networks of 8 to 56 layers on digits, with and without normalisation."""

from torch import Generator

from course_lib.data import load_digits
from course_lib.models import plain_cifar, resnet_cifar
from course_lib.training import TrainingError, evaluate, fit

SETTINGS = {
    "data": "1,442 digits of 8 x 8 pixels, ink 0 to 1",
    "net": "6 n + 2 layers, 8, 16 and 32 channels, shortcuts A, He's weights",
    "training": "SGD, momentum 0.9, batches of 64, 15 epochs, one cycle up to a rate of 0.03",
    "blocks": [1, 3, 5, 9],
    "kinds": ["plain", "residual"],
    "norms": ["batch norm", "none", "zero start"],
    "zero start": "no batch norm, and each block begins as its shortcut; residual only",
    "seeds": [0, 1, 2],
    "errors": "of the training digits after each epoch, in percent; null once diverged",
    "error": "of the 355 test digits at the end, in percent; null if diverged",
}
EPOCHS, WIDTHS = 15, (8, 16, 32)


def grid():
    """Return the settings of every run."""
    return [
        {"layers": 6 * n + 2, "kind": kind, "norm": norm, "seed": seed}
        for n in SETTINGS["blocks"]
        for kind in SETTINGS["kinds"]
        for norm in SETTINGS["norms"]
        for seed in SETTINGS["seeds"]
        if (kind, norm) != ("plain", "zero start")
    ]


def run(setting):
    """Train with one setting; return its training errors by epoch, and its test error.

    Parameters
    ----------
    setting : dict
        An entry of :func:`grid`.

    Returns
    -------
    dict
        ``errors``, a list of 15 floats or None, and ``error``, both in percent.
    """
    digits, errors = load_digits(), []
    net = build(**setting)
    options = {"learning_rate": 0.03, "schedule": "one-cycle", "seed": setting["seed"]}
    try:
        fit(
            net,
            digits.x_train,
            digits.y_train,
            epochs=EPOCHS,
            validation=(digits.x_train, digits.y_train),
            progress=lambda epoch: errors.append(round(100 * (1 - epoch.metric), 2)),
            **options,
        )
        error = round(100 * (1 - evaluate(net, digits.x_test, digits.y_test)), 2)
    except TrainingError:
        error = None
    return {"errors": errors + [None] * (EPOCHS - len(errors)), "error": error}


def build(layers, kind, norm, seed):
    """Return the network of a setting."""
    options = {"in_channels": 1, "widths": WIDTHS, "batch_norm": norm == "batch norm"}
    options["rng"] = Generator().manual_seed(seed)
    n = (layers - 2) // 6
    if kind == "plain":
        return plain_cifar(n, **options)
    return resnet_cifar(n, zero_init=norm == "zero start", **options)
