"""Programs as Mermaid flowcharts."""
from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.programs import recorded

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.program import Application, Cell, Fused, Program, Value
from chainrule.compiler.views.mermaid import flowchart

KIND = ((3,), np.dtype("f4"))
#: One statement a line: a box of one of the shapes, a frame, its end, or an arrow.
TEXT = r'"[^"<>]*(?:<br/>[^"<>]*)*"'
BOX = rf"(?P<id>[vwr]\d+)(?:\(\[{TEXT}\]\)|\[\({TEXT}\)\]|\[{TEXT}\]|\{{\{{{TEXT}\}}\}})"
LINE = re.compile(rf'    (?:    )?{BOX}|    subgraph (?P<frame>f\d+)\[{TEXT}\]|    end|    (?P<a>v\d+) (?:-->|-\.->) '
                  r"(?P<b>[vwr]\d+)")


def check(text):
    """Check a flowchart by its grammar; give its boxes and arrows."""
    first, *rest = text.split("\n")
    assert first == "flowchart TD"
    lines = [LINE.fullmatch(line) for line in rest]
    assert all(lines), [line for line, match in zip(rest, lines, strict=True) if not match]
    boxes = [m["id"] for m in lines if m["id"]]
    frames = [m["frame"] for m in lines if m["frame"]]
    assert len(set(boxes + frames)) == len(boxes + frames)
    assert rest.count("    end") == len(frames)
    arrows = [(m["a"], m["b"]) for m in lines if m["a"]]
    assert {end for arrow in arrows for end in arrow} <= set(boxes)
    return boxes, arrows


def small():
    """Everything that a program may have, by hand: w and m are set, one of them in place."""
    w, m = cr.Tensor(np.zeros(3, "f4"), name="w"), {"m": np.zeros(3, "f4")}
    x, c, v, a, b, y, lr = [Value(i, KIND if i < 6 else float) for i in range(7)]
    steps = [Application(cr.GATES[name], inputs, {}, result) for name, inputs, result in (
        ("multiply", (x, c), a), ("multiply", (a, lr), b), ("subtract", (v, b), y))]
    return Program(
        [x], [(c, np.float32([1, 2, 3]))], [(Cell(w, "array"), v), (Cell({"lr": 0.1}, "lr"), lr)],
        [steps[0], Fused(tuple(steps[1:]), (y,))],
        [(Cell(w, "array"), y), (Cell(m, "m"), a), (Cell(w, "gradient"), None)],
        {"a": a, "n": 2}, size=7, homes={y: Cell(w, "array")}, names={id(x): "x"})


def test_all_kinds_of_boxes_and_arrows():
    program = small()
    assert flowchart(program) == program.to_mermaid() == """\
flowchart TD
    v0(["%0 x<br/>float32[3]"])
    v1{{"%1 [1, 2, 3]<br/>float32[3]"}}
    v2[("%2 w<br/>float32[3]")]
    v6[("%6 dict#35;1['lr']<br/>float")]
    v3["%3 multiply(%0, %1)<br/>float32[3]"]
    subgraph f1["2 gates as one"]
        v4["%4 multiply(%3, %6)<br/>float32[3]"]
        v5["%5 subtract(%2, %4)<br/>float32[3]"]
    end
    w0[("w")]
    w1[("dict#35;2['m']")]
    w2[("w.grad<br/>← None")]
    r0(["returned ['a']"])
    r1(["returned ['n']<br/>2"])
    v0 --> v3
    v1 --> v3
    v3 --> v4
    v6 --> v4
    v2 --> v5
    v4 --> v5
    v5 -.-> w0
    v3 --> w1
    v3 --> r0"""
    check(flowchart(program))


def test_constants_and_numbers_may_be_left_out():
    program = small()
    boxes, arrows = check(flowchart(program, constants=False))
    assert "v1" not in boxes
    assert "v6" in boxes
    assert ("v6", "v4") in arrows
    boxes, arrows = check(program.to_mermaid(constants=False, numbers=False))
    assert {"v1", "v6"}.isdisjoint(boxes)
    assert arrows == [("v0", "v3"), ("v3", "v4"), ("v2", "v5"), ("v4", "v5"), ("v5", "w0"), ("v3", "w1"), ("v3", "r0")]


def test_a_step_of_training_has_each_value_and_each_operand():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss, x

    program = recorded(step, np.ones((5, 4), np.float32))
    boxes, arrows = check(program.to_mermaid())
    assert {box for box in boxes if box[0] == "v"} == {f"v{i}" for i in range(program.size)}
    assert len([box for box in boxes if box[0] == "w"]) == len(program.writes)
    assert set(arrows) >= {(f"v{x.number}", f"v{a.result.number}") for a in program.applications for x in a.inputs
                           if isinstance(x, Value)}
    fewer, _ = check(program.to_mermaid(numbers=False))
    assert len(fewer) < len(boxes)
    assert program.to_mermaid() == program.to_mermaid()


def test_programs_that_do_nothing():
    assert flowchart(Program()) == "flowchart TD"
    assert check(recorded(lambda x: x, np.ones(2)).to_mermaid()) == (["v0", "r0"], [("v0", "r0")])


@given(st.text(min_size=1, max_size=12), st.text(max_size=8))
@settings(max_examples=100)
def test_no_name_breaks_a_flowchart(name, key):
    program = small()
    program.names[id(program.arguments[0])] = name
    w = cr.Tensor(np.zeros(3, "f4"), name=name)
    a = program.steps[0].result
    check(flowchart(replace(program, writes=[(Cell(w, "array"), a), (Cell({key: 0}, key), a)], result={key: a})))
