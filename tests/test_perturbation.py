"""One definition, perturbed: when one derivative of one gate is doubled, every gradient doubles with it.

The tape, the Graph, layers by hand, `explain` and a compiled step all take the derivative from the gate. Whatever did
not change here would hold a copy of it. And `check_gradients` must name the gate, the argument and the index.
"""
from __future__ import annotations

import numpy as np
import pytest
from tests.gates.checks import BY_GATE, GATES, by_rule, named, seed, value

import chainrule as cr
from chainrule import nn, optim
from chainrule.by_hand.layer import HandLayer

#: The derivative of `sign` is 0, and so is its double.
FLAT = {"sign"}


def derivatives():
    """Every derivative of every gate: its gate and its place; of a joint rule the first two places."""
    for name, gate in sorted(GATES.items()):
        if name not in FLAT:
            places = range(2) if gate.joint is not None else [i for i, rule in enumerate(gate.derivative) if rule]
            yield from ((name, i) for i in places)


every_derivative = pytest.mark.parametrize(("name", "place"), list(derivatives()))


def cases(name, place, most=2, scalar=False):
    """Small cases in which a gradient that is not 0 comes back to this argument."""
    def fits(case):
        if place not in case.floats or case.floats[place].size > 24 or (scalar and np.ndim(value(case))):
            return False
        gradient = by_rule(case, seed(case, value(case)))[place]
        return np.isfinite(gradient).all() and (np.abs(gradient) > 1e-3).any()

    return [case for case in BY_GATE[name] if fits(case)][:most]


def doubled(gate, place, monkeypatch):
    """Install the derivative of a gate by one of its arguments twice as large."""
    if gate.joint is not None:
        joint = gate.joint

        def rules(dz, z, wanted, *inputs, **options):
            parts = list(joint(dz, z, wanted, *inputs, **options))
            if place < len(parts) and parts[place] is not None:
                parts[place] = parts[place] + parts[place]
            return parts

        monkeypatch.setattr(gate, "joint", rules)
        return
    rule = gate.derivative[place]

    def twice(dz, z, *inputs, **options):
        return rule(dz + dz, z, *inputs, **options)

    if hasattr(rule, "into"):                          # the form that adds into a gradient which is there already
        twice.into = lambda total, dz, *rest, **options: rule.into(total, dz + dz, *rest, **options)
    monkeypatch.setattr(gate, "derivative", (*gate.derivative[:place], twice, *gate.derivative[place + 1:]))


# ------------------------------------------------------------------ everything that gives a gradient
def applied(case, floats):
    """The gate, applied to a case with these in the place of its floating-point arrays."""
    given = iter(floats)
    return case.rule(*[next(given) if i in case.floats else x for i, x in enumerate(case.inputs)], **case.options)


def leaves(case):
    return [cr.Tensor(x, requires_grad=True) for x in case.floats.values()]


def tape(case, dz):
    tensors = leaves(case)
    applied(case, tensors).backward(dz)
    return [t.grad.numpy() for t in tensors]


def graph(case, dz):
    g = cr.Graph()
    g.output(applied(case, [g.input(f"x{i}", x) for i, x in case.floats.items()]))
    return [np.asarray(d) for d in g.backward(dz).values()]


def graph_of_the_tape(case, dz):
    tensors = leaves(case)
    g = cr.Graph(applied(case, tensors))
    gradients = g.backward(dz)
    return [np.asarray(gradients[g[t].name]) for t in tensors]


def by_hand(case, dz):
    class Applied(nn.Layer):
        def forward(self, *floats):
            return applied(case, floats)

    layer = Applied()
    layer.forward(*case.floats.values())
    gradients = layer.backward(dz)
    return list(gradients) if isinstance(gradients, tuple) else [gradients]


def hand_layer(case, dz):
    """The base of `chainrule.by_hand.layers`: gate by gate where the case is one gate of arrays, else over the tape."""
    class Applied(HandLayer):
        def forward(self, *floats):
            if len(floats) == len(case.inputs) == case.rule.arity:
                return self.chain((case.rule, case.options), inputs=floats)
            return self.run(lambda *floats: applied(case, floats), *floats)

    layer = Applied()
    layer.forward(*case.floats.values())
    gradients = layer.backward(dz)
    return list(gradients) if isinstance(gradients, tuple) else [gradients]


def compiled(case, dz):
    """The gradients of the third call: those of the program."""
    tensors = leaves(case)
    optimizer = optim.SGD(tensors, lr=0.5)

    @cr.compile
    def step(dz):
        optimizer.zero_grad()
        applied(case, tensors).backward(dz)
        return [t.grad for t in tensors]

    for _ in range(2):
        step(np.zeros_like(dz))
    step.record = None                                 # from now on nothing is recorded
    return [d.numpy() for d in step(dz)]


def explained(case, dz):
    """The gradients of one element of the result, as sums over paths; `getitem` itself needs a scalar case."""
    tensors = leaves(case)
    z = applied(case, tensors)
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(dz != 0)), np.shape(dz)))
    result = z[place] if z.ndim else z
    gradients = []
    for t in tensors:
        gradients.append(np.zeros(t.shape))
        for index in np.ndindex(t.shape):
            try:
                explanation = cr.explain(result, t, index)
            except ValueError:                         # one of the operands leads nowhere
                continue
            assert explanation.total == pytest.approx(explanation.gradient, rel=1e-13, abs=1e-13)
            gradients[-1][index] = sum(path.product for path in explanation.paths)
    return gradients


def unit(case, place):
    """A seed that picks the element of the result through which most comes back to an argument."""
    z = value(case)
    seeds = []
    for j in range(np.size(z)):
        dz = np.zeros(np.shape(z))
        dz.flat[j] = 1
        seeds.append(dz)
    return max(seeds, key=lambda dz: float(np.abs(by_rule(case, dz)[place]).sum()))


WAYS = {way.__name__: way for way in (tape, graph, graph_of_the_tape, by_hand, hand_layer, compiled)}


def changes_as_it_should(way, case, place, dz, monkeypatch):
    order = list(case.floats)
    before = way(case, dz)
    with monkeypatch.context() as patch:
        doubled(case.rule, place, patch)
        after = way(case, dz)
    assert np.any(before[order.index(place)] != 0)
    for i, old, new in zip(order, before, after, strict=True):
        np.testing.assert_array_equal(new, old * 2 if i == place else old)


@pytest.mark.parametrize("way", WAYS)
@every_derivative
def test_every_gradient_follows_the_derivative(name, place, way, monkeypatch):
    found = cases(name, place)
    assert found, f"tests/gates/cases.py has no case of {name} with a gradient by argument {place}"
    for case in found:
        with named(case):
            changes_as_it_should(WAYS[way], case, place, seed(case, value(case)), monkeypatch)


@every_derivative
def test_explain_follows_the_derivative(name, place, monkeypatch):
    case, *_ = cases(name, place, most=1, scalar=name == "getitem")
    with named(case):
        changes_as_it_should(explained, case, place, unit(case, place), monkeypatch)


@every_derivative
def test_check_gradients_names_the_gate_the_argument_and_the_index(name, place, monkeypatch):
    case, *_ = cases(name, place, most=1)
    argument = ([*list(case.rule.arguments), str(place)])[min(place, len(case.rule.arguments))]

    def function(*floats):
        return applied(case, floats)

    arrays = [x.copy() for x in case.floats.values()]
    with named(case):
        assert cr.check_gradients(function, *arrays) < 1e-6
        doubled(case.rule, place, monkeypatch)
        with pytest.raises(cr.GradientError) as raised:
            cr.check_gradients(function, *arrays)
        culprit, = raised.value.culprits
        assert (culprit.gate, culprit.argument) == (name, argument)
        assert len(culprit.index) == case.floats[place].ndim
        assert case.floats[place][culprit.index].shape == ()
        assert culprit.analytic == pytest.approx(2 * culprit.numeric, rel=1e-5)
        wrong = raised.value.elements
        assert {e.verdict for e in wrong} == {"wrong formula"}
        assert culprit.index in {e.index for e in wrong}
        assert f"{name}, argument {argument}, index {culprit.index}" in str(raised.value)


def test_the_form_that_adds_in_place_follows_too(monkeypatch):
    """Several slices of one array share an accumulator: that form of a derivative is the same definition."""
    def gradient():
        x = cr.Tensor(np.arange(6.0), requires_grad=True)
        (x[:4].sum() + x[2:].sum() + x[np.array([1, 1])].sum()).backward()
        return x.grad.numpy()

    before = gradient()
    assert before.tolist() == [1, 3, 2, 2, 1, 1]
    doubled(cr.getitem, 0, monkeypatch)
    assert gradient().tolist() == (before * 2).tolist()


def test_a_copy_would_be_found(monkeypatch):
    """The test above does find what it is meant to find."""
    case, *_ = cases("tanh", 0)
    monkeypatch.setitem(WAYS, "tape", lambda case, dz: [by_rule(case, dz)[0] * 0 + (1 - np.tanh(case.inputs[0]) ** 2)])
    with pytest.raises(AssertionError):
        changes_as_it_should(WAYS["tape"], case, 0, seed(case, value(case)), monkeypatch)
