"""The OpenAI-compatible provider against a real server that misbehaves in every way we know of."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
from faulty_server import FaultyServer, faulty
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.models.base import CallFailure, Completion, Endpoint, FailureKind, Message, Sampling
from hydrometer.models.failures import classify, refused_parameter, retry_after
from hydrometer.models.registry import resolve
from hydrometer.models.wire import parse_completion

if TYPE_CHECKING:
    from hydrometer.models.base import Model

__all__ = ["faulty"]

KEY = "sk-test-0123456789abcdef"
ASK = (Message("user", "What is the capital of France?"),)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def model(server: FaultyServer, mode: str, *, timeout_s: float = 20.0, base: bool = False) -> Model:
    return resolve(f"openai/{mode}", Endpoint(base_url=server.url, timeout_s=timeout_s, base=base))


def ask(subject: Model, sampling: Sampling | None = None, sample: int = 0) -> Completion:
    async def run() -> Completion:
        try:
            return await subject.complete(ASK, sampling or Sampling(max_tokens=20), sample)
        finally:
            await subject.aclose()

    return asyncio.run(run())


def test_a_good_answer_carries_everything_the_server_said(faulty: FaultyServer) -> None:
    done = ask(
        model(faulty, "ok"), Sampling(temperature=0.5, top_p=0.9, max_tokens=20, seed=7, stop=("END",), logprobs=2), 3
    )
    assert done.text == "You said: What is the capital of France?"
    assert (done.finish_reason, done.prompt_tokens, done.completion_tokens) == ("stop", 11, 7)
    assert done.served_model == "served-model-1"
    assert done.logprobs is not None
    assert done.logprobs[0].top == (("You", -0.1), ("I", -2.5))
    assert done.dropped == ()
    assert done.latency_s > 0
    assert faulty.bodies == [
        {
            "model": "ok",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 20,
            "seed": 10,
            "stop": ["END"],
            "logprobs": True,
            "top_logprobs": 2,
        }
    ]
    assert faulty.keys == [KEY]


def test_parameters_that_are_not_asked_for_are_not_sent(faulty: FaultyServer) -> None:
    ask(model(faulty, "ok"), Sampling())
    assert sorted(faulty.bodies[0]) == ["messages", "model"]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("rate-limit", FailureKind.RATE_LIMIT),
        ("quota", FailureKind.QUOTA),
        ("daily", FailureKind.QUOTA),
        ("payment", FailureKind.QUOTA),
        ("auth", FailureKind.AUTH),
        ("forbidden", FailureKind.AUTH),
        ("not-found", FailureKind.NOT_FOUND),
        ("server", FailureKind.SERVER),
        ("overloaded", FailureKind.SERVER),
        ("html-502", FailureKind.SERVER),
        ("bad-request", FailureKind.BAD_REQUEST),
        ("filtered", FailureKind.CONTENT_FILTER),
        ("filtered-finish", FailureKind.CONTENT_FILTER),
        ("reset", FailureKind.CONNECTION),
        ("short-body", FailureKind.CONNECTION),
        ("cut-off", FailureKind.MALFORMED),
        ("empty-body", FailureKind.MALFORMED),
        ("html", FailureKind.MALFORMED),
        ("plain", FailureKind.MALFORMED),
        ("number", FailureKind.MALFORMED),
        ("no-choices", FailureKind.MALFORMED),
        ("array", FailureKind.MALFORMED),
        ("deep", FailureKind.MALFORMED),
        ("long", FailureKind.MALFORMED),
        ("null", FailureKind.EMPTY),
        ("blank", FailureKind.EMPTY),
        ("reasoning-cut", FailureKind.EMPTY),
        ("error-in-200", FailureKind.RATE_LIMIT),
    ],
)
def test_every_misbehaviour_is_a_typed_failure_after_one_request(
    faulty: FaultyServer, mode: str, kind: FailureKind
) -> None:
    with pytest.raises(CallFailure) as caught:
        ask(model(faulty, mode))
    assert caught.value.kind is kind
    assert faulty.requests[mode] == 1, "the SDK must not retry on its own"
    assert len(caught.value.message) <= 500


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_one_limit_covers_the_whole_attempt(faulty: FaultyServer, mode: str) -> None:
    with pytest.raises(CallFailure, match=r"within 0\.5 s") as caught:
        ask(model(faulty, mode, timeout_s=0.5))
    assert caught.value.kind is FailureKind.TIMEOUT


def test_a_server_that_is_not_there() -> None:
    subject = resolve("openai/ok", Endpoint(base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(CallFailure, match=r"127\.0\.0\.1:9") as caught:
        ask(subject)
    assert caught.value.kind is FailureKind.CONNECTION


@pytest.mark.parametrize(
    ("mode", "seconds"), [("rate-limit", 0.2), ("rate-limit-ms", 0.15), ("rate-limit-reset", 62.0), ("overloaded", 3.0)]
)
def test_the_wait_that_the_server_asks_for(faulty: FaultyServer, mode: str, seconds: float) -> None:
    with pytest.raises(CallFailure) as caught:
        ask(model(faulty, mode))
    assert caught.value.retry_after == pytest.approx(seconds)


def test_an_unsupported_parameter_is_dropped_once_and_remembered(faulty: FaultyServer) -> None:
    subject = model(faulty, "no-temperature")
    wanted = Sampling(temperature=0.7, max_tokens=5)

    async def run() -> list[Completion]:
        done = [await subject.complete(ASK, wanted, sample) for sample in range(3)]
        await subject.aclose()
        return done

    done = asyncio.run(run())
    assert [one.dropped for one in done] == [("temperature",)] * 3
    assert ["temperature" in body for body in faulty.bodies] == [True, False, False, False]


def test_several_unsupported_parameters_are_dropped_one_after_the_other(faulty: FaultyServer) -> None:
    done = ask(model(faulty, "no-extras"), Sampling(temperature=0.7, max_tokens=5, seed=1, logprobs=3))
    assert done.dropped == ("temperature", "seed", "logprobs")
    assert sorted(faulty.bodies[-1]) == ["max_tokens", "messages", "model"]


def test_a_renamed_parameter_is_not_lost(faulty: FaultyServer) -> None:
    done = ask(model(faulty, "max-completion-tokens"), Sampling(max_tokens=5))
    assert done.dropped == ()
    assert faulty.bodies[-1]["max_completion_tokens"] == 5


def test_reasoning_is_not_the_answer(faulty: FaultyServer) -> None:
    assert ask(model(faulty, "reasoning")).text == "Paris"
    assert ask(model(faulty, "inline-thought")).text == "Paris"
    with pytest.raises(CallFailure, match=r"7 tokens on reasoning.*raise max_tokens"):
        ask(model(faulty, "reasoning-cut"))


def test_text_that_utf8_cannot_hold_is_repaired(faulty: FaultyServer) -> None:
    assert ask(model(faulty, "surrogate")).text.encode()
    broken = (Message("user", "half a pair \ud83d"),)
    subject = model(faulty, "ok")

    async def run() -> Completion:
        try:
            return await subject.complete(broken, Sampling(), 0)
        finally:
            await subject.aclose()

    assert asyncio.run(run()).text.encode()


def test_a_base_model_gets_a_transcript_and_is_cut_at_the_next_turn(faulty: FaultyServer) -> None:
    done = ask(model(faulty, "ok", base=True), Sampling(max_tokens=30, logprobs=2, stop=("END",)))
    assert done.text == "I am a base model."
    assert done.finish_reason == "stop"
    assert done.logprobs is not None
    assert done.logprobs[0].top == ((" I", -0.5), (" A", -1.5))
    assert faulty.bodies[0]["prompt"] == "User: What is the capital of France?\n\nAssistant:"
    assert "END" in faulty.bodies[0]["stop"]
    assert len(faulty.bodies[0]["stop"]) <= 4


def test_the_key_appears_nowhere(faulty: FaultyServer, capfd: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        subject = model(faulty, "auth")
        with pytest.raises(CallFailure) as caught:
            ask(subject)
    finally:
        logging.getLogger().removeHandler(handler)
    shown = [
        repr(subject),
        subject.endpoint,
        str(caught.value),
        repr(caught.value),
        log.getvalue(),
        *capfd.readouterr(),
    ]
    assert not any(KEY in text for text in shown)
    assert caught.value.__cause__ is None


def test_calls_run_side_by_side(faulty: FaultyServer) -> None:
    subject = model(faulty, "ok")
    faulty.latency_s = 0.3

    async def run() -> None:
        await asyncio.gather(*(subject.complete(ASK, Sampling(), sample) for sample in range(150)))
        await subject.aclose()

    asyncio.run(run())
    assert faulty.peak > 100, "the connection pool bounds the calls"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, '{"error":{"message":"Content Exists Risk"}}', FailureKind.CONTENT_FILTER),
        (400, '{"error":{"code":"data_inspection_failed","message":"bad"}}', FailureKind.CONTENT_FILTER),
        (400, '{"error":{"code":"1301","message":"unsafe"}}', FailureKind.CONTENT_FILTER),
        (403, '{"code":"AllocationQuota.FreeTierOnly","message":"free tier only"}', FailureKind.QUOTA),
        (429, '{"error":{"code":"1113","message":"no money"}}', FailureKind.QUOTA),
        (
            429,
            '[{"error":{"code":429,"message":"You exceeded your current quota","details":[{"id":"RequestsPerDay"}]}}]',
            FailureKind.QUOTA,
        ),
        (
            429,
            '{"error":{"message":"You exceeded your current quota","details":[{"quotaId":"PerMinute"}]}}',
            FailureKind.RATE_LIMIT,
        ),
        (400, '{"error":{"message":"API key not valid. Please pass a valid API key."}}', FailureKind.AUTH),
        (408, "", FailureKind.TIMEOUT),
        (504, "<html>", FailureKind.TIMEOUT),
        (529, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', FailureKind.SERVER),
        (418, "short and stout", FailureKind.BAD_REQUEST),
    ],
)
def test_the_words_of_services_are_understood(status: int, body: str, kind: FailureKind) -> None:
    assert classify(status, {}, body, now=0.0).kind is kind


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, "", 90.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9s"}, "", None),
        ({}, 'details: {"retryDelay": "34s"}', 34.0),
        ({}, "Please try again in 7m12.5s.", 432.5),
        ({}, "Please try again in 120ms", 0.12),
    ],
)
def test_waits_in_all_their_forms(headers: dict[str, str], words: str, seconds: float | None) -> None:
    assert retry_after(headers, words, now=10.0) == seconds


def test_a_value_out_of_range_is_not_an_unsupported_parameter() -> None:
    sent = {"temperature": "temperature", "max_tokens": "max_tokens"}
    assert refused_parameter("max_tokens is too large: 99999; must be at most 8192", sent) is None
    assert refused_parameter("temperature is not supported", sent) == "temperature"
    assert refused_parameter("tools are not supported", sent) is None


@given(st.binary(max_size=300), st.sampled_from(["application/json", "text/html", ""]), st.booleans())
def test_no_body_whatever_ends_in_anything_but_a_completion_or_a_failure(raw: bytes, kind: str, base: bool) -> None:
    with contextlib.suppress(CallFailure):
        assert parse_completion(raw, kind, Sampling(logprobs=1), base=base).text.strip()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "text",
                    "error",
                    "usage",
                    "logprobs",
                    "tokens",
                    "finish_reason",
                    "code",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, st.booleans())
def test_json_of_the_wrong_shape_is_a_typed_failure(message: object, logprobs: object, base: bool) -> None:
    choice = {"message": message, "text": message, "logprobs": logprobs, "finish_reason": "stop"}
    for data in (message, {"choices": [choice]}, {"choices": message}, {"error": message}):
        with contextlib.suppress(CallFailure):
            done = parse_completion(json.dumps(data).encode(), "application/json", Sampling(logprobs=1), base=base)
            assert done.text.strip()
