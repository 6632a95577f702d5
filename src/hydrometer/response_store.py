"""Answers held as runs, each sorted by prompt: in memory, or on disk once they are more than memory should hold.

A batch of whole prompts is cut out of all runs and merged, so that both ways give the same batches.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError

if TYPE_CHECKING:
    import polars as pl

#: Text of the prompts that are handed out together.
BATCH_BYTES = 32 << 20
#: Text of a run on disk.
RUN_BYTES = 96 << 20
#: Rows that are decoded together when a batch is cut out of a run on disk.
_ROW_GROUP = 1024
_KEY = ("prompt", "model", "sample")


class _Run(NamedTuple):
    """Sorted answers: the prompt of each row, and how to get a slice of the rows."""

    prompts: NDArray[np.uint32]
    cut: Callable[[int, int], pl.DataFrame]


class AnswerStore:
    """Takes answers in any order and gives them back by prompt.

    Args:
        memory_bytes: text that is held before runs go to a temporary folder, which goes with the store.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._limit = memory_bytes
        self._runs: list[_Run] = []
        self._pending: list[pl.DataFrame] = []
        self._pending_bytes = 0
        self._folder: Path | None = None
        self._bytes = np.zeros(0, np.int64)
        self.repeated = False

    @property
    def spilled(self) -> bool:
        """Whether answers lie on disk."""
        return self._folder is not None

    def add(self, answers: pl.DataFrame) -> None:
        """Take answers: columns `prompt`, `model`, `sample` (UInt32) and `response` (String).

        Raises:
            InputError: the temporary folder is full.
        """
        sizes = answers["response"].str.len_bytes().to_numpy()
        counted = np.bincount(answers["prompt"].to_numpy(), weights=sizes, minlength=self._bytes.size).astype(np.int64)
        counted[: self._bytes.size] += self._bytes
        self._bytes = counted
        self._pending.append(answers)
        self._pending_bytes += int(sizes.sum())
        if self._pending_bytes >= (RUN_BYTES if self.spilled else self._limit):
            self._spill()

    def batches(self) -> Iterator[pl.DataFrame]:
        """The answers in order of prompt, model and sample; each batch holds whole prompts."""
        import polars as pl

        if self._pending:
            answers = pl.concat(self._pending).sort(_KEY)
            self._runs.append(_Run(answers["prompt"].to_numpy(), lambda start, stop: answers[start:stop]))
            self._pending = []
        for first, last in self._cuts():
            parts = []
            for run in self._runs:
                start, stop = np.searchsorted(run.prompts, (first, last))
                if stop > start:
                    parts.append(run.cut(int(start), int(stop)))
            if parts:
                batch = parts[0] if len(parts) == 1 else pl.concat(parts).sort(_KEY)
                yield batch.unique(_KEY, keep="first", maintain_order=True) if self.repeated else batch

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """Ranges of prompts whose answers fill a batch."""
        first, size = 0, 0
        for prompt, added in enumerate(self._bytes.tolist()):
            if size and size + added > BATCH_BYTES:
                yield first, prompt
                first, size = prompt, 0
            size += added
        if first < self._bytes.size:
            yield first, self._bytes.size

    def _spill(self) -> None:
        """Write what is pending as a run on disk."""
        import polars as pl

        answers = pl.concat(self._pending).sort(_KEY)
        self._pending, self._pending_bytes = [], 0
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="hydrometer-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            path = self._folder / f"{len(self._runs)}.parquet"
            answers.write_parquet(path, compression="lz4", row_group_size=_ROW_GROUP, statistics=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"the answers do not fit in memory and cannot be kept in the temporary folder: {error}",
                "Free some disk space there, or name another folder in TMPDIR.",
            ) from error
        self._runs.append(
            _Run(
                answers["prompt"].to_numpy().copy(),
                lambda start, stop: pl.scan_parquet(path).slice(start, stop - start).collect(),
            )
        )
