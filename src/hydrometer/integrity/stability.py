"""Edge cases and stability: does the answer change when the same question is asked in another way?

A reply is right where one of the question's accepted answers stands in it as whole words (of Chinese, as a run of
characters), after normalisation: width, case, accents, punctuation and thousands separators do not count. An accepted
answer inside a denial is taken for right; questions that ask for the answer alone make that rare.

A variant changes the answer where one reply is right and the other is not. Two right replies say the same. Two wrong
ones say the same where their cores are equal: the words of the reply without those of the question and without
articles and the like. Where a core is longer than `LONGEST` words, or is in another language than the original's,
nothing can be said, and the pair is counted as undetermined. Blank and failed replies are counted, never scored.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hydrometer.integrity.findings import Stability, Steadiness
from hydrometer.integrity.inference import mean_estimate, resampling
from hydrometer.integrity.metrics import Metric
from hydrometer.integrity.samples import Samples
from hydrometer.stats import Array

#: Words of the longest core that still is a short answer.
LONGEST = 8
ORIGINAL = "original"
_TOKEN = re.compile(
    r"[0-9]+(?:\.[0-9]+)?|[^\W0-9_\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+|[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)
_THOUSANDS = re.compile(r"(?<=[0-9])[,' \u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_FILLERS = frozenset(
    (
        *("a", "an", "the", "is", "are", "was", "were", "be", "it", "its", "this", "that", "s", "of", "in", "on", "to"),
        *("and", "or", "i", "answer", "name", "的", "了", "是", "这", "那", "答", "案", "为", "个"),
    )
)


class Asked(Protocol):
    """One way of asking a question, as `prompts.integrity_sets.Variant`, in which the fields are explained."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def base(self) -> str: ...  # noqa: D102
    @property
    def way(self) -> str: ...  # noqa: D102
    @property
    def language(self) -> str: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def turns(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def answers(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions in several ways with one reply of each model to each.

    Attributes:
        variants: the ways of asking, the original of each question among them.
        teacher: replies; a prompt's id is a variant's.
        student: replies.
    """

    variants: Sequence[Asked]
    teacher: Samples
    student: Samples


@dataclass(frozen=True, slots=True, eq=False)
class Replies:
    """What one model's replies come to, by variant; NaN where nothing can be said.

    Attributes:
        right: 1 for a reply with an accepted answer, else 0. Shape (variants,).
        changed: 1 where it differs from the reply to the original, else 0; NaN at the originals. Shape (variants,).
        blank: replies that are empty or missing.
        undetermined: pairs of wrong replies that cannot be compared.
    """

    right: Array
    changed: Array
    blank: int
    undetermined: int


def stability(questions: Questions, resamples: int, seed: int) -> tuple[list[Metric], Stability]:
    """Measures per question, and their breakdown by way and category.

    Args:
        questions: with both models' replies.
        resamples: of the questions, behind the intervals of the breakdown.
        seed: of the resampling.
    """
    variants = questions.variants
    teacher, student = (judged(variants, replies(variants, side)) for side in (questions.teacher, questions.student))
    bases = list(dict.fromkeys(one.base for one in variants))
    rows = {base: [at for at, one in enumerate(variants) if one.base == base] for base in bases}
    draws = resampling(len(bases), resamples, seed)

    def per_question(side: Array, keep: Callable[[Asked], bool] = lambda _: True) -> Array:
        return np.array([_mean([side[at] for at in rows[base] if keep(variants[at])]) for base in bases])

    def group(name: str, keep: Callable[[Asked], bool]) -> Steadiness:
        found = [
            mean_estimate(per_question(side, keep), draws)
            for side in (teacher.changed, student.changed, teacher.right, student.right)
        ]
        return Steadiness(
            group=name,
            teacher_changed=found[0],
            student_changed=found[1],
            teacher_right=found[2],
            student_right=found[3],
        )

    ways = list(dict.fromkeys(one.way for one in variants))
    categories = list(dict.fromkeys(one.category for one in variants))
    metrics = [
        Metric(
            "answers changed",
            "stability",
            False,
            per_question(teacher.changed),
            per_question(student.changed),
            worst=1.0,
        ),
        Metric("answers right", "stability", True, per_question(teacher.right), per_question(student.right)),
    ]
    originals = [at for at, one in enumerate(variants) if one.way == ORIGINAL]
    return metrics, Stability(
        questions=int(np.isfinite(teacher.right[originals] + student.right[originals]).sum()),
        blank=(teacher.blank, student.blank),
        undetermined=(teacher.undetermined, student.undetermined),
        by_way=tuple(group(way, lambda one, way=way: one.way == way) for way in ways),  # type: ignore[misc]
        by_category=tuple(
            group(category, lambda one, category=category: one.category == category)  # type: ignore[misc]
            for category in categories
        ),
    )


def replies(variants: Sequence[Asked], side: Samples) -> list[str]:
    """The first reply to each variant; empty where there is none."""
    found = {prompt: texts[0] if texts else "" for prompt, texts in zip(side.prompts, side.texts, strict=True)}
    return [found.get(one.id, "") for one in variants]


def judged(variants: Sequence[Asked], texts: Sequence[str]) -> Replies:
    """Which replies are right, and which differ from the reply to the original question.

    Args:
        variants: with one original for each question.
        texts: the reply to each.
    """
    known = [bool(text.strip()) for text in texts]
    right = np.array(
        [
            float(accepted(text, one.answers)) if there else math.nan
            for one, text, there in zip(variants, texts, known, strict=True)
        ]
    )
    original = {one.base: at for at, one in enumerate(variants) if one.way == ORIGINAL}
    changed = np.full(len(variants), math.nan)
    undetermined = 0
    for at, one in enumerate(variants):
        start = original.get(one.base)
        if one.way == ORIGINAL or start is None or not (known[at] and known[start]):
            continue
        if right[at] or right[start]:
            changed[at] = float(right[at] != right[start])
            continue
        same = _same(variants[start], texts[start], one, texts[at])
        if same is None:
            undetermined += 1
        else:
            changed[at] = float(not same)
    return Replies(right, changed, known.count(False), undetermined)


def accepted(reply: str, answers: Sequence[str]) -> bool:
    """Whether an accepted answer stands in the reply as whole words."""
    found = normalised(reply)
    for answer in answers:
        wanted = normalised(answer)
        size = len(wanted)
        if size and any(found[at : at + size] == wanted for at in range(len(found) - size + 1)):
            return True
    return False


def normalised(text: str) -> list[str]:
    """Numbers, words and single ideographs; without regard to width, case, accents and thousands separators."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = unicodedata.normalize("NFC", "".join(c for c in plain if not _accent(c)))
    return _TOKEN.findall(_THOUSANDS.sub("", plain))


def core(reply: str, question: str) -> tuple[str, ...]:
    """What a reply says beyond its question."""
    known = {*normalised(question), *_FILLERS}
    return tuple(word for word in normalised(reply) if word not in known)


def _same(original: Asked, first: str, variant: Asked, second: str) -> bool | None:
    """Whether two wrong replies say the same; None where that cannot be said."""
    if normalised(first) == normalised(second):
        return True
    cores = core(first, " ".join(original.turns)), core(second, " ".join(variant.turns))
    if any(len(one) > LONGEST or not one for one in cores) or original.language != variant.language:
        return None
    return cores[0] == cores[1]


def _accent(character: str) -> bool:
    """A mark on a Latin letter; those of kana are letters' own."""
    return "\u0300" <= character <= "\u036f"


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
