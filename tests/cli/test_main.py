"""The command without a sub-command, and its entry points."""
from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import chainrule.cli
from chainrule.cli import main
from chainrule.training import History


def test_without_a_command_it_prints_its_help(capsys):
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == alone
    assert alone.startswith("Usage: chainrule [OPTIONS] [COMMAND]")
    assert "  chainrule train            a network learns handwritten digits, in seconds\n" in alone
    assert "  train  Train a network on handwritten digits.\n" in alone


def test_the_help_of_train_names_every_option_file_and_exit_code(capsys):
    assert main(["train", "-h"]) == 0
    text = capsys.readouterr().out
    for part in ("--hidden", "--activation", "--dropout", "--optimizer", "--lr", "--momentum", "--weight-decay",
                 "--schedule", "--batch-size", "--epochs", "--seed", "--out", "--overwrite", "--quiet", "--json",
                 *chainrule.cli.folder.FILES, "Examples", "\n    130  interrupted"):
        assert part in text, part
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_examples_in_the_help_work(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(History, "plot", lambda self, path, **_: None)
    main(["train", "--help"])
    examples = re.findall(r"^ +chainrule (train.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) == 4
    for example in examples:
        assert main([*example.split(), "--epochs", "1", "--quiet"]) == 0, example


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"chainrule (\d+\.\d+\.\d+\S*|\(not installed\))\n", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["trian"], ["--verbose"]])
def test_what_does_not_exist_is_one_line_and_exit_code_2(capsys, arguments):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("chainrule: No such ")
    assert err.count("\n") == 1


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "chainrule", "nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("chainrule: No such command 'nothing'")


def test_the_entry_point_of_the_package_is_this_main():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"chainrule": "chainrule.cli:main"}
