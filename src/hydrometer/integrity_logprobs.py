"""Log-probabilities for a run of integrity: what both models expect next at places in the teacher's answers.

One kind of call serves every endpoint: the prompt, a beginning of the answer that the assistant is to continue, one
token asked for, and the likeliest alternatives to it. The beginning is part of the messages and so of the ledger's key.
Beginnings end where a word or a sentence does, so that tokenizers agree on what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hydrometer.collect import gather_stoppable
from hydrometer.integrity import divergence
from hydrometer.integrity.divergence import View
from hydrometer.integrity.fidelity import Evidence, Position
from hydrometer.integrity.samples import Samples
from hydrometer.messages import Message
from hydrometer.models.base import CallFailure, Completion, Model, Sampling
from hydrometer.prompts.sets import ConversationPrompt
from hydrometer.responses import TURN_BREAK
from hydrometer.session import Session

#: Prompts of which one answer of the teacher's is used, at most.
ANSWERS = 60
#: Places in each: the start, and others spread evenly over the answer.
PLACES = 6
#: Draws of a token until one shows the alternatives: llama.cpp shows none where it drew half a character.
DRAWS = 4
#: A model that continues an answer writes the other half of a name that it has read; a new answer begins otherwise.
_COPY = (
    Message("user", "Write this sentence twice: Zamora Wilkens lives in Oltermark."),
    Message("assistant", "Zamora Wilkens lives in Oltermark. Zamora Wilkens lives in Olter"),
)
_NEXT = "m"
#: Texts that tokenizers split into different numbers of tokens, the first to be taken off the others.
_SPLIT = (
    "Read this.",
    "Read this. On 17.04.1986, 20483 of 1,593,200 parts (1.2857%) failed; x_{i+1} := f(x_i) != 0xDEADBEEF;",
    "Read this. Größenwächter naufragèrent à Krzyżowniki; antidisestablishmentarians zigzag",
    "Read this. 山高水长，茫茫草原。Москва 🦊→∑",
)
_PLACE = re.compile(r"(?<=\S)(?=\s)|(?<=[，。、！？；：])(?=\S)")
_SPECIAL = re.compile(r"<\|[^|<>]*\|>|</?s>|<[|\uff5c][^<>]*[|\uff5c]>|<(?:eos|bos|pad|unk|(?:start|end)_of_turn)>")


@dataclass(frozen=True, slots=True)
class Logprobs:
    """What was collected.

    Attributes:
        evidence: distributions at the same places; None where the theme is left out.
        notes: what was left out and why, one line each.
    """

    evidence: Evidence | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in an answer: the row of its prompt, the messages up to there, and how the answer goes on."""

    row: int
    start: bool
    messages: tuple[Message, ...]
    following: str


_Found = tuple[_Place, Completion, Completion]


async def collect_logprobs(
    session: Session | None,
    student: str,
    teacher: str,
    answers: Samples,
    prompts: Mapping[str, ConversationPrompt],
    *,
    system: str | None,
    alternatives: int | None = None,
) -> Logprobs:
    """Ask both models what comes next in the first of the teacher's answers to each of at most `ANSWERS` prompts.

    Args:
        session: for the calls; None where everything is recorded.
        student: its name.
        teacher: its name.
        answers: the teacher's.
        prompts: by the ids in `answers`; of a conversation the first turn is used.
        system: the system message that the answers were given under.
        alternatives: likeliest tokens asked for; None for as many as each endpoint is known to give.

    Raises:
        Stopped: the budget is used up or the run was interrupted.
    """
    names = (teacher, student)
    models = session.models if session else {}
    mute = [name for name in names if name not in models or not models[name].capabilities.logprobs]
    if session is None or mute:
        return _nothing(mute)
    sides = [_Asker(session, models[name], alternatives) for name in names]
    begun = {side.model.name: await side.peek(_COPY) for side in sides}
    mute = [name for name, answer in begun.items() if isinstance(answer, Completion) and not _shown(answer)]
    if mute:
        return _nothing(mute)
    notes = []
    stuck = [name for name, answer in begun.items() if not _continued(answer)]
    if stuck:
        notes.append(
            f"{' and '.join(stuck)} cannot continue a given answer: log-probabilities are compared at the start of "
            "answers alone."
        )
    places = list(_places(answers, prompts, system, 1 if stuck else PLACES))
    session.progress.begin("asking for log-probabilities", len(sides) * len(places))
    seen = await gather_stoppable(side.all(places) for side in sides)
    found = [(place, p, q) for place, p, q in zip(places, *seen, strict=True) if p and q]
    if not found:
        return _nothing([name for name, some in zip(names, seen, strict=True) if not any(some)] or names)
    if len(found) < len(places):
        notes.append(
            f"At {len(places) - len(found)} of {len(places)} places in the teacher's answers a model gave no "
            "log-probabilities; they are in no figure."
        )
    counts = [await side.counts() for side in sides]
    same = None not in counts and counts[0] == counts[1]
    if not same:
        how = "may split" if None in counts else "split"
        notes.append(
            f"{teacher} and {student} {how} text into different tokens: their distributions are compared by the "
            "character that comes next."
        )
    return Logprobs(_evidence(answers, found, len(places), same_tokens=same), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Asker:
    """One model, and how many alternatives it is asked for."""

    session: Session
    model: Model
    alternatives: int | None

    async def all(self, places: Sequence[_Place]) -> list[Completion | None]:
        """Its answer at each place, None where it gave no log-probabilities."""
        return await gather_stoppable(self._counted(place) for place in places)

    async def _counted(self, place: _Place) -> Completion | None:
        answer = await self.peek(place.messages)
        found = answer if isinstance(answer, Completion) and _shown(answer) else None
        self.session.progress.advance(failed=found is None)
        return found

    async def counts(self) -> list[int] | None:
        """How many tokens it reads in each of the texts; None where it does not say."""
        answers = [await self.peek((Message("user", text),)) for text in _SPLIT]
        read = [None if isinstance(answer, CallFailure) else answer.prompt_tokens for answer in answers]
        known = [count for count in read if count is not None]
        return [count - known[0] for count in known[1:]] if len(known) == len(_SPLIT) else None

    async def peek(self, messages: tuple[Message, ...]) -> Completion | CallFailure:
        """One token; at temperature 1 even endpoints that report probabilities after sampling report the model's."""
        count = self.alternatives or self.model.capabilities.alternatives
        sampling = Sampling(temperature=1.0, max_tokens=1, seed=0, logprobs=count)
        for sample in range(DRAWS):
            outcome = await self.session.collector.ask(self.model, messages, sampling, sample=sample)
            if isinstance(outcome, CallFailure) or _shown(outcome):
                break
        return outcome


def _shown(answer: Completion) -> bool:
    """Whether alternatives to the first token are there."""
    return bool(answer.logprobs and answer.logprobs[0].top)


def _continued(answer: Completion | CallFailure) -> bool:
    """Whether the name that was begun goes on as it did before."""
    if isinstance(answer, CallFailure):
        return False
    return sum(mass for token, mass in _view(answer).mass.items() if token.startswith(_NEXT)) > 1 / 2


def _nothing(names: Sequence[str]) -> Logprobs:
    verb = "give" if len(names) > 1 else "gives"
    return Logprobs(None, (f"{' and '.join(names)} {verb} no log-probabilities: the theme fidelity is left out.",))


def _places(
    answers: Samples, prompts: Mapping[str, ConversationPrompt], system: str | None, count: int
) -> Iterator[_Place]:
    """Places in the first answer to each of at most `ANSWERS` prompts, spread evenly over both."""
    rows = [row for row, name in enumerate(answers.prompts) if prompts[name].turns]
    for row in _spread(rows, ANSWERS):
        opening = [] if system is None else [Message("system", system)]
        messages = (*opening, Message("user", prompts[answers.prompts[row]].turns[0]))
        text = answers.texts[row][0].split(TURN_BREAK)[0].strip()
        if not text:
            continue
        yield _Place(row, True, messages, text)
        for cut in _spread([at.start() for at in _PLACE.finditer(text)], count - 1):
            yield _Place(row, False, (*messages, Message("assistant", text[:cut])), text[cut:])


def _spread(items: Sequence[int], count: int) -> list[int]:
    """At most `count` of the items: the middle ones of as many equal parts."""
    if len(items) <= count:
        return list(items)
    return [items[(2 * part + 1) * len(items) // (2 * count)] for part in range(count)]


def _view(answer: Completion) -> View:
    """What is seen of the distribution of the first token; special tokens are the end of the answer."""
    top = answer.logprobs[0].top if answer.logprobs else ()
    return divergence.view((_SPECIAL.sub("", token), value) for token, value in top)


def _evidence(answers: Samples, found: Sequence[_Found], asked: int, *, same_tokens: bool) -> Evidence:
    rows = {row: number for number, row in enumerate(dict.fromkeys(place.row for place, _, _ in found))}
    return Evidence(
        prompts=tuple(answers.prompts[row] for row in rows),
        positions=tuple(
            Position(rows[place.row], place.start, place.following, _view(teacher), _view(student))
            for place, teacher, student in found
        ),
        same_tokens=same_tokens,
        asked=asked,
    )
