import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, jaccard_score

from course_lib import training
from course_lib.training import (
    class_iou,
    confusion_counts,
    evaluate,
    mean_iou,
    pixel_accuracy,
)


def scored(predicted, K):
    """Scores whose largest is that of the predicted class."""
    return torch.nn.functional.one_hot(torch.as_tensor(predicted), K).movedim(-1, 1).float()


def test_worked_by_hand():
    """Six pixels: of class 0 three, one of them taken for 1; of class 1 three, one taken for 0."""
    truth = torch.tensor([[[0, 0, 0], [1, 1, 1]]])
    output = scored([[[0, 0, 1], [1, 1, 0]]], 2)
    assert confusion_counts(output, truth).tolist() == [[2, 1], [1, 2]]
    assert class_iou(confusion_counts(output, truth)).tolist() == [2 / 4, 2 / 4]
    assert mean_iou(output, truth) == 0.5
    assert pixel_accuracy(output, truth) == pytest.approx(4 / 6)


def test_matches_scikit_learn(rng):
    truth, predicted = rng.integers(0, 4, (2, 3, 5, 6))
    output = scored(predicted, 4)
    expected = confusion_matrix(truth.ravel(), predicted.ravel())
    np.testing.assert_array_equal(confusion_counts(output, truth), expected)
    per_class = jaccard_score(truth.ravel(), predicted.ravel(), average=None)
    np.testing.assert_allclose(class_iou(confusion_counts(output, truth)), per_class)
    assert mean_iou(output, truth) == pytest.approx(per_class.mean())
    assert pixel_accuracy(output, truth) == training.accuracy(output, torch.as_tensor(truth))


def test_a_class_that_occurs_nowhere_is_left_out():
    truth = torch.tensor([[[0, 0, 1, 1]]])
    output = scored([[[0, 0, 1, 0]]], 4)
    ious = class_iou(confusion_counts(output, truth))
    assert ious[:2].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert ious[2:].isnan().all()
    assert mean_iou(output, truth) == pytest.approx((2 / 3 + 1 / 2) / 2)  # not over 4


def test_a_class_that_is_only_predicted_counts_as_0():
    truth = torch.tensor([[[0, 0, 0, 0]]])
    assert mean_iou(scored([[[0, 0, 0, 2]]], 3), truth) == pytest.approx((3 / 4 + 0) / 2)


def test_background_alone_has_a_high_pixel_accuracy():
    truth = torch.zeros(1, 10, 10, dtype=torch.long)
    truth[0, 0, :9] = torch.arange(1, 10)
    output = scored(torch.zeros_like(truth), 10)
    assert pixel_accuracy(output, truth) == pytest.approx(0.91)
    assert mean_iou(output, truth) == pytest.approx(0.091)


def test_counts_over_all_images_and_not_image_by_image():
    truth = torch.tensor([[[1, 1, 1, 1]], [[1, 0, 0, 0]]])
    predicted = torch.tensor([[[1, 1, 1, 1]], [[0, 0, 0, 0]]])

    class Answers(torch.nn.Module):
        def forward(self, x):
            return scored(predicted[x[:, 0].long()], 2)

    images = torch.arange(2.0)[:, None]
    got = evaluate(Answers(), images, truth, metric=mean_iou, batch_size=1, device="cpu")
    assert got == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"confusion_counts: `output` has shape \(2, 3, 4, 4\)"):
        confusion_counts(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5, dtype=torch.long))
    with pytest.raises(ValueError, match=r"confusion_counts: `labels` go from 0 to 3, expected 0"):
        mean_iou(torch.zeros(1, 3, 2), torch.tensor([[0, 3]]))
    with pytest.raises(TypeError, match=r"`labels` holds torch\.float32, expected int"):
        pixel_accuracy(torch.zeros(1, 3, 2), torch.zeros(1, 2))
