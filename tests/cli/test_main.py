"""The command without a sub-command, its help, its suggestions, and its entry points."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cli.terminal import COMMAND, with_ctrl_c

import chainrule.cli
from chainrule import data
from chainrule.cli import main
from chainrule.cli.main import chainrule as root
from chainrule.training import History

COMMANDS = ("train", "evaluate", "predict", "info", "by-hand", "data", "completion")


def test_without_a_command_it_prints_its_help(capsys):
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == alone
    assert alone.startswith("Usage: chainrule [OPTIONS] ")
    assert "  chainrule train                       a network learns handwritten digits,\n" in alone
    assert re.findall(r"^  ([\w-]+)  +[A-Z].*\.$", alone.partition("\nCommands:\n")[2], re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("data", "fetch")])
def test_help_fits_a_terminal_and_says_what_exit_codes_mean(capsys, command):
    assert main([*command, "-h"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    if command != ("data",):
        assert re.search(r"Exit codes\n    0    ", text)
        assert re.search(r"^    2    ", text, re.MULTILINE)
    if command != ("completion",) and command != ("data",):
        assert re.search(r"^    1    .*\n", text, re.MULTILINE)
        assert "\n    130  interrupted" in text


def test_the_help_of_train_names_every_option_and_file(capsys):
    assert main(["train", "-h"]) == 0
    text = capsys.readouterr().out
    for part in ("--data", "--data-dir", "--preset", "--hidden", "--activation", "--dropout", "--optimizer", "--lr",
                 "--momentum", "--weight-decay", "--schedule", "--batch-size", "--epochs", "--seed", "--config",
                 "--resume", "--out", "--overwrite", "--quiet", "--json", *chainrule.cli.folder.FILES,
                 chainrule.cli.folder.CHECKPOINTS, "Examples"):
        assert part in text, part


def test_the_examples_in_the_help_of_train_work(capsys, tmp_path, monkeypatch):
    """Those that need no other data and no earlier run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(History, "plot", lambda self, path, **_: None)
    main(["train", "--help"])
    examples = re.findall(r"^ +chainrule (train.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        if "--data" not in example and "--resume" not in example and "--config" not in example:
            assert main([*example.split(), "--epochs", "1", "--quiet"]) == 0, example


@pytest.mark.parametrize("command", ["evaluate", "predict", "info"])
def test_the_examples_in_the_other_helps_are_options_that_exist(capsys, command):
    main([command, "--help"])
    examples = re.findall(rf"^ +chainrule {command} (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        root.commands[command].make_context(command, example.split())


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"chainrule (\d+\.\d+\.\d+\S*|\(not installed\))\n", capsys.readouterr().out)


@pytest.mark.parametrize(("arguments", "said"), [
    (["trian"], "no such command 'trian'; did you mean 'train'? See chainrule --help"),
    (["evalute", "runs/digits"], "no such command 'evalute'; did you mean 'evaluate'? See chainrule --help"),
    (["Train"], "no such command 'Train'; did you mean 'train'? See chainrule --help"),
    (["xyz"], "no such command 'xyz'; see chainrule --help"),
    (["data", "wher"], "no such command 'wher'; did you mean 'where'? See chainrule data --help"),
    (["--verbose"], "no such option '--verbose'; see chainrule --help"),
    (["--versoin"], "no such option '--versoin'; did you mean '--version'? See chainrule --help"),
    (["train", "--epoch", "3"], "no such option '--epoch'; did you mean '--epochs'? See chainrule train --help"),
    (["train", "--batchsize", "3"],
     "no such option '--batchsize'; did you mean '--batch-size'? See chainrule train --help"),
    (["train", "--learning-rate=1"], "no such option '--learning-rate'; see chainrule train --help"),
    (["train", "-e", "3"], "no such option '-e'; see chainrule train --help"),
    (["predict", "run", "x.png", "--no-inverse"],
     "no such option '--no-inverse'; did you mean '--no-invert'? See chainrule predict --help"),
    (["evaluate"], "missing argument 'RUN'; see chainrule evaluate --help"),
    (["info", "a", "b"], "got unexpected extra argument (b); see chainrule info --help"),
    (["train", "--preset", "tiny"],
     "invalid value for '--preset': 'tiny' is not one of 'small', 'default', 'best'; see chainrule train --help"),
])
def test_what_does_not_exist_is_one_line_with_what_was_meant_and_exit_code_2(refused, arguments, said):
    assert refused(*arguments, code=2) == said


def test_a_wrong_name_in_a_file_of_settings(refused, tmp_path):
    (tmp_path / "mine.toml").write_text("epoch = 3\n")
    assert refused("train", "--config", tmp_path / "mine.toml", code=2).endswith(
        "mine.toml sets 'epoch', which is not a setting; did you mean 'epochs'? See chainrule train --help")


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "chainrule", "nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "chainrule: no such command 'nothing'; see chainrule --help\n"


def test_too_little_memory(refused, digits_run, monkeypatch):
    def much(*_):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(chainrule.cli.predict, "read", much)
    assert refused("predict", digits_run, "x.npy") == "there is not enough memory: Unable to allocate 9 TiB"


def test_ctrl_c(tmp_path, digits_run):
    """While a sample is waited for, which never comes."""
    pipe = tmp_path / "pipe.png"
    subprocess.run(["mkfifo", pipe], check=True)
    with subprocess.Popen([*COMMAND, "predict", digits_run, pipe], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=with_ctrl_c) as process:
        try:
            while True:                                  # until it has the pipe open
                assert process.poll() is None
                with suppress(OSError):
                    writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                    break
                time.sleep(0.02)
            # and waits: a signal between Python's last look for one and read(2) is seen only when something was read
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            os.close(writer)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "chainrule: interrupted\n")


def test_the_entry_point_of_the_package_is_this_main():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"chainrule": "chainrule.cli:main"}


def test_importing_the_package_brings_nothing_of_the_command():
    program = "import sys, chainrule; print([n for n in ('click', 'rich', 'PIL', 'safetensors') if n in sys.modules])"
    environment = {"PYTHONPATH": str(Path(data.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
