"""How good a segmentation is, all of it counted in one confusion matrix.

``counts[t, p]`` is the number of pixels of class t that were taken for class p. A metric for
:func:`course_lib.training.evaluate` gets the answers to all images at once, so that it counts over
all of them and does not average over images.
"""

import torch


def confusion_counts(output, labels):
    """Count how often each true class was taken for each class.

    Parameters
    ----------
    output : torch.Tensor, shape (N, K, ...)
        A score for each of K classes; the largest one is taken.
    labels : torch.Tensor or array of int, shape (N, ...)
        The true classes, 0 to K - 1.

    Returns
    -------
    torch.Tensor of int64, shape (K, K)
        True classes in rows, predicted ones in columns.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree, or a label is no class.

    Examples
    --------
    >>> scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> confusion_counts(scores, torch.tensor([0, 1, 1]))
    tensor([[1, 0],
            [1, 1]])
    """
    labels = torch.as_tensor(labels, device=output.device)
    if output.ndim < 2 or labels.shape != (*output.shape[:1], *output.shape[2:]):
        raise ValueError(
            f"confusion_counts: `output` has shape {tuple(output.shape)} and `labels` "
            f"{tuple(labels.shape)}, expected (N, K, ...) and (N, ...)"
        )
    K = output.shape[1]
    if labels.is_floating_point():
        raise TypeError(f"confusion_counts: `labels` holds {labels.dtype}, expected integers")
    if labels.numel() and not 0 <= labels.min() <= labels.max() < K:
        raise ValueError(
            f"confusion_counts: `labels` go from {labels.min()} to {labels.max()}, expected "
            f"0 .. {K - 1}, the classes of `output`"
        )
    pairs = K * labels.long() + output.argmax(dim=1)
    return torch.bincount(pairs.flatten(), minlength=K * K).reshape(K, K)


def class_iou(counts):
    """Return of each class the intersection over union of its true and its predicted pixels.

    ``counts[k, k] / (counts[k, :].sum() + counts[:, k].sum() - counts[k, k])``; a class that is
    neither true nor predicted anywhere has no union, and gets NaN.

    Parameters
    ----------
    counts : torch.Tensor, shape (K, K)
        From :func:`confusion_counts`; those of several batches may be added up.

    Returns
    -------
    torch.Tensor of float64, shape (K,)
    """
    hits = counts.diagonal().double()
    return hits / (counts.sum(dim=0) + counts.sum(dim=1) - hits)


def mean_iou(output, labels):
    """Return the mean of :func:`class_iou` over the classes that occur, in truth or prediction.

    Arguments as in :func:`confusion_counts`, and what it raises.

    References
    ----------
    Long, Shelhamer & Darrell (2015), section 5: "mean IU".
    """
    return class_iou(confusion_counts(output, labels)).nanmean().item()


def pixel_accuracy(output, labels):
    """Return the share of pixels whose class is right; arguments as in :func:`mean_iou`."""
    counts = confusion_counts(output, labels)
    return (counts.trace() / counts.sum()).item()
