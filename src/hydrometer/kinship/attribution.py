"""Attribution: which of several candidate teachers' own habits a student shows, if those of any.

Three lines of evidence: the residual similarity of answers to the same prompts, and how answers begin and how they end,
compared across prompts (`frames`). On each line, what a student and a candidate share is taken less what impostors
(models that are neither) share with that candidate, in units of the impostors' spread; the lines are added up, and what
the student shares with the candidates on average, their common ground, is taken off. So only what sets one candidate
apart counts.

Whether the best candidate stands out is judged by the impostors as if they were students. Some of them may well be
relatives of a candidate, which lie on one side only, so the scale is read off the other side (the empirical null of
Efron 2004), and scores are given in that unit: 0 as alike as impostors are, 2 about what one unrelated model in 40
exceeds. Intervals leave out groups of prompts in turn (jackknife). The p-value of a score gives a Bayes factor (Sellke,
Bayarri and Berger 2001, under a Beta(`SHARPNESS`, 1) alternative); the prior gives "none of these" one half and each
candidate an equal part of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import erfc, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.findings import Finding
from hydrometer.kinship.frames import GROUPS
from hydrometer.stats import Array, t_quantile

if TYPE_CHECKING:
    from hydrometer.kinship.frames import Frames
    from hydrometer.kinship.pairs import PairBlocks

Single = NDArray[np.float32]
Verdict = Literal["supported", "none of these", "inconclusive"]

#: Fewer common prompts than this: inconclusive.
FEWEST_PROMPTS = 10
#: Fewer impostors than this show no scale: inconclusive.
FEWEST_IMPOSTORS = 8
#: Prior probability that the student learnt from none of the candidates.
PRIOR_NONE = 0.5
#: Exponent of the alternative's density of p, SHARPNESS * p^(SHARPNESS - 1): its mean p is 0.2.
SHARPNESS = 0.25
#: A candidate is supported where the best of as many unrelated scores would be so high in fewer than this share of
#: cases, and where it is more probable than all else together, its interval lies above 0 and it has no rivals.
LEVEL = 0.01
#: It is none of these where that would be more probable than not even if all scores were at the upper ends of their
#: intervals. What is neither is inconclusive.
LIKELY = 0.5
_LEAST_P = 1e-15
_LEAST = 1e-9


class Candidate(Finding):
    """What speaks for one candidate.

    Attributes:
        teacher: its name.
        probability: that the student shows its habits more than unrelated models do; those of all candidates and
            "none of these" add up to 1. None where it cannot be judged.
        score: likeness beyond impostors and common ground, in units of unrelated models' spread.
        low: lower end of the score's 95 % interval over prompts.
        high: upper end.
        lines: the score on each line of evidence alone, in units of its own spread.
        prompts: prompts that both answered.
    """

    teacher: str
    probability: float | None
    score: float | None
    low: float | None
    high: float | None
    lines: dict[str, float]
    prompts: int


class Attribution(Finding):
    """Which candidate a student's habits are consistent with.

    Attributes:
        student: the subject.
        verdict: "supported", "none of these" or "inconclusive".
        teacher: the candidate that is supported; None where it abstains.
        none: probability of none of the candidates; None where it cannot be judged.
        candidates: all of them, the best first.
        rivals: candidates whose scores are not surely below the best one's.
        leaning: where an inconclusive finding leans, what it cannot be told from and what might decide.
        impostors: models that the scale comes from.
        notes: what a reader should know.
    """

    student: str
    verdict: Verdict
    teacher: str | None
    none: float | None
    candidates: tuple[Candidate, ...]
    rivals: tuple[str, ...]
    leaning: str | None
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
    from hydrometer.response_names import nearest

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


def attribute(pairs: PairBlocks, who: Lineup, frames: Sequence[Frames] = ()) -> list[Attribution]:
    """Attribute students to candidates.

    Args:
        pairs: residual similarities of all models.
        who: students, candidates and impostors.
        frames: how the same models' answers begin and end, by groups of the same blocks; none: residuals alone.

    Returns:
        One finding a student, in the order given.
    """
    teachers, impostors = list(who.teachers), list(who.impostors)
    common = {one: _columns(pairs.common, pairs, [one], teachers).sum(axis=(0, 1)) for one in who.students}
    if len(impostors) < FEWEST_IMPOSTORS:
        note = f"{len(impostors)} impostors do not show how alike unrelated models are (at least {FEWEST_IMPOSTORS})"
        return [_abstain(pairs, common[one], who, one, note) for one in who.students]
    enough = [one for one in who.students if common[one].min() >= FEWEST_PROMPTS]
    scores = dict(zip(enough, _scores(pairs, who, enough, frames), strict=True))
    out = []
    for student in who.students:
        prompts = common[student]
        if student in scores:
            out.append(_judge(pairs, who, student, scores[student], prompts))
        else:
            note = f"{int(prompts.min())} prompts shared with a candidate are too few (at least {FEWEST_PROMPTS})"
            out.append(_abstain(pairs, prompts, who, student, note))
    return out


@dataclass(frozen=True, slots=True)
class Scores:
    """A student's scores.

    Attributes:
        score: for each candidate, shape (candidates,).
        lines: the same of each line of evidence alone.
        left_out: scores without one group of prompts each, shape (groups, candidates).
    """

    score: Array
    lines: dict[str, Array]
    left_out: Array

    def error(self, values: Array) -> Array:
        """Jackknife standard error, from values without one group each, shape (groups, ...)."""
        groups = len(values)
        return np.asarray(np.sqrt((groups - 1) / groups * ((values - values.mean(axis=0)) ** 2).sum(axis=0)))

    @property
    def reach(self) -> float:
        """Standard errors that a 95 % interval reaches to either side."""
        return t_quantile(0.975, max(1, len(self.left_out) - 1))


def _scores(pairs: PairBlocks, who: Lineup, students: list[int], frames: Sequence[Frames]) -> list[Scores]:
    teachers, impostors = list(who.teachers), list(who.impostors)
    rows, alone = [*students, *impostors], len(teachers) == 1
    columns = [*teachers, *impostors] if alone else teachers
    groups = min(GROUPS, len(pairs.residual))
    sums, common = (_columns(one, pairs, rows, columns) for one in (pairs.residual, pairs.common))
    lines: dict[str, Callable[[int | None], Array]] = {"residual": lambda group: _mean(sums, common, group)}
    for each in frames:
        lines[each.name] = partial(each.likeness, rows, columns)
    beyond = {name: _beyond(line(None), len(students), len(teachers)) for name, line in lines.items()}
    unit = {name: spread_of(one[len(students) :]) for name, one in beyond.items()}
    total = sum(one / unit[name] for name, one in beyond.items())
    scale = spread_of(np.asarray(total)[len(students) :])

    def scored(found: Array, spread: float) -> Array:
        own = found[: len(students)]
        return np.asarray((own if alone else own - own.mean(axis=1, keepdims=True)) / spread)

    def without(group: int | None) -> Array:
        parts = (_beyond(line(group), len(students), len(teachers)) / unit[name] for name, line in lines.items())
        return scored(np.asarray(sum(parts)), scale)

    whole = without(None)
    left_out = np.stack([without(group) for group in range(groups)])
    each_line = {name: scored(one, unit[name]) for name, one in beyond.items()}
    return [
        Scores(
            deviates(whole[number], len(impostors)),
            {name: one[number] for name, one in each_line.items()},
            deviates(left_out[:, number], len(impostors)),
        )
        for number in range(len(students))
    ]


def _beyond(likeness: Array, students: int, teachers: int) -> Array:
    """What each model shares with the candidates beyond impostors, shape (students + impostors, candidates).

    Args:
        likeness: of students and impostors to the candidates and, where there is one candidate, to the impostors; then
            what a student shares with the impostors stands for the common ground.
        students: how many there are.
        teachers: how many there are.
    """
    found: Array = likeness[:, :teachers] - likeness[students:, :teachers].mean(axis=0)
    if teachers == 1:
        found[:students] -= likeness[:students, teachers:].mean(axis=1, keepdims=True)
    return found


def _columns(values: Single, pairs: PairBlocks, rows: list[int], columns: list[int]) -> Array:
    """Values of pairs summed over groups of blocks, shape (groups, rows, columns); 0 for a model with itself."""
    a, b = np.meshgrid(rows, columns, indexing="ij")
    first, second, n = np.minimum(a, b), np.maximum(a, b), len(pairs.models)
    place = np.where(a == b, 0, first * n - first * (first + 1) // 2 + (second - first - 1))
    groups = min(GROUPS, len(values))
    summed = np.stack([values[group::groups, place].sum(axis=0, dtype=np.float64) for group in range(groups)])
    return np.where(a == b, 0.0, summed)


def _mean(sums: Array, common: Array, left_out: int | None) -> Array:
    """Mean residual similarity, shape (rows, columns); 0, as of unrelated models, without common prompts."""
    above, below = sums.sum(axis=0), common.sum(axis=0)
    if left_out is not None:
        above, below = above - sums[left_out], below - common[left_out]
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


def spread_of(likeness: Array) -> float:
    """Spread of unrelated models' scores, from what impostors share with the candidates, shape (impostors, candidates).

    Per candidate it is the root mean square below the median: relatives lie above. (The scores themselves would not do:
    what an impostor shares with one candidate lowers its scores for all others.) Without their common ground, T
    candidates' scores vary less by the factor sqrt(1 - 1/T).
    """
    middle = np.median(likeness, axis=0)
    below = likeness < middle
    candidates = likeness.shape[1]
    left = 1 - 1 / candidates if candidates > 1 else 1.0
    squares = np.where(below, (likeness - middle) ** 2, 0.0).sum() / max(1, int(below.sum()))
    return float(max(np.sqrt(squares * left), _LEAST))


def deviates(scores: Array, impostors: int) -> Array:
    """Normal deviates of scores whose unit was read off the lower half of so many impostors' likenesses.

    Args:
        scores: to candidates, in units of the spread, shape (..., candidates).
        impostors: how many there are.

    Returns:
        Those of Student's t with as many degrees of freedom as likenesses lie below the median (Wallace 1959).
    """
    v = max(1.0, impostors * scores.shape[-1] / 2)
    return np.asarray(np.sign(scores) * (8 * v + 1) / (8 * v + 3) * np.sqrt(v * np.log1p(scores**2 / v)))


def tails(score: Array) -> Array:
    """One-sided p-values of scores, shape (candidates,)."""
    return np.array([max(_LEAST_P, erfc(one / sqrt(2)) / 2) for one in score.tolist()])


def posterior(score: Array) -> tuple[Array, float]:
    """Probabilities of each candidate and of none.

    Args:
        score: in units of unrelated models' spread, shape (candidates,).
    """
    p = tails(score)
    weight = (1 - PRIOR_NONE) / len(score) * SHARPNESS * p ** (SHARPNESS - 1)
    total = PRIOR_NONE + weight.sum()
    return weight / total, float(PRIOR_NONE / total)


def _judge(pairs: PairBlocks, who: Lineup, student: int, found: Scores, prompts: Array) -> Attribution:
    score = found.score
    probability, none = posterior(score)
    half = found.reach * found.error(found.left_out)
    order = np.argsort(-score, kind="stable").tolist()
    names = [pairs.models[one] for one in who.teachers]
    candidates = [
        Candidate(
            teacher=names[one],
            probability=float(probability[one]),
            score=float(score[one]),
            low=float(score[one] - half[one]),
            high=float(score[one] + half[one]),
            lines={name: float(line[one]) for name, line in found.lines.items()},
            prompts=int(prompts[one]),
        )
        for one in order
    ]
    best = order[0]
    ahead = score[best] - score
    unsure = found.reach * found.error(found.left_out[:, [best]] - found.left_out)
    rivals = tuple(names[one] for one in order[1:] if ahead[one] <= unsure[one])
    verdict: Verdict = "inconclusive"
    if posterior(score + half)[1] >= LIKELY:
        verdict = "none of these"
    elif _stands_out(score, half, best) and not rivals:
        verdict = "supported"
    notes = []
    clones = [pairs.models[one] for one in who.teachers if _same(pairs, student, one)]
    if clones:
        notes.append(f"{pairs.models[student]} and {clones[0]} give the same answers: one model under two names")
    if len(candidates) == 1:
        notes.append("one candidate: a verification against the impostors, without a common ground to correct for")
    return Attribution(
        student=pairs.models[student],
        verdict=verdict,
        teacher=names[best] if verdict == "supported" else None,
        none=none,
        candidates=tuple(candidates),
        rivals=rivals,
        leaning=_leaning(names[best], rivals, score, half, best) if verdict == "inconclusive" else None,
        impostors=len(who.impostors),
        notes=tuple(notes),
    )


def _stands_out(score: Array, half: Array, best: int) -> bool:
    """Whether a score is too high for the best of unrelated ones, surely above 0, and more probable than all else."""
    family = 1 - (1 - tails(score)[best]) ** len(score)
    return bool(family < LEVEL and posterior(score)[0][best] > LIKELY and score[best] > half[best])


def _leaning(best: str, rivals: tuple[str, ...], score: Array, half: Array, place: int) -> str:
    """Where an inconclusive finding leans, what it cannot be told from, and what would decide."""
    higher = score.copy()
    higher[place] += half[place]
    leans = f"leans to {best}, not distinguishable from {' or '.join([*rivals, 'an unrelated model'])}"
    if _stands_out(higher, half, place):
        return f"{leans}; more prompts may decide"
    return f"{leans}; more prompts alone would not decide: impostors more like the student in size and age might"


def _same(pairs: PairBlocks, a: int, b: int) -> bool:
    return any(a in group and b in group for group in pairs.clones)


def _abstain(pairs: PairBlocks, prompts: Array, who: Lineup, student: int, note: str) -> Attribution:
    candidates = tuple(
        Candidate(
            teacher=pairs.models[one],
            probability=None,
            score=None,
            low=None,
            high=None,
            lines={},
            prompts=int(shared),
        )
        for one, shared in zip(who.teachers, prompts, strict=True)
    )
    return Attribution(
        student=pairs.models[student],
        verdict="inconclusive",
        teacher=None,
        none=None,
        candidates=candidates,
        rivals=(),
        leaning=None,
        impostors=len(who.impostors),
        notes=(note,),
    )
