"""The layers by hand, against derivations on paper and plain differences; and what such layers commonly get wrong."""
from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import gates
from chainrule.by_hand import layer as base
from chainrule.by_hand.layer import HandLayer
from chainrule.by_hand.layers import (
    AddLayer,
    Affine,
    BatchNormalization,
    Dropout,
    MaxLayer,
    MulLayer,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
    Tanh,
)


def differences(f, x, dout, h=1e-6):
    """Central differences of sum(dout * f(x)), in plain NumPy."""
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (dout * (f(x + step) - f(x - step))).sum() / (2 * h)
    return slopes


def affine(rng, inputs=3, outputs=2, dtype=np.float64):
    return Affine(rng.normal(size=(inputs, outputs)).astype(dtype), rng.normal(size=outputs).astype(dtype))


def probabilities(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def every_layer(rng, dtype=np.float64):
    """One of each, with inputs."""
    x = rng.normal(size=(4, 3)).astype(dtype)
    y = rng.normal(size=(4, 3)).astype(dtype)
    ones, zeros = np.ones(3, dtype), np.zeros(3, dtype)
    return [(MulLayer(), (x, y)), (AddLayer(), (x, y)), (MaxLayer(), (x, y)), (Relu(), (x,)), (Sigmoid(), (x,)),
            (Tanh(), (x,)), (affine(rng, dtype=dtype), (x,)), (BatchNormalization(ones, zeros), (x,)),
            (Dropout(0.5), (x,)), (SoftmaxWithLoss(), (x, np.array([0, 2, 1, 2]))),
            (SoftmaxWithLoss(), (x, probabilities(y)))]


# ------------------------------------------------------------------ values and gradients
@pytest.mark.parametrize(("layer", "x", "y", "z", "dx", "dy"), [
    (MulLayer, 3.0, 4.0, 12.0, 8.0, 6.0),
    (AddLayer, 3.0, 4.0, 7.0, 2.0, 2.0),
    (MaxLayer, 3.0, 4.0, 4.0, 0.0, 2.0),
    (MaxLayer, 5.0, 4.0, 5.0, 2.0, 0.0),
    (MaxLayer, 4.0, 4.0, 4.0, 1.0, 1.0),                 # a tie shares
])
def test_two_numbers(layer, x, y, z, dx, dy):
    layer = layer()
    assert layer.forward(x, y) == z
    assert layer.backward(2.0) == (dx, dy)
    assert layer.forward(np.array([x, x]), np.array([y, y])).tolist() == [z, z]
    assert [d.tolist() for d in layer.backward(np.array([2.0, 0.0]))] == [[dx, 0.0], [dy, 0.0]]


@pytest.mark.parametrize(("layer", "function"), [
    (Relu, lambda x: np.maximum(x, 0)), (Sigmoid, lambda x: 1 / (1 + np.exp(-x))), (Tanh, np.tanh)])
def test_activations(layer, function, rng):
    layer, x, d = layer(), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    np.testing.assert_allclose(layer.forward(x), function(x), rtol=1e-14)
    np.testing.assert_allclose(layer.backward(d), differences(function, x, d), rtol=1e-7, atol=1e-9)


def test_relu_at_zero():
    layer = Relu()
    layer.forward(np.array([-0.0, 0.0]))
    assert layer.backward(np.ones(2)).tolist() == [0.0, 0.0]


def test_affine_by_derivation(rng):
    layer, x, d = affine(rng), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    np.testing.assert_allclose(layer.forward(x), x @ layer.W + layer.b, rtol=1e-14)
    np.testing.assert_allclose(layer.backward(d), d @ layer.W.T, rtol=1e-14)
    np.testing.assert_allclose(layer.dW, x.T @ d, rtol=1e-14)
    np.testing.assert_allclose(layer.db, d.sum(axis=0), rtol=1e-14)
    assert (layer.dW.shape, layer.db.shape) == ((3, 2), (2,))


@pytest.mark.parametrize("shape", [(12,), (1, 12), (2, 3, 4), (2, 3, 2, 2)])
def test_affine_takes_one_sample_or_images(shape, rng):
    layer, x = affine(rng, 12), rng.normal(size=shape)
    rows = x.reshape(-1, 12) if x.ndim > 1 else x
    z = layer.forward(x)
    np.testing.assert_allclose(z, rows @ layer.W + layer.b, rtol=1e-14)
    d = rng.normal(size=z.shape)
    np.testing.assert_allclose(layer.backward(d), (d @ layer.W.T).reshape(shape), rtol=1e-14)
    np.testing.assert_allclose(layer.dW, np.atleast_2d(rows).T @ np.atleast_2d(d), rtol=1e-14)
    np.testing.assert_allclose(layer.db, np.atleast_2d(d).sum(axis=0), rtol=1e-14)


def test_a_bias_in_a_row(rng):
    layer = Affine(np.ones((3, 2)), np.ones((1, 2)))
    layer.forward(rng.normal(size=(4, 3)))
    layer.backward(np.ones((4, 2)))
    assert layer.db.tolist() == [[4.0, 4.0]]


@pytest.mark.parametrize("labels", ["classes", "one-hot", "one-hot of floats", "probabilities"])
def test_softmax_with_loss_by_derivation(labels, rng):
    x, classes = rng.normal(size=(4, 3)), np.array([0, 2, 1, 2])
    t = np.eye(3)[classes] if labels != "probabilities" else probabilities(rng.normal(size=(4, 3)))
    given = {"classes": classes, "one-hot": t.astype(int)}.get(labels, t)
    layer = SoftmaxWithLoss()
    loss = -(t * np.log(probabilities(x))).sum() / 4
    assert layer.forward(x, given) == pytest.approx(loss, rel=1e-13)
    assert layer.loss == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(layer.y, probabilities(x), rtol=1e-13)
    assert layer.t.tolist() == given.tolist()
    np.testing.assert_allclose(layer.backward(), (probabilities(x) - t) / 4, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("t", [1, np.array([1]), np.array([0, 1, 0])])
def test_softmax_with_loss_of_one_sample(t):
    layer = SoftmaxWithLoss()
    assert layer.forward(np.array([0.0, 0.0, 0.0]), t) == pytest.approx(np.log(3), rel=1e-14)
    np.testing.assert_allclose(layer.backward(), [1 / 3, -2 / 3, 1 / 3], rtol=1e-14)


def test_rows_that_only_look_one_hot():
    """Their elements add up to 1 as well, or as many are not zero."""
    layer, x = SoftmaxWithLoss(), np.array([[1.0, 2.0], [3.0, -1.0]])
    for t in ([[1.0, 1.0], [0.0, 0.0]], [[0.5, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]]):
        expected = -(np.array(t) * np.log(probabilities(x))).sum() / 2
        assert layer.forward(x, np.array(t)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("dtype", "scale"), [(np.float64, 1e4), (np.float32, 1e4), (np.float64, 1e300)])
@pytest.mark.parametrize("one_hot", [False, True])
def test_scores_of_any_size_are_stable(dtype, scale, one_hot):
    x = np.array([[scale, -scale], [-scale, scale], [scale, scale]], dtype)
    t = np.array([0, 0, 1])
    layer = SoftmaxWithLoss()
    with np.errstate(all="raise", under="ignore"):
        loss = layer.forward(x, np.eye(2)[t] if one_hot else t)
        slopes = layer.backward()
    assert loss.dtype == dtype
    assert loss == pytest.approx((2 * scale + np.log(2)) / 3, rel=1e-6)
    np.testing.assert_allclose(slopes, [[0, 0], [-1 / 3, 1 / 3], [1 / 6, -1 / 6]], rtol=1e-6)
    sigmoid = Sigmoid()
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid.forward(x[:2]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
        assert not sigmoid.backward(np.ones((2, 2), dtype)).any()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 2)])
def test_batch_normalization(shape, rng):
    """Per feature, or per channel of images."""
    x, d, gamma, beta = rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=3), rng.normal(size=3)
    axes, wide = (0, *range(2, len(shape))), (3,) + (1,) * (len(shape) - 2)

    def normalized(x):
        away = x - x.mean(axes, keepdims=True)
        return away / np.sqrt((away ** 2).mean(axes, keepdims=True) + 1e-5)

    layer = BatchNormalization(gamma, beta)
    np.testing.assert_allclose(layer.forward(x), normalized(x) * gamma.reshape(wide) + beta.reshape(wide), rtol=1e-12)
    slopes = differences(lambda x: normalized(x) * gamma.reshape(wide), x, d)
    np.testing.assert_allclose(layer.backward(d), slopes, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(layer.dgamma, (d * normalized(x)).sum(axes), rtol=1e-12)
    np.testing.assert_allclose(layer.dbeta, d.sum(axes), rtol=1e-12)


def test_batch_normalization_of_each_pixel(rng):
    """As many gammas as pixels: images are rows."""
    x, d = rng.normal(size=(5, 3, 2, 2)), rng.normal(size=(5, 3, 2, 2))
    images, rows = (BatchNormalization(np.full(12, 2.0), np.ones(12)) for _ in range(2))
    np.testing.assert_allclose(images.forward(x), 2 * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + 1, rtol=1e-12)
    rows.forward(x.reshape(5, 12))
    np.testing.assert_allclose(images.backward(d).reshape(5, 12), rows.backward(d.reshape(5, 12)), rtol=1e-14)
    assert images.running_mean.shape == (12,)


def test_running_statistics(rng):
    layer, mean, var = BatchNormalization(np.ones(2), np.zeros(2)), np.zeros(2), np.zeros(2)
    with pytest.raises(RuntimeError, match=r"BatchNormalization\.forward: there are no running statistics yet"):
        layer.forward(np.ones((3, 2)), train_flg=False)
    for _ in range(5):
        x = rng.normal(size=(7, 2)) * [1, 10] + 3
        layer.forward(x, True)
        mean, var = 0.9 * mean + 0.1 * x.mean(0), 0.9 * var + 0.1 * x.var(0)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)
    x, d = rng.normal(size=(1, 2)), np.array([[1.0, 10.0]])
    np.testing.assert_allclose(layer.forward(x, train_flg=False), (x - mean) / np.sqrt(var + 1e-5), rtol=1e-12)
    np.testing.assert_allclose(layer.backward(d), d / np.sqrt(var + 1e-5), rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    given_ones = BatchNormalization(np.ones(2), np.zeros(2), 0.5, mean, var)
    given_ones.forward(x + np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(given_ones.running_mean, 0.5 * mean + 0.5 * (x[0] + 0.5), rtol=1e-12)


def test_dropout():
    layer, x = Dropout(0.25), np.ones((200, 100))
    z = layer.forward(x)
    kept = z != 0
    np.testing.assert_allclose(z[kept], 1 / 0.75)
    assert abs(kept.mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 20_000)
    np.testing.assert_array_equal(layer.backward(3 * x), 3 * z)              # the same mask
    np.testing.assert_array_equal(layer.forward(x, train_flg=False), x)
    np.testing.assert_array_equal(layer.backward(3 * x), 3 * x)
    cr.random.seed(3)
    first = layer.forward(x)
    assert (layer.forward(x) != first).any()
    cr.random.seed(3)
    np.testing.assert_array_equal(layer.forward(x), first)
    assert not Dropout(1).forward(x).any()


def test_check_gradients_says_yes_to_all(rng):
    for layer, inputs in every_layer(rng):
        assert cr.check_gradients(layer, *inputs) < 1e-8, type(layer).__name__


# ------------------------------------------------------------------ what goes in, what comes out
def test_numbers_in_numbers_out():
    layer = MulLayer()
    assert type(layer.forward(100, 2)) is float
    dx, dy = layer.backward(1)
    assert (type(dx), type(dy)) == (float, float)
    assert type(Relu().forward(3)) is float
    z = layer.forward(np.float32(3), np.float32(4))
    assert (z, z.dtype) == (12, np.float32)
    assert [d.dtype for d in layer.backward(1)] == [np.float32, np.float32]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(dtype, rng):
    for layer, inputs in every_layer(rng, dtype):
        z = layer.forward(*inputs)
        assert z.dtype == dtype, type(layer).__name__
        slopes = layer.backward(np.ones(z.shape))                            # float64, and yet
        for slope in slopes if isinstance(slopes, tuple) else (slopes,):
            assert slope.dtype == dtype, type(layer).__name__
        for name in layer.parameters:
            assert getattr(layer, f"d{name}").dtype == dtype


def test_integers_are_numbers_of_the_parameters_dtype(rng):
    x = rng.integers(0, 255, (4, 3)).astype(np.uint8)
    for dtype in (np.float32, np.float64):
        layer = affine(rng, dtype=dtype)
        z = layer.forward(x)
        assert z.dtype == dtype
        np.testing.assert_allclose(z, x @ layer.W + layer.b, rtol=1e-6)
        assert layer.backward(np.ones((4, 2))).dtype == dtype
    relu = Relu()
    assert relu.forward([[-1, 2]]).tolist() == [[0.0, 2.0]]
    assert relu.backward([[3, 3]]).tolist() == [[0.0, 3.0]]


def test_a_number_beside_an_array():
    layer, x = MulLayer(), np.array([1.0, 2.0], np.float32)
    z = layer.forward(x, 3)
    assert (z.tolist(), z.dtype) == ([3.0, 6.0], np.float32)
    dx, dy = layer.backward(np.array([1.0, 10.0]))
    assert (dx.tolist(), dx.dtype) == ([3.0, 30.0], np.float32)
    assert (dy, type(dy)) == (21.0, float)


def test_arrays_that_broadcast(rng):
    x, y, d = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(4, 3))
    layer = MulLayer()
    layer.forward(x, y)
    dx, dy = layer.backward(d)
    np.testing.assert_allclose(dx, d * y, rtol=1e-14)
    np.testing.assert_allclose(dy, (d * x).sum(axis=0), rtol=1e-12)


# ------------------------------------------------------------------ what is commonly wrong
def test_no_layer_writes_into_what_it_is_given(rng):
    for layer, inputs in every_layer(rng):
        for x in inputs:
            x.flags.writeable = False
        z = layer.forward(*inputs)
        d = rng.normal(size=z.shape)
        d.flags.writeable = False
        layer.backward(d)


def test_residual_gradients_are_right():
    """The classic fault: relu's backward writes into dout, which the other branch still needs."""
    x, d = np.array([-1.0, 2.0]), np.array([5.0, 5.0])
    relu, add = Relu(), AddLayer()
    add.forward(relu.forward(x), x)
    through, past = add.backward(d)
    dx = relu.backward(through) + past
    assert dx.tolist() == [5.0, 10.0]
    assert d.tolist() == [5.0, 5.0]


def test_what_comes_back_belongs_to_the_caller_alone(rng):
    for layer, inputs in every_layer(rng):
        given = [np.array(x) for x in inputs]
        z = layer.forward(*given)
        twin = copy.deepcopy(layer)
        if not isinstance(layer, Dropout):
            twin.forward(*inputs)
        if np.ndim(z):
            z[...] = 99                                  # out += x, say
        for x in given:
            x[...] = 1
        d = rng.normal(size=np.shape(z))
        seed = d.copy()
        slopes = layer.backward(seed)
        slopes = slopes if isinstance(slopes, tuple) else (slopes,)
        arrays = [*slopes, *(getattr(layer, f"d{name}") for name in layer.parameters)]
        if not isinstance(layer, Dropout):
            expected = twin.backward(d)
            for found, other in zip(slopes, expected if isinstance(expected, tuple) else (expected,), strict=True):
                np.testing.assert_array_equal(found, other)
        for i, array in enumerate(arrays):
            before = [other.copy() for k, other in enumerate(arrays) if k != i]
            array += 1
            for other, kept in zip([other for k, other in enumerate(arrays) if k != i], before, strict=True):
                np.testing.assert_array_equal(other, kept)
        np.testing.assert_array_equal(seed, d)


def test_softmax_with_loss_honours_dout(rng):
    for t in (np.array([0, 2, 1, 2]), probabilities(rng.normal(size=(4, 3)))):
        layer, x = SoftmaxWithLoss(), rng.normal(size=(4, 3))
        layer.forward(x, t)
        once = layer.backward()
        for dout in (1, -2.5, np.float32(3), np.array(0.0)):
            layer.forward(x, t)
            np.testing.assert_allclose(layer.backward(dout), float(dout) * once, rtol=1e-14)


def test_a_layer_used_twice(rng):
    """In one pass: z = affine(tanh(affine(x)))."""
    layer, tanh, x, d = affine(rng, 3, 3), Tanh(), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    for _ in range(2):                                   # and the next pass begins anew
        layer.forward(tanh.forward(layer.forward(x)))
        dx = layer.backward(tanh.backward(layer.backward(d)))

    def network(x, w, b):
        return np.tanh(x @ w + b) @ w + b

    w, b = layer.W, layer.b
    np.testing.assert_allclose(dx, differences(lambda x: network(x, w, b), x, d), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(layer.dW, differences(lambda w: network(x, w, b), w, d), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(layer.db, differences(lambda b: network(x, w, b), b, d), rtol=1e-6, atol=1e-8)


def test_each_use_gets_its_own_gradient_the_newest_first():
    layer = MulLayer()
    layer.forward(2.0, 3.0)
    layer.forward(np.array([5.0]), np.array([7.0]))
    assert [d.tolist() for d in layer.backward(np.array([1.0]))] == [[7.0], [5.0]]
    assert layer.backward(1.0) == (3.0, 2.0)
    with pytest.raises(RuntimeError, match=r"MulLayer\.backward: no forward call is left"):
        layer.backward(1.0)


def test_gradients_of_earlier_passes_stay_what_they_are(rng):
    layer, x = affine(rng), rng.normal(size=(4, 3))
    layer.forward(x)
    layer.backward(np.ones((4, 2)))
    kept, before = layer.dW, layer.dW.copy()
    layer.forward(x)
    layer.forward(x)
    layer.backward(np.ones((4, 2)))
    layer.backward(np.ones((4, 2)))
    np.testing.assert_array_equal(kept, before)
    np.testing.assert_allclose(layer.dW, 2 * before, rtol=1e-14)


def test_parameters_are_the_callers_own(rng):
    params = {"W": rng.normal(size=(3, 2)), "b": np.zeros(2)}
    layer, x = Affine(params["W"], params["b"]), rng.normal(size=(4, 3))
    assert layer.W is params["W"]
    layer.forward(x)
    layer.backward(np.ones((4, 2)))
    params["W"] -= 0.1 * layer.dW
    params["b"] += 1
    np.testing.assert_allclose(layer.forward(x), x @ params["W"] + 1, rtol=1e-14)
    layer.W = np.zeros((3, 2))
    layer.forward(x)
    assert not layer.backward(np.ones((4, 2))).any()
    norm = BatchNormalization(params["b"], params["b"])
    params["b"][:] = 0
    assert not norm.forward(x[:, :2]).any()


def test_a_new_array_between_forward_and_backward_does_no_harm(rng):
    layer, x, d = affine(rng), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    old = layer.W
    layer.forward(x)
    layer.W = old + 1
    np.testing.assert_allclose(layer.backward(d), d @ old.T, rtol=1e-14)


def test_predictions_between_passes_do_no_harm(rng):
    layer, x, d = affine(rng), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    layer.forward(x)
    first = layer.backward(d), layer.dW
    for size in (4, 50, 1):
        layer.forward(rng.normal(size=(size, 3)))
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(d), first[0])
    np.testing.assert_array_equal(layer.dW, first[1])


def test_a_prediction_between_forward_and_backward_is_found(rng):
    layer = affine(rng)
    layer.forward(rng.normal(size=(4, 3)))
    layer.forward(rng.normal(size=(50, 3)))
    with pytest.raises(ValueError, match=r"Affine\.backward: dout has shape \(4, 2\), but forward returned \(50, 2\)"):
        layer.backward(np.ones((4, 2)))
    with cr.no_grad():
        layer.forward(rng.normal(size=(7, 3)))
    assert layer.backward(np.ones((50, 2))).shape == (50, 3)                 # the failed attempt took nothing
    assert layer.backward(np.ones((4, 2))).shape == (4, 3)


@pytest.mark.parametrize(("rows", "inputs", "count"), [(1, 4, 10_000), (100, 200, 100)])
def test_ten_thousand_predictions_hold_a_bounded_amount_of_memory(rows, inputs, count, rng):
    """Few large calls are held, or some small ones."""
    layers, last = [affine(rng, inputs, 10), Relu()], SoftmaxWithLoss()
    x, labels = rng.normal(size=(rows, inputs)), np.zeros(rows, int)

    def predict():
        z = x
        for layer in layers:
            z = layer.forward(z)
        return last.forward(z, labels)

    for _ in range(300):                                 # until no more are kept
        predict()
    before = sys.getallocatedblocks()
    for _ in range(count):
        predict()
    assert sys.getallocatedblocks() - before < 100       # a hundredth of a block for each
    for layer in (*layers, last):
        assert 10 < len(layer._calls.kept) <= base.MOST_CALLS
        assert layer._calls.bytes <= base.MOST_BYTES


def test_a_call_that_is_too_large_is_held_alone(monkeypatch):
    monkeypatch.setattr(base, "MOST_BYTES", 1000)
    layer = Relu()
    for size in (10, 1000, 1000):
        layer.forward(np.ones(size))
    assert len(layer._calls.kept) == 1
    layer.forward(np.ones(10))
    assert layer.backward(np.ones(10)).shape == (10,)
    with pytest.raises(RuntimeError, match="no forward call"):
        layer.backward(np.ones(1000))


def test_under_no_grad_nothing_is_held(rng):
    layer = affine(rng)
    with cr.no_grad():
        z = layer.forward(np.ones((4, 3)))
    np.testing.assert_allclose(z, np.ones((4, 3)) @ layer.W + layer.b)
    with pytest.raises(RuntimeError, match=r"Affine\.backward: no forward call is left.*no_grad"):
        layer.backward(np.ones((4, 2)))
    with cr.no_grad():
        for each, inputs in every_layer(rng):
            z = each.forward(*inputs)
            if np.ndim(z):
                assert not any(np.may_share_memory(z, x) for x in inputs)
    x = np.ones(3)
    with cr.no_grad():
        assert not np.may_share_memory(Dropout().forward(x, train_flg=False), x)


def test_a_parameter_written_between_forward_and_backward_is_found_by_detect_anomaly(rng):
    layer = affine(rng)
    with cr.detect_anomaly():
        layer.forward(np.ones((4, 3)))
        layer.W -= 1
        with pytest.raises(RuntimeError, match=r"W of shape \(3, 2\) was written"):
            layer.backward(np.ones((4, 2)))


def test_detect_anomaly_sees_inside():
    layer = MulLayer()
    with cr.detect_anomaly(), pytest.raises(cr.AnomalyError, match="multiply gave 1 of 2"):
        layer.forward(np.array([1e300, 1.0]), np.array([1e300, 1.0]))


def test_copies_begin_without_a_past(rng):
    layer = affine(rng)
    layer.forward(np.ones((4, 3)))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(twin.W, layer.W)
        with pytest.raises(RuntimeError, match="no forward call"):
            twin.backward(np.ones((4, 2)))
        twin.forward(np.ones((4, 3)))
    layer.backward(np.ones((4, 2)))


def test_a_check_leaves_the_past_as_it_is(rng):
    layer, x, d = affine(rng), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    layer.forward(x)
    cr.check_gradients(layer, rng.normal(size=(4, 3)))
    np.testing.assert_allclose(layer.backward(d), d @ layer.W.T, rtol=1e-14)
    np.testing.assert_allclose(layer.dW, x.T @ d, rtol=1e-14)


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(("act", "error", "message"), [
    (lambda: Affine(np.ones((3, 2)), np.ones(3)), ValueError, r"Affine: W has shape \(3, 2\), and b \(3,\)"),
    (lambda: Affine(np.ones(3), np.ones(3)), ValueError, r"Affine: W has shape \(3,\)"),
    (lambda: Affine(np.ones((3, 2), int), np.ones(2)), TypeError, r"Affine: W has dtype int64.*\.astype\(float\)"),
    (lambda: Affine(np.ones((3, 2)), np.ones(2)).forward(np.ones((4, 5))), ValueError,
     r"Affine\.forward: x has shape \(4, 5\), and W \(3, 2\).*\(N, 3\)$"),
    (lambda: Affine(np.ones((3, 2)), np.ones(2)).forward(np.ones((3, 5))), ValueError, r"pass x\.T"),
    (lambda: Affine(np.ones((3, 2)), np.ones(2)).forward(1.0), ValueError, r"Affine\.forward: x has shape \(\)"),
    (lambda: MulLayer().forward(np.ones(3), np.ones(2)), ValueError, r"MulLayer\.forward: .*\(3,\).*\(2,\)"),
    (lambda: Relu().forward("a"), TypeError, r"Relu\.forward: expected real numbers, got 'a'"),
    (lambda: Relu().forward(np.ones(2, complex)), TypeError, r"Relu\.forward: expected real numbers"),
    (lambda: Relu().forward(cr.Tensor([1.0])), TypeError, r"Relu\.forward: got a tensor.*nn\.Sequential"),
    (lambda: Relu().backward(1.0), RuntimeError, r"Relu\.backward: no forward call"),
    (lambda: SoftmaxWithLoss().forward(np.ones((2, 3)), np.array([0, 3])), ValueError,
     r"SoftmaxWithLoss\.forward: .*class 3 at \(1,\) is not one of 0 to 2"),
    (lambda: SoftmaxWithLoss().forward(np.ones((2, 3)), np.array([0, 1, 2])), ValueError,
     r"SoftmaxWithLoss\.forward: .*\(2, 3\).*\(3,\)"),
    (lambda: SoftmaxWithLoss().forward(np.ones((2, 3)), np.array([0.0, 1.0])), TypeError, r"classes are integers"),
    (lambda: BatchNormalization(np.ones(3), np.zeros(3)).forward(np.ones((4, 2))), ValueError,
     r"BatchNormalization\.forward: x has shape \(4, 2\), gamma \(3,\) and beta \(3,\)"),
    (lambda: BatchNormalization(np.ones(3), np.zeros(3)).forward(np.ones((1, 3))), ValueError, r"no variance"),
    (lambda: Dropout(1.5), ValueError, r"Dropout: the ratio is a probability.*1\.5"),
    (lambda: HandLayer().forward(1.0), NotImplementedError, "HandLayer does not define forward"),
], ids=range(18))
def test_errors_name_the_layer_and_the_shapes(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_dout_of_a_wrong_shape():
    layer = Relu()
    layer.forward(np.ones((2, 3)))
    for dout in (1, np.ones(3)):
        with pytest.raises(ValueError, match=r"Relu\.backward: dout has shape .*, but forward returned \(2, 3\)"):
            layer.backward(dout)
    assert layer.backward().tolist() == [[1.0] * 3] * 2                      # ones if left out


# ------------------------------------------------------------------ one definition
@pytest.mark.parametrize(("layer", "gate", "argument"), [
    (MulLayer(), "multiply", 0), (MulLayer(), "multiply", 1), (AddLayer(), "add", 1), (MaxLayer(), "maximum", 0),
    (Relu(), "relu", 0), (Sigmoid(), "sigmoid", 0), (Tanh(), "tanh", 0)])
def test_a_layer_of_one_gate_has_its_derivative(layer, gate, argument, monkeypatch, rng):
    """Doubled there, it is doubled here. test_perturbation.py does it to every derivative of every gate."""
    gate, inputs = cr.GATES[gate], [rng.normal(size=3) for _ in range(2)]

    def slopes():
        layer.forward(*inputs[:gate.arity])
        found = layer.backward(np.ones(3))
        return found if isinstance(found, tuple) else (found,)

    before, rules = slopes(), list(gate.derivative)
    rule = rules[argument]
    rules[argument] = lambda dz, z, *x: rule(2 * dz, z, *x)
    monkeypatch.setattr(gate, "derivative", tuple(rules))
    for i, (old, new) in enumerate(zip(before, slopes(), strict=True)):
        np.testing.assert_array_equal(new, 2 * old if i == argument else old)


@pytest.mark.parametrize(("gate", "argument", "attribute"), [
    ("matmul", 0, None), ("matmul", 1, "dW"), ("add", 1, "db")])
def test_affine_has_the_derivatives_of_its_gates(gate, argument, attribute, monkeypatch, rng):
    layer, x, d = affine(rng), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))

    def slopes():
        layer.forward(x)
        return {None: layer.backward(d), "dW": layer.dW, "db": layer.db}

    gate, before = cr.GATES[gate], slopes()
    rules = list(gate.derivative)
    rule = rules[argument]
    rules[argument] = lambda dz, z, *x: rule(2 * dz, z, *x)
    monkeypatch.setattr(gate, "derivative", tuple(rules))
    for name, new in slopes().items():
        np.testing.assert_allclose(new, 2 * before[name] if name == attribute else before[name], rtol=1e-14)


def test_the_loss_has_the_derivative_of_its_gate(monkeypatch, rng):
    layer, x, t = SoftmaxWithLoss(), rng.normal(size=(4, 3)), np.array([0, 2, 1, 2])
    layer.forward(x, t)
    before, gate = layer.backward(), gates.softmax_cross_entropy
    rule = gate.derivative[0]
    monkeypatch.setattr(gate, "derivative", (lambda dz, *rest, **options: rule(2 * dz, *rest, **options), None))
    for labels in (t, np.eye(3)[t]):
        layer.forward(x, labels)
        np.testing.assert_array_equal(layer.backward(), 2 * before)


# ------------------------------------------------------------------ layers of one's own on the same base
def test_a_layer_of_ones_own_from_gates(rng):
    class Swish(HandLayer):
        parameters = ("slope",)

        def __init__(self, slope):
            self.slope = slope

        def forward(self, x):
            return self.run(lambda x, slope: x * gates.sigmoid(slope * x), x)

    layer = Swish(np.array(1.5))
    assert layer.dslope is None
    assert cr.check_gradients(layer, rng.normal(size=(2, 3))) < 1e-8
    layer.forward(rng.normal(size=(2, 3)))
    layer.backward(np.ones((2, 3)))
    assert layer.dslope.shape == ()


def test_an_input_that_leads_nowhere():
    class First(HandLayer):
        def forward(self, x, y):
            return self.run(lambda x, y: x * 2, x, y)

    layer = First()
    layer.forward(np.ones(2), np.ones(3))
    assert [d.tolist() for d in layer.backward(np.ones(2))] == [[2.0, 2.0], [0.0, 0.0, 0.0]]


@given(st.lists(st.sampled_from(["relu", "tanh", "sigmoid", "affine"]), min_size=1, max_size=5),
       st.integers(0, 2**32 - 1))
def test_any_stack_has_the_gradient_of_the_function_it_is(kinds, seed):
    """Layers may occur several times: each kind is one object here."""
    rng = np.random.default_rng(seed)
    layers = {"relu": Relu(), "tanh": Tanh(), "sigmoid": Sigmoid(), "affine": affine(rng, 2, 2)}
    w, b = layers["affine"].W, layers["affine"].b
    functions = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
                 "affine": lambda x: x @ w + b}
    x, dout = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))

    def stack(x):
        nearest = np.inf
        for kind in kinds:
            if kind == "relu":
                nearest = min(nearest, np.abs(x[x != 0]).min(initial=np.inf))
            x = functions[kind](x)
        return x, nearest

    if stack(x)[1] < 1e-4:
        return                                           # a kink: differences say nothing
    z = x
    for kind in kinds:
        z = layers[kind].forward(z)
    np.testing.assert_allclose(z, stack(x)[0], rtol=1e-12)
    back = dout
    for kind in reversed(kinds):
        back = layers[kind].backward(back)
    np.testing.assert_allclose(back, differences(lambda x: stack(x)[0], x, dout), rtol=1e-5, atol=1e-7)
