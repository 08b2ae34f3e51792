"""A loss that is one gate, because its derivative is simpler than those of its parts: probabilities minus targets."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..gate import gate
from .elementwise import exp
from .indexing import scatter_along_axis
from .reduction import _log_softmax, _ones, log_softmax

__all__ = ["softmax_cross_entropy"]


def _cross_entropy(x: Any, t: Any) -> Any:
    if x.ndim != 2 or t.shape != (len(x), 1) or not t.size:
        raise ValueError("there is not one class for each of some rows of scores")
    log_p = _log_softmax(x, 1)
    return -np.add.reduce(log_p[np.arange(t.size), t[:, 0]]) / t.size, log_p


def _d_scores(dz: Any, z: Any, x: Any, t: Any, kept: Any = None) -> Any:
    p = exp(log_softmax(x, axis=1) if kept is None else kept)
    targets = scatter_along_axis(_ones(len(x), z.dtype)[:, None], t, axis=1, shape=x.shape)
    return (p - targets) * (dz / len(x))


softmax_cross_entropy = gate(
    "softmax_cross_entropy", _cross_entropy, (_d_scores, None), keeps=True,
    formula=r"z = -\frac1N \sum_n \ln \operatorname{softmax}(x_n)_{t_n}",
    partials=(r"\frac1N (\operatorname{softmax}(x_n)_c - [c = t_n])", ""),
    shapes="scores (N, C) and classes (N, 1) from 0 to C - 1, N at least 1",
    source="Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990",
    summary="The mean cross-entropy of scores and classes; `functional.cross_entropy` has weights and all the rest.",
    example=">>> round(float(cr.softmax_cross_entropy([[0.0, 0.0]], [[1]])), 6)\n0.693147")
