"""The adaptive limit and the circuit breaker, in virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest
from doubles import failure, now, virtually
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.limits import AdaptiveLimit, Breaker

# -- AdaptiveLimit -----------------------------------------------------------------------------------------------


async def use(limit: AdaptiveLimit, seconds: float) -> None:
    await limit.acquire()
    try:
        assert limit.in_use <= limit.maximum
        await asyncio.sleep(seconds)
        limit.succeeded()
    finally:
        limit.release()


def test_it_starts_low_and_doubles_with_each_round_trip_up_to_the_maximum() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(100)
        peaks = []

        async def one() -> None:
            await limit.acquire()
            peaks.append((now(), limit.in_use))
            await asyncio.sleep(1)
            limit.succeeded()
            limit.release()

        await asyncio.gather(*(one() for _ in range(600)))
        by_second = [max((used for at, used in peaks if int(at + 1e-6) == second), default=0) for second in range(5)]
        assert by_second == [16, 32, 64, 100, 100]

    virtually(main())


def test_it_grows_only_while_it_is_used() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(64)
        for _ in range(100):
            await use(limit, 0.1)
        assert limit.limit == 16
        await asyncio.gather(*(use(limit, 0.1) for _ in range(12)))
        assert limit.limit == 16
        await asyncio.gather(*(use(limit, 0.1) for _ in range(16)))
        assert limit.limit > 16

    virtually(main())


def test_it_halves_once_per_round_trip_and_then_grows_by_one_per_round_trip() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(16)
        for _ in range(16):
            limit.pushed_back(now=10.0, started=9.0, retry_after=None)
        assert limit.limit == 8
        limit.pushed_back(now=10.5, started=9.9, retry_after=None)
        assert limit.limit == 8
        limit.pushed_back(now=11.0, started=10.0, retry_after=None)
        assert limit.limit == 4
        users = [asyncio.ensure_future(use(limit, 1)) for _ in range(8)]
        await asyncio.sleep(1.5)
        assert 4.8 < limit.limit <= 5
        await asyncio.gather(*users)
        for started in range(20, 40):
            limit.pushed_back(now=started + 0.5, started=started, retry_after=None)
        assert limit.limit == 1

    virtually(main())


def test_silence_is_kept_by_everybody_for_as_long_as_the_endpoint_asks() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(8)
        starts: list[float] = []

        async def one() -> None:
            await limit.acquire()
            starts.append(now())
            limit.release()

        limit.pushed_back(now=0.0, started=0.0, retry_after=5.0)
        waiting = [asyncio.ensure_future(one()) for _ in range(20)]
        await asyncio.sleep(2)
        limit.pushed_back(now=2.0, started=2.0, retry_after=10.0)
        limit.pushed_back(now=2.0, started=2.0, retry_after=1.0)
        await asyncio.gather(*waiting)
        assert len(starts) == 20
        assert min(starts) >= 12.0 - 1e-9
        assert max(starts) < 12.1

    virtually(main())


def test_a_maximum_of_one_is_one_at_a_time() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(1)
        await asyncio.gather(*(use(limit, 0.1) for _ in range(10)))
        assert now() == pytest.approx(1.0)

    virtually(main())


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    maximum=st.integers(1, 40),
    callers=st.integers(1, 80),
    refused=st.floats(0, 0.6),
    cancelled=st.floats(0, 0.4),
)
def test_stress_never_above_the_maximum_and_nobody_waits_for_ever(
    seed: int, maximum: int, callers: int, refused: float, cancelled: float
) -> None:
    """Random work, refusals, silences and cancellations; a lost wake-up is a deadlock, which the loop reports."""
    rng = random.Random(seed)

    async def main() -> None:
        limit = AdaptiveLimit(maximum)
        used = peak = ended = 0

        async def one() -> None:
            nonlocal used, peak, ended
            await asyncio.sleep(rng.choice([0, 0, rng.random()]))
            for _ in range(3):
                await limit.acquire()
                used += 1
                peak = max(peak, used)
                started = now()
                try:
                    await asyncio.sleep(rng.choice([0, 0.01, rng.random()]))
                    if rng.random() < refused:
                        limit.pushed_back(now(), started, rng.choice([None, 0.0, rng.random() * 3]))
                    else:
                        limit.succeeded()
                finally:
                    used -= 1
                    limit.release()
            ended += 1

        tasks = [asyncio.ensure_future(one()) for _ in range(callers)]
        victims = [task for task in tasks if rng.random() < cancelled]
        for victim in victims:
            asyncio.get_running_loop().call_later(rng.choice([0.0, 0.01, rng.random() * 2]), victim.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        assert ended >= callers - len(victims)
        assert peak <= maximum
        assert limit.in_use == 0
        await asyncio.wait_for(limit.acquire(), 10)

    virtually(main())


# -- Breaker -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["auth", "not_found", "quota"])
def test_a_refusal_opens_at_once_where_nothing_ever_worked(kind: str) -> None:
    breaker = Breaker()
    breaker.failed(failure(kind, "no entry"), now=0.0)
    assert breaker.reason == "no entry"


def test_a_refusal_after_success_must_repeat() -> None:
    breaker = Breaker(threshold=3)
    breaker.succeeded(0.0)
    for _ in range(2):
        breaker.failed(failure("quota"), now=1.0)
    breaker.succeeded(2.0)
    for _ in range(2):
        breaker.failed(failure("quota"), now=3.0)
    assert breaker.reason is None
    breaker.failed(failure("quota", "spent"), now=3.0)
    assert breaker.reason == "spent"


@pytest.mark.parametrize("kind", ["connection", "timeout", "server", "malformed"])
def test_a_model_that_never_answered_is_given_up_after_the_threshold(kind: str) -> None:
    breaker = Breaker(threshold=4, grace_s=2.0)
    for _ in range(3):
        breaker.failed(failure(kind), now=5.0)
    assert breaker.reason is None
    breaker.failed(failure(kind, "dead"), now=7.0)
    assert breaker.reason is not None
    assert "4 attempts in a row" in breaker.reason
    assert "dead" in breaker.reason


def test_many_failures_in_one_moment_at_the_start_make_wary_but_do_not_end_a_run() -> None:
    breaker = Breaker(threshold=4, grace_s=2.0)
    for _ in range(64):
        breaker.failed(failure("server"), now=5.0)
    assert breaker.reason is None
    assert breaker.wary
    breaker.succeeded(6.0)
    assert not breaker.wary


def test_a_short_outage_after_success_is_waited_out() -> None:
    breaker = Breaker(threshold=4, patience_s=60)
    breaker.succeeded(100.0)
    for second in range(59):
        breaker.failed(failure("connection"), now=100.0 + second)
    assert breaker.reason is None
    breaker.failed(failure("connection"), now=160.0)
    assert breaker.reason is not None


@pytest.mark.parametrize("kind", ["rate_limit", "content_filter", "bad_request", "empty", "missing", "unavailable"])
def test_what_says_nothing_about_the_endpoint_never_opens_it(kind: str) -> None:
    breaker = Breaker(threshold=2)
    for _ in range(50):
        breaker.failed(failure(kind), now=0.0)
    assert breaker.reason is None
