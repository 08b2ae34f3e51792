"""What a gate is, apart from its mathematics: names, arguments, options, errors, documentation, extension."""
from __future__ import annotations

import copy
import doctest
import inspect
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import GATES, Gate, Tensor
from chainrule import gates as g
from chainrule.gate import NUMPY, adopt, describe, own


def leaf(value: Any) -> Any:
    return Tensor(value, requires_grad=True)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Gates that a test defines are gone after it."""
    gates, functions, attributes = dict(GATES), dict(NUMPY), set(vars(Tensor))
    yield
    for registry, before in ((GATES, gates), (NUMPY, functions)):
        registry.clear()
        registry.update(before)
    for name in set(vars(Tensor)) - attributes:
        delattr(Tensor, name)


# ------------------------------------------------------------------ a gate of one's own
class TestDefinition:
    def test_one_definition_serves_every_use(self) -> None:
        cube = Gate("to_the_third", lambda x: x * x * x, (lambda dz, z, x: dz * (3 * x * x),), formula="z = x^3",
                    partials=("3x^2",), method=True)
        assert cube(2.0) == 8.0
        assert cube(np.array([2.0])).tolist() == [8.0]
        x = leaf([2.0])
        x.to_the_third().sum().backward(create_graph=True)
        assert x.grad.tolist() == [12.0]
        dx, x.grad = x.grad, None
        dx.sum().backward()
        assert x.grad.tolist() == [12.0]
        assert cr.GATES["to_the_third"] is cube

    def test_a_name_is_taken_once(self) -> None:
        with pytest.raises(ValueError, match=r"'add' is already defined in chainrule\.gates\.elementwise; choose"):
            Gate("add", np.add)

    def test_it_may_be_defined_again_where_it_was(self) -> None:
        """A notebook's cell runs twice."""
        for factor in (2.0, 3.0):
            scale = Gate("scale", lambda x, f=factor: x * f, (lambda dz, z, x, f=factor: dz * f,))
        assert cr.GATES["scale"] is scale

    def test_a_method_does_not_replace_what_tensors_have(self) -> None:
        for name in ("backward", "shape", "numpy"):
            with pytest.raises(ValueError, match="choose another name"):
                Gate(name, lambda x: x * 1.0, method=True)
        assert callable(Tensor.backward)

    def test_a_second_gate_on_a_ufunc_takes_nothing_from_the_first(self) -> None:
        Gate("my_exp", np.exp, (lambda dz, z, x: dz * 0,))
        x = leaf([0.0])
        np.exp(x).sum().backward()
        assert x.grad.tolist() == [1.0]

    def test_numpy_functions_can_be_given_to_it(self) -> None:
        Gate("double_angle", lambda x: np.sinh(x), (lambda dz, z, x: dz * np.cosh(x),), numpy=(np.sinh,))
        assert isinstance(np.sinh(Tensor([1.0])), Tensor)

    def test_a_constant_result(self) -> None:
        parity = Gate("parity", lambda x: x % 2)
        assert not parity(leaf([3.0])).requires_grad

    def test_several_arguments_and_none_of_a_derivative(self) -> None:
        gate = Gate("pick", lambda x, which: x * which, (lambda dz, z, x, which: dz * which, None))
        x, which = leaf([1.0, 2.0]), leaf([1.0, 0.0])
        gate(x, which).sum().backward()
        assert x.grad.tolist() == [1.0, 0.0]
        assert which.grad is None

    def test_a_joint_rule_sees_who_is_wanted(self) -> None:
        asked: list[list[bool]] = []

        def joint(dz: Any, z: Any, wanted: list[bool], *inputs: Any) -> list[Any]:
            asked.append(wanted)
            return [dz if want else None for want in wanted]

        total = Gate("total", lambda *inputs: sum(inputs), joint=joint)
        x, c = leaf([1.0]), Tensor([2.0])
        total(x, c, x, np.array([3.0])).sum().backward()
        assert asked == [[True, False, True, False]]
        assert x.grad.tolist() == [2.0]

    def test_by_products_are_kept_for_arrays_and_not_for_tensors(self) -> None:
        kept_by: list[Any] = []

        def forward(x: Any) -> tuple[Any, Any]:
            return np.maximum(x, 0), x > 0

        def derivative(dz: Any, z: Any, x: Any, kept: Any = None) -> Any:
            kept_by.append(kept)
            return dz * (g.greater(x, 0) if kept is None else kept)

        gate = Gate("positive_part", forward, (derivative,), keeps=True)
        assert gate(np.array([-1.0, 2.0])).tolist() == [0.0, 2.0]
        assert gate.value(np.array([-1.0, 2.0])).tolist() == [0.0, 2.0]
        x = leaf([-1.0, 2.0])
        gate(x).sum().backward()
        gate(x).sum().backward(create_graph=True)
        assert x.grad.tolist() == [0.0, 2.0]
        assert kept_by[0].tolist() == [False, True]
        assert kept_by[1] is None
        x.grad = None

    def test_a_tensor_cannot_be_an_option(self) -> None:
        """Its gradient would be lost: whoever gives one derivative for two arrays finds out at the first call."""
        gate = Gate("half_defined", lambda x, y: x * y, (lambda dz, z, x, y: dz * y,))
        with pytest.raises(TypeError, match="half_defined takes y as an option, not as a tensor"):
            gate(leaf([1.0]), leaf([2.0]))

    def test_as_an_attribute_of_a_class_it_is_a_method(self) -> None:
        class Angle(Tensor):
            sine = g.sin

        assert Angle(0.0).sine().item() == 0.0
        assert Angle.sine is g.sin


# ------------------------------------------------------------------ arguments
class TestArguments:
    def test_places_and_names(self) -> None:
        x = Tensor(np.arange(6.0).reshape(2, 3))
        for z in (g.sum(x, 1), g.sum(x, axis=1), g.sum(x=x, axis=1), g.sum(x, 1, False)):
            assert z.tolist() == [3.0, 12.0]
        assert g.sum(x, 1, True).shape == (2, 1)
        assert g.multiply(x=2.0, y=3.0) == 6.0

    def test_what_may_be_left_out(self) -> None:
        x = np.array([[1.0, 2.0]])
        assert g.clip(x, None, 1.5).tolist() == g.clip(x, a_max=1.5).tolist() == [[1.0, 1.5]]
        assert g.clip(x).tolist() == x.tolist()
        assert g.linear(x, x).tolist() == g.linear(x, x, None).tolist() == [[5.0]]
        w = leaf(x)
        g.linear(Tensor(x), w, b=None).sum().backward()
        assert w.grad.tolist() == x.tolist()

    @pytest.mark.parametrize(("call", "words"), [
        (lambda: g.multiply(1.0), r"multiply\(x, y\): y is missing"),
        (lambda: g.add(), r"add\(x, y\): x is missing"),
        (lambda: g.exp(1.0, 2.0), r"exp\(x\): got 2 positional arguments"),
        (lambda: g.sum(np.ones(3), 0, True, 4), r"sum\(.*got 4 positional arguments"),
        (lambda: g.sum(np.ones(3), 0, axis=0), r"sum\(.*got 2 positional arguments, axis=0"),
        (lambda: g.sum(Tensor([1.0]), axes=0), "axes"),
        (lambda: g.sum(np.ones(3), axes=0), "axes"),
        (lambda: g.add(Tensor(1.0), 2.0, dtype=np.float32), "add of a tensor takes no options; got dtype"),
        (lambda: g.sum(Tensor([1.0]), out=np.zeros(())), r"sum of a tensor takes the options axis, keepdims; got out"),
    ])
    def test_what_does_not_fit_is_named(self, call: Any, words: str) -> None:
        with pytest.raises(TypeError, match=words):
            call()

    def test_out_serves_executors_on_arrays_only(self) -> None:
        buffer = np.zeros(2)
        assert g.add(np.ones(2), 1.0, out=buffer) is buffer
        before = buffer.copy()
        for gate, inputs in ((g.add, (Tensor([1.0, 2.0]), 1.0)), (g.relu, (leaf([1.0, 2.0]),))):
            with pytest.raises(TypeError, match="got out=float64"):
                gate(*inputs, out=buffer)
            assert (buffer == before).all()


class TestErrors:
    @pytest.mark.parametrize(("call", "kind", "words"), [
        (lambda: g.add(Tensor(np.ones((2, 3))), np.ones(4)), ValueError,
         r"add\(float64 \(2, 3\), float64 \(4,\)\): .*broadcast.*; expected two shapes that broadcast"),
        (lambda: Tensor(np.ones(3)) + np.ones(4), ValueError, r"add\(float64 \(3,\), float64 \(4,\)\)"),
        (lambda: np.ones(4) - Tensor(np.ones(3)), ValueError, r"subtract\(float64 \(4,\), float64 \(3,\)\)"),
        (lambda: g.matmul(np.ones((2, 3)), np.ones((2, 3))), ValueError, r"matmul\(.*expected .*\(\.\.\., n, k\)"),
        (lambda: Tensor([1.0, 2.0])[5], IndexError, r"getitem\(float64 \(2,\), 5\): index 5 is out of bounds"),
        (lambda: Tensor([1.0])["a"], (IndexError, TypeError), "a"),
        (lambda: g.sum(Tensor([1.0]), axis=3), IndexError, r"sum\(float64 \(1,\), axis=3\): axis 3 is out of bounds"),
        (lambda: g.reshape(Tensor(np.ones(6)), shape=(4, 2)), ValueError, r"reshape\(float64 \(6,\), shape=\(4, 2\)\)"),
        (lambda: Tensor([1]) * 10**30, OverflowError, "multiply"),
        (lambda: g.einsum("ij,jk->ik", np.ones((2, 3))), ValueError, r"einsum.*names 2 operands, got 1"),
    ])
    def test_say_what_was_met_and_what_was_expected(self, call: Any, kind: Any, words: str) -> None:
        with pytest.raises(kind, match=words):
            call()

    def test_are_of_bounded_length(self) -> None:
        with pytest.raises(TypeError) as caught:
            g.add(Tensor([1.0]), 1.0, dtype=np.ones(10_000).tolist())
        assert len(str(caught.value)) < 300
        with pytest.raises(TypeError) as caught:
            g.add(Tensor([1.0]), "x" * 10_000)
        assert len(str(caught.value)) < 300

    def test_keep_their_cause(self) -> None:
        with pytest.raises(ValueError, match="add") as caught:
            Tensor(np.ones(3)) + np.ones(4)
        assert isinstance(caught.value.__cause__, ValueError)

    def test_floating_point_errors_stay_what_they_are(self) -> None:
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide"):
            Tensor([1.0]) / Tensor([0.0])


# ------------------------------------------------------------------ what is looked at, and kept
class TestOperands:
    @pytest.mark.parametrize(("x", "expected"), [
        ([1, 2], np.array([1, 2])), (((1.0,), (2.0,)), np.array([[1.0], [2.0]])), (range(3), np.arange(3)),
        (np.float32(1), np.float32(1)), (2, 2), (True, True), (None, None), (memoryview(b"ab"), np.array([97, 98]))])
    def test_adopted(self, x: Any, expected: Any) -> None:
        found = adopt(x)
        assert type(found) is type(expected)
        assert np.array_equal(np.asarray(found), np.asarray(expected))

    @pytest.mark.parametrize("x", ["text", b"bytes", object(), {1: 2}, {1, 2}, ["a"], [[1], [1, 2]]])
    def test_refused(self, x: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="expected an array, a number or a tensor, got"):
            adopt(x)

    def test_own_shares_what_nobody_can_write(self) -> None:
        a = np.arange(4.0)
        assert own(a) is not a
        a.flags.writeable = False
        assert own(a) is a
        assert own(a[1:]).base is a

    def test_described(self) -> None:
        for x, words in ((np.ones((2, 3)), "float64 (2, 3)"), (np.float32(1), "float32 ()"), (1.5, "1.5"),
                         (Tensor([1, 2]), "int64 (2,)"), (np.float32, "<class 'numpy.float32'>")):
            assert describe(x) == words

    def test_an_object_with_an_array_is_read(self) -> None:
        class Frame:
            def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
                return np.array([1.0, 2.0])

        x = leaf([3.0, 4.0])
        for z in (x * Frame(), g.multiply(x, Frame()), g.multiply(Frame(), x)):
            x.grad = None
            z.sum().backward()
            assert x.grad.tolist() == [1.0, 2.0]


# ------------------------------------------------------------------ as data
LIBRARY = [gate for gate in GATES.values() if gate.module.startswith("chainrule.gates")]


@pytest.mark.parametrize("gate", LIBRARY, ids=lambda gate: str(gate.name))
class TestEveryGate:
    def test_goes_by_one_name(self, gate: Gate) -> None:
        assert GATES[gate.name] is gate
        assert gate.__name__ == gate.name
        assert repr(gate).startswith(f"<gate {gate.name}")
        assert pickle.loads(pickle.dumps(gate)) is gate
        assert copy.deepcopy(gate) is gate

    def test_has_its_mathematics(self, gate: Gate) -> None:
        assert gate.formula
        assert gate.summary.rstrip().endswith(".")
        if gate.differentiable:
            assert gate.partials
            if gate.arity is not None and gate.joint is None:
                assert len(gate.partials) == len(gate.derivative) == gate.arity
                for partial, rule in zip(gate.partials, gate.derivative, strict=True):
                    assert bool(partial) == (rule is not None)
        else:
            assert gate.derivative == ()

    def test_is_documented_with_an_example_that_runs(self, gate: Gate) -> None:
        text = inspect.getdoc(gate)
        assert text is not None
        for part in (gate.summary.split("\n")[0], "Parameters\n", "Returns\n", "Examples\n", *gate.options):
            assert part in text
        examples = doctest.DocTestParser().get_doctest(text, {}, gate.name, None, None)
        assert len(examples.examples) >= 2
        assert doctest.DocTestRunner(verbose=False).run(examples).failed == 0

    def test_its_signature_lists_arrays_then_options(self, gate: Gate) -> None:
        names = list(inspect.signature(gate).parameters)
        assert "out" not in names
        assert "kept" not in names
        if gate.arity is not None:
            assert tuple(names) == (*gate.arguments, *gate.options)

    def test_is_reached_by_its_name(self, gate: Gate) -> None:
        if gate.is_method:
            assert callable(vars(Tensor)[gate.name])
        if gate.name in ("contraction", "index_places", "put_places", "take_places"):
            return                                     # these are nothing but parts of other gates
        found = getattr(cr, gate.name, None)
        if isinstance(found, Gate):
            assert found is gate
        else:                                          # a function puts the arguments in order, as in `concatenate`
            assert callable(found)
