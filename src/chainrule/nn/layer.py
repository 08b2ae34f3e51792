"""A layer: parameters, and a `forward` written with tensors. Its `backward(dout)` follows from the graph.

``layer(x)`` gives a tensor that remembers. ``layer.forward(array)`` and ``layer.backward(dout)``, called on plain
arrays, are the by-hand style of the textbooks; both rest on ``out, back = layer.call(x)``.
"""
from __future__ import annotations

import functools
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..mode import enable_grad, mode, tick
from ..reverse import history, pullback
from ..tensor import Tensor, as_tensor
from .opaque import handwritten
from .parameter import Parameter

__all__ = ["Layer"]

T = TypeVar("T")

MOST_CALLS = 1_000                   #: how many by-hand calls a layer keeps for `backward`
MOST_BYTES = 256 * 2**20             #: and how much memory they may hold


class Layer:
    """The base of every layer, loss and model.

    A subclass makes its parameters in ``__init__`` and computes in ``forward``. Every `Parameter`, every leaf tensor
    that requires a gradient and every layer that is assigned to an attribute (or stands in a list, tuple or dict that
    is) belongs to it.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently in training (dropout, batch normalisation) do so.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> class Scale(nn.Layer):
    ...     def __init__(self):
    ...         self.factor = nn.Parameter(3.0)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> layer = Scale()
    >>> layer(np.array([1.0, 2.0]))                       # a tensor that remembers
    Tensor([3., 6.], gate=multiply)
    >>> layer.forward(np.array([1.0, 2.0]))               # by hand: arrays in, arrays out
    array([3., 6.])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([3., 3.])
    >>> layer.factor.grad
    Tensor(3.)
    """

    training: bool = True
    #: Integers given to this layer are indices, and stay integers.
    takes_indices: bool = False
    _handwritten: bool = False       # the subclass wrote its own backward

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "backward" in cls.__dict__:
            cls._handwritten = True
        elif "forward" in cls.__dict__:
            cls._handwritten = False
            cls.forward = _by_hand(cls.forward)          # type: ignore[method-assign]

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor) and (
                isinstance(value, Parameter) or (value.tracked and value.gate is None and not mode.inside)):
            self.__dict__.setdefault("_parameters", {})[name] = None
        self.__dict__[name] = value

    # ------------------------------------------------------------------ running
    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the result; subclasses define it, with tensors."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks and `forward`.

        Parameters
        ----------
        *inputs : Tensor or array_like
            Arrays are taken over as constants, in the dtype of the parameters.

        Returns
        -------
        Tensor (or what `forward` makes of tensors)
        """
        within, mode.inside = mode.inside, True
        try:
            inputs = tuple(self._lift(x) for x in inputs)
            for pre_hook in list(self.__dict__.get("_pre_hooks", {}).values()):
                changed = pre_hook(self, inputs)
                if changed is not None:
                    inputs = changed if isinstance(changed, tuple) else (changed,)
            if self._handwritten:
                result = handwritten(*inputs, layer=self)
            else:
                result = self.forward(*inputs, **options)
            for hook in list(self.__dict__.get("_hooks", {}).values()):
                changed = hook(self, inputs, result)
                if changed is not None:
                    result = changed
            return result
        except Exception as error:
            _locate(error, self, outermost=not within)
            raise
        finally:
            mode.inside = within

    def call(self, *inputs: Any, **options: Any) -> tuple[Any, Callable[..., Any]]:
        """Run forward on arrays, and return the result together with the way back.

        The cache belongs to the call: a layer can be called any number of times, and each way back is its own.

        Parameters
        ----------
        *inputs : array_like

        Returns
        -------
        out : array, number or tuple of arrays
        back : callable
            ``back(dout)`` takes the gradient of `out`, adds to `.grad` of the parameters, and returns the gradient of
            the input (a tuple if there are several; None for inputs that are not floating-point).

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import nn
        >>> out, back = nn.ReLU().call(np.array([-1.0, 2.0]))
        >>> back(np.array([5.0, 5.0]))
        array([0., 5.])
        """
        with enable_grad():
            lifted = tuple(_leaf(x) for x in inputs)
            result = self(*[self._convert(x) if isinstance(x, Tensor) else x for x in lifted], **options)
        numbers = all(isinstance(x, int | float) for x in inputs)
        results = result if isinstance(result, tuple) else (result,)

        def back(dout: Any = None) -> Any:
            douts = dout if isinstance(result, tuple) else (dout,)
            seeds = {}
            for z, d in zip(results, douts, strict=True):
                d = np.ones(z.shape, z.dtype) if d is None else np.asarray(d, z.dtype)
                if d.shape != z.shape:
                    raise ValueError(f"{self!r}.backward: dout has shape {d.shape}, the result had {z.shape}")
                if z.tracked:
                    seeds[z] = d.copy()
            mine = set(lifted)
            found = pullback(seeds, retain_graph=True)
            for leaf, d in found.items():
                if leaf not in mine:
                    leaf.grad = Tensor.of(d, lent=True) if leaf.grad is None else leaf.grad + d
            grads = tuple(_lowered(found.get(x, np.zeros_like(x.array)), numbers) if x.tracked else None for x in lifted)
            return grads if len(grads) != 1 else grads[0]

        back.results = results                           # type: ignore[attr-defined]
        out = tuple(_lowered(z.array, numbers) for z in results)
        return out if isinstance(result, tuple) else out[0], back

    def backward(self, dout: Any = None) -> Any:
        """Go back through the newest by-hand `forward` that has not been gone back through.

        The first `backward` after a `forward` overwrites the gradients of the parameters; further ones add, so a layer
        that was used twice in one pass gets the sum of both.

        Parameters
        ----------
        dout : array_like, optional
            The gradient of what that `forward` returned, of its shape; ones if left out.

        Returns
        -------
        array, number or tuple
            The gradient of what that `forward` was given.

        Raises
        ------
        RuntimeError
            If no call is left.
        """
        calls: list[Callable[..., Any]] = self.__dict__.setdefault("_calls", [])
        if not calls:
            raise RuntimeError(
                f"{self!r}.backward: no forward call on arrays is left to go back through. Each forward can be gone "
                "back through once; calls under no_grad() or after .eval() are not kept, nor more than "
                f"{MOST_CALLS} calls or {MOST_BYTES // 2**20} MiB of them; and layer(x) is differentiated by "
                "loss.backward()")
        if not self.__dict__.get("_went_back", False):
            self.zero_grad()
            self.__dict__["_went_back"] = True
        back: Any = calls.pop()
        self.__dict__["_bytes"] -= back.size
        return back(dout)

    def _keep(self, back: Callable[..., Any]) -> None:
        """Keep the way back of a by-hand call, within bounds."""
        calls: list[Any] = self.__dict__.setdefault("_calls", [])
        if self.__dict__.get("_went_back", False):       # a new pass: what is left of the last one is stale
            calls.clear()
            self.__dict__["_went_back"] = False
            self.__dict__["_bytes"] = 0
        size = sum(t.array.nbytes for t in history(*back.results))       # type: ignore[attr-defined]
        back.size = size                                 # type: ignore[attr-defined]
        self.__dict__["_bytes"] = self.__dict__.get("_bytes", 0) + size
        calls.append(back)
        while len(calls) > MOST_CALLS or (self.__dict__["_bytes"] > MOST_BYTES and len(calls) > 1):
            self.__dict__["_bytes"] -= calls.pop(0).size

    def _lift(self, x: Any) -> Any:
        """Turn what is passed to a layer into a tensor of the parameters' dtype."""
        if not isinstance(x, Tensor):
            return x if x is None or isinstance(x, str | bool) else self._convert(as_tensor(x))
        if x.dtype.kind != "f":
            return self._convert(x)
        dtype = self._dtype()
        if dtype is not None and x.dtype is not dtype and x.dtype != dtype:
            raise TypeError(f"got a {x.dtype} tensor, but the parameters are {dtype}; convert the tensor with "
                            f".astype(np.{dtype}), or the layer with .astype(np.{x.dtype})")
        return x

    def _convert(self, x: Tensor) -> Tensor:
        """Convert to the parameters' dtype; integers too, where they meet parameters and are not indices."""
        dtype = self._dtype()
        if dtype is None or x.dtype == dtype:
            return x
        return x.astype(dtype) if x.dtype.kind == "f" or (self._owns_floats() and not self.takes_indices) else x

    def _dtype(self) -> np.dtype[Any] | None:
        """Return the dtype of the first floating-point parameter."""
        names = self.__dict__.get("_parameters")
        if names:
            for name in names:
                value = self.__dict__.get(name)
                if isinstance(value, Tensor) and value.array.dtype.kind == "f":
                    return value.array.dtype             # type: ignore[no-any-return]
        return next((p.array.dtype for p in self.parameters() if p.array.dtype.kind == "f"), None)

    def _owns_floats(self) -> bool:
        return any(isinstance(self.__dict__.get(name), Tensor) for name in self.__dict__.get("_parameters", ()))

    # ------------------------------------------------------------------ what belongs to it
    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers directly inside, with the names of their attributes."""
        for name, value in self.__dict__.items():
            if name.startswith("_"):
                continue
            if isinstance(value, Layer):
                yield name, value
            elif isinstance(value, list | tuple | dict):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}.{key}", item) for key, item in items if isinstance(item, Layer))

    def children(self) -> Iterator[Layer]:
        """Yield the layers directly inside."""
        return (child for _, child in self.named_children())

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield this layer and all inside it, at any depth, with their paths (``""`` for this one)."""
        seen: set[int] = set()
        stack: list[tuple[str, Layer]] = [(prefix, self)]
        while stack:
            path, layer = stack.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield path, layer
            stack += reversed([(f"{path}.{name}" if path else name, child) for name, child in layer.named_children()])

    named_modules = named_layers

    def layers(self) -> Iterator[Layer]:
        """Yield this layer and all inside it."""
        return (layer for _, layer in self.named_layers())

    modules = layers

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield every parameter once, with its path, such as ``"0.weight"``."""
        yield from self._named("_parameters", prefix)

    def parameters(self) -> Iterator[Tensor]:
        """Yield every parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield every buffer (state that is saved but not trained) once, with its path."""
        yield from self._named("_buffers", prefix)

    def buffers(self) -> Iterator[Tensor]:
        """Yield every buffer once."""
        return (b for _, b in self.named_buffers())

    def _named(self, kind: str, prefix: str) -> Iterator[tuple[str, Tensor]]:
        seen: set[Tensor] = set()
        for path, layer in self.named_layers(prefix):
            for name in layer.__dict__.get(kind, ()):
                value = layer.__dict__.get(name)
                if isinstance(value, Tensor) and value not in seen:
                    seen.add(value)
                    yield f"{path}.{name}" if path else name, value

    def register_parameter(self, name: str, value: Tensor | None) -> None:
        """Make a parameter under a name; None reserves the name for a parameter that is left out."""
        if value is not None and not isinstance(value, Parameter):
            value = Parameter(value)
        setattr(self, name, value)

    def register_buffer(self, name: str, value: Any) -> None:
        """Make a tensor that is saved with the parameters but not trained, such as a running mean."""
        self.__dict__.setdefault("_buffers", {})[name] = None
        setattr(self, name, value if isinstance(value, Tensor) or value is None else Tensor(value))

    # ------------------------------------------------------------------ switches
    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in every layer inside, and return this one."""
        for layer in self.layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Turn `training` off here and in every layer inside, and return this one."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze or release all parameters."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Set `.grad` of every parameter to None."""
        for p in self.parameters():
            p.grad = None

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert every floating-point parameter and buffer in place."""
        for t in (*self.parameters(), *self.buffers()):
            if t.dtype.kind == "f" and t.dtype != dtype:
                t.array, t.moment, t.lent = t.array.astype(dtype), tick(), False
                t.grad = None
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.astype(np.float64)

    def apply(self, function: Callable[[Layer], Any]) -> Self:
        """Call a function on every layer, the innermost first, and return this one."""
        for layer in reversed(list(self.layers())):
            function(layer)
        return self

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> Callable[[], None]:
        """Call ``hook(layer, inputs, result)`` after each forward; what it returns, if not None, is the result.

        Returns
        -------
        callable
            Takes the hook away again.
        """
        return self._register("_hooks", hook)

    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> Callable[[], None]:
        """Call ``hook(layer, inputs)`` before each forward; what it returns, if not None, replaces the inputs."""
        return self._register("_pre_hooks", hook)

    def _register(self, kind: str, hook: Callable[..., Any]) -> Callable[[], None]:
        hooks, key = self.__dict__.setdefault(kind, {}), tick()
        hooks[key] = hook
        return lambda: hooks.pop(key, None) and None

    # ------------------------------------------------------------------ state
    def state_dict(self) -> OrderedDict[str, NDArray[Any]]:
        """Return parameters and buffers by path, as read-only arrays that stay what they are.

        Keys and shapes are PyTorch's, so the files of either read in the other.
        """
        pairs = (*self.named_parameters(), *self.named_buffers())
        return OrderedDict((name, t.numpy()) for name, t in pairs)

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> tuple[list[str], list[str]]:
        """Write parameters and buffers from a dict of arrays.

        Parameters
        ----------
        state : mapping of str to array_like
            Converted to the dtypes of this layer.
        strict : bool
            Whether a missing or unexpected key is an error. A wrong shape always is.

        Returns
        -------
        missing, unexpected : list of str

        Raises
        ------
        ValueError
            If keys or shapes do not fit; all of them are listed, and nothing is written.

        Examples
        --------
        >>> from chainrule import nn
        >>> a, b = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> a.load_state_dict(b.state_dict())
        ([], [])
        """
        own = dict((*self.named_parameters(), *self.named_buffers()))
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        wrong = [f"{name}: expected {own[name].shape}, got {tuple(np.shape(state[name]))}" for name in own
                 if name in state and tuple(np.shape(state[name])) != own[name].shape]
        problems = []
        if missing and strict:
            problems.append(f"missing: {', '.join(missing)}")
        if unexpected and strict:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        if wrong:
            problems.append(f"of another shape: {'; '.join(wrong)}")
        if problems:
            raise ValueError(f"load_state_dict: the state does not fit {type(self).__name__}. {'. '.join(problems)}"
                             + ("" if wrong or not strict else ". strict=False loads the keys that fit"))
        for name, t in own.items():
            if name in state:
                t.assign(state[name])
        return missing, unexpected

    def save(self, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
        """Write parameters and buffers to a safetensors file, aside and then renamed.

        Parameters
        ----------
        path : path
        metadata : mapping of str to str, optional
            Kept in the file's header.
        """
        from safetensors.numpy import save

        from ..files import replacing
        tensors = {name: np.ascontiguousarray(array) for name, array in self.state_dict().items()}
        with replacing(path) as file:
            file.write(save(tensors, dict(metadata) if metadata else None))

    def load(self, path: str | os.PathLike[str], strict: bool = True) -> tuple[list[str], list[str]]:
        """Read parameters and buffers from a safetensors file, of this library or of PyTorch.

        Raises
        ------
        ValueError
            If the file is not a safetensors file, or does not fit (see `load_state_dict`).
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
        try:
            state = load_file(os.fspath(path))
        except SafetensorError as error:
            raise ValueError(f"{os.fspath(path)} is not a readable safetensors file: {error}") from error
        return self.load_state_dict(state, strict)

    def summary(self, *inputs: Any) -> Any:
        """Run once and return a table of layers, output shapes, parameters and multiply-adds.

        Parameters
        ----------
        *inputs : array_like
            An example batch.

        Returns
        -------
        Summary
            Prints as a table; `.rows`, `.parameters` and `.multiply_adds` hold the figures.
        """
        from .summary import summarize
        return summarize(self, *inputs)

    # ------------------------------------------------------------------ looks
    def extra_repr(self) -> str:
        """Return what stands in the parentheses of the layer's name."""
        return ""

    def __repr__(self) -> str:
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in children]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave the by-hand calls behind: they belong to this object's past."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_calls", "_went_back", "_bytes")}


def _by_hand(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a `forward` on tensors serve plain arrays too, when it is called from outside any layer."""
    @functools.wraps(forward)
    def run(self: Layer, *inputs: Any, **options: Any) -> Any:
        if mode.inside or any(isinstance(x, Tensor) for x in inputs):
            return forward(self, *inputs, **options)
        if not (mode.record and self.training):
            result = self(*inputs, **options)
            numbers = all(isinstance(x, int | float) for x in inputs)
            if isinstance(result, tuple):
                return tuple(_lowered(z.array, numbers) for z in result)
            return _lowered(result.array, numbers)
        result, back = self.call(*inputs, **options)
        self._keep(back)
        return result
    return run


def _leaf(x: Any) -> Any:
    """Lift an argument of a by-hand call: numbers and floating-point arrays ask for a gradient."""
    if x is None or isinstance(x, Tensor | str | bool):
        return x
    t = Tensor(float(x) if isinstance(x, int) else x)
    if t.dtype.kind == "f":
        t.requires_grad = True
    return t


def _lowered(array: Any, number: bool) -> Any:
    """Give an array of its own back to the by-hand caller, or a number to one who gave numbers."""
    return array.item() if number and array.ndim == 0 else np.array(array)


def _locate(error: Exception, layer: Layer, outermost: bool) -> None:
    """Say in an error which layer of the model it happened in: ``model.2 Linear(100 → 10): …``."""
    trail = error.__dict__.setdefault("_layers", [])
    trail.append(layer)
    if not outermost:
        return
    del error.__dict__["_layers"]
    inner = trail[0]
    path = next((path for path, found in layer.named_layers("model") if found is inner), "")
    place = f"{path} {inner!r}" if path not in ("", "model") else repr(inner)
    place = place.split("\n")[0].rstrip("(")
    if isinstance(error, TypeError | ValueError) and len(error.args) == 1:
        error.args = (f"{place}: {error.args[0]}",)
    else:
        error.add_note(f"in {place}")
