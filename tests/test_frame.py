"""The dialogue frame of base models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.models.base import Message
from hydrometer.models.frame import STOPS, frame_prompt, frame_stops, trim_at_stop


def test_a_conversation_becomes_a_transcript_that_the_assistant_continues() -> None:
    turns = [
        Message("system", "Be brief."),
        Message("user", "Who are you?\n"),
        Message("assistant", "Nobody."),
        Message("user", "你是谁?"),
    ]
    assert frame_prompt(turns) == (
        "System: Be brief.\n\nUser: Who are you?\n\nAssistant: Nobody.\n\nUser: 你是谁?\n\nAssistant:"
    )


@pytest.mark.parametrize(
    ("text", "answer", "cut"),
    [
        (" I am a model.\n\nUser: and you?", "I am a model.", True),
        (" One.\nAssistant: Two.", "One.", True),
        (" no end", "no end", False),
        (" cut by the token limit\n\nUser", "cut by the token limit", False),
        ("\nUser: at once", "", True),
        (" the User: inside a line stays", "the User: inside a line stays", False),
    ],
)
def test_an_answer_ends_where_the_next_turn_begins(text: str, answer: str, cut: bool) -> None:
    assert trim_at_stop(text) == (answer, cut)


def test_the_callers_own_stops_cut_too_even_those_that_are_not_sent() -> None:
    own = ("END", "###", "***", "~~~")
    sent = frame_stops(own)
    assert len(sent) == 4
    assert sent[0] == STOPS[0]
    assert trim_at_stop("one ~~~ two", own) == ("one", True)


@given(st.text(), st.lists(st.text(max_size=4), max_size=3).map(tuple))
def test_no_stop_is_ever_left_in_an_answer(text: str, own: tuple[str, ...]) -> None:
    answer, cut = trim_at_stop(text, own)
    assert not any(mark in answer for mark in (*STOPS, *own) if mark)
    assert answer in text
    assert cut or answer == answer.strip()
