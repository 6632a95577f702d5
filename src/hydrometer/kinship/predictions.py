"""Multiple-choice predictions of several models: a table `model, item_id, prediction, answer, options`.

Parquet, JSON Lines or CSV, read in batches of rows, so that texts of options are never held for more than one batch.
`options` is the number of options or the list of their texts. Predictions and answers are letters (`C`, `(c)`, `C.`),
indices or the text of an option; what an answer is, is told from all answers, what a prediction is, from all
predictions of its model. What cannot be read is missing, and counted; it is never a wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.rows import jsonl_rows, parse_json
from hydrometer.stats import Codes

if TYPE_CHECKING:
    import polars as pl

Choice = NDArray[np.int8]
Probabilities = NDArray[np.float32]

COLUMNS = ("model", "item_id", "prediction", "answer", "options")
_OPTIONAL = "probabilities"
#: Columns of a response set.
_ANSWER_COLUMNS = {"response", "output", "completion", "text"}
#: More options than letters cannot be named.
MOST_OPTIONS = 26
_BATCH = 200_000
_NONE = -1
_LETTER, _TEXT, _INDEX = 0, 1, 2
_FORMS = ("letters", "texts of options", "indices")


@dataclass(frozen=True, slots=True)
class Predictions:
    """What each model chose on each item; options are numbered from 0.

    Attributes:
        models: names, in the order in which they first appear.
        items: ids of the items that can be scored, in the order in which they first appear.
        chosen: option that a model chose, -1 where there is none; shape (models, items).
        correct: the right option, shape (items,).
        options: number of options, shape (items,).
        missing: items for which no prediction of the model is recorded, shape (models,).
        unparsed: items whose prediction is none of the options, shape (models,).
        probabilities: of each option, summing to 1; NaN where they are not recorded; None where they never are.
            Shape (models, items, most options).
        notes: one line for everything that was left out or assumed.
    """

    models: tuple[str, ...]
    items: tuple[str, ...]
    chosen: Choice
    correct: Choice
    options: Choice
    missing: Codes
    unparsed: Codes
    probabilities: Probabilities | None
    notes: tuple[str, ...]


def read_predictions(paths: Sequence[Path]) -> Predictions:
    """Read files of predictions and check them.

    Args:
        paths: files in any of the forms; one model's predictions may be spread over several.

    Raises:
        InputError: no such file, unknown form, a missing column (near names are given), two different predictions of a
            model for one item, fewer than two models, no item that can be scored.
    """
    rows = _Rows()
    for path in paths:
        for frame in _batches(path):
            rows.add(frame)
    return _assembled(rows, ", ".join(path.name for path in paths))


@dataclass(slots=True)
class _Rows:
    """Rows in numbers. A value is held in all three ways of reading it: as a letter, as a text, as an index."""

    models: dict[str, int] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    probabilities: list[tuple[Codes, list[Any]]] = field(default_factory=list)
    count: int = 0
    nameless: int = 0

    def add(self, frame: pl.DataFrame) -> None:
        import polars as pl

        named = frame.filter(pl.col("model").is_not_null() & pl.col("item_id").is_not_null())
        self.nameless += len(frame) - len(named)
        texts = _option_texts(named["options"])
        counts = named["options"].cast(pl.Int64, strict=False) if texts is None else texts.list.len()
        added = {
            "model": _numbered(named["model"], self.models),
            "item": _numbered(named["item_id"], self.items),
            "options": counts.fill_null(0).clip(0, 127).cast(pl.Int8).to_numpy(),
            "present": named["prediction"].is_not_null().to_numpy(),
        }
        for name in ("prediction", "answer"):
            for form, values in enumerate(_readings(named[name], texts)):
                added[f"{name} {form}"] = values
        for name, values in added.items():
            self.columns.setdefault(name, []).append(values)
        if _OPTIONAL in named.columns:
            at = np.flatnonzero(named[_OPTIONAL].is_not_null().to_numpy())
            if len(at):
                self.probabilities.append((at + self.count, named[_OPTIONAL].gather(at).to_list()))
        self.count += len(named)

    def column(self, name: str) -> NDArray[Any]:
        return np.concatenate(self.columns[name]) if self.columns else np.zeros(0, dtype=np.int64)


def _batches(path: Path) -> Iterator[pl.DataFrame]:
    """The columns that matter, as text (options and probabilities as lists where they are), some rows at a time."""
    import polars as pl

    try:
        lazy = _scan(path)
        start = 0
        while True:
            frame = lazy.slice(start, _BATCH).collect()
            if len(frame):
                yield frame.with_columns(_blank_to_null(pl.col(name)) for name in COLUMNS[:4])
            if len(frame) < _BATCH:
                return
            start += _BATCH
    except (pl.exceptions.PolarsError, OSError) as error:
        if path.suffix.lower() in {".jsonl", ".ndjson"}:
            for _ in jsonl_rows(path):
                pass
        raise InputError(f"{path.name}: cannot be read ({str(error).splitlines()[0]})", "Write it anew.") from error


def _blank_to_null(column: pl.Expr) -> pl.Expr:
    import polars as pl

    stripped = column.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _scan(path: Path) -> pl.LazyFrame:
    import polars as pl

    if not path.is_file():
        raise InputError(f"There is no file {path}", "Give a table of predictions: Parquet, .jsonl or .csv.")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        lazy = pl.scan_parquet(path)
        schema = lazy.collect_schema()
        _check_columns(path, list(schema))
        kept = [*COLUMNS, *([_OPTIONAL] if _OPTIONAL in schema else [])]
        for name in COLUMNS[:4]:
            if schema[name].is_nested():
                raise InputError(f"{path.name}: column {name!r} holds {schema[name]}", "Give one value a row.")
        return lazy.select(kept).with_columns(_as_text(pl.col(name), schema[name]) for name in COLUMNS[:4])
    if suffix in {".jsonl", ".ndjson"}:
        _check_columns(path, _first_keys(path))
        return pl.scan_ndjson(path, schema=dict.fromkeys((*COLUMNS, _OPTIONAL), pl.String))
    if suffix == ".csv":
        lazy = pl.scan_csv(path, infer_schema=False)
        names = list(lazy.collect_schema())
        _check_columns(path, names)
        return lazy.select(*COLUMNS, *([_OPTIONAL] if _OPTIONAL in names else []))
    raise InputError(f"{path} is of no known form", "Known forms: .parquet, .jsonl, .ndjson, .csv.")


def _first_keys(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                first = parse_json(line, f"{path.name}, line {number}")
                if isinstance(first, dict):
                    return list(first)
                break
    raise InputError(f"{path.name} does not begin with a JSON object", "Give one object a line.")


def _check_columns(path: Path, names: Sequence[str]) -> None:
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        listing = ", ".join(names)[:200] or "none"
        raise InputError(
            f"{path.name}: no column {', '.join(map(repr, absent))} (columns: {listing})", _hint(absent, names)
        )


def _hint(absent: Sequence[str], names: Sequence[str]) -> str:
    """What to do about absent columns: names that differ by little are offered, others never."""
    if {"prediction", "answer"} <= set(absent) and not _ANSWER_COLUMNS.isdisjoint(names):
        return "These look like answers in free text: see hydrometer kinship"
    free = [one for one in names if one not in COLUMNS]
    near = {name: _close(name, free) for name in absent}
    renames = ", ".join(f"{found!r} to {name!r}" for name, found in near.items() if found)
    wanted = f"Columns wanted: {', '.join(COLUMNS)}"
    if not renames:
        return wanted
    return f"Rename {renames}?" if all(near.values()) else f"Rename {renames}? {wanted}"


def _close(name: str, free: Sequence[str]) -> str | None:
    """The column that is spelt nearly so, or is a part of the name (`item` of `item_id`) or the other way round."""
    folded = {one.lower().replace(" ", "_").replace("-", "_"): one for one in reversed(free)}
    part = next((one for one in folded if name.startswith(f"{one}_") or one.startswith(f"{name}_")), None)
    found = [part] if part else get_close_matches(name, folded, 1, 0.75)
    return folded[found[0]] if found else None


def _as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    return column.cast(pl.Int64, strict=False).cast(pl.String) if dtype.is_float() else column.cast(pl.String)


def _option_texts(options: pl.Series) -> pl.Series | None:
    """The texts of the options as a list, or None where the table says only how many there are."""
    import polars as pl

    if options.dtype == pl.List:
        return options.cast(pl.List(pl.String), strict=False)
    if options.dtype != pl.String or not options.str.starts_with("[").any():
        return None
    lists = [_listed(text) for text in options.to_list()]
    return pl.Series("options", lists, dtype=pl.List(pl.String))


def _listed(text: str | None) -> list[str] | None:
    values = _json_list(text)
    return None if values is None else [str(value) for value in values]


def _json_list(value: object) -> list[Any] | None:
    if isinstance(value, str):
        try:
            value = parse_json(value, "options")
        except InputError:
            return None
    return value if isinstance(value, list) else None


def _numbered(names: pl.Series, seen: dict[str, int]) -> Codes:
    import polars as pl

    distinct = names.unique(maintain_order=True)
    numbers = [seen.setdefault(name, len(seen)) for name in distinct.to_list()]
    return np.asarray(names.replace_strict(distinct, pl.Series(numbers, dtype=pl.Int64)).to_numpy(), dtype=np.int64)


def _readings(values: pl.Series, texts: pl.Series | None) -> list[Choice]:
    """A column read as letters, as texts of options and as indices; -1 where it is none such. Shape (rows,) each."""
    import polars as pl

    frame = pl.DataFrame({"value": values}).with_row_index("row")
    letter = pl.col("value").str.extract(r"^\(?([A-Za-z])\)?[.:)]?$").str.to_uppercase()
    letters = letter.replace_strict({chr(65 + k): k for k in range(26)}, default=_NONE, return_dtype=pl.Int8)
    index = pl.col("value").str.extract(r"^(\d{1,2})(?:\.0+)?$").cast(pl.Int8, strict=False)
    read = frame.select(letters.fill_null(_NONE).alias("letter"), index.fill_null(_NONE).alias("index"))
    as_text = np.full(len(values), _NONE, dtype=np.int8)
    if texts is not None:
        long = frame.with_columns(texts.alias("option")).drop_nulls().explode("option")
        place = pl.int_range(pl.len()).over("row").alias("place")
        same = pl.col("option").str.strip_chars() == pl.col("value")
        hits = long.with_columns(place).filter(same).unique("row", keep="first", maintain_order=True)
        as_text[hits["row"].to_numpy()] = hits["place"].clip(0, 127).cast(pl.Int8).to_numpy()
    return [read["letter"].to_numpy(), as_text, read["index"].to_numpy()]


def _assembled(rows: _Rows, source: str) -> Predictions:
    models, items = tuple(rows.models), tuple(rows.items)
    if not rows.count:
        without = f" with a model and an item ({rows.nameless} without)" if rows.nameless else ""
        raise InputError(f"{source} holds no rows{without}", f"Columns wanted: {', '.join(COLUMNS)}.")
    if len(models) < 2:
        raise InputError(f"{source} holds one model only ({models[0]})", "Give predictions of two models or more.")
    notes = [f"left out: {_counted(rows.nameless, 'row')} without a model or an item"] if rows.nameless else []
    model, item = rows.column("model"), rows.column("item")
    answers, predictions = ([rows.column(f"{name} {form}") for form in range(3)] for name in ("answer", "prediction"))
    sizes = rows.column("options")
    form = int(np.argmax([_fits(values, kind, sizes).sum() for kind, values in enumerate(answers)]))
    fitting = [model[_fits(values, kind, sizes)] for kind, values in enumerate(predictions)]
    forms = np.argmax([np.bincount(one, minlength=len(models)) for one in fitting], axis=0)
    base, doubt = _index_base(answers, form, predictions, forms[model], sizes)
    answer = answers[form] - (base if form == _INDEX else 0)
    row_form = forms[model]
    chosen = np.choose(row_form, predictions) - np.where(row_form == _INDEX, base, 0)
    chosen = np.where(np.choose(row_form, predictions) < 0, _NONE, chosen).astype(np.int8)
    if doubt:
        notes.append("indices are taken to count from 0, which nothing in the table settles")
    options, correct, kept, left_out = _settled(items, item, sizes, answer, answers[form] >= 0)
    notes += left_out
    if not kept.any():
        raise InputError(f"{source} holds no item that can be scored: {'; '.join(left_out)}", "Correct the table.")
    present = rows.column("present")
    chosen[(chosen < 0) | (chosen >= options[item])] = _NONE
    order, doubled = _distinct(models, items, model, item, chosen)
    if doubled:
        notes.append(f"left out: {_counted(doubled, 'repeated row')}")
    grid = np.full((len(models), len(items)), _NONE, dtype=np.int8)
    said = np.zeros((len(models), len(items)), dtype=bool)
    said[model[order], item[order]] = present[order]
    grid[model[order], item[order]] = chosen[order]
    probabilities, unusable = _probabilities(rows, model, item, options, len(models))
    if unusable:
        notes.append(f"left out: probabilities of {_counted(unusable, 'row')}, not one number an option that sum to 1")
    grid, said = grid[:, kept], said[:, kept]
    if not (grid >= 0).any():
        raise InputError(
            f"{source} holds no prediction that is one of its item's options",
            f"Give predictions as {', '.join(_FORMS[:-1])} or {_FORMS[-1]}.",
        )
    missing, unparsed = (~said).sum(axis=1), (said & (grid < 0)).sum(axis=1)
    notes += _missing_notes(models, missing, unparsed, grid.shape[1])
    return Predictions(
        models,
        tuple(np.array(items, dtype=object)[kept].tolist()),
        grid,
        correct[kept],
        options[kept],
        missing,
        unparsed,
        None if probabilities is None else probabilities[:, kept],
        tuple(notes),
    )


def _fits(values: Choice, form: int, options: Choice) -> NDArray[np.bool_]:
    """Which values, read in one form, may be options of their item; indices may count from 1."""
    return np.asarray((values >= 0) & (values < options + (form == _INDEX)))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _index_base(
    answers: Sequence[Choice], form: int, predictions: Sequence[Choice], row_form: Codes, options: Choice
) -> tuple[int, bool]:
    """Whether indices count from 0 or 1, and whether that is only assumed.

    Answers tell where they are indices, else predictions: a 0 means from 0; otherwise an index that equals the number
    of options means from 1.
    """
    asked = form == _INDEX
    read = answers[_INDEX] if asked else np.where(row_form == _INDEX, predictions[_INDEX], _NONE)
    if not (read >= 0).any() or (read == 0).any():
        return 0, False
    return (1, False) if bool(((read == options) & (read > 0)).any()) else (0, True)


def _settled(
    items: Sequence[str], item: Codes, options: Choice, answer: Choice, read: NDArray[np.bool_]
) -> tuple[Choice, Choice, NDArray[np.bool_], list[str]]:
    """Number of options and right option of each item, which items can be scored, and a line for each fault."""
    least, most = np.full((2, len(items)), 127, dtype=np.int8), np.full((2, len(items)), _NONE, dtype=np.int8)
    for place, (values, known) in enumerate(((options, options > 0), (answer, read))):
        np.minimum.at(least[place], item[known], values[known])
        np.maximum.at(most[place], item[known], values[known])
    counts, correct = most
    faults = (
        ("different answers recorded", (most[1] >= 0) & (least[1] != most[1])),
        ("different numbers of options recorded", (most[0] >= 0) & (least[0] != most[0])),
        (f"fewer than 2 or more than {MOST_OPTIONS} options", (counts < 2) | (counts > MOST_OPTIONS)),
        ("an answer that is none of the options", (correct < 0) | (correct >= counts)),
    )
    kept, lines = np.ones(len(items), dtype=bool), []
    for words, fault in faults:
        found = fault & kept
        if found.any():
            count = _counted(int(found.sum()), "item")
            lines.append(f"left out: {count} with {words} (the first: {items[int(found.argmax())]})")
        kept &= ~found
    return counts, correct, kept, lines


def _distinct(
    models: Sequence[str], items: Sequence[str], model: Codes, item: Codes, chosen: Choice
) -> tuple[Codes, int]:
    """Rows in the order in which they are to be written, unreadable ones first, and how many repeat another."""
    key = model * len(items) + item
    order = np.lexsort((np.arange(len(key)), chosen >= 0, key))
    again = key[order][1:] == key[order][:-1]
    first, second = order[:-1], order[1:]
    clash = again & (chosen[first] >= 0) & (chosen[first] != chosen[second])
    if clash.any():
        at = second[int(clash.argmax())]
        raise InputError(
            f"Two different predictions of {models[model[at]]} for item {items[item[at]]}", "Remove one of them."
        )
    return order, int(again.sum())


def _probabilities(
    rows: _Rows, model: Codes, item: Codes, options: Choice, models: int
) -> tuple[Probabilities | None, int]:
    if not rows.probabilities:
        return None, 0
    table = np.full((models, len(options), int(options.max())), np.nan, dtype=np.float32)
    unusable = 0
    for places, lists in rows.probabilities:
        for place, recorded in zip(places, lists, strict=True):
            values = _usable(recorded, int(options[item[place]]))
            if values is None:
                unusable += 1
            else:
                table[model[place], item[place]] = 0
                table[model[place], item[place], : len(values)] = values
    return table, unusable


def _usable(recorded: object, options: int) -> NDArray[np.float64] | None:
    values = _json_list(recorded)
    if values is None or len(values) != options or not all(isinstance(one, int | float) for one in values):
        return None
    found = np.array(values, dtype=np.float64)
    return found / found.sum() if (found >= 0).all() and abs(found.sum() - 1) < 0.01 else None


def _missing_notes(models: Sequence[str], missing: Codes, unparsed: Codes, items: int) -> list[str]:
    notes = []
    for counts, words in ((missing, "no prediction"), (unparsed, "a prediction that is none of the options")):
        if counts.any():
            worst = int(counts.argmax())
            share = f"{words} for some items: {int((counts > 0).sum())} of {len(models)} models"
            notes.append(f"{share} (most: {models[worst]}, {int(counts[worst])} of {items}); never scored as wrong")
    return notes
