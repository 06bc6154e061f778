import numpy as np
import pytest

from course_lib.captioning import Vocabulary

SENTENCES = ["a three left of a seven", "an eight above a three"]


def test_words():
    vocabulary = Vocabulary(SENTENCES)
    assert vocabulary.words == (
        *("<pad>", "<start>", "<end>"),
        *("a", "above", "an", "eight", "left", "of", "seven", "three"),
    )
    assert len(vocabulary) == 11
    assert repr(vocabulary) == "Vocabulary of 8 words"
    assert [vocabulary.words[n] for n in (vocabulary.pad, vocabulary.start, vocabulary.end)] == [
        *("<pad>", "<start>", "<end>")
    ]


def test_the_order_of_sentences_does_not_matter_nor_lists_of_them():
    words = Vocabulary(SENTENCES).words
    assert Vocabulary(reversed(SENTENCES)).words == words
    assert Vocabulary([SENTENCES, ["a"]]).words == words
    assert Vocabulary([]).words == words[:3]


def test_encoding_by_hand():
    tokens = Vocabulary(["b a"]).encode("a b  a")
    assert tokens.tolist() == [1, 3, 4, 3, 2]
    assert tokens.dtype == np.int64


def test_a_round_trip():
    vocabulary = Vocabulary(SENTENCES)
    for sentence in (*SENTENCES, "", "a"):
        assert vocabulary.decode(vocabulary.encode(sentence)) == sentence


def test_decoding_stops_at_the_end_and_skips_what_is_no_word():
    vocabulary = Vocabulary(["a b"])
    assert vocabulary.decode([1, 3, 0, 4, 2, 3, 3]) == "a b"
    assert vocabulary.decode([]) == vocabulary.decode([1, 2]) == ""
    assert vocabulary.decode(np.array([4, 4])) == "b b"


def test_a_batch_is_padded():
    vocabulary = Vocabulary(["a b"])
    tokens = vocabulary.batch(["b", "", "a b a"])
    assert tokens.tolist() == [[1, 4, 2, 0, 0], [1, 2, 0, 0, 0], [1, 3, 4, 3, 2]]
    assert tokens.dtype == np.int64
    assert vocabulary.batch([]).shape == (0, 2)


def test_says_what_is_wrong():
    vocabulary = Vocabulary(SENTENCES)
    with pytest.raises(ValueError, match="'nine' in 'a nine' is none of the 8 words; make the"):
        vocabulary.encode("a nine")
    with pytest.raises(ValueError, match="'nine' in 'a nine' is none"):
        vocabulary.batch(["a", "a nine"])
    with pytest.raises(ValueError, match="Vocabulary: 11 is the number of no word, expected 0 to"):
        vocabulary.decode([3, 11])
    with pytest.raises(ValueError, match="Vocabulary: -1 is the number of no word"):
        vocabulary.decode([-1])
    with pytest.raises(ValueError, match="'a <end>' contains one of <pad>, <start>, <end>, which"):
        Vocabulary(["a <end>"])
    with pytest.raises(TypeError, match="`sentences` is 'a b', expected a list of sentences"):
        Vocabulary("a b")
    with pytest.raises(TypeError, match="3 is no sentence, expected a string"):
        Vocabulary([[3]])
    with pytest.raises(TypeError, match="None is no sentence"):
        vocabulary.encode(None)
