"""Typed values that a measure returns: an estimate with its interval and its counts. A report only renders them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """Base of all findings: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(Finding):
    """A rate, mean or difference.

    Attributes:
        estimate: the point estimate; None where nothing was observed.
        low: lower end of the interval; None where there is no estimate.
        high: upper end of the interval.
        n: observations behind it.
        count: positives among them, for a rate.
        raw: the rate before correction for the judge's error, where it was corrected.
    """

    estimate: float | None
    low: float | None
    high: float | None
    n: int
    count: int | None = None
    raw: float | None = None


class Comparison(Finding):
    """A paired difference between two subjects on the same templates and questions.

    Attributes:
        a: first subject.
        b: second subject.
        score: which score is compared.
        difference: rate of `a` minus rate of `b`, with its interval.
        p: two-sided p-value of the sign-flip permutation test, the larger one over template and question clusters.
        p_corrected: after Holm's correction over all comparisons of the run.
        distinguishable: whether `p_corrected` is below the significance level.
        clusters: templates (or prompts) that both answered; the difference rests on so many.
    """

    a: str
    b: str
    score: str
    difference: Estimate
    p: float
    p_corrected: float
    distinguishable: bool
    clusters: int | None = None
