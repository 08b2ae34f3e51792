"""Chapter 2: the two-layer network on MNIST, with small first weights and with large ones."""
from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.by_hand.reading import figures, run

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def chapter(data_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_DATA", str(data_dir))
        return run(2)


@pytest.mark.slow
def test_the_first_loss_is_that_of_knowing_nothing(chapter):
    names, printed = chapter
    assert names["first_loss"] == pytest.approx(math.log(10), abs=0.01)
    assert f"loss {names['first_loss']:.4f};  ln 10 = 2.3026" in printed
    assert "TwoLayerNet gives the same gradients\n" in printed


@pytest.mark.slow
def test_gradient_check(chapter):
    names, printed = chapter
    assert list(names["differences"]) == ["W1", "b1", "W2", "b2"]
    assert names["numeric"]["W1"].shape == (784, 50)
    for key, difference in names["differences"].items():
        assert names["numeric"][key].dtype == names["analytic"][key].dtype == np.float64
        assert difference == np.abs(names["numeric"][key] - names["analytic"][key]).mean() < 1e-7
        assert np.abs(names["numeric"][key]).max() > 1e-3                # there is something to compare
        assert f"\n{key}: mean absolute difference {difference:.1e}" in printed


@pytest.mark.slow
def test_a_mean_hides_a_wrong_element(chapter):
    names, printed = chapter
    assert np.sum(names["spoiled"] != names["analytic"]["W1"]) == 1
    assert names["spoiled_mean"] < 1e-7 < 1e-3 < names["spoiled_largest"]
    assert f"mean absolute difference {names['spoiled_mean']:.1e}, largest" in printed


@pytest.mark.slow
def test_small_weights_reach_96_5_percent_and_unit_normal_ones_91(chapter):
    names, printed = chapter
    small, large, mixed = (names[f"{kind}_history"] for kind in ("small", "large", "mixed"))
    assert len(small["loss"]) == len(large["loss"]) == 10_000
    assert (names["batch_size"], names["learning_rate"]) == (100, 0.1)
    assert small["test"][-1] >= 0.965
    assert 0.895 < large["test"][-1] < 0.925
    assert 0.895 < mixed["test"][-1] < 0.925
    for net, history in ((names["small"], small), (names["large"], large)):
        assert history["epoch"] == [*range(17), pytest.approx(16.667, abs=1e-3)]
        assert history["train"][-1] == net.accuracy(names["x_train"], names["t_train"])
        assert history["test"][-1] == net.accuracy(names["x_test"], names["t_test"])
        for epoch, train, test in zip(history["epoch"], history["train"], history["test"], strict=True):
            assert f"epoch {epoch:4.1f}   train {train:7.2%}   test {test:7.2%}\n" in printed


@pytest.mark.slow
def test_why(chapter):
    names, printed = chapter
    start = names["start"]
    assert start[0.01]["loss"] == pytest.approx(math.log(10), abs=0.01)
    assert start[1.0]["loss"] > 30                                       # sure, and wrong
    assert start[1.0]["score"] == pytest.approx(46, rel=0.25)            # ‖x‖·√(50/2)
    assert (start[0.01]["sure"], start[1.0]["sure"] > 0.5) == (0, True)
    assert start[1.0]["dW1"] > 100 * start[0.01]["dW1"]                  # the gradient does not vanish
    assert max(names["large_history"]["loss"][500:600]) < 2              # and the certainty is soon unlearned
    assert names["moved"]["× 1"] < 0.3 < 3 < names["moved"]["× 0.01"]
    assert np.median(names["large_history"]["step"]) < np.median(names["small_history"]["step"]) / 10
    assert names["mixed_history"]["loss"][0] < 3                         # small scores at first, and no cure
    assert f"× 1      × 0.01 {names['mixed_history']['loss'][0]:12.3f}" in printed


@pytest.mark.slow
def test_drawing_with_replacement_misses_a_third(chapter):
    names, printed = chapter
    assert names["seen"] == pytest.approx(1 - math.exp(-1), abs=0.01)
    assert f"come up in 60,000 draws: {names['seen']:.1%}\n" in printed


@pytest.mark.slow
def test_figures(chapter):
    for name in ("02-loss", "02-accuracy", "02-weights"):
        assert (figures() / f"{name}.png").stat().st_size > 10_000


def test_in_a_hurry_it_teaches_the_same(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(data_dir))
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path))
    monkeypatch.setenv("CHAINRULE_QUICK", "1")
    names, _ = run(2)
    assert max(names["differences"].values()) < 1e-7 < names["spoiled_largest"] * 1e-3
    assert names["spoiled_mean"] < 1e-7
    assert names["small_history"]["test"][-1] > 0.9
    assert names["large_history"]["test"][-1] < 0.88
    assert names["mixed_history"]["test"][-1] < 0.88
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02-accuracy.png", "02-loss.png", "02-weights.png"]
