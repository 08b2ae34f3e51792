"""``chainrule data``: which data sets there are, where they lie, and how they come here."""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ..data.catalog import CATALOG, Source
from ..data.download import fetch as fetch_files
from ..data.place import base, locate
from .failure import Interrupted
from .fetching import Shown, data_failures
from .suggest import Commands

__all__ = ["data"]

NAME = click.Choice(list(CATALOG))
data_dir = click.option("--data-dir", type=click.Path(path_type=Path), metavar="DIR",
                        help="The folder of data sets.  [default: what CHAINRULE_DATA says, else a cache]")
as_json = click.option("--json", "as_json", is_flag=True,
                       help="Print one JSON object on standard output, and nothing else there.")


@click.group(cls=Commands, invoke_without_command=True, short_help="List data sets, fetch them, say where they are.")
@click.pass_context
def data(context: click.Context, /) -> None:
    """Data sets that have a name: which there are, where they lie, and how they come here.

    \b
    Examples
      chainrule data list
      chainrule data fetch mnist
      chainrule data where mnist

    \b
    Environment variables
      CHAINRULE_DATA      the folder of data sets, as --data-dir
      CHAINRULE_MIRRORS   addresses to fetch from in the place of the public ones,
                          with spaces between them: https://host/data stands for
                          https://host/data/mnist/train-images-idx3-ubyte.gz
      CHAINRULE_TIMEOUT   seconds to wait for a mirror (20)
    """  # noqa: D301
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command("list", short_help="Say which data sets there are, and which are here.")
@data_dir
@as_json
def list_(data_dir: Path | None, as_json: bool) -> None:
    """Say which data sets there are, under which license, and whether they are here."""
    with data_failures():
        rows = [_described(source, data_dir) for source in CATALOG.values()]
    if as_json:
        click.echo(json.dumps({"data_sets": rows}))
        return
    table = [("name", "images", "pixels", "license", "where")]
    for row in rows:
        height, width = row["image"]
        table.append((row["name"], f"{row['train']:,} + {row['test']:,}", f"{height}×{width}", row["license"],
                      _where(row)))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@data.command(short_help="Fetch a data set.")
@click.argument("name", type=NAME, metavar="NAME")
@click.option("--force", is_flag=True, help="Fetch all its files anew, also those that are here.")
@click.option("--timeout", type=click.FloatRange(0, 1e6, min_open=True), metavar="SECONDS",
              help="How long to wait for a mirror.  [default: what CHAINRULE_TIMEOUT says, else 20]")
@data_dir
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the object of --json).")
@as_json
def fetch(name: str, force: bool, timeout: float | None, data_dir: Path | None, quiet: bool, as_json: bool) -> None:
    """Fetch what is missing of a data set (digits, mnist, fashion-mnist), from the first mirror that serves it.

    Each file is checked against its published SHA-256 and takes its name only when it is whole. Files that are here
    are checked too.

    \b
    Examples
      chainrule data fetch mnist
      chainrule data fetch fashion-mnist --data-dir my-data

    \b
    Exit codes
      0    the data set is here, whole
      1    it is not: one line on standard error says why
      2    a data set or an option that does not exist
      130  interrupted by Ctrl-C; files that were whole by then stay
    """  # noqa: D301
    source = CATALOG[name]
    silent = quiet or as_json
    try:
        with data_failures(), Shown(None if silent else sys.stdout, quiet=silent) as shown:
            folder = fetch_files(source, data_dir, force=force, timeout=timeout, listener=shown)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted while {name} was fetched; files that were whole by then stay") from None
    if as_json:
        click.echo(json.dumps({"name": name, "folder": str(folder)}))
    elif not quiet:
        click.echo(f"{name} is in {folder}, every checksum is right" if source.files else
                   f"{name} comes with the package; there is nothing to fetch")


@data.command(short_help="Print the folder of a data set.")
@click.argument("name", type=NAME, required=False, metavar="[NAME]")
@data_dir
@as_json
def where(name: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Print the folder in which a data set is, or would be; without a name the folder of all."""
    with data_failures():
        folder = base(data_dir)[0] if name is None else locate(CATALOG[name], data_dir).folder
    click.echo(json.dumps({"name": name, "folder": str(folder)}) if as_json else str(folder))


def _described(source: Source, root: Path | None) -> dict[str, Any]:
    """Return what ``--json`` says of a data set."""
    place = locate(source, root)
    return {
        "name": source.name, "title": source.title, "train": source.samples[0], "test": source.samples[1],
        "image": list(source.shape), "maximum": source.maximum, "classes": list(source.classes),
        "license": source.license, "citation": source.citation, "folder": str(place.folder),
        "here": len(place.found) == len(source.files), "files": len(source.files), "files_here": len(place.found),
        "download_bytes": sum(file.packed for file in source.files)}


def _where(row: dict[str, Any]) -> str:
    if not row["files"]:
        return "in the package"
    if row["here"]:
        return str(row["folder"])
    if row["files_here"]:
        return f"{row['files_here']} of {row['files']} files in {row['folder']}"
    return f"not here, {row['download_bytes'] / 1e6:.1f} MB to fetch"
