"""Derivatives of functions: gradients, products with Jacobians, Jacobians, Hessians.

Everything here follows from one thing, the pull back through a graph (`reverse.pullback`). Each transform takes a
function and gives a function of the same arguments; they nest, and they compose with the tape. What goes in decides
what comes out: Python numbers give Python floats, arrays give arrays, and tensors give tensors that remember. Inside
a function that is itself being differentiated, results are always tensors.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import gates as g
from .mode import enable_grad, mode
from .reverse import history, pullback
from .tensor import Tensor, as_tensor
from .tree import matched, parts, rebuilt

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]
Places = int | Sequence[int]


# ------------------------------------------------------------------ one call of a function
class _Depth(threading.local):
    """How many functions are being differentiated around the code that runs."""

    now = 0


_depth = _Depth()


class _Call:
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
            return _settled([d if isinstance(d, Tensor) else Tensor.of(np.array(d)) for d in slopes], self.variables)
        return slopes

    def given(self, slopes: list[Any]) -> Any:
        """Return gradients as the arguments were given: numbers, arrays or tensors, in the same structure."""
        rest = iter(slopes)
        return rebuilt(self.arguments, iter([
            None if x is None else _like(next(rest), x) for x in self.originals]))

    def value(self) -> Any:
        """Return the results as the arguments were given."""
        return self.shaped(_settled(self.outputs, self.variables) if self.on_tensors else self.outputs)

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


def _settled(tensors: list[Tensor], variables: list[Tensor]) -> list[Tensor]:
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


def _named(name: str, function: Function, transformed: Function) -> Function:
    transformed.__name__ = transformed.__qualname__ = f"{name}({getattr(function, '__name__', repr(function))})"
    transformed.__doc__ = f"{name} of: {getattr(function, '__doc__', None) or 'a function'}"
    return transformed


# ------------------------------------------------------------------ gradients
def grad(function: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    r"""Return the function that computes the gradient, :math:`(\nabla f)_i = \partial f/\partial x_i`.

    Parameters
    ----------
    function : callable
        Gives one number, computed with NumPy's or chainrule's functions and operators.
    argnums : int or tuple of int
        Which positional arguments to differentiate by. Each is a number, a floating-point array or tensor, or lists,
        tuples and dicts of them. A Python int counts as a float.
    has_aux : bool
        Whether the function returns ``(loss, anything)``; the gradient then comes with the latter.

    Returns
    -------
    callable
        Of the same arguments. Its result has the structure, shapes and dtypes of the argument, or is a tuple of such
        if `argnums` is one. It can be differentiated again. Tensors that the function closes over get no `.grad`.

    Raises
    ------
    TypeError
        If an argument is not floating-point, or if the result has lost its way back to the arguments.
    ValueError
        If the result is more than one number (see `jacobian` and `vjp`).

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.grad(lambda x: x ** 3)(2.0)
    12.0
    >>> cr.grad(cr.grad(lambda x: x ** 3))(2.0)
    12.0
    >>> cr.grad(lambda p: np.sum(p["w"] * p["w"] + p["b"]))({"w": np.array([1.0, 2.0]), "b": 1.0})
    {'w': array([2., 4.]), 'b': 2.0}
    """
    def gradient(*args: Any, **options: Any) -> Any:
        call = _Call("grad", function, args, options, argnums, has_aux)
        slopes = call.given(call.back([np.ones(call.scalar().shape)], keep=call.remembers))
        return (slopes, call.aside()) if has_aux else slopes

    return _named("grad", function, gradient)


def value_and_grad(function: Function, argnums: Places = 0, has_aux: bool = False) -> Function:
    r"""Return the function that computes :math:`f` and its gradient :math:`\nabla f` in one go.

    Parameters
    ----------
    function, argnums, has_aux
        As for `grad`.

    Returns
    -------
    callable
        Gives ``(value, gradient)``, with `has_aux` ``((value, anything), gradient)``.

    Raises
    ------
    TypeError, ValueError
        As `grad`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(3.0, 4.0)
    (12.0, (4.0, 3.0))
    """
    def both(*args: Any, **options: Any) -> Any:
        call = _Call("value_and_grad", function, args, options, argnums, has_aux)
        slopes = call.given(call.back([np.ones(call.scalar().shape)], keep=call.remembers))
        return ((call.value(), call.aside()) if has_aux else call.value()), slopes

    return _named("value_and_grad", function, both)


# ------------------------------------------------------------------ products with the Jacobian
def vjp(function: Function, *args: Any, **options: Any) -> tuple[Any, Function]:
    r"""Compute a function, and return with its value the way back, :math:`v \mapsto v^T J`.

    :math:`J_{ij} = \partial f_i/\partial x_j` is the Jacobian, which is never formed.

    Parameters
    ----------
    function : callable
        Gives a tensor of any shape, or lists, tuples and dicts of tensors.
    *args
        Its arguments, all of which are differentiated by.
    **options
        Passed to it as they are.

    Returns
    -------
    value : number, array or tensor
    pull : callable
        ``pull(v)`` takes `v` of the value's shapes (it may be left out if that is one number) and gives the product,
        of the argument's shapes; a tuple if there are several arguments. It may be called any number of times.

    Raises
    ------
    TypeError
        As `grad`.
    ValueError
        From `pull`, if `v` does not have the value's shapes.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> y, pull = cr.vjp(np.sin, np.array([0.0, np.pi]))
    >>> pull(np.array([1.0, 1.0]))
    array([ 1., -1.])
    """
    call = _Call("vjp", function, args, options, 0 if len(args) == 1 else tuple(range(len(args))))

    def pull(v: Any = None) -> Any:
        if v is None:
            return call.given(call.back([np.ones(call.scalar().shape)], keep=True))
        return call.given(call.back(matched(v, rebuilt(call.result, iter(call.outputs)), "pull: v"), keep=True))

    return call.value(), pull


def jvp(function: Function, args: Any, tangents: Any) -> tuple[Any, Any]:
    r"""Compute a function and its derivative along a direction: :math:`J t`.

    The way back, :math:`v \mapsto v^T J`, is linear in :math:`v`; its own way back is therefore :math:`t \mapsto J t`,
    and no derivative has to be written a second time for this direction.

    Parameters
    ----------
    function : callable
        As for `vjp`.
    args : tuple
        Its arguments; anything but a tuple is its only one.
    tangents : tuple
        The direction, of the shapes of `args`.

    Returns
    -------
    value, slope : number, array or tensor
        Of the same shapes.

    Raises
    ------
    ValueError
        If the tangents do not have the shapes of the arguments.
    NotImplementedError
        If the function contains a layer whose `backward` is written by hand.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
    (12.0, 4.0)
    """
    args, tangents = _tupled(args), _tupled(tangents)
    directions = matched(tangents, args, "jvp: tangents")
    call = _Call("jvp", function, args, {}, tuple(range(len(args))))
    seeds: list[Any] = [np.ones(z.shape, z.dtype) for z in call.outputs]
    if call.on_tensors:
        seeds = [Tensor.of(v) for v in seeds]
    back = _Call("jvp", lambda v: call.back(v, keep=True), (seeds,), {}, 0)
    slopes = back.back([t for t, x in zip(directions, call.originals, strict=True) if x is not None], keep=False)
    if call.on_tensors:
        slopes = _settled(slopes, call.variables + back.variables)
    return call.value(), call.shaped(slopes)


def hvp(function: Function, args: Any, vectors: Any) -> Any:
    r"""Return the product :math:`H v` with the Hessian :math:`H_{ij} = \partial^2 f / \partial x_i \partial x_j`.

    It costs a few evaluations of the function and never forms :math:`H` (Pearlmutter, Fast Exact Multiplication by
    the Hessian, Neural Computation 6, 1994).

    Parameters
    ----------
    function : callable
        As for `grad`.
    args : tuple
        Its arguments; anything but a tuple is its only one.
    vectors : tuple
        Of the shapes of `args`.

    Returns
    -------
    number, array or tensor
        Of the shapes of the arguments; a tuple if there are several.

    Raises
    ------
    ValueError
        If the vectors do not have the shapes of the arguments.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.hvp(lambda x: (x ** 3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    args, vectors = _tupled(args), _tupled(vectors)
    along = rebuilt(args, iter(matched(vectors, args, "hvp: vectors")))
    single = len(args) == 1
    _, pull = vjp(grad(function, 0 if single else tuple(range(len(args)))), *args)
    return pull(along[0] if single else along)


def _tupled(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


# ------------------------------------------------------------------ whole Jacobians
def jacobian(function: Function, argnums: Places = 0) -> Function:
    r"""Return the function that computes the Jacobian :math:`J_{ij} = \partial f_i/\partial x_j`, row by row.

    Parameters
    ----------
    function : callable
        As for `vjp`.
    argnums : int or tuple of int
        As for `grad`.

    Returns
    -------
    callable
        Of the same arguments. Its result has the structure of the value; in the place of each array stands the
        structure of the argument, with arrays of shape (value's shape + argument's shape).

    Raises
    ------
    TypeError
        As `grad`.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    def rows(*args: Any, **options: Any) -> Any:
        call = _Call("jacobian", function, args, options, argnums)
        blocks = []
        for k, z in enumerate(call.outputs):
            pulled: list[list[Any]] = [[] for _ in call.variables]         # for each variable, its rows
            for i in range(z.size):
                seeds: list[Any] = [None] * len(call.outputs)
                seeds[k] = np.zeros(z.shape, z.dtype)
                seeds[k].flat[i] = 1
                for column, slope in zip(pulled, call.back(seeds, keep=True), strict=True):
                    column.append(slope)
            blocks.append(call.given([
                g.reshape(g.stack(column), shape=z.shape + x.shape) if column else np.zeros(z.shape + x.shape, x.dtype)
                for x, column in zip(call.variables, pulled, strict=True)]))
        return rebuilt(call.result, iter(blocks))

    return _named("jacobian", function, rows)


def hessian(function: Function, argnums: Places = 0) -> Function:
    r"""Return the function that computes the Hessian :math:`H_{ij} = \partial^2 f / \partial x_i \partial x_j`.

    Parameters
    ----------
    function, argnums
        As for `grad`.

    Returns
    -------
    callable
        Of the same arguments. For an argument of shape s its result has shape s + s; with several arguments, or lists,
        tuples and dicts, there is one block for each pair of arrays.

    Raises
    ------
    TypeError, ValueError
        As `grad`.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 1.0]))
    array([[2., 6.],
           [6., 0.]])
    """
    return _named("hessian", function, jacobian(grad(function, argnums), argnums))
