"""Residual similarity: closed forms, clones that share one vote, samples, missing answers, blocks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_core_samples import population, table_of, table_of_frame

from hydrometer.errors import InputError
from hydrometer.kinship import pairs as pairs_file
from hydrometer.kinship.clones import Clones, find_clones
from hydrometer.kinship.cosines import gram_on, mean_over_samples, sparse_gram
from hydrometer.kinship.expected import covariates, expectation
from hydrometer.kinship.habits import habits
from hydrometer.kinship.pairs import PairBlocks, pair_index, residual_pairs, select


def residuals(pairs: PairBlocks) -> dict[tuple[str, str], float]:
    first, second = np.triu_indices(len(pairs.models), 1)
    mean = pairs.residual.sum(axis=0) / pairs.common.sum(axis=0)
    return {
        (pairs.models[i], pairs.models[j]): float(value)
        for i, j, value in zip(first.tolist(), second.tolist(), mean.tolist(), strict=True)
    }


@settings(deadline=None)
@given(st.integers(2, 25), st.integers(1, 60), st.floats(0.02, 0.9), st.integers(0, 999))
def test_sparse_gram_equals_the_dense_product(rows: int, columns: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((rows, columns)) < density, rng.random((rows, columns)), 0.0)
    column, row = np.nonzero(dense.T)
    found = sparse_gram(row, column, dense[row, column], (rows, columns))
    off = ~np.eye(rows, dtype=bool)
    np.testing.assert_allclose(found[off], (dense @ dense.T)[off], atol=1e-5)


@settings(deadline=None)
@given(st.integers(4, 12), st.integers(0, 999))
def test_expectation_with_a_constant_alone_is_double_centring(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = rng.random((k, k))
    raw = half + half.T
    basis = np.full((k, 1), 1 / np.sqrt(k))
    residual = raw - expectation(raw, basis, np.arange(k), np.ones(k))
    np.fill_diagonal(residual, 0)
    np.testing.assert_allclose(residual.sum(axis=1), 0, atol=1e-6)


def test_expectation_takes_out_what_length_explains() -> None:
    rng = np.random.default_rng(0)
    words, votes = rng.integers(5, 150, 60).astype(float), np.ones(60)
    basis = covariates(words, rng.random(60), votes)
    assert basis.shape == (60, 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-9)
    length = np.log1p(words) - np.log1p(words).mean()
    raw = 0.3 + 0.1 * np.outer(length, length)
    expected = expectation(raw, basis, np.arange(60), votes)
    off = ~np.eye(60, dtype=bool)
    np.testing.assert_allclose(expected[off], raw[off], atol=1e-6)


@pytest.mark.parametrize(("models", "columns"), [(5, 1), (25, 2), (39, 3), (40, 4)])
def test_few_models_carry_few_covariates(models: int, columns: int) -> None:
    rng = np.random.default_rng(1)
    assert (
        covariates(rng.integers(5, 150, models).astype(float), rng.random(models), np.ones(models)).shape[1] == columns
    )


def test_a_copying_model_stands_out_and_the_others_do_not() -> None:
    found = residuals(residual_pairs(table_of(population(8, 60, copies={5: (2, 0.5)}))))
    related = found.pop(("m2", "m5"))
    assert related > 0.1
    assert max(map(abs, found.values())) < 0.05


def test_clones_are_found_share_one_vote_and_reach_one() -> None:
    rows = population(9, 50, copies={5: (2, 0.4)})
    alone = residual_pairs(table_of(rows))
    again = rows + [(f"copy{k}", prompt, text) for k in range(3) for model, prompt, text in rows if model == "m2"]
    joined = residual_pairs(table_of(again))
    assert alone.clones == ()
    assert [sorted(joined.models[i] for i in group) for group in joined.clones] == [["copy0", "copy1", "copy2", "m2"]]
    before, after = residuals(alone), residuals(joined)
    for pair, value in before.items():
        assert after[pair] == pytest.approx(value, abs=2e-5)
    assert after["copy0", "m2"] == pytest.approx(1, abs=1e-5)
    assert after["copy1", "copy2"] == pytest.approx(1, abs=1e-5)


def test_near_clones_are_found_and_relatives_are_not() -> None:
    table = table_of(population(9, 50, copies={5: (2, 0.97), 6: (3, 0.5)}))
    assert find_clones(habits(table), 9, sparse_gram).groups() == ((2, 5),)


def test_the_same_answer_of_all_is_no_sign_of_clones() -> None:
    rows = population(6, 20) + [(f"m{m}", f"same{p}", f"the answer is {p}") for m in range(6) for p in range(60)]
    assert residual_pairs(table_of(rows)).clones == ()


def test_votes_count_the_clones_that_are_there() -> None:
    clones = Clones(np.array([0, 0, 0, 3]))
    np.testing.assert_allclose(clones.votes(np.array([0, 1, 2, 3])), [1 / 3, 1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(clones.votes(np.array([0, 2, 3])), [1 / 2, 1 / 2, 1])


def test_samples_are_averaged_and_tell_resampled_similarity() -> None:
    rows = [(model, prompt, 0, text) for model, prompt, text in population(7, 30, seed=1)]
    again = [(model, prompt, 1, text) for model, prompt, text in population(7, 30, seed=1) if model == "m3"]
    other = [(model, prompt, 1, text) for model, prompt, text in population(7, 30, seed=2) if model == "m4"]
    frame = pl.DataFrame(rows + again + other, schema=["model", "prompt_id", "sample", "response"], orient="row")
    found = residual_pairs(table_of_frame(frame))
    own = dict(zip(found.models, found.resampled.tolist(), strict=True))
    assert own["m3"] == pytest.approx(1, abs=1e-6)
    assert abs(own["m4"]) < 0.5
    assert np.isnan(own["m0"])
    single = residuals(residual_pairs(table_of_frame(frame.filter(pl.col("sample") == 0))))
    assert residuals(found)["m0", "m3"] == pytest.approx(single["m0", "m3"], abs=0.02)


def test_mean_over_samples_by_hand() -> None:
    cosine = np.array([[1.0, 0.2, 0.4], [0.2, 1.0, 0.6], [0.4, 0.6, 1.0]])
    between, own = mean_over_samples(cosine, np.array([0, 1, 1]), 2)
    np.testing.assert_allclose(between, [[1, 0.3], [0.3, 1]])
    np.testing.assert_allclose(own, [np.nan, 0.6])


def test_missing_and_empty_answers_do_not_count() -> None:
    rows = [(m, p, "" if (m, p) == ("m1", "p0") else text) for m, p, text in population(6, 12)]
    rows = [row for row in rows if row[:2] != ("m0", "p3")]
    found = residual_pairs(table_of(rows))
    common = dict(zip(residuals(found), found.common.sum(axis=0).tolist(), strict=True))
    assert common["m0", "m1"] == 10
    assert common["m0", "m2"] == 11
    assert common["m2", "m3"] == 12


def test_no_common_prompt_is_unknown_not_zero() -> None:
    rows = [row for row in population(6, 20) if not (row[0] == "m0" and int(row[1][1:]) < 10)]
    rows = [row for row in rows if not (row[0] == "m1" and int(row[1][1:]) >= 10)]
    found = residual_pairs(table_of(rows))
    ends = sorted((found.models.index("m0"), found.models.index("m1")))
    place = int(pair_index(np.array(ends), 6)[0])
    assert found.common[:, place].sum() == 0
    assert np.isnan(found.raw[place])


def test_chinese_and_mixed_languages() -> None:
    rng = np.random.default_rng(3)
    han = [chr(0x4E00 + k) for k in range(200)]
    rows = []
    for prompt in range(30):
        said = [rng.choice(han, 60) for _ in range(5)]
        said.append(np.where(rng.random(60) < 0.6, said[1], rng.choice(han, 60)))
        rows += [(f"m{m}", f"p{prompt}", "".join(text)) for m, text in enumerate(said)]
        rows += [("english", f"p{prompt}", " ".join(rng.choice(["a", "b", "c"], 9)))]
    found = residuals(residual_pairs(table_of(rows)))
    assert max(found, key=lambda pair: found[pair]) == ("m1", "m5")


def test_blocks_hold_every_prompt_once_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(population(5, 23))
    assert residual_pairs(table).residual.shape == (23, 10)
    monkeypatch.setattr(pairs_file, "MAX_BLOCKS", 6)
    few = residual_pairs(table)
    assert few.residual.shape == (6, 10)
    assert few.common.sum(axis=0).tolist() == [23] * 10
    assert sorted(few.common[:, 0].tolist()) == [3, 4, 4, 4, 4, 4]


def test_the_same_seed_gives_the_same_bytes_and_another_deals_anew() -> None:
    table = table_of(population(5, 30))
    one, two, other = residual_pairs(table), residual_pairs(table), residual_pairs(table, seed=1)
    assert one.residual.tobytes() == two.residual.tobytes()
    assert one.residual.tobytes() != other.residual.tobytes()
    np.testing.assert_allclose(one.residual.sum(axis=0), other.residual.sum(axis=0), atol=1e-4)


def test_the_strongest_prompts_are_remembered() -> None:
    table = table_of(population(5, 12))
    found = residual_pairs(table)
    assert found.strongest is not None
    assert found.carried is not None
    block_of = np.random.default_rng(0).permutation(12) % 12
    by_prompt = found.residual[block_of]
    np.testing.assert_array_equal(found.strongest, np.argsort(-by_prompt, axis=0, kind="stable")[:5].T)
    np.testing.assert_allclose(found.carried, np.sort(by_prompt, axis=0)[::-1][:5].T)


def test_select_keeps_the_pairs_of_some_models() -> None:
    rows = population(6, 20)
    found = residual_pairs(table_of(rows + [("twin", p, text) for m, p, text in rows if m == "m4"]))
    some = select(found, [1, 4, 6])
    assert some.models == ("m1", "m4", "twin")
    assert some.clones == ((1, 2),)
    assert residuals(some) == pytest.approx(
        {pair: value for pair, value in residuals(found).items() if set(pair) <= set(some.models)}, rel=1e-5
    )


@pytest.mark.parametrize("models", [1, 2, 3])
def test_too_few_models_is_one_line(models: int) -> None:
    with pytest.raises(InputError, match="cannot show what everybody says"):
        residual_pairs(table_of(population(models, 12)))


def test_an_unknown_device_is_one_line() -> None:
    for device in ("tpu", "mps", ""):
        with pytest.raises(InputError, match=rf"device '{device}' is unknown\. Give cpu or cuda\."):
            gram_on(device)


def test_a_device_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match="cuda"):
        gram_on("cuda")
