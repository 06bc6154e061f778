"""Photographs inside scikit-image, scikit-learn and matplotlib: nothing is downloaded."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Photograph(NamedTuple):
    """A photograph's package, source and licence, and what is seen in it."""

    package: str
    credit: str
    licence: str
    seen: str


PHOTOGRAPHS = {
    "astronaut": Photograph(
        "scikit-image",
        "NASA Great Images",
        "public domain",
        "Eileen Collins, smiling, in an orange space suit with her helmet under her arm; behind "
        "her a flag and a model of the Space Shuttle",
    ),
    "camera": Photograph(
        "scikit-image",
        "Lav Varshney",
        "CC0",
        "a man in a dark coat who looks through a camera on a tripod, on a lawn; grey",
    ),
    "chelsea": Photograph(
        "scikit-image",
        "Stefan van der Walt",
        "CC0",
        "the face of a ginger tabby cat",
    ),
    "china": Photograph(
        "scikit-learn",
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035",
        "CC BY 2.0",
        "a Chinese tower with four curved roofs above a lake, between trees",
    ),
    "coffee": Photograph(
        "scikit-image",
        "Rachel Michetti, Pikolo Espresso Bar",
        "CC0",
        "a red cup, white inside, half full of espresso, with its spoon on a red saucer on a "
        "wooden table",
    ),
    "coins": Photograph(
        "scikit-image",
        "Brooklyn Museum Collection",
        "no known copyright restrictions",
        "24 Greek coins from Pompeii in four rows; grey",
    ),
    "flower": Photograph(
        "scikit-learn",
        "vultilion, https://www.flickr.com/photos/vultilion/6056698931",
        "CC BY 2.0",
        "an orange dahlia before dark green leaves",
    ),
    "grace_hopper": Photograph(
        "matplotlib",
        "US Navy, official portrait of 1984",
        "public domain",
        "Grace Hopper in the dark uniform of a commodore, with cap and glasses, before a flag",
    ),
    "hubble": Photograph(
        "scikit-image",
        "NASA, the Hubble Space Telescope",
        "public domain",
        "hundreds of small galaxies on black: the eXtreme Deep Field",
    ),
    "rocket": Photograph(
        "scikit-image",
        "SpaceX",
        "public domain",
        "a white rocket on its pad at dusk, between steel masts and floodlights",
    ),
}
IN_SKIMAGE = {"hubble": "hubble_deep_field"}  # where the names differ


def photograph(name):
    """Return the photograph `name` of :data:`PHOTOGRAPHS`, which has its credit and licence.

    Parameters
    ----------
    name : str
        One of the keys of :data:`PHOTOGRAPHS`.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Red, green and blue, 0 to 255; a grey photograph has three equal planes.

    Raises
    ------
    ValueError
        If there is no such photograph.

    Examples
    --------
    >>> cat = photograph("chelsea")
    >>> PHOTOGRAPHS["chelsea"].credit
    'Stefan van der Walt'
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(
            f"photograph: there is no {name!r}, expected one of {', '.join(PHOTOGRAPHS)}"
        )
    if PHOTOGRAPHS[name].package == "scikit-learn":
        from sklearn import datasets  # imported here: it takes a second, and few need it

        return np.array(datasets.load_sample_image(f"{name}.jpg"))
    from skimage import data, io

    if PHOTOGRAPHS[name].package == "matplotlib":
        return np.array(io.imread(sample_data() / f"{name}.jpg"))
    pixels = getattr(data, IN_SKIMAGE.get(name, name))()
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def sample_data():
    """Return the folder of matplotlib's sample data, without importing matplotlib."""
    package = importlib.util.find_spec("matplotlib")
    return Path(package.origin).parent / "mpl-data" / "sample_data"
