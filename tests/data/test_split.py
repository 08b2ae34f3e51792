"""Splits: nothing lost, nothing twice, classes in their shares, the same again for the same seed."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.data import ArrayDataset, split


def labelled(labels):
    return ArrayDataset(np.arange(len(labels)), np.asarray(labels))


@given(labels=st.lists(st.integers(-2, 4), min_size=2, max_size=120), share=st.floats(0.01, 0.99),
       stratify=st.booleans(), seed=st.integers(0, 2**63 - 1))
def test_the_parts_are_the_whole(labels, share, stratify, seed):
    counts = np.unique(labels, return_counts=True)[1]
    size = min(max(round(share * len(labels)), 1), len(labels) - 1)
    if stratify and max(counts) == 1:
        with pytest.raises(ValueError, match=f"{len(counts)} classes, one of each, cannot be .*stratify=False"):
            split(labelled(labels), share, seed=seed)
        return
    if stratify:                                                    # each class, if it can be, in both
        size = min(max(size, sum(counts > 1)), len(labels) - len(counts))
    parts = split(labelled(labels), share, stratify=stratify, seed=seed)
    assert [len(part) for part in parts] == [len(labels) - size, size]
    for part in parts:
        index, y = part.arrays
        np.testing.assert_array_equal(y, np.asarray(labels)[index])
        assert (np.diff(index) > 0).all()                           # the order of the data set
    assert sorted(np.concatenate([part.arrays[0] for part in parts])) == list(range(len(labels)))


@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=6), share=st.floats(0.05, 0.95),
       seed=st.integers(0, 2**63 - 1))
def test_each_class_is_divided_by_the_share(counts, share, seed):
    assume(max(counts) > 1)
    held = np.bincount(split(labelled(np.repeat(np.arange(len(counts)), counts)), share, seed=seed)[1].arrays[1],
                       minlength=len(counts))
    forced = sum(1 for c in counts if c * share < 1 or c * (1 - share) < 1)  # those that must have one on either side
    for c, got in zip(counts, held, strict=True):
        assert (got == 0) if c == 1 else 1 <= got <= c - 1
        assert abs(got - share * c) <= 2 + forced


def test_a_balanced_set_is_divided_exactly():
    rest, held_out = split(labelled(np.tile(np.arange(5), 20)), 0.2)
    assert np.bincount(held_out.arrays[1]).tolist() == [4] * 5
    assert np.bincount(rest.arrays[1]).tolist() == [16] * 5


def test_every_sample_of_a_class_is_as_likely_to_be_held_out():
    """4 of 10 samples, 2,000 times: each is expected 800 times; 5 sigma is 110."""
    data = labelled([0, 1] * 5)
    times = np.zeros(10)
    for seed in range(2000):
        times[split(data, 0.4, seed=seed)[1].arrays[0]] += 1
    assert abs(times - 800).max() < 110


def test_a_seed_repeats_a_split_and_moves_no_shared_stream():
    data = labelled([0, 1] * 50)
    first, again, other = (split(data, 0.3, seed=seed)[1].arrays[0].tolist() for seed in (1, 1, 2))
    assert first == again != other
    streams = [cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user]
    assert [stream.position for stream in streams] == [0, 0, 0, 0]
    generator = cr.random.Generator(4)
    assert split(data, seed=generator)[1].arrays[0].tolist() != split(data, seed=generator)[1].arrays[0].tolist()


@pytest.mark.parametrize("data", [
    ArrayDataset(np.arange(10)),                                    # no labels
    ArrayDataset(np.arange(10), np.arange(10) / 3),                 # numbers to predict
    ArrayDataset(np.arange(10), np.arange(20).reshape(10, 2)),
], ids=["inputs alone", "floats", "several numbers"])
def test_what_has_no_labels_is_split_plainly(data):
    rest, held_out = split(data, 0.3)
    assert (len(rest), len(held_out)) == (7, 3)
    assert len(rest.arrays) == len(data.arrays)


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ((labelled([0, 1]), 0), ValueError, "share lies between 0 and 1, got 0"),
    ((labelled([0, 1]), 1.0), ValueError, r"share lies between 0 and 1, got 1\.0"),
    ((labelled([0, 1]), float("nan")), ValueError, "share lies between 0 and 1"),
    ((labelled([0]),), ValueError, "one sample cannot be split"),
    ((labelled([3, 1, 2]), 0.2), ValueError, "3 samples of 3 classes, one of each, cannot be divided class by class"),
    ((np.zeros(3),), TypeError, "expected an ArrayDataset, got ndarray"),
])
def test_what_cannot_be_split_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        split(*arguments)
