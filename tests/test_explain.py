"""The chain rule path by path: the sum over paths of the products of their factors is the gradient."""
from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explain import MOST_ROWS


def neuron():
    w = cr.Tensor(0.5, requires_grad=True)
    b = cr.Tensor(-1.0, requires_grad=True)
    x = cr.Tensor(3.0)
    z = w * x + b
    a = z.sigmoid()
    L = 0.5 * (a - 1.0) ** 2
    return locals()


# ------------------------------------------------------------------ what it says
def test_the_textbook_example_prints_the_textbooks_factors():
    named = neuron()
    e = cr.explain(named["L"], named["w"], names=named)
    a = 1 / (1 + math.exp(-0.5))
    path, = e.paths
    assert [f.name for f in path.factors] == ["∂L/∂a", "∂a/∂z", "∂z/∂w"]
    assert [f.symbol for f in path.factors] == ["a-1.0", "a·(1-a)", "x"]
    assert [f.value for f in path.factors] == pytest.approx([a - 1, a * (1 - a), 3], rel=1e-14)
    assert e.total == pytest.approx(e.gradient, rel=1e-14)
    assert str(e) == """\
∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w
      = (a-1.0) · a·(1-a) · x
      = (-0.377541) · 0.235004 · 3 = -0.26617

∂L/∂a = a-1.0 = -0.377541
∂a/∂z = a·(1-a) = 0.235004
∂z/∂w = x = 3"""


def on_paper(lr=None):
    w = cr.Tensor(np.array([[0.8, 0.4, 0.3], [0.2, 0.9, 0.5]]), requires_grad=True, name="wᵢⱼ")
    w_3 = cr.Tensor(np.array([[0.3], [0.5], [0.9]]), name="w₃ⱼ")
    x, y = cr.Tensor(np.array([[1.0, 1.0]]), name="xᵢ"), cr.Tensor(np.array([[0.0]]), name="y")
    h = x @ w
    a = h.sigmoid()
    prediction = a @ w_3
    h.name, a.name, prediction.name = "h₁ⱼ", "a₁ⱼ", "ŷ"
    cost = ((y - prediction) ** 2).mean()
    cost.name = "C"
    return cr.explain(cost, w, index=(0, 0), lr=lr), cr.explain(cost, w, index=(1, 2))


def test_the_chain_rule_as_it_is_written_on_paper():
    e, other = on_paper(lr=0.1)
    assert f"{e:.4f}" == """\
∂C/∂w₁₁ = ∂C/∂ŷ · ∂ŷ/∂a₁₁ · ∂a₁₁/∂h₁₁ · ∂h₁₁/∂w₁₁
        = -2·(y-ŷ) · w₃₁ · a₁₁·(1-a₁₁) · x₁
        = 2.4664 · 0.3 · 0.1966 · 1 = 0.1455

∂C/∂ŷ = -2·(y-ŷ) = 2.4664
∂ŷ/∂a₁₁ = w₃₁ = 0.3
∂a₁₁/∂h₁₁ = a₁₁·(1-a₁₁) = 0.1966
∂h₁₁/∂w₁₁ = x₁ = 1

w₁₁ - lr·∂C/∂w₁₁ = 0.8 - 0.1·0.1455 = 0.7855"""
    a = 1 / (1 + np.exp(-np.array([1.0, 1.3, 0.8])))
    assert e.gradient == pytest.approx(2 * a @ [0.3, 0.5, 0.9] * 0.3 * a[0] * (1 - a[0]), rel=1e-14)
    assert (e.value, e.lr) == (0.8, 0.1)
    assert e.updated == pytest.approx(0.8 - 0.1 * e.gradient, rel=1e-15)
    assert other.by == "w₂₃"
    assert [f.symbol for f in other.paths[0].factors] == ["-2·(y-ŷ)", "w₃₃", "a₁₃·(1-a₁₃)", "x₂"]
    assert other.updated == other.value == 0.5
    assert "lr" not in str(other)


@pytest.mark.parametrize(("name", "shape", "index", "expected"), [
    ("wᵢⱼ", (2, 3), (1, 2), "w₂₃"),
    ("w₃ⱼ", (3, 1), (2, 0), "w₃₃"),                                # a column has one index
    ("aⱼ", (1, 3), (0, 1), "a₂"),                                  # and so has a row
    ("wᵢⱼ", (3, 1), (2, 0), "w₃₁"),
    ("hⱼ", (1, 1), (0, 0), "h₁"),
    ("xᵢ", (3,), (2,), "x₃"),
    ("wᵢⱼ", (12, 40), (11, 2), "w₁₂,₃"),                           # not w₁₂₃
    ("wᵢⱼₖ", (2, 2, 2), (0, 1, 1), "w₁₂₂"),
    ("wᵢ", (2, 3), (1, 2), "wᵢ[1,2]"),                             # one index is not enough
    ("wᵢⱼ", (3,), (1,), "wᵢⱼ[1]"),
    ("bⱼ", (), (), "bⱼ"),
    ("w_ij", (2, 3), (1, 2), "w_ij[1,2]"),                         # what a variable can be called stays as it is
])
def test_small_indices_in_a_name_are_filled_in(name, shape, index, expected):
    t = cr.Tensor(np.ones(shape), requires_grad=True)
    assert cr.explain((t * 2.0).sum(), t, index, names={name: t}).by == expected


def test_formulas_stand_in_for_results_without_a_name():
    x, y = (cr.Tensor([1.0, 2.0, 4.0], requires_grad=True, name=n) for n in "xy")
    path, = cr.explain((x * y).sin().sum(), x, 1).paths
    assert [(f.name, f.symbol) for f in path.factors] == [("∂L/∂h₁[1]", "cos h₁[1]"), ("∂h₁[1]/∂x[1]", "y[1]")]
    path, = cr.explain(-((x - y) ** 2).sum(), x, 1).paths
    assert [(f.name, f.symbol) for f in path.factors] == [("∂L/∂x[1]", "-2·(x[1]-y[1])")]
    q = x * y
    q.name = "q"
    path, = cr.explain((0.5 * (q - y) ** 2).sum(), q, 1).paths
    assert [(f.name, f.symbol, f.value) for f in path.factors] == [("∂L/∂q[1]", "q[1]-y[1]", 2.0)]
    w, b = (cr.Tensor(v, requires_grad=True, name=n) for v, n in ((3.0, "w"), (1.0, "b")))
    u = cr.Tensor(0.5, requires_grad=True, name="u")
    L = ((w + b) * u).exp()
    assert "\n      = L · (w+b)\n" in str(cr.explain(L, u))        # a sum is set in brackets among factors
    assert "\n∂h₂/∂u = w+b = 4" in str(cr.explain(L, u))


@pytest.mark.parametrize(("spec", "numbers"), [
    ("", "3.992 · 0.999999 = 3.992"), (".6g", "3.992 · 0.999999 = 3.992"), (".3f", "3.992 · 1 = 3.992"),
    (".2e", "3.99e+00 · 1.00e+00 = 3.99e+00")])
def test_numbers_in_another_format(spec, numbers):
    w = cr.Tensor(-1e-3, requires_grad=True, name="w")
    a = w.tanh()
    a.name = "a"
    e = cr.explain((a * -2.0 - 1.0) ** 2, w)
    assert f"\n      = {numbers}\n" in format(e, spec)
    assert f"{e}" == str(e) == repr(e)


def test_the_short_form_and_the_default_names():
    named = neuron()
    assert str(named["L"].explain(named["b"])).startswith("∂L/∂x₂ = ∂L/∂h₃ · ∂h₃/∂x₂\n")
    assert str(named["L"].explain(named["w"])).startswith("∂L/∂x₁ = ∂L/∂h₃ · ∂h₃/∂h₂ · ∂h₂/∂x₁\n")
    assert str(named["L"].explain(named["b"], (), named)).startswith("∂L/∂b = ∂L/∂a · ∂a/∂b\n")


def test_constants_merge_but_named_values_stay():
    w = cr.Tensor(0.5, requires_grad=True, name="w")
    z = w * 3.0 - 1.5
    z.name = "z"
    square = (z - 1) ** 2
    square.name = "s"
    L = -(square * 0.25)
    path, = cr.explain(L, w).paths
    assert [(f.name, f.value, f.symbol) for f in path.factors] == [
        ("∂L/∂s", -0.25, ""), ("∂s/∂z", -2.0, "2·(z-1)"), ("∂z/∂w", 3.0, "")]
    path, = cr.explain(L, z).paths
    assert [(f.name, f.value) for f in path.factors] == [("∂L/∂s", -0.25), ("∂s/∂z", -2.0)]


def test_elements_are_named_by_their_index():
    W1 = cr.Tensor([[0.1, 0.2], [0.3, 0.4], [0.5, -0.9]], requires_grad=True, name="W1")
    W2 = cr.Tensor([[1.0, -2.0, 3.0]], requires_grad=True, name="W2")
    x = cr.Tensor([1.0, 2.0], name="x")
    hidden = (W1 @ x).relu()
    hidden.name = "hidden"
    L = ((W2 @ hidden) ** 2).sum()
    path, = cr.explain(L, W1, (0, 1)).paths
    assert [(f.name, f.symbol) for f in path.factors] == [
        ("∂L/∂h₂", "2·h₂"), ("∂h₂/∂hidden[0]", "W2[0,0]"), ("∂hidden[0]/∂h₁[0]", "[h₁[0] > 0]"),
        ("∂h₁[0]/∂W1[0,1]", "x[1]")]
    dead = cr.explain(L, W1, (2, 0))                               # a relu that is off is shown, not left out
    assert [f.value for f in dead.paths[0].factors][2] == 0
    assert dead.total == dead.gradient == 0
    assert dead.by == "W1[2,0]"
    assert cr.explain(L, W1, (-1, -2)).by == "W1[2,0]"
    assert cr.explain(L, W1).by == "W1[0,0]"
    assert cr.explain(L, hidden, 2).by == "hidden[2]"


def test_names_from_layers():
    class Net(nn.Layer):
        def __init__(self):
            self.hidden, self.out = nn.Linear(2, 3), nn.Linear(3, 1)

        def forward(self, x):
            return self.out(self.hidden(x).tanh()).sum()

    model = Net()
    text = str(cr.explain(model(np.ones((1, 2))), model.hidden.weight, (0, 1), names=model))
    assert text.startswith("∂L/∂hidden.weight[0,1] = ∂L/∂h")
    assert "∂hidden[0,0]/∂hidden.weight[0,1] = c₁[0,1] = 1" in text


def test_a_fork():
    a = cr.Tensor(3.0, requires_grad=True, name="a")
    b = a + a
    c = b + b
    e = cr.explain(c, a)
    assert e.count == 4
    assert [path.product for path in e.paths] == [1, 1, 1, 1]
    assert e.total == e.gradient == 4
    assert [(f.name, f.value, f.paths) for f in e.chain] == [("∂L/∂h₁", 2, 2), ("∂h₁/∂a", 2, 2)]
    assert str(e).startswith("Every path goes through h₁:\n∂L/∂a = ∂L/∂h₁ · ∂h₁/∂a\n      = 2 · 2 = 4\n")
    assert str(e).count("∂L/∂a = 1\n") == 4
    assert "  sum: 4" in str(e)


def test_paths_that_cancel_are_listed():
    a = cr.Tensor(3.0, requires_grad=True, name="a")
    e = cr.explain(a.exp() - a.exp(), a)
    assert sorted(path.product for path in e.paths) == pytest.approx([-math.exp(3), math.exp(3)], rel=1e-14)
    assert e.gradient == e.total == 0


def test_a_fork_in_the_middle_has_the_textbooks_chain():
    named = neuron()
    a, t = named["a"], cr.Tensor(0.25, name="t")
    L = -(t * np.log(a) + (1 - t) * np.log(1 - a))
    e = cr.explain(L, named["w"], names=named | {"L": L})
    assert [f.name for f in e.chain] == ["∂L/∂a", "∂a/∂z", "∂z/∂w"]
    assert e.chain[0].paths == 2
    value = a.item()
    assert e.chain[0].value == pytest.approx(-0.25 / value + 0.75 / (1 - value), rel=1e-14)
    assert len(e.paths) == 2
    assert e.total == pytest.approx((value - 0.25) * 3, rel=1e-14)


def test_more_paths_than_can_be_listed_are_summed_by_their_last_step():
    a = cr.Tensor(3.0, requires_grad=True, name="a")
    y = a
    for _ in range(40):
        y = y + y
    e = cr.explain(y, a)
    assert e.count == 2 ** 40
    assert e.gradient == e.total == 2.0 ** 40
    assert [(path.product, path.count) for path in e.paths] == [(2.0 ** 39, 2 ** 39)] * 2
    assert "the sum over 1,099,511,627,776 paths; each line sums up those that share their last step:" in str(e)
    assert str(e).count("(549,755,813,888 paths)") == 2


def batch(samples, hidden):
    rng = np.random.default_rng(0)
    X = cr.Tensor(rng.normal(size=(samples, 4)))
    W1, W2 = (cr.Tensor(rng.normal(size=s), requires_grad=True) for s in ((4, hidden), (hidden, 3)))
    scores = np.tanh(X @ W1) @ W2
    loss = -scores.log_softmax()[np.arange(samples), rng.integers(0, 3, samples)].mean()
    return locals()


def test_a_batch_is_a_sum_over_samples():
    named = batch(32, 5)
    e = cr.explain(named["loss"], named["W1"], (1, 2), names=named)
    assert e.count == 32 * 3
    assert len(e.paths) == 32
    assert [path.factors[1].value for path in e.paths] == named["X"].numpy()[:, 1].tolist()
    assert [path.factors[1].symbol for path in e.paths] == [f"X[{n},1]" for n in range(32)]
    few = cr.explain(named["loss"], named["W1"], (1, 2), names=named, most=100)
    named["loss"].backward()
    assert e.gradient == named["W1"].grad.numpy()[1, 2]
    assert e.total == pytest.approx(e.gradient, rel=1e-12)
    text = str(e)
    assert "the sum over 96 paths" in text
    assert "… and 12 smaller, which add up to" in text
    assert len(few.paths) == 96
    assert few.total == pytest.approx(e.gradient, rel=1e-12)


def test_a_large_graph_is_grouped_without_counting():
    named = batch(400, 50)
    assert MOST_ROWS < 400 * 50
    e = cr.explain(named["loss"], named["W1"], (1, 2), names=named)
    named["loss"].backward()
    assert e.count is None
    assert len(e.paths) == 400
    assert [path.factors[1].value for path in e.paths] == named["X"].numpy()[:, 1].tolist()
    assert e.gradient == named["W1"].grad.numpy()[1, 2]
    assert e.total == pytest.approx(e.gradient, rel=1e-10)
    assert "more paths than were counted" in str(e)
    assert str(e).count("\n") < 60


def test_an_element_that_leads_nowhere():
    w = cr.Tensor([1.0, 2.0], requires_grad=True, name="w")
    e = cr.explain(w[0] * 3.0, w, 1)
    assert e.paths == ()
    assert e.total == e.gradient == 0
    assert str(e) == "∂L/∂w[1] = 0: no path leads from L to w[1]"


def test_a_graph_by_hand():
    g = cr.Graph()
    x, y, z = g.inputs("x", "y", "z")
    f = g.output((x + y) * z)
    f.name = "f"
    g.forward(x=-2, y=5, z=-4)
    assert str(g.explain("x")) == "∂f/∂x = z = -4"
    assert g.explain(x).gradient == g.explain("x").total == -4
    assert cr.explain(g, "z").total == 3


def test_what_cannot_be_explained():
    w = cr.Tensor([1.0, 2.0], requires_grad=True, name="w")
    other = cr.Tensor(1.0, requires_grad=True, name="other")
    with pytest.raises(ValueError, match=r"shape \(2,\); explain one element of it, as in explain\(result\[0\], w\)"):
        cr.explain(w * w, w)
    loss = (w * w).sum()
    with pytest.raises(ValueError, match="L does not depend on this tensor"):
        cr.explain(loss, other)
    g = cr.Graph()
    x = g.input("x", 1.5)
    g.output(x * 2 + cr.floor(g.input("y", 2.5)))
    with pytest.raises(ValueError, match="h₃ does not depend on y, or not through gates that can be differentiated"):
        cr.explain(g, "y")
    for index in (2, -3, (0, 0), 1.5):
        with pytest.raises(IndexError, match=r"w of shape \(2,\) has no element"):
            cr.explain(loss, w, index)
    with pytest.raises(KeyError, match="no node named 'v'"):
        cr.explain(loss, "v")
    loss.backward()
    with pytest.raises(ValueError, match="build Graph"):
        cr.explain(loss, w)


def test_explaining_leaves_the_tape_alone():
    named = neuron()
    cr.explain(named["L"], named["w"])
    assert named["w"].grad is None
    named["L"].backward()
    assert named["w"].grad is not None


# ------------------------------------------------------------------ the sum over paths is the gradient
def random_graph(seed):
    """A small random graph of vectors and matrices, with forks, and a scalar at the end."""
    rng = np.random.default_rng(seed)
    leaves = [cr.Tensor(rng.normal(size=s), requires_grad=True, name=n) for n, s in (
        ("s", ()), ("v", (2,)), ("M", (2, 2)))]
    values = list(leaves)
    for _ in range(rng.integers(3, 8)):
        kind = rng.integers(9)
        a, b = (values[i] for i in rng.integers(len(values), size=2))
        c = values[-1]
        if kind == 0:
            values.append(a + b)
        elif kind == 1:
            values.append(c * b)
        elif kind == 2:
            values.append(a - c)
        elif kind == 3:
            values.append(c.tanh())
        elif kind == 4:
            values.append(leaves[2] @ (c if c.ndim else leaves[1] * c))
        elif kind == 5:
            values.append(c.relu() + b)
        elif kind == 6:
            values.append(c.softmax() if c.ndim else c.sin())
        elif kind == 7:
            values.append(np.maximum(a, c))
        else:
            values.append(c.sum(axis=0) if c.ndim == 2 else c[..., None] * b if c.ndim == 1 and b.ndim == 1 else c ** 2)
    result = values[-1].mean() + (leaves[0] * leaves[1]).sum() + (leaves[2] * 0.5).sum()
    return leaves, result


@pytest.mark.parametrize("most", [10 ** 4, 20])
@pytest.mark.parametrize("seed", range(100))
def test_the_sum_over_paths_is_the_gradient(seed, most):
    leaves, result = random_graph(seed)
    rng = np.random.default_rng(seed)
    explained = []
    for leaf in leaves:
        index = tuple(int(rng.integers(n)) for n in leaf.shape)
        explained.append((leaf, index, cr.explain(result, leaf, index, most=most)))
    result.backward()
    for leaf, index, e in explained:
        gradient = leaf.grad.numpy()[index]
        scale = max(1.0, sum(abs(path.product) for path in e.paths))
        assert e.gradient == pytest.approx(gradient, rel=1e-12, abs=1e-12)
        assert abs(math.fsum(math.prod(f.value for f in path.factors) for path in e.paths) - gradient) < 1e-12 * scale
        assert abs(e.total - gradient) < 1e-12 * scale
        assert sum(path.count for path in e.paths) == e.count
        if len(e.chain) > 1:
            assert abs(math.prod(f.value for f in e.chain) - gradient) < 1e-12 * scale
            assert math.prod(f.paths for f in e.chain) == e.count
        assert str(e)


def test_the_random_graphs_have_forks_and_many_paths():
    counts = [cr.explain(result, leaf).count for leaves, result in map(random_graph, range(30)) for leaf in leaves]
    assert max(counts) > 20
    assert sum(count > 1 for count in counts) > 30
