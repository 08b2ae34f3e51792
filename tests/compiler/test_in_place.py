"""In place: which values are computed into their cells, which must not be, and that all that may fail comes before."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.passes import improved
from chainrule.compiler.planning.facts import may_fail


def recorded(function, *arguments):
    step = cr.compile(function, keep_grads=True)
    step(*arguments)
    return improved(step.recorded)


def writing(*new, start=(1.0, 2.0, 4.0)):
    """A step that writes parameters, each by a function of all old values and of x; the parameters; what it does."""
    def step(x):
        with cr.no_grad():
            made = [value(x, *tensors) for value in new]
            for t, value in zip(tensors, made, strict=True):
                t.assign(value)

    tensors = [cr.Tensor(np.array(start) + i) for i in range(len(new))]
    return step, tensors


def homes(program):
    return sorted(cell.name for cell in program.homes.values())


X = np.array([0.5, 1.0, 2.0])


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1), lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
                                  lambda p: optim.Adam(p, lr=0.1), lambda p: optim.RMSprop(p, lr=0.1, centered=True)])
def test_parameters_and_moments_are_computed_where_they_are(make):
    w = cr.Tensor(np.ones(3), requires_grad=True)
    optimizer = make([w])

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    step(X)
    moments = [name for name, value in optimizer.state.get(w, {}).items() if isinstance(value, np.ndarray)]
    assert homes(recorded(step, X)) == sorted(["array", *moments])


@pytest.mark.parametrize(("new", "expected"), [
    ([lambda x, w: w * x], 1),
    ([lambda x, w: cr.where(x > 1, x, w)], 1),
    ([lambda x, w: cr.where(x > 1, w, x)], 0),                   # x is copied over w, which is read afterwards
    ([lambda x, w: w + w[::-1]], 0),                             # elements that have been overwritten are read
    ([lambda x, w: cr.cumsum(w, axis=0)], 0),
    ([lambda x, w: cr.broadcast_to(cr.sum(w), (3,))], 0),        # a view
    ([lambda x, w: x], 0),
    ([lambda x, w, v: w * x, lambda x, w, v: v * 2], 2),
    ([lambda x, w, v: w - v * x, lambda x, w, v: v * 2], 2),     # v is read before it is written
    ([lambda x, w, v: v * x, lambda x, w, v: v * 2], 1),         # what is in w is not even looked at
    ([lambda x, w, v: v * x, lambda x, w, v: w * x], 1),         # each needs what the other was
    ([lambda x, w, v: v * 1, lambda x, w, v: w * 1], 0),         # two views
    ([lambda x, w, v: w * x, lambda x, w, v: cr.exp(w)], 1),     # one of them
])
def test_only_what_nothing_needs_is_overwritten(new, expected):
    step, tensors = writing(*new)
    program = recorded(step, X)
    assert len(homes(program)) == expected
    run = cr.compile(step)
    for t, tensor in enumerate(tensors):
        tensor.assign(np.array([1.0, 2.0, 4.0]) + t)
    expected = [t.numpy().copy() for t in tensors]
    for i in range(5):
        expected = [np.asarray(value(cr.Tensor(X), *map(cr.Tensor, expected)).numpy()).copy() for value in new]
        run(X)
        for ours, theirs in zip(tensors, expected, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs, err_msg=f"call {i}")


def test_what_may_fail_comes_first():
    w = cr.Tensor(np.ones(3), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def step(x, i):
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return cr.exp(x)[i], cr.matmul(x, x)

    program = recorded(step, X, np.array([1]))
    late = False
    for s in program.steps:
        late = late or any(a.result in program.homes for a in s.applications)
        assert not (late and any(map(may_fail, s.applications))), s
    assert late


def test_what_may_fail_after_an_update_keeps_it_out_of_the_cell():
    w = cr.Tensor(np.ones(3))

    def step(x, i):
        with cr.no_grad():
            w.assign(w * x)
        return w[i]

    assert homes(recorded(step, X, np.array([1]))) == []


def test_a_users_own_code_sees_the_old_value():
    class Own(nn.Layer):
        def forward(self, x):
            seen.append(w.numpy().copy())
            return x * 1

        def backward(self, dout):
            return dout

    w, layer, seen = cr.Tensor(np.ones(3)), Own(), []

    @cr.compile
    def step(x):
        with cr.no_grad():
            w.assign(w * 2)
        return layer(x)

    for _ in range(4):
        step(X)
    assert [list(each) for each in seen[2:]] == [[4.0] * 3, [8.0] * 3]
    assert w.tolist() == [16.0] * 3


def test_what_is_returned_of_a_cell_is_what_the_step_saw():
    w = cr.Tensor(np.ones(3))

    @cr.compile
    def step(x):
        old, view = w * 1, w[1:]
        with cr.no_grad():
            w.assign(w * x)
        return old, view, w, w[:2]

    w.assign(np.ones(3))
    for t in range(5):
        old, view, new, part = step(X)
        assert old.tolist() == (X ** t).tolist()
        assert view.tolist() == (X ** t)[1:].tolist()
        assert new.tolist() == (X ** (t + 1)).tolist() == w.tolist()
        assert part.tolist() == (X ** (t + 1))[:2].tolist()
