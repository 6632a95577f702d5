"""Logic: the order and kind of the discourse units, and whether shared ideas come in the same order.

Units are connectives, which announce a sequence, an addition, a contrast, a cause, a result, an example, a condition, a
purpose or a summary, and blocks: headings, list items, numbered steps, quotations, code and tables. Each is counted in
the third of the answer in which it stands, and two answers are compared by the Bray-Curtis similarity of the roots of
the counts, connectives and blocks apart.

Order of ideas: of the words that both answers use (not the prompt's, not function words), each at its first use, the
Spearman rank correlation of both orders, held to [0, 1], times the root of the share of the terser answer's words that
is shared: an order among three words of two hundred says little.

Logic is the mean of units and order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hydrometer.similarity.content import Grams
from hydrometer.similarity.lexicon import CUE_CLASSES
from hydrometer.similarity.text import (
    LINE_KINDS,
    Array,
    Codes,
    Hashes,
    Kind,
    Mask,
    Small,
    Tokens,
    answer_of,
    at_answer,
    gram_of,
)

PARTS = 3


@dataclass(frozen=True, slots=True)
class FirstUses:
    """The content words of n answers: keys ascending, and the place in the stream of each one's first use."""

    keys: Hashes
    place: Codes

    def moved(self, target: Codes) -> FirstUses:
        """The same words with answer i at place `target[i]`."""
        keys = at_answer(gram_of(self.keys), target[answer_of(self.keys)])
        order = np.argsort(keys)
        return FirstUses(keys[order], self.place[order])


def connectives(tokens: Tokens) -> Array:
    """Roots of the counts of connectives by class and third of the answer. Shape (n, classes * PARTS)."""
    return _by_part(tokens, tokens.cue > 0, tokens.cue, len(CUE_CLASSES) + 1)


def blocks(tokens: Tokens) -> Array:
    """Roots of the counts of marked lines by kind and third of the answer. Shape (n, kinds * PARTS)."""
    return _by_part(tokens, np.isin(tokens.kind, LINE_KINDS[1:]), tokens.kind, len(Kind))


def first_uses(tokens: Tokens, prompt: Grams) -> FirstUses:
    """Content words of each answer that are not in its prompt; `prompt` holds the prompts' single words."""
    at = np.flatnonzero((tokens.kind == Kind.WORD) & (tokens.column == 0))
    keys, first = np.unique(at_answer(tokens.hashes[at], tokens.answer[at]), return_index=True)
    kept = ~np.isin(keys, prompt.keys, assume_unique=True)
    return FirstUses(keys[kept], at[first[kept]])


def order_likeness(reference: FirstUses, subject: FirstUses, n: int) -> Array:
    """Likeness of the order of shared ideas for each prompt, in [0, 1]. Shape (n,)."""
    shared, at_a, at_b = np.intersect1d(reference.keys, subject.keys, assume_unique=True, return_indices=True)
    answer = answer_of(shared)
    k = np.bincount(answer, minlength=n)
    gap = _ranks(reference.place[at_a], answer, k) - _ranks(subject.place[at_b], answer, k)
    squares = np.bincount(answer, gap.astype(float) ** 2, n)
    spearman = np.clip(1 - 6 * squares / np.maximum(k * (k * k - 1.0), 1.0), 0, 1)
    ours, theirs = (np.bincount(answer_of(uses.keys), minlength=n) for uses in (reference, subject))
    spearman = np.where(k > 1, spearman, (k == 1) & (ours == 1) & (theirs == 1))
    coverage = np.sqrt(k / np.maximum(np.minimum(ours, theirs), 1))
    return np.where((ours == 0) & (theirs == 0), 1.0, spearman * coverage)


def _by_part(tokens: Tokens, mask: Mask, column: Small, columns: int) -> Array:
    sizes = np.bincount(tokens.answer, minlength=tokens.n)
    starts = np.cumsum(sizes) - sizes
    at = np.flatnonzero(mask)
    answer = tokens.answer[at]
    part = (at - starts[answer]) * PARTS // np.maximum(sizes, 1)[answer]
    size = columns * PARTS
    cells = np.bincount(answer * size + column[at] * PARTS + part, minlength=tokens.n * size)
    return np.sqrt(cells.reshape(tokens.n, size))


def _ranks(place: Codes, answer: Codes, sizes: Codes) -> Codes:
    """Rank of each place within its answer."""
    by_answer = np.lexsort((place, answer))
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(place), dtype=np.int64)
    ranks[by_answer] = np.arange(len(place)) - starts[answer[by_answer]]
    return ranks
