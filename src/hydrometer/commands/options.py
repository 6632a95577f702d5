"""Options that several commands share, so that they are spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else there.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write report.html and all tables here.")]
Rows = Annotated[Path | None, typer.Option("--rows", metavar="FILE.parquet", help="Write one row per attempt.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Fixes every random choice.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Card = Annotated[
    Path | None, typer.Option("--card", metavar="FILE", help="The subject's identity card (TOML), in place of ours.")
]
JudgeQualityFile = Annotated[
    Path | None,
    typer.Option(
        "--judge-quality",
        metavar="FILE",
        help="The judge's measured error (from `hydrometer judge check`); corrects the rates and widens intervals.",
    ),
]
LedgerPath = Annotated[
    Path, typer.Option("--ledger", envvar="HYDROMETER_LEDGER", metavar="FILE", help="Where every call is remembered.")
]
Concurrency = Annotated[int, typer.Option("--concurrency", metavar="N", help="Calls in flight per endpoint, at most.")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Limit of one attempt.")]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", metavar="N", help="Stop after this many calls sent.")]
MaxCost = Annotated[
    float | None, typer.Option("--max-cost", metavar="X", help="Stop before this is spent (needs a price table).")
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Address for models of the first model's provider."),
]
Base = Annotated[bool, typer.Option("--base", help="The subjects are base models: raw completion, no chat template.")]


def check_results(out: Path | None, rows: Path | None) -> None:
    """Refuse places that cannot hold the results, before anything is spent on them.

    Raises:
        InputError: the rows are not to be Parquet, or the folder cannot be written.
    """
    from hydrometer.files import make_folder

    if rows is not None and rows.suffix != ".parquet":
        raise InputError(f"{rows} does not end in .parquet", "Rows are written as Parquet.")
    if out is not None:
        make_folder(out)


def check_model_or(option: str, value: str, *words: str) -> None:
    """Refuse a value that is neither one of the words nor looks like a model, which are mostly misspelt words.

    Raises:
        InputError: naming what can be given.
    """
    if value not in words and "/" not in value:
        raise InputError(f"{option} is {value!r}", f"Give {', '.join(words)}, or a model as provider/name.")
