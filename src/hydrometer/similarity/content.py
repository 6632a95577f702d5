"""Content: what two answers both say beyond what the prompt itself says, rare choices weighted up.

For each prompt the cosine of two vectors over word n-grams of sizes 1 and 2 (the mean of both cosines). A component is
(1 + ln count) * ln((N + 1) / (d + 1)), d being the number of the reference's N answers that hold the n-gram: the usual
sublinear TF-IDF, with the rarity taken from the reference alone so that every subject is measured with one yardstick.
N-grams of the prompt do not count, so that echoing the question is no likeness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hydrometer.similarity.text import (
    Array,
    Codes,
    Hashes,
    Kind,
    Mask,
    Tokens,
    answer_of,
    at_answer,
    counted,
    gram_of,
    ngrams,
)

SIZES = (1, 2)


@dataclass(frozen=True, slots=True)
class Grams:
    """Distinct n-grams of n answers, for one size: keys ascending, counts beside them."""

    keys: Hashes
    counts: Codes

    @property
    def answer(self) -> Codes:
        """Index of the answer of each key."""
        return answer_of(self.keys)

    def moved(self, target: Codes) -> Grams:
        """The same n-grams with answer i at place `target[i]`."""
        keys = at_answer(gram_of(self.keys), target[self.answer])
        order = np.argsort(keys)
        return Grams(keys[order], self.counts[order])

    def without(self, other: Grams) -> Grams:
        """Those whose n-gram is not in the same answer of `other`."""
        kept = ~_found(self.keys, other.keys)[1]
        return Grams(self.keys[kept], self.counts[kept])


def grams(tokens: Tokens) -> tuple[Grams, ...]:
    """N-grams of the words of each answer, one entry a size."""
    words = tokens.where(tokens.kind == Kind.WORD)
    return tuple(Grams(*counted(*ngrams(words, size))) for size in SIZES)


@dataclass(frozen=True, slots=True)
class Rarity:
    """In how many of the reference's N answers an n-gram occurs."""

    answers: int
    grams: tuple[tuple[Hashes, Codes], ...]

    @classmethod
    def of(cls, reference: Sequence[Grams], answers: int) -> Rarity:
        """Counted in the reference's n-grams."""
        return cls(answers, tuple(np.unique(gram_of(part.keys), return_counts=True) for part in reference))

    def weights(self, part: Grams, size_index: int) -> Array:
        """The component of each n-gram."""
        known, frequency = self.grams[size_index]
        at, hit = _found(gram_of(part.keys), known)
        seen = np.where(hit, frequency[at], 0) if len(known) else np.zeros(len(part.keys))
        return np.asarray((1 + np.log(part.counts)) * np.log((self.answers + 1) / (seen + 1)))


def likeness(reference: Sequence[Grams], subject: Sequence[Grams], rarity: Rarity, n: int) -> Array:
    """Mean cosine over the sizes for each of n prompts, in [0, 1].

    Where neither answer says anything beyond the prompt the cosine counts as 1, where only one does as 0. Shape (n,).
    """
    cosines = []
    for index, (ours, theirs) in enumerate(zip(reference, subject, strict=True)):
        a, b = rarity.weights(ours, index), rarity.weights(theirs, index)
        at, hit = _found(theirs.keys, ours.keys)
        dot = np.bincount(theirs.answer[hit], b[hit] * a[at[hit]], n)
        norms = np.bincount(ours.answer, a * a, n), np.bincount(theirs.answer, b * b, n)
        product = np.sqrt(norms[0] * norms[1])
        neither = (norms[0] == 0) & (norms[1] == 0)
        cosines.append(np.where(neither, 1.0, dot / np.where(product > 0, product, 1.0)))
    return np.asarray(np.minimum(np.mean(cosines, axis=0), 1.0))


def _found(wanted: Hashes, known: Hashes) -> tuple[Codes, Mask]:
    """For each wanted key, its place in the ascending `known`, and whether it is there."""
    if not len(known):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted
