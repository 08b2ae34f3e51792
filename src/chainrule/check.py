"""Numerical gradients, and the check of analytic ones against them.

A derivative is right if central differences in float64 say so, element by element. Where they do not, the check looks
closer, along a ladder of steps, and says what it takes the reason to be; and if a gate is wrong by itself, it finds it.
"""
from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import random
from .differentiate import parts, rebuilt
from .mode import enable_grad, observe
from .nn.layer import Layer
from .nn.opaque import handwritten
from .random import Generator
from .reverse import history, pull, pullback
from .source import Lines
from .state import get, put
from .tensor import Tensor

__all__ = ["Culprit", "Element", "GradientError", "check_gradients", "numerical_gradient"]

Array = NDArray[Any]

MOST_ROWS = 20                       #: how many elements an error message shows
MOST_EXAMINED = 100                  #: how many get a verdict of their own
MOST_PROBED = 200                    #: how many elements of a gate's argument are tried on the search for a culprit

WRONG, KINK, IMPRECISE = "wrong formula", "kink nearby", "precision too low"
RANDOM, WRITES = "not deterministic", "writes into its arguments"
REASONS = {
    WRONG: "the numerical derivative is settled, and is another one",
    KINK: "the slopes on the two sides differ, or the domain ends; move the input away, or take a smaller step",
    IMPRECISE: "rounding hides the difference at this step; compute in float64, scale the result or take a larger step",
    RANDOM: "two evaluations at one point differ; draw from chainrule.random, whose streams the check sets back",
    WRITES: "an array that was given is changed, and whoever else uses it gets a wrong value; work on a copy",
}


# ------------------------------------------------------------------ numerical gradients
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
    point = _float64(x, "numerical_gradient: x")
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
        along = _Along(point, i, lambda: float((seed * (evaluate() - base)).sum()))
        slopes[i] = along.central(h) if method == "central" else along.ahead(h)
    return float(slopes) if is_number else slopes


def _float64(x: Any, name: str) -> Array:
    """Return a float64 copy of floating-point numbers."""
    array = np.asarray(x.array if isinstance(x, Tensor) else x)
    if array.dtype.kind != "f" and (isinstance(x, np.ndarray | np.generic | Tensor) or array.dtype.kind not in "iu"):
        raise TypeError(f"{name} has dtype {array.dtype}, and small steps are possible from floating-point numbers "
                        "only; convert it with .astype(float)")
    return np.array(array, np.float64)


class _Along:
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


# ------------------------------------------------------------------ what a check finds
@dataclass(frozen=True)
class Element:
    r"""One element of a gradient that is not what the differences say.

    Attributes
    ----------
    argument : str
        The name of an input, or the path of a parameter.
    index : tuple of int
    analytic, numeric : float
        The two derivatives of the result, weighted at random if it is more than one number.
    error : float
        :math:`|a - n| / \max(|a|, |n|)`.
    verdict : str
        "wrong formula", "kink nearby", "precision too low", "not deterministic", "writes into its arguments"; or
        "not examined", if there were too many.
    """

    argument: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    verdict: str


@dataclass(frozen=True)
class Culprit:
    """A gate whose own derivative is wrong: which argument, where, and the line that applied it (if it was seen)."""

    gate: str
    argument: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    line: str

    def __str__(self) -> str:
        return (f"{self.gate}, argument {self.argument}, index {self.index}: analytic {self.analytic:.6g}, numeric "
                f"{self.numeric:.6g}" + f"; applied at {self.line}" * bool(self.line))


class GradientError(AssertionError):
    r"""Gradients that differ from the differences, with the table of them as its message.

    Attributes
    ----------
    elements : list of Element
        The worst first.
    culprits : list of Culprit
        Gates that are wrong by themselves.
    ratio : float
        :math:`\|a - n\| / (\|a\| + \|n\|)` over all arguments.
    """

    def __init__(self, elements: list[Element], culprits: list[Culprit], ratio: float, count: int, notes: Sequence[str]
                 ) -> None:
        self.elements, self.culprits, self.ratio = elements, culprits, ratio
        kinds = Counter(e.verdict for e in elements)
        verdicts = ", ".join(f"{kind}: {n}" for kind, n in kinds.most_common())
        lines = [f"check_gradients: {len(elements)} of {count} elements disagree ({verdicts}); "
                 f"‖a-n‖/(‖a‖+‖n‖) = {ratio:.2g}", ""]
        rows = [("argument", "index", "analytic", "numeric", "error", "verdict")]
        rows += [(e.argument, str(e.index), f"{e.analytic:.6g}", f"{e.numeric:.6g}", f"{e.error:.1e}", e.verdict)
                 for e in elements[:MOST_ROWS]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  ".join(cell.ljust(w) if i in (0, 1, 5) else cell.rjust(w) for i, (cell, w) in
                            enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
        if len(elements) > MOST_ROWS:
            lines.append(f"... and {len(elements) - MOST_ROWS} more (see .elements)")
        lines += ["", *(f"{kind}: {REASONS[kind]}" for kind in kinds if kind in REASONS)]
        lines += [f"the wrong derivative is that of {culprit}" for culprit in culprits]
        super().__init__("\n".join([*lines, *notes]))


# ------------------------------------------------------------------ the check
def check_gradients(function: Any, *inputs: Any, step: float = 1e-6, rtol: float = 1e-5, atol: float = 1e-7,
                    seed: int = 0) -> float:
    r"""Compare analytic gradients with central differences in float64, element by element.

    Parameters
    ----------
    function : callable, Layer, or object with forward and backward
        A gate, a layer or loss, or any function of tensors; it may give several tensors. Parameters of the layer, and
        of the layers and tensors that a plain function names, are checked too. Of an object with a `forward` and a
        `backward` of its own, the inputs and each array ``W`` with a gradient ``dW`` (or the arrays in `params`, with
        those in `grads`) are checked.
    *inputs : array_like or Tensor
        Or lists, tuples and dicts of them. Floating-point inputs are checked; others, such as targets, are passed on.
    step : float
        The :math:`h` of the central differences.
    rtol, atol : float
        An element passes if :math:`|a - n| \le atol + rtol \max(|a|, |n|)`.
    seed : int
        Of the random weights with which a result of several numbers is made one.

    Returns
    -------
    float
        :math:`\|a - n\| / (\|a\| + \|n\|)`: about 1e-9 where all is well.

    Raises
    ------
    GradientError
        If an element does not pass: with a table of the worst, a verdict on each, and the gate that is to blame.
    TypeError
        If there is nothing to check, or the result is not a tensor.
    ValueError
        If the result is not finite.

    Notes
    -----
    Inputs are copied. Parameters and buffers are float64 meanwhile; they, the gradients and the random streams are put
    back in the end, also after an error. Each evaluation starts from the same buffers and positions of the streams
    of `chainrule.random`, so that a dropout layer has the same mask in all of them.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.check_gradients(lambda x, y: np.sin(x) * y, np.array([1.0, 2.0]), 3.0) < 1e-8
    True
    >>> from chainrule import nn
    >>> cr.check_gradients(nn.Linear(3, 2), np.ones((4, 3))) < 1e-8
    True
    """
    with ExitStack() as stack:
        subject: _Taped | _ByHand
        by_hand = hasattr(function, "forward") and hasattr(function, "backward")
        if isinstance(function, Layer):                    # with parameters of its own making, or with the library's
            by_hand = function.is_handwritten and not list(function.parameters())
        if by_hand:
            subject = stack.enter_context(_by_hand(function, inputs))
        else:
            subject = stack.enter_context(_taped(function, inputs))
        return _check(subject, step, rtol, atol, np.random.default_rng(seed))


def _check(subject: _Taped | _ByHand, step: float, rtol: float, atol: float, rng: np.random.Generator) -> float:
    base = subject.evaluate()
    if not all(np.isfinite(z).all() for z in base):
        raise ValueError("check_gradients: the result is not finite at these inputs, so there is nothing to compare; "
                         "chainrule.detect_anomaly() shows where it begins")
    weights = [np.ones(z.shape) if sum(y.size for y in base) == 1 else _weights(z.shape, rng) for z in base]
    faults = subject.differentiate(weights)
    if not subject.places:
        raise _nothing()

    def change() -> float:
        return sum(float((w * (z - y)).sum()) for w, z, y in zip(weights, subject.evaluate(), base, strict=True))

    def spread() -> float:
        return sum(float(np.abs(w * (z - y)).sum()) for w, z, y in zip(weights, subject.evaluate(), base, strict=True))

    with np.errstate(all="ignore"):
        wander = spread()
        slopes = [np.empty_like(array) for _, array, _ in subject.places]
        for (_, array, _), numeric in zip(subject.places, slopes, strict=True):
            for i in np.ndindex(array.shape):
                numeric[i] = _Along(array, i, change).central(step)
        wander = max(wander, spread())
        off = sum(float(((a - n) ** 2).sum()) for (_, _, a), n in zip(subject.places, slopes, strict=True)) ** 0.5
        size = sum(float((x ** 2).sum()) ** 0.5 for x in (
            np.concatenate([a.ravel() for _, _, a in subject.places]), np.concatenate([n.ravel() for n in slopes])))
        ratio = off / size if size else 0.0
        elements = _disagreeing(subject, slopes, change, wander, step, rtol, atol) + faults
        if not elements:
            return ratio
        elements.sort(key=lambda e: -e.error)
        culprits: list[Culprit] = []
        notes: list[str] = []
        if any(e.verdict == WRONG for e in elements) and isinstance(subject, _Taped):
            culprits = list(subject.culprits(step, rtol, atol, rng))
            if not culprits:
                notes.append("every gate by itself is right: a path to the argument may be missing, through .detach(), "
                             ".numpy(), no_grad() or a gate without a derivative")
    raise GradientError(elements, culprits, ratio, sum(n.size for n in slopes), notes)


def _nothing() -> TypeError:
    return TypeError("check_gradients: no input and no parameter is floating-point; write 1.0 instead of 1, or convert "
                     "with .astype(float)")


def _weights(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw a weight for each element of a result, none of them near 0."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def _error(a: Any, n: Any) -> float:
    if a == n:
        return 0.0
    error = abs(a - n) / max(abs(a), abs(n))
    return float(error) if np.isfinite(error) else float("inf")


def _disagreeing(subject: _Taped | _ByHand, slopes: list[Array], change: Callable[[], float], wander: float,
                 step: float, rtol: float, atol: float) -> list[Element]:
    """Return the elements that do not pass, with verdicts on the worst of each argument."""
    found: list[list[Element]] = []
    for (name, array, analytic), numeric in zip(subject.places, slopes, strict=True):
        tolerance = atol + rtol * np.maximum(np.abs(analytic), np.abs(numeric))
        bad = np.argwhere(~(np.abs(analytic - numeric) <= tolerance))
        here = []
        for i in (tuple(int(k) for k in row) for row in bad):
            a, n = float(analytic[i]) + 0.0, float(numeric[i]) + 0.0                 # no -0
            here.append(Element(name, i, a, n, _error(a, n), "not examined"))
        here.sort(key=lambda e: -e.error)
        for k, e in enumerate(here[:max(1, MOST_EXAMINED // len(subject.places))]):
            verdict = RANDOM if wander / step > 0.01 * abs(e.analytic - e.numeric) else _verdict(
                _Along(array, e.index, change), e.analytic, e.numeric, step)
            here[k] = Element(e.argument, e.index, e.analytic, e.numeric, e.error, verdict)
        found.append(here)
    return [e for here in found for e in here]


def _verdict(along: _Along, analytic: float, numeric: float, step: float) -> str:
    """Say why an analytic derivative differs from the numerical one at a step.

    Central differences over a ladder of steps, from step/64 to 4096 step, are settled where three in a row agree. If
    the first settled value is the analytic one, then `step` was at fault: it reaches over a kink if smaller steps are
    right, and drowns in rounding if larger ones are. If it is another value, then either the slopes on the two sides
    differ by as much at every step, which is a kink at the point itself, or the formula is wrong.
    """
    if along.here + step == along.here:
        return IMPRECISE
    if not np.isfinite(numeric):
        return KINK if np.isfinite(analytic) else WRONG
    steps = step * 4.0 ** np.arange(-3, 7)
    ahead, behind = (np.array([along.ahead(sign * h) for h in steps]) for sign in (1, -1))
    central, jump = (ahead + behind) / 2, ahead - behind
    moved = (ahead != 0) | (behind != 0) if np.any((ahead != 0) | (behind != 0)) else np.ones(len(steps), bool)
    off = abs(analytic - numeric)
    for k in range(len(steps) - 2):
        window = slice(k, k + 3)
        if not (moved[window].all() and np.ptp(central[window]) <= 0.1 * off):
            continue
        settled = central[k]
        if abs(analytic - settled) <= 0.3 * off:
            return KINK if steps[k] < step else IMPRECISE
        sizes = np.abs(jump[window])
        steady = (np.sign(jump[window]) == np.sign(jump[k])).all() and sizes.max() <= 2 * sizes.min()
        return KINK if steady and abs(analytic - settled) <= 0.51 * sizes.max() else WRONG
    return IMPRECISE if np.isfinite(analytic) else WRONG


# ------------------------------------------------------------------ functions of tensors, and layers
class _Taped:
    """A function whose gradients come from the tape: evaluated from the same state each time."""

    def __init__(self, function: Any, inputs: Any, leaves: list[tuple[str, Tensor]], restore: Callable[[], None]
                 ) -> None:
        self.function, self.inputs, self.leaves, self.restore = function, inputs, leaves, restore
        self.places: list[tuple[str, Array, Array]] = []
        self.lines = Lines()

    def _run(self) -> list[Tensor]:
        self.restore()
        with enable_grad():
            results = [z for _, z in parts(self.function(*self.inputs))]
        for z in results:
            if not isinstance(z, Tensor):
                raise TypeError(f"check_gradients: the function returned {type(z).__name__}, expected tensors; compute "
                                "with NumPy's or chainrule's functions all the way, without .item() and .numpy()")
        floating = [z for z in results if z.dtype.kind == "f"]
        if not floating:
            raise TypeError("check_gradients: the function returned no floating-point tensor")
        return floating

    def evaluate(self) -> list[Array]:
        """Compute the results where the arrays of the places stand now."""
        return [np.array(z.array, np.float64) for z in self._run()]

    def differentiate(self, weights: list[Array]) -> list[Element]:
        """Work out the analytic gradients; return what is found on the way."""
        with observe(self.lines):
            self.results = self._run()
        self.order = history(*self.results)
        seeds: dict[Tensor, Any] = {}
        for z, w in zip(self.results, weights, strict=True):
            if z.tracked:
                seeds[z] = seeds[z] + w if z in seeds else w.astype(z.dtype)
        found = pullback(seeds, targets=self.order, retain_graph=True) if seeds else {}
        self.places = [(name, t.array, np.array(found[t], np.float64) if t in found else np.zeros(t.shape))
                       for name, t in self.leaves]
        return [fault for t in self.order if t.gate is not None and t in found for fault in self._faults(t, found[t])]

    def _faults(self, t: Tensor, dz: Any) -> list[Element]:
        """Look whether the derivatives of one gate write into what they are given."""
        gate: Any = t.gate
        arrays = [np.array(x.array) if isinstance(x, Tensor) else x for x in t.inputs]
        if gate is handwritten:
            options = t.options
            return _faults_by_hand(options["layer"], arrays[:options["count"]], np.array(dz), options["settings"],
                                   self.restore)
        seed, z = np.array(dz), np.array(t.array)
        pull(gate, seed, z, arrays, t.options, [isinstance(x, Tensor) and x.tracked for x in t.inputs])
        given = [("dz", seed, dz), ("z", z, t.array), *(
            (name, array, x.array) for name, array, x in zip(_arguments(t), arrays, t.inputs, strict=True)
            if isinstance(x, Tensor))]
        return [e for name, after, before in given for e in _written(f"{name} of {gate.name}", after, before)]

    def culprits(self, step: float, rtol: float, atol: float, rng: np.random.Generator) -> Iterator[Culprit]:
        """Check each gate by itself, on what it was given; yield one culprit for each wrong derivative."""
        seen = set()
        for t in self.order:
            if t.gate is None:
                continue
            name = type(t.options["layer"]).__name__ if t.gate is handwritten else t.gate.name
            for i, argument in enumerate(_arguments(t)):
                x = t.inputs[i]
                if isinstance(x, Tensor) and x.tracked and (name, argument) not in seen and (
                        t.gate is not handwritten or i < t.options["count"]):
                    worst = _wrong_in(t, i, step, rtol, atol, rng)
                    if worst is not None:
                        seen.add((name, argument))
                        place = self.lines.of(t)
                        line = f"{place}" + f"\n    {place.text}" * bool(place.text) if place is not None else ""
                        yield Culprit(name, argument, *worst, line)


def _arguments(t: Tensor) -> list[str]:
    """Name the arguments of the gate that a tensor came out of."""
    assert t.gate is not None
    names = list(t.gate.arguments)
    return [names[i] if i < len(names) else f"{i}" for i in range(len(t.inputs))]


def _wrong_in(t: Tensor, i: int, step: float, rtol: float, atol: float, rng: np.random.Generator
              ) -> tuple[tuple[int, ...], float, float] | None:
    """Check one derivative of one gate: first along a random direction, then element by element for the worst."""
    gate: Any = t.gate
    options = {name: value for name, value in t.options.items() if name != "kept"}
    arrays = [np.array(x.array) if isinstance(x, Tensor) else x for x in t.inputs]
    weights = _weights(t.shape, rng)
    wanted = [k == i for k in range(len(arrays))]
    [analytic] = [d if d is not None else np.zeros(arrays[i].shape)
                  for k, d in enumerate(pull(gate, weights.copy(), t.array, arrays, t.options, wanted)) if k == i]
    x, direction = arrays[i], _weights(arrays[i].shape, rng)
    here = x.copy()

    def change() -> float:
        return float((weights * (gate.value(*arrays, **options) - t.array)).sum())

    def aside(h: float) -> float:
        x[...] = here + h * direction
        try:
            return change()
        finally:
            x[...] = here

    slope = (aside(step) - aside(-step)) / (2 * step)
    if abs((analytic * direction).sum() - slope) <= atol + rtol * np.abs(analytic * direction).sum():
        return None
    worst = None
    order = list(np.ndindex(x.shape))
    if len(order) > MOST_PROBED:
        order = [order[k] for k in sorted(rng.choice(len(order), MOST_PROBED, replace=False))]
    for index in order:
        along = _Along(x, index, change)
        a, n = float(analytic[index]), along.central(step)
        if not abs(a - n) <= atol + rtol * max(abs(a), abs(n)) and (worst is None or _error(a, n) > worst[0]) \
                and _verdict(along, a, n, step) == WRONG:
            worst = _error(a, n), index, a, n
    return None if worst is None else worst[1:]


def _written(name: str, after: Array, before: Array) -> list[Element]:
    """Return the first element of an array that was written into."""
    changed = np.argwhere(~((after == before) | (np.isnan(after) & np.isnan(before))))
    if not len(changed):
        return []
    i = tuple(int(k) for k in changed[0])
    return [Element(name, i, float(after[i]), float(before[i]), _error(after[i], before[i]), WRITES)]


@contextmanager
def _taped(function: Any, inputs: tuple[Any, ...]) -> Iterator[_Taped]:
    """Lift the inputs, find the parameters and move them to float64; put all back in the end."""
    leaves: list[tuple[str, Tensor]] = []
    lifted = []
    for place, (name, x) in enumerate(zip(_names(function, len(inputs)), inputs, strict=True)):
        if isinstance(x, list) and all(isinstance(leaf, int | float) for _, leaf in parts(x)):
            x = np.array(x)                                # [1.0, 2.0] is an array, [w, b] is a list of them
        constant = isinstance(function, Layer) and function.is_constant(place)
        given = []
        for path, leaf in parts(x):
            if np.asarray(leaf.array if isinstance(leaf, Tensor) else leaf).dtype.kind == "f":
                leaf = Tensor(_float64(leaf, name), requires_grad=not constant)
                if not constant:
                    leaves.append((name + path, leaf))
            given.append(leaf)
        lifted.append(rebuilt(x, iter(given)))
    layers, tensors = _named_by(function)
    with ExitStack() as stack:
        for name, layer in layers.items():
            for path, p in layer.named_parameters(name):
                if p.tracked and all(p is not t for _, t in leaves):
                    leaves.append((path, p))
            stack.enter_context(_in_float64([*layer.parameters(), *layer.buffers()]))
        leaves += [(name, t) for name, t in tensors.items() if all(t is not other for _, other in leaves)]
        if not leaves:
            raise _nothing()
        stack.enter_context(_in_float64(list(tensors.values())))
        restore = stack.enter_context(_same_state(list(layers.values())))
        yield _Taped(function, lifted, leaves, restore)


def _names(function: Any, count: int) -> list[str]:
    """Name the inputs as the function does, or by position."""
    try:
        signature = inspect.signature(function.forward if isinstance(function, Layer) else function)
    except (TypeError, ValueError):
        signature = inspect.Signature()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in signature.parameters.values() if p.kind in positional][:count]
    return names + [f"input {i}" for i in range(len(names), count)]


def _named_by(function: Any) -> tuple[dict[str, Layer], dict[str, Tensor]]:
    """Return the layers and the leaves with requires_grad that a function is, belongs to, or names in its code."""
    if isinstance(function, Layer):
        return {"": function}, {}
    if isinstance(getattr(function, "__self__", None), Layer):
        return {"": function.__self__}, {}
    if not inspect.isfunction(function):
        return {}, {}
    try:
        found = inspect.getclosurevars(function)
    except ValueError:                                     # a name that has no value yet
        return {}, {}
    layers, tensors = {}, {}
    for name, value in {**found.globals, **found.nonlocals}.items():
        for path, leaf in parts(value):
            if isinstance(leaf, Layer):
                layers[name + path] = leaf
            elif isinstance(leaf, Tensor) and leaf.tracked and leaf.gate is None:
                tensors[name + path] = leaf
    return layers, tensors


@contextmanager
def _in_float64(tensors: list[Tensor]) -> Iterator[None]:
    """Give tensors float64 memory of their own; in the end they have the old one again, with their gradients."""
    before = [(t, t.array, t.moment, t.lent, t.gradient) for t in tensors]
    try:
        for t in tensors:
            t.array = np.array(t.array, np.float64 if t.dtype.kind == "f" else t.dtype)
            t.lent, t.gradient = False, None
        yield
    finally:
        for t, array, moment, lent, gradient in before:
            t.array, t.moment, t.lent, t.gradient = array, moment, lent, gradient


@contextmanager
def _same_state(layers: list[Layer]) -> Iterator[Callable[[], None]]:
    """Give a function that sets buffers and random streams back to where they are now; call it in the end, too."""
    buffers = [(b, b.array.copy()) for layer in layers for b in layer.buffers()]
    held = [value for layer in layers for inner in layer.modules() for value in inner.__dict__.values()
            if isinstance(value, Generator)]
    cells = [(generator, name, get(generator, name)) for generator in
             (random.init, random.shuffle, random.dropout, random.user, *held) for name in ("seed", "position")]

    def restore() -> None:                                 # buffers too: a running mean does not run on
        for b, array in buffers:
            b.array = array.copy()
        for generator, name, value in cells:
            put(generator, name, value)

    try:
        yield restore
    finally:
        restore()


# ------------------------------------------------------------------ objects with a backward of their own
class _ByHand:
    """An object with forward and backward on arrays, and arrays of its own for parameters."""

    def __init__(self, thing: Any, inputs: list[Any], names: list[str], owned: list[Array], restore: Callable[[], None]
                 ) -> None:
        self.thing, self.inputs, self.names, self.owned, self.restore = thing, inputs, names, owned, restore
        self.contents = [a.copy() for a in owned]
        self.places: list[tuple[str, Array, Array]] = []

    def reset(self) -> None:
        """Give the object the attributes and contents it had, but for the arrays that are being moved."""
        self.restore()
        moving = {id(array) for _, array, _ in self.places}
        for array, content in zip(self.owned, self.contents, strict=True):
            if id(array) not in moving:
                array[...] = content

    def evaluate(self) -> list[Array]:
        """Run `forward` on copies of the inputs."""
        self.reset()
        given = [np.array(x) if isinstance(x, np.ndarray) else x for x in self.inputs]
        z = self.thing.forward(*given)
        return [np.array(y.array if isinstance(y, Tensor) else y, np.float64)
                for y in (z if isinstance(z, tuple) else (z,))]

    def differentiate(self, weights: list[Array]) -> list[Element]:
        """Run `backward`, and pair what it returns and leaves behind with what it is the gradient of."""
        faults = []
        if len(weights) == 1:
            faults = _faults_by_hand(self.thing, self.inputs, weights[0], {}, self.reset)
        self.evaluate()
        start = dict(self._arrays())
        slopes = _backward(self.thing, tuple(w.copy() for w in weights) if len(weights) > 1 else weights[0].copy())
        floating = [(name, x) for name, x in zip(self.names, self.inputs, strict=True) if isinstance(x, np.ndarray)
                    and x.dtype.kind == "f"]
        pairs = [(name, x, d) for (name, x), d in zip(floating, slopes, strict=False) if d is not None]
        left = dict(self._arrays())
        for path, array in start.items():
            slope = "grads" + path[6:] if path.startswith("params") else f"d{path}"
            if slope in left and all(array is not a for _, a, _ in pairs):
                pairs.append((path, array, left[slope]))
        for name, x, d in pairs:
            if np.shape(d) != x.shape:
                raise ValueError(f"check_gradients: {type(self.thing).__name__}.backward gave a gradient of shape "
                                 f"{np.shape(d)} for {name} of shape {x.shape}")
        self.places = [(name, x, np.array(d, np.float64)) for name, x, d in pairs]
        return faults

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        for name, value in vars(self.thing).items():
            for path, leaf in parts(value, name):
                if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
                    yield path, leaf


def _backward(thing: Any, dout: Any) -> list[Any]:
    slopes = thing.backward(float(dout) if np.shape(dout) == () else dout)
    return [x.array if isinstance(x, Tensor) else x for x in (slopes if isinstance(slopes, tuple | list) else [slopes])]


def _faults_by_hand(thing: Any, inputs: list[Any], dout: Array, options: dict[str, Any], reset: Callable[[], None]
                    ) -> list[Element]:
    """Look whether a hand-written layer writes into what it is given, and whether its backward is linear in dout."""
    name = type(thing).__name__

    def once(scale: float) -> tuple[Any, list[Any], list[Array], Array]:
        reset()
        given = [np.array(x) if isinstance(x, np.ndarray) else x for x in inputs]
        z = np.array(thing.forward(*given, **options))
        d = dout * scale
        return z, given, [np.array(s, np.float64) for s in _backward(thing, d) if s is not None], d

    z, given, single, d = once(1.0)
    faults = [e for i, (after, before) in enumerate(zip(given, inputs, strict=True)) if isinstance(before, np.ndarray)
              for e in _written(f"input {i} of {name}", after, before)]
    faults += _written(f"dout of {name}", d, dout)
    again, _, double, _ = once(2.0)
    if not faults and np.array_equal(z, again):
        for one, two in zip(single, double, strict=True):
            if one.size and not np.allclose(two, 2 * one, rtol=1e-6, atol=1e-12):
                i = np.unravel_index(np.argmax(np.abs(two - 2 * one)), one.shape)
                faults.append(Element(f"dout of {name} (doubled)", tuple(int(k) for k in i), float(two[i]),
                                      float(2 * one[i]), _error(two[i], 2 * one[i]), WRONG))
                break
    return faults


@contextmanager
def _by_hand(thing: Any, inputs: tuple[Any, ...]) -> Iterator[_ByHand]:
    """Move the arrays of an object to float64, copies all of them; it has its own again in the end."""
    arrays = [x if isinstance(x, str | bool) or x is None else np.array(x.array if isinstance(x, Tensor) else x)
              for x in inputs]
    arrays = [x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in arrays]
    before = dict(vars(thing))
    twins: dict[int, Array] = {}

    def twin(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        if id(x) not in twins:
            twins[id(x)] = np.array(x, np.float64 if x.dtype.kind == "f" else x.dtype)
        return twins[id(x)]

    start = {name: rebuilt(value, (twin(x) for _, x in parts(value)))
             if any(isinstance(x, np.ndarray) for _, x in parts(value)) else value for name, value in before.items()}

    def put_back(state: dict[str, Any]) -> None:
        vars(thing).clear()
        vars(thing).update({name: copy(value) if isinstance(value, list | dict) else value
                            for name, value in state.items()})

    with _same_state([]) as streams:
        def restore() -> None:
            streams()
            put_back(start)

        try:
            restore()
            yield _ByHand(thing, arrays, _names(thing.forward, len(inputs)), list(twins.values()), restore)
        finally:
            vars(thing).clear()
            vars(thing).update(before)
