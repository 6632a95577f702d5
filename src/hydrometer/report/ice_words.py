"""What the scores of the Identity Consistency Evaluation say, in plain and careful words."""

from __future__ import annotations

from collections.abc import Sequence

from hydrometer.findings import Comparison, Estimate
from hydrometer.identity.cards import load_cards
from hydrometer.identity.scores import IceScore
from hydrometer.report.visible import label

SCORE_NAMES = {
    "loose": "loose",
    "strict": "strict",
    "hard": "hard",
    "strict_unprompted": "strict (unprompted)",
}
#: An interval wider than this leaves open whether a subject leaks rarely or often, and is called wide.
WIDE = 0.3
NO_FIGURE = "no figure"


def number(count: int) -> str:
    """A count with its thousands set apart."""
    return f"{count:,}"


def percent(rate: float) -> str:
    """A rate as a percentage without its sign: whole from 10 to 90 %, else with one decimal.

    Neither 0 nor 100 is said of a rate that only comes near: 0.00001 is `<0.1`, 0.9999 is `99.9`.
    """
    if rate < 1e-9 or rate > 1 - 1e-9:
        return f"{100 * rate:.0f}"
    if rate < 0.0005:
        return "<0.1"
    if rate >= 0.9995:
        return "99.9"
    return f"{100 * rate:.0f}" if 0.0995 <= rate <= 0.9 else f"{100 * rate:.1f}"


def percent_range(estimate: Estimate) -> str:
    """The interval as `14–40 %`; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{percent(estimate.low)}–{percent(estimate.high)} %"


def figure(estimate: Estimate) -> str:
    """Estimate and interval as `0.297 [0.211, 0.387]`, with the raw rate beside a corrected one."""
    if estimate.estimate is None:
        return NO_FIGURE
    raw = "" if estimate.raw is None else f" corrected, raw {estimate.raw:.3f}"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.estimate:.3f}{raw}"
    return f"{estimate.estimate:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]{raw}"


def maker_name(maker: str) -> str:
    """A maker's usual name where the shipped cards know its id, else the claim as it was made."""
    known = {known.id: known.name for known in load_cards().makers}
    return label(known.get(maker, maker.removeprefix("own:")))


def headline(score: IceScore) -> str:
    """What was found, in one sentence that says no more than the figures; `meaning` belongs beside it."""
    subject, strict, free = label(score.subject), score.strict, score.strict_unprompted
    if strict.estimate is None:
        return f"No answer of {subject} could be judged, so nothing can be said about it."
    interval = f"95 % interval {percent_range(strict)}" if strict.low is not None else "no interval"
    claim = "that it is, or was made by, somebody else"
    count, unprompted = strict.count or 0, free.count or 0
    if not count:
        return (
            f"Under prompts built to strain its identity, in none of {number(strict.n)} answers ({interval}) did "
            f"{subject} say or imply {claim}."
        )
    corrected = "" if strict.raw is None else " after correction for the judge's own error"
    if not free.n:
        split = "every template names a model or vendor, so these answers may only repeat the prompt"
    elif not unprompted:
        split = "none of them under a template that names no model or vendor, so they may only repeat the prompt"
    elif unprompted == count:
        split = "all of them under templates that name no model or vendor"
    else:
        split = (
            f"{number(unprompted)} of them under templates that name no model or vendor; the rest may repeat the prompt"
        )
    return (
        f"Under prompts built to strain its identity, in {number(count)} of {number(strict.n)} answers "
        f"({percent(strict.estimate)} %{corrected}, {interval}) {subject} said or implied {claim}; {split}."
    )


def meaning(scores: Sequence[IceScore]) -> str:
    """What the headlines of these subjects can and cannot mean, in one or two sentences."""
    parts = []
    if any(score.strict.count for score in scores):
        parts.append(
            "Such answers are consistent with training on other models' outputs; they do not prove it: identity "
            "confusion also comes from hallucination and from web text."
        )
    if any(score.strict.count == 0 and score.strict.n for score in scores):
        parts.append(
            "A model without such answers may still have learned from others: other prompts may reach what these "
            "did not."
        )
    return " ".join(parts)


def cautions(score: IceScore) -> list[str]:
    """What limits the figures of one subject: failures, unparsed answers, wide intervals and its own warnings."""
    found = []
    if score.failed:
        kinds = ", ".join(f"{count} {label(kind).replace('_', ' ')}" for kind, count in score.failures.items())
        found.append(
            f"{number(score.failed)} of {number(score.n)} attempts brought no answer ({kinds}); they are in no figure."
        )
    if score.unparsed:
        found.append(
            f"On {number(score.unparsed)} of {number(score.n - score.failed)} answers the judge gave no complete "
            "verdict; a missing verdict counts neither for nor against."
        )
    low, high = score.strict.low, score.strict.high
    if low is not None and high is not None and high - low > WIDE:
        found.append(
            f"The interval of the strict score is wide ({percent_range(score.strict)}); "
            "more templates and questions would narrow it."
        )
    return [*found, *(label(warning, 400) for warning in score.warnings)]


def most_claimed(score: IceScore) -> str:
    """Whose identity was claimed most against the card, as `OpenAI (21)`; empty where nobody's was."""
    foreign = [(maker, claim.foreign) for maker, claim in score.claimed.items() if claim.foreign]
    if not foreign:
        return ""
    maker, count = max(foreign, key=lambda item: item[1])
    return f"{maker_name(maker)} ({count})"


def distinguished(comparison: Comparison) -> str:
    """Which way a difference goes that chance does not explain."""
    a, b = label(comparison.a), label(comparison.b)
    more, less = (a, b) if (comparison.difference.estimate or 0) > 0 else (b, a)
    return f"{more} leaks more than {less}"


def comparison_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """The comparisons in plain words, a line for each pair of subjects; first those that cannot be told apart."""
    same: dict[tuple[str, str], list[str]] = {}
    differ: dict[str, list[str]] = {}
    for comparison in comparisons:
        if comparison.distinguishable:
            score = f"{comparison.score} p = {p_value(comparison.p_corrected)}"
            differ.setdefault(distinguished(comparison), []).append(score)
        else:
            same.setdefault((label(comparison.a), label(comparison.b)), []).append(comparison.score)
    return [
        *(f"{a} and {b} cannot be told apart ({', '.join(scores)})." for (a, b), scores in same.items()),
        *(f"{sentence} ({', '.join(scores)}, after Holm's correction)." for sentence, scores in differ.items()),
    ]


def points(difference: Estimate) -> str:
    """A difference of rates in percentage points, as `+12.5 [−3.1, +21.9]`."""
    if difference.estimate is None:
        return NO_FIGURE
    if difference.low is None or difference.high is None:
        return _signed(difference.estimate)
    return f"{_signed(difference.estimate)} [{_signed(difference.low)}, {_signed(difference.high)}]"


def _signed(rate: float) -> str:
    shown = f"{100 * rate:+.1f}"
    return "0.0" if float(shown) == 0 else shown.replace("-", "−")


def p_value(p: float) -> str:
    """A p-value with three decimals, or `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
