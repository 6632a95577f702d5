"""One recorded answer, whatever file it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hydrometer.rows import Row

#: Between the answers of one conversation, where they are shown as one text.
TURN_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded answer.

    Attributes:
        prompt_id: which prompt it answers.
        sample: index of the draw, from 0.
        turns: the answer to each turn of the user; a text that is empty was recorded empty.
        prompt: the user's turns, empty where they are not recorded.
        category: of the prompt.
        language: of the prompt.
        set: of the prompt.
    """

    prompt_id: str
    sample: int
    turns: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    category: str = ""
    language: str = ""
    set: str = ""

    @property
    def text(self) -> str:
        """All answers of the conversation."""
        return TURN_BREAK.join(self.turns)


class Answer(NamedTuple):
    """A recorded answer with the model that gave it.

    Attributes:
        row: where it stands in its file.
        model: the model's name in the file.
        recorded: the answer.
    """

    row: Row
    model: str
    recorded: Recorded
