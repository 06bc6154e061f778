"""The three networks of MTCNN, and their trained weights, which come inside an installed package.

P-Net, R-Net and O-Net look at windows of 12, 24 and 48 pixels and say whether this is a face, and
where in the window it is; O-Net also places the eyes, the nose and the mouth. P-Net has no full
connection, and so takes images of any size. How the three work together is in
:mod:`course_lib.detection.mtcnn`.

The package `mtcnn` (MIT) is written for TensorFlow and cannot be imported without it: only its
files of weights are read, nothing is downloaded.

References
----------
K. Zhang, Z. Zhang, Z. Li & Y. Qiao (2016), "Joint Face Detection and Alignment Using Multitask
Cascaded Convolutional Networks", figure 2.
"""

import importlib.util
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

P_WINDOW, R_WINDOW, O_WINDOW = 12, 24, 48  # pixels a side
STRIDE = 2  # pixels from one window of P-Net's to the next
LANDMARKS = "left eye", "right eye", "nose", "left mouth corner", "right mouth corner"  # as seen


class FaceScores(NamedTuple):
    """What P-Net and R-Net say of windows: one N and more axes ``...`` for a map of windows.

    `scores` ``(N, 2, ...)`` are logits, not a face and a face; `offsets` ``(N, 4, ...)`` move the
    edges ``x1 y1 x2 y2`` of a window, in its sides.
    """

    scores: torch.Tensor
    offsets: torch.Tensor


class AlignedFaces(NamedTuple):
    """What O-Net says of windows: as :class:`FaceScores`, and landmarks ``(N, 10)``.

    The landmarks are five x and then five y, 0 to 1 from the left or upper edge of the window.
    """

    scores: torch.Tensor
    offsets: torch.Tensor
    landmarks: torch.Tensor


class FaceNet(nn.Module):
    """A body `features` and a head for each task, which share all but their last layer.

    Parameters
    ----------
    features : list of (str, nn.Module)
        In the order in which they run.
    width : int
        Channels, or features, that come out of them.
    head : nn.Conv2d (1x1) or nn.Linear
        The type of the heads.
    landmarks : bool
        Whether there is a third head.
    """

    def __init__(self, features, width, head, *, landmarks=False):
        super().__init__()
        options = {"kernel_size": 1} if head is nn.Conv2d else {}
        self.features = nn.Sequential(OrderedDict(features))
        self.classifier = head(width, 2, **options)
        self.box_head = head(width, 4, **options)
        if landmarks:
            self.landmark_head = head(width, 2 * len(LANDMARKS), **options)

    def forward(self, x):
        """Return :class:`FaceScores` or :class:`AlignedFaces` of images ``(N, 3, H, W)``.

        The pixels are ``(grey value - 127.5) / 128``, red, green and blue.
        """
        h = self.features(x)
        two = self.classifier(h), self.box_head(h)
        return AlignedFaces(*two, self.landmark_head(h)) if self.aligns else FaceScores(*two)

    @property
    def aligns(self):
        """Whether the network places landmarks."""
        return hasattr(self, "landmark_head")


def p_net():
    """Return the proposal network, untrained: 6,632 parameters, windows of 12 pixels.

    It takes images of any size from 12 by 12 pixels on, and gives maps ``(N, K, h, w)`` with one
    cell for each window that fits, 2 pixels apart: ``h = (H - 12) // 2 + 1``. The published network
    rounds up where it pools, and so has another window at some edges, one pixel of which is
    beyond; and it pools 2x2, not 3x3 as in the figure.

    Returns
    -------
    FaceNet
    """
    features = [
        *convolution(1, 3, 10, 3),
        ("pool1", nn.MaxPool2d(2, 2)),
        *convolution(2, 10, 16, 3),
        *convolution(3, 16, 32, 3),
    ]
    return FaceNet(features, 32, nn.Conv2d)


def r_net():
    """Return the refinement network, untrained: 100,178 parameters, windows of 24 pixels.

    Returns
    -------
    FaceNet
        Of images ``(N, 3, 24, 24)`` and no other size.
    """
    features = [
        *convolution(1, 3, 28, 3),
        ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
        *convolution(2, 28, 48, 3),
        ("pool2", nn.MaxPool2d(3, 2)),
        *convolution(3, 48, 64, 2),
        *full_connection(4, 64 * 3 * 3, 128),
    ]
    return FaceNet(features, 128, nn.Linear)


def o_net():
    """Return the output network, untrained: 389,040 parameters, windows of 48 pixels.

    Returns
    -------
    FaceNet
        Of images ``(N, 3, 48, 48)`` and no other size; with landmarks.
    """
    features = [
        *convolution(1, 3, 32, 3),
        ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
        *convolution(2, 32, 64, 3),
        ("pool2", nn.MaxPool2d(3, 2)),
        *convolution(3, 64, 64, 3),
        ("pool3", nn.MaxPool2d(2, 2)),
        *convolution(4, 64, 128, 2),
        *full_connection(5, 128 * 3 * 3, 256),
    ]
    return FaceNet(features, 256, nn.Linear, landmarks=True)


def load_mtcnn():
    """Return the three networks with their trained weights, in evaluation mode.

    Returns
    -------
    p, r, o : FaceNet
        On the CPU, float32.

    Raises
    ------
    ModuleNotFoundError
        If the package with the weights, or what its files are packed with, is not installed; the
        error says how to get them.
    """
    folder, load = weights_folder(), reader()
    networks = p_net(), r_net(), o_net()
    for network, name in zip(networks, ("pnet", "rnet", "onet"), strict=True):
        fill(network, load(folder / f"{name}.lz4"))
    return networks


def convolution(index, channels, filters, kernel):
    """Return a convolution without padding and its PReLU, named."""
    prelu = nn.PReLU(filters, init=0.25)
    return (f"conv{index}", nn.Conv2d(channels, filters, kernel)), (f"prelu{index}", prelu)


def full_connection(index, inputs, outputs):
    """Return the end of the maps, a full connection and its PReLU, named."""
    prelu = nn.PReLU(outputs, init=0.25)
    layers = ("flatten", nn.Flatten()), (f"fc{index}", nn.Linear(inputs, outputs))
    return *layers, (f"prelu{index}", prelu)


def weights_folder():
    """Return the folder of the package's weights, without importing the package."""
    found = importlib.util.find_spec("mtcnn")
    if found is None:
        raise ModuleNotFoundError(
            "load_mtcnn: the package mtcnn, which holds the weights, is not installed; get it with "
            "`pip install mtcnn`, which does not bring TensorFlow, nor is it needed",
            name="mtcnn",
        )
    return Path(found.origin).parent / "assets" / "weights"


def reader():
    """Return what reads the package's files."""
    for name in ("joblib", "lz4"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(
                f"load_mtcnn: the package {name}, which the weights are packed with, is not "
                f"installed; get it with `pip install {name}`",
                name=name,
            )
    import joblib

    return joblib.load


def fill(network, arrays):
    """Copy the weights of TensorFlow's layers, arrays in the order of the layers; evaluate.

    There an image is ``(H, W, C)``, a kernel ``(KH, KW, C, F)``, a PReLU ``(1, 1, F)`` and a full
    connection ``(inputs, outputs)``; the inputs of the first one are a map of 3x3 cells in the
    order ``(W, H, C)``, here ``(C, H, W)``.
    """
    heads = [network.box_head, network.classifier]
    if network.aligns:
        heads.insert(1, network.landmark_head)
    targets = [p for part in (network.features, *heads) for p in part.parameters()]
    maps = True
    with torch.no_grad():
        for target, array in zip(targets, arrays, strict=True):
            source = torch.from_numpy(array)
            if source.ndim == 4:
                source = source.permute(3, 2, 0, 1)
            elif source.ndim == 2 and maps:
                source = source.reshape(3, 3, -1, len(target)).permute(3, 2, 1, 0)
                maps = False
            elif source.ndim == 2:
                source = source.T
            target.copy_(source.reshape(target.shape))
    network.eval()
