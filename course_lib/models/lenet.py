"""LeNet-5, the reader of digits of 1998, with all its parts as the paper describes them."""

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from course_lib.shapes import check_labels, check_shapes, pair
from course_lib.torch_layers import Tanh

TABLE_I = (  # the maps of S2 that each of the 16 maps of C3 reads
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# Twelve rows of seven dots for each digit, as in Fig. 3 of the paper; drawn anew for this course.
BITMAPS = (
    ".#####.|#######|##...##|##...##|##...##|##...##|##...##|##...##|##...##|##...##|#######|.#####.",
    "...##..|..###..|.####..|...##..|...##..|...##..|...##..|...##..|...##..|...##..|.######|.######",
    ".#####.|#######|##...##|.....##|.....##|....##.|...##..|..##...|.##....|##.....|#######|#######",
    "######.|#######|.....##|.....##|.....##|..####.|..####.|.....##|.....##|.....##|#######|######.",
    "##.....|##.....|##..##.|##..##.|##..##.|##..##.|#######|#######|....##.|....##.|....##.|....##.",
    "#######|#######|##.....|##.....|######.|#######|.....##|.....##|.....##|##...##|#######|.#####.",
    "..####.|.#####.|##.....|##.....|##.....|######.|#######|##...##|##...##|##...##|#######|.#####.",
    "#######|#######|.....##|.....##|....##.|....##.|...##..|...##..|..##...|..##...|.##....|.##....",
    ".#####.|#######|##...##|##...##|##...##|.#####.|.#####.|##...##|##...##|##...##|#######|.#####.",
    ".#####.|#######|##...##|##...##|##...##|#######|.######|.....##|.....##|.....##|.#####.|.####..",
)


def lenet5(*, c3="sparse", subsampling="trainable", output="rbf", rng=None, device=None):
    """Build LeNet-5: 32x32 pixels, two rounds of convolution and subsampling, ten outputs.

    As in the paper it has 60,000 trainable parameters: C1 156, S2 12, C3 1,516, S4 32, C5 48,120
    and F6 10,164. Each layer up to F6 is followed by :class:`Squash`. The modern reading,
    ``lenet5(c3="dense", subsampling="average", output="linear")``, has 61,706.

    Parameters
    ----------
    c3 : {"sparse", "dense"}
        Whether a map of C3 reads the maps of S2 that Table I of the paper lists, or all six.
    subsampling : {"trainable", "average"}
        Whether S2 and S4 have a coefficient and a bias for each map, or are plain means.
    output : {"rbf", "linear"}
        Whether the scores are minus the squared distances from the fixed patterns of
        :func:`digit_codes`, or those of a full connection with 850 parameters.
    rng : torch.Generator, optional
        For the weights, which are drawn uniformly between ``-2.4 / D`` and ``2.4 / D`` for a unit
        with D inputs (appendix A); by default one with the seed 0. Biases are 0.
    device : device, optional
        Of the weights; "meta" for counting.

    Returns
    -------
    LeNet5
        A :class:`torch.nn.Sequential`. It takes images ``(N, 1, 32, 32)`` and gives scores
        ``(N, 10)``, of which the largest names the digit. Its parts are ``c1``, ``s2``, ``c3``,
        ``s4``, ``c5``, ``f6`` and ``output``, and between them ``squash1`` to ``squash6``. The
        original was fed -0.1 for paper and 1.175 for ink, about mean 0 and variance 1.

    Raises
    ------
    ValueError
        If an option is none of those above.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio & P. Haffner (1998), "Gradient-Based Learning Applied to Document
    Recognition", section II.B.
    """
    for name, value, options in (
        ("c3", c3, ("sparse", "dense")),
        ("subsampling", subsampling, ("trainable", "average")),
        ("output", output, ("rbf", "linear")),
    ):
        if value not in options:
            expected = " or ".join(map(repr, options))
            raise ValueError(f"lenet5: `{name}` is {value!r}, expected {expected}")
    on = {"device": device}
    trainable = subsampling == "trainable"
    layers = {
        "c1": nn.Conv2d(1, 6, 5, **on),  # 6 maps of 28 x 28
        "squash1": Squash(),
        "s2": Subsampling(6, 2, **on) if trainable else nn.AvgPool2d(2),  # 14 x 14
        "squash2": Squash(),
        "c3": TableConv2d(TABLE_I, 5, **on) if c3 == "sparse" else nn.Conv2d(6, 16, 5, **on),
        "squash3": Squash(),  # 16 maps of 10 x 10
        "s4": Subsampling(16, 2, **on) if trainable else nn.AvgPool2d(2),  # 5 x 5
        "squash4": Squash(),
        "c5": nn.Conv2d(16, 120, 5, **on),  # 120 maps of 1 x 1
        "squash5": Squash(),
        "flatten": nn.Flatten(),
        "f6": nn.Linear(120, 84, **on),
        "squash6": Squash(),
        "output": RBF(digit_codes().to(device)) if output == "rbf" else nn.Linear(84, 10, **on),
    }
    model = LeNet5(OrderedDict(layers))
    draw_uniformly(model, torch.Generator().manual_seed(0) if rng is None else rng)
    return model


def draw_uniformly(model, rng):
    """Draw each unit's weights between ``-2.4 / D`` and ``2.4 / D``, D its inputs; biases are 0."""
    for layer in model:
        if isinstance(layer, TableConv2d):
            parts = zip(layer.weight.split(layer.reads), layer.inputs(), strict=True)
        elif isinstance(layer, Subsampling):
            parts = [(layer.coefficient, math.prod(layer.kernel_size))]
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            parts = [(layer.weight, layer.weight[0].numel())]
        else:
            continue
        with torch.no_grad():
            layer.bias.zero_()
            for weight, inputs in parts:
                if not weight.is_meta:
                    drawn = torch.rand(weight.shape, generator=rng, device=rng.device)
                    weight.copy_((2 * drawn - 1) * 2.4 / inputs)


def digit_codes(dtype=torch.float32):
    """Return the patterns ``(10, 84)`` of +1 and -1 that stand for the digits in LeNet-5's output.

    Each is a picture of its digit, 12 rows of 7: ``digit_codes()[3].reshape(12, 7)``. The idea and
    the size are the paper's (section II.B); the pictures are drawn anew, for the digits alone.
    """
    rows = ["".join(picture.split("|")) for picture in BITMAPS]
    return torch.tensor([[1 if dot == "#" else -1 for dot in row] for row in rows], dtype=dtype)


def rbf_loss(scores, labels, *, rubbish=20.0):
    """Return the mean loss of LeNet-5: the squared distance from the right pattern, in competition.

    With the distances ``y = -scores``, this is ``y[label] + log(exp(-rubbish) + sum exp(-y))``:
    cross-entropy with one class more, the rubbish, whose score is always ``-rubbish``. The smaller
    `rubbish`, the less the other classes matter: far below the distances, the loss is
    ``y[label] - rubbish``.

    Parameters
    ----------
    scores : tensor, shape (N, K)
        Minus the squared distances.
    labels : tensor of int, shape (N,)
        The right classes, 0 to K - 1.
    rubbish : float
        The distance, positive, beyond which a wrong class is pushed no further; `j` in the paper.

    Returns
    -------
    tensor
        One number, positive, in nats.

    Raises
    ------
    TypeError, ValueError
        If the arrays are not as described, or `rubbish` is not positive.

    References
    ----------
    LeCun et al. (1998), section II.C, equation 9.
    """
    check_shapes("rbf_loss", scores=(scores, "N K"), labels=(labels, "N"))
    check_labels("rbf_loss", labels, scores.shape[1])
    if not rubbish > 0:
        raise ValueError(f"rbf_loss: `rubbish` is {rubbish!r}, expected a positive distance")
    extra = scores.new_full((len(scores), 1), -rubbish)
    return functional.cross_entropy(torch.cat([scores, extra], dim=1), labels)


class LeNet5(nn.Sequential):
    """The layers of LeNet-5, in order; :func:`lenet5` makes it. A slice is a plain Sequential."""

    name, input_shape = "LeNet-5", (1, 32, 32)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)

    def forward(self, x):
        check_shapes("lenet5", x=(x, "N 1 32 32"))
        return super().forward(x)


class Squash(Tanh):
    """Squash each number between -A and A: ``y = A * tanh(S * x)``, A = 1.7159, S = 2/3.

    So chosen, +1 goes to +1 and -1 to -1, the values of the output's patterns (appendix A).
    """

    A, S = 1.7159, 2 / 3

    def forward(self, x):
        return self.A * torch.tanh(self.S * x)


class Subsampling(nn.Module):
    """Add up each tile, times a coefficient, plus a bias: ``y = coefficient * sum + bias``.

    The windows do not overlap; coefficient and bias ``(C,)`` are trained, one each for a map.

    Parameters
    ----------
    channels : int
        Maps, C.
    kernel_size : int or pair of int
        Rows and columns of a tile, in pixels; the stride too.
    """

    def __init__(self, channels, kernel_size, *, device=None, dtype=None):
        super().__init__()
        self.kernel_size = self.stride = pair("Subsampling", "kernel_size", kernel_size, least=1)
        self.padding = 0
        self.coefficient = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))

    def forward(self, x):
        check_shapes("Subsampling", x=(x, "N C H W"), coefficient=(self.coefficient, "C"))
        tiles = functional.avg_pool2d(x, self.kernel_size, divisor_override=1)
        return tiles * self.coefficient[:, None, None] + self.bias[:, None, None]

    def cost(self, input_shape, output_shape):
        """Return the weights, and one multiplication for each tile."""
        return self.coefficient.numel(), math.prod(output_shape)


class TableConv2d(nn.Module):
    """Convolve, where a map reads only those maps of the input that a table lists.

    It has one kernel for each entry of the table: `weight` is ``(entries, KH, KW)``, row by row.

    Parameters
    ----------
    table : sequence of sequences of int
        For each map of the output the maps of the input that it reads, counted from 0.
    kernel_size : int or pair of int
        Rows and columns of a kernel, in pixels.

    Raises
    ------
    ValueError
        If a row of the table is empty or names a map twice.
    """

    def __init__(self, table, kernel_size, *, device=None, dtype=None):
        super().__init__()
        for f, row in enumerate(table):
            if not row or len(set(row)) < len(row):
                raise ValueError(
                    f"TableConv2d: row {f} of `table` is {row!r}, expected different maps, at "
                    f"least one"
                )
        self.kernel_size = pair("TableConv2d", "kernel_size", kernel_size, least=1)
        self.stride, self.padding = 1, 0
        self.in_channels, self.out_channels = 1 + max(map(max, table)), len(table)
        self.reads = [len(row) for row in table]
        entries = torch.tensor([(f, c) for f, row in enumerate(table) for c in row]).T
        self.register_buffer("entries", entries.to(device), persistent=False)
        weight = torch.empty(sum(self.reads), *self.kernel_size, device=device, dtype=dtype)
        bound = math.prod(self.kernel_size) ** -0.5
        self.weight = nn.Parameter(weight.uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(table), device=device, dtype=dtype))

    def inputs(self):
        """Return for each map of the output how many inputs a unit of it has."""
        return [reads * math.prod(self.kernel_size) for reads in self.reads]

    def dense_weight(self):
        """Return the weights of the full convolution, ``(F, C, KH, KW)``, 0 off the table."""
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        return self.weight.new_zeros(shape).index_put(tuple(self.entries), self.weight)

    def forward(self, x):
        return functional.conv2d(x, self.dense_weight(), self.bias)


class RBF(nn.Module):
    """Score each class by minus the squared distance from its pattern.

    ``y[n, k] = -sum((x[n] - codes[k]) ** 2)``. The patterns are not trained: they are a buffer.

    Parameters
    ----------
    codes : tensor, shape (K, D)
        The patterns; `x` is ``(N, D)``.
    """

    def __init__(self, codes):
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x):
        check_shapes("RBF", x=(x, "N D"), codes=(self.codes, "K D"))
        return -((x[:, None] - self.codes) ** 2).sum(dim=2)

    def cost(self, input_shape, output_shape):
        """Return no weights, since none is trained, and one square for each number of a code."""
        return 0, self.codes.numel()
