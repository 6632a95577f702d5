"""Identity questions: the shipped 50, loaders for the user's own, and balanced subsets.

A question comes in language versions that share the start of their id (`team-01-en`, `team-01-zh`), so that
languages can be compared on the same question.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from hydrometer.errors import InputError
from hydrometer.rows import (
    Loaded,
    Row,
    content_id,
    csv_rows,
    detect_language,
    jsonl_rows,
    read_text,
    toml_rows,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: The categories of Lee et al. 2025 ("Quantification of Large Language Model Distillation").
CATEGORIES = ("team", "cooperation", "industry", "technology", "geography")
UNCATEGORISED = "uncategorised"
_FIELDS = ("id", "category", "language", "text")


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer says who the model is, who made it, or where its maker is.

    Attributes:
        id: unique name; for a translated question the shared name and the language, as in `team-01-zh`.
        category: one of `CATEGORIES`, the user's own, or `uncategorised`.
        language: `en`, `zh`, `und` where the script does not tell, or the user's own.
        text: the question as it is put to the model.
    """

    id: str
    category: str
    language: str
    text: str

    @property
    def base_id(self) -> str:
        """The id that all language versions of the question share."""
        return self.id.removesuffix(f"-{self.language}")


def load_questions() -> tuple[Question, ...]:
    """The shipped questions: 25 in English and the same 25 in Chinese, five in each of `CATEGORIES`."""
    text = resources.files(__package__).joinpath("questions.toml").read_text(encoding="utf-8")
    rows = toml_rows(text, "questions.toml", "question")
    return unique(((row, _question(row)) for row in rows), "questions.toml").items


def load_question_file(path: Path) -> Loaded[Question]:
    """Read questions from a file.

    Args:
        path: `.csv` in the form that Lee et al. 2025 released (column `query`; `id`, `category` and `language`
            are optional, others such as `reference_responses` are ignored), `.jsonl` with objects of `id`,
            `category`, `language`, `text`, or `.toml` with the same in `[[question]]` tables. Everything but
            the question itself may be left out: the id is then made from the text, the language from its
            script, and the category is `uncategorised`.

    Raises:
        InputError: the file is unreadable, malformed (with the line or entry), empty or of another form.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows: Iterator[Row] = (
            Row(row.where, {**row.fields, "text": row.fields["query"]}) for row in csv_rows(path, "query")
        )
    elif suffix == ".jsonl":
        rows = _known_fields(jsonl_rows(path))
    elif suffix == ".toml":
        rows = _known_fields(toml_rows(read_text(path), path.name, "question"))
    else:
        raise InputError(f"{path}: unknown form of question file", "Use .csv, .jsonl or .toml")
    return unique(((row, _question(row)) for row in rows), str(path))


def select_questions(questions: Sequence[Question], n: int) -> tuple[Question, ...]:
    """The first `n` questions of a balanced order; a larger `n` only adds to a smaller one.

    The order takes one question with all its language versions from each category in turn (`CATEGORIES` first,
    then others as they come), so that of the shipped questions 10 are an English-Chinese pair per category.
    Questions without a translation alternate between languages.

    Args:
        questions: where to choose from.
        n: how many, from 1 to all of them.

    Raises:
        InputError: `n` is out of range.
    """
    if not 1 <= n <= len(questions):
        raise InputError(f"cannot choose {n} of {len(questions)} questions", f"Ask for 1 to {len(questions)}")
    versions: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        versions.setdefault((question.category, question.base_id), []).append(question)
    categories: dict[str, dict[tuple[str, ...], list[list[Question]]]] = {name: {} for name in CATEGORIES}
    for (category, _), group in versions.items():
        languages = tuple(sorted(question.language for question in group))
        categories.setdefault(category, {}).setdefault(languages, []).append(group)
    in_turn = _round_robin([_round_robin(list(by_language.values())) for by_language in categories.values()])
    return tuple(question for group in in_turn for question in group)[:n]


def _round_robin(queues: list[list[list[Question]]]) -> list[list[Question]]:
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _known_fields(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        row.check_fields(_FIELDS)
        yield row


def _question(row: Row) -> Question:
    text = row.text("text")
    return Question(
        id=row.text("id", content_id("q", text)),
        category=row.text("category", UNCATEGORISED),
        language=row.text("language", detect_language(text)),
        text=text,
    )
