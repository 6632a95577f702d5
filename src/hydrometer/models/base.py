"""The one protocol between hydrometer and anything that answers messages.

Messages and sampling parameters go in; a `Completion` comes out or a `CallFailure` is raised. Classifying a
failure belongs to the provider (it knows its own errors); what to do about it belongs to `collect` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from hydrometer.messages import Message, Role

__all__ = [
    "TRANSIENT",
    "CallFailure",
    "Capabilities",
    "Completion",
    "Endpoint",
    "FailureKind",
    "Message",
    "Model",
    "Role",
    "Sampling",
    "TokenLogprob",
    "draw_seed",
]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Decoding parameters as requested. `None` means: not sent, the endpoint's own default holds.

    Attributes:
        temperature: softmax temperature, >= 0.
        top_p: nucleus mass in (0, 1].
        max_tokens: upper bound on generated tokens.
        seed: the endpoint's sampling seed, where it has one.
        stop: strings that end the completion.
        logprobs: number of alternatives whose log-probabilities are wanted per token; `None` for no log-probabilities.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None

    @property
    def peek(self) -> bool:
        """Whether the distribution of one next token is wanted: then an answer without text is one as well."""
        return self.logprobs is not None and self.max_tokens == 1


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    r"""Log-probability (natural logarithm) of one generated token and of its alternatives.

    A special token that writes nothing is the empty text; bytes that are no whole character are written `\xe4\xbd`.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer.

    Attributes:
        text: the answer.
        finish_reason: the endpoint's word for why it ended (`stop`, `length`, ...).
        prompt_tokens: tokens read, `None` where the endpoint does not say.
        completion_tokens: tokens written, `None` where the endpoint does not say.
        latency_s: wall-clock seconds of the successful attempt.
        logprobs: per-token log-probabilities, where asked for and given.
        served_model: the model name that the endpoint reports, which may be more exact than the one asked for.
        dropped: names of sampling parameters that were requested but not honoured by this endpoint.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_s: float = 0.0
    logprobs: tuple[TokenLogprob, ...] | None = None
    served_model: str | None = None
    dropped: tuple[str, ...] = ()


class FailureKind(StrEnum):
    """Why a call gave no answer."""

    RATE_LIMIT = "rate_limit"  # 429, try later
    QUOTA = "quota"  # no money or daily quota left, trying later in this run is no use
    AUTH = "auth"  # key missing, refused or not allowed
    NOT_FOUND = "not_found"  # no such model or path
    BAD_REQUEST = "bad_request"  # the endpoint refuses this request
    CONTENT_FILTER = "content_filter"  # the endpoint withheld the answer
    TIMEOUT = "timeout"
    CONNECTION = "connection"  # no connection, or it broke
    SERVER = "server"  # 5xx
    MALFORMED = "malformed"  # an answer that is not what the protocol says: cut-off JSON, HTML, wrong type
    EMPTY = "empty"  # an answer with no text
    UNAVAILABLE = "unavailable"  # not sent: the circuit breaker is open
    MISSING = "missing"  # a replayed response set holds no answer to this prompt


#: Kinds worth another attempt of the same call.
TRANSIENT = frozenset(
    {
        FailureKind.RATE_LIMIT,
        FailureKind.TIMEOUT,
        FailureKind.CONNECTION,
        FailureKind.SERVER,
        FailureKind.MALFORMED,
        FailureKind.EMPTY,
    }
)


class CallFailure(Exception):
    """One attempt that gave no usable answer.

    Args:
        kind: the class of failure.
        message: the endpoint's own words, shortened; never holds a key.
        retry_after: seconds that the endpoint asks to wait.
        status: HTTP status, where there was one.
    """

    def __init__(
        self, kind: FailureKind, message: str, *, retry_after: float | None = None, status: int | None = None
    ) -> None:
        self.kind = kind
        self.message = message[:500]
        self.retry_after = retry_after
        self.status = status
        super().__init__(f"{kind}: {self.message}")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What is known of a model before it is called.

    Attributes:
        concurrency: calls that it makes sense to have in flight; the collector never exceeds it.
        seed: whether the sampling seed is honoured.
        logprobs: whether log-probabilities can be had.
        base: whether it is a base model, addressed by raw completion in a plain dialogue frame.
        local: whether it runs on this machine and costs nothing per call.
        alternatives: log-probabilities per token that it is known to give; what vLLM and OpenAI allow, unless known.
    """

    concurrency: int = 64
    seed: bool = True
    logprobs: bool = True
    base: bool = False
    local: bool = False
    alternatives: int = 20


class Model(Protocol):
    """Anything that answers messages.

    Attributes:
        name: the string the user gave, `provider/name`.
        sent_name: the model name as the endpoint gets it.
        endpoint: kind and address of the endpoint, without any secret; part of the ledger key.
        capabilities: what is known before the first call.
    """

    name: str
    sent_name: str
    endpoint: str
    capabilities: Capabilities

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        """Answer once. `sample` numbers repeated draws of one prompt; the seed sent is `draw_seed`.

        Where the last message is the assistant's, it is to be continued, not followed by another answer; some
        endpoints give its text back in front of what they add, and some cannot continue.

        Raises:
            CallFailure: this attempt gave no usable answer.
        """
        ...

    async def aclose(self) -> None:
        """Release connections, processes and memory."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach a model, beyond its name: what the command line and settings can add.

    Attributes:
        base_url: overrides the preset's address.
        timeout_s: limit of one attempt.
        base: treat as a base model (raw completion), whatever the preset says.
        extra: provider-specific settings.
    """

    base_url: str | None = None
    timeout_s: float = 120.0
    base: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def draw_seed(sampling: Sampling, sample: int) -> int | None:
    """Seed of one draw: the requested seed plus the sample's number, so that repeated draws differ.

    Args:
        sampling: parameters as requested.
        sample: number of the draw, from 0.

    Returns:
        A seed in [0, 2**31), or `None` where none was requested.
    """
    return None if sampling.seed is None else (sampling.seed + sample) % 2**31
