"""The error function has no NumPy namesake: it is held against the one of Python's math library, element by element."""
from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr


def assert_precise(x):
    """Within three units of the last place."""
    expected = np.array([math.erf(v) for v in x.tolist()])
    found = cr.erf(x)
    assert found.dtype == x.dtype
    assert np.max(np.abs(found - expected) / np.abs(expected)) < 3 * np.finfo(x.dtype).eps


@pytest.mark.parametrize("ends", [(-7, 7), (0.4, 0.55), (-0.4688, -0.4687), (3.9, 4.1), (5.5, 6.5), (1e-8, 1e-3)])
def test_double_precision(ends):
    assert_precise(np.linspace(*ends, 20_000))


def test_relative_precision_near_zero():
    tiny = np.array([1e-300, 1e-200, 1e-100, 1e-20, 1e-9, 2.0**-1000])
    assert_precise(np.concatenate([tiny, -tiny]))


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 0.4688, 1, 4, 7])
def test_single_precision(scale):
    assert_precise(np.linspace(-scale, scale, 10_000).astype(np.float32))


def test_limits():
    for dtype in (np.float32, np.float64):
        x = np.array([np.inf, -np.inf, 0.0, -0.0, 30, -30, 1e30], dtype)
        np.testing.assert_array_equal(cr.erf(x), [1, -1, 0, 0, 1, -1, 1])
        assert np.signbit(cr.erf(x)).tolist() == [False, True, False, True, False, True, False]
        assert np.isnan(cr.erf(dtype(np.nan)))
        assert cr.erf(x).dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, bool])
def test_whole_numbers(dtype):
    x = np.array([0, 1, 1, 0, 1], dtype)
    np.testing.assert_allclose(cr.erf(x).astype(float), [0, math.erf(1), math.erf(1), 0, math.erf(1)], rtol=1e-3)


def test_odd_and_monotone():
    x = np.linspace(0, 6.5, 100_001)
    np.testing.assert_array_equal(cr.erf(-x), -cr.erf(x))
    assert np.all(np.diff(cr.erf(x)) >= -2.3e-16)


def test_gradient_in_the_tails():
    x = cr.Tensor(np.array([-np.inf, -30.0, 0.0, 30.0, np.inf]), requires_grad=True)
    cr.erf(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 2 / math.sqrt(math.pi), 0, 0], rtol=1e-15, atol=1e-300)
