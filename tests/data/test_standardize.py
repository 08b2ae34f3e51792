"""Standardised inputs: mean 0 and deviation 1 of what they were made for, and the same for whatever comes later."""
from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Pixels, Standardize, described, preparation
from chainrule.data import standardize as module


@given(n=st.integers(2, 30), columns=st.integers(1, 4), seed=st.integers(0, 2**32 - 1), together=st.booleans(),
       dtype=st.sampled_from([np.uint8, np.int32, np.float32, np.float64]), block=st.integers(1, 40))
def test_what_it_was_made_of_has_mean_0_and_deviation_1(n, columns, seed, together, dtype, block):
    x = np.random.default_rng(seed).uniform([0, 50], [200, 250], (n, columns, 2)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)                       # in parts or in one
        made = Standardize.of(x, together=together)(x)
    assert made.dtype == np.float32
    axes = None if together else 0
    varies = (x != x.flat[0]).any() if together else (x != x[0]).any(0)
    np.testing.assert_allclose(made.mean(axes, dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(made.std(axes, dtype=np.float64), np.where(varies, 1, 0), atol=1e-5)


def test_a_column_that_never_changes_stays_finite_also_where_its_mean_is_rounded():
    x = np.full((3, 2), 0.1)
    x[:, 1] = [1, 2, 3]
    made = Standardize.of(x)
    assert made.std[0] == 1
    assert abs(made(np.array([[0.3, 2.0]]))[0, 0] - 0.2) < 1e-6


def test_large_offsets_do_not_eat_the_digits():
    """Seconds since 1970, an hour apart: float32 knows them only to two minutes."""
    x = 1.7e9 + 3600.0 * np.arange(4)[:, None]
    np.testing.assert_allclose(Standardize.of(x)(x)[:, 0], (np.arange(4) - 1.5) / np.sqrt(1.25), rtol=1e-6)


def test_samples_are_shaped_before_and_after():
    made = Standardize(np.arange(6.0).reshape(2, 3), np.ones((2, 3)), shape=(6,))
    for x in (np.ones((4, 2, 3)), np.ones((4, 6)), np.ones((4, 3, 2))):
        np.testing.assert_array_equal(made(x), np.tile(1 - np.arange(6.0), (4, 1)))
        assert not made(x).flags.writeable
    assert made(np.ones((0, 6))).shape == (0, 6)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: Standardize([0.0], [0.0]), "deviations above 0"),
    (lambda: Standardize([np.nan], [1.0]), "finite means"),
    (lambda: Standardize([0.0, 1.0], 1.0), r"shapes \(2,\) and \(\)"),
    (lambda: Standardize([0.0, 1.0], [1.0, 1.0])(np.ones((4, 3))), r"met samples of shape \(3,\); expected \(2,\)"),
    (lambda: Standardize(shape=(5,))(np.ones((4, 3))), r"shape \(3,\) do not fit the shape \(5,\)"),
    (lambda: preparation({"kind": "magic"}), "met the kind 'magic'; expected 'pixels' or 'standardize'"),
    (lambda: preparation({}), "met the kind None"),
    (lambda: preparation({"kind": "pixels", "mean": 3}), "pixels is not described by mean"),
])
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("transform", [
    Pixels(255, shape=(6,)), Pixels(16), Standardize(), Standardize(0.1, 0.3, shape=(2, 3)),
    Standardize.of(np.random.default_rng(0).normal(size=(9, 6)), shape=(3, 2))], ids=repr)
def test_a_transform_survives_being_written_as_json(transform):
    again = preparation(json.loads(json.dumps(described(transform))))
    x = np.random.default_rng(1).integers(0, 255, (5, 6))
    assert type(again) is type(transform)
    np.testing.assert_array_equal(again(x), transform(x))           # to the last bit
    assert again(x).shape == transform(x).shape


def test_only_these_transforms_can_be_written_down():
    with pytest.raises(TypeError, match="expected Pixels or Standardize, got function"):
        described(lambda x: x)
