"""Answers of many models to many prompts as one table, read column by column and handed out prompt by prompt.

Models and prompts are numbered in the natural order of their names, so that the same answers are the same table
whatever the order of rows, files and folders.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.response_checks import answer_keys, counted, notes, repeated
from hydrometer.response_formats import tables
from hydrometer.response_formats.files import (
    Source,
    find_sources,
    models_of,
    parquet_columns,
    parquet_slices,
    read_answers,
    read_prompts,
    rows_of,
)
from hydrometer.response_formats.record import TURN_BREAK
from hydrometer.response_names import natural_order, nearest, ranked, runs_of, split_names
from hydrometer.response_store import AnswerStore
from hydrometer.rows import Row, content_id

if TYPE_CHECKING:
    import polars as pl

#: Text that is held in memory, where the machine has four times as much.
MEMORY_BYTES = 512 << 20
#: Text of records that are collected before they become columns.
_CHUNK_BYTES = 32 << 20
_PARQUET_ROWS = 16_384
_SCHEMA = ("model", "prompt_id", "sample", "response", "prompt_text", "category", "language")


@dataclass(frozen=True, eq=False)
class ResponseTable:
    """Answers of models to prompts.

    Attributes:
        models: names, in natural order.
        prompts: prompt ids, in natural order.
        texts: each prompt's own text, where it is recorded.
        categories: each prompt's category, where it is recorded.
        languages: each prompt's language, where it is recorded.
        answered: (models, prompts) whether there is an answer that is not empty.
        empty: the answers that are empty and in no batch: columns `prompt`, `model`, `sample`.
        notes: one line for each thing about the set that a reader should know.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    texts: Mapping[str, str]
    categories: Mapping[str, str]
    languages: Mapping[str, str]
    answered: NDArray[np.bool_]
    empty: pl.DataFrame
    notes: tuple[str, ...]
    _answers: AnswerStore = field(repr=False)

    def batches(self) -> Iterator[pl.DataFrame]:
        """The answers that are not empty, as tables of whole prompts in order, about 32 MB of text each.

        Yields:
            Columns `model` and `prompt` (UInt32, indices into `models` and `prompts`), `sample` (UInt32) and
            `response` (String), sorted by prompt, model and sample.
        """
        return self._answers.batches()

    def find(self, name: str) -> int:
        """The index of a model.

        Raises:
            InputError: there is none of this name; near names are given.
        """
        if name not in self.models:
            raise InputError(f"the responses hold no model {name!r}", nearest(name, self.models))
        return self.models.index(name)


def read_table(
    paths: Sequence[Path], *, models: Sequence[str] | None = None, memory_bytes: int | None = None
) -> ResponseTable:
    """Read recorded answers of any known form.

    Args:
        paths: files, and folders that are searched for them.
        models: only these; None for all.
        memory_bytes: text held in memory before the answers go to a temporary folder (removed with the table);
            default 512 MiB or a quarter of the machine's memory, whichever is less.

    Raises:
        InputError: a path, a form or a row that cannot be read, a duplicated answer, a model that is not there.
    """
    reader = _Reader(min(MEMORY_BYTES, _memory() // 4) if memory_bytes is None else memory_bytes)
    return reader.read_all(paths, None if models is None else frozenset(models)).table(models)


def read_named(paths: Sequence[Path], text: str) -> tuple[ResponseTable, list[str]]:
    """Read the answers of the models that a text names, as on a command line.

    Args:
        paths: files, and folders that are searched for them.
        text: names with commas between them; see `split_names`.

    Returns:
        The answers, and the names in the order given.

    Raises:
        InputError: as `read_table`, or the text names no model.
    """
    pieces = text.split(",")
    possible = {text, *runs_of(pieces), *map(str.strip, runs_of(pieces))}
    reader = _Reader(min(MEMORY_BYTES, _memory() // 4)).read_all(paths, possible)
    names = split_names(text, reader.models)
    if not names:
        raise InputError("no model is named", "Give names as they are in the responses, with commas between them.")
    if set(reader.models) - set(names):
        return read_table(paths, models=names), names
    return reader.table(names), names


class _Reader:
    """Gathers the answers of several files."""

    def __init__(self, memory_bytes: int) -> None:
        self.store = AnswerStore(memory_bytes)
        self.models: dict[str, int] = {}
        self.prompts: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.labels: dict[str, dict[str, str]] = {"category": {}, "language": {}}
        self.disputed: dict[str, None] = {}
        self.sources: list[Source] = []
        self.left_out: list[str] = []
        self.keys: list[pl.DataFrame] = []

    def read_all(self, paths: Sequence[Path], models: Collection[str] | None) -> _Reader:
        """Take the answers of all files, of some models or of all."""
        sources, self.left_out = find_sources(paths)
        for source in sources:
            self.read(source, models)
        return self

    def read(self, source: Source, models: Collection[str] | None) -> None:
        """Take the answers of a file, or the texts of a file of prompts."""
        if source.kind == "prompts":
            for name, turns, category in read_prompts(source):
                self._tell(name, TURN_BREAK.join(turns))
                if category:
                    _least(self.labels["category"], name, category)
            return
        self.sources.append(source)
        number = 0
        columns = _plain_columns(source) if source.path.suffix.lower() == ".parquet" else None
        for frame in _gathered(source, models) if columns is None else _columns(source, columns):
            self._add(frame.with_row_index("place", number), models)
            number += frame.height

    def _tell(self, prompt_id: str, text: str) -> None:
        """Take the text of a prompt; samples of the harness hold it in each model's own chat template."""
        templated = bool(self.sources) and self.sources[-1].kind == "harness"
        if self.texts.get(prompt_id, text) != text and not templated:
            self.disputed[prompt_id] = None
        _least(self.texts, prompt_id, text)

    def _add(self, frame: pl.DataFrame, models: Collection[str] | None) -> None:
        """Take answers with the columns of `_SCHEMA` and their `place` in the file."""
        import polars as pl

        if models is not None:
            frame = frame.filter(pl.col("model").is_in(sorted(models)))
            if frame.is_empty():
                return
        for name in ("prompt_text", *self.labels):
            if name in frame.columns:
                told = frame.select("prompt_id", name).filter(pl.col(name) != "").unique(maintain_order=True)
                for prompt_id, value in told.iter_rows():
                    if name == "prompt_text":
                        self._tell(prompt_id, value)
                    else:
                        _least(self.labels[name], prompt_id, value)
        coded = frame.select(
            "place",
            "sample",
            "response",
            _codes(frame["prompt_id"], self.prompts).alias("prompt"),
            _codes(frame["model"], self.models).alias("model"),
        ).hstack(answer_keys(frame["response"]))
        file = pl.lit(len(self.sources) - 1, pl.UInt32).alias("file")
        self.keys.append(coded.drop("response").with_columns(file))
        self.store.add(coded.filter(~pl.col("empty")).select("prompt", "model", "sample", "response"))

    def table(self, models: Collection[str] | None) -> ResponseTable:
        """Everything that was read, checked and numbered."""
        import polars as pl

        if not self.models and not models:
            raise InputError("the files hold no answers", "Columns wanted: model, prompt_id, response.")
        for name in models or ():
            if name not in self.models:
                raise InputError(f"the responses hold no model {name!r}", nearest(name, self._all_models()))
        keys = pl.concat(self.keys)
        again = repeated(keys)
        if again.height:
            self._refuse_conflict(again, models)
        (names, of_model), (prompts, of_prompt) = ranked(self.models), ranked(self.prompts)
        self.store.finish(of_prompt, of_model, repeated=again.height > 0)
        kept = keys.with_columns(
            pl.Series("prompt", of_prompt[keys["prompt"].to_numpy()]),
            pl.Series("model", of_model[keys["model"].to_numpy()]),
        ).sort("prompt", "model", "sample")
        found = list(self.left_out)
        if again.height:
            kept = kept.unique(("prompt", "model", "sample"), keep="first", maintain_order=True)
            found.append(f"{counted(keys.height - kept.height, 'answer')} recorded twice, word for word, count once")
        if self.disputed:
            first, *others = sorted(self.disputed, key=natural_order)
            more = f" and {counted(len(others), 'more prompt id')} stand" if others else " stands"
            found.append(f"prompt id {first!r}{more} for prompts that differ")
        answered = np.zeros((len(names), len(prompts)), np.bool_)
        filled = kept.filter(~pl.col("empty"))
        answered[filled["model"].to_numpy(), filled["prompt"].to_numpy()] = True
        return ResponseTable(
            models=names,
            prompts=prompts,
            texts=self.texts,
            categories=self.labels["category"],
            languages=self.labels["language"],
            answered=answered,
            empty=kept.filter("empty").select("prompt", "model", "sample"),
            notes=(*found, *notes(names, len(prompts), kept)),
            _answers=self.store,
        )

    def _refuse_conflict(self, again: pl.DataFrame, models: Collection[str] | None) -> None:
        """Raise for the first answer that contradicts an earlier one."""
        import polars as pl

        key = ("prompt", "model", "sample")
        conflicts = again.filter(pl.col("hash").n_unique().over(key) > 1)
        if conflicts.is_empty():
            return
        one = conflicts.row(0, named=True)
        same = conflicts.filter([pl.col(name) == one[name] for name in key])
        first, second = (self._where(row, models) for row in same.head(2).iter_rows(named=True))
        model, prompt = list(self.models)[one["model"]], list(self.prompts)[one["prompt"]]
        source = self.sources[int(same["file"][1])]
        if not _names_models(source):
            raise InputError(
                f"{second}: a second answer to prompt {prompt!r}, no column `model` says whose (the first: {first})",
                "Add a column `model`, or number repeated draws of one model in a column `sample`.",
            )
        raise InputError(
            f"{second}: a second answer of {model!r} to prompt {prompt!r}, sample {one['sample']} (the first: {first})",
            "Remove one, or number repeated draws in a column `sample`.",
        )

    def _where(self, key: Mapping[str, int], models: Collection[str] | None) -> str:
        """Path and line of an answer, found by reading its file again."""
        source, place = self.sources[key["file"]], key["place"]
        if source.path.suffix.lower() == ".parquet" and _plain_columns(source) is not None:
            return f"{source.path}, row {place + 1}"
        row = next(islice(read_answers(source, models), place, None)).row
        return f"{source.path}{row.where.removeprefix(source.path.name)}"

    def _all_models(self) -> list[str]:
        return list(dict.fromkeys(name for source in self.sources for name in models_of(source)))


def _least(told: dict[str, str], name: str, value: str) -> None:
    """Keep the first in the alphabet of what is told, whatever is told first."""
    told[name] = min(told.get(name, value), value)


def _names_models(source: Source) -> bool:
    """Whether a file has a place for the model's name."""
    if source.kind != "table":
        return True
    row = next(rows_of(source.path), None)
    return row is None or any(name in row.fields for name in tables.MODEL_FIELDS)


def _codes(values: pl.Series, known: dict[str, int]) -> pl.Series:
    """The number of each value in order of first appearance over all calls."""
    import polars as pl

    distinct = values.unique(maintain_order=True)
    for value in distinct:
        known.setdefault(value, len(known))
    numbers = pl.Series([known[value] for value in distinct], dtype=pl.UInt32)
    return values.replace_strict(distinct, numbers, return_dtype=pl.UInt32)


def _plain_columns(source: Source) -> list[pl.Expr] | None:
    """How to read a Parquet file column by column; None where single rows have to be looked at."""
    import polars as pl

    schema = parquet_columns(source.path)
    if any(name in schema for name in ("choices", "messages", "turns", "template")):
        return None
    answer = next((name for name in tables.ANSWER_FIELDS if name in schema), None)
    texts = [name for name in (*tables.PROMPT_FIELDS, *tables.LABEL_FIELDS) if name in schema]
    if answer is None or any(schema[name] != pl.String for name in (answer, *texts)):
        return None
    sample = schema.get("sample", pl.Int64())
    names = [name for name in (*tables.MODEL_FIELDS, *tables.ID_FIELDS) if name in schema]
    odd = any(schema[name].is_nested() or schema[name].is_float() for name in names)
    if odd or not sample.is_integer() or sample == pl.UInt64:
        return None

    def first(fields: Sequence[str]) -> pl.Expr:
        cells = [pl.col(name).cast(pl.String) for name in fields if name in schema]
        return pl.coalesce(*(pl.when(cell.str.contains(r"\S")).then(cell) for cell in cells), pl.lit(None, pl.String))

    return [
        first(tables.MODEL_FIELDS).alias("model"),
        first(tables.ID_FIELDS).alias("prompt_id"),
        (pl.col("sample").cast(pl.Int64).fill_null(0) if "sample" in schema else pl.lit(0, pl.Int64)).alias("sample"),
        pl.col(answer).fill_null("").alias("response"),
        first(tables.PROMPT_FIELDS).alias("prompt_text"),
        *(pl.col(name) for name in ("category", "language") if name in schema),
    ]


def _columns(source: Source, columns: Sequence[pl.Expr]) -> Iterator[pl.DataFrame]:
    """The answers of a Parquet file; a prompt without an id is called by its text."""
    import polars as pl

    path, models = source.path, tables.Names(source.default_model)
    start = 1
    for frame in parquet_slices(path, columns, _PARQUET_ROWS):
        unnamed = frame["model"].is_null().arg_true()
        models.see(
            named=len(unnamed) < frame.height,
            unnamed=Row(f"{path.name}, row {start + unnamed[0]}", {}) if len(unnamed) else None,
        )
        texts = frame.filter(pl.col("prompt_id").is_null())["prompt_text"].drop_nulls().unique()
        ids = pl.Series([content_id("prompt", text) for text in texts], dtype=pl.String)
        of_text = pl.col("prompt_text").replace_strict(texts, ids, default=None)
        named = frame if texts.is_empty() else frame.with_columns(pl.col("prompt_id").fill_null(of_text))
        odd = named["prompt_id"].is_null() | ~named["sample"].is_between(0, 2**32 - 1)
        if odd.any():
            place = int(odd.arg_true()[0])
            row = Row(f"{path.name}, row {start + place}", named.row(place, named=True))
            if row.fields["prompt_id"] is None:
                row.fail("no `prompt_id` and no prompt", "Say which prompt is answered.")
            row.fail(f"the sample is '{row.fields['sample']}'", "Number samples from 0.")
        yield named.with_columns(pl.col("sample").cast(pl.UInt32), pl.col("model").fill_null(source.default_model))
        start += named.height


def _gathered(source: Source, models: Collection[str] | None) -> Iterator[pl.DataFrame]:
    """The answers of a file of any form."""
    import polars as pl

    schema = {name: pl.UInt32 if name == "sample" else pl.String for name in _SCHEMA}
    rows: list[tuple[str, str, int, str, str, str, str]] = []
    size = 0
    for _, model, one in read_answers(source, models):
        text = one.text
        rows.append((model, one.prompt_id, one.sample, text, TURN_BREAK.join(one.prompt), one.category, one.language))
        size += len(text)
        if size > _CHUNK_BYTES:
            yield pl.DataFrame(rows, schema, orient="row")
            rows, size = [], 0
    if rows:
        yield pl.DataFrame(rows, schema, orient="row")


def _memory() -> int:
    """Bytes of memory of the machine."""
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 * MEMORY_BYTES
