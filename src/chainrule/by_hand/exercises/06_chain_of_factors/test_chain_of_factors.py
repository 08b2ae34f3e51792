"""Tests of chain_of_factors.py: python -m pytest test_chain_of_factors.py"""
import numpy as np
import pytest
from chain_of_factors import cost, factors_of_b, factors_of_v, factors_of_w, gradients

import chainrule as cr

rng = np.random.default_rng(6)
BOOK = (np.array([1.0, 1.0]), np.array([[0.8, 0.4, 0.3], [0.2, 0.9, 0.5]]), np.array([0.1, -0.2, 0.3]),
        np.array([0.3, 0.5, 0.9]), 0.5)                     # chapter 6, with biases and another y
OTHER = (rng.normal(size=4), rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=5), -1.5)
NETWORKS = pytest.mark.parametrize("network", [BOOK, OTHER], ids=["chapter 6", "another"])


def by_the_framework(x, W, b, v, y):
    """Return the cost and its gradients."""
    W, b, v = (cr.Tensor(array, requires_grad=True) for array in (W, b, v))
    C = (y - np.tanh(x @ W + b) @ v) ** 2
    C.backward()
    return C.item(), {"W": W.grad.numpy(), "b": b.grad.numpy(), "v": v.grad.numpy()}


def first_factor(x, W, b, v, y):
    """Return ∂C/∂ŷ: the change of the cost if every output is a little larger."""
    shifted = [(y - h - np.tanh(x @ W + b) @ v) ** 2 for h in (1e-4, -1e-4)]
    return pytest.approx((shifted[0] - shifted[1]) / 2e-4, rel=1e-8)


@NETWORKS
def test_cost(network):
    assert cost(*network) == pytest.approx(by_the_framework(*network)[0], rel=1e-12)


@NETWORKS
def test_factors_of_v(network):
    slopes = by_the_framework(*network)[1]["v"]
    for j in range(len(slopes)):
        factors = factors_of_v(*network, j)
        assert len(factors) == 2
        assert factors[0] == first_factor(*network)
        assert np.prod(factors) == pytest.approx(slopes[j], rel=1e-10)


@NETWORKS
def test_factors_of_w(network):
    x, _, _, v, _ = network
    slopes = by_the_framework(*network)[1]["W"]
    for i, j in np.ndindex(slopes.shape):
        factors = factors_of_w(*network, i, j)
        assert len(factors) == 4
        assert factors[0] == first_factor(*network)
        assert (factors[1], factors[3]) == (v[j], x[i])
        assert np.prod(factors) == pytest.approx(slopes[i, j], rel=1e-10)


@NETWORKS
def test_factors_of_b(network):
    slopes = by_the_framework(*network)[1]["b"]
    for j in range(len(slopes)):
        factors = factors_of_b(*network, j)
        assert len(factors) == 4
        assert factors[3] == 1
        assert np.prod(factors) == pytest.approx(slopes[j], rel=1e-10)


@NETWORKS
def test_gradients(network):
    found, right = gradients(*network), by_the_framework(*network)[1]
    assert found.keys() == right.keys()
    for name, slope in right.items():
        assert np.shape(found[name]) == slope.shape, name
        np.testing.assert_allclose(found[name], slope, rtol=1e-10, err_msg=name)
