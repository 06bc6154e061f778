"""The networks of the course after their papers, small twins that train in seconds, and a ledger.

Every model is a :class:`torch.nn.Module` whose parts have names, in the order in which they run,
and which says with `input_shape` ``(C, H, W)`` what images it was made for. :func:`summary` counts
what any module costs. The layers are those of :mod:`torch.nn`, which know groups and the device
"meta" (shapes without numbers, for counting); :mod:`course_lib.torch_layers` computes the same.
"""

from course_lib.models.lenet import digit_codes, lenet5, rbf_loss
from course_lib.models.resnet import (
    plain18,
    plain34,
    plain_cifar,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnet_cifar,
)
from course_lib.models.summary import LayerRow, Summary, summary
from course_lib.models.support import gradient_support, receptive_window

__all__ = [
    "LayerRow",
    "Summary",
    "digit_codes",
    "gradient_support",
    "lenet5",
    "plain18",
    "plain34",
    "plain_cifar",
    "rbf_loss",
    "receptive_window",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
    "summary",
]
