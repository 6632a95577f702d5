"""What all template searches share: proposals, results, the budget, and a fair deal of the questions."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from hydrometer.errors import InputError
from hydrometer.identity.mutators import MUTATORS, Mutator

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from hydrometer.prompts.questions import Question
    from hydrometer.prompts.templates import Template

#: Waves in a row without one valid mutant after which a search gives up.
MAX_BARREN_WAVES = 5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One template to evaluate on some questions.

    Attributes:
        number: position in the order of proposing; counts from 0 over the whole search.
        parents: the template itself when `mutator` is `None`; else what the mutator gets (two for crossover).
        mutator: the mutation to apply, `None` to evaluate `parents[0]` as it is.
        seed: seed of this mutation, different for every proposal.
        questions: what to ask, all different.
    """

    number: int
    parents: tuple[Template, ...]
    mutator: Mutator | None
    seed: int
    questions: tuple[Question, ...]


Wave = tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What became of a proposal.

    Attributes:
        proposal: the proposal.
        template: the template that was asked, `None` when no valid mutant was obtained (then nothing was asked).
        successes: answers judged a contradiction.
        attempts: answers judged either way; failed calls and unparsed judgements are in neither count.
    """

    proposal: Proposal
    template: Template | None
    successes: int = 0
    attempts: int = 0


class Search(Protocol):
    """A strategy: alternate `next_wave` and `observe` until there is no wave."""

    def next_wave(self) -> Wave | None:
        """The proposals to evaluate next, in any order and all at once; `None` when the search is over."""
        ...

    def observe(self, results: Iterable[Evaluated]) -> None:
        """Take in the results of the whole last wave, in any order."""
        ...


def interleave(items: Sequence[_T], key: Callable[[_T], Hashable], rng: random.Random) -> list[_T]:
    """Shuffle, then take turns over the groups that `key` makes, so that any stretch holds many groups."""
    shuffled = list(items)
    rng.shuffle(shuffled)
    groups: dict[Hashable, list[_T]] = {}
    for item in shuffled:
        groups.setdefault(key(item), []).append(item)
    rounds = max(map(len, groups.values()), default=0)
    return [group[turn] for turn in range(rounds) for group in groups.values() if turn < len(group)]


class Deck:
    """Deals questions so that all are asked about equally often and each hand mixes languages and categories."""

    def __init__(self, questions: Sequence[Question], rng: random.Random) -> None:
        by_language: dict[str, list[Question]] = {}
        for question in interleave(questions, lambda q: q.category, rng):
            by_language.setdefault(question.language, []).append(question)
        self._questions: list[Question] = []
        rounds = max(map(len, by_language.values()))
        for turn in range(rounds):
            self._questions += [group[turn] for group in by_language.values() if turn < len(group)]
        self._dealt = [0] * len(self._questions)

    def __len__(self) -> int:
        return len(self._questions)

    def deal(self, number: int, asked: frozenset[int] | set[int] = frozenset()) -> list[int]:
        """Indices of the `number` least dealt questions outside `asked`, in the deck's order among equals."""
        free = [index for index in range(len(self)) if index not in asked]
        hand = sorted(free, key=lambda index: (self._dealt[index], index))[:number]
        for index in hand:
            self._dealt[index] += 1
        return hand

    def take_back(self, hand: Sequence[int]) -> None:
        """Undo a deal."""
        for index in hand:
            self._dealt[index] -= 1

    def questions(self, hand: Sequence[int]) -> tuple[Question, ...]:
        """The questions of a hand."""
        return tuple(self._questions[index] for index in hand)


class WaveSearch(ABC):
    """What the strategies share: the budget, the deck, the numbering of proposals and the checks on results."""

    def __init__(
        self,
        templates: Sequence[Template],
        questions: Sequence[Question],
        *,
        budget: int,
        seed: int,
        questions_per_step: int,
        wave_size: int,
    ) -> None:
        _check(templates, questions, budget, questions_per_step, wave_size)
        self._rng = random.Random(seed)
        self._templates = interleave(templates, lambda t: (t.language, t.kind), self._rng)
        self._deck = Deck(questions, self._rng)
        self._left = budget
        self._step = questions_per_step
        self._wave_size = wave_size
        self._pending: dict[int, tuple[Proposal, list[int]]] = {}
        self._numbered = 0
        self._barren = 0

    @property
    def budget_left(self) -> int:
        """Questions that may still be proposed."""
        return self._left

    def next_wave(self) -> Wave | None:
        """See `Search.next_wave`."""
        if self._pending:
            raise ValueError("the results of the last wave have not been observed")
        while len(self._pending) < self._wave_size and self._left > 0 and self._barren < MAX_BARREN_WAVES:
            if not self._propose():
                break
        return tuple(proposal for proposal, _ in self._pending.values()) or None

    def observe(self, results: Iterable[Evaluated]) -> None:
        """See `Search.observe`."""
        ordered = sorted(results, key=lambda result: result.proposal.number)
        if [result.proposal.number for result in ordered] != list(self._pending):
            raise ValueError("the results are not those of the last wave")
        for result in ordered:
            if not 0 <= result.successes <= result.attempts <= len(result.proposal.questions):
                raise ValueError(f"impossible counts in {result}")
        if ordered:
            self._barren = 0 if any(result.template for result in ordered) else self._barren + 1
        for result in ordered:
            proposal, hand = self._pending.pop(result.proposal.number)
            if result.template is None:
                self._left += len(hand)
                self._deck.take_back(hand)
            self._learn(proposal, hand, result)

    def _add(self, parents: tuple[Template, ...], mutator: Mutator | None, hand: list[int]) -> int:
        """Put a proposal into the wave being made; returns its number."""
        number = self._numbered
        proposal = Proposal(number, parents, mutator, self._rng.getrandbits(31), self._deck.questions(hand))
        self._pending[number] = (proposal, hand)
        self._numbered += 1
        self._left -= len(hand)
        return number

    def _draw_mutation(
        self, parent: Template, pool: Sequence[Template], weights: Sequence[float] | None = None
    ) -> tuple[Mutator, tuple[Template, ...]]:
        """A uniformly drawn mutator and its parents; the crossover partner comes from `pool`, in one language."""
        mutator = self._rng.choice(MUTATORS)
        if mutator != "crossover":
            return mutator, (parent,)
        fit = [index for index, other in enumerate(pool) if other.id != parent.id and other.language == parent.language]
        if not fit:
            return "rephrase", (parent,)
        chances = None if weights is None else [weights[index] for index in fit]
        return mutator, (parent, pool[self._rng.choices(fit, chances)[0]])

    @abstractmethod
    def _propose(self) -> bool:
        """Add one proposal; False when there is nothing left to propose in this wave."""

    def _learn(self, proposal: Proposal, hand: list[int], result: Evaluated) -> None:  # noqa: B027
        """Use one result; nothing by default."""


def _check(
    templates: Sequence[Template],
    questions: Sequence[Question],
    budget: int,
    questions_per_step: int,
    wave_size: int,
) -> None:
    for what, items in (("template", templates), ("question", questions)):
        if not items:
            raise InputError(f"there is no {what} to search with", f"give at least one {what}")
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise InputError(f"two {what}s have the id {item.id!r}", "give each its own id")
            seen.add(item.id)
    if budget < 1:
        raise InputError(f"the query budget is {budget}", "give a budget of at least 1")
    if not 1 <= questions_per_step <= len(questions):
        raise InputError(
            f"{questions_per_step} questions per step do not fit {len(questions)} questions",
            f"choose from 1 to {len(questions)}",
        )
    if wave_size < 1:
        raise InputError(f"the wave size is {wave_size}", "choose at least 1")
