"""Losses in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.loss`."""

import numpy as np

from course_lib.shapes import check_distance, check_floats, check_labels, check_shapes


def cross_entropy_forward(logits, labels):
    r"""Compute the mean negative log-probability of the right classes.

    .. math:: L = \frac{1}{N} \sum_n \Big(\log \sum_k e^{z_{n k}} - z_{n, t_n}\Big)

    with logits z and labels t. The largest logit of a row is subtracted first, which changes
    nothing and keeps the exponentials from overflowing.

    Parameters
    ----------
    logits : ndarray, shape (N, K)
    labels : int ndarray, shape (N,)
        Right classes, ``0 .. K - 1``.

    Returns
    -------
    loss : scalar
    cache : tuple
        What :func:`cross_entropy_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If `logits` does not hold floats, or `labels` not integers.
    ValueError
        If the shapes disagree, the batch is empty, or a label names no class.
    """
    check_shapes("cross_entropy", logits=(logits, "N K"), labels=(labels, "N"))
    check_floats("cross_entropy", logits=logits)
    check_labels("cross_entropy", labels, logits.shape[1])
    rows = np.arange(len(labels))

    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[rows, labels].mean(), (log_p, labels)


def cross_entropy_backward(dy, cache):
    r"""Pull the gradient back to the logits: probability minus one-hot label.

    .. math:: \bar z_{n k} = \frac{\bar L}{N} \left(p_{n k} - [k = t_n]\right)

    Parameters
    ----------
    dy : scalar
        Gradient with respect to the loss; 1 where the loss is what we minimise.
    cache : tuple
        From :func:`cross_entropy_forward`.

    Returns
    -------
    dlogits : ndarray, shape (N, K)

    Raises
    ------
    ValueError
        If `dy` is not a scalar.
    """
    log_p, labels = cache
    if np.ndim(dy) != 0:
        raise ValueError(
            f"cross_entropy_backward: `dy` has shape {np.shape(dy)}, expected a scalar, as the loss"
        )
    one_hot = np.arange(log_p.shape[1]) == labels[:, None]
    return (np.exp(log_p) - one_hot) * (float(dy) / len(labels))


def smooth_l1_forward(predicted, targets, *, beta=1.0):
    r"""Compute the mean of a distance that is squared near 0 and absolute far from it.

    .. math::
        L = \frac{1}{|d|} \sum_i \begin{cases}
            d_i^2 / (2 \beta) & |d_i| < \beta \\
            |d_i| - \beta / 2 & \text{otherwise}
        \end{cases}
        \qquad d = \text{predicted} - \text{targets}

    The two pieces meet with the same value and the same slope. Far from 0 the slope is 1 whatever
    the distance, so that one wrong target pulls no harder than a target that is a little off.

    Parameters
    ----------
    predicted, targets : ndarray, of one shape
        For example the offsets of boxes, ``(R, 4)``.
    beta : float
        Where the pieces meet, in the unit of `predicted`.

    Returns
    -------
    loss : scalar
        The mean over all entries.
    cache : tuple
        What :func:`smooth_l1_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If an argument does not hold floats of one precision.
    ValueError
        If the shapes disagree, there is no entry, or `beta` is not positive.

    References
    ----------
    R. Girshick (2015), "Fast R-CNN", eqs. 2 and 3, with a `beta` of 1.
    """
    check_distance("smooth_l1", predicted, targets, beta)
    d = predicted - targets
    near = abs(d) < beta

    pieces = np.where(near, d * d / (2 * beta), abs(d) - beta / 2)
    return pieces.mean(), (d, beta)


def smooth_l1_backward(dy, cache):
    r"""Pull the gradient back to both: the distance, cut off at the slopes -1 and 1.

    .. math:: \bar p_i = \frac{\bar L}{|d|} \min(\max(d_i / \beta, -1), 1)
        \qquad \bar t_i = -\bar p_i

    Parameters
    ----------
    dy : scalar
        Gradient with respect to the loss; 1 where the loss is what we minimise.
    cache : tuple
        From :func:`smooth_l1_forward`.

    Returns
    -------
    dpredicted, dtargets : ndarray, of the shape of `predicted`

    Raises
    ------
    ValueError
        If `dy` is not a scalar.
    """
    d, beta = cache
    if np.ndim(dy) != 0:
        raise ValueError(
            f"smooth_l1_backward: `dy` has shape {np.shape(dy)}, expected a scalar, as the loss"
        )
    dpredicted = (d / beta).clip(-1, 1) * (float(dy) / d.size)
    return dpredicted, -dpredicted
