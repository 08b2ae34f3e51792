"""Batches: complete, in the order asked for, reproducible, and free to take over."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.data import ArrayDataset, DataLoader
from chainrule.random import Generator


def numbers(n):
    return ArrayDataset(np.arange(n), np.arange(n) * 10)


def seen(loader):
    return [x.tolist() for x, _ in loader]


@given(n=st.integers(1, 60), size=st.integers(1, 70), shuffle=st.booleans(), drop=st.booleans(),
       seed=st.integers(0, 2**63 - 1))
def test_each_sample_comes_once_in_batches_of_the_size(n, size, shuffle, drop, seed):
    if drop and n < size:
        with pytest.raises(ValueError, match=f"no batch of {size} from {n} samples"):
            DataLoader(numbers(n), size, drop_last=True)
        return
    loader = DataLoader(numbers(n), size, shuffle, drop_last=drop, generator=seed)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert all(len(x) == size for x, _ in batches[:-1])
    together = np.concatenate([x for x, _ in batches])
    assert len(set(together.tolist())) == len(together) == (n - n % size if drop else n)
    if not shuffle:
        np.testing.assert_array_equal(together, np.arange(len(together)))
    for x, y in batches:
        np.testing.assert_array_equal(y, 10 * x)


def test_each_epoch_has_an_order_of_its_own_and_a_seed_repeats_them_all():
    a, b, c = (DataLoader(numbers(50), 7, True, generator=seed) for seed in (3, 3, 4))
    first, second = seen(a), seen(a)
    assert first != second
    assert [seen(b), seen(b)] == [first, second]
    assert seen(c) != first


def test_the_order_is_uniform():
    """Where sample 0 lands: 6 places, 6,000 times; each expected 1,000 times, 5 sigma is 145."""
    loader = DataLoader(numbers(6), 6, True, generator=0)
    places = np.bincount([seen(loader)[0].index(0) for _ in range(6000)], minlength=6)
    assert abs(places - 1000).max() < 145


def test_a_loader_with_a_seed_neither_moves_nor_is_moved_by_the_common_streams():
    loader = DataLoader(numbers(20), 20, True, generator=5)
    expected = seen(DataLoader(numbers(20), 20, True, generator=5))
    before = cr.random.shuffle.position, cr.random.user.position
    cr.random.permutation(100)
    assert seen(loader) == expected
    assert cr.random.shuffle.position == before[0]


def test_without_a_generator_the_common_stream_decides():
    cr.random.seed(9)
    first = seen(DataLoader(numbers(20), 20, True))
    assert seen(DataLoader(numbers(20), 20, True)) != first
    cr.random.seed(9)
    assert seen(DataLoader(numbers(20), 20, True)) == first


def test_a_generator_can_be_shared():
    generator = Generator(1, stream=1)
    loader = DataLoader(numbers(20), 5, True, generator=generator)
    assert loader.generator is generator
    seen(loader)
    assert generator.position > 0


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_tensor_takes_a_batch_over_without_a_copy(shuffle):
    x = np.zeros((8, 3), np.float32)
    x.flags.writeable = False
    for batch, in DataLoader(ArrayDataset(x), 4, shuffle, generator=0):
        assert not batch.flags.writeable
        assert np.shares_memory(cr.as_tensor(batch).numpy(), batch)


def test_a_shared_array_that_can_still_be_written_is_copied_by_the_tensor():
    x = np.zeros((4, 3), np.float32)
    batch, = next(iter(DataLoader(ArrayDataset(x), 4)))
    t = cr.as_tensor(batch)
    x[:] = 1
    np.testing.assert_array_equal(t.numpy(), 0)


class Squares:
    """A data set that knows only one sample at a time."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        assert type(index) is int
        return np.full(2, index, np.float32), index ** 2


@pytest.mark.parametrize("shuffle", [False, True])
def test_samples_of_other_data_sets_are_stacked(shuffle):
    batches = list(DataLoader(Squares(), 2, shuffle, generator=0))
    assert [(x.shape, y.shape) for x, y in batches] == [((2, 2), (2,)), ((2, 2), (2,)), ((1, 2), (1,))]
    for x, y in batches:
        assert (x.dtype, x.flags.writeable) == (np.float32, False)
        np.testing.assert_array_equal(y, x[:, 0] ** 2)


class Ragged(Squares):
    def __getitem__(self, index):
        return (np.zeros(index),)


# ------------------------------------------------------------------ in the middle of an epoch
@given(n=st.integers(1, 50), size=st.integers(1, 12), shuffle=st.booleans(), seed=st.integers(0, 2**63 - 1),
       epoch=st.integers(0, 3), data=st.data())
def test_an_epoch_goes_on_where_it_was_left(n, size, shuffle, seed, epoch, data):
    """From the generator's position before the epoch and the number of batches done, and from nothing else."""
    whole = DataLoader(numbers(n), size, shuffle, generator=seed)
    for _ in range(epoch):
        seen(whole)
    position = whole.generator.position
    expected, after = seen(whole), seen(whole)
    done = data.draw(st.integers(0, len(expected)))
    resumed = DataLoader(numbers(n), size, shuffle, generator=Generator(seed, 1, position))
    assert [x.tolist() for x, _ in resumed.batches(resumed.order(), done)] == expected[done:]
    assert seen(resumed) == after                                   # and the epoch after it is the same too


def test_one_epoch_takes_one_stretch_of_the_stream_however_much_of_it_is_used():
    a, b = (DataLoader(numbers(20), 4, True, generator=2) for _ in range(2))
    seen(a)
    next(iter(b))
    assert a.generator.position == b.generator.position > 0


def test_without_shuffle_there_is_no_order_and_nothing_is_drawn():
    loader = DataLoader(numbers(6), 4, generator=2)
    assert loader.order() is None
    assert [x.tolist() for x, _ in loader.batches(start=1)] == [[4, 5]]
    assert loader.generator.position == 0


@pytest.mark.parametrize(("arguments", "words"), [
    ((np.arange(5), 0), "an order of 5 samples does not fit a data set of 6"),
    ((None, 4), "an epoch has 3 batches, so it cannot go on after 4"),
    ((None, -1), "cannot go on after -1"),
])
def test_what_is_not_of_this_loader_is_refused_at_once(arguments, words):
    with pytest.raises(ValueError, match=words):
        DataLoader(numbers(6), 2, True).batches(*arguments)


# ------------------------------------------------------------------ batches of one's own making
def padded(samples):
    rows = [x for x, in samples]
    return np.array([np.pad(row, (0, max(map(len, rows)) - len(row)), constant_values=-1) for row in rows])


@pytest.mark.parametrize("shuffle", [False, True])
def test_collate_makes_the_batches(shuffle):
    loader = DataLoader(Ragged(), 2, shuffle, generator=0, collate=padded)
    batches = list(loader)
    order = np.arange(5) if not shuffle else DataLoader(numbers(5), 2, True, generator=0).order()
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [(row == 0).sum() for batch in batches for row in batch] == order.tolist()
    for i, batch in enumerate(batches):
        assert batch.shape[1] == order[2 * i:2 * i + 2].max()


def test_collate_is_given_the_samples_as_the_data_set_gives_them():
    given = []
    d = ArrayDataset(np.arange(4), np.arange(4) * 10, transform=lambda x: x + 0.5)
    assert list(DataLoader(d, 3, collate=lambda samples: given.append(samples) or len(samples))) == [3, 1]
    assert given == [[(0.5, 0), (1.5, 10), (2.5, 20)], [(3.5, 30)]]


def test_an_epoch_goes_on_where_it_was_left_with_collate_too():
    loader = DataLoader(Ragged(), 2, True, generator=3, collate=padded)
    expected = [batch.tolist() for batch in loader]
    loader.generator.position = 0
    assert [batch.tolist() for batch in loader.batches(loader.order(), 1)] == expected[1:]


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ((numbers(3), 0), ValueError, "batch_size.*got 0"),
    ((numbers(3), -1), ValueError, "batch_size.*got -1"),
    ((numbers(3), 2.0), ValueError, r"batch_size.*got 2\.0"),
    (([], 1), ValueError, "empty"),
    ((5, 1), TypeError, "expected a data set.*got int.*ArrayDataset"),
])
def test_what_cannot_be_loaded_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        DataLoader(*arguments)


def test_samples_that_do_not_stack_are_named():
    with pytest.raises(ValueError, match="samples of Ragged do not stack.*collate="):
        list(DataLoader(Ragged(), 2))
    with pytest.raises(ValueError, match="whole number from 0"):
        DataLoader(numbers(3), 1, generator=-1)
    with pytest.raises(TypeError, match="collate is a function.*got str"):
        DataLoader(numbers(3), 1, collate="pad")
