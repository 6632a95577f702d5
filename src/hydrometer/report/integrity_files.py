"""A run of integrity as files: statement, page, model card, findings and a row per measure and prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hydrometer.files import replacing, write_text
from hydrometer.integrity.findings import IntegrityFindings
from hydrometer.report import integrity_words as words
from hydrometer.report.integrity_page import render_page
from hydrometer.report.integrity_text import model_card, statement
from hydrometer.report.visible import encodable

if TYPE_CHECKING:
    from hydrometer.integrity_run import Collected


def findings_json(collected: Collected, findings: IntegrityFindings) -> str:
    """One JSON document: the findings, how they were made, and what limits them. Ends with a line feed."""
    document = {
        "document": "Distillation Loss Statement",
        "headline": words.headline(findings),
        "settings": dict(words.settings(collected, findings)),
        "notes": words.notes(collected, findings),
        "limits": list(words.limits()),
        **findings.model_dump(exclude_none=False),
    }
    return encodable(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)) + "\n"


def write_integrity(folder: Path, collected: Collected, findings: IntegrityFindings) -> None:
    """`integrity.json`, `statement.md`, `statement.html`, `model-card.md` and `metrics.parquet` in the folder.

    Raises:
        InputError: they cannot be written.
    """
    write_text(folder / "integrity.json", findings_json(collected, findings))
    write_text(folder / "statement.md", statement(collected, findings))
    write_text(folder / "statement.html", render_page(collected, findings))
    write_text(folder / "model-card.md", model_card(collected, findings))
    write_metrics(folder / "metrics.parquet", collected, findings)


def write_metrics(path: Path, collected: Collected, findings: IntegrityFindings) -> None:
    """One row for each measure and unit; a value that is not there is null.

    The unit is a prompt, a question asked in several ways, `all` for a measure over the whole set, else a number.

    Raises:
        InputError: it cannot be written.
    """
    import polars as pl

    prompts = collected.matched.teacher.prompts
    questions = tuple(dict.fromkeys(one.base for one in collected.plan.variants))
    rows = []
    for one in findings.metrics:
        size = len(one.teacher_values)
        known = [
            names for names in (questions if one.theme == "stability" else prompts, ("all",)) if len(names) == size
        ]
        units = known[0] if known else tuple(map(str, range(size)))
        rows += [
            (one.theme, one.name, unit, teacher, student)
            for unit, teacher, student in zip(units, one.teacher_values, one.student_values, strict=True)
        ]
    form = {"theme": pl.String, "measure": pl.String, "unit": pl.String, "teacher": pl.Float64, "student": pl.Float64}
    with replacing(path) as temporary:
        pl.DataFrame(rows, schema=form, orient="row").write_parquet(temporary)
