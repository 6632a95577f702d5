"""Prompt sets: ours, the forms of the published ones, seeded draws, and what is dropped."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from hydrometer.errors import InputError
from hydrometer.prompts.hub import fetch
from hydrometer.prompts.sets import load_own, load_sets


def jsonl(path: Path, *rows: object) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_our_sets_are_large_enough_mixed_and_without_repeats() -> None:
    sets = load_own()
    assert [one.name for one in sets] == ["reasoning", "mathematics", "conversation"]
    assert all(len(one) >= 40 for one in sets)
    prompts = [prompt for one in sets for prompt in one.prompts]
    assert len(prompts) >= 120
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    chinese = sum(prompt.language == "zh" for prompt in prompts)
    assert 0.25 <= chinese / len(prompts) <= 0.4
    assert all(len(prompt.turns) >= 2 for prompt in sets[2].prompts)


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ({"question_id": "q", "turns": [{"content": "Hi"}]}, ("Hi",)),
        ({"question_id": 81, "turns": ["Hi", "More"]}, ("Hi", "More")),
        ({"problem": "1 + 1?", "solution": "2"}, ("1 + 1?",)),
        ({"instruction": "Sum up", "input": "a text"}, ("Sum up\n\na text",)),
        ({"prompt": " Hi "}, ("Hi",)),
        (
            {
                "id": "s",
                "conversations": [
                    {"from": "human", "value": "Hi"},
                    {"from": "gpt", "value": "Yo"},
                    {"from": "human", "value": "More"},
                ],
            },
            ("Hi", "More"),
        ),
    ],
)
def test_published_forms(tmp_path: Path, row: dict[str, object], turns: tuple[str, ...]) -> None:
    (found,) = load_sets([jsonl(tmp_path / "set.jsonl", row)])
    assert found.prompts[0].turns == turns
    assert found.prompts[0].recorded == (("Yo",) if "conversations" in row else ())


def test_csv_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,question\n1,Why?\n2,How?\n")
    pl.DataFrame({"problem": ["x", "y"]}).write_parquet(tmp_path / "b.parquet")
    found = load_sets([str(tmp_path / "a.csv"), str(tmp_path / "b.parquet")])
    assert [[prompt.text for prompt in one.prompts] for one in found] == [["Why?", "How?"], ["x", "y"]]
    assert [one.name for one in found] == ["a", "b"]


def test_duplicates_and_empty_prompts_are_dropped_and_counted(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "s.jsonl", {"prompt": "a"}, {"prompt": " a"}, {"prompt": "  "}, {"prompt": None}, {"prompt": "b"}
    )
    (found,) = load_sets([path])
    assert (len(found), found.duplicates, found.empty) == (2, 1, 2)


def test_a_draw_is_seeded_and_keeps_the_order(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "s.jsonl", *({"prompt": f"p{i:03}"} for i in range(200)))
    draws = [[p.text for p in load_sets([path], sample=20, seed=seed)[0].prompts] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0] == sorted(draws[0])
    assert load_sets([path], sample=20)[0].available == 200


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"answer": "x"}], "no prompt among the fields answer"),
        ([{"prompt": 3}], "int, not text"),
        ([{"id": "1", "prompt": "a"}, {"id": "1", "prompt": "b"}], "taken by another text"),
        ([{"prompt": ""}], "holds no prompts"),
        ([{"conversations": ["x"]}], "not an object"),
    ],
)
def test_bad_sets(tmp_path: Path, rows: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_sets([jsonl(tmp_path / "s.jsonl", *rows)])


def test_unknown_and_repeated_names() -> None:
    with pytest.raises(InputError, match="no prompt set or file nowhere"):
        load_sets(["nowhere"])
    with pytest.raises(InputError, match="there twice"):
        load_sets(["own", "reasoning"])


@pytest.mark.parametrize("spec", ["a/b", "a/b/../c", "a//c", ""])
def test_hub_names_are_checked(spec: str) -> None:
    with pytest.raises(InputError, match="no file of a hub data set"):
        fetch(spec)


def test_an_unreachable_hub_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="cannot be reached"):
        load_sets(["hub:owner/data/file.jsonl"])
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(InputError, match="HF_ENDPOINT"):
        fetch("owner/data/file.jsonl")
