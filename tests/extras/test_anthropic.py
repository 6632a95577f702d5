"""The Anthropic provider through its real SDK against a local server."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, Completion, Endpoint, FailureKind, Message, Sampling
from hydrometer.models.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("anthropic", reason="the extra 'anthropic' is not installed")

KEY = "sk-ant-test-0123456789"
ASK = (Message("system", "Be brief."), Message("user", "Who are you?"))
GOOD = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test-1",
    "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "I am Claude."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 4},
}


def error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"type": "error", "error": {"type": kind, "message": message}}, status=status, headers=headers
    )


class Service:
    """Answers `/v1/messages` in the mode that the model's name states."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        assert self._ready.wait(10)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/messages", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self.thread.join(10)

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        match body["model"]:
            case "recent":
                if "temperature" in body:
                    return error(400, "invalid_request_error", "`temperature` is deprecated for this model.")
            case "rate":
                return error(429, "rate_limit_error", "slow down", {"retry-after": "7"})
            case "overloaded":
                return error(529, "overloaded_error", "Overloaded")
            case "auth":
                return error(
                    401,
                    "authentication_error",
                    f"invalid key {request.headers.get('x-api-key')} {request.headers.get('Authorization')}",
                )
            case "poor":
                return error(400, "invalid_request_error", "Your credit balance is too low")
            case "html":
                return web.Response(text="<html>", content_type="text/html")
            case "cut-off":
                return web.Response(text='{"type": "mess', content_type="application/json")
            case "shapeless":
                return web.json_response({"content": "text"})
            case "empty":
                return web.json_response({**GOOD, "content": []})
            case "thinking":
                return web.json_response({**GOOD, "content": GOOD["content"][:1], "stop_reason": "max_tokens"})  # type: ignore[index]
            case "refusal":
                return web.json_response({**GOOD, "content": [], "stop_reason": "refusal"})
        return web.json_response(GOOD)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    running = Service()
    yield running
    running.stop()


def ask(service: Service, mode: str, sampling: Sampling, times: int = 1) -> list[Completion]:
    async def run() -> list[Completion]:
        subject = resolve(f"anthropic/{mode}", Endpoint(base_url=service.url, timeout_s=10))
        try:
            return [await subject.complete(ASK, sampling, sample) for sample in range(times)]
        finally:
            await subject.aclose()

    return asyncio.run(run())


def test_an_answer_and_the_request_behind_it(service: Service) -> None:
    (done,) = ask(service, "ok", Sampling(temperature=0.3, max_tokens=9, seed=1, stop=("END",), logprobs=1))
    assert done.text == "I am Claude."
    assert (done.finish_reason, done.prompt_tokens, done.completion_tokens) == ("stop", 9, 4)
    assert done.served_model == "claude-test-1"
    assert done.dropped == ("seed", "logprobs")
    assert service.bodies == [
        {
            "model": "ok",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "Who are you?"}],
            "system": "Be brief.",
            "stop_sequences": ["END"],
            "temperature": 0.3,
        }
    ]


def test_a_refused_temperature_is_dropped_once_and_remembered(service: Service) -> None:
    done = ask(service, "recent", Sampling(temperature=0.0), times=2)
    assert [one.dropped for one in done] == [("temperature",), ("temperature",)]
    assert ["temperature" in body for body in service.bodies] == [True, False, False]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("rate", FailureKind.RATE_LIMIT),
        ("overloaded", FailureKind.SERVER),
        ("auth", FailureKind.AUTH),
        ("poor", FailureKind.QUOTA),
        ("html", FailureKind.MALFORMED),
        ("cut-off", FailureKind.MALFORMED),
        ("shapeless", FailureKind.MALFORMED),
        ("empty", FailureKind.EMPTY),
        ("thinking", FailureKind.EMPTY),
        ("refusal", FailureKind.CONTENT_FILTER),
    ],
)
def test_misbehaviour_is_typed_and_never_retried_by_the_sdk(service: Service, mode: str, kind: FailureKind) -> None:
    with pytest.raises(CallFailure) as caught:
        ask(service, mode, Sampling())
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)
    assert len(service.bodies) == 1
    assert caught.value.retry_after == (7 if mode == "rate" else None)


def test_setting_up_without_a_key_or_as_a_base_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        resolve("anthropic/x")
    with pytest.raises(ModelError, match="--base"):
        resolve("anthropic/x", Endpoint(base=True))
