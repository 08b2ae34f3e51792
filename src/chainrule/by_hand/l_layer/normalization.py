"""Batch normalisation of samples in columns: each row brought to mean 0 and variance 1 over the samples."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import functional as F
from ... import gates as g
from ...differentiate import vjp
from .shapes import Array, columns, like

__all__ = ["batch_norm_backward", "batch_norm_forward"]


def batch_norm_forward(Z: ArrayLike, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5
                       ) -> tuple[Any, tuple[Any, ...]]:
    r"""Return :math:`\gamma \hat Z + \beta` with :math:`\hat Z = (Z - \mu) / \sqrt{\sigma^2 + \epsilon}`.

    Mean and (biased) variance of each unit are taken over the samples: over axis 1.

    Parameters
    ----------
    Z : array, shape (units, samples)
        At least two samples: of one, the variance is 0.
    gamma, beta : array, shape (units, 1)
    eps : float

    Returns
    -------
    out : array, shape (units, samples)
    cache : tuple
        (Z, Z_norm, mean, variance, gamma, beta, eps), for `batch_norm_backward`.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is one sample only.

    Notes
    -----
    Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import batch_norm_forward
    >>> out, cache = batch_norm_forward(np.array([[1.0, 3.0]]), np.array([[2.0]]), np.array([[5.0]]), eps=0.0)
    >>> out
    array([[3., 7.]])
    """
    Z = columns("batch_norm_forward", "Z", Z)
    if Z.shape[1] < 2:
        raise ValueError(f"batch_norm_forward: Z has shape {Z.shape}: the variance of one sample is 0; pass several "
                         "samples, a column each")
    Z = Z if Z.dtype.kind == "f" else Z.astype(np.float64)
    unit = (len(Z), 1)
    gamma = like("batch_norm_forward", "gamma", gamma, "one column for the units of Z is", unit)
    beta = like("batch_norm_forward", "beta", beta, "one column for the units of Z is", unit)
    mean = g.mean(Z, axis=1, keepdims=True)
    variance = g.var(Z, axis=1, keepdims=True)
    one, zero = np.ones(unit, Z.dtype), np.zeros(unit, Z.dtype)
    return _normalized(Z, gamma, beta, eps), (Z, _normalized(Z, one, zero, eps), mean, variance, gamma, beta, eps)


def batch_norm_backward(dout: ArrayLike, cache: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    r"""Take a gradient back through `batch_norm_forward`.

    Parameters
    ----------
    dout : array, shape (units, samples)
        It is not written into.
    cache : tuple
        As `batch_norm_forward` returned it.

    Returns
    -------
    dZ : array, shape (units, samples)
        With the ways through mean and variance, which depend on every sample.
    dgamma, dbeta : array, shape (units, 1)
        Summed over the samples, not divided by their number.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import batch_norm_backward, batch_norm_forward
    >>> out, cache = batch_norm_forward(np.array([[1.0, 3.0]]), np.array([[2.0]]), np.array([[5.0]]))
    >>> dZ, dgamma, dbeta = batch_norm_backward(np.array([[1.0, 2.0]]), cache)
    >>> dbeta
    array([[3.]])
    """
    Z, _, _, _, gamma, beta, eps = cache
    dout = like("batch_norm_backward", "dout", dout, "Z", Z.shape)
    _, back = vjp(lambda z, scale, shift: _normalized(z, scale, shift, eps), Z, gamma, beta)
    dZ, dgamma, dbeta = back(dout)
    return dZ, dgamma, dbeta


def _normalized(Z: Any, gamma: Any, beta: Any, eps: float) -> Any:
    """Normalise the rows: for `functional.batch_norm` samples are rows, and units columns."""
    units: Array = Z.T
    return F.batch_norm(units, None, None, g.reshape(gamma, (-1,)), g.reshape(beta, (-1,)), training=True, eps=eps).T
