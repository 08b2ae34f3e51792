"""Transforms of functions, against derivatives worked out on paper and against differences."""
from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from chainrule.mode import mode

X = np.array([0.5, -1.5, 2.0])


def quadratic(a):
    return lambda x: 0.5 * (x @ a @ x)


# ------------------------------------------------------------------ grad
class TestGrad:
    def test_closed_forms(self):
        np.testing.assert_allclose(cr.grad(lambda x: np.exp(x).sum())(X), np.exp(X), rtol=1e-15)
        np.testing.assert_allclose(cr.grad(lambda x: np.dot(x, x))(X), 2 * X, rtol=1e-15)
        assert cr.grad(lambda x: x * x * x)(2.0) == 12.0
        assert cr.grad(np.log)(4.0) == 0.25

    @pytest.mark.parametrize("order", range(6))
    def test_derivatives_of_any_order(self, order):
        f = np.sin
        for _ in range(order):
            f = cr.grad(f)
        expected = [math.sin, math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x)][order % 4](0.7)
        assert float(f(0.7)) == pytest.approx(expected, rel=1e-13)

    def test_kinds_come_back_as_they_went_in(self):
        f = lambda x: (x * x).sum() if np.ndim(x) else x * x
        assert type(cr.grad(f)(3.0)) is float
        assert type(cr.grad(f)(3)) is float
        assert cr.grad(f)(3) == 6.0
        assert type(cr.grad(f)(np.float32(3))) is np.float32
        assert type(cr.grad(f)(np.array(3.0))) is np.ndarray
        assert cr.grad(f)(X.astype(np.float32)).dtype == np.float32
        assert isinstance(cr.grad(f)(cr.Tensor(X)), cr.Tensor)

    def test_several_arguments(self):
        f = lambda x, y, z: (x * y ** 2).sum() + z
        dx, dz = cr.grad(f, argnums=(0, -1))(X, X + 1, 5.0)
        np.testing.assert_allclose(dx, (X + 1) ** 2, rtol=1e-15)
        assert dz == 1.0
        (only,) = cr.grad(f, argnums=(1,))(X, X + 1, 5.0)
        np.testing.assert_allclose(only, 2 * X * (X + 1), rtol=1e-15)

    def test_structures(self):
        Pair = namedtuple("Pair", "w b")
        params = {"layers": [Pair(X, 1.0), (X[:2], None)], "scale": 3.0}

        def f(p):
            pair, (v, _) = p["layers"]
            return p["scale"] * (pair.w * pair.w).sum() + pair.b * v.sum()

        slope = cr.grad(f)(params)
        assert isinstance(slope["layers"][0], Pair)
        np.testing.assert_allclose(slope["layers"][0].w, 6 * X)
        assert slope["layers"][0].b == X[:2].sum()
        np.testing.assert_allclose(slope["layers"][1][0], [1.0, 1.0])
        assert slope["layers"][1][1] is None
        assert slope["scale"] == pytest.approx((X * X).sum())

    def test_gradients_do_not_share_memory(self):
        dx, dy = cr.grad(lambda x, y: (x + y).sum(), argnums=(0, 1))(X, X)
        dx += 1
        np.testing.assert_array_equal(dy, np.ones(3))

    def test_arguments_are_neither_written_nor_kept(self):
        x = X.copy()
        _, pull = cr.vjp(lambda x: x * x, x)
        x[:] = 0
        np.testing.assert_array_equal(pull(np.ones(3)), 2 * X)

    def test_an_ignored_argument_has_gradient_zero(self):
        assert cr.grad(lambda x: 3.0)(2.0) == 0.0
        assert cr.grad(lambda x, y: y * y)(2.0, 3.0) == 0.0
        np.testing.assert_array_equal(cr.grad(lambda x, y: (y * y).sum())(X, X), np.zeros(3))
        np.testing.assert_array_equal(cr.grad(lambda x: (x.detach() ** 2).sum())(X), np.zeros(3))
        assert cr.grad(cr.grad(lambda x: 3 * x))(2.0) == 0.0
        assert cr.grad(lambda p: p["a"] * 2)({"a": 1.0, "b": 5.0}) == {"a": 2.0, "b": 0.0}

    @pytest.mark.parametrize("lost", [
        lambda x: x.item() ** 2, lambda x: float(x.numpy()) * 2, lambda x: math.sin(x.tolist())])
    def test_a_lost_graph_is_an_error_and_not_zero(self, lost):
        with pytest.raises(TypeError, match=r"the way back to its arguments is lost; .* without \.item\(\)"):
            cr.grad(lost)(2.0)

    def test_float_of_a_variable_is_refused_where_it_happens(self):
        with pytest.raises(TypeError, match=r"float\(tensor\) would lose the gradient"):
            cr.grad(lambda x: float(x) ** 2)(2.0)

    def test_closures_get_no_grad(self):
        w = cr.Tensor(X, requires_grad=True)
        model = nn.Linear(3, 2)
        np.testing.assert_allclose(cr.grad(lambda x: (w * x).sum())(X), X)
        slope = cr.grad(lambda x: model(x).sum())(X.astype(np.float32))
        np.testing.assert_allclose(slope, model.weight.numpy().sum(0), rtol=1e-6)
        assert w.grad is None
        assert model.weight.grad is None

    def test_auxiliary_results(self):
        f = lambda x: ((x * x).sum(), {"doubled": x * 2, "note": "seen"})
        slope, aux = cr.grad(f, has_aux=True)(X)
        np.testing.assert_array_equal(slope, 2 * X)
        assert type(aux["doubled"]) is np.ndarray
        np.testing.assert_array_equal(aux["doubled"], 2 * X)
        assert aux["note"] == "seen"
        (value, _), slope = cr.value_and_grad(f, has_aux=True)(X)
        assert value == (X * X).sum()
        with pytest.raises(TypeError, match="has_aux=True the function returns"):
            cr.grad(lambda x: x * x, has_aux=True)(2.0)

    def test_settings_are_passed_on(self):
        assert cr.grad(lambda x, *, n: x ** n)(2.0, n=3) == 12.0


class TestErrors:
    def test_several_numbers(self):
        with pytest.raises(ValueError, match=r"grad: the function returned shape \(3,\).*jacobian, or vjp"):
            cr.grad(lambda x: x * 2)(X)
        with pytest.raises(TypeError, match=r"tuple of 2.*has_aux=True.*jacobian and vjp"):
            cr.grad(lambda x: (x, x))(2.0)

    def test_integers(self):
        for x in (np.array([1, 2]), np.int64(3), cr.Tensor([1, 2])):
            with pytest.raises(TypeError, match=r"grad: argument 0 has dtype int64.*\.astype\(float\)"):
                cr.grad(lambda x: x.sum())(x)

    def test_what_has_no_derivative(self):
        for x in ("text", True, np.True_, object()):
            with pytest.raises(TypeError, match=r"argument 0\[1\] is .*name the others with argnums"):
                cr.grad(lambda p: p[0])([1.0, x])

    def test_integer_results(self):
        with pytest.raises(TypeError, match="the result has dtype int64"):
            cr.grad(lambda x: x.argmax())(X)

    @pytest.mark.parametrize(("argnums", "message"), [(2, "not there"), (-3, "not there"), ((0, -2), "twice"),
                                                      ("x", "not there")])
    def test_argnums(self, argnums, message):
        with pytest.raises(ValueError, match=message):
            cr.grad(lambda x, y: x * y, argnums)(1.0, 2.0)

    def test_seeds_and_tangents_of_the_wrong_shape(self):
        _, pull = cr.vjp(lambda x: (x * 2, x.sum()), X)
        with pytest.raises(ValueError, match=r"pull: v\[0\]: expected shape \(3,\), got \(2,\)"):
            pull((X[:2], 1.0))
        with pytest.raises(ValueError, match=r"expected the structure \(array\(3,\), array\(\)\), got array\(3,\)"):
            pull(X)
        with pytest.raises(ValueError, match=r"jvp: tangents\[0\]: expected shape \(3,\), got \(2,\)"):
            cr.jvp(np.sin, X, X[:2])
        with pytest.raises(ValueError, match="hvp: vectors"):
            cr.hvp(lambda x: x.sum(), X, (X, X))

    def test_an_error_in_the_middle_leaves_nothing_behind(self):
        def f(x):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"), cr.no_grad():
            cr.grad(lambda x: cr.grad(f)(x))(2.0)
        assert mode.record
        assert type(cr.grad(lambda x: x * x)(3.0)) is float       # not taken to be inside another transform
        assert type(cr.jvp(np.sin, 0.0, 1.0)[1]) is float


# ------------------------------------------------------------------ nesting, and the tape
class TestNesting:
    def test_inner_variables_are_not_confused_with_outer_ones(self):
        # d/dx [ x · d/dy (x + y) ] = 1: the classic case of perturbation confusion
        assert cr.grad(lambda x: x * cr.grad(lambda y: x + y)(1.0))(1.0) == 1.0
        assert cr.grad(lambda x: x * cr.grad(lambda y: x * y)(x))(3.0) == 6.0
        assert cr.grad(lambda w: cr.grad(lambda x: (w * x) ** 2)(2.0))(3.0) == 24.0

    def test_a_tensor_met_as_argument_and_from_outside(self):
        t = cr.Tensor(3.0, requires_grad=True)
        assert cr.grad(lambda y: t * y)(t).item() == 3.0
        slope = cr.grad(lambda y: t * y * y)(t)                    # 2·t·y at y = t
        assert slope.item() == 18.0
        slope.backward()
        assert t.grad.item() == 12.0                               # 2y + 2t

    def test_gradient_penalty_reaches_the_parameters(self):
        w = cr.Tensor(X, requires_grad=True)
        slope = cr.grad(lambda z: (w * z * z).sum())(cr.Tensor(X))            # 2·w·x
        (slope * slope).sum().backward()
        np.testing.assert_allclose(w.grad.numpy(), 8 * X ** 3, rtol=1e-15)

    def test_results_that_depend_on_nothing_else_are_constants(self):
        value, slope = cr.value_and_grad(lambda x: (x * x).sum())(cr.Tensor(X))
        assert not value.requires_grad
        assert not slope.requires_grad
        assert float(value) == (X * X).sum()
        value, slope = cr.jvp(lambda x: x * x, cr.Tensor(2.0), 1.0)
        assert (float(value), float(slope)) == (4.0, 4.0)

    def test_no_grad_outside_does_not_stop_the_transform(self):
        w = cr.Tensor(X, requires_grad=True)
        with cr.no_grad():
            assert cr.grad(lambda x: x ** 3)(2.0) == 12.0
            slope = cr.grad(lambda x: (w * x * x).sum())(cr.Tensor(X))
        np.testing.assert_allclose(slope.numpy(), 2 * X * X)
        assert not slope.requires_grad

    def test_the_tape_outside_is_not_freed(self):
        w = cr.Tensor(X, requires_grad=True)
        h = w * w
        assert cr.grad(lambda s: (h * s).sum())(2.0) == (X * X).sum()
        h.sum().backward()
        np.testing.assert_array_equal(w.grad.numpy(), 2 * X)

    def test_a_plain_layer_step_inside(self):
        x, y = np.ones((4, 3)), np.zeros((4, 2))

        def loss(p):
            hidden = np.tanh(np.dot(x, p["W1"]) + p["b1"])
            return ((np.dot(hidden, p["W2"]) - y) ** 2).mean()

        rng = np.random.default_rng(0)
        params = {"W1": rng.normal(size=(3, 5)), "b1": np.zeros(5), "W2": rng.normal(size=(5, 2))}
        value, slope = cr.value_and_grad(loss)(params)
        stepped = cr.value_and_grad(loss)({k: v - 0.01 * slope[k] for k, v in params.items()})[0]
        decrease = 0.01 * sum((d * d).sum() for d in slope.values())
        assert value - stepped == pytest.approx(decrease, rel=0.1)


# ------------------------------------------------------------------ vjp, jvp, hvp
class TestProducts:
    def test_vjp_of_a_matrix_product(self):
        rng = np.random.default_rng(1)
        a, b, v = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
        value, pull = cr.vjp(np.matmul, a, b)
        np.testing.assert_array_equal(value, a @ b)
        for _ in range(2):                                         # as often as one likes
            da, db = pull(v)
            np.testing.assert_allclose(da, v @ b.T, rtol=1e-14)
            np.testing.assert_allclose(db, a.T @ v, rtol=1e-14)

    def test_the_same_output_twice_gets_both_seeds(self):
        def f(x):
            y = x * 3
            return [y, y]

        assert cr.vjp(f, 1.0)[1]([1.0, 10.0]) == 33.0

    def test_a_scalar_needs_no_seed(self):
        assert cr.vjp(lambda x: x ** 2, 3.0)[1]() == 6.0

    @settings(max_examples=30)
    @given(n=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
    def test_jvp_and_vjp_are_transposes_and_match_a_difference(self, n, seed):
        rng = np.random.default_rng(seed)
        a, x, t, v = rng.normal(size=(3, n)), rng.normal(size=n), rng.normal(size=n), rng.normal(size=3)
        f = lambda x: np.tanh(np.dot(a, np.sin(x))) * x.sum()
        value, pushed = cr.jvp(f, x, t)
        pulled = cr.vjp(f, x)[1](v)
        np.testing.assert_allclose(value, np.tanh(a @ np.sin(x)) * x.sum(), rtol=1e-13)
        assert v @ pushed == pytest.approx(pulled @ t, rel=1e-10, abs=1e-12)
        h = 1e-6
        np.testing.assert_allclose(pushed, (f(x + h * t) - f(x - h * t)) / (2 * h), rtol=1e-6, atol=1e-8)

    def test_jvp_over_structures_and_several_arguments(self):
        value, slope = cr.jvp(lambda p, s: {"out": p["w"] * s, "same": p["w"][0]}, ({"w": X}, 2.0), ({"w": X * 0}, 1.0))
        np.testing.assert_array_equal(value["out"], 2 * X)
        np.testing.assert_array_equal(slope["out"], X)
        assert slope["same"] == 0.0

    def test_jvp_nests_with_itself_and_with_grad(self):
        assert cr.jvp(lambda x: cr.jvp(lambda y: y ** 3, x, 1.0)[1], 2.0, 1.0) == (12.0, 12.0)
        assert cr.grad(lambda a: cr.jvp(lambda x: a * x ** 3, 2.0, 1.0)[1])(5.0) == 12.0
        np.testing.assert_allclose(cr.jvp(cr.grad(lambda x: (x ** 3).sum()), X, X)[1], 6 * X * X)

    def test_jvp_of_what_a_function_ignores(self):
        assert cr.jvp(lambda x, y: x * 1.0, (2.0, 3.0), (0.0, 1.0)) == (2.0, 0.0)

    def test_hvp_of_a_quadratic_form(self):
        rng = np.random.default_rng(2)
        a, v = rng.normal(size=(3, 3)), rng.normal(size=3)
        np.testing.assert_allclose(cr.hvp(quadratic(a), X, v), 0.5 * (a + a.T) @ v, rtol=1e-13)

    def test_hvp_of_several_arguments(self):
        hx, hy = cr.hvp(lambda x, y: (x * y * y).sum(), (X, X + 1), (np.ones(3), np.zeros(3)))
        np.testing.assert_allclose(hx, np.zeros(3), atol=1e-15)
        np.testing.assert_allclose(hy, 2 * (X + 1), rtol=1e-15)

    def test_second_derivatives_of_a_handwritten_backward_are_refused(self):
        class Double(nn.Layer):
            def forward(self, x):
                return 2 * x

            def backward(self, dout):
                return 2 * dout

        layer = Double()
        np.testing.assert_array_equal(cr.grad(lambda x: layer(x).sum())(X), [2.0, 2.0, 2.0])
        with pytest.raises(NotImplementedError, match=r"Double\.backward is written by hand"):
            cr.jvp(layer, X, X)


# ------------------------------------------------------------------ jacobian, hessian
class TestWholeMatrices:
    def test_jacobian_of_a_linear_map(self):
        a = np.arange(6.0).reshape(2, 3)
        np.testing.assert_array_equal(cr.jacobian(lambda x: np.dot(a, x))(X), a)

    def test_shape_is_that_of_the_value_then_of_the_argument(self):
        jacobian = cr.jacobian(lambda x: np.sum(x, axis=1)[None])(np.ones((2, 3)))
        assert jacobian.shape == (1, 2, 2, 3)
        np.testing.assert_array_equal(jacobian[0, 1], [[0, 0, 0], [1, 1, 1]])

    def test_numbers(self):
        assert cr.jacobian(lambda x: x ** 2)(3.0) == 6.0
        assert cr.hessian(lambda x: x ** 3)(2.0) == 12.0
        np.testing.assert_array_equal(cr.jacobian(lambda x: x * X)(3.0), X)

    def test_structures_give_blocks(self):
        blocks = cr.jacobian(lambda p: {"y": p["w"] * p["b"], "s": p["w"].sum()})({"w": X, "b": 2.0})
        np.testing.assert_array_equal(blocks["y"]["w"], 2 * np.eye(3))
        np.testing.assert_array_equal(blocks["y"]["b"], X)
        np.testing.assert_array_equal(blocks["s"]["w"], np.ones(3))
        assert blocks["s"]["b"] == 0.0

    def test_hessian_of_a_quadratic_form(self):
        a = np.random.default_rng(3).normal(size=(3, 3))
        np.testing.assert_allclose(cr.hessian(quadratic(a))(X), 0.5 * (a + a.T), rtol=1e-14)

    def test_hessian_of_several_arguments_is_symmetric(self):
        f = lambda x, y: (np.sin(x) * y).sum()
        (xx, xy), (yx, yy) = cr.hessian(f, argnums=(0, 1))(X, X + 1)
        np.testing.assert_allclose(xx, np.diag(-np.sin(X) * (X + 1)), atol=1e-15)
        np.testing.assert_allclose(xy, np.diag(np.cos(X)), rtol=1e-15)
        np.testing.assert_allclose(yx, xy.T)
        np.testing.assert_array_equal(yy, np.zeros((3, 3)))

    def test_third_derivatives(self):
        third = cr.jacobian(cr.hessian(lambda x: (x ** 3).sum()))(X)
        expected = np.zeros((3, 3, 3))
        expected[range(3), range(3), range(3)] = 6
        np.testing.assert_allclose(third, expected)

    def test_empty(self):
        assert cr.jacobian(lambda x: x * 2)(np.zeros(0)).shape == (0, 0)
        assert cr.jacobian(lambda x: x[:0])(X).shape == (0, 3)

    def test_a_jacobian_of_tensors_remembers(self):
        w = cr.Tensor(X, requires_grad=True)
        jacobian = cr.jacobian(lambda x: w * x)(cr.Tensor(X))
        jacobian.sum().backward()
        np.testing.assert_array_equal(w.grad.numpy(), np.ones(3))

    def test_names(self):
        def loss(x):
            return x * x

        assert cr.grad(loss).__name__ == "grad(loss)"
        assert cr.hessian(loss).__name__ == "hessian(loss)"
