"""Losses in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.loss`."""

import torch

from course_lib.shapes import check_distance, check_floats, check_labels, check_shapes


def cross_entropy(logits, labels):
    """As :func:`course_lib.numpy_layers.cross_entropy_forward`; autograd supplies the backward."""
    check_shapes("cross_entropy", logits=(logits, "N K"), labels=(labels, "N"))
    check_floats("cross_entropy", logits=logits)
    check_labels("cross_entropy", labels, logits.shape[1])
    rows = torch.arange(len(labels), device=logits.device)

    shifted = logits - logits.amax(dim=1, keepdim=True)
    log_p = shifted - torch.log(torch.exp(shifted).sum(dim=1, keepdim=True))
    return -log_p[rows, labels.long()].mean()


def smooth_l1(predicted, targets, *, beta=1.0):
    """As :func:`course_lib.numpy_layers.smooth_l1_forward`; autograd supplies the backward."""
    check_distance("smooth_l1", predicted, targets, beta)
    d = predicted - targets
    near = abs(d) < beta

    pieces = torch.where(near, d * d / (2 * beta), abs(d) - beta / 2)
    return pieces.mean()
