"""The networks of the course after their papers, small twins that train in seconds, and a ledger.

Every model is a :class:`torch.nn.Module` whose parts have names, in the order in which they run.
:func:`summary` counts what any module costs.
"""

from course_lib.models.alexnet import alexnet, alexnet_small
from course_lib.models.captioner import Captioner, Reading, caption_body, captioner
from course_lib.models.conversion import FullyConvolutional, fully_convolutional
from course_lib.models.efficientnet_lite import (
    efficientnet_lite0,
    imagenet_labels,
    preprocess,
)
from course_lib.models.fcn import (
    FCN,
    bilinear_kernel,
    convolution_of,
    fcn8s,
    fcn16s,
    fcn32s,
    fcn_small,
)
from course_lib.models.googlenet import auxiliary_cross_entropy, googlenet, googlenet_small
from course_lib.models.lenet import digit_codes, lenet5, rbf_loss
from course_lib.models.mtcnn import load_mtcnn, o_net, p_net, r_net
from course_lib.models.overfeat import (
    box_regressor,
    overfeat_accurate,
    overfeat_fast,
    overfeat_small,
)
from course_lib.models.regions import (
    RegionNet,
    classifier,
    digit_regions,
    resnet_regions,
    vgg16_regions,
)
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
from course_lib.models.vgg import vgg11, vgg13, vgg16, vgg19, vgg_small
from course_lib.models.zfnet import zfnet, zfnet_small

__all__ = [
    "FCN",
    "Captioner",
    "FullyConvolutional",
    "LayerRow",
    "Reading",
    "RegionNet",
    "Summary",
    "alexnet",
    "alexnet_small",
    "auxiliary_cross_entropy",
    "bilinear_kernel",
    "box_regressor",
    "caption_body",
    "captioner",
    "classifier",
    "convolution_of",
    "digit_codes",
    "digit_regions",
    "efficientnet_lite0",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_small",
    "fully_convolutional",
    "googlenet",
    "googlenet_small",
    "gradient_support",
    "imagenet_labels",
    "lenet5",
    "load_mtcnn",
    "o_net",
    "overfeat_accurate",
    "overfeat_fast",
    "overfeat_small",
    "p_net",
    "plain18",
    "plain34",
    "plain_cifar",
    "preprocess",
    "r_net",
    "rbf_loss",
    "receptive_window",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
    "resnet_regions",
    "summary",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg16_regions",
    "vgg19",
    "vgg_small",
    "zfnet",
    "zfnet_small",
]
