"""Broadcasting, indexing and einsum on arguments that hypothesis makes up, against NumPy and against adjoints.

A linear gate's derivative is its transpose: <dz, G(x)> = <Gᵀ(dz), x>, for any x and dz. It holds to rounding, so it
finds what a numerical derivative of a small case may miss.
"""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.gates.checks import GATES, slope

import chainrule as cr
from chainrule.reverse import pull

SETTINGS = settings(max_examples=60, derandomize=True)


def numbers(shape, seed=0, low=0.5):
    """Numbers of either sign, none near 0; positive ones with `low`."""
    return np.random.default_rng(seed).uniform(low, low + 1, size=shape)


def pulled(gate, dz, inputs, options, wanted=None):
    arrays = [np.asarray(x) if isinstance(x, np.generic) else x for x in inputs]
    z = gate.value(*arrays, **options)
    return pull(gate, dz, z, arrays, options, wanted or [True] * len(arrays))


# ------------------------------------------------------------------ broadcasting
BINARY = sorted(name for name, gate in GATES.items()
                if gate.arity == 2 and isinstance(gate.forward, np.ufunc) and gate.forward.signature is None)


def partial(f, x, y, which):
    """The partial derivative of each element, numerically, on arguments that have been broadcast."""
    return slope(lambda h: f(x + h, y) if which == 0 else f(x, y + h))


def summed(a, shape):
    """The sum of `a` over what was broadcast, one axis at a time."""
    while a.ndim > len(shape):
        a = a.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1 and a.shape[axis] != 1:
            a = a.sum(axis=axis, keepdims=True)
    return a


@pytest.mark.parametrize("name", BINARY)
@SETTINGS
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=4))
def test_broadcasting(name, shapes):
    x = np.round(numbers(shapes.input_shapes[0], 1), 1) + 0.02    # never near to y: no kink between them
    y = np.round(numbers(shapes.input_shapes[1], 2), 1) + 0.07
    dz = numbers(shapes.result_shape, 3)
    t, u = cr.Tensor(x, requires_grad=True), cr.Tensor(y, requires_grad=True)
    function = GATES[name].forward
    z = GATES[name](t, u)
    np.testing.assert_array_equal(z.numpy(), function(x, y))
    z.backward(dz)
    for which, tensor in enumerate((t, u)):
        assert tensor.grad.shape == tensor.shape
        expected = summed(dz * partial(function, *np.broadcast_arrays(x, y), which), tensor.shape)
        np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=1e-9, atol=1e-11)


@SETTINGS
@given(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3), st.integers(0, 99))
def test_broadcasting_where_and_clip(shapes, seed):
    a, b, c = (numbers(s, seed + i) for i, s in enumerate(shapes.input_shapes))
    dz = numbers(shapes.result_shape, 3)
    mask = a > 1
    _, dx, dy = pulled(cr.where, dz, (mask, b, c), {}, [False, True, True])
    np.testing.assert_allclose(dx, summed(np.where(mask, dz, 0 * (b + c)), b.shape), rtol=1e-12)
    np.testing.assert_allclose(dy, summed(np.where(mask, 0 * (b + c), dz), c.shape), rtol=1e-12)
    x, low, high = a, b - 0.4, c + 0.4
    parts = pulled(cr.clip, dz, (x, low, high), {})
    full = [np.broadcast_to(v, shapes.result_shape) for v in (x, low, high)]
    crossed = full[1] > full[2]
    inside = (full[0] >= full[1]) & (full[0] <= full[2])
    above = (full[0] > full[2]) | crossed
    below = (full[0] < full[1]) & ~crossed
    for part, where, v in zip(parts, (inside, below, above), (x, low, high), strict=True):
        np.testing.assert_allclose(part, summed(dz * where, v.shape), rtol=1e-12)


# ------------------------------------------------------------------ indexing
@st.composite
def indexed(draw):
    """An array and an index: any mixture of slices, integers, None, Ellipsis, arrays of integers and masks."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    parts, left = [], list(shape)
    rows = draw(hnp.broadcastable_shapes(shape=(2, 3), min_dims=0, max_dims=2))
    dots = False
    while left:
        kinds = ["slice", "none", "stop"]
        if left[0]:
            kinds += ["integer", "array"]
        if not dots:
            kinds += ["dots"]
        kinds += ["mask"]
        kind = draw(st.sampled_from(kinds))
        if kind == "stop":
            break
        if kind == "none":
            parts.append(None)
            continue
        if kind == "dots":
            dots = True
            parts.append(...)
            left = left[draw(st.integers(0, len(left))):]
            continue
        n = left.pop(0)
        if kind == "slice":
            parts.append(draw(st.slices(n)))
        elif kind == "integer":
            parts.append(draw(st.sampled_from([int, np.int64]))(draw(st.integers(-n, n - 1))))
        elif kind == "array":
            part = draw(hnp.broadcastable_shapes(shape=rows, min_dims=0, max_dims=2, min_side=0, max_side=3))
            parts.append(draw(hnp.arrays(np.int64, part, elements=st.integers(-n, n - 1))))
        else:
            axes = [n, *left[:draw(st.integers(0, min(1, len(left))))]]
            del left[:len(axes) - 1]
            parts.append(draw(hnp.arrays(bool, tuple(axes))))
    return shape, tuple(parts)


@settings(SETTINGS, max_examples=400)
@given(indexed())
def test_indexing(drawn):
    shape, index = drawn
    x = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    try:
        expected = x[index]
    except IndexError:                                 # masks and arrays that do not go together
        assume(False)
    t = cr.Tensor(x, requires_grad=True)
    z = t[index]
    assert z.shape == np.shape(expected)
    np.testing.assert_array_equal(z.numpy(), expected)
    dz = numbers(z.shape, 1)
    (z * dz).sum().backward()
    places = np.arange(x.size).reshape(shape)[index]   # NumPy says which elements were picked
    counted = np.bincount(np.ravel(places), weights=np.ravel(dz), minlength=x.size).reshape(shape)
    np.testing.assert_allclose(t.grad.numpy(), counted, rtol=1e-13)
    back = cr.scatter_add(cr.Tensor(dz, requires_grad=True), *index, shape=shape)
    np.testing.assert_allclose(back.numpy(), counted, rtol=1e-13)
    (weighed,) = pulled(cr.scatter_add, x, (dz, *index), {"shape": shape}, [True])[:1]
    np.testing.assert_array_equal(weighed, expected)


@SETTINGS
@given(st.data())
def test_take_along_axis(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    others = data.draw(hnp.broadcastable_shapes(shape=shape, min_dims=len(shape), max_dims=len(shape), max_side=3))
    places = list(others)
    places[axis] = data.draw(st.integers(0, 3))
    n = shape[axis]
    indices = data.draw(hnp.arrays(np.int64, tuple(places), elements=st.integers(-n, n - 1)))
    x = numbers(shape)
    z = cr.take_along_axis(x, indices, axis=axis)
    np.testing.assert_array_equal(z, np.take_along_axis(x, indices, axis))
    dz = numbers(z.shape, 1)
    dx = pulled(cr.take_along_axis, dz, (x, indices), {"axis": axis}, [True, False])[0]
    assert dx.shape == shape
    np.testing.assert_allclose(np.sum(dx * x), np.sum(dz * z), rtol=1e-12)
    back = pulled(cr.scatter_along_axis, x, (dz, indices), {"axis": axis, "shape": shape}, [True, False])[0]
    np.testing.assert_array_equal(back, z)


@SETTINGS
@given(st.data())
def test_linear_gates_are_the_transposes_of_their_derivatives(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    some = tuple(data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True)))
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    gate, options = data.draw(st.sampled_from([
        (cr.sum, {"axis": some}), (cr.sum, {"axis": axis, "keepdims": True}), (cr.cumsum, {"axis": axis}),
        (cr.cumsum, {"axis": None}), (cr.flip, {"axis": some}), (cr.roll, {"shift": 2, "axis": axis}),
        (cr.transpose, {"axes": order}), (cr.moveaxis, {"source": some, "destination": some[::-1]}),
        (cr.swapaxes, {"axis1": axis, "axis2": 0}), (cr.expand_dims, {"axis": axis}), (cr.reshape, {"shape": (-1,)})]))
    assume(0 not in shape or gate is not cr.reshape)
    x = numbers(shape)
    z = gate(x, **options)
    dz = numbers(np.shape(z), 1)
    (dx,) = pulled(gate, dz, (x,), options)
    assert dx.shape == shape
    np.testing.assert_allclose(np.sum(dx * x), np.sum(dz * z), rtol=1e-12)


# ------------------------------------------------------------------ einsum
@st.composite
def contraction(draw):
    """Subscripts with repeated and summed indices and an ellipsis, and operands that fit."""
    lengths = {letter: draw(st.integers(1, 3)) for letter in "abcd"}
    batch = draw(hnp.array_shapes(min_dims=1, max_dims=2, max_side=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from("abcd"), max_size=3))
        shape = [lengths[letter] for letter in letters]
        if draw(st.booleans()):
            at = draw(st.integers(0, len(letters)))
            under = [draw(st.sampled_from([1, n])) for n in batch]
            shape[at:at] = under[draw(st.integers(0, len(batch))):]
            letters.insert(at, "...")
        assume(len(shape) <= 5)
        terms.append("".join(letters))
        shapes.append(tuple(shape))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        kept = draw(st.permutations(sorted(set("".join(terms)) - {"."})))
        kept = list(kept[:draw(st.integers(0, len(kept)))])
        if "..." in subscripts:
            kept.insert(draw(st.integers(0, len(kept))), "...")
        subscripts += "->" + "".join(kept)
    return subscripts, shapes


@settings(SETTINGS, max_examples=300)
@given(contraction())
def test_einsum(drawn):
    subscripts, shapes = drawn
    operands = [numbers(shape, i) for i, shape in enumerate(shapes)]
    tensors = [cr.Tensor(x, requires_grad=True) for x in operands]
    z = cr.einsum(subscripts, *tensors)
    expected = np.einsum(subscripts, *operands)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-12)
    dz = numbers(z.shape, 9)
    z.backward(dz, retain_graph=True)
    for k, t in enumerate(tensors):                    # linear in each operand: try each of its elements
        gradient = np.zeros(t.shape)
        for place in np.ndindex(t.shape):
            unit = np.zeros(t.shape)
            unit[place] = 1
            gradient[place] = np.sum(dz * np.einsum(subscripts, *operands[:k], unit, *operands[k + 1:]))
        np.testing.assert_allclose(t.grad.numpy(), gradient, rtol=1e-11, atol=1e-12)


@SETTINGS
@given(st.data())
def test_matmul(data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3))
    x, y = (numbers(shape, i) for i, shape in enumerate(shapes.input_shapes))
    dz = numbers(shapes.result_shape, 3)
    dx, dy = pulled(cr.matmul, dz, (x, y), {})
    assert (dx.shape, dy.shape) == (x.shape, y.shape)
    for gradient, other in ((dx, lambda v: v @ y), (dy, lambda v: x @ v)):
        expected = np.zeros(gradient.shape)
        for place in np.ndindex(gradient.shape):
            unit = np.zeros(gradient.shape)
            unit[place] = 1
            expected[place] = np.sum(dz * other(unit))
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-300)


@SETTINGS
@given(st.data())
def test_concatenate_stack_and_split(data):
    shape = list(data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for i, n in enumerate(data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))):
        parts.append(numbers((*shape[:axis % len(shape)], n, *shape[axis % len(shape) + 1:]), i))
    tensors = [cr.Tensor(x, requires_grad=True) for x in parts]
    z = cr.concatenate(tensors, axis=axis)
    np.testing.assert_array_equal(z.numpy(), np.concatenate(parts, axis=axis))
    cuts = np.cumsum([x.shape[axis] for x in parts])[:-1].tolist()
    again = cr.split(z, cuts, axis=axis)
    for piece, x in zip(again, parts, strict=True):
        np.testing.assert_array_equal(piece.numpy(), x)
    weights = [numbers(x.shape, 5 + i) for i, x in enumerate(parts)]
    total = cr.Tensor(0.0)
    for piece, w in zip(again, weights, strict=True):
        total = total + (piece * w).sum()
    total.backward()
    for t, w in zip(tensors, weights, strict=True):
        np.testing.assert_array_equal(t.grad.numpy(), w)
    z = cr.stack(tensors[:1] * 3, axis=axis)
    np.testing.assert_array_equal(z.numpy(), np.stack(parts[:1] * 3, axis=axis))
    dz = numbers(z.shape, 7)
    (first,) = tensors[:1]
    first.grad = None
    z.backward(dz)
    np.testing.assert_allclose(first.grad.numpy(), dz.sum(axis=axis), rtol=1e-14)


@SETTINGS
@given(st.data())
def test_pad(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    width = [tuple(data.draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))) for _ in shape]
    mode = data.draw(st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
    x = numbers(shape)
    t = cr.Tensor(x, requires_grad=True)
    z = cr.pad(t, width, mode)
    np.testing.assert_array_equal(z.numpy(), np.pad(x, width, mode))
    dz = numbers(z.shape, 1)
    z.backward(dz)
    np.testing.assert_allclose(np.sum(t.grad.numpy() * x), np.sum(dz * z.numpy()), rtol=1e-12)
