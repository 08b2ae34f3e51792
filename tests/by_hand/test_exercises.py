"""The exercises as a learner gets them: on a stub every test fails, on the solution every test passes."""
from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.by_hand.copying import FOLDER, copy, exercises
from chainrule.by_hand.reading import chapters

SOURCE = Path(cr.__file__).parent.parent
FOLDERS = sorted(path for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
EXERCISES = [exercise for number in range(1, 11) for exercise in exercises(number)]
ALL = pytest.mark.parametrize("exercise", EXERCISES, ids=[exercise.name for exercise in EXERCISES])


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree, prefix=""):
    """Return the functions and methods of a module by their names: ``Adam.update``."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[prefix + node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= functions(node, f"{node.name}.")
    return found


def statements(node):
    """Return what stands in a function besides its docstring."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def is_stub(node):
    body = statements(node)
    return (len(body) == 1 and isinstance(body[0], ast.Raise) and isinstance(body[0].exc, ast.Call)
            and ast.unparse(body[0].exc.func) == "NotImplementedError")


# ---------------------------------------------------------------------- run as a learner runs them
def copied(folder):
    """Copy every chapter with its exercises into a folder, as ``chainrule by-hand --copy`` does."""
    for chapter in chapters().values():
        assert all(written for _, written in copy(chapter, folder, "en"))
    return folder


def outcomes(folder):
    """Run pytest in a folder; return of each exercise the message of each failed test, None for one that passed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CHAINRULE"))}
    environment |= {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           "--junitxml=report.xml"], cwd=folder, env=environment, capture_output=True, text=True,
                          check=False, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr        # 2 and above: they could not be run
    found = {exercise.name: {} for exercise in EXERCISES}
    for case in ET.parse(folder / "report.xml").iter("testcase"):
        failure = case.find("failure")
        assert case.find("error") is None, done.stdout
        assert case.find("skipped") is None, done.stdout
        name = case.get("classname").partition(".")[0].removeprefix("test_")
        found[name][case.get("name")] = None if failure is None else failure.get("message")
    return found


@pytest.fixture(scope="module")
def on_stubs(tmp_path_factory):
    return outcomes(copied(tmp_path_factory.mktemp("stubs")))


@pytest.fixture(scope="module")
def on_solutions(tmp_path_factory):
    folder = copied(tmp_path_factory.mktemp("solved"))
    for path in (folder / "solutions").iterdir():
        path.replace(folder / path.name)                   # what the README of the exercises says
    return outcomes(folder)


@ALL
def test_on_the_stub_every_test_fails(exercise, on_stubs):
    found = on_stubs[exercise.name]
    assert found
    for name, message in found.items():
        assert message is not None, f"{name} passes on the stub"
        assert message.startswith(("NotImplementedError", "AssertionError", "assert ")), f"{name}: {message}"


@ALL
def test_on_the_solution_every_test_passes(exercise, on_stubs, on_solutions):
    found = on_solutions[exercise.name]
    assert found
    assert {name: message for name, message in found.items() if message is not None} == {}
    assert found.keys() == on_stubs[exercise.name].keys()


# ---------------------------------------------------------------------- what a learner reads
@ALL
def test_each_exercise_has_its_files(exercise):
    """And works with no file of another exercise."""
    names = {path.name for path in exercise.folder.iterdir() if path.is_file()}
    required = {"README.md", f"{exercise.name}.py", f"{exercise.name}_solution.py", f"test_{exercise.name}.py"}
    assert names >= required
    own = {Path(name).stem for name in names}
    for path in exercise.folder.glob("*.py"):
        imported = [alias.name for node in ast.walk(parsed(path)) if isinstance(node, ast.Import)
                    for alias in node.names]
        imported += [node.module for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom)]
        foreign = {name.partition(".")[0] for name in imported} - own - set(sys.stdlib_module_names)
        assert foreign <= {"numpy", "pytest", "chainrule"}, path.name
        assert not any("solution" in name for name in imported), path.name
    assert f"from {exercise.name} import" in (exercise.folder / f"test_{exercise.name}.py").read_text(encoding="utf-8")


def test_every_folder_is_an_exercise_of_a_chapter():
    assert [exercise.folder for exercise in EXERCISES] == FOLDERS
    assert {exercise.chapter for exercise in EXERCISES} <= set(chapters())


def test_no_two_exercises_have_a_file_of_the_same_name():
    counts = Counter(name for exercise in EXERCISES for name in exercise.files)
    counts.update(chapter.path.name for chapter in chapters().values())
    assert [name for name, count in counts.items() if count > 1] == []


@ALL
def test_the_stub_holds_nothing_of_the_solution(exercise):
    stub, solution = (parsed(exercise.folder / f"{exercise.name}{end}.py") for end in ("", "_solution"))
    asked = {name: node for name, node in functions(stub).items() if is_stub(node)}
    written = functions(solution)
    assert asked
    assert asked.keys() <= written.keys()
    given = functions(stub).keys() - asked.keys()
    assert all(name.endswith("__init__") for name in given), given     # settings, and nothing that is asked for
    there = {ast.unparse(node) for node in ast.walk(stub) if isinstance(node, ast.stmt)}
    for name in written.keys() - given:
        for statement in statements(written[name]):
            for part in ast.walk(statement):
                if isinstance(part, ast.stmt):
                    assert ast.unparse(part) not in there, f"{name}: {ast.unparse(part)}"


@ALL
def test_the_stub_and_the_solution_take_the_same_arguments(exercise):
    stub, solution = (functions(parsed(exercise.folder / f"{exercise.name}{end}.py")) for end in ("", "_solution"))
    for name, node in stub.items():
        assert ast.unparse(solution[name].args) == ast.unparse(node.args), name


@ALL
def test_the_stub_says_what_to_write_in_both_languages(exercise):
    tree = parsed(exercise.folder / f"{exercise.name}.py")
    documented = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef)),
                  *(node for node in functions(tree).values() if is_stub(node))]
    for node in documented:
        said = ast.get_docstring(node) or ""
        assert re.search(r"[A-Za-z]{3}", said), said
        assert re.search(r"[\u3400-\u9fff]", said), said
    for name, node in functions(tree).items():
        if is_stub(node):
            (hint,) = statements(node)[0].exc.args
            assert len(hint.value) > 10, name
            assert "\n" not in hint.value, name


@ALL
def test_the_task_is_told_in_both_languages(exercise):
    """With the same names, formulas and numbers."""
    text = (exercise.folder / "README.md").read_text(encoding="utf-8")
    english, chinese = re.split(r"^(?=# .*[\u3400-\u9fff])", text, flags=re.MULTILINE)
    assert english.startswith("# ")
    assert not re.search(r"[\u3400-\u9fff，。；：？！、]", english)
    for pattern in (r"`([^`]+)`", r"^ {4}(.+)$", r"(?<!\w)\d[\d,.]*\d(?!\w)"):
        ours, theirs = (Counter(re.findall(pattern, each, re.MULTILINE)) for each in (english, chinese))
        assert ours == theirs
    command = f"python -m pytest test_{exercise.name}.py"
    assert command in english
    assert command in (parsed_docstring := ast.get_docstring(parsed(exercise.folder / f"test_{exercise.name}.py")))
    assert parsed_docstring.startswith(f"Tests of {exercise.name}.py")


@pytest.mark.parametrize("chapter", chapters().values(), ids=lambda chapter: chapter.path.stem)
def test_a_chapter_names_its_exercises_at_its_end(chapter):
    names = [exercise.name for exercise in exercises(chapter.number)]
    for language in ("en", "zh") if names else ():
        last = [cell.text for cell in chapter.cells if cell.kind == language][-1]
        for name in names:
            assert f"`{name}.py`" in last
        assert f"`chainrule by-hand {chapter.number} --copy DIR`" in last


def test_the_required_exercises_exist():
    assert {exercise.name for exercise in EXERCISES} >= {
        "gradient_check", "initialisations", "batch_norm_network", "adam_rmsprop", "wrong_layers"}


# ---------------------------------------------------------------------- the wrong layers
def test_check_gradients_says_what_is_wrong_with_each_layer(monkeypatch):
    """The exercise can be solved with the check alone: which layers it accuses, and what of."""
    monkeypatch.syspath_prepend(FOLDER / "03_wrong_layers")
    import suspects
    said = {}
    for name, (kind, parameters, inputs) in suspects.CASES.items():
        try:
            assert cr.check_gradients(kind(*parameters), *inputs) < 1e-7
        except ValueError as error:
            said[name] = str(error)
        except cr.GradientError as error:
            said[name] = {(element.argument, element.verdict) for element in error.elements}
    monkeypatch.delitem(sys.modules, "suspects")
    assert said == {
        "Relu": {("dout of Relu", "writes into its arguments")},
        "LeakyRelu": {("x", "kink nearby")},
        "Sigmoid": {("x", "wrong formula")},
        "Twice": {("x", "wrong formula")},
        "Affine": "check_gradients: Affine.backward gave a gradient of shape (2, 2) for b of shape (2,)",
        "SoftmaxWithLoss": {("dout of SoftmaxWithLoss (doubled)", "wrong formula")},
    }
