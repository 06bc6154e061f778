"""What cuts regions out of maps: ours, or a layer of one's own, written in NumPy or not."""

import numpy as np
import torch

from course_lib.torch_layers import roi_align, roi_pool

__all__ = ["numpy_pooling"]

POOLINGS = {"pool": roi_pool, "align": roi_align}


def pooling_function(where, pooling):
    """Return the function that `pooling` names, or `pooling` itself if it is one."""
    if callable(pooling):
        return pooling
    if pooling not in POOLINGS:
        raise ValueError(
            f"{where}: `pooling` is {pooling!r}, expected 'pool', 'align' or a function of maps, "
            f"boxes, image_index, output_size and spatial_scale"
        )
    return POOLINGS[pooling]


def numpy_pooling(forward, backward):
    """Turn a pair of NumPy functions into one of PyTorch, through which gradients flow.

    With it, a layer of one's own takes its place in a detector, and is trained through.

    Parameters
    ----------
    forward : callable
        ``forward(x, boxes, image_index, output_size, spatial_scale=...) -> (y, cache)``, as
        :func:`course_lib.numpy_layers.roi_pool_forward`: maps ``(N, C, H, W)``, boxes ``(R, 4)``
        and the number ``(R,)`` of each box's image, to ``(R, C, PH, PW)``.
    backward : callable
        ``backward(dy, cache) -> dx``, of the shape of x. The boxes get no gradient.

    Returns
    -------
    callable
        ``pool(maps, boxes, image_index, output_size, *, spatial_scale=1.0)`` of tensors. What the
        pair returns is converted to the type of the maps, and put on their device.

    Raises
    ------
    TypeError, ValueError
        By the returned function, if the pair returns something else, or of another shape.

    Examples
    --------
    >>> pooling = numpy_pooling(roi_pool_forward, roi_pool_backward)
    >>> detector = FastRCNN(body, num_classes=10, pooling=pooling)
    """

    class Pooling(torch.autograd.Function):
        @staticmethod
        def forward(ctx, maps, boxes, image_index, output_size, spatial_scale):
            arrays = (t.detach().cpu().numpy() for t in (maps, boxes, image_index))
            answer = forward(*arrays, output_size, spatial_scale=spatial_scale)
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise TypeError(
                    f"numpy_pooling: `forward` returned a {type(answer).__name__}, expected the "
                    f"pair (y, cache)"
                )
            y, ctx.cache = answer
            ctx.shape = tuple(maps.shape)
            return like(maps, y, "forward", (len(boxes), maps.shape[1], *output_size))

        @staticmethod
        def backward(ctx, dy):
            dx = backward(dy.cpu().numpy(), ctx.cache)
            return like(dy, dx, "backward", ctx.shape), None, None, None, None

    def pool(maps, boxes, image_index, output_size, *, spatial_scale=1.0):
        """Pool regions of maps with a pair of NumPy functions."""
        return Pooling.apply(maps, boxes, image_index, tuple(output_size), spatial_scale)

    return pool


def like(tensor, array, name, shape):
    """Return an array as a tensor of the type of another, if it has the shape that it should."""
    if np.shape(array) != shape:
        raise ValueError(
            f"numpy_pooling: `{name}` returned shape {np.shape(array)}, expected {shape}"
        )
    return torch.from_numpy(np.array(array)).to(tensor)
