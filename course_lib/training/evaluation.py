"""What a trained model answers, and how often it is right."""

import torch

from course_lib.training.device import check_device, choose_device, exact_convolutions
from course_lib.training.tensors import as_tensors, borrowed, check_rows, on_all, weight_type


def accuracy(output, labels):
    """Return the share of answers whose largest entry is the label's.

    Parameters
    ----------
    output : torch.Tensor, shape (N, K) or (N, K, ...)
        A score for each of K classes, of each image or of each of its pixels; of a tuple, the
        first.
    labels : torch.Tensor or array, shape (N,) or (N, ...)

    Raises
    ------
    ValueError
        If the shapes do not agree, or there is no answer.
    """
    return top_k_accuracy(1)(output, labels)


def top_k_accuracy(k):
    """Return a metric: the share of answers in whose `k` largest entries the label's is.

    It takes what :func:`accuracy` takes, and raises what that raises; also if there are fewer than
    `k` classes.
    """
    if k < 1:
        raise ValueError(f"top_k_accuracy: `k` is {k}, expected at least 1")

    def metric(output, labels):
        output = output[0] if isinstance(output, tuple) else output
        labels = torch.as_tensor(labels, device=output.device)
        expected = (*output.shape[:1], *output.shape[2:])
        if output.ndim < 2 or labels.shape != expected or not labels.numel():
            raise ValueError(
                f"{metric.__name__}: `output` has shape {tuple(output.shape)} and `labels` "
                f"{tuple(labels.shape)}, expected (N, K, ...) and (N, ...), and N more than 0"
            )
        if output.shape[1] < k:
            raise ValueError(
                f"{metric.__name__}: `output` has {output.shape[1]} classes, expected {k} or more"
            )
        best = output.argmax(1, keepdim=True) if k == 1 else output.topk(k, dim=1).indices
        return (best == labels.unsqueeze(1)).any(dim=1).float().mean().item()

    metric.__name__ = "accuracy" if k == 1 else f"top_{k}_accuracy"
    return metric


def predict(model, images, *, batch_size=256, device=None):
    """Return what the model answers to `images`, in evaluation mode and without gradients.

    The model stays where it was and in the mode in which it was.

    Parameters
    ----------
    model : torch.nn.Module
    images : array or tensor, shape (N, ...)
    batch_size : int
        Images at a time.
    device : torch.device or str, optional
        By default :func:`choose_device`.

    Returns
    -------
    torch.Tensor, shape (N, ...)
        On the CPU, in float32 or the type of the weights; a tuple of tensors if the model returns
        one.

    Raises
    ------
    ValueError
        If there are no images, `batch_size` is less than 1, or the device is not there.

    Examples
    --------
    >>> logits = predict(model, digits.x_test)
    >>> wrong = logits.argmax(dim=1).numpy() != digits.y_test
    """
    images = as_tensors("predict", "images", images, weight_type(model))
    check_rows("predict", images, ())
    if batch_size < 1:
        raise ValueError(f"predict: `batch_size` is {batch_size}, expected at least 1")
    device = choose_device() if device is None else check_device("predict", "device", device)
    with borrowed(model, device, training=False), exact_convolutions(), torch.no_grad():
        parts = [
            on_all(lambda part: part.cpu(), model(batch.to(device)))
            for batch in images.split(batch_size)
        ]
    return joined(parts)


def joined(parts):
    """Return the answers to one batch after another as one tensor, or a tuple of them."""
    if isinstance(parts[0], tuple):
        return tuple(joined(part) for part in zip(*parts, strict=True))
    return torch.cat(parts)


def evaluate(model, images, labels, *, metric=accuracy, batch_size=256, device=None):
    """Return how good the model's answers to `images` are.

    Parameters
    ----------
    model, images, batch_size, device
        As in :func:`predict`.
    labels : array or tensor, or a tuple of them, shape (N, ...)
        What the answers should be.
    metric : callable
        ``metric(output, labels)``, called once with all answers, so that it need not be a mean over
        the images.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As :func:`predict`, and if there are not as many labels as images.

    Examples
    --------
    >>> evaluate(model, digits.x_test, digits.y_test)
    0.9746...
    >>> evaluate(model, digits.x_test, digits.y_test, metric=top_k_accuracy(3))
    1.0
    """
    dtype = weight_type(model)
    images = as_tensors("evaluate", "images", images, dtype)
    labels = on_all(lambda part: part.cpu(), as_tensors("evaluate", "labels", labels, dtype))
    check_rows("evaluate", images, labels)
    return float(metric(predict(model, images, batch_size=batch_size, device=device), labels))
