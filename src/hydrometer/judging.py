"""The judges of identity answers: recorded labels, the built-in one, and any model through the collector."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from hydrometer import identity
from hydrometer.collect import Collector, gather_stoppable
from hydrometer.errors import InputError
from hydrometer.identity import builtin_judge, model_judge
from hydrometer.identity.cards import Catalogue, IdentityCard, card_for, load_card_file, load_cards
from hydrometer.identity.judgement import Judgement
from hydrometer.identity.records import Attempt
from hydrometer.messages import Message
from hydrometer.models.base import CallFailure, Model, Sampling
from hydrometer.progress import Progress
from hydrometer.session import RunOptions, Session, open_session


class Judge(Protocol):
    """Decides on one answered attempt.

    Attributes:
        name: shown beside every figure.
        fingerprint: SHA-256 over everything that determines its verdicts.
    """

    @property
    def name(self) -> str:  # noqa: D102
        ...

    @property
    def fingerprint(self) -> str:  # noqa: D102
        ...

    async def judge(self, attempt: Attempt, card: IdentityCard | None) -> Judgement:
        """The judgement of an answer that is there."""
        ...


class LabelJudge:
    """Repeats the labels that records carry."""

    name = "labels"
    fingerprint = hashlib.sha256(b"labels").hexdigest()

    async def judge(self, attempt: Attempt, card: IdentityCard | None) -> Judgement:  # noqa: ARG002
        """The recorded labels; strict implies loose, so an answer that is not loose is not strict."""
        strict = False if attempt.loose is False else attempt.strict
        missing = None if attempt.loose is not None and strict is not None else "no label"
        return Judgement(loose=attempt.loose, strict=strict, error=missing)


class BuiltinJudge:
    """Extracts identity claims from the text and compares them with the card; no model is asked."""

    name = "builtin"

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.fingerprint = _rules_fingerprint(catalogue)

    async def judge(self, attempt: Attempt, card: IdentityCard | None) -> Judgement:
        """The judgement of the claims in the answer."""
        return builtin_judge.judge(
            attempt.response or "", _needed(card), self._catalogue, query=attempt.query, template=attempt.template
        )


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """Asks a model, first for a contradiction, then whom "I" claims to be."""

    model: Model
    collector: Collector
    catalogue: Catalogue
    sampling: Sampling

    @property
    def name(self) -> str:
        """The judge model's name."""
        return self.model.name

    @property
    def fingerprint(self) -> str:
        """Over prompts, model and settings."""
        settings: dict[str, object] = {"temperature": self.sampling.temperature, "max_tokens": self.sampling.max_tokens}
        return model_judge.fingerprint(self.model.sent_name, self.model.endpoint, settings)

    async def judge(self, attempt: Attempt, card: IdentityCard | None) -> Judgement:
        """Both questions, the second only where the first is answered with yes."""
        known = _needed(card)
        answer = attempt.response or ""
        reply = await self._ask(model_judge.loose_prompt(known, attempt.query, answer))
        loose = None if isinstance(reply, CallFailure) else model_judge.parse_verdict(reply)
        strict, words = None, reply
        if loose:
            words = await self._ask(model_judge.strict_prompt(known, attempt.query, answer))
            strict = None if isinstance(words, CallFailure) else model_judge.parse_strict(words)
        if isinstance(words, CallFailure):
            return Judgement(loose=loose, strict=None, error=f"judge call failed: {words}")
        return model_judge.judgement_of(loose, strict, words[:2000], known, self.catalogue, answer)

    async def _ask(self, messages: tuple[Message, ...]) -> str | CallFailure:
        """A reply with a verdict tag if one comes within the attempts, else the last reply or failure."""
        asked, reply = messages, ""
        for attempt in range(model_judge.ATTEMPTS):
            outcome = await self.collector.ask(self.model, asked, self.sampling, sample=attempt, purpose="judge")
            if isinstance(outcome, CallFailure):
                return outcome
            reply = outcome.text
            if model_judge.parse_verdict(reply) is not None:
                break
            asked = (*messages, Message("assistant", reply), Message("user", model_judge.REMINDER))
        return reply


async def judge_all(
    judge: Judge, attempts: list[Attempt], cards: Mapping[str, IdentityCard], progress: Progress | None = None
) -> list[Judgement | None]:
    """Judgements in the order of the attempts; None for an attempt without an answer.

    Args:
        judge: the judge.
        attempts: what to judge.
        cards: identity card per model name; labels need none.
        progress: counts judged answers.
    """

    async def one(attempt: Attempt) -> Judgement | None:
        if attempt.response is None:
            return None
        judgement = await judge.judge(attempt, cards.get(attempt.model))
        if progress is not None:
            progress.advance(failed=judgement.error is not None)
        return judgement

    return await gather_stoppable(one(attempt) for attempt in attempts)


def make_judge(name: str, catalogue: Catalogue, session: Session) -> Judge:
    """The judge of that name: `builtin`, or a model that is asked at temperature 0."""
    if name == "builtin":
        return BuiltinJudge(catalogue)
    return ModelJudge(session.models[name], session.collector, catalogue, Sampling(temperature=0.0, max_tokens=1024))


def judge_records(
    name: str, attempts: list[Attempt], card_file: Path | None, run_options: RunOptions
) -> tuple[Judge, list[Judgement | None], dict[str, IdentityCard]]:
    """A judge, its judgements of recorded attempts, and the cards it used; a ledger is opened only for a model.

    Args:
        name: `labels`, `builtin` or a model.
        attempts: what to judge.
        card_file: the identity card of all models in the records; None to find each by the model's name.
        run_options: for a model judge.

    Raises:
        InputError: no card fits a model, or `labels` where there are none.
    """
    if name == "labels":
        if all(attempt.loose is None and attempt.strict is None for attempt in attempts):
            raise InputError("The records carry no labels", "Use --judge builtin, or a model.")
        labels = LabelJudge()
        return labels, asyncio.run(judge_all(labels, attempts, {})), {}
    own = load_card_file(card_file) if card_file else None
    catalogue = load_cards() if own is None else load_cards().including(own)
    cards = {model: own or card_for(model, catalogue) for model in dict.fromkeys(a.model for a in attempts)}
    if name == "builtin":
        builtin = BuiltinJudge(catalogue)
        return builtin, asyncio.run(judge_all(builtin, attempts, cards)), cards
    with open_session(run_options, (name,)) as session:
        judge = make_judge(name, catalogue, session)
        session.progress.begin(f"judging by {name}", sum(attempt.response is not None for attempt in attempts))
        return judge, session.run(lambda: judge_all(judge, attempts, cards, session.progress)), cards


def _rules_fingerprint(catalogue: Catalogue) -> str:
    """SHA-256 over the rules of the built-in judge, which are the modules beside it, and the catalogue."""
    digest = hashlib.sha256(repr(catalogue).encode())
    for source in sorted(resources.files(identity).iterdir(), key=lambda item: item.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def _needed(card: IdentityCard | None) -> IdentityCard:
    if card is None:
        raise InputError("This judge needs an identity card", "Give one with --card FILE.")
    return card
