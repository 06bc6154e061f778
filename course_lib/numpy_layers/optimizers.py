"""Optimizers: change the parameters of a model, in place, against their gradients."""

import numpy as np


class SGD:
    """Stochastic gradient descent with momentum.

    ``v = momentum * v + dw + weight_decay * w``, then ``w = w - lr * v``.

    Parameters
    ----------
    model : layer or Sequential
        Anything with `params` and `grads` by name.
    lr : float
        Learning rate; may be changed between steps.
    momentum : float
        0 for plain gradient descent.
    weight_decay : float
    """

    def __init__(self, model, *, lr, momentum=0.0, weight_decay=0.0):
        self.model, self.lr, self.momentum, self.weight_decay = model, lr, momentum, weight_decay
        self._velocity = {name: np.zeros_like(w) for name, w in model.params.items()}

    def step(self):
        """Move every parameter once."""
        grads = gradients(self.model, "SGD")
        for name, w in self.model.params.items():
            v = self._velocity[name]
            v *= self.momentum
            v += grads[name] + self.weight_decay * w
            w -= self.lr * v


class Adam:
    """Adam: each parameter's step is scaled by how large its gradients have been.

    ``m = beta1 * m + (1 - beta1) * dw``, ``v = beta2 * v + (1 - beta2) * dw^2``, then
    ``w = w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)`` at step t.

    Parameters
    ----------
    model : layer or Sequential
        Anything with `params` and `grads` by name.
    lr : float
        Learning rate; may be changed between steps.
    betas : (float, float)
    eps : float

    References
    ----------
    Kingma & Ba (2015), "Adam: A Method for Stochastic Optimization", algorithm 1.
    """

    def __init__(self, model, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.model, self.lr, self.betas, self.eps, self.t = model, lr, betas, eps, 0
        self._m = {name: np.zeros_like(w) for name, w in model.params.items()}
        self._v = {name: np.zeros_like(w) for name, w in model.params.items()}

    def step(self):
        """Move every parameter once."""
        grads = gradients(self.model, "Adam")
        self.t += 1
        beta1, beta2 = self.betas
        for name, w in self.model.params.items():
            m, v, dw = self._m[name], self._v[name], grads[name]
            m += (1 - beta1) * (dw - m)
            v += (1 - beta2) * (dw * dw - v)
            scale = np.sqrt(v / (1 - beta2**self.t)) + self.eps
            w -= self.lr / (1 - beta1**self.t) * m / scale


def gradients(model, where):
    """Return the gradients of a model by name; raise unless each parameter has one."""
    grads = model.grads
    missing = [name for name in model.params if name not in grads]
    if missing:
        raise ValueError(
            f"{where}: `{missing[0]}` has no gradient; call the model's backward before step"
        )
    return grads
