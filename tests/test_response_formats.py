"""Foreign forms of recorded answers: every layout is read, and any content ends in answers or one clear line."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.response_formats import files
from hydrometer.response_formats.files import find_sources, json_lines, kind_of, read_answers, source_of
from hydrometer.response_formats.record import Answer
from hydrometer.response_table import read_table

IN_FOLDER = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def answers(path: Path) -> list[Answer]:
    return list(read_answers(source_of(path)))


def answers_or_fault(path: Path) -> list[Answer] | str:
    try:
        return answers(path)
    except InputError as error:
        return str(error)


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


# lm-evaluation-harness


def sample(doc_id: int, *texts: str, **changes: object) -> dict[str, object]:
    return {
        "doc_id": doc_id,
        "doc": {"question": f"q{doc_id}"},
        "target": "42",
        "arguments": {"gen_args_0": {"arg_0": f"Question: q{doc_id}", "arg_1": {"until": ["\n"]}}},
        "resps": [list(texts)],
        "filtered_resps": [texts[0][:1]] if texts else [],
        "filter": "strict-match",
        **changes,
    }


def test_samples_of_the_harness_take_the_model_from_the_results_of_the_same_run(tmp_path: Path) -> None:
    for date, model in (("2024-07-01T10-00-00.1", "org/first"), ("2024-07-02T10-00-00.2", "org/second")):
        (tmp_path / f"results_{date}.json").write_text(json.dumps({"results": {}, "model_name": model}))
        write_lines(tmp_path / f"samples_gsm8k_cot_{date}.jsonl", [sample(0, f"by {model}", "again")])
    table = read_table([tmp_path])
    assert table.models == ("org/first", "org/second")
    assert table.prompts == ("gsm8k_cot/0",)
    assert table.texts == {"gsm8k_cot/0": "Question: q0"}
    (batch,) = table.batches()
    assert batch.rows() == [
        (0, 0, 0, "by org/first"),
        (0, 0, 1, "again"),
        (0, 1, 0, "by org/second"),
        (0, 1, 1, "again"),
    ]


def test_filters_of_the_harness_are_one_answer_and_the_folder_names_the_model(tmp_path: Path) -> None:
    rows = [sample(0, "long"), sample(0, "long", filter="flexible-extract"), sample(1, "short")]
    path = write_lines(tmp_path / "org__model" / "samples_task_2024.jsonl", rows)
    assert [(one.model, one.recorded.prompt_id, one.recorded.text) for one in answers(path)] == [
        ("org__model", "task/0", "long"),
        ("org__model", "task/1", "short"),
    ]


def test_results_of_other_runs_name_no_model_of_this_one(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "folder" / "samples_task_2024.jsonl", [sample(0, "x")])
    for number, name in ((1, "first"), (2, "second")):
        (path.parent / f"results_{number}.json").write_text(json.dumps({"results": {}, "model_name": name}))
    assert answers(path)[0].model == "folder"
    (path.parent / "results_2.json").write_text("{")
    assert answers(path)[0].model == "first"


def test_samples_of_the_harness_in_older_layouts(tmp_path: Path) -> None:
    row = sample(3, "text", arguments=[["Question?", {"until": []}]])
    del row["filter"]
    path = tmp_path / "model" / "samples_task_x.json"
    path.parent.mkdir()
    path.write_text(json.dumps([row]))
    (one,) = answers(path)
    assert (one.recorded.prompt, one.recorded.text) == (("Question?",), "text")


def test_likelihoods_of_the_harness_are_no_answers(tmp_path: Path) -> None:
    likelihood = sample(0, arguments={"gen_args_0": {"arg_0": "Q", "arg_1": " A"}}, resps=[[["-1.5", "False"]]])
    rolling = sample(0, "-12.5", arguments={"gen_args_0": {"arg_0": "text"}})
    for name, row in (("mmlu", likelihood), ("wikitext", rolling)):
        write_lines(tmp_path / f"samples_{name}_1.jsonl", [row])
    with pytest.raises(InputError, match="holds no file of recorded answers"):
        find_sources([tmp_path])
    broken = write_lines(tmp_path / "samples_gsm8k_1.jsonl", [sample(0, "fine"), sample(1, resps=[[["-1.5"]]])])
    with pytest.raises(InputError, match=r"gsm8k_1.jsonl, line 2: `resps` holds no text"):
        answers(broken)


# Inspect

HEADER = {"version": 2, "status": "success", "eval": {"task": "poems", "model": "openai/gpt-4o"}}


def inspected(identity: object, text: object, epoch: int = 1, **changes: object) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "id": identity,
        "epoch": epoch,
        "input": "Write.",
        "output": {"model": "gpt-4o", "choices": [{"message": message}]},
        **changes,
    }


def write_log(path: Path, samples: Sequence[dict[str, Any]], header: str = "header.json") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(header, json.dumps(HEADER))
        for one in samples:
            archive.writestr(f"samples/{one.get('id')}_epoch_{one.get('epoch')}.json", json.dumps(one))
    return path


@pytest.mark.parametrize("header", ["header.json", "_journal/start.json"])
def test_epochs_of_an_inspect_log_are_samples(tmp_path: Path, header: str) -> None:
    path = write_log(
        tmp_path / "log.eval", [inspected("a", "one"), inspected("a", "two", 2), inspected(7, "x")], header
    )
    found = [(one.model, one.recorded.prompt_id, one.recorded.sample, one.recorded.text) for one in answers(path)]
    assert found == [
        ("openai/gpt-4o", "poems/a", 0, "one"),
        ("openai/gpt-4o", "poems/a", 1, "two"),
        ("openai/gpt-4o", "poems/7", 0, "x"),
    ]
    assert answers(path)[0].recorded.prompt == ("Write.",)


def test_parts_attachments_failures_and_conversations_of_inspect(tmp_path: Path) -> None:
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "see "}, {"type": "text", "text": "me"}]
    asked = [{"role": "system", "content": "Be."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    samples = [
        inspected(1, parts, input=asked),
        inspected(2, "attachment://abc", attachments={"abc": "long text"}),
        inspected(3, "", output={"choices": []}, error={"message": "timeout"}),
        inspected(4, "", output={"completion": "only this"}),
    ]
    document = tmp_path / "log.json"
    document.write_text(json.dumps({**HEADER, "samples": samples}))
    for path in (write_log(tmp_path / "log.eval", samples), document):
        found = [one.recorded for one in answers(path)]
        assert [one.text for one in found] == ["see me", "long text", "", "only this"]
        assert found[0].prompt == ("Hi",)


def test_a_log_in_zstandard_says_what_to_do(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.eval", [inspected(1, "x")])
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo("header.json").header_offset
    data[local + 8] = 93
    data[data.index(b"PK\x01\x02") + 10] = 93
    path.write_bytes(data)
    try:
        import compression.zstd  # type: ignore[import-not-found]  # noqa: F401 - Python 3.14 reads it

        expected = "damaged"
    except ImportError:
        expected = "Zstandard.*inspect log convert --to json"
    with pytest.raises(InputError, match=f"log.eval, header.json: .*{expected}"):
        answers(path)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([{"id": None, "epoch": 1}], "samples/None_epoch_1.json: no sample"),
        ([{"id": 1, "epoch": 0}], "samples/1_epoch_0.json: no sample"),
        ([inspected(1, 5)], "an answer is int, not text"),
    ],
)
def test_malformed_samples_of_inspect_are_named(tmp_path: Path, samples: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        answers(write_log(tmp_path / "log.eval", samples))


# Folders


def test_a_folder_is_read_in_the_order_of_paths_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    for name in ("b", "a"):
        rows = [{"instruction": "Hi?", "output": name}]
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_outputs.json").write_text(json.dumps(rows))
    write_lines(
        tmp_path / "c" / "model_answer" / "m.jsonl", [{"prompt": "Hi?", "model_id": "m", "choices": [{"turns": ["c"]}]}]
    )
    (tmp_path / "leaderboard.csv").write_text("name,score\na,1\n")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.jsonl").write_text("broken")
    table = read_table([tmp_path, tmp_path / "a"])
    assert table.models == ("a", "b", "m")
    assert len(table.prompts) == 1
    assert "not answers, left out: leaderboard.csv, notes.txt (2 files)" in table.notes


def test_a_file_of_prompts_gives_their_texts(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "question.jsonl", [{"question_id": 81, "category": "writing", "turns": ["Say A.", "Say B."]}]
    )
    write_lines(
        tmp_path / "model_answer" / "m.jsonl",
        [{"question_id": 81, "model_id": "m", "choices": [{"turns": ["A", "B"]}]}],
    )
    table = read_table([tmp_path])
    assert table.texts == {"81": "Say A.\n\nSay B."}
    assert table.categories == {"81": "writing"}
    (tmp_path / "model_answer" / "m.jsonl").unlink()
    with pytest.raises(InputError, match="holds no file of recorded answers"):
        read_table([tmp_path])


def test_the_layout_of_arena_hard_2(tmp_path: Path) -> None:
    write_lines(tmp_path / "question.jsonl", [{"uid": "u", "category": "hard_prompt", "prompt": "Q"}])
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": {"answer": "A"}}]
    write_lines(tmp_path / "model_answer" / "m.jsonl", [{"uid": "u", "model": "m", "messages": messages}])
    table = read_table([tmp_path])
    (batch,) = table.batches()
    assert (table.prompts, batch["response"].to_list(), table.categories) == (("u",), ["A"], {"u": "hard_prompt"})
    assert not any("differ" in line for line in table.notes)


def test_one_id_for_two_prompts_is_told(tmp_path: Path) -> None:
    rows = [{"model": m, "prompt_id": 1, "prompt": f"for {m}", "response": "x"} for m in "ab"]
    notes = read_table([write_lines(tmp_path / "answers.jsonl", rows)]).notes
    assert "prompt id '1' stands for prompts that differ" in notes


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "x", "no known form. Known forms"),
        ("a.json", '{"a": 1}', "a.json: not a list"),
        ("a.json", "{", "a.json: not JSON"),
        ("a.jsonl", "", "hold no answers"),
        ("a.jsonl", '{"a": 1}', "line 1: no answer"),
        ("a.jsonl", "[1]", "line 1: not a JSON object"),
        ("a.csv", "model,prompt\n", "columns are model, prompt"),
        ("a.parquet", "x", "not a readable Parquet"),
        ("a.eval", "x", r"not a readable \.eval log"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_table([tmp_path / name])
    assert "\n" not in str(caught.value)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="hold no answers"):
        read_table([tmp_path / "other.parquet"])
    with pytest.raises(InputError, match="no file or folder"):
        read_table([tmp_path / "nowhere"])


def test_a_large_file_that_can_only_be_read_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WHOLE_BYTES", 100)
    path = tmp_path / "large.json"
    path.write_text(json.dumps([{"prompt_id": "1", "response": "x" * 200}]))
    with pytest.raises(InputError, match=r"large.json .* only be read whole\. Write it as \.jsonl"):
        read_table([path])


# Whatever a file holds


@IN_FOLDER
@given(rows=st.lists(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), max_size=5), bom=st.booleans())
def test_json_lines_come_back_as_written(tmp_path: Path, rows: list[dict[str, Any]], bom: bool) -> None:
    path = tmp_path / "rows.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=True) + "\r\n\r\n" for row in rows)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    assert [row.fields for row in json_lines(path)] == rows
    assert [row.where for row in json_lines(path)] == [f"rows.jsonl, line {2 * n + 1}" for n in range(len(rows))]


def test_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    row = {"prompt_id": "1", "response": "a\u2028b\x85c\x0bd"}
    assert [one.fields for one in json_lines(write_lines(tmp_path / "x.jsonl", [row]))] == [row]


@IN_FOLDER
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".jsonl", ".json", ".csv", ".parquet", ".eval"]))
def test_any_bytes_are_answers_or_one_clear_line(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_table([path])
    assert "\n" not in str(caught.value)


FIELDS = ["model", "prompt_id", "response", "output", "choices", "messages", "sample", "turns", "prompt", "category"]


@IN_FOLDER
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES | st.just([{"turns": ["x"]}]), max_size=6))
def test_any_record_is_answers_or_one_clear_line(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "any.jsonl"
    path.write_text(json.dumps(row))
    found = answers_or_fault(path)
    if isinstance(found, str):
        assert found.startswith("any.jsonl, line 1: ")
    else:
        pl.DataFrame([(one.model, one.recorded.prompt_id, one.recorded.text) for one in found], orient="row")


@IN_FOLDER
@given(VALUES, VALUES, VALUES)
def test_any_sample_of_the_harness_is_answers_or_one_clear_line(
    tmp_path: Path, resps: Any, args: Any, doc: Any
) -> None:
    rows = [sample(0, "fine"), {**sample(1, resps=resps, arguments=args), "doc_id": doc}]
    path = write_lines(tmp_path / "samples_t_1.jsonl", rows)
    assert kind_of(path) == "harness"
    found = answers_or_fault(path)
    assert (
        found[0].recorded.text == "fine" if isinstance(found, list) else found.startswith("samples_t_1.jsonl, line 2: ")
    )


@IN_FOLDER
@given(VALUES, VALUES, VALUES, VALUES)
def test_any_sample_of_inspect_is_an_answer_or_one_clear_line(
    tmp_path: Path, identity: Any, asked: Any, output: Any, content: Any
) -> None:
    samples = [inspected("i", content, input=asked), {**inspected(1, "x"), "id": identity, "output": output}]
    path = tmp_path / "log.json"
    path.write_text(json.dumps({**HEADER, "samples": samples}))
    found = answers_or_fault(path)
    assert len(found) == 2 if isinstance(found, list) else found.startswith("log.json, sample ")
