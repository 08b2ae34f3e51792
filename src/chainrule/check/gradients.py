"""The check: analytic gradients against central differences, element by element."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..nn.layer import Layer
from .by_hand import ByHand, on_arrays
from .numerical import Along, Array, random_weights
from .report import RANDOM, WRONG, Culprit, Element, GradientError, relative_error
from .surroundings import nothing_to_check
from .taped import Taped, taped
from .verdict import judge

MOST_EXAMINED = 100                  #: how many elements get a verdict of their own


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
        subject: Taped | ByHand
        by_hand = hasattr(function, "forward") and hasattr(function, "backward")
        if isinstance(function, Layer):                    # with parameters of its own making, or with the library's
            by_hand = function.is_handwritten and not list(function.parameters())
        if by_hand:
            subject = stack.enter_context(on_arrays(function, inputs))
        else:
            subject = stack.enter_context(taped(function, inputs))
        return _check(subject, step, rtol, atol, np.random.default_rng(seed))


def _check(subject: Taped | ByHand, step: float, rtol: float, atol: float, rng: np.random.Generator) -> float:
    base = subject.evaluate()
    if not all(np.isfinite(z).all() for z in base):
        raise ValueError("check_gradients: the result is not finite at these inputs, so there is nothing to compare; "
                         "chainrule.detect_anomaly() shows where it begins")
    weights = [np.ones(z.shape) if sum(y.size for y in base) == 1 else random_weights(z.shape, rng) for z in base]
    faults = subject.differentiate(weights)
    if not subject.places:
        raise nothing_to_check()

    def change() -> float:
        return sum(float((w * (z - y)).sum()) for w, z, y in zip(weights, subject.evaluate(), base, strict=True))

    def spread() -> float:
        return sum(float(np.abs(w * (z - y)).sum()) for w, z, y in zip(weights, subject.evaluate(), base, strict=True))

    with np.errstate(all="ignore"):
        wander = spread()
        slopes = [np.empty_like(array) for _, array, _ in subject.places]
        for (_, array, _), numeric in zip(subject.places, slopes, strict=True):
            for i in np.ndindex(array.shape):
                numeric[i] = Along(array, i, change).central(step)
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
        if any(e.verdict == WRONG for e in elements) and isinstance(subject, Taped):
            culprits = list(subject.culprits(step, rtol, atol, rng))
            if not culprits:
                notes.append("every gate by itself is right: a path to the argument may be missing, through .detach(), "
                             ".numpy(), no_grad() or a gate without a derivative")
    raise GradientError(elements, culprits, ratio, sum(n.size for n in slopes), notes)


def _disagreeing(subject: Taped | ByHand, slopes: list[Array], change: Callable[[], float], wander: float,
                 step: float, rtol: float, atol: float) -> list[Element]:
    """Return the elements that do not pass, with verdicts on the worst of each argument."""
    found: list[list[Element]] = []
    for (name, array, analytic), numeric in zip(subject.places, slopes, strict=True):
        tolerance = atol + rtol * np.maximum(np.abs(analytic), np.abs(numeric))
        bad = np.argwhere(~(np.abs(analytic - numeric) <= tolerance))
        here = []
        for i in (tuple(int(k) for k in row) for row in bad):
            a, n = float(analytic[i]) + 0.0, float(numeric[i]) + 0.0                 # no -0
            here.append(Element(name, i, a, n, relative_error(a, n), "not examined"))
        here.sort(key=lambda e: -e.error)
        for k, e in enumerate(here[:max(1, MOST_EXAMINED // len(subject.places))]):
            verdict = RANDOM if wander / step > 0.01 * abs(e.analytic - e.numeric) else judge(
                Along(array, e.index, change), e.analytic, e.numeric, step)
            here[k] = Element(e.argument, e.index, e.analytic, e.numeric, e.error, verdict)
        found.append(here)
    return [e for here in found for e in here]
