"""The package as a whole: what an import costs and brings, which way imports point, what is documented."""
from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule as cr

ROOT = Path(inspect.getfile(cr)).parent
MODULES = sorted(".".join(("chainrule", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
                 for path in ROOT.rglob("*.py") if path.name != "__main__.py"
                 and not {"chapters", "exercises"} & set(path.relative_to(ROOT).parts))    # scripts, never imported


def python(code: str) -> str:
    """Run a fresh interpreter that finds this package, warnings being errors."""
    prologue = f"import sys; sys.path.insert(0, {str(ROOT.parent)!r})\n"
    done = subprocess.run([sys.executable, "-W", "error", "-c", prologue + code], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


# ------------------------------------------------------------------ importing
class TestImport:
    def test_loads_no_third_party_module_but_numpy(self) -> None:
        loaded = python("import numpy; before = set(sys.modules); import chainrule\n"
                        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})").split()
        assert set(loaded) - set(sys.stdlib_module_names) == {"chainrule"} | ({"numpy"} & set(loaded))

    def test_starts_nothing_and_says_nothing(self) -> None:
        assert python("import threading, chainrule; print(threading.active_count())") == "1"

    def test_leaves_numpy_as_it_is(self) -> None:
        assert python("import numpy as np; e, p = np.geterr(), np.get_printoptions()\nimport chainrule\n"
                      "print(e == np.geterr() and p == np.get_printoptions())") == "True"

    @pytest.mark.parametrize("module", ["gate", "tensor", "reverse", "nn", "random"])
    def test_any_part_can_be_the_first(self, module: str) -> None:
        assert python(f"import chainrule.{module} as m; print(m.__name__)") == f"chainrule.{module}"

    def test_gates_alone_work_on_arrays(self) -> None:
        """Without tensors: the calculus needs nothing above it."""
        code = ("import types; package = types.ModuleType('chainrule'); "
                f"package.__path__ = [{str(ROOT)!r}]; sys.modules['chainrule'] = package\n"
                "import numpy as np; from chainrule import gates as g\n"
                "print(g.tanh(np.zeros(2)), 'chainrule.tensor' in sys.modules)")
        assert python(code) == "[0. 0.] False"


# ------------------------------------------------------------------ names
class TestNames:
    def test_a_star_import_shadows_no_builtin(self) -> None:
        namespace: dict[str, Any] = {}
        exec("from chainrule import *", namespace)
        brought = {name for name in namespace if name != "__builtins__"}
        assert brought == set(cr.__all__)
        assert not {name for name in brought if hasattr(builtins, name)}
        assert {"Tensor", "exp", "matmul", "nn", "no_grad", "random"} <= brought

    def test_the_list_is_right(self) -> None:
        assert len(set(cr.__all__)) == len(cr.__all__)
        assert all(hasattr(cr, name) for name in cr.__all__)
        assert not [name for name in cr.__all__ if name.startswith("_")]

    def test_every_gate_is_there_also_those_that_python_has_names_for(self) -> None:
        assert set(cr.gates.__all__) <= set(vars(cr))
        assert cr.sum is cr.gates.sum
        assert cr.abs is cr.gates.abs

    @pytest.mark.parametrize("package", ["chainrule", "chainrule.gates", "chainrule.nn", "chainrule.optim"])
    def test_no_name_covers_a_submodule(self, package: str) -> None:
        meant = {"chainrule": {"explain"}}             # chainrule.explain(loss, w) is the function
        module = importlib.import_module(package)
        for info in pkgutil.iter_modules(module.__path__):
            if info.name not in {*meant.get(package, ()), "__main__"}:
                found = importlib.import_module(f"{package}.{info.name}")
                assert getattr(module, info.name) is found, f"{package}.{info.name} is something else"

    def test_random_linalg_and_nn_are_modules_of_this_package(self) -> None:
        for name in ("random", "linalg", "nn"):
            module = getattr(cr, name)
            assert isinstance(module, ModuleType)
            assert module.__name__ == f"chainrule.{name}"

    def test_a_module_is_pytorchs_word_for_a_layer(self) -> None:
        assert cr.nn.Module is cr.nn.Layer

    def test_options_have_numpys_names(self) -> None:
        checked = 0
        for name in cr.gates.__all__:
            theirs, mine = getattr(np, name, None), getattr(cr, name)
            if theirs is not None and not isinstance(theirs, np.ufunc):
                options = mine.options if isinstance(mine, cr.Gate) else tuple(inspect.signature(mine).parameters)[1:]
                known = inspect.signature(theirs).parameters
                if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
                    assert set(options) <= {*known, "operands", "y"}, f"{name}: {set(options) - set(known)}"
                checked += 1
        assert checked > 25

    @pytest.mark.parametrize("module", MODULES)
    def test_what_a_module_offers_exists(self, module: str) -> None:
        if ".cli" not in module:                       # loads what only the command needs
            found = importlib.import_module(module)
            offered = getattr(found, "__all__", [])
            assert [name for name in offered if not hasattr(found, name)] == []
            assert len(offered) == len(set(offered))


# ------------------------------------------------------------------ which way imports point
#: From the ground up. A module may import, at its top, only from its own line or lines above.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("mode", "files", "memory"),
    ("gate", "state"),
    ("gates",),
    ("tensor",),
    ("reverse", "random", "linalg", "source", "tree"),
    ("node", "graph", "call", "differentiate", "anomaly", "view", "explain", "functional"),
    ("nn",),
    ("check", "optim", "data", "compiler"),
    ("training",),
    ("by_hand",),
    ("cli",),
)
#: Conveniences that import upwards, inside the one function that needs it.
UPWARDS = {"tensor": {"reverse", "explain", "graph"}}


def part(module: str) -> str:
    """`nn` of `chainrule.nn.layer`."""
    return [*module.split("."), ""][1]


def rank(module: str) -> int | None:
    return next((i for i, names in enumerate(LAYERS) if part(module) in names), None)


@functools.cache
def parsed(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split(".")[1:])
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


@functools.cache
def imports(module: str, top: bool) -> frozenset[str]:
    """The modules of this package that a module imports: at its top, or inside its functions."""
    return frozenset(_imports(module, top))


def _imports(module: str, top: bool) -> Iterator[str]:
    package = module.split(".") if ROOT.joinpath(*module.split(".")[1:]).is_dir() else module.split(".")[:-1]

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from ((each, inside) for each in child.orelse)
                continue
            yield child, inside
            yield from walk(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    for node, inside in walk(parsed(module), False):
        if inside is top:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "chainrule")
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            if source.split(".")[0] == "chainrule":
                for alias in node.names:
                    name = f"{source}.{alias.name}"
                    yield name if name in MODULES else source


class TestImportsPointOneWay:
    @pytest.mark.parametrize("module", MODULES)
    def test_at_the_top_of_a_module_only_downwards(self, module: str) -> None:
        mine = rank(module)
        if module == "chainrule" or mine is None:
            return
        for other in imports(module, top=True):
            theirs = rank(other)
            assert other != "chainrule", f"{module} imports the whole package"
            assert theirs is None or theirs <= mine, f"{module} imports {other}, which stands above it"

    @pytest.mark.parametrize("module", MODULES)
    def test_inside_functions_upwards_only_where_it_is_listed(self, module: str) -> None:
        mine = rank(module)
        if module == "chainrule" or mine is None:
            return
        for other in imports(module, top=False):
            theirs = rank(other)
            assert theirs is None or theirs <= mine or part(other) in UPWARDS.get(part(module), set()), (
                f"a function of {module} imports {other}, which stands above it")

    def test_there_are_no_circles(self) -> None:
        after = {module: {m for m in imports(module, top=True) if m != module} for module in MODULES}
        done: set[str] = set()
        while ready := [m for m, needs in after.items() if m not in done and needs - {"chainrule"} <= done]:
            done.update(ready)
        left = set(after) - done - {"chainrule"}
        packages = {m for m in left if (ROOT.joinpath(*m.split(".")[1:]) / "__init__.py").exists()}
        # A package's __init__ gathers what its modules define, and they may import the package's siblings.
        circles = {m: sorted(after[m] & left) for m in left - packages if after[m] & (left - packages)}
        assert not circles

    def test_gates_know_nothing_of_tensors(self) -> None:
        for module in MODULES:
            if module == "chainrule.gate" or part(module) == "gates":
                known = {part(m) for top in (True, False) for m in imports(module, top)}
                assert known <= {"mode", "gate", "gates"}, f"{module} knows {known}"

    def test_every_part_has_a_place(self) -> None:
        assert {part(m) for m in MODULES} - {name for names in LAYERS for name in names} == {""}

    def test_only_the_command_and_its_helpers_import_the_heavy_extras(self) -> None:
        heavy = {"rich", "click", "safetensors", "matplotlib", "torch", "scipy", "pandas"}
        for module in MODULES:
            for node in parsed(module).body:
                names = ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                         [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else [])
                if part(module) != "cli":
                    assert not {name.split(".")[0] for name in names} & heavy, module


# ------------------------------------------------------------------ documentation
def public() -> list[tuple[str, Any]]:
    found = []
    for package in ("chainrule", "chainrule.linalg", "chainrule.random", "chainrule.nn", "chainrule.nn.init",
                    "chainrule.functional", "chainrule.optim", "chainrule.optim.schedule",
                    "chainrule.optim.lr_scheduler", "chainrule.data", "chainrule.compiler",
                    "chainrule.training"):
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]):
            value = getattr(module, name)
            ours = (value.module if isinstance(value, cr.Gate) else getattr(value, "__module__", "")) or ""
            kind = inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, cr.Gate)
            error = inspect.isclass(value) and issubclass(value, Exception)    # shown by whoever raises it
            if kind and not error and ours.startswith("chainrule"):
                found.append((f"{package}.{name}", value))
    return found


@pytest.mark.parametrize(("name", "value"), public(), ids=[name for name, _ in public()])
def test_every_public_object_is_documented_with_an_example(name: str, value: Any) -> None:
    text = inspect.getdoc(value) or ""
    assert "Examples\n-----" in text, f"{name} has no Examples section"
    assert ">>> " in text


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(parsed(module))
