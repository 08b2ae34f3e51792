"""Initialisers: moments within five standard errors, bounds, orthogonality, streams."""
from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn import init
from chainrule.random import Generator


def tensor(*shape, dtype=np.float32):
    return nn.Parameter(np.full(shape, np.nan, dtype))


def check_moments(w, std, shape_of="uniform"):
    """Mean and variance of n independent numbers, against five times the standard errors of both."""
    x = w.numpy().astype(float).ravel()
    n, kurtosis = x.size, {"uniform": 1.8, "normal": 3.0}[shape_of]
    assert abs(x.mean()) < 5 * std / sqrt(n)
    assert abs(x.var() - std**2) < 5 * std**2 * sqrt((kurtosis - 1) / n)


UNIFORM = [
    (lambda w: init.xavier_uniform_(w), sqrt(2 / (300 + 200))),
    (lambda w: init.xavier_uniform_(w, gain=2.0), 2 * sqrt(2 / 500)),
    (lambda w: init.kaiming_uniform_(w), sqrt(2 / 300)),
    (lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu"), sqrt(2 / 200)),
    (lambda w: init.kaiming_uniform_(w, a=sqrt(5)), sqrt(1 / 900)),
    (lambda w: init.lecun_uniform_(w), sqrt(1 / 300)),
    (lambda w: init.uniform_(w, -0.5, 0.5), sqrt(1 / 12)),
]
NORMAL = [
    (lambda w: init.xavier_normal_(w), sqrt(2 / 500)),
    (lambda w: init.kaiming_normal_(w), sqrt(2 / 300)),
    (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="tanh"), 5 / 3 / sqrt(200)),
    (lambda w: init.lecun_normal_(w), sqrt(1 / 300)),
    (lambda w: init.normal_(w, 0.0, 0.3), 0.3),
]


@pytest.mark.parametrize(("function", "std"), UNIFORM)
def test_uniform_ones(function, std):
    w = tensor(200, 300)
    assert function(w) is w
    check_moments(w, std)
    assert np.abs(w.numpy()).max() <= sqrt(3) * std * (1 + 1e-6)
    assert w.dtype == np.float32
    assert w.requires_grad


@pytest.mark.parametrize(("function", "std"), NORMAL)
def test_normal_ones(function, std):
    w = tensor(200, 300, dtype=np.float64)
    assert function(w) is w
    check_moments(w, std, "normal")
    x = w.numpy() / std
    assert abs((x**4).mean() - 3) < 5 * sqrt(96 / x.size)    # and no other distribution
    assert w.dtype == np.float64


def test_constants():
    assert init.zeros_(tensor(2)).tolist() == [0.0, 0.0]
    assert init.ones_(tensor(2)).tolist() == [1.0, 1.0]
    assert init.constant_(tensor(2), 0.25).tolist() == [0.25, 0.25]


def test_fans_of_a_convolution():
    w = init.kaiming_normal_(tensor(100, 40, 3, 3))
    check_moments(w, sqrt(2 / (40 * 9)), "normal")
    check_moments(init.kaiming_normal_(w, mode="fan_out"), sqrt(2 / (100 * 9)), "normal")


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_orthogonal(shape, dtype):
    w = init.orthogonal_(tensor(*shape, dtype=dtype), gain=2.0).numpy().reshape(shape[0], -1).astype(float)
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5 if dtype is np.float32 else 1e-13)


def test_orthogonal_matrices_are_uniform():
    """Without the correction of signs, QR would give a first column of one sign: its mean would not be 0."""
    corners = np.array([init.orthogonal_(tensor(2, 2, dtype=np.float64)).numpy() for _ in range(400)])
    assert np.all(np.abs(corners.mean(0)) < 5 * sqrt(0.5 / 400))
    signs = np.sign(np.linalg.det(corners))
    assert abs(signs.mean()) < 5 / sqrt(400)


def test_gains():
    assert init.calculate_gain("leaky_relu", 0.5) == sqrt(2 / 1.25)
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == 1
    with pytest.raises(ValueError, match="'swish' is not one of"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="slope is a number"):
        init.calculate_gain("leaky_relu", "0.1")


def test_errors():
    for function in (init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_,
                     init.lecun_uniform_, init.lecun_normal_, init.orthogonal_):
        with pytest.raises(ValueError, match=rf"{function.__name__}: got \(3,\), expected a weight"):
            function(tensor(3))
    with pytest.raises(ValueError, match="fan_in"):
        init.kaiming_normal_(tensor(2, 2), mode="fan_avg")


def test_they_draw_from_their_own_stream_or_the_given_one():
    first = init.normal_(tensor(4)).tolist()
    cr.random.seed(0)
    cr.random.normal(size=10)
    assert init.normal_(tensor(4)).tolist() == first
    position = cr.random.init.position
    a = init.normal_(tensor(4), generator=Generator(7)).tolist()
    assert a == init.normal_(tensor(4), generator=Generator(7)).tolist() != first
    assert cr.random.init.position == position


def test_linear_begins_as_in_pytorch():
    layer = nn.Linear(300, 200)
    check_moments(layer.weight, sqrt(1 / 900))
    assert np.abs(layer.weight.numpy()).max() <= 300**-0.5
    assert np.abs(layer.bias.numpy()).max() <= 300**-0.5
    assert layer.bias.numpy().std() > 0


def test_a_graph_that_needs_the_old_value_finds_out():
    w = nn.Parameter([1.0, 2.0])
    z = (w * w).sum()
    init.zeros_(w)
    with pytest.raises(RuntimeError, match="written in place"):
        z.backward()
