"""The base of layers used by hand: arrays in, arrays out, and the way back through each call by the engine.

A layer says which gates it is made of; `run` applies them to what the caller gave and to the layer's parameters, and
remembers the call. `backward` takes the newest call back. No derivative is written here: the engine asks the gates.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..gate import Gate, describe, own
from ..mode import mode, recorder
from ..nn.calls import Calls, is_value, lowered, raw
from ..reverse import accumulate
from ..state import reach
from ..tensor import Tensor
from .calls import Call, Chained, Step, Taped, composed

__all__ = ["MOST_BYTES", "MOST_CALLS", "HandLayer"]

NUMBERS = (int, float)
MOST_CALLS = 256                     #: how many calls a layer keeps for `backward`
MOST_BYTES = 16 * 2**20              #: and how much memory those before the newest may hold


class HandLayer:
    """A layer with `forward` and `backward` on numbers and arrays.

    A subclass names its parameters, floating-point arrays that belong to the caller, and gives `run` a function of
    tensors. Its `backward` follows.

    Each call has a memory of its own, so a layer may be used several times in one pass; `backward` goes through the
    calls from the newest to the oldest. The first `backward` after a `forward` sets the gradients of the parameters,
    further ones add to them. What was given may be changed after `forward`, and what is returned may be written into:
    it belongs to the caller. Only the parameters are shared. A call under `chainrule.no_grad` is not remembered.

    Attributes
    ----------
    parameters : tuple of str
        The names of the attributes that are parameters. The gradient of ``W`` is in ``dW``; None before `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import gates
    >>> from chainrule.by_hand.layer import HandLayer
    >>> class Scale(HandLayer):
    ...     parameters = ("factor",)
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def forward(self, x):
    ...         return self.run(gates.multiply, x)
    >>> layer = Scale(np.array(3.0))
    >>> layer.forward(np.array([1.0, 2.0]))
    array([3., 6.])
    >>> layer.backward(np.array([1.0, 10.0]))
    array([ 3., 30.])
    >>> layer.dfactor
    array(21.)
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    notes: ClassVar[frozenset[str]] = frozenset({"_calls"})      # no matter of a step that is being recorded
    leaves: ClassVar[frozenset[str]] = frozenset()               # attributes that are set for the user to look at
    _calls: Calls

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.leaves |= {f"d{name}" for name in cls.parameters}
        for name in cls.parameters:
            setattr(cls, f"d{name}", None)

    def forward(self, *inputs: Any) -> Any:
        """Compute the result; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def run(self, function: Callable[..., Any], *inputs: Any) -> Any:
        """Apply ``function(*inputs, *parameters)``, and remember the call for `backward`.

        Parameters
        ----------
        function : callable
            A gate, or a function of tensors (of arrays under `no_grad`) written with operators, gates and
            `chainrule.functional`.
        *inputs : number or array_like
            Integers are taken as floating-point numbers, of the parameters' dtype.

        Returns
        -------
        number or array
            A number if all inputs are numbers.

        Raises
        ------
        TypeError, ValueError
            If the inputs are not real numbers, or the shapes do not fit; the message names the layer.
        """
        names = self.parameters if mode.observer is not None else ()
        return self._called(lambda given, owned: Taped(function, given, owned, names), inputs)

    def chain(self, *steps: Gate | Step, inputs: tuple[Any, ...], constants: tuple[Any, ...] = ()) -> Any:
        """Apply gates one after the other, and remember the call for `backward`: what `run` does, sooner.

        Parameters
        ----------
        *steps : Gate, or (Gate, options)
            The first takes the first input. Each takes what the one before gave and, if it has more arguments, the
            next of the other inputs, the parameters and the constants.
        inputs : tuple of number or array_like
        constants : tuple of array
            Nobody else may write into them.

        Returns
        -------
        number or array

        Raises
        ------
        TypeError, ValueError
            As `run` does.
        """
        pairs = [step if isinstance(step, tuple) else (step, {}) for step in steps]
        if mode.observer is not None:                    # who looks on sees tensors
            return self.run(composed(pairs, constants), *inputs)
        return self._called(lambda given, owned: Chained(pairs, given, owned, constants), inputs)

    def _called(self, call_of: Callable[[list[Any], list[Any]], Call], inputs: tuple[Any, ...]) -> Any:
        reach(self)
        record, step = mode.record, recorder()
        try:
            owned = [self._parameter(name) for name in self.parameters]
            given = []
            for x in inputs:
                array = x if type(x) is np.ndarray and x.dtype.kind == "f" else _floating(x, (*owned, *inputs))
                given.append(own(array) if record and step is None else array)
            call = call_of(given, owned)
        except (IndexError, TypeError, ValueError) as error:
            kind = next(k for k in (IndexError, TypeError, ValueError) if isinstance(error, k))
            raise kind(f"{type(self).__name__}.forward: {error}") from error
        if record:
            self._remembered().keep(call)
            for i, x in enumerate(inputs):
                if not given[i].ndim and step is None:
                    call.scalars = (*call.scalars, (i, isinstance(x, NUMBERS)))
        z = call.result
        if isinstance(z, Tensor):                        # of a step that is being recorded
            return lowered(z)
        if z.ndim:
            return z.copy()
        return z.item() if all(isinstance(x, NUMBERS) for x in inputs) else np.asarray(z)[()]

    def backward(self, dout: Any = None) -> Any:
        """Go back through the newest `forward` that has not been gone back through.

        Parameters
        ----------
        dout : number or array_like, optional
            The gradient of what that `forward` returned, of its shape; ones if left out. Never written into.

        Returns
        -------
        number, array or tuple
            The gradient of what that `forward` was given, in its dtype and shape; a tuple if that was more than one.

        Raises
        ------
        RuntimeError
            If no call is left.
        ValueError
            If `dout` does not have the shape of the result.
        """
        calls = self._remembered()
        if not calls.kept:
            raise RuntimeError(f"{type(self).__name__}.backward: no forward call is left to go back through. Each can "
                               "be gone back through once; those under no_grad(), as TwoLayerNet.accuracy makes them, "
                               f"are not kept, nor more than {MOST_CALLS} calls or {MOST_BYTES // 2**20} MiB of them")
        call: Call = calls.kept[-1]
        seed = self._seed(dout, call.result)
        calls.take()
        slopes, theirs = call.back(seed), {id(dout)}     # a gate may hand on what it gets, also twice
        for i, slope in enumerate(slopes):
            if slope is None:                            # no path leads there
                slopes[i] = np.zeros(call.sources[i].shape, call.sources[i].dtype)
            elif isinstance(slope, Tensor):
                slopes[i] = lowered(slope)
            elif type(slope) is not np.ndarray or slope.base is not None or id(slope) in theirs:
                slopes[i] = np.array(slope)
            theirs.add(id(slope))
        for name, slope in zip(self.parameters, slopes[call.count:], strict=True):
            before = getattr(self, f"d{name}") if calls.went_back else None
            setattr(self, f"d{name}", slope if before is None else before + slope if recorder() is not None
                    else _sum(before, slope))
        calls.went_back = True
        for i, is_number in call.scalars:
            slopes[i] = slopes[i].item() if is_number else slopes[i][()]
        return slopes[0] if call.count == 1 else tuple(slopes[:call.count])

    def _seed(self, dout: Any, z: Any) -> Any:
        """Return the gradient to begin with."""
        if dout is None:
            return np.ones(z.shape, z.dtype)
        d: Any = raw(dout, z.dtype)
        if d.shape != z.shape:
            remedy = "; the gradient of the sum begins with np.ones" if not d.shape else ""
            raise ValueError(f"{type(self).__name__}.backward: dout has shape {d.shape}, but forward returned {z.shape}"
                             f"{remedy}")
        return d

    def _parameter(self, name: str) -> Any:
        value: Any = getattr(self, name)
        if isinstance(value, Tensor) and is_value(value):
            return value
        if type(value) is not np.ndarray or value.dtype.kind != "f":
            value = parameter(value, name)
            setattr(self, name, value)
        return value

    def _remembered(self) -> Calls:
        """Return the calls that can still be gone back through; in a recorded step, those of that step."""
        found: Calls | None = self.__dict__.get("_calls")
        if found is None:
            found = self._calls = Calls((MOST_CALLS, MOST_BYTES))
        step = recorder()
        return found if step is None else step.calls(found)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave the calls behind: they belong to this object's past."""
        return {name: value for name, value in self.__dict__.items() if name != "_calls"}


def parameter(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return a parameter: a floating-point array, the caller's own if it is one.

    Raises
    ------
    TypeError
        If it is an array of something else.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind != "f":
        raise TypeError(f"{name} has dtype {value.dtype}, and small steps are possible with floating-point numbers "
                        "only; convert it with .astype(float)")
    return np.asarray(value) if isinstance(value, np.ndarray) else np.array(value, float)


def _floating(x: Any, others: tuple[Any, ...]) -> Any:
    """Return an input as an array of floating-point numbers, in the dtype of the first thing that has such a one."""
    if isinstance(x, Tensor) and not is_value(x):
        raise TypeError("got a tensor, and layers by hand take arrays; pass x.numpy(), or put the layer into an "
                        "nn.Sequential, where it is a layer of tensors")
    array = x if isinstance(x, Tensor) else np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected real numbers, got {describe(x)}")
    if array.dtype.kind == "f" and not isinstance(x, NUMBERS):
        return array
    dtypes = (y.dtype for y in others if isinstance(y, np.ndarray | np.generic | Tensor) and y.dtype.kind == "f")
    return array.astype(next(dtypes, np.dtype(float)))


def _sum(before: NDArray[Any], slope: NDArray[Any]) -> NDArray[Any]:
    """Add to the gradient of a parameter, as the engine does: what somebody may hold stays as it is."""
    holder = Tensor.of(slope)
    holder.gradient = Tensor.of(before)
    accumulate(holder, slope)
    return holder.gradient.array                         # type: ignore[no-any-return]
