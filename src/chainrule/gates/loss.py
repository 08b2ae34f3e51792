"""Losses that are one gate, because their derivatives are simpler than those of their parts."""
from __future__ import annotations

from functools import cache
from math import exp as e
from typing import Any

import numpy as np

from ..gate import gate
from .elementwise import PAIR, abs, exp, log, log1p, maximum, sigmoid
from .indexing import scatter_along_axis, take_along_axis
from .reduction import _log_softmax, _ones, log_softmax, sum

__all__ = ["log_loss", "sigmoid_cross_entropy", "softmax_cross_entropy"]

# ------------------------------------------------------------------ one class of several


def _cross_entropy(x: Any, t: Any) -> Any:
    if x.ndim != 2 or t.shape != (len(x), 1) or not t.size:
        raise ValueError("there is not one class for each of some rows of scores")
    log_p = _log_softmax(x, 1)
    return -np.add.reduce(log_p[np.arange(t.size), t[:, 0]]) / t.size, log_p


def _d_scores(dz: Any, z: Any, x: Any, t: Any, kept: Any = None) -> Any:
    p = exp(log_softmax(x) if kept is None else kept)
    targets = scatter_along_axis(_ones(len(x), z.dtype)[:, None], t, shape=x.shape)
    return (p - targets) * (dz / len(x))


softmax_cross_entropy = gate(
    "softmax_cross_entropy", _cross_entropy, (_d_scores, None), keeps=True,
    formula=r"z = -\frac1N \sum_n \ln \operatorname{softmax}(x_n)_{t_n}",
    partials=(r"\frac1N (\operatorname{softmax}(x_n)_c - [c = t_n])", ""),
    shapes="scores (N, C) and classes (N, 1) from 0 to C - 1, N at least 1",
    parts=lambda x, t: -sum(take_along_axis(log_softmax(x), t)) / len(x),
    source="Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990",
    summary="The mean cross-entropy of scores and classes; `functional.cross_entropy` has weights and all the rest.",
    example=">>> round(float(cr.softmax_cross_entropy([[0.0, 0.0]], [[1]])), 6)\n0.693147")

# ------------------------------------------------------------------ yes or no
FLOOR = -100.0                       #: no logarithm of a probability counts as less


@cache
def _least(dtype: Any) -> float:
    """Return the least positive number of a dtype: its logarithm stands for that of 0."""
    return float(np.finfo(dtype).smallest_subnormal)


@cache
def _bound(dtype: Any) -> float:
    """Return the least p (1 - p) that the loss follows: a gradient over it is finite, unless that is huge itself."""
    least: float = float(np.finfo(dtype).smallest_normal) ** 0.8
    return max(e(FLOOR), least)


def _dtype(p: Any) -> Any:
    return getattr(p, "dtype", float)


def _bounded_log(p: Any) -> Any:
    return np.maximum(np.log(np.maximum(p, _least(_dtype(p)))), FLOOR)


def _log_loss(p: Any, t: Any) -> Any:
    return (t - 1) * _bounded_log(1 - p) - t * _bounded_log(p)


def _log(p: Any) -> Any:
    return maximum(log(maximum(p, _least(_dtype(p)))), FLOOR)


def _log_of_any(p: Any) -> Any:
    """Give the same where nobody minds that the logarithm of 0 is -∞."""
    return maximum(log(p), FLOOR) if _least(_dtype(p)) < e(FLOOR) else _log(p)


log_loss = gate(
    "log_loss", _log_loss, (
        lambda dz, z, p, t: dz * ((p - t) / maximum(p * (1 - p), _bound(_dtype(p)))),
        lambda dz, z, p, t: dz * (_log(1 - p) - _log(p))),
    formula=r"z = -t \ln p - (1 - t) \ln(1 - p)", partials=(r"\frac{p - t}{p (1 - p)}", r"\ln \frac{1 - p}{p}"),
    shapes=f"probabilities and targets of {PAIR}",
    parts=lambda p, t: (t - 1) * _log_of_any(1 - p) - t * _log_of_any(p),
    ties="at p = 0 and p = 1 the divisor is a small number, as in PyTorch, so that a target that is met has gradient 0",
    source="Good, Rational Decisions, Journal of the Royal Statistical Society B 14, 1952",
    summary="""The cross-entropy of each probability `p` and its target `t`, from 0 to 1.

`functional.binary_cross_entropy` checks them, weighs and reduces.""",
    example=">>> round(float(cr.log_loss(0.5, 1.0)), 6)\n0.693147")


def _sigmoid_cross_entropy(x: Any, t: Any) -> Any:
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))


sigmoid_cross_entropy = gate(
    "sigmoid_cross_entropy", _sigmoid_cross_entropy, (
        lambda dz, z, x, t: dz * (sigmoid(x) - t), lambda dz, z, x, t: -dz * x),
    formula=r"z = -t \ln \sigma(x) - (1 - t) \ln(1 - \sigma(x))", partials=(r"\sigma(x) - t", "-x"),
    shapes=f"scores and targets of {PAIR}", parts=lambda x, t: maximum(x, 0) - x * t + log1p(exp(-abs(x))),
    source="Cox, The Regression Analysis of Binary Sequences, Journal of the Royal Statistical Society B 20, 1958",
    summary="""The cross-entropy of the logistic function of each score `x` and its target `t`, for scores of any size.

`functional.binary_cross_entropy_with_logits` weighs and reduces.""",
    example=">>> round(float(cr.sigmoid_cross_entropy(0.0, 1.0)), 6)\n0.693147")
