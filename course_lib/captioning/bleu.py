"""BLEU: how much of what was written stands in what people wrote."""

import math
from collections import Counter
from typing import NamedTuple


class Bleu(NamedTuple):
    """A score from 0 to 1; the precisions of 1, 2, ... words in a row; the brevity penalty."""

    score: float
    precisions: tuple
    brevity: float


def bleu(candidates, references, max_n=4):
    r"""Compare candidates with references: the BLEU of the whole corpus.

    .. math::
        \text{BLEU} = \text{BP} \cdot \exp\Bigl(\frac1N \sum_{n=1}^N \log p_n\Bigr) \qquad
        \text{BP} = \min(1, e^{1 - r/c})

    The counts are added up over all candidates before anything is divided, so that it is no mean of
    the scores of sentences. Where some :math:`p_n` is 0, the score is 0: there is no smoothing.

    Parameters
    ----------
    candidates : list of N str
        Words are what stands between spaces.
    references : list of N lists of str
        For each candidate at least one.
    max_n : int
        The most words in a row that are counted.

    Returns
    -------
    Bleu

    Raises
    ------
    TypeError
        If the references of a candidate are a string, or a sentence is none.
    ValueError
        If there are no candidates, not as many references, a candidate has none, or `max_n` is
        less than 1.

    References
    ----------
    K. Papineni, S. Roukos, T. Ward & W.-J. Zhu (2002), "BLEU: a Method for Automatic Evaluation of
    Machine Translation", section 2.

    Examples
    --------
    >>> bleu(["a three left of a seven"], [["a three left of a nine"]]).precisions
    (0.833..., 0.8, 0.75, 0.666...)
    """
    if max_n < 1:
        raise ValueError(f"bleu: `max_n` is {max_n}, expected 1 or more")
    pairs = checked("bleu", candidates, references)
    counts = [clipped_counts(pairs, n) for n in range(1, max_n + 1)]
    precisions = tuple(clipped / total if total else 0.0 for clipped, total in counts)
    c, r = map(sum, zip(*(lengths(*pair) for pair in pairs), strict=True))
    brevity = brevity_penalty(c, r)
    if not all(precisions):
        return Bleu(0.0, precisions, brevity)
    mean = math.fsum(map(math.log, precisions)) / max_n
    return Bleu(brevity * math.exp(mean), precisions, brevity)


def modified_precision(candidates, references, n):
    """Count the n words in a row of the candidates, and how many of them the references hold.

    What a candidate repeats counts only as often as one of its references has it: a counter of
    what is found is clipped.

    Parameters
    ----------
    candidates, references
        As for :func:`bleu`.
    n : int
        Words in a row.

    Returns
    -------
    clipped, total : int
        Their ratio is the precision.

    Raises
    ------
    TypeError, ValueError
        As :func:`bleu`.

    References
    ----------
    Papineni et al. (2002), section 2.1, with this example:

    Examples
    --------
    >>> cats = [["the cat is on the mat", "there is a cat on the mat"]]
    >>> modified_precision(["the the the the the the the"], cats, 1)
    (2, 7)
    """
    if n < 1:
        raise ValueError(f"modified_precision: `n` is {n}, expected 1 or more")
    return clipped_counts(checked("modified_precision", candidates, references), n)


def brevity_penalty(c, r):
    """Return the factor for candidates of c words beside references of r: ``min(1, exp(1 - r/c))``.

    Precision alone would be best for a candidate that says nothing it is not sure of. Nothing at
    all, c = 0, gets 0.

    Raises
    ------
    ValueError
        If a length is negative.

    References
    ----------
    Papineni et al. (2002), section 2.2.2.
    """
    if c < 0 or r < 0:
        raise ValueError(f"brevity_penalty: the lengths are {c} and {r}, expected 0 or more")
    if c >= r:
        return 1.0 if c else 0.0
    return math.exp(1 - r / c) if c else 0.0


def exact_match(candidates, references):
    """Return the share of candidates that are equal to a reference, word for word.

    Parameters
    ----------
    candidates : list of N str
    references : list of N str, or of N lists of str
        Of several, any one will do.

    Raises
    ------
    TypeError, ValueError
        As :func:`bleu`.
    """
    references = [[r] if isinstance(r, str) else r for r in references]
    pairs = checked("exact_match", candidates, references)
    return sum(words in known for words, known in pairs) / len(pairs)


def clipped_counts(pairs, n):
    """As :func:`modified_precision`, of sentences as lists of words."""
    clipped = total = 0
    for words, known in pairs:
        most = Counter()
        for reference in known:
            most |= n_grams(reference, n)  # of each the larger count
        found = n_grams(words, n)
        clipped += (found & most).total()  # of each the smaller count
        total += found.total()
    return clipped, total


def n_grams(words, n):
    """Count every n words in a row."""
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def lengths(words, known):
    """Return the length of a candidate, and that of its references which is nearest, or shorter."""
    c = len(words)
    return c, min((len(reference) for reference in known), key=lambda r: (abs(r - c), r))


def checked(where, candidates, references):
    """Return pairs of a candidate and its references, as lists of words."""
    if isinstance(candidates, str):
        raise TypeError(f"{where}: `candidates` is a string, expected a list of sentences")
    if len(candidates) != len(references) or not len(candidates):
        raise ValueError(
            f"{where}: there are {len(candidates)} candidates and {len(references)} references, "
            f"expected one list of references for each candidate, and at least one candidate"
        )
    pairs = []
    for n, (candidate, known) in enumerate(zip(candidates, references, strict=True)):
        if isinstance(known, str):
            raise TypeError(
                f"{where}: `references[{n}]` is the string {known!r}, expected a list of sentences"
            )
        if not len(known):
            raise ValueError(f"{where}: `references[{n}]` is empty, expected at least one sentence")
        for sentence in (candidate, *known):
            if not isinstance(sentence, str):
                raise TypeError(f"{where}: {sentence!r} is no sentence, expected a string")
        pairs.append((candidate.split(), [sentence.split() for sentence in known]))
    return pairs
