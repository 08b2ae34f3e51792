"""Tests of gradient_check.py: python -m pytest test_gradient_check.py"""
from itertools import pairwise

import numpy as np
import pytest
from gradient_check import gradient_check, numerical_gradient, relative_difference, to_dictionary, to_vector

from chainrule.by_hand.l_layer import L_model_backward, L_model_forward, compute_cost

SIZES = [3, 5, 4, 1]


def network(seed=1):
    """Return parameters with random biases, the cost as a function of them, and the gradients by backpropagation."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(3, 8)), rng.integers(0, 2, (1, 8))
    parameters = {}
    for layer, (inputs, outputs) in enumerate(pairwise(SIZES), 1):
        parameters[f"W{layer}"] = rng.normal(size=(outputs, inputs))
        parameters[f"b{layer}"] = rng.normal(size=(outputs, 1))
    AL, caches = L_model_forward(X, parameters)

    def cost(parameters):
        return compute_cost(L_model_forward(X, parameters)[0], Y)

    return parameters, cost, L_model_backward(AL, Y, caches)


# ---------------------------------------------------------------------- vectors
def test_to_vector():
    found = to_vector({"W1": np.array([[1.0, 2.0], [3.0, 4.0]]), "b1": np.array([[5.0], [6.0]]), "c": np.array(7.0)})
    np.testing.assert_array_equal(found, [1, 2, 3, 4, 5, 6, 7])


def test_there_and_back():
    parameters = network()[0]
    found = to_dictionary(to_vector(parameters), parameters)
    assert list(found) == list(parameters)
    for name, array in parameters.items():
        np.testing.assert_array_equal(found[name], array)


def test_vectors_are_copies():
    parameters = {"W1": np.ones((2, 2))}
    theta = to_vector(parameters)
    theta[0] = 5
    assert parameters["W1"][0, 0] == 1
    to_dictionary(theta, parameters)["W1"][...] = 9
    assert theta[0] == 5


# ---------------------------------------------------------------------- differences
def test_numerical_gradient():
    theta = np.array([1.0, -2.0, 0.5])
    found = numerical_gradient(lambda t: t[0] ** 2 * t[1] + np.sin(t[2]), theta)
    np.testing.assert_allclose(found, [2 * 1 * -2, 1, np.cos(0.5)], rtol=1e-8)


def test_the_differences_are_centred():
    """For a parabola they are exact at any step; a forward difference is off by the step."""
    np.testing.assert_allclose(numerical_gradient(lambda t: np.sum(t ** 2), np.array([3.0, -1.0]), 0.5), [6, -2])


def test_theta_is_as_before():
    theta = np.array([0.1, 0.2, 0.3])
    numerical_gradient(lambda t: np.sum(t ** 3), theta)
    np.testing.assert_array_equal(theta, [0.1, 0.2, 0.3])


def test_theta_is_as_before_an_exception():
    calls, theta = [], np.array([0.1, 0.2, 0.3])

    def fails(t):
        calls.append(t)
        if len(calls) == 4:
            raise ArithmeticError("in the middle")
        return 0.0

    with pytest.raises(ArithmeticError):
        numerical_gradient(fails, theta)
    np.testing.assert_array_equal(theta, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(("a", "n", "difference"), [
    ([3.0, 4.0], [3.0, 4.0], 0), ([3.0, 4.0], [-3.0, -4.0], 1), ([3.0, 4.0], [0.0, 0.0], 1),
    ([0.0, 0.0], [0.0, 0.0], 0), ([3.0, 0.0], [0.0, 4.0], 5 / 7), ([2e-9], [1e-9], 1 / 3)])
def test_relative_difference(a, n, difference):
    assert relative_difference(np.array(a), np.array(n)) == pytest.approx(difference, rel=1e-12)


# ---------------------------------------------------------------------- the check
def test_right_gradients_pass():
    parameters, cost, gradients = network()
    assert gradient_check(cost, parameters, gradients) < 1e-7


def test_the_order_of_the_gradients_is_no_matter():
    parameters, cost, gradients = network()
    assert gradient_check(cost, parameters, dict(sorted(gradients.items()))) < 1e-7


@pytest.mark.parametrize("name", ["dW1", "db1", "dW2", "db2", "dW3", "db3"])
def test_wrong_gradients_do_not(name):
    parameters, cost, gradients = network()
    assert gradient_check(cost, parameters, gradients | {name: 1.1 * gradients[name]}) > 1e-4
    assert gradient_check(cost, parameters, gradients | {name: -gradients[name]}) > 1e-3


def test_nothing_is_changed():
    parameters, cost, gradients = network()
    before = [{name: array.copy() for name, array in each.items()} for each in (parameters, gradients)]
    gradient_check(cost, parameters, gradients)
    for now, then in zip((parameters, gradients), before, strict=True):
        assert list(now) == list(then)
        for name, array in then.items():
            np.testing.assert_array_equal(now[name], array)
