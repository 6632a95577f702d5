"""Style: manner without matter. Punctuation, function words, register and form of each answer.

Every group of features is a vector of square roots of rates (which steadies the variance of counts), and two answers
are compared by the Bray-Curtis similarity of the group, 1 - sum|a - b| / sum(a + b): 1 for the same manner, 0 for no
feature in common; two answers that both lack all of a group agree. Style is the mean of four: punctuation, function
words, register, and form, which is itself the mean of sentences, formatting and shape.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hydrometer.similarity.lexicon import FUNCTION_WORDS, PUNCTUATION_COLUMNS, REGISTER_CLASSES
from hydrometer.similarity.text import LINE_KINDS, Array, Codes, Kind, Mask, Small, Tokens

_MANNER = ("punctuation", "function words", "register")
_FORM = ("sentences", "formatting", "shape")
_LONG_WORD = 7
_SENTENCE_MARKS = (2, 3, 4)  # columns of full stop, question mark, exclamation mark


def groups(tokens: Tokens) -> dict[str, Array]:
    """Features of each answer by group, each of shape (n, features), not negative."""
    words = tokens.words_per_answer()
    per_word = 1 / np.maximum(words, 1)
    is_word = tokens.kind == Kind.WORD
    punctuation = tokens.kind == Kind.PUNCTUATION
    return {
        "punctuation": _rates(tokens, punctuation, tokens.column, PUNCTUATION_COLUMNS + 1, per_word),
        "function words": _rates(
            tokens, is_word & (tokens.column > 0), tokens.column, len(FUNCTION_WORDS) + 1, per_word
        ),
        "register": _rates(tokens, tokens.register > 0, tokens.register, len(REGISTER_CLASSES) + 1, per_word),
        "sentences": _sentences(tokens, words, per_word),
        "formatting": _formatting(tokens, per_word),
        "shape": _shape(tokens, words),
    }


def likeness(reference: Mapping[str, Array], subject: Mapping[str, Array], *, form: bool = True) -> Array:
    """Style of each pair of answers, in [0, 1], shape (n,). Without `form`, formatting and shape do not count."""
    alike = {name: bray_curtis(reference[name], subject[name]) for name in reference}
    forms = [alike[name] for name in (_FORM if form else _FORM[:1])]
    return np.asarray(np.mean([*(alike[name] for name in _MANNER), np.mean(forms, axis=0)], axis=0))


def bray_curtis(a: Array, b: Array) -> Array:
    """1 - sum|a - b| / sum(a + b) along the last axis; 1 where both are zero."""
    total = (a + b).sum(axis=-1)
    return np.where(total > 0, 1 - np.abs(a - b).sum(axis=-1) / np.where(total > 0, total, 1.0), 1.0)


def _formatting(tokens: Tokens, per_word: Array) -> Array:
    """Roots of the shares of line kinds, and of bold or code marks per word. Shape (n, kinds + 1)."""
    opens = np.isin(tokens.kind, LINE_KINDS)
    filled = opens & ~_before(opens, tokens.answer)
    lines = np.maximum(np.bincount(tokens.answer[filled], minlength=tokens.n), 1)
    marked = [
        np.bincount(tokens.answer[filled & (tokens.kind == kind)], minlength=tokens.n) / lines
        for kind in LINE_KINDS[1:]
    ]
    emphasis = np.bincount(tokens.answer[tokens.kind == Kind.EMPHASIS], minlength=tokens.n)
    return np.sqrt(np.stack([*marked, emphasis * per_word], axis=1))


def _rates(tokens: Tokens, mask: Mask, column: Small, size: int, per_word: Array) -> Array:
    cells = np.bincount(tokens.answer[mask] * size + column[mask], minlength=tokens.n * size)
    return np.sqrt(cells.reshape(tokens.n, size) * per_word[:, None])


def _sentences(tokens: Tokens, words: Codes, per_word: Array) -> Array:
    """Roots of words per sentence (as a rate of 40) and of the mean length and share of long words."""
    is_word = tokens.kind == Kind.WORD
    letters = np.bincount(tokens.answer[is_word], tokens.length[is_word], tokens.n)
    long = np.bincount(tokens.answer[is_word & (tokens.length >= _LONG_WORD)], minlength=tokens.n)
    stops = np.bincount(
        tokens.answer[(tokens.kind == Kind.PUNCTUATION) & np.isin(tokens.column, _SENTENCE_MARKS)], minlength=tokens.n
    )
    return np.stack(
        [np.sqrt(words / np.maximum(stops, 1) / 40), letters * per_word / 10, np.sqrt(long * per_word)], axis=1
    )


def _shape(tokens: Tokens, words: Codes) -> Array:
    """Roots of the numbers of words, lines and blank lines."""
    opens = np.isin(tokens.kind, LINE_KINDS)
    blank = opens & _before(opens, tokens.answer)
    lines = np.bincount(tokens.answer[opens], minlength=tokens.n)
    return np.sqrt(np.stack([words, lines, np.bincount(tokens.answer[blank], minlength=tokens.n)], axis=1))


def _before(mask: Mask, answer: Codes) -> Mask:
    """Whether the next token of the same answer is in the mask."""
    following = np.zeros(len(mask), dtype=bool)
    following[:-1] = mask[1:] & (answer[1:] == answer[:-1])
    return following
