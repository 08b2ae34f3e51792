"""What all optimizers share: groups of parameters with their settings, state, and the step that applies a rule."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from ..mode import enable_grad, mode, no_grad
from ..state import ask, given, reach, read, write
from ..tensor import Tensor
from .blocks import BLOCK, blocks
from .parameters import collected, listed

__all__ = ["Optimizer"]

NOTHING: dict[str, Any] = {}
NUMBER = int | float | np.integer | np.floating      #: what a setting may be
#: What a group may hold beside its settings: a label, and what PyTorch and schedules write there.
LABELS = frozenset({"params", "param_names", "name", "initial_lr", "min_lr", "max_lr", "base_momentum", "max_momentum"})
#: What settings are called elsewhere.
ALIASES = {"learning_rate": "lr", "step_size": "lr", "eta": "lr", "wd": "weight_decay", "l2": "weight_decay",
           "decay": "weight_decay", "epsilon": "eps", "beta": "betas", "beta1": "betas", "beta2": "betas",
           "beta_1": "betas", "beta_2": "betas"}


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
        For each group its ``"params"`` and its settings, which may be changed at any time. Further keys may be written
        there, as schedules do.
    state : dict
        For each parameter that has been updated, its moments (arrays) and ``"step"``, the number of its updates.

    Raises
    ------
    ValueError
        If there are no parameters, one is the result of a gate or appears twice, or a setting is out of range.
    TypeError
        If one is not a tensor, a setting is not a number, or a group has a setting that the optimizer does not know
        (`LABELS` lists what else it may have).

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

    #: State that is one number for each parameter, and what it begins with. `step` is counted here; the others a rule
    #: may assign. It runs once for each block of a parameter, and finds the same number each time.
    scalars: ClassVar[dict[str, int | float]] = {"step": 0}

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = _tuples(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        if isinstance(params, Tensor | Mapping):
            raise TypeError(f"{type(self).__name__}: expected an iterable of parameters or of groups, got a single "
                            f"{type(params).__name__}; put it into a list")
        entries = list(params)
        groups = entries if entries and isinstance(entries[0], dict) else [{"params": entries}]
        if not any(_entries(group) for group in groups):
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
            The moments, attributes of `p`'s shape to be written into or assigned; and the `scalars`, `s.step` among
            them, the number of this update, from 1.
        **settings
            Those of the group. Numbers may be tensors: decide by a switch being None, not by a value; and where a
            formula has two cases, compute with the comparison or choose by `where`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define rule")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the arrays that the rule keeps of each parameter of a group; without any, no steps are counted."""
        return ()

    def beginning(self, moment: str, group: dict[str, Any]) -> float:
        """Return the number that a moment is full of at first."""
        return 0.0

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr")

    def at_least_zero(self, group: dict[str, Any], *names: str) -> None:
        """Raise if one of these settings is no number, or is negative or NaN."""
        for name in names:
            value = group[name]
            if not isinstance(value, NUMBER):
                raise TypeError(f"{type(self).__name__}: {name} must be a number, got {_shown(value)}"
                                + (f"; float({name}) makes it one" if isinstance(value, str | Tensor) else ""))
            if not value >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must be at least 0, got {value}"
                                 + ("; to climb instead of descend, use maximize=True" if name == "lr" else ""))

    def from_zero_to_one(self, group: dict[str, Any], *names: str) -> None:
        """Raise if one of these settings is no number, or is not from 0 to 1."""
        self.at_least_zero(group, *names)
        for name in names:
            if group[name] > 1:
                raise ValueError(f"{type(self).__name__}: {name} is a number from 0 to 1, got {group[name]}")

    def two_fractions(self, group: dict[str, Any], name: str) -> None:
        """Raise if this setting is not a pair of numbers, each at least 0 and below 1."""
        pair = group[name]
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(x, NUMBER) and 0 <= x < 1 for x in pair):
            raise ValueError(f"{type(self).__name__}: {name} are two numbers, at least 0 and below 1, got "
                             f"{_shown(pair)}")

    # ------------------------------------------------------------------ groups
    def add_param_group(self, group: dict[str, Any]) -> None:
        """Take in more parameters, with settings of their own.

        Parameters
        ----------
        group : dict
            ``"params"`` (a tensor, an iterable of them, or of pairs of name and tensor), and settings.

        Raises
        ------
        ValueError, TypeError
            As the constructor does.
        """
        title = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{title}: a parameter group is a dict with the key 'params', got {group!r:.60}")
        self._known(group)
        names, params = collected(_entries(group), title, {p for other in self.param_groups for p in other["params"]})
        new: dict[str, Any] = {"params": params, **({"param_names": names} if names else {})}
        new |= self.defaults | _tuples({name: value for name, value in group.items() if name != "params"})
        for name in self.switches:
            if not isinstance(new[name], NUMBER | np.bool_):
                raise TypeError(f"{title}: {name} must be a number, True or False, got {_shown(new[name])}")
        self.check(new)
        self.param_groups.append(new)

    def _known(self, group: dict[str, Any]) -> None:
        """Raise if a group has a setting that would be ignored."""
        for name in group:
            if name not in self.defaults and name not in LABELS:
                from difflib import get_close_matches
                likely = [ALIASES.get(name, "")] if ALIASES.get(name) in self.defaults else get_close_matches(
                    str(name), self.defaults, 1)
                raise TypeError(f"{type(self).__name__} has no setting {name!r}"
                                + (f"; did you mean {likely[0]!r}?" if likely else ".")
                                + f" A group has 'params' and any of {', '.join(self.defaults)}")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool
            Set `.grad` to None. Otherwise fill it with zeros, and the next step updates these parameters even if no
            gradient has come to them: momentum and weight decay go on.
        """
        reach(self)
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
        reach(self)
        update = self._record if mode.symbolic else self._write
        for group in self.param_groups:
            moments = self.moments(group)
            settings = {name: (ask if name in self.switches else read)(group, name) for name in self.defaults}
            for p in group["params"]:
                gradient = read(p, "gradient")
                if gradient is not None:
                    state = NOTHING
                    if moments:
                        state = self._state(p, moments, group)
                        write(state, "step", read(state, "step") + 1)
                    update(p, gradient, state, moments, settings)
        return loss

    def _state(self, p: Tensor, moments: tuple[str, ...], group: dict[str, Any]) -> dict[str, Any]:
        """Return what is remembered of a parameter, and begin what is missing."""
        state = self.state.setdefault(p, {})
        for name, first in self.scalars.items():
            state.setdefault(name, first)
        for name in moments:
            if name not in state:
                state[name] = np.full(p.shape, self.beginning(name, group), p.dtype)
        return state

    def _write(self, p: Tensor, gradient: Tensor, state: dict[str, Any], moments: tuple[str, ...],
               settings: dict[str, Any]) -> None:
        """Run the rule on arrays, in place and a block at a time."""
        value, g = p.memory(), gradient.array
        if g.size <= BLOCK:                            # most are small, and spared what cutting up costs
            s = self._apply(value, g, state, moments, settings)
        else:
            for (block, *kept), part in blocks([value, *[state[name] for name in moments]], g):
                s = self._apply(block, part, state | dict(zip(moments, kept, strict=True)), moments, settings)
        if moments:
            for name in self.scalars:
                state[name] = getattr(s, name)

    def _apply(self, p: Any, g: Any, state: dict[str, Any], moments: tuple[str, ...],
               settings: dict[str, Any]) -> SimpleNamespace:
        """Run the rule once, and write what it returned or assigned instead of writing in place."""
        s = SimpleNamespace(**state)
        new = self.rule(p, g, s, **settings)
        if new is not p:
            p[...] = new
        for name in moments:
            new = getattr(s, name)
            if new is not state[name]:
                state[name][...] = new
        return s

    def _record(self, p: Tensor, gradient: Tensor, state: dict[str, Any], moments: tuple[str, ...],
                settings: dict[str, Any]) -> None:
        """Run the rule on tensors, so that a recorder sees its gates, and write the results to their cells."""
        kept = (*self.scalars, *moments) if moments else ()
        s = SimpleNamespace(**{name: read(state, name) for name in kept})
        with no_grad():
            write(p, "array", self.rule(read(p, "array"), gradient, s, **settings))
        for name in kept:
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
            Arrays are converted to the dtypes of the parameters. Settings that have no meaning here, such as PyTorch's
            ``foreach``, are kept in the groups.

        Raises
        ------
        ValueError, TypeError
            If groups, parameters, shapes or settings do not fit, or the state is of another optimizer. All that does
            not fit is listed, and nothing is changed.
        """
        title, groups = type(self).__name__, state_dict["param_groups"]
        sizes = [len(group["params"]) for group in groups]
        ours = [len(group["params"]) for group in self.param_groups]
        if sizes != ours:
            raise ValueError(f"{title}: the saved state has groups of {sizes} parameters, this optimizer of {ours}; "
                             "make the optimizer with the groups it was saved with")
        loaded_groups = [group | _tuples({name: value for name, value in saved.items() if name != "params"})
                         for group, saved in zip(self.param_groups, groups, strict=True)]
        for group in loaded_groups:
            self.check(group)
        numbers = [int(i) for group in groups for i in group["params"]]
        states = {int(i): state for i, state in state_dict["state"].items()}       # JSON makes them text
        loaded, wrong = {}, [f"there is no parameter {i}" for i in states if i not in numbers]
        for i, (p, number) in enumerate(zip(self._all(), numbers, strict=True)):
            saved = {name: value for name, value in states.get(number, {}).items() if value is not None}
            moments = {name: np.array(np.asarray(value), p.dtype) for name, value in saved.items()
                       if name not in self.scalars}
            wrong += [f"{name} of parameter {i}: expected {p.shape}, got {moment.shape}" if name in self._moments()
                      else f"{name} of parameter {i}: {title} keeps no such state; was it saved by another optimizer?"
                      for name, moment in moments.items() if moment.shape != p.shape or name not in self._moments()]
            if moments:
                saved.setdefault("step", 1)            # where none was counted, there has been one update at least
                wrong += [f"{name} of parameter {i} is missing" for name in self.scalars if name not in saved]
                loaded[p] = {name: type(first)(saved.get(name, first)) for name, first in self.scalars.items()}
                loaded[p] |= moments
        if wrong:
            raise ValueError(f"{title}: the saved state does not fit. {'; '.join(wrong)}")
        for p in self._all():                          # the dicts stay the same objects: recorded steps hold on to them
            state = self.state.setdefault(p, {})
            state.clear()
            state.update(loaded.get(p, {}))
        for group, values in zip(self.param_groups, loaded_groups, strict=True):
            group.update(values)

    def _moments(self) -> tuple[str, ...]:
        """Name all moments that there may be."""
        return self.moments(self.defaults | dict.fromkeys(self.switches, True))

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{name}={group[name]!r}" for name in self.defaults)
            count = len(group["params"])
            lines.append(f"  {count} parameter{'s' * (count != 1)}: {settings}")
        return "\n".join([*lines, ")"])


def _entries(group: Any) -> list[Any]:
    """Return the parameters of a group as a list, and keep it in place of what may be a generator."""
    if not isinstance(group, dict) or "params" not in group:
        return []
    group["params"] = listed(group["params"])
    return group["params"]                             # type: ignore[no-any-return]


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with tuples for lists, which is what files make of them."""
    return {name: tuple(value) if isinstance(value, list) and name != "param_names" else value
            for name, value in settings.items()}


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if isinstance(value, NUMBER | tuple) else f"{value!r:.60} ({type(value).__name__})"
