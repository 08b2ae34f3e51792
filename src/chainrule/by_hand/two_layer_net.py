"""The network that most people write first: two affine layers with a ReLU between them, and softmax at the end."""
from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..mode import no_grad
from .differences import numerical_gradient
from .layers import Affine, Relu, SoftmaxWithLoss

__all__ = ["TwoLayerNet", "numerical_gradient"]

Gradients = dict[str, NDArray[Any]]


class TwoLayerNet:
    r"""A network of one hidden layer: :math:`\operatorname{softmax}(\max(0, X W_1 + b_1) W_2 + b_2)`.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
    weight_init_std : float
        The weights are drawn by ``np.random.randn`` and multiplied by it; the biases are 0. With 1.0, hidden units get
        inputs as large as :math:`\sqrt{\text{input\_size}}`, and learning is slow and ends early; 0.01, or better
        :math:`\sqrt{2/\text{input\_size}}` (He et al., 2015), is what training needs.

    Attributes
    ----------
    params : dict of str to array
        W1 (input_size, hidden_size), b1 (hidden_size,), W2 (hidden_size, output_size), b2 (output_size,). The layers
        use these very arrays, or whatever is put in their place.
    layers : OrderedDict
        Affine1, Relu1, Affine2. Anything with `forward` and `backward` on arrays may take a place, or be added.
    lastLayer : SoftmaxWithLoss

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.two_layer_net import TwoLayerNet
    >>> np.random.seed(0)
    >>> net = TwoLayerNet(input_size=2, hidden_size=8, output_size=2)
    >>> x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> for _ in range(100):
    ...     grads = net.gradient(x, t)
    ...     for key in net.params:
    ...         net.params[key] -= 0.5 * grads[key]
    >>> net.accuracy(x, t)
    1.0
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 1.0) -> None:
        draw = np.random.randn                           # np.random.seed is what textbooks seed
        self.params: Gradients = {
            "W1": weight_init_std * draw(input_size, hidden_size), "b1": np.zeros(hidden_size),
            "W2": weight_init_std * draw(hidden_size, output_size), "b2": np.zeros(output_size)}
        self.layers: OrderedDict[str, Any] = OrderedDict(
            Affine1=Affine(self.params["W1"], self.params["b1"]), Relu1=Relu(),
            Affine2=Affine(self.params["W2"], self.params["b2"]))
        self.lastLayer: Any = SoftmaxWithLoss()

    def predict(self, x: ArrayLike) -> Any:
        """Return the scores (N, output_size) of samples (N, input_size)."""
        for number in "12":                              # also if somebody has put other arrays into params
            layer = self.layers[f"Affine{number}"]
            layer.W, layer.b = self.params[f"W{number}"], self.params[f"b{number}"]
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x: ArrayLike, t: ArrayLike) -> Any:
        """Return the mean cross-entropy; `t` are classes (N,) or one-hot rows (N, output_size)."""
        return self.lastLayer.forward(self.predict(x), t)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose largest score is that of their class. Nothing of it is remembered."""
        with no_grad():
            found = np.argmax(self.predict(x), axis=1)
        labels = np.asarray(t)
        return float(np.mean(found == (labels if labels.ndim == 1 else labels.argmax(axis=1))))

    def gradient(self, x: ArrayLike, t: ArrayLike) -> Gradients:
        """Return the gradient of the loss by each parameter, by backpropagation, under the names of `params`."""
        self.loss(x, t)
        dout = self.lastLayer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        first, second = self.layers["Affine1"], self.layers["Affine2"]
        return {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> Gradients:
        """Return the same by differences: two losses for each single parameter, so a few samples are enough."""
        with no_grad():
            return {name: numerical_gradient(lambda _: self.loss(x, t), value) for name, value in self.params.items()}
