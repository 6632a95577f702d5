"""The kinship page: what it holds and allows, and what a real browser does with it, hostile names included."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import test_ice_page
from ice_samples import HARMLESS, HOSTILE
from kinship_samples import kinship_of, model_names, pair_blocks, shared_evidence, some_kinship, with_copies
from test_ice_page import Elements, Opened

from hydrometer.kinship_run import Kinship
from hydrometer.report import kinship_page
from hydrometer.report.kinship_files import all_figures, view_of
from hydrometer.report.kinship_page import render_kinship
from hydrometer.report.page import content_hash
from hydrometer.report.visible import label

pytest.importorskip("altair", reason="the extra `figures` is not installed")

browser, context = test_ice_page.browser, test_ice_page.context


def page_of(kinship: Kinship, drawn: bool = True) -> str:
    view = view_of(kinship)
    return render_kinship(kinship, view, all_figures(view)[:3] if drawn else [])


def hostile(names: tuple[str, ...] = HOSTILE) -> Kinship:
    models = [f"{at} {text}"[:2_000] for at, text in enumerate(names)]
    evidence = tuple(shared_evidence(models[0], name, name, name) for name in models[1:])
    return kinship_of(pair_blocks(models), [f"{name} answers everything alike" for name in models], evidence=evidence)


def data_of(text: str, name: str = "data") -> Any:
    start = text.index(f'id="{name}">') + len(f'id="{name}">')
    return json.loads(text[start : text.index("</script>", start)])


# The page as text


def test_the_page_allows_its_own_scripts_and_style_only() -> None:
    text = page_of(some_kinship(12))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none';")
    assert "unsafe" not in policy.group(1)
    raw = Elements(text).raw
    own = [content for tag, attributes, content in raw if tag == "script" and "type" not in attributes]
    assert len(own) == 2
    for content in [*own, *(content for tag, _, content in raw if tag == "style")]:
        assert f"'sha256-{content_hash(content)}'" in policy.group(1)


def test_the_same_result_gives_the_same_page() -> None:
    assert page_of(kinship_of(pair_blocks(model_names(8)))) == page_of(kinship_of(pair_blocks(model_names(8))))


def test_the_page_holds_all_pairs_the_most_alike_first() -> None:
    found = some_kinship(12)
    pairs = data_of(page_of(found))["pairs"]
    assert len(pairs["a"]) == 66
    assert pairs["residual"] == sorted(pairs["residual"], reverse=True)
    a, b = found.ends()
    values = {
        (int(x), int(y)): round(float(value), 4) for x, y, value in zip(a, b, found.relations.estimate, strict=True)
    }
    assert {(x, y): value for x, y, value in zip(pairs["a"], pairs["b"], pairs["residual"], strict=True)} == values


def test_of_very_many_pairs_the_most_alike_are_kept_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship_page, "PAIRS", 20)
    text = page_of(some_kinship(12))
    assert len(data_of(text)["pairs"]["a"]) == 20
    assert "The 20 most alike of 66 pairs are here" in text


def test_hostile_text_cannot_leave_its_place() -> None:
    text, plain = page_of(hostile()), page_of(hostile(HARMLESS))
    assert set(Elements(text).tags) <= set(Elements(plain).tags)
    assert Elements(text).attributes <= Elements(plain).attributes
    assert Elements(text).tags.count("script") == 4
    assert data_of(text)["models"] == [label(f"{at} {name}"[:2_000], 200) for at, name in enumerate(HOSTILE)]
    for name in ("data", "specs"):
        start = text.index(f'id="{name}">') + len(f'id="{name}">')
        assert not set("<>&\u2028\u2029") & set(text[start : text.index("</script>", start)])


def test_a_page_without_figures_needs_no_runtime() -> None:
    text = page_of(some_kinship(5), drawn=False)
    assert len(text) < 100_000
    assert data_of(text, "specs") == []


def test_the_page_says_what_a_relation_is_not() -> None:
    text = page_of(some_kinship(12), drawn=False)
    assert "consistent with" in text
    assert "no proof of independence" in text
    assert not re.search(r"\bproves\b|\bstole", text)


def test_files_beside_the_page_are_spoken_of_where_they_are() -> None:
    found = some_kinship(5)
    view = view_of(found)
    drawn = all_figures(view)[:3]
    with_files, without = (render_kinship(found, view, drawn, files=files) for files in (True, False))
    assert "files in the folder figures" in with_files
    assert "folder figures" not in without


def test_a_still_figure_of_many_marks_is_smaller_than_its_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship_page, "STILL_BYTES", 1_000)
    assert page_of(some_kinship(5)).count("data:image/png;base64,") == 3
    monkeypatch.setattr(kinship_page, "STILL_BYTES", 10_000_000)
    assert page_of(some_kinship(5)).count("data:image/svg+xml;base64,") == 3


# A real browser


def opened(context: Any, folder: Path, kinship: Kinship, drawn: bool = True) -> Opened:
    path = folder / "kinship.html"
    path.write_text(page_of(kinship, drawn), encoding="utf-8")
    return Opened(context, path)


def until(seen: Opened, expression: str) -> None:
    """Wait for a condition, asked from outside: the page's policy allows no polling within it."""
    for _ in range(600):
        if seen.page.evaluate(expression):
            return
        seen.page.wait_for_timeout(50)
    raise AssertionError(expression)


def draw_all(seen: Opened) -> None:
    for place in seen.page.locator("[data-figure]").all():
        place.scroll_into_view_if_needed()
    until(seen, "document.querySelectorAll('[data-drawn] canvas').length === 3")


def test_browser_the_page_draws_its_figures_and_fits_every_width(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, some_kinship(30))
    assert seen.status() == "435 of 435 pairs match; showing 1 to 50."
    draw_all(seen)
    inked = """canvas => {
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return data.some((value, at) => at % 4 < 3 && value < 100);
    }"""
    assert all(canvas.evaluate(inked) for canvas in seen.page.locator("[data-drawn] canvas").all())
    for width in (320, 390, 768, 1280, 1920):
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    levels = seen.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    controls = "[...document.querySelectorAll('#kin svg, select, input, [role=img]')]"
    assert seen.page.evaluate(f"{controls}.every(e => e.ariaLabel || e.labels?.length)")
    assert seen.incidents == []


def test_browser_figures_stand_in_the_page_before_they_are_drawn_and_in_print(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, some_kinship(30))
    stills = seen.page.locator("img.still")
    assert stills.count() == 3
    loaded = "[...document.querySelectorAll('img.still')].every(one => one.complete && one.naturalWidth > 300)"
    until(seen, loaded)
    last = seen.page.locator("[data-figure=map]")
    assert last.get_attribute("data-drawn") is not None or last.locator("img.still").is_visible()
    draw_all(seen)
    assert not any(one.is_visible() for one in stills.all())
    seen.page.emulate_media(media="print")
    assert all(one.is_visible() for one in stills.all())
    assert not any(one.is_visible() for one in seen.page.locator("canvas").all())
    assert seen.incidents == []


def test_browser_a_figure_wider_than_the_screen_says_so(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, some_kinship(30))
    for width, hint in ((390, True), (1920, False)):
        seen.page.set_viewport_size({"width": width, "height": 900})
        until(seen, f"[...document.querySelectorAll('.swipe')].every(one => one.hidden === {str(not hint).lower()})")
    assert seen.incidents == []


def test_browser_figures_are_dark_in_a_dark_page(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    seen = opened(context, tmp_path, some_kinship(30))
    style = "getComputedStyle(document.querySelector('{}')).{}"
    assert seen.page.evaluate(style.format(".drawing", "backgroundColor")) == "rgb(25, 25, 25)"
    assert "invert" in seen.page.evaluate(style.format(".still", "filter"))
    context.close()


def test_browser_copies_do_not_set_the_scale_of_the_bars(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, with_copies(), drawn=False)
    seen.page.locator("[name=model]").select_option("0")
    box, copy, next_ = (
        seen.page.locator(f"#kin li:nth-child({row}) {part}").first.bounding_box()
        for row, part in ((1, "svg"), (1, ".dot"), (2, ".dot"))
    )
    assert "nearly the same answers" in str(seen.page.locator("#kin li").first.text_content())
    assert seen.page.locator("#kin li:first-child .interval").count() == 0
    middle = next_["x"] + next_["width"] / 2
    assert box["x"] + 0.6 * box["width"] < middle < box["x"] + box["width"]
    assert copy["x"] + copy["width"] / 2 == pytest.approx(box["x"] + box["width"], abs=2)


def test_browser_pairs_are_searched_filtered_and_sorted_by_keyboard(context: Any, tmp_path: Path) -> None:
    found = some_kinship(30)
    seen = opened(context, tmp_path, found, drawn=False)
    seen.tab_to("[name=search]")
    seen.page.keyboard.type("LLAMA-0-7b qwen")
    seen.wait_for_status("4 of 435")
    for _ in "LLAMA-0-7b qwen":
        seen.page.keyboard.press("Backspace")
    seen.wait_for_status("435 of 435")
    seen.tab_to("[name=verdict]")
    seen.page.keyboard.type("supported")
    supported = found.relations.verdict.count("supported")
    seen.wait_for_status(f"{supported} of 435")
    seen.tab_to("[type=reset]")
    seen.page.keyboard.press("Enter")
    seen.wait_for_status("435 of 435")
    column = "[...document.querySelectorAll('#rows tr')].map(row => row.cells[{}].textContent)"
    seen.tab_to("[data-key=a]")
    seen.page.keyboard.press("Enter")
    names = seen.page.evaluate(column.format(0))
    assert names == sorted(names, key=str.lower)
    assert seen.page.locator("th[aria-sort=ascending]").text_content() == "Model"
    for order in (-1, 1):
        seen.page.locator("[data-key=residual]").click()
        values = [float(value.replace("−", "-")) for value in seen.page.evaluate(column.format(2))]
        assert values == sorted(values, reverse=order < 0)
    seen.page.locator(".next").click()
    assert seen.status() == "435 of 435 pairs match; showing 51 to 100."
    assert seen.incidents == []


def test_browser_a_models_relatives_are_shown_with_intervals(context: Any, tmp_path: Path) -> None:
    found = some_kinship(30)
    seen = opened(context, tmp_path, found, drawn=False)
    seen.page.locator("[name=model]").select_option("5")
    names = seen.page.locator("#kin .name").all_text_contents()
    assert set(names[:3]) == {found.models[at] for at in (4, 6, 7)}
    assert len(names) == 12
    first = str(seen.page.locator("#kin .value").first.text_content())
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] supported, p < 0\.0000?0?1, 90 prompts", first)
    box, dot, line = (
        seen.page.locator(f"#kin li:first-child {part}").first.bounding_box() for part in ("svg", ".dot", ".interval")
    )
    assert (
        box["x"] <= line["x"] <= dot["x"] + dot["width"] / 2 <= line["x"] + line["width"] <= box["x"] + box["width"] + 1
    )
    assert seen.incidents == []


def test_browser_evidence_stands_side_by_side_with_what_is_shared_marked(context: Any, tmp_path: Path) -> None:
    found = some_kinship(12)
    shown = replace(found, evidence=(shared_evidence(found.models[0], found.models[1]),))
    seen = opened(context, tmp_path, shown, drawn=False)
    for model, other in ((0, 1), (1, 0)):
        seen.page.locator("[name=model]").select_option(str(model))
        article = seen.page.locator("#kin article")
        assert article.locator("h5").all_text_contents() == [found.models[model], found.models[other]]
        assert article.locator("mark").all_text_contents() == ["a singular turn"] * 2
        assert "Both write: “a singular turn” (1 of the 9 other models too)" in str(
            article.locator("[data-part=phrases]").text_content()
        )
        assert article.locator("h4").all_text_contents() == [
            f"What {found.models[model]} and {found.models[other]} share"
        ]
        assert "More alike than expected on 71 of 90 prompts" in str(article.text_content())
        left, right = (box.bounding_box() for box in article.locator(".answer").all())
        assert left["y"] == right["y"]
        assert left["x"] + left["width"] <= right["x"]
    seen.page.locator("[name=model]").select_option("5")
    assert seen.page.locator("#kin article").count() == 0
    assert seen.incidents == []


def test_browser_a_click_in_a_figure_opens_the_models_relatives(context: Any, tmp_path: Path) -> None:
    found = some_kinship(12)
    seen = opened(context, tmp_path, found)
    draw_all(seen)
    figure = next(one for one in all_figures(view_of(found)) if one.name == "map")
    canvas = seen.page.locator("[data-figure=map] canvas")
    canvas.scroll_into_view_if_needed()
    height = canvas.bounding_box()["height"]
    plot = figure.spec["height"]
    x, y = figure.tables["models"]["x"][9], figure.tables["models"]["y"][9]
    canvas.hover(position={"x": x + 16, "y": y + height - plot - 16})
    assert found.models[9] in str(seen.page.locator("#tip").text_content())
    canvas.click(position={"x": x + 16, "y": y + height - plot - 16})
    assert seen.page.locator("[name=model]").input_value() == "9"
    assert seen.incidents == []


def test_browser_hostile_names_are_shown_and_do_nothing(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, hostile())
    draw_all(seen)
    options = seen.page.locator("[name=model] option").all_text_contents()
    assert sorted(options) == sorted(label(f"{at} {name}"[:2_000], 200) for at, name in enumerate(HOSTILE))
    for at in range(len(HOSTILE)):
        shown = str(seen.page.locator("#kin").text_content()) if at else ""
        assert "undefined" not in shown
        seen.page.locator("[name=model]").select_option(str(at))
    seen.page.locator("[name=search]").fill("<script>")
    seen.page.wait_for_timeout(300)
    assert seen.page.evaluate("window.pwned") is None
    assert seen.page.title() == f"Kinship of {len(HOSTILE)} models"
    for width in (390, 1280):
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.incidents == []


def test_browser_without_scripts_the_most_alike_pairs_are_there(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    seen = opened(context, tmp_path, some_kinship(30))
    assert seen.page.locator("noscript tbody tr").count() == kinship_page.WITHOUT_SCRIPT
    assert not seen.page.locator("#filters").is_visible()
    assert seen.incidents == []
    context.close()


def test_browser_250_models_stay_usable(context: Any, tmp_path: Path) -> None:
    seen = opened(context, tmp_path, some_kinship(250))
    draw_all(seen)
    assert seen.status() == "31,125 of 31,125 pairs match; showing 1 to 50."
    seen.page.locator("[name=search]").fill("llama-0-7b llama-0-70b")
    seen.wait_for_status("1 of 31,125")
    assert seen.page.evaluate("document.querySelectorAll('*').length") < 3_000
    assert seen.incidents == []
