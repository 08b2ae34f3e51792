"""A layer: parameters, and a `forward` written with tensors. Its `backward(dout)` follows from the graph.

``layer(x)`` gives a tensor that remembers. ``layer.forward(array)`` and ``layer.backward(dout)``, called on plain
arrays, are the by-hand style of the textbooks; both rest on ``out, back = layer.call(x)`` (see `calls.py`).
"""
from __future__ import annotations

import inspect
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..mode import mode, recorder, tick
from ..state import reach, touch
from ..tensor import Tensor, as_tensor
from .calls import MOST_BYTES, MOST_CALLS, Calls, by_hand, run, run_back
from .opaque import handwritten
from .parameter import Parameter

__all__ = ["Layer"]

#: What a layer keeps for itself, beside the attributes of its author.
OWN = frozenset({"_parameters", "_buffers", "_first", "_pre_hooks", "_hooks", "_by_hand", "_latest"})
EMPTY: Any = MappingProxyType({})
NUMBERS = (int, float)
VALUES = (np.ndarray, np.generic, int, float, list, tuple)           # what is taken over as an array


class Layer:
    """The base of every layer, loss and model.

    A subclass makes its parameters in ``__init__`` and computes in ``forward``. Every `Parameter`, every leaf tensor
    that requires a gradient and every layer that is assigned to an attribute (or stands in a list, tuple or dict that
    is) belongs to it. ``super().__init__()`` may be called or left out.

    A subclass may also write its own ``backward(dout)``, on arrays. It then works by hand as it stands and, inside a
    model, as one gate that can be differentiated once; gradients that it leaves in ``.grad`` of its parameters count.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently in training (dropout, batch normalisation) do so.
    constants : tuple of str
        The arguments of `forward` that are data, such as labels, indices and masks. They keep their dtype, and by hand
        no gradient is returned for them.

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
    constants: ClassVar[tuple[str, ...]] = ()
    is_handwritten: ClassVar[bool] = False               # whether the subclass wrote its own backward
    _places: ClassVar[tuple[str, ...]] = ()              # the arguments of forward, in order
    _parameters: Mapping[str, None] = EMPTY              # the attributes that are parameters
    _buffers: Mapping[str, None] = EMPTY
    _first: Tensor | None = None                         # the first floating-point one: its dtype is the layer's
    _pre_hooks: Mapping[int, Callable[..., Any]] = EMPTY
    _hooks: Mapping[int, Callable[..., Any]] = EMPTY

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "backward" in cls.__dict__ and cls.backward is not Layer.backward:
            cls.backward = run_back(cls.backward)        # type: ignore[method-assign]
        if "forward" in cls.__dict__:
            cls._places = tuple(inspect.signature(cls.forward).parameters)[1:]
            cls.forward = by_hand(cls.forward)           # type: ignore[method-assign]
        cls.is_handwritten = cls.backward is not Layer.backward

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor) and (isinstance(value, Parameter) or (not mode.inside and _trains(value))):
            self._registry("_parameters")[name] = None
            if value.dtype.kind == "f" and (self._first is None or self._first is self.__dict__.get(name)):
                self.__dict__["_first"] = value
        self.__dict__[name] = value
        touch()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        touch()

    def _registry(self, kind: str) -> dict[Any, Any]:
        return self.__dict__.setdefault(kind, {})        # type: ignore[no-any-return]

    # ------------------------------------------------------------------ running
    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the result; subclasses define it, with tensors."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks and `forward`.

        Parameters
        ----------
        *inputs : Tensor or array_like
            Arrays and lists are taken over as constants, in the dtype of the parameters. So are numbers, if there is
            nothing else; beside tensors and arrays they stay as they are, as do strings, booleans and None.
        **options
            Arrays among them are taken over in the same way.

        Returns
        -------
        Tensor (or what `forward` makes of tensors)

        Raises
        ------
        TypeError
            If a floating-point tensor has another dtype than the parameters.
        """
        within = mode.inside
        if not within:
            mode.inside = True
        if mode.symbolic:
            reach(self)
            inputs = tuple([self._recast(x, self.is_constant(place)) for place, x in enumerate(inputs)])
            options = {name: self._recast(x, name in self.constants) for name, x in options.items()}
        try:
            first = self._first
            dtype = None if first is None else first.array.dtype
            for x in inputs:
                if not isinstance(x, Tensor) or (dtype is not None and x.array.dtype is not dtype):
                    inputs = self._lifted(inputs, dtype)
                    break
            if options:
                options = {name: self._lift(x, name in self.constants, dtype) if isinstance(x, np.ndarray) else x
                           for name, x in options.items()}
            if self._pre_hooks:
                for pre_hook in list(self._pre_hooks.values()):
                    changed = pre_hook(self, inputs)
                    _hooked(pre_hook, changed)
                    if changed is not None:
                        inputs = changed if isinstance(changed, tuple) else (changed,)
            if self.is_handwritten:
                result = handwritten(*inputs, *self.parameters(), layer=self, count=len(inputs), settings=options)
            else:
                result = self.forward(*inputs, **options)
            if self._hooks:
                for hook in list(self._hooks.values()):
                    changed = hook(self, inputs, result)
                    _hooked(hook, changed)
                    if changed is not None:
                        result = changed
            return result
        except Exception as error:
            _locate(error, self, outermost=not within)
            raise
        finally:
            if not within:
                mode.inside = False

    def call(self, *inputs: Any, **options: Any) -> tuple[Any, Callable[..., Any]]:
        """Run forward on arrays, and return the result together with the way back.

        The cache belongs to the call: a layer can be called any number of times, and each way back is its own.

        Parameters
        ----------
        *inputs : array_like
            Numbers, if there is nothing else, are values like arrays; beside arrays they are settings.

        Returns
        -------
        out : array, number or tuple of arrays
            A number if all inputs are numbers.
        back : callable
            ``back(dout)`` takes the gradient of `out` (ones if left out), adds to `.grad` of the parameters, and
            returns the gradient of the input, in its dtype. There is one gradient for each floating-point input: a
            tuple if there are several, None if there is none. Integers and `constants` have none.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import nn
        >>> out, back = nn.ReLU().call(np.array([-1.0, 2.0]))
        >>> back(np.array([5.0, 5.0]))
        array([0., 5.])
        """
        result, call = run(self, inputs, options)
        assert call is not None
        return result, call.back

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
            The gradient of what that `forward` was given (see `call`).

        Raises
        ------
        RuntimeError
            If no call is left.
        ValueError
            If `dout` does not have the shape of the result.

        Examples
        --------
        >>> from chainrule import nn
        >>> loss = nn.MSELoss()
        >>> loss.forward(3.0, 1.0)
        4.0
        >>> loss.backward()
        4.0
        """
        calls = self._calls
        if not calls.kept:
            raise RuntimeError(
                f"{_line(self)}.backward: no forward call on arrays is left to go back through. Each forward can be "
                "gone back through once; calls under no_grad() or after .eval() are not kept, nor more than "
                f"{MOST_CALLS} calls or {MOST_BYTES // 2**20} MiB of them; and layer(x) is differentiated by "
                "loss.backward()")
        if not calls.went_back:
            self.zero_grad()
            calls.went_back = True
        return calls.take().back(dout)

    @property
    def _calls(self) -> Calls:
        """The by-hand calls that can still be gone back through; in a recorded step, those of that step."""
        found = self.__dict__.get("_by_hand")
        if found is None:
            found = self.__dict__["_by_hand"] = Calls()
        step = recorder()
        return found if step is None else step.calls(found)

    # ------------------------------------------------------------------ what goes in
    def is_constant(self, place: int) -> bool:
        """Whether the argument at a place is data, not differentiated by hand."""
        return bool(self.constants) and place < len(self._places) and self._places[place] in self.constants

    def _lifted(self, inputs: tuple[Any, ...], dtype: np.dtype[Any] | None) -> tuple[Any, ...]:
        """Turn what is passed to a layer into tensors, where it is a value and not a setting."""
        lifted = []
        for place, x in enumerate(inputs):
            if isinstance(x, NUMBERS) and (isinstance(x, bool) or not all(isinstance(y, NUMBERS) for y in inputs)):
                lifted.append(x)
            else:
                lifted.append(self._lift(x, bool(self.constants) and self.is_constant(place), dtype))
        return tuple(lifted)

    def _lift(self, x: Any, constant: bool, dtype: np.dtype[Any] | None) -> Any:
        """Turn one input into a tensor of the parameters' dtype. `dtype` is that of the layer's very own ones."""
        if isinstance(x, Tensor):
            if dtype is None or constant or x.dtype == dtype:
                return x
            if x.dtype.kind != "f":
                return x.astype(dtype)
            raise TypeError(f"got a {x.dtype} tensor, but the parameters are {dtype}; convert the tensor with "
                            f".astype(np.{dtype}), or the layer with .astype(np.{x.dtype})")
        if type(x) is not np.ndarray:
            if not isinstance(x, VALUES) and not hasattr(x, "__array__"):
                return x
            if type(x) in (list, tuple) and any(isinstance(y, Tensor) for y in x):
                return type(x)([self._lift(y, constant, dtype) for y in x])
            x = np.asarray(x)
        if not constant and x.dtype.kind in "biuf":
            wanted = dtype if dtype is not None or x.dtype.kind != "f" else self._dtype()
            if wanted is not None and wanted != x.dtype:
                return Tensor(x, dtype=wanted)
        return as_tensor(x)

    def _recast(self, x: Any, constant: bool) -> Any:
        """Take a tensor that stands for an array in a step that is being recorded as the array would be taken."""
        step = recorder()
        if step is None or not isinstance(x, Tensor) or not step.is_array(x):
            return x
        wanted = None if constant or x.dtype.kind != "f" else self._dtype()
        return step.copied(x) if wanted is None or wanted == x.dtype else x.astype(wanted)

    def _leaf(self, x: Any, place: int, numbers: bool) -> Any:
        """Turn one input of a by-hand call into a tensor of the caller's dtype."""
        if isinstance(x, NUMBERS):
            return Tensor(float(x)) if numbers and not isinstance(x, bool) else x
        if not isinstance(x, (Tensor, *VALUES)) and not hasattr(x, "__array__"):
            return x
        t = x if isinstance(x, Tensor) else Tensor(x)
        if t.dtype.kind in "biu" and not self.is_constant(place):
            return t if self._first is None else t.astype(self._first.dtype)
        return t

    def _dtype(self, above: tuple[int, ...] = ()) -> np.dtype[Any] | None:
        """Return the dtype of the first floating-point parameter, here or further inside."""
        if self._first is not None:
            return self._first.array.dtype               # type: ignore[no-any-return]
        above = (*above, id(self))
        for value in self.__dict__.values():
            if isinstance(value, Layer) and id(value) not in above:
                found = value._dtype(above)
                if found is not None:
                    return found
        for name, value in self._belongings():           # perhaps there are some in a list
            if name not in self.__dict__:
                if isinstance(value, Tensor):
                    found = value.dtype if _trains(value) and value.dtype.kind == "f" else None
                else:
                    found = value._dtype(above) if id(value) not in above else None
                if found is not None:
                    return found
        return None

    # ------------------------------------------------------------------ what belongs to it
    def _belongings(self) -> Iterator[tuple[str, Any]]:
        """Yield the layers and tensors among the attributes, and in lists, tuples and dicts that are attributes."""
        for name, value in list(self.__dict__.items()):
            if name in OWN:
                continue
            if isinstance(value, Layer | Tensor):
                yield name, value
            elif isinstance(value, list | tuple | dict):
                yield from _nested(name, value)

    def named_children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers directly inside, with the names of their attributes."""
        return ((name, value) for name, value in self._belongings() if isinstance(value, Layer))

    def children(self) -> Iterator[Layer]:
        """Yield the layers directly inside."""
        return (child for _, child in self.named_children())

    def named_layers(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Layer]]:
        """Yield this layer and all inside it, at any depth, with their paths (``""`` for this one).

        Parameters
        ----------
        prefix : str
            Put before each path.
        remove_duplicate : bool
            Whether a layer that is found under several paths comes once, under the first, or under each.
        """
        seen: set[int] = set()
        stack: list[tuple[str, Layer, tuple[int, ...]]] = [(prefix, self, ())]
        while stack:
            path, layer, above = stack.pop()
            if id(layer) in (seen if remove_duplicate else above):
                continue
            seen.add(id(layer))
            yield path, layer
            above = (*above, id(layer))
            stack += reversed([(_join(path, name), child, above) for name, child in layer.named_children()])

    named_modules = named_layers

    def modules(self) -> Iterator[Layer]:
        """Yield this layer and all inside it, each once. (Not `layers`: many a model keeps its own under that name.)"""
        return (layer for _, layer in self.named_layers())

    def named_parameters(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Yield every parameter with its path, such as ``"0.weight"``: a shared one once, or under each path."""
        return self._named(True, False, prefix, remove_duplicate)

    def parameters(self) -> Iterator[Tensor]:
        """Yield every parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Yield every buffer (state that is saved but not trained) with its path."""
        return self._named(False, True, prefix, remove_duplicate)

    def buffers(self) -> Iterator[Tensor]:
        """Yield every buffer once."""
        return (b for _, b in self.named_buffers())

    def _named(self, parameters: bool, buffers: bool, prefix: str, once: bool) -> Iterator[tuple[str, Tensor]]:
        seen: set[Tensor] = set()
        for path, layer in self.named_layers(prefix, once):
            own = layer._own_tensors(False) if parameters else ()
            for name, t in (*own, *(layer._own_tensors(True) if buffers else ())):
                if not once or t not in seen:
                    seen.add(t)
                    yield _join(path, name), t

    def _own_tensors(self, buffers: bool) -> Iterator[tuple[str, Tensor]]:
        """Yield the parameters, or the buffers, of this very layer."""
        for name, value in self._belongings():
            if isinstance(value, Tensor) and (name in self._buffers) is buffers and (
                    buffers or name in self._parameters or (name not in self.__dict__ and _trains(value))):
                yield name, value

    def register_parameter(self, name: str, value: Tensor | None) -> None:
        """Make a parameter under a name; None reserves the name for a parameter that is left out."""
        if value is not None and not isinstance(value, Parameter):
            value = Parameter(value)
        setattr(self, name, value)

    def register_buffer(self, name: str, value: Any) -> None:
        """Make a tensor that is saved with the parameters but not trained, such as a running mean."""
        self._registry("_buffers")[name] = None
        setattr(self, name, value if isinstance(value, Tensor) or value is None else Tensor(value))

    # ------------------------------------------------------------------ switches
    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in every layer inside, and return this one."""
        for _, layer in self.named_layers():
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
        """Convert every floating-point parameter and buffer in place, gradients included, and return this layer.

        Raises
        ------
        TypeError
            If the dtype is not a floating-point one.
        """
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"parameters are floating-point, so a layer cannot become {wanted}")
        for t in (*self.parameters(), *self.buffers()):
            if t.dtype.kind == "f" and t.dtype != wanted:
                t.array, t.moment, t.lent = t.array.astype(wanted), tick(), False
                t.grad = None if t.grad is None else Tensor.of(t.grad.array.astype(wanted))
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.astype(np.float64)

    def apply(self, function: Callable[[Layer], Any]) -> Self:
        """Call a function on every layer, the innermost first, and return this one."""
        for _, layer in reversed(list(self.named_layers())):
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
        hooks, key = self._registry(kind), tick()
        touch()
        hooks[key] = hook
        return lambda: hooks.pop(key, None) and None

    # ------------------------------------------------------------------ state
    def state_dict(self) -> OrderedDict[str, NDArray[Any]]:
        """Return parameters and buffers by path, as read-only arrays that stay what they are.

        Keys, shapes and order are PyTorch's, so the files of either read in the other. What is shared between several
        paths stands under each.
        """
        return OrderedDict((name, t.numpy()) for name, t in self._named(True, True, "", False))

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
        own = dict(self._named(True, True, "", False))
        given = {name: state[name].array if isinstance(state[name], Tensor) else np.asarray(state[name])
                 for name in own if name in state}
        there = {own[name] for name in given}            # a shared tensor may stand under one of its paths only
        missing = [name for name, t in own.items() if t not in there]
        unexpected = [name for name in state if name not in own]
        wrong = [f"{name}: expected {own[name].shape}, got {array.shape}" for name, array in given.items()
                 if array.shape != own[name].shape]
        not_numbers = [f"{name}: {array.dtype}" for name, array in given.items() if array.dtype.kind not in "biuf"]
        problems = []
        if missing and strict:
            problems.append(f"missing: {', '.join(missing)}")
        if unexpected and strict:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        if wrong:
            problems.append(f"of another shape: {'; '.join(wrong)}")
        if not_numbers:
            problems.append(f"not real numbers: {'; '.join(not_numbers)}")
        if problems:
            raise ValueError(f"load_state_dict: the state does not fit {type(self).__name__}. {'. '.join(problems)}"
                             + ("" if wrong or not_numbers else ". strict=False loads the keys that fit"))
        for name, array in given.items():
            own[name].assign(array)
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
        tensors = {name: np.asarray(array, order="C") for name, array in self.state_dict().items()}
        with replacing(path) as file:
            file.write(save(tensors, dict(metadata) if metadata else None))

    def load(self, path: str | os.PathLike[str], strict: bool = True) -> tuple[list[str], list[str]]:
        """Read parameters and buffers from a safetensors file, of this library or of PyTorch.

        Returns
        -------
        missing, unexpected : list of str
            As `load_state_dict` does.

        Raises
        ------
        ValueError
            If the file is not a safetensors file, or does not fit (see `load_state_dict`).
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load
        with open(path, "rb") as file:
            content = file.read()
        try:
            state = load(content)
        except SafetensorError as error:
            raise ValueError(f"{os.fspath(path)} is not a readable safetensors file: {error}") from error
        except KeyError as error:
            raise ValueError(f"{os.fspath(path)} holds numbers of dtype {error}, which NumPy does not have; save them "
                             "as float32") from error
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
            Prints as a table; `.rows`, `.parameters` and `.multiply_adds` hold the figures (see `summarize`).
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
        return {name: dict(value) if name in OWN and isinstance(value, dict) else value
                for name, value in self.__dict__.items() if name not in ("_by_hand", "_latest")}


def _trains(t: Tensor) -> bool:
    """Whether a tensor in a layer is a parameter of it."""
    return isinstance(t, Parameter) or (t.tracked and t.gate is None)


def _nested(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers and tensors in lists, tuples and dicts, with PyTorch's names: ``layers.0``."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, Layer | Tensor):
            yield f"{path}.{key}", item
        elif isinstance(item, list | tuple | dict):
            yield from _nested(f"{path}.{key}", item)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _line(layer: Layer) -> str:
    """Return the layer in one line: ``Linear(100 → 10)``."""
    return repr(layer).split("\n")[0].rstrip("(")


def _hooked(hook: Callable[..., Any], answer: Any) -> None:
    """Tell a recorder what a hook returned."""
    step = recorder()
    if step is not None:
        step.hooked(hook, answer)


def _locate(error: Exception, layer: Layer, outermost: bool) -> None:
    """Say in an error which layer of the model it happened in: ``model.2 Linear(100 → 10): …``."""
    trail = error.__dict__.setdefault("_layers", [])
    trail.append(layer)
    if not outermost:
        return
    del error.__dict__["_layers"]
    inner = trail[0]
    path = next((path for path, found in layer.named_layers("model") if found is inner), "")
    place = f"{path} {_line(inner)}" if path not in ("", "model") else _line(inner)
    if isinstance(error, TypeError | ValueError) and len(error.args) == 1 and not hasattr(error, "place"):
        error.args = (f"{place}: {error.args[0]}",)
    else:
        error.add_note(f"in {place}")
