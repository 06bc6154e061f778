"""The figure of beam search: the tree of kept and cut beginnings, for each width of the beam."""

from collections.abc import Mapping
from html import escape
from numbers import Integral

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.tables import table

__all__ = ["beam_search"]

WHERE = "beam_search"
PARTS = ("figure", "table", "beam-search")
MOST_WIDTHS, MOST_STEPS, MOST_BRANCHES = 6, 16, 10
FIELDS = ("parent", "tokens", "log_probability", "finished", "score", "kept")
DIGITS = 4  # of log-probabilities, that the page keeps
TOLERANCE = 1e-9


def beam_search(searches, words, *, width=1):
    """Widen the beam of a search for the most probable sentence, and see what was cut.

    Word by word the tree grows: each node is a beginning of a sentence with its log-probability,
    kept or cut. A node can be chosen, which shows the terms of its sum, and its rank. What a width
    finds stands in a table once that width was tried.

    One can find out

    - at which word greedy search, a beam of width 1, cuts the beginning of a sentence that is more
      probable in the end, and by how much;
    - from which width on nothing better is found; and that a wider beam need not find the best,
      nor anything better than a narrow one did;
    - that each word makes a sentence less probable, so that the short ones have an advantage.

    Parameters
    ----------
    searches : dict of int to search
        For each width of the beam, one to six of them, what a search kept and cut: an object with
        `history`, as :func:`course_lib.captioning.beam_search` returns, or the history itself. It
        has for each step a list of at most ten candidates, best first, those kept first of all:
        dicts, or objects, with

        - ``parent``: the place of what it continues among those kept at the step before;
        - ``tokens``: the numbers of its words, without the start;
        - ``log_probability``: of all of them; the page keeps four decimals;
        - ``finished``: whether the sentence is at its end; it is then its own continuation;
        - ``score``: by what it is ranked, the log-probability where that is missing;
        - ``kept``.
    words : sequence of str
        The words, by their numbers.
    width : int
        The width that is shown at first.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError
        If `searches` is no dict.
    ValueError
        If there are none or too many, a width is no positive int, a candidate does not continue
        its parent, is more probable than it, stands before one of those kept, or has no such word.

    References
    ----------
    Sutskever et al. (2014), "Sequence to Sequence Learning with Neural Networks", section 3.2.
    """
    if not isinstance(searches, Mapping):
        raise TypeError(
            f"{WHERE}: `searches` is a {type(searches).__name__}, expected a dict of widths and "
            f"searches: {{1: search, 2: search}}"
        )
    if not 1 <= len(searches) <= MOST_WIDTHS:
        raise ValueError(f"{WHERE}: `searches` has {len(searches)}, expected 1 to {MOST_WIDTHS}")
    words = [str(word) for word in words]
    found = {}
    for each, search in searches.items():
        if not (isinstance(each, Integral) and each >= 1):
            raise ValueError(f"{WHERE}: `searches` has the width {each!r}, expected 1, 2, ...")
        found[int(each)] = _history(each, getattr(search, "history", search), words)
    found = dict(sorted(found.items()))
    if width not in found:
        raise ValueError(
            f"{WHERE}: `width` is {width!r}, expected one of {list(found)}, as in `searches`"
        )
    ranked = any(
        abs(branch["score"] - branch["log_probability"]) > TOLERANCE
        for steps in found.values()
        for step in steps
        for branch in step
    )
    results, trees = _fallback(found, words, ranked)
    return Figure(
        tag="course-beam-search",
        parts=PARTS,
        data={
            "words": words,
            "widths": list(found),
            "searches": [
                [[_plain(branch, ranked) for branch in step] for step in steps]
                for steps in found.values()
            ],
            "ranked": ranked,
            "width": list(found).index(width),
        },
        fallback="<p>What a beam search keeps and cuts, by its width.</p>\n"
        '<div class="course-static">\n' + "\n".join([results[0], *trees]) + "\n</div>",
        text="\n".join(["What a beam search finds, by its width:", *results[1]]),
    )


def _history(width, history, words):
    """Return the steps of one search as lists of dicts, or raise what is wrong with them."""
    where = f"the search of width {width}"
    steps, before = [], [{"tokens": (), "log_probability": 0.0, "finished": False}]
    for number, given in enumerate(history, 1):
        step = [_branch(f"{where}, step {number}", branch) for branch in given]
        if not 1 <= len(step) <= MOST_BRANCHES:
            raise ValueError(
                f"{WHERE}: {where} has {len(step)} candidates at step {number}, expected 1 to "
                f"{MOST_BRANCHES}"
            )
        kept = [branch["kept"] for branch in step]
        if not 1 <= sum(kept) <= width or kept != sorted(kept, reverse=True):
            raise ValueError(
                f"{WHERE}: {where} keeps {kept} at step {number}, expected those kept first, 1 to "
                f"{width} of them"
            )
        for branch in step:
            _check(f"{where}, step {number}", branch, before, words)
        steps.append(step)
        before = [branch for branch in step if branch["kept"]]
    if not 1 <= len(steps) <= MOST_STEPS:
        raise ValueError(f"{WHERE}: {where} has {len(steps)} steps, expected 1 to {MOST_STEPS}")
    return steps


def _branch(where, given):
    """Return a candidate as a dict."""
    read = given.get if isinstance(given, Mapping) else lambda name: getattr(given, name, None)
    branch = {name: read(name) for name in FIELDS}
    if branch["score"] is None:
        branch["score"] = branch["log_probability"]
    missing = [name for name, value in branch.items() if value is None]
    if missing:
        raise ValueError(f"{WHERE}: a candidate of {where} has no {missing[0]!r}")
    return {
        "parent": int(branch["parent"]),
        "tokens": tuple(int(token) for token in branch["tokens"]),
        "log_probability": round(float(branch["log_probability"]), DIGITS),
        "finished": bool(branch["finished"]),
        "score": round(float(branch["score"]), DIGITS),
        "kept": bool(branch["kept"]),
    }


def _check(where, branch, before, words):
    """Raise unless a candidate continues its parent."""
    tokens, parent = branch["tokens"], branch["parent"]
    if not 0 <= parent < len(before):
        raise ValueError(
            f"{WHERE}: a candidate of {where} has the parent {parent}, expected 0 to "
            f"{len(before) - 1}, a place among those kept before"
        )
    old = before[parent]
    carried = old["finished"] and tokens == old["tokens"]
    if not carried and (old["finished"] or tokens[:-1] != old["tokens"] or not tokens):
        raise ValueError(
            f"{WHERE}: a candidate of {where} has the tokens {list(tokens)}, which do not continue "
            f"{list(old['tokens'])} of its parent{', which is finished' * old['finished']}"
        )
    if not all(0 <= token < len(words) for token in tokens):
        raise ValueError(
            f"{WHERE}: a candidate of {where} has the tokens {list(tokens)}, expected 0 to "
            f"{len(words) - 1}, one of `words` each"
        )
    value = branch["log_probability"]
    if not (np.isfinite(value) and value <= old["log_probability"] + 1e-6):
        raise ValueError(
            f"{WHERE}: a candidate of {where} has the log-probability {value:g}, expected a finite "
            f"number, not above {old['log_probability']:g} of its parent"
        )


def _plain(branch, ranked):
    """Parent, last word, log-probability, kept, finished, and where it differs the score."""
    row = [branch["parent"], branch["tokens"][-1], branch["log_probability"]]
    row += [int(branch["kept"]), int(branch["finished"])]
    return [*row, branch["score"]] if ranked else row


def _fallback(found, words, ranked):
    """What each width finds, as a table and as lines; the trees of the narrowest and the best."""
    headers = ["width", "sentence", "log-probability", *(["score"] if ranked else [])]
    rows = []
    for width, steps in found.items():
        best = steps[-1][0]
        row = [str(width), _sentence(best, words), _two(best["log_probability"])]
        rows.append([*row, *([_two(best["score"])] if ranked else [])])
    escaped = [[escape(cell) for cell in row] for row in rows]
    results = table("What each width finds", headers, escaped)
    lines = [" | ".join(headers), *(" | ".join(row) for row in rows)]
    narrow = next(iter(found))
    best = max(found, key=lambda width: (found[width][-1][0]["score"], -width))
    trees = [_tree(width, found[width], words) for width in sorted({narrow, best})]
    return (results, lines), trees


def _tree(width, steps, words):
    """A table of what one width kept and cut, word by word."""
    rows = []
    for number, step in enumerate(steps, 1):
        sides = ["", ""]
        for branch in step:
            text = f"{_sentence(branch, words)} {_two(branch['log_probability'])}"
            side = 0 if branch["kept"] else 1
            sides[side] += f"{'<br/>' if sides[side] else ''}{escape(text)}"
        rows.append((str(number), *sides))
    name = f"Width {width}: what was kept and cut, with log-probabilities"
    return table(name, ["step", "kept", "cut"], rows)


def _sentence(branch, words):
    return " ".join(words[token] for token in branch["tokens"])


def _two(value):
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
