"""Response similarity as files: one JSON document, and one row a prompt in Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydrometer.errors import InputError
from hydrometer.files import replacing, write_text
from hydrometer.report.rse_text import summary
from hydrometer.similarity.scores import Similarity

if TYPE_CHECKING:
    from hydrometer.rse import RseResult

_PER_PROMPT = ("style", "logic", "content", "overall", "floor", "matched", "length_ratio", "formatting", "overlap")


def findings_json(findings: Sequence[Similarity]) -> str:
    """A list with one object a subject."""
    return json.dumps([_without_rates(one.model_dump()) for one in findings], ensure_ascii=False, indent=2) + "\n"


def check_rows_path(path: Path) -> None:
    """Refuse a name for the rows that is not Parquet's, best before a run is paid for.

    Raises:
        InputError: not a .parquet name.
    """
    if path.suffix != ".parquet":
        raise InputError(f"{path} does not end in .parquet", "Rows are written as Parquet.")


def write_rows(path: Path, result: RseResult) -> None:
    """One row for every model and prompt, controls included; a score that is not there is null.

    Raises:
        InputError: not a .parquet name, or it cannot be written.
    """
    import polars as pl

    check_rows_path(path)
    tables = []
    for one in result.measured:
        labels = {"subject": one.subject, "reference": one.reference, "judge": one.judge}
        scores = pl.DataFrame({name: getattr(one, name) for name in _PER_PROMPT}).fill_nan(None)
        ids = pl.DataFrame(
            {
                "set": list(one.sets),
                "prompt_id": list(one.prompts),
                "category": [prompt.category for prompt in result.plan.prompts],
                "language": [prompt.language for prompt in result.plan.prompts],
            }
        )
        tables.append(ids.with_columns(**{name: pl.lit(value) for name, value in labels.items()}).hstack(scores))
    with replacing(path) as temporary:
        pl.concat(tables).select([*labels, "set", "prompt_id", "category", "language", *_PER_PROMPT]).write_parquet(
            temporary
        )


def write_rse(folder: Path, result: RseResult) -> None:
    """`rse.json`, `comparisons.json`, `rse.txt` and `rows.parquet` in the folder.

    Raises:
        InputError: they cannot be written.
    """
    write_text(folder / "rse.json", findings_json(result.findings))
    compared = [_without_rates(one.model_dump()) for one in result.comparisons]
    write_text(folder / "comparisons.json", json.dumps(compared, ensure_ascii=False, indent=2) + "\n")
    write_text(folder / "rse.txt", summary(result.findings, result.comparisons))
    write_rows(folder / "rows.parquet", result)


def _without_rates(value: Any) -> Any:
    """The document without the fields of estimates that only rates have."""
    if isinstance(value, list):
        return [_without_rates(item) for item in value]
    if isinstance(value, dict):
        rates = {"count", "raw"} if "estimate" in value else set()
        return {name: _without_rates(item) for name, item in value.items() if name not in rates}
    return value
