"""Functions of neural networks under PyTorch's names: compositions of gates, so that no derivative is written here.

They take tensors and give tensors that remember, or take arrays and give arrays. What they take keeps its dtype.
"""
from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from . import gates as g
from . import random
from .gate import gate
from .gates.indexing import largest
from .mode import UnforeseenError, no_grad, recorder
from .tensor import Tensor

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "linear",
    "log_softmax", "mse_loss", "nll_loss", "one_hot", "relu", "sigmoid", "softmax", "softplus", "tanh",
]

Values: TypeAlias = Tensor | ArrayLike

# ------------------------------------------------------------------ activations


def relu(input: Values) -> Any:
    r"""Return :math:`\max(x, 0)` of each element; the derivative at 0 is 0.

    Parameters
    ----------
    input : tensor or array, any shape

    Returns
    -------
    tensor or array, the same shape and dtype

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.relu([-1.0, 2.0])
    array([0., 2.])
    """
    return g.relu(input)


def sigmoid(input: Values) -> Any:
    """Return the logistic function :math:`1/(1 + e^{-x})` of each element.

    Parameters
    ----------
    input : tensor or array, any shape

    Returns
    -------
    tensor or array, the same shape, from 0 to 1

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.sigmoid([0.0])
    array([0.5])
    """
    return g.sigmoid(input)


def tanh(input: Values) -> Any:
    """Return the hyperbolic tangent of each element.

    Parameters
    ----------
    input : tensor or array, any shape

    Returns
    -------
    tensor or array, the same shape, from -1 to 1

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.tanh([0.0])
    array([0.])
    """
    return g.tanh(input)


def softplus(input: Values, beta: float = 1.0) -> Any:
    r"""Return :math:`\ln(1 + e^{\beta x}) / \beta` of each element, exact for arguments of any size.

    Parameters
    ----------
    input : tensor or array, any shape
    beta : float
        The larger, the closer to relu. (PyTorch's `threshold` is not needed.)

    Returns
    -------
    tensor or array, the same shape

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.softplus([1000.0])
    array([1000.])
    """
    return g.softplus(input) if beta == 1 else g.softplus(g.multiply(input, beta)) / beta


def softmax(input: Values, dim: int = -1) -> Any:
    r"""Return probabilities from scores, :math:`e^{x_i} / \sum_j e^{x_j}`, along an axis.

    Parameters
    ----------
    input : tensor or array
    dim : int
        The axis along which the probabilities add up to 1.

    Returns
    -------
    tensor or array, the same shape

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.softmax([[0.0, 0.0]])
    array([[0.5, 0.5]])
    """
    return g.softmax(input, axis=dim)


def log_softmax(input: Values, dim: int = -1) -> Any:
    """Return the logarithm of `softmax`, exact for scores of any size.

    Parameters
    ----------
    input : tensor or array
    dim : int

    Returns
    -------
    tensor or array, the same shape

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.log_softmax([1000.0, 0.0])
    array([    0., -1000.])
    """
    return g.log_softmax(input, axis=dim)


# ------------------------------------------------------------------ layers


def linear(input: Values, weight: Values, bias: Values | None = None) -> Any:
    """Return the affine map :math:`X W^T + b`.

    Parameters
    ----------
    input : tensor or array, shape (..., inputs)
    weight : tensor or array, shape (outputs, inputs)
    bias : tensor or array, shape (outputs,), optional

    Returns
    -------
    tensor or array, shape (..., outputs)

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import functional as F
    >>> F.linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]))
    array([11.])
    """
    return g.linear(input, weight, bias)


def dropout(input: Values, p: float = 0.5, training: bool = True) -> Any:
    r"""Set each element to 0 with probability `p`, and scale the rest by :math:`1/(1-p)`, so that the mean stays.

    Parameters
    ----------
    input : tensor or array of float32 or float64, any shape
    p : float
        From 0 to 1.
    training : bool
        If False, the input is returned as it is.

    Returns
    -------
    tensor or array, the same shape and dtype

    Raises
    ------
    ValueError
        If `p` is not a probability.

    Notes
    -----
    The mask is drawn from the stream `chainrule.random.dropout`. Source: Srivastava et al., Dropout: A Simple Way to
    Prevent Neural Networks from Overfitting, JMLR 15, 2014 (there the scaling is done at test time).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import functional as F
    >>> F.dropout(np.ones(3), p=0.5, training=False)
    array([1., 1., 1.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1, got {p}")
    if not training or p == 0:
        return input
    x = input if isinstance(input, Tensor) else np.asarray(input)
    if p == 1:
        return x * 0.0
    mask = random.dropout.bernoulli(1 - p, x.shape, x.dtype) * (1 / (1 - p))
    return x * (mask if isinstance(x, Tensor) else mask.numpy())


def batch_norm(input: Values, running_mean: Tensor | None, running_var: Tensor | None, weight: Values | None = None,
               bias: Values | None = None, training: bool = False, momentum: Any = 0.1, eps: float = 1e-5) -> Any:
    r"""Return :math:`(x - \mu) / \sqrt{\sigma^2 + \epsilon} \cdot w + b` for each channel.

    Parameters
    ----------
    input : tensor or array, shape (N, C) or (N, C, ...)
        The channels stand on axis 1. Mean and variance are taken over all other axes.
    running_mean, running_var : Tensor, shape (C,), or None
        In training they are moved towards the mean and the unbiased variance of the batch, in place; otherwise they
        are what is subtracted and divided by.
    weight, bias : tensor or array, shape (C,), optional
    training : bool
        Whether the statistics are those of the batch. They are also if there are no running ones.
    momentum : float
        The share of the batch in the new running statistics.
    eps : float

    Returns
    -------
    tensor or array, the same shape

    Raises
    ------
    ValueError
        If there is only one value for each channel in training, whose variance would be 0.

    Notes
    -----
    Source: Ioffe and Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift, ICML 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import functional as F
    >>> F.batch_norm(np.array([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    array([[-1.],
           [ 1.]])
    """
    x: Any = input if isinstance(input, Tensor) else np.asarray(input)
    if len(x.shape) < 2:
        raise ValueError(f"batch_norm: got {x.shape}, expected (N, C) or (N, C, ...)")
    channels = (x.shape[1],) + (1,) * (len(x.shape) - 2)                # broadcasts along every axis but the channels
    if training or running_mean is None or running_var is None:
        axes = (0, *range(2, len(x.shape)))
        count = x.size // x.shape[1] if x.shape[1] else 0
        if training and count < 2:
            raise ValueError(f"batch_norm: got {x.shape}: in training each channel needs more than one value, for its "
                             "variance; pass a larger batch, or call .eval() first")
        mean = g.mean(x, axis=axes, keepdims=True)
        away = x - mean
        var = g.mean(g.square(away), axis=axes, keepdims=True)
        if training and running_mean is not None and running_var is not None:
            with no_grad():
                _move(running_mean, mean, momentum)
                _move(running_var, var * (count / (count - 1)), momentum)
    else:
        away, var = x - g.reshape(running_mean, channels), g.reshape(running_var, channels)
    scale = 1 / g.sqrt(var + eps)
    if weight is not None:
        scale = scale * g.reshape(weight, channels)
    y = away * scale
    return y if bias is None else y + g.reshape(bias, channels)


def _move(running: Tensor, batch: Any, momentum: Any) -> None:
    """Move a running statistic towards that of the batch."""
    running.assign(running * (1 - momentum) + g.reshape(batch, running.shape) * momentum)


def one_hot(tensor: Values, num_classes: int = -1) -> Any:
    """Return rows of zeros with a one at each index.

    Parameters
    ----------
    tensor : tensor or array of int, any shape
        Indices from 0 to `num_classes` - 1.
    num_classes : int
        The length of the new last axis; by default the largest index plus one.

    Returns
    -------
    tensor or array of int64, shape (..., num_classes)

    Raises
    ------
    TypeError
        If the indices are not integers.
    ValueError
        If one of them is out of range.

    Examples
    --------
    >>> from chainrule import functional as F
    >>> F.one_hot([2, 0], 3)
    array([[0, 0, 1],
           [1, 0, 0]])
    """
    target = _indices(tensor, "one_hot")
    if num_classes < 0:
        largest = target.look("one_hot(num_classes=-1)") if isinstance(target, Tensor) else target
        num_classes = int(largest.max()) + 1
    index = class_index(target, classes=num_classes, axis=len(target.shape))
    return g.cast(g.equal(index, np.arange(num_classes)), dtype=np.int64)


# ------------------------------------------------------------------ losses of regression


def mse_loss(input: Values, target: Values, *, reduction: str = "mean") -> Any:
    r"""Return the squared error :math:`(x - t)^2`: of each element, its mean or its sum.

    Parameters
    ----------
    input : tensor or array, any shape
    target : tensor or array, the same shape
        Converted to the dtype of `input`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    tensor or array, shape () or, with "none", that of `input`

    Raises
    ------
    ValueError
        If the shapes differ: nothing is broadcast.

    Examples
    --------
    >>> from chainrule import functional as F
    >>> float(F.mse_loss([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    x = _scores(input, "mse_loss")
    return _reduced(g.square(x - _like(x, target, "mse_loss")), reduction)


# ------------------------------------------------------------------ losses of classification


def binary_cross_entropy(input: Values, target: Values, weight: Values | None = None, *, reduction: str = "mean"
                         ) -> Any:
    r"""Return :math:`-t \ln p - (1 - t) \ln(1 - p)` for probabilities `p`.

    Parameters
    ----------
    input : tensor or array, any shape
        Probabilities, from 0 to 1. From scores, `binary_cross_entropy_with_logits` is exact where this is not.
    target : tensor or array, the same shape
        0 or 1, or a probability.
    weight : tensor or array, optional
        Factors that broadcast to the losses.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    tensor or array, shape () or, with "none", that of `input`

    Raises
    ------
    ValueError
        If the shapes differ, or an input is not a probability.

    Notes
    -----
    The logarithms are at least -100, as in PyTorch; where they would be less, or the inverse of a probability would be
    infinite in its dtype, their derivative is 0.

    Examples
    --------
    >>> from chainrule import functional as F
    >>> float(F.binary_cross_entropy([0.0], [1.0]))
    100.0
    """
    p = _scores(input, "binary_cross_entropy")
    t = _like(p, target, "binary_cross_entropy")
    seen = p.array if isinstance(p, Tensor) else p
    if seen.size and not (np.minimum.reduce(seen, axis=None) >= 0 and np.maximum.reduce(seen, axis=None) <= 1):
        raise ValueError(f"binary_cross_entropy: the input is a probability, from 0 to 1, got values from {seen.min()} "
                         f"to {seen.max()}; for scores use binary_cross_entropy_with_logits")
    return _weighted(g.log_loss(p, t), weight, reduction)


def binary_cross_entropy_with_logits(
    input: Values, target: Values, weight: Values | None = None, *, reduction: str = "mean",
    pos_weight: Values | None = None,
) -> Any:
    r"""Return :math:`-t \ln \sigma(x) - (1 - t) \ln(1 - \sigma(x))` for scores `x`, exact for scores of any size.

    Parameters
    ----------
    input : tensor or array, any shape
        Scores: log-odds.
    target : tensor or array, the same shape
        0 or 1, or a probability.
    weight : tensor or array, optional
        Factors that broadcast to the losses.
    reduction : {"mean", "sum", "none"}
    pos_weight : tensor or array, optional
        Factors of the first term, that broadcast to the losses: how much more a positive counts than a negative.

    Returns
    -------
    tensor or array, shape () or, with "none", that of `input`

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from chainrule import functional as F
    >>> float(F.binary_cross_entropy_with_logits([1000.0], [1.0]))
    0.0
    """
    x = _scores(input, "binary_cross_entropy_with_logits")
    t = _like(x, target, "binary_cross_entropy_with_logits")
    if pos_weight is None:
        return _weighted(g.sigmoid_cross_entropy(x, t), weight, reduction)
    losses = t * _factors(x, pos_weight) * g.softplus(-x) + (1 - t) * g.softplus(x)    # ln σ(x) = -softplus(-x)
    return _weighted(losses, weight, reduction)


def cross_entropy(
    input: Values, target: Values, weight: Values | None = None, *, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    r"""Return :math:`-\sum_c t_c \ln \operatorname{softmax}(x)_c` for scores `x`.

    Parameters
    ----------
    input : tensor or array, shape (C,), (N, C) or (N, C, d1, ...)
        Scores of C classes; not probabilities: softmax is part of the loss.
    target : tensor or array
        Classes: integers from 0 to C - 1, of shape (), (N,) or (N, d1, ...). Or probabilities: floats of the shape of
        `input`.
    weight : tensor or array, shape (C,), optional
        A factor for each class. With classes, the mean is weighted by it.
    ignore_index : int
        A class that counts nothing, in the mean neither. Not with probabilities.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        From 0 to 1: the share of the target that is spread over all classes.

    Returns
    -------
    tensor or array, shape () or, with "none", that of the classes
        The mean of nothing (all ignored) is NaN, and its gradient 0.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or a class is out of range.

    Notes
    -----
    Label smoothing: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.

    Examples
    --------
    >>> from chainrule import functional as F
    >>> round(float(F.cross_entropy([[0.0, 0.0]], [1])), 6)
    0.693147
    """
    x = _scores(input, "cross_entropy")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing lies between 0 and 1, got {label_smoothing}")
    if not x.shape:
        raise ValueError("cross_entropy: got a single score; expected (C,), (N, C) or (N, C, d1, ...)")
    axis = 1 if len(x.shape) > 1 else 0
    t = target if isinstance(target, Tensor) else np.asarray(target)
    if t.dtype.kind != "f" or t.shape != x.shape:
        return _of_classes(x, t, weight, ignore_index, reduction, label_smoothing, "cross_entropy")
    log_p = g.log_softmax(x, axis=axis)
    if ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index={ignore_index} is a class, and the target holds probabilities")
    t = _like(x, t, "cross_entropy")
    if label_smoothing:
        t = t * (1 - label_smoothing) + label_smoothing / x.shape[axis]
    if weight is not None:
        t = t * _per_class(weight, log_p, axis)
    return _reduced(-g.sum(log_p * t, axis=axis), reduction)


def nll_loss(input: Values, target: Values, weight: Values | None = None, *, ignore_index: int = -100,
             reduction: str = "mean") -> Any:
    """Return the negative log-likelihood of classes: of each sample, minus its class's element of `input`.

    Parameters
    ----------
    input : tensor or array, shape (C,), (N, C) or (N, C, d1, ...)
        Logarithms of probabilities, as `log_softmax` gives them.
    target, weight, ignore_index, reduction
        As for `cross_entropy`, with classes.

    Returns
    -------
    tensor or array, shape () or, with "none", that of the classes

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or a class is out of range.

    Examples
    --------
    >>> from chainrule import functional as F
    >>> float(F.nll_loss([[-3.0, -0.5]], [1]))
    0.5
    """
    log_p = _scores(input, "nll_loss")
    if not log_p.shape:
        raise ValueError("nll_loss: got a single value; expected (C,), (N, C) or (N, C, d1, ...)")
    t = target if isinstance(target, Tensor) else np.asarray(target)
    return _of_classes(log_p, t, weight, ignore_index, reduction, 0.0, "nll_loss")


def _of_classes(x: Any, target: Any, weight: Values | None, ignore_index: int, reduction: str, smoothing: float,
                name: str) -> Any:
    """Return the loss of scores, or for nll_loss of log-probabilities, where the target is one class per sample."""
    axis = 1 if len(x.shape) > 1 else 0
    classes, samples = x.shape[axis], x.shape[:axis] + x.shape[axis + 1:]
    if target.shape != samples:
        raise ValueError(f"{name}: got scores {x.shape} and a target of shape {target.shape}; expected classes of "
                         f"shape {samples}" + _remedy(target, x.shape, samples))
    target = _indices(target, name)
    mask = index = None
    step = recorder()
    if ignore_index < 0 and not (step is not None and step.general()):       # most likely nothing is to be ignored
        try:
            index = class_index(target, classes=classes, axis=axis)
        except ValueError:
            if not np.any((target.array if isinstance(target, Tensor) else target) == ignore_index):
                raise
            if step is not None:
                step.general(needed=True)
    if index is None:
        mask = g.not_equal(target, ignore_index)
        target = g.where(mask, target, 0)
        index = class_index(target, classes=classes, axis=axis)
    plain = mask is None and weight is None and not smoothing and reduction == "mean"
    if name == "cross_entropy" and plain and len(x.shape) == 2 and samples != (0,):
        return g.softmax_cross_entropy(x, index)
    log_p = g.log_softmax(x, axis=axis) if name == "cross_entropy" else x
    losses = -g.take_along_axis(log_p, index, axis=axis)
    if plain:
        return g.mean(losses)
    losses = g.squeeze(losses, axis=axis)
    factor: Any = None                                   # how much each sample counts
    if weight is not None:
        per_class = _per_class(weight, log_p, axis)
        factor = g.getitem(g.reshape(per_class, (-1,)), target)
        losses = losses * factor
    if smoothing:
        spread = -g.sum(log_p if weight is None else log_p * per_class, axis=axis)
        losses = losses * (1 - smoothing) + spread * (smoothing / classes)
    if mask is not None:
        losses = g.where(mask, losses, 0)
        factor = g.cast(mask, dtype=log_p.dtype) if factor is None else g.where(mask, factor, 0)
    if reduction != "mean" or factor is None:
        return _reduced(losses, reduction)
    total = g.sum(factor)
    return g.sum(losses) / g.where(g.equal(total, 0), np.nan, total)     # NaN without a warning, as 0/0 would be


def _remedy(target: Any, shape: tuple[int, ...], samples: tuple[int, ...]) -> str:
    """Say what to do about a target of a wrong shape."""
    if target.shape == shape:
        return (", or probabilities as floats of the scores' shape: for one-hot rows, pass target.argmax(axis=1), or "
                "convert them with .astype(np.float32)")
    if len(target.shape) == len(samples) + 1 and target.shape[:1] == samples[:1] and 1 in target.shape[1:]:
        return "; drop the axis of length 1 with target.squeeze(1), or target[:, 0]"
    return ""


def _indices(target: Any, name: str) -> Any:
    """Return classes, which are integers."""
    t = target if isinstance(target, Tensor) else np.asarray(target)
    if t.dtype.kind not in "iu":
        more = ", or pass probabilities of the scores' shape" if name == "cross_entropy" else ""
        raise TypeError(f"{name}: classes are integers, got {t.dtype} of shape {t.shape}; convert them with "
                        f".astype(np.int64){more}")
    return t


def _class_index(target: Any, *, classes: int, axis: int) -> Any:
    if largest(target) >= classes:
        place = np.argwhere((target < 0) | (target >= classes))[0]
        wrong = target[tuple(place)]
        kind = UnforeseenError if wrong < 0 else ValueError    # it may be one to ignore
        raise kind(f"class {wrong} at {tuple(map(int, place))} is not one of 0 to {classes - 1}")
    return target.reshape((*target.shape[:axis], 1, *target.shape[axis:]))


class_index = gate(
    "class_index", _class_index, formula=r"0 \le z < C", summary="Classes, checked, with an axis to index along.",
    example=">>> from chainrule.functional import class_index\n"
            ">>> class_index(np.array([2, 0]), classes=3, axis=1)\narray([[2],\n       [0]])")


# ------------------------------------------------------------------ what losses share


def _scores(input: Values, name: str) -> Any:
    """Return the first argument of a loss: something floating-point."""
    x = input if isinstance(input, Tensor) else np.asarray(input)
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: the input is floating-point, got {x.dtype} of shape {x.shape}; write 1.0 instead of "
                        "1, or convert it with .astype(np.float32)")
    return x


def _like(x: Any, target: Values, name: str) -> Any:
    """Return the target in the dtype of the scores. Its shape must be theirs: nothing is broadcast."""
    t = target if isinstance(target, Tensor) else np.asarray(target)
    if t.shape != x.shape:
        remedy = ""
        if t.size == x.size:
            remedy = f"; reshape one of them, for example target.reshape({', '.join(map(str, x.shape)) or '()'})"
        raise ValueError(f"{name}: the input has shape {x.shape}, the target {t.shape}: expected the same shape, since "
                         f"broadcasting would compare each element with every other{remedy}")
    return _factors(x, t)


def _factors(x: Any, values: Values) -> Any:
    """Return values in the dtype of the scores."""
    values = values if isinstance(values, Tensor) else np.asarray(values)
    return values if values.dtype == x.dtype else g.cast(values, dtype=x.dtype)


def _per_class(weight: Values, log_p: Any, axis: int) -> Any:
    """Return one factor for each class, so that it broadcasts against the scores."""
    w = _factors(log_p, weight)
    if w.shape != (log_p.shape[axis],):
        raise ValueError(f"the weight has shape {w.shape}; expected one for each of the {log_p.shape[axis]} classes")
    return g.reshape(w, (-1,) + (1,) * (len(log_p.shape) - axis - 1))


def _weighted(losses: Any, weight: Values | None, reduction: str) -> Any:
    if weight is not None:
        weighted = losses * _factors(losses, weight)
        if weighted.shape != losses.shape:
            raise ValueError(f"the weight has shape {np.shape(weight)}, which does not broadcast to {losses.shape}")
        losses = weighted
    return _reduced(losses, reduction)


def _reduced(losses: Any, reduction: str) -> Any:
    if reduction == "mean":
        return g.mean(losses)
    if reduction == "sum":
        return g.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")
