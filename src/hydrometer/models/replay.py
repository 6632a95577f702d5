"""`replay/PATH` and `replay/PATH#NAME`: a model that answers from recorded responses and calls nobody.

A recording is a Parquet, JSON Lines or CSV file with the columns `model`, `response`, optionally `sample`, and the
prompt as `prompt`, as `template` and `query` (the recorded-attack form), or only by `prompt_id`. A call is answered
where its last user message is, character by character, a recorded prompt, or else a recorded prompt id.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, Capabilities, Completion, FailureKind, Message, Sampling
from hydrometer.prompts.templates import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

_READERS = {".parquet", ".jsonl", ".ndjson", ".csv"}
_FORM = "Columns wanted: model, response, and prompt, prompt_id, or template with query"


class ReplayModel:
    """Recorded answers as a model.

    Args:
        name: `replay/PATH` or `replay/PATH#NAME`.
        rest: the part after `replay/`.

    Raises:
        ModelError: no such file, not a recording, no such model in it, or several and none named.
    """

    def __init__(self, name: str, rest: str) -> None:
        path, chosen = _split(rest)
        by_model = _load(path)
        model = _choose(path, chosen, list(by_model))
        self.name = name
        self.sent_name = model
        self.endpoint = f"replay {_checksum(path)}"
        self.capabilities = Capabilities(concurrency=4096, seed=True, logprobs=False, local=True)
        self._answers = by_model[model]

    def __repr__(self) -> str:
        return f"ReplayModel({self.name!r})"

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:  # noqa: ARG002 - the protocol's
        """Look the answer up.

        Raises:
            CallFailure: `missing` where the recording holds no such prompt or sample, `empty` where it holds no text.
        """
        asked = next((message.content for message in reversed(messages) if message.role == "user"), "")
        answers = self._answers.get(asked)
        if answers is None:
            raise CallFailure(FailureKind.MISSING, f"no recorded answer to the prompt {asked[:80]!r}")
        if sample not in answers:
            raise CallFailure(
                FailureKind.MISSING, f"no sample {sample} among the {len(answers)} recorded of {asked[:80]!r}"
            )
        if not answers[sample].strip():
            raise CallFailure(FailureKind.EMPTY, f"the recorded answer to {asked[:80]!r} is empty")
        return Completion(answers[sample], served_model=self.sent_name)

    async def aclose(self) -> None:
        """Nothing to release."""


def _split(rest: str) -> tuple[Path, str | None]:
    """Path and model name; a file whose own name holds a `#` is found as well."""
    if "#" in rest and not Path(rest).expanduser().is_file():
        path, _, chosen = rest.rpartition("#")
        return Path(path).expanduser(), chosen
    return Path(rest).expanduser(), None


def _choose(path: Path, chosen: str | None, names: list[str]) -> str:
    listing = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    if chosen is None:
        if len(names) == 1:
            return names[0]
        raise ModelError(f"{path} holds {len(names)} models: {listing}", f"Name one: replay/{path}#{names[0]}")
    if chosen in names:
        return chosen
    near = get_close_matches(chosen, names, n=3, cutoff=0.4)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"It holds {listing}"
    raise ModelError(f"{path} holds no model '{chosen}'", meant)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _load(path: Path) -> dict[str, dict[str, dict[int, str]]]:
    """Model -> prompt text or id -> sample -> response. A prompt's text wins over an equal id of another."""
    texts: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    ids: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    try:
        for place, row in _rows(path):
            model, response = row.get("model"), row.get("response")
            if not isinstance(model, str) or not model or "response" not in row:
                raise ModelError(f"{place} of {path} has no model or no response", _FORM)
            prompt, prompt_id = _prompt(row), row.get("prompt_id")
            if prompt is None and prompt_id in {None, ""}:
                raise ModelError(f"{place} of {path} has no prompt", _FORM)
            for index, key in ((texts, prompt), (ids, None if prompt_id in {None, ""} else str(prompt_id))):
                if key is not None:
                    answers = index[model][key]
                    number = _sample(row, len(answers), place, path)
                    answers.setdefault(number, "" if response is None else str(response))
    except FileNotFoundError as error:
        raise ModelError(f"No file at {path}", "Give the path of a recording after replay/") from error
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}", "Check the path and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not UTF-8 text (byte {error.start})", "Save it as UTF-8") from error
    if not (texts or ids):
        raise ModelError(f"{path} holds no recorded answers", _FORM)
    return {model: {**ids[model], **texts[model]} for model in dict.fromkeys([*texts, *ids])}


def _prompt(row: dict[str, Any]) -> str | None:
    if isinstance(row.get("prompt"), str):
        return str(row["prompt"])
    template, query = row.get("template"), row.get("query")
    return fill(template, query) if isinstance(template, str) and isinstance(query, str) else None


def _sample(row: dict[str, Any], seen: int, place: str, path: Path) -> int:
    value = row.get("sample")
    if value in {None, ""}:
        return seen
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ModelError(f"{place} of {path} has the sample {str(value)[:20]!r}", "Number samples from 0")
    return number


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with their place in the file, for messages."""
    if path.suffix == ".parquet":
        import polars as pl

        try:
            frame = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise ModelError(f"{path} is not a readable Parquet file: {str(error)[:120]}", "Write it again") from error
        for number, row in enumerate(frame.iter_rows(named=True), 1):
            yield f"row {number}", row
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            csv.field_size_limit(1 << 27)
            try:
                for row in reader:
                    yield f"line {reader.line_num}", {key: value for key, value in row.items() if key}
            except csv.Error as error:
                raise ModelError(f"line {reader.line_num} of {path} is not CSV: {error}", "Correct the line") from error
    elif path.suffix in _READERS:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"line {number}", _object(line, number, path)
    else:
        raise ModelError(
            f"{path} is not a recording that can be read", f"Give a file ending in {', '.join(sorted(_READERS))}"
        )


def _object(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"line {number} of {path} is not JSON: {error}", "Correct or remove the line") from error
    if not isinstance(row, dict):
        raise ModelError(f"line {number} of {path} is not a JSON object", _FORM)
    return row
