"""Chapters and their exercises, copied into a folder to work in."""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .reading import Chapter

__all__ = ["Exercise", "copy", "exercises"]

FOLDER = Path(__file__).parent / "exercises"
NAME = re.compile(r"(\d\d)_(\w+)")
SOLUTION = "_solution.py"


@dataclass(frozen=True)
class Exercise:
    """One exercise: a folder with a stub, its test and its solution; ``exercises/README.md`` says how it is laid out.

    Examples
    --------
    >>> from pathlib import Path
    >>> from chainrule.by_hand.copying import Exercise
    >>> Exercise(8, "gradient_check", Path("08_gradient_check")).target("gradient_check_solution.py")
    'solutions/gradient_check.py'
    """

    chapter: int
    name: str
    folder: Path

    @property
    def files(self) -> dict[str, Path]:
        """Its files by what they are called in the learner's folder."""
        return {self.target(path.name): path for path in sorted(self.folder.iterdir())
                if path.is_file() and not path.name.startswith(".")}

    def target(self, name: str) -> str:
        """Return what a file of this name is called in the learner's folder."""
        if name == "README.md":
            return f"{self.name}.md"
        return f"solutions/{name.removesuffix(SOLUTION)}.py" if name.endswith(SOLUTION) else name


def exercises(chapter: int) -> list[Exercise]:
    """Return the exercises of a chapter; it may have none."""
    folders = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
    named = [(NAME.fullmatch(path.name), path) for path in folders if path.is_dir()]
    return [Exercise(chapter, name[2], path) for name, path in named if name and int(name[1]) == chapter]


def copy(chapter: Chapter, folder: Path, language: str) -> Iterator[tuple[Path, bool]]:
    """Copy a chapter, in one language, and its exercises.

    A file that is there already stays as it is: it is the learner's.

    Parameters
    ----------
    chapter : Chapter
    folder : Path
        It is made where it is missing.
    language : {"en", "zh"}

    Yields
    ------
    path : Path
    written : bool
        False if there was such a file.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    contents = {chapter.path.name: chapter.script(language).encode()}
    for exercise in exercises(chapter.number):
        contents |= {name: path.read_bytes() for name, path in exercise.files.items()}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path, _write_new(path, content)


def _write_new(path: Path, content: bytes) -> bool:
    """Write a file that does not exist yet, whole or not at all; return whether it did not."""
    try:
        with open(path, "xb") as file:
            try:
                file.write(content)
                file.flush()
            except BaseException:
                path.unlink()
                raise
    except FileExistsError:
        return False
    return True
