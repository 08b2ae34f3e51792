"""Differences: the slope of a function at a point, without calculus."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..tensor import Tensor

Array = NDArray[Any]


def numerical_gradient(function: Callable[[Any], Any], x: ArrayLike | Tensor, *,
                       method: Literal["central", "forward"] = "central", step: float | None = None,
                       dout: ArrayLike | None = None) -> Any:
    r"""Return the gradient of a function by differences, in float64.

    .. math:: \frac{f(x + h e_i) - f(x - h e_i)}{2h} \quad\text{(central)} \qquad
              \frac{f(x + h e_i) - f(x)}{h} \quad\text{(forward)}

    Parameters
    ----------
    function : callable
        Of one argument, which it gets as a float64 copy (a number, an array or a tensor, as `x` is one); it must use
        that and not `x`. Gives one number, or with `dout` an array.
    x : float, array_like or Tensor
        Never written into.
    method : {"central", "forward"}
        The error is :math:`O(h^2)`, or :math:`O(h)`.
    step : float, optional
        :math:`h`. By default :math:`\sqrt[3]{\epsilon}` (central, about 6e-6) or :math:`\sqrt\epsilon` (forward, about
        1.5e-8), times :math:`\max(1, |x_i|)`: where truncation and rounding are about equal (Dennis and Schnabel,
        Numerical Methods for Unconstrained Optimization, 1983, section 5.4).
    dout : array_like, optional
        The gradient of something by the function's result, of the result's shape; the gradient of that something by
        `x` is returned, :math:`\sum_j dout_j \, \partial f_j / \partial x_i`.

    Returns
    -------
    float or array, float64
        Of the shape of `x`.

    Raises
    ------
    TypeError
        If `x` is an array of integers, which small steps cannot move.
    ValueError
        If the result is more than one number and there is no `dout`, or one of another shape.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.numerical_gradient(lambda x: np.sum(x ** 2), np.array([1.0, 2.0])).round(6)
    array([2., 4.])
    >>> round(cr.numerical_gradient(lambda x: x ** 3, 2.0, method="forward"), 5)
    12.0
    """
    if method not in ("central", "forward"):
        raise ValueError(f"numerical_gradient: method={method!r}, expected 'central' or 'forward'")
    if step is not None and not step > 0:
        raise ValueError(f"numerical_gradient: step={step!r}, expected a number above 0")
    point = as_float64(x, "numerical_gradient: x")
    is_number = isinstance(x, int | float) and not isinstance(x, np.generic)

    def evaluate() -> Array:
        given = float(point) if is_number else Tensor(point) if isinstance(x, Tensor) else point.copy()
        z = function(given)
        return np.array(z.array if isinstance(z, Tensor) else z, np.float64)

    base = evaluate()
    seed = np.ones(base.shape) if dout is None else np.asarray(dout, np.float64)
    if dout is None and base.size != 1:
        raise ValueError(f"numerical_gradient: the function returned shape {base.shape}, and a gradient is that of one "
                         "number; reduce it with .sum(), or pass dout, a weight for each of its elements")
    if seed.shape != base.shape:
        raise ValueError(f"numerical_gradient: dout has shape {seed.shape}, the function's result {base.shape}")
    slopes = np.empty_like(point)
    for i in np.ndindex(point.shape):
        h = step or (np.cbrt if method == "central" else np.sqrt)(np.finfo(float).eps) * max(1.0, abs(point[i]))
        along = Along(point, i, lambda: float((seed * (evaluate() - base)).sum()))
        slopes[i] = along.central(h) if method == "central" else along.ahead(h)
    return float(slopes) if is_number else slopes


def as_float64(x: Any, name: str) -> Array:
    """Return a float64 copy of floating-point numbers."""
    array = np.asarray(x.array if isinstance(x, Tensor) else x)
    if array.dtype.kind != "f" and (isinstance(x, np.ndarray | np.generic | Tensor) or array.dtype.kind not in "iu"):
        raise TypeError(f"{name} has dtype {array.dtype}, and small steps are possible from floating-point numbers "
                        "only; convert it with .astype(float)")
    return np.array(array, np.float64)


class Along:
    """A value as a function of one element of an array of ours."""

    def __init__(self, point: Array, index: tuple[int, ...], value: Callable[[], float]) -> None:
        self.point, self.index, self.value = point, index, value
        self.here = point[index].copy()

    def ahead(self, step: float) -> float:
        """Return the slope to a point ahead (or behind: a negative step), one that the element can reach exactly."""
        there = self.here + step
        self.point[self.index] = there
        try:
            return float(np.float64(self.value()) / (there - self.here))
        finally:
            self.point[self.index] = self.here

    def central(self, step: float) -> float:
        """Return the central difference."""
        return (self.ahead(step) + self.ahead(-step)) / 2


def random_weights(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw a weight for each element of a result, none of them near 0."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))
