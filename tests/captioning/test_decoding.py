"""Greedy and beam search over tables of probabilities: by hand, and beside all sentences."""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from course_lib.captioning import Hypothesis, beam_search, beam_searches, greedy

START, END = 0, 1
SMALL = {"start": START, "end": END}


def table_step(table):
    """A language in which the next word depends on the last: row by row, its probabilities."""
    with np.errstate(divide="ignore"):
        logs = np.log(table)
    return lambda tokens, state: (logs[tokens], state)


def random_table(rng, V):
    table = rng.dirichlet(np.full(V, 0.7), V)
    table[:, START] = 0
    return table / table.sum(1, keepdims=True)


class Memory(NamedTuple):
    """A state with a row for each sentence, in arrays of two kinds."""

    words: np.ndarray
    more: dict


def remembering(rng, V):
    """A language in which the next word depends on all before, by way of a state."""
    mixing, out = rng.normal(size=(V, 4)), rng.normal(size=(4, V))

    def step(tokens, state):
        h = np.tanh(0.7 * state.words + mixing[tokens] + state.more["bias"][0])
        scores = 2 * h @ out
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        return logs, Memory(h, state.more)

    def begin(N):
        return Memory(np.zeros((N, 4)), {"bias": [rng.normal(size=(N, 4))], "nothing": None})

    return step, begin


def probability(step, state, tokens):
    """The log-probability of one sentence, word by word."""
    total, last = 0.0, START
    for token in tokens:
        logs, state = step(np.array([last]), state)
        total, last = total + logs[0, token], token
    return total


def all_sentences(V, max_length):
    """All that end, and all that are as long as they may and do not."""
    words = [v for v in range(V) if v != END]
    for length in range(max_length):
        yield from ((*first, END) for first in product(words, repeat=length))
    yield from product(words, repeat=max_length)


# Greedy takes 2, since .5 > .4, and then has to share; after 3 the end is certain.
TRAP = np.array([[0, 0.1, 0.5, 0.4], [0, 1, 0, 0], [0, 0.3, 0.3, 0.4], [0, 1, 0, 0]])


def test_greedy_by_hand_and_the_beam_that_finds_better():
    step = table_step(TRAP)
    first = greedy(step, None, **SMALL, max_length=5)
    assert first.tokens == (2, 3, END)
    assert np.exp(first.log_probability) == pytest.approx(0.5 * 0.4)
    assert np.exp(first.log_probabilities) == pytest.approx([0.5, 0.4, 1])
    assert first.finished
    best, second = beam_search(step, None, **SMALL, width=2, max_length=5)
    assert best.tokens == (3, END)
    assert np.exp(best.log_probability) == pytest.approx(0.4)
    assert second.tokens == (2, 3, END)


def test_the_history_by_hand():
    found = beam_search(table_step(TRAP), None, **SMALL, width=2, max_length=5)
    first, second, third = found.history
    assert [(b.parent, b.tokens, b.kept) for b in first] == [
        (0, (2,), True),
        (0, (3,), True),
        (0, (END,), False),
    ]
    assert [(b.parent, b.tokens, b.kept, b.finished) for b in second] == [
        (1, (3, END), True, True),
        (0, (2, 3), True, False),
        (0, (2, END), False, True),
        (0, (2, 2), False, False),
    ]
    assert [(b.parent, b.tokens, b.kept) for b in third] == [
        (0, (3, END), True),  # finished, and its own continuation
        (1, (2, 3, END), True),
    ]
    for branches in found.history:
        scores = [b.score for b in branches]
        assert scores == sorted(scores, reverse=True)
        assert scores == [b.log_probability for b in branches]


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("V, max_length", [(3, 4), (4, 3), (5, 1)])
def test_a_beam_that_holds_all_finds_the_best_of_all(rng, V, max_length, penalty):
    step, begin = remembering(rng, V)
    state = begin(1)
    sentences = list(all_sentences(V, max_length))
    logs = np.array([probability(step, state, s) for s in sentences])
    assert np.exp(logs).sum() == pytest.approx(1)
    scores = logs / np.array([len(s) for s in sentences]) ** penalty
    options = {"max_length": max_length, "length_penalty": penalty}
    found = beam_search(step, state, **SMALL, width=len(sentences), **options)
    order = np.argsort(-scores)
    assert [h.tokens for h in found] == [sentences[i] for i in order]
    np.testing.assert_allclose([h.log_probability for h in found], logs[order], rtol=1e-10)
    assert all(h.finished == (h.tokens[-1] == END) for h in found)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(rng, penalty):
    for _ in range(20):
        step, begin = remembering(rng, 6)
        state = begin(1)
        (best,) = beam_search(step, state, **SMALL, width=1, max_length=7, length_penalty=penalty)
        assert best == greedy(step, state, **SMALL, max_length=7)


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_a_beam_against_a_slow_one(rng, width):
    """As it is told in words, with sorted lists and nothing remembered between steps."""
    step, begin = remembering(rng, 5)
    state = begin(1)
    beam = [()]
    for _ in range(5):
        longer = [b for b in beam if b and b[-1] == END]
        longer += [(*b, v) for b in beam if not b or b[-1] != END for v in range(5)]
        beam = sorted(longer, key=lambda s: -probability(step, state, s))[:width]
    found = beam_search(step, state, **SMALL, width=width, max_length=5)
    assert [h.tokens for h in found] == beam
    for h in found:
        assert h.log_probability == pytest.approx(probability(step, state, h.tokens))
        assert sum(h.log_probabilities) == pytest.approx(h.log_probability)


@pytest.mark.parametrize("width", [1, 3])
def test_many_searches_are_each_for_itself(rng, width):
    step, begin = remembering(rng, 6)
    states = begin(5)
    options = {**SMALL, "width": width, "max_length": 6}
    together = beam_searches(step, states, 5, **options)
    for n in range(5):
        bias = {"bias": [states.more["bias"][0][n : n + 1]], "nothing": None}
        alone = beam_search(step, Memory(states.words[n : n + 1], bias), **options)
        assert [h.tokens for h in together[n]] == [h.tokens for h in alone]
        logs = [[h.log_probability for h in found] for found in (together[n], alone)]
        np.testing.assert_allclose(*logs, rtol=1e-12)
    assert beam_searches(step, states, 0, **options) == []


def test_a_wider_beam_may_not_lose_here():
    """It can in general; greedy loses to every wider beam of this table."""
    step = table_step(TRAP)
    best = [
        beam_search(step, None, **SMALL, width=w, max_length=5)[0].log_probability
        for w in (1, 2, 3, 4)
    ]
    assert best == sorted(best)


def test_equal_scores_have_an_order():
    """Children of the first parent first, and of one parent's the lower word; all powers of 1/2."""
    table = np.array([[0, 0.25, 0.5, 0.25], [0, 1, 0, 0], [0, 0.5, 0.25, 0.25], [0, 1, 0, 0]])
    step = table_step(table)
    even = table_step(np.array([[0, 0, 0.5, 0.5], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]))
    assert greedy(even, None, **SMALL, max_length=1).tokens == (2,)
    found = beam_search(step, None, **SMALL, width=4, max_length=2)
    assert [b.tokens for b in found.history[0]] == [(2,), (END,), (3,)]
    assert [h.tokens for h in found] == [(2, END), (END,), (3, END), (2, 2)]
    assert np.exp([h.log_probability for h in found]) == pytest.approx([0.25] * 3 + [0.125])
    again = beam_search(step, None, **SMALL, width=4, max_length=2)
    assert again == found
    assert again.history == found.history


def test_none_comes_to_its_end():
    """After 2 always 2 or 3: what is too long is given back as it is, not finished."""
    table = np.array([[0, 0, 0.6, 0.4], [0, 1, 0, 0], [0, 0, 0.6, 0.4], [0, 0, 0.5, 0.5]])
    found = beam_search(table_step(table), None, **SMALL, width=2, max_length=4)
    assert [len(h.tokens) for h in found] == [4, 4]
    assert not any(h.finished for h in found)
    assert len(found.history) == 4
    one = greedy(table_step(table), None, **SMALL, max_length=4)
    assert one.tokens == (2, 2, 2, 2)
    assert not one.finished


def test_what_is_impossible_is_not_kept():
    table = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    found = beam_search(table_step(table), None, **SMALL, width=5, max_length=4)
    assert [h.tokens for h in found] == [(2, END)]
    assert found[0].log_probability == 0
    assert all(np.isfinite(b.score) for branches in found.history for b in branches)


def test_a_dead_end_in_the_beam_drops_out():
    table = np.array([[0, 0, 0.6, 0.4], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]])
    found = beam_search(table_step(table), None, **SMALL, width=2, max_length=4)
    assert [h.tokens for h in found] == [(3, END)]
    with pytest.raises(ValueError, match=r"greedy: after the tokens \[2\] `step` gives every"):
        greedy(table_step(table), None, **SMALL, max_length=4)
    with pytest.raises(ValueError, match=r"beam_search: after the tokens \[2\] `step` gives every"):
        beam_search(table_step(table), None, **SMALL, width=1, max_length=4)


def test_a_length_penalty_favours_the_longer():
    """.5 at once, or three words of .8 each: .41, of which the mean logarithm is larger."""
    table = np.array([[0, 0.5, 0.5, 0], [0, 1, 0, 0], [0, 0, 0.2, 0.8], [0, 0.8, 0.2, 0]])
    table[0] = [0, 0.45, 0.55, 0]
    step = table_step(table)
    options = {**SMALL, "width": 4, "max_length": 3}
    assert beam_search(step, None, **options)[0].tokens == (END,)
    assert beam_search(step, None, **options, length_penalty=1)[0].tokens == (2, 3, END)


def test_the_start_may_be_any_word():
    step = table_step(TRAP)
    assert greedy(step, None, start=3, end=END, max_length=3).tokens == (END,)
    assert greedy(step, None, start=START, end=2, max_length=3).tokens == (2,)


def test_a_hypothesis_starts_empty():
    assert Hypothesis() == ((), 0.0, (), False)


def test_the_state_of_torch():
    import torch

    table = torch.tensor(TRAP, dtype=torch.float32).log()

    def step(tokens, state):
        assert len(state[0]) == len(tokens)
        return table[tokens], [state[0] + 1]

    found = beam_search(step, [torch.zeros(1, 2)], **SMALL, width=2, max_length=5)
    assert found[0].tokens == (3, END)


def raising(values):
    return lambda tokens, state: (np.array(values), state)


@pytest.mark.parametrize("search", [greedy, beam_search])
def test_says_what_is_wrong(search):
    name = search.__name__
    options = {**SMALL, "max_length": 3} | ({"width": 2} if search is beam_search else {})

    def run(values, **changed):
        return search(raising(values), None, **(options | changed))

    with pytest.raises(ValueError, match=f"{name}: `step` returned NaN .* in row 0; look for"):
        run([[0.0, np.nan]])
    with pytest.raises(ValueError, match=rf"{name}: `step` returned 2.5, expected logarithms of"):
        run([[2.5, 0.0]])
    with pytest.raises(ValueError, match=rf"{name}: .* shape \(2,\), expected \(1, V\), a row"):
        run([0.0, 0.0])
    with pytest.raises(ValueError, match=rf"{name}: .* shape \(2, 2\), expected \(1, V\)"):
        run([[0.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=f"{name}: `max_length` is 0, expected 1 or more"):
        run([[0.0, -1.0]], max_length=0)


def test_says_which_setting_is_wrong():
    step = table_step(TRAP)
    with pytest.raises(ValueError, match="beam_search: `width` is 0, expected 1 or more"):
        beam_search(step, None, **SMALL, width=0, max_length=3)
    with pytest.raises(ValueError, match="beam_search: `length_penalty` is -1, expected 0 or"):
        beam_search(step, None, **SMALL, width=1, max_length=3, length_penalty=-1)
