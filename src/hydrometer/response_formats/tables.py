"""Answers in rows: our table, AlpacaEval's `model_outputs.json`, MT-Bench's and Arena-Hard's `model_answer/*.jsonl`.

A row names the model (`model`, `model_id` or `generator`), the prompt (`prompt_id`, `question_id` or `uid`, or its
text in `prompt`, `instruction` or `turns`, or `template` with `query`), and holds the answer as `response`, `output`,
`choices` (MT-Bench, Arena-Hard: each choice is a sample) or `messages` (Arena-Hard 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from hydrometer.prompts.templates import fill
from hydrometer.response_formats.record import TURN_BREAK, Recorded
from hydrometer.rows import Row, content_id, well_formed

MODEL_FIELDS = ("model", "model_id", "generator")
ID_FIELDS = ("prompt_id", "question_id", "uid")
PROMPT_FIELDS = ("prompt", "instruction")
ANSWER_FIELDS = ("response", "output")
LABEL_FIELDS = ("category", "language", "set")
#: Everything that is read from a row.
FIELDS = (
    *MODEL_FIELDS,
    *ID_FIELDS,
    *PROMPT_FIELDS,
    *ANSWER_FIELDS,
    *LABEL_FIELDS,
    "sample",
    "turns",
    "template",
    "query",
    "choices",
    "messages",
)


def holds_answers(fields: Mapping[str, Any]) -> bool:
    """Whether a row of these fields holds an answer."""
    return any(name in fields for name in (*ANSWER_FIELDS, "choices", "messages"))


def holds_prompts(fields: Mapping[str, Any]) -> bool:
    """Whether a row of these fields holds a prompt with its id and no answer."""
    has = any(name in fields for name in (*PROMPT_FIELDS, "turns"))
    return has and any(name in fields for name in ID_FIELDS) and not holds_answers(fields)


class Names:
    """Which model each row of a file belongs to: either every row names one, or none does and the file is one model's.

    Args:
        default: the model of a file whose rows name none.
    """

    def __init__(self, default: str) -> None:
        self._default = default
        self._named = False
        self._unnamed: Row | None = None

    def of(self, row: Row) -> str:
        """The model's name in a row.

        Raises:
            InputError: it is no name, or is missing here or in an earlier row while others have one.
        """
        name = next((found for field in MODEL_FIELDS if (found := _name(row, "model", row.fields.get(field)))), "")
        self.see(named=bool(name), unnamed=None if name else row)
        return name or self._default

    def see(self, *, named: bool, unnamed: Row | None) -> None:
        """Take note of rows: whether any names a model, and the first that does not.

        Raises:
            InputError: there are both by now.
        """
        self._named |= named
        self._unnamed = self._unnamed or unnamed
        if self._named and self._unnamed is not None:
            self._unnamed.fail("no model, though other rows name theirs", "Name the model in every row.")


def recorded(row: Row) -> Iterator[Recorded]:
    """The answers of a row: one, or one for each of its `choices`.

    Raises:
        InputError: no answer, no prompt, a cell that is not text, a sample that is no number.
    """
    fields = row.fields
    labels = {name: well_formed(str(fields[name])) for name in LABEL_FIELDS if fields.get(name) is not None}
    if fields.get("choices") is not None:
        asked = asked_in(row)
        name = prompt_id(row, asked)
        for number, answered in enumerate(_choices(row)):
            yield Recorded(name, number, _texts(row, answered), asked, **labels)
        return
    if isinstance(fields.get("messages"), list):
        messages = [item for item in fields["messages"] if isinstance(item, dict)]
        asked, turns = (
            tuple(_said(row, item.get("content")) for item in messages if item.get("role") == role)
            for role in ("user", "assistant")
        )
        yield Recorded(prompt_id(row, asked), 0, turns, asked, **labels)
        return
    answer = next((name for name in ANSWER_FIELDS if name in fields), "")
    if not answer:
        row.fail(
            "no answer: none of `response`, `output`, `choices`, `messages`", "Columns: model, prompt_id, response."
        )
    asked = asked_in(row)
    yield Recorded(prompt_id(row, asked), _sample(row), _texts(row, fields[answer]), asked, **labels)


def asked_in(row: Row) -> tuple[str, ...]:
    """The user's turns in a row of answers or of prompts, empty where they are not there."""
    fields = row.fields
    if isinstance(fields.get("turns"), list):
        return _texts(row, fields["turns"])
    value = next((fields[name] for name in PROMPT_FIELDS if str(fields.get(name) or "").strip()), None)
    if value is not None:
        return _texts(row, value)
    template, query = fields.get("template"), fields.get("query")
    if isinstance(template, str) and isinstance(query, str):
        return (_text(row, fill(template, query)),)
    return ()


def prompt_id(row: Row, asked: tuple[str, ...]) -> str:
    """The prompt's id in a row, or one made from its text.

    Raises:
        InputError: neither is there.
    """
    for name in ID_FIELDS:
        if found := _name(row, name, row.fields.get(name)):
            return found
    if not asked:
        row.fail("no `prompt_id` and no prompt", "Say which prompt is answered.")
    return content_id("prompt", TURN_BREAK.join(asked))


def _name(row: Row, field: str, value: object) -> str:
    """A name or number as text; empty where there is none."""
    if isinstance(value, float) and not isfinite(value):
        row.fail(f"the {field} is {value}", "Give every row a name or number.")
    if isinstance(value, list | dict):
        row.fail(f"the {field} is {type(value).__name__}, not text")
    text = "" if value is None else well_formed(str(value))
    return text if text.strip() else ""


def _choices(row: Row) -> list[list[object]]:
    choices = row.fields["choices"]
    if not isinstance(choices, list) or not all(
        isinstance(one, dict) and isinstance(one.get("turns"), list) for one in choices
    ):
        row.fail("`choices` is not a list of objects with `turns`")
    return [one["turns"] for one in choices]


def _texts(row: Row, value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(row, item.get("content") if isinstance(item, dict) else item) for item in value)
    return (_text(row, value),)


def _said(row: Row, content: object) -> str:
    """The text of a message; Arena-Hard 2 wraps the model's in `{"answer": text}`."""
    return _text(row, content.get("answer") if isinstance(content, dict) else content)


def _sample(row: Row) -> int:
    value = row.fields.get("sample")
    if value in (None, ""):
        return 0
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not 0 <= number < 2**32:
        row.fail(f"the sample is {str(value)[:20]!r}", "Number samples from 0.")
    return number


def _text(row: Row, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        row.fail(f"an answer is {type(value).__name__}, not text")
    return well_formed(value)
