"""Families that are much of a population are taken out of what everybody says."""

from __future__ import annotations

import numpy as np
from kinship_populations import blocks_of, planted

from hydrometer.kinship.recentre import recentred
from hydrometer.kinship.relations import relate
from hydrometer.kinship.resampling import mean_similarity


def centred(similarity: np.ndarray) -> np.ndarray:
    """As residual similarity is: the mean of all other models taken off, twice."""
    n = len(similarity)
    off = similarity - np.diag(np.diag(similarity))
    level = off.sum(axis=1) / (n - 2)
    level -= level.sum() / (2 * (n - 1))
    return np.asarray(similarity - level[:, None] - level[None, :])


def test_a_large_family_gets_back_some_of_what_the_mean_took_from_it() -> None:
    pairs = blocks_of(centred(planted([6, *[1] * 22], 0.3)), noise=0.1)
    first, second = np.triu_indices(28, 1)
    family = (first < 6) & (second < 6)
    before, after = mean_similarity(pairs), mean_similarity(recentred(pairs))
    assert before[family].mean() + 0.03 < after[family].mean() < 0.32
    assert np.abs(after[~family]).mean() < np.abs(before[~family]).mean()
    verdict = np.array(relate(recentred(pairs)).verdict)
    assert (verdict[family] == "supported").all()
    assert not (verdict[~family] == "supported").any()


def test_small_families_move_nothing() -> None:
    pairs = blocks_of(planted([3, *[1] * 27], 0.4), noise=0.1)
    assert recentred(pairs) is pairs


def test_clones_of_one_model_are_no_large_family() -> None:
    alone = planted([3, *[1] * 17], 0.4)
    of = np.array([*range(20), *[7] * 10])
    pairs = blocks_of(alone[np.ix_(of, of)], noise=0.1, clones=((7, *range(20, 30)),))
    assert recentred(pairs) is pairs
