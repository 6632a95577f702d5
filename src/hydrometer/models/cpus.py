"""How many threads a local model should compute with."""

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


def inference_threads() -> int:
    """Threads for a small model: one per usable processor, up to where more gain nothing."""
    return min(usable_cpus(), _MOST)
