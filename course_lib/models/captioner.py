"""From an image to a sentence: a convolutional encoder, and a recurrent decoder."""

from collections import OrderedDict
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import nn

from course_lib.models.parts import check_images, draw_weights, he
from course_lib.models.regions import RegionNet, stage
from course_lib.shapes import check_shapes, check_tokens
from course_lib.torch_layers import GRU, Attention, Embedding, Linear, xavier_normal

__all__ = ["Captioner", "Reading", "caption_body", "captioner"]


class Reading(NamedTuple):
    """Scores of the next word ``(N, T, V)``, and where each looked, ``(N, T, h, w)``, sum 1."""

    logits: torch.Tensor
    attention: torch.Tensor


class View(NamedTuple):
    """What a captioner knows of N images while it writes.

    state   : ``(N, H)``, of the recurrent layer
    context : ``(N, P)``, what it saw last; at first, and without attention, the mean over places
    places  : ``(N, L, P)``, the features and the coordinates of each place
    ready   : ``(N, L, A)``, what the places add to every query
    """

    state: torch.Tensor
    context: torch.Tensor
    places: torch.Tensor
    ready: torch.Tensor


def caption_body(*, widths=(16, 32, 64, 96), in_channels=1, rng=None):
    """Build a body for scenes of digits: from images to maps of an eighth of their size.

    Four convolutions, of which the first three have stride 2 and so take the place of pools. A unit
    of the last sees 33 x 33 pixels: a digit. With :func:`classifier` it becomes a network for
    images of one digit each, to train it on: the maximum of each map over all places goes into its
    linear layer.

    Parameters
    ----------
    widths : (int, int, int, int)
        Maps of the convolutions.
    in_channels : int
        1 for grey images, 3 for colours.
    rng : torch.Generator, optional
        For the weights, normal with variance 2 / fan-in; biases 0. By default one with the seed 0.

    Returns
    -------
    RegionNet
        Of stride 8; its stages are ``stage1`` to ``stage4``, a convolution each.
    """
    C, (C1, C2, C3, C4) = in_channels, widths
    with torch.device("meta"):
        stages = {
            "stage1": stage(conv1=nn.Conv2d(C, C1, 5, stride=2, padding=2), relu1=nn.ReLU()),
            "stage2": stage(conv2=nn.Conv2d(C1, C2, 3, stride=2, padding=1), relu2=nn.ReLU()),
            "stage3": stage(conv3=nn.Conv2d(C2, C3, 3, stride=2, padding=1), relu3=nn.ReLU()),
            "stage4": stage(
                conv4=nn.Conv2d(C3, C4, 3, padding=1),
                relu4=nn.ReLU(),
                pool4=nn.MaxPool2d(3, stride=1, padding=1),
            ),
        }
    draw_weights(nn.ModuleList(stages.values()), he, rng=rng)
    return RegionNet(
        "caption body",
        stages,
        nn.Sequential(OrderedDict(flatten=nn.Flatten())),
        stride=8,
        channels=C4,
        output_size=(1, 1),
        width=C4,
        window=(64, 64),
        input_channels=in_channels,
    )


def captioner(vocabulary_size, *, body=None, attention=True, word_features=32, hidden=64, rng=None):
    """Build a network that writes a sentence about an image, word by word.

    Parameters
    ----------
    vocabulary_size : int
        V.
    body : RegionNet, optional
        From images to maps, such as :func:`caption_body`, trained before or not. It is copied: what
        happens to the captioner does not happen to it. By default a fresh :func:`caption_body`.
    attention : bool
        Whether each word has its own weighted mean over the places of the maps; otherwise all have
        the plain mean.
    word_features : int
        E, numbers of a word.
    hidden : int
        H, units of the recurrent layer; the attention's hidden layer has half as many.
    rng : torch.Generator, optional
        For the weights; by default one with the seed 0.

    Returns
    -------
    Captioner

    Raises
    ------
    TypeError
        If `body` is no body.
    ValueError
        If a number is less than 1.
    """
    numbers = {
        "vocabulary_size": vocabulary_size,
        "word_features": word_features,
        "hidden": hidden,
    }
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"captioner: `{name}` is {value}, expected 1 or more")
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    body = caption_body(rng=rng) if body is None else body
    if not isinstance(body, RegionNet):
        raise TypeError(
            f"captioner: `body` is a {type(body).__name__}, expected a RegionNet, as from "
            f"caption_body()"
        )
    return Captioner(body, vocabulary_size, attention, word_features, hidden, rng)


class Captioner(nn.Module):
    """An image captioner; made by :func:`captioner`.

    `features` make maps ``(N, C, h, w)`` of an image. Each of their L = h w places becomes a vector
    of C + 2 numbers: its features, by `norm` of one scale, and where it is, x and y from -1 to 1.
    The `gru` reads a word, and what was seen last; by its new state `attention` weighs the places;
    the `output` layer scores the next word by the state and by the weighted mean. The state begins
    as what the layer `start` makes of the plain mean.

    References
    ----------
    K. Xu et al. (2015), "Show, Attend and Tell: Neural Image Caption Generation with Visual
    Attention", section 3.1, with an LSTM, where the state before the word says where to look. O.
    Vinyals et al. (2015), "Show and Tell: A Neural Image Caption Generator", which sees the image
    once.
    """

    def __init__(self, body, vocabulary_size, attention, word_features, hidden, rng):
        super().__init__()
        P = body.channels + 2
        xavier = {"initializer": xavier_normal, "rng": rng}
        self.input_shape = (body.input_channels, *body.window)
        self.features = deepcopy(body.features)
        self.norm = nn.BatchNorm2d(body.channels, device=rng.device)
        self.embedding = Embedding(vocabulary_size, word_features, rng=rng)
        self.attention = Attention(hidden, P, hidden // 2 or 1, rng=rng) if attention else None
        self.start = Linear(P, hidden, **xavier)
        self.gru = GRU(word_features + P, hidden, rng=rng)
        self.output = Linear(hidden + P, vocabulary_size, **xavier)
        self.frozen = False

    def freeze(self, frozen=True):
        """Let the features learn no more, or again; return self.

        They get no gradient, and stay in evaluation mode while the rest trains.
        """
        self.frozen = frozen
        self.features.requires_grad_(not frozen)
        return self.train(self.training)

    def train(self, mode=True):
        """Set the mode, except that frozen features stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.features.eval()
        return self

    def maps(self, images):
        """Return the features ``(N, C, h, w)`` of images.

        Raises
        ------
        TypeError, ValueError
            If `images` do not hold images of as many channels as the features take.
        """
        check_images("captioner", images, self.input_shape)
        return self.features(images)

    def forward(self, images, tokens):
        """Return scores of the next word ``(N, T - 1, V)``, where each word before is the true one.

        That is teacher forcing: after the t-th of the `tokens` the network is asked for the next,
        and then told it, whatever it answered.

        Parameters
        ----------
        images : tensor, shape (N, C, H, W)
        tokens : tensor of int, shape (N, T)
            Sentences from start to end, padded.
        """
        return self.read(self.maps(images), tokens).logits

    def read(self, maps, tokens):
        """As :meth:`forward`, from the maps of images; and where each word looked.

        Returns
        -------
        Reading
            Without attention, every word looks everywhere alike.

        Raises
        ------
        TypeError, ValueError
            If the shapes disagree, or a token is no word.
        """
        check_shapes("captioner", maps=(maps, "N C h w"), tokens=(tokens, "N T"))
        check_tokens("captioner", tokens, self.embedding.weight)
        N, _, h, w = maps.shape
        steps = max(tokens.shape[1] - 1, 0)
        words = self.embedding(tokens[:, :steps])
        view = self.begin(maps)
        seen, looks = [], []
        for t in range(steps):
            view, weights = self.listen(words[:, t], view)
            seen.append(torch.cat(view[:2], 1))
            looks.append(weights)
        V = len(self.embedding.weight)
        if not steps:
            return Reading(maps.new_zeros(N, 0, V), maps.new_zeros(N, 0, h, w))
        logits = self.output(torch.cat(seen)).reshape(steps, N, V).transpose(0, 1)
        return Reading(logits, torch.stack(looks, 1).reshape(N, steps, h, w))

    def begin(self, maps):
        """Return the first :class:`View` of maps ``(N, C, h, w)``."""
        N, _, h, w = maps.shape
        x = torch.linspace(-1, 1, w).to(maps).expand(N, 1, h, w)
        y = torch.linspace(-1, 1, h).to(maps)[:, None].expand(N, 1, h, w)
        places = torch.cat([self.norm(maps), x, y], 1).flatten(2).transpose(1, 2).contiguous()
        mean = places.mean(1)
        ready = places if self.attention is None else self.attention.ready(places)
        return View(torch.tanh(self.start(mean)), mean, places, ready)

    def listen(self, word, view):
        """Take in a word ``(N, E)``; return the new :class:`View`, and where it looked."""
        state = self.gru.step(torch.cat([word, view.context], 1), view.state)
        if self.attention is None:
            L = view.places.shape[1]
            return view._replace(state=state), view.places.new_full((len(state), L), 1 / L)
        context, weights = self.attention.look(state, view.ready, view.places)
        return view._replace(state=state, context=context), weights

    @torch.no_grad()
    def see(self, images):
        """Return what :meth:`step` is to know at first, a row for each image, in evaluation mode.

        Parameters
        ----------
        images : tensor, shape (N, C, H, W)
        """
        training = self.training
        try:
            return self.begin(self.eval().maps(images))
        finally:
            self.train(training)

    @torch.no_grad()
    def step(self, tokens, view):
        """Take one step of a search for the best sentence, without gradients.

        Parameters
        ----------
        tokens : array or tensor of int, shape (B,)
            The last word of each sentence.
        view : View
            From :meth:`see`, or from the step before.

        Returns
        -------
        log_probs : tensor, shape (B, V)
            On the CPU.
        view : View
        """
        tokens = torch.as_tensor(tokens, device=view.state.device)
        view, _ = self.listen(self.embedding.weight[tokens], view)
        logits = self.output(torch.cat(view[:2], 1))
        return logits.log_softmax(1).cpu(), view
