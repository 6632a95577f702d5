"""`hydrometer responses`: what is in a set of recorded answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hydrometer.commands import options


def responses(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RESPONSES...", help="Files of recorded answers, or folders of them.")
    ],
    models: Annotated[str | None, typer.Option(metavar="A,B,...", help="Only these models.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.parquet", help="Write the set as one table.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show models, prompts, lengths, formatting, languages and faults of recorded answers of any known form."""
    from hydrometer.report.response_text import response_summary
    from hydrometer.response_profile import check_table_path, profile, write_table
    from hydrometer.response_table import read_named, read_table

    if out is not None:
        check_table_path(out)
    table = read_table(paths) if models is None else read_named(paths, models)[0]
    found = profile(table)
    if out is not None:
        write_table(out, table)
    sys.stdout.write(found.model_dump_json(indent=2) + "\n" if as_json else response_summary(found))
