"""Classifies what a model service answers when it does not answer: pure functions of status, headers and body.

Services agree on little beyond the status code. The words looked for here are those that OpenAI, Azure, Gemini,
DeepSeek, DashScope, Zhipu, Ark, Moonshot, Mistral, Groq, OpenRouter, Anthropic and vLLM document or send.
"""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from hydrometer.models.base import CallFailure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_QUOTA = re.compile(
    r"insufficient[_ ](?:quota|balance|credit|funds)|exceeded_current_quota|arrear|billing_hard_limit"
    r"|credit balance|out of credits|payment required|per[_ -]?day\b|perday|daily|\(TPD\)|\(RPD\)"
    r"|billing_not_active|free\s?tier\s?only|quota_exceeded|spend(?:ing)?[_ ]limit|余额不足|欠费"
    r"|\"?code\"?: ?\"?1113\b",
    re.IGNORECASE,
)
_PLAN = re.compile(r"exceeded your current quota", re.IGNORECASE)
_PER_MINUTE = re.compile(r"per[_ -]?minute|perminute|per[_ -]?second|retrydelay|\(TPM\)|\(RPM\)", re.IGNORECASE)
_FILTER = re.compile(
    r"content_filter|content_policy|data_inspection_failed|datainspectionfailed|responsibleaipolicy"
    r"|sensitivecontentdetected|content exists risk|content[_ ]management[_ ]policy|prohibited_content"
    r"|safety_violation|\"?code\"?: ?\"?1301\b",
    re.IGNORECASE,
)
_REFUSED = (
    r"unsupported|not support|unrecogni[sz]ed|unknown|extra (?:inputs|fields)|not permitted|not allowed"
    r"|deprecated|only the default|only 1 is allowed|not available|not enabled|unexpected|cannot be used"
    r"|no longer|is disabled|incompatible|cannot both be|not both"
)
_KEY_SHAPES = re.compile(
    r"(?i)\b(?:bearer\s+\S+|(?:sk|gsk|xai|pplx|hf|nvapi|csk|fw|r8|key|AIza)[-_][\w*.\-]{6,}|AIza[\w\-]{20,})"
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Remove keys from text that will be shown or stored: the ones given and anything shaped like one."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "[key]")
    return _KEY_SHAPES.sub("[key]", text)


def error_text(body: str) -> str:
    """Find the service's own words in an error body: JSON in any of the usual shapes, HTML or plain text.

    Returns:
        One line; codes and types are kept before the message, because classification reads them.
    """
    try:
        data = json.loads(body)
    except ValueError:
        title = re.search(r"<title[^>]*>([^<]*)", body, re.IGNORECASE)
        return " ".join((title.group(1) if title else re.sub(r"<[^>]*>", " ", body[:2000])).split())
    return " ".join(_words(data).split())


def _words(data: Any) -> str:
    if isinstance(data, list):
        return "; ".join(_words(item) for item in data[:3])
    if not isinstance(data, dict):
        return str(data)
    if isinstance(inner := data.get("error"), dict | list):
        return _words(inner)
    message = data.get("message") or data.get("msg") or data.get("detail") or data.get("error") or ""
    if isinstance(message, dict | list):
        message = _words(message)
    place = ".".join(str(part) for part in data["loc"]) if isinstance(data.get("loc"), list) else ""
    marks = [f"{name}: {data[name]}" for name in ("code", "type", "status", "param") if data.get(name)]
    details = json.dumps(data["details"])[:400] if data.get("details") else ""
    return " ".join(filter(None, [", ".join(marks), place, str(message) or json.dumps(data)[:400], details]))


def classify(
    status: int, headers: Mapping[str, str], body: str, *, now: float, secrets: Iterable[str] = ()
) -> CallFailure:
    """Turn an HTTP answer that is not a success into a typed failure.

    Args:
        status: HTTP status.
        headers: response headers, looked up in lower case.
        body: response text.
        now: seconds since the epoch, for HTTP dates in `Retry-After`.
        secrets: keys that must not appear in the message.

    Returns:
        The failure, to be raised by the caller.
    """
    words = redact(error_text(body[:20_000]), secrets)
    kind = _kind(status, words)
    wait = retry_after(headers, words, now) if kind in {FailureKind.RATE_LIMIT, FailureKind.SERVER} else None
    return CallFailure(kind, f"HTTP {status}: {words}" if words else f"HTTP {status}", retry_after=wait, status=status)


def _kind(status: int, words: str) -> FailureKind:  # noqa: PLR0911 - one rule a line
    quota = bool(_QUOTA.search(words)) or (bool(_PLAN.search(words)) and not _PER_MINUTE.search(words))
    if status == 402 or (quota and status in {400, 403, 429}):
        return FailureKind.QUOTA
    if status == 429:
        return FailureKind.RATE_LIMIT
    if status in {400, 403, 422, 451} and _FILTER.search(words):
        return FailureKind.CONTENT_FILTER
    if status in {401, 403} or (
        status == 400 and re.search(r"api[ _]key (?:not valid|invalid)|invalid api[ _]key", words, re.I)
    ):
        return FailureKind.AUTH
    if status in {404, 410}:
        return FailureKind.NOT_FOUND
    if status in {408, 504, 524}:
        return FailureKind.TIMEOUT
    if status >= 500:
        return FailureKind.SERVER
    if status in {409, 425}:
        return FailureKind.RATE_LIMIT
    return FailureKind.BAD_REQUEST if status >= 400 else FailureKind.MALFORMED


def retry_after(headers: Mapping[str, str], words: str, now: float) -> float | None:
    """Seconds that a service asks to wait.

    Reads `retry-after-ms`, `Retry-After` (seconds or an HTTP date), the reset of every `x-ratelimit-*` budget
    that is used up, and last the body's `retryDelay` or "try again in".

    Args:
        headers: response headers, looked up in lower case.
        words: the error text.
        now: seconds since the epoch.

    Returns:
        Seconds, at least 0, or `None` where the service does not say.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    if (value := headers.get("retry-after")) is not None:
        if (seconds := _number(value)) is not None:
            return max(0.0, seconds)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - now)
        except ValueError:
            pass
    waits = [
        wait
        for name in ("requests", "tokens")
        if _number(headers.get(f"x-ratelimit-remaining-{name}")) == 0
        and (wait := _duration(headers.get(f"x-ratelimit-reset-{name}"), now)) is not None
    ]
    if _number(headers.get("x-ratelimit-remaining")) == 0:
        waits += [w for w in [_duration(headers.get("x-ratelimit-reset"), now)] if w is not None]
    if waits:
        return max(waits)
    if said := re.search(
        r"(?:retryDelay\W+|(?:try again|retry) (?:in|after) )((?:\d+(?:\.\d+)?(?:ms|s|m|h)\s*)+)", words
    ):
        return _duration(said.group(1), now)
    return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def _duration(value: str | None, now: float) -> float | None:
    """Read `1s`, `6m0s`, `20ms`, plain seconds, or an epoch in seconds or milliseconds."""
    if value is None:
        return None
    if (number := _number(value)) is not None:
        epoch = number / 1000 if number > 1e11 else number
        return max(0.0, epoch - now) if epoch > 1e9 else number
    parts = _DURATION.findall(value)
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts) if parts else None


def refused_parameter(words: str, sent: Mapping[str, str]) -> str | None:
    """Which optional parameter a service says it does not take.

    Args:
        words: the error text of a 400 or 422.
        sent: name on the wire -> name in `Sampling`, for the optional parameters that were sent.

    Returns:
        The wire name, or `None` where the complaint is about something else (for instance a value out of range).
    """
    named = re.search(r"\bparam: (\w+)", words)
    if not re.search(_REFUSED, words, re.IGNORECASE):
        return None
    if named and named.group(1) in sent:
        return named.group(1)
    found = [(at.start(), -len(name), name) for name in sent if (at := re.search(rf"\b{name}\b", words))]
    return min(found)[2] if found else None
