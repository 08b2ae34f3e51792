"""Shell completion: what the shell asks, what it is told, and a real Tab in a real bash."""
from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainrule import data
from chainrule.cli import main

BASH = shutil.which("bash")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with runs, and the command on the path."""
    for run in ("runs/digits", "runs/digits-2", "mine/first", "odd"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.toml").touch()
    (tmp_path / "runs" / "no-run").mkdir()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "chainrule"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chainrule "$@"\n')
    command.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(data.__file__).parents[2]))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def asked(capsys, monkeypatch, *words):
    """What bash is told when Tab is pressed after these words, in this process."""
    monkeypatch.setenv("_CHAINRULE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(("chainrule", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit) as over:
        main([])
    assert over.value.code == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("words", "answers"), [
    (("",), ["plain,train", "plain,evaluate", "plain,predict", "plain,info", "plain,by-hand", "plain,data",
              "plain,completion"]),
    (("ev",), ["plain,evaluate"]),
    (("train", "--ep"), ["plain,--epochs"]),
    (("train", "--data", ""), ["plain,digits", "plain,mnist", "plain,fashion-mnist"]),
    (("train", "--data", "m"), ["plain,mnist"]),
    (("train", "--data", "my-table.c"), ["file,my-table.c"]),
    (("evaluate", "runs/digits", "--data", "fa"), ["plain,fashion-mnist"]),
    (("train", "--resume", ""), ["plain,odd", "plain,runs/digits", "plain,runs/digits-2"]),
    (("evaluate", "runs/digits-"), ["plain,runs/digits-2"]),
    (("evaluate", "mine/"), ["plain,mine/first"]),
    (("evaluate", "./mine/f"), ["plain,./mine/first"]),
    (("predict", "o"), ["plain,odd"]),
    (("predict", "runs/digits", ""), ["file,"]),
    (("info", "bi"), ["dir,bi"]),
    (("data", "where", "f"), ["plain,fashion-mnist"]),
    (("completion", ""), ["plain,bash", "plain,zsh", "plain,fish"]),
    (("train", "--preset", "s"), ["plain,small"]),
])
def test_what_the_shell_is_told(capsys, monkeypatch, words, answers):
    assert asked(capsys, monkeypatch, *words) == answers


def test_from_anywhere_else(capsys, monkeypatch, place):
    assert asked(capsys, monkeypatch, "evaluate", f"{place}/mine/") == [f"plain,{place}/mine/first"]
    monkeypatch.chdir("bin")
    assert asked(capsys, monkeypatch, "evaluate", "") == ["dir,"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_CHAINRULE_COMPLETE={shell}_complete" in script
    program = shutil.which(shell)
    if program is not None:                              # the shell itself finds no fault with it
        subprocess.run([program, "-n"], input=script, text=True, check=True)
    assert main(["completion", "--help"]) == 0
    assert f"chainrule completion {shell}" in capsys.readouterr().out


def test_another_shell(refused):
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in refused("completion", "tcsh", code=2)


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_a_real_tab_in_a_real_bash(place):
    """As the help says to set it up; the line that comes to stand there is run."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "dumb", "PS1": "$ ", "HISTFILE": "", "INPUTRC": "/dev/null"}
    with subprocess.Popen([BASH, "--norc", "--noprofile", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
                          env=environment, start_new_session=True) as shell:
        os.close(theirs)
        seen = ""

        def until(text):
            nonlocal seen
            deadline = time.monotonic() + 30
            while text not in seen:
                assert time.monotonic() < deadline, seen
                if select.select([ours], [], [], 1)[0]:
                    seen += os.read(ours, 65536).decode()
            seen = ""

        def type(text):
            os.write(ours, text.encode())

        until("$ ")
        type('eval "$(chainrule completion bash)"; echo re"ady"\n')
        until("ready")
        type("echo chosen: ; chainrule evaluate runs/digits-\t")
        until("digits-2")
        type("\x15echo is ''")                           # Ctrl-U: the line is empty again
        type("\x15chainrule train --data fa\t")
        until("fashion-mnist")
        type("\x15chainrule pre\t")
        until("predict ")
        type("\x15exit\n")
        assert shell.wait(30) == 0
    os.close(ours)
