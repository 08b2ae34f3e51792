"""How a command ends when it cannot do what it was asked."""
from __future__ import annotations

import click

__all__ = ["Failure", "Interrupted"]


class Failure(click.ClickException):
    """Ends the command with one line on standard error."""

    exit_code = 1


class Interrupted(Failure):
    """Ends the command after Ctrl-C."""

    exit_code = 130
