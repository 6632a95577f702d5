"""Inspect: `.eval` logs, which are zip archives of JSON, and the same logs as one `.json` file.

`header.json` (`_journal/start.json` while a run is under way) names task and model, `samples/ID_epoch_N.json` holds a
sample each; epochs are samples. Logs compressed with Zstandard need Python 3.14.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydrometer.errors import InputError
from hydrometer.response_formats.record import Answer, Recorded
from hydrometer.rows import Row, parse_json, read_text, well_formed

_HEADERS = ("header.json", "_journal/start.json", "start.json")
_ATTACHMENT = "attachment://"


def is_log(document: Mapping[str, Any]) -> bool:
    """Whether a JSON document is a log with its samples."""
    return isinstance(document.get("eval"), dict) and isinstance(document.get("samples"), list)


def answers(path: Path) -> Iterator[Answer]:
    """The answers of a log; prompts are called `TASK/ID`.

    Raises:
        InputError: not a log, compressed in a way that this Python cannot read, or a malformed sample.
    """
    if path.suffix.lower() == ".json":
        document = parse_json(read_text(path), path.name)
        header, rows = document, _listed(path, document["samples"])
    else:
        archive = _open(path)
        name = next((name for name in _HEADERS if name in archive.NameToInfo), None)
        if name is None:
            raise InputError(f"{path.name}: no Inspect log (neither of {', '.join(_HEADERS)} is in it)")
        header, rows = _member(path, archive, name), _archived(path, archive)
    run = header.get("eval") if isinstance(header, dict) else None
    model, task = (run.get("model"), run.get("task")) if isinstance(run, dict) else (None, None)
    if not isinstance(model, str) or not isinstance(task, str):
        raise InputError(f"{path.name}: the header names no task and model", "Give a log that Inspect wrote.")
    for row in rows:
        yield Answer(row, well_formed(model), _recorded(row, task))


def _recorded(row: Row, task: str) -> Recorded:
    fields = row.fields
    name, epoch, given = fields.get("id"), fields.get("epoch", 1), fields.get("attachments")
    attached = given if isinstance(given, dict) else {}
    if not isinstance(name, str | int) or not isinstance(epoch, int) or epoch < 1:
        row.fail("no sample: `id` or `epoch` is missing")
    output = fields.get("output")
    text = _answer(row, output if isinstance(output, dict) else {}, attached)
    asked = fields.get("input")
    messages = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
    turns = tuple(
        _content(row, one.get("content"), attached)
        for one in messages
        if isinstance(one, dict) and one.get("role") == "user"
    )
    return Recorded(well_formed(f"{task}/{name}"), epoch - 1, (text,), turns, set=well_formed(task))


def _answer(row: Row, output: Mapping[str, Any], attached: Mapping[str, Any]) -> str:
    """The text of the first choice; empty where the model failed."""
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    content = message.get("content") if isinstance(message, dict) else output.get("completion")
    return _content(row, content, attached)


def _content(row: Row, content: object, attached: Mapping[str, Any]) -> str:
    """Text, or the text among the parts of a message; reasoning is no part of the answer."""
    if isinstance(content, list):
        texts = [one.get("text") for one in content if isinstance(one, dict) and one.get("type") == "text"]
        return "".join(_content(row, text, attached) for text in texts)
    if content is None:
        return ""
    if not isinstance(content, str):
        row.fail(f"an answer is {type(content).__name__}, not text")
    if content.startswith(_ATTACHMENT):
        content = str(attached.get(content.removeprefix(_ATTACHMENT), content))
    return well_formed(content)


def _listed(path: Path, samples: list[object]) -> Iterator[Row]:
    for number, sample in enumerate(samples, start=1):
        yield _row(f"{path.name}, sample {number}", sample)


def _archived(path: Path, archive: zipfile.ZipFile) -> Iterator[Row]:
    for name in archive.NameToInfo:
        if name.startswith("samples/") and name.endswith(".json"):
            yield _row(f"{path.name}, {name}", _member(path, archive, name))


def _row(where: str, sample: object) -> Row:
    if not isinstance(sample, dict):
        raise InputError(f"{where}: not a JSON object")
    return Row(where, sample)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path.name}: not a readable .eval log ({error})", "Write it anew.") from error


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    where = f"{path.name}, {name}"
    try:
        return parse_json(archive.read(name).decode(), where)
    except NotImplementedError as error:
        raise InputError(
            f"{where}: compressed in a way that this Python cannot read (Zstandard needs 3.14)",
            f"Run `inspect log convert --to json --output-dir DIR {path.name}` and give DIR.",
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise InputError(f"{where}: damaged ({error})", "Write the log anew.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8") from error
