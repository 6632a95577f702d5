"""Hostile text made visible: control, bidirectional and invisible characters are shown, never obeyed."""

from __future__ import annotations

import unicodedata

#: Zero-width joiners: part of many scripts and of emoji, and without any power over the text around them.
_JOINERS = "\u200c\u200d"
_SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class _Visible(dict[int, str]):
    """A table for `str.translate` that works out each character when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in "\n\t" or character in _JOINERS or unicodedata.category(character) not in _SHOWN:
            shown = character
        else:
            shown = f"‹U+{code:04X}›"
        self[code] = shown
        return shown


_TABLE = _Visible()


def visible(text: str) -> str:
    """The text with every character that has no glyph, or power over its neighbours, replaced by its code.

    An escape is shown as `‹U+001B›`, a right-to-left override as `‹U+202E›`. (Unicode has pictures of the control
    characters, but many fonts do not.) Line feeds, tabs and zero-width joiners stay; a carriage return before a line
    feed is dropped. The result is always encodable, prints no terminal escape and cannot reorder the text around it.
    """
    if text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_TABLE)


def label(text: str, limit: int = 80) -> str:
    """A name for a heading or a table cell: visible, on one line, cut with an ellipsis after `limit` characters."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def encodable(text: str) -> str:
    """The text with lone surrogates, which no encoding of Unicode can carry, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
