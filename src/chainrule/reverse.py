"""The engine: the chain rule, once through the graph, from the result to its leaves.

This is the only place where broadcasting is undone and where gradients are added up.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from operator import attrgetter
from typing import Any

import numpy as np

from . import gates as g
from .gate import Gate, own
from .mode import mode, no_grad
from .state import read, write
from .tensor import Tensor

__all__ = ["backward", "fit", "history", "pull", "pullback"]

moment = attrgetter("moment")
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


def fit(dx: Any, x: Any) -> Any:
    """Give a gradient the shape and the dtype of its value: sum over what was broadcast, cast what was promoted."""
    if dx.shape != x.shape:
        dx = g.sum_to(dx, shape=x.shape) if dx.size >= x.size else g.broadcast_to(dx, shape=x.shape)
    return dx if dx.dtype == x.dtype or x.dtype.kind != "f" else g.cast(dx, dtype=x.dtype)


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
    return [None if part is None else fit(part, x) for part, x in zip(parts, inputs, strict=False)]


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
    pending: dict[Tensor, Any] = {}
    for t, seed in seeds.items():
        if isinstance(seed, np.ndarray):
            seed = own(seed)                           # a leaf's gradient may be the seed itself
        pending[t] = (seed if isinstance(seed, Tensor) else Tensor.of(seed)) if on_tensors else (
            seed.array if isinstance(seed, Tensor) else seed)
    order = history(*seeds)
    wanted = _leading_to(targets, order) if targets is not None else set(order)
    found: dict[Tensor, Any] = {}
    ours: set[Tensor] = set()                          # tensors whose pending gradient nobody else can see
    observer = mode.observer
    with no_grad() if on_tensors and not create_graph else nullcontext():
        while order:
            t = order.pop()                            # from the result towards the leaves
            dz = pending.pop(t, None)
            if dz is None:
                continue
            if t.extra is not None:
                dz = _hooked(t, dz)
            gate = t.gate
            if (gate is None) if targets is None else (t in targets):
                found[t] = dz
            if gate is None or t not in wanted:
                continue
            if gate is released:
                raise RuntimeError("this part of the graph was freed by an earlier backward pass; pass "
                                   "retain_graph=True to that one")
            inputs, options, now = t.inputs, t.options, t.moment
            z, values = t.array, []
            for x in inputs:
                if isinstance(x, Tensor):
                    if x.moment > now:
                        raise _written(x, gate)
                    x = x.array
                values.append(x)
            if on_tensors:
                z, values = t, inputs                  # type: ignore[assignment]
                if "kept" in options:
                    options = {name: value for name, value in options.items() if name != "kept"}
            if gate.joint is not None:
                flags = [isinstance(x, Tensor) and x in wanted for x in inputs]
                rules: Any = gate.joint(dz, z, flags, *values, **options)
            else:
                rules = gate.derivative
            for x, rule in zip(inputs, rules, strict=False):
                if rule is None or not isinstance(x, Tensor) or x not in wanted:
                    continue
                if gate.joint is not None:
                    dx = rule
                elif gate.scatters and x in ours and hasattr(rule, "into"):
                    rule.into(pending[x], dz, z, *values, **options)
                    if observer is not None:
                        observer.pulled(t, x, pending[x])
                    continue
                else:
                    dx = rule(dz, z, *values, **options)
                a = x.array
                if dx.shape != a.shape or dx.dtype is not a.dtype:
                    dx = fit(dx, a)
                if observer is not None:
                    observer.pulled(t, x, dx)
                if x not in pending:
                    pending[x] = dx
                    if gate.scatters and not on_tensors and hasattr(rule, "into"):
                        ours.add(x)                    # scattered into fresh zeros
                elif x in ours:
                    pending[x] += dx
                else:
                    pending[x] = pending[x] + dx
                    if not on_tensors:
                        ours.add(x)
            if not retain_graph:
                t.gate, t.inputs, t.options = released, (), {}      # memory goes back while the pass goes on
    return found


def _leading_to(targets: Collection[Tensor], order: list[Tensor]) -> set[Tensor]:
    """Return the tensors on a path from a target to the results."""
    on_path: set[Tensor] = set()
    goals = set(targets)
    for t in order:
        if t in goals or any(isinstance(x, Tensor) and x in on_path for x in t.inputs):
            on_path.add(t)
    return on_path


def _hooked(t: Tensor, dz: Any) -> Any:
    """Run the hooks of a tensor on its complete gradient, and keep it if that was asked for."""
    assert t.extra is not None
    for hook in list(t.extra.hooks.values()):
        given = dz if isinstance(dz, Tensor) else Tensor.of(dz, lent=True)
        changed = hook(given)
        if changed is not None:
            changed = changed if isinstance(changed, Tensor) else Tensor(changed)
            if changed.shape != t.shape:
                raise ValueError(f"a gradient hook returned shape {changed.shape} for a tensor of shape {t.shape}")
            dz = changed if isinstance(dz, Tensor) else fit(changed.array, t.array)
    if t.extra.retains and t.gate is not None:
        _accumulate(t, dz)
    return dz


def _written(x: Tensor, gate: Gate) -> RuntimeError:
    return RuntimeError(
        f"{x.name or 'a tensor'} of shape {x.shape} was written in place after {gate.name} used it, and before the "
        "gradient was taken; call backward before updating, or let the gate work on a copy (.clone())")


def _accumulate(t: Tensor, dz: Any) -> None:
    gradient = dz if isinstance(dz, Tensor) else Tensor.of(dz, lent=True)
    before = read(t, "grad")
    write(t, "grad", gradient if before is None else before + gradient)


def backward(result: Tensor, gradient: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
    """Add the gradient of a result to `.grad` of every leaf; `Tensor.backward` documents it."""
    if not result.tracked:
        raise RuntimeError("backward: this value does not depend on any tensor with requires_grad=True"
                           + ("" if mode.record else " (it was made, or this is, inside no_grad)"))
    seed = seed_for(result, gradient)
    for leaf, dx in pullback({result: seed}, create_graph=create_graph, retain_graph=retain_graph).items():
        _accumulate(leaf, dx)


def seed_for(result: Tensor, gradient: Any) -> Any:
    """Return the gradient to begin with: ones for a single element, else what was given, of the result's shape."""
    if gradient is None:
        if result.size != 1:
            raise ValueError(f"backward: a result of shape {result.shape} needs a seed gradient of that shape; "
                             "reduce it with .sum() or .mean(), or pass the seed")
        return np.ones_like(result.array)
    if not isinstance(gradient, Tensor):
        gradient = np.array(gradient, result.dtype)
    if gradient.shape != result.shape:
        raise ValueError(f"backward: the seed has shape {gradient.shape}, the result {result.shape}")
    if gradient.dtype != result.dtype:
        gradient = gradient.astype(result.dtype)
    return gradient
