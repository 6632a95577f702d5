"""How many threads a local model should compute with.

Inference threads wait for each other after every layer by spinning, so one thread more than there are free
processors makes a model many times slower, not faster.
"""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MOST = 8  # small models gain nothing from more


def usable_cpus() -> int:
    """Processors that this process may use: its affinity, bounded by the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or quota "max"
        return count


def free_threads() -> int:
    """Threads to start: usable processors less what already runs (load of the last minute), at least 1."""
    busy = int(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    cpus = usable_cpus()
    return max(1, min(cpus - min(busy, cpus), _MOST))
