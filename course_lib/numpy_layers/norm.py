"""Batch normalisation in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.norm`."""

import numpy as np

from course_lib.shapes import check_batch_norm, check_gradient


def batch_norm_forward(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    r"""Give each channel mean 0 and variance 1, then scale and shift it.

    .. math::
        \hat x = \frac{x - \mu_c}{\sqrt{\sigma^2_c + \epsilon}} \qquad y = \gamma_c \hat x + \beta_c

    In training (no `mean` and `var` given) :math:`\mu_c` and :math:`\sigma^2_c` are the mean and
    the variance of channel c over the batch, and over all pixels of an image; the variance
    divides by the number of values, not by one less.

    Parameters
    ----------
    x : ndarray, shape (N, C) or (N, C, H, W)
    gamma, beta : ndarray, shape (C,)
    mean, var : ndarray, shape (C,), optional
        Statistics to use in place of the batch's own, as in evaluation; give both or neither.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    y : ndarray, the shape of `x`
    cache : tuple
        What :func:`batch_norm_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree, only one of `mean` and `var` is given, or, in training, a channel
        has fewer than two values.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch Normalization", algorithm 1.
    """
    check_batch_norm("batch_norm", x, gamma, beta, mean, var)
    over, per_channel = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))

    training = mean is None
    if training:
        mean, var = x.mean(axis=over), x.var(axis=over)
    std = np.sqrt(var + eps)
    x_hat = (x - mean.reshape(per_channel)) / std.reshape(per_channel)
    y = gamma.reshape(per_channel) * x_hat + beta.reshape(per_channel)
    return y, (x_hat, gamma, std, training, mean, var)


def batch_norm_backward(dy, cache):
    r"""Pull the gradient of the loss back through :func:`batch_norm_forward`.

    .. math::
        \bar\gamma_c = \sum \bar y \hat x \qquad \bar\beta_c = \sum \bar y \qquad
        \bar x = \frac{\gamma_c}{\sqrt{\sigma^2_c + \epsilon}}
            \left(\bar y - \frac{\bar\beta_c + \hat x\, \bar\gamma_c}{m}\right)

    summed over the m values of channel c. The fraction comes from the mean and the variance,
    which depend on `x`; in evaluation they are constants, and it is absent.

    Parameters
    ----------
    dy : ndarray, the shape of `y`
        Gradient of the loss with respect to `y`.
    cache : tuple
        From :func:`batch_norm_forward`.

    Returns
    -------
    dx, dgamma, dbeta : ndarray
        Gradients with the shapes of `x`, `gamma` and `beta`.

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    x_hat, gamma, std, training, *_ = cache
    check_gradient("batch_norm_backward", dy, x_hat.shape, x_hat.dtype)

    over, per_channel = (0, *range(2, dy.ndim)), (-1, *(1,) * (dy.ndim - 2))
    dgamma, dbeta = (dy * x_hat).sum(axis=over), dy.sum(axis=over)
    if training:
        count = dy.size // dy.shape[1]
        dy = dy - (dbeta.reshape(per_channel) + x_hat * dgamma.reshape(per_channel)) / count
    return (gamma / std).reshape(per_channel) * dy, dgamma, dbeta


class BatchNorm:
    """Batch normalisation layer, for ``(N, C)`` and ``(N, C, H, W)`` alike.

    In training it normalises by the batch's statistics and keeps running averages of them; in
    evaluation it uses the averages: ``running = (1 - momentum) * running + momentum * batch``,
    where the batch's variance divides by one less than the number of values, as in PyTorch.

    Parameters
    ----------
    num_features : int
        Channels ``C``.
    momentum : float
        Weight of the newest batch in the running averages.
    eps : float
    dtype : dtype
    """

    def __init__(self, num_features, *, momentum=0.1, eps=1e-5, dtype=np.float32):
        self.params = {"gamma": np.ones(num_features, dtype), "beta": np.zeros(num_features, dtype)}
        self.grads = {}
        self.running_mean, self.running_var = (
            np.zeros(num_features, dtype),
            np.ones(num_features, dtype),
        )
        self.momentum, self.eps, self.training = momentum, eps, True

    def forward(self, x):
        if not self.training:
            running = {"mean": self.running_mean, "var": self.running_var}
            y, self._cache = batch_norm_forward(x, **self.params, **running, eps=self.eps)
            return y
        y, self._cache = batch_norm_forward(x, **self.params, eps=self.eps)
        *_, mean, var = self._cache
        count = x.size // x.shape[1]
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var * (count / (count - 1)) - self.running_var)
        return y

    def backward(self, dy):
        dx, self.grads["gamma"], self.grads["beta"] = batch_norm_backward(dy, self._cache)
        return dx
