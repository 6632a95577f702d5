"""Response tables: the same answers come out, whatever form and memory; faults are named."""

from __future__ import annotations

import gc
import json
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from unicodedata import category

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydrometer import response_store
from hydrometer.errors import InputError
from hydrometer.response_checks import LANGUAGES, language_codes, require_common_prompts, require_models
from hydrometer.response_table import ResponseTable, read_table
from hydrometer.rows import detect_language

SHARED = Path(os.environ.get("HYDROMETER_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "alpaca_eval"
IN_FOLDER = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = ("river", "stone", "cloud", "ember", "meadow", "lantern", "harbour", "winter", "copper", "thistle")

UNSEEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}
#: Distinct (model, prompt, sample) with a text each.
ANSWERS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9).map(str), st.integers(0, 2)),
    st.text(max_size=12).filter(lambda text: "\r" not in text),
    min_size=1,
    max_size=25,
)


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    match path.suffix:
        case ".parquet":
            pl.DataFrame(rows).write_parquet(path, row_group_size=7)
        case ".csv":
            pl.DataFrame(rows).write_csv(path)
        case ".json":
            path.write_text(json.dumps(rows))
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def table_of(folder: Path, rows: Sequence[Mapping[str, object]]) -> ResponseTable:
    return read_table([write(folder / "answers.jsonl", rows)])


def contents(table: ResponseTable) -> list[tuple[str, str, int, str]]:
    """The answers with names in place of numbers; fails where a batch is not sorted or tears a prompt apart."""
    found, last = [], -1
    for batch in table.batches():
        keys = batch.select("prompt", "model", "sample")
        assert keys.rows() == sorted(set(keys.rows()))
        assert batch["prompt"][0] > last
        last = batch["prompt"][-1]
        found += [(table.models[m], table.prompts[p], s, text) for p, m, s, text in batch.rows()]
    return found


def prose(seed: int, length: int = 20) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def grid(models: Sequence[str], prompts: int) -> list[dict[str, object]]:
    """Every model's own prose to every prompt."""
    return [
        {"model": model, "prompt_id": str(prompt), "response": prose(1000 * number + prompt)}
        for number, model in enumerate(models)
        for prompt in range(prompts)
    ]


def note(table: ResponseTable, words: str) -> str:
    (found,) = [line for line in table.notes if words in line]
    return found


# What goes in comes out


@IN_FOLDER
@given(given_answers=ANSWERS, suffix=st.sampled_from([".parquet", ".jsonl", ".json", ".csv"]), spill=st.booleans())
def test_every_form_gives_the_answers_back_by_prompt(
    tmp_path: Path, given_answers: dict[tuple[str, str, int], str], suffix: str, spill: bool
) -> None:
    rows = [
        {"model": m, "prompt_id": p, "sample": s, "response": text, "prompt": f"about {p}"}
        for (m, p, s), text in given_answers.items()
    ]
    table = read_table([write(tmp_path / f"answers{suffix}", rows)], memory_bytes=1 if spill else None)
    filled = {key: text for key, text in given_answers.items() if any(category(c) not in UNSEEN for c in text)}
    assert {(m, p, s): text for m, p, s, text in contents(table)} == filled
    assert table._answers.spilled == (spill and bool(filled))
    assert list(table.models) == list(dict.fromkeys(m for m, _, _ in given_answers))
    assert list(table.prompts) == list(dict.fromkeys(p for _, p, _ in given_answers))
    assert table.texts == {p: f"about {p}" for p in table.prompts}
    assert table.empty.height == len(given_answers) - len(filled)
    for m, model in enumerate(table.models):
        for p, prompt in enumerate(table.prompts):
            assert table.answered[m, p] == any((model, prompt, s) in filled for s in range(3))


CELLS = st.sampled_from([None, "", " ", "x", "yes"])


@IN_FOLDER
@given(st.lists(st.tuples(CELLS, CELLS, CELLS, st.none() | st.integers(0, 3)), min_size=1, max_size=4, unique=True))
def test_columns_are_read_as_rows_are(tmp_path: Path, cells: list[tuple[object, object, object, object]]) -> None:
    columns = ("model", "prompt", "response", "sample")
    rows = [{**dict(zip(columns, row, strict=True)), "prompt_id": str(n)} for n, row in enumerate(cells)]
    schema = {**dict.fromkeys((*columns[:3], "prompt_id"), pl.String), "sample": pl.Int64}
    (tmp_path / "columns").mkdir(exist_ok=True)
    (tmp_path / "rows").mkdir(exist_ok=True)
    pl.DataFrame(rows, schema).write_parquet(tmp_path / "columns" / "x.parquet")
    by_column = read_table([tmp_path / "columns" / "x.parquet"])
    by_row = read_table([write(tmp_path / "rows" / "x.jsonl", rows)])
    assert contents(by_column) == contents(by_row)
    assert (by_column.models, by_column.prompts) == (by_row.models, by_row.prompts)
    assert (by_column.texts, by_column.notes) == (by_row.texts, by_row.notes)


def test_prompts_without_ids_are_known_by_their_text_in_columns_and_rows(tmp_path: Path) -> None:
    rows = [{"generator": name, "instruction": text, "output": "x"} for name in "ab" for text in ("Hi?", "Bye?")]
    by_column, by_row = (read_table([write(tmp_path / f"m{suffix}", rows)]) for suffix in (".parquet", ".jsonl"))
    assert by_column.prompts == by_row.prompts
    assert len(by_column.prompts) == 2
    with pytest.raises(InputError, match=r"m.parquet, row 2: no `prompt_id` and no prompt"):
        read_table([write(tmp_path / "m.parquet", [*rows[:1], {**rows[1], "instruction": None}])])


def test_batches_are_bounded_and_hold_whole_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "BATCH_BYTES", 1200)
    monkeypatch.setattr(response_store, "RUN_BYTES", 2000)
    rows = grid("abcdef", 30)
    path = write(tmp_path / "answers.jsonl", rows)
    held, spilled = read_table([path]), read_table([path], memory_bytes=3000)
    assert spilled._answers.spilled
    assert [batch.rows() for batch in held.batches()] == [batch.rows() for batch in spilled.batches()]
    sizes = [sum(len(text) for *_, text in batch.rows()) for batch in held.batches()]
    assert len(sizes) > 10
    assert max(sizes) <= 1200
    assert contents(held) == contents(held) == contents(spilled)


def test_the_temporary_folder_goes_with_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    table = read_table([write(tmp_path / "answers.jsonl", grid("ab", 3))], memory_bytes=1)
    assert len(list((tmp_path / "scratch").glob("hydrometer-*/*.parquet"))) == 1
    del table
    gc.collect()
    assert not list((tmp_path / "scratch").iterdir())


def test_no_room_for_the_temporary_folder_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(InputError, match=r"do not fit in memory.*TMPDIR"):
        read_table([write(tmp_path / "answers.jsonl", grid("ab", 3))], memory_bytes=1)


# Names


def test_models_are_chosen_and_found_by_name(tmp_path: Path) -> None:
    for suffix in (".parquet", ".jsonl"):
        path = write(tmp_path / f"answers{suffix}", grid(["gpt-4o", "llama-3", "claude-3"], 12))
        table = read_table([path], models=["claude-3", "gpt-4o"])
        assert table.models == ("gpt-4o", "claude-3")
        assert table.find("claude-3") == 1
        with pytest.raises(InputError, match=r"no model 'claude'\. Did you mean claude-3"):
            table.find("claude")
        with pytest.raises(InputError, match=r"no model 'llama3'\. Did you mean llama-3"):
            read_table([path], models=["gpt-4o", "llama3"])


def test_measures_can_demand_models_and_common_prompts(tmp_path: Path) -> None:
    rows = grid("ab", 4)
    rows += ({"model": "c", "prompt_id": f"other {n}", "response": prose(n)} for n in range(3))
    table = table_of(tmp_path, rows)
    require_models(table, at_least=3)
    require_common_prompts(table)
    require_common_prompts(table, ["a", "b"], at_least=4)
    with pytest.raises(InputError, match=r"answers of 3 models .* 4 are needed"):
        require_models(table, at_least=4)
    with pytest.raises(InputError, match="'a' and 'c' answered 0 prompts in common"):
        require_common_prompts(table, ["a", "c"])
    with pytest.raises(InputError, match="'a' and 'b' answered 4 prompts in common, 10 are needed"):
        require_common_prompts(table, ["a", "b"], at_least=10)
    with pytest.raises(InputError, match="no two models answered the same prompt"):
        require_common_prompts(read_table([tmp_path / "answers.jsonl"], models=["a", "c"]))
    assert note(table, "no prompt in common") == "2 pairs of models have no prompt in common"


# Faults


def test_two_answers_to_one_prompt_are_refused_with_both_places(tmp_path: Path) -> None:
    first = write(tmp_path / "one.parquet", grid("ab", 3))
    second = write(tmp_path / "two.jsonl", [{"model": "b", "prompt_id": "1", "response": "other"}])
    with pytest.raises(
        InputError, match=r"two.jsonl, line 1: a second answer of 'b' to prompt '1'.*one.parquet, row 5"
    ):
        read_table([first, second])
    rows = [{**row, "turns": ["Hi?"]} for row in grid("ab", 3)]
    nested = write(tmp_path / "nested.parquet", [*rows, {**rows[4], "response": "other"}])
    with pytest.raises(InputError, match=r"nested.parquet, row 7: .*nested.parquet, row 5"):
        read_table([nested], models=["b"])


@pytest.mark.parametrize("memory_bytes", [None, 1])
def test_the_same_answer_twice_counts_once(tmp_path: Path, memory_bytes: int | None) -> None:
    path = write(tmp_path / "answers.jsonl", [*grid("ab", 12), *grid("a", 2)])
    table = read_table([path], memory_bytes=memory_bytes)
    assert len(contents(table)) == 24
    assert note(table, "word for word") == "2 answers are recorded twice, word for word, and count once"


def test_cells_that_are_no_text_are_named(tmp_path: Path) -> None:
    numbers = write(tmp_path / "numbers.parquet", [{"model": "m", "prompt_id": 1, "response": 5}])
    with pytest.raises(InputError, match=r"numbers.parquet, row 1: an answer is int, not text"):
        read_table([numbers])
    with pytest.raises(InputError, match=r"answers.jsonl, line 2: an answer is list, not text"):
        table_of(tmp_path, [*grid("m", 1), {"model": "m", "prompt_id": "x", "response": [["a"]]}])
    with pytest.raises(InputError, match="row 1: the sample is '-1'"):
        read_table([write(tmp_path / "s.parquet", [{"model": "m", "prompt_id": 1, "response": "x", "sample": -1}])])


# What is told


def test_gaps_empty_answers_and_few_prompts_are_told(tmp_path: Path) -> None:
    rows = grid("ab", 9)
    rows += [{"model": "c\x1b[2J", "prompt_id": "0", "response": " \n"}]
    table = table_of(tmp_path, rows)
    assert note(table, "have no answer") == "8 of 27 pairs of model and prompt have no answer: 'c\\x1b[2J' 8"
    assert note(table, "left out") == "1 answer is empty and left out: 'c\\x1b[2J' 1"
    assert note(table, "too few").startswith("only 9 prompts")
    assert table.empty.rows() == [(0, 2, 0)]
    assert note(table_of(tmp_path, grid("a", 10)), "one model only") == "one model only: 'a'"


def test_a_sound_set_has_no_notes(tmp_path: Path) -> None:
    assert table_of(tmp_path, grid("abc", 20)).notes == ()


def test_constant_and_hardly_answering_models_are_named(tmp_path: Path) -> None:
    rows = grid(["a", "b", "null", "short"], 20)
    for row in rows:
        if row["model"] == "null":
            row["response"] = prose(0)
        if row["model"] == "short":
            row["response"] = str(row["response"])[: 1 + int(str(row["prompt_id"])) % 4]
    table = table_of(tmp_path, rows)
    assert note(table, "everything alike") == "'null' answers everything alike: one text for 100% of its prompts"
    assert note(table, "hardly").startswith("'short' hardly answers: its median answer has ")


def test_copies_are_named_and_chance_agreement_is_not(tmp_path: Path) -> None:
    rows = grid(["a", "twin", "part", "b"], 20)
    for row in rows:
        number = int(str(row["prompt_id"]))
        if row["model"] == "twin" or (row["model"] == "part" and number < 5):
            row["response"] = prose(number)
    table = table_of(tmp_path, rows)
    assert [line for line in table.notes if "same answer" in line] == [
        "'a' and 'twin' give the same answer to 20 of 20 prompts: one model under two names?",
        "'a' and 'part' give the same answer to 5 of 20 prompts",
        "'twin' and 'part' give the same answer to 5 of 20 prompts",
    ]
    letters: list[Mapping[str, object]] = [
        {**row, "response": "ABCD"[random.Random(str(row)).randrange(4)]} for row in grid("abcdef", 40)
    ]
    assert not [line for line in table_of(tmp_path, letters).notes if "same answer" in line]
    twins: list[Mapping[str, object]] = [
        {**row, "response": "ABCD"[int(str(row["prompt_id"])) % 4]} for row in grid("ab", 40)
    ]
    assert "one model under two names" in note(table_of(tmp_path, twins), "same answer to 40 of 40")


def test_mixed_languages_are_told(tmp_path: Path) -> None:
    rows = grid("abc", 20)
    for row in rows:
        if int(str(row["prompt_id"])) < 4 or (row["model"] == "c" and int(str(row["prompt_id"])) < 10):
            row["response"] = f"这是第{row['prompt_id']}个问题的{row['model']}回答"
    table = table_of(tmp_path, rows)
    assert note(table, "several languages") == "prompts are answered in several languages: en 16, zh 4"
    assert note(table, "another language") == "'c' answers 30% of its prompts in another language than most models"


@given(st.lists(st.text(st.sampled_from("ab é\u00d7中文字の한1 .\n"), max_size=12), min_size=1))
def test_languages_follow_the_rule_of_the_rows(texts: list[str]) -> None:
    assert [LANGUAGES[code] for code in language_codes(pl.Series(texts))] == [detect_language(text) for text in texts]


def test_the_recorded_population_is_read_and_its_odd_models_are_named() -> None:
    if not SHARED.exists():
        pytest.skip("no recorded answers: set HYDROMETER_SHARED")
    table = read_table([SHARED])
    assert (len(table.models), len(table.prompts), len(table.texts)) == (123, 805, 805)
    answers = sum(batch.height for batch in table.batches())
    assert answers + table.empty.height == 99_001
    assert table.answered.sum() == answers
    for words in ("'NullModel' answers everything alike", "'gpt4_gamed' hardly answers", "'Samba-CoE-v0.2' give"):
        assert note(table, words)
