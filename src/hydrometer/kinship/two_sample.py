"""Are two endpoints one and the same model? A stratified permutation test with maximum mean discrepancy.

Each model answered each prompt several times. If both are the same model under the same settings, then within a
prompt the labels A and B could be dealt anew without changing anything. So labels are permuted within prompts only,
and three statistics are compared with what they are under such permutations:

- `characters`: MMD^2 within prompts under the Hamming kernel on the first 1,000 characters, the share of positions
  that hold the same character (Gao et al. 2024, "Model Equality Testing");
- `words`: MMD^2 within prompts under the cosine of hashed spectra of character n-grams of the whole answer, which
  sees what stands at another place or beyond the thousandth character, in any script;
- `habits`: for each n-gram the difference of both models summed over all prompts, squared and divided by its
  variance: what one model does a little more often everywhere.

MMD^2 is brought to unit variance over the permutations of each prompt, so no prompt dominates, and a prompt weighs the
harmonic size m n / (m + n) of its samples. The test statistic is the largest of the three sums, standardised over the
permutations; its p-value (1 + hits) / (1 + permutations) counts the permutations with as large a maximum. The observed
labels are one of the permutations that set every scale, so the level holds exactly for any number of samples, and no
correction for three statistics is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Literal

import numpy as np

from hydrometer.errors import InputError
from hydrometer.findings import Estimate, Finding
from hydrometer.kinship.answer_kernels import (
    BUCKETS,
    TIE,
    WITHIN,
    Prepared,
    arrangements,
    contrast_variance,
    contrasts,
    mmd2,
    prepared,
    standardised,
    tail_p,
)
from hydrometer.kinship.draws import Counts, Draws, Tally, never_vary, notes_on, thinned
from hydrometer.stats import RESAMPLES, Array, crossed_bootstrap_sums, percentile_interval

STATISTICS = (*WITHIN, "habits")
Verdict = Literal["consistent", "differ", "inconclusive"]

#: A small share of variation (Cohen 1988, section 8.2). Sameness is said only where that much would have been found
#: and is beyond the interval of the share that was seen.
SMALL_SHARE = 0.01
POWER = 0.8
#: Samples that agree more than those of this share of permutations are no independent draws.
TOO_ALIKE = 0.001
DIFFERENT_PROMPTS = 10


class Discrepancy(Finding):
    """How far the answers lie apart under one kernel.

    Attributes:
        kernel: `characters` or `words`.
        mmd2: mean unbiased MMD^2 over prompts, with the 95 % interval from resampling prompts. Kernels are 1 for two
            equal texts, so it lies between about 0 and 2.
        floor: what two samples of one and the same model stay below, but for a share `level` of cases.
        share: share of the variation of the answers to a prompt that is due to the model, MMD^2 / 4 over the pooled
            variance (eta squared).
        detectable: share that so much data would have found with a power of 80 %; None where nothing varies.
        p: p-value of this kernel alone.
    """

    kernel: str
    mmd2: Estimate
    floor: float
    share: Estimate
    detectable: float | None
    p: float


class PromptDifference(Finding):
    """A prompt and how far the answers to it lie apart.

    Attributes:
        prompt: its id.
        mmd2: unbiased MMD^2 under the kernel `words`.
        p: p-value of this prompt alone.
        p_corrected: corrected for all prompts (Westfall and Young 1993, single-step maximum).
    """

    prompt: str
    mmd2: float
    p: float
    p_corrected: float


class SameModel(Finding):
    """What the permutation test found.

    Attributes:
        a: first model.
        b: second model.
        verdict: `differ` where p is at most the level; `consistent` with one and the same model where it is above
            and even a small difference, 1 % of the variation, would have been found and is outside the interval;
            else `inconclusive`.
        reason: the verdict in words.
        p: of the largest of the three standardised statistics.
        statistic: which of the three that was.
        level: significance level.
        permutations: permutations drawn.
        seed: of the random generator.
        discrepancies: effect, floor and sensitivity of each kernel.
        most_different: the prompts that differ most, first the most different.
        counts: what was compared and left out.
        notes: what else a reader must know.
    """

    a: str
    b: str
    verdict: Verdict
    reason: str
    p: float
    statistic: str
    level: float
    permutations: int
    seed: int
    discrepancies: tuple[Discrepancy, ...]
    most_different: tuple[PromptDifference, ...]
    counts: Counts
    notes: tuple[str, ...]


class _Sums:
    """Sums over prompts for every arrangement; memory does not grow with the number of prompts."""

    def __init__(self, permutations: int) -> None:
        rows = permutations + 1
        self.scaled = np.zeros((len(WITHIN), rows))
        self.plain = np.zeros((len(WITHIN), rows))
        self.habits = np.zeros((rows, BUCKETS))
        self.variance = np.zeros(BUCKETS)
        self.largest = np.full(rows, -np.inf)
        self.slope = np.zeros(len(WITHIN))
        self.orders = 0.0
        self.prompts: list[str] = []
        self.observed: list[tuple[float, ...]] = []  # MMD^2 per kernel, pooled variance per kernel
        self.single: list[tuple[float, float]] = []  # standardised maximum, its p

    def add(self, prompt: str, one: Prepared, dealt: Array) -> None:
        highest = np.full(len(dealt), -np.inf)
        values, variances = [], []
        for kernel, gram in enumerate(one.grams):
            raw = mmd2(gram, dealt)
            scaled = standardised(raw)
            k = len(gram)
            variance = 1 - float(gram.sum() - np.trace(gram)) / (k * (k - 1))
            self.scaled[kernel] += one.size * scaled
            self.plain[kernel] += raw
            if scaled.any():
                self.slope[kernel] += one.size * 4 * variance / float(raw.std())
            highest = np.maximum(highest, scaled)
            values.append(float(raw[0]))
            variances.append(variance)
        self.habits += one.size * contrasts(one, dealt)
        self.variance += one.size**2 * contrast_variance(one)
        self.largest = np.maximum(self.largest, highest)
        self.orders += _log_choices(one.m, one.n)
        self.prompts.append(prompt)
        self.observed.append((*values, *variances))
        self.single.append((float(highest[0]), tail_p(highest)))

    def statistics(self) -> Array:
        """The three standardised statistics, shape (3, arrangements)."""
        habits = (self.habits**2 / (self.variance + self.variance.mean() + np.finfo(float).tiny)).sum(axis=1)
        return np.array([standardised(values) for values in (*self.scaled, habits)])


def _log_choices(m: int, n: int) -> float:
    """Logarithm of the number of arrangements that MMD tells apart: with m = n, swapping A and B changes nothing."""
    return math.lgamma(m + n + 1) - math.lgamma(m + 1) - math.lgamma(n + 1) - (math.log(2) if m == n else 0.0)


def same_model(
    draws: Iterable[Draws], a: str, b: str, *, level: float = 0.01, permutations: int = 2000, seed: int = 0
) -> SameModel:
    """Test whether two models answer alike, from several answers of each to every prompt.

    Args:
        draws: answers, prompt by prompt.
        a: name of the first model.
        b: name of the second.
        level: significance level.
        permutations: random permutations.
        seed: of the random generator.

    Raises:
        InputError: nothing can be compared, or the level is beyond what so many permutations can show.
    """
    if not 1 / (permutations + 1) <= level < 1:
        raise InputError(
            f"A level of {level:g} cannot be reached with {permutations} permutations",
            f"Give a level of at least {1 / (permutations + 1):.2g} and below 1, or more permutations",
        )
    rng = np.random.default_rng(seed)
    tally, sums = Tally(), _Sums(permutations)
    for one in tally.screened(draws):
        thin = Draws(one.prompt, thinned(one.a, rng), thinned(one.b, rng))
        tally.thinned += len(one.a) + len(one.b) - len(thin.a) - len(thin.b)
        ready = prepared(thin.a, thin.b)
        sums.add(one.prompt, ready, arrangements(ready.m, ready.n, permutations, rng))
    tally.require(a, b)
    statistics = sums.statistics()
    largest = statistics.max(axis=0)
    p = tail_p(largest)
    counts = tally.counts()
    threshold = float(np.quantile(largest, 1 - level, method="higher"))
    prompts = np.arange(counts.prompts)
    resampled = crossed_bootstrap_sums(np.array(sums.observed), [prompts], RESAMPLES, seed)
    discrepancies = tuple(
        _discrepancy(kernel, sums, resampled, statistics[kernel], threshold, level) for kernel in range(len(WITHIN))
    )
    too_alike = tail_p(-statistics[: len(WITHIN)].sum(axis=0)) <= TOO_ALIKE
    verdict, reason = _verdict(p, level, sums.orders, counts, discrepancies, too_alike=too_alike)
    return SameModel(
        a=a,
        b=b,
        verdict=verdict,
        reason=reason,
        p=p,
        statistic=STATISTICS[int(statistics[:, 0].argmax())],
        level=level,
        permutations=permutations,
        seed=seed,
        discrepancies=discrepancies,
        most_different=_most_different(sums),
        counts=counts,
        notes=notes_on(counts, a, b),
    )


def _discrepancy(
    kernel: int, sums: _Sums, resampled: Array, statistic: Array, threshold: float, level: float
) -> Discrepancy:
    slope, spread = float(sums.slope[kernel]), float(sums.scaled[kernel].std())
    n = len(sums.observed)

    def mean_and_share(totals: Array) -> tuple[Array, Array]:
        """Mean MMD^2, and a quarter of its sum over that of the pooled variances; sums in the order of `observed`."""
        raw, variance = totals[..., kernel], totals[..., len(WITHIN) + kernel]
        with np.errstate(invalid="ignore", divide="ignore"):
            return raw / n, np.where(variance > 0, raw / (4 * variance), np.nan)

    total = np.sum(sums.observed, axis=0)
    mean, share = (
        _estimate(float(value), values, n)
        for value, values in zip(mean_and_share(total), mean_and_share(resampled), strict=True)
    )
    return Discrepancy(
        kernel=WITHIN[kernel],
        mmd2=mean,
        floor=float(np.quantile(sums.plain[kernel] / n, 1 - level, method="higher")),
        share=share,
        detectable=min(1.0, (threshold + NormalDist().inv_cdf(POWER)) * spread / slope) if slope > 0 else None,
        p=tail_p(statistic),
    )


def _estimate(value: float, resampled: Array, n: int) -> Estimate:
    interval = percentile_interval(resampled, n) if n > 1 else (math.nan, math.nan)
    estimate, low, high = (None if math.isnan(end) else end for end in (value, *interval))
    return Estimate(estimate=estimate, low=low, high=high, n=n)


def _most_different(sums: _Sums) -> tuple[PromptDifference, ...]:
    order = sorted(range(len(sums.prompts)), key=lambda i: (-sums.single[i][0], i))
    rows = len(sums.largest)
    return tuple(
        PromptDifference(
            prompt=sums.prompts[i],
            mmd2=sums.observed[i][1],
            p=sums.single[i][1],
            p_corrected=float((sums.largest >= sums.single[i][0] - TIE).sum() / rows),
        )
        for i in order[:DIFFERENT_PROMPTS]
    )


def _verdict(
    p: float, level: float, orders: float, counts: Counts, discrepancies: tuple[Discrepancy, ...], *, too_alike: bool
) -> tuple[Verdict, str]:
    if counts.repeated == counts.prompts:
        return "inconclusive", never_vary(counts)
    if p <= level:
        return "differ", f"the answers differ by more than two samples of one model do (p = {p:.2g})"
    if orders < -math.log(level):
        return "inconclusive", (
            f"with so few samples p cannot fall below {math.exp(-orders):.2g}, whatever the answers. Draw more samples"
        )
    if too_alike:
        return "inconclusive", (
            "the samples agree more than independent samples of one model do, as from a copied file, a cache or "
            "shared seeds. Draw them anew"
        )
    return _sameness(f"no difference was found (p = {p:.2g})", counts, discrepancies)


def _sameness(unseen: str, counts: Counts, discrepancies: tuple[Discrepancy, ...]) -> tuple[Verdict, str]:
    """What it is worth that no difference was seen."""
    found = min((d.detectable for d in discrepancies if d.detectable is not None), default=1.0)
    would = f"one that explains {found:.1%} of the variation of the answers would have been, with a power of 80 %"
    if found > SMALL_SHARE:
        factor = found / SMALL_SHARE
        samples = min(counts.samples) / counts.prompts
        return "inconclusive", (
            f"{unseen}, but only {would}. For {SMALL_SHARE:.0%} draw about {math.ceil(samples * factor)} samples a "
            f"prompt in place of {samples:.3g}, or ask {math.ceil(counts.prompts * factor**2)} prompts in place of "
            f"{counts.prompts}"
        )
    sensitive = [d for d in discrepancies if d.detectable is not None and d.detectable <= SMALL_SHARE]
    compatible = max(1.0 if d.share.high is None else d.share.high for d in sensitive)
    if compatible > SMALL_SHARE:
        return "inconclusive", (
            f"{unseen}, but one that explains up to {compatible:.1%} of the variation of the answers is compatible "
            "with them (upper end of the 95 % interval). Draw more samples, or ask more prompts"
        )
    return "consistent", f"{unseen}; {would}, and one above {max(0.0, compatible):.1%} is not compatible with them"
