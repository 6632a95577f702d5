"""Shared mistakes as files: one row a pair and one a model in Parquet, one JSON document, one plain table."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrometer.files import replacing, write_text
from hydrometer.report.visible import label, visible

if TYPE_CHECKING:
    import polars as pl

    from hydrometer.kinship.mistakes import SharedMistakes

#: Pairs that the plain table shows.
_SHOWN = 20


def pairs_table(found: SharedMistakes) -> pl.DataFrame:
    """One row an unordered pair, the most alike first; what is not known is null."""
    import polars as pl

    names, related, rates = np.array(found.predictions.models, dtype=object), found.relations, found.accuracy.estimate
    first, second = np.triu_indices(len(names), 1)
    columns: dict[str, Any] = {
        "a": names[first].tolist(),
        "b": names[second].tolist(),
        "raw": found.pairs.raw,
        "residual": related.estimate,
        "low": related.low,
        "high": related.high,
        "p": related.p,
        "p_corrected": related.p_corrected,
        "verdict": list(related.verdict),
        "capa": found.capa.estimate,
        "capa_low": found.capa.low,
        "capa_high": found.capa.high,
        "same_when_both_wrong": found.agreement.same_when_both_wrong,
        "items": found.agreement.items,
        "both_wrong": found.agreement.both_wrong,
        "accuracy_a": rates[first],
        "accuracy_b": rates[second],
    }
    if found.capa_probabilistic is not None:
        columns["capa_probabilistic"] = found.capa_probabilistic.estimate
        columns["capa_probabilistic_low"] = found.capa_probabilistic.low
        columns["capa_probabilistic_high"] = found.capa_probabilistic.high
        columns["items_probabilistic"] = found.capa_probabilistic.items
    table = pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))
    return table.sort("residual", descending=True, nulls_last=True, maintain_order=True)


def models_table(found: SharedMistakes) -> pl.DataFrame:
    """One row a model, in the order of the predictions."""
    import polars as pl

    rates = found.accuracy
    return pl.DataFrame(
        {
            "model": list(found.predictions.models),
            "accuracy": rates.estimate,
            "low": rates.low,
            "high": rates.high,
            "right": rates.right,
            "items": rates.items,
            "missing": found.predictions.missing,
            "unparsed": found.predictions.unparsed,
        }
    ).with_columns(pl.selectors.float().fill_nan(None))


def document(found: SharedMistakes) -> str:
    """The whole as one JSON document."""
    names = found.predictions.models
    content = {
        "items": len(found.predictions.items),
        "models": models_table(found).to_dicts(),
        "clones": [[names[one] for one in group] for group in found.pairs.clones],
        "pairs": pairs_table(found).to_dicts(),
        "notes": list(found.notes),
    }
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def write_mistakes(folder: Path, found: SharedMistakes) -> None:
    """`pairs.parquet`, `models.parquet`, `mistakes.json` and `mistakes.txt` in the folder.

    Raises:
        InputError: they cannot be written.
    """
    for name, table in (("pairs", pairs_table(found)), ("models", models_table(found))):
        with replacing(folder / f"{name}.parquet") as temporary:
            table.write_parquet(temporary)
    write_text(folder / "mistakes.json", document(found))
    write_text(folder / "mistakes.txt", summary(found))


def summary(found: SharedMistakes) -> str:
    """Accuracies, and the pairs that are most alike beyond what is ordinary."""
    models = [
        [label(row["model"]), _number(row["accuracy"]), _interval(row), *(str(row[name]) for name in _COUNTS)]
        for row in models_table(found).sort("accuracy", descending=True, nulls_last=True).iter_rows(named=True)
    ]
    pairs = [
        [
            label(row["a"]),
            label(row["b"]),
            _number(row["residual"]),
            _interval(row),
            _p(row["p_corrected"]),
            row["verdict"],
            _number(row["capa"]),
            str(row["both_wrong"]),
        ]
        for row in pairs_table(found).head(_SHOWN).iter_rows(named=True)
    ]
    count = len(found.relations.verdict)
    more = count - len(pairs)
    lines = [
        f"Accuracy on {len(found.predictions.items)} items",
        "",
        *_aligned([["model", "accuracy", "95 % interval", *_COUNTS], *models], 1),
        "",
        f"Shared mistakes of {count} pairs (0: as alike as unrelated models of their ability; 1: the same)",
        "",
        *_aligned([["a", "b", "residual", "95 % interval", "p corrected", "verdict", "CAPA", "both wrong"], *pairs], 2),
        *([f"and {more} more pairs"] if more else []),
        *(["", *(f"Note: {note}" for note in found.notes)] if found.notes else []),
    ]
    return visible("\n".join(lines) + "\n")


_COUNTS = ("items", "missing", "unparsed")


def _aligned(table: list[list[str]], names: int) -> list[str]:
    """Columns of equal width, the first `names` of them set left."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < names else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.001 else _number(value)


def _interval(row: dict[str, Any]) -> str:
    return "-" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
