"""Attribution: which of several candidate teachers' own habits a student shows, if those of any.

A student's score for a candidate is their residual similarity less two things: what impostors (models that are neither)
share with that candidate, and what the student shares with the candidates on average, their common ground. So only what
sets one candidate apart counts. Nothing is learnt from a prompt that is used on another: each prompt has a score of its
own, and intervals come from drawing prompts with replacement.

Whether the best candidate stands out is judged by the impostors as if they were students. Some of them may well be
relatives of a candidate, which lie on one side only, so the scale is read off the other side (the empirical null of
Efron 2004), and scores are given in that unit: 0 as alike as impostors are, 2 about what one unrelated model in 40
exceeds. The p-value of a score gives a Bayes factor (Sellke, Bayarri and Berger 2001, under a Beta(`SHARPNESS`, 1)
alternative); the prior gives "none of these" one half and each candidate an equal part of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.findings import Finding
from hydrometer.kinship.resampling import square
from hydrometer.stats import Array, percentile_interval

if TYPE_CHECKING:
    from hydrometer.kinship.pairs import PairBlocks

Cells = NDArray[np.float32]
Verdict = Literal["supported", "none of these", "inconclusive"]

#: Fewer common prompts than this: inconclusive.
FEWEST_PROMPTS = 10
#: Fewer impostors than this show no scale: inconclusive.
FEWEST_IMPOSTORS = 8
#: Prior probability that the student learnt from none of the candidates.
PRIOR_NONE = 0.5
#: Exponent of the alternative's density of p, SHARPNESS * p^(SHARPNESS - 1): its mean p is 0.2.
SHARPNESS = 0.25
#: A candidate is supported from this probability on (and where its interval lies above 0): with 1 to 9 candidates, an
#: unrelated student then gets a teacher in 2 to 5 of 100 cases (90 and 30 impostors).
SURE = 0.8
#: It is none of these where that would be more probable than not even if all scores were at the upper ends of their
#: intervals. What is neither is inconclusive.
LIKELY = 0.5
_RESAMPLES = 1000
_LEAST_P = 1e-15
_LOWER = 0.15865525393145707


class Candidate(Finding):
    """What speaks for one candidate.

    Attributes:
        teacher: its name.
        probability: that the student shows its habits more than unrelated models do; those of all candidates and
            "none of these" add up to 1. None where it cannot be judged.
        score: likeness beyond impostors and common ground, in units of unrelated models' spread.
        low: lower end of the score's 95 % interval over prompts.
        high: upper end.
        prompts: prompts that both answered.
    """

    teacher: str
    probability: float | None
    score: float | None
    low: float | None
    high: float | None
    prompts: int


class Attribution(Finding):
    """Which candidate a student's habits are consistent with.

    Attributes:
        student: the subject.
        verdict: "supported", "none of these" or "inconclusive".
        teacher: the candidate that is supported; None where it abstains.
        none: probability of none of the candidates; None where it cannot be judged.
        candidates: all of them, the best first.
        impostors: models that the scale comes from.
        notes: what a reader should know.
    """

    student: str
    verdict: Verdict
    teacher: str | None
    none: float | None
    candidates: tuple[Candidate, ...]
    impostors: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lineup:
    """Who is compared with whom: indices of models."""

    students: tuple[int, ...]
    teachers: tuple[int, ...]
    impostors: tuple[int, ...]


def lineup(
    models: Sequence[str], students: Sequence[str], teachers: Sequence[str], impostors: Sequence[str] | None = None
) -> Lineup:
    """Look up names and refuse line-ups that make no sense.

    Args:
        models: all names.
        students: under test.
        teachers: candidates.
        impostors: unrelated models; None for all that are neither.

    Raises:
        InputError: a name that is not there or has two parts to play, or nobody to compare.
    """
    from hydrometer.response_table import nearest

    if not students or not teachers:
        raise InputError("there are no students or no teachers", "Name at least one of each")
    role: dict[str, str] = {}
    for part, names in (("student", students), ("candidate", teachers), ("impostor", impostors or ())):
        for name in names:
            if name not in models:
                raise InputError(f"the responses hold no model {name!r}", nearest(name, models))
            if name in role:
                raise InputError(f"{name} is named as {role[name]} and as {part}", "Give each model one part")
            role[name] = part
    others = [name for name in models if name not in role] if impostors is None else list(impostors)
    place = {name: number for number, name in enumerate(models)}
    return Lineup(
        tuple(place[one] for one in students),
        tuple(place[one] for one in teachers),
        tuple(place[one] for one in others),
    )


def attribute(pairs: PairBlocks, who: Lineup, *, seed: int = 0) -> list[Attribution]:
    """Attribute students to candidates.

    Args:
        pairs: residual similarities of all models.
        who: students, candidates and impostors.
        seed: of the resampling of prompts.

    Returns:
        One finding a student, in the order given.
    """
    sums: Cells = square(pairs.residual, len(pairs.models), 0.0)
    common: Cells = square(pairs.common, len(pairs.models), 0.0)
    blocks = len(sums)
    teachers, impostors = list(who.teachers), list(who.impostors)
    even = np.ones((1, blocks))
    if len(impostors) < FEWEST_IMPOSTORS:
        note = f"{len(impostors)} impostors do not show how alike unrelated models are (at least {FEWEST_IMPOSTORS})"
        return [_abstain(pairs, common, who, one, note) for one in who.students]
    scale = _spread(_likeness(sums, common, impostors, teachers, even)[0])
    draws = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=_RESAMPLES)
    out = []
    for student in who.students:
        prompts = common[:, student, teachers].sum(axis=0)
        if prompts.min() < FEWEST_PROMPTS:
            note = f"{int(prompts.min())} prompts shared with a candidate are too few (at least {FEWEST_PROMPTS})"
            out.append(_abstain(pairs, common, who, student, note))
            continue
        score = _scores(sums, common, student, teachers, impostors, even)[0] / scale
        spread = _scores(sums, common, student, teachers, impostors, draws.astype(np.float64)) / scale
        out.append(_judge(pairs, who, student, score, spread, prompts, blocks))
    return out


def _likeness(sums: Cells, common: Cells, rows: list[int], columns: list[int], weights: Array) -> Array:
    """Mean residual similarities for weights of the blocks, shape (weightings, rows, columns)."""
    above = np.tensordot(weights, sums[:, rows][:, :, columns], axes=1)
    below = np.tensordot(weights, common[:, rows][:, :, columns], axes=1)
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


def _scores(
    sums: Cells, common: Cells, student: int, teachers: list[int], impostors: list[int], weights: Array
) -> Array:
    """A student's scores for the candidates, not yet scaled, shape (weightings, candidates)."""
    score = _likeness(sums, common, [student], teachers, weights)[:, 0]
    score = score - _likeness(sums, common, impostors, teachers, weights).mean(axis=1)
    if len(teachers) > 1:
        return np.asarray(score - score.mean(axis=1, keepdims=True))
    return np.asarray(score - _likeness(sums, common, [student], impostors, weights)[:, 0].mean(axis=1, keepdims=True))


def _spread(likeness: Array) -> float:
    """Spread of unrelated models' scores, from what impostors share with the candidates, shape (impostors, candidates).

    Per candidate it is read below the median: relatives lie above. (The scores themselves would not do: what an
    impostor shares with one candidate lowers its scores for all others.) Without their common ground, T candidates'
    scores vary less by the factor sqrt(1 - 1/T).
    """
    below = np.median(likeness, axis=0) - np.quantile(likeness, _LOWER, axis=0)
    candidates = likeness.shape[1]
    left = 1 - 1 / candidates if candidates > 1 else 1.0
    return float(max(np.sqrt((below**2).mean() * left), 1e-9))


def posterior(score: Array) -> tuple[Array, float]:
    """Probabilities of each candidate and of none.

    Args:
        score: in units of unrelated models' spread, shape (candidates,).
    """
    p = np.array([max(_LEAST_P, erfc(one / sqrt(2)) / 2) for one in score.tolist()])
    weight = (1 - PRIOR_NONE) / len(score) * SHARPNESS * p ** (SHARPNESS - 1)
    total = PRIOR_NONE + weight.sum()
    return weight / total, float(PRIOR_NONE / total)


def _judge(
    pairs: PairBlocks, who: Lineup, student: int, score: Array, spread: Array, prompts: Array, blocks: int
) -> Attribution:
    probability, none = posterior(score)
    order = np.argsort(-score, kind="stable")
    candidates = []
    for one in order.tolist():
        low, high = percentile_interval(spread[:, one], max(2, blocks))
        candidates.append(
            Candidate(
                teacher=pairs.models[who.teachers[one]],
                probability=float(probability[one]),
                score=float(score[one]),
                low=low,
                high=high,
                prompts=int(prompts[one]),
            )
        )
    notes = []
    best = candidates[0]
    verdict: Verdict = "inconclusive"
    if posterior(np.array([one.high for one in candidates]))[1] >= LIKELY:
        verdict = "none of these"
    elif best.probability is not None and best.probability >= SURE and best.low is not None and best.low > 0:
        verdict = "supported"
    clones = [pairs.models[one] for one in who.teachers if _same(pairs, student, one)]
    if clones:
        notes.append(f"{pairs.models[student]} and {clones[0]} give the same answers: one model under two names")
    if len(candidates) == 1:
        notes.append("one candidate: a verification against the impostors, without a common ground to correct for")
    return Attribution(
        student=pairs.models[student],
        verdict=verdict,
        teacher=best.teacher if verdict == "supported" else None,
        none=none,
        candidates=tuple(candidates),
        impostors=len(who.impostors),
        notes=tuple(notes),
    )


def _same(pairs: PairBlocks, a: int, b: int) -> bool:
    return any(a in group and b in group for group in pairs.clones)


def _abstain(pairs: PairBlocks, common: Cells, who: Lineup, student: int, note: str) -> Attribution:
    candidates = tuple(
        Candidate(
            teacher=pairs.models[one],
            probability=None,
            score=None,
            low=None,
            high=None,
            prompts=int(common[:, student, one].sum()),
        )
        for one in who.teachers
    )
    return Attribution(
        student=pairs.models[student],
        verdict="inconclusive",
        teacher=None,
        none=None,
        candidates=candidates,
        impostors=len(who.impostors),
        notes=(note,),
    )
