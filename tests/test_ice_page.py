"""The result page: what it holds, what it allows, and what a real browser does with it, hostile text included."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ice_samples import HARMLESS, HOSTILE, hostile_page, judged, page_of, some_rows

from hydrometer.report import ice_page, ice_words
from hydrometer.report.ice_page import ANSWER_CUTS, PAGE_CHARACTERS, IcePage, excerpt, render_page
from hydrometer.report.page import asset
from hydrometer.report.visible import visible

# Excerpts


@given(
    st.text("abc<\u202e\n\U0001f469", max_size=60),
    st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70)), max_size=5),
    st.integers(1, 80),
)
def test_an_excerpt_marks_exactly_the_spans(text: str, spans: list[tuple[int, int]], limit: int) -> None:
    found = excerpt(text, spans, limit)
    shown = text[found.before : len(text) - found.after]
    assert len(shown) == min(limit, len(text))
    assert "".join(found.segments) == visible(shown)
    marked = {place for low, high in spans for place in range(max(low, 0), min(high, len(text)))}
    expected = "".join(visible(text[p]) for p in sorted(marked) if found.before <= p < len(text) - found.after)
    assert "".join(found.segments[1::2]) == expected
    assert not marked or any(found.segments[1::2]), "the first highlight must be in the part that is shown"


def test_a_claim_far_down_a_long_answer_is_shown() -> None:
    found = excerpt("x" * 9_000 + "I am GPT" + "y" * 9_000, [(9_000, 9_008)], 1_000)
    assert found.segments[1::2] == ["I am GPT"]
    assert found.before + found.after + 1_000 == 18_008


# The page as text


class Elements(HTMLParser):
    """Counts elements and keeps the content of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag in {"script", "style"}:
            self.raw.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in {"script", "style"} and not self.raw[-1][2]:
            self.raw[-1] = (*self.raw[-1][:2], data)


def tokens(theme: str) -> dict[str, str]:
    css = asset("ice.css")
    light, dark = (match.group(1) for match in list(re.finditer(r":root \{(.*?)\}", css, re.DOTALL))[:2])
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light if theme == "light" else dark))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        *((name, back, 4.5) for name in ("text", "muted", "link") for back in ("page", "panel")),
        ("mark-text", "mark", 4.5),
        ("warn-text", "warn", 4.5),
        *((name, "page", 3.0) for name in ("dot", "foreign", "own", "edge")),
    ],
)
def test_contrast_meets_wcag_aa(theme: str, front: str, back: str, least: float) -> None:
    colours = tokens(theme)
    high, low = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= least


def test_the_page_allows_its_own_script_and_style_only() -> None:
    text = render_page(page_of(some_rows()))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none';")
    assert "unsafe" not in policy.group(1)
    for tag, attributes, content in Elements(text).raw:
        if attributes.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy.group(1)
    assert not re.search(r"""(?:src|href|action)=["']?(?!#|data:)\w""", text)
    assert "innerHTML" not in text


def test_the_same_result_gives_the_same_page() -> None:
    assert render_page(page_of(some_rows())) == render_page(page_of(some_rows()))


def test_the_data_of_the_page_cannot_end_its_element_and_reads_back() -> None:
    text = render_page(hostile_page(HOSTILE))
    start = text.index('id="attempts">') + len('id="attempts">')
    data = text[start : text.index("</script>", start)]
    assert not set("<>&\u2028\u2029") & set(data)
    rows = json.loads(data)["rows"]
    assert len(rows) == 3 * len(HOSTILE)
    by_number = {row["number"]: row for row in rows}
    for number, hostile in enumerate(HOSTILE, 1):
        row = by_number[number]
        left = len(hostile) - row["before"] - row["after"]
        assert "".join(row["answer"]) == visible(hostile[row["before"] :][:left])


def test_hostile_text_adds_no_element_and_no_attribute() -> None:
    harmless = Elements(render_page(hostile_page(HARMLESS)))
    hostile = Elements(render_page(hostile_page(HOSTILE)))
    assert set(hostile.tags) <= set(harmless.tags)
    assert hostile.attributes <= harmless.attributes
    assert hostile.tags.count("script") == 2


def test_positives_come_first_and_each_attempt_once() -> None:
    page = page_of(some_rows())
    rows = ice_page._attempts(page)["rows"]
    verdicts = [row["verdict"] for row in rows]
    assert verdicts == sorted(verdicts, key=list(ice_page.VERDICTS).index)
    assert sorted(row["number"] for row in rows) == list(range(1, 61))
    strict = [row for row in rows if "strict" in row["scores"]]
    assert len(strict) == page.scores[0].strict.count
    assert len([row for row in rows if "strict_unprompted" in row["scores"]]) == page.scores[0].strict_unprompted.count


def test_long_answers_are_cut_at_the_stated_length() -> None:
    text = render_page(page_of([judged("word " * 4_000, verdict=False)]))
    assert f"Answers longer than {ANSWER_CUTS[0]:,} characters are cut" in text
    assert f"{20_000 - ANSWER_CUTS[0]:,} characters after this are left out here." in text


def test_very_many_answers_are_cut_shorter() -> None:
    found = page_of(some_rows())
    rows = [judged("word " * 800, verdict=False)] * (PAGE_CHARACTERS // ANSWER_CUTS[1])
    attempts = ice_page._attempts(IcePage(found.scores, [], [rows], [], []))
    assert attempts["limit"] == ANSWER_CUTS[1]
    assert len(attempts["rows"][0]["answer"][0]) == ANSWER_CUTS[1]


def test_bars_of_claims_share_one_scale() -> None:
    text = render_page(page_of(some_rows(), some_rows("other/model", every=6)))
    widths = [float(width) for width in re.findall(r'<rect class="foreign"[^>]* width="([0-9.]+)%"', text)]
    assert widths == [100.0, pytest.approx(50, abs=3)]


def test_a_page_without_a_single_answer() -> None:
    text = render_page(page_of([judged(None)]))
    assert "nothing can be said" in text
    assert ice_words.NO_FIGURE in text


# A real browser


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


class Opened:
    """A page in a browser, with everything it did that a harmless page does not."""

    def __init__(self, context: Any, path: Path) -> None:
        self.page = context.new_page()
        self.url = path.as_uri()
        self.incidents: list[str] = []
        self.page.on("request", lambda request: self._note("request", request.url, self.url, "data:"))
        self.page.on("console", lambda message: self._note("console", f"{message.type} {message.text}"))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("popup", lambda popup: self._note("popup", popup.url))
        self.page.goto(self.url)

    def _note(self, kind: str, text: str, *allowed: str) -> None:
        if not (allowed and text.startswith(allowed)):
            self.incidents.append(f"{kind}: {text}")

    def _dialog(self, dialog: Any) -> None:
        self._note("dialog", dialog.message)
        dialog.dismiss()

    def status(self) -> str:
        return str(self.page.locator("#status").text_content())

    def wait_for_status(self, start: str) -> None:
        starts = "start => document.getElementById('status').textContent.startsWith(start)"
        self.page.wait_for_function(starts, arg=start)

    def tab_to(self, selector: str) -> None:
        for _ in range(80):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached with the Tab key")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = chromium()
    if program is None:
        pytest.skip("no chromium is installed (set CHROMIUM to its path)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=flags)
        yield running
        running.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    yield made
    made.close()


def opened(context: Any, folder: Path, page: IcePage) -> Opened:
    path = folder / "report.html"
    path.write_text(render_page(page), encoding="utf-8")
    return Opened(context, path)


def test_browser_the_page_opens_alone_and_fits_every_width(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, page_of(some_rows(), some_rows("other/" + "x" * 120, every=2)))
    assert seen.status() == "120 of 120 attempts match; showing 1 to 20."
    for width in (320, 390, 768, 1280, 1920):
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    levels = seen.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    controls = "[...document.querySelectorAll('svg, select, input')]"
    assert seen.page.evaluate(f"{controls}.every(e => e.ariaLabel || e.labels?.length)")
    assert seen.incidents == []


def test_browser_highlights_are_at_their_spans(context: Any, tmp_path: Path) -> None:
    answer = "Héllo \U0001f469\u200d\U0001f467 我是由 OpenAI 开发的。 \u202e I am ChatGPT."
    spans = ((answer.index("我"), answer.index("开发") + 2), (answer.index("I am"), len(answer) - 1))
    seen = opened(context, tmp_path, page_of([judged(answer, spans=spans)]))
    assert seen.page.locator("#list mark").all_text_contents() == [answer[low:high] for low, high in spans]
    assert seen.page.locator("#list [data-part=answer]").text_content() == visible(answer)
    assert seen.incidents == []


def test_browser_a_claim_deep_in_a_long_answer_is_in_view(context: Any, tmp_path: Path) -> None:
    answer = "filler line\n" * 150 + "I am ChatGPT.\n" + "filler line\n" * 150
    seen = opened(context, tmp_path, page_of([judged(answer, claim="I am ChatGPT")]))
    box, claim = (seen.page.locator(f"#list {part}").bounding_box() for part in ("[data-part=answer]", "mark"))
    assert box["y"] <= claim["y"] <= box["y"] + box["height"] - claim["height"]


def test_browser_filters_and_search_by_keyboard(context: Any, tmp_path: Path) -> None:
    rows = some_rows()
    page = page_of(rows, some_rows("other/model", every=4))
    seen = opened(context, tmp_path, page)
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "findings"

    seen.tab_to("[name=search]")
    seen.page.keyboard.type("ANSWER 12:")
    seen.wait_for_status("2 of 120")
    assert seen.page.locator("#list article").count() == 2
    seen.page.keyboard.press("Enter")
    assert seen.status().startswith("2 of 120")
    for _ in "ANSWER 12:":
        seen.page.keyboard.press("Backspace")
    seen.wait_for_status("120 of 120")

    seen.tab_to("[name=subject]")
    seen.page.keyboard.type("vendor")
    seen.wait_for_status("60 of 120")
    seen.tab_to("[name=score]")
    seen.page.keyboard.type("Strict: ")
    seen.wait_for_status(f"{page.scores[0].strict.count} of 120")
    seen.tab_to("[name=leading]")
    seen.page.keyboard.type("Names none")
    seen.wait_for_status(f"{page.scores[0].strict_unprompted.count} of 120")
    seen.tab_to("[type=reset]")
    seen.page.keyboard.press("Enter")
    seen.wait_for_status("120 of 120")

    seen.tab_to(".next")
    seen.page.keyboard.press("Enter")
    seen.wait_for_status("120 of 120 attempts match; showing 21 to 40")
    assert seen.page.evaluate("document.activeElement.id") == "results"
    seen.tab_to("summary")
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.parentElement.open") is True
    assert seen.incidents == []


def test_browser_links_beside_figures_open_the_transcripts_behind_them(context: Any, tmp_path: Path) -> None:
    page = page_of(some_rows(), some_rows("other/model", every=4))
    seen = opened(context, tmp_path, page)
    seen.page.locator("#findings a[data-subject='1']").click()
    seen.wait_for_status(f"{page.scores[1].strict.count} of 120")
    seen.page.locator("#identities a[data-subject='0']").click()
    seen.wait_for_status(f"{page.scores[0].claimed['openai'].foreign} of 120")
    assert seen.incidents == []


def test_browser_every_filter_counts_what_the_rows_hold(context: Any, tmp_path: Path) -> None:
    rows = some_rows()
    seen = opened(context, tmp_path, page_of(rows))
    counts = {
        ("score", "loose"): sum(row.positive("loose") is True for row in rows),
        ("score", "hard"): sum(row.positive("hard") is True for row in rows),
        ("score", "failed"): 1,
        ("score", "unparsed"): 1,
        ("score", "negative"): sum(row.parsed and row.positive("loose") is False for row in rows),
        ("language", "zh"): sum(row.attempt.language == "zh" for row in rows),
        ("category", "team"): sum(row.attempt.category == "team" for row in rows),
        ("maker", "OpenAI"): sum(row.positive("strict") is True for row in rows),
        ("leading", "true"): sum(not row.unprompted for row in rows),
    }
    for (name, value), count in counts.items():
        seen.page.locator(f"[name={name}]").select_option(value)
        seen.wait_for_status(f"{count} of 60")
        assert f"{count} of 60" in seen.page.locator("body").inner_text()
        seen.page.locator("[type=reset]").click()
        seen.wait_for_status("60 of 60")
    seen.page.locator("[name=search]").fill("nowhere to be found")
    seen.wait_for_status("None of 60 attempts match")


def test_browser_hostile_text_is_shown_and_does_nothing(context: Any, tmp_path: Path) -> None:
    assert len(HOSTILE) >= 40
    shape = "[...document.querySelectorAll('*')].flatMap(e => [e.tagName, ...e.getAttributeNames()])"
    plain = opened(context, tmp_path, hostile_page(HARMLESS))
    title, expected = "Identity consistency of subject ", set(plain.page.evaluate(shape)) | {"tabindex", "role"}
    seen = opened(context, tmp_path, hostile_page(HOSTILE))
    shown: list[str] = []
    while True:
        assert set(seen.page.evaluate(shape)) <= expected
        shown += seen.page.locator("#list [data-part=answer]:visible").all_text_contents()
        seen.page.evaluate("document.querySelectorAll('#list details').forEach(part => part.open = true)")
        if seen.page.locator(".next").first.is_disabled():
            break
        seen.page.locator(".next").first.click()
    answers = {visible(text) for text in HOSTILE if len(text) <= ANSWER_CUTS[0]}
    assert answers <= set(shown)
    seen.page.locator("[name=search]").fill("<script>")
    seen.page.wait_for_timeout(300)
    assert seen.page.evaluate("window.pwned") is None
    assert seen.page.title().startswith(title)
    assert seen.page.evaluate("document.querySelectorAll('script').length") == 2
    for width in (390, 1280):
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.incidents == []
    assert plain.incidents == []


def test_browser_without_scripts_the_evidence_is_there(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    seen = opened(context, tmp_path, hostile_page(HOSTILE))
    articles = seen.page.locator("noscript article")
    assert articles.count() == ice_page.WITHOUT_SCRIPT
    assert "shows the first 100 of 144 attempts" in str(seen.page.locator("noscript .note").text_content())
    assert seen.page.locator("noscript mark").first.is_visible()
    assert not seen.page.locator("#filters").is_visible()
    assert seen.page.locator("noscript img, noscript script, noscript iframe, noscript style").count() == 0
    assert seen.incidents == []
    context.close()


def test_browser_twenty_thousand_rows_stay_usable(context: Any, tmp_path: Path) -> None:
    few = some_rows()
    answer = "I am a language model, and here is what I know about my developers. " * 20
    rows = [
        judged(f"Number {number}. {answer}", query=f"Question {number % 50}?", template=f"T{number % 400} {{query}}")
        for number in range(20_000)
    ]
    found = page_of(few)
    seen = opened(context, tmp_path, IcePage(found.scores, [], [rows], [], found.settings))
    assert seen.status() == "20,000 of 20,000 attempts match; showing 1 to 20."
    assert seen.page.evaluate("document.querySelectorAll('*').length") < 3_000
    seen.page.locator("[name=search]").fill("number 19999.")
    seen.wait_for_status("1 of 20,000")
    assert "Number 19999." in str(seen.page.locator("#list [data-part=answer]").text_content())
    seen.page.locator("[type=reset]").click()
    seen.wait_for_status("20,000 of 20,000")
    assert seen.incidents == []
