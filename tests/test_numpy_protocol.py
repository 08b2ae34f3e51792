"""NumPy's functions on tensors: a tensor comes out, with its gradient, or an error that names the function."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import Tensor, no_grad
from chainrule.gate import NUMPY

X = np.array([[0.5, 1.5, 2.0], [3.0, 0.25, 1.0]])
Y = np.array([[1.0, 2.0, 0.5], [0.75, 3.0, 1.25]])


def leaf(value: Any) -> Any:
    return Tensor(value, requires_grad=True)


def same(z: Any, expected: Any) -> None:
    assert isinstance(z, Tensor), type(z)
    expected = np.asarray(expected)
    assert z.array.dtype == expected.dtype
    assert z.shape == expected.shape
    np.testing.assert_allclose(z.array, expected, rtol=1e-14)


UFUNCS: list[Any] = [function for function in NUMPY if isinstance(function, np.ufunc)]
#: As NumPy users write them: places, names and defaults of NumPy's own signatures.
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda x, y: np.sum(x, axis=0, keepdims=True),
    "sum, by place": lambda x, y: np.sum(x, 1),
    "mean": lambda x, y: np.mean(x, axis=-1),
    "max": lambda x, y: np.max(x, axis=1),
    "amax": lambda x, y: np.amax(x),
    "amin": lambda x, y: np.amin(x, axis=1),
    "min": lambda x, y: np.min(x, axis=0),
    "prod": lambda x, y: np.prod(x, axis=1, keepdims=True),
    "var": lambda x, y: np.var(x, axis=0, ddof=1),
    "std": lambda x, y: np.std(x),
    "cumsum": lambda x, y: np.cumsum(x, axis=1),
    "clip": lambda x, y: np.clip(x, 0.5, 1.5),
    "clip, one bound": lambda x, y: np.clip(x, None, 1.5),
    "clip, by name": lambda x, y: np.clip(x, a_min=0.5, a_max=y),
    "where": lambda x, y: np.where(x > 1, x, y),
    "where, raw condition": lambda x, y: np.where(X > 1, x, 0.0),
    "maximum": lambda x, y: np.maximum(x, y),
    "reshape": lambda x, y: np.reshape(x, (3, 2)),
    "reshape, by name": lambda x, y: np.reshape(x, shape=-1),
    "ravel": lambda x, y: np.ravel(x),
    "transpose": lambda x, y: np.transpose(x),
    "transpose, axes": lambda x, y: np.transpose(x, axes=(1, 0)),
    "swapaxes": lambda x, y: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x, y: np.moveaxis(x, 0, -1),
    "expand_dims": lambda x, y: np.expand_dims(x, 1),
    "squeeze": lambda x, y: np.squeeze(np.expand_dims(x, 0), axis=0),
    "broadcast_to": lambda x, y: np.broadcast_to(x, (2, 2, 3)),
    "flip": lambda x, y: np.flip(x, axis=1),
    "roll": lambda x, y: np.roll(x, 1, axis=1),
    "concatenate": lambda x, y: np.concatenate([x, y], axis=1),
    "concatenate, arrays first": lambda x, y: np.concatenate((Y, x, [[1.0, 2.0, 3.0]])),
    "concatenate, flattened": lambda x, y: np.concatenate([x, y], axis=None),
    "stack": lambda x, y: np.stack([x, y], axis=-1),
    "split": lambda x, y: np.split(x, 3, axis=1)[1],
    "pad": lambda x, y: np.pad(x, ((1, 0), (0, 2))),
    "pad, reflect": lambda x, y: np.pad(x, 1, mode="reflect"),
    "take_along_axis": lambda x, y: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
    "sort": lambda x, y: np.sort(x, axis=0),
    "dot": lambda x, y: np.dot(x, y.T),
    "matmul": lambda x, y: np.matmul(x, y.T),
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "linalg.norm": lambda x, y: np.linalg.norm(x, axis=1),
    "abs": lambda x, y: np.abs(x - 1.2),
    "round": lambda x, y: np.round(x, 1),
    "argsort": lambda x, y: np.argsort(x, axis=1),
    "around": lambda x, y: np.around(x),
    "argmin": lambda x, y: np.argmin(x),
    "argmax": lambda x, y: np.argmax(x, axis=1, keepdims=True),
    "any": lambda x, y: np.any(x > 2, axis=0),
    "all": lambda x, y: np.all(x > 0),
}


class TestFunctions:
    @pytest.mark.parametrize("name", CALLS)
    def test_give_numpys_value_as_a_tensor(self, name: str) -> None:
        same(CALLS[name](Tensor(X), Tensor(Y)), CALLS[name](X, Y))
        same(CALLS[name](Tensor(X), Y), CALLS[name](X, Y))

    @pytest.mark.parametrize("name", [name for name in CALLS if name not in (
        "round", "around", "argsort", "argmax", "argmin", "any", "all")])
    def test_and_remember(self, name: str) -> None:
        x = leaf(X)
        z = CALLS[name](x, Y)
        assert z.requires_grad
        z.sum().backward()
        assert x.grad.shape == X.shape
        assert float(np.abs(x.grad.numpy()).sum()) > 0

    def test_every_function_that_is_registered_is_tried(self) -> None:
        """Also those that come later: whoever registers a NumPy function adds a call to CALLS."""
        tried: set[Any] = set()

        class Spy:
            shape, ndim, T, size = X.shape, 2, X.T, X.size

            def __array_function__(self, function: Any, *_: Any) -> Any:
                tried.add(function)
                return self

            def __array_ufunc__(self, function: Any, *_: Any, **__: Any) -> Any:
                tried.add(function)
                return self

            def __getitem__(self, _: Any) -> Spy:
                return self

            def __gt__(self, _: Any) -> Spy:
                return self

            def __sub__(self, _: Any) -> Spy:
                return self

        for call in CALLS.values():
            call(Spy(), Spy())
        missing = {function for function in NUMPY if not isinstance(function, np.ufunc)} - tried
        assert not missing, sorted(function.__name__ for function in missing)


def operands(ufunc: Any) -> tuple[Any, ...]:
    if "bitwise" in ufunc.__name__ or ufunc.__name__ == "invert":
        return (np.array([5, 3]), np.array([6, 1]))[:ufunc.nin]
    if ufunc is np.matmul:
        return X, Y.T.copy()
    return (X / 4, Y)[:ufunc.nin]


class TestUfuncs:
    @pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: str(ufunc.__name__))
    def test_a_tensor_on_either_side(self, ufunc: Any) -> None:
        given = operands(ufunc)
        expected = ufunc(*given)
        same(ufunc(*map(Tensor, given)), expected)
        if len(given) == 2:
            same(ufunc(Tensor(given[0]), given[1]), expected)
            same(ufunc(given[0], Tensor(given[1])), expected)
            if ufunc is not np.matmul:
                same(ufunc(given[0][0].tolist(), Tensor(given[1])), ufunc(given[0][0], given[1]))
                scalar = given[0].ravel()[0]
                same(ufunc(scalar, Tensor(given[1])), ufunc(scalar, given[1]))

    @pytest.mark.parametrize("scalar", [np.float64(2), np.float32(2), np.int64(2), np.array(2.0), np.array([2.0])])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_numpy_scalars_on_the_left(self, scalar: Any, dtype: Any) -> None:
        a = np.array([1.0, 4.0], dtype)
        x = leaf(a)
        pairs: list[tuple[Any, Any]] = [
            (scalar + x, scalar + a), (scalar - x, scalar - a), (scalar * x, scalar * a), (scalar / x, scalar / a),
            (scalar**x, scalar**a), (scalar < x, scalar < a), (scalar >= x, scalar >= a), (scalar == x, scalar == a),
            (scalar != x, scalar != a)]
        for z, expected in pairs:
            same(z, expected)
        (scalar * x).sum().backward()
        assert x.grad.dtype == dtype
        assert x.grad.tolist() == [2.0, 2.0]

    def test_arrays_on_the_left(self) -> None:
        x = leaf(Y.T)
        same(X @ x, X @ Y.T)
        (X @ x).sum().backward()
        np.testing.assert_allclose(x.grad.array, np.repeat(X.sum(axis=0)[:, None], 2, axis=1))
        left = X.T
        same(left == x, left == Y.T)
        same(left > x, left > Y.T)


class TestInPlaceOnArrays:
    @pytest.mark.parametrize("guard", [True, False])
    def test_an_array_cannot_take_a_tensor_in(self, guard: bool) -> None:
        a = np.ones(2)
        t: Any = Tensor([1.0, 2.0], requires_grad=not guard)
        calls: list[Callable[[], Any]] = [
            lambda: a.__iadd__(t), lambda: a.__imul__(t), lambda: np.add(a, 1, out=t), lambda: np.add(t, 1, out=a),
            lambda: np.sum(t, out=np.zeros(()))]
        for call in calls:
            with pytest.raises(TypeError, match=r"out=.*assign the result to a name"):
                call()
        assert a.tolist() == [1.0, 1.0]
        assert t.tolist() == [1.0, 2.0]

    def test_writing_elements_of_what_needs_a_gradient_into_an_array_is_refused(self) -> None:
        a = np.zeros(2)
        with pytest.raises((TypeError, ValueError)):
            a[0] = leaf(1.0)
        with pytest.raises(TypeError, match="lose the gradient"):
            a[:] = leaf([1.0, 2.0])
        a[:] = Tensor([1.0, 2.0])
        assert a.tolist() == [1.0, 2.0]


class TestConversion:
    @pytest.mark.parametrize("convert", [
        np.asarray, np.array, np.asanyarray, np.ascontiguousarray, lambda t: np.array([t, t]),
        lambda t: np.asarray([[t], [t]]), lambda t: np.array((t, 1.0)), lambda t: np.asarray(t, np.float32),
        lambda t: np.array(t, dtype=object), lambda t: np.array(t, copy=True), lambda t: np.asarray([t], object)],
        ids=["asarray", "array", "asanyarray", "ascontiguousarray", "list", "nested", "tuple", "dtype", "object",
             "copy", "object list"])
    def test_of_what_needs_a_gradient_is_refused(self, convert: Callable[[Any], Any]) -> None:
        for t in (leaf(1.0), leaf(1.0) * 2):
            with pytest.raises(TypeError, match=r"lose the gradient.*\.detach\(\)"):
                convert(t)

    def test_of_a_constant_is_a_read_only_view(self) -> None:
        t = Tensor(X)
        a = np.asarray(t)
        assert np.shares_memory(a, t.array)
        assert not a.flags.writeable
        with no_grad():
            t += 1
        np.testing.assert_array_equal(a, X)

    def test_a_copy_is_the_callers(self) -> None:
        t = Tensor(X)
        for a in (np.array(t), np.asarray(t, np.float32), np.array([t, t])):
            assert a.flags.writeable
            assert not np.shares_memory(a, t.array)
            assert a.dtype != object

    def test_lists_of_constants_are_numbers(self) -> None:
        assert np.array([Tensor(1.0), Tensor(2.0)]).dtype == np.float64
        assert np.array([Tensor([1.0]), Tensor([2.0])]).shape == (2, 1)


class TestWithoutAGate:
    @pytest.mark.parametrize(("name", "call"), [
        ("np.floor_divide", lambda t: np.floor_divide(t, 2)), ("np.floor_divide", lambda t: np.ones(3) // t),
        ("np.arcsinh", np.arcsinh), ("np.modf", np.modf), ("np.fmod", lambda t: np.fmod(t, 2)),
        ("np.add.reduce", lambda t: np.add.reduce(t)), ("np.multiply.outer", lambda t: np.multiply.outer(t, t)),
        ("np.add.accumulate", lambda t: np.add.accumulate(t)), ("np.add.at", lambda t: np.add.at(np.ones(3), [0], t)),
        ("np.median", lambda t: np.median(t)), ("np.linalg", lambda t: np.linalg.inv(t)), ("np.fft", np.fft.fft),
        ("np.kron", lambda t: np.kron(t, t)), ("np.zeros_like", np.zeros_like), ("np.unique", np.unique),
        ("np.save", lambda t: np.save("/nowhere", t)), ("np.copyto", lambda t: np.copyto(np.ones((2, 3)), t)),
    ])
    @pytest.mark.parametrize("requires_grad", [True, False])
    def test_the_function_is_named(self, name: str, call: Callable[[Any], Any], requires_grad: bool) -> None:
        with pytest.raises(TypeError, match=r"has no gate.*\.detach\(\)") as caught:
            call(Tensor(X, requires_grad=requires_grad))
        assert name.split(".")[1] in str(caught.value) or name in ("np.linalg", "np.fft")

    def test_an_option_that_a_gate_does_not_have_is_named(self) -> None:
        calls: dict[str, Callable[[Any], Any]] = {
            "dtype": lambda t: np.sum(t, dtype=np.float32), "where": lambda t: np.sum(t, where=X > 1),
            "initial": lambda t: np.max(t, initial=0.0), "casting": lambda t: np.add(t, 1, casting="same_kind"),
            "order": lambda t: np.reshape(t, (3, 2), order="F")}
        for option, call in calls.items():
            with pytest.raises(TypeError, match=option):
                call(leaf(X))

    def test_functions_that_only_look_are_free(self) -> None:
        t = leaf(X)
        assert np.shape(t) == (2, 3)
        assert np.ndim(t) == 2
        assert np.size(t) == 6
        assert np.allclose(t, X)
        assert np.array_equal(t, X)
        assert np.isclose(t, X).all()
        assert np.result_type(t, np.float32) == np.float64
        assert not np.iscomplexobj(t)

    def test_detach_and_numpy_are_the_way_out(self) -> None:
        t = leaf(X)
        assert np.median(t.numpy()) == np.median(X)
        assert np.median(np.asarray(t.detach())) == np.median(X)


def test_numpys_own_testing_works_on_constants() -> None:
    np.testing.assert_allclose(Tensor(X), X)
    np.testing.assert_array_equal(Tensor(X), X)
    np.testing.assert_array_equal(leaf(X).numpy(), X)
