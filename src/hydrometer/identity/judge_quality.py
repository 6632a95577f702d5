"""How far a judge can be trusted, measured against labels, and what that does to the rates it gives.

The measurement is tied to the judge by a hash of everything that determines its verdicts. Applied to a rate, it
corrects the estimate (Rogan and Gladen 1978) and widens the interval, with the labelled set resampled too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from hydrometer import stats
from hydrometer.errors import InputError
from hydrometer.findings import Estimate, Finding
from hydrometer.identity.judgement import Judgement
from hydrometer.identity.records import Attempt

Label = Literal["loose", "strict"]


class LabelQuality(Finding):
    """Agreement of a judge with labels on one question.

    Attributes:
        kappa: Cohen's kappa.
        sensitivity: share of labelled positives that the judge finds.
        specificity: share of labelled negatives that the judge leaves alone.
        confusion: (true positive, false positive, false negative, true negative) per template cluster.
    """

    kappa: Estimate
    sensitivity: Estimate
    specificity: Estimate
    confusion: list[tuple[int, int, int, int]]

    def corrected(self, rate: stats.Array) -> stats.Array:
        """Observed rates, corrected at the measured sensitivity and specificity."""
        total = np.array(self.confusion, dtype=float).sum(axis=0)
        return stats.rogan_gladen(rate, stats.sensitivity(total), stats.specificity(total))

    def corrected_resamples(self, rates: stats.Array, seed: int) -> stats.Array:
        """Resampled observed rates, each corrected with a resample of the labelled set. Shape as `rates`."""
        columns = np.array(self.confusion, dtype=float)
        sums = stats.crossed_bootstrap_sums(columns, [np.arange(len(columns))], len(rates), seed + 1)
        rng = np.random.default_rng(seed + 2)
        sens = _resampled(columns[:, 0], columns[:, 2], stats.sensitivity(sums), rng)
        spec = _resampled(columns[:, 3], columns[:, 1], stats.specificity(sums), rng)
        return stats.rogan_gladen(rates, sens, spec)


class JudgeQuality(Finding):
    """The measured error of one judge.

    Attributes:
        judge: the judge's name.
        fingerprint: SHA-256 over the judge's prompts, model and settings.
        loose: agreement on Loose.
        strict: agreement on Strict; Hard uses it too.
        n: labelled answers that were judged.
        unparsed: labelled answers on which the judge gave no usable verdict.
        schema_version: of this form.
    """

    judge: str
    fingerprint: str
    loose: LabelQuality | None
    strict: LabelQuality | None
    n: int
    unparsed: int
    schema_version: Literal[1] = 1

    def of(self, score: str) -> LabelQuality:
        """What holds for a score.

        Raises:
            InputError: it was not measured, or the judge is no better than chance on it.
        """
        quality = self.loose if score == "loose" else self.strict
        if quality is None:
            raise InputError(
                f"The judge's quality was not measured on {'loose' if score == 'loose' else 'strict'}",
                "Run `hydrometer judge check` on records that carry that label.",
            )
        total = np.array(quality.confusion, dtype=float).sum(axis=0)
        if not total[0] + total[2] or not total[1] + total[3]:
            raise InputError(
                f"The judge's quality on {'loose' if score == 'loose' else 'strict'} is unknown: the labelled records "
                f"hold no {'negative' if total[0] + total[2] else 'positive'}",
                "Measure it on records that hold both.",
            )
        if not float(stats.sensitivity(total) + stats.specificity(total)) > 1:
            raise InputError(
                f"{self.judge} is no better than chance on {score}, so its rates cannot be corrected",
                "Use another judge.",
            )
        return quality


def measure(
    attempts: Sequence[Attempt],
    judgements: Sequence[Judgement | None],
    *,
    judge: str,
    fingerprint: str,
    seed: int,
) -> JudgeQuality:
    """Agreement of judgements with the labels of the same attempts.

    Raises:
        InputError: no attempt has both a label and a verdict.
    """
    qualities = {label: _label_quality(attempts, judgements, label, seed) for label in ("loose", "strict")}
    if not any(qualities.values()):
        raise InputError(
            "No record has both a label and a verdict of the judge", "Give records with `loose` and `strict`."
        )
    answered = [judgement for judgement in judgements if judgement is not None]
    return JudgeQuality(
        judge=judge,
        fingerprint=fingerprint,
        loose=qualities["loose"],
        strict=qualities["strict"],
        n=len(answered),
        unparsed=sum(judgement.loose is None or judgement.strict is None for judgement in answered),
    )


def load_quality(path: Path, fingerprint: str) -> JudgeQuality:
    """Read a measurement and make sure that it is this judge's.

    Raises:
        InputError: unreadable, of another form, or of a judge with other prompts, model or settings.
    """
    try:
        quality = JudgeQuality.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", "Check --judge-quality.") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a judge quality file", "Make one with `hydrometer judge check LABELLED --out FILE`."
        ) from error
    if quality.fingerprint != fingerprint:
        raise InputError(
            f"{path} was measured on another judge ({quality.judge}, {quality.fingerprint[:12]}; "
            f"this one is {fingerprint[:12]})",
            "Measure this judge with `hydrometer judge check`.",
        )
    return quality


def _label_quality(
    attempts: Sequence[Attempt], judgements: Sequence[Judgement | None], label: Label, seed: int
) -> LabelQuality | None:
    rows = [
        (attempt, truth, verdict)
        for attempt, judgement in zip(attempts, judgements, strict=True)
        if judgement is not None
        and (truth := _truth(attempt, label)) is not None
        and (verdict := getattr(judgement, label)) is not None
    ]
    if not rows:
        return None
    cells = np.zeros((len(rows), 4))
    for index, (_, truth, verdict) in enumerate(rows):
        cells[index, (0 if verdict else 2) if truth else (1 if verdict else 3)] = 1
    templates = stats.codes([f"{attempt.model}\n{attempt.template}" for attempt, _, _ in rows])
    confusion = np.stack([np.bincount(templates, weights=cells[:, column]) for column in range(4)], axis=1)

    def estimate(
        statistic: Callable[[stats.Array], stats.Array], n: float, columns: tuple[int, int] | None = None
    ) -> Estimate:
        point = float(statistic(cells.sum(axis=0)))
        low, high = stats.interval_of(statistic, confusion.astype(float), [np.arange(len(confusion))], seed)
        if columns is not None and n:
            hits, misses = (confusion[:, column].astype(float) for column in columns)
            if (size := stats.sparse_size(hits, hits + misses)) is not None:
                ends = stats.wilson_interval(point, size)
                low, high = (float(end) for end in (np.fmin(low, ends[0]), np.fmax(high, ends[1])))
        values = [None if np.isnan(value) else value for value in (point, low, high)]
        return Estimate(estimate=values[0], low=values[1], high=values[2], n=int(n))

    tp, fp, fn, tn = cells.sum(axis=0)
    return LabelQuality(
        kappa=estimate(stats.cohen_kappa, len(rows)),
        sensitivity=estimate(stats.sensitivity, tp + fn, (0, 2)),
        specificity=estimate(stats.specificity, fp + tn, (3, 1)),
        confusion=[(int(a), int(b), int(c), int(d)) for a, b, c, d in confusion],
    )


def _truth(attempt: Attempt, label: Label) -> bool | None:
    """The recorded label; strict implies loose, so an answer that is labelled not loose is not strict."""
    return False if attempt.loose is False else getattr(attempt, label)


def _resampled(hits: stats.Array, misses: stats.Array, shares: stats.Array, rng: np.random.Generator) -> stats.Array:
    """Resamples of a judge's sensitivity or specificity.

    Where errors (or hits) were seen in too few clusters for a bootstrap, as with a judge that made none, draws from
    Jeffreys' posterior at the effective sample size.
    """
    size = stats.sparse_size(hits, hits + misses)
    if size is None:
        return shares
    share = hits.sum() / (hits + misses).sum()
    return rng.beta(share * size + 0.5, (1 - share) * size + 0.5, size=len(shares))
