"""Scripts typed as in books, over the layers by hand and the two-layer network: run as they stand, elsewhere."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule as cr

SCRIPTS = Path(__file__).parent / "as_typed"
FRUIT = {"price": 715, "dApple": 2.2, "dApple_num": 110, "dOrange": 3.3, "dOrange_num": 165, "dTax": 650}


def output(name, tmp_path, **more):
    """Run a copy of a script in an empty folder, warnings being errors, and return what it prints."""
    (tmp_path / name).write_bytes((SCRIPTS / name).read_bytes())
    environment = os.environ | {"PYTHONPATH": str(Path(cr.__file__).parents[1])} | more
    environment.pop("DISPLAY", None)
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")  # tests run side by side
    done = subprocess.run([sys.executable, "-W", "error", name], cwd=tmp_path, env=environment, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def values(text):
    """The numbers of lines such as ``price: 715``."""
    return {name: float(number) for name, number in re.findall(r"^(\w+): ?(-?\d[\d.e+-]*)$", text, re.MULTILINE)}


def test_every_script_is_run_by_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_as_typed_*.py"))
    scripts = [path.name for path in SCRIPTS.glob("*.py")]
    assert len(scripts) >= 9
    assert [name for name in scripts if f'"{name}"' not in tests] == []


def test_the_fruit_shop(tmp_path):
    apples, both = output("buy_fruit.py", tmp_path).split("--- with oranges\n")
    assert "price: 220.00000000000003\n" in apples       # 1.1 is not quite 1.1
    assert values(apples) == pytest.approx({"price": 220, "dApple": 2.2, "dApple_num": 110, "dTax": 200}, rel=1e-12)
    assert values(both) == pytest.approx(FRUIT, rel=1e-12)


def test_a_mul_layer_of_ones_own_beside_ours(tmp_path):
    assert values(output("own_mul_layer.py", tmp_path)) == pytest.approx(FRUIT, rel=1e-12)


def test_layers_of_ones_own_in_networks(tmp_path):
    text = output("own_layers.py", tmp_path)
    assert re.findall(r"^(\w\d) True$", text, re.MULTILINE) == ["W1", "b1", "W2", "b2"]
    assert values(text)["accuracy"] > 0.94
    assert "right: True" in text
    assert "WrongSigmoid [('x', (0, 0), 'wrong formula'), ('x', (0, 1), 'wrong formula')]" in text
    assert "Square [('W', (1,), 'wrong formula')]" in text
    assert float(text.rpartition("in a Sequential: ")[2]) > 0.94


@pytest.mark.slow
@pytest.mark.data
def test_a_two_layer_net_of_ones_own(tmp_path, data_dir):
    text = output("own_two_layer_net.py", tmp_path, CHAINRULE_DATA=str(data_dir))
    found = values(text)
    for key in ("W1", "b1", "W2", "b2"):
        assert 0 < found[key] < 1e-7
    assert "the same after an accuracy: True" in text
    first, last = map(float, re.findall(r"loss: ([\d.]+) -> ([\d.]+)", text)[0])
    assert first == pytest.approx(2.303, abs=0.01)       # ln 10
    assert last < 0.1
    assert found["accuracy"] == 1


@pytest.mark.slow
@pytest.mark.data
def test_the_mini_batch_loop(tmp_path, data_dir):
    text = output("mini_batch_loop.py", tmp_path, CHAINRULE_DATA=str(data_dir))
    pairs = [tuple(map(float, pair)) for pair in re.findall(r"train acc, test acc \| ([\d.]+), ([\d.]+)", text)]
    assert len(pairs) == 17                              # before the first step, and after each epoch of 600
    assert max(pairs[0]) < 0.3
    assert pairs[1][1] > 0.88
    found = values(text)
    assert found["last"] >= 0.965
    assert found["losses"] == 10_000
