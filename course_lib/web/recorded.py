"""The figure of recorded runs: curves of many settings, and a map of how all of them ended."""

from html import escape
from itertools import product

import numpy as np

from course_lib.web.figure import Figure
from course_lib.web.network import BASE64
from course_lib.web.tables import table

__all__ = ["MISSING", "codes", "recorded_runs", "summarise"]

MISSING, LEVELS = 4095, 4094  # the code of a curve that has ended, and the largest of the others
MAX_AXES, MAX_VALUES, MAX_PINNED = 5, 12, 3


def recorded_runs(
    runs,
    axes,
    *,
    curve,
    curve_name,
    finals,
    x_name="epoch",
    x=None,
    curve_unit="",
    final_unit="%",
    limits=None,
    logarithmic=False,
    start=None,
    pinned=(),
    map_axes=None,
    repeat="seed",
):
    """Choose among recorded runs, lay their curves side by side, and see how all of them ended.

    A choice for each axis; the curve is the median over the seeds, in a band from the least to the
    most. Up to three curves can be pinned. A map of two of the axes has the final value of each
    setting, the other axes being as chosen; a press on a cell chooses it, and so do the arrow keys
    and Enter.

    A run has diverged if its curve ends with None, or its final value is None. It counts as worse
    than any other in medians, and is left out of the bands.

    Parameters
    ----------
    runs : sequence of dict
        The runs of a recording, as of :func:`course_lib.data.load_recording`.
    axes : dict
        What was varied: for each field its name in words, or that and a dict with the words of its
        values, such as ``{"normalised": ("batch norm", {False: "without", True: "with"})}``. Two to
        five, of two to twelve values each; not every combination needs a run.
    curve : str
        The field with the list of numbers, None where a run had diverged.
    curve_name, x_name : str
        What the numbers are, and what they are numbered by.
    finals : dict
        For each final value, its name in words and its field, or None for the end of the curve.
        The map shows the first, unless the reader chooses another.
    x : sequence of float, optional
        Where the numbers stand; by default 1, 2, 3 and so on.
    curve_unit, final_unit : str
        Units, such as ``"%"``.
    limits : (float, float), optional
        The ends of the curves' axis; what is beyond is drawn on its edge. By default all fits.
    logarithmic : bool
        Whether the axis is logarithmic.
    start : dict, optional
        The setting shown first, a value for each axis; by default that of the first run.
    pinned : sequence of dict
        Up to three settings that are pinned at first.
    map_axes : (str, str), optional
        The fields of the map's rows and columns at first; by default the first two.
    repeat : str
        The field in which the repetitions of a setting differ.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If a field is missing, a setting is not among the runs, or a number does not fit.
    """
    axes = _axes(runs, axes)
    positions = list(axes)
    finals = dict(finals)
    if not finals:
        raise ValueError("recorded_runs: `finals` is empty, expected a name and its field")
    _fields(runs, [curve, repeat, *filter(None, finals.values())])
    lengths = {len(run[curve]) for run in runs}
    x = list(range(1, max(lengths) + 1)) if x is None else [float(at) for at in x]
    if lengths != {len(x)}:
        raise ValueError(
            f"recorded_runs: the lists of `{curve}` have the lengths {sorted(lengths)}, expected "
            f"{len(x)} for all, as `x` has"
        )
    low, high = _limits(runs, curve, limits, logarithmic)
    cells = summarise(runs, positions, curve, finals)
    settings = []
    for values, found in cells.items():
        at = [axes[field]["values"].index(v) for field, v in zip(positions, values, strict=True)]
        lines = (codes(line, low, high, logarithmic) for line in found["lines"])
        settings.append([at, found["runs"], found["diverged"], found["finals"], "".join(lines)])
    start = _setting("start", start or dict(zip(positions, next(iter(cells)), strict=True)), axes)
    pinned = [_setting("pinned", setting, axes) for setting in pinned]
    recorded = [setting[0] for setting in settings]
    if len(pinned) > MAX_PINNED or any(at not in recorded for at in pinned):
        raise ValueError(
            f"recorded_runs: `pinned` has {len(pinned)} settings, expected up to {MAX_PINNED}, "
            f"all of them recorded"
        )
    rows, columns = map_axes or positions[:2]
    if rows == columns or not {rows, columns} <= set(positions):
        raise ValueError(
            f"recorded_runs: `map_axes` is {map_axes!r}, expected two of {', '.join(positions)}"
        )
    first = next(iter(finals))
    title = f"{_sentence(first)}{_in(final_unit)}: the median over the runs of each setting"
    tables = list(_tables(axes, cells, rows, columns, final_unit))
    return Figure(
        tag="course-recorded-runs",
        parts=("figure", "choices", "chart", "recorded-runs"),
        data={
            "axes": [{"name": a["name"], "values": a["words"]} for a in axes.values()],
            "curve": curve_name,
            "unit": curve_unit,
            "finals": list(finals),
            "finalUnit": final_unit,
            "xName": x_name,
            "x": x,
            "limits": [low, high],
            "logarithmic": bool(logarithmic),
            "settings": settings,
            "start": start,
            "pinned": pinned,
            "map": [positions.index(rows), positions.index(columns)],
        },
        fallback=f'<p>{escape(title)}.</p>\n<div class="course-static">\n'
        + "\n".join(
            table(escape(caption), [*map(escape, headers)], [[*map(escape, r)] for r in body])
            for caption, headers, body in tables
        )
        + "\n</div>",
        text="\n".join(
            [title]
            + [
                "\n".join([caption, *(" | ".join(row) for row in [headers, *body])])
                for caption, headers, body in tables
            ]
        ),
    )


def summarise(runs, fields, curve, finals):
    """Bring the runs of each setting together.

    Parameters
    ----------
    runs, curve, finals
        As in :func:`recorded_runs`.
    fields : sequence of str
        The axes.

    Returns
    -------
    dict
        For each tuple of the fields' values a dict: ``runs`` and ``diverged``, how many; ``lines``,
        median, least and most of the curves at each point, shape (3, len(x)), NaN where there is
        none; and ``finals``, the same three of each final value, None where there is none.
    """
    groups = {}
    for run in runs:
        groups.setdefault(tuple(run[field] for field in fields), []).append(run)
    cells = {}
    for values, group in groups.items():
        curves = np.array([run[curve] for run in group], dtype=float)
        ends = [
            curves[:, -1] if field is None else np.array([run[field] for run in group], dtype=float)
            for field in finals.values()
        ]
        diverged = np.isnan(curves[:, -1]) | np.isnan(ends).any(axis=0)
        cells[values] = {
            "runs": len(group),
            "diverged": int(diverged.sum()),
            "lines": _spread(curves),
            "finals": [
                [round(value, 3) if np.isfinite(value) else None for value in spread.tolist()]
                for spread in (_spread(np.where(diverged, np.nan, end)) for end in ends)
            ],
        }
    return cells


def codes(line, low, high, logarithmic):
    """Return a curve as text, two letters of base64 a number: 4,095 levels from `low` to `high`."""
    bounded = np.clip(line, low, high)
    ends = np.array([low, high], dtype=float)
    if logarithmic:
        bounded, ends = np.log(bounded), np.log(ends)
    levels = np.rint(LEVELS * (bounded - ends[0]) / (ends[1] - ends[0]))
    levels = np.where(np.isnan(levels), MISSING, levels).astype(int)
    return BASE64[np.stack([levels >> 6, levels & 63], axis=-1)].tobytes().decode("ascii")


def _spread(numbers):
    """Median, least and most over the first axis; NaN counts as more than all in the median."""
    median = np.median(np.where(np.isnan(numbers), np.inf, numbers), axis=0)
    least = np.where(np.isnan(numbers), np.inf, numbers).min(axis=0)
    most = np.where(np.isnan(numbers), -np.inf, numbers).max(axis=0)
    found = np.stack([median, least, most])
    return np.where(np.isfinite(found), found, np.nan)


def _axes(runs, axes):
    """For each field its name, its values in the order of the runs, and their words."""
    if not runs:
        raise ValueError("recorded_runs: `runs` is empty, expected at least one run")
    if not 2 <= len(axes) <= MAX_AXES:
        raise ValueError(f"recorded_runs: `axes` has {len(axes)} fields, expected 2 to {MAX_AXES}")
    _fields(runs, axes)
    found = {}
    for field, given in axes.items():
        name, words = (given, {}) if isinstance(given, str) else given
        values = list(dict.fromkeys(run[field] for run in runs))
        if not 2 <= len(values) <= MAX_VALUES:
            raise ValueError(
                f"recorded_runs: `{field}` has {len(values)} values in `runs`, expected 2 to "
                f"{MAX_VALUES}"
            )
        found[field] = {"name": name, "values": values}
        found[field]["words"] = [str(words.get(value, _word(value))) for value in values]
    return found


def _word(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _fields(runs, fields):
    for n, run in enumerate(runs):
        missing = [field for field in fields if field not in run]
        if missing:
            raise ValueError(
                f"recorded_runs: run {n} has no `{missing[0]}`, expected every run to have "
                f"{', '.join(fields)}"
            )


def _limits(runs, curve, limits, logarithmic):
    numbers = np.array([run[curve] for run in runs], dtype=float)
    low, high = limits or (float(np.nanmin(numbers)), float(np.nanmax(numbers)))
    if not low < high or (logarithmic and low <= 0):
        raise ValueError(
            f"recorded_runs: `limits` are {low:.3g} and {high:.3g}, expected the lower one first"
            + (", and above 0, as the axis is logarithmic" if logarithmic else "")
        )
    return float(low), float(high)


def _setting(what, setting, axes):
    """The place of a setting's values on each axis."""
    if set(setting) != set(axes):
        raise ValueError(
            f"recorded_runs: `{what}` has {', '.join(setting)}, expected a value for each of "
            f"{', '.join(axes)}"
        )
    for field, axis in axes.items():
        if setting[field] not in axis["values"]:
            raise ValueError(
                f"recorded_runs: `{what}` has {field} {setting[field]!r}, expected one of "
                f"{', '.join(map(str, axis['values']))}"
            )
    return [axis["values"].index(setting[field]) for field, axis in axes.items()]


def _tables(axes, cells, rows, columns, unit):
    """The maps of the static form: caption, headers and rows, for all values of the other axes."""
    others = [field for field in axes if field not in (rows, columns)]
    for rest in product(*(range(len(axes[field]["values"])) for field in others)):
        chosen = dict(zip(others, rest, strict=True))
        caption = "; ".join(f"{axes[f]['name']}: {axes[f]['words'][i]}" for f, i in chosen.items())
        caption = caption or f"{axes[rows]['name']} by {axes[columns]['name']}"
        headers = [f"{axes[rows]['name']} \\ {axes[columns]['name']}", *axes[columns]["words"]]
        body = []
        for i, word in enumerate(axes[rows]["words"]):
            line = [word]
            for j in range(len(axes[columns]["values"])):
                places = chosen | {rows: i, columns: j}
                values = tuple(axes[field]["values"][places[field]] for field in axes)
                line.append(_final(cells.get(values)))
            body.append(line)
        yield caption, headers, body


def _final(cell):
    """The median of the first final value, as text."""
    if cell is None:
        return "not run"
    median = cell["finals"][0][0]
    return "diverged" if median is None else f"{median:.3g}"


def _in(unit):
    return f" in {unit}" if unit else ""


def _sentence(text):
    return text[:1].upper() + text[1:]
