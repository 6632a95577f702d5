"""Homogenisation across prompts: how alike a model's answers to different prompts are.

Both models answer the same prompts, so what the prompts have in common is on both sides; what is left is the model's
own sameness: one tone, one frame, one opening for everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from hydrometer.integrity.diversity import OPENING, opened
from hydrometer.integrity.embedding import Space
from hydrometer.integrity.metrics import Metric
from hydrometer.integrity.samples import Matched, Samples, words
from hydrometer.stats import Array


def homogenisation(matched: Matched, space: Space, draws: Array) -> list[Metric]:
    """Likeness of answers to different prompts in words and vectors, and openings that come back at other prompts.

    Args:
        matched: the answers.
        space: their vectors.
        draws: how often each prompt is drawn in each resample, shape (resamples, prompts).
    """
    student, teacher = matched.trimmed
    centroids = space.teacher.mean(axis=1), space.student.mean(axis=1)
    alike = _across(centroids[0] @ centroids[0].T, centroids[1] @ centroids[1].T, draws)
    shared = _across(_shared_words(teacher), _shared_words(student), draws)
    openings = _across(_same_openings(teacher), _same_openings(student), draws)
    return [
        Metric("words shared across prompts", "homogenisation", False, *shared, worst=1.0),
        Metric("likeness across prompts", "homogenisation", False, *alike, worst=1.0),
        Metric("opening used elsewhere", "openings", False, *openings, worst=1.0),
    ]


def across(likeness: Array, weights: Array) -> Array:
    """Mean likeness of two different prompts, each as often as it is drawn.

    Args:
        likeness: of each two prompts, shape (prompts, prompts); the diagonal does not count.
        weights: draws of each prompt, shape (resamples, prompts).

    Returns:
        Shape (resamples,); NaN where only one prompt was drawn.
    """
    own = np.diag(likeness)
    total = ((weights @ likeness) * weights).sum(axis=1) - (weights**2) @ own
    pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(pairs > 0, total / pairs, np.nan))


def _across(teacher: Array, student: Array, draws: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    once = np.ones((1, len(teacher)))
    return across(teacher, once), across(student, once), (across(teacher, draws), across(student, draws))


def _shared_words(side: Samples) -> Array:
    """Different words that two answers share, one of each of two prompts, against the mean number of both.

    Words of the questions and openings are left out, every other word counts alike: a stock phrase is made of words
    that are common to the model and weigh next to nothing where rarity counts. Shape (prompts, prompts).
    """
    said = [
        [set(words(text)[OPENING:]) - asked for text in texts]
        for texts, asked in zip(side.texts, (set(words(question)) for question in side.questions), strict=True)
    ]
    rates = _rates([Counter(word for answer in answers for word in sorted(answer)) for answers in said], side.k)
    sizes = rates.sum(axis=1)
    return np.asarray(2 * (rates @ rates.T) / np.maximum(sizes[:, None] + sizes[None, :], 1e-12))


def _same_openings(side: Samples) -> Array:
    """Share of pairs of answers, one of each of two prompts, that open alike; shape (prompts, prompts)."""
    rates = _rates([Counter(opened([words(text) for text in texts])) for texts in side.texts], side.k)
    return np.asarray(rates @ rates.T)


def _rates(counts: Sequence[Counter[Any]], k: int) -> Array:
    """Share of each prompt's k answers that have each word or opening, shape (prompts, words)."""
    index = {one: column for column, one in enumerate(dict.fromkeys(one for count in counts for one in count))}
    rates = np.zeros((len(counts), len(index)))
    for row, count in enumerate(counts):
        rates[row, [index[one] for one in count]] = [n / k for n in count.values()]
    return rates
