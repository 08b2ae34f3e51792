"""Runs that are really killed, at random moments, and go on to the same bytes as one that never was."""
from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import chainrule

KILLS = 20
COMMAND = [sys.executable, "-m", "chainrule", "train", "--quiet"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(chainrule.__file__).parents[1])}


def start(*arguments):
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=ENVIRONMENT)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def sums(folder):
    """Return the SHA-256 of the weights, of the moments and all else that is saved, and of the history; no times."""
    def digest(content):
        return hashlib.sha256(content).hexdigest()

    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    last = max((folder / "checkpoints").glob("*.json"))
    state = json.loads(last.read_text())["state"]
    for row in [*rows, *state["history"], state["run"]]:
        del row["seconds"]
    return {"weights": digest((folder / "model.safetensors").read_bytes()),
            "moments": digest(last.with_suffix(".safetensors").read_bytes()),
            "state": digest(json.dumps(state).encode()),
            "history": digest(json.dumps(rows).encode())}


def killed_again_and_again(folder, arguments, seconds, chance):
    """Start a run and kill it at a random moment of its time, then go on with it, and so on until it has ended.

    Killed before there is anything to go on from, it is begun anew, as one would.
    """
    kills = 0
    while True:
        resume = (folder / "config.toml").exists()
        process = start(*(("--resume", folder, *arguments[:2]) if resume else ("--out", folder, *arguments)))
        moment = time.monotonic() + chance.uniform(0, seconds)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.005)
        if process.poll() is not None:
            finish(process)
            return kills
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1


def check(tmp_path, arguments):
    chance = random.Random()                             # moments differ from run to run, the outcome must not
    began = time.monotonic()
    finish(start("--out", tmp_path / "whole", *arguments))
    seconds = time.monotonic() - began
    whole, kills, runs = sums(tmp_path / "whole"), 0, 0
    while kills < KILLS:
        runs += 1
        folder = tmp_path / f"killed-{runs}"
        kills += killed_again_and_again(folder, arguments, seconds, chance)
        assert sums(folder) == whole
    print(f"{kills} kills in {runs} runs of {seconds:.1f} s")


@pytest.mark.slow
def test_on_the_digits(tmp_path):
    check(tmp_path, ["--checkpoint-every", "10", "--hidden", "32,16", "--epochs", "12", "--keep", "best",
                     "--average", "0.99"])


@pytest.mark.slow
@pytest.mark.data
def test_on_mnist(tmp_path, data_dir):
    check(tmp_path, ["--checkpoint-every", "100", "--data", "mnist", "--data-dir", data_dir, "--hidden", "64",
                     "--epochs", "2", "--shift", "1"])
