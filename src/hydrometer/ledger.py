"""The durable memory of every call to a model.

One SQLite file in WAL mode. A completed call is a row under its key, the SHA-256 of canonical JSON of everything
that determines the answer; it is never made again. A failed attempt is a row too, but never answers a look-up.
`put` returns only after the row is committed, so whatever a process has used survives its death. Several
processes may share a file: the first answer to a key wins, and every process reads that one.

On disk after a kill at any moment: whole rows, or none (SQLite's journal). The next opening needs no repair.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from hydrometer.errors import LedgerError
from hydrometer.models.base import CallFailure, Completion, Message, Sampling, TokenLogprob
from hydrometer.rows import well_formed

_APPLICATION_ID = 0x48594452  # "HYDR"
_BATCH = 256
_BUSY_S = 60.0


#: Statements that bring a file from version i (the position) to i + 1.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE run (
            id INTEGER PRIMARY KEY, started REAL NOT NULL, ended REAL, command TEXT NOT NULL, version TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'running', reused INTEGER NOT NULL DEFAULT 0
        )
        """,
        """
        CREATE TABLE call (
            id INTEGER PRIMARY KEY, key BLOB NOT NULL, run INTEGER REFERENCES run(id), made REAL NOT NULL,
            model TEXT NOT NULL, purpose TEXT NOT NULL, request TEXT NOT NULL,
            failure TEXT, message TEXT,
            text TEXT, finish_reason TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, latency_s REAL,
            served_model TEXT, dropped TEXT, logprobs TEXT
        )
        """,
        "CREATE UNIQUE INDEX call_answer ON call(key) WHERE failure IS NULL",
        "CREATE INDEX call_run ON call(run)",
    ),
)
VERSION = len(_MIGRATIONS)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of a model, with everything that determines the answer.

    Attributes:
        endpoint: kind and address of the endpoint.
        model: the model name as sent.
        messages: the conversation.
        sampling: decoding parameters as requested.
        sample: index of the draw, for repeated draws of one prompt.
    """

    endpoint: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    sample: int = 0

    def canonical(self) -> str:
        """Canonical JSON (sorted keys, no spaces); a parameter that was not sent is absent, not null."""
        requested = self.sampling
        parameters = {
            "temperature": requested.temperature,
            "top_p": requested.top_p,
            "max_tokens": requested.max_tokens,
            "seed": requested.seed,
            "stop": requested.stop or None,
            "logprobs": requested.logprobs,
        }
        text = json.dumps(
            {
                "endpoint": self.endpoint,
                "model": self.model,
                "messages": [[message.role, message.content] for message in self.messages],
                "sampling": {name: value for name, value in parameters.items() if value is not None},
                "sample": self.sample,
            },
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
        )
        return well_formed(text)

    @staticmethod
    def key_of(canonical: str) -> bytes:
        """SHA-256 of the canonical JSON, 32 bytes."""
        return hashlib.sha256(canonical.encode()).digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One call as it goes into the ledger: an answer or a failure."""

    key: bytes
    request: str
    model: str
    purpose: str
    outcome: Completion | CallFailure


class Ledger(Protocol):
    """What the collector needs of a memory of calls; SQLite here, a server behind the same protocol elsewhere."""

    def get(self, key: bytes) -> Completion | None:
        """The remembered answer to a key, or None. Failures never answer."""
        ...

    async def put(self, entry: Entry) -> Completion | None:
        """Remember a call durably; returns the answer that holds for its key (the first one stored)."""
        ...

    def note_reuse(self) -> None:
        """Count one call that was answered from memory in this run."""
        ...


class SqliteLedger:
    """The ledger in one SQLite file, created if absent.

    Args:
        path: the file; its folder is created.
        command: what the user ran, recorded with the run; None opens the file for reading only.

    Raises:
        LedgerError: not a ledger, of a newer version, corrupt, or not writable.
    """

    def __init__(self, path: Path, command: str | None = None) -> None:
        self.path = path
        self._reused = 0
        self._run: int | None = None
        self._queue: queue.SimpleQueue[tuple[Entry, asyncio.Future[Completion | None]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._failed: LedgerError | None = None
        with _typed(path):
            if command is None and not path.exists():
                raise LedgerError(f"No ledger at {path}", "Give its path with --ledger, or run a measure first.")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _open(path)
            if command is not None:
                self._run = self._begin_run(command)
                self._writer = threading.Thread(
                    target=self._write_loop, args=(_open(path),), name="ledger-writer", daemon=True
                )
                self._writer.start()

    def _begin_run(self, command: str) -> int:
        from hydrometer import __version__

        with self._db:
            cursor = self._db.execute(
                "INSERT INTO run (started, command, version) VALUES (?, ?, ?)",
                (time.time(), well_formed(command), __version__),
            )
        return int(cursor.lastrowid or 0)

    def get(self, key: bytes) -> Completion | None:
        """The remembered answer to a key, or None."""
        with _typed(self.path):
            row = self._db.execute(_SELECT_ANSWER, (key,)).fetchone()
        return None if row is None else _completion(row)

    def note_reuse(self) -> None:
        """Count one call that was answered from memory in this run."""
        self._reused += 1

    async def put(self, entry: Entry) -> Completion | None:
        """Remember a call; returns after the commit, with the answer that holds for the key."""
        if self._failed is not None:
            raise self._failed
        if isinstance(entry.outcome, Completion):
            entry = replace(entry, outcome=_storable(entry.outcome))
        future: asyncio.Future[Completion | None] = asyncio.get_running_loop().create_future()
        self._queue.put((entry, future))
        return await future

    def close(self, status: str = "done") -> None:
        """End the run with a status (`done`, `stopped`, `failed`) and close the file."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
            with _typed(self.path), self._db:
                self._db.execute(
                    "UPDATE run SET ended = ?, status = ?, reused = ? WHERE id = ?",
                    (time.time(), status if self._failed is None else "failed", self._reused, self._run),
                )
        self._db.close()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a plain SQL question on the tables `run` and `call`."""
        with _typed(self.path):
            yield from self._db.execute(sql, parameters)

    def _write_loop(self, db: sqlite3.Connection) -> None:
        closing = False
        while not closing:
            batch = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) >= _BATCH or self._queue.empty():
                    break
                item = self._queue.get()
            closing = item is None
            if batch:
                self._commit(db, batch)
        db.close()

    def _commit(self, db: sqlite3.Connection, batch: list[tuple[Entry, asyncio.Future[Completion | None]]]) -> None:
        now = time.time()
        answers: list[Completion | LedgerError | None]
        try:
            with _typed(self.path), db:
                db.execute("BEGIN IMMEDIATE")
                answers = [self._insert(db, entry, now) for entry, _ in batch]
        except LedgerError as error:
            self._failed = error
            answers = [error] * len(batch)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Completion | None], Any]]] = {}
        for (_, future), answer in zip(batch, answers, strict=True):
            by_loop.setdefault(future.get_loop(), []).append((future, answer))
        for loop, results in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop was closed by an interrupt; the rows are safe
                loop.call_soon_threadsafe(_resolve, results)

    def _insert(self, db: sqlite3.Connection, entry: Entry, now: float) -> Completion | None:
        outcome = entry.outcome
        if isinstance(outcome, CallFailure):
            db.execute(
                "INSERT INTO call (key, run, made, model, purpose, request, failure, message)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    entry.key,
                    self._run,
                    now,
                    entry.model,
                    entry.purpose,
                    entry.request,
                    outcome.kind,
                    well_formed(outcome.message),
                ),
            )
            return None
        cursor = db.execute(
            "INSERT OR IGNORE INTO call (key, run, made, model, purpose, request, text, finish_reason, prompt_tokens,"
            " completion_tokens, latency_s, served_model, dropped, logprobs)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.key,
                self._run,
                now,
                entry.model,
                entry.purpose,
                entry.request,
                outcome.text,
                outcome.finish_reason,
                outcome.prompt_tokens,
                outcome.completion_tokens,
                outcome.latency_s,
                outcome.served_model,
                ",".join(outcome.dropped),
                _dump_logprobs(outcome.logprobs),
            ),
        )
        if cursor.rowcount:
            return outcome
        return _completion(db.execute(_SELECT_ANSWER, (entry.key,)).fetchone())


_SELECT_ANSWER = (
    "SELECT text, finish_reason, prompt_tokens, completion_tokens, latency_s, served_model, dropped, logprobs"
    " FROM call WHERE key = ? AND failure IS NULL"
)


def _resolve(results: list[tuple[asyncio.Future[Completion | None], Any]]) -> None:
    for future, answer in results:
        if future.done():
            continue
        if isinstance(answer, LedgerError):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _completion(row: tuple[Any, ...]) -> Completion:
    text, finish_reason, prompt_tokens, completion_tokens, latency_s, served_model, dropped, logprobs = row
    return Completion(
        text=text,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency_s=latency_s,
        served_model=served_model,
        dropped=tuple(dropped.split(",")) if dropped else (),
        logprobs=_load_logprobs(logprobs),
    )


def _dump_logprobs(logprobs: tuple[TokenLogprob, ...] | None) -> str | None:
    if logprobs is None:
        return None
    return json.dumps([[item.token, item.logprob, item.top] for item in logprobs], ensure_ascii=True)


def _load_logprobs(text: str | None) -> tuple[TokenLogprob, ...] | None:
    if text is None:
        return None
    return tuple(
        TokenLogprob(token, logprob, tuple((alternative, value) for alternative, value in top))
        for token, logprob, top in json.loads(text)
    )


def _storable(answer: Completion) -> Completion:
    """An answer as SQLite can hold it: no lone surrogates, no count beyond 64 bits."""
    prompt, written = (
        count if count is not None and abs(count) < 2**63 else None
        for count in (answer.prompt_tokens, answer.completion_tokens)
    )
    return replace(
        answer,
        text=well_formed(answer.text),
        finish_reason=well_formed(answer.finish_reason),
        served_model=None if answer.served_model is None else well_formed(answer.served_model),
        prompt_tokens=prompt,
        completion_tokens=written,
    )


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a ledger of the current version; any other file is refused before a byte of it changes.

    The tables are looked at first: a process that makes them meanwhile makes the rest in the same transaction.
    """
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if tables and application != _APPLICATION_ID:
        raise LedgerError(f"{path} is a SQLite file, but not a hydrometer ledger", "Give another path with --ledger.")
    if version > VERSION:
        raise LedgerError(
            f"{path} is a ledger of version {version}; this hydrometer knows versions up to {VERSION}",
            "Install a newer hydrometer, or give another path with --ledger.",
        )
    _use_wal(db)
    db.execute("PRAGMA synchronous = NORMAL")
    if version < VERSION:
        _migrate(db)
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL mode; SQLite itself does not wait where two processes do this at once."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(db: sqlite3.Connection) -> None:
    """Bring a file to the current version in one transaction; a second process that starts at once waits."""
    db.execute("BEGIN EXCLUSIVE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


@contextlib.contextmanager
def _typed(path: Path) -> Iterator[None]:
    """Turn SQLite's and the file system's errors into one line each."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise LedgerError(
                f"The ledger {path} cannot be written: {text}",
                "Free some disk space and run the same command again; every finished call is kept.",
            ) from error
        if "malformed" in text or "not a database" in text:
            raise LedgerError(
                f"{path} is not a readable ledger: {text}",
                "Restore it from a copy, or give another path with --ledger; this file was left as it is.",
            ) from error
        raise LedgerError(f"The ledger {path} failed: {text}", "Check the path and its permissions.") from error
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be opened: {error.strerror or error}",
            "Give another path with --ledger.",
        ) from error
