"""The history of a run: rows, JSON Lines, a picture."""
from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
    assert "2 epochs" in repr(history)
    assert "train_loss=1" in repr(history)
    assert repr(History()) == "History(empty)"
    assert History()["anything"] == []


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


