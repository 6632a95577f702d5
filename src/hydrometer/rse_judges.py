"""Judge models of response similarity: asking them through the collector, and combining what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hydrometer import stats
from hydrometer.collect import Collector, gather_stoppable
from hydrometer.errors import InputError
from hydrometer.identity.cards import Catalogue, card_for
from hydrometer.messages import Message
from hydrometer.models.base import CallFailure, Model, Sampling
from hydrometer.similarity import judge
from hydrometer.similarity.judge import Dialogue, Verdict
from hydrometer.similarity.scores import Judging, Resamples
from hydrometer.stats import Array

JUDGE_SAMPLING = Sampling(temperature=0.0, max_tokens=1024)
ASPECTS = ("style", "logic", "content", "overall")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is to be judged: the reference's and the subject's side of one conversation."""

    reference: Dialogue
    subject: Dialogue


@dataclass(frozen=True, slots=True)
class Grading:
    """The grades of n pairs by several judges.

    Attributes:
        judges: their names.
        grades: by judge, order (reference first, then subject first where asked), pair and aspect; NaN for no usable
            grade. Shape (judges, orders, n, 4).
        shortened: pairs in which an answer was too long to be shown whole.
    """

    judges: tuple[str, ...]
    grades: Array
    shortened: int

    def combined(self) -> dict[str, Array]:
        """Mean over the judges that graded a pair in every order, by aspect, each of shape (n,)."""
        by_judge = self.by_judge()
        counts = np.isfinite(by_judge).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.where(np.isfinite(by_judge), by_judge, 0.0).sum(axis=0) / counts
        return {aspect: mean[:, i] for i, aspect in enumerate(ASPECTS)}

    def by_judge(self) -> Array:
        """Mean over the orders, NaN unless each was graded. Shape (judges, n, 4)."""
        return np.asarray(self.grades.mean(axis=1))

    def quality(self, resamples: Resamples, asked: int) -> Judging:
        """Agreement of the judges and the effect of the order; `asked` pairs had answers on both sides."""
        overall = self.by_judge()[:, :, -1]
        kappas: dict[str, float | None] = {}
        for a, b in combinations(range(len(self.judges)), 2):
            both = np.isfinite(overall[a]) & np.isfinite(overall[b])
            kappa = stats.quadratic_weighted_kappa(overall[a][both], overall[b][both]) if both.any() else math.nan
            kappas[f"{self.judges[a]} | {self.judges[b]}"] = kappa if math.isfinite(kappa) else None
        alpha = stats.krippendorff_alpha(overall) if len(self.judges) > 1 else math.nan
        position = None
        if self.grades.shape[1] == 2:
            difference = self.grades[:, 0, :, -1] - self.grades[:, 1, :, -1]
            seen = np.isfinite(difference).sum(axis=0)
            with np.errstate(invalid="ignore"):
                position = resamples.estimate(np.where(np.isfinite(difference), difference, 0.0).sum(axis=0) / seen)
        graded = np.isfinite(overall).sum(axis=1)
        return Judging(
            means={name: float(np.nanmean(overall[i])) if graded[i] else None for i, name in enumerate(self.judges)},
            unscored={name: asked - int(graded[i]) for i, name in enumerate(self.judges)},
            kappa=kappas,
            alpha=alpha if math.isfinite(alpha) else None,
            position=position,
            shortened=self.shortened,
        )

    def warnings(self) -> list[str]:
        """Judges that tell nothing, by one grade for everything, and those whose part in the mean is not whole."""
        found = []
        overall = self.by_judge()[:, :, -1]
        graded = np.isfinite(overall).any(axis=0)
        for name, grades in zip(self.judges, overall, strict=True):
            seen = grades[np.isfinite(grades)]
            absent = int(graded.sum()) - len(seen)
            if absent:
                found.append(
                    f"{name} gave no usable grade to {absent} of {int(graded.sum())} graded pairs; "
                    "there the score is that of the other judges alone."
                )
            if judge.same_kind(seen.tolist()):
                found.append(f"{name} gave {seen[0]:g} to every pair: that is no information about similarity.")
        return found


async def grade(
    collector: Collector, judges: Sequence[Model], pairs: Sequence[Pair | None], *, both_orders: bool
) -> Grading:
    """Have every pair judged by every judge; None stands for a pair that has no answer on one side.

    Args:
        collector: makes the calls.
        judges: the judge models.
        pairs: what to judge.
        both_orders: whether to ask a second time with the subject first.
    """
    orders = (False, True) if both_orders else (False,)
    jobs = [(model, swapped, pair) for model in judges for swapped in orders for pair in pairs]
    verdicts = await gather_stoppable(_verdict(collector, model, pair, swapped) for model, swapped, pair in jobs)
    grades = np.array([_row(verdict) for verdict in verdicts]).reshape(len(judges), len(orders), len(pairs), 4)
    shortened = sum(pair is not None and judge.similarity_prompt(pair.reference, pair.subject)[1] for pair in pairs)
    return Grading(tuple(model.name for model in judges), grades, shortened)


def kinship_warnings(judges: Sequence[str], others: Mapping[str, str], catalogue: Catalogue) -> list[str]:
    """One line for each judge that is of one maker with the reference or a subject (`others`: name to role)."""
    found = []
    for name in judges:
        own = _maker(name, catalogue)
        related = [f"the {role} {other}" for other, role in others.items() if own and own == _maker(other, catalogue)]
        if related:
            found.append(
                f"The judge {name} is of one maker with {' and '.join(related)}: a judge may favour its own kin "
                "(self-preference), so compare with a judge of another maker."
            )
    return found


async def _verdict(collector: Collector, model: Model, pair: Pair | None, swapped: bool) -> Verdict | None:
    if pair is None:
        return None
    sides = (pair.subject, pair.reference) if swapped else (pair.reference, pair.subject)
    messages, _ = judge.similarity_prompt(*sides)
    asked = messages
    verdict = None
    for attempt in range(judge.ATTEMPTS):
        outcome = await collector.ask(model, asked, JUDGE_SAMPLING, sample=attempt, purpose="judge")
        if isinstance(outcome, CallFailure):
            break
        verdict = judge.parse(outcome.text)
        if verdict is not None:
            break
        asked = (*messages, Message("assistant", outcome.text), Message("user", judge.REMINDER))
    collector.progress.advance(failed=verdict is None)
    return verdict


def _row(verdict: Verdict | None) -> list[float]:
    return [math.nan] * 4 if verdict is None else [float(getattr(verdict, aspect)) for aspect in ASPECTS]


def _maker(name: str, catalogue: Catalogue) -> str | None:
    try:
        return card_for(name.rpartition("#")[2], catalogue).maker.id
    except InputError:
        return None
