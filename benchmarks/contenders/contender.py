"""What a contender is: a name, a way to make its step, and the process that the step runs in."""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..workloads import Workload

__all__ = ["Contender", "Made", "arrays"]

#: What each library reads its number of threads from; XLA's is the last.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPROC")


class Made(NamedTuple):
    """A workload, ready to train.

    Attributes
    ----------
    step : callable
        ``step(x, y)`` trains once on a batch and returns the loss, which ``float`` understands.
    x, y : array or tensor
        The batch, as the library wants it.
    parameters : callable
        Gives the weights, (outputs, inputs), and biases in their order, as they are now.
    """

    step: Callable[[Any, Any], Any]
    x: Any
    y: Any
    parameters: Callable[[], list[NDArray[Any]]]


@dataclass(frozen=True)
class Contender:
    """Somebody who takes part, in a process of its own.

    Attributes
    ----------
    name : str
    build : callable
        Makes the step of a workload.
    family : str
        Those of one family differ in settings only.
    imports : tuple of str
        The modules that a program of it imports, before the clock starts.
    one_thread : bool
        Whether it gets one thread, instead of what the library takes by itself.
    cache : str
        The environment variable that names its folder of compiled code, if it has one: it starts with an empty one.
    quick : bool
        Whether ``--quick`` times it too. It leaves out who compiles for ten seconds, and who is seldom the best.
    """

    name: str
    build: Callable[[Workload], Made]
    family: str
    imports: tuple[str, ...] = ("numpy",)
    one_thread: bool = False
    cache: str = ""
    quick: bool = True

    def load(self) -> None:
        """Import what it uses."""
        for name in self.imports:
            import_module(name)

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        unset = {name: value for name, value in os.environ.items() if name not in THREADS}
        return unset | (dict.fromkeys(THREADS, "1") if self.one_thread else {})


def arrays(weights: list[tuple[Any, Any]]) -> list[NDArray[Any]]:
    """Return matrices (inputs, outputs) and biases, or None, as `Made.parameters` does."""
    return [np.array(p) for w, b in weights for p in (w.T, b) if p is not None]
