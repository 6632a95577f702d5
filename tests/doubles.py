"""Models for tests of the core: answers by a function, in this process, with every call written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hydrometer.collect import Collector, Policy
from hydrometer.ledger import Call, Entry, SqliteLedger
from hydrometer.models.base import CallFailure, Capabilities, Completion, FailureKind, Message, Sampling

Answer = str | Completion | CallFailure | Exception
Script = Callable[[str, int], Answer | Awaitable[Answer]]

T = TypeVar("T")

PLAIN = Sampling()


class Double:
    """Answers with `script(last message, number of this attempt at it)`; a failure is raised.

    Attributes:
        attempts: attempts by last message.
        in_flight: calls being answered; `peak` the most there ever were.
    """

    def __init__(
        self, script: Script, name: str = "test/double", endpoint: str = "test", concurrency: int = 4096
    ) -> None:
        self.name = name
        self.sent_name = name.partition("/")[2]
        self.endpoint = endpoint
        self.capabilities = Capabilities(concurrency=concurrency)
        self.attempts: dict[str, int] = {}
        self.in_flight = 0
        self.peak = 0
        self._script = script

    @property
    def calls(self) -> int:
        """All attempts."""
        return sum(self.attempts.values())

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        """Answer once."""
        text = messages[-1].content
        self.attempts[text] = self.attempts.get(text, 0) + 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(0)
            answer = self._script(text, self.attempts[text])
            if isinstance(answer, Awaitable):
                answer = await answer
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(answer)

    async def aclose(self) -> None:
        """Nothing to release."""


def failure(kind: str, message: str = "as scripted", retry_after: float | None = None) -> CallFailure:
    """A failure of that kind."""
    return CallFailure(FailureKind(kind), message, retry_after=retry_after)


def said(text: str) -> tuple[Message, ...]:
    """A conversation of one message."""
    return (Message("user", text),)


def quick(**changes: object) -> Policy:
    """A policy whose waits are too short to notice."""
    return Policy(**{"base_delay_s": 1e-4, "max_delay_s": 1e-3, **changes})  # type: ignore[arg-type]


def collector_at(folder: Path, policy: Policy | None = None, **parts: object) -> Collector:
    """A collector with a ledger in the folder."""
    ledger = SqliteLedger(folder / "ledger.sqlite", command="test")
    return Collector(ledger, policy or quick(), **parts)  # type: ignore[arg-type]


class MemoryLedger:
    """A ledger that answers at once, for tests whose time is not the clock's."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.answers: dict[bytes, Completion] = {}
        self.reused = 0

    def get(self, key: bytes) -> Completion | None:
        """The answer to a key."""
        return self.answers.get(key)

    async def put(self, entry: Entry) -> Completion | None:
        """Remember."""
        self.entries.append(entry)
        if isinstance(entry.outcome, CallFailure):
            return None
        return self.answers.setdefault(entry.key, entry.outcome)

    def note_reuse(self) -> None:
        """Count."""
        self.reused += 1


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everything waits, and then at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        look = selector.select

        def jump(timeout: float | None = None) -> Any:
            events = look(0)
            if not events and timeout is None:
                raise RuntimeError("deadlock: everything waits and nothing is due")
            if not events and timeout:
                self._now += timeout
            return events

        selector.select = jump

    def time(self) -> float:
        """Virtual seconds."""
        return self._now


def virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time; a deadlock is an error."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(work)


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def entry(text: str, outcome: Completion | CallFailure, **parts: Any) -> Entry:
    request = Call("test", "m", said(text), Sampling(), **parts).canonical()
    return Entry(Call.key_of(request), request, "test/m", "subject", outcome)


def put(path: Path, *entries: Entry) -> list[Completion | None]:
    """Put entries through a ledger that is opened and closed for them."""
    book = SqliteLedger(path, command="test")

    async def all_of_them() -> list[Completion | None]:
        return await asyncio.wait_for(asyncio.gather(*map(book.put, entries)), 30)

    try:
        return asyncio.run(all_of_them())
    finally:
        book.close()
