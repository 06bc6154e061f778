"""The reference for the layers: what PyTorch computes in float64, values and gradients."""

import numpy as np
import torch

CLOSE = {"rtol": 1e-10, "atol": 1e-12}  # float64; only the order of summation differs


def assert_matches_torch(forward, backward, peer, *arrays, rng):
    """Check a pair of functions against `peer`: the output, and the gradient of every input.

    The arrays are made read-only, so that a function that writes into its inputs fails.
    """
    for array in arrays:
        array.setflags(write=False)
    y, cache = forward(*arrays)
    dy = rng.normal(size=np.shape(y))[()]
    grads = backward(dy, cache)

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = peer(*tensors)
    expected_grads = torch.autograd.grad(expected, tensors, torch.tensor(dy))
    assert np.shape(y) == expected.shape
    np.testing.assert_allclose(y, expected.detach(), **CLOSE)
    grads = grads if isinstance(grads, tuple) else (grads,)
    for i, (got, wanted) in enumerate(zip(grads, expected_grads, strict=True)):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, **CLOSE, err_msg=f"gradient of argument {i}")
