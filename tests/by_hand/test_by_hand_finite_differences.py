"""Learning by nudging each weight: the numbers of chapter 5, and what must not happen to what is given."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.by_hand.finite_differences import feed_forward, update_weights

X, Y = np.array([[1, 1]]), np.array([[0]])
END = ([[0.0142, -0.5908, -0.2755], [0.3988, -0.5292, 0.1864]], [0.0055, 0.5519, -0.0660],
       [[0.3475], [-0.0553], [0.0376]], [-0.2244])


def start(dtype=np.float64):
    return [np.array([[-0.0053, -0.5820, -0.2723], [0.3793, -0.5204, 0.1896]], dtype),
            np.array([-0.0140, 0.5607, -0.0628], dtype), np.array([[0.1528], [-0.1745], [-0.1135]], dtype),
            np.array([-0.5516], dtype)]


def plain(inputs, weights):
    W1, b1, W2, b2 = weights
    return (1 / (1 + np.exp(-(inputs @ W1 + b1)))) @ W2 + b2


@pytest.fixture(scope="module", params=[np.float64, np.float32], ids=["float64", "float32"])
def learned(request):
    weights, losses = start(request.param), []
    for _ in range(100):
        weights, loss = update_weights(X, Y, weights, 0.01)
        losses.append(loss)
    return weights, losses, request.param


def test_the_numbers_of_the_chapter(learned):
    weights, losses, dtype = learned
    assert losses[0] == pytest.approx(0.33455, abs=5e-6)
    assert losses[-1] == pytest.approx(0.000328, abs=5e-7)
    assert feed_forward(X, Y, weights) == pytest.approx(0.000305, abs=5e-7)
    assert plain(X, weights).item() == pytest.approx(-0.0175, abs=5e-5)
    for w, expected in zip(weights, END, strict=True):
        assert w.dtype == dtype
        np.testing.assert_allclose(w, expected, rtol=0, atol=5.1e-5)


def test_backpropagation_gives_the_same_weights(learned):
    weights = start()
    for _ in range(100):
        slopes = cr.grad(lambda w: feed_forward(X, Y, w))(weights)
        weights = [w - 0.01 * slope for w, slope in zip(weights, slopes, strict=True)]
    for w, expected in zip(learned[0], weights, strict=True):
        np.testing.assert_allclose(w, expected, rtol=0, atol=1e-4)


def test_one_step_by_formula(rng):
    weights = [rng.normal(size=shape) for shape in ((3, 4), (4,), (4, 2), (2,))]
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def loss(w):
        return ((plain(x, w) - y) ** 2).mean()

    assert feed_forward(x, y, weights) == pytest.approx(loss(weights), rel=1e-13)
    found, before = update_weights(x, y, weights, 0.1)
    assert before == pytest.approx(loss(weights), rel=1e-13)
    for i, w in enumerate(weights):
        for index in np.ndindex(w.shape):
            nudged = [array.copy() for array in weights]
            nudged[i][index] += 1e-4
            slope = (loss(nudged) - loss(weights)) / 1e-4
            assert found[i][index] == pytest.approx(w[index] - 0.1 * slope, abs=1e-11)


def test_what_is_given_stays_as_it_is():
    weights = start()
    before, arrays = [w.copy() for w in weights], list(weights)
    for w in weights:
        w.flags.writeable = False
    updated, _ = update_weights(X, Y, weights, 0.01)
    assert all(a is b for a, b in zip(weights, arrays, strict=True))
    for w, kept, new in zip(weights, before, updated, strict=True):
        np.testing.assert_array_equal(w, kept)
        assert not np.shares_memory(w, new)
        assert (w != new).all()
        assert new.flags.writeable


def test_numbers_and_lists_will_do():
    W1, b1, W2, _ = start()
    weights, loss = update_weights([[1, 1]], [[0]], [W1.tolist(), b1, W2, -0.5516], 0.01)
    expected, same = update_weights(X, Y, start(), 0.01)
    assert loss == same
    assert type(loss) is float
    assert type(weights[3]) is float
    assert weights[3] == pytest.approx(expected[3].item(), rel=1e-12)
    np.testing.assert_allclose(weights[0], expected[0], rtol=1e-12)


@pytest.mark.parametrize(("change", "error", "message"), [
    (lambda w: w[:3], ValueError, r"got 3 weights, expected the four"),
    (lambda w: [w[0].T, *w[1:]], ValueError, r"W1 has shape \(3, 2\) and inputs \(1, 2\).*pass W1.T"),
    (lambda w: [*w[:2], w[2].T, w[3]], ValueError, r"W2 has shape \(1, 3\) and W1 \(2, 3\).*pass W2.T"),
    (lambda w: [np.ones((2, 3), int), *w[1:]], TypeError, r"astype\(float\)"),
])
def test_mistakes_are_named_with_their_remedy(change, error, message):
    with pytest.raises(error, match=message):
        update_weights(X, Y, change(start()), 0.01)


def test_outputs_are_never_broadcast(rng):
    with pytest.raises(ValueError, match=r"reshape\(4, 1\)"):
        feed_forward(np.ones((4, 2)), np.zeros(4), start())
