"""Loose, Strict and Hard score with intervals (Lee et al. 2025, section 3.2 and the published code's definitions).

Over the N attempts of a subject that were answered and judged:

- **loose** = share whose answer contradicts the subject's identity card;
- **strict** = share that moreover says it is, or was made by, somebody else;
- **hard** = share that is strict under a template that holds none of the identity keywords, still over all N;
- **strict_unprompted** = strict positives among attempts under templates that name no model or vendor, over those
  attempts alone: what hard means once templates differ between subjects.

Failed and unparsed attempts are counted beside the scores and are in no denominator.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hydrometer import stats
from hydrometer.errors import InputError
from hydrometer.findings import Comparison, Estimate, Finding
from hydrometer.identity.judge_quality import JudgeQuality
from hydrometer.identity.judgement import Judgement
from hydrometer.identity.records import Attempt

#: The keywords of the published Hard score; matched anywhere in the template, in any case.
HARD_KEYWORDS = re.compile("openai|gpt|anthropic|claude", re.IGNORECASE)
SCORES = ("loose", "strict", "hard", "strict_unprompted")
SIGNIFICANCE = 0.05
PERMUTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Judged:
    """An attempt with its judgement; None where the attempt failed and there was nothing to judge."""

    attempt: Attempt
    judgement: Judgement | None

    @property
    def parsed(self) -> bool:
        """Whether both questions have a verdict."""
        return self.judgement is not None and self.judgement.loose is not None and self.judgement.strict is not None

    @property
    def unprompted(self) -> bool:
        """Whether the template names no model or vendor, as far as it is marked or the keywords tell."""
        return not self.attempt.leading and not HARD_KEYWORDS.search(self.attempt.template)

    def positive(self, score: str) -> bool | None:
        """The verdict on one score; None where it does not apply to this attempt or was not parsed."""
        judgement = self.judgement
        if judgement is None:
            return None
        if score == "loose":
            return judgement.loose
        if judgement.strict is None or (score == "strict_unprompted" and not self.unprompted):
            return None
        if score == "hard":
            return judgement.strict and not HARD_KEYWORDS.search(self.attempt.template)
        return judgement.strict


class Claimed(Finding):
    """How often a maker was claimed, and under which names.

    Attributes:
        count: answers that claim it.
        foreign: answers among them that contradict the card.
        models: claimed models of it, by count.
    """

    count: int
    foreign: int
    models: dict[str, int]


class IceScore(Finding):
    """The identity consistency of one subject.

    Attributes:
        subject: the subject's name.
        judge: who judged.
        loose: Loose score.
        strict: Strict score.
        hard: Hard score.
        strict_unprompted: Strict score over templates that name no model or vendor.
        n: attempts, failed and unparsed included.
        templates: different templates.
        questions: different questions.
        failed: attempts without an answer.
        failures: those by kind.
        unparsed: answers on which the judge gave no usable verdict.
        truncated: answers that were cut off at their longest length.
        by_category: loose and strict by category of the question.
        by_language: loose and strict by language of the question.
        claimed: claimed makers, the commonest first.
        warnings: what limits these figures.
        seed: of the resampling.
        comparisons: paired differences from the other subjects of the run.
        interval: how the intervals were made.
    """

    subject: str
    judge: str
    loose: Estimate
    strict: Estimate
    hard: Estimate
    strict_unprompted: Estimate
    n: int
    templates: int
    questions: int
    failed: int
    failures: dict[str, int]
    unparsed: int
    truncated: int
    by_category: dict[str, dict[str, Estimate]]
    by_language: dict[str, dict[str, Estimate]]
    claimed: dict[str, Claimed]
    warnings: list[str]
    seed: int
    comparisons: tuple[Comparison, ...] = ()
    interval: str = "95 %, bootstrap over template and question clusters"


def score(
    rows: Sequence[Judged], *, judge: str, seed: int, quality: JudgeQuality | None = None, warnings: Sequence[str] = ()
) -> IceScore:
    """The scores of one subject.

    Args:
        rows: its judged attempts, at least one.
        judge: the judge's name.
        seed: of the resampling.
        quality: the judge's measured error, to correct the rates and widen the intervals by.
        warnings: to pass on with the scores.
    """
    if not rows:
        raise InputError("There are no attempts to score")
    groups = [
        (field, value)
        for field in ("category", "language")
        for value in sorted({getattr(row.attempt, field) for row in rows})
    ]
    cells = [_cell(rows, name) for name in SCORES]
    cells += [_cell(rows, name, field, value) for field, value in groups for name in ("loose", "strict")]
    estimates = iter(_estimates(rows, cells, seed, quality))
    rates = {name: next(estimates) for name in SCORES}
    by: dict[str, dict[str, dict[str, Estimate]]] = {"category": {}, "language": {}}
    for field, value in groups:
        by[field][value] = {"loose": next(estimates), "strict": next(estimates)}
    failures = Counter(row.attempt.failure for row in rows if row.attempt.failure is not None)
    answered = [row for row in rows if row.attempt.failure is None]
    return IceScore(
        subject=rows[0].attempt.model,
        judge=judge,
        loose=rates["loose"],
        strict=rates["strict"],
        hard=rates["hard"],
        strict_unprompted=rates["strict_unprompted"],
        n=len(rows),
        templates=len({row.attempt.template for row in rows}),
        questions=len({row.attempt.query.strip() for row in rows}),
        failed=sum(failures.values()),
        failures=dict(sorted(failures.items())),
        unparsed=sum(not row.parsed for row in answered),
        truncated=sum(row.attempt.truncated for row in answered),
        by_category=by["category"],
        by_language=by["language"],
        claimed=_claimed(rows),
        warnings=[*warnings, *_warnings(rows, judge)],
        seed=seed,
    )


def compare(subjects: Sequence[Sequence[Judged]], *, seed: int) -> list[Comparison]:
    """Paired differences between all pairs of subjects on the templates and questions that both answered.

    Holm's correction runs over all pairs and scores. Pairs with no attempt in common are left out.
    """
    found: list[tuple[str, str, str, Estimate, float, int]] = []
    for first, second in combinations(subjects, 2):
        for name in ("loose", "strict", "strict_unprompted"):
            paired = _paired(first, second, name)
            if paired is not None:
                differences, templates, questions = paired
                found.append(
                    (
                        first[0].attempt.model,
                        second[0].attempt.model,
                        name,
                        _difference(differences, templates, questions, seed),
                        _p_value(differences, templates, questions, seed),
                        int(templates.max()) + 1,
                    )
                )
    corrected = stats.holm([item[4] for item in found])
    return [
        Comparison(
            a=a,
            b=b,
            score=name,
            difference=difference,
            p=p,
            p_corrected=holm,
            distinguishable=holm < SIGNIFICANCE,
            clusters=clusters,
        )
        for (a, b, name, difference, p, clusters), holm in zip(found, corrected, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One rate to be estimated: a score, over the rows that it applies to.

    Attributes:
        score: one of `SCORES`.
        applies: rows with a verdict, shape (n,).
        positive: rows that are positive, shape (n,).
        exposed: rows that could count at all: for Hard, those under a template without keywords; else all that apply.
    """

    score: str
    applies: stats.Array
    positive: stats.Array
    exposed: stats.Array


def _cell(rows: Sequence[Judged], name: str, field: str = "", value: str = "") -> _Cell:
    """The cell of a score, over the rows whose attempt has `value` under `field`, or over all."""
    verdicts = [row.positive(name) if not field or getattr(row.attempt, field) == value else None for row in rows]
    applies = np.array([verdict is not None for verdict in verdicts], dtype=float)
    exposed = applies
    if name == "hard":
        exposed = applies * np.array([not HARD_KEYWORDS.search(row.attempt.template) for row in rows], dtype=float)
    return _Cell(name, applies, np.array([bool(verdict) for verdict in verdicts], dtype=float), exposed)


def _estimates(
    rows: Sequence[Judged], cells: Sequence[_Cell], seed: int, quality: JudgeQuality | None
) -> list[Estimate]:
    """All rates of a subject, from the same resamples of its templates and questions."""
    templates = stats.codes([row.attempt.template for row in rows])
    questions = stats.codes([row.attempt.query.strip() for row in rows])
    columns = np.stack([part for cell in cells for part in (cell.positive, cell.exposed, cell.applies)], axis=1)
    sums = stats.crossed_bootstrap_sums(columns, [templates, questions], stats.RESAMPLES, seed)
    return [
        _estimate(cell, sums[:, 3 * index : 3 * index + 3], templates, questions, seed, quality)
        for index, cell in enumerate(cells)
    ]


def _estimate(
    cell: _Cell,
    sums: stats.Array,
    templates: stats.Codes,
    questions: stats.Codes,
    seed: int,
    quality: JudgeQuality | None,
) -> Estimate:
    here = cell.applies > 0
    n = int(here.sum())
    if n == 0:
        return Estimate(estimate=None, low=None, high=None, n=0, count=0)
    raw, share = float(cell.positive.sum() / n), float(cell.exposed.sum() / n)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates, shares = sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]
    units = min((size for part in (templates, questions) if (size := len(np.unique(part[here]))) > 1), default=0)

    def interval(resampled: stats.Array, ends: tuple[float, float]) -> tuple[float, float]:
        low, high = stats.percentile_interval(resampled, units) if units else ends
        return min(low, *ends), max(high, *ends)

    ends = stats.sparse_rate_interval(cell.positive[here], stats.recoded(templates[here])) or (raw, raw)
    estimate, (low, high) = raw, interval(rates, ends)
    if quality is not None and share > 0:
        correct = quality.of(cell.score)
        with np.errstate(invalid="ignore", divide="ignore"):
            corrected = shares * correct.corrected_resamples(rates / shares, seed)
        fixed = share * correct.corrected(np.minimum(1.0, np.array([raw, *ends]) / share))
        estimate = float(fixed[0])
        left, right = interval(np.where(shares == 0, 0.0, corrected), (float(fixed[1]), float(fixed[2])))
        # At a bound, the labels promise more errors than there are answers of that kind: the raw interval stays in.
        inside = 0 < estimate < share
        low, high = (left, right) if inside else (min(low, left), max(high, right))
    return Estimate(
        estimate=estimate,
        low=low,
        high=high,
        n=n,
        count=int(cell.positive.sum()),
        raw=None if quality is None else raw,
    )


def _claimed(rows: Sequence[Judged]) -> dict[str, Claimed]:
    claims = [row.judgement for row in rows if row.judgement is not None and row.judgement.claimed_maker]
    by_maker = Counter(claim.claimed_maker for claim in claims if claim.claimed_maker)
    return {
        maker: Claimed(
            count=count,
            foreign=sum(bool(claim.loose) for claim in claims if claim.claimed_maker == maker),
            models=dict(
                Counter(c.claimed_model for c in claims if c.claimed_maker == maker and c.claimed_model).most_common()
            ),
        )
        for maker, count in sorted(by_maker.items(), key=lambda item: (-item[1], item[0]))
    }


def _warnings(rows: Sequence[Judged], judge: str) -> list[str]:
    answered = [row for row in rows if row.attempt.failure is None]
    warnings = []
    if answered and len({row.attempt.template for row in answered}) < stats.SPARSE_CLUSTERS:
        warnings.append(f"Fewer than {stats.SPARSE_CLUSTERS} templates: the intervals say little beyond these.")
    if len(answered) < len(rows) / 2:
        warnings.append(f"Only {len(answered)} of {len(rows)} attempts were answered.")
    if answered and sum(not row.parsed for row in answered) > len(answered) / 10:
        warnings.append("The judge gave no usable verdict on more than a tenth of the answers.")
    if judge == "labels" and answered and all(row.judgement is not None and row.judgement.loose for row in answered):
        warnings.append("Every record is labelled positive: a file that holds only the positives gives no rate.")
    claims = sum(row.judgement is not None and row.judgement.claimed_maker is not None for row in answered)
    if judge != "labels" and claims < len(answered) / 10:
        warnings.append(
            f"Only {claims} of {len(answered)} answers name a maker or model as their own, so a low rate says little."
        )
    truncated = sum(row.attempt.truncated for row in answered)
    if truncated > len(answered) / 10:
        warnings.append(f"{truncated} of {len(answered)} answers were cut off at their longest length (--max-tokens).")
    repeated = len(answered) - len({(*_place(row), row.attempt.response) for row in answered})
    if repeated > 0:
        warnings.append(f"{repeated} records repeat another one with the same template, question and answer.")
    return warnings


def _paired(
    first: Sequence[Judged], second: Sequence[Judged], name: str
) -> tuple[stats.Array, stats.Codes, stats.Codes] | None:
    """Differences of verdicts on the same template and question, with the clusters of each pair."""
    other = {_place(row): value for row in second if (value := row.positive(name)) is not None}
    pairs = [
        (row, float(value) - float(other[_place(row)]))
        for row in first
        if (value := row.positive(name)) is not None and _place(row) in other
    ]
    if not pairs:
        return None
    return (
        np.array([difference for _, difference in pairs]),
        stats.codes([row.attempt.template for row, _ in pairs]),
        stats.codes([row.attempt.query.strip() for row, _ in pairs]),
    )


def _p_value(differences: stats.Array, templates: stats.Codes, questions: stats.Codes, seed: int) -> float:
    """The larger p-value of two sign-flip tests, over template and over question clusters."""
    sums = [np.bincount(part, weights=differences).astype(float) for part in (templates, questions)]
    return max(stats.sign_flip_p(part, PERMUTATIONS, seed) for part in sums)


def _difference(differences: stats.Array, templates: stats.Codes, questions: stats.Codes, seed: int) -> Estimate:
    columns = np.stack([differences, np.ones_like(differences)], axis=1)
    low, high = stats.interval_of(
        lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1), columns, [templates, questions], seed
    )
    estimate = float(differences.mean())
    known = not np.isnan(low) and int(templates.max()) > 0
    return Estimate(estimate=estimate, low=low if known else None, high=high if known else None, n=len(differences))


def _place(row: Judged) -> tuple[str, str]:
    return row.attempt.template, row.attempt.query.strip()
