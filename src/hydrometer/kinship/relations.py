"""Relations: which residual similarities stand out from those of unrelated pairs, by how much and how surely.

Most pairs of a population are unrelated and relatives lie on one side only, so the null is read off the population
itself: its centre is the bulk of all pairs, and each model's scale comes from the pairs below the centre, where its
relatives are not (the empirical null of Efron 2004, per model). A pair's scale is the geometric mean of its models'.

The estimate is the residual similarity r above that centre, with its odds r / (1 - r) divided by the pair's scale over
the typical one: 0 for unrelated pairs, 1 for the same text, and a step near 0 means as much for any two models.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from hydrometer.kinship.pairs import PairBlocks
from hydrometer.kinship.resampling import square
from hydrometer.stats import Array, Codes, holm, t_quantile

LEVEL = 0.05
#: Fewer common prompts than this: inconclusive.
FEWEST_PROMPTS = 10
#: Smallest residual similarity that is of interest: a pair that is surely below it is told not to be related.
SMALLEST = 0.02
#: Pairs that a model's scale is mixed with, as if that many had been seen at the population's own scale.
_PRIOR = 10
#: Skewness that needs no correction.
_STRAIGHT = 1e-3

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"


@dataclass(frozen=True, slots=True)
class Relations:
    """What is known of each pair; arrays in the order of np.triu_indices(n, 1), shape (pairs,).

    Attributes:
        models: names.
        estimate: residual similarity, 0 for unrelated pairs, 1 for the same text; NaN without common prompts.
        low: lower end of the 95 % interval, NaN where there is none.
        high: upper end.
        p: one-sided p-value in the null of unrelated pairs, NaN where models or prompts are too few for one.
        p_corrected: after Holm's correction over all pairs. Pairs that share a model depend on each other in ways that
            are not known, and each "supported" may be read as an accusation: so the chance of even one false one is
            held below the level, which Holm does under any dependence.
        verdict: "supported", "not supported" or "inconclusive".
        prompts: common prompts.
    """

    models: tuple[str, ...]
    estimate: Array
    low: Array
    high: Array
    p: Array
    p_corrected: Array
    verdict: tuple[str, ...]
    prompts: Codes


@dataclass(frozen=True, slots=True)
class Null:
    """How unrelated pairs are spread.

    Attributes:
        centre: of all pairs.
        scale: standard deviation per pair, NaN where it is not known, shape (pairs,).
        typical: of the scales, their geometric mean.
        freedom: degrees of freedom of each scale, shape (pairs,).
    """

    centre: float
    scale: Array
    typical: float
    freedom: Array

    def estimate(self, mean: Array) -> Array:
        """Residual similarities on the scale of `Relations.estimate`; increasing in each."""
        above = np.minimum(mean - self.centre, 1.0)
        relative = np.where(np.isfinite(self.scale), self.scale / self.typical, 1.0)
        return np.asarray(above / np.maximum(above + (1 - above) * relative, 1e-3))

    def p(self, mean: Array) -> Array:
        """One-sided p-value of each mean residual similarity: Student's t, by Wallace's (1959) normal deviate."""
        t = (mean - self.centre) / self.scale
        v = self.freedom
        deviate = np.sign(t) * (8 * v + 1) / (8 * v + 3) * np.sqrt(v * np.log1p(t**2 / v))
        return np.array([0.5 * erfc(value / sqrt(2)) for value in deviate.tolist()])


def relate(
    pairs: PairBlocks,
    *,
    intervals: bool = True,
    own: int | None = None,
) -> Relations:
    """Estimate, interval, p-value and verdict of each pair.

    Supported: the corrected p-value is below `LEVEL`, or the two are clones, and the interval lies above 0. Not
    supported: the interval lies below `SMALLEST`. Inconclusive: neither, or fewer than `FEWEST_PROMPTS` common prompts.

    Args:
        pairs: residual similarities by blocks of prompts.
        intervals: whether to give intervals; verdicts rest on them in any case.
        own: the first so many models are asked about and the rest is a reference: a pair with one of them is corrected
            for such pairs only. None: all are asked about.
    """
    common = pairs.common.sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = pairs.residual.sum(axis=0, dtype=np.float64) / common
    n = len(pairs.models)
    voice = np.arange(n)
    for group in pairs.clones:
        voice[list(group)] = group[0]
    first, second = np.triu_indices(n, 1)
    null = null_of(mean, voice)
    p = np.where(common >= FEWEST_PROMPTS, null.p(mean), np.nan)
    low, high = map(null.estimate, _interval(pairs, mean, common))
    corrected = _corrected(p, voice, n if own is None else own)
    with np.errstate(invalid="ignore"):
        supported = ((corrected < LEVEL) | (voice[first] == voice[second])) & (low > 0)
        rejected = ~supported & (high < SMALLEST)
    enough = common >= FEWEST_PROMPTS
    unseen = np.full(len(mean), np.nan)
    verdict = np.select([supported & enough, rejected & enough], [SUPPORTED, NOT_SUPPORTED], INCONCLUSIVE)
    return Relations(
        pairs.models,
        null.estimate(mean),
        low if intervals else unseen,
        high if intervals else unseen,
        p,
        corrected,
        tuple(verdict.tolist()),
        common.astype(np.int64),
    )


def null_of(mean: Array, voice: Codes) -> Null:
    """The null of unrelated pairs.

    Args:
        mean: mean residual similarity of each pair, NaN where it is unknown.
        voice: for each model the one that speaks for it and its clones: only those make the null. Shape (n,).
    """
    n = len(voice)
    first, second = np.triu_indices(n, 1)
    speaks = voice == np.arange(n)
    both = speaks[first] & speaks[second]
    heard = np.where(both, mean, np.nan)
    known = heard[np.isfinite(heard)]
    centre = float(np.median(known)) if len(known) else 0.0
    with np.errstate(invalid="ignore"):
        below = square(np.where(heard < centre, (heard - centre) ** 2, np.nan), n, np.nan)
    count = np.isfinite(below).sum(axis=1)
    total = np.nansum(below, axis=1)
    pairs = float(count.sum()) / 2
    prior = min(_PRIOR, pairs)
    every = float(total.sum() / count.sum()) if total.sum() > 0 else np.nan
    own = np.sqrt((total + prior * every) / (count + prior)) if prior else np.full(n, np.nan)
    own, count = own[voice], count[voice]
    scale = np.sqrt(own[first] * own[second])
    # No scale is known better than from all pairs below the centre, less what centring per model took of them.
    freedom = np.minimum(count[first] + count[second] + prior, pairs * (1 - 2 / max(int(speaks.sum()) - 1, 2)))
    typical = float(np.exp(np.log(scale[both]).mean())) if np.isfinite(every) else np.nan
    return Null(centre, scale, typical, np.maximum(freedom, 1.0))


def _corrected(p: Array, voice: Codes, own: int) -> Array:
    """Holm's correction over the pairs with one of the first `own` models; clones are asked about once.

    Pairs of the rest are corrected for all pairs. A pair of clones is corrected for as many, as if it were the least.
    """
    n = len(voice)
    first, second = np.triu_indices(n, 1)
    once = np.isfinite(p) & (voice[first] == first) & (voice[second] == second)
    corrected = np.full(len(p), np.nan)
    corrected[once] = holm(p[once].tolist())
    asked = once & (first < own)
    corrected[asked] = holm(p[asked].tolist())
    a, b = np.minimum(voice[first], voice[second]), np.maximum(voice[first], voice[second])
    apart = a < b
    twin = (a * n - a * (a + 1) // 2 + (b - a - 1))[apart]
    corrected[apart] = np.where(np.isfinite(p[apart]), corrected[twin], np.nan)
    corrected[~apart] = np.minimum(1.0, p[~apart] * max(1, int(asked.sum())))
    return corrected


def _interval(pairs: PairBlocks, mean: Array, common: Array) -> tuple[Array, Array]:
    """95 % interval of each mean residual similarity, blocks of prompts being independent units.

    Student's interval, made wider on the side where skewness asks for it (the cubic transformation of Hall 1992): a few
    prompts on which two models say the same leave more room above the mean than below. Skewness is known too badly
    from few prompts to make the interval narrower on the other side. Blocks without a common prompt of the pair do not
    count; NaN where fewer than two are left.
    """
    square_sum, cube_sum = np.zeros(len(mean)), np.zeros(len(mean))
    blocks = np.zeros(len(mean), dtype=np.int64)
    for residual, count in zip(pairs.residual, pairs.common, strict=True):
        deviation = np.where(count > 0, residual - mean * count, 0.0)
        square_sum += deviation**2
        cube_sum += deviation**3
        blocks += count > 0
    quantile = np.full(int(blocks.max(initial=0)) + 1, np.nan)
    for number in np.unique(blocks[blocks > 1]).tolist():
        quantile[number] = t_quantile(1 - LEVEL / 2, number - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(square_sum * blocks / (blocks - 1)) / common
        skewness = np.nan_to_num(cube_sum / blocks / (square_sum / blocks) ** 1.5)
        reach = quantile[blocks]
        below, above = (_halls(side * reach, skewness, blocks) for side in (1, -1))
        return mean - error * np.maximum(below, reach), mean - error * np.minimum(above, -reach)


def _halls(quantile: Array, skewness: Array, n: Codes) -> Array:
    """The quantile of a skewed mean's t statistic that stands for one of Student's."""
    third = np.where(np.abs(skewness) > _STRAIGHT, skewness / 3, 1.0)
    bent = np.sqrt(n) / third * (np.cbrt(1 + 3 * third * (quantile / np.sqrt(n) - skewness / (6 * n))) - 1)
    return np.asarray(np.where(np.abs(skewness) > _STRAIGHT, bent, quantile))
