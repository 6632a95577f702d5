"""Matching two models' repeated answers: same prompts, same number, same lengths, and what is said about the rest."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.integrity.samples import Samples, match, words


def samples(model: str, answers: dict[str, list[str]]) -> Samples:
    n = len(answers)
    return Samples(
        model,
        tuple(answers),
        tuple(map(tuple, answers.values())),
        ("en",) * n,
        ("test",) * n,
        tuple(f"{prompt}?" for prompt in answers),
    )


def varied(model: str, prompts: int, k: int) -> dict[str, list[str]]:
    return {f"p{p}": [f"{model} {p} draw {i} {'x' * i} {'y' * p}" for i in range(k)] for p in range(prompts)}


def test_words_are_lower_case_and_characters_of_chinese() -> None:
    assert words("Don't STOP: 3 apples, naïve-ly") == ["don't", "stop", "3", "apples", "naïve", "ly"]
    assert words("我有3只cats，好。カナ") == ["我", "有", "3", "只", "cats", "好", "カ", "ナ"]
    assert words("!? 🎉") == []


def test_both_sides_get_the_same_prompts_in_the_teachers_order_and_the_smaller_k() -> None:
    student, teacher = varied("s", 5, 4), varied("t", 4, 10)
    teacher["extra"] = ["only the teacher's", "and another"]
    found = match(samples("S", dict(reversed(student.items()))), samples("T", teacher))
    assert found.student.prompts == found.teacher.prompts == ("p0", "p1", "p2", "p3")
    assert found.student.k == found.teacher.k == 4
    assert found.teacher.texts[0] == tuple(teacher["p0"][:4])
    assert found.student.texts[2] == tuple(student["p2"])
    assert found.student.questions == ("p0?", "p1?", "p2?", "p3?")
    notes = " ".join(found.notes)
    assert "1 of 5 prompts of S have no answer of T" in notes
    assert "1 of 5 prompts of T have no answer of S" in notes
    assert "S has 4 answers per prompt and T 10; the first 4 of each were compared." in notes


def test_a_clean_pair_needs_no_note() -> None:
    assert match(samples("S", varied("s", 5, 4)), samples("T", varied("t", 5, 4))).notes == ()


def test_blank_answers_are_counted_and_k_keeps_the_most_answers() -> None:
    student, teacher = varied("s", 10, 10), varied("t", 10, 10)
    student["p3"] = ["", *student["p3"][1:5], *[" \n"] * 5]
    found = match(samples("S", student), samples("T", teacher))
    assert (found.student.k, len(found.student.prompts)) == (10, 9)
    assert any("6 of 100 answers of S are empty" in note for note in found.notes)
    assert any("1 of 10 prompts have fewer than 10 answers" in note for note in found.notes)
    for prompt in student:
        student[prompt][0] = ""
    del student["p3"], teacher["p3"]
    found = match(samples("S", student), samples("T", teacher))
    assert (found.student.k, len(found.student.prompts)) == (9, 9)
    assert any("The first 9 of 10 answers" in note for note in found.notes)
    assert found.student.texts[0][0] == student["p0"][1]


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        (varied("s", 3, 1), varied("t", 3, 5), "S has one answer per prompt"),
        (varied("s", 3, 5), varied("t", 3, 1), "T has one answer per prompt"),
        (varied("s", 3, 5), {"q": ["a", "b"]}, "no prompt in common"),
        ({}, varied("t", 3, 5), "no prompt in common"),
        ({"p0": ["", "", "a"]}, varied("t", 1, 3), "No prompt has two answers that are not empty"),
        (varied("s", 3, 5), varied("s", 3, 5), "the same answers, word for word, to all 3 prompts"),
        ({"p0": ["a", "b"]}, {"p0": ["b", "a"]}, "the same answers"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_line(
    student: dict[str, list[str]], teacher: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        match(samples("S", student), samples("T", teacher))
    assert "\n" not in str(caught.value)


def test_a_collapsed_teacher_is_named_and_a_collapsed_student_is_not() -> None:
    flat = {f"p{p}": [f"Answer number {p} is always this."] * 4 for p in range(6)}
    found = match(samples("S", varied("s", 6, 4)), samples("T", flat))
    assert any("collapsed: to 6 of 6 prompts T gives nearly the same words" in note for note in found.notes)
    assert not any("collapsed" in note for note in match(samples("S", flat), samples("T", varied("t", 6, 4))).notes)
    refusing = {f"p{p}": [f"I cannot help you with take {i}, {'no ' * i}" for i in range(4)] for p in range(6)}
    found = match(samples("S", varied("s", 6, 4)), samples("T", refusing))
    assert any("24 of 24 answers of T are its answers to other prompts" in note for note in found.notes)


def test_much_longer_answers_are_said_to_be() -> None:
    long = {prompt: [text + " and so on" * 20 for text in texts] for prompt, texts in varied("s", 3, 3).items()}
    (note,) = match(samples("S", long), samples("T", varied("t", 3, 3))).notes
    assert "words" in note
    assert "cut to the same lengths" in note


text = st.text(alphabet="ab 我们!", min_size=1, max_size=30).filter(lambda value: bool(value.strip()))
side = st.lists(st.lists(text, min_size=3, max_size=3), min_size=2, max_size=2)


@settings(max_examples=200, deadline=None)
@given(side, side)
def test_trimmed_answers_are_beginnings_with_the_same_lengths_on_both_sides(
    a: list[list[str]], b: list[list[str]]
) -> None:
    if all(Counter(one) == Counter(other) for one, other in zip(a, b, strict=True)):
        a[0][0] += " different"
    found = match(
        samples("S", {str(i): texts for i, texts in enumerate(a)}),
        samples("T", {str(i): texts for i, texts in enumerate(b)}),
    )
    for whole, cut in zip((found.student, found.teacher), found.trimmed, strict=True):
        for full, short in zip(whole.texts, cut.texts, strict=True):
            assert all(one.startswith(other) for one, other in zip(full, short, strict=True))
    lengths = [[sorted(max(1, len(words(one))) for one in texts) for texts in cut.texts] for cut in found.trimmed]
    assert lengths[0] == lengths[1]
    counts = [
        [sorted(max(1, len(words(one))) for one in texts) for texts in whole.texts]
        for whole in (found.student, found.teacher)
    ]
    assert lengths[0] == [list(map(min, one, other)) for one, other in zip(*counts, strict=True)]


def test_columns_of_samples_must_fit() -> None:
    with pytest.raises(ValueError, match="different numbers"):
        Samples("m", ("a", "b"), (("x",),), ("en", "en"), ("", ""), ("", ""))
    with pytest.raises(ValueError, match="twice"):
        Samples("m", ("a", "a"), (("x",), ("y",)), ("en", "en"), ("", ""), ("", ""))
