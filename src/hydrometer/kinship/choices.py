"""What a model is expected to choose among an item's options, from the other models' votes and its own ways.

A conditional logit over the options (McFadden 1974). What draws a model to an option: the logarithm of the option's
share of the other models' votes, of all and by nearness in ability; being right, alone and with both shares; and the
option's position. The few coefficients of a model are fitted over items, so that its expectation says how far it
follows the crowd, how able it is and which positions it likes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hydrometer.kinship.predictions import Predictions
from hydrometer.stats import Array, Codes

Single = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Votes added to every option before shares are taken (Jeffreys).
PRIOR_VOTES = 0.5
#: The first of the drives: popularity, and popularity among models of like ability.
POPULARITIES = 2
#: Drives: popularity, popularity among models of like ability, being right, and both popularities if right.
_DRIVES = 5
#: Items from which the coefficients of a model are fitted.
_FIT_ITEMS = 2000
_FIT_ROUNDS = 10
_FIT_STEP = 1e-3
#: Strength of the prior on coefficients, in items.
_RIDGE = 1.0
_LEAST_EXPECTED = 1e-6


class Votes:
    """The votes for every option that bear on a model: of all others, and of all others by their nearness in ability.

    A model's own clones have no vote in what is expected of it, and elsewhere one between them.
    """

    def __init__(self, predictions: Predictions, clones: tuple[tuple[int, ...], ...], accuracies: Array) -> None:
        n = len(predictions.chosen)
        self.chosen, self.correct, self.options = predictions.chosen, predictions.correct, predictions.options
        self.width = int(predictions.options.max())
        votes = np.ones((n, n), dtype=np.float32) - np.eye(n, dtype=np.float32)
        for members in clones:
            votes[:, members] /= len(members)
            votes[np.ix_(members, members)] = 0
        self.weights = (votes, votes * nearness(accuracies).astype(np.float32))

    def picked(self, items: Codes) -> Mask:
        """Which option each model chose, shape (models, items, options)."""
        return np.asarray(self.chosen[:, items][:, :, None] == np.arange(self.width))

    def counted(self, items: Codes) -> tuple[Single, Single]:
        """Votes of all others, plain and by nearness, for each model, shape (models, items, options)."""
        picked = self.picked(items)
        flat = picked.reshape(len(picked), -1).astype(np.float32)
        plain, near = (np.asarray(weight @ flat).reshape(picked.shape) for weight in self.weights)
        return plain, near

    def offered(self, items: Codes) -> Mask:
        """Which options an item has, shape (items, options)."""
        return np.asarray(np.arange(self.width) < self.options[items][:, None])

    def right(self, items: Codes) -> Mask:
        """Which option is right, shape (items, options)."""
        return np.asarray(np.arange(self.width) == self.correct[items][:, None])


def nearness(accuracies: Array) -> Array:
    """exp(-distance) of each two accuracies in standard deviations of them all, shape (models, models)."""
    deviation = standard(accuracies)
    return np.asarray(np.exp(-np.abs(deviation[:, None] - deviation[None, :])))


def standard(values: Array) -> Array:
    """Values with mean 0 and variance 1, unknown ones 0. Shape as given."""
    deviation = np.nan_to_num(values - np.nanmean(values))
    return np.asarray(deviation / max(float(deviation.std()), 1e-9))


def _design(counted: tuple[Single, Single], right: Mask, offered: Mask) -> Single:
    """What can draw a model to an option, shape (items, options, drives); positions are not among them."""
    popular, near = (_popularity(votes, offered) for votes in counted)
    return np.stack([popular, near, right, right * popular, right * near], axis=-1)


def _popularity(votes: Single, offered: Mask) -> Single:
    """Logarithm of each option's share of the votes, 0 for options that the item does not have."""
    shares = (votes + np.float32(PRIOR_VOTES)) * offered
    shares /= shares.sum(axis=1, keepdims=True)
    return np.asarray(np.log(shares, out=np.zeros_like(shares), where=offered))


def _chances(design: Single, offered: Mask, coefficients: Array) -> Single:
    """Chance of each option, shape (items, options)."""
    weights = coefficients.astype(np.float32)
    utilities = np.where(offered, design @ weights[:_DRIVES] + weights[_DRIVES:], -np.inf)
    chances = np.exp(utilities - utilities.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def coefficients(votes: Votes, rng: np.random.Generator) -> Array:
    """Most probable coefficients of each model: its drives, then a habit for each position; shape (models, ...).

    The prior is a model that follows the votes as they are. Newton's method.
    """
    items = np.arange(len(votes.correct))
    if len(items) > _FIT_ITEMS:
        items = np.sort(rng.choice(items, _FIT_ITEMS, replace=False))
    offered, right, picked = votes.offered(items), votes.right(items), votes.picked(items)
    plain, near = votes.counted(items)
    prior = np.zeros(_DRIVES + votes.width)
    prior[0] = 1
    found = np.repeat(prior[None], len(picked), axis=0)
    for model, there in enumerate(votes.chosen[:, items] >= 0):
        design = _design((plain[model, there], near[model, there]), right[there], offered[there])
        found[model] = _fit(design, offered[there], picked[model, there], prior)
    return found


def _fit(design: Single, offered: Mask, picked: Mask, prior: Array) -> Array:
    found = prior.copy()
    for _ in range(_FIT_ROUNDS):
        chances = _chances(design, offered, found)
        weighted = design * chances[:, :, None]
        mean = np.concatenate([weighted.sum(axis=1), chances], axis=1)
        surprise = picked - chances
        slope = np.concatenate([np.einsum("ik,ikd->d", surprise, design), surprise.sum(axis=0)]) - _RIDGE * (
            found - prior
        )
        curvature = _RIDGE * np.eye(len(prior)) - mean.T @ mean
        curvature[:_DRIVES, :_DRIVES] += design.reshape(-1, _DRIVES).T @ weighted.reshape(-1, _DRIVES)
        curvature[_DRIVES:, :_DRIVES] += weighted.sum(axis=0)
        curvature[:_DRIVES, _DRIVES:] += weighted.sum(axis=0).T
        curvature[_DRIVES:, _DRIVES:] += np.diag(chances.sum(axis=0))
        step = np.clip(np.linalg.solve(curvature, slope), -2, 2)
        found += step
        if float(np.abs(step).max()) < _FIT_STEP:
            break
    return found


def residual_products(votes: Votes, fitted: Array, items: Codes) -> tuple[Single, Single, Single]:
    """Products of residuals of all pairs over some items, each model's squared residuals, and who has a prediction.

    With u = (chosen - p) / sqrt(p), the product of two models is multiplied out, because p has to do without the
    other's vote wherever the other's choice meets it: `alone` is p without one more vote for the option.

    Returns:
        Sums of products, shape (models, models); squares and presence, shape (models, items).
    """
    models = len(votes.chosen)
    offered, right = votes.offered(items), votes.right(items)
    wrong = offered & ~right
    plain, near = votes.counted(items)
    alone, expected = np.zeros_like(plain), np.zeros_like(plain)
    prior = np.float32(PRIOR_VOTES)
    others = np.maximum(1 - 1 / np.maximum(plain, 1), 0)
    fewer = ((plain * others + prior) / (plain + prior), (near * others + prior) / (near + prior))
    there = votes.chosen[:, items] >= 0
    for model in range(models):
        chances = _chances(_design((plain[model], near[model]), right, offered), offered, fitted[model])
        root = np.sqrt(np.maximum(chances, np.float32(_LEAST_EXPECTED))) * (wrong & there[model][:, None])
        follows = np.maximum(fitted[model, :POPULARITIES], 0).astype(np.float32) / 2
        expected[model] = root
        alone[model] = root * fewer[0][model] ** follows[0] * fewer[1][model] ** follows[1]
    picked = votes.picked(items) & wrong
    meets = np.divide(1, alone, out=np.zeros_like(alone), where=picked)
    chose = np.divide(1, expected, out=np.zeros_like(alone), where=picked)
    squares = ((chose - expected) ** 2).sum(axis=2)
    m, c, a, e = (one.reshape(models, -1) for one in (meets, chose, alone, expected))
    cross = c @ a.T
    return np.asarray(m @ m.T - cross - cross.T + e @ e.T), squares, there.astype(np.float32)
