"""The pictures of chapters: what they show, and that they leave the state of pyplot alone."""
from __future__ import annotations

import io
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import gates
from chainrule.by_hand.pictures import activations, flow, lines, network, panels


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def drawn(figure):
    """Draw it for real: an error in it comes up only now."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_panels_come_row_by_row():
    figure, axes = panels(3, 2, size=(2.0, 1.0))
    assert tuple(figure.get_size_inches()) == (6.0, 2.0)
    assert [(each.get_subplotspec().rowspan.start, each.get_subplotspec().colspan.start) for each in axes] == [
        (row, column) for row in range(2) for column in range(3)]


def test_pyplot_is_not_loaded():
    code = ("import sys\nfrom chainrule.by_hand import pictures\nassert 'matplotlib' not in sys.modules\n"
            "figure = pictures.lines({'loss': [2, 1]})\nassert 'matplotlib.pyplot' not in sys.modules")
    import subprocess
    from pathlib import Path
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(Path(cr.__file__).parents[1])})


def test_lines():
    figure = lines({"train": [3, 2, 1], "test": ([10, 20], [5.0, 4.0])}, "Loss", x="epoch", y="loss", log="xy")
    axes, = figure.axes
    assert [(line.get_label(), line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines] == [
        ("train", [0, 1, 2], [3, 2, 1]), ("test", [10, 20], [5, 4])]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("Loss", "epoch", "loss")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]


def test_lines_into_a_panel_that_is_there():
    figure, (left, right) = panels(2)
    assert lines({"a": [1, 2]}, axes=right) is figure
    assert (len(left.lines), len(right.lines), right.get_legend()) == (0, 1, None)


@pytest.mark.parametrize(("name", "f", "slope"), [
    ("sigmoid", lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    ("tanh", np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    ("relu", lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    ("linear", lambda z: z, np.ones_like)])
def test_activations_and_their_derivatives(name, f, slope):
    above, below = activations({name: None if name == "linear" else getattr(gates, name)}, limit=3).axes
    for axes, expected in ((above, f), (below, slope)):
        z, values = axes.lines[0].get_data()
        assert (z[0], z[-1]) == (-3, 3)
        np.testing.assert_allclose(values, expected(z), rtol=1e-12)


def test_a_network():
    weights = [[[0.8, 0.4, 0.3], [0.2, np.nan, 0.12345]], [[0.3], [0.5], [0.9]]]
    figure = network([[1, 2], [0.731, 0.786, 0.6904], [1.2333]], weights, [["x₁", "x₂"], ["a₁", "a₂", "a₃"], ["ŷ"]],
                     "Forward")
    axes, = figure.axes
    assert sorted(texts(axes)) == sorted(["1", "2", "0.731", "0.786", "0.690", "1.233", "0.8", "0.4", "0.3", "0.2",
                                          "0.1235", "0.3", "0.5", "0.9", "x₁", "x₂", "a₁", "a₂", "a₃", "ŷ"])
    assert len(axes.patches) == 6                      # a circle for each unit
    assert len(axes.texts) - len(texts(axes)) == 8     # an arrow for each weight that is not NaN
    assert drawn(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(("values", "weights", "names", "said"), [
    ([[1, 2], [3]], [[[1, 2]]], None, r"units \[2, 1\] need weights of shapes \[\(2, 1\)\], got \[\(1, 2\)\]"),
    ([[1, 2], [3]], [[[1], [2]]], [["a"], ["b"]], r"expected names for \[2, 1\] units, got \[1, 1\]")])
def test_a_network_that_does_not_fit(values, weights, names, said):
    with pytest.raises(ValueError, match=said):
        network(values, weights, names)


@pytest.fixture
def graph():
    g = cr.Graph()
    x, y, z = g.inputs("x", "y", "z")
    g.output((x + y) * z)
    return g


def test_a_graph_with_values_and_gradients(graph):
    graph.forward(x=-2, y=5, z=-4)
    graph.backward()
    figure = flow(graph, "f")
    assert sorted(texts(figure.axes[0])) == sorted(["x", "y", "z", "+", "×", "-2", "5", "-4", "3", "-12",
                                                    "-4", "-4", "3", "-4", "1"])
    assert drawn(figure).startswith(b"\x89PNG")


def test_a_graph_that_has_not_been_run(graph):
    assert sorted(texts(flow(graph).axes[0])) == sorted(["x", "y", "z", "+", "×"])
    graph.forward(x=-2, y=5, z=-4)
    assert "-12" in texts(flow(graph).axes[0])


def test_a_fork_shows_both_parts():
    g = cr.Graph()
    x = g.input("x")
    g.output(x * x + cr.exp(-x))
    g.forward(x=3.0)
    g.backward()
    figure = flow(g)
    shown = texts(figure.axes[0])
    assert shown.count("3") == 5                       # three arrows out of x, and what comes back along two of them
    assert f"{-np.exp(-3.0):.4g}" in shown
    assert drawn(figure)


def test_arrays_are_shown_by_their_shape():
    g = cr.Graph()
    W, x = g.inputs("W", "x")
    g.output((W @ x).sum())
    g.forward(W=np.ones((2, 3)), x=np.ones(3))
    shown = texts(flow(g).axes[0])
    assert "2×3" in shown
    assert {"@", "sum", "3", "2", "6"} <= set(shown)


def test_no_two_nodes_of_a_graph_lie_upon_each_other():
    from chainrule.by_hand.pictures.graphs import _places
    g = cr.Graph()
    a, b, c, d, e = g.inputs("a", "b", "c", "d", "e")
    g.output(cr.maximum(a * b + c * d, e) * (a + e) + cr.exp(c) * cr.tanh(d) / b)
    spots = list(_places(g).values())
    for i, (x, y) in enumerate(spots):
        assert all(x != other[0] or abs(y - other[1]) >= 0.9 for other in spots[:i])
    places = _places(g)
    assert all(places[each][0] < places[node][0] for node in g.nodes for each in node.inputs)
