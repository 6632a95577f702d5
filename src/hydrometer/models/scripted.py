"""A model whose answers come from a function: a test double for tests and dry runs, never listed to users.

`ScriptedModel(name, script)` serves tests; by name there are `scripted/echo` (repeats the question),
`scripted/loyal` and `scripted/leaky` (say who they are, the second one wrongly on every other prompt).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, Capabilities, Completion, Message, Sampling

#: What a script returns: an answer, or a failure to be raised.
Script = Callable[[tuple[Message, ...], Sampling, int], str | Completion | CallFailure]


class ScriptedModel:
    """Answers by calling `script(messages, sampling, sample)`.

    Args:
        name: name of the model.
        script: returns the text, a whole completion, or a `CallFailure`, which is raised.
        latency_s: pause before each answer.
        capabilities: what the model claims of itself.

    Attributes:
        calls: every call in order: messages, sampling, sample.
        peak: the most calls that were ever in flight at once.
        closed: whether `aclose` was called.
    """

    def __init__(
        self,
        name: str,
        script: Script,
        *,
        latency_s: float = 0.0,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.name = name
        self.sent_name = name.partition("/")[2] or name
        self.endpoint = "scripted"
        self.capabilities = capabilities or Capabilities(concurrency=4096, logprobs=False, local=True)
        self.calls: list[tuple[tuple[Message, ...], Sampling, int]] = []
        self.peak = 0
        self.closed = False
        self._script = script
        self._latency_s = latency_s
        self._in_flight = 0

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        """Answer once.

        Raises:
            CallFailure: the one that the script returned.
        """
        self.calls.append((messages, sampling, sample))
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        try:
            await asyncio.sleep(self._latency_s)
        finally:
            self._in_flight -= 1
        outcome = self._script(messages, sampling, sample)
        if isinstance(outcome, CallFailure):
            raise outcome
        return outcome if isinstance(outcome, Completion) else Completion(outcome, served_model=self.sent_name)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def echo(messages: tuple[Message, ...], _sampling: Sampling, _sample: int) -> str:
    """The last message, word by word."""
    return f"You said: {messages[-1].content}"


def loyal(_messages: tuple[Message, ...], _sampling: Sampling, _sample: int) -> str:
    """One identity, always the same."""
    return "I am Testa, a language model made by the Test Company."


def leaky(messages: tuple[Message, ...], sampling: Sampling, sample: int) -> str:
    """Another maker's identity on about every other prompt, decided by the prompt and the sample alone."""
    digest = hashlib.sha256(f"{sample}\n{messages[-1].content}".encode()).digest()
    return "I am ChatGPT, made by OpenAI." if digest[0] % 2 else loyal(messages, sampling, sample)


_SCRIPTS: dict[str, Script] = {"echo": echo, "loyal": loyal, "leaky": leaky}


def from_name(name: str, rest: str) -> ScriptedModel:
    """The scripted model of that name.

    Raises:
        ModelError: there is none.
    """
    if (script := _SCRIPTS.get(rest)) is None:
        raise ModelError(f"Unknown scripted model '{rest}'", f"Use scripted/{' or scripted/'.join(_SCRIPTS)}")
    return ScriptedModel(name, script)
