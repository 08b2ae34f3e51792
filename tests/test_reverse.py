"""The engine: accumulation, seeds, higher derivatives, hooks, memory, depth, threads."""
from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import Tensor, enable_grad, no_grad
from chainrule import gates as g
from chainrule.mode import Observer, mode
from chainrule.reverse import history, pull, pullback

Array = NDArray[Any]


def leaf(value: Any, **options: Any) -> Any:
    return Tensor(value, requires_grad=True, **options)


def values(*tensors: Any) -> list[Any]:
    return [None if t is None else t.tolist() for t in tensors]


@contextmanager
def no_collector() -> Iterator[None]:
    """Whatever is freed in here is freed by reference counts alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# ------------------------------------------------------------------ accumulation
class TestAccumulation:
    def test_diamonds(self) -> None:
        a = leaf(3.0)
        b = a + a
        c = b + b
        c.backward()
        assert values(a.grad) == [4.0]

    def test_a_long_ladder_of_diamonds(self) -> None:
        a = leaf(1.0)
        b = a
        for _ in range(40):                            # 2⁴⁰ paths, each gate passed once
            b = b + b
        b.backward()
        assert values(a.grad) == [2.0**40]

    def test_branches_of_different_length(self) -> None:
        x = leaf(2.0)
        y = x * x                                      # used early and late
        z = y
        for _ in range(5):
            z = z + y
        (z * x + y).backward()                         # 6 x³ + x²
        assert values(x.grad) == [18 * 4.0 + 4.0]

    def test_the_same_tensor_twice_as_an_input(self) -> None:
        x = leaf([3.0, 5.0])
        for z, expected in ((x * x, [6.0, 10.0]), (x - x, [0.0, 0.0]), (x / x, [0.0, 0.0]), (g.maximum(x, x), [1, 1]),
                            (g.concatenate([x, x, x]), [3, 3]), (g.where([True, False], x, x), [1, 1]),
                            (x @ x, [6.0, 10.0]), (g.einsum("i,i->i", x, x), [6.0, 10.0])):
            x.grad = None
            z.sum().backward()
            assert values(x.grad) == [expected], z.gate

    def test_backward_calls_add_up(self) -> None:
        x = leaf([1.0, 2.0])
        for i in range(1, 4):
            (x * 2).sum().backward()
            assert values(x.grad) == [[2.0 * i, 2.0 * i]]
        x.grad = None
        (x * 2).sum().backward()
        assert values(x.grad) == [[2.0, 2.0]]

    def test_only_leaves_accumulate(self) -> None:
        x = leaf(2.0)
        y = x * 3
        z = y * y
        z.backward()
        assert values(y.grad, z.grad, x.grad) == [None, None, 36.0]

    def test_intermediate_gradients_do_not_pile_up(self) -> None:
        x = leaf(2.0)
        y = x * 3
        z = y * y
        for i in range(1, 4):
            z.backward(retain_graph=True)
            assert values(x.grad) == [36.0 * i]

    def test_what_the_result_does_not_depend_on_gets_nothing(self) -> None:
        x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        unused = y * 2
        first, _second = g.split(x, 2)
        first.sum().backward()
        assert values(x.grad, y.grad, unused.grad) == [[1.0, 0.0], None, None]

    def test_constants_get_nothing(self) -> None:
        x, c = leaf([1.0]), Tensor([2.0])
        (x * c).sum().backward()
        assert c.grad is None

    def test_a_leaf_is_its_own_gradient_path(self) -> None:
        x = leaf(5.0)
        x.backward()
        assert values(x.grad) == [1.0]

    def test_broadcasting_is_undone(self) -> None:
        rng = np.random.default_rng(0)
        for shapes in (((3,), (2, 3)), ((), (2, 3)), ((1, 3), (2, 1)), ((2, 1, 4), (3, 1)), ((1,), ()), ((1, 1), (1,)),
                       ((0, 3), (1, 3))):
            a, b = (leaf(rng.normal(size=shape)) for shape in shapes)
            dz = rng.normal(size=(a * b).shape)
            (a * b).backward(dz)
            for x, other in ((a, b), (b, a)):
                whole = dz * other.array
                lead = whole.ndim - x.ndim
                axes = (*range(lead), *(i + lead for i, n in enumerate(x.shape) if n == 1))
                np.testing.assert_allclose(x.grad.array, whole.sum(axis=axes).reshape(x.shape), atol=1e-14)


class TestSeeds:
    def test_a_result_of_several_elements_needs_one(self) -> None:
        with pytest.raises(ValueError, match=r"shape \(2,\) needs a seed.*\.sum\(\) or \.mean\(\)"):
            (leaf([1.0, 2.0]) * 2).backward()

    @pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
    def test_of_one_element_it_is_one(self, shape: tuple[int, ...]) -> None:
        x = leaf(np.full(shape, 3.0))
        (x * x).backward()
        assert x.grad.shape == shape
        assert x.grad.item() == 6.0

    @pytest.mark.parametrize("seed", [[1, 10], (1.0, 10.0), np.array([1, 10]), np.array([1.0, 10.0], np.float16),
                                      Tensor([1.0, 10.0]), Tensor([1, 10])])
    def test_numbers_of_any_kind_will_do(self, seed: Any) -> None:
        x = leaf(np.array([1.0, 2.0], np.float32))
        (x * 2).backward(seed)
        assert values(x.grad) == [[2.0, 20.0]]
        assert x.grad.dtype == np.float32

    @pytest.mark.parametrize("seed", [1.0, [1.0], [[1.0, 2.0]], np.ones(3), Tensor(np.ones((2, 1)))])
    def test_the_shape_must_be_the_results(self, seed: Any) -> None:
        with pytest.raises(ValueError, match=r"the seed has shape \(.*\), the result \(2,\)"):
            (leaf([1.0, 2.0]) * 2).backward(seed)

    def test_it_is_linear(self) -> None:
        rng = np.random.default_rng(0)
        grads = []
        u, v = rng.normal(size=(2, 3))
        for seed in (u, v, 2 * u - 3 * v):
            x = leaf(np.array([0.1, 0.2, 0.3]))
            (x.exp() * x).backward(seed)
            grads.append(x.grad.array)
        np.testing.assert_allclose(grads[2], 2 * grads[0] - 3 * grads[1], rtol=1e-13)


class TestNothingToDo:
    def test_a_value_without_parameters(self) -> None:
        with pytest.raises(RuntimeError, match="does not depend on any tensor with requires_grad=True"):
            (Tensor(1.0) * 2).backward()

    def test_a_value_made_under_no_grad(self) -> None:
        with no_grad():
            y = leaf(1.0) * 2
            with pytest.raises(RuntimeError, match="no_grad"):
                y.backward()

    def test_backward_itself_may_run_under_no_grad(self) -> None:
        x = leaf(3.0)
        y = x * x
        with no_grad():
            y.backward()
        assert values(x.grad) == [6.0]
        assert not x.grad.requires_grad


# ------------------------------------------------------------------ again, and again
class TestTwice:
    def test_a_second_pass_needs_retain_graph(self) -> None:
        x = leaf(2.0)
        y = x * x
        y.backward()
        with pytest.raises(RuntimeError, match="freed by an earlier backward pass; pass retain_graph=True"):
            y.backward()
        assert values(x.grad) == [4.0]

    def test_retain_graph(self) -> None:
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert values(x.grad) == [8.0]

    def test_a_freed_trunk_is_an_error_for_the_other_branch(self) -> None:
        x = leaf(2.0)
        trunk = x * x
        one, other = trunk * 2, trunk * 3
        one.backward()
        with pytest.raises(RuntimeError, match="freed"):
            other.backward()
        assert values(x.grad) == [8.0]

    def test_what_a_pass_did_not_reach_is_not_freed(self) -> None:
        x, y = leaf(2.0), leaf(3.0)
        a, b = x * x, y * y
        (a * 2).backward()
        (b * 2).backward()
        assert values(x.grad, y.grad) == [8.0, 12.0]

    def test_an_error_in_a_derivative_leaves_gradients_and_modes_as_they_were(self) -> None:
        def fail(dz: Any, z: Any, x: Any) -> Any:
            raise ZeroDivisionError("a fault")

        faulty = cr.Gate("faulty_for_a_test", lambda x: x * 1.0, (fail,))
        try:
            for create_graph in (False, True):
                x, y = leaf(2.0), leaf(3.0)
                with no_grad(), pytest.raises(ZeroDivisionError), enable_grad():
                    (y * faulty(x * 3) + y).backward(create_graph=create_graph)
                assert (mode.record, mode.observer, mode.symbolic) == (True, None, False)
                assert (x.grad, y.grad) == (None, None)
        finally:
            del cr.GATES["faulty_for_a_test"]


# ------------------------------------------------------------------ derivatives of derivatives
class TestHigherDerivatives:
    def test_of_a_polynomial_to_the_third(self) -> None:
        x = leaf(2.0)
        y = x**4
        found = []
        for _ in range(3):
            x.grad = None
            y.backward(create_graph=True)
            y = x.grad
            found.append(y.item())
        x.grad = None
        assert found == [4 * 8.0, 12 * 4.0, 24 * 2.0]

    def test_of_a_product_of_everything(self) -> None:
        """d³/dx³ of sin x · eˣ is 2 eˣ (cos x - sin x) - ... = -2 eˣ (sin x - cos x)."""
        x = leaf(np.array([0.3, -1.2]))
        y = (x.sin() * x.exp()).sum()
        for _ in range(3):
            (y,) = pullback({y: np.ones(())}, targets=[x], create_graph=True).values()
            last, y = y, y.sum()
        e, s, c = np.exp(x.array), np.sin(x.array), np.cos(x.array)
        np.testing.assert_allclose(last.array, 2 * e * (c - s), rtol=1e-13)

    def test_mixed_partials_are_equal(self) -> None:
        x, y = leaf(0.7), leaf(1.3)
        z = (x * y).sin() * (x + y).exp() / y
        first = pullback({z: np.ones(())}, targets=[x, y], create_graph=True)
        xy = pullback({first[x]: np.ones(())}, targets=[y], retain_graph=True)[y]
        yx = pullback({first[y]: np.ones(())}, targets=[x], retain_graph=True)[x]
        assert float(xy) == pytest.approx(float(yx), rel=1e-13)

    def test_a_gradient_penalty_trains(self) -> None:
        w = leaf(np.array([1.0, -2.0]))
        x = leaf(np.array([0.5, 0.25]))
        score = ((w * x) ** 2).sum()                    # ∂score/∂x = 2 w² x
        dx = pullback({score: np.ones(())}, targets=[x], create_graph=True)[x]
        (dx * dx).sum().backward()                      # Σ 4 w⁴ x²
        np.testing.assert_allclose(w.grad.array, 16 * w.array**3 * x.array**2)

    def test_create_graph_keeps_the_graph(self) -> None:
        x = leaf(3.0)
        y = x * x
        y.backward(create_graph=True)
        y.backward()
        assert values(x.grad) == [12.0]
        x.grad = None

    def test_create_graph_records_also_under_no_grad(self) -> None:
        x = leaf(3.0)
        y = x * x * x
        with no_grad():
            y.backward(create_graph=True)
        assert x.grad.requires_grad
        assert mode.record
        x.grad = None

    def test_without_it_gradients_are_constants(self) -> None:
        x = leaf(3.0)
        (x * x).backward()
        assert not x.grad.requires_grad
        assert x.grad.is_leaf

    def test_a_seed_can_be_differentiated(self) -> None:
        x, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        (x * x).backward(v, create_graph=True)          # 2 x v
        dx, x.grad = x.grad, None
        dx.sum().backward()
        assert values(v.grad, x.grad) == [[2.0, 4.0], [6.0, 8.0]]

    def test_by_products_are_recomputed(self) -> None:
        x = leaf([3.0, 1.0, 2.0])
        y = (x.sort() ** 3 * np.array([1.0, 10.0, 100.0])).sum()
        y.backward(create_graph=True)
        dx, x.grad = x.grad, None
        dx.sum().backward()
        assert values(dx, x.grad) == [[2700.0, 3.0, 120.0], [1800.0, 6.0, 120.0]]


# ------------------------------------------------------------------ targets
class TestTargets:
    def test_a_list_of_targets_is_asked_for_identity(self) -> None:
        x, y = leaf([1.0, 2.0]), leaf([1.0, 2.0])       # equal, but not the same
        z = (x * 2 + y * 3).sum()
        found = pullback({z: np.ones(())}, targets=[y])
        assert list(found) == [y]
        assert found[y].tolist() == [3.0, 3.0]

    def test_intermediate_targets(self) -> None:
        x = leaf(2.0)
        y = x * 3
        z = y * y + x
        found = pullback({z: np.ones(())}, targets=(y, x, z))
        assert [float(found[t]) for t in (z, y, x)] == [1.0, 12.0, 37.0]

    def test_an_unreached_target_is_missing(self) -> None:
        x, y = leaf(2.0), leaf(3.0)
        assert pullback({x * 2: np.ones(())}, targets=[y]) == {}

    def test_work_that_leads_to_no_target_is_left_out(self) -> None:
        seen: list[str] = []

        class Log(Observer):
            def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
                seen.append(source.name)

        x, y = leaf(2.0, name="x"), leaf(3.0, name="y")
        z = x * x.exp() + y.sin().cos()
        with cr.observe(Log()):
            pullback({z: np.ones(())}, targets=[x])
        assert "x" in seen
        assert "y" not in seen

    def test_a_path_to_a_parameter_that_was_written_is_not_forgotten(self) -> None:
        p = leaf([2.0], name="p")
        y = p * 3
        with no_grad():
            p += 1
        with pytest.raises(RuntimeError, match=r"p .*written in place after multiply"):
            pullback({p * y: np.ones(1)}, targets=[p])

    def test_create_graph_records_also_under_no_grad(self) -> None:
        x = leaf(3.0)
        y = x * x * x
        with no_grad():
            found = pullback({y: np.ones(())}, targets=[x], create_graph=True)
        assert found[x].requires_grad
        assert float(pullback({found[x]: np.ones(())}, targets=[x])[x]) == 18.0

    def test_the_seed_stays_the_callers(self) -> None:
        x, seed = leaf([1.0, 2.0]), np.array([3.0, 4.0])
        found = pullback({x + 0.0: seed})
        seed[:] = 0
        assert found[x].tolist() == [3.0, 4.0]

    def test_several_results_at_once(self) -> None:
        x = leaf(2.0)
        y = x * x
        z = y * y
        found = pullback({y: np.array(10.0), z: np.array(1.0)})
        assert float(found[x]) == 10 * 4 + 32


# ------------------------------------------------------------------ hooks
class TestHooks:
    def test_it_sees_the_whole_gradient_once(self) -> None:
        x, seen = leaf([1.0, 2.0]), []
        y = x * 2
        y.register_hook(lambda dz: seen.append(dz.tolist()))
        (y + y * 3 + y).sum().backward()
        assert seen == [[5.0, 5.0]]

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_what_it_returns_replaces_the_gradient(self, create_graph: bool) -> None:
        x = leaf(np.array([1.0, 2.0], np.float32))
        y = x * 2
        y.register_hook(lambda dz: dz * 10)
        x.register_hook(lambda dz: np.array([7.0, 8.0]))
        y.sum().backward(create_graph=create_graph)
        assert values(x.grad) == [[7.0, 8.0]]
        assert x.grad.dtype == np.float32
        x.grad = None

    def test_hooks_run_in_order_and_feed_each_other(self) -> None:
        x = leaf(1.0)
        x.register_hook(lambda dz: dz + 1)
        x.register_hook(lambda dz: dz * 10)
        (x * 2).backward()
        assert values(x.grad) == [30.0]

    def test_it_can_be_taken_away_also_by_itself(self) -> None:
        x, seen = leaf(1.0), []

        def once(dz: Any) -> None:
            seen.append(dz.item())
            remove()

        remove = x.register_hook(once)
        other = x.register_hook(lambda dz: dz * 2)
        (x * 2).backward()
        other()
        other()                                        # twice is harmless
        (x * 2).backward()
        assert seen == [2.0]
        assert values(x.grad) == [4.0 + 2.0]

    def test_it_runs_once_in_every_pass(self) -> None:
        x, seen = leaf(1.0), []
        x.register_hook(lambda dz: seen.append(dz.item()))
        for i in (1, 2):
            (x * i).backward()
        assert seen == [1.0, 2.0]                      # the gradient of the pass, not the sum

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_writing_into_the_gradient_it_is_given_changes_nothing_else(self, create_graph: bool) -> None:
        x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])

        def spoil(dz: Any) -> None:
            with no_grad():
                dz *= 1000

        for t in (x, z := x + y, z):
            t.register_hook(spoil)
        (z + 0.0).backward([1.0, 2.0], create_graph=create_graph)
        assert values(x.grad, y.grad) == [[1.0, 2.0]] * 2

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_what_it_returns_stays_its_own(self, create_graph: bool) -> None:
        x, mine = leaf([1.0, 2.0]), Tensor([5.0, 6.0])
        x.register_hook(lambda dz: mine)
        (x * 2).sum().backward(create_graph=create_graph)
        with no_grad():
            mine *= 0
        assert values(x.grad) == [[5.0, 6.0]]
        with no_grad():
            x.grad *= 10.0
        assert values(mine) == [[0.0, 0.0]]

    def test_a_wrong_shape_is_refused(self) -> None:
        x = leaf([1.0, 2.0])
        x.register_hook(lambda dz: np.ones(3))
        with pytest.raises(ValueError, match=r"hook returned shape \(3,\) for a tensor of shape \(2,\)"):
            (x * 2).sum().backward()

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_an_error_in_it_leaves_modes_and_gradients_alone(self, create_graph: bool) -> None:
        x, y = leaf(1.0), leaf(2.0)
        x.register_hook(lambda dz: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            (x * y).backward(create_graph=create_graph)
        assert mode.record
        assert (x.grad, y.grad) == (None, None)

    def test_a_backward_inside_a_hook(self) -> None:
        x, w = leaf(2.0), leaf(5.0)
        x.register_hook(lambda dz: (w * w).backward())
        (x * 3).backward()
        assert values(x.grad, w.grad) == [3.0, 10.0]

    def test_a_constant_has_no_gradient_to_hook(self) -> None:
        for call in (lambda: Tensor(1.0).register_hook(print), lambda: Tensor(1.0).retain_grad()):
            with pytest.raises(RuntimeError, match="require"):
                call()

    def test_hooks_on_parameters_hold_no_graph(self) -> None:
        with no_collector():
            x = leaf(1.0)
            x.register_hook(lambda dz: None)
            y = x * 2
            ref = weakref.ref(y)
            y.backward()
            del y
            assert ref() is None


class TestRetainGrad:
    def test_a_result_keeps_its_gradient(self) -> None:
        x = leaf([1.0, 2.0])
        y = x * 2
        y.retain_grad()
        (y * y).sum().backward()
        assert values(y.grad) == [[4.0, 8.0]]

    def test_it_adds_up_like_a_leafs(self) -> None:
        x = leaf(1.0)
        y = x * 2
        y.retain_grad()
        z = y * 3
        z.backward(retain_graph=True)
        z.backward()
        assert values(y.grad) == [6.0]

    def test_a_leaf_keeps_its_own_once(self) -> None:
        x = leaf(1.0)
        x.retain_grad()
        (x * 3).backward()
        assert values(x.grad) == [3.0]

    def test_it_keeps_what_the_hooks_made_of_it_and_shares_nothing(self) -> None:
        x = leaf([1.0, 2.0])
        y = x + 0.0
        y.retain_grad()
        y.register_hook(lambda dz: dz * 10)
        y.sum().backward()
        with no_grad():
            y.grad *= 0.0
        assert values(x.grad) == [[10.0, 10.0]]


# ------------------------------------------------------------------ gradients that alias
class TestAliases:
    """`add`, `reshape`, `transpose`, `broadcast_to` and slices hand on views of the gradient they were given."""

    PASS_ON: dict[str, Callable[[Any], Any]] = {
        "add": lambda t: t + 0.0, "reshape": lambda t: t.reshape(t.shape), "transpose": lambda t: t.T.T,
        "flip": lambda t: g.flip(g.flip(t)), "getitem": lambda t: t[:], "clone": lambda t: t.clone(),
        "concatenate": lambda t: g.concatenate([t]), "split": lambda t: g.concatenate(g.split(t, 2)),
        "expand": lambda t: g.squeeze(g.expand_dims(t, 0), axis=0)}

    @pytest.mark.parametrize("one", PASS_ON)
    @pytest.mark.parametrize("other", PASS_ON)
    def test_two_paths_that_pass_one_array_on(self, one: str, other: str) -> None:
        x, y = leaf(np.ones((2, 2))), leaf(np.ones((2, 2)))
        h = x * 1.0
        a, b = self.PASS_ON[one](h), self.PASS_ON[other](h)
        (a + b + y + h + a).backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
        assert values(x.grad, y.grad) == [[[4.0, 8.0], [12.0, 16.0]], [[1.0, 2.0], [3.0, 4.0]]]

    def test_no_derivative_writes_into_what_it_is_given(self) -> None:
        seed = np.arange(1.0, 5.0).reshape(2, 2)
        seed.flags.writeable = False
        x = leaf(np.ones((2, 2)))
        ((x + x[::-1]) + x.T + x[0] + x[0]).backward(seed)
        expected = seed + seed[::-1] + seed.T
        expected[0] += 2 * seed.sum(axis=0)
        assert values(x.grad) == [expected.tolist()]

    def test_slices_scattered_into_one_array_leave_the_first_gradient_alone(self) -> None:
        kept = []

        class Keep(Observer):
            def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
                kept.append((gradient, np.array(gradient)))

        x = leaf(np.zeros(3))
        with cr.observe(Keep()):
            (x[0] * 2 + x[1] * 3 + x[1] * 4 + (x * 5).sum()).backward()
        assert values(x.grad) == [[7.0, 12.0, 5.0]]
        assert all(np.array_equal(now, then) for now, then in kept), "an observer's gradient was written"
        parts = [then for _, then in kept if then.shape == (3,)]
        np.testing.assert_array_equal(sum(p for p in parts if (p == 0).any() or (p == 5).all()), [7.0, 12.0, 5.0])


# ------------------------------------------------------------------ work and memory
class TestLinearTime:
    @staticmethod
    def traffic(steps: int, create: Callable[[Any, int], Any]) -> int:
        """Bytes of all arrays that derivatives hand back in a loop over the rows of one array."""
        x = leaf(np.ones((steps, 8)))
        total = create(x, steps)
        tracemalloc.start()
        try:
            # The peak cannot show work that is freed at once; the sum of scattered zeros is counted at its source.
            made = 0
            zeros = np.zeros

            def counted(*args: Any, **options: Any) -> Any:
                nonlocal made
                array = zeros(*args, **options)
                made += array.nbytes
                return array

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(np, "zeros", counted)
                total.backward()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert x.grad.shape == x.shape
        return made + peak

    @pytest.mark.parametrize("create", [
        lambda x, n: sum((x[i] * float(i) for i in range(n)), Tensor(0.0)).sum(),
        lambda x, n: sum((row * row for row in x), Tensor(0.0)).sum(),
        lambda x, n: g.stack([row.tanh() for row in g.split(x, n)]).sum(),
    ], ids=["x[i]", "iteration", "split"])
    def test_slices_of_one_array_in_a_loop_share_an_accumulator(self, create: Callable[[Any, int], Any]) -> None:
        small, large = self.traffic(200, create), self.traffic(2000, create)
        assert large < 20 * small, "ten times the steps must cost about ten times the memory traffic, not a hundred"

    def test_the_gradient_of_such_a_loop_is_right(self) -> None:
        x = leaf(np.arange(6.0).reshape(3, 2))
        h = Tensor(np.zeros(2))
        for t in range(3):
            h = (h + x[t]) * 2
        (h.sum() + x[-1, 0] * 100 + x[:2].sum()).backward()
        assert values(x.grad) == [[[9.0, 9.0], [5.0, 5.0], [102.0, 2.0]]]

    def test_numbers_may_be_sliced_too(self) -> None:
        """The sum of two 0-d arrays is no array any more, and cannot be scattered into."""
        x = leaf(3.0)
        picked = x[..., None].sum() + x[()] * 2 + x[None][0]      # gone back through last
        (x * x + picked).backward()
        assert values(x.grad) == [6.0 + 1 + 2 + 1]


class TestFreeing:
    def test_memory_goes_back_while_the_pass_goes_on(self) -> None:
        with no_collector():
            x = leaf(np.zeros(10))
            y = x
            refs: list[Any] = []
            alive: list[int] = []
            for _ in range(20):
                y = y.tanh()
                refs.append(weakref.ref(y))
                if len(refs) < 20:
                    y.register_hook(lambda dz: alive.append(sum(ref() is not None for ref in refs)))
            y.sum().backward()
            del y
            # At the hook of the k-th result all younger ones but a few are gone.
            assert len(alive) == 19
            assert all(count <= expected + 3 for count, expected in zip(alive, range(19, 0, -1), strict=True)), alive

    def test_the_peak_of_a_backward_pass_is_not_the_whole_graph(self) -> None:
        n, depth = 100_000, 50
        x = leaf(np.zeros(n))
        y = x
        for _ in range(depth):
            y = y.tanh()
        loss = y.sum()
        del y
        tracemalloc.start()
        try:
            loss.backward()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8 * n * 8, "a pass needs a few arrays at a time"

    def test_nothing_is_left_after_backward(self) -> None:
        with no_collector():
            x, w = leaf(np.ones((3, 3))), leaf(np.ones((3, 3)))
            h = (x @ w).tanh()
            loss = (h * h + w).sum()
            refs = [weakref.ref(h), weakref.ref(h.array)]
            loss.backward()
            del h
            assert all(ref() is None for ref in refs)
            assert loss.inputs == ()

    def test_no_reference_cycles(self) -> None:
        with no_collector():
            for create_graph in (False, True):
                x = leaf(np.ones((3, 3)), name="x")
                h = (x @ x.T).exp()[0].reshape(3, 1)
                loss = (h * 2 + g.concatenate([h, h])[:3]).sum()
                if create_graph:
                    dx = pullback({loss: np.ones(())}, targets=[x], create_graph=True)[x]
                    refs = [weakref.ref(t) for t in (x, h, loss, dx)]
                    del dx
                else:
                    loss.backward()
                    refs = [weakref.ref(t) for t in (x, h, loss)]
                del x, h, loss
                assert all(ref() is None for ref in refs)

    def test_no_reference_cycles_after_an_error(self) -> None:
        with no_collector():
            x = leaf(np.ones(3))
            y = x * 2
            refs = [weakref.ref(x), weakref.ref(y)]
            with suppress(ValueError):
                y + np.ones(4)
            with suppress(ValueError):
                y.backward()
            with suppress(TypeError):
                np.asarray(y)
            del x, y
            assert all(ref() is None for ref in refs)

    def test_a_graph_that_is_never_gone_back_through_is_freed(self) -> None:
        with no_collector():
            x = leaf(np.ones(3))
            y = (x * 2).exp()
            refs = [weakref.ref(y), weakref.ref(y.inputs[0])]
            del y
            assert all(ref() is None for ref in refs)


class TestDepth:
    def test_a_chain_of_100_000_gates(self) -> None:
        with no_collector():
            x = leaf(1.0)
            y = x
            for _ in range(100_000):
                y = y + 1e-5
            ref = weakref.ref(y.inputs[0])
            assert len(history(y)) == 100_001
            y.backward()
            assert values(x.grad) == [1.0]
            del y
            assert ref() is None

    def test_it_is_deallocated_without_a_backward_pass(self) -> None:
        with no_collector():
            x = leaf(1.0)
            y = x * 1.0
            first = weakref.ref(y)
            for _ in range(100_000):
                y = y * 1.00001
            del y
            assert first() is None

    def test_create_graph_through_100_000_gates(self) -> None:
        with no_collector():
            x = leaf(1.0)
            y = x * 1.0
            for _ in range(100_000):
                y = -y
            z = y * y
            dx = pullback({z: np.ones(())}, targets=[x], create_graph=True)[x]
            assert dx.item() == 2.0
            assert float(pullback({dx: np.ones(())}, targets=[x])[x]) == 2.0
            first = weakref.ref(y)
            del y, z, dx
            assert first() is None

    def test_deep_and_wide(self) -> None:
        x = leaf(np.ones(4))
        layer = [x * float(i + 1) for i in range(50)]
        for _ in range(200):
            layer = [(a + b) * 0.5 for a, b in zip(layer, layer[1:] + layer[:1], strict=True)]
        sum(layer, Tensor(0.0)).sum().backward()
        np.testing.assert_allclose(x.grad.array, np.full(4, 50 * 51 / 2), rtol=1e-12)

    def test_20_000_leaves(self) -> None:
        leaves = [leaf(float(i)) for i in range(20_000)]
        g.stack(leaves).sum().backward()
        assert all(t.grad.item() == 1.0 for t in leaves)


# ------------------------------------------------------------------ threads
class TestThreads:
    @staticmethod
    def together(*jobs: Callable[[], None]) -> None:
        errors: list[BaseException] = []
        gate = threading.Barrier(len(jobs))

        def run(job: Callable[[], None]) -> None:
            try:
                gate.wait()
                job()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors

    def test_graphs_of_their_own(self) -> None:
        def train(factor: float) -> Callable[[], None]:
            def job() -> None:
                x = leaf(np.full(3, factor))
                for _ in range(300):
                    x.grad = None
                    (x * x * factor).sum().backward()
                    np.testing.assert_array_equal(x.grad.array, np.full(3, 2 * factor * factor))
            return job

        self.together(*[train(f) for f in (1.0, 2.0, 3.0, 4.0)])

    def test_modes_of_their_own(self) -> None:
        inside, checked = threading.Event(), threading.Event()

        def without() -> None:
            with no_grad():
                inside.set()
                assert checked.wait(10)
                assert not (leaf(1.0) * 2).requires_grad
            assert (leaf(1.0) * 2).requires_grad

        def with_grad() -> None:
            assert inside.wait(10)
            try:
                x = leaf(3.0)
                y = x * x
                assert y.requires_grad
                y.backward()
                assert values(x.grad) == [6.0]
            finally:
                checked.set()

        self.together(without, with_grad)

    def test_one_decorated_function_in_two_threads(self) -> None:
        """Each call puts back what its own thread had, in whatever order the calls end."""
        entered, nested, left = threading.Event(), threading.Event(), threading.Event()
        leave: dict[str, threading.Event] = {"recording": threading.Event(), "not recording": threading.Event()}

        @no_grad()
        def work(name: str, arrived: threading.Event) -> None:
            arrived.set()
            assert leave[name].wait(10)

        def recording() -> None:
            work("recording", entered)
            left.set()
            assert mode.record

        def not_recording() -> None:
            assert entered.wait(10)
            with no_grad():
                work("not recording", nested)
                assert not mode.record

        def let_go() -> None:
            assert nested.wait(10)                     # both are inside: the first to enter leaves first
            leave["recording"].set()
            assert left.wait(10)
            leave["not recording"].set()

        self.together(recording, not_recording, let_go)

    def test_gradients_of_shared_parameters_are_not_lost(self) -> None:
        w = leaf(np.zeros(4))

        def job() -> None:
            for _ in range(500):
                (w * 1.0).sum().backward()

        self.together(job, job, job, job)
        assert values(w.grad) == [[2000.0] * 4]


# ------------------------------------------------------------------ one gate at a time
class TestPull:
    def test_it_gives_one_contribution_per_wanted_input(self) -> None:
        x, y = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
        dx, dy = pull(g.multiply, np.ones((2, 2)), x * y, (x, y), {}, (True, True))
        assert dx.tolist() == [[7.0, 7.0]]
        assert dy.tolist() == [[3.0], [3.0]]
        assert pull(g.multiply, np.ones((2, 2)), x * y, (x, y), {}, (False, True))[0] is None

    def test_joint_gates_too(self) -> None:
        x, y = np.ones((1, 2)), np.ones((2, 2))
        gate = cr.GATES["concatenate"]
        parts = pull(gate, np.arange(6.0).reshape(3, 2), gate.value(x, y), (x, y), {"axis": 0}, (True, False))
        assert parts[0].tolist() == [[0.0, 1.0]]
        assert parts[1] is None

    def test_a_derivative_of_a_wrong_shape_is_named(self) -> None:
        wrong = cr.Gate("wrong_for_a_test", lambda x: x * 1.0, (lambda dz, z, x: dz.T,))
        try:
            for shape in ((2, 3), (3, 2, 1)):
                with pytest.raises(ValueError, match=r"a derivative of wrong_for_a_test has shape .*not broadcast"):
                    wrong(leaf(np.ones(shape))).sum().backward()
        finally:
            del cr.GATES["wrong_for_a_test"]


class TestHistory:
    def test_is_a_topological_order_of_what_needs_a_gradient(self) -> None:
        x, c = leaf(1.0), Tensor(2.0)
        a = x * c
        b = a.exp()
        d = a + b
        assert [id(t) for t in history(d)] == [id(t) for t in (x, a, b, d)]
        assert history(c * 2) == []

    def test_of_several_results(self) -> None:
        x = leaf(1.0)
        a, b = x * 2, x * 3
        assert [id(t) for t in history(b, a)] == [id(t) for t in (x, a, b)]
