"""A local OpenAI-compatible server in a process of its own, which counts what it was asked.

The answer depends on the request's words alone: the model named `judge` gives verdicts, any other an identity.
`GET /log` lists a line per request in order of arrival; `POST /clear` forgets them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

from aiohttp import web


class Client:
    """What a benchmark asks of its server beside the protocol."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"

    def log(self) -> list[str]:
        """The requests so far, one line each."""
        with urllib.request.urlopen(f"{self.url}/log") as reply:
            return list(json.load(reply))

    def clear(self) -> None:
        """Forget them."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/clear", method="POST")).close()


@contextlib.contextmanager
def serving(latency_s: float) -> Iterator[Client]:
    """Start the server, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--latency", str(latency_s)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Client(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(10)


def line_of(model: str, messages: list[list[str]]) -> str:
    """A request as its log line, the same for the server and for the ledger."""
    return hashlib.sha256(json.dumps([model, messages]).encode()).hexdigest()


def _answer(body: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()[0]
    if body["model"] == "judge":
        return f"<maker>OpenAI</maker> <model>GPT</model> <verdict>{int(digest % 5 == 0)}</verdict>"
    return "I am a language model. " * 10 + f"My number is {digest}."


async def _serve(latency_s: float) -> None:
    log: list[str] = []

    async def complete(request: web.Request) -> web.Response:
        body = await request.json()
        log.append(line_of(body["model"], [[message["role"], message["content"]] for message in body["messages"]]))
        await asyncio.sleep(latency_s)
        message = {"role": "assistant", "content": _answer(body)}
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        head = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
        return web.json_response({**head, "choices": choices, "usage": usage})

    async def show(_request: web.Request) -> web.Response:
        return web.json_response(log)

    async def clear(_request: web.Request) -> web.Response:
        log.clear()
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", complete), web.get("/v1/log", show), web.post("/v1/clear", clear)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, required=True)
    asyncio.run(_serve(parser.parse_args().latency))
