"""`hydrometer same`: are two endpoints one and the same model, given several answers of each to every prompt?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.commands import options
from hydrometer.errors import InputError

if TYPE_CHECKING:
    from hydrometer.findings import Estimate
    from hydrometer.kinship.evalues import SameModelStream
    from hydrometer.kinship.two_sample import SameModel

VERDICTS = {
    "consistent": "consistent with one and the same model",
    "differ": "they differ",
    "inconclusive": "inconclusive",
}
#: Rounds of a stream that are shown; the JSON document holds all.
SHOWN_ROUNDS = 20


def same(
    responses: Annotated[
        list[Path], typer.Argument(metavar="RESPONSES...", help="Files or folders of answers, several to a prompt.")
    ],
    models: Annotated[str, typer.Option("--models", metavar="A,B", help="The two models, by their names there.")],
    level: Annotated[float, typer.Option(metavar="ALPHA", help="Chance of a false `differ`, at most.")] = 0.01,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="An e-value, prompt by prompt: valid whenever one stops or goes on.")
    ] = False,
    permutations: Annotated[int, typer.Option(min=1, metavar="N", help="Random permutations of the test.")] = 2000,
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """Two-sample test: do two endpoints answer like one and the same model?"""
    from hydrometer.kinship.draws import draws_of
    from hydrometer.kinship.evalues import same_model_stream
    from hydrometer.kinship.two_sample import same_model
    from hydrometer.report.visible import visible
    from hydrometer.response_table import read_table

    a, b = _pair(models)
    table = read_table(responses, models=(a, b))
    draws = draws_of(table, a, b)
    found: SameModel | SameModelStream
    if sequential:
        found = same_model_stream(draws, a, b, level=level, seed=seed)
        text = _stream(found)
    else:
        found = same_model(draws, a, b, level=level, permutations=permutations, seed=seed)
        text = _test(found)
    for note in (*table.notes, *found.notes):
        sys.stderr.write(visible(f"Note: {note}\n"))
    document = json.dumps(found.model_dump(exclude={"notes"}), ensure_ascii=False, indent=2) + "\n"
    sys.stdout.write(document if as_json else visible(text))


def _pair(models: str) -> tuple[str, str]:
    names = [name.strip() for name in models.split(",") if name.strip()]
    if len(names) != 2:
        raise InputError(f"--models names {len(names)} models", "Give two, as --models A,B")
    if names[0] == names[1]:
        raise InputError(f"--models names {names[0]} twice", "Give two names; a model is always the same as itself")
    return names[0], names[1]


def _test(found: SameModel) -> str:
    from hydrometer.report.visible import label

    counts = found.counts
    lines = [
        f"{label(found.a)} and {label(found.b)}: {VERDICTS[found.verdict]}",
        f"  {found.reason}.",
        "",
        f"p = {found.p:.4g} at level {found.level:g} ({found.permutations} permutations within {counts.prompts} "
        f"prompts, {counts.samples[0]} and {counts.samples[1]} answers; largest statistic: {found.statistic})",
    ]
    for one in found.discrepancies:
        sensitivity = "-" if one.detectable is None else f"{one.detectable:.1%}"
        lines.append(
            f"  {one.kernel:<10}  MMD^2 {_number(one.mmd2, '.4f')}  same-model floor {one.floor:.4f}  "
            f"share of variation {_number(one.share, '.1%')}  detectable {sensitivity}  p = {one.p:.4g}"
        )
    if found.verdict == "differ":
        lines += ["", "Prompts that differ most (p corrected for all prompts):"]
        lines += [
            f"  {label(one.prompt, 60):<60}  MMD^2 {one.mmd2:+.4f}  p = {one.p_corrected:.4g}"
            for one in found.most_different
        ]
    return "\n".join(lines) + "\n"


def _stream(found: SameModelStream) -> str:
    from hydrometer.report.visible import label

    lines = [
        f"{label(found.a)} and {label(found.b)}: {VERDICTS[found.verdict]}",
        f"  {found.reason}.",
        "",
        f"log e = {found.log_e:.3f} after {len(found.path)} rounds; `differ` from {found.log_e_threshold:.3f} on "
        f"(level {found.level:g}); p at any time {found.p:.4g}",
    ]
    skipped = max(0, len(found.path) - SHOWN_ROUNDS)
    if skipped:
        lines.append(f"  ... {skipped} rounds before")
    lines += [f"  {label(step.prompt, 60):<60}  log e {step.log_e:+.3f}" for step in found.path[skipped:]]
    return "\n".join(lines) + "\n"


def _number(one: Estimate, form: str) -> str:
    if one.estimate is None:
        return "-"
    interval = "" if one.low is None or one.high is None else f" [{one.low:{form}}, {one.high:{form}}]"
    return f"{one.estimate:{form}}{interval}"
