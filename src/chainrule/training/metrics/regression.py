"""How far numbers are from what they should be."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MAE", "R2", "RMSE"]


@dataclass(frozen=True)
class MAE:
    r"""The mean absolute error, :math:`\frac1n \sum |x - t|`, in the units of the targets.

    Attributes
    ----------
    additive : bool
        Whether the mean over batches, weighted by samples, is the figure of all samples: it is.

    Examples
    --------
    >>> from chainrule.training import metrics
    >>> metrics.MAE()([[1.0], [2.0]], [[1.0], [5.0]])
    1.5
    """

    additive: ClassVar[bool] = True

    def __call__(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Return it, from 0 on; arrays of one shape, (N, ...)."""
        x, t = _alike("MAE", outputs, targets)
        return float(abs(x - t).mean())


@dataclass(frozen=True)
class RMSE:
    r"""The root of the mean squared error, :math:`\sqrt{\frac1n \sum (x - t)^2}`, in the units of the targets.

    Attributes
    ----------
    additive : bool
        Whether the mean over batches, weighted by samples, is the figure of all samples: it is not.

    Examples
    --------
    >>> from chainrule.training import metrics
    >>> metrics.RMSE()([[1.0], [2.0]], [[2.0], [9.0]])
    5.0
    """

    additive: ClassVar[bool] = False

    def __call__(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Return it, from 0 on; arrays of one shape, (N, ...)."""
        x, t = _alike("RMSE", outputs, targets)
        return float(np.sqrt(((x - t) ** 2).mean()))


@dataclass(frozen=True)
class R2:
    r"""The share of the variance that is explained, :math:`1 - \sum (x - t)^2 / \sum (t - \bar t)^2`.

    1 is perfect, 0 is as good as always saying the mean, and there is no lower bound. Of several outputs it is the mean
    of theirs. Where the targets are all equal it is 1 if they are met, else 0; of fewer than two samples it is nan.

    Attributes
    ----------
    additive : bool
        Whether the mean over batches, weighted by samples, is the figure of all samples: it is not.

    Notes
    -----
    The conventions are those of scikit-learn's `r2_score`.

    Examples
    --------
    >>> from chainrule.training import metrics
    >>> metrics.R2()([[1.0], [2.0], [2.0]], [[1.0], [2.0], [3.0]])
    0.5
    """

    additive: ClassVar[bool] = False

    def __call__(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Return it, at most 1; arrays of one shape, (N, ...)."""
        x, t = _alike("R2", outputs, targets)
        if not t.ndim or len(t) < 2:
            return float("nan")
        x, t = x.reshape(len(x), -1), t.reshape(len(t), -1)
        missed, varied = ((x - t) ** 2).sum(0), ((t - t.mean(0)) ** 2).sum(0)
        varied = np.where((t == t[0]).all(0), 0, varied)            # their mean may be off by a rounding
        share = np.divide(missed, varied, out=(missed > 0).astype(np.float64), where=varied > 0)
        return float((1 - share).mean())


def _alike(what: str, outputs: ArrayLike, targets: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both in float64, if they have one shape."""
    x, t = np.asarray(outputs), np.asarray(targets)
    if x.shape != t.shape:
        raise ValueError(f"{what}: outputs of shape {x.shape} and targets of shape {t.shape} do not fit; expected the "
                         "same shape, as nothing is broadcast here")
    if not x.size:
        raise ValueError(f"{what}: expected at least one number, got the shape {x.shape}")
    return x.astype(np.float64), t.astype(np.float64)
