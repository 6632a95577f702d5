"""Reading files of records, every fault with its place.

CSV, JSON Lines, JSON, Parquet and TOML files all become rows: a mapping of fields and the words that say where it
stands. What the fields mean is the business of whoever reads them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from hydrometer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
KANA_OR_HANGUL = re.compile(r"[\u3041-\u30ff\uac00-\ud7af]")
#: Characters in one cell of a CSV file; the standard library's default of 131,072 is less than a long answer.
_MAX_CELL = 2**31 - 1
LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")


class Prompt(Protocol):
    """What questions and templates have in common."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102


P = TypeVar("P", bound=Prompt)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[P]):
    """Prompts read from a file.

    Attributes:
        items: the prompts in file order, no text twice.
        duplicates: how many were dropped because their text had come before.
    """

    items: tuple[P, ...]
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file and where it stands, for example `questions.csv, line 3`."""

    where: str
    fields: dict[str, Any]

    def fail(self, what: str, hint: str = "") -> NoReturn:
        """Refuse this row.

        Raises:
            InputError: always, with the row's place.
        """
        raise InputError(f"{self.where}: {what}", hint)

    def check_fields(self, known: Collection[str]) -> None:
        """Refuse fields that mean nothing, which are mostly misspelt ones.

        Raises:
            InputError: a field is not in `known`.
        """
        for name in self.fields:
            if name not in known:
                self.fail(f"unknown field {name!r}", f"Use only {', '.join(known)}")

    def text(self, name: str, default: str | None = None) -> str:
        """A field as text without surrounding white space.

        Args:
            name: the field.
            default: stands in for a field that is absent or blank; `None` makes the field mandatory.

        Raises:
            InputError: the field is missing, blank, not text, or holds half a surrogate pair.
        """
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            self.fail(f"{name!r} is not text")
        stripped = (value or "").strip()
        if not stripped:
            if default is None:
                self.fail(f"{name!r} is missing or empty")
            return default
        if any("\ud800" <= char <= "\udfff" for char in stripped):
            self.fail(f"{name!r} holds a broken character (half of a surrogate pair)", "Write it again in UTF-8")
        return stripped


def well_formed(text: str) -> str:
    """The text with U+FFFD in place of halves of surrogate pairs, which no UTF-8 file or table can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def content_id(prefix: str, text: str) -> str:
    """An id that depends on the text alone: the prefix and 12 hexadecimal digits of its SHA-256."""
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def detect_language(text: str) -> str:
    """The language of a short text as far as its script tells.

    Returns:
        `zh` where Han characters outnumber words in Latin letters and there is neither kana nor Hangul, `en`
        where words in Latin letters are left, `und` (undetermined, ISO 639-2) otherwise.
    """
    words = len(LATIN_WORD.findall(text))
    if KANA_OR_HANGUL.search(text):
        return "und"
    if len(HAN.findall(text)) > words:
        return "zh"
    return "en" if words else "und"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        InputError: the file cannot be read or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "Check the path and its permissions") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path.name}, line {line}: not UTF-8", "Save the file as UTF-8") from error


def csv_rows(path: Path, column: str) -> Iterator[Row]:
    """The records of a CSV file with a header; a record's place is the line on which it starts.

    Args:
        path: the file. Quoted cells may hold line breaks. Column names are matched without regard to case.
        column: the column that the header must have.

    Raises:
        InputError: no such column, a column twice, a stray or open quote, or a wrong number of cells.
    """
    csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    header: list[str] = []
    start = 1
    try:
        for cells in reader:
            where, start = f"{path.name}, line {start}", reader.line_num + 1
            if not cells:
                continue
            if not header:
                header = [name.strip().lower() for name in cells]
                if header.count(column) != 1 or len(set(header)) != len(header):
                    found = ", ".join(header)[:200]
                    raise InputError(
                        f"{where}: the columns are {found}",
                        f"Name every column once and the one with the texts {column!r}",
                    )
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{where}: {len(cells)} cells under {len(header)} columns", "Put text with commas in double quotes"
                )
            yield Row(where, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise InputError(f"{path.name}, line {start}: {error}", "Double every quote inside a quoted cell") from error


def jsonl_rows(path: Path) -> Iterator[Row]:
    """The objects of a JSON Lines file; blank lines are skipped.

    Raises:
        InputError: a line is not a JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path.name}, line {number}"
            value = parse_json(line, where)
            if not isinstance(value, dict):
                raise InputError(f"{where}: not a JSON object", "Write one object per line")
            yield Row(where, value)


def json_rows(path: Path) -> Iterator[Row]:
    """The objects of a JSON file that holds a list of them.

    Raises:
        InputError: the file is not a list of JSON objects.
    """
    values = parse_json(read_text(path), path.name)
    if not isinstance(values, list):
        raise InputError(f"{path.name}: not a list", "Give a list of objects, or one object per line in a .jsonl file")
    for number, value in enumerate(values, start=1):
        where = f"{path.name}, record {number}"
        if not isinstance(value, dict):
            raise InputError(f"{where}: not a JSON object", "Give a list of objects")
        yield Row(where, value)


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file.

    Raises:
        InputError: the file is not Parquet.
    """
    import polars as pl

    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name}: not a readable Parquet file ({error})") from error
    for number, fields in enumerate(table.iter_rows(named=True), start=1):
        yield Row(f"{path.name}, row {number}", fields)


def parse_json(text: str, where: str) -> Any:
    """A JSON value.

    Raises:
        InputError: the text is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = where if "\n" not in text.strip() else f"{where}, line {error.lineno}"
        raise InputError(f"{place}: not JSON ({error.msg}, column {error.colno})") from error
    except RecursionError as error:
        raise InputError(f"{where}: nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InputError(f"{where}: {error}") from error


def toml_rows(text: str, name: str, table: str) -> Iterator[Row]:
    """The tables `[[table]]` of a TOML document.

    Args:
        text: the document.
        name: what to call it in messages.
        table: the name of the array of tables, the only top-level key allowed.

    Raises:
        InputError: not TOML, or not made of such tables.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not TOML ({error})") from error
    tables = document.get(table, [])
    if set(document) - {table} or not isinstance(tables, list):
        raise InputError(f"{name}: not a list of [[{table}]]", f"Begin every entry with [[{table}]]")
    for number, fields in enumerate(tables, start=1):
        where = f"{name}, [[{table}]] number {number}"
        if not isinstance(fields, dict):
            raise InputError(f"{where}: not a table", f"Begin every entry with [[{table}]]")
        label = fields.get("id")
        yield Row(f"{where} ({label})" if isinstance(label, str) else where, fields)


def unique(prompts: Iterable[tuple[Row, P]], source: str) -> Loaded[P]:
    """Drop repeated texts and count them; refuse one id for two texts.

    Args:
        prompts: each prompt with the row that it came from.
        source: the file or folder, for messages.

    Raises:
        InputError: an id stands for two texts, or there is no prompt at all.
    """
    by_text: dict[str, P] = {}
    places: dict[str, str] = {}
    duplicates = 0
    for row, prompt in prompts:
        if prompt.text in by_text:
            duplicates += 1
            continue
        if prompt.id in places:
            row.fail(f"id {prompt.id!r} is taken by another text ({places[prompt.id]})", "Give every text its own id")
        by_text[prompt.text] = prompt
        places[prompt.id] = row.where
    if not by_text:
        raise InputError(f"{source}: no prompts", "Give at least one")
    return Loaded(tuple(by_text.values()), duplicates)
