"""A run of the Identity Consistency Evaluation: search, collection and judging, for one subject.

The search decides which templates to put under which questions; every call goes through the collector, so a run
that was killed goes on where it stopped and ends with the same bytes. Nothing here depends on the order in which
answers come in.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hydrometer.collect import Collector, gather_stoppable
from hydrometer.errors import InputError
from hydrometer.identity.cards import Catalogue, IdentityCard
from hydrometer.identity.mutators import mutate_builtin, mutation_prompt, parse_mutation
from hydrometer.identity.records import Attempt
from hydrometer.identity.scores import Judged
from hydrometer.identity.search import Evaluated, Proposal, Search, Strategy, make_search
from hydrometer.identity.validation import text_hash, validate_mutant
from hydrometer.judging import Judge
from hydrometer.messages import Message
from hydrometer.models.base import CallFailure, Completion, Model, Sampling
from hydrometer.models.identity_probe import default_system_prompt
from hydrometer.prompts.questions import Question
from hydrometer.prompts.templates import Template, fill, is_leading
from hydrometer.rows import content_id
from hydrometer.session import Session

#: Budgets and answer lengths by default: those of the published run; for a model on this machine, what two cores do
#: in about a minute.
DEFAULT_BUDGET = {"embedded": 80, "hf": 400}
DEFAULT_MAX_TOKENS = {"embedded": 48}
PUBLISHED_BUDGET = 1000
REMOTE_MAX_TOKENS = 512

#: Tries to get one valid mutant before a proposal is given up.
MUTATION_TRIES = 3

#: The neutral system message: it names nobody, and keeps a chat template from inserting an identity of its own.
NEUTRAL_SYSTEM = "You are a helpful assistant."


@dataclass(slots=True)
class IceRun:
    """What one subject was asked and what came of it.

    Attributes:
        judged: every attempt with its judgement, in the order of the search.
        templates: every template that was asked, in the order of first use.
        refused_mutants: reasons for which mutants were not used, with their counts.
        warnings: what in the subject's set-up limits the figures.
    """

    judged: list[Judged] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)
    refused_mutants: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Mutators:
    """Turns proposals into templates, by a model or built in, and refuses what is not a usable template.

    Args:
        names: names of makers and models; a mutant that holds one is leading.
        model: the mutator model; None for the built-in mutators.
        collector: makes the mutator model's calls.
    """

    def __init__(self, names: Sequence[str], model: Model | None, collector: Collector) -> None:
        self._names = tuple(names)
        self._model = model
        self._collector = collector

    async def templates(
        self, wave: Sequence[Proposal], pool: dict[str, Template], run: IceRun
    ) -> list[Template | None]:
        """A template per proposal, or None where no valid mutant came within the tries.

        All proposals are tried at once, and accepted in their order, so that duplicates within a wave are refused
        the same way whatever came in first. Accepted mutants join `pool`, by hash.
        """
        found: dict[int, Template | None] = {
            place: proposal.parents[0] for place, proposal in enumerate(wave) if proposal.mutator is None
        }
        for attempt in range(MUTATION_TRIES):
            open_places = [place for place in range(len(wave)) if place not in found]
            texts = await gather_stoppable(self._text(wave[place], attempt) for place in open_places)
            for place, text in zip(open_places, texts, strict=True):
                refusal = "call failed" if text is None else validate_mutant(text, wave[place].parents, pool.keys())
                if text is None or refusal is not None:
                    run.refused_mutants[str(refusal)] = run.refused_mutants.get(str(refusal), 0) + 1
                    continue
                template = self._template(text, wave[place])
                pool[text_hash(text)] = template
                found[place] = template
        return [found.get(place) for place in range(len(wave))]

    async def _text(self, proposal: Proposal, attempt: int) -> str | None:
        if proposal.mutator is None:
            return None
        if self._model is None:
            rng = random.Random(f"{proposal.seed} {attempt}")
            return mutate_builtin(proposal.mutator, proposal.parents, rng)
        outcome = await self._collector.ask(
            self._model,
            mutation_prompt(proposal.mutator, proposal.parents),
            Sampling(temperature=1.0, max_tokens=2048, seed=proposal.seed),
            sample=attempt,
            purpose="mutator",
        )
        if isinstance(outcome, CallFailure):
            return None
        return parse_mutation(proposal.mutator, proposal.parents, outcome.text)

    def _template(self, text: str, proposal: Proposal) -> Template:
        return Template(
            id=content_id("mutant", text),
            text=text,
            kind=proposal.parents[0].kind,
            language=proposal.parents[0].language,
            leading=is_leading(text) or is_leading(text, self._names, whole_words=True),
            parent=tuple(parent.id for parent in proposal.parents),
            mutator=proposal.mutator,
        )


@dataclass(frozen=True, slots=True)
class Ice:
    """The Identity Consistency Evaluation of one subject.

    Attributes:
        subject: the model under test.
        card: what is true of it.
        system: the system message; None to send none.
        sampling: how the subject decodes.
        judge: who judges.
        mutators: who makes new templates.
        collector: makes the calls.
    """

    subject: Model
    card: IdentityCard
    system: str | None
    sampling: Sampling
    judge: Judge
    mutators: Mutators
    collector: Collector

    async def run(self, search: Search, seeds: Sequence[Template]) -> IceRun:
        """Search, ask and judge until the search is over.

        Args:
            search: the strategy, before its first wave.
            seeds: the templates that it starts from.
        """
        run = IceRun()
        pool = {text_hash(template.text): template for template in seeds}
        while (wave := search.next_wave()) is not None:
            templates = await self.mutators.templates(wave, pool, run)
            pairs = [
                (template, question)
                for proposal, template in zip(wave, templates, strict=True)
                if template is not None
                for question in proposal.questions
            ]
            judged = await gather_stoppable(self._attempt(template, question) for template, question in pairs)
            search.observe(_results(wave, templates, judged))
            run.judged.extend(judged)
            run.templates.extend(t for t in templates if t is not None and t not in run.templates)
        return run

    async def _attempt(self, template: Template, question: Question) -> Judged:
        content = fill(template.text, question.text)
        messages = (*(() if self.system is None else (Message("system", self.system),)), Message("user", content))
        outcome = await self.collector.ask(self.subject, messages, self.sampling)
        failed = isinstance(outcome, CallFailure)
        attempt = Attempt(
            model=self.subject.name,
            template=template.text,
            query=question.text,
            response=None if isinstance(outcome, CallFailure) else outcome.text,
            failure=outcome.kind.value if isinstance(outcome, CallFailure) else None,
            template_id=template.id,
            query_id=question.id,
            category=question.category,
            language=question.language,
            leading=template.leading,
            truncated=isinstance(outcome, Completion) and outcome.finish_reason == "length",
        )
        judgement = None if failed else await self.judge.judge(attempt, self.card)
        self.collector.progress.advance(failed=failed)
        return Judged(attempt, judgement)


def _results(
    wave: Sequence[Proposal], templates: Sequence[Template | None], judged: Sequence[Judged]
) -> list[Evaluated]:
    """Counts per proposal; `judged` holds the attempts of all proposals that have a template, in their order."""
    rest = iter(judged)
    results = []
    for proposal, template in zip(wave, templates, strict=True):
        rows = [] if template is None else [next(rest) for _ in proposal.questions]
        verdicts = [
            row.judgement.loose for row in rows if row.judgement is not None and row.judgement.loose is not None
        ]
        results.append(Evaluated(proposal, template, sum(verdicts), len(verdicts)))
    return results


@dataclass(frozen=True, slots=True)
class IcePlan:
    """What a run asks of every one of its subjects.

    Attributes:
        subjects: names of the models under test.
        search: the strategy's name.
        budget: questions put to each subject.
        templates: seed templates.
        questions: identity questions.
        system: the system message; None to send none.
        sampling: how the subjects decode.
        judge: name of the judge, `builtin` or a model.
        mutator: name of the mutator, `builtin` or a model.
        seed: fixes every random choice.
    """

    subjects: tuple[str, ...]
    search: Strategy
    budget: int
    templates: tuple[Template, ...]
    questions: tuple[Question, ...]
    system: str | None
    sampling: Sampling
    judge: str
    mutator: str
    seed: int


def system_of(policy: str) -> str | None:
    """The system message behind `neutral`, `none` or the user's own text.

    Raises:
        InputError: an empty text.
    """
    if policy == "none":
        return None
    if policy == "neutral":
        return NEUTRAL_SYSTEM
    if not policy.strip():
        raise InputError("The system message is empty", "Give neutral, none or a text with --system.")
    return policy


async def run_subjects(
    session: Session, plan: IcePlan, cards: Mapping[str, IdentityCard], catalogue: Catalogue, judge: Judge
) -> dict[str, IceRun]:
    """Run the plan for all subjects at once.

    Returns:
        A run per subject, by name, with warnings about the subject's set-up.
    """
    mutator = None if plan.mutator == "builtin" else session.models[plan.mutator]
    mutators = Mutators([name for maker in catalogue.makers for name in maker.names], mutator, session.collector)
    session.progress.begin("asking", plan.budget * len(plan.subjects))

    async def one(name: str) -> IceRun:
        subject = session.models[name]
        inserted = None if plan.system is not None else await default_system_prompt(subject)
        ice = Ice(subject, cards[name], plan.system, plan.sampling, judge, mutators, session.collector)
        search = make_search(plan.search, plan.templates, plan.questions, budget=plan.budget, seed=plan.seed)
        run = await ice.run(search, plan.templates)
        if plan.search.startswith("mcts"):
            run.warnings.append(
                "The templates were searched for on this subject: the rates are those of what the search found. They "
                "tend to be higher than for templates drawn at random; to compare subjects, use --search fixed."
            )
        if inserted is not None:
            run.warnings.append(
                f"No system message was sent, and the chat template put in its own: {inserted!r}. It states an "
                "identity, so the figures are not comparable with models that got none; use --system neutral."
            )
        return run

    runs = await gather_stoppable(one(name) for name in plan.subjects)
    return dict(zip(plan.subjects, runs, strict=True))
