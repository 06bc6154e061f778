"""Layers in NumPy: for each a pair of functions, forward and backward, and a class over them.

Images are ``(N, C, H, W)``; float32 stays float32, float64 stays float64. A forward function
returns its output and a cache; the backward function takes the gradient of the loss with respect
to that output, and the cache, and returns the gradients with respect to the inputs.

Without a suffix (``conv2d``, ``relu``, ...) the same functions can stand inside ``grad``, ``jvp``
and ``hvp`` of :mod:`course_lib.autodiff`.
"""

from course_lib.numpy_layers.activation import (
    ReLU,
    Sigmoid,
    Tanh,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from course_lib.numpy_layers.conv import (
    Conv2d,
    ConvTranspose2d,
    conv2d_backward,
    conv2d_forward,
    conv_transpose2d_backward,
    conv_transpose2d_forward,
)
from course_lib.numpy_layers.initializers import he_normal, normal, xavier_normal
from course_lib.numpy_layers.linear import Flatten, Linear, linear_backward, linear_forward
from course_lib.numpy_layers.loss import (
    cross_entropy_backward,
    cross_entropy_forward,
    smooth_l1_backward,
    smooth_l1_forward,
)
from course_lib.numpy_layers.norm import BatchNorm, batch_norm_backward, batch_norm_forward
from course_lib.numpy_layers.optimizers import SGD, Adam
from course_lib.numpy_layers.pool import (
    AvgPool2d,
    MaxPool2d,
    avg_pool2d_backward,
    avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from course_lib.numpy_layers.primitives import (
    avg_pool2d,
    batch_norm,
    conv2d,
    conv_transpose2d,
    cross_entropy,
    linear,
    max_pool2d,
    relu,
    roi_align,
    roi_pool,
    sigmoid,
    smooth_l1,
    tanh,
)
from course_lib.numpy_layers.roi import (
    RoIAlign,
    RoIPool,
    roi_align_backward,
    roi_align_forward,
    roi_pool_backward,
    roi_pool_forward,
)
from course_lib.numpy_layers.sequential import Sequential

__all__ = [
    "SGD",
    "Adam",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "RoIAlign",
    "RoIPool",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv2d",
    "conv2d_backward",
    "conv2d_forward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_forward",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "he_normal",
    "linear",
    "linear_backward",
    "linear_forward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "normal",
    "relu",
    "relu_backward",
    "relu_forward",
    "roi_align",
    "roi_align_backward",
    "roi_align_forward",
    "roi_pool",
    "roi_pool_backward",
    "roi_pool_forward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_forward",
    "smooth_l1",
    "smooth_l1_backward",
    "smooth_l1_forward",
    "tanh",
    "tanh_backward",
    "tanh_forward",
    "xavier_normal",
]
