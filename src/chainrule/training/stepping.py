"""What takes the steps of a run: the step itself, or the program that it was compiled to."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..compiler import Compiled, compile
from ..compiler.recording.guards import same
from .step import step

__all__ = ["COMPILE", "Stepping"]

#: What `Trainer` and ``chainrule train`` do if nothing is said: False, True or "auto".
COMPILE: bool | str = False


class Stepping:
    """Takes steps, compiled or not.

    Attributes
    ----------
    compiled : Compiled or None
        The step as it was last compiled.
    """

    compiled: Compiled | None = None
    _of: Any = None                      # what it was compiled of

    def begin(self, *sizes: int, keep_grads: bool) -> None:
        """Be ready for a run.

        Parameters
        ----------
        *sizes : int
            What the shapes of its batches depend on: programs for others are not needed any more.
        keep_grads : bool
            Whether somebody may look at gradients between the steps.
        """
        self._sizes, self._keep_grads = sizes, keep_grads

    def __call__(self, how: bool | str, batches: list[tuple[Any, Any]], look: Callable[..., Any],
                 **parts: Any) -> list[Any]:
        """Take one step.

        Parameters
        ----------
        how : bool or "auto"
            Whether it is compiled.
        batches : list of (inputs, targets)
        look : callable
            ``look(outputs, loss, targets)``, called for each batch before the model is updated; or, as a program is
            not to be looked into, with ``updated=True`` afterwards.
        **parts
            What `step` works on.

        Returns
        -------
        list
            What `look` returned, for each batch.
        """
        if not how:
            self.compiled = None
            return step(batches, look, **parts)
        of = (how, self._keep_grads, *self._sizes, *parts.values())
        if self.compiled is None or not all(map(same, of, self._of)):
            run = partial(step, **parts)
            run.__name__ = "the step of Trainer"         # type: ignore[attr-defined]
            self.compiled = compile(run, keep_grads=self._keep_grads, fallback=how == "auto")
            self.compiled.exact = True                   # a run that is resumed gets to the same bytes
            self._of = of
        if self.compiled.gave_up is not None:
            return step(batches, look, **parts)
        found = self.compiled(batches)
        return [look(outputs, value, y, updated=True) for (outputs, value), (_, y) in zip(found, batches, strict=True)]

    def __getstate__(self) -> None:
        """Leave the programs out of a copy: they are bound to the very tensors they were made for."""
