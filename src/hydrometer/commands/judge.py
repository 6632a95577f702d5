"""`hydrometer judge`: how far a judge can be trusted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.commands import options
from hydrometer.session import DEFAULT_LEDGER, RunOptions

if TYPE_CHECKING:
    from hydrometer.findings import Estimate

app = typer.Typer(help="Measure a judge's own error against labels.")


@app.callback()
def _judge() -> None:
    """Measure a judge's own error against labels."""


@app.command()
def check(
    labelled: Annotated[list[Path], typer.Argument(metavar="LABELLED...", help="Records with `loose` and `strict`.")],
    judge: Annotated[str, typer.Option(metavar="builtin|MODEL", help="The judge to measure.")] = "builtin",
    subject: Annotated[str | None, typer.Option(help="The model's name, where the records do not say it.")] = None,
    card: options.Card = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it here, for --judge-quality.")
    ] = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
    concurrency: options.Concurrency = 64,
    timeout: options.Timeout = 120.0,
    max_calls: options.MaxCalls = None,
    max_cost: options.MaxCost = None,
    base_url: options.BaseUrl = None,
    ledger: options.LedgerPath = DEFAULT_LEDGER,
    quiet: options.Quiet = False,
) -> None:
    """Agreement of a judge with labels: kappa, sensitivity, specificity, with intervals."""
    from hydrometer.files import write_text
    from hydrometer.identity.judge_quality import measure
    from hydrometer.identity.records import read_records
    from hydrometer.judging import judge_records

    options.check_model_or("--judge", judge, "builtin")
    attempts = read_records(labelled, subject)
    run_options = RunOptions(
        ledger=ledger,
        concurrency=concurrency,
        timeout_s=timeout,
        max_calls=max_calls,
        max_cost=max_cost,
        base_url=base_url,
        quiet=quiet,
    )
    the_judge, judgements, _ = judge_records(judge, attempts, card, run_options)
    quality = measure(attempts, judgements, judge=the_judge.name, fingerprint=the_judge.fingerprint, seed=seed)
    document = quality.model_dump_json(indent=2) + "\n"
    if out is not None:
        write_text(out, document)
    if as_json:
        sys.stdout.write(document)
        return
    sys.stdout.write(f"{quality.judge} on {quality.n} labelled answers, {quality.unparsed} without a verdict\n")
    for name, label in (("loose", quality.loose), ("strict", quality.strict)):
        if label is None:
            sys.stdout.write(f"{name:7} no labels\n")
            continue
        sys.stdout.write(
            f"{name:7} kappa {_text(label.kappa)}  sensitivity {_text(label.sensitivity)}  "
            f"specificity {_text(label.specificity)}\n"
        )


def _text(estimate: Estimate) -> str:
    if estimate.estimate is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.estimate:.3f}"
    return f"{estimate.estimate:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
