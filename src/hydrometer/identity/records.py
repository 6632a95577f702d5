"""Attempts: one identity question put to one subject under one template, with what came back.

Recorded attempts are read from jsonl, json, csv or Parquet, in hydrometer's own form (`model, template, query,
response`, optional `loose`, `strict`, `category`, `language`, `leading`, `failure`, `template_id`, `query_id`) or in
that of the code of Lee et al. 2025 (`jailbreak_prompt, query, target_responses, eval_results`, optional `re_judge`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hydrometer.errors import InputError
from hydrometer.rows import Row, csv_rows, detect_language, json_rows, jsonl_rows, parquet_rows, well_formed

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
        truncated: whether the answer was cut off at its longest length.
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
    truncated: bool = False


def read_records(paths: Iterable[Path], subject: str | None = None) -> list[Attempt]:
    """Recorded attempts of one or several files, in their order.

    Args:
        paths: files, or folders whose record files are read in the order of their names; of a folder that a run left,
            the rows.
        subject: the model's name, for records that do not say it.

    Raises:
        InputError: a file is missing, empty, of an unknown form, or has a malformed row (which is named).
    """
    attempts: list[Attempt] = []
    for path in _files(paths):
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise InputError(f"{path} is of no known form", f"Known forms: {', '.join(_READERS)}")
        rows = [_attempt(row, subject or _model_of(path)) for row in reader(path)]
        if not rows:
            raise InputError(f"{path} holds no records", "Give a file with at least one record.")
        attempts.extend(rows)
    return attempts


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in _READERS)
            if not inside:
                raise InputError(f"The folder {path} holds no record files", f"Known forms: {', '.join(_READERS)}.")
            results = path / "rows.parquet"
            yield from [results] if results in inside else inside
        elif path.exists():
            yield path
        else:
            raise InputError(f"There is no file {path}", "Check the path.")


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": jsonl_rows,
    ".json": json_rows,
    ".csv": lambda path: csv_rows(path, "query"),
    ".parquet": parquet_rows,
}


def _attempt(row: Row, model: str | None) -> Attempt:
    query = row.text("query")
    response, failure = _response(row)
    named = row.fields.get("model")
    named = (named if not isinstance(named, str) else named.strip()) or model
    if not isinstance(named, str):
        row.fail("does not say which model answered", "Add the field 'model', or give --subject NAME")
    return Attempt(
        model=well_formed(named),
        template=_first(row, "template").text("template"),
        query=query,
        response=response,
        failure=failure,
        template_id=row.text("template_id", ""),
        query_id=row.text("query_id", ""),
        category=row.text("category", "uncategorised"),
        language=row.text("language", detect_language(query)),
        leading=_flag(row, "leading"),
        loose=_flag(row, "loose"),
        strict=_flag(row, "strict"),
        truncated=bool(_flag(row, "truncated")),
    )


def _first(row: Row, name: str) -> Row:
    """The row with the first of a field's aliases that has a value, under the field's own name."""
    values = (row.fields.get(alias) for alias in _ALIASES.get(name, (name,)))
    value = next((value for value in values if value is not None and value != ""), None)
    return Row(row.where, {name: value})


def _response(row: Row) -> tuple[str | None, str | None]:
    """The answer or the kind of failure. The published form holds a list of one answer, in csv as its Python repr."""
    if not any(alias in row.fields for alias in _ALIASES["response"]):
        row.fail("no field 'response'", "Every record needs model, template, query and response")
    if row.fields.get("failure"):
        return None, row.text("failure")
    value = _first(row, "response").fields["response"]
    if isinstance(value, str) and not row.fields.get("response"):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            row.fail("'target_responses' is not a list", "Mend or remove that record")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value == []:
        return None, "empty"
    if not isinstance(value, str):
        row.fail("'response' is not text")
    if value == PUBLISHED_FAILURE:
        return None, "recorded"
    return (well_formed(value), None) if value.strip() else (None, "empty")


def _flag(row: Row, name: str) -> bool | None:
    value = _first(row, name).fields[name]
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        row.fail(f"{name!r} is {value!r}", "Give true or false, or leave it out")
    return word in _TRUE


def _model_of(path: Path) -> str | None:
    """The model in a file name of the published data, `gpt_GPT_deepseek-chat.jsonl` or `GPT_phi-4_0.22.csv`."""
    match = re.fullmatch(r"(?:gpt_)?GPT_(.+?)(?:_[01]\.\d+(?:_in_\d+)?)?", path.stem)
    return match.group(1) if match else None
