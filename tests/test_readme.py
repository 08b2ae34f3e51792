"""The READMEs: both languages have the same code, and it runs as it stands."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(name, language=None):
    found = FENCE.findall((ROOT / name).read_text(encoding="utf-8"))
    return [code for kind, code in found if language in (None, kind)]


def test_both_languages_have_the_same_code():
    assert blocks("README.md")
    assert blocks("README.md") == blocks("README.zh-CN.md")


def test_the_code_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    *working, wrong = blocks("README.md", "python")
    names: dict[str, object] = {}
    for code in working:
        exec(compile(code, "README.md", "exec"), names)
    assert names["g"].nodes[-1].value == -12
    assert {n.name: n.gradient for n in names["g"].nodes if n.name in "xyz"} == {"x": -4, "y": -4, "z": 3}
    np.testing.assert_array_equal(names["w"].grad.numpy(), [2.0, 4.0])
    assert names["layer"].weight.grad.shape == (10, 64)
    assert (tmp_path / "digits.safetensors").stat().st_size > 1000
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(cr.GradientError, match=r"wrong formula"):
        exec(compile(wrong, "README.md", "exec"), names)


def test_the_shell_commands_are_those_that_ci_runs():
    commands = [line for code in blocks("README.md", "sh") for line in code.splitlines()]
    assert commands == ['pip install ".[plot]" && chainrule train', 'pip install ".[test]" && pytest']
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target
