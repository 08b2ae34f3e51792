"""What random programs have found, each as its smallest example: a step, four calls, and what eager code does."""
from __future__ import annotations

import numpy as np
import pytest
from tests.compiler.distance import far

import chainrule as cr
from chainrule import functional as F
from chainrule import optim
from chainrule.compiler import RecordingError


class World:
    """What the steps find: two parameters, a buffer, a plain array, a cell and an optimizer."""

    def __init__(self):
        cr.random.seed(0)
        rng = np.random.default_rng(0)
        self.p, self.q = (cr.Tensor(rng.normal(size=3), requires_grad=True) for _ in range(2))
        self.b, self.c, self.k = cr.Tensor(rng.normal(size=1)), rng.normal(size=3), cr.cell(rng.normal(size=(3, 1)))
        self.optimizer = optim.Adam([self.p, self.q], lr=0.1)

    def state(self):
        return {"p": self.p.numpy(), "q": self.q.numpy(), "b": self.b.numpy(), "c": self.c.copy(),
                "k": np.array(self.k.held), "gradient": None if self.p.grad is None else self.p.grad.numpy(),
                **{f"moment {i}": s["exp_avg"].copy() for i, s in enumerate(self.optimizer.state.values())}}


def derivative_by_a_plain_array(w, x):
    w.p.grad = None
    (w.p * w.c).sum().backward()                       # dp is c, of which the graph keeps a copy
    return w.p.grad


def product_with_a_plain_matrix(w, x):
    w.p.grad = None
    ((w.c * x[:, None]) @ w.p).sum().backward()
    return w.p.grad


def library_function_of_a_plain_array(w, x):
    return cr.stack([w.c, x]) + cr.square(w.c)


def assignment_of_a_plain_array(w, x):
    w.p.assign(w.c)


def assignment_of_an_argument(w, x):
    w.p.assign(x)
    w.q.assign(x)


def update_after_an_assignment(w, x):
    w.p.grad = None
    w.p.assign(x)
    (w.p * w.p).sum().backward()
    w.optimizer.step()


def array_written_between_forward_and_backward(w, x):
    w.p.grad = None
    loss = (w.p * w.c).sum()
    w.c *= 0.9
    loss.backward()
    return loss, w.c


def cell_that_gets_what_it_has(w, x):
    held = w.k.value
    w.k.value = cr.cast(held, dtype=held.dtype)
    return held


def two_parameters_of_one_value(w, x):
    new = cr.tanh(x)
    w.p.assign(new)
    w.q.assign(new)
    return new


def products_of_one_by_one(w, x):
    return F.linear(x[:, None], w.b), x[:, None] @ w.b, w.b @ x[None]


def scores_of_booleans(w, x):
    return cr.mean(x > w.c), cr.var(x > 0)


def sum_with_a_number_that_is_copied(w, x):
    """It lies beside the other sum, and so it cannot be a view of the row it is taken from."""
    rows, sums, product = cr.sort(x), cr.cumsum(x, axis=0), cr.prod(x)
    first = cr.reshape(sums[:1], ())
    return first + product, rows + sums


def sum_of_numbers_beside_a_sum_of_rows(w, x):
    total, largest, rows, sums = -cr.prod(x), cr.max(x) / 3, cr.sort(x), cr.cumsum(x, axis=0)
    return total + largest, rows + sums


STEPS = [derivative_by_a_plain_array, product_with_a_plain_matrix, library_function_of_a_plain_array,
         assignment_of_a_plain_array, assignment_of_an_argument, update_after_an_assignment,
         array_written_between_forward_and_backward, cell_that_gets_what_it_has, two_parameters_of_one_value,
         products_of_one_by_one, scores_of_booleans, sum_with_a_number_that_is_copied,
         sum_of_numbers_beside_a_sum_of_rows]


def lived(step, wrap):
    world, found = World(), []
    called = wrap(lambda x: step(world, x))
    for t in range(4):
        x = np.random.default_rng(t).normal(size=3)
        results = called(x)
        results = results if isinstance(results, tuple) else (results,)
        arrays = {f"result {i}": np.array(getattr(r, "array", r)) for i, r in enumerate(results) if r is not None}
        found.append(arrays | world.state())
        x[...] = 0                                     # what is his own the caller may write into, and we our array
        world.c += 0.25
    return found


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_as_eager(step):
    eager, compiled = lived(step, lambda f: f), lived(step, lambda f: cr.compile(f, keep_grads=True))
    for t, (ours, theirs) in enumerate(zip(compiled, eager, strict=True)):
        assert ours.keys() == theirs.keys()
        for name, x in ours.items():
            assert far(x, theirs[name]) <= 1e-12, f"call {t}: {name} is {x}, eager {theirs[name]}"


def test_a_number_that_is_a_view_is_refused():
    """``v[..., 0]`` of a row is an array without axes: NumPy's ``+=`` writes through it."""
    @cr.compile
    def step(x):
        v = x * 2.0
        first = v[..., 0]
        first += 1.0
        return v

    with pytest.raises(RecordingError, match="writes into a view of an array"):
        step(np.ones(3))
