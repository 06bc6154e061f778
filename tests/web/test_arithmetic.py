"""The arithmetic of the convolution figures, in JavaScript and in Python, against the library."""

from itertools import product

import numpy as np
import pytest

from course_lib import web
from course_lib.numpy_layers import conv2d_backward, conv2d_forward
from course_lib.web.convolution import gradients

X = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
K = [[1, 0], [2, -1]]
DY = [[1, 2], [3, 4]]
GEOMETRIES = list(product((1, 2, 3), (0, 1, 2)))  # every stride and padding of the controls
IN_THE_PAGE = """({ x, weight, dy, geometry }) => {
  const { forward, backward, spread, turned, correlationTerms, table } = courseFigures.convolution;
  const spreadDy = spread(x, weight, dy, geometry);
  const kernel = turned(weight);
  const slide = (r, c) =>
    correlationTerms(spreadDy, kernel, [r, c]).reduce((sum, { dy, k }) => sum + dy * k, 0);
  return {
    y: forward(x, weight, geometry),
    ...backward(x, weight, dy, geometry),
    flipped: table(x.length, x[0].length, slide),
  };
}"""


def reference(x, weight, stride, padding, rng):
    """y, a random dy of its shape, dx and dweight by the library, for one image of one channel."""
    x, weight = (np.array(a, float)[None, None] for a in (x, weight))
    y, cache = conv2d_forward(x, weight, np.zeros(1), stride=stride, padding=padding)
    dy = rng.integers(-9, 10, y.shape).astype(float)
    dx, dweight, _ = conv2d_backward(dy, cache)
    return tuple(a[0, 0] for a in (y, dy, dx, dweight))


def random_case(rng):
    (H, W), (KH, KW) = rng.integers(4, 9, 2), rng.integers(1, 5, 2)
    return rng.integers(-9, 10, (H, W)), rng.integers(-9, 10, (KH, KW))


def test_javascript_equals_the_library(show, rng):
    page = show(web.convolution_explorer(X, K))
    for stride, padding in GEOMETRIES:
        x, weight = random_case(rng)
        y, dy, dx, dweight = reference(x, weight, stride, padding, rng)
        got = page.evaluate(
            IN_THE_PAGE,
            {
                "x": x.tolist(),
                "weight": weight.tolist(),
                "dy": dy.tolist(),
                "geometry": {"stride": stride, "padding": padding},
            },
        )
        expected = {"y": y, "dx": dx, "dweight": dweight, "flipped": dx}
        for name, array in expected.items():
            np.testing.assert_array_equal(got[name], array, err_msg=f"{name} {stride=} {padding=}")


@pytest.mark.parametrize("stride, padding", GEOMETRIES)
def test_python_equals_the_library(stride, padding, rng):
    x, weight = random_case(rng)
    y, dy, dx, dweight = reference(x, weight, stride, padding, rng)
    got = gradients(x, weight, dy, stride, padding)
    for name, array, expected in zip(["y", "dx", "dweight"], got, (y, dx, dweight), strict=True):
        np.testing.assert_array_equal(array, expected, err_msg=name)


def test_worked_example():
    y, dx, dweight = gradients(np.array(X), np.array(K), np.array(DY), stride=1, padding=0)
    np.testing.assert_array_equal(y, [[4, 6], [10, 12]])
    np.testing.assert_array_equal(dx, [[1, 2, 0], [5, 7, -2], [6, 5, -4]])
    np.testing.assert_array_equal(dweight, [[37, 47], [67, 77]])


@pytest.mark.parametrize("figure", [web.convolution_explorer, web.backward_stepper])
@pytest.mark.parametrize(
    "x, weight, options, message",
    [
        ([1, 2], K, {}, r": `x` has shape \(2,\), expected \(rows, columns\)"),
        (X, [K], {}, r": `weight` has shape \(1, 2, 2\), expected \(rows, columns\)"),
        ([[1, np.nan]], [[1]], {}, r": `x` has numbers that are not finite"),
        (np.ones((9, 3)), K, {}, r": `x` has shape \(9, 3\), expected 1 to 8 rows and columns"),
        (np.ones((0, 3)), K, {}, r": `x` has shape \(0, 3\), expected 1 to 8 rows"),
        (np.ones((6, 6)), np.ones((5, 1)), {}, r": `weight` has shape \(5, 1\), expected 1 to 4"),
        (X, np.ones((1, 4)), {}, r"`weight` has shape \(1, 4\), expected no more rows or columns"),
        (X, K, {"stride": 4}, r": `stride` is 4, expected 1, 2, 3"),
        (X, K, {"stride": 1.0}, r": `stride` is 1\.0, expected 1, 2, 3"),
        (X, K, {"padding": -1}, r": `padding` is -1, expected 0, 1, 2"),
        (X, K, {"stride": 2}, r"`dy` has shape \(2, 2\), expected \(1, 1\) as the output of `x`"),
    ],
)
def test_says_what_is_wrong(figure, x, weight, options, message):
    with pytest.raises(ValueError, match=figure.__name__ + ".*" + message.lstrip(":")):
        figure(x, weight, dy=DY, **options)
