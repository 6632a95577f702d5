"""Kinship in words: sentences that say no more than the figures, and the table on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydrometer.findings import Estimate
from hydrometer.report.visible import label, visible

if TYPE_CHECKING:
    from hydrometer.kinship.families import Family
    from hydrometer.kinship_run import Kinship

#: Up to so many models, each stands in the table; beyond, those with a supported relative.
EVERY_MODEL = 15
#: Lines of each list at most, and names in a line.
LINES, NAMES = 40, 6
MEANING = (
    "A supported relation is consistent with one model learning from the other, with a common teacher, a common base "
    "model or common training texts; which of them, and in which direction, it does not say."
)


def headline(kinship: Kinship) -> str:
    """How many models there really are, in one sentence."""
    n, found = len(kinship.models), kinship.population.effective_models
    about = "at most about" if kinship.population.upper_bound else "about"
    return f"{n:,} models answer like {about} {figure(found, 1)} independent ones."


def monoculture(kinship: Kinship) -> str:
    """The chance that two models are in effect one, in one sentence."""
    found = kinship.population.monoculture
    if found.estimate is None:
        return ""
    what = "the chance that two different models of the set, drawn at random, are in effect one"
    return f"Monoculture {figure(found, 3)}: {what}."


def counts(kinship: Kinship) -> str:
    """How many relations have which verdict."""
    found = Counter(kinship.relations.verdict)
    total = len(kinship.relations.verdict)
    named = [f"{found[verdict]:,} {verdict}" for verdict in ("supported", "not supported", "inconclusive")]
    return f"Of {total:,} pair{'s' * (total != 1)}, {', '.join(named)}."


def undecided(kinship: Kinship) -> list[str]:
    """Why relations are inconclusive: a line for each reason, with the number of pairs."""
    reasons: Counter[str] = Counter()
    relations = kinship.relations
    for pair, verdict in enumerate(relations.verdict):
        if verdict == "inconclusive":
            reasons[_reason(kinship, pair)] += 1
    return [f"{count:,} inconclusive: {reason}" for reason, count in reasons.most_common()]


def _reason(kinship: Kinship, pair: int) -> str:
    relations = kinship.relations
    if relations.prompts[pair] < 10:
        return "fewer than 10 prompts in common"
    if not kinship.intervals:
        return "no interval was made that could tell no relation from too little data"
    if relations.low[pair] > 0:
        return "more alike than average, but not clearly beyond what unrelated pairs of this population reach"
    return "the interval holds no relation as well as a small one"


def family_name(members: Sequence[str]) -> str:
    """A name for a family: what its members' names begin with, or the first of them, and their number."""
    begin = members[0]
    for name in members[1:]:
        at = next((at for at, (one, other) in enumerate(zip(begin, name, strict=False)) if one != other), None)
        begin = begin[: min(len(begin), len(name)) if at is None else at]
    begin = begin.rstrip(" -_./:")
    if len(begin) >= 4 or begin in members:
        return f"{begin} ({len(members)})"
    return f"{members[0]} and {len(members) - 1} more"


def figure(estimate: Estimate, digits: int = 2) -> str:
    """An estimate with its interval, where it has one."""
    if estimate.estimate is None:
        return "undefined"
    text = f"{estimate.estimate:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval, or a dash."""
    if low is None or high is None or np.isnan(low) or np.isnan(high):
        return "-"
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def p_value(p: float | None) -> str:
    """A p-value, short; a dash where there is none."""
    if p is None or np.isnan(p):
        return "-"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def family_line(family: Family) -> str:
    """A family in one line."""
    members = ", ".join(label(name, 48) for name in family.members[:NAMES])
    members += ", …" if len(family.members) > NAMES else ""
    support = "" if np.isnan(family.support) else f", support {family.support:.0%}"
    return f"{label(family_name(family.members))}: {members} (tie {figure(family.tie)}{support})"


def summary(kinship: Kinship) -> str:
    """What the terminal prints."""
    lines = [
        f"{len(kinship.models):,} models, {kinship.prompts:,} prompts, residual similarity "
        "(0: like unrelated models, 1: the same text)",
        "",
        headline(kinship),
    ]
    lines += [sentence for sentence in (monoculture(kinship), counts(kinship)) if sentence]
    lines += ["", *_table(kinship)]
    found = kinship.families.families
    if found:
        lines += [
            "",
            f"Families ({len(found)}), with the mean similarity within and the share of resamples that repeat them:",
        ]
        lines += [f"  {family_line(family)}" for family in found[:LINES]]
        lines += [f"  and {len(found) - LINES} more in families.json"] * (len(found) > LINES)
    alone = len(kinship.families.singletons)
    lines += ["", f"{alone:,} of {len(kinship.models):,} models belong to no family."]
    for group in kinship.clones:
        names = " and ".join(label(kinship.models[model]) for model in group)
        lines.append(f"{names} give nearly the same answers: one model under several names?")
    lines += undecided(kinship)
    if any(verdict == "supported" for verdict in kinship.relations.verdict):
        lines += ["", MEANING]
    return visible("\n".join(lines) + "\n")


def _table(kinship: Kinship) -> list[str]:
    """Each model with its nearest relative; two that are each other's nearest share a row."""
    every = len(kinship.models) <= EVERY_MODEL
    relations, (a, b) = kinship.relations, kinship.ends()
    found = kinship.relatives(1, len(kinship.models))
    supported = [sum(kinship.supported(pair) for pair in pairs) for pairs in found]
    rows: dict[int, list[int]] = {}
    for model, pairs in enumerate(found):
        if pairs and (every or kinship.supported(pairs[0])):
            rows.setdefault(pairs[0], []).append(model)
    if not rows:
        return ["No relation is supported."]
    table = [
        ["model", "nearest", "mutual", "residual", "95 % interval", "p, corrected", "prompts", "verdict", "relatives"]
    ]
    order = sorted(rows, key=lambda pair: (-relations.estimate[pair], pair))
    for pair in order[:LINES]:
        model = rows[pair][0]
        other = int(a[pair] + b[pair] - model)
        table.append(
            [
                label(kinship.models[model], 48),
                label(kinship.models[other], 48),
                "yes" if len(rows[pair]) == 2 else "",
                f"{relations.estimate[pair]:.3f}",
                interval(relations.low[pair], relations.high[pair]),
                p_value(relations.p_corrected[pair]),
                f"{relations.prompts[pair]:,}",
                relations.verdict[pair],
                str(supported[model]),
            ]
        )
    lines = aligned(table, left=3)
    lines += [f"and {len(order) - LINES:,} more in relatives.json"] * (len(order) > LINES)
    alone = sum(not count for count in supported)
    lines += ["", f"{alone:,} of {len(kinship.models):,} models have no supported relative."]
    return lines


def aligned(table: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows with aligned columns: the first `left` to the left, the others to the right."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
