"""What a model costs, layer by layer: shapes, parameters, operations, receptive fields.

Conventions. A layer's `weights` are its parameters without biases; buffers, such as running
averages, are no parameters. `activations` is the number of values that it puts out. `macs` counts
the multiplications with weights: of a convolution, weights times places, so that groups and sparse
connections count as what they are; biases, pools, norms and activation functions count 0.
`receptive_field` and `stride` are in pixels of the image, by the arithmetic of the module
:mod:`course_lib.models.receptive_field`; a fully connected layer has no stride.

A layer of one's own whose weights are not used like that says so in a method
``cost(input_shape, output_shape) -> (weights, macs)``, shapes without the batch. A model may have a
`name` for the caption.
"""

from dataclasses import dataclass, replace
from html import escape
from math import prod

from torch import nn

from course_lib import torch_layers
from course_lib.models.tracing import find, trace, window_of

__all__ = ["LayerRow", "Summary", "summary"]


@dataclass(frozen=True)
class LayerRow:
    """One layer, as :func:`summary` sees it; shapes are without the batch."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    weights: int
    activations: int
    macs: int
    receptive_field: int | tuple | None
    stride: int | tuple | None
    path: str = ""
    pointwise: bool = False

    @property
    def memory(self):
        """Bytes of its activations for one image in float32, as a forward pass holds them."""
        return 4 * self.activations


@dataclass(frozen=True, repr=False)
class Summary:
    """A table of layers with totals; it shows itself as text, and as HTML in a notebook."""

    model: str
    input_shape: tuple[int, ...]
    rows: tuple[LayerRow, ...]

    @property
    def parameters(self):
        """Number of parameters, biases included."""
        return sum(row.parameters for row in self.rows)

    @property
    def weights(self):
        """Number of parameters without biases."""
        return sum(row.weights for row in self.rows)

    @property
    def activations(self):
        """Number of values that all layers put out for one image; the image is not counted."""
        return sum(row.activations for row in self.rows)

    @property
    def memory(self):
        """Bytes of all activations for one image in float32; training keeps them."""
        return sum(row.memory for row in self.rows)

    @property
    def macs(self):
        """Multiply-accumulates for one image."""
        return sum(row.macs for row in self.rows)

    @property
    def receptive_field(self):
        """Pixels that the unit with the widest view sees; None if no layer's view is known."""
        known = [row.receptive_field for row in self.rows if row.receptive_field is not None]
        pair = [size if isinstance(size, tuple) else (size, size) for size in known]
        return known[pair.index(max(pair))] if known else None

    def row(self, name):
        """Return the row of a layer; raise a ValueError if there is none, or several."""
        return self.rows[find("row", self.rows, name)]

    def condensed(self):
        """Leave out layers that can overwrite their input, such as ReLU, dropout and flattening.

        Their values then count once, as on the slides and in most published tables.
        """
        return replace(self, rows=tuple(row for row in self.rows if not row.pointwise))

    def _table(self):
        """The texts of the header and of the rows, the totals last."""
        head = ["layer", "kind", "output", "parameters", "activations", "MACs"]
        body = []
        for row in self.rows:
            counts = row.parameters, row.activations, row.macs
            sees = _pixels(row.receptive_field), _pixels(row.stride)
            body.append([row.name, row.kind, _shape(row.output_shape), *counts, *sees])
        total = ["total", f"{len(self.rows)} layers", "-", self.parameters, self.activations]
        body.append([*total, self.macs, _pixels(self.receptive_field), "-"])
        texts = [[f"{x:,}" if isinstance(x, int) else x for x in line] for line in body]
        return [*head, "field (px)", "stride (px)"], texts

    def _caption(self):
        return f"{self.model} on an image of {_shape(self.input_shape)}"

    def __repr__(self):
        head, body = self._table()
        lines = [head, *body]
        width = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = [
            "  ".join(
                text.ljust(w) if i < 3 else text.rjust(w)
                for i, (text, w) in enumerate(zip(line, width, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self._caption(), *texts])

    def _repr_html_(self):
        head, body = self._table()
        titles = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
        lines = "\n".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(f"<td>{escape(text)}</td>" for text in rest)
            + "</tr>"
            for name, *rest in body
        )
        return (
            f'<table class="course-summary"><caption>{escape(self._caption())}</caption>\n'
            f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{lines}\n</tbody></table>"
        )


def summary(model, input_shape):
    """Count what a model costs on one image, by following the image through its layers.

    Nothing is computed, so a model on the device "meta" will do, and a large one takes no memory:
    ``summary(vgg16(device="meta"), (3, 224, 224))``.

    Parameters
    ----------
    model : torch.nn.Module
        Runs in its present mode: a head that is off in evaluation has no row and no cost then.
    input_shape : tuple of int
        ``(C, H, W)``, without the batch.

    Returns
    -------
    Summary

    Raises
    ------
    TypeError, ValueError
        If the model does not take such images.

    Examples
    --------
    >>> from torch import nn
    >>> summary(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)), (1, 32, 32))
    Sequential on an image of 1 x 32 x 32
    layer  kind       output       parameters  activations     MACs  field (px)  stride (px)
    0      Conv2d     6 x 28 x 28         156        4,704  117,600           5            1
    1      ReLU       6 x 28 x 28           0        4,704        0           5            1
    2      MaxPool2d  6 x 14 x 14           0        1,176        0           6            2
    total  3 layers   -                   156       10,584  117,600           6            -
    """
    counted, rows = set(), []
    for visit in trace(model, input_shape):
        parameters, weights, macs = _cost(visit)
        if visit.path in counted:  # the same weights, used again
            parameters = weights = 0
        counted.add(visit.path)
        rows.append(_row(visit, parameters, weights, macs))
    name = getattr(model, "name", type(model).__name__)
    return Summary(name, tuple(input_shape), tuple(rows))


def _row(visit, parameters, weights, macs):
    field, is_map = visit.field, len(visit.output_shape) == 3
    return LayerRow(
        name=visit.name,
        kind=type(visit.layer).__name__,
        output_shape=visit.output_shape,
        parameters=parameters,
        weights=weights,
        activations=prod(visit.output_shape),
        macs=macs,
        receptive_field=field and field.size,
        stride=field.stride if field and is_map else None,
        path=visit.path,
        pointwise=_overwrites(visit),
    )


def _overwrites(visit):
    """Whether a layer can write its output over its input, as ReLU, dropout and flattening can."""
    layer, tensors = visit.layer, (*visit.layer.parameters(), *visit.layer.buffers())
    same = prod(visit.input_shape) == prod(visit.output_shape)
    alone = not tensors and window_of(layer) is None and not isinstance(layer, nn.LocalResponseNorm)
    return same and alone


def _cost(visit):
    """Parameters, weights and multiply-accumulates of one run of a layer."""
    named = list(visit.layer.named_parameters())
    parameters = sum(p.numel() for _, p in named)
    if hasattr(visit.layer, "cost"):
        return parameters, *visit.layer.cost(visit.input_shape, visit.output_shape)
    kernels = [p for name, p in named if "bias" not in name and "beta" not in name]
    transposed = isinstance(visit.layer, nn.ConvTranspose2d | torch_layers.ConvTranspose2d)
    shape = visit.input_shape if transposed else visit.output_shape
    places = prod(shape[1:] if len(shape) == 3 else shape[:-1])  # where the weights are used
    macs = places * sum(p.numel() for p in kernels if p.ndim > 1)
    return parameters, sum(p.numel() for p in kernels), macs


def _shape(shape):
    return " x ".join(map(str, shape))


def _pixels(size):
    if size is None:
        return "-"
    return _shape(size) if isinstance(size, tuple) else str(size)
