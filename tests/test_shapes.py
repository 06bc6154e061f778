import doctest

import numpy as np
import pytest
import torch

from course_lib import shapes

ONES = np.ones((2, 3, 8, 9))


def test_the_examples_in_the_docstrings_are_true():
    results = doctest.testmod(shapes)
    assert results.attempted >= 4
    assert results.failed == 0


@pytest.mark.parametrize("array", [np.ones((8, 3)), torch.ones(8, 3)], ids=["numpy", "torch"])
def test_shapes_that_agree_pass(array):
    shapes.check_shapes("f", x=(array, "N D"), same=(array, "N D"), sized=(array, "8 3"))


@pytest.mark.parametrize(
    "named, message",
    [
        ({"x": (ONES, "N D")}, r"f: `x` has shape \(2, 3, 8, 9\), expected \(N, D\)$"),
        ({"b": (ONES, "F")}, r"expected \(F,\)$"),
        ({"x": (ONES, "N 3 8 8")}, r"`x` has shape \(2, 3, 8, 9\), expected \(N, 3, 8, 8\)$"),
        (
            {"x": (ONES, "N C H W"), "y": (ONES, "N F C W")},
            r"`y` has shape \(2, 3, 8, 9\), expected \(N, F, C, W\) with C = 3 as in `x`$",
        ),
        ({"x": (ONES, "N C S S")}, r"with S = 8 as in `x`$"),
    ],
)
def test_shapes_that_differ(named, message):
    with pytest.raises(ValueError, match=message):
        shapes.check_shapes("f", **named)


def test_what_is_not_an_array():
    with pytest.raises(TypeError, match="f: `x` is a list, expected an array; convert it"):
        shapes.check_shapes("f", x=([1, 2], "N"))
    with pytest.raises(TypeError, match="f: `x` is a float, expected an array"):
        shapes.check_floats("f", x=1.0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_precision_passes(dtype):
    shapes.check_floats("f", x=np.ones(2, dtype), y=np.ones(3, dtype))
    shapes.check_floats("f", x=torch.ones(2, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize(
    "named, message",
    [
        ({"x": np.arange(3)}, "f: `x` holds int64, expected floating-point numbers; convert"),
        ({"x": torch.arange(3)}, "f: `x` holds int64, expected floating-point numbers"),
        ({"x": np.ones(3, bool)}, "f: `x` holds bool, expected floating-point"),
        (
            {"x": np.ones(3, "float32"), "weight": np.ones(3)},
            "f: `weight` is float64, expected float32 as `x`; convert one of them",
        ),
    ],
)
def test_not_floats_of_one_precision(named, message):
    with pytest.raises(TypeError, match=message):
        shapes.check_floats("f", **named)


def test_gradient_of_another_shape_or_precision():
    shapes.check_gradient("f_backward", ONES, (2, 3, 8, 9), np.dtype("float64"))
    message = r"f_backward: `dy` has shape \(2, 3, 8, 9\), expected \(2, 3\), the shape of `y`"
    with pytest.raises(ValueError, match=message):
        shapes.check_gradient("f_backward", ONES, (2, 3), np.dtype("float64"))
    with pytest.raises(TypeError, match="f_backward: `dy` is float64, expected float32 as `y`"):
        shapes.check_gradient("f_backward", ONES, ONES.shape, np.dtype("float32"))
    with pytest.raises(TypeError, match="f_backward: `dy` is a float, expected an array"):
        shapes.check_gradient("f_backward", 1.0, (), np.dtype("float32"))


@pytest.mark.parametrize("framework", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    "labels, error, message",
    [
        ([0.0, 1.0], TypeError, r"f: `labels` holds float\d+, expected integers"),
        ([True, False], TypeError, "f: `labels` holds bool, expected integers"),
        ([0, 3], ValueError, r"f: `labels` go from 0 to 3, expected 0 \.\. 2, since .* K = 3"),
        ([0, -1], ValueError, r"f: `labels` go from -1 to 0, expected 0 \.\. 2"),
    ],
)
def test_labels(framework, labels, error, message):
    shapes.check_labels("f", framework([0, 2]), 3)
    with pytest.raises(error, match=message):
        shapes.check_labels("f", framework(labels), 3)


def test_no_labels():
    with pytest.raises(ValueError, match="f: `labels` is empty, and an empty batch has no mean"):
        shapes.check_labels("f", np.zeros(0, int), 3)


@pytest.mark.parametrize("value, expected", [(2, (2, 2)), ((1, 3), (1, 3)), ([1, 3], (1, 3))])
def test_pair(value, expected):
    assert shapes.pair("f", "stride", value, least=1) == expected
    assert shapes.pair("f", "stride", np.array(value).tolist(), least=1) == expected


@pytest.mark.parametrize("value", [2.0, "2", None, (1, 2, 3), (1, 2.5), np.ones(2)])
def test_not_a_pair_of_ints(value):
    with pytest.raises(TypeError, match=r"f: `stride` is .*, expected an int or a pair of ints"):
        shapes.pair("f", "stride", value, least=1)


@pytest.mark.parametrize("value", [0, (1, 0), -1])
def test_a_pair_too_small(value):
    with pytest.raises(ValueError, match=r"f: `stride` is .*, expected at least 1"):
        shapes.pair("f", "stride", value, least=1)


@pytest.mark.parametrize(
    "size, kernel, stride, padding", [(7, 3, 1, 0), (8, 3, 2, 0), (8, 5, 3, 2)]
)
def test_output_size_counts_the_positions(size, kernel, stride, padding):
    positions = [
        p for p in range(0, size + 2 * padding, stride) if p + kernel <= size + 2 * padding
    ]
    assert shapes.output_size("f", size, kernel, stride, padding) == len(positions)


def test_a_window_that_does_not_fit():
    message = "f: a window of 5 does not fit an axis of 2 with padding 1 on each side; use a small"
    with pytest.raises(ValueError, match=message):
        shapes.output_size("f", 2, kernel=5, stride=1, padding=1)


def test_geometry():
    geometry = shapes.conv_geometry("f", ONES, (3, 2), (2, 1), 1)
    assert geometry == ((3, 2), (2, 1), (1, 1), (4, 10))
    assert shapes.pool_geometry("f", ONES, 2, None, 0).stride == (2, 2)


def test_pooling_that_sees_only_padding():
    message = r"f: `padding` is 2, expected at most half of `kernel_size`, 3, so that every window"
    with pytest.raises(ValueError, match=message):
        shapes.pool_geometry("f", ONES, 3, 1, 2)


def test_statistics_without_each_other():
    three = np.ones(3)
    with pytest.raises(ValueError, match="f: give both `mean` and `var`, or neither"):
        shapes.check_batch_norm("f", ONES, three, three, mean=three, var=None)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1), (0, 3)])
def test_too_few_values_to_normalize(shape):
    three = np.ones(3)
    shapes.check_batch_norm("f", np.ones(shape), three, three, mean=three, var=three)
    with pytest.raises(ValueError, match=r"expected at least 2 values per channel in training"):
        shapes.check_batch_norm("f", np.ones(shape), three, three, mean=None, var=None)
