"""Extremes of many short rows, which are found down the columns: the same as row by row."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.gates.reduction import NARROW, is_narrow

SHAPES = [(NARROW, 2), (NARROW - 1, 2), (100, 10), (100, NARROW - 1), (100, NARROW), (50, 1), (40_000, 3), (100, 0)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("lies", ["by rows", "by columns", "apart"])
def test_they_are_pythons(name, shape, dtype, lies, rng):
    x = (rng.normal(size=shape) * 9).astype(dtype)
    if dtype is not np.int64 and x.size:
        x[shape[0] // 2, -1] = np.nan
    x = {"by rows": x, "by columns": np.asfortranarray(x), "apart": np.repeat(x, 2, axis=1)[:, ::2]}[lies]
    pick = getattr(cr, name)
    if not shape[1]:
        with pytest.raises(ValueError, match="zero-size"):
            pick(x, axis=1)
        return
    larger = {"max": np.fmax, "min": np.fmin}[name]
    want = x[:, 0].copy()
    for column in x.T[1:]:
        want = np.where(np.isnan(want) | np.isnan(column), np.nan, larger(want, column)).astype(dtype)
    for axis, keepdims in ((1, False), (-1, True)):
        np.testing.assert_array_equal(pick(x, axis=axis, keepdims=keepdims), want[:, None] if keepdims else want)
        out = np.empty((shape[0], 1) if keepdims else shape[:1], dtype)
        cr.GATES[name].forward(x, axis=axis, keepdims=keepdims, out=out)
        np.testing.assert_array_equal(out.reshape(-1), want)
        step = cr.compile(lambda x, a=axis, k=keepdims: pick(x * 1, axis=a, keepdims=k))
        for _ in range(4):
            np.testing.assert_array_equal(step(x).numpy().reshape(-1), want)


def test_what_is_narrow():
    assert [is_narrow(shape, 1) for shape in SHAPES] == [True, False, True, True, False, False, True, False]
    assert not is_narrow((100, 10), 0)
    assert not is_narrow((100, 10), None)
    assert not is_narrow((4, 100, 10), -1)
