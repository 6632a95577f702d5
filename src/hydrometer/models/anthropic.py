"""Anthropic's models through its own SDK (extra `anthropic`).

Recent models take neither `temperature` nor `top_p`, and recent SDKs have no such arguments, so the request body is
ours: they are sent, dropped for good when a model refuses them, and reported as dropped. There is no seed and there
are no log-probabilities.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, Capabilities, Completion, Endpoint, FailureKind, Message, Sampling
from hydrometer.models.failures import refused_parameter
from hydrometer.models.presets import forbid_when_offline, is_local, public_address
from hydrometer.models.transport import attempt, http_client
from hydrometer.models.wire import MAX_ANSWER_CHARS
from hydrometer.rows import well_formed

if TYPE_CHECKING:
    from collections.abc import Container

ADDRESS = "https://api.anthropic.com"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
DEFAULT_MAX_TOKENS = 4096
_OPTIONAL = ("temperature", "top_p")
_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}


class AnthropicModel:
    """A Claude model.

    Args:
        name: `anthropic/NAME`.
        rest: the name on the wire.
        endpoint: what the user adds or overrides.

    Raises:
        ModelError: no key, a base model was asked for, or calls beyond this machine are forbidden.
    """

    def __init__(self, name: str, rest: str, endpoint: Endpoint) -> None:
        self.base_url = (endpoint.base_url or os.environ.get("ANTHROPIC_BASE_URL") or ADDRESS).rstrip("/")
        if endpoint.base:
            raise ModelError(f"{name} answers conversations only", "Leave out --base")
        forbid_when_offline(name, self.base_url)
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key and not is_local(self.base_url):
            raise ModelError("No key for Anthropic", f"Set the environment variable {KEY_VARIABLE}")
        if not key.isascii():
            raise ModelError(
                f"The key in {KEY_VARIABLE} holds characters that are not ASCII", f"Set {KEY_VARIABLE} anew"
            )
        self.name = name
        self.sent_name = rest
        self.endpoint = f"anthropic {public_address(self.base_url)}"
        self.capabilities = Capabilities(
            concurrency=512, seed=False, logprobs=False, base=False, local=is_local(self.base_url)
        )
        self._secrets = (key,) if key else ()
        self._timeout_s = endpoint.timeout_s
        self._refused: dict[str, None] = {}
        self._client: Any = None
        self._sdk: Any = None
        self._response_type: Any = None

    def __repr__(self) -> str:
        return f"AnthropicModel({self.name!r}, {self.endpoint!r})"

    def _connect(self) -> Any:
        if self._client is None:
            self._sdk = importlib.import_module("anthropic")
            http, self._response_type = http_client(self._sdk, self.base_url, self._timeout_s)
            self._client = self._sdk.AsyncAnthropic(
                base_url=self.base_url,
                api_key=self._secrets[0] if self._secrets else "none",
                max_retries=0,
                timeout=self._timeout_s,
                http_client=http,
            )
        return self._client

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:  # noqa: ARG002 - the protocol's
        """Answer once; a parameter that the model refuses is dropped for good and the call repeated.

        Raises:
            CallFailure: this attempt gave no usable answer.
        """
        client = self._connect()
        while True:
            body = _body(self.sent_name, messages, sampling, self._refused)
            started = time.perf_counter()
            try:
                answer = await attempt(
                    client.post("/v1/messages", cast_to=self._response_type, body=body),
                    self._sdk,
                    address=self.base_url,
                    timeout_s=self._timeout_s,
                    secrets=self._secrets,
                )
            except CallFailure as failure:
                refused = refused_parameter(failure.message, {name: name for name in _OPTIONAL if name in body})
                if failure.status in {400, 422} and refused:
                    self._refused[refused] = None
                    continue
                raise
            return _parse(
                answer.content,
                answer.headers.get("content-type", ""),
                latency_s=time.perf_counter() - started,
                dropped=self._dropped(sampling),
            )

    def _dropped(self, sampling: Sampling) -> tuple[str, ...]:
        asked = {
            "temperature": sampling.temperature is not None and "temperature" in self._refused,
            "top_p": sampling.top_p is not None and "top_p" in self._refused,
            "seed": sampling.seed is not None,
            "logprobs": sampling.logprobs is not None,
        }
        return tuple(name for name, lost in asked.items() if lost)

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _body(model: str, messages: tuple[Message, ...], sampling: Sampling, refused: Container[str]) -> dict[str, Any]:
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": sampling.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": [{"role": m.role, "content": well_formed(m.content)} for m in messages if m.role != "system"],
    }
    if system:
        body["system"] = well_formed(system)
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    optional = {name: getattr(sampling, name) for name in _OPTIONAL if name not in refused}
    body.update({name: value for name, value in optional.items() if value is not None})
    return body


def _parse(content: bytes, content_type: str, *, latency_s: float, dropped: tuple[str, ...]) -> Completion:
    """Read the body of a successful response.

    Raises:
        CallFailure: malformed, empty or withheld.
    """
    if content_type and "json" not in content_type.lower():
        raise CallFailure(FailureKind.MALFORMED, f"content type {content_type[:80]!r} instead of JSON")
    try:
        data = json.loads(content)
        blocks = data["content"] if isinstance(data["content"], list) else [data["content"]]
        text = well_formed("".join(block["text"] for block in blocks if block["type"] == "text"))
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise CallFailure(FailureKind.MALFORMED, f"not a message: {type(error).__name__}: {error}") from None
    if len(text) > MAX_ANSWER_CHARS:
        raise CallFailure(FailureKind.MALFORMED, f"an answer of {len(text):,} characters (limit {MAX_ANSWER_CHARS:,})")
    reason = data.get("stop_reason") if isinstance(data.get("stop_reason"), str) else "end_turn"
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    if not text.strip():
        if reason == "refusal":
            raise CallFailure(FailureKind.CONTENT_FILTER, "the service withheld the answer (stop reason refusal)")
        advice = "; raise max_tokens" if reason == "max_tokens" else ""
        raise CallFailure(FailureKind.EMPTY, f"no text in the answer (stop reason {reason}){advice}")
    served = data.get("model")
    return Completion(
        text=text,
        finish_reason=_FINISH.get(reason, reason),
        prompt_tokens=_count(usage.get("input_tokens")),
        completion_tokens=_count(usage.get("output_tokens")),
        latency_s=latency_s,
        served_model=served if isinstance(served, str) else None,
        dropped=dropped,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
