"""Optimizers against PyTorch's: the same trajectory under every combination of options."""
from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

STEPS = 60
SGD = [{"momentum": m, "dampening": d, "weight_decay": w, "nesterov": n, "maximize": x}
       for m, d, w, n, x in product((0, 0.9), (0, 0.3), (0, 0.05), (False, True), (False, True))
       if not n or (m and not d)]
ADAM = [{"betas": b, "eps": e, "weight_decay": w, "amsgrad": a, "maximize": x}
        for b, e, w, a, x in product(((0.9, 0.999), (0.5, 0.5), (0.0, 0.9)), (1e-8, 1e-2), (0, 0.1), (False, True),
                                     (False, True))]
CASES = [("SGD", o) for o in SGD] + [("Adam", o) for o in ADAM] + [("AdamW", o) for o in ADAM]


def slope(p, t):
    """A gradient that depends on the parameter and on the step: three curvatures, and noise."""
    noise = np.random.default_rng(t).normal(size=p.shape)
    return (np.arange(p.size).reshape(p.shape) % 3 * p + np.sin(3 * p) + 0.3 * noise).astype(p.dtype)


def run(make, options, starts, steps=STEPS, skip=(), before=lambda optimizer, t: None):
    """Both optimizers over the same gradients; yields pairs of parameters after each step."""
    ours = [cr.Tensor(a, requires_grad=True) for a in starts]
    theirs = [torch.tensor(a, requires_grad=True) for a in starts]
    pair = getattr(optim, make)(ours, **options), getattr(torch.optim, make)(theirs, **options)
    for t in range(steps):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            p.grad = None if (i, t) in skip else slope(p.numpy(), t)
            q.grad = None if (i, t) in skip else torch.tensor(slope(q.detach().numpy(), t))
        for optimizer in pair:
            before(optimizer, t)
            optimizer.step()
        yield [(p.numpy(), q.detach().numpy()) for p, q in zip(ours, theirs, strict=True)], pair


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda x: str(x))
def test_trajectory(name, options, rng):
    starts = [rng.normal(size=(3, 4)), rng.normal(size=5), rng.normal(size=())]

    def schedule(optimizer, t):
        optimizer.param_groups[0]["lr"] = 0.05 / (1 + t / 20)

    for pairs, _ in run(name, {"lr": 0.05, **options}, starts, skip={(1, 0), (1, 7), (2, 30)}, before=schedule):
        for p, q in pairs:
            np.testing.assert_allclose(p, q, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), [
    ("SGD", {"lr": 0.05}), ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01}), ("AdamW", {"lr": 0.01, "amsgrad": True})], ids=lambda x: str(x))
def test_float32(name, options, rng):
    for pairs, _ in run(name, options, [rng.normal(size=(7, 3)).astype(np.float32)]):
        for p, q in pairs:
            assert p.dtype == np.float32
            np.testing.assert_allclose(p, q, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_default_settings(name):
    ours = getattr(optim, name)([cr.Tensor(1.0, requires_grad=True)]).defaults
    theirs = getattr(torch.optim, name)([torch.tensor(1.0, requires_grad=True)]).defaults
    assert ours.items() <= theirs.items()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_parameter_groups(name, rng):
    starts = [rng.normal(size=4) for _ in range(3)]
    momentum = {"momentum": 0.8} if name == "SGD" else {"betas": (0.8, 0.9)}

    def make(module, tensors):
        optimizer = getattr(module, name)([
            {"params": [tensors[0]], "lr": 0.1}, {"params": tensors[1:2], "weight_decay": 0.2, **momentum}], lr=0.02)
        optimizer.add_param_group({"params": tensors[2], "maximize": True})
        return optimizer

    ours = [cr.Tensor(a, requires_grad=True) for a in starts]
    theirs = [torch.tensor(a, requires_grad=True) for a in starts]
    pair = make(optim, ours), make(torch.optim, theirs)
    for t in range(STEPS):
        for p, q in zip(ours, theirs, strict=True):
            p.grad, q.grad = slope(p.numpy(), t), torch.tensor(slope(q.detach().numpy(), t))
        for optimizer in pair:
            optimizer.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-11, atol=1e-13)
    saved, reference = pair[0].state_dict(), pair[1].state_dict()
    numbers = [[group["params"] for group in each["param_groups"]] for each in (saved, reference)]
    assert numbers[0] == numbers[1] == [[0], [1], [2]]
    assert saved["state"].keys() == reference["state"].keys()
    for i, state in reference["state"].items():
        for key, value in state.items():
            if value is not None:
                np.testing.assert_allclose(saved["state"][i][key], np.asarray(value), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), [
    ("SGD", {"lr": 0.05}), ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5}), ("Adam", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "amsgrad": True})], ids=lambda x: str(x))
def test_state_goes_both_ways(name, options, rng):
    """After 20 steps each side goes on with what the other saved, and still both move alike."""
    start = rng.normal(size=6)
    *_, (pairs, (ours, theirs)) = run(name, options, [start], steps=20)
    (p, q), = pairs
    p, q = cr.Tensor(q, requires_grad=True), torch.tensor(p, requires_grad=True)
    mine, other = getattr(optim, name)([p]), getattr(torch.optim, name)([q])
    mine.load_state_dict(theirs.state_dict())
    saved = ours.state_dict()
    for state in saved["state"].values():
        state.update({key: torch.tensor(value) for key, value in state.items()})
    other.load_state_dict(saved | {"param_groups": [other.state_dict()["param_groups"][0] | saved["param_groups"][0]]})
    for t in range(20, 40):
        p.grad, q.grad = slope(p.numpy(), t), torch.tensor(slope(q.detach().numpy(), t))
        mine.step()
        other.step()
    np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-11, atol=1e-13)
