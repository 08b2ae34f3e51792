"""Dropout and batch normalisation, against their definitions in plain NumPy."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import functional as F
from chainrule import nn


# ------------------------------------------------------------------ dropout
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_a_share_p_and_keeps_the_mean(p):
    n = 100_000
    z = nn.Dropout(p)(np.ones(n, np.float32)).numpy()
    kept = np.float32(1) * np.float32(1 / (1 - p))
    assert set(np.unique(z)) <= {np.float32(0), kept}
    share = (z == 0).mean()
    assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / n)               # five standard deviations
    assert z.dtype == np.float32


def test_dropout_gradient_is_the_mask():
    layer, x = nn.Dropout(0.5), np.arange(1.0, 101.0)
    z = layer.forward(x)
    np.testing.assert_array_equal(layer.backward(np.full(100, 3.0)), 3 * z / x)


def test_dropout_bounds_and_eval():
    x = np.arange(3.0)
    assert nn.Dropout(1.0)(x).tolist() == [0.0] * 3
    assert nn.Dropout(0.0)(x).tolist() == x.tolist()
    assert nn.Dropout(0.5).eval()(x).tolist() == x.tolist()
    assert F.dropout(x, 1.0).tolist() == [0.0] * 3
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            nn.Dropout(p)
        with pytest.raises(ValueError, match="probability"):
            F.dropout(x, p)


def test_dropout_draws_from_its_own_stream_and_only_in_training():
    x, layer = np.ones(50), nn.Dropout(0.5)
    first = layer(x).tolist()
    assert layer(x).tolist() != first
    cr.random.seed(0)
    cr.random.normal(size=10)                            # the user's own draws
    nn.Linear(3, 3)                                      # and a layer's first weights move nothing
    layer.eval()(x)
    layer.train()
    layer.p = 0.0
    layer(x)
    layer.p = 0.5
    assert layer(x).tolist() == first
    assert isinstance(F.dropout(x, 0.5), np.ndarray)


def test_dropout_of_integers_is_an_error():
    with pytest.raises(TypeError, match=r"Dropout\(p=0\.5\).*int64"):
        nn.Dropout(0.5)(np.arange(3))


# ------------------------------------------------------------------ batch normalisation
def reference(x, w, b, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2)
    shape = (1, -1) if x.ndim == 2 else (1, -1, 1)
    mean, var = x.mean(axes), x.var(axes)
    return (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + eps) * w.reshape(shape) + b.reshape(shape)


def by_paper(x, w, dy, eps=1e-5):
    """The gradients that Ioffe and Szegedy (2015, section 3) derive, channel by channel."""
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty_like(w)
    for c in range(x.shape[1]):
        v, d = x[:, c].ravel(), dy[:, c].ravel()
        m, mean, var = v.size, v.mean(), v.var()
        hat = (v - mean) / np.sqrt(var + eps)
        dhat = d * w[c]
        dvar = (dhat * (v - mean)).sum() * -0.5 * (var + eps) ** -1.5
        dmean = -dhat.sum() / np.sqrt(var + eps) + dvar * -2 * (v - mean).mean()
        dx[:, c] = (dhat / np.sqrt(var + eps) + dvar * 2 * (v - mean) / m + dmean / m).reshape(x[:, c].shape)
        dw[c], db[c] = (d * hat).sum(), d.sum()
    return dx, dw, db


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 1, 1)])
def test_batch_norm_over_channels(shape, rng):
    """Not over pixels, the usual fault of layers made by hand."""
    x, dy = rng.normal(2, 3, size=shape), rng.normal(size=shape)
    layer = nn.BatchNorm1d(shape[1]).double()
    w, b = rng.normal(size=shape[1]), rng.normal(size=shape[1])
    layer.load_state_dict({"weight": w, "bias": b}, strict=False)
    np.testing.assert_allclose(layer.forward(x), reference(x, w, b), rtol=1e-10, atol=1e-10)
    dx, dw, db = by_paper(x, w, dy)
    np.testing.assert_allclose(layer.backward(dy), dx, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(layer.weight.grad.numpy(), dw, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(layer.bias.grad.numpy(), db, rtol=1e-10)


def test_running_statistics(rng):
    layer = nn.BatchNorm1d(2, momentum=0.25).double()
    mean, var = np.zeros(2), np.ones(2)
    for _ in range(3):
        x = rng.normal(5, 2, size=(7, 2))
        layer(x)
        mean = 0.75 * mean + 0.25 * x.mean(0)
        var = 0.75 * var + 0.25 * x.var(0, ddof=1)       # unbiased
    np.testing.assert_allclose(layer.running_mean.numpy(), mean)
    np.testing.assert_allclose(layer.running_var.numpy(), var)
    assert layer.num_batches_tracked.item() == 3
    x = rng.normal(size=(2, 2))
    np.testing.assert_allclose(layer.eval()(x).detach().numpy(), (x - mean) / np.sqrt(var + 1e-5))
    assert layer.num_batches_tracked.item() == 3
    layer(x[:1])                                         # one sample is enough in evaluation


def test_without_momentum_they_are_plain_means(rng):
    layer = nn.BatchNorm1d(2, momentum=None).double()
    batches = rng.normal(3, 2, size=(4, 5, 2))
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean((0, 1)))
    np.testing.assert_allclose(layer.running_var.numpy(), batches.var(1, ddof=1).mean(0))


def test_without_running_statistics_evaluation_uses_the_batch(rng):
    layer = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    x = rng.normal(size=(5, 2))
    np.testing.assert_allclose(layer.forward(x), reference(x, np.ones(2), np.zeros(2)))
    assert len(layer.state_dict()) == 0
    assert list(layer.parameters()) == []


def test_batch_norm_errors():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match=r"BatchNorm1d\(3\).*\(1, 3\).*more than one value"):
        layer(np.ones((1, 3)))
    assert layer.num_batches_tracked.item() == 0         # and nothing has moved
    assert layer(np.ones((1, 3, 2))).shape == (1, 3, 2)
    for shape in ((3,), (2, 4), (2, 3, 4, 5)):
        with pytest.raises(ValueError, match=r"expected \(N, 3\) or \(N, 3, L\)"):
            layer(np.ones(shape))
    with pytest.raises(ValueError, match="at least one channel"):
        nn.BatchNorm1d(0)


def test_a_constant_channel_is_no_nan():
    layer = nn.BatchNorm1d(1)
    assert layer.forward(np.full((4, 1), 7.0)).tolist() == [[0.0]] * 4
    assert np.isfinite(layer.backward(np.arange(4.0)[:, None])).all()


def test_second_derivatives_of_batch_norm(rng):
    x, v = cr.Tensor(rng.normal(size=(4, 2)), requires_grad=True), rng.normal(size=(4, 2))
    layer = nn.BatchNorm1d(2, affine=False).double()
    seed = rng.normal(size=(4, 2))

    def gradient(array):
        return by_paper(array, np.ones(2), seed)[0]

    z = (layer(x) * seed).sum()
    z.backward(create_graph=True)
    first, x.grad = x.grad, None
    (first * v).sum().backward()
    h = 1e-5
    np.testing.assert_allclose(x.grad.numpy(), (gradient(x.array + h * v) - gradient(x.array - h * v)) / (2 * h),
                               rtol=1e-5, atol=1e-7)
