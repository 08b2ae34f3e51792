"""The digits in the package are the published ones, whole, and split as documented."""
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from chainrule import data

#: Of the bytes of all images and then all labels, as published with the data.
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
FOLDER = Path(data.__file__).parent


def test_every_byte_is_the_published_one():
    with np.load(FOLDER / "digits.npz", allow_pickle=False) as z:
        images, labels, held_out = z["images"], z["labels"], z["test"]
    assert images.shape == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == SHA256
    assert len(set(held_out.tolist())) == 360


def test_the_two_parts_are_the_published_images_each_once():
    train, test = data.digits(flatten=False, scale=False)
    with np.load(FOLDER / "digits.npz", allow_pickle=False) as z:
        images, labels, held_out = z["images"], z["labels"], np.sort(z["test"])
    assert (len(train), len(test)) == (1437, 360)
    np.testing.assert_array_equal(test.arrays[0], images[held_out])
    np.testing.assert_array_equal(test.arrays[1], labels[held_out])
    both = np.concatenate([train.arrays[0], test.arrays[0]]).reshape(1797, 64)
    published = images.reshape(1797, 64)
    np.testing.assert_array_equal(both[np.lexsort(both.T)], published[np.lexsort(published.T)])


def test_the_split_is_stratified():
    train, test = data.digits()
    shares = np.bincount(test.arrays[1]) / (np.bincount(test.arrays[1]) + np.bincount(train.arrays[1]))
    assert np.bincount(test.arrays[1]).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    np.testing.assert_allclose(shares, 360 / 1797, atol=0.003)


def test_by_default_rows_of_64_float32_from_0_to_1_with_int64_labels():
    (x, y), _ = (part.arrays for part in data.digits())
    raw = data.digits(flatten=False, scale=False)[0].arrays[0]
    assert (x.shape, x.dtype, y.dtype) == ((1437, 64), np.float32, np.int64)
    assert (x.min(), x.max()) == (0, 1)
    np.testing.assert_array_equal(x * 16, raw.reshape(1437, 64))        # 1/16 is exact


@pytest.mark.parametrize(("flatten", "shape"), [(True, (64,)), (False, (8, 8))])
@pytest.mark.parametrize(("scale", "dtype"), [(True, np.float32), (False, np.uint8)])
def test_the_options(flatten, shape, scale, dtype):
    for part in data.digits(flatten=flatten, scale=scale):
        assert part.arrays[0].shape[1:] == shape
        assert part.arrays[0].dtype == dtype


def test_the_license_goes_with_the_data():
    text = (FOLDER / "digits.LICENSE").read_text(encoding="utf-8")
    for part in ("E. Alpaydin and C. Kaynak", "UCI",
                 "CC BY 4.0", "creativecommons.org/licenses/by/4.0", "Changes", SHA256):
        assert part in text
