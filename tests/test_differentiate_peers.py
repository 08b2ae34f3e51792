"""The transforms against torch.func, on the same function in each library's own words."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
# PyTorch's forward mode scripts functions when it is first used, and warns that it should not
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")]

A = np.random.default_rng(0).normal(size=(4, 3))
X = np.random.default_rng(1).normal(size=3)
T = np.random.default_rng(2).normal(size=3)


def ours(x):
    return cr.softmax(np.tanh(np.dot(A, x)) * 3) * np.exp(-x[0]) + x[1] ** 3


def theirs(x):
    return torch.softmax(torch.tanh(torch.from_numpy(A) @ x) * 3, -1) * torch.exp(-x[0]) + x[1] ** 3


def ours_scalar(x):
    return cr.logsumexp(ours(x)) * x[2]


def theirs_scalar(x):
    return torch.logsumexp(theirs(x), -1) * x[2]


def same(a, b, rtol=1e-12):
    np.testing.assert_allclose(a, b.numpy(), rtol=rtol, atol=1e-14)


def test_grad():
    same(cr.grad(ours_scalar)(X), torch.func.grad(theirs_scalar)(torch.from_numpy(X)))


def test_grad_and_value_with_aux():
    slope, (value, aux) = torch.func.grad_and_value(lambda x: (theirs_scalar(x), theirs(x)), has_aux=True)(
        torch.from_numpy(X))
    (our_value, our_aux), our_slope = cr.value_and_grad(lambda x: (ours_scalar(x), ours(x)), has_aux=True)(X)
    same(our_value, value)
    same(our_aux, aux)
    same(our_slope, slope)


def test_jacobian():
    same(cr.jacobian(ours)(X), torch.func.jacrev(theirs)(torch.from_numpy(X)))


def test_hessian():
    same(cr.hessian(ours_scalar)(X), torch.func.hessian(theirs_scalar)(torch.from_numpy(X)), rtol=1e-10)


def test_third_derivatives():
    theirs_third = torch.func.jacrev(torch.func.jacrev(torch.func.grad(theirs_scalar)))(torch.from_numpy(X))
    same(cr.jacobian(cr.hessian(ours_scalar))(X), theirs_third, rtol=1e-9)


def test_vjp():
    v = np.arange(4.0)
    value, pull = cr.vjp(ours, X)
    their_value, their_pull = torch.func.vjp(theirs, torch.from_numpy(X))
    same(value, their_value)
    same(pull(v), their_pull(torch.from_numpy(v))[0])


def test_jvp():
    value, slope = cr.jvp(ours, X, T)
    their_value, their_slope = torch.func.jvp(theirs, (torch.from_numpy(X),), (torch.from_numpy(T),))
    same(value, their_value)
    same(slope, their_slope)


def test_hvp():
    _, expected = torch.autograd.functional.hvp(theirs_scalar, torch.from_numpy(X), torch.from_numpy(T))
    same(cr.hvp(ours_scalar, X, T), expected, rtol=1e-10)
