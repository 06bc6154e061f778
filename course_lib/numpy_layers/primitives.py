"""The layers as functions that :mod:`course_lib.autodiff` differentiates, to any order.

Each computes what its forward function computes, without the cache, and has rules for both modes:
``grad``, ``jvp`` and ``hvp`` go through a convolutional net. A convolution is linear in the images
and in the kernels, and so are its two gradients: the three are each other's derivatives. Pooling is
linear once it is known which pixel wins.
"""

import numpy as np

from course_lib.autodiff import primitive
from course_lib.autodiff.engine import plain
from course_lib.numpy_layers.activation import (
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from course_lib.numpy_layers.conv import conv2d_forward, gradient_of_images, gradient_of_kernels
from course_lib.numpy_layers.linear import linear_forward
from course_lib.numpy_layers.loss import (
    cross_entropy_backward,
    cross_entropy_forward,
    smooth_l1_forward,
)
from course_lib.numpy_layers.norm import batch_norm_backward, batch_norm_forward
from course_lib.numpy_layers.pool import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from course_lib.numpy_layers.roi import (
    pick,
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
    weigh,
    weighing_work,
)
from course_lib.numpy_layers.windows import pad
from course_lib.shapes import (
    check_attention,
    check_batch_norm,
    check_floats,
    check_gru,
    check_rnn,
    check_shapes,
    check_tokens,
    conv_geometry,
    pool_geometry,
    transposed_geometry,
)


def shaped(shape, dtype):
    """Return a stand-in for an array of which only the shape and the dtype matter."""
    return np.broadcast_to(np.zeros((), dtype), shape)


@primitive(
    jvp=(
        lambda x_dot, y, x, weight, bias, **options: convolve(x_dot, weight, **options),
        lambda weight_dot, y, x, weight, bias, **options: convolve(x, weight_dot, **options),
        lambda bias_dot, y, *args, **options: np.broadcast_to(bias_dot[:, None, None], y.shape),
    ),
    vjp=(
        lambda dy, x, weight, bias, **options: conv2d_images(dy, weight, x.shape, **options),
        lambda dy, x, weight, bias, **options: conv2d_kernels(dy, x, weight.shape, **options),
        lambda dy, x, weight, bias, **options: np.sum(dy, axis=(0, 2, 3)),
    ),
    keeps="inputs",
    cost=lambda y, x, weight, bias, **options: (np.size(y) * weight[0].size, 0),
)
def conv2d(x, weight, bias, *, stride=1, padding=0):
    """Return the output of :func:`conv2d_forward`; can be differentiated in `x, weight, bias`."""
    return conv2d_forward(x, weight, bias, stride=stride, padding=padding)[0]


def convolve(x, weight, **options):
    """Return the convolution without a bias."""
    return conv2d(x, weight, np.zeros(len(weight), x.dtype), **options)


@primitive(
    jvp="linear",
    vjp=(
        lambda bar, dy, weight, shape, **options: convolve(bar, weight, **options),
        lambda bar, dy, weight, shape, **options: conv2d_kernels(dy, bar, weight.shape, **options),
    ),
    keeps="inputs",
    cost=lambda dx, dy, weight, shape, **options: (np.size(dy) * weight[0].size, 0),
)
def conv2d_images(dy, weight, shape, *, stride=1, padding=0):
    """Return ``dx`` of :func:`conv2d_backward` for images of this shape."""
    geometry = conv_geometry("conv2d", shaped(shape, dy.dtype), weight.shape[2:], stride, padding)
    dy = dy.reshape(*dy.shape[:2], -1)
    return gradient_of_images(dy, weight, shaped(shape, dy.dtype), geometry)


def conv_transpose2d(x, weight, bias, *, stride=1, padding=0, output_padding=0):
    """Return the output of :func:`conv_transpose2d_forward`; can be differentiated in all arrays.

    It is ``dx`` of a convolution, whose rules it has, plus the bias.
    """
    named = {"x": (x, "N C H W"), "weight": (weight, "C F KH KW"), "bias": (bias, "F")}
    check_shapes("conv_transpose2d", **named)
    check_floats("conv_transpose2d", x=x, weight=weight, bias=bias)
    N, (_, F, KH, KW) = len(x), weight.shape
    _, size = transposed_geometry("conv_transpose2d", x, (KH, KW), stride, padding, output_padding)
    y = conv2d_images(x, weight, (N, F, *size), stride=stride, padding=padding)
    return y + bias[:, None, None]


@primitive(
    jvp="linear",
    vjp=(
        lambda bar, dy, x, shape, **options: convolve(x, bar, **options),
        lambda bar, dy, x, shape, **options: conv2d_images(dy, bar, x.shape, **options),
    ),
    keeps="inputs",
    cost=lambda dweight, dy, x, shape, **options: (np.size(dy) * dweight[0].size, 0),
)
def conv2d_kernels(dy, x, shape, *, stride=1, padding=0):
    """Return ``dweight`` of :func:`conv2d_backward` for kernels of this shape."""
    geometry = conv_geometry("conv2d", x, shape[2:], stride, padding)
    return gradient_of_kernels(dy.reshape(*dy.shape[:2], -1), x, shaped(shape, x.dtype), geometry)


def pixels(kernel_size):
    """Return the number of pixels in a window."""
    return int(np.prod(np.broadcast_to(kernel_size, 2)))


def max_pool2d(x, kernel_size, *, stride=None, padding=0):
    """Return the output of :func:`max_pool2d_forward`; can be differentiated in `x`."""
    y, cache = max_pool2d_forward(plain(x), kernel_size, stride=stride, padding=padding)
    if x is plain(x):
        return y
    cache[0].flags.writeable = False  # so that a tape does not copy the places
    return winners(x, cache)


@primitive(
    jvp="linear",
    vjp=lambda dy, shape, cache: to_winners(dy, cache),
    keeps="shapes",
    cost=lambda y, x, cache: (0, np.size(y) * np.prod(cache[3].kernel)),
    name="max_pool2d",
)
def winners(x, cache):
    """Return of each window the pixel that `cache` says is its maximum."""
    source, *_, geometry = cache
    return pad(x, geometry.padding).reshape(-1)[source]


@primitive(
    jvp="linear",
    vjp=lambda bar, shape, cache: winners(bar, cache),
    keeps="shapes",
    cost=lambda dx, dy, cache: (0, np.size(dy)),
)
def to_winners(dy, cache):
    """Return ``dx`` of :func:`max_pool2d_backward`."""
    return max_pool2d_backward(dy, cache)


@primitive(
    jvp="linear",
    vjp=lambda dy, shape, *args, **options: share(dy, shape, *args, **options),
    keeps="shapes",
    cost=lambda y, x, kernel_size, **options: (0, np.size(y) * pixels(kernel_size)),
)
def avg_pool2d(x, kernel_size, *, stride=None, padding=0):
    """Return the output of :func:`avg_pool2d_forward`; can be differentiated in `x`."""
    return avg_pool2d_forward(x, kernel_size, stride=stride, padding=padding)[0]


@primitive(
    jvp="linear",
    vjp=lambda bar, dy, shape, *args, **options: avg_pool2d(bar, *args, **options),
    keeps="shapes",
    cost=lambda dx, dy, shape, kernel_size, **options: (0, np.size(dy) * pixels(kernel_size)),
)
def share(dy, shape, kernel_size, *, stride=None, padding=0):
    """Return ``dx`` of :func:`avg_pool2d_backward` for images of this shape."""
    x = shaped(shape, dy.dtype)
    geometry = pool_geometry("avg_pool2d", x, kernel_size, stride, padding)
    return avg_pool2d_backward(dy, (shape, dy.dtype, geometry))


def roi_pool(x, boxes, image_index, output_size, *, spatial_scale=1.0):
    """Return the output of :func:`roi_pool_forward`; can be differentiated in `x`."""
    where = boxes, image_index, output_size
    y, cache = roi_pool_forward(plain(x), *where, spatial_scale=spatial_scale)
    if x is plain(x):
        return y
    cache[0].flags.writeable = False  # so that a tape does not copy the places
    return picked(x, cache)


@primitive(
    jvp="linear",
    vjp=lambda dy, shape, cache: to_picked(dy, cache),
    keeps="shapes",
    cost=lambda y, x, cache: (0, np.size(y)),
    name="roi_pool",
)
def picked(x, cache):
    """Return of each bin the cell that `cache` says is its maximum."""
    return pick(x, cache)


@primitive(
    jvp="linear",
    vjp=lambda bar, shape, cache: picked(bar, cache),
    keeps="shapes",
    cost=lambda dx, dy, cache: (0, np.size(dy)),
)
def to_picked(dy, cache):
    """Return ``dx`` of :func:`roi_pool_backward`."""
    return roi_pool_backward(dy, cache)


def roi_align(x, boxes, image_index, output_size, **options):
    """Return the output of :func:`roi_align_forward`; can be differentiated in `x`."""
    y, cache = roi_align_forward(plain(x), boxes, image_index, output_size, **options)
    return y if x is plain(x) else weighed(x, cache)


@primitive(
    jvp="linear",
    vjp=lambda dy, shape, cache: to_weighed(dy, cache),
    keeps="shapes",
    cost=lambda y, x, cache: (weighing_work(x.shape[1], cache), 0),
    name="roi_align",
)
def weighed(x, cache):
    """Return the output of :func:`roi_align_forward` that belongs to its `cache`."""
    return weigh(x, cache)


@primitive(
    jvp="linear",
    vjp=lambda bar, shape, cache: weighed(bar, cache),
    keeps="shapes",
    cost=lambda dx, dy, cache: (weighing_work(dy.shape[1], cache), 0),
)
def to_weighed(dy, cache):
    """Return ``dx`` of :func:`roi_align_backward`."""
    return roi_align_backward(dy, cache)


@primitive(
    jvp=(
        lambda x_dot, y, x, weight, bias: x_dot @ weight.T,
        lambda weight_dot, y, x, weight, bias: x @ weight_dot.T,
        lambda bias_dot, y, x, weight, bias: np.broadcast_to(bias_dot, y.shape),
    ),
    vjp=(
        lambda dy, x, weight, bias: dy @ weight,
        lambda dy, x, weight, bias: dy.T @ x,
        lambda dy, x, weight, bias: np.sum(dy, axis=0),
    ),
    keeps="inputs",
    cost=lambda y, x, weight, bias: (np.size(y) * x.shape[1], 0),
)
def linear(x, weight, bias):
    """Return the output of :func:`linear_forward`; can be differentiated in all arguments."""
    return linear_forward(x, weight, bias)[0]


@primitive(
    jvp=lambda x_dot, y, x: relu_backward(x_dot, (x,)),
    vjp=lambda dy, x: relu_backward(dy, (x,)),
    keeps="inputs",
)
def relu(x):
    """Return the output of :func:`relu_forward`; the slope at 0 is 0."""
    return relu_forward(x)[0]


@primitive(
    jvp=lambda x_dot, y, x: sigmoid_backward(x_dot, (y,)),
    vjp=lambda dy, y: sigmoid_backward(dy, (y,)),
    keeps="output",
)
def sigmoid(x):
    """Return the output of :func:`sigmoid_forward`; can be differentiated."""
    return sigmoid_forward(x)[0]


@primitive(
    jvp=lambda x_dot, y, x: tanh_backward(x_dot, (y,)),
    vjp=lambda dy, y: tanh_backward(dy, (y,)),
    keeps="output",
)
def tanh(x):
    """Return the output of :func:`tanh_forward`; can be differentiated."""
    return tanh_forward(x)[0]


def batch_norm(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    """Return the output of :func:`batch_norm_forward`; can be differentiated in all arrays."""
    check_batch_norm("batch_norm", x, gamma, beta, mean, var)
    channels = (-1, *(1,) * (x.ndim - 2))
    if mean is None:
        x_hat = normalize(x, eps)
    else:
        x_hat = (x - np.reshape(mean, channels)) / np.sqrt(np.reshape(var, channels) + eps)
    return gamma.reshape(channels) * x_hat + beta.reshape(channels)


def through_normalize(d, x_hat, x, eps):
    """Return the change of `x_hat` for one of `x`, and the gradient of `x` for one of `x_hat`.

    It is the same function: the Jacobian of the normalisation is symmetric.
    """
    std = np.sqrt(np.var(x, axis=(0, *range(2, x.ndim))) + eps)
    return batch_norm_backward(d, (x_hat, np.ones(x.shape[1], x.dtype), std, True))[0]


@primitive(
    jvp=through_normalize,
    vjp=through_normalize,
    cost=lambda x_hat, x, eps: (0, 5 * np.size(x)),
)
def normalize(x, eps):
    """Return each channel with mean 0 and variance 1, by the batch's own statistics."""
    channels = shaped(x.shape[1], x.dtype)
    return batch_norm_forward(x, channels + 1, channels, eps=eps)[0]


def cross_entropy_slope(logits, labels):
    """Return the gradient of the loss with respect to the logits."""
    _, cache = cross_entropy_forward(logits, labels)
    return cross_entropy_backward(1.0, cache)


@primitive(
    jvp=lambda x_dot, y, logits, labels: np.sum(x_dot * cross_entropy_slope(logits, labels)),
    vjp=lambda dy, logits, labels: dy * cross_entropy_slope(logits, labels),
    keeps="inputs",
    cost=lambda y, logits, labels: (0, 5 * np.size(logits)),
)
def cross_entropy(logits, labels):
    """Return the output of :func:`cross_entropy_forward`; can be differentiated in `logits`."""
    return cross_entropy_forward(logits, labels)[0]


def smooth_l1_slope(predicted, targets, *, beta=1.0):
    """Return the gradient of the loss with respect to the predictions."""
    return np.clip((predicted - targets) / beta, -1, 1) / np.size(predicted)


@primitive(
    jvp=(
        lambda p_dot, y, p, t, **options: np.sum(p_dot * smooth_l1_slope(p, t, **options)),
        lambda t_dot, y, p, t, **options: -np.sum(t_dot * smooth_l1_slope(p, t, **options)),
    ),
    vjp=(
        lambda dy, p, t, **options: dy * smooth_l1_slope(p, t, **options),
        lambda dy, p, t, **options: -dy * smooth_l1_slope(p, t, **options),
    ),
    keeps="inputs",
    cost=lambda y, p, t, **options: (0, 5 * np.size(p)),
)
def smooth_l1(predicted, targets, *, beta=1.0):
    """Return the output of :func:`smooth_l1_forward`; can be differentiated in both arrays."""
    return smooth_l1_forward(predicted, targets, beta=beta)[0]


def embedding(tokens, weight):
    """Return the output of :func:`embedding_forward`; can be differentiated in `weight`."""
    check_tokens("embedding", tokens, weight)
    return weight[tokens]


def rnn_step(x, h, weight_x, weight_h, bias):
    """Return the output of :func:`rnn_step_forward`; can be differentiated in all arguments."""
    check_rnn("rnn_step", x, h, weight_x, weight_h, bias, axes="N D")
    return np.tanh(x @ weight_x.T + h @ weight_h.T + bias)


def rnn(x, h0, weight_x, weight_h, bias):
    """Return the output of :func:`rnn_forward`; can be differentiated in all arguments."""
    check_rnn("rnn", x, h0, weight_x, weight_h, bias, axes="N T D")
    return unrolled(rnn_step, x, h0, weight_x, weight_h, bias)


def gru_step(x, h, weight_x, weight_h, bias_x, bias_h):
    """Return the output of :func:`gru_step_forward`; can be differentiated in all arguments."""
    check_gru("gru_step", x, h, weight_x, weight_h, bias_x, bias_h, axes="N D")
    H = h.shape[1]
    from_x, from_h = x @ weight_x.T + bias_x, h @ weight_h.T + bias_h
    gates = sigmoid(from_x[:, : 2 * H] + from_h[:, : 2 * H])
    r, z = gates[:, :H], gates[:, H:]
    candidate = np.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :])
    return (1 - z) * candidate + z * h


def gru(x, h0, weight_x, weight_h, bias_x, bias_h):
    """Return the output of :func:`gru_forward`; can be differentiated in all arguments."""
    check_gru("gru", x, h0, weight_x, weight_h, bias_x, bias_h, axes="N T D")
    return unrolled(gru_step, x, h0, weight_x, weight_h, bias_x, bias_h)


def unrolled(step, x, state, *weights):
    """Return the states ``(N, T, H)`` of so many steps in a row."""
    states = []
    for t in range(x.shape[1]):
        state = step(x[:, t], state, *weights)
        states.append(state)
    return np.stack(states, axis=1) if states else np.zeros((len(x), 0, state.shape[1]), x.dtype)


def attention(query, keys, values, weight_query, weight_keys, score):
    """Return the context of :func:`attention_forward`; can be differentiated in all arguments."""
    check_attention("attention", query, keys, values, weight_query, weight_keys, score)
    hidden = np.tanh((query @ weight_query.T)[:, None] + keys @ weight_keys.T)
    scores = hidden @ score
    e = np.exp(scores - np.max(plain(scores), axis=1, keepdims=True))
    weights = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(weights[:, :, None] * values, axis=1)
