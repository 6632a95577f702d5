"""MAUVE (Pillutla et al. 2021): area under the divergence frontier of two sets of answers, quantised together.

As published: both sets are quantised by k-means on their joined vectors, the frontier is
(exp(-c KL(q|r)), exp(-c KL(p|r))) over mixtures r = w p + (1 - w) q with c = 5, closed at the axes. Different from it:
histograms are smoothed by a half count (Krichevsky and Trofimov 1981); k-means is repeated from several seeds and the
areas are averaged, because one seed moves the figure as much as models do; the teacher's value is that of its halves.
"""

from __future__ import annotations

import numpy as np

from hydrometer.integrity.embedding import Space
from hydrometer.integrity.halves import views
from hydrometer.integrity.metrics import Metric
from hydrometer.stats import Array, Codes

SCALE = 5.0
#: Starts of k-means that are averaged.
SEEDS = 5
#: Answers per cluster; the authors take a tenth of the number of samples.
PER_CLUSTER = 10
_MOST_CLUSTERS = 500
_MIXTURES = np.linspace(0, 1, 27)[1:-1]
_ROUNDS = 50
_POINTS = 20_000


def mauve(space: Space, draws: Array, seed: int) -> Metric:
    """MAUVE of the student against the teacher, and of the teacher against itself.

    Args:
        space: vectors of the answers.
        draws: how often each prompt is drawn in each resample, shape (resamples, prompts).
        seed: of k-means.
    """
    prompts, k, d = space.teacher.shape
    points = np.concatenate([space.teacher.reshape(-1, d), space.student.reshape(-1, d)])
    clusters = max(2, min(_MOST_CLUSTERS, len(points) // 2 // PER_CLUSTER))
    weights = np.concatenate([np.ones((1, prompts)), draws])
    areas: dict[bool, list[Array]] = {False: [], True: []}
    for start in range(SEEDS):
        labels = kmeans(points, clusters, seed + start).reshape(2, prompts, k)
        counts = [_counts(labels[side], clusters) for side in (0, 1)]
        for seen, other, of_student in views(k):
            p, q = (weights @ counts[side][:, half].sum(axis=1) for side, half in ((0, seen), (int(of_student), other)))
            areas[of_student].append(area(p, q))
    teacher, student = (np.mean(areas[side], axis=0) for side in (False, True))
    return Metric("MAUVE", "coverage", True, teacher[:1], student[:1], resampled=(teacher[1:], student[1:]))


def area(p: Array, q: Array) -> Array:
    """Area under the divergence frontier of histograms, row by row.

    Args:
        p: counts, shape (n, clusters).
        q: counts, shape (n, clusters).

    Returns:
        In (0, 1], 1 where they are equal, shape (n,).
    """
    p, q = ((side + 0.5) / (side + 0.5).sum(axis=1, keepdims=True) for side in (p, q))
    xs, ys = [np.zeros(len(p))], [np.ones(len(p))]
    for w in _MIXTURES:
        r = w * p + (1 - w) * q
        xs.append(np.exp(-SCALE * (q * np.log(q / r)).sum(axis=1)))
        ys.append(np.exp(-SCALE * (p * np.log(p / r)).sum(axis=1)))
    xs.append(np.ones(len(p)))
    ys.append(np.zeros(len(p)))
    x, y = np.stack(xs), np.stack(ys)
    order = np.lexsort((-y, x), axis=0)
    x, y = np.take_along_axis(x, order, axis=0), np.take_along_axis(y, order, axis=0)
    return np.asarray(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum(axis=0))


def kmeans(points: Array, clusters: int, seed: int) -> Codes:
    """Nearest of `clusters` centres found by Lloyd's rounds from a k-means++ start; shape (n,).

    Centres are found on at most 20,000 of the points, drawn at random.
    """
    rng = np.random.default_rng(seed)
    sample = points if len(points) <= _POINTS else points[np.sort(rng.choice(len(points), _POINTS, replace=False))]
    centres = _spread(sample, clusters, rng)
    labels = _nearest(sample, centres)
    for _ in range(_ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, sample)
        sizes = np.bincount(labels, minlength=clusters)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        again = _nearest(sample, centres)
        if (again == labels).all():
            break
        labels = again
    return _nearest(points, centres)


def _spread(points: Array, clusters: int, rng: np.random.Generator) -> Array:
    """Start of k-means++ (Arthur and Vassilvitskii 2007)."""
    centres = [points[rng.integers(len(points))]]
    distance = ((points - centres[0]) ** 2).sum(axis=1)
    while len(centres) < clusters:
        total = float(distance.sum())
        chosen = rng.choice(len(points), p=distance / total) if total > 0 else rng.integers(len(points))
        centres.append(points[chosen])
        distance = np.minimum(distance, ((points - centres[-1]) ** 2).sum(axis=1))
    return np.stack(centres)


def _nearest(points: Array, centres: Array) -> Codes:
    return np.asarray(((centres**2).sum(axis=1)[None, :] - 2 * points @ centres.T).argmin(axis=1), dtype=np.int64)


def _counts(labels: Codes, clusters: int) -> Array:
    """Which cluster each answer is in, one-hot, shape (prompts, k, clusters)."""
    return np.asarray(labels[:, :, None] == np.arange(clusters), dtype=np.float64)
