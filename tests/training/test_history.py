"""The history of a run: rows, JSON Lines, a picture."""
from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.training import History

ROWS = [{"epoch": 1, "lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.5, "validation_loss": 2.5,
         "validation_accuracy": 0.25, "seconds": 0.1},
        {"epoch": 2, "lr": 0.1, "train_loss": 1.0, "train_accuracy": 0.75, "validation_loss": 1.5,
         "validation_accuracy": 0.5, "seconds": 0.1}]


def test_rows_and_columns():
    history = History(ROWS)
    assert len(history) == 2
    assert history[-1] is ROWS[1]
    assert list(history) == ROWS
    assert history["train_loss"] == [2.0, 1.0]
    with pytest.raises(KeyError, match="no figure 'loss'; there are epoch, lr, train_loss"):
        history["loss"]
    assert History()["anything"] == []
    assert history.columns == list(ROWS[0])
    assert history.to_dict() == {name: [row[name] for row in ROWS] for name in ROWS[0]}
    assert History().to_dict() == {}
    changed = History([{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": 0.5, "validation_loss": 0.6}])
    assert changed.to_dict() == {"epoch": [1, 2], "train_loss": [1.0, 0.5], "validation_loss": [None, 0.6]}


def long(epochs, *metrics):
    """A history with a loss and metrics of both parts."""
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "lr": 0.1}
        for kind, offset in (("train", 0.0), ("validation", 0.001)):
            row |= {f"{kind}_loss": 2.0 / epoch, **{f"{kind}_{name}": epoch / 1000 + offset for name in metrics}}
        rows.append(row | {"seconds": 1.25})
    return History(rows)


class TestTable:
    def test_of_two_epochs(self):
        assert repr(History(ROWS)) == """\
History of 2 epochs
       loss               accuracy
epoch  train  validation   train  validation     lr  seconds
    1  2.000       2.500  50.0 %      25.0 %  0.100    0.100
    2  1.000       1.500  75.0 %      50.0 %  0.100    0.100"""

    def test_empty_and_of_one(self):
        assert repr(History()) == "History(empty)"
        assert repr(long(1)).startswith("History of 1 epoch\n")
        assert "empty" in History()._repr_html_()

    def test_of_a_long_run_the_first_and_the_last_epochs_are_shown(self):
        lines = repr(long(500)).splitlines()
        assert lines[0] == "History of 500 epochs"
        assert [line.split()[0] for line in lines[3:]] == ["1", "2", "3", "…", "496", "497", "498", "499", "500"]
        assert [line.split()[0] for line in repr(long(9)).splitlines()[3:]] == list("123456789")

    @pytest.mark.parametrize("count", range(8))
    def test_it_fits_80_columns_and_names_what_does_not(self, count):
        names = ["accuracy", "f1", "mae", "rmse", "r2", "top5", "precision"][:count]
        text = repr(long(20, *names))
        assert max(map(len, text.splitlines())) <= 80
        for name in ["loss", *names, "lr", "seconds"]:
            assert name in text

    def test_html_has_the_same_cells_and_escapes_names(self):
        rows = [{**row, "train_<b>": 0.125} for row in ROWS]
        html = History(rows)._repr_html_()
        assert "<b>" not in html
        assert "&lt;b&gt;" in html
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
        assert cells[:5] == ["1", "2.000", "2.500", "50.0 %", "25.0 %"]
        assert len(cells) == 2 * 8
        assert "<script" not in html


class TestBest:
    ROWS = [{"epoch": 1, "train_loss": 0.5, "validation_accuracy": 0.9, "odd": 3.0},
            {"epoch": 2, "train_loss": 0.4, "validation_accuracy": None, "odd": 1.0},
            {"epoch": 3, "train_loss": float("nan"), "validation_accuracy": 0.95, "odd": 2.0},
            {"epoch": 4, "train_loss": 0.4, "validation_accuracy": 0.95}]

    @pytest.mark.parametrize(("given", "epoch"), [
        (("train_loss",), 2), (("train_loss", "max"), 1), (("validation_accuracy",), 3),
        (("validation_accuracy", "min"), 1), (("odd",), 1), (("odd", "min"), 2)])
    def test_of_each_figure(self, given, epoch):
        history = History(self.ROWS)
        assert history.best(*given) is self.ROWS[epoch - 1]

    def test_by_default_the_validation_loss(self):
        assert History(ROWS).best()["epoch"] == 2

    def test_what_cannot_be(self):
        with pytest.raises(KeyError, match="no figure 'validation_loss'; there are epoch, train_loss"):
            History(self.ROWS).best()
        with pytest.raises(ValueError, match="mode is 'auto', 'min' or 'max', got 'most'"):
            History(self.ROWS).best("odd", "most")
        with pytest.raises(ValueError, match="not known of any of the 2 epochs"):
            History([{"a": None}, {"a": float("nan")}]).best("a")
        with pytest.raises(ValueError, match="not known of any of the 0 epochs"):
            History().best()


def test_saved_as_json_lines_and_read_back(tmp_path):
    path = tmp_path / "history.jsonl"
    History(ROWS).save(path)
    assert [json.loads(line) for line in path.read_text().splitlines()] == ROWS
    assert History.load(path).rows == ROWS
    assert [p.name for p in tmp_path.iterdir()] == ["history.jsonl"]


def test_figures_that_are_not_finite_are_null(tmp_path):
    path = tmp_path / "history.jsonl"
    History([{"epoch": 1, "train_loss": float("nan"), "validation_loss": float("inf")}]).save(path)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    row = json.loads(path.read_text(), parse_constant=refuse)
    assert row == {"epoch": 1, "train_loss": None, "validation_loss": None}


def test_a_row_that_cannot_be_written_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "history.jsonl"
    History(ROWS).save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        History([*ROWS, {"epoch": object()}]).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["history.jsonl"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_exactly(values):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history.jsonl")
        History([{"epoch": i, "train_loss": value} for i, value in enumerate(values)]).save(path)
        read = History.load(path)["train_loss"]
    assert [struct.pack("d", value) for value in read] == [struct.pack("d", value) for value in values]


class TestLoad:
    def written(self, tmp_path, change):
        path = tmp_path / "history.jsonl"
        long(5).save(path)
        path.write_bytes(change(path.read_bytes()))
        return path

    @given(st.integers(0, 10**6))
    def test_a_file_cut_off_anywhere_gives_the_epochs_before(self, at):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "history.jsonl")
            long(5).save(path)
            whole = path.read_bytes()
            at %= len(whole) + 1
            path.write_bytes(whole[:at])
            complete = whole[:at].count(b"\n")
            rest = whole[:at].rpartition(b"\n")[2]
            if rest and not rest.endswith(b"}"):
                with pytest.warns(UserWarning, match=f"history.jsonl, line {complete + 1}: the last line is torn"):
                    rows = History.load(path).rows
            else:                                        # at most the end of its last line is missing
                rows, complete = History.load(path).rows, complete + bool(rest)
        assert rows == long(5).rows[:complete]

    def test_a_bad_line_is_named(self, tmp_path):
        path = self.written(tmp_path, lambda whole: whole.replace(b'{"epoch": 3,', b'{"epoch" 3,'))
        with pytest.raises(ValueError, match=r"history\.jsonl, line 3 is not JSON \(Expecting ':' delimiter\): "
                                             r"'\{\"epoch\" 3, "):
            History.load(path)

    def test_a_bad_last_line_that_is_whole_is_not_torn(self, tmp_path):
        path = self.written(tmp_path, lambda whole: whole + b"nonsense\n")
        with pytest.raises(ValueError, match=r"line 6 is not JSON \(Expecting value\): 'nonsense'"):
            History.load(path)

    @pytest.mark.parametrize("line", [b"[1, 2]", b"3", b"null", b'"text"'])
    def test_a_line_that_is_no_object_is_named(self, tmp_path, line):
        path = self.written(tmp_path, lambda whole: line + b"\n" + whole)
        with pytest.raises(ValueError, match="line 1: expected a JSON object with the figures of an epoch, got "):
            History.load(path)

    def test_bytes_that_are_no_text(self, tmp_path):
        path = self.written(tmp_path, lambda whole: b"\xff\xfe\n" + whole)
        with pytest.raises(ValueError, match="line 1 is not JSON"):
            History.load(path)

    def test_empty_lines_and_other_ends_of_lines_do_not_matter(self, tmp_path):
        path = self.written(tmp_path, lambda whole: b"\n" + whole.replace(b"\n", b"\r\n") + b"\n\n")
        assert History.load(path).rows == long(5).rows
        path.write_bytes(b"")
        assert History.load(path).rows == []


@pytest.mark.parametrize("rows", [
    ROWS, ROWS[:1], [{"epoch": 1, "train_loss": 1.0}],
    [{**row, "train_error": 0.5, "validation_error": None} for row in ROWS]])
def test_the_picture_has_a_panel_for_each_figure(tmp_path, rows):
    from PIL import Image
    path = tmp_path / "run.png"
    History(rows).plot(path, title="a title", validation="test")
    panels = sum(name.startswith("train_") for name in rows[0])
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == (720 * panels, 540)
        colors = {color for _, color in picture.convert("RGB").getcolors(10**6)}
    assert (0x8C, 0x8C, 0x8C) in colors                                    # the line of the training data
    assert ((0x1F, 0x6F, 0xEB) in colors) == any("validation_loss" in row for row in rows)
    assert [p.name for p in tmp_path.iterdir()] == ["run.png"]


def drawn(axes):
    """What the lines of a panel are called, and where they go."""
    return {line.get_label(): [list(values) for values in line.get_data()] for line in axes.get_lines()}


def test_a_picture_shows_the_figures_and_marks_the_best_epoch():
    rows = [{"epoch": i, "train_loss": a, "validation_loss": b, "train_accuracy": c, "validation_accuracy": d}
            for i, (a, b, c, d) in enumerate([(2.0, 2.5, 0.5, 0.25), (1.0, 1.5, 0.75, 0.5), (0.5, 1.75, 1.0, 0.25)], 1)]
    loss, accuracy = History(rows).plot(validation="test").axes
    assert (loss.get_title(loc="left"), accuracy.get_title(loc="left")) == ("loss", "accuracy in %")
    assert drawn(loss) == {"train 0.500": [[1, 2, 3], [2, 1, 0.5]], "test 1.750": [[1, 2, 3], [2.5, 1.5, 1.75]],
                           "best 1.500, epoch 2": [[2], [1.5]]}
    assert drawn(accuracy) == {
        "train 100.00 %": [[1, 2, 3], [50, 75, 100]], "test 25.00 %": [[1, 2, 3], [25, 50, 25]],
        "best 50.00 %, epoch 2": [[2], [50]]}


def test_without_validation_data_the_best_is_that_of_the_training_data():
    axes, = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.75}]).plot().axes
    assert drawn(axes)["best 0.500, epoch 1"] == [[1], [0.5]]
    axes, = History([{"epoch": 1, "train_loss": None}, {"epoch": 2, "train_loss": None}]).plot().axes
    assert len(drawn(axes)) == 1                         # nothing known, nothing to mark


@pytest.mark.parametrize(("name", "values", "scale"), [
    ("loss", [1.0, 0.1, 0.01], "log"), ("loss", [1.0, 0.5, 0.011], "linear"), ("loss", [1.0, 0.0], "linear"),
    ("loss", [1.0, -0.001], "linear"), ("loss", [1.0, None, 0.001], "log"), ("mae", [200.0, 1.0], "log"),
    ("accuracy", [0.001, 1.0], "linear")])
def test_the_scale_is_logarithmic_where_the_figures_span_decades(name, values, scale):
    rows = [{"epoch": i, f"train_{name}": value} for i, value in enumerate(values)]
    assert History(rows).plot().axes[0].get_yscale() == scale


def test_what_is_drawn_can_be_chosen():
    history = long(3, "accuracy", "f1")
    assert [axes.get_title(loc="left") for axes in history.plot(figures=["f1", "lr", "loss"]).axes] == [
        "f1 in %", "learning rate", "loss"]
    assert drawn(history.plot(figures="lr").axes[0]) == {"lr 0.100": [[1, 2, 3], [0.1] * 3]}
    assert len(history.plot().axes) == 3
    with pytest.raises(ValueError, match="no figure 'train_loss' in the history; there are loss, accuracy, f1, lr"):
        history.plot(figures=["train_loss"])
    with pytest.raises(ValueError, match="figures is empty"):
        history.plot(figures=[])
    with pytest.raises(ValueError, match="no figure that begins with train_"):
        History([{"epoch": 1, "lr": 0.1}]).plot()


def test_many_figures_come_three_in_a_row():
    assert list(long(3, *"abcd").plot().get_size_inches()) == [3 * 4.8, 2 * 3.6]
    assert list(long(3).plot().get_size_inches()) == [4.8, 3.6]


@pytest.mark.parametrize(("name", "start"), [
    ("run.png", b"\x89PNG"), ("run.svg", b"<?xml"), ("run.pdf", b"%PDF"), ("RUN.SVG", b"<?xml"), ("run", b"\x89PNG"),
    ("run.of.today.pdf", b"%PDF")])
def test_the_name_of_the_file_says_its_format(tmp_path, name, start):
    path = tmp_path / name
    History(ROWS).plot(str(path))
    first = path.read_bytes()
    assert first.startswith(start)
    History(ROWS).plot(path)
    assert path.read_bytes() == first                    # no date, no random names
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_format_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match=r"a picture is a \.png, \.svg or \.pdf file, got '.*run\.jpg'"):
        History(ROWS).plot(tmp_path / "run.jpg")
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_the_picture():
    from PIL import Image
    picture = History(ROWS).plot()
    with Image.open(io.BytesIO(picture._repr_png_())) as image:
        assert image.size == (1440, 540)


def test_drawing_leaves_pyplot_alone(tmp_path):
    program = ("import sys; from chainrule.training import History\n"
               "assert 'matplotlib' not in sys.modules\n"
               f"History([{{'epoch': 1, 'train_loss': 1.0}}]).plot({str(tmp_path / 'run.png')!r})\n"
               "assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "run.png").exists()


def test_without_matplotlib_the_error_names_the_extra(tmp_path):
    program = ("import sys; sys.modules['matplotlib'] = None\n"
               "from chainrule.training import History\n"
               f"History([{{'epoch': 1, 'train_loss': 1.0}}]).plot({str(tmp_path / 'run.png')!r})")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'ImportError: drawing a history needs matplotlib, which the extra `plot` installs' in run.stderr
    assert 'pip install ".[plot]"' in run.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="has no epoch"):
        History().plot(tmp_path / "run.png")
    assert not list(tmp_path.iterdir())
