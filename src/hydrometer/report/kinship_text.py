"""Kinship in words: sentences that say no more than the figures, and the table on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydrometer.findings import Estimate
from hydrometer.report.kinship_words import family_name, figure, interval, p_value
from hydrometer.report.visible import label, visible
from hydrometer.response_checks import FEW_PROMPTS

if TYPE_CHECKING:
    from hydrometer.kinship.families import Family
    from hydrometer.kinship_run import Kinship

#: Up to so many models, each stands in the table; beyond, those with a supported relative.
EVERY_MODEL = 15
#: Lines of each list at most, and names in a line.
LINES, NAMES = 40, 6
FAMILIES = "Groups in which every model has a supported relation to another, and which most resamples repeat."
_INTERVAL = ("95 % interval",)
MEANING = (
    "A supported relation is consistent with one model learning from the other, with a common teacher, a common base "
    "model or common training texts; which of them, and in which direction, it does not say."
)


def answer(kinship: Kinship) -> str:
    """How many distinct models there are and how many pairs have which verdict, in one sentence for their owner."""
    n, found = len(kinship.models), Counter(kinship.relations.verdict)
    distinct = n - sum(len(group) - 1 for group in kinship.clones)
    same = [" is ".join(label(kinship.models[model]) for model in group) for group in kinship.clones[:NAMES]]
    same += ["…"] * (len(kinship.clones) > NAMES)
    which = f" ({'; '.join(same)} by the answers)" if same else ""
    pairs = [
        f"{found['supported']:,} pair{'s' * (found['supported'] != 1)} supported",
        f"{found['inconclusive']:,} undecided",
        f"{found['not supported']:,} not supported",
    ]
    return f"{n:,} names, {distinct:,} distinct model{'s' * (distinct != 1)}{which}; {', '.join(pairs)}."


def beside(kinship: Kinship) -> str:
    """How many models and prompts, and what reference models they were measured beside."""
    text = f"{len(kinship.models):,} models, {kinship.prompts:,} prompts"
    use = kinship.reference
    if use is None:
        return f"{text}."
    text += f" shared with {use.models:,} reference models"
    if use.left_out:
        names = ", ".join(label(name) for name in use.left_out[:NAMES]) + ", …" * (len(use.left_out) > NAMES)
        text += f"; of {names}, which the reference has too, your answers count"
    return f"{text}."


def headline(kinship: Kinship) -> str:
    """How many models there really are, how surely, and why not more surely."""
    n, found = len(kinship.models), kinship.population
    if not kinship.enough():
        return (
            f"How many of the {n:,} models are independent is inconclusive: "
            f"no two have {FEW_PROMPTS} prompts in common."
        )
    about = "at most about" if found.upper_bound else "about"
    text = f"{n:,} models answer like {about} {_count(found.effective_models)} independent ones"
    reasons = []
    if found.upper_bound:
        reasons.append("with one sample per prompt it is not known how alike a model is to itself")
    if found.undecided:
        many = found.undecided != 1
        reasons.append(
            f"{found.undecided:,} undecided pair{'s' * many} count{'s' * (not many)} as unrelated and could lower it"
        )
    most = "at most, because " if found.upper_bound else ""
    return f"{text}: {most}{', and '.join(reasons)}." if reasons else f"{text}."


def in_use(kinship: Kinship) -> str:
    """What the two effective numbers are, in one sentence; nothing where there is no number."""
    found = kinship.population.effective_in_use
    if not kinship.enough() or found.estimate is None:
        return ""
    return (
        "That is for the most even use, in which copies share one part (effective_models); with every name used "
        f"alike they are as diverse as about {_count(found)} (effective_in_use)."
    )


def _count(found: Estimate) -> str:
    """A number of models, to one place where its interval is narrower than one model, else in whole models."""
    narrow = found.low is not None and found.high is not None and found.high - found.low < 1
    return figure(found, 1 if narrow else 0)


def monoculture(kinship: Kinship) -> str:
    """The chance that two models are in effect one, in one sentence."""
    found = kinship.population.monoculture
    if found.estimate is None or not kinship.enough():
        return ""
    what = "the chance that two different models of the set, drawn at random, are in effect one"
    return f"Monoculture {figure(found, 3)}: {what}."


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
    if relations.prompts[pair] < FEW_PROMPTS:
        return f"fewer than {FEW_PROMPTS} prompts in common"
    if not kinship.intervals:
        return "neither clearly beyond unrelated pairs nor surely as little alike as they are"
    if relations.low[pair] > 0:
        return "more alike than average, but not clearly beyond what unrelated pairs of this population reach"
    return "the interval holds no relation as well as a small one"


def family_line(family: Family) -> str:
    """A family in one line."""
    members = ", ".join(label(name, 48) for name in family.members[:NAMES])
    members += ", …" if len(family.members) > NAMES else ""
    support = "" if np.isnan(family.support) else f", support {family.support:.0%}"
    return f"{label(family_name(family.members))}: {members} (tie {figure(family.tie)}{support})"


def summary(kinship: Kinship) -> str:
    """What the terminal prints."""
    lines = [answer(kinship), "", beside(kinship)]
    lines += [sentence for sentence in (headline(kinship), in_use(kinship), monoculture(kinship)) if sentence]
    lines += ["", "Residual similarity (0: like unrelated models, 1: the same text)", "", *_table(kinship)]
    lines += _outside(kinship)
    found = kinship.families.families
    if found:
        lines += ["", f"Families ({len(found)}). {FAMILIES} {tie_words(kinship)}"]
        lines += [f"  {family_line(family)}" for family in found[:LINES]]
        lines += [f"  and {len(found) - LINES} more in families.json"] * (len(found) > LINES)
    alone = len(kinship.families.singletons)
    lines += ["", f"{alone:,} of {len(kinship.models):,} models belong to no family."]
    lines += [*copies(kinship), *undecided(kinship)]
    if "supported" in kinship.relations.verdict:
        lines += ["", MEANING]
    return visible("\n".join(lines) + "\n")


def copies(kinship: Kinship) -> list[str]:
    """A line for each group of models, own or reference, with nearly the same answers."""
    groups = [[kinship.models[model] for model in group] for group in kinship.clones]
    if kinship.reference is not None:
        groups += [
            [kinship.models[one.model], f"{one.name} of the reference"]
            for one in kinship.reference.nearest
            if one.clone
        ]
    return [
        f"{' and '.join(map(label, group))} give nearly the same answers: one model under several names?"
        for group in groups
    ]


def tie_words(kinship: Kinship) -> str:
    """What tie and support are."""
    return (
        "Tie: mean similarity within. Support: share of "
        f"{kinship.families.resamples:,} resamples of the prompts that repeat the group."
    )


def outside_rows(kinship: Kinship) -> list[list[str]]:
    """Each model with the reference models nearest to it, in words."""
    return [
        [
            kinship.models[one.model],
            one.name,
            f"{one.estimate:.3f}",
            *([interval(one.low, one.high)] if kinship.intervals else []),
            p_value(one.p_corrected),
            f"{one.prompts:,}",
            one.verdict,
        ]
        for one in (() if kinship.reference is None else kinship.reference.nearest)
    ]


def outside_heads(kinship: Kinship) -> list[str]:
    """Heads of the columns of `outside_rows`."""
    return [
        "model",
        "reference model",
        "residual",
        *_INTERVAL[: kinship.intervals],
        "p, corrected",
        "prompts",
        "verdict",
    ]


def _outside(kinship: Kinship) -> list[str]:
    rows = [[label(model, 48), label(name, 48), *rest] for model, name, *rest in outside_rows(kinship)]
    if not rows:
        return []
    lines = aligned([outside_heads(kinship), *rows[:LINES]], left=2)
    return ["", "Nearest among the reference models", "", *lines]


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
    head = ["model", "nearest", "mutual", "residual", *_INTERVAL[: kinship.intervals], "p, corrected", "prompts"]
    table = [[*head, "verdict", "relatives"]]
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
                *([interval(relations.low[pair], relations.high[pair])] if kinship.intervals else []),
                p_value(relations.p_corrected[pair]),
                f"{relations.prompts[pair]:,}",
                relations.verdict[pair],
                str(supported[model]),
            ]
        )
    lines = aligned(table, left=3)
    lines += [f"and {len(order) - LINES:,} more in relatives.json"] * (len(order) > LINES)
    alone = sum(not count for count in supported)
    lines += ["", "mutual: each is the other's nearest; relatives: how many supported relations the first has."]
    lines += [f"{alone:,} of {len(kinship.models):,} models have no supported relative."]
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
