"""How often the 95 % interval of a residual similarity holds the true one, on synthetic answers.

    python benchmarks/kinship_coverage.py [--repetitions 400]

Twelve synthetic models, of which some copy a share of another's words that varies from prompt to prompt, and one that
on one prompt in twenty repeats another's answer whole (a heavy tail), answer 3,000 prompts. The residual similarity
over all of them is the truth; prompts are drawn from them with replacement, n at a time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from kinship_synthetic import answers, write

from hydrometer.kinship.clones import Clones
from hydrometer.kinship.cosines import sparse_gram
from hydrometer.kinship.pairs import MAX_BLOCKS, PairBlocks, each_prompt, similarities
from hydrometer.kinship.relations import null_of, relate
from hydrometer.response_table import read_table

MODELS, PROMPTS = 12, 3000


def population() -> np.ndarray:
    """Residual similarity of each pair on each prompt, shape (prompts, pairs)."""
    frame = answers(MODELS, PROMPTS, 40, 0, parents={3: 0, 4: 0, 7: 5}, copied=0.25)
    wide = frame.pivot(on="model", index="prompt_id", values="response", maintain_order=True)
    whole = np.random.default_rng(1).random(PROMPTS) < 0.05
    wide = wide.with_columns(m9=pl.when(pl.Series(whole)).then(pl.col("m8")).otherwise(pl.col("m9")))
    frame = wide.unpivot(index="prompt_id", variable_name="model", value_name="response")
    with tempfile.TemporaryDirectory() as folder:
        table = read_table([write(Path(folder), frame)])
        clones = Clones(np.arange(MODELS))
        upper = np.triu_indices(MODELS, 1)
        found = each_prompt(table, lambda one: similarities(one, clones, sparse_gram))
        return np.array([one.residual[upper] for one in found])


def blocks_of(residual: np.ndarray, seed: int) -> PairBlocks:
    blocks = min(len(residual), MAX_BLOCKS)
    dealt = np.random.default_rng(seed).permutation(len(residual)) % blocks
    sums = np.zeros((blocks, residual.shape[1]))
    np.add.at(sums, dealt, residual)
    counts = np.repeat(np.bincount(dealt, minlength=blocks)[:, None], residual.shape[1], axis=1)
    names = tuple(f"m{i}" for i in range(MODELS))
    nothing = np.full(MODELS, np.nan)
    return PairBlocks(names, sums.astype(np.float32), counts.astype(np.float32), residual.mean(axis=0), nothing, ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repetitions", type=int, default=400)
    repetitions = parser.parse_args().repetitions
    residual = population()
    truth = residual.mean(axis=0)
    upper = np.triu_indices(MODELS, 1)
    kinds = {"unrelated": np.zeros(len(truth), bool), "related": np.zeros(len(truth), bool)}
    related = {(0, 3), (0, 4), (5, 7)}
    every = list(zip(upper[0].tolist(), upper[1].tolist(), strict=True))
    for place, pair in enumerate(every):
        kinds["related" if pair in related else "unrelated"][place] = True
    heavy = np.array([pair == (8, 9) for pair in every])
    kinds["unrelated"] &= ~heavy
    kinds["heavy tail"] = heavy
    print("prompts  " + "  ".join(f"{kind:>10}" for kind in kinds) + "   all")
    for n in (20, 50, 100, 200, 400, 805):
        held = np.zeros(len(truth))
        for repetition in range(repetitions):
            drawn = np.random.default_rng([n, repetition]).integers(0, len(residual), n)
            pairs = blocks_of(residual[drawn], repetition)
            found = relate(pairs)
            mean = pairs.residual.sum(axis=0) / pairs.common.sum(axis=0)
            true = null_of(mean, np.arange(MODELS)).estimate(truth)
            held += (found.low <= true) & (true <= found.high)
        share = held / repetitions
        print(
            f"{n:7d}  " + "  ".join(f"{share[mask].mean():10.3f}" for mask in kinds.values()) + f"  {share.mean():.3f}"
        )


if __name__ == "__main__":
    main()
