"""How many calls to one endpoint are in flight, and when to stop trying it.

`AdaptiveLimit` starts low, doubles each round trip until the endpoint pushes back, then halves and grows by one per
round trip (additive increase, multiplicative decrease). `Breaker` gives up on a model that is dead or refuses us.
Both are driven by the collector and take the time as an argument, so they can be tested without waiting.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

from hydrometer.models.base import CallFailure, FailureKind

_START = 16


class AdaptiveLimit:
    """A counting limit on calls in flight that learns what an endpoint bears.

    Args:
        maximum: never exceeded.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = float(min(_START, maximum))
        self.in_use = 0
        self._slow_start = True
        self._decreased_at = -math.inf
        self._paused_until = -math.inf
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait for a free place."""
        loop = asyncio.get_running_loop()
        while self._waiting or not self._free(loop.time()):
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiting.append(waiter)
            if loop.time() < self._paused_until:
                loop.call_at(self._paused_until, self._wake)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                self._wake()
                raise
            if self._free(loop.time()):
                break
        self.in_use += 1
        self._wake()

    def release(self) -> None:
        """Give a place back."""
        self.in_use -= 1
        self._wake()

    def succeeded(self) -> None:
        """Grow, but only where the limit is really being used: somebody waits, or at least 80 % of it is taken."""
        if not self._waiting and self.in_use < 0.8 * math.floor(self.limit):
            return
        self.limit = min(self.maximum, self.limit + (1 if self._slow_start else 1 / self.limit))

    def pushed_back(self, now: float, started: float, retry_after: float | None) -> None:
        """Halve after a 429; once per round trip, since the calls in flight were all sent under the old limit.

        Args:
            now: the loop's time.
            started: when the refused call was sent.
            retry_after: seconds for which the endpoint wants silence.
        """
        self._slow_start = False
        if retry_after:
            self._paused_until = max(self._paused_until, now + retry_after)
        if started >= self._decreased_at:
            self.limit = max(1.0, self.limit / 2)
            self._decreased_at = now

    def resume(self) -> None:
        """End the silence that the endpoint asked for; nothing will be sent any more."""
        self._paused_until = -math.inf
        self._wake()

    def _free(self, now: float) -> bool:
        return self.in_use < math.floor(self.limit) and now >= self._paused_until

    def _wake(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if self._free(loop.time()):
            self._waiting.popleft().set_result(None)
        elif loop.time() < self._paused_until:
            loop.call_at(self._paused_until, self._wake)


class Breaker:
    """Decides when a model is not worth another call in this run.

    A refused key, an unknown model or an exhausted quota opens it at once, unless calls have succeeded before: then
    only when it repeats. A model that never answered is given up after a few failures in a row over some seconds; one
    that did answer only after it has been silent for `patience_s`, so that a short outage is waited out.

    Args:
        threshold: failures in a row that open it.
        grace_s: seconds that the failures must span where no call has succeeded, so that one bad moment at the start,
            in which many calls fail at once, does not end a run.
        patience_s: seconds since the last success before an outage counts.
    """

    def __init__(self, threshold: int = 8, grace_s: float = 2.0, patience_s: float = 60.0) -> None:
        self.threshold = threshold
        self.grace_s = grace_s
        self.patience_s = patience_s
        self.reason: str | None = None
        self._in_a_row = 0
        self._first_failure = 0.0
        self._last_success: float | None = None

    @property
    def wary(self) -> bool:
        """Whether so many calls have failed in a row that the next ones had better wait a moment."""
        return self._in_a_row >= self.threshold

    def succeeded(self, now: float) -> None:
        """Note an answer."""
        self._in_a_row = 0
        self._last_success = now

    def answered_since(self, moment: float) -> bool:
        """Whether a call has succeeded since then."""
        return self._last_success is not None and self._last_success >= moment

    def failed(self, failure: CallFailure, now: float) -> None:
        """Note a failed attempt, and open where it is hopeless."""
        if failure.kind in _HOPELESS:
            self._in_a_row += 1
            if self._last_success is None or self._in_a_row >= self.threshold:
                self.reason = failure.message
        elif failure.kind in _OUTAGE:
            if self._in_a_row == 0:
                self._first_failure = now
            self._in_a_row += 1
            if self._last_success is None:
                lasting = now - self._first_failure >= self.grace_s
            else:
                lasting = now - self._last_success >= self.patience_s
            if self._in_a_row >= self.threshold and lasting:
                self.reason = f"no answer in {self._in_a_row} attempts in a row, last: {failure.message}"


_HOPELESS = frozenset({FailureKind.AUTH, FailureKind.NOT_FOUND, FailureKind.QUOTA})
_OUTAGE = frozenset({FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.SERVER, FailureKind.MALFORMED})
