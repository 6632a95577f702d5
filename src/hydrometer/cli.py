"""The command line: one command per question a user asks."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from hydrometer import __version__
from hydrometer.commands import (
    attribute,
    dose,
    ice,
    integrity,
    judge,
    kinship,
    ledger,
    mistakes,
    models,
    population,
    responses,
    rse,
    same,
)
from hydrometer.errors import HydrometerError

app = typer.Typer(
    name="hydrometer",
    help="Measures how far one language model was distilled from another.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(ice.app, name="ice")
app.command(name="rse")(rse.rse)
app.command(name="integrity")(integrity.integrity)
app.command(name="kinship")(kinship.kinship)
app.command(name="mistakes")(mistakes.mistakes)
app.command(name="attribute")(attribute.attribute)
app.command(name="dose")(dose.dose)
app.command(name="same")(same.same)
app.command(name="responses")(responses.responses)
app.add_typer(population.app, name="population")
app.add_typer(judge.app, name="judge")
app.add_typer(models.app, name="models")
app.add_typer(ledger.app, name="ledger")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; every failure a user can act on is one line on standard error."""
    # Many small products on threads of their own: OpenBLAS's threads wait for each other and double the time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except HydrometerError as error:
        from hydrometer.report.visible import visible

        print(f"hydrometer: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("hydrometer: Interrupted", file=sys.stderr)
        sys.exit(130)
