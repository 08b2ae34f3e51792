"""Data sets made of arrays."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import ArrayDataset, Dataset


def test_a_sample_a_slice_and_a_list_of_samples():
    x, y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 2, 3])
    d = ArrayDataset(x, y)
    assert len(d) == 4
    assert isinstance(d, Dataset)
    row, label = d[2]
    np.testing.assert_array_equal(row, [6, 7, 8])
    assert label == 2
    for index in (slice(1, 3), [3, 0, 3], y > 1):
        for part, whole in zip(d[index], (x, y), strict=True):
            np.testing.assert_array_equal(part, whole[index])
    with pytest.raises(IndexError):
        d[4]


def test_arrays_are_shared_but_cannot_be_written_through_the_data_set():
    x = np.zeros((4, 3))
    d = ArrayDataset(x)
    assert np.shares_memory(d.arrays[0], x)
    with pytest.raises(ValueError, match="read-only"):
        d.arrays[0][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        d[1:][0][0] = 1
    x[0] = 1                                             # the caller's own array is still his


def test_lists_and_tensors_become_arrays_and_dtypes_stay():
    d = ArrayDataset([[1.0], [2.0]], cr.Tensor([1, 2]), np.array([1, 2], np.uint8))
    assert [array.dtype for array in d.arrays] == [np.float64, np.int64, np.uint8]
    assert all(type(array) is np.ndarray for array in d.arrays)


def test_a_subset_is_a_data_set():
    d = ArrayDataset(np.arange(10), -np.arange(10)).subset([7, 1])
    assert isinstance(d, ArrayDataset)
    np.testing.assert_array_equal(d.arrays, [[7, 1], [-7, -1]])


@pytest.mark.parametrize(("arrays", "error", "words"), [
    ((), ValueError, "at least one array, got none"),
    ((np.zeros((3, 2)), np.zeros(4)), ValueError, "lengths 3, 4"),
    ((np.zeros((0, 2)), np.zeros(0)), ValueError, "empty"),
    ((np.zeros(3), 5), ValueError, "argument 1 is a single number"),
    ((["cat", "dog"],), TypeError, "argument 0 has dtype <U3.*number first"),
    ((np.array([None, 1]),), TypeError, "dtype object"),
    (([[1, 2], [3]],), ValueError, "argument 0 is not an array"),
])
def test_what_cannot_be_a_data_set_is_refused(arrays, error, words):
    with pytest.raises(error, match=words):
        ArrayDataset(*arrays)


def test_a_tensor_that_would_lose_its_gradient_is_refused():
    with pytest.raises(TypeError, match="detach"):
        ArrayDataset(cr.Tensor([1.0], requires_grad=True))
