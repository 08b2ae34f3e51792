"""Derivatives of functions: gradients, products with Jacobians, Jacobians, Hessians.

Everything here follows from one thing, the pull back through a graph (`reverse.pullback`). Each transform takes a
function and gives a function of the same arguments; they nest, and they compose with the tape. What goes in decides
what comes out: Python numbers give Python floats, arrays give arrays, and tensors give tensors that remember. Inside
a function that is itself being differentiated, results are always tensors.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from . import gates as g
from .call import Call, Function, Places, settled
from .tensor import Tensor
from .tree import matched, rebuilt

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]


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
        call = Call("grad", function, args, options, argnums, has_aux)
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
        call = Call("value_and_grad", function, args, options, argnums, has_aux)
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
    call = Call("vjp", function, args, options, 0 if len(args) == 1 else tuple(range(len(args))))

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
    call = Call("jvp", function, args, {}, tuple(range(len(args))))
    seeds: list[Any] = [np.ones(z.shape, z.dtype) for z in call.outputs]
    if call.on_tensors:
        seeds = [Tensor.of(v) for v in seeds]
    back = Call("jvp", lambda v: call.back(v, keep=True), (seeds,), {}, 0)
    slopes = back.back([t for t, x in zip(directions, call.originals, strict=True) if x is not None], keep=False)
    if call.on_tensors:
        slopes = settled(slopes, call.variables + back.variables)
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
        call = Call("jacobian", function, args, options, argnums)
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
