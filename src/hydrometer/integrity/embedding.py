"""Answers as vectors without a model: rarity-weighted words, reduced to the directions that carry most.

Latent semantic analysis (Deerwester et al. 1990) over the pool of both models' answers: words (of Chinese, pairs of
characters) with sublinear counts and inverse document frequency, folded into a fixed number of cells by a signed hash
(Weinberger et al. 2009), then projected on the leading principal directions. Vectors of an embedding model can stand
in its place: every measure only sees a `Space`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hydrometer.integrity.samples import Matched, words
from hydrometer.stats import Array

#: Directions kept.
DIMENSIONS = 128
_CELLS = 2048
_CHUNK = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Unit vectors of all answers; an answer in which nothing was found is the zero vector.

    Attributes:
        teacher: shape (prompts, k, d).
        student: shape (prompts, k, d).
        source: what made the vectors, for the report.
    """

    teacher: Array
    student: Array
    source: str


def units(text: str) -> list[str]:
    """What a text is made of: words, and of Chinese and Japanese pairs of characters as well."""
    found = words(text)
    pairs = [a + b for a, b in pairwise(found) if len(a) == len(b) == 1 and not (a + b).isascii()]
    return found + pairs


def lexical_space(matched: Matched) -> Space:
    """The built-in vectors of the length-matched answers of both models."""
    student, teacher = matched.trimmed
    texts = [text for side in (teacher, student) for answers in side.texts for text in answers]
    counts = [Counter(units(text)) for text in texts]
    rarity = _rarity(counts)
    leading = _directions(counts, rarity)
    vectors = np.zeros((len(texts), leading.shape[1]))
    for start, folded in _folded(counts, rarity):
        vectors[start : start + len(folded)] = unit_rows(folded @ leading)
    shape = (2, len(teacher.prompts), teacher.k, -1)
    ours, theirs = vectors.reshape(shape)
    return Space(ours, theirs, "words (latent semantic analysis)")


def unit_rows(vectors: Array) -> Array:
    """Rows scaled to length 1; rows of length 0 stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float64)


def _directions(counts: Sequence[Counter[str]], rarity: dict[str, tuple[int, float]]) -> Array:
    """Leading principal directions of the folded vectors, shape (cells, d); by the smaller of the two Gram matrices."""
    kept = min(DIMENSIONS, len(counts))
    if len(counts) <= _CELLS:
        rows = np.concatenate([folded for _, folded in _folded(counts, rarity)])
        values, sides = np.linalg.eigh(rows @ rows.T)
        return np.asarray(rows.T @ (sides[:, ::-1] / np.sqrt(np.maximum(values[::-1], 1e-12)))[:, :kept])
    covariance = np.zeros((_CELLS, _CELLS))
    for _, folded in _folded(counts, rarity):
        covariance += folded.T @ folded
    return np.asarray(np.linalg.eigh(covariance)[1][:, ::-1][:, :kept])


def _rarity(counts: Sequence[Counter[str]]) -> dict[str, tuple[int, float]]:
    """Cell and signed weight of each unit."""
    spread = Counter(unit for count in counts for unit in count)
    table = {}
    for unit, holders in spread.items():
        digest = int.from_bytes(hashlib.blake2b(unit.encode("utf-8", "replace"), digest_size=8).digest(), "little")
        weight = float(np.log((len(counts) + 1) / holders))
        table[unit] = digest % _CELLS, weight if digest >> 63 else -weight
    return table


def _folded(counts: Sequence[Counter[str]], rarity: dict[str, tuple[int, float]]) -> Iterator[tuple[int, Array]]:
    """Folded unit vectors, a chunk of answers at a time: (first answer, shape (chunk, cells))."""
    for start in range(0, len(counts), _CHUNK):
        chunk = counts[start : start + _CHUNK]
        folded = np.zeros((len(chunk), _CELLS))
        for row, count in enumerate(chunk):
            if count:
                cells, weights = np.array([rarity[unit] for unit in count]).T
                sizes = 1 + np.log(np.fromiter(count.values(), dtype=np.float64, count=len(count)))
                np.add.at(folded[row], cells.astype(np.int64), weights * sizes)
        yield start, unit_rows(folded)
