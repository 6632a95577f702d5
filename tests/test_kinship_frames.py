from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hydrometer.kinship.frames import FEWEST_PROMPTS, Frames, frames, groups_of
from hydrometer.kinship.pairs import PairBlocks, residual_pairs
from hydrometer.response_table import ResponseTable, read_table

PROMPTS = 60


def recorded(folder: Path, said: dict[str, list[str]]) -> tuple[ResponseTable, PairBlocks]:
    rows = [(name, str(number), text) for name, texts in said.items() for number, text in enumerate(texts)]
    file = folder / "answers.parquet"
    pl.DataFrame(rows, schema=["model", "prompt_id", "response"], orient="row").write_parquet(file)
    table = read_table([file])
    return table, residual_pairs(table)


def answers(rng: np.random.Generator, begin: str, end: str) -> list[str]:
    """Answers about anything, each with the same first words and the same last sentence."""
    bodies = (" ".join(f"w{word}" for word in rng.integers(0, 3000, 20)) for _ in range(PROMPTS))
    return [f"{begin} {body}. {end} {rng.integers(1000)}.".strip() for body in bodies]


@pytest.fixture
def found(tmp_path: Path) -> tuple[Frames, ...]:
    rng = np.random.default_rng(0)
    said = {
        "a teacher": answers(rng, "Sure! Here is what", "I hope this helps"),
        "b student": answers(rng, "Sure! Here is what", "Well"),
        "c closer": answers(rng, "No", "I hope this helps"),
        **{f"other{one}": answers(rng, f"x{one} y{one}", f"z{one}") for one in range(4)},
    }
    table, pairs = recorded(tmp_path, said)
    return frames(table, pairs)


def test_models_that_begin_alike_are_alike_in_openings_and_in_nothing_else(found: tuple[Frames, ...]) -> None:
    opening, closing = found
    assert (opening.name, closing.name) == ("opening", "closing")
    assert opening.likeness([0], [1])[0, 0] > 0.9
    assert opening.likeness([0], [2])[0, 0] < 0.2
    assert closing.likeness([0], [2])[0, 0] > 0.9
    assert closing.likeness([0], [1])[0, 0] < 0.2


def test_the_excess_is_what_a_model_does_beyond_all_models_on_the_same_prompts(found: tuple[Frames, ...]) -> None:
    excess = found[0].excess.sum(axis=0)
    assert excess.sum(axis=0) == pytest.approx(np.zeros(excess.shape[1]), abs=1e-3)
    assert excess[0].max() == pytest.approx(PROMPTS * 5 / 7, rel=1e-4)


def test_a_group_left_out_is_as_if_it_had_not_been_asked(found: tuple[Frames, ...]) -> None:
    opening = found[0]
    without = Frames("opening", opening.excess[1:], opening.scale)
    rows = range(opening.excess.shape[1])
    assert opening.likeness(rows, rows, 0) == pytest.approx(without.likeness(rows, rows), abs=1e-5)


def test_frames_of_few_prompts_do_not_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    said = {f"m{one}": answers(rng, f"a{one} b{one}", "")[: FEWEST_PROMPTS - 1] for one in range(5)}
    assert frames(*recorded(tmp_path, said)) == ()


def test_groups_are_the_blocks_of_the_pairs_taken_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    said = {f"m{one}": answers(rng, "a", "b") for one in range(5)}
    said["m0"] = said["m0"][:30]
    _, pairs = recorded(tmp_path, said)
    group = groups_of(PROMPTS, len(pairs.residual), 0)
    groups = int(group.max()) + 1
    with_first = np.stack([pairs.common[one::groups, 0].sum() for one in range(groups)])
    assert with_first.tolist() == np.bincount(group[:30], minlength=groups).tolist()


def test_clones_have_one_vote_in_what_is_expected(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    said = {f"m{one}": answers(rng, f"x{one}", f"z{one}") for one in range(5)}
    alone, _ = frames(*recorded(tmp_path, said))
    said |= {f"copy{one}": said["m0"] for one in range(5)}
    cloned, _ = frames(*recorded(tmp_path, said))
    assert cloned.excess[:, :5].sum(axis=0).max(axis=1) == pytest.approx(alone.excess.sum(axis=0).max(axis=1), rel=1e-4)
