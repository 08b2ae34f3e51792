"""One call of a function that is being differentiated: its variables, its results, and how gradients come back."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .mode import enable_grad, mode
from .reverse import history, pullback
from .tensor import Tensor, as_tensor
from .tree import parts, rebuilt

__all__ = ["Call", "Function", "Places", "settled"]

Function = Callable[..., Any]
Places = int | Sequence[int]


class _Depth(threading.local):
    """How many functions are being differentiated around the code that runs."""

    now = 0


_depth = _Depth()


class Call:
    """One call of a function on variables of its own: its results, and how gradients come back to the variables.

    A variable is a new tensor even where a tensor was given, so that a function which meets that tensor in two ways,
    as its argument and from outside, is differentiated by its argument alone.
    """

    def __init__(self, what: str, function: Function, args: Sequence[Any], options: dict[str, Any], argnums: Places,
                 has_aux: bool = False) -> None:
        self.what, self.single = what, isinstance(argnums, int | np.integer)
        places = _places(what, argnums, len(args))
        given = [x for _, x in parts([*args, options])]
        self.on_tensors = _depth.now > 0 or mode.symbolic or any(isinstance(x, Tensor) for x in given)
        self.remembers = self.on_tensors and mode.record
        self.arguments: Any = args[places[0]] if self.single else tuple(args[i] for i in places)
        self.originals = [x for i in places for _, x in parts(args[i])]
        self.is_number = all(isinstance(x, int | float) and not isinstance(x, np.generic) for x in self.originals)
        variables = [self._variable(x, f"argument {i}{path}") for i in places for path, x in parts(args[i])]
        self.variables = [v for v in variables if v is not None]
        call = list(args)
        leaves = iter(variables)
        for i in places:
            call[i] = rebuilt(args[i], leaves)
        self.result = self._run(function, call, options)
        self.aux: Any = None
        self.has_aux = has_aux
        if has_aux:
            if not isinstance(self.result, tuple) or len(self.result) != 2:
                raise TypeError(f"{what}: with has_aux=True the function returns (loss, anything), got {self.result!r}")
            self.result, self.aux = self.result
        self.outputs = [self._output(z, path, function, args, options, places) for path, z in parts(self.result)]

    @staticmethod
    def _run(function: Function, args: Sequence[Any], options: dict[str, Any]) -> Any:
        _depth.now += 1
        try:
            with enable_grad():
                return function(*args, **options)
        finally:
            _depth.now -= 1

    def _variable(self, x: Any, name: str) -> Tensor | None:
        """Lift one part of an argument to a tensor whose gradient can be asked for."""
        if x is None:
            return None
        if isinstance(x, bool | np.bool_ | str) or not isinstance(x, int | float | np.ndarray | np.generic | Tensor):
            raise TypeError(f"{self.what}: {name} is {x!r}, and only numbers, floating-point arrays and tensors, and "
                            "lists, tuples and dicts of them have derivatives; name the others with argnums")
        if not isinstance(x, int | float) and x.dtype.kind != "f":
            raise TypeError(f"{self.what}: {name} has dtype {x.dtype}, and only floating-point numbers have "
                            "derivatives; convert it with .astype(float)")
        if isinstance(x, Tensor):
            if x.tracked and self.remembers:
                with enable_grad():
                    return x.clone()
            variable = x.detach()
        elif isinstance(x, np.ndarray):
            variable = as_tensor(x)
        else:
            variable = Tensor(x, dtype=None if isinstance(x, np.generic) else np.float64)
        return variable.requires_grad_()

    def _output(self, z: Any, path: str, function: Function, args: Sequence[Any], options: dict[str, Any],
                places: list[int]) -> Tensor:
        """Return one part of the result as a tensor."""
        if isinstance(z, Tensor):
            if z.dtype.kind != "f":
                raise TypeError(f"{self.what}: the result{path} has dtype {z.dtype}; only floating-point results have "
                                "derivatives")
            return z
        if isinstance(z, str | bytes | bool) or not isinstance(z, int | float | np.ndarray | np.generic):
            raise TypeError(f"{self.what}: the function returned {z!r}, expected a tensor")
        # A plain value: the function ignores its variables, or has lost their gradients. A second look tells.
        moved = list(args)
        for i in places:
            moved[i] = rebuilt(args[i], iter([_aside(x) for _, x in parts(args[i])]))
        try:
            with np.errstate(all="ignore"):
                again = self._run(function, moved, options)
            again = again[0] if self.has_aux else again
            same = np.array_equal(dict(parts(again))[path], z, equal_nan=True)
        except Exception:
            same = False
        if not same:
            raise TypeError(f"{self.what}: the function returned {type(z).__name__} instead of a tensor, so the way "
                            "back to its arguments is lost; compute with NumPy's or chainrule's functions all the way, "
                            "without .item(), .numpy() and .tolist()")
        return Tensor(z, dtype=None if np.asarray(z).dtype.kind == "f" else np.float64)

    def scalar(self) -> Tensor:
        """Return the only result, which has one element."""
        if isinstance(self.result, list | tuple | dict):
            raise TypeError(f"{self.what}: the function returned {type(self.result).__name__} of {len(self.result)}, "
                            "expected one number; has_aux=True takes (loss, anything), and jacobian and vjp "
                            "differentiate several results")
        z = self.outputs[0]
        if z.size != 1:
            raise ValueError(f"{self.what}: the function returned shape {z.shape}, and a gradient is that of one "
                             "number; reduce it with .sum() or .mean(), or use jacobian, or vjp with a seed")
        return z

    def back(self, seeds: list[Any], *, keep: bool) -> list[Any]:
        """Pull seeds, one for each output, back to the variables: arrays, or tensors if the call remembers."""
        on_tensors = self.on_tensors or _depth.now > 0 or any(isinstance(s, Tensor) for s in seeds)
        remembers = on_tensors and mode.record
        total: dict[Tensor, Any] = {}
        for z, seed in zip(self.outputs, seeds, strict=True):
            if seed is None or not z.tracked:
                continue
            if not isinstance(seed, Tensor):
                seed = np.array(seed, z.dtype)
            elif seed.dtype != z.dtype:
                seed = seed.astype(z.dtype)
            total[z] = total[z] + seed if z in total else seed
        found = pullback(total, targets=self.variables, create_graph=remembers, retain_graph=keep)
        slopes = [found[x] if x in found else np.zeros(x.shape, x.dtype) for x in self.variables]
        if on_tensors:
            return settled([d if isinstance(d, Tensor) else Tensor.of(np.array(d)) for d in slopes], self.variables)
        return slopes

    def given(self, slopes: list[Any]) -> Any:
        """Return gradients as the arguments were given: numbers, arrays or tensors, in the same structure."""
        rest = iter(slopes)
        return rebuilt(self.arguments, iter([
            None if x is None else _like(next(rest), x) for x in self.originals]))

    def value(self) -> Any:
        """Return the results as the arguments were given."""
        return self.shaped(settled(self.outputs, self.variables) if self.on_tensors else self.outputs)

    def shaped(self, values: list[Any]) -> Any:
        """Return something for each output, as the arguments were given, in the structure of the result."""
        if not self.on_tensors:
            values = [np.array(z.array if isinstance(z, Tensor) else z)[()] for z in values]
            values = [float(z) if self.is_number and not z.ndim else z for z in values]
        return rebuilt(self.result, iter(values))

    def aside(self) -> Any:
        """Return what came beside the result, with arrays for tensors where arrays were given."""
        leaves = [x for _, x in parts(self.aux)]
        if not self.on_tensors:
            leaves = [np.array(x.array)[()] if isinstance(x, Tensor) else x for x in leaves]
        return rebuilt(self.aux, iter(leaves))


def settled(tensors: list[Tensor], variables: list[Tensor]) -> list[Tensor]:
    """Make constants of tensors that depend on nothing but variables of ours, which nobody else can ask about."""
    if mode.symbolic:
        return tensors
    ours, linked = set(variables), set[Tensor]()
    for t in history(*tensors) if mode.record else ():
        if (t.gate is None and t not in ours) or any(isinstance(x, Tensor) and x in linked for x in t.inputs):
            linked.add(t)
    return [t if t in linked else t.detach() for t in tensors]


def _places(what: str, argnums: Places, count: int) -> list[int]:
    places = [argnums] if isinstance(argnums, int | np.integer) else list(argnums)
    for i in places:
        if not isinstance(i, int | np.integer) or not -count <= i < count:
            raise ValueError(f"{what}: argnums={argnums!r} names an argument that is not there; the function was given "
                             f"{count} positional argument{'s' * (count != 1)}")
    places = [int(i) % count for i in places]
    if len(set(places)) != len(places):
        raise ValueError(f"{what}: argnums={argnums!r} names an argument twice")
    return places


def _aside(x: Any) -> Any:
    """Return a constant tensor near a value."""
    if x is None:
        return None
    x = np.asarray(x.array if isinstance(x, Tensor) else x, None if hasattr(x, "dtype") else np.float64)
    return Tensor(x * x.dtype.type(1.001) + x.dtype.type(1e-3))


def _like(slope: Any, x: Any) -> Any:
    """Return a gradient as the value was given."""
    if isinstance(slope, Tensor):
        return slope
    if isinstance(x, np.ndarray) or np.ndim(slope):
        return np.array(slope)
    return x.dtype.type(slope) if isinstance(x, np.generic) else float(slope)
