"""The Distillation Loss Statement as Markdown, for a terminal, a file or a model card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hydrometer.integrity.findings import IntegrityFindings
from hydrometer.report import integrity_words as words
from hydrometer.report.visible import encodable, label, visible

if TYPE_CHECKING:
    from hydrometer.integrity_run import Collected

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
#: Characters of a question or an answer that are shown.
SHOWN = 300
#: Examples of each kind in a model card.
_IN_CARD = 3


def statement(collected: Collected, findings: IntegrityFindings) -> str:
    """The whole statement; ends with a line feed."""
    lines = ["# Distillation Loss Statement", "", plain(words.headline(findings), 600), ""]
    lines += _table(("theme", "verdict"), [row[:2] for row in words.summary(findings)])
    lines += ["", *(f"- **{title}**: {plain(said, 600)}" for title, _, said in words.summary(findings))]
    notes = words.notes(collected, findings)
    if notes:
        lines += ["", "## What to be careful about", "", *(f"- {plain(note, 600)}" for note in notes)]
    lines += _figures(findings)
    lines += _steadiness(findings)
    lines += _faithfulness(findings)
    lines += _examples(findings, len(findings.lost_answers))
    lines += ["", "## Method and settings", ""]
    lines += [f"- {title}: {plain(value, 600)}" for title, value in words.settings(collected, findings)]
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in words.limits())]
    return encodable("\n".join(lines) + "\n")


def model_card(collected: Collected, findings: IntegrityFindings) -> str:
    """A section for a model card of the Hugging Face Hub, its results as metadata (`model-index`) in front.

    Texts in the metadata are JSON strings, which are YAML strings as well.
    """
    plan = collected.plan
    sets = ", ".join(dict.fromkeys(prompt.set for prompt in plan.prompts if prompt.set)) or "prompts"
    lines = ["---", "model-index:", f"- name: {_quoted(words.name(findings.student))}", "  results:", "  - task:"]
    lines += ["      type: text-generation", "    dataset:", f"      name: {_quoted(sets)}"]
    lines += ["      type: prompts", "    metrics:"]
    leads = {one.lead: one for one in findings.themes}
    for one in findings.metrics:
        if one.name not in leads or one.student.estimate is None:
            continue
        lines += [
            f"    - type: {_quoted(one.name.replace(' ', '_'))}",
            f"      name: {_quoted(f'{words.TITLES[one.theme]}: {one.name} (theme {leads[one.name].verdict})')}",
            f"      value: {one.student.estimate:.4f}",
        ]
    lines += ["---", "", "## Distillation Loss Statement", "", plain(words.headline(findings), 600), ""]
    lines += _table(("theme", "verdict"), [row[:2] for row in words.summary(findings)])
    lines += ["", *(f"- **{title}**: {plain(said, 600)}" for title, _, said in words.summary(findings)), ""]
    rows = [words.metric_row(one, leads[one.name]) for one in findings.metrics if one.name in leads]
    lines += _table(words.METRIC_HEAD, rows)
    lines += _examples(findings, _IN_CARD, level="###")
    lines += ["", "### How it was measured", ""]
    lines += [f"- {title}: {plain(value, 600)}" for title, value in words.settings(collected, findings)]
    notes = words.notes(collected, findings)
    lines += [f"- {plain(note, 600)}" for note in notes]
    lines += ["", "### Limits of the measurement", "", *(f"- {limit}" for limit in words.limits())]
    return encodable("\n".join(lines) + "\n")


def plain(text: str, limit: int = SHOWN) -> str:
    """Any text as one line in which no Markdown or HTML can begin."""
    return _MARKUP.sub(r"\\\1", label(text, limit)).replace("\\<", "&lt;").replace("\\&", "&amp;")


def _figures(findings: IntegrityFindings) -> list[str]:
    lines = ["", "## Figures", "", "A loss is teacher minus student, turned so that positive is lost."]
    for theme in findings.themes:
        own = [one for one in findings.metrics if one.theme == theme.theme]
        lines += ["", f"### {words.TITLES[theme.theme]}: {theme.verdict}", "", words.ASKS[theme.theme], ""]
        lines += _table(words.METRIC_HEAD, [words.metric_row(one, theme) for one in own])
    return lines


def _steadiness(findings: IntegrityFindings) -> list[str]:
    steady = findings.stability
    if steady is None:
        return []
    lines = ["", f"### {steady.questions} questions asked in several ways", ""]
    return lines + _table(words.STEADY_HEAD, [words.steady_row(one) for one in (*steady.by_way, *steady.by_category)])


def _faithfulness(findings: IntegrityFindings) -> list[str]:
    if findings.fidelity is None:
        return []
    lines = ["", "### Distributions at the same places in the teacher's answers", ""]
    return lines + _table(words.FAITHFUL_HEAD, words.faithful_rows(findings.fidelity))


def _examples(findings: IntegrityFindings, shown: int, level: str = "##") -> list[str]:
    lines = ["", f"{level} Examples of lost answers", ""]
    if not findings.answers_seen:
        return [*lines, "The teacher gave no answer twice, so that none can be said to be lost."]
    lines.append(
        f"Of {findings.answers_seen} answers that the teacher gave at least twice in {findings.k}, the student gave "
        f"{findings.answers_lost} never. Two draws of one model also differ in this; the figures say by how much."
    )
    for one in findings.lost_answers[:shown]:
        lines += ["", f"- {plain(one.question or one.prompt)}"]
        lines += [f"  - teacher, {one.count} of {findings.k}: {plain(one.answer)}"]
        lines += [f"  - student instead: {plain(one.instead)}"]
    if findings.lost_words:
        listed = ", ".join(f"{plain(one.word, 40)} ({one.count})" for one in findings.lost_words)
        lines += ["", f"Rare words of the teacher that no answer of the student holds, with their number: {listed}."]
    return lines


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns also line up as plain text; a cell's bars are escaped."""
    cells = [[visible(cell).replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _quoted(text: str) -> str:
    return json.dumps(label(text, 200), ensure_ascii=False)
