"""`hydrometer same` from files to words: both forms, the document, and every bad input as one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from hydrometer.commands.same import same
from hydrometer.errors import InputError

app = typer.Typer()
app.command()(same)

WORDS = ("sea", "tide", "wave", "salt", "gull", "sand", "boat", "wind", "fish", "net", "rope", "sail")
Row = dict[str, object]


def rows(model: str, words: tuple[str, ...], seed: int, prompts: int = 20, samples: int = 10) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        {"model": model, "prompt_id": f"p{i}", "sample": j, "response": " ".join(rng.choice(words, 9))}
        for i in range(prompts)
        for j in range(samples)
    ]


def written(path: Path, *groups: list[Row]) -> Path:
    pl.DataFrame([row for group in groups for row in group]).write_parquet(path)
    return path


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return written(
        tmp_path / "answers.parquet",
        rows("lab/a", WORDS, 0),
        rows("lab/twin", WORDS, 1),
        rows("lab/other", (*WORDS[:6], "quark", "gluon", "boson"), 2),
    )


def test_one_model_under_two_names(answers: Path) -> None:
    found = called(answers, "--models", "lab/a,lab/twin")
    assert found.exit_code == 0
    assert found.stdout.startswith("lab/a and lab/twin: consistent with one and the same model\n")
    assert "200 and 200 answers" in found.stdout


def test_two_models_and_where_they_differ(answers: Path) -> None:
    found = called(answers, "--models", "lab/a, lab/other")
    assert "lab/a and lab/other: they differ" in found.stdout
    assert "Prompts that differ most" in found.stdout
    document = json.loads(called(answers, "--models", "lab/a,lab/other", "--json").stdout)
    assert document["verdict"] == "differ"
    assert document["p"] <= 0.01
    assert {one["kernel"] for one in document["discrepancies"]} == {"characters", "words"}
    assert all(one["mmd2"]["low"] > one["floor"] for one in document["discrepancies"])
    assert len(document["most_different"]) == 10
    assert all(one["mmd2"] > 0 and one["p_corrected"] <= 0.05 for one in document["most_different"])


def test_two_samples_name_no_prompt_that_differs(tmp_path: Path) -> None:
    other = rows("lab/other", ("quark", "gluon", "boson", "meson"), 2, prompts=40, samples=2)
    path = written(tmp_path / "answers.parquet", rows("lab/a", WORDS, 0, prompts=40, samples=2), other)
    shown = called(path, "--models", "lab/a,lab/other").stdout
    assert "they differ" in shown
    assert "on its own" not in shown
    assert "differ most" not in shown


def test_every_word_of_the_table_is_explained(answers: Path) -> None:
    shown = called(answers, "--models", "lab/a,lab/twin").stdout
    for word in ("MMD^2", "same-model floor", "share of variation", "detectable", "habits"):
        assert any(line.startswith(word) for line in shown.splitlines())
    assert "-0.0 %" not in shown


def test_the_document_can_be_written(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "same.json"
    told = called(answers, "--models", "lab/a,lab/twin", "--json", "--out", out)
    assert out.read_text(encoding="utf-8") == told.stdout


def test_a_stream_of_prompts(answers: Path) -> None:
    found = called(answers, "--models", "lab/a,lab/other", "--sequential")
    assert "lab/a and lab/other: they differ" in found.stdout
    assert "`differ` from 100 on (level 0.01)" in found.stdout
    assert "the chance that it ever reaches 100 is at most 1 %" in found.stdout
    assert "log e" not in found.stdout
    assert 2 <= sum(line.split()[:1] != ["..."] and " p1" in f" {line}" for line in found.stdout.splitlines()) <= 8
    document = json.loads(called(answers, "--models", "lab/a,lab/other", "--sequential", "--json").stdout)
    assert [step["prompt"] for step in document["path"]] == [f"p{i}" for i in range(20)]
    crossed = document["rounds_to_difference"]
    assert (
        document["path"][crossed - 1]["log_e"] >= document["log_e_threshold"] > document["path"][crossed - 2]["log_e"]
    )
    same_pair = json.loads(called(answers, "--models", "lab/a,lab/twin", "--sequential", "--json").stdout)
    assert (same_pair["verdict"], same_pair["rounds_to_difference"]) == ("inconclusive", None)


def test_the_order_of_the_files_rows_does_not_matter(answers: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(answers)
    first = table.unique("prompt_id", keep="first", maintain_order=True)
    shuffled = pl.concat(
        [first, table.sample(fraction=1, shuffle=True, seed=3).join(first, on=table.columns, how="anti")]
    )
    shuffled.write_parquet(tmp_path / "shuffled.parquet")
    for flags in ([], ["--sequential"]):
        runs = [
            called(path, "--models", "lab/a,lab/other", "--json", *flags).stdout
            for path in (answers, answers, tmp_path / "shuffled.parquet")
        ]
        assert runs[0] == runs[1] == runs[2]


def test_outages_recorded_as_empty_answers_make_no_two_models_alike(tmp_path: Path) -> None:
    def failing(group: list[Row]) -> list[Row]:
        return [{**row, "response": "" if int(str(row["sample"])) >= 4 else row["response"]} for row in group]

    other = rows("lab/other", ("quark", "gluon", "boson", "meson"), 2)
    path = written(tmp_path / "answers.parquet", failing(rows("lab/a", WORDS, 0)), failing(other))
    found = called(path, "--models", "lab/a,lab/other", "--json")
    document = json.loads(found.stdout)
    assert document["verdict"] == "differ"
    assert document["counts"]["empty"] == [120, 120]
    assert document["counts"]["samples"] == [80, 80]
    assert found.stderr.lower().count("empty") == 1


def test_a_copied_file_is_not_a_second_sample(answers: Path, tmp_path: Path) -> None:
    copied = pl.read_parquet(answers).with_columns(pl.col("model").str.replace("lab/a", "lab/copy"))
    copied.filter(pl.col("model") == "lab/copy").write_parquet(tmp_path / "copy.parquet")
    found = called(answers, tmp_path / "copy.parquet", "--models", "lab/a,lab/copy")
    assert "inconclusive" in found.stdout
    assert "copied file" in found.stdout


def test_hostile_names_and_texts_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    evil = "\x1b[31mlab/{0.__class__}"
    path = written(tmp_path / "answers.parquet", rows(evil, WORDS, 0), rows("lab/b", ("{x}", "%s", "\x1b[2J"), 1))
    found = called(path, "--models", f"{evil},lab/b")
    assert found.exit_code == 0
    assert "\x1b" not in found.stdout + found.stderr
    assert "they differ" in found.stdout


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("lab/a,lab/othr", r"no model 'lab/othr'.*Did you mean lab/other"),
        ("lab/a", "names 1 models"),
        ("lab/a,lab/twin,lab/other", "names 3 models"),
        ("lab/a,lab/a", "names lab/a twice"),
    ],
)
def test_names_that_cannot_be_compared(answers: Path, models: str, message: str) -> None:
    found = called(answers, "--models", models)
    assert isinstance(found.exception, InputError)
    assert found.stdout == ""
    with pytest.raises(InputError, match=message):
        raise found.exception


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (rows("lab/b", WORDS, 1, samples=1), "hydrometer kinship"),
        ([{**row, "prompt_id": f"q{row['prompt_id']}"} for row in rows("lab/b", WORDS, 1)], "no prompt in common"),
        ([{**row, "response": " "} for row in rows("lab/b", WORDS, 1, samples=3)], "empty answers: 0 and 60"),
    ],
)
def test_answers_that_cannot_be_compared(tmp_path: Path, second: list[Row], message: str) -> None:
    samples = 1 if len(second) == 20 else 3
    path = written(tmp_path / "answers.parquet", rows("lab/a", WORDS, 0, samples=samples), second)
    found = called(path, "--models", "lab/a,lab/b")
    assert isinstance(found.exception, InputError)
    assert message in str(found.exception)


@pytest.mark.parametrize(
    "flags", [["--level", 0], ["--level", 1], ["--level", 2], ["--level", "nan"], ["--level", 0, "--sequential"]]
)
def test_levels_that_mean_nothing(answers: Path, flags: list[object]) -> None:
    found = called(answers, "--models", "lab/a,lab/twin", *flags)
    assert isinstance(found.exception, InputError)
    assert "The level must be between 0 and 1" in str(found.exception)
