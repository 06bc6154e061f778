"""The layers of :mod:`course_lib.numpy_layers` in PyTorch, file by file, on any device.

The functions have the same arguments and work by the same method; autograd supplies the backward
passes. The classes are modules, with parameters of the same names; :class:`torch.nn.Sequential`
and :mod:`torch.optim` take the place of `Sequential`, `SGD` and `Adam`.
"""

from course_lib.torch_layers.activation import ReLU, Sigmoid, Tanh, relu, sigmoid, tanh
from course_lib.torch_layers.attention import Attention, attention
from course_lib.torch_layers.conv import Conv2d, ConvTranspose2d, conv2d, conv_transpose2d
from course_lib.torch_layers.initializers import he_normal, normal, xavier_normal
from course_lib.torch_layers.linear import Flatten, Linear, linear
from course_lib.torch_layers.loss import cross_entropy, smooth_l1
from course_lib.torch_layers.norm import BatchNorm, batch_norm
from course_lib.torch_layers.pool import AvgPool2d, MaxPool2d, avg_pool2d, max_pool2d
from course_lib.torch_layers.recurrent import (
    GRU,
    RNN,
    Embedding,
    embedding,
    gru,
    gru_step,
    rnn,
    rnn_step,
)
from course_lib.torch_layers.roi import RoIAlign, RoIPool, roi_align, roi_pool

__all__ = [
    "GRU",
    "RNN",
    "Attention",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Embedding",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "RoIAlign",
    "RoIPool",
    "Sigmoid",
    "Tanh",
    "attention",
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "embedding",
    "gru",
    "gru_step",
    "he_normal",
    "linear",
    "max_pool2d",
    "normal",
    "relu",
    "rnn",
    "rnn_step",
    "roi_align",
    "roi_pool",
    "sigmoid",
    "smooth_l1",
    "tanh",
    "xavier_normal",
]
