"""`hydrometer mistakes`: which models make the same mistakes on multiple-choice items."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hydrometer.commands import options


def mistakes(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTIONS...",
            help="Tables (Parquet, .jsonl, .csv) with the columns model, item_id, prediction, answer, options and, "
            "where recorded, probabilities.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Write pairs.parquet, models.parquet, mistakes.json and mistakes.txt here."
        ),
    ] = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """Shared mistakes: CAPA, and agreement on wrong answers beyond their pull, both models' ability and the crowd."""
    from hydrometer.kinship.mistakes import shared_mistakes
    from hydrometer.kinship.predictions import read_predictions
    from hydrometer.report.mistakes_files import document, summary, write_mistakes
    from hydrometer.report.visible import visible

    options.check_results(out, None)
    found = shared_mistakes(read_predictions(predictions), seed=seed)
    if out is not None:
        write_mistakes(out, found)
    if as_json:
        for note in found.notes:
            sys.stderr.write(visible(f"Note: {note}\n"))
    sys.stdout.write(document(found) if as_json else summary(found))
