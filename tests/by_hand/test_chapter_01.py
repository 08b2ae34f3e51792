"""Chapter 1: what two apples cost, and what would change the price."""
from __future__ import annotations

import math
from decimal import Decimal

import pytest

from chainrule.by_hand.reading import figures, run


@pytest.fixture(scope="module")
def chapter():
    return run(1)


def test_apples(chapter):
    names, printed = chapter
    for style in ("layers", "graph", "tensors"):
        found = {name: names[f"apples_by_{style}"][name] for name in ("total", "apple", "apples", "tax")}
        assert found == pytest.approx({"total": 220, "apple": 2.2, "apples": 110, "tax": 200}, rel=1e-12), style
    assert "total: 220.00000000000003\n" in printed
    assert "gradients: price of an apple 2.2, number of apples 110, tax 200\n" in printed


def test_oranges(chapter):
    names, printed = chapter
    for style in ("layers", "graph", "tensors"):
        assert names[f"by_{style}"] == pytest.approx(
            {"total": 715, "apple": 2.2, "apples": 110, "orange": 3.3, "oranges": 165, "tax": 650}, rel=1e-12), style
    assert names["worst"] <= 1e-12
    assert "total      715.0000000000001   715.0000000000001   715.0000000000001\n" in printed
    assert "largest relative difference: " in printed


def test_why_it_is_220_and_a_bit(chapter):
    names, printed = chapter
    assert names["total_in_fractions"] == 220
    assert 100 * 2 * 1.1 == 220.00000000000003 == names["next_float"] == math.nextafter(220, 221)
    assert printed.startswith("220.00000000000003\n")
    values = {line[:7]: Decimal(line.split()[-1]) for line in printed.splitlines()[1:5]}
    assert values["halfway"] < values["200 tim"] < values["the flo"]               # so it is rounded up
    assert values["halfway"] - 220 == pytest.approx(Decimal(math.ulp(220)) / 2)


def test_a_nudge_shows_what_a_gradient_means(chapter):
    _, printed = chapter
    for line in ("apple + 1:    +2.2\n", "apples + 1:   +110\n", "tax + 1:      +200\n", "tax + 0.01:   +2\n"):
        assert line in printed


def test_the_picture(chapter):
    _, printed = chapter
    path = figures() / "01-fruit-shop.png"
    assert f"figure: {path}\n" in printed
    assert path.read_bytes().startswith(b"\x89PNG")
