"""Several answers of two models to each prompt: taken from a response set, screened and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hydrometer.errors import InputError
from hydrometer.findings import Finding

if TYPE_CHECKING:
    from hydrometer.response_table import ResponseTable

#: More samples of a prompt and model than this are thinned at random: the work grows with their square.
MOST_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Draws:
    """The answers of two models to one prompt, in the order in which they were drawn."""

    prompt: str
    a: tuple[str, ...]
    b: tuple[str, ...]


class Counts(Finding):
    """What was compared and what was left out.

    Attributes:
        prompts: prompts that were compared.
        too_few: prompts left out because a model has fewer than two answers there that are not empty.
        samples: answers compared, of A and of B.
        empty: empty answers of A and of B. An empty answer may be an outage, and two endpoints that fail alike are
            not thereby the same: they are left out.
        repeated: compared prompts at which each model gave one text again and again.
        agreeing: those among them where both gave the same text.
        copied: prompts at which both gave the same texts, as often, and not always one text.
        thinned: answers left out because there were more than 200 of a model to a prompt.
    """

    prompts: int
    too_few: int
    samples: tuple[int, int]
    empty: tuple[int, int]
    repeated: int
    agreeing: int
    copied: int
    thinned: int


def draws_of(table: ResponseTable, a: str, b: str) -> Iterator[Draws]:
    """The answers of two models to the prompts that both were asked, empty ones as empty texts.

    Args:
        table: response set that holds both.
        a: name of the first model.
        b: name of the second.

    Yields:
        Prompts in the order of the table; those with nothing but empty answers come last.
    """
    import polars as pl

    pair = (table.find(a), table.find(b))
    blank = {
        (prompt, model): count for prompt, model, count in table.empty.group_by("prompt", "model").len().iter_rows()
    }
    for batch in table.batches():
        grouped = batch.group_by("prompt", maintain_order=True).agg(
            *(pl.col("response").filter(pl.col("model") == model).alias(str(model)) for model in pair)
        )
        for prompt, *texts in grouped.iter_rows():
            drawn = [(*one, *[""] * blank.pop((prompt, model), 0)) for one, model in zip(texts, pair, strict=True)]
            if all(drawn):
                yield Draws(table.prompts[prompt], *drawn)
    for prompt in sorted({prompt for prompt, _ in blank}):
        empty = [("",) * blank.get((prompt, model), 0) for model in pair]
        if all(empty):
            yield Draws(table.prompts[prompt], *empty)


@dataclass(slots=True)
class Tally:
    """Counts of what is read, while it is read."""

    prompts: int = 0
    too_few: int = 0
    single: int = 0
    samples: list[int] = field(default_factory=lambda: [0, 0])
    empty: list[int] = field(default_factory=lambda: [0, 0])
    repeated: int = 0
    agreeing: int = 0
    copied: int = 0
    thinned: int = 0

    def screened(self, draws: Iterable[Draws]) -> Iterator[Draws]:
        """The prompts that can be compared, without empty answers."""
        for one in draws:
            a, b = (tuple(text for text in texts if text.strip()) for texts in (one.a, one.b))
            self.empty[0] += len(one.a) - len(a)
            self.empty[1] += len(one.b) - len(b)
            if min(len(a), len(b)) < 2:
                self.too_few += 1
                self.single += max(len(one.a), len(one.b)) < 2
                continue
            self.prompts += 1
            self.samples[0] += len(a)
            self.samples[1] += len(b)
            once = len(set(a)) == len(set(b)) == 1
            self.repeated += once
            self.agreeing += once and a[0] == b[0]
            self.copied += not once and sorted(a) == sorted(b)
            yield Draws(one.prompt, a, b)

    def counts(self) -> Counts:
        """What was counted so far."""
        return Counts(
            prompts=self.prompts,
            too_few=self.too_few,
            samples=(self.samples[0], self.samples[1]),
            empty=(self.empty[0], self.empty[1]),
            repeated=self.repeated,
            agreeing=self.agreeing,
            copied=self.copied,
            thinned=self.thinned,
        )

    def require(self, a: str, b: str) -> None:
        """Refuse data without a prompt to compare.

        Raises:
            InputError: no common prompt, one answer per prompt, or nothing but empty answers.
        """
        if self.prompts:
            return
        if not self.too_few:
            raise InputError(f"{a} and {b} have no prompt in common", "Ask both the same prompts")
        if self.single == self.too_few:
            raise InputError(
                f"{a} and {b} answer each prompt once, and this test compares several answers to a prompt",
                "Sample each prompt about 10 times at temperature 1, or use `hydrometer kinship` for single answers",
            )
        raise InputError(
            f"At no prompt do both {a} and {b} have two answers ({self.too_few} common prompts, empty answers: "
            f"{self.empty[0]} and {self.empty[1]})",
            "Sample each prompt about 10 times, and look for outages where answers are empty",
        )


def require_level(level: float) -> None:
    """Refuse a level that is no chance.

    Raises:
        InputError: it is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"The level is {level:g}", "The level must be between 0 and 1, as 0.01")


def thinned(texts: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """At most `MOST_SAMPLES` of the answers, at random, in their order."""
    if len(texts) <= MOST_SAMPLES:
        return texts
    kept = np.sort(rng.choice(len(texts), MOST_SAMPLES, replace=False))
    return tuple(texts[i] for i in kept)


def never_vary(counts: Counts) -> str:
    """Why nothing can be said of answers that do not vary."""
    return (
        "each model gave one and the same text whenever a prompt was asked, as at temperature 0, so there is nothing "
        f"to permute. Both gave the same text at {counts.agreeing} of {counts.prompts} prompts. Sample at temperature 1"
    )


def notes_on(counts: Counts) -> tuple[str, ...]:
    """A line for all that was left out or is out of the ordinary, but for empty answers, which the set's notes name."""
    notes = []
    if counts.too_few:
        what = "1 prompt is" if counts.too_few == 1 else f"{counts.too_few} prompts are"
        notes.append(f"{what} left out: fewer than 2 answers that are not empty")
    if counts.repeated:
        notes.append(
            f"At {counts.repeated} of {counts.prompts} prompts each model gave one text again and again, the same as "
            f"the other at {counts.agreeing}; repeats from a cache would count as independent draws"
        )
    if counts.copied:
        where = f"{counts.copied} prompt{'s' * (counts.copied != 1)}"
        notes.append(f"At {where} both gave the same texts: copies do, independent draws seldom")
    if counts.thinned:
        notes.append(f"{counts.thinned} answers are left out: at most {MOST_SAMPLES} of a model to a prompt are used")
    return tuple(notes)
