"""A local OpenAI-compatible server that misbehaves on purpose.

The model's name chooses the mode (`ok`, `rate-limit`, `html`, ...); `plan` gives a model a sequence of modes, one
a request, the last of which stays. It runs in a thread with an event loop of its own, so that code under test may
start and end loops as it likes. Use it as `with FaultyServer() as server:`, or take the `faulty` fixture.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG_TEXT = 5_000_000


def answer_of(body: dict[str, Any]) -> str:
    """The well-behaved answer: the last user message, so that a test can tell whose answer it got."""
    if "messages" in body:
        return f"You said: {body['messages'][-1]['content']}"
    return " I am a base model.\n\nUser: and this is not my turn"


def envelope(body: dict[str, Any], text: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A response in the OpenAI format."""
    if "messages" in body:
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        if body.get("logprobs"):
            top = [{"token": "You", "logprob": -0.1}, {"token": "I", "logprob": -2.5}]
            choice["logprobs"] = {"content": [{"token": "You", "logprob": -0.1, "top_logprobs": top}]}
    else:
        choice = {"index": 0, "finish_reason": finish, "text": text}
        if body.get("logprobs"):
            lp = {"tokens": [" I"], "token_logprobs": [-0.5], "top_logprobs": [{" I": -0.5, " A": -1.5}]}
            choice["logprobs"] = lp
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return {"id": "x", "object": "y", "created": 1, "model": "served-model-1", "choices": [choice], "usage": usage}


def error(status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> web.Response:
    """An error in the OpenAI format."""
    return web.json_response({"error": {"message": message, **fields}}, status=status, headers=headers)


class FaultyServer:
    """The server. Attributes may be changed while it runs.

    Attributes:
        latency_s: delay before every answer.
        answer: what the mode `ok` says to a request body.
        requests: number of requests by model name.
        bodies: every request body, in order of arrival.
        keys: every bearer token seen.
        in_flight: requests being answered now; `peak` is the most there ever were.
    """

    def __init__(self, latency_s: float = 0.0, answer: Callable[[dict[str, Any]], str] = answer_of) -> None:
        self.latency_s = latency_s
        self.answer = answer
        self.requests: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.in_flight = 0
        self.peak = 0
        self.port = 0
        self._plans: dict[str, list[str]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Base address for `Endpoint.base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def plan(self, model: str, *modes: str) -> None:
        """Answer the model's requests in these modes, one after the other; the last one stays."""
        self._plans[model] = list(modes)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/{kind:(?:chat/)?completions}", self._handle)
        app.router.add_post("/apply-template", self._template)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _template(self, request: web.Request) -> web.StreamResponse:
        messages = (await request.json())["messages"]
        if messages[0]["role"] != "system":
            messages = [{"role": "system", "content": "You are Faulty, made by Nobody Inc."}, *messages]
        return web.json_response(
            {"prompt": "".join(f"<|{m['role']}|>\n{m['content']}\n" for m in messages) + "<|assistant|>\n"}
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = body["model"]
        self.requests[model] += 1
        self.bodies.append(body)
        self.keys.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        plan = self._plans.get(model)
        mode = (plan.pop(0) if len(plan) > 1 else plan[0]) if plan else model
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            return await self._answer(mode, body, request)
        finally:
            self.in_flight -= 1

    async def _answer(self, mode: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        good = envelope(body, self.answer(body))
        match mode:
            case "rate-limit":
                return error(429, "Rate limit reached, slow down", {"Retry-After": "0.2"}, code="rate_limit_exceeded")
            case "rate-limit-ms":
                return error(429, "Rate limit reached", {"retry-after-ms": "150"})
            case "rate-limit-reset":
                headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2s"}
                return error(429, "Rate limit reached", headers)
            case "quota":
                return error(429, "You have no credit", code="insufficient_quota", type="insufficient_quota")
            case "daily":
                return error(429, "Rate limit reached on tokens per day (TPD): Limit 100000")
            case "payment":
                return error(402, "Insufficient Balance")
            case "auth":
                return error(401, f"Incorrect API key provided: {self.keys[-1]}", code="invalid_api_key")
            case "forbidden":
                return error(403, "Your account may not use this model")
            case "not-found":
                return error(404, "The model `not-found` does not exist", code="model_not_found")
            case "server":
                return error(500, "The server had an error")
            case "overloaded":
                return error(529, "Overloaded", {"Retry-After": "3"})
            case "bad-request":
                return error(400, "This model's maximum context length is 8192 tokens", code="context_length_exceeded")
            case "filtered":
                return error(400, "The response was filtered", code="content_filter")
            case "filtered-finish":
                return web.json_response(envelope(body, "", "content_filter"))
            case "no-temperature":
                if "temperature" in body:
                    text = "Unsupported value: 'temperature' does not support 0.7. Only the default (1) is supported."
                    return error(400, text, param="temperature", code="unsupported_value")
            case "no-extras":
                if extra := [name for name in ("seed", "logprobs", "top_logprobs", "temperature") if name in body]:
                    detail = [
                        {"loc": ["body", extra[0]], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}
                    ]
                    return web.json_response({"detail": detail}, status=422)
            case "max-completion-tokens":
                if "max_tokens" in body:
                    text = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
                    return error(400, text, param="max_tokens", code="unsupported_parameter")
            case "hang":
                await asyncio.sleep(3600)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case "drip":
                return await self._drip(request, json.dumps(good).encode())
            case "cut-off":
                return web.Response(body=json.dumps(good).encode()[:60], content_type="application/json")
            case "short-body":
                return await self._short(request, json.dumps(good).encode())
            case "empty-body":
                return web.Response(body=b"", content_type="application/json")
            case "html":
                return web.Response(text="<html><title>Sign in</title></html>", content_type="text/html")
            case "html-502":
                return web.Response(text="<html><title>502 Bad Gateway</title>", content_type="text/html", status=502)
            case "plain":
                return web.Response(text=json.dumps(good), content_type="text/plain")
            case "null":
                return web.json_response(envelope(body, None))
            case "blank":
                return web.json_response(envelope(body, "  \n "))
            case "number":
                return web.json_response(envelope(body, 42))
            case "no-choices":
                return web.json_response({"object": "chat.completion", "choices": []})
            case "array":
                return web.json_response([1, 2, 3])
            case "error-in-200":
                return web.json_response({"error": {"message": "upstream rate limited", "code": 429}})
            case "long":
                return web.json_response(envelope(body, "x" * LONG_TEXT))
            case "reasoning":
                return web.json_response(envelope(body, "Paris", reasoning_content="The capital is asked for."))
            case "reasoning-cut":
                return web.json_response(envelope(body, "", "length", reasoning_content="Let me think about"))
            case "inline-thought":
                return web.json_response(envelope(body, "<think>I am Alice</think>\n\nParis"))
            case "surrogate":
                raw = json.dumps(envelope(body, "SURROGATE")).replace("SURROGATE", "a\\ud83db")
                return web.Response(text=raw, content_type="application/json")
            case "deep":
                return web.Response(text="[" * 200_000, content_type="application/json")
        return web.json_response(good)

    async def _drip(self, request: web.Request, raw: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for byte in raw:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.05)
        return response

    async def _short(self, request: web.Request, raw: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(raw))})
        await response.prepare(request)
        await response.write(raw[:40])
        assert request.transport is not None
        request.transport.close()
        return response


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    """A running faulty server."""
    with FaultyServer() as server:
        yield server
