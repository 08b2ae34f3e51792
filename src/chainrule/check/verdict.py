"""Why an analytic derivative and a numerical one differ."""
from __future__ import annotations

import numpy as np

from .numerical import Along
from .report import IMPRECISE, KINK, WRONG


def judge(along: Along, analytic: float, numeric: float, step: float) -> str:
    """Say why an analytic derivative differs from the numerical one at a step.

    Central differences over a ladder of steps, from step/64 to 4096 step, are settled where three in a row agree. If
    the first settled value is the analytic one, then `step` was at fault: it reaches over a kink if smaller steps are
    right, and drowns in rounding if larger ones are. If it is another value, then either the slopes on the two sides
    differ by as much at every step, which is a kink at the point itself, or the formula is wrong.
    """
    if along.here + step == along.here:
        return IMPRECISE
    if not np.isfinite(numeric):
        return KINK if np.isfinite(analytic) else WRONG
    steps = step * 4.0 ** np.arange(-3, 7)
    ahead, behind = (np.array([along.ahead(sign * h) for h in steps]) for sign in (1, -1))
    central, jump = (ahead + behind) / 2, ahead - behind
    moved = (ahead != 0) | (behind != 0) if np.any((ahead != 0) | (behind != 0)) else np.ones(len(steps), bool)
    off = abs(analytic - numeric)
    for k in range(len(steps) - 2):
        window = slice(k, k + 3)
        if not (moved[window].all() and np.ptp(central[window]) <= 0.1 * off):
            continue
        settled = central[k]
        if abs(analytic - settled) <= 0.3 * off:
            return KINK if steps[k] < step else IMPRECISE
        sizes = np.abs(jump[window])
        steady = (np.sign(jump[window]) == np.sign(jump[k])).all() and sizes.max() <= 2 * sizes.min()
        return KINK if steady and abs(analytic - settled) <= 0.51 * sizes.max() else WRONG
    return IMPRECISE if np.isfinite(analytic) else WRONG
