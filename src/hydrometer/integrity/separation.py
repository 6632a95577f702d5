"""Measures that answer to one kind of loss and little to its neighbours.

A student that only ever gives its favourite answer also reaches fewer of its teacher's answers and has fewer of its
rare words: diversity, coverage and tails fall together. The measures here tell them apart as far as answers can. A
student that narrows keeps its teacher's favourite answer; one that dropped answers at random lost it at some prompts.
Overlap is a cosine, which sharpening the teacher's distribution lowers only in second order. The share of rare words
counts them by how often they are used, not by how many come back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from hydrometer.integrity.diversity import OPENING
from hydrometer.integrity.halves import against_itself, unrepeated
from hydrometer.integrity.metrics import Metric
from hydrometer.integrity.samples import Matched, words
from hydrometer.stats import SPARSE_CLUSTERS, Array, Codes

#: Random ways to halve the answers that are averaged, as a favourite of so few is a matter of chance.
SPLITS = 8
#: Words at more than this share of the prompts are common.
COMMON = 0.1


def overlap(classes: tuple[Codes, Codes], draws: Array) -> Metric:
    """Likeness of how both models spread their answers over classes, without bias at every k from 2 on.

    Cosine of the two distributions over classes, pooled over prompts (after Morisita 1959 and Pianka 1973): chance
    that an answer of each model agree, over the geometric mean of the chances that two of one model agree, each
    estimated from pairs of different answers. 1 where the models draw from the same distribution at any number of
    classes; the share sqrt(m) is left where the student keeps evenly used classes with mass m and drops the others.

    Undefined where either model's answers agree at fewer than `SPARSE_CLUSTERS` prompts: it would rest on those alone.

    Args:
        classes: (teacher, student), each of shape (prompts, k).
        draws: how often each prompt is drawn in each resample, shape (resamples, prompts).
    """
    chances = np.array([_agreement(theirs, ours) for theirs, ours in zip(*classes, strict=True)])

    def cosine(weights: Array) -> Array:
        both, teacher, student = (weights @ chances).T
        alone = np.sqrt(teacher * student)
        return np.asarray(np.where(alone > 0, both / np.where(alone > 0, alone, 1.0), math.nan))

    sparse = int((chances[:, 1:] > 0).sum(axis=0).min()) < SPARSE_CLUSTERS
    student = np.full(1, math.nan) if sparse else cosine(np.ones((1, len(chances))))
    resampled = np.full(len(draws), math.nan) if sparse else cosine(draws)
    return Metric(
        "overlap of answers",
        "coverage",
        True,
        np.where(np.isfinite(student), 1.0, math.nan),
        student,
        resampled=(np.where(np.isfinite(resampled), 1.0, math.nan), resampled),
        saturated=f"At k = {classes[0].shape[1]} too few answers of one model agree to compare." if sparse else "",
    )


def favourites(classes: tuple[Codes, Codes]) -> Metric:
    """Share of prompts at which the teacher's favourite answer comes back at all.

    The favourite is the most frequent class of one half of the teacher's answers; of several, their mean counts. It is
    looked for in the teacher's other half and in as many answers of the student.

    Args:
        classes: (teacher, student), each of shape (prompts, k).
    """
    k = classes[0].shape[1]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(k)
        sides = [side[:, order] for side in classes]

        def one(seen: slice, other: slice, of_student: bool, sides: Sequence[Codes] = sides) -> Array:
            return favourite_kept(sides[0][:, seen], sides[of_student][:, other])

        found.append(against_itself(k, one))
    teacher, student = (np.mean(side, axis=0) for side in zip(*found, strict=True))
    return Metric("favourite answers kept", "coverage", True, teacher, student, saturated=unrepeated(teacher, k))


def favourite_kept(seen: Codes, other: Codes) -> Array:
    """Share of the most frequent classes seen at each prompt that are among the others. Shape (prompts,)."""
    rows = []
    for ours, theirs in zip(seen, other, strict=True):
        labels, counts = np.unique(ours, return_counts=True)
        most = labels[counts == counts.max()]
        rows.append(float(np.isin(most, theirs).mean()))
    return np.array(rows)


def tail_share(matched: Matched) -> Metric:
    """Share of a model's words that are used at few prompts.

    Few are at most `COMMON` of the prompts and at least one, with the answers of both models together, so that both are
    measured by the same list. Words of the question and the first words of answers, which have measures of their own,
    count neither way.
    """
    student, teacher = matched.trimmed
    said = [
        [
            [word for text in texts for word in words(text)[OPENING:] if word not in asked]
            for texts, asked in zip(side.texts, (frozenset(words(one)) for one in side.questions), strict=True)
        ]
        for side in (teacher, student)
    ]
    spread = Counter(word for pair in zip(*said, strict=True) for word in dict.fromkeys(chain(*pair)))
    limit = max(1.0, COMMON * len(teacher.prompts))
    theirs, ours = (
        np.array([sum(spread[word] <= limit for word in row) / len(row) if row else math.nan for row in side])
        for side in said
    )
    return Metric("share of rare words", "tail", True, theirs, ours)


def _agreement(theirs: Codes, ours: Codes) -> tuple[float, float, float]:
    """Chances that two answers agree: one of each model, two of the teacher, two of the student."""
    size = int(max(theirs.max(), ours.max())) + 1
    p, q = (np.bincount(side, minlength=size).astype(np.float64) for side in (theirs, ours))
    k = p.sum()
    teacher, student = (float((side * (side - 1)).sum()) / (k * (k - 1)) for side in (p, q))
    return float(p @ q) / (k * k), teacher, student
