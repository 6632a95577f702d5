"""Figures of kinship in words, short: intervals, p-values, names of families."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from hydrometer.findings import Estimate

#: A p-value from a null with a parametric tail is not known more closely than this.
LEAST_P = 1e-6
#: What names of models are made of: words, version numbers, separators.
_PART = re.compile(r"[vV]?\d+(?:\.\d+)*|[^\W\d_]+|[\W_]")


def family_name(members: Sequence[str]) -> str:
    """A name for a family: the words that its members' names begin with, or the first of them; and their number."""
    parts = zip(*(_PART.findall(name) for name in members), strict=False)
    begin = "".join(same[0] for same in takewhile(lambda one: len(set(one)) == 1, parts)).rstrip(" -_./:")
    if len(begin) >= 4 or begin in members:
        return f"{begin} ({len(members)})"
    return f"{members[0]} and {len(members) - 1} more"


def figure(estimate: Estimate, digits: int = 2) -> str:
    """An estimate with its interval, where it has one."""
    if estimate.estimate is None:
        return "undefined"
    text = f"{estimate.estimate:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval, or a dash."""
    if low is None or high is None or np.isnan(low) or np.isnan(high):
        return "-"
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def p_value(p: float | None) -> str:
    """A p-value, short; a dash where there is none."""
    if p is None or np.isnan(p):
        return "-"
    if p < LEAST_P:
        return "< 0.000001"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"
