"""Train a captioner on images and sentences, and let it write."""

from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.captioning.decoding import beam_searches
from course_lib.captioning.vocabulary import PAD
from course_lib.training import fit, predict
from course_lib.training.tensors import as_tensors, borrowed, check_rows, weight_type

__all__ = ["Caption", "caption", "caption_loss", "fit_captioner"]


class Caption(NamedTuple):
    """What a captioner wrote about an image.

    sentence        : str
    words           : tuple of T str, the last of them ``<end>`` if it came to its end
    log_probability : of the sentence
    attention       : ``(T, h, w)`` float32, where each word looked; the sum of each is 1
    """

    sentence: str
    words: tuple
    log_probability: float
    attention: np.ndarray


def caption_loss(logits, tokens):
    """Return the mean cross-entropy of the next words; what is padding is not asked for.

    Parameters
    ----------
    logits : tensor, shape (N, T - 1, V)
        From :meth:`course_lib.models.Captioner.forward`: scores of what follows each token.
    tokens : tensor of int, shape (N, T)
        From start to end, then 0. The first is not asked for, and the last is not told.

    Returns
    -------
    tensor, without axes
    """
    if logits.ndim != 3 or tuple(logits.shape[:2]) != (len(tokens), tokens.shape[1] - 1):
        raise ValueError(
            f"caption_loss: `logits` has shape {tuple(logits.shape)}, expected (N, T - 1, V) with "
            f"(N, T) = {tuple(tokens.shape)} as `tokens`"
        )
    return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD)


def fit_captioner(
    model,
    vocabulary,
    images,
    sentences,
    *,
    epochs,
    freeze=False,
    batch_size=64,
    learning_rate=0.003,
    schedule="one-cycle",
    optimizer="adam",
    seed=0,
    device=None,
    mixed_precision=False,
    checkpoint=None,
    progress=None,
):
    """Train a captioner, in place, by teacher forcing.

    Parameters
    ----------
    model : Captioner
    vocabulary : Vocabulary
        With as many words as `model`.
    images : array or tensor, shape (N, C, H, W)
    sentences : list of N str, or of N lists of str
        For each image one sentence, or several, of which one is drawn each time that the image
        comes up.
    epochs : int
        Passes over the images.
    freeze : bool
        Whether the features stay as they are; their maps are then computed once, before the
        training, which takes a fraction of the time. The model keeps this setting.
    batch_size, learning_rate, schedule, optimizer, seed, device, mixed_precision, checkpoint, \
progress
        As for :func:`course_lib.training.fit`.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If there are not as many sentences as images, an image has none, a word is unknown, or the
        vocabulary is not the model's; else as :func:`course_lib.training.fit`.
    """
    check_vocabulary("fit_captioner", model, vocabulary)
    images = as_tensors("fit_captioner", "images", images, weight_type(model))
    check_rows("fit_captioner", images, ())
    tokens, counts = as_tokens(vocabulary, images, sentences)
    model.freeze(freeze)
    seen = predict(model.features, images, device=device) if freeze else images
    marks = torch.tensor([crc32(image.cpu().contiguous().numpy()) for image in images])
    trained = Teaching(model, seen, tokens, counts)
    return fit(
        trained,
        torch.arange(len(images))[:, None],
        (marks, tokens.flatten(1), counts),
        loss=itself,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        optimizer=optimizer,
        seed=seed,
        device=device,
        mixed_precision=mixed_precision,
        checkpoint=checkpoint,
        progress=progress,
    )


def as_tokens(vocabulary, images, sentences):
    """Return tokens ``(N, R, T)`` of up to R sentences an image, and how many there are."""
    several = [[s] if isinstance(s, str) else list(s) for s in sentences]
    if len(several) != len(images):
        raise ValueError(
            f"fit_captioner: there are {len(images)} images and {len(several)} `sentences`, "
            f"expected one for each image, or a list of them"
        )
    counts = torch.tensor([len(s) for s in several])
    if (counts == 0).any():
        raise ValueError(f"fit_captioner: image {counts.argmin().item()} has no sentence")
    R = int(counts.max())
    rows = [s[r % len(s)] for s in several for r in range(R)]
    return torch.from_numpy(vocabulary.batch(rows)).reshape(len(images), R, -1), counts


class Teaching(nn.Module):
    """The loss of images by number, where the words before are the true ones."""

    def __init__(self, model, seen, tokens, counts):
        super().__init__()
        self.model = model
        self.data = seen, tokens, counts

    def forward(self, numbers):
        """Return the loss of the images with these numbers ``(N, 1)``."""
        numbers = numbers.flatten()
        device, rows = numbers.device, numbers.cpu()
        seen, tokens, counts = (part[rows] for part in self.data)
        chosen = (torch.rand(len(rows)) * counts).long()
        tokens = tokens[torch.arange(len(rows)), chosen]
        tokens = tokens[:, : int((tokens != PAD).sum(1).max())].to(device)
        seen = seen.to(device)
        maps = seen if self.model.frozen else self.model.maps(seen)
        return caption_loss(self.model.read(maps, tokens).logits, tokens)


def itself(loss, _):
    """Return the loss, which the model has computed."""
    return loss


def caption(
    model,
    vocabulary,
    images,
    *,
    width=1,
    max_length=12,
    length_penalty=0.0,
    batch_size=256,
    device=None,
):
    """Write a sentence about each image.

    Parameters
    ----------
    model : Captioner
    vocabulary : Vocabulary
    images : array or tensor, shape (N, C, H, W)
    width, max_length, length_penalty
        As for :func:`beam_search`; a width of 1 is greedy search.
    batch_size : int
        Images at a time.
    device : torch.device or str, optional
        By default where the model is.

    Returns
    -------
    list of N Caption

    Raises
    ------
    ValueError
        If the vocabulary is not the model's; else as :func:`beam_search`.
    """
    check_vocabulary("caption", model, vocabulary)
    images = as_tensors("caption", "images", images, weight_type(model))
    device = next(model.parameters()).device if device is None else torch.device(device)
    options = {"width": width, "max_length": max_length, "length_penalty": length_penalty}
    options |= {"start": vocabulary.start, "end": vocabulary.end}
    found = []
    with borrowed(model, device, training=False), torch.no_grad():
        for batch in images.split(batch_size) if len(images) else ():
            maps = model.maps(batch.to(device))
            searches = beam_searches(model.step, model.begin(maps), len(batch), **options)
            best = [hypotheses[0] for hypotheses in searches]
            for hypothesis, looks in zip(best, attention_of(model, maps, best), strict=True):
                words = tuple(vocabulary.words[token] for token in hypothesis.tokens)
                sentence = vocabulary.decode(hypothesis.tokens)
                found.append(Caption(sentence, words, hypothesis.log_probability, looks))
    return found


def attention_of(model, maps, hypotheses):
    """Return where each word of each sentence looked, arrays ``(T, h, w)``."""
    longest = max(len(h.tokens) for h in hypotheses)
    tokens = torch.full((len(hypotheses), longest + 1), PAD)
    for row, hypothesis in zip(tokens, hypotheses, strict=True):
        row[0] = 1
        row[1 : 1 + len(hypothesis.tokens)] = torch.tensor(hypothesis.tokens)
    looks = model.read(maps, tokens.to(maps.device)).attention.cpu().numpy()
    return [look[: len(h.tokens)].copy() for look, h in zip(looks, hypotheses, strict=True)]


def check_vocabulary(where, model, vocabulary):
    """Raise unless a model knows as many words as a vocabulary has."""
    V = model.embedding.weight.shape[0]
    if len(vocabulary) != V:
        raise ValueError(
            f"{where}: the model knows {V} words and the vocabulary has {len(vocabulary)}, "
            f"expected as many; build it by captioner(len(vocabulary))"
        )
