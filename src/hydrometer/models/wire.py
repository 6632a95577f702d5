"""The OpenAI wire format: request bodies from messages and sampling, completions from response bytes.

Nothing here calls anything. Services bend the format in many ways; what cannot be an answer is a typed failure.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from hydrometer.models.base import CallFailure, Completion, FailureKind, Message, Sampling, TokenLogprob, draw_seed
from hydrometer.models.failures import classify, redact, refused_parameter
from hydrometer.models.frame import frame_prompt, frame_stops, trim_at_stop
from hydrometer.rows import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: No model writes an answer of this many characters (about 250,000 tokens); a server that sends one is broken.
MAX_ANSWER_CHARS = 1_000_000
#: What servers with chat templates take as the wish to continue the last message (vLLM, SGLang, llama.cpp).
CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}

_FILTERED = {"content_filter", "sensitive", "safety", "recitation", "prohibited_content", "blocklist", "refusal_filter"}
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL)
_OPEN_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>")


class Dialect:
    """What one model takes: learnt from the preset, then from its refusals.

    Args:
        rename: name in `Sampling` -> name on the wire.
        unsupported: names in `Sampling` that are never sent.
        base: raw completion in the dialogue frame instead of chat.
    """

    def __init__(
        self, rename: Mapping[str, str] | None = None, unsupported: Iterable[str] = (), *, base: bool = False
    ) -> None:
        self.base = base
        self._rename = dict(rename or {})
        self._dropped = dict.fromkeys(unsupported)
        if base:
            self._rename.pop("max_tokens", None)

    def body(
        self, model: str, messages: tuple[Message, ...], sampling: Sampling, sample: int
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Build one request.

        Returns:
            The request body, and for the optional parameters in it: wire name -> name in `Sampling`.
        """
        wanted: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": draw_seed(sampling, sample),
            "stop": list(frame_stops(sampling.stop) if self.base else sampling.stop[:4]) or None,
            "logprobs": sampling.logprobs if self.base or sampling.logprobs is None else True,
        }
        kept = {name: value for name, value in wanted.items() if value is not None and name not in self._dropped}
        sent = {self._rename.get(name, name): name for name in kept}
        body: dict[str, Any] = {"model": model}
        if self.base:
            body["prompt"] = well_formed(frame_prompt(messages))
        else:
            body["messages"] = [{"role": message.role, "content": well_formed(message.content)} for message in messages]
            if messages and messages[-1].role == "assistant":
                body |= CONTINUE
        body.update({wire: kept[name] for wire, name in sent.items()})
        if not self.base and "logprobs" in kept and sampling.logprobs:
            body["top_logprobs"] = sampling.logprobs
            sent["top_logprobs"] = "logprobs"
        return body, sent

    def learn(self, words: str, sent: Mapping[str, str]) -> bool:
        """Take note of a refused parameter.

        Args:
            words: the error text of a 400 or 422.
            sent: as `body` returned it.

        Returns:
            Whether the same call is worth repeating without it.
        """
        wire = refused_parameter(words, sent)
        if wire is None:
            return False
        name = sent[wire]
        if wire == "max_tokens" and "max_completion_tokens" in words:
            self._rename["max_tokens"] = "max_completion_tokens"
        elif wire == "max_completion_tokens" and self._rename.get("max_tokens") == wire:
            del self._rename["max_tokens"]
        else:
            self._dropped[name] = None
        return True

    def dropped(self, sampling: Sampling) -> tuple[str, ...]:
        """Parameters of this request that this model does not honour."""
        wanted = {
            "temperature": sampling.temperature is not None,
            "top_p": sampling.top_p is not None,
            "max_tokens": sampling.max_tokens is not None,
            "seed": sampling.seed is not None,
            "stop": bool(sampling.stop),
            "logprobs": sampling.logprobs is not None,
        }
        return tuple(name for name, asked in wanted.items() if asked and name in self._dropped)


def parse_completion(
    content: bytes,
    content_type: str,
    sampling: Sampling,
    *,
    base: bool,
    latency_s: float = 0.0,
    dropped: tuple[str, ...] = (),
    secrets: Iterable[str] = (),
) -> Completion:
    """Read the body of a successful (HTTP 2xx) response.

    Args:
        content: raw bytes.
        content_type: value of the header, empty where there was none.
        sampling: what was asked for.
        base: whether it answers a raw completion.
        latency_s: wall-clock seconds of the attempt.
        dropped: parameters known not to be honoured.
        secrets: keys that must not appear in a failure's message.

    Raises:
        CallFailure: malformed, empty, withheld, or an error dressed as a success.
    """
    if content_type and "json" not in content_type.lower():
        start = redact(content[:80].decode("utf-8", "replace"), secrets)
        raise CallFailure(FailureKind.MALFORMED, f"content type {content_type[:80]!r} instead of JSON: {start!r}")
    data = _load(content)
    if isinstance(data, dict) and data.get("error") and not data.get("choices"):
        code = data["error"].get("code") if isinstance(data["error"], dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        raise classify(status, {}, content[:20_000].decode("utf-8", "replace"), now=0.0, secrets=secrets)
    choice = _first_choice(data)
    finish = choice.get("finish_reason")
    finish = finish if isinstance(finish, str) and finish else "stop"
    text = _text(choice, base=base)
    if len(text) > MAX_ANSWER_CHARS:
        raise CallFailure(FailureKind.MALFORMED, f"an answer of {len(text):,} characters (limit {MAX_ANSWER_CHARS:,})")
    text = well_formed(text)
    if base:
        text, cut = trim_at_stop(text, sampling.stop)
        finish = "stop" if cut else finish
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    tokens = _count(usage.get("completion_tokens"))
    logprobs = _logprobs(choice.get("logprobs")) if sampling.logprobs is not None else None
    if not (sampling.peek and logprobs) or finish.lower() in _FILTERED:
        text = _answer(text, finish, choice, tokens)
    if sampling.logprobs is not None and logprobs is None and "logprobs" not in dropped:
        dropped = (*dropped, "logprobs")
    served = data.get("model")
    return Completion(
        text=text,
        finish_reason=finish,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=tokens,
        latency_s=latency_s,
        logprobs=logprobs,
        served_model=well_formed(served)[:200] if isinstance(served, str) and served else None,
        dropped=dropped,
    )


def _load(content: bytes) -> Any:
    if not content.strip():
        raise CallFailure(FailureKind.MALFORMED, "an empty body")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CallFailure(FailureKind.MALFORMED, f"no valid JSON in {len(content):,} bytes: {error}") from None


def _first_choice(data: Any) -> dict[str, Any]:
    choices = data.get("choices") if isinstance(data, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise CallFailure(FailureKind.MALFORMED, "JSON without a choice in it")
    return choice


def _text(choice: dict[str, Any], *, base: bool) -> str:
    if base:
        content = choice.get("text")
    else:
        message = choice.get("message")
        if not isinstance(message, dict):
            raise CallFailure(FailureKind.MALFORMED, "a choice without a message")
        content = message.get("content")
        content = content or message.get("refusal") or content
    if isinstance(content, list):
        parts = [
            part.get("text")
            for part in content
            if isinstance(part, dict) and part.get("type") in {"text", "output_text"}
        ]
        content = "".join(part for part in parts if isinstance(part, str))
    if content is not None and not isinstance(content, str):
        raise CallFailure(FailureKind.MALFORMED, f"content of type {type(content).__name__} instead of text")
    return content or ""


def _answer(text: str, finish: str, choice: dict[str, Any], tokens: int | None) -> str:
    """The text without a leading block of thought, or the failure that explains why there is none."""
    if finish.lower() in _FILTERED:
        raise CallFailure(FailureKind.CONTENT_FILTER, f"the service withheld the answer (finish reason {finish})")
    if finish == "error":
        raise CallFailure(FailureKind.SERVER, "the service broke off the answer (finish reason error)")
    answer = _THOUGHT.sub("", text, count=1)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    thought = bool(_OPEN_THOUGHT.match(text) or message.get("reasoning_content") or message.get("reasoning"))
    if answer.strip() and not _OPEN_THOUGHT.match(answer):
        return answer
    if finish == "length":
        spent = f"all {tokens} tokens" if tokens is not None else "the token limit"
        where = "on reasoning, none are left for an answer" if thought else "without writing any text"
        raise CallFailure(FailureKind.EMPTY, f"the model spent {spent} {where}; raise max_tokens")
    if message.get("tool_calls") or message.get("function_call"):
        raise CallFailure(FailureKind.EMPTY, "the model called a tool instead of answering")
    raise CallFailure(FailureKind.EMPTY, f"no text in the answer (finish reason {finish})")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _logprobs(data: Any) -> tuple[TokenLogprob, ...] | None:
    """Read either form: `content` (chat, llama.cpp) or `tokens`/`token_logprobs`/`top_logprobs` (raw completion)."""
    if not isinstance(data, dict):
        return None
    try:
        if isinstance(content := data.get("content"), list):
            return tuple(
                TokenLogprob(
                    _token(item),
                    _finite(item["logprob"]),
                    tuple((_token(top), _finite(top["logprob"])) for top in item.get("top_logprobs") or ()),
                )
                for item in content
            )
        tops = data.get("top_logprobs") or [None] * len(data["tokens"])
        return tuple(
            TokenLogprob(
                well_formed(token), _finite(value), tuple((well_formed(t), _finite(v)) for t, v in (top or {}).items())
            )
            for token, value, top in zip(data["tokens"], data["token_logprobs"], tops, strict=True)
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _token(item: Mapping[str, Any]) -> str:
    """A token's text. Servers write half a character as nothing or as a question mark, and its bytes beside it."""
    text, raw = well_formed(item["token"]), item.get("bytes")
    if raw and isinstance(raw, list) and (not text or "\ufffd" in text):
        return bytes(raw).decode("utf-8", "backslashreplace")
    return text


def _finite(value: Any) -> float:
    number = float(value)
    if math.isnan(number):
        raise ValueError("a log-probability that is not a number")
    return max(number, -9999.0)
