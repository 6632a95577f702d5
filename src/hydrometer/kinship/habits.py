"""Habits: what an answer chooses to say and how, as hashed features that either are there or not.

Four kinds of choices: phrases (runs of one to three tokens; words, punctuation, marks of formatting and line breaks
alike), openings (how the answer begins), marks (runs of punctuation and formatting alone, the words taken out) and
templates (runs of four tokens in which only function words and marks are left standing, which is what can be known of
syntax without a tagger). Only the first `WORDS` words are read: a long answer weighs and costs no more than a short
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hydrometer.kinship.words import Codes, Hashes, Stream, mixed, stream, token_hashes
from hydrometer.similarity.lexicon import FUNCTION_WORDS

if TYPE_CHECKING:
    from hydrometer.response_table import ResponseTable

Array = NDArray[np.float64]

#: Words of an answer that are read: how it begins tells most, and where answers differ in length, so would the number
#: of choices to compare. Between 80 and 150 it makes no difference to what is found.
WORDS = 100
#: Characters of an answer that are read at most: enough for `WORDS` long words with their marks.
CHARACTERS = 10 * WORDS
#: Longest run of tokens that is a phrase.
PHRASE = 3
#: Words of the opening: each beginning of up to so many words is a feature.
OPENING = 8
#: Longest run of marks.
MARKS = 4
#: Tokens of a template.
TEMPLATE = 4

KINDS = ("phrase", "opening", "mark", "template")

_CHUNK_CHARACTERS = 1_500_000
#: Features are kind (2 bits) and hash (46 bits); the 16 lowest bits of a sorting key are the answer's row.
_ROW_BITS = np.uint64(16)
_HASH_BITS = np.uint64(46)
_HASH_MASK = np.uint64((1 << 46) - 1)
_ROW_MASK = np.uint64((1 << 16) - 1)
MAX_ANSWERS = 1 << 16
_SLOT = np.uint64(0x51)
_LOW = np.uint64(0xFFFF)


@dataclass(frozen=True, slots=True)
class PromptHabits:
    """The features of all answers to one prompt.

    Attributes:
        prompt: index into the table's prompts.
        answer_model: model of each answer, ascending, shape (m,).
        answer_sample: sample number of each answer, shape (m,).
        features: distinct features, ascending, so by kind: see `kind_of`. Shape (f,).
        row: answer of each present feature, shape (nnz,).
        column: index in `features` of each present feature, ascending, shape (nnz,).
        words: words that are read of each answer, shape (m,).
        word_length: mean bytes of these words, 0 without any, shape (m,).
        alone: features of each kind that no other answer has and that are not listed, shape (m, kinds).
    """

    prompt: int
    answer_model: Codes
    answer_sample: Codes
    features: Hashes
    row: Codes
    column: Codes
    words: Codes
    word_length: Array
    alone: Codes


def kind_of(features: Hashes) -> Codes:
    """Index in `KINDS` of each feature."""
    return (features >> _HASH_BITS).astype(np.int64)


def habits(table: ResponseTable) -> Iterator[PromptHabits]:
    """The features of all answers, prompt by prompt, in the order of the table's batches."""
    for part in chunks(table):
        yield from habits_of(part)


def chunks(table: ResponseTable) -> Iterator[pl.DataFrame]:
    """The table's rows in pieces of whole prompts, small enough for the processor's cache."""
    for batch in table.batches():
        sizes = np.minimum(batch["response"].str.len_bytes().fill_null(0).to_numpy(), CHARACTERS)
        prompts = batch["prompt"].to_numpy()
        starts = _starts(prompts)
        done = np.concatenate([[0], np.cumsum(sizes)])
        cuts = starts[_starts(done[starts] // _CHUNK_CHARACTERS)]
        for start, end in zip(cuts.tolist(), [*cuts[1:].tolist(), len(prompts)], strict=True):
            yield batch.slice(start, end - start)


def habits_of(part: pl.DataFrame) -> list[PromptHabits]:
    """The features of the answers in a piece of whole prompts (columns model, prompt, sample, response)."""
    tokens = first_words(stream(part["response"], CHARACTERS))
    found = features_of(tokens)
    words = np.bincount(tokens.text[tokens.word], minlength=tokens.n)
    length = np.bincount(tokens.text[tokens.word], tokens.size[tokens.word], tokens.n) / np.maximum(words, 1)
    prompts, models, samples = (part[name].to_numpy().astype(np.int64) for name in ("prompt", "model", "sample"))
    starts = _starts(prompts)
    bounds = [np.searchsorted(owner, np.append(starts, len(prompts))) for _, owner in found]
    out = []
    for number, start in enumerate(starts.tolist()):
        end = int(starts[number + 1]) if number + 1 < len(starts) else len(prompts)
        keys = np.concatenate(
            [
                (hashes[bound[number] : bound[number + 1]] << _ROW_BITS)
                | (owner[bound[number] : bound[number + 1]] - start).astype(np.uint64)
                for (hashes, owner), bound in zip(found, bounds, strict=True)
            ]
        )
        features, row, column = incidence(keys)
        rows = slice(start, end)
        out.append(
            PromptHabits(
                prompt=int(prompts[start]),
                answer_model=models[rows],
                answer_sample=samples[rows],
                features=features,
                row=row,
                column=column,
                words=words[rows],
                word_length=length[rows],
                alone=np.zeros((end - start, len(KINDS)), dtype=np.int64),
            )
        )
    return out


def incidence(keys: Hashes) -> tuple[Hashes, Codes, Codes]:
    """Distinct features, and the row and column of each that is present, from keys feature << 16 | row."""
    keys.sort()
    if len(keys):
        keys = keys[np.append(True, keys[1:] != keys[:-1])]
    feature = keys >> _ROW_BITS
    first = _starts(feature)
    new = np.zeros(len(keys), dtype=bool)
    new[first] = True
    return feature[first], (keys & _ROW_MASK).astype(np.int64), np.cumsum(new) - 1


def features_of(tokens: Stream) -> list[tuple[Hashes, Codes]]:
    """All features of a stream, in pieces: the features, and the text that each is in, ascending."""
    marks = tokens.where(~tokens.word)
    return [
        *(_of_kind(0, piece) for piece in runs(tokens.hashes, tokens.text, 1, PHRASE)),
        _of_kind(1, openings(tokens)),
        *(_of_kind(2, piece) for piece in runs(marks.hashes, marks.text, 1, MARKS)),
        *(_of_kind(3, piece) for piece in runs(template(tokens), tokens.text, TEMPLATE, TEMPLATE)),
    ]


def _of_kind(kind: int, piece: tuple[Hashes, Codes]) -> tuple[Hashes, Codes]:
    return (piece[0] & _HASH_MASK) | (np.uint64(kind) << _HASH_BITS), piece[1]


def first_words(tokens: Stream) -> Stream:
    """Each text up to its `WORDS`-th word and the marks after it."""
    running = np.cumsum(tokens.word)
    words = np.bincount(tokens.text[tokens.word], minlength=tokens.n)
    before = np.concatenate([[0], np.cumsum(words)])[:-1]
    return tokens.where(running - before[tokens.text] <= WORDS)


def runs(hashes: Hashes, text: Codes, shortest: int, longest: int) -> Iterator[tuple[Hashes, Codes]]:
    """Runs of consecutive tokens of each length from `shortest` to `longest`, and the text that each is in."""
    so_far = hashes
    for length in range(1, longest + 1):
        if length > 1:
            so_far = mixed(so_far[:-1], hashes[length - 1 :]) if len(so_far) > 1 else so_far[:0]
        if length >= shortest:
            owner = text[: len(so_far)]
            inside = owner == text[length - 1 :][: len(so_far)]
            yield so_far[inside], owner[inside]


def openings(tokens: Stream) -> tuple[Hashes, Codes]:
    """Beginnings of 1 to `OPENING` words, and the text that each is in."""
    words, owner = tokens.hashes[tokens.word], tokens.text[tokens.word]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    words, owner, rank = words[rank < OPENING], owner[rank < OPENING], rank[rank < OPENING]
    so_far = words.copy()
    for length in range(1, OPENING):
        at = np.flatnonzero(rank == length)
        so_far[at] = mixed(so_far[at - 1], words[at])
    return so_far, owner


def template(tokens: Stream) -> Hashes:
    """The tokens with each word that is no function word replaced by one and the same slot."""
    kept = ~tokens.word
    possible = np.flatnonzero(_may_be_function_word()[tokens.hashes & _LOW])
    kept[possible] |= np.isin(tokens.hashes[possible], token_hashes(tuple(FUNCTION_WORDS)))
    return np.where(kept, tokens.hashes, _SLOT)


@cache
def _may_be_function_word() -> NDArray[np.bool_]:
    """Whether some function word's hash ends in these bits, which rules out most other words at once."""
    table = np.zeros(int(_LOW) + 1, dtype=bool)
    table[token_hashes(tuple(FUNCTION_WORDS)) & _LOW] = True
    return table


def _starts(values: NDArray[np.generic]) -> Codes:
    """Where a value differs from the one before it."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(True, values[1:] != values[:-1]))
