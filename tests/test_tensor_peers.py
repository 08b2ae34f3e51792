"""Whole programs against PyTorch's autograd, in float64: values, gradients, and gradients of gradients."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import chainrule as cr
from chainrule import gates as g
from chainrule.reverse import pullback

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

Array = NDArray[Any]
Both = tuple[Any, Any]                                 # the same value here and there


def both(value: Array, requires_grad: bool = True) -> Both:
    return cr.Tensor(value, requires_grad=requires_grad), torch.tensor(value, requires_grad=requires_grad)


def agree(mine: Any, theirs: Any, what: str = "") -> None:
    mine = mine.array if isinstance(mine, cr.Tensor) else mine
    theirs = theirs.detach().numpy(force=True)
    assert np.shape(mine) == theirs.shape, what
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-10, err_msg=what)


def agree_to_second_order(loss: Both, leaves: list[Both], rng: np.random.Generator) -> None:
    """Compare the loss, its gradient by each leaf, and the gradient of a random projection of that gradient."""
    agree(*loss, "loss")
    mine, theirs = zip(*leaves, strict=True)
    found = pullback({loss[0]: np.ones(())}, targets=mine, create_graph=True)
    expected = torch.autograd.grad(loss[1], theirs, create_graph=True, allow_unused=True)
    second: Both = (cr.Tensor(0.0), torch.tensor(0.0, dtype=torch.float64))
    for t, d in zip(mine, expected, strict=True):
        assert (t in found) == (d is not None)
        if d is not None:
            agree(found[t], d, "gradient")
            v = rng.normal(size=d.shape)
            second = second[0] + (found[t] * v).sum(), second[1] + (d * torch.tensor(v)).sum()
    if not second[1].requires_grad:
        assert not second[0].requires_grad or not any(
            np.any(d) for d in pullback({second[0]: np.ones(())}, targets=mine).values())
        return
    again = pullback({second[0]: np.ones(())}, targets=mine) if second[0].requires_grad else {}
    for t, d in zip(mine, torch.autograd.grad(second[1], theirs, allow_unused=True), strict=True):
        agree(again.get(t, np.zeros(t.shape)), torch.zeros(t.shape) if d is None else d, "second order")


# ------------------------------------------------------------------ programs at random
def unary(mine: Callable[[Any], Any], theirs: Callable[[Any], Any], ndim: int = 0) -> tuple[int, int, Any, Any]:
    return 1, ndim, mine, theirs


def binary(mine: Callable[[Any, Any], Any], theirs: Callable[[Any, Any], Any]) -> tuple[int, int, Any, Any]:
    return 2, 0, mine, theirs


#: How many operands, of how many axes at least, here and there. None of them leaves a moderate range of values.
OPS: dict[str, tuple[int, int, Any, Any]] = {
    "add": binary(lambda x, y: x + y, lambda x, y: x + y),
    "subtract": binary(lambda x, y: x - y, lambda x, y: x - y),
    "multiply": binary(lambda x, y: x.tanh() * y, lambda x, y: x.tanh() * y),
    "divide": binary(lambda x, y: x / (1 + y * y), lambda x, y: x / (1 + y * y)),
    "power": binary(lambda x, y: (1 + x * x) ** y.tanh(), lambda x, y: (1 + x * x) ** y.tanh()),
    "maximum": binary(g.maximum, lambda x, y: torch.maximum(x, y)),
    "minimum": binary(g.minimum, lambda x, y: torch.minimum(x, y)),
    "where": binary(lambda x, y: g.where(x > y, x, y * 0.5), lambda x, y: torch.where(x > y, x, y * 0.5)),
    "logaddexp": binary(g.logaddexp, lambda x, y: torch.logaddexp(x, y)),
    "tanh": unary(lambda x: x.tanh(), lambda x: x.tanh()),
    "sigmoid": unary(lambda x: x.sigmoid(), lambda x: x.sigmoid()),
    "exp": unary(lambda x: x.tanh().exp(), lambda x: x.tanh().exp()),
    "log": unary(lambda x: (1 + x * x).log(), lambda x: (1 + x * x).log()),
    "sqrt": unary(lambda x: (1 + x * x).sqrt(), lambda x: (1 + x * x).sqrt()),
    "sin": unary(lambda x: x.sin(), lambda x: x.sin()),
    "cos": unary(lambda x: x.cos(), lambda x: x.cos()),
    "arctan": unary(lambda x: x.arctan(), lambda x: x.arctan()),
    "erf": unary(lambda x: x.erf(), lambda x: x.erf()),
    "softplus": unary(lambda x: x.softplus(), lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "relu": unary(lambda x: x.relu(), lambda x: x.relu()),
    "abs": unary(abs, abs),
    "negative": unary(lambda x: -x, lambda x: -x),
    "clip": unary(lambda x: x.clip(-0.5, 0.7), lambda x: x.clip(-0.5, 0.7)),
    "half": unary(lambda x: 0.5 * x, lambda x: 0.5 * x),
    "sum": unary(lambda x: x.sum(axis=-1) * 0.5, lambda x: x.sum(dim=-1) * 0.5, 1),
    "sum, kept": unary(lambda x: x.sum(axis=0, keepdims=True) * 0.5, lambda x: x.sum(dim=0, keepdim=True) * 0.5, 1),
    "mean": unary(lambda x: x.mean(), lambda x: x.mean()),
    "var": unary(lambda x: x.var(axis=-1), lambda x: x.var(dim=-1, correction=0), 1),
    "max": unary(lambda x: x.max(axis=0), lambda x: torch.amax(x, dim=0), 1),
    "min": unary(lambda x: x.min(axis=-1, keepdims=True), lambda x: torch.amin(x, dim=-1, keepdim=True), 1),
    "prod": unary(lambda x: x.tanh().prod(axis=0), lambda x: x.tanh().prod(dim=0), 1),
    "logsumexp": unary(lambda x: x.logsumexp(axis=-1), lambda x: x.logsumexp(dim=-1), 1),
    "softmax": unary(lambda x: x.softmax(axis=-1), lambda x: x.softmax(dim=-1), 1),
    "log_softmax": unary(lambda x: x.log_softmax(axis=0), lambda x: x.log_softmax(dim=0), 1),
    "cumsum": unary(lambda x: x.cumsum(axis=0) * 0.5, lambda x: x.cumsum(dim=0) * 0.5, 1),
    "sort": unary(lambda x: x.sort(axis=-1), lambda x: x.sort(dim=-1, stable=True).values, 1),
    "ravel": unary(lambda x: x.ravel(), lambda x: x.reshape(-1)),
    "rows": unary(lambda x: x[..., None], lambda x: x[..., None]),
    "T": unary(lambda x: x.T, lambda x: x.permute(tuple(range(x.ndim)[::-1]))),
    "flip": unary(lambda x: g.flip(x, axis=0), lambda x: x.flip(0), 1),
    "roll": unary(lambda x: g.roll(x, 1, axis=-1), lambda x: x.roll(1, -1), 1),
    "first": unary(lambda x: x[0], lambda x: x[0], 1),
    "slice": unary(lambda x: x[..., :2], lambda x: x[..., :2], 1),
    "twice": unary(lambda x: x[np.array([0, -1, 0])], lambda x: x[torch.tensor([0, -1, 0])], 1),
    "mask": unary(lambda x: x * (x > 0), lambda x: x * (x > 0)),
    "pad": unary(lambda x: g.pad(x, ((1, 0),) + ((0, 0),) * (x.ndim - 1)),
                 lambda x: torch.cat([torch.zeros_like(x[:1]), x]), 1),
    "concatenate": unary(lambda x: g.concatenate([x, x * 2]), lambda x: torch.cat([x, x * 2]), 1),
    "stack": unary(lambda x: g.stack([x, -x], axis=-1), lambda x: torch.stack([x, -x], dim=-1)),
    "split": unary(lambda x: sum(part.sum() * i for i, part in enumerate(g.split(x, [1], axis=0))) * 0.3,
                   lambda x: sum(part.sum() * i for i, part in enumerate((x[:1], x[1:]))) * 0.3, 1),
    "gram": unary(lambda x: (x @ x.swapaxes(-1, -2)) * 0.2, lambda x: (x @ x.swapaxes(-1, -2)) * 0.2, 2),
    "einsum": unary(lambda x: g.einsum("...i,...i->...", x, x) * 0.2,
                    lambda x: torch.einsum("...i,...i->...", x, x) * 0.2, 1),
    "norm": unary(lambda x: cr.linalg.norm(1 + x * x), lambda x: torch.linalg.norm((1 + x * x).reshape(-1))),
    "detached": unary(lambda x: x * x.detach(), lambda x: x * x.detach()),
}
MOST = 200                                             # elements of one value


@given(st.data(), st.integers(0, 2**32 - 1), st.integers(5, 20))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_random_programs(data: st.DataObject, seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    leaves = [both(rng.normal(size=shape)) for shape in ((2, 3), (3,), ())]
    values = list(leaves)
    used: set[int] = set()
    said: list[str] = []
    for _ in range(length):
        name = data.draw(st.sampled_from(sorted(OPS)))
        arity, ndim, mine, theirs = OPS[name]
        fits = [i for i, (t, _) in enumerate(values) if t.ndim >= ndim and t.ndim <= 4 and 0 < t.size <= MOST]
        if not fits:
            continue
        places = [data.draw(st.sampled_from(fits)) for _ in range(arity)]
        try:
            size = np.prod(np.broadcast_shapes(*[values[i][0].shape for i in places]))
        except ValueError:
            continue
        if size > MOST:
            continue
        z = mine(*[values[i][0] for i in places]), theirs(*[values[i][1] for i in places])
        said.append(f"{len(values)}: {name}({', '.join(map(str, places))})")
        agree(*z, "\n".join(said))
        used.update(places)
        values.append(z)
    loss: Both = (cr.Tensor(0.0), torch.tensor(0.0, dtype=torch.float64))
    for i, (x, y) in enumerate(values):
        if i not in used:
            weight = rng.normal(size=x.shape)
            loss = loss[0] + (x * weight).sum(), loss[1] + (y * torch.tensor(weight)).sum()
    agree_to_second_order(loss, leaves, rng)


# ------------------------------------------------------------------ small networks
def compare(build: Callable[..., Any], shapes: list[tuple[int, ...]], scale: float = 0.5, seed: int = 0) -> None:
    """`build(library, *leaves)` writes the same network with either library; `library.mine` tells which it is."""
    rng = np.random.default_rng(seed)
    leaves = [both(scale * rng.normal(size=shape)) for shape in shapes]
    mine, theirs = zip(*leaves, strict=True)
    agree_to_second_order((build(g, *mine), build(torch, *theirs)), leaves, rng)
    again = [both(scale * np.asarray(t.array)) for t in mine]
    build(g, *[t for t, _ in again]).backward()
    build(torch, *[t for _, t in again]).backward()
    for t, u in again:
        agree(t.grad, u.grad)


class TestNetworks:
    def test_an_mlp_with_cross_entropy(self) -> None:
        x = np.random.default_rng(1).normal(size=(6, 4))
        labels = np.array([0, 2, 1, 1, 0, 2])

        def build(lib: Any, w: Any, b: Any, v: Any, c: Any) -> Any:
            data = x if lib is g else torch.tensor(x)
            h = (data @ w + b).tanh()
            scores = h @ v + c
            logs = scores.log_softmax(-1)
            return -logs[np.arange(6), labels].mean() if lib is g else -logs[range(6), labels].mean()

        compare(build, [(4, 5), (5,), (5, 3), (3,)])

    def test_a_recurrent_network_over_the_rows_of_one_array(self) -> None:
        def build(lib: Any, x: Any, w: Any, u: Any, b: Any) -> Any:
            h = b * 0
            for t in range(6):
                h = (x[t] @ w + h @ u + b).tanh()
            return (h * h).sum() + x[2].sum()

        compare(build, [(6, 2, 3), (3, 4), (4, 4), (4,)])

    def test_an_lstm_cell_by_slices(self) -> None:
        def build(lib: Any, x: Any, w: Any, u: Any) -> Any:
            h = c = x[0] @ w[:, :4] * 0
            for t in range(4):
                gates = x[t] @ w + h @ u
                i, f, o = gates[:, :4].sigmoid(), gates[:, 4:8].sigmoid(), gates[:, 8:12].sigmoid()
                c = f * c + i * gates[:, 12:].tanh()
                h = o * c.tanh()
            return (h + c * c).sum()

        compare(build, [(4, 2, 3), (3, 16), (4, 16)])

    def test_attention_with_a_causal_mask(self) -> None:
        mask = np.triu(np.ones((5, 5), bool), 1)

        def build(lib: Any, x: Any, q: Any, k: Any, v: Any) -> Any:
            scores = (x @ q) @ (x @ k).swapaxes(-1, -2) / 2.0
            hide = mask if lib is g else torch.tensor(mask)
            scores = lib.where(hide, -1e9, scores)
            return ((scores.softmax(-1) @ (x @ v)) ** 2).sum()

        compare(build, [(2, 5, 4), (4, 4), (4, 4), (4, 3)])

    def test_a_residual_block_with_layer_normalisation(self) -> None:
        def build(lib: Any, x: Any, w: Any, v: Any, gain: Any, shift: Any) -> Any:
            keep = {"keepdims": True} if lib is g else {"keepdim": True}
            away = x - x.mean(-1, **keep)
            normal = away / ((away * away).mean(-1, **keep) + 1e-5).sqrt() * gain + shift
            return ((x + (normal @ w).sigmoid() @ v) ** 2).mean()

        compare(build, [(3, 4), (4, 6), (6, 4), (4,), (4,)], scale=1.0)

    def test_a_convolution_written_with_slices(self) -> None:
        def build(lib: Any, x: Any, kernel: Any) -> Any:
            z = sum(x[:, i:i + 4, j:j + 4] * kernel[i, j] for i in range(3) for j in range(3))
            return (z.tanh() ** 2).sum()

        compare(build, [(2, 6, 6), (3, 3)])

    def test_batch_normalisation_and_a_gradient_penalty(self) -> None:
        rng = np.random.default_rng(3)
        x, w = both(rng.normal(size=(5, 3))), both(rng.normal(size=(3, 1)))

        def score(x: Any, w: Any) -> Any:
            away = x - x.mean(0)
            return ((away / ((away * away).mean(0) + 1e-5).sqrt() @ w).sigmoid() ** 2).sum()

        dx = pullback({score(x[0], w[0]): np.ones(())}, targets=[x[0]], create_graph=True)[x[0]]
        (du,) = torch.autograd.grad(score(x[1], w[1]), x[1], create_graph=True)
        (((dx * dx).sum() + 1e-3).sqrt() - 1).square().backward()
        (((du * du).sum() + 1e-3).sqrt() - 1).square().backward()
        for t, u in (x, w):
            agree(t.grad, u.grad)

    def test_newtons_method_to_the_third_derivative(self) -> None:
        x, y = both(np.array(0.8))
        mine, theirs = x.sin() * x.exp() / (1 + x * x), y.sin() * y.exp() / (1 + y * y)
        for _ in range(4):
            mine = pullback({mine: np.ones(())}, targets=[x], create_graph=True)[x]
            (theirs,) = torch.autograd.grad(theirs, y, create_graph=True)
            agree(mine, theirs)

    def test_gradients_pile_up_over_passes_and_hooks_alike(self) -> None:
        x, y = both(np.array([1.0, -2.0]))
        for t in (x, y):
            t.register_hook(lambda d: d * 2)
            for k in (1.0, 3.0):
                h = t * k
                h.register_hook(lambda d: d + 1)
                (h * h).sum().backward()
        agree(x.grad, y.grad)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_twenty_steps_of_gradient_descent(self, dtype: Any) -> None:
        rng = np.random.default_rng(0)
        data, target = rng.normal(size=(8, 3)).astype(dtype), rng.normal(size=(8, 1)).astype(dtype)
        params = [both(rng.normal(size=shape).astype(dtype)) for shape in ((3, 4), (4,), (4, 1))]
        for _ in range(20):
            for k, no_grad, inputs in ((0, cr.no_grad, (data, target)),
                                       (1, torch.no_grad, (torch.tensor(data), torch.tensor(target)))):
                w, b, v = (pair[k] for pair in params)
                ((((inputs[0] @ w + b).tanh() @ v - inputs[1]) ** 2).mean()).backward()
                with no_grad():
                    for p in (w, b, v):
                        p -= 0.1 * p.grad
                        p.grad = None
        for t, u in params:
            assert t.dtype == dtype
            np.testing.assert_allclose(t.numpy(), u.detach().numpy(), rtol=2e-5 if dtype is np.float32 else 1e-12)
