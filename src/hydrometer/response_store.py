"""Answers held as runs: in memory, or on disk once they are more than memory should hold.

When all are there they get their final numbers and each run is sorted, so that nothing depends on the order in which
they came. A batch of whole prompts is cut out of all runs and merged, so that both ways give the same batches.
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

Numbers = NDArray[np.uint32]


class _Run(NamedTuple):
    """Sorted answers: the prompt of each row, and how to get a slice of the rows."""

    prompts: NDArray[np.uint32]
    cut: Callable[[int, int], pl.DataFrame]


class AnswerStore:
    """Takes answers in any order, then is `finish`ed and gives them back by prompt.

    Args:
        memory_bytes: text that is held before runs go to a temporary folder, which goes with the store.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._limit = memory_bytes
        self._runs: list[_Run] = []
        self._spilled: list[Path] = []
        self._pending: list[pl.DataFrame] = []
        self._pending_bytes = 0
        self._folder: Path | None = None
        self._bytes = np.zeros(0, np.int64)
        self._repeated = False
        self._order: tuple[str, ...] = _KEY

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

    def finish(self, prompts: Numbers, models: Numbers, *, repeated: bool) -> None:
        """Number prompts and models anew and sort the answers; none is added afterwards.

        Args:
            prompts: the new number of each prompt.
            models: the new number of each model.
            repeated: whether an answer may be there more than once.

        Raises:
            InputError: the temporary folder is full.
        """
        import polars as pl

        self._repeated = repeated
        self._order = (*_KEY, "response") if repeated else _KEY
        sizes = np.zeros(len(prompts), np.int64)
        sizes[prompts[: self._bytes.size]] = self._bytes
        self._bytes = sizes

        def final(answers: pl.DataFrame) -> pl.DataFrame:
            numbers = {"prompt": prompts, "model": models}
            return answers.with_columns(
                pl.Series(name, new[answers[name].to_numpy()]) for name, new in numbers.items()
            ).sort(self._order)

        for place in self._spilled:
            self._runs.append(self._on_disk(final(pl.read_parquet(place, memory_map=False)), place))
        if self._pending:
            answers = final(pl.concat(self._pending))
            self._runs.append(_Run(answers["prompt"].to_numpy(), lambda start, stop: answers[start:stop]))
            self._pending = []

    def batches(self) -> Iterator[pl.DataFrame]:
        """The answers in order of prompt, model and sample; each batch holds whole prompts."""
        import polars as pl

        for first, last in self._cuts():
            parts = []
            for run in self._runs:
                start, stop = np.searchsorted(run.prompts, (first, last))
                if stop > start:
                    parts.append(run.cut(int(start), int(stop)))
            if parts:
                batch = parts[0] if len(parts) == 1 else pl.concat(parts).sort(self._order)
                yield batch.unique(_KEY, keep="first", maintain_order=True) if self._repeated else batch

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

        if self._folder is None:
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="hydrometer-"))
            except OSError as error:
                raise _no_room(error) from error
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{len(self._spilled)}.parquet"
        self._on_disk(pl.concat(self._pending), path)
        self._spilled.append(path)
        self._pending, self._pending_bytes = [], 0

    @staticmethod
    def _on_disk(answers: pl.DataFrame, path: Path) -> _Run:
        import polars as pl

        try:
            answers.write_parquet(path, compression="lz4", row_group_size=_ROW_GROUP, statistics=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _no_room(error) from error
        return _Run(
            answers["prompt"].to_numpy().copy(),
            lambda start, stop: pl.scan_parquet(path).slice(start, stop - start).collect(),
        )


def _no_room(error: Exception) -> InputError:
    return InputError(
        f"the answers do not fit in memory and cannot be kept in the temporary folder: {error}",
        "Free some disk space there, or name another folder in TMPDIR.",
    )
