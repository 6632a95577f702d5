"""`hydrometer mistakes` from a table to files: what stands in them, the document, and bad input as one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from hydrometer.commands.mistakes import mistakes
from hydrometer.errors import InputError

app = typer.Typer()
app.command()(mistakes)

COLUMNS = [
    "a", "b", "raw", "residual", "low", "high", "p", "p_corrected", "verdict", "capa", "capa_low", "capa_high",
    "same_when_both_wrong", "items", "both_wrong", "accuracy_a", "accuracy_b",
]  # fmt: skip


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Eight models on 300 items; `echo` repeats half of the choices of `voice`; one name holds a terminal escape."""
    rng = np.random.default_rng(1)
    answer = rng.integers(0, 5, 300)
    rows = []
    chosen: dict[str, np.ndarray] = {}
    for number, name in enumerate(("voice", "echo", "one", "two", "three", "four", "five", "\x1b[31mred")):
        right = rng.random(300) < 0.3 + 0.06 * number
        chosen[name] = np.where(right, answer, rng.integers(0, 5, 300))
    same = rng.random(300) < 0.5
    chosen["echo"][same] = chosen["voice"][same]
    for name, values in chosen.items():
        rows += [
            {"model": name, "item_id": i, "prediction": "ABCDE"[v], "answer": "ABCDE"[a], "options": 5}
            for i, (v, a) in enumerate(zip(values.tolist(), answer.tolist(), strict=True))
            if not (name == "one" and i < 20)
        ]
    path = tmp_path / "predictions.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def test_writes_a_row_a_pair_and_a_row_a_model(predictions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = called(predictions, "--out", out)
    assert told.exit_code == 0
    pairs, models = pl.read_parquet(out / "pairs.parquet"), pl.read_parquet(out / "models.parquet")
    assert pairs.columns == COLUMNS
    assert len(pairs) == 28
    assert set(pairs.row(0)[:2]) == {"voice", "echo"}
    assert pairs["residual"].is_sorted(descending=True)
    assert set(pairs["verdict"]) <= {"supported", "not supported", "inconclusive"}
    assert models.filter(pl.col("model") == "one")["missing"].to_list() == [20]
    assert (models["low"] < models["accuracy"]).all()
    assert json.loads((out / "mistakes.json").read_text())["items"] == 300
    assert (out / "mistakes.txt").read_text() == told.stdout


def test_prints_one_document_and_notes_beside_it(predictions: Path) -> None:
    told = called(predictions, "--json")
    document = json.loads(told.stdout)
    assert len(document["pairs"]) == 28
    assert len(document["models"]) == 8
    assert document["pairs"][0]["items"] == 300
    assert "no prediction for some items" in told.stderr
    assert document["notes"][0] in told.stderr


def test_the_table_shows_hostile_names_and_obeys_none(predictions: Path) -> None:
    shown = called(predictions).stdout
    assert "\x1b" not in shown
    assert "‹U+001B›[31mred" in shown
    assert "echo" in shown


def test_same_input_same_bytes(predictions: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert called(predictions, "--out", tmp_path / name, "--seed", 5).exit_code == 0
    for file in ("pairs.parquet", "models.parquet", "mistakes.json", "mistakes.txt"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_recorded_probabilities_give_a_second_capa(tmp_path: Path) -> None:
    rows = [
        {
            "model": model,
            "item_id": item,
            "prediction": "A",
            "answer": "AB"[item % 2],
            "options": 2,
            "probabilities": [0.5 + share, 0.5 - share],
        }
        for model, share in (("m", 0.1), ("n", 0.4))
        for item in range(20)
    ]
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert called(path, "--out", tmp_path / "out").exit_code == 0
    pair = pl.read_parquet(tmp_path / "out" / "pairs.parquet").row(0, named=True)
    observed = 0.6 * 0.9 + 0.4 * 0.1
    assert pair["capa"] == pytest.approx(1.0)
    assert pair["capa_probabilistic"] == pytest.approx((observed - 0.5) / 0.5)
    assert pair["items_probabilistic"] == 20


def test_the_summary_says_verdicts_nearest_and_what_a_relation_means(predictions: Path) -> None:
    shown = called(predictions).stdout
    assert shown.startswith("8 models, 300 items. Of 28 pairs, 1 supported, ")
    nearest = next(line for line in shown.splitlines() if line.startswith("voice "))
    assert nearest.split()[1:3] == ["echo", "supported"]
    assert "A supported relation is consistent with one model learning from the other" in shown
    pair = next(line for line in shown.splitlines() if line.startswith(("voice  echo", "echo  voice", "voice echo")))
    assert pair.count("[") == 2
    assert "< 0.0001" in pair


def test_few_models_are_told_in_one_line_with_capa(predictions: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.parquet"
    pl.read_parquet(predictions).filter(pl.col("model").is_in(["voice", "echo"])).write_parquet(few)
    shown = called(few).stdout
    assert "Of 1 pair, 0 supported, 0 not supported, 1 inconclusive." in shown
    assert "Add at least 5 unrelated models" in shown
    assert "A supported relation" not in shown
    pair = json.loads(called(few, "--json").stdout)["pairs"][0]
    assert pair["residual"] is None
    assert pair["low"] is None
    assert pair["capa"] > 0.3


def test_few_items_are_told_in_one_line(predictions: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.parquet"
    pl.read_parquet(predictions).filter(pl.col("item_id").is_between(20, 25)).write_parquet(few)
    shown = called(few).stdout
    assert "No pair has 10 items in common" in shown
    assert "residual" not in shown
    assert not any(line.count(" - ") > 2 for line in shown.splitlines())


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("model,item,prediction,answer,options\nm,1,A,A,4\n", encoding="utf-8")
    failure = called(path).exception
    assert isinstance(failure, InputError)
    assert "'item' to 'item_id'" in str(failure)
    assert "\n" not in str(failure)


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        ("model,prompt_id,response", "see hydrometer kinship"),
        ("model,instruction,output", "see hydrometer kinship"),
        ("model,prompt_id,guess,answer,options", "Columns wanted: model, item_id, prediction, answer, options"),
        ("Model,item-id,predictions,answer,options", "Rename 'Model' to 'model', 'item-id' to 'item_id'"),
    ],
)
def test_only_near_names_are_offered(tmp_path: Path, columns: str, hint: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(f"{columns}\n" + ",".join("A" for _ in columns.split(",")) + "\n", encoding="utf-8")
    failure = called(path).exception
    assert isinstance(failure, InputError)
    assert hint in str(failure)
    assert ("Rename" in str(failure)) == ("Rename" in hint)
