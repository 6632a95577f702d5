"""lm-evaluation-harness: `samples_TASK_DATE.jsonl`, one row a document and filter.

The model is not in the rows. It stands in the results file of the same date beside them (`model_name`); without one
the folder is called after it. The answers are the unfiltered `resps`, where every repeat is a sample. Tasks that
compare likelihoods have no text and are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydrometer.errors import InputError
from hydrometer.response_formats.record import Answer, Recorded
from hydrometer.rows import Row, parse_json, read_text, well_formed


def is_sample(fields: Mapping[str, Any]) -> bool:
    """Whether a row is a sample of the harness."""
    return "doc_id" in fields and "resps" in fields and "target" in fields


def is_generated(fields: Mapping[str, Any]) -> bool:
    """Whether a sample holds text that the model wrote: its request has options of generation."""
    _, options = _request(fields)
    return isinstance(options, dict) and bool(_texts(fields["resps"]))


def answers(path: Path, rows: Iterable[Row]) -> Iterator[Answer]:
    """The answers of a file of samples; prompts are called `TASK/doc_id`.

    Raises:
        InputError: a row without text.
    """
    model, task = _model(path), _task(path)
    chosen: object = None
    for number, row in enumerate(rows):
        fields = row.fields
        if number == 0:
            chosen = fields.get("filter")
        if fields.get("filter") != chosen:
            continue
        requests = _texts(fields.get("resps"))
        if not requests:
            row.fail("`resps` holds no text", "Only tasks that generate text have answers.")
        asked, _ = _request(fields)
        prompt = (well_formed(asked),) if isinstance(asked, str) else ()
        name = f"{task}/{well_formed(str(fields.get('doc_id')))}"
        for sample, turns in enumerate(zip(*requests, strict=False)):
            yield Answer(row, model, Recorded(name, sample, turns, prompt, set=task))


def _texts(responses: object) -> list[list[str]]:
    """Texts by request and repeat; empty where any is not text."""
    if not isinstance(responses, list):
        return []
    requests = [one if isinstance(one, list) else [one] for one in responses]
    if not all(repeats and all(isinstance(text, str) for text in repeats) for repeats in requests):
        return []
    return [[well_formed(text) for text in repeats] for repeats in requests]


def _request(fields: Mapping[str, Any]) -> tuple[object, object]:
    """Text and options of the first request: `{"gen_args_0": {"arg_0": text, "arg_1": options}}`, or once lists."""
    arguments = fields.get("arguments")
    first = next(iter(arguments.values()), None) if isinstance(arguments, dict) else arguments
    if isinstance(arguments, list):
        first = arguments[0] if arguments else None
    parts = list(first.values()) if isinstance(first, dict) else first
    if isinstance(parts, list) and len(parts) >= 2:
        return parts[0], parts[1]
    return None, None


def _task(path: Path) -> str:
    parts = path.stem.split("_")
    return "_".join(parts[1:-1]) if parts[0] == "samples" and len(parts) > 2 else path.stem


def _model(path: Path) -> str:
    """The model's name, from the results file of the run, or else the folder's."""
    date = path.stem.rpartition("_")[2]
    beside = [one for one in sorted(path.parent.glob("*.json")) if one != path]
    of_run = [one for one in beside if one.stem.rpartition("_")[2] == date]
    names = dict.fromkeys(name for one in of_run or beside if (name := _named(one)))
    return next(iter(names)) if len(names) == 1 else path.resolve().parent.name


def _named(path: Path) -> str:
    """The model that a results file names; empty where it is none."""
    try:
        value = parse_json(read_text(path), path.name)
    except InputError:
        return ""
    name = value.get("model_name") if isinstance(value, dict) and "results" in value else None
    return well_formed(name) if isinstance(name, str) else ""
