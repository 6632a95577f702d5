"""The effective number of models and the families, where the truth is known and on recorded answers.

Usage: `python benchmarks/effective_models.py RESPONSES FAMILIES`, where RESPONSES is a Parquet file of recorded
answers (`model, prompt_id, response`) and FAMILIES a JSON object of family names and their models.

1. Independent synthetic models: each word of an answer is a choice among synonyms, and every model has preferences of
   its own. The number measured should be the number made.
2. Clones: exact copies of a model are added to the recorded answers, and fresh samples of one to synthetic ones. The
   number should stay as it is.
3. Coverage: populations are drawn with known ties and normal noise; the share of 95 % intervals that hold the truth.
4. Recorded answers: the number, and how the families found compare with the known ones (adjusted Rand index, Hubert
   and Arabie 1985).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from hydrometer.kinship.effective import most_even, population
from hydrometer.kinship.families import Families, families
from hydrometer.kinship.pairs import PairBlocks, residual_pairs
from hydrometer.kinship.relations import Relations, relate
from hydrometer.kinship.resampling import square
from hydrometer.kinship.tree import tree
from hydrometer.response_table import read_table
from hydrometer.stats import Array

PROMPTS = 150
SLOTS, SYNONYMS, WORDS = 400, 8, 60
REPEATS = 100


def answers(preferences: dict[str, Array], samples: int, seed: int) -> pl.DataFrame:
    """Answers of synthetic models; preferences per model are probabilities of synonyms, shape (SLOTS, SYNONYMS)."""
    rng = np.random.default_rng(seed)
    rows = []
    asked = [rng.choice(SLOTS, size=WORDS, replace=False) for _ in range(PROMPTS)]
    for model, liked in preferences.items():
        steps = liked.cumsum(axis=1)
        for prompt, slots in enumerate(asked):
            for sample in range(samples):
                chosen = (rng.random(WORDS)[:, None] > steps[slots]).sum(axis=1)
                words = " ".join(f"w{slot}x{choice}" for slot, choice in zip(slots, chosen, strict=True))
                rows.append((model, prompt, sample, words))
    return pl.DataFrame(rows, schema=["model", "prompt_id", "sample", "response"], orient="row")


def independent(n: int, seed: int) -> dict[str, Array]:
    """Preferences of n unrelated models."""
    rng = np.random.default_rng(seed)
    return {f"model {index}": rng.dirichlet(np.full(SYNONYMS, 0.5), size=SLOTS) for index in range(n)}


def measured(frame: pl.DataFrame) -> tuple[PairBlocks, Relations]:
    """Pairs and relations of a table of answers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "responses.parquet"
        frame.write_parquet(path)
        pairs = residual_pairs(read_table([path]))
        return pairs, relate(pairs)


def number(frame: pl.DataFrame) -> str:
    """The effective number with its interval."""
    found = population(*measured(frame)).effective_models
    return f"{found.estimate:7.2f}  [{found.low:.2f}, {found.high:.2f}]"


def show_independent() -> None:
    print("1. independent synthetic models\n   made   measured")
    for n in (5, 10, 20, 50, 100, 200):
        print(f"   {n:4d} {number(answers(independent(n, n), 1, n))}", flush=True)


def show_clones(recorded: pl.DataFrame) -> None:
    models = recorded["model"].unique(maintain_order=True).to_list()
    kept = recorded.filter(pl.col("prompt_id") % 3 == 0)
    print(f"2. clones added to {len(models)} recorded models\n   none              {number(kept)}", flush=True)
    for chosen in (models[0], models[len(models) // 2]):
        for copies in (1, 5, 20):
            more = [
                kept.filter(pl.col("model") == chosen).with_columns(model=pl.lit(f"copy {i}")) for i in range(copies)
            ]
            print(f"   {copies:2d} of {chosen[:12]:12s} {number(pl.concat([kept, *more]))}", flush=True)
    print("   fresh samples of one model added to 20 synthetic ones, two samples of each recorded")
    base = independent(20, 1)
    for copies in (0, 1, 5, 20):
        added = {f"again {index}": base["model 3"] for index in range(copies)}
        print(f"   {copies:2d}                {number(answers(base | added, 2, 1))}", flush=True)


def drawn(sizes: Sequence[int], ties: tuple[float, float], prompts: int, seed: int) -> tuple[PairBlocks, float, float]:
    """Pairs of planted families with normal noise, their true effective number and their true monoculture."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(len(sizes)), sizes)
    n = len(family)
    a, b = np.triu_indices(n, 1)
    true = np.where(family[a] == family[b], rng.uniform(*ties, size=len(a)), 0.0)
    residual = prompts / 100 * true + 0.25 * np.sqrt(prompts / 100) * rng.normal(size=(100, len(a)))
    common = np.full(residual.shape, prompts / 100, dtype=np.float32)
    names = tuple(f"model {index}" for index in range(n))
    pairs = PairBlocks(names, residual.astype(np.float32), common, true, np.full(n, np.nan), ())
    related = square(true, n, 1.0)
    shares = most_even(related)
    return pairs, 1 / float(shares @ related @ shares), float(true.mean())


def show_coverage() -> None:
    print(f"3. coverage of the 95 % intervals, {REPEATS} populations each; ties of the families at random in a range")
    print("   families                ties        prompts  number  bias   width  covers  monoculture covers")
    for label, sizes in (
        ("none of 30", [1] * 30),
        ("3 x 2", [2] * 3),
        ("10, 10 and 10 x 1", [10, 10] + [1] * 10),
        ("10 x 3", [3] * 10),
        ("8, 8 and 60 x 1", [8, 8] + [1] * 60),
    ):
        for ties, prompts in (((0.05, 0.2), 100), ((0.05, 0.2), 800), ((0.2, 0.5), 100), ((0.2, 0.5), 800)):
            rows = []
            for seed in range(REPEATS):
                pairs, true, mono = drawn(sizes, ties, prompts, seed)
                found = population(pairs, relate(pairs), resamples=400, seed=seed)
                number_, chance = found.effective_models, found.monoculture
                low, high, estimate = number_.low or 0.0, number_.high or 0.0, number_.estimate or 0.0
                inside = low - 1e-6 <= true <= high + 1e-6
                chance_inside = (chance.low or 0.0) - 1e-9 <= mono <= (chance.high or 0.0) + 1e-9
                rows.append((true, estimate - true, high - low, inside, chance_inside))
            mean = np.mean(rows, axis=0)
            print(
                f"   {label:22s} {ties[0]:.2f}-{ties[1]:.2f} {prompts:8d} {mean[0]:9.2f} {mean[1]:+6.2f} {mean[2]:6.2f}"
                f" {mean[3]:7.2f} {mean[4]:12.2f}",
                flush=True,
            )


def adjusted_rand(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement of two partitions, 0 by chance and 1 where they are the same."""

    def together(counts: Counter[str] | Counter[tuple[str, str]]) -> float:
        return sum(count * (count - 1) / 2 for count in counts.values())

    both = together(Counter(zip(first, second, strict=True)))
    one, other = together(Counter(first)), together(Counter(second))
    chance = one * other / (len(first) * (len(first) - 1) / 2)
    return (both - chance) / ((one + other) / 2 - chance)


def show_recorded(path: Path, known: dict[str, list[str]]) -> None:
    pairs = residual_pairs(read_table([path]))
    relations = relate(pairs)
    clocks = [time.process_time()]
    found = families(pairs, relations)
    clocks.append(time.process_time())
    drawn_tree = tree(pairs)
    clocks.append(time.process_time())
    fleet = population(pairs, relations)
    clocks.append(time.process_time())
    taken = [
        f"{name} {after - before:.1f} s"
        for name, before, after in zip(("families", "tree", "population"), clocks, clocks[1:], strict=False)
    ]
    print(f"4. {len(pairs.models)} recorded models ({', '.join(taken)} of processor time)")
    for name, one, digits in (
        ("effective models", fleet.effective_models, 1),
        ("effective as used", fleet.effective_in_use, 1),
        ("monoculture", fleet.monoculture, 4),
    ):
        print(f"   {name:18s} {one.estimate:.{digits}f}  [{one.low:.{digits}f}, {one.high:.{digits}f}]")
    support = drawn_tree.support[np.isfinite(drawn_tree.support)]
    print(f"   tree: {len(support)} inner branches, {(support >= 0.7).sum()} with support of 70 % or more")
    show_families(found, known)


def show_families(found: Families, known: dict[str, list[str]]) -> None:
    label = {model: name for name, members in known.items() for model in members}
    place = {model: str(index) for index, family in enumerate(found.families) for model in family.members}
    labelled = [model for model in found.order if model in label]
    for name, models in (("models of known family", labelled), ("all, the others as their own", list(found.order))):
        rand = adjusted_rand([label.get(one, one) for one in models], [place.get(one, one) for one in models])
        print(f"   adjusted Rand index, {name}: {rand:.3f}")
    print(f"   {len(found.families)} families and {len(found.singletons)} models alone")
    for family in found.families:
        parts = Counter(label.get(model, f"({model})") for model in family.members)
        shown = ", ".join(f"{name} {count}" if name in known else name for name, count in parts.most_common())
        print(f"   support {family.support:4.2f}  tie {family.tie.estimate:.3f}  {len(family.members):3d}: {shown}")
    for name, members in known.items():
        pieces = Counter(place.get(model, "alone") for model in members if model in found.order)
        if len(pieces) > 1 or "alone" in pieces:
            whole = ", ".join(
                f"{count} {'alone' if key == 'alone' else 'together'}" for key, count in pieces.most_common()
            )
            print(f"   split: {name} into {whole}")


def main(responses: Path, known: Path) -> None:
    """Print all four parts."""
    show_recorded(responses, json.loads(known.read_text(encoding="utf-8")))
    show_coverage()
    show_independent()
    show_clones(pl.read_parquet(responses))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
