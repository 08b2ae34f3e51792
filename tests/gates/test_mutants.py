"""Would the checks notice? Every derivative is changed in every small way there is, and each change must be caught.

A mutant is made from the source: the gate's rules and the private helpers they call, one node of the syntax tree at a
time: a sign turned, a term or a factor dropped, sum for difference, product for quotient, the operands of a matrix
product exchanged, a transposition or another gate left out, a branch of a choice taken for the other, a comparison
moved, an option left out, a constant one larger. It is installed in the place of the true rule and run against values
and numerical derivatives that were worked out before, the conventions at kinks, and the dtype.
"""
from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.gates.cases import TIES
from tests.gates.checks import BY_GATE, GATES, by_rule, numerical, second_by_rule, second_numerical, seed, value

import chainrule as cr
from chainrule.gates import comparison, elementwise, indexing, linalg, loss, reduction, shaping
from chainrule.reverse import pull

MODULES = [elementwise, indexing, linalg, loss, reduction, shaping]
NAMES = {name for module in [comparison, *MODULES] for name in module.__all__}

#: Mutants that compute the same, each with the reason.
EQUIVALENT: dict[str, str] = {
    "sign[0]: dz * 0 -> its negative": "-0 is 0",
    "_slope_of_power: 1 -> 2": "at n = 0 it is multiplied by n",
    "_add_at: any((isinstance(i, np.ndarray) and i.dtype.kind != 'b' for i in index)) -> "
    "(isinstance(i, np.ndarray) and i.dtype.kind != 'b' for i in index)": "np.add.at is right for any index, but slow",
    "_d_einsum: index in target -> index not in target": "an identity matrix for every axis is right, but slow",
    "_d_norm2: 1 -> 2": "what is divided by it is 0",
    "_d_std: 1 -> 2": "what is multiplied by its inverse is 0",
    "_d_logsumexp: 0 -> 1": "one less than -∞ is -∞",
    "_ones: False -> True": "nobody writes into it",
    "_log: maximum(p, _least(_dtype(p))) -> p": "right, but with a warning at 0; see test_functional.py",
    "_least: return float(np.finfo(dtype).smallest_subnormal) -> return -float(np.finfo(dtype).smallest_subnormal)":
        "right, but with a warning at 0; see test_functional.py",
    "_bound: max(e(FLOOR), least) -> e(FLOOR)": "the same in float64; float32 is tested in test_functional.py",
    "_bound: float(np.finfo(dtype).smallest_normal) ** 0.8 -> float(np.finfo(dtype).smallest_normal)":
        "the same in float64; float32 is tested in test_functional.py",
    "_bound: 0.8 -> 1.8": "the same in float64; float32 is tested in test_functional.py",
}

# ------------------------------------------------------------------ ways to be wrong
OTHER = {"greater": ("greater_equal", "less"), "greater_equal": ("greater", "less_equal"),
         "less": ("less_equal", "greater"), "less_equal": ("less", "greater_equal"), "equal": ("not_equal",)}
TURNED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
OPPOSITE = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
            ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}


def negated(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def wrong(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that may stand in the place of a node; made of the node's own parts."""
    match node:
        case ast.Return(value=ast.expr() as result) if not isinstance(result, ast.Tuple | ast.List | ast.Name):
            yield ast.Return(negated(result))
        case ast.BinOp(left, op, right):
            yield left
            yield right
            if type(op) in TURNED:
                yield ast.BinOp(left, TURNED[type(op)](), right)
            if isinstance(op, ast.MatMult):
                yield ast.BinOp(right, op, left)
        case ast.UnaryOp(operand=operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.AugAssign(target, op, value) if type(op) in TURNED:
            yield ast.AugAssign(target, TURNED[type(op)](), value)
        case ast.Attribute(value=inner, attr="T"):
            yield inner
        case ast.Constant(value=bool(flag)):
            yield ast.Constant(not flag)
        case ast.Constant(value=int() | float() as number):
            yield ast.Constant(number + 1)
        case ast.Compare(left, [op], [right]):
            yield ast.Compare(left, [OPPOSITE[type(op)]()], [right])
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Call(ast.Attribute(attr="append") as func, [item], []):
            if not isinstance(item, ast.Constant):
                yield ast.Call(func, [negated(item)], [])
        case ast.Call(ast.Name(name), args, keywords) if name != "zip":
            for i in range(len(keywords)):
                yield ast.Call(node.func, args, keywords[:i] + keywords[i + 1:])
            for other in OTHER.get(name, ()):
                yield ast.Call(ast.Name(other, ast.Load()), args, keywords)
            if name == "where":
                yield ast.Call(node.func, [args[0], args[2], args[1]], keywords)
                yield args[1]
                yield args[2]
            elif name in ("logical_or", "maximum"):
                yield from args
            elif (name in NAMES or name.startswith("_")) and args and not isinstance(args[0], ast.Starred):
                yield args[0]


class Put(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().generic_visit(node)


def mutants(tree: ast.Lambda | ast.FunctionDef) -> Iterator[tuple[str, Any]]:
    """Each changed copy of a lambda or function, with a line that says what is changed."""
    if isinstance(tree, ast.Lambda):
        yield f"{ast.unparse(tree.body)} -> its negative", ast.Lambda(tree.args, negated(tree.body))
    body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
    places = [node for part in body for node in ast.walk(part)]
    strict = {id(node.value) for node in places if isinstance(node, ast.keyword) and node.arg == "strict"}
    for old in places:
        if id(old) in strict:
            continue
        for new in wrong(old):
            changed = copy.copy(tree)
            if isinstance(tree, ast.Lambda):
                changed.body = Put(old, new).visit(copy.deepcopy(tree.body, {id(old): old}))
            else:
                changed.body = [Put(old, new).visit(copy.deepcopy(part, {id(old): old})) for part in tree.body]
            yield f"{ast.unparse(old)} -> {ast.unparse(ast.fix_missing_locations(new))}", changed


# ------------------------------------------------------------------ the source, and where its parts are used
@cache
def source(module: Any) -> ast.Module:
    return ast.parse(inspect.getsource(module))


@cache
def functions(module: Any) -> dict[str, ast.FunctionDef]:
    return {part.name: part for part in source(module).body if isinstance(part, ast.FunctionDef)}


def rules(module: Any) -> Iterator[tuple[str, int, ast.expr]]:
    """The rules in the source: gate, place (-1 for a joint rule), and the lambda or name that is written there."""
    for part in source(module).body:
        call = getattr(part, "value", None)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "gate":
            name, keywords = call.args[0].value, {k.arg: k.value for k in call.keywords}
            written = call.args[2] if len(call.args) > 2 else keywords.get("derivative")
            for i, rule in enumerate(written.elts if written else ()):
                if not isinstance(rule, ast.Constant):
                    yield name, i, rule
            if "joint" in keywords:
                yield name, -1, keywords["joint"]


def reached(module: Any, tree: ast.AST, found: frozenset[str] = frozenset()) -> frozenset[str]:
    """The private functions of the module that a piece of it calls, directly or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id.startswith("_") and node.id not in found:
            home = next((m for m in MODULES if node.id in functions(m) and vars(module).get(node.id)
                         is vars(m)[node.id]), None)
            if home is not None:
                found = reached(home, functions(home)[node.id], found | {node.id})
    return found


def users() -> dict[str, list[str]]:
    """For each private function, the gates whose rules run through it."""
    through: dict[str, list[str]] = {}
    for module in MODULES:
        for gate, _, rule in rules(module):
            for name in reached(module, rule):
                through.setdefault(name, []).append(gate)
    return through


def compiled(module: Any, tree: Any) -> Any:
    if isinstance(tree, ast.Lambda):
        return eval(compile(ast.fix_missing_locations(ast.Expression(tree)), module.__name__, "eval"), vars(module))
    found: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(ast.Module([tree], [])), module.__name__, "exec"), vars(module), found)
    return found[tree.name]


@contextmanager
def installed(true: Callable[..., Any], mutant: Callable[..., Any]) -> Iterator[None]:
    """Put a mutant wherever the true function is: in gates, and in the modules that call it by name."""
    def swap(old: Any, new: Any) -> None:
        for module in MODULES:
            for name, thing in list(vars(module).items()):
                if thing is old:
                    setattr(module, name, new)
        for gate in GATES.values():
            gate.derivative = tuple(new if rule is old else rule for rule in gate.derivative)
            gate.joint = new if gate.joint is old else gate.joint

    swap(true, mutant)
    try:
        yield
    finally:
        swap(mutant, true)


# ------------------------------------------------------------------ what a mutant has to get past
class Known:
    """A case, with everything worked out while the rules were still true."""

    def __init__(self, case: Any) -> None:
        self.case = case
        self.z = value(case)
        self.dz, self.way = seed(case, self.z), seed(case, self.z, 1)
        self.first = numerical(case, self.dz)
        self.second = second_numerical(case, self.dz, self.way)

    def check(self) -> None:
        """Value, gradient, and the gradient added in place."""
        case = self.case
        close(value(case), self.z)
        found = by_rule(case, self.dz, self.z)
        for i, expected in self.first.items():
            assert found[i].shape == expected.shape
            close(found[i], expected)
            rule = case.rule.derivative[i] if case.rule.derivative else None
            if hasattr(rule, "into"):
                total = np.ones(expected.shape)
                rule.into(total, self.dz, self.z, *case.inputs, **case.options)
                close(total, 1 + expected)

    def check_further(self) -> None:
        """The second derivative, on tensors; then the dtype."""
        case = self.case
        close(second_by_rule(case, self.dz, self.way), self.second, 1e-7, 1e-8)
        if case.gate == "cast" or any(getattr(x, "dtype", None) == np.int64 for x in case.inputs):
            return
        inputs = tuple(x.astype(np.float32) if i in case.floats else x for i, x in enumerate(case.inputs))
        z, dz = self.z.astype(np.float32), self.dz.astype(np.float32)
        for i, rule in enumerate(case.rule.derivative):
            if i in case.floats and rule is not None:
                assert rule(dz, z, *inputs, **case.options).dtype == np.float32


def close(found: Any, expected: Any, rtol: float = 1e-8, atol: float = 1e-9) -> None:
    assert np.shape(found) == np.shape(expected)
    assert np.allclose(found, expected, rtol, atol, equal_nan=True)


def check_tie(tie: Any) -> None:
    gate = cr.GATES[tie.gate]
    wanted = [isinstance(x, np.ndarray) for x in tie.inputs]
    with np.errstate(divide="ignore"):
        z = gate.value(*tie.inputs, **tie.options)
        dz = np.broadcast_to(np.asarray(tie.dz, np.float64), np.shape(z))
        found = pull(gate, dz, z, tie.inputs, tie.options, wanted)
    asked = [gradient for gradient, want in zip(found, wanted, strict=True) if want]
    for gradient, expected in zip(asked, tie.gradients, strict=True):
        np.testing.assert_array_equal(np.isposinf(gradient), np.isposinf(expected))
        assert np.allclose(gradient, expected)


@cache
def known(gate: str) -> list[Known]:
    return [Known(case) for case in BY_GATE[gate]]


def caught(gates: list[str]) -> bool:
    """Whether some check of one of these gates fails."""
    ties = [tie for tie in TIES if tie.gate in gates]
    every = [k for gate in gates for k in known(gate)]
    try:
        for k in every:
            k.check()
        for tie in ties:
            check_tie(tie)
        for k in every:
            k.check_further()
    except Exception:                                  # a wrong number, a wrong shape, or no result at all
        return True
    return False


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_mutant_is_killed(module, capsys):
    through = users()
    targets = [(f"{gate}[{i}]", rule, [gate], GATES[gate].derivative[i])
               for gate, i, rule in rules(module) if isinstance(rule, ast.Lambda)]
    targets += [(name, tree, list(dict.fromkeys(through[name])), vars(module)[name])
                for name, tree in functions(module).items() if name in through]
    for gate in {gate for _, _, gates, _ in targets for gate in gates}:
        assert not caught([gate]), f"{gate} fails without any change"
    count, alive = 0, []
    for owner, tree, gates, true in targets:
        for change, mutant in mutants(tree):
            line = f"{owner}: {change}"
            if line in EQUIVALENT:
                continue
            count += 1
            with installed(true, compiled(module, mutant)):
                if not caught(gates):
                    alive.append(line)
    with capsys.disabled():
        print(f"\n{module.__name__}: {count} mutants, {count - len(alive)} killed", end=" ")
    assert not alive, "these changes go unnoticed:\n" + "\n".join(alive)
    assert count > 20


def test_each_equivalent_mutant_is_still_one():
    """A line of EQUIVALENT that no longer fits the source is taken out."""
    lines = set()
    for module in MODULES:
        trees = [(f"{gate}[{i}]", rule) for gate, i, rule in rules(module) if isinstance(rule, ast.Lambda)]
        trees += [(name, tree) for name, tree in functions(module).items() if name in users()]
        lines |= {f"{owner}: {change}" for owner, tree in trees for change, _ in mutants(tree)}
    assert set(EQUIVALENT) <= lines
