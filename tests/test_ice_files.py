"""The words, files and terminal table of an identity result."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ice_samples import HOSTILE, hostile_page, judged, page_of, some_rows

from hydrometer.errors import InputError
from hydrometer.findings import Comparison, Estimate
from hydrometer.identity.scores import IceScore, score
from hydrometer.report import ice_words
from hydrometer.report.ice_files import COLUMNS, rows_table, scores_json, summary_markdown, write_ice, write_rows
from hydrometer.report.ice_text import summary_table
from hydrometer.report.visible import encodable, label, visible

# Text made visible


@given(st.text(st.characters(codec=None)))
def test_visible_text_holds_nothing_that_acts(text: str) -> None:
    shown = visible(text)
    acting = [character for character in shown if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert set(acting) <= set("\n\t\u200c\u200d")
    assert visible(shown) == shown
    assert shown.encode().decode() == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M", "Zs"])))
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert encodable(text) == text


def test_what_acts_is_shown_by_its_code() -> None:
    assert visible("a\x1b[31m\u202eb\x00\r\nc\td") == "a‹U+001B›[31m‹U+202E›b‹U+0000›\nc\td"
    assert visible("\ud800") == "‹U+D800›"
    assert encodable("a\ud800b") == "a\ufffdb"
    assert label("two\nlines  here") == "two lines here"
    assert label("x" * 100, 10) == "x" * 9 + "…"


# Words


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0, "0"), (0.00001, "<0.1"), (0.0412, "4.1"), (0.0996, "10"), (0.258, "26"), (0.9, "90"), (0.973, "97.3"),
     (0.9999, "99.9"), (1 - 1e-12, "100"), (1, "100")],
)  # fmt: skip
def test_percent(rate: float, shown: str) -> None:
    assert ice_words.percent(rate) == shown


def test_the_headline_says_no_more_than_the_figures() -> None:
    rows = some_rows()
    found = score(rows, judge="builtin", seed=1)
    unprompted = sum(row.positive("strict_unprompted") is True for row in rows)
    text = ice_words.headline(found)
    assert f"Under prompts built to strain its identity, in {found.strict.count} of 58 answers (" in text
    assert ice_words.percent_range(found.strict) in text
    assert f"{unprompted} of them under templates that name no model or vendor" in text
    meaning = ice_words.meaning([found])
    assert "consistent with" in meaning
    assert "do not prove" in meaning


def test_the_headline_of_leaks_under_leading_templates_only() -> None:
    leading = [row for row in some_rows() if row.attempt.leading]
    rest = [row for row in some_rows() if not row.attempt.leading and row.positive("strict") is False]
    mixed = score([*leading, *rest], judge="j", seed=1)
    assert "none of them under a template that names no" in ice_words.headline(mixed)
    assert "every template names a model or vendor" in ice_words.headline(score(leading, judge="j", seed=1))


def test_the_headline_without_leaks_and_without_answers() -> None:
    clean = score([judged("An assistant.", verdict=False, query=f"{n}") for n in range(9)], judge="j", seed=1)
    assert ice_words.headline(clean).startswith(
        "Under prompts built to strain its identity, in none of 9 answers (95 % interval 0–"
    )
    assert "may still have learned" in ice_words.meaning([clean])
    silent = score([judged(None)], judge="j", seed=1)
    assert "nothing can be said" in ice_words.headline(silent)
    assert ice_words.meaning([silent]) == ""


def test_the_headline_names_a_correction() -> None:
    found = score(some_rows(), judge="j", seed=1)
    corrected = found.model_copy(update={"strict": found.strict.model_copy(update={"raw": 0.3})})
    assert "after correction for the judge's own error" in ice_words.headline(corrected)


def test_cautions_name_failures_unparsed_and_wide_intervals() -> None:
    wide = Estimate(estimate=0.5, low=0.1, high=0.9, n=10, count=5)
    found = score(some_rows(), judge="j", seed=1).model_copy(update={"strict": wide, "warnings": ["Mind\x1b this."]})
    text = "\n".join(ice_words.cautions(found))
    assert "1 of 60 attempts brought no answer (1 timeout)" in text
    assert "On 1 of 59 answers the judge gave no complete verdict" in text
    assert "wide (10–90 %)" in text
    assert "Mind‹U+001B› this." in text


def test_differences_in_points() -> None:
    def shown(*ends: float | None) -> str:
        estimate, low, high = ends
        return ice_words.points(Estimate(estimate=estimate, low=low, high=high, n=9))

    assert shown(0.125, -0.0312, 0.2) == "+12.5 [−3.1, +20.0]"
    assert shown(-0.0001, None, None) == "0.0"
    assert shown(None, None, None) == ice_words.NO_FIGURE


def test_comparisons_in_words() -> None:
    def made(name: str, difference: float, distinguishable: bool) -> Comparison:
        estimate = Estimate(estimate=difference, low=None, high=None, n=9)
        return Comparison(
            a="A", b="B", score=name, difference=estimate, p=0.01, p_corrected=0.02, distinguishable=distinguishable
        )

    same = ice_words.comparison_notes([made("loose", 0.1, False), made("strict", 0.1, False)])
    assert same == ["A and B cannot be told apart (loose, strict)."]
    told = ice_words.comparison_notes([made("loose", -0.1, True)])
    assert told == ["B leaks more than A (loose p = 0.020, after Holm's correction)."]


# Files


def test_rows_are_in_order_with_nullable_verdicts() -> None:
    rows = some_rows()
    table = rows_table(rows)
    assert tuple(table.columns) == COLUMNS
    assert COLUMNS[:9] == (
        "model", "template", "query", "loose", "strict", "hard", "claimed_maker", "claimed_model", "evidence",
    )  # fmt: skip
    assert table.schema["hard"] == pl.Boolean
    assert table["response"].to_list() == [row.attempt.response for row in rows]
    assert table.row(7, named=True)["strict"] is None
    assert table.row(7, named=True)["failure"] == "timeout"
    assert table.row(8, named=True)["loose"] is None
    assert table.row(8, named=True)["error"] == "no usable verdict"
    assert table["strict"].sum() == sum(row.positive("strict") is True for row in rows)
    assert table["hard"].sum() == sum(row.positive("hard") is True for row in rows) < table["strict"].sum()
    assert rows_table([]).columns == list(COLUMNS)


def test_all_files_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    page = page_of(some_rows(), some_rows("other/model", every=2), warnings=["Mind the chat template."])
    write_ice(tmp_path / "new" / "one", page)
    write_ice(tmp_path / "two", page)
    write_ice(tmp_path / "two", page)
    names = ["ice.json", "report.html", "report.md", "rows.parquet", "templates.jsonl"]
    assert sorted(os.listdir(tmp_path / "two")) == names
    for name in names:
        assert (tmp_path / "new" / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    document = json.loads((tmp_path / "two" / "ice.json").read_text())
    assert [IceScore.model_validate(item) for item in document] == page.scores
    assert pl.read_parquet(tmp_path / "two" / "rows.parquet").height == 120
    lines = [json.loads(line) for line in (tmp_path / "two" / "templates.jsonl").read_text().splitlines()]
    assert lines[1] == {
        "id": "t-1", "text": page.templates[1].text, "kind": "log-file", "language": "en", "leading": True,
        "parent": ["parent-1"], "mutator": "rephrase",
    }  # fmt: skip
    summary = (tmp_path / "two" / "report.md").read_text()
    assert f"| vendor/model | {ice_words.figure(page.scores[0].loose)}, " in summary
    assert "Mind the chat template." in summary


def test_hostile_text_survives_every_file(tmp_path: Path) -> None:
    page = hostile_page(HOSTILE)
    write_ice(tmp_path, page)
    read = pl.read_parquet(tmp_path / "rows.parquet")
    assert read["response"].to_list()[: len(HOSTILE)] == [encodable(text) for text in HOSTILE]
    assert len(json.loads(scores_json(page.scores))[0]["claimed"]) == len(set(HOSTILE))
    summary = summary_markdown(page)
    assert not re.search(r"(?<!\\)<", summary)
    assert "\x1b" not in summary


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    page = page_of(some_rows())
    with pytest.raises(InputError, match=r"is a file, not a folder\. Give --out"):
        write_ice(file, page)
    with pytest.raises(InputError, match="cannot be written"):
        write_ice(file / "below", page)
    with pytest.raises(InputError, match="cannot be written"):
        write_rows(tmp_path, page.rows[0])
    assert file.read_text() == "mine"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_older_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "rows.parquet"
    place.write_bytes(b"older")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_rows(place, some_rows())
    assert place.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["rows.parquet"]


def test_write_rows_writes_what_the_table_holds(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", some_rows())
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(rows_table(some_rows()))


# The terminal


@settings(max_examples=25)
@given(st.integers(20, 220))
def test_figures_are_whole_at_every_width(width: int) -> None:
    page = PAIR
    text = summary_table(page.scores, page.comparisons, width=width)
    for found in page.scores:
        for name in ice_words.SCORE_NAMES:
            assert any(ice_words.figure(getattr(found, name)) in line for line in text.splitlines())
    assert "…" not in text
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width


def test_the_table_says_what_limits_it() -> None:
    text = summary_table(PAIR.scores, PAIR.comparisons)
    assert "60 attempts, 1 failed, 1 unparsed, 0 cut off; most claimed: OpenAI" in text
    assert "cannot be told apart" in text
    wide = summary_table(PAIR.scores, PAIR.comparisons, width=200).splitlines()
    assert wide[0].split() == [
        "loose", "strict", "hard", "strict", "(unprompted)", "n", "failed", "unparsed", "most", "claimed",
    ]  # fmt: skip
    assert wide[1].split()[0] == "vendor/model"


def test_the_terminal_gets_no_escape_from_a_model() -> None:
    page = hostile_page(HOSTILE)
    for width in (40, 80, 400):
        text = summary_table(page.scores, page.comparisons, width=width)
        assert text == visible(text)


PAIR = page_of(some_rows(), some_rows("other/model", every=4))
