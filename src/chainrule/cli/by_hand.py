"""``chainrule by-hand``: the chapters on backpropagation, to read, to run and to work in."""
from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click
from threadpoolctl import threadpool_limits

from ..by_hand.copying import copy, exercises
from ..by_hand.reading import LANGUAGES, Chapter, Reading, chapters
from ..data.catalog import CATALOG
from ..data.place import locate
from .failure import Failure
from .fetching import data_failures, load_data
from .printing import on_a_terminal, print_aligned, print_json, printable
from .reader import Document, Page, Printed, Screen, lenient

__all__ = ["by_hand", "spoken"]

LONG = 30                                #: seconds from which on it is said that there is a --quick

SAID = {
    "en": {
        "chapter": "chapter",
        "next": "chainrule by-hand 1 runs the first; --copy DIR puts it, with its exercises, into a folder to work in.",
        "figures": "The figures are in {}.",
        "exercises": "Exercises: {}. `chainrule by-hand {} --copy DIR` puts them into a folder, with tests.",
        "long": "this takes about {} s; with --quick {} s",
        "wrote": "wrote {}",
        "kept": "kept {}, which was there",
        "run": "Run it: python {}",
        "test": "Test an exercise: python -m pytest {}",
    },
    "zh": {
        "chapter": "章节",
        "next": "运行第一章：chainrule by-hand 1；把它和练习一起复制到文件夹里动手做：chainrule by-hand 1 --copy DIR。",
        "figures": "图在 {} 里。",
        "exercises": "练习：{}。用 `chainrule by-hand {} --copy DIR` 把它们连同测试一起复制到文件夹里。",
        "long": "大约需要 {} 秒；加上 --quick 只要 {} 秒",
        "wrote": "已写入 {}",
        "kept": "保留原有的 {}",
        "run": "运行：python {}",
        "test": "检验练习：python -m pytest {}",
    },
}


@click.command("by-hand", short_help="Learn backpropagation by hand, in ten chapters.")
@click.argument("number", type=int, required=False, metavar="[N]")
@click.option("--lang", type=click.Choice(LANGUAGES), help="The language of the prose.  [default: by the locale]")
@click.option("--quick", is_flag=True, help="Fewer steps, the same lessons.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Where figures go.  [default: by-hand-NN here]")
@click.option("--no-code", is_flag=True, help="Show the prose and the results, not the code.")
@click.option("--no-run", is_flag=True, help="Show the prose and the code, and run nothing.")
@click.option("--copy", "target", type=click.Path(path_type=Path), metavar="DIR",
              help="Put the chapter (without N: all), its exercises and their tests into a folder, and run nothing. "
                   "Files that are there stay as they are.")
@click.option("--json", "as_json", is_flag=True, help="List the chapters as one JSON object.")
def by_hand(number: int | None, lang: str | None, quick: bool, out: Path | None, no_code: bool, no_run: bool,
            target: Path | None, as_json: bool) -> None:
    """List the chapters; with N, run one: prose, code, what it prints, and figures.

    A chapter reads from top to bottom. On a terminal it is set in colours; into a file or a pipe it goes as a Markdown
    document. Figures need matplotlib (the extra `plot`); some chapters read MNIST, which is fetched once.

    \b
    Examples
      chainrule by-hand
      chainrule by-hand 1
      chainrule by-hand 8 --quick --lang zh
      chainrule by-hand 3 --copy my-work

    \b
    Exit codes
      0    it worked
      1    it failed: one line on standard error says why
      2    a chapter or an option that does not exist
      130  interrupted by Ctrl-C
    """  # noqa: D301
    found, language = chapters(), lang or spoken(os.environ)
    if number is not None and number not in found:
        raise click.BadParameter(f"there is no chapter {number}; there are {', '.join(map(str, found))}",
                                 param_hint="'N'")
    if no_code and no_run:
        raise click.UsageError("--no-code and --no-run leave nothing but prose: choose one of them")
    if target is not None:
        given = {"--quick": quick, "--out": out, "--no-code": no_code, "--no-run": no_run, "--json": as_json}
        _refuse(given, "does not go with --copy, which runs nothing")
        _copy([*found.values()] if number is None else [found[number]], target, language)
    elif number is None:
        given = {"--quick": quick, "--out": out, "--no-code": no_code, "--no-run": no_run}
        _refuse(given, "goes with the number of a chapter, as in chainrule by-hand 1")
        _list(found, language, as_json)
    else:
        _refuse({"--json": as_json}, "lists the chapters: leave the number out")
        with threadpool_limits(1, user_api="blas"):      # see docs/decisions/011-one-thread-by-default.md
            _show(found[number], language, quick=quick, out=out, code=not no_code, execute=not no_run)


def spoken(environment: Any) -> str:
    """Return the language of a locale: ``"zh"`` where messages are Chinese, else ``"en"``.

    Examples
    --------
    >>> from chainrule.cli.by_hand import spoken
    >>> spoken({"LANG": "zh_CN.UTF-8"}), spoken({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"})
    ('zh', 'en')
    """
    locale = next(filter(None, (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def _refuse(given: dict[str, Any], why: str) -> None:
    """Refuse options that mean nothing here."""
    for name, value in given.items():
        if value:
            raise click.UsageError(f"{name} {why}")


# ---------------------------------------------------------------------- the list
def _list(found: dict[int, Chapter], language: str, as_json: bool) -> None:
    if as_json:
        print_json({"chapters": [
            {"number": chapter.number, "title": {each: chapter.title(each) for each in LANGUAGES},
             "file": str(chapter.path), "seconds": chapter.seconds(), "quick_seconds": chapter.seconds(quick=True),
             "figures": chapter.draws, "data": chapter.data,
             "exercises": [exercise.name for exercise in exercises(chapter.number)]}
            for chapter in found.values()]})
        return
    lenient(sys.stdout)
    said = SAID[language]
    rows = [("", "", "--quick", said["chapter"])]
    for chapter in found.values():
        whole, short = _seconds(chapter), _seconds(chapter, quick=True)
        rows.append((str(chapter.number), whole, short if short != whole else "", _bare(chapter, language)))
    print_aligned(rows, "rrrl")
    click.echo(f"\n{said['next']}")


def _seconds(chapter: Chapter, quick: bool = False) -> str:
    seconds = chapter.seconds(quick)
    return f"{seconds} s" if seconds is not None else ""


def _bare(chapter: Chapter, language: str) -> str:
    """Return the title without its number."""
    return chapter.title(language).removeprefix(f"{chapter.number}.").strip()


# ---------------------------------------------------------------------- one chapter
def _show(chapter: Chapter, language: str, *, quick: bool, out: Path | None, code: bool, execute: bool) -> None:
    folder = out or Path(f"by-hand-{chapter.number:02d}")
    if execute:
        _need(chapter)
        if chapter.draws:
            _writable(folder)
        seconds, less = chapter.seconds(), chapter.seconds(quick=True)
        if not quick and seconds is not None and less is not None and seconds > max(LONG, less):
            click.echo(SAID[language]["long"].format(seconds, less), err=True)
    page = Screen(sys.stdout) if on_a_terminal() else Document(lenient(sys.stdout))
    with _surroundings(folder, quick):
        _read(chapter, language, page, code, execute)
    if execute and chapter.draws:
        page.prose(SAID[language]["figures"].format(f"`{printable(folder)}`"))
    names = [f"`{exercise.name}`" for exercise in exercises(chapter.number)]
    if names:
        page.prose(SAID[language]["exercises"].format(", ".join(names), chapter.number))


def _read(chapter: Chapter, language: str, page: Page, code: bool, execute: bool) -> None:
    """Show a chapter, and run it."""
    reading, printed = Reading(chapter), Printed(page)
    for cell in chapter.read(language):
        if cell.kind != "code":
            page.prose(cell.text)
            continue
        if code:
            page.code(cell.text)
        if execute:
            try:
                with redirect_stdout(printed):
                    reading.run(cell)
            except MemoryError:
                raise
            except Exception as error:
                if printed.failed is not None:           # whoever reads it is gone, or the disk is full
                    raise printed.failed from error
                page.end()
                raise Failure(_failed(reading, error)) from error
        page.end()


def _failed(reading: Reading, error: Exception) -> str:
    """Return what went wrong in a chapter, and at which of its lines."""
    number, name = reading.line(error), reading.chapter.path.name
    text = reading.chapter.text.splitlines()[number - 1].strip() if number else ""
    return (f"chapter {reading.chapter.number} stopped at line {number} of {name}, {text!r}: "
            f"{type(error).__name__}: {error}")


def _need(chapter: Chapter) -> None:
    """Make sure that what a chapter reads and draws with is there, before it starts."""
    if chapter.draws:
        try:
            import matplotlib.figure  # noqa: F401
        except ImportError as error:
            raise Failure(f"chapter {chapter.number} draws figures, which needs matplotlib; the extra `plot` installs "
                          'it: pip install ".[plot]" in a clone of chainrule, or pip install matplotlib. To read it '
                          f"without running it: chainrule by-hand {chapter.number} --no-run") from error
    for name in chapter.data:
        with data_failures():
            missing = len(locate(CATALOG[name]).found) < len(CATALOG[name].files)
        if missing:
            load_data(name)


def _writable(folder: Path) -> None:
    """Make sure that files can be written into a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise Failure(f"cannot write into {folder}: it is a file, not a folder") from None
    except OSError as error:
        raise Failure(f"cannot write into {folder}: {error.strerror or error}") from error


@contextmanager
def _surroundings(folder: Path, quick: bool) -> Iterator[None]:
    """Tell a chapter where its figures go, and whether to hurry."""
    wanted = {"CHAINRULE_FIGURES": str(folder)} | ({"CHAINRULE_QUICK": "1"} if quick else {})
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ---------------------------------------------------------------------- a folder to work in
def _copy(wanted: list[Chapter], folder: Path, language: str) -> None:
    lenient(sys.stdout)
    said, paths = SAID[language], list[Path]()
    if folder.exists() and not folder.is_dir():
        raise Failure(f"cannot write into {folder}: it is a file, not a folder")
    for chapter in wanted:
        copies = copy(chapter, folder, language)
        while True:
            try:
                path, written = next(copies)
            except StopIteration:
                break
            except OSError as error:
                raise Failure(f"cannot write {error.filename or folder}: {error.strerror or error}") from error
            click.echo(printable(said["wrote" if written else "kept"].format(path)))
            paths.append(path)
    script = next(path for path in paths if path.name == wanted[0].path.name)
    click.echo(f"\n{said['run'].format(printable(script))}")
    test = next((path for path in paths if path.name.startswith("test_")), None)
    if test is not None:
        click.echo(said["test"].format(printable(test)))
