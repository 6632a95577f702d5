"""Chance-adjusted probabilistic agreement of models on multiple-choice items (CAPA; Goel et al. 2025).

kappa_p = (c_obs - c_exp) / (1 - c_exp), with c_obs the mean over items of sum_o p_1(o) p_2(o) and
c_exp = q_1 q_2 + (1 - q_1)(1 - q_2) mean 1 / (options - 1), q the model's mean probability of the right option. Where
predictions are recorded and not probabilities, p is 1 for the prediction. Items that one of the two lacks are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hydrometer.kinship.predictions import Predictions
from hydrometer.stats import Array, Codes, t_quantile

LEVEL = 0.05
_MAX_BLOCKS = 256
_OBSERVED, _FIRST, _SECOND, _CHANCE, _ITEMS = range(5)


@dataclass(frozen=True, slots=True)
class Capa:
    """CAPA of all pairs, in the order of np.triu_indices(n, 1); arrays of shape (pairs,).

    Attributes:
        estimate: kappa_p, NaN where it is undefined: no common item, or both always right.
        low: lower end of the 95 % interval, NaN where there are fewer than two common items.
        high: upper end.
        items: common items.
    """

    estimate: Array
    low: Array
    high: Array
    items: Codes


def capa(predictions: Predictions, *, probabilistic: bool = False, seed: int = 0) -> Capa:
    """CAPA of all pairs, with intervals by the delta method over blocks of items.

    Args:
        predictions: of n models.
        probabilistic: use recorded probabilities, on the items where both models have them.
        seed: deals the items to blocks.

    Raises:
        ValueError: probabilities are asked for and none are recorded.
    """
    n, items = predictions.chosen.shape
    upper = np.triu_indices(n, 1)
    blocks = min(items, _MAX_BLOCKS)
    dealt = np.random.default_rng(seed).permutation(items) % blocks
    sums = np.zeros((5, len(upper[0])))
    products = np.zeros((5, 5, len(upper[0])))
    for block in range(blocks):
        part = _block(predictions, np.flatnonzero(dealt == block), probabilistic, upper)
        sums += part
        products += part[:, None] * part[None]
    count = sums[_ITEMS]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / count
        right, wrong = mean[_FIRST] * mean[_SECOND], (1 - mean[_FIRST]) * (1 - mean[_SECOND])
        expected = right + wrong * mean[_CHANCE]
        room = np.where(1 - expected > 1e-12, 1 - expected, np.nan)
        estimate = (mean[_OBSERVED] - expected) / room
        by_expected = (estimate - 1) / room
        slope = np.stack(
            [
                1 / room,
                by_expected * (mean[_SECOND] - (1 - mean[_SECOND]) * mean[_CHANCE]),
                by_expected * (mean[_FIRST] - (1 - mean[_FIRST]) * mean[_CHANCE]),
                by_expected * wrong,
            ]
        )
        # The deviation of a block is slope . (sums - means * items), so its fifth slope is that of the count.
        slope = np.concatenate([slope, -(slope * mean[:_ITEMS]).sum(axis=0, keepdims=True)])
        variance = np.einsum("kp,klp,lp->p", slope, products, slope) * blocks / (blocks - 1) / count**2
        reach = t_quantile(1 - LEVEL / 2, max(1, blocks - 1)) * np.sqrt(np.maximum(variance, 0))
    return Capa(estimate, estimate - reach, np.minimum(estimate + reach, 1.0), count.astype(np.int64))


def _block(
    predictions: Predictions, items: Codes, probabilistic: bool, upper: tuple[Codes, Codes]
) -> NDArray[np.float64]:
    """Sums over some items of p_1 . p_2, of each model's right probability, of 1 / (options - 1), and their number."""
    chosen = predictions.chosen[:, items]
    if probabilistic:
        if predictions.probabilities is None:
            raise ValueError("no probabilities are recorded")
        shares = predictions.probabilities[:, items].astype(np.float64)
        known = np.isfinite(shares[:, :, 0])
        shares = np.where(known[:, :, None], shares, 0)
    else:
        known = chosen >= 0
        shares = (chosen[:, :, None] == np.arange(int(predictions.options.max()))).astype(np.float64)
    correct = predictions.correct[items].astype(np.int64)
    right = np.take_along_axis(shares, correct[None, :, None], axis=2)[:, :, 0]
    flat = shares.reshape(len(shares), -1)
    there = known.astype(np.float64)
    first = right @ there.T
    chance = (there / (predictions.options[items] - 1.0)) @ there.T
    return np.stack([one[upper] for one in (flat @ flat.T, first, first.T, chance, there @ there.T)])
