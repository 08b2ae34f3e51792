"""``chainrule info``: what a run and a file of weights hold, whole or damaged."""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from chainrule import data
from chainrule.cli import main


@pytest.fixture
def copied(digits_run, tmp_path):
    return shutil.copytree(digits_run, tmp_path / "run")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed in its second epoch or later."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    command = [sys.executable, "-m", "chainrule", "train", "--hidden", "8", "--epochs", "5000", "--checkpoint-every",
               "20", "--quiet", "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(data.__file__).parents[2])}
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 60
        while max([int(path.stem[5:]) for path in folder.glob("checkpoints/step-*.json")], default=0) < 100:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    return folder


# ---------------------------------------------------------------------- a run
def test_a_finished_run(digits_run, shown):
    result = json.loads(shown("info", digits_run, "--json"))
    assert (result["finished"], result["status"]) == (True, "finished, 4 epochs")
    assert (result["settings"]["hidden"], result["settings"]["label_smoothing"]) == ([16], 0.1)
    assert [(row["name"], row["output"], row["parameters"]) for row in result["layers"]] == [
        ("hidden1", "(N, 16)", 64 * 16 + 16), ("activation1", "(N, 16)", 0), ("dropout1", "(N, 16)", 0),
        ("output", "(N, 10)", 16 * 10 + 10)]
    assert result["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    assert result["history"] == [json.loads(line) for line in (digits_run / "history.jsonl").read_text().splitlines()]
    steps = sorted(int(path.stem[5:]) for path in digits_run.glob("checkpoints/*.json"))
    assert steps[-1] == 4 * 45
    assert [(state["step"], state["sound"], state["why"]) for state in result["checkpoints"]] == [
        (step, True, None) for step in steps]
    assert (result["inputs"], result["outputs"], result["image"]) == (64, 10, [8, 8])
    assert result["classes"] == list("0123456789")
    assert result["damaged"] == {}


def test_the_same_as_tables(digits_run, shown):
    rows = [json.loads(line) for line in (digits_run / "history.jsonl").read_text().splitlines()]
    text = shown("info", digits_run)
    assert text.startswith(f"{digits_run}: finished, 4 epochs\n\n")
    assert re.search(r"^label_smoothing +0\.1$", text, re.MULTILINE)
    assert re.search(r"^hidden +16$", text, re.MULTILINE)
    assert re.search(r"^hidden1 +Linear\(64 → 16\) +\(N, 16\) +1,040$", text, re.MULTILINE)
    assert re.search(r"^total +1,210$", text, re.MULTILINE)
    assert "takes images of 8×8 pixels, gives scores for 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)\n" in text
    best = min(rows, key=lambda row: row["validation_loss"])["epoch"]
    table = [re.split("  +", line) for line in text.partition("\nhistory ")[2].splitlines()]
    chosen = {"first": 1, "best, last": 4} if best == 4 else {"first": 1, "best": best, "last": 4}
    assert table[0][1:] == list(chosen)
    found = {name: cells for name, *cells in table[1:len(rows[0]) + 1]}
    assert found["epoch"] == list(map(str, chosen.values()))
    chosen = [rows[epoch - 1] for epoch in chosen.values()]
    assert found["test loss"] == [f"{row['validation_loss']:.4g}" for row in chosen]
    assert found["train accuracy"] == [f"{100 * row['train_accuracy']:.2f} %" for row in chosen]
    assert found["lr"] == [f"{row['lr']:.4g}" for row in chosen]
    assert "best is the lowest test loss" in text
    assert re.search(r"^step 180 +4 +sound$", text, re.MULTILINE)


def test_on_a_terminal(digits_run, on_a_screen):
    sent, text = on_a_screen(120, "info", digits_run)
    assert re.search(r"hidden1 +Linear\(64 → 16\) +\(N, 16\) +1,040", text)
    assert "\x1b[1m" in sent


def test_a_run_of_numbers(numbers_run, table, shown):
    text = shown("info", numbers_run)
    assert "takes 3 numbers, gives one number" in text
    assert json.loads(shown("info", numbers_run, "--json"))["columns"] == ["a", "b", "c"]


def test_a_killed_run_says_how_to_go_on(killed, shown, tmp_path):
    onward = f"chainrule train --resume {killed}"
    result = json.loads(shown("info", killed, "--json"))
    assert result["finished"] is False
    step = result["checkpoints"][-1]["step"]
    epoch = step // 45 + 1
    assert result["status"] == (f"not finished, stopped in epoch {epoch} of 5000 if it is not running still; go on "
                                f"with: {onward}")
    assert result["checkpoints"][-1]["epoch"] == epoch
    assert [row["epoch"] for row in result["history"]] == list(range(1, epoch))
    assert all(0 < row["train_loss"] < 10 for row in result["history"])
    assert "first" in shown("info", killed)


def test_a_run_stopped_early(shown, tmp_path):
    assert main(["train", "--quiet", "--hidden", "8", "--epochs", "300", "--lr", "0.3", "--early-stopping", "1",
                 "--out", str(tmp_path / "run")]) == 0
    result = json.loads(shown("info", tmp_path / "run", "--json"))
    assert result["status"] == f"finished, after {len(result['history'])} of 300 epochs"
    assert len(result["history"]) < 300
    assert "best is the lowest validation loss\n" in shown("info", tmp_path / "run")          # not of the test data


def test_damaged_checkpoints_are_named(copied, shown):
    states = sorted(copied.glob("checkpoints/step-*.json"))
    assert len(states) == 3
    tensors = states[-1].with_suffix(".safetensors")
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    states[-2].write_bytes(states[-2].read_bytes()[:50])
    result = json.loads(shown("info", copied, "--json"))
    assert [state["sound"] for state in result["checkpoints"]] == [True, False, False]
    assert "is not what was saved (SHA-256)" in result["checkpoints"][2]["why"]
    assert "it is not whole" in result["checkpoints"][1]["why"]
    lines = shown("info", copied).splitlines()
    assert [line.split()[2:4] for line in lines if line.startswith("step ")][1:] == [["damaged:", "it"],
                                                                                    ["damaged:", f"{tensors.name},"]]


def test_a_damaged_model_and_history(copied, shown):
    model, history = copied / "model.safetensors", copied / "history.jsonl"
    model.write_bytes(model.read_bytes()[:-1])
    for text, words in (('{"epoch": 1}\n{"epo', "the last line is torn"), ('{"epo\n{"epoch": 1}', "line 1"),
                            ('["epoch"]\n', "line 1"), ('{"loss": 1}\n', "does not hold the figures of an epoch")):
        history.write_text(text)
        result = json.loads(shown("info", copied, "--json"))
        assert set(result["damaged"]) == {"model.safetensors", "history.jsonl"}
        assert words in result["damaged"]["history.jsonl"]
        assert str(model) in result["damaged"]["model.safetensors"]
        assert result["damaged"]["model.safetensors"].endswith(f"chainrule train --resume {copied} writes it again")
        assert result["status"] == "finished"
        assert len(result["history"]) == 4               # the checkpoint has it too
        assert words in shown("info", copied)


def test_nothing_to_go_on_from(copied, shown):
    (copied / "model.safetensors").unlink()
    (copied / "history.jsonl").unlink()
    shutil.rmtree(copied / "checkpoints")
    assert shown("info", copied).startswith(
        f"{copied}: not finished, and there is nothing to go on from; train anew with --out {copied} --overwrite\n")


# ---------------------------------------------------------------------- a file
def test_a_file_of_weights_of_anyone(shown, tmp_path):
    path = tmp_path / "any.safetensors"
    save_file({"b.w": np.zeros((2, 3, 4), np.float16), "a": np.arange(5), "s": np.float32(1)[None].reshape(())}, path,
              {"from": "some\x1b[31mone"})
    result = json.loads(shown("info", path, "--json"))
    tensors = sorted((each["name"], each["shape"], each["dtype"], each["numbers"]) for each in result["tensors"])
    assert tensors == [("a", [5], "I64", 5), ("b.w", [2, 3, 4], "F16", 24), ("s", [], "F32", 1)]
    assert (result["numbers"], result["bytes"]) == (30, path.stat().st_size)
    assert result["metadata"] == {"from": "some\x1b[31mone"}
    text = shown("info", path)
    assert text.startswith(f"{path}: 3 tensors, 30 numbers, {path.stat().st_size:,} bytes\n")
    assert "from: some\\x1b[31mone\n" in text            # colours of others are not shown
    assert re.search(r"^b\.w +F16 +2×3×4 +24$", text, re.MULTILINE)


def test_numbers_that_numpy_does_not_have(shown, tmp_path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "b.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(6))
    assert json.loads(shown("info", tmp_path / "b.safetensors", "--json"))["tensors"] == [
        {"name": "w", "shape": [3], "dtype": "BF16", "numbers": 3}]


def test_the_model_of_a_run_is_such_a_file(digits_run, shown):
    result = json.loads(shown("info", digits_run / "model.safetensors", "--json"))
    assert result["numbers"] == 64 * 16 + 16 + 16 * 10 + 10


def test_what_is_neither(digits_run, refused, tmp_path):
    assert refused("info", tmp_path / "none") == f"there is neither a folder nor a file {tmp_path / 'none'}"
    assert refused("info", tmp_path) == f"{tmp_path} does not hold a run: there is no config.toml in it"
    whole = (digits_run / "model.safetensors").read_bytes()
    for content in (b"", b"no weights, but text", whole[:5], whole[:100], whole[:-1], whole + b"x"):
        (tmp_path / "file").write_bytes(content)
        assert refused("info", tmp_path / "file").startswith(f"{tmp_path / 'file'} is not a whole .safetensors file: ")
    if os.geteuid():
        (tmp_path / "file").chmod(0)
        assert refused("info", tmp_path / "file") == f"cannot read {tmp_path / 'file'}: Permission denied"
