"""What everybody says, without the families: for populations in which families are so large that they are everybody.

Residual similarity is centred on the mean of all models. Where a family makes up much of a population, its members are
part of that mean: they look less alike than they are, and strangers to it more. So where the largest family holds more
than a small share of the models, each model's level is estimated anew from the pairs between families (weighted so
that every family counts once, additive in the two models, by least squares) and taken off. Families are found with it
and it with families, in a few rounds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hydrometer.kinship.families import families
from hydrometer.kinship.pairs import PairBlocks, select
from hydrometer.kinship.relations import INCONCLUSIVE, SUPPORTED, relate
from hydrometer.kinship.resampling import discoveries, mean_similarity
from hydrometer.stats import Array, Codes

#: Share of the models in the largest family up to which the mean of all stays what everybody says, and from which on it
#: does not; between them the correction grows.
FEW, MANY = 0.125, 0.25
#: Models that make a family large: a pair or two that are mistakes move nothing.
LEAST = 4
_ROUNDS = 3
_RESAMPLES = 20


def recentred(pairs: PairBlocks, seed: int = 0) -> PairBlocks:
    """The similarities on a centre that families do not share in; unchanged where no family is large.

    Clones of a model count as that model.

    Args:
        pairs: residual similarities by block of prompts.
        seed: of the resamples by which families are found.
    """
    n = len(pairs.models)
    voice = np.arange(n)
    for group in pairs.clones:
        voice[list(group)] = group[0]
    speakers = np.flatnonzero(voice == np.arange(n))
    level = _levels(select(pairs, speakers.tolist()) if len(speakers) < n else pairs, seed)
    if not level.any():
        return pairs
    first, second = np.triu_indices(n, 1)
    own = level[np.searchsorted(speakers, voice)]
    shift = np.where(voice[first] == voice[second], 0.0, own[first] + own[second]).astype(np.float32)
    return replace(pairs, residual=pairs.residual - shift * pairs.common)


def _levels(pairs: PairBlocks, seed: int) -> Array:
    """What is to be taken off for each of several distinct models, 0 where no family is large; shape (n,)."""
    n = len(pairs.models)
    first, second = np.triu_indices(n, 1)
    mean, found, level = mean_similarity(pairs), pairs, np.zeros(n)
    for _ in range(_ROUNDS):
        family = _family(found, seed)
        largest = int(np.bincount(family).max(initial=0))
        share = largest / n if largest >= LEAST else 0.0
        part = float(np.clip((share - FEW) / (MANY - FEW), 0.0, 1.0))
        if not part or len(np.unique(family)) < 3:
            break
        size = np.bincount(family, minlength=n)[family]
        apart = (family[first] != family[second]) & (pairs.common.sum(axis=0) > 0)
        weight = np.where(apart, 1 / (size[first] * size[second]), 0.0)
        level = part * _additive(mean, weight, n)
        shift = (level[first] + level[second]).astype(np.float32)
        found = replace(pairs, residual=pairs.residual - shift * pairs.common)
    return level


def _family(pairs: PairBlocks, seed: int) -> Codes:
    """Number of each model's family, the least index of its members; shape (n,)."""
    place = {model: at for at, model in enumerate(pairs.models)}
    family = np.arange(len(pairs.models))
    relations = relate(pairs)
    # A large family weighs on the scale of the null as well: here a relation need not stand alone.
    standing = tuple(SUPPORTED if one else INCONCLUSIVE for one in discoveries(relations))
    for one in families(pairs, replace(relations, verdict=standing), seed=seed, resamples=_RESAMPLES).families:
        members = [place[model] for model in one.members]
        family[members] = min(members)
    return family


def _additive(mean: Array, weight: Array, n: int) -> Array:
    """Levels of the weighted least squares fit of mean_ij = level_i + level_j, shape (n,)."""
    first, second = np.triu_indices(n, 1)
    normal = np.zeros((n, n))
    normal[first, second] = normal[second, first] = weight
    normal[np.arange(n), np.arange(n)] = normal.sum(axis=1)
    right = np.bincount(first, weight * mean, n) + np.bincount(second, weight * mean, n)
    return np.asarray(np.linalg.lstsq(normal, right, rcond=None)[0])
