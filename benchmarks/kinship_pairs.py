"""Residual similarity against a plain script: known families found, unrelated pairs left alone, time and memory.

    python benchmarks/kinship_pairs.py FOLDER [--plain] [--curve]
    python benchmarks/kinship_pairs.py --synthetic-models 1000 [--prompts 40] [--device cuda]

FOLDER holds `responses.parquet` and `families.json` (name -> models). Positives: pairs within a family; negatives: all
other pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import tempfile
import time
import tomllib
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does

import numpy as np
import polars as pl
from kinship_plain import plain_similarity
from kinship_synthetic import answers, write

from hydrometer.kinship.pairs import PairBlocks, residual_pairs
from hydrometer.kinship.relations import relate
from hydrometer.kinship.resampling import square
from hydrometer.response_table import ResponseTable, read_table

CURVE = (5, 10, 25, 50, 100, 400, 805)


def family_of(table: ResponseTable, folder: Path) -> np.ndarray:
    families = json.loads((folder / "families.json").read_text())
    member = {model: name for name, models in families.items() for model in models}
    return np.array([member.get(model, "") for model in table.models])


def scores(values: np.ndarray, family: np.ndarray) -> tuple[float, float, float]:
    """AUC, true positives at 1 % false positives, nearest neighbour in the family."""
    n = len(family)
    upper = np.triu_indices(n, 1)
    positive = (family[upper[0]] == family[upper[1]]) & (family[upper[0]] != "")
    values = np.nan_to_num(values, nan=-1.0)
    ordered = np.sort(values[~positive])
    below = np.searchsorted(ordered, values[positive], "left") + np.searchsorted(ordered, values[positive], "right")
    auc = float((below / 2 / len(ordered)).mean())
    limit = ordered[len(ordered) - 1 - int(0.01 * len(ordered))]
    nearest = square(values, n, -np.inf).argmax(axis=1)
    has = np.array([name != "" and (family == name).sum() > 1 for name in family])
    return auc, float((values[positive] > limit).mean()), float((family[nearest] == family)[has].mean())


def show(name: str, found: tuple[float, float, float]) -> None:
    print(
        f"{name:34} AUC {found[0]:.4f}   TPR at 1 % FPR {found[1]:.3f}   nearest in family {found[2]:.3f}", flush=True
    )


def verdicts(table: ResponseTable, pairs: PairBlocks, family: np.ndarray) -> None:
    rules = tomllib.loads(Path(__file__).with_name("kinship_makers.toml").read_text())["makers"]
    maker = np.array([next((who for rule, who in rules if re.search(rule, name)), name) for name in table.models])
    a, b = np.triu_indices(len(family), 1)
    within = (family[a] == family[b]) & (family[a] != "")
    strangers = ~within & (maker[a] != maker[b])
    verdict = np.array(relate(pairs).verdict)
    for name, mask in (("in one family", within), ("different makers, no family", strangers)):
        shares = {
            word: f"{(verdict[mask] == word).mean():.4f}" for word in ("supported", "inconclusive", "not supported")
        }
        print(f"{name:28} {int(mask.sum()):5} pairs: {shares}")


def curve(folder: Path, family: np.ndarray) -> None:
    frame = pl.read_parquet(folder / "responses.parquet")
    prompts = frame["prompt_id"].unique().sort()
    with tempfile.TemporaryDirectory() as place:
        for count in CURVE:
            rounds = []
            for seed in range(5 if count < 100 else 1):
                drawn = prompts.sample(min(count, len(prompts)), seed=seed)
                part = frame.join(drawn.to_frame(), on="prompt_id", how="semi", maintain_order="left")
                table = read_table([write(Path(place), part)])
                rounds.append(scores(relate(residual_pairs(table), intervals=False).estimate, family))
            mean = np.mean(rounds, axis=0)
            show(f"{count} prompts", (float(mean[0]), float(mean[1]), float(mean[2])))


def timed(path: Path, device: str) -> tuple[ResponseTable, PairBlocks, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    table = read_table([path])
    pairs = residual_pairs(table, device=device)
    plain = time.perf_counter() - wall
    relate(pairs, intervals=False)
    relations, used = time.perf_counter() - wall, time.process_time() - cpu
    begun = time.perf_counter()
    relate(pairs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{device}: {len(table.models)} models x {len(table.prompts)} prompts: pairs {plain:.1f} s, with relations "
        f"{relations:.1f} s (CPU {used:.1f} s), intervals {time.perf_counter() - begun:.1f} s more, peak {peak:.2f} GB",
        flush=True,
    )
    return table, pairs, plain


def synthetic(models: int, prompts: int, device: str) -> None:
    distinct = min(prompts, 200)
    frame = answers(models, distinct, 160, 0, parents={1: 0})
    copies = [
        frame.with_columns(prompt_id=pl.col("prompt_id") + f"-{number}") for number in range(-(-prompts // distinct))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), pl.concat(copies))
        _, pairs, seconds = timed(path, "cpu")
        if device != "cpu":
            timed(path, device)
            _, again, other = timed(path, device)
            gap = float(np.abs(pairs.residual - again.residual).max())
            print(f"CPU / {device}: {seconds / other:.2f} times as long; greatest difference in a block {gap:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--plain", action="store_true", help="run the plain script beside it")
    parser.add_argument("--curve", action="store_true", help="over numbers of prompts")
    parser.add_argument("--synthetic-models", type=int)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if given.synthetic_models:
        synthetic(given.synthetic_models, given.prompts, given.device)
    if given.folder is None:
        return
    table, pairs, _ = timed(given.folder / "responses.parquet", given.device)
    family = family_of(table, given.folder)
    show("residual similarity", scores(relate(pairs, intervals=False).estimate, family))
    show("raw cosine of the same features", scores(pairs.raw, family))
    verdicts(table, pairs, family)
    if given.plain:
        begun = time.perf_counter()
        raw, residual = plain_similarity(pl.read_parquet(given.folder / "responses.parquet"), table.models)
        upper = np.triu_indices(len(family), 1)
        print(f"plain script: {time.perf_counter() - begun:.1f} s")
        show("plain script, double-centred", scores(residual[upper], family))
        show("plain script, raw cosine", scores(raw[upper], family))
    if given.curve:
        curve(given.folder, family)


if __name__ == "__main__":
    main()
