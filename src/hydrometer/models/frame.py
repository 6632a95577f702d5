"""The plain dialogue frame in which a base model is asked, for it knows no chat template.

The frame is a transcript: each turn opens with its speaker, the last line opens the assistant's turn, and the
model continues it. It ends where a next speaker would begin. No sentence of the frame names a model or a maker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hydrometer.models.base import Message

SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}
STOPS = ("\nUser:", "\nSystem:", "\nAssistant:")
_OPENING = re.compile(r"\n(?:User|System|Assistant)\s*\Z")


def frame_prompt(messages: Iterable[Message]) -> str:
    """Write messages as a transcript that a base model continues.

    Args:
        messages: the conversation, oldest first.

    Returns:
        `User: ...`, a blank line between turns, and `Assistant:` at the end, unless the last message is the
        assistant's, which is then to be continued.
    """
    messages = list(messages)
    turns = [f"{SPEAKERS[message.role]}: {message.content.strip()}" for message in messages]
    begun = bool(messages) and messages[-1].role == "assistant"
    return "\n\n".join(turns if begun else [*turns, "Assistant:"])


def frame_stops(stop: tuple[str, ...] = (), limit: int = 4) -> tuple[str, ...]:
    """Stop strings to send: those of the frame and the caller's own, at most `limit` (what services accept).

    `trim_at_stop` cuts at all of them in any case.
    """
    return tuple(dict.fromkeys((STOPS[0], *stop, *STOPS[1:])))[:limit]


def trim_at_stop(text: str, stop: tuple[str, ...] = ()) -> tuple[str, bool]:
    """Cut a continuation where the next turn or a stop string begins.

    Args:
        text: what the model wrote after `Assistant:`.
        stop: the caller's own stop strings.

    Returns:
        The answer without surrounding white space and without the name of a next speaker that the token limit
        cut off before its colon, and whether it was cut at a stop.
    """
    cut = min((at for mark in (*STOPS, *stop) if mark and (at := text.find(mark)) >= 0), default=-1)
    return _OPENING.sub("", text if cut < 0 else text[:cut]).strip(), cut >= 0
