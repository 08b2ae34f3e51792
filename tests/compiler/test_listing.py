"""What a program looks like in print."""
from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.compiler.programs import recorded

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.program import Application, Cell, Fused, Program, Value, kind
from chainrule.compiler.views.listing import Titles, applied, constant, said, spelled, where
from chainrule.source import Place
from chainrule.state import holds

FLOAT = np.dtype("f4")


def columns(text):
    """The lines, with one gap between the columns."""
    return [re.sub(r"  +", "  ", line) for line in str(text).splitlines()]


SOURCE = """\
def step(x):
    optimizer.zero_grad()
    loss = (w * x).sum()
    loss.backward()
    optimizer.step()
    return {"loss": loss, "pair": (loss, 3)}
"""


def training():
    """A step that stands in a file, with a weight that has a name, and one that has none."""
    w = cr.Tensor([1.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.25, momentum=0.5)
    scope = {"w": w, "optimizer": optimizer, "__builtins__": {}}
    exec(compile(SOURCE, "/somewhere/else/train.py", "exec"), scope)
    return scope["step"]


def test_a_step_of_training():
    """Its first table says what goes in, its second what is done, and where; then what is left behind, and assumed."""
    program = recorded(training(), np.array([2.0]))
    assert str(program) == repr(program) == """\
%0   argument x                                  float64[1]
%1   cell w                                      float64[1]
%4   constant 1.0                                float64[]
%7   cell optimizer.param_groups[0]['lr']        float
%8   cell optimizer.param_groups[0]['momentum']  float
%9   cell optimizer.state[w]['step']             int
%11  cell optimizer.state[w]['momentum_buffer']  float64[1]
%2   multiply(%1, %0)                            float64[1]  train.py:3
%3   sum(%2)                                     float64[]
%5   broadcast_to(%4, shape=(1,))                float64[1]  train.py:4
%6   multiply(%5, %0)                            float64[1]
%10  add(%9, 1)                                  int         train.py:5
%12  multiply(%11, %8)                           float64[1]
%13  add(%12, %6)                                float64[1]
%14  multiply(%7, %13)                           float64[1]
%15  subtract(%1, %14)                           float64[1]
w.grad ← %6
w ← %15
optimizer.state[w]['step'] ← %10
optimizer.state[w]['momentum_buffer'] ← %13
return {'loss': %3, 'pair': (%3, 3)}
assuming something other than None, False and 0 in optimizer.param_groups[0]: momentum
assuming None, False or 0 in optimizer.param_groups[0]: dampening, weight_decay, nesterov, maximize"""


def test_the_same_step_gives_the_same_text():
    assert str(recorded(training(), np.ones(1))) == str(recorded(training(), np.ones(1)))


# ------------------------------------------------------------------ gates that are run as one, and in place
def small():
    """y = exp(2x) + x, z = -y, by hand."""
    kinds = ((3,), FLOAT)
    x, a, b, y, z = values = [Value(i, kinds) for i in range(5)]
    steps = [Application(cr.GATES[name], inputs, {}, result) for name, inputs, result in (
        ("multiply", (2.0, x), a), ("exp", (a,), b), ("add", (b, x), y), ("negative", (y,), z))]
    return Program([x], steps=steps, result=z, size=5), values


def test_gates_that_are_run_as_one_stand_behind_a_bracket():
    program, (_, _, _, y, _) = small()
    assert str(replace(program, steps=[Fused(tuple(program.steps[:3]), (y,)), program.steps[3]])) == """\
%0    argument           float32[3]
┌     3 gates as one, for %3
│ %1  multiply(2.0, %0)  (float32[3])
│ %2  exp(%1)            (float32[3])
└ %3  add(%2, %0)        float32[3]
%4    negative(%3)       float32[3]
return %4"""


def test_a_value_that_is_computed_straight_into_a_cell_says_so():
    program, (_, _, b, y, _) = small()
    w, v = cr.Tensor(np.zeros(3, FLOAT), name="w"), cr.Tensor(np.zeros(3, FLOAT), name="v")
    home = Cell(w, "array")
    lines = columns(replace(program, homes={y: home},
                            writes=[(Cell(w, "array"), y), (Cell(v, "array"), b), (Cell(v, "gradient"), y)]))
    assert "%3  add(%2, %0) into w  float32[3]" in lines
    assert "%2  exp(%1)  float32[3]" in lines
    assert lines[-4:] == ["w ← %3 (in place)", "v ← %2", "v.grad ← %3", "return %4"]


# ------------------------------------------------------------------ lines of code
def test_a_line_is_told_once_for_all_its_gates():
    scope = {}
    exec(compile("def step(x):\n    y = x * x + 1\n    z = y.sum()\n    return z - y\n", "<string>", "exec"), scope)
    lines = columns(recorded(scope["step"], np.ones(2)))
    assert [line.partition("line ")[2] for line in lines] == ["", "2", "", "3", "4", ""]


def test_files_by_their_last_name_and_what_is_no_file_by_its_line():
    assert where(Place(compile("\nx = 1\n", "/a/b/train.py", "exec"), 2)) == "train.py:2"
    assert where(Place(compile("\nx = 1\n", "<stdin>", "exec"), 2)) == "line 2"
    assert where(None) == ""


def test_a_wide_line_does_not_push_all_others_away():
    x = [cr.Tensor(np.ones(2)) for _ in range(40)]
    lines = str(recorded(lambda y: cr.exp(cr.concatenate([*x, y])), np.ones(2))).splitlines()
    wide, narrow = [next(line for line in lines if name in line) for name in ("concatenate(", "exp(")]
    assert len(wide) > 200
    assert len(narrow) < 110


# ------------------------------------------------------------------ names
def test_state_is_called_as_the_users_code_calls_it():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    optimizer = optim.Adam(model.parameters())
    factor = cr.cell(2.0)

    def step(x):
        optimizer.zero_grad()
        (model(x) * factor.value).sum().backward()
        optimizer.step()

    program = recorded(step, np.ones((4, 2), np.float32))
    titles = Titles(program)
    written = {titles.cell(cell) for cell, _ in program.writes}
    assert {"model.0.weight", "model.0.weight.grad", "model.1.running_mean", "random.dropout.position",
            "optimizer.state[model.0.weight]['exp_avg']"} <= written
    assert {"factor.value", "optimizer.param_groups[0]['betas'][1]"} <= {titles.cell(cell) for cell, _ in program.reads}


def test_arguments_have_the_names_of_the_signature():
    step = cr.compile(lambda x, batch, *more, factor: x * batch["k"][1] * factor + more[0] + 3)
    step(np.ones(1), {"k": [1, np.ones(2)]}, np.ones(3)[:1], factor=np.float32(2))
    titles = Titles(step.recorded)
    assert [titles.argument(v) for v in step.recorded.arguments] == ["x", "batch['k'][1]", "argument 2", "factor"]


def test_owners_without_a_name_are_told_apart():
    tensors = [cr.Tensor([1.0]), cr.Tensor([1.0], name="w"), cr.Tensor([1.0]), cr.Tensor([1.0], name="w")]
    titles = Titles(Program())
    assert [titles.cell(Cell(t, "array")) for t in tensors] == ["tensor#1", "w", "tensor#2", "w#2"]
    assert titles.cell(Cell({"lr": 1.0}, "lr")) == "dict#1['lr']"
    assert titles.cell(Cell(tensors[0], "gradient")) == "tensor#1.grad"
    assert titles.cell(Cell(cr.random.dropout, "position")) == "random.dropout.position"
    assert titles.cell(Cell({"__builtins__": {}, "factor": 2.0}, "factor")) == "factor"


# ------------------------------------------------------------------ operands, options, constants
def test_operands_and_options_in_few_characters():
    a, i = Value(0, ((4, 4), FLOAT)), Value(1, ((2,), np.dtype("i8")))
    layer = nn.Linear(2, 2)
    for gate, inputs, options, text in [
            ("getitem", (a, slice(1, None), i, None, ...), {}, "%0[1:, %1, None, …]"), ("getitem", (a,), {}, "%0[()]"),
            ("sum", (a,), {"axis": (0, 1), "keepdims": True}, "sum(%0, axis=(0, 1), keepdims=True)"),
            ("cast", (a,), {"dtype": np.dtype("f8")}, "cast(%0, dtype=float64)"),
            ("cast", (a,), {"dtype": np.float64}, "cast(%0, dtype=float64)"),
            ("handwritten", (a,), {"layer": layer, "count": 1}, f"handwritten(%0, layer={layer!r}, count=1)"),
            ("handwritten", (a,), {"layer": nn.Sequential(*[layer] * 9)}, "handwritten(%0, layer=Sequential)")]:
        assert applied(Application(cr.GATES[gate], inputs, options, a)) == text
        assert str(Application(cr.GATES[gate], inputs, options, a)) == text
    assert said("x" * 100) == "'" + "x" * 38 + "…"


@pytest.mark.parametrize(("value", "text"), [
    (2, "2"), (0.1 + 0.2, "0.30000000000000004"), (np.float32(0.1), "0.1"), (np.array(3.0), "3.0"),
    (np.arange(3), "[0, 1, 2]"), (np.ones(2, np.float32), "[1, 1]"), (np.zeros((50, 10)), "all 0"),
    (np.arange(100, dtype=np.float32), "0 … 99"), (np.full(9, np.nan), "and NaN"), (np.zeros((0, 3)), "empty")])
def test_constants_are_shortened(value, text):
    assert constant(value) == text


def test_kinds():
    assert [spelled(k) for k in (((), FLOAT), ((2, 3), np.dtype(bool)), int, None, True, (float, ((2,), FLOAT)))] == [
        "float32[]", "bool[2, 3]", "int", "None", "True", "(float, float32[2])"]


# ------------------------------------------------------------------ what is assumed
def test_assumptions_in_words():
    w = cr.Tensor([1.0], name="w")
    read, other = Cell(w, "array"), Cell(w, "gradient")
    value = Value(0, kind(w.array))
    program = Program(reads=[(read, value)], result=value, guards=[
        (kind, read, kind(w.array)), (kind, other, None), (holds, other, False), (len, other, 3)])
    assert str(program).splitlines()[-4:] == [
        "return %0", "assuming None: w.grad", "assuming None, False or 0: w.grad", "assuming len is 3: w.grad"]


def test_gradients_that_are_not_kept():
    step = cr.compile(training())
    for _ in range(3):
        step(np.ones(1))
    assert "w.grad ← not kept" in str(step.program).splitlines()
