"""Words as numbers, and sentences as rows of them."""

import numpy as np

PAD, START, END = 0, 1, 2
SPECIAL = ("<pad>", "<start>", "<end>")


class Vocabulary:
    """The words of some sentences, each with a number.

    Words are what stands between spaces. Three numbers are no words: 0 fills the rest of a row, 1
    begins a sentence, 2 ends it.

    Parameters
    ----------
    sentences : iterable of str, or of lists of str
        All that are to be known; the order does not matter.

    Raises
    ------
    TypeError
        If there is something else among them.
    ValueError
        If a sentence contains ``<pad>``, ``<start>`` or ``<end>``.

    Attributes
    ----------
    words : tuple of str
        ``<pad>``, ``<start>``, ``<end>``, and then the words in alphabetical order.
    pad, start, end : int
        The numbers of the first three.

    Examples
    --------
    >>> vocabulary = Vocabulary(["a three left of a seven"])
    >>> vocabulary.words
    ('<pad>', '<start>', '<end>', 'a', 'left', 'of', 'seven', 'three')
    >>> vocabulary.encode("a seven")
    array([1, 3, 6, 2])
    """

    pad, start, end = PAD, START, END

    def __init__(self, sentences):
        words = {word for sentence in flat(sentences) for word in split(sentence)}
        self.words = (*SPECIAL, *sorted(words))
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def __repr__(self):
        return f"Vocabulary of {len(self) - len(SPECIAL)} words"

    def encode(self, sentence):
        """Return the numbers of a sentence, with those of its start and its end: ``(T,)`` int64.

        Raises
        ------
        ValueError
            If a word is unknown.
        """
        words = split(sentence)
        for word in words:
            if word not in self._numbers:
                raise ValueError(
                    f"Vocabulary: {word!r} in {sentence!r} is none of the {len(self) - 3} words; "
                    f"make the vocabulary of all sentences, or leave this one out"
                )
        return np.array([START, *(self._numbers[word] for word in words), END])

    def decode(self, tokens):
        """Return the sentence of a row of numbers: up to its end, without start and padding.

        Raises
        ------
        ValueError
            If a number is that of no word.
        """
        words = []
        for token in map(int, tokens):
            if not 0 <= token < len(self):
                raise ValueError(
                    f"Vocabulary: {token} is the number of no word, expected 0 to {len(self) - 1}"
                )
            if token == END:
                break
            if token >= len(SPECIAL):
                words.append(self.words[token])
        return " ".join(words)

    def batch(self, sentences):
        """Return sentences as rows, ``(N, T)`` int64, those shorter than the longest padded.

        Raises
        ------
        ValueError
            As :meth:`encode`.
        """
        rows = [self.encode(sentence) for sentence in sentences]
        tokens = np.full((len(rows), max(map(len, rows), default=2)), PAD)
        for row, numbers in zip(tokens, rows, strict=True):
            row[: len(numbers)] = numbers
        return tokens


def flat(sentences):
    """Yield sentences, also those that stand in lists."""
    if isinstance(sentences, str):
        raise TypeError(f"Vocabulary: `sentences` is {sentences!r}, expected a list of sentences")
    for entry in sentences:
        if isinstance(entry, str):
            yield entry
        else:
            yield from entry


def split(sentence):
    """Return the words of a sentence."""
    if not isinstance(sentence, str):
        raise TypeError(f"Vocabulary: {sentence!r} is no sentence, expected a string")
    words = sentence.split()
    if set(words) & set(SPECIAL):
        raise ValueError(
            f"Vocabulary: {sentence!r} contains one of {', '.join(SPECIAL)}, which are no words"
        )
    return words
