"""Answers to questions in several ways: which are right, and which differ from the answer to the original."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.integrity.samples import Samples
from hydrometer.integrity.stability import Questions, accepted, core, judged, normalised, stability
from hydrometer.prompts.integrity_sets import WAYS, Variant, load_stability


def variants(
    base: str, answers: tuple[str, ...], ways: Sequence[str] = WAYS[:3], language: str = "en"
) -> list[Variant]:
    return [Variant(f"{base}/{way}", base, way, language, "long tail", (f"What is {base}?",), answers) for way in ways]


def replied(model: str, asked: Sequence[Variant], texts: Sequence[str]) -> Samples:
    n = len(asked)
    ids = tuple(one.id for one in asked)
    return Samples(model, ids, tuple((text,) for text in texts), ("en",) * n, ("",) * n, ("",) * n)


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ("It is Bhutan.", ("Bhutan", "不丹")),
        ("BHUTAN", ("Bhutan",)),
        ("答案是不丹。", ("Bhutan", "不丹")),
        ("togrog", ("tögrög",)),
        ("The tögrög!", ("togrog",)),
        ("10,000 square metres", ("10000",)),
        ("10 000", ("10000",)),
        ("１００００平方米", ("10000",)),
        ("10000m2", ("10000",)),
        ("the snow\nleopard", ("snow leopard",)),
        ("一万平方米", ("10000", "一万")),
        ("3.5 km", ("3.5",)),
    ],
)
def test_accepted_answers_are_found_as_whole_words(reply: str, answers: tuple[str, ...]) -> None:
    assert accepted(reply, answers)


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ("Bhutanese", ("Bhutan",)),
        ("110000", ("10000",)),
        ("3.5", ("5",)),
        ("1,0000", ("10000",)),
        ("snow and a leopard", ("snow leopard",)),
        ("不是丹", ("不丹",)),
        ("anything", ("!",)),
        ("", ("Bhutan",)),
    ],
)
def test_parts_of_words_and_numbers_are_no_answers(reply: str, answers: tuple[str, ...]) -> None:
    assert not accepted(reply, answers)


@given(st.text())
def test_normalising_takes_any_text_and_knows_no_case(text: str) -> None:
    found = normalised(text)
    assert normalised(" ".join(found)) == found
    assert all(found)


def test_every_shipped_answer_is_accepted_in_every_way() -> None:
    asked = load_stability()
    assert len(asked) > 200
    for one in asked:
        assert all(accepted(f"Well: {answer}。", one.answers) for answer in one.answers), one.id
    found = judged(asked, [one.answers[0] for one in asked])
    assert found.right.tolist() == [1.0] * len(asked)
    assert sum(value == 0 for value in found.changed) == len(asked) - len({one.base for one in asked})


def test_right_and_wrong_change_the_answer_and_two_right_ones_do_not() -> None:
    asked = variants("q", ("Bhutan", "不丹"))
    found = judged(asked, ["Bhutan", "不丹", "Nepal"])
    assert found.right.tolist() == [1, 1, 0]
    assert math.isnan(found.changed[0])
    assert found.changed[1:].tolist() == [0, 1]


def test_two_wrong_replies_are_compared_by_their_cores() -> None:
    asked = variants("q", ("Bhutan",), WAYS[:4])
    found = judged(
        asked, ["It is Nepal.", "Nepal!", "India", "I could talk of many places and rivers and far hills all day"]
    )
    assert found.changed[1:3].tolist() == [0, 1]
    assert math.isnan(found.changed[3])
    assert found.undetermined == 1
    assert core("The answer is Nepal.", "Which country?") == ("nepal",)


def test_wrong_replies_in_two_languages_cannot_be_compared() -> None:
    asked = [*variants("q", ("Bhutan",), ["original"]), *variants("q", ("Bhutan",), ["translated"], "zh")]
    found = judged(asked, ["Nepal", "尼泊尔"])
    assert math.isnan(found.changed[1])
    assert found.undetermined == 1


def test_blank_replies_are_counted_and_not_scored() -> None:
    asked = variants("q", ("Bhutan",))
    found = judged(asked, ["Bhutan", " ", "Bhutan"])
    assert found.blank == 1
    assert math.isnan(found.right[1])
    assert math.isnan(found.changed[1])
    lost = judged(asked, ["", "Bhutan", "Nepal"])
    assert all(math.isnan(value) for value in lost.changed)
    assert lost.right[1:].tolist() == [1, 0]


def test_shares_are_per_question_and_by_way_and_category() -> None:
    asked = [one for base in ("q1", "q2", "q3") for one in variants(base, ("yes",))]
    steady = ["yes"] * 9
    shaky = ["yes", "no", "yes", "yes", "no", "no", "no", "yes", "no"]
    metrics, found = stability(Questions(asked, replied("t", asked, steady), replied("s", asked, shaky)), 50, 0)
    changed, right = metrics
    assert changed.teacher.tolist() == [0, 0, 0]
    assert changed.student.tolist() == pytest.approx([1 / 2, 1, 1 / 2])
    assert right.student.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    by_way = {one.group: one for one in found.by_way}
    assert by_way["original"].student_changed.estimate is None
    assert by_way["original"].student_right.estimate == pytest.approx(2 / 3)
    assert by_way["paraphrase-1"].student_changed.estimate == pytest.approx(1)
    assert found.by_category[0].group == "long tail"
    assert found.by_category[0].student_right.estimate == pytest.approx(4 / 9)
    assert found.questions == 3


def test_a_variant_without_a_reply_counts_as_blank() -> None:
    asked = variants("q", ("yes",))
    _, found = stability(Questions(asked, replied("t", asked, ["yes"] * 3), replied("s", asked[:1], ["yes"])), 50, 0)
    assert found.blank == (0, 2)
