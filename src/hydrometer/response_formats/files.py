"""Which files hold recorded answers, and the answers of each, whatever its form."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydrometer.errors import InputError
from hydrometer.response_formats import harness, inspect_logs, tables
from hydrometer.response_formats.record import Answer
from hydrometer.rows import Row, csv_rows, json_rows, parse_json, read_text

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["table", "prompts", "harness", "inspect"]
FORMS = (
    "Known forms: a table (.parquet, .jsonl, .ndjson, .json, .csv) with model, prompt_id and response, AlpacaEval's "
    "model_outputs.json, MT-Bench's and Arena-Hard's model_answer/*.jsonl, lm-evaluation-harness's samples_*.jsonl, "
    "Inspect's .eval and .json logs."
)
#: Forms that cannot be read in parts are read up to this size.
WHOLE_BYTES = 256 << 20
#: Rows of Parquet that are turned into Python objects at a time.
_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Source:
    """A file that holds answers, or the prompts that answers refer to.

    Attributes:
        path: the file.
        kind: how its records are read.
    """

    path: Path
    kind: Kind

    @property
    def default_model(self) -> str:
        """The model where rows name none: the file's name, or the folder's where the file's says nothing."""
        return self.path.parent.name if self.path.stem == "model_outputs" else self.path.stem


def find_sources(paths: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """The files to read, those of folders sorted by path, and a line about what was left out.

    Args:
        paths: files and folders; folders are searched with all that is below them.

    Raises:
        InputError: nothing there, a file of no known form, or a folder without any that is.
    """
    sources: dict[Path, Source] = {}
    left_out: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.is_file() and not _hidden(one, path))
            kinds = [(one, kind_of(one)) for one in inside]
            if not any(kind not in (None, "prompts") for _, kind in kinds):
                raise InputError(f"{path} holds no file of recorded answers", FORMS)
        elif path.is_file():
            kinds = [(path, kind_of(path) or "table")]
        else:
            raise InputError(f"There is no file or folder {path}", "Give recorded answers.")
        for one, kind in kinds:
            if kind is None:
                left_out.append(str(one.relative_to(path)))
            else:
                sources.setdefault(one.resolve(), Source(one, kind))
    notes = []
    if left_out:
        listing = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        notes.append(f"not answers, left out: {listing} ({len(left_out)} file{'s' if len(left_out) > 1 else ''})")
    return list(sources.values()), notes


def kind_of(path: Path) -> Kind | None:
    """What a file holds, told by its name and its first record; None for anything else.

    Raises:
        InputError: it has the form of a table, but is broken.
    """
    first: object = None
    match path.suffix.lower():
        case ".eval":
            return "inspect"
        case ".parquet":
            first = dict.fromkeys(parquet_columns(path))
        case ".json":
            _check_size(path)
            first = parse_json(read_text(path), path.name)
            if isinstance(first, dict):
                return "inspect" if inspect_logs.is_log(first) else None
            first = first[0] if isinstance(first, list) and first else None
        case ".csv":
            header = next(iter(read_text(path).splitlines()), "")
            first = dict.fromkeys(name.strip(' "').lower() for name in header.split(","))
            return "table" if "response" in first else None
        case ".jsonl" | ".ndjson":
            row = next(json_lines(path), None)
            first = row and row.fields
    return _table_kind(first) if isinstance(first, dict) else None


def source_of(path: Path) -> Source:
    """A file that must hold answers; one that does not is read as a table, so that the fault has its place.

    Raises:
        InputError: it is broken.
    """
    kind = kind_of(path)
    return Source(path, kind if kind in ("harness", "inspect") else "table")


def read_answers(source: Source, models: Collection[str] | None = None) -> Iterator[Answer]:
    """The answers of a file, in its order.

    Args:
        source: the file.
        models: only these are read; None for all.

    Raises:
        InputError: a malformed record, with its place.
    """
    path = source.path
    match source.kind:
        case "harness":
            found = harness.answers(path, text_rows(path))
        case "inspect":
            found = inspect_logs.answers(path)
        case _:
            found = _table_answers(source, models)
    yield from (answer for answer in found if models is None or answer.model in models)


def _table_answers(source: Source, models: Collection[str] | None) -> Iterator[Answer]:
    names = tables.Names(source.default_model)
    for row in rows_of(source.path, models):
        model = names.of(row)
        if models is None or model in models:
            yield from (Answer(row, model, one) for one in tables.recorded(row))


def models_of(source: Source) -> list[str]:
    """Names of the models of a file, in their order."""
    import polars as pl

    path = source.path
    if path.suffix.lower() == ".parquet" and "model" in parquet_columns(path):
        column = pl.scan_parquet(path, glob=False).select(pl.col("model").cast(pl.String)).unique(maintain_order=True)
        return [name or source.default_model for name in column.collect()["model"]]
    return list(dict.fromkeys(answer.model for answer in read_answers(source)))


def read_prompts(source: Source) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The ids, turns and categories of a file of prompts."""
    for row in rows_of(source.path):
        asked = tables.asked_in(row)
        yield tables.prompt_id(row, asked), asked, str(row.fields.get("category") or "")


def parquet_columns(path: Path) -> Mapping[str, pl.DataType]:
    """Names and types of the columns of a Parquet file.

    Raises:
        InputError: it is not Parquet.
    """
    import polars as pl

    try:
        return pl.scan_parquet(path, glob=False).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name}: not a readable Parquet file ({error})", "Write it anew.") from error


def parquet_slices(path: Path, columns: Sequence[str] | Sequence[pl.Expr], size: int) -> Iterator[pl.DataFrame]:
    """The columns of a Parquet file, at most `size` rows at a time.

    Raises:
        InputError: it cannot be read.
    """
    import polars as pl

    lazy = pl.scan_parquet(path, glob=False).select(columns)
    try:
        for start in range(0, lazy.select(pl.len()).collect().item(), size):
            yield lazy.slice(start, size).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name}: not a readable Parquet file ({error})", "Write it anew.") from error


def parquet_rows(path: Path, models: Collection[str] | None = None) -> Iterator[Row]:
    """The rows of a Parquet file, without the columns that mean nothing here.

    Args:
        path: the file.
        models: rows of others are passed over.

    Raises:
        InputError: it cannot be read.
    """
    import polars as pl

    names = [name for name in tables.FIELDS if name in parquet_columns(path)]
    number = 0
    for table in parquet_slices(path, names, _AT_ONCE):
        kept = table.with_row_index("row", number + 1)
        if models is not None and "model" in names:
            kept = kept.filter(pl.col("model").cast(pl.String).is_in(sorted(models)).fill_null(value=True))
        for fields in kept.iter_rows(named=True):
            yield Row(f"{path.name}, row {fields.pop('row')}", fields)
        number += table.height


def rows_of(path: Path, models: Collection[str] | None = None) -> Iterator[Row]:
    """The rows of a table of any form; of a Parquet file, those of other models than these may be passed over.

    Raises:
        InputError: it cannot be read.
    """
    return parquet_rows(path, models) if path.suffix.lower() == ".parquet" else text_rows(path)


def text_rows(path: Path) -> Iterator[Row]:
    """The records of a jsonl, json or csv file.

    Raises:
        InputError: a broken record, or a file of another kind.
    """
    suffix = path.suffix.lower()
    if suffix in {".jsonl", ".ndjson"}:
        return json_lines(path)
    if suffix in {".json", ".csv"}:
        _check_size(path)
        return json_rows(path) if suffix == ".json" else _csv(path)
    raise InputError(f"{path} is of no known form", FORMS)


def json_lines(path: Path) -> Iterator[Row]:
    """The objects of a JSON Lines file of any size; blank lines are skipped.

    Raises:
        InputError: the file cannot be read, or a line is not a JSON object in UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{path.name}, line {number}"
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(f"{where}: not UTF-8", "Save the file as UTF-8") from error
                if not text.strip():
                    continue
                value = parse_json(text, where)
                if not isinstance(value, dict):
                    raise InputError(f"{where}: not a JSON object", "Write one object per line")
                yield Row(where, value)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "Check the path and its permissions") from error


def _check_size(path: Path) -> None:
    if path.stat().st_size > WHOLE_BYTES:
        raise InputError(
            f"{path.name} has {path.stat().st_size >> 20} MiB and can only be read whole",
            "Write it as .jsonl (one object a line) or .parquet, which are read in parts.",
        )


def _csv(path: Path) -> Iterator[Row]:
    rows = csv_rows(path, "response")
    first = next(rows, None)
    return iter(()) if first is None else chain([first], rows)


def _table_kind(fields: Mapping[str, Any]) -> Kind | None:
    if harness.is_sample(fields):
        return "harness" if harness.is_generated(fields) else None
    if tables.holds_answers(fields):
        return "table"
    return "prompts" if tables.holds_prompts(fields) else None


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
