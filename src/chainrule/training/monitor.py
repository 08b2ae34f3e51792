"""Which of two figures of an epoch is the better one."""
from __future__ import annotations

import math

from .callback import Row

__all__ = ["Monitor"]

#: Figures of which less is better; of others more is.
LESS = ("loss", "mae", "rmse", "mse", "error")


class Monitor:
    """Follows one figure through the epochs of a run.

    Parameters
    ----------
    name : str
        The figure of a row of the history that is followed, ``"validation_loss"`` say.
    mode : {"auto", "min", "max"}
        Whether less is better, or more; "auto" takes less for names that end with loss, mae, mse, rmse or error.
    min_delta : float
        By how much a figure must be better to count as better, at least 0.

    Raises
    ------
    ValueError
        If `mode` or `min_delta` is none of these.
    """

    def __init__(self, name: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode is 'auto', 'min' or 'max', got {mode!r}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta is a number from 0 on, got {min_delta}")
        self.name, self.min_delta = name, min_delta
        self.sign = 1 if mode == "max" or (mode == "auto" and not name.endswith(LESS)) else -1
        self.best: float | None = None
        self.epoch = 0                                   # when the best was seen

    def better(self, row: Row) -> bool:
        """Tell whether a row is better than the best so far, and remember it if so. nan never is."""
        if self.name not in row:
            hint = "; validation_ figures need validation data" if self.name.startswith("validation_") else ""
            raise ValueError(f"the figure {self.name!r} to watch is not in the history; there are "
                             f"{', '.join(name for name in row if name not in ('epoch', 'seconds'))}{hint}")
        value = row[self.name]
        if math.isnan(value) or (self.best is not None and self.sign * (value - self.best) <= self.min_delta):
            return False
        self.best, self.epoch = value, row["epoch"]
        return True
