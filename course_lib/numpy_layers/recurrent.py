"""Recurrent layers and embeddings in NumPy. The twin is :mod:`course_lib.torch_layers.recurrent`.

A sequence is an array ``(N, T, D)``: N sequences, T steps, D numbers a step. What all steps need of
the inputs is one matrix product; only what depends on the step before runs in a loop.
"""

import numpy as np

from course_lib.numpy_layers.activation import sigmoid_forward
from course_lib.numpy_layers.initializers import normal, xavier_normal
from course_lib.shapes import check_gradient, check_gru, check_rnn, check_tokens


def embedding_forward(tokens, weight):
    r"""Look up the vector of each word: ``y = weight[tokens]``.

    It is a fully connected layer that reads a vector with one 1 in it, without the products by 0.

    Parameters
    ----------
    tokens : ndarray of int, shape (N, T)
        Numbers of words, 0 to V - 1.
    weight : ndarray, shape (V, E)
        A vector for each word of the vocabulary.

    Returns
    -------
    y : ndarray, shape (N, T, E)
    cache : tuple
        What :func:`embedding_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If the tokens are no integers, or the weights no floats.
    ValueError
        If a shape is not as above, or a token is no row of `weight`.
    """
    check_tokens("embedding", tokens, weight)
    return weight[tokens], (tokens, weight.shape, weight.dtype)


def embedding_backward(dy, cache):
    r"""Pull the gradient of the loss back through :func:`embedding_forward`.

    .. math:: \bar w_v = \sum_{n, t\,:\ \text{token}_{n t} = v} \bar y_{n t}

    A word that stands in several places gets the sum of what they ask for; one that does not occur
    gets 0.

    Parameters
    ----------
    dy : ndarray, shape (N, T, E)
    cache : tuple
        From :func:`embedding_forward`.

    Returns
    -------
    dweight : ndarray, shape (V, E)

    Raises
    ------
    TypeError, ValueError
        If `dy` has not the precision or the shape of `y`.
    """
    tokens, shape, dtype = cache
    check_gradient("embedding_backward", dy, (*tokens.shape, shape[1]), dtype)
    dweight = np.zeros(shape, dtype)
    np.add.at(dweight, tokens, dy)
    return dweight


def rnn_step_forward(x, h, weight_x, weight_h, bias):
    r"""Take one step of a recurrent network: from the state h, and what comes in, to the next.

    .. math:: h'_n = \tanh(W_x\, x_n + W_h\, h_n + b)

    Parameters
    ----------
    x : ndarray, shape (N, D)
        What comes in at this step.
    h : ndarray, shape (N, H)
        The state after the step before.
    weight_x : ndarray, shape (H, D)
    weight_h : ndarray, shape (H, H)
    bias : ndarray, shape (H,)

    Returns
    -------
    h_next : ndarray, shape (N, H)
    cache : tuple
        What :func:`rnn_step_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree.

    References
    ----------
    J. L. Elman (1990), "Finding Structure in Time".
    """
    check_rnn("rnn_step", x, h, weight_x, weight_h, bias, axes="N D")
    h_next = np.tanh(x @ weight_x.T + h @ weight_h.T + bias)
    return h_next, (x, h, weight_x, weight_h, h_next)


def rnn_step_backward(dh_next, cache):
    r"""Pull the gradient of the loss back through :func:`rnn_step_forward`.

    .. math::
        \bar a = \bar h' \odot (1 - h' \odot h') \qquad
        \bar x = \bar a\, W_x \qquad \bar h = \bar a\, W_h \qquad
        \bar W_x = \bar a^\top x \qquad \bar W_h = \bar a^\top h \qquad \bar b = \sum_n \bar a_n

    Parameters
    ----------
    dh_next : ndarray, shape (N, H)
        Gradient of the loss with respect to `h_next`: of this step's output, and of all later ones.
    cache : tuple
        From :func:`rnn_step_forward`.

    Returns
    -------
    dx, dh, dweight_x, dweight_h, dbias : ndarray
        Gradients with the shapes of the inputs, in their order.

    Raises
    ------
    TypeError, ValueError
        If `dh_next` has not the precision or the shape of `h_next`.
    """
    x, h, weight_x, weight_h, h_next = cache
    check_gradient("rnn_step_backward", dh_next, h_next.shape, h_next.dtype)
    da = dh_next * (1 - h_next * h_next)
    return da @ weight_x, da @ weight_h, da.T @ x, da.T @ h, da.sum(axis=0)


def rnn_forward(x, h0, weight_x, weight_h, bias):
    r"""Run a recurrent network over sequences: at each step the same weights, on the last state.

    .. math:: h_t = \tanh(W_x\, x_t + W_h\, h_{t-1} + b)

    Parameters
    ----------
    x : ndarray, shape (N, T, D)
        N sequences of T steps.
    h0 : ndarray, shape (N, H)
        The state before the first step.
    weight_x : ndarray, shape (H, D)
    weight_h : ndarray, shape (H, H)
    bias : ndarray, shape (H,)

    Returns
    -------
    h : ndarray, shape (N, T, H)
        The state after each step; the last is ``h[:, -1]``.
    cache : tuple
        What :func:`rnn_backward` needs; treat as opaque.

    Raises
    ------
    TypeError, ValueError
        As :func:`rnn_step_forward`.
    """
    check_rnn("rnn", x, h0, weight_x, weight_h, bias, axes="N T D")
    h = x @ weight_x.T + bias  # all steps at once; the loop adds what each gets from the one before
    state = h0
    for t in range(x.shape[1]):
        state = h[:, t] = np.tanh(h[:, t] + state @ weight_h.T)
    return h, (x, h0, weight_x, weight_h, h)


def rnn_backward(dh, cache):
    r"""Backpropagate through time: pull the gradient back through :func:`rnn_forward`.

    From the last step to the first; a state gets what its own output is asked for, and what the
    step after it asks for:

    .. math::
        \bar a_t = (\bar h_t + \bar a_{t+1} W_h) \odot (1 - h_t \odot h_t) \qquad
        \bar W_x = \sum_t \bar a_t^\top x_t \qquad \bar W_h = \sum_t \bar a_t^\top h_{t-1}

    Parameters
    ----------
    dh : ndarray, shape (N, T, H)
        Gradient of the loss with respect to `h` as the loss reads it, without what comes through
        later steps.
    cache : tuple
        From :func:`rnn_forward`.

    Returns
    -------
    dx, dh0, dweight_x, dweight_h, dbias : ndarray
        Gradients with the shapes of the inputs, in their order.

    Raises
    ------
    TypeError, ValueError
        If `dh` has not the precision or the shape of `h`.

    References
    ----------
    P. J. Werbos (1990), "Backpropagation Through Time: What It Does and How to Do It".
    """
    x, h0, weight_x, weight_h, h = cache
    check_gradient("rnn_backward", dh, h.shape, h.dtype)
    da, future = np.empty(h.shape, h.dtype), np.zeros(h0.shape, h.dtype)
    for t in reversed(range(h.shape[1])):
        da[:, t] = (dh[:, t] + future) * (1 - h[:, t] * h[:, t])
        future = da[:, t] @ weight_h
    dweight_x, dweight_h = over_steps(da, x), over_steps(da, before(h, h0))
    return da @ weight_x, future, dweight_x, dweight_h, da.sum(axis=(0, 1))


def gru_step_forward(x, h, weight_x, weight_h, bias_x, bias_h):
    r"""Take one step of a gated recurrent unit, which learns what to keep of its state.

    .. math::
        r &= \sigma(W^r_x x + b^r_x + W^r_h h + b^r_h) \\
        z &= \sigma(W^z_x x + b^z_x + W^z_h h + b^z_h) \\
        c &= \tanh(W^c_x x + b^c_x + r \odot (W^c_h h + b^c_h)) \\
        h' &= (1 - z) \odot c + z \odot h

    The gate r resets: how much of the old state the candidate c sees. The gate z says how much of
    the old state stays. The rows of weights and biases are those of r, z and c, in this order, as
    in :class:`torch.nn.GRUCell`, which calls c the new gate, n. (Cho et al. apply r before the
    product with :math:`W^c_h`; so written, all products with h are one.)

    Parameters
    ----------
    x : ndarray, shape (N, D)
    h : ndarray, shape (N, H)
    weight_x : ndarray, shape (3H, D)
    weight_h : ndarray, shape (3H, H)
    bias_x, bias_h : ndarray, shape (3H,)

    Returns
    -------
    h_next : ndarray, shape (N, H)
    cache : tuple
        What :func:`gru_step_backward` needs; treat as opaque.

    Raises
    ------
    TypeError
        If an array does not hold floats, or not all have the same precision.
    ValueError
        If the shapes disagree.

    References
    ----------
    K. Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", section 2.3.
    """
    check_gru("gru_step", x, h, weight_x, weight_h, bias_x, bias_h, axes="N D")
    h_next, gates = gated(x @ weight_x.T + bias_x, h, weight_h, bias_h)
    return h_next, (x, h, weight_x, weight_h, gates)


def gru_step_backward(dh_next, cache):
    """Pull the gradient of the loss back through :func:`gru_step_forward`.

    Parameters
    ----------
    dh_next : ndarray, shape (N, H)
        Gradient of the loss with respect to `h_next`.
    cache : tuple
        From :func:`gru_step_forward`.

    Returns
    -------
    dx, dh, dweight_x, dweight_h, dbias_x, dbias_h : ndarray
        Gradients with the shapes of the inputs, in their order.

    Raises
    ------
    TypeError, ValueError
        If `dh_next` has not the precision or the shape of `h_next`.
    """
    x, h, weight_x, weight_h, gates = cache
    check_gradient("gru_step_backward", dh_next, h.shape, h.dtype)
    da_x, da_h, dh = gated_backward(dh_next, h, gates)
    dx, dh = da_x @ weight_x, dh + da_h @ weight_h
    return dx, dh, da_x.T @ x, da_h.T @ h, da_x.sum(axis=0), da_h.sum(axis=0)


def gru_forward(x, h0, weight_x, weight_h, bias_x, bias_h):
    """Run a gated recurrent unit over sequences; a step is :func:`gru_step_forward`.

    Parameters
    ----------
    x : ndarray, shape (N, T, D)
        N sequences of T steps.
    h0 : ndarray, shape (N, H)
        The state before the first step.
    weight_x : ndarray, shape (3H, D)
    weight_h : ndarray, shape (3H, H)
    bias_x, bias_h : ndarray, shape (3H,)

    Returns
    -------
    h : ndarray, shape (N, T, H)
        The state after each step.
    cache : tuple
        What :func:`gru_backward` needs; treat as opaque.

    Raises
    ------
    TypeError, ValueError
        As :func:`gru_step_forward`.
    """
    check_gru("gru", x, h0, weight_x, weight_h, bias_x, bias_h, axes="N T D")
    from_x = x @ weight_x.T + bias_x  # all steps at once
    state, steps = h0, []
    h = np.empty((*x.shape[:2], h0.shape[1]), x.dtype)
    for t in range(x.shape[1]):
        state, gates = gated(from_x[:, t], state, weight_h, bias_h)
        h[:, t] = state
        steps.append(gates)
    return h, (x, h0, weight_x, weight_h, h, steps)


def gru_backward(dh, cache):
    """Backpropagate through time: pull the gradient back through :func:`gru_forward`.

    Parameters
    ----------
    dh : ndarray, shape (N, T, H)
        Gradient of the loss with respect to `h` as the loss reads it, without what comes through
        later steps.
    cache : tuple
        From :func:`gru_forward`.

    Returns
    -------
    dx, dh0, dweight_x, dweight_h, dbias_x, dbias_h : ndarray
        Gradients with the shapes of the inputs, in their order.

    Raises
    ------
    TypeError, ValueError
        If `dh` has not the precision or the shape of `h`.
    """
    x, h0, weight_x, weight_h, h, steps = cache
    check_gradient("gru_backward", dh, h.shape, h.dtype)
    last, future = before(h, h0), np.zeros(h0.shape, h.dtype)
    da_x, da_h = (np.empty((*h.shape[:2], len(weight_x)), h.dtype) for _ in range(2))
    for t in reversed(range(h.shape[1])):
        da_x[:, t], da_h[:, t], kept = gated_backward(dh[:, t] + future, last[:, t], steps[t])
        future = kept + da_h[:, t] @ weight_h
    dweight_x, dweight_h = over_steps(da_x, x), over_steps(da_h, last)
    dbias_x, dbias_h = da_x.sum(axis=(0, 1)), da_h.sum(axis=(0, 1))
    return da_x @ weight_x, future, dweight_x, dweight_h, dbias_x, dbias_h


class Embedding:
    """A vector for each word; see :func:`embedding_forward`.

    Parameters
    ----------
    num_words : int
        V.
    features : int
        E, numbers of a vector.
    initializer : callable
        Makes the weights from their shape, `rng` and `dtype`; by default of standard deviation 1.
    rng : numpy.random.Generator
    dtype : dtype
    """

    def __init__(self, num_words, features, *, initializer=None, rng, dtype=np.float32):
        options = {"std": 1.0} if initializer is None else {}
        weight = (initializer or normal)((num_words, features), **options, rng=rng, dtype=dtype)
        self.params, self.grads = {"weight": weight}, {}

    def forward(self, tokens):
        y, self._cache = embedding_forward(tokens, **self.params)
        return y

    def backward(self, dy):
        """Words have no gradient: there is nothing to return."""
        self.grads["weight"] = embedding_backward(dy, self._cache)


class RNN:
    """Recurrent layer: parameters, and the two functions above; its first state is 0.

    Parameters
    ----------
    in_features, hidden_features : int
        D and H.
    initializer : callable
        Makes the weights from their shape, `rng` and `dtype`, as :func:`xavier_normal`; biases are
        0.
    rng : numpy.random.Generator
    dtype : dtype
    """

    def __init__(
        self, in_features, hidden_features, *, initializer=xavier_normal, rng, dtype=np.float32
    ):
        D, H = in_features, hidden_features
        self.params = {
            "weight_x": initializer((H, D), rng=rng, dtype=dtype),
            "weight_h": initializer((H, H), rng=rng, dtype=dtype),
            "bias": np.zeros(H, dtype),
        }
        self.grads = {}

    def forward(self, x, h0=None):
        h0 = np.zeros((len(x), len(self.params["bias"])), x.dtype) if h0 is None else h0
        h, self._cache = rnn_forward(x, h0, **self.params)
        return h

    def backward(self, dh):
        dx, self.dh0, *grads = rnn_backward(dh, self._cache)
        self.grads = dict(zip(self.params, grads, strict=True))
        return dx


class GRU:
    """Layer of gated recurrent units, as :class:`RNN`; see :func:`gru_step_forward`.

    Parameters
    ----------
    in_features, hidden_features : int
        D and H.
    initializer : callable
        As for :class:`RNN`; it makes the weights of the gates one by one.
    rng : numpy.random.Generator
    dtype : dtype
    """

    def __init__(
        self, in_features, hidden_features, *, initializer=xavier_normal, rng, dtype=np.float32
    ):
        D, H = in_features, hidden_features
        x, h = (
            np.concatenate([initializer((H, size), rng=rng, dtype=dtype) for _ in range(3)])
            for size in (D, H)
        )
        bias_x, bias_h = np.zeros(3 * H, dtype), np.zeros(3 * H, dtype)
        self.params = {"weight_x": x, "weight_h": h, "bias_x": bias_x, "bias_h": bias_h}
        self.grads = {}

    def forward(self, x, h0=None):
        h0 = np.zeros((len(x), self.params["weight_h"].shape[1]), x.dtype) if h0 is None else h0
        h, self._cache = gru_forward(x, h0, **self.params)
        return h

    def backward(self, dh):
        dx, self.dh0, *grads = gru_backward(dh, self._cache)
        self.grads = dict(zip(self.params, grads, strict=True))
        return dx


def gated(from_x, h, weight_h, bias_h):
    """Take one step of a GRU from `from_x` ``(N, 3H)``; return the next state, and the gates."""
    from_h = h @ weight_h.T + bias_h
    H = h.shape[1]
    gates, _ = sigmoid_forward(from_x[:, : 2 * H] + from_h[:, : 2 * H])
    r, z = gates[:, :H], gates[:, H:]
    candidate = np.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :])
    return (1 - z) * candidate + z * h, (r, z, candidate, from_h[:, 2 * H :])


def gated_backward(dh_next, h, gates):
    """Return the gradients of `from_x` and `from_h` ``(N, 3H)``, and of what z keeps."""
    r, z, candidate, from_h = gates
    dc = dh_next * (1 - z) * (1 - candidate * candidate)
    dz = dh_next * (h - candidate) * z * (1 - z)
    dr = dc * from_h * r * (1 - r)
    return np.hstack([dr, dz, dc]), np.hstack([dr, dz, dc * r]), dh_next * z


def before(h, h0):
    """Return the state before each step ``(N, T, H)``."""
    return np.concatenate([h0[:, None], h[:, :-1]], axis=1)[:, : h.shape[1]]


def over_steps(da, x):
    """Return the sum over sequences and steps of the outer products of `da` and `x`."""
    return da.reshape(-1, da.shape[-1]).T @ x.reshape(-1, x.shape[-1])
