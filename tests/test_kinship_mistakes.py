"""CAPA by hand, and what the residual of shared mistakes must find, must not find and must not depend on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.kinship.capa import capa
from hydrometer.kinship.choices import nearness
from hydrometer.kinship.mistakes import accuracy, agreement, mistake_pairs, shared_mistakes
from hydrometer.kinship.predictions import Predictions, Probabilities, read_predictions
from hydrometer.stats import Array

SHARED = Path(os.environ.get("HYDROMETER_SHARED", Path(__file__).parents[2] / "shared"))


def table(
    chosen: list[list[int]] | np.ndarray, correct: object, options: object, probabilities: Probabilities | None = None
) -> Predictions:
    grid = np.array(chosen, dtype=np.int8)
    models, items = grid.shape
    return Predictions(
        tuple(f"m{number}" for number in range(models)),
        tuple(f"q{number}" for number in range(items)),
        grid,
        np.broadcast_to(np.array(correct, dtype=np.int8), items).copy(),
        np.broadcast_to(np.array(options, dtype=np.int8), items).copy(),
        (grid < 0).sum(axis=1),
        np.zeros(models, dtype=np.int64),
        probabilities,
        (),
    )


def population(
    n: int,
    items: int,
    seed: int,
    copies: tuple[tuple[int, int], ...] = (),
    share: float = 0.3,
    pulls: tuple[float, ...] | None = None,
) -> Predictions:
    """Independent models of different ability that fall for the same distractors and like positions; some copy."""
    rng = np.random.default_rng(seed)
    options = rng.integers(3, 11, items)
    correct = (rng.random(items) * options).astype(np.int64)
    pull, change, difficulty = rng.normal(0, 1, (items, 10)), rng.normal(0, 0.5, (items, 10)), rng.normal(0, 1.5, items)
    right = np.arange(10) == correct[:, None]
    chosen = np.empty((n, items), dtype=np.int8)
    for model in range(n):
        ability = rng.uniform(-1.3, 1.3)
        drawn_by = rng.uniform(0.7, 1.4) if pulls is None else pulls[model]
        utility = np.where(right, (1.2 * ability - difficulty + 2.2)[:, None], drawn_by * (pull + ability * change))
        utility = utility + rng.normal(0, 0.3, 10) + rng.gumbel(size=(items, 10))
        chosen[model] = np.where(np.arange(10) < options[:, None], utility, -np.inf).argmax(axis=1)
    for source, copy in copies:
        same = rng.random(items) < share
        chosen[copy, same] = chosen[source, same]
    return table(chosen, correct, options)


def mean(found: Predictions) -> Array:
    pairs = mistake_pairs(found)
    return np.asarray(pairs.residual.sum(axis=0) / pairs.common.sum(axis=0))


def test_capa_is_the_published_formula() -> None:
    # Right: 3 of 4 and 2 of 4; same choice on items 0 and 3; 1 / (options - 1): 1/3, 1/3, 1/3, 1.
    found = capa(table([[0, 0, 0, 1], [0, 1, 2, 1]], [0, 0, 0, 0], [4, 4, 4, 2]))
    expected = 0.75 * 0.25 + 0.25 * 0.75 * (1 / 3 + 1 / 3 + 1 / 3 + 1) / 4
    assert found.estimate[0] == pytest.approx((0.5 - expected) / (1 - expected))
    assert found.items[0] == 4


def test_capa_of_probabilities_is_the_published_formula() -> None:
    shares = np.array([[[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]], [[0.6, 0.3, 0.1], [0.1, 0.9, 0.0]]], dtype=np.float32)
    found = capa(table([[0, 0], [0, 1]], [0, 0], [3, 2], shares), probabilistic=True)
    observed = (0.7 * 0.6 + 0.2 * 0.3 + 0.1 * 0.1 + 0.5 * 0.1 + 0.5 * 0.9) / 2
    first, second = (0.7 + 0.5) / 2, (0.6 + 0.1) / 2
    expected = first * second + (1 - first) * (1 - second) * (1 / 2 + 1) / 2
    assert found.estimate[0] == pytest.approx((observed - expected) / (1 - expected))


def test_capa_leaves_missing_predictions_out_pair_by_pair() -> None:
    whole = capa(table([[0, 1, 0, 2], [0, 1, 1, 3]], 0, 4))
    holes = capa(table([[0, 1, 0, 2, -1, 1], [0, 1, 1, 3, 0, -1]], 0, 4))
    assert holes.estimate[0] == pytest.approx(whole.estimate[0])
    assert holes.items[0] == 4


def test_capa_is_undefined_for_two_models_that_are_always_right() -> None:
    assert np.isnan(capa(table([[0] * 9, [0] * 9], 0, 4)).estimate[0])


def test_probabilistic_capa_needs_probabilities() -> None:
    with pytest.raises(ValueError, match="no probabilities"):
        capa(table([[0], [0]], 0, 4), probabilistic=True)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(20, 60))
def test_capa_interval_is_that_of_the_jackknife(seed: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    options = rng.integers(2, 6, items)
    chosen = (rng.random((2, items)) * options).astype(np.int8)
    found = capa(table(chosen, 0, options))
    left_out = np.array(
        [capa(table(np.delete(chosen, item, 1), 0, np.delete(options, item))).estimate[0] for item in range(items)]
    )
    error = np.sqrt((items - 1) / items * ((left_out - left_out.mean()) ** 2).sum())
    assert found.low[0] == pytest.approx(found.estimate[0] - 2.0 * error, abs=0.35 * error + 1e-9)


def test_accuracy_and_agreement_count_only_what_was_predicted() -> None:
    found = table([[0, 0, 1, -1, 2], [0, 1, 1, 0, 3]], 0, 4)
    rates = accuracy(found)
    assert rates.estimate.tolist() == [0.5, 0.4]
    assert rates.items.tolist() == [4, 5]
    plain = agreement(found)
    assert plain.items.tolist() == [4]
    assert plain.same.tolist() == [0.5]
    assert plain.both_wrong.tolist() == [2]
    assert plain.same_when_both_wrong.tolist() == [0.5]
    assert plain.same_when_one_wrong.tolist() == [pytest.approx(1 / 3)]


def test_planted_relations_are_found_and_independent_models_are_not() -> None:
    copies = ((0, 1), (2, 3), (4, 5))
    found = shared_mistakes(population(24, 2500, 5, copies))
    first, second = np.triu_indices(24, 1)
    planted = np.array([pair in copies for pair in zip(first.tolist(), second.tolist(), strict=True)])
    supported = np.array(found.relations.verdict) == "supported"
    assert supported[planted].all()
    assert supported[~planted].mean() <= 0.02
    assert found.relations.estimate[planted].min() > found.relations.estimate[~planted].max()


def test_models_of_like_ability_are_not_taken_for_relatives() -> None:
    """Which distractors attract changes with ability: what models of one level share for that reason is no relation."""
    found = population(20, 3000, 11)
    rates = accuracy(found).estimate
    first, second = np.triu_indices(20, 1)
    near = nearness(rates)[first, second]
    assert np.corrcoef(near, agreement(found).same_when_both_wrong)[0, 1] > 0.3
    assert abs(np.corrcoef(near, mean(found))[0, 1]) < 0.2


def test_a_rare_mistake_in_common_weighs_more_than_a_popular_one() -> None:
    base = population(12, 1500, 3)
    counts = np.array([(base.chosen == option).sum(axis=0) for option in range(10)])
    lone = np.where(np.arange(10)[:, None] < base.options, counts, 99)
    lone[base.correct, np.arange(1500)] = 99
    popular = np.where(np.arange(10)[:, None] == base.correct, -1, counts)
    at = np.arange(0, 1500, 30)
    values = []
    for shared in (lone.argmin(axis=0), popular.argmax(axis=0)):
        chosen = base.chosen.copy()
        chosen[:2, at] = shared[at]
        values.append(mean(table(chosen, base.correct, base.options))[0])
    assert values[0] > 2 * values[1]
    assert values[0] > mean(base)[0] + 0.02


def test_a_clone_is_found_and_changes_nothing_for_others() -> None:
    base = population(10, 1200, 8, ((0, 1),), 0.5)
    before = mean(base)
    chosen = np.concatenate([base.chosen, base.chosen[2:3]])
    pairs = mistake_pairs(table(chosen, base.correct, base.options))
    after = pairs.residual.sum(axis=0) / pairs.common.sum(axis=0)
    assert pairs.clones == ((2, 10),)
    first, second = np.triu_indices(11, 1)
    assert after[(first == 2) & (second == 10)][0] > 0.9
    others = after[(first != 2) & (second != 10)]
    without = before[(np.triu_indices(10, 1)[0] != 2)]
    kept = [pair[0] != 2 for pair in zip(first[(first != 2) & (second != 10)], strict=True)]
    assert np.abs(others[kept] - without).max() < 0.05


def test_position_habits_are_no_relation() -> None:
    rng = np.random.default_rng(4)
    base = population(16, 2000, 21)
    chosen = base.chosen.copy()
    for model in (0, 1):
        lazy = rng.random(2000) < 0.4
        chosen[model, lazy] = 0
    found = shared_mistakes(table(chosen, base.correct, base.options))
    assert found.relations.verdict[0] != "supported"


def test_pairs_that_say_too_little_are_inconclusive() -> None:
    base = population(8, 400, 2)
    chosen = base.chosen.copy()
    chosen[0] = base.correct
    chosen[1] = base.correct
    chosen[2, 8:] = -1
    found = shared_mistakes(table(chosen, base.correct, base.options))
    first, second = np.triu_indices(8, 1)
    told = np.array(found.relations.verdict)
    assert (told[(first < 3) | (second < 3)] == "inconclusive").all()
    assert any("always right" in note for note in found.notes)
    assert any("fewer than 10 items in common" in note for note in found.notes)


def test_models_that_are_always_wrong_with_one_letter_are_clones_not_a_failure() -> None:
    base = population(8, 400, 6)
    correct = np.where(base.correct == 0, 1, base.correct)
    chosen = base.chosen.copy()
    chosen[:2] = 0
    found = shared_mistakes(table(chosen, correct, base.options))
    assert found.pairs.clones == ((0, 1),)
    assert any("always wrong" in note for note in found.notes)


@pytest.mark.parametrize("models", [2, 3, 6])
def test_of_few_models_only_capa_is_told(models: int) -> None:
    found = shared_mistakes(population(models, 400, 1, ((0, 1),), 0.8))
    assert np.isfinite(found.capa.estimate).all()
    assert np.isnan(found.relations.estimate).all()
    assert np.isnan(found.relations.p_corrected).all()
    assert set(found.relations.verdict) == {"inconclusive"}
    assert sum("too few models" in note for note in found.notes) == 1


def test_clones_do_not_make_a_population() -> None:
    base = population(4, 400, 1)
    chosen = np.concatenate([base.chosen, base.chosen[:1], base.chosen[:1], base.chosen[:1]])
    found = shared_mistakes(table(chosen, base.correct, base.options))
    assert np.isnan(found.relations.estimate).all()
    assert any("too few models: 4" in note for note in found.notes)


def test_strong_followers_of_the_crowd_are_no_family() -> None:
    """Few voters show the pull of distractors but roughly: what they miss is shared by all that follow it closely."""
    first, second = np.triu_indices(14, 1)
    strong = (first < 4) & (second < 4)
    pulls = (1.6, 1.5, 1.6, 1.4, *(0.9,) * 10)
    alike = [
        shared_mistakes(population(14, 6000, seed, pulls=pulls)).relations.estimate[strong].mean()
        for seed in (50, 52, 54)
    ]
    assert np.mean(alike) < 0.008  # twice that without the products of traits


def test_the_same_seed_gives_the_same_numbers() -> None:
    base = population(7, 300, 9)
    first, second = mistake_pairs(base, seed=3), mistake_pairs(base, seed=3)
    assert first.residual.tobytes() == second.residual.tobytes()
    assert first.residual.tobytes() != mistake_pairs(base, seed=4).residual.tobytes()


def test_recorded_predictions_of_fourteen_models_beat_capa() -> None:
    path = SHARED / "data" / "mmlu_pro" / "predictions.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    found = shared_mistakes(read_predictions([path]))
    families = ("Llama-2-", "Meta-Llama-3", "Mistral-7B", "gemini-1.5")
    family = [next((one for one in families if name.startswith(one)), name) for name in found.predictions.models]
    first, second = np.triu_indices(len(family), 1)
    related = np.array([family[i] == family[j] for i, j in zip(first, second, strict=True)])

    def auc(values: Array) -> float:
        return float((values[related][:, None] > values[~related]).mean())

    assert auc(found.relations.estimate) > auc(found.capa.estimate) + 0.05
    assert auc(found.relations.estimate) > auc(found.agreement.same_when_both_wrong) + 0.05
