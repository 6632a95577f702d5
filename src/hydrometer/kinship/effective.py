"""How many independent models a fleet really contains, and how close it is to a monoculture.

Both figures rest on a matrix Z of relatedness: 1 for a model with itself, 0 for a pair that no supported relation ties,
and for a supported relation its residual similarity relative to the level that two samples of one and the same model
reach. Pairs that cannot be told from unrelated ones count 0, so that noise in n (n - 1) / 2 pairs does not eat the
count.

The **effective number of models** is the maximum diversity of Leinster and Meckes (2016), 1 / min w'Zw over all shares
w of the models: the number of wholly independent models that would be as diverse as the most even use of these. It is
n for n unrelated models, does not change when a copy is added, and never falls when a model is added.

**Monoculture** is the chance that two different models of the fleet, drawn by their use, are in effect one:
the mean of Z off its diagonal, 0 where all are unrelated, 1 where all are the same. The diversity of the fleet as it
is used is 1 / w'Zw with w the shares of use (Leinster and Cobbold 2012, order 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hydrometer.errors import InputError
from hydrometer.findings import Estimate, Finding
from hydrometer.kinship.resampling import mean_similarity, resampled_similarity, square
from hydrometer.stats import Array, Codes, percentile_interval

if TYPE_CHECKING:
    from hydrometer.kinship.pairs import PairBlocks
    from hydrometer.kinship.relations import Relations

RESAMPLES = 1000
#: Two samples of one model are taken to share at least so much, lest a ratio to nearly nothing decide.
LEAST_CEILING = 0.05
#: Models more alike than this are not both among the models from which the second search begins.
_ALIKE = 0.5
_TOLERANCE = 1e-5
#: Stands for the relatedness of a removed model to all: above 1, so that no share is moved to it.
_SHUT = 2.0
#: Added to the diagonal before Z is inverted, which copies of a model make singular.
_RIDGE = 1e-6


class Change(Finding):
    """The population after one model has been removed from it or added to it.

    Attributes:
        model: which.
        effective_models: the effective number after the change.
        monoculture: after the change, all models used alike; None where fewer than two are left.
    """

    model: str
    effective_models: float
    monoculture: float | None


class Population(Finding):
    """How many independent models a fleet contains.

    Attributes:
        models: the fleet.
        effective_models: effective number of models with its interval; n is the median number of prompts that two
            models of the fleet have in common.
        upper_bound: whether some model was sampled once only. Its relations are then measured against those of an
            exact copy (or of the typical model that was sampled twice), so the true number may be lower.
        shares: share of each model of the fleet in its most even use; models of no share add nothing to the others.
        effective_in_use: diversity of the fleet as it is used, at most the effective number.
        monoculture: chance that two different models, drawn by their use, are in effect one; without an estimate for
            a fleet of one.
        usage: share of use of each model of the fleet that the last two rest on.
        undecided: pairs of the fleet whose relation is inconclusive; they count as unrelated.
        without: what removing each model of the fleet does.
        added: what adding each model does that was measured but is not in the fleet.
        resamples: resamples of the prompts behind the intervals.
        blocks: blocks of prompts that were resampled.
        seed: of the random generator.
    """

    models: tuple[str, ...]
    effective_models: Estimate
    upper_bound: bool
    shares: tuple[float, ...]
    effective_in_use: Estimate
    monoculture: Estimate
    usage: tuple[float, ...]
    undecided: int
    without: tuple[Change, ...]
    added: tuple[Change, ...]
    resamples: int
    blocks: int
    seed: int


@dataclass(frozen=True, slots=True)
class Relatedness:
    """The matrix Z, and what its entries are made of.

    Attributes:
        matrix: shape (n, n).
        columns: pairs that count, as places in `np.triu_indices(n, 1)`; shape (k,).
        ends: the two models of each of them, shape (2, k).
        centre: what is taken from a pair's mean similarity, shape (k,).
        ceiling: what its similarity is divided by, shape (k,).
        same: the first of the clones of each model, itself where it has none, shape (n,).
    """

    matrix: Array
    columns: Codes
    ends: Codes
    centre: Array
    ceiling: Array
    same: Codes


def population(
    pairs: PairBlocks,
    relations: Relations,
    *,
    fleet: Sequence[str] | None = None,
    usage: Mapping[str, float] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Population:
    """The effective number of models of a fleet, its monoculture, and what one model more or less would change.

    The intervals span two sources of doubt. The prompts are resampled, with the shares held fixed: at the optimum
    they do not matter to first order, and a search anew in each resample would find diversity in its noise. And a
    verdict that hardly ever accuses falsely leaves true relations out, so the end of less diversity counts, beside
    the supported ones, all that are inconclusive, at their estimates.

    Args:
        pairs: residual similarities by block of prompts.
        relations: verdicts on the same pairs.
        fleet: the models that are used, all by default; further ones are candidates for addition.
        usage: how much each model of the fleet is used, in any unit; all alike by default.
        seed: of the random generator that draws the blocks.
        resamples: number of resamples.

    Raises:
        InputError: an unknown model in the fleet or in the usage, or a usage that is negative or nothing.
    """
    members = _members(pairs.models, fleet)
    use = _usage([pairs.models[model] for model in members], usage)
    related = relatedness(pairs, relations)
    inside = related.matrix[np.ix_(members, members)]
    shares = most_even(inside)
    wider = relatedness(pairs, relations, lenient=True)
    shares_wider = most_even(wider.matrix[np.ix_(members, members)], shares)
    drawn = _levels(pairs, related, members, np.stack([shares, use]), resamples, seed)
    drawn_wider = _levels(pairs, wider, members, np.stack([shares_wider, use]), resamples, seed)
    even, used = (
        _Level(float(one @ inside @ one), *_span(drawn[:, at], drawn_wider[:, at], len(pairs.residual)))
        for at, one in enumerate((shares, use))
    )
    chosen = np.zeros(len(pairs.models), dtype=bool)
    chosen[members] = True
    a, b = np.triu_indices(len(pairs.models), 1)
    within = chosen[a] & chosen[b]
    prompts = int(np.median(relations.prompts[within])) if within.any() else 0
    undecided = np.asarray(relations.verdict) == "inconclusive"
    return Population(
        models=tuple(pairs.models[model] for model in members),
        effective_models=even.diversity(prompts),
        upper_bound=bool(np.isnan(pairs.resampled[members]).any()),
        shares=tuple(float(share) for share in shares),
        effective_in_use=used.diversity(prompts),
        monoculture=used.monoculture(float((use**2).sum()), prompts),
        usage=tuple(float(share) for share in use),
        undecided=int((undecided & within).sum()),
        without=_without(pairs.models, members, inside, shares),
        added=_added(pairs.models, members, related.matrix, shares),
        resamples=resamples,
        blocks=len(pairs.residual),
        seed=seed,
    )


def relatedness(pairs: PairBlocks, relations: Relations, *, lenient: bool = False) -> Relatedness:
    """How far each two models are in effect one, from 0 to 1. Clones of a model are that model.

    Args:
        pairs: residual similarities by block of prompts.
        relations: verdicts on the same pairs.
        lenient: beside supported relations, count the inconclusive ones.
    """
    n = len(pairs.models)
    same = np.arange(n)
    for group in pairs.clones:
        same[list(group)] = min(group)
    a, b = np.triu_indices(n, 1)
    first = (same[a] == a) & (same[b] == b)
    verdict = np.asarray(relations.verdict)
    open_ = (verdict == "inconclusive") & (np.nan_to_num(relations.estimate) > 0)
    counts = first & ((verdict == "supported") | (open_ & lenient))
    columns = np.flatnonzero(counts)
    ends = np.stack([a[columns], b[columns]])
    known = np.isfinite(pairs.resampled)
    typical = float(np.median(pairs.resampled[known])) if known.any() else 1.0
    own = np.clip(np.where(known, pairs.resampled, typical), LEAST_CEILING, 1.0)
    ceiling = np.sqrt(own[ends[0]] * own[ends[1]])
    estimate = relations.estimate[columns]
    values = np.zeros(len(a))
    values[columns] = np.clip(estimate / ceiling, 0.0, 1.0)
    matrix = np.asarray(square(values, n, 1.0))[np.ix_(same, same)]
    return Relatedness(matrix, columns, ends, mean_similarity(pairs)[columns] - estimate, ceiling, same)


def most_even(related: Array, start: Array | None = None) -> Array:
    """The shares w of the models that make w'Zw least, so that 1 / w'Zw is the maximum diversity.

    Share is moved from one model to another, each time the move that gains most, to its exact optimum (as in
    sequential minimal optimisation, Platt 1998; Fan, Chen and Lin 2005), until w'Zw is within 1e-5 of what any
    shares can reach to first order. Where Z is positive semidefinite that is the minimum. Where it is not (a relation
    that should hold by way of a third model is not supported), the better end of two searches is taken: from equal
    shares, and from models no two of which are much alike.

    Args:
        related: Z, symmetric, 1 on the diagonal, not negative; shape (n, n).
        start: shares to begin with, in place of the two beginnings.

    Returns:
        Shares, shape (n,), adding up to 1.
    """
    if start is not None:
        return _descend(related, start)
    ends = [_descend(related, one / one.sum()) for one in (np.ones(len(related)), _apart(related))]
    return min(ends, key=lambda shares: float(shares @ related @ shares))


def _descend(related: Array, start: Array) -> Array:
    shares, slope, own = start.copy(), related @ start, np.diag(related)
    while True:
        to = int(slope.argmin())
        level = float(shares @ slope)
        if level - slope[to] <= _TOLERANCE * level:
            return shares
        gap = slope - slope[to]
        curvature = np.maximum(own + own[to] - 2 * related[to], 1e-12)
        move = np.minimum(gap / curvature, shares)
        gain = move * (2 * gap - move * curvature)
        source = int(gain.argmax())
        if gain[source] <= 0:
            return shares
        shares[to] += move[source]
        shares[source] -= move[source]
        slope += move[source] * (related[to] - related[source])


def _apart(related: Array) -> Array:
    """1 for models no two of which are much alike, chosen from the least related on; else 0."""
    left, chosen = np.ones(len(related), dtype=bool), np.zeros(len(related))
    while left.any():
        ties = np.where(left, related @ left, np.inf)
        model = int(ties.argmin())
        chosen[model] = 1.0
        left &= related[model] < _ALIKE
    return chosen


def _members(models: Sequence[str], fleet: Sequence[str] | None) -> Codes:
    if fleet is None:
        return np.arange(len(models))
    place = {name: at for at, name in enumerate(models)}
    for name in fleet:
        if name not in place:
            raise InputError(f"{name!r} is in the fleet but was not measured", "Use the names in the responses.")
    if not fleet:
        raise InputError("The fleet is empty", "Name at least one model.")
    return np.array(sorted({place[name] for name in fleet}))


def _usage(fleet: Sequence[str], usage: Mapping[str, float] | None) -> Array:
    if usage is None:
        return np.full(len(fleet), 1 / len(fleet))
    for name, amount in usage.items():
        if name not in fleet:
            raise InputError(f"Usage is given for a model that is not in the fleet: {name!r}")
        if not (np.isfinite(amount) and amount >= 0):
            raise InputError(f"The usage of {name!r} is {amount}", "Give a number of 0 or more.")
    shares = np.array([usage.get(name, 0.0) for name in fleet], dtype=np.float64)
    if shares.sum() <= 0:
        raise InputError("No model of the fleet is used", "Give at least one a usage above 0.")
    return np.asarray(shares / shares.sum())


def _levels(pairs: PairBlocks, related: Relatedness, members: Codes, shares: Array, resamples: int, seed: int) -> Array:
    """The level w'Zw in each resample of the prompts, for each row of shares; shape (resamples, rows)."""
    weight = np.zeros((len(shares), len(pairs.models)))
    np.add.at(weight.T, related.same[members], shares.T)
    product = 2 * weight[:, related.ends[0]] * weight[:, related.ends[1]]
    drawn = [
        np.clip((chunk - related.centre) / related.ceiling, 0.0, 1.0) @ product.T
        for chunk in resampled_similarity(pairs, resamples, seed, related.columns)
    ]
    return np.asarray((weight**2).sum(axis=1) + np.concatenate([*drawn, np.zeros((0, len(shares)))]))


def _span(supported: Array, wider: Array, blocks: int) -> tuple[float, float]:
    """Lower end of the supported relations' interval, upper end of the wider ones'; NaN without resampling."""
    if blocks < 2:
        return np.nan, np.nan
    return percentile_interval(supported, blocks)[0], percentile_interval(wider, blocks)[1]


@dataclass(frozen=True, slots=True)
class _Level:
    """A value of w'Zw with its interval."""

    level: float
    low: float
    high: float

    def diversity(self, prompts: int) -> Estimate:
        """1 / w'Zw."""
        if np.isnan(self.low):
            return Estimate(estimate=1 / self.level, low=None, high=None, n=prompts)
        low, high = 1 / max(self.high, self.level), 1 / min(self.low, self.level)
        return Estimate(estimate=1 / self.level, low=low, high=high, n=prompts)

    def monoculture(self, itself: float, prompts: int) -> Estimate:
        """The part of w'Zw that is not a model with itself, on a scale from 0 to 1."""
        if itself >= 1:
            return Estimate(estimate=None, low=None, high=None, n=prompts)
        level, low, high = ((max(value, itself) - itself) / (1 - itself) for value in (self.level, self.low, self.high))
        if np.isnan(self.low):
            return Estimate(estimate=level, low=None, high=None, n=prompts)
        return Estimate(estimate=level, low=min(low, level), high=max(high, level), n=prompts)


def _without(models: Sequence[str], members: Codes, inside: Array, shares: Array) -> tuple[Change, ...]:
    """What removing each model does.

    A search begins at the shares that are best while no model gains or loses all of its share (the inverse of Z
    without one row, from the inverse of Z), which mostly is where it ends.
    """
    n = len(members)
    if n < 2:
        return ()
    whole, left = 1 / float(shares @ inside @ shares), inside.copy()
    ties = inside.sum(axis=1) - 1
    used = np.flatnonzero(shares > 0)
    inverse = np.zeros((n, n))
    inverse[np.ix_(used, used)] = np.linalg.inv(inside[np.ix_(used, used)] + _RIDGE * np.eye(len(used)))
    out = []
    for at, model in enumerate(members):
        number = whole
        if shares[at] > 0:
            gains = -inverse[at] / inverse[at, at] if inverse[at, at] > 0 else inside[at]
            start = np.where(shares > 0, np.maximum(shares + shares[at] * gains, 0.0), 0.0)
            start[at] = 0.0
            if not start.any():
                start = np.where(np.arange(n) == at, 0.0, 1.0)
            left[at], left[:, at] = _SHUT, _SHUT
            best = _descend(left, start / start.sum())
            number = min(whole, 1 / float(best @ left @ best))
            left[at], left[:, at] = inside[at], inside[:, at]
        rest = float(ties.sum() - 2 * ties[at])
        mono = rest / ((n - 1) * (n - 2)) if n > 2 else None
        out.append(Change(model=models[model], effective_models=number, monoculture=mono))
    return tuple(out)


def _added(models: Sequence[str], members: Codes, related: Array, shares: Array) -> tuple[Change, ...]:
    out = []
    for model in np.setdiff1d(np.arange(len(models)), members):
        more = np.append(members, model)
        part = related[np.ix_(more, more)]
        best = most_even(part, np.append(shares, 0.0))
        out.append(
            Change(
                model=models[model],
                effective_models=1 / float(best @ part @ best),
                monoculture=_mean_related(part),
            )
        )
    return tuple(out)


def _mean_related(related: Array) -> float | None:
    n = len(related)
    return float((related.sum() - n) / (n * (n - 1))) if n > 1 else None
