"""From the probabilities of the next word to a sentence: greedily, or by beam search.

Both get a function ``step(tokens, state) -> log_probs, state``. It takes the last word of B
sentences, `tokens` ``(B,)``, and what it wants to remember of each: an array or tensor with B rows,
None, or tuples, lists and dicts of them. It returns the logarithms of the probabilities of all V
words that may come next, ``(B, V)``. A table of numbers will do, and so will a network.
"""

from typing import NamedTuple

import numpy as np


class Hypothesis(NamedTuple):
    """A sentence so far.

    tokens            : tuple of int, without the start; the last is the end, if it is `finished`
    log_probability   : of the whole sentence, the sum of
    log_probabilities : of each word, given those before
    finished          : whether it has come to its end
    """

    tokens: tuple = ()
    log_probability: float = 0.0
    log_probabilities: tuple = ()
    finished: bool = False

    def then(self, token, log_probability, finished):
        """Return the hypothesis with one more word."""
        return Hypothesis(
            (*self.tokens, int(token)),
            self.log_probability + float(log_probability),
            (*self.log_probabilities, float(log_probability)),
            bool(finished),
        )


class Branch(NamedTuple):
    """A candidate of one step of a beam search.

    parent : row of the hypothesis it continues, among those kept at the step before; one that was
             finished is its own continuation
    tokens, log_probability, finished : as of a :class:`Hypothesis`
    score  : by what candidates are ranked
    kept   : whether it was among the best `width`
    """

    parent: int
    tokens: tuple
    log_probability: float
    finished: bool
    score: float
    kept: bool


class Hypotheses(list):
    """What :func:`beam_search` returns: hypotheses, best first, and `history`.

    `history` has a list of :class:`Branch` for each step: the best candidates, up to twice the
    width, best first. Those kept come first; their number in this list is the `parent` that the
    next step speaks of.
    """

    def __init__(self, hypotheses=(), history=()):
        super().__init__(hypotheses)
        self.history = list(history)


def greedy(step, state, *, start, end, max_length):
    """Write a sentence by taking the most probable word each time.

    Of equally probable words the one with the lowest number is taken.

    Parameters
    ----------
    step : callable
        ``step(tokens, state) -> log_probs, state``, see above; here B = 1.
    state
        What `step` is to know at first, with one row.
    start, end : int
        The tokens with which a sentence begins, and ends.
    max_length : int
        The most words, the end among them.

    Returns
    -------
    Hypothesis
        Not `finished` if the end was not among the first `max_length` words.

    Raises
    ------
    ValueError
        If `step` does not give log-probabilities, or none that is possible, or `max_length` is
        less than 1.

    Examples
    --------
    >>> table = np.log([[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]])  # after 0, after 1; 2 is the end
    >>> greedy(lambda tokens, state: (table[tokens], state), None, start=0, end=2, max_length=5)
    Hypothesis(tokens=(1, 2), log_probability=-0.867..., ...)
    """
    check_search("greedy", 1, max_length)
    best, token = Hypothesis(), start
    while len(best.tokens) < max_length and not best.finished:
        log_probs, state = step(np.array([token]), state)
        (row,) = check_log_probs("greedy", log_probs, 1)
        token = int(row.argmax())
        if row[token] == -np.inf:
            raise dead_end("greedy", best)
        best = best.then(token, row[token], token == end)
    return best


def beam_search(step, state, *, start, end, width, max_length, length_penalty=0.0):
    """Write several sentences at once, and go on with the most probable few.

    At each step every hypothesis that is not finished is continued by every word; of all these, and
    of the finished ones, the best `width` are kept. A first word that looks second best can so win
    by what follows it, which greedy search, a beam of width 1, never sees. It ends when all that is
    kept is finished.

    The score of a hypothesis of n words, the end among them, is its log-probability divided by
    ``n ** length_penalty``: with 0 the most probable sentence wins, which each word makes less
    probable, and so the short one; with 1 the best mean of the words. Of equal scores the one comes
    first whose parent came first, and of one parent's the word with the lower number.

    Parameters
    ----------
    step : callable
        ``step(tokens, state) -> log_probs, state``, see above.
    state
        What `step` is to know at first, with one row.
    start, end : int
        The tokens with which a sentence begins, and ends.
    width : int
        How many hypotheses to keep.
    max_length : int
        The most words, the end among them.
    length_penalty : float
        0 or more.

    Returns
    -------
    Hypotheses
        At most `width`, best first. Those that did not come to their end in `max_length` words are
        not `finished`, and are among them.

    Raises
    ------
    ValueError
        If `step` does not give log-probabilities, or no continuation is possible, or a setting has
        no meaning.
    """
    options = {"width": width, "max_length": max_length, "length_penalty": length_penalty}
    return beam_searches(step, state, 1, start=start, end=end, **options)[0]


def beam_searches(step, states, count, *, start, end, width, max_length, length_penalty=0.0):
    """Run as many beam searches side by side, as :func:`beam_search`: one call of `step` for all.

    Parameters
    ----------
    states
        As the `state` of :func:`beam_search`, with `count` rows.
    count : int
        How many searches.
    step, start, end, width, max_length, length_penalty
        As for :func:`beam_search`.

    Returns
    -------
    list of Hypotheses
    """
    check_search("beam_search", width, max_length, length_penalty)
    searches = [Search(start, end, width, length_penalty) for _ in range(count)]
    for _ in range(max_length):
        tokens = [token for search in searches for token in search.last_tokens()]
        if not tokens:
            break
        log_probs, states = step(np.array(tokens), states)
        log_probs = check_log_probs("beam_search", log_probs, len(tokens))
        rows, first = [], 0
        for search in searches:
            after = first + search.live
            rows += [first + row for row in search.extend(log_probs[first:after])]
            first = after
        states = select(states, np.array(rows, dtype=np.int64))
    return [Hypotheses(search.beam, search.history) for search in searches]


class Search:
    """The beam of one sentence."""

    def __init__(self, start, end, width, length_penalty):
        self.start, self.end, self.width = start, end, width
        self.length_penalty = length_penalty
        self.beam, self.history = [Hypothesis()], []

    @property
    def live(self):
        """How many hypotheses are not finished."""
        return sum(not hypothesis.finished for hypothesis in self.beam)

    def last_tokens(self):
        """Return the last word of each hypothesis that is not finished."""
        return [h.tokens[-1] if h.tokens else self.start for h in self.beam if not h.finished]

    def extend(self, log_probs):
        """Take one step by ``(live, V)``; return the rows that the kept hypotheses come from."""
        if not len(log_probs):
            return []
        V = log_probs.shape[1]
        parents, tokens, totals, lengths, rows = [], [], [], [], iter(log_probs)
        for parent, hypothesis in enumerate(self.beam):
            done = hypothesis.finished
            more = np.zeros(1) if done else next(rows)
            parents.append(np.full(len(more), parent))
            tokens.append(np.full(1, -1) if done else np.arange(V))
            totals.append(hypothesis.log_probability + more)
            lengths.append(np.full(len(more), len(hypothesis.tokens) + (not done)))
        parents, tokens, totals, lengths = map(np.concatenate, (parents, tokens, totals, lengths))
        scores = totals / lengths**self.length_penalty
        best = np.argsort(-scores, kind="stable")[: 2 * self.width]
        best = best[scores[best] > -np.inf]
        if not len(best):
            raise dead_end("beam_search", self.beam[0])
        beam, branches, sources = [], [], []
        row_of = np.cumsum([not h.finished for h in self.beam]) - 1
        for rank, i in enumerate(best):
            hypothesis, token = self.beam[parents[i]], tokens[i]
            if token >= 0:
                row = row_of[parents[i]]
                hypothesis = hypothesis.then(token, log_probs[row, token], token == self.end)
            kept = rank < self.width
            branches.append(
                Branch(
                    int(parents[i]),
                    hypothesis.tokens,
                    hypothesis.log_probability,
                    hypothesis.finished,
                    float(scores[i]),
                    kept,
                )
            )
            if kept:
                beam.append(hypothesis)
                if not hypothesis.finished:
                    sources.append(row)
        self.beam = beam
        self.history.append(branches)
        return sources


def select(states, rows):
    """Return these rows of all arrays in `states`."""
    if states is None:
        return None
    if isinstance(states, dict):
        return {name: select(state, rows) for name, state in states.items()}
    if isinstance(states, tuple) and hasattr(states, "_fields"):
        return type(states)(*(select(state, rows) for state in states))
    if isinstance(states, tuple | list):
        return type(states)(select(state, rows) for state in states)
    return states[rows]


def check_search(where, width, max_length, length_penalty=0.0):
    """Raise unless these are settings that mean something."""
    for name, value in {"width": width, "max_length": max_length}.items():
        if value < 1:
            raise ValueError(f"{where}: `{name}` is {value}, expected 1 or more")
    if not length_penalty >= 0:
        raise ValueError(f"{where}: `length_penalty` is {length_penalty}, expected 0 or more")


def check_log_probs(where, log_probs, B):
    """Return the answer of a `step` as an array ``(B, V)`` of float64."""
    log_probs = np.asarray(log_probs, np.float64)
    if log_probs.ndim != 2 or len(log_probs) != B or not log_probs.shape[1]:
        raise ValueError(
            f"{where}: `step` returned log-probabilities of shape {log_probs.shape}, expected "
            f"({B}, V), a row for each token"
        )
    if np.isnan(log_probs).any():
        raise ValueError(
            f"{where}: `step` returned NaN among its log-probabilities, in row "
            f"{int(np.isnan(log_probs).any(1).argmax())}; look for weights that are not finite"
        )
    if log_probs.max() > 1e-6:
        raise ValueError(
            f"{where}: `step` returned {log_probs.max():.4g}, expected logarithms of "
            f"probabilities, 0 or less; give log_softmax of the scores"
        )
    return log_probs


def dead_end(where, hypothesis):
    """Return the error that nothing can follow."""
    return ValueError(
        f"{where}: after the tokens {list(hypothesis.tokens)} `step` gives every word the "
        f"probability 0, so that no sentence can go on"
    )
