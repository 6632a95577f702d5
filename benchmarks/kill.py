"""`kill -9` at random moments of a run: is the result the same, and is a kept call ever made again?

    python benchmarks/kill.py [--kills 50] [--seed 0]

A run is killed so many times in all; whenever one reaches its end before its kill, the next starts on a new ledger.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local_server import Client, line_of, serving

CONCURRENCY = 16


def start(folder: Path, url: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-c", "from hydrometer.cli import main; main()", "ice", "run", "vllm/deepseek-chat"),
        *(
            "--base-url",
            url,
            "--judge",
            "vllm/judge",
            "--budget",
            "200",
            "--concurrency",
            str(CONCURRENCY),
            "--seed",
            "1",
        ),
        *("--ledger", str(folder / "ledger.sqlite"), "--out", str(folder / "out"), "--quiet"),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kept(folder: Path) -> set[str]:
    """The calls whose answers the ledger holds."""
    path = folder / "ledger.sqlite"
    if not path.exists():
        return set()
    db = sqlite3.connect(path)
    try:
        rows = db.execute("SELECT request FROM call WHERE failure IS NULL").fetchall()
    except sqlite3.OperationalError:  # killed before the tables were made
        rows = []
    finally:
        db.close()
    return {line_of(request["model"], request["messages"]) for request in (json.loads(row[0]) for row in rows)}


def ended(process: subprocess.Popen[bytes]) -> None:
    _, err = process.communicate(timeout=300)
    if process.returncode != 0:
        sys.exit(f"a run failed: {err.decode()}")


class Tally:
    """What was seen over all runs."""

    def __init__(self) -> None:
        self.kills = self.runs = self.different = self.repeated_kept = self.repeated = self.made = 0

    def follow(
        self, folder: Path, server: Client, memories: list[tuple[int, set[str]]], killed: int, expected: bytes
    ) -> None:
        """Check one run that was killed several times and has now ended."""
        log = server.log()
        self.runs += 1
        self.kills += killed
        self.made += len(log)
        self.repeated += len(log) - len(set(log))
        self.repeated_kept += sum(len(memory & set(log[seen:])) for seen, memory in memories)
        self.different += (folder / "out" / "ice.json").read_bytes() != expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, tally = random.Random(options.seed), Tally()
    with tempfile.TemporaryDirectory() as place, serving(latency_s=0.05) as server:
        began = time.monotonic()
        ended(start(Path(place) / "undisturbed", server.url))
        whole_s = time.monotonic() - began
        expected = (Path(place) / "undisturbed" / "out" / "ice.json").read_bytes()
        calls = len(server.log())
        while tally.kills < options.kills:
            folder, killed = Path(place) / f"run{tally.runs}", 0
            server.clear()
            memories: list[tuple[int, set[str]]] = []
            while True:
                process = start(folder, server.url)
                try:
                    process.wait(rng.uniform(0.3, whole_s) if tally.kills + killed < options.kills else 300)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    time.sleep(0.1)
                    killed += 1
                    memories.append((len(server.log()), kept(folder)))
                    continue
                ended(process)
                break
            tally.follow(folder, server, memories, killed, expected)
    rows = {
        "runs carried to their end": tally.runs,
        "kills": tally.kills,
        "calls of an undisturbed run": calls,
        "results that differ in a byte": tally.different,
        "calls made": tally.made,
        "calls made again": tally.repeated,
        "  of these, answered and kept before": tally.repeated_kept,
        "  in flight at a kill, at most": tally.kills * CONCURRENCY,
    }
    for name, value in rows.items():
        print(f"{name:40}{value:>8}")


if __name__ == "__main__":
    main()
