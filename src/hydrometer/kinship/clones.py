"""Models under two names: groups of models that give nearly the same answers, which have one vote together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hydrometer.kinship.cosines import Gram, cosines, mean_over_samples
from hydrometer.kinship.habits import PromptHabits
from hydrometer.stats import Array, Codes

#: Share of what sets answers apart that two models have in common, from which on they are one model under two names.
CLONE = 0.85
#: The same share, from which on several models have one vote together, and how many that takes: so many near copies
#: would make their own words commonplace.
NEAR, SEVERAL = 0.4, 4
#: Prompts on which clones are looked for, and the fewest on which two models can be told to be clones.
CLONE_PROMPTS = 48
_FEWEST = 4
_LEAST_ROOM = 0.05
#: Cosine of answers that are one and the same, and share of prompts with such answers that makes clones.
_IDENTICAL, _MOSTLY = 1 - 1e-4, 0.9


@dataclass(frozen=True, slots=True)
class Clones:
    """Which models count as one.

    Attributes:
        group: models with the same number have one vote together, shape (n,).
        one_model: those among them with the same number are one model under several names, shape (n,); all of them
            by default.
    """

    group: Codes
    one_model: Codes | None = None

    def votes(self, present: Codes) -> Array:
        """Weight of each of some models: 1 / number of them that vote with it. Shape as `present`."""
        group = self.group[present]
        return np.asarray(1 / np.bincount(group)[group])

    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Two or more names of one model, by their first."""
        names = self.group if self.one_model is None else self.one_model
        members = (np.flatnonzero(names == number) for number in dict.fromkeys(names.tolist()))
        return tuple(tuple(found.tolist()) for found in members if len(found) > 1)


def answered(one: PromptHabits) -> tuple[PromptHabits, Codes, Codes]:
    """The answers that say anything, the models that gave them (ascending), and the place of each answer's model."""
    says = np.bincount(one.row, minlength=len(one.answer_model)) + one.alone.sum(axis=1) > 0
    if not says.all():
        row = np.cumsum(says) - 1
        one = PromptHabits(
            prompt=one.prompt,
            answer_model=one.answer_model[says],
            answer_sample=one.answer_sample[says],
            features=one.features,
            row=row[one.row],
            column=one.column,
            words=one.words[says],
            word_length=one.word_length[says],
            alone=one.alone[says],
        )
    present, place = np.unique(one.answer_model, return_inverse=True)
    return one, present, place


def find_clones(habits: Iterable[PromptHabits], n: int, gram: Gram) -> Clones:
    """Look for clones among n models.

    Two models are clones where their similarity, on a scale from what less similar pairs share (the lower quartile of
    the prompt) to 1, is `CLONE` or more on average: prompts to which all say the same tell nothing. They are so too
    where nine answers in ten are the very same.

    Args:
        habits: answers to some prompts.
        n: number of models.
        gram: how products are taken.
    """
    above, room, common, seen, identical = (np.zeros((n, n)) for _ in range(5))
    for each in habits:
        one, present, place = answered(each)
        if len(present) < 2:
            continue
        share = (1 / np.bincount(place))[place]
        raw, _ = mean_over_samples(cosines(one, share, gram), place, len(present))
        where = np.ix_(present, present)
        seen[where] += 1
        identical[where] += raw >= _IDENTICAL
        base = float(np.quantile(raw[np.triu_indices(len(present), 1)], 0.25))
        if 1 - base < _LEAST_ROOM:
            continue
        above[where] += raw - base
        room[where] += 1 - base
        common[where] += 1
    enough = common >= min(_FEWEST, max(1, int(common.max(initial=0))))
    same = (seen >= min(_FEWEST, max(1, int(seen.max(initial=0))))) & (identical >= _MOSTLY * seen)
    voting, one_model = ((enough & (room > 0) & (above >= share * room)) | same for share in (NEAR, CLONE))
    return Clones(_components(one_model | (voting & _crowded(voting))), _components(one_model))


def _crowded(alike: np.ndarray) -> np.ndarray:
    """Which pairs lie in a connected part of `SEVERAL` members or more."""
    part = _components(alike)
    crowd = np.bincount(part, minlength=len(part))[part] >= SEVERAL
    return np.asarray(crowd[:, None] & crowd[None, :])


def _components(alike: np.ndarray) -> Codes:
    """Number of the connected part that each is in, the least index of its members."""
    group = np.arange(len(alike))
    for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True):
        low, high = sorted((int(group[i]), int(group[j])))
        group[group == high] = low
    return group
