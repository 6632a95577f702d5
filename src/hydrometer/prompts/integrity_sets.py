"""Prompt sets for integrity: prompts that allow variety, and questions asked in several ways.

The first holds open-ended, creative and many-solution prompts, requests for advice, rare knowledge and edge cases. The
second holds questions with one short answer, each as it is, paraphrased twice, reordered, with typing errors, with an
irrelevant sentence and in the other language. English and Chinese, our own words, nothing made at run time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from hydrometer.errors import InputError
from hydrometer.prompts.sets import SAMPLE, PromptSet, load_sets, prompt_set
from hydrometer.rows import Row, parse_json

#: The name of the shipped set, where a prompt set is asked for.
VARIETY = "variety"
#: The name of the set of questions in several ways, as recordings have it.
STABILITY = "stability"
ORIGINAL = "original"
#: How a question is asked; every question is there once in each way.
WAYS = (ORIGINAL, "paraphrase-1", "paraphrase-2", "reordered", "typo", "irrelevant", "translated")


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of asking one question.

    Attributes:
        id: of this variant, `BASE/WAY`.
        base: of the question; its original is the variant with the way `original`.
        way: one of `WAYS`.
        language: of this variant, `en` or `zh`.
        category: of the question.
        turns: what the user says.
        answers: short answers that are right, in both languages; one of them in a reply makes it right.
    """

    id: str
    base: str
    way: str
    language: str
    category: str
    turns: tuple[str, ...]
    answers: tuple[str, ...]


def load_variety(specs: Sequence[str] | None = None, sample: int = SAMPLE, seed: int = 0) -> list[PromptSet]:
    """Prompts to which a model is asked for several answers.

    Args:
        specs: `variety`, or whatever `load_sets` knows; None for the shipped set.
        sample: prompts drawn from a larger set.
        seed: of the draw.

    Raises:
        InputError: no such set or file, one named twice, or a malformed row.
    """
    wanted = [VARIETY] if specs is None else list(specs)
    if wanted.count(VARIETY) > 1:
        raise InputError(f"The prompt set {VARIETY} is there twice", "Name it once.")
    others = iter(load_sets([spec for spec in wanted if spec != VARIETY], sample, seed))
    if VARIETY not in wanted:
        return list(others)
    return [prompt_set(_shipped(VARIETY), VARIETY), *others]


def load_stability() -> tuple[Variant, ...]:
    """The shipped questions in all their ways, those of one question together and its original first."""
    return tuple(
        Variant(
            id=row.text("id"),
            base=row.text("base"),
            way=row.text("variant"),
            language=row.text("language"),
            category=row.text("category"),
            turns=tuple(row.fields["turns"]),
            answers=tuple(row.fields["answer"]),
        )
        for row in _shipped(STABILITY)
    )


def _shipped(name: str) -> Iterator[Row]:
    text = resources.files(__package__).joinpath("integrity", f"{name}.jsonl").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        yield Row(f"{name}.jsonl, line {number}", parse_json(line, f"{name}.jsonl, line {number}"))
