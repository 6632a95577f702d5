"""Calibration on a text that went on: how sure of the next character a model was, and how often it was right.

The text is the teacher's own, drawn from its distribution, so a teacher sampled at temperature 1 is calibrated on it
but for what is not seen of its distribution, and a student is as far as it says of the teacher what is so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hydrometer.integrity.divergence import View
from hydrometer.stats import Array, Codes

#: Equal bins of confidence.
BINS = 10
_HOTTEST = 10.0
_STEPS = 40
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model expected at each position and what came.

    Attributes:
        masses: probability of each class, the likeliest first, then zeros, the last column for all that is not seen;
            shape (n, classes).
        came: column of what came, shape (n,).
    """

    masses: Array
    came: Codes

    def confidence(self, temperature: Array | float = 1.0) -> Array:
        """Probability of the likeliest class that is seen, shape (n,)."""
        return np.asarray(at_temperature(self.masses, temperature)[:, 0])

    @property
    def right(self) -> Array:
        """Whether that class came, shape (n,)."""
        return np.asarray(self.came == 0, dtype=np.float64)

    def log_loss(self) -> Array:
        """Minus the natural logarithm of the probability of what came, shape (n,)."""
        return np.asarray(-np.log(np.maximum(self.masses[np.arange(len(self.came)), self.came], 1e-12)))


def predictions(views: Sequence[View], came: Sequence[str]) -> Predictions:
    """Predictions from views with at least one class each, and the class that came."""
    width = max((len(one.mass) for one in views), default=0) + 1
    masses = np.zeros((len(views), width))
    columns = np.full(len(views), width - 1, dtype=np.int64)
    for row, (one, name) in enumerate(zip(views, came, strict=True)):
        masses[row, : len(one.mass)] = list(one.mass.values())
        masses[row, -1] = one.rest
        if name in one.mass:
            columns[row] = list(one.mass).index(name)
    return Predictions(masses, columns)


def at_temperature(masses: Array, temperature: Array | float) -> Array:
    """Distributions p^(1/T), made to sum to 1.

    Args:
        masses: shape (n, classes).
        temperature: T > 0, one for all or shape (n,).
    """
    power = 1 / np.broadcast_to(np.asarray(temperature, dtype=np.float64), len(masses))[:, None]
    raised = np.where(masses > 0, np.maximum(masses, 1e-300) ** power, 0.0)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def fitted_temperature(seen: Predictions) -> float:
    """The temperature in [1/10, 10] with the least mean log-loss (Guo et al. 2017), by golden section search."""

    def loss(log_t: float) -> float:
        return float(Predictions(at_temperature(seen.masses, math.exp(log_t)), seen.came).log_loss().mean())

    low, high = -math.log(_HOTTEST), math.log(_HOTTEST)
    for _ in range(_STEPS):
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def cross_fitted(seen: Predictions, groups: Codes) -> Array:
    """A temperature for each position, fitted on the positions of the other half of the groups; shape (n,).

    Args:
        seen: the predictions.
        groups: number of each position's prompt; even and odd ones are the halves. Shape (n,).
    """
    found = np.ones(len(groups))
    for half in (0, 1):
        others = groups % 2 != half
        if others.any():
            found[~others] = fitted_temperature(Predictions(seen.masses[others], seen.came[others]))
    return found


def expected_calibration_error(confidence: Array, right: Array, groups: Codes, draws: Array) -> Array:
    """Expected calibration error in each resample: sum over bins of |confidence - accuracy|, weighted by size.

    Naeini et al. 2015, with `BINS` equal bins. Biased upwards in small samples, and so fit for comparing sides of one
    size.

    Args:
        confidence: in [0, 1], shape (n,).
        right: 1 where the prediction came true, else 0, shape (n,).
        groups: number of each position's prompt, shape (n,).
        draws: how often each prompt is drawn, shape (resamples, prompts).

    Returns:
        Shape (resamples,), NaN where nothing was drawn.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.zeros((draws.shape[1], BINS))
    np.add.at(gaps, (groups, bins), confidence - right)
    sizes = draws @ np.bincount(groups, minlength=draws.shape[1])
    return np.asarray(np.abs(draws @ gaps).sum(axis=1) / np.where(sizes > 0, sizes, math.nan))
