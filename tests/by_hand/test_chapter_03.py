"""Chapter 3: a graph of gates, by hand and by the graph."""
from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.by_hand.reading import chapters, figures, run


@pytest.fixture(scope="module")
def chapter():
    return run(3)


def test_the_product_of_a_sum(chapter):
    names, printed = chapter
    assert names["value"] == -12
    assert names["gradients"] == {"x": -4, "y": -4, "z": 3}
    assert {node.name: node.gradient for node in names["graph"].nodes} == {"x": -4, "y": -4, "z": 3, "q": -4, "f": 1}
    assert names["by_hand"] == {"x": -4, "y": -4, "z": 3, "q": -4, "f": 1}
    assert "f = -12\n" in printed
    for line in ("x           -4        -4\n", "z            3         3\n", "q           -4        -4\n"):
        assert line in printed


def test_the_learners_own_loops(chapter):
    names, printed = chapter
    assert names["own"] == {"x": -4, "y": -4, "z": 3}
    assert "my loops:   -12 {'x': -4, 'y': -4, 'z': 3}\nthe graph:  -12 {'x': -4, 'y': -4, 'z': 3}\n" in printed
    text = chapters()[3].text
    assert "for gate in graph.nodes:\n    gate.forward()\n" in text
    assert "for gate in reversed(graph.nodes):\n    gate.backward()\n" in text
    assert "\nTrue True\n" in printed


def test_the_patterns(chapter):
    names, printed = chapter
    assert names["added"] == {"a": 2, "b": 2}
    assert names["routed"] == {"a": 2, "b": 0}
    assert names["tied"] == {"a": 1, "b": 1}
    assert names["swapped"] == {"a": 2 * -1, "b": 2 * 3}
    assert names["forked"] == {"a": 2 * (2 * 3 + 4)}
    assert sorted(names["parts"]) == [2 * 3, 2 * (3 + 4)]
    assert "the parts: [14, 6]  their sum: 20  overwritten, it would be: 6\n" in printed


def test_the_sigmoid_as_one_gate_and_as_four(chapter):
    names, _ = chapter
    sigmoid = 1 / (1 + math.exp(-0.25))
    slope = sigmoid * (1 - sigmoid)
    expected = {"w0": -0.5 * slope, "x0": 1.5 * slope, "w1": -1 * slope, "x1": -2 * slope, "b": slope}
    assert names["one_gate"].forward(**names["neuron"]) == pytest.approx(sigmoid, rel=1e-15)
    assert names["by_one"] == pytest.approx(expected, rel=1e-12)
    assert names["by_four"] == pytest.approx(expected, rel=1e-12)
    assert len(names["four_gates"].nodes) - len(names["one_gate"].nodes) == 3


def test_the_four_gates_break_where_the_one_does_not(chapter):
    names, printed = chapter
    assert names["one_far"] == (0, 0)
    assert names["four_far"][0] == 0
    assert math.isnan(names["four_far"][1])
    assert "four gates at -1000: value 0.0 gradient nan\none gate at -1000:   value 0.0 gradient 0.0\n" in printed


def test_the_length_of_a_product(chapter):
    names, printed = chapter
    assert names["length"] == pytest.approx(0.116, rel=1e-12)
    np.testing.assert_allclose(names["vector_gradients"]["W"], [[0.088, 0.176], [0.104, 0.208]], rtol=1e-12)
    np.testing.assert_allclose(names["vector_gradients"]["x"], [-0.112, 0.636], rtol=1e-12)
    for line in ("f = 0.116\n", "gradient of W, graph:   [[0.088, 0.176], [0.104, 0.208]]\n",
                 "gradient of x, graph:   [-0.112, 0.636]\n", "gradient of x, by hand: [-0.112, 0.636]\n"):
        assert line in printed


def test_a_wrong_layer_is_named(chapter):
    names, printed = chapter
    assert "2 of 2 elements disagree (wrong formula: 2)" in names["verdict"]
    assert names["verdict"] in printed


def test_the_pictures(chapter):
    _, printed = chapter
    for name in ("03-graph", "03-patterns", "03-sigmoid"):
        assert f"figure: {figures() / name}.png\n" in printed
        assert (figures() / f"{name}.png").read_bytes().startswith(b"\x89PNG")
