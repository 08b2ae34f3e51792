"""What schedules made of settings share: checks, shares of a run, a name, a description that fits into a file."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

__all__ = ["CURVES", "Curve", "Schedule", "build", "describe", "glide", "power", "rest"]

#: The number of the step, from 0, and how many there are in all -> what the learning rates are multiplied by.
Schedule = Callable[[int, int], float]

CURVES: dict[str, type[Curve]] = {}          #: every schedule made of settings, by its name


@dataclass(frozen=True, repr=False)
class Curve:
    """The base of schedules made of settings.

    A subclass is a frozen dataclass: its fields are the settings, `check` says what they may be, and the call is the
    formula, a function of the step alone. It can then be compared, printed, described and built anew.

    Raises
    ------
    ValueError
        When it is made, if a setting is out of range.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from chainrule.optim import schedule
    >>> @dataclass(frozen=True, repr=False)
    ... class inverse_root(schedule.Curve):
    ...     after: float
    ...     def check(self):
    ...         self.check_count("after")
    ...     def __call__(self, step, steps):
    ...         return min(1.0, (self.count(self.after, steps) / (step + 1)) ** 0.5)
    >>> inverse_root(25)(99, 1000), inverse_root(0.5)(99, 100)
    (0.5, 0.7071067811865476)
    >>> schedule.describe(inverse_root(25))
    {'name': 'inverse_root', 'after': 25}
    """

    def __init_subclass__(cls) -> None:
        CURVES[cls.__name__] = cls

    def __post_init__(self) -> None:
        for field in fields(self):                     # the same settings are the same curve, however they were given
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        self.check()

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step.

        Parameters
        ----------
        step : int
            From 0. At the end of the run and beyond, most schedules stay where they came to.
        steps : int
            The length of the run; 0 if it is not known, which is enough where nothing is counted in shares of it.

        Returns
        -------
        float
            At least 0.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(step, steps)")

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""

    # ------------------------------------------------------------------ numbers of steps
    def count(self, steps_or_share: float | None, steps: int) -> int:
        """Return a number of steps that is given as such, as a share of the run, or, being None, is all of it."""
        if isinstance(steps_or_share, int):
            return steps_or_share
        if steps < 1:
            raise ValueError(f"{self!r} counts in shares of the run, so it has to know how many steps there are, but "
                             f"steps={steps}")
        return steps if steps_or_share is None else max(1, round(steps_or_share * steps))

    def check_count(self, *names: str, least: int = 1) -> None:
        """Raise ValueError if a setting is neither a number of steps nor a share of the run."""
        for name in names:
            value = getattr(self, name)
            for each in value if isinstance(value, tuple) else (value,):
                whole = isinstance(each, int) and not isinstance(each, bool) and each >= least
                share = isinstance(each, float) and 0 < each < 1
                if not (whole or share or (each is None and self._default(name) is None)):
                    raise ValueError(f"{type(self).__name__}: {name} is a number of steps (a whole number from "
                                     f"{least} on) or a share of the run (a float between 0 and 1), got {each!r}")

    def check_number(self, *names: str, low: float = 0.0, high: float = math.inf, above: bool = False) -> None:
        """Raise ValueError if a setting is not a finite number from `low` (or above it) to `high`."""
        for name in names:
            value = getattr(self, name)
            if (not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value)
                    or not low <= value <= high or (above and value == low)):
                limits = (f"above {low:g}" if above else f"from {low:g} on" if high == math.inf else
                          f"between {low:g} and {high:g}")
                raise ValueError(f"{type(self).__name__}: {name} is a finite number {limits}, got {value!r}")

    def check_choice(self, name: str, *choices: str) -> None:
        """Raise ValueError if a setting is none of a few words."""
        if getattr(self, name) not in choices:
            raise ValueError(f"{type(self).__name__}: {name} is one of {', '.join(map(repr, choices))}, got "
                             f"{getattr(self, name)!r}")

    def check_schedule(self, name: str) -> None:
        """Raise TypeError if a setting is not a schedule, or a tuple of them."""
        value = getattr(self, name)
        for each in value if isinstance(value, tuple) else (value,):
            if not callable(each) or isinstance(each, type):
                made = f"; write {each.__name__}(...), with its settings" if isinstance(each, type) else ""
                raise TypeError(f"{type(self).__name__}: {name} takes schedules, (step, steps) -> factor, got "
                                f"{each!r}{made}")

    # ------------------------------------------------------------------ how it looks
    def _default(self, name: str) -> Any:
        return next(field.default for field in fields(self) if field.name == name)

    def __repr__(self) -> str:
        shown = []
        for i, field in enumerate(fields(self)):
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                shown.append(repr(value) if not i else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def describe(schedule: Schedule) -> dict[str, Any]:
    """Describe a schedule in plain words and numbers, such as a file in JSON or TOML can hold.

    Parameters
    ----------
    schedule : callable

    Returns
    -------
    dict
        ``"name"`` and the settings, those that are None left out. Of a function that is not made of settings only
        where it was defined, under ``"function"``: enough to see that it is another one, not enough to `build` it.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> schedule.describe(schedule.warmup(100, then=schedule.cosine()))["then"]
    {'name': 'cosine', 'end': 0.0}
    >>> list(schedule.describe(lambda step, steps: 1.0))
    ['function']
    """
    if isinstance(schedule, Curve):
        settings = {field.name: _described(getattr(schedule, field.name)) for field in fields(schedule)}
        return {"name": type(schedule).__name__} | {name: x for name, x in settings.items() if x is not None}
    if not callable(schedule):
        raise TypeError(f"describe: expected a schedule, (step, steps) -> factor, got {schedule!r}")
    named = schedule if hasattr(schedule, "__qualname__") else type(schedule)
    return {"function": f"{named.__module__}.{named.__qualname__}"}


def build(description: str | Mapping[str, Any]) -> Schedule:
    """Make a schedule from its name, or from its name and settings.

    Parameters
    ----------
    description : str or mapping
        Such as ``"one-cycle"``, or what `describe` returned; a schedule inside another is a mapping as well.

    Returns
    -------
    callable
        Equal to the one that was described.

    Raises
    ------
    ValueError
        If there is no such schedule or setting, or a setting is out of range.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> schedule.build({"name": "warmup", "steps": 0.1, "then": {"name": "cosine"}})
    warmup(0.1, then=cosine())
    >>> schedule.build("one-cycle") == schedule.one_cycle()
    True
    """
    settings = {"name": description} if isinstance(description, str) else dict(description)
    if "function" in settings:
        raise ValueError(f"the schedule {settings['function']} is a function of its own, which no file holds; pass the "
                         "function itself")
    name = str(settings.pop("name", None)).replace("-", "_")
    if name not in CURVES:
        raise ValueError(f"there is no schedule {name!r}{_instead(name, CURVES)}")
    known = {field.name: field for field in fields(CURVES[name])}
    for key in settings:
        if key not in known:
            raise ValueError(f"the schedule {name} has no setting {key!r}{_instead(key, known)}")
    missing = [key for key, field in known.items() if field.default is MISSING and key not in settings]
    if missing:
        raise ValueError(f"the schedule {name} needs its setting{'s' * (len(missing) > 1)} {', '.join(missing)}")
    return CURVES[name](**{key: _built(value) for key, value in settings.items()})


def glide(start: float, end: float, share: float, shape: str = "cos") -> float:
    """Go from `start` to `end` along half a cosine, or straight (``"linear"``); past the end, stay there."""
    if share >= 1:
        return end
    return start + (end - start) * share if shape == "linear" else (
        end + (start - end) * (1 + math.cos(math.pi * share)) / 2)


def rest(begun: int, steps: int) -> int:
    """Return how long a part is that goes from a step to the end of the run: one step at least, if that is known."""
    return max(1, steps - begun) if steps > 0 else steps


def power(base: float, exponent: float) -> float:
    """Return a power, infinite where Python's would raise OverflowError."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def _plain(value: Any) -> Any:
    """Return a setting without NumPy's scalars and without lists."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple | np.ndarray) else value


def _described(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_described(each) for each in value]
    return describe(value) if callable(value) else value


def _built(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_built(each) for each in value]
    return build(value) if isinstance(value, Mapping) else value


def _instead(name: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
