"""Files that are whole or not there."""
from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from chainrule.files import replacing


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "model.bin"


def alone(target: Path) -> bool:
    """Whether nothing but the file itself, or nothing at all, stands in its folder."""
    return os.listdir(target.parent) in ([], [target.name])


def test_writes_bytes_and_text(target: Path) -> None:
    with replacing(target) as file:
        file.write(b"\x00\xff")
    assert target.read_bytes() == b"\x00\xff"
    with replacing(str(target), "w") as file:
        file.write("∂L/∂w\n")
    assert target.read_bytes() == "∂L/∂w\n".encode()
    assert alone(target)


def test_the_name_is_taken_only_when_all_is_written(target: Path) -> None:
    with replacing(target) as file:
        file.write(b"x" * 100_000)
        file.flush()
        assert not target.exists()
    assert target.stat().st_size == 100_000


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
@pytest.mark.parametrize("before", [None, b"the old model"])
def test_after_an_error_all_is_as_before(target: Path, error: type[BaseException], before: bytes | None) -> None:
    if before is not None:
        target.write_bytes(before)
    def save() -> None:
        with replacing(target) as file:
            file.write(b"half of")
            raise error

    with pytest.raises(error):
        save()
    assert (target.read_bytes() if target.exists() else None) == before
    assert alone(target)


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_full_disk_at_any_step_leaves_nothing(target: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"), replacing(target) as file:
        file.write(b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert alone(target)


def test_a_missing_folder_is_named_by_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "missing" / "model.bin"):
        pytest.fail("must not get here")
    assert caught.value.filename == str(tmp_path / "missing" / "model.bin")


def test_a_folder_is_refused_before_the_work_is_done(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), replacing(tmp_path):
        pytest.fail("must not get here")


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_device_stays_a_device() -> None:
    with replacing("/dev/null") as file:
        file.write(b"gone")
    assert Path("/dev/null").is_char_device()


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 255)
    with replacing(target, "w") as file:
        file.write("fits")
    assert target.read_text() == "fits"


def test_the_file_is_readable_as_the_umask_says(target: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(target):
            pass
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("mode", ["r", "a", "x", "rb", "w+"])
def test_other_modes_are_refused(target: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="expected mode 'wb' or 'w'"), replacing(target, mode):
        pytest.fail("must not get here")
    assert alone(target)
