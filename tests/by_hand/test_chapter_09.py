"""Chapter 9: what makes deep networks trainable. Lessons are orders of magnitude, and hold for other seeds too."""
from __future__ import annotations

import numpy as np
import pytest

from chainrule.by_hand.reading import chapters, figures, run

pytestmark = pytest.mark.slow

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def chapter():
    return run(9)


@pytest.mark.parametrize("seed", SEEDS)
def test_activations_over_ten_layers(chapter, seed):
    names, printed = chapter

    def sizes(activation, name):
        found = names["activations_of"](activation, names["INITIALISATIONS"][name], seed)
        assert [h.shape for h in found] == [(1437, 64)] * 10
        return [float(np.sqrt(np.mean(h ** 2))) for h in found]

    relu = names["relu"]
    assert set(sizes(np.tanh, "zeros") + sizes(relu, "zeros")) == {0.0}
    for activation in (np.tanh, relu):
        small = sizes(activation, "0.01")
        assert small[-1] < 1e-9 * small[0]
    assert sizes(np.tanh, "Xavier")[-1] > 0.3 * sizes(np.tanh, "Xavier")[0]
    assert 0.4 < sizes(relu, "He")[-1] / sizes(relu, "He")[0] < 2.5
    loss_per_layer = (sizes(relu, "Xavier")[-1] / sizes(relu, "Xavier")[0]) ** (1 / 9)
    assert loss_per_layer == pytest.approx(np.sqrt(0.5), rel=0.1)
    if seed == names["SEED"]:
        for (activation, name), found in names["sizes"].items():
            assert found == sizes(np.tanh if activation == "tanh" else relu, name)
            assert "  ".join(f"{size:.1e}" for size in found) in printed


def test_what_learns_from_which_beginning(chapter):
    names, _ = chapter
    ending, runs = names["ending"], names["beginnings"]
    for name in ("zeros", "0.01"):
        assert ending(runs[name]) == pytest.approx(np.log(10), abs=0.03)
    assert ending(runs["Xavier"]) < 1.5
    assert ending(runs["He"]) < 0.1 < ending(runs["Xavier"])


def test_zeros_and_equal_weights(chapter):
    names, printed = chapter
    assert names["moving"] == ["10.bias"]
    assert "these parameters have a gradient: ['10.bias']" in printed
    assert names["moved"] > 0.01
    assert names["apart"] < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_on_the_way_back(chapter, seed):
    names, _ = chapter
    nn, deep, xavier, he = names["nn"], names["deep"], names["xavier"], names["he"]

    def ratio(*choice, **options):
        of_outputs, of_weights = names["gradients_of"](deep(*choice, seed=seed, **options))
        assert len(of_outputs) == len(of_weights) == 10
        return of_outputs[0] / of_outputs[-1]

    assert ratio(nn.Sigmoid, xavier) < 1e-5                            # vanished in the first layer
    assert 0.05 < ratio(nn.Tanh, xavier) < 20
    assert 0.1 < ratio(nn.ReLU, he) < 10
    assert 0.1 < ratio(nn.Sigmoid, xavier, normalised=True) < 10       # and the remedies
    assert 0.1 < ratio(nn.Sigmoid, xavier, shortcut=True) < 10
    assert ratio(nn.ReLU, names["too_large"]) > 100                    # exploded


def test_relu_has_one_product_for_all_layers(chapter):
    names, printed = chapter
    products = names["products"]
    assert len(products) == 10
    np.testing.assert_allclose(products, products[0], rtol=1e-10)
    assert 0 < abs(products[0]) < 1e-5
    assert f"⟨W, ∂L/∂W⟩ of each layer: {products[0]:.6e}" in printed


def test_remedies_for_vanishing_gradients_learn(chapter):
    names, _ = chapter
    ends = {name: names["ending"](losses) for name, losses in names["remedies"].items()}
    assert ends.pop("sigmoid") == pytest.approx(np.log(10), abs=0.05)
    assert len(ends) == 3
    assert max(ends.values()) < 0.8


def test_clipping(chapter):
    names, _ = chapter
    assert names["clipped"]["as it is"][0] > 100
    assert names["clipped"]["by_norm"] == pytest.approx((1.0, 1.0), abs=1e-4)
    norm, cosine = names["clipped"]["by_value"]
    assert norm < 0.01 * np.sqrt(10 * (64 * 64 + 64) + 650)
    assert cosine < 0.9                                                # the direction is another


@pytest.mark.parametrize("seed", [1, 2])
def test_remedies_for_exploding_gradients(chapter, seed):
    names, _ = chapter
    runs = names["runs"] if seed == names["SEED"] else {
        name: names["explode"](seed, **options) for name, options in names["exploding"].items()}
    losses, _ = runs["twice He"]
    assert not np.isfinite(losses[-1])
    assert len(losses) < 20
    for name in ("clipped by value", "clipped by norm", "lower rate"):
        losses, _ = runs[name]
        assert 1.0 < names["ending"](losses) < losses[0] / 2, name     # alive, not well
    losses, right = runs["He's weights"]
    assert names["ending"](losses) < 0.1
    assert right > 0.9


def test_batch_normalisation_by_hand(chapter):
    names, printed = chapter
    assert set(names["differences"]) == {"by_hand.layers", "by_hand.l_layer", "the tape"}
    assert max(names["differences"].values()) < 1e-13
    assert names["numeric_ratio"] < 1e-7
    assert max(names["shift"], names["stretch"]) < 1e-3 * np.abs(names["dx"]).max()
    assert {e.verdict for e in names["forgetful"].elements} <= {"wrong formula", "not examined"}
    assert "elements disagree (wrong formula" in printed


def test_with_batch_normalisation_and_without(chapter):
    names, _ = chapter
    ending, runs = names["ending"], names["normalised_runs"]
    for scale in (0.01, 0.03):
        assert ending(runs[scale, False][0]) > 2.2
    assert ending(runs[1.0, False][0]) == np.inf
    for scale in names["SCALES"]:
        losses, right = runs[scale, True]
        assert ending(losses) < 1.0, scale
        assert right > 0.7, scale


def test_five_optimizers_in_a_valley(chapter):
    names, printed = chapter
    ends = {name: (along[2][-1], turned[2][-1]) for name, (along, turned) in names["walks"].items()}
    assert list(ends) == ["SGD", "momentum", "AdaGrad", "RMSprop", "Adam"]
    for name in ("SGD", "momentum"):
        assert ends[name][1] == pytest.approx(ends[name][0], rel=1e-6)     # they do not see the axes
    rate = names["walks"]["SGD"][0][0]
    start, curvature = np.array([-10.0, 1.0]), np.array([1.0, 100.0])
    assert ends["SGD"][0] == pytest.approx((0.5 * curvature * (start * (1 - rate * curvature) ** 100) ** 2).sum())
    assert ends["momentum"][0] < 1e-3 * ends["SGD"][0]
    for name in ("AdaGrad", "RMSprop"):
        assert ends[name][1] > 1e6 * ends[name][0], name
    assert max(ends["Adam"]) < 0.01 * ends["SGD"][0]
    assert names["beyond"][-1] > 1e6
    assert all(f"{end:.2e}" in printed for pair in ends.values() for end in pair)


def test_adams_first_step(chapter):
    names, printed = chapter
    for corrected, uncorrected in names["first_steps"]:
        assert corrected == pytest.approx(1, abs=1e-4)
        assert uncorrected == pytest.approx(0.1 / np.sqrt(0.001))
    assert "without the corrections 3.1623 η" in printed


def test_optimizers_on_the_digits(chapter):
    names, _ = chapter
    ends = {name: names["ending"](losses) for name, losses in names["on_digits"].items()}
    assert ends["momentum 0.01"] == pytest.approx(ends["SGD 0.1"], rel=0.2)
    assert all(end < 0.3 * ends["SGD 0.01"] for name, end in ends.items() if name != "SGD 0.01")


def test_learning_rates(chapter):
    names, _ = chapter
    ends = [names["ending"](losses) for losses in names["rate_runs"].values()]
    assert list(names["rate_runs"]) == [0.001, 0.01, 0.1, 1.0, 10.0]
    assert ends[:4] == sorted(ends[:4], reverse=True)
    assert ends[0] > 1.9
    assert ends[3] < 0.05
    assert ends[4] == np.inf


def test_noise_of_a_batch_falls_with_its_root(chapter):
    names, _ = chapter
    for seed in (1, 2):
        noises = names["noises"] if seed == names["SEED"] else {
            batch: names["noise"](batch, seed=seed) for batch in (32, 1024)}
        assert noises[32] / noises[1024] == pytest.approx(np.sqrt(32), rel=0.15)


def test_batch_size_and_learning_rate(chapter):
    names, printed = chapter
    assert list(names["batch_runs"]) == [32, 64, 128, 256, 512, 1024]
    same = [loss for loss, _ in names["batch_runs"].values()]
    assert same == sorted(same)
    assert same[-1] > 10 * same[0]
    scaled = [loss for _, loss in names["batch_runs"].values()]
    assert max(scaled) < 2 * min(scaled)
    assert scaled[:3] == pytest.approx([same[0]] * 3, rel=0.05)
    assert all(f"{loss:.4f}" in printed for loss in same + scaled)


def test_its_figures(chapter):
    for name in ("activations", "initialisation", "gradients", "vanishing", "vanishing-loss", "exploding", "clipping",
                 "exploding-loss", "batch-normalisation", "optimizers", "optimizers-digits", "learning-rate",
                 "batch-size"):
        assert (figures() / f"09-{name}.png").stat().st_size > 5_000


def test_both_languages_say_as_much():
    cells = chapters()[9].cells
    for english, chinese in zip(*([c.text for c in cells if c.kind == kind] for kind in ("en", "zh")), strict=True):
        for mark in ("\n- ", "\n## ", "\n### ", "\n1. "):
            assert english.count(mark) == chinese.count(mark)
    assert chapters()[9].title("zh") == "9. 怎样让深层网络学得动"
