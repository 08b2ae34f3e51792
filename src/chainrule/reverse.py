"""The engine: the chain rule, once through the graph, from the result to its leaves.

This is the only place where broadcasting is undone and where gradients are added up.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from heapq import heapify, heappop, heappush
from operator import attrgetter
from threading import RLock
from typing import Any

import numpy as np

from . import gates as g
from .gate import NOTHING, Gate, own
from .mode import enable_grad, mode, no_grad, recorder
from .state import read, write
from .tensor import Tensor, as_tensor

__all__ = ["accumulate", "backward", "fit", "history", "pull", "pullback"]

moment = attrgetter("moment")
turn = RLock()                       # threads that go back to the same leaf add up one after the other
released = Gate("released", lambda: None, summary="Stands where a gate was, after a backward pass has freed the graph.")


def history(*results: Tensor) -> list[Tensor]:
    """Return every tensor that the results depend on and that asks for a gradient, in topological order.

    A result is younger than its inputs, hence sorting by age is enough: no recursion, no depth-first marks.
    """
    seen = {t for t in results if t.tracked}
    stack = list(seen)
    while stack:
        for x in stack.pop().inputs:
            if isinstance(x, Tensor) and x.tracked and x not in seen:
                seen.add(x)
                stack.append(x)
    return sorted(seen, key=moment)


def fit(dx: Any, x: Any, gate: Any) -> Any:
    """Give a gradient the shape and the dtype of its value: sum over what was broadcast, cast what was promoted."""
    if dx.shape != x.shape:
        try:
            dx = (g.sum_to if dx.size >= x.size or not dx.size else g.broadcast_to)(dx, shape=x.shape)
        except ValueError as error:
            raise ValueError(f"a derivative of {gate.name} has shape {dx.shape}: an argument of shape {x.shape} does "
                             "not broadcast to that") from error
    if dx.dtype == x.dtype or x.dtype.kind != "f":
        return dx
    if dx.dtype.kind == "c":
        raise TypeError(f"{gate.name} of a real tensor and complex numbers cannot be differentiated here; write the "
                        "real and the imaginary part as tensors of their own")
    return g.cast(dx, dtype=x.dtype)


def pull(gate: Gate, dz: Any, z: Any, inputs: Sequence[Any], options: dict[str, Any], wanted: Sequence[bool]
         ) -> list[Any]:
    """Take a gradient back through one gate: for each input that is wanted, what this gate contributes to its gradient.

    Parameters
    ----------
    gate : Gate
    dz, z : array or Tensor
        The gradient of the result, and the result.
    inputs : sequence
        The arrays (or tensors, for a derivative that is itself recorded) that went in.
    options : dict
    wanted : sequence of bool

    Returns
    -------
    list
        Of the shape and dtype of each input; None where nothing is wanted, or nothing comes back.
    """
    if gate.joint is not None:
        parts = gate.joint(dz, z, wanted, *inputs, **options)
    else:
        parts = [rule(dz, z, *inputs, **options) if want and rule is not None else None
                 for want, rule in zip(wanted, gate.derivative, strict=False)]
    return [None if part is None else fit(part, x, gate) for part, x in zip(parts, inputs, strict=False)]


def pullback(seeds: dict[Tensor, Any], *, targets: Collection[Tensor] | None = None, create_graph: bool = False,
             retain_graph: bool = False) -> dict[Tensor, Any]:
    """Return the gradient of seeded results with respect to each leaf, or to each of the targets.

    Parameters
    ----------
    seeds : dict
        For each result, the gradient to begin with, of its shape.
    targets : collection of Tensor, optional
        The tensors, results or leaves, whose gradients are wanted; work that leads to none of them is left out.
    create_graph, retain_graph : bool
        As for `Tensor.backward`.

    Returns
    -------
    dict
        Arrays, or tensors under `create_graph` and while a step is being recorded. A tensor that no gradient reaches
        is missing.
    """
    on_tensors = create_graph or mode.symbolic         # the derivatives run on tensors, and are recorded in turn
    retain_graph = retain_graph or create_graph
    goals = set(targets or ())                         # a set asks for identity; a list would compare elements
    wanted = None if targets is None else _leading_to(goals, history(*seeds))
    pending = {t: _prepared(seed, on_tensors) for t, seed in seeds.items()}     # what has come back so far
    found: dict[Tensor, Any] = {}
    ours: set[Tensor] = set()                          # tensors whose pending gradient nobody else can see
    observer = mode.observer
    adds = observer is None and not on_tensors         # whether a pending gradient may be added to in place
    # The results whose gradient is pending, the youngest first. Inputs are older than their result, so when a result
    # is the youngest that is left, all that depends on it has been passed, and its gradient is complete.
    heap = [(-t.moment, t) for t in pending if t.gate is not None]
    heapify(heap)
    with enable_grad() if create_graph else no_grad() if on_tensors else nullcontext():
        while heap:
            t = heappop(heap)[1]                       # `anomaly` reads `t` and `dz` of this frame, by these names
            dz = pending.pop(t)
            if t.extra is not None:
                dz = _hooked(t, dz)
            if wanted is not None:
                if t in goals:
                    found[t] = dz
                if t not in wanted:
                    continue
            gate: Any = t.gate
            options, now = t.options, t.moment
            if gate is released:
                raise RuntimeError("this part of the graph was freed by an earlier backward pass; pass "
                                   "retain_graph=True to that one")
            values, sources = [dz, t.array], []        # what the derivatives are given, and who wants a gradient
            for x in t.inputs:
                if isinstance(x, Tensor):
                    if x.moment > now:
                        raise _written(x, gate)
                    values.append(x.array)
                    sources.append(x if x.tracked and (wanted is None or x in wanted) else None)
                else:
                    values.append(x)
                    sources.append(None)
            if on_tensors:
                values = [dz, t, *map(_followed, t.inputs)]
                if "kept" in options:
                    options = {name: value for name, value in options.items() if name != "kept"}
            joint, scatters = gate.joint, gate.scatters
            if joint is not None:
                rules: Any = joint(dz, values[1], [x is not None for x in sources], *values[2:], **options)
            else:
                rules = gate.derivative
            for x, rule in zip(sources, rules):        # noqa: B905
                if x is None or rule is None:
                    continue
                if joint is not None:
                    dx = rule
                elif scatters and x in ours and hasattr(rule, "into"):
                    rule.into(pending[x], *values, **options)
                    continue
                else:
                    dx = rule(*values, **options) if options else rule(*values)
                a = x.array
                if dx.shape != a.shape or dx.dtype is not a.dtype:
                    dx = fit(dx, a, gate)
                if observer is not None:
                    observer.pulled(t, x, dx)
                if x in ours:
                    pending[x] += dx
                elif x in pending:
                    pending[x] = pending[x] + dx
                    if adds and a.shape:               # of numbers the sum is a number: nothing to write into
                        ours.add(x)
                else:
                    pending[x] = dx
                    if x.gate is not None:
                        heappush(heap, (-x.moment, x))
                    if scatters and adds and hasattr(rule, "into"):
                        ours.add(x)                    # scattered into fresh zeros
            if not retain_graph:
                t.gate, t.inputs, t.options = released, (), NOTHING     # memory goes back while the pass goes on
        for t, dz in pending.items():
            if wanted is None or t in goals:
                found[t] = _hooked(t, dz) if t.extra is not None else dz
    return found


def _followed(x: Any) -> Any:
    """Return a plain array that went into a gate as a tensor, while a step is being recorded: it is read anew then."""
    return as_tensor(x) if isinstance(x, np.ndarray) and mode.symbolic else x


def _prepared(seed: Any, on_tensors: bool) -> Any:
    if isinstance(seed, np.ndarray):
        seed = own(seed)                               # a leaf's gradient may be the seed itself
    if on_tensors:
        return seed if isinstance(seed, Tensor) else Tensor.of(seed)
    return _lend(seed) if isinstance(seed, Tensor) else seed


def _lend(t: Tensor) -> Any:
    """Return the array of somebody's tensor: if he writes into the tensor later, it moves elsewhere first."""
    t.lent = True
    return t.array


def _handed(dz: Any) -> Tensor:
    """Return a gradient as a tensor for somebody who may write into it: what the pass goes on with stays as it is."""
    if not isinstance(dz, Tensor):
        return Tensor.of(dz, lent=True)
    return dz if mode.symbolic else g.reshape(dz, shape=dz.shape)


def _leading_to(targets: set[Tensor], order: list[Tensor]) -> set[Tensor]:
    """Return the tensors on a path from a target to the results."""
    on_path = set(targets)
    for t in order:
        if any(isinstance(x, Tensor) and x in on_path for x in t.inputs):
            on_path.add(t)
    return on_path


def _hooked(t: Tensor, dz: Any) -> Any:
    """Run the hooks of a tensor on its complete gradient, and keep it if that was asked for."""
    assert t.extra is not None
    for hook in list(t.extra.hooks.values()):
        changed = hook(_handed(dz))
        step = recorder()
        if step is not None:
            step.hooked(hook, changed)
        if changed is not None:
            changed = as_tensor(changed, t.dtype)
            if changed.shape != t.shape:
                raise ValueError(f"a gradient hook returned shape {changed.shape} for a tensor of shape {t.shape}")
            dz = _handed(changed) if isinstance(dz, Tensor) else _lend(changed)
    if t.extra.retains and t.gate is not None:
        accumulate(t, dz)
    return dz


def _written(x: Tensor, gate: Gate) -> RuntimeError:
    return RuntimeError(
        f"{x.name or 'a tensor'} of shape {x.shape} was written in place after {gate.name} used it, and before the "
        "gradient was taken; call backward before updating, or let the gate work on a copy (.clone())")


def accumulate(t: Tensor, dz: Any) -> None:
    """Add a gradient to `.grad` of a tensor."""
    gradient = _handed(dz)
    with turn:
        before = read(t, "gradient")
        write(t, "gradient", gradient if before is None else before + gradient)


def backward(result: Tensor, gradient: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
    """Add the gradient of a result to `.grad` of every leaf; `Tensor.backward` documents it."""
    if not result.tracked:
        raise RuntimeError("backward: this value does not depend on any tensor with requires_grad=True"
                           + ("" if mode.record else " (it was made, or this is, inside no_grad)"))
    if create_graph and not mode.record:
        with enable_grad():                            # what is asked for by name is recorded also under no_grad
            backward(result, gradient, create_graph=True)
        return
    seed = seed_for(result, gradient)
    for leaf, dx in pullback({result: seed}, create_graph=create_graph, retain_graph=retain_graph).items():
        accumulate(leaf, dx)


def seed_for(result: Tensor, gradient: Any) -> Any:
    """Return the gradient to begin with: ones for a single element, else what was given, of the result's shape."""
    if gradient is None:
        if result.size != 1:
            raise ValueError(f"backward: a result of shape {result.shape} needs a seed gradient of that shape; "
                             "reduce it with .sum() or .mean(), or pass the seed")
        return np.ones(result.shape, result.dtype)
    if not isinstance(gradient, Tensor):
        gradient = np.array(gradient, result.dtype)
    if gradient.shape != result.shape:
        raise ValueError(f"backward: the seed has shape {gradient.shape}, the result {result.shape}")
    if gradient.dtype != result.dtype:
        gradient = gradient.astype(result.dtype)
    return gradient
