"""The scores as a short plain table for a terminal, a pipe or a log: no colours, no escapes, nothing cut."""

from __future__ import annotations

from collections.abc import Sequence

from hydrometer.findings import Comparison
from hydrometer.identity.scores import SCORES, IceScore
from hydrometer.report import ice_words
from hydrometer.report.visible import label

_GAP = "  "
_COUNTS = ("n", "failed", "unparsed", "most claimed")


def summary_table(scores: Sequence[IceScore], comparisons: Sequence[Comparison] = (), *, width: int = 80) -> str:
    """One line per subject where the width allows it, else one short block; below, what to be careful about.

    Args:
        scores: one per subject.
        comparisons: paired comparisons; what they say stands below the scores.
        width: of the terminal, in columns. Figures are never broken or cut, however narrow.

    Returns:
        Text that ends with a line feed.
    """
    lines, notes = _wide(scores), []
    if max(map(_columns, lines)) <= width:
        notes = [f"{label(score.subject)}: {caution}" for score in scores for caution in ice_words.cautions(score)]
    else:
        lines = _stacked(scores, width)
    notes += ice_words.comparison_notes(comparisons)
    if notes:
        lines += ["", *(line for note in notes for line in _wrapped(note, width))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _wide(scores: Sequence[IceScore]) -> list[str]:
    head = ["", *(ice_words.SCORE_NAMES[name] for name in SCORES), *_COUNTS]
    rows = [head]
    for score in scores:
        figures = [ice_words.figure(getattr(score, name)) for name in SCORES]
        counts = [str(score.n), str(score.failed), str(score.unparsed)]
        rows.append([label(score.subject), *figures, *counts, ice_words.most_claimed(score) or "-"])
    widths = [max(_columns(row[place]) for row in rows) for place in range(len(head))]
    return [
        _GAP.join(
            _padded(cell, wide, right=5 <= at <= 7) for at, (cell, wide) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _stacked(scores: Sequence[IceScore], width: int) -> list[str]:
    names = max(len(ice_words.SCORE_NAMES[name]) for name in SCORES)
    figures = max(len(ice_words.figure(getattr(score, name))) for score in scores for name in SCORES)
    lines: list[str] = []
    for score in scores:
        lines += ["", label(score.subject)] if lines else [label(score.subject)]
        for name in SCORES:
            estimate = getattr(score, name)
            figure = f"  {ice_words.SCORE_NAMES[name]:<{names}}  {ice_words.figure(estimate):<{figures}}"
            count = f"  {estimate.count} of {estimate.n}" if estimate.count is not None else ""
            lines += [figure + count] if len(figure + count) <= width else [figure, f"  {'':<{names}}{count}"]
        facts = f"{score.n} attempts, {score.failed} failed, {score.unparsed} unparsed, {score.truncated} cut off"
        claimed = ice_words.most_claimed(score)
        notes = [f"{facts}; most claimed: {claimed}" if claimed else facts, *ice_words.cautions(score)]
        lines += [f"  {line}" for note in notes for line in _wrapped(note, width - 2)]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at spaces only; later lines are indented."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if lines[-1].strip() and _columns(longer) > width:
            lines.append(f"  {word}")
        else:
            lines[-1] = longer
    return lines


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _columns(text))
    return space + text if right else text + space
