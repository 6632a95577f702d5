"""Answer classes: which of the answers to one prompt say the same thing.

Two answers are one class where they share a third or more of what sets answers apart: cosine of their words (of
Chinese, pairs of characters), weighted, at least `SAME`, under average linkage. A word weighs by its rarity among the
prompts, so that tone, filler and stock phrases hardly count; words of the question count nothing; and of its weight a
word loses up to half by the share of answers to this prompt that have it, as what all answers say tells them apart
least. That share is the smaller one of the two models where both have the word: else the answer that a collapsed model
always gives would weigh less, and its repetitions look different.

Classes are found in the answers of both models together, so that a class of the teacher can be looked for in the
student.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hydrometer.integrity.embedding import units
from hydrometer.integrity.samples import Matched
from hydrometer.stats import Array, Codes

#: Cosine from which on two answers say the same.
SAME = 1 / 3
#: Share of its weight that a word loses where all answers have it.
COMMON_LOSS = 0.5


def answer_classes(matched: Matched) -> tuple[Codes, Codes]:
    """Class of each answer, numbered within its prompt.

    Returns:
        (teacher, student), each of shape (prompts, k).
    """
    student, teacher = matched.trimmed
    said = [
        [[unit for unit in dict.fromkeys(units(text)) if unit not in asked] for text in (*theirs, *ours)]
        for theirs, ours, asked in zip(
            teacher.texts, student.texts, (frozenset(units(one)) for one in teacher.questions), strict=True
        )
    ]
    spread = Counter(unit for answers in said for unit in dict.fromkeys(unit for one in answers for unit in one))
    rarity = {unit: math.log1p(len(said) / prompts) for unit, prompts in spread.items()}
    found = np.array([cluster(similarities(answers, (teacher.k, student.k), rarity)) for answers in said])
    return found[:, : teacher.k], found[:, teacher.k :]


def similarities(answers: Sequence[Sequence[str]], sizes: Sequence[int], rarity: Mapping[str, float]) -> Array:
    """Cosines of weighted units, shape (n, n), 1 between answers with the same units.

    Args:
        answers: units of the answers to one prompt, each once in an answer, model after model.
        sizes: answers of each model.
        rarity: of each unit among the prompts.
    """
    index = {unit: column for column, unit in enumerate(dict.fromkeys(unit for one in answers for unit in one))}
    has = np.zeros((len(answers), len(index)))
    for row, one in enumerate(answers):
        has[row, [index[unit] for unit in one]] = 1.0
    ends = np.cumsum(sizes)
    shares = np.stack([has[end - size : end].mean(axis=0) for end, size in zip(ends, sizes, strict=True)])
    share = np.where((shares > 0).all(axis=0), shares.min(axis=0), shares.mean(axis=0))
    weighted = has * np.array([rarity[unit] for unit in index]) * (1 - COMMON_LOSS * share)
    length = np.sqrt((weighted**2).sum(axis=1))
    cosines = (weighted @ weighted.T) / np.maximum(np.outer(length, length), 1e-12)
    same = [[set(a) == set(b) for b in answers] for a in answers]
    return np.where(same, 1.0, cosines)


def cluster(likeness: Array, threshold: float = SAME) -> Codes:
    """Average-linkage clusters at a threshold, numbered by first appearance.

    Args:
        likeness: similarities, shape (n, n).
        threshold: clusters are joined while their mean similarity is at least this.
    """
    n = len(likeness)
    groups: list[list[int]] = [[item] for item in range(n)]
    mean = likeness.astype(np.float64).copy()
    np.fill_diagonal(mean, -np.inf)
    while True:
        best = int(np.argmax(mean))
        a, b = divmod(best, n)
        if mean[a, b] < threshold:
            break
        sizes = len(groups[a]), len(groups[b])
        joined = (mean[a] * sizes[0] + mean[b] * sizes[1]) / sum(sizes)
        mean[a], mean[:, a] = joined, joined
        mean[b], mean[:, b] = -np.inf, -np.inf
        mean[a, a] = -np.inf
        groups[a] += groups[b]
        groups[b] = []
    labels = np.zeros(n, dtype=np.int64)
    for number, group in enumerate(sorted(filter(None, groups), key=min)):
        labels[group] = number
    return labels
