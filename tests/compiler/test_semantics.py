"""What a compiled step promises beside its values: fresh results, gradients, hooks, exceptions, nothing torn."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from tests.compiler.programs import training_step

import chainrule as cr
from chainrule import functional as F
from chainrule import nn, optim
from chainrule.compiler import RecordingError
from chainrule.tree import parts


def training(**options):
    cr.random.seed(2)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return model, optimizer, cr.compile(training_step(model, F.cross_entropy, optimizer), **options)


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 3)).astype(np.float32), rng.integers(0, 2, 4)


# ------------------------------------------------------------------ results
def test_results_are_values_of_their_own():
    _, _, step = training()
    losses = [step(*batch()) for _ in range(6)]
    values = [loss.item() for loss in losses]
    assert len(set(values)) == 6
    assert values == sorted(values, reverse=True)
    with cr.no_grad():
        losses[3] += 100.0
    assert step(*batch()).item() < values[-1]


class Outcome(NamedTuple):
    loss: object
    rest: object


@pytest.mark.parametrize("check", [0, 2])
def test_a_named_tuple_is_returned_as_such(check):
    step = cr.compile(lambda given: Outcome(given.loss * 2, {"all": [given.rest, None]}), check=check)
    for k in range(6):
        found = step(Outcome(np.full(2, k), np.ones(1)))
        assert type(found) is Outcome
        assert (found.loss.tolist(), found.rest["all"][0].tolist(), found.rest["all"][1]) == ([2 * k] * 2, [1.0], None)
    assert str(step.program).splitlines()[-1] == "return Outcome(loss=%2, rest={'all': [%1, None]})"


def test_everything_that_is_returned_is_fresh():
    w = cr.Tensor(np.arange(3.0))
    step = cr.compile(lambda x: {"x": x, "w": w, "view": (x * 2)[1:], "both": [x + 1, x + 1], "number": 3, "none": None,
                                 "word": "a"})
    x = np.ones(3)
    found = [step(x) for _ in range(4)]
    for result in found:
        assert result["number"] == 3
        assert result["none"] is None
        assert result["word"] == "a"
    x[:] = 7.0
    with cr.no_grad():
        found[2]["w"] += 1.0
        found[2]["both"][0] += 5.0
        found[2]["view"] *= 0.0
    step(x)
    assert found[3]["x"].tolist() == [1.0] * 3
    assert found[3]["w"].tolist() == w.tolist() == [0.0, 1.0, 2.0]
    assert found[2]["both"][1].tolist() == [2.0] * 3
    assert found[3]["view"].tolist() == [2.0] * 2


def test_a_plain_array_among_the_results_of_the_first_calls_is_a_tensor_too():
    step = cr.compile(lambda x: x * 2)
    assert all(isinstance(step(np.ones(2)), cr.Tensor) for _ in range(4))


# ------------------------------------------------------------------ gradients
def test_gradients_that_are_not_kept_say_so():
    model, optimizer, step = training()
    p = model[0].weight
    for _ in range(4):
        step(*batch())
        for use in (lambda: p.grad, lambda: optim.clip_grad_norm_(model.parameters(), 1.0), optimizer.step,
                    lambda: model(batch()[0]).sum().backward()):
            with pytest.raises(RuntimeError, match=r"not kept, to save its memory; compile the step with "
                                                   r"keep_grads=True, return the gradient from it"):
                use()
        model.zero_grad()
        assert p.grad is None
        model(batch()[0]).sum().backward()
        assert p.grad is not None


def test_gradients_are_kept_where_asked():
    model, _, step = training(keep_grads=True)
    held, copies = [], []
    for seed in range(5):
        step(*batch(seed))
        held.append(model[0].weight.grad)
        copies.append(held[-1].numpy().copy())
    for gradient, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(gradient.numpy(), copy)
    assert not np.array_equal(copies[2], copies[3])


def test_gradients_that_the_step_clears_are_none():
    model, optimizer, _ = training()

    @cr.compile
    def step(x):
        loss = model(x).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    for _ in range(4):
        step(batch()[0])
        assert all(p.grad is None for p in model.parameters())
    assert step.recordings == 1


def test_gradients_are_results_like_others():
    model, _, _ = training()

    @cr.compile
    def gradients(x):
        model.zero_grad()
        model(x).sum().backward()
        return [p.grad for p in model.parameters()]

    x = batch()[0]
    model.zero_grad()
    model(x).sum().backward()
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    for _ in range(3):
        for found, gradient in zip(gradients(x), expected, strict=True):
            np.testing.assert_allclose(found.numpy(), gradient, rtol=1e-5, atol=1e-7)


def test_a_gradient_of_something_that_the_step_makes_is_no_state():
    @cr.compile
    def slope(x):
        x = cr.Tensor(x, requires_grad=True)
        for _ in range(2):                       # the second time there is one already
            (x * x).sum().backward()
        return x.grad

    assert [slope(np.full(2, float(t))).tolist() for t in range(5)] == [[4.0 * t] * 2 for t in range(5)]
    assert slope.recordings == 1


# ------------------------------------------------------------------ hooks
def test_a_hook_made_of_gates_is_recorded():
    model, _, _ = training()
    model[0].register_forward_hook(lambda layer, inputs, result: result * 0.5)
    model[2].register_forward_pre_hook(lambda layer, inputs: (inputs[0] + 1.0,))
    model[0].weight.register_hook(lambda gradient: gradient * 3.0)
    x = batch()[0]

    def step(x):
        model.zero_grad()
        result = model(x).sum()
        result.backward()
        return result, model[0].weight.grad

    expected = [t.numpy().copy() for t in step(x)]
    compiled = cr.compile(step)
    for _ in range(4):
        for found, value in zip(compiled(x), expected, strict=True):
            np.testing.assert_allclose(found.numpy(), value, rtol=1e-5)


@pytest.mark.parametrize("register", [
    lambda model, hook: model[0].register_forward_hook(hook),
    lambda model, hook: model[0].register_forward_pre_hook(hook),
    lambda model, hook: model[0].weight.register_hook(hook)], ids=["forward", "before", "tensor"])
def test_a_hook_that_runs_python_is_refused(register):
    model, _, step = training()
    seen = []

    def watching(*_):
        seen.append(1)

    register(model, watching)
    with pytest.raises(RecordingError, match=r"the hook .*watching returned nothing, so it is there for what it does "
                                             r"in Python, which a replay would not do"):
        step(*batch())


def test_a_hook_that_comes_later_is_noticed():
    model, _, step = training()
    for _ in range(3):
        step(*batch())
    remove = model[0].register_forward_hook(lambda layer, inputs, result: None)
    with pytest.raises(RecordingError, match="returned nothing"):
        step(*batch())
    remove()
    step(*batch())


# ------------------------------------------------------------------ exceptions
def test_an_error_of_the_step_itself_is_the_steps_error():
    _, _, step = training()
    for _ in range(3):
        step(*batch())
    with pytest.raises(ValueError, match=r"Linear\(3 → 5\)"):
        step(np.ones((4, 7), np.float32), batch()[1])
    step(*batch())


@pytest.mark.parametrize("take", [lambda held: held.pop(0), lambda held: held.pop(), lambda held: held.clear()],
                         ids=["the first", "the last", "all"])
@pytest.mark.parametrize("kind", [list, dict])
def test_an_error_after_arrays_were_taken_out_of_a_variable_is_the_steps_error(take, kind):
    arrays = [np.array([float(k)]) for k in range(3)]
    held = list(arrays) if kind is list else dict(enumerate(arrays))

    @cr.compile
    def step(x):
        total = x + sum(held.values() if kind is dict else held)
        held.popitem() if kind is dict else take(held)
        raise KeyError(f"my own, of shape {total.shape}")

    with pytest.raises(KeyError, match=r"my own, of shape \(1,\)"):
        step(np.ones(1))
    assert all(a is b for a, b in zip(held.values() if kind is dict else held, arrays, strict=True))


def test_who_looks_on_sees_the_step_itself():
    _, _, step = training()
    for _ in range(3):
        step(*batch())
    with pytest.raises(cr.AnomalyError), cr.detect_anomaly():
        step(np.full((4, 3), np.inf, np.float32), batch()[1])


def test_it_is_the_same_class_of_thing_as_the_step():
    """Name, docstring, signature: what tools and people look for."""
    import inspect

    def step(x, *, scale=1.0):
        """Double it."""
        return x * 2 * scale

    compiled = cr.compile(step)
    assert (compiled.__name__, compiled.__doc__) == ("step", "Double it.")
    assert str(inspect.signature(compiled)) == "(x, *, scale=1.0)"
    assert repr(compiled) == "<compiled step: 0 programs>"


@pytest.mark.parametrize(("options", "message"), [
    ({"check": -1}, "check is a whole number from 0 on, got -1"), ({"limit": 1.5}, "limit is a whole number"),
    ({"executor": "quick"}, "'quick'")])
def test_options_are_looked_at(options, message):
    with pytest.raises(ValueError, match=message):
        cr.compile(lambda x: x, **options)


def test_only_what_can_be_called_is_compiled():
    with pytest.raises(TypeError, match="expected a function or a layer, got int"):
        cr.compile(3)


# ------------------------------------------------------------------ inference
def test_a_layer_is_compiled_for_inference():
    model, _, _ = training()
    compiled = cr.compile(model)
    x = batch()[0]
    expected = model(x).numpy()
    for _ in range(4):
        result = compiled(x)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)
        assert not result.requires_grad
    model[0].weight.assign(np.zeros((5, 3)))
    np.testing.assert_allclose(compiled(x).numpy(), model(x).numpy(), rtol=1e-6)
    assert compiled.recordings == 1


# ------------------------------------------------------------------ derivatives of functions
@pytest.mark.parametrize("function", [
    lambda x: cr.value_and_grad(lambda x: (x * x * x).sum())(x), lambda x: cr.grad(lambda x: (cr.sin(x) * x).sum())(x),
    lambda x: cr.grad(lambda x: cr.grad(lambda y: (y * y * y).sum())(x).sum())(x),
    lambda x: cr.hessian(lambda x: (x * x * x).sum())(x), lambda x: cr.jacobian(lambda x: x * x[::-1])(x),
    lambda x: cr.jvp(lambda x: x * x, (x,), (x,)), lambda x: cr.vjp(lambda x: x * x, x)[1](x),
    lambda x: cr.hvp(lambda x: (x * x * x).sum(), (x,), (x,))],
    ids=["value_and_grad", "grad", "second", "hessian", "jacobian", "jvp", "vjp", "hvp"])
def test_derivatives_of_functions_are_part_of_a_step(function):
    step = cr.compile(function)
    for t in range(4):
        x = np.random.default_rng(t).normal(size=3)
        leaves = [np.asarray(y.array if isinstance(y, cr.Tensor) else y) for _, y in parts(step(x))]
        expected = [np.asarray(y) for _, y in parts(function(x))]
        for found, value in zip(leaves, expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-12)
    assert any(np.any(y) for y in expected)
