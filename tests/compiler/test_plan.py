"""Planned memory: what shares it, what must not, how matrices lie in it, and what is cut into blocks."""
from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.compiler.programs import recorded, training_step

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.numpy_executor import flat
from chainrule.compiler.passes import dead, fusion, improved
from chainrule.compiler.planning import blocks
from chainrule.compiler.planning.columns import in_columns
from chainrule.compiler.planning.plan import plan


def named(program, name):
    return [a.result for a in program.applications if a.gate.name == name]


def network(sizes, dtype=np.float32):
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b, dtype=dtype), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


# ------------------------------------------------------------------ sharing
def test_values_that_do_not_meet_share_memory():
    layout = plan(improved(recorded(lambda x: cr.sum(cr.exp(cr.tanh(cr.sin(x)))), np.zeros(100))))
    assert sorted(layout.sizes) == [8, 800]              # each over the one before, and their sum
    assert len(layout.slots) == 4
    assert layout.bytes == 808


def test_values_that_meet_do_not():
    program = recorded(lambda x: cr.cumsum(cr.cumsum(x, axis=0), axis=0) * cr.cumsum(x, axis=0), np.zeros(10))
    layout = plan(program)
    a, b, c = named(program, "cumsum")
    assert layout.slots[a] != layout.slots[b]            # a cumulative sum is not written over its argument
    assert layout.slots[b] != layout.slots[c] == layout.slots[a]


def test_the_memory_of_a_view_is_not_given_away():
    def function(x):
        y = cr.exp(x)
        return cr.sum(cr.reshape(y, (4,)) * cr.reshape(cr.sin(x), (4,))) + cr.sum(y[0])

    program = recorded(function, np.zeros((2, 2)))
    layout = plan(program)
    (y,), (z,) = named(program, "exp"), named(program, "sin")
    assert not {*named(program, "reshape")} & layout.slots.keys()
    assert layout.slots[y] != layout.slots[z]            # both are looked at through their views
    assert layout.slots[named(program, "multiply")[0]] not in (layout.slots[y], layout.slots[z])


def test_memory_of_other_sizes_is_shared_too():
    program = recorded(lambda x: cr.cumsum(cr.cumsum(x, axis=0)[:90], axis=0)[:80] * 2, np.zeros(100))
    layout = plan(program)
    assert sorted(layout.sizes) == [720, 800]            # 100 elements, then 90, then 80 where the 100 were


def test_arrays_begin_at_lines_of_the_cache_and_do_not_overlap():
    layout = plan(improved(recorded(lambda x: [cr.exp(x), cr.sin(x)[1:], cr.cos(x) + cr.sum(x, axis=0)],
                                    np.zeros((5, 7)))))
    buffers = layout.buffers()
    for x, array in buffers.items():
        assert array.ctypes.data % 64 == 0
        assert (array.shape, array.dtype) == x.kind
        for y, other in buffers.items():
            assert np.shares_memory(array, other) == (layout.slots[x] == layout.slots[y])


# ------------------------------------------------------------------ short rows
def step_of(model):
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return training_step(model, nn.MSELoss(), optimizer)


def test_matrices_with_short_rows_lie_column_by_column():
    x, y = np.ones((300, 5), np.float32), np.ones((300, 3), np.float32)
    program = improved(recorded(step_of(network([5, 4, 3])), x, y))
    columns = in_columns(program)
    narrow = [x for x in (*named(program, "matmul"), *named(program, "maximum"), *named(program, "greater"))
              if x.kind[0] == (300, 4)]
    assert len(narrow) == 4
    assert {*narrow} <= columns
    assert not [x for x in columns if x.kind[0] == (300, 3)]         # they meet the targets, an argument
    assert not [x for x in columns if x.kind[0][0] < 300]
    buffers = plan(program).buffers()
    assert all(buffers[x].flags.f_contiguous for x in narrow)


@pytest.mark.parametrize("spoilt", [lambda y: cr.reshape(y, (-1,)), lambda y: y[1:], lambda y: cr.cumsum(y, axis=0),
                                    lambda y: cr.transpose(y) * 2, lambda y: y + np.ones((300, 3))])
def test_unless_something_else_is_done_with_them(spoilt):
    program = recorded(lambda x: [spoilt(cr.matmul(x, np.ones((2, 3))) + 1)], np.ones((300, 2)))
    assert not in_columns(program)
    assert in_columns(recorded(lambda x: cr.sum(cr.matmul(x, np.ones((2, 3))) + 1), np.ones((300, 2))))


def test_products_sums_and_results_do_not_mind():
    def function(x):
        y = cr.tanh(cr.matmul(x, np.arange(6.0).reshape(2, 3)))
        return [y, cr.matmul(cr.transpose(y), x), cr.matmul(y, np.eye(3)), cr.sum(y, axis=0), cr.sum(y, axis=1),
                cr.max(y, axis=1, keepdims=True), cr.mean(y), cr.sum_to(y, (1, 3)),
                y - cr.max(y, axis=1, keepdims=True)]

    x = np.random.default_rng(0).normal(size=(300, 2))
    program = dead(recorded(function, x))
    assert len(in_columns(program)) == 4
    y = np.tanh(x @ np.arange(6.0).reshape(2, 3))
    expected = [y, y.T @ x, y, y.sum(0), y.sum(1), y.max(1, keepdims=True), y.mean(), y.sum(0, keepdims=True),
                y - y.max(1, keepdims=True)]
    for ours, theirs in zip(flat(program)([x]), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-13, atol=1e-13)
        assert ours.array.flags.c_contiguous


# ------------------------------------------------------------------ blocks
def test_large_chains_are_cut_and_need_little_memory():
    n = 10 * blocks.BLOCK + 5
    program = fusion(dead(recorded(lambda x: cr.exp(x * 2) + cr.tanh(x), np.zeros(n))))
    layout = plan(program)
    (cut,) = layout.cuts.values()
    assert (cut.flat, cut.length, len(cut.spans)) == (True, n, 11)
    assert sorted(layout.sizes) == [8 * blocks.BLOCK] * 2 + [8 * n]          # two temporaries, and the result
    x = np.random.default_rng(0).normal(size=n)
    np.testing.assert_array_equal(flat(program)([x]).numpy(), np.exp(x * 2) + np.tanh(x))


def test_small_ones_are_not():
    assert not plan(fusion(dead(recorded(lambda x: cr.exp(x * 2), np.zeros(2 * blocks.BLOCK))))).cuts


@pytest.mark.parametrize(("function", "flat_"), [
    (lambda x, r: cr.exp(x * 2) + 1, True),
    (lambda x, r: cr.exp(x * r) + 1, False),                     # a row beside each row
    (lambda x, r: cr.exp(x * cr.expand_dims(x[:, 0], 1)) - 1, False),
    (lambda x, r: [cr.sum(y := cr.exp(x + r), axis=1), cr.sum(y, axis=0)], False),
    (lambda x, r: [cr.max(cr.exp(x + r), axis=-1, keepdims=True), cr.sum(x * r)], False),
    (lambda x, r: [cr.sum(cr.exp(x) * 2), cr.mean(x + 1, axis=0)], True),
    (lambda x, r: cr.where(x > r, cr.broadcast_to(r, x.shape), x) * 2, False)])
def test_blocks_are_of_elements_or_of_rows(monkeypatch, function, flat_):
    """What is summed over the rows comes after the blocks. Sums of rows may be rounded in another order."""
    x, r = np.random.default_rng(0).normal(size=(7, 5)), np.arange(5.0)
    program = dead(recorded(function, x, r))
    monkeypatch.setattr(blocks, "BLOCK", 10)
    cuts = plan(fusion(program)).cuts
    assert {cut.flat for cut in cuts.values()} == {flat_}
    assert {cut.size for cut in cuts.values()} == {10 if flat_ else 2}
    for given in ([x, r], [np.asfortranarray(x), r], [x[::-1], r[::-1]]):
        expected = flat(program)(given)
        found = flat(fusion(program))(given)
        for ours, theirs in zip(*[z if isinstance(z, list) else [z] for z in (found, expected)], strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-14)


@pytest.mark.parametrize("mirror", [lambda y: y[::-1], cr.transpose, lambda y: cr.expand_dims(y[0], 1)],
                         ids=["rows backward", "transposed", "a row as a column"])
def test_a_block_does_not_write_over_what_a_later_one_looks_at_another_way(mirror):
    """The result would lie where y lies, whose last use this is; but y is seen through a view too."""
    x = np.random.default_rng(0).normal(size=(300, 300))
    program = fusion(dead(recorded(lambda x: cr.exp(x + mirror(y := cr.tanh(x))) * y, x)))
    assert plan(program).cuts
    y = np.tanh(x)
    np.testing.assert_array_equal(flat(program)([x]).numpy(), np.exp(x + mirror(cr.Tensor(y)).numpy()) * y)
