"""What is told of a download: how it goes on, and why it failed."""
from __future__ import annotations

from pathlib import Path

from .catalog import File

__all__ = ["DownloadError", "Listener"]


class DownloadError(OSError):
    """A file could not be fetched, or not be kept. The message says what each mirror did, and what to do."""


class Listener:
    """Is told how a download goes on; a subclass shows what it wants to show."""

    def begin(self, file: File, url: str) -> None:
        """A mirror is asked for a file."""

    def advance(self, received: int, total: int) -> None:
        """So many bytes have come of so many."""

    def failed(self, url: str, why: str) -> None:
        """A mirror did not serve the file."""

    def end(self, file: File, path: Path) -> None:
        """The file is there, and its checksum is right."""
