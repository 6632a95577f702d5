"""Scores of the published records against the published counts, and the README's figure of them.

    python benchmarks/published_records.py RECORDS_FOLDER [FIGURE.svg]

The folder holds one jsonl per model with the labels of the paper's judge. The figure shows the Strict score with its
interval over templates and questions, and beside it the interval one gets by taking 1,000 rows for independent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

from hydrometer import stats
from hydrometer.findings import Estimate
from hydrometer.identity.records import read_records
from hydrometer.identity.scores import IceScore, Judged, score
from hydrometer.judging import judge_records
from hydrometer.session import RunOptions

#: Counts of loose, strict and hard positives per 1,000 rows, exactly as in the published data.
PUBLISHED = {
    "claude-3.5-sonnet": (7, 2, 2),
    "deepseek-v3": (339, 219, 70),
    "gemini-2.0-flash": (240, 35, 0),
    "glm-4-plus": (418, 297, 158),
    "llama-3.1-70b-instruct": (313, 97, 0),
    "qwen2.5-14b-instruct": (79, 0, 0),
    "qwen2.5-72b": (529, 211, 151),
}
WIDTH, LEFT, ROW, SCALE = 760, 190, 40, 0.5


def scores_of(folder: Path) -> list[IceScore]:
    attempts = read_records([folder])
    judge, judgements, _ = judge_records("labels", attempts, None, RunOptions())
    groups: dict[str, list[Judged]] = {}
    for attempt, judgement in zip(attempts, judgements, strict=True):
        groups.setdefault(attempt.model, []).append(Judged(attempt, judgement))
    return [score(rows, judge=judge.name, seed=0) for rows in groups.values()]


def text(estimate: Estimate) -> str:
    return f"{estimate.estimate:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def figure(scores: list[IceScore]) -> str:
    def x(rate: float) -> float:
        return LEFT + (WIDTH - LEFT - 30) * min(rate, SCALE) / SCALE

    height = ROW * len(scores) + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="14">',
        "<title>Strict score with its 95 % interval over templates and questions</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for tick in (0, 0.1, 0.2, 0.3, 0.4, 0.5):
        parts.append(f'<path d="M{x(tick):.1f} 14V{height - 56}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 38}" text-anchor="middle" fill="#444444">{tick:g}</text>')
    for index, found in enumerate(scores):
        y = 34 + ROW * index
        rate = found.strict
        assert rate.estimate is not None
        assert rate.low is not None
        assert rate.high is not None
        low, high = stats.wilson_interval(rate.estimate, rate.n)
        parts += [
            f'<text x="{LEFT - 12}" y="{y + 5}" text-anchor="end" fill="#111111">{escape(found.subject)}</text>',
            f'<path d="M{x(rate.low):.1f} {y}H{x(rate.high):.1f}" stroke="#1f5fa8" stroke-width="7"/>',
            f'<path d="M{x(low):.1f} {y + 12}H{x(high):.1f}" stroke="#999999" stroke-width="3"/>',
            f'<circle cx="{x(rate.estimate):.1f}" cy="{y}" r="6" fill="#ffffff" stroke="#1f5fa8" stroke-width="2.5"/>',
        ]
    parts.append(
        f'<text x="{LEFT}" y="{height - 12}" fill="#444444">Strict score. Blue: interval over templates and questions. '
        "Grey: rows taken for independent.</text></svg>"
    )
    return "\n".join(parts) + "\n"


def main() -> None:
    scores = scores_of(Path(sys.argv[1]))
    print("model | loose | strict | hard | strict, unprompted | counts as published")
    for found in scores:
        counts = (found.loose.count, found.strict.count, found.hard.count)
        rates = (found.loose, found.strict, found.hard, found.strict_unprompted)
        print(" | ".join([found.subject, *map(text, rates), "yes" if counts == PUBLISHED[found.subject] else "NO"]))
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(figure(sorted(scores, key=lambda s: -(s.strict.estimate or 0))), "utf-8")


if __name__ == "__main__":
    main()
