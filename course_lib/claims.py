"""One number of the book: what was published, where, and what this very build measured.

The prose of a chapter states a bound ("more than 97 of 100 digits"), a claim in the cell below
enforces it, and its output states the number. A number that leaves its bound stops the build.

>>> claim("test accuracy", 0.9744, at_least=0.97)
test accuracy: 0.9744 measured here (at least 0.97)

In a notebook a claim is a sentence, and :func:`table` lays several side by side. Beside what is
seen, the output carries ``application/vnd.course.claim+json``: an object for a claim and a list
of them for a table, so that a page can collect every number from the executed notebooks.
"""

import math
import os
import platform
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from numbers import Integral, Real

__all__ = ["Claim", "ClaimError", "Table", "claim", "table"]

MIME = "application/vnd.course.claim+json"


class ClaimError(ValueError):
    """A measured number lies outside the bounds that the text states."""


@dataclass(frozen=True, repr=False)
class Claim:
    """A number that was measured and found within its bounds; made by :func:`claim`."""

    name: str
    measured: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    equals: float | None = None
    rtol: float = 0
    published: float | str | None = None
    source: str | None = None
    format: str | None = None
    seconds: float | None = None

    def bounds(self) -> str:
        """Say the bounds in words: ``at least 0.97``."""
        if self.equals is not None:
            within = f" within {100 * self.rtol:g} %" if self.rtol else ""
            return f"equal to {self._show(self.equals)}{within}"
        named = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{word} {self._show(b)}" for word, b in named if b is not None)

    def to_json(self) -> dict:
        """Collect what a later page needs, together with the machine and the versions."""
        return {
            "quantity": self.name,
            "published": self.published,
            "source": self.source,
            "measured": self.measured,
            "unit": self.unit,
            "bounds": {
                "at_least": self.at_least,
                "at_most": self.at_most,
                "equals": self.equals,
                "rtol": self.rtol,
            },
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "seconds": self.seconds,
        }

    def __repr__(self):
        name, measured, bounds, published = self._texts()
        return f"{name}: {measured} measured here ({bounds}){published}"

    def _repr_markdown_(self):
        name, measured, bounds, published = map(_markdown, self._texts())
        return f"{name}: **{measured}** measured here ({bounds}){published}"

    def _repr_html_(self):
        name, measured, bounds, published = map(escape, self._texts())
        text = f"{name}: <strong>{measured}</strong> measured here ({bounds}){published}"
        return f'<p class="course-claim">{text}</p>'

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {MIME: self.to_json()}

    def _texts(self):
        """Name, measured, bounds, and `` ; published: ...`` where there is something published."""
        published = self._show(self.published)
        published = f"; published: {published} ({self.source})" if published else ""
        return self.name, self._show(self.measured), self.bounds(), published

    def _show(self, value):
        """A number in this claim's format and unit; no-break space, so that they stay together."""
        if value is None or isinstance(value, str):
            return value or ""
        text = f"{value:{self.format or _default_format(value)}}".replace("-", "\N{MINUS SIGN}")
        return f"{text}\N{NO-BREAK SPACE}{self.unit}" if self.unit else text


def claim(
    name,
    measured,
    *,
    at_least=None,
    at_most=None,
    equals=None,
    rtol=0,
    unit="",
    published=None,
    source=None,
    format=None,
    seconds=None,
) -> Claim:
    """Check a measured number against what the text says of it, and show both.

    Parameters
    ----------
    name : str
        The quantity, as the text calls it: ``"test accuracy of LeNet-5"``.
    measured : number
        One finite number, in `unit`.
    at_least, at_most : number, optional
        Bounds, both inclusive, in `unit`.
    equals : number, optional
        The exact value, or with `rtol` one within ``rtol * abs(equals)`` of it. Not together
        with the two bounds.
    rtol : float
        Relative tolerance of `equals`.
    unit : str
        For example ``"%"`` or ``"s"``; shown after each number.
    published : number or str, optional
        What the source states. Needs `source`.
    source : str, optional
        Where that stands, with table or section: ``"He et al. (2015), table 6"``.
    format : str, optional
        A format specification for the numbers shown, such as ``".2f"``.
    seconds : float, optional
        How long the measurement took; kept in the JSON only.

    Returns
    -------
    Claim
        Readable as text, Markdown and HTML.

    Raises
    ------
    ClaimError
        If the number is outside its bounds, or is not finite.
    ValueError
        If there is nothing to check, or the bounds contradict one another.
    TypeError
        If a value is not one number.
    """
    numbers = {"at_least": at_least, "at_most": at_most, "equals": equals}
    bounds = {key: _number(name, key, value) for key, value in numbers.items() if value is not None}
    made = Claim(
        name=name,
        measured=_number(name, "measured", measured),
        unit=unit,
        **bounds,
        rtol=_number(name, "rtol", rtol),
        published=_published(name, published),
        source=source,
        format=format,
        seconds=seconds,
    )
    _check_makes_sense(made)
    _check_holds(made)
    return made


@dataclass(frozen=True, repr=False)
class Table:
    """Several claims in one table; made by :func:`table`."""

    claims: tuple[Claim, ...]
    caption: str

    HEADERS = ("quantity", "measured here", "checked", "published", "source")

    def rows(self) -> list[tuple[str, ...]]:
        """The texts of the cells: ``HEADERS``, then a row for each claim.

        Where nothing was published, the last two columns are left out.
        """
        rows = [
            (c.name, c._show(c.measured), c.bounds(), c._show(c.published), c.source or "")
            for c in self.claims
        ]
        columns = 5 if any(c.source for c in self.claims) else 3
        return [row[:columns] for row in (self.HEADERS, *rows)]

    def __repr__(self):
        return "\n".join([self.caption, *map(repr, self.claims)])

    def _repr_markdown_(self):
        headers, *rows = self.rows()
        lines = [headers, ["---"] * len(headers), *rows]
        rows = (f"| {' | '.join(map(_markdown, line))} |" for line in lines)
        return "\n".join([_markdown(self.caption), "", *rows])

    def _repr_html_(self):
        headers, *rows = self.rows()
        head = "".join(f'<th scope="col">{header}</th>' for header in headers)
        body = "\n".join(
            f'<tr><th scope="row">{escape(first)}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
            + "</tr>"
            for first, *rest in rows
        )
        return (
            f'<table class="course-claims">\n<caption>{escape(self.caption)}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {MIME: [c.to_json() for c in self.claims]}


def table(*claims, caption="What was published, and what this build measured") -> Table:
    """Lay claims out in one accessible table.

    Raises
    ------
    TypeError
        If an argument is not a claim.
    ValueError
        If there is none.
    """
    if not claims:
        raise ValueError("claims.table: got no claim, expected at least one")
    for position, made in enumerate(claims):
        if not isinstance(made, Claim):
            raise TypeError(
                f"claims.table: argument {position} is a {type(made).__name__}, expected a Claim; "
                f"make it with claim(name, measured, ...)"
            )
    return Table(claims, caption)


def _number(name, role, value):
    """`value` as a plain int or float; arrays and tensors of no axes count as numbers."""
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        raise TypeError(
            f'claim "{name}": `{role}` is a {type(value).__name__}{shape}, expected one number'
        )
    return int(value) if isinstance(value, Integral) else float(value)


def _published(name, value):
    return value if value is None or isinstance(value, str) else _number(name, "published", value)


def _check_makes_sense(made):
    where = f'claim "{made.name}"'
    bounds = [b for b in (made.at_least, made.at_most, made.equals) if b is not None]
    if not bounds:
        raise ValueError(
            f"{where}: nothing to check; state what the text says with "
            f"at_least=, at_most= or equals="
        )
    if not all(map(math.isfinite, bounds)):
        raise ValueError(f"{where}: bounds must be finite, got {bounds}")
    if made.equals is not None and len(bounds) > 1:
        raise ValueError(f"{where}: got `equals` together with a bound; one of them says less")
    if made.at_least is not None and made.at_most is not None and made.at_least > made.at_most:
        raise ValueError(
            f"{where}: at_least={made.at_least} is above at_most={made.at_most}; no number fits"
        )
    if not (0 <= made.rtol < math.inf):
        raise ValueError(f"{where}: `rtol` must be finite and >= 0, got {made.rtol}")
    if made.rtol and made.equals is None:
        raise ValueError(f"{where}: `rtol` loosens `equals`, which was not given")
    given = {"published": made.published is not None, "source": bool(made.source)}
    if len(set(given.values())) > 1:
        there, missing = sorted(given, key=given.get, reverse=True)
        raise ValueError(
            f"{where}: `{there}` was given without `{missing}`; "
            f"a published number and where it stands belong together"
        )


def _check_holds(made):
    """Raise unless the number fits; the numbers in full, or 0.96999 would read as 0.97."""
    where, value = f'claim "{made.name}"', made.measured
    if not math.isfinite(value):
        raise ClaimError(f"{where}: measured {value}, expected a finite number")
    remedy = "mend the code, or the bound together with the sentence that states it"
    if made.equals is not None and abs(value - made.equals) > made.rtol * abs(made.equals):
        within = f" within a relative {made.rtol!r}" if made.rtol else ""
        raise ClaimError(f"{where}: measured {value!r}, expected {made.equals!r}{within}; {remedy}")
    if made.at_least is not None and value < made.at_least:
        raise ClaimError(f"{where}: measured {value!r}, expected >= {made.at_least!r}; {remedy}")
    if made.at_most is not None and value > made.at_most:
        raise ClaimError(f"{where}: measured {value!r}, expected <= {made.at_most!r}; {remedy}")


def _default_format(value):
    return "," if isinstance(value, int) else ".4g"


def _markdown(text):
    """`text` with the characters escaped that Markdown or its tables would take for markup."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|$" else c for c in text)
