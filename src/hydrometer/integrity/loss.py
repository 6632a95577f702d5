"""What a student lost: all measures together, and one verdict for each theme.

A theme is lost where at least one of its measures is lost: told from chance after Holm's correction over all measures
of the run, with an interval that reaches beyond the margin. It is kept where none is lost, the leading measure or at
least half of all can speak, all that can are kept, their whole intervals below the margin, and no other's whole
interval is beyond it. Else it is inconclusive. The margin of a measure is a tenth of what there is to lose: of the way
from the teacher's value to that of a model with nothing left. A measure can speak where it is not saturated and its
interval reaches no farther than the margin to either side of the estimate. No figure stands for all themes.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydrometer.integrity.classes import answer_classes
from hydrometer.integrity.coverage import coverage
from hydrometer.integrity.diversity import diversity
from hydrometer.integrity.embedding import Space, lexical_space
from hydrometer.integrity.examples import lost_answers, lost_words
from hydrometer.integrity.fidelity import Evidence, fidelity
from hydrometer.integrity.findings import IntegrityFindings, MetricFinding, ThemeFinding, Verdict
from hydrometer.integrity.homogenisation import homogenisation
from hydrometer.integrity.inference import LEVEL, SHARE, infer, resampling
from hydrometer.integrity.mauve import mauve
from hydrometer.integrity.metrics import Metric, Theme
from hydrometer.integrity.samples import Matched
from hydrometer.integrity.separation import favourites, overlap, tail_share
from hydrometer.integrity.stability import Questions, stability
from hydrometer.integrity.tails import tails
from hydrometer.stats import Codes

RESAMPLES = 1000
#: Themes in the order of a report, each with the measure that answers to it and least to the others.
THEMES: dict[Theme, str] = {
    "diversity": "same answer twice",
    "coverage": "favourite answers kept",
    "tail": "share of rare words",
    "openings": "opening used elsewhere",
    "homogenisation": "words shared across prompts",
    "stability": "answers changed",
    "fidelity": "overlap of distributions",
}


def measure(
    matched: Matched,
    *,
    questions: Questions | None = None,
    evidence: Evidence | None = None,
    space: Space | None = None,
    seed: int = 0,
) -> IntegrityFindings:
    """Compare a student with its teacher in everything that their answers show.

    Args:
        matched: their answers to the same prompts.
        questions: questions in several ways, with replies; None leaves stability out.
        evidence: log-probabilities of both; None leaves fidelity out.
        space: vectors of the answers from elsewhere; None for the built-in ones.
        seed: fixes every random choice.
    """
    space = space or lexical_space(matched)
    classes = answer_classes(matched)
    draws = resampling(len(matched.teacher.prompts), RESAMPLES, seed)
    metrics = [
        *diversity(matched, space, classes),
        favourites(classes),
        overlap(classes, draws),
        *coverage(space, classes),
        mauve(space, draws, seed),
        tail_share(matched),
        *tails(matched, classes),
        *homogenisation(matched, space, draws),
    ]
    steady = faithful = None
    if evidence is not None:
        near, faithful = fidelity(evidence, resampling(len(evidence.prompts), RESAMPLES, seed))
        metrics += near
    if questions is not None:
        found, steady = stability(questions, RESAMPLES, seed)
        metrics += found
    return _findings(matched, space, classes, infer(_in_order(metrics), draws, seed), seed).model_copy(
        update={"stability": steady, "fidelity": faithful}
    )


def theme_verdict(metrics: Sequence[MetricFinding], lead: str) -> Verdict:
    """One word for the measures of a theme, by the rule above.

    Args:
        metrics: of the theme.
        lead: name of the leading one.
    """
    if any(one.reading == "lost" for one in metrics):
        return "lost"
    speaking = [one for one in metrics if can_speak(one)]
    enough = any(one.name == lead for one in speaking) or (speaking and 2 * len(speaking) >= len(metrics))
    enough = enough and not any(map(_beyond, metrics))
    return "kept" if enough and all(one.reading in {"kept", "gained"} for one in speaking) else "inconclusive"


def can_speak(one: MetricFinding) -> bool:
    """Whether a measure is precise enough to keep a theme."""
    low, high = one.loss.low, one.loss.high
    if one.saturated or one.margin is None or low is None or high is None:
        return False
    return high - low <= 2 * one.margin


def _beyond(one: MetricFinding) -> bool:
    """Whether the whole interval says that more than the margin is lost."""
    return one.margin is not None and one.loss.low is not None and one.loss.low > one.margin


def _in_order(metrics: Sequence[Metric]) -> list[Metric]:
    order = list(THEMES)
    return sorted(metrics, key=lambda one: order.index(one.theme))


def _findings(
    matched: Matched, space: Space, classes: tuple[Codes, Codes], metrics: tuple[MetricFinding, ...], seed: int
) -> IntegrityFindings:
    answers, lost, seen = lost_answers(matched, classes)
    return IntegrityFindings(
        student=matched.student.model,
        teacher=matched.teacher.model,
        prompts=len(matched.teacher.prompts),
        k=matched.teacher.k,
        vectors=space.source,
        themes=tuple(
            _theme(theme, lead, found)
            for theme, lead in THEMES.items()
            if (found := [one for one in metrics if one.theme == theme])
        ),
        metrics=metrics,
        stability=None,
        fidelity=None,
        lost_answers=answers,
        lost_words=lost_words(matched),
        answers_lost=lost,
        answers_seen=seen,
        resamples=RESAMPLES,
        seed=seed,
        level=LEVEL,
        share=SHARE,
    )


def _theme(theme: Theme, lead: str, metrics: Sequence[MetricFinding]) -> ThemeFinding:
    return ThemeFinding(
        theme=theme,
        verdict=theme_verdict(metrics, lead),
        lead=lead,
        measures=len(metrics),
        lost=tuple(one.name for one in metrics if one.reading == "lost"),
        gained=tuple(one.name for one in metrics if one.reading == "gained"),
    )
