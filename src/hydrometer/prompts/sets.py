"""Prompt sets for response similarity: ours, the three of Lee et al. 2025, and any file of the user's.

A row of a file is recognised by its fields, not by the file's name:

| form | fields |
|---|---|
| Arena-Hard, MT-Bench | `turns`: texts, or objects with `content`; `question_id`, `category` or `cluster` |
| ShareGPT, chat logs | `conversations` or `messages`: objects with `from`/`value` or `role`/`content` |
| Numina | `problem` |
| AlpacaEval | `instruction`, with `input` where there is one |
| any other | `prompt`, `question`, `query` or `text` |
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from hydrometer.errors import InputError
from hydrometer.rows import (
    Row,
    content_id,
    csv_rows,
    detect_language,
    json_rows,
    jsonl_rows,
    parquet_rows,
    parse_json,
    read_text,
)

#: Prompts drawn from a larger set: the paper's number for Numina and ShareGPT.
SAMPLE = 1000
#: Ours, one file each.
OWN = ("reasoning", "mathematics", "conversation")
#: Names of the paper's sets, and the files on the Hugging Face hub that hold them.
HUB = {
    "arena-hard": "lmarena-ai/arena-hard-auto/data/arena-hard-v0.1/question.jsonl",
    "numina": "AI-MO/NuminaMath-CoT/data/train-00000-of-00005.parquet",
    "sharegpt": "anon8231489123/ShareGPT_Vicuna_unfiltered/ShareGPT_V3_unfiltered_cleaned_split.json",
}

_TEXT_FIELDS = ("problem", "prompt", "question", "query", "text")
_ID_FIELDS = ("prompt_id", "question_id", "id", "uid", "uuid", "conversation_id")
_CATEGORY_FIELDS = ("category", "cluster", "dataset", "source")
_USER = {"human", "user", "prompter"}
_ASSISTANT = {"gpt", "assistant", "chatgpt", "bing", "bard", "model"}


@dataclass(frozen=True, slots=True)
class ConversationPrompt:
    """What one user says, in one or more turns.

    Attributes:
        id: unique within its set.
        set: name of its prompt set; means are taken per set.
        turns: the user's turns, none of them empty.
        category: of the prompt, where the file says one.
        language: `en`, `zh` or `und`.
        recorded: recorded assistant turns between the user's, where the file has them; one fewer than `turns`.
    """

    id: str
    set: str
    turns: tuple[str, ...]
    category: str = ""
    language: str = "en"
    recorded: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All turns of the user."""
        return "\n\n".join(self.turns)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of one set, and what was left out.

    Attributes:
        name: of the set.
        prompts: in the order of the file.
        duplicates: rows dropped because their text had come before.
        empty: rows dropped because the user says nothing.
        available: prompts before sampling.
    """

    name: str
    prompts: tuple[ConversationPrompt, ...]
    duplicates: int = 0
    empty: int = 0
    available: int = 0

    def __len__(self) -> int:
        return len(self.prompts)


def load_own(sample: int = SAMPLE, seed: int = 0) -> list[PromptSet]:
    """The three sets that ship with hydrometer, English and Chinese."""
    sets = []
    for name in OWN:
        text = resources.files(__package__).joinpath("rse", f"{name}.jsonl").read_text("utf-8")
        lines = [line for line in text.split("\n") if line.strip()]
        rows = (Row(f"{name}.jsonl, line {n}", parse_json(line, f"{name} {n}")) for n, line in enumerate(lines, 1))
        sets.append(_drawn(prompt_set(rows, name), sample, seed))
    return sets


def load_sets(specs: Sequence[str], sample: int = SAMPLE, seed: int = 0) -> list[PromptSet]:
    """Prompt sets by name or file.

    Args:
        specs: each `own`, one of ours (`reasoning`, ...), one of `HUB`, `hub:OWNER/DATASET/FILE`, or a path.
        sample: prompts drawn from a larger set.
        seed: of the draw.

    Raises:
        InputError: no such set or file, one named twice, a malformed row, or no prompts in it.
    """
    sets: list[PromptSet] = []
    for spec in specs:
        if spec == "own":
            found = load_own(sample, seed)
        elif spec in OWN:
            found = [one for one in load_own(sample, seed) if one.name == spec]
        else:
            found = [_load(spec, sample, seed)]
        sets.extend(found)
    names = [one.name for one in sets]
    if len(set(names)) < len(names):
        raise InputError(
            f"The prompt set {next(n for n in names if names.count(n) > 1)} is there twice", "Name it once."
        )
    return sets


def prompt_set(rows: Iterator[Row], name: str) -> PromptSet:
    """The prompts in rows of any known form; a row's own field `set` names another set inside the file.

    Raises:
        InputError: a row of no known form, one id for two texts, or no prompts at all.
    """
    by_text: dict[tuple[str, ...], ConversationPrompt] = {}
    ids: dict[str, str] = {}
    duplicates = empty = 0
    for row in rows:
        prompt = _prompt(row, name)
        if prompt is None:
            empty += 1
        elif prompt.turns in by_text:
            duplicates += 1
        elif prompt.id in ids:
            row.fail(f"id {prompt.id!r} is taken by another text ({ids[prompt.id]})", "Give every prompt its own id.")
        else:
            by_text[prompt.turns] = prompt
            ids[prompt.id] = row.where
    if not by_text:
        raise InputError(f"The prompt set {name} holds no prompts", "Give a file with at least one.")
    return PromptSet(name, tuple(by_text.values()), duplicates, empty, len(by_text))


def _load(spec: str, sample: int, seed: int) -> PromptSet:
    if spec in HUB or spec.startswith("hub:"):
        from hydrometer.prompts.hub import fetch

        path = fetch(HUB.get(spec, spec.removeprefix("hub:")))
        return _drawn(prompt_set(_rows(path), spec if spec in HUB else path.stem), sample, seed)
    path = Path(spec).expanduser()
    if not path.is_file():
        known = ", ".join(["own", *OWN, *HUB])
        raise InputError(
            f"There is no prompt set or file {spec}", f"Give a path, hub:OWNER/DATASET/FILE or one of {known}."
        )
    return _drawn(prompt_set(_rows(path), path.stem), sample, seed)


def _rows(path: Path) -> Iterator[Row]:
    readers = {".jsonl": jsonl_rows, ".ndjson": jsonl_rows, ".json": json_rows, ".parquet": parquet_rows}
    if path.suffix.lower() == ".csv":
        header = read_text(path).partition("\n")[0].lower()
        column = next((name for name in (*_TEXT_FIELDS, "instruction") if name in header), "prompt")
        return csv_rows(path, column)
    if path.suffix.lower() not in readers:
        raise InputError(f"{path} is of no known form", f"Known forms: {', '.join([*readers, '.csv'])}.")
    return readers[path.suffix.lower()](path)


def _drawn(whole: PromptSet, sample: int, seed: int) -> PromptSet:
    if len(whole) <= sample:
        return whole
    chosen = sorted(random.Random(f"{seed} {whole.name}").sample(range(len(whole)), sample))
    return replace(whole, prompts=tuple(whole.prompts[i] for i in chosen))


def _prompt(row: Row, set_name: str) -> ConversationPrompt | None:
    """The prompt of a row; None where the user says nothing."""
    fields = row.fields
    turns, recorded = _turns(row)
    if not turns:
        return None
    text = "\n\n".join(turns)
    given = next((fields[name] for name in _ID_FIELDS if fields.get(name) not in (None, "")), None)
    category = next((fields[name] for name in _CATEGORY_FIELDS if isinstance(fields.get(name), str)), "")
    language = fields.get("language")
    return ConversationPrompt(
        id=content_id("prompt", text) if given is None or isinstance(given, list | dict) else str(given),
        set=str(fields.get("set") or set_name),
        turns=turns,
        category=category,
        language=language if language in {"en", "zh", "und"} else detect_language(text),
        recorded=recorded,
    )


def _turns(row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The user's turns without the empty ones, and the recorded assistant turns between them if all are there."""
    fields = row.fields
    for name in ("conversations", "messages"):
        if isinstance(fields.get(name), list):
            return _of_conversation(row, fields[name])
    if isinstance(fields.get("turns"), list):
        texts = [_content(row, turn) for turn in fields["turns"]]
        return tuple(text for text in texts if text), ()
    if "instruction" in fields:
        parts = [_text(row, fields.get(name)) for name in ("instruction", "input")]
        text = "\n\n".join(part for part in parts if part)
        return ((text,) if text else ()), ()
    found = next((field for field in _TEXT_FIELDS if field in fields), None)
    if found is None:
        row.fail(f"no prompt among the fields {', '.join(fields)[:200]}", "Name the prompt's field `prompt`.")
    text = _text(row, fields[found])
    return ((text,) if text else ()), ()


def _of_conversation(row: Row, items: list[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    user: list[str] = []
    assistant: list[str] = []
    for item in items:
        if not isinstance(item, dict):
            row.fail("a turn of the conversation is not an object")
        speaker = str(item.get("from") or item.get("role") or "").lower()
        text = _content(row, item)
        if speaker in _USER and text:
            user.append(text)
        elif speaker in _ASSISTANT and user and len(assistant) < len(user):
            assistant.append(text)
    whole = len(assistant) >= len(user) - 1 and all(assistant[: len(user) - 1])
    return tuple(user), tuple(assistant[: len(user) - 1]) if whole and len(user) > 1 else ()


def _content(row: Row, turn: object) -> str:
    if isinstance(turn, dict):
        return _text(row, turn.get("content", turn.get("value")))
    return _text(row, turn)


def _text(row: Row, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        row.fail(f"a prompt is {type(value).__name__}, not text")
    return value.strip().encode("utf-8", "replace").decode("utf-8")
