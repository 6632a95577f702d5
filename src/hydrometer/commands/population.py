"""`hydrometer population`: reference models for whoever has too few of their own to tell kinship from habit."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.commands import options
from hydrometer.errors import InputError

if TYPE_CHECKING:
    from hydrometer.kinship.reference import Population

#: Names of models that are shown; `--json` has all.
NAMES = 10

app = typer.Typer(
    help="Reference populations: what many models' answers have in common, without the texts.", no_args_is_help=True
)


@app.command()
def build(
    responses: Annotated[list[Path], typer.Argument(metavar="RESPONSES...", help="Files or folders of answers.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Write the population here.")],
    thinning: Annotated[
        int, typer.Option(min=1, metavar="N", help="Keep one feature in N (a power of two): more is smaller, coarser.")
    ] = 8,
    as_json: options.Json = False,
) -> None:
    """Make a reference population of the models in some responses."""
    from hydrometer.kinship.reference import build_population, write_population
    from hydrometer.report.visible import visible
    from hydrometer.response_checks import degenerate_models
    from hydrometer.response_table import read_table

    table = read_table(responses)
    notes = list(table.notes)
    unfit = degenerate_models(table)
    if unfit:
        listing = ", ".join(f"{name!r} ({how})" for name, how in unfit.items())
        notes.append(f"left out of the population: {listing}")
        kept = [name for name in table.models if name not in unfit]
        if not kept:
            raise InputError("No model of these responses says anything of its own", "Give answers of more models.")
        table = read_table(responses, models=kept)
    population = build_population(table, thinning)
    write_population(out, population)
    for note in notes:
        sys.stderr.write(visible(f"Note: {note}\n"))
    _print(population, out, as_json)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A population made with `population build`.")],
    as_json: options.Json = False,
) -> None:
    """What is in a reference population."""
    from hydrometer.kinship.reference import read_population

    _print(read_population(file), file, as_json)


def _print(population: Population, path: Path, as_json: bool) -> None:
    from hydrometer.report.visible import label, visible

    document = {
        "models": list(population.models),
        "prompts": len(population.prompts),
        "prompts_with_text_hash": sum(bool(text) for text in population.texts),
        "answers": sum(len(one.answer_model) for one in population.habits),
        "thinning": population.thinning,
        "bytes": path.stat().st_size,
    }
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
        return
    more = len(population.models) - NAMES
    lines = [
        f"{path.name}: {len(population.models):,} models, {document['prompts']:,} prompts, "
        f"{document['answers']:,} answers, {path.stat().st_size / 1e6:.1f} MB",
        f"One feature in {population.thinning} is kept; "
        f"{document['prompts_with_text_hash']:,} prompts are known by their text as well as by their id.",
        f"Models: {', '.join(label(name) for name in population.models[:NAMES])}"
        + f" and {more:,} more (--json lists all)" * (more > 0),
    ]
    sys.stdout.write(visible("\n".join(lines) + "\n"))
