"""Tests of centred_differences.py: python -m pytest test_centred_differences.py"""
import numpy as np
import pytest
from centred_differences import centred_slope, forward_slope, update_weights

import chainrule as cr
from chainrule.by_hand.finite_differences import feed_forward

START = [np.array([[-0.0053, -0.5820, -0.2723], [0.3793, -0.5204, 0.1896]]), np.array([-0.0140, 0.5607, -0.0628]),
         np.array([[0.1528], [-0.1745], [-0.1135]]), np.array([-0.5516])]       # the network of chapter 5


def loss(weights):
    return feed_forward([[1, 1]], [[0]], weights)


def exact_slopes(weights):
    tensors = [cr.Tensor(w, requires_grad=True) for w in weights]
    feed_forward([[1, 1]], [[0]], tensors).backward()
    return [t.grad.numpy() for t in tensors]


def test_a_parabola_by_forward_differences_is_off_by_h():
    assert forward_slope(lambda x: x * x, 3.0, 0.5) == 6.5
    assert forward_slope(lambda x: x * x, -1.0, 0.25) == -1.75


def test_a_parabola_by_centred_differences_is_exact():
    assert centred_slope(lambda x: x * x, 3.0, 0.5) == 6.0
    assert centred_slope(lambda x: x * x, -1.0, 0.25) == -2.0


@pytest.mark.parametrize(("slope", "shrinks"), [("forward", 2), ("centred", 4)])
def test_half_the_step(slope, shrinks):
    """Half the step makes half the error, or a quarter."""
    slope = {"forward": forward_slope, "centred": centred_slope}[slope]
    whole, half = (abs(slope(np.sin, 1.0, h) - np.cos(1.0)) for h in (0.02, 0.01))
    assert whole / half == pytest.approx(shrinks, rel=0.01)


def test_a_step_is_that_of_backpropagation():
    updated, _ = update_weights(loss, START, lr=0.1)
    for new, w, slope in zip(updated, START, exact_slopes(START), strict=True):
        np.testing.assert_allclose(new, w - 0.1 * slope, rtol=0, atol=1e-10)


def test_the_loss_is_that_before_the_step():
    assert update_weights(loss, START, lr=0.1)[1] == pytest.approx(0.33455, abs=5e-6)


def test_what_was_given_stays():
    given = [w.copy() for w in START]
    listed = list(given)
    update_weights(loss, given, lr=0.1)
    assert all(a is b for a, b in zip(given, listed, strict=True))
    for w, before in zip(given, START, strict=True):
        np.testing.assert_array_equal(w, before)


def test_each_element_is_nudged_by_itself():
    """A loss with products of weights: if another weight is still moved, its slopes show it."""
    a, b = np.array([[2.0, 3.0]]), np.array([5.0])
    updated, _ = update_weights(lambda w: w[0][0, 0] * w[0][0, 1] * w[1][0], [a, b], lr=1.0, h=0.5)
    np.testing.assert_allclose(updated[0], [[2.0 - 15.0, 3.0 - 10.0]], rtol=1e-12)
    np.testing.assert_allclose(updated[1], [5.0 - 6.0], rtol=1e-12)


def test_training_comes_near_the_answer():
    weights = START
    for _ in range(300):
        weights, _ = update_weights(loss, weights, lr=0.01)
    exact = START
    for _ in range(300):
        exact = [w - 0.01 * slope for w, slope in zip(exact, exact_slopes(exact), strict=True)]
    for w, v in zip(weights, exact, strict=True):
        np.testing.assert_allclose(w, v, rtol=0, atol=1e-8)
