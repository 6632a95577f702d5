"""Response sets: every form is read, one model is found by name, and faults are named."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from hydrometer.errors import InputError
from hydrometer.responses import is_recorded, models_in, read_responses

ROWS = [
    {"model": "alpha", "prompt_id": "1", "response": "one"},
    {"model": "alpha", "prompt_id": "2", "response": "  "},
    {"model": "beta-large", "prompt_id": "1", "response": "two"},
]


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"answers{suffix}"
    if suffix == ".parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    elif suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["model", "prompt_id", "response"])
            table.writeheader()
            table.writerows(ROWS)
    else:
        text = json.dumps(ROWS) if suffix == ".json" else "\n".join(map(json.dumps, ROWS))
        path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".json", ".csv"])
def test_every_form_of_our_table_is_read_alike(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    names = [f"replay/{path}#alpha", f"replay/{path}#beta-large"]
    found = read_responses(names)
    assert list(found) == names
    alpha, beta = found.values()
    assert {key: row.text for key, row in alpha.answers.items()} == {("1", 0): "one", ("2", 0): "  "}
    assert alpha.empty == 1
    assert beta.answers["1", 0].text == "two"
    assert models_in(path) == ["alpha", "beta-large"]
    assert is_recorded(names[0])
    assert is_recorded(f"{path}#alpha")
    assert not is_recorded("openai/gpt-4o#x")


def test_a_missing_model_is_told_with_near_names(tmp_path: Path) -> None:
    path = written(tmp_path, ".parquet")
    with pytest.raises(InputError, match=r"no answers of 'beta'.*beta-large"):
        read_responses([f"replay/{path}#beta"])
    with pytest.raises(InputError, match=r"2 models: alpha, beta-large.*Name one"):
        read_responses([f"replay/{path}"])
    with pytest.raises(InputError, match="There is no file"):
        read_responses(["replay/nowhere.parquet#x"])


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_duplicated_row_is_refused_with_its_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"twice{suffix}"
    rows = [ROWS[0], ROWS[2], ROWS[0]]
    if suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=r"(row|line) 3: a second answer of alpha to prompt '1'.*(row|line) 1"):
        read_responses([f"replay/{path}#alpha"])


def test_samples_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text(
        "\n".join(json.dumps({**ROWS[0], "sample": sample, "response": f"take {sample}"}) for sample in (0, 1))
    )
    (found,) = read_responses([f"replay/{path}"]).values()
    assert [found.answers["1", sample].text for sample in (0, 1)] == ["take 0", "take 1"]
    assert list(found.prompts()) == ["1"]


def test_alpaca_eval_outputs_match_by_instruction(tmp_path: Path) -> None:
    for name, answer in (("a", "x"), ("b", "y")):
        rows = [{"instruction": "Say hi.", "output": answer, "generator": name, "dataset": "d"}]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    found = read_responses([f"replay/{tmp_path}/a.json", f"replay/{tmp_path}/b.json"])
    (first, second) = (next(iter(one.answers.values())) for one in found.values())
    assert first.prompt_id == second.prompt_id
    assert (first.prompt, first.text, second.text) == (("Say hi.",), "x", "y")


@pytest.mark.parametrize(
    ("turns", "texts"),
    [(["a", "b"], ("a", "b")), ([{"content": "a", "token_len": 1}], ("a",))],
)
def test_model_answers_of_mt_bench_and_arena_hard(tmp_path: Path, turns: list[object], texts: tuple[str, ...]) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"question_id": 81, "model_id": "m", "choices": [{"index": 0, "turns": turns}]}))
    (found,) = read_responses([f"replay/{path}#m"]).values()
    assert found.answers["81", 0].turns == texts


def test_newer_arena_hard_answers_are_conversations(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    path.write_text(json.dumps({"uid": "u1", "model": "m", "messages": messages}))
    (found,) = read_responses([f"replay/{path}"]).values()
    assert (found.answers["u1", 0].prompt, found.answers["u1", 0].text) == (("Q",), "A")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"model": "m", "prompt_id": "1"}, "no answer"),
        ({"model": "m", "response": "x"}, "no `prompt_id`"),
        ({"model": "m", "prompt_id": "1", "response": 5}, "int, not text"),
        ({"model": "m", "prompt_id": "1", "sample": "first", "response": "x"}, "sample is 'first'"),
        ({"model": "m", "prompt_id": "1", "choices": "x"}, "not a list of objects"),
        ({"model": "m", "prompt_id": ["1"], "response": "x", "prompt": [3]}, "int, not text"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, row: dict[str, object], words: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(InputError, match=f"bad.jsonl, line 1: .*{words}"):
        read_responses([f"replay/{path}"])


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, text, words in (("a.txt", "x", "no known form"), ("a.parquet", "x", "not a readable Parquet")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=words):
            read_responses([f"replay/{tmp_path / name}#m"])
