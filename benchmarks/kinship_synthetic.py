"""Answers of synthetic models: words of a prompt's topic, a model's own turns, and copies of a parent's words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl


def vocabulary(size: int, rng: np.random.Generator) -> np.ndarray:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return np.array(["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(size)])


def answers(
    models: int, prompts: int, words: int, seed: int, *, parents: dict[int, int] | None = None, copied: float = 0.3
) -> pl.DataFrame:
    """Columns model, prompt_id, response.

    Args:
        models: how many.
        prompts: how many.
        words: mean words of an answer.
        seed: of everything.
        parents: child -> parent; a child takes a share `copied` of its words from its parent's answer, in place.
        copied: that share on average; it varies from prompt to prompt between none and twice as much.
    """
    rng = np.random.default_rng(seed)
    pool = vocabulary(20_000, rng)
    rows: list[tuple[str, str, str]] = []
    taste = rng.integers(0, 400, (models, 40))
    for prompt in range(prompts):
        topic = rng.integers(0, len(pool), 400)
        chosen: list[np.ndarray] = []
        for model in range(models):
            size = max(4, int(rng.normal(words, words / 5)))
            ranks = np.minimum(rng.zipf(1.4, size) - 1, 399)
            own = rng.random(size) < 0.2
            ranks = np.where(own, taste[model, rng.integers(0, 40, size)], ranks)
            if parents and model in parents:
                parent = chosen[parents[model]][:size]
                same = rng.random(len(parent)) < rng.uniform(0, 2 * copied)
                ranks[: len(parent)][same] = parent[same]
            chosen.append(ranks)
            rows.append((f"m{model}", f"p{prompt}", " ".join(pool[topic[ranks]])))
    return pl.DataFrame(rows, schema=["model", "prompt_id", "response"], orient="row")


def write(folder: Path, frame: pl.DataFrame) -> Path:
    path = folder / "responses.parquet"
    frame.write_parquet(path)
    return path
