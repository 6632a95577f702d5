"""`hydrometer dose`: what share of a student's behaviour a teacher accounts for, rather than a control."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hydrometer.commands import options


def dose(
    responses: Annotated[list[Path], typer.Argument(metavar="RESPONSES...", help="Files or folders of answers.")],
    student: Annotated[str, typer.Option("--student", metavar="S", help="The model under test.")],
    teacher: Annotated[str, typer.Option("--teacher", metavar="T", help="The suspected teacher.")],
    control: Annotated[
        str, typer.Option("--control", metavar="C", help="A model that did not learn from the teacher.")
    ],
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """What share of a student's behaviour the teacher accounts for, rather than the control."""
    from hydrometer.kinship.dose import dose as measured
    from hydrometer.report.visible import label, visible
    from hydrometer.response_table import read_table

    table = read_table(responses)
    found = measured(table, student, teacher, control, seed=seed)
    for note in (*table.notes, *found.notes):
        sys.stderr.write(visible(f"Note: {note}\n"))
    share = found.dose
    if share.estimate is None or share.low is None or share.high is None:
        text = f"{label(student)}: inconclusive\n"
    else:
        text = (
            f"{label(student)}: {share.estimate:.1%} [{share.low:.1%}, {share.high:.1%}] of its behaviour is accounted "
            f"for by {label(teacher)} rather than by {label(control)} ({share.n} prompts)\n"
        )
    sys.stdout.write(json.dumps(found.model_dump(), ensure_ascii=False, indent=2) + "\n" if as_json else visible(text))
