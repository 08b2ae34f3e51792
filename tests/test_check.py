"""Numerical gradients and the gradient check: right code passes, each kind of fault is found, named and placed."""
from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from chainrule.check import GradientError, check_gradients, numerical_gradient

WRONG, KINK, IMPRECISE = "wrong formula", "kink nearby", "precision too low"
RANDOM, WRITES = "not deterministic", "writes into its arguments"


def gate(name, forward, *rules):
    return cr.Gate(f"check_test_{name}", forward, rules)


square_wrong_sign = gate("wrong_sign", lambda x: x * x, lambda dz, z, x: dz * (-2 * x))
square_no_factor = gate("no_factor", lambda x: x * x, lambda dz, z, x: dz * x)
matmul_untransposed = gate("untransposed", lambda x, y: x @ y, lambda dz, z, x, y: dz @ y, lambda dz, z, x, y: x.T @ dz)
one_element_wrong = gate("one_element", lambda x: 3 * x, lambda dz, z, x: dz * np.array([[3.0, 3.0], [4.0, 3.0]]))
writer = gate("writer", lambda x: 2 * x, lambda dz, z, x: np.multiply(dz, 2, out=dz))
leaky = gate("leaky", lambda x: np.maximum(x, 0.1 * x), lambda dz, z, x: dz * np.where(x > 0, 1.0, 0.1))
leaky_wrong = gate("leaky_wrong", lambda x: np.maximum(x, 0.1 * x), lambda dz, z, x: dz * np.where(x > 0, 1.0, -3.0))


def failure(*args, **settings):
    with pytest.raises(GradientError) as caught:
        check_gradients(*args, **settings)
    return caught.value


def only(error, verdict):
    """All elements have this verdict; return where they are."""
    assert {e.verdict for e in error.elements} == {verdict}, error
    return [(e.argument, e.index) for e in error.elements]


# ------------------------------------------------------------------ numerical gradients
class TestNumericalGradient:
    @pytest.mark.parametrize(("method", "accuracy"), [("central", 1e-9), ("forward", 1e-6)])
    def test_closed_form(self, method, accuracy):
        x = np.array([[0.5, -1.0], [2.0, 30.0]])
        found = numerical_gradient(lambda x: np.sum(np.sin(x) * x), x, method=method)
        np.testing.assert_allclose(found, np.cos(x) * x + np.sin(x), rtol=accuracy, atol=accuracy * 10)
        assert found.dtype == np.float64

    def test_step_sets_the_error(self):
        cube = lambda x: x ** 3
        assert numerical_gradient(cube, 2.0, step=0.1) == pytest.approx(12 + 0.1 ** 2, abs=1e-10)
        assert numerical_gradient(cube, 2.0, step=0.1, method="forward") == pytest.approx(12 + 0.6 + 0.01, abs=1e-10)

    def test_large_elements_take_large_steps(self):
        assert numerical_gradient(lambda x: x * x, 1e8) == pytest.approx(2e8, rel=1e-9)

    def test_the_argument_is_neither_written_nor_handed_out(self):
        x = np.array([1.0, 2.0])
        x.flags.writeable = False
        handed = []

        def vandal(y):
            handed.append(y)
            result = float((y * y).sum())
            y[:] = 1e9
            return result

        np.testing.assert_allclose(numerical_gradient(vandal, x), [2.0, 4.0], rtol=1e-9)
        np.testing.assert_array_equal(x, [1.0, 2.0])
        assert not any(np.shares_memory(y, x) for y in handed)

    def test_float32_is_computed_in_float64(self):
        x = np.array([1.1, 2.3], np.float32)
        seen = set()

        def f(y):
            seen.add(y.dtype)
            return np.sum(y ** 3)

        np.testing.assert_allclose(numerical_gradient(f, x), 3 * x.astype(float) ** 2, rtol=1e-9)
        assert seen == {np.dtype(float)}

    @pytest.mark.parametrize("x", [np.array([1, 2]), np.int64(1), np.array([True]), cr.Tensor([1, 2])])
    def test_integers(self, x):
        with pytest.raises(TypeError, match=r"\.astype\(float\)"):
            numerical_gradient(lambda x: x.sum(), x)

    def test_python_numbers_and_lists(self):
        assert type(numerical_gradient(lambda x: x * x, 3)) is float
        np.testing.assert_allclose(numerical_gradient(lambda x: x[0] * x[1], [3, 4]), [4.0, 3.0], rtol=1e-9)

    def test_a_result_of_several_numbers_needs_dout(self):
        x, a = np.array([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        with pytest.raises(ValueError, match=r"shape \(3,\).*pass dout"):
            numerical_gradient(lambda x: a @ x, x)
        with pytest.raises(ValueError, match=r"dout has shape \(2,\), the function's result \(3,\)"):
            numerical_gradient(lambda x: a @ x, x, dout=x)
        dout = np.array([1.0, -1.0, 2.0])
        np.testing.assert_allclose(numerical_gradient(lambda x: a @ x, x, dout=dout), a.T @ dout, rtol=1e-8)

    def test_tensors(self):
        x = cr.Tensor([1.0, 2.0], requires_grad=True)
        np.testing.assert_allclose(numerical_gradient(lambda t: (t * t).sum(), x), [2.0, 4.0], rtol=1e-9)
        assert x.grad is None

    @pytest.mark.parametrize("wrong", [{"method": "backward"}, {"step": 0.0}, {"step": -1e-6}])
    def test_settings(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            numerical_gradient(lambda x: x, 1.0, **wrong)


# ------------------------------------------------------------------ what is right passes
class TestPasses:
    @settings(max_examples=25)
    @given(rows=st.integers(1, 3), columns=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
    def test_functions(self, rows, columns, seed):
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=(rows, columns)), rng.normal(size=(columns, 2))
        assert check_gradients(lambda x, w, s: np.tanh(np.dot(x, w)) * s, x, w, 0.7) < 1e-7

    def test_gates_and_several_results(self):
        x = np.array([0.3, -1.2])
        assert check_gradients(cr.sigmoid, x) < 1e-8
        assert check_gradients(cr.multiply, x, 2.0) < 1e-8
        assert check_gradients(lambda x: {"a": x * x, "b": [np.sin(x), np.sum(x)]}, x) < 1e-8

    def test_structures(self):
        params = {"W": np.ones((2, 2)), "b": [np.zeros(2), 1.0]}
        assert check_gradients(lambda p, x: np.dot(x, p["W"]) * p["b"][1] + p["b"][0], params, np.eye(2)) < 1e-8

    def test_second_derivatives_by_checking_the_gradient(self):
        x = np.array([0.3, -1.2])
        assert check_gradients(cr.grad(lambda x: (np.exp(x) * np.sin(x)).sum()), x) < 1e-7

    def test_losses_with_integer_targets(self):
        scores, targets = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 2, 1, 1])
        assert check_gradients(nn.CrossEntropyLoss(), scores, targets) < 1e-7
        model, loss = nn.Linear(3, 3), nn.CrossEntropyLoss()
        assert check_gradients(lambda x: loss(model(x), targets), scores) < 1e-7

    def test_constants_of_a_loss_are_not_checked(self):
        error = failure(lambda x, target: x + target.detach(), np.ones(2), np.ones(2))
        assert {e.argument for e in error.elements} == {"target"}             # of a plain function they are
        assert check_gradients(nn.MSELoss(), np.ones(3), np.zeros(3, np.float32)) < 1e-8

    def test_a_zero_gradient_is_right(self):
        assert check_gradients(lambda x: x * 0, np.ones(3)) == 0.0

    def test_empty_inputs(self):
        assert check_gradients(lambda x: x * 2, np.ones((0, 3))) == 0.0

    def test_a_layer_and_everything_in_it(self):
        torso = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.4), nn.Linear(4, 2))
        assert check_gradients(torso, np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)) < 1e-6


class TestRestores:
    def test_parameters_buffers_streams_and_gradients(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.4))
        x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
        model(x).sum().backward()
        arrays = {name: t.array for name, t in (*model.named_parameters(), *model.named_buffers())}
        state = {name: array.copy() for name, array in arrays.items()}
        gradients = [p.grad for p in model.parameters()]
        streams = copy.deepcopy(cr.random.dropout.__dict__)
        check_gradients(model, x)
        for name, t in (*model.named_parameters(), *model.named_buffers()):
            assert t.dtype == state[name].dtype
            np.testing.assert_array_equal(t.numpy(), state[name])
        assert all(p.grad is g for p, g in zip(model.parameters(), gradients, strict=True))
        assert cr.random.dropout.__dict__ == streams
        assert {name: t.array for name, t in model.named_parameters()}["0.weight"] is arrays["0.weight"]

    def test_after_an_error_in_the_middle(self):
        class Moody(nn.Layer):
            def __init__(self):
                self.weight = nn.Parameter(np.ones(2, np.float32))
                self.calls = 0

            def forward(self, x):
                self.calls += 1
                if self.calls == 4:
                    raise KeyError("enough")
                return x * self.weight * cr.random.uniform(size=2)

        layer = Moody()
        with pytest.raises(KeyError, match="enough"):
            check_gradients(layer, np.ones(2))
        assert layer.weight.dtype == np.float32
        np.testing.assert_array_equal(layer.weight.numpy(), [1.0, 1.0])
        assert cr.random.user.position == 0

    def test_a_tape_recorded_before_is_still_good(self):
        model = nn.Linear(2, 1)
        loss = model(np.ones((3, 2), np.float32)).sum()
        check_gradients(model, np.ones((3, 2)))
        loss.backward()
        np.testing.assert_allclose(model.weight.grad.numpy(), [[3.0, 3.0]])

    def test_what_a_function_names_is_cast_checked_and_restored(self):
        model, w = nn.Linear(2, 2), cr.Tensor(np.ones(2, np.float32), requires_grad=True)
        assert check_gradients(lambda x: model(x) * w, np.ones((3, 2))) < 1e-8
        assert model.weight.dtype == w.dtype == np.float32
        broken = lambda x: square_no_factor(model(x) * w)
        found = {e.argument for e in failure(broken, np.ones((3, 2))).elements}
        assert found == {"x", "model.weight", "model.bias", "w"}

    def test_inputs(self):
        x = np.ones(2, np.float32)
        x.flags.writeable = False
        t = cr.Tensor(x, requires_grad=True)
        check_gradients(lambda a, b: a * b, x, t)
        assert t.grad is None
        assert t.dtype == np.float32


# ------------------------------------------------------------------ what is wrong is found
class TestVerdicts:
    def test_sign_and_missing_factor(self):
        x = np.array([[0.5, -1.5], [2.0, 3.0]])
        for rule, ratio in ((square_wrong_sign, 2.0), (square_no_factor, 0.5)):
            error = failure(rule, x)
            assert sorted(only(error, WRONG)) == [("x", i) for i in np.ndindex(2, 2)]
            assert all(e.error == pytest.approx(ratio, rel=1e-6) for e in error.elements)
            (culprit,) = error.culprits
            assert (culprit.gate, culprit.argument) == (rule.name, "x")

    def test_a_single_wrong_element(self):
        error = failure(one_element_wrong, np.array([[1.0, 2.0], [3.0, 4.0]]))
        assert only(error, WRONG) == [("x", (1, 0))]
        assert error.culprits[0].index == (1, 0)
        assert error.elements[0].analytic / error.elements[0].numeric == pytest.approx(4 / 3, rel=1e-6)

    def test_transposed(self):
        rng = np.random.default_rng(0)
        error = failure(matmul_untransposed, rng.normal(size=(3, 3)), rng.normal(size=(3, 3)))
        assert {argument for argument, _ in only(error, WRONG)} == {"x"}
        assert [(c.gate, c.argument) for c in error.culprits] == [("check_test_untransposed", "x")]

    def test_the_culprit_in_a_composition_with_its_line(self):
        def f(x, y):
            hidden = np.sin(x) * y
            squared = square_no_factor(hidden)  # here
            return np.exp(squared).mean()

        error = failure(f, np.array([0.5, 1.0]), np.array([2.0, -1.0]))
        assert {argument for argument, _ in only(error, WRONG)} == {"x", "y"}
        (culprit,) = error.culprits
        assert (culprit.gate, culprit.argument) == ("check_test_no_factor", "x")
        assert "test_check.py" in culprit.line
        assert culprit.line.endswith("squared = square_no_factor(hidden)  # here")
        assert str(culprit) in str(error)

    @pytest.mark.parametrize(("name", "place"), [("multiply", 1), ("matmul", 0), ("sum", 0), ("exp", 0)])
    def test_a_gate_of_the_library_with_one_derivative_doubled(self, name, place, monkeypatch):
        rule = cr.GATES[name]
        doubled = list(rule.derivative)
        doubled[place] = lambda *args, right=rule.derivative[place], **options: 2 * right(*args, **options)
        monkeypatch.setattr(rule, "derivative", tuple(doubled))
        x, y = np.array([[0.5, -0.2], [1.0, 0.3]]), np.array([[0.7, 1.1], [-0.4, 0.9]])
        error = failure(lambda x, y: cr.sum(cr.exp(cr.multiply(cr.matmul(x, y), y)), axis=0), x, y)
        (culprit,) = error.culprits
        assert (culprit.gate, culprit.argument) == (name, list(rule.arguments)[place])
        assert culprit.analytic == pytest.approx(2 * culprit.numeric, rel=1e-5)

    def test_a_lost_path_blames_no_gate(self):
        error = failure(lambda x: x.detach() * x, np.array([1.0, 2.0]))
        only(error, WRONG)
        assert error.culprits == []
        assert "a path to the argument may be missing" in str(error)

    def test_kink_at_the_point(self):
        assert only(failure(cr.relu, np.array([1.0, 0.0, -1.0])), KINK) == [("x", (1,))]
        assert only(failure(leaky, np.array([[1.0, -1.0], [0.0, 2.0]])), KINK) == [("x", (1, 0))]

    @pytest.mark.parametrize("x", [3e-7, -3e-7, 9e-7])
    def test_kink_within_the_step(self, x):
        assert only(failure(leaky, np.array([1.0, x])), KINK) == [("x", (1,))]

    def test_a_wrong_formula_at_a_kink_is_a_wrong_formula(self):
        assert only(failure(leaky_wrong, np.array([0.0, 1.0])), WRONG) == [("x", (0,))]

    def test_a_kink_outside_the_step_does_not_matter(self):
        assert check_gradients(leaky, np.array([2e-6, -2e-6])) < 1e-8

    def test_the_edge_of_the_domain(self):
        assert only(failure(cr.sqrt, np.array([1e-7, 1.0])), KINK) == [("x", (0,))]

    def test_precision_too_low(self):
        def single(x):
            return (np.sin(x.astype(np.float32)) * 3).astype(np.float64)

        found = only(failure(single, np.linspace(0.3, 1.2, 12)), IMPRECISE)
        assert len(found) == 12

    def test_rounding_of_large_results(self):
        error = failure(lambda x: x * 1.0 + 1e9, np.array([0.5]))
        only(error, IMPRECISE)
        assert check_gradients(lambda x: x * 1.0 + 1e9, np.array([0.5]), step=1.0) < 1e-6

    def test_a_wrong_formula_in_low_precision_is_a_wrong_formula(self):
        only(failure(lambda x: square_no_factor(x.astype(np.float32)).astype(np.float64), np.array([0.7, 1.3])), WRONG)

    def test_not_deterministic(self):
        noise = np.random.default_rng(0)
        only(failure(lambda x: x * noise.normal(size=3), np.ones(3)), RANDOM)
        counter = iter(range(10**6))
        only(failure(lambda x: x * float(next(counter)), np.ones(3)), RANDOM)

    def test_draws_from_the_library_are_deterministic(self):
        assert check_gradients(lambda x: x * cr.random.normal(size=3, dtype=np.float64), np.ones(3)) < 1e-8

    def test_a_derivative_that_writes_into_what_it_is_given(self):
        error = failure(writer, np.array([[1.0, 2.0]]))
        assert [(e.argument, e.index, e.verdict) for e in error.elements] == [
            ("dz of check_test_writer", (0, 0), WRITES)]
        assert error.elements[0].analytic == 2 * error.elements[0].numeric

    def test_many_failures_make_a_short_message(self):
        error = failure(square_no_factor, np.linspace(1, 2, 1000))
        assert len(error.elements) == 1000
        assert str(error).startswith("check_gradients: 1000 of 1000 elements disagree")
        assert len(str(error).splitlines()) < 40
        assert "... and 980 more" in str(error)
        assert error.elements[0].verdict == WRONG

    def test_the_worst_come_first(self):
        rule = gate("uneven", lambda x: x * x, lambda dz, z, x: dz * 2 * x * (1 + np.array([0.001, 0.5, 0.01])))
        assert [e.index for e in failure(rule, np.ones(3)).elements] == [(1,), (2,), (0,)]

    def test_the_ratio(self):
        error = failure(square_no_factor, np.array([1.0, 2.0]))
        assert error.ratio == pytest.approx(1 / 3, rel=1e-6)          # ‖x - 2x‖ / (‖x‖ + ‖2x‖), whatever the weights

    def test_it_is_an_assertion(self):
        with pytest.raises(AssertionError, match=r"argument +index +analytic +numeric +error +verdict"):
            check_gradients(square_no_factor, 1.0)


class TestErrors:
    def test_nothing_to_check(self):
        with pytest.raises(TypeError, match=r"write 1\.0 instead of 1"):
            check_gradients(cr.multiply, 3, np.array([1, 2]))
        with pytest.raises(TypeError, match=r"write 1\.0 instead of 1"):
            check_gradients(ReluInPlace(), np.array([1, 2]))

    def test_a_result_that_is_no_tensor(self):
        with pytest.raises(TypeError, match="returned float, expected tensors"):
            check_gradients(lambda x: x.item(), 2.0)
        with pytest.raises(TypeError, match="no floating-point tensor"):
            check_gradients(lambda x: x > 0, 2.0)

    def test_a_result_that_is_not_finite(self):
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"not finite.*detect_anomaly"):
            check_gradients(cr.log, np.array([0.0]))


# ------------------------------------------------------------------ layers by hand
class Affine:
    def __init__(self):
        rng = np.random.default_rng(0)
        self.W, self.b = rng.normal(size=(3, 2)).astype(np.float32), np.zeros(2)
        self.history = []

    def forward(self, x):
        self.x = x
        self.history.append(x)
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(0)
        return dout @ self.W.T


class WrongBias(Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.mean(0)
        return dx


class Listed:
    """The other common way to write it: lists of parameters and of gradients, filled in place."""

    def __init__(self):
        self.params, self.grads = [np.ones((3, 2), np.float32)], [np.zeros((3, 2), np.float32)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        return dout @ self.params[0].T


class ReluInPlace:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class LossDeafToDout:
    def forward(self, x, t):
        self.x, self.t = x, t
        return float(((x - t) ** 2).sum())

    def backward(self, dout=1.0):
        return 2 * (self.x - self.t)


X = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


class TestByHand:
    def test_right_ones_pass_and_are_as_before(self):
        layer = Affine()
        before, w = dict(vars(layer)), layer.W.copy()
        assert check_gradients(layer, X) < 1e-8
        assert vars(layer) == before
        assert layer.W.dtype == np.float32
        np.testing.assert_array_equal(layer.W, w)
        assert layer.history == []
        assert check_gradients(Listed(), X) < 1e-8

    def test_a_wrong_parameter_gradient(self):
        assert sorted(only(failure(WrongBias(), X), WRONG)) == [("b", (0,)), ("b", (1,))]

    def test_in_lists(self):
        class Wrong(Listed):
            def backward(self, dout):
                dx = super().backward(dout)
                self.grads[0] *= 2
                return dx

        assert {argument for argument, _ in only(failure(Wrong(), X), WRONG)} == {"params[0]"}

    def test_a_backward_that_writes_into_dout(self):
        error = failure(ReluInPlace(), X)
        assert only(error, WRITES) == [("dout of ReluInPlace", tuple(np.argwhere(X <= 0)[0]))]

    def test_a_forward_that_writes_into_its_input(self):
        class Careless:
            def forward(self, x):
                x *= 2
                return x

            def backward(self, dout):
                return 2 * dout

        assert ("input 0 of Careless", (0, 0)) in only(failure(Careless(), X), WRITES)

    def test_a_loss_that_ignores_dout(self):
        error = failure(LossDeafToDout(), X, X + 1)
        assert [e.argument for e in error.elements] == ["dout of LossDeafToDout (doubled)"]
        assert only(error, WRONG)

    def test_as_a_layer_inside_a_model(self):
        class Double(nn.Layer):
            factor = 2

            def forward(self, x):
                return 2 * x

            def backward(self, dout):
                return self.factor * dout

        class Wrong(Double):
            factor = 3

        assert check_gradients(nn.Sequential(nn.Linear(3, 2), Double()), X) < 1e-7
        error = failure(nn.Sequential(nn.Linear(3, 2), Wrong()), X)
        assert {argument for argument, _ in only(error, WRONG)} == {"x", "0.weight", "0.bias"}
        assert [c.gate for c in error.culprits] == ["Wrong"]

    def test_as_a_layer_with_parameters(self):
        class Scale(nn.Layer):
            def __init__(self, factor=1.0):
                self.weight, self.factor = nn.Parameter(np.array([2.0, 3.0, 4.0])), factor

            def forward(self, x):
                self.x = x
                return x * self.weight.numpy()

            def backward(self, dout):
                self.weight.grad = self.factor * (dout * self.x).sum(0)
                return dout * self.weight.numpy()

        assert check_gradients(Scale(), X) < 1e-7
        assert {argument for argument, _ in only(failure(Scale(0.5), X), WRONG)} == {"weight"}

    def test_as_a_layer_with_arrays_of_its_own(self):
        class Both(WrongBias, nn.Layer):
            pass

        assert sorted(only(failure(Both(), X), WRONG)) == [("b", (0,)), ("b", (1,))]
