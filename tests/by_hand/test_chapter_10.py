"""Chapter 10: MNIST by hand, in columns, and in ten lines."""
from __future__ import annotations

import math
import re

import numpy as np
import pytest

from chainrule.by_hand.reading import chapters, figures, run

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def chapter(data_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_DATA", str(data_dir))
        return run(10)


@pytest.mark.slow
def test_both_recognise_nearly_all_digits(chapter):
    names, printed = chapter
    shares = names["by_hand_accuracy"], names["result"]["accuracy"]
    assert names["epochs"] == 5
    assert min(shares) > 0.965
    assert abs(shares[0] - shares[1]) < 0.008
    for name, share in zip(("by hand", "framework"), shares, strict=True):
        assert re.search(rf"^{name} +[\d.]+ +[\d.]+ +0\.\d{{4}} +{share:.2%}$", printed, re.MULTILINE)
    guesses = names["model"](names["test_rows"]).numpy().argmax(axis=1)
    assert shares[1] == pytest.approx(np.mean(guesses == names["test_labels"]), abs=1e-12)


@pytest.mark.slow
def test_times_stand_side_by_side(chapter):
    names, printed = chapter
    steps = names["steps"]
    assert steps == 5 * 600
    for name in ("by_hand", "framework"):
        seconds = names[f"{name}_seconds"]
        assert seconds > 0
        row = rf"^{name.replace('_', ' ')} +{seconds:.1f} +{1000 * seconds / steps:.2f} "
        assert re.search(row, printed, re.MULTILINE)


@pytest.mark.slow
def test_the_same_gradients_from_the_same_weights(chapter):
    names, printed = chapter
    assert list(names["differences"]) == ["dW1", "db1", "dW2", "db2", "dW3", "db3"]
    assert max(names["differences"].values()) < 1e-5                     # in float32
    assert "largest relative differences: dW1" in printed
    assert names["first_loss"] == pytest.approx(math.log(10), abs=0.5)


@pytest.mark.slow
def test_the_gradients_by_hand_are_those_of_differences(chapter):
    names, _ = chapter
    x, y = names["X"][:, :20].astype(float), names["Y"][:, :20].astype(float)
    parameters = {name: array.astype(float) for name, array in names["first_weights"].items()}

    def loss():
        Z, _ = names["forward"](x, parameters)
        return -np.mean(np.log(names["softmax"](Z)[y.argmax(axis=0), np.arange(20)]))

    gradients = names["backward"](*names["forward"](x, parameters)[:1], y, names["forward"](x, parameters)[1])
    for name, index in (("W1", (5, 400)), ("b1", (7, 0)), ("W2", (3, 9)), ("W3", (1, 30)), ("b3", (4, 0))):
        before = parameters[name][index]
        losses = []
        for value in (before + 1e-6, before - 1e-6):
            parameters[name][index] = value
            losses.append(loss())
        parameters[name][index] = before
        assert gradients[f"d{name}"][index] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.slow
def test_float32_throughout(chapter):
    names, printed = chapter
    assert {array.dtype for array in (*names["first_weights"].values(), *names["trained"].values(), names["Y"])} == {
        np.dtype(np.float32)}
    assert "weights are float32\n" in printed
    assert "the first gradient would be float64\n" in printed


@pytest.mark.slow
def test_a_compiled_step_gives_the_same(chapter):
    names, printed = chapter
    assert names["last_losses"]["compiled"] == pytest.approx(names["last_losses"]["as it stands"], rel=1e-5)
    for name, loss in names["last_losses"].items():
        assert f"{name:12}  loss of step 100: {loss:.4f}, " in printed


@pytest.mark.slow
def test_columns_in_formulas_and_in_memory(chapter):
    names, printed = chapter
    assert names["X"].base is not None
    assert names["X"].strides[0] == 4                                    # an image lies in one piece
    assert names["scattered"].strides[1] == 4
    assert "the same numbers\n" in printed


@pytest.mark.slow
def test_the_mistakes(chapter):
    names, printed = chapter
    assert len(names["wrong"]) == round((1 - names["result"]["accuracy"]) * 10_000)
    assert f"{len(names['wrong'])} mistakes in 10,000; the most frequent: {names['truth']} taken for" in printed
    assert names["confused"].sum() == len(names["wrong"])
    for name in ("10-loss", "10-mistakes"):
        assert (figures() / f"{name}.png").stat().st_size > 10_000


def test_ten_lines_are_ten_lines():
    cell, = (cell.text for cell in chapters()[10].cells if cell.kind == "code" and "import Trainer" in cell.text)
    assert len(list(filter(None, cell.splitlines()))) <= 10


def test_in_a_hurry(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(data_dir))
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path))
    monkeypatch.setenv("CHAINRULE_QUICK", "1")
    names, _ = run(10)
    assert names["epochs"] == 1
    assert min(names["by_hand_accuracy"], names["result"]["accuracy"]) > 0.92
    assert max(names["differences"].values()) < 1e-5
    assert names["last_losses"]["compiled"] == pytest.approx(names["last_losses"]["as it stands"], rel=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10-loss.png", "10-mistakes.png"]
