"""Recorded attempts: every form, every malformed input with its place."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.identity.records import Attempt, read_records

ROW: dict[str, Any] = {
    "model": "m-1",
    "template": "Play a robot. {query}",
    "query": "Who made you?",
    "response": "A firm.",
}
OWN = Attempt("m-1", ROW["template"], ROW["query"], ROW["response"])


def write(tmp_path: Path, name: str, *rows: Any) -> Path:
    path = tmp_path / name
    if path.suffix == ".jsonl":
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(list(rows)), "utf-8")
    elif path.suffix == ".csv":
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(stream.getvalue(), "utf-8")
    else:
        import polars as pl

        pl.DataFrame(list(rows)).write_parquet(path)
    return path


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_our_form_in_every_kind_of_file(tmp_path: Path, form: str) -> None:
    full = {
        **ROW,
        "template_id": "t-1",
        "query_id": "team-01-en",
        "category": "team",
        "language": "en",
        "leading": True,
        "loose": True,
        "strict": False,
    }
    expected = Attempt(
        "m-1",
        ROW["template"],
        ROW["query"],
        ROW["response"],
        None,
        "t-1",
        "team-01-en",
        "team",
        "en",
        True,
        True,
        False,
    )
    assert read_records([write(tmp_path, f"r.{form}", full)]) == [expected]
    assert read_records([write(tmp_path, f"s.{form}", ROW)]) == [OWN]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b"\r\n\r\n" + json.dumps(ROW).encode() + b"\n\n")
    assert read_records([path]) == [OWN, OWN]


def test_the_language_is_that_of_the_question(tmp_path: Path) -> None:
    (attempt,) = read_records([write(tmp_path, "r.jsonl", {**ROW, "query": "你的开发团队在哪里？"})])
    assert attempt.language == "zh"


# -- the form of the published code ------------------------------------------------------------------------------

PUBLISHED: dict[str, Any] = {
    "jailbreak_prompt": "Play a robot. {query}",
    "query": "Who made you?",
    "target_responses": ['It\'s a "firm".\n您好'],
    "eval_results": 1,
}


def test_the_published_jsonl_form(tmp_path: Path) -> None:
    path = write(tmp_path, "gpt_GPT_deepseek-chat.jsonl", PUBLISHED, {**PUBLISHED, "eval_results": 0})
    one, two = read_records([path])
    assert (one.model, one.template, one.response, one.loose, one.strict) == (
        "deepseek-chat",
        "Play a robot. {query}",
        'It\'s a "firm".\n您好',
        True,
        None,
    )
    assert two.loose is False


@pytest.mark.parametrize("labels", [{"re_judge": "1"}, {"strict_score": 1.0}, {"strict": True}])
def test_the_published_csv_form_holds_the_repr_of_a_list(tmp_path: Path, labels: dict[str, Any]) -> None:
    row = {**PUBLISHED, "target_responses": repr(PUBLISHED["target_responses"]), **labels}
    (attempt,) = read_records([write(tmp_path, "GPT_phi-4_0.22.csv", row)])
    assert (attempt.model, attempt.response, attempt.loose, attempt.strict) == (
        "phi-4",
        'It\'s a "firm".\n您好',
        True,
        True,
    )


def test_the_published_forms_answer_for_a_failed_call_is_no_answer(tmp_path: Path) -> None:
    rows = [{**PUBLISHED, "target_responses": value} for value in (["reject to respond"], [""], [], [None], None)]
    attempts = read_records([write(tmp_path, "GPT_x.jsonl", *rows)])
    assert [attempt.response for attempt in attempts] == [None] * 5
    assert [attempt.failure for attempt in attempts] == ["recorded", "empty", "empty", "empty", "empty"]


@pytest.mark.parametrize(
    "hostile",
    ["__import__('os').system('touch pwned')", "[open('/etc/passwd').read()]", "(" * 50_000, "[" * 500, "['a'", "\x00"],
)
def test_text_of_a_model_is_never_run(tmp_path: Path, hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = {**PUBLISHED, "target_responses": hostile}
    with pytest.raises(InputError, match="line 1: 'target_responses' is not a list"):
        read_records([write(tmp_path, "GPT_x.jsonl", row)])
    assert not (tmp_path / "pwned").exists()


# -- failures and odd answers ------------------------------------------------------------------------------------


def test_a_recorded_failure_is_kept_with_its_kind(tmp_path: Path) -> None:
    rows = [
        {**ROW, "response": None, "failure": "timeout"},
        {**ROW, "response": "half an ans", "failure": "server"},
        {**ROW, "response": "  \n"},
    ]
    attempts = read_records([write(tmp_path, "r.jsonl", *rows)])
    assert [(attempt.response, attempt.failure) for attempt in attempts] == [
        (None, "timeout"),
        (None, "server"),
        (None, "empty"),
    ]


def test_an_answer_keeps_its_white_space(tmp_path: Path) -> None:
    (attempt,) = read_records([write(tmp_path, "r.jsonl", {**ROW, "response": "\n  I am.\n"})])
    assert attempt.response == "\n  I am.\n"


def test_half_a_surrogate_pair_in_an_answer_does_not_break_what_comes_after(tmp_path: Path) -> None:
    (attempt,) = read_records([write(tmp_path, "r.jsonl", {**ROW, "response": "cut off \ud83d", "model": "m\udc00"})])
    assert attempt.response == "cut off \ufffd"
    assert attempt.model == "m\ufffd"


def test_a_very_long_answer_fits_into_a_csv(tmp_path: Path) -> None:
    (attempt,) = read_records([write(tmp_path, "r.csv", {**ROW, "response": "x" * 300_000})])
    assert len(attempt.response or "") == 300_000


def test_empty_cells_of_a_csv_are_absent(tmp_path: Path) -> None:
    empty = dict.fromkeys(["template_id", "category", "language", "leading", "loose", "strict", "failure"], "")
    assert read_records([write(tmp_path, "r.csv", {**ROW, **empty})]) == [OWN]


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *((True, True), (1, True), ("1", True), (1.0, True), ("Yes", True)),
        *((False, False), (0, False), ("0.0", False), ("FALSE", False), (None, None), ("", None)),
    ],
)
def test_flags_in_all_their_spellings(tmp_path: Path, value: Any, flag: bool | None) -> None:
    (attempt,) = read_records([write(tmp_path, "r.jsonl", {**ROW, "loose": value, "strict": value, "leading": value})])
    assert (attempt.loose, attempt.strict, attempt.leading) == (flag, flag, flag)


# -- the model ---------------------------------------------------------------------------------------------------


def test_the_model_comes_from_the_record_then_the_option_then_the_published_file_name(tmp_path: Path) -> None:
    nameless = {name: value for name, value in ROW.items() if name != "model"}
    path = write(tmp_path, "GPT_qwen-max_0.25_in_1000.jsonl", ROW, nameless, {**ROW, "model": "  "})
    assert [attempt.model for attempt in read_records([path])] == ["m-1", "qwen-max", "qwen-max"]
    assert [attempt.model for attempt in read_records([path], "given")] == ["m-1", "given", "given"]


def test_a_record_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    nameless = {name: value for name, value in ROW.items() if name != "model"}
    for row in (nameless, {**ROW, "model": 3}, {**ROW, "model": "   "}):
        with pytest.raises(InputError, match=r"r.jsonl, line 2: .*model.*--subject NAME"):
            read_records([write(tmp_path, "r.jsonl", ROW, row)])


# -- several files and folders -----------------------------------------------------------------------------------


def test_folders_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.csv", "c.json"):
        write(tmp_path, name, {**ROW, "model": name})
    (tmp_path / "notes.txt").write_text("no records")
    assert [attempt.model for attempt in read_records([tmp_path])] == ["a.csv", "b.jsonl", "c.json"]
    assert [a.model for a in read_records([tmp_path / "c.json", tmp_path / "a.csv"])] == ["c.json", "a.csv"]


# -- malformed input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b"", "holds no records"),
        ("r.jsonl", b"\n\n", "holds no records"),
        ("r.json", b"[]", "holds no records"),
        ("r.csv", b"model,template,query,response\n", "holds no records"),
        ("r.txt", b"x", "no known form"),
        ("r.jsonl", b"\xff\xfe{}", "line 1: not UTF-8"),
        ("r.jsonl", json.dumps(ROW).encode() + b"\n\xff", "line 2: not UTF-8"),
        ("r.jsonl", json.dumps(ROW).encode() + b"\n{cut off", "line 2: not JSON"),
        ("r.jsonl", b"[1]", "line 1: not a JSON object"),
        ("r.jsonl", b"[" * 100_000, "line 1: nested too deeply"),
        ("r.jsonl", b'{"a": ' + b"9" * 5000 + b"}", "line 1"),
        ("r.json", b"{}", "not a list"),
        ("r.json", b"[1]", "record 1: not a JSON object"),
        ("r.json", b"[\n{},\n}", "line 3: not JSON"),
        ("r.csv", b"model,template,query,response\na,b,c\n", "line 2: 3 cells under 4 columns"),
        ("r.csv", b'model,template,query,response\na,b,c,"open\n', "line 2"),
        ("r.csv", b"model,template,prompt,response\na,b,c,d\n", "line 1: the columns are model, template, prompt"),
        ("r.csv", b"", "holds no records"),
        ("r.parquet", b"PAR1 not really", "not a readable Parquet file"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_records([path])
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": ...}, "'query' is missing or empty"),
        ({"query": " "}, "'query' is missing or empty"),
        ({"query": 3}, "'query' is not text"),
        ({"query": "\ud800"}, "'query' holds a broken character"),
        ({"template": ...}, "'template' is missing or empty"),
        ({"template": ["x"]}, "'template' is not text"),
        ({"response": ...}, "no field 'response'"),
        ({"response": 3}, "'response' is not text"),
        ({"response": {"a": 1}}, "'response' is not text"),
        ({"response": ["a", "b"]}, "'response' is not text"),
        ({"loose": "maybe"}, "'loose' is 'maybe'"),
        ({"strict": 2}, "'strict' is 2"),
        ({"leading": "x"}, "'leading' is 'x'"),
        ({"loose": [True]}, r"'loose' is \[True\]"),
        ({"category": 3}, "'category' is not text"),
        ({"failure": 3}, "'failure' is not text"),
    ],
)
def test_a_malformed_record_is_refused_with_its_place(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    row = {name: value for name, value in {**ROW, **change}.items() if value is not ...}
    for form, place in (("jsonl", "r.jsonl, line 3"), ("json", "r.json, record 3")):
        with pytest.raises(InputError, match=f"{place}: .*{message}"):
            read_records([write(tmp_path, f"r.{form}", ROW, ROW, row)])


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_records([tmp_path / "none.jsonl"])
    with pytest.raises(InputError, match="holds no record files"):
        read_records([tmp_path])


# -- round trip --------------------------------------------------------------------------------------------------

_LINE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text == text.strip())
_FLAG = st.none() | st.booleans()
_ATTEMPTS = st.builds(
    Attempt,
    model=_LINE,
    template=_LINE,
    query=_LINE,
    response=st.text(st.characters(exclude_categories=["Cs"])).filter(
        lambda t: bool(t.strip()) and t != "reject to respond"
    ),
    template_id=_LINE,
    query_id=_LINE,
    category=_LINE,
    language=st.sampled_from(["en", "zh", "und"]),
    leading=_FLAG,
    loose=_FLAG,
    strict=_FLAG,
)


@given(st.lists(_ATTEMPTS, min_size=1, max_size=4), st.sampled_from(["jsonl", "json", "parquet"]))
def test_our_form_round_trips(tmp_path_factory: pytest.TempPathFactory, attempts: list[Attempt], form: str) -> None:
    from dataclasses import asdict

    rows = [asdict(attempt) for attempt in attempts]
    path = tmp_path_factory.getbasetemp() / f"round.{form}"
    if form == "parquet":
        import polars as pl

        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    else:
        write(path.parent, path.name, *rows)
    assert read_records([path]) == attempts
