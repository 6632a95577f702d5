"""What every measure of integrity returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hydrometer.stats import Array

Theme = Literal["diversity", "coverage", "tail", "homogenisation", "fidelity", "stability", "openings"]


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One measure of teacher and student on the same prompts.

    Attributes:
        name: of the measure, with its order: `distinct answers`, `EAD-2`, `self-BLEU`.
        theme: what it speaks about.
        higher_is_kept: whether a student that keeps more has the higher value.
        teacher: values of the teacher per prompt, NaN where undefined, shape (prompts,); shape (1,) for a measure
            over the whole set.
        student: the same of the student.
        resampled: of a measure over the whole set: its values (teacher, student) in each resample of the prompts,
            each of shape (resamples,); None for values per prompt.
        units: how many prompts were resampled for it, where these are not all of the run.
        worst: value of a model that has nothing left of this; what a teacher has to lose is its distance to it. None
            where it is not known.
        saturated: one line where the estimator cannot see more at this number of answers.
        unit: of the values; empty for shares and counts.
    """

    name: str
    theme: Theme
    higher_is_kept: bool
    teacher: Array
    student: Array
    resampled: tuple[Array, Array] | None = None
    units: int | None = None
    worst: float | None = 0.0
    saturated: str = ""
    unit: str = ""
