"""Tensors: who owns which memory, what may be written when, dtypes, looks, copies.

The promise under test: an in-place write is either harmless or caught. It never changes a gradient silently, nor a
value that somebody else holds.
"""
from __future__ import annotations

import copy
import enum
import gc
import math
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

import chainrule as cr
from chainrule import Tensor, no_grad
from chainrule import gates as g

Array = NDArray[Any]


def leaf(value: Any, **options: Any) -> Any:
    return Tensor(value, requires_grad=True, **options)


def f32(*values: Any) -> Array:
    return np.array(values, np.float32)


def same(a: Any, b: Any) -> bool:
    """Value, shape and dtype."""
    a, b = (np.asarray(x.array if isinstance(x, Tensor) else x) for x in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b))


# ------------------------------------------------------------------ construction
class TestConstruction:
    def test_copies_an_array(self) -> None:
        source = np.array([1.0, 2.0])
        t = Tensor(source)
        source[:] = 9
        assert same(t, np.array([1.0, 2.0]))
        with no_grad():
            t += 5
        assert same(source, np.array([9.0, 9.0]))

    def test_copies_a_tensor(self) -> None:
        a = Tensor([1.0, 2.0])
        b = Tensor(a)
        with no_grad():
            a += 1
        assert same(b, np.array([1.0, 2.0]))

    def test_of_a_graph_it_is_a_constant_leaf(self) -> None:
        assert not Tensor(leaf([1.0]) * 2).requires_grad

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool",
                                       "complex64", "complex128"])
    def test_keeps_the_dtype(self, dtype: str) -> None:
        assert Tensor(np.ones(2, dtype)).dtype == dtype
        assert cr.as_tensor(np.ones(2, dtype)).dtype == dtype

    def test_python_numbers_become_what_numpy_makes_of_them(self) -> None:
        assert [Tensor(x).dtype for x in (1.0, 1, True, 1j)] == [np.asarray(x).dtype for x in (1.0, 1, True, 1j)]

    @pytest.mark.parametrize("value", ["text", None, object(), np.array([None]), ["a", "b"],
                                       np.array(["2020-01-01"], "datetime64[D]")])
    def test_refuses_what_is_no_number(self, value: Any) -> None:
        with pytest.raises(TypeError, match="a tensor holds numbers"):
            Tensor(value)
        with pytest.raises(TypeError, match="a tensor holds numbers"):
            cr.as_tensor(value)

    def test_refuses_ragged_lists(self) -> None:
        with pytest.raises(ValueError, match="rows of equal length, got list"):
            Tensor([[1.0], [1.0, 2.0]])

    def test_memory_is_in_rows_whatever_it_came_from(self) -> None:
        assert Tensor(np.ones((3, 2)).T).array.flags.c_contiguous
        assert Tensor(np.ones((4, 4))[::2, ::2]).array.flags.c_contiguous

    def test_a_list_of_tensors_that_need_gradients_is_refused(self) -> None:
        with pytest.raises(TypeError, match="lose the gradient"):
            Tensor([leaf(1.0), leaf(2.0)])


class TestAsTensor:
    def test_a_tensor_is_itself(self) -> None:
        t = leaf([1.0])
        assert cr.as_tensor(t) is t
        assert cr.as_tensor(t, np.float64) is t

    def test_another_dtype_is_a_gate(self) -> None:
        t = leaf([1.0])
        cr.as_tensor(t, np.float32).sum().backward()
        assert same(t.grad, np.array([1.0]))

    def test_shares_what_is_read_only_down_to_the_owner(self) -> None:
        source = np.arange(6.0)
        source.flags.writeable = False
        for array in (source, source[1:4], source.reshape(2, 3).T):
            assert np.shares_memory(cr.as_tensor(array).array, source)

    def test_copies_what_can_be_written(self) -> None:
        source = np.arange(6.0)
        t = cr.as_tensor(source)
        source[:] = -1
        assert same(t, np.arange(6.0))

    def test_copies_a_read_only_view_of_what_can_be_written(self) -> None:
        source = np.arange(6.0)
        view = source[1:4]
        view.flags.writeable = False
        t = cr.as_tensor(view)
        source[:] = -1
        assert same(t, np.array([1.0, 2.0, 3.0]))

    def test_copies_memory_that_is_not_numpys(self) -> None:
        raw = bytearray(np.arange(3.0).tobytes())
        view = np.frombuffer(raw)
        view.flags.writeable = False
        t = cr.as_tensor(view)
        raw[:] = bytes(len(raw))
        assert same(t, np.arange(3.0))

    def test_a_subclass_of_ndarray_becomes_a_plain_array(self) -> None:
        class Odd(np.ndarray[Any, Any]):
            def __mul__(self, other: Any) -> Any:
                raise AssertionError("the subclass has no say")

        assert type(cr.as_tensor(np.ones(2).view(Odd)).array) is np.ndarray
        assert type((leaf([1.0, 1.0]) * np.ones(2).view(Odd)).array) is np.ndarray

    def test_writing_a_shared_one_leaves_the_source_alone(self) -> None:
        source = np.arange(3.0)
        source.flags.writeable = False
        t = cr.as_tensor(source)
        with no_grad():
            t += 1
        assert same(source, np.arange(3.0))
        assert same(t, np.arange(3.0) + 1)


# ------------------------------------------------------------------ who sees a write
VIEWS: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda t: t.reshape(4),
    "reshape to a tuple": lambda t: t.reshape((4, 1)),
    "ravel": lambda t: t.ravel(),
    "flatten": lambda t: t.flatten(),
    "T": lambda t: t.T,
    "transpose": lambda t: t.transpose(1, 0),
    "swapaxes": lambda t: t.swapaxes(0, 1),
    "moveaxis": lambda t: g.moveaxis(t, 0, 1),
    "row": lambda t: t[0],
    "slice": lambda t: t[:, 1:],
    "backwards": lambda t: t[::-1],
    "all": lambda t: t[...],
    "newaxis": lambda t: t[None],
    "flip": lambda t: g.flip(t),
    "broadcast_to": lambda t: g.broadcast_to(t, (3, 2, 2)),
    "expand_dims": lambda t: g.expand_dims(t, 0),
    "squeeze": lambda t: g.squeeze(g.expand_dims(t, 0)),
    "split": lambda t: g.split(t, 2)[1],
    "detach": lambda t: t.detach(),
    "einsum transpose": lambda t: g.einsum("ij->ji", t),
    "einsum diagonal": lambda t: g.einsum("ii->i", t),
    "iteration": lambda t: next(iter(t)),
    "a view of a view": lambda t: t.T[0][1:].reshape(1, 1),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "+=": lambda t: t.__iadd__(10.0),
    "-=": lambda t: t.__isub__(10.0),
    "*=": lambda t: t.__imul__(10.0),
    "/=": lambda t: t.__itruediv__(10.0),
    "**=": lambda t: t.__ipow__(2.0),
    "assign": lambda t: t.assign(99.0),
    "[...] =": lambda t: t.__setitem__(..., 99.0),
    "[0] =": lambda t: t.__setitem__(0, 99.0),
}
VALUE = np.array([[1.5, 2.0], [3.0, 4.0]])


def write(t: Tensor, how: str) -> None:
    with no_grad():
        WRITES[how](t)


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_view_does_not_see_a_write_into_its_source(view: str, how: str, recorded: bool) -> None:
    t = Tensor(VALUE, requires_grad=recorded)
    v = VIEWS[view](t)
    before = np.array(v.array)
    write(t, how)
    assert same(v, before)
    assert not np.array_equal(t.array, VALUE), "the write itself must have happened"


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_source_does_not_see_a_write_into_its_view(view: str, how: str) -> None:
    for t in (Tensor(VALUE), leaf(VALUE)):
        with no_grad():
            v = VIEWS[view](t)
        write(v, how)
        assert same(t, VALUE)


@pytest.mark.parametrize("view", VIEWS)
def test_a_second_write_is_as_harmless_as_the_first(view: str) -> None:
    t = Tensor(VALUE)
    for _ in range(3):
        v = VIEWS[view](t)
        before, source = np.array(v.array), np.array(t.array)
        write(t, "+=")
        assert same(v, before)
        write(v, "assign")
        assert same(t, source + 10)


LOOKS: dict[str, Callable[[Any], Array]] = {
    "numpy": lambda t: t.numpy(),
    "asarray": np.asarray,
    "detach": lambda t: t.detach().numpy(),
    "T": lambda t: t.T.numpy(),
    "iteration": lambda t: next(iter(t)).numpy(),
}


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("look", LOOKS)
def test_what_was_handed_out_is_read_only_and_never_changes(look: str, how: str) -> None:
    t = Tensor(VALUE)
    for _ in range(2):
        seen = LOOKS[look](t)
        before = seen.copy()
        assert not seen.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            seen[0] = 9
        write(t, how)
        write(t, "+=")
        assert same(seen, before)


def test_writes_stay_in_place_while_nobody_looks() -> None:
    t = leaf(np.zeros(1000))
    memory = t.array
    for _ in range(3):
        write(t, "+=")
    assert t.array is memory


def test_a_look_costs_one_move_only() -> None:
    t = Tensor(np.zeros(3))
    t.numpy()
    write(t, "+=")
    memory = t.array
    write(t, "+=")
    assert t.array is memory


def test_a_view_of_a_raw_array_by_a_tensor_index_is_a_copy() -> None:
    source = np.zeros((2, 2))
    picked = g.getitem(source, Tensor(1))
    first = cr.Gate("first_for_a_test", lambda x, y: x, (lambda dz, z, x, y: dz, None), view=True)
    try:
        chosen = first(source, leaf(1.0))
    finally:
        del cr.GATES["first_for_a_test"]
    source[:] = 7
    assert same(picked, np.zeros(2))
    assert same(chosen, np.zeros((2, 2)))


def test_no_gate_result_shares_memory_unless_it_says_so() -> None:
    """Every gate that may return memory of its argument must be marked as a view; this finds the others."""
    x = np.linspace(0.5, 3.5, 4).reshape(2, 2)
    calls: dict[str, Any] = {
        "broadcast_to": {"shape": (1, 2, 2)}, "cast": {"dtype": np.dtype(float)}, "reshape": {"shape": (4,)},
        "expand_dims": {"axis": 0}, "swapaxes": {"axis1": 0, "axis2": 1}, "moveaxis": {"source": 0, "destination": 1},
        "roll": {"shift": 0}, "pad": {"pad_width": 0}, "sum_to": {"shape": (2, 2)}, "sum": {"axis": ()},
        "max": {"axis": ()}, "min": {"axis": ()}, "prod": {"axis": ()}, "mean": {"axis": ()}, "cumsum": {"axis": 0},
        "einsum": {"subscripts": "ij->ij"}, "concatenate": {"axis": 0}, "scatter_add": {"shape": (2, 2)}}
    arguments: dict[str, Any] = {
        "where": (np.ones((2, 2), bool), x, x), "linear": (x, x), "getitem": (x, slice(None)), "clip": (x, None, None),
        "scatter_add": (x, slice(None)), "take_along_axis": (x, np.array([[0, 1], [0, 1]]))}
    tried = 0
    for name, gate in cr.GATES.items():
        if gate.module.startswith("chainrule.gates") and not name.startswith(("philox", "put_along")):
            for dtype in (float, int, bool):
                given = arguments.get(name, (x,) * (gate.arity if gate.arity and gate.arity < 3 else 1))
                given = tuple(a.astype(dtype) if a is x else a for a in given)
                before = [np.array(a) for a in given if isinstance(a, np.ndarray)]
                try:
                    with np.errstate(all="ignore"):
                        z = gate.value(*given, **calls.get(name, {}))
                except (TypeError, ValueError):
                    continue                           # not made for this dtype
                tried += 1
                arrays = [a for a in given if isinstance(a, np.ndarray)]
                assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True)), f"{name} wrote"
                if not gate.is_view:
                    assert not any(np.shares_memory(z, a) for a in arrays), f"{name} of {dtype} shares memory"
                else:
                    assert not any(np.shares_memory(z, a) for a in arrays[1:]), name
    assert tried > 100


# ------------------------------------------------------------------ a recorded gate keeps its operands
RAW: dict[str, Callable[[Any, Array], Any]] = {
    "t * a": lambda t, a: t * a,
    "a * t": lambda t, a: a * t,
    "t / a": lambda t, a: t / a,
    "a / t": lambda t, a: a / t,
    "t @ a": lambda t, a: t @ a,
    "a @ t": lambda t, a: a @ t,
    "t ** a": lambda t, a: t**a,
    "maximum": lambda t, a: g.maximum(t, a),
    "linear": lambda t, a: g.linear(t, a),
    "where": lambda t, a: g.where(a > 1, t, a) * a,
    "einsum": lambda t, a: g.einsum("ij,jk->ik", t, a),
    "a slice of a": lambda t, a: t * a[:, ::-1],
    "np.multiply": lambda t, a: np.multiply(a, t),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_operand_may_be_written_before_backward(name: str) -> None:
    operand = np.array([[2.0, 0.5], [1.5, 3.0]])
    t, twin = leaf(VALUE), leaf(VALUE)
    (RAW[name](twin, operand.copy()) ** 2).sum().backward()
    loss = (RAW[name](t, operand) ** 2).sum()
    operand[:] = 100
    loss.backward()
    assert same(t.grad, twin.grad)


@pytest.mark.parametrize("index", [np.array([1, 0]), np.array([True, False]), np.array([[0, 0], [1, 0]])])
def test_a_raw_index_may_be_written_before_backward(index: Array) -> None:
    t, twin = leaf(VALUE), leaf(VALUE)
    (twin[index.copy()] ** 2).sum().backward()
    loss = (t[index] ** 2).sum()
    index[...] = index[::-1].copy()
    loss.backward()
    assert same(t.grad, twin.grad)


@pytest.mark.parametrize(("gate", "option", "value", "later"), [
    (g.transpose, "axes", [2, 0, 1], [0, 1, 2]),
    (g.roll, "shift", np.array([1]), np.array([2])),
    (g.reshape, "shape", [4, 6], [24]),
    (g.moveaxis, "source", [0, 1], [1, 2]),
])
def test_an_option_may_be_written_before_backward(gate: Any, option: str, value: Any, later: Any) -> None:
    others: dict[str, Any] = {"moveaxis": {"destination": [1, 2]}, "roll": {"axis": (0,)}}
    more = others.get(gate.name, {})
    x, twin = leaf(np.zeros((2, 3, 4))), leaf(np.zeros((2, 3, 4)))
    weights = np.arange(24.0)
    z = gate(twin, **{option: copy.deepcopy(value)}, **more)
    (z * weights.reshape(z.shape)).sum().backward()
    z = gate(x, **{option: value}, **more)
    loss = (z * weights.reshape(z.shape)).sum()
    value[:] = later
    loss.backward()
    assert same(x.grad, twin.grad)


# ------------------------------------------------------------------ in-place operators
class TestInPlaceOperators:
    def test_the_textbook_loop_works(self) -> None:
        w = leaf([5.0, -3.0], name="w")
        memory = w.array
        for _ in range(3):
            w.grad = None
            (w * w).sum().backward()
            with no_grad():
                w -= 0.25 * w.grad                     # w becomes w / 2
        assert same(w, np.array([5.0, -3.0]) / 8)
        assert w.array is memory
        assert w.requires_grad
        assert w.is_leaf

    @pytest.mark.parametrize("how", ["+=", "-=", "*=", "/=", "**="])
    def test_on_a_leaf_that_needs_a_gradient_outside_no_grad_they_raise(self, how: str) -> None:
        w = leaf(VALUE, name="weight")
        with pytest.raises(RuntimeError, match=r"weight requires a gradient.*with no_grad\(\):.*w = w \+"):
            WRITES[how](w)
        assert same(w, VALUE)

    @pytest.mark.parametrize("how", ["+=", "-=", "*=", "/=", "**="])
    def test_on_a_constant_they_make_a_new_tensor(self, how: str) -> None:
        t = Tensor(VALUE)
        new = WRITES[how](t)
        assert new is not t
        assert same(t, VALUE)

    def test_a_new_tensor_remembers(self) -> None:
        total, w = Tensor(0.0), leaf(3.0)
        for _ in range(2):
            total += w * w
        total.backward()
        assert same(w.grad, np.array(12.0))

    @pytest.mark.parametrize("how", ["+=", "-=", "*=", "/=", "**="])
    def test_on_a_result_they_make_a_new_tensor_also_under_no_grad(self, how: str) -> None:
        x = leaf(VALUE)
        y = x.exp()                                    # its derivative uses the result
        with no_grad():
            new = WRITES[how](y)
        assert new is not y
        assert not new.requires_grad
        y.sum().backward()
        assert same(x.grad, np.exp(VALUE))

    @pytest.mark.parametrize("how", ["assign", "[...] =", "[0] ="])
    @pytest.mark.parametrize("guard", [True, False])
    def test_a_result_cannot_be_written(self, how: str, guard: bool) -> None:
        x = leaf(VALUE)
        y = x.exp()
        y.name = "hidden"
        with pytest.raises(RuntimeError, match=r"hidden .*detach\(\)"):
            write(y, how) if guard else WRITES[how](y)
        y.sum().backward()
        assert same(x.grad, np.exp(VALUE))

    def test_a_constant_made_under_no_grad_can(self) -> None:
        with no_grad():
            y = leaf(VALUE) * 2
            y += 1
            y[0] = 0
        y.assign(7)
        assert same(y, np.full((2, 2), 7.0))

    def test_a_wrong_shape_is_named(self) -> None:
        t = Tensor(VALUE, name="bias")
        with no_grad(), pytest.raises(ValueError, match=r"add\(float64 \(2, 2\), float64 \(3,\), out=.*broadcast"):
            t += np.zeros(3)
        with pytest.raises(ValueError, match=r"cannot write a value of shape \(3,\) into bias of shape \(2, 2\)"):
            t.assign(np.zeros(3))
        with pytest.raises(IndexError, match=r"cannot write 0 at \[5\] of bias, float64 \(2, 2\): index 5 is out of"):
            t[5] = 0
        with pytest.raises(ValueError, match=r"cannot write float64 \(3,\) at \[0\] of bias"):
            t[0] = np.zeros(3)
        assert same(t, VALUE)

    def test_they_keep_the_dtype(self) -> None:
        t = Tensor(VALUE.astype(np.float32))
        with no_grad():
            t -= np.float64(0.5) * np.ones((2, 2))
            t *= 2.0
        t.assign(np.ones((2, 2)))
        assert t.dtype == np.float32
        with no_grad(), pytest.raises(TypeError, match="divide"):
            Tensor([1, 2]).__itruediv__(2)

    def test_an_operand_may_be_a_view_of_what_is_written(self) -> None:
        t = Tensor([1.0, 2.0, 3.0])
        with no_grad():
            t += t[::-1]
        assert same(t, np.array([4.0, 4.0, 4.0]))
        t.assign([1.0, 2.0, 3.0])
        t.assign(t[::-1])
        assert same(t, np.array([3.0, 2.0, 1.0]))
        t[1:] = t[:-1]
        assert same(t, np.array([3.0, 3.0, 2.0]))

    def test_its_own_gradient_may_share_the_memory_of_what_is_written(self) -> None:
        w = leaf([1.0, 2.0])
        (w + 0.0).backward(w)                          # the gradient is w itself
        with no_grad():
            w -= w.grad
            w -= w.grad
        assert same(w, np.array([-1.0, -2.0]))
        assert same(w.grad, np.array([1.0, 2.0]))


class TestSetItem:
    def test_where_there_is_no_history_it_writes(self) -> None:
        t = Tensor(np.zeros((2, 2)))
        memory = t.array
        t[0, 1] = 5
        t[1] = Tensor([1.0, 2.0])
        assert t.array is memory
        t[Tensor([True, False])] += 1
        assert same(t, np.array([[1.0, 6.0], [1.0, 2.0]]))

    def test_a_parameter_is_written_under_no_grad_only(self) -> None:
        w = leaf([1.0, 2.0], name="w")
        with pytest.raises(RuntimeError, match=r"w is part of a graph.*where\(mask, new, old\) or concatenate"):
            w[0] = 5
        with no_grad():
            w[0] = 5
        assert same(w, np.array([5.0, 2.0]))

    def test_a_value_with_a_history_is_refused(self) -> None:
        t, w = Tensor([1.0, 2.0]), leaf(3.0)
        for value in (w, w * 2):
            with pytest.raises(RuntimeError, match="where"):
                t[0] = value
        assert same(t, np.array([1.0, 2.0]))
        with no_grad():
            t[0] = w
        assert same(t, np.array([3.0, 2.0]))


# ------------------------------------------------------------------ a write is noticed by backward
USES: dict[str, Callable[[Any, Any], Any]] = {
    "multiply": lambda t, c: t * c,
    "subtract": lambda t, c: t - c,
    "matmul": lambda t, c: t @ c,
    "power": lambda t, c: c**2 * t,
    "getitem": lambda t, c: c[0] * t,
    "reshape": lambda t, c: c.reshape(4) * t.reshape(4),
    "sum": lambda t, c: t * c.sum(),
    "where": lambda t, c: g.where(c > 0, t, c),
    "concatenate": lambda t, c: g.concatenate([t, c]) ** 2,
}


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("use", USES)
def test_a_parameter_written_before_backward_is_caught(use: str, how: str) -> None:
    t, c = leaf(VALUE), leaf(VALUE, name="weight")
    loss = USES[use](t, c).sum()
    write(c, how)
    with pytest.raises(RuntimeError, match=r"weight of shape \(2, 2\) was written in place after \w+ used it"):
        loss.backward()
    assert t.grad is None
    assert c.grad is None


@pytest.mark.parametrize("how", WRITES)
def test_a_frozen_parameter_written_before_backward_is_caught(how: str) -> None:
    t, frozen = leaf(VALUE), Tensor(VALUE, name="frozen")
    loss = (t * frozen).sum()
    write(frozen, how)
    with pytest.raises(RuntimeError, match=r"frozen .*after multiply used it"):
        loss.backward()


@pytest.mark.parametrize("index", [[1, 0], [True, False]])
def test_an_index_tensor_written_before_backward_is_caught(index: list[Any]) -> None:
    t, i = leaf(VALUE), Tensor(index, name="index")
    loss = t[i].sum()
    i.assign(i[::-1])
    with pytest.raises(RuntimeError, match=r"index .*after getitem used it"):
        loss.backward()


def test_a_write_between_two_uses_is_caught() -> None:
    p = leaf([2.0], name="p")
    y = p * 3
    with no_grad():
        p += 1
    z = (p * y).sum()
    with pytest.raises(RuntimeError, match=r"p .*multiply"):
        z.backward()
    assert p.grad is None


def test_a_write_before_the_first_use_is_harmless() -> None:
    p = leaf([2.0])
    with no_grad():
        p += 1
    (p * p).sum().backward()
    assert same(p.grad, np.array([6.0]))


def test_a_write_into_an_alias_is_harmless() -> None:
    x = leaf(VALUE)
    loss = (x * x).sum()
    with no_grad():
        for alias in (x.detach(), x.T, x[0], Tensor(x), x.clone()):
            alias *= 100
    loss.backward()
    assert same(x.grad, 2 * VALUE)


def test_a_write_for_the_second_pass_is_caught_too() -> None:
    x = leaf(VALUE)
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    write(x, "+=")
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()
    assert same(x.grad, 2 * VALUE)


# ------------------------------------------------------------------ gradients are nobody else's memory
class TestGradients:
    @pytest.mark.parametrize("create_graph", [False, True])
    def test_two_leaves_with_one_gradient_do_not_share_it(self, create_graph: bool) -> None:
        a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        (a + b).backward([1.0, 10.0], create_graph=create_graph)
        assert a.grad is not b.grad
        with no_grad():
            for p in (a, b):
                p.grad *= 0.5                          # clipping
        assert same(a.grad, np.array([0.5, 5.0]))
        assert same(b.grad, np.array([0.5, 5.0]))

    @pytest.mark.parametrize("create_graph", [False, True])
    @pytest.mark.parametrize("as_tensor", [False, True])
    def test_the_seed_is_not_shared(self, create_graph: bool, as_tensor: bool) -> None:
        a, seed = leaf([1.0, 2.0]), np.array([1.0, 10.0])
        given: Any = Tensor(seed) if as_tensor else seed
        (a + 0.0).backward(given, create_graph=create_graph)
        with no_grad():
            given *= 100
        assert same(a.grad, np.array([1.0, 10.0]))
        with no_grad():
            a.grad *= 0.0
        assert same(given, np.array([100.0, 1000.0]))

    def test_a_gradient_may_be_kept_while_more_is_added(self) -> None:
        a = leaf([1.0, 2.0])
        (a * 2).sum().backward()
        first = a.grad
        look = first.numpy()
        (a * 2).sum().backward()
        assert same(first, np.array([2.0, 2.0]))
        assert same(look, np.array([2.0, 2.0]))
        assert same(a.grad, np.array([4.0, 4.0]))

    def test_a_gradient_that_is_a_broadcast_view_can_be_written(self) -> None:
        a = leaf(np.zeros((2, 3)))
        a.sum().backward()
        with no_grad():
            a.grad[0] = 5
            a.grad -= 1
        assert same(a.grad, np.array([[4.0] * 3, [0.0] * 3]))

    @pytest.mark.parametrize("gate", [g.add, g.subtract])
    def test_a_gradient_that_a_gate_passes_on_is_not_added_into(self, gate: Any) -> None:
        x, y = leaf([1.0]), leaf([1.0])
        a = gate(x, y)                                 # dz goes on to x as it is
        (a + x + x * 3 + a).sum().backward()
        assert same(x.grad, np.array([6.0]))
        assert same(y.grad, np.array([2.0 if gate is g.add else -2.0]))

    def test_setting_it_checks_shape_and_gives_it_the_dtype(self) -> None:
        a = leaf(f32(1.0, 2.0))
        for value in ([1, 2], np.array([1.0, 2.0]), Tensor([1.0, 2.0])):
            a.grad = value
            assert same(a.grad, f32(1.0, 2.0))
        source = f32(1.0, 2.0)
        a.grad = source
        source[:] = 9
        assert same(a.grad, f32(1.0, 2.0))
        with pytest.raises(ValueError, match=r"shape \(2,\), got \(3,\)"):
            a.grad = np.ones(3)
        a.grad = None
        assert a.grad is None


class TestRequiresGrad:
    def test_only_floating_point_tensors_can(self) -> None:
        for value in (1, True, 1j, np.array([1, 2])):
            with pytest.raises(TypeError, match=r"only floating-point tensors.*1\.0 instead of 1.*astype"):
                Tensor(value, requires_grad=True)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_floating_point_tensors_of_any_width_can(self, dtype: str) -> None:
        t = leaf(np.ones(2, dtype))
        (t * t).sum().backward()
        assert same(t.grad, np.full(2, 2, dtype))

    def test_it_can_be_given_to_and_taken_from_a_leaf(self) -> None:
        t = Tensor([1.0])
        assert t.requires_grad_() is t
        assert t.requires_grad
        assert t.requires_grad_(False).requires_grad is False

    def test_it_cannot_be_taken_from_a_result(self) -> None:
        y = leaf([1.0]) * 2
        with pytest.raises(RuntimeError, match=r"from a leaf only, not from a result of multiply; use \.detach"):
            y.requires_grad = False
        y.requires_grad = True                         # it does already

    def test_whole_numbers_are_constants(self) -> None:
        x = leaf([1.7, 2.0])
        for dtype in (np.int64, np.bool_, np.complex128):
            assert not x.astype(dtype).requires_grad
        assert same(x.astype(np.int64), np.array([1, 2]))
        g.cast(g.cast(x, dtype=np.int64), dtype=np.float64).sum().backward()
        assert same(x.grad, np.zeros(2))               # steps, whichever way they are taken

    def test_comparisons_and_steps_are_constants(self) -> None:
        x = leaf([1.5, -2.0])
        for z in (x > 0, x == x, x.floor(), x.round(), g.argmax(x), g.isnan(x), x.detach()):
            assert not z.requires_grad
            assert z.is_leaf


# ------------------------------------------------------------------ dtypes
class TestDtypes:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "bool"])
    @pytest.mark.parametrize("scalar", [True, 2, 2.0])
    @pytest.mark.parametrize("op", ["add", "multiply", "divide", "maximum", "power"])
    def test_with_python_numbers_as_numpy_has_it(self, dtype: str, scalar: Any, op: str) -> None:
        array, ufunc = np.ones(2, dtype), getattr(np, op)
        for args in ((array, scalar), (scalar, array)):
            expected = ufunc(*args)
            z = getattr(g, op)(*[Tensor(x) if x is array else x for x in args])
            assert same(z, expected)

    @pytest.mark.parametrize("a", ["float16", "float32", "float64", "int32", "int64", "bool"])
    @pytest.mark.parametrize("b", ["float16", "float32", "float64", "int32", "int64", "bool"])
    def test_with_arrays_and_numpy_scalars_as_numpy_has_it(self, a: str, b: str) -> None:
        x, y = np.ones(2, a), np.ones(2, b)
        for other in (y, y[0]):
            expected = (x * other).dtype
            assert (Tensor(x) * other).dtype == expected
            assert (other * Tensor(x)).dtype == expected
            assert (Tensor(x) * Tensor(other)).dtype == expected

    def test_reductions_keep_float32(self) -> None:
        x = leaf(np.ones((2, 3), np.float32))
        for z in (x.sum(), x.mean(), x.max(), x.prod(), x.var(), x.std(), x.sum(axis=0), x.logsumexp(), x[0, 0]):
            assert z.dtype == np.float32
            assert (z * 2.0 + 1).dtype == np.float32

    def test_an_intenum_widens_no_more_than_an_int(self) -> None:
        class Level(enum.IntEnum):
            high = 2

        assert (Tensor(f32(1.0)) * Level.high).dtype == np.float32

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    @pytest.mark.parametrize("other", ["float16", "float32", "float64"])
    def test_a_gradient_has_its_tensors_dtype(self, dtype: str, other: str) -> None:
        for create_graph in (False, True):
            x, y = leaf(np.ones((2, 2), dtype)), leaf(np.ones((3, 2, 1), other))
            (x * y + y).sum().backward(create_graph=create_graph)
            assert (str(x.grad.dtype), str(y.grad.dtype)) == (dtype, other)
            assert (x.grad.shape, y.grad.shape) == (x.shape, y.shape)

    def test_complex_numbers_have_no_gradient_here_and_say_so(self) -> None:
        x = leaf([1.0])
        loss = (x * np.array([1j])).sum()
        with pytest.raises(TypeError, match="multiply of a real tensor and complex numbers"):
            loss.backward()

    def test_an_array_of_objects_is_refused(self) -> None:
        objects = np.array([None, 2.0])
        for t in (Tensor([1.0, 2.0]), leaf([1.0, 2.0])):
            for call in (lambda a, b: a * b, lambda a, b: b * a, np.maximum):
                with pytest.raises(TypeError):
                    call(t, objects)
        numbers = np.array([Fraction(1, 2), 2], object)
        with pytest.raises(TypeError, match=r"multiply: expected arrays of numbers, got float64 \(2,\), object \(2,\)"):
            Tensor([1.0, 2.0]) * numbers


# ------------------------------------------------------------------ as Python sees it
class TestPython:
    def test_numbers(self) -> None:
        for t in (Tensor(2.5), Tensor([2.5]), Tensor([[2.5]])):
            assert float(t) == 2.5
            assert int(t) == 2
            assert t.item() == 2.5
            assert type(t.item()) is float

    @pytest.mark.parametrize("make", [float, int, np.asarray, np.array, range(3).__getitem__])
    def test_a_number_or_array_of_what_needs_a_gradient_is_refused(self, make: Any) -> None:
        for t in (leaf(1.0), leaf(1.0) * 2):
            with pytest.raises(TypeError, match=r"lose the gradient.*\.detach\(\), \.numpy\(\) or \.item\(\)"):
                make(t)

    def test_math_functions_are_refused_too(self) -> None:
        with pytest.raises(TypeError, match="lose the gradient"):
            math.sqrt(leaf(4.0))
        assert math.sqrt(Tensor(4.0)) == 2.0

    def test_more_than_one_element_is_no_number(self) -> None:
        for call in (float, int, bool, Tensor.item):
            with pytest.raises(ValueError, match=r"one element, got a tensor of shape \(2,\)"):
                call(Tensor([1.0, 2.0]))

    def test_conditions(self) -> None:
        assert leaf(1.0)
        assert not Tensor([0.0])
        assert leaf(1.0) < 2

    def test_index(self) -> None:
        assert [10, 20, 30][Tensor(1)] == 20
        assert list(range(Tensor(3))) == [0, 1, 2]
        with pytest.raises(TypeError):
            [10, 20][Tensor(1.0)]

    def test_len_and_iteration(self) -> None:
        t = leaf(VALUE)
        assert len(t) == 2
        first, second = t
        (first * second).sum().backward()
        assert same(t.grad, VALUE[::-1])
        for call in (len, iter, list):
            with pytest.raises(TypeError, match="without axes has no length"):
                call(Tensor(1.0))

    def test_in(self) -> None:
        t = Tensor([[1.0, 2.0], [3.0, 4.0]])
        assert 3.0 in t
        assert 5.0 not in t
        a, b = Tensor([1.0, 2.0]), Tensor([1.0, 3.0])
        with pytest.raises(ValueError, match=r"\.any\(\) or \.all\(\)"):
            assert b in (a, b)                         # compares elements: use identity
        assert any(x is b for x in (a, b))

    def test_identity_is_the_hash(self) -> None:
        a, b = Tensor(1.0), Tensor(1.0)
        assert len({a, b, a}) == 2
        assert {a: "a", b: "b"}[b] == "b"

    def test_equality_compares_elements(self) -> None:
        assert same(Tensor([1.0, 2.0]) == [1.0, 3.0], np.array([True, False]))
        assert same(Tensor([1.0, 2.0]) != 1, np.array([False, True]))

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.int64])
    def test_bitwise_operators_are_numpys(self, dtype: Any) -> None:
        a, b = np.array([1, 1, 0, 0], dtype), np.array([1, 0, 1, 0], dtype)
        s, t = Tensor(a), Tensor(b)
        for z, expected in ((s & t, a & b), (s | t, a | b), (s ^ t, a ^ b), (~s, ~a), (s & b, a & b), (a | t, a | b),
                            (np.bitwise_xor(s, b), a ^ b), (np.invert(s), ~a)):
            assert same(z, expected)
        with pytest.raises(TypeError, match="bitwise_and"):
            Tensor([1.0]) & 1

    def test_format(self) -> None:
        assert f"{leaf(2.0) * 1.23456:.2f}" == "2.47"
        assert f"{Tensor(3):04d}" == "0003"
        assert f"{Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"

    def test_operators_that_do_not_exist_say_so(self) -> None:
        t: Any = Tensor([1.0])
        calls: tuple[Callable[[], Any], ...] = (lambda: t // 2, lambda: t % 2, lambda: 2 // t, lambda: t << 1)
        for call in calls:
            with pytest.raises(TypeError, match="unsupported operand"):
                call()

    def test_unknown_operands_are_named(self) -> None:
        for other in ("text", object(), {"a": 1}):
            with pytest.raises(TypeError, match="expected an array, a number or a tensor, got"):
                Tensor([1.0]) + other

    def test_lists_are_operands(self) -> None:
        x = leaf([1.0, 2.0])
        weights: Any = [3.0, 4.0]
        (weights * x + [1, 1]).sum().backward()
        assert same(x.grad, np.array([3.0, 4.0]))

    def test_tolist(self) -> None:
        assert leaf(VALUE).tolist() == VALUE.tolist()


class TestRepr:
    @pytest.mark.parametrize(("t", "text"), [
        (Tensor([1.0, 2.0]), "Tensor([1., 2.])"),
        (Tensor(np.float32(0.1)), "Tensor(0.1, dtype=float32)"),
        (leaf([1.0], name="w"), "Tensor([1.], name='w', requires_grad=True)"),
        (leaf([1.0]) * 2, "Tensor([2.], gate=multiply)"),
        (Tensor([[1, 2], [3, 4]]), "Tensor([[1, 2],\n        [3, 4]])"),
        (Tensor([]), "Tensor([])"),
        (Tensor(True), "Tensor(True)"),
    ])
    def test_says_what_is_worth_knowing(self, t: Tensor, text: str) -> None:
        assert repr(t) == text

    @pytest.mark.parametrize("shape", [(1_000_000,), (1000, 1000), (100, 100, 100), (10,) * 6, (1, 1_000_000)])
    def test_is_bounded_and_says_the_shape(self, shape: tuple[int, ...]) -> None:
        text = repr(Tensor(np.random.default_rng(0).normal(size=shape), name="big"))
        assert len(text) < 3000
        assert f"shape={shape}" in text
        assert "name='big'" in text


# ------------------------------------------------------------------ shapes and methods
class TestMethods:
    def test_every_numpy_method_it_shares_gives_numpys_value(self) -> None:
        x = np.array([[3.0, 1.0, 2.0], [0.5, 4.0, 1.5]])
        calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
            "sum": ((0,), {"keepdims": True}), "mean": ((), {"axis": 1}), "max": ((1,), {}), "min": ((), {}),
            "prod": ((0,), {}), "var": ((), {"axis": 0, "ddof": 1}), "std": ((1,), {}), "cumsum": ((1,), {}),
            "argmax": ((1,), {}), "argmin": ((), {}), "argsort": ((), {}), "reshape": ((3, -1), {}),
            "transpose": ((1, 0), {}), "swapaxes": ((0, 1), {}), "ravel": ((), {}), "flatten": ((), {}),
            "squeeze": ((), {}), "clip": ((1.0, 2.0), {}), "round": ((), {}), "any": ((0,), {}), "all": ((), {}),
            "dot": ((np.ones(3),), {}), "astype": ((np.float32,), {}), "copy": ((), {}), "tolist": ((), {})}
        for name, (args, options) in calls.items():
            z, expected = getattr(Tensor(x), name)(*args, **options), getattr(x, name)(*args, **options)
            assert (z == expected if name == "tolist" else same(z, expected)), name

    def test_sort_gives_the_values_as_np_sort(self) -> None:
        x = np.array([3.0, 1.0, 2.0])
        assert same(Tensor(x).sort(), np.sort(x))

    def test_reshape_and_transpose_take_both_spellings(self) -> None:
        t = Tensor(np.arange(6.0).reshape(2, 3))
        assert t.reshape(3, 2).shape == t.reshape((3, 2)).shape == t.reshape([3, 2]).shape == (3, 2)
        assert t.transpose().shape == t.transpose(None).shape == t.transpose((1, 0)).shape == t.T.shape == (3, 2)
        assert Tensor(1.0).reshape(()).shape == Tensor([1.0]).reshape().shape == ()

    def test_attributes(self) -> None:
        t = Tensor(np.zeros((2, 3), np.float32))
        assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3), 2, 6, np.dtype(np.float32))
        s = t.sum()                                    # NumPy makes this a scalar, not an array
        assert (s.shape, s.ndim, s.size, s.dtype) == ((), 0, 1, np.dtype(np.float32))
        assert same(s.numpy(), np.zeros((), np.float32))

    def test_clone_passes_the_gradient_and_shares_nothing(self) -> None:
        x = leaf([1.0, 2.0])
        y = x.clone()
        assert not np.shares_memory(x.array, y.array)
        (y * y).sum().backward()
        assert same(x.grad, np.array([2.0, 4.0]))

    def test_detach_is_a_constant(self) -> None:
        x = leaf([1.0, 2.0])
        d = x.detach()
        assert not d.requires_grad
        assert d.is_leaf
        (x * d).sum().backward()
        assert same(x.grad, np.array([1.0, 2.0]))

    def test_names(self) -> None:
        t = Tensor([1.0], name="a")
        assert t.name == "a"
        t.name = "b"
        assert t.name == "b"
        assert Tensor([1.0]).name == ""


# ------------------------------------------------------------------ copies and pickles
class TestCopies:
    @pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
    @pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
    def test_a_copy_is_equal_and_shares_nothing(self, make: Any, dtype: str) -> None:
        t = Tensor(np.array([[1, 0], [0, 1]], dtype), requires_grad=dtype == "float32", name="w")
        if t.requires_grad:
            (t * 3).sum().backward()
        twin = make(t)
        assert type(twin).__name__ == "Tensor"
        assert same(twin, t)
        assert (twin.requires_grad, twin.name, twin.is_leaf) == (t.requires_grad, "w", True)
        assert not np.shares_memory(twin.array, t.array)
        if t.requires_grad:
            assert twin.grad is not t.grad
            assert same(twin.grad, t.grad)
            with no_grad():
                twin.grad *= 0
                twin -= 1
            assert same(t.grad, np.full((2, 2), 3, dtype))
            assert same(t, np.eye(2, dtype=dtype))

    def test_a_deep_copy_keeps_what_is_shared(self) -> None:
        w = leaf([1.0])
        tied = copy.deepcopy({"encoder": w, "decoder": w})
        assert tied["encoder"] is tied["decoder"]
        assert tied["encoder"] is not w

    def test_a_copied_gradient_has_no_graph(self) -> None:
        x = leaf(2.0)
        (x * x * x).backward(create_graph=True)
        twin = copy.deepcopy(x)
        assert twin.grad is not None
        assert not twin.grad.requires_grad
        assert same(twin.grad, np.array(12.0))
        x.grad = None                                  # a gradient with a graph leads back to its leaf

    @pytest.mark.parametrize(("make", "word"), [(copy.copy, "copy"), (copy.deepcopy, "copy"), (pickle.dumps, "pickle")])
    def test_a_result_cannot_be_copied(self, make: Any, word: str) -> None:
        with pytest.raises(TypeError, match=rf"{word}: this tensor came out of multiply.*use \.detach\(\)"):
            make(leaf([1.0]) * 2)
        assert same(make(Tensor([1.0]) * 2) if make is not pickle.dumps else Tensor([2.0]), np.array([2.0]))

    def test_subclasses_stay_what_they_are(self) -> None:
        p = cr.nn.Parameter([1.0, 2.0], requires_grad=False, name="p")
        for twin in (copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
            assert type(twin) is cr.nn.Parameter
            assert (twin.requires_grad, twin.name) == (False, "p")

    def test_a_pickle_is_read_in_another_process(self) -> None:
        t = leaf(f32([1.5, -2.0]), name="w")
        (t * t).sum().backward()
        code = ("import pickle, sys; t = pickle.load(sys.stdin.buffer); "
                "print(type(t).__name__, t.tolist(), t.dtype, t.requires_grad, t.name, t.grad.tolist(), t.grad.dtype)")
        done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(t), capture_output=True, check=True)
        assert done.stdout.decode().strip() == "Tensor [[1.5, -2.0]] float32 True w [[3.0, -4.0]] float32"


def test_tensors_can_be_weakly_referenced_and_leave_no_cycle() -> None:
    gc.disable()
    try:
        t = leaf([1.0])
        y = (t * 2 + t).exp()
        y.name = "y"
        y.register_hook(lambda dz: None)()
        refs = [weakref.ref(t), weakref.ref(y), weakref.ref(t.numpy())]
        del t, y
        assert all(ref() is None for ref in refs)
    finally:
        gc.enable()


# ------------------------------------------------------------------ any program at all
class Node:
    """The reference: a naive tape on copies, with its own derivatives, that no write can reach."""

    def __init__(self, value: Array, parents: tuple[tuple[Node, Callable[[Array], Array]], ...] = (),
                 cell: int | None = None, version: int = 0) -> None:
        self.value, self.parents, self.cell, self.version = np.array(value), parents, cell, version
        self.freed = False

    def upstream(self) -> list[Node]:
        """Everything it depends on, itself included, results first."""
        seen: list[Node] = []

        def visit(node: Node) -> None:
            if not any(node is other for other in seen):
                for parent, _ in node.parents:
                    visit(parent)
                seen.append(node)

        visit(self)
        return seen[::-1]

    def gradients(self, seed: Array) -> list[tuple[Node, Array]]:
        total: dict[int, Array] = {id(self): seed}
        found = []
        for node in self.upstream():
            dz = total.get(id(node))
            if dz is not None:
                if node.cell is not None:
                    found.append((node, dz))
                for parent, back in node.parents:
                    dx = unbroadcast(back(dz), parent.value.shape)
                    total[id(parent)] = total[id(parent)] + dx if id(parent) in total else dx
        return found


def unbroadcast(dx: Array, shape: tuple[int, ...]) -> Array:
    dx = dx.sum(axis=tuple(range(dx.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and dx.shape[i] != 1)
    return np.asarray(dx.sum(axis=axes, keepdims=True) if axes else dx)


ONE: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array], Callable[[Array, Array, Array], Array]]] = {
    "exp": (lambda t: t.exp(), np.exp, lambda dz, z, x: dz * z),
    "tanh": (lambda t: t.tanh(), np.tanh, lambda dz, z, x: dz * (1 - z * z)),
    "square": (lambda t: t.square(), np.square, lambda dz, z, x: dz * 2 * x),
    "negative": (lambda t: -t, np.negative, lambda dz, z, x: -dz),
    "T": (lambda t: t.T, lambda x: x.T, lambda dz, z, x: dz.T),
    "flip": (lambda t: g.flip(t), lambda x: np.flip(x), lambda dz, z, x: np.flip(dz)),
    "reshape": (lambda t: t.reshape(t.shape), lambda x: x, lambda dz, z, x: dz),
    "rows": (lambda t: t[::-1], lambda x: x[::-1], lambda dz, z, x: dz[::-1]),
    "sum": (lambda t: t.sum(axis=0, keepdims=True), lambda x: x.sum(axis=0, keepdims=True),
            lambda dz, z, x: np.broadcast_to(dz, x.shape)),
    "twice": (lambda t: g.broadcast_to(t, (2, 2)), lambda x: np.broadcast_to(x, (2, 2)), lambda dz, z, x: dz),
    "clone": (lambda t: t.clone(), lambda x: x, lambda dz, z, x: dz),
}
TWO: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Array, Array, Array], Array],
                     Callable[[Array, Array, Array], Array]]] = {
    "add": (lambda a, b: a + b, lambda dz, x, y: dz, lambda dz, x, y: dz),
    "subtract": (lambda a, b: a - b, lambda dz, x, y: dz, lambda dz, x, y: -dz),
    "multiply": (lambda a, b: a * b, lambda dz, x, y: dz * y, lambda dz, x, y: dz * x),
}
SMALL = st.floats(-1, 1).map(lambda x: round(x, 3))
SHAPES = st.sampled_from([(2, 2), (1, 2), (2, 1)])


class Programs(RuleBasedStateMachine):
    """Operations, writes and backward passes in any order: a gradient is right, or there is an error for a reason."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[tuple[Any, Node]] = []           # every tensor with its reference
        self.leaves: list[tuple[Any, Array | None]] = []    # every parameter with its expected gradient
        self.versions: list[int] = []
        self.arrays: list[Array] = []                          # the caller's own memory
        self.looks: list[tuple[Array, Array]] = []             # what was handed out, and what it must stay

    def pick(self, data: st.DataObject) -> tuple[Any, Node]:
        picked: tuple[Any, Node] = data.draw(st.sampled_from(self.tensors[-8:]))
        return picked

    def small(self, data: st.DataObject, shape: tuple[int, ...]) -> Array:
        return np.array(data.draw(st.lists(SMALL, min_size=4, max_size=4))).reshape(2, 2)[:shape[0], :shape[1]].copy()

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.make(data)

    @rule(data=st.data())
    def make(self, data: st.DataObject) -> None:
        source = self.small(data, data.draw(SHAPES))
        t = leaf(source, name=f"p{len(self.leaves)}")
        self.tensors.append((t, Node(source, cell=len(self.leaves))))
        self.leaves.append((t, None))
        self.versions.append(0)
        self.arrays.append(source)

    @rule(data=st.data(), name=st.sampled_from(sorted(ONE)), guard=st.sampled_from([False, False, True]))
    def apply_to_one(self, data: st.DataObject, name: str, guard: bool) -> None:
        (t, x), (on_tensor, on_array, back) = self.pick(data), ONE[name]
        if np.abs(x.value).max() > 30:
            return
        if guard:
            with no_grad():
                made = on_tensor(t)
            self.tensors.append((made, Node(on_array(x.value))))
        else:
            z = np.array(on_array(x.value))
            self.tensors.append((on_tensor(t), Node(z, ((x, lambda dz: back(dz, z, x.value)),))))

    @rule(data=st.data(), name=st.sampled_from(sorted(TWO)))
    def apply_to_two(self, data: st.DataObject, name: str) -> None:
        (s, x), (t, y), (op, dx, dy) = self.pick(data), self.pick(data), TWO[name]
        if max(np.abs(x.value).max(), np.abs(y.value).max()) < 1e6:
            a, b = x.value, y.value
            parents = (x, lambda dz: dx(dz, a, b)), (y, lambda dz: dy(dz, a, b))
            self.tensors.append((op(s, t), Node(op(a, b), parents)))

    @rule(data=st.data(), name=st.sampled_from(sorted(TWO)), swap=st.booleans())
    def apply_to_array(self, data: st.DataObject, name: str, swap: bool) -> None:
        (t, x), (op, dx, dy), array = self.pick(data), TWO[name], data.draw(st.sampled_from(self.arrays))
        a, b = x.value, array.copy()
        if np.abs(a).max() < 1e6:
            if swap:
                self.tensors.append((op(array, t), Node(op(b, a), ((x, lambda dz: dy(dz, b, a)),))))
            else:
                self.tensors.append((op(t, array), Node(op(a, b), ((x, lambda dz: dx(dz, a, b)),))))

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        t, x = self.pick(data)
        if data.draw(st.booleans()):
            self.looks.append((t.numpy(), x.value.copy()))
        else:
            self.tensors.append((t.detach(), Node(x.value)))

    @rule(data=st.data())
    def write_an_array(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.arrays))[...] = data.draw(SMALL)

    @rule(data=st.data(), how=st.sampled_from(["-=", "*=", "assign", "[0]", "[:, ::-1]"]), value=SMALL)
    def write_a_tensor(self, data: st.DataObject, how: str, value: float) -> None:
        place = data.draw(st.integers(max(0, len(self.tensors) - 8), len(self.tensors) - 1))
        t, x = self.tensors[place]
        result, new = t.gate is not None, x.value.copy()
        try:
            with no_grad():
                if how == "-=":
                    t -= value; new = new - value
                elif how == "*=":
                    t *= value; new = new * value
                elif how == "assign":
                    t.assign(value); new = np.full_like(new, value)
                elif how == "[0]":
                    t[0] = value; new[0] = value
                else:
                    t[:, ::-1] = value; new[:, ::-1] = value
        except RuntimeError:
            assert result, "only a result may refuse"
            return
        if result:
            assert t is not self.tensors[place][0], "a result is never written"
            self.tensors.append((t, Node(new)))
        else:
            assert t is self.tensors[place][0]
            self.written(place, new)

    def written(self, place: int, new: Array) -> None:
        """The tensor keeps its identity and takes a new value: a new version of the same cell."""
        t, x = self.tensors[place]
        if x.cell is not None:
            self.versions[x.cell] += 1
        fresh = Node(new, cell=x.cell, version=self.versions[x.cell] if x.cell is not None else 0)
        x.freed = True                                 # whoever used the old value may refuse to go back
        self.tensors = [(s, fresh if s is t else y) for s, y in self.tensors]

    @rule(data=st.data(), retain=st.booleans(), create=st.sampled_from([False, False, False, True]))
    def go_back(self, data: st.DataObject, retain: bool, create: bool) -> None:
        t, x = self.pick(data)
        if not t.requires_grad:
            return
        seed = self.small(data, x.value.shape)
        given: Any = data.draw(st.sampled_from([seed.copy(), Tensor(seed)]))
        before = [p.grad for p, _ in self.leaves]
        try:
            t.backward(given, retain_graph=retain, create_graph=create)
        except RuntimeError as error:
            why = str(error)
        else:
            why = ""
        if why:
            assert "written in place" in why or "freed" in why
            assert any(node.freed for node in x.upstream()), "an error without a reason"
            assert all(p.grad is old for (p, _), old in zip(self.leaves, before, strict=True)), "half a gradient"
            if "freed" not in why:
                for node in x.upstream():
                    node.freed = True
            return
        for node, dx in x.gradients(seed):
            assert node.cell is not None
            assert node.version == self.versions[node.cell], "an outdated value was taken for the present one"
            p, old = self.leaves[node.cell]
            self.leaves[node.cell] = p, dx if old is None else old + dx
        if not (retain or create):
            for node in x.upstream():
                node.freed = node.freed or bool(node.parents)
        with no_grad():
            given *= 0                                 # the seed is the caller's

    @rule(data=st.data(), factor=SMALL)
    def clip_a_gradient(self, data: st.DataObject, factor: float) -> None:
        place = data.draw(st.integers(0, len(self.leaves) - 1))
        p, expected = self.leaves[place]
        if expected is not None:
            with no_grad():
                p.grad *= factor
            self.leaves[place] = p, expected * factor

    @precondition(lambda self: any(expected is not None for _, expected in self.leaves))
    @rule()
    def step(self) -> None:
        for p, expected in self.leaves:
            if expected is not None:
                place = next(i for i, (t, _) in enumerate(self.tensors) if t is p)
                new = self.tensors[place][1].value - 0.1 * expected
                with no_grad():
                    p -= 0.1 * p.grad
                self.written(place, new)

    @rule()
    def zero_grad(self) -> None:
        for place, (p, _) in enumerate(self.leaves):
            p.grad = None
            self.leaves[place] = p, None

    @invariant()
    def no_value_has_changed_by_itself(self) -> None:
        for t, x in self.tensors:
            np.testing.assert_allclose(t.array, x.value, rtol=1e-12, atol=1e-12)
        for look, before in self.looks:
            assert np.array_equal(look, before) or np.allclose(look, before, rtol=1e-12, atol=1e-12)

    @invariant()
    def gradients_are_right(self) -> None:
        for p, expected in self.leaves:
            assert (p.grad is None) == (expected is None)
            if p.grad is not None and expected is not None:
                np.testing.assert_allclose(p.grad.array, expected, rtol=1e-9, atol=1e-9)


Programs.TestCase.settings = settings(max_examples=80, stateful_step_count=30,
                                      suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TestPrograms = Programs.TestCase
