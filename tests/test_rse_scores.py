"""Aggregation, intervals, controls and comparisons of similarity, and the agreement of raters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.similarity.scores import Measured, Resamples, like_answers, macro_mean, summarise
from hydrometer.stats import Array, krippendorff_alpha, quadratic_weighted_kappa

#: Lee et al. 2025, table 3: Arena-Hard, Numina, ShareGPT and the printed average.
TABLE = {
    "Llama3.1-70B-Instruct": (3.435, 3.726, 3.723, 3.628),
    "Doubao-Pro-32k": (3.412, 4.125, 3.623, 3.720),
    "Claude3.5-Sonnet": (3.466, 4.114, 3.641, 3.740),
    "Gemini-Flash-2.0": (3.496, 4.310, 3.835, 3.880),
    "Mistral-Large-2": (3.821, 3.809, 4.064, 3.898),
    "GLM4-Plus": (3.834, 4.125, 4.175, 4.045),
    "Phi4": (3.792, 4.403, 3.939, 4.045),
    "Deepseek-V3": (3.926, 4.130, 4.251, 4.102),
    "Qwen-72b-Instruct": (3.816, 4.401, 4.207, 4.141),
    "Qwen-Max-0919": (3.888, 4.342, 4.293, 4.174),
    "GPT4o-0513": (4.086, 4.312, 4.323, 4.240),
    "GPT4o-0806": (5.000, 5.000, 5.000, 5.000),
}
SIZES = {"arena-hard": 500, "numina": 1000, "sharegpt": 1000}
SETS = tuple(name for name, size in SIZES.items() for _ in range(size))


def with_mean(mean: float, size: int) -> list[float]:
    """Grades from 1 to 5 whose mean is exactly `mean`, given to three decimals."""
    total = round(mean * size)
    low = total // size
    return [low + 1.0] * (total - low * size) + [float(low)] * (size - (total - low * size))


def measured(overall: Array, sets: tuple[str, ...], subject: str = "s", **changes: object) -> Measured:
    plain = np.asarray(overall, dtype=float)
    empty = np.full(len(plain), np.nan)
    aspects = (plain / 3, plain / 3, plain / 3, plain)
    controls = (empty, plain, empty, empty, empty)
    prompts = tuple(map(str, range(len(plain))))
    one = Measured(subject, "r", "j", prompts, sets, *aspects, *controls, failed=0, unscored=0)
    return replace(one, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "row"), TABLE.items())
def test_the_published_average_is_reproduced_to_three_decimals(name: str, row: tuple[float, ...]) -> None:
    grades = [with_mean(mean, size * 2) for mean, size in zip(row, SIZES.values(), strict=False)]
    sets = tuple(label for label, size in SIZES.items() for _ in range(size * 2))
    values = np.array([grade for part in grades for grade in part])
    assert f"{macro_mean(values, sets):.3f}" == f"{row[3]:.3f}"


def test_the_finding_carries_the_macro_mean_and_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(3, 1, 500), rng.normal(4, 1, 1000), rng.normal(4.5, 1, 1000)])
    (found,), comparisons = summarise([measured(values, SETS)])
    assert comparisons == []
    assert found.overall.estimate == pytest.approx(macro_mean(values, SETS))
    assert found.overall.low is not None
    assert found.overall.high is not None
    error = np.sqrt(sum(values[np.array(SETS) == name].var() / size for name, size in SIZES.items())) / 3
    assert (found.overall.high - found.overall.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)
    assert list(found.by_set) == list(SIZES)
    assert found.by_set["numina"].n == 1000


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    sets = ("a",) * 40 + ("b",) * 60
    hits = 0
    for seed in range(200):
        values = np.concatenate([rng.exponential(1, 40), rng.exponential(2, 60)])
        found = Resamples(sets, seed).estimate(values)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 1.5 <= found.high
    assert 0.89 <= hits / 200 <= 0.99


def test_missing_scores_are_left_out_and_counted() -> None:
    values = np.array([2.0, np.nan, 4.0, np.nan])
    (found,), _ = summarise([measured(values, ("a", "a", "b", "b"), failed=1, unscored=1)])
    assert found.overall.estimate == 3
    assert (found.overall.n, found.failed, found.unscored) == (2, 1, 1)
    (none,), _ = summarise([measured(np.full(2, np.nan), ("a", "b"))])
    assert none.overall.estimate is None
    (half,), _ = summarise([measured(np.array([2.0, 3.0, np.nan]), ("a", "a", "b"))])
    assert half.overall.estimate == 2.5
    assert any("No prompt of b was scored" in warning for warning in half.warnings)


def test_floor_and_ceiling_put_the_score_between_nought_and_one() -> None:
    sets = ("a",) * 50
    rng = np.random.default_rng(1)
    values, floor = rng.normal(3, 0.1, 50), rng.normal(1, 0.1, 50)
    subject = measured(values, sets, floor=floor)
    top = rng.normal(4, 0.1, 50)
    for ceiling, expected in ((None, 0.5), (4.0, 2 / 3), (top, 2 / 3)):
        (found,), _ = summarise([subject], ceiling=ceiling)
        assert found.normalised is not None
        assert found.normalised.estimate == pytest.approx(expected, abs=0.03)
        assert found.normalised.low is not None
        assert found.normalised.low < found.normalised.estimate  # type: ignore[operator]
        assert (found.ceiling is None) == (ceiling is None)
    with pytest.raises(InputError, match="ceiling is 6"):
        summarise([subject], ceiling=6.0)


def test_controls_place_the_subject() -> None:
    sets = ("a",) * 60
    base = np.random.default_rng(2).normal(3, 0.3, 60)
    controls = [measured(base - 0.2, sets, "low"), measured(base + 0.1, sets, "high")]
    (found,), _ = summarise([measured(base, sets)], controls)
    assert found.controls.percentile == 0.5
    low, high = found.controls.models
    assert low.difference.estimate == pytest.approx(0.2)
    assert high.difference.high is not None
    assert high.difference.high < 0
    with pytest.raises(InputError, match="both subject and control"):
        summarise([measured(base, sets)], [measured(base, sets)])


def test_differences_are_paired_and_corrected() -> None:
    rng = np.random.default_rng(3)
    sets = ("a",) * 40 + ("b",) * 40
    base = rng.normal(3, 1, 80)
    subjects = [
        measured(base, sets, "one"),
        measured(base + rng.normal(0, 0.01, 80), sets, "twin"),
        measured(base - 0.5, sets, "far"),
    ]
    found, comparisons = summarise(subjects)
    by_pair = {(c.a, c.b): c for c in comparisons}
    assert by_pair["one", "far"].distinguishable
    assert by_pair["one", "far"].difference.estimate == pytest.approx(0.5)
    assert not by_pair["one", "twin"].distinguishable
    assert all(c.p_corrected >= c.p for c in comparisons)
    assert found[0].not_distinguishable == ["twin"]
    assert found[2].not_distinguishable == []


def test_same_seed_same_findings_and_another_seed_other_intervals() -> None:
    values = np.random.default_rng(4).normal(3, 1, 100)
    runs = [summarise([measured(values, ("a",) * 100)], seed=seed)[0][0].model_dump_json() for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_like_answers_are_of_like_length_and_formatting() -> None:
    kept = like_answers(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.4, 2.0, 0.7, 1.0]), np.array([0.9, 0.9, 0.6, 0.1]))
    assert np.isfinite(kept).tolist() == [True, False, True, False]


def test_kappa_and_alpha_in_closed_form() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0])
    assert quadratic_weighted_kappa(a, a) == 1
    assert quadratic_weighted_kappa(a, b) == -1
    assert np.isnan(quadratic_weighted_kappa(np.ones(3), np.ones(3)))
    assert krippendorff_alpha(np.stack([a, a])) == 1
    assert np.isnan(krippendorff_alpha(np.array([[1.0, np.nan], [np.nan, 2.0]])))
    # Krippendorff 2011, the data with missing values of four observers: interval alpha 0.849.
    nan = np.nan
    data = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    assert krippendorff_alpha(data) == pytest.approx(0.849, abs=0.0005)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=3, max_size=40))
def test_alpha_of_two_complete_raters_is_close_to_kappa(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    kappa, alpha = quadratic_weighted_kappa(a, b), krippendorff_alpha(np.stack([a, b]))
    if np.isfinite(kappa):
        assert kappa <= 1
        assert alpha <= 1
        assert alpha >= kappa - 1e-9 or a.mean() != b.mean()
