import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn

from course_lib.training import accuracy, evaluate, predict, top_k_accuracy


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))


@pytest.fixture
def images(rng):
    return rng.random((23, 3, 2, 2), np.float32)


def test_predicts_in_evaluation_mode_and_leaves_the_model_alone(model, images):
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    answers = predict(model, images)
    assert answers.device.type == "cpu"
    assert not answers.requires_grad
    assert [m.training for m in model] == [True, False, True, True]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    model.eval()
    torch.testing.assert_close(answers, model(torch.tensor(images)).detach())


@pytest.mark.parametrize("batch_size", [1, 7, 23, 100])
def test_the_batches_do_not_matter(batch_size, model, images):
    together = predict(model, images, batch_size=23)
    torch.testing.assert_close(predict(model, images, batch_size=batch_size), together)


def test_no_answer_is_kept_for_gradients(model, images):
    assert not predict(model, torch.tensor(images, requires_grad=True)).requires_grad


def test_takes_the_type_of_the_weights(model, images):
    assert predict(model.double(), images).dtype == torch.float64


def test_several_answers():
    class Both(nn.Module):
        def forward(self, x):
            return x + 1, (x[:, 0], x.sum(1))

    x = torch.rand(7, 3)
    first, (second, third) = predict(Both(), x, batch_size=3)
    assert torch.equal(first, x + 1)
    assert torch.equal(second, x[:, 0])
    assert torch.equal(third, x.sum(1))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_as_scikit_learn(k, rng):
    scores, labels = rng.random((50, 5)), rng.integers(5, size=50)
    expected = metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(5))
    assert top_k_accuracy(k)(torch.tensor(scores), labels) == pytest.approx(expected)
    assert top_k_accuracy(5)(torch.tensor(scores), labels) == 1
    if k == 1:
        assert accuracy(torch.tensor(scores), torch.tensor(labels)) == pytest.approx(expected)


def test_accuracy_by_hand():
    scores = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.3, 0.3]])
    labels = torch.tensor([1, 1, 1, 2])
    assert accuracy(scores, labels) == 0.25
    assert top_k_accuracy(2)(scores, labels) == 0.75
    assert accuracy((scores, "whatever else"), labels) == 0.25


def test_accuracy_of_pixels(rng):
    scores, labels = rng.random((4, 3, 5, 6)), rng.integers(3, size=(4, 5, 6))
    expected = (scores.argmax(axis=1) == labels).mean()
    assert accuracy(torch.tensor(scores), labels) == pytest.approx(expected)


def test_evaluates_all_at_once(model, images):
    """A metric that is no mean over images is right all the same."""
    seen = []

    def largest_error(output, target):
        seen.append(len(output))
        return (output - target).abs().max()

    target = torch.zeros(23, 5)
    got = evaluate(model, images, target, metric=largest_error, batch_size=4)
    assert seen == [23]
    assert isinstance(got, float)
    assert got == pytest.approx(predict(model, images).abs().max().item())


def test_evaluates_accuracy_by_default(model, images, rng):
    labels = rng.integers(5, size=23)
    expected = (predict(model, images).argmax(1).numpy() == labels).mean()
    assert evaluate(model, images, labels) == pytest.approx(expected)


def test_names_of_metrics():
    assert accuracy.__name__ == top_k_accuracy(1).__name__ == "accuracy"
    assert top_k_accuracy(5).__name__ == "top_5_accuracy"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, x: predict(m, x[:0]), r"predict: `images` has shape \(0, 3, 2, 2\)"),
        (lambda m, x: predict(m, x, batch_size=0), "predict: `batch_size` is 0, expected at least"),
        (lambda m, x: predict(m, x, device="gpu"), "predict: `device` is 'gpu', expected cpu"),
        (lambda m, x: evaluate(m, x, [1, 2]), r"evaluate: `labels` has shape \(2,\), expected 23"),
        (lambda m, x: top_k_accuracy(0), "top_k_accuracy: `k` is 0, expected at least 1"),
        (
            lambda m, x: top_k_accuracy(6)(torch.rand(2, 5), [0, 1]),
            "top_6_accuracy: `output` has 5 classes, expected 6 or more",
        ),
        (
            lambda m, x: accuracy(torch.rand(3, 5), torch.zeros(3, 1)),
            r"accuracy: `output` has shape \(3, 5\) and `labels` \(3, 1\), expected \(N, K, ...\)",
        ),
        (lambda m, x: accuracy(torch.rand(0, 5), torch.zeros(0)), "accuracy: .* N more than 0"),
    ],
)
def test_says_what_is_wrong(call, message, model, images):
    with pytest.raises(ValueError, match=message):
        call(model, images)


def test_words_are_no_images(model):
    with pytest.raises(TypeError, match="predict: `images` cannot become one tensor"):
        predict(model, ["a", "b"])
