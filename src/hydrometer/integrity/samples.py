"""Repeated answers of two models to the same prompts, made comparable: same prompts, same number, same lengths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

from hydrometer.errors import InputError

_IDEOGRAPH = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[^\W{_IDEOGRAPH}]+(?:['’][^\W{_IDEOGRAPH}]+)*|[{_IDEOGRAPH}]")
#: Answers to one prompt that share this much of their words (mean Jaccard similarity of pairs) say one thing.
_SAME = 0.8
#: Answers of one side this many times as long as the other's are worth a line.
_LONGER = 1.5


@dataclass(frozen=True, slots=True)
class Samples:
    """k answers of one model to each of several prompts.

    Attributes:
        model: its name.
        prompts: ids of the prompts, each once.
        texts: per prompt the answers in the order of the draws. Before `match`, an answer that failed or is blank is
            the empty text and prompts may have different numbers; afterwards none is blank and all have k.
        languages: of the prompts.
        categories: of the prompts.
        questions: the prompts themselves, for reports; empty texts where a recording does not hold them.
    """

    model: str
    prompts: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    questions: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together.

        Raises:
            ValueError: different numbers of rows, or a prompt twice.
        """
        columns = (self.texts, self.languages, self.categories, self.questions)
        if any(len(column) != len(self.prompts) for column in columns):
            raise ValueError("the columns have different numbers of prompts")
        if len(set(self.prompts)) < len(self.prompts):
            raise ValueError("a prompt is there twice")

    @property
    def k(self) -> int:
        """Answers per prompt, of matched samples; the most there are of others."""
        return max(map(len, self.texts), default=0)

    def of(self, prompts: Sequence[str]) -> Samples:
        """The samples of these prompts, in their order."""
        rows = {prompt: row for row, prompt in enumerate(self.prompts)}
        chosen = [rows[prompt] for prompt in prompts]
        return Samples(
            self.model,
            tuple(prompts),
            tuple(self.texts[row] for row in chosen),
            tuple(self.languages[row] for row in chosen),
            tuple(self.categories[row] for row in chosen),
            tuple(self.questions[row] for row in chosen),
        )


@dataclass(frozen=True, slots=True)
class Matched:
    """Student and teacher on the same prompts, with the same number of answers.

    Attributes:
        student: the student's answers.
        teacher: the teacher's, with the same prompts and k.
        trimmed: (student, teacher) with lengths made equal, for measures that length would decide: per prompt, the
            longest answer of each side is cut to the words of the shorter of the two (at least one), then the second
            longest of each, and so on. Both sides then have the same lengths, and none is cut further than it takes.
        notes: what was left out and why, and what limits the comparison; one line each.
    """

    student: Samples
    teacher: Samples
    trimmed: tuple[Samples, Samples]
    notes: tuple[str, ...]


def words(text: str) -> list[str]:
    """Words in lower case; of Chinese and Japanese each character."""
    return _WORD.findall(text.lower())


def match(student: Samples, teacher: Samples) -> Matched:
    """Put two models' answers side by side.

    Blank answers are left out. k is the number that keeps the most answers: prompts with fewer on either side are
    left out, and of more, the first k draws count.

    Raises:
        InputError: one answer per prompt, no common prompts, too few answers that are not blank, or the same answers
            on both sides.
    """
    known = frozenset(student.prompts)
    common = [prompt for prompt in teacher.prompts if prompt in known]
    if not common:
        raise InputError(
            f"{student.model} and {teacher.model} have no prompt in common",
            "Give both the same prompts with --prompts.",
        )
    notes = list(_different_prompts(student, teacher, len(common)))
    sides = student.of(common), teacher.of(common)
    for side in sides:
        if side.k < 2:
            raise InputError(
                f"{side.model} has one answer per prompt, and what varies is seen from two on",
                "Take several draws with --samples, or record them with the column `sample`.",
            )
    notes += _blanks(sides)
    full = tuple(_without_blanks(side) for side in sides)
    sizes = [min(len(ours), len(theirs)) for ours, theirs in zip(full[0].texts, full[1].texts, strict=True)]
    candidates = {k: sum(size >= k for size in sizes) for k in range(2, max(sizes) + 1)}
    if not candidates:
        raise InputError(
            f"No prompt has two answers that are not empty from both {student.model} and {teacher.model}",
            "Record the answers anew, or see `hydrometer models check`.",
        )
    k = max(candidates, key=lambda k: (k * candidates[k], candidates[k]))
    notes += _different_numbers(sides, sizes, k)
    kept = [prompt for prompt, size in zip(common, sizes, strict=True) if size >= k]
    ours, theirs = (_first(side.of(kept), k) for side in full)
    if all(sorted(a) == sorted(b) for a, b in zip(ours.texts, theirs.texts, strict=True)):
        raise InputError(
            f"{student.model} and {teacher.model} gave the same answers, word for word, to all {len(kept)} prompts",
            "Check that the two names stand for two models, sampled apart.",
        )
    notes += _collapsed(theirs)
    notes += _lengths(ours, theirs)
    return Matched(ours, theirs, _trimmed(ours, theirs), tuple(notes))


def _without_blanks(side: Samples) -> Samples:
    return replace(side, texts=tuple(tuple(text for text in texts if text.strip()) for texts in side.texts))


def _first(side: Samples, k: int) -> Samples:
    return replace(side, texts=tuple(texts[:k] for texts in side.texts))


def _different_prompts(student: Samples, teacher: Samples, common: int) -> Iterable[str]:
    for one, other in ((student, teacher), (teacher, student)):
        if len(one.prompts) > common:
            yield (
                f"{len(one.prompts) - common} of {len(one.prompts)} prompts of {one.model} have no answer of "
                f"{other.model} and were left out."
            )


def _blanks(sides: tuple[Samples, Samples]) -> Iterable[str]:
    for side in sides:
        blank = sum(not text.strip() for texts in side.texts for text in texts)
        if blank:
            total = sum(map(len, side.texts))
            yield f"{blank} of {total} answers of {side.model} are empty or failed and were left out."


def _different_numbers(sides: tuple[Samples, Samples], sizes: Sequence[int], k: int) -> Iterable[str]:
    student, teacher = sides
    if student.k != teacher.k:
        yield (
            f"{student.model} has {student.k} answers per prompt and {teacher.model} {teacher.k}; "
            f"the first {k} of each were compared."
        )
    elif k < student.k:
        yield f"The first {k} of {student.k} answers per prompt were compared, as some are missing."
    short = sum(size < k for size in sizes)
    if short:
        yield f"{short} of {len(sizes)} prompts have fewer than {k} answers on one side and were left out."


def _collapsed(teacher: Samples) -> Iterable[str]:
    """Lines on a teacher that leaves a student nothing to lose."""
    sets = [[frozenset(words(text)) for text in texts] for texts in teacher.texts]
    flat = sum(_likeness(answers) >= _SAME for answers in sets)
    if 2 * flat >= len(sets):
        yield (
            f"The teacher is itself collapsed: to {flat} of {len(sets)} prompts {teacher.model} gives nearly the same "
            "words every time, so there is little that a student could lose. Was it sampled at a low temperature?"
        )
    spread = Counter(answer for answers in sets for answer in dict.fromkeys(answers))
    common = sum(spread[answer] > 1 for answers in sets for answer in answers)
    if 2 * common >= len(sets) * teacher.k and len(sets) > 1:
        yield (
            f"The teacher is itself collapsed: {common} of {len(sets) * teacher.k} answers of {teacher.model} are its "
            "answers to other prompts as well."
        )


def _likeness(answers: Sequence[frozenset[str]]) -> float:
    """Mean Jaccard similarity of all pairs."""
    pairs = list(combinations(answers, 2))
    return sum(len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs) / len(pairs)


def _lengths(student: Samples, teacher: Samples) -> Iterable[str]:
    ours, theirs = (median(len(words(text)) for texts in side.texts for text in texts) for side in (student, teacher))
    if max(ours, theirs) > _LONGER * min(ours, theirs):
        yield (
            f"The median answer of {student.model} has {ours:g} words, of {teacher.model} {theirs:g}; measures that "
            "length would decide are taken on answers cut to the same lengths."
        )


def _trimmed(student: Samples, teacher: Samples) -> tuple[Samples, Samples]:
    """Both sides with the same lengths, rank by rank within each prompt."""
    ours: list[tuple[str, ...]] = []
    theirs: list[tuple[str, ...]] = []
    for a, b in zip(student.texts, teacher.texts, strict=True):
        ends = _word_ends(a), _word_ends(b)
        limits = [0] * len(a), [0] * len(b)
        for i, j in zip(*map(_ranked, ends), strict=True):
            limits[0][i] = limits[1][j] = max(1, min(len(ends[0][i]), len(ends[1][j])))
        ours.append(tuple(map(_cut, a, ends[0], limits[0])))
        theirs.append(tuple(map(_cut, b, ends[1], limits[1])))
    return replace(student, texts=tuple(ours)), replace(teacher, texts=tuple(theirs))


def _word_ends(texts: Sequence[str]) -> list[list[int]]:
    return [[found.end() for found in _WORD.finditer(text)] for text in texts]


def _ranked(ends: Sequence[Sequence[int]]) -> list[int]:
    """Places of the answers from the shortest to the longest."""
    return sorted(range(len(ends)), key=lambda place: len(ends[place]))


def _cut(text: str, ends: Sequence[int], limit: int) -> str:
    """The text up to its `limit`-th word; whole where it has no more."""
    return text if limit >= len(ends) else text[: ends[limit - 1]]
