"""Families: planted ones are found, the cut and the support mean what they say, the order of leaves is the best."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_populations import blocks_of, planted, relations_of

from hydrometer.kinship.families import Dendrogram, average_linkage, counting_joins, families, leaf_order
from hydrometer.kinship.resampling import mean_similarity, resampled_similarity, square
from hydrometer.stats import Array


def _random_similarity(n: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.asarray(square(rng.normal(size=n * (n - 1) // 2), n, 0.0))


def _linkage(similarity: Array) -> Dendrogram:
    matrix = similarity.astype(np.float32)
    np.fill_diagonal(matrix, -np.inf)
    return average_linkage(matrix[None])[0]


def _slow_heights(similarity: Array) -> list[float]:
    """Average linkage by its definition."""
    groups: list[tuple[int, ...]] = [(leaf,) for leaf in range(len(similarity))]
    heights = []
    while len(groups) > 1:
        between = {(a, b): float(similarity[np.ix_(a, b)].mean()) for a, b in itertools.combinations(groups, 2)}
        a, b = max(between, key=lambda pair: between[pair])
        heights.append(between[a, b])
        groups = [group for group in groups if group not in (a, b)] + [a + b]
    return heights


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 14), seed=st.integers(0, 10_000))
def test_average_linkage_joins_at_the_mean_similarities(n: int, seed: int) -> None:
    similarity = _random_similarity(n, seed)
    assert _linkage(similarity).height == pytest.approx(_slow_heights(similarity), abs=1e-5)


def test_dendrograms_side_by_side_are_those_of_each_alone() -> None:
    several = np.array([_random_similarity(9, seed) for seed in range(5)], dtype=np.float32)
    several[:, range(9), range(9)] = -np.inf
    alone = [average_linkage(one[None].copy())[0] for one in several]
    for one, other in zip(average_linkage(several), alone, strict=True):
        assert (one.children == other.children).all()
        assert (one.keys == other.keys).all()


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 7), seed=st.integers(0, 10_000))
def test_leaf_order_is_the_best_that_the_dendrogram_allows(n: int, seed: int) -> None:
    similarity = _random_similarity(n, seed)
    dendrogram = _linkage(similarity)
    orders: list[list[list[int]]] = [[[leaf]] for leaf in range(n)]
    for left, right in dendrogram.children:
        ways = [a + b for a in orders[left] for b in orders[right]]
        orders.append(ways + [b + a for a in orders[left] for b in orders[right]])

    def total(order: list[int]) -> float:
        return float(sum(similarity[a, b] for a, b in itertools.pairwise(order)))

    found = [int(leaf) for leaf in leaf_order(dendrogram, similarity)]
    assert found in orders[-1]
    assert total(found) == pytest.approx(max(total(order) for order in orders[-1]))


def test_planted_families_are_found_with_full_support_and_singletons_stay_alone() -> None:
    pairs = blocks_of(planted([5, 3, 2, 1, 1], 0.3), noise=0.1)
    found = families(pairs, relations_of(pairs, 0.1), resamples=100)
    assert [set(family.members) for family in found.families] == [
        {f"model {index}" for index in group} for group in (range(5), range(5, 8), range(8, 10))
    ]
    assert set(found.singletons) == {"model 10", "model 11"}
    assert all(family.support > 0.95 for family in found.families)
    assert sorted(found.order) == sorted(pairs.models)
    for family in found.families:
        places = sorted(found.order.index(member) for member in family.members)
        assert places == list(range(places[0], places[0] + len(places)))


def test_tie_is_the_mean_within_the_family_with_an_interval_that_covers() -> None:
    covered = 0
    for seed in range(40):
        pairs = blocks_of(planted([4, 1, 1], 0.3), noise=0.4, seed=seed)
        (family,) = families(pairs, relations_of(pairs, 0.15), resamples=200, seed=seed).families
        tie = family.tie
        assert tie.n == 200
        assert tie.estimate is not None
        assert tie.low is not None
        assert tie.high is not None
        assert tie.low < tie.estimate < tie.high
        covered += tie.low <= 0.3 <= tie.high
    assert covered >= 34


def test_support_of_a_group_is_the_share_of_resamples_that_have_it_as_a_clade() -> None:
    pairs = blocks_of(planted([2, 1, 1, 1], 0.25), noise=0.9, blocks=20, prompts=1, seed=5)
    relations = relations_of(pairs, float(mean_similarity(pairs).max()) - 1e-9)
    (family,) = families(pairs, relations, resamples=300, seed=1).families
    group = {pairs.models.index(member) for member in family.members}
    hits = 0
    for chunk in resampled_similarity(pairs, 300, 1):
        for one in chunk:
            below = _linkage(np.asarray(square(one, 5, 0.0))).members()[5:]
            hits += group in [{int(leaf) for leaf in clade} for clade in below]
    assert 0.5 < family.support < 1
    assert family.support == pytest.approx(hits / 300)


def test_a_group_that_resamples_do_not_repeat_is_no_family() -> None:
    pairs = blocks_of(np.eye(8), noise=1.0, seed=2)
    mean = mean_similarity(pairs)
    everything_but_the_whole = relations_of(pairs, float(np.quantile(mean, 0.3)))
    for family in families(pairs, everything_but_the_whole, resamples=200).families:
        assert family.support > 0.5


def test_one_strong_pair_does_not_chain_two_families() -> None:
    similarity = planted([4, 4], 0.5)
    similarity[3, 4] = similarity[4, 3] = 0.6
    supported = similarity > 0.2
    counting = counting_joins(_linkage(similarity - np.eye(8)), supported)
    assert not counting[-1]


def test_nothing_supported_means_no_family() -> None:
    pairs = blocks_of(planted([4, 2], 0.3), noise=0.1)
    found = families(pairs, relations_of(pairs, 2.0), resamples=20)
    assert found.families == ()
    assert found.singletons == found.order


def test_the_same_seed_gives_the_same_findings() -> None:
    pairs = blocks_of(planted([4, 3, 1], 0.2), noise=0.5)
    relations = relations_of(pairs, 0.1)
    first = families(pairs, relations, seed=4, resamples=50)
    assert first == families(pairs, relations, seed=4, resamples=50)


def test_pairs_without_common_prompts_count_as_unrelated() -> None:
    pairs = blocks_of(planted([2, 2], 0.4))
    pairs.common[:, 0] = 0
    pairs.residual[:, 0] = 0
    assert mean_similarity(pairs)[0] == 0
    assert all(np.isfinite(chunk).all() for chunk in resampled_similarity(pairs, 10, 0))
