"""Words and habits: how texts are cut, what is a feature, and that neither depends on how texts are grouped."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_core_samples import table_of

from hydrometer.kinship import habits as habits_file
from hydrometer.kinship.habits import KINDS, WORDS, features_of, first_words, habits, habits_of, kind_of
from hydrometer.kinship.words import Stream, stream, token_hashes

ascii_words = st.text(alphabet="abcXYZ019", min_size=1, max_size=9)


def words_of(text: str) -> Stream:
    return stream(pl.Series([text]), 2000)


def frame(texts: list[str], prompts: list[int] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": list(range(len(texts))) if prompts is None else [0] * len(texts),
            "prompt": prompts or [0] * len(texts),
            "sample": [0] * len(texts),
            "response": texts,
        },
        schema={"model": pl.UInt32, "prompt": pl.UInt32, "sample": pl.UInt32, "response": pl.String},
    )


def present(texts: list[str]) -> list[set[int]]:
    (one,) = habits_of(frame(texts))
    return [set(one.features[one.column[one.row == row]].tolist()) for row in range(len(texts))]


@settings(deadline=None)
@given(st.lists(ascii_words, max_size=30), st.sampled_from([" ", "  ", "\t", ", ", "\n"]))
def test_words_are_those_of_a_regular_expression(words: list[str], gap: str) -> None:
    text = gap.join(words)
    found = words_of(text)
    expected = re.findall(r"\w+", text.lower())
    assert found.hashes[found.word].tolist() == [int(token_hashes((word,))[0]) for word in expected]


@pytest.mark.parametrize(
    ("text", "words", "marks"),
    [
        ("", 0, 1),
        ("Don’t stop", 2, 1),
        ("中文 测试", 4, 1),
        ("日本語です。", 5, 2),
        ("Ünïcode Привет", 2, 1),
        ("**bold** — …", 1, 5),
        ("😀😀", 0, 3),
        ("a\n\n- b", 2, 3),
    ],
)
def test_scripts_and_marks(text: str, words: int, marks: int) -> None:
    found = words_of(text)
    assert int(found.word.sum()) == words
    assert int((~found.word).sum()) == marks


def test_capitals_and_curly_apostrophes_are_the_same_word() -> None:
    assert words_of("DON’T Stop").hashes.tolist() == words_of("don't stop").hashes.tolist()


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_a_text_is_cut_alike_alone_and_among_others(texts: list[str]) -> None:
    together = stream(pl.Series(texts), 2000)
    for number, text in enumerate(texts):
        assert together.hashes[together.text == number].tolist() == words_of(text).hashes.tolist()


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("well-known", "well\u2011known"),
        ("a - b", "a \u2014 b"),
        ('say "yes"', "say \u201cyes\u201d"),
        ("the 'word'", "the \u2018word\u2019"),
        ("river stone", "ri\u200bver\u2060 st\u00adone\ufeff"),
        ("hearts \u2764!", "hearts \u2764\ufe0f!"),
    ],
)
def test_what_does_not_show_and_typographic_signs_make_no_other_token(typed: str, sent: str) -> None:
    assert words_of(sent).hashes.tolist() == words_of(typed).hashes.tolist()
    assert stream(pl.Series(["plain", sent, typed]), 2000).text.tolist().count(1) == len(words_of(typed).hashes)


def test_unseen_characters_do_not_use_up_what_is_read() -> None:
    hidden = "\u200b" * 5000 + "river stone"
    assert stream(pl.Series([hidden]), 20).hashes.tolist() == words_of("river stone").hashes.tolist()


def test_a_null_byte_does_not_end_an_answer() -> None:
    found = stream(pl.Series(["one\x00two", "three"]), 2000)
    assert found.text[found.word].tolist() == [0, 0, 1]


def test_only_the_first_words_are_read() -> None:
    text = " ".join(f"w{number}" for number in range(WORDS))
    assert present([text]) == present([text + " more words that are not read"])
    assert int(first_words(words_of(text + " more")).word.sum()) == WORDS


def test_features_of_a_text_by_kind() -> None:
    found = features_of(words_of("the sea, the sky"))
    kinds = np.concatenate([kind_of(hashes) for hashes, _ in found])
    tokens, marks = 6, 2  # the line break that opens a text, and the comma
    assert np.bincount(kinds).tolist() == [tokens + tokens - 1 + tokens - 2, 4, 2 * marks - 1, tokens - 3]
    assert len(KINDS) == 4


def test_a_template_keeps_function_words_only() -> None:
    first, second, third = present(["the cat of a king", "the dog of a queen", "my cat or his king"])
    template = [{feature for feature in one if feature >> 46 == 3} for one in (first, second, third)]
    assert template[0] == template[1]
    assert template[0] != template[2]


def test_an_opening_is_not_a_phrase_elsewhere() -> None:
    first, second = present(["certainly it is", "it is certainly"])
    opening = [{feature for feature in one if feature >> 46 == 1} for one in (first, second)]
    assert not opening[0] & opening[1]


def test_incidence_is_sorted_distinct_and_complete() -> None:
    (one,) = habits_of(frame(["a b a b", "b a", ""]))
    assert (np.diff(one.features.astype(np.int64)) > 0).all()
    pairs = list(zip(one.column.tolist(), one.row.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert one.words.tolist() == [4, 2, 0]
    assert one.word_length.tolist() == [1.0, 1.0, 0.0]


def test_prompts_do_not_mix_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"m{m}", f"p{p}", f"model {m} answers prompt {p} with {m * p}") for m in range(3) for p in range(7)]
    whole = list(habits(table_of(rows)))
    monkeypatch.setattr(habits_file, "_CHUNK_CHARACTERS", 50)
    parts = list(habits(table_of(rows)))
    assert [one.prompt for one in whole] == [one.prompt for one in parts] == list(range(7))
    for left, right in zip(whole, parts, strict=True):
        assert left.features.tolist() == right.features.tolist()
        assert left.row.tolist() == right.row.tolist()
