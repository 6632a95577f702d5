"""Answer classes: which of the answers to one prompt say the same thing.

Two answers are one class where they share a third or more of what sets answers to this prompt apart: cosine of
their words (of Chinese, pairs of characters), weighted by rarity among the pooled answers to the prompt, at least
`SAME`, under average linkage. What all answers say, the words of the question among it, hardly weighs; which name,
number, choice or plot an answer has does. Classes are found in the answers of both models together, so that a class of
the teacher can be looked for in the student.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hydrometer.integrity.embedding import units
from hydrometer.integrity.samples import Matched
from hydrometer.stats import Array, Codes

#: Cosine from which on two answers say the same.
SAME = 1 / 3


def answer_classes(matched: Matched) -> tuple[Codes, Codes]:
    """Class of each answer, numbered within its prompt.

    Returns:
        (teacher, student), each of shape (prompts, k).
    """
    student, teacher = matched.trimmed
    found = np.array(
        [cluster(similarities([*theirs, *ours])) for theirs, ours in zip(teacher.texts, student.texts, strict=True)]
    )
    return found[:, : teacher.k], found[:, teacher.k :]


def similarities(texts: Sequence[str]) -> Array:
    """Cosines of the texts' units, weighted by rarity among these texts; shape (n, n), 1 on the diagonal."""
    found = [Counter(units(text)) for text in texts]
    spread = Counter(unit for one in found for unit in one)
    index = {unit: column for column, unit in enumerate(spread)}
    rarity = np.log((len(texts) + 1) / np.fromiter(spread.values(), dtype=np.float64, count=len(spread)))
    matrix = np.zeros((len(texts), len(index)))
    for row, one in enumerate(found):
        columns = [index[unit] for unit in one]
        matrix[row, columns] = rarity[columns]
    length = np.sqrt((matrix**2).sum(axis=1))
    cosines = (matrix @ matrix.T) / np.maximum(np.outer(length, length), 1e-12)
    same = [[a == b for b in texts] for a in texts]
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
    alive: NDArray[np.bool_] = np.ones(n, dtype=bool)
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
        alive[b] = False
    labels = np.zeros(n, dtype=np.int64)
    ordered = sorted((group for group, lives in zip(groups, alive, strict=True) if lives), key=min)
    for number, group in enumerate(ordered):
        labels[group] = number
    return labels
