"""The files that a run leaves: the page, the figures, a row per record, the templates and a short summary.

All are functions of the result alone: the same result gives the same bytes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydrometer.errors import InputError
from hydrometer.files import write_bytes
from hydrometer.findings import Estimate
from hydrometer.identity.scores import SCORES, IceScore, Judged
from hydrometer.prompts.templates import Template
from hydrometer.report import ice_words
from hydrometer.report.ice_page import IcePage, render_page
from hydrometer.report.visible import encodable, label

if TYPE_CHECKING:
    import polars as pl

_FLAGS = ("loose", "strict", "hard", "leading", "truncated")
COLUMNS = (
    *("model", "template", "query", "loose", "strict", "hard", "claimed_maker", "claimed_model", "evidence"),
    *("template_id", "query_id", "category", "language", "leading", "failure", "error", "response", "explanation"),
    "truncated",
)


def rows_table(rows: Sequence[Judged]) -> pl.DataFrame:
    """One row per record, in order; the columns are `COLUMNS`.

    Verdicts, and everything else that an attempt does not have, are null; nothing is null for another reason.
    A lone surrogate, which no file can hold, becomes U+FFFD.
    """
    import polars as pl

    schema = {name: pl.Boolean if name in _FLAGS else pl.String for name in COLUMNS}
    records = [_record(row) for row in rows]
    return pl.DataFrame({name: [record[name] for record in records] for name in COLUMNS}, schema=schema)


def write_rows(path: Path, rows: Sequence[Judged]) -> None:
    """Write `rows_table` as Parquet.

    Raises:
        InputError: the file cannot be written.
    """
    write_bytes(path, _parquet(rows))


def scores_json(scores: Sequence[IceScore]) -> str:
    """The figures as one JSON document: a list with an object per subject. Ends with a line feed."""
    text = json.dumps(
        [score.model_dump(mode="json") for score in scores], ensure_ascii=False, indent=2, allow_nan=False
    )
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def write_ice(out: Path, page: IcePage) -> None:
    """Write `report.html`, `report.md`, `ice.json`, `rows.parquet` and `templates.jsonl` into a folder.

    Everything is made before anything is written, and each file replaces an older one at once or not at all.

    Args:
        out: the folder; made if it is not there.
        page: the result.

    Raises:
        InputError: the folder is a file or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder", "Give --out the name of a folder.")
    files = {
        "report.html": render_page(page).encode(),
        "report.md": summary_markdown(page).encode(),
        "ice.json": scores_json(page.scores).encode(),
        "rows.parquet": _parquet([row for rows in page.rows for row in rows]),
        "templates.jsonl": "".join(f"{_template_json(template)}\n" for template in page.templates).encode(),
    }
    for name, content in files.items():
        write_bytes(out / name, content)


def summary_markdown(page: IcePage) -> str:
    """The result in short, as Markdown."""
    lines = ["# Identity consistency", ""]
    lines += [f"> **Care:** {_plain(label(warning, 400))}\n" for warning in page.warnings]
    for score in page.scores:
        lines += [_plain(ice_words.headline(score)), ""]
    if meaning := ice_words.meaning(page.scores):
        lines += [meaning, ""]
    columns = [*(ice_words.SCORE_NAMES[name] for name in SCORES), "n", "failed", "unparsed", "most claimed"]
    lines += [f"| subject | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for score in page.scores:
        figures = [ice_words.figure(getattr(score, name)) + _of(getattr(score, name)) for name in SCORES]
        claims = _plain(ice_words.most_claimed(score)) or "-"
        cells = [_plain(label(score.subject)), *figures, str(score.n), str(score.failed), str(score.unparsed), claims]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Estimate [95 % interval over template and question clusters], positives of judged answers.", ""]
    notes = [f"{label(score.subject)}: {caution}" for score in page.scores for caution in ice_words.cautions(score)]
    notes += ice_words.comparison_notes(page.comparisons)
    lines += [f"- {_plain(note)}" for note in notes] + ([""] if notes else [])
    lines += ["## Settings", "", "| | |", "|---|---|"]
    lines += [f"| {_plain(label(name))} | {_plain(label(value, 2000))} |" for name, value in page.settings]
    return "\n".join([*lines, "", "Transcripts and the figures in full: report.html, rows.parquet, ice.json.", ""])


def _record(row: Judged) -> dict[str, Any]:
    attempt, judgement = row.attempt, row.judgement
    record = {
        "model": attempt.model,
        "template": attempt.template,
        "query": attempt.query,
        **{name: row.positive(name) for name in ("loose", "strict", "hard")},
        "claimed_maker": judgement.claimed_maker if judgement else None,
        "claimed_model": judgement.claimed_model if judgement else None,
        "evidence": judgement.evidence if judgement else None,
        "template_id": attempt.template_id,
        "query_id": attempt.query_id,
        "category": attempt.category,
        "language": attempt.language,
        "leading": attempt.leading,
        "failure": attempt.failure,
        "error": judgement.error if judgement else None,
        "response": attempt.response,
        "explanation": judgement.explanation if judgement else None,
        "truncated": attempt.truncated,
    }
    return {name: encodable(value) if isinstance(value, str) else value for name, value in record.items()}


def _parquet(rows: Sequence[Judged]) -> bytes:
    buffer = io.BytesIO()
    rows_table(rows).write_parquet(buffer)
    return buffer.getvalue()


def _template_json(template: Template) -> str:
    return json.dumps(asdict(template), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _of(estimate: Estimate) -> str:
    return "" if estimate.count is None else f", {estimate.count} of {estimate.n}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", text)
