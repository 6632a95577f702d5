"""Answers as streams of tokens: words, punctuation and marks of formatting, read once and counted many times.

A column of answers becomes one array of vocabulary indices; everything known of a token (is it a word, how long,
which function word, which kind of discourse unit) is looked up by index, so that each count is a few array
operations. English and other alphabetic text is cut into words, Chinese into characters: n-grams of characters do
there what n-grams of words do elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hydrometer.similarity.lexicon import CHINESE_WORDS, CUES, FUNCTION_WORDS, PUNCTUATION, REGISTER

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Small = NDArray[np.int16]


class Kind(IntEnum):
    """What a token is."""

    END = 0  # of an answer
    WORD = 1  # a word, a number, or one Chinese character
    PUNCTUATION = 2
    LINE = 3  # the beginning of a line without a mark
    HEADING = 4
    BULLET = 5
    NUMBERED = 6
    QUOTE = 7
    CODE = 8  # a code fence
    TABLE = 9
    EMPHASIS = 10  # bold or inline code


#: Marks that open a line.
LINE_KINDS = (Kind.LINE, Kind.HEADING, Kind.BULLET, Kind.NUMBERED, Kind.QUOTE, Kind.CODE, Kind.TABLE)

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_ANY_HAN = re.compile(rf"[{_HAN}]")
_CHINESE = re.compile(rf"({'|'.join(CHINESE_WORDS)}|[{_HAN}])")
_TOKEN = re.compile(
    r"\w+(?:['’]\w+)*"
    r"|\n[ \t]*(?:\#{1,6}[ \t]+|\*\*(?=[^*\n]{1,80}\*\*[:：]?[ \t]*[\n\x00])|[-*+•·][ \t]+|[0-9]{1,3}[.)、](?![0-9])"
    r"|(?:[一二三四五六七八九十] *){1,3}、|[(（][0-9]{1,2}[)）]|>|```|\|)?"
    r"|\*\*|[^\w\s]|\x00"
)
_LINE_MARKS = (
    (re.compile(r"#|\*\*"), Kind.HEADING),
    (re.compile(r"[-*+•·]"), Kind.BULLET),
    (re.compile(r"[0-9]|[一二三四五六七八九十(（]"), Kind.NUMBERED),
    (re.compile(r">"), Kind.QUOTE),
    (re.compile(r"`"), Kind.CODE),
    (re.compile(r"\|"), Kind.TABLE),
)


class Vocabulary(dict[str, int]):
    """Indices of tokens by first appearance, with what is known of each; it grows as texts are read.

    No result depends on the order of the indices: n-grams are made of hashes of the words themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hashes: list[int] = []
        self._facts: list[tuple[int, int, int, int, int]] = []
        self._tables: tuple[Hashes, Small] = (np.zeros(0, dtype=np.uint64), np.zeros((5, 0), dtype=np.int16))

    def __missing__(self, token: str) -> int:
        kind = _kind_of(token)
        word = token.lower().replace("’", "'") if kind is Kind.WORD else token
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        column = PUNCTUATION.get(token, 0) if kind is Kind.PUNCTUATION else FUNCTION_WORDS.get(word, 0)
        self._hashes.append(int.from_bytes(digest, "little"))
        self._facts.append((kind, min(len(word), 99), column, CUES.get(word, 0), REGISTER.get(word, 0)))
        index = len(self)
        self[token] = index
        return index

    def tables(self) -> tuple[Hashes, Small]:
        """Hash by index, shape (size,), and kind, length, column, cue and register by index, shape (5, size)."""
        known = len(self._tables[0])
        if known < len(self):
            facts = np.array(self._facts[known:], dtype=np.int16).T
            hashes = np.array(self._hashes[known:], dtype=np.uint64)
            old_hashes, old_facts = self._tables
            self._tables = np.concatenate([old_hashes, hashes]), np.concatenate([old_facts, facts], axis=1)
        return self._tables


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of n answers in one stream; all arrays have one entry a token.

    Attributes:
        n: number of answers.
        answer: index of the answer, 0..n-1, ascending.
        hashes: hash of the token.
        kind: `Kind`.
        length: characters.
        column: index in the word list of its kind (function words, punctuation marks), 0 for none.
        cue: class of discourse cue, 0 for none.
        register: class of register, 0 for none.
    """

    n: int
    answer: Codes
    hashes: Hashes
    kind: Small
    length: Small
    column: Small
    cue: Small
    register: Small

    def where(self, mask: Mask) -> Tokens:
        """The tokens for which `mask` holds."""
        return Tokens(
            self.n,
            self.answer[mask],
            self.hashes[mask],
            self.kind[mask],
            self.length[mask],
            self.column[mask],
            self.cue[mask],
            self.register[mask],
        )

    def words_per_answer(self) -> Codes:
        """Words in each answer, shape (n,)."""
        return np.bincount(self.answer[self.kind == Kind.WORD], minlength=self.n)

    def first_words(self, limits: Codes) -> Tokens:
        """Each answer up to its `limits[i]`-th word."""
        is_word = self.kind == Kind.WORD
        running = np.cumsum(is_word)
        before = np.concatenate([[0], np.cumsum(self.words_per_answer())])[:-1]
        return self.where(running - before[self.answer] <= limits[self.answer])


def tokenise(texts: Sequence[str], vocabulary: Vocabulary) -> Tokens:
    """Cut answers into tokens. An empty answer has none."""
    cleaned = (_clean(text) for text in texts)
    found = _TOKEN.findall("".join(f"\n{text}\x00" if text else "\x00" for text in cleaned))
    index = np.fromiter(map(vocabulary.__getitem__, found), dtype=np.int64, count=len(found))
    hashes, facts = vocabulary.tables()
    ends = facts[0][index] == Kind.END
    answer = np.cumsum(ends)[~ends]
    index = index[~ends]
    return Tokens(len(texts), answer, hashes[index], *(fact[index] for fact in facts))


def ngrams(tokens: Tokens, size: int) -> tuple[Hashes, Codes]:
    """Hashes of all n-grams of consecutive words within an answer, and the answers that they are in."""
    is_word = tokens.kind == Kind.WORD
    words, answer = tokens.hashes[is_word], tokens.answer[is_word]
    hashes, long = words, 1
    while 2 * long <= size:
        hashes, long = _mixed(hashes[:-long], hashes[long:]), 2 * long
    for step in range(long, size):
        hashes = _mixed(hashes[:-1], words[step:])
    first = answer[: len(hashes)]
    inside = first == answer[size - 1 :]
    return hashes[inside], first[inside]


def plain(tokens: Tokens) -> Tokens:
    """Words and punctuation without marks of formatting and without padding.

    Padding is a run of `RUN` words that stands nearer to the beginning elsewhere, in this answer or another of the
    model's, or that is in more than `BOILERPLATE` of its answers (and at least 3). Punctuation goes with its word.
    """
    tokens = tokens.where((tokens.kind == Kind.WORD) | (tokens.kind == Kind.PUNCTUATION))
    at = np.flatnonzero(tokens.kind == Kind.WORD)
    answers = tokens.answer[at]
    hashes, answer = ngrams(tokens, RUN)
    inside = np.flatnonzero(answers[: len(at) - RUN + 1] == answers[RUN - 1 :]) if len(at) >= RUN else at[:0]
    place = inside - np.searchsorted(answers, answer)
    padding = _padding(hashes, answer, place, max(2.0, BOILERPLATE * tokens.n))
    marks = np.zeros(len(at) + 1, dtype=np.int64)
    np.add.at(marks, inside[padding], 1)
    np.add.at(marks, np.minimum(inside[padding] + RUN, len(at)), -1)
    dropped_word = np.cumsum(marks)[:-1] > 0
    dropped = np.zeros(len(tokens.kind), dtype=bool)
    dropped[at] = dropped_word
    word_number = np.cumsum(tokens.kind == Kind.WORD) - 1
    follows = (tokens.kind == Kind.PUNCTUATION) & (word_number >= 0)
    dropped[follows] = dropped_word[word_number[follows]] & (answers[word_number[follows]] == tokens.answer[follows])
    return tokens.where(~dropped)


def _padding(hashes: Hashes, answer: Codes, place: Codes, widest: float) -> Mask:
    """Which n-grams stand nearer to the beginning elsewhere, or are in more than `widest` answers."""
    if not len(hashes):
        return np.zeros(0, dtype=bool)
    order = np.argsort(hashes, kind="stable")
    ordered, owner, where = hashes[order], answer[order], place[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    group = np.cumsum(first) - 1
    new_answer = first.copy()
    new_answer[1:] |= owner[1:] != owner[:-1]
    spread = np.bincount(group, new_answer)
    nearest = np.minimum.reduceat(where, np.flatnonzero(first))
    found = np.empty(len(order), dtype=bool)
    found[order] = (where > nearest[group]) | (spread > widest)[group]
    return found


RUN = 8
"""Consecutive words that are not the same by chance."""
BOILERPLATE = 0.02
"""Share of a model's answers in which a run of words may stand and still be an answer to the prompt."""


_ANSWER_BITS = np.uint64(18)
#: More answers than this cannot be told apart in a key.
MAX_ANSWERS = 1 << int(_ANSWER_BITS)


def at_answer(hashes: Hashes, answer: Codes) -> Hashes:
    """Keys: 46 bits of each hash, then the index of its answer."""
    return (hashes << _ANSWER_BITS) | answer.astype(np.uint64)


def answer_of(keys: Hashes) -> Codes:
    """Index of the answer of each key."""
    return (keys & np.uint64(MAX_ANSWERS - 1)).astype(np.int64)


def gram_of(keys: Hashes) -> Hashes:
    """The part of each key that is the n-gram's."""
    return keys >> _ANSWER_BITS


def counted(hashes: Hashes, answer: Codes) -> tuple[Hashes, Codes]:
    """Distinct keys, ascending, and how often each occurs."""
    keys, counts = np.unique(at_answer(hashes, answer), return_counts=True)
    return keys, counts


_PRIME_A = np.uint64(0x9E3779B97F4A7C15)
_PRIME_B = np.uint64(0xC2B2AE3D27D4EB4F)


def _mixed(left: Hashes, right: Hashes) -> Hashes:
    mixed = (left * _PRIME_A) ^ (right + _PRIME_B)
    mixed ^= mixed >> np.uint64(29)
    mixed *= _PRIME_B
    return np.asarray(mixed ^ (mixed >> np.uint64(32)))


def _clean(text: str) -> str:
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n").replace("\x00", " ")
    return text if text.isascii() or not _ANY_HAN.search(text) else _CHINESE.sub(r" \1 ", text)


def _kind_of(token: str) -> Kind:
    if token == "\x00":  # noqa: S105
        return Kind.END
    if token[0] == "\n":
        mark = token[1:].strip(" \t")
        if not mark:
            return Kind.LINE
        return next(kind for pattern, kind in _LINE_MARKS if pattern.match(mark))
    if token in {"**", "`"}:
        return Kind.EMPHASIS
    return Kind.WORD if token[0].isalnum() else Kind.PUNCTUATION
