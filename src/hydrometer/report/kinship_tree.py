"""The figure of a population's tree, with the support of its branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydrometer.report.figures import FAINT, GROUND, INK, MUTED, Figure, finished, short_names, wrapped
from hydrometer.report.kinship_figures import Branch, PopulationView, family_colour
from hydrometer.report.visible import label

#: Support from which a branch gets a full mark, and from which a hollow one.
STRONG, FAIR = 0.95, 0.7
_KINDS = (f"{STRONG:.0%} or more", f"{FAIR:.0%} to {STRONG:.0%}")
_WIDTH = 560
#: Up to so many models, support stands at the branches in numbers.
_NUMBERS = 40


def tree_chart(population: PopulationView) -> Figure:
    """The tree with the length of its branches, the models in rows, and marks where a branch is supported."""
    import altair as alt

    n = len(population.names)
    step = 26 if n <= 12 else 20 if n <= 40 else 15 if n <= 130 else 12
    tables = _tables(population.tree, population.family_of())
    deepest = max([*tables["branches"]["x2"], 1e-9])
    short = short_names(population.names, 44)
    leaves = [branch.model for branch in population.tree if branch.model is not None]
    tables["leaves"]["name"] = [short[model] for model in leaves]
    tables["leaves"]["full"] = [label(population.names[model], 200) for model in leaves]
    tables["leaves"]["end"] = [deepest] * n
    x = alt.X(
        "x1:Q",
        title="Distance from the root along the branches",
        scale=alt.Scale(domain=[0, deepest], nice=False),
        axis=alt.Axis(orient="bottom", grid=False, tickCount=5, offset=6),
    )
    y = alt.Y("y1:Q", axis=None, scale=alt.Scale(domain=[-0.5, n - 0.5], nice=False, reverse=True))
    colour = alt.Color("colour:N", scale=None)
    leaf, branches = alt.Chart(alt.NamedData("leaves")), alt.Chart(alt.NamedData("branches"))
    marks = alt.Chart(alt.NamedData("marks"))
    support = alt.Tooltip("percent:N", title="support of the branch")
    layers: list[Any] = [
        branches.mark_rule(strokeWidth=1.5, aria=False).encode(x=x, x2="x2:Q", y=y, color=colour),
        leaf.mark_rule(color=FAINT, strokeDash=[1, 3], aria=False).encode(x="x:Q", x2="end:Q", y="y:Q"),
        alt.Chart(alt.NamedData("joints"))
        .mark_rule(strokeWidth=1.5, aria=False)
        .encode(x="x:Q", y="y1:Q", y2="y2:Q", color=colour),
        marks.mark_point(filled=True, size=34 if n <= 130 else 22, stroke=INK, strokeWidth=1, opacity=1).encode(
            x="x:Q",
            y="y:Q",
            fill=alt.Fill(
                "kind:N",
                title="Branch found in resamples of the prompts",
                scale=alt.Scale(domain=list(_KINDS), range=[INK, "#ffffff"]),
                legend=alt.Legend(orient="top", direction="horizontal", symbolStrokeColor=INK, symbolType="circle"),
            ),
            tooltip=[support],
        ),
        leaf.mark_text(align="left", dx=7, fontSize=min(12, step - 3), color=INK).encode(
            x="end:Q", y="y:Q", text="name:N", tooltip=[alt.Tooltip("full:N", title="model")]
        ),
    ]
    if n <= _NUMBERS:
        style: dict[str, Any] = {"align": "right", "dx": -6, "dy": -8, "fontSize": 10, "aria": False}
        layers += [
            marks.mark_text(**style, **ink).encode(x="x:Q", y="y:Q", text="percent:N")
            for ink in ({"color": GROUND, "stroke": GROUND, "strokeWidth": 4}, {"color": MUTED})
        ]
    chart = alt.layer(*layers).properties(width=_WIDTH, height=step * n)
    words = (
        f"{population.counted()}; neighbour joining on residual similarity. The root is placed in the middle of the "
        "longest path: the tree shows who is alike, not who came first or who learnt from whom."
    )
    return finished(chart, "tree", "Tree of the models", wrapped(words, _WIDTH + 160), tables)


def _tables(tree: Sequence[Branch], family: Sequence[int]) -> dict[str, Any]:
    """Where the branches are drawn: the way of each along x, its row along y."""
    start, end = [0.0] * len(tree), [0.0] * len(tree)
    children: list[list[int]] = [[] for _ in tree]
    for index, branch in enumerate(tree):
        if branch.parent >= 0:
            start[index] = end[branch.parent]
            children[branch.parent].append(index)
        end[index] = start[index] + max(branch.length, 0.0)
    row = _rows(tree, children)
    kin: list[set[int]] = [set() for _ in tree]
    for index in range(len(tree) - 1, -1, -1):
        branch = tree[index]
        if branch.model is not None:
            kin[index].add(family[branch.model])
        if branch.parent >= 0:
            kin[branch.parent] |= kin[index]
    colours = [family_colour(min(found)) if len(found) == 1 and min(found) >= 0 else "#6d7178" for found in kin]
    inner = [index for index in range(len(tree)) if children[index]]
    leaves = [index for index in range(len(tree)) if tree[index].model is not None]
    marked = [index for index in inner if (tree[index].support or 0) >= FAIR]
    drawn = [index for index in range(len(tree)) if tree[index].parent >= 0]
    return {
        "branches": {
            "x1": [start[index] for index in drawn],
            "x2": [end[index] for index in drawn],
            "y1": [row[index] for index in drawn],
            "colour": [colours[index] for index in drawn],
        },
        "joints": {
            "x": [end[index] for index in inner],
            "y1": [min(row[child] for child in children[index]) for index in inner],
            "y2": [max(row[child] for child in children[index]) for index in inner],
            "colour": [colours[index] for index in inner],
        },
        "marks": {
            "x": [end[index] for index in marked],
            "y": [row[index] for index in marked],
            "support": [tree[index].support for index in marked],
            "percent": [f"{100 * (tree[index].support or 0):.0f} %" for index in marked],
            "kind": [_KINDS[(tree[index].support or 0) < STRONG] for index in marked],
        },
        "leaves": {"x": [end[index] for index in leaves], "y": [row[index] for index in leaves]},
    }


def _rows(tree: Sequence[Branch], children: Sequence[Sequence[int]]) -> list[float]:
    """Leaves in consecutive rows from the top, every other node in the middle of its children."""
    order, stack = [], [index for index, branch in enumerate(tree) if branch.parent < 0]
    while stack:
        index = stack.pop()
        order.append(index)
        stack += reversed(children[index])
    row, free = [0.0] * len(tree), 0
    for index in order:
        if not children[index]:
            row[index], free = float(free), free + 1
    for index in reversed(order):
        if children[index]:
            row[index] = (row[children[index][0]] + row[children[index][-1]]) / 2
    return row
