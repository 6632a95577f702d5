"""Sentences in which every known name is one mark, so that the patterns over them hold for any catalogue.

Decoration (emphasis, quotes around a name) is dropped, quotation marks and white space are made one kind, and each
character keeps its way back to its offset in the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hydrometer.identity.lexicon import Mention

MAKER, MODEL, SELF = "\ue000", "\ue001", "\ue002"
ANY = f"[{MAKER}{MODEL}]"

_DROPPED = frozenset(f"*_`#<>{MAKER}{MODEL}{SELF}\ue003")
_TABLE = str.maketrans(
    {**dict.fromkeys(_DROPPED), **dict.fromkeys("“”「」『』", '"'), "’": "'", **dict.fromkeys("\t\u00a0\u3000\r", " ")}
)
_NAME_IN_QUOTES = re.compile(
    r"[\"“「『]((?![^\"”」』\n]{0,30}(?:\b(?:I|my|me|we|our)\b|[\u3400-\u9fff]))[^\"“”「」『』\n]{1,30}"
    r")[\"”」』]"
)


class Hit(NamedTuple):
    """What a pattern found in a marked sentence.

    Attributes:
        relation: how the name, or the lack of one, is tied to "I".
        start: where the matched words start.
        end: where they end.
        at: where the mark of the name stands, `None` where no known name is given.
        negated: whether it is denied.
        name: an unknown name or a place, as written.
    """

    relation: str
    start: int
    end: int
    at: int | None = None
    negated: bool = False
    name: str = ""


def unquote_names(text: str) -> str:
    """The text with the quotes around short names neutralised; offsets stay true."""
    return _NAME_IN_QUOTES.sub("\ue003\\1\ue003", text)


def mark(text: str, start: int, end: int, mentions: list[Mention]) -> str:
    """The stretch of text with its mentions as marks and without decoration."""
    parts: list[str] = []
    for mention in mentions:
        parts.append(text[start : mention.start].translate(_TABLE))
        parts.append(SELF if mention.name is None else MODEL if mention.name.family else MAKER)
        start = mention.end
    parts.append(text[start:end].translate(_TABLE))
    return "".join(parts)


def origins(text: str, start: int, end: int, mentions: list[Mention]) -> list[int]:
    """For each character of the marked stretch, the offset in the text that it stands for."""
    kept: list[int] = []
    for mention in mentions:
        kept += [i for i in range(start, mention.start) if text[i] not in _DROPPED]
        kept.append(mention.start)
        start = mention.end
    return kept + [i for i in range(start, end) if text[i] not in _DROPPED]


def nearest(pattern: re.Pattern[str], sentence: str, match: re.Match[str]) -> re.Match[str]:
    """The shortest match that still gives the same name: what stands before it is another clause."""
    at = match.start("n")
    while (closer := pattern.search(sentence, match.start() + 1, match.end())) and closer.start("n") == at:
        match = closer
    return match
