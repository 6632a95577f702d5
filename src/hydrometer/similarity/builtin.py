"""A model-free estimate of response similarity: style, logic, content and overall from the texts alone.

Each aspect is a raw likeness in [0, 1] (modules `style`, `logic`, `content`); overall is their mean V on a scale of
fixed meaning, 1 + 4 * (V - Z) / (1 - Z): 1 is Z, the mean V of the reference's own answers to different prompts, 5 is
identity. Z depends on prompts and reference alone, so all subjects are measured with one yardstick. An aspect in which
the reference's answers are always alike has little room above its zero, and so counts little. A single prompt may fall
below 1, and is not held to it, because means would be biased; the aspects, 0 to 2, are held to their scale.

The matched score controls for length and formatting: marks of formatting and padding (text used again, in this answer
or another) are removed from both answers, both are cut to the same number of words, at most `MATCHED_WORDS`, and
the features of form are left out, on both sides of the yardstick.

This is an estimate, not a judge's score: the figures are on the same scale but are not comparable with judged ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hydrometer.errors import InputError
from hydrometer.similarity import content, logic, style
from hydrometer.similarity.text import (
    MAX_ANSWERS,
    Array,
    Codes,
    Hashes,
    Mask,
    Tokens,
    Vocabulary,
    answer_of,
    counted,
    ngrams,
    plain,
    tokenise,
)

MATCHED_WORDS = 100
"""Longest part of an answer that enters the matched score: an addition at the end of a long one changes nothing."""
SHORTEST_MATCHED = 10
"""Pairs with fewer words in common length have no matched score: two answers of nothing but padding are not alike."""
ZERO_PAIRS = 400
"""Pairs of answers to different prompts that the zero is estimated from, where there are enough prompts."""
SMALLEST_STRATUM = 5
"""Strata of fewer prompts are taken together: too few pairs for a zero of their own."""
LEAST_ROOM = 0.1
"""Where answers to different prompts are nearer to each other than 1 minus this, there is no scale and no score."""


@dataclass(frozen=True, slots=True)
class Grades:
    """Scores for each of n prompts; NaN where an answer is missing or empty.

    Attributes:
        style: 0 to 2.
        logic: 0 to 2.
        content: 0 to 2.
        overall: 5 is identity, 1 the level of different prompts; below 1 is possible and not cut off.
    """

    style: Array
    logic: Array
    content: Array
    overall: Array


@dataclass(frozen=True, slots=True)
class Pairing:
    """One subject against the reference: the scores and what puts them into proportion, per prompt.

    Attributes:
        grades: answers to the same prompt.
        mismatched: against the reference's answer to a different prompt of the stratum: the floor.
        matched: after both answers are brought to one length and stripped of formatting.
        length_ratio: words of the subject's answer over words of the reference's, shape (n,).
        formatting: likeness of the use of headings, lists, bold and code, 0 to 1, shape (n,).
        overlap: Dice share of distinct word trigrams that both answers have, 0 to 1, shape (n,).
    """

    grades: Grades
    mismatched: Grades
    matched: Grades
    length_ratio: Array
    formatting: Array
    overlap: Array


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything about n answers that enters a comparison."""

    n: int
    content: tuple[content.Vectors, ...]
    style: Mapping[str, Array]
    connectives: Array
    blocks: Array
    first_uses: logic.FirstUses

    def reordered(self, order: Codes) -> Profile:
        """The profile whose answer i is answer `order[i]` of this one."""
        target = np.argsort(order)
        return Profile(
            self.n,
            tuple(part.moved(target) for part in self.content),
            {name: features[order] for name, features in self.style.items()},
            self.connectives[order],
            self.blocks[order],
            self.first_uses.moved(target),
        )


class Yardstick:
    """The reference's answers, ready to be compared with those of any number of subjects.

    Args:
        prompts: n prompts, several turns joined.
        reference: the reference's answers; None or blank where there is none.
        strata: label of each prompt (its set and language); answers to different prompts are compared within one,
            strata of fewer than `SMALLEST_STRATUM` prompts taken together.
        seed: of the choice of different prompts.

    Raises:
        InputError: more prompts than can be handled at once.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        reference: Sequence[str | None],
        strata: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        if len(prompts) > MAX_ANSWERS:
            raise InputError(
                f"{len(prompts)} prompts are too many", f"Give at most {MAX_ANSWERS}, for instance a sample."
            )
        self._vocabulary = Vocabulary()
        self._n = len(prompts)
        self._prompts = content.grams(tokenise(prompts, self._vocabulary))
        self._answered = _answered(reference)
        self._tokens = tokenise([text or "" for text in reference], self._vocabulary)
        self._rarity = content.Rarity.of(self._grams(self._tokens), max(1, int(self._answered.sum())))
        self._trigrams = _trigrams(self._tokens)
        self._profile = self._profiled(self._tokens)
        labels = list(strata or [""] * self._n)
        sizes = Counter(labels)
        self._strata = [label if sizes[label] >= SMALLEST_STRATUM else "" for label in labels]
        self._orders = different_prompts(self._strata, self._answered, seed)
        others = [self._profile.reordered(order) for order in self._orders]
        self._zero = self._mean_by_stratum([self._raw(self._profile, other) for other in others])
        self._elsewhere = others[0]
        self._elsewhere_answered = self._answered[self._orders[0]] & (self._orders[0] != np.arange(self._n))
        self._plain = plain(self._tokens)
        self._plain_zero = self._zero_of_matched()

    def grades(self, subject: Sequence[str | None]) -> Grades:
        """Scores of the subject's answers to the same prompts."""
        scored = self._answered & _answered(subject)
        return self._graded(self._raw(self._profile, self._profiled(self._read(subject))), self._zero, scored)

    def compare(self, subject: Sequence[str | None]) -> Pairing:
        """Scores of the subject's answers, with their floor and controls."""
        tokens = self._read(subject)
        profile = self._profiled(tokens)
        answered = _answered(subject)
        both = self._answered & answered
        other = self._raw(self._elsewhere, profile)
        words = self._tokens.words_per_answer(), tokens.words_per_answer()
        missing = np.where(both, 0.0, np.nan)
        return Pairing(
            grades=self._graded(self._raw(self._profile, profile), self._zero, both),
            mismatched=self._graded(other, self._zero, self._elsewhere_answered & answered),
            matched=self._graded(self._raw_matched(plain(tokens)), self._plain_zero, both),
            length_ratio=missing + words[1] / np.maximum(words[0], 1),
            formatting=missing + style.bray_curtis(self._profile.style["formatting"], profile.style["formatting"]),
            overlap=missing + _shared(self._trigrams, _trigrams(tokens), self._n),
        )

    def _read(self, texts: Sequence[str | None]) -> Tokens:
        if len(texts) != self._n:
            raise ValueError(f"{len(texts)} answers to {self._n} prompts")
        return tokenise([text or "" for text in texts], self._vocabulary)

    def _grams(self, tokens: Tokens) -> tuple[content.Grams, ...]:
        """N-grams that are not the prompt's."""
        return tuple(ours.without(asked) for ours, asked in zip(content.grams(tokens), self._prompts, strict=True))

    def _profiled(self, tokens: Tokens) -> Profile:
        return Profile(
            tokens.n,
            self._rarity.vectors(self._grams(tokens), tokens.n),
            style.groups(tokens),
            logic.connectives(tokens),
            logic.blocks(tokens),
            logic.first_uses(tokens, self._prompts[0]),
        )

    def _raw(self, ours: Profile, theirs: Profile, *, form: bool = True) -> Array:
        """Likeness in style, logic and content, shape (n, 3)."""
        units = [style.bray_curtis(ours.connectives, theirs.connectives)]
        if form:
            units.append(style.bray_curtis(ours.blocks, theirs.blocks))
        order = logic.order_likeness(ours.first_uses, theirs.first_uses, self._n)
        return np.stack(
            [
                style.likeness(ours.style, theirs.style, form=form),
                (np.mean(units, axis=0) + order) / 2,
                content.likeness(ours.content, theirs.content, self._n),
            ],
            axis=1,
        )

    def _raw_matched(self, theirs: Tokens) -> Array:
        limits = _common_length(self._plain.words_per_answer(), theirs.words_per_answer())
        cut = (self._profiled(tokens.first_words(limits)) for tokens in (self._plain, theirs))
        return _where_long(self._raw(next(cut), next(cut), form=False), limits)

    def _zero_of_matched(self) -> Array:
        raws = []
        for order in self._orders:
            lengths = self._plain.words_per_answer()
            limits = _common_length(lengths, lengths[order])
            ours = self._profiled(self._plain.first_words(limits))
            back = np.argsort(order)
            theirs = self._profiled(self._plain.first_words(limits[back])).reordered(order)
            raws.append(_where_long(self._raw(ours, theirs, form=False), limits))
        return self._mean_by_stratum(raws)

    def _mean_by_stratum(self, raws: Sequence[Array]) -> Array:
        """Zero of each prompt: the mean over the different prompts of its stratum, shape (n, 3)."""
        identity = np.arange(self._n)
        usable = [
            self._answered & self._answered[order] & (order != identity) & np.isfinite(raw[:, 0])
            for raw, order in zip(raws, self._orders, strict=True)
        ]
        whole = np.concatenate([raw[kept] for raw, kept in zip(raws, usable, strict=True)])
        zero = np.tile(whole.mean(axis=0) if len(whole) else np.zeros(3), (self._n, 1))
        labels = np.array(self._strata)
        for label in dict.fromkeys(self._strata):
            rows = labels == label
            pairs = np.concatenate([raw[rows & kept] for raw, kept in zip(raws, usable, strict=True)])
            if len(pairs):
                zero[rows] = pairs.mean(axis=0)
        return zero

    @staticmethod
    def _graded(raw: Array, zero: Array, scored: Mask) -> Grades:
        room = 1 - zero
        pooled = room.mean(axis=1)
        raw = np.where((scored & (pooled >= LEAST_ROOM))[:, None], raw, np.nan)
        pooled = np.maximum(pooled, LEAST_ROOM)
        aspects = np.where(room > 0, (raw - zero) / np.where(room > 0, room, 1.0), np.floor(raw))
        manner, order, matter = 2 * np.clip(aspects, 0, 1).T
        return Grades(manner, order, matter, 1 + 4 * (1 - (1 - raw).mean(axis=1) / pooled))


def _common_length(ours: Codes, theirs: Codes) -> Codes:
    return np.minimum(np.minimum(ours, theirs), MATCHED_WORDS)


def _where_long(raw: Array, lengths: Codes) -> Array:
    return np.where((lengths >= SHORTEST_MATCHED)[:, None], raw, np.nan)


def different_prompts(strata: Sequence[str], usable: Mask, seed: int) -> list[Codes]:
    """Permutations that give every prompt another prompt of its stratum, no pair twice.

    One that is alone in its stratum, or not usable, keeps its place. There are as many permutations as bring
    `ZERO_PAIRS` pairs, as far as the largest stratum allows.
    """
    rng = np.random.default_rng(seed)
    labels = np.array(strata)
    cycles = []
    for label in dict.fromkeys(strata):
        members = np.flatnonzero((labels == label) & usable)
        cycles.append(rng.permutation(members))
    largest = max((len(cycle) for cycle in cycles), default=0)
    wanted = min(max(1, -(-ZERO_PAIRS // max(1, int(usable.sum())))), max(1, largest - 1))
    orders = []
    for shift in range(1, wanted + 1):
        order = np.arange(len(strata))
        for cycle in cycles:
            if len(cycle) > shift or shift == 1:
                order[cycle] = np.roll(cycle, -shift)
        orders.append(order)
    return orders


def _answered(texts: Sequence[str | None]) -> Mask:
    return np.array([bool(text and text.strip()) for text in texts], dtype=bool)


def _trigrams(tokens: Tokens) -> Hashes:
    return counted(*ngrams(tokens, 3))[0]


def _shared(ours: Hashes, theirs: Hashes, n: int) -> Array:
    """Dice share of the keys that both have, by answer."""
    shared = np.bincount(answer_of(np.intersect1d(ours, theirs, assume_unique=True)), minlength=n)
    sizes = np.bincount(answer_of(ours), minlength=n) + np.bincount(answer_of(theirs), minlength=n)
    return np.asarray(2 * shared / np.maximum(sizes, 1))
