"""``chainrule predict``: the same answers as NumPy gives, for every form in which samples come."""
from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule import data
from chainrule.cli import main


def softmax(scores):
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(data.__file__).parents[2]))    # for commands started there
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def expected(digits_run, by_hand, test_digits):
    """The probabilities of the digits held out."""
    return softmax(by_hand(digits_run, test_digits[0]))


@pytest.fixture
def predictions(shown):
    def run(*arguments):
        return json.loads(shown("predict", *arguments, "--json"))["predictions"]
    return run


def saved(array, name="given.npy"):
    np.save(name, array)
    return name


# ---------------------------------------------------------------------- arrays
@pytest.mark.parametrize(("shape", "several"), [
    ((360, 64), True), ((360, 8, 8), True), ((360, 1, 8, 8), True), ((360, 8, 8, 1), True), ((64,), False),
    ((8, 8), False), ((1, 64), True), ((1, 8, 8), True), ((64, 1), False)])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8, np.int64, "0 to 16"])
def test_arrays_of_every_form(digits_run, expected, test_digits, predictions, shape, several, kind):
    """Whole numbers are pixels from 0 to 16, floats from 0 to 1 are taken as they are."""
    n = shape[0] if several else 1
    images = test_digits[0][:n].reshape(shape)
    array = images.astype(kind) if kind in (np.float64, np.float32) else np.round(16 * images).astype(
        np.float64 if kind == "0 to 16" else kind)
    found = predictions(digits_run, saved(array))
    assert [(row["file"], row["sample"]) for row in found] == [("given.npy", i) for i in range(n)]
    assert [int(row["class"]) for row in found] == expected[:n].argmax(1).tolist()
    np.testing.assert_allclose([row["probability"] for row in found], expected[:n].max(1), rtol=1e-4)


def test_truth_values_are_black_and_white(digits_run, by_hand, test_digits, predictions):
    drawn = test_digits[0][:20] > 0.5
    found = predictions(digits_run, saved(drawn))
    np.testing.assert_allclose([row["probability"] for row in found],
                               softmax(by_hand(digits_run, drawn.astype(float))).max(1), rtol=1e-4)


def test_an_npz_file(digits_run, expected, test_digits, predictions):
    np.savez("given.npz", x=test_digits[0][:5], y=test_digits[1][:5])
    assert [int(row["class"]) for row in predictions(digits_run, "given.npz")] == expected[:5].argmax(1).tolist()


def test_numbers_from_a_table(numbers_run, by_hand, table, shown, predictions):
    """Other columns, and another order, do not matter; nor does it that the file of the training data is gone."""
    x = table[0][:6]
    Path("new.csv").write_text("c,a,what,b\n" + "".join(f"{c},{a},word,{b}\n" for a, b, c in x.tolist()))
    preparation = {}
    exec((numbers_run / "config.toml").read_text().partition("[model.preparation]")[2].partition("[versions]")[0],
         preparation)
    right = by_hand(numbers_run, (x - preparation["mean"]) / preparation["std"])
    table[2].rename("elsewhere.csv")
    try:
        found = predictions(numbers_run, "new.csv")
        lines = shown("predict", numbers_run, "new.csv", "--top", "3").splitlines()
    finally:
        Path("elsewhere.csv").rename(table[2])
    np.testing.assert_allclose([row["values"] for row in found], right, rtol=1e-4)
    assert [line.split() for line in lines] == [[f"new.csv[{i}]", f"{row['values'][0]:.6g}"]
                                                for i, row in enumerate(found)]


# ---------------------------------------------------------------------- images
def drawn(image, times=10, dark=False):
    pixels = np.kron(np.round(255 * image.reshape(8, 8)), np.ones((times, times))).astype(np.uint8)
    return Image.fromarray(255 - pixels if dark else pixels)


def test_images_of_real_digits(digits_run, expected, test_digits, shown):
    """PNG, JPEG, GIF and BMP, ten times the size, dark on light: a line for each file."""
    sure = np.flatnonzero(expected.max(1) > 0.8)[:40]    # JPEG changes pixels by a little
    names = [f"{i}.{('png', 'jpg', 'gif', 'bmp')[i % 4]}" for i in sure]
    assert {name[-3:] for name in names} == {"png", "jpg", "gif", "bmp"}
    for i, name in zip(sure, names, strict=True):
        drawn(test_digits[0][i], dark=True).save(name)
    lines = shown("predict", digits_run, *names).splitlines()
    found = [re.fullmatch(r"(\S+) +(\d) +(\d+\.\d) %", line).groups() for line in lines]
    assert [name for name, _, _ in found] == names
    assert [int(digit) for _, digit, _ in found] == expected[sure].argmax(1).tolist()
    np.testing.assert_allclose([float(percent) for _, _, percent in found], 100 * expected[sure].max(1), atol=4)


def test_invert(digits_run, by_hand, test_digits, predictions):
    image = test_digits[0][0]
    for dark in (False, True):
        drawn(image, dark=dark).save("seven.png")
        for options, inverted in (([], False), (["--invert"], not dark), (["--no-invert"], dark)):
            pixels = np.round(255 * image) / 255
            given = 1 - pixels if inverted else pixels
            (row,) = predictions(digits_run, "seven.png", *options)
            assert row["probability"] == pytest.approx(softmax(by_hand(digits_run, given[None])).max(), rel=1e-3)


def test_images_of_ones_own_are_inverted_only_if_that_is_said(colours_run, colours, predictions):
    """They may be light all over."""
    images, names, _ = colours
    for i in range(6):
        Image.fromarray(images[i]).save(f"{i}.png")
    files = [f"{i}.png" for i in range(6)]
    assert [row["class"] for row in predictions(colours_run, *files)] == names[:6].tolist()
    array = predictions(colours_run, saved(images[:6]))
    assert [row["top"] for row in predictions(colours_run, *files)] == [row["top"] for row in array]
    inverted = predictions(colours_run, *files, "--invert")
    assert [row["probability"] for row in inverted] != [row["probability"] for row in array]


# ---------------------------------------------------------------------- output
def test_top(digits_run, expected, test_digits, predictions, shown):
    name = saved(test_digits[0][:30])
    found = predictions(digits_run, name, "--top", "3")
    order = np.argsort(-expected[:30], 1)
    for row, ranks, all in zip(found, order, expected, strict=False):
        assert [int(each["class"]) for each in row["top"]] == ranks[:3].tolist()
        np.testing.assert_allclose([each["probability"] for each in row["top"]], all[ranks[:3]], rtol=1e-3)
        assert (row["class"], row["probability"]) == tuple(row["top"][0].values())
    line = shown("predict", digits_run, name, "--top", "3").splitlines()[4]
    assert line.split() == ["given.npy[4]", *(word for i in order[4][:3]
                                              for word in (str(i), f"{100 * expected[4][i]:.1f}", "%"))]
    assert len(predictions(digits_run, name, "--top", "1000000000")[0]["top"]) == 10


def test_out(digits_run, expected, test_digits, shown):
    one, rest = saved(test_digits[0][0], "one.npy"), saved(test_digits[0][1:], "rest.npy")
    assert shown("predict", digits_run, one, rest, "--out", "all.npy", "--quiet") == ""
    found = np.load("all.npy")
    assert (found.shape, found.dtype) == ((360, 10), np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    assert shown("predict", digits_run, one, "--out", "all.npy").splitlines()[-1] == "wrote all.npy"
    assert json.loads(shown("predict", digits_run, one, "--out", "all.npy", "--json"))["out"] == "all.npy"
    assert np.load("all.npy").shape == (1, 10)


def test_names_that_would_move_the_cursor(digits_run, test_digits, shown, refused):
    assert refused("predict", digits_run, "\x1b[2J.npy") == "there is no file \\x1b[2J.npy"
    name = saved(test_digits[0][0], "\x1b[2Ja\nb.npy")
    assert shown("predict", digits_run, name).startswith("\\x1b[2Ja\\nb.npy  ")


# ---------------------------------------------------------------------- what goes wrong
@pytest.mark.parametrize(("array", "words"), [
    (np.zeros((3, 7)), "met the shape (3, 7); the network in RUN takes images of 8×8 pixels: an array of shape (64,), "
                       "(8,8), (N,64) or (N,8,8), or image files of any size"),
    (np.zeros((2, 4, 16)), "met the shape (2, 4, 16)"), (np.zeros((28, 28)), "met the shape (28, 28)"),
    (np.zeros((0, 64)), "is empty"), (np.zeros(()), "is a single number"),
    (np.full((2, 64), 255), "met pixels from 255 to 255; expected floats from 0 to 1, or whole numbers from 0 to 16, "
                            "as in training; x / 255 would do, if 255 is white"),
    (np.full((2, 64), -1), "met pixels from -1 to -1; expected"), (np.full((2, 64), 0.5) * 3, "met pixels from 1.5"),
    (np.full((2, 64), np.nan), "is not finite: 128 of 128 values, the first is nan in sample 0"),
    (np.full((2, 64), np.inf), "is not finite"), (np.zeros((2, 64), complex), "complex"),
    (np.full((2, 64), "seven"), "expected numbers")])
def test_arrays_that_do_not_fit(digits_run, refused, array, words):
    said = refused("predict", digits_run, saved(array))
    assert said.startswith("given.npy: ")
    assert words.replace("RUN", str(digits_run)) in said


def test_files_that_cannot_be_read(digits_run, numbers_run, refused):
    np.save("objects.npy", np.array([{}, []], object), allow_pickle=True)
    assert "Python objects, which are not read" in refused("predict", digits_run, "objects.npy")
    Path("cut.npy").write_bytes(Path(saved(np.zeros((9, 64)))).read_bytes()[:-100])
    assert refused("predict", digits_run, "cut.npy").startswith("cut.npy: ")
    for name in ("empty.npy", "empty.png", "empty.csv"):
        Path(name).touch()
        assert refused("predict", digits_run, name) == f"{name} is empty, of 0 bytes"
    for name in ("none.npy", "none.png", "none.csv"):
        assert refused("predict", digits_run, name) == f"there is no file {name}"
        assert refused("predict", numbers_run, name) == f"there is no file {name}"
    Path("folder").mkdir()
    assert refused("predict", digits_run, "folder") == "folder is a folder; give the files in it: folder/*"
    assert refused("predict", digits_run, saved(np.zeros(64)), "none.png") == "there is no file none.png"
    Path("loop").symlink_to("loop")
    assert refused("predict", digits_run, "loop") == "cannot read loop: Too many levels of symbolic links"


def test_a_file_that_one_may_not_read(digits_run, refused, monkeypatch):
    def forbidden(*_):
        raise PermissionError(13, "Permission denied", "given.npy")

    monkeypatch.setattr(data, "load_inputs", forbidden)  # root may read everything
    assert refused("predict", digits_run, saved(np.zeros(64))) == "cannot read given.npy: Permission denied"


def test_an_image_for_a_network_of_other_things(numbers_run, refused, tmp_path):
    drawn(np.zeros(64)).save("image.png")
    assert refused("predict", numbers_run, "image.png") == (
        f"image.png: the network in {numbers_run} takes 3 numbers (a, b, c), not images; give a .npy or .npz file, or "
        "a table that ends in .csv or .tsv")
    generator = np.random.default_rng(0)
    np.savez("floats.npz", x=generator.normal(size=(30, 4, 4)), y=np.arange(30) % 2)
    assert main(["train", "--data", "floats.npz", "--quiet", "--batch-size", "8", "--epochs", "1", "--out", "run"]) == 0
    assert refused("predict", "run", "image.png") == (
        "image.png: the images that the run in run learned from were not of bytes, so it is not known what black and "
        "white were in them; give an array in a .npy file")


def test_a_missing_column(numbers_run, refused):
    Path("new.csv").write_text("a,b\n1,2\n")
    assert "there is no column 'c'" in refused("predict", numbers_run, "new.csv")


def test_out_that_cannot_be(digits_run, refused, test_digits):
    name = saved(test_digits[0][0])
    before = Path(name).read_bytes()
    assert "ends in .npy, which out.csv does not; see chainrule predict --help" in refused(
        "predict", digits_run, name, "--out", "out.csv", code=2)
    assert "would replace the samples" in refused("predict", digits_run, name, "--out", f"./{name}", code=2)
    assert Path(name).read_bytes() == before
    assert refused("predict", digits_run, name, "--out", "no/such.npy") == (
        "cannot write no/such.npy: No such file or directory")
    assert "missing argument 'FILE...'" in refused("predict", digits_run, code=2)
    assert "'--top'" in refused("predict", digits_run, name, "--top", "0", code=2)


def test_inputs_so_large_that_the_outputs_overflow(numbers_run, refused):
    assert "gives numbers that are not finite" in refused("predict", numbers_run, saved(np.full((1, 3), 1e300)))


def test_as_a_process(digits_run, test_digits):
    """Through a pipe that is closed early; and without Pillow, which arrays do not need."""
    saved(np.tile(test_digits[0], (10, 1)))
    command = f"{sys.executable} -m chainrule predict {digits_run} given.npy | head -2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout.count("\n"), done.stderr) == (2, "")
    drawn(test_digits[0][0]).save("image.png")
    program = "import sys; sys.modules['PIL'] = None; from chainrule.cli import main; sys.exit(main())"
    done = [subprocess.run([sys.executable, "-c", program, "predict", digits_run, name], capture_output=True, text=True,
                           check=False) for name in ("given.npy", "image.png")]
    assert (done[0].returncode, done[0].stdout.count("\n")) == (0, 3600)
    assert (done[1].returncode, done[1].stdout) == (1, "")
    assert done[1].stderr == ('chainrule: reading images needs Pillow, which is not installed; pip install '
                              '".[images]" in the clone adds it\n')


def test_the_folder_of_a_run_may_move(digits_run, expected, test_digits, predictions):
    shutil.copytree(digits_run, "moved")
    assert int(predictions("moved", saved(test_digits[0][0]))[0]["class"]) == expected[0].argmax()
