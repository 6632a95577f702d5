"""Response similarity as a plain table, like table 3 of Lee et al. 2025, with intervals and what limits them."""

from __future__ import annotations

from collections.abc import Sequence

from hydrometer.findings import Comparison, Estimate
from hydrometer.report.visible import label, visible
from hydrometer.similarity.scores import Similarity


def summary(findings: Sequence[Similarity], comparisons: Sequence[Comparison]) -> str:
    """The table, the differences that cannot be told apart, and the warnings."""
    first = findings[0]
    estimate = "  (an estimate from the texts alone, not a judge's score)" if first.judge == "builtin" else ""
    lines = [f"Response similarity to {_short(first.reference)}, by {first.judge}{estimate}", ""]
    ranked = sorted(findings, key=lambda one: (-(one.overall.estimate or 0.0), one.subject))
    sets = list(first.by_set) if len(first.by_set) > 1 else []
    header = [
        "subject",
        *map(label, sets),
        "overall",
        "95 % interval",
        "style",
        "logic",
        "content",
        "floor",
        "ceiling",
        "normalised",
        "matched",
        "n",
    ]
    table = [header, *(_row(one, sets) for one in ranked)]
    lines += _aligned(table)
    lines += _controls(ranked)
    lines += _alike(comparisons)
    notes = dict.fromkeys(note for one in findings for note in one.warnings)
    if notes:
        lines += ["", *(f"Note: {note}" for note in notes)]
    return visible("\n".join(lines) + "\n")


def _row(one: Similarity, sets: Sequence[str]) -> list[str]:
    return [
        _short(one.subject),
        *(_number(one.by_set[name]) for name in sets),
        _number(one.overall),
        _interval(one.overall),
        _number(one.style, 2),
        _number(one.logic, 2),
        _number(one.content, 2),
        _number(one.floor),
        _number(one.ceiling),
        _number(one.normalised),
        _number(one.controls.matched),
        str(one.overall.n),
    ]


def _controls(findings: Sequence[Similarity]) -> list[str]:
    lines: list[str] = []
    for one in findings:
        form = one.controls
        words = [
            f"{what} {value:.2f}"
            for what, value in (
                ("length ratio", form.length_ratio),
                ("formatting agreement", form.formatting),
                ("shared trigrams", form.ngram_overlap),
            )
            if value is not None
        ]
        if words:
            lines.append(f"{_short(one.subject)}: {', '.join(words)}")
        lines += [f"  minus control {_short(control.model)}: {_signed(control.difference)}" for control in form.models]
        if form.percentile is not None:
            lines.append(f"  above {form.percentile:.0%} of {len(form.models)} controls")
        if one.judging is not None:
            lines += _judging(one)
    return ["", *lines] if lines else []


def _judging(one: Similarity) -> list[str]:
    judging = one.judging
    if judging is None:
        return []
    lines = [f"  unscored by {name}: {count}" for name, count in judging.unscored.items() if count]
    if judging.shortened:
        lines.append(f"  answers shortened for the judge: {judging.shortened}")
    if judging.position is not None:
        lines.append(f"  effect of the order of the answers: {_signed(judging.position)}")
    lines += [f"  quadratic-weighted kappa {pair}: {_or_none(value)}" for pair, value in judging.kappa.items()]
    if judging.alpha is not None:
        lines.append(f"  Krippendorff's alpha: {judging.alpha:.3f}")
    return lines


def _alike(comparisons: Sequence[Comparison]) -> list[str]:
    alike = [c for c in comparisons if not c.distinguishable]
    if not alike:
        return []
    lines = [f"{_short(c.a)} and {_short(c.b)}: {_signed(c.difference)}, p = {c.p_corrected:.3f}" for c in alike[:40]]
    more = [f"and {len(alike) - 40} more pairs"] if len(alike) > 40 else []
    return ["", "Not distinguishable (sign-flip permutation, Holm's correction):", *lines, *more]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]


def _short(name: str) -> str:
    """The model's name without the file that holds its answers."""
    return label(name.rpartition("#")[2])


def _number(estimate: Estimate | None, digits: int = 3) -> str:
    return "-" if estimate is None or estimate.estimate is None else f"{estimate.estimate:.{digits}f}"


def _interval(estimate: Estimate) -> str:
    return "-" if estimate.low is None or estimate.high is None else f"{estimate.low:.3f} to {estimate.high:.3f}"


def _signed(estimate: Estimate) -> str:
    if estimate.estimate is None:
        return "no common prompts"
    return f"{estimate.estimate:+.3f} [{_or_none(estimate.low)}, {_or_none(estimate.high)}]"


def _or_none(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
