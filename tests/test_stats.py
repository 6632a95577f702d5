"""Statistics against closed forms, published tables and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer import stats


def confusion(tp: float, fp: float, fn: float, tn: float) -> stats.Array:
    return np.array([tp, fp, fn, tn], dtype=float)


def test_codes_number_labels_by_first_appearance() -> None:
    assert stats.codes(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]


# -- bootstrap ---------------------------------------------------------------------------------------------------


def test_one_way_bootstrap_variance_is_the_analytic_one() -> None:
    """Resampling m clusters of equal size: Var(mean) = sum((cluster mean - mean)^2) / m^2."""
    rng = np.random.default_rng(1)
    per_cluster = rng.normal(size=30)
    values = np.repeat(per_cluster, 4)
    clusters = np.repeat(np.arange(30), 4)
    sums = stats.crossed_bootstrap_sums(np.stack([values, np.ones(120)], axis=1), [clusters], 40_000, seed=3)
    means = sums[:, 0] / sums[:, 1]
    assert np.all(sums[:, 1] == 120)
    assert means.mean() == pytest.approx(per_cluster.mean(), abs=0.005)
    assert means.var() == pytest.approx(per_cluster.var() / 30, rel=0.05)


def test_crossed_bootstrap_variance_is_the_pigeonhole_formula() -> None:
    """For a full a x b grid, Var = (sa/a + sb/b + remainder); computed here from multinomial second moments."""
    rng = np.random.default_rng(2)
    a, b = 6, 5
    grid = rng.normal(size=(a, 1)) + rng.normal(size=(1, b)) + rng.normal(size=(a, b))
    rows, columns = (part.ravel() for part in np.meshgrid(np.arange(a), np.arange(b), indexing="ij"))
    sums = stats.crossed_bootstrap_sums(grid.reshape(-1, 1), [rows, columns], 60_000, seed=5)

    def second_moments(groups: int) -> stats.Array:
        """E[w_i w_j] of Multinomial(groups, 1/groups): 1 + (1 - 1/groups) on the diagonal, 1 - 1/groups off it."""
        return np.full((groups, groups), 1 - 1 / groups) + np.eye(groups)

    expected = np.einsum("ij,kl,ik,jl->", grid, grid, second_moments(a), second_moments(b)) - grid.sum() ** 2
    assert sums.var() == pytest.approx(expected, rel=0.05)
    assert sums.mean() == pytest.approx(grid.sum(), abs=5 * math.sqrt(expected / 60_000))


def test_bootstrap_is_a_function_of_its_seed_and_not_of_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.arange(20.0).reshape(10, 2)
    clusters = [np.arange(10) % 5]
    whole = stats.crossed_bootstrap_sums(columns, clusters, 50, seed=7)
    assert np.array_equal(whole, stats.crossed_bootstrap_sums(columns, clusters, 50, seed=7))
    assert not np.array_equal(whole, stats.crossed_bootstrap_sums(columns, clusters, 50, seed=8))
    monkeypatch.setattr(stats, "_CHUNK_CELLS", 30)
    assert np.array_equal(whole, stats.crossed_bootstrap_sums(columns, clusters, 50, seed=7))


def test_partitions_of_one_cluster_are_left_as_they_are() -> None:
    columns = np.array([[1.0], [2.0], [3.0]])
    one = np.zeros(3, dtype=np.int64)
    assert stats.crossed_bootstrap_sums(columns, [one, one], 4, seed=0).tolist() == [[6.0]] * 4
    low, high = stats.interval_of(lambda sums: sums[:, 0], columns, [one], seed=0)
    assert math.isnan(low)
    assert math.isnan(high)


def test_expanded_percentile_interval_of_normal_values_has_the_width_of_a_t_interval() -> None:
    m = 12
    values = np.random.default_rng(0).normal(scale=math.sqrt((m - 1) / m), size=400_000)
    low, high = stats.percentile_interval(values, m)
    assert high == pytest.approx(2.20099, rel=0.03)
    assert low == pytest.approx(-2.20099, rel=0.03)


def test_undefined_resamples_are_left_out() -> None:
    values = np.array([0.25] * 50 + [np.nan] * 50)
    assert stats.percentile_interval(values, 10) == (0.25, 0.25)
    assert all(math.isnan(end) for end in stats.percentile_interval(np.array([np.nan]), 10))


def test_interval_of_a_rate_covers_it_at_least_nine_times_in_ten() -> None:
    """20 templates x 10 questions with random effects of both, so that a binomial interval covers far less."""
    rng = np.random.default_rng(11)
    templates, questions = (part.ravel() for part in np.meshgrid(np.arange(20), np.arange(10), indexing="ij"))
    covered = 0
    trials = 200
    for trial in range(trials):
        logit = -0.5 + rng.normal(size=20)[templates] + 0.5 * rng.normal(size=10)[questions]
        rate = 1 / (1 + np.exp(-logit))
        positives = (rng.random(200) < rate).astype(float)
        low, high = stats.interval_of(
            lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1),
            np.stack([positives, np.ones(200)], axis=1),
            [templates, questions],
            seed=trial,
            resamples=400,
        )
        covered += low <= _TRUE_RATE <= high
    assert covered / trials >= 0.90


def _true_rate() -> float:
    """E[logistic(-0.5 + N(0, 1.25))] by quadrature."""
    z = np.linspace(-8, 8, 4001)
    weights = np.exp(-z * z / 2)
    return float(np.sum(weights / (1 + np.exp(0.5 - math.sqrt(1.25) * z))) / np.sum(weights))


_TRUE_RATE = _true_rate()


# -- quantiles and intervals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "table"),
    [
        (1, 12.7062),
        (2, 4.30265),
        (3, 3.18245),
        (5, 2.57058),
        (10, 2.22814),
        (30, 2.04227),
        (120, 1.97993),
        (5000, 1.96044),
    ],
)
def test_t_quantile_is_that_of_the_tables(freedom: int, table: float) -> None:
    assert stats.t_quantile(0.975, freedom) == pytest.approx(table, rel=2e-4)
    assert stats.t_quantile(0.025, freedom) == pytest.approx(-table, rel=2e-4)
    assert stats.t_quantile(0.5, freedom) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        *((0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (5, 10, 0.23659, 0.76341)),
        *((1, 20, 0.00888, 0.23613), (81, 263, 0.25529, 0.36618)),
    ],
)
def test_wilson_interval_by_hand(hits: int, n: int, low: float, high: float) -> None:
    assert stats.wilson_interval(hits / n, n) == pytest.approx((low, high), abs=2e-4)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_solve_the_score_equation(case: tuple[int, int]) -> None:
    hits, n = case
    rate = hits / n
    for end in stats.wilson_interval(rate, n):
        assert 0 <= end <= 1
        assert (rate - end) ** 2 * n == pytest.approx(1.959964**2 * end * (1 - end), abs=1e-5)


def test_sparse_interval_only_where_few_clusters_hold_a_positive_or_a_negative() -> None:
    clusters = np.repeat(np.arange(10), 10)
    few = np.zeros(100)
    few[[0, 10, 20, 30]] = 1
    assert stats.sparse_rate_interval(few, clusters) is not None
    assert stats.sparse_rate_interval(1 - few, clusters) is not None
    few[40] = 1
    assert stats.sparse_rate_interval(few, clusters) is None


def test_sparse_interval_is_wilson_at_the_effective_size() -> None:
    """20 templates of 50: design effect 1 + 49 * 0.2 = 10.8, so 1,000 answers count as 92.6."""
    clusters = np.repeat(np.arange(20), 50)
    low, high = stats.sparse_rate_interval(np.zeros(1000), clusters) or (-1.0, -1.0)
    n = 1000 / 10.8
    assert low == 0
    assert high == pytest.approx(1.959964**2 / n / (1 + 1.959964**2 / n), rel=1e-6)


# -- permutation and multiplicity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sums", [(3.0, 1.0, 2.0, 4.0), (3.0, -1.0, 2.0, -4.0, 1.0), (0.0, 0.0), (1.0,), (5.0, 5.0, 5.0, 5.0, 5.0, -1.0)]
)
def test_sign_flip_p_is_that_of_full_enumeration(sums: tuple[float, ...]) -> None:
    patterns = [
        sum(s * x for s, x in zip(signs, sums, strict=True)) for signs in itertools.product((-1, 1), repeat=len(sums))
    ]
    exact = sum(abs(value) >= abs(sum(sums)) for value in patterns) / len(patterns)
    assert stats.sign_flip_p(np.array(sums), 20_000, seed=1) == pytest.approx(exact, abs=0.015)


def test_sign_flip_p_is_never_zero() -> None:
    assert stats.sign_flip_p(np.full(40, 3.0), 999, seed=0) == pytest.approx(1 / 1000)


def test_sign_flip_p_is_uniform_or_larger_under_the_null() -> None:
    rng = np.random.default_rng(4)
    p = np.array([stats.sign_flip_p(rng.integers(-5, 6, size=15).astype(float), 400, seed) for seed in range(600)])
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p <= level).mean() <= level + 3 * math.sqrt(level * (1 - level) / 600)
    assert (p <= 0.5).mean() >= 0.38


def test_holm_by_hand() -> None:
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, 0.9]) == [1.0, 1.0]
    assert stats.holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_monotone_bounded_and_free_of_order(p: list[float]) -> None:
    corrected = stats.holm(p)
    assert all(raw <= value <= 1 for raw, value in zip(p, corrected, strict=True))
    assert all(value <= min(1.0, max(p) * len(p)) + 1e-12 for value in corrected)
    pairs = sorted(zip(p, corrected, strict=True))
    assert [value for _, value in pairs] == sorted(corrected)
    assert sorted(zip(p, reversed(stats.holm(p[::-1])), strict=True)) == pairs


# -- agreement and correction ------------------------------------------------------------------------------------


def test_kappa_sensitivity_specificity_by_hand() -> None:
    """Cohen's 1960 layout with 20/5/10/15 of 50: observed 0.7, chance 0.5, kappa 0.4."""
    table = confusion(20, 5, 10, 15)
    assert float(stats.cohen_kappa(table)) == pytest.approx(0.4)
    assert float(stats.sensitivity(table)) == pytest.approx(20 / 30)
    assert float(stats.specificity(table)) == pytest.approx(15 / 20)


def test_kappa_is_one_at_full_agreement_and_undefined_without_variation() -> None:
    assert float(stats.cohen_kappa(confusion(3, 0, 0, 7))) == 1
    assert math.isnan(float(stats.cohen_kappa(confusion(0, 0, 0, 7))))
    assert math.isnan(float(stats.sensitivity(confusion(0, 1, 0, 7))))
    assert math.isnan(float(stats.specificity(confusion(3, 0, 1, 0))))


@given(*[st.integers(0, 50)] * 4)
def test_kappa_is_symmetric_in_the_raters(tp: int, fp: int, fn: int, tn: int) -> None:
    if tp + fp + fn + tn == 0:
        return
    one, other = (float(stats.cohen_kappa(confusion(tp, *pair, tn))) for pair in ((fp, fn), (fn, fp)))
    assert (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other)


@settings(max_examples=200)
@given(st.floats(0, 1), st.floats(0.55, 1), st.floats(0.55, 1))
def test_rogan_gladen_inverts_the_judge(true: float, sens: float, spec: float) -> None:
    observed = np.array([true * sens + (1 - true) * (1 - spec)])
    assert float(stats.rogan_gladen(observed, np.array(sens), np.array(spec))[0]) == pytest.approx(true, abs=1e-6)


def test_rogan_gladen_stays_in_bounds_and_refuses_chance() -> None:
    ends = stats.rogan_gladen(np.array([0.0, 1.0]), np.array(0.8), np.array(0.9))
    assert ends.tolist() == [0.0, 1.0]
    assert math.isnan(float(stats.rogan_gladen(np.array([0.3]), np.array(0.5), np.array(0.5))[0]))
