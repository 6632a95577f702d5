"""Shared mistakes as files: one row a pair and one a model in Parquet, one JSON document, one plain table."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrometer.files import replacing, write_text
from hydrometer.kinship.mistakes import FEWEST_ITEMS
from hydrometer.kinship.relations import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from hydrometer.report.kinship_text import MEANING, aligned
from hydrometer.report.kinship_words import interval, p_value
from hydrometer.report.visible import label, visible

if TYPE_CHECKING:
    import polars as pl

    from hydrometer.kinship.mistakes import SharedMistakes

#: Pairs and models that the plain tables show, and characters of a name.
_SHOWN, _MODELS, _NAME = 20, 40, 48
_COUNTS = ("items", "missing", "unparsed")
_PAIR_COUNTS = ("items", "both wrong")


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
    """Verdicts, each model with its nearest, and the pairs that are most alike beyond what is ordinary."""
    told = Counter(found.relations.verdict)
    count, items = len(found.relations.verdict), len(found.predictions.items)
    named = ", ".join(f"{told[verdict]:,} {verdict}" for verdict in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE))
    lines = [
        f"{len(found.predictions.models):,} models, {items:,} item{'s' * (items != 1)}. "
        f"Of {count:,} pair{'s' * (count != 1)}, {named}.",
        "",
        *_models(found),
        "",
        *_pairs(found),
        *(["", *(f"Note: {note}" for note in found.notes)] if found.notes else []),
        *(["", MEANING] if told[SUPPORTED] else []),
    ]
    return visible("\n".join(lines) + "\n")


def _models(found: SharedMistakes) -> list[str]:
    """Accuracy of each model, and its nearest relative where any is told of it."""
    import polars as pl

    names = found.predictions.models
    nearest: dict[str, tuple[str, str]] = {}
    for row in pairs_table(found).filter(pl.col("residual").is_not_null()).iter_rows(named=True):
        for one, other in ((row["a"], row["b"]), (row["b"], row["a"])):
            nearest.setdefault(one, (other, row["verdict"]))
    table = models_table(found).sort("accuracy", descending=True, nulls_last=True, maintain_order=True)
    heads = ["model", *(["nearest", "verdict"] if nearest else []), "accuracy", "95 % interval", *_COUNTS]
    rows = [
        [
            label(row["model"], _NAME),
            *([label(text, _NAME) for text in nearest.get(row["model"], ("-", "-"))] if nearest else []),
            _number(row["accuracy"]),
            interval(row["low"], row["high"]),
            *(f"{row[name]:,}" for name in _COUNTS),
        ]
        for row in table.head(_MODELS).iter_rows(named=True)
    ]
    lines = aligned([heads, *rows], 3 if nearest else 1)
    return lines + [f"and {len(names) - _MODELS:,} more in models.parquet"] * (len(names) > _MODELS)


def _pairs(found: SharedMistakes) -> list[str]:
    """The pairs most alike; those with fewer items in common than say anything are only counted, by the notes."""
    import polars as pl

    table = pairs_table(found).filter(pl.col("items") >= FEWEST_ITEMS)
    if table.is_empty():
        return [f"No pair has {FEWEST_ITEMS} items in common: nothing can be said of any."]
    if found.relations.prompts.any():
        heads = [
            "a",
            "b",
            "residual",
            "95 % interval",
            "p, corrected",
            "verdict",
            "CAPA",
            "95 % interval",
            *_PAIR_COUNTS,
        ]
        text = "Shared mistakes (residual 0: as alike as unrelated models of their ability; 1: the same choices)"
    else:
        heads = ["a", "b", "residual", "verdict", "CAPA", "95 % interval", *_PAIR_COUNTS]
        text = "Agreement (CAPA 0: as chance has it for two models of their accuracy; 1: the same choices)"
        table = table.sort("capa", descending=True, nulls_last=True, maintain_order=True)
    rows = [
        [
            label(row["a"], _NAME),
            label(row["b"], _NAME),
            _number(row["residual"]),
            *([interval(row["low"], row["high"]), p_value(row["p_corrected"])] if len(heads) > 8 else []),
            row["verdict"],
            _number(row["capa"]),
            interval(row["capa_low"], row["capa_high"]),
            f"{row['items']:,}",
            f"{row['both_wrong']:,}",
        ]
        for row in table.head(_SHOWN).iter_rows(named=True)
    ]
    more = len(table) - len(rows)
    return [text, "", *aligned([heads, *rows], 2), *[f"and {more:,} more pairs in pairs.parquet"] * (more > 0)]


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"
