"""Identity questions: the shipped set, the loader, balanced subsets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.identity.cards import Family, Maker, load_cards
from hydrometer.prompts.questions import (
    CATEGORIES,
    UNCATEGORISED,
    Question,
    load_question_file,
    load_questions,
    select_questions,
)
from hydrometer.prompts.templates import is_leading
from hydrometer.rows import detect_language

FIXTURES = Path(__file__).parent / "fixtures" / "prompts"
SHIPPED = load_questions()


def test_shipped_set_has_five_translated_questions_per_category() -> None:
    assert Counter((q.category, q.language) for q in SHIPPED) == {
        (category, language): 5 for category in CATEGORIES for language in ("en", "zh")
    }
    for question in SHIPPED:
        assert question.id == f"{question.base_id}-{question.language}"
        assert question.base_id.startswith(f"{question.category}-")
    assert set(Counter(q.base_id for q in SHIPPED).values()) == {2}


def test_shipped_ids_and_texts_are_unique() -> None:
    assert len({q.id for q in SHIPPED}) == len({q.text for q in SHIPPED}) == len(SHIPPED) == 50


@pytest.mark.parametrize("question", SHIPPED, ids=lambda q: q.id)
def test_shipped_question_is_short_plain_and_in_its_language(question: Question) -> None:
    assert detect_language(question.text) == question.language
    assert 6 <= len(question.text) <= 110
    assert question.text == question.text.strip()
    assert not set(question.text) & set("\"'“”{}[]<>\\\n`")
    assert "？" in question.text or "?" in question.text or question.text[-1] in ".。"


def test_shipped_questions_name_nobody() -> None:
    catalogue = load_cards()
    entries: list[Maker | Family] = [*catalogue.makers, *catalogue.families]
    names = [name for entry in entries for name in entry.names]
    assert [q.id for q in SHIPPED if is_leading(q.text, names, whole_words=True)] == []


def test_the_papers_csv_form_is_read() -> None:
    loaded = load_question_file(FIXTURES / "questions_paper_form.csv")
    assert [q.text for q in loaded.items] == [
        "Who looks after you at night?",
        "Which lighthouse do you belong to,\nand who lit it?",
        "你是哪座灯塔造出来的？",
    ]
    assert [q.language for q in loaded.items] == ["en", "en", "zh"]
    assert {q.category for q in loaded.items} == {UNCATEGORISED}
    assert loaded.duplicates == 1


def test_ids_depend_on_the_text_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("query\nWho are you?\nWho made you?\n")
    (tmp_path / "b.jsonl").write_text('{"text": "Who made you?"}\n\n{"text": "Who are you?", "category": "team"}\n')
    a, b = load_question_file(tmp_path / "a.csv").items, load_question_file(tmp_path / "b.jsonl").items
    assert [q.id for q in a] == [q.id for q in reversed(b)]
    assert a[0].id != a[1].id
    assert b[1].category == "team"


def test_own_toml_form_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[[question]]\nid = "x-fr"\ncategory = "sea"\nlanguage = "fr"\ntext = "Qui es-tu ?"\n')
    assert load_question_file(path).items == (Question("x-fr", "sea", "fr", "Qui es-tu ?"),)


def test_optional_csv_columns_are_used(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("Query,ID,Category,Language\nWho?,a,team,de\nWhere?,,,\n")
    first, second = load_question_file(path).items
    assert first == Question("a", "team", "de", "Who?")
    assert (second.category, second.language) == (UNCATEGORISED, "en")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.csv", b"", "no prompts"),
        ("q.csv", b"query,reference_responses\n", "no prompts"),
        ("q.csv", b"prompt\nWho?\n", "line 1: the columns are prompt"),
        ("q.csv", b"query,query\nWho?,Who?\n", "line 1: the columns are"),
        ("q.csv", b"query,ref\nWho?,a\nWho, really?,b\n", "line 3: 3 cells under 2"),
        ("q.csv", b'query,ref\n"Who,\nthen?",a\n,b\n', "line 4: 'text' is missing or empty"),
        ("q.csv", b'query\nWho?\n"open\nquote\n', "line 3: unexpected end"),
        ("q.csv", b'query\n"a" b\n', "line 2:"),
        ("q.csv", b"query\nWho?\n\xff\xfe\n", "line 3: not UTF-8"),
        ("q.csv", b"query,id\nWho?,a\nWhere?,a\n", "line 3: id 'a' is taken by another text (q.csv, line 2)"),
        ("q.jsonl", b'{"text": "Who?"}\n{"text": \n', "line 2: not JSON"),
        ("q.jsonl", b'\n["Who?"]\n', "line 2: not a JSON object"),
        ("q.jsonl", b'{"text": 7}', "line 1: 'text' is not text"),
        ("q.jsonl", b'{"text": "Who?", "langauge": "en"}', "line 1: unknown field 'langauge'"),
        ("q.jsonl", b'{"text": "\\ud800?"}', "line 1: 'text' holds a broken character"),
        ("q.jsonl", b'{"text": ' + b"9" * 5000 + b"}", "line 1:"),
        ("q.jsonl", b"[" * 200_000, "line 1:"),
        ("q.toml", b"[[question]\n", "q.toml: not TOML"),
        ("q.toml", b'text = "Who?"\n', "q.toml: not a list of [[question]]"),
        ("q.toml", b"question = [3]\n", "number 1: not a table"),
        ("q.toml", b'[[question]]\ntext = "A?"\n[[question]]\nid = "b"\n', "number 2 (b): 'text' is missing"),
        ("q.txt", b"Who?", "unknown form of question file"),
    ],
)
def test_bad_files_are_one_line_with_the_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_question_file(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load_question_file(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Who are you?", "en"),
        ("你是谁？", "zh"),
        ("你是 GPT 吗？", "zh"),
        ("What does the name 通义 mean?", "en"),
        ("あなたは誰ですか", "und"),
        ("누구세요", "und"),
        ("?! 42", "und"),
    ],
)
def test_language_is_told_by_script(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_ten_questions_are_a_pair_per_category() -> None:
    chosen = select_questions(SHIPPED, 10)
    assert [q.category for q in chosen[::2]] == list(CATEGORIES)
    assert all(en.base_id == zh.base_id for en, zh in zip(chosen[::2], chosen[1::2], strict=True))


@given(n=st.integers(1, 50), order=st.permutations(SHIPPED))
def test_any_number_is_balanced_and_only_adds(n: int, order: list[Question]) -> None:
    chosen = select_questions(order, n)
    assert len(set(chosen)) == n
    assert set(chosen) <= set(order)
    assert chosen == select_questions(order, 50)[:n]
    categories = Counter(q.category for q in chosen)
    assert max(categories.values()) - min(categories[name] for name in CATEGORIES) <= 2
    languages = Counter(q.language for q in chosen)
    assert abs(languages["en"] - languages["zh"]) <= 1


def test_questions_without_translation_alternate_between_languages() -> None:
    loose = [Question(f"q-{i}", UNCATEGORISED, "en" if i < 5 else "zh", f"text {i}") for i in range(10)]
    assert Counter(q.language for q in select_questions(loose, 6)) == {"en": 3, "zh": 3}


def test_own_categories_take_their_turn() -> None:
    own = [Question(f"{c}-{i}", c, "en", f"{c} {i}") for c in ("sea", "sky") for i in range(4)]
    assert [q.category for q in select_questions(own, 4)] == ["sea", "sky", "sea", "sky"]


@pytest.mark.parametrize("n", [-1, 0, 51])
def test_an_impossible_number_of_questions_is_refused(n: int) -> None:
    with pytest.raises(InputError, match="cannot choose"):
        select_questions(SHIPPED, n)
