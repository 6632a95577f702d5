"""Which template to try next: fixed, random and tree search, as state machines driven from outside.

A search makes no call. It hands out waves of proposals; the caller turns each proposal into a template (running
a mutator and validating its output where one is named), asks the proposal's questions, judges the answers and
gives the counts back. Everything a search does follows from its inputs, its seed and those counts:

    while (wave := search.next_wave()) is not None:
        search.observe([evaluate(proposal) for proposal in wave])

The budget is counted in questions put to the subject. A (template, question) pair is proposed at most once. A
proposal for which no valid mutant was found costs nothing; its questions go back into the budget. Waves have a
fixed size that has nothing to do with how many calls run at once, so concurrency never changes a result.

Four strategies:

* `fixed`: the given templates as they are, the budget spread evenly over them. No feedback, so every subject gets
  the same (template, question) pairs: the paired comparison.
* `random`: a uniformly drawn seed under a uniformly drawn mutator, over and over.
* `mcts-published`: MCTS-Explore as published with GPTFuzz (Yu et al. 2023, arXiv 2309.10253).
* `mcts`: tree search with the same tree and the same pool, made to work within a small budget; see `Mcts`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hydrometer.errors import InputError
from hydrometer.identity.waves import Evaluated, Proposal, Search, Wave, WaveSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydrometer.prompts.questions import Question
    from hydrometer.prompts.templates import Template

__all__ = [
    "STRATEGIES",
    "Evaluated",
    "Fixed",
    "Mcts",
    "Proposal",
    "PublishedMcts",
    "Random",
    "Search",
    "Strategy",
    "Wave",
    "make_search",
]

Strategy = Literal["fixed", "random", "mcts", "mcts-published"]
STRATEGIES: tuple[Strategy, ...] = ("fixed", "random", "mcts", "mcts-published")

DEFAULT_BUDGET = 1000
#: Questions per evaluation in `random` and `mcts`. From 2 to 10 the simulated subject of `benchmarks/search.py` shows
#: no difference; five hold both languages and three or more categories, at one mutator call per five questions.
QUESTIONS_PER_STEP = 5
#: Proposals per wave: 80 questions fill 64 connections. On the simulated subject 1, 12, 16 and 25 do not differ.
WAVE_SIZE = 16

#: MCTS-Explore's constants: weight of exploration, chance to stop at an inner node, floor of the depth discount.
RATIO = 0.5
ALPHA = 0.1
BETA = 0.2
LEVEL_DISCOUNT = 0.1

#: What is believed of a template before it is asked anything: Beta(1, 4), mean 0.2. Strength 5 is about the median
#: (5.3, from 2.2 to 15) of eleven beta fits to hits per template in published identity attacks: six models by the loose
#: label, five by the strict one.
PRIOR_MEAN = 0.2
PRIOR_STRENGTH = 5.0
#: Share of a parent's distance from the average that its mutant is expected to keep.
INHERITANCE = 0.5


def explore_score(reward: float, visits: float, step: int, ratio: float = RATIO) -> float:
    """Score of a node in MCTS-Explore: `reward/(visits+1) + ratio*sqrt(2 ln(step)/(visits+0.01))`."""
    return reward / (visits + 1) + ratio * math.sqrt(2 * math.log(step) / (visits + 0.01))


def explore_reward(successes: int, questions: int, level: int, mutants: int = 1, beta: float = BETA) -> float:
    """Reward along a path in MCTS-Explore: the rate over questions x mutants, discounted by the last node's level.

    `successes/(questions*mutants) * max(beta, 1 - 0.1*level)`; 0 when no answer was judged.
    """
    if questions == 0:
        return 0.0
    return successes / (questions * mutants) * max(beta, 1 - LEVEL_DISCOUNT * level)


def posterior_mean(successes: float, attempts: float, prior_mean: float, strength: float = PRIOR_STRENGTH) -> float:
    """Mean of the beta posterior of a rate, from a prior worth `strength` observations."""
    return (successes + strength * prior_mean) / (attempts + strength)


def posterior_sd(mean: float, attempts: float, strength: float = PRIOR_STRENGTH) -> float:
    """Standard deviation of the beta posterior with this mean and `strength + attempts` observations in all."""
    return math.sqrt(mean * (1 - mean) / (strength + attempts + 1))


class Fixed(WaveSearch):
    """The given templates as they are, the same for every subject with the same seed and budget.

    Without `questions_per_template` the budget is spread evenly over all templates, because the template is the
    sampling unit with the larger spread: at a between-template standard deviation of 0.17 and a between-question
    one of 0.12, 1,000 calls give a standard error of 0.043 as 20 templates x 50 questions and of 0.030 as 60
    templates x 16 or 17. With it, as many templates as the budget allows get that many questions each.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        questions: Sequence[Question],
        *,
        budget: int = DEFAULT_BUDGET,
        seed: int = 0,
        questions_per_template: int | None = None,
    ) -> None:
        super().__init__(
            templates,
            questions,
            budget=budget,
            seed=seed,
            questions_per_step=1 if questions_per_template is None else questions_per_template,
            wave_size=max(1, len(templates)),
        )
        if questions_per_template is None:
            used = min(len(templates), budget)
            each, extra = divmod(budget, used)
            sizes = [each + (index < extra) for index in range(used)]
        else:
            sizes = [questions_per_template] * min(len(templates), budget // questions_per_template)
            if not sizes:
                raise InputError(
                    f"a budget of {budget} is less than the {questions_per_template} questions of one template",
                    "raise the budget or ask fewer questions per template",
                )
        self._plan = [(t, min(size, len(questions))) for t, size in zip(self._templates, sizes, strict=False)]
        self._plan.reverse()

    def _propose(self) -> bool:
        if not self._plan:
            return False
        template, size = self._plan.pop()
        self._add((template,), None, self._deck.deal(size))
        return True


class Random(WaveSearch):
    """Uniform random seeds under uniform random mutators, without feedback: what a search must beat."""

    def __init__(
        self,
        templates: Sequence[Template],
        questions: Sequence[Question],
        *,
        budget: int = DEFAULT_BUDGET,
        seed: int = 0,
        questions_per_step: int = QUESTIONS_PER_STEP,
        wave_size: int = WAVE_SIZE,
    ) -> None:
        super().__init__(
            templates,
            questions,
            budget=budget,
            seed=seed,
            questions_per_step=questions_per_step,
            wave_size=wave_size,
        )

    def _propose(self) -> bool:
        mutator, parents = self._draw_mutation(self._rng.choice(self._templates), self._templates)
        self._add(parents, mutator, self._deck.deal(min(self._step, self._left)))
        return True


@dataclass(slots=True)
class _PathNode:
    """A template in the published tree."""

    template: Template
    level: int = 0
    children: list[_PathNode] = field(default_factory=list)
    reward: float = 0.0
    visits: int = 0


class PublishedMcts(WaveSearch):
    """MCTS-Explore as published: the reference that `Mcts` is measured against.

    Every step selects a path: the best root by `explore_score`, then the best child, and so on, stopping at an
    inner node with probability `ALPHA`. The last node is mutated once and the mutant evaluated on all questions
    (or `questions_per_step`). Every node of the path gains `explore_reward`; the mutant joins the tree and the
    pool if it had at least one success. Visits are counted when a path is selected, as published: within a wave
    a path once selected therefore already scores lower (a virtual loss), so the wave spreads out.

    An unvisited root scores 5.9 or more from the second step on and a visited one less than 3, so this rule tries
    every root once before it returns to any: with 76 roots and 20 evaluations it never uses what it learns.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        questions: Sequence[Question],
        *,
        budget: int = DEFAULT_BUDGET,
        seed: int = 0,
        questions_per_step: int | None = None,
        wave_size: int = 4,
    ) -> None:
        super().__init__(
            templates,
            questions,
            budget=budget,
            seed=seed,
            questions_per_step=len(questions) if questions_per_step is None else questions_per_step,
            wave_size=wave_size,
        )
        self._roots = [_PathNode(template) for template in self._templates]
        self._pool = list(self._templates)
        self._selections = 0
        self._paths: dict[int, list[_PathNode]] = {}

    def _propose(self) -> bool:
        self._selections += 1
        path = [self._best(self._roots)]
        while path[-1].children and self._rng.random() >= ALPHA:
            path.append(self._best(path[-1].children))
        for node in path:
            node.visits += 1
        mutator, parents = self._draw_mutation(path[-1].template, self._pool)
        number = self._add(parents, mutator, self._deck.deal(min(self._step, self._left)))
        self._paths[number] = path
        return True

    def _best(self, nodes: Sequence[_PathNode]) -> _PathNode:
        return max(nodes, key=lambda node: explore_score(node.reward, node.visits, self._selections))

    def _learn(self, proposal: Proposal, hand: list[int], result: Evaluated) -> None:
        del hand
        path = self._paths.pop(proposal.number)
        for node in path:
            node.reward += explore_reward(result.successes, result.attempts, path[-1].level)
        if result.template is not None and result.successes > 0:
            path[-1].children.append(_PathNode(result.template, path[-1].level + 1))
            self._pool.append(result.template)


@dataclass(slots=True)
class _Node:
    """A template in the tree, with the record of its two actions: its own questions and mutants made of it."""

    template: Template
    parent: _Node | None = None
    asked: set[int] = field(default_factory=set)
    successes: int = 0
    attempts: int = 0
    mutants: int = 0
    pending_mutants: int = 0
    mutant_rates: float = 0.0
    mean: float = PRIOR_MEAN


class Mcts(WaveSearch):
    """Tree search that uses its feedback within a budget of a thousand calls.

    The tree, the pool (only mutants with a success), the mutators and the role of `RATIO` are those of
    MCTS-Explore. Three things differ, each because the published rule spends a small budget on finding out what
    it then has no calls left to use:

    * **Small evaluations.** A step asks `questions_per_step` questions instead of all, and coming back to a
      template asks its next ones. A poor template costs five calls instead of fifty (racing).
    * **Priors instead of an infinite bonus.** An untried root has the average root's rate so far as its prior
      mean (empirical Bayes), not a bonus that beats any record: it is opened when what is known looks no better,
      which widens the set of roots progressively. A mutant's prior mean lies `INHERITANCE` of the way from that
      average to its parent's mean.
    * **Posterior spread instead of Hoeffding's radius, and the best action instead of the mean path.** The score
      of an action is `mean + RATIO * sd` of its beta posterior (Bayes-UCB, Kaufmann et al. 2012). Every node
      offers two actions, to ask its next questions and to make one more mutant of it; a node's value is the
      best action in its subtree. The mean along a path would keep sending visits to families whose good
      templates have no question left. So the descent ends at the best action of the whole tree.

    Actions chosen earlier in a wave count at once as observations without a result (a virtual visit): they
    narrow the posterior and leave its mean, so that a wave spreads over several actions.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        questions: Sequence[Question],
        *,
        budget: int = DEFAULT_BUDGET,
        seed: int = 0,
        questions_per_step: int = QUESTIONS_PER_STEP,
        wave_size: int = WAVE_SIZE,
    ) -> None:
        super().__init__(
            templates,
            questions,
            budget=budget,
            seed=seed,
            questions_per_step=questions_per_step,
            wave_size=wave_size,
        )
        self._untried = [_Node(template) for template in reversed(self._templates)]
        self._nodes: list[_Node] = []
        self._actors: dict[int, _Node] = {}
        self._openings: set[int] = set()
        self._opened = Counter[str]()
        self._average = PRIOR_MEAN

    def next_wave(self) -> Wave | None:
        """See `Search.next_wave`."""
        self._average = posterior_mean(self._opened["successes"], self._opened["attempts"], PRIOR_MEAN)
        for node in self._nodes:  # parents come before their children
            prior = self._average if node.parent is None else self._inherited(node.parent)
            node.mean = posterior_mean(node.successes, node.attempts, prior)
        return super().next_wave()

    def _inherited(self, parent: _Node) -> float:
        return self._average + INHERITANCE * (parent.mean - self._average)

    def _ask_score(self, node: _Node) -> float:
        return node.mean + RATIO * posterior_sd(node.mean, len(node.asked))

    def _mutate_score(self, node: _Node) -> float:
        """One more mutant of `node`: its prior counts as one mutant beside those that were made."""
        prior = self._inherited(node)
        tried = node.mutants - node.pending_mutants
        mean = (prior + node.mutant_rates) / (1 + tried)
        return mean + RATIO * posterior_sd(prior, 0) / math.sqrt(1 + node.mutants)

    def _propose(self) -> bool:
        score, action, chosen = -1.0, "", None
        if self._untried:
            score = self._average + RATIO * posterior_sd(self._average, 0)
            action, chosen = "ask", self._untried[-1]
        for node in self._nodes:
            if len(node.asked) < len(self._deck) and (ask := self._ask_score(node)) > score:
                score, action, chosen = ask, "ask", node
            if node.attempts and (mutate := self._mutate_score(node)) > score:
                score, action, chosen = mutate, "mutate", node
        if chosen is None:
            return False
        number = self._ask(chosen) if action == "ask" else self._mutate(chosen)
        self._actors[number] = chosen
        return True

    def _ask(self, node: _Node) -> int:
        opening = bool(self._untried) and node is self._untried[-1]
        hand = self._deck.deal(min(self._step, self._left), node.asked)
        node.asked.update(hand)
        number = self._add((node.template,), None, hand)
        if opening:
            node.mean = self._average
            self._nodes.append(self._untried.pop())
            self._openings.add(number)
        return number

    def _mutate(self, node: _Node) -> int:
        node.mutants += 1
        node.pending_mutants += 1
        mutator, parents = self._draw_mutation(
            node.template, [other.template for other in self._nodes], [other.mean for other in self._nodes]
        )
        return self._add(parents, mutator, self._deck.deal(min(self._step, self._left)))

    def _learn(self, proposal: Proposal, hand: list[int], result: Evaluated) -> None:
        node = self._actors.pop(proposal.number)
        if proposal.mutator is None:
            if proposal.number in self._openings:
                self._opened.update(successes=result.successes, attempts=result.attempts)
            node.successes += result.successes
            node.attempts += result.attempts
            return
        node.pending_mutants -= 1
        if result.template is not None and result.attempts == 0:
            node.mutants -= 1
            return
        if result.attempts:
            node.mutant_rates += result.successes / result.attempts
        if result.template is not None and result.successes > 0:
            child = _Node(result.template, node, asked=set(hand))
            child.successes, child.attempts = result.successes, result.attempts
            self._nodes.append(child)


def make_search(
    strategy: str,
    templates: Sequence[Template],
    questions: Sequence[Question],
    *,
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    questions_per_step: int | None = None,
) -> Search:
    """The named strategy, ready for its first wave.

    Args:
        strategy: one of `STRATEGIES`.
        templates: seeds (for `fixed`: the set itself), with distinct ids.
        questions: identity questions, with distinct ids.
        budget: questions that may be put to the subject.
        seed: fixes everything that is drawn.
        questions_per_step: questions per evaluation; `None` for the strategy's own default.

    Raises:
        InputError: unknown strategy, nothing to search with, or numbers that do not fit.
    """
    if strategy == "fixed":
        return Fixed(templates, questions, budget=budget, seed=seed, questions_per_template=questions_per_step)
    if strategy == "mcts-published":
        return PublishedMcts(templates, questions, budget=budget, seed=seed, questions_per_step=questions_per_step)
    if strategy not in STRATEGIES:
        raise InputError(f"there is no search strategy {strategy!r}", f"choose one of {', '.join(STRATEGIES)}")
    step = min(QUESTIONS_PER_STEP, len(questions)) if questions_per_step is None else questions_per_step
    adaptive = Mcts if strategy == "mcts" else Random
    return adaptive(templates, questions, budget=budget, seed=seed, questions_per_step=step)
