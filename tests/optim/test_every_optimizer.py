"""What every optimizer promises, for all that `chainrule.optim` has: a new one is tested by being there."""
from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from tests.optim.references import OPTIMIZERS, REFERENCES, VARIANTS, loop

import chainrule as cr
from chainrule import optim
from chainrule.optim.blocks import BLOCK

STEPS = 50
every_optimizer = pytest.mark.parametrize("name", sorted(OPTIMIZERS))
every_variant = pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=lambda x: str(x))
CURVATURE = np.array([[0.5, 1.0, 2.0], [3.0, 0.1, 1.5]])
RATES = [0.05 / (1 + t / 20) for t in range(STEPS)]


def noise(t, shape=CURVATURE.shape):
    return np.random.default_rng(t).normal(size=shape)


def slope(p, t):
    """The gradient of ½ Σ c p² + Σ n p."""
    return CURVATURE * p + noise(t)


def make(name, params, lr=0.05, **settings):
    return OPTIMIZERS[name](params, lr=lr, **settings)


def leaf(value, dtype=np.float64):
    return cr.Tensor(np.asarray(value, dtype), requires_grad=True)


def drive(optimizer, p, steps, dtype=np.float64):
    for t in steps:
        p.grad = noise(t, p.shape).astype(dtype) + p.numpy()
        optimizer.step()


def saved_arrays(optimizer, p):
    return {name: value for name, value in optimizer.state[p].items() if isinstance(value, np.ndarray)}


# ------------------------------------------------------------------ the rule
def test_every_optimizer_has_a_reference():
    assert OPTIMIZERS.keys() == REFERENCES.keys()


@every_variant
def test_steps_are_those_of_the_paper(name, settings, rng):
    start = rng.normal(size=CURVATURE.shape)
    p = leaf(start)
    optimizer = make(name, [p], **settings)
    for t, expected in enumerate(loop(name, settings, start, slope, RATES)):
        optimizer.param_groups[0]["lr"] = RATES[t]
        p.grad = slope(p.numpy(), t)
        optimizer.step()
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12, atol=1e-14)


@every_variant
def test_recorded_steps_are_those_of_the_paper(name, settings, rng):
    """One recording serves all steps: the learning rate, the step count and all state are read anew in each."""
    start = rng.normal(size=CURVATURE.shape)
    p = leaf(start)
    optimizer = make(name, [p], **settings)

    @partial(cr.compile, keep_grads=True)
    def step(n):
        optimizer.zero_grad()
        (0.5 * (CURVATURE * p * p).sum() + (n * p).sum()).backward()
        optimizer.step()

    for t, expected in enumerate(loop(name, settings, start, slope, RATES)):
        optimizer.param_groups[0]["lr"] = RATES[t]
        step(noise(t))
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12, atol=1e-14)
    assert step.recordings == 1
    assert optimizer.state.get(p, {"step": STEPS})["step"] == STEPS


@every_variant
def test_recorded_and_eager_steps_take_turns(name, settings, rng):
    start = rng.normal(size=CURVATURE.shape)
    p = leaf(start)
    optimizer = make(name, [p], **settings)
    recorded = cr.compile(optimizer.step, keep_grads=True)
    for t, expected in enumerate(loop(name, settings, start, slope, RATES[:12])):
        optimizer.param_groups[0]["lr"] = RATES[t]
        p.grad = slope(p.numpy(), t)
        (optimizer.step if t % 3 == 1 else recorded)()
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------------ arrays
class Spy(np.ndarray):
    """A float32 array that refuses to take part in anything wider."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        inputs = [x.view(np.ndarray) if isinstance(x, Spy) else x for x in inputs]
        if out is not None:
            options["out"] = tuple(x.view(np.ndarray) if isinstance(x, Spy) else x for x in out)
        z = getattr(ufunc, method)(*inputs, **options)
        assert z.dtype == np.float32, f"{ufunc.__name__} gave {z.dtype}"
        return out[0] if out is not None else np.asarray(z).view(Spy)


@every_variant
def test_no_array_of_a_float32_update_is_float64(name, settings):
    """Also with settings that are NumPy's float64, as a schedule written with NumPy hands out."""
    p = cr.Tensor.of(np.ones(5, np.float32).view(Spy))
    p.requires_grad = True
    p.grad = cr.Tensor.of(np.ones(5, np.float32).view(Spy))
    optimizer = make(name, [p], **settings)
    for number in (float, np.float32, np.float64) * 3:                      # RAdam changes over at the sixth
        optimizer.param_groups[0]["lr"] = number(0.1)
        optimizer.step()
    assert p.dtype == np.float32
    assert all(a.dtype == np.float32 for a in saved_arrays(optimizer, p).values()) if p in optimizer.state else True


@every_variant
def test_float32_numbers_are_those_of_float64(name, settings, rng):
    """No digit is lost to the narrower type but its own rounding."""
    start = rng.normal(size=8)
    p, q = leaf(start, np.float32), leaf(start)
    pair = make(name, [p], **settings), make(name, [q], **settings)
    for t in range(20):
        g = (noise(t, (8,)) + np.sign(noise(t, (8,)))).astype(np.float32)       # not near 0, where Lion is in two minds
        p.grad, q.grad = g, g.astype(np.float64)
        for optimizer in pair:
            optimizer.step()
    np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-4)


@every_variant
def test_blocks_leave_no_seam(name, settings, rng):
    """A large parameter is worked on block by block; small ones with its parts are not."""
    n = 2 * BLOCK + 3
    start = rng.normal(size=n)
    cuts = [slice(0, 1000), slice(BLOCK - 5, BLOCK + 5), slice(2 * BLOCK - 1, n)]
    whole, *parts = leaf(start), *(leaf(start[cut]) for cut in cuts)
    pair = make(name, [whole], **settings), make(name, parts, **settings)
    for t in range(7):                                   # RAdam changes over at the sixth
        g = noise(t, (n,))
        whole.grad = g
        for part, cut in zip(parts, cuts, strict=True):
            part.grad = g[cut]
        for optimizer in pair:
            optimizer.step()
    for part, cut in zip(parts, cuts, strict=True):
        np.testing.assert_array_equal(whole.numpy()[cut], part.numpy())
        for key, value in pair[1].state.get(part, {}).items():
            of_whole = pair[0].state[whole][key]
            np.testing.assert_array_equal(of_whole[cut] if isinstance(value, np.ndarray) else of_whole, value)


@every_variant
@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (3, BLOCK)], ids=str)
def test_gradients_of_any_layout_are_read_and_never_written(name, settings, shape, rng):
    """The same numbers as a C-ordered, a Fortran-ordered, a reversed and a stride-0 array, all read-only."""
    base = np.broadcast_to(rng.normal(size=shape[-1:]), shape)
    layouts = [base.copy(), np.array(base, order="F"), base[..., ::-1].copy()[..., ::-1] if shape else base, base]
    results = []
    for layout in layouts:
        layout = layout.view()
        layout.flags.writeable = False
        p = leaf(np.ones(shape))
        p.grad = cr.Tensor.of(layout)
        optimizer = make(name, [p], **settings)
        optimizer.step()
        optimizer.step()
        results.append(p.numpy())
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert not shape or 0 in shape or (results[0] != 1).all()


@every_variant
def test_memory_is_shared_with_nobody(name, settings):
    """What was handed out stays as it was; parameter, gradient and state are arrays of their own, and stay in place."""
    p = leaf(np.ones(1000))
    optimizer = make(name, [p], **settings)
    drive(optimizer, p, range(2))
    before, gradient, saved = p.numpy(), p.grad.numpy(), optimizer.state_dict()
    copies = before.copy(), gradient.copy(), json.dumps(saved, default=np.ndarray.tolist)
    optimizer.step()
    own = [p.array, *saved_arrays(optimizer, p).values()] if p in optimizer.state else [p.array]
    for i, array in enumerate(own):
        assert not any(np.shares_memory(array, other) for other in [*own[i + 1:], gradient, before])
    optimizer.step()
    again = [p.array, *saved_arrays(optimizer, p).values()] if p in optimizer.state else [p.array]
    assert all(a is b for a, b in zip(own, again, strict=True))                # nothing moved, nothing was made anew
    np.testing.assert_array_equal(before, copies[0])
    np.testing.assert_array_equal(gradient, copies[1])
    assert json.dumps(saved, default=np.ndarray.tolist) == copies[2]
    assert (p.numpy() != before).any()


# ------------------------------------------------------------------ state
@every_variant
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_going_on_from_a_saved_state_is_going_on_bit_for_bit(name, settings, dtype, rng):
    """Through JSON, as a file would keep it; the second optimizer was made with other settings."""
    start = rng.normal(size=7).astype(dtype)
    p = leaf(start, dtype)
    first = make(name, [("w", p)], **settings)
    drive(first, p, range(9), dtype)
    saved = json.loads(json.dumps(first.state_dict(), default=np.ndarray.tolist))
    q = leaf(p.numpy(), dtype)
    second = make(name, [("w", q)], lr=9.0)
    second.load_state_dict(saved)
    assert second.param_groups[0]["lr"] == 0.05
    assert second.param_groups[0]["param_names"] == ["w"]
    drive(first, p, range(9, 20), dtype)
    drive(second, q, range(9, 20), dtype)
    np.testing.assert_array_equal(p.numpy(), q.numpy())
    ours, theirs = first.state_dict(), second.state_dict()
    assert json.dumps(ours, default=np.ndarray.tolist) == json.dumps(theirs, default=np.ndarray.tolist)
    assert all(value.dtype == dtype for value in saved_arrays(second, q).values()) if q in second.state else True


@every_variant
def test_a_recorded_step_goes_on_from_a_loaded_state(name, settings):
    p, q = leaf(np.ones(4)), leaf(np.ones(4))
    eager, replayed = make(name, [p], **settings), make(name, [q], **settings)
    step = cr.compile(replayed.step, keep_grads=True)
    drive(eager, p, range(8))
    for t in range(3):
        q.grad = noise(t, (4,))
        step()
    replayed.load_state_dict(eager.state_dict())
    q.assign(p)
    for t in range(8, 12):
        p.grad = noise(t, (4,))
        q.grad = noise(t, (4,))
        eager.step()
        step()
    np.testing.assert_allclose(q.numpy(), p.numpy(), rtol=1e-12)


@every_optimizer
def test_parameters_without_a_gradient_are_left_alone(name):
    p, q = leaf([1.0]), leaf([1.0])
    optimizer = make(name, [p, q], weight_decay=0.5)
    p.grad = np.array([1.0])
    optimizer.step()
    assert p.item() != 1.0
    assert q.item() == 1.0
    assert optimizer.state.get(q, {}).get("step", 0) == 0


@every_optimizer
def test_groups_have_their_own_settings(name):
    """Two groups, and one added later, are three optimizers of their own."""
    settings = [{"lr": 0.1}, {"lr": 0.02, "weight_decay": 0.2}, {"lr": 0.05, "maximize": True}]
    together, alone = [leaf(np.ones(3)) for _ in settings], [leaf(np.ones(3)) for _ in settings]
    optimizer = make(name, [{"params": p, **s} for p, s in zip(together[:2], settings, strict=False)])
    optimizer.add_param_group({"params": (p for p in together[2:]), **settings[2]})
    single = [OPTIMIZERS[name]([q], **s) for q, s in zip(alone, settings, strict=True)]
    for t in range(10):
        for p, q in zip(together, alone, strict=True):
            p.grad = q.grad = noise(t, (3,))
        optimizer.step()
        for each in single:
            each.step()
    for p, q in zip(together, alone, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert len({tuple(p.numpy()) for p in together}) == 3


@every_optimizer
def test_a_learning_rate_of_zero_changes_nothing(name):
    p = leaf([3.0])
    optimizer = make(name, [p], lr=0)
    drive(optimizer, p, range(8))
    assert p.item() == 3.0


# ------------------------------------------------------------------ errors
@every_optimizer
@pytest.mark.parametrize(("setting", "value", "error", "message"), [
    ("lr", -0.1, ValueError, "lr must be at least 0, got -0.1; .*maximize=True"),
    ("lr", float("nan"), ValueError, "lr must be at least 0, got nan"),
    ("lr", "0.1", TypeError, r"lr must be a number, got '0.1' \(str\); float\(lr\) makes it one"),
    ("lr", None, TypeError, r"lr must be a number, got None"),
    ("lr", cr.Tensor(0.1), TypeError, r"lr must be a number, got Tensor\(0.1\) \(Tensor\)"),
    ("weight_decay", -1, ValueError, "weight_decay must be at least 0, got -1"),
    ("weight_decay", "0", TypeError, "weight_decay must be a number, .*got '0'"),
    ("maximize", "False", TypeError, "maximize must be a number, True or False, got 'False'"),
], ids=range(8))
def test_wrong_settings(name, setting, value, error, message):
    with pytest.raises(error, match=f"^{name}: {message}"):
        OPTIMIZERS[name]([leaf(1.0)], **{setting: value})
    with pytest.raises(error, match=f"^{name}: {message}"):
        OPTIMIZERS[name]([{"params": [leaf(1.0)], setting: value}])


@pytest.mark.parametrize("name", [name for name, kind in OPTIMIZERS.items() if "betas" in kind([leaf(1.0)]).defaults])
@pytest.mark.parametrize("betas", [(0.9, 1.0), (-0.1, 0.9), (0.9,), (0.9, 0.9, 0.9), 0.9, ("0.9", 0.9),
                                   (float("nan"), 0.9), None], ids=str)
def test_wrong_betas(name, betas):
    with pytest.raises(ValueError, match=f"^{name}: betas are two numbers, at least 0 and below 1, got "):
        OPTIMIZERS[name]([leaf(1.0)], betas=betas)


@pytest.mark.parametrize(("name", "settings", "message"), [
    ("RMSprop", {"alpha": 1.1}, "alpha is a number from 0 to 1, got 1.1"),
    ("RMSprop", {"alpha": -0.1}, "alpha must be at least 0"),
    ("RMSprop", {"momentum": -1}, "momentum must be at least 0"),
    ("RMSprop", {"eps": -1}, "eps must be at least 0"),
    ("Adadelta", {"rho": 1.1}, "rho is a number from 0 to 1, got 1.1"),
    ("Adadelta", {"eps": -1}, "eps must be at least 0"),
    ("Adagrad", {"lr_decay": -1}, "lr_decay must be at least 0"),
    ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value must be at least 0"),
    ("Adagrad", {"eps": float("nan")}, "eps must be at least 0, got nan"),
    ("Adamax", {"eps": -1}, "eps must be at least 0"),
    ("NAdam", {"momentum_decay": -1}, "momentum_decay must be at least 0"),
    ("NAdam", {"eps": -1}, "eps must be at least 0"),
    ("RAdam", {"eps": -1}, "eps must be at least 0"),
], ids=str)
def test_settings_out_of_range(name, settings, message):
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        OPTIMIZERS[name]([leaf(1.0)], **settings)


@every_optimizer
@pytest.mark.parametrize(("setting", "likely"), [
    ("learning_rate", "lr"), ("wd", "weight_decay"), ("weightdecay", "weight_decay"), ("Maximize", "maximize")])
def test_a_setting_that_would_be_ignored_is_an_error(name, setting, likely):
    """PyTorch keeps it in the group, and trains on without it."""
    optimizer = make(name, [leaf(1.0)])
    with pytest.raises(TypeError, match=f"^{name} has no setting '{setting}'; did you mean '{likely}'"
                                        r"\? A group has 'params' and any of lr, "):
        optimizer.add_param_group({"params": [leaf(1.0)], setting: 1})
    assert len(optimizer.param_groups) == 1


def test_labels_and_what_schedules_write_may_stand_in_a_group():
    p = leaf([1.0])
    optimizer = optim.SGD([{"params": [p], "name": "head", "initial_lr": 0.5, "max_lr": 1.0}], lr=0.1)
    optimizer.param_groups[0]["anything"] = [1, 2]
    p.grad = np.array([1.0])
    optimizer.step()
    assert p.item() == 0.9
    assert optimizer.state_dict()["param_groups"][0]["name"] == "head"
    with pytest.raises(TypeError, match=r"SGD has no setting 'betas'\. A group has 'params' and any of lr, momentum"):
        optim.SGD([{"params": [leaf(1.0)], "betas": (0.9, 0.9)}])


def test_a_state_of_another_optimizer_is_refused_and_nothing_changes():
    p = leaf([1.0])
    adam, sgd = optim.Adam([p], lr=0.5), optim.SGD([p], lr=0.1)
    drive(adam, p, range(2))
    with pytest.raises(ValueError, match="exp_avg of parameter 0: SGD keeps no such state; was it saved by another"):
        sgd.load_state_dict(adam.state_dict())
    assert sgd.param_groups[0]["lr"] == 0.1
    saved = adam.state_dict()
    saved["param_groups"][0]["betas"] = [0.9, 2.0]
    with pytest.raises(ValueError, match="betas are two numbers"):
        adam.load_state_dict(saved)
    assert adam.param_groups[0]["betas"] == (0.9, 0.999)
    saved = adam.state_dict()
    saved["state"]["7"] = saved["state"].pop(0)
    with pytest.raises(ValueError, match="there is no parameter 7"):
        adam.load_state_dict(saved)
    nadam = optim.NAdam([p])
    with pytest.raises(ValueError, match="mu_product of parameter 0 is missing"):
        nadam.load_state_dict(adam.state_dict())


# ------------------------------------------------------------------ what single optimizers promise
def test_rmsprop_centered_survives_a_gradient_that_never_changes():
    """Mean square and squared mean grow equal; rounding makes their difference negative, and its root NaN."""
    p = leaf(np.zeros(50), np.float32)
    optimizer = optim.RMSprop([p], lr=1e-9, centered=True, alpha=0.5)
    g = np.random.default_rng(0).normal(size=50).astype(np.float32)
    for _ in range(200):
        p.grad = g
        optimizer.step()
    assert np.isfinite(p.numpy()).all()


def test_adagrad_begins_with_its_sums():
    p, q = leaf([1.0, 2.0]), leaf([1.0])
    optimizer = optim.Adagrad([p], initial_accumulator_value=0.25)
    optimizer.add_param_group({"params": [q], "initial_accumulator_value": 4})
    assert optimizer.state[p]["sum"].tolist() == [0.25, 0.25]
    assert (optimizer.state[p]["step"], optimizer.state[q]["sum"].tolist()) == (0, [4.0])
    q.grad = np.array([2.0])
    optimizer.step()
    assert optimizer.state[q]["sum"].tolist() == [8.0]


def test_nadam_counts_its_product_once_for_all_blocks():
    p = leaf(np.ones(4 * BLOCK))
    optimizer = optim.NAdam([p])
    p.grad = np.ones(4 * BLOCK)
    optimizer.step()
    optimizer.step()
    assert optimizer.state[p]["mu_product"] == pytest.approx(
        0.9 * (1 - 0.5 * 0.96**0.004) * 0.9 * (1 - 0.5 * 0.96**0.008), rel=1e-14)


@pytest.mark.parametrize("beta2", [0.0, 1 / 3, 0.5, 0.6, 0.6666666666666667, 0.7])
def test_radam_with_a_short_memory_never_rectifies(beta2):
    """Where ρ∞ is 1, 2, 4 or 5 the rectification would divide by 0, or take the root of what is negative."""
    p = leaf([1.0])
    optimizer = optim.RAdam([p], lr=0.5, betas=(0.0, beta2))
    path = []
    for _ in range(4):
        p.grad = np.array([0.25])
        optimizer.step()
        path.append(p.item())
    if beta2 < 2 / 3:
        assert path == pytest.approx([0.875, 0.75, 0.625, 0.5], rel=1e-14)
    assert np.isfinite(path).all()
