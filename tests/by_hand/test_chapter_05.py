"""Chapter 5: a network that learns by nudging its weights."""
from __future__ import annotations

import numpy as np
import pytest

from chainrule.by_hand.reading import chapters, figures, run

W1 = [[0.0142, -0.5908, -0.2755], [0.3988, -0.5292, 0.1864]]
B1 = [0.0055, 0.5519, -0.0660]
W2 = [0.3475, -0.0553, 0.0376]
B2 = [-0.2244]


@pytest.fixture(scope="module")
def chapter():
    return run(5)


def test_a_hundred_epochs(chapter):
    names, printed = chapter
    assert len(names["losses"]) == 100
    assert round(names["first_loss"], 5) == round(names["losses"][0], 5) == 0.33455
    assert round(names["losses"][-1], 6) == 0.000328
    assert round(names["final_loss"], 6) == 0.000305
    assert round(names["final_output"], 4) == -0.0175
    assert all(after < before for before, after in zip(names["losses"], names["losses"][1:], strict=False))
    for line in ("loss at first            0.33455\n", "before the last update   0.000328\n",
                 "after it                 0.000305\n", "output                   -0.0175\n"):
        assert line in printed


def test_the_final_weights_to_the_printed_digits(chapter):
    names, printed = chapter
    for found, expected in zip(names["weights"], (W1, B1, np.transpose([W2]), B2), strict=True):
        assert found.round(4).tolist() == np.asarray(expected).tolist()
    for line in ("W1 = [[ 0.0142 -0.5908 -0.2755]\n      [ 0.3988 -0.5292  0.1864]]\n",
                 "b1 = [ 0.0055  0.5519 -0.0660]\n", "W2 = [ 0.3475 -0.0553  0.0376]\n", "b2 = [-0.2244]\n"):
        assert line in printed


def test_training_leaves_the_first_weights_alone(chapter):
    start = chapter[0]["start"]
    assert start[0].tolist() == [[-0.0053, -0.5820, -0.2723], [0.3793, -0.5204, 0.1896]]
    assert [w.ravel().tolist() for w in start[1:]] == [
        [-0.0140, 0.5607, -0.0628], [0.1528, -0.1745, -0.1135], [-0.5516]]


def test_the_printing_with_zeros(chapter):
    names, printed = chapter
    assert all((w == 0).all() for w in names["cut"])
    assert names["stuck"].tolist() == [0, 0, 0]
    assert "astype(float)" in names["refusal"]
    assert "all weights 0: output 0.0000, loss 0.000000\nthe network:   output -0.0175, loss 0.000305\n" in printed


def test_backpropagation_gives_the_same_weights(chapter):
    names, _ = chapter
    assert 0 < names["apart"] < 1e-4
    assert abs(names["exact_losses"][-1] - names["losses"][-1]) < 1e-5
    assert names["one_slope"] == pytest.approx(names["true_slope"], abs=1e-6)


def test_more_epochs_bring_the_output_nearer_to_0(chapter):
    nearer = chapter[0]["nearer"]
    assert list(nearer) == [100, 200, 300, 1000]
    for outputs in zip(*nearer.values(), strict=True):
        assert np.all(np.diff(np.abs(outputs)) < 0)
    by_differences, exact = nearer[1000]
    assert -1e-4 < by_differences < -1e-5                          # half a step short of it
    assert abs(exact) < 1e-14


def test_the_best_step_lies_in_between(chapter):
    names, _ = chapter
    forward, central = np.array(names["forward_errors"]), np.array(names["central_errors"])
    for errors, least in ((forward, 1e-8), (central, 1e-10)):
        assert errors.min() < least
        assert 3 < errors.argmin() < 11
        assert errors[-1] > 1e3 * errors.min() and errors[0] > 1e3 * errors.min()
    assert forward[-2] / forward[-3] == pytest.approx(10, rel=0.1)         # the error grows like h
    assert central[-2] / central[-3] == pytest.approx(100, rel=0.1)        # and like h²


def test_the_cost_of_a_gradient(chapter):
    names, printed = chapter
    assert names["parameters"] == [22 * hidden + 1 for hidden in (1, 3, 10, 30, 100, 300)]
    assert names["size"] == 999_989
    assert len(names["by_nudging"]) == len(names["by_backprop"]) == 6
    assert names["by_nudging"][-1] > names["by_backprop"][-1]      # 6,602 runs against one there and back
    assert "999,989 weights: 999,990 runs" in printed


def test_figures_and_languages(chapter):
    for name in ("05-loss", "05-step", "05-time"):
        assert (figures() / f"{name}.png").stat().st_size > 10_000
    kinds = [cell.kind for cell in chapters()[5].cells]
    assert kinds.count("en") == kinds.count("zh") > 5
