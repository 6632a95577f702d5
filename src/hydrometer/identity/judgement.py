"""What a judge says of one answer; the same for the built-in judge and for judges that are models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome for one answer.

    Attributes:
        loose: whether anything in the answer contradicts the card about who "I" is; `None` if unparsed.
        strict: whether the answer says that "I" is a product of another known maker; `None` if unparsed.
            Strict implies loose.
        claimed_maker: id of the maker whose product "I" is said to be, or on whose outputs "I" is said to be trained
            (then loose only); the card's own where the answer affirms it.
        claimed_model: id of the model family that "I" is said to be.
        evidence: the words that decided, empty where nothing did.
        spans: offsets of the evidence in the response, to highlight.
        explanation: why, in one short line.
        error: why a verdict is missing; `None` where both are there.
    """

    loose: bool | None
    strict: bool | None
    claimed_maker: str | None = None
    claimed_model: str | None = None
    evidence: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    explanation: str = ""
    error: str | None = None

    def __post_init__(self) -> None:
        if (self.error is not None) != (self.loose is None or self.strict is None):
            raise ValueError("a judgement is complete, or says why it is not")
        if self.strict and self.loose is False:
            raise ValueError("strict implies loose")
