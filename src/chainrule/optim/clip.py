"""Keeping gradients small: by the norm of all of them together, or element by element."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import gates as g
from ..linalg import norm
from ..mode import no_grad, recorder
from ..state import write
from ..tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = Tensor | Iterable[Tensor]


def get_total_norm(tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    r"""Return the norm of several tensors, as if they were one long vector.

    .. math:: \Bigl(\sum_i |x_i|^p\Bigr)^{1/p}

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
        Gradients, for instance.
    norm_type : float
        :math:`p`; infinity (or ``"inf"``) for the largest size. 0 counts the tensors that are not 0 throughout.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite. Not in a recorded step, which cannot look at a value.

    Returns
    -------
    Tensor, shape ()
        0 if there are no tensors.

    Raises
    ------
    FloatingPointError
        If that was asked for.
    TypeError
        If something else than a tensor is among them.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optim.get_total_norm([cr.Tensor([3.0]), cr.Tensor([[0.0, 4.0]])])
    Tensor(5.)
    """
    p = float(norm_type)
    if np.isnan(p):
        raise ValueError("norm_type is a number or infinity, got NaN")
    with no_grad():
        norms = [norm(g.reshape(t, shape=(-1,)), p) for t in _listed(tensors) if t.size]
        total = norm(g.stack(norms), p) if len(norms) > 1 else norms[0] if norms else Tensor(np.float32(0))
    if error_if_nonfinite:
        step = recorder()
        if step is not None:
            step.refuse("error_if_nonfinite=True looks at the norm, which a recorded step cannot do; return the norm "
                        "from the step, and look at it there")
        if not np.isfinite(total.array):
            raise FloatingPointError(f"the norm of order {p:g} of the gradients is {total.item()}, so they cannot be "
                                     "clipped. `with chainrule.detect_anomaly():` names the gate in which it began; "
                                     "error_if_nonfinite=False scales by the norm all the same")
    return total


def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Any) -> None:
    r"""Scale the gradients of parameters by :math:`\min(1, m / (n + 10^{-6}))`.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those whose `.grad` is None are left out.
    max_norm : float
        :math:`m \ge 0`.
    total_norm : Tensor or float
        :math:`n`, as `get_total_norm` gives it.

    Raises
    ------
    ValueError
        If `max_norm` is negative or NaN.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0], requires_grad=True)
    >>> w.grad = cr.Tensor([8.0])
    >>> optim.clip_grads_with_norm_(w, 1.0, 16.0)
    >>> w.grad.numpy().round(6)
    array([0.5])
    """
    limit = _limit("max_norm", max_norm)
    with no_grad():
        factor = g.minimum(limit / (total_norm + 1e-6), 1)           # no branch: a recorded step may clip or not
        for p in _listed(parameters):
            gradient = p.grad
            if gradient is not None:
                write(p, "gradient", gradient * g.cast(factor, dtype=gradient.dtype))


def clip_grad_norm_(parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
                    ) -> Tensor:
    r"""Scale all gradients down by one factor, if their norm together is larger than `max_norm`.

    .. math:: g \leftarrow g \cdot \min\Bigl(1, \frac{m}{n + 10^{-6}}\Bigr)

    The direction stays, so this is what training on long sequences wants. Call it between ``backward`` and ``step``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those whose `.grad` is None are left out.
    max_norm : float
        :math:`m \ge 0`; with infinity, nothing changes and the norm is returned.
    norm_type, error_if_nonfinite
        As for `get_total_norm`. Without the error, a norm that is NaN makes every gradient NaN.

    Returns
    -------
    Tensor, shape ()
        The norm :math:`n` before.

    Raises
    ------
    ValueError
        If `max_norm` is negative or NaN.
    FloatingPointError
        If the norm is NaN or infinite, and that should be an error. The gradients are then unchanged.

    Notes
    -----
    Source: Pascanu, Mikolov and Bengio, On the Difficulty of Training Recurrent Neural Networks, ICML 2013, algorithm
    1; the :math:`10^{-6}` is PyTorch's. `.grad` becomes a new tensor: an array or a tensor that was taken from it
    before keeps its value.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([3.0, 4.0], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> optim.clip_grad_norm_([w], max_norm=1.0)
    Tensor(5.)
    >>> w.grad.numpy().round(6)
    array([0.6, 0.8])
    """
    entries, limit = _listed(parameters), _limit("max_norm", max_norm)
    gradients = [p.grad for p in entries]
    total = get_total_norm([x for x in gradients if x is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(entries, limit, total)
    return total


def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    r"""Bring every element of the gradients between :math:`-c` and :math:`c`.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those whose `.grad` is None are left out.
    clip_value : float
        :math:`c \ge 0`.

    Raises
    ------
    ValueError
        If `clip_value` is negative or NaN.

    Notes
    -----
    `.grad` becomes a new tensor, as with `clip_grad_norm_`. NaN stays NaN.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([3.0, -0.25], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> optim.clip_grad_value_([w], 1.0)
    >>> w.grad
    Tensor([ 1.  , -0.25])
    """
    limit = _limit("clip_value", clip_value)
    with no_grad():
        for p in _listed(parameters):
            gradient = p.grad
            if gradient is not None:
                write(p, "gradient", g.clip(gradient, -limit, limit))


def _listed(tensors: Any) -> list[Tensor]:
    """Return as a list what may be a single tensor or a generator."""
    entries = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for i, t in enumerate(entries):
        if not isinstance(t, Tensor):
            raise TypeError(f"clipping works on tensors, got {type(t).__name__} at position {i}"
                            + ("; pass model.parameters()" if isinstance(t, tuple) else ""))
    return entries


def _limit(name: str, value: float) -> float:
    if not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must be at least 0, got {value}")
    return float(value)
