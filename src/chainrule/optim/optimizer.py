"""What all optimizers share: groups of parameters with their settings, state, and the step that applies a rule."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..mode import enable_grad, mode, no_grad
from ..state import ask, given, read, write
from ..tensor import Tensor

__all__ = ["Optimizer"]

BLOCK = 65_536                       #: elements: what a rule works on at once stays in the second-level cache
NOTHING: dict[str, Any] = {}


class Optimizer:
    """The base of every optimizer.

    A subclass passes its settings to this constructor, names the state it keeps in `moments`, and writes one `rule`
    with operators, gates and augmented assignment. On arrays ``m *= b`` is done in place; while a step is being
    recorded the rule runs on tensors, where the same line makes a new value. There is no second implementation.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update. A dict is a parameter group: its ``"params"``, and the settings that differ for them.
    defaults : dict
        The settings of groups that do not say otherwise.

    Attributes
    ----------
    param_groups : list of dict
        For each group its ``"params"`` and its settings, which may be changed at any time.
    state : dict
        For each parameter that has been updated, its moments (arrays) and ``"step"``, the number of its updates.

    Raises
    ------
    ValueError
        If there are no parameters, one is the result of a gate or appears twice, or a setting is out of range.
    TypeError
        If one is not a tensor.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> class SignSGD(optim.Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     def rule(self, p, g, s, *, lr):
    ...         p -= lr * cr.sign(g)
    ...         return p
    >>> w = cr.Tensor([1.0, -2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SignSGD([w]).step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)
    """

    #: Settings that switch a part of the rule off by being 0 or False. The rule is then given None in their place, so
    #: that it can decide by them; a recorded step is recorded anew when one goes on or off.
    switches: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        if isinstance(params, Tensor | Mapping):
            raise TypeError(f"{type(self).__name__}: expected an iterable of parameters or of groups, got a single "
                            f"{type(params).__name__}; put it into a list")
        entries = list(params)
        groups = entries if entries and isinstance(entries[0], dict) else [{"params": entries}]
        if not any(_listed(group) for group in groups):
            raise ValueError(f"{type(self).__name__}: there are no parameters to optimize. Was the generator "
                             "model.parameters() used up before? Does the model assign its nn.Parameter tensors and "
                             "layers to attributes?")
        for group in groups:
            self.add_param_group(group)

    # ------------------------------------------------------------------ what a subclass says
    def rule(self, p: Any, g: Any, s: Any, *_: Any, **settings: Any) -> Any:
        """Return the updated parameter; elementwise, in operators and gates.

        Parameters
        ----------
        p, g : array or Tensor
            A parameter, or a block of one, and its gradient. `p` may be written into (``p -= ...``), `g` may not.
        s : namespace
            The moments, attributes of `p`'s shape to be written into or assigned; and `s.step`, the number of this
            update, from 1.
        **settings
            Those of the group. Numbers may be tensors: decide by a switch being None, not by a value.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define rule")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the state that the rule keeps of each parameter of a group; it begins as zeros."""
        return ()

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if a setting is out of range."""
        self.at_least_zero(group, "lr")

    def at_least_zero(self, group: dict[str, Any], *names: str) -> None:
        """Raise ValueError if one of these settings is negative or not a number."""
        for name in names:
            if not group[name] >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must be at least 0, got {group[name]}"
                                 + ("; to climb instead of descend, use maximize=True" if name == "lr" else ""))

    # ------------------------------------------------------------------ groups
    def add_param_group(self, group: dict[str, Any]) -> None:
        """Take in more parameters, with settings of their own.

        Parameters
        ----------
        group : dict
            ``"params"`` (a tensor, an iterable of them, or of pairs of name and tensor), and settings.
        """
        title = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{title}: a parameter group is a dict with the key 'params', got {group!r:.60}")
        entries = _listed(group)
        pairs = [entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry) for entry in entries]
        names, params = [name for name, _ in pairs], [p for _, p in pairs]
        taken = {p for other in self.param_groups for p in other["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{title}: expected parameters (tensors), got {type(p).__name__} at position {i}"
                                + ("; use nn.Parameter(array)" if isinstance(p, np.ndarray) else ""))
            label = names[i] or p.name or f"the parameter of shape {p.shape} at position {i}"
            if p.gate is not None:
                raise ValueError(f"{title}: {label} came out of {p.gate.name}, so an update would not last; pass the "
                                 "leaf tensors it was made from, or .detach() it")
            if p in taken:
                raise ValueError(f"{title}: {label} appears twice; it would be updated twice in each step")
            taken.add(p)
        if any(names) and not all(names):
            raise ValueError(f"{title}: name all parameters of a group, or none")
        new: dict[str, Any] = {"params": params, **({"param_names": names} if all(names) and names else {})}
        new |= self.defaults | {name: value for name, value in group.items() if name != "params"}
        self.check(new)
        self.param_groups.append(new)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool
            Set `.grad` to None. Otherwise fill it with zeros, and the next step updates these parameters even if no
            gradient has come to them: momentum and weight decay go on.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    write(p, "gradient", None)
                elif given(p, "gradient"):
                    write(p, "gradient", Tensor.of(np.zeros(p.shape, p.dtype), lent=True))

    # ------------------------------------------------------------------ the step
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the model anew, calls `backward`, and returns the loss.

        Returns
        -------
        Tensor or None
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        update = self._record if mode.symbolic else self._write
        for group in self.param_groups:
            moments = self.moments(group)
            settings = {name: (ask if name in self.switches else read)(group, name) for name in self.defaults}
            for p in group["params"]:
                gradient = read(p, "gradient")
                if gradient is not None:
                    state = self._state(p, moments) if moments else NOTHING
                    update(p, gradient, state, moments, settings)
        return loss

    def _state(self, p: Tensor, moments: tuple[str, ...]) -> dict[str, Any]:
        """Return what is remembered of a parameter, beginning with zeros."""
        state = self.state.setdefault(p, {})
        if not state:
            state["step"] = 0
        for name in moments:
            if name not in state:
                state[name] = np.zeros(p.shape, p.dtype)
        write(state, "step", read(state, "step") + 1)
        return state

    def _write(self, p: Tensor, gradient: Tensor, state: dict[str, Any], moments: tuple[str, ...],
               settings: dict[str, Any]) -> None:
        """Run the rule on arrays, in place and a block at a time."""
        value, g = p.memory(), gradient.array
        kept = {name: state[name] for name in moments}
        step = state.get("step")
        if value.size <= 2 * BLOCK or not all(array.flags.c_contiguous for array in (value, *kept.values())):
            self._apply(value, g, kept, step, settings)
            return
        value, g = value.reshape(-1), g.reshape(-1)
        kept = {name: array.reshape(-1) for name, array in kept.items()}
        for start in range(0, value.size, BLOCK):
            block = slice(start, start + BLOCK)
            self._apply(value[block], g[block], {name: array[block] for name, array in kept.items()}, step, settings)

    def _apply(self, p: NDArray[Any], g: Any, kept: dict[str, NDArray[Any]], step: Any,
               settings: dict[str, Any]) -> None:
        """Run the rule once, and write what it returned or assigned instead of writing in place."""
        s = SimpleNamespace(step=step, **kept)
        new = self.rule(p, g, s, **settings)
        if new is not p:
            p[...] = new
        for name, array in kept.items():
            new = getattr(s, name)
            if new is not array:
                array[...] = new

    def _record(self, p: Tensor, gradient: Tensor, state: dict[str, Any], moments: tuple[str, ...],
                settings: dict[str, Any]) -> None:
        """Run the rule on tensors, so that a recorder sees its gates, and write the results to their cells."""
        s = SimpleNamespace(**{name: read(state, name) for name in ("step", *moments) if moments})
        with no_grad():
            write(p, "array", self.rule(read(p, "array"), gradient, s, **settings))
        for name in moments:
            write(state, name, getattr(s, name))

    # ------------------------------------------------------------------ saving
    def state_dict(self) -> dict[str, Any]:
        """Return the state and the settings, in PyTorch's layout.

        Returns
        -------
        dict
            ``"state"``: for each parameter, counted through all groups, its moments (copies) and its step.
            ``"param_groups"``: the settings of each group, with ``"params"``, the numbers of its parameters.
        """
        number = {p: i for i, p in enumerate(self._all())}
        return {
            "state": {number[p]: {name: value.copy() if isinstance(value, np.ndarray) else value
                                  for name, value in state.items()}
                      for p, state in self.state.items() if state and p in number},
            "param_groups": [{**{name: value for name, value in group.items() if name != "params"},
                              "params": [number[p] for p in group["params"]]} for group in self.param_groups]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state and the settings that `state_dict` returned, here or in PyTorch.

        Parameters
        ----------
        state_dict : mapping
            Arrays are converted to the dtypes of the parameters.

        Raises
        ------
        ValueError
            If groups, parameters or shapes do not fit; all of them are listed, and nothing is changed.
        """
        groups = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in groups]
        ours = [len(group["params"]) for group in self.param_groups]
        if sizes != ours:
            raise ValueError(f"{type(self).__name__}: the saved state has groups of {sizes} parameters, this optimizer "
                             f"of {ours}; make the optimizer with the groups it was saved with")
        saved = [state_dict["state"].get(i, {}) for group in groups for i in group["params"]]
        loaded, wrong = {}, []
        for i, (p, values) in enumerate(zip(self._all(), saved, strict=True)):
            moments = {name: np.array(np.asarray(value), p.dtype) for name, value in values.items()
                       if name != "step" and value is not None}
            wrong += [f"{name} of parameter {i}: expected {p.shape}, got {moment.shape}"
                      for name, moment in moments.items() if moment.shape != p.shape]
            if moments:                                # where none was counted, there has been one update at least
                loaded[p] = {"step": int(values.get("step", 1)), **moments}
        if wrong:
            raise ValueError(f"{type(self).__name__}: the saved state does not fit. {'; '.join(wrong)}")
        for p in self._all():                          # the dicts stay the same objects: recorded steps hold on to them
            state = self.state.setdefault(p, {})
            state.clear()
            state.update(loaded.get(p, {}))
        for group, values in zip(self.param_groups, groups, strict=True):
            group.update({name: tuple(value) if isinstance(self.defaults.get(name), tuple) else value
                          for name, value in values.items() if name != "params"})

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{name}={group[name]!r}" for name in self.defaults)
            count = len(group["params"])
            lines.append(f"  {count} parameter{'s' * (count != 1)}: {settings}")
        return "\n".join([*lines, ")"])


def _listed(group: dict[str, Any]) -> list[Any]:
    """Return the parameters of a group as a list, and keep it in place of what may be a generator."""
    params = group.get("params", []) if isinstance(group, dict) else []
    if isinstance(params, set | frozenset):
        raise TypeError("the parameters of a group need an order that stays the same; use a list instead of a set")
    if isinstance(params, Tensor):
        params = [params]
    if not isinstance(params, list):
        params = group["params"] = list(params)
    return params
