"""How a command ends when it cannot do what it was asked."""
from __future__ import annotations

import click

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "Failure"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class Failure(click.ClickException):
    """Ends the command with one line on standard error and an exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
