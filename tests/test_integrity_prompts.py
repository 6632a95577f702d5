"""The shipped prompts of integrity: enough of them, in both languages, and variants that differ as they should."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

import pytest

from hydrometer.errors import InputError
from hydrometer.integrity.samples import words
from hydrometer.prompts.integrity_sets import WAYS, Variant, load_stability, load_variety
from hydrometer.prompts.sets import load_own
from hydrometer.rows import detect_language

CATEGORIES = {"open-ended", "creative", "advice", "many solutions", "rare knowledge", "edge cases"}
BASES = [(base, {one.way: one for one in ways}) for base, ways in groupby(load_stability(), key=lambda one: one.base)]


def test_prompts_for_variety_are_enough_and_mixed() -> None:
    (found,) = load_variety()
    assert (found.name, found.duplicates, found.empty) == ("variety", 0, 0)
    assert len(found) >= 60
    assert {prompt.category for prompt in found.prompts} == CATEGORIES
    by_kind = Counter((prompt.category, prompt.language) for prompt in found.prompts)
    assert all(by_kind[category, language] >= 5 for category in CATEGORIES for language in ("en", "zh"))
    assert sum(prompt.language == "zh" for prompt in found.prompts) >= 20
    assert all(detect_language(prompt.text) == prompt.language for prompt in found.prompts)
    assert all(prompt.id.startswith(f"v-{prompt.language}-") for prompt in found.prompts)
    others = {prompt.text for one in load_own() for prompt in one.prompts}
    assert not others & {prompt.text for prompt in found.prompts}


def test_no_two_prompts_for_variety_are_alike() -> None:
    texts = [set(words(prompt.text)) for prompt in load_variety()[0].prompts]
    for i, one in enumerate(texts):
        assert all(len(one & other) / len(one | other) < 0.5 for other in texts[:i])


def test_sets_can_be_named_and_mixed_with_files(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"prompt": "Say something."}\n')
    mine = str(tmp_path / "mine.jsonl")
    assert [one.name for one in load_variety(["variety", mine])] == ["variety", "mine"]
    assert [one.name for one in load_variety([mine])] == ["mine"]
    with pytest.raises(InputError, match="there twice"):
        load_variety(["variety", "variety"])
    with pytest.raises(InputError, match="no prompt set or file"):
        load_variety(["nowhere"])


def test_every_question_is_there_once_in_every_way() -> None:
    variants = load_stability()
    assert len(BASES) >= 30
    assert len({base for base, _ in BASES}) == len(BASES)
    assert len(variants) == len(BASES) * len(WAYS)
    assert all(tuple(ways) == WAYS for _, ways in BASES)
    assert len({one.id for one in variants}) == len({one.turns for one in variants}) == len(variants)
    assert all(one.id == f"{one.base}/{one.way}" for one in variants)
    languages = Counter(ways["original"].language for _, ways in BASES)
    assert min(languages["en"], languages["zh"]) >= 15
    assert {one.category for one in variants} == {
        "rare entity",
        "long tail",
        "reasoning",
        "unit trap",
        "false premise",
    }
    assert min(Counter((one.category, one.language) for one in variants).values()) >= 7


def test_answers_are_short_the_same_in_all_ways_and_not_given_away() -> None:
    for base, ways in BASES:
        (answers,) = {one.answers for one in ways.values()}
        assert answers
        assert all(answer == answer.strip() and 0 < len(answer) <= 20 for answer in answers), base
        original = ways["original"]
        if original.category in {"rare entity", "long tail"}:
            given = [answer for answer in answers if len(answer) > 1 and answer.lower() in original.turns[0].lower()]
            assert not given, base


def texts_of(way: str) -> Iterator[tuple[Variant, str, str]]:
    for _, ways in BASES:
        yield ways[way], ways["original"].turns[0], ways[way].turns[0]


def alike(a: str, b: str) -> float:
    """Share of words in common, counted with repeats (Dice)."""
    one, two = Counter(words(a)), Counter(words(b))
    return 2 * (one & two).total() / (one.total() + two.total())


def test_each_way_differs_from_the_original_as_it_should() -> None:
    for one, original, text in texts_of("typo"):
        ratio = SequenceMatcher(None, original, text, autojunk=False).ratio()
        assert 0.85 < ratio < 1, one.id
        assert re.findall(r"\d+", text) == re.findall(r"\d+", original)
    for one, original, text in texts_of("irrelevant"):
        assert original in text, one.id
        assert 0 < len(text) - len(original) < 0.8 * len(original) + 20
    for one, original, text in texts_of("reordered"):
        assert alike(original, text) > 0.7, one.id
        assert SequenceMatcher(None, original, text, autojunk=False).ratio() < 0.9, one.id
    for way in ("paraphrase-1", "paraphrase-2"):
        for one, original, text in texts_of(way):
            assert alike(original, text) < 0.85, one.id
            assert sorted(re.findall(r"\d+", text)) == sorted(re.findall(r"\d+", original)), one.id
    for one, original, _ in texts_of("translated"):
        assert {one.language, detect_language(original)} == {"en", "zh"}, one.id


def test_variants_say_their_language() -> None:
    for one in load_stability():
        quoted = one.base == "s-zh-05" and one.way == "translated"
        assert quoted or detect_language(re.sub("Panthera uncia", "", one.turns[0])) == one.language, one.id
