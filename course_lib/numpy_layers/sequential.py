"""Layers one after the other."""


class Sequential:
    """Run layers in order, and their backward passes in the opposite order.

    It is a layer itself: it has `params`, `grads`, `forward` and `backward`, and may stand in
    another one. An error names the layer that it comes from.

    Parameters
    ----------
    *layers
        Objects with `params`, `grads`, ``forward(x)`` and ``backward(dy)``.
    """

    def __init__(self, *layers):
        self.layers = layers
        self._has_run = False

    def forward(self, x):
        """Return the output of the last layer."""
        for i in range(len(self.layers)):
            x = self._run(i, "forward", x)
        self._has_run = True
        return x

    def backward(self, dy):
        """Return the gradient for the input; each layer keeps those of its parameters."""
        if not self._has_run:
            raise ValueError("Sequential: call forward before backward, which needs its caches")
        for i in reversed(range(len(self.layers))):
            dy = self._run(i, "backward", dy)
        return dy

    @property
    def params(self):
        """All parameters by name, for example ``0.weight``: the arrays themselves, not copies."""
        return self._gather("params")

    @property
    def grads(self):
        """Their gradients, by the same names, from the last :meth:`backward`."""
        return self._gather("grads")

    def parameters(self):
        """Return the list of all parameter arrays."""
        return list(self.params.values())

    def train(self):
        """Let batch normalisation use the batch's statistics; return self."""
        return self._set_training(True)

    def eval(self):
        """Let batch normalisation use its running averages; return self."""
        return self._set_training(False)

    def _run(self, i, method, array):
        layer = self.layers[i]
        try:
            return getattr(layer, method)(array)
        except Exception as error:
            error.add_note(f"in the {method} of layer {i} of Sequential, {type(layer).__name__}")
            raise

    def _gather(self, kind):
        return {
            f"{i}.{name}": array
            for i, layer in enumerate(self.layers)
            for name, array in getattr(layer, kind).items()
        }

    def _set_training(self, training):
        for layer in self.layers:
            if isinstance(layer, Sequential):
                layer._set_training(training)
            elif hasattr(layer, "training"):
                layer.training = training
        return self
