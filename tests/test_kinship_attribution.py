from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.kinship.attribution import FEWEST_IMPOSTORS, Attribution, attribute, lineup, posterior
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


def one(pairs: PairBlocks, teachers: tuple[str, ...] = ("a", "b", "c"), seed: int = 0) -> Attribution:
    return attribute(pairs, lineup(pairs.models, ["s"], teachers), seed=seed)[0]


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


def test_unrelated_students_are_attributed_to_nobody_in_94_of_100_populations() -> None:
    found = [one(population({}, blocks=40, seed=seed)) for seed in range(100)]
    assert sum(finding.teacher is None for finding in found) >= 94


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


def test_the_interval_holds_the_score_and_the_same_seed_gives_the_same_finding() -> None:
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
