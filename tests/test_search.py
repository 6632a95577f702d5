"""Template searches: formulas by hand, budgets, determinism, and that feedback changes what is done."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.identity.search import (
    STRATEGIES,
    Evaluated,
    Fixed,
    Mcts,
    Proposal,
    PublishedMcts,
    Random,
    Wave,
    explore_reward,
    explore_score,
    make_search,
    posterior_mean,
    posterior_sd,
)
from hydrometer.identity.waves import MAX_BARREN_WAVES, Deck, WaveSearch, interleave
from hydrometer.prompts.questions import Question, load_questions
from hydrometer.prompts.templates import Template, load_templates

if TYPE_CHECKING:
    from collections.abc import Callable

    Judge = Callable[[Proposal, Template], tuple[int, int]]

TEMPLATES = load_templates()
QUESTIONS = load_questions()


def seeds(number: int, language: str = "en") -> list[Template]:
    return [Template(f"t{i}", f"Context {i}: {{query}}", f"kind{i % 3}", language, False) for i in range(number)]


def mutant_of(proposal: Proposal) -> Template:
    first = proposal.parents[0]
    ids = tuple(parent.id for parent in proposal.parents)
    return Template(f"m{proposal.number}", f"{first.text}!", first.kind, first.language, False, ids, proposal.mutator)


def answer(proposal: Proposal, judge: Judge, valid: bool = True) -> Evaluated:
    if not valid:
        return Evaluated(proposal, None)
    template = proposal.parents[0] if proposal.mutator is None else mutant_of(proposal)
    return Evaluated(proposal, template, *judge(proposal, template))


def none_leaks(proposal: Proposal, template: Template) -> tuple[int, int]:
    return 0, len(proposal.questions)


def some_leak(rates: dict[str, float]) -> Judge:
    """Leaks by the rate of the seed at the root of a template's name; mutants take after their first parent."""

    def judge(proposal: Proposal, template: Template) -> tuple[int, int]:
        rate = rates.get(proposal.parents[0].id, 0.4)
        chance = random.Random(f"{template.id}|{proposal.questions[0].id}")
        return sum(chance.random() < rate for _ in proposal.questions), len(proposal.questions)

    return judge


def play(search: WaveSearch, judge: Judge, shuffle: bool = False) -> list[tuple[Wave, list[Evaluated]]]:
    history: list[tuple[Wave, list[Evaluated]]] = []
    while (wave := search.next_wave()) is not None:
        results = [answer(proposal, judge) for proposal in wave]
        if shuffle:
            random.Random(len(history)).shuffle(results)
        search.observe(results)
        history.append((wave, results))
    return history


def proposals(history: list[tuple[Wave, list[Evaluated]]]) -> list[Proposal]:
    return [proposal for wave, _ in history for proposal in wave]


def test_published_score_by_hand() -> None:
    assert explore_score(1.2, 3, 10) == pytest.approx(1.2 / 4 + 0.5 * math.sqrt(2 * math.log(10) / 3.01))
    assert explore_score(0.0, 0, 1) == 0.0
    unvisited = explore_score(0.0, 0, 2)
    assert unvisited == pytest.approx(5.887, abs=1e-3)
    assert unvisited > explore_score(1.0, 1, 1000)


@pytest.mark.parametrize(
    ("successes", "questions", "level", "mutants", "expected"),
    [(10, 50, 0, 1, 0.2), (10, 50, 0, 2, 0.1), (10, 50, 3, 1, 0.14), (10, 50, 8, 1, 0.04), (10, 50, 40, 1, 0.04)],
)
def test_published_reward_by_hand(successes: int, questions: int, level: int, mutants: int, expected: float) -> None:
    assert explore_reward(successes, questions, level, mutants) == pytest.approx(expected)


def test_no_judged_answer_gives_no_reward() -> None:
    assert explore_reward(0, 0, 0) == 0.0


def test_posterior_is_that_of_the_beta_distribution() -> None:
    # Beta(1, 4) and 3 of 5: Beta(4, 6)
    assert posterior_mean(3, 5, 0.2, 5) == pytest.approx(0.4)
    assert posterior_sd(0.4, 5, 5) == pytest.approx(math.sqrt(4 * 6 / (10**2 * 11)))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("budget", [1, 7, 130, 1000])
def test_budget_is_used_up_and_never_exceeded(strategy: str, budget: int) -> None:
    search = make_search(strategy, TEMPLATES, QUESTIONS, budget=budget, seed=1)
    assert isinstance(search, WaveSearch)
    history = play(search, some_leak({}))
    assert sum(len(proposal.questions) for proposal in proposals(history)) == budget
    assert search.budget_left == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_question_at_most_once_per_template_and_all_about_equally_often(strategy: str) -> None:
    search = make_search(strategy, TEMPLATES, QUESTIONS, seed=5)
    assert isinstance(search, WaveSearch)
    asked: Counter[tuple[str, str]] = Counter()
    per_question: Counter[str] = Counter()
    for wave, results in play(search, some_leak({})):
        for proposal, result in zip(wave, results, strict=True):
            assert result.template is not None
            asked.update((result.template.id, question.id) for question in proposal.questions)
            per_question.update(question.id for question in proposal.questions)
    assert set(asked.values()) == {1}
    assert len(per_question) == len(QUESTIONS)
    assert max(per_question.values()) - min(per_question.values()) <= 4


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_same_seed_same_proposals_in_whatever_order_results_come(strategy: str) -> None:
    def run(seed: int, shuffle: bool) -> list[Proposal]:
        search = make_search(strategy, TEMPLATES, QUESTIONS, budget=500, seed=seed)
        assert isinstance(search, WaveSearch)
        return proposals(play(search, some_leak({"boot-log-en": 0.9}), shuffle))

    assert run(3, shuffle=False) == run(3, shuffle=True)
    assert run(3, shuffle=False) != run(4, shuffle=False)


def test_fixed_is_the_same_for_every_subject() -> None:
    leaky, silent = (
        proposals(play(Fixed(TEMPLATES, QUESTIONS, seed=2), judge)) for judge in (some_leak({}), none_leaks)
    )
    assert leaky == silent
    assert all(proposal.mutator is None for proposal in leaky)


def test_fixed_spreads_its_budget_evenly() -> None:
    plan = proposals(play(Fixed(seeds(60), QUESTIONS, budget=1000, seed=0), none_leaks))
    assert Counter(len(proposal.questions) for proposal in plan) == {17: 40, 16: 20}
    assert len({proposal.parents[0].id for proposal in plan}) == 60


def test_fixed_with_whole_question_sets_is_twenty_by_fifty() -> None:
    plan = proposals(play(Fixed(TEMPLATES, QUESTIONS, questions_per_template=50), none_leaks))
    assert [len(proposal.questions) for proposal in plan] == [50] * 20
    assert len({proposal.parents[0].kind for proposal in plan}) > 10


def test_fixed_never_asks_more_than_there_is() -> None:
    plan = proposals(play(Fixed(seeds(2), QUESTIONS, budget=1000), none_leaks))
    assert [len(proposal.questions) for proposal in plan] == [50, 50]


def test_random_ignores_results() -> None:
    leaky, silent = (
        proposals(play(Random(TEMPLATES, QUESTIONS, seed=2), judge)) for judge in (some_leak({}), none_leaks)
    )
    assert leaky == silent
    assert {proposal.mutator for proposal in leaky} == {
        "crossover", "expand", "generate_similar", "shorten", "rephrase"
    }  # fmt: skip


@pytest.mark.parametrize("strategy", ["random", "mcts", "mcts-published"])
def test_crossover_has_two_parents_of_one_language_and_other_mutators_one(strategy: str) -> None:
    search = make_search(strategy, TEMPLATES, QUESTIONS, seed=9, questions_per_step=5)
    assert isinstance(search, WaveSearch)
    plan = proposals(play(search, some_leak({})))
    crossed = [proposal for proposal in plan if proposal.mutator == "crossover"]
    assert crossed
    for proposal in crossed:
        one, two = proposal.parents
        assert one.id != two.id
        assert one.language == two.language
    assert all(len(proposal.parents) == 1 for proposal in plan if proposal.mutator != "crossover")


def test_mutation_seeds_differ() -> None:
    plan = proposals(play(Random(TEMPLATES, QUESTIONS), none_leaks))
    assert len({proposal.seed for proposal in plan}) == len(plan)


def test_crossover_without_a_partner_becomes_rephrase() -> None:
    plan = proposals(play(Random(seeds(1), QUESTIONS), none_leaks))
    assert "crossover" not in {proposal.mutator for proposal in plan}


def test_mcts_asks_the_good_template_everything_and_the_poor_ones_little() -> None:
    good = TEMPLATES[7].id
    rates = {template.id: 0.05 for template in TEMPLATES} | {good: 0.9}
    history = play(Mcts(TEMPLATES, QUESTIONS, seed=1), some_leak(rates))
    asked: Counter[str] = Counter()
    for proposal in proposals(history):
        if proposal.mutator is None:
            asked[proposal.parents[0].id] += len(proposal.questions)
    assert asked[good] == 50
    others = [count for template, count in asked.items() if template != good]
    assert sum(others) / len(others) < 15


def test_mcts_mutates_what_leaks() -> None:
    good = TEMPLATES[7].id
    rates = {template.id: 0.05 for template in TEMPLATES} | {good: 0.9}
    mutations = Counter(
        proposal.parents[0].id
        for proposal in proposals(play(Mcts(TEMPLATES, QUESTIONS, seed=1), some_leak(rates)))
        if proposal.mutator is not None
    )
    assert mutations.most_common(1)[0][0] == good


def test_mcts_comes_back_within_its_default_budget_and_the_published_rule_does_not() -> None:
    def visits(search: WaveSearch) -> Counter[str]:
        return Counter(proposal.parents[0].id for proposal in proposals(play(search, some_leak({}))))

    assert max(visits(PublishedMcts(TEMPLATES, QUESTIONS, seed=4)).values()) == 1
    assert sum(count >= 3 for count in visits(Mcts(TEMPLATES, QUESTIONS, seed=4)).values()) >= 10


def test_mcts_finds_more_than_random_on_a_subject_with_a_few_leaky_templates() -> None:
    rates = {template.id: 0.8 if i % 6 == 0 else 0.05 for i, template in enumerate(TEMPLATES)}

    def judge(proposal: Proposal, template: Template) -> tuple[int, int]:
        found, attempts = some_leak(rates)(proposal, template)
        return found if proposal.mutator is None or proposal.parents[0].id in rates else 0, attempts

    totals = {
        strategy.__name__: sum(
            result.successes
            for seed in range(3)
            for _, results in play(strategy(TEMPLATES, QUESTIONS, seed=seed), judge)
            for result in results
        )
        for strategy in (Mcts, Random)
    }
    assert totals["Mcts"] > 2 * totals["Random"]


def test_published_rule_tries_every_root_before_it_returns_to_one() -> None:
    few = seeds(8)
    search = PublishedMcts(few, QUESTIONS, budget=60 * 5, questions_per_step=5, wave_size=1, seed=0)
    order = [proposal.parents[0].id for proposal in proposals(play(search, some_leak({"t3": 1.0})))]
    assert sorted(order[:8]) == sorted(template.id for template in few)
    assert len(order) == 60
    # from then on the leaky root's family leads
    assert sum(name == "t3" or name.startswith("m") for name in order[8:]) > len(order[8:]) / 2


def test_published_rule_selects_by_its_formula() -> None:
    """One root, replayed by hand: path rewards are discounted by the level of the node that was mutated."""
    (root,) = seeds(1)
    search = PublishedMcts([root], QUESTIONS, budget=10 * 50, wave_size=1, seed=6)
    stats: dict[str, list[float]] = {root.id: [0.0, 0]}
    parent: dict[str, str] = {}
    children: dict[str, list[str]] = defaultdict(list)
    step = 0
    while (wave := search.next_wave()) is not None:
        step += 1
        (proposal,) = wave
        chosen = proposal.parents[0].id
        path = [chosen]
        while path[-1] in parent:
            path.append(parent[path[-1]])
        for name in path:
            if name in parent:
                scores = {c: explore_score(stats[c][0], int(stats[c][1]), step) for c in children[parent[name]]}
                assert scores[name] == max(scores.values())
        for name in path:
            stats[name][1] += 1
        template = mutant_of(proposal)
        successes = 10 + proposal.number
        search.observe([Evaluated(proposal, template, successes, 50)])
        for name in path:
            stats[name][0] += successes / 50 * max(0.2, 1 - 0.1 * (len(path) - 1))
        parent[template.id] = chosen
        children[chosen].append(template.id)
        stats[template.id] = [0.0, 0]
    assert step == 10


@pytest.mark.parametrize("strategy", ["mcts", "mcts-published"])
def test_only_mutants_with_a_success_are_used_again(strategy: str) -> None:
    barren: set[str] = set()

    def judge(proposal: Proposal, template: Template) -> tuple[int, int]:
        if proposal.mutator is None:
            return len(proposal.questions), len(proposal.questions)
        hit = proposal.number % 3 == 0
        if not hit:
            barren.add(template.id)
        return int(hit), len(proposal.questions)

    search = make_search(strategy, seeds(4), QUESTIONS, budget=2000, seed=2, questions_per_step=5)
    assert isinstance(search, WaveSearch)
    used = {parent.id for proposal in proposals(play(search, judge)) for parent in proposal.parents}
    assert barren
    assert not barren & used
    assert any(name.startswith("m") for name in used)


def test_wave_size_is_fixed() -> None:
    for search, size in (
        (Mcts(TEMPLATES, QUESTIONS), 16),
        (Random(TEMPLATES, QUESTIONS, wave_size=9), 9),
        (PublishedMcts(TEMPLATES, QUESTIONS), 4),
    ):
        waves = [wave for wave, _ in play(search, some_leak({}))]
        assert {len(wave) for wave in waves[:-1]} == {size}


def test_published_waves_do_not_all_take_one_path() -> None:
    search = PublishedMcts(seeds(12), QUESTIONS, wave_size=12)
    wave = search.next_wave()
    assert wave is not None
    assert len({proposal.parents[0].id for proposal in wave}) == 12


@pytest.mark.parametrize("strategy", ["random", "mcts", "mcts-published"])
def test_invalid_mutants_cost_nothing_and_do_not_loop_for_ever(strategy: str) -> None:
    search = make_search(strategy, TEMPLATES, QUESTIONS, budget=2000, seed=0)
    assert isinstance(search, WaveSearch)
    spent, waves = 0, 0
    while (wave := search.next_wave()) is not None:
        waves += 1
        results = [answer(proposal, none_leaks, valid=proposal.mutator is None) for proposal in wave]
        search.observe(results)
        spent += sum(len(result.proposal.questions) for result in results if result.template)
    assert search.budget_left == 2000 - spent
    if strategy != "mcts":
        assert (spent, waves) == (0, MAX_BARREN_WAVES)


def test_a_subject_that_never_answers_ends_the_search() -> None:
    search = Mcts(seeds(3), QUESTIONS, budget=1000)
    history = play(search, lambda proposal, template: (0, 0))
    assert sum(len(proposal.questions) for proposal in proposals(history)) == 3 * 50


def test_every_opening_counts_for_the_average_root() -> None:
    search = Mcts(seeds(2), QUESTIONS)
    wave = search.next_wave()
    assert wave is not None
    assert max(Counter(proposal.parents[0].id for proposal in wave).values()) > 1
    search.observe([answer(proposal, lambda p, t: (len(p.questions),) * 2) for proposal in wave])
    search.next_wave()
    assert search._average == pytest.approx((1 + 10) / (5 + 10))


def test_misuse_is_refused() -> None:
    search = Mcts(TEMPLATES, QUESTIONS)
    wave = search.next_wave()
    assert wave is not None
    with pytest.raises(ValueError, match="not been observed"):
        search.next_wave()
    with pytest.raises(ValueError, match="not those"):
        search.observe([])
    with pytest.raises(ValueError, match="impossible"):
        search.observe([Evaluated(proposal, proposal.parents[0], 6, 5) for proposal in wave])
    search.observe([Evaluated(proposal, proposal.parents[0], 5, 5) for proposal in wave])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategy": "greedy"}, "greedy"),
        ({"budget": 0}, "budget is 0"),
        ({"budget": -3}, "budget is -3"),
        ({"questions_per_step": 51}, "51 questions"),
        ({"questions_per_step": 0}, "0 questions"),
        ({"templates": []}, "no template"),
        ({"questions": []}, "no question"),
        ({"templates": seeds(2) * 2}, "two templates have the id 't0'"),
        ({"strategy": "fixed", "budget": 20, "questions_per_step": 50}, "budget of 20"),
    ],
)
def test_bad_settings_are_one_clear_line(change: dict[str, object], message: str) -> None:
    given_settings: dict[str, object] = {"strategy": "mcts", "templates": TEMPLATES, "questions": QUESTIONS} | change
    with pytest.raises(InputError, match=message) as caught:
        make_search(**given_settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_few_questions_are_asked_in_one_step() -> None:
    search = make_search("mcts", seeds(5), QUESTIONS[:3], budget=12)
    assert isinstance(search, WaveSearch)
    plan = proposals(play(search, none_leaks))
    assert all(len(proposal.questions) == 3 for proposal in plan)


def test_a_deal_mixes_languages_and_categories() -> None:
    deck = Deck(QUESTIONS, random.Random(0))
    for _ in range(10):
        hand = deck.questions(deck.deal(5))
        assert Counter(question.language for question in hand).most_common(1)[0][1] == 3
        assert len({question.category for question in hand}) >= 3


@given(st.lists(st.sampled_from("abcde"), max_size=30), st.integers(0, 2**32))
def test_interleave_keeps_all_and_spreads_groups(items: list[str], seed: int) -> None:
    result = interleave(items, lambda item: item, random.Random(seed))
    assert sorted(result) == sorted(items)
    groups = len(set(items))
    assert len(set(result[:groups])) == groups


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_tree_invariants(data: st.DataObject) -> None:
    """Whatever the subject does: within budget, no pair twice, only known templates as parents."""
    strategy = data.draw(st.sampled_from(["mcts", "mcts-published", "random"]))
    budget = data.draw(st.integers(1, 160))
    number = data.draw(st.integers(1, 6))
    questions = [Question(f"q{i}", f"c{i % 2}", ("en", "zh")[i % 2], "Who?") for i in range(7)]
    search = make_search(
        strategy,
        seeds(number),
        questions,
        budget=budget,
        seed=data.draw(st.integers(0, 99)),
        questions_per_step=data.draw(st.integers(1, 7)),
    )
    known = {template.id for template in seeds(number)}
    asked: set[tuple[str, str]] = set()
    rng = random.Random(data.draw(st.integers(0, 99)))
    invalid = data.draw(st.sampled_from([0.0, 0.3, 1.0]))
    numbers = []
    while (wave := search.next_wave()) is not None:
        results = []
        for proposal in wave:
            numbers.append(proposal.number)
            assert {parent.id for parent in proposal.parents} <= known
            assert proposal.questions
            valid = proposal.mutator is None or rng.random() >= invalid
            attempts = rng.randint(0, len(proposal.questions))
            successes = rng.randint(0, attempts)
            result = answer(proposal, lambda *_, s=successes, a=attempts: (s, a), valid)
            results.append(result)
            if result.template is not None:
                pairs = {(result.template.id, question.id) for question in proposal.questions}
                assert len(pairs) == len(proposal.questions)
                assert not pairs & asked
                asked |= pairs
        search.observe(results)
        known |= {result.template.id for result in results if result.template and result.successes}
    assert len(asked) <= budget
    assert numbers == list(range(len(numbers)))
