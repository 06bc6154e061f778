"""BLEU by hand, and beside sacrebleu without its tokenizer."""

import pytest

from course_lib.captioning import modified_precision


def test_the_example_of_the_paper():
    cats = [["the cat is on the mat", "there is a cat on the mat"]]
    assert modified_precision(["the the the the the the the"], cats, 1) == (2, 7)


def test_no_words_in_a_row():
    with pytest.raises(ValueError, match="modified_precision: `n` is 0, expected 1 or more"):
        modified_precision(["a"], [["a"]], 0)
