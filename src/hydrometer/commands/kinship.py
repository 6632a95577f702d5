"""`hydrometer kinship`: who is related to whom, in which families, and how many models are really there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
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
        bool, typer.Option("--no-intervals", help="Leave out intervals and evidence: faster, with the same verdicts.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where similarities are computed.")] = "cpu",
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="Texts of the prompts (prompt_id, prompt), for the evidence."),
    ] = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """Relatives, families, tree and number of independent models of a population, from recorded answers alone."""
    from hydrometer.files import make_folder
    from hydrometer.kinship.reference import read_population
    from hydrometer.kinship_run import run
    from hydrometer.report.kinship_files import document, formats_of, write_kinship
    from hydrometer.report.kinship_text import summary
    from hydrometer.response_table import read_named, read_table

    formats = formats_of(figures)
    if out is not None:
        make_folder(out)
    files = [*responses, *([] if prompts is None else [_asked(prompts)])]
    table = read_table(files) if models is None else read_named(files, models)[0]
    reference = None if population is None else read_population(population)
    result = run(
        table,
        reference=reference,
        intervals=not no_intervals,
        with_evidence=not no_intervals and (as_json or out is not None),
        device=device,
        seed=seed,
    )
    _tell(result.notes)
    if out is not None:
        _tell(write_kinship(out, result, formats))
    sys.stdout.write(document(result) if as_json else summary(result))


def _tell(notes: Iterable[str]) -> None:
    from hydrometer.report.visible import visible

    for note in notes:
        sys.stderr.write(visible(f"Note: {note}\n"))


def _asked(path: Path) -> Path:
    from hydrometer.response_formats.files import kind_of

    if not path.is_file() or kind_of(path) != "prompts":
        raise InputError(f"--prompts: {path} is no file of prompts", "Give a table with prompt_id and prompt.")
    return path
