"""The judge that needs no model: reads the identity claims of an answer and compares them with the card.

Strict: the answer says, of "I" and not denied, that another known maker made it, or that it is, or is built on,
another maker's model. Loose: strict, or the card's maker is denied, or weaker evidence speaks against the card and
nothing in the answer affirms it: an invented or unnamed maker, no maker at all, many makers, a wrong place, or
training on another model's outputs. An answer in a language other than English and Chinese is unparsed.
Lines of a labelled role count like the model's own words, because a labelled transcript is how most leaks appear,
and the explanation says so; quotations, reported facts about third parties, the other side of a dialogue, and what
is said of a role's name or of an echoed "you" are no strict evidence.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hydrometer.identity.claims import NAMED, Claim, extract_claims
from hydrometer.identity.judgement import Judgement
from hydrometer.identity.languages import is_read
from hydrometer.identity.passages import answer_of
from hydrometer.identity.places import contradicts

if TYPE_CHECKING:
    from hydrometer.identity.cards import Catalogue, IdentityCard

_WHY = {
    "made_by": "says it was made by {name}",
    "is_model": "says it is {name}",
    "built_on": "says it is built on {name}",
    "trained_on": "says it was trained on outputs of {name}",
    "no_maker": "says it has no maker or company",
    "unknown_maker": "names a maker that the card does not know",
    "many_makers": "says that many makers built it",
    "supplied_by": "says that {name} supplies what it uses",
    "place": "gives a place that is not its maker's",
    "denied": "denies {name}, which the card states",
}


def judge(response: str, card: IdentityCard, catalogue: Catalogue, *, query: str = "", template: str = "") -> Judgement:
    """Judge one answer.

    Args:
        response: the answer, as the subject gave it.
        card: what is true of the subject.
        catalogue: the makers and families that can be claimed; the card is added to it.
        query: the identity question; a bare name counts as an answer to it.
        template: the context around the question; role names are read from it.

    Returns:
        The judgement; unparsed, with its error, for an answer without text or in a language that is not read.
    """
    answer = answer_of(response)
    if not answer.strip():
        what = "reasoning without an answer" if response.strip() else "empty response"
        return Judgement(None, None, error=what)
    if not is_read(answer):
        return Judgement(None, None, error="language not read")
    claims = [
        claim
        for claim in extract_claims(response, catalogue.including(card), query=query, template=template)
        if claim.voice in ("own", "role")
    ]
    own = [c for c in claims if c.maker == card.maker.id and c.relation in NAMED and not c.negated]
    foreign = [c for c in claims if _is_foreign(c, card, own)]
    if foreign:
        maker = Counter(c.maker for c in foreign).most_common(1)[0][0]
        model = next((c.family for c in foreign if c.maker == maker and c.family), None)
        return _positive(foreign, strict=True, maker=maker, model=model)
    weak = [c for c in claims if _is_weak(c, card, own)]
    if weak:
        source = weak[0] if weak[0].relation == "trained_on" else None
        return _positive(
            weak, strict=False, maker=source.maker if source else None, model=source.family if source else None
        )
    if not own:
        return Judgement(False, False, explanation="claims no identity")
    family = next((claim.family for claim in own if claim.family), None)
    return Judgement(
        False, False, card.maker.id, family, own[0].text, _spans(own), explanation="affirms its maker or its name"
    )


def _is_foreign(claim: Claim, card: IdentityCard, own: list[Claim]) -> bool:
    if claim.maker in (None, card.maker.id) or claim.negated or not claim.direct or claim.relation not in NAMED:
        return False
    if _is_known_base(claim, card):
        return False
    return not (claim.relation == "made_by" and any(_beside(claim, mine) for mine in own))


def _is_weak(claim: Claim, card: IdentityCard, own: list[Claim]) -> bool:
    if claim.relation in NAMED and claim.maker == card.maker.id:
        return claim.negated and not own
    if (
        claim.negated
        or _is_known_base(claim, card)
        or any(name and name.lower() in claim.text.lower() for name in _true_names(card))
    ):
        return False
    if own and (claim.relation != "unknown_maker" or claim.speaker in {mine.speaker for mine in own}):
        return False
    if claim.relation in ("many_makers", "supplied_by", "trained_on"):
        return claim.maker not in (None, card.maker.id)
    if claim.relation == "place":
        return contradicts(claim.name, card.maker)
    return True


def _beside(claim: Claim, mine: Claim) -> bool:
    """Whether a maker is named together with the card's own: a partner, not another owner."""
    return mine.relation == "made_by" and mine.sentence == claim.sentence


def _is_known_base(claim: Claim, card: IdentityCard) -> bool:
    return claim.relation in ("built_on", "trained_on") and claim.family in card.family.based_on


def _true_names(card: IdentityCard) -> tuple[str, ...]:
    return (*card.maker.names, *card.maker.affiliates, *card.family.names)


def _positive(claims: list[Claim], *, strict: bool, maker: str | None = None, model: str | None = None) -> Judgement:
    first = claims[0]
    reason = _WHY["denied" if first.negated else first.relation].format(name="{name}").replace("{name}", first.name)
    voice = f", in the role of {first.speaker}" if first.speaker else ""
    return Judgement(True, strict, maker, model, first.text, _spans(claims), reason + voice)


def _spans(claims: list[Claim]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted({(claim.start, claim.end) for claim in claims}))
