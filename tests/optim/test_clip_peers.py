"""Gradient clipping against PyTorch's."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers
ORDERS = 0.5, 1, 1.5, 2, 2.0, 3, float("inf"), "inf", float("-inf"), 0, -1


def pair(dtype, seed=0):
    """The same gradients on both sides; one parameter has none."""
    rng = np.random.default_rng(seed)
    gradients = [rng.normal(size=shape).astype(dtype) for shape in [(3, 4), (5,), (), (2, 1, 3)]]
    ours = [cr.Tensor(g, requires_grad=True) for g in [*gradients, np.ones(2, dtype)]]
    theirs = [torch.tensor(g, requires_grad=True) for g in [*gradients, np.ones(2, dtype)]]
    for p, q, g in zip(ours, theirs, gradients, strict=False):
        p.grad, q.grad = g, torch.tensor(g)
    return ours, theirs


def assert_same(ours, theirs, rtol):
    for p, q in zip(ours, theirs, strict=True):
        if q.grad is None:
            assert p.grad is None
        else:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize("limit", [0.0, 0.3, 1, 1e9])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_norm(order, limit, dtype, rtol):
    ours, theirs = pair(dtype)
    total = optim.clip_grad_norm_(iter(ours), limit, order)
    expected = torch.nn.utils.clip_grad_norm_(iter(theirs), limit, order)
    assert total.dtype == dtype
    np.testing.assert_allclose(total.numpy(), expected.numpy(), rtol=rtol)
    assert_same(ours, theirs, rtol)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_total_norm_and_scaling_by_it(order):
    ours, theirs = pair(np.float64, seed=1)
    total = optim.get_total_norm([p.grad for p in ours[:-1]], order)
    expected = torch.nn.utils.get_total_norm([p.grad for p in theirs[:-1]], order)
    np.testing.assert_allclose(total.numpy(), expected.numpy(), rtol=1e-13)
    optim.clip_grads_with_norm_(ours, 0.5, total)
    torch.nn.utils.clip_grads_with_norm_(theirs, 0.5, expected)
    assert_same(ours, theirs, 1e-13)


@pytest.mark.parametrize("limit", [0, 0.3, 100.0])
def test_value(limit):
    ours, theirs = pair(np.float64)
    optim.clip_grad_value_(ours, limit)
    torch.nn.utils.clip_grad_value_(theirs, limit)
    assert_same(ours, theirs, 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite(bad):
    ours, theirs = pair(np.float64)
    g = np.array([1.0, 2.0, bad, 0.0, -1.0])
    ours[1].grad, theirs[1].grad = g, torch.tensor(g)
    with np.errstate(invalid="ignore"):
        total = optim.clip_grad_norm_(ours, 1.0)
    np.testing.assert_array_equal(total.numpy(), torch.nn.utils.clip_grad_norm_(theirs, 1.0).numpy())
    assert_same(ours, theirs, 0)
