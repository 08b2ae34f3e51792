"""Scripts typed as in course notes and books, over `l_layer` and `finite_differences`: run as they stand, elsewhere."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule

SCRIPTS = Path(__file__).parent / "as_typed"


def output(name, tmp_path):
    """Run a copy of a script in an empty folder, and return what it prints."""
    script = tmp_path / name
    script.write_bytes((SCRIPTS / name).read_bytes())
    environment = os.environ | {"PYTHONPATH": str(Path(chainrule.__file__).parents[1])}
    environment.pop("CHAINRULE_FIGURES", None)
    environment.pop("DISPLAY", None)
    done = subprocess.run([sys.executable, "-W", "error", name], capture_output=True, text=True, check=False,
                          cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def numbers(pattern, text):
    return [float(found) for found in re.findall(pattern + r"(-?\d[\d.e+-]*)", text)]


@pytest.mark.slow
def test_the_l_layer_loop(tmp_path):
    text = output("l_layer_loop.py", tmp_path)
    assert "X: (2, 400) Y: (1, 400) m = 400" in text
    small, he = text.split("--- He")
    costs = numbers(r"Cost after iteration \d+: ", small)
    assert [f"{cost:.5f}" for cost in costs] == ["0.69315"] * 5
    assert costs == sorted(costs, reverse=True)
    assert costs[0] - costs[-1] < 1e-6
    assert "outputs: 0.500000 to 0.500000" in small
    assert 0.75 < numbers("Accuracy: ", small)[0] < 0.9

    assert numbers(r"Cost after iteration \d+: ", he)[-1] < 0.1
    assert numbers("Accuracy: ", he)[0] >= 0.99
    assert numbers("wrong: ", he)[0] <= 4


def test_the_whole_model_in_one_call(tmp_path):
    text = output("l_layer_model.py", tmp_path)
    assert [f"{cost:.5f}" for cost in numbers(r"Cost after iteration \d+: ", text)] == ["0.69315"] * 3
    assert re.findall(r"iteration (\d+)", text) == ["0", "100", "200"]
    assert "['W1', 'W2', 'W3', 'b1', 'b2', 'b3']" in text
    assert "figure: figures/l-layer-cost.png" in text
    assert (tmp_path / "figures" / "l-layer-cost.png").read_bytes().startswith(b"\x89PNG")


def test_gradient_checking(tmp_path):
    zero, drawn, mistake = output("gradient_checking.py", tmp_path).split("--- ")[1:]
    assert "zeros in Z2: 273 of 1200" in zero
    assert numbers("mine: ", zero)[0] > 0.01
    assert numbers("\ndifference: ", zero)[0] > 0.01
    assert "273 of the 1200 Z of layer 2 are exactly 0, on the kink of relu" in zero
    assert numbers("mine: ", drawn)[0] < 2e-7
    assert numbers("\ndifference: ", drawn)[0] < 2e-7
    assert "the gradients are right" in drawn
    assert numbers("\ndifference: ", mistake)[0] > 1e-4
    assert "most of all in W2[" in mistake
    assert "kink" not in mistake


def test_finite_differences(tmp_path):
    text = output("finite_differences.py", tmp_path)
    assert numbers("first loss: ", text)[0] == pytest.approx(0.33455, abs=5e-6)
    assert numbers("last loss: ", text)[0] == pytest.approx(0.000328, abs=5e-7)
    assert numbers("after it: ", text)[0] == pytest.approx(0.000305, abs=5e-7)
    assert numbers("output: ", text)[0] == pytest.approx(-0.0175, abs=5e-5)
    found = {name: [float(x) for x in values.split(", ")] for name, values in
             re.findall(r"(\w\d) \[(.*)\] float32", text)}
    expected = {"W1": [0.0142, -0.5908, -0.2755, 0.3988, -0.5292, 0.1864], "b1": [0.0055, 0.5519, -0.0660],
                "W2": [0.3475, -0.0553, 0.0376], "b2": [-0.2244]}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=5.1e-5)
