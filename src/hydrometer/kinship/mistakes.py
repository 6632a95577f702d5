"""Shared mistakes: do two models choose the same wrong options more often than unrelated models of their ability do?

What a model is expected to choose on an item is a conditional logit over its options (McFadden 1974): the logarithm
of each option's share of the other models' votes, weighted by how far the model follows the crowd; its ability, as a
constant and slopes for the right option; and its habit of choosing by position. What it chose beyond that, over the
wrong options and in units of its standard error, (chosen - expected) / sqrt(expected), is its residual on the item, and
two models' similarity is the correlation of their residuals: the score statistic for "one repeats the other's choice",
in which a rare mistake in common weighs more than a popular one. A pair's own votes are left out of what is expected
of it, and clones have one vote between them.

Models of like ability fall for like distractors, however unrelated (Kim et al. 2025). So the votes of models count a
second time, by nearness in ability, exp(-distance of the accuracies in standard deviations). And few voters show the
pull of distractors but roughly: what they do not show is shared by all that are strongly drawn to it. So in a dyadic
regression over all pairs each model has a level and a slope on nearness, and the products of both models' traits (their
accuracy, and how far they follow the crowd) have coefficients; all of it is taken out. A pair is centred on what
unrelated models of such traits have in common. Pairs that stand out have little say in it (Huber's weights).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hydrometer.kinship.capa import Capa, capa
from hydrometer.kinship.choices import POPULARITIES, Votes, coefficients, nearness, residual_products, standard
from hydrometer.kinship.pairs import MAX_BLOCKS, MIN_BLOCKS, PairBlocks
from hydrometer.kinship.predictions import Predictions
from hydrometer.kinship.relations import Relations, relate
from hydrometer.kinship.resampling import square
from hydrometer.stats import Array, Codes, wilson_interval

Single = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Fewer items that both got wrong than this tell nothing: the pair is left inconclusive.
FEWEST_BOTH_WRONG = 10
#: Fewer items in common than this: inconclusive.
FEWEST_ITEMS = 10
#: With fewer models the regression has about as many coefficients as there are pairs, and leaves nothing of them.
FEWEST_MODELS = 7
#: Share of equal choices, on the items that one of two models got wrong, from which on they count as one.
CLONE = 0.9
#: Strength of the prior that a model has no level, and no slope on nearness, of its own, in pairs.
_LEVEL_RIDGE, _SLOPE_RIDGE = 0.1, 1.0
#: Huber's constant: 95 % efficient where no pair stands out.
_HUBER = 1.345
#: Cells of a table of blocks and pairs that fit easily in memory: 256 blocks at up to 395 models.
_BLOCK_CELLS = 20_000_000
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often each model is right, over the items for which it has a prediction; arrays of shape (models,).

    Attributes:
        estimate: share of right predictions, NaN without any prediction.
        low: lower end of Wilson's 95 % interval.
        high: upper end.
        right: right predictions.
        items: predictions.
    """

    estimate: Array
    low: Array
    high: Array
    right: Codes
    items: Codes


@dataclass(frozen=True, slots=True)
class Agreement:
    """Plain agreement of all pairs, in the order of np.triu_indices(n, 1); arrays of shape (pairs,).

    Attributes:
        items: items for which both have a prediction.
        same: share of them with the same prediction, NaN without any.
        both_wrong: items on which both are wrong.
        same_when_both_wrong: share of those with the same prediction, NaN without any.
        same_when_one_wrong: the same over items on which one of them or both are wrong.
    """

    items: Codes
    same: Array
    both_wrong: Codes
    same_when_both_wrong: Array
    same_when_one_wrong: Array


@dataclass(frozen=True, slots=True)
class SharedMistakes:
    """All that is said of a table of predictions.

    Attributes:
        predictions: what was read.
        accuracy: of each model.
        agreement: plain agreement of all pairs.
        capa: chance-adjusted agreement of all pairs, from predictions.
        capa_probabilistic: the same from recorded probabilities, None where there are none.
        pairs: residual similarity of mistakes.
        relations: what follows from it, pair by pair.
        notes: one line for each thing found or left out.
    """

    predictions: Predictions
    accuracy: Accuracy
    agreement: Agreement
    capa: Capa
    capa_probabilistic: Capa | None
    pairs: PairBlocks
    relations: Relations
    notes: tuple[str, ...]


def shared_mistakes(predictions: Predictions, *, seed: int = 0) -> SharedMistakes:
    """Accuracies, plain and chance-adjusted agreement, residual similarity of mistakes and relations."""
    rates, plain = accuracy(predictions), agreement(predictions)
    pairs = mistake_pairs(predictions, seed=seed)
    probable = None if predictions.probabilities is None else capa(predictions, probabilistic=True, seed=seed)
    notes = (*predictions.notes, *_notes(predictions, rates, plain, pairs))
    return SharedMistakes(
        predictions, rates, plain, capa(predictions, seed=seed), probable, pairs, relate(pairs), notes
    )


def accuracy(predictions: Predictions) -> Accuracy:
    """Accuracy of each model with its interval; a missing prediction is no wrong one."""
    right = (predictions.chosen == predictions.correct).sum(axis=1)
    items = (predictions.chosen >= 0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        estimate = np.where(items > 0, right / np.maximum(items, 1), np.nan)
    ends = [
        wilson_interval(float(rate), int(n)) if n else (np.nan, np.nan) for rate, n in zip(estimate, items, strict=True)
    ]
    low, high = np.array(ends).T
    return Accuracy(estimate, low, high, right, items)


def agreement(predictions: Predictions) -> Agreement:
    """How often two models choose the same, and the same wrong option."""
    chosen, correct = predictions.chosen, predictions.correct
    upper = np.triu_indices(len(chosen), 1)
    there, wrong = chosen >= 0, (chosen >= 0) & (chosen != correct)

    def both(mask: Mask) -> Array:
        found = mask.astype(np.float32)
        return np.asarray((found @ found.T)[upper], dtype=np.float64)

    items, both_wrong, both_right = both(there), both(wrong), both(there & ~wrong)
    same_wrong = np.zeros(len(upper[0]))
    for option in range(int(predictions.options.max())):
        same_wrong += both(wrong & (chosen == option))
    return Agreement(
        items=items.astype(np.int64),
        same=_share(same_wrong + both_right, items),
        both_wrong=both_wrong.astype(np.int64),
        same_when_both_wrong=_share(same_wrong, both_wrong),
        same_when_one_wrong=_share(same_wrong, items - both_right),
    )


def mistake_pairs(predictions: Predictions, *, seed: int = 0) -> PairBlocks:
    """Residual similarity of the mistakes of all pairs, in blocks of items.

    Args:
        predictions: of n models.
        seed: draws the items from which coefficients are fitted, and deals items to blocks.

    Returns:
        Pairs that are both wrong on fewer than `FEWEST_BOTH_WRONG` items have no common items there, and no pair has
        where there are fewer than `FEWEST_MODELS` models, clones being one: so nothing is said of them.
    """
    rng = np.random.default_rng(seed)
    plain = agreement(predictions)
    n = len(predictions.models)
    upper = np.triu_indices(n, 1)
    clones = _clones(predictions, plain)
    rates = accuracy(predictions).estimate
    votes = Votes(predictions, clones, rates)
    fitted = coefficients(votes, rng)
    blocks = min(len(predictions.items), MAX_BLOCKS, max(MIN_BLOCKS, _BLOCK_CELLS // len(upper[0])))
    dealt = rng.permutation(len(predictions.items)) % blocks
    products = np.zeros((blocks, len(upper[0])), dtype=np.float32)
    common = np.zeros_like(products)
    size = np.zeros((n, n))
    for block in range(blocks):
        items = np.flatnonzero(dealt == block)
        product, squares, there = residual_products(votes, fitted, items)
        products[block] = product[upper]
        common[block] = (there @ there.T)[upper]
        size += squares @ there.T
    told = (plain.items >= FEWEST_ITEMS) & (plain.both_wrong >= FEWEST_BOTH_WRONG)
    told &= (size[upper] > 0) & (size.T[upper] > 0) & (voices(n, clones) >= FEWEST_MODELS)
    total = np.where(told, common.sum(axis=0, dtype=np.float64), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(told, total / np.sqrt(size[upper] * size.T[upper]), 0.0)
    residual = products * scale.astype(np.float32)
    common *= told
    residual -= _expected(residual, total, rates, fitted[:, :POPULARITIES].sum(axis=1))
    return PairBlocks(
        predictions.models,
        residual,
        common,
        plain.same,
        np.full(n, np.nan),
        clones,
    )


def voices(models: int, clones: tuple[tuple[int, ...], ...]) -> int:
    """How many models there are, the clones of one being one."""
    return models - sum(len(group) - 1 for group in clones)


def _expected(residual: Single, total: Array, accuracies: Array, following: Array) -> Single:
    """What two models' levels and traits explain of the sums of each block, shape as given.

    The weights of the regression are found on the whole and kept for every block, so that what is taken out of the
    blocks adds up to what is taken out of the whole.

    Args:
        residual: sums of similarity, shape (blocks, pairs).
        total: common items, 0 for pairs that are left out, shape (pairs,).
        accuracies: of the models, shape (models,).
        following: how far each model follows the crowd, shape (models,).
    """
    told = total > 0
    if not told.any():
        return np.zeros_like(residual)
    upper = np.triu_indices(len(accuracies), 1)
    near = nearness(accuracies)[upper]
    products = _trait_products(accuracies, following)
    share = np.divide(1, total, out=np.zeros_like(total), where=told)
    mean = residual.sum(axis=0, dtype=np.float64) * share
    weights = told.astype(np.float64)
    for _ in range(_ROUNDS):
        left = mean - _fitted(mean[None], weights, near, products)[0]
        scale = 1.4826 * float(np.median(np.abs(left[told])))
        if scale <= 0:
            break
        weights = told / np.maximum(np.abs(left) / (_HUBER * scale), 1.0)
    return (_fitted(residual * share, weights, near, products) * total).astype(np.float32)


def _trait_products(accuracies: Array, following: Array) -> Array:
    """Products of the traits of both models of a pair, each trait standardised, shape (3, pairs)."""
    accuracy, follows = standard(accuracies), standard(following)
    crossed = np.outer(accuracy, follows)
    upper = np.triu_indices(len(accuracies), 1)
    squares = np.stack([np.outer(accuracy, accuracy), np.outer(follows, follows), (crossed + crossed.T) / 2])
    return np.asarray(squares[:, upper[0], upper[1]])


def _fitted(values: Array | Single, weights: Array, near: Array, products: Array) -> Array:
    """Weighted ridge fit of a_i + a_j + (b_i + b_j) near_ij + c . products_ij to all pairs, shape as given."""
    n = round((1 + np.sqrt(1 + 8 * len(near))) / 2)
    upper = np.triu_indices(n, 1)

    def by_model(pairs: Array) -> Array:
        return np.asarray(square(pairs, n, 0.0).sum(axis=1), dtype=np.float64)

    normal = np.diag(np.repeat([_LEVEL_RIDGE, _SLOPE_RIDGE, _LEVEL_RIDGE], [n, n, len(products)]))
    for power, corner in enumerate(((0, 0), (0, n), (n, n))):
        part = square(weights * near**power, n, 0.0) + np.diag(by_model(weights * near**power))
        normal[corner[0] : corner[0] + n, corner[1] : corner[1] + n] += part
    for column, product in enumerate(products, start=2 * n):
        normal[:n, column], normal[n : 2 * n, column] = by_model(weights * product), by_model(weights * near * product)
    normal[2 * n :, 2 * n :] += (products * weights) @ products.T
    lower = np.tril_indices(len(normal), -1)
    normal[lower] = normal.T[lower]
    right = np.stack(
        [
            np.concatenate([by_model(weights * one), by_model(weights * near * one), products @ (weights * one)])
            for one in values
        ]
    )
    effects = np.linalg.solve(normal, right.T).T
    level, slope = effects[:, :n], effects[:, n : 2 * n]
    return np.asarray(
        level[:, upper[0]]
        + level[:, upper[1]]
        + (slope[:, upper[0]] + slope[:, upper[1]]) * near
        + effects[:, 2 * n :] @ products,
        dtype=np.float64,
    )


def _clones(predictions: Predictions, plain: Agreement) -> tuple[tuple[int, ...], ...]:
    """Groups of models with nearly the same choices wherever one of them is wrong, joined by single links."""
    n = len(predictions.models)
    either = plain.items - _both_right(predictions)
    alike = (either >= FEWEST_BOTH_WRONG) & (plain.same_when_one_wrong >= CLONE)
    group = list(range(n))
    for i, j in zip(*(side[alike].tolist() for side in np.triu_indices(n, 1)), strict=True):
        low, high = sorted((group[i], group[j]))
        group = [low if one == high else one for one in group]
    members = [tuple(k for k in range(n) if group[k] == first) for first in range(n)]
    return tuple(one for one in members if len(one) > 1)


def _both_right(predictions: Predictions) -> Codes:
    right = (predictions.chosen == predictions.correct).astype(np.float32)
    return np.asarray((right @ right.T)[np.triu_indices(len(right), 1)].astype(np.int64))


def _notes(predictions: Predictions, rates: Accuracy, plain: Agreement, pairs: PairBlocks) -> list[str]:
    names = predictions.models
    notes = [f"{', '.join(names[one] for one in group)} choose alike: clones, with one vote" for group in pairs.clones]
    distinct = voices(len(names), pairs.clones)
    if distinct < FEWEST_MODELS:
        notes.append(
            f"inconclusive for too few models: {distinct} cannot tell a pair's own mistakes from common ones, so there "
            f"is no residual and only CAPA is given. Add at least {FEWEST_MODELS - distinct} unrelated "
            f"model{'s' * (FEWEST_MODELS - distinct != 1)}"
        )
    for share, words in ((1.0, "always right"), (0.0, "always wrong")):
        always = [name for name, rate in zip(names, rates.estimate, strict=True) if rate == share]
        if always:
            listing = ", ".join(always[:3]) + (", ..." if len(always) > 3 else "")
            notes.append(f"{words}: {len(always)} of {len(names)} models ({listing})")
    few = int((plain.items < FEWEST_ITEMS).sum())
    if few:
        notes.append(f"inconclusive for fewer than {FEWEST_ITEMS} items in common: {few} of {_pairs(plain)}")
    rare = int(((plain.items >= FEWEST_ITEMS) & (plain.both_wrong < FEWEST_BOTH_WRONG)).sum())
    if rare:
        notes.append(
            f"inconclusive for fewer than {FEWEST_BOTH_WRONG} items that both got wrong: {rare} of {_pairs(plain)}"
        )
    return notes


def _pairs(plain: Agreement) -> str:
    return f"{len(plain.items)} pair{'s' * (len(plain.items) != 1)}"


def _share(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
