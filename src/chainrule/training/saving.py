"""Between a run and its checkpoints: what is saved, when, and whether a run may go on from it."""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..data import DataLoader, Dataset
from ..optim.schedule import describe
from .callback import Callback
from .checkpoint import Checkpoints
from .rates import Rates
from .run import Run
from .snapshot import fingerprint, snapshot

__all__ = ["Saving"]


class Saving:
    """Saves a run into its checkpoints, if it has any, and finds what it goes on from."""

    def __init__(self, checkpoints: Checkpoints | str | os.PathLike[str] | None, run: Run, listeners: list[Callback],
                 batches: tuple[DataLoader, int], train: Dataset) -> None:
        if checkpoints is not None and not isinstance(checkpoints, Checkpoints):
            checkpoints = Checkpoints(checkpoints)
        self.checkpoints, self.run, self.listeners = checkpoints, run, listeners
        loader, accumulate = batches
        self.about: dict[str, Any] = {"epochs": run.epochs, "steps in an epoch": run.steps, "samples": len(train),
                      "batch_size": loader.batch_size, "accumulate": int(accumulate)}
        if checkpoints is not None:
            self.about["checksum of the data"] = fingerprint(train)
        if run.trainer is not None and callable(run.trainer.schedule):
            self.about["schedule"] = describe(run.trainer.schedule)

    def load(self, resume: bool) -> dict[str, Any] | None:
        """Return the state to go on from, or say why there can be none."""
        if self.checkpoints is None:
            if resume:
                raise ValueError("fit: resume=True needs to know where the checkpoints are: checkpoints=FOLDER")
            return None
        if not resume:
            if self.checkpoints.steps():
                raise ValueError(f"fit: {self.checkpoints.folder} holds the checkpoints of a run already; resume=True "
                                 "goes on with it, and another folder begins a new one")
            return None
        state = self.checkpoints.load()
        if state is not None:
            was, now = state["about"], self.about
            wrong = [f"{name}: {was.get(name)} in the checkpoint, {now.get(name)} now" for name in was | now
                     if was.get(name) != now.get(name)]
            if wrong:
                raise ValueError(f"fit: the run in {self.checkpoints.folder} was another one, so it cannot be resumed "
                                 f"here ({'; '.join(wrong)}). Give it the data and the settings it was begun with")
        return state

    def begin(self, rates: Rates, state: dict[str, Any] | None) -> None:
        """Hand a state to the callbacks, or save the first one."""
        self.rates = rates
        if state is None:
            self._save()
            return
        for name, listener in _names(self.listeners):
            if name in state["callbacks"]:
                listener.load_state_dict(state["callbacks"][name])

    def after(self, epoch_is_over: bool) -> None:
        """Save after a step, if it is time, and at the end in any case."""
        run = self.run
        if self.checkpoints is not None and (self.checkpoints.due(run.done, epoch_is_over) or run.done == run.total
                                             or run.stopped is not None):
            self._save()

    def _save(self) -> None:
        if self.checkpoints is not None and self.run.trainer is not None:
            state = snapshot(self.run.trainer, self.run, self.rates.base)
            state["about"] = self.about
            state["callbacks"] = {name: listener.state_dict() for name, listener in _names(self.listeners)}
            self.checkpoints.save(state, self.run.done)


def _names(listeners: Iterable[Callback]) -> Iterator[tuple[str, Callback]]:
    """Name callbacks by their class, the second of a class with -2 and so on."""
    seen: dict[str, int] = {}
    for listener in listeners:
        kind = type(listener).__name__
        seen[kind] = seen.get(kind, 0) + 1
        yield kind if seen[kind] == 1 else f"{kind}-{seen[kind]}", listener
