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
#: Prompts on which clones are looked for, and the fewest on which two models can be told to be clones.
CLONE_PROMPTS = 48
_FEWEST = 4
_LEAST_ROOM = 0.05


@dataclass(frozen=True, slots=True)
class Clones:
    """Which models count as one.

    Attributes:
        group: models with the same number are clones, shape (n,).
    """

    group: Codes

    def votes(self, present: Codes) -> Array:
        """Weight of each of some models: 1 / number of its clones among them. Shape as `present`."""
        group = self.group[present]
        return np.asarray(1 / np.bincount(group)[group])

    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups of two or more models, by their first."""
        members = (np.flatnonzero(self.group == number) for number in dict.fromkeys(self.group.tolist()))
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
    the prompt) to 1, is `CLONE` or more on average: prompts to which all say the same tell nothing.

    Args:
        habits: answers to some prompts.
        n: number of models.
        gram: how products are taken.
    """
    above, room, common = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for each in habits:
        one, present, place = answered(each)
        if len(present) < 2:
            continue
        share = (1 / np.bincount(place))[place]
        raw, _ = mean_over_samples(cosines(one, share, gram), place, len(present))
        base = float(np.quantile(raw[np.triu_indices(len(present), 1)], 0.25))
        if 1 - base < _LEAST_ROOM:
            continue
        where = np.ix_(present, present)
        above[where] += raw - base
        room[where] += 1 - base
        common[where] += 1
    alike = (common >= min(_FEWEST, max(1, int(common.max(initial=0))))) & (above >= CLONE * room)
    return Clones(_components(alike))


def _components(alike: np.ndarray) -> Codes:
    """Number of the connected part that each is in, the least index of its members."""
    group = np.arange(len(alike))
    for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True):
        low, high = sorted((int(group[i]), int(group[j])))
        group[group == high] = low
    return group
