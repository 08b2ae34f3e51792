"""Where a NaN began: the gate, the line, the inputs."""
from __future__ import annotations

import gc

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.anomaly import AnomalyError, detect_anomaly
from chainrule.mode import mode


def message(caught):
    return str(caught.value)


class TestForward:
    def test_the_gate_the_line_the_range_and_the_count(self):
        p = cr.Tensor([[0.5, 0.0], [0.0, 2.0]], requires_grad=True, name="p")

        def f():
            q = p * 1.0
            logs = np.log(q)                                  # the culprit
            return (logs * 2).sum()

        with pytest.raises(AnomalyError) as caught, detect_anomaly():
            f()
        text = message(caught)
        assert text.startswith("log gave 2 of 4 elements that are not finite: -inf at (0, 1)\n")
        assert "test_anomaly.py:" in text
        assert "logs = np.log(q)                                  # the culprit" in text
        assert "x: float64 (2, 2) from 0 to 2" in text

    def test_it_is_a_floating_point_error(self):
        with pytest.raises(FloatingPointError), cr.detect_anomaly():
            cr.Tensor(1.0) / 0.0

    def test_an_input_that_was_not_finite_already(self):
        x = cr.Tensor([1.0, np.nan, np.inf], name="features")
        with pytest.raises(AnomalyError) as caught, detect_anomaly():
            x * 2.0
        text = message(caught)
        assert text.startswith("multiply was given x (features) that is not finite")
        assert "from 1 to 1, 2 of 3 not finite" in text

    def test_which_of_two_inputs(self):
        with pytest.raises(AnomalyError, match=r"add was given y that is not finite") as caught, detect_anomaly():
            cr.Tensor([1.0, 2.0]) + np.array([np.inf, 0.0])
        assert "x: float64 (2,) from 1 to 2\n" in message(caught)

    def test_overflow(self):
        with pytest.raises(AnomalyError, match=r"exp gave 1 of 2 .*inf at \(1,\)") as caught, detect_anomaly():
            np.exp(cr.Tensor(np.array([1.0, 100.0], np.float32)))
        assert "x: float32 (2,) from 1 to 100" in message(caught)

    def test_the_layer_is_named_too(self):
        class Bad(nn.Layer):
            def forward(self, x):
                return cr.log(x - x)

        with pytest.raises(AnomalyError) as caught, detect_anomaly():
            nn.Sequential(nn.Linear(2, 2), Bad())(np.ones((3, 2)))
        assert "return cr.log(x - x)" in message(caught)
        assert any("model.1 Bad" in note for note in caught.value.__notes__)

    def test_layers_by_hand_are_seen(self):
        class Bad(nn.Layer):
            def forward(self, x):
                return 1.0 / x

        with pytest.raises(AnomalyError, match="divide gave 1 of 2"), detect_anomaly():
            Bad().forward(np.array([1.0, 0.0]))

    def test_whole_numbers_and_comparisons_pass(self):
        with detect_anomaly():
            x = cr.Tensor([1, 2]) + 1
            assert bool((x > 1).all())
            assert (cr.Tensor(np.zeros((0, 2))) * 2).shape == (0, 2)

    def test_where_still_hides_nothing(self):
        x = cr.Tensor([0.0, 1.0], requires_grad=True)
        with pytest.raises(AnomalyError, match="log gave"), detect_anomaly():
            cr.where(x > 0, cr.log(x), 0.0)


class TestBackward:
    def test_the_derivative_of_which_gate_applied_where(self):
        x = cr.Tensor([4.0, 0.0], requires_grad=True, name="x0")

        def f():
            root = np.sqrt(x)                                 # fine forward
            return (root * 3.0).sum()

        with pytest.raises(AnomalyError) as caught, detect_anomaly():
            f().backward()
        text = message(caught)
        assert text.startswith("backward: the derivative of sqrt by x (x0) gave 1 of 2 elements that are not finite")
        assert "inf at (1,)" in text
        assert "root = np.sqrt(x)                                 # fine forward" in text
        assert "x (x0): float64 (2,) from 0 to 4" in text
        assert "gradient that came in: float64 (2,) from 3 to 3" in text

    def test_a_where_that_hides_the_forward_only(self):
        x = cr.Tensor([0.0, 4.0], requires_grad=True)
        found = r"derivative of sqrt by x gave 1 of 2 .*nan at \(0,\)"
        with pytest.raises(AnomalyError, match=found), detect_anomaly():
            cr.where(x > 0, cr.sqrt(x), 0.0).sum().backward()
        x.grad = None
        with detect_anomaly():                                # the documented safe way
            cr.where(x > 0, cr.sqrt(cr.where(x > 0, x, 1.0)), 0.0).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.25])

    def test_a_seed_that_is_not_finite(self):
        x = cr.Tensor([1.0, 2.0], requires_grad=True)
        with pytest.raises(AnomalyError, match=r"gradient that came in to multiply is not finite already.*nan at \(0,\)"
                           ), detect_anomaly():
            (x * 2).backward(np.array([np.nan, 1.0]))

    def test_a_graph_from_before(self):
        x = cr.Tensor([0.0], requires_grad=True)
        z = cr.sqrt(x)
        with pytest.raises(AnomalyError, match="applied before detect_anomaly"), detect_anomaly():
            z.backward()

    def test_derivatives_that_are_recorded(self):
        x = cr.Tensor([0.0], requires_grad=True)

        def f():
            return cr.sqrt(x)                                 # its slope is infinite here

        with pytest.raises(AnomalyError) as caught, detect_anomaly():
            f().backward(create_graph=True)
        text = message(caught)
        assert "divide gave" in text
        assert "in the derivative of sqrt" in text
        assert "its slope is infinite here" in text

    def test_transforms(self):
        with pytest.raises(AnomalyError, match="derivative of sqrt"), detect_anomaly():
            cr.grad(cr.sqrt)(0.0)


class TestMemory:
    def test_a_parameter_written_past_its_tensor(self):
        model = nn.Linear(2, 1)
        model.weight.name = "W"

        def f():
            loss = model(np.ones((3, 2))).sum()               # W goes in
            model.weight.array[0, 0] += 1.0
            loss.backward()

        found = r"W of shape \(1, 2\) was written past its tensor"
        with pytest.raises(RuntimeError, match=found) as caught, detect_anomaly():
            f()
        assert "W goes in" in message(caught)

    def test_honest_steps_pass(self):
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        with detect_anomaly():
            for _ in range(3):
                model.zero_grad()
                (model(np.ones((4, 2))) ** 2).mean().backward()
                with cr.no_grad():
                    for p in model.parameters():
                        p -= 0.1 * p.grad


class TestContext:
    def test_everything_is_put_back(self):
        before = np.geterr()

        def f():
            assert np.geterr()["divide"] == "ignore"
            raise KeyError("mine")

        with pytest.raises(KeyError), detect_anomaly():
            f()
        assert mode.observer is None
        assert np.geterr() == before
        with np.errstate(all="ignore"):
            assert np.isneginf(cr.log(cr.Tensor(0.0)).item())         # outside nothing is looked at

    def test_as_a_decorator_again_and_again_and_nested(self):
        @detect_anomaly()
        def f(x, depth):
            return f(x, depth - 1) if depth else cr.log(x)

        assert f(cr.Tensor(1.0), 2).item() == 0.0
        with pytest.raises(AnomalyError):
            f(cr.Tensor(0.0), 2)
        assert mode.observer is None

    def test_beside_another_observer(self):
        class Count(cr.mode.Observer):
            seen = 0

            def applied(self, gate, inputs, options, result):
                Count.seen += 1

        with cr.observe(Count()), detect_anomaly():
            cr.Tensor(1.0) + 1.0
            with pytest.raises(AnomalyError):
                cr.log(cr.Tensor(0.0))
        assert Count.seen == 2

    def test_notes_go_with_the_results(self):
        context = detect_anomaly()
        watch = context.values["observer"]
        x = cr.Tensor(np.ones(3), requires_grad=True)
        gc.disable()
        try:
            with context:
                for _ in range(50):
                    (x * 2.0).sum()
        finally:
            gc.enable()
        assert not watch.places
        assert not watch.sums
