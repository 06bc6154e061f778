"""Dense evaluation, OverFeat's way: the last pool from several offsets, its answers interleaved.

A pool of 3 by 3 that does not overlap makes windows three times as far apart as its maps are. Run
it nine times, each time one cell further right or down, let the head look at each of the nine
pooled maps, and put the answers between one another: windows as close as the maps.
"""

from typing import NamedTuple

from torch import nn
from torch.nn import functional

from course_lib.models import summary
from course_lib.models.conversion import Costs, convolutional_layers
from course_lib.shapes import check_array, pair

__all__ = ["SCALES", "ScaleRow", "dense_costs", "interleave", "offset_pool", "scale_table"]

SCALES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))
PRINTED = {  # Sermanet et al. (2014), table 5, as it stands there
    (245, 245): ((17, 17), (5, 5), (1, 1), (3, 3)),
    (281, 317): ((20, 23), (6, 7), (2, 3), (6, 9)),
    (317, 389): ((23, 29), (7, 9), (3, 5), (9, 15)),
    (389, 461): ((29, 35), (9, 11), (5, 7), (15, 21)),
    (425, 497): ((32, 35), (10, 11), (6, 7), (18, 24)),
    (461, 569): ((35, 44), (11, 14), (7, 10), (21, 30)),
}


class ScaleRow(NamedTuple):
    """One scale of dense evaluation; each entry is rows and columns.

    image          : in pixels
    pre_pool       : the maps before the last pool
    post_pool      : the pooled maps, of the first offset
    classifier_map : the answers to them, of the first offset
    output         : the answers of all offsets, interleaved
    """

    image: tuple[int, int]
    pre_pool: tuple[int, int]
    post_pool: tuple[int, int]
    classifier_map: tuple[int, int]
    output: tuple[int, int]

    @property
    def printed(self):
        """The row that the paper prints for images of this size, in its table 5; or None."""
        row = PRINTED.get(self.image)
        return None if row is None else ScaleRow(self.image, *row)

    @property
    def differs(self):
        """The entries in which the paper prints something else, by name."""
        if self.printed is None:
            return ()
        return tuple(n for n in self._fields if getattr(self, n) != getattr(self.printed, n))


def offset_pool(maps, kernel, offsets=None):
    """Pool maps without overlap, from each of several offsets.

    Parameters
    ----------
    maps : tensor, shape (N, C, H, W)
    kernel : int
        Rows and columns of a window, and its stride.
    offsets : int, optional
        Along each axis: as many as the kernel has rows, by default, or a divisor of that. 1 is
        the plain pool.

    Returns
    -------
    list of list of tensor
        ``pooled[j][i]`` is ``(N, C, h, w)``, pooled from j steps down and i steps right; a step is
        ``kernel // offsets`` cells. Maps have no rows, or no columns, where no window is left.

    Raises
    ------
    TypeError, ValueError
        If `maps` are none, or the offsets do not divide the kernel.

    References
    ----------
    P. Sermanet et al. (2014), "OverFeat", section 3.3 and figure 3.
    """
    check_array("offset_pool", "maps", maps)
    if maps.ndim != 4:
        raise ValueError(
            f"offset_pool: `maps` has shape {tuple(maps.shape)}, expected (N, C, H, W)"
        )
    step = _step("offset_pool", kernel, offsets)
    return [
        [_pool(maps[:, :, j:, i:], kernel) for i in range(0, kernel, step)]
        for j in range(0, kernel, step)
    ]


def _pool(maps, kernel):
    N, C, H, W = maps.shape
    if min(H, W) < kernel:
        return maps.new_zeros(N, C, H // kernel, W // kernel)
    return functional.max_pool2d(maps, kernel)


def _step(where, kernel, offsets):
    """How many cells an offset is further on than the one before."""
    offsets = kernel if offsets is None else offsets
    good = isinstance(kernel, int) and isinstance(offsets, int) and 1 <= offsets <= kernel
    if not good or kernel % offsets:
        raise ValueError(
            f"{where}: `offsets` is {offsets!r}, expected a divisor of the pool's kernel, "
            f"{kernel!r}"
        )
    return kernel // offsets


def interleave(maps):
    """Put the maps of all offsets between one another: row ``n * r + j`` is row r of offset j.

    Laid side by side instead, neighbouring cells would look at windows far apart.

    Parameters
    ----------
    maps : list of n lists of n tensors
        ``maps[j][i]`` is ``(N, K, h, w)``, of j offsets down and i right, as :func:`offset_pool`
        orders them. Later offsets may have one row or column less.

    Returns
    -------
    tensor, shape (N, K, H, W)
        H the rows of all n offsets together, and W likewise.

    Raises
    ------
    ValueError
        If the maps are no such square, or their sizes cannot be put between one another.
    """
    n = len(maps)
    if not n or any(len(row) != n for row in maps):
        raise ValueError(
            f"interleave: got {[len(row) for row in maps]} maps in the rows, expected as many rows "
            f"as columns: one map for each pair of offsets"
        )
    H = sum(row[0].shape[2] for row in maps)
    W = sum(part.shape[3] for part in maps[0])
    N, K = maps[0][0].shape[:2]
    whole = maps[0][0].new_empty(N, K, H, W)
    for j, row in enumerate(maps):
        for i, part in enumerate(row):
            expected = whole[:, :, j::n, i::n].shape
            if part.shape != expected:
                raise ValueError(
                    f"interleave: the map of offsets {j} and {i} has shape {tuple(part.shape)}, "
                    f"expected {tuple(expected)}; give the maps of one image in the order of "
                    f"their offsets"
                )
            whole[:, :, j::n, i::n] = part
    return whole


def answers(layers, size, pooled):
    """Return what the layers of a head say to the pooled maps of all offsets, interleaved.

    Parameters
    ----------
    layers : nn.Sequential
        For pooled maps of one window.
    size : (int, int)
        Rows and columns of those.
    pooled : list of list of tensor
        As :func:`offset_pool` returns them.

    Returns
    -------
    tensor, shape (N, K, h, w)
    """
    parts = convolutional_layers(dict(layers.named_children()), size)
    dense = nn.Sequential(*parts.values()).train(layers.training)
    N, C = pooled[0][0].shape[:2]
    K = dense(pooled[0][0].new_zeros(1, C, *size)).shape[1]

    def ask(maps):
        cells = [max(0, n - k + 1) for n, k in zip(maps.shape[2:], size, strict=True)]
        return dense(maps) if min(cells) else maps.new_zeros(N, K, *cells)

    return interleave([[ask(maps) for maps in row] for row in pooled])


def scale_table(model, sizes=SCALES, *, offsets=None):
    """Compute the sizes of all maps in dense evaluation at several scales: the paper's table 5.

    For ``overfeat_accurate(device="meta")`` all rows but one are those that the paper prints: at
    425 by 497 pixels it prints 35 columns before the pool, 11 behind it and 7 of the classifier,
    where there are 38, 12 and 8. With its own 7 the last column would be 21; it prints 24, which
    is right.

    Parameters
    ----------
    model : OverFeatNet
        On any device.
    sizes : sequence of int or pair of int
        Rows and columns of the images, in pixels.
    offsets : int, optional
        As for :func:`offset_pool`.

    Returns
    -------
    list of ScaleRow
        Each says in `differs` where the paper prints something else.

    Raises
    ------
    ValueError
        If an image is smaller than the window, or the offsets do not divide the pool's kernel.
    """
    window = model.input_shape[1:]
    kernel = pool_kernel("scale_table", model)
    step = _step("scale_table", kernel, offsets)
    one = [n // kernel for n in _pre_pool(model, window)]  # pooled cells of a window
    rows = []
    for size in sizes:
        size = pair("scale_table", "sizes", size, least=1)
        if any(n < w for n, w in zip(size, window, strict=True)):
            raise ValueError(
                f"scale_table: an image of {size[0]} x {size[1]} is smaller than the window of "
                f"{window[0]} x {window[1]}"
            )
        maps = _pre_pool(model, size)
        pooled = tuple(n // kernel for n in maps)
        places = [(n - kernel * k) // step + 1 for n, k in zip(maps, one, strict=True)]
        answered = tuple(n - k + 1 for n, k in zip(pooled, one, strict=True))
        rows.append(ScaleRow(size, maps, pooled, answered, tuple(places)))
    return rows


def dense_costs(model, size, *, offsets=None):
    """Count multiply-accumulates of dense evaluation with offsets, and of crop by crop.

    Parameters
    ----------
    model : OverFeatNet
        On any device.
    size : int or pair of int
        Rows and columns of the image, in pixels.
    offsets : int, optional
        As for :func:`offset_pool`.

    Returns
    -------
    Costs
        For as many windows as there are cells of the interleaved map.
    """
    size = pair("dense_costs", "size", size, least=1)
    (row,) = scale_table(model, [size], offsets=offsets)
    C = model.input_shape[0]
    windows = row.output[0] * row.output[1]
    crop = summary(model, model.input_shape).macs
    head = crop - summary(model.features, model.input_shape).macs
    return Costs(windows, summary(model.features, (C, *size)).macs + windows * head, windows * crop)


def _pre_pool(model, size):
    """Rows and columns of the maps before the last pool."""
    return tuple(summary(model.features, (model.input_shape[0], *size)).rows[-1].output_shape[1:])


def pool_kernel(where, model):
    """Return the kernel of the last pool of a model, or say what is wrong with it."""
    pool = getattr(model, "pool5", None)
    if not isinstance(pool, nn.MaxPool2d) or pool.kernel_size != pool.stride:
        raise ValueError(
            f"{where}: {getattr(model, 'name', type(model).__name__)} has no `pool5` that does not "
            f"overlap; use overfeat_fast, overfeat_accurate or overfeat_small"
        )
    return pool.kernel_size
