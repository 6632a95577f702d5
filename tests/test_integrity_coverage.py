"""Coverage, MAUVE and tails against plain definitions and hand-counted values."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.integrity import coverage as c
from hydrometer.integrity.embedding import Space, unit_rows
from hydrometer.integrity.halves import against_itself, halves, unrepeated
from hydrometer.integrity.mauve import area, kmeans, mauve
from hydrometer.integrity.metrics import Metric
from hydrometer.integrity.samples import Samples, match
from hydrometer.integrity.tails import kept, tails


def samples(model: str, rows: list[list[str]], question: str = "Well?") -> Samples:
    ids = tuple(f"p{number}" for number in range(len(rows)))
    return Samples(
        model, ids, tuple(map(tuple, rows)), ("en",) * len(rows), ("open",) * len(rows), (question,) * len(rows)
    )


COUNTS = st.lists(st.integers(0, 20), min_size=2, max_size=6)


def test_halves_are_equal_and_apart() -> None:
    for k in (2, 3, 10, 11):
        even, odd = (list(range(k))[part] for part in halves(k))
        assert len(even) == len(odd) == k // 2
        assert not set(even) & set(odd)


def test_a_measure_is_averaged_over_what_is_defined() -> None:
    def measure(seen: slice, other: slice, of_student: bool) -> np.ndarray:
        return np.array([float(of_student), np.nan if seen == other else 2.0, np.nan])

    teacher, student = against_itself(4, measure)
    assert teacher[:2].tolist() == [0, 2]
    assert student[:2].tolist() == [1, 2]
    assert np.isnan([teacher[2], student[2]]).all()


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_precision_density_coverage_equal_the_plain_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real, other = rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 2, 4))
    points, others = real.reshape(-1, 4), other.reshape(-1, 4)

    def far(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm(a - b))

    radius = [
        sorted(far(a, b) for at, b in enumerate(points) if at != me)[c.NEIGHBOURS - 1] for me, a in enumerate(points)
    ]
    within = np.array([[far(a, b) <= r for a, r in zip(points, radius, strict=True)] for b in others])
    hit = np.array([min(far(a, b) for b in others) <= r for a, r in zip(points, radius, strict=True)])
    assert c.inside(real, other) == pytest.approx(within.any(axis=1).reshape(5, 2).mean(axis=1))
    assert c.density(real, other) == pytest.approx(within.sum(axis=1).reshape(5, 2).mean(axis=1) / c.NEIGHBOURS)
    assert c.covered(real, other) == pytest.approx(hit.reshape(5, 3).mean(axis=1))


def test_distances_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    real, other = rng.normal(size=(6, 2, 3)), rng.normal(size=(6, 2, 3))
    whole = c.covered(real, other), c.density(real, other), c.radii(real.reshape(-1, 3))
    monkeypatch.setattr(c, "_CELLS", 30)
    for a, b in zip(whole, (c.covered(real, other), c.density(real, other), c.radii(real.reshape(-1, 3))), strict=True):
        assert a == pytest.approx(b)


def test_classes_kept_by_hand() -> None:
    seen, other = np.array([[0, 0, 1], [2, 3, 4]]), np.array([[0, 5], [4, 3]])
    assert c.classes_kept(seen, other) == pytest.approx([1 / 2, 2 / 3])
    assert c.class_mass_kept(seen, other) == pytest.approx([2 / 3, 2 / 3])


def planted(seed: int, dropped: float) -> tuple[Space, tuple[np.ndarray, np.ndarray]]:
    """40 prompts, 8 answers, 6 possible classes; the student has others in place of some of the classes."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.normal(size=(40, 6, 16)))
    teacher, student = rng.integers(0, 6, (40, 8)), rng.integers(0, 6, (40, 8))
    student = np.where(student < round(dropped * 6), rng.integers(round(dropped * 6), 6, (40, 8)), student)

    def vectors(labels: np.ndarray) -> np.ndarray:
        return unit_rows(np.take_along_axis(centres, labels[:, :, None], axis=1) + 0.03 * rng.normal(size=(40, 8, 16)))

    return Space(vectors(teacher), vectors(student), "planted"), (teacher, student)


def losses(metrics: list[Metric]) -> dict[str, float]:
    return {
        one.name: float(np.nanmean(one.teacher) - np.nanmean(one.student))
        for one in metrics
        if np.isfinite(one.teacher).any()
    }


def test_nothing_is_lost_by_another_draw_of_the_same_and_more_the_more_is_dropped() -> None:
    found = []
    for dropped in (0.0, 1 / 3, 2 / 3):
        runs = [losses(c.coverage(*planted(seed, dropped))) for seed in range(16)]
        found.append({name: np.mean([run[name] for run in runs]) for name in runs[0]})
    for name in ("classes kept", "classes kept, by use", "coverage", "recall"):
        assert abs(found[0][name]) < 0.045, name  # four standard errors
        assert found[0][name] + 0.02 < found[1][name] < found[2][name] - 0.05, name


def test_area_of_equal_and_of_separate_histograms() -> None:
    equal = np.array([[3.0, 4.0, 5.0]])
    assert area(equal, equal) == pytest.approx(1, abs=1e-9)
    assert area(np.array([[1e6, 0.0]]), np.array([[0.0, 1e6]]))[0] < 0.01


@given(COUNTS, st.integers(0, 5))
def test_area_equals_the_plain_definition(counts: list[int], shift: int) -> None:
    p, q = np.array(counts, dtype=float) + 0.5, np.roll(counts, shift).astype(float) + 0.5
    p, q = p / p.sum(), q / q.sum()
    curve = [(0.0, 1.0), (1.0, 0.0)]
    for w in np.linspace(0, 1, 27)[1:-1]:
        r = w * p + (1 - w) * q
        curve.append((np.exp(-5 * (q * np.log(q / r)).sum()), np.exp(-5 * (p * np.log(p / r)).sum())))
    curve.sort(key=lambda point: (point[0], -point[1]))
    plain = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(curve))
    found = area(np.array([counts], dtype=float), np.roll(counts, shift).astype(float)[None, :])[0]
    assert found == pytest.approx(plain)
    assert 0 < found <= 1 + 1e-9


def test_kmeans_finds_separate_groups_in_any_order() -> None:
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    truth = rng.integers(0, 3, 90)
    found = kmeans(centres[truth] + rng.normal(scale=0.2, size=(90, 2)), 3, seed=1)
    assert len({(a, b) for a, b in zip(truth.tolist(), found.tolist(), strict=True)}) == 3


def test_mauve_falls_with_what_is_dropped_and_has_a_value_per_resample() -> None:
    draws = np.random.default_rng(6).multinomial(40, np.full(40, 1 / 40), size=20).astype(float)
    found = [mauve(planted(7, dropped)[0], draws, seed=0) for dropped in (0.0, 2 / 3)]
    lost = [float(one.teacher[0] - one.student[0]) for one in found]
    assert lost[1] > 0.05 > abs(lost[0])
    assert found[0].resampled is not None
    assert all(side.shape == (20,) for side in found[0].resampled)


def test_words_kept_by_hand() -> None:
    assert kept([{"a", "b"}, {"c"}], [{"b", "x"}, {"y"}]).tolist() == [0.5, 0]
    assert np.isnan(kept([set()], [{"a"}])).all()


def test_a_student_with_common_words_for_rare_ones_loses_the_tail_and_not_the_rest() -> None:
    rng = np.random.default_rng(8)
    common = [f"common{number}" for number in range(30)]

    def rows(keeps: float) -> list[list[str]]:
        found = []
        for prompt in range(60):
            rare = [f"rare{prompt}x{number}" for number in range(8)]
            found.append(
                [
                    " ".join(
                        [
                            *rng.choice(common, 20),
                            *(w if rng.random() < keeps else "common0" for w in rng.choice(rare, 6)),
                        ]
                    )
                    for _ in range(6)
                ]
            )
        return found

    def lost(keeps: float) -> dict[str, float]:
        matched = match(samples("s", rows(keeps)), samples("t", rows(1.0)))
        classes = np.zeros((60, 6), dtype=np.int64)
        return losses(tails(matched, (classes, classes)))

    none, half, most = (lost(keeps)["rare words kept"] for keeps in (1.0, 0.5, 0.1))
    assert abs(none) < 0.05 < half < most


def test_words_of_the_question_do_not_count() -> None:
    one = samples("t", [["say nothing of zebras", "say okapi", "say tapir", "say okapi"]], "say")
    other = samples("s", [["something", "say okapi", "say okapi", "say tapir"]])
    rare = tails(match(other, one), (np.zeros((1, 4), dtype=np.int64),) * 2)[0]
    assert rare.name == "rare words kept"
    # The teacher's halves are {nothing, tapir} (cut to the lengths of the student's) and {okapi}, the student's
    # {something, okapi} and {okapi, tapir}.
    assert rare.teacher[0] == 0
    assert rare.student[0] == pytest.approx(np.mean([0, 1 / 2, 1, 1]))


def test_a_teacher_that_never_repeats_itself_shows_no_loss_of_answers() -> None:
    assert "hardly repeats" in unrepeated(np.array([0.0, 0.1, math.nan]), 5)
    assert "k = 5" in unrepeated(np.array([math.nan]), 5)
    assert unrepeated(np.array([0.0, 0.3, math.nan]), 5) == ""
