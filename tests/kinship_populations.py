"""Synthetic populations for the tests of families, trees and effective numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hydrometer.kinship.pairs import PairBlocks
from hydrometer.kinship.relations import Relations
from hydrometer.stats import Array


def planted(sizes: Sequence[int], tie: float) -> Array:
    """True similarity of families of these sizes: `tie` within one, 0 between; shape (n, n)."""
    family = np.repeat(np.arange(len(sizes)), sizes)
    similarity = np.where(family[:, None] == family, tie, 0.0)
    np.fill_diagonal(similarity, 1.0)
    return similarity


def blocks_of(
    similarity: Array,
    *,
    noise: float = 0.0,
    blocks: int = 40,
    prompts: int = 5,
    seed: int = 0,
    clones: tuple[tuple[int, ...], ...] = (),
    resampled: Array | None = None,
) -> PairBlocks:
    """Pairs of models of this similarity, seen on blocks of prompts with normal noise of this size a prompt."""
    n = len(similarity)
    true = similarity[np.triu_indices(n, 1)]
    rng = np.random.default_rng(seed)
    residual = prompts * true + noise * np.sqrt(prompts) * rng.normal(size=(blocks, len(true)))
    return PairBlocks(
        models=tuple(f"model {index}" for index in range(n)),
        residual=residual.astype(np.float32),
        common=np.full((blocks, len(true)), prompts, dtype=np.float32),
        raw=np.zeros(len(true)),
        resampled=np.full(n, np.nan) if resampled is None else resampled,
        clones=clones,
    )


def relations_of(pairs: PairBlocks, above: float) -> Relations:
    """Relations that are supported, beyond doubt, where the mean similarity is above a limit."""
    estimate = pairs.residual.sum(axis=0, dtype=np.float64) / pairs.common.sum(axis=0, dtype=np.float64)
    supported = estimate > above
    unknown = np.full(len(estimate), np.nan)
    p = np.where(supported, 1e-12, 0.9)
    verdict = tuple("supported" if one else "not supported" for one in supported)
    prompts = pairs.common.sum(axis=0).astype(np.int64)
    return Relations(pairs.models, estimate, unknown, unknown, p, p, verdict, prompts)
