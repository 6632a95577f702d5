"""A response set as a plain table."""

from __future__ import annotations

from hydrometer.report.visible import label, visible
from hydrometer.response_checks import counted
from hydrometer.response_profile import ModelProfile, SetProfile

_HEADER = ("model", "prompts", "answers", "samples", "empty", "words", "formatted", "languages")


def response_summary(found: SetProfile) -> str:
    """One line a model, then what a reader should know about the set."""
    table = [_HEADER, *(_row(one) for one in found.models)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADER))]
    lines = [
        f"{counted(len(found.models), 'model')}, {counted(found.prompts, 'prompt')} "
        f"({found.common_prompts} answered by every model), {counted(found.answers, 'answer')}",
        "",
    ]
    for row in table:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:-1], row[-1]]).rstrip())
    if found.notes:
        lines += ["", *(f"Note: {note}" for note in found.notes)]
    return visible("\n".join(lines) + "\n")


def _row(one: ModelProfile) -> tuple[str, ...]:
    return (
        label(one.model),
        str(one.prompts),
        str(one.answers),
        str(one.samples),
        str(one.empty),
        "-" if one.median_words is None else f"{one.median_words:g}",
        "-" if one.formatted is None else f"{one.formatted:.0%}",
        ", ".join(f"{name} {count}" for name, count in one.languages.items()),
    )
