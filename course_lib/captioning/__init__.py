"""Sentences about images: words as numbers, the search for a sentence, its score, and a captioner.

The parts that need no network are plain NumPy; PyTorch is loaded with the captioner only.
"""

from importlib import import_module

from course_lib.captioning.bleu import (
    Bleu,
    bleu,
    brevity_penalty,
    exact_match,
    modified_precision,
)
from course_lib.captioning.decoding import (
    Branch,
    Hypotheses,
    Hypothesis,
    beam_search,
    beam_searches,
    greedy,
)
from course_lib.captioning.vocabulary import Vocabulary

WITH_TORCH = {"Caption", "caption", "caption_loss", "fit_captioner"}

__all__ = [
    "Bleu",
    "Branch",
    "Caption",
    "Hypotheses",
    "Hypothesis",
    "Vocabulary",
    "beam_search",
    "beam_searches",
    "bleu",
    "brevity_penalty",
    "caption",
    "caption_loss",
    "exact_match",
    "fit_captioner",
    "greedy",
    "modified_precision",
]


def __getattr__(name):
    """Load what needs PyTorch when it is first asked for."""
    if name in WITH_TORCH:
        return getattr(import_module("course_lib.captioning.captioner"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
