"""The figures of a population: what they show, the similarity map, and relatives with intervals.

Each is made for 5 models as for 250: sizes follow the number, names are cut in the middle and whole in the tooltip,
labels that would overlap are left out. Colours are told apart by colour-blind readers and, where they carry an order,
in grey.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hydrometer.report.figures import (
    COLOURS,
    INK,
    MUTED,
    Figure,
    finished,
    short_names,
    wrapped,
)
from hydrometer.report.kinship_words import interval, p_value
from hydrometer.report.visible import label
from hydrometer.stats import Array

#: From none to the same text; told apart in grey.
RAMP = ("#fafaf7", "#c5dcec", "#86b6da", "#3f86c0", "#14559a", "#08306b")
#: Verdicts as they are drawn: filled, grey and hollow.
VERDICT_FILL = {"supported": "#14559a", "inconclusive": "#b9bcc1", "not supported": "#ffffff"}
#: The similarity map shows so many models at most: those with the strongest relatives.
MATRIX_LIMIT = 300
#: Rows in the chart of one model's relatives.
RELATIVES = 12
#: Share of the pairs that the colours of the similarity map tell apart; the strongest share the darkest.
_TOP_SHARE = 0.99
_NAME_LIMIT = 34
_SCALE_TITLE = "Residual similarity (0: like unrelated models, 1: the same text)"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of a rooted tree, with the node at its end.

    Attributes:
        parent: index of the branch that it comes from; -1 for the root.
        length: at least 0.
        support: share of resamples that have this branch; None for a leaf or the root.
        model: index of the model at its end; None within the tree.
    """

    parent: int
    length: float
    support: float | None = None
    model: int | None = None


@dataclass(frozen=True, slots=True)
class Relative:
    """A pair as a chart shows it, seen from one of its models.

    Attributes:
        model: index of the other one.
        estimate: residual similarity.
        low: lower end of its interval; None where there is none.
        high: upper end.
        p_corrected: p-value, corrected for the number of pairs; None where there is none.
        verdict: what it supports.
        clone: whether the two give nearly the same answers.
    """

    model: int
    estimate: float
    low: float | None
    high: float | None
    p_corrected: float | None
    verdict: str
    clone: bool = False


@dataclass(frozen=True, slots=True)
class PopulationView:
    """What the figures show.

    Attributes:
        names: of the models.
        residual: (n, n) residual similarity, NaN where two models have no prompts in common; no diagonal.
        supported: (n, n) whether the relation is supported.
        order: models, so that relatives stand together.
        families: groups of at least two models, each with a name for it.
        tree: parents before children; the first is the root.
        relatives: the nearest relatives of each model, nearest first.
        unrelated: the middle 95 % of the similarities of pairs without a supported relation; None for too few.
        prompts: how many prompts the models answered.
        clones: (n, n) whether two models give nearly the same answers; they set no scale. None for none.
        intervals: whether there are intervals.
    """

    names: Sequence[str]
    residual: Array
    supported: NDArray[np.bool_]
    order: Sequence[int]
    families: Sequence[tuple[str, Sequence[int]]]
    tree: Sequence[Branch]
    relatives: Sequence[Sequence[Relative]]
    unrelated: tuple[float, float] | None
    prompts: int
    clones: NDArray[np.bool_] | None = None
    intervals: bool = True

    def family_of(self) -> list[int]:
        """For each model the index of its family, -1 for none."""
        found = [-1] * len(self.names)
        for index, (_, members) in enumerate(self.families):
            for member in members:
                found[member] = index
        return found

    def counted(self) -> str:
        """How many models and prompts, in words."""
        return f"{len(self.names):,} models, {self.prompts:,} prompts"


def family_colour(family: int) -> str:
    """The colour of a family; grey for models in none."""
    return COLOURS[family % len(COLOURS)] if family >= 0 else "#8d9096"


def similarity_map(population: PopulationView) -> Figure:
    """All pairs as a matrix in which relatives stand together, with the families beside it."""
    import altair as alt

    order = _strongest(population, MATRIX_LIMIT)
    n = len(order)
    cell = min(46.0, max(4.0, 800 / n))
    residual, supported = population.residual[np.ix_(order, order)], population.supported[np.ix_(order, order)]
    away = ~np.eye(n, dtype=bool)
    twin = np.zeros((n, n), dtype=bool) if population.clones is None else population.clones[np.ix_(order, order)] & away
    rows, columns = np.nonzero(away)
    values = [None if np.isnan(value) else round(float(value), 3) for value in residual[rows, columns]]
    scaled = residual[away & ~twin]
    known = scaled[~np.isnan(scaled)]
    top = _round_up(float(np.quantile(known, _TOP_SHARE)) if len(known) else 0.0)
    more = bool((residual[away] > top).any())
    tables: dict[str, Any] = {
        "cells": {"x": columns.tolist(), "y": rows.tolist(), "value": values},
        "models": {"at": list(range(n)), "name": [label(population.names[model], 200) for model in order]},
    }
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, n], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, n], nice=False, reverse=True))
    legend = alt.Legend(
        title=_SCALE_TITLE,
        orient="top",
        direction="horizontal",
        titleAnchor="start",
        titleLimit=500,
        gradientLength=240,
        gradientThickness=10,
        values=[0, round(top / 2, 3), top],
        format=".3~f",
        labelExpr=f"datum.value >= {top} ? '{'≥ ' if more else ''}' + datum.label : datum.label",
    )
    colour = alt.Color("value:Q", scale=alt.Scale(domain=[0, top], range=list(RAMP), clamp=True), legend=legend)
    names = alt.LookupData(alt.NamedData("models"), "at", ["name"])
    named = (
        alt.Chart(alt.NamedData("cells"))
        .transform_calculate(x2="datum.x + 1", y2="datum.y + 1", cx="datum.x + 0.5", cy="datum.y + 0.5")
        .transform_lookup(lookup="y", from_=names, as_=["a"])
        .transform_lookup(lookup="x", from_=names, as_=["b"])
    )
    tooltip = [
        alt.Tooltip("a:N", title="model"),
        alt.Tooltip("b:N", title="and"),
        alt.Tooltip("value:Q", title="residual similarity", format=".3f"),
    ]
    layers: list[Any] = [
        named.mark_rect(aria=False, invalid=None).encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, tooltip=tooltip)
    ]
    if n <= 14:
        dark = alt.condition(f"datum.value > {top * 0.5:.3f}", alt.value("#ffffff"), alt.value(INK))
        text = named.mark_text(fontSize=11, aria=False)
        layers.append(text.encode(x="cx:Q", y="cy:Q", text=alt.Text("value:Q", format=".2f"), color=dark))
    elif n <= 60:
        at = np.nonzero(supported & ~twin)
        tables["dots"] = {"x": (at[1] + 0.5).tolist(), "y": (at[0] + 0.5).tolist()}
        dot = alt.Chart(alt.NamedData("dots")).mark_point(
            filled=True, size=cell, color="#ffffff", stroke=INK, strokeWidth=0.8, opacity=1, aria=False
        )
        layers.append(dot.encode(x="x:Q", y="y:Q"))
    if twin.any():
        at = np.nonzero(twin)
        tables["twins"] = {"x": (at[1] + 0.5).tolist(), "y": (at[0] + (0.8 if n <= 14 else 0.5)).tolist()}
        mark = alt.Chart(alt.NamedData("twins")).mark_text(
            text="=", fontSize=min(12.0, cell), fontWeight="bold", color="#ffffff", aria=False
        )
        layers.append(mark.encode(x="x:Q", y="y:Q"))
    if cell >= 9:
        layers += _edge_names(tables, short_names([population.names[model] for model in order], _NAME_LIMIT), cell)
    layers += _brackets(tables, population, order, cell)
    chart = alt.layer(*layers).properties(width=cell * n, height=cell * n)
    left_out = "" if n == len(population.names) else f" The {n} with the strongest relatives are shown."
    words = f"{population.counted()}; relatives stand together.{left_out} Below 0 is drawn as 0."
    if 14 < n <= 60:
        words += " A dot: the relation is supported after correction for the number of pairs."
    if twin.any():
        words += " =: nearly the same answers, one model under two names; such pairs do not set the scale."
    return finished(
        chart, "similarity", "Who answers like whom, beyond what all models share", wrapped(words, cell * n), tables
    )


def relatives_chart(population: PopulationView, model: int) -> Figure:
    """One model's nearest relatives as bars with their intervals, and the range of unrelated pairs."""
    rows = list(population.relatives[model])[:RELATIVES]
    name = short_names([population.names[model]], 60)[0]
    names = [population.names[row.model] for row in rows]
    title = f"Nearest relatives of {name}"
    return _bars(
        population,
        f"relatives-{model + 1:02}-{_file_name(population.names[model])}",
        title,
        rows,
        names,
        [label(name, 200) for name in names],
        "",
    )


def nearest_chart(population: PopulationView) -> Figure:
    """Each model's nearest relative with its interval, the strongest first; mutual pairs once."""
    nearest = {model: rows[0] for model, rows in enumerate(population.relatives) if rows}
    mutual = {model for model, row in nearest.items() if row.model in nearest and nearest[row.model].model == model}
    found = [(model, row) for model, row in nearest.items() if model not in mutual or model < row.model]
    found.sort(key=lambda pair: (-pair[1].estimate, pair[0]))
    names = population.names
    arrows = ["↔" if model in mutual else "→" for model, _ in found]
    short, full = (
        [f"{shown[model]} {arrow} {shown[row.model]}" for (model, row), arrow in zip(found, arrows, strict=True)]
        for shown in (short_names(names, 30), [label(name, 200) for name in names])
    )
    return _bars(
        population, "nearest", "The nearest relative of each model", [row for _, row in found], short, full,
        " a → b: b is the nearest of a; a ↔ b: each is the other's. Nearest does not mean related: see the verdict.",
    )  # fmt: skip


def _file_name(name: str) -> str:
    """A name of a model as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60].strip("-.") or "model"


def _bars(
    population: PopulationView,
    name: str,
    title: str,
    rows: Sequence[Relative],
    labels: Sequence[str],
    full: Sequence[str],
    remark: str,
) -> Figure:
    import altair as alt

    step = 24 if len(rows) <= 40 else 17 if len(rows) <= 130 else 13
    ends = [value for row in rows if not row.clone for value in (row.estimate, row.low, row.high) if value is not None]
    ends += [0.0, *(population.unrelated or ())]
    low, high = min(ends), max([*ends, 0.1])
    domain = [low - 0.02 * (high - low), high + 0.02 * (high - low)]
    clones = [index for index, row in enumerate(rows) if row.clone]
    tables: dict[str, Any] = {
        "rows": {
            "at": [index + 0.5 for index in range(len(rows))],
            "from": [index + 0.18 for index in range(len(rows))],
            "to": [index + 0.82 for index in range(len(rows))],
            "name": short_names(labels, 64),
            "full": list(full),
            "estimate": [row.estimate for row in rows],
            "drawn": [min(row.estimate, domain[1]) for row in rows],
            "low": [None if row.clone else row.low for row in rows],
            "high": [None if row.clone else row.high for row in rows],
            "interval": [interval(row.low, row.high) for row in rows],
            "p": [p_value(row.p_corrected) for row in rows],
            "verdict": [row.verdict for row in rows],
        }
    }
    x = alt.X(
        "drawn:Q",
        title=_SCALE_TITLE,
        scale=alt.Scale(domain=domain, nice=False),
        axis=alt.Axis(tickCount=7, labelOverlap=True, format=".2~f"),
    )
    base = alt.Chart(alt.NamedData("rows"))
    fill = alt.Color(
        "verdict:N",
        title="Relation",
        scale=alt.Scale(domain=list(VERDICT_FILL), range=list(VERDICT_FILL.values())),
        legend=alt.Legend(orient="top", symbolStrokeColor=MUTED, symbolType="square", symbolStrokeWidth=1),
    )
    tooltip = [
        alt.Tooltip("full:N", title="model"),
        alt.Tooltip("estimate:Q", format=".3f", title="residual similarity"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("p:N", title="corrected p"),
        alt.Tooltip("verdict:N", title="relation"),
    ]
    y = alt.Y("from:Q", axis=None, scale=alt.Scale(domain=[0, len(rows)], nice=False, reverse=True))
    reach = base.transform_filter("isValid(datum.low)")
    layers: list[Any] = []
    if population.unrelated is not None:
        tables["unrelated"] = {"low": [population.unrelated[0]], "high": [population.unrelated[1]]}
        band = alt.Chart(alt.NamedData("unrelated")).mark_rect(color="#f1e4cf", aria=False)
        layers.append(band.encode(x="low:Q", x2="high:Q"))
    layers += [
        base.mark_bar(stroke=MUTED, strokeWidth=0.8).encode(
            x=x, x2=alt.X2Datum(0), y=y, y2="to:Q", color=fill, tooltip=tooltip
        ),
        reach.mark_rule(color="#ffffff", strokeWidth=4, aria=False).encode(x="low:Q", x2="high:Q", y="at:Q"),
        reach.mark_rule(color=INK, strokeWidth=1.6, aria=False).encode(x="low:Q", x2="high:Q", y="at:Q"),
        base.mark_text(align="right", dx=-8, fontSize=min(12, step * 0.8), color=INK, aria=False).encode(
            x=alt.XDatum(domain[0]), y="at:Q", text="name:N"
        ),
    ]
    if clones:
        tables["clones"] = {
            "at": [index + 0.5 for index in clones],
            "text": [f"nearly the same answers: {rows[index].estimate:.2f}" for index in clones],
        }
        text = alt.Chart(alt.NamedData("clones")).mark_text(
            align="right", dx=-8, fontSize=min(11, step * 0.75), color="#ffffff", aria=False
        )
        layers.append(text.encode(x=alt.XDatum(domain[1]), y="at:Q", text="text:N"))
    chart = alt.layer(*layers).properties(width=520, height=step * max(1, len(rows)))
    words = f"{population.counted()}."
    if population.intervals:
        words += " Lines: 95 % intervals from resampling prompts."
    if clones:
        words += " Copies reach beyond the scale."
    if population.unrelated is not None:
        words += " Shaded: the middle 95 % of all pairs without a supported relation."
    return finished(chart, name, title, wrapped(words + remark, 620), tables)


def _edge_names(tables: dict[str, Any], names: Sequence[str], cell: float) -> list[Any]:
    import altair as alt

    n = len(names)
    tables["edges"] = {"at": [index + 0.5 for index in range(n)], "name": list(names)}
    base = alt.Chart(alt.NamedData("edges"))
    style: dict[str, Any] = {
        "align": "right",
        "fontSize": min(12.0, cell * 0.95),
        "color": INK,
        "dx": -6,
        "aria": False,
    }
    return [
        base.mark_text(**style).encode(x=alt.XDatum(0), y="at:Q", text="name:N"),
        base.mark_text(**style, angle=270).encode(x="at:Q", y=alt.YDatum(n), text="name:N"),
    ]


def _brackets(tables: dict[str, Any], population: PopulationView, order: Sequence[int], cell: float) -> list[Any]:
    """A line beside the rows of each family with its name; names that would overlap are left out."""
    import altair as alt

    family = population.family_of()
    runs = []
    for index, group in groupby(enumerate(order), key=lambda pair: family[pair[1]]):
        places = [at for at, _ in group]
        if index >= 0:
            runs.append((index, places[0], places[-1] + 1))
    if not runs:
        return []
    n, gap = len(order), min(0.15, 1 / cell)
    taken: list[float] = []
    shown = [""] * len(runs)
    for run in sorted(range(len(runs)), key=lambda run: runs[run][1] - runs[run][2]):
        index, start, end = runs[run]
        middle = (start + end) / 2 * cell
        if all(abs(middle - other) >= 13 for other in taken):
            taken.append(middle)
            shown[run] = short_names([population.families[index][0]], _NAME_LIMIT)[0]
    tables["brackets"] = {
        "start": [start + gap for _, start, _ in runs],
        "end": [end - gap for _, _, end in runs],
        "middle": [(start + end) / 2 for _, start, end in runs],
        "family": [label(population.families[index][0], 200) for index, _, _ in runs],
        "name": shown,
    }
    base = alt.Chart(alt.NamedData("brackets"))
    rule = base.mark_rule(strokeWidth=3, color=INK, xOffset=7).encode(
        x=alt.XDatum(n), y="start:Q", y2="end:Q", tooltip=[alt.Tooltip("family:N", title="family")]
    )
    text = base.mark_text(align="left", dx=14, fontSize=11, color=INK, aria=False)
    return [rule, text.encode(x=alt.XDatum(n), y="middle:Q", text="name:N")]


def _strongest(population: PopulationView, limit: int) -> list[int]:
    """The order, without those that have the weakest nearest relative where there are more than `limit`."""
    n = len(population.names)
    if n <= limit:
        return list(population.order)
    others = np.where(np.eye(n, dtype=bool), -np.inf, np.nan_to_num(population.residual, nan=-np.inf))
    kept = set(np.argsort(-others.max(axis=1), kind="stable")[:limit].tolist())
    return [model for model in population.order if model in kept]


def _round_up(value: float) -> float:
    return round(float(min(1.0, max(0.1, np.ceil(value * 20 - 1e-9) / 20))), 2)
