"""The check of functions of tensors and of layers, and the search for the gate that is to blame."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..mode import enable_grad, observe
from ..nn.layer import Layer
from ..nn.opaque import handwritten
from ..reverse import history, pull, pullback
from ..source import Lines
from ..tensor import Tensor
from ..tree import parts, rebuilt
from .by_hand import faults_by_hand, written_over
from .numerical import Along, Array, as_float64, random_weights
from .report import WRONG, Culprit, Element, relative_error
from .surroundings import argument_names, in_float64, named_by, nothing_to_check, same_state
from .verdict import judge

MOST_PROBED = 200                    #: how many elements of a gate's argument are tried on the search for a culprit


class Taped:
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
            return faults_by_hand(options["layer"], arrays[:options["count"]], np.array(dz), options["settings"],
                                   self.restore)
        seed, z = np.array(dz), np.array(t.array)
        pull(gate, seed, z, arrays, t.options, [isinstance(x, Tensor) and x.tracked for x in t.inputs])
        given = [("dz", seed, dz), ("z", z, t.array), *(
            (name, array, x.array) for name, array, x in zip(_arguments(t), arrays, t.inputs, strict=True)
            if isinstance(x, Tensor))]
        return [e for name, after, before in given for e in written_over(f"{name} of {gate.name}", after, before)]

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
    weights = random_weights(t.shape, rng)
    wanted = [k == i for k in range(len(arrays))]
    [analytic] = [d if d is not None else np.zeros(arrays[i].shape)
                  for k, d in enumerate(pull(gate, weights.copy(), t.array, arrays, t.options, wanted)) if k == i]
    x, direction = arrays[i], random_weights(arrays[i].shape, rng)
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
        along = Along(x, index, change)
        a, n = float(analytic[index]), along.central(step)
        if not abs(a - n) <= atol + rtol * max(abs(a), abs(n)) and (worst is None or relative_error(a, n) > worst[0]) \
                and judge(along, a, n, step) == WRONG:
            worst = relative_error(a, n), index, a, n
    return None if worst is None else worst[1:]


@contextmanager
def taped(function: Any, inputs: tuple[Any, ...]) -> Iterator[Taped]:
    """Lift the inputs, find the parameters and move them to float64; put all back in the end."""
    leaves: list[tuple[str, Tensor]] = []
    lifted = []
    for place, (name, x) in enumerate(zip(argument_names(function, len(inputs)), inputs, strict=True)):
        if isinstance(x, list) and all(isinstance(leaf, int | float) for _, leaf in parts(x)):
            x = np.array(x)                                # [1.0, 2.0] is an array, [w, b] is a list of them
        constant = isinstance(function, Layer) and function.is_constant(place)
        given = []
        for path, leaf in parts(x):
            if np.asarray(leaf.array if isinstance(leaf, Tensor) else leaf).dtype.kind == "f":
                leaf = Tensor(as_float64(leaf, name), requires_grad=not constant)
                if not constant:
                    leaves.append((name + path, leaf))
            given.append(leaf)
        lifted.append(rebuilt(x, iter(given)))
    layers, tensors = named_by(function)
    with ExitStack() as stack:
        for name, layer in layers.items():
            for path, p in layer.named_parameters(name):
                if p.tracked and all(p is not t for _, t in leaves):
                    leaves.append((path, p))
            stack.enter_context(in_float64([*layer.parameters(), *layer.buffers()]))
        leaves += [(name, t) for name, t in tensors.items() if all(t is not other for _, other in leaves)]
        if not leaves:
            raise nothing_to_check()
        stack.enter_context(in_float64(list(tensors.values())))
        restore = stack.enter_context(same_state(list(layers.values())))
        yield Taped(function, lifted, leaves, restore)
