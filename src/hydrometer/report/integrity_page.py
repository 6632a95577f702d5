"""The Distillation Loss Statement as one self-contained HTML page, without scripts.

The page loads nothing from anywhere; its style is allowed by its hash. Text from models is escaped by the template and
made visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydrometer.integrity.findings import IntegrityFindings, MetricFinding
from hydrometer.report import integrity_words as words
from hydrometer.report.integrity_text import SHOWN
from hydrometer.report.page import asset, content_hash, environment, trusted
from hydrometer.report.visible import visible

if TYPE_CHECKING:
    from hydrometer.integrity_run import Collected

#: Ends of the scale of losses, as shares of what there is to lose.
_SCALE = (-0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a loss and its interval stand on the common scale, as lengths of CSS.

    Attributes:
        dot: of the estimate.
        low: of the lower end.
        high: of the upper end.
    """

    dot: str
    low: str
    high: str


def render_page(collected: Collected, findings: IntegrityFindings) -> str:
    """The page; the same findings give the same text."""
    style = asset("ice.css") + asset("integrity.css")
    return (
        environment()
        .get_template("integrity.html.j2")
        .render(
            findings=findings,
            words=words,
            summary=words.summary(findings),
            notes=words.notes(collected, findings),
            settings=words.settings(collected, findings),
            bar=bar,
            place=_place,
            cut=_cut,
            style=trusted(style),
            style_hash=content_hash(style),
        )
    )


def bar(one: MetricFinding) -> Bar | None:
    """A measure's bar; None where it is not known what there is to lose, or there is no interval."""
    loss = one.loss
    if not one.margin or not one.relative or loss.estimate is None or loss.low is None or loss.high is None:
        return None
    room = loss.estimate / one.relative
    return Bar(_place(one.relative), _place(loss.low / room), _place(loss.high / room))


def _place(share: float) -> str:
    low, high = _SCALE
    return f"{100 * (min(max(share, low), high) - low) / (high - low):.2f}%"


def _cut(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…"
