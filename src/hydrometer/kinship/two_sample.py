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

A kernel's MMD^2 is a mean over prompts, each weighted by the squared harmonic size m n / (m + n) of its samples, the
precision that those give. (To weigh a prompt by its own variance under permutations would hide differences, which
enlarge it.) Statistic, estimate, floor and detectable share are all of this one mean. The test statistic is the largest
of the three, standardised over the permutations; its p-value (1 + hits) / (1 + permutations) counts the permutations
with as large a maximum. The observed labels are one of the permutations that set every scale, so the level holds
exactly for any number of samples, and no correction for three statistics is needed.
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
    contrast_weights,
    mmd2,
    prepared,
    standardised,
    tail_p,
)
from hydrometer.kinship.draws import Counts, Draws, Tally, never_vary, notes_on, require_level, thinned
from hydrometer.stats import RESAMPLES, Array, crossed_bootstrap_sums, percentile_interval

STATISTICS = (*WITHIN, "habits")
Verdict = Literal["consistent", "differ", "inconclusive"]

#: A small share of variation (Cohen 1988, section 8.2). Sameness is said only where that much would have been found
#: and is beyond the interval of the share that was seen.
SMALL_SHARE = 0.01
POWER = 0.8
#: Samples that agree more than those of this share of permutations are no independent draws.
TOO_ALIKE = 0.001
#: Prompts are named that differ at this level, corrected for all of them.
PROMPT_LEVEL = 0.05
DIFFERENT_PROMPTS = 10
#: Answers whose spectra are multiplied with their weights in one go.
_PENDING = 1024


class Discrepancy(Finding):
    """How far the answers lie apart under one kernel.

    Attributes:
        kernel: `characters` or `words`.
        mmd2: unbiased MMD^2, weighted mean over prompts, with the 95 % interval from resampling prompts. Kernels are 1
            for two equal texts, so it lies between about 0 and 2; one model sampled twice gives 0 on average.
        floor: what the MMD^2 of two samples of one and the same model stays below, but for a share `level` of cases.
        share: share of the variation of the answers to a prompt that is due to the model, MMD^2 / 4 over the pooled
            variance (eta squared, unbiased and so below 0 at times).
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
        kernel: under which its MMD^2 is larger.
        mmd2: unbiased MMD^2 under that kernel.
        p: p-value of this prompt alone.
        p_corrected: corrected for all prompts (Westfall and Young 1993, single-step maximum).
    """

    prompt: str
    kernel: str
    mmd2: float
    p: float
    p_corrected: float


class SameModel(Finding):
    """What the permutation test found.

    Attributes:
        a: first model.
        b: second model.
        verdict: `differ` where p is at most the level; `consistent` with one and the same model where it is above,
            a small difference, 1 % of the variation, would have been found and lies outside the interval, and no
            difference lies inside; else `inconclusive`.
        reason: the verdict in words.
        p: of the largest of the three standardised statistics.
        statistic: which of the three that was.
        level: significance level.
        permutations: permutations drawn.
        seed: of the random generator.
        discrepancies: effect, floor and sensitivity of each kernel.
        most_different: prompts that differ on their own at 5 % after correction for all, first the most different.
        least_prompt_p: the least p-value that any one prompt can have with so many answers.
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
    least_prompt_p: float
    counts: Counts
    notes: tuple[str, ...]


class _Sums:
    """Sums over prompts for every arrangement; memory hardly grows with the number of prompts."""

    def __init__(self, permutations: int) -> None:
        rows = permutations + 1
        self.weighted = np.zeros((len(WITHIN), rows))
        self.habits = np.zeros((rows, BUCKETS))
        self.variance = np.zeros(BUCKETS)
        self.largest = np.full(rows, -np.inf)
        self.orders = 0.0
        self.most_orders = 0.0
        self.prompts: list[str] = []
        self.weights: list[float] = []
        self.observed: list[Array] = []  # MMD^2 per kernel
        self.pooled: list[list[float]] = []  # pooled variance per kernel
        self.single: list[tuple[float, float]] = []  # standardised maximum, its p
        self._pending: list[tuple[Array, Array]] = []

    def add(self, prompt: str, one: Prepared, dealt: Array) -> None:
        raw = np.array([mmd2(gram, dealt) for gram in one.grams])
        k = one.m + one.n
        self.weighted += one.size**2 * raw
        self.weights.append(one.size**2)
        self.observed.append(raw[:, 0])
        self.pooled.append([1 - float(gram.sum() - np.trace(gram)) / (k * (k - 1)) for gram in one.grams])
        self._pending.append((one.size * contrast_weights(one, dealt), one.spectra))
        if sum(len(spectra) for _, spectra in self._pending) >= _PENDING:
            self._flush()
        self.variance += one.size**2 * contrast_variance(one)
        highest = np.max([standardised(values) for values in raw], axis=0)
        self.largest = np.maximum(self.largest, highest)
        orders = _log_choices(one.m, one.n)
        self.orders += orders
        self.most_orders = max(self.most_orders, orders)
        self.prompts.append(prompt)
        self.single.append((float(highest[0]), tail_p(highest)))

    def _flush(self) -> None:
        if self._pending:
            weights, spectra = zip(*self._pending, strict=True)
            self.habits += np.concatenate(weights, axis=1) @ np.concatenate(spectra)
            self._pending = []

    def habit_sums(self) -> Array:
        """Squared differences of n-grams over their variances under every arrangement, shape (arrangements,)."""
        self._flush()
        return np.asarray((self.habits**2 / (self.variance + self.variance.mean() + np.finfo(float).tiny)).sum(axis=1))


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
    require_level(level)
    if level < 1 / (permutations + 1):
        raise InputError(
            f"A level of {level:g} cannot be reached with {permutations} permutations",
            f"Give a level of at least {1 / (permutations + 1):.2g}, or more permutations",
        )
    rng = np.random.default_rng(seed)
    tally, sums = Tally(), _Sums(permutations)
    for one in tally.screened(draws):
        thin = Draws(one.prompt, thinned(one.a, rng), thinned(one.b, rng))
        tally.thinned += len(one.a) + len(one.b) - len(thin.a) - len(thin.b)
        ready = prepared(thin.a, thin.b)
        sums.add(one.prompt, ready, arrangements(ready.m, ready.n, permutations, rng))
    tally.require(a, b)
    counts = tally.counts()
    dealt = sums.weighted / sum(sums.weights)
    statistics = np.array([standardised(values) for values in (*dealt, sums.habit_sums())])
    largest = statistics.max(axis=0)
    p, statistic = tail_p(largest), STATISTICS[int(statistics[:, 0].argmax())]
    threshold = float(np.quantile(largest, 1 - level, method="higher"))
    discrepancies = tuple(
        _discrepancy(kernel, sums, dealt[kernel], threshold, level=level, p=tail_p(statistics[kernel]), seed=seed)
        for kernel in range(len(WITHIN))
    )
    too_alike = tail_p(-statistics[: len(WITHIN)].sum(axis=0)) <= TOO_ALIKE
    verdict, reason = _verdict(p, statistic, level, sums.orders, counts, discrepancies, too_alike=too_alike)
    return SameModel(
        a=a,
        b=b,
        verdict=verdict,
        reason=reason,
        p=p,
        statistic=statistic,
        level=level,
        permutations=permutations,
        seed=seed,
        discrepancies=discrepancies,
        most_different=_most_different(sums),
        least_prompt_p=math.exp(-sums.most_orders),
        counts=counts,
        notes=notes_on(counts),
    )


def _discrepancy(
    kernel: int, sums: _Sums, dealt: Array, threshold: float, *, level: float, p: float, seed: int
) -> Discrepancy:
    weights = np.array(sums.weights)
    mmd2s, variances = (np.array(values)[:, kernel] for values in (sums.observed, sums.pooled))
    columns = np.stack([weights * mmd2s, 4 * weights * variances, weights], axis=1)
    resampled = crossed_bootstrap_sums(columns, [np.arange(len(columns))], RESAMPLES, seed)
    explained, fourfold, weight = columns.sum(axis=0).tolist()
    with np.errstate(invalid="ignore", divide="ignore"):
        means, shares = resampled[:, 0] / resampled[:, 2], resampled[:, 0] / resampled[:, 1]
    varies = fourfold > TIE * weight
    reach = (threshold + NormalDist().inv_cdf(POWER)) * float(dealt.std()) * weight
    return Discrepancy(
        kernel=WITHIN[kernel],
        mmd2=_estimate(explained / weight, means, len(columns)),
        floor=float(np.quantile(dealt, 1 - level, method="higher")),
        share=_estimate(explained / fourfold if varies else math.nan, shares, len(columns)),
        detectable=min(1.0, reach / fourfold) if varies else None,
        p=p,
    )


def _estimate(value: float, resampled: Array, n: int) -> Estimate:
    interval = percentile_interval(resampled, n) if n > 1 else (math.nan, math.nan)
    estimate, low, high = (None if math.isnan(end) else end for end in (value, *interval))
    return Estimate(estimate=estimate, low=low, high=high, n=n)


def _most_different(sums: _Sums) -> tuple[PromptDifference, ...]:
    order = sorted(range(len(sums.prompts)), key=lambda i: (-sums.single[i][0], i))
    found = [
        PromptDifference(
            prompt=sums.prompts[i],
            kernel=WITHIN[int(sums.observed[i].argmax())],
            mmd2=float(sums.observed[i].max()),
            p=sums.single[i][1],
            p_corrected=float((sums.largest >= sums.single[i][0] - TIE).sum() / len(sums.largest)),
        )
        for i in order[:DIFFERENT_PROMPTS]
    ]
    return tuple(one for one in found if one.mmd2 > 0 and one.p_corrected <= PROMPT_LEVEL)


def _verdict(
    p: float,
    statistic: str,
    level: float,
    orders: float,
    counts: Counts,
    discrepancies: tuple[Discrepancy, ...],
    *,
    too_alike: bool,
) -> tuple[Verdict, str]:
    if counts.repeated == counts.prompts:
        return "inconclusive", never_vary(counts)
    if p <= level:
        return "differ", f"the answers differ by more than two samples of one model do (p = {p:.2g}, by {statistic})"
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
    kernels = [one for one in discrepancies if one.detectable is not None]
    found = min((one.detectable for one in kernels if one.detectable is not None), default=1.0)
    if found > SMALL_SHARE:
        factor = found / SMALL_SHARE
        samples = min(counts.samples) / counts.prompts
        return "inconclusive", (
            f"{unseen}, but only one that explains {_percent(found)} of the variation of the answers would have been, "
            f"with a power of 80 %. For {_percent(SMALL_SHARE)} draw about {math.ceil(samples * factor)} samples a "
            f"prompt in place of {samples:.3g}, or ask {math.ceil(counts.prompts * factor**2)} prompts in place of "
            f"{counts.prompts}"
        )
    for one in kernels:
        if one.share.low is not None and one.share.low > 0:
            return "inconclusive", (
                f"{unseen} at this level, but the 95 % interval of the share of variation leaves out 0 "
                f"({one.kernel}). Draw more samples, or ask more prompts"
            )
    sensitive = [one for one in kernels if one.detectable is not None and one.detectable <= SMALL_SHARE]
    widest = max(sensitive, key=lambda one: _high(one.share))
    if _high(widest.share) > SMALL_SHARE:
        return "inconclusive", (
            f"{unseen}, but one that explains up to {_percent(_high(widest.share))} of the variation of the answers is "
            f"compatible with them (upper end of the 95 % interval, {widest.kernel}). Draw more samples, or ask more "
            "prompts"
        )
    seen = max(one.detectable for one in sensitive if one.detectable is not None)
    return "consistent", (
        f"{unseen}; one that explains {_percent(seen)} of the variation of the answers would have been, with a power "
        f"of 80 %, and one above {_percent(max(0.0, _high(widest.share)))} is not compatible with them (95 % interval)"
    )


def _high(share: Estimate) -> float:
    return 1.0 if share.high is None else share.high


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
