"""The two-sample test in words: verdict, figures and what each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydrometer.kinship.evalues import e_text
from hydrometer.kinship.two_sample import PROMPT_LEVEL
from hydrometer.report.kinship_text import aligned
from hydrometer.report.kinship_words import p_value
from hydrometer.report.visible import label

if TYPE_CHECKING:
    from hydrometer.findings import Estimate
    from hydrometer.kinship.evalues import SameModelStream
    from hydrometer.kinship.two_sample import SameModel

VERDICTS = {
    "consistent": "consistent with one and the same model",
    "differ": "they differ",
    "inconclusive": "inconclusive",
}
#: Rounds of a stream that are shown before and after the one that decided; the JSON document holds all.
AROUND = 2


def permutation_text(found: SameModel) -> str:
    """The permutation test as plain text."""
    counts = found.counts
    table = [
        ["kernel", "MMD^2", "same-model floor", "share of variation", "detectable", "p alone"],
        *(
            [
                one.kernel,
                _number(one.mmd2, 4),
                f"{one.floor:.4f}",
                _number(one.share, 1, percent=True),
                "-" if one.detectable is None else f"{100 * one.detectable:.1f} %",
                p_value(one.p),
            ]
            for one in found.discrepancies
        ),
    ]
    lines = [
        *_head(found.a, found.b, found.verdict, found.reason),
        f"p = {p_value(found.p)} at level {found.level:g} ({found.permutations:,} permutations within "
        f"{counts.prompts:,} prompt{'s' * (counts.prompts != 1)}; {counts.samples[0]:,} and {counts.samples[1]:,} "
        f"answers; largest statistic: {found.statistic})",
        "",
        *aligned(table, left=1),
        "",
        "MMD^2: how far the answers to a prompt lie apart; 0 on average for one model sampled twice.",
        f"same-model floor: {100 * (1 - found.level):.4g} % of pairs of samples of one model stay below this MMD^2.",
        "share of variation: how much of the variation of the answers to a prompt is due to the model.",
        "detectable: the share of variation that so much data would have found, with a power of 80 %.",
        "habits, the third statistic: n-grams that one model uses a little more often over all prompts.",
    ]
    if found.verdict == "differ" and not found.most_different and found.least_prompt_p <= PROMPT_LEVEL:
        lines += ["", "No prompt differs on its own (p corrected for all prompts)."]
    if found.most_different:
        heads = ["prompt", "MMD^2", "kernel", "p, corrected"]
        rows = [
            [label(one.prompt, 60), f"{one.mmd2:.4f}", one.kernel, p_value(one.p_corrected)]
            for one in found.most_different
        ]
        lines += ["", "Prompts that differ most (p corrected for all prompts):", *aligned([heads, *rows], left=1)]
    return "\n".join(lines) + "\n"


def stream_text(found: SameModelStream) -> str:
    """The e-process as plain text: its beginning, its end and the round that decided."""
    decided = found.rounds_to_difference
    last = len(found.path) - 1
    shown = {0, last}
    if decided is not None:
        shown |= set(range(max(0, decided - 1 - AROUND), min(last, decided - 1 + AROUND) + 1))
    table = [["round", "prompt", "e-value"]]
    before = -1
    for at in sorted(shown):
        table += [["...", "", ""]] * (at > before + 1)
        step = found.path[at]
        table.append([str(at + 1), label(step.prompt, 60), e_text(step.log_e)])
        before = at
    lines = [
        *_head(found.a, found.b, found.verdict, found.reason),
        f"e-value {e_text(found.log_e)} after {len(found.path):,} round{'s' * (len(found.path) != 1)}; `differ` from "
        f"{e_text(found.log_e_threshold)} on (level {found.level:g}); p at any time {p_value(found.p)}",
        "",
        *aligned(table, left=2),
        "",
        "e-value: evidence against one and the same model, 1 at the start. If they are one, the chance that it ever "
        f"reaches {e_text(found.log_e_threshold)} is at most {100 * found.level:g} %.",
    ]
    return "\n".join(lines) + "\n"


def _head(a: str, b: str, verdict: str, reason: str) -> Sequence[str]:
    return f"{label(a)} and {label(b)}: {VERDICTS[verdict]}", f"  {reason}.", ""


def _number(one: Estimate, digits: int, *, percent: bool = False) -> str:
    if one.estimate is None:
        return "-"
    scale, unit = (100, " %") if percent else (1, "")
    estimate, low, high = (
        None if end is None else f"{round(scale * end, digits) + 0.0:.{digits}f}"
        for end in (one.estimate, one.low, one.high)
    )
    return f"{estimate}{unit}" + ("" if low is None or high is None else f" [{low}, {high}]")
