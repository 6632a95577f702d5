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
    from hydrometer.kinship.evalues import SameModelStream
    from hydrometer.kinship.two_sample import SameModel


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
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.json", help="Write the document here.")] = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
) -> None:
    """Two-sample test: do two endpoints answer like one and the same model?"""
    from hydrometer.files import make_folder, write_text
    from hydrometer.kinship.draws import draws_of, require_level
    from hydrometer.kinship.evalues import same_model_stream
    from hydrometer.kinship.two_sample import same_model
    from hydrometer.report.same_text import permutation_text, stream_text
    from hydrometer.report.visible import visible
    from hydrometer.response_table import read_named

    require_level(level)
    if out is not None:
        make_folder(out.parent)
    table, names = read_named(responses, models)
    a, b = _pair(names)
    draws = draws_of(table, a, b)
    found: SameModel | SameModelStream
    if sequential:
        found = same_model_stream(draws, a, b, level=level, seed=seed)
        text = stream_text(found)
    else:
        found = same_model(draws, a, b, level=level, permutations=permutations, seed=seed)
        text = permutation_text(found)
    for note in (*table.notes, *found.notes):
        sys.stderr.write(visible(f"Note: {note}\n"))
    document = json.dumps(found.model_dump(exclude={"notes"}), ensure_ascii=False, indent=2) + "\n"
    if out is not None:
        write_text(out, document)
    sys.stdout.write(document if as_json else visible(text))


def _pair(names: list[str]) -> tuple[str, str]:
    if len(names) != 2:
        raise InputError(f"--models names {len(names)} models", "Give two, as --models A,B")
    if names[0] == names[1]:
        raise InputError(f"--models names {names[0]} twice", "Give two names; a model is always the same as itself")
    return names[0], names[1]
