"""One run at the edge: ledger, collector, models and progress, opened together and closed together."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hydrometer.budget import Budget, load_prices
from hydrometer.collect import Collector, Policy
from hydrometer.errors import InputError, Stopped
from hydrometer.ledger import SqliteLedger
from hydrometer.models.base import Endpoint, Model
from hydrometer.models.registry import resolve
from hydrometer.progress import Progress, progress_for

T = TypeVar("T")

DEFAULT_LEDGER = Path(".hydrometer") / "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What every command that calls models can be told.

    Attributes:
        ledger: the ledger's file.
        concurrency: calls in flight per endpoint, at most.
        timeout_s: limit of one attempt.
        max_calls: calls that may be sent.
        max_cost: what may be spent.
        base_url: address for the models of the first subject's provider.
        base: whether the subjects are base models, addressed by raw completion.
        quiet: whether to show no progress.
    """

    ledger: Path = DEFAULT_LEDGER
    concurrency: int = 64
    timeout_s: float = 120.0
    max_calls: int | None = None
    max_cost: float | None = None
    base_url: str | None = None
    base: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """An open run.

    Attributes:
        collector: makes the calls.
        progress: shows them.
        models: all models of the run by name.
    """

    collector: Collector
    progress: Progress
    models: dict[str, Model]

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run asynchronous work to its end, with Ctrl-C as a clean stop; models are released whatever happens."""
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            print("Stopping: calls in flight are finished and kept. Ctrl-C again to stop at once.", file=sys.stderr)
            self.collector.stop(
                Stopped(
                    "Interrupted; every answer so far is in the ledger",
                    "Run the same command again to go on from here.",
                )
            )

        with contextlib.suppress(NotImplementedError, RuntimeError):  # not the main thread, or Windows
            loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            return await work()
        finally:
            for model in self.models.values():
                await model.aclose()


def _resolved(options: RunOptions, subjects: tuple[str, ...], also: tuple[str, ...]) -> dict[str, Model]:
    """`--base` holds for the subjects alone, `--base-url` for every model of the first subject's provider."""
    provider = subjects[0].split("/", 1)[0]
    return {
        name: resolve(
            name,
            Endpoint(
                base_url=options.base_url if name.split("/", 1)[0] == provider else None,
                timeout_s=options.timeout_s,
                base=options.base and name in subjects,
            ),
        )
        for name in dict.fromkeys([*subjects, *also])
    }


@contextlib.contextmanager
def open_session(options: RunOptions, subjects: tuple[str, ...], also: tuple[str, ...] = ()) -> Iterator[Session]:
    """Open everything a run needs, and close it with the run's status in the ledger.

    Args:
        options: limits and places.
        subjects: names of the models under test.
        also: names of judges and mutators, for the check of prices.

    Raises:
        InputError: an option is out of range.
        ModelError: a model cannot be set up.
        LedgerError: the ledger cannot be used.
    """
    if options.concurrency < 1:
        raise InputError(f"--concurrency is {options.concurrency}", "Give a number of at least 1.")
    if options.timeout_s <= 0:
        raise InputError(f"--timeout is {options.timeout_s:g}", "Give a number of seconds above 0.")
    budget = Budget(options.max_calls, options.max_cost, load_prices())
    budget.check_priced([*subjects, *also])
    models = _resolved(options, subjects, also)
    ledger = SqliteLedger(options.ledger, command=shlex.join(["hydrometer", *sys.argv[1:]]))
    status = "failed"
    try:
        with progress_for(options.quiet) as progress:
            collector = Collector(ledger, Policy(concurrency=options.concurrency), budget, progress)
            yield Session(collector, progress, models)
        status = "done"
    except Stopped:
        status = "stopped"
        raise
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        status = "stopped"
        raise Stopped(
            "Interrupted; every finished call is in the ledger", "Run the same command again to go on from here."
        ) from error
    finally:
        ledger.close(status)
