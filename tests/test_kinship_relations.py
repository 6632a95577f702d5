"""Relations: null, p-values, correction, intervals and verdicts on simulated similarities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.kinship.pairs import PairBlocks
from hydrometer.kinship.relations import FEWEST_PROMPTS, SMALLEST, null_of, relate
from hydrometer.stats import holm


def simulated(
    n: int, prompts: int, effects: dict[tuple[int, int], float] | None = None, seed: int = 0, spread: float = 0.01
) -> PairBlocks:
    """Pairs whose true similarity is normal around 0, plus the effects; noise of each prompt is Student's t."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n, 1)
    true = rng.normal(0, spread, len(first))
    for (i, j), effect in (effects or {}).items():
        true[(first == i) & (second == j)] = effect
    residual = (true + 0.1 * rng.standard_t(5, (prompts, len(first)))).astype(np.float32)
    common = np.ones_like(residual)
    return PairBlocks(tuple(f"m{i}" for i in range(n)), residual, common, true, np.full(n, np.nan), ())


def place(n: int, i: int, j: int) -> int:
    return list(zip(*(part.tolist() for part in np.triu_indices(n, 1)), strict=True)).index((i, j))


def test_a_relation_is_supported_and_strangers_are_not() -> None:
    found = relate(simulated(30, 300, {(3, 9): 0.3, (4, 5): 0.25}))
    supported = [k for k, verdict in enumerate(found.verdict) if verdict == "supported"]
    assert supported == [place(30, 3, 9), place(30, 4, 5)]
    assert found.verdict.count("not supported") > 200


def test_false_relations_are_rare_over_many_populations() -> None:
    wrong = sum("supported" in relate(simulated(12, 60, seed=seed)).verdict for seed in range(200))
    assert wrong <= 20


def test_p_values_of_strangers_are_uniform_but_for_the_centre() -> None:
    p = relate(simulated(60, 200, seed=4), intervals=False).p
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (p < level).mean() == pytest.approx(level, abs=0.03)


def test_a_large_family_does_not_hide_itself() -> None:
    family = {(i, j): 0.2 for i in range(8) for j in range(i + 1, 8)}
    found = relate(simulated(30, 200, family))
    assert all(found.verdict[place(30, *pair)] == "supported" for pair in family)


def test_clones_speak_once_in_the_null_and_in_the_correction() -> None:
    alone = simulated(20, 100, {(0, 1): 0.3, (2, 3): 0.05})
    of = np.array([*range(20), 7, 7, 7, 7, 7])  # five more names of model 7
    first, second = np.triu_indices(25, 1)
    a, b = np.minimum(of[first], of[second]), np.maximum(of[first], of[second])
    twin = np.where(a < b, a * 20 - a * (a + 1) // 2 + (b - a - 1), 0)
    residual = np.where(a < b, alone.residual[:, twin], 1.0).astype(np.float32)
    names = tuple(f"m{i}" for i in range(25))
    joined = PairBlocks(
        names, residual, np.ones_like(residual), residual.mean(axis=0), np.full(25, np.nan), ((7, 20, 21, 22, 23, 24),)
    )
    before, after = relate(alone), relate(joined)
    same = a < b
    for name in ("estimate", "low", "high", "p", "p_corrected"):
        np.testing.assert_allclose(getattr(after, name)[same], getattr(before, name)[twin[same]], rtol=1e-5, atol=1e-7)
    assert {after.verdict[pair] for pair in np.flatnonzero(~same)} == {"supported"}


@settings(deadline=None)
@given(st.floats(-0.5, 0.99), st.floats(0.001, 0.3))
def test_estimate_increases_and_keeps_its_ends(value: float, step: float) -> None:
    null = null_of(np.random.default_rng(0).normal(0, 0.02, 45), np.arange(10))
    ends = null.estimate(np.full(45, null.centre)), null.estimate(np.ones(45) + null.centre)
    np.testing.assert_allclose(ends[0], 0, atol=1e-12)
    np.testing.assert_allclose(ends[1], 1)
    if value + step <= 1 + null.centre and value > -0.2:
        assert (null.estimate(np.full(45, value + step)) > null.estimate(np.full(45, value))).all()


def test_a_model_that_varies_more_needs_more() -> None:
    rng = np.random.default_rng(2)
    first, second = np.triu_indices(40, 1)
    scale = np.where((first == 0) | (second == 0), 0.05, 0.01)
    null = null_of(rng.normal(0, scale), np.arange(40))
    wild = first == 0
    assert null.scale[wild].mean() > 1.5 * null.scale[~wild].mean()
    assert (
        (null.estimate(np.full(len(first), 0.1))[wild].mean())
        < 0.1
        < null.estimate(np.full(len(first), 0.1))[~wild].max()
    )


def test_correction_is_holms_over_known_pairs() -> None:
    pairs = simulated(8, 40)
    pairs.common[:, 5] = 0
    pairs.residual[:, 5] = 0
    found = relate(pairs)
    known = np.isfinite(found.p)
    assert known.sum() == 27
    assert found.p_corrected[known].tolist() == holm(found.p[known].tolist())
    assert found.verdict[5] == "inconclusive"
    assert np.isnan(found.estimate[5])
    assert found.prompts[5] == 0


def test_fewer_than_ten_prompts_are_inconclusive() -> None:
    few = relate(simulated(20, FEWEST_PROMPTS - 1, {(0, 1): 0.9}))
    assert set(few.verdict) == {"inconclusive"}
    assert relate(simulated(20, FEWEST_PROMPTS, {(0, 1): 0.9})).verdict[0] == "supported"


def test_not_supported_needs_the_interval_below_the_smallest_relation() -> None:
    found = relate(simulated(30, 100, spread=0.005))
    for verdict, high in zip(found.verdict, found.high.tolist(), strict=True):
        assert (verdict == "not supported") == (high < SMALLEST)


def test_without_intervals_there_are_none() -> None:
    found = relate(simulated(20, 100, {(0, 1): 0.4}), intervals=False)
    assert np.isnan(found.low).all()
    assert found.verdict[0] == "supported"
    assert found.verdict == relate(simulated(20, 100, {(0, 1): 0.4})).verdict


@pytest.mark.parametrize("prompts", [20, 80, 300])
def test_intervals_cover(prompts: int) -> None:
    held = []
    for seed in range(150):
        pairs = simulated(8, prompts, {(0, 1): 0.3}, seed=seed)
        found = relate(pairs)
        true = null_of(pairs.residual.mean(axis=0).astype(float), np.arange(8)).estimate(pairs.raw)
        held.append((found.low <= true) & (true <= found.high))
    assert 0.93 <= np.mean(held) <= 0.975


def test_a_skewed_pair_has_more_room_above() -> None:
    pairs = simulated(10, 100)
    pairs.residual[:5, 7] += 1
    found = relate(pairs)
    assert found.high[7] - found.estimate[7] > 1.1 * (found.estimate[7] - found.low[7])


def test_constant_similarities_have_no_null() -> None:
    pairs = PairBlocks(
        tuple("abcd"), np.ones((20, 6), np.float32), np.ones((20, 6), np.float32), np.ones(6), np.full(4, np.nan), ()
    )
    found = relate(pairs)
    assert np.isnan(found.p).all()
    assert "supported" not in found.verdict


def test_reference_models_do_not_count_as_questions() -> None:
    pairs = simulated(30, 80)
    all_asked, two_asked = relate(pairs), relate(pairs, own=2)
    asked = np.triu_indices(30, 1)[0] < 2
    assert two_asked.p_corrected[asked].tolist() == holm(two_asked.p[asked].tolist())
    assert two_asked.p_corrected[~asked].tolist() == all_asked.p_corrected[~asked].tolist()
