"""The two-sample test: closed forms, the level at a fixed size and at every stopping time, power, and bad samples."""

from __future__ import annotations

import asyncio
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.kinship.answer_kernels import (
    arrangements,
    contrast_variance,
    contrasts,
    hamming,
    mmd2,
    prepared,
    spectra,
    standardised,
    tail_p,
)
from hydrometer.kinship.draws import Draws, thinned
from hydrometer.kinship.evalues import Bettors, e_values, rounds, same_model_stream
from hydrometer.kinship.two_sample import same_model
from hydrometer.models.base import CallFailure, Endpoint, Message, Sampling
from hydrometer.models.registry import resolve

WORDS = ("sea", "tide", "wave", "salt", "gull", "sand", "boat", "wind", "fish", "net", "rope", "sail")


def speaker(favourites: tuple[str, ...] = (), share: float = 0.0, length: int = 8):  # type: ignore[no-untyped-def]
    """A synthetic model: random words, a share of them favourites of its own."""

    def answer(rng: np.random.Generator) -> str:
        chosen = [str(rng.choice(favourites if rng.random() < share else WORDS)) for _ in range(length)]
        return " ".join(chosen)

    return answer


def drawn(first, second, prompts: int, m: int, n: int, seed: int) -> list[Draws]:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    return [
        Draws(f"p{i}", tuple(first(rng) for _ in range(m)), tuple(second(rng) for _ in range(n)))
        for i in range(prompts)
    ]


PLAIN = speaker()
OTHER = speaker(("harbour", "lighthouse"), 0.5)

texts = st.lists(st.text(min_size=1, max_size=12), min_size=4, max_size=9)


@settings(deadline=None)
@given(texts, st.integers(2, 7))
def test_mmd2_is_the_difference_of_mean_similarities(answers: list[str], wanted: int) -> None:
    m = min(wanted, len(answers) - 2)
    gram = hamming(tuple(answers))
    dealt = arrangements(m, len(answers) - m, 5, np.random.default_rng(0))
    for row, value in zip(dealt, mmd2(gram, dealt), strict=True):
        a, b = np.flatnonzero(row == 1), np.flatnonzero(row == 0)
        within_a = np.mean([gram[i, j] for i, j in itertools.permutations(a, 2)])
        within_b = np.mean([gram[i, j] for i, j in itertools.permutations(b, 2)])
        assert value == pytest.approx(within_a + within_b - 2 * gram[np.ix_(a, b)].mean(), abs=1e-9)


def test_mmd2_of_all_arrangements_averages_to_zero() -> None:
    rng = np.random.default_rng(1)
    gram = spectra(tuple(PLAIN(rng) for _ in range(7)))
    dealt = np.array([[i in chosen for i in range(7)] for chosen in itertools.combinations(range(7), 3)], dtype=float)
    assert mmd2(gram @ gram.T, dealt).mean() == pytest.approx(0.0, abs=1e-12)


def test_hamming_counts_positions_that_agree() -> None:
    found = hamming(("abcd", "abxd", "ab", "日本"))
    assert found[0].tolist() == [1.0, 0.75, 0.5, 0.0]
    assert found[2, 3] == 0.5  # both are padded
    long = ("x" * 1000 + "a", "x" * 1000 + "b")
    assert hamming(long)[0, 1] == 1.0  # the published kernel sees no more


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=5))
def test_spectra_are_unit_vectors_of_each_text_alone(answers: list[str]) -> None:
    together = spectra(tuple(answers))
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(answers)))
    for text, row in zip(answers, together, strict=True):
        assert spectra((text,))[0] == pytest.approx(row)


def test_spectra_see_what_moved_and_what_stands_late() -> None:
    moved = ("the tide comes in at noon", "at noon the tide comes in", "quarks bind gluons by colour")
    near, far = (spectra(moved) @ spectra(moved)[0])[1:]
    assert near > 0.8 > 0.4 > far
    assert hamming(moved)[0, 1] < 0.3
    opening = " ".join(itertools.islice(itertools.cycle(WORDS), 250))
    late = (opening + " here the rabbit sleeps" * 4, opening + " 大海在远方歌唱" * 9)
    assert (hamming(late)[0, 1], len(opening) > 1000) == (1.0, True)
    assert spectra(late)[0] @ spectra(late)[1] < 0.98


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(2, 6))
def test_contrasts_have_the_variance_that_is_stated(m: int, n: int) -> None:
    rng = np.random.default_rng(m * 10 + n)
    one = prepared(tuple(PLAIN(rng) for _ in range(m)), tuple(PLAIN(rng) for _ in range(n)))
    every = itertools.combinations(range(m + n), m)
    dealt = np.array([[i in chosen for i in range(m + n)] for chosen in every], dtype=float)
    assert (contrasts(one, dealt) ** 2).mean(axis=0) == pytest.approx(contrast_variance(one), abs=1e-12)


def test_arrangements_keep_the_sizes_and_begin_with_the_observed_one() -> None:
    dealt = arrangements(3, 5, 200, np.random.default_rng(0))
    assert dealt[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert (dealt.sum(axis=1) == 3).all()
    assert np.abs(dealt[1:].mean(axis=0) - 3 / 8).max() < 0.12


def test_ties_count_against_a_difference() -> None:
    assert tail_p(np.array([1.0, 1.0 + 1e-15, 1.0 - 1e-15, 0.0])) == 0.75
    assert standardised(np.full(5, 0.3)).tolist() == [0.0] * 5


@pytest.mark.parametrize(("prompts", "m", "n"), [(1, 6, 6), (5, 4, 4), (8, 2, 5)])
def test_p_values_are_uniform_when_both_are_one_model(prompts: int, m: int, n: int) -> None:
    runs = 200
    found = np.sort(
        [
            same_model(drawn(PLAIN, PLAIN, prompts, m, n, seed), "a", "b", level=0.05, permutations=99, seed=seed).p
            for seed in range(runs)
        ]
    )
    steps = np.arange(1, runs + 1) / runs
    assert np.abs(found - steps).max() < 1.63 / math.sqrt(runs) + 0.01  # Kolmogorov-Smirnov at 1 %, p in steps of 1 %
    assert (found <= 0.05).mean() <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / runs)


def test_the_level_holds_when_prompts_have_nothing_in_common() -> None:
    def mixed(seed: int) -> list[Draws]:
        rng = np.random.default_rng(seed)
        return [
            Draws(f"p{i}", *(tuple(f"{i} " * i + str(rng.integers(1 + i)) for _ in range(n)) for n in (3, 2 + i)))
            for i in range(6)
        ]

    found = np.array([same_model(mixed(s), "a", "b", level=0.05, permutations=99, seed=s).p for s in range(200)])
    assert (found <= 0.05).mean() <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 200)


def test_a_difference_is_found_and_where_it_is() -> None:
    draws = drawn(PLAIN, PLAIN, 9, 8, 8, 3)
    rng = np.random.default_rng(4)
    draws[5] = Draws("odd", draws[5].a, tuple(OTHER(rng) for _ in range(8)))
    found = same_model(draws, "x", "y")
    assert found.verdict == "differ"
    assert found.p <= 0.01
    assert [one.prompt for one in found.most_different] == ["odd"]
    assert found.most_different[0].p_corrected <= 0.05
    assert found.most_different[0].mmd2 > 0
    words = found.discrepancies[1]
    assert words.mmd2.estimate is not None
    assert words.mmd2.low is not None
    assert words.mmd2.low <= words.mmd2.estimate


def test_a_habit_too_small_for_any_prompt_is_found_over_all() -> None:
    polite = speaker(("please",), 0.03)
    found = same_model(drawn(PLAIN, polite, 60, 4, 4, 5), "x", "y")
    assert (found.verdict, found.statistic) == ("differ", "habits")
    assert min(one.p for one in found.discrepancies) > 0.05
    assert found.most_different == ()


def slightly(share: float):  # type: ignore[no-untyped-def]
    def answer(rng: np.random.Generator) -> str:
        return str(OTHER(rng) if rng.random() < share else PLAIN(rng))

    return answer


@pytest.mark.parametrize(("prompts", "samples", "share"), [(10, 6, 0.3), (60, 2, 0.4)])
def test_the_detectable_share_is_found_four_times_of_five(prompts: int, samples: int, share: float) -> None:
    hits, shares, detectable = [], [], []
    for seed in range(40):
        draws = drawn(PLAIN, slightly(share), prompts, samples, samples, seed)
        words = same_model(draws, "x", "y", level=0.05, permutations=199, seed=seed).discrepancies[1]
        assert words.share.estimate is not None
        assert words.detectable is not None
        hits.append(words.p <= 0.05)
        shares.append(words.share.estimate)
        detectable.append(words.detectable)
    assert np.mean(shares) == pytest.approx(np.mean(detectable), rel=0.25)
    assert 0.6 < np.mean(hits) < 0.97


def test_the_share_is_as_large_from_few_samples_as_from_many() -> None:
    """Unbiased: a prompt's weight must not depend on what its answers happened to be."""
    means = []
    for prompts, samples in ((60, 2), (12, 8)):
        found = [
            same_model(drawn(PLAIN, slightly(0.5), prompts, samples, samples, seed), "x", "y", permutations=99)
            for seed in range(25)
        ]
        means.append(np.mean([one.discrepancies[1].share.estimate or 0.0 for one in found]))
    assert means[0] == pytest.approx(means[1], rel=0.2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.2, 0.4]))
def test_verdict_and_estimates_speak_one_language(seed: int, share: float) -> None:
    draws = drawn(PLAIN, slightly(share), 30, 10, 10, seed)
    found = same_model(draws, "x", "y", permutations=199, seed=seed)
    for one in found.discrepancies:
        assert one.mmd2.estimate is not None
        assert one.share.estimate is not None
        assert one.share.low is not None
        assert one.detectable is not None
        assert (one.mmd2.estimate > 0) == (one.share.estimate > 0)
        assert (one.p <= found.level) == (one.mmd2.estimate >= one.floor)
        if found.verdict == "consistent":
            assert one.share.low <= 0 or one.share.estimate <= 0
            assert one.share.estimate < one.detectable


def test_a_likely_difference_is_not_called_sameness() -> None:
    """No difference is found at the level, but the interval leaves out 0, as it does for one in 20 of such samples."""
    found = same_model(drawn(PLAIN, PLAIN, 40, 10, 10, 78), "x", "y", permutations=199)
    assert found.p > found.level
    assert max(one.share.low or 0.0 for one in found.discrepancies) > 0
    assert found.verdict == "inconclusive"
    assert "leaves out 0" in found.reason


def test_habits_are_the_same_sum_however_many_prompts_are_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = drawn(PLAIN, OTHER, 7, 3, 4, 2)
    whole = same_model(draws, "x", "y", permutations=99)
    monkeypatch.setattr("hydrometer.kinship.two_sample._PENDING", 1)
    assert same_model(draws, "x", "y", permutations=99) == whole


def test_sameness_is_said_only_where_a_difference_would_have_been_found() -> None:
    many = same_model(drawn(PLAIN, PLAIN, 30, 10, 10, 6), "x", "y")
    few = same_model(drawn(PLAIN, PLAIN, 2, 4, 4, 6), "x", "y")
    assert (many.verdict, few.verdict) == ("consistent", "inconclusive")
    assert "would have been" in many.reason
    assert "draw about" in few.reason


def test_too_few_arrangements_can_show_nothing() -> None:
    found = same_model([Draws("p", ("a b", "a c"), ("x y", "x z"))], "x", "y")
    assert found.verdict == "inconclusive"
    assert "cannot fall below 0.33" in found.reason


def test_answers_that_never_vary_are_no_draws() -> None:
    draws = [Draws(f"p{i}", ("same",) * 10, ("same" if i else "other",) * 10) for i in range(20)]
    found = same_model(draws, "x", "y")
    assert found.verdict == "inconclusive"
    assert "temperature 0" in found.reason
    assert "19 of 20 prompts" in found.reason
    assert same_model_stream(draws, "x", "y").verdict == "inconclusive"


@pytest.mark.parametrize("lag", [0, 1])
def test_copies_and_shared_seeds_are_not_two_samples(lag: int) -> None:
    rng = np.random.default_rng(0)
    answers = [tuple(PLAIN(rng) for _ in range(9)) for _ in range(30)]
    found = same_model([Draws(str(i), one[:8], one[lag : 8 + lag]) for i, one in enumerate(answers)], "x", "y")
    assert found.verdict == "inconclusive"
    assert "shared seeds" in found.reason
    assert found.counts.copied == (0 if lag else 30)


def test_empty_answers_are_counted_and_left_out() -> None:
    draws = drawn(PLAIN, OTHER, 6, 6, 6, 7)
    failing = [Draws(one.prompt, (*one.a, "", " \n"), (*one.b, "")) for one in draws]
    failing.append(Draws("down", ("",) * 5, ("",) * 5))
    found = same_model(failing, "x", "y")
    assert found.discrepancies == same_model(draws, "x", "y").discrepancies
    assert (found.counts.empty, found.counts.too_few, found.counts.prompts) == ((17, 11), 1, 6)
    assert any("1 prompt is left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        ([], "no prompt in common"),
        ([Draws("p", ("a",), ("b",)), Draws("q", ("a",), ("b",))], "answer each prompt once"),
        ([Draws("p", ("", ""), ("", "")), Draws("q", ("a", "b"), ("",))], "empty answers: 2 and 3"),
    ],
)
def test_data_without_anything_to_compare_are_refused(draws: list[Draws], message: str) -> None:
    for test in (same_model, same_model_stream):
        with pytest.raises(InputError, match=message):
            test(draws, "x", "y")


def test_a_level_out_of_reach_is_refused() -> None:
    draws = drawn(PLAIN, PLAIN, 2, 3, 3, 0)
    with pytest.raises(InputError, match="cannot be reached with 99"):
        same_model(draws, "x", "y", level=0.005, permutations=99)
    with pytest.raises(InputError, match="level is 1"):
        same_model_stream(draws, "x", "y", level=1.0)


def test_the_same_seed_gives_the_same_document() -> None:
    draws = drawn(PLAIN, OTHER, 3, 4, 5, 8)
    assert same_model(draws, "x", "y").model_dump_json() == same_model(draws, "x", "y").model_dump_json()
    assert same_model_stream(draws, "x", "y") == same_model_stream(draws, "x", "y")


def test_many_samples_of_a_prompt_are_thinned() -> None:
    rng = np.random.default_rng(0)
    kept = thinned(tuple(map(str, range(500))), rng)
    assert len(kept) == 200
    assert list(kept) == sorted(kept, key=int)
    draws = [Draws("p", tuple(f"a{i % 7}" for i in range(250)), tuple(f"a{i % 7}" for i in range(20)))]
    assert same_model(draws, "x", "y", permutations=200).counts.thinned == 50


@settings(deadline=None)
@given(st.integers(2, 400), st.integers(2, 400))
def test_rounds_hold_two_of_each_and_lose_nothing_of_even_streams(m: int, n: int) -> None:
    played = list(rounds(Draws("p", tuple(map(str, range(m))), tuple(map(str, range(n))))))
    assert all(2 <= len(side) <= 200 for one in played for side in (one.a, one.b))
    if max(m, n) <= 5 * min(m, n):
        assert tuple(itertools.chain.from_iterable(one.a for one in played)) == tuple(map(str, range(m)))
        assert all(len(one.a) <= 21 or len(one.b) <= 21 for one in played)


def test_the_e_process_keeps_its_level_at_every_stopping_time() -> None:
    runs, highest, last = 250, [], []
    for seed in range(runs):
        path = [step.log_e for step in e_values(drawn(PLAIN, PLAIN, 12, 3, 3, seed), seed)]
        highest.append(max(path))
        last.append(path[-1])
    for alpha in (0.2, 0.1, 0.05):
        crossed = float(np.mean(np.array(highest) >= -math.log(alpha)))
        assert crossed <= alpha + 2.6 * math.sqrt(alpha * (1 - alpha) / runs)
    assert np.exp(last).mean() < 1 + 4 * np.exp(last).std() / math.sqrt(runs)


def test_the_expected_payoff_is_one_whatever_was_seen_before() -> None:
    rng = np.random.default_rng(0)
    past = [prepared(one.a, one.b) for one in drawn(PLAIN, OTHER, 3, 4, 4, 1)]
    pool = tuple(PLAIN(rng) for _ in range(6))
    payoffs = []
    for chosen in itertools.combinations(range(6), 3):
        for repeat in range(20):
            bettors = Bettors(np.random.default_rng(repeat))
            for one in past:
                bettors.play(one)
            before = bettors.log_e
            rest = [i for i in range(6) if i not in chosen]
            bettors.play(prepared(tuple(pool[i] for i in chosen), tuple(pool[i] for i in rest)))
            payoffs.append(math.exp(bettors.log_e - before))
    assert np.mean(payoffs) == pytest.approx(1.0, abs=0.02)
    assert np.std(payoffs) > 0.1


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000))
def test_evidence_grows_without_bound_against_another_model(seed: int) -> None:
    found = same_model_stream(drawn(PLAIN, OTHER, 12, 6, 6, seed), "x", "y")
    assert found.verdict == "differ"
    assert found.rounds_to_difference is not None
    assert found.path[found.rounds_to_difference - 1].log_e >= found.log_e_threshold
    assert found.p <= 0.01


def test_a_long_stream_of_one_prompt_is_played_in_rounds() -> None:
    found = same_model_stream(drawn(PLAIN, OTHER, 1, 120, 120, 0), "x", "y")
    assert len(found.path) == 6
    assert found.verdict == "differ"


def test_the_embedded_model_equals_itself_and_no_other() -> None:
    pytest.importorskip("xllamacpp", reason="the extra 'embedded' is not installed")
    prompts = ("Describe the sea.", "Tell me a story.", "What is love?")

    async def sampled(name: str, seed: int) -> list[tuple[str, ...]]:
        model = resolve(name, Endpoint(timeout_s=600))

        async def one(prompt: str, sample: int) -> str:
            wanted = Sampling(temperature=1.0, max_tokens=16, seed=seed)
            try:
                return (await model.complete((Message("user", prompt),), wanted, sample)).text
            except CallFailure:
                return ""

        try:
            return [tuple([await one(prompt, sample) for sample in range(4)]) for prompt in prompts]
        finally:
            await model.aclose()

    smollm, again, gemma = (
        asyncio.run(sampled(f"embedded/{name}", seed))
        for name, seed in (("smollm2-135m-instruct", 0), ("smollm2-135m-instruct", 10**6), ("gemma-3-270m", 0))
    )
    same = same_model([Draws(p, a, b) for p, a, b in zip(prompts, smollm, again, strict=True)], "a", "b")
    other = same_model([Draws(p, a, b) for p, a, b in zip(prompts, smollm, gemma, strict=True)], "a", "b")
    assert same.p > 0.05
    assert other.verdict == "differ"
