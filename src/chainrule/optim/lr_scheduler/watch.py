"""Whether an optimizer has made a step yet: the usual mistake is to move the rates on before it."""
from __future__ import annotations

from typing import Any

from ..optimizer import Optimizer

__all__ = ["Watch"]


class Watch:
    """Takes the place of an optimizer's `step` until that is called for the first time.

    A recorded step is replayed without calling `step`; it is known by the parameters that it has written.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.called, self.told = optimizer, False, False
        self.before = vars(optimizer).get("step")      # a step that somebody has set on this one optimizer
        self.moments = self._moments()
        vars(optimizer)["step"] = self

    @classmethod
    def over(cls, optimizer: Optimizer) -> Watch:
        """Return the watch that is kept over an optimizer already, or a new one."""
        there = vars(optimizer).get("step")
        return there if isinstance(there, cls) else cls(optimizer)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the step, and be gone."""
        self.called = True
        if vars(self.optimizer).get("step") is self:
            del vars(self.optimizer)["step"]
            if self.before is not None:
                vars(self.optimizer)["step"] = self.before
        return (self.before or self.optimizer.step)(*args, **kwargs)

    @property
    def stepped(self) -> bool:
        """Whether there has been a step."""
        return self.called or self.moments != self._moments()

    def _moments(self) -> list[int]:
        return [p.moment for group in self.optimizer.param_groups for p in group["params"]]
