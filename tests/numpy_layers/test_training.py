"""The layers together learn real handwritten digits."""

import numpy as np

from course_lib.data import load_digits
from course_lib.numpy_layers import (
    SGD,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    cross_entropy_backward,
    cross_entropy_forward,
)


def test_learns_the_digits():
    digits, rng = load_digits(16), np.random.default_rng(0)
    model = Sequential(
        Conv2d(1, 16, 3, padding=1, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 32, 3, padding=1, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(32 * 4 * 4, 10, rng=rng),
    )
    optimizer = SGD(model, lr=0.05, momentum=0.9)
    for _ in range(10):
        for batch in np.array_split(rng.permutation(len(digits.x_train)), 45):
            _, cache = cross_entropy_forward(
                model.forward(digits.x_train[batch]), digits.y_train[batch]
            )
            model.backward(cross_entropy_backward(1.0, cache))
            optimizer.step()
    right = model.forward(digits.x_test).argmax(axis=1) == digits.y_test
    assert right.mean() >= 0.97
