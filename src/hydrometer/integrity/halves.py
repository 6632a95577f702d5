"""Halves of the answers: what a student keeps of a teacher is measured against what the teacher keeps of itself.

Fresh answers of the teacher never repeat all that it said before, so a student that reaches half of the teacher's
answers may have lost nothing. Each measure of coverage therefore looks from one half of the teacher's answers at its
other half (the teacher's value) and at as many answers of the student (the student's), over all ways round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hydrometer.stats import Array

#: Share of a teacher's answers that its other half must hold for a loss to be seen.
_REPEATED = 0.1
#: (half looked from, half looked at): the teacher's other half, and either half of the student.
_OF_TEACHER = ((0, 1), (1, 0))
_OF_STUDENT = ((0, 0), (0, 1), (1, 0), (1, 1))


def halves(k: int) -> tuple[slice, slice]:
    """Even and odd draws, as many of each; the last of an odd number is left out."""
    return slice(0, k - k % 2, 2), slice(1, k, 2)


def against_itself(k: int, measure: Callable[[slice, slice, bool], Array]) -> tuple[Array, Array]:
    """Teacher's and student's value of a measure, averaged over the halves.

    Args:
        k: answers per prompt.
        measure: takes the teacher's half looked from, the half looked at, and whether that one is the student's; gives
            a value per prompt, NaN where undefined.

    Returns:
        (teacher, student), each of shape (prompts,).
    """
    parts = halves(k)
    teacher = [measure(parts[a], parts[b], False) for a, b in _OF_TEACHER]
    student = [measure(parts[a], parts[b], True) for a, b in _OF_STUDENT]
    return _mean(teacher), _mean(student)


def views(k: int) -> Iterator[tuple[slice, slice, bool]]:
    """All ways to look: the arguments that `against_itself` calls with."""
    parts = halves(k)
    yield from ((parts[a], parts[b], False) for a, b in _OF_TEACHER)
    yield from ((parts[a], parts[b], True) for a, b in _OF_STUDENT)


def unrepeated(teacher: Array, k: int) -> str:
    """A line where the teacher's own halves hardly share an answer, so that no loss of answers can be seen.

    Args:
        teacher: share of one half that the other holds, shape (prompts,).
        k: answers per prompt.
    """
    known = teacher[np.isfinite(teacher)]
    if len(known) and known.mean() >= _REPEATED:
        return ""
    return f"At k = {k} the teacher hardly repeats an answer, so which of its answers are kept cannot be seen."


def _mean(rows: list[Array]) -> Array:
    """Mean over rows without the undefined; NaN where all are."""
    values = np.stack(rows)
    known = np.isfinite(values).sum(axis=0)
    return np.asarray(np.nansum(values, axis=0) / np.where(known > 0, known, np.nan))
