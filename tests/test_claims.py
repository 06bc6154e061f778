"""Claims: a number outside its bound stops the build, and one inside is readable everywhere."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from course_lib import claims
from course_lib.claims import ClaimError, claim

PUBLISHED = {"published": 99.2, "source": "LeCun et al. (1998), fig. 9"}


def accuracy(**changes):
    return claim("accuracy", 97.25, **{"at_least": 97, "unit": "%", **PUBLISHED, **changes})


@pytest.mark.parametrize(
    "measured, bounds",
    [
        (0.97, {"at_least": 0.97}),  # bounds are inclusive
        (0.97, {"at_most": 0.97}),
        (5, {"at_least": 5, "at_most": 5}),
        (61_706, {"equals": 61_706}),
        (-101, {"equals": -100, "rtol": 0.01}),  # the tolerance is of the size, not of the sign
        (np.float32(0.5), {"equals": 0.5}),
        (np.array(3), {"equals": 3}),
    ],
)
def test_holds(measured, bounds):
    made = claim("it", measured, **bounds)
    assert made.measured == measured
    assert type(made.measured) in (int, float)  # what JSON can say


@pytest.mark.parametrize(
    "measured, bounds, message",
    [
        (0.96999, {"at_least": 0.97}, r'claim "it": measured 0\.96999, expected >= 0\.97; mend'),
        (3, {"at_most": 2.5}, r"measured 3, expected <= 2\.5"),
        (3, {"at_least": 1, "at_most": 2}, r"measured 3, expected <= 2"),
        (61_707, {"equals": 61_706}, r"measured 61707, expected 61706; mend"),
        (102, {"equals": 100, "rtol": 0.01}, r"measured 102, expected 100 within a relative 0\.01"),
        (float("nan"), {"at_least": 0}, r"measured nan, expected a finite number"),
        (float("inf"), {"at_least": 0}, r"measured inf, expected a finite number"),
        (np.float32("nan"), {"equals": 1}, r"measured nan, expected a finite number"),
    ],
)
def test_outside_stops_the_build(measured, bounds, message):
    with pytest.raises(ClaimError, match=message):
        claim("it", measured, **bounds)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, r'claim "it": nothing to check; state what the text says with at_least='),
        ({"published": 4, "source": "P"}, r"nothing to check"),
        ({"at_least": float("nan")}, r"bounds must be finite, got \[nan\]"),
        ({"equals": 4, "at_most": 4}, r"got `equals` together with a bound"),
        ({"at_least": 5, "at_most": 4}, r"at_least=5 is above at_most=4; no number fits"),
        ({"at_least": 1, "rtol": 0.1}, r"`rtol` loosens `equals`, which was not given"),
        ({"equals": 4, "rtol": -0.1}, r"`rtol` must be finite and >= 0, got -0\.1"),
        ({"equals": 4, "published": 4}, r"`published` was given without `source`"),
        ({"equals": 4, "published": 4, "source": ""}, r"`published` was given without `source`"),
        ({"equals": 4, "source": "P"}, r"`source` was given without `published`"),
    ],
)
def test_says_what_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        claim("it", 4, **options)
    assert not isinstance(caught.value, ClaimError)


@pytest.mark.parametrize(
    "measured, message",
    [
        (np.ones((2, 3)), r'claim "it": `measured` is a ndarray of shape \(2, 3\), expected one'),
        ([1.0], r"`measured` is a list, expected one number"),
        (True, r"`measured` is a bool, expected one number"),
        (np.bool_(True), r"`measured` is a bool, expected one number"),
        ("97 %", r"`measured` is a str, expected one number"),
        (None, r"`measured` is a NoneType, expected one number"),
    ],
)
def test_measures_one_number(measured, message):
    with pytest.raises(TypeError, match=message):
        claim("it", measured, at_least=0)


def test_text():
    assert repr(accuracy()) == (
        "accuracy: 97.25\xa0% measured here (at least 97\xa0%); "
        "published: 99.2\xa0% (LeCun et al. (1998), fig. 9)"
    )


@pytest.mark.parametrize(
    "made, seen",
    [
        (claim("n", 61706, equals=61706), "61,706"),
        (claim("n", -2.5, at_most=0), "\N{MINUS SIGN}2.5 measured"),
        (claim("n", 1 / 3, at_most=1, format=".2f"), "0.33 measured here (at most 1.00)"),
        (claim("n", 1.0, equals=1.001, rtol=0.01), "(equal to 1.001 within 1 %)"),
        (claim("n", 1, at_least=0, at_most=2), "(at least 0 and at most 2)"),
        (claim("n", 1, at_least=0, published="about 1", source="P"), "published: about 1 (P)"),
    ],
)
def test_numbers_are_shown_as_people_write_them(made, seen):
    assert seen in repr(made)


def test_html_and_markdown_escape_what_they_quote():
    made = claim("a<b", 1, at_least=0, published="<1 | *", source="K & S, <i>")
    assert "a&lt;b" in made._repr_html_()
    assert "K &amp; S, &lt;i&gt;" in made._repr_html_()
    assert r"published: \<1 \| \*" in made._repr_markdown_()
    assert r"| \<1 \| \* |" in claims.table(made)._repr_markdown_()


def test_json_says_all_that_a_page_of_claims_needs():
    data = json.loads(json.dumps(accuracy(seconds=1.5).to_json()))
    assert data.pop("python").startswith("3.")
    assert data.pop("numpy") == np.__version__
    assert re.fullmatch(r"\w+ \w+, \d+ cores", data.pop("machine"))
    assert data == {
        "quantity": "accuracy",
        **PUBLISHED,
        "measured": 97.25,
        "unit": "%",
        "bounds": {"at_least": 97, "at_most": None, "equals": None, "rtol": 0},
        "seconds": 1.5,
    }


def test_a_notebook_gets_every_form():
    made = accuracy()
    for shown, data in [(made, made.to_json()), (claims.table(made), [made.to_json()])]:
        bundle, _ = DisplayFormatter().format(shown)
        assert set(bundle) == {"text/plain", "text/html", "text/markdown", claims.MIME}
        assert bundle[claims.MIME] == data


class Cells(HTMLParser):
    """The cells of a table: (tag, scope, text)."""

    def __init__(self, html):
        super().__init__()
        self.found, self.caption = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tag = tag
        if tag in ("th", "td"):
            self.found.append([tag, dict(attributes).get("scope"), ""])

    def handle_data(self, text):
        if self.tag == "caption":
            self.caption += text.strip()
        elif self.tag in ("th", "td"):
            self.found[-1][2] += text.strip()


def test_table_is_accessible():
    table = Cells(claims.table(accuracy(), claim("n", 4, equals=4), caption="Digits")._repr_html_())
    assert table.caption == "Digits"
    columns, rows = table.found[:5], [table.found[5:10], table.found[10:]]
    assert [cell[:2] for cell in columns] == [["th", "col"]] * 5
    assert all([cell[:2] for cell in row] == [["th", "row"], *[["td", None]] * 4] for row in rows)
    assert [cell[2] for cell in rows[0]] == [
        "accuracy",
        "97.25\xa0%",
        "at least 97\xa0%",
        "99.2\xa0%",
        "LeCun et al. (1998), fig. 9",
    ]
    assert [cell[2] for cell in rows[1]] == ["n", "4", "equal to 4", "", ""]


def test_a_table_of_what_nobody_published_has_three_columns():
    table = claims.table(claim("n", 4, equals=4), claim("m", 5, at_least=0))
    assert [cell[2] for cell in Cells(table._repr_html_()).found] == [
        *("quantity", "measured here", "checked"),
        *("n", "4", "equal to 4"),
        *("m", "5", "at least 0"),
    ]
    assert {line.count("|") for line in table._repr_markdown_().split("\n")[2:]} == {4}


def test_table_markdown_has_as_many_cells_in_each_row():
    lines = claims.table(accuracy(), claim("n", 4, equals=4))._repr_markdown_().split("\n")[2:]
    assert {line.count("|") for line in lines} == {6}


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((), ValueError, r"claims\.table: got no claim, expected at least one"),
        ((3,), TypeError, r"claims\.table: argument 0 is a int, expected a Claim; make it with"),
    ],
)
def test_table_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        claims.table(*arguments)
