"""Similarities of all pairs under resampling of prompts, and the square form of what is kept per pair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from hydrometer.stats import Array, Codes

if TYPE_CHECKING:
    from hydrometer.kinship.pairs import PairBlocks
    from hydrometer.kinship.relations import Relations

Single = NDArray[np.float32]
Keys = NDArray[np.uint64]
Kind = TypeVar("Kind", bound=np.generic)

_CHUNK_CELLS = 8_000_000


def mean_similarity(pairs: PairBlocks) -> Array:
    """Mean residual similarity of each pair over its common prompts; 0, as of unrelated models, without any.

    Returns:
        Shape (pairs,), in the order of `np.triu_indices(n, 1)`.
    """
    sums, counts = pairs.residual.sum(axis=0, dtype=np.float64), pairs.common.sum(axis=0, dtype=np.float64)
    return np.asarray(np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0))


def resampled_similarity(
    pairs: PairBlocks, resamples: int, seed: int, columns: Codes | None = None
) -> Iterator[Single]:
    """Mean residual similarities when the blocks of prompts are drawn with replacement, a chunk of resamples at a time.

    Args:
        pairs: similarities of all pairs by block.
        resamples: number of resamples.
        seed: of the random generator; the same seed draws the same blocks whatever pairs are asked for.
        columns: the pairs that are wanted; all by default.

    Yields:
        Shape (some resamples, columns); 0 where a resample has no prompt that both answered.
    """
    residual, common = (
        (pairs.residual, pairs.common) if columns is None else (pairs.residual[:, columns], pairs.common[:, columns])
    )
    if bool((common == common[:, :1]).all()):
        common = common[:, :1]
    blocks = len(residual)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples).astype(np.float32)
    step = max(1, _CHUNK_CELLS // max(1, residual.shape[1]))
    for start in range(0, resamples, step):
        weights = draws[start : start + step]
        sums, counts = weights @ residual, weights @ common
        yield np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def square(values: NDArray[Kind], n: int, diagonal: float) -> NDArray[Kind]:
    """Values of all unordered pairs as symmetric matrices.

    Args:
        values: shape (..., pairs), in the order of `np.triu_indices(n, 1)`.
        n: number of models.
        diagonal: what stands on the diagonal.

    Returns:
        Shape (..., n, n).
    """
    out = np.full((*values.shape[:-1], n, n), diagonal, dtype=values.dtype)
    a, b = np.triu_indices(n, 1)
    out[..., a, b] = values
    out[..., b, a] = values
    return out


def resamples_for(n: int, most: int, budget: float) -> int:
    """How many resamples to draw where one costs about n^3: at most `most`, at least 20, within `budget` operations."""
    return int(np.clip(budget / n**3, 20, most)) if n else most


def leaf_keys(n: int) -> Keys:
    """One random 64-bit key a model, always the same; that of a set is their exclusive or (Zobrist 1970)."""
    return np.random.default_rng(0).integers(0, 2**64, size=n, dtype=np.uint64)


def discoveries(relations: Relations, level: float = 0.05) -> NDArray[np.bool_]:
    """Relations that are supported, or stand where the rate of false discoveries is held below a level.

    Benjamini and Hochberg (1995). A verdict guards each single pair; where many pairs bear one finding together, a
    few false ones among them do not matter, and to miss most of the weak ones would.
    """
    known = np.sort(relations.p[np.isfinite(relations.p)])
    standing = known[known <= level * np.arange(1, len(known) + 1) / max(1, len(known))]
    found = np.nan_to_num(relations.p, nan=1.0) <= standing.max(initial=-1.0)
    return np.asarray(found | (np.asarray(relations.verdict) == "supported"))
