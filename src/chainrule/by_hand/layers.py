"""The layers of the textbooks, samples in rows: `forward` and `backward` on numbers and arrays, on the library's gates.

Each is a gate, or a few of them, with the names that textbooks type. After ``backward`` the gradients of the parameters
are in ``dW`` and ``db`` (``dgamma``, ``dbeta``). See `HandLayer` for what they have in common.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import functional as F
from .. import gates as g
from ..mode import recorder
from ..state import given
from .arrays import as_array
from .layer import HandLayer, parameter

__all__ = ["AddLayer", "Affine", "BatchNormalization", "Dropout", "MaxLayer", "MulLayer", "Relu", "Sigmoid",
           "SoftmaxWithLoss", "Tanh"]


# ------------------------------------------------------------------ two inputs
class MulLayer(HandLayer):
    r"""The product :math:`x\,y`. Backward swaps: each input gets `dout` times the other.

    Examples
    --------
    >>> from chainrule.by_hand.layers import MulLayer
    >>> apples, tax = MulLayer(), MulLayer()
    >>> tax.forward(apples.forward(100, 2), 1.1)
    220.00000000000003
    >>> dapples, dtax = tax.backward(1)
    >>> apples.backward(dapples), dtax
    ((2.2, 110.00000000000001), 200.0)
    """

    def forward(self, x: Any, y: Any) -> Any:
        """Multiply numbers, or arrays that broadcast."""
        return self.chain(g.multiply, inputs=(x, y))


class AddLayer(HandLayer):
    """The sum :math:`x + y`. Backward distributes: both inputs get `dout`.

    Examples
    --------
    >>> from chainrule.by_hand.layers import AddLayer
    >>> layer = AddLayer()
    >>> layer.forward(200, 450)
    650.0
    >>> layer.backward(1.1)
    (1.1, 1.1)
    """

    def forward(self, x: Any, y: Any) -> Any:
        """Add numbers, or arrays that broadcast."""
        return self.chain(g.add, inputs=(x, y))


class MaxLayer(HandLayer):
    r"""The larger of two, :math:`\max(x, y)`. Backward routes: `dout` goes to the larger; equal ones share it.

    Examples
    --------
    >>> from chainrule.by_hand.layers import MaxLayer
    >>> layer = MaxLayer()
    >>> layer.forward(3, 4)
    4.0
    >>> layer.backward(10)
    (0.0, 10.0)
    """

    def forward(self, x: Any, y: Any) -> Any:
        """Compare numbers, or arrays that broadcast."""
        return self.chain(g.maximum, inputs=(x, y))


# ------------------------------------------------------------------ activations
class Relu(HandLayer):
    r""":math:`\max(x, 0)` of each element; the slope at 0 is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.layers import Relu
    >>> layer = Relu()
    >>> layer.forward(np.array([[1.0, -0.5], [-2.0, 3.0]]))
    array([[1., 0.],
           [0., 3.]])
    >>> layer.backward(np.array([[10.0, 10.0], [10.0, 10.0]]))
    array([[10.,  0.],
           [ 0., 10.]])
    """

    def forward(self, x: Any) -> Any:
        """Apply it to each element."""
        return self.chain(g.relu, inputs=(x,))


class Sigmoid(HandLayer):
    r""":math:`1 / (1 + e^{-x})` of each element. No number is too large for it.

    Examples
    --------
    >>> from chainrule.by_hand.layers import Sigmoid
    >>> layer = Sigmoid()
    >>> layer.forward(0), layer.backward(1)
    (0.5, 0.25)
    """

    def forward(self, x: Any) -> Any:
        """Apply it to each element."""
        return self.chain(g.sigmoid, inputs=(x,))


class Tanh(HandLayer):
    r""":math:`\tanh x` of each element.

    Examples
    --------
    >>> from chainrule.by_hand.layers import Tanh
    >>> layer = Tanh()
    >>> layer.forward(0), layer.backward(1)
    (0.0, 1.0)
    """

    def forward(self, x: Any) -> Any:
        """Apply it to each element."""
        return self.chain(g.tanh, inputs=(x,))


# ------------------------------------------------------------------ with parameters
class Affine(HandLayer):
    r"""The affine map :math:`Y = X W + b`, one sample in each row of `X`.

    Parameters
    ----------
    W : array, shape (inputs, outputs)
    b : array, shape (outputs,) or (1, outputs)
        Both are the caller's own: what he writes into them, the layer sees. A new array is set with ``layer.W = ...``.

    Attributes
    ----------
    dW, db : array
        The gradients after `backward`, of the shapes of `W` and `b`, new arrays each time.

    Raises
    ------
    TypeError
        If a parameter is an array of integers.
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.layers import Affine
    >>> layer = Affine(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, 0.5]))
    >>> layer.forward(np.array([[1.0, 1.0]]))
    array([[4.5, 6.5]])
    >>> layer.backward(np.array([[1.0, 10.0]]))
    array([[21., 43.]])
    >>> layer.dW
    array([[ 1., 10.],
           [ 1., 10.]])
    """

    parameters = ("W", "b")
    dW: NDArray[Any] | None              # noqa: N815
    db: NDArray[Any] | None

    def __init__(self, W: ArrayLike, b: ArrayLike) -> None:
        self.W, self.b = parameter(W, "Affine: W"), parameter(b, "Affine: b")
        self._check("Affine")

    def forward(self, x: Any) -> Any:
        """Map rows (N, inputs), one sample (inputs,), or images (N, ...) flattened, to (N, outputs)."""
        self._check("Affine.forward")
        shape, inputs = np.shape(x), self.W.shape[0]
        if not shape or (shape[-1] if len(shape) < 3 else int(np.prod(shape[1:]))) != inputs:
            columns = len(shape) == 2 and shape[0] == inputs
            raise ValueError(f"Affine.forward: x has shape {shape}, and W {self.W.shape}; expected samples in rows, "
                             f"(N, {inputs})" + "; pass x.T if they stand in columns" * columns)
        rows = () if len(shape) < 3 else ((g.reshape, {"shape": (shape[0], -1)}),)
        return self.chain(*rows, g.matmul, g.add, inputs=(x,))

    def _check(self, where: str) -> None:
        w, b = np.shape(self.W), np.shape(self.b)
        if len(w) != 2 or b not in (w[1:], (1, *w[1:])):
            raise ValueError(f"{where}: W has shape {w}, and b {b}; expected (inputs, outputs) and (outputs,)")


class BatchNormalization(HandLayer):
    r"""Each feature brought to mean 0 and variance 1 over the batch, then scaled and shifted.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training :math:`\mu` and :math:`\sigma^2` are those of the batch (:math:`\sigma^2` divided by N), and running
    means of them are kept for later, beginning with zeros:
    :math:`\bar\mu \leftarrow m \bar\mu + (1 - m) \mu`.

    Parameters
    ----------
    gamma, beta : array, shape (D,)
        For images (N, C, H, W) either one for each of the D = C channels, as convolutional networks want it, or for
        each of the D = C H W pixels.
    momentum : float
        :math:`m`, the share of the past in the running statistics. (In `nn.BatchNorm1d` it is the other share.)
    running_mean, running_var : array, shape (D,), optional
    eps : float

    Attributes
    ----------
    running_mean, running_var : array, shape (D,), or None
        New arrays after each `forward` in training.
    dgamma, dbeta : array, shape (D,)

    Raises
    ------
    TypeError
        If a parameter is an array of integers.
    ValueError
        If the shapes do not fit, or in training there is one value for each feature.
    RuntimeError
        If it is used outside training before there are running statistics.

    Notes
    -----
    Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.layers import BatchNormalization
    >>> layer = BatchNormalization(np.ones(1), np.zeros(1))
    >>> layer.forward(np.array([[10.0], [14.0]])).round(4)
    array([[-1.],
           [ 1.]])
    >>> layer.running_mean, layer.running_var
    (array([1.2]), array([0.4]))
    """

    parameters = ("gamma", "beta")
    dgamma: NDArray[Any] | None
    dbeta: NDArray[Any] | None

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, momentum: float = 0.9,
                 running_mean: NDArray[Any] | None = None, running_var: NDArray[Any] | None = None, *,
                 eps: float = 1e-5) -> None:
        self.gamma, self.beta = (parameter(value, f"BatchNormalization: {name}")
                                 for name, value in (("gamma", gamma), ("beta", beta)))
        self.momentum, self.eps = momentum, eps
        self.running_mean, self.running_var = running_mean, running_var

    def forward(self, x: Any, train_flg: bool = True) -> Any:
        """Normalise (N, D) or (N, C, H, W), with the statistics of the batch or, outside training, the running ones."""
        shape, sizes = np.shape(x), np.shape(self.gamma)
        flat = len(shape) > 2 and sizes != shape[1:2]
        features = (int(np.prod(shape[1:])),) if flat else shape[1:2]
        if len(shape) < 2 or features != sizes or np.shape(self.beta) != sizes:
            raise ValueError(f"BatchNormalization.forward: x has shape {shape}, gamma {sizes} and beta "
                             f"{np.shape(self.beta)}; expected (N, D) and twice (D,)")
        mean: Any = None
        var: Any = None
        if train_flg:
            rows = np.reshape(x, (len(x), -1)) if flat else as_array(x)
            if rows.size <= rows.shape[1]:
                raise ValueError(f"BatchNormalization.forward: x has shape {shape}: one value for each feature, which "
                                 "has no variance; pass a larger batch, or train_flg=False")
        elif not (given(self, "running_mean") and given(self, "running_var")):
            raise RuntimeError("BatchNormalization.forward: there are no running statistics yet; call it in training "
                               "first, or pass running_mean and running_var when it is made")
        else:
            mean, var = self.running_mean, self.running_var

        def normalized(x: Any, gamma: Any, beta: Any) -> Any:
            rows = g.reshape(x, shape=(shape[0], -1)) if flat else x
            y = F.batch_norm(rows, mean, var, gamma, beta, train_flg, eps=self.eps)
            return g.reshape(y, shape=shape) if flat else y

        y = self.run(normalized, x)
        if train_flg:
            axes = (0, *range(2, rows.ndim))
            self.running_mean = self._moved("running_mean", rows.mean(axes))
            self.running_var = self._moved("running_var", rows.var(axes))
        return y

    def _moved(self, name: str, batch: Any) -> Any:
        share = (1 - self.momentum) * batch
        return self.momentum * getattr(self, name) + share if given(self, name) else share


class Dropout(HandLayer):
    """In training, each element becomes 0 with probability `ratio`, and the others grow by 1/(1 - `ratio`).

    So the mean stays, and outside training nothing is to be done. (Where the others are left as they are, results
    outside training must be scaled by 1 - `ratio` instead.)

    Parameters
    ----------
    ratio : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the ratio is not a probability.

    Notes
    -----
    The masks come from the stream `chainrule.random.dropout`; ``chainrule.random.seed(0)`` repeats them, and
    ``np.random.seed`` has no effect on them. Source: Srivastava et al., Dropout, JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.layers import Dropout
    >>> layer = Dropout(0.5)
    >>> sorted(set(layer.forward(np.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.forward(np.ones(3), train_flg=False)
    array([1., 1., 1.])
    """

    def __init__(self, ratio: float = 0.5) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"Dropout: the ratio is a probability, from 0 to 1, got {ratio}")
        self.ratio = ratio

    def forward(self, x: Any, train_flg: bool = True) -> Any:
        """Drop elements, in training."""
        return self.run(lambda x: F.dropout(x, self.ratio, train_flg), x)


# ------------------------------------------------------------------ the loss
class SoftmaxWithLoss(HandLayer):
    r"""The mean cross-entropy of scores after softmax, :math:`-\frac1N \sum_n \sum_c t_{nc} \ln y_{nc}`.

    From the scores themselves: none is too large for it, and the logarithm of 0 is never taken. Backward gives
    :math:`(y - t)/N` times `dout`.

    Attributes
    ----------
    loss : number
        What the last `forward` returned.
    y : array, shape (N, C)
        The probabilities of the last `forward`.
    t : array
        Its labels.

    Raises
    ------
    TypeError, ValueError
        If the labels are neither classes nor rows of probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.layers import SoftmaxWithLoss
    >>> layer = SoftmaxWithLoss()
    >>> layer.forward(np.zeros((1, 4)), np.array([2])).round(6)
    np.float64(1.386294)
    >>> layer.backward()
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """

    leaves = frozenset({"loss", "t", "_scores"})
    loss: Any = None
    t: NDArray[Any] | None = None
    _scores: NDArray[Any] | None = None

    def forward(self, x: Any, t: Any) -> Any:
        """Compare scores (N, C), or (C,), with classes (N,) or with rows of the scores' shape, such as one-hot ones."""
        scores, labels = as_array(x), as_array(t, copy=True)
        target = labels
        if labels.shape == scores.shape and scores.ndim == 2 and labels.size and recorder() is None and _is_one_hot(
                labels):                                 # a recorded step must not look
            target = labels.argmax(axis=1)
        if target.dtype.kind in "iu" and target.shape == scores.shape[:1] and scores.ndim == 2 and target.size:
            try:
                index = F.class_index(target, classes=scores.shape[1], axis=1)
            except ValueError as error:
                raise ValueError(f"SoftmaxWithLoss.forward: {error}") from error
            loss = self.chain(g.softmax_cross_entropy, inputs=(x,), constants=(index,))
        else:
            if labels.shape == scores.shape and scores.ndim:
                target = labels.astype(scores.dtype if scores.dtype.kind == "f" else float)
            elif scores.ndim == 1 and labels.size == 1:
                target = labels.reshape(())
            loss = self.run(lambda x: F.cross_entropy(x, target), x)
        self.loss, self.t, self._scores = loss, labels, as_array(scores, copy=True)
        return loss

    def backward(self, dout: Any = 1) -> Any:
        """Return the gradient of the scores; `dout` is that of the loss."""
        return super().backward(dout)

    @property
    def y(self) -> NDArray[Any] | None:
        """The probabilities of the last `forward`."""
        return None if self._scores is None else as_array(g.softmax(self._scores, axis=-1))


def _is_one_hot(rows: NDArray[Any]) -> bool:
    """Tell whether each row has a single 1, and zeros beside it."""
    return bool(np.count_nonzero(rows) == len(rows) and (rows.max(axis=1) == 1).all())
