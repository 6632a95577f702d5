"""Fidelity from log-probabilities: how near a student's next-token distributions are to its teacher's on one text.

Both models are shown the same prompt and the same beginning of an answer of the teacher's, and asked what comes next.
Where only the likeliest tokens are seen, every figure errs towards likeness: divergence is at least, overlap at most
what is stated. Models with different tokenizers are compared by the character that comes next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hydrometer.findings import Estimate, Finding
from hydrometer.integrity import divergence as dv
from hydrometer.integrity.calibration import Predictions, cross_fitted, expected_calibration_error, predictions
from hydrometer.integrity.divergence import View
from hydrometer.integrity.metrics import Metric
from hydrometer.stats import Array, Codes, percentile_interval

#: Likeliest tokens whose agreement is reported.
TOP = 5
QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an answer of the teacher's at which both models were asked what comes next.

    Attributes:
        prompt: row of the prompt in `Evidence.prompts`.
        start: whether nothing of the answer was shown.
        following: the answer from there on.
        teacher: what is seen of the teacher's distribution, by token.
        student: the same of the student's.
    """

    prompt: int
    start: bool
    following: str
    teacher: View
    student: View


@dataclass(frozen=True, slots=True)
class Evidence:
    """Distributions of both models at the same positions.

    Attributes:
        prompts: ids of the prompts whose answers were used.
        positions: at least one.
        same_tokens: whether the two have one tokenizer, as far as can be told.
        asked: positions at which both were asked, with those that gave nothing.
    """

    prompts: tuple[str, ...]
    positions: tuple[Position, ...]
    same_tokens: bool
    asked: int


class Spread(Finding):
    """How values are spread over positions.

    Attributes:
        mean: over positions.
        quantiles: at 50, 90, 95 and 99 %.
        most: the largest.
    """

    mean: Estimate
    quantiles: tuple[Estimate, ...]
    most: float | None


class Fidelity(Finding):
    """What the measures per prompt do not show.

    Attributes:
        unit: what distributions are over.
        prompts: whose answers were used.
        positions: in them, at which both gave log-probabilities.
        asked: positions at which both were asked.
        starts: positions at the start of an answer.
        seen: mean probability of what is seen of the (teacher's, student's) distributions over tokens.
        divergence: Kullback-Leibler divergence of the student from the teacher, at least, in nats.
        overlap_low: overlap sum min(p, q), at least.
        overlap_high: the same, at most.
        top_1: share of positions with the same likeliest token.
        top_k: share of the likeliest tokens in common.
        k: how many those are.
        temperatures: that calibrate the (teacher's, student's) next characters best; above 1 where it is too sure;
            None where no character can be read.
    """

    unit: Literal["token", "character"]
    prompts: int
    positions: int
    asked: int
    starts: int
    seen: tuple[float, float]
    divergence: Spread
    overlap_low: Estimate
    overlap_high: Estimate
    top_1: Estimate
    top_k: Estimate
    k: int
    temperatures: tuple[float, float] | None


def fidelity(evidence: Evidence, draws: Array) -> tuple[tuple[Metric, ...], Fidelity]:
    """Measure.

    Args:
        evidence: distributions at the same positions.
        draws: how often each of its prompts is drawn in each resample, shape (resamples, prompts).

    Returns:
        The measures, the leading one first, and what else there is to report.
    """
    characters = [_characters(one) for one in evidence.positions]
    pairs = [_tokens(one) for one in evidence.positions] if evidence.same_tokens else characters
    over = _Over(np.array([one.prompt for one in evidence.positions]), draws)

    def each(measure: Callable[[View, View], float]) -> Array:
        return np.array([measure(p, q) if p.mass and q.mass else math.nan for p, q in pairs])

    least, overlap = each(dv.least_divergence), each(lambda p, q: dv.overlap(p, q).high)
    top_1 = each(lambda p, q: float(p.top[0] == q.top[0]))
    whole = over.prompts(np.where(np.isfinite(overlap), 1.0, math.nan))
    unit: Literal["token", "character"] = "token" if evidence.same_tokens else "character"
    nats = f"nats per {unit}"
    calibrated, temperatures = _calibration(evidence, characters, over)
    metrics = (
        Metric("overlap of distributions", "fidelity", True, whole, over.prompts(overlap)),
        Metric("KL divergence", "fidelity", False, 0 * whole, over.prompts(least), worst=None, unit=nats),
        Metric("same likeliest continuation", "fidelity", True, whole, over.prompts(top_1)),
        Metric(
            "entropy of distributions",
            "fidelity",
            True,
            over.prompts(each(lambda p, _: dv.entropy(p))),
            over.prompts(each(lambda _, q: dv.entropy(q))),
            unit=nats,
        ),
        Metric(
            "mass outside the teacher's head",
            "fidelity",
            True,
            over.prompts(each(lambda p, q: dv.tails(p, q)[0])),
            over.prompts(each(lambda p, q: dv.tails(p, q)[1])),
        ),
        *calibrated,
    )
    return metrics, Fidelity(
        unit=unit,
        prompts=len(set(over.rows.tolist())),
        positions=len(pairs),
        asked=evidence.asked,
        starts=sum(one.start for one in evidence.positions),
        seen=(_seen(one.teacher for one in evidence.positions), _seen(one.student for one in evidence.positions)),
        divergence=Spread(
            mean=over.mean(least),
            quantiles=tuple(over.quantile(least, at) for at in QUANTILES),
            most=float(np.nanmax(least)) if np.isfinite(least).any() else None,
        ),
        overlap_low=over.mean(each(lambda p, q: dv.overlap(p, q).low)),
        overlap_high=over.mean(overlap),
        top_1=over.mean(top_1),
        top_k=over.mean(each(lambda p, q: dv.top_agreement(p, q, TOP))),
        k=TOP,
        temperatures=temperatures,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Over:
    """Positions in prompts, and resamples of these.

    Attributes:
        rows: number of each position's prompt, shape (n,).
        draws: how often each prompt is drawn in each resample, shape (resamples, prompts).
    """

    rows: Codes
    draws: Array

    def prompts(self, values: Array) -> Array:
        """Mean over the positions of each prompt, NaN where none has a value; shape (prompts,)."""
        total, count = self._sums(values)
        return np.asarray(total / np.where(count > 0, count, math.nan))

    def mean(self, values: Array) -> Estimate:
        """Mean over all positions with a value."""
        total, count = self._sums(values)
        drawn = self.draws @ count
        return self._estimate(values, np.nanmean, (self.draws @ total) / np.where(drawn > 0, drawn, math.nan))

    def quantile(self, values: Array, at: float) -> Estimate:
        """The least value that a share `at` of positions does not exceed."""
        known = np.flatnonzero(np.isfinite(values))
        order = known[np.argsort(values[known], kind="stable")]
        reached = np.cumsum(self.draws[:, self.rows[order]], axis=1)
        places = (reached < at * reached[:, -1:] - 1e-9).sum(axis=1) if len(order) else np.zeros(0, dtype=int)
        return self._estimate(
            values, lambda _: values[order][max(0, math.ceil(at * len(order) - 1e-9) - 1)], values[order][places]
        )

    def _sums(self, values: Array) -> tuple[Array, Array]:
        known = np.isfinite(values)
        size = self.draws.shape[1]
        total = np.bincount(self.rows[known], values[known], minlength=size)
        return total.astype(np.float64), np.bincount(self.rows[known], minlength=size).astype(np.float64)

    def _estimate(self, values: Array, point: Callable[[Array], float], resampled: Array) -> Estimate:
        known = np.isfinite(values)
        if not known.any():
            return Estimate(estimate=None, low=None, high=None, n=0)
        clusters = len(set(self.rows[known].tolist()))
        low, high = percentile_interval(resampled, clusters) if clusters > 1 else (None, None)
        return Estimate(estimate=float(point(values)), low=low, high=high, n=int(known.sum()))


def _tokens(one: Position) -> tuple[View, View]:
    return (dv.by_text(one.teacher), dv.by_text(one.student)) if one.start else (one.teacher, one.student)


def _whole(one: Position) -> bool:
    """Whether neither side splits characters here."""
    return not (dv.halved(one.teacher) or dv.halved(one.student))


def _characters(one: Position) -> tuple[View, View]:
    """Both distributions over what the text goes on with."""
    whole = _whole(one)
    teacher, student = (dv.by_character(side, start=one.start, whole=whole) for side in (one.teacher, one.student))
    return teacher, student


def _seen(views: Iterable[View]) -> float:
    return float(np.mean([1 - one.rest for one in views]))


def _calibration(
    evidence: Evidence, characters: Sequence[tuple[View, View]], over: _Over
) -> tuple[tuple[Metric, ...], tuple[float, float] | None]:
    """Measures of both sides on what the answer went on with, and the temperatures that mend them.

    Everything is by character, so that the sides are sure or not of one and the same event.
    """
    sides, rows = _expected(evidence, characters)
    if not len(rows):
        return (), None
    here = _Over(rows, over.draws)
    fitted = [cross_fitted(side, rows) for side in sides]
    once = np.ones((1, over.draws.shape[1]))

    def errors(temperatures: Sequence[Array | float]) -> tuple[Array, Array, Array, Array]:
        """Teacher's and student's error of all positions, and in the resamples."""
        found = [
            expected_calibration_error(side.confidence(one), side.right, rows, draws)
            for draws in (once, over.draws)
            for side, one in zip(sides, temperatures, strict=True)
        ]
        return found[0], found[1], found[2], found[3]

    raw, mended = errors((1.0, 1.0)), errors(fitted)
    surplus = [here.prompts(side.confidence() - side.right) for side in sides]
    loss = [here.prompts(side.log_loss()) for side in sides]
    units = over.draws.shape[1]

    def whole(name: str, found: tuple[Array, Array, Array, Array]) -> Metric:
        return Metric(name, "fidelity", False, found[0], found[1], resampled=found[2:], units=units, worst=1.0)

    metrics = (
        Metric("overconfidence", "fidelity", False, surplus[0], surplus[1], worst=1.0),
        whole("calibration error", raw),
        whole("calibration error, fitted", mended),
        Metric(
            "log-loss of the teacher's text", "fidelity", False, loss[0], loss[1], worst=None, unit="nats per character"
        ),
    )
    return metrics, (float(np.exp(np.log(fitted[0]).mean())), float(np.exp(np.log(fitted[1]).mean())))


def _expected(
    evidence: Evidence, characters: Sequence[tuple[View, View]]
) -> tuple[tuple[Predictions, Predictions], Codes]:
    """What each side expected of the next character, where that can be read and both see one; with the prompts."""
    views: tuple[list[View], list[View]] = ([], [])
    came, rows = [], []
    for one, pair in zip(evidence.positions, characters, strict=True):
        name = dv.going_on(one.following, start=one.start, whole=_whole(one))
        if name is not None and pair[0].mass and pair[1].mass:
            views[0].append(pair[0])
            views[1].append(pair[1])
            came.append(name)
            rows.append(one.prompt)
    return (predictions(views[0], came), predictions(views[1], came)), np.array(rows, dtype=np.int64)
