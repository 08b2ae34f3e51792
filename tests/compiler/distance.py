"""How far apart two values are: what a compiled step gives, and what the eager one does."""
from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["far", "numbers_in"]


def numbers_in(results: Any) -> dict[str, Any]:
    """Copies of the values of several results, by their places."""
    return {f"result {i}": np.array(getattr(x, "array", x)) for i, x in enumerate(results) if x is not None}


def far(ours: Any, theirs: Any, least: float = 0.0) -> float:
    """The distance of two values in the unit of their norm, or of `least` if that is larger.

    It is infinite where shape, dtype, or what is NaN or infinite differ.
    """
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else np.inf
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return np.inf
    same = (ours == theirs) | ((ours != ours) & (theirs != theirs))          # infinities and NaN too
    if same.all():
        return 0.0
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    if ours.dtype.kind != "f" or not np.isfinite(a[~same]).all() or not np.isfinite(b[~same]).all():
        return np.inf
    norm = max(np.linalg.norm(b[np.isfinite(b)]), least)
    return float(np.linalg.norm((a - b)[~same]) / (norm or 1.0))
