"""Toy data: on their curves, balanced, the same again for the same seed, and without a trace in other streams."""
from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import data
from chainrule.data import ArrayDataset
from chainrule.random import Generator

TOYS = {"spirals": data.spirals, "circles": data.circles, "moons": data.moons, "xor": data.xor,
        "gaussians": data.gaussians}
NOISY = {name: functools.partial(toy, **({"std": 0.3} if name == "gaussians" else {"noise": 0.3}))
         for name, toy in TOYS.items()}
EXACT = {name: functools.partial(toy, std=0.0) if name == "gaussians" else toy for name, toy in TOYS.items()}


def parts(toy):
    return toy.arrays[0].astype(np.float64), toy.arrays[1]


@pytest.mark.parametrize("name", TOYS)
def test_the_kind_of_arrays(name):
    toy = TOYS[name](21)
    assert type(toy) is ArrayDataset
    x, y = toy.arrays
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((21, 2), np.float32, (21,), np.int64)
    assert np.shares_memory(cr.as_tensor(x).numpy(), x)            # read-only down to its owner: a batch is no copy


@pytest.mark.parametrize("name", TOYS)
@given(samples=st.integers(4, 80), seed=st.integers(0, 2**63 - 1))
def test_every_stretch_is_balanced(name, samples, seed):
    y = TOYS[name](samples, seed=seed).arrays[1]
    classes = {"spirals": 3, "gaussians": 3}.get(name, 2)
    for part in (y, y[:samples // 2], y[samples // 2:]):
        counts = np.bincount(part, minlength=classes)
        assert len(counts) == classes
        assert counts.max() - counts.min() <= (2 if name == "xor" and part is not y else 1)


def sorted_rows(x):
    return x[np.lexsort(x.T)]


@pytest.mark.parametrize("name", TOYS)
def test_a_seed_gives_the_same_points_and_another_seed_others(name):
    first, same, other = (NOISY[name](30, seed=seed).arrays[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()


@pytest.mark.parametrize("name", ["spirals", "circles", "moons"])
def test_without_noise_the_seed_decides_only_the_order(name):
    (a, y), (b, _) = (TOYS[name](60, seed=seed).arrays for seed in (1, 2))
    assert not np.array_equal(a, b)
    for c in range(y.max() + 1):
        np.testing.assert_array_equal(sorted_rows(a[y == c]), sorted_rows(b[y == c]))


@pytest.mark.parametrize("name", TOYS)
def test_no_other_stream_moves_and_none_moves_them(name):
    streams = [cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user]
    first = NOISY[name](40).arrays[0]
    assert [stream.position for stream in streams] == [0, 0, 0, 0]
    cr.random.seed(99)
    cr.random.normal(size=100)
    np.testing.assert_array_equal(NOISY[name](40).arrays[0], first)


@pytest.mark.parametrize("name", TOYS)
def test_a_generator_goes_on_from_call_to_call(name):
    generator = Generator(3)
    first, second = (NOISY[name](40, seed=generator).arrays[0] for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(NOISY[name](40, seed=Generator(3)).arrays[0], first)


@pytest.mark.parametrize("name", TOYS)
def test_noise_is_added_to_the_exact_points_with_the_deviation_asked_for(name):
    """10,000 numbers: the mean is known to 0.3/100, the deviation to 0.3/141; 5 sigma of each."""
    exact, noisy = (made[name](5000).arrays[0].astype(np.float64) for made in (EXACT, NOISY))
    noise = noisy - exact
    assert abs(noise.mean()) < 5 * 0.3 / 100
    assert abs(noise.std() - 0.3) < 5 * 0.3 / 141


# ------------------------------------------------------------------ the shapes
@pytest.mark.parametrize(("classes", "turns"), [(1, 1.0), (2, 1.5), (3, 0.75), (5, -0.5)])
def test_spirals(classes, turns):
    """The angle grows with the radius, and each arm is the one before it, turned."""
    x, y = parts(data.spirals(20 * classes, classes=classes, turns=turns))
    z = x[:, 0] + 1j * x[:, 1]
    for c in range(classes):
        arm = z[y == c]
        radius = np.sort(abs(arm))
        np.testing.assert_allclose(radius, (np.arange(20) + 0.5) / 20, rtol=1e-6)
        unwound = arm * np.exp(-2j * np.pi * (turns * abs(arm) + c / classes))
        np.testing.assert_allclose(unwound, abs(arm), atol=1e-6)


@pytest.mark.parametrize("factor", [0.3, 0.8])
def test_circles(factor):
    x, y = parts(data.circles(50, factor=factor))
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 0, 1, factor), rtol=1e-6)
    for c in (0, 1):                                                # evenly spread
        angles = np.sort(np.arctan2(x[y == c, 1], x[y == c, 0]))
        np.testing.assert_allclose(np.diff(angles), 2 * np.pi / 25, rtol=1e-5)


def test_moons():
    x, y = parts(data.moons(50))
    upper, lower = x[y == 0], x[y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, rtol=1e-6)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1, rtol=1e-6)
    assert (upper[:, 1] > 0).all()
    assert (lower[:, 1] < 0.5).all()
    np.testing.assert_allclose(np.diff(np.sort(np.arctan2(upper[:, 1], upper[:, 0]))), np.pi / 25, rtol=1e-4)


def test_xor_is_the_four_points_and_its_clouds_are_around_them():
    x, y = data.xor().arrays
    assert x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert y.tolist() == [0, 1, 1, 0]
    x, y = parts(data.xor(400, noise=0.05))
    np.testing.assert_array_equal(y, (x > 0.5)[:, 0] != (x > 0.5)[:, 1])
    assert np.bincount((x > 0.5) @ [2, 1]).tolist() == [100, 100, 100, 100]


def test_gaussians_around_centres_of_ones_own():
    centers, std = [[0, 0, 0], [10, 0, 5], [0, 10, -5], [-10, 0, 1]], [0.0, 0.5, 1.0, 2.0]
    x, y = parts(data.gaussians(4000, centers=centers, std=std))
    assert x.shape == (4000, 3)
    for c in range(4):
        mine = x[y == c]
        assert abs(mine.mean(0) - centers[c]).max() <= 5 * std[c] / np.sqrt(1000)
        assert abs(mine.std(0) - std[c]).max() <= 5 * std[c] / np.sqrt(2000)


def test_a_number_of_gaussians_stands_on_a_circle():
    x, y = parts(data.gaussians(8, centers=4, std=0))
    assert y.tolist() == [0, 1, 2, 3] * 2
    np.testing.assert_allclose(x[:4], [[4, 0], [0, 4], [-4, 0], [0, -4]], atol=1e-6)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: data.spirals(2), "spirals: samples is a whole number, at least 3, so that each class has one, got 2"),
    (lambda: data.spirals(10.0), r"samples is a whole number, .*got 10\.0"),
    (lambda: data.spirals(classes=0), "classes is a whole number from 1 on, got 0"),
    (lambda: data.spirals(turns=np.inf), "turns is a finite number, got inf"),
    (lambda: data.moons(noise=-0.1), r"moons: noise is a standard deviation, from 0 on, got -0\.1"),
    (lambda: data.xor(noise=float("nan")), "noise is a finite number"),
    (lambda: data.circles(factor=1.0), "factor is the radius of the inner circle"),
    (lambda: data.circles(seed=-1), "a seed is a whole number"),
    (lambda: data.gaussians(centers=0), "centers is a whole number from 1 on, got 0"),
    (lambda: data.gaussians(2, centers=3), "at least 3"),
    (lambda: data.gaussians(centers=[1.0, 2.0]), r"shape \(classes, features\), got shape \(2,\)"),
    (lambda: data.gaussians(centers=[[1.0, np.nan]]), "finite numbers"),
    (lambda: data.gaussians(std=[1.0, 2.0]), "one for each of the 3 classes"),
    (lambda: data.gaussians(std=-1), "std is a number from 0 on"),
])
def test_what_cannot_be_made_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
