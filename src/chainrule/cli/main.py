"""The entry point: finds the sub-command, and turns what goes wrong into one line and an exit code."""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from .by_hand import by_hand
from .completion import completion
from .datasets import data
from .evaluate import evaluate
from .failure import Failure, Interrupted
from .info import info
from .predict import predict
from .printing import printable
from .suggest import Commands, readable
from .train import train
from .version import version

__all__ = ["main"]


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version() or "(not installed)", message="%(prog)s %(version)s")
@click.pass_context
def chainrule(context: click.Context) -> None:
    """A deep-learning framework you can see through.

    \b
    Begin with
      chainrule train                       a network learns handwritten digits,
                                            in seconds
      chainrule info runs/digits            what is in the folder it left
      chainrule evaluate runs/digits        which digits it takes for which
      chainrule predict runs/digits 7.png   what is on a picture
      chainrule train --help                what can be changed
      chainrule by-hand                     ten chapters on backpropagation

    \b
    Exit codes
      0    it worked
      1    it failed: one line on standard error says why
      2    a command or an option that does not exist, or a value out of range
      130  interrupted by Ctrl-C
    """  # noqa: D301
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for each in (train, evaluate, predict, info, by_hand, data, completion):
    chainrule.add_command(each)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit code: 0 if it worked, 1 if it failed, 2 if it was called wrongly, 130 after Ctrl-C.
    """
    try:
        chainrule.main(arguments, prog_name="chainrule", standalone_mode=False)
        sys.stdout.flush()
        return 0
    except click.UsageError as error:
        return _say(readable(error), error.exit_code)
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", Interrupted.exit_code)
    except MemoryError as error:
        return _say(f"there is not enough memory{f': {error}' if str(error) else ''}", Failure.exit_code)
    except OSError as error:                             # commands name their files themselves: this is the output
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        if isinstance(error, BrokenPipeError):           # whoever read it has seen enough
            return Failure.exit_code
        place = error.filename or "standard output"
        return _say(f"cannot write to {place}: {error.strerror or error}", Failure.exit_code)


def _say(message: str, exit_code: int) -> int:
    """Write one line to standard error."""
    click.echo(f"chainrule: {printable(' '.join(message.split()))}", err=True)
    return exit_code
