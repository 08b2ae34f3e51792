"""Optimizers: numbers worked out by hand, and what the class promises."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.optim.blocks import BLOCK


def follow(optimizer, p, gradients):
    """The values of a one-element parameter after each step along given gradients."""
    path = []
    for g in gradients:
        p.grad = None if g is None else np.full(p.shape, g)
        optimizer.step()
        path.append(p.numpy().item(0))
    return path


def leaf(value=1.0, **options):
    return cr.Tensor(np.array([value]), requires_grad=True, **options)


# ------------------------------------------------------------------ SGD
@pytest.mark.parametrize(("options", "expected"), [
    ({}, [0.8, 0.4]),                                                       # 1 - .1·2, .8 - .1·4
    ({"maximize": True}, [1.2, 1.6]),
    ({"weight_decay": 0.5}, [0.75, 0.3125]),                                # 1 - .1·2.5, .75 - .1·(4 + .375)
    ({"momentum": 0.5}, [0.8, 0.3]),                                        # b = 2, then 1 + 4
    ({"momentum": 0.5, "dampening": 0.25}, [0.8, 0.4]),                     # b = 2 undamped, then 1 + .75·4
    ({"momentum": 0.5, "nesterov": True}, [0.7, 0.05]),                     # 2 + .5·2, 4 + .5·5
    ({"momentum": 0.5, "weight_decay": 0.5, "maximize": True}, [1.15, 1.5675]),    # b = -1.5, then -.75 - 4 + .575
], ids=str)
def test_sgd_by_hand(options, expected):
    p = leaf()
    np.testing.assert_allclose(follow(optim.SGD([p], lr=0.1, **options), p, [2.0, 4.0]), expected, rtol=1e-14)


def test_the_momentum_of_a_parameter_begins_with_its_own_first_gradient():
    """A gradient that arrives late is not dampened either: steps are counted for each parameter."""
    p, q = leaf(), leaf()
    optimizer = optim.SGD([p, q], lr=0.1, momentum=0.5, dampening=0.5)
    p.grad = np.array([2.0])
    optimizer.step()
    p.grad = q.grad = np.array([2.0])
    optimizer.step()
    assert (optimizer.state[p]["step"], optimizer.state[q]["step"]) == (2, 1)
    np.testing.assert_allclose(optimizer.state[q]["momentum_buffer"], [2.0])
    np.testing.assert_allclose(optimizer.state[p]["momentum_buffer"], [2.0])            # .5·2 + .5·2
    np.testing.assert_allclose(q.numpy(), [0.8])


# ------------------------------------------------------------------ Adam
def test_adam_by_hand():
    """Two steps with β = (½, ¾), so that all corrections are plain fractions."""
    p = leaf()
    path = follow(optim.Adam([p], lr=0.1, betas=(0.5, 0.75), eps=0.0), p, [2.0, -4.0])
    # m = 1, v = 1: corrected 2 and 4.  m = ½ - 2 = -1½, v = ¾ + 4 = 4¾: corrected by ¾ and 7/16.
    np.testing.assert_allclose(path, [0.9, 0.9 + 0.1 * 2.0 / np.sqrt(4.75 * 16 / 7)], rtol=1e-14)


def test_eps_is_added_after_the_correction_of_the_square():
    p = leaf()
    assert follow(optim.Adam([p], lr=1.0, eps=2.0), p, [2.0]) == pytest.approx([1 - 2 / (2 + 2)], rel=1e-14)


def test_adam_weight_decay_goes_through_the_means_and_that_of_adamw_does_not():
    p, q = leaf(), leaf()
    assert follow(optim.Adam([p], lr=0.1, weight_decay=0.5, eps=0.0), p, [0.0]) == pytest.approx([0.9], rel=1e-14)
    assert follow(optim.AdamW([q], lr=0.1, weight_decay=0.5), q, [0.0]) == pytest.approx([0.95], rel=1e-14)


def test_amsgrad_divides_by_the_largest_square_so_far():
    """β₂ = 0 forgets at once: plain Adam divides the small gradient by itself, amsgrad by the large one before."""
    options = {"lr": 0.1, "betas": (0.0, 0.0), "eps": 0.0}
    p, q = leaf(), leaf()
    assert follow(optim.Adam([p], **options), p, [8.0, 2.0]) == pytest.approx([0.9, 0.8], rel=1e-14)
    optimizer = optim.Adam([q], amsgrad=True, **options)
    assert follow(optimizer, q, [8.0, 2.0]) == pytest.approx([0.9, 0.9 - 0.1 * 2 / 8], rel=1e-14)
    np.testing.assert_allclose(optimizer.state[q]["max_exp_avg_sq"], [64.0])


# ------------------------------------------------------------------ arrays of all sorts
@pytest.mark.parametrize("n", [1, 2 * BLOCK, 2 * BLOCK + 1, 4 * BLOCK + 3])
def test_blocks_leave_no_seam(n, rng):
    """Adam written out with whole arrays, against what runs block by block."""
    start = rng.normal(size=n)
    p = cr.Tensor(start, requires_grad=True)
    optimizer = optim.Adam([p], lr=0.1, amsgrad=True, weight_decay=0.1)
    m = v = top = np.zeros(n)
    expected = start
    for t in range(1, 4):
        g = rng.normal(size=n)
        p.grad = g
        optimizer.step()
        g = g + 0.1 * expected
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        top = np.maximum(top, v)
        expected = expected - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(top / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(p.numpy(), expected, rtol=1e-11, atol=1e-14)


def test_a_parameter_in_fortran_order_is_updated_too():
    shape = 3, BLOCK
    p = cr.Tensor.of(np.ones(shape, order="F"))
    p.requires_grad = True
    p.grad = np.arange(3.0 * BLOCK).reshape(shape)
    optim.SGD([p], lr=1.0).step()
    np.testing.assert_array_equal(p.numpy(), 1 - np.arange(3.0 * BLOCK).reshape(shape))


def test_arrays_handed_out_before_a_step_do_not_change(rng):
    model = nn.Linear(300, 300)
    before = [p.numpy() for p in model.parameters()]
    saved = model.state_dict()
    copies = [a.copy() for a in before]
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(rng.normal(size=(2, 300))).sum().backward()
        held = [p.grad.numpy() for p in model.parameters()]
        kept = [a.copy() for a in held]
        optimizer.step()
        for a, b in zip(held, kept, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b, c, p in zip(before, copies, saved.values(), model.parameters(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)
        assert (p.numpy() != b).all()


def test_the_state_dict_is_a_copy(rng):
    p = leaf()
    optimizer = optim.Adam([p])
    follow(optimizer, p, [1.0])
    saved = optimizer.state_dict()
    follow(optimizer, p, [1.0])
    assert saved["state"][0]["exp_avg"] == pytest.approx(0.1)
    assert saved["state"][0]["step"] == 1


def test_a_graph_that_needs_the_old_value_finds_out():
    w = leaf(2.0)
    loss = (w * w).sum()
    w.grad = np.array([1.0])
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


# ------------------------------------------------------------------ which parameters
def test_parameters_without_a_gradient_are_left_alone():
    p, q = leaf(), leaf()
    optimizer = optim.Adam([p, q], weight_decay=0.5)
    assert follow(optimizer, p, [1.0, 1.0])[1] < 1
    assert q.item() == 1.0
    assert q not in optimizer.state


def test_groups_have_their_own_settings_and_take_the_rest_from_the_defaults():
    p, q, r = leaf(), leaf(), leaf()
    optimizer = optim.SGD([{"params": p, "lr": 0.5}, {"params": [q]}], lr=0.1)
    optimizer.add_param_group({"params": (t for t in [r]), "momentum": 0.9})
    assert [(group["lr"], group["momentum"]) for group in optimizer.param_groups] == [(0.5, 0), (0.1, 0), (0.1, 0.9)]
    for t in (p, q, r):
        t.grad = np.array([1.0])
    optimizer.step()
    np.testing.assert_allclose([t.item() for t in (p, q, r)], [0.5, 0.9, 0.9])
    optimizer.param_groups[1]["lr"] = 1.0
    optimizer.step()
    np.testing.assert_allclose([t.item() for t in (p, q, r)], [0.0, -0.1, 0.71])


def test_named_parameters():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert all(p is q for p, q in zip(optimizer.param_groups[0]["params"], model.parameters(), strict=True))
    assert optimizer.state_dict()["param_groups"][0]["params"] == [0, 1]


def test_zero_grad():
    p, q = leaf(), leaf()
    optimizer = optim.SGD([p, q], lr=0.1, momentum=0.5)
    assert follow(optimizer, p, [2.0]) == [0.8]
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.item() == 0
    assert q.grad is None
    optimizer.step()
    assert p.item() == pytest.approx(0.7)                                   # the momentum goes on
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.item() == pytest.approx(0.7)


def test_step_runs_the_closure_first_and_returns_the_loss():
    w = leaf(3.0)
    optimizer = optim.SGD([w], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with cr.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert w.item() == 0.0


# ------------------------------------------------------------------ saving
def test_loading_converts_to_the_dtype_of_the_parameter_and_lists_to_tuples():
    p = cr.Tensor(np.ones(2, np.float32), requires_grad=True)
    optimizer = optim.Adam([p])
    saved = optimizer.state_dict()
    saved["state"] = {0: {"step": 3.0, "exp_avg": [1.0, 2.0], "exp_avg_sq": [1.0, 2.0]}}
    saved["param_groups"][0]["betas"] = [0.5, 0.6]
    optimizer.load_state_dict(saved)
    assert optimizer.state[p]["exp_avg"].dtype == np.float32
    assert optimizer.state[p]["step"] == 3
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.6)


def test_loading_an_empty_state_begins_anew():
    p = leaf()
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    fresh = optimizer.state_dict()
    follow(optimizer, p, [1.0, 1.0])
    optimizer.load_state_dict(fresh)
    assert optimizer.state_dict() == fresh
    before = p.item()
    assert follow(optimizer, p, [1.0]) == [pytest.approx(before - 0.1)]


def test_a_state_that_does_not_fit_is_refused_whole():
    p, q = leaf(), cr.Tensor(np.ones(3), requires_grad=True)
    optimizer = optim.Adam([p, q], lr=0.1)
    saved = optimizer.state_dict()
    saved["param_groups"][0]["lr"] = 5.0
    saved["state"] = {0: {"exp_avg": np.ones(1)}, 1: {"exp_avg": np.ones(2), "exp_avg_sq": np.ones((3, 1))}}
    with pytest.raises(ValueError, match=r"exp_avg of parameter 1: expected \(3,\), got \(2,\); "
                                         r"exp_avg_sq of parameter 1: expected \(3,\), got \(3, 1\)"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert not optimizer.state
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters, this optimizer of \[1\]"):
        optim.Adam([p]).load_state_dict(saved)


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(("make", "message"), [
    (lambda w: optim.SGD([]), r"no parameters to optimize. Was the generator .* used up"),
    (lambda w: optim.SGD([{"params": []}]), "no parameters to optimize"),
    (lambda w: optim.SGD([w * 2]), r"came out of multiply.*leaf tensors"),
    (lambda w: optim.SGD([w, w]), "w appears twice"),
    (lambda w: optim.SGD([{"params": [w]}, {"params": [w]}]), "w appears twice"),
    (lambda w: optim.SGD([w], lr=-0.1), r"lr must be at least 0, got -0.1; .*maximize=True"),
    (lambda w: optim.SGD([w], lr=float("nan")), "lr must be at least 0, got nan"),
    (lambda w: optim.SGD([{"params": [w], "lr": -1}], lr=0.1), "lr must be at least 0, got -1"),
    (lambda w: optim.SGD([w], momentum=-1), "momentum must be at least 0"),
    (lambda w: optim.SGD([w], weight_decay=-1), "weight_decay must be at least 0"),
    (lambda w: optim.SGD([w], nesterov=True), "nesterov=True needs a momentum above 0 and dampening=0, got momentum=0"),
    (lambda w: optim.SGD([w], momentum=0.9, dampening=0.1, nesterov=True), "nesterov=True needs"),
    (lambda w: optim.Adam([w], eps=-1), "Adam: eps must be at least 0"),
    (lambda w: optim.AdamW([w], betas=(0.9, 1.0)), r"AdamW: betas are two numbers, .* below 1, got \(0.9, 1"),
    (lambda w: optim.Adam([w], betas=(0.9,)), "Adam: betas are two numbers"),
    (lambda w: optim.SGD([("w", w), leaf()]), "name all parameters of a group, or none"),
], ids=range(16))
def test_wrong_values(make, message):
    with pytest.raises(ValueError, match=message):
        make(leaf(name="w"))


@pytest.mark.parametrize(("params", "message"), [
    (lambda w: w, "expected an iterable of parameters or of groups, got a single Tensor; put it into a list"),
    (lambda w: {"params": [w]}, "got a single dict; put it into a list"),
    (lambda w: [np.ones(2)], r"got ndarray at position 0; use nn.Parameter\(array\)"),
    (lambda w: [w, "b"], "got str at position 1"),
    (lambda w: [{"lr": 1.0}, {"params": [w]}], "a parameter group is a dict with the key 'params'"),
    (lambda w: [{"params": {w}}], "use a list instead of a set"),
], ids=range(6))
def test_wrong_types(params, message):
    with pytest.raises(TypeError, match=message):
        optim.SGD(params(leaf()))


def test_a_generator_that_was_used_up_is_named_as_the_likely_cause():
    parameters = nn.Linear(2, 2).parameters()
    optim.SGD(parameters, lr=0.1)
    with pytest.raises(ValueError, match="used up"):
        optim.SGD(parameters, lr=0.1)


def test_a_rule_may_return_and_assign_instead_of_writing_in_place():
    class Functional(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.5})

        def moments(self, group):
            return ("mean",)

        def rule(self, p, g, s, *, lr):
            s.mean = (s.mean + g) / 2
            return p - lr * s.mean

    n = 3 * BLOCK
    p = cr.Tensor(np.ones(n), requires_grad=True)
    optimizer = Functional([p])
    memory = p.memory()
    p.grad = np.full(n, 4.0)
    optimizer.step()
    optimizer.step()
    np.testing.assert_array_equal(p.numpy(), np.full(n, -1.5))        # 1 - .5·2 - .5·3
    np.testing.assert_array_equal(optimizer.state[p]["mean"], np.full(n, 3.0))
    assert np.shares_memory(memory, p.numpy())


def test_repr_lists_the_groups():
    text = repr(optim.SGD([{"params": [leaf()], "lr": 0.5}, {"params": [leaf(), leaf()]}], lr=0.1))
    assert "1 parameter: lr=0.5" in text
    assert "2 parameters: lr=0.1" in text
