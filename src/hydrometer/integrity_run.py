"""Answers for a run of integrity: several draws of each prompt from student and teacher, and the questions' variants.

Recorded answers (`replay/FILE#NAME`) are matched by the prompt's text or id; every other answer goes through the
collector, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hydrometer.collect import gather_stoppable
from hydrometer.errors import InputError, ModelError
from hydrometer.integrity.fidelity import Evidence
from hydrometer.integrity.samples import Matched, Samples, match
from hydrometer.integrity_logprobs import collect_logprobs
from hydrometer.messages import Message
from hydrometer.models.base import CallFailure, Completion, Model, Sampling
from hydrometer.prompts.integrity_sets import STABILITY, Variant
from hydrometer.prompts.sets import ConversationPrompt
from hydrometer.responses import TURN_BREAK, Responses, is_recorded, same_model
from hydrometer.rse import recorded_answer, recorded_prompt
from hydrometer.session import Session

#: Draws per prompt that a model is asked for.
DRAWS = 10


@dataclass(frozen=True, slots=True)
class IntegrityPlan:
    """What a run collects.

    Attributes:
        student: name of the model that was distilled.
        teacher: name of the model that it is compared with.
        prompts: the prompts, each to be answered several times; ids are unique within a set.
        samples: answers per prompt, asked for and used at most; None for `DRAWS` of a model and all of a recording.
        sampling: how both decode.
        variants: questions in several ways, asked once each at temperature 0; none to leave stability out.
        system: the system message; None to send none.
        alternatives: likeliest tokens asked for in measuring fidelity; None for as many as an endpoint is known to
            give, 0 to leave fidelity out.
        seed: fixes every random choice.
    """

    student: str
    teacher: str
    prompts: tuple[ConversationPrompt, ...]
    samples: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    variants: tuple[Variant, ...] = ()
    system: str | None = None
    alternatives: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a plan that can show no loss.

        Raises:
            InputError: student and teacher are one model, one answer per prompt, or a temperature of 0.
        """
        if same_model(self.student, self.teacher):
            raise InputError(
                f"{self.student} is both student and teacher",
                "Name two models; for one model in two settings, record its answers and give replay/FILE#NAME.",
            )
        if self.samples is not None and self.samples < 2:
            raise InputError(f"--samples is {self.samples}", "What varies is seen from 2 answers per prompt on.")
        if self.sampling.temperature == 0 and not all(map(is_recorded, (self.student, self.teacher))):
            raise InputError(
                "--temperature is 0, at which a model gives every prompt one answer", "Give a temperature above 0."
            )


@dataclass(frozen=True, slots=True)
class Side:
    """What was collected of one model.

    Attributes:
        samples: its answers; a failed or blank one is the empty text.
        honoured: how they were sampled, without parameters that the endpoint did not take; None for a recording.
        served: names under which the endpoint answered.
        cut: answers that end at the limit of tokens.
    """

    samples: Samples
    honoured: Sampling | None = None
    served: tuple[str, ...] = ()
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything that the measures need, and what must be said about it.

    Attributes:
        plan: what was asked for.
        student: what was collected of the student.
        teacher: what was collected of the teacher.
        matched: their answers side by side.
        variants: (student, teacher) answers to the variants, one draw each; None where stability is left out.
        logprobs: what both expect next in the teacher's answers; None where fidelity is left out.
        notes: on the collection and on the matching, one line each.
    """

    plan: IntegrityPlan
    student: Side
    teacher: Side
    matched: Matched
    variants: tuple[Side, Side] | None
    logprobs: Evidence | None
    notes: tuple[str, ...]


def prompts_of(recordings: Iterable[Responses]) -> tuple[ConversationPrompt, ...]:
    """The prompts of all recordings, each once, without the questions of the shipped stability set."""
    found: dict[str, ConversationPrompt] = {}
    for responses in recordings:
        for row in responses.answers.values():
            if row.set != STABILITY and row.prompt_id not in found:
                found[row.prompt_id] = recorded_prompt(row)
    return tuple(found.values())


async def run(session: Session | None, plan: IntegrityPlan, recordings: Mapping[str, Responses]) -> Collected:
    """Collect and match.

    Args:
        session: for models that must be called; None where everything is recorded.
        plan: what to collect.
        recordings: the recorded answers, by the names in the plan.

    Raises:
        InputError: prompts and answers do not fit together, or cannot be compared.
        ModelError: a model gave no answer at all.
        Stopped: the budget is used up or the run was interrupted; the ledger has every answer.
    """
    student, teacher = await collect_samples(session, plan, recordings)
    matched = match(student.samples, teacher.samples)
    variants = await collect_variants(session, plan, recordings)
    notes = [*_settings(plan, (student, teacher)), *matched.notes]
    evidence = None
    if plan.alternatives != 0:
        prompts = dict(zip(_ids(plan.prompts), plan.prompts, strict=True))
        found = await collect_logprobs(
            session,
            plan.student,
            plan.teacher,
            matched.teacher,
            prompts,
            system=plan.system,
            alternatives=plan.alternatives,
        )
        evidence = found.evidence
        notes += found.notes
    if plan.variants and variants is None:
        notes.append("A recording holds no answers to the variants of questions: the theme stability is left out.")
    return Collected(plan, student, teacher, matched, variants, evidence, tuple(notes))


async def collect_samples(
    session: Session | None, plan: IntegrityPlan, recordings: Mapping[str, Responses]
) -> tuple[Side, Side]:
    """Several answers of student and teacher to every prompt.

    Raises:
        InputError: a recording answers none of the prompts or only with blank texts, or holds no prompts to ask.
        ModelError: a model gave no answer at all.
        Stopped: the budget is used up or the run was interrupted.
    """
    sides = await _both(session, plan, recordings, plan.prompts, plan.samples, plan.sampling, "asking")
    for side in sides:
        if not any(map(any, side.samples.texts)):
            _refuse(session, plan, recordings.get(side.samples.model), side)
    return sides


async def collect_variants(
    session: Session | None, plan: IntegrityPlan, recordings: Mapping[str, Responses]
) -> tuple[Side, Side] | None:
    """One answer of student and teacher to every variant, at temperature 0; None where a recording holds none.

    Raises:
        InputError: a recording has answers to other questions under the ids of the variants.
        Stopped: the budget is used up or the run was interrupted.
    """
    prompts = tuple(
        ConversationPrompt(one.id, STABILITY, one.turns, one.category, one.language) for one in plan.variants
    )
    for name, responses in recordings.items():
        if not any(_recorded(name, responses, prompts, 1).samples.texts):
            return None
    if not prompts:
        return None
    cold = replace(plan.sampling, temperature=0.0, seed=None)
    return await _both(session, plan, recordings, prompts, 1, cold, "asking the variants")


async def _both(
    session: Session | None,
    plan: IntegrityPlan,
    recordings: Mapping[str, Responses],
    prompts: Sequence[ConversationPrompt],
    draws: int | None,
    sampling: Sampling,
    title: str,
) -> tuple[Side, Side]:
    names = (plan.student, plan.teacher)
    found = {name: _recorded(name, responses, prompts, draws) for name, responses in recordings.items()}
    live = [name for name in names if name not in found]
    if live:
        if session is None:
            raise ValueError("a run that calls models needs a session")
        if any(not prompt.turns for prompt in prompts):
            raise InputError("The recording holds no prompts, so no other model can be asked them", "Give --prompts.")
        count = draws or DRAWS
        session.progress.begin(title, len(live) * len(prompts) * count)
        asked = await gather_stoppable(_asked(session, plan, name, prompts, count, sampling) for name in live)
        found.update(zip(live, asked, strict=True))
    return found[plan.student], found[plan.teacher]


async def _asked(
    session: Session,
    plan: IntegrityPlan,
    name: str,
    prompts: Sequence[ConversationPrompt],
    draws: int,
    sampling: Sampling,
) -> Side:
    model = session.models[name]

    async def one(prompt: ConversationPrompt, sample: int) -> list[Completion] | None:
        answers = await _conversation(session, model, plan.system, prompt, sampling, sample)
        session.progress.advance(failed=answers is None)
        return answers

    found = await gather_stoppable(one(prompt, sample) for prompt in prompts for sample in range(draws))
    texts = ["" if answers is None else TURN_BREAK.join(answer.text for answer in answers) for answers in found]
    by_prompt = [tuple(texts[start : start + draws]) for start in range(0, len(texts), draws)]
    turns = [answer for answers in found if answers is not None for answer in answers]
    return Side(
        _samples(name, prompts, by_prompt),
        honoured=_without(sampling, {parameter for answer in turns for parameter in answer.dropped}),
        served=tuple(dict.fromkeys(answer.served_model for answer in turns if answer.served_model)),
        cut=sum(any(a.finish_reason == "length" for a in answers) for answers in found if answers is not None),
    )


async def _conversation(
    session: Session, model: Model, system: str | None, prompt: ConversationPrompt, sampling: Sampling, sample: int
) -> list[Completion] | None:
    """A model's answers to all turns, each after its own earlier ones, or None where one failed."""
    messages = [] if system is None else [Message("system", system)]
    answers: list[Completion] = []
    for turn in prompt.turns:
        messages.append(Message("user", turn))
        outcome = await session.collector.ask(model, tuple(messages), sampling, sample=sample)
        if isinstance(outcome, CallFailure) or not outcome.text.strip():
            return None
        answers.append(outcome)
        messages.append(Message("assistant", outcome.text))
    return answers


def _recorded(name: str, responses: Responses, prompts: Sequence[ConversationPrompt], draws: int | None) -> Side:
    """A recording's answers, the first `draws` of each prompt in the order of their numbers."""
    times = Counter(prompt.id for prompt in prompts)
    numbers = sorted({number for _, number in responses.answers})
    texts = []
    for prompt in prompts:
        alone = times[prompt.id] == 1
        rows = (recorded_answer(name, responses, prompt, number, alone=alone) for number in numbers)
        found = ["" if not row.text.strip() else row.text for row in rows if row is not None]
        texts.append(tuple(found[:draws]))
    return Side(_samples(name, prompts, texts))


def _without(sampling: Sampling, dropped: Iterable[str]) -> Sampling:
    """The parameters that an endpoint took."""
    return replace(sampling, **{name: () if name == "stop" else None for name in dropped})  # type: ignore[arg-type]


def _samples(name: str, prompts: Sequence[ConversationPrompt], texts: Sequence[tuple[str, ...]]) -> Samples:
    """Answers with their prompts; those without an answer, not even an empty one, are left out."""
    ids = _ids(prompts)
    kept = [number for number, answers in enumerate(texts) if answers]
    chosen = [prompts[number] for number in kept]
    return Samples(
        name,
        tuple(ids[number] for number in kept),
        tuple(texts[number] for number in kept),
        tuple(prompt.language for prompt in chosen),
        tuple(prompt.category for prompt in chosen),
        tuple(prompt.text for prompt in chosen),
    )


def _ids(prompts: Sequence[ConversationPrompt]) -> list[str]:
    """Ids of the prompts, those of several sets with the set in front."""
    times = Counter(prompt.id for prompt in prompts)
    return [prompt.id if times[prompt.id] == 1 else f"{prompt.set}/{prompt.id}" for prompt in prompts]


def _refuse(session: Session | None, plan: IntegrityPlan, responses: Responses | None, side: Side) -> None:
    name = side.samples.model
    if responses is None:
        reason = session.collector.reasons.get(name, "no answers") if session else "no answers"
        raise ModelError(f"{name} answered none of the prompts: {reason}", f"Try `hydrometer models check {name}`.")
    if side.samples.prompts:
        count = sum(map(len, side.samples.texts))
        raise InputError(f"{name}: all {count} answers to these prompts are empty", "Record the answers anew.")
    theirs = next((prompt_id for prompt_id, _ in responses.answers), "none")
    ours = plan.prompts[0].id if plan.prompts else "none"
    raise InputError(
        f"{name} answers none of the {len(plan.prompts)} prompts (its first id is {theirs!r}, here it is {ours!r})",
        "Give the prompt set that the answers were recorded with, by --prompts.",
    )


def _settings(plan: IntegrityPlan, sides: tuple[Side, Side]) -> Iterable[str]:
    """Lines on how the answers were sampled, where it was not as requested or is not known."""
    recorded = [side.samples.model for side in sides if side.honoured is None]
    if recorded:
        yield (
            f"{' and '.join(recorded)}: recorded; whether both sides were sampled with the same settings is not known."
        )
    for side in sides:
        name, wanted, honoured = side.samples.model, plan.sampling, side.honoured
        if honoured is not None:
            lost = [
                one for one in ("temperature", "top_p", "max_tokens") if getattr(wanted, one) != getattr(honoured, one)
            ]
            if lost:
                yield f"{name} does not take {' and '.join(lost)}, so it was not sampled as requested."
        if side.cut:
            total = sum(map(len, side.samples.texts))
            yield f"{side.cut} of {total} answers of {name} end at the limit of {wanted.max_tokens} tokens."
