"""Models for tests of the core: answers by a function, in this process, with every call written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from hydrometer.collect import Collector, Policy
from hydrometer.ledger import SqliteLedger
from hydrometer.models.base import CallFailure, Capabilities, Completion, FailureKind, Message, Sampling

Answer = str | Completion | CallFailure | Exception
Script = Callable[[str, int], Answer | Awaitable[Answer]]

PLAIN = Sampling()


class Double:
    """Answers with `script(last message, number of this attempt at it)`; a failure is raised.

    Attributes:
        attempts: attempts by last message.
        in_flight: calls being answered; `peak` the most there ever were.
    """

    def __init__(self, script: Script, name: str = "test/double", endpoint: str = "test", concurrency: int = 4096) -> None:
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
