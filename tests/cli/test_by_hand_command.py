"""``chainrule by-hand``: the list, a chapter on a terminal and in a pipe, a folder to work in, and what goes wrong."""
from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.terminal import with_ctrl_c

from chainrule import data
from chainrule.by_hand import copying, reading
from chainrule.by_hand.reading import chapters, run
from chainrule.cli import main
from chainrule.cli.by_hand import spoken
from chainrule.cli.reader import Document

PACKAGE = str(Path(data.__file__).parents[2])
ENGLISH = {"PYTHONPATH": PACKAGE, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent"}
CHINESE = ENGLISH | {"LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}


def command(*arguments, folder, environment=ENGLISH, **options):
    """Run the command as people do."""
    return subprocess.run([sys.executable, "-m", "chainrule", "by-hand", *map(str, arguments)], capture_output=True,
                          encoding="utf-8", check=False, cwd=folder, env=environment, **options)


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """``chapter(code)``: the only chapter there is, number 1, and its folder, from which everything is run."""
    monkeypatch.setattr(reading, "FOLDER", tmp_path / "chapters")
    monkeypatch.setattr(copying, "FOLDER", tmp_path / "exercises")
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    (tmp_path / "chapters").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def write(code, about="about 3 s", number=1):
        (tmp_path / "chapters" / f"{number:02d}_test.py").write_text(
            f"# {about}\n\n# %% [en]\n# # {number}. Test\n#\n# Hello.\n# %% [zh]\n# # {number}. 测试\n#\n# 你好。\n"
            f"# %%\n{code}\n", encoding="utf-8")
        return tmp_path
    return write


@pytest.fixture(autouse=True)
def _figures(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path / "unused"))


# ---------------------------------------------------------------------- the list
def test_the_list(tmp_path):
    done = command(folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["--quick", "chapter"]
    assert [re.split(r"  +", line.strip())[-1] for line in lines[1:-2]] == [
        each.title().partition(". ")[2] for each in chapters().values()]
    assert lines[-1].startswith("chainrule by-hand 1 runs the first")
    assert list(tmp_path.iterdir()) == []


def test_the_list_in_chinese(tmp_path):
    by_locale = command(folder=tmp_path, environment=CHINESE)
    asked = command("--lang", "zh", folder=tmp_path)
    assert by_locale.stdout == asked.stdout
    assert "水果店" in asked.stdout
    assert "fruit" not in asked.stdout


def test_the_list_as_json(tmp_path):
    done = command("--json", folder=tmp_path)
    assert done.stdout.count("\n") == 1
    rows = json.loads(done.stdout)["chapters"]
    assert [row["number"] for row in rows] == list(chapters())
    first = rows[0]
    assert first["title"] == {"en": "1. The fruit shop", "zh": "1. 水果店"}
    assert (first["seconds"], first["quick_seconds"], first["figures"], first["data"]) == (1, 1, True, [])
    assert Path(first["file"]).name == "01_fruit_shop.py"
    assert first["exercises"] == [each.name for each in copying.exercises(1)]


def test_times_in_the_list(chapter, shown):
    chapter("x = 1", "about 95 s, 9 s with --quick")
    chapter("x = 1", "about 2 s", number=2)
    assert shown("by-hand").splitlines()[1:3] == ["1  95 s      9 s  Test", "2   2 s           Test"]


@pytest.mark.parametrize(("environment", "language"), [
    ({}, "en"), ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "zh_TW"}, "zh"), ({"LANG": "C"}, "en"),
    ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"), ({"LANG": "en_US", "LC_MESSAGES": "zh_CN"}, "zh"),
    ({"LANG": "zh_CN", "LC_ALL": ""}, "zh"), ({"LANG": "de_DE", "LC_CTYPE": "zh_CN"}, "en")])
def test_the_language_of_a_locale(environment, language):
    assert spoken(environment) == language


# ---------------------------------------------------------------------- running one
@pytest.mark.parametrize(("environment", "language"), [(ENGLISH, "en"), (CHINESE, "zh")])
def test_a_chapter_in_a_pipe_is_a_markdown_document(tmp_path, environment, language):
    done = command(1, folder=tmp_path, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    found = chapters()[1]
    for cell in found.read(language):
        text = f"```python\n{cell.text}\n```\n" if cell.kind == "code" else f"{cell.text}\n"
        assert text in done.stdout
    other = next(cell.text for cell in found.cells if cell.kind not in (language, "code"))
    assert other not in done.stdout
    printed = "".join(re.findall(r"^```text\n(.*?)^```$", done.stdout, re.MULTILINE | re.DOTALL))
    figure = Path("by-hand-01", "01-fruit-shop.png")
    assert printed == re.sub(r"figure: .*", f"figure: {figure}", run(1)[1])
    assert (tmp_path / figure).stat().st_size > 1000
    assert "`by-hand-01`" in done.stdout.rpartition("```\n")[2]
    assert len(re.findall("^```", done.stdout, re.MULTILINE)) % 2 == 0


def test_what_a_cell_prints_stands_right_below_it(chapter, shown):
    chapter('print("a")\nprint("b", end="")\n# %%\nx = 1\n# %%\nprint()')
    assert shown("by-hand", 1) == (
        '# 1. Test\n\nHello.\n\n```python\nprint("a")\nprint("b", end="")\n```\n\n```text\na\nb\n```\n\n'
        '```python\nx = 1\n```\n\n```python\nprint()\n```\n\n```text\n\n```\n\n')


def test_without_the_code_or_without_running_it(chapter, shown, tmp_path):
    chapter('open("ran", "w").close()\nprint(2 + 3)')
    assert shown("by-hand", 1, "--no-run") == (
        '# 1. Test\n\nHello.\n\n```python\nopen("ran", "w").close()\nprint(2 + 3)\n```\n\n')
    assert not (tmp_path / "work" / "ran").exists()
    assert shown("by-hand", 1, "--no-code") == "# 1. Test\n\nHello.\n\n```text\n5\n```\n\n"
    assert (tmp_path / "work" / "ran").exists()


def test_quick_and_where_figures_go(chapter, shown, tmp_path):
    chapter("import os\nfrom chainrule.by_hand.reading import figures, quick, save\n"
            "from matplotlib.figure import Figure\nsave(Figure(), '01-test')\nprint(quick(), figures())")
    assert "\nFalse by-hand-01\n" in shown("by-hand", 1)
    text = shown("by-hand", 1, "--quick", "--out", tmp_path / "deep" / "figures")
    assert f"\nTrue {tmp_path}/deep/figures\n" in text
    assert text.endswith(f"The figures are in `{tmp_path}/deep/figures`.\n\n")
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["01-test.png", "01-test.png"]
    assert os.environ["CHAINRULE_FIGURES"] == str(tmp_path / "unused")
    assert "CHAINRULE_QUICK" not in os.environ


def test_a_chapter_without_figures_makes_no_folder(chapter, shown, tmp_path):
    chapter("print(1)")
    shown("by-hand", 1)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_chapter_that_takes_long_says_so_before(chapter, capsys):
    chapter("x = 1", "about 95 s, 9 s with --quick")
    assert main(["by-hand", "1"]) == 0
    assert capsys.readouterr().err == "this takes about 95 s; with --quick 9 s\n"
    assert main(["by-hand", "1", "--quick"]) == 0
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------- on a terminal
def test_on_a_terminal(on_a_screen, tmp_path):
    sent, text = on_a_screen(90, "by-hand", 3, "--out", tmp_path, "--lang", "en")
    assert "\x1b[" in sent
    assert "```" not in text
    prose = [line for line in text.splitlines() if not line.startswith(("    ", "  ▏ "))]
    assert not [line for line in prose if re.search(r"^#|\*\*|\$", line)]
    assert "\n  ▏ f = -12\n  ▏        by hand     graph\n  ▏ x           -4        -4\n" in text
    assert "\n    for gate in graph.nodes:" in text
    assert "∂f/∂Wᵢⱼ = 2 qᵢ xⱼ" in " ".join(text.split())
    assert "σ'(s) = σ(s) · (1 - σ(s))" in text
    printed = "".join(f"{line[4:]}\n" for line in text.splitlines() if line.startswith("  ▏ "))
    assert "my loops:   -12 {'x': -4, 'y': -4, 'z': 3}\n" in printed
    assert all(len(line) <= 90 for line in text.splitlines() if not line.startswith("  ▏ "))


def test_on_a_terminal_in_chinese(on_a_screen, tmp_path):
    from rich.cells import cell_len
    _, text = on_a_screen(60, "by-hand", 1, "--out", tmp_path, "--lang", "zh")
    prose = [line for line in text.splitlines() if re.search(r"[\u4e00-\u9fff]", line)]
    assert all(cell_len(line) <= 60 for line in prose)
    assert not [line for line in prose if line.strip()[0] in "，。；：！？、）”"]
    assert sum(cell_len(line.rstrip()) >= 56 for line in prose) > len(prose) / 3         # lines are filled
    plain = re.sub(r"\s+", "", text)
    for cell in chapters()[1].read("zh"):
        if cell.kind == "zh":                          # not a character is lost
            first = next(line for line in cell.text.splitlines() if line and line[0] not in "#-$ ")
            assert re.sub(r"[\s*`]", "", first.partition("$")[0]) in plain


# ---------------------------------------------------------------------- what goes wrong
@pytest.mark.parametrize(("arguments", "said"), [
    (["11"], "invalid value for 'N': there is no chapter 11; there are 1; see chainrule by-hand --help"),
    (["shop"], "invalid value for '[N]': 'shop' is not a valid integer; see chainrule by-hand --help"),
    (["--quick"], "--quick goes with the number of a chapter, as in chainrule by-hand 1; see chainrule by-hand --help"),
    (["1", "--json"], "--json lists the chapters: leave the number out; see chainrule by-hand --help"),
    (["1", "--copy", "x", "--quick"],
     "--quick does not go with --copy, which runs nothing; see chainrule by-hand --help"),
    (["1", "--no-code", "--no-run"],
     "--no-code and --no-run leave nothing but prose: choose one of them; see chainrule by-hand --help"),
    (["--lang", "fr"], "invalid value for '--lang': 'fr' is not one of 'en', 'zh'; see chainrule by-hand --help")])
def test_called_wrongly(chapter, refused, arguments, said):
    chapter("x = 1")
    assert refused("by-hand", *arguments, code=2) == said


def test_an_error_in_a_chapter_shows_its_line(chapter, capsys, tmp_path):
    chapter("def f(x):\n    return 1 / x\n# %%\nprint('so far')\nf(0)")
    assert main(["by-hand", "1"]) == 1
    out, err = capsys.readouterr()
    assert err == ("chainrule: chapter 1 stopped at line 13 of 01_test.py, 'return 1 / x': ZeroDivisionError: division "
                   "by zero\n")
    assert out.endswith("```text\nso far\n```\n\n")
    assert os.environ["CHAINRULE_FIGURES"] == str(tmp_path / "unused")


def test_no_matplotlib(chapter, refused, shown, monkeypatch):
    chapter("open('ran', 'w').close()\nfrom chainrule.by_hand.reading import save")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    assert refused("by-hand", 1) == (
        "chapter 1 draws figures, which needs matplotlib; the extra `plot` installs it: pip install \".[plot]\" in a "
        "clone of chainrule, or pip install matplotlib. To read it without running it: chainrule by-hand 1 --no-run")
    assert list(Path().iterdir()) == []
    assert "Hello." in shown("by-hand", 1, "--no-run")
    chapter("print(1)")
    assert "\n1\n" in shown("by-hand", 1)


def test_no_mnist(chapter, refused, monkeypatch, tmp_path):
    chapter("open('ran', 'w').close()\nfrom chainrule import data\ntrain, test = data.mnist()")
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "nowhere"))
    assert f"the folder of data sets, {tmp_path / 'nowhere'}, does not exist" in refused("by-hand", 1)
    assert list(Path().iterdir()) == []


def test_no_mnist_and_no_net(chapter, capsys, monkeypatch, tmp_path):
    chapter("open('ran', 'w').close()\nfrom chainrule import data\ntrain, test = data.mnist()")
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CHAINRULE_MIRRORS", "http://127.0.0.1:9/data")
    assert main(["by-hand", "1"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^chainrule: .*127\.0\.0\.1:9.*$", err.splitlines()[-1])
    assert not Path("ran").exists()


@pytest.mark.data
def test_mnist_that_is_there(chapter, shown, monkeypatch, data_dir):
    chapter("from chainrule import data\ntrain, test = data.mnist()\nprint(len(train), len(test))")
    monkeypatch.setenv("CHAINRULE_DATA", str(data_dir))
    assert "\n60000 10000\n" in shown("by-hand", 1)


def test_a_folder_that_is_a_file(chapter, refused, tmp_path):
    chapter("from chainrule.by_hand.reading import save")
    (tmp_path / "work" / "by-hand-01").write_text("mine")
    assert refused("by-hand", 1) == "cannot write into by-hand-01: it is a file, not a folder"
    assert refused("by-hand", 1, "--copy", "by-hand-01") == "cannot write into by-hand-01: it is a file, not a folder"


def test_a_folder_that_cannot_be_written(chapter, refused):
    chapter("from chainrule.by_hand.reading import save")
    assert refused("by-hand", 1, "--out", "/proc/mine") == "cannot write into /proc/mine: No such file or directory"
    assert refused("by-hand", 1, "--copy", "/proc/1/task").startswith("cannot write /proc/1/task/01_test.py: ")


def outside(tmp_path, code, *arguments, **options):
    """Start a process that runs a chapter of this code."""
    (tmp_path / "01_test.py").write_text(f"# %% [en]\n# # 1. Test\n# %% [zh]\n# # 1. 测试\n# %%\n{code}\n",
                                         encoding="utf-8")
    program = ("import sys; from pathlib import Path; from chainrule.by_hand import reading; from chainrule.cli import "
               "main; reading.FOLDER = Path(sys.argv[1]); sys.exit(main(['by-hand', '1', *sys.argv[2:]]))")
    return subprocess.Popen([sys.executable, "-c", program, tmp_path, *arguments], cwd=tmp_path, env=ENGLISH,
                            encoding="utf-8", **options)


def test_ctrl_c(tmp_path):
    code = "print('waiting')\nimport time\nfor _ in range(600):\n    time.sleep(0.1)"
    process = outside(tmp_path, code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=with_ctrl_c)
    while "waiting\n" not in iter(process.stdout.readline, ""):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "chainrule: interrupted\n")


def test_a_reader_that_has_gone(tmp_path):
    """Whether a cell prints or prose comes: nothing is said, and the chapter is not gone on with."""
    code = "for i in range(10 ** 6):\n    print(i)\n# %%\nopen('ran', 'w').close()"
    process = outside(tmp_path, code, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "# 1. Test\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 1
    assert not (tmp_path / "ran").exists()


def test_a_disk_that_is_full(tmp_path):
    with open("/dev/full", "w") as full:
        process = outside(tmp_path, "print(1)", stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (
        1, "chainrule: cannot write to standard output: No space left on device\n")


def test_a_terminal_without_these_letters(tmp_path):
    process = outside(tmp_path, "print('∂')", "--lang", "zh", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.communicate(timeout=30)[0].startswith("# 1. 测试\n")
    environment = ENGLISH | {"PYTHONIOENCODING": "ascii"}
    done = command(1, "--lang", "zh", "--no-code", folder=tmp_path, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# 1. ???\n")
    assert "220.00000000000003" in done.stdout


def test_a_cell_can_ask_about_its_standard_output(chapter, shown):
    chapter("import sys\nprint(sys.stdout.isatty(), sys.stdout.writable())\nsys.stdout.flush()\nprint('∂')")
    assert "\nFalse True\n∂\n" in shown("by-hand", 1)


# ---------------------------------------------------------------------- a folder to work in
@pytest.fixture
def exercise(chapter, tmp_path):
    """A chapter with one exercise."""
    chapter("print(2)\n# %%\nx = 1")
    folder = tmp_path / "exercises" / "01_double"
    folder.mkdir(parents=True)
    (folder / "double.py").write_text("def double(n):\n    raise NotImplementedError\n")
    (folder / "double_solution.py").write_text("def double(n):\n    return 2 * n\n")
    (folder / "test_double.py").write_text("from double import double\n\n\ndef test():\n    assert double(2) == 4\n")
    (folder / "README.md").write_text("Write double.\n")
    (folder / "__pycache__").mkdir()
    (tmp_path / "exercises" / "README.md").write_text("about exercises\n")
    (tmp_path / "exercises" / "02_other").mkdir()
    return folder


def listing(folder):
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_copying_a_chapter_with_its_exercises(exercise, shown):
    out = shown("by-hand", 1, "--copy", "mine/deep")
    folder = Path("mine/deep")
    assert listing(folder) == {
        "01_test.py": "# %% [markdown]\n# # 1. Test\n#\n# Hello.\n\n# %%\nprint(2)\n\n# %%\nx = 1\n",
        "double.md": "Write double.\n",
        "double.py": (exercise / "double.py").read_text(),
        "solutions/double.py": (exercise / "double_solution.py").read_text(),
        "test_double.py": (exercise / "test_double.py").read_text()}
    assert set(out.splitlines()) == {*(f"wrote {folder / name}" for name in listing(folder)), "",
                                     "Run it: python mine/deep/01_test.py",
                                     "Test an exercise: python -m pytest mine/deep/test_double.py"}
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_double.py"]
    assert subprocess.run(test, cwd=folder, capture_output=True, check=False).returncode == 1
    (folder / "double.py").write_text((folder / "solutions" / "double.py").read_text())
    assert subprocess.run(test, cwd=folder, capture_output=True, check=False).returncode == 0


def test_a_chapter_names_its_exercises(exercise, shown):
    assert shown("by-hand", 1, "--no-code").endswith(
        "Exercises: `double`. `chainrule by-hand 1 --copy DIR` puts them into a folder, with tests.\n\n")


def test_copying_never_overwrites(exercise, shown):
    folder = Path("mine")
    folder.mkdir()
    (folder / "double.py").write_text("my work\n")
    (folder / "notes.txt").write_text("notes\n")
    (folder / "test_double.py").symlink_to("nowhere")
    out = shown("by-hand", 1, "--copy", folder)
    assert (folder / "double.py").read_text() == "my work\n"
    assert (folder / "notes.txt").read_text() == "notes\n"
    assert not (folder / "nowhere").exists()
    assert {"kept mine/double.py, which was there", "kept mine/test_double.py, which was there",
            "wrote mine/01_test.py"} <= set(out.splitlines())
    before = listing(folder)
    assert "wrote" not in shown("by-hand", 1, "--copy", folder, "--lang", "en")
    assert listing(folder) == before


def test_copying_in_chinese(exercise, shown):
    out = shown("by-hand", 1, "--copy", "mine", "--lang", "zh")
    assert "你好" in Path("mine/01_test.py").read_text(encoding="utf-8")
    assert "Hello" not in Path("mine/01_test.py").read_text(encoding="utf-8")
    assert "已写入 mine/01_test.py" in out


def test_copying_a_chapter_that_has_no_exercise(chapter, shown, tmp_path):
    chapter("print(2)")
    assert not (tmp_path / "exercises").exists()
    assert shown("by-hand", 1, "--copy", ".") == "wrote 01_test.py\n\nRun it: python 01_test.py\n"


def test_a_file_that_cannot_be_written_whole_is_not_there(exercise, capfd):
    """A limit on the size of files stands for a full disk."""
    (exercise / "double.py").write_text("x" * 10**6)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, before[1]))
    try:
        assert main(["by-hand", "1", "--copy", "mine"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "File too large" in capfd.readouterr().err
    assert "double.py" not in listing(Path("mine"))


def test_copying_all_that_there_is(tmp_path):
    """The chapters and exercises that ship: none has a name that another has."""
    done = command("--copy", "all", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kept" not in done.stdout
    expected = {chapter.path.name for chapter in chapters().values()}
    for number in chapters():
        for exercise in copying.exercises(number):
            assert not expected & set(exercise.files)
            expected |= set(exercise.files)
    assert set(listing(tmp_path / "all")) == expected


def test_a_copied_chapter_runs(tmp_path):
    assert command(1, "--copy", "mine", "--lang", "zh", folder=tmp_path).returncode == 0
    done = subprocess.run([sys.executable, "01_fruit_shop.py"], capture_output=True, encoding="utf-8", check=False,
                          cwd=tmp_path / "mine", env=ENGLISH)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == re.sub("figure: .*", "figure: figures/01-fruit-shop.png", run(1)[1])


# ---------------------------------------------------------------------- the document
def test_a_document_is_written_as_it_comes(tmp_path):
    with open(tmp_path / "out", "w+") as file:
        page = Document(file)
        page.printed("one\ntw")
        assert (tmp_path / "out").read_text() == "```text\none\ntw"
        page.printed("o")
        page.end()
        page.end()
        assert (tmp_path / "out").read_text() == "```text\none\ntwo\n```\n\n"


def test_the_list_loads_no_matplotlib():
    program = ("import sys; from chainrule.cli import main; main(['by-hand', '--json']); "
               "print('matplotlib' in sys.modules, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=ENGLISH)
    assert done.stderr == "False\n"
