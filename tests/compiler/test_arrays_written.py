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
