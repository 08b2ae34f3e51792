"""Gradients by differences, in place: right, and `x` is as it was, whatever happens."""
from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.by_hand.two_layer_net import numerical_gradient


def test_the_gradient_of_the_textbooks():
    def function_2(x):
        return x[0] ** 2 + x[1] ** 2

    for x, expected in ((3.0, 4.0), (6, 8)), ((0.0, 2.0), (0, 4)), ((3.0, 0.0), (6, 0)):
        np.testing.assert_allclose(numerical_gradient(function_2, np.array(x)), expected, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(), (1,), (3,), (2, 3), (0, 2), (2, 1, 2)]))
def test_any_shape_and_the_array_comes_back_bit_for_bit(seed, shape):
    rng = np.random.default_rng(seed)
    x, a = np.array(rng.normal(size=shape) * 10.0 ** rng.integers(-8, 1, shape)), rng.normal(size=shape)
    before = x.tobytes()
    slopes = numerical_gradient(lambda x: np.sum(a * np.sin(x) + 1000), x)
    assert x.tobytes() == before
    assert slopes.shape == shape
    np.testing.assert_allclose(slopes, a * np.cos(x), rtol=0, atol=1e-6)


def test_f_may_use_the_array_under_another_name():
    w = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(numerical_gradient(lambda _: np.sum(w * w), w), 2 * w, rtol=1e-8)


def test_a_view_is_moved_where_it_lies():
    w = np.arange(12.0).reshape(3, 4)
    slopes = numerical_gradient(lambda _: np.sum(w ** 2), w[::2, 1:3])
    np.testing.assert_allclose(slopes, 2 * w[::2, 1:3], rtol=1e-8)


def test_numbers():
    assert numerical_gradient(lambda x: x ** 3, 2.0) == pytest.approx(12, rel=1e-9)
    assert type(numerical_gradient(lambda x: x ** 3, 2)) is float


def test_the_step_may_be_chosen():
    seen = []
    x = np.array([3.0, 100.0])
    numerical_gradient(lambda x: seen.append(x.copy()) or 0.0, x, h=0.5)
    assert [s.tolist() for s in seen] == [[3, 100], [3.5, 100], [2.5, 100], [3, 100.5], [3, 99.5]]
    x = np.array([[1.0]])
    assert numerical_gradient(lambda x: x[0, 0] ** 3, x, h=1.0) == pytest.approx(4.0)      # the error is h²


def test_float32_has_a_step_of_its_own():
    """1e-4, the step of many textbooks, would leave one digit."""
    x = np.array([0.5, -1.5, 3.0], np.float32)
    slopes = numerical_gradient(lambda x: np.sum(np.sin(x)), x)
    assert slopes.dtype == np.float32
    np.testing.assert_allclose(slopes, np.cos(x), rtol=0, atol=2e-4)


@pytest.mark.parametrize(("x", "error", "message"), [
    (np.array([1, 2]), TypeError, r"int64.*\.astype\(float\)"),
    (np.array([True]), TypeError, r"bool.*\.astype\(float\)"),
    (np.ones(2, np.float16), TypeError, r"float16.*rounding.*\.astype\(float\)"),
    (np.ones(2, complex), TypeError, r"complex128"),
    ([1.0, 2.0], TypeError, r"moved in place.*got list; np\.array\(x, dtype=float\)"),
    (cr.Tensor([1.0]), TypeError, r"got Tensor"),
    (np.broadcast_to(1.0, 3), ValueError, r"float64 \(3,\), is read-only.*x\.copy\(\)"),
])
def test_what_cannot_be_moved_is_refused(x, error, message):
    with pytest.raises(error, match=message):
        numerical_gradient(np.sum, x)


def test_what_is_not_one_number_is_refused():
    x = np.ones(3)
    with pytest.raises(ValueError, match=r"f returned shape \(3,\).*np\.sum"):
        numerical_gradient(lambda x: x * 2, x)
    with pytest.raises(ValueError, match=r"h=0, expected a number above 0"):
        numerical_gradient(np.sum, x, h=0)
    assert x.tolist() == [1, 1, 1]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("call", range(7))
def test_after_an_exception_the_array_is_as_it_was(error, call):
    """Whichever evaluation it is in."""
    x, calls = np.array([0.1, 0.2, 0.3]), []
    before = x.tobytes()

    def f(x):
        calls.append(None)
        if len(calls) == call + 1:
            raise error
        return np.sum(x)

    with pytest.raises(error):
        numerical_gradient(f, x)
    assert x.tobytes() == before


def test_ctrl_c_at_any_moment_leaves_the_array_as_it_was():
    """A signal that really comes, while differences are taken, again and again."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    before, interrupted = x.tobytes(), 0
    for delay in rng.uniform(1e-4, 3e-3, 60):
        timer = threading.Timer(delay, signal.raise_signal, (signal.SIGINT,))
        try:
            timer.start()
            while True:
                numerical_gradient(lambda x: float(x[0]), x)
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        assert x.tobytes() == before
    assert interrupted == 60
