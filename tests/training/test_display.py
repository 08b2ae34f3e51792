"""What a run shows: lines where there is no terminal (the live line is tested with the command, on a terminal)."""
from __future__ import annotations

import io
import re

import numpy as np
import pytest

from chainrule import data, nn, optim
from chainrule.training import Display, Run, Trainer, display
from chainrule.training.display import _duration


def run(shown, epochs=12, **options):
    x = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
    model = nn.Linear(1, 2)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), **options)
    part = data.ArrayDataset(x, np.arange(10) % 2)
    return trainer.fit(part, validation=part, epochs=epochs, batch_size=5, callbacks=shown and [shown])


def test_a_line_for_each_epoch_with_its_figures_and_the_time_left():
    file = io.StringIO()
    history = run(Display(file, validation="test"))
    lines = file.getvalue().splitlines()
    assert len(lines) == 12
    pattern = re.compile(r"epoch ( ?\d+)/12  loss (\d\.\d{3})  accuracy train (\d+\.\d) % test (\d+\.\d) %  "
                         r"(\d+ s left|took \d+ s)")
    for line, row in zip(lines, history, strict=True):
        epoch, loss, train, test, time = pattern.fullmatch(line).groups()
        assert int(epoch) == row["epoch"]
        assert loss == f"{row['train_loss']:.3f}"
        assert train == f"{100 * row['train_accuracy']:.1f}"
        assert test == f"{100 * row['validation_accuracy']:.1f}"
        assert time.startswith("took") == (row["epoch"] == 12)


def test_the_time_left_is_what_the_steps_so_far_took_for_those_to_come(monkeypatch):
    now, file = 100.0, io.StringIO()
    monkeypatch.setattr(display.time, "perf_counter", lambda: now)
    shown = Display(file)
    shown.begin(Run(first=1, epochs=4, steps=5))
    for epoch in (1, 2, 3, 4):
        for _ in range(5):
            now += 2.0
            shown.step(0.5)
        shown.epoch({"epoch": epoch, "train_loss": 0.5})
    shown.end()
    assert [line.split("  ")[-1] for line in file.getvalue().splitlines()] == [
        "30 s left", "20 s left", "10 s left", "took 40 s"]


def test_other_metrics_have_their_names():
    file = io.StringIO()
    run(Display(file), epochs=1, metrics={"spread": lambda outputs, targets: 0.25})
    assert "spread train 0.25 validation 0.25" in file.getvalue()


def test_by_default_it_goes_to_standard_error(capsys):
    run(None, epochs=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("epoch 1/1  loss ")
    run((), epochs=1)
    assert capsys.readouterr() == ("", "")


class Dumb(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    file = Dumb()
    run(Display(file), epochs=2)
    assert file.getvalue().count("\n") == 2
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize(("seconds", "said"), [
    (0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (125, "2:05 min"), (3599.7, "1:00:00 h"), (36_065, "10:01:05 h")])
def test_times_as_they_are_said(seconds, said):
    assert _duration(seconds) == said
