"""The settings of a run as a TOML file: written with each run, read by --config and --resume."""
from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from ..files import replacing
from .failure import Failure
from .suggest import meant

__all__ = ["read", "use", "write"]

#: Tables that a run adds to its settings: what it found out, not what it was told.
FOUND = ("model", "versions")


def write(path: Path, settings: dict[str, Any], **tables: dict[str, Any]) -> None:
    """Write settings, and tables after them, aside and then under the name.

    What is None is left out: TOML has no word for it, and leaving it out means the same.
    """
    import tomli_w
    with replacing(path, "w") as file:
        file.write(tomli_w.dumps({name: list(value) if isinstance(value, tuple) else value
                                  for name, value in (settings | tables).items() if value is not None}))


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file, tables included; names may be written with dashes.

    Raises
    ------
    Failure
        If it cannot be read, or is not TOML.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is not a TOML file: {error}") from error
    return {name.replace("-", "_"): value for name, value in content.items()}


def use(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Let the settings of a file stand in for options that are not said; a click callback."""
    if path is None:
        return None
    found = {name: value for name, value in read(path).items() if name not in FOUND}
    known = {each.name for each in context.command.params if each.expose_value and each.name} - {"config", "resume"}
    for name in found:
        if name not in known:
            raise click.BadParameter(f"{path} sets {name!r}, which is not a setting{meant(name, sorted(known))}",
                                     context, option)
    texts = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in found.items()}
    context.default_map = {**(context.default_map or {}), **texts}
    return path
