"""The collector with models that answer as scripted: retries, limits, memory, budget, stops."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from doubles import PLAIN, Answer, Double, MemoryLedger, collector_at, failure, now, quick, said, virtually

from hydrometer.budget import Budget, Price
from hydrometer.collect import Collector, Policy, gather_stoppable
from hydrometer.errors import LedgerError, Stopped
from hydrometer.ledger import Entry
from hydrometer.models.base import CallFailure, Completion, FailureKind, Sampling


def ask_all(collector: Collector, model: Double, texts: list[str], **parts: Any) -> list[Completion | CallFailure]:
    """Ask all at once, in virtual time."""

    async def main() -> list[Completion | CallFailure]:
        return await gather_stoppable(collector.ask(model, said(text), PLAIN, **parts) for text in texts)

    return virtually(main())


def in_memory(policy: Policy | None = None, **parts: Any) -> tuple[Collector, MemoryLedger]:
    ledger = MemoryLedger()
    return Collector(ledger, policy or Policy(), **parts), ledger


def kinds(outcomes: list[Completion | CallFailure]) -> list[str]:
    return [outcome.kind.value if isinstance(outcome, CallFailure) else "answer" for outcome in outcomes]


def numbered(count: int) -> list[str]:
    return [f"q{number}" for number in range(count)]


# -- memory ------------------------------------------------------------------------------------------------------


def test_an_answer_in_the_ledger_is_not_asked_for_again(tmp_path: Path) -> None:
    for _ in range(2):
        model = Double(lambda text, attempt: f"re {text}")
        collector = collector_at(tmp_path)
        outcomes = asyncio.run(_ask(collector, model, numbered(5)))
        collector.ledger.close()  # type: ignore[attr-defined]
        assert [outcome.text for outcome in outcomes if isinstance(outcome, Completion)] == [
            f"re {t}" for t in numbered(5)
        ]
    assert model.calls == 0
    assert collector.progress.reused == 5


async def _ask(collector: Collector, model: Double, texts: list[str]) -> list[Completion | CallFailure]:
    return await gather_stoppable(collector.ask(model, said(text), PLAIN) for text in texts)


def test_a_failure_in_the_ledger_is_asked_for_again() -> None:
    model = Double(lambda text, attempt: failure("content_filter") if attempt == 1 else "now")
    collector, ledger = in_memory()
    assert kinds(ask_all(collector, model, ["q"])) == ["content_filter"]
    assert kinds(ask_all(collector, model, ["q"])) == ["answer"]
    assert len(ledger.entries) == 2


def test_the_same_call_asked_twice_at_once_is_sent_once() -> None:
    model = Double(lambda text, attempt: f"{text} {attempt}")
    collector, _ = in_memory()
    outcomes = ask_all(collector, model, ["q"] * 20 + ["r"] * 20)
    assert model.attempts == {"q": 1, "r": 1}
    assert outcomes == [Completion("q 1")] * 20 + [Completion("r 1")] * 20


def test_a_failure_of_a_call_asked_twice_at_once_reaches_both_and_counts_once() -> None:
    model = Double(lambda text, attempt: failure("bad_request"))
    collector, _ = in_memory()
    assert kinds(ask_all(collector, model, ["q", "q"])) == ["bad_request"] * 2
    assert model.calls == 1
    assert collector.failures == {("test/double", FailureKind.BAD_REQUEST): 1}


def test_samples_and_parameters_are_different_calls() -> None:
    model = Double(lambda text, attempt: str(attempt))
    collector, _ = in_memory()

    async def main() -> None:
        for sample in (0, 1):
            for sampling in (PLAIN, Sampling(temperature=0.0), Sampling(temperature=0.0, seed=1)):
                await collector.ask(model, said("q"), sampling, sample=sample)

    virtually(main())
    assert model.calls == 6


def test_another_process_first_answer_is_the_one_returned() -> None:
    collector, ledger = in_memory()

    def script(text: str, attempt: int) -> Answer:
        from hydrometer.ledger import Call

        request = Call("test", "double", said(text), PLAIN).canonical()
        ledger.answers[Call.key_of(request)] = Completion("theirs")
        return "ours"

    assert ask_all(collector, Double(script), ["q"]) == [Completion("theirs")]


def test_a_ledger_that_cannot_write_stops_the_run() -> None:
    class Full(MemoryLedger):
        async def put(self, entry: Entry) -> Completion | None:
            raise LedgerError("The disk is full")

    collector = Collector(Full())
    with pytest.raises(LedgerError, match="disk is full"):
        ask_all(collector, Double(lambda text, attempt: "x"), ["a", "b", "a"])


# -- retries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "attempts"),
    [
        ("rate_limit", 6),
        ("connection", 6),
        ("server", 6),
        ("timeout", 3),
        ("malformed", 3),
        ("empty", 2),
        ("quota", 1),
        ("auth", 1),
        ("not_found", 1),
        ("bad_request", 1),
        ("content_filter", 1),
        ("missing", 1),
    ],
)
def test_attempts_by_kind_of_failure(kind: str, attempts: int) -> None:
    model = Double(lambda text, attempt: failure(kind))
    collector, ledger = in_memory()
    assert kinds(ask_all(collector, model, ["q"])) == [kind]
    assert model.calls == attempts
    assert [entry.outcome.kind for entry in ledger.entries if isinstance(entry.outcome, CallFailure)] == [
        kind
    ] * attempts
    assert collector.failures == {("test/double", FailureKind(kind)): 1}
    assert collector.progress.retried == attempts - 1
    assert "as scripted" in collector.reasons["test/double"]


@pytest.mark.parametrize("kind", ["rate_limit", "connection", "server", "timeout", "malformed", "empty"])
def test_a_transient_failure_is_made_good(kind: str) -> None:
    model = Double(lambda text, attempt: failure(kind) if attempt == 1 else "made good")
    collector, _ = in_memory()
    assert ask_all(collector, model, ["q"]) == [Completion("made good")]
    assert collector.failures == {}


def test_waits_double_up_to_the_longest() -> None:
    times: list[float] = []

    def script(text: str, attempt: int) -> Answer:
        times.append(now())
        return failure("connection")

    collector, _ = in_memory(Policy(attempts=8, base_delay_s=1.0, max_delay_s=4.0))
    collector._breakers["test", "double"] = _patient()
    ask_all(collector, Double(script), ["q"])
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    for wait, ceiling in zip(waits, [1, 2, 4, 4, 4, 4, 4], strict=True):
        assert 0.1 * ceiling - 1e-9 <= wait <= ceiling + 1e-9


def _patient() -> Any:
    from hydrometer.limits import Breaker

    return Breaker(threshold=10**9)


@pytest.mark.parametrize("kind", ["rate_limit", "server"])
def test_retry_after_is_obeyed(kind: str) -> None:
    times: list[float] = []

    def script(text: str, attempt: int) -> Answer:
        times.append(now())
        return failure(kind, retry_after=90.0) if attempt == 1 else "x"

    collector, _ = in_memory()
    assert kinds(ask_all(collector, Double(script), ["q"])) == ["answer"]
    assert 90.0 <= times[1] - times[0] < 91


def test_nobody_calls_during_the_silence_that_a_429_asks_for() -> None:
    times: list[float] = []

    async def script(text: str, attempt: int) -> Answer:
        times.append(now())
        await asyncio.sleep(1)
        return failure("rate_limit", retry_after=30.0) if text == "q0" and attempt == 1 else "x"

    collector, _ = in_memory()
    ask_all(collector, Double(script), numbered(200))
    assert not [at for at in times if 1 + 1e-6 < at < 31 - 1e-6]


def test_too_long_a_silence_is_a_quota() -> None:
    model = Double(lambda text, attempt: failure("rate_limit", "come back tomorrow", retry_after=86_400))
    collector, _ = in_memory()
    (outcome,) = ask_all(collector, model, ["q"])
    assert isinstance(outcome, CallFailure)
    assert outcome.kind is FailureKind.QUOTA
    assert "86400 s" in outcome.message
    assert "come back tomorrow" in outcome.message
    assert model.calls == 1
    assert kinds(ask_all(collector, model, ["r"])) == ["unavailable"]
    assert model.calls == 1


@pytest.mark.parametrize("borne", [1, 5, 40])
def test_a_rate_limited_endpoint_that_goes_on_answering_loses_no_call(borne: int) -> None:
    """So many calls a second are borne, the others are told to wait a second: all 300 are answered in the end."""
    window = [0.0, 0]

    def script(text: str, attempt: int) -> Answer:
        if now() - window[0] >= 1:
            window[:] = [now(), 0]
        window[1] += 1
        return "x" if window[1] <= borne else failure("rate_limit", retry_after=1.0)

    collector, _ = in_memory()
    outcomes = ask_all(collector, Double(script), numbered(300))
    assert kinds(outcomes).count("answer") == 300


# -- concurrency -------------------------------------------------------------------------------------------------


async def _slow(answer: Answer) -> Answer:
    await asyncio.sleep(1)
    return answer


@pytest.mark.parametrize(("policy", "model"), [(7, 4096), (64, 5)])
def test_never_more_calls_in_flight_than_policy_and_model_allow(policy: int, model: int) -> None:
    double = Double(lambda text, attempt: _slow("x"), concurrency=model)
    collector, _ = in_memory(Policy(concurrency=policy))
    ask_all(collector, double, numbered(200))
    assert double.peak == min(policy, model)


def test_models_of_one_endpoint_share_its_limit() -> None:
    one, two = (Double(lambda text, attempt: _slow("x"), name=f"test/{name}") for name in ("one", "two"))
    collector, _ = in_memory(Policy(concurrency=4))

    async def main() -> None:
        asks = [collector.ask(model, said(text), PLAIN) for text in numbered(20) for model in (one, two)]
        await gather_stoppable(asks)
        assert now() == pytest.approx(10.0)

    virtually(main())


def test_a_refused_burst_halves_the_limit_once() -> None:
    double = Double(lambda text, attempt: _slow(failure("rate_limit") if attempt == 1 else "x"))
    collector, _ = in_memory(quick())
    limit, _ = collector._lane(double)

    async def main() -> None:
        work = asyncio.ensure_future(gather_stoppable(collector.ask(double, said(t), PLAIN) for t in numbered(16)))
        await asyncio.sleep(1.5)
        assert limit.limit == 8
        await work

    virtually(main())


# -- breaker -----------------------------------------------------------------------------------------------------


def test_a_refused_key_stops_the_run_at_once() -> None:
    model = Double(lambda text, attempt: _slow(failure("auth", "Incorrect API key")))
    collector, ledger = in_memory()
    outcomes = ask_all(collector, model, numbered(1000))
    assert model.calls == 16
    assert kinds(outcomes).count("auth") == 16
    assert kinds(outcomes).count("unavailable") == 984
    assert len(ledger.entries) == 16
    assert "Incorrect API key" in str(outcomes[-1])


def test_a_dead_server_stops_the_run_within_seconds() -> None:
    async def main() -> float:
        outcomes = await gather_stoppable(collector.ask(model, said(text), PLAIN) for text in numbered(1000))
        assert set(kinds(outcomes)) == {"connection", "unavailable"}
        return now()

    model = Double(lambda text, attempt: failure("connection", "refused"))
    collector, _ = in_memory()
    assert virtually(main()) < 15
    assert model.calls < 100


def test_an_outage_of_half_a_minute_is_waited_out() -> None:
    async def script(text: str, attempt: int) -> Answer:
        await asyncio.sleep(0.5)
        return failure("connection") if 5 <= now() < 20 else "x"

    collector, _ = in_memory(Policy(concurrency=4))
    outcomes = ask_all(collector, Double(script), numbered(200))
    assert kinds(outcomes).count("answer") == 200


def test_a_dead_model_does_not_stop_another_one_at_the_same_endpoint() -> None:
    dead = Double(lambda text, attempt: failure("not_found"), name="test/dead")
    alive = Double(lambda text, attempt: "x", name="test/alive")
    collector, _ = in_memory()
    assert set(kinds(ask_all(collector, dead, numbered(30)))) <= {"not_found", "unavailable"}
    assert set(kinds(ask_all(collector, alive, numbered(30)))) == {"answer"}


# -- budget and stops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0, 1, 17, 100])
def test_the_budget_of_calls_is_exact_and_what_was_sent_is_remembered(bound: int) -> None:
    model = Double(lambda text, attempt: _slow("x"))
    collector, ledger = in_memory(budget=Budget(max_calls=bound))
    with pytest.raises(Stopped, match=f"budget of {bound} calls"):
        ask_all(collector, model, numbered(300))
    assert model.calls == bound
    assert len(ledger.answers) == bound


def test_retries_count_in_the_budget() -> None:
    model = Double(lambda text, attempt: failure("server") if attempt == 1 else "x")
    collector, _ = in_memory(budget=Budget(max_calls=5))
    with pytest.raises(Stopped):
        ask_all(collector, model, numbered(4))
    assert model.calls == 5


def test_a_budget_that_is_enough_does_not_stop_and_reuse_is_free() -> None:
    model = Double(lambda text, attempt: "x")
    collector, _ = in_memory(budget=Budget(max_calls=3))
    for _ in range(3):
        assert kinds(ask_all(collector, model, numbered(3))) == ["answer"] * 3
    assert model.calls == 3


def test_a_bound_on_cost_stops_within_what_was_in_flight() -> None:
    model = Double(lambda text, attempt: _slow(Completion("x", prompt_tokens=1_000_000, completion_tokens=0)))
    budget = Budget(max_cost=100.0, prices={"test/double": Price(1.0, 1.0)})
    collector, _ = in_memory(budget=budget)
    with pytest.raises(Stopped, match="budget of 100"):
        ask_all(collector, model, numbered(1000))
    assert budget.cost <= 100
    assert budget.cost > 80


def test_a_stop_ends_waits_for_a_retry_at_once() -> None:
    """Ctrl-C while an endpoint has asked for two minutes of silence."""

    async def main() -> None:
        work = asyncio.ensure_future(gather_stoppable(collector.ask(model, said(text), PLAIN) for text in numbered(40)))
        await asyncio.sleep(2)
        collector.stop(Stopped("Interrupted"))
        with pytest.raises(Stopped, match="Interrupted"):
            await work
        assert now() < 3

    for kind in ("rate_limit", "server"):
        model = Double(lambda text, attempt, kind=kind: failure(kind, retry_after=110.0) if text != "q0" else "x")  # type: ignore[misc]
        collector, _ = in_memory()
        virtually(main())


def test_calls_in_flight_finish_and_are_remembered_when_the_run_is_stopped() -> None:
    model = Double(lambda text, attempt: _slow("x"))
    collector, ledger = in_memory()

    async def main() -> None:
        work = asyncio.ensure_future(gather_stoppable(collector.ask(model, said(t), PLAIN) for t in numbered(100)))
        await asyncio.sleep(0.5)
        collector.stop(Stopped("Interrupted"))
        with pytest.raises(Stopped):
            await work

    virtually(main())
    assert model.calls == len(ledger.answers) == 16


def test_cancellation_in_the_middle_leaves_no_deadlock() -> None:
    model = Double(lambda text, attempt: _slow(failure("server") if attempt == 1 else "x"))
    collector, _ = in_memory(Policy(concurrency=3))
    collector._breakers["test", "double"] = _patient()

    async def main() -> None:
        for wait in (0.0, 0.5, 1.0, 1.3, 2.5):
            work = [asyncio.ensure_future(collector.ask(model, said(f"{wait} {n % 5}"), PLAIN)) for n in range(20)]
            await asyncio.sleep(wait)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        assert collector._pending == {}
        assert (
            kinds(await gather_stoppable(collector.ask(model, said(t), PLAIN) for t in numbered(10))) == ["answer"] * 10
        )

    virtually(main())


# -- gather_stoppable --------------------------------------------------------------------------------------------


async def _after(seconds: float, outcome: Any, log: list[Any]) -> Any:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        log.append(("cancelled", seconds))
        raise
    log.append(("done", seconds))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _gather(work: list[tuple[float, Any]]) -> tuple[Any, list[Any]]:
    log: list[Any] = []

    async def main() -> Any:
        items: list[Awaitable[Any]] = [_after(seconds, outcome, log) for seconds, outcome in work]
        return await gather_stoppable(items)

    try:
        return virtually(main()), log
    except Exception as error:
        return error, log


def test_results_come_in_the_order_of_the_work() -> None:
    assert _gather([(3, "a"), (1, "b"), (2, "c")])[0] == ["a", "b", "c"]
    assert _gather([]) == ([], [])


def test_a_stop_waits_for_the_others() -> None:
    outcome, log = _gather([(5, "a"), (1, Stopped("enough")), (3, Stopped("enough")), (8, "b")])
    assert isinstance(outcome, Stopped)
    assert log == [("done", 1), ("done", 3), ("done", 5), ("done", 8)]


def test_any_other_failure_cancels_the_others() -> None:
    outcome, log = _gather([(5, "a"), (1, Stopped("enough")), (3, ValueError("broken"))])
    assert isinstance(outcome, ValueError)
    assert log == [("done", 1), ("done", 3), ("cancelled", 5)]
