"""First values for parameters. Every function writes into the tensor it is given, and returns it.

The random ones draw from the stream `chainrule.random.init`, or from a generator of the caller's. A weight has the
shape (outputs, inputs) or, of a convolution, (outputs, inputs, kernel...): *fan in* counts the numbers that each output
is computed from, *fan out* those that each input goes into.
"""
from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import random
from ..mode import no_grad
from ..tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "kaiming_normal_", "kaiming_uniform_", "lecun_normal_", "lecun_uniform_", "normal_",
    "ones_", "orthogonal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]


def _written(tensor: Tensor, value: ArrayLike | Tensor) -> Tensor:
    with no_grad():
        tensor.assign(value)
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Write zeros.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.init.zeros_(nn.Parameter([1.0, 2.0]))
    Tensor([0., 0.], requires_grad=True)
    """
    return _written(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Write ones.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.init.ones_(nn.Parameter([0.0, 0.0]))
    Tensor([1., 1.], requires_grad=True)
    """
    return _written(tensor, 1)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Write one value everywhere.

    Parameters
    ----------
    tensor : Tensor
    val : float

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.init.constant_(nn.Parameter([0.0, 0.0]), 0.5)
    Tensor([0.5, 0.5], requires_grad=True)
    """
    return _written(tensor, val)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: random.Generator | None = None) -> Tensor:
    """Draw from [a, b) with equal probability.

    Parameters
    ----------
    tensor : Tensor of float32 or float64
    a, b : float
    generator : Generator, optional
        By default `chainrule.random.init`.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from chainrule import nn
    >>> w = nn.init.uniform_(nn.Parameter([0.0, 0.0]), 2.0, 3.0)
    >>> bool((w >= 2).all() & (w < 3).all())
    True
    """
    return _written(tensor, (generator or random.init).uniform(a, b, tensor.shape, tensor.dtype))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: random.Generator | None = None) -> Tensor:
    """Draw from the normal distribution.

    Parameters
    ----------
    tensor : Tensor of float32 or float64
    mean, std : float
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.init.normal_(nn.Parameter([0.0]), mean=3.0, std=0.0)
    Tensor([3.], requires_grad=True)
    """
    return _written(tensor, (generator or random.init).normal(mean, std, tensor.shape, tensor.dtype))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: random.Generator | None = None) -> Tensor:
    r"""Draw uniformly from :math:`\pm g \sqrt{6 / (\text{fan in} + \text{fan out})}`.

    Parameters
    ----------
    tensor : Tensor, shape (outputs, inputs, ...)
    gain : float
        See `calculate_gain`.
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes.

    Notes
    -----
    Source: Glorot and Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks, AISTATS 2010,
    equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> w = nn.init.xavier_uniform_(nn.Parameter(np.zeros((2, 4))))
    >>> bool((abs(w) <= 1).all())
    True
    """
    return _spread_uniform(tensor, gain * sqrt(2 / sum(_fans(tensor, "xavier_uniform_"))), generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: random.Generator | None = None) -> Tensor:
    r"""Draw from the normal distribution of standard deviation :math:`g \sqrt{2 / (\text{fan in} + \text{fan out})}`.

    Parameters
    ----------
    tensor : Tensor, shape (outputs, inputs, ...)
    gain : float
        See `calculate_gain`.
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes.

    Notes
    -----
    Source: Glorot and Bengio, AISTATS 2010, equation 12.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.init.xavier_normal_(nn.Parameter(np.zeros((2, 4)))).shape
    (2, 4)
    """
    return normal_(tensor, 0.0, gain * sqrt(2 / sum(_fans(tensor, "xavier_normal_"))), generator)


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: random.Generator | None = None) -> Tensor:
    r"""Draw uniformly from :math:`\pm g \sqrt{3 / \text{fan}}`.

    Parameters
    ----------
    tensor : Tensor, shape (outputs, inputs, ...)
    a : float
        The negative slope of the leaky relu that follows; 0 for relu.
    mode : {"fan_in", "fan_out"}
        Which variance to keep: that of the values going forward, or that of the gradients coming back.
    nonlinearity : str
        What follows; see `calculate_gain`.
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes, or the mode or the nonlinearity is not known.

    Notes
    -----
    Source: He et al., Delving Deep into Rectifiers, ICCV 2015, equations 10 and 14.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> w = nn.init.kaiming_uniform_(nn.Parameter(np.zeros((2, 6))))
    >>> bool((abs(w) <= 1).all())
    True
    """
    return _spread_uniform(tensor, _kaiming(tensor, a, mode, nonlinearity, "kaiming_uniform_"), generator)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: random.Generator | None = None) -> Tensor:
    r"""Draw from the normal distribution of standard deviation :math:`g / \sqrt{\text{fan}}`.

    Parameters
    ----------
    tensor, a, mode, nonlinearity, generator
        As for `kaiming_uniform_`.

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes, or the mode or the nonlinearity is not known.

    Notes
    -----
    Source: He et al., Delving Deep into Rectifiers, ICCV 2015, equations 10 and 14.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.init.kaiming_normal_(nn.Parameter(np.zeros((2, 6)))).shape
    (2, 6)
    """
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity, "kaiming_normal_"), generator)


def lecun_uniform_(tensor: Tensor, generator: random.Generator | None = None) -> Tensor:
    r"""Draw uniformly from :math:`\pm \sqrt{3 / \text{fan in}}`.

    Parameters
    ----------
    tensor : Tensor, shape (outputs, inputs, ...)
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes.

    Notes
    -----
    Source: LeCun et al., Efficient BackProp, 1998, section 4.6, equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> w = nn.init.lecun_uniform_(nn.Parameter(np.zeros((2, 3))))
    >>> bool((abs(w) <= 1).all())
    True
    """
    return _spread_uniform(tensor, sqrt(1 / _fans(tensor, "lecun_uniform_")[0]), generator)


def lecun_normal_(tensor: Tensor, generator: random.Generator | None = None) -> Tensor:
    r"""Draw from the normal distribution of standard deviation :math:`1 / \sqrt{\text{fan in}}`.

    Parameters
    ----------
    tensor : Tensor, shape (outputs, inputs, ...)
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes.

    Notes
    -----
    Source: LeCun et al., Efficient BackProp, 1998, section 4.6, equation 16. Self-normalising networks (Klambauer et
    al., 2017) use it too.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.init.lecun_normal_(nn.Parameter(np.zeros((2, 3)))).shape
    (2, 3)
    """
    return normal_(tensor, 0.0, sqrt(1 / _fans(tensor, "lecun_normal_")[0]), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: random.Generator | None = None) -> Tensor:
    r"""Write a matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    Parameters
    ----------
    tensor : Tensor, shape (outputs, inputs, ...)
        All axes but the first are taken as one.
    gain : float
    generator : Generator, optional

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes.

    Notes
    -----
    Source: Saxe et al., Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural Networks, ICLR
    2014. Every such matrix is as likely as any other: Q of a Gaussian matrix's QR decomposition, its columns given the
    signs of R's diagonal (Mezzadri, How to Generate Random Matrices from the Classical Compact Groups, 2007).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> w = nn.init.orthogonal_(nn.Parameter(np.zeros((2, 3)))).detach()
    >>> bool(np.allclose(w @ w.T, np.eye(2)))
    True
    """
    _fans(tensor, "orthogonal_")
    rows, columns = tensor.shape[0], prod(tensor.shape[1:])
    drawn = (generator or random.init).normal(size=(max(rows, columns), min(rows, columns)), dtype=tensor.dtype)
    q, r = np.linalg.qr(drawn.numpy().astype(np.float64))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return _written(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def calculate_gain(nonlinearity: str, param: Any = None) -> float:
    r"""Return the factor by which a nonlinearity's weights are larger, so that it keeps the variance.

    Parameters
    ----------
    nonlinearity : {"linear", "conv1d", "conv2d", "conv3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"}
    param : float, optional
        The negative slope of "leaky_relu", 0.01 by default.

    Returns
    -------
    float
        1 for linear maps and sigmoid, 5/3 for tanh, :math:`\sqrt 2` for relu, :math:`\sqrt{2/(1 + a^2)}` for leaky
        relu (He et al., 2015, equation 14), 3/4 for selu. Those of tanh and selu are PyTorch's, found by trial.

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.init.calculate_gain("relu")
    1.4142135623730951
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if not isinstance(slope, int | float) or isinstance(slope, bool):
            raise ValueError(f"calculate_gain: the negative slope is a number, got {slope!r}")
        return sqrt(2 / (1 + slope**2))
    gains = {"linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3,
             "relu": sqrt(2), "selu": 3 / 4}
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: {nonlinearity!r} is not one of {', '.join(gains)}, leaky_relu")
    return gains[nonlinearity]


def _fans(tensor: Tensor, name: str) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(f"{name}: got {tensor.shape}, expected a weight (outputs, inputs, ...); for a bias use zeros_ "
                         "or uniform_")
    kernel = prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str, name: str) -> float:
    """Return the standard deviation."""
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode is 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / sqrt(_fans(tensor, name)[mode == "fan_out"])


def _spread_uniform(tensor: Tensor, std: float, generator: random.Generator | None) -> Tensor:
    """Draw uniformly with a standard deviation: the bound is its √3-fold."""
    return uniform_(tensor, -sqrt(3) * std, sqrt(3) * std, generator)
