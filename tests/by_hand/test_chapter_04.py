"""Chapter 4: a network of two matrices, and what the bend between them is for."""
from __future__ import annotations

import numpy as np
import pytest

from chainrule.by_hand.reading import figures, run


@pytest.fixture(scope="module")
def chapter():
    return run(4)


def test_the_network_is_the_one_that_is_asked_for(chapter):
    names, printed = chapter
    assert [names[name].shape for name in ("X", "Y", "W1", "W2")] == [(64, 1000), (64, 10), (1000, 100), (100, 10)]
    for name in ("X", "Y", "W1", "W2"):                  # drawn, and not changed by the training
        assert names[name].mean() == pytest.approx(0, abs=5 / names[name].size ** 0.5)
        assert names[name].std() == pytest.approx(1, abs=5 / names[name].size ** 0.5)
    assert names["loss"] == ((1 / (1 + np.exp(-names["X"] @ names["W1"])) @ names["W2"] - names["Y"]) ** 2).sum()
    assert f"loss before training: {names['loss']:,.0f}\n" in printed


def test_gradients_by_hand_are_those_of_the_framework_and_of_differences(chapter):
    names, printed = chapter
    for name, difference in names["differences"].items():
        assert difference < 1e-13
        assert f"d{name}: largest element" in printed
    for name, (i, j) in (("W1", (3, 5)), ("W2", (7, 2))):
        up, down = ({each: names[each].copy() for each in ("W1", "W2")} for _ in range(2))
        up[name][i, j] += 1e-5
        down[name][i, j] -= 1e-5
        losses = [((names["forward"](names["X"], **each)[1] - names["Y"]) ** 2).sum() for each in (up, down)]
        assert names["by_hand"][name][i, j] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4, abs=1e-3)


def test_from_tens_of_thousands_to_below_ten(chapter):
    names, printed = chapter
    losses = names["losses"]
    assert len(losses) == 2000
    assert 10_000 < losses[0] < 100_000
    assert losses[-1] < 10
    for step in (0, 100, 1000, 1999):
        assert f"step {step:4}   loss {losses[step]:12,.2f}" in printed
    assert (figures() / "04-loss.png").stat().st_size > 10_000


@pytest.mark.parametrize("seed", [1, 2])
def test_other_draws_do_as_well(chapter, seed):
    rng = np.random.default_rng(seed)
    drawn = [rng.standard_normal(shape) for shape in ((64, 1000), (64, 10), (1000, 100), (100, 10))]
    losses, *_ = chapter[0]["train"](*drawn)
    assert 10_000 < losses[0] < 100_000
    assert losses[-1] < 10


def test_it_has_learned_nothing(chapter):
    names, printed = chapter
    assert names["loss_on_new"] > 10 * names["loss_of_zeros"]
    assert f"loss on new samples                   {names['loss_on_new']:10,.1f}" in printed
    assert 0.05 < names["alive"] < 0.2
    assert names["average_slope"] < 0.02
    assert names["moved"]["W1"] < 0.03 < 0.3 < names["moved"]["W2"]
    assert 10 < names["loss_of_W2_alone"] < 100


def test_relu_instead_of_the_sigmoid(chapter):
    names, printed = chapter
    assert names["relu_difference"] < 1e-12
    assert names["f"] == pytest.approx(names["A2"] @ (names["S"] * (names["S"] > 0)), rel=1e-14)
    assert f"open gates: {(names['S'] > 0).sum()} of 140" in printed


def test_without_the_bend_two_matrices_are_one(chapter):
    names, printed = chapter
    assert names["collapsed"].shape == (3, 5)
    assert names["collapse_difference"] < 1e-12
    assert names["oddness"] > 1
    assert "(3, 7) and (7, 5), or one (3, 5)" in printed


def test_xor(chapter):
    names, printed = chapter
    assert names["X4"].T.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert names["Y4"].tolist() == names["written"].tolist() == [[-1, 1, 1, -1]]
    assert names["errors"]["linear"][-1] == pytest.approx(1, abs=1e-9)
    assert names["networks"]["linear"](names["X4"]) == pytest.approx(np.zeros((1, 4)), abs=1e-6)
    assert names["errors"]["with the bend"][-1] < 1e-6
    assert names["networks"]["with the bend"](names["X4"]) == pytest.approx(names["Y4"], abs=1e-3)
    assert 0.4 < names["accuracy"]["linear"] < 0.6
    assert names["accuracy"]["with the bend"] > 0.99
    assert "linear         mean squared error 1.000000, outputs [0. 0. 0. 0.]" in printed
    assert "with the bend  mean squared error 0.000000, outputs [-1.  1.  1. -1.]" in printed
    assert (figures() / "04-xor.png").stat().st_size > 10_000


@pytest.mark.parametrize("seed", range(1, 6))
def test_xor_from_other_weights(chapter, seed):
    names, _ = chapter
    assert names["learn"](names["X4"], names["Y4"], bend=False, seed=seed)[0][-1] == pytest.approx(1, abs=1e-9)
    assert names["learn"](names["X4"], names["Y4"], bend=True, seed=seed)[0][-1] < 1e-6
