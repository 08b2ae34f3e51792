"""Chapter 7: what losses charge, and how to compute them."""
from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.by_hand.reading import chapters, figures, run


@pytest.fixture(scope="module")
def chapter():
    return run(7)


def test_the_mean_squared_error(chapter):
    names, printed = chapter
    assert names["mse"] == 1.3125
    assert names["mse_slope"].tolist() == [-0.25, 0, 1, -0.5]
    assert "nn.MSELoss     1.3125\nbackward       [-0.25  0.    1.   -0.5 ]\n" in printed


def test_the_limits_of_cross_entropy(chapter):
    names, printed = chapter
    limits = names["limits"]
    assert limits[1.0] == 0 and limits[0.0] == math.inf
    assert limits[1 - 1e-9] == pytest.approx(1e-9, rel=1e-6)
    assert limits[1e-300] == pytest.approx(300 * math.log(10), rel=1e-12)
    assert round(limits[0.88], 3) == 0.128
    for probability, loss in (("1", "0"), ("0.88", "0.128"), ("1e-300", "691"), ("0", "inf")):
        assert f"\n{probability:>24} {loss:>11}\n" in printed


def test_probabilities_of_exactly_0(chapter):
    names, printed = chapter
    assert math.isnan(names["naive"])
    assert (names["careful"], names["wrong_and_sure"], names["from_score"]) == (0, 100, 1e4)
    assert "by the formula as it stands: nan" in printed


def test_why_not_squared_errors(chapter):
    names, _ = chapter
    square, entropy = names["slopes"][-10.0]
    assert -1e-4 < square < 0 and entropy < -0.9999                # sure and wrong: one learns, the other does not
    assert names["by_framework"] == pytest.approx(names["slopes"][-4.0], rel=1e-12)


def test_the_table_of_animals(chapter):
    names, printed = chapter
    assert names["animals"] == ["dog", "cat", "horse", "sheep", "cow"]
    assert np.abs(names["probabilities"].sum(axis=1) - 1).max() < 1e-15
    expected = [-math.log(p) for p in (0.88, 0.70, 0.40, 0.90, 0.15)]
    assert names["costs"].tolist() == pytest.approx(expected, rel=1e-14)
    assert names["by_index"].tolist() == pytest.approx(expected, rel=1e-14)
    assert "a dog          0.88   0.02   0.03   0.04   0.03    0.128\n" in printed
    assert "ln 5 = 1.609" in printed


def test_softmax_and_cross_entropy(chapter):
    names, printed = chapter
    assert names["mean_cost"] == pytest.approx(names["costs"].mean(), rel=1e-14)
    assert names["score_difference"] < 1e-15
    assert "[[-0.12  0.02  0.03  0.04  0.03]" in printed


def test_averaging_over_the_batch(chapter):
    names, printed = chapter
    means, sums, gradients = names["means"], names["sums"], names["gradients"]
    assert means[1] == pytest.approx(means[2], rel=1e-14)
    assert sums[1] == pytest.approx(5 * means[1], rel=1e-14)
    assert sums[2] == pytest.approx(2 * sums[1], rel=1e-14)        # the “mean of the sum” is no mean
    assert gradients["mean", 2] == pytest.approx(gradients["mean", 1], rel=1e-12)
    assert gradients["sum", 2] == pytest.approx(2 * gradients["sum", 1], rel=1e-12)
    assert names["weighted"] == pytest.approx(names["costs"].mean(), rel=1e-14)
    assert abs(names["average_of_averages"] - names["costs"].mean()) > 0.05
    assert "average of two batches: 0.7341" in printed


def test_log_softmax_against_the_logarithm_of_softmax(chapter):
    names, printed = chapter
    assert math.isnan(names["as_defined"][0])
    assert names["with_maximum"].tolist() == [0, -math.inf, -math.inf]
    assert names["exact"].tolist() == [0, -1000, -2000]
    assert names["huge"] == 20_000
    assert names["once"] < 1e-3
    assert names["softmax_twice"] > 0.9
    assert "log_softmax            [    0. -1000. -2000.]\n" in printed


def test_figures_and_languages(chapter):
    for name in ("07-binary", "07-animals"):
        assert (figures() / f"{name}.png").stat().st_size > 10_000
    kinds = [cell.kind for cell in chapters()[7].cells]
    assert kinds.count("en") == kinds.count("zh") > 5
