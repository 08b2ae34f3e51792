"""Chapter 8: a network of any depth; why the printed one does not learn, and a check that fails at a kink."""
from __future__ import annotations

import numpy as np
import pytest

from chainrule.by_hand.l_layer import L_model_forward, compute_cost
from chainrule.by_hand.reading import chapters, figures, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chapter():
    return run(8)


def test_the_five_equations_are_what_the_gates_say(chapter):
    names, printed = chapter
    assert set(names["ours"]) == set(names["theirs"]) == {f"d{kind}{layer}" for layer in (1, 2, 3) for kind in "Wb"} | {
        "dA0", "dA1", "dA2"}
    assert names["equations_apart"] < 1e-14
    assert min(np.abs(gradient).max() for gradient in names["ours"].values()) > 1e-4
    assert "9 gradients, by the five equations and by the gates: largest difference" in printed


def test_both_routes_to_dz_and_where_one_breaks(chapter):
    names, printed = chapter
    assert names["routes_apart"] < 1e-14
    assert np.isinf(names["naive_cost"])
    assert np.isnan(names["naive_dZ"])
    assert names["finite_cost"] == 40.0
    assert names["finite_dW"] == 1.0
    assert "the long way has cost inf and dZ nan" in printed
    assert "from logits the cost is 40.0 and dW 1.0" in printed


def test_the_printed_network_does_not_learn(chapter):
    names, printed = chapter
    first, last = names["printed_costs"][0], names["printed_costs"][-1]
    assert f"{first:.5f}" == f"{last:.5f}" == "0.69315"
    assert 1e-8 < abs(first - last) < 1e-6                             # it moves in the seventh digit
    assert {f"{output:.6f}" for output in names["printed_outputs"].ravel()} == {"0.500000"}
    assert np.abs(names["printed_outputs"] - 0.5).max() < 5e-7
    assert all(np.array_equal(names["printed"][name], names["same"][name]) for name in names["printed"])
    assert "give the same parameters: True" in printed
    assert "cost 0.69315 → 0.69315, with more digits 0.6931472" in printed
    assert "the outputs lie between 0.500000 and 0.500000" in printed


def test_the_accuracy_that_it_prints_all_the_same(chapter):
    names, printed = chapter
    share = float((names["predictions"] == names["Y"]).mean())
    assert 0.75 < share < 0.9
    assert f"Accuracy: {share}\n" in printed
    assert names["nudged_accuracy"] == 0.5
    assert "with the last bias moved by 0.000002: 0.50\n" in printed
    assert max(names["untrained"]) - min(names["untrained"]) > 0.4


def test_the_cause(chapter):
    names, _ = chapter
    small, he = names["small_layers"], names["he_layers"]
    assert small[0][0] > 50 * small[1][0] > 50 * 50 * small[2][0]      # the signal, layer by layer
    assert he[0][0] < 20 * he[2][0]
    assert all(after[2] > 1e3 * before[2] for before, after in zip(small, he, strict=True))


def test_initialisation_is_what_ends_the_standstill(chapter):
    names, _ = chapter
    ends = {name: costs[-1] for name, costs in names["changed"].items()}
    for name in ("as printed", "rate 0.1", "[2, 16, 8, 1]"):
        assert abs(ends[name] - np.log(2)) < 1e-4, name
    assert ends["He"] < 0.3


def test_the_mended_network_with_five_seeds(chapter):
    names, printed = chapter
    assert list(names["mended_accuracy"]) == [1, 2, 3, 4, 5]
    for seed, parameters in names["mended"].items():
        outputs, caches = L_model_forward(names["X"], parameters)
        share = float(((outputs > 0.5) == names["Y"]).mean())
        assert 0.99 <= share == names["mended_accuracy"][seed] <= 399 / 400
        assert names["mended_costs"][seed][-1] == compute_cost(outputs, names["Y"], caches) < 0.05
        assert [parameters[f"W{layer}"].shape for layer in (1, 2, 3)] == [(16, 2), (8, 16), (1, 8)]
        assert f"seed {seed}: cost {names['mended_costs'][seed][0]:.4f} → " in printed
        assert f"accuracy {share:.2%}\n" in printed


def test_the_ceiling_and_logistic_regression(chapter):
    names, printed = chapter
    first, second = names["twins"]
    assert names["X"][:, first].tolist() == names["X"][:, second].tolist() == [0, 0]
    assert names["Y"][0, first] != names["Y"][0, second]
    assert "the ceiling is 99.75%" in printed
    assert 0.92 < names["line_accuracy"] < 0.94
    assert f"logistic regression: {names['line_accuracy']:.2%}" in printed


def test_the_gradient_check_with_random_and_with_zero_biases(chapter):
    names, printed = chapter
    assert names["random_difference"] < 2e-7
    assert names["zero_difference"] > 0.01
    assert all(not names["zero_biases"][f"b{layer}"].any() for layer in (1, 2, 3))
    assert "31 parameters: the gradients are right" in printed
    assert "31 parameters: more than 2e-07" in printed


def test_the_kinks_are_counted(chapter):
    names, printed = chapter
    assert (names["on_the_kink"], names["Z2"].size) == (273, 1200)
    assert names["silent"] * 3 == 273
    assert "of the 1200 Z of the second layer 273 are exactly 0, which is 91 × 3" in printed
    assert (names["Z1"] == 0).sum() == 8
    middle = (names["to_the_right"] + names["to_the_left"]) / 2
    assert abs(names["to_the_left"] - names["by_backward"]) < 0.05 * abs(middle)
    assert abs(names["to_the_right"] - names["by_backward"]) > abs(middle)


def test_check_gradients_says_kink_and_not_wrong_formula(chapter):
    names, printed = chapter
    assert names["right"] < 1e-6
    assert {e.verdict for e in names["kink"].elements} == {"kink nearby"}
    assert {e.argument for e in names["kink"].elements} == {"params['b2']"}
    assert "kink nearby: 3" in printed
    assert {e.verdict for e in names["mistake"].elements} == {"wrong formula"}
    assert {e.argument for e in names["mistake"].elements} <= {f"params['b{layer}']" for layer in (1, 2, 3)}
    assert "wrong formula: 5" in printed


def test_its_figures(chapter):
    for name in ("spirals", "layers", "cost", "boundary"):
        assert (figures() / f"08-{name}.png").stat().st_size > 5_000


def test_both_languages_say_as_much():
    cells = chapters()[8].cells
    for english, chinese in zip(*([c.text for c in cells if c.kind == kind] for kind in ("en", "zh")), strict=True):
        for mark in ("\n- ", "\n## ", "\n### ", "\n1. ", "\n| "):
            assert english.count(mark) == chinese.count(mark)
    assert chapters()[8].title("zh") == "8. L 层网络"
