"""Pixels, and the transform of a data set: stored small, taken out as floats."""
from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import chainrule as cr
from chainrule import Trainer, nn, optim
from chainrule.data import ArrayDataset, DataLoader, Pixels, split


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (12, 4, 5), dtype=np.uint8)


@pytest.fixture
def dataset(images):
    return ArrayDataset(images, np.arange(12) % 3, transform=Pixels(255, (20,)))


# ---------------------------------------------------------------------- pixels
@pytest.mark.parametrize("maximum", [255, 16, 7])
def test_each_value_is_the_nearest_float32_to_the_quotient(maximum):
    found = Pixels(maximum)(np.arange(256, dtype=np.uint8))
    assert found.dtype == np.float32
    for value, x in enumerate(found):
        exact = Fraction(value, maximum)
        near = abs(Fraction(float(x)) - exact)
        for other in (np.nextafter(x, np.float32(-1)), np.nextafter(x, np.float32(999))):
            assert near <= abs(Fraction(float(other)) - exact)


@pytest.mark.parametrize(("shape", "found"), [(None, (12, 4, 5)), ((20,), (12, 20)), ((4, 5), (12, 4, 5)),
                                              ((1, 4, 5), (12, 1, 4, 5))])
def test_shapes(images, shape, found):
    x = Pixels(255, shape)(images)
    assert x.shape == found
    np.testing.assert_array_equal(x.ravel(), images.ravel().astype(np.float32) / np.float32(255))
    assert np.shares_memory(cr.as_tensor(x).numpy(), x)


def test_its_name_is_how_it_was_made():
    assert repr(Pixels()) == "Pixels(maximum=255)"
    assert repr(Pixels(16, shape=(8, 8))) == "Pixels(maximum=16, shape=(8, 8))"


def test_what_pixels_cannot_be(images):
    for maximum in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="value of a white pixel, from 1 on"):
            Pixels(maximum)
    with pytest.raises(ValueError, match=r"shape \(4, 5\) do not fit the shape \(19,\)"):
        Pixels(255, (19,))(images)


# ---------------------------------------------------------------------- the transform of a data set
def test_what_is_taken_out_is_transformed_and_what_is_stored_is_not(images, dataset):
    scaled = images.reshape(12, 20).astype(np.float32) / np.float32(255)
    assert np.shares_memory(dataset.arrays[0], images)
    x, y = dataset[3]
    np.testing.assert_array_equal(x, scaled[3])
    assert (x.shape, y) == ((20,), 0)
    np.testing.assert_array_equal(dataset[np.int64(-1)][0], scaled[-1])
    for index in (slice(2, 5), slice(0, 1), [4], np.arange(12) > 7):
        x, y = dataset[index]
        np.testing.assert_array_equal(x, scaled[index])
        np.testing.assert_array_equal(y, (np.arange(12) % 3)[index])


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_transformed_once_and_tensors_share_them(images, dataset, shuffle):
    scaled = images.reshape(12, 20).astype(np.float32) / np.float32(255)
    seen = {}
    for x, y in DataLoader(dataset, 5, shuffle, generator=0):
        assert (x.dtype, x.flags.writeable, y.flags.writeable) == (np.float32, False, False)
        assert np.shares_memory(cr.as_tensor(x).numpy(), x)
        for row, label in zip(x, y, strict=True):
            place = int(np.flatnonzero((scaled == row).all(1))[0])
            assert label == place % 3
            seen[place] = True
    assert len(seen) == 12


def test_numbers_without_an_axis_of_their_own():
    d = ArrayDataset([1, 2, 3], transform=lambda x: 10 * x)
    assert d[1] == (20,)
    np.testing.assert_array_equal(d[1:][0], [20, 30])


def test_a_subset_keeps_the_transform_and_does_not_apply_it(images, dataset):
    part = dataset.subset(slice(2, 6))
    assert part.transform is dataset.transform
    assert part.arrays[0].dtype == np.uint8
    np.testing.assert_array_equal(part.arrays[0], images[2:6])
    np.testing.assert_array_equal(part[1][0], dataset[3][0])
    for half in split(dataset, 0.5):
        assert half[:2][0].dtype == np.float32


def test_the_transform_is_shown(dataset):
    assert repr(dataset) == ("ArrayDataset(12 samples: uint8 (4, 5), int64 (); inputs through "
                             "Pixels(maximum=255, shape=(20,)))")
    assert repr(ArrayDataset([1.0], transform=np.negative)).endswith("; inputs through negative)")
    assert repr(ArrayDataset([1.0])) == "ArrayDataset(1 samples: float64 ())"


def test_training_with_stored_bytes_is_training_with_floats(images, dataset):
    weights = []
    for data in (dataset, ArrayDataset(dataset[:][0], dataset.arrays[1])):
        cr.random.seed(3)
        model = nn.Linear(20, 3)
        Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), seed=3).fit(
            data, epochs=2, batch_size=4)
        weights.append(model.weight.numpy().tobytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("transform", "error", "words"), [
    (lambda x: x[:1], ValueError, r"returned the shape \(1, 4, 5\) for 2 samples"),
    (lambda x: x.sum(), TypeError, "returned uint64; expected an array of 2 samples"),
    (lambda x: np.array(5), ValueError, r"returned the shape \(\) for 2 samples"),
    (lambda x: None, TypeError, "returned NoneType"),
])
def test_a_transform_that_loses_samples_is_named(images, transform, error, words):
    d = ArrayDataset(images, transform=transform)
    with pytest.raises(error, match=words):
        d[:2]
    with pytest.raises(error, match=words):
        d.batch(np.array([0, 1]))


def test_what_is_no_transform(images):
    with pytest.raises(TypeError, match="transform is a function of an array of samples, got ndarray"):
        ArrayDataset(images, transform=images)
