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
from hydrometer.response_names import ranked, split_names
from hydrometer.response_table import ResponseTable, read_named, read_table
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
    assert list(table.models) == sorted({m for m, _, _ in given_answers})
    assert list(table.prompts) == sorted({p for _, p, _ in given_answers})
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
    write(tmp_path / "rows" / "x.jsonl", rows)
    named = [bool(str(row[0] or "").strip()) for row in cells]
    if any(named) and not all(named):
        for name, where in (("columns/x.parquet", "row"), ("rows/x.jsonl", "line")):
            with pytest.raises(InputError, match=rf"{where} {named.index(False) + 1}: no model, though other rows"):
                read_table([tmp_path / name])
        return
    by_column = read_table([tmp_path / "columns" / "x.parquet"])
    by_row = read_table([tmp_path / "rows" / "x.jsonl"])
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
        assert table.models == ("claude-3", "gpt-4o")
        assert table.find("gpt-4o") == 1
        with pytest.raises(InputError, match=r"no model 'claude'\. Did you mean claude-3"):
            table.find("claude")
        with pytest.raises(InputError, match=r"no model 'llama3'\. Did you mean llama-3"):
            read_table([path], models=["gpt-4o", "llama3"])


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_none_of_the_named_models_is_one_line(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"answers{suffix}", grid(["gpt-4o", "llama-3"], 2))
    with pytest.raises(InputError, match=r"hold no model 'zz'\. Did you mean gpt-4o or llama-3\?"):
        read_table([path], models=["zz"])
    with pytest.raises(InputError, match=r"hold no model 'lama-3'\. Did you mean llama-3\?"):
        read_named([path], "lama-3,zz")
    with pytest.raises(InputError, match="no model is named"):
        read_named([path], " , ")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a,b"]),
        ("b,a", ["b", "a"]),
        (" a , b", ["a", "b"]),
        ("a, c", ["a", " c"]),
        ("c", ["c"]),
        ("b,a,b,a", ["b", "a,b", "a"]),
        ("a,b,c d", ["a,b", "c d"]),
        ("a,a", ["a", "a"]),
        (",a,", ["a"]),
    ],
)
def test_names_with_commas_and_spaces_can_be_given(tmp_path: Path, text: str, names: list[str]) -> None:
    known = ["a", "b", "a,b", " c", "c", "c d"]
    assert split_names(text, known) == names
    table, found = read_named([write(tmp_path / "answers.jsonl", grid(known, 2))], text)
    assert found == names
    assert set(table.models) == set(names)
    assert {model for model, *_ in contents(table)} == set(names)


@given(st.lists(st.text(alphabet="ab01 ", max_size=5), unique=True))
def test_names_are_ordered_as_people_count(names: list[str]) -> None:
    ordered, rank = ranked(names)
    assert [ordered[place] for place in rank] == names
    assert ordered == ranked(names[::-1])[0]
    assert ranked(["p10", "p9", "q", "p09", "p1x2", f"p{'9' * 5000}", "10", "9"])[0] == (
        *("9", "10", "p1x2", "p09", "p9", "p10", f"p{'9' * 5000}", "q"),
    )


@pytest.mark.parametrize("memory_bytes", [None, 1])
def test_the_order_of_rows_and_files_does_not_matter(tmp_path: Path, memory_bytes: int | None) -> None:
    rows = [
        {**row, "sample": sample, "response": f"{row['response']} {sample}", "prompt": f"{texts} {row['prompt_id']}"}
        for row in grid(["m10", "m9", "b", "gap"], 12)
        for sample, texts in ((0, "say"), (1, "tell"))
        if (row["model"], row["prompt_id"]) != ("gap", "3")
    ]
    for row in rows[:30]:
        row["response"] = "" if str(row["prompt_id"]) == "4" else f"{prose(1)} {row['sample']}"
    rows += [{**row, "response": f"{row['response']} \n"} for row in rows[:5]]
    found = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        parts = [
            write(tmp_path / f"{seed}-{number}{suffix}", rows[number * 30 : None if number else 30])
            for number, suffix in enumerate((".jsonl", ".parquet"))
        ]
        table = read_table(parts[::-1] if seed else parts, memory_bytes=memory_bytes)
        assert table.models == ("b", "gap", "m9", "m10")
        assert table.prompts == tuple(map(str, range(12)))
        batches = [batch.rows() for batch in table.batches()]
        found.append((batches, table.notes, dict(table.texts), table.empty.rows(), table.answered.tolist()))
    assert found[0] == found[1] == found[2]
    assert any("recorded twice" in line for line in found[0][1])


def test_names_that_look_alike_are_told(tmp_path: Path) -> None:
    table = table_of(tmp_path, grid(["caf\u00e9", "cafe\u0301", "m ", "m", "n"], 12))
    assert [line for line in table.notes if "differ only" in line] == [
        r"'cafe\u0301' and 'caf\xe9' differ only in spaces or in how their characters are coded: one model?",
        "'m' and 'm ' differ only in spaces or in how their characters are coded: one model?",
    ]


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
    assert note(table, "in common") == "2 pairs of models without a prompt in common"


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
    assert note(table, "word for word") == "2 answers recorded twice, word for word, count once"


def test_a_file_without_models_says_so_where_prompts_are_answered_twice(tmp_path: Path) -> None:
    rows = [{"prompt_id": row["prompt_id"], "response": row["response"]} for row in grid("ab", 2)]
    for suffix in (".parquet", ".jsonl"):
        with pytest.raises(InputError, match=r"a second answer to prompt '0', no column `model` says whose"):
            read_table([write(tmp_path / f"answers{suffix}", rows)])


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize(("field", "words"), [("model", "the model is nan"), ("prompt_id", "the prompt_id is nan")])
def test_names_that_are_no_number_are_refused(tmp_path: Path, suffix: str, field: str, words: str) -> None:
    rows = [{"model": "1", "prompt_id": "2", "response": "x"}, {"model": "1", "prompt_id": "3", "response": "x"}]
    numbers = [{**row, field: value} for row, value in zip(rows, (4.0, float("nan")), strict=True)]
    with pytest.raises(InputError, match=rf"(row|line) 2: {words}"):
        read_table([write(tmp_path / f"answers{suffix}", numbers)])


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
    assert note(table, "without an answer") == "8 of 27 pairs of model and prompt without an answer: 'c\\x1b[2J' 8"
    assert note(table, "left out") == "1 empty answer left out: 'c\\x1b[2J' 1"
    assert note(table, "too few").startswith("only 9 prompts")
    assert note(table_of(tmp_path, grid("ab", 1)), "too few").startswith("only 1 prompt:")
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
        "'part' and 'twin' give the same answer to 5 of 20 prompts",
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
