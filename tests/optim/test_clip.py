"""Gradient clipping: numbers worked out by hand, gradients of all sorts, and recorded steps."""
from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn, optim


def leaf(gradient, dtype=np.float64):
    """A parameter with this gradient."""
    p = cr.Tensor(np.zeros_like(gradient, dtype), requires_grad=True)
    p.grad = np.asarray(gradient, dtype)
    return p


@pytest.mark.parametrize(("norm_type", "expected"), [
    (2, 13.0), (1, 19.0), (float("inf"), 12.0), ("inf", 12.0), (float("-inf"), 3.0), (3, 1819 ** (1 / 3)), (0, 3.0)],
    ids=str)
def test_the_norm_is_that_of_one_long_vector(norm_type, expected):
    """(3, 4, 12) in three tensors; of order 0 it is the number of tensors that are not 0."""
    tensors = [cr.Tensor([[3.0]]), cr.Tensor(4.0), cr.Tensor([-12.0])]
    total = optim.get_total_norm(tensors, norm_type)
    assert total.shape == ()
    assert total.item() == pytest.approx(expected, rel=1e-14)


def test_gradients_are_scaled_by_one_factor():
    p, q, r = leaf([3.0, 0.0]), leaf([[-4.0]]), cr.Tensor([1.0], requires_grad=True)
    total = optim.clip_grad_norm_([p, q, r], max_norm=1.0)
    assert total.item() == 5.0
    factor = 1 / (5 + 1e-6)
    np.testing.assert_allclose(p.grad.numpy(), [3 * factor, 0], rtol=1e-15)
    np.testing.assert_allclose(q.grad.numpy(), [[-4 * factor]], rtol=1e-15)
    assert r.grad is None


def test_small_gradients_stay_bit_for_bit():
    values = np.random.default_rng(0).normal(size=10)
    p = leaf(values)
    optim.clip_grad_norm_(p, max_norm=100.0)
    np.testing.assert_array_equal(p.grad.numpy(), values)
    optim.clip_grad_norm_(p, max_norm=float("inf"))
    np.testing.assert_array_equal(p.grad.numpy(), values)


@given(rows=st.lists(st.lists(st.floats(-1e6, 1e6), max_size=4), min_size=1, max_size=4),
       limit=st.just(0.0) | st.floats(1e-6, 1e3), order=st.sampled_from([0.5, 1.0, 2.0, 3.0, float("inf")]))
def test_afterwards_the_norm_is_within_the_limit_and_the_direction_the_same(rows, limit, order):
    parameters = [leaf(np.array(row)) for row in rows]
    before = np.concatenate([np.array(row, float) for row in rows])
    total = optim.clip_grad_norm_(parameters, limit, order).item()
    after = np.concatenate([p.grad.numpy() for p in parameters])
    assert optim.get_total_norm([p.grad for p in parameters], order).item() <= limit * (1 + 1e-9)
    np.testing.assert_allclose(after, before * min(1.0, limit / (total + 1e-6)), rtol=1e-12, atol=1e-300)


def test_values_are_clipped_element_by_element():
    p, q = leaf([3.0, -0.5, -7.0, np.nan, np.inf]), cr.Tensor([1.0], requires_grad=True)
    optim.clip_grad_value_([p, q], 1.0)
    np.testing.assert_array_equal(p.grad.numpy(), [1.0, -0.5, -1.0, np.nan, 1.0])
    assert q.grad is None


def test_single_tensors_generators_and_nothing_at_all():
    model = nn.Linear(2, 1, dtype=np.float64)
    model(np.array([[3.0, 4.0]])).sum().backward()
    optim.clip_grad_norm_(model.parameters(), 1.0)                          # a generator, gone through once
    assert optim.get_total_norm(p.grad for p in model.parameters()).item() == pytest.approx(1.0, abs=1e-6)
    optim.clip_grad_value_(model.parameters(), 0.25)
    assert max(abs(p.grad.numpy()).max() for p in model.parameters()) == 0.25
    p = leaf([8.0])
    optim.clip_grad_value_(p, 2)
    assert p.grad.item() == 2.0
    assert optim.clip_grad_norm_(p, 1).item() == 2.0
    for nothing in ([], iter(()), [cr.Tensor([1.0], requires_grad=True)], [leaf(np.zeros((0, 3)))]):
        assert optim.clip_grad_norm_(nothing, 1.0, float("inf")).item() == 0.0


@pytest.mark.parametrize("dtypes", [(np.float32, np.float32), (np.float32, np.float64), (np.float16, np.float32)])
def test_dtypes_stay(dtypes):
    parameters = [leaf([3.0, 4.0], dtype) for dtype in dtypes]
    optim.clip_grad_norm_(parameters, 1.0)
    for p, dtype in zip(parameters, dtypes, strict=True):
        assert p.grad.dtype == dtype
        np.testing.assert_allclose(p.grad.numpy(), np.array([3, 4]) / np.sqrt(50), rtol=2e-3)
    optim.clip_grad_value_(parameters, 0.25)
    assert [p.grad.dtype for p in parameters] == list(dtypes)


@pytest.mark.parametrize("clip", [lambda p: optim.clip_grad_norm_(p, 1.0), lambda p: optim.clip_grad_value_(p, 1.0)],
                         ids=["norm", "value"])
def test_an_array_that_somebody_else_holds_is_not_written(clip):
    """Two leaves of a sum share one gradient array; so does whoever looked at it."""
    x, y = cr.Tensor([3.0, 4.0], requires_grad=True), cr.Tensor([0.0, 0.0], requires_grad=True)
    seed = np.array([6.0, 8.0])
    (x + y).backward(seed)
    view, tensor = x.grad.numpy(), x.grad
    frozen = np.array([6.0, 8.0])
    frozen.flags.writeable = False
    z = cr.Tensor([0.0, 0.0], requires_grad=True)
    z.grad = cr.Tensor.of(frozen)
    clip([x, z])
    for held in (seed, view, tensor.numpy(), y.grad.numpy(), frozen):
        np.testing.assert_array_equal(held, [6.0, 8.0])
    assert abs(x.grad.numpy()).max() <= 1
    np.testing.assert_array_equal(x.grad.numpy(), z.grad.numpy())
    assert x.grad.gate is None
    assert not x.grad.requires_grad


# ------------------------------------------------------------------ recorded
@pytest.mark.parametrize(("order", "limit"), [(2, 0.5), (np.inf, 0.2), (1, 0.7), ("by value", 0.1)])
def test_a_recorded_step_clips_where_it_must(order, limit):
    """The loop in NumPy beside it; some steps are clipped and others are not, in one recording."""
    rng = np.random.default_rng(1)
    batches = [rng.normal(size=2) * scale for scale in (1.0, 0.01, 1.0, 5.0, 0.02, 0.5)]
    w, b = cr.Tensor([1.0, -1.0], requires_grad=True), cr.Tensor([0.5], requires_grad=True)
    optimizer = optim.SGD([w, b], lr=0.1)

    @partial(cr.compile, keep_grads=True)
    def step(x):
        optimizer.zero_grad()
        ((w * x).sum() + b * x[0]).sum().backward()
        if order == "by value":
            optim.clip_grad_value_([w, b], limit)
            total = None
        else:
            total = optim.clip_grad_norm_([w, b], limit, order)
        optimizer.step()
        return total

    value, clipped = np.array([1.0, -1.0, 0.5]), []
    for x in batches:
        total = step(x)
        g = np.array([x[0], x[1], x[0]])
        if order == "by value":
            clipped.append(abs(g).max() > limit)
            g = np.clip(g, -limit, limit)
        else:
            norm = np.linalg.norm(g, order)
            assert total.item() == pytest.approx(norm, rel=1e-14)
            clipped.append(norm > limit)
            g = g * min(1, limit / (norm + 1e-6))
        value = value - 0.1 * g
        np.testing.assert_allclose([*w.numpy(), *b.numpy()], value, rtol=1e-12)
    assert set(clipped) == {True, False}
    assert step.recordings == 1


def test_a_recorded_step_cannot_raise_by_the_norm():
    p = leaf([1.0])
    with pytest.raises(TypeError, match="error_if_nonfinite=True looks at the norm, which a recorded step cannot do; "
                                        "return the norm from the step"):
        cr.compile(lambda: optim.clip_grad_norm_([p], 1.0, error_if_nonfinite=True))()


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_that_is_not_finite(bad):
    p, q = leaf([1.0, bad]), leaf([2.0])
    with pytest.raises(FloatingPointError, match=r"norm of order 2 of the gradients is (nan|inf).*detect_anomaly"):
        optim.clip_grad_norm_([p, q], 1.0, error_if_nonfinite=True)
    assert q.grad.item() == 2.0                                             # nothing has changed
    with np.errstate(invalid="ignore"):
        optim.clip_grad_norm_([p, q], 1.0)
    assert np.isnan(q.grad.item()) if np.isnan(bad) else q.grad.item() == 0


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda p: optim.clip_grad_norm_([p], -1.0), ValueError, "max_norm must be at least 0, got -1.0"),
    (lambda p: optim.clip_grad_norm_([p], float("nan")), ValueError, "max_norm must be at least 0, got nan"),
    (lambda p: optim.clip_grad_norm_([p], "1"), TypeError, "max_norm must be a number, got '1'"),
    (lambda p: optim.clip_grad_value_([p], -1.0), ValueError, "clip_value must be at least 0, got -1.0"),
    (lambda p: optim.clip_grad_norm_([p], 1.0, float("nan")), ValueError, "norm_type is a number or infinity, got NaN"),
    (lambda p: optim.clip_grad_norm_([("w", p)], 1.0), TypeError, r"got tuple at position 0; pass model\.param"),
    (lambda p: optim.clip_grad_value_([p, np.ones(2)], 1.0), TypeError, "got ndarray at position 1"),
], ids=range(7))
def test_wrong_arguments(call, error, message):
    p = leaf([3.0])
    with pytest.raises(error, match=message):
        call(p)
    assert p.grad.item() == 3.0
