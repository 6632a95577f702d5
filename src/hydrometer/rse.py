"""A run of Response Similarity Evaluation: answers of subjects and reference, scored pair by pair.

Recorded answers (`replay/FILE#NAME`) are read whole and matched by prompt id; every other answer and every judgement
goes through the collector, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from hydrometer import rse_judges
from hydrometer.collect import gather_stoppable
from hydrometer.errors import InputError
from hydrometer.findings import Comparison
from hydrometer.identity.cards import load_cards
from hydrometer.messages import Message
from hydrometer.models.base import CallFailure, Model, Sampling
from hydrometer.prompts.sets import ConversationPrompt, PromptSet
from hydrometer.responses import TURN_BREAK, Recorded, Responses, is_recorded, read_responses, same_model
from hydrometer.rows import content_id, detect_language
from hydrometer.rse_judges import Grading, Pair
from hydrometer.session import Session
from hydrometer.similarity.builtin import Pairing, Yardstick, different_prompts
from hydrometer.similarity.judge import Dialogue
from hydrometer.similarity.scores import Measured, Resamples, Similarity, like_answers, summarise
from hydrometer.stats import Array, Codes

History = Literal["own", "reference", "recorded"]
#: One model's answers to all prompts: its turns in each conversation, or None where it has none.
Answers = list[tuple[str, ...] | None]
BUILTIN = "builtin"
NO_SCALE = "nearly the same to different prompts, so there is no scale to put likeness on"
#: Fewer scored prompts than this make a wide interval, and a warning.
FEW = 30


@dataclass(frozen=True, slots=True)
class RsePlan:
    """What a run measures.

    Attributes:
        subjects: names of the models under test; the reference among them is asked a second time.
        reference: name of the model that they are compared with.
        prompts: the prompts, of one or several sets; ids are unique within a set.
        judges: names of judge models; none for the built-in estimate.
        controls: names of models known to be unrelated.
        both_orders: whether a judge sees each pair twice, the second time with the subject first.
        ceiling: True to have the reference answer twice, or a given score.
        history: whose earlier answers a model sees in a conversation of several turns.
        system: the system message; None to send none.
        sampling: how subjects and reference decode.
        floor_pairs: pairs of answers to different prompts that a judge sees for the floor of each subject.
        seed: fixes every random choice.
    """

    subjects: tuple[str, ...]
    reference: str
    prompts: tuple[ConversationPrompt, ...]
    judges: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    both_orders: bool = False
    ceiling: bool | float = False
    history: History = "own"
    system: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    floor_pairs: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a plan that compares a model with itself or names one twice.

        Raises:
            InputError: saying which.
        """
        for role, names in (("subject", self.subjects), ("control", self.controls), ("judge", self.judges)):
            twice = next((b for a, b in combinations(names, 2) if same_model(a, b)), None)
            if twice is not None:
                raise InputError(f"The {role} {twice} is named twice", "Name it once.")
        others = (*self.subjects, self.reference)
        both = next((name for name in self.controls if any(same_model(name, other) for other in others)), None)
        if both is not None:
            role = "the reference" if same_model(both, self.reference) else "a subject"
            raise InputError(f"The control {both} is also {role}", "A control is a model known to be unrelated.")


@dataclass(frozen=True, slots=True, repr=False)
class RseResult:
    """What a run found: findings, comparisons, and the scores of every prompt."""

    plan: RsePlan
    findings: list[Similarity]
    comparisons: list[Comparison]
    measured: list[Measured]


def prompts_of_recordings(names: Sequence[str]) -> tuple[ConversationPrompt, ...]:
    """The prompts of the first recording, for runs that name no prompt set.

    Raises:
        InputError: the recording cannot be read.
    """
    first = read_responses(names[:1])[names[0]]
    return tuple(map(recorded_prompt, first.prompts().values()))


def recorded_prompt(row: Recorded) -> ConversationPrompt:
    """The prompt that a recorded answer answers."""
    return ConversationPrompt(
        id=row.prompt_id,
        set=row.set or "recorded",
        turns=row.prompt,
        category=row.category,
        language=row.language or detect_language(TURN_BREAK.join(row.prompt) or row.text),
    )


def all_prompts(sets: Sequence[PromptSet]) -> tuple[ConversationPrompt, ...]:
    """The prompts of all sets, in order."""
    return tuple(prompt for one in sets for prompt in one.prompts)


async def run(session: Session | None, plan: RsePlan) -> RseResult:
    """Collect, score and summarise.

    Args:
        session: for models that must be called; None where everything is recorded and nothing is judged.
        plan: what to measure.

    Raises:
        InputError: prompts and answers do not fit together.
        Stopped: the budget is used up or the run was interrupted; the ledger has every answer.
    """
    names = (plan.reference, *plan.subjects, *plan.controls)
    answers = await collect(session, plan, names)
    reference = answers[plan.reference]
    itself = plan.reference in plan.subjects and not is_recorded(plan.reference)
    twice = plan.ceiling is True or itself
    second = (await collect(session, plan, (plan.reference,), sample=1))[plan.reference] if twice else reference
    if itself:
        answers[plan.reference] = second
    strata = [f"{prompt.set} {prompt.language}" for prompt in plan.prompts]
    yardstick = Yardstick([prompt.text for prompt in plan.prompts], _joined(reference), strata, plan.seed)
    pairings = {name: yardstick.compare(_joined(answers[name])) for name in (*plan.subjects, *plan.controls)}
    ceiling: Array | float | None = None if isinstance(plan.ceiling, bool) else plan.ceiling
    if plan.judges:
        judged = _Judged(_needed(session), plan, strata)
        measured = {name: await judged.measured(name, reference, answers[name], pairings[name]) for name in pairings}
        if plan.ceiling is True:
            ceiling = await judged.ceiling(reference, second)
    else:
        measured = {name: _estimated(plan, name, answers[name], reference, pairings[name]) for name in pairings}
        if plan.ceiling is True:
            ceiling = yardstick.grades(_joined(second)).overall
    subjects = [measured[name] for name in plan.subjects]
    findings, comparisons = summarise(subjects, [measured[name] for name in plan.controls], ceiling, plan.seed)
    notes = _notes(plan, same_words=second == reference)
    findings = [one.model_copy(update={"warnings": [*one.warnings, *notes]}) for one in findings]
    return RseResult(plan, findings, comparisons, list(measured.values()))


async def collect(session: Session | None, plan: RsePlan, names: Sequence[str], sample: int = 0) -> dict[str, Answers]:
    """Answers of several models to the prompts of the plan, recorded or asked for.

    Raises:
        InputError: a recording answers none of the prompts, or a model cannot be asked.
    """
    recorded = [name for name in names if is_recorded(name)]
    responses = read_responses(recorded)
    found = {name: _looked_up(plan, name, responses[name], sample) for name in recorded}
    live = [name for name in names if name not in found]
    if not live:
        return {name: found[name] for name in names}
    session = _needed(session)
    if any(not prompt.turns for prompt in plan.prompts):
        raise InputError("The recording holds no prompts, so no other model can be asked them", "Give --prompts.")
    several = sum(len(prompt.turns) > 1 for prompt in plan.prompts)
    if plan.history == "recorded" and several and not any(prompt.recorded for prompt in plan.prompts):
        raise InputError("The prompts carry no recorded answers for --history recorded", "Use own or reference.")
    session.progress.begin("asking", len(live) * len(plan.prompts))
    if plan.history == "reference" and plan.reference in live:
        found[plan.reference] = await _asked(session, plan, plan.reference, sample, None)
        live.remove(plan.reference)
    leading = found.get(plan.reference) if plan.history == "reference" else None
    results = await gather_stoppable(_asked(session, plan, name, sample, leading) for name in live)
    found.update(zip(live, results, strict=True))
    return {name: found[name] for name in names}


async def _asked(session: Session, plan: RsePlan, name: str, sample: int, leading: Answers | None) -> Answers:
    """One model's answers; `leading` are the reference's, for its history."""
    model = session.models[name]

    async def one(number: int, prompt: ConversationPrompt) -> tuple[str, ...] | None:
        history: tuple[str, ...] | None = None
        if plan.history == "recorded" and len(prompt.turns) > 1:
            history = prompt.recorded or None
        elif leading is not None:
            history = leading[number]
        usable = leading is None or history is not None
        answer = await _conversation(session, model, plan, prompt, sample, history) if usable else None
        session.progress.advance(failed=answer is None)
        return answer

    return await gather_stoppable(one(number, prompt) for number, prompt in enumerate(plan.prompts))


async def _conversation(
    session: Session,
    model: Model,
    plan: RsePlan,
    prompt: ConversationPrompt,
    sample: int,
    history: tuple[str, ...] | None,
) -> tuple[str, ...] | None:
    """Answers to all turns, or None where one failed. `history` replaces the model's own earlier answers."""
    messages = [] if plan.system is None else [Message("system", plan.system)]
    answers: list[str] = []
    for number, turn in enumerate(prompt.turns):
        messages.append(Message("user", turn))
        outcome = await session.collector.ask(model, tuple(messages), plan.sampling, sample=sample)
        if isinstance(outcome, CallFailure) or not outcome.text.strip():
            return None
        answers.append(outcome.text)
        shown = answers if history is None else history
        messages.append(Message("assistant", shown[number] if number < len(shown) else outcome.text))
    return tuple(answers)


def _looked_up(plan: RsePlan, name: str, responses: Responses, sample: int) -> Answers:
    """A recording's answers, matched by prompt id, else by the prompt's text."""
    found: Answers = []
    blank = 0
    times = Counter(prompt.id for prompt in plan.prompts)
    for prompt in plan.prompts:
        row = recorded_answer(name, responses, prompt, sample, alone=times[prompt.id] == 1)
        blank += row is not None and not row.text.strip()
        found.append(row.turns if row is not None and row.text.strip() else None)
    if all(turns is None for turns in found):
        if blank:
            raise InputError(f"{name}: all {blank} answers to these prompts are empty", "Record the answers anew.")
        if sample:
            raise InputError(
                f"{name} holds no second answers", "The ceiling needs rows with sample 1, or --ceiling-at."
            )
        theirs, ours = next(iter(responses.prompts()), "none"), plan.prompts[0].id
        raise InputError(
            f"{name} answers none of the {len(plan.prompts)} prompts (its first id is {theirs!r}, here it is {ours!r})",
            "Give the prompt set that the answers were recorded with, by --prompts.",
        )
    return found


def recorded_answer(
    name: str, responses: Responses, prompt: ConversationPrompt, sample: int, *, alone: bool
) -> Recorded | None:
    """A recording's answer to a prompt, by the prompt's text or else by its id; None where it has none.

    Args:
        name: of the recording, for messages.
        responses: its answers.
        prompt: the prompt.
        sample: number of the draw.
        alone: whether no other prompt of the run has the prompt's id.

    Raises:
        InputError: the answer under the prompt's id is to another prompt, or cannot say to which of several.
    """
    row = responses.answers.get((content_id("prompt", prompt.text), sample))
    same_id = responses.answers.get((prompt.id, sample))
    if row is None and same_id is not None and _fits(name, same_id, prompt, alone=alone):
        return same_id
    return row


def _fits(name: str, row: Recorded, prompt: ConversationPrompt, *, alone: bool) -> bool:
    """Whether an answer recorded under a prompt's id is one to that prompt, `alone` in having the id.

    Raises:
        InputError: the recording says that it answers another prompt, or cannot say which of several.
    """
    theirs, ours = (" ".join(" ".join(turns).split()) for turns in (row.prompt, prompt.turns))
    alike = theirs in ours or ours in theirs
    if not alone:
        if not theirs and not row.set:
            raise InputError(
                f"The id {prompt.id!r} is in several prompt sets, and {name} does not say which one it answers",
                "Give every prompt an id of its own, or record the prompts.",
            )
        return alike and (not row.set or bool(theirs) or row.set == prompt.set)
    if not alike:
        raise InputError(
            f"{name} has an answer to another prompt under the id {prompt.id!r} ({theirs[:40]!r}, here {ours[:40]!r})",
            "Give the prompt set that the answers were recorded with, by --prompts.",
        )
    return True


def _estimated(plan: RsePlan, name: str, answers: Answers, reference: Answers, pairing: Pairing) -> Measured:
    scores = vars_of(pairing)
    both = np.array([a is not None and b is not None for a, b in zip(answers, reference, strict=True)])
    flat = int((both & ~np.isfinite(scores["overall"])).sum())
    notes = [f"{plan.reference} says {NO_SCALE} ({flat} prompts unscored)."] if flat else []
    return _measured(
        plan, name, BUILTIN, pairing, answers, reference, scores, pairing.mismatched.overall, warnings=notes
    )


def vars_of(pairing: Pairing) -> dict[str, Array]:
    """The four built-in scores of a pairing, by name."""
    grades = pairing.grades
    return {"style": grades.style, "logic": grades.logic, "content": grades.content, "overall": grades.overall}


def _measured(
    plan: RsePlan,
    name: str,
    judge: str,
    pairing: Pairing,
    answers: Answers,
    reference: Answers,
    scores: Mapping[str, Array],
    floor: Array,
    matched: Array | None = None,
    warnings: Sequence[str] = (),
    grading: Grading | None = None,
) -> Measured:
    both = np.array([a is not None and b is not None for a, b in zip(answers, reference, strict=True)])
    scored = int(np.isfinite(scores["overall"]).sum())
    notes = list(warnings)
    missing = [sum(turns is None for turns in side) for side in (answers, reference)]
    for count, who in zip(missing, (name, plan.reference), strict=True):
        if count:
            notes.append(f"{who} has no answer to {count} of {len(answers)} prompts.")
    if 0 < scored < FEW:
        notes.append(f"Only {scored} prompts were scored; the interval is wide.")
    sets = tuple(prompt.set for prompt in plan.prompts)
    return Measured(
        subject=name,
        reference=plan.reference,
        judge=judge,
        prompts=tuple(prompt.id for prompt in plan.prompts),
        sets=sets,
        **scores,
        floor=floor,
        matched=pairing.matched.overall if matched is None else matched,
        length_ratio=pairing.length_ratio,
        formatting=pairing.formatting,
        overlap=pairing.overlap,
        failed=int((~both).sum()),
        unscored=int(both.sum()) - scored,
        warnings=tuple(notes),
        judging=None if grading is None else grading.quality(Resamples(sets, plan.seed), int(both.sum())),
    )


class _Judged:
    """Scores by the judge models of a plan."""

    def __init__(self, session: Session, plan: RsePlan, strata: Sequence[str]) -> None:
        if any(not prompt.turns for prompt in plan.prompts):
            raise InputError("The recording holds no prompts, and a judge must see them", "Give --prompts.")
        self._session = session
        self._plan = plan
        self._strata = strata
        self._judges = [session.models[name] for name in plan.judges]
        self._name = " + ".join(plan.judges)

    async def measured(self, name: str, reference: Answers, answers: Answers, pairing: Pairing) -> Measured:
        """All scores of one subject."""
        identity = np.arange(len(answers))
        grading = await self._grade(f"judging {name}", reference, answers, identity)
        floor = await self._floor(name, reference, answers)
        scores = grading.combined()
        roles = {self._plan.reference: "reference", name: "subject"}
        kin = rse_judges.kinship_warnings(self._plan.judges, roles, load_cards())
        matched = like_answers(scores["overall"], pairing.length_ratio, pairing.formatting)
        return _measured(
            self._plan, name, self._name, pairing, answers, reference, scores, floor, matched,
            [*kin, *grading.warnings()], grading,
        )  # fmt: skip

    async def ceiling(self, reference: Answers, second: Answers) -> Array:
        """Overall scores of the reference against its second answers."""
        grading = await self._grade("judging the ceiling", reference, second, np.arange(len(second)))
        return grading.combined()["overall"]

    async def _floor(self, name: str, reference: Answers, answers: Answers) -> Array:
        """Overall scores of some answers to different prompts."""
        usable = np.array([a is not None and b is not None for a, b in zip(answers, reference, strict=True)])
        order = different_prompts(self._strata, usable, self._plan.seed)[0]
        places = np.flatnonzero(usable & (order != np.arange(len(order))))
        rng = np.random.default_rng(self._plan.seed)
        chosen = np.sort(rng.permutation(places)[: self._plan.floor_pairs])
        kept = np.zeros(len(answers), dtype=bool)
        kept[chosen] = True
        pairs = [turns if keep else None for turns, keep in zip(reference, kept, strict=True)]
        return (await self._grade(f"judging the floor of {name}", pairs, answers, order)).combined()["overall"]

    async def _grade(self, title: str, reference: Answers, answers: Answers, order: Codes) -> Grading:
        pairs: list[Pair | None] = []
        for prompt, ours, place in zip(self._plan.prompts, reference, order, strict=True):
            theirs = answers[int(place)]
            if ours is None or theirs is None:
                pairs.append(None)
            else:
                pairs.append(Pair(Dialogue(prompt.turns, ours), Dialogue(prompt.turns, theirs)))
        calls = sum(pair is not None for pair in pairs) * len(self._judges) * (1 + self._plan.both_orders)
        self._session.progress.begin(title, calls)
        return await rse_judges.grade(self._session.collector, self._judges, pairs, both_orders=self._plan.both_orders)


def _notes(plan: RsePlan, *, same_words: bool) -> list[str]:
    notes = []
    if same_words and (plan.ceiling is True or plan.reference in plan.subjects):
        notes.append("The reference against itself: the same words twice, so the score is that of identity.")
    if all(not prompt.turns for prompt in plan.prompts):
        notes.append(
            "The recording holds no prompts, so words that repeat them count as content; give them with --prompts."
        )
    if not plan.controls:
        notes.append(
            "No controls: likeness to a good model is not yet distillation; name unrelated models with --controls."
        )
    return notes


def _joined(answers: Answers) -> list[str | None]:
    """Each model's answers in a conversation as one text."""
    return [None if turns is None else TURN_BREAK.join(turns) for turns in answers]


def _needed(session: Session | None) -> Session:
    if session is None:
        raise ValueError("a run that calls models needs a session")
    return session
