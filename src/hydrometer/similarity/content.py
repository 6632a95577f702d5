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

    def without(self, other: Grams) -> Grams:
        """Those whose n-gram is not in the same answer of `other`."""
        kept = ~_found(self.keys, other.keys)[1]
        return Grams(self.keys[kept], self.counts[kept])


@dataclass(frozen=True, slots=True)
class Vectors:
    """One sparse vector for each of n answers: keys ascending, components beside them, and the squared lengths (n,)."""

    keys: Hashes
    components: Array
    squares: Array

    def moved(self, target: Codes) -> Vectors:
        """The same vectors with that of answer i at place `target[i]`."""
        keys = at_answer(gram_of(self.keys), target[answer_of(self.keys)])
        order = np.argsort(keys)
        squares = np.empty_like(self.squares)
        squares[target] = self.squares
        return Vectors(keys[order], self.components[order], squares)


def grams(tokens: Tokens) -> tuple[Grams, ...]:
    """N-grams of the words of each answer, one entry a size."""
    return tuple(Grams(*counted(*ngrams(tokens, size))) for size in SIZES)


@dataclass(frozen=True, slots=True)
class Rarity:
    """In how many of the reference's N answers an n-gram occurs, by size."""

    answers: int
    frequencies: tuple[tuple[Hashes, Codes], ...]

    @classmethod
    def of(cls, reference: Sequence[Grams], answers: int) -> Rarity:
        """Counted in the reference's n-grams."""
        return cls(answers, tuple(np.unique(gram_of(part.keys), return_counts=True) for part in reference))

    def vectors(self, parts: Sequence[Grams], n: int) -> tuple[Vectors, ...]:
        """The vectors of n answers, one entry a size."""
        found = []
        for part, (known, frequency) in zip(parts, self.frequencies, strict=True):
            at, hit = _found(gram_of(part.keys), known)
            seen = np.where(hit, frequency[at], 0) if len(known) else np.zeros(len(part.keys))
            components = (1 + np.log(part.counts)) * np.log((self.answers + 1) / (seen + 1))
            squares = np.bincount(answer_of(part.keys), components**2, n).astype(np.float64)
            found.append(Vectors(part.keys, components, squares))
        return tuple(found)


def likeness(reference: Sequence[Vectors], subject: Sequence[Vectors], n: int) -> Array:
    """Mean cosine over the sizes for each of n prompts, in [0, 1]. Shape (n,).

    Where neither answer says anything beyond the prompt the cosine counts as 1, where only one does as 0.
    """
    cosines = []
    for ours, theirs in zip(reference, subject, strict=True):
        at, hit = _found(theirs.keys, ours.keys)
        dot = np.bincount(answer_of(theirs.keys[hit]), theirs.components[hit] * ours.components[at[hit]], n)
        product = np.sqrt(ours.squares * theirs.squares)
        neither = (ours.squares == 0) & (theirs.squares == 0)
        cosines.append(np.where(neither, 1.0, dot / np.where(product > 0, product, 1.0)))
    return np.asarray(np.minimum(np.mean(cosines, axis=0), 1.0))


def _found(wanted: Hashes, known: Hashes) -> tuple[Codes, Mask]:
    """For each wanted key, its place in the ascending `known`, and whether it is there."""
    if not len(known):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted
