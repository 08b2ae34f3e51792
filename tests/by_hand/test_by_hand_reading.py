"""The reader of chapters: cells, languages, running, figures."""
from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.by_hand import reading
from chainrule.by_hand.reading import Cell, Chapter, Reading, chapters, quick, run, save

TEXT = '''# about 40 s, 8 s with --quick

# %% [en]
# # 1. A title
#
# A *line*,
#   an indented one, and # a hash.
# %% [zh]
# # 1. 标题
#
# 一行。
# %%

x = 1


def double(n):
    return 2 * n
# %%
print(double(x))
# %% [en]
# The end.
# %% [zh]
# 完。
'''


@pytest.fixture
def write(tmp_path, monkeypatch):
    """``write(text)``: the only chapter there is, number 1."""
    monkeypatch.setattr(reading, "FOLDER", tmp_path)

    def written(text=TEXT):
        (tmp_path / "01_one.py").write_text(text, encoding="utf-8")
        return chapters()[1]
    return written


# ---------------------------------------------------------------------- cells
def test_cells(write):
    code = "x = 1\n\n\ndef double(n):\n    return 2 * n"
    assert write().cells == [
        Cell("en", "# 1. A title\n\nA *line*,\n  an indented one, and # a hash.", 4),
        Cell("zh", "# 1. 标题\n\n一行。", 9), Cell("code", code, 14), Cell("code", "print(double(x))", 20),
        Cell("en", "The end.", 22), Cell("zh", "完。", 24)]


def test_the_line_of_a_cell_is_where_it_stands(write):
    chapter = write()
    lines = chapter.text.splitlines()
    for cell in chapter.cells:
        assert lines[cell.line - 1].removeprefix("# ") == cell.text.splitlines()[0]


@pytest.mark.parametrize("text", ["", "# %%\n", "x = 1\n", "# about 3 s\n\n# %% [en]\n\n# %%\n"])
def test_a_chapter_of_nothing_has_no_cells(write, text):
    assert write(text).cells == []


def test_one_language_and_the_code(write):
    chapter = write()
    assert [cell.kind for cell in chapter.read("zh")] == ["zh", "code", "code", "zh"]
    assert (chapter.title(), chapter.title("zh")) == ("1. A title", "1. 标题")


def test_how_long_it_takes(write):
    assert (write().seconds(), write().seconds(quick=True)) == (40, 8)
    chapter = write("# about 3 s\n# %%\nx = 1\n# about 9 s\n")
    assert (chapter.seconds(), chapter.seconds(quick=True)) == (3, 3)
    assert write("# %%\n# about 9 s\n").seconds() is None


@pytest.mark.parametrize(("code", "draws"), [
    ("from chainrule.by_hand.reading import quick, save", True), ("import matplotlib", True),
    ("from matplotlib.figure import Figure", True), ("from chainrule.by_hand.pictures import lines", True),
    ("from chainrule.by_hand.reading import quick", False), ("print('save pictures with matplotlib')", False)])
def test_what_it_needs(write, code, draws):
    assert write(f"# %%\n{code}\n").draws is draws
    assert write(f"# %%\n{code}\n").data == []
    assert write("# %%\nfrom chainrule import data\ntrain, test = data.mnist()\n").data == ["mnist"]


def test_as_a_script_in_one_language_it_is_the_same_program(write, tmp_path):
    chapter = write()
    for language, absent in (("en", "标题"), ("zh", "title")):
        script = chapter.script(language)
        assert absent not in script
        assert script.count("# %% [markdown]\n# ") == 2
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True)
        assert done.stdout == "2\n"
    assert "# A *line*,\n#   an indented one, and # a hash.\n\n# %%\nx = 1\n" in chapter.script("en")


# ---------------------------------------------------------------------- running
def test_running_gives_names_and_what_is_printed(write):
    write()
    names, printed = run(1)
    assert printed == "2\n"
    assert names["double"](4) == 8
    assert (names["__name__"], Path(names["__file__"]).name) == ("__main__", "01_one.py")


def test_an_error_shows_the_line_of_the_chapter(write):
    chapter = write(TEXT.replace("2 * n", "2 * m"))
    with pytest.raises(NameError) as caught:
        run(1)
    assert Reading(chapter).line(caught.value) == 18
    text = "".join(traceback.format_exception(caught.value))
    assert 'File "01_one.py", line 20, in <module>\n    print(double(x))\n' in text
    assert 'File "01_one.py", line 18, in double\n    return 2 * m\n' in text


def test_the_line_of_an_error_of_grammar(write):
    chapter = write("# %%\nx = 1\n# %%\ny = (\n")
    with pytest.raises(SyntaxError) as caught:
        run(1)
    assert Reading(chapter).line(caught.value) == 4


def test_an_error_elsewhere_is_that_of_the_line_that_called(write):
    chapter = write("# %%\nimport json\n\njson.loads('{')\n")
    with pytest.raises(ValueError, match="Expecting") as caught:
        run(1)
    assert Reading(chapter).line(caught.value) == 4
    assert Reading(chapter).line(ValueError()) is None


def test_gates_know_the_line_of_a_chapter(write):
    """Though a chapter lies in the folder of the package, whose own lines they pass over."""
    write("# %%\nimport chainrule as cr\n\ng = cr.Graph()\nx = g.input('x', 2)\n# %%\n\ny = x * x\n")
    assert run(1)[0]["y"].line == "01_one.py:8"
    assert {node.line.partition(":")[0] for node in run_chapter(3)["graph"].nodes} == {"03_graph_of_gates.py"}


def run_chapter(number):
    """Run the first cell of a chapter that ships."""
    chapter = Chapter(number, next(Path(cr.__file__).parent.glob(f"by_hand/chapters/{number:02d}_*.py")))
    begun = Reading(chapter)
    begun.run(next(cell for cell in chapter.cells if cell.kind == "code"))
    return begun.names


def test_annotations_are_not_strings_in_a_chapter(write):
    """The reader's own imports from the future are its own."""
    write("# %%\ndef f(x: int): ...\n\n\nprint(f.__annotations__)\n")
    assert run(1)[1] == "{'x': <class 'int'>}\n"


def test_a_chapter_runs_as_a_plain_script_too(tmp_path):
    package = Path(cr.__file__).parent
    done = subprocess.run([sys.executable, next(package.glob("by_hand/chapters/01_*.py"))], capture_output=True,
                          text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": str(package.parent), "PATH": "/bin"})
    assert done.stderr == ""
    assert done.stdout.startswith("220.00000000000003\n")
    assert (tmp_path / "figures" / "01-fruit-shop.png").is_file()


# ---------------------------------------------------------------------- what chapters use
def test_hurrying(monkeypatch):
    assert quick() is False
    monkeypatch.setenv("CHAINRULE_QUICK", "1")
    assert quick() is True
    monkeypatch.setenv("CHAINRULE_QUICK", "0")
    assert quick() is False


def test_saving_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path / "deep" / "folder"))
    from matplotlib.figure import Figure
    figure = Figure(figsize=(2, 1))
    save(figure, "01-test")
    path = tmp_path / "deep" / "folder" / "01-test.png"
    assert capsys.readouterr().out == f"figure: {path}\n"
    from PIL import Image
    with Image.open(path) as image:
        assert image.size == (300, 150)
    assert [each.name for each in path.parent.iterdir()] == ["01-test.png"]


def test_a_figure_that_cannot_be_saved_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path))
    (tmp_path / "01-test.png").write_bytes(b"old")

    class Torn:
        def savefig(self, file, **_):
            file.write(b"half")
            raise RuntimeError("torn")

    with pytest.raises(RuntimeError):
        save(Torn(), "01-test")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("01-test.png", b"old")]
