"""What is made of a plain array, and then written into, in place: an array of its own, or a refusal."""
from __future__ import annotations

import copy

import numpy as np
import pytest

import chainrule as cr
from chainrule import functional as F
from chainrule import nn
from chainrule.compiler import RecordingError

NAMES = {"cr": cr, "np": np, "nn": nn, "F": F, "copy": copy}
#: Of these nothing else sees the memory; of some because they are numbers, or tensors.
OWN = ["+c", "-c", "abs(c)", "c * 1", "c + 0", "c.copy()", "copy.copy(c)", "copy.deepcopy(c)", "c.astype(c.dtype)",
       "cr.cast(c, dtype=c.dtype)", "np.maximum(c, c)", "np.where(True, c, c)", "cr.where(c > 0, c, c)",
       "np.clip(c, -9, 9)", "c.clip(-9, 9)", "np.cumsum(c, axis=0)", "c.sum()", "c.max()", "F.relu(c)",
       "F.softmax(c, dim=-1)", "nn.Identity()(c)", "nn.Dropout(0.0)(c)", "nn.Flatten(0)(c)", "nn.Sequential()(c)"]
ROWS = ["np.sort(c)", "np.concatenate([c])", "np.stack([c])[0] * 1", "np.roll(c, 0)", "np.pad(c, 0)", "c[[0, 1, 2]]",
        "c @ np.eye(3)", "c[0]", "c[-1]"]
#: These look at the array's memory.
VIEWS = ["c[...]", "c.T", "c.squeeze()", "c.reshape(-1)", "c.ravel()", "c[None]", "np.expand_dims(c, 0)",
         "np.transpose(c)", "cr.detach(c)"]
ROW_VIEWS = ["c[:]", "c[::-1]", "c[1:]", "np.flip(c)", "np.swapaxes(c, 0, 0)", "np.split(c, 1)[0]"]
ARRAYS = {"row": np.array([1.0, -2.0, 4.0]), "number": np.array(3.0)}


def life(expression, array, wrap):
    """What two steps return and leave: one writes into what it made of `c`, one into `d`, once it made something of it.

    `z` is another name for `y`: whether that changes with it is what tells a number from an array.
    """
    f, found = eval(f"lambda c: {expression}", NAMES), []
    c, d = array.copy(), np.array(array * 2)

    def step(x):
        y = f(c)
        z = y
        y -= 0.5
        return y * x, z * x

    def other(x):
        nonlocal d
        y = f(d)
        d *= 0.9
        return y * x

    step, other = wrap(step), wrap(other)
    for k in range(4):
        results = (*step(np.full(1, k + 1.0)), other(np.full(1, k + 1.0)))
        found.append([np.array(getattr(x, "array", x)) for x in (*results, c, d)])
    return found


@pytest.mark.parametrize(("kind", "expression"), [("row", e) for e in OWN + ROWS] + [("number", e) for e in OWN])
def test_what_is_an_array_of_its_own_is_written_as_eager_code_does(kind, expression):
    eager, compiled = (life(expression, ARRAYS[kind], wrap) for wrap in (lambda f: f, cr.compile))
    for t, (ours, theirs) in enumerate(zip(compiled, eager, strict=True)):
        for name, a, b in zip(["y", "z", "y of d", "c", "d"], ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14, err_msg=f"call {t}, {name}")


@pytest.mark.parametrize("line", ["y += x", "y -= x", "y *= x", "y /= x", "y **= x", "y @= x", "y.sort()", "y.sort(0)",
                                  "y[...] = x", "y[:] = x[0]"])
@pytest.mark.parametrize("made", ["c", "c * 2", "c.copy()"])
def test_operators_and_methods_that_work_in_place(made, line):
    """Under another name, and in the variable, the array is what it has become."""
    def life(wrap):
        c = np.array([[1.0, -2.0], [3.0, 0.5]])
        names = {"c": c}
        exec(f"def step(x):\n    y = {made}\n    z = y\n    {line}\n    return y + 0.0, z + 0.0, c + 0.0", names)
        step = wrap(names["step"])
        return [[*(np.array(getattr(r, "array", r)) for r in step(np.array([[2.0, 1.0], [k + 1.0, 3.0]]))), c.copy()]
                for k in range(4)]

    for ours, theirs in zip(life(cr.compile), life(lambda step: step), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize(("kind", "expression"), [("row", e) for e in VIEWS + ROW_VIEWS] +
                         [("number", e) for e in VIEWS])
def test_what_looks_at_an_array_is_refused(kind, expression):
    f, c = eval(f"lambda c: {expression}", NAMES), ARRAYS[kind].copy()

    def step(x):
        y = f(c)
        y -= 0.5
        return y * x

    def other(x):
        nonlocal c
        y = f(c)
        c *= 0.9
        return y * x

    with pytest.raises(RecordingError, match="the step writes into a view of an array"):
        cr.compile(step)(np.ones(1))
    with pytest.raises(RecordingError, match="view of an array that was written"):
        cr.compile(other)(np.ones(1))
    assert c.tobytes() == ARRAYS[kind].tobytes()


# ------------------------------------------------------------------ arrays that no tensor stands for
class Counting(nn.Layer):
    """A layer that writes into a plain array, at some place."""

    def __init__(self, dtype=np.float64):
        super().__init__()
        self.k, self.inside = np.zeros(2, dtype), [np.zeros(2, dtype)]


class InPlace(Counting):
    def forward(self, x):
        self.k += 1
        return x * self.k


class Replaced(Counting):
    def forward(self, x):
        self.k = self.k + 1
        return x * self.k


class InList(Counting):
    def forward(self, x):
        self.inside[0] += 1
        return x * self.inside[0]


class Slots:
    __slots__ = ("k",)

    def __init__(self):
        self.k = np.zeros(2)


class Thing:
    def __init__(self):
        self.k = np.zeros(2, int)


layer, whole, replaced, inside = InPlace(), InPlace(int), Replaced(), InList()
slots, thing, table, number = Slots(), Thing(), {"k": np.zeros(2, int)}, np.zeros(2, int)
unused, flags, pair, many = np.zeros(2, int), np.zeros(2, bool), (np.zeros(2),), [np.zeros(2) for _ in range(1200)]


def of_a_variable(x):
    global number
    number += 1
    return x * number


def of_a_variable_that_is_replaced(x):
    global number
    number = number + 1
    return x * number


def of_an_element(x):
    number[0] += 1
    return x


def of_what_is_not_used(x):
    unused[...] += 1
    return x * 2


def of_flags(x):
    np.logical_not(flags, out=flags)
    return x * flags


def of_a_dict(x):
    table["k"] *= 2
    table["k"] += 1
    return x * table["k"]


def of_an_object(x):
    thing.k += 1
    return x * thing.k


def of_a_tuple(x):
    row = pair[0]
    row += 1
    return x * row


def of_a_long_list(x):
    many[0] += 1
    return x * many[0]


def of_a_default(x, k=np.zeros(2)):  # noqa: B008
    k += 1
    return x * k


#: The step, what it is refused for, all that it would change, and at which call it is noticed.
CHANGES = {
    "in place in a layer": (lambda x: layer(x), "layer.k", lambda: layer.k, 2),
    "whole numbers in a layer": (lambda x: whole(x), "whole.k", lambda: whole.k, 2),
    "replaced in a layer": (lambda x: replaced(x), "replaced.k", lambda: replaced.k, 2),
    "in a list of a layer": (lambda x: inside(x), "an array of float64", lambda: inside.inside[0], 2),
    "in slots": (lambda x: x * np.add(slots.k, 1, out=slots.k), "an array of float64", lambda: slots.k, 2),
    "a variable": (of_a_variable, "number", lambda: number, 1),
    "a variable, replaced": (of_a_variable_that_is_replaced, "number", lambda: number, 1),
    "an element": (of_an_element, "number", lambda: number, 1),
    "not used": (of_what_is_not_used, "unused", lambda: unused, 1),
    "booleans": (of_flags, "flags", lambda: flags, 1),
    "in a dict": (of_a_dict, r"table\['k'\]", lambda: table["k"], 1),
    "in an object": (of_an_object, "thing.k", lambda: thing.k, 1),
    "in a tuple": (of_a_tuple, "an array of float64", lambda: pair[0], 2),
    "in a long list": (of_a_long_list, "an array of float64", lambda: many[0], 2),
    "a default": (of_a_default, "an array of float64", lambda: of_a_default.__defaults__[0], 2),
}


@pytest.mark.parametrize(("step", "title", "array", "call"), CHANGES.values(), ids=CHANGES)
def test_what_numpy_writes_unseen_is_refused_and_undone(step, title, array, call):
    compiled, x = cr.compile(step), np.ones(2)
    if call == 2:
        compiled(x)
    was, before = array(), array().copy()
    with pytest.raises(RecordingError, match=f"{title}.* was changed in the step by NumPy or by plain Python") as error:
        compiled(x)
    assert "register_buffer" in str(error.value)
    assert array() is was
    np.testing.assert_array_equal(was, before)


# ------------------------------------------------------------------ an optimizer by hand
class Momentum:
    def __init__(self):
        self.v = None

    def update(self, params, grads):
        if self.v is None:
            self.v = {name: np.zeros_like(p) for name, p in params.items()}
        for name, p in params.items():
            self.v[name] = 0.9 * self.v[name] - 0.1 * grads[name]
            p += self.v[name]


def test_moments_that_are_made_at_the_first_step_are_there_before_it_is_compiled():
    def made():
        params, optimizer = {"W": np.ones((3, 2)), "b": np.zeros(2)}, Momentum()

        def step(x):
            y = x @ params["W"] + params["b"]
            optimizer.update(params, {"W": x.T @ y, "b": y.sum(axis=0)})
            return (y * y).sum()
        return params, optimizer, step

    batches = np.random.default_rng(0).normal(size=(6, 4, 3)) * 0.1
    params, optimizer, step = made()
    with pytest.raises(RecordingError, match=r"np\.zeros_like has no gate.*do it before the step"):
        cr.compile(step)(batches[0])
    assert optimizer.v is None
    eager, theirs, plain = made()
    losses = [step(batches[0]), *[loss.item() for loss in map(cr.compile(step), batches[1:])]]
    assert losses == [plain(x) for x in batches]
    for name, p in params.items():
        np.testing.assert_array_equal(p, eager[name])
        np.testing.assert_array_equal(optimizer.v[name], theirs.v[name])
