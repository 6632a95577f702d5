"""Tables and synthetic models for the tests of kinship's core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from hydrometer.response_table import ResponseTable, read_table


def table_of(rows: Sequence[tuple[str, str, str]], texts: dict[str, str] | None = None) -> ResponseTable:
    """A table of (model, prompt, answer)."""
    return table_of_frame(pl.DataFrame(rows, schema=["model", "prompt_id", "response"], orient="row"), texts)


def table_of_frame(frame: pl.DataFrame, texts: dict[str, str] | None = None) -> ResponseTable:
    if texts is not None:
        frame = frame.with_columns(prompt=pl.col("prompt_id").replace_strict(texts, default=None))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "responses.parquet"
        frame.write_parquet(path)
        return read_table([path])


def population(
    models: int, prompts: int, seed: int = 0, copies: dict[int, tuple[int, float]] | None = None
) -> list[tuple[str, str, str]]:
    """Answers of about 40 words; `copies`: child -> (parent, share of words taken over in place)."""
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        said: list[list[str]] = []
        for model in range(models):
            ranks = np.minimum(rng.zipf(1.5, int(rng.integers(30, 50))), 300)
            words = [f"t{prompt}x{rank}" if rank % 3 else f"common{rank}" for rank in ranks.tolist()]
            if copies and model in copies:
                parent, share = copies[model]
                for place, word in enumerate(said[parent][: len(words)]):
                    if rng.random() < share:
                        words[place] = word
            said.append(words)
            rows.append((f"m{model}", f"p{prompt}", " ".join(words)))
    return rows
