"""Response similarity of subjects, with floor, ceiling, controls and intervals.

- The score is the mean over the prompts of each set, then the unweighted mean of the sets (Lee et al. 2025, table 3).
- Intervals: prompts are drawn anew within their set; the same draws serve all subjects, so differences are paired.
- Floor: answers to different prompts. Ceiling: the reference answering twice, or a given figure, else the top of the
  scale. Normalised: (score - floor) / (ceiling - floor).
- Differences between subjects: sign-flip permutation over prompts, Holm's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from hydrometer import stats
from hydrometer.errors import InputError
from hydrometer.findings import Comparison, Estimate, Finding
from hydrometer.stats import Array

TOP = 5.0
SIGNIFICANCE = 0.05
PERMUTATIONS = 10_000
#: With more subjects than this only neighbours in the ranking are compared.
ALL_PAIRS = 20
#: Lengths within this factor, and formatting at least this alike, count as like answers where a model judges.
LIKE_LENGTH = 1.5
LIKE_FORMATTING = 0.5
_CELLS = 12_000_000


class Judging(Finding):
    """How judge models did on one subject.

    Attributes:
        means: mean overall grade by judge.
        unscored: pairs without a usable grade, by judge.
        kappa: quadratic-weighted kappa of the overall grades, by pair of judges; None where undefined.
        alpha: Krippendorff's alpha (interval) of the overall grades over all judges.
        position: overall with the reference first minus overall with the subject first, where both were asked.
        shortened: pairs in which an answer was too long to be shown whole.
    """

    means: dict[str, float | None]
    unscored: dict[str, int]
    kappa: dict[str, float | None]
    alpha: float | None
    position: Estimate | None
    shortened: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The scores of one subject, one entry a prompt, NaN where there is none.

    Attributes:
        subject: its name.
        reference: name of the reference.
        judge: who scored.
        prompts: prompt ids, the same for all subjects of a run.
        sets: name of the set of each prompt.
        style: 0 to 2.
        logic: 0 to 2.
        content: 0 to 2.
        overall: 1 to 5.
        floor: overall of answers to different prompts.
        matched: overall after control for length and formatting.
        length_ratio: words of the subject over words of the reference.
        formatting: likeness of formatting, 0 to 1.
        overlap: share of common word trigrams, 0 to 1.
        failed: prompts without an answer on one side.
        unscored: answered prompts without a usable grade.
        warnings: what a reader must know.
        judging: how the judges did, where models judged.
    """

    subject: str
    reference: str
    judge: str
    prompts: tuple[str, ...]
    sets: tuple[str, ...]
    style: Array
    logic: Array
    content: Array
    overall: Array
    floor: Array
    matched: Array
    length_ratio: Array
    formatting: Array
    overlap: Array
    failed: int
    unscored: int
    warnings: tuple[str, ...] = ()
    judging: Judging | None = None


class Control(Finding):
    """A model known to be unrelated, and how far the subject is above it.

    Attributes:
        model: its name.
        overall: its score.
        difference: the subject's score minus the control's, paired by prompt.
        matched_difference: the same after control for length and formatting.
    """

    model: str
    overall: Estimate
    difference: Estimate
    matched_difference: Estimate


class Controls(Finding):
    """What else could explain a score.

    Attributes:
        models: the control models.
        percentile: share of the controls whose score is below the subject's, ties half; None without controls.
        matched: the score after matching length and formatting.
        length_ratio: median of words of the subject over words of the reference.
        formatting: mean likeness of headings, lists, bold and code, 0 to 1.
        ngram_overlap: mean Dice share of common word trigrams, 0 to 1.
    """

    models: list[Control]
    percentile: float | None
    matched: Estimate
    length_ratio: float | None
    formatting: float | None
    ngram_overlap: float | None


class Similarity(Finding):
    """Response similarity of one subject to the reference.

    Attributes:
        subject: its name.
        reference: name of the reference.
        judge: who scored; `builtin` is an estimate and not comparable with judged scores.
        overall: unweighted mean over the sets, 1 to 5.
        style: 0 to 2.
        logic: 0 to 2.
        content: 0 to 2.
        by_set: overall by prompt set.
        floor: overall of answers to different prompts.
        ceiling: overall of the reference against itself, where it was measured or given.
        normalised: share of the way from floor to ceiling; to the top of the scale where there is no ceiling.
        controls: what else could explain the score.
        unscored: answered prompts without a usable grade.
        failed: prompts without an answer on one side.
        not_distinguishable: other subjects whose score does not differ significantly.
        warnings: what a reader must know.
        judging: how the judges did; None for the built-in estimate.
    """

    subject: str
    reference: str
    judge: str
    overall: Estimate
    style: Estimate
    logic: Estimate
    content: Estimate
    by_set: dict[str, Estimate]
    floor: Estimate | None
    ceiling: Estimate | None
    normalised: Estimate | None
    controls: Controls
    unscored: int
    failed: int
    not_distinguishable: list[str]
    warnings: list[str]
    judging: Judging | None


class Resamples:
    """Bootstrap draws of prompts within their sets, shared by all statistics of a run.

    Args:
        sets: name of the set of each prompt.
        seed: of the draws.
    """

    def __init__(self, sets: Sequence[str], seed: int) -> None:
        labels = np.array(sets)
        rng = np.random.default_rng(seed)
        draws = int(min(stats.RESAMPLES, max(400, _CELLS // max(1, len(sets)))))
        self._parts: list[tuple[str, stats.Codes, Array]] = []
        for name in dict.fromkeys(sets):
            members = np.flatnonzero(labels == name)
            weights = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
            self._parts.append((name, members, weights.astype(np.float64)))

    def means(self, values: Array) -> tuple[Array, Array]:
        """Mean of each set, shape (sets,), and in each resample, (resamples, sets); NaN for a set without values."""
        points, resampled = [], []
        for _, members, weights in self._parts:
            part = values[members]
            seen = np.isfinite(part)
            filled = np.where(seen, part, 0.0)
            sizes = float(len(members)) if seen.all() else weights @ seen.astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                points.append(filled.sum() / np.float64(seen.sum()))
                resampled.append((weights @ filled) / sizes)
        return np.array(points), np.stack(resampled, axis=1)

    def macro(self, values: Array) -> tuple[float, Array]:
        """Unweighted mean of the sets that have values, and in each resample."""
        points, resampled = self.means(values)
        used = np.isfinite(points)
        if not used.any():
            return float("nan"), np.full(len(resampled), np.nan)
        return float(points[used].mean()), np.asarray(resampled[:, used].mean(axis=1))

    def estimate(self, values: Array) -> Estimate:
        """The macro mean with its interval."""
        point, resampled = self.macro(values)
        return _estimate(point, resampled, int(np.isfinite(values).sum()))

    def by_set(self, values: Array) -> dict[str, Estimate]:
        """The mean of each set with its interval."""
        points, resampled = self.means(values)
        return {
            name: _estimate(float(points[i]), resampled[:, i], int(np.isfinite(values[members]).sum()))
            for i, (name, members, _) in enumerate(self._parts)
        }


def macro_mean(values: Array, sets: Sequence[str]) -> float:
    """Mean over the values of each set, then the unweighted mean of the sets; NaN values are left out."""
    labels = np.array(sets)
    means = [values[(labels == name) & np.isfinite(values)] for name in dict.fromkeys(sets)]
    return float(np.mean([part.mean() for part in means if len(part)])) if any(len(p) for p in means) else float("nan")


def summarise(
    measured: Sequence[Measured],
    controls: Sequence[Measured] = (),
    ceiling: Array | float | None = None,
    seed: int = 0,
) -> tuple[list[Similarity], list[Comparison]]:
    """The findings of a run, and the paired comparisons of its subjects.

    Args:
        measured: the subjects, on one and the same list of prompts.
        controls: models known to be unrelated, on the same prompts.
        ceiling: overall scores of the reference against itself, shape (n,), or a given figure.
        seed: of the bootstrap and the permutations.

    Raises:
        InputError: a control is also a subject, or the ceiling is outside the scale.
    """
    twice = next((one.subject for one in measured if one.subject in {other.subject for other in controls}), None)
    if twice is not None:
        raise InputError(f"{twice} is both subject and control", "A control is a model known to be unrelated.")
    if isinstance(ceiling, float | int) and not 1 < ceiling <= TOP:
        raise InputError(f"The ceiling is {ceiling:g}", "Give a score above 1 and at most 5.")
    resamples = Resamples(measured[0].sets, seed)
    comparisons = compare(measured, resamples, seed)
    return [_similarity(one, controls, ceiling, resamples, comparisons) for one in measured], comparisons


def compare(measured: Sequence[Measured], resamples: Resamples, seed: int) -> list[Comparison]:
    """Paired differences in the overall score; beyond `ALL_PAIRS` subjects only of neighbours in the ranking."""
    if len(measured) <= ALL_PAIRS:
        pairs = list(combinations(measured, 2))
    else:
        ranked = sorted(measured, key=lambda one: -np.nan_to_num(resamples.macro(one.overall)[0], nan=-np.inf))
        pairs = list(pairwise(ranked))
    pairs = [pair for pair in pairs if np.isfinite(pair[0].overall - pair[1].overall).any()]
    if not pairs:
        return []
    differences = np.stack([a.overall - b.overall for a, b in pairs], axis=1)
    p_values = _sign_flip(_share_of_macro(differences, measured[0].sets), seed)
    return [
        Comparison(
            a=a.subject,
            b=b.subject,
            score="overall",
            difference=resamples.estimate(differences[:, i]),
            p=p_values[i],
            p_corrected=corrected,
            distinguishable=corrected < SIGNIFICANCE,
        )
        for i, ((a, b), corrected) in enumerate(zip(pairs, stats.holm(p_values), strict=True))
    ]


def _similarity(
    one: Measured,
    controls: Sequence[Measured],
    ceiling: Array | float | None,
    resamples: Resamples,
    comparisons: Sequence[Comparison],
) -> Similarity:
    same = [
        c.b if c.a == one.subject else c.a for c in comparisons if one.subject in {c.a, c.b} and not c.distinguishable
    ]
    floor = resamples.estimate(one.floor)
    given = Estimate(estimate=float(ceiling), low=None, high=None, n=0) if isinstance(ceiling, float | int) else None
    top = resamples.estimate(ceiling) if isinstance(ceiling, np.ndarray) else given
    empty = [name for name, found in resamples.by_set(one.overall).items() if not found.n]
    warnings = [*one.warnings, *(f"No prompt of {name} was scored; the mean is over the other sets." for name in empty)]
    return Similarity(
        subject=one.subject,
        reference=one.reference,
        judge=one.judge,
        overall=resamples.estimate(one.overall),
        style=resamples.estimate(one.style),
        logic=resamples.estimate(one.logic),
        content=resamples.estimate(one.content),
        by_set=resamples.by_set(one.overall),
        floor=floor if floor.n else None,
        ceiling=top,
        normalised=_normalised(one, ceiling, resamples) if floor.n else None,
        controls=_controls(one, controls, resamples),
        unscored=one.unscored,
        failed=one.failed,
        not_distinguishable=same,
        warnings=warnings,
        judging=one.judging,
    )


def _normalised(one: Measured, ceiling: Array | float | None, resamples: Resamples) -> Estimate | None:
    score, floor = resamples.macro(one.overall), resamples.macro(one.floor)
    if isinstance(ceiling, np.ndarray):
        top, tops = resamples.macro(ceiling)
    else:
        top = TOP if ceiling is None else float(ceiling)
        tops = np.full(len(score[1]), top)
    if not top > floor[0]:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = (score[1] - floor[1]) / (tops - floor[1])
    return _estimate((score[0] - floor[0]) / (top - floor[0]), resampled, int(np.isfinite(one.overall).sum()))


def _controls(one: Measured, controls: Sequence[Measured], resamples: Resamples) -> Controls:
    own = resamples.macro(one.overall)[0]
    theirs = np.array([resamples.macro(other.overall)[0] for other in controls])
    theirs = theirs[np.isfinite(theirs)]
    known = np.isfinite(own) and len(theirs) > 0
    return Controls(
        models=[
            Control(
                model=other.subject,
                overall=resamples.estimate(other.overall),
                difference=resamples.estimate(one.overall - other.overall),
                matched_difference=resamples.estimate(one.matched - other.matched),
            )
            for other in controls
        ],
        percentile=float(np.mean((theirs < own) + (theirs == own) / 2)) if known else None,
        matched=resamples.estimate(one.matched),
        length_ratio=_known(np.nanmedian, one.length_ratio),
        formatting=_known(np.nanmean, one.formatting),
        ngram_overlap=_known(np.nanmean, one.overlap),
    )


def like_answers(overall: Array, length_ratio: Array, formatting: Array) -> Array:
    """The scores of those prompts only whose answers are of like length and formatting, NaN elsewhere."""
    with np.errstate(invalid="ignore", divide="ignore"):
        like = (np.abs(np.log(length_ratio)) <= np.log(LIKE_LENGTH)) & (formatting >= LIKE_FORMATTING)
    return np.where(like, overall, np.nan)


def _known(statistic: object, values: Array) -> float | None:
    return float(statistic(values)) if callable(statistic) and np.isfinite(values).any() else None


def _estimate(point: float, resampled: Array, n: int) -> Estimate:
    if not n or not np.isfinite(point):
        return Estimate(estimate=None, low=None, high=None, n=n)
    if n < 2:
        return Estimate(estimate=point, low=None, high=None, n=n)
    low, high = stats.percentile_interval(resampled, n)
    return Estimate(estimate=point, low=min(low, point), high=max(high, point), n=n)


def _share_of_macro(differences: Array, sets: Sequence[str]) -> Array:
    """Each difference times its weight in the macro mean, so that the column sums are the macro means."""
    labels = np.array(sets)
    seen = np.isfinite(differences)
    weights = np.zeros(differences.shape)
    for name in dict.fromkeys(sets):
        rows = labels == name
        weights[rows] = 1 / np.maximum(seen[rows].sum(axis=0), 1)
    return np.where(seen, differences, 0.0) * weights


def _sign_flip(columns: Array, seed: int) -> list[float]:
    """Two-sided sign-flip p-values of the column sums; one set of sign patterns for all columns."""
    rng = np.random.default_rng(seed)
    observed = np.abs(columns.sum(axis=0))
    hits = np.zeros(columns.shape[1])
    chunk = max(1, min(PERMUTATIONS, _CELLS // max(1, len(columns))))
    done = 0
    while done < PERMUTATIONS:
        size = min(chunk, PERMUTATIONS - done)
        signs = rng.integers(0, 2, size=(size, len(columns)), dtype=np.int8).astype(np.float64) * 2 - 1
        hits += (np.abs(signs @ columns) >= observed - 1e-12).sum(axis=0)
        done += size
    return [float(p) for p in (1 + hits) / (1 + PERMUTATIONS)]
