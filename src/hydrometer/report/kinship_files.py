"""The files of a kinship run: tables, documents, the tree, the page and the figures.

All are functions of the result alone: the same result gives the same bytes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrometer.errors import InputError
from hydrometer.files import write_bytes
from hydrometer.report import kinship_text
from hydrometer.report.figures import FORMATS, INSTALL, Figure, can_draw, draw
from hydrometer.report.kinship_figures import (
    RELATIVES,
    Branch,
    PopulationView,
    Relative,
    nearest_chart,
    relatives_chart,
    similarity_map,
)
from hydrometer.report.kinship_words import family_name
from hydrometer.report.visible import encodable
from hydrometer.stats import Array

if TYPE_CHECKING:
    import polars as pl

    from hydrometer.kinship.evidence import Evidence
    from hydrometer.kinship_run import Kinship

#: Relatives of each model in relatives.json: at least, whatever the verdict, and at most.
FEWEST_RELATIVES, MOST_RELATIVES = 3, 25
#: Up to so many models, each has a static chart of its relatives; the page has them for any number.
OWN_CHARTS = 12
#: Names of the files that `all_figures` makes.
_DRAWN = re.compile(r"(similarity|tree|map|nearest|relatives-\d+(-[\w.-]+)?)\.(svg|pdf|png)", re.ASCII)


def formats_of(text: str) -> tuple[str, ...]:
    """The figure formats named in a list with commas; none for `none`.

    Raises:
        InputError: an unknown format.
    """
    if text == "none":
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or any(name not in FORMATS for name in names):
        raise InputError(f"--figures is {text!r}", f"Give none, or some of {', '.join(FORMATS)} with commas.")
    return names


def pairs_table(kinship: Kinship) -> pl.DataFrame:
    """One row per unordered pair: the models, similarities, interval, p-values, verdict and common prompts.

    What a pair does not have is null. A lone surrogate in a name, which no file can hold, becomes U+FFFD.
    """
    import polars as pl

    names = pl.Series([encodable(name) for name in kinship.models], dtype=pl.String)
    a, b = kinship.ends()
    relations = kinship.relations
    numbers = {
        "raw": kinship.raw,
        "residual": relations.estimate,
        "low": relations.low,
        "high": relations.high,
        "p": relations.p,
        "p_corrected": relations.p_corrected,
    }
    return pl.DataFrame(
        {
            "a": names[a],
            "b": names[b],
            **{name: pl.Series(values, dtype=pl.Float64).fill_nan(None) for name, values in numbers.items()},
            "verdict": pl.Series(relations.verdict, dtype=pl.String),
            "prompts": pl.Series(relations.prompts, dtype=pl.Int64),
        }
    )


def population_document(kinship: Kinship) -> dict[str, Any]:
    """What `population.json` holds: first the figures asked for; none from too few prompts."""
    found = kinship.population.model_dump(mode="json")
    first = ("effective_models", "monoculture")
    rest = {name: value for name, value in found.items() if name not in first}
    if not kinship.enough():
        blank = dict.fromkeys(("estimate", "low", "high"))
        found |= {name: {**found[name], **blank} for name in (*first, "effective_in_use")}
        found |= {"without": [], "added": []}
        rest = {name: found[name] for name in rest}
    return dict(_clean({**{name: found[name] for name in first}, **rest, "clones": _clones(kinship)}))


def families_document(kinship: Kinship) -> dict[str, Any]:
    """What `families.json` holds."""
    return dict(_clean(kinship.families.model_dump(mode="json")))


def relatives_document(kinship: Kinship) -> list[dict[str, Any]]:
    """What `relatives.json` holds: for each model its nearest relatives, nearest first."""
    a, b = kinship.ends()
    relations = kinship.relations
    evidence = {frozenset((one.a, one.b)): _phrases(one) for one in kinship.evidence}
    found = []
    for model, pairs in enumerate(kinship.relatives(FEWEST_RELATIVES, MOST_RELATIVES)):
        relatives = [
            {
                "model": kinship.models[int(a[pair] + b[pair] - model)],
                "residual": {
                    "estimate": float(relations.estimate[pair]),
                    "low": float(relations.low[pair]),
                    "high": float(relations.high[pair]),
                    "n": int(relations.prompts[pair]),
                },
                "p": float(relations.p[pair]),
                "p_corrected": float(relations.p_corrected[pair]),
                "verdict": relations.verdict[pair],
                "evidence": evidence.get(frozenset((kinship.models[int(a[pair])], kinship.models[int(b[pair])])), []),
            }
            for pair in pairs
        ]
        found.append({"model": kinship.models[model], "relatives": relatives})
    return list(_clean(found))


def reference_document(kinship: Kinship) -> dict[str, Any]:
    """What the reference models showed; empty without them."""
    use = kinship.reference
    if use is None:
        return {}
    nearest: list[dict[str, Any]] = [{"model": name, "relatives": []} for name in kinship.models]
    for one in use.nearest:
        nearest[one.model]["relatives"].append(
            {
                "model": one.name,
                "residual": {"estimate": one.estimate, "low": one.low, "high": one.high, "n": one.prompts},
                "p_corrected": one.p_corrected,
                "verdict": one.verdict,
                "clone": one.clone,
            }
        )
    return dict(_clean({"models": use.models, "left_out": list(use.left_out), "nearest": nearest}))


def document(kinship: Kinship) -> str:
    """Everything but the pairs as one JSON document."""
    whole = {
        "models": len(kinship.models),
        "prompts": kinship.prompts,
        "verdicts": {
            verdict: kinship.relations.verdict.count(verdict)
            for verdict in ("supported", "not supported", "inconclusive")
        },
        "population": population_document(kinship),
        "families": families_document(kinship),
        "relatives": relatives_document(kinship),
        **({} if kinship.reference is None else {"reference": reference_document(kinship)}),
        "tree": encodable(kinship.tree.newick()).strip(),
        "notes": [encodable(note) for note in kinship.notes],
        "seed": kinship.seed,
    }
    return _json(whole)


def view_of(kinship: Kinship) -> PopulationView:
    """What the figures show."""
    n = len(kinship.models)
    a, b = kinship.ends()
    relations = kinship.relations
    residual, supported, clones = np.full((n, n), np.nan), np.zeros((n, n), dtype=bool), np.zeros((n, n), dtype=bool)
    same = kinship.same()
    clones[a, b] = clones[b, a] = same
    residual[a, b] = residual[b, a] = relations.estimate
    supported[a, b] = supported[b, a] = np.asarray(relations.verdict) == "supported"
    place = {name: at for at, name in enumerate(kinship.models)}
    relatives = [
        [
            Relative(
                model=int(a[pair] + b[pair] - model),
                estimate=float(relations.estimate[pair]),
                low=_or_none(relations.low[pair]),
                high=_or_none(relations.high[pair]),
                p_corrected=_or_none(relations.p_corrected[pair]),
                verdict=relations.verdict[pair],
                clone=bool(same[pair]),
            )
            for pair in pairs
        ]
        for model, pairs in enumerate(kinship.relatives(RELATIVES, RELATIVES))
    ]
    return PopulationView(
        names=kinship.models,
        residual=residual,
        supported=supported,
        order=[place[name] for name in kinship.families.order],
        families=[
            (family_name(family.members), [place[name] for name in family.members])
            for family in kinship.families.families
        ],
        tree=_branches(kinship),
        relatives=relatives,
        unrelated=unrelated_range(kinship),
        prompts=kinship.prompts,
        clones=clones,
        intervals=kinship.intervals,
    )


def unrelated_range(kinship: Kinship) -> tuple[float, float] | None:
    """The middle 95 % of the similarities of all pairs without a supported relation; None for fewer than 20."""
    relations = kinship.relations
    known = np.isfinite(relations.estimate) & (np.asarray(relations.verdict) != "supported")
    if known.sum() < 20:
        return None
    low, high = np.quantile(relations.estimate[known], [0.025, 0.975])
    return float(low), float(high)


def all_figures(view: PopulationView) -> list[Figure]:
    """The figures that are drawn as files.

    Raises:
        ImportError: altair is not installed.
    """
    from hydrometer.report.kinship_map import neighbour_chart
    from hydrometer.report.kinship_tree import tree_chart

    figures = [similarity_map(view), tree_chart(view), neighbour_chart(view), nearest_chart(view)]
    if len(view.names) <= OWN_CHARTS:
        figures += [relatives_chart(view, model) for model in range(len(view.names))]
    return figures


def write_kinship(out: Path, kinship: Kinship, formats: Sequence[str]) -> list[str]:
    """Write `pairs.parquet`, the documents, `tree.nwk`, `kinship.txt`, `kinship.html` and `figures/`.

    The table of pairs is written first; each file replaces an older one at once or not at all.

    Args:
        out: the folder; made if it is not there.
        kinship: the result.
        formats: of the static figures.

    Returns:
        A line for each thing that could not be made.

    Raises:
        InputError: the folder cannot be written.
    """
    from hydrometer.report.kinship_page import render_kinship

    buffer = io.BytesIO()
    pairs_table(kinship).write_parquet(buffer)
    write_bytes(out / "pairs.parquet", buffer.getvalue())
    drawn = can_draw()
    view = view_of(kinship)
    figures = all_figures(view) if drawn else []
    files = {
        "families.json": _json(families_document(kinship)),
        "tree.nwk": encodable(kinship.tree.newick()),
        "population.json": _json(population_document(kinship)),
        "relatives.json": _json(relatives_document(kinship)),
        "kinship.txt": kinship_text.summary(kinship),
        "kinship.html": render_kinship(kinship, view, figures[:3], files=bool(formats)),
    }
    for name, text in files.items():
        write_bytes(out / name, text.encode())
    _remove_figures(out / "figures")
    for figure in figures:
        for form in formats:
            write_bytes(out / "figures" / f"{figure.name}.{form}", draw(figure, form))
    return [] if drawn else [f"No figures were made: they need {INSTALL}"]


def _remove_figures(folder: Path) -> None:
    """Remove what an earlier run drew, and nothing else.

    Raises:
        InputError: a file cannot be removed.
    """
    if not folder.is_dir():
        return
    try:
        for path in sorted(folder.iterdir()):
            if _DRAWN.fullmatch(path.name) and path.is_file():
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise InputError(f"{folder}: an earlier figure cannot be removed: {error.strerror}", "Remove it.") from error


def _branches(kinship: Kinship) -> list[Branch]:
    """The tree's branches, parents before children."""
    tree, children = kinship.tree, kinship.tree.children()
    at: dict[int, int] = {-1: -1}
    found: list[Branch] = []
    todo = [tree.root()]
    while todo:
        node = todo.pop()
        at[node] = len(found)
        leaf = node < len(tree.models)
        found.append(
            Branch(
                parent=at[int(tree.parent[node])],
                length=float(tree.length[node]),
                support=None if leaf else _or_none(tree.support[node]),
                model=node if leaf else None,
            )
        )
        todo += reversed(children[node])
    return found


def _phrases(evidence: Evidence) -> list[dict[str, Any]]:
    """Prompts and rare phrases behind a relation, without the answers."""
    return [
        {
            "prompt": shared.prompt,
            "contribution": shared.contribution,
            "phrases": [{"text": one.text, "others": one.others, "of": one.of} for one in shared.phrases],
        }
        for shared in evidence.prompts
    ]


def _clones(kinship: Kinship) -> list[list[str]]:
    return [[kinship.models[model] for model in group] for group in kinship.clones]


def _or_none(value: float | Array) -> float | None:
    return None if np.isnan(value) else float(value)


def _clean(value: Any) -> Any:
    """The document without NaN, lone surrogates, which no file can hold, and the fields that only rates have."""
    if isinstance(value, dict):
        rates = ("count", "raw") if "estimate" in value else ()
        return {name: _clean(part) for name, part in value.items() if name not in rates}
    if isinstance(value, list | tuple):
        return [_clean(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return encodable(value) if isinstance(value, str) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
