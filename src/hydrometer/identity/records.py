"""Attempts: one identity question put to one subject under one template, with what came back.

Recorded attempts are read from jsonl, json, csv or Parquet, in hydrometer's own form (`model, template, query,
response`, optional `loose`, `strict`, `category`, `language`, `leading`, `failure`, `template_id`, `query_id`) or in
that of the code of Lee et al. 2025 (`jailbreak_prompt, query, target_responses, eval_results`, optional `re_judge`).
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydrometer.errors import InputError

#: What the published code stores when every try of a call failed; it is not an answer of the model.
PUBLISHED_FAILURE = "reject to respond"

_ALIASES = {
    "template": ("template", "jailbreak_prompt"),
    "response": ("response", "target_responses"),
    "loose": ("loose", "eval_results"),
    "strict": ("strict", "strict_score", "re_judge"),
}
_TRUE = {"true", "1", "yes", "1.0"}
_FALSE = {"false", "0", "no", "0.0"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One question under one template, and the answer or the failure.

    Attributes:
        model: the subject's name.
        template: text of the template.
        query: the identity question.
        response: the answer; None where the call failed.
        failure: kind of the failure; None where there is an answer.
        template_id: name of the template in results; empty where it has none.
        query_id: name of the question; empty where it has none.
        category: of the question (team, cooperation, industry, technology, geography).
        language: of the question, `en` or `zh`.
        leading: whether the template is marked as naming a model or vendor; None where it is not marked.
        loose: recorded label, where there is one.
        strict: recorded label, where there is one.
    """

    model: str
    template: str
    query: str
    response: str | None
    failure: str | None = None
    template_id: str = ""
    query_id: str = ""
    category: str = "uncategorised"
    language: str = "en"
    leading: bool | None = None
    loose: bool | None = None
    strict: bool | None = None


def read_records(paths: Iterable[Path], subject: str | None = None) -> list[Attempt]:
    """Recorded attempts of one or several files, in their order.

    Args:
        paths: files, or folders whose record files are read in the order of their names.
        subject: the model's name, for records that do not say it.

    Raises:
        InputError: a file is missing, empty, of an unknown form, or has a malformed row (which is named).
    """
    attempts: list[Attempt] = []
    for path in _files(paths):
        rows = [_attempt(row, where, subject or _model_of(path)) for where, row in _rows(path)]
        if not rows:
            raise InputError(f"{path} holds no records", "Give a file with at least one record.")
        attempts.extend(rows)
    return attempts


def question_language(text: str) -> str:
    """`zh` where at least a fifth of the letters are Chinese characters, else `en`."""
    letters = [character for character in text if character.isalpha()]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in letters)
    return "zh" if letters and chinese >= len(letters) / 5 else "en"


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in _READERS)
            if not inside:
                raise InputError(f"The folder {path} holds no record files", f"Known forms: {', '.join(_READERS)}.")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise InputError(f"There is no file {path}", "Check the path.")


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is of no known form", f"Known forms: {', '.join(_READERS)}.")
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})", "Save it as UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", "Check the file.") from error


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path} line {number}", _object(line, f"{path} line {number}")


def _object(text: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}", "Mend or remove that line.") from error
    return _mapping(row, where)


def _mapping(row: object, where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise InputError(f"{where} is not a record but {type(row).__name__}", "Each record is an object with names.")
    return row


def _json(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        rows = json.loads(path.read_text("utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON: {error}", "Mend the file; one record a line goes in a .jsonl."
        ) from error
    if not isinstance(rows, list):
        raise InputError(f"{path} is not a list of records", "Give a list of objects.")
    for number, row in enumerate(rows, 1):
        yield f"{path} record {number}", _mapping(row, f"{path} record {number}")


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                where = f"{path} line {reader.line_num}"
                if None in row:
                    raise InputError(f"{where} has more cells than the header", "Quote cells that hold commas.")
                yield where, {name: value or None for name, value in row.items()}
        except csv.Error as error:
            raise InputError(f"{path} line {reader.line_num} is not csv: {error}", "Mend that line.") from error


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import polars as pl

    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} is not a Parquet file: {error}", "Write it anew.") from error
    for number, row in enumerate(table.iter_rows(named=True), 1):
        yield f"{path} row {number}", row


_READERS = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}


def _attempt(row: Mapping[str, Any], where: str, model: str | None) -> Attempt:
    name = row.get("model") or model
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where} does not say which model answered", "Add `model`, or give --subject NAME.")
    query = _text(row, "query", where)
    response, failure = _response(row, where)
    return Attempt(
        model=name.strip(),
        template=_text(row, "template", where),
        query=query,
        response=response,
        failure=failure,
        template_id=str(row.get("template_id") or ""),
        query_id=str(row.get("query_id") or ""),
        category=str(row.get("category") or "uncategorised"),
        language=str(row.get("language") or question_language(query)),
        leading=_flag(row, "leading", where),
        loose=_flag(row, "loose", where),
        strict=_flag(row, "strict", where),
    )


def _field(row: Mapping[str, Any], name: str) -> Any:
    return next((row[alias] for alias in _ALIASES.get(name, (name,)) if row.get(alias) is not None), None)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = _field(row, name)
    if not isinstance(value, str) or not value.strip():
        known = " or ".join(f"`{alias}`" for alias in _ALIASES.get(name, (name,)))
        raise InputError(
            f"{where} has no text under {known}", "Every record needs model, template, query and response."
        )
    return value


def _response(row: Mapping[str, Any], where: str) -> tuple[str | None, str | None]:
    """The answer or the kind of failure. The published form holds a list of one answer, in csv as its Python repr."""
    value = _field(row, "response")
    failure = row.get("failure")
    if failure is not None:
        return None, str(failure)
    if isinstance(value, str) and "target_responses" in row and "response" not in row:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise InputError(f"{where}: `target_responses` is not a list", "Mend or remove that line.") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None and ("response" in row or "target_responses" in row):
        return None, "empty"
    if not isinstance(value, str):
        raise InputError(
            f"{where} has no text under `response`", "Every record needs model, template, query and response."
        )
    if value == PUBLISHED_FAILURE:
        return None, "recorded"
    return (value, None) if value.strip() else (None, "empty")


def _flag(row: Mapping[str, Any], name: str, where: str) -> bool | None:
    value = _field(row, name)
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise InputError(f"{where}: `{name}` is {value!r}", "Give true or false, or leave it out.")


def _model_of(path: Path) -> str | None:
    """The model in a file name of the published data, `gpt_GPT_deepseek-chat.jsonl` or `GPT_phi-4_0.22.csv`."""
    match = re.fullmatch(r"(?:gpt_)?GPT_(.+?)(?:_[01]\.\d+(?:_in_\d+)?)?", path.stem)
    return match.group(1) if match else None
