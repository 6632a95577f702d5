"""Texts as streams of hashed words and marks, cut with a few array operations instead of a loop over words.

Texts are lowered and laid end to end as UTF-8 bytes. A word is a run of letters and digits, with apostrophes inside;
Chinese, Japanese and Thai, which do not part their words by spaces, are cut into characters. A mark is a run of one
and the same sign of punctuation, or of line breaks. The hash of a token is a polynomial in its bytes, read off two
prefix sums, then mixed. Before that, characters that do not show are taken out, and typographic quotes and dashes
become those of a keyboard: whether a service sends one or the other says nothing about the model, and no word is to
fall in two by what nobody sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

_SPACE, _LETTER, _MARK, _SIGN = 0, 1, 2, 3
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_PRIME_A = np.uint64(0x9E3779B97F4A7C15)
_PRIME_B = np.uint64(0xC2B2AE3D27D4EB4F)
#: Format characters and variation selectors.
_UNSEEN = r"[\p{Cf}\x{FE00}-\x{FE0F}]"
_PLAIN = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
}


def _ascii_classes() -> Bytes:
    classes = np.full(256, _LETTER, dtype=np.uint8)
    for byte in range(128):
        letter = chr(byte)
        if not (letter.isalnum() or letter == "_"):
            classes[byte] = _MARK
    classes[list(b" \t\r\x0b\x0c")] = _SPACE
    return classes


_CLASSES = _ascii_classes()


@dataclass(frozen=True, slots=True)
class Stream:
    """The tokens of n texts; all arrays have one entry a token.

    Attributes:
        n: number of texts.
        text: index of the text, ascending.
        hashes: hash of the token.
        word: whether it is a word (or a character of a script without spaces), not a mark.
        size: bytes of the token.
    """

    n: int
    text: Codes
    hashes: Hashes
    word: Mask
    size: Codes

    def where(self, kept: Mask) -> Stream:
        """The tokens for which `kept` holds."""
        return Stream(self.n, self.text[kept], self.hashes[kept], self.word[kept], self.size[kept])


def mixed(left: Hashes, right: Hashes | np.uint64) -> Hashes:
    """One hash of two, depending on their order."""
    out = (left * _PRIME_A) ^ (right + _PRIME_B)
    out ^= out >> np.uint64(29)
    out *= _PRIME_B
    return np.asarray(out ^ (out >> np.uint64(32)))


def stream(texts: pl.Series, longest: int) -> Stream:
    """Cut texts into tokens.

    Args:
        texts: strings, shape (n,); null is read as empty.
        longest: characters of each text that are read.
    """
    lowered = _plain(texts.fill_null(""), longest).str.to_lowercase().str.replace_all("\x00", " ", literal=True)
    joined = ("\n" + "\x00\n".join(lowered.to_list()) + "\x00").encode() if len(texts) else b""
    return _cut(np.frombuffer(joined, dtype=np.uint8), len(texts))


def _plain(texts: pl.Series, longest: int) -> pl.Series:
    """The beginnings of texts, without what does not show and with quotes and dashes as on a keyboard."""
    heads = texts.str.head(longest)
    wide = heads.str.len_bytes() != heads.str.len_chars()
    if not wide.any():
        return heads
    shown = texts.filter(wide).str.replace_all(_UNSEEN, "").str.head(longest)
    return heads.scatter(wide.arg_true(), shown.str.replace_many(list(_PLAIN), list(_PLAIN.values())))


@cache
def token_hashes(words: tuple[str, ...]) -> Hashes:
    """Hashes of single tokens, shape (words,)."""
    found = stream(pl.Series(words), max(map(len, words)))
    return found.hashes[found.word]


def _cut(text: Bytes, n: int) -> Stream:
    classes = _classes(text)
    edge = np.empty(len(text), dtype=bool)
    edge[:1] = True
    edge[1:] = (classes[1:] != classes[:-1]) | ((classes[1:] == _MARK) & (text[1:] != text[:-1]))
    lead = (text & 0xC0) != 0x80
    edge |= (classes == _SIGN) & lead
    edge &= lead | (classes < _MARK)
    at = np.flatnonzero(edge)
    ends = np.append(at[1:], len(text))
    kind = classes[at]
    stop = text[at] == 0
    kept = (kind != _SPACE) & ~stop
    owner = np.cumsum(stop)[kept]
    starts, ends, kind = at[kept], ends[kept], kind[kept]
    return Stream(n, owner, _hashes(text, starts, ends), (kind & 1) == 1, ends - starts)


def _classes(text: Bytes) -> Bytes:
    classes = _CLASSES[text]
    quote = np.flatnonzero(text == ord("'"))
    quote = quote[(quote > 0) & (quote < len(text) - 1)]
    classes[quote[(classes[quote - 1] == _LETTER) & (classes[quote + 1] == _LETTER)]] = _LETTER
    wide = np.flatnonzero(text >= 0xC0)
    if len(wide):
        first, second = text[wide], text[wide + 1]
        kind = np.full(len(wide), _LETTER, dtype=np.uint8)
        kind[(first == 0xC2) | (first == 0xE2) | (first >= 0xF0) | ((first == 0xEF) & (second >= 0xB8))] = _MARK
        kind[(first == 0xE3) & (second == 0x80)] = _MARK
        unspaced = ((first >= 0xE3) & (first <= 0xE9)) | ((first == 0xE0) & (second >= 0xB8) & (second <= 0xBB))
        kind[unspaced & (kind == _LETTER)] = _SIGN
        length = 2 + (first >= 0xE0).astype(np.int64) + (first >= 0xF0)
        kind[(first == 0xC2) & (second == 0xA0)] = _SPACE
        for step in range(4):
            inside = length > step
            classes[wide[inside] + step] = kind[inside]
    return classes


@cache
def _powers(base: int, bits: int) -> Hashes:
    """The first 2^bits powers of `base` modulo 2^64."""
    factors = np.full(1 << bits, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


def _hashes(text: Bytes, starts: Codes, ends: Codes) -> Hashes:
    bits = max(16, len(text).bit_length())
    up, down = _powers(_BASE, bits), _powers(_INVERSE, bits)
    sums = np.zeros(len(text) + 1, dtype=np.uint64)
    np.cumsum((text.astype(np.uint64) + np.uint64(1)) * up[: len(text)], out=sums[1:])
    value = (sums[ends] - sums[starts]) * down[starts]
    value ^= value >> np.uint64(31)
    value *= _PRIME_B
    return np.asarray(value ^ (value >> np.uint64(29)))
