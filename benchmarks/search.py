"""How many contradictions each search finds, on a subject whose behaviour is known.

    python benchmarks/search.py [--seeds 20] [--budget 1000] [--json]

The simulated subject. Each template has latent features (its device, persona, length, tone ...). Their weighted
sum gives the template's place in a beta distribution of leak rates, so that rates are spread over templates as in
published identity attacks: there, eleven beta fits to the hits per template give a median strength a + b of 5.3
(from 2.2 to 15), hits from 0 to 48 of 50, and mean rates around 0.2; hence Beta(1, 4). Each question shifts the
log-odds by its own amount (standard deviation 0.8; recorded 0 to 1.3). A mutant keeps each
feature of its parent with probability `heritability` (crossover: of either parent) and draws it anew otherwise, so
mutation alone neither raises nor lowers the average. One mutation in ten gives nothing valid. An answer leaks or
not by one seeded draw per (template, question).

No search sees features or rates, only counts. What the subject assumes and nobody knows is the heritability; the
tables show the result without any (only coming back to good seeds can then pay) and for other spreads.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrometer.identity.search import QUESTIONS_PER_STEP, Evaluated, Mcts, Proposal, PublishedMcts, Random, Search
from hydrometer.prompts.questions import Question, load_questions
from hydrometer.prompts.templates import Template, load_templates

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES = 8
INVALID = 0.1
QUESTION_SD = 0.8


@dataclass(frozen=True)
class Setting:
    """What is assumed of the subject: inheritance, and the beta distribution of leak rates over templates."""

    heritability: float = 0.7
    mean: float = 0.2
    strength: float = 5.0


class Subject:
    """The simulated subject; `seed` fixes it and everything it will ever answer."""

    def __init__(self, setting: Setting, seed: int) -> None:
        numbers = np.random.default_rng(seed)
        mean, strength = setting.mean, setting.strength
        self._quantiles = np.sort(numbers.beta(mean * strength, (1 - mean) * strength, 20_001))
        self._weights = np.sqrt(numbers.dirichlet(np.ones(FEATURES)))
        self._heritability = setting.heritability
        self._questions = {q.id: float(numbers.normal(0, QUESTION_SD)) for q in load_questions()}
        self._features = {t.id: numbers.normal(size=FEATURES) for t in load_templates()}
        self._seed = seed

    def rate(self, template_id: str) -> float:
        """Leak rate of a template on an average question."""
        z = float(self._features[template_id] @ self._weights)
        place = 0.5 * math.erfc(-z / math.sqrt(2))
        return min(max(float(self._quantiles[round(place * 20_000)]), 1e-4), 1 - 1e-4)

    def mutate(self, proposal: Proposal) -> Template | None:
        """The mutant of a proposal, or `None` where it failed."""
        numbers = np.random.default_rng([self._seed, proposal.seed])
        if numbers.random() < INVALID:
            return None
        parents = np.stack([self._features[parent.id] for parent in proposal.parents])
        kept = parents[numbers.integers(len(parents), size=FEATURES), np.arange(FEATURES)]
        fresh = numbers.normal(size=FEATURES)
        first = proposal.parents[0]
        name = f"{first.id}/{proposal.number}"
        self._features[name] = np.where(numbers.random(FEATURES) < self._heritability, kept, fresh)
        parent_ids = tuple(parent.id for parent in proposal.parents)
        return Template(name, name, first.kind, first.language, False, parent_ids, proposal.mutator)

    def evaluate(self, proposal: Proposal) -> Evaluated:
        """Do what a proposal asks for."""
        template = proposal.parents[0] if proposal.mutator is None else self.mutate(proposal)
        if template is None:
            return Evaluated(proposal, None)
        rate = self.rate(template.id)
        base = math.log(rate / (1 - rate))
        leaks = sum(self._leaks(template, question, base) for question in proposal.questions)
        return Evaluated(proposal, template, leaks, len(proposal.questions))

    def _leaks(self, template: Template, question: Question, base: float) -> bool:
        chance = 1 / (1 + math.exp(-(base + self._questions[question.id])))
        return random.Random(f"{self._seed}|{template.id}|{question.id}").random() < chance


@dataclass(frozen=True)
class Outcome:
    """What a search found: contradictions, distinct templates asked, and those asked more than once."""

    contradictions: int
    templates: int
    revisited: int


def play(search: Search, subject: Subject) -> Outcome:
    """Run a search on a subject to its end."""
    found = 0
    visits: dict[str, int] = {}
    while (wave := search.next_wave()) is not None:
        results = [subject.evaluate(proposal) for proposal in wave]
        search.observe(results)
        for result in results:
            if result.template is not None:
                found += result.successes
                visits[result.template.id] = visits.get(result.template.id, 0) + 1
    return Outcome(found, len(visits), sum(count > 1 for count in visits.values()))


def searches(budget: int) -> dict[str, Callable[[int], Search]]:
    """The contenders, by name; each takes a seed."""
    templates, questions = load_templates(), load_questions()
    whole = len(questions)
    return {
        "random, 50 questions": lambda seed: Random(
            templates, questions, budget=budget, seed=seed, questions_per_step=whole
        ),
        "random": lambda seed: Random(templates, questions, budget=budget, seed=seed),
        "mcts-published": lambda seed: PublishedMcts(templates, questions, budget=budget, seed=seed, wave_size=1),
        "mcts": lambda seed: Mcts(templates, questions, budget=budget, seed=seed),
    }


def tree_search(budget: int, questions_per_step: int, wave_size: int) -> Callable[[int], Search]:
    """`mcts` with other sizes of steps and waves."""
    return lambda seed: Mcts(
        load_templates(),
        load_questions(),
        budget=budget,
        seed=seed,
        questions_per_step=questions_per_step,
        wave_size=wave_size,
    )


def compare(setting: Setting, contenders: dict[str, Callable[[int], Search]], seeds: int) -> dict[str, list[Outcome]]:
    """Every contender on the same `seeds` subjects."""
    return {
        name: [play(make(seed), Subject(setting, seed)) for seed in range(seeds)] for name, make in contenders.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare template searches on a simulated subject.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    contenders = searches(options.budget)
    rows: list[dict[str, Any]] = []

    def add(what: str, setting: Setting, named: dict[str, Callable[[int], Search]]) -> None:
        outcomes = compare(setting, contenders | named, options.seeds)
        base = statistics.median(outcome.contradictions for outcome in outcomes["random"])
        for name, results in outcomes.items():
            counts = [outcome.contradictions for outcome in results]
            middle = statistics.median(counts)
            rows.append(
                {
                    "assumption": what,
                    "search": name,
                    "median": middle,
                    "range": [min(counts), max(counts)],
                    "ratio": round(middle / base, 2),
                    "templates": statistics.median(outcome.templates for outcome in results),
                    "revisited": statistics.median(outcome.revisited for outcome in results),
                }
            )

    variants = {
        f"mcts, {step} questions": tree_search(options.budget, step, 80 // step) for step in (2, 3, 4, 8, 10)
    } | {f"mcts, waves of {size}": tree_search(options.budget, QUESTIONS_PER_STEP, size) for size in (1, 8, 32)}
    add("default: heritability 0.7, Beta(1, 4)", Setting(), variants)
    for heritability in (0.0, 0.5, 0.8):
        add(f"heritability {heritability}", Setting(heritability=heritability), {})
    for strength in (2.5, 11.0):
        add(f"strength a + b = {strength}", Setting(strength=strength), {})
    for mean in (0.05, 0.4):
        add(f"mean rate {mean}", Setting(mean=mean), {})

    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{options.budget} queries, {options.seeds} seeds; ratio to the median of random\n")
    shown = ""
    for row in rows:
        if row["assumption"] != shown:
            shown = str(row["assumption"])
            print(f"\n{shown}\n{'search':24}{'median':>8}{'range':>12}{'ratio':>7}{'templates':>11}{'revisited':>11}")
        low, high = row["range"]
        print(
            f"{row['search']:24}{row['median']:>8.0f}{f'{low}-{high}':>12}{row['ratio']:>7.2f}"
            f"{row['templates']:>11.0f}{row['revisited']:>11.0f}"
        )


if __name__ == "__main__":
    main()
