"""Stick figures: the ink lies where the joints say, and people can stand like that."""

import numpy as np
import pytest

from course_lib.data import figures as module
from course_lib.data import stick_figures

CLEAN = {"clutter": 0}


@pytest.fixture(scope="module")
def many():
    return stick_figures(150, seed=5)


def ends(figures, limb):
    """The two ends ``(N, 2)`` of a limb."""
    a, b = figures.limbs[limb]
    return figures.joints[:, a], figures.joints[:, b]


def joint(figures, name):
    return figures.joints[:, figures.names.index(name)]


def direction(a, b):
    """The angle of the way from a to b in degrees: 0 down, 90 to the right."""
    return np.rad2deg(np.arctan2(b[:, 0] - a[:, 0], b[:, 1] - a[:, 1]))


def turned(angle):
    """An angle between -180 and 180."""
    return (angle + 180) % 360 - 180


def test_what_the_docstring_says(many):
    assert many.images.shape == (150, 1, 64, 64)
    assert many.joints.shape == (150, 14, 2)
    assert many.images.dtype == many.joints.dtype == np.float32
    assert many.images.min() >= 0
    assert many.images.max() <= 1
    assert len(many.names) == len(set(many.names)) == 14
    assert len(many.limbs) == 8
    for limb, (a, b) in many.limbs.items():
        side = limb.split()[0]
        assert many.names[a].startswith(side)
        assert many.names[b].startswith(side)
    assert {tuple(limb) for limb in many.limbs.values()} < set(many.bones)
    assert {joint for bone in many.bones for joint in bone} == set(range(14))


def test_all_joints_are_inside(many):
    assert many.joints.min() >= 2.5
    assert many.joints.max() <= 61.5


@pytest.mark.parametrize("size, torso", [(24, (0.2, 0.2)), (48, (1.0, 1.0)), (100, (0.17, 0.26))])
def test_what_does_not_fit_is_drawn_smaller(size, torso):
    figures = stick_figures(20, size=size, torso=torso)
    assert figures.images.shape == (20, 1, size, size)
    assert figures.joints.min() >= 2.49
    assert figures.joints.max() <= size - 2.49


def test_sizes_are_as_asked():
    figures = stick_figures(40, torso=(0.15, 0.2))
    hips = (joint(figures, "left hip") + joint(figures, "right hip")) / 2
    torso = np.linalg.norm(joint(figures, "neck") - hips, axis=1)
    assert 0.15 * 64 - 1e-3 <= torso.min() < 0.16 * 64
    assert 0.19 * 64 < torso.max() <= 0.2 * 64 + 1e-3


def test_bodies_have_the_proportions_of_bodies(many):
    hips = (joint(many, "left hip") + joint(many, "right hip")) / 2
    torso = np.linalg.norm(joint(many, "neck") - hips, axis=1)
    lengths = {"lower leg": 0.75, "upper leg": 0.8, "lower arm": 0.55, "upper arm": 0.6}
    for side in ("left", "right"):
        for limb, longest in lengths.items():
            a, b = ends(many, f"{side} {limb}")
            share = np.linalg.norm(a - b, axis=1) / torso
            assert share.min() >= 0.8 * longest - 1e-3
            assert share.max() <= longest + 1e-3
            assert share.std() > 0.02
    width = np.linalg.norm(joint(many, "left hip") - joint(many, "right hip"), axis=1)
    np.testing.assert_allclose(width, 0.4 * torso, rtol=1e-4)


@pytest.mark.parametrize("side, sign", [("left", 1), ("right", -1)])
def test_joints_bend_as_they_do_in_people(many, side, sign):
    """A forearm goes up, hardly backwards; a knee goes in, hardly out: each within its range."""
    for limb, (least, most) in {"arm": (-20, 120), "leg": (-80, 15)}.items():
        upper, lower = (direction(*ends(many, f"{side} {part} {limb}")) for part in PARTS)
        bend = sign * turned(lower - upper)
        assert least - 0.1 <= bend.min() < least + 20
        assert most - 20 < bend.max() <= most + 0.1


PARTS = ("upper", "lower")


def test_a_figure_stands_upright_and_faces_us(many):
    hips = (joint(many, "left hip") + joint(many, "right hip")) / 2
    lean = turned(direction(joint(many, "neck"), hips))
    assert 15 < abs(lean).max() <= 20.1
    assert (joint(many, "left shoulder")[:, 0] > joint(many, "right shoulder")[:, 0]).all()
    assert (joint(many, "head top")[:, 1] < joint(many, "neck")[:, 1]).all()


def test_the_ink_is_where_the_joints_say_dark_on_the_left_and_pale_on_the_right():
    figures = stick_figures(60, **CLEAN)
    values = {"left": [], "right": []}
    for limb, (a, b) in figures.limbs.items():
        for share in (0.0, 0.3, 0.5, 0.7, 1.0):
            at = (1 - share) * figures.joints[:, a] + share * figures.joints[:, b]
            column, row = at.astype(int).T
            values[limb.split()[0]].append(figures.images[np.arange(60), 0, row, column])
    left, right = (np.concatenate(values[side]) for side in ("left", "right"))
    assert left.min() > 0.75
    assert right.min() > 0.3
    assert np.median(left) > 0.95
    assert 0.45 < np.median(right) < 0.55  # few are crossed by something darker
    paper = np.median(figures.images)
    assert paper < 0.15


def test_a_stroke_is_the_share_of_each_pixel_that_it_covers(rng):
    """Against 20 x 20 points in every pixel."""
    a, b, radius = rng.uniform(4, 20, 2), rng.uniform(4, 20, 2), 1.5
    sheet = np.zeros((24, 24))
    module.stroke(sheet, a, b, radius, 1.0)
    at = (np.arange(24 * 20) + 0.5) / 20
    point = np.stack(np.meshgrid(at, at), -1)
    share = np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    covered = np.linalg.norm(point - a - share[..., None] * (b - a), axis=-1) <= radius
    exact = covered.reshape(24, 20, 24, 20).mean((1, 3))
    assert abs(sheet - exact).max() < 0.13
    assert sheet.sum() == pytest.approx(exact.sum(), rel=0.02)


def test_strokes_by_hand():
    sheet = np.full((5, 6), 0.25)
    module.stroke(sheet, (1.0, 2.5), (4.0, 2.5), 0.5, 0.8)  # one pixel high, through row 2
    np.testing.assert_allclose(sheet[2], [0.4, 0.8, 0.8, 0.8, 0.4, 0.25])
    sheet[2] = 0.25
    assert (sheet == 0.25).all()
    module.stroke(sheet, (-9.0, -9), (-5.0, -9), 1.0, 1.0)  # outside
    assert (sheet == 0.25).all()


def test_the_same_seed_gives_the_same_figures():
    first, again, more = (stick_figures(n, seed=3) for n in (4, 4, 7))
    for a, b, c in zip(first[:2], again[:2], more[:2], strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c[:4])
    for other in (stick_figures(4, seed=4), stick_figures(4, seed=3, split="test")):
        assert not np.array_equal(first.joints, other.joints)


def test_clutter_lies_beside_the_figure():
    clean, cluttered = (stick_figures(30, clutter=clutter) for clutter in (0, 30))
    inks = [(f.images > 0.3).mean() for f in (clean, cluttered)]
    assert inks[1] > 1.5 * inks[0]
    assert stick_figures(0).images.shape == (0, 1, 64, 64)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"count": -1}, ValueError, "`count` is -1, expected 0 or more"),
        ({"count": 2.5}, TypeError, r"`count` is 2\.5, expected an int"),
        ({"seed": -1}, ValueError, "`seed` is -1, expected 0 or more"),
        ({"size": 23}, ValueError, "`size` is 23, expected 24 or more"),
        ({"clutter": -1}, ValueError, "`clutter` is -1, expected 0 or more"),
        ({"split": "val"}, ValueError, "`split` is 'val', expected 'train' or 'test'"),
        ({"torso": (0.3, 0.2)}, ValueError, r"`torso` is \(0\.3, 0\.2\), expected two shares"),
        ({"torso": (0, 0.2)}, ValueError, r"`torso` is \(0, 0\.2\), expected two shares, 0 to 1"),
    ],
)
def test_says_what_is_wrong(options, error, message):
    with pytest.raises(error, match=f"stick_figures: {message}"):
        stick_figures(**{"count": 2, **options})
