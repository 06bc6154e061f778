"""A beam search on the page, against the search itself and cases by hand."""

import numpy as np
import pytest

from course_lib import web
from course_lib.captioning import beam_search

WORDS = ["<start>", "<end>", "a", "b"]
START, END = 0, 1
MINUS = "\N{MINUS SIGN}"
# "a" looks best, .5 to .4; but .5 * .4 of "a <end>" is less than .4 * .9 of "b <end>".
HAND = np.array([[0, 0.1, 0.5, 0.4], [0.25] * 4, [0, 0.4, 0.35, 0.25], [0, 0.9, 0.04, 0.06]])


def after(probabilities):
    """A step by the last word alone."""
    with np.errstate(divide="ignore"):
        table = np.log(probabilities)
    return lambda tokens, state: (table[tokens], state)


def found(widths=(1, 2, 3), table=HAND, max_length=4, **options):
    options |= {"start": START, "end": END, "max_length": max_length}
    return {w: beam_search(after(table), None, width=w, **options) for w in widths}


def nodes(page):
    """Label and classes of each node, by rows."""
    rows = {}
    for one in page.locator(".node").all():
        top = one.evaluate("node => node.offsetTop")
        rows.setdefault(top, []).append(
            (one.get_attribute("aria-label"), one.get_attribute("class"))
        )
    return [rows[top] for top in sorted(rows)]


def chosen(page):
    return page.locator('.node[aria-pressed="true"]').get_attribute("aria-label")


def two(value):
    return f"{round(value, 4):.2f}".replace("-", MINUS)


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_the_tree_is_the_history(show, rng, theme, width):
    table = rng.dirichlet(np.full(9, 0.4), 9)
    words = [*WORDS, *"cdefg"]
    searches = found((1, 2, 3, 4), table, 5)
    page = show(web.beam_search(searches, words), theme=theme, width=width)
    for place, search in enumerate(searches.values()):
        page.get_by_label("beam width").fill(str(place))
        start, *rows = nodes(page)
        assert start[0][0] == "start"
        assert len(rows) == len(search.history)
        before = [()]
        for row, step in zip(rows, search.history, strict=True):
            expected = {}
            for branch in step:
                done = branch.tokens == before[branch.parent] and branch.finished
                name = " ".join(words[token] for token in branch.tokens) + ", done" * done
                state = "kept" if branch.kept else "cut"
                label = f"{name}: {two(branch.log_probability)}, {state}"
                expected[label] = (state, branch.finished)
            before = [branch.tokens for branch in step if branch.kept]
            got = {
                label: ("kept" if "kept" in states.split() else "cut", "finished" in states.split())
                for label, states in row
            }
            assert got == expected
        best = " ".join(words[token] for token in search[0].tokens)
        line = page.locator(".found tr.now")
        assert line.locator("th, td").all_inner_texts() == [
            str(place + 1),
            best,
            two(search[0].log_probability),
        ]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_lines_lead_to_parents_and_none_cross(show, rng):
    table = rng.dirichlet(np.full(9, 0.4), 9)
    page = show(web.beam_search(found((4,), table, 6), [*WORDS, *"cdefg"], width=4))
    ends = page.locator(".board path").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d').match(/[\\d.]+/g).map(Number))"
    )
    rows = {}
    for x1, y1, *_, x2, y2 in ends:
        assert y2 > y1
        rows.setdefault(y2, []).append((x2, x1))
    assert len(rows) == 6
    for row in rows.values():
        parents = [x1 for _, x1 in sorted(row)]
        assert parents == sorted(parents)


def test_greedy_search_misses_the_best(show, spoken):
    """-0.69 - 0.92 of "a <end>" are less than -0.92 - 0.11 of "b <end>"."""
    page = show(web.beam_search(found(), WORDS))
    told = page.locator(".compared")
    assert told.inner_text() == "Try a wider beam."
    assert page.locator(".found td.words").all_inner_texts() == ["a <end>"] + ["not tried yet"] * 2
    page.get_by_label("beam width").fill("1")
    assert told.inner_text() == (
        "The best so far is 1.80 times as probable as what greedy search finds; greedy search cut "
        "it at word 1, “b”, which was ranked 2."
    )
    assert spoken(page) == (
        f"Beam width 2 finds: b <end>, log-probability {MINUS}1.02. {told.inner_text()}"
    )
    page.get_by_label("beam width").fill("0")
    page.get_by_role("checkbox").check()
    starred = [label for row in nodes(page) for label, states in row if "starred" in states]
    assert starred == [f"b: {MINUS}0.92, cut, on the way to the best"]


def test_nothing_better_is_said_so(show):
    sure = np.array([[0, 0.1, 0.9, 0], [0.25] * 4, [0, 0.9, 0.1, 0], [0.25] * 4])
    page = show(web.beam_search(found((1, 2), sure), WORDS, width=2))
    assert page.locator(".compared").inner_text() == "Width 1 was not tried yet."
    page.get_by_label("beam width").fill("0")
    assert page.locator(".compared").inner_text() == (
        "Nothing better than by greedy search was found so far."
    )


def test_a_node_shows_its_terms(show, spoken):
    page = show(web.beam_search(found(), WORDS, width=2))
    page.get_by_role("button", name="a <end>: ").first.click()
    rows = page.locator(".panel tr").all()
    assert [row.locator("th, td").all_inner_texts() for row in rows] == [
        ["word", "p", "log p"],
        ["a", "50%", f"{MINUS}0.69"],
        ["<end>", "40%", f"{MINUS}0.92"],
        ["all together", "20%", f"{MINUS}1.61"],
    ]
    verdict = f"log-probability {MINUS}1.61: rank 2 of the 4 best, kept."
    assert page.locator(".verdict").inner_text() == verdict.capitalize()
    assert spoken(page) == f"a <end>. {verdict}"
    page.get_by_role("button", name="a a: ").click()
    assert page.locator(".verdict").inner_text() == (
        f"Log-probability {MINUS}1.74: rank 3 of the 4 best; cut, as only the first 2 are kept."
    )
    path = page.locator(".node.path").evaluate_all(
        "all => all.map(n => n.innerText.split('\\n')[0])"
    )
    assert path == ["start", "a", "a"]


def test_keys(show):
    page = show(web.beam_search(found(), WORDS, width=2))
    page.get_by_label("words").fill("2")
    assert chosen(page) == f"b <end>: {MINUS}1.02, kept"
    page.locator('.node[tabindex="0"]').focus()
    for key, expected in {
        "ArrowUp": f"b: {MINUS}0.92, kept",
        "ArrowLeft": f"a: {MINUS}0.69, kept",
        "ArrowDown": f"a <end>: {MINUS}1.61, kept",
        "ArrowRight": f"a a: {MINUS}1.74, cut",
        "Control+ArrowLeft": f"a a: {MINUS}1.74, cut",
        "ArrowDown+": f"a a: {MINUS}1.74, cut",  # nothing follows what was cut
        "Home": "start",
        "ArrowUp+": "start",
        "End": f"b <end>: {MINUS}1.02, kept",
    }.items():
        page.keyboard.press(key.removesuffix("+"))
        assert chosen(page) == expected
        focused = page.evaluate(
            "document.querySelector('course-beam-search').shadowRoot.activeElement.ariaLabel"
        )
        assert focused == expected
        assert page.locator('.node[tabindex="0"]').count() == 1


def test_word_by_word(show, spoken):
    page = show(web.beam_search(found(), WORDS, width=2))
    page.get_by_label("words").fill("1")
    assert [len(row) for row in nodes(page)] == [1, 3]
    assert spoken(page) == f"After word 1 are kept: a, {MINUS}0.69; b, {MINUS}0.92."
    page.get_by_label("beam width").fill("0")
    assert [len(row) for row in nodes(page)] == [1, 2]  # still the first word


def test_scores_with_a_length_penalty(show):
    """Width 2: "a <end>" and "b <end>" by the means of their words."""
    searches = found((1, 2), length_penalty=1.0)
    page = show(web.beam_search(searches, WORDS, width=2))
    best = searches[2][0]
    cells = page.locator(".found tr.now td").all_inner_texts()
    assert cells[-1] == two(best.log_probability / len(best.tokens))
    assert cells[-2] == two(best.log_probability)
    assert page.locator(".verdict").inner_text().startswith("Score ")
    assert "score" in repr(web.beam_search(searches, WORDS))


@pytest.mark.parametrize("width", [390, 1280])
def test_targets_for_a_finger(show, rng, width):
    table = rng.dirichlet(np.full(9, 0.4), 9)
    page = show(web.beam_search(found((4,), table), [*WORDS, *"cdefg"], width=4), width=width)
    for part in page.locator(".node, .mark").all():
        box = part.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_static_form(show):
    page = show(web.beam_search(found(), WORDS), java_script_enabled=False)
    rows = page.get_by_role("table", name="What each width finds").locator("tr")
    assert rows.nth(2).locator("th, td").all_inner_texts() == ["2", "b <end>", f"{MINUS}1.02"]
    for width, cut in {1: ["b"], 2: ["<end>"]}.items():
        tree = page.get_by_role("table", name=f"Width {width}: what was kept and cut")
        first = tree.locator("tr").nth(1).locator("th, td").all_inner_texts()
        kept = ["a", "b"][:width]
        number = {"a": "0.69", "b": "0.92", "<end>": "2.30"}
        sides = ["\n".join(f"{w} {MINUS}{number[w]}" for w in side) for side in (kept, cut)]
        assert first == ["1", *sides]
    assert page.get_by_role("table").count() == 3
    assert "2 | b <end> | " in repr(web.beam_search(found(), WORDS))


BRANCH = {"parent": 0, "tokens": [2], "log_probability": -1.0, "finished": False, "kept": True}


def broken(**change):
    return {1: [[BRANCH], [BRANCH | {"tokens": [2, 3], "log_probability": -2.0} | change]]}


def test_dicts_and_objects_are_the_same():
    search = found((2,))
    plain = {2: [[branch._asdict() for branch in step] for step in search[2].history]}
    assert (
        web.beam_search(plain, WORDS, width=2).data == web.beam_search(search, WORDS, width=2).data
    )


@pytest.mark.parametrize(
    "searches, options, message",
    [
        ({}, {}, "`searches` has 0, expected 1 to 6"),
        ({0: [[BRANCH]]}, {}, "has the width 0, expected 1, 2"),
        ({1: [[BRANCH]]}, {"width": 2}, r"`width` is 2, expected one of \[1\]"),
        ({1: []}, {}, "the search of width 1 has 0 steps, expected 1 to 16"),
        ({1: [[]]}, {}, "has 0 candidates at step 1, expected 1 to 10"),
        ({1: [[BRANCH] * 2]}, {}, r"keeps \[True, True\] at step 1, expected those kept first, 1"),
        ({1: [[BRANCH | {"kept": False}]]}, {}, r"keeps \[False\] at step 1"),
        (
            {1: [[{"parent": 0}]]},
            {},
            "a candidate of the search of width 1, step 1 has no 'tokens'",
        ),
        (broken(parent=1), {}, "has the parent 1, expected 0 to 0"),
        (broken(tokens=[3, 3]), {}, r"has the tokens \[3, 3\], which do not continue \[2\]"),
        (broken(tokens=[2]), {}, r"has the tokens \[2\], which do not continue \[2\]"),
        (broken(tokens=[2, 4]), {}, r"the tokens \[2, 4\], expected 0 to 3, one of `words` each"),
        (broken(log_probability=-0.5), {}, "-0.5, expected a finite number, not above -1 of its"),
        (broken(log_probability=-np.inf), {}, "-inf, expected a finite number"),
        (
            {1: [[BRANCH | {"finished": True}], [BRANCH | {"tokens": [2, 3]}]]},
            {},
            r"which do not continue \[2\] of its parent, which is finished",
        ),
    ],
)
def test_what_is_no_search_is_refused(searches, options, message):
    with pytest.raises(ValueError, match=message):
        web.beam_search(searches, WORDS, **options)


def test_a_single_search_is_refused():
    with pytest.raises(TypeError, match=r"is a Hypotheses, expected a dict .* \{1: search, 2:"):
        web.beam_search(found()[1], WORDS)
