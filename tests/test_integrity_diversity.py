"""Measures of diversity against closed forms and hand-counted values."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.integrity import diversity as d
from hydrometer.integrity.classes import answer_classes, cluster, similarities
from hydrometer.integrity.embedding import Space, lexical_space, unit_rows, units
from hydrometer.integrity.homogenisation import across, homogenisation
from hydrometer.integrity.samples import Samples, match

WORDS = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=9), min_size=2, max_size=6)


def samples(model: str, rows: list[list[str]]) -> Samples:
    ids = tuple(f"p{number}" for number in range(len(rows)))
    return Samples(
        model, ids, tuple(map(tuple, rows)), ("en",) * len(rows), ("open",) * len(rows), ("Say something.",) * len(rows)
    )


def test_distinct_n_by_hand() -> None:
    texts = [["the", "cat", "sat"], ["the", "cat", "ran"]]
    assert d.distinct_n(texts, 1) == pytest.approx(4 / 6)
    assert d.distinct_n(texts, 2) == pytest.approx(3 / 4)
    assert d.distinct_n(texts, 3) == 1
    assert math.isnan(d.distinct_n(texts, 4))


def test_expectation_adjusted_distinct_is_one_for_random_words_of_any_length() -> None:
    rng = np.random.default_rng(0)
    for length in (50, 400):
        found = [
            d.expectation_adjusted_distinct([[str(w) for w in rng.integers(0, 300, length)] for _ in range(5)], 300)
            for _ in range(60)
        ]
        assert np.mean(found) == pytest.approx(1, abs=0.01)


def test_self_bleu_by_hand() -> None:
    # Against each other: 1-grams 3 of 4, 2-grams 2 of 3, 3-grams 1 of 2, 4-grams none of 1, counted as a half.
    texts = [["a", "b", "c", "d"], ["a", "b", "c", "e"]]
    assert d.self_bleu(texts) == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25)
    assert d.self_bleu([["a", "b"], ["a", "b"]]) == pytest.approx(1)
    # "a" against two words: brevity penalty exp(1 - 2); "a b" against "a": 1 of 2 words, no pair, counted as a half.
    assert d.self_bleu([["a"], ["a", "b"]]) == pytest.approx((math.exp(-1) + (1 / 2 * 1 / 2) ** 0.5) / 2)


def plain_bleu(text: list[str], others: list[list[str]]) -> float:
    logs = []
    for n in range(1, 5):
        own = Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
        if not own:
            continue
        best: Counter[tuple[str, ...]] = Counter()
        for other in others:
            best |= Counter(tuple(other[i : i + n]) for i in range(len(other) - n + 1))
        logs.append(math.log(max((own & best).total(), 0.5) / own.total()))
    near = min((abs(len(other) - len(text)), len(other)) for other in others)[1]
    return math.exp(min(0.0, 1 - near / len(text)) + sum(logs) / len(logs))


@given(WORDS)
def test_self_bleu_equals_the_plain_definition(texts: list[list[str]]) -> None:
    expected = np.mean([plain_bleu(text, texts[:at] + texts[at + 1 :]) for at, text in enumerate(texts)])
    assert d.self_bleu(texts) == pytest.approx(expected)


def test_vendi_of_known_sets() -> None:
    same = np.tile(np.eye(4)[0], (6, 1))
    assert d.vendi(same) == pytest.approx(1)
    assert d.vendi(np.eye(5)) == pytest.approx(5)
    assert d.vendi(np.eye(2)[[0, 0, 1, 1]]) == pytest.approx(2)
    unequal = np.eye(2)[[0, 0, 0, 1]]
    assert d.vendi(unequal) == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


def test_collision_is_unbiased_and_entropy_nearly_so_at_small_k() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    true = -(shares * np.log2(shares)).sum()
    for k in (3, 10):
        draws = rng.choice(4, size=(4000, k), p=shares)
        assert np.mean([d.collision(row) for row in draws]) == pytest.approx((shares**2).sum(), abs=0.015)
        plug_in = np.mean([-(p := np.bincount(row)[np.bincount(row) > 0] / k) @ np.log2(p) for row in draws])
        assert abs(np.mean([d.entropy(row) for row in draws]) - true) < abs(plug_in - true)


def test_entropy_of_one_label_is_nothing() -> None:
    assert d.entropy(["a"] * 7) == 0
    assert d.collision(["a"] * 7) == 1
    assert d.collision(["a", "b"]) == 0


def test_compression_grows_with_repetition() -> None:
    assert d.compression_ratio(["one and the same answer to everything"] * 10) > d.compression_ratio(
        [f"{chr(97 + n) * 3} {n * 7919} {'qwertyuiop'[n]}{'asdfghjklz'[-n]} line" for n in range(10)]
    )
    assert math.isnan(d.compression_ratio([]))


ANSWERS = [
    "I would pick Lisbon because the light over the river is unlike anything.",
    "My choice is Lisbon, since the light over the river is unlike anything else.",
    "I would pick Osaka because of its street food.",
    "My choice is Osaka, since its street food cannot be matched.",
    "I would pick Quito because it lies between volcanoes.",
]


def likeness(texts: list[str]) -> np.ndarray:
    return similarities([list(dict.fromkeys(units(text))) for text in texts], [len(texts)], defaultdict(lambda: 1.0))


def test_classes_hold_what_says_the_same() -> None:
    assert cluster(likeness(ANSWERS)).tolist() == [0, 0, 1, 1, 2]
    chinese = ["我会选择里斯本,因为河上的光", "我会选择里斯本,因为河上的光很美", "我会选择大阪,因为街头小吃"]
    assert cluster(likeness(chinese)).tolist() == [0, 0, 1]
    assert cluster(likeness(["yes", "yes", "no"])).tolist() == [0, 0, 1]
    assert cluster(likeness(["", "", "no"])).tolist() == [0, 0, 1]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_clusters_of_perfect_groups_are_the_groups(groups: list[int]) -> None:
    found = cluster((np.array(groups)[:, None] == np.array(groups)).astype(float)).tolist()
    seen: dict[int, int] = {}
    assert found == [seen.setdefault(group, len(seen)) for group in groups]


def test_classes_number_both_models_together() -> None:
    teacher = samples("t", [[ANSWERS[0], ANSWERS[2], ANSWERS[4]]])
    student = samples("s", [[ANSWERS[1], ANSWERS[1] + " Yes.", ANSWERS[3]]])
    theirs, ours = answer_classes(match(student, teacher))
    assert theirs.tolist() == [[0, 1, 2]]
    assert ours.tolist() == [[0, 0, 1]]


def collapsed(rows: list[list[str]]) -> list[list[str]]:
    return [[row[0]] * (len(row) - 1) + [row[0] + " Truly."] for row in rows]


def test_a_student_that_repeats_itself_loses_on_every_measure() -> None:
    rng = np.random.default_rng(2)
    words = [f"word{number}" for number in range(400)]
    rows = [[" ".join(rng.choice(words, 30)) for _ in range(6)] for _ in range(8)]
    matched = match(samples("s", collapsed(rows)), samples("t", rows))
    for metric in d.diversity(matched, lexical_space(matched), answer_classes(matched)):
        loss = metric.teacher - metric.student if metric.higher_is_kept else metric.student - metric.teacher
        assert (loss > 0).all(), metric.name


def test_lexical_space_puts_like_answers_near_each_other() -> None:
    apples = ["red apples grow on old trees", "old trees where red apples grow"]
    rows = [[*apples, "ships sail at dawn from the harbour"]] * 3
    matched = match(samples("s", rows), samples("t", [[*row[:2], "boats leave early"] for row in rows]))
    space = lexical_space(matched)
    one = space.student[0]
    assert np.linalg.norm(one, axis=1) == pytest.approx(1)
    assert one[0] @ one[1] > 0.4 > 0.1 > one[0] @ one[2]
    again = lexical_space(matched)
    assert (space.teacher == again.teacher).all()


def test_unit_rows_leave_nothing_at_nothing() -> None:
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0, 0]]


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_across_equals_the_mean_over_drawn_pairs(prompts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    likeness = rng.random((prompts, prompts))
    likeness += likeness.T
    drawn = rng.integers(0, prompts, 7)
    weights = np.bincount(drawn, minlength=prompts)[None, :].astype(float)
    pairs = [likeness[a, b] for i, a in enumerate(drawn) for j, b in enumerate(drawn) if i != j and a != b]
    found = across(likeness, weights)[0]
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


def test_one_opening_everywhere_is_seen_across_prompts_alone_where_it_is_new_to_each_answer() -> None:
    rng = np.random.default_rng(3)
    words = [f"word{number}" for number in range(300)]
    rows = [[" ".join(rng.choice(words, 12)) for _ in range(4)] for _ in range(6)]
    same = [["Great question indeed " + text for text in row] for row in rows]
    matched = match(samples("s", same), samples("t", rows))
    draws = rng.multinomial(6, np.full(6, 1 / 6), size=50).astype(float)
    shared, alike, openings = homogenisation(matched, lexical_space(matched), draws)
    assert openings.teacher[0] == 0
    assert openings.student[0] == 1
    assert openings.resampled is not None
    assert openings.resampled[1] == pytest.approx(1)
    assert alike.student[0] > alike.teacher[0]
    assert shared.student[0] == pytest.approx(shared.teacher[0], rel=0.3)


def test_saturation_is_said() -> None:
    rows = [[f"alpha{p} beta{k} gamma{k}" for k in range(3)] for p in range(4)]
    other = [[f"delta{p}{k} eps{k} zeta{k}" for k in range(3)] for p in range(4)]
    matched = match(samples("s", other), samples("t", rows))
    ones = np.tile([1.0, 0.0], (4, 3, 1))
    classes = np.tile(np.arange(3), (4, 1)), np.zeros((4, 3), dtype=np.int64)
    first = d.diversity(matched, Space(ones, ones, "given"), classes)[0]
    assert first.saturated == "At k = 3 the teacher reached the most that can be counted."
