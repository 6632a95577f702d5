"""Cuts an answer into sentences and says in whose voice each one is spoken.

A speaker label at the start of a line (`[Claude]: ...`, `DAN: ...`, `(ChatGPT) ...`) gives the line, and the
unlabelled lines after it, to that speaker. Reasoning in `<think>` is not part of the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 400  # characters of one sentence; longer ones are cut, so that every pattern stays linear

_REASONING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LINE = re.compile(r"[^\n]+")
_SENTENCE = re.compile(
    r"[^.!?。！？;；]*(?:[.!?](?!\s|$|[*_\"'”’)\]])[^.!?。！？;；]*)*[.!?。！？;；]*[\"'”’)\]*_]*\s*"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Inc|Ltd|Co|Corp|Dr|Mr|Mrs|Ms|St|No|vs|e\.g|i\.e|U\.S|Prof|approx)|^\s*\d{1,2}|^\s*)\.\s*$"
)
_LABEL = re.compile(
    r"\s*(?:<[^<>\n]{1,40}>\s*)*[^\w\s\[(【（<\"'“]{0,4}\s*(?:[\[(【（][^\w\n]{0,3}"
    r"(?P<boxed>[^\[\](){}【】（）\n]{1,40})[\])】）][*_]*\s*[:：]?|"
    r"(?P<plain>[^\W\d_][\w.+'’-]{0,20}(?: [A-Z(][\w.+'’)-]{0,20}){0,3}|[α-ωΑ-Ω])[*_]*\s*[:：]|"
    r"(?P<bare>[α-ωΑ-Ω])(?=\s))[*_]*"
)
_USER = re.compile(
    r"(?:user|human|question|query|prompt|system|you|用户|问|问题|提问|人类|系统)(?: ?\d+)?", re.IGNORECASE
)
_USER_LINE = re.compile(r"\W*(?P<who>user|human|assistant|system)\W*", re.IGNORECASE)
_NOT_A_SPEAKER = re.compile(
    r"(?:note|answer|response|warning|disclaimer|summary|conclusion|question|headquarters|location|name|main|"
    r"company|team|products?|partners?|developers?|creators?|owner|example|first|second|third|regarding|https?|"
    r"models?(?= name|$)|ai model|maker|organi[sz]ation|provider|vendor|manufacturer|parent|identity|full name|"
    r"sure|yes|no|well|名字|姓名|模型|型号|身份|开发商|开发方|开发公司|所属公司|机构|组织|厂商|提供商|提供者|制造商|创造者|创建者|母公司|回答|答案|答|注意?|注|例如|比如|公司|总部|团队|开发者|开发团队|名称|主营业务|说明|总之|"
    r"以下|抱歉|问题)\b",
    re.IGNORECASE,
)
_REPORTED = re.compile(r"(?:\b(?:said|says|say|asked|asks|replied|wrote|writes)|说道?|问道?|写道|回答道?|声称)$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch of the answer: offsets into it, and the label of its speaker where it has one."""

    start: int
    end: int
    speaker: str | None
    asked: bool  # spoken by the other side of the dialogue: a user's or system's turn


def answer_of(response: str) -> str:
    """The response with its reasoning blanked out; offsets stay true."""
    if "<think" not in response.lower() and "</think" not in response.lower():
        return response
    close = response.lower().rfind("</think")
    if "<think" not in response.lower()[:close] and close >= 0:
        return " " * close + response[close:]
    return _REASONING.sub(lambda match: " " * len(match.group()), response)


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of an answer, in order."""
    speaker: str | None = None
    asked = False
    for line in _LINE.finditer(text):
        start, end = line.span()
        turn = _USER_LINE.fullmatch(line.group()) if end - start < 20 else None
        if turn:
            asked = turn["who"].lower() != "assistant"
            speaker = None
            continue
        label = _LABEL.match(text, start, min(end, start + 80))
        name = (label["boxed"] or label["plain"] or label["bare"]).strip() if label else ""
        if label and not _REPORTED.search(name):
            if not (label["plain"] and _NOT_A_SPEAKER.match(name)):
                speaker, asked = name, bool(_USER.fullmatch(name))
            start = label.end()
        for first, last in _cut(text, start, end):
            yield Sentence(first, last, speaker, asked)


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    first = start
    position = start
    while position < end:
        match = _SENTENCE.match(text, position, min(end, first + LONGEST))
        position = match.end() if match and match.end() > position else min(end, position + 1)
        if (
            position < end
            and position - first < LONGEST
            and _ABBREVIATION.search(text, max(first, position - 12), position)
        ):
            continue
        yield first, position
        first = position
