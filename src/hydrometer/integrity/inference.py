"""From values to findings: paired differences with intervals, p-values, Holm's correction, and readings.

Prompts are the units. Both models answered each, so differences are taken within prompts, and intervals resample
whole prompts: a prompt's value carries the noise of its draws with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from hydrometer.findings import Estimate
from hydrometer.integrity.findings import MetricFinding, Reading, Values
from hydrometer.integrity.metrics import Metric
from hydrometer.stats import SPARSE_CLUSTERS, Array, holm, percentile_interval, sign_flip_p, t_quantile

LEVEL = 0.05
#: Share of what there is to lose up to which a loss counts as kept.
SHARE = 0.1
#: Sign patterns of the permutation test: Holm's correction over some 40 measures asks for p-values near 0.001.
PERMUTATIONS = 9999


def infer(metrics: Sequence[Metric], draws: Array, seed: int) -> tuple[MetricFinding, ...]:
    """Every measure with its intervals, its p-value over all measures, and its reading.

    Args:
        metrics: the measures.
        draws: how often each prompt is drawn in each resample, shape (resamples, prompts).
        seed: of the sign flips.
    """
    raw = [_finding(one, draws, seed) for one in metrics]
    tested = [at for at, one in enumerate(raw) if one.p is not None]
    corrected = dict(zip(tested, holm([raw[at].p or 0.0 for at in tested]), strict=True))
    found = []
    for at, one in enumerate(raw):
        p = corrected.get(at)
        found.append(one.model_copy(update={"p_corrected": p, "reading": reading(one, p)}))
    return tuple(found)


def reading(one: MetricFinding, p_corrected: float | None) -> Reading:
    """What a measure says by itself.

    lost: told from chance, and the interval reaches beyond the margin. kept: the whole interval is below the margin.
    gained: told from chance the other way. A certain loss that is certainly smaller than the margin is kept.
    """
    told = p_corrected is not None and p_corrected < LEVEL
    loss, margin = one.loss, one.margin
    if loss.estimate is None or loss.high is None:
        return "inconclusive"
    within = margin is not None and loss.high <= margin
    if told and loss.estimate < 0:
        return "gained"
    if told and loss.estimate > 0 and not within:
        return "lost"
    if one.saturated:
        return "saturated"
    return "kept" if within else "inconclusive"


def mean_estimate(values: Array, draws: Array) -> Estimate:
    """Mean over prompts with an interval; prompts without a value are left out.

    Args:
        values: shape (prompts,), NaN where undefined.
        draws: how often each prompt is drawn in each resample, shape (resamples, prompts).
    """
    known = np.isfinite(values)
    n = int(known.sum())
    if n < 2:
        return Estimate(estimate=float(values[known].mean()) if n else None, low=None, high=None, n=n)
    low, high = percentile_interval(_means(values[known], draws[:, known]), n)
    return Estimate(estimate=float(values[known].mean()), low=low, high=high, n=n)


def t_p_value(statistic: float, freedom: int) -> float:
    """Two-sided p-value of Student's t, by the substitution t = sqrt(v) tan(a)."""
    angle, cumulative = _t_table(freedom)
    at = math.atan(abs(statistic) / math.sqrt(freedom))
    return float(max(0.0, min(1.0, 2 * (1 - np.interp(at, angle, cumulative)))))


def _finding(one: Metric, draws: Array, seed: int) -> MetricFinding:
    sign = 1.0 if one.higher_is_kept else -1.0
    teacher, student, loss, p = _paired(one, draws, sign, seed) if one.resampled is None else _whole(one, draws, sign)
    room = None
    if teacher.estimate is not None and one.worst is not None:
        room = max(0.0, sign * (teacher.estimate - one.worst)) or None
    if one.resampled is None and room is not None:
        loss = _not_too_narrow(loss, one, room)
    return MetricFinding(
        name=one.name,
        theme=one.theme,
        unit=one.unit,
        higher_is_kept=one.higher_is_kept,
        teacher=teacher,
        student=student,
        loss=loss,
        relative=None if room is None or loss.estimate is None else loss.estimate / room,
        margin=None if room is None else SHARE * room,
        p=p,
        p_corrected=None,
        reading="inconclusive",
        saturated=one.saturated,
        teacher_values=_values(one.teacher),
        student_values=_values(one.student),
    )


def _paired(one: Metric, draws: Array, sign: float, seed: int) -> tuple[Estimate, Estimate, Estimate, float | None]:
    both = np.isfinite(one.teacher) & np.isfinite(one.student)
    # A measure of its own prompts (questions in several ways) has as many values as it likes; it gets draws of its own.
    if len(one.teacher) != draws.shape[1]:
        draws = resampling(len(one.teacher), len(draws), seed)
    teacher, student = (np.where(both, side, math.nan) for side in (one.teacher, one.student))
    loss = sign * (teacher - student)
    p = sign_flip_p(loss[both], PERMUTATIONS, seed) if both.sum() >= 2 else None
    return mean_estimate(teacher, draws), mean_estimate(student, draws), mean_estimate(loss, draws), p


def _whole(one: Metric, draws: Array, sign: float) -> tuple[Estimate, Estimate, Estimate, float | None]:
    """A measure over the whole set: Student's t on the standard error over resamples."""
    n = one.units or draws.shape[1]
    resampled = one.resampled or (one.teacher, one.student)
    point = float(one.teacher[0]), float(one.student[0])
    teacher, _ = _around(point[0], resampled[0], n)
    student, _ = _around(point[1], resampled[1], n)
    loss, error = _around(sign * (point[0] - point[1]), sign * (resampled[0] - resampled[1]), n)
    if loss.estimate is None or loss.low is None:
        return teacher, student, loss, None
    return teacher, student, loss, t_p_value(loss.estimate / error, n - 1) if error > 0 else float(not loss.estimate)


def _around(point: float, resampled: Array, n: int) -> tuple[Estimate, float]:
    known = resampled[np.isfinite(resampled)]
    if not math.isfinite(point):
        return Estimate(estimate=None, low=None, high=None, n=n), 0.0
    if n < 3 or len(known) < 2:
        return Estimate(estimate=point, low=None, high=None, n=n), 0.0
    error = float(known.std(ddof=1)) * math.sqrt(n / (n - 1))
    half = t_quantile(0.975, n - 1) * error
    return Estimate(estimate=point, low=point - half, high=point + half, n=n), error


def _not_too_narrow(loss: Estimate, one: Metric, room: float) -> Estimate:
    """Widened where few prompts differ, of which resampling alone makes too much.

    By the rule of three (Hanley and Lippman-Hand 1983) 3 / n of prompts may lose all without one among n showing it.
    """
    differ = int((np.abs(one.teacher - one.student) > 1e-12).sum())
    if loss.estimate is None or loss.low is None or loss.high is None or differ >= SPARSE_CLUSTERS:
        return loss
    unseen = min(1.0, 3 / loss.n) * room
    low, high = min(loss.low, loss.estimate - unseen), max(loss.high, loss.estimate + unseen)
    return loss.model_copy(update={"low": low, "high": high})


def resampling(prompts: int, resamples: int, seed: int) -> Array:
    """How often each prompt is drawn in each resample, shape (resamples, prompts)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples).astype(np.float64)


def _means(values: Array, draws: Array) -> Array:
    total = draws.sum(axis=1)
    return np.asarray((draws @ values) / np.where(total > 0, total, math.nan))


def _values(values: Array) -> Values:
    return tuple(float(value) if math.isfinite(value) else None for value in values)


@cache
def _t_table(freedom: int) -> tuple[Array, Array]:
    angle = np.linspace(-math.pi / 2, math.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return angle, np.asarray(cumulative / cumulative[-1])
