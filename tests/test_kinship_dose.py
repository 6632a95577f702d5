from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hydrometer.errors import InputError
from hydrometer.kinship.clones import Clones
from hydrometer.kinship.dose import Dose, alike_here, answer_keys, copied, dose, dose_interval
from hydrometer.kinship.habits import habits_of
from hydrometer.response_table import read_table

PROMPTS = 60
OTHERS = 6


def answers(rng: np.random.Generator, words: int = 40) -> list[str]:
    """What a model of its own says: words of a common stock, in an order of its own."""
    return [" ".join(f"w{word}" for word in rng.integers(0, 3000, words)) for _ in range(PROMPTS)]


def measured(
    folder: Path, share: float, *, seed: int = 0, third: bool = False, others: int = OTHERS, prompts: int = PROMPTS
) -> tuple[Dose, float]:
    """The dose of a mixture, and the share of its answers that really are the teacher's."""
    rng = np.random.default_rng(seed)
    said = {name: answers(rng) for name in ("teacher", "control", "third", *(f"other{one}" for one in range(others)))}
    chosen = rng.random(PROMPTS) < share
    rest = said["third" if third else "control"]
    said["student"] = [a if pick else b for pick, a, b in zip(chosen, said["teacher"], rest, strict=True)]
    if not third:
        del said["third"]
    rows = [(name, str(number), text) for name, texts in said.items() for number, text in enumerate(texts[:prompts])]
    file = folder / "answers.parquet"
    pl.DataFrame(rows, schema=["model", "prompt_id", "response"], orient="row").write_parquet(file)
    return dose(read_table([file]), "student", "teacher", "control"), float(chosen[:prompts].mean())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("third", [False, True])
def test_a_mixture_has_the_dose_that_it_was_made_with(tmp_path: Path, share: float, third: bool) -> None:
    found, taken = measured(tmp_path, share, third=third)
    assert found.unclipped == pytest.approx(taken, abs=0.05)
    assert found.prompts == PROMPTS


def test_three_models_are_enough_for_a_mixture_of_copies(tmp_path: Path) -> None:
    found, taken = measured(tmp_path, 0.3, others=0)
    assert found.unclipped == pytest.approx(taken, abs=0.02)
    assert any("raw similarities" in note for note in found.notes)


def test_the_interval_holds_the_estimate_and_is_the_same_each_time(tmp_path: Path) -> None:
    found, _ = measured(tmp_path, 0.4)
    assert found.dose.low is not None
    assert found.dose.estimate is not None
    assert found.dose.high is not None
    assert found.dose.low < found.dose.estimate < found.dose.high
    assert found == measured(tmp_path, 0.4)[0]


def test_a_copy_of_the_teacher_is_said_to_be_one(tmp_path: Path) -> None:
    found, _ = measured(tmp_path, 1.0)
    assert found.dose.estimate == pytest.approx(1.0)
    assert any("copy" in note for note in found.notes)


def test_what_lies_below_zero_is_held_there_only_in_the_report(tmp_path: Path) -> None:
    found = [measured(tmp_path, 0.0, seed=seed, third=True)[0] for seed in range(6)]
    below = [one for one in found if one.unclipped is not None and one.unclipped < 0]
    assert below
    assert all(one.dose.estimate == 0.0 for one in below)


def test_fewer_than_ten_prompts_are_inconclusive_and_said_to_be(tmp_path: Path) -> None:
    found, _ = measured(tmp_path, 0.5, prompts=9)
    assert (found.dose.estimate, found.dose.low, found.unclipped, found.prompts) == (None, None, None, 9)
    assert "9 prompts" in found.notes[0]


def test_unknown_and_repeated_names_are_refused(tmp_path: Path) -> None:
    measured(tmp_path, 0.5)
    table = read_table([tmp_path / "answers.parquet"])
    with pytest.raises(InputError, match="Did you mean teacher"):
        dose(table, "student", "teachr", "control")
    with pytest.raises(InputError, match="not three models"):
        dose(table, "student", "student", "control")


def test_intervals_cover_the_share_of_prompts_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        room = rng.uniform(0.7, 1.0, 80)
        gain = np.where(rng.random(80) < 0.3, room, rng.normal(0, 0.05, 80))
        low, high = dose_interval(gain, room, seed)
        hits += low <= 0.3 <= high
    assert 0.90 <= hits / 200 <= 0.99


def sampled(folder: Path, student: str, share: float, *, seed: int, samples: int = 4) -> float:
    """The error of the dose of a student of a teacher that answered several times, against the share really drawn.

    Args:
        folder: where the answers are written.
        student: "copies" one of the teacher's answers, or answers "anew" as the teacher would.
        share: of prompts on which it does so; on the others it gives the control's answer.
        seed: of the answers.
        samples: answers of the teacher to each prompt.
    """
    rng = np.random.default_rng(seed)
    names = ("teacher", "control", *(f"other{one}" for one in range(OTHERS)))
    stock = {name: rng.integers(0, 3000, (PROMPTS, 30)) for name in names}

    def said(name: str, prompt: int) -> str:
        return " ".join(f"w{word}" for word in rng.permutation(stock[name][prompt])[:20])

    rows = []
    chosen = rng.random(PROMPTS) < share
    for prompt in range(PROMPTS):
        own = [said("teacher", prompt) for _ in range(samples)]
        control = said("control", prompt)
        taken = own[int(rng.integers(samples))] if student == "copies" else said("teacher", prompt)
        rows += [("teacher", str(prompt), number, text) for number, text in enumerate(own)]
        rows += [("control", str(prompt), 0, control)]
        rows += [("student", str(prompt), 0, taken if chosen[prompt] else control)]
        rows += [(name, str(prompt), 0, said(name, prompt)) for name in names[2:]]
    file = folder / "answers.parquet"
    pl.DataFrame(rows, schema=["model", "prompt_id", "sample", "response"], orient="row").write_parquet(file)
    found = dose(read_table([file]), "student", "teacher", "control")
    assert found.ceiling == "resampled"
    assert found.unclipped is not None
    return found.unclipped - float(chosen.mean())


@pytest.mark.parametrize("student", ["copies", "anew"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_with_several_samples_one_means_another_sample_of_the_teacher(
    tmp_path: Path, student: str, share: float
) -> None:
    errors = [sampled(tmp_path, student, share, seed=seed) for seed in range(4)]
    assert np.mean(errors) == pytest.approx(0, abs=0.04)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_model_that_the_student_copies_elsewhere_does_not_lower_its_dose(tmp_path: Path, share: float) -> None:
    for seed in range(3):
        found, taken = measured(tmp_path, share, seed=seed, third=True, others=2)
        assert found.unclipped == pytest.approx(taken, abs=0.015)


def test_the_same_answer_has_one_vote_and_one_key() -> None:
    one = habits_of(
        pl.DataFrame(
            {"model": [0, 1, 2, 2], "prompt": [0] * 4, "sample": [0, 0, 0, 1], "response": ["a b", "a b", "a b", "c"]}
        )
    )[0]
    keys = answer_keys(one)
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert alike_here(one, keys, Clones(np.arange(4))).group.tolist() == [0, 0, 0, 3]
    assert copied(one, keys, 0, 2) == 0.5
    assert copied(one, keys, 3, 2) == 0.0
