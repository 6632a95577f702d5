"""`hydrometer attribute`: which candidate teacher's habits a student shows, or none of theirs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.commands import options

if TYPE_CHECKING:
    from hydrometer.kinship.attribution import Attribution


def attribute(
    responses: Annotated[list[Path], typer.Argument(metavar="RESPONSES...", help="Files or folders of answers.")],
    students: Annotated[str, typer.Option("--students", metavar="A,B,...", help="Models under test.")],
    teachers: Annotated[str, typer.Option("--teachers", metavar="C,D,...", help="Candidate teachers.")],
    impostors: Annotated[
        str | None,
        typer.Option(
            "--impostors", metavar="F,G,...", help="Unrelated models (default: all that are neither of the above)."
        ),
    ] = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """Which candidate's own habits a student shows, beyond what impostors and the other candidates explain."""
    from hydrometer.kinship.attribution import attribute as attributed
    from hydrometer.kinship.attribution import lineup
    from hydrometer.kinship.frames import frames
    from hydrometer.kinship.pairs import residual_pairs
    from hydrometer.report.visible import visible
    from hydrometer.response_names import split_names
    from hydrometer.response_table import read_table

    table = read_table(responses)
    others = None if impostors is None else split_names(impostors, table.models)
    tested, candidates = (split_names(names, table.models) for names in (students, teachers))
    who = lineup(table.models, tested, candidates, others)
    pairs = residual_pairs(table, seed=seed)
    found = attributed(pairs, who, frames(table, pairs, seed=seed))
    for note in (*table.notes, *dict.fromkeys(f"{one.student}: {line}" for one in found for line in one.notes)):
        sys.stderr.write(visible(f"Note: {note}\n"))
    document = json.dumps([one.model_dump() for one in found], ensure_ascii=False, indent=2) + "\n"
    sys.stdout.write(document if as_json else visible(_text(found)))


def _text(found: list[Attribution]) -> str:
    from hydrometer.report.visible import label

    lines = []
    for one in found:
        verdict = f"consistent with {label(one.teacher)}" if one.teacher else one.verdict
        verdict += f", {one.leaning}" if one.leaning else ""
        none = "" if one.none is None else f" (none of these: {one.none:.0%})"
        lines.append(f"{label(one.student)}: {verdict}{none}")
        for candidate in one.candidates:
            if candidate.probability is None:
                lines.append(f"  {label(candidate.teacher):<40}  {candidate.prompts} common prompts")
            else:
                lines.append(
                    f"  {label(candidate.teacher):<40}  {candidate.probability:6.1%}  score {candidate.score:+.2f} "
                    f"[{candidate.low:+.2f}, {candidate.high:+.2f}]"
                )
    return "\n".join(lines) + "\n"
