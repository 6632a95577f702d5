"""Recorded answers as a model."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, FailureKind, Message, Sampling
from hydrometer.models.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hydrometer.models.base import Completion

ROWS = [
    {"model": "a", "prompt_id": "p1", "prompt": "Who are you?", "sample": 0, "response": "I am A."},
    {"model": "a", "prompt_id": "p1", "prompt": "Who are you?", "sample": 1, "response": "A, I think."},
    {"model": "a", "prompt_id": "p2", "prompt": 'Hello, "there"\nfriend', "sample": 0, "response": ""},
    {"model": "b", "prompt_id": "p1", "prompt": "Who are you?", "sample": 0, "response": "I am B: {x}"},
]


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    match path.suffix:
        case ".parquet":
            pl.DataFrame(rows).write_parquet(path)
        case ".csv":
            pl.DataFrame(rows).write_csv(path)
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def ask(name: str, text: str, sample: int = 0) -> Completion:
    subject = resolve(f"replay/{name}")
    return asyncio.run(subject.complete((Message("system", "x"), Message("user", text)), Sampling(), sample))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_form_answers_by_prompt_id_and_sample(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"answers{suffix}", ROWS)
    assert ask(f"{path}#a", "Who are you?").text == "I am A."
    assert ask(f"{path}#a", "Who are you?", 1).text == "A, I think."
    assert ask(f"{path}#a", "p1").text == "I am A."
    assert ask(f"{path}#b", "Who are you?").text == "I am B: {x}"
    for text, sample, kind in [
        ("Who are you? ", 0, FailureKind.MISSING),
        ("Who are you?", 2, FailureKind.MISSING),
        ('Hello, "there"\nfriend', 0, FailureKind.EMPTY),
    ]:
        with pytest.raises(CallFailure) as caught:
            ask(f"{path}#a", text, sample)
        assert caught.value.kind is kind


def test_the_recorded_attack_form_fills_the_slot_or_appends_the_question(tmp_path: Path) -> None:
    rows = [
        {"model": "m", "template": "Play {query} now {name}", "query": "who?", "response": "slot"},
        {"model": "m", "template": "No slot", "query": "who?", "response": "first"},
        {"model": "m", "template": "No slot", "query": "who?", "response": "second"},
    ]
    path = write(tmp_path / "attack.jsonl", rows)
    assert ask(str(path), "Play who? now {name}").text == "slot"
    assert [ask(str(path), "No slot\n\nwho?", sample).text for sample in (0, 1)] == ["first", "second"]


def test_every_known_form_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"question_id": 81, "turns": ["Hi?"], "model_id": "m", "choices": [{"turns": ["Yo."]}]}))
    assert ask(str(path), "Hi?").text == ask(str(path), "81").text == "Yo."
    path = tmp_path / "unnamed.jsonl"
    path.write_text(json.dumps({"prompt": "Hi?", "response": "Yo."}))
    assert ask(f"{path}#unnamed", "Hi?").text == "Yo."


def test_the_ledger_key_follows_the_content_and_not_the_path(tmp_path: Path) -> None:
    one = resolve(f"replay/{write(tmp_path / 'one.jsonl', ROWS[:1])}")
    same = resolve(f"replay/{write(tmp_path / 'same.jsonl', ROWS[:1])}")
    other = resolve(f"replay/{write(tmp_path / 'other.jsonl', ROWS[:2])}")
    assert one.endpoint == same.endpoint != other.endpoint
    assert one.sent_name == "a"


@pytest.mark.parametrize(
    ("file", "text", "suffix", "message"),
    [
        ("x.jsonl", '{"model": "a"', "", "line 1: not JSON"),
        ("x.jsonl", "[1]", "", "line 1: not a JSON object"),
        ("x.jsonl", "", "", "holds no recorded answers"),
        ("x.jsonl", '{"model": "a", "response": "r"}', "", "line 1: no `prompt_id` and no prompt"),
        ("x.jsonl", '\n{"model": "a", "prompt": "a"}', "", "line 2: no answer"),
        ("x.jsonl", '{"model": "a", "prompt": "p", "response": "r", "sample": "two"}', "", "the sample is 'two'"),
        ("x.csv", "model,prompt\na,b\n", "", "columns are model, prompt.*'response'"),
        ("x.parquet", "not parquet", "", "not a readable Parquet"),
        ("x.xlsx", "", "", r"\.csv"),
    ],
)
def test_what_is_not_a_recording_is_one_clear_line(
    tmp_path: Path, file: str, text: str, suffix: str, message: str
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        resolve(f"replay/{tmp_path / file}{suffix}")
    assert "\n" not in str(caught.value)


def test_models_must_be_named_and_near_names_are_offered(tmp_path: Path) -> None:
    path = write(tmp_path / "answers.jsonl", [{**ROWS[0], "model": name} for name in ("gpt-4o", "claude-3")])
    with pytest.raises(ModelError, match=r"2 models: gpt-4o, claude-3.*#gpt-4o"):
        resolve(f"replay/{path}")
    with pytest.raises(ModelError, match="Did you mean gpt-4o"):
        resolve(f"replay/{path}#gpt4o")
    with pytest.raises(ModelError, match="No file at"):
        resolve(f"replay/{tmp_path}/nowhere.jsonl#a")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xe9")
    with pytest.raises(ModelError, match="UTF-8"):
        resolve(f"replay/{tmp_path}/latin.jsonl")
