"""Batch normalisation in PyTorch. The NumPy twin is :mod:`course_lib.numpy_layers.norm`."""

import torch
from torch import nn

from course_lib.shapes import check_batch_norm


def batch_norm(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    """As :func:`course_lib.numpy_layers.batch_norm_forward`; autograd supplies the backward."""
    check_batch_norm("batch_norm", x, gamma, beta, mean, var)
    over, per_channel = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))

    if mean is None:
        mean, var = x.mean(dim=over), x.var(dim=over, correction=0)
    std = torch.sqrt(var + eps)
    x_hat = (x - mean.reshape(per_channel)) / std.reshape(per_channel)
    return gamma.reshape(per_channel) * x_hat + beta.reshape(per_channel)


class BatchNorm(nn.Module):
    """As :class:`course_lib.numpy_layers.BatchNorm`."""

    def __init__(self, num_features, *, momentum=0.1, eps=1e-5, dtype=torch.float32):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(num_features, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(num_features, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(num_features, dtype=dtype))
        self.register_buffer("running_var", torch.ones(num_features, dtype=dtype))
        self.momentum, self.eps = momentum, eps

    def forward(self, x):
        if not self.training:
            running = {"mean": self.running_mean, "var": self.running_var}
            return batch_norm(x, self.gamma, self.beta, **running, eps=self.eps)
        y = batch_norm(x, self.gamma, self.beta, eps=self.eps)
        with torch.no_grad():
            over = (0, *range(2, x.ndim))
            self.running_mean += self.momentum * (x.mean(dim=over) - self.running_mean)
            self.running_var += self.momentum * (x.var(dim=over) - self.running_var)
        return y
