"""The prose of all chapters: two languages that say the same, in sentences that a terminal can show."""
from __future__ import annotations

import ast
import re
from collections import Counter
from itertools import pairwise

import pytest

from chainrule.by_hand.reading import chapters
from chainrule.cli.reader import _readable

CHAPTERS = list(chapters().values())
ALL = pytest.mark.parametrize("chapter", CHAPTERS, ids=[chapter.path.stem for chapter in CHAPTERS])
FORMULA = re.compile(r"\$\$?([^$]+)\$\$?")
CODE = re.compile(r"`([^`\n]+)`")
NUMBER = re.compile(r"(?<![\w.₀-₉])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-−]?\d+)?")


def prose(chapter, kind):
    return [cell.text for cell in chapter.cells if cell.kind == kind]


def pairs(chapter):
    return zip(prose(chapter, "en"), prose(chapter, "zh"), strict=True)


def numbers(text):
    bare = CODE.sub(" ", FORMULA.sub(" ", text))
    found = {each.replace(",", "").replace("−", "-") for each in NUMBER.findall(bare)}
    return found - set(map(str, range(11)))            # words, in one language or the other


@ALL
def test_each_piece_of_prose_is_there_in_english_and_then_in_chinese(chapter):
    kinds = [cell.kind for cell in chapter.cells]
    assert set(kinds) == {"en", "zh", "code"}
    assert kinds.count("en") == kinds.count("zh")
    for kind, following in pairwise([*kinds, "end"]):
        assert (kind == "en") == (following == "zh"), kinds
    assert kinds[:3] == ["en", "zh", "code"]


@ALL
def test_headings_correspond(chapter):
    for language in ("en", "zh"):
        assert prose(chapter, language)[0].startswith(f"# {chapter.number}. ")
    for english, chinese in pairs(chapter):
        levels = [re.findall(r"^#+(?= )", text, re.MULTILINE) for text in (english, chinese)]
        assert levels[0] == levels[1], english
    assert sum(text.startswith("# ") or "\n# " in text for text in prose(chapter, "en")) == 1


@ALL
def test_both_languages_have_the_same_formulas_and_names(chapter):
    for english, chinese in pairs(chapter):
        for pattern in (FORMULA, CODE):
            ours, theirs = (Counter(" ".join(each.split()) for each in pattern.findall(text))
                            for text in (english, chinese))
            assert ours == theirs, english.partition("\n")[0]


@ALL
def test_both_languages_have_the_same_numbers(chapter):
    for english, chinese in pairs(chapter):
        assert numbers(english) == numbers(chinese), english.partition("\n")[0]


@ALL
def test_each_language_is_that_language(chapter):
    for english, chinese in pairs(chapter):
        assert not re.search(r"[\u3400-\u9fff，。；：？！、]", CODE.sub("", english)), english
        assert re.search(r"[\u3400-\u9fff]", chinese), chinese
        assert not re.search(r"[\u3400-\u9fff][;?!]", CODE.sub("", chinese)), chinese


@ALL
def test_no_formula_is_left_as_latex_on_a_terminal(chapter):
    for language in ("en", "zh"):
        for text in prose(chapter, language):
            shown = CODE.sub("", _readable(text))
            assert not re.search(r"\\[A-Za-z]|\$|[_^]\{", shown), shown


@ALL
def test_it_says_how_long_it_takes(chapter):
    assert chapter.seconds() is not None
    assert chapter.seconds() <= 30 or chapter.seconds(quick=True) <= 30


@ALL
def test_its_figures_bear_its_number(chapter):
    saved = [node.args[1] for node in ast.walk(ast.parse(chapter.text))
             if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "save"]
    assert bool(saved) == chapter.draws
    names = [name.value for name in saved if isinstance(name, ast.Constant)]
    assert all(name.startswith(f"{chapter.number:02d}-") for name in names), names
    assert len(names) == len(set(names))
    assert "plt." not in chapter.text
    assert ".show()" not in chapter.text


def test_the_chapters_are_numbered_from_one():
    assert list(chapters()) == list(range(1, len(CHAPTERS) + 1))
