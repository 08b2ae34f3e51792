"""``chainrule train --compile``: the same run, which says that its step was compiled, and goes on after a kill."""
from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from chainrule import data, nn
from chainrule.cli import main, presets
from chainrule.training import History

SMALL = ["--hidden", "16", "--epochs", "4", "--dropout", "0.1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to be in; commands started there find the package that is being tested, and draw nothing."""
    monkeypatch.setenv("PYTHONPATH", str(Path(data.__file__).parents[2]))
    monkeypatch.setattr(History, "plot", lambda self, path, **_: Path(path).write_bytes(b""))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(capsys, *arguments):
    """Run the command; return what it printed as JSON."""
    assert main(["train", *SMALL, "--quiet", "--json", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def figures(result):
    return {name: value for name, value in result.items()
            if name not in ("seconds", "folder", "files", "compiled", "left_out")}


@pytest.mark.parametrize("options", [
    [], ["--optimizer", "sgd", "--clip-norm", "0.5"], ["--average", "0.9", "--accumulate", "2"],
    ["--optimizer", "radam", "--shift", "1", "--schedule", "plateau"], ["--keep", "best", "--early-stopping", "2"]])
def test_the_same_figures_as_without(here, capsys, options):
    compiled, eager = (trained(capsys, *options, how, "--out", how[2:]) for how in ("--compile", "--no-compile"))
    assert (compiled["compiled"], eager["compiled"]) == (True, False)
    assert compiled["test_accuracy"] == eager["test_accuracy"] > 0.3
    assert figures(compiled) == pytest.approx(figures(eager), rel=1e-4)
    ours, theirs = (load_file(f"{folder}/model.safetensors") for folder in ("compile", "no-compile"))
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-3, atol=1e-4)


def test_a_table_of_numbers(here, capsys, table):
    _, _, path = table
    compiled, eager = (trained(capsys, "--data", path, how, "--out", how[2:]) for how in ("--compile", "--no-compile"))
    assert compiled["test_rmse"] == pytest.approx(eager["test_rmse"], rel=1e-4)


def test_part_of_mnist(here, capsys, rng):
    """Images of its size, a few hundred of them, in a file."""
    labels = np.arange(300) % 10
    images = rng.integers(0, 100, (300, 28, 28), dtype=np.uint8)
    for digit in range(10):
        images[labels == digit, 2 * digit:2 * digit + 6] += 120
    np.savez("part.npz", x=images, y=labels)
    compiled, eager = (trained(capsys, "--data", "part.npz", "--hidden", "64", how, "--out", how[2:])
                       for how in ("--compile", "--no-compile"))
    assert compiled["test_accuracy"] == eager["test_accuracy"] > 0.9


def test_the_line_at_the_end_says_that_the_step_was_compiled(here, capsys):
    for how, words in (("--compile", ", the step compiled"), ("--no-compile", "")):
        assert main(["train", *SMALL, how]) == 0
        out, err = capsys.readouterr()
        assert re.fullmatch(rf"test accuracy \d+\.\d\d % \(\d+ of 360 digits\), 4 epochs in \d+\.\d s{words}",
                            out.splitlines()[0])
        assert len(err.splitlines()) == 4                # a line for each epoch, and nothing else


def test_it_is_a_setting_of_the_run(here, capsys):
    trained(capsys, "--compile", "--out", "a")
    assert tomllib.loads(Path("a/config.toml").read_text())["compile"] is True
    assert main(["info", "a"]) == 0
    assert re.search(r"^compile +True$", capsys.readouterr().out, re.MULTILINE)
    assert main(["info", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["compile"] is True
    again = trained(capsys, "--config", "a/config.toml", "--out", "b")
    assert again["compiled"] is True
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    assert trained(capsys, "--config", "a/config.toml", "--no-compile", "--out", "c")["compiled"] is False
    assert main(["train", "--resume", "a", "--compile"]) == 2
    assert "--compile does not go with --resume" in capsys.readouterr().err


def test_without_a_word_steps_are_eager(here, capsys):
    assert trained(capsys, "--out", "a")["compiled"] is False
    assert tomllib.loads(Path("a/config.toml").read_text())["compile"] is False


def test_the_default_may_become_auto(here, capsys, monkeypatch):
    """As it will, once there is a native executor: saved with the run, and read back."""
    monkeypatch.setitem(presets.USUAL, "compile", "auto")
    assert trained(capsys, "--out", "a")["compiled"] is True
    assert tomllib.loads(Path("a/config.toml").read_text())["compile"] == "auto"
    assert trained(capsys, "--config", "a/config.toml", "--out", "b")["compiled"] is True
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    text = Path("b/config.toml").read_text()
    Path("b/config.toml").write_text(text.replace('compile = "auto"\n', ""))      # as older versions wrote it
    for left in Path("b/checkpoints").glob("step-*180.*"):
        left.unlink()
    assert trained_on(capsys, "b")["compiled"] is False


def trained_on(capsys, folder):
    """Go on with a run."""
    assert main(["train", "--resume", folder, "--quiet", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_value_that_is_none(here, capsys):
    Path("mine.toml").write_text('compile = "perhaps"\n')
    assert main(["train", "--config", "mine.toml"]) == 2
    assert "'perhaps' is not a valid boolean" in capsys.readouterr().err


def reads(x):
    """What plain Python makes of a tensor."""
    return x * float(x.detach().sum().item() > 0)


class Reads(nn.ReLU):
    def forward(self, x):
        return super().forward(x) + 0 * reads(x)


def test_what_cannot_be_compiled_is_said_in_one_line(here, capsys, monkeypatch):
    from chainrule.cli import options
    monkeypatch.setitem(options.ACTIVATIONS, "relu", Reads)
    assert main(["train", *SMALL, "--compile", "--quiet"]) == 1
    err = capsys.readouterr().err
    assert re.fullmatch(r"chainrule: the step cannot be compiled: .*test_compiled_train\.py:\d+ in reads: .* reads a "
                        r"value inside a recorded step.*; --no-compile does without\n", err)
    monkeypatch.setitem(presets.USUAL, "compile", "auto")
    assert main(["train", *SMALL, "--quiet", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["compiled"] is False
    assert re.fullmatch(r"chainrule: the step of Trainer runs eagerly, because it cannot be compiled: .*"
                        r"test_compiled_train\.py:\d+ in reads: .*\n", err)


def test_training_that_goes_astray(here, capsys):
    assert main(["train", *SMALL, "--optimizer", "sgd", "--lr", "1e30", "--schedule", "constant", "--quiet",
                 "--compile"]) == 1
    assert re.fullmatch(r"chainrule: training failed, no model was written: the loss became (nan|inf) at step \d+ of "
                        r"epoch 1\..* The step was compiled, so it was done when this was seen: .*\n",
                        capsys.readouterr().err)
    assert not Path("runs/digits/model.safetensors").exists()


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(here, capsys):
    """Killed by the system, in another process, in the middle of an epoch and before the first compiled step."""
    command = [*SMALL, "--compile", "--checkpoint-every", "7", "--average", "0.9", "--seed", "3"]
    assert main(["train", *command, "--quiet", "--out", "whole"]) == 0
    program = ("import os, signal, sys\n"
               "from chainrule.cli import main\n"
               "from chainrule.training import Checkpoints\n"
               "save, at = Checkpoints.save, int(sys.argv.pop(1))\n"
               "def until(self, state, step):\n"
               "    save(self, state, step)\n"
               "    if step >= at: os.kill(os.getpid(), signal.SIGKILL)\n"
               "Checkpoints.save = until\n"
               "sys.exit(main())")
    for at in (0, 63, 91):
        done = subprocess.run([sys.executable, "-c", program, str(at), "train", *command, "--quiet", "--out", str(at)],
                              capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert trained_on(capsys, str(at))["compiled"] is True
        assert Path(f"{at}/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
