from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.kinship.attribution import (
    FEWEST_IMPOSTORS,
    Attribution,
    attribute,
    deviates,
    lineup,
    posterior,
    spread_of,
)
from hydrometer.kinship.frames import GROUPS, Frames
from hydrometer.kinship.pairs import PairBlocks

IMPOSTORS = 30


def population(
    shared: dict[tuple[str, str], float], blocks: int = 100, seed: int = 0, common: float = 4.0
) -> PairBlocks:
    """Residual similarities of s, a, b, c and unrelated models: noise of 0.02, and what is said to be shared."""
    rng = np.random.default_rng(seed)
    models = ("s", "a", "b", "c", *(f"i{number}" for number in range(IMPOSTORS)))
    left, right = np.triu_indices(len(models), 1)
    centre = rng.normal(0, 0.02, len(left))
    for number, (i, j) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        centre[number] += shared.get((models[i], models[j]), shared.get((models[j], models[i]), 0.0))
    mean = centre + rng.normal(0, 0.02, (blocks, len(left)))
    return PairBlocks(
        models,
        (mean * common).astype(np.float32),
        np.full((blocks, len(left)), common, dtype=np.float32),
        np.zeros(len(left)),
        np.full(len(models), np.nan),
        (),
    )


def one(pairs: PairBlocks, teachers: tuple[str, ...] = ("a", "b", "c"), frames: tuple[Frames, ...] = ()) -> Attribution:
    return attribute(pairs, lineup(pairs.models, ["s"], teachers), frames)[0]


def test_a_student_that_shares_much_with_one_candidate_is_attributed_to_it() -> None:
    found = one(population({("s", "b"): 0.3}))
    assert (found.verdict, found.teacher) == ("supported", "b")
    assert found.candidates[0].teacher == "b"
    assert found.impostors == IMPOSTORS


def test_probabilities_of_all_candidates_and_of_none_add_up_to_one() -> None:
    found = one(population({("s", "b"): 0.05}))
    assert found.none is not None
    total = found.none + sum(candidate.probability or 0.0 for candidate in found.candidates)
    assert total == pytest.approx(1)


def test_what_a_student_shares_with_all_candidates_alike_is_no_evidence() -> None:
    found = one(population({("s", name): 0.3 for name in "abc"}))
    assert found.teacher is None


def test_what_a_candidate_shares_with_everybody_is_no_evidence() -> None:
    shared = {("s", "b"): 0.3, **{(f"i{number}", "b"): 0.3 for number in range(IMPOSTORS)}}
    assert one(population(shared)).teacher is None


def test_impostors_that_are_relatives_of_a_candidate_do_not_hide_a_student() -> None:
    shared = {("s", "b"): 0.3, **{(f"i{number}", "b"): 0.3 for number in range(IMPOSTORS // 5)}}
    assert one(population(shared)).teacher == "b"


def test_unrelated_students_are_attributed_to_nobody_in_97_of_100_populations() -> None:
    found = [one(population({}, blocks=40, seed=seed)) for seed in range(100)]
    assert sum(finding.teacher is None for finding in found) >= 97


def test_one_candidate_is_verified_against_the_impostors() -> None:
    found = one(population({("s", "b"): 0.3}), ("b",))
    assert found.teacher == "b"
    assert any("verification" in note for note in found.notes)
    assert one(population({}), ("b",)).teacher is None


def test_fewer_than_ten_common_prompts_are_inconclusive_and_said_to_be() -> None:
    found = one(population({("s", "b"): 0.9}, blocks=9, common=1.0))
    assert (found.verdict, found.teacher, found.none) == ("inconclusive", None, None)
    assert found.candidates[0].score is None
    assert "9 prompts" in found.notes[0]


def test_too_few_impostors_are_inconclusive_and_said_to_be() -> None:
    pairs = population({("s", "b"): 0.9})
    few = [f"i{number}" for number in range(FEWEST_IMPOSTORS - 1)]
    found = attribute(pairs, lineup(pairs.models, ["s"], ["a", "b"], few))[0]
    assert found.verdict == "inconclusive"
    assert "7 impostors" in found.notes[0]


def test_the_interval_holds_the_score_and_the_finding_is_the_same_each_time() -> None:
    pairs = population({("s", "b"): 0.1})
    found = one(pairs)
    for candidate in found.candidates:
        assert candidate.low is not None
        assert candidate.score is not None
        assert candidate.high is not None
        assert candidate.low < candidate.score < candidate.high
    assert found == one(pairs)


def test_a_clone_of_a_candidate_is_named() -> None:
    pairs = population({("s", "b"): 1.0})
    cloned = PairBlocks(pairs.models, pairs.residual, pairs.common, pairs.raw, pairs.resampled, ((0, 2),))
    assert "s and b give the same answers" in one(cloned).notes[0]


def test_a_name_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no model 'vicunna'.*Did you mean vicuna"):
        lineup(("vicuna", "gpt", "claude"), ["vicunna"], ["gpt"])


@pytest.mark.parametrize(("students", "teachers", "impostors"), [("s", "s", "i"), ("s", "t", "s"), ("s", "t", "t")])
def test_a_model_with_two_parts_is_refused(students: str, teachers: str, impostors: str) -> None:
    with pytest.raises(InputError, match="is named as"):
        lineup(("s", "t", "i"), [students], [teachers], [impostors])


@given(st.lists(st.floats(-6, 9), min_size=1, max_size=9))
def test_a_higher_score_never_has_a_lower_probability(scores: list[float]) -> None:
    probability, none = posterior(np.array(scores))
    order = np.argsort(scores)
    assert bool((np.diff(probability[order]) >= -1e-12).all())
    assert probability.sum() + none == pytest.approx(1)


def test_the_probability_of_one_candidate_follows_the_formula() -> None:
    probability, none = posterior(np.array([0.0]))
    factor = 0.25 * 0.5**-0.75
    assert probability[0] == pytest.approx(factor / (1 + factor))
    assert none == pytest.approx(1 / (1 + factor))


def framed(pairs: PairBlocks, shared: dict[tuple[str, str], float], seed: int = 0) -> Frames:
    """Openings of the same models: each uses 60 frames in its own measure, and that of those it takes after."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 6, (len(pairs.models), 60))
    for (student, teacher), share in shared.items():
        own[pairs.models.index(student)] += share * own[pairs.models.index(teacher)]
    excess = own / GROUPS + rng.normal(0, 0.3, (GROUPS, *own.shape))
    return Frames("opening", excess.astype(np.float32), np.full(60, 6.0))


def test_a_student_that_only_begins_as_a_candidate_does_is_attributed_to_it() -> None:
    pairs = population({})
    found = one(pairs, frames=(framed(pairs, {("s", "b"): 1.6}),))
    assert (found.verdict, found.teacher, found.rivals) == ("supported", "b", ())
    lines = found.candidates[0].lines
    assert lines["opening"] > 2 > lines["residual"]


def test_two_weak_lines_of_evidence_make_one_strong_one() -> None:
    pairs = population({("s", "b"): 0.06})
    frames = framed(pairs, {("s", "b"): 0.45})
    together = one(pairs, frames=(frames,)).candidates[0]
    assert together.teacher == "b"
    assert together.score is not None
    assert together.score > max(together.lines.values())


def test_unrelated_frames_name_nobody_in_97_of_100_populations() -> None:
    found = []
    for seed in range(100):
        pairs = population({}, blocks=GROUPS, seed=seed)
        found.append(one(pairs, frames=(framed(pairs, {}, seed),)))
    assert sum(finding.teacher is None for finding in found) >= 97


def test_two_candidates_that_cannot_be_told_apart_are_rivals_and_neither_is_named() -> None:
    pairs = population({("s", "a"): 0.3, ("s", "b"): 0.3})
    found = one(pairs)
    assert found.teacher is None
    assert set(found.rivals) | {found.candidates[0].teacher} == {"a", "b"}
    assert found.leaning is not None
    assert "not distinguishable from" in found.leaning


def test_what_more_prompts_would_do_is_said() -> None:
    few = one(population({("s", "b"): 0.08}, blocks=12, common=1.0))
    many = one(population({("s", "b"): 0.08}, blocks=400))
    assert few.leaning is not None
    assert many.leaning is not None
    assert "more prompts may decide" in few.leaning
    assert "more prompts alone would not decide" in many.leaning


def test_the_spread_is_read_below_the_median_of_each_candidate() -> None:
    likeness = np.array([[-2.0, 8.0], [-1.0, 9.0], [0.0, 10.0], [50.0, 90.0], [70.0, 99.0]])
    assert spread_of(likeness) == pytest.approx(np.sqrt((4 + 1 + 4 + 1) / 4 / 2))
    assert spread_of(likeness[:, :1]) == pytest.approx(np.sqrt(5 / 2))


def test_few_impostors_make_a_score_worth_less() -> None:
    scores = np.array([3.0, -3.0])
    few, many = deviates(scores, 8), deviates(scores, 10_000)
    assert few[0] == -few[1]
    assert 2.0 < few[0] < many[0]
    assert many == pytest.approx(scores, abs=0.01)
