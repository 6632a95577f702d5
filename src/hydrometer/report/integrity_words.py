"""What a run of integrity says, in plain words that never claim more than the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydrometer import __version__
from hydrometer.findings import Estimate
from hydrometer.integrity.fidelity import QUANTILES, Fidelity
from hydrometer.integrity.findings import IntegrityFindings, MetricFinding, Steadiness, ThemeFinding
from hydrometer.integrity.metrics import Theme
from hydrometer.report.visible import label

if TYPE_CHECKING:
    from hydrometer.integrity_run import Collected, Side

TITLES: dict[Theme, str] = {
    "diversity": "Diversity within a prompt",
    "coverage": "Coverage of the teacher",
    "tail": "Rare words and answers",
    "openings": "Openings",
    "homogenisation": "Homogenisation across prompts",
    "stability": "Stability under rewording",
    "fidelity": "Fidelity of probabilities",
}
ASKS: dict[Theme, str] = {
    "diversity": "Asked the same again, how many different things does each model say?",
    "coverage": "How much of what the teacher says does the student still reach?",
    "tail": "How many of the teacher's rare words, phrases and answers come back?",
    "openings": "How varied are the first words of answers, within a prompt and from prompt to prompt?",
    "homogenisation": "How alike are a model's answers to different prompts?",
    "stability": "How often does the answer change when a question is reworded, and how often is it right?",
    "fidelity": "How near are the student's probabilities to the teacher's on the same text?",
}
_LIMITS = (
    "Answers are compared by their words. Two answers that say one thing in wholly different words count as two, and "
    "two that share their words but differ in a detail may count as one.",
    "What the teacher keeps of itself is the yardstick for coverage and tails: one half of its answers seldom repeats "
    "all of the other. These values are low for both models by nature and depend on the number of answers.",
    "Themes are not independent. A student that only gives its favourite answer also reaches fewer of its teacher's "
    "answers and rare words; the leading measure of a theme is the one that depends least on the others.",
    "The figures hold for these prompts, these sampling settings and this number of answers. Most of them change with "
    "that number: distinct answers, distinct-n, EAD, entropies, Vendi score, self-BLEU, compression ratio, everything "
    "kept or covered, and MAUVE. Both models gave the same number, so the comparison is fair; values of runs with "
    "another number cannot be set beside these. Shares of pairs (same answer twice, same opening twice, overlap of "
    "answers, and all across prompts) estimate the same at every number.",
    "Kept means that a loss beyond the stated margin is not consistent with the measures that were precise enough to "
    "speak; it does not mean that nothing was lost. A loss is a difference between two models; it does not show that "
    "distillation caused it, nor that one was distilled from the other.",
)


def name(model: str) -> str:
    """A model's name without the file that holds its answers."""
    return label(model.rpartition("#")[2])


def headline(findings: IntegrityFindings) -> str:
    """How many themes were kept, lost and left open, in one sentence."""
    parts = []
    for verdict in ("lost", "kept", "inconclusive"):
        found = [TITLES[one.theme].lower() for one in findings.themes if one.verdict == verdict]
        if found:
            parts.append(f"{verdict}: {', '.join(found)}")
    return (
        f"Against {name(findings.teacher)}, on {findings.prompts} prompts with {findings.k} answers each, "
        f"the verdicts on {name(findings.student)} are " + "; ".join(parts) + "."
    )


def theme_sentence(theme: ThemeFinding, findings: IntegrityFindings) -> str:
    """What a theme's verdict rests on."""
    own = [one for one in findings.metrics if one.theme == theme.theme]
    share = f"{100 * findings.share:g} %"
    if theme.verdict == "lost":
        worst = max((one for one in own if one.reading == "lost"), key=lambda one: (one.relative or 0.0, one.name))
        said = (
            f"{len(theme.lost)} of {theme.measures} measures are consistent with a loss, the largest in "
            f"{worst.name}: {figure(worst.teacher)} of the teacher, {figure(worst.student)} of the student"
            f"{_of_room(worst)}."
        )
    elif theme.verdict == "kept":
        said = (
            f"No measure shows a loss, and those that are precise enough are not consistent with one of more than "
            f"{share} of what there is to lose."
        )
    else:
        said = (
            f"No loss is told from chance after correction, but one of more than {share} of what there is to lose is "
            "not excluded."
        )
    if theme.gained:
        said += f" The student has more than its teacher in {', '.join(theme.gained)}."
    return said


def summary(findings: IntegrityFindings) -> list[tuple[str, str, str]]:
    """(theme, verdict, what it rests on), themes that were not measured among them."""
    measured = {one.theme: one for one in findings.themes}
    return [
        (title, measured[theme].verdict, theme_sentence(measured[theme], findings))
        if theme in measured
        else (title, "not measured", _MISSING.get(theme, "There was nothing to measure it on."))
        for theme, title in TITLES.items()
    ]


_MISSING: dict[Theme, str] = {
    "stability": "There are no answers of both models to questions asked in several ways.",
    "fidelity": "There are no log-probabilities of both models.",
}

METRIC_HEAD = ("measure", "teacher", "student", "loss [95 %]", "of what there is", "p corrected", "n", "reading")
STEADY_HEAD = ("questions", "teacher changed", "student changed", "teacher right", "student right", "n")
FAITHFUL_HEAD = ("distributions of what comes next", "value [95 %]")


def metric_row(one: MetricFinding, theme: ThemeFinding) -> tuple[str, ...]:
    """The cells of `METRIC_HEAD`."""
    lead = " (leading)" if one.name == theme.lead and theme.measures > 1 else ""
    unit = f", {one.unit}" if one.unit else ""
    return (
        f"{one.name}{unit}{lead}",
        figure(one.teacher),
        figure(one.student),
        signed_range(one.loss),
        "-" if one.relative is None else f"{_signed(100 * one.relative, 0)} %",
        p_value(one.p_corrected),
        str(one.loss.n),
        one.reading,
    )


def steady_row(one: Steadiness) -> tuple[str, ...]:
    """The cells of `STEADY_HEAD`."""
    estimates = (one.teacher_changed, one.student_changed, one.teacher_right, one.student_right)
    return (label(one.group), *map(ranged, estimates), str(max(one.teacher_right.n, one.student_right.n)))


def faithful_rows(found: Fidelity) -> list[tuple[str, str]]:
    """The cells of `FAITHFUL_HEAD`."""
    spread = found.divergence
    rows = [
        ("places compared", f"{found.positions} of {found.asked}, in answers to {found.prompts} prompts"),
        ("of these at the start of an answer", str(found.starts)),
        ("probability seen, teacher and student", " and ".join(f"{100 * seen:.1f} %" for seen in found.seen)),
        (f"KL divergence in nats per {found.unit}, mean, at least", valued(spread.mean)),
        *(
            (f"the same, {100 * at:g} % of places", valued(one))
            for at, one in zip(QUANTILES, spread.quantiles, strict=True)
        ),
        ("the same, largest", "-" if spread.most is None else f"{spread.most:.3f}"),
        ("overlap (1 - total variation), at least", valued(found.overlap_low)),
        ("overlap (1 - total variation), at most", valued(found.overlap_high)),
        ("same likeliest", valued(found.top_1)),
        (f"likeliest {found.k} in common", valued(found.top_k)),
    ]
    if found.temperatures is not None:
        teacher, student = found.temperatures
        rows.append(("temperature that calibrates best, teacher and student", f"{teacher:.2f} and {student:.2f}"))
    return rows


def figure(estimate: Estimate) -> str:
    """The value alone."""
    return "-" if estimate.estimate is None else f"{round(estimate.estimate, 3) + 0.0:.3f}"


def valued(estimate: Estimate) -> str:
    """The value with its interval."""
    if estimate.low is None or estimate.high is None:
        return figure(estimate)
    return f"{figure(estimate)} [{estimate.low:.3f}, {estimate.high:.3f}]"


def ranged(estimate: Estimate) -> str:
    """A share with its interval, in percent."""
    if estimate.estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.estimate:.0f} %"
    return f"{100 * estimate.estimate:.0f} % [{100 * max(0.0, estimate.low):.0f}, {100 * min(1.0, estimate.high):.0f}]"


def signed_range(estimate: Estimate) -> str:
    """A difference with its interval, with signs."""
    if estimate.estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{_signed(estimate.estimate)} [no interval]"
    return f"{_signed(estimate.estimate)} [{_signed(estimate.low)}, {_signed(estimate.high)}]"


def p_value(p: float | None) -> str:
    """A p-value with three decimals, or `<0.001`."""
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def notes(collected: Collected, findings: IntegrityFindings) -> list[str]:
    """What must be known to read the figures: the run's own notes, saturation, questions that could not be scored."""
    limited: dict[str, list[str]] = {}
    for one in findings.metrics:
        if one.saturated:
            limited.setdefault(one.saturated, []).append(one.name)
    found = [*collected.notes, *(f"{', '.join(names)}: {line}" for line, names in limited.items())]
    steady = findings.stability
    if steady is not None:
        for side, blank, open_ in zip(("teacher", "student"), steady.blank, steady.undetermined, strict=True):
            if blank:
                found.append(f"{blank} questions in several ways have no answer of the {side} and are in no figure.")
            if open_:
                found.append(
                    f"Wrong answers of the {side} of which it cannot be said whether they say the same: {open_} "
                    f"pair{'s' * (open_ > 1)}, which count neither as changed nor as unchanged."
                )
    return [label(note, 500) for note in dict.fromkeys(found)]


def limits() -> Sequence[str]:
    """What the measurement cannot show."""
    return _LIMITS


def settings(collected: Collected, findings: IntegrityFindings) -> list[tuple[str, str]]:
    """How the figures were made, as requested and as honoured."""
    plan = collected.plan
    sets = list(dict.fromkeys(prompt.set for prompt in plan.prompts if prompt.set))
    wanted = plan.sampling
    requested = ", ".join(
        f"{title} {value:g}"
        for title, value in (
            ("temperature", wanted.temperature),
            ("top_p", wanted.top_p),
            ("max_tokens", wanted.max_tokens),
        )
        if value is not None
    )
    live = [("Sampling requested", requested), ("System message", label(plan.system or "none", 200))]
    if collected.student.honoured is None and collected.teacher.honoured is None:
        live = []
    return [
        ("Student", label(plan.student, 200)),
        ("Teacher", label(plan.teacher, 200)),
        (
            "Prompts",
            f"{findings.prompts} compared of {len(plan.prompts)}" + (f", from {', '.join(sets)}" if sets else ""),
        ),
        ("Answers per prompt", str(findings.k)),
        *live,
        ("Sampling of the student", _honoured(collected.student)),
        ("Sampling of the teacher", _honoured(collected.teacher)),
        ("Vectors of answers", findings.vectors),
        ("Intervals", f"95 %, {findings.resamples} resamples of the prompts"),
        (
            "Told from chance",
            f"below {findings.level:g} after Holm's correction over {_tested(findings)} measures; signs of paired "
            "differences flipped by prompt, Student's t where a measure is of all prompts together",
        ),
        ("Kept up to", f"a loss of {100 * findings.share:g} % of what there is to lose"),
        (
            "Verdicts",
            "lost: a measure is told from chance and its interval reaches beyond the margin; kept: none is lost, the "
            "leading measure or at least half of all are precise enough to speak, all of those stay below it, and no "
            "other measure's whole interval is beyond it; else inconclusive",
        ),
        ("Seed", str(findings.seed)),
        ("Made by", f"hydrometer {__version__}"),
    ]


def _honoured(side: Side) -> str:
    if side.honoured is None:
        return "recorded; settings not known"
    values = ((title, getattr(side.honoured, title)) for title in ("temperature", "top_p", "max_tokens"))
    found = ", ".join(f"{title} {value:g}" for title, value in values if value is not None) or "the endpoint's own"
    served = f"; served as {', '.join(label(one) for one in side.served)}" if side.served else ""
    return found + served


def _tested(findings: IntegrityFindings) -> int:
    return sum(one.p is not None for one in findings.metrics)


def _of_room(one: MetricFinding) -> str:
    """Loss and interval as shares of what there is to lose."""
    loss = one.loss
    if not one.margin or not one.relative or loss.estimate is None or loss.low is None or loss.high is None:
        return ""
    room = loss.estimate / one.relative
    low, high = (f"{100 * min(1.0, end / room):.0f}" for end in (loss.low, loss.high))
    return f", {100 * one.relative:.0f} % [{low}, {high}] of what there is to lose"


def _signed(value: float, digits: int = 3) -> str:
    shown = f"{value:+.{digits}f}"
    return shown[1:] if not float(shown) else shown.replace("-", "−")
