"""Tables of multiple-choice predictions: three forms of files, three ways to write a choice, every fault counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.kinship import predictions as module
from hydrometer.kinship.predictions import Predictions, read_predictions

Row = dict[str, Any]


def row(model: str, item: object, prediction: object, answer: object = "A", options: object = 4, **more: object) -> Row:
    return {"model": model, "item_id": item, "prediction": prediction, "answer": answer, "options": options, **more}


def as_jsonl(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def read(tmp_path: Path, rows: list[Row]) -> Predictions:
    return read_predictions([as_jsonl(tmp_path / "table.jsonl", rows)])


def refused(tmp_path: Path, rows: list[Row]) -> str:
    with pytest.raises(InputError) as failure:
        read(tmp_path, rows)
    return str(failure.value)


SMALL = [
    row("m", "q1", "A"),
    row("m", "q2", "C", "B", 3),
    row("n", "q1", None),
    row("n", "q2", "E", "B", 3),
    row("n", "q3", "D", "D", 10),
]


def test_reads_choices_and_counts_what_is_missing_or_unparsed(tmp_path: Path) -> None:
    found = read(tmp_path, SMALL)
    assert found.models == ("m", "n")
    assert found.items == ("q1", "q2", "q3")
    assert found.chosen.tolist() == [[0, 2, -1], [-1, -1, 3]]
    assert found.correct.tolist() == [0, 1, 3]
    assert found.options.tolist() == [4, 3, 10]
    assert found.missing.tolist() == [1, 1]
    assert found.unparsed.tolist() == [0, 1]
    assert found.probabilities is None
    assert any("none of the options" in note and "n, 1 of 3" in note for note in found.notes)


def test_three_forms_of_files_are_read_alike(tmp_path: Path) -> None:
    frame = pl.DataFrame(SMALL)
    frame.write_parquet(tmp_path / "table.parquet")
    frame.write_csv(tmp_path / "table.csv")
    expected = read(tmp_path, SMALL)
    for name in ("table.parquet", "table.csv"):
        found = read_predictions([tmp_path / name])
        assert found.chosen.tolist() == expected.chosen.tolist()
        assert (found.models, found.items, found.notes) == (expected.models, expected.items, expected.notes)


def test_one_table_may_be_spread_over_files_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(tmp_path, SMALL)
    monkeypatch.setattr(module, "_BATCH", 2)
    halves = [as_jsonl(tmp_path / "a.jsonl", SMALL[:2]), as_jsonl(tmp_path / "b.jsonl", SMALL[2:])]
    found = read_predictions(halves)
    assert found.chosen.tolist() == expected.chosen.tolist()
    assert found.missing.tolist() == expected.missing.tolist()


TEXTS = ["to run", "B", "12", "to swim"]


@given(
    choices=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=12),
    forms=st.tuples(*[st.sampled_from(["letter", "bracket", "small", "zero", "one", "text"])] * 2),
)
def test_letters_indices_and_texts_mean_the_same(choices: list[tuple[int, int]], forms: tuple[str, str]) -> None:
    choices = [*choices, (0, 0), (3, 3)]
    if "one" in forms:
        forms = ("one", "one") if "zero" in forms else forms
    sides = {"m": [one for one, _ in choices], "n": [right for _, right in choices]}
    frame = pl.DataFrame(
        [
            row(model, f"q{number}", written(chosen, forms[0]), written(right, forms[1]), TEXTS)
            for model, side in sides.items()
            for number, (chosen, (_, right)) in enumerate(zip(side, choices, strict=True))
        ]
    )
    rows = module._Rows()
    rows.add(frame)
    found = module._assembled(rows, "table")
    assert found.correct.tolist() == [right for _, right in choices]
    assert found.chosen[0].tolist() == [chosen for chosen, _ in choices]


def written(option: int, form: str) -> str:
    letter = "ABCD"[option]
    return {
        "letter": letter,
        "bracket": f"({letter})",
        "small": f"{letter.lower()}.",
        "zero": str(option),
        "one": str(option + 1),
        "text": TEXTS[option],
    }[form]


def test_indices_that_may_count_from_0_or_1_are_said_to_be_doubtful(tmp_path: Path) -> None:
    found = read(tmp_path, [row("m", "q", 1, 2), row("n", "q", 2, 2)])
    assert found.chosen.tolist() == [[1], [2]]
    assert any("count from 0" in note for note in found.notes)


def test_indices_as_decimals_count_from_1_where_an_answer_is_the_last_option(tmp_path: Path) -> None:
    frame = pl.DataFrame([row("m", "q", 4.0, 4), row("n", "q", 1.0, 4), row("n", "r", 2.0, 1), row("m", "r", None, 1)])
    frame.write_parquet(tmp_path / "table.parquet")
    found = read_predictions([tmp_path / "table.parquet"])
    assert found.correct.tolist() == [3, 0]
    assert found.chosen.tolist() == [[3, -1], [0, 1]]


def test_items_that_cannot_be_scored_are_left_out_and_named(tmp_path: Path) -> None:
    rows = [
        *(row(model, "good", "B") for model in "mn"),
        row("m", "two answers", "A", "A"),
        row("n", "two answers", "A", "B"),
        row("m", "two sizes", "A", "A", 4),
        row("n", "two sizes", "A", "A", 5),
        *(row(model, "one option", "A", "A", 1) for model in "mn"),
        *(row(model, "answer outside", "A", "F", 4) for model in "mn"),
        *(row(model, "no answer", "A", None) for model in "mn"),
    ]
    found = read(tmp_path, rows)
    assert found.items == ("good",)
    told = " | ".join(found.notes)
    assert "left out: 1 item with different answers recorded (the first: two answers)" in told
    assert "1 item with different numbers of options recorded" in told
    assert "1 item with fewer than 2 or more than 26 options" in told
    assert "2 items with an answer that is none of the options" in told


def test_repeated_rows_are_counted_and_a_contradiction_refused(tmp_path: Path) -> None:
    twice = [*SMALL, SMALL[0], row("n", "q1", "B")]
    found = read(tmp_path, twice)
    assert found.chosen[1, 0] == 1
    assert "left out: 2 repeated rows" in found.notes
    assert "Two different predictions of m for item q1" in refused(tmp_path, [*SMALL, row("m", "q1", "B")])


def test_rows_without_a_model_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, [*SMALL, row("  ", "q1", "B")])
    assert found.models == ("m", "n")
    assert any("1 row without a model" in note for note in found.notes)


def test_probabilities_are_kept_where_they_are_sound(tmp_path: Path) -> None:
    rows = [
        row("m", "q", "A", "A", 2, probabilities=[0.75, 0.25]),
        row("n", "q", "B", "A", 2, probabilities=[0.5, 0.5]),
        row("m", "r", "A", "A", 2, probabilities=[0.9, 0.9]),
        row("n", "r", "A", "A", 2, probabilities=[1.0]),
    ]
    found = read(tmp_path, rows)
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities[:, 0], [[0.75, 0.25], [0.5, 0.5]])
    assert np.isnan(found.probabilities[:, 1]).all()
    assert any("probabilities of 2 rows" in note for note in found.notes)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"modell": "m", "item_id": 1, "pred": "A", "answer": "A", "options": 4}], "'modell' to 'model'"),
        ([row("m", "q", "A"), row("m", "r", "A")], "one model only (m)"),
        ([row("m", "q", "A", "Z"), row("n", "q", "A", "Z")], "no item that can be scored"),
        ([row("m", "q", "?"), row("n", "q", "none of them")], "no prediction that is one of"),
        ([row("", "q", "A")], "no rows with a model and an item (1 without)"),
    ],
)
def test_tables_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path, rows: list[Row], words: str) -> None:
    told = refused(tmp_path, rows)
    assert words in told
    assert "\n" not in told


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text(json.dumps(SMALL[0]) + "\n{not json}\n", encoding="utf-8")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "table.txt").write_text("model", encoding="utf-8")
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    for name, words in (
        ("broken.jsonl", "line 2: not JSON"),
        ("broken.parquet", "cannot be read"),
        ("table.txt", "no known form"),
        ("empty.jsonl", "does not begin with"),
        ("absent.csv", "There is no file"),
    ):
        with pytest.raises(InputError) as failure:
            read_predictions([tmp_path / name])
        assert words in str(failure.value)


def test_a_form_counts_only_where_it_can_be_an_option_of_the_item(tmp_path: Path) -> None:
    texts = ["x", "y"]
    found = read(tmp_path, [row("m", "q", "A", "A", texts), row("n", "q", "y", "A", texts)])
    assert found.chosen.tolist() == [[0], [1]]
