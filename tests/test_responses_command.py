"""`hydrometer responses`: what is in a set, the set as one file, and hostile text that never drives the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from hydrometer.commands.responses import responses
from hydrometer.errors import InputError

HOSTILE = "evil\x1b[2J\u202emodel"
ROWS = [
    {"model": "plain", "prompt_id": "1", "response": "one two three", "prompt": "Count.", "category": "maths"},
    {"model": "plain", "prompt_id": "2", "response": "four"},
    {"model": "plain", "prompt_id": "2", "sample": 1, "response": "four five"},
    {"model": HOSTILE, "prompt_id": "1", "response": "# Title\n- 一二三"},
    {"model": HOSTILE, "prompt_id": "2", "response": ""},
]


def run(*args: str) -> Result:
    app = typer.Typer()
    app.command()(responses)
    return CliRunner().invoke(app, list(args))


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def test_the_document_counts_what_is_there(recorded: str) -> None:
    found = json.loads(run(recorded, "--json").stdout)
    assert found["models"][::-1] == [
        {
            "model": "plain",
            "prompts": 2,
            "answers": 3,
            "samples": 2,
            "empty": 0,
            "median_words": 2.0,
            "formatted": 0.0,
            "languages": {"en": 3},
        },
        {
            "model": HOSTILE,
            "prompts": 1,
            "answers": 1,
            "samples": 1,
            "empty": 1,
            "median_words": 6.0,
            "formatted": 1.0,
            "languages": {"zh": 1},
        },
    ]
    assert (found["prompts"], found["common_prompts"], found["answers"]) == (2, 1, 4)
    assert any("empty answer left out" in line for line in found["notes"])


def test_the_table_shows_every_model_and_no_control_character(recorded: str) -> None:
    output = run(recorded).stdout
    assert output.startswith("2 models, 2 prompts (1 answered by every model), 4 answers\n")
    assert "Note: 1 empty answer left out: 'evil\\x1b[2J\\u202emodel' 1\n" in output
    assert "\x1b" not in output
    assert "\u202e" not in output


def test_a_set_is_written_in_our_form_and_reads_as_before(recorded: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "set.parquet"
    before = run(recorded, "--out", str(out), "--json").stdout
    table = pl.read_parquet(out)
    assert table.columns == ["model", "prompt_id", "sample", "response", "prompt", "category", "language"]
    assert table.filter(pl.col("prompt_id") == "1")["category"].to_list() == ["maths", "maths"]
    assert json.loads(run(str(out), "--json").stdout) == json.loads(before)
    assert [one.name for one in out.parent.iterdir()] == ["set.parquet"]


def test_models_can_be_chosen(recorded: str) -> None:
    assert [one["model"] for one in json.loads(run(recorded, "--json", "--models", "plain").stdout)["models"]] == [
        "plain"
    ]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--models", "plane"], "no model 'plane'. Did you mean plain"),
        (["--out", "set.csv"], "set.csv does not end in .parquet"),
    ],
)
def test_bad_options_are_one_clear_line(recorded: str, args: list[str], words: str) -> None:
    error = run(recorded, *args).exception
    assert isinstance(error, InputError)
    assert words in str(error)
