"""`hydrometer kinship`: who is related to whom, in which families, and how many models are really there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hydrometer.commands import options
from hydrometer.errors import InputError


def kinship(
    responses: Annotated[
        list[Path], typer.Argument(metavar="RESPONSES...", help="Recorded answers: files or folders of any known form.")
    ],
    population: Annotated[
        Path | None,
        typer.Option("--population", metavar="FILE", help="Reference models (from `hydrometer population build`)."),
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B,...", help="Only these models (default: all).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write tables, tree, page and figures here.")
    ] = None,
    figures: Annotated[
        str, typer.Option("--figures", metavar="svg,pdf,png|none", help="Formats of the figures under --out.")
    ] = "svg",
    no_intervals: Annotated[
        bool, typer.Option("--no-intervals", help="Leave out intervals and evidence: faster, but nothing is ruled out.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where similarities are computed.")] = "cpu",
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """Relatives, families, tree and number of independent models of a population, from recorded answers alone."""
    from hydrometer.files import make_folder
    from hydrometer.kinship.reference import read_population
    from hydrometer.kinship_run import run
    from hydrometer.report.kinship_files import document, formats_of, write_kinship
    from hydrometer.report.kinship_text import summary
    from hydrometer.report.visible import visible
    from hydrometer.response_table import read_table

    formats = formats_of(figures)
    if out is not None:
        make_folder(out)
    table = read_table(responses, models=_named(models))
    for note in table.notes:
        sys.stderr.write(f"{visible(note)}\n")
    reference = None if population is None else read_population(population)
    result = run(
        table,
        reference=reference,
        intervals=not no_intervals,
        with_evidence=not no_intervals and (as_json or out is not None),
        device=device,
        seed=seed,
    )
    if out is not None:
        for line in write_kinship(out, result, formats):
            sys.stderr.write(f"{line}\n")
    sys.stdout.write(document(result) if as_json else summary(result))


def _named(models: str | None) -> list[str] | None:
    if models is None:
        return None
    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise InputError("--models names no model", "Give names as they are in the responses, with commas.")
    return names
