"""Progress of a run on standard error: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self, TextIO


class Progress:
    """Counts what a run does; the base class shows nothing.

    Attributes:
        done: steps finished, of `total` where that is known.
        failed: steps that ended without an answer.
        reused: calls answered from the ledger.
        retried: attempts that were repeated.
        cost: spent so far in the currency of the price table.
    """

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None
        self.failed = 0
        self.reused = 0
        self.retried = 0
        self.cost = 0.0

    def begin(self, title: str, total: int | None) -> None:
        """Start counting a new phase."""
        self.done = 0
        self.failed = 0
        self.total = total
        self._show(title, final=False)

    def advance(self, failed: bool = False) -> None:
        """Note one finished step."""
        self.done += 1
        self.failed += failed
        self._show(None, final=self.done == self.total)

    def _show(self, title: str | None, final: bool) -> None:
        """Render; the base class shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""

    def status(self, seconds: float) -> str:
        """The counts in words."""
        rate = self.done / seconds if seconds > 0 else 0.0
        parts = [f"{self.done}/{self.total}" if self.total else str(self.done), f"{rate:.1f}/s"]
        if self.total and 0 < self.done < self.total and rate > 0:
            parts.append(f"{_duration((self.total - self.done) / rate)} left")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.retried:
            parts.append(f"{self.retried} retried")
        if self.reused:
            parts.append(f"{self.reused} from the ledger")
        if self.cost:
            parts.append(f"cost {self.cost:.4g}")
        return ", ".join(parts)


class LineProgress(Progress):
    """A plain line at the start, at the end and every few seconds between."""

    def __init__(self, stream: TextIO, every_s: float = 10.0) -> None:
        super().__init__()
        self._stream = stream
        self._every_s = every_s
        self._title = ""
        self._started = self._shown = time.monotonic()

    def _show(self, title: str | None, final: bool) -> None:
        now = time.monotonic()
        if title is not None:
            self._title, self._started = title, now
        elif not final and now - self._shown < self._every_s:
            return
        self._shown = now
        self._stream.write(f"{self._title}: {self.status(now - self._started)}\n")
        self._stream.flush()


class BarProgress(Progress):
    """A bar that redraws itself on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=Console(stderr=True),
            transient=False,
        )
        self._task: Any = None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _show(self, title: str | None, final: bool) -> None:
        now = time.monotonic()
        if title is not None:
            self._started = now
            self._task = self._bar.add_task(title, total=self.total, status="")
        self._bar.update(self._task, completed=self.done, status=self.status(now - self._started), refresh=final)


def progress_for(quiet: bool = False) -> Progress:
    """The right kind for this process's standard error."""
    if quiet:
        return Progress()
    return BarProgress() if sys.stderr.isatty() else LineProgress(sys.stderr)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
