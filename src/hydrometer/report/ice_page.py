"""The result of an Identity Consistency Evaluation as one self-contained HTML page.

The page loads nothing from anywhere and runs one script, allowed by its hash. Text from models reaches it as data
only: escaped by the template, or as JSON from which the script makes text nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hydrometer.findings import Comparison
from hydrometer.identity.scores import SCORES, IceScore, Judged
from hydrometer.prompts.templates import Template
from hydrometer.report import ice_words
from hydrometer.report.page import asset, content_hash, embedded_json, environment, trusted
from hydrometer.report.visible import label, visible

#: Where the page cuts answers, in characters; the row files hold the whole. The first that keeps all answers together
#: within `PAGE_CHARACTERS` is used, or the last.
ANSWER_CUTS = (4_000, 2_000, 1_000, 500)
PAGE_CHARACTERS = 16_000_000
#: Attempts that the page shows where scripts are off.
WITHOUT_SCRIPT = 100
#: Upper ends of the scale of the interval bars.
_SCALES = (0.05, 0.1, 0.25, 0.5, 1.0)
VERDICTS = {
    "strict": "Says or implies that it is, or was made by, somebody else",
    "loose": "Contradicts its identity card",
    "unparsed": "No complete verdict",
    "negative": "No contradiction",
    "failed": "No answer",
}

Segments = list[str]


@dataclass(frozen=True, slots=True)
class IcePage:
    """Everything that the result of a run shows.

    Attributes:
        scores: one per subject.
        comparisons: paired comparisons between the subjects.
        rows: judged attempts, one list per subject, in the order of `scores`.
        templates: every template that was used, with its lineage.
        settings: how the figures were made, as (name, value), in the order to show.
        warnings: what limits the run as a whole.
    """

    scores: Sequence[IceScore]
    comparisons: Sequence[Comparison]
    rows: Sequence[Sequence[Judged]]
    templates: Sequence[Template]
    settings: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a text with its highlights.

    Attributes:
        segments: the piece, cut where highlights begin and end; every second segment, from the second, is highlighted.
        before: characters left out in front of it.
        after: characters left out behind it.
    """

    segments: Segments
    before: int
    after: int


def excerpt(text: str, spans: Sequence[tuple[int, int]], limit: int) -> Excerpt:
    """The text with highlights, made visible; if longer than `limit`, the part that holds the first highlight.

    Args:
        text: any text.
        spans: [start, end) offsets to highlight; they may overlap, be out of order or reach beyond the text.
        limit: characters to keep, at least 1.
    """
    marks = _merged(spans, len(text))
    start = 0
    if marks and marks[0][1] > limit:
        start = max(0, min(marks[0][0] - limit // 4, len(text) - limit))
    end = min(len(text), start + limit)
    cuts = [start]
    for low, high in marks:
        if high > start and low < end:
            cuts += [max(low, start), min(high, end)]
    cuts.append(end)
    segments = [visible(text[low:high]) for low, high in pairwise(cuts)]
    return Excerpt(segments, start, len(text) - end)


def render_page(page: IcePage) -> str:
    """The page; the same result gives the same text.

    Args:
        page: what to show; `rows` has one list per score.
    """
    attempts = _attempts(page)
    script, style = asset("ice.js"), asset("ice.css")
    scale = _scale(page.scores)
    return (
        environment()
        .get_template("ice.html.j2")
        .render(
            page=page,
            words=ice_words,
            scores=SCORES,
            scale=scale,
            at=lambda value: f"{100 * min(value / scale, 1):.2f}%",
            most=_most_claimed(page.scores),
            share=lambda part, whole: f"{100 * part / whole:.2f}%",
            attempts=attempts,
            shown=attempts["rows"][:WITHOUT_SCRIPT],
            data=embedded_json(attempts),
            script=trusted(script),
            style=trusted(style),
            script_hash=content_hash(script),
            style_hash=content_hash(style),
        )
    )


def _attempts(page: IcePage) -> dict[str, Any]:
    """All attempts as data, positives first, with templates once each; every text in it is visible."""
    lengths = [len(row.attempt.response or "") for rows in page.rows for row in rows]
    fitting = (cut for cut in ANSWER_CUTS if sum(min(length, cut) for length in lengths) <= PAGE_CHARACTERS)
    limit = next(fitting, ANSWER_CUTS[-1])
    templates: dict[str, int] = {}
    numbered = ((subject, row) for subject, rows in enumerate(page.rows) for row in rows)
    rows = [
        _attempt(number, subject, row, templates.setdefault(row.attempt.template, len(templates)), limit)
        for number, (subject, row) in enumerate(numbered, 1)
    ]
    rows.sort(key=lambda row: (list(VERDICTS).index(row["verdict"]), row["leading"], row["number"]))
    first_use = {judged.attempt.template: judged.attempt.template_id for found in page.rows for judged in found}
    return {
        "subjects": [label(score.subject) for score in page.scores],
        "verdicts": VERDICTS,
        "templates": [_template(text, first_use[text], page.templates) for text in templates],
        "rows": rows,
        "limit": limit,
    }


def _attempt(number: int, subject: int, row: Judged, template: int, limit: int) -> dict[str, Any]:
    attempt, judgement = row.attempt, row.judgement
    answer = excerpt(attempt.response or "", judgement.spans if judgement else (), limit)
    return {
        "number": number,
        "subject": subject,
        "template": template,
        "question": visible(attempt.query[: ANSWER_CUTS[0]]),
        "category": label(attempt.category),
        "language": label(attempt.language),
        "leading": not row.unprompted,
        "verdict": _verdict(row),
        "scores": [name for name in SCORES if row.positive(name)],
        "maker": ice_words.maker_name(judgement.claimed_maker) if judgement and judgement.claimed_maker else "",
        "model": label(judgement.claimed_model) if judgement and judgement.claimed_model else "",
        "answer": answer.segments,
        "before": answer.before,
        "after": answer.after,
        "why": visible((judgement.error or judgement.explanation)[: ANSWER_CUTS[0]]) if judgement else "",
        "failure": label(attempt.failure or "").replace("_", " "),
    }


def _verdict(row: Judged) -> str:
    if row.attempt.failure is not None or row.attempt.response is None:
        return "failed"
    if not row.parsed:
        return "unparsed"
    return "strict" if row.positive("strict") else "loose" if row.positive("loose") else "negative"


def _template(text: str, name: str, known: Sequence[Template]) -> dict[str, Any]:
    found = next((template for template in known if template.text == text), None)
    lineage = ""
    if found is not None and found.mutator is not None:
        parents = ", ".join(label(parent) for parent in found.parent)
        lineage = f"made by {label(found.mutator)} from {parents}"
    shown = excerpt(text, (), ANSWER_CUTS[0])
    return {
        "id": label(found.id if found is not None else name),
        "kind": label(found.kind) if found is not None else "",
        "lineage": lineage,
        "text": shown.segments[0],
        "after": shown.after,
    }


def _merged(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """The spans within [0, length), in order, those that touch joined."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((max(0, low), min(high, length)) for low, high in spans):
        if high <= low:
            continue
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _scale(scores: Sequence[IceScore]) -> float:
    """The upper end of the interval bars: the smallest that holds every interval of the page."""
    groups = [group for score in scores for by in (score.by_category, score.by_language) for group in by.values()]
    estimates = [getattr(score, name) for score in scores for name in SCORES]
    estimates += [group[name] for group in groups for name in group]
    highest = max((estimate.high or estimate.estimate or 0 for estimate in estimates), default=0)
    return next((scale for scale in _SCALES if scale >= highest), 1.0)


def _most_claimed(scores: Sequence[IceScore]) -> float:
    """The largest share of a subject's answers that claim one maker: the length of the longest bar."""
    return max(
        (claim.count / (score.n - score.failed) for score in scores for claim in score.claimed.values()), default=0
    )
