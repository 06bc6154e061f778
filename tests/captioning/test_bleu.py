"""BLEU by hand, and beside sacrebleu without its tokenizer."""

import math

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from course_lib.captioning import bleu, brevity_penalty, exact_match, modified_precision

CATS = [["the cat is on the mat", "there is a cat on the mat"]]
WORDS = ["a", "an", "one", "two", "three", "left", "right", "of", "above"]


def sentence(rng, longest=8):
    return " ".join(rng.choice(WORDS, rng.integers(1, longest + 1)))


def altered(rng, text):
    """A sentence with a word changed, left out or doubled, now and then."""
    words = text.split()
    for i in reversed(range(len(words))):
        chance = rng.random()
        if chance < 0.1 and len(words) > 1:
            del words[i]
        elif chance < 0.2:
            words[i] = str(rng.choice(WORDS))
        elif chance < 0.25:
            words.insert(i, words[i])
    return " ".join(words)


def sacrebleu(candidates, references, max_n=4):
    """Its score and precisions, from 0 to 1, and its brevity penalty."""
    most = max(map(len, references))
    columns = [[r[k] if k < len(r) else None for r in references] for k in range(most)]
    metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=max_n)
    found = metric.corpus_score(candidates, columns)
    return found.score / 100, [p / 100 for p in found.precisions[:max_n]], found.bp


def test_the_example_of_the_paper():
    """Papineni et al. (2002), section 2.1: seven words, of which a reference has two."""
    assert modified_precision(["the the the the the the the"], CATS, 1) == (2, 7)
    assert modified_precision(["the the the the the the the"], CATS, 2) == (0, 6)
    found = bleu(["the the the the the the the"], CATS, max_n=1)
    assert found.precisions == (2 / 7,)
    assert found.score == pytest.approx(2 / 7)


def test_the_largest_count_of_any_one_reference_clips():
    """Not the sum over references: each has "the" once or twice."""
    assert modified_precision(["the the the"], [["the the x", "the y z"]], 1) == (2, 3)
    assert modified_precision(["x y"], [["x", "y"]], 1) == (2, 2)
    assert modified_precision(["x y"], [["x", "y"]], 2) == (0, 1)


def test_a_score_by_hand():
    """5 of 6 words, 4 of 5 pairs, 3 of 4 triples, 2 of 3 quadruples; equally long."""
    found = bleu(["a three left of a seven"], [["a three left of a nine"]])
    assert found.precisions == pytest.approx((5 / 6, 4 / 5, 3 / 4, 2 / 3))
    assert found.brevity == 1
    assert found.score == pytest.approx((5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25)


def test_counts_are_added_before_they_are_divided():
    candidates, references = ["a", "b c d"], [["a"], ["x y z"]]
    assert modified_precision(candidates, references, 1) == (1, 4)  # no mean of 1 and 0
    assert bleu(candidates, references, max_n=1).score == 1 / 4


def test_brevity_by_hand():
    found = bleu(["a three"], [["a three left of a seven"]], max_n=2)
    assert found.precisions == (1, 1)
    assert found.score == found.brevity == pytest.approx(math.exp(1 - 6 / 2))
    assert brevity_penalty(6, 6) == brevity_penalty(9, 6) == 1
    assert brevity_penalty(0, 6) == brevity_penalty(0, 0) == 0


def test_the_nearest_length_counts_and_of_two_the_shorter():
    texts = ["a b c d", "a b"]  # as far from three words
    assert bleu(["a b c"], [texts], max_n=1).brevity == 1
    assert bleu(["a b c"], [["a b c d", "a b c d e f"]], max_n=1).brevity == math.exp(1 - 4 / 3)


@pytest.mark.parametrize("max_n", [1, 2, 4])
@pytest.mark.parametrize("several", [1, 3])
def test_matches_sacrebleu(rng, max_n, several):
    for _ in range(20):
        references = [[sentence(rng, 12) for _ in range(several)] for _ in range(15)]
        candidates = [altered(rng, r[rng.integers(len(r))]) for r in references]
        found = bleu(candidates, references, max_n)
        score, precisions, brevity = sacrebleu(candidates, references, max_n)
        np.testing.assert_allclose(found.precisions, precisions, rtol=1e-12)
        np.testing.assert_allclose(found.brevity, brevity, rtol=1e-12)
        np.testing.assert_allclose(found.score, score, rtol=1e-9)


def test_different_numbers_of_references_match_sacrebleu(rng):
    for _ in range(20):
        references = [[sentence(rng) for _ in range(rng.integers(1, 5))] for _ in range(9)]
        candidates = [altered(rng, r[-1]) for r in references]
        found = bleu(candidates, references)
        score, _, brevity = sacrebleu(candidates, references)
        assert found.score == pytest.approx(score, rel=1e-9)
        assert found.brevity == pytest.approx(brevity)


def test_nothing_in_common_and_sentences_that_are_too_short():
    assert bleu(["b"], [["a"]]).score == 0
    assert bleu(["a b"], [["a b"]]) == (0, (1, 1, 0, 0), 1)  # no three words in a row
    assert bleu(["a b c d"], [["a b c d"]]) == (1, (1, 1, 1, 1), 1)


def test_an_empty_sentence():
    assert bleu([""], [["a b"]]) == (0, (0, 0, 0, 0), 0)
    assert modified_precision([""], [["a b"]], 1) == (0, 0)
    assert bleu(["", "a b c d"], [[""], ["a b c d"]]).score == 1


def test_order_and_references_do_not_matter(rng):
    references = [[sentence(rng), sentence(rng)] for _ in range(9)]
    candidates = [altered(rng, r[0]) for r in references]
    found = bleu(candidates, references, 2)
    shuffled = [r[::-1] for r in reversed(references)]
    assert bleu(candidates[::-1], shuffled, 2) == found


def test_exact_match():
    assert exact_match(["a b", "c", ""], ["a b", "d", ""]) == pytest.approx(2 / 3)
    assert exact_match(["a b", "c"], [["x", "a  b"], ["c d"]]) == 0.5  # spaces are no words


@pytest.mark.parametrize("score", [bleu, exact_match, lambda c, r: modified_precision(c, r, 1)])
def test_says_what_is_wrong(score):
    with pytest.raises(ValueError, match="there are 2 candidates and 1 references, expected one"):
        score(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="there are 0 candidates"):
        score([], [])
    with pytest.raises(TypeError, match="`candidates` is a string, expected a list of sentences"):
        score("a", [["a"]])
    with pytest.raises(ValueError, match=r"`references\[1\]` is empty, expected at least one"):
        score(["a", "b"], [["a"], []])
    with pytest.raises(TypeError, match="3 is no sentence, expected a string"):
        score([3], [["a"]])


def test_says_which_setting_is_wrong():
    with pytest.raises(ValueError, match="bleu: `max_n` is 0, expected 1 or more"):
        bleu(["a"], [["a"]], max_n=0)
    with pytest.raises(ValueError, match="modified_precision: `n` is 0, expected 1 or more"):
        modified_precision(["a"], [["a"]], 0)
    with pytest.raises(TypeError, match=r"bleu: `references\[0\]` is the string 'a', expected a"):
        bleu(["a"], ["a"])
    with pytest.raises(ValueError, match="brevity_penalty: the lengths are -1 and 2"):
        brevity_penalty(-1, 2)
