"""From measures to findings: intervals, p-values, readings and verdicts; planted losses in the right theme."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integrity_answers import PROMPTS, K, answers, pair, samples

from hydrometer.findings import Estimate
from hydrometer.integrity.classes import answer_classes
from hydrometer.integrity.examples import lost_answers, lost_words
from hydrometer.integrity.findings import IntegrityFindings, MetricFinding, Reading
from hydrometer.integrity.inference import LEVEL, infer, mean_estimate, resampling, t_p_value
from hydrometer.integrity.loss import THEMES, measure, theme_verdict
from hydrometer.integrity.metrics import Metric
from hydrometer.integrity.samples import match
from hydrometer.integrity.separation import favourite_kept, overlap, tail_share
from hydrometer.stats import t_quantile

DRAWS = resampling(30, 400, 1)


def one_metric(teacher: np.ndarray, student: np.ndarray, **changes: object) -> MetricFinding:
    metric = Metric("m", "diversity", True, teacher, student)
    return infer([replace(metric, **changes)], resampling(len(teacher), 400, 1), 0)[0]  # type: ignore[arg-type]


def test_a_loss_is_positive_whichever_way_a_measure_runs() -> None:
    rng = np.random.default_rng(0)
    teacher = rng.normal(10, 1, 30)
    for higher, student, worst in ((True, teacher - 5, 0.0), (False, teacher + 5, 20.0)):
        found = one_metric(teacher, student, higher_is_kept=higher, worst=worst)
        assert found.loss.estimate == pytest.approx(5)
        assert found.relative == pytest.approx(0.5, rel=0.1)
        assert found.reading == "lost"
        assert one_metric(student, teacher, higher_is_kept=higher, worst=worst).reading == "gained"


def test_readings_of_intervals_and_margins() -> None:
    rng = np.random.default_rng(1)
    teacher = rng.normal(10, 1, 30)
    noise = rng.normal(0, 0.3, 30)
    noise -= noise.mean()
    assert one_metric(teacher, teacher + noise).reading == "kept"
    # Told from chance, yet all of the interval is below a tenth of what there is to lose.
    small = one_metric(teacher, teacher + noise - 0.5)
    assert small.p is not None
    assert small.p < LEVEL
    assert small.reading == "kept"
    assert one_metric(teacher, teacher + 20 * noise).reading == "inconclusive"
    assert one_metric(teacher, teacher + noise, saturated="no more").reading == "saturated"
    assert one_metric(teacher, teacher + noise, worst=None).reading == "inconclusive"
    assert one_metric(teacher, teacher + noise - 5, worst=None).reading == "lost"


def test_prompts_without_a_value_are_left_out_and_none_at_all_gives_no_figure() -> None:
    teacher, student = np.array([1.0, 2.0, np.nan, 4.0]), np.array([1.0, np.nan, 3.0, 3.0])
    found = one_metric(teacher, student)
    assert found.loss.n == 2
    assert found.loss.estimate == pytest.approx(0.5)
    assert found.teacher.estimate == pytest.approx(2.5)
    assert found.teacher_values == (1.0, 2.0, None, 4.0)
    empty = one_metric(np.full(4, np.nan), student)
    assert (empty.loss.estimate, empty.p, empty.reading) == (None, None, "inconclusive")


def test_no_difference_seen_at_few_prompts_is_no_proof_of_none() -> None:
    same = np.ones(10)
    found = one_metric(same, same)
    assert found.loss.high == pytest.approx(0.3)
    assert found.reading == "inconclusive"
    assert one_metric(np.ones(60), np.ones(60)).reading == "kept"


def test_a_measure_over_the_whole_set_rests_on_its_resamples() -> None:
    rng = np.random.default_rng(2)
    resampled = rng.normal(0.9, 0.02, 400), rng.normal(0.5, 0.02, 400)
    found = infer([Metric("m", "coverage", True, np.array([0.9]), np.array([0.5]), resampled)], DRAWS, 0)[0]
    half = t_quantile(0.975, 29) * math.hypot(0.02, 0.02) * math.sqrt(30 / 29)
    assert found.loss.high == pytest.approx(0.4 + half, rel=0.1)
    assert found.p_corrected is not None
    assert found.p_corrected < 1e-6
    assert found.loss.n == 30


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 8), st.integers(2, 60))
def test_p_values_of_students_t_invert_its_quantiles(statistic: float, freedom: int) -> None:
    p = t_p_value(statistic, freedom)
    assert t_quantile(1 - p / 2, freedom) == pytest.approx(statistic, rel=0.02)


def test_intervals_of_means_hold_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        found = mean_estimate(rng.exponential(1, 30), DRAWS)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1 <= found.high
    assert 0.9 < held / 300 < 0.99


def finding(
    reading: Reading, half: float = 0.05, saturated: str = "", name: str = "m", at: float = 0.0
) -> MetricFinding:
    loss = Estimate(estimate=at, low=at - half, high=at + half, n=9)
    return MetricFinding(
        name=name, theme="tail", unit="", higher_is_kept=True, teacher=loss, student=loss, loss=loss, relative=0.0,
        margin=0.1, p=1.0, p_corrected=1.0, reading=reading, saturated=saturated, teacher_values=(), student_values=(),
    )  # fmt: skip


def test_verdicts_of_themes() -> None:
    kept, lost, vague = finding("kept"), finding("lost"), finding("inconclusive", half=0.5)
    assert theme_verdict([kept, kept, lost], "m") == "lost"
    assert theme_verdict([kept, finding("gained"), vague], "lead") == "kept"
    assert theme_verdict([kept, vague, vague], "lead") == "inconclusive"
    assert theme_verdict([finding("kept", name="lead"), vague, vague], "lead") == "kept"
    assert theme_verdict([finding("kept", name="lead"), finding("inconclusive")], "lead") == "inconclusive"
    assert theme_verdict([finding("kept", name="lead"), finding("inconclusive", half=0.5, at=0.59)], "lead") == "kept"
    beyond = finding("inconclusive", half=0.5, at=0.61)
    assert theme_verdict([finding("kept", name="lead"), beyond], "lead") == "inconclusive"
    assert theme_verdict([finding("saturated", saturated="no more")], "m") == "inconclusive"
    assert theme_verdict([vague], "m") == "inconclusive"


def verdicts(found: IntegrityFindings) -> dict[str, str]:
    return {one.theme: one.verdict for one in found.themes}


def of(found: IntegrityFindings, name: str) -> float:
    (one,) = [metric for metric in found.metrics if metric.name == name]
    return one.relative or 0.0


def test_fewer_answers_lose_coverage_and_diversity_but_no_openings() -> None:
    none, some, most = (measure(pair(5, classes=n)) for n in (6, 3, 1))
    for name in ("same answer twice", "classes kept"):
        assert of(none, name) < of(some, name) < of(most, name), name
    assert verdicts(most)["diversity"] == verdicts(most)["coverage"] == "lost"
    assert verdicts(most)["openings"] != "lost"
    assert "lost" not in verdicts(none).values()
    assert most.answers_lost > none.answers_lost


def test_one_opening_everywhere_loses_openings_and_no_other_leading_measure() -> None:
    found = measure(pair(6, stock=True))
    leads = {one.name: one.reading for one in found.metrics if one.name in THEMES.values()}
    assert [name for name, reading in leads.items() if reading == "lost"] == ["opening used elsewhere"]
    assert verdicts(found)["diversity"] != "lost"


def test_a_narrower_student_keeps_the_favourite_and_one_without_it_does_not() -> None:
    narrow, without = measure(pair(11, temperature=0.3)), measure(pair(11, without=1))
    assert 3 * of(narrow, "favourite answers kept") < of(without, "favourite answers kept")
    assert of(narrow, "same answer twice") > 3 * abs(of(without, "same answer twice"))


def test_a_stock_text_at_every_prompt_is_homogenisation() -> None:
    def framed(rows: list[list[str]], stock: bool) -> list[list[str]]:
        words = [f"stock{number}" for number in range(12)]
        return [
            [f"{text} {' '.join(words if stock else [f'{word}p{at}' for word in words])}" for text in row]
            for at, row in enumerate(rows)
        ]

    teacher = samples("t", framed(answers(22), stock=False))
    found = measure(match(samples("s", framed(answers(23), stock=True)), teacher))
    assert verdicts(found)["homogenisation"] == "lost"
    none = measure(match(samples("s", framed(answers(23), stock=False)), teacher))
    assert verdicts(none)["homogenisation"] == "kept"


def test_the_favourite_by_hand() -> None:
    seen, other = np.array([[0, 0, 1], [1, 1, 2], [1, 2, 3], [0, 0, 1]]), np.array([[0, 2], [2, 0], [1, 1], [0, 0]])
    found = favourite_kept(seen, other)
    assert found == pytest.approx([1, 0, 1 / 3, 1])
    assert favourite_kept(np.array([[0, 0, 1, 1]]), np.array([[1, 2]])).tolist() == [0.5]


def test_a_model_against_itself_is_not_flagged() -> None:
    flagged = total = 0
    for seed in range(12):
        found = measure(pair(20 + seed), seed=seed)
        flagged += sum(one.reading in {"lost", "gained"} for one in found.metrics)
        total += len(found.metrics)
    assert flagged <= 0.05 * total


def test_the_same_input_and_seed_give_the_same_findings() -> None:
    assert measure(pair(7), seed=3) == measure(pair(7), seed=3)


def test_a_student_that_always_gives_one_answer_has_fewer_classes_than_its_teacher() -> None:
    theirs, ours = answer_classes(pair(8, temperature=0.05))
    assert {len(np.unique(row)) for row in ours} == {1}
    assert np.mean([len(np.unique(row)) for row in theirs]) > 3


def test_classes_are_those_that_were_planted_whatever_the_opening() -> None:
    for lost in ({}, {"stock": True}, {"classes": 2}):
        matched = pair(9, **lost)
        for side, labels in zip((matched.teacher, matched.student), answer_classes(matched), strict=True):
            for texts, found in zip(side.texts, labels, strict=True):
                planted = [re.findall(r"c[0-9]+x([0-9]+)w", text)[0] for text in texts]
                pairs = set(zip(planted, found.tolist(), strict=True))
                assert len(pairs) == len(set(planted)) == len(set(found.tolist()))


def test_overlap_is_one_for_equal_and_the_root_of_the_mass_for_a_dropped_half() -> None:
    rng = np.random.default_rng(9)
    draws = np.ones((1, 400))
    for k in (3, 12):
        teacher, same = (rng.integers(0, 8, (400, k)) for _ in range(2))
        assert overlap((teacher, same), draws).student[0] == pytest.approx(1, abs=0.12)
        assert overlap((teacher, same // 2), draws).student[0] == pytest.approx(math.sqrt(0.5), abs=0.1)
    apart = overlap((np.zeros((5, 4), dtype=np.int64), np.ones((5, 4), dtype=np.int64)), np.ones((2, 5)))
    assert apart.student[0] == 0
    never_twice = overlap((np.arange(20).reshape(5, 4), np.arange(20).reshape(5, 4)), np.ones((2, 5)))
    assert math.isnan(never_twice.student[0])
    few = np.arange(40).reshape(10, 4)
    few[:4, :2] = 0
    assert math.isnan(overlap((few, few), np.ones((2, 10))).student[0])
    assert "k = 4" in overlap((few, few), np.ones((2, 10))).saturated
    few[4, :2] = 0
    assert overlap((few, few), np.ones((2, 10))).student[0] > 0


def test_the_share_of_rare_words_by_hand() -> None:
    rows = [[f"one two three usual usual rare{prompt}", "one two three usual usual usual"] for prompt in range(20)]
    plain = [["one two three usual usual usual", "one two three usual usual more"] for _ in range(20)]
    found = tail_share(match(samples("s", plain), samples("t", rows)))
    assert found.teacher == pytest.approx(np.full(20, 1 / 6))
    assert found.student == pytest.approx(np.zeros(20))


def test_of_a_handful_of_prompts_a_word_of_one_is_rare() -> None:
    said = [[f"Well then, this common word{prompt}"] * 2 for prompt in range(4)]
    other = [["Well then, this common common"] * 2 for _ in range(4)]
    found = tail_share(match(samples("s", other), samples("t", said)))
    assert found.teacher == pytest.approx(np.full(4, 1 / 2))
    assert found.student == pytest.approx(np.zeros(4))


def test_examples_are_the_teachers_frequent_answers_and_rare_words() -> None:
    teacher = [["Choose Lisbon for its light."] * 3 + ["Choose Osaka for food."] for _ in range(2)]
    student = [["Choose Osaka for food."] * 3 + ["Choose Quito high up."] for _ in range(2)]
    matched = match(samples("s", student), samples("t", teacher))
    found, lost, seen = lost_answers(matched, answer_classes(matched))
    assert (lost, seen) == (2, 2)
    assert found[0].answer == "Choose Lisbon for its light."
    assert found[0].count == 3
    assert found[0].instead == "Choose Osaka for food."
    assert found[0].question == "What about matter 0?"
    assert lost_words(matched) == ()
    alone = match(samples("s", [student[0], student[1]]), samples("t", [teacher[0], student[1][::-1]]))
    assert [(one.word, one.count, one.prompt) for one in lost_words(alone)] == [
        ("light", 3, "p00"),
        ("lisbon", 3, "p00"),
    ]


def test_measures_come_with_an_interval_and_one_correction() -> None:
    found = measure(pair(10))
    assert found.prompts == PROMPTS
    assert found.k == K
    assert [one.theme for one in found.themes] == list(THEMES)[:5]
    assert len(answers(0)) == PROMPTS
    for one in found.metrics:
        for estimate in (one.teacher, one.student, one.loss):
            assert (estimate.estimate is None) or (estimate.low is not None and estimate.high is not None), one.name
        assert (one.p is None) == (one.p_corrected is None)
        if one.p is not None and one.p_corrected is not None:
            assert one.p_corrected >= one.p
