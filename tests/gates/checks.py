"""What the gates are measured against: a numerical derivative of its own, and how to take theirs."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tests.gates.cases import CASES, Case

import chainrule as cr
from chainrule.mode import Observer
from chainrule.reverse import pull, pullback

#: The library's own gates: those that tests and users define do not belong to the table. `handwritten` runs a layer's
#: own backward and is tested with the layers.
GATES = {name: gate for name, gate in cr.GATES.items()
         if gate.module.startswith("chainrule.gates.") and gate.differentiable}
BY_GATE = {name: [case for case in CASES if case.gate == name] for name in GATES}
STEP = 0.008


@contextmanager
def named(case: Any) -> Iterator[None]:
    """Say in a failure which case it is."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in {getattr(case, 'id', case)}")
        raise


def slope(f: Callable[[float], float]) -> float:
    """The derivative at 0: central differences at three steps, extrapolated to the step 0 (Romberg); error O(h⁶)."""
    coarse, middle, fine = ((f(h) - f(-h)) / (2 * h) for h in (STEP, STEP / 2, STEP / 4))
    return (64 * fine - 20 * middle + coarse) / 45


def moved(inputs: tuple[Any, ...], steps: dict[int, np.ndarray], h: float) -> tuple[Any, ...]:
    return tuple(x + h * steps[i] if i in steps else x for i, x in enumerate(inputs))


def value(case: Case, inputs: Iterable[Any] | None = None) -> Any:
    return case.rule.value(*(case.inputs if inputs is None else inputs), **case.options)


def seed(case: Case, z: Any, number: int = 0) -> np.ndarray:
    """A gradient of the result: any numbers will do, as long as they are the same each time."""
    return np.random.default_rng(case.number + 100 * number).normal(size=np.shape(z))


def numerical(case: Case, dz: np.ndarray) -> dict[int, np.ndarray]:
    """The gradient of <dz, G(x)>, one element at a time."""
    gradients = {}
    for i, x in case.floats.items():
        gradient = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            unit = np.zeros(x.shape)
            unit[place] = 1
            gradient[place] = slope(lambda h: float(np.sum(dz * value(case, moved(case.inputs, {i: unit}, h)))))  # noqa: B023
        gradients[i] = gradient
    return gradients


def by_rule(case: Case, dz: Any, z: Any = None, inputs: tuple[Any, ...] | None = None) -> dict[int, Any]:
    """The same gradient by the gate's own derivative, through the engine's `pull`."""
    inputs = case.inputs if inputs is None else inputs
    z = value(case, inputs) if z is None else z
    wanted = [i in case.floats for i in range(len(inputs))]
    parts = pull(case.rule, dz, z, inputs, case.options, wanted)
    return {i: parts[i] for i in case.floats}


def directions(case: Case) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    rng = np.random.default_rng(case.number + 7)
    return tuple({i: rng.uniform(-1, 1, size=x.shape) for i, x in case.floats.items()}      # type: ignore[return-value]
                 for _ in range(2))


def second_numerical(case: Case, dz: np.ndarray, way: np.ndarray) -> float:
    """How <v, dx> changes along a random direction of the inputs and of dz; v weighs the gradients dx."""
    v, u = directions(case)

    def weighed(h: float) -> float:
        gradients = by_rule(case, dz + h * way, inputs=moved(case.inputs, u, h))
        return float(sum(np.sum(v[i] * gradients[i]) for i in v))

    return slope(weighed)


def on_tensors(case: Case, dz: np.ndarray) -> tuple[dict[int, cr.Tensor], dict[int, cr.Tensor], cr.Tensor]:
    """The gradients as tensors that remember how they were made, the inputs, and the tensor of dz."""
    tensors = [cr.Tensor(x, requires_grad=i in case.floats) if isinstance(x, np.ndarray | np.generic) else x
               for i, x in enumerate(case.inputs)]
    z = case.rule(*tensors, **case.options)
    start = cr.Tensor(dz, requires_grad=True)
    inputs = {i: tensors[i] for i in case.floats}
    found = pullback({z: start}, targets=set(inputs.values()), create_graph=True)
    return {i: found[x] for i, x in inputs.items()}, inputs, start


def second_by_rule(case: Case, dz: np.ndarray, way: np.ndarray) -> float:
    """The same change by differentiating the derivatives."""
    v, u = directions(case)
    gradients, inputs, start = on_tensors(case, dz)
    along = [(inputs[i], u[i]) for i in u] + [(start, way)]
    weighed = cr.Tensor(0.0)
    for i, gradient in gradients.items():
        weighed = weighed + (gradient * v[i]).sum()
    found = pullback({weighed: np.ones(())}, targets={t for t, _ in along})
    return float(sum(np.sum(found[t] * direction) for t, direction in along if t in found))


class Tape(Observer):
    """Writes down every gate that is applied to a tensor."""

    def __init__(self) -> None:
        self.lines: list[tuple[cr.Gate, tuple[Any, ...], dict[str, Any], cr.Tensor]] = []

    def applied(self, gate: cr.Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: cr.Tensor) -> None:
        self.lines.append((gate, inputs, options, result))


def locked(x: Any) -> Any:
    """The same array, read-only."""
    if isinstance(x, np.ndarray):
        x = x.copy(order="K")
        x.flags.writeable = False
    return x


def layouts(x: Any) -> dict[str, Any]:
    """The same numbers in other places in memory, read-only: every other element, backwards, columns first."""
    if not isinstance(x, np.ndarray) or not x.ndim:
        return {"every other": x, "backwards": x, "columns first": x}
    apart = np.full((*x.shape[:-1], 2 * x.shape[-1]), -1 if x.dtype.kind != "b" else True).astype(x.dtype)[..., ::2]
    apart[...] = x
    back = np.ascontiguousarray(np.flip(x)).copy()[(slice(None, None, -1),) * x.ndim]
    columns = np.asfortranarray(x).copy(order="F")
    for y in (apart, back, columns):
        y.flags.writeable = False
    return {"every other": apart, "backwards": back, "columns first": columns}
