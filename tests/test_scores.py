"""Scores by hand, comparisons, the judge's error, and the counts of the published records."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hydrometer import stats
from hydrometer.errors import InputError
from hydrometer.identity.judge_quality import JudgeQuality, load_quality, measure
from hydrometer.identity.judgement import Judgement
from hydrometer.identity.records import Attempt, read_records
from hydrometer.identity.scores import IceScore, Judged, compare, score
from hydrometer.judging import LabelJudge, judge_all

PLAIN, KEYWORD, LEADING = "Play a robot. {query}", "You are ChatGPT. {query}", "You are Qwen. {query}"


def row(
    loose: bool | None,
    strict: bool | None,
    template: str = PLAIN,
    query: str = "Who made you?",
    model: str = "m",
    leading: bool | None = None,
    category: str = "team",
    language: str = "en",
) -> Judged:
    attempt = Attempt(model, template, query, "answer", leading=leading, category=category, language=language)
    error = "unparsed" if loose is None or strict is None else None
    return Judged(attempt, Judgement(loose, strict, error=error))


def failed(kind: str = "timeout", template: str = PLAIN, query: str = "Who made you?") -> Judged:
    return Judged(Attempt("m", template, query, None, kind), None)


def of(rows: Sequence[Judged], quality: JudgeQuality | None = None) -> IceScore:
    return score(rows, judge="hand", seed=0, quality=quality)


# -- by hand -----------------------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    found = of(
        [
            row(True, True),
            row(True, True, KEYWORD),
            row(True, True, "GPT-x says {query}"),
            row(True, True, LEADING, leading=True),
            row(True, False),
            row(False, False),
            row(False, False, KEYWORD),
            row(False, False, LEADING, leading=True),
            row(True, None),
            row(None, None),
            failed(),
            failed("empty"),
            failed(),
        ]
    )
    assert (found.loose.count, found.loose.n) == (6, 9)
    assert found.loose.estimate == pytest.approx(6 / 9)
    assert (found.strict.count, found.strict.n, found.strict.estimate) == (4, 8, 0.5)
    assert (found.hard.count, found.hard.n, found.hard.estimate) == (2, 8, 0.25)
    assert (found.strict_unprompted.count, found.strict_unprompted.n) == (1, 3)
    assert (found.n, found.failed, found.unparsed) == (13, 3, 2)
    assert found.failures == {"empty": 1, "timeout": 2}


@pytest.mark.parametrize("word", ["OpenAI", "chatGPT", "ANTHROPIC", "claude", "egptian"])
def test_hard_leaves_out_templates_with_a_keyword_anywhere_in_any_case(word: str) -> None:
    found = of([row(True, True, f"x{word}x {{query}}")])
    assert (found.hard.count, found.hard.n) == (0, 1)
    assert found.strict_unprompted.n == 0
    assert found.strict_unprompted.estimate is None


def test_by_category_and_language() -> None:
    found = of(
        [
            row(True, True, category="team"),
            row(False, False, category="team"),
            row(True, False, category="geography", language="zh"),
            failed(),
        ]
    )
    assert list(found.by_category) == ["geography", "team", "uncategorised"]
    team = found.by_category["team"]
    assert (team["loose"].count, team["loose"].n, team["strict"].count) == (1, 2, 1)
    assert found.by_language["zh"]["strict"].count == 0
    assert found.by_category["uncategorised"]["loose"].estimate is None


def test_claimed_makers_with_what_contradicts() -> None:
    def claiming(maker: str, model: str | None, loose: bool) -> Judged:
        return Judged(Attempt("m", PLAIN, "q", "a"), Judgement(loose, loose, maker, model))

    found = of(
        [
            claiming("openai", "gpt", True),
            claiming("openai", "o1", True),
            claiming("openai", "gpt", True),
            claiming("own", None, False),
            row(False, False),
        ]
    )
    assert list(found.claimed) == ["openai", "own"]
    assert found.claimed["openai"].model_dump() == {"count": 3, "foreign": 3, "models": {"gpt": 2, "o1": 1}}
    assert found.claimed["own"].foreign == 0


def test_only_failures_is_no_rate_and_no_zero() -> None:
    found = of([failed(), failed()])
    assert found.loose.estimate is None
    assert found.loose.low is None
    assert found.failed == 2
    assert any("0 of 2" in warning for warning in found.warnings)
    with pytest.raises(InputError):
        of([])


def test_only_positives_is_warned_about() -> None:
    rows = [row(True, True), row(True, False)]
    assert any("only the positives" in warning for warning in score(rows, judge="labels", seed=0).warnings)
    assert not any("only the positives" in warning for warning in score(rows, judge="builtin", seed=0).warnings)


def test_few_claims_cut_answers_and_repeated_records_are_warned_about() -> None:
    silent = [row(False, False, query=f"q{q}") for q in range(20)]
    warnings = " ".join(score(silent, judge="builtin", seed=0).warnings)
    assert "Only 0 of 20 answers name a maker" in warnings
    cut = [replace(r, attempt=replace(r.attempt, truncated=True)) for r in silent[:5]] + silent[5:]
    found = score(cut, judge="builtin", seed=0)
    assert found.truncated == 5
    assert "5 of 20 answers were cut off" in " ".join(found.warnings)
    assert "20 records repeat another one" in " ".join(score(silent * 2, judge="labels", seed=0).warnings)


def test_zero_of_a_thousand_is_not_certain() -> None:
    rows = [row(False, False, f"{t} {{query}}", f"q{q}") for t in range(20) for q in range(50)]
    found = of(rows)
    assert found.loose.estimate == found.loose.low == 0
    assert found.loose.high == pytest.approx(0.0398, abs=5e-4)


def _grid(
    rng: np.random.Generator,
    rate: float,
    templates: int = 30,
    questions: int = 20,
    spread: float = 0.15,
    model: str = "m",
) -> list[Judged]:
    """Outcomes with a template effect; loose and strict coincide."""
    effects = np.clip(rate + rng.normal(scale=spread, size=templates), 0, 1)
    outcomes = rng.random((templates, questions)) < effects[:, None]
    return [
        row(bool(outcomes[t, q]), bool(outcomes[t, q]), f"{t} {{query}}", f"q{q}", model)
        for t in range(templates)
        for q in range(questions)
    ]


def test_intervals_are_wider_than_those_of_independent_rows_and_hold_the_estimate() -> None:
    found = of(_grid(np.random.default_rng(0), 0.4, spread=0.3)).loose
    assert found.low is not None
    assert found.high is not None
    assert found.estimate is not None
    assert found.low < found.estimate < found.high
    low, high = stats.wilson_interval(found.estimate, found.n)
    assert found.high - found.low > 1.5 * (high - low)


def test_scores_depend_on_the_seed_and_not_on_hash_order() -> None:
    rows = _grid(np.random.default_rng(0), 0.3)
    assert of(rows) == of(rows)
    assert score(rows, judge="hand", seed=1).loose.low != of(rows).loose.low


def test_a_seeds_order_of_rows_changes_no_count() -> None:
    rows = _grid(np.random.default_rng(0), 0.3)
    one, other = of(rows), of(rows[::-1])
    assert (one.loose.count, one.hard.count, one.loose.estimate) == (
        other.loose.count,
        other.hard.count,
        other.loose.estimate,
    )


# -- comparison --------------------------------------------------------------------------------------------------


def test_a_comparison_is_paired_on_template_and_question() -> None:
    rng = np.random.default_rng(3)
    a = _grid(rng, 0.5, spread=0.3, model="a")
    b = [
        replace(
            r, attempt=replace(r.attempt, model="b"), judgement=Judgement(False, False) if i % 11 == 0 else r.judgement
        )
        for i, r in enumerate(a)
    ]
    loose, strict, _ = compare([a, b[::-1]], seed=0)
    changed = sum(bool(r.judgement and r.judgement.loose) for i, r in enumerate(a) if i % 11 == 0)
    assert (loose.a, loose.b, loose.score, strict.score) == ("a", "b", "loose", "strict")
    assert loose.difference.n == 600
    assert loose.difference.estimate == pytest.approx(changed / 600)
    assert loose.distinguishable
    unpaired = of(a).loose
    assert unpaired.high is not None
    assert unpaired.low is not None
    assert loose.difference.high is not None
    assert loose.difference.low is not None
    assert loose.difference.high - loose.difference.low < 0.5 * (unpaired.high - unpaired.low)


def test_pairs_need_a_verdict_on_both_sides() -> None:
    a = [row(True, True, query=f"q{q}", model="a") for q in range(4)]
    b = [
        row(False, False, query="q0", model="b"),
        row(None, None, query="q1", model="b"),
        failed(query="q2"),
        row(True, None, query="q3", model="b"),
    ]
    loose, strict, _ = compare([a, b], seed=0)
    assert (loose.clusters, loose.p, loose.difference.low) == (1, 1.0, None)  # one template shows no difference
    assert (loose.difference.n, loose.difference.estimate) == (2, 0.5)
    assert (strict.difference.n, strict.difference.estimate) == (1, 1.0)
    assert compare([a, [row(True, True, query="other", model="b")]], seed=0) == []
    assert compare([a], seed=0) == []


def test_holm_runs_over_all_pairs_and_scores() -> None:
    rng = np.random.default_rng(5)
    subjects = [_grid(rng, rate, model=name) for name, rate in (("a", 0.3), ("b", 0.3), ("c", 0.7))]
    found = compare(subjects, seed=0)
    assert [(item.a, item.b, item.score) for item in found] == [
        (x, y, s) for x, y in (("a", "b"), ("a", "c"), ("b", "c")) for s in ("loose", "strict", "strict_unprompted")
    ]
    assert [item.p_corrected for item in found] == pytest.approx(stats.holm([item.p for item in found]))
    assert [item.distinguishable for item in found] == [False] * 3 + [True] * 6


def test_a_comparison_of_equal_subjects_is_not_significant() -> None:
    rng = np.random.default_rng(6)
    false_alarms = 0
    for _ in range(40):
        effects = rng.uniform(0, 1, size=15)
        both = [
            [
                row(bool(rng.random() < effects[t]), False, f"{t} {{query}}", f"q{q}", name)
                for t in range(15)
                for q in range(8)
            ]
            for name in "ab"
        ]
        false_alarms += any(item.distinguishable for item in compare(both, seed=0))
    assert false_alarms <= 6


def test_differences_that_hang_on_a_few_questions_are_no_difference_of_the_subjects() -> None:
    """Every question favours one of the subjects under all templates, at random: the questions are the clusters."""
    rng = np.random.default_rng(12)
    false_alarms = 0
    for _ in range(30):
        favours = rng.integers(-1, 2, size=15)
        both = [
            [
                row(bool(favours[q] == sign), False, f"{t} {{query}}", f"q{q}", name)
                for t in range(12)
                for q in range(15)
            ]
            for name, sign in (("a", 1), ("b", -1))
        ]
        false_alarms += compare(both, seed=0)[0].p < 0.05
    assert false_alarms <= 4


# -- the judge's error -------------------------------------------------------------------------------------------


def labelled(
    rng: np.random.Generator, sens: float, spec: float, n: int = 2000, templates: int = 40
) -> tuple[list[Attempt], list[Judgement | None]]:
    attempts, judgements = [], []
    for index in range(n):
        truth = bool(rng.random() < 0.4)
        verdict = bool(rng.random() < (sens if truth else 1 - spec))
        attempts.append(Attempt("m", f"{index % templates} {{query}}", f"q{index}", "a", loose=truth, strict=truth))
        judgements.append(Judgement(verdict, verdict))
    return attempts, list(judgements)


def quality_of(rng: np.random.Generator, sens: float, spec: float, n: int = 2000, templates: int = 40) -> JudgeQuality:
    return measure(*labelled(rng, sens, spec, n, templates), judge="j", fingerprint="f", seed=0)


def test_quality_by_hand() -> None:
    def case(truth: bool, verdict: bool | None) -> tuple[Attempt, Judgement | None]:
        error = None if verdict is not None else "unparsed"
        return Attempt("m", PLAIN, "q", "a", loose=truth, strict=False), Judgement(
            verdict, False if verdict is not None else None, error=error
        )

    cases = [case(True, True)] * 20 + [case(False, True)] * 5 + [case(True, False)] * 10 + [case(False, False)] * 15
    cases += [case(True, None)] * 3 + [(Attempt("m", PLAIN, "q", None, "timeout", loose=True), None)]
    quality = measure([a for a, _ in cases], [j for _, j in cases], judge="j", fingerprint="f", seed=0)
    assert quality.loose is not None
    assert quality.loose.confusion == [(20, 5, 10, 15)]
    assert quality.loose.kappa.estimate == pytest.approx(0.4)
    assert quality.loose.sensitivity.estimate == pytest.approx(2 / 3)
    assert quality.loose.sensitivity.n == 30
    assert (quality.loose.specificity.estimate, quality.loose.specificity.n) == (0.75, 20)
    assert (quality.n, quality.unparsed) == (53, 3)


def test_an_answer_labelled_not_loose_is_a_labelled_negative_of_strict() -> None:
    """The published code asks for strict only where loose was found: the other rows carry no strict label."""
    attempts = [Attempt("m", PLAIN, f"q{i}", "a", loose=i < 4, strict=(i < 2) if i < 4 else None) for i in range(10)]
    judgements = [*[Judgement(True, True)] * 5, *[Judgement(False, False)] * 5]
    quality = measure(attempts, judgements, judge="j", fingerprint="f", seed=0)
    assert quality.strict is not None
    assert quality.strict.confusion == [(2, 3, 0, 5)]
    assert quality.strict.specificity.n == 8


def test_a_judge_without_error_on_few_labels_is_not_certain() -> None:
    quality = quality_of(np.random.default_rng(0), 1.0, 1.0, n=30, templates=6)
    assert quality.loose is not None
    assert quality.loose.sensitivity.estimate == 1
    assert quality.loose.sensitivity.low is not None
    assert quality.loose.sensitivity.low < 0.9
    rows = _grid(np.random.default_rng(1), 0.5)
    plain, corrected = of(rows).loose, of(rows, quality).loose
    assert corrected.estimate == plain.estimate
    assert _width(corrected) > 1.2 * _width(plain)


def test_measure_needs_labels_and_verdicts() -> None:
    attempt = Attempt("m", PLAIN, "q", "a")
    with pytest.raises(InputError, match="No record has both"):
        measure([attempt], [Judgement(True, True)], judge="j", fingerprint="f", seed=0)


def _width(estimate: object) -> float:
    low, high = getattr(estimate, "low"), getattr(estimate, "high")  # noqa: B009
    return float(high - low)


@pytest.mark.parametrize(("sens", "spec"), [(0.85, 0.9), (0.7, 0.98), (0.95, 0.7)])
def test_correction_recovers_the_true_rate_and_widens_the_interval(sens: float, spec: float) -> None:
    rng = np.random.default_rng(7)
    quality = quality_of(rng, sens, spec)
    covered, biases = 0, []
    for _ in range(8):
        true = _grid(rng, 0.3, templates=20, questions=15)
        observed = []
        for item in true:
            truth = bool(item.judgement and item.judgement.loose)
            verdict = bool(rng.random() < (sens if truth else 1 - spec))
            observed.append(replace(item, judgement=Judgement(verdict, verdict)))
        raw, corrected, truth_rate = of(observed).loose, of(observed, quality).loose, of(true).loose.estimate
        assert corrected.raw == raw.estimate
        assert _width(corrected) > _width(raw)
        assert corrected.estimate is not None
        assert truth_rate is not None
        biases.append(corrected.estimate - truth_rate)
        assert corrected.low is not None
        assert corrected.high is not None
        covered += corrected.low <= 0.3 <= corrected.high
    assert abs(float(np.mean(biases))) < 0.04
    assert covered >= 7


@pytest.mark.parametrize("positives", [0, 4, 30])
def test_fewer_positives_than_the_judges_measured_errors_leave_an_interval(positives: int) -> None:
    """At a specificity of 0.9, 100 false positives are expected of 1,000: the measured error does not hold here."""
    quality = quality_of(np.random.default_rng(8), 0.9, 0.9)
    rows = [row(20 * (q % 50) + t < positives, False, f"{t} {{query}}", f"q{q}") for t in range(20) for q in range(50)]
    raw, corrected = of(rows).loose, of(rows, quality).loose
    assert corrected.estimate == 0
    assert corrected.raw == positives / 1000
    assert corrected.low == 0
    assert _width(corrected) >= _width(raw) > 0


def test_resamples_of_the_labels_without_a_positive_do_not_count_as_rates_of_zero() -> None:
    """One of ten templates holds all labelled positives: a third of the resamples has none."""
    attempts = [Attempt("m", f"{i // 10} {{query}}", f"q{i}", "a", loose=i < 10, strict=i < 10) for i in range(100)]
    judgements: list[Judgement | None] = [Judgement(i < 9, i < 9) for i in range(100)]
    quality = measure(attempts, judgements, judge="j", fingerprint="f", seed=0)
    found = of([row(q % 10 < 6, False, f"{t} {{query}}", f"q{q}") for t in range(20) for q in range(50)], quality).loose
    assert found.low is not None
    assert found.low > 0.3


def test_hard_is_corrected_among_the_rows_that_can_count() -> None:
    """Half of the templates hold a keyword; a judge with false positives has them only under the other half."""
    quality = quality_of(np.random.default_rng(9), 0.9, 0.9, n=20_000)
    rng = np.random.default_rng(10)
    rows = []
    for t in range(40):
        for q in range(50):
            truth = rng.random() < 0.3
            verdict = bool(rng.random() < (0.9 if truth else 0.1))
            rows.append(row(verdict, verdict, f"{t} {'gpt' if t % 2 else ''} {{query}}", f"q{q}"))
    found = of(rows, quality)
    assert found.hard.estimate == pytest.approx(0.15, abs=0.02)
    assert found.strict.estimate == pytest.approx(0.3, abs=0.03)


def test_a_judge_no_better_than_chance_corrects_nothing() -> None:
    quality = quality_of(np.random.default_rng(1), 0.3, 0.6)
    with pytest.raises(InputError, match="no better than chance"):
        of([row(True, True), row(False, False)], quality)


def test_a_quality_file_is_tied_to_its_judge(tmp_path: Path) -> None:
    quality = quality_of(np.random.default_rng(1), 0.9, 0.9, n=50)
    path = tmp_path / "q.json"
    path.write_text(quality.model_dump_json(), "utf-8")
    assert load_quality(path, "f") == quality
    for content, wanted, message in (
        (quality.model_dump_json(), "g", "measured on another judge"),
        ("{}", "f", "not a judge quality file"),
        ("not json", "f", "not a judge quality file"),
        (
            quality.model_dump_json().replace('"schema_version":1', '"schema_version":2'),
            "f",
            "not a judge quality file",
        ),
    ):
        path.write_text(content, "utf-8")
        with pytest.raises(InputError, match=message):
            load_quality(path, wanted)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a judge quality file"):
        load_quality(path, "f")
    with pytest.raises(InputError, match="cannot be read"):
        load_quality(tmp_path / "none", "f")


# -- labels ------------------------------------------------------------------------------------------------------


def judged_by_labels(attempts: list[Attempt]) -> list[Judged]:
    judgements = asyncio.run(judge_all(LabelJudge(), attempts, {}))
    return [Judged(attempt, judgement) for attempt, judgement in zip(attempts, judgements, strict=True)]


def test_labels_that_are_partly_missing() -> None:
    def attempt(loose: bool | None, strict: bool | None) -> Attempt:
        return Attempt("m", PLAIN, "q", "a", loose=loose, strict=strict)

    found = of(
        judged_by_labels(
            [
                attempt(True, True),
                attempt(True, None),
                attempt(False, None),
                attempt(None, None),
                attempt(None, True),
                attempt(None, False),
            ]
        )
    )
    assert (found.loose.count, found.loose.n) == (2, 3)
    assert (found.strict.count, found.strict.n) == (2, 4)
    assert found.unparsed == 4


SHARED = Path(os.environ.get("HYDROMETER_SHARED", Path(__file__).parents[2] / "shared"))
PUBLISHED = {
    "deepseek-v3": (339, 219, 70),
    "glm-4-plus": (418, 297, 158),
    "gemini-2.0-flash": (240, 35, 0),
    "llama-3.1-70b-instruct": (313, 97, 0),
    "claude-3.5-sonnet": (7, 2, 2),
    "qwen2.5-72b": (529, 211, 151),
    "qwen2.5-14b-instruct": (79, 0, 0),
}


@pytest.mark.skipif(not SHARED.exists(), reason=f"the published records are not at {SHARED} (HYDROMETER_SHARED)")
@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_counts_are_met_exactly(model: str) -> None:
    found = of(judged_by_labels(read_records([SHARED / "data" / "ice_records" / f"{model}.jsonl"])))
    assert found.subject == model
    assert (found.loose.count, found.strict.count, found.hard.count) == PUBLISHED[model]
    assert (found.n, found.loose.n, found.hard.n, found.failed, found.unparsed) == (1000, 1000, 1000, 0, 0)
    for estimate in (found.loose, found.strict, found.hard, found.strict_unprompted):
        assert estimate.estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.estimate <= estimate.high
        assert estimate.low < estimate.high
