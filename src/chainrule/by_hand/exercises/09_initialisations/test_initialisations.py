"""Tests of initialisations.py: python -m pytest test_initialisations.py

Bounds are five standard errors wide: chance alone breaks none of them.
"""
import numpy as np
import pytest
from initialisations import he, sizes, small, xavier, zeros

SHAPES = pytest.mark.parametrize("shape", [(400, 100), (100, 400), (784, 50)])
SEEDS = pytest.mark.parametrize("seed", range(1, 6))
DEVIATIONS = {small: lambda inputs, outputs: 0.01, xavier: lambda inputs, outputs: (2 / (inputs + outputs)) ** 0.5,
              he: lambda inputs, outputs: (2 / inputs) ** 0.5}
RANDOM = pytest.mark.parametrize("initialise", DEVIATIONS, ids=lambda f: f.__name__)
WIDTHS = [512] * 10


def relu(z):
    return np.maximum(0, z)


def batch(seed):
    return np.random.default_rng(100 + seed).normal(size=(64, 512))


@SHAPES
def test_zeros(shape):
    W = zeros(*shape, np.random.default_rng(1))
    assert W.shape == shape
    assert not W.any()


@RANDOM
@SHAPES
@SEEDS
def test_mean_and_deviation(initialise, shape, seed):
    W, deviation = initialise(*shape, np.random.default_rng(seed)), DEVIATIONS[initialise](*shape)
    assert W.shape == shape
    assert abs(W.mean()) < 5 * deviation / W.size ** 0.5
    assert abs(W.std() / deviation - 1) < 5 / (2 * W.size) ** 0.5


@RANDOM
def test_the_shape_is_that_of_a_normal_distribution(initialise):
    """68.3 % lie within one standard deviation, 95.4 % within two."""
    W = initialise(400, 100, np.random.default_rng(2)) / DEVIATIONS[initialise](400, 100)
    for deviations, share in ((1, 0.6827), (2, 0.9545)):
        error = (share * (1 - share) / W.size) ** 0.5
        assert abs(np.mean(np.abs(W) < deviations) - share) < 5 * error


@RANDOM
def test_the_generator_decides(initialise):
    one, same, other = (initialise(6, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    rng = np.random.default_rng(1)
    assert not np.array_equal(initialise(6, 4, rng), initialise(6, 4, rng))


# ---------------------------------------------------------------------- ten layers
def test_sizes_of_known_weights():
    def halves(inputs, outputs, rng):
        return np.full((inputs, outputs), 0.5)

    found = sizes(np.array([[1.0, 3.0], [-2.0, -2.0]]), halves, relu, [3, 1], np.random.default_rng(1))
    np.testing.assert_allclose(found, [2 ** 0.5, 4.5 ** 0.5], rtol=1e-12)      # rows 2, 2, 2 and 0, 0, 0; then 3 and 0


def test_each_layer_has_weights_of_its_own():
    drawn = []

    def recorded(inputs, outputs, rng):
        drawn.append(he(inputs, outputs, rng))
        return drawn[-1]

    assert len(sizes(np.ones((2, 5)), recorded, relu, [5, 5, 2], np.random.default_rng(1))) == 3
    assert [W.shape for W in drawn] == [(5, 5), (5, 5), (5, 2)]
    assert not np.array_equal(drawn[0], drawn[1])


@SEEDS
def test_he_keeps_the_size_through_relu(seed):
    found = sizes(batch(seed), he, relu, WIDTHS, np.random.default_rng(seed))
    assert 0.5 < found[-1] / found[0] < 2


@SEEDS
def test_xavier_loses_the_root_of_2_in_each_layer_of_relu(seed):
    found = sizes(batch(seed), xavier, relu, WIDTHS, np.random.default_rng(seed))
    assert 0.5 < found[-1] / found[0] * 2 ** 4.5 < 2


@SEEDS
def test_small_weights_lose_the_signal(seed):
    found = sizes(batch(seed), small, np.tanh, WIDTHS, np.random.default_rng(seed))
    factor = 0.01 * 512 ** 0.5                             # tanh z is nearly z for small z
    assert 0.5 < found[-1] / found[0] / factor ** 9 < 2


def test_zeros_leave_nothing():
    assert sizes(batch(1), zeros, np.tanh, WIDTHS, np.random.default_rng(1)) == [0] * 10
