"""Calibration: hand-counted errors, temperatures that are found again, and fidelity of models made to order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hydrometer.integrity import calibration as cal
from hydrometer.integrity.calibration import Predictions
from hydrometer.integrity.divergence import View, view
from hydrometer.integrity.fidelity import Evidence, Fidelity, Position, fidelity
from hydrometer.integrity.inference import infer, resampling
from hydrometer.integrity.metrics import Metric

RNG = np.random.default_rng
LETTERS = "abcdefgh"


def test_calibration_error_by_hand() -> None:
    confidence, right = np.array([0.95, 0.95, 0.65, 0.65]), np.array([1.0, 0.0, 1.0, 1.0])
    groups = np.array([0, 0, 1, 1])
    draws = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    found = cal.expected_calibration_error(confidence, right, groups, draws)
    assert found[:3] == pytest.approx([0.5 * 0.45 + 0.5 * 0.35, 0.45, 0.35])
    assert math.isnan(found[3])
    sure = cal.expected_calibration_error(np.ones(3), np.ones(3), np.arange(3), np.ones((1, 3)))
    assert sure == pytest.approx([0.0])


def test_predictions_know_what_came_and_what_was_not_seen() -> None:
    found = cal.predictions([View({"a": 0.7, "b": 0.2}, 0.1), View({"b": 0.5}, 0.5)], ["b", "z"])
    assert found.confidence() == pytest.approx([0.7, 0.5])
    assert found.right.tolist() == [0, 0]
    assert found.log_loss() == pytest.approx([-math.log(0.2), -math.log(0.5)])
    assert cal.predictions([View({"a": 0.7, "b": 0.3}, 0.0)], ["a"]).right.tolist() == [1]
    assert cal.predictions([View({"a": 1.0}, 0.0)], ["z"]).log_loss()[0] > 20


@given(
    arrays(np.float64, (4, 5), elements=st.floats(0, 1)).filter(lambda rows: (rows.sum(axis=1) > 0.1).all()),
    st.floats(0.1, 10),
)
def test_a_temperature_keeps_the_order_and_the_sum(masses: np.ndarray, temperature: float) -> None:
    masses = masses / masses.sum(axis=1, keepdims=True)
    found = cal.at_temperature(masses, temperature)
    assert found.sum(axis=1) == pytest.approx(np.ones(4))
    order = np.argsort(masses, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= -1e-12).all()
    assert cal.at_temperature(masses, 1.0) == pytest.approx(masses)


def drawn(masses: np.ndarray, seed: int) -> np.ndarray:
    """One class of each row."""
    return np.asarray((RNG(seed).random((len(masses), 1)) > masses.cumsum(axis=1)).sum(axis=1))


def some(n: int, seed: int = 0) -> np.ndarray:
    """Distributions over the letters, the likeliest first, and nothing unseen."""
    found = -np.sort(-RNG(seed).dirichlet(np.full(len(LETTERS), 0.5), size=n), axis=1)
    return np.hstack([found, np.zeros((n, 1))])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_at_which_a_text_was_drawn_is_found_again(temperature: float) -> None:
    masses = some(20_000)
    came = drawn(cal.at_temperature(masses, temperature), 1)
    assert cal.fitted_temperature(Predictions(masses, came)) == pytest.approx(temperature, rel=0.05)


def test_the_fit_of_one_half_is_for_the_other() -> None:
    masses, groups = some(20_000), np.arange(20_000) % 40
    hot, cold = drawn(cal.at_temperature(masses, 2.0), 1), drawn(cal.at_temperature(masses, 0.5), 2)
    found = cal.cross_fitted(Predictions(masses, np.where(groups % 2, hot, cold)), groups)
    assert found[groups % 2 == 0] == pytest.approx(np.full(10_000, 2.0), rel=0.1)
    assert found[groups % 2 == 1] == pytest.approx(np.full(10_000, 0.5), rel=0.1)
    assert cal.cross_fitted(Predictions(masses[:9], hot[:9]), np.zeros(9, dtype=np.int64)) == pytest.approx(np.ones(9))


def pair(temperature: float, *, prompts: int = 60, places: int = 6, same_tokens: bool = True, k: int = 8) -> Evidence:
    """A student that is its teacher at another temperature, on a text that the teacher drew."""
    masses = some(prompts * places)[:, :-1]
    names = [[LETTERS[at] for at in RNG(row).permutation(len(LETTERS))] for row in range(len(masses))]
    came = drawn(masses, 3)

    def side(rows: np.ndarray, row: int) -> View:
        return view((name, math.log(max(mass, 1e-300))) for name, mass in zip(names[row][:k], rows[row], strict=False))

    student = cal.at_temperature(masses, temperature)
    return Evidence(
        tuple(str(at) for at in range(prompts)),
        tuple(
            Position(row // places, False, names[row][came[row]] + "...", side(masses, row), side(student, row))
            for row in range(len(masses))
        ),
        same_tokens=same_tokens,
        asked=len(masses),
    )


def measured(evidence: Evidence) -> tuple[dict[str, Metric], Fidelity]:
    found, more = fidelity(evidence, resampling(len(evidence.prompts), 200, 0))
    return {one.name: one for one in found}, more


@pytest.mark.parametrize("same_tokens", [True, False])
@pytest.mark.parametrize("k", [3, 8])
def test_a_model_has_lost_nothing_of_itself(same_tokens: bool, k: int) -> None:
    evidence = pair(1.0, same_tokens=same_tokens, k=k)
    found, more = measured(evidence)
    for one in found.values():
        assert one.student == pytest.approx(one.teacher, abs=2e-6), one.name
    assert more.divergence.mean.estimate == pytest.approx(0, abs=2e-6)
    assert more.overlap_high.estimate == pytest.approx(1)
    assert more.top_1.estimate == 1
    assert more.temperatures is not None
    assert more.temperatures[0] == pytest.approx(more.temperatures[1])
    readings = {one.name: one.reading for one in infer(list(found.values()), resampling(60, 200, 0), 0)}
    assert "lost" not in readings.values()
    assert "gained" not in readings.values()
    assert readings["overlap of distributions"] == "kept"


def test_a_colder_student_is_nearer_the_head_and_too_sure_and_mended_by_a_temperature() -> None:
    found, more = measured(pair(0.5))
    readings = {one.name: one for one in infer(list(found.values()), resampling(60, 200, 0), 0)}
    for name in ("entropy of distributions", "mass outside the teacher's head", "overconfidence", "calibration error"):
        assert readings[name].reading == "lost", name
    assert readings["calibration error, fitted"].reading != "lost"
    assert readings["same likeliest continuation"].reading == "kept"
    assert more.temperatures is not None
    assert more.temperatures[0] == pytest.approx(1, abs=0.25)
    assert more.temperatures[1] == pytest.approx(2, rel=0.25)
    assert abs(float(np.mean(found["overconfidence"].teacher))) < 0.05


def test_fidelity_falls_with_every_step_away_from_the_teacher() -> None:
    overlaps, divergences, entropies = [], [], []
    for temperature in (1.0, 0.8, 0.6, 0.4):
        found, more = measured(pair(temperature))
        overlaps.append(float(found["overlap of distributions"].student.mean()))
        entropies.append(float(found["entropy of distributions"].student.mean()))
        divergences.append(more.divergence.mean.estimate or 0.0)
    assert overlaps == sorted(overlaps, reverse=True)
    assert entropies == sorted(entropies, reverse=True)
    assert divergences == sorted(divergences)
    assert min(np.diff(divergences)) > 0


def test_tokenizers_that_split_otherwise_are_compared_by_the_next_character() -> None:
    teacher = view([(" the", math.log(0.5)), (" a", math.log(0.5))])
    student = view([(" t", math.log(0.4)), (" to", math.log(0.1)), (" an", math.log(0.5))])
    evidence = Evidence(("x", "y"), tuple(Position(at, False, " a", teacher, student) for at in (0, 1)), False, 2)
    found, more = measured(evidence)
    assert more.unit == "character"
    assert found["overlap of distributions"].student == pytest.approx([1, 1])
    assert found["overlap of distributions"].unit == ""
    assert found["KL divergence"].student == pytest.approx([0, 0])
    assert found["KL divergence"].unit == "nats per character"
    apart, _ = measured(Evidence(evidence.prompts, evidence.positions, True, 2))
    assert apart["overlap of distributions"].student == pytest.approx([0, 0])


def test_split_characters_are_compared_by_their_first_byte() -> None:
    teacher = view([("山", math.log(0.6)), ("水", math.log(0.4))])
    student = view([("\\xe5\\xb1", math.log(0.6)), ("\\xe6", math.log(0.4))])
    found, _ = measured(Evidence(("x",), (Position(0, False, "山在", teacher, student),), False, 1))
    assert found["overlap of distributions"].student == pytest.approx([1])
    assert found["log-loss of the teacher's text"].student == pytest.approx([-math.log(0.6)])


def test_figures_of_positions_are_counted_out_and_places_without_characters_left_out() -> None:
    blank = view([(" ", 0.0)])
    position = pair(0.5, prompts=2, places=2).positions[0]
    mute = Position(1, False, " a", blank, blank)
    found, more = measured(Evidence(("x", "y"), (position, mute), same_tokens=False, asked=3))
    assert np.isfinite(found["KL divergence"].student).tolist() == [True, False]
    assert (more.positions, more.asked, more.prompts, more.divergence.mean.n) == (2, 3, 2, 1)
    nothing, empty = measured(Evidence(("x",), (Position(0, False, " a", blank, blank),), same_tokens=False, asked=1))
    assert empty.divergence.mean.estimate is None
    assert empty.divergence.most is None
    assert empty.temperatures is None
    assert "calibration error" not in nothing


def test_quantiles_over_positions_have_intervals_over_prompts() -> None:
    _, more = measured(pair(0.5))
    values = [one.estimate or 0.0 for one in more.divergence.quantiles]
    assert values == sorted(values)
    assert values[-1] <= (more.divergence.most or 0.0)
    for one in (*more.divergence.quantiles, more.divergence.mean, more.top_k):
        assert one.low is not None
        assert one.high is not None
        assert one.low <= (one.estimate or 0.0) <= one.high
        assert one.n == 360


def test_a_measure_of_all_positions_counts_the_prompts_of_these_alone() -> None:
    teacher, student = View({"a": 0.6, "b": 0.4}, 0.0), View({"a": 0.9, "b": 0.1}, 0.0)
    texts = ("a", "b", "a", "b", "a", "b")
    positions = tuple(Position(row, True, text, teacher, student) for row, text in enumerate(texts))
    metrics, _ = fidelity(Evidence(tuple("uvwxyz"), positions, True, 6), resampling(6, 200, 0))
    found = {one.name: one for one in infer(metrics, resampling(40, 200, 0), 0)}
    assert {found[name].loss.n for name in ("calibration error", "calibration error, fitted", "overconfidence")} == {6}
