"""The page on training: both languages have the same code, and all of it runs, from top to bottom."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule as cr

ROOT = Path(__file__).parents[1]
PAGES = ["docs/training.md", "docs/training.zh-CN.md"]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page):
    return FENCE.findall((ROOT / page).read_text(encoding="utf-8"))


def test_both_languages_have_the_same_code():
    first, second = map(blocks, PAGES)
    assert len(first) > 10
    assert first == second


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / "docs" / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_options_that_it_names_exist(page):
    """Also those outside the blocks."""
    text, known = (ROOT / page).read_text(encoding="utf-8"), set()
    for command in ("train", "info", "evaluate", "predict", "data fetch"):
        done = subprocess.run([sys.executable, "-m", "chainrule", *command.split(), "--help"], capture_output=True,
                              text=True, check=True, env=environment())
        known |= set(re.findall(r"--[a-z][a-z-]+", done.stdout))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--signal"} <= known


def environment(**more):
    source = str(Path(cr.__file__).parents[1])
    return os.environ | {"PYTHONPATH": source, "MPLBACKEND": "Agg"} | more


@pytest.mark.slow
@pytest.mark.data
def test_all_of_it_runs_from_top_to_bottom(tmp_path, data_dir):
    """As a reader would: in a shell whose path has the command. Installing is what the main test of CI does."""
    tools, folder = tmp_path / "bin", tmp_path / "here"
    tools.mkdir()
    folder.mkdir()
    command = tools / "chainrule"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chainrule "$@"\n')
    command.chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    there, program, commands = environment(PATH=path, CHAINRULE_DATA=str(data_dir)), [], 0
    for kind, code in blocks(PAGES[0]):
        if kind == "python":                             # later blocks use the names of earlier ones
            program.append(code)
            arguments = [sys.executable, "-W", "error", "-c", "\n".join(program)]
        else:
            code = code.replace('pip install ".[plot]" && ', "")
            commands += len(code.splitlines())
            arguments = ["bash", "-euc", code]
        done = subprocess.run(arguments, cwd=folder, env=there, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert commands >= 16
    histories = {path.parent.name: cr.training.History.load(path) for path in folder.glob("runs/*/history.jsonl")}
    assert set(histories) == {"digits", "mnist", "quick", "nadam", "early", "again", "killed", "compiled", "people",
                              "stripes"}
    assert histories["digits"][-1]["validation_accuracy"] >= 0.975
    assert histories["mnist"][-1]["validation_accuracy"] >= 0.98
    assert len(histories["killed"]) == 80
    assert histories["compiled"][-1]["validation_accuracy"] >= 0.975
    assert histories["people"][-1]["validation_accuracy"] >= 0.9
    assert histories["stripes"][-1]["validation_accuracy"] == 1
    shown = subprocess.run([command, "predict", "runs/stripes", "new.npy", "--json"], cwd=folder, env=there,
                           capture_output=True, text=True, check=True)
    json.loads(shown.stdout)
    assert (folder / "people.png").read_bytes().startswith(b"\x89PNG")
