"""Finds the names of known makers and families in a text, in one pass.

Three strengths of name: most match in any case; `cased` ones only in their own capitalisation (`Meta`, not
`meta`); `common` ones (`Nova`, `Yi`) only beside a word such as "model" or before a version number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hydrometer.identity.cards import Catalogue


@dataclass(frozen=True, slots=True)
class Name:
    """Whom a name stands for: a maker, or one family of a maker."""

    maker: str
    family: str | None


@dataclass(frozen=True, slots=True)
class Mention:
    """One occurrence of a known name, or (`name` is `None`) of a name that the speaker gives itself.

    `start` and `end` are offsets into the text.
    """

    start: int
    end: int
    name: Name | None


_MODEL_WORD = re.compile(
    r"[\s-]*(?:\d+(?:\.\d+)?[bB]\b|v?\d|(?:large |language |chat |AI )*(?:model|LLM|AI\b|"
    r"assistant|chatbot)|大模型|模型|大语言模型)"
)
_CASED, _COMMON = 1, 2


class Lexicon:
    """All names of a catalogue, compiled once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._any_case: dict[str, Name] = {}
        self._exact: dict[str, tuple[Name, int]] = {}
        for family in catalogue.families:
            name = Name(family.maker, family.id)
            self._add(name, (family.name, *family.aliases, *family.aliases_zh), family.cased, family.common)
        for maker in catalogue.makers:
            self._add(Name(maker.id, None), (maker.name, *maker.aliases, *maker.aliases_zh), maker.cased, ())
        words = sorted({*self._any_case, *(word.casefold() for word in self._exact)})
        self._pattern = re.compile(f"(?<![a-z0-9])(?:{_trie(words)})(?!(?<=[a-z0-9])[a-z])") if words else None

    def _add(self, name: Name, any_case: tuple[str, ...], cased: tuple[str, ...], common: tuple[str, ...]) -> None:
        exact = [(word, _CASED) for word in cased] + [(word, _COMMON) for word in common]
        for word, strength in exact:
            self._exact[word] = (name, strength)
        for word in any_case:
            if word not in cased:
                self._any_case[word.casefold()] = name

    def knows(self, word: str) -> bool:
        """Whether the word is a name of the catalogue."""
        return word in self._exact or word.casefold() in self._any_case

    def mentions(self, text: str) -> Iterator[Mention]:
        """Every known name in the text, longest match first, left to right."""
        if self._pattern is None:
            return
        for match in self._pattern.finditer(fold(text)):
            start, end = match.span()
            name = self._any_case.get(match.group())
            if name is None:
                entry = self._exact.get(text[start:end])
                if entry is None or (entry[1] == _COMMON and not _MODEL_WORD.match(text, end)):
                    continue
                name = entry[0]
            yield Mention(start, end, name)


@lru_cache(maxsize=32)
def lexicon_of(catalogue: Catalogue) -> Lexicon:
    """The compiled names of a catalogue; the same catalogue is compiled once."""
    return Lexicon(catalogue)


def fold(text: str) -> str:
    """Lower case of the same length, so that offsets stay true."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _trie(words: list[str]) -> str:
    """A regular expression for a set of words that shares their prefixes and prefers the longest word."""
    branches: dict[str, list[str]] = {}
    for word in words:
        if word:
            branches.setdefault(word[0], []).append(word[1:])
    parts = [re.escape(char) + _trie(tails) for char, tails in branches.items()]
    if not parts:
        return ""
    body = parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
    return f"(?:{body})?" if "" in words else body
