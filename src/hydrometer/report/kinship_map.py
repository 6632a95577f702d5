"""The figure of a population's map: models that are alike lie near one another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from hydrometer.kinship.layout import classical_scaling, map_coordinates
from hydrometer.report.figures import COLOURS, INK, SHAPES, Figure, finished, free_labels, short_names, wrapped
from hydrometer.report.kinship_figures import PopulationView, family_colour
from hydrometer.report.visible import label
from hydrometer.stats import Array

#: Up to so many models, the map keeps distances, not neighbourhoods.
_FEW = 12


def neighbour_chart(population: PopulationView) -> Figure:
    """The models on a map in two dimensions, families by colour and shape."""
    import altair as alt

    n = len(population.names)
    side = 460.0 if n <= _FEW else 640.0 if n <= 60 else 860.0
    size = 110 if n <= 60 else 60
    points, height = _in_frame(_places(population), side, 60.0)
    family = population.family_of()
    tables: dict[str, Any] = {
        "models": {
            "x": [round(px, 1) for px, _ in points],
            "y": [round(py, 1) for _, py in points],
            "name": [label(name, 200) for name in population.names],
            "family": [label(population.families[index][0], 200) if index >= 0 else "none" for index in family],
            "colour": [family_colour(index) for index in family],
            "shape": [SHAPES[index // len(COLOURS) % len(SHAPES)] if index >= 0 else "circle" for index in family],
        }
    }
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, side], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, height], nice=False, reverse=True))
    layers: list[Any] = [
        alt.Chart(alt.NamedData("models"))
        .mark_point(filled=True, size=size, opacity=0.9, stroke="#ffffff", strokeWidth=0.6)
        .encode(
            x=x,
            y=y,
            color=alt.Color("colour:N", scale=None),
            shape=alt.Shape("shape:N", scale=None),
            tooltip=[alt.Tooltip("name:N", title="model"), alt.Tooltip("family:N", title="family")],
        )
    ]
    layers += _map_labels(tables, population, points, (side, height), size)
    chart = alt.layer(*layers).properties(width=side, height=height)
    shown = "" if n <= _FEW else " Labels that would overlap are left out."
    told = "Colour and shape together" if len(population.families) > len(COLOURS) else "Colour"
    words = (
        f"{population.counted()}. Near means alike; distances between clumps mean little, and the axes nothing. "
        f"{told}: family; grey: in none.{shown}"
    )
    return finished(chart, "map", "Which models lie near one another", wrapped(words, side), tables)


def _map_labels(
    tables: dict[str, Any],
    population: PopulationView,
    points: Sequence[tuple[float, float]],
    frame: tuple[float, float],
    size: float,
) -> list[Any]:
    import altair as alt

    family = population.family_of()
    texts = short_names(population.names, 26)
    first = {members[0] for _, members in population.families}
    order = sorted(range(len(texts)), key=lambda model: (model not in first, family[model] < 0, model))
    found = free_labels(points, texts, 10.5, frame, radius=float(np.sqrt(size / np.pi)), order=order)
    layers = []
    for align, group in groupby(sorted(found, key=lambda one: one[3]), key=lambda one: one[3]):
        placed = list(group)
        table = f"labels_{align}"
        tables[table] = {
            "x": [round(px, 1) for _, px, _, _ in placed],
            "y": [round(py, 1) for _, _, py, _ in placed],
            "name": [texts[model] for model, _, _, _ in placed],
        }
        text = alt.Chart(alt.NamedData(table)).mark_text(align=align, fontSize=10.5, color=INK, aria=False)
        layers.append(text.encode(x="x:Q", y="y:Q", text="name:N"))
    return layers


def _places(population: PopulationView) -> Array:
    """Places on the map; of few models, which have no neighbourhoods to keep, by classical scaling."""
    similarity = np.nan_to_num(population.residual)
    if len(similarity) > _FEW:
        return map_coordinates(similarity)
    return classical_scaling(np.where(np.eye(len(similarity), dtype=bool), 0.0, np.maximum(1 - similarity, 0.0)))


def _in_frame(places: Array, width: float, margin: float) -> tuple[list[tuple[float, float]], float]:
    """Places in points of a drawing as wide as is asked, both axes on one scale, and the drawing's height."""
    low, span = places.min(axis=0), np.ptp(places, axis=0)
    scale = (width - 2 * margin) / max(float(span.max()), 1e-9)
    height = max(float(span[1]) * scale, width / 4) + margin
    shift = np.array([width, height]) / 2 - span * scale / 2
    drawn = (places - low) * scale + shift
    return [(float(x), float(height - y)) for x, y in drawn], height
