"""Chapter 6: a gradient as the product of four numbers."""
from __future__ import annotations

import numpy as np
import pytest

from chainrule.by_hand.reading import chapters, figures, run


@pytest.fixture(scope="module")
def chapter():
    return run(6)


def test_the_network(chapter):
    names, printed = chapter
    assert names["h"].round(10).tolist() == [1.0, 1.3, 0.8]
    assert names["a"].round(3).tolist() == [0.731, 0.786, 0.690]
    assert round(names["prediction"], 3) == 1.233
    assert round(names["cost"], 3) == 1.521
    for line in ("h = 1.0  1.3  0.8", "a = 0.731  0.786  0.690", "ŷ = 1.233\n", "C = 1.521\n"):
        assert line in printed


def test_rounding_on_the_way(chapter):
    names, printed = chapter
    assert round(names["rounded_prediction"], 6) == 1.235
    assert "from [0.73 0.79 0.69]: ŷ = 1.235, C = 1.525" in printed


def test_the_four_factors(chapter):
    names, printed = chapter
    assert list(names["factors"]) == ["−2(y − ŷ)", "w₃₁", "a₁₁(1 − a₁₁)", "x₁"]
    assert [round(float(value), 4) for value in names["factors"].values()] == [2.4664, 0.3, 0.1966, 1]
    assert round(float(names["by_hand"]), 4) == 0.1455
    explained, = names["explanation"].paths
    assert [factor.symbol for factor in explained.factors] == ["-2·(y-ŷ)", "w₃₁", "a₁₁·(1-a₁₁)", "x₁"]
    assert [factor.value for factor in explained.factors] == pytest.approx(list(names["factors"].values()), rel=1e-14)
    assert names["explanation"].updated == pytest.approx(0.8 - names["by_hand"], rel=1e-14)
    for line in ("∂C/∂w₁₁ = ∂C/∂ŷ · ∂ŷ/∂a₁₁ · ∂a₁₁/∂h₁₁ · ∂h₁₁/∂w₁₁\n",
                 "= -2·(y-ŷ) · w₃₁ · a₁₁·(1-a₁₁) · x₁\n",
                 "= 2.4664 · 0.3 · 0.1966 · 1 = 0.1455\n",
                 "w₁₁ - lr·∂C/∂w₁₁ = 0.8 - 1·0.1455 = 0.6545\n"):
        assert line in printed


def test_the_sum_over_three_paths(chapter):
    names, printed = chapter
    paths = names["through_all"].paths
    expected = 2 * names["prediction"] * names["w_3"] * names["a"] * (1 - names["a"]) * names["w"][0]
    assert [path.product for path in paths] == pytest.approx(expected.tolist(), rel=1e-13)
    assert "∂C/∂x₁ is the sum over 3 paths:" in printed


def test_all_gradients_at_once(chapter):
    names, printed = chapter
    assert names["difference"] < 1e-15
    assert names["d_w"][0, 0] == pytest.approx(names["by_hand"], rel=1e-14)
    assert names["by_nudging"] == pytest.approx(names["by_hand"], abs=1e-5)
    assert "∂C/∂w₁₁ by nudging: 0.145476, by the chain rule: 0.145479" in printed
    costs = names["costs"]
    assert costs[1.0] > names["cost"] > costs[0.01] > costs[0.1]


def test_the_slopes_of_the_activation_functions(chapter):
    names, printed = chapter
    assert names["largest_difference"] < 1e-15
    assert names["one_a"] == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-15)
    assert names["wrong"] == 0
    assert "h₁₁(1 − h₁₁) = 0.0000   wrong" in printed


def test_figures_and_languages(chapter):
    for name in ("06-neuron", "06-activations", "06-network"):
        assert (figures() / f"{name}.png").stat().st_size > 10_000
    kinds = [cell.kind for cell in chapters()[6].cells]
    assert kinds.count("en") == kinds.count("zh") > 5
