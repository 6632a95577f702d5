"""Coverage of the teacher: how much of what it says the student still reaches.

Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020) on the vectors of answers,
with the balls of `NEIGHBOURS` nearest neighbours, and the share of the teacher's answer classes. All are matched in
number of answers and set against the teacher's own other half (`halves`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hydrometer.integrity.embedding import Space
from hydrometer.integrity.halves import against_itself, unrepeated
from hydrometer.integrity.metrics import Metric
from hydrometer.stats import Array, Codes

#: Neighbours that span a ball. Naeem et al. take 5 of thousands of points; here a prompt has a handful, and more than 2
#: of those reach past the answer's own class (planted classes: 2 shows what was dropped most clearly of 1, 2 and 3).
NEIGHBOURS = 2
_CELLS = 20_000_000


def coverage(space: Space, classes: tuple[Codes, Codes]) -> list[Metric]:
    """All measures of coverage.

    Args:
        space: vectors of the answers.
        classes: (teacher, student) as `answer_classes` gives them, each of shape (prompts, k).
    """
    k = space.teacher.shape[1]

    def looked(measure: Callable[[Array, Array], Array]) -> tuple[Array, Array]:
        def one(seen: slice, other: slice, of_student: bool) -> Array:
            return measure(space.teacher[:, seen], (space.student if of_student else space.teacher)[:, other])

        return against_itself(k, one)

    def in_classes(name: str, measure: Callable[[Codes, Codes], Array]) -> Metric:
        def one(seen: slice, other: slice, of_student: bool) -> Array:
            return measure(classes[0][:, seen], classes[of_student][:, other])

        teacher, student = against_itself(k, one)
        return Metric(name, "coverage", True, teacher, student, saturated=unrepeated(teacher, k))

    return [
        in_classes("classes kept", classes_kept),
        in_classes("classes kept, by use", class_mass_kept),
        Metric("coverage", "coverage", True, *looked(covered)),
        Metric("recall", "coverage", True, *looked(lambda teacher, other: inside(other, teacher))),
        Metric("precision", "coverage", True, *looked(inside)),
        Metric("density", "coverage", True, *looked(density)),
    ]


def classes_kept(seen: Codes, other: Codes) -> Array:
    """Share of the classes seen on each prompt that are among the others; shape (prompts,)."""
    return np.array([np.isin(np.unique(ours), theirs).mean() for ours, theirs in zip(seen, other, strict=True)])


def class_mass_kept(seen: Codes, other: Codes) -> Array:
    """Share of the answers seen on each prompt whose class is among the others; shape (prompts,)."""
    return np.array([np.isin(ours, theirs).mean() for ours, theirs in zip(seen, other, strict=True)])


def covered(real: Array, other: Array) -> Array:
    """Coverage: share of each prompt's real points whose ball holds at least one other point.

    Args:
        real: vectors, shape (prompts, m, d).
        other: vectors, shape (prompts, m', d).
    """
    points, others = _flat(real), _flat(other)
    radius = radii(points)
    hit = np.concatenate([distance.min(axis=1) for _, distance in _distances(points, others)]) <= radius
    return np.asarray(hit.reshape(real.shape[:2]).mean(axis=1))


def inside(real: Array, other: Array) -> Array:
    """Precision: share of each prompt's other points that lie in any real point's ball.

    With the two exchanged it is recall, whose mean then belongs to the prompts of the points that are looked for.
    """
    points, others = _flat(real), _flat(other)
    radius = radii(points)
    hit = np.concatenate([(distance <= radius).any(axis=1) for _, distance in _distances(others, points)])
    return np.asarray(hit.reshape(other.shape[:2]).mean(axis=1))


def density(real: Array, other: Array) -> Array:
    """Density: real balls that each other point lies in / `NEIGHBOURS`, mean over each prompt's other points."""
    points, others = _flat(real), _flat(other)
    radius = radii(points)
    held = np.concatenate([(distance <= radius).sum(axis=1) for _, distance in _distances(others, points)])
    return np.asarray(held.reshape(other.shape[:2]).mean(axis=1) / NEIGHBOURS)


def radii(points: Array) -> Array:
    """Squared distance of each point to its `NEIGHBOURS`-th nearest other point, shape (n,)."""
    nearest = min(NEIGHBOURS, len(points) - 1)
    found = []
    for start, distance in _distances(points, points):
        rows = np.arange(len(distance))
        distance[rows, start + rows] = -1.0
        found.append(np.partition(distance, nearest, axis=1)[:, nearest])
    return np.concatenate(found)


def _flat(vectors: Array) -> Array:
    return vectors.reshape(-1, vectors.shape[-1])


def _distances(a: Array, b: Array) -> Iterator[tuple[int, Array]]:
    """Squared distances, a bounded number of rows at a time: (first row, shape (rows, len(b)))."""
    step = max(1, _CELLS // max(1, len(b)))
    squares = (b**2).sum(axis=1)
    for start in range(0, len(a), step):
        part = a[start : start + step]
        yield start, np.maximum((part**2).sum(axis=1)[:, None] + squares[None, :] - 2 * part @ b.T, 0.0)
