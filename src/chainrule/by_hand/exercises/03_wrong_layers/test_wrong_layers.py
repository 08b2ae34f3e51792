"""Tests of wrong_layers.py: python -m pytest test_wrong_layers.py"""
import numpy as np
import pytest
from suspects import CASES
from wrong_layers import find_wrong, mend

import chainrule as cr
from chainrule import functional as F

RIGHT = {                                                  # what the layers should compute, by the library
    "Relu": F.relu,
    "LeakyRelu": lambda x: F.relu(x) - 0.1 * F.relu(-x),
    "Sigmoid": F.sigmoid,
    "Tanh": np.tanh,
    "Twice": lambda x: np.tanh(np.tanh(x)),
    "Affine": lambda x, W, b: x @ W + b,
    "Mean": lambda x: x.mean(axis=0),
    "SoftmaxWithLoss": F.cross_entropy,
}


def mistakes(name, kind):
    """Say what a class does otherwise than the library, at inputs and for a dout of this test's own."""
    rng = np.random.default_rng(7)
    _, parameters, (x, *labels) = CASES[name]
    x = rng.normal(size=(5, x.shape[1]))
    labels = [rng.integers(0, x.shape[1], 5) for _ in labels]
    parameters = [rng.normal(size=p.shape) for p in parameters]
    out, back = cr.vjp(lambda given: RIGHT[name](given[0], *labels, *given[1:]), [x, *parameters])
    dout = rng.normal(size=np.shape(out)) + 3.0

    layer = kind(*(p.copy() for p in parameters))
    found, given = layer.forward(x.copy(), *labels), np.copy(dout) if np.ndim(dout) else float(dout)
    said = [] if np.allclose(found, out, rtol=1e-12) else ["forward"]
    dx = layer.backward(given)
    slopes = {"x": dx} | {p: getattr(layer, f"d{p}") for p in ("W", "b")[:len(parameters)]}
    for (argument, slope), right in zip(slopes.items(), back(dout), strict=True):
        if np.shape(slope) != np.shape(right) or not np.allclose(slope, right, rtol=1e-10, atol=1e-12):
            said.append(f"the gradient of {argument}")
    return said + ["dout, which it writes into"] * (not np.array_equal(given, dout))


@pytest.mark.parametrize("name", CASES)
def test_found(name):
    accused = name in find_wrong()
    guilty = bool(mistakes(name, CASES[name][0]))
    assert accused == guilty, f"find_wrong() says that {name} is {'wrong' if accused else 'right'}; look at it again"


@pytest.mark.parametrize("name", CASES)
def test_mended(name):
    kind = mend().get(name, CASES[name][0])
    assert not mistakes(name, kind), f"{name}: something is not right yet"


def test_what_is_mended_is_what_is_wrong():
    assert set(mend()) == set(find_wrong())
