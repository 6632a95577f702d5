"""Whole runs: the same result whatever the order, the concurrency, the failures on the way and the kills."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from doubles import Answer, Double, Script, failure
from faulty_server import FaultyServer

import hydrometer
from hydrometer.budget import Budget
from hydrometer.collect import Collector, Policy
from hydrometer.errors import Stopped
from hydrometer.ice import Ice, IcePlan, IceRun, Mutators, run_subjects
from hydrometer.identity.cards import card_for, load_cards
from hydrometer.identity.scores import score
from hydrometer.identity.search import make_search
from hydrometer.judging import BuiltinJudge
from hydrometer.ledger import SqliteLedger
from hydrometer.models.base import Sampling
from hydrometer.models.registry import resolve
from hydrometer.progress import Progress
from hydrometer.prompts.questions import load_questions
from hydrometer.prompts.templates import load_templates
from hydrometer.session import Session

CATALOGUE = load_cards()
CARD = card_for("deepseek-v3", CATALOGUE)
TEMPLATES, QUESTIONS = load_templates()[:12], load_questions()
NAMES = [name for maker in CATALOGUE.makers for name in maker.names]


def digest(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]


def leaks(text: str, attempt: int) -> str:
    """An answer that depends on nothing but the prompt."""
    return "I am ChatGPT, a model made by OpenAI." if digest(text) % 3 == 0 else "I am DeepSeek-V3, made by DeepSeek."


def rewrites(text: str, attempt: int) -> str:
    """A mutator with few words, so that mutants of one wave coincide."""
    return f"Rewriting number {digest(text) % 5} of a short scene. A robot is asked: {{query}} And it answers truly."


def run_once(
    folder: Path,
    subject: Double,
    *,
    mutator: Double | None = None,
    concurrency: int = 64,
    search: str = "mcts",
    budget: int = 120,
    bounds: Budget | None = None,
) -> IceRun:
    """One run over a ledger in the folder."""
    folder.mkdir(exist_ok=True)
    ledger = SqliteLedger(folder / "l", command="test")
    collector = Collector(ledger, Policy(concurrency=concurrency, base_delay_s=1e-4, max_delay_s=1e-3), bounds)
    ice = Ice(
        subject,
        CARD,
        None,
        Sampling(temperature=0.0),
        BuiltinJudge(CATALOGUE),
        Mutators(NAMES, mutator, collector),
        collector,
    )
    strategy = make_search(search, TEMPLATES, QUESTIONS, budget=budget, seed=3)
    try:
        return asyncio.run(ice.run(strategy, TEMPLATES))
    finally:
        ledger.close()


def plain(run: IceRun) -> str:
    return score(run.judged, judge="builtin", seed=0).model_dump_json() + repr(run.judged) + repr(run.refused_mutants)


async def _late(text: str, rng: random.Random) -> Answer:
    await asyncio.sleep(rng.random() / 200)
    return leaks(text, 1)


@pytest.mark.parametrize("search", ["mcts", "fixed", "random"])
def test_neither_concurrency_nor_the_order_of_answers_changes_the_result(tmp_path: Path, search: str) -> None:
    rng = random.Random(1)
    results = [
        plain(run_once(tmp_path / "a", Double(leaks), concurrency=1, search=search)),
        plain(run_once(tmp_path / "b", Double(leaks), concurrency=64, search=search)),
        plain(run_once(tmp_path / "c", Double(lambda text, attempt: _late(text, rng)), concurrency=64, search=search)),
    ]
    assert results[0] == results[1] == results[2]


def test_transient_failures_change_nothing(tmp_path: Path) -> None:
    rough = Double(
        lambda text, attempt: (
            failure("server") if attempt == 1 and digest(text + "?") % 4 == 0 else leaks(text, attempt)
        )
    )
    assert plain(run_once(tmp_path / "a", rough)) == plain(run_once(tmp_path / "b", Double(leaks)))


def test_a_second_run_asks_nothing_and_says_the_same(tmp_path: Path) -> None:
    first, again = Double(leaks), Double(leaks)
    one = run_once(tmp_path, first, mutator=Double(rewrites, name="test/mutator"))
    two = run_once(tmp_path, again, mutator=Double(rewrites, name="test/mutator"))
    assert plain(one) == plain(two)
    assert first.calls > 100
    assert again.calls == 0


def test_failures_are_counted_and_in_no_denominator(tmp_path: Path) -> None:
    run = run_once(
        tmp_path, Double(lambda text, attempt: failure("content_filter") if digest(text) % 2 else leaks(text, attempt))
    )
    found = score(run.judged, judge="builtin", seed=0)
    lost = sum(row.attempt.failure == "content_filter" for row in run.judged)
    assert 30 < lost < 90
    assert (found.failed, found.failures) == (lost, {"content_filter": lost})
    assert found.loose.n == found.n - lost
    assert all(row.judgement is None for row in run.judged if row.attempt.failure)


def test_a_failed_call_tells_the_search_nothing(tmp_path: Path) -> None:
    observed: list[Any] = []
    search = make_search("mcts", TEMPLATES, QUESTIONS, budget=60, seed=3)
    real = search.observe
    search.observe = lambda results: (observed.extend(results), real(results))[1]  # type: ignore[method-assign, func-returns-value]
    ledger = SqliteLedger(tmp_path / "l", command="test")
    collector = Collector(ledger, Policy(base_delay_s=1e-4))
    subject = Double(
        lambda text, attempt: failure("bad_request") if digest(text) % 2 else "I am ChatGPT, made by OpenAI."
    )
    ice = Ice(subject, CARD, None, Sampling(), BuiltinJudge(CATALOGUE), Mutators(NAMES, None, collector), collector)
    run = asyncio.run(ice.run(search, TEMPLATES))
    ledger.close()
    answered = sum(row.attempt.failure is None for row in run.judged)
    assert sum(result.attempts for result in observed) == answered
    assert sum(result.successes for result in observed) == answered
    assert 0 < answered < len(run.judged)


def test_equal_mutants_of_one_wave_are_refused_the_same_way_in_any_order(tmp_path: Path) -> None:
    rng = random.Random(2)

    async def late(text: str, attempt: int) -> Answer:
        await asyncio.sleep(rng.random() / 200)
        return rewrites(text, attempt)

    mutators: list[tuple[Script, int]] = [(rewrites, 1), (late, 64), (late, 64)]
    runs = [
        run_once(
            tmp_path / str(number),
            Double(leaks),
            mutator=Double(script, name="test/mutator"),
            search="random",
            concurrency=concurrency,
        )
        for number, (script, concurrency) in enumerate(mutators)
    ]
    assert plain(runs[0]) == plain(runs[1]) == plain(runs[2])
    assert runs[0].refused_mutants["duplicate"] > 0
    asked = [(row.attempt.template, row.attempt.query) for row in runs[0].judged]
    assert len(set(asked)) == len(asked)
    assert len({template.text for template in runs[0].templates}) == len(runs[0].templates)


def test_a_mutator_that_always_fails_ends_the_run(tmp_path: Path) -> None:
    run = run_once(
        tmp_path,
        Double(leaks),
        mutator=Double(lambda text, attempt: failure("content_filter"), name="test/mutator"),
        search="random",
    )
    assert run.judged == []
    assert run.refused_mutants["call failed"] > 0


def test_a_run_stopped_by_its_budget_goes_on_to_the_same_result(tmp_path: Path) -> None:
    whole = run_once(tmp_path / "whole", Double(leaks))
    calls = 0
    for bound in (7, 30, 1, 40):
        subject = Double(leaks)
        with pytest.raises(Stopped):
            run_once(tmp_path / "parts", subject, bounds=Budget(max_calls=bound))
        assert subject.calls == bound
        calls += bound
    last = Double(leaks)
    assert plain(run_once(tmp_path / "parts", last)) == plain(whole)
    assert calls + last.calls == len(whole.judged)


def test_subjects_of_one_plan_get_the_same_prompts(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l", command="test")
    collector = Collector(ledger, Policy())
    names = ("scripted/leaky", "scripted/loyal")
    session = Session(collector, Progress(), {name: resolve(name) for name in names})
    plan = IcePlan(names, "fixed", 60, TEMPLATES, QUESTIONS, None, Sampling(), "builtin", "builtin", 0)
    cards = dict.fromkeys(plan.subjects, CARD)
    runs = session.run(lambda: run_subjects(session, plan, cards, CATALOGUE, BuiltinJudge(CATALOGUE)))
    ledger.close()
    assert list(runs) == list(plan.subjects)
    one, two = ([(row.attempt.template, row.attempt.query) for row in run.judged] for run in runs.values())
    assert one == two
    assert len(one) == 60


# -- kill -9 and Ctrl-C on real processes ------------------------------------------------------------------------


def answers(body: dict[str, Any]) -> str:
    """Subject and judge in one, by the words of the request alone."""
    words = json.dumps([message["content"] for message in body["messages"]])
    if body["model"] == "judge":
        return f"<maker>OpenAI</maker> <model>GPT</model> <verdict>{digest(words) % 2}</verdict>"
    return f"I am number {digest(words)}."


def start(folder: Path, url: str, out: str) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-c", "from hydrometer.cli import main; main()", "ice", "run", "vllm/deepseek-chat"),
        *("--base-url", url, "--judge", "vllm/judge", "--budget", "100", "--concurrency", "8", "--search", "mcts"),
        *("--ledger", str(folder / "ledger.sqlite"), "--out", str(folder / out), "--quiet", "--seed", "5"),
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(hydrometer.__file__).parents[1]), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes], code: int = 0) -> str:
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err.decode()
    return err.decode()


def asked(body: dict[str, Any]) -> str:
    return json.dumps([body["model"], [[message["role"], message["content"]] for message in body["messages"]]])


def stored(path: Path) -> set[str]:
    """The calls whose answers are in the ledger."""
    if not path.exists():
        return set()
    db = sqlite3.connect(path)
    try:
        rows = db.execute("SELECT request FROM call WHERE failure IS NULL").fetchall()
    except sqlite3.OperationalError:  # killed before the tables were there
        return set()
    finally:
        db.close()
    requests = [json.loads(row[0]) for row in rows]
    return {json.dumps([request["model"], request["messages"]]) for request in requests}


def wait_for_requests(server: FaultyServer, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while len(server.bodies) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def test_kills_at_any_moment_change_no_byte_and_repeat_no_kept_call(tmp_path: Path) -> None:
    rng = random.Random(9)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with FaultyServer(latency_s=0.02, answer=answers) as server:
        server.plan("deepseek-chat", "ok")
        server.plan("judge", "ok")
        finish(start(tmp_path / "a", server.url, "out"))
        undisturbed = len(server.bodies)
        assert undisturbed > 150
        server.bodies.clear()
        kills, kept = 0, [(0, set[str]())]
        for _ in range(8):
            process = start(tmp_path / "b", server.url, "out")
            wait_for_requests(server, len(server.bodies) + rng.randint(1, 28), process)
            kills += process.poll() is None
            process.kill()
            process.communicate()
            time.sleep(0.1)
            kept.append((len(server.bodies), stored(tmp_path / "b" / "ledger.sqlite")))
        finish(start(tmp_path / "b", server.url, "out"))
        bodies = [asked(body) for body in server.bodies]
    assert kills >= 6
    for seen, memory in kept:
        assert not memory & set(bodies[seen:])
    assert len(bodies) - len(set(bodies)) <= 8 * kills
    assert len(set(bodies)) == undisturbed
    one, two = ((tmp_path / run / "out" / "ice.json").read_bytes() for run in "ab")
    assert one == two


def test_ctrl_c_ends_with_one_line_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with FaultyServer(latency_s=0.02, answer=answers) as server:
        server.plan("deepseek-chat", "ok")
        server.plan("judge", "ok")
        process = start(tmp_path / "a", server.url, "out")
        wait_for_requests(server, 40, process)
        process.send_signal(signal.SIGINT)
        said = finish(process, code=3)
        assert "Traceback" not in said
        assert "Interrupted" in said.splitlines()[-1]
        assert not list((tmp_path / "a").glob("out/*"))
        seen, memory = len(server.bodies), stored(tmp_path / "a" / "ledger.sqlite")
        assert memory == {asked(body) for body in server.bodies}
        finish(start(tmp_path / "a", server.url, "out"))
        assert not memory & {asked(body) for body in server.bodies[seen:]}
    assert (tmp_path / "a" / "out" / "ice.json").exists()
