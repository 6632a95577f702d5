"""The only part that makes calls to models.

One layer of limits, retries, budget and memory above all providers. `Collector.ask` returns an answer or a typed
failure; it never scores, never turns a failure into an empty answer, and never makes a call that the ledger holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from hydrometer.budget import Budget
from hydrometer.errors import Stopped
from hydrometer.ledger import Call, Entry, Ledger
from hydrometer.limits import AdaptiveLimit, Breaker
from hydrometer.models.base import TRANSIENT, CallFailure, Completion, FailureKind, Message, Model, Sampling
from hydrometer.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try.

    Attributes:
        concurrency: calls in flight per endpoint, at most.
        attempts: attempts per call at a transient failure.
        base_delay_s: first wait; doubles with each attempt, with full jitter.
        max_delay_s: longest wait of our own.
        max_retry_after_s: an endpoint that asks for a longer silence counts as out of quota.
    """

    concurrency: int = 64
    attempts: int = 6
    base_delay_s: float = 0.5
    max_delay_s: float = 30.0
    max_retry_after_s: float = 120.0


#: Silence after failures in a row, so that an outage is not met with calls as fast as they fail.
_OUTAGE_PAUSE_S = 1.0
#: Fewer attempts where another one seldom helps or costs much time.
_ATTEMPTS = {FailureKind.TIMEOUT: 3, FailureKind.MALFORMED: 3, FailureKind.EMPTY: 2}


@dataclass(frozen=True, slots=True)
class _Job:
    """One call on its way: what to ask, and the limit and breaker that hold for it."""

    model: Model
    messages: tuple[Message, ...]
    sampling: Sampling
    sample: int
    entry: Entry
    limit: AdaptiveLimit
    breaker: Breaker


class Collector:
    """Makes calls within limits and remembers them.

    Args:
        ledger: the memory of calls.
        policy: limits and retries.
        budget: what may be spent.
        progress: where to show what happens.
    """

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy | None = None,
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.ledger = ledger
        self.policy = policy or Policy()
        self.budget = budget or Budget()
        self.progress = progress or Progress()
        self.failures: Counter[tuple[str, FailureKind]] = Counter()
        self.reasons: dict[str, str] = {}
        self._limits: dict[str, AdaptiveLimit] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._pending: dict[bytes, asyncio.Future[Completion | CallFailure]] = {}
        self._stop: Stopped | None = None
        self._stopping = asyncio.Event()
        self._jitter = random.Random()

    def stop(self, reason: Stopped) -> None:
        """Send nothing more; calls in flight finish and are remembered, and whoever waits for a retry gives up."""
        self._stop = self._stop or reason
        self._stopping.set()
        for limit in self._limits.values():
            limit.resume()

    async def ask(
        self,
        model: Model,
        messages: tuple[Message, ...],
        sampling: Sampling,
        *,
        sample: int = 0,
        purpose: str = "subject",
    ) -> Completion | CallFailure:
        """One answer, from the ledger or from the model.

        Args:
            model: whom to ask.
            messages: the conversation.
            sampling: decoding parameters.
            sample: index of the draw, for repeated draws of one prompt.
            purpose: what the call is for (`subject`, `judge`, `mutator`), shown by `hydrometer ledger`.

        Raises:
            Stopped: the budget is used up or the run was interrupted.
            LedgerError: the answer cannot be remembered.
        """
        request = Call(model.endpoint, model.sent_name, messages, sampling, sample).canonical()
        key = Call.key_of(request)
        remembered = self.ledger.get(key)
        if remembered is not None:
            self.ledger.note_reuse()
            self.progress.reused += 1
            return remembered
        if key in self._pending:
            return await asyncio.shield(self._pending[key])
        pending: asyncio.Future[Completion | CallFailure] = asyncio.get_running_loop().create_future()
        self._pending[key] = pending
        try:
            entry = Entry(key, request, model.name, purpose, Completion(""))
            outcome = await self._try(_Job(model, messages, sampling, sample, entry, *self._lane(model)))
            pending.set_result(outcome)
        except BaseException as error:
            pending.set_exception(error if isinstance(error, Exception) else Stopped("Interrupted"))
            pending.exception()
            raise
        finally:
            del self._pending[key]
        if isinstance(outcome, CallFailure):
            self.failures[model.name, outcome.kind] += 1
            self.reasons.setdefault(model.name, str(outcome))
        return outcome

    async def _try(self, job: _Job) -> Completion | CallFailure:
        attempt = 0
        while True:
            attempt += 1
            began = asyncio.get_running_loop().time()
            outcome = await self._attempt(job)
            if isinstance(outcome, Completion):
                return outcome
            if outcome.kind is FailureKind.RATE_LIMIT and job.breaker.answered_since(began):
                attempt -= 1  # others got its place: it queues, which is no reason to give it up
            if (
                outcome.kind not in TRANSIENT
                or attempt >= min(self.policy.attempts, _ATTEMPTS.get(outcome.kind, self.policy.attempts))
                or job.breaker.reason is not None
            ):
                return outcome
            ceiling = min(self.policy.max_delay_s, self.policy.base_delay_s * 2.0 ** max(0, attempt - 1))
            self.progress.retried += 1
            pause = max(outcome.retry_after or 0.0, self._jitter.uniform(0.1 * ceiling, ceiling))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def _attempt(self, job: _Job) -> Completion | CallFailure:
        """One attempt; its place is kept until the answer is stored, so a kill loses at most one call per place."""
        await job.limit.acquire()
        try:
            if self._stop is not None:
                raise self._stop
            if job.breaker.reason is not None:
                return CallFailure(FailureKind.UNAVAILABLE, f"not sent: {job.breaker.reason}")
            try:
                self.budget.reserve()
            except Stopped as stop:
                self.stop(stop)
                raise
            outcome = await self._send(job)
            stored = await self.ledger.put(replace(job.entry, outcome=outcome))
        finally:
            job.limit.release()
        return outcome if stored is None else stored

    async def _send(self, job: _Job) -> Completion | CallFailure:
        clock = asyncio.get_running_loop().time
        started = clock()
        tokens: tuple[int | None, int | None] = (None, None)
        try:
            completion = await job.model.complete(job.messages, job.sampling, job.sample)
            tokens = (completion.prompt_tokens, completion.completion_tokens)
        except CallFailure as failure:
            return self._note_failure(failure, job, clock(), started)
        finally:
            self.budget.settle(job.model.name, *tokens)
            self.progress.cost = self.budget.cost
        job.limit.succeeded()
        job.breaker.succeeded(clock())
        return completion

    def _note_failure(self, failure: CallFailure, job: _Job, now: float, started: float) -> CallFailure:
        wait = failure.retry_after or 0.0
        if failure.kind is FailureKind.RATE_LIMIT and wait <= self.policy.max_retry_after_s:
            job.limit.pushed_back(now, started, None if self._stop else wait)
            return failure
        if wait > self.policy.max_retry_after_s:
            failure = CallFailure(
                FailureKind.QUOTA, f"asked to wait {wait:.0f} s: {failure.message}", status=failure.status
            )
        job.breaker.failed(failure, now)
        if job.breaker.wary and job.breaker.reason is None and self._stop is None:
            job.limit.pushed_back(now, started, _OUTAGE_PAUSE_S)
        return failure

    def _lane(self, model: Model) -> tuple[AdaptiveLimit, Breaker]:
        limit = self._limits.get(model.endpoint)
        if limit is None:
            limit = AdaptiveLimit(max(1, min(self.policy.concurrency, model.capabilities.concurrency)))
            self._limits[model.endpoint] = limit
        return limit, self._breakers.setdefault((model.endpoint, model.sent_name), Breaker())


async def gather_stoppable(work: Iterable[Awaitable[T]]) -> list[T]:
    """Results in the order of `work`. If one raises `Stopped`, the others are awaited first, so nothing is lost.

    Raises:
        Stopped: after all others have ended.
        Exception: any other failure, at once; the others are cancelled.
    """
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        while pending := [task for task in tasks if not task.done()]:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                error = task.exception()
                if error is not None and not isinstance(error, Stopped):
                    raise error
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
