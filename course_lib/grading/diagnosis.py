"""Which known mistake a wrong answer looks like: the one that returns the same on the same inputs.

The judge keeps a sketch of every value that came from a submission into a check. A mistake is named
only if each sketch of a failed cell equals the mistake's, if the submission fails wherever the
mistake does, if they differ from the reference's in a
number that says something, and if no mistake with other words returns the same. A student who made
another mistake is told nothing, rather than something wrong.
"""

import math
import re
from dataclasses import dataclass
from html import escape

__all__ = ["Diagnosis", "diagnose"]

TOLERANCE = 2e-5  # relative to the sum of the magnitudes: above the rounding of float32
LEAST_NUMBERS = 3  # different from the reference's, before they say anything


@dataclass(frozen=True)
class Diagnosis:
    """What a wrong answer looks like; `page` and `section` are where the chapter treats it."""

    name: str
    says: str
    section: str
    page: str = ""

    def as_output(self, site=""):
        """Return it as an output of the cell: in words, with a link if the site is known."""
        where = f"\u201c{self.section}\u201d"
        number = re.match(r"(?:.*/)?0*(\d+)-", self.page)
        if number:
            where = f"chapter {number[1]}, {where}"
        text = f"This looks like a known mistake: {self.says}. See {where}."
        link = escape(where)
        if site and self.page:
            anchor = re.sub(r"[^a-z0-9]+", "-", self.section.lower()).strip("-")
            link = f'<a href="{escape(f"{site}/{self.page}.html#{anchor}")}">{link}</a>'
        html = f"<p>This looks like a known mistake: {escape(self.says)}. See {link}.</p>"
        return {
            "output_type": "display_data",
            "data": {"text/plain": text, "text/html": html},
            "metadata": {"course": "diagnosis"},
        }


def diagnose(contract, grade_id, sketches, failed):
    """Find the known mistake that a failed cell looks like.

    Parameters
    ----------
    contract : Contract
        With the sketches of the reference and of the mistakes.
    grade_id : str
        Of a graded cell that lost points.
    sketches : list
        Of the submission in that cell.
    failed : set of str
        Grade ids of all cells that the submission lost points in. A mistake that costs more cells
        is another one, though it returns the same here.

    Returns
    -------
    Diagnosis or None
    """
    reference = contract.sketches.get(grade_id, [])
    if not sketches or not says_something(sketches, reference):
        return None
    fits = [
        mistake
        for mistake in contract.mistakes
        if equal(mistake["sketches"].get(grade_id), sketches) and failed >= set(mistake["sketches"])
    ]
    if len({mistake["says"] for mistake in fits}) != 1:
        return None
    found = fits[0]
    return Diagnosis(found["name"], found["says"], found["section"], found.get("page", ""))


def equal(one, other):
    """Whether two sketches are of equal values, to rounding."""
    if one is None or type(one) is not type(other):
        return False
    if isinstance(one, list):
        if one[:1] == other[:1] == ["array"]:
            return same_array(one, other)
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def same_array(one, other):
    """Whether two sketches are of arrays of one shape with the same sums."""
    _, shape, *sums = one
    _, other_shape, *other_sums = other
    if shape != other_shape:
        return False
    numbers = [s for s in (*sums, *other_sums) if isinstance(s, float)]
    allowed = TOLERANCE * max([abs(s) for s in numbers], default=0)
    return all(
        a == b or (isinstance(a, float) and isinstance(b, float) and abs(a - b) <= allowed)
        for a, b in zip(sums, other_sums, strict=True)
    )


def says_something(sketches, reference):
    """Whether the numbers that differ from the reference's are many enough, and not all 0."""
    numbers = 0
    for place, found in enumerate(sketches):
        expected = reference[place] if place < len(reference) else None
        numbers += sum(
            math.prod(array[1])
            for array in different(found, expected)
            if isinstance(array[2], float) and array[2] != 0
        )
    return numbers >= LEAST_NUMBERS


def different(found, expected):
    """Yield the arrays of a sketch that are not those of another."""
    if equal(found, expected):
        return
    if found[0] == "array":
        yield found
        return
    parts = found[1:] if found[0] in ("list", "dict") else []
    others = expected[1:] if isinstance(expected, list) and expected[0] == found[0] else []
    for place, part in enumerate(parts):
        other = others[place] if place < len(others) else None
        if found[0] == "dict":
            part, other = part[1], other[1] if other else None
        yield from different(part, other)
