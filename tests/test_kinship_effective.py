"""The effective number of models: closed forms, its invariances, the optimum by brute force, and its interval."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_populations import blocks_of, planted, relations_of

from hydrometer.errors import InputError
from hydrometer.findings import Estimate
from hydrometer.kinship.effective import most_even, population, relatedness
from hydrometer.stats import Array


def _number(related: Array) -> float:
    shares = most_even(related)
    return 1 / float(shares @ related @ shares)


def _random_related(n: int, seed: int) -> Array:
    """A positive semidefinite matrix with entries from 0 to 1 and 1 on the diagonal."""
    habits = np.abs(np.random.default_rng(seed).normal(size=(n, 4))) ** 3 + 1e-9
    habits /= np.linalg.norm(habits, axis=1, keepdims=True)
    return np.asarray(np.clip(habits @ habits.T, 0, 1))


def _brute_force(related: Array) -> float:
    """The largest magnitude of any part of the models with shares that are not negative (Leinster and Meckes)."""
    best = 0.0
    for size in range(1, len(related) + 1):
        for part in itertools.combinations(range(len(related)), size):
            shares = np.linalg.lstsq(related[np.ix_(part, part)], np.ones(size), rcond=None)[0]
            if (shares >= -1e-9).all():
                best = max(best, float(shares.sum()))
    return best


def _estimate(found: Estimate) -> float:
    assert found.estimate is not None
    return found.estimate


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 7), seed=st.integers(0, 10_000))
def test_the_optimum_is_that_of_brute_force(n: int, seed: int) -> None:
    related = _random_related(n, seed)
    assert _number(related) == pytest.approx(_brute_force(related), rel=1e-4)


def test_the_optimum_of_a_matrix_that_is_not_positive_semidefinite() -> None:
    chain = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])
    assert np.linalg.eigvalsh(chain)[0] < 0
    assert _number(chain) == pytest.approx(2.0)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 12), copies=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_copies_change_nothing_and_another_model_never_lowers_it(n: int, copies: int, seed: int) -> None:
    related = _random_related(n + 1, seed)
    fleet = related[:n, :n]
    cloned = np.append(np.arange(n), np.random.default_rng(seed).integers(0, n, copies))
    assert _number(fleet[np.ix_(cloned, cloned)]) == pytest.approx(_number(fleet), rel=1e-5)
    assert _number(related) >= _number(fleet) * (1 - 1e-5)


@pytest.mark.parametrize("sizes", [[1] * 7, [3, 3, 3], [5, 2, 1]])
def test_closed_form_for_families_of_equal_ties(sizes: list[int]) -> None:
    """A family of k models tied by s counts k / (1 + (k - 1) s), and unrelated families add up."""
    tie = 0.4
    pairs = blocks_of(planted(sizes, tie))
    found = population(pairs, relations_of(pairs, 0.1), resamples=20)
    expected = sum(k / (1 + (k - 1) * tie) for k in sizes)
    assert _estimate(found.effective_models) == pytest.approx(expected, rel=1e-4)
    n = sum(sizes)
    related_pairs = sum(k * (k - 1) for k in sizes)
    assert _estimate(found.monoculture) == pytest.approx(tie * related_pairs / (n * (n - 1)), abs=1e-6)
    assert _estimate(found.effective_in_use) == pytest.approx(n / (1 + tie * related_pairs / n), rel=1e-5)
    assert sum(found.shares) == pytest.approx(1)


@pytest.mark.parametrize("copies", [1, 5, 20])
def test_planted_clones_leave_the_number_alone(copies: int) -> None:
    single = planted([4, 3, 1, 1, 1], 0.3)
    rows = np.array([*range(10), *[2] * copies])
    noisy = single + np.triu(np.random.default_rng(0).normal(0, 0.02, single.shape), 1)
    noisy = np.triu(noisy, 1) + np.triu(noisy, 1).T + np.eye(10)
    before = blocks_of(noisy)
    clones = ((2, *range(10, 10 + copies)),)
    after = blocks_of(noisy[np.ix_(rows, rows)], clones=clones)
    numbers = [
        _estimate(population(pairs, relations_of(pairs, 0.1), resamples=20).effective_models)
        for pairs in (before, after)
    ]
    assert numbers[1] == pytest.approx(numbers[0], abs=1e-3)


def test_relations_are_measured_against_two_samples_of_one_model() -> None:
    similarity = planted([2, 1], 0.5)
    whole = blocks_of(similarity)
    sampled = blocks_of(similarity, resampled=np.array([0.5, 0.5, 0.6]))
    first, second = (population(pairs, relations_of(pairs, 0.1), resamples=20) for pairs in (whole, sampled))
    assert first.upper_bound
    assert _estimate(first.effective_models) == pytest.approx(1 + 2 / 1.5, rel=1e-4)
    assert not second.upper_bound
    assert _estimate(second.effective_models) == pytest.approx(2, rel=1e-4)


def test_a_model_sampled_once_is_measured_against_the_typical_one() -> None:
    pairs = blocks_of(planted([2, 1], 0.3), resampled=np.array([np.nan, 0.6, 0.6]))
    related = relatedness(pairs, relations_of(pairs, 0.1))
    assert related.matrix[0, 1] == pytest.approx(0.5)
    assert population(pairs, relations_of(pairs, 0.1), resamples=5).upper_bound


def test_pairs_that_are_not_supported_count_as_unrelated() -> None:
    pairs = blocks_of(np.eye(30), noise=0.5)
    found = population(pairs, relations_of(pairs, 1.0), resamples=20)
    assert _estimate(found.effective_models) == pytest.approx(30)
    assert _estimate(found.monoculture) == 0


def test_the_interval_covers_the_true_number() -> None:
    covered, wide = 0, 0.0
    for seed in range(60):
        pairs = blocks_of(planted([3, 3, 2, 1, 1], 0.4), noise=0.5, seed=seed)
        effective = population(pairs, relations_of(pairs, 0.2), resamples=200, seed=seed).effective_models
        assert effective.low is not None
        assert effective.high is not None
        true = 2 * 3 / 1.8 + 2 / 1.4 + 2
        covered += effective.low <= true <= effective.high
        wide += (effective.high - effective.low) / 60
    assert covered >= 53
    assert wide < 0.5


def test_undecided_relations_widen_the_interval_downwards() -> None:
    pairs = blocks_of(planted([2, 1, 1], 0.4), noise=0.1)
    none = relations_of(pairs, 2.0)
    decided = replace(none, verdict=("not supported",) * 6)
    undecided = replace(none, verdict=("inconclusive", *decided.verdict[1:]))
    sure, open_ended = (population(pairs, one, resamples=50).effective_models for one in (decided, undecided))
    assert sure.estimate == open_ended.estimate == pytest.approx(4.0)
    assert sure.low == pytest.approx(4.0)
    assert open_ended.high == pytest.approx(4.0)
    assert open_ended.low is not None
    assert 3.3 < open_ended.low < 2 + 2 / 1.4


def test_what_removing_and_adding_a_model_does() -> None:
    pairs = blocks_of(planted([3, 1, 1], 0.4))
    relations = relations_of(pairs, 0.1)
    fleet = ["model 0", "model 1", "model 3"]
    found = population(pairs, relations, fleet=fleet, resamples=20)
    whole = _estimate(found.effective_models)
    assert found.models == tuple(fleet)
    removed = {change.model: change for change in found.without}
    added = {change.model: change for change in found.added}
    assert set(added) == {"model 2", "model 4"}
    assert removed["model 3"].effective_models == pytest.approx(2 / 1.4, rel=1e-4)
    assert removed["model 0"].effective_models == pytest.approx(2.0, rel=1e-4)
    assert removed["model 3"].monoculture == pytest.approx(0.4)
    assert removed["model 0"].monoculture == pytest.approx(0.0)
    assert added["model 2"].effective_models == pytest.approx(1 + 3 / 1.8, rel=1e-4)
    assert added["model 4"].effective_models == pytest.approx(whole + 1, rel=1e-4)
    assert added["model 2"].monoculture == pytest.approx(0.2)


def test_removing_a_clone_changes_nothing_and_removing_never_raises() -> None:
    similarity = _random_related(12, 3)
    rows = np.array([*range(12), 4])
    pairs = blocks_of(similarity[np.ix_(rows, rows)], clones=((4, 12),))
    found = population(pairs, relations_of(pairs, 0.0), resamples=5)
    whole = _estimate(found.effective_models)
    for change in found.without:
        assert change.effective_models <= whole
        if change.model in {"model 4", "model 12"}:
            assert change.effective_models == pytest.approx(whole, rel=1e-5)


def test_usage_weighs_monoculture_but_not_the_number() -> None:
    pairs = blocks_of(planted([2, 1], 0.6))
    relations = relations_of(pairs, 0.1)
    alike = population(pairs, relations, resamples=10)
    used = population(pairs, relations, usage={"model 0": 3, "model 1": 3, "model 2": 0}, resamples=10)
    assert used.effective_models == alike.effective_models
    assert _estimate(used.monoculture) == pytest.approx(0.6)
    assert _estimate(used.effective_in_use) == pytest.approx(1 / 0.8)
    assert used.usage == (0.5, 0.5, 0.0)


def test_a_fleet_of_one_has_no_monoculture() -> None:
    pairs = blocks_of(planted([2, 1], 0.6))
    found = population(pairs, relations_of(pairs, 0.1), fleet=["model 1"], resamples=10)
    assert _estimate(found.effective_models) == 1
    assert found.monoculture.estimate is None
    assert found.without == ()


def test_one_block_gives_no_interval() -> None:
    pairs = blocks_of(planted([2, 1], 0.6), blocks=1)
    found = population(pairs, relations_of(pairs, 0.1), resamples=10)
    assert found.effective_models.low is None
    assert found.monoculture.high is None


@pytest.mark.parametrize(
    ("fleet", "usage"),
    [
        (["nobody"], None),
        ([], None),
        (None, {"nobody": 1.0}),
        (None, {"model 0": -1.0}),
        (None, {"model 0": float("nan")}),
        (None, {"model 0": 0.0}),
    ],
)
def test_what_cannot_be_a_fleet_is_refused(fleet: list[str] | None, usage: dict[str, float] | None) -> None:
    pairs = blocks_of(planted([2, 1], 0.6))
    with pytest.raises(InputError):
        population(pairs, relations_of(pairs, 0.1), fleet=fleet, usage=usage, resamples=5)


def test_the_same_seed_gives_the_same_population() -> None:
    pairs = blocks_of(planted([3, 2, 1], 0.4), noise=0.3)
    relations = relations_of(pairs, 0.2)
    assert population(pairs, relations, seed=3) == population(pairs, relations, seed=3)
