"""``chainrule evaluate``: its figures against NumPy, and each way in which it can go wrong."""
from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from chainrule import data
from chainrule.cli import main


def cross_entropy(scores, labels):
    shifted = scores - scores.max(1, keepdims=True)
    return (np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]).mean()


# ---------------------------------------------------------------------- figures
def test_the_figures_of_classes(digits_run, by_hand, test_digits, shown):
    """The loss is the plain cross-entropy, though the run trained with another one."""
    images, labels = test_digits
    scores = by_hand(digits_run, images)
    taken = scores.argmax(1)
    result = json.loads(shown("evaluate", digits_run, "--json"))
    assert (result["run"], result["data"], result["samples"]) == (str(digits_run), "the test data of digits", 360)
    assert result["loss"] == pytest.approx(cross_entropy(scores, labels), rel=1e-5)
    history = [json.loads(line) for line in (digits_run / "history.jsonl").read_text().splitlines()]
    assert result["loss"] != pytest.approx(history[-1]["validation_loss"], rel=0.05)
    assert result["accuracy"] == history[-1]["validation_accuracy"] == (taken == labels).mean()
    assert result["confusion_matrix"] == [[int(((labels == i) & (taken == j)).sum()) for j in range(10)]
                                          for i in range(10)]
    each = []
    for i, row in enumerate(result["classes"]):
        hits = ((labels == i) & (taken == i)).sum()
        precision, recall = hits / (taken == i).sum(), hits / (labels == i).sum()
        each.append((precision, recall, 2 * precision * recall / (precision + recall)))
        assert (row["class"], row["samples"]) == (str(i), (labels == i).sum())
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx(each[-1], rel=1e-12)
    assert [result["precision"], result["recall"], result["f1"]] == pytest.approx(np.mean(each, 0).tolist(), rel=1e-12)


def test_the_figures_of_numbers(numbers_run, by_hand, table, shown):
    x, y, path = table
    train = json.loads(shown("evaluate", numbers_run, "--json"))
    assert train["samples"] == 24
    result = json.loads(shown("evaluate", numbers_run, "--data", path, "--json"))
    preparation = {}
    exec((numbers_run / "config.toml").read_text().partition("[model.preparation]")[2].partition("[versions]")[0],
         preparation)
    given = by_hand(numbers_run, (x - preparation["mean"]) / preparation["std"])[:, 0]
    wrong = given - y
    assert (result["data"], result["samples"]) == (str(path), 120)
    assert result["loss"] == pytest.approx((wrong ** 2).mean(), rel=1e-4)
    assert result["mae"] == pytest.approx(abs(wrong).mean(), rel=1e-4)
    assert result["rmse"] == pytest.approx(np.sqrt((wrong ** 2).mean()), rel=1e-4)
    assert result["r2"] == pytest.approx(1 - (wrong ** 2).sum() / ((y - y.mean()) ** 2).sum(), rel=1e-4)
    text = shown("evaluate", numbers_run, "--data", path)
    assert re.search(rf"^RMSE +{result['rmse']:.6g}$", text, re.MULTILINE)
    assert re.search(rf"^R² +{result['r2']:.6g}$", text, re.MULTILINE)


def test_the_tables_say_what_json_says(digits_run, shown):
    result = json.loads(shown("evaluate", digits_run, "--json"))
    lines = shown("evaluate", digits_run).splitlines()
    assert lines[0] == f"{digits_run} on the test data of digits: 360 digits"
    assert lines[1] == f"loss {result['loss']:.4f} (cross-entropy)"
    right = sum(result["confusion_matrix"][i][i] for i in range(10))
    assert lines[2] == f"accuracy {100 * right / 360:.2f} % ({right} of 360)"
    rows = [line.split() for line in lines[5:15]]
    assert rows == [[row["class"], str(row["samples"]), *(f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))]
                    for row in result["classes"]]
    assert lines[15].split() == ["all,", "mean", "360", *(f"{result[name]:.4f}" for name in ("precision", "recall",
                                                                                            "f1"))]
    assert [list(map(int, line.split()[1:])) for line in lines[-10:]] == result["confusion_matrix"]
    assert len({len(line) for line in lines[-11:]}) == 1                     # columns stand below each other


def test_on_a_terminal_the_tables_are_ruled_and_coloured(digits_run, on_a_screen):
    sent, text = on_a_screen(100, "evaluate", digits_run)
    assert "━" in text or "─" in text
    assert "\x1b[32m" in sent                            # what is right is green
    assert re.search(r"^ *0 +(\d+ +){9}\d+", text.partition("taken for")[2], re.MULTILINE)
    _, narrow = on_a_screen(50, "evaluate", digits_run)
    assert re.search(r"the 10 commonest of \d+ confusions; --json has all|\d+ confusions in all", narrow)
    counts = [int(line.split()[-1]) for line in narrow.partition("taken for")[2].splitlines()
              if re.fullmatch(r"\d +\d +\d+ *", line)]
    assert 0 < len(counts) <= 10
    assert counts == sorted(counts, reverse=True)


# ---------------------------------------------------------------------- other data
def test_a_file_of_ones_own_counts_all_its_samples(colours_run, colours, shown, tmp_path):
    """Classes go by their names, in whatever order; pixels as in training."""
    images, names, path = colours
    whole = json.loads(shown("evaluate", colours_run, "--data", path, "--json"))
    assert whole["samples"] == 80
    assert whole["accuracy"] > 0.95
    assert [row["class"] for row in whole["classes"]] == ["dark", "pale"]
    few = np.flatnonzero(names == "pale")[:7]            # one class alone, which nothing could be learned from
    np.savez(tmp_path / "few.npz", x_test=images[few], y_test=names[few])
    result = json.loads(shown("evaluate", colours_run, "--data", tmp_path / "few.npz", "--json"))
    assert [row["samples"] for row in result["classes"]] == [0, 7]
    np.savez(tmp_path / "wrong.npz", x=images[few], y=np.full(7, "dark"))
    assert json.loads(shown("evaluate", colours_run, "--data", tmp_path / "wrong.npz", "--json"))["accuracy"] == (
        1 - result["accuracy"])


def test_columns_go_by_their_names(numbers_run, table, shown, tmp_path):
    x, y, path = table
    lines = [f"{c},note,{b},{a},{price}\n" for (a, b, c), price in zip(x.tolist(), y.tolist(), strict=True)]
    (tmp_path / "other.csv").write_text("c,text,b,a,price\n" + "".join(lines))
    results = [json.loads(shown("evaluate", numbers_run, "--data", each, "--json"))
               for each in (path, tmp_path / "other.csv")]
    assert results[0] | {"data": ""} == results[1] | {"data": ""}


def test_the_data_of_a_run_may_be_gone(colours_run, colours, refused, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(colours_run, moved)
    config = (moved / "config.toml").read_text()
    (moved / "config.toml").write_text(config.replace(str(colours[2]), "/nowhere/colours.npz"))
    assert refused("evaluate", moved) == (
        f"the data that the run in {moved} learned from are not there any more, /nowhere/colours.npz; give others: "
        "--data FILE")


def test_data_that_do_not_fit(digits_run, numbers_run, colours_run, colours, table, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_MIRRORS", "http://127.0.0.1:1/none")       # nothing is fetched to find that out
    assert refused("evaluate", digits_run, "--data", "mnist") == (
        f"mnist has images of 28×28 pixels, the network in {digits_run} takes images of 8×8 pixels")
    assert refused("evaluate", numbers_run, "--data", "digits") == (
        f"digits has images of 8×8 pixels, the network in {numbers_run} takes 3 numbers")
    assert "there is no data set 'mnits'; did you mean 'mnist'?" in refused("evaluate", digits_run, "--data", "mnits")
    assert refused("evaluate", digits_run, "--data", tmp_path / "no.npz") == f"there is no file {tmp_path / 'no.npz'}"
    assert "met the shape (80, 6, 5)" in refused("evaluate", digits_run, "--data", renamed(colours, tmp_path))
    assert "has the class '0' (sample 0, 1 such in all); the network knows dark, pale" in refused(
        "evaluate", colours_run, "--data", saved(tmp_path, x=colours[0][:1], y=np.array([0])))
    assert "the column 'c' is an input of the network" in refused(
        "evaluate", numbers_run, "--data", written(tmp_path, "price,a,b,c\n1.5,2,3,4\n2.5,1,1,1\n"))
    assert "holds text ('much'); the network predicts numbers" in refused(
        "evaluate", numbers_run, "--data", written(tmp_path, "a,b,c,price\n2,3,4,much\n2,3,4,much\n"))
    assert "has 2 numbers to predict for each sample" in refused(
        "evaluate", numbers_run, "--data", saved(tmp_path, x=np.ones((4, 3)), y=np.ones((4, 2))))
    assert "not finite" in refused(
        "evaluate", numbers_run, "--data", saved(tmp_path, x=np.full((4, 3), np.nan), y=np.ones(4)))
    assert "there are 4 inputs and 3 targets" in refused(
        "evaluate", numbers_run, "--data", saved(tmp_path, x=np.ones((4, 3)), y=np.ones(3)))
    assert "expected the arrays x_test and y_test, or x and y; it has x" in refused(
        "evaluate", numbers_run, "--data", saved(tmp_path, x=np.ones((4, 3))))
    (tmp_path / "empty.csv").touch()
    assert refused("evaluate", numbers_run, "--data", tmp_path / "empty.csv").endswith("empty.csv is empty, of 0 bytes")
    assert "is a folder" in refused("evaluate", numbers_run, "--data", tmp_path)
    assert "expected a file that ends in .npz, .csv or .tsv" in refused(
        "evaluate", numbers_run, "--data", numbers_run / "model.safetensors")


def test_the_classes_of_a_named_data_set_have_to_be_those_learned(refused, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(40) % 2)
    assert main(["train", "--quiet", "--data", str(tmp_path / "mine.npz"), "--hidden", "2", "--epochs", "1", "--out",
                 str(tmp_path / "run")]) == 0
    assert "the classes of mnist are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, the network in " in refused(
        "evaluate", tmp_path / "run", "--data", "mnist")


def saved(folder, **arrays):
    np.savez(folder / "given.npz", **arrays)
    return folder / "given.npz"


def written(folder, text):
    (folder / "given.csv").write_text(text)
    return folder / "given.csv"


def renamed(colours, folder):
    return saved(folder, x=colours[0], y=np.arange(80) % 2)


# ---------------------------------------------------------------------- runs that cannot be used
@pytest.fixture
def copied(digits_run, tmp_path):
    return shutil.copytree(digits_run, tmp_path / "run")


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "FILE"]])
def test_a_run_that_cannot_be_used(command, copied, refused, tmp_path):
    """Every command that needs the network says the same."""
    def said(run):
        return refused(command[0], run, *command[1:])

    again = f"; chainrule train --resume {copied} writes it again"
    assert said(tmp_path / "none") == (
        f"there is no folder {tmp_path / 'none'}; `chainrule train` makes one in runs/ and says its name")
    assert said(tmp_path) == f"{tmp_path} does not hold a run, but folders with runs: {copied}; give one of them"
    assert said(copied / "checkpoints") == (
        f"{copied / 'checkpoints'} does not hold a run: there is no config.toml in it")
    model = copied / "model.safetensors"
    assert said(model) == f"{model} is a file; a run is a folder, here {copied}"
    content = model.read_bytes()

    model.write_bytes(content[:-10])
    assert said(copied).startswith(f"{model} is not a readable safetensors file: ")
    assert said(copied).endswith(again)
    model.write_bytes(b"")
    assert said(copied).endswith(again)
    model.write_bytes(content[:-4] + np.float32(np.inf).tobytes())
    assert said(copied) == f"{model}: output.weight holds numbers that are not finite{again}"
    model.unlink()
    assert said(copied) == (f"the run in {copied} is not finished, there is no model.safetensors in it; go on with: "
                            f"chainrule train --resume {copied}")
    model.mkdir()
    assert said(copied) == f"cannot read {model}: Is a directory"


def test_a_model_of_another_network(copied, refused):
    config = copied / "config.toml"
    config.write_text(re.sub(r"hidden = \[\s*16,\s*\]", "hidden = [17]", config.read_text()))
    assert refused("evaluate", copied) == (
        f"{copied / 'model.safetensors'} is not of the network that config.toml describes: of another shape: "
        "hidden1.weight: expected (17, 64), got (16, 64); hidden1.bias: expected (17,), got (16,); "
        "output.weight: expected (10, 17), got (10, 16)"
        f"; chainrule train --resume {copied} writes it again")


@pytest.mark.parametrize(("change", "what"), [
    (("inputs = 64", "inputs = 63"), "images of 8×8 pixels are not 63 inputs"),
    (("inputs = 64", "inputs = 0"), "inputs is 0, expected whole numbers from 1 on"),
    (("outputs = 10", "outputs = 9"), "10 classes for 9 outputs"),
    (("outputs = 10", ""), "outputs is missing"),
    (('kind = "pixels"', 'kind = "spells"'), "met the kind 'spells'"),
    (('activation = "relu"', 'activation = "magic"'), "there is no activation 'magic'"),
    (('activation = "relu"', ""), "activation is missing"),
    (("dropout = 0.1", "dropout = 2"), "a dropout of 2"),
    (("dropout = 0.1", 'dropout = "much"'), ""),
    (("epochs = 4", ""), "epochs is missing"),
    (("[model", "[modle"), "the table [model] is missing"),
])
def test_settings_that_describe_no_network(copied, refused, change, what):
    config = copied / "config.toml"
    text = config.read_text()
    assert change[0] in text
    config.write_text(text.replace(*change))
    for command in ("evaluate", "info"):
        said = refused(command, copied)
        assert said.startswith(f"{config} does not describe a network")
        assert what in said
        assert said.endswith("it was changed after the run began; put config.toml back as it was, or train anew")


def test_settings_that_are_damaged(copied, refused):
    config = copied / "config.toml"
    config.write_bytes(config.read_bytes()[:100] + b"\xff")
    assert refused("evaluate", copied).startswith(f"{config} is not a TOML file: ")
    config.unlink()
    config.mkdir()
    assert refused("evaluate", copied) == f"{copied} does not hold a run: there is no config.toml in it"


def test_a_reader_that_has_gone(digits_run):
    """As `chainrule evaluate RUN | head -1` has it: no word, and no trace."""
    done = subprocess.run(f"{sys.executable} -m chainrule evaluate {digits_run} | head -c 1; exit ${{PIPESTATUS[0]}}",
                          shell=True, executable="/bin/bash", capture_output=True, text=True, check=False)
    assert done.stdout != ""
    assert done.stderr == ""


@pytest.mark.data
def test_mnist_and_fashion_mnist(data_dir, shown, refused, tmp_path):
    assert main(["train", "--quiet", "--data", "mnist", "--data-dir", str(data_dir), "--hidden", "8", "--epochs", "1",
                 "--shift", "0", "--batch-size", "1000", "--out", str(tmp_path / "run")]) == 0
    result = json.loads(shown("evaluate", tmp_path / "run", "--json"))       # the folder of the data is remembered
    assert result["samples"] == 10_000
    history = json.loads((tmp_path / "run" / "history.jsonl").read_text())
    assert result["accuracy"] == history["validation_accuracy"]
    assert "Trouser" in refused("evaluate", tmp_path / "run", "--data", "fashion-mnist")
    test = data.mnist(data_dir)[1]
    np.savez(tmp_path / "test.npz", x=test.arrays[0], y=test.arrays[1].astype(str))
    other = json.loads(shown("evaluate", tmp_path / "run", "--data", tmp_path / "test.npz", "--json"))
    assert other | {"data": ""} == result | {"data": ""}
