"""The Distillation Loss Statement through the command line: text, page, model card, JSON and tables."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from integrity_answers import PROMPTS, K, answers, pair
from typer.testing import CliRunner, Result

from hydrometer.cli import app
from hydrometer.findings import Estimate
from hydrometer.integrity.divergence import View
from hydrometer.integrity.fidelity import Evidence, Position
from hydrometer.integrity.loss import measure
from hydrometer.integrity_run import Collected, IntegrityPlan, Side
from hydrometer.prompts.integrity_sets import load_stability
from hydrometer.report.integrity_page import render_page
from hydrometer.report.integrity_text import plain, statement
from hydrometer.report.integrity_words import TITLES, figure, p_value, signed_range

HOSTILE = "</script><script>alert(1)</script>|`x`\u202e\x1b[31m # [a](javascript:b) ---"


def rows(model: str, seed: int, stability: float | None = None, **lost: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {"model": model, "set": "own", "prompt_id": f"p{prompt:02}", "sample": sample, "response": text,
         "prompt": f"What about matter {prompt}? {HOSTILE if not prompt else ''}", "language": "en"}
        for prompt, texts in enumerate(answers(seed, **lost))  # type: ignore[arg-type]
        for sample, text in enumerate(texts)
    ]  # fmt: skip
    if stability is not None:
        found += [
            {"model": model, "set": "stability", "prompt_id": one.id, "sample": 0, "prompt": one.turns[0],
             "response": one.answers[0] if number % 10 < 10 * stability else "Paris", "language": one.language}
            for number, one in enumerate(load_stability())
        ]  # fmt: skip
    return found


def recorded(folder: Path, *parts: list[dict[str, object]]) -> str:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for part in parts for row in part))
    return f"replay/{path}"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["integrity", *words], catch_exceptions=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Files and output of one run: a teacher, and a student that always says the same."""
    folder = tmp_path_factory.mktemp("integrity")
    teacher = rows("big", 1, 0.9)
    for row in teacher[:K]:
        row["response"] = f"{HOSTILE} zebra answer"
    path = recorded(folder, teacher, rows("small", 2, 0.4, classes=1))
    out = folder / "out"
    return out, run(f"{path}#small", "--teacher", f"{path}#big", "--out", str(out))


def test_the_statement_says_what_was_lost_and_kept(results: tuple[Path, Result]) -> None:
    out, result = results
    text = result.stdout
    assert result.exit_code == 0
    assert text == (out / "statement.md").read_text("utf-8")
    assert text.startswith("# Distillation Loss Statement\n")
    table = dict(re.findall(r"^\| ([A-Z][a-z ]+?) +\| (kept|lost|inconclusive|not measured) +\|$", text, re.MULTILINE))
    assert list(table) == list(TITLES.values())
    assert table["Diversity within a prompt"] == "lost"
    assert table["Stability under rewording"] == "lost"
    assert table["Homogenisation across prompts"] == "kept"
    assert table["Fidelity of probabilities"] == "not measured"
    assert f"on {PROMPTS} prompts with {K} answers each, the verdicts on small are lost: diversity" in text
    for part in ("## Figures", "## Examples of lost answers", "## Method and settings", "## Limits", "paraphrase-1"):
        assert part in text
    assert "recorded; settings not known" in text
    assert "Sampling requested" not in text


def test_hostile_text_is_shown_and_never_obeyed(results: tuple[Path, Result]) -> None:
    out, result = results
    page = (out / "statement.html").read_text("utf-8")
    for text in (result.stdout, page, (out / "model-card.md").read_text("utf-8")):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<script" not in text
    assert "zebra answer" in page
    assert "‹U+202E›" in page
    assert "\\[a\\](javascript" in result.stdout
    assert "\\`x\\`" in result.stdout


class Page(HTMLParser):
    """Elements of a page, and text outside of all."""

    void = frozenset({"meta", "link", "line", "circle", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_loads_nothing_and_runs_nothing(results: tuple[Path, Result]) -> None:
    page = Page((results[0] / "statement.html").read_text("utf-8"))
    assert page.open == []
    tags = {tag for tag, _ in page.seen}
    assert not tags & {"script", "img", "iframe", "object", "form"}
    links = [value for _, found in page.seen for name, value in found.items() if name in {"href", "src"}]
    assert all(link is not None and (link.startswith("#") or link == "data:,") for link in links)
    assert not any(name.startswith("on") for _, found in page.seen for name in found)
    ids = [found["id"] for _, found in page.seen if "id" in found]
    assert len(ids) == len(set(ids))
    assert {str(link)[1:] for link in links if str(link).startswith("#")} <= set(ids)
    (policy,) = [found["content"] for tag, found in page.seen if found.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy


def test_the_json_document_has_every_measure_with_its_interval(results: tuple[Path, Result]) -> None:
    document = json.loads((results[0] / "integrity.json").read_text("utf-8"))
    assert {one["theme"]: one["verdict"] for one in document["themes"]}["diversity"] == "lost"
    assert len(document["metrics"]) > 25
    for one in document["metrics"]:
        assert set(one["loss"]) >= {"estimate", "low", "high", "n"}
        assert "teacher_values" not in one
    assert document["stability"]["questions"] == 37
    assert document["lost_answers"][0]["count"] >= 2
    assert document["settings"]["Seed"] == "0"


def test_tables_hold_every_value_and_every_answer(results: tuple[Path, Result]) -> None:
    out, _ = results
    table = pl.read_parquet(out / "metrics.parquet")
    document = json.loads((out / "integrity.json").read_text("utf-8"))
    vendi = table.filter(pl.col("measure") == "Vendi score")
    assert vendi["unit"].to_list() == [f"p{prompt:02}" for prompt in range(PROMPTS)]
    (found,) = [one for one in document["metrics"] if one["name"] == "Vendi score"]
    assert vendi["teacher"].mean() == pytest.approx(found["teacher"]["estimate"])
    assert table.filter(pl.col("measure") == "MAUVE")["unit"].to_list() == ["all"]
    assert table.filter(pl.col("theme") == "stability")["unit"].n_unique() == 37
    kept = pl.read_parquet(out / "answers.parquet")
    assert kept.filter(pl.col("set") != "stability").height == 2 * PROMPTS * K


def test_written_answers_are_read_again_with_the_same_result(results: tuple[Path, Result]) -> None:
    out, _ = results
    path = f"replay/{out}/answers.parquet"
    again = run(f"{path}#small", "--teacher", f"{path}#big", "--json")
    first = json.loads((out / "integrity.json").read_text("utf-8"))
    second = json.loads(again.stdout)
    assert second["metrics"] == first["metrics"]
    assert second["stability"] == first["stability"]


def test_the_model_card_has_metadata_and_a_section(results: tuple[Path, Result]) -> None:
    text = (results[0] / "model-card.md").read_text("utf-8")
    _, metadata, section = text.split("---\n", 2)
    assert metadata.startswith('model-index:\n- name: "small"\n  results:\n')
    types = re.findall(r"^    - type: \"([^\"]+)\"\n      name: \"([^\"]+)\"\n      value: ([0-9.]+)$", metadata, re.M)
    assert [name.split(":")[0] for _, name, _ in types] == list(TITLES.values())[:6]
    assert types[0][:2] == ("same_answer_twice", "Diversity within a prompt: same answer twice (theme lost)")
    assert section.startswith("\n## Distillation Loss Statement\n")
    assert "### Limits of the measurement" in section


def test_json_and_model_card_are_printed_on_request(results: tuple[Path, Result]) -> None:
    out, _ = results
    path = f"replay/{out.parent}/answers.jsonl"
    names = (f"{path}#small", "--teacher", f"{path}#big")
    assert run(*names, "--json").stdout == (out / "integrity.json").read_text("utf-8")
    assert run(*names, "--format", "model-card").stdout == (out / "model-card.md").read_text("utf-8")


def test_models_of_one_name_are_told_apart_in_the_written_answers(tmp_path: Path) -> None:
    first = recorded(tmp_path, rows("m", 1))
    (tmp_path / "other").mkdir()
    second = recorded(tmp_path / "other", rows("m", 2))
    run(f"{first}#m", "--teacher", f"{second}#m", "--out", str(tmp_path / "out"))
    assert pl.read_parquet(tmp_path / "out" / "answers.parquet")["model"].unique(maintain_order=True).to_list() == [
        "m (student)",
        "m (teacher)",
    ]


def test_without_variants_stability_is_left_out_and_said_so(tmp_path: Path) -> None:
    path = recorded(tmp_path, rows("big", 1), rows("small", 2))
    text = run(f"{path}#small", "--teacher", f"{path}#big").stdout
    assert re.search(r"\| Stability under rewording +\| not measured +\|", text)
    assert "the theme stability is left out" in text


def test_figures_never_claim_more_than_they_show() -> None:
    assert p_value(0.0004) == "<0.001"
    assert p_value(None) == "-"
    assert signed_range(Estimate(estimate=-0.0001, low=-0.5, high=0.25, n=9)) == "0.000 [−0.500, +0.250]"
    assert figure(Estimate(estimate=-1e-17, low=None, high=None, n=9)) == "0.000"
    assert signed_range(Estimate(estimate=1.0, low=None, high=None, n=1)) == "+1.000 [no interval]"
    assert plain("a|b <i> & `c`\n# d") == "a\\|b &lt;i\\> &amp; \\`c\\` \\# d"


def test_distributions_have_a_table_where_there_are_some() -> None:
    matched = pair(1)
    teacher, student = View({"a": 0.5, "b": 0.5}, 0.0), View({"a": 0.75, "b": 0.25}, 0.0)
    positions = tuple(Position(prompt, prompt % 2 == 0, "ab", teacher, student) for prompt in range(6))
    evidence = Evidence(matched.teacher.prompts[:6], positions, same_tokens=True, asked=7)
    sides = Side(matched.student), Side(matched.teacher)
    collected = Collected(IntegrityPlan("s", "t", ()), *sides, matched, None, evidence, ())
    without, found = measure(matched), measure(matched, evidence=evidence)
    text, page = statement(collected, found), render_page(collected, found)
    for shown in ("places compared", "KL divergence in nats per token", "overlap (1 - total variation)"):
        assert shown in text
        assert shown in page
        assert shown not in statement(collected, without) + render_page(collected, without)
    rows = dict(re.findall(r"^\| (.+?) +\| (.+?) +\|$", text, re.MULTILINE))
    assert rows["places compared"] == "6 of 7, in answers to 6 prompts"
    assert rows["the same, largest"] == "0.144"
    assert rows["overlap (1 - total variation), at most"] == "0.750 [0.750, 0.750]"
    assert rows["probability seen, teacher and student"] == "100.0 % and 100.0 %"
