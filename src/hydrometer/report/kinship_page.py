"""A population's kinship as one self-contained HTML page.

The page loads nothing from anywhere and runs only its own scripts, allowed by their hashes: what draws the figures, and
what searches, sorts and shows. Text of models and names reaches it as data only: escaped by the template, or as JSON
from which the script makes text nodes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrometer.report import kinship_text
from hydrometer.report.figures import INSTALL, Figure, draw
from hydrometer.report.ice_page import excerpt
from hydrometer.report.kinship_words import interval, p_value
from hydrometer.report.page import asset, content_hash, embedded_json, environment, trusted
from hydrometer.report.visible import label, visible

if TYPE_CHECKING:
    from hydrometer.kinship.evidence import Evidence, Phrase
    from hydrometer.kinship_run import Kinship
    from hydrometer.report.kinship_figures import PopulationView

#: Pairs that the page holds at most, the most alike first; all are in pairs.parquet.
PAIRS = 40_000
#: Rows that the page shows where scripts are off.
WITHOUT_SCRIPT = 100
#: Characters of an answer and of a prompt shown as evidence.
ANSWER_CUT, PROMPT_CUT = 1_500, 600
#: A still figure of more bytes is a PNG, which is smaller.
STILL_BYTES = 400_000
VERDICTS = ("supported", "inconclusive", "not supported")
_TITLES = {
    "similarity": "Similarity of all pairs",
    "tree": "Tree with support",
    "map": "Map",
}


def render_kinship(kinship: Kinship, view: PopulationView, figures: Sequence[Figure], *, files: bool = True) -> str:
    """The page; the same result gives the same text.

    Args:
        kinship: what was found.
        view: the same as the figures show it.
        figures: those that stand in the page; none where they cannot be drawn.
        files: whether figures are files beside the page.
    """
    data = _data(kinship, view)
    scripts = ([_runtime()] if figures else []) + [asset("kinship.js")]
    style = asset("ice.css") + asset("kinship.css")
    return (
        environment()
        .get_template("kinship.html.j2")
        .render(
            kinship=kinship,
            words=kinship_text,
            titles=_TITLES,
            figures=figures,
            stills={figure.name: _still(figure) for figure in figures},
            files=files,
            captions={figure.name: figure.spec["title"] for figure in figures},
            install=INSTALL,
            rows=_rows(kinship)[:WITHOUT_SCRIPT],
            shown=len(data["pairs"]["a"]),
            data=embedded_json(data),
            specs=embedded_json(
                [{"name": one.name, "spec": dict(one.spec), "tables": dict(one.tables)} for one in figures]
            ),
            scripts=[trusted(script) for script in scripts],
            style=trusted(style),
            script_hashes=[content_hash(script) for script in scripts],
            style_hash=content_hash(style),
        )
    )


def _data(kinship: Kinship, view: PopulationView) -> dict[str, Any]:
    a, b = kinship.ends()
    relations = kinship.relations
    known = np.flatnonzero(np.isfinite(relations.estimate))
    order = known[np.argsort(-relations.estimate[known], kind="stable")][:PAIRS]
    verdict = np.array([VERDICTS.index(one) for one in relations.verdict])
    return {
        "models": [label(name, 200) for name in kinship.models],
        "family": view.family_of(),
        "families": [label(name, 200) for name, _ in view.families],
        "verdicts": VERDICTS,
        "unrelated": view.unrelated,
        "total": len(a),
        "pairs": {
            "a": a[order].tolist(),
            "b": b[order].tolist(),
            "residual": _short(relations.estimate[order]),
            "low": _short(relations.low[order]),
            "high": _short(relations.high[order]),
            "raw": _short(kinship.raw[order]),
            "clone": kinship.same()[order].astype(int).tolist(),
            "p": [p_value(p) for p in relations.p_corrected[order].tolist()],
            "prompts": relations.prompts[order].tolist(),
            "verdict": verdict[order].tolist(),
        },
        "evidence": _evidence(kinship),
    }


def _short(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else round(value, 4) for value in values.tolist()]


def _evidence(kinship: Kinship) -> list[dict[str, Any]]:
    """Prompts behind the strongest relations with both answers, what they share marked."""
    place = {name: at for at, name in enumerate(kinship.models)}
    return [
        {
            "a": place[one.a],
            "b": place[one.b],
            "asked": visible(shared.text[:PROMPT_CUT])
            or f"Prompt {label(shared.prompt, 200)}; its text is not recorded (--prompts FILE adds it).",
            "carried": "" if at else _carried(kinship, one),
            "phrases": [_phrase(phrase) for phrase in shared.phrases],
            "first": _marked(shared.answer_a, [phrase.in_a for phrase in shared.phrases]),
            "second": _marked(shared.answer_b, [phrase.in_b for phrase in shared.phrases]),
        }
        for one in kinship.evidence
        for at, shared in enumerate(one.prompts)
    ]


def _carried(kinship: Kinship, one: Evidence) -> str:
    unit = "prompts" if one.of == kinship.prompts else "groups of prompts"
    return f"More alike than expected on {one.alike:,} of {one.of:,} {unit} that both answered. The most telling ones:"


def _phrase(phrase: Phrase) -> str:
    used = f"{phrase.others:,} of the {phrase.of:,} other models too" if phrase.others else "no other model"
    return f"“{label(phrase.text, 120)}” ({used})"


def _still(figure: Figure) -> dict[str, str]:
    """The figure as an image within the page: for print, and until the interactive one is drawn."""
    svg = draw(figure, "svg")
    size = re.match(rb'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"', svg)
    kind, content = ("svg+xml", svg) if len(svg) <= STILL_BYTES else ("png", draw(figure, "png"))
    width, height = (f"{float(number):.0f}" for number in size.groups()) if size else ("", "")
    return {"address": f"data:image/{kind};base64,{b64encode(content).decode()}", "width": width, "height": height}


def _marked(answer: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The answer where it is marked first, every second segment marked; dots where it was cut."""
    found = excerpt(answer, spans, ANSWER_CUT)
    first, *rest = found.segments
    segments = [f"… {first}" if found.before else first, *rest]
    return [*segments[:-1], f"{segments[-1]} …"] if found.after else segments


def _rows(kinship: Kinship) -> list[dict[str, str]]:
    """The most alike pairs in words, for readers without scripts."""
    a, b = kinship.ends()
    relations = kinship.relations
    order = np.argsort(-np.nan_to_num(relations.estimate, nan=-np.inf), kind="stable")[:WITHOUT_SCRIPT]
    return [
        {
            "a": kinship.models[int(a[pair])],
            "b": kinship.models[int(b[pair])],
            "residual": f"{relations.estimate[pair]:.3f}",
            "interval": interval(relations.low[pair], relations.high[pair]),
            "p": p_value(relations.p_corrected[pair]),
            "verdict": relations.verdict[pair],
            "prompts": f"{relations.prompts[pair]:,}",
        }
        for pair in order.tolist()
        if np.isfinite(relations.estimate[pair])
    ]


def _runtime() -> str:
    """The scripts that draw: Vega, Vega-Lite and their embedding, from the package that draws the files."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
