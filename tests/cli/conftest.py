"""Runs to look at, made once, and a terminal to look at them on."""
from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.cli.terminal import COMMAND, on_a_terminal, without_colours

from chainrule import data
from chainrule.cli import main
from chainrule.training import History


def trained(folder, *arguments):
    """Train quickly, without a picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "plot", lambda self, path, **_: None)
        assert main(["train", "--quiet", "--out", str(folder), *map(str, arguments)]) == 0
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A run on the digits, with a loss that is not the plain one."""
    return trained(tmp_path_factory.mktemp("digits") / "run", "--hidden", "16", "--epochs", 4, "--dropout", 0.1,
                   "--label-smoothing", 0.1, "--class-weights", "balanced", "--checkpoint-every", 45)


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A table of numbers to predict numbers from: its inputs, its targets, and the file."""
    generator = np.random.default_rng(3)
    x = generator.normal(5, 2, (120, 3)).round(3)
    y = (x @ [1.0, -2.0, 0.5] + 30).round(3)
    path = tmp_path_factory.mktemp("table") / "prices.csv"
    path.write_text("a,b,c,price\n" + "".join(f"{','.join(map(str, row))},{price}\n"
                                              for row, price in zip(x.tolist(), y.tolist(), strict=True)))
    return x, y, path


@pytest.fixture(scope="session")
def numbers_run(tmp_path_factory, table):
    """A run on that table."""
    return trained(tmp_path_factory.mktemp("numbers") / "run", "--data", table[2], "--hidden", "8", "--epochs", 30)


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """Images of 6×5 bytes, dark on light, of two classes with names: the images, the names, and the file."""
    generator = np.random.default_rng(4)
    light = np.arange(80) % 2
    images = (generator.integers(150, 256, (80, 6, 5)) - 100 * light[:, None, None]).astype(np.uint8)
    names = np.array(["pale", "dark"])[light]
    path = tmp_path_factory.mktemp("colours") / "colours.npz"
    np.savez(path, x=images, y=names)
    return images, names, path


@pytest.fixture(scope="session")
def colours_run(tmp_path_factory, colours):
    """A run on these images."""
    return trained(tmp_path_factory.mktemp("colours") / "run", "--data", colours[2], "--hidden", "8",
                   "--activation", "tanh", "--lr", 0.02, "--epochs", 40)


@pytest.fixture(scope="session")
def by_hand():
    """``by_hand(folder, x)``: what the network of a run with one hidden layer of ReLUs gives, in NumPy alone."""
    def forward(folder, x):
        w = {name: array.astype(np.float64) for name, array in load_file(folder / "model.safetensors").items()}
        hidden = np.maximum(x @ w["hidden1.weight"].T + w["hidden1.bias"], 0)
        scores = hidden @ w["output.weight"].T + w["output.bias"]
        return scores * w.get("units.scale", 1.0) + w.get("units.mean", 0.0)
    return forward


@pytest.fixture(scope="session")
def test_digits():
    """The digits held out: images as floats, shape (360, 64), and labels."""
    images, labels = data.digits()[1][:]
    return np.asarray(images, np.float64), labels


@pytest.fixture
def refused(capsys):
    """``refused(*arguments)``: the one line with which a command fails."""
    def run(*arguments, code=1):
        assert main(list(map(str, arguments))) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("chainrule: ")
        assert err.count("\n") == 1
        return err.removeprefix("chainrule: ").rstrip("\n")
    return run


@pytest.fixture
def shown(capsys):
    """``shown(*arguments)``: what a command that works prints."""
    def run(*arguments):
        assert main(list(map(str, arguments))) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out
    return run


@pytest.fixture
def on_a_screen():
    """``on_a_screen(columns, *arguments)``: what a command shows on a terminal, as sent and without colours."""
    def run(columns, *arguments):
        code, sent, err = on_a_terminal([*COMMAND, *arguments], columns, stream="stdout")
        assert (code, err) == (0, "")
        return sent, without_colours(sent).replace("\r\n", "\n")
    return run
