"""The ledger on real files: memory, keys, several processes, damage, full disks."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doubles import entry, failure, put, said
from hypothesis import given
from hypothesis import strategies as st

from hydrometer import ledger as ledger_module
from hydrometer.errors import LedgerError
from hydrometer.ledger import VERSION, Call, Entry, SqliteLedger
from hydrometer.models.base import CallFailure, Completion, Message, Sampling, TokenLogprob

SOURCE = Path(ledger_module.__file__).parents[1]


def get(path: Path, key: bytes) -> Completion | None:
    book = SqliteLedger(path)
    try:
        return book.get(key)
    finally:
        book.close()


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


# -- memory ------------------------------------------------------------------------------------------------------


def test_an_answer_is_remembered_with_everything_in_it(tmp_path: Path) -> None:
    full = Completion(
        "你好\n\x00 \U0001f600",
        "length",
        11,
        7,
        0.25,
        (
            TokenLogprob("a", -0.5, (("a", -0.5), ("b", -math.inf))),
            TokenLogprob("\ud83d", -9999.0),
            TokenLogprob("", 0.0),
        ),
        "served-1",
        ("seed", "top_p"),
    )
    item = entry("q", full)
    assert put(tmp_path / "l", item) == [full]
    assert get(tmp_path / "l", item.key) == full
    assert get(tmp_path / "l", entry("other", full).key) is None


@given(
    st.lists(
        st.tuples(st.text(), st.floats(allow_nan=False), st.lists(st.tuples(st.text(), st.floats(allow_nan=False))))
    )
)
def test_logprobs_round_trip(tokens: list[tuple[str, float, list[tuple[str, float]]]]) -> None:
    logprobs = tuple(TokenLogprob(token, value, tuple(top)) for token, value, top in tokens)
    assert ledger_module._load_logprobs(ledger_module._dump_logprobs(logprobs)) == logprobs


def test_failures_are_rows_and_never_answer(tmp_path: Path) -> None:
    path = tmp_path / "l"
    failed = entry("q", failure("server", "broken\nline"))
    assert put(path, failed, failed) == [None, None]
    assert get(path, failed.key) is None
    answered = entry("q", Completion("at last"))
    assert put(path, answered) == [Completion("at last")]
    assert put(path, failed) == [None]
    assert get(path, failed.key) == Completion("at last")
    book = SqliteLedger(path)
    assert list(book.query("SELECT failure, message, text FROM call ORDER BY id")) == [
        ("server", "broken\nline", None),
        ("server", "broken\nline", None),
        (None, None, "at last"),
        ("server", "broken\nline", None),
    ]
    book.close()


def test_the_first_answer_to_a_key_wins(tmp_path: Path) -> None:
    first, second = entry("q", Completion("first")), entry("q", Completion("second"))
    assert put(tmp_path / "l", first, second) == [Completion("first")] * 2
    assert put(tmp_path / "l", second) == [Completion("first")]


def test_runs_are_recorded_with_their_status_and_reuse(tmp_path: Path) -> None:
    book = SqliteLedger(tmp_path / "l", command="hydrometer ice run x")
    book.note_reuse()
    book.note_reuse()
    book.close("stopped")
    book = SqliteLedger(tmp_path / "l")
    ((command, status, reused, ended),) = book.query("SELECT command, status, reused, ended >= started FROM run")
    book.close()
    assert (command, status, reused, ended) == ("hydrometer ice run x", "stopped", 2, 1)


# -- keys --------------------------------------------------------------------------------------------------------

BASE = Call(
    "chat https://example.org/v1",
    "m-1",
    (Message("system", "s"), Message("user", "你好")),
    Sampling(temperature=0.0, max_tokens=5),
    0,
)
PINNED = "6dff8c6d9ef60f3a36d782215c26b5b20f95ab32fc5cffb916585ed105049c2f"


def key(call: Call) -> bytes:
    return Call.key_of(call.canonical())


def test_the_key_of_a_call_never_changes() -> None:
    assert BASE.canonical() == (
        '{"endpoint":"chat https://example.org/v1","messages":[["system","s"],["user","你好"]],"model":"m-1",'
        '"sample":0,"sampling":{"max_tokens":5,"temperature":0.0}}'
    )
    assert key(BASE).hex() == PINNED


def test_everything_that_determines_the_answer_changes_the_key() -> None:
    other = [
        Call("completions https://example.org/v1", BASE.model, BASE.messages, BASE.sampling, 0),
        Call(BASE.endpoint, "m-2", BASE.messages, BASE.sampling, 0),
        Call(BASE.endpoint, BASE.model, BASE.messages[1:], BASE.sampling, 0),
        Call(BASE.endpoint, BASE.model, BASE.messages[::-1], BASE.sampling, 0),
        Call(BASE.endpoint, BASE.model, (Message("user", "s"), Message("user", "你好")), BASE.sampling, 0),
        Call(BASE.endpoint, BASE.model, BASE.messages, BASE.sampling, 1),
    ]
    samplings: list[dict[str, Any]] = [
        {"temperature": 0.5},
        {"temperature": None},
        {"top_p": 1.0},
        {"max_tokens": 6},
        {"max_tokens": None},
        {"seed": 0},
        {"seed": 1},
        {"stop": ("\n",)},
        {"stop": ("a", "b")},
        {"stop": ("b", "a")},
        {"logprobs": 0},
        {"logprobs": 5},
    ]
    for change in samplings:
        sampling = Sampling(**{"temperature": 0.0, "max_tokens": 5, **change})
        other.append(Call(BASE.endpoint, BASE.model, BASE.messages, sampling, 0))
    assert len({key(BASE), *map(key, other)}) == len(other) + 1


def test_an_absent_parameter_is_absent_and_not_null() -> None:
    request = json.loads(Call("e", "m", said("q"), Sampling()).canonical())
    assert request["sampling"] == {}
    assert json.loads(Call("e", "m", said("q"), Sampling(temperature=0.0, seed=0)).canonical())["sampling"] == {
        "temperature": 0.0,
        "seed": 0,
    }


# -- text that UTF-8 cannot hold ---------------------------------------------------------------------------------


def test_a_lone_surrogate_becomes_a_replacement_character_and_keeps_its_own_key(tmp_path: Path) -> None:
    item = entry("a\ud800b", Completion("x\udfffy"))
    assert item.key != entry("a?b", Completion("")).key
    assert put(tmp_path / "l", item) == [Completion("x\ufffdy")]
    assert get(tmp_path / "l", item.key) == Completion("x\ufffdy")


@pytest.mark.parametrize(
    "outcome",
    [
        Completion("ok", finish_reason="\ud800"),
        Completion("ok", served_model="\udcff"),
        Completion("ok", prompt_tokens=2**70, completion_tokens=-(2**70)),
        failure("server", "broken \ud800 words"),
    ],
)
def test_what_an_endpoint_says_beside_the_text_cannot_stop_the_writer(
    tmp_path: Path, outcome: Completion | CallFailure
) -> None:
    bad, good = entry("bad", outcome), entry("good", Completion("fine"))
    answers = put(tmp_path / "l", bad, good)
    assert (answers[0] is None) == isinstance(outcome, CallFailure)
    assert get(tmp_path / "l", good.key) == Completion("fine")


def test_a_command_line_that_is_not_utf8_is_recorded(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "l", command="hydrometer \udcff").close()
    book = SqliteLedger(tmp_path / "l")
    assert [row[0] for row in book.query("SELECT command FROM run")] == ["hydrometer \ufffd"]
    book.close()


# -- several processes -------------------------------------------------------------------------------------------

WRITER = """
import asyncio, json, sys, time
from pathlib import Path
from hydrometer.ledger import Call, Entry, SqliteLedger
from hydrometer.models.base import Completion, Message, Sampling
path, name, start, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
time.sleep(max(0, start - time.time()))
book = SqliteLedger(Path(path), command=name)
async def main():
    async def one(i):
        request = Call("test", "m", (Message("user", str(i)),), Sampling()).canonical()
        answer = await book.put(Entry(Call.key_of(request), request, "test/m", "subject", Completion(name)))
        return answer.text
    return [text for block in range(0, count, 10) for text in await asyncio.gather(*map(one, range(block, block + 10)))]
answers = asyncio.run(main())
book.close()
print(json.dumps(answers))
"""


def together(path: Path, names: list[str], count: int) -> list[list[str]]:
    """What each of several processes, started at the same moment, reads back."""
    import time

    start = str(time.time() + 0.8)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, start, str(count)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            text=True,
        )
        for name in names
    ]
    answers = []
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        answers.append(json.loads(out))
    return answers


def test_two_processes_write_at_once_and_read_the_same_answers(tmp_path: Path) -> None:
    path = tmp_path / "l"
    one, two = together(path, ["one", "two"], 400)
    assert one == two
    book = SqliteLedger(path)
    stored = [
        row[0]
        for row in book.query("SELECT text FROM call ORDER BY CAST(json_extract(request, '$.messages[0][1]') AS INT)")
    ]
    book.close()
    assert stored == one


@pytest.mark.parametrize("trial", range(3))
def test_several_processes_may_make_the_ledger_at_once(tmp_path: Path, trial: int) -> None:
    answers = together(tmp_path / "l", [f"process {number}" for number in range(6)], 10)
    assert all(answer == answers[0] for answer in answers)


def test_processes_may_migrate_an_old_ledger_at_once(tmp_path: Path) -> None:
    """Version 0 is a file that was made and not yet filled, as a kill at the first opening leaves it."""
    path = tmp_path / "l"
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    answers = together(path, ["one", "two", "three", "four"], 10)
    assert all(answer == answers[0] for answer in answers)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert db.execute("SELECT count(*) FROM run").fetchone() == (4,)
    db.close()


def test_a_process_that_migrates_between_two_looks_of_another_is_no_foreign_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process makes the tables before each single statement of the opening of an empty file."""
    real = sqlite3.connect
    for before in range(6):
        path = tmp_path / f"l{before}"
        statements = 0

        class Interrupted(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                nonlocal statements
                if statements == before and not self.in_transaction:  # noqa: B023
                    with monkeypatch.context() as plain:
                        plain.setattr(sqlite3, "connect", real)
                        SqliteLedger(path, command="the other").close()  # noqa: B023
                statements += 1
                return super().execute(sql, *args)

        with monkeypatch.context() as patched:
            patched.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Interrupted, **k))
            db = ledger_module._open(path)
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)
        db.close()


def test_opening_waits_where_another_process_is_switching_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says "locked" at once here, whatever its timeout."""
    real, refusals = sqlite3.connect, 3

    class Switching(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            nonlocal refusals
            if "journal_mode" in sql and refusals:
                refusals -= 1
                raise sqlite3.OperationalError("database is locked")
            return super().execute(sql, *args)

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Switching, **k))
    SqliteLedger(tmp_path / "l", command="test").close()
    assert refusals == 0


# -- files that are no ledgers -----------------------------------------------------------------------------------


def made(path: Path) -> Entry:
    item = entry("q", Completion("kept " * 2000))
    put(path, item, *(entry(str(i), Completion("x" * 500)) for i in range(200)))
    return item


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "l"
    made(path)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError) as error:
        SqliteLedger(path, command="test")
    assert f"version {VERSION + 1}" in one_line(error)
    assert "newer hydrometer" in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", [None, "test"])
def test_a_foreign_database_is_refused_and_not_a_byte_of_it_changes(tmp_path: Path, command: str | None) -> None:
    path = tmp_path / "bookmarks.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.execute("INSERT INTO bookmarks VALUES ('https://example.org')")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError) as error:
        SqliteLedger(path, command=command)
    assert "not a hydrometer ledger" in one_line(error)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["bookmarks.sqlite"]


@pytest.mark.parametrize(
    "content", [b"just some notes\n" * 400, b"SQLite format 3\x00" + b"\xff" * 5000, os.urandom(3) * 3000]
)
def test_garbage_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l"
    path.write_bytes(content)
    with pytest.raises(LedgerError) as error:
        SqliteLedger(path, command="test")
    assert str(path) in one_line(error)
    assert path.read_bytes() == content


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_ledger_is_a_typed_failure(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "l"
    item = made(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) // 4096 * 4096 + 100])
    with pytest.raises(LedgerError) as error:  # noqa: PT012
        book = SqliteLedger(path, command="test")
        try:
            book.get(item.key)
            list(book.query("SELECT text FROM call"))
        finally:
            book.close()
    assert "not a readable ledger" in one_line(error)


def test_a_path_below_a_file_or_at_a_folder_is_a_typed_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "l", tmp_path):
        with pytest.raises(LedgerError) as error:
            SqliteLedger(path, command="test")
        assert str(path) in one_line(error)
        assert "--ledger" in str(error.value) or "permissions" in str(error.value)


def test_a_ledger_on_a_read_only_medium_is_a_typed_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "l"
    made(path)
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda p, **k: real(f"file:{p}?mode=ro", uri=True, **k))
    with pytest.raises(LedgerError) as error:
        SqliteLedger(path, command="test")
    assert "readonly" in one_line(error)


def test_reading_a_ledger_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No ledger at"):
        SqliteLedger(tmp_path / "new" / "l")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_loses_nothing_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l"
    kept = made(path)
    real = ledger_module._open

    def small(at: Path) -> sqlite3.Connection:
        db = real(at)
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 30}")
        return db

    monkeypatch.setattr(ledger_module, "_open", small)
    book = SqliteLedger(path, command="test")
    stored: list[Entry] = []

    async def fill() -> None:
        for number in range(200):
            item = entry(f"big {number}", Completion("y" * 20_000))
            await asyncio.wait_for(book.put(item), 30)
            stored.append(item)

    with pytest.raises(LedgerError) as error:
        asyncio.run(fill())
    assert "Free some disk space" in one_line(error)
    with pytest.raises(LedgerError, match="Free some disk space"):
        asyncio.run(book.put(kept))
    book.close("stopped")
    monkeypatch.setattr(ledger_module, "_open", real)
    assert 0 < len(stored) < 200
    for item in [kept, *stored]:
        assert get(path, item.key) == item.outcome
    put(path, entry("again", Completion("room now")))


def test_a_writer_that_cannot_open_its_file_is_a_typed_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, opened = ledger_module._open, 0

    def second_fails(at: Path) -> sqlite3.Connection:
        nonlocal opened
        opened += 1
        if opened > 1:
            raise sqlite3.OperationalError("unable to open database file")
        return real(at)

    monkeypatch.setattr(ledger_module, "_open", second_fails)
    with pytest.raises(LedgerError, match="unable to open"):
        put(tmp_path / "l", entry("q", Completion("x")))


def test_a_killed_writer_leaves_whole_rows_or_none(tmp_path: Path) -> None:
    """Copies of the files at any moment, as a kill leaves them, open as ledgers."""
    path = tmp_path / "l"
    book = SqliteLedger(path, command="test")

    async def write() -> None:
        for number in range(40):
            await book.put(entry(str(number), Completion(f"answer {number}")))
            if number % 8 == 0:
                copy = tmp_path / f"copy{number}"
                copy.mkdir()
                for file in (tmp_path / name for name in ("l", "l-wal", "l-shm")):
                    shutil.copy(file, copy / file.name)

    asyncio.run(write())
    book.close()
    for number in range(0, 40, 8):
        for earlier in range(number + 1):
            assert get(tmp_path / f"copy{number}" / "l", entry(str(earlier), Completion("")).key) == Completion(
                f"answer {earlier}"
            )
