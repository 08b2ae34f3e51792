"""Optimizers against PyTorch's: the same trajectory under every combination of options."""
from __future__ import annotations

import inspect
from itertools import product

import numpy as np
import pytest
from tests.optim.references import OPTIMIZERS

import chainrule as cr
from chainrule import optim

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

STEPS = 60
NOISE = 0.3 * np.random.default_rng(0).normal(size=(100, 21))
SWITCH = False, True
PEERS = [name for name in OPTIMIZERS if hasattr(torch.optim, name)]
every_optimizer = pytest.mark.parametrize("name", PEERS)


def combined(name, *usual, **choices):
    """Every combination of settings, beside each of some that are varied together."""
    return [(name, first | dict(zip(choices, values, strict=True)))
            for first in usual for values in product(*choices.values())]


BETAS = {"betas": (0.9, 0.999)}, {"betas": (0.5, 0.5), "eps": 1e-2}, {"betas": (0.0, 0.9)}
ADAM = {"weight_decay": (0, 0.1), "amsgrad": SWITCH, "maximize": SWITCH}
CASES = [
    *[(name, o) for name, o in combined("SGD", {}, momentum=(0, 0.9), dampening=(0, 0.3), weight_decay=(0, 0.05),
                                        nesterov=SWITCH, maximize=SWITCH)
      if not o["nesterov"] or (o["momentum"] and not o["dampening"])],
    *combined("Adam", *BETAS, **ADAM), *combined("AdamW", *BETAS, **ADAM),
    *combined("Adam", *BETAS, weight_decay=(0.1,), amsgrad=(True,), maximize=(True,), decoupled_weight_decay=(True,)),
    *combined("RMSprop", {}, {"alpha": 0.5, "eps": 1e-2}, weight_decay=(0, 0.05), momentum=(0, 0.9), centered=SWITCH,
              maximize=SWITCH),
    *combined("Adagrad", {}, {"eps": 1e-2}, lr_decay=(0, 0.1), weight_decay=(0, 0.05),
              initial_accumulator_value=(0, 0.5), maximize=SWITCH),
    *combined("Adadelta", {"lr": 1.0}, {"lr": 0.5, "rho": 0.3, "eps": 1e-2}, weight_decay=(0, 0.05), maximize=SWITCH),
    *combined("Adamax", *BETAS, weight_decay=(0, 0.1), maximize=SWITCH),
    *combined("NAdam", BETAS[0], BETAS[1] | {"momentum_decay": 0.5}, BETAS[2] | {"momentum_decay": 0},
              weight_decay=(0, 0.1), decoupled_weight_decay=SWITCH, maximize=SWITCH),
    *combined("RAdam", *BETAS, {"betas": (0.9, 0.7)}, weight_decay=(0, 0.1), decoupled_weight_decay=SWITCH,
              maximize=SWITCH),
]
FULL = {name: options for name, options in CASES if not options.get("nesterov")}       # the last: all switches on


@pytest.fixture(autouse=True)
def float64():
    """PyTorch keeps its product of momenta in the default dtype; ours is a Python number."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def slope(p, t):
    """A gradient that depends on the parameter and on the step: three curvatures, and noise."""
    return (np.arange(p.size).reshape(p.shape) % 3 * p + np.sin(3 * p) + NOISE[t, :p.size].reshape(p.shape)
            ).astype(p.dtype)


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
    lr = options.get("lr", 0.05)

    def schedule(optimizer, t):
        optimizer.param_groups[0]["lr"] = lr / (1 + t / 20)

    paths = [[np.concatenate([x.ravel() for x in side]) for side in zip(*pairs, strict=True)] for pairs, _ in run(
        name, {"lr": lr, **options}, starts, skip={(1, 0), (1, 7), (2, 30)}, before=schedule)]
    np.testing.assert_allclose(*np.swapaxes(paths, 0, 1), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), [(name, {}) for name in PEERS] + [
    (name, {key: value for key, value in options.items() if key != "lr"}) for name, options in FULL.items()], ids=str)
def test_float32(name, options, rng):
    """Along the same gradients, so that what rounding does to one step does not decide the next."""
    start = rng.normal(size=21).astype(np.float32)
    p, q = cr.Tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    pair = getattr(optim, name)([p], lr=0.01, **options), getattr(torch.optim, name)([q], lr=0.01, **options)
    for t in range(STEPS):
        g = NOISE[t].astype(np.float32)
        p.grad, q.grad = g, torch.tensor(g)
        for optimizer in pair:
            optimizer.step()
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=2e-5, atol=2e-6)


def test_nearly_every_optimizer_has_a_peer():
    assert set(OPTIMIZERS) - set(PEERS) == {"Lion"}
    assert set(FULL) == set(PEERS)


@every_optimizer
def test_arguments_and_defaults(name):
    """The same names with the same defaults, in the same places."""
    ours = inspect.signature(getattr(optim, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    kept = [key for key in theirs if key in ours]
    assert list(theirs.keys() - ours.keys() - {"foreach", "fused", "capturable", "differentiable"}) == []
    positional = [key for key, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert kept[:len(positional)] == positional
    assert {key: ours[key].default for key in kept} == {key: theirs[key].default for key in kept}
    mine = getattr(optim, name)([cr.Tensor(1.0, requires_grad=True)]).defaults
    other = getattr(torch.optim, name)([torch.tensor(1.0, requires_grad=True)]).defaults
    assert mine.items() <= other.items()


@every_optimizer
def test_parameter_groups(name, rng):
    starts = [rng.normal(size=4) for _ in range(3)]
    settings = {"SGD": {"momentum": 0.8}, "RMSprop": {"momentum": 0.8, "centered": True}, "Adagrad": {"lr_decay": 0.1},
                "Adadelta": {"rho": 0.5}, "NAdam": {"momentum_decay": 0.1}}.get(name, {"betas": (0.8, 0.9)})

    def make(module, tensors):
        optimizer = getattr(module, name)([
            {"params": [tensors[0]], "lr": 0.1}, {"params": tensors[1:2], "weight_decay": 0.2, **settings},
            {"params": tensors[2], "maximize": True}][:2 + (name == "Adagrad")], lr=0.02)
        if name != "Adagrad":                          # PyTorch's Adagrad cannot step with a group that came later
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
    for each, other in zip(saved["param_groups"], reference["param_groups"], strict=True):
        assert each.items() <= other.items()
    assert saved["state"].keys() == reference["state"].keys()
    for i, state in reference["state"].items():
        present = {key for key, value in state.items() if value is not None}
        assert saved["state"][i].keys() - {"step"} == present - {"step"}
        for key in present:
            np.testing.assert_allclose(saved["state"][i][key], np.asarray(state[key]), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), [(name, {}) for name in PEERS] + list(FULL.items()), ids=str)
def test_state_goes_both_ways(name, options, rng):
    """After 20 steps each side goes on with what the other saved, and still both move alike."""
    start = rng.normal(size=6)
    *_, (pairs, (ours, theirs)) = run(name, {"lr": 0.01, **options}, [start], steps=20)
    (p, q), = pairs
    p, q = cr.Tensor(q, requires_grad=True), torch.tensor(p, requires_grad=True)
    mine, other = getattr(optim, name)([p], lr=9.0), getattr(torch.optim, name)([q], lr=9.0)
    mine.load_state_dict(theirs.state_dict())
    saved = ours.state_dict()
    for state in saved["state"].values():
        state.update({key: torch.tensor(value) for key, value in state.items() if isinstance(value, np.ndarray)})
    other.load_state_dict(saved)
    for t in range(20, 70):
        p.grad, q.grad = slope(p.numpy(), t), torch.tensor(slope(q.detach().numpy(), t))
        mine.step()
        other.step()
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-11, atol=1e-13)
    again = getattr(torch.optim, name)([q])
    again.load_state_dict({**theirs.state_dict(), "param_groups": mine.state_dict()["param_groups"]})
    assert again.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]


@every_optimizer
def test_the_state_of_float32_continues_in_float64(name, rng):
    """Loading converts the moments to the dtype of the parameters, there as here."""
    start = rng.normal(size=6).astype(np.float32)
    *_, (pairs, (_, theirs)) = run(name, {"lr": 0.05}, [start], steps=10)
    (p, q), = pairs
    q = q.astype(np.float64)
    p, q = cr.Tensor(q, requires_grad=True), torch.tensor(q, requires_grad=True)
    mine, other = getattr(optim, name)([p]), getattr(torch.optim, name)([q])
    mine.load_state_dict(theirs.state_dict())
    other.load_state_dict(theirs.state_dict())
    for t in range(10, 30):
        p.grad, q.grad = slope(p.numpy(), t), torch.tensor(slope(q.detach().numpy(), t))
        mine.step()
        other.step()
    np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-11, atol=1e-13)


@every_optimizer
def test_closure(name):
    """The closure is called once, before the update, and sees gradients even under no_grad."""
    def follow(optimizer, w, no_grad):
        calls = []

        def closure():
            optimizer.zero_grad()
            loss = ((w - 3) * (w - 3)).sum()
            loss.backward()
            calls.append(loss.item())
            return loss

        with no_grad():
            losses = [optimizer.step(closure).item() for _ in range(10)]
        assert losses == calls
        return losses

    w, v = cr.Tensor([1.0, -2.0], requires_grad=True), torch.tensor([1.0, -2.0], requires_grad=True)
    ours = follow(getattr(optim, name)([w], lr=0.1), w, cr.no_grad)
    np.testing.assert_allclose(ours, follow(getattr(torch.optim, name)([v], lr=0.1), v, torch.no_grad), rtol=1e-11)
