"""The checks of the assignments: what passes, and what a failing one says."""

import re
import warnings

import numpy as np
import pytest
import torch
from torchvision import ops

from course_lib.autodiff import value_and_grad
from course_lib.detection import box_iou, nms
from course_lib.grading import (
    check_answer,
    check_close,
    check_computed,
    check_returns,
    check_unchanged,
    differences,
    own_code,
)
from course_lib.numpy_layers import (
    Linear,
    MaxPool2d,
    conv2d,
    conv2d_forward,
    max_pool2d_forward,
    roi_pool_forward,
)
from course_lib.torch_layers import roi_pool

EXPECTED = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "got",
    [
        EXPECTED.tolist(),
        EXPECTED.astype(np.float32),
        EXPECTED.astype(int),
        np.asfortranarray(EXPECTED),
        np.tile(EXPECTED, 2)[:, :3],
        EXPECTED[::-1, ::-1][::-1, ::-1],
        np.ma.array(EXPECTED),
        torch.tensor(EXPECTED),
        EXPECTED + 1e-8,
    ],
    ids=["list", "float32", "int", "Fortran", "view", "flips", "masked", "torch", "rounding"],
)
def test_any_form_of_the_right_numbers_passes(got):
    check_close("y", got, EXPECTED, hint="")


@pytest.mark.parametrize("got", [2, 2.0, np.float32(2), np.array(2.0), np.array([2.0])])
def test_any_form_of_one_right_number_passes(got):
    check_close("loss", got, 2.0, hint="")


@pytest.mark.parametrize(
    "got, message",
    [
        (None, r"y is None, expected an array of shape \(2, 3\): is it computed, and returned\?"),
        ("text", r"y is a str, expected an array of shape \(2, 3\)\. Look\."),
        (np.full((2, 3), "a"), r"y is a ndarray of <U1, expected an array"),
        ([[1.0, 2.0], [3.0]], r"y is a list, expected an array of shape \(2, 3\)\. Look\."),
        (torch.ones(2, 3, requires_grad=True), r"y is a Tensor, expected an array"),
        (EXPECTED > 2, r"y is a ndarray of bool, expected an array"),
        (lambda: EXPECTED, r"y is a function, expected an array"),
        (EXPECTED + 0j, r"y holds complex numbers, .* of real ones: take the real part"),
        (EXPECTED.T, r"y has shape \(3, 2\), expected \(2, 3\)\. Look\."),
        (EXPECTED[:1], r"y has shape \(1, 3\), expected \(2, 3\)\. Look\."),
        (7.0, r"y has no axes \(it is one number\), expected \(2, 3\)\. Look\."),
        (
            [[0, 1, 2], [np.nan, 4, 5]],
            r"y holds nan in 1 of 6 places, first at \[1, 0\], expected 3\. Look\.",
        ),
        ([[np.inf, 1, 2], [3, -np.inf, 5]], r"y holds inf in 2 of 6 places, first at \[0, 0\]"),
        (
            EXPECTED * [1, 1, -1],
            r"y is wrong in 2 of 6 places, first at \[0, 2\]: got -2, expected 2\. Look\.",
        ),
        (
            [[0, 1, 2], [3, 4, 5.000002]],
            r"only its first digits right in 1 of 6 places, first at \[1, 2\]: got 5\.000002, "
            r"expected 5\. Is something on the way in float32\?",
        ),
    ],
)
def test_a_failing_check_says_where_and_what(got, message):
    with pytest.raises(AssertionError, match=message) as failure:
        check_close("y", got, EXPECTED, hint="Look.")
    assert "\n" not in str(failure.value)


def test_one_wrong_number_has_no_place():
    with pytest.raises(AssertionError, match=r"^loss is wrong: got 3, expected 2\. Halve it\.$"):
        check_close("loss", 3, 2, hint="Halve it.")
    with pytest.raises(AssertionError, match=r"^loss holds nan, expected 2\. Halve it\.$"):
        check_close("loss", float("nan"), 2, hint="Halve it.")


def test_numbers_are_shown_until_they_differ():
    with pytest.raises(AssertionError, match=r"got 1\.00000012, expected 1\."):
        check_close("y", np.array([1.00000012]), np.array([1.0]), hint="", tolerance=1e-9)


def test_the_tolerance_grows_with_the_number():
    check_close("y", [1e6 + 0.05], [1e6], hint="")
    with pytest.raises(AssertionError, match="only its first digits"):
        check_close("y", [1e6 + 0.2], [1e6], hint="")


def test_returned_values_get_their_names():
    assert check_returns("f", (1, [2]), "y", "cache") == {"y": 1, "cache": [2]}
    assert check_returns("f", [1, 2], "y", "cache") == {"y": 1, "cache": 2}


@pytest.mark.parametrize(
    "returned, message",
    [
        (None, r"f returned None, expected \(y, cache\): is there a `return`\?"),
        (np.ones(2), r"f returned one value, of type ndarray, expected \(y, cache\)"),
        ((1, 2, 3), r"f returned 3 values, expected 2: \(y, cache\)"),
    ],
)
def test_another_number_of_values_is_refused(returned, message):
    with pytest.raises(AssertionError, match=message):
        check_returns("f", returned, "y", "cache")


def test_what_is_computed_is_copied():
    y = np.ones(3)
    copies = check_computed(y=y, loss=2)
    y[:] = 0
    np.testing.assert_array_equal(copies["y"], np.ones(3))
    assert copies["loss"] == 2


@pytest.mark.parametrize(
    "result, message",
    [
        (None, "nothing to judge yet: y is None"),
        (np.zeros(3), "nothing to judge yet: y holds zeros only"),
        ("text", "nothing to judge yet: y is 'text'"),
    ],
)
def test_what_is_not_computed_is_no_result(result, message):
    with pytest.raises(AssertionError, match=message):
        check_computed(y=result)


def test_an_argument_that_changed_is_found():
    x = EXPECTED.copy()
    check_unchanged("x", x, EXPECTED)
    x[1, 1] = 9
    message = (
        r"x was changed by the call in 1 of 6 places, first at \[1, 1\]: it was 4 and is 9 now\. "
        r"Work on a copy: `x` belongs to the caller"
    )
    with pytest.raises(AssertionError, match=message):
        check_unchanged("x", x, EXPECTED)


def test_an_answer_of_the_library_is_refused_by_any_name():
    x, weight, bias = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1)
    mine = conv2d_forward
    before, _ = mine(x, weight, bias)
    with own_code(), pytest.raises(AssertionError, match=r"the answer, not a tool: .* your own"):
        mine(x, weight, bias)
    for answer in (
        lambda: max_pool2d_forward(x, 2),
        lambda: MaxPool2d(2).forward(x),
        lambda: conv2d(x, weight, bias),  # the primitive of autodiff
        lambda: value_and_grad(lambda x: conv2d(x, weight, bias).sum())(x),
    ):
        with own_code(), pytest.raises(AssertionError, match="the answer, not a tool"):
            answer()
    np.testing.assert_array_equal(mine(x, weight, bias)[0], before)


def test_boxes_and_regions_are_no_tools_either():
    boxes, index = np.array([[0.0, 0, 2, 2]]), np.array([0])
    maps, rows = torch.ones(1, 1, 3, 3), torch.tensor([[0.0, 0, 0, 2, 2]])
    for answer in (
        lambda: roi_pool_forward(np.ones((1, 1, 3, 3)), boxes, index, (1, 1)),
        lambda: roi_pool(maps, rows[:, 1:], torch.tensor([0]), (1, 1)),
        lambda: box_iou(boxes, boxes),
        lambda: nms(boxes, np.ones(1), 0.5),
        lambda: ops.roi_pool(maps, rows, (1, 1)),
        lambda: ops.nms(rows[:, 1:], torch.ones(1), 0.5),
    ):
        answer()
        with own_code(), pytest.raises(AssertionError, match="the answer, not a tool"):
            answer()


def test_the_library_is_back_after_an_error():
    with pytest.raises(ZeroDivisionError), own_code():
        1 / 0  # noqa: B018
    max_pool2d_forward(np.ones((1, 1, 3, 3)), 2)


def test_the_rest_of_the_library_works_inside():
    layer = Linear(3, 2, rng=np.random.default_rng(0), dtype=np.float64)
    with own_code():
        assert layer.forward(np.ones((4, 3))).shape == (4, 2)


def test_a_warning_is_no_mistake():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with own_code():
            np.array([1.0]) / 0
            warnings.warn("mind the gap", stacklevel=1)
    assert shown == []


def test_differences_of_a_linear_map_are_exact(rng):
    A, x, dy = rng.normal(size=(4, 6)), rng.normal(size=(2, 3)), rng.normal(size=4)
    got = differences(lambda x: A @ x.ravel(), x, dy)
    np.testing.assert_allclose(got, (A.T @ dy).reshape(2, 3), rtol=1e-9)


def test_differences_of_a_curve_are_close(rng):
    x, dy = rng.normal(size=5), rng.normal(size=5)
    np.testing.assert_allclose(differences(np.sin, x, dy), np.cos(x) * dy, rtol=1e-6)


@pytest.mark.parametrize(
    "answer, said",
    [
        (None, "dx: not answered yet"),
        ([1, 2], "dx: right"),
        ([1, 3], r"dx is wrong .* got 3, expected 2\. Look again\."),
        ([1], r"dx has shape \(1,\), expected \(2,\).*Look again\."),
    ],
    ids=["none", "right", "wrong", "shape"],
)
def test_an_answer_is_judged_in_one_line(capsys, answer, said):
    check_answer("dx", answer, [1, 2], "Look again.")
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(said, line)
