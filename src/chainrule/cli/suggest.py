"""What somebody may have meant who wrote a name that does not exist."""
from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import click

from .failure import Interrupted

__all__ = ["Commands", "meant", "readable"]


def meant(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'train'?`` if one of the known names is near, else nothing."""
    names = {name.lstrip("-").lower(): name for name in known}
    near = difflib.get_close_matches(word.lstrip("-").lower(), names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


class Commands(click.Group):
    """A group of commands that suggests the right name for a wrong one, and lists them in the order they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context,
                        args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command {name!r}{meant(name, self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it as other things do, and not with an empty line before."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None


def readable(error: click.UsageError) -> str:
    """Return what was wrong with a command line, and where its help is, as one line."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        context = error.ctx
        known = [name for each in context.command.get_params(context) if isinstance(each, click.Option)
                 for name in (*each.opts, *each.secondary_opts) if name.startswith("--")]
        said = f"no such option {error.option_name!r}{meant(error.option_name, known)}"
    else:
        said = error.format_message().rstrip(".")
        if said[1:2].islower():
            said = said[0].lower() + said[1:]
    command = error.ctx.command_path if error.ctx is not None else "chainrule"
    return f"{said} See {command} --help" if said.endswith("?") else f"{said}; see {command} --help"
