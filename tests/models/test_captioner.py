"""The captioner: teacher forcing and the search see the same network, and nothing looks ahead."""

import pytest
import torch

from course_lib.models import caption_body, captioner, classifier, digit_regions, summary

V = 9


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=[True, False], ids=["attention", "mean"])
def model(request):
    small = caption_body(widths=(2, 3, 4, 5), rng=generator(1))
    made = captioner(V, body=small, attention=request.param, word_features=3, hidden=6)
    with torch.no_grad():  # statistics unlike those it begins with
        made.norm.running_mean.fill_(0.1)
        made.norm.running_var.fill_(0.4)
    return made.eval()


def batch(N=3, T=6, size=64):
    tokens = torch.randint(3, V, (N, T), generator=generator(2))
    tokens[:, 0] = 1
    return torch.rand(N, 1, size, size, generator=generator(3)), tokens


def test_a_body_is_what_it_says():
    body = caption_body()
    image = batch()[0]
    maps = body.features(image)
    assert maps.shape == (3, body.channels, 64 // body.stride, 64 // body.stride)
    assert body(image).shape == (3, body.width)
    torch.testing.assert_close(body(image), maps.amax((2, 3)))
    assert summary(classifier(body, 10), (1, 32, 32)).rows[-1].output_shape == (10,)
    rows = {row.name: row for row in summary(body.features, (1, 64, 64)).rows}
    assert rows["conv4"].receptive_field == 33
    assert [stage[0].out_channels for stage in body.features] == [16, 32, 64, 96]


def test_scores_of_the_next_words(model):
    images, tokens = batch()
    assert model(images, tokens).shape == (3, 5, V)
    reading = model.read(model.maps(images), tokens)
    torch.testing.assert_close(reading.logits, model(images, tokens), rtol=0, atol=0)
    assert reading.attention.shape == (3, 5, 8, 8)
    torch.testing.assert_close(reading.attention.sum((2, 3)), torch.ones(3, 5))
    assert (reading.attention >= 0).all()
    uniform = bool((reading.attention == 1 / 64).all())
    assert uniform == (model.attention is None)


def test_the_same_by_the_layers_of_torch(model):
    """The same weights in torch.nn.GRUCell, torch.nn.functional and einsum."""
    images, tokens = batch()
    with torch.no_grad():
        maps = model.features(images)
        gru, F = model.gru, torch.nn.functional
        cell = torch.nn.GRUCell(3 + 7, 6)
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        values = [gru.weight_x, gru.weight_h, gru.bias_x, gru.bias_h]
        cell.load_state_dict(dict(zip(names, values, strict=True)))
        norm = model.norm
        maps = F.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        rows = torch.arange(8) * 2 / 7 - 1
        y, x = torch.meshgrid(rows, rows, indexing="ij")
        places = torch.cat([maps, torch.stack([x, y]).expand(3, 2, 8, 8)], 1).flatten(2)
        context = places.mean(2)
        state = torch.tanh(F.linear(context, model.start.weight, model.start.bias))
        expected = []
        for t in range(5):
            word = F.embedding(tokens[:, t], model.embedding.weight)
            state = cell(torch.cat([word, context], 1), state)
            if model.attention is not None:
                a = model.attention
                query = F.linear(state, a.weight_query)[:, :, None]
                hidden = torch.tanh(query + torch.einsum("ap,npl->nal", a.weight_keys, places))
                weights = torch.softmax(torch.einsum("a,nal->nl", a.score, hidden), 1)
                context = torch.einsum("nl,npl->np", weights, places)
            seen = torch.cat([state, context], 1)
            expected.append(F.linear(seen, model.output.weight, model.output.bias))
        torch.testing.assert_close(model(images, tokens), torch.stack(expected, 1))


def test_a_search_by_steps_sees_what_teacher_forcing_sees(model):
    images, tokens = batch()
    logits = model(images, tokens)
    view = model.see(images)
    for t in range(5):
        log_probs, view = model.step(tokens[:, t].numpy(), view)
        torch.testing.assert_close(log_probs, logits[:, t].log_softmax(1))
        assert not log_probs.requires_grad


def test_a_word_is_not_asked_for_with_itself_in_sight(model):
    """Changing the t-th token changes what follows it, and nothing before."""
    images, tokens = batch()
    before = model(images, tokens)
    for t in range(6):
        changed = tokens.clone()
        changed[:, t] = 3 + (tokens[:, t] - 2) % (V - 3)
        differs = (model(images, changed) != before).any(2).any(0)
        assert differs.tolist() == [t <= k for k in range(5)]


def test_every_weight_learns(model):
    images, tokens = batch()
    model.train()(images, tokens).square().sum().backward()
    without = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert not without


def test_frozen_features_stay_as_they_are(model):
    images, tokens = batch()
    assert model.freeze() is model
    model.train()
    assert not model.features.training
    assert model.gru.training
    model(images, tokens).sum().backward()
    assert all(p.grad is None for p in model.features.parameters())
    assert model.output.weight.grad is not None
    model.freeze(False)
    assert model.features.training
    assert all(p.requires_grad for p in model.parameters())


def test_seeing_leaves_the_mode_alone(model):
    images, _ = batch()
    expected = model.see(images)
    for mode in (True, False):
        model.train(mode)
        for got, wanted in zip(model.see(images), expected, strict=True):
            torch.testing.assert_close(got, wanted)
        assert model.training == mode
    torch.testing.assert_close(model.norm.running_mean, torch.full((5,), 0.1))


def test_the_body_is_copied():
    body = digit_regions(widths=(2, 3, 4))
    model = captioner(V, body=body, word_features=3, hidden=6)
    with torch.no_grad():
        model.features.stage1.conv1.weight.zero_()
    assert body.features.stage1.conv1.weight.any()
    images, tokens = batch(size=40)
    assert model(images, tokens).shape == (3, 5, V)
    assert model.read(model.maps(images), tokens).attention.shape == (3, 5, 10, 10)


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(3)
    first = captioner(V)
    torch.manual_seed(4)
    second, other = captioner(V), captioner(V, rng=generator(1))
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q)
    assert not torch.equal(first.output.weight, other.output.weight)
    assert not torch.equal(first.features[0][0].weight, other.features[0][0].weight)


@pytest.mark.parametrize("T", [0, 1])
def test_nothing_to_ask_for(model, T):
    images, tokens = batch()
    reading = model.read(model.maps(images), tokens[:, :T])
    assert reading.logits.shape == (3, 0, V)
    assert reading.attention.shape == (3, 0, 8, 8)


def test_no_image(model):
    images, tokens = batch()
    assert model(images[:0], tokens[:0]).shape == (0, 5, V)


def test_says_what_is_wrong(model):
    images, tokens = batch()
    with pytest.raises(ValueError, match=r"captioner: `x` has shape .*, expected \(N, 1, H, W\)"):
        model(images.expand(3, 2, 64, 64), tokens)
    with pytest.raises(ValueError, match=r"captioner: `tokens` has shape \(2, 6\).* N = 3 as in"):
        model(images, tokens[:2])
    with pytest.raises(ValueError, match=r"captioner: `tokens` go from 1 to 9, expected 0 \.\. 8"):
        model(images, tokens.clamp(max=1) + 8 * (tokens > 7))
    with pytest.raises(ValueError, match="captioner: `vocabulary_size` is 0, expected 1 or more"):
        captioner(0)
    with pytest.raises(ValueError, match="captioner: `hidden` is 0, expected 1 or more"):
        captioner(V, hidden=0)
    with pytest.raises(TypeError, match="captioner: `body` is a Linear, expected a RegionNet"):
        captioner(V, body=torch.nn.Linear(2, 3))
