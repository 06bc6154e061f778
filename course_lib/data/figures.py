"""Stick figures in many poses, and where their joints are: the stand-ins for people."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from course_lib.data.digits import resampling

SPLITS = ("train", "test")
JOINTS = (
    *("right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle"),
    *("right wrist", "right elbow", "right shoulder"),
    *("left shoulder", "left elbow", "left wrist", "neck", "head top"),
)
LIMBS = {  # what PCP asks about, and where it is drawn
    "right lower leg": ("right knee", "right ankle"),
    "right upper leg": ("right hip", "right knee"),
    "left upper leg": ("left hip", "left knee"),
    "left lower leg": ("left knee", "left ankle"),
    "right lower arm": ("right elbow", "right wrist"),
    "right upper arm": ("right shoulder", "right elbow"),
    "left upper arm": ("left shoulder", "left elbow"),
    "left lower arm": ("left elbow", "left wrist"),
}
TRUNK = {
    "right side": ("right shoulder", "right hip"),
    "left side": ("left shoulder", "left hip"),
    "right collarbone": ("neck", "right shoulder"),
    "left collarbone": ("neck", "left shoulder"),
    "middle of the hips": ("right hip", "left hip"),
    "middle of the neck": ("neck", "head top"),
}
DRAWN = tuple(  # side, and the rows of two joints
    (name.split()[0], JOINTS.index(a), JOINTS.index(b)) for name, (a, b) in (TRUNK | LIMBS).items()
)
INK = {"right": 0.5, "left": 1.0, "middle": 0.75}
# Lengths in units of the torso, from the neck to between the hips.
HEAD, SHOULDER, DROP, HIP = 0.45, 0.38, 0.08, 0.2
UPPER_ARM, LOWER_ARM, UPPER_LEG, LOWER_LEG = 0.6, 0.55, 0.8, 0.75
# Angles in degrees. Limbs: outwards from straight down; elbow and knee: on from the limb before.
LEAN, TILT = (-20, 20), (-20, 20)
SHOULDER_ANGLE, ELBOW_ANGLE = (-25, 150), (-20, 120)
HIP_ANGLE, KNEE_ANGLE = (-15, 60), (-80, 15)
FORESHORTENED = 0.8  # the shortest that a limb looks, as a share of its length
SMALLEST = 24  # pixels of a picture
MARGIN = 2.5  # pixels between a joint and the border
RADIUS = 1.0  # of a limb, in pixels of a picture of 64
NOISE = 0.04  # standard deviation of a pixel's


class StickFigures(NamedTuple):
    """What :func:`stick_figures` returns, for N pictures of one figure each.

    images : ``(N, 1, size, size)`` float32 in 0..1, 1 the darkest ink
    joints : ``(N, 14, 2)`` float32, ``x y`` in pixels; the left edge of the first pixel is 0
    names  : of the 14 joints, in the order of the Leeds Sports Poses; right and left are those of
             the figure, which faces us
    limbs  : the names of eight arms and legs, each with the two rows of `joints` that it joins
    bones  : pairs of rows of `joints`, all that are drawn: the limbs, the trunk and the neck
    """

    images: np.ndarray
    joints: np.ndarray
    names: tuple
    limbs: dict
    bones: tuple


def stick_figures(count, *, size=64, split="train", seed=0, torso=(0.17, 0.26), clutter=6):
    """Draw human stick figures in random poses, at random places and sizes, among clutter.

    The limbs are drawn as wide as each other; those of the left side are dark, those of the right
    side are pale, so that a picture says which is which even where legs cross. Joints bend as they
    do in people: a forearm up but hardly backwards, a knee in but hardly out. The same `seed`
    gives the same figures, and fewer of them are the first of more.

    Parameters
    ----------
    count : int
        How many pictures.
    size : int
        Rows and columns of a picture, in pixels.
    split : {"train", "test"}
        Each has its own random poses.
    seed : int
        Another seed gives other figures.
    torso : (float, float)
        The shortest and the longest way from the neck to between the hips, as a share of `size`. A
        figure that does not fit the picture is drawn smaller.
    clutter : int
        The most strokes and spots beside the figure.

    Returns
    -------
    StickFigures

    Raises
    ------
    TypeError
        If a number that counts is no int.
    ValueError
        If a setting has no meaning.

    Examples
    --------
    >>> figures = stick_figures(2000)
    >>> figures.joints[:, figures.names.index("left knee")]  # (2000, 2)

    References
    ----------
    S. Johnson & M. Everingham (2010), "Clustered Pose and Nonlinear Appearance Models for Human
    Pose Estimation": the Leeds Sports Poses, whose joints these are.
    """
    counts = {"count": count, "size": size, "seed": seed, "clutter": clutter}
    for name, value in counts.items():
        if not isinstance(value, Integral):
            raise TypeError(f"stick_figures: `{name}` is {value!r}, expected an int")
        least = SMALLEST if name == "size" else 0
        if value < least:
            raise ValueError(f"stick_figures: `{name}` is {value}, expected {least} or more")
    if split not in SPLITS:
        raise ValueError(f"stick_figures: `split` is {split!r}, expected 'train' or 'test'")
    if len(torso) != 2 or not 0 < torso[0] <= torso[1] <= 1:
        raise ValueError(f"stick_figures: `torso` is {torso!r}, expected two shares, 0 to 1")

    uneven = resampling(4, size).astype(np.float32)
    images = np.empty((count, 1, size, size), np.float32)
    joints = np.empty((count, len(JOINTS), 2), np.float32)
    for i in range(count):
        rng = np.random.default_rng((seed, SPLITS.index(split), i))
        joints[i] = placed(pose(rng), size, size * rng.uniform(*torso), rng)
        images[i, 0] = drawn(joints[i], size, clutter, uneven, rng)
    limbs = {name: tuple(map(JOINTS.index, ends)) for name, ends in LIMBS.items()}
    return StickFigures(images, joints, JOINTS, limbs, tuple((a, b) for _, a, b in DRAWN))


def pose(rng):
    """Return the 14 joints ``(14, 2)`` of a figure whose torso has the length 1, hips about 0."""
    lean = rng.uniform(*LEAN)
    neck = towards(180 + lean)
    at = {"neck": neck, "head top": neck + HEAD * towards(180 + lean + rng.uniform(*TILT))}
    for side, sign in (("right", -1), ("left", 1)):  # it faces us: its left is on our right
        across = sign * towards(90 + lean)
        arm = neck + SHOULDER * across + DROP * towards(lean)
        leg = HIP * across
        angle = lean + sign * rng.uniform(*SHOULDER_ANGLE)
        elbow = arm + bone(UPPER_ARM, angle, rng)
        wrist = elbow + bone(LOWER_ARM, angle + sign * rng.uniform(*ELBOW_ANGLE), rng)
        angle = lean / 2 + sign * rng.uniform(*HIP_ANGLE)
        knee = leg + bone(UPPER_LEG, angle, rng)
        ankle = knee + bone(LOWER_LEG, angle + sign * rng.uniform(*KNEE_ANGLE), rng)
        at |= {f"{side} shoulder": arm, f"{side} elbow": elbow, f"{side} wrist": wrist}
        at |= {f"{side} hip": leg, f"{side} knee": knee, f"{side} ankle": ankle}
    return np.array([at[name] for name in JOINTS])


def towards(angle):
    """Return the direction ``(x, y)`` of an angle in degrees: 0 is down, 90 to the right."""
    return np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])


def bone(length, angle, rng):
    """Return the way along a bone, a little shorter if it points at us or away."""
    return length * rng.uniform(FORESHORTENED, 1) * towards(angle)


def placed(joints, size, torso, rng):
    """Return the joints at a random place of a picture, in pixels, all inside."""
    first, last = joints.min(0), joints.max(0)
    scale = min(torso, (size - 2 * MARGIN) / (last - first).max())
    room = size - 2 * MARGIN - scale * (last - first)
    return scale * (joints - first) + MARGIN + room * rng.uniform(size=2)


def drawn(joints, size, clutter, uneven, rng):
    """Return a picture ``(size, size)`` of a figure with these joints, among clutter."""
    sheet = uneven @ rng.uniform(0, 0.15, (4, 4)).astype(np.float32) @ uneven.T
    for _ in range(rng.integers(clutter + 1)):
        start, ink = rng.uniform(0, size, 2), rng.uniform(0.2, 0.6)
        length, radius = rng.uniform(0, size / 5), rng.uniform(0.5, 2) * size / 64
        stroke(sheet, start, start + length * towards(rng.uniform(0, 360)), radius, ink)
    for side, a, b in DRAWN:
        stroke(sheet, joints[a], joints[b], RADIUS * size / 64, INK[side])
    neck, top = joints[JOINTS.index("neck")], joints[JOINTS.index("head top")]
    middle, radius = neck + 0.6 * (top - neck), 0.4 * np.hypot(*(top - neck))
    stroke(sheet, middle, middle, radius, INK["middle"])
    return np.clip(sheet + NOISE * rng.standard_normal((size, size), np.float32), 0, 1)


def stroke(sheet, a, b, radius, ink):
    """Draw a stroke with round ends from `a` to `b`, ``(x, y)``; what is darker shines through."""
    size = len(sheet)
    reach = radius + 1
    x1, y1 = np.maximum(np.minimum(a, b) - reach, 0).astype(int)
    x2, y2 = np.clip(np.maximum(a, b) + reach + 1, 0, size).astype(int)
    if x1 >= x2 or y1 >= y2:
        return
    x, y = np.arange(x1, x2) + 0.5 - a[0], np.arange(y1, y2)[:, None] + 0.5 - a[1]
    dx, dy = b[0] - a[0], b[1] - a[1]
    share = np.clip((dx * x + dy * y) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    distance = np.hypot(x - share * dx, y - share * dy)
    part = sheet[y1:y2, x1:x2]
    np.maximum(part, ink * np.clip(radius + 0.5 - distance, 0, 1), out=part, casting="same_kind")
