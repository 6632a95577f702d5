"""How near to the ideal a run comes, what a call costs the client, and how fast answers are read again.

    python benchmarks/throughput.py [--queries 1000] [--latency 0.2] [--concurrency 64]

One process asks and judges (fixed search, model judge) against a server of fixed latency in another process.
The ideal is calls x latency / concurrency. A loop that makes one call at a time is measured on 50 of the calls.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import resource
import tempfile
import time
from pathlib import Path

from local_server import serving

from hydrometer.ice import Ice, Mutators
from hydrometer.identity.cards import card_for, load_cards
from hydrometer.identity.search import make_search
from hydrometer.judging import make_judge
from hydrometer.ledger import Call, SqliteLedger
from hydrometer.models.base import Message, Sampling
from hydrometer.prompts.questions import load_questions
from hydrometer.prompts.templates import load_templates
from hydrometer.session import RunOptions, open_session

ONE_AT_A_TIME = 50


def cpu_s() -> float:
    """Processor time of this process so far, all its threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(path: Path, url: str, queries: int, concurrency: int) -> tuple[float, float]:
    """Seconds and processor seconds of one run."""
    subject, judge = "vllm/deepseek-chat", "vllm/judge"
    options = RunOptions(ledger=path, concurrency=concurrency, base_url=url, quiet=True)
    catalogue, templates = load_cards(), load_templates()
    with open_session(options, (subject,), (judge,)) as session:
        the_judge = make_judge(judge, catalogue, session)
        mutators = Mutators([], None, session.collector)
        model = session.models[subject]
        sampling = Sampling(temperature=0.0, max_tokens=512)
        ice = Ice(model, card_for(subject, catalogue), None, sampling, the_judge, mutators, session.collector)
        search = make_search("fixed", templates, load_questions(), budget=queries, seed=0)
        began, used = time.perf_counter(), cpu_s()
        session.run(lambda: ice.run(search, templates))
        return time.perf_counter() - began, cpu_s() - used


async def one_at_a_time(url: str, prompts: list[list[dict[str, str]]]) -> tuple[float, float]:
    """Seconds and processor seconds per call of a plain loop over the SDK, on the same transport."""
    openai = importlib.import_module("openai")
    http = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
        for number, messages in enumerate([prompts[0], *prompts]):
            if number == 1:  # the first call connects, and is not counted
                began, used = time.perf_counter(), cpu_s()
            await client.chat.completions.create(
                model="deepseek-chat", messages=messages, temperature=0.0, max_tokens=512
            )
        return (time.perf_counter() - began) / len(prompts), (cpu_s() - used) / len(prompts)


def reread(path: Path, keys: list[bytes]) -> float:
    """Answers read by key per second, each key asked for several times in turn."""
    book = SqliteLedger(path)
    rounds = max(1, 40_000 // len(keys))
    began = time.perf_counter()
    for _ in range(rounds):
        for key in keys:
            assert book.get(key) is not None
    rate = rounds * len(keys) / (time.perf_counter() - began)
    book.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, serving(options.latency) as server:
        path = Path(place) / "ledger.sqlite"
        run(Path(place) / "warm.sqlite", server.url, 8, options.concurrency)
        server.clear()
        seconds, used = run(path, server.url, options.queries, options.concurrency)
        calls = len(server.log())
        book = SqliteLedger(path)
        rows = list(book.query("SELECT key, request FROM call WHERE failure IS NULL ORDER BY id"))
        book.close()
        assert len(rows) == calls
        first = [json.loads(request)["messages"] for _, request in rows[:ONE_AT_A_TIME]]
        prompts = [[{"role": role, "content": content} for role, content in messages] for messages in first]
        per_call, sdk_cpu = asyncio.run(one_at_a_time(server.url, prompts))
        serial = per_call * calls
        again, _ = run(path, server.url, options.queries, options.concurrency)
        assert len(server.log()) == calls + len(prompts) + 1, "a remembered call was made again"
        lookups = reread(path, [key for key, _ in rows])
    ideal = calls * options.latency / options.concurrency
    key_us = _key_us(rows[0][1])
    for name, figure in (
        ("calls, judge included", f"{calls}"),
        ("ideal", f"{ideal:.2f} s"),
        ("hydrometer", f"{seconds:.2f} s, {seconds / ideal:.2f} x ideal, {calls / seconds:.0f} calls/s"),
        ("one call at a time (from 50 calls)", f"{serial:.0f} s, {serial / seconds:.0f} x hydrometer"),
        ("client CPU per call, ledger included", f"{1000 * used / calls:.2f} ms"),
        ("  beside it, the SDK alone in that loop", f"{1000 * sdk_cpu:.2f} ms"),
        ("the same run from the ledger", f"{again:.2f} s"),
        ("answers re-read by key", f"{lookups:.0f} per second"),
        ("making a key", f"{key_us:.1f} us"),
    ):
        print(f"{name:40}{figure}")


def _key_us(request: str) -> float:
    parts = json.loads(request)
    messages = tuple(Message(role, content) for role, content in parts["messages"])
    began = time.perf_counter()
    for sample in range(2000):
        Call.key_of(Call(parts["endpoint"], parts["model"], messages, Sampling(temperature=0.0), sample).canonical())
    return (time.perf_counter() - began) / 2000 * 1e6


if __name__ == "__main__":
    main()
