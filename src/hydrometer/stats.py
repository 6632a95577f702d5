"""Statistics that respect clusters: crossed bootstrap, sign-flip permutation, Wilson intervals, Holm, kappa.

Outcomes of an identity attack are clustered twice: answers under one template resemble each other, and so do answers
to one question. Resampling rows would treat 20 templates x 50 questions as 1,000 independent draws, which they are
not. Everything here is a pure function of arrays and a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

#: Intraclass correlation of outcomes under one template, assumed where too few positives were seen to estimate it.
#: In the seven published sets of recorded attacks it is 0.06 to 0.32 for models with positives, median 0.16.
TEMPLATE_ICC = 0.2
#: Fewer clusters than this with (or without) a positive: the bootstrap alone cannot show the uncertainty.
SPARSE_CLUSTERS = 5
RESAMPLES = 4000
_CHUNK_CELLS = 4_000_000


def codes(labels: Sequence[str]) -> Codes:
    """Cluster labels as integers 0..k-1, numbered by first appearance. Shape (n,)."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)


def recoded(part: Codes) -> Codes:
    """Cluster codes of some of the rows, renumbered 0..k-1. Shape as given."""
    return np.unique(part, return_inverse=True)[1].astype(np.int64)


def crossed_bootstrap_sums(columns: Array, clusters: Sequence[Codes], resamples: int, seed: int) -> Array:
    """Column sums under resampling of whole clusters, crossed over several partitions at once.

    Each partition's clusters are drawn with replacement; a row weighs the product of its clusters' multiplicities
    (the pigeonhole bootstrap, Owen 2007, which is never too narrow in expectation for crossed random effects).

    Args:
        columns: values per row, shape (n, k).
        clusters: cluster codes per partition, each of shape (n,); a partition of one cluster is left as it is.
        resamples: number of resamples.
        seed: of the random generator.

    Returns:
        Sums per resample, shape (resamples, k).
    """
    rng = np.random.default_rng(seed)
    partitions = [part for part in clusters if len(part) and int(part.max()) > 0]
    if not partitions:
        return np.repeat(columns.sum(axis=0)[None, :], resamples, axis=0)
    chunk = max(1, _CHUNK_CELLS // max(1, len(columns)))
    sums = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        weights = np.ones((size, len(columns)), dtype=np.float32)
        for part in partitions:
            groups = int(part.max()) + 1
            draws = rng.multinomial(groups, np.full(groups, 1 / groups), size=size).astype(np.float32)
            weights *= draws[:, part]
        sums.append(weights @ columns.astype(np.float32))
    return np.concatenate(sums).astype(np.float64)


def percentile_interval(values: Array, clusters: int, level: float = 0.95) -> tuple[float, float]:
    """Expanded percentile interval of bootstrap values (Hesterberg 2015, section 5).

    The plain percentile interval is too narrow with few clusters, by the factor sqrt((m-1)/m) and by using normal in
    place of t quantiles; the level is widened to make up for both.

    Args:
        values: the statistic in each resample; NaN (undefined in a resample) is left out. Shape (resamples,).
        clusters: number m of independent units behind the statistic, at least 2.
        level: nominal coverage.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan
    widened = math.sqrt(clusters / (clusters - 1)) * t_quantile(0.5 + level / 2, clusters - 1)
    tail = NormalDist().cdf(-widened)
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


@cache
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t, by the substitution t = sqrt(v) tan(a), under which the density is cos(a)^(v-1)."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    at = float(np.interp(probability, cumulative / cumulative[-1], angle))
    return math.sqrt(freedom) * math.tan(at)


def wilson_interval(rate: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial rate; `n` may be an effective, fractional size."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))


def sparse_rate_interval(positives: Array, clusters: Codes, level: float = 0.95) -> tuple[float, float] | None:
    """Interval of a rate seen in too few clusters for a bootstrap, or None where the bootstrap is enough.

    A rate of 0 of 1,000 has a bootstrap interval of zero width, which says more than was seen. Where fewer than
    `SPARSE_CLUSTERS` clusters hold a positive (or a negative), Wilson's interval at the effective sample size
    n / (1 + (m - 1) * TEMPLATE_ICC) is given, m the mean cluster size (Korn and Graubard 1998).

    Args:
        positives: 0 or 1 per row, shape (n,).
        clusters: cluster codes, shape (n,).
        level: nominal coverage.
    """
    hits = np.asarray(np.bincount(clusters, weights=positives), dtype=np.float64)
    size = sparse_size(hits, np.asarray(np.bincount(clusters), dtype=np.float64))
    return None if size is None else wilson_interval(float(positives.mean()), size, level)


def sparse_size(hits: Array, sizes: Array) -> float | None:
    """Effective number of observations behind a rate, where it is seen in too few clusters for a bootstrap.

    Args:
        hits: positives per cluster, shape (clusters,).
        sizes: observations per cluster, shape (clusters,); clusters without any are left out.

    Returns:
        n / (1 + (m - 1) * TEMPLATE_ICC); None where `SPARSE_CLUSTERS` clusters or more hold a positive, and as many
        a negative.
    """
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    if min(int((hits > 0).sum()), int((hits < sizes).sum())) >= SPARSE_CLUSTERS:
        return None
    return float(sizes.sum() / (1 + (sizes.mean() - 1) * TEMPLATE_ICC)) if len(sizes) else 0.0


def sign_flip_p(cluster_sums: Array, permutations: int, seed: int) -> float:
    """Two-sided p-value that paired differences centre on zero, by flipping the sign of whole clusters.

    Exact under exchangeability of the two subjects within a cluster; (1 + hits) / (1 + permutations).

    Args:
        cluster_sums: sum of paired differences per cluster, shape (clusters,).
        permutations: number of random sign patterns.
        seed: of the random generator.
    """
    observed = abs(float(cluster_sums.sum()))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, size=(permutations, len(cluster_sums)), dtype=np.int8) * 2 - 1
    null = np.abs(signs @ cluster_sums)
    return float((1 + int((null >= observed - 1e-9).sum())) / (1 + permutations))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given; each value at most 1."""
    corrected = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: (p_values[i], i))):
        running = max(running, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = running
    return corrected


def cohen_kappa(confusion: Array) -> Array:
    """Cohen's kappa of two binary raters.

    Args:
        confusion: counts (true positive, false positive, false negative, true negative), shape (..., 4).

    Returns:
        Kappa, shape (...); NaN where chance agreement is 1.
    """
    tp, fp, fn, tn = np.moveaxis(confusion, -1, 0)
    total = tp + fp + fn + tn
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = (tp + tn) / total
        chance = ((tp + fn) * (tp + fp) + (fn + tn) * (fp + tn)) / total**2
        return np.asarray(np.where(chance < 1, (observed - chance) / (1 - chance), np.nan))


def sensitivity(confusion: Array) -> Array:
    """Share of labelled positives that are found; confusion as in `cohen_kappa`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(confusion[..., 0] / (confusion[..., 0] + confusion[..., 2]))


def specificity(confusion: Array) -> Array:
    """Share of labelled negatives that are left alone; confusion as in `cohen_kappa`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(confusion[..., 3] / (confusion[..., 3] + confusion[..., 1]))


def rogan_gladen(rate: Array, sens: Array, spec: Array) -> Array:
    """The true rate behind an observed one, given the judge's sensitivity and specificity (Rogan and Gladen 1978).

    (rate + spec - 1) / (sens + spec - 1), held within [0, 1]; NaN where the judge is no better than chance.
    """
    informed = np.asarray(sens) + np.asarray(spec) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(informed > 0, np.clip((rate + spec - 1) / informed, 0, 1), np.nan)


def interval_of(
    statistic: Callable[[Array], Array],
    columns: Array,
    clusters: Sequence[Codes],
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Bootstrap interval of any statistic of column sums; clusters as in `crossed_bootstrap_sums`."""
    sizes = [int(part.max()) + 1 for part in clusters if len(part) and int(part.max()) > 0]
    if not sizes:
        return math.nan, math.nan
    return percentile_interval(statistic(crossed_bootstrap_sums(columns, clusters, resamples, seed)), min(sizes))


def quadratic_weighted_kappa(a: Array, b: Array) -> float:
    """Cohen's kappa with quadratic weights of two raters on an interval scale (Cohen 1968).

    1 - mean (a - b)^2 / mean over all pairs (a_i - b_j)^2; NaN where both give one and the same grade to everything.

    Args:
        a: grades of the first rater, shape (n,).
        b: grades of the second, shape (n,).
    """
    observed = float(((a - b) ** 2).mean())
    chance = float(a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    return 1 - observed / chance if chance > 0 else math.nan


def krippendorff_alpha(grades: Array) -> float:
    """Krippendorff's alpha for interval data, missing grades allowed (Krippendorff 2011).

    Args:
        grades: raters in rows, items in columns, NaN for a missing grade. Shape (raters, items).

    Returns:
        1 - observed / expected disagreement; NaN where no item has two grades or all grades are equal.
    """
    present = np.isfinite(grades)
    counts = present.sum(axis=0)
    kept = counts >= 2
    counts = counts[kept]
    values = np.where(present, grades, 0.0)[:, kept]
    total = float(counts.sum())
    if not total:
        return math.nan
    sums, squares = values.sum(axis=0), (values**2).sum(axis=0)
    observed = float((2 * (counts * squares - sums**2) / (counts - 1)).sum()) / total
    expected = 2 * (total * float(squares.sum()) - float(sums.sum()) ** 2) / (total * (total - 1))
    return 1 - observed / expected if expected > 0 else math.nan
