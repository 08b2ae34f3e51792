"""Losses and functions by their definitions in plain NumPy, their shapes, dtypes and errors."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule import functional as F


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def gradient(function, x, *rest, **options):
    t = cr.Tensor(x, requires_grad=True)
    function(t, *rest, **options).sum().backward()
    return t.grad.numpy()


def differences(function, x, h=1e-6):
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (function(x + step) - function(x - step)).sum() / (2 * h)
    return slopes


# ------------------------------------------------------------------ on arrays, on tensors
def test_arrays_give_arrays_and_tensors_give_tensors():
    x = np.array([[-1.0, 0.0, 2.0]], np.float32)
    t = np.array([1])
    for function, rest in ((F.relu, ()), (F.sigmoid, ()), (F.tanh, ()), (F.softplus, ()), (F.softmax, ()),
                           (F.log_softmax, ()), (F.dropout, (0.5,)), (F.mse_loss, (x,)), (F.cross_entropy, (t,)),
                           (F.nll_loss, (t,)), (F.binary_cross_entropy_with_logits, (x,)), (F.linear, (x, None))):
        z, w = function(x, *rest), function(cr.Tensor(x, requires_grad=True), *rest)
        assert isinstance(z, np.ndarray | np.generic), function
        assert isinstance(w, cr.Tensor), function
        assert w.requires_grad, function
        assert z.dtype == w.dtype == np.float32, function
        if function is not F.dropout:
            np.testing.assert_array_equal(z, w.array)


def test_softplus_with_beta_and_large_arguments():
    x = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])
    np.testing.assert_allclose(F.softplus(x, beta=2.0)[1:4], np.log1p(np.exp(2 * x[1:4])) / 2)
    assert F.softplus(x)[[0, 4]].tolist() == [0.0, 1000.0]


def test_one_hot():
    assert F.one_hot(np.array([[1, 0]])).tolist() == [[[0, 1], [1, 0]]]
    z = F.one_hot(cr.Tensor([2, 0]), 4)
    assert isinstance(z, cr.Tensor)
    assert z.dtype == np.int64
    assert z.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"class 3 at \(1,\) is not one of 0 to 2"):
        F.one_hot([0, 3], 3)
    with pytest.raises(ValueError, match="class -1"):
        F.one_hot([0, -1], 3)
    with pytest.raises(TypeError, match="integers, got float64"):
        F.one_hot([0.0])


# ------------------------------------------------------------------ losses never broadcast
@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
def test_a_column_against_a_row_is_an_error(loss):
    """(N, 1) against (N,) would broadcast to (N, N), and train on nonsense without a word."""
    column, row = np.full((4, 1), 0.5), np.full(4, 0.5)
    with pytest.raises(ValueError, match=r"shape \(4, 1\), the target \(4,\).*target\.reshape\(4, 1\)"):
        loss(column, row)
    with pytest.raises(ValueError, match=r"shape \(4,\), the target \(4, 1\)"):
        loss(row, column)
    with pytest.raises(ValueError, match=r"shape \(4, 1\), the target \(\)"):
        loss(column, 1.0)


@given(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
def test_no_pair_of_different_shapes_passes(first, second):
    x, t = np.full(first, 0.5), np.full(second, 0.5)
    for loss in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        if first == second:
            assert loss(x, t, reduction="none").shape == first
        else:
            with pytest.raises(ValueError, match="same shape"):
                loss(x, t)


def test_the_remedies_of_cross_entropy():
    x = np.zeros((5, 3))
    with pytest.raises(ValueError, match=r"scores \(5, 3\) and a target of shape \(5, 1\).*squeeze"):
        F.cross_entropy(x, np.zeros((5, 1), int))
    with pytest.raises(ValueError, match=r"one-hot rows.*argmax"):
        F.cross_entropy(x, np.eye(5, 3, dtype=int))
    with pytest.raises(ValueError, match=r"\(4,\); expected classes of shape \(5,\)"):
        F.cross_entropy(x, np.zeros(4, int))
    with pytest.raises(TypeError, match=r"classes are integers, got float64 of shape \(5,\).*astype\(np\.int64\)"):
        F.cross_entropy(x, np.zeros(5))
    with pytest.raises(TypeError, match="classes are integers, got bool"):
        F.cross_entropy(x, np.zeros(5, bool))
    with pytest.raises(TypeError, match="the input is floating-point, got int64"):
        F.cross_entropy(np.zeros((5, 3), int), np.zeros(5, int))
    with pytest.raises(ValueError, match="single score"):
        F.cross_entropy(1.0, 0)
    with pytest.raises(ValueError, match="weight has shape"):
        F.cross_entropy(x, np.zeros(5, int), weight=np.ones(4))
    with pytest.raises(ValueError, match="ignore_index=0 is a class"):
        F.cross_entropy(x, np.full((5, 3), 1 / 3), ignore_index=0)
    with pytest.raises(ValueError, match="label_smoothing"):
        F.cross_entropy(x, np.zeros(5, int), label_smoothing=1.5)
    for loss in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.cross_entropy):
        with pytest.raises(ValueError, match="reduction is 'mean', 'sum' or 'none', got 'avg'"):
            loss(x, x, reduction="avg")


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, np.uint8, np.uint64])
def test_classes_of_any_integer_dtype_and_never_out_of_range(dtype):
    x = np.random.default_rng(1).normal(size=(4, 3))
    good = np.array([0, 1, 2, 0], dtype)
    assert F.cross_entropy(x, good) == F.cross_entropy(x, good.astype(int))
    for wrong in (3, 100, -1, -3, -128):
        if np.iinfo(dtype).min <= wrong:
            with pytest.raises(ValueError, match=rf"class {wrong} at \(2,\) is not one of 0 to 2"):
                F.cross_entropy(x, np.array([0, 1, wrong, 0]).astype(dtype))
    every_second = np.array([0, 9, 1, 9, 2, 9, 0, 9], dtype)[::2]
    assert F.cross_entropy(x, every_second) == F.cross_entropy(x, good)


# ------------------------------------------------------------------ values
def definition(x, target, weight=None, ignore=-100, reduction="mean", smoothing=0.0):
    """Cross-entropy with classes, one sample after the other."""
    moved = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    weight = np.ones(x.shape[1]) if weight is None else weight
    losses, total = [], 0.0
    for scores, y in zip(moved, target.ravel(), strict=True):
        if y == ignore:
            losses.append(0.0)
            continue
        log_p = np.log(softmax(scores, 0))
        losses.append(-(1 - smoothing) * weight[y] * log_p[y] - smoothing / len(scores) * (weight * log_p).sum())
        total += weight[y]
    losses = np.array(losses).reshape(target.shape)
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / total if total else np.nan}[reduction]


@given(st.data())
def test_cross_entropy_of_classes(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, max_side=4))
    x = data.draw(hnp.arrays(float, shape, elements=st.floats(-30, 30)))
    classes = shape[1]
    allowed = [-100, *range(classes)]
    ignore = data.draw(st.sampled_from(allowed))
    samples = (shape[0], *shape[2:])
    target = data.draw(hnp.arrays(int, samples, elements=st.sampled_from([*range(classes), ignore])))
    options = {"weight": data.draw(st.none() | hnp.arrays(float, classes, elements=st.floats(0.1, 5))),
               "reduction": data.draw(st.sampled_from(["mean", "sum", "none"]))}
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    got = F.cross_entropy(x, target, ignore_index=ignore, label_smoothing=smoothing, **options)
    expected = definition(x, target, ignore=ignore, smoothing=smoothing, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["<i4", ">i4", ">i8", "i1", "u1", ">u2"])
def test_classes_may_be_integers_of_any_kind(dtype, rng):
    x, classes = rng.normal(size=(5, 3)), np.array([0, 2, 1, 2, 2])
    assert F.cross_entropy(x, classes.astype(dtype)) == F.cross_entropy(x, classes)
    with pytest.raises(ValueError, match=r"class 3 at \(1,\) is not one of 0 to 2"):
        F.cross_entropy(x, np.array([0, 3, 1, 2, 2], dtype))


def test_gradients_of_cross_entropy(rng):
    x = rng.normal(size=(4, 3, 2))
    target = rng.integers(0, 3, (4, 2))
    target[0, 0] = -100
    for options in ({}, {"weight": np.array([0.5, 1.0, 3.0])}, {"label_smoothing": 0.2}, {"ignore_index": 1},
                    {"weight": np.array([0.5, 1.0, 3.0]), "label_smoothing": 0.2}, {"reduction": "sum"},
                    {"reduction": "none"}):
        if "ignore_index" in options:
            target = np.abs(target) % 3
        slopes = differences(lambda a, o=options, t=target: np.asarray(
            definition(a, t, o.get("weight"), o.get("ignore_index", -100), o.get("reduction", "mean"),
                       o.get("label_smoothing", 0.0))), x)
        np.testing.assert_allclose(gradient(F.cross_entropy, x, target, **options), slopes, rtol=1e-6, atol=1e-9)


def test_cross_entropy_of_probabilities(rng):
    x, t = rng.normal(size=(4, 3, 2)), softmax(rng.normal(size=(4, 3, 2)), 1)
    w = np.array([0.5, 1.0, 3.0])
    losses = -(t * np.log(softmax(x, 1))).sum(1)
    np.testing.assert_allclose(F.cross_entropy(x, t), losses.mean())
    np.testing.assert_allclose(F.cross_entropy(x, t, reduction="none"), losses)
    np.testing.assert_allclose(gradient(F.cross_entropy, x, t), (softmax(x, 1) - t) / 8)
    s = t * 0.7 + 0.1
    np.testing.assert_allclose(F.cross_entropy(x, t, weight=w, label_smoothing=0.3, reduction="sum"),
                               -(s * w[:, None] * np.log(softmax(x, 1))).sum())
    np.testing.assert_allclose(F.cross_entropy(x[0, :, 0], t[0, :, 0]), losses[0, 0])
    np.testing.assert_allclose(F.cross_entropy(x[0, :, 0], 2), -np.log(softmax(x[0, :, 0], 0))[2])


def test_all_ignored_is_nan_with_no_gradient():
    target = np.full(2, -100)
    for options in ({}, {"weight": np.ones(3)}, {"label_smoothing": 0.1}):
        x = cr.Tensor(np.ones((2, 3)), requires_grad=True)
        z = F.cross_entropy(x, target, **options)
        z.backward()
        assert np.isnan(z.item())
        assert x.grad.tolist() == [[0.0] * 3] * 2
    assert F.cross_entropy(np.ones((2, 3)), target, reduction="sum") == 0.0


def test_ignored_samples_move_nothing(rng):
    x, target = rng.normal(size=(4, 3)), np.array([0, 1, -100, 2])
    kept = np.array([0, 1, 3])
    d = gradient(F.cross_entropy, x, target)
    np.testing.assert_array_equal(d[2], 0)
    np.testing.assert_allclose(d[kept], gradient(F.cross_entropy, x[kept], target[kept]))


def test_losses_are_exact_for_scores_of_any_size():
    x = np.array([[1000.0, 0.0], [-1000.0, 0.0]], np.float32)
    assert F.cross_entropy(x, [0, 0], reduction="none").tolist() == [0.0, 1000.0]
    x, t = np.array([1000.0, -1000.0, 1000.0, -1000.0]), np.array([1.0, 0.0, 0.0, 1.0])
    assert F.binary_cross_entropy_with_logits(x, t, reduction="none").tolist() == [0.0, 0.0, 1000.0, 1000.0]
    assert gradient(F.binary_cross_entropy_with_logits, x, t, reduction="sum").tolist() == [0.0, 0.0, 1.0, -1.0]
    tiny = F.binary_cross_entropy_with_logits(np.array([20.0, -20.0], np.float32), np.array([1.0, 0.0]),
                                              reduction="none")
    np.testing.assert_allclose(tiny, np.log1p(np.exp(-20.0)), rtol=1e-6)     # not cancelled to 0
    x = np.zeros(2)
    d = gradient(F.binary_cross_entropy_with_logits, x, [1.0, 0.0], reduction="sum")
    np.testing.assert_allclose(d, [-0.5, 0.5])


def test_binary_cross_entropy_at_the_ends():
    """-100 at least for each logarithm; finite gradients; no warning."""
    p, t = np.array([0.0, 0.0, 1.0, 1.0, 1e-300]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    assert F.binary_cross_entropy(p, t, reduction="none").tolist() == [0.0, 100.0, 100.0, 0.0, 100.0]
    d = gradient(F.binary_cross_entropy, p, t, reduction="none")
    least = np.exp(-100.0)                              # the least p (1 - p) that is divided by
    np.testing.assert_allclose(d, [0.0, -1 / least, 1 / least, 0.0, -1 / least], rtol=1e-12)
    for dtype in (np.float32, np.float16):              # the inverse of a smaller number than these would be infinite
        p = np.array([0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).smallest_normal, 1], dtype)
        d = gradient(F.binary_cross_entropy, p, np.ones(4), reduction="none")
        least = max(np.exp(-100.0), float(np.finfo(dtype).smallest_normal) ** 0.8)
        np.testing.assert_allclose(d[[0, 3]], [-1 / least, 0.0], rtol=np.finfo(dtype).eps)
        t = cr.Tensor(np.ones(4, dtype), requires_grad=True)
        F.binary_cross_entropy(p, t, reduction="sum").backward()
        least = min(100, -np.log(float(p[1])))
        np.testing.assert_allclose(t.grad.numpy()[[0, 3]], [least, -least], rtol=np.finfo(dtype).eps)
    for wrong in ([-0.1], [1.1], [np.nan]):
        with pytest.raises(ValueError, match="probability.*with_logits"):
            F.binary_cross_entropy(wrong, [1.0])


def test_binary_losses_with_weights(rng):
    x, t = rng.normal(size=(4, 3)), rng.random((4, 3))
    w, pos = rng.random(3) + 0.5, rng.random(3) + 0.5
    s = 1 / (1 + np.exp(-x))
    losses = -w * (pos * t * np.log(s) + (1 - t) * np.log(1 - s))
    np.testing.assert_allclose(F.binary_cross_entropy_with_logits(x, t, w, pos_weight=pos), losses.mean())
    np.testing.assert_allclose(gradient(F.binary_cross_entropy_with_logits, x, t, w, pos_weight=pos, reduction="sum"),
                               w * (-pos * t * (1 - s) + (1 - t) * s))
    plain = -w * (t * np.log(s) + (1 - t) * np.log(1 - s))
    np.testing.assert_allclose(F.binary_cross_entropy(s, t, w, reduction="sum"), plain.sum())
    with pytest.raises(ValueError, match="weight"):
        F.binary_cross_entropy(s[0], t[0], np.ones((4, 3)))


def test_a_target_may_be_differentiated_too(rng):
    x, t = cr.Tensor(rng.normal(size=3)), cr.Tensor(rng.normal(size=3), requires_grad=True)
    F.mse_loss(x, t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad.numpy(), -2 * (x.array - t.array))
    probabilities = cr.Tensor(np.full((1, 3), 1 / 3), requires_grad=True)
    F.cross_entropy(x.reshape(1, 3), probabilities).backward()
    np.testing.assert_allclose(probabilities.grad.numpy(), -np.log(softmax(x.array[None], 1)))


def test_the_dtype_is_that_of_the_scores():
    x = cr.Tensor(np.full((2, 3), 0.5, np.float32), requires_grad=True)
    wide = np.full((2, 3), 0.5)
    for z in (F.mse_loss(x, wide), F.binary_cross_entropy(x, wide, np.ones(3)), F.cross_entropy(x, wide),
              F.binary_cross_entropy_with_logits(x, cr.Tensor(wide), np.ones(3), pos_weight=np.ones(3)),
              F.cross_entropy(x, np.array([0, 1]), np.ones(3), label_smoothing=0.1),
              F.mse_loss(x, np.ones((2, 3), int))):
        assert z.dtype == np.float32
        z.backward()
        assert x.grad.dtype == np.float32


def test_cross_entropy_has_a_second_derivative(rng):
    x, v = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    target = np.array([0, 3, 1])
    t = cr.Tensor(x, requires_grad=True)
    F.cross_entropy(t, target).backward(create_graph=True)
    first, t.grad = t.grad, None
    (first * v).sum().backward()
    p = softmax(x, 1)
    np.testing.assert_allclose(t.grad.numpy(), (p * v - p * (p * v).sum(1, keepdims=True)) / 3, rtol=1e-9)


def test_batch_norm_is_a_function_too(rng):
    x = rng.normal(size=(5, 2))
    np.testing.assert_allclose(F.batch_norm(x, None, None, training=True), (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5))
    mean, var = cr.Tensor([1.0, 2.0]), cr.Tensor([4.0, 9.0])
    np.testing.assert_allclose(F.batch_norm(x, mean, var, eps=0.0).numpy(), (x - [1, 2]) / [2, 3])
    with pytest.raises(ValueError, match=r"\(3,\), expected \(N, C\)"):
        F.batch_norm(np.ones(3), None, None)
