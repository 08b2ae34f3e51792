"""``chainrule completion``: the shell finishes what one begins to write."""
from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from ..data.catalog import CATALOG
from .folder import CONFIG

__all__ = ["completion", "data_names", "run_folders"]

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print what makes the shell complete commands.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete commands, options, data sets and the folders of runs.

    \b
    bash (4.4 or later): add this line to ~/.bashrc
      eval "$(chainrule completion bash)"

    \b
    zsh: add this line to ~/.zshrc, after compinit
      eval "$(chainrule completion zsh)"

    \b
    fish: run this once
      chainrule completion fish > ~/.config/fish/completions/chainrule.fish

    \b
    Exit codes
      0    it worked
      2    another shell
    """  # noqa: D301
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "chainrule", "_CHAINRULE_COMPLETE").source(), nl=False)


def data_names(context: click.Context, option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a data set, or else that of a file."""
    names = [CompletionItem(name) for name in CATALOG if name.startswith(begun)]
    return names or [CompletionItem(begun, type="file")]


def run_folders(context: click.Context, option: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the folder of a run, in ``runs`` or wherever what is written leads; or else that of any folder."""
    place = begun[:begun.rfind("/") + 1]                 # kept as it is written
    found = {prefix + path.parent.name for prefix in ("runs/", place) for path in Path(prefix).glob(f"*/{CONFIG}")}
    runs = [CompletionItem(name) for name in sorted(found) if name.startswith(begun)]
    return runs or [CompletionItem(begun, type="dir")]
