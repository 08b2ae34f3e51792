"""The switches: nested, decorating, in generators, after errors, in threads, and who looks on."""
from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Tensor, enable_grad, no_grad, observe
from chainrule.mode import Both, Observer, mode, setting, settings, tick


def records() -> bool:
    """Whether gates remember, asked of a gate and not of the switch."""
    return bool((Tensor(1.0, requires_grad=True) * 2).requires_grad)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    assert (mode.record, mode.observer, mode.symbolic, mode.inside) == (True, None, False, False)
    assert settings == []


class TestNoGrad:
    def test_nested_in_any_order(self) -> None:
        assert records()
        with no_grad():
            assert not records()
            with enable_grad():
                assert records()
                with no_grad(), no_grad():
                    assert not records()
                assert records()
            assert not records()
        assert records()

    def test_an_error_puts_it_back(self) -> None:
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error), no_grad(), enable_grad(), no_grad():
                raise error
            assert records()

    def test_one_object_may_be_used_again_and_inside_itself(self) -> None:
        switch = no_grad()
        for _ in range(2):
            with switch:
                with switch:
                    assert not records()
                assert not records()
            assert records()

    def test_as_a_decorator(self) -> None:
        @no_grad()
        def predict(x: int, *, scale: int = 2) -> tuple[bool, int]:
            """Predict."""
            return records(), x * scale

        assert predict(3, scale=5) == (False, 15)
        assert (predict.__name__, predict.__doc__) == ("predict", "Predict.")
        assert records()

    def test_a_decorated_recursion(self) -> None:
        @no_grad()
        def down(n: int) -> bool:
            return records() if n == 0 else down(n - 1)

        assert not down(10)
        assert records()

    def test_a_decorated_method_that_fails(self) -> None:
        class Model:
            @no_grad()
            def run(self) -> None:
                raise ValueError

        for _ in range(2):
            with pytest.raises(ValueError, match=r"^$"):
                Model().run()
            assert records()

    def test_a_generator_cannot_be_decorated(self) -> None:
        """It runs outside the block: silently recording would be worse than an error."""
        def rows() -> Iterator[int]:
            yield 1

        async def later() -> None:
            await asyncio.sleep(0)

        decorator: Callable[[Any], Any] = no_grad()
        for function in (rows, later):
            with pytest.raises(TypeError, match=r"no_grad cannot decorate \w+.*write `with no_grad\(\):` inside"):
                decorator(function)

    def test_inside_a_generator_it_ends_with_the_generator(self) -> None:
        def rows() -> Iterator[bool]:
            for _ in range(3):
                with no_grad():
                    quiet = records()
                yield quiet

        assert [(quiet, records()) for quiet in rows()] == [(False, True)] * 3

        def held() -> Iterator[bool]:
            with no_grad():
                yield records()
                yield records()

        assert list(held()) == [False, False]
        assert records()
        unfinished = held()
        next(unfinished)
        unfinished.close()                             # type: ignore[attr-defined]
        assert records()

    def test_results_of_no_grad_are_constants(self) -> None:
        x = Tensor([1.0], requires_grad=True)
        with no_grad():
            y = x * 2
        assert not y.requires_grad
        assert y.is_leaf
        assert y.inputs == ()

    def test_a_tensor_made_inside_may_require_a_gradient(self) -> None:
        with no_grad():
            x = Tensor([1.0], requires_grad=True)
        assert (x * 2).requires_grad


class TestThreads:
    def test_a_new_thread_starts_with_the_defaults(self) -> None:
        seen: list[bool] = []
        with no_grad(), observe(Observer()):
            thread = threading.Thread(target=lambda: seen.append(records() and mode.observer is None))
            thread.start()
            thread.join()
        assert seen == [True]

    def test_a_setting_in_a_thread_stays_there(self) -> None:
        inside, done = threading.Event(), threading.Event()

        def work() -> None:
            with no_grad():
                inside.set()
                done.wait(10)

        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(10)
        try:
            assert records()
            with no_grad():
                assert not records()
            assert records()
        finally:
            done.set()
            thread.join()


class Log(Observer):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def applied(self, gate: Any, inputs: Any, options: Any, result: Tensor) -> None:
        self.seen.append(gate.name)

    def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
        self.seen.append(f"d{result.gate.name}" if result.gate else "?")


class TestObservers:
    def test_it_sees_every_gate_on_tensors_and_every_gradient(self) -> None:
        log, x = Log(), Tensor([1.0, 2.0], requires_grad=True)
        with observe(log):
            loss = (x * x).exp().sum()
            loss.backward()
        assert log.seen == ["multiply", "exp", "sum", "dsum", "dexp", "dmultiply", "dmultiply"]
        (x * x).sum().backward()
        assert len(log.seen) == 7

    def test_it_sees_gates_under_no_grad_too(self) -> None:
        log = Log()
        with no_grad(), observe(log):
            Tensor(1.0) + 1
        assert log.seen == ["add"]

    def test_gates_on_plain_arrays_are_nobodys_business(self) -> None:
        log = Log()
        with observe(log):
            cr.exp(np.ones(2))
        assert log.seen == []

    def test_several_see_the_same(self) -> None:
        first, second, x = Log(), Log(), Tensor(1.0, requires_grad=True)
        with observe(first):
            x * 2
            with observe(second):
                x.exp().backward()
            x + 1
        assert first.seen == ["multiply", "exp", "dexp", "add"]
        assert second.seen == ["exp", "dexp"]

    def test_the_outer_one_answers_for_cells(self) -> None:
        class Cells(Observer):
            def read(self, owner: Any, name: str) -> Any:
                return name

            def given(self, owner: Any, name: str) -> bool:
                return True

            def write(self, owner: Any, name: str, value: Any) -> None:
                owner[name] = value

        both, owner = Both(Cells(), Log()), {"a": 1}
        assert both.read(owner, "lr") == "lr"
        assert both.given(owner, "lr")
        both.write(owner, "a", 2)
        assert owner == {"a": 2}

    def test_as_a_decorator(self) -> None:
        log = Log()

        @observe(log)
        def step() -> None:
            Tensor(1.0) * 2

        step()
        step()
        Tensor(1.0) * 2
        assert log.seen == ["multiply"] * 2

    def test_an_error_in_it_puts_the_mode_back(self) -> None:
        class Faulty(Observer):
            def applied(self, *_: Any) -> None:
                raise ArithmeticError("seen enough")

        with pytest.raises(ArithmeticError), observe(Faulty()):
            Tensor(1.0) * 2


def test_the_clock_only_goes_forward() -> None:
    stamps: list[int] = []

    def work() -> None:
        mine = [tick() for _ in range(1000)]
        assert mine == sorted(mine)
        stamps.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(stamps)) == 4000


def test_a_setting_may_change_several_switches() -> None:
    with setting(record=False, inside=True):
        assert (mode.record, mode.inside) == (False, True)
