"""Shared mistakes against CAPA: does the residual tell families apart, and is it right about what was planted?

    python benchmarks/mistakes.py PREDICTIONS.parquet [--families FILE.toml] [--repetitions 20]

First, the AUC of pairs of one family against pairs of different makers, with an interval from resampling models
(families are few, and pairs that share a model are not independent). Then simulated populations, in which models of
different ability choose by difficulty, by the pull of distractors (which changes with ability) and by position, and a
few repeat a share of another's choices: how often the planted pairs are found, how often others are supported, and how
often intervals hold the mean estimate over all repetitions.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from pathlib import Path

import numpy as np

from hydrometer.kinship.capa import capa
from hydrometer.kinship.mistakes import SharedMistakes, mistake_pairs, shared_mistakes
from hydrometer.kinship.predictions import Predictions, read_predictions
from hydrometer.kinship.relations import relate
from hydrometer.stats import Array

RESAMPLES = 2000
CAPA = "CAPA (Goel et al. 2025)"
PLANTED = ((0, 1), (2, 3))
SHARE = 0.1
OPTIONS = 10


def auc(scores: Array, related: Array, weight: Array) -> float:
    """Weighted chance that a related pair scores above an unrelated one; ties count half."""
    order = np.argsort(scores, kind="stable")
    scores, positive, negative = scores[order], (weight * related)[order], (weight * (1 - related))[order]
    below = np.concatenate([[0.0], np.cumsum(negative)])
    first, last = np.searchsorted(scores, scores, "left"), np.searchsorted(scores, scores, "right")
    total = positive.sum() * negative.sum()
    return float((positive * (below[first] + below[last]) / 2).sum() / total) if total else np.nan


def double_centred(values: Array, n: int) -> Array:
    """Values of all pairs less the mean of each of the two models, plus the mean of all."""
    upper = np.triu_indices(n, 1)
    square = np.zeros((n, n))
    square[upper] = square.T[upper] = values
    rows = square.sum(axis=1) / (n - 1)
    return np.asarray(values - rows[upper[0]] - rows[upper[1]] + values.mean())


def compare(found: SharedMistakes, families: Path) -> None:
    names = found.predictions.models
    entries = tomllib.loads(families.read_text(encoding="utf-8"))["family"]
    family = {name: entry["id"] for entry in entries for name in entry["models"]}
    maker = {name: entry["maker"] for entry in entries for name in entry["models"]}
    known = np.array([name in family for name in names])
    first, second = np.triu_indices(len(names), 1)
    related = np.array([family.get(names[i]) == family.get(names[j]) for i, j in zip(first, second, strict=True)])
    strangers = np.array([maker.get(names[i]) != maker.get(names[j]) for i, j in zip(first, second, strict=True)])
    n = len(names)
    measures = {
        "residual (ours)": found.relations.estimate,
        CAPA: found.capa.estimate,
        "CAPA, double-centred": double_centred(found.capa.estimate, n),
        "same when both wrong": found.agreement.same_when_both_wrong,
        "same when both wrong, double-centred": double_centred(found.agreement.same_when_both_wrong, n),
    }
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    supported = np.array(found.relations.verdict) == "supported"
    for words, others in (("other families", ~related), ("other makers", strangers)):
        used = known[first] & known[second] & (related | others)
        weights = (draws[:, first] * draws[:, second])[:, used].astype(np.float64)
        one, other = int(related[used].sum()), int((~related)[used].sum())
        print(f"{one} pairs of one family against {other} of {words}")
        print(f"{'':38s}   AUC  95 % interval   less CAPA  95 % interval")
        target = related[used].astype(np.float64)
        points = {name: auc(values[used], target, np.ones(len(target))) for name, values in measures.items()}
        resampled = {
            name: np.array([auc(values[used], target, weight) for weight in weights])
            for name, values in measures.items()
        }
        for name, around in resampled.items():
            low, high = np.nanquantile(around, [0.025, 0.975])
            less_low, less_high = np.nanquantile(around - resampled[CAPA], [0.025, 0.975])
            print(
                f"{name:38s} {points[name]:.3f}  {low:.3f} to {high:.3f}  {points[name] - points[CAPA]:+9.3f}  "
                f"{less_low:+.3f} to {less_high:+.3f}"
            )
        print(
            f"supported: {int(supported[used & related].sum())} of {one} of one family, "
            f"{int(supported[used & ~related].sum())} of {other} of {words}\n"
        )


def population(n: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Abilities, how strongly each model is drawn to distractors, and its habits of position."""
    return rng.uniform(-1.3, 1.3, n), np.exp(rng.normal(0, 0.2, n)), rng.normal(0, 0.3, (n, OPTIONS))


def choose(models: tuple[Array, Array, Array], items: int, rng: np.random.Generator) -> Predictions:
    """Choices on fresh items, with 3 % missing and the planted copies."""
    ability, pull, position = models
    options = rng.choice(np.array([4, 5, 8, 9, 10]), items, p=[0.1, 0.05, 0.05, 0.1, 0.7]).astype(np.int8)
    correct = (rng.random(items) * options).astype(np.int8)
    attraction, change = rng.normal(0, 1, (items, OPTIONS)), rng.normal(0, 0.5, (items, OPTIONS))
    difficulty = rng.normal(0, 1.5, items)
    right = np.arange(OPTIONS) == correct[:, None]
    offered = np.arange(OPTIONS) < options[:, None]
    chosen = np.empty((len(ability), items), dtype=np.int8)
    for model in range(len(ability)):
        drawn = pull[model] * (attraction + ability[model] * change)
        knows = (1.2 * ability[model] - difficulty + 2.4)[:, None]
        utility = np.where(right, knows, drawn) + position[model] + rng.gumbel(size=right.shape)
        chosen[model] = np.where(offered, utility, -np.inf).argmax(axis=1)
    for source, copy in PLANTED:
        same = rng.random(items) < SHARE
        chosen[copy, same] = chosen[source, same]
    chosen[rng.random(chosen.shape) < 0.03] = -1
    names = tuple(f"model {number}" for number in range(len(ability)))
    return Predictions(
        names,
        tuple(map(str, range(items))),
        chosen,
        correct,
        options,
        (chosen < 0).sum(axis=1),
        np.zeros(len(names), dtype=np.int64),
        None,
        (),
    )


def simulate(n: int, items: int, repetitions: int) -> None:
    rng = np.random.default_rng(7)
    models = population(n, rng)
    estimates, reaches, supported, capas, capa_reaches, seconds = [], [], [], [], [], []
    for number in range(repetitions):
        predictions = choose(models, items, rng)
        start = time.perf_counter()
        relations = relate(mistake_pairs(predictions, seed=number))
        seconds.append(time.perf_counter() - start)
        plain = capa(predictions, seed=number)
        estimates.append(relations.estimate)
        reaches.append((relations.low, relations.high))
        supported.append(np.array(relations.verdict) == "supported")
        capas.append(plain.estimate)
        capa_reaches.append((plain.low, plain.high))
    first, second = (side.tolist() for side in np.triu_indices(n, 1))
    planted = np.array([pair in PLANTED for pair in zip(first, second, strict=True)])
    held, capa_held = (
        np.mean([(low <= truth) & (truth <= high) for low, high in reach])
        for truth, reach in ((np.mean(estimates, axis=0), reaches), (np.mean(capas, axis=0), capa_reaches))
    )
    hits = np.array(supported)
    coverage = f"{held:9.3f} {capa_held:9.3f}" if repetitions > 1 else f"{'-':>9} {'-':>9}"
    print(
        f"{n:6d} {items:6d} {hits[:, planted].mean():8.3f} {hits[:, ~planted].mean():8.4f} {coverage} "
        f"{np.median(seconds):8.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("predictions", type=Path, nargs="?")
    parser.add_argument("--families", type=Path, default=Path(__file__).with_name("mistakes_families.toml"))
    parser.add_argument("--repetitions", type=int, default=20)
    options = parser.parse_args()
    if options.predictions is not None:
        compare(shared_mistakes(read_predictions([options.predictions])), options.families)
    if options.repetitions:
        print("models  items    found    false  coverage  of CAPA  seconds")
        for n, items in ((14, 4000), (30, 1000), (30, 4000)):
            simulate(n, items, options.repetitions)
        simulate(100, 12_000, 1)


if __name__ == "__main__":
    main()
