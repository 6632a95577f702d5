"""What a run says of itself."""

from __future__ import annotations

import io
import sys

import pytest

from hydrometer import progress
from hydrometer.progress import BarProgress, LineProgress, Progress, progress_for


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_the_counts_in_words() -> None:
    counts = Progress()
    counts.begin("asking", 400)
    counts.done, counts.failed, counts.retried, counts.reused, counts.cost = 100, 3, 7, 20, 0.123456
    assert counts.status(10.0) == "100/400, 10.0/s, 30 s left, 3 failed, 7 retried, 20 from the ledger, cost 0.1235"
    assert counts.status(100.0).startswith("100/400, 1.0/s, 5 min 0 s left")
    assert counts.status(3600.0).startswith("100/400, 0.0/s, 3 h 0 min left")
    assert counts.status(0.0).startswith("100/400, 0.0/s, 3 failed")


def test_an_unknown_or_finished_total_promises_no_time() -> None:
    counts = Progress()
    counts.begin("x", None)
    counts.advance()
    assert counts.status(2.0) == "1, 0.5/s"
    counts.begin("x", 1)
    counts.advance(failed=True)
    assert counts.status(1.0) == "1/1, 1.0/s, 1 failed"


def test_lines_come_at_the_start_every_ten_seconds_and_at_the_end(clock: Clock) -> None:
    stream = io.StringIO()
    lines = LineProgress(stream)
    lines.begin("asking", 40)
    for _ in range(40):
        clock.now += 1
        lines.advance()
    assert stream.getvalue().splitlines() == [
        "asking: 0/40, 0.0/s",
        "asking: 10/40, 1.0/s, 30 s left",
        "asking: 20/40, 1.0/s, 20 s left",
        "asking: 30/40, 1.0/s, 10 s left",
        "asking: 40/40, 1.0/s",
    ]


def test_a_second_phase_starts_its_own_clock(clock: Clock) -> None:
    stream = io.StringIO()
    lines = LineProgress(stream)
    lines.begin("one", 1)
    clock.now += 50
    lines.begin("two", 4)
    clock.now += 20
    lines.advance()
    assert stream.getvalue().splitlines()[-1] == "two: 1/4, 0.1/s, 1 min 0 s left"


def test_titles_are_not_read_as_formats(clock: Clock) -> None:
    stream = io.StringIO()
    LineProgress(stream).begin("{0} %s [red]x", 1)
    assert stream.getvalue().startswith("{0} %s [red]x: ")


def test_the_kind_follows_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(progress_for(quiet=True)) is Progress
    assert type(progress_for()) is LineProgress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(progress_for()) is BarProgress


def test_the_bar_writes_to_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with BarProgress() as bar:
        bar.begin("asking [bold]x", 2)
        bar.advance()
        bar.advance(failed=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2/2" in captured.err
    assert "[bold]x" in captured.err
