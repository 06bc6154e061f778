"""Training a captioner and letting it write, on scenes so simple that it learns them in seconds."""

import inspect
import types

import numpy as np
import pytest
import torch

from course_lib import captioning
from course_lib.captioning import (
    Vocabulary,
    beam_search,
    caption,
    caption_loss,
    exact_match,
    fit_captioner,
    greedy,
)
from course_lib.captioning import captioner as module
from course_lib.models import caption_body
from course_lib.models import captioner as make
from course_lib.training import CheckpointError

KINDS = {(0, 0): "bar above left", (0, 1): "bar above", (1, 0): "low bar left", (1, 1): "low bar"}


def scenes(N=48, seed=0):
    """Bars in one of four corners; the sentence says which, in two or three words."""
    rng = np.random.default_rng(seed)
    images = 0.1 * rng.random((N, 1, 16, 16), dtype=np.float32)
    sentences = []
    for n in range(N):
        down, right = rng.integers(2, size=2)
        images[n, 0, 8 * down + 1 : 8 * down + 7, 8 * right + 1 : 8 * right + 7] += 0.8
        sentences.append(KINDS[down, right])
    return images, sentences


VOCABULARY = Vocabulary(KINDS.values())


def small(seed=0, **options):
    rng = torch.Generator().manual_seed(seed)
    body = caption_body(widths=(4, 6, 8, 8), rng=rng)
    return make(len(VOCABULARY), body=body, word_features=8, hidden=16, rng=rng, **options)


def fitted(images, sentences, seed=0, model=None, **options):
    model = small() if model is None else model
    options = {"epochs": 12, "batch_size": 8, "learning_rate": 0.01, "progress": False} | options
    history = fit_captioner(model, VOCABULARY, images, sentences, seed=seed, **options)
    return model, history


@pytest.fixture(scope="module")
def trained():
    images, sentences = scenes()
    return *fitted(images, sentences), images, sentences


def test_it_learns_to_say_what_it_sees(trained):
    model, history, _, _ = trained
    assert history.records[-1].loss < 0.2 * history.records[0].loss
    images, sentences = scenes(40, seed=1)
    for width in (1, 3):
        written = caption(model, VOCABULARY, images, width=width)
        assert exact_match([c.sentence for c in written], sentences) > 0.9


def test_what_a_caption_says(trained):
    model, _, images, _ = trained
    for written in caption(model, VOCABULARY, images[:5]):
        assert written.words == (*written.sentence.split(), "<end>")
        assert written.attention.shape == (len(written.words), 2, 2)
        np.testing.assert_allclose(written.attention.sum((1, 2)), 1, rtol=1e-5)
        assert written.log_probability < 0


def test_a_caption_is_what_the_search_finds_for_its_image_alone(trained):
    model, _, images, _ = trained
    options = {"start": 1, "end": 2, "max_length": 6}
    captions = caption(model, VOCABULARY, images[:4], width=1, max_length=6, batch_size=3)
    beams = caption(model, VOCABULARY, images[:4], width=3, max_length=6)
    for image, written, beam in zip(images, captions, beams, strict=False):
        view = model.see(torch.from_numpy(image[None]))
        found = greedy(model.step, view, **options)
        assert VOCABULARY.decode(found.tokens) == written.sentence
        assert found.log_probability == pytest.approx(written.log_probability, rel=1e-4)
        best = beam_search(model.step, view, width=3, **options)[0]
        assert best.log_probability == pytest.approx(beam.log_probability, rel=1e-4)
        tokens = torch.tensor([[1, *found.tokens]])
        reading = model.eval().read(model.maps(torch.from_numpy(image[None])), tokens)
        np.testing.assert_allclose(reading.attention[0].detach(), written.attention, atol=1e-5)
        logs = reading.logits[0].log_softmax(1).gather(1, tokens[0, 1:, None])
        assert logs.sum().item() == pytest.approx(found.log_probability, rel=1e-4)


def test_a_sentence_that_does_not_end(trained):
    model, _, images, _ = trained
    (written,) = caption(model, VOCABULARY, images[:1], max_length=1)
    assert len(written.words) == len(written.attention) == 1
    assert written.words[0] == written.sentence
    assert caption(model, VOCABULARY, images[:0]) == []


def test_writing_leaves_the_model_as_it_was(trained):
    model, _, images, _ = trained
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    caption(model, VOCABULARY, images[:3])
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_the_same_seed_gives_the_same_weights_and_the_generators_are_left_alone():
    images, sentences = scenes(16)
    torch.manual_seed(1)
    a, _ = fitted(images, [[s, KINDS[0, 0]] for s in sentences], epochs=2)
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(1))
    b, _ = fitted(images, [[s, KINDS[0, 0]] for s in sentences], epochs=2)
    c, _ = fitted(images, [[s, KINDS[0, 0]] for s in sentences], epochs=2, seed=1)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q)
    assert not torch.equal(a.output.weight, c.output.weight)


def test_frozen_features_stay_and_their_maps_are_computed_once(monkeypatch):
    images, sentences = scenes(16)
    model = small()
    before = {name: p.clone() for name, p in model.named_parameters()}
    monkeypatch.setattr(model, "maps", lambda images: pytest.fail("computed again"))
    fitted(images, sentences, model=model, freeze=True, epochs=2)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == name.startswith("features"), name
    assert model.frozen
    monkeypatch.undo()
    fitted(images, sentences, model=model, epochs=1)
    assert not model.frozen
    assert not torch.equal(model.features[0][0].weight, before["features.stage1.conv1.weight"])


def test_of_several_sentences_each_is_learnt():
    images, _ = scenes(12)
    several = [["bar", "low bar left"], ["bar", "low bar left"]] * 6
    model, _ = fitted(images, several, epochs=30)
    logs, _ = model.step(np.array([1]), model.see(torch.from_numpy(images[:1])))
    shares = logs.exp()[0]
    assert shares[VOCABULARY.encode("bar")[1]] > 0.25
    assert shares[VOCABULARY.encode("low")[1]] > 0.25


def test_a_checkpoint_goes_on(tmp_path):
    images, sentences = scenes(16)
    whole, _ = fitted(images, sentences, epochs=4, schedule=None)
    path = tmp_path / "captioner.pt"
    fitted(images, sentences, epochs=2, schedule=None, checkpoint=path)
    rest, history = fitted(images, sentences, epochs=4, schedule=None, checkpoint=path)
    assert len(history.records) == 4
    for p, q in zip(whole.parameters(), rest.parameters(), strict=True):
        assert torch.equal(p, q)
    with pytest.raises(CheckpointError, match="was written with other images or labels"):
        fitted(images[::-1].copy(), sentences, epochs=4, schedule=None, checkpoint=path)
    with pytest.raises(CheckpointError, match="was written with other images or labels"):
        fitted(images, sentences[::-1], epochs=4, schedule=None, checkpoint=path)


def test_the_loss_by_hand():
    """Two words to say, then the end: the first token is not asked for, padding neither."""
    tokens = torch.tensor([[1, 3, 4, 2], [1, 3, 2, 0]])
    logits = torch.zeros(2, 3, 5)
    torch.testing.assert_close(caption_loss(logits, tokens).item(), np.log(5))
    logits[0, 0, 3] = np.log(6)  # now the first word has 6 of 10
    expected = (4 * np.log(5) + np.log(10 / 6)) / 5
    torch.testing.assert_close(caption_loss(logits, tokens).item(), expected)


def check_padding():
    """More padding changes neither the loss nor a gradient; nor does what is said of it."""
    tokens = torch.from_numpy(VOCABULARY.batch(["low bar", "bar above left", "low"]))
    more = torch.cat([tokens, torch.zeros(3, 4, dtype=torch.int64)], 1)
    images = torch.from_numpy(scenes(3)[0])
    grads = []
    for rows in (tokens, more):
        model = small().eval()
        logits = model(images, rows)
        logits.retain_grad()
        loss = module.caption_loss(logits, rows)
        loss.backward()
        padded = rows[:, 1:] == 0
        assert not logits.grad[padded].any()
        assert logits.grad[~padded].any(1).all()
        grads.append([loss.detach(), *(p.grad for p in model.parameters())])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_padding_has_no_gradient():
    check_padding()


def check_loss():
    test_the_loss_by_hand()
    logits = torch.zeros(1, 2, 5)
    logits[0, 0, 3] = logits[0, 1, 2] = 50.0  # 3 after the start, the end after 3
    assert module.caption_loss(logits, torch.tensor([[1, 3, 2]])) < 1e-6


def check_both():
    check_loss()
    check_padding()


MUTANTS = {
    "teacher token off by one": ("tokens[:, 1:].flatten()", "tokens[:, :-1].flatten()"),
    "padding asked for": (", ignore_index=PAD", ""),
    "the end not asked for": ("ignore_index=PAD", "ignore_index=2"),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_loss_is_noticed(monkeypatch, mistake):
    right, wrong = MUTANTS[mistake]
    source = inspect.getsource(module)
    assert source.count(right) == 1
    broken = types.ModuleType(module.__name__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), vars(broken))
    monkeypatch.setattr(module, "caption_loss", broken.caption_loss)
    monkeypatch.setitem(globals(), "caption_loss", broken.caption_loss)
    with pytest.raises(AssertionError):
        check_both()


def test_the_right_loss_passes():
    check_both()


def test_says_what_is_wrong():
    images, sentences = scenes(4)
    model = small()
    with pytest.raises(ValueError, match="there are 4 images and 3 `sentences`, expected one"):
        fitted(images, sentences[:3], model=model)
    with pytest.raises(ValueError, match="fit_captioner: image 1 has no sentence"):
        fitted(images, [sentences, [], sentences, sentences], model=model)
    with pytest.raises(ValueError, match="Vocabulary: 'nine' in 'low nine' is none"):
        fitted(images, ["low nine"] * 4, model=model)
    with pytest.raises(ValueError, match="fit_captioner: the model knows 7 words and the vocabul"):
        fit_captioner(model, Vocabulary(["a"]), images, ["a"] * 4, epochs=1)
    with pytest.raises(ValueError, match="caption: the model knows 7 words and the vocabulary has"):
        caption(model, Vocabulary(["a"]), images)
    with pytest.raises(ValueError, match="beam_search: `width` is 0, expected 1 or more"):
        caption(model, VOCABULARY, images, width=0)
    with pytest.raises(ValueError, match=r"caption_loss: `logits` has shape \(1, 3, 5\), expected"):
        caption_loss(torch.zeros(1, 3, 5), torch.zeros(1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="fit: `epochs` is 0"):
        fitted(images, sentences, model=model, epochs=0)


def test_weights_that_are_not_finite_are_told():
    model = small()
    with torch.no_grad():
        model.output.bias[0] = float("nan")
    with pytest.raises(ValueError, match="beam_search: `step` returned NaN"):
        caption(model, VOCABULARY, scenes(1)[0])


def test_the_room_knows_its_names():
    assert set(captioning.WITH_TORCH) < set(captioning.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'sentences'"):
        captioning.sentences  # noqa: B018
