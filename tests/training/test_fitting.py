"""It learns, comes out the same every time, goes on where it stopped, and says what is wrong."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from course_lib.data import load_digits, place_digits
from course_lib.training import (
    CheckpointError,
    Epoch,
    TrainingError,
    accuracy,
    evaluate,
    fit,
    load_checkpoint,
)
from course_lib.training.device import check_device


def is_there(device):
    try:
        check_device("test", "device", device)
    except ValueError:
        return False
    return True


DIGITS = load_digits()
X, Y = DIGITS.x_train[:60], DIGITS.y_train[:60]


DEVICES = [name for name in ("cpu", "cuda", "mps") if is_there(name)]


def small_net(dropout=0.3, dtype=torch.float32, number=0):
    """Convolution, batch normalisation and dropout: all that is random or has a state."""
    torch.manual_seed(number)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(144, 10),
    ).to(dtype)


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


# What it does


def test_sgd_as_written_out_by_hand():
    """One batch an epoch, so that the order does not matter."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2).double()
    x, y = torch.randn(5, 3, dtype=float), torch.tensor([0, 1, 1, 0, 1])
    weight, bias = (p.detach().clone().requires_grad_() for p in model.parameters())
    velocity, losses = [torch.zeros_like(weight), torch.zeros_like(bias)], []
    for _ in range(4):
        value = functional.cross_entropy(x @ weight.T + bias, y)
        losses.append(value.item())
        grads = torch.autograd.grad(value, (weight, bias))
        with torch.no_grad():
            for p, g, v in zip((weight, bias), grads, velocity, strict=True):
                v.mul_(0.8).add_(g + 0.01 * p)
                p -= 0.3 * v
    settings = {"learning_rate": 0.3, "momentum": 0.8, "weight_decay": 0.01}
    history = fit(model, x, y, epochs=4, **settings, device="cpu")
    np.testing.assert_allclose(history.losses, losses, rtol=1e-12)
    torch.testing.assert_close(model.weight.detach(), weight.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "optimizer, theirs",
    [
        ("adam", lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1)),
        (torch.optim.RMSprop, lambda p: torch.optim.RMSprop(p, lr=0.01)),
        (lambda p, lr: torch.optim.SGD(p, lr=2 * lr), lambda p: torch.optim.SGD(p, lr=0.02)),
    ],
    ids=["adam", "class", "function"],
)
def test_other_optimizers(optimizer, theirs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    reference = copy.deepcopy(model)
    opt = theirs(reference.parameters())
    x, y = torch.tensor(X).double(), torch.tensor(Y)
    for _ in range(3):
        opt.zero_grad()
        functional.cross_entropy(reference(x), y).backward()
        opt.step()
    settings = {"learning_rate": 0.01, "weight_decay": 0.1, "optimizer": optimizer}
    fit(model, X, Y, epochs=3, batch_size=60, device="cpu", **settings)
    for got, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_it_learns_and_says_how_well():
    model = small_net()
    history = fit(
        model,
        DIGITS.x_train,
        DIGITS.y_train,
        epochs=6,
        validation=(DIGITS.x_test, DIGITS.y_test),
        device="cpu",
    )
    assert len(history.losses) == 6 * 23
    assert [record.epoch for record in history.records] == [1, 2, 3, 4, 5, 6]
    assert history.metrics[-1] == evaluate(model, DIGITS.x_test, DIGITS.y_test, device="cpu")
    assert history.metrics[-1] > 0.9
    assert history.seconds == sum(record.seconds for record in history.records) > 0
    assert repr(history).startswith("History: 6 epochs of 23 steps, loss ")
    assert f"validation {history.metrics[-1]:.4g}" in repr(history)


def test_the_loss_of_an_epoch_is_a_mean_over_images():
    sizes = []

    def loss(output, labels):
        sizes.append(len(labels))
        return functional.cross_entropy(output, labels)

    history = fit(small_net(), X, Y, epochs=2, batch_size=16, loss=loss, device="cpu")
    assert sizes == 2 * [15, 15, 15, 15]
    sizes.clear()
    history = fit(small_net(), X[:50], Y[:50], epochs=1, batch_size=16, loss=loss, device="cpu")
    assert sizes == [13, 13, 12, 12]  # never a last batch of two
    expected = np.average(history.losses, weights=sizes)
    assert history.records[0].loss == pytest.approx(expected, rel=1e-12)


def test_every_epoch_sees_every_image_once_in_another_order():
    seen = []

    def augment(batch, rng):
        seen.append(batch[:, 0].clone())
        return batch

    x = torch.arange(20.0)[:, None]
    fit(
        nn.Linear(1, 2),
        x,
        np.zeros(20, int),
        epochs=3,
        batch_size=6,
        augment=augment,
        learning_rate=0,
    )
    epochs = torch.cat(seen).reshape(3, 20)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(20))
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[1], epochs[2])


def test_several_outputs_and_several_targets():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.classes, self.box = nn.Linear(64, 10), nn.Linear(64, 4)

        def forward(self, x):
            return self.classes(x.flatten(1)), self.box(x.flatten(1))

    def loss(output, target):
        assert target[1].dtype == torch.float32
        return functional.cross_entropy(output[0], target[0]) + functional.mse_loss(
            output[1], target[1]
        )

    def metric(output, target):
        return (output[1] - target[1]).abs().mean()

    boxes = np.random.default_rng(0).random((60, 4))
    history = fit(
        Heads(),
        X,
        (Y.astype(np.int32), boxes),
        epochs=30,
        loss=loss,
        metric=metric,
        validation=(X, (Y, boxes)),
        learning_rate=0.1,
        device="cpu",
    )
    assert history.records[-1].loss < 0.3 * history.records[0].loss
    assert history.metrics[-1] < history.metrics[0]


def test_a_label_for_each_pixel():
    masks = (X[:, 0] > 0.5).astype(np.uint8)
    model = nn.Conv2d(1, 2, 1)
    history = fit(model, X, masks, epochs=30, learning_rate=2, validation=(X, masks), device="cpu")
    assert history.metrics[-1] > 0.95


def test_frozen_parameters_stay():
    model = small_net()
    model[0].requires_grad_(False)
    before = state_of(model)
    fit(model, X, Y, epochs=1, weight_decay=0.1, device="cpu")
    assert torch.equal(before["0.weight"], model[0].weight)
    assert not torch.equal(before["5.weight"], model[5].weight)


def test_augmentation_may_change_the_size():
    """It gets digits of 8x8, and the network sees them at 32x32, elsewhere every time."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))

    def augment(batch, rng):
        assert isinstance(rng, np.random.Generator)
        return place_digits(batch, size=32, dx=rng.uniform(-3, 3, len(batch)), scale=0.8)

    history = fit(model, X, Y, epochs=2, augment=augment, device="cpu")
    assert np.isfinite(history.losses).all()


# It disturbs nothing


def test_model_and_generators_are_left_as_they_were():
    model = small_net()
    model.eval()
    model[1].train()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 -- to see that it is left alone
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    images, labels = X.copy(), Y.copy()
    fit(model, X, Y, epochs=1, validation=(X, Y), device="cpu")
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(images, X)
    np.testing.assert_array_equal(labels, Y)
    assert [m.training for m in model] == [False, True, False, False, False, False]


def test_they_are_left_so_after_an_error_too():
    model, before = small_net().eval(), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        fit(model, X, Y, epochs=1, augment=lambda batch, rng: 1 / 0)
    assert not model.training
    assert torch.equal(before, torch.get_rng_state())


def test_training_happens_in_training_mode():
    modes = []

    class Watched(nn.Linear):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x.flatten(1))

    fit(Watched(64, 10).eval(), X, Y, epochs=2, batch_size=60, validation=(X, Y), device="cpu")
    assert modes == [True, False, True, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[::-1],
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: x.astype(np.float64),
        torch.tensor,
        lambda x: x.tolist(),
    ],
    ids=["strides", "read-only", "float64", "tensor", "list"],
)
def test_images_of_any_kind(change):
    history = fit(small_net(), change(X), Y, epochs=1, validation=(change(X), Y), device="cpu")
    assert np.isfinite(history.losses).all()


# It is the same every time


def test_the_same_seed_gives_the_same_weights():
    runs = {}
    for name, options in {"a": {}, "b": {}, "other": {"seed": 1}}.items():
        model = small_net()
        torch.manual_seed(hash(name) % 1000)  # whatever happened before
        runs[name] = fit(model, X, Y, epochs=3, batch_size=8, **options).losses, state_of(model)
    assert runs["a"][0] == runs["b"][0] != runs["other"][0]
    assert_same(runs["a"][1], runs["b"][1])


def shifted(batch, rng):
    return place_digits(batch, size=8, dx=rng.uniform(-1, 1, len(batch)))


class Killed(Exception):
    pass


SETTINGS = {
    "sgd": {},
    "adam": {"optimizer": "adam", "learning_rate": 0.003},
    "schedule": {"schedule": "one-cycle", "weight_decay": 0.01},
    "augment": {"augment": shifted, "seed": 7},
    "16 bits": {"mixed_precision": True},
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("when", ["after epoch 2", "within epoch 3", "within epoch 1"])
def test_stopped_and_resumed_it_is_the_same(settings, when, device, tmp_path):
    settings = {"epochs": 4, "batch_size": 16, "validation": (X, Y), "device": device, **settings}
    straight = small_net()
    expected = fit(straight, X, Y, **settings)

    path, model, calls = tmp_path / "run.pt", small_net(), 0

    def killing_loss(output, labels):
        nonlocal calls
        calls += 1
        if calls == {"within epoch 3": 10, "within epoch 1": 2}.get(when):
            raise Killed
        return functional.cross_entropy(output, labels)

    def killing_progress(record):
        if when == "after epoch 2" and record.epoch == 2:
            raise Killed

    killing_loss.__qualname__ = functional.cross_entropy.__qualname__
    with pytest.raises(Killed):
        fit(model, X, Y, **settings, checkpoint=path, loss=killing_loss, progress=killing_progress)
    torch.manual_seed(99)
    other = model if when == "within epoch 1" else small_net(number=3)  # its weights are replaced
    history = fit(other, X, Y, **settings, checkpoint=path)
    assert history.losses == expected.losses
    assert history.metrics == expected.metrics
    assert_same(state_of(other), state_of(straight))
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]

    again = small_net(number=4)  # a run that has ended is read back, and not run again
    history = fit(again, X, Y, **settings, checkpoint=path, progress=lambda record: 1 / 0)
    assert history.losses == expected.losses
    assert_same(state_of(again), state_of(straight))


def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path):
    """The process dies at once, as when a machine is taken away."""
    code = """
import os, sys
sys.path.insert(0, sys.argv[2])
from test_fitting import X, Y, small_net
from course_lib.training import fit
fit(small_net(), X, Y, epochs=5, batch_size=16, checkpoint=sys.argv[1], device="cpu",
    progress=lambda record: record.epoch == 3 and os._exit(9))
"""
    path = tmp_path / "run.pt"
    here = __file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", code, path, here], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert len(load_checkpoint(path)["records"]) == 3
    resumed, straight = small_net(number=1), small_net()
    fit(resumed, X, Y, epochs=5, batch_size=16, checkpoint=path, device="cpu")
    fit(straight, X, Y, epochs=5, batch_size=16, device="cpu")
    assert_same(state_of(resumed), state_of(straight))


def test_epochs_may_be_added_where_there_is_no_schedule(tmp_path):
    straight, model = small_net(), small_net()
    fit(straight, X, Y, epochs=5)
    for epochs in (2, 5):
        history = fit(model, X, Y, epochs=epochs, checkpoint=tmp_path / "deep" / "run.pt")
    assert len(history.records) == 5
    assert_same(state_of(model), state_of(straight))


def test_a_checkpoint_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "run.pt"
    fit(small_net(), X, Y, epochs=3, checkpoint=path)
    before = path.read_bytes()
    for change, message in (
        ({"seed": 1}, r"run\.pt was written with `seed` 0, now it is 1; go back"),
        ({"learning_rate": 0.1}, r"`learning_rate` 0\.05, now it is 0\.1"),
        ({"optimizer": "adam"}, "`optimizer` 'sgd', now it is 'adam'"),
        ({"schedule": "cosine"}, "`schedule` None, now it is 'cosine'"),
        ({"augment": shifted}, "`augment` None, now it is 'shifted'"),
        ({"loss": functional.nll_loss}, "`loss` 'cross_entropy', now it is 'nll_loss'"),
        ({"images": X + 1}, "was written with other images or labels"),
        ({"labels": 9 - Y}, "was written with other images or labels"),
        ({"epochs": 2}, "has 3 epochs already, more than the 2 asked for"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(64, 10))}, "holds another model"),
    ):
        options = {"model": small_net(), "images": X, "labels": Y, "epochs": 3, **change}
        with pytest.raises(CheckpointError, match=message):
            fit(**options, checkpoint=path)
        assert path.read_bytes() == before


# It says what is wrong


def test_a_rate_that_is_too_large(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False))

    def loss(output, labels):
        return output.square().mean()

    with pytest.raises(
        TrainingError,
        match=r"fit: the loss is (inf|nan) at step \d+ \(epoch \d of 9\), with a learning rate of "
        r"1e\+04\. Try a learning rate of 1e\+03",
    ):
        fit(model, X, Y, epochs=9, learning_rate=1e4, loss=loss, checkpoint=tmp_path / "run.pt")
    state = load_checkpoint(tmp_path / "run.pt")
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_loss_that_was_never_a_number():
    with pytest.raises(
        TrainingError, match=r"the loss is inf at step 1 \(epoch 1 of 1\).* Look for log\(0\)"
    ):
        fit(small_net(), X, Y, epochs=1, loss=lambda output, labels: output.sum() / 0)


def test_weights_that_are_not_finite():
    model = nn.Linear(1, 1)

    def loss(output, labels):
        return (output * 1e30).mean()

    with pytest.raises(
        TrainingError, match=r"`weight` is not finite after step 1 \(epoch 1 of 1\).*rate of 1e\+29"
    ):
        fit(model, np.ones((2, 1)), np.zeros(2), epochs=1, learning_rate=1e30, loss=loss)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"epochs": 0}, ValueError, "`epochs` is 0, expected an int, 1 or more"),
        ({"epochs": 1.5}, ValueError, r"`epochs` is 1\.5, expected an int"),
        ({"batch_size": 0}, ValueError, "`batch_size` is 0, expected an int, 1 or more"),
        ({"seed": -1}, ValueError, "`seed` is -1, expected an int, 0 or more"),
        ({"learning_rate": -1}, ValueError, "`learning_rate` is -1, expected a number, 0 or more"),
        ({"learning_rate": np.nan}, ValueError, "`learning_rate` is nan"),
        ({"momentum": 1}, ValueError, "`momentum` is 1, expected .* and less than 1"),
        ({"weight_decay": "no"}, ValueError, "`weight_decay` is 'no', expected a number"),
        ({"optimizer": "lbfgs"}, ValueError, "`optimizer` is 'lbfgs', expected 'sgd', 'adam' or"),
        ({"schedule": "step"}, ValueError, "`schedule` is 'step', expected None, 'cosine', 'one-c"),
        ({"device": "tpu"}, ValueError, "`device` is 'tpu', expected cpu, cuda or mps"),
        ({"device": "cuda:99"}, ValueError, "`device` is 'cuda:99', which this machine does not"),
        ({"images": X[:0]}, ValueError, r"`images` has shape \(0, 1, 8, 8\), expected at least"),
        ({"images": X * np.nan}, ValueError, "`images` has entries that are not finite"),
        ({"labels": Y[:5]}, ValueError, r"`labels` has shape \(5,\), expected 60 rows, as many"),
        ({"labels": (Y, Y[:5])}, ValueError, r"`labels` has shape \(5,\), expected 60 rows"),
        ({"labels": [np.zeros(n) for n in (2, 3)]}, TypeError, "cannot become one tensor"),
        ({"validation": X}, ValueError, r"`validation` must be a pair, \(images, labels\)"),
        ({"loss": lambda y, t: y.sum(1)}, ValueError, r"`loss` returned \(60,\), expected a tens"),
        ({"loss": lambda y, t: 0.0}, ValueError, "`loss` returned float, expected a tensor"),
        ({"model": nn.Flatten()}, ValueError, "the model has no parameter with `requires_grad`"),
    ],
)
def test_says_what_is_wrong(options, error, message):
    given = {"model": small_net(), "images": X, "labels": Y, "epochs": 1, **options}
    with pytest.raises(error, match=f"fit: .*{message}|fit: {message}"):
        fit(**given)


def test_mixed_precision_on_the_cpu_computes_in_bfloat16():
    types = []

    class Watched(nn.Linear):
        def forward(self, x):
            y = super().forward(x.flatten(1))
            types.append(y.dtype)
            return y

    def loss(output, labels):
        types.append(output.dtype)
        return functional.cross_entropy(output, labels)

    model = Watched(64, 10)
    fit(model, X, Y, epochs=1, loss=loss, mixed_precision=True, device="cpu")
    fit(model, X, Y, epochs=1, loss=loss, device="cpu")
    assert types == [torch.bfloat16, torch.float32, torch.float32, torch.float32]
    assert model.weight.dtype == torch.float32


def test_progress_may_be_a_function():
    records = []
    history = fit(small_net(), X, Y, epochs=3, validation=(X, Y), progress=records.append)
    assert records == history.records
    assert isinstance(records[0], Epoch)
    assert records[-1].metric == accuracy(*_answers(history, records))


def _answers(history, records):
    model = small_net()
    fit(model, X, Y, epochs=3)
    model.eval()
    with torch.no_grad():
        return model(torch.tensor(X)), torch.tensor(Y)
