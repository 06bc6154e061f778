"""Additive attention in NumPy. The PyTorch twin is :mod:`course_lib.torch_layers.attention`."""

import numpy as np

from course_lib.numpy_layers.initializers import xavier_normal
from course_lib.shapes import check_attention, check_gradient


def attention_forward(query, keys, values, weight_query, weight_keys, score):
    r"""Look at L places as a query asks for: the mean of their values, by learned weights.

    .. math::
        e_l = s \cdot \tanh(W_q\, q + W_k\, k_l) \qquad
        \alpha = \operatorname{softmax}(e) \qquad
        c = \sum_l \alpha_l\, v_l

    A small network scores how well the key of a place answers the query; a softmax over places
    makes weights of the scores.

    Parameters
    ----------
    query : ndarray, shape (N, Q)
        What is looked for, for example the state of a recurrent network.
    keys : ndarray, shape (N, L, K)
        What a place offers to be found by.
    values : ndarray, shape (N, L, V)
        What is read from a place; may be the keys again.
    weight_query : ndarray, shape (A, Q)
    weight_keys : ndarray, shape (A, K)
    score : ndarray, shape (A,)
        s.

    Returns
    -------
    context : ndarray, shape (N, V)
    weights : ndarray, shape (N, L)
        :math:`\alpha`: not negative, the sum over places is 1.
    cache : tuple
        What :func:`attention_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree, or there is no place to look at.

    References
    ----------
    D. Bahdanau, K. Cho & Y. Bengio (2015), "Neural Machine Translation by Jointly Learning to Align
    and Translate", section 3.1. K. Xu et al. (2015), "Show, Attend and Tell: Neural Image Caption
    Generation with Visual Attention", section 4.2.
    """
    check_attention("attention", query, keys, values, weight_query, weight_keys, score)
    hidden = np.tanh((query @ weight_query.T)[:, None] + keys @ weight_keys.T)
    weights = softmax(hidden @ score)
    context = (weights[:, None] @ values)[:, 0]
    cache = query, keys, values, weight_query, weight_keys, score, hidden, weights
    return context, weights, cache


def attention_backward(dcontext, cache):
    r"""Pull the gradient of the loss back through :func:`attention_forward`.

    .. math::
        \bar v_l = \alpha_l\, \bar c \qquad
        \bar\alpha_l = \bar c \cdot v_l \qquad
        \bar e_l = \alpha_l \Bigl(\bar\alpha_l - \sum_m \alpha_m \bar\alpha_m\Bigr) \qquad
        \bar a_l = \bar e_l\, s \odot (1 - \tanh^2)

    Parameters
    ----------
    dcontext : ndarray, shape (N, V)
        Gradient of the loss with respect to `context`.
    cache : tuple
        From :func:`attention_forward`.

    Returns
    -------
    dquery, dkeys, dvalues, dweight_query, dweight_keys, dscore : ndarray
        Gradients with the shapes of the inputs, in their order.

    Raises
    ------
    TypeError, ValueError
        If `dcontext` has not the precision or the shape of `context`.
    """
    query, keys, values, weight_query, weight_keys, score, hidden, weights = cache
    shape = len(values), values.shape[2]
    check_gradient("attention_backward", dcontext, shape, values.dtype)
    dvalues = weights[:, :, None] * dcontext[:, None]
    dweights = (values @ dcontext[:, :, None])[:, :, 0]
    dscores = weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True))
    dhidden = dscores[:, :, None] * (score * (1 - hidden * hidden))
    dsum = dhidden.sum(axis=1)  # every place has heard the query
    A, K = weight_keys.shape
    return (
        dsum @ weight_query,
        dhidden @ weight_keys,
        dvalues,
        dsum.T @ query,
        dhidden.reshape(-1, A).T @ keys.reshape(-1, K),
        dscores.reshape(-1) @ hidden.reshape(-1, A),
    )


class Attention:
    """Attention layer: parameters, and the two functions above.

    After :meth:`forward` the weights ``(N, L)`` stand in `weights`.

    Parameters
    ----------
    query_features, key_features, hidden_features : int
        Q, K and A.
    initializer : callable
        Makes the weights from their shape, `rng` and `dtype`, as :func:`xavier_normal`.
    rng : numpy.random.Generator
    dtype : dtype
    """

    def __init__(
        self,
        query_features,
        key_features,
        hidden_features,
        *,
        initializer=xavier_normal,
        rng,
        dtype=np.float32,
    ):
        A, options = hidden_features, {"rng": rng, "dtype": dtype}
        self.params = {
            "weight_query": initializer((A, query_features), **options),
            "weight_keys": initializer((A, key_features), **options),
            "score": initializer((1, A), **options)[0],
        }
        self.grads, self.weights = {}, None

    def forward(self, query, keys, values):
        context, self.weights, self._cache = attention_forward(query, keys, values, **self.params)
        return context

    def backward(self, dcontext):
        dquery, dkeys, dvalues, *grads = attention_backward(dcontext, self._cache)
        self.grads = dict(zip(self.params, grads, strict=True))
        return dquery, dkeys, dvalues


def softmax(scores):
    """Return shares ``(N, L)`` whose logarithms differ as the scores do."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
