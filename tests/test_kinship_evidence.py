"""Evidence: the prompts that carry a relation, the phrases that both use, and where they stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_core_samples import population, table_of

from hydrometer.errors import InputError
from hydrometer.kinship.evidence import PHRASES, common_runs, evidence, shared_phrases
from hydrometer.kinship.pairs import pair_index, residual_pairs

words = st.lists(st.sampled_from("abcd"), max_size=12)


@settings(deadline=None)
@given(words, words)
def test_common_runs_are_equal_and_cannot_be_longer(a: list[str], b: list[str]) -> None:
    found = common_runs(a, b)
    for i, j, length in found:
        assert a[i : i + length] == b[j : j + length]
        assert not (i and j and a[i - 1] == b[j - 1])
        assert a[i + length : i + length + 1] != b[j + length : j + length + 1] or i + length == len(a)
    every = {(i, j) for i in range(len(a)) for j in range(len(b)) if a[i] == b[j]}
    assert {(i + k, j + k) for i, j, length in found for k in range(length)} == every


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.lists(st.text(max_size=40), max_size=4))
def test_spans_hold_the_phrase_whatever_the_text(a: str, b: str, others: list[str]) -> None:
    found = shared_phrases(a, b, [[text] for text in others])
    assert len(found) <= PHRASES
    for one in found:
        assert a[slice(*one.in_a)] == one.text
        assert b[slice(*one.in_b)].lower().replace("’", "'").split()
        assert one.of == len(others)
        assert one.others <= 0.1 * len(others)


def test_a_rare_phrase_is_found_with_its_users() -> None:
    a = "Well, the azure  lighthouse sings. And more."
    b = "I say: The azure lighthouse sings to nobody."
    others = [["nothing of it"], ["the azure lighthouse sings here"], *[["and more"]] * 20]
    first = shared_phrases(a, b, others)[0]
    assert first.text == "the azure  lighthouse sings"
    assert b[slice(*first.in_b)] == "The azure lighthouse sings"
    assert (first.others, first.of) == (1, 22)


def test_common_phrases_and_parts_of_words_are_no_evidence() -> None:
    assert shared_phrases("of the art", "of the art", [["of the art"]] * 5) == []
    (only,) = shared_phrases("art", "art", [["party"]] * 5)
    assert only.others == 0


def test_chinese_phrases() -> None:
    (first, *_) = shared_phrases("我认为海洋很美丽。", "他说海洋很美丽吗", [["天空很蓝"]] * 12)
    assert first.text == "海洋很美丽"


def test_evidence_is_of_the_strongest_prompts() -> None:
    table = table_of(population(8, 30, copies={5: (2, 0.5)}), {f"p{k}": f"question {k}" for k in range(30)})
    pairs = residual_pairs(table)
    found, turned = evidence(table, pairs, [("m2", "m5"), ("m5", "m2")], prompts=3)
    assert (found.a, found.b) == ("m2", "m5")
    assert len(found.prompts) == 3
    carried = [one.contribution for one in found.prompts]
    assert carried == sorted(carried, reverse=True)
    assert carried[0] == pytest.approx(float(pairs.residual[:, pair_index(np.array([2, 5]), 8)].max()), abs=1e-3)
    assert found.prompts[0].text == f"question {found.prompts[0].prompt[1:]}"
    assert found.prompts[0].phrases
    assert [one.prompt for one in turned.prompts] == [one.prompt for one in found.prompts]
    assert turned.prompts[0].answer_a == found.prompts[0].answer_b


def test_names_that_are_not_there_and_similarities_of_no_answers() -> None:
    table = table_of(population(5, 12))
    pairs = residual_pairs(table)
    with pytest.raises(InputError, match="no model 'x'"):
        evidence(table, pairs, [("m0", "x")])
    with pytest.raises(InputError, match="not of answers"):
        evidence(table, replace(pairs, strongest=None), [("m0", "m1")])
