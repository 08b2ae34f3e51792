"""The page on the by-hand style: its code runs, its table is true, its chapters are there, in both languages."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.by_hand import layer as base
from chainrule.by_hand import layers, two_layer_net
from chainrule.by_hand.l_layer import L_model_backward, L_model_forward, compute_cost, linear_forward
from chainrule.by_hand.reading import chapters

ROOT = Path(__file__).parents[2]
PAGES = {"en": ROOT / "docs" / "by-hand.md", "zh": ROOT / "docs" / "by-hand.zh-CN.md"}
M, IN, OUT = 5, 3, 2
every_page = pytest.mark.parametrize("language", PAGES)


def text(language):
    return PAGES[language].read_text(encoding="utf-8")


def blocks(language):
    return re.findall(r"```python\n(.*?)```", text(language), re.DOTALL)


def table(language):
    """The rows on which way round, without their headings: those of rows 1 to 7, a column for each of three."""
    lines = text(language).splitlines()
    start = lines.index("| | `by_hand.layers` | `by_hand.l_layer` | `nn` |")
    rows = [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines[start + 2:start + 9]]
    return [dict(zip(("layers", "l_layer", "nn"), row, strict=True)) for row in rows]


def shape(cell):
    """``(m, in)`` as numbers."""
    sizes = {"m": M, "in": IN, "out": OUT, "1": 1}
    return tuple(sizes[name.strip()] for name in cell.strip("()").split(",") if name.strip())


@pytest.fixture
def arrays(rng):
    """Of each style, X, W and b as its column says."""
    _, x, w, b, *_ = table("en")
    return {style: tuple(rng.normal(size=shape(row[style])) for row in (x, w, b)) for style in x}


# ------------------------------------------------------------------ the table, row by row
def results(arrays):
    """What each style makes of its X, W and b."""
    x, w, b = arrays["layers"]
    by_layers = layers.Affine(w, b).forward(x)
    x, w, b = arrays["l_layer"]
    by_functions = linear_forward(x, w, b)[0]
    x, w, b = arrays["nn"]
    linear = nn.Linear(IN, OUT).double()
    linear.weight.assign(w)
    linear.bias.assign(b)
    return {"layers": by_layers, "l_layer": by_functions, "nn": linear.forward(x)}


def test_where_the_samples_stand(arrays):
    samples, x, *_ = table("en")
    for style, z in results(arrays).items():
        axis = {"rows": 0, "columns": 1}[samples[style]]
        assert z.shape[axis] == M
        assert z.shape[1 - axis] == OUT
        assert shape(x[style])[axis] == M


def test_the_affine_map(arrays):
    formula = table("en")[4]
    for style, z in results(arrays).items():
        x, w, b = arrays[style]
        np.testing.assert_allclose(z, eval(formula[style], {"X": x, "W": w, "b": b}), rtol=1e-12)


def test_the_labels(arrays):
    labels, classes = table("en")[5], np.array([0, 1, 1, 0, 1])
    scores = results(arrays)
    assert labels == {"layers": "(m,) or (m, C)", "l_layer": "(1, m), of two", "nn": "(m,)"}
    first = layers.SoftmaxWithLoss().forward(scores["layers"], classes)
    assert first == layers.SoftmaxWithLoss().forward(scores["layers"], np.eye(OUT)[classes])
    assert np.shape(compute_cost(np.full((1, M), 0.5), classes.reshape(1, M))) == ()
    assert nn.CrossEntropyLoss().forward(scores["nn"], classes).shape == ()


def test_the_gradient_of_w(arrays):
    x, w, b = arrays["layers"]
    layer = layers.Affine(w, b)
    layer.forward(x)
    layer.backward(np.ones((M, OUT)))
    found = {"layers": layer.dW}
    assert table("en")[6]["layers"] == "layer.dW"
    x, w, b = arrays["l_layer"]
    last, caches = L_model_forward(x, {"W1": w[:1], "b1": b[:1]})
    names = {"grads": L_model_backward(last, np.zeros((1, M)), caches)}
    assert eval(table("en")[6]["l_layer"], names).shape == w[:1].shape
    layer = nn.Linear(IN, OUT).double()
    layer.forward(arrays["nn"][0])
    layer.backward(np.ones((M, OUT)))
    found["nn"] = eval(table("en")[6]["nn"])
    for style, gradient in found.items():
        assert gradient.shape == shape(table("en")[2][style])


def test_weights_go_from_one_style_to_the_other(arrays):
    x, w, b = arrays["layers"]
    linear = nn.Linear(IN, OUT).double()
    linear.weight.assign(w.T)
    linear.bias.assign(b)
    expected = x @ w + b
    np.testing.assert_allclose(layers.Affine(w, b).forward(x), expected)
    np.testing.assert_allclose(linear.forward(x), expected)
    np.testing.assert_allclose(linear_forward(x.T, w.T, b[:, None])[0].T, expected)


# ------------------------------------------------------------------ both languages
def test_both_languages_have_the_same_code_and_the_same_table():
    assert len(blocks("en")) == 2
    assert blocks("en") == blocks("zh")
    first, second = table("en"), table("zh")
    for i in (1, 2, 3, 4, 6):
        assert first[i] == second[i]


@every_page
def test_the_code_runs_as_it_stands(language):
    names: dict[str, object] = {}
    for code in blocks(language):
        exec(compile(code, f"by-hand ({language})", "exec"), names)
    assert names["dtax"] == 200
    assert names["tax"].forward(names["apples"].forward(100, 2), 1.1) == 220.00000000000003
    assert names["tax"].backward(1) == (1.1, 200.0)
    assert names["apples"].backward(1.1) == (2.2, 110.00000000000001)
    assert names["model"](names["x"]).shape == (100, 10)


@every_page
def test_names_are_those_of_the_modules(language):
    named = set(re.findall(r"`(\w+)(?:\(.*?\))?`", text(language)))
    assert set(layers.__all__) <= named
    assert set(two_layer_net.__all__) <= named
    assert {str(base.MOST_CALLS), f"{base.MOST_BYTES // 2**20} MiB"} <= set(re.findall(r"256|16 MiB", text(language)))


@every_page
def test_the_chapters_are_all_there(language):
    listed = re.findall(r"^(\d+)\. \[(.*)\]\((.*)\)$", text(language), re.MULTILINE)
    assert [f"{number}. {title}" for number, title, _ in listed] == [
        chapter.title(language) for chapter in chapters().values()]
    for number, _, path in listed:
        assert Path(path).name == chapters()[int(number)].path.name


@every_page
def test_links_lead_somewhere(language):
    for target in re.findall(r"\]\(([^)#]+)\)", text(language)):
        assert (ROOT / "docs" / target).exists() or not (ROOT / "src").exists(), target


def test_the_check_on_the_page_finds_a_wrong_layer():
    code = blocks("en")[1].replace("(1 - self.out)", "self.out")
    with pytest.raises(cr.GradientError, match="wrong formula"):
        exec(compile(code, "wrong", "exec"), {"np": np})
