"""The answers of a run of integrity as a response set, so that they can be read again as `replay/FILE#NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hydrometer.files import replacing
from hydrometer.prompts.integrity_sets import STABILITY

if TYPE_CHECKING:
    from hydrometer.integrity.samples import Samples
    from hydrometer.integrity_run import Collected

_FORM = ("model", "set", "prompt_id", "sample", "response", "prompt", "category", "language")


def write_answers(path: Path, collected: Collected) -> None:
    """One row an answer of student and teacher, to prompts and to variants; a failed one is an empty text.

    Raises:
        InputError: it cannot be written.
    """
    import polars as pl

    names = _names(collected.student.samples.model, collected.teacher.samples.model)
    sides = zip(names, (collected.student, collected.teacher), strict=True)
    rows = [row for name, side in sides for row in _rows(name, side.samples, "samples")]
    for name, side in zip(names, collected.variants or (), strict=False):
        rows += _rows(name, side.samples, STABILITY)
    with replacing(path) as temporary:
        pl.DataFrame(rows, schema=dict.fromkeys(_FORM, pl.String) | {"sample": pl.Int64}, orient="row").write_parquet(
            temporary
        )


def _names(student: str, teacher: str) -> tuple[str, str]:
    """Names without the files that answers were read from, so that they can be addressed in this one."""
    short = student.rpartition("#")[2], teacher.rpartition("#")[2]
    return short if short[0] != short[1] else (f"{short[0]} (student)", f"{short[1]} (teacher)")


def _rows(model: str, samples: Samples, prompt_set: str) -> list[tuple[str | int, ...]]:
    columns = zip(samples.prompts, samples.texts, samples.questions, samples.categories, samples.languages, strict=True)
    return [
        (model, prompt_set, prompt, number, text, question, category, language)
        for prompt, texts, question, category, language in columns
        for number, text in enumerate(texts)
    ]
