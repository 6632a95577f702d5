"""`hydrometer ledger`: what was called, what it cost, and the calls as a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hydrometer.budget import PRICES_TEMPLATE, Price, load_prices, price_of, prices_path
from hydrometer.errors import InputError
from hydrometer.ledger import SqliteLedger
from hydrometer.session import DEFAULT_LEDGER

app = typer.Typer(help="Show the ledger: runs, calls, failures, tokens and cost.", invoke_without_command=True)

LedgerOption = Annotated[
    Path, typer.Option("--ledger", envvar="HYDROMETER_LEDGER", help="The ledger's file.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

_RUNS = """
SELECT run.id, datetime(run.started, 'unixepoch'), run.status, run.command, run.reused,
       count(call.id), count(call.failure), total(call.prompt_tokens), total(call.completion_tokens)
FROM run LEFT JOIN call ON call.run = run.id GROUP BY run.id ORDER BY run.id
"""
_MODELS = """
SELECT model, purpose, count(*), count(failure), total(prompt_tokens), total(completion_tokens),
       avg(CASE WHEN failure IS NULL THEN latency_s END)
FROM call GROUP BY model, purpose ORDER BY model, purpose
"""
_FAILURES = "SELECT model, failure, count(*) FROM call WHERE failure IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
_EXPORT = """
SELECT id, run, made, model, purpose, hex(key) AS key, request, failure, message, text, finish_reason, prompt_tokens,
       completion_tokens, latency_s, served_model, dropped, logprobs
FROM call ORDER BY id
"""


@app.callback()
def show(context: typer.Context, ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """Runs and models, with calls, failures, tokens and cost."""
    if context.invoked_subcommand is not None:
        return
    prices = load_prices()
    book = SqliteLedger(ledger)
    try:
        runs = [
            dict(
                zip(
                    ("run", "started", "status", "command", "reused", "calls", "failed", "tokens_in", "tokens_out"),
                    row,
                    strict=True,
                )
            )
            for row in book.query(_RUNS)
        ]
        models = [_model_row(row, prices) for row in book.query(_MODELS)]
        failures = [{"model": model, "failure": kind, "count": count} for model, kind, count in book.query(_FAILURES)]
    finally:
        book.close()
    if as_json:
        document = {"ledger": str(ledger), "runs": runs, "models": models, "failures": failures}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        _print(ledger, runs, models, failures)


@app.command()
def export(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE.parquet", help="Where to write the calls.")],
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="The ledger's file, here or before `export`.")
    ] = None,
) -> None:
    """Write every call as a row of a Parquet file."""
    import polars as pl

    from hydrometer.files import replacing

    if target.suffix != ".parquet":
        raise InputError(f"{target} does not end in .parquet", "The export is a Parquet file.")
    schema = {
        "id": pl.Int64, "run": pl.Int64, "made": pl.Float64, "model": pl.String, "purpose": pl.String, "key": pl.String,
        "request": pl.String, "failure": pl.String, "message": pl.String, "text": pl.String, "finish_reason": pl.String,
        "prompt_tokens": pl.Int64, "completion_tokens": pl.Int64, "latency_s": pl.Float64, "served_model": pl.String,
        "dropped": pl.String, "logprobs": pl.String,
    }  # fmt: skip
    book = SqliteLedger(ledger or (context.parent or context).params["ledger"])
    try:
        table = pl.DataFrame(list(book.query(_EXPORT)), schema=schema, orient="row")
    finally:
        book.close()
    with replacing(target) as temporary:
        table.write_parquet(temporary)
    sys.stderr.write(f"{len(table)} calls written to {target}\n")


@app.command()
def prices() -> None:
    """Print where the price table is; a commented one is written there if there is none."""
    from hydrometer.files import write_text

    path = prices_path()
    if not path.exists():
        write_text(path, PRICES_TEMPLATE)
    load_prices(path)
    sys.stdout.write(f"{path}\n")


def _model_row(row: tuple[Any, ...], table: dict[str, Price]) -> dict[str, Any]:
    model, purpose, calls, failed, tokens_in, tokens_out, latency = row
    price = price_of(model, table)
    return {
        "model": model,
        "purpose": purpose,
        "calls": calls,
        "failed": failed,
        "tokens_in": int(tokens_in),
        "tokens_out": int(tokens_out),
        "mean_latency_s": latency,
        "cost": None if price is None else price.of(int(tokens_in), int(tokens_out)),
    }


def _print(
    ledger: Path, runs: list[dict[str, Any]], models: list[dict[str, Any]], failures: list[dict[str, Any]]
) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"Ledger {ledger}: {len(runs)} runs, {sum(run['calls'] for run in runs)} calls")
    for run in runs[-20:]:
        console.print(
            f"\nrun {run['run']}  {run['started']} UTC  {run['status']}\n  {run['command']}\n  "
            f"{run['calls']} calls, {run['failed']} failed, {run['reused']} answered from the ledger, "
            f"{int(run['tokens_in'])} tokens in, {int(run['tokens_out'])} out"
        )
    console.print("")
    for line in _model_lines(models):
        console.print(line)
    if any(row["cost"] is None for row in models):
        console.print(f"Models without a price: put one into {prices_path()} (`hydrometer ledger prices`).")
    for row in failures:
        console.print(f"failed: {row['model']}  {row['failure']}  {row['count']}")


def _model_lines(models: list[dict[str, Any]]) -> Iterator[str]:
    for row in models:
        cost = "cost unknown" if row["cost"] is None else f"cost {row['cost']:.4g}"
        latency = "" if row["mean_latency_s"] is None else f", {row['mean_latency_s']:.2f} s each"
        yield (
            f"{row['model']} as {row['purpose']}: {row['calls']} calls, {row['failed']} failed, "
            f"{row['tokens_in']} tokens in, {row['tokens_out']} out, {cost}{latency}"
        )
