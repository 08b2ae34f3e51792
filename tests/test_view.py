"""Graphs as text and as Mermaid flowcharts, and formulas in plain notation."""
from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.view.mermaid import escape
from chainrule.view.notation import formula, literal, partial, plain, varies
from chainrule.view.text import show


# ------------------------------------------------------------------ notation
@pytest.mark.parametrize(("latex", "text"), [
    (r"z = x\,y", "z = x·y"),
    ("z = x^n", "z = xⁿ"),
    ("n x^{n-1}", "n xⁿ⁻¹"),
    (r"z = \frac1n \sum_i x_i", "z = 1/n Σᵢ xᵢ"),
    (r"z = \sqrt{\frac{1}{n - d} \sum_i (x_i - \bar x)^2}", "z = √(1/(n - d) Σᵢ (xᵢ - x̄)²)"),
    ("z = 1/(1 + e^{-x})", "z = 1/(1 + e⁻ˣ)"),
    (r"z = \ln \sum_i e^{x_i}", "z = ln Σᵢ e^xᵢ"),
    (r"Z = X\,W^T + b", "Z = X·Wᵀ + b"),
    (r"z = \lfloor x \rfloor", "z = ⌊x⌋"),
    (r"z_i = x_i - \ln \sum_j e^{x_j}", "zᵢ = xᵢ - ln Σⱼ e^xⱼ"),
    (r"\frac{2}{\sqrt\pi} e^{-x^2}", "2/√π e^(-x²)"),
    (r"\prod_{j \ne i} x_j", "Π_(j ≠ i) xⱼ"),
    (r"z = c \,?\, x : y", "z = c ? x : y"),
    (r"[a \le x \le b]", "[a ≤ x ≤ b]"),
    (r"z_i \mathrel{+}= x", "zᵢ += x"),
    (r"[\text{picked}]", "[picked]"),
    (r"z = \operatorname{sign}(x) \lfloor |x| \rfloor", "z = sign(x) ⌊|x|⌋"),
    (r"\frac{\partial \mathcal L}{\partial \hat y} = \hat y - y", "∂L/∂ŷ = ŷ - y"),
    (r"w \leftarrow w - \eta \nabla L(w)", "w ← w - η ∇L(w)"),
])
def test_plain_notation(latex, text):
    assert plain(latex) == text


@pytest.mark.parametrize("gate", [gate for gate in cr.GATES.values() if gate.formula], ids=lambda gate: gate.name)
def test_no_latex_is_left_of_any_gate(gate):
    names = ["left_operand", "right_operand", "third"]
    for text in (plain(gate.formula), formula(gate, "out", names[:max(1, len(gate.arguments))]),
                 *map(plain, gate.partials), *(partial(gate, i, "out", names) for i in range(len(gate.partials)))):
        assert not re.search(r"[\\{}^]\w*[\\{}]|\\|frac|text|operatorname", text), text
        opening, closing = ([c for c in text if c in kind] for kind in ("([", ")]"))
        assert len(opening) == len(closing), text


@pytest.mark.parametrize(("name", "operands", "text"), [
    ("multiply", ["a", "b"], "out = a·b"),
    ("power", ["d", "2"], "out = d²"),
    ("power", ["d", "(-1)"], "out = d⁻¹"),
    ("power", ["d", "k"], "out = dᵏ"),
    ("power", ["d", "big"], "out = d^big"),
    ("divide", ["1", "h₁"], "out = 1 / h₁"),
    ("sigmoid", ["z"], "out = 1/(1 + e^(-z))"),
    ("clip", ["h", "0", "1"], "out = min(max(h, 0), 1)"),
    ("where", ["mask", "a", "b"], "out = mask ? a : b"),
    ("linear", ["x", "weight", "bias"], "out = x·weightᵀ + bias"),
    ("linear", ["x", "weight"], "out = x·weightᵀ"),
    ("clip", ["h", "None", "1"], "out = clip(h, None, 1)"),
    ("getitem", ["x", "1:", "0"], "out = x[1:, 0]"),
    ("concatenate", ["x", "y"], "out = concatenate(x, y)"),
    ("sum", ["loss"], "out = Σᵢ lossᵢ"),
])
def test_formulas_with_names(name, operands, text):
    assert formula(cr.GATES[name], "out", operands) == text


@pytest.mark.parametrize(("name", "argument", "operands", "text", "changes"), [
    ("multiply", 0, ["a", "b"], "b", True),
    ("subtract", 1, ["a", "b"], "-1", False),
    ("sigmoid", 0, ["z"], "out·(1-out)", True),
    ("tanh", 0, ["z"], "1 - out²", True),
    ("power", 0, ["d", "2"], "2·d", True),
    ("power", 0, ["d", "3"], "3·d²", True),
    ("divide", 1, ["a", "b"], "-out/b", True),
    ("log", 0, ["a"], "1/a", True),
    ("relu", 0, ["a"], "[a > 0]", True),
    ("mean", 0, ["a"], "1/n", False),
    ("getitem", 0, ["a", "0"], "[picked]", False),
])
def test_partial_derivatives_with_names(name, argument, operands, text, changes):
    gate = cr.GATES[name]
    assert partial(gate, argument, "out", operands) == text
    assert varies(gate, argument, [not operand.isdigit() for operand in operands]) is changes


def test_a_partial_by_a_plain_number_is_a_constant():
    assert not varies(cr.multiply, 0, [True, False])
    assert varies(cr.multiply, 1, [True, False])


def test_operands_as_python_writes_them():
    assert [literal(x) for x in (slice(1, None), slice(None, None, 2), ..., None, -1.5, 3)] == [
        "1:", "::2", "…", "None", "(-1.5)", "3"]


# ------------------------------------------------------------------ text
@pytest.mark.parametrize(("value", "text"), [
    (None, ""), (3, "3"), (0.1 + 0.2, "0.30000000000000004"), (True, "True"), (np.float32(0.1), "0.1"),
    (np.array([1.0, 2.5]), "[1, 2.5]"), (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
    (np.ones(2, np.float32), "[1, 1] float32"), (np.zeros((0, 3)), "float64 (0, 3) empty"),
    (np.zeros((3, 4)), "float64 (3, 4) all 0"), (np.arange(10), "int64 (10,) 0 … 9"),
    (np.array([np.nan, 1, 2, 3, 4, 5, np.inf]), "float64 (7,) 1 … 5 and NaN, ∞"),
    (np.full(7, np.nan), "float64 (7,) and NaN"), (np.ones(7, bool), "bool (7,) all True"),
])
def test_values_in_a_few_characters(value, text):
    assert show(value) == text


def test_the_table():
    g = cr.Graph()
    x, y = g.inputs("x", "y")
    g.output(cr.sum((x + y) * x, axis=0) / 2)
    assert str(g) == """\
name  gate         formula      value
x     input
y     input
h₁    add          h₁ = x + y
h₂    multiply     h₂ = h₁·x
h₃    sum(axis=0)  h₃ = Σᵢ h₂ᵢ
h₄    divide       h₄ = h₃ / 2"""
    g.forward(x=[1, 2], y=[3, 5])
    g.backward()
    assert str(g) == repr(g) == """\
name  gate         formula        value               gradient
x     input                      [1, 2]  [2.5, 4.5] (sum of 2)
y     input                      [3, 5]               [0.5, 1]
h₁    add          h₁ = x + y    [4, 7]               [0.5, 1]
h₂    multiply     h₂ = h₁·x    [4, 14]             [0.5, 0.5]
h₃    sum(axis=0)  h₃ = Σᵢ h₂ᵢ     18.0                    0.5
h₄    divide       h₄ = h₃ / 2      9.0                    1.0"""


def test_an_empty_graph():
    assert str(cr.Graph()) == "an empty graph"
    assert cr.Graph().to_mermaid() == "flowchart LR"


# ------------------------------------------------------------------ Mermaid
def test_the_flowchart_of_the_textbook_example():
    g = cr.Graph()
    x, y, z = g.inputs("x", "y", "z")
    g.output((x + y) * z)
    assert g.to_mermaid() == """\
flowchart LR
    n0(["x"])
    n1(["y"])
    n2(["z"])
    n3["add<br/>h₁ = x + y"]
    n4["multiply<br/>h₂ = h₁·z"]
    n0 --> n3
    n1 --> n3
    n3 --> n4
    n2 --> n4"""
    g.forward(x=-2, y=5, z=-4)
    g.backward()
    assert g.to_mermaid() == """\
flowchart LR
    n0(["x = -2<br/>gradient -4"])
    n1(["y = 5<br/>gradient -4"])
    n2(["z = -4<br/>gradient 3"])
    n3["add<br/>h₁ = x + y<br/>value 3<br/>gradient -4"]
    n4["multiply<br/>h₂ = h₁·z<br/>value -12<br/>gradient 1"]
    n0 -->|"-2<br/>grad -4"| n3
    n1 -->|"5<br/>grad -4"| n3
    n3 -->|"3<br/>grad -4"| n4
    n2 -->|"-4<br/>grad 3"| n4"""


def test_each_edge_of_a_fork_carries_its_part():
    g = cr.Graph()
    a = g.input("a", 3)
    g.output(a * (a * 5))
    g.backward()
    edges = [line.strip() for line in g.to_mermaid().split("\n") if "-->" in line]
    assert edges == ['n0 -->|"3<br/>grad 15"| n1', 'n0 -->|"3<br/>grad 15"| n2', 'n1 -->|"15<br/>grad 3"| n2']


LINE = re.compile(r'    n\d+(\(\["[^"]*"\]\)|\["[^"]*"\])|    n\d+ -->(\|"[^"]*"\|)? n\d+')


@given(st.text(min_size=1, max_size=12))
@settings(max_examples=150)
def test_no_name_breaks_a_flowchart(name):
    """Whatever a node is called: one statement a line, and no character of it has a meaning in Mermaid."""
    g = cr.Graph()
    g.output(g.input(name, 1) * 2)
    first, *rest = g.to_mermaid().split("\n")
    assert first == "flowchart LR"
    assert len(rest) == 3
    assert all(LINE.fullmatch(line) for line in rest)
    written = re.fullmatch(r'    n0\(\["(.*) = 1"\]\)', rest[0])[1]
    assert not re.search(r'["<>`|*_~$\\&]', written)
    names = {"quot": '"', "lt": "<", "gt": ">", "amp": "&"}
    decoded = re.sub(r"#(\d+|quot|lt|gt|amp);", lambda m: names.get(m[1]) or chr(int(m[1])), written)
    assert decoded == re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", name)


def test_escapes():
    assert escape('a "b" <c> #d') == "a #quot;b#quot; #lt;c#gt; #35;d"
    assert escape("1. x") == "1#46; x"
    assert escape("- x") == "#45; x"
    assert escape("-1.5") == "-1.5"
