"""First values of weights, in NumPy. The twin is :mod:`course_lib.torch_layers.initializers`.

A layer adds up `fan_in` products to make one output, and its backward pass adds up `fan_out` to
make one gradient (:func:`course_lib.shapes.fans`). An initialiser chooses the variance of the
weights so that the sums stay in scale, whatever the size of the layer.
"""

import numpy as np

from course_lib.shapes import fans


def normal(shape, *, std=0.01, rng, dtype=np.float32):
    """Draw weights of one scale whatever the layer's size, as AlexNet's authors did.

    Parameters
    ----------
    shape : tuple of int
        Of the weight, outputs first: ``(K, D)`` or ``(F, C, KH, KW)``.
    std : float
        Standard deviation.
    rng : numpy.random.Generator
    dtype : dtype

    Returns
    -------
    ndarray of `shape`

    References
    ----------
    Krizhevsky et al. (2012), "ImageNet Classification with Deep Convolutional Neural Networks",
    section 5.
    """
    return (std * rng.standard_normal(shape)).astype(dtype)


def xavier_normal(shape, *, gain=1.0, rng, dtype=np.float32):
    r"""Draw weights of variance :math:`g^2 \cdot 2 / (\text{fan}_{in} + \text{fan}_{out})`.

    Between the two that keep the signal's variance going forward, and the gradient's going back,
    through layers that are linear or nearly so, as tanh near 0.

    Parameters
    ----------
    shape, rng, dtype
        As in :func:`normal`.
    gain : float
        g, the factor by which an activation after the layer is to be made up for.

    Returns
    -------
    ndarray of `shape`

    Raises
    ------
    ValueError
        If `shape` has fewer than two axes, or one without entries.

    References
    ----------
    Glorot & Bengio (2010), "Understanding the Difficulty of Training Deep Feedforward Neural
    Networks", eq. 12.
    """
    fan_in, fan_out = fans("xavier_normal", shape)
    return normal(shape, std=gain * (2 / (fan_in + fan_out)) ** 0.5, rng=rng, dtype=dtype)


def he_normal(shape, *, negative_slope=0.0, rng, dtype=np.float32):
    r"""Draw weights for a layer before a ReLU: variance :math:`2 / ((1 + a^2)\, \text{fan}_{in})`.

    A ReLU leaves half of the mean square of a symmetric signal, a leaky one of slope a the part
    :math:`(1 + a^2) / 2`; the variance makes up for that.

    Parameters
    ----------
    shape, rng, dtype
        As in :func:`normal`.
    negative_slope : float
        a; 0 for a plain ReLU.

    Returns
    -------
    ndarray of `shape`

    Raises
    ------
    ValueError
        If `shape` has fewer than two axes, or one without entries.

    References
    ----------
    He et al. (2015), "Delving Deep into Rectifiers", eqs. 10 and 15.
    """
    fan_in, _ = fans("he_normal", shape)
    std = (2 / ((1 + negative_slope**2) * fan_in)) ** 0.5
    return normal(shape, std=std, rng=rng, dtype=dtype)
