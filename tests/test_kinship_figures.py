"""The figures: right data in the right place, legible at 5 and at 250 models, the same bytes each time."""

from __future__ import annotations

import re
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ice_samples import HOSTILE
from kinship_samples import kinship_of, model_names, pair_blocks, some_kinship, with_copies

from hydrometer.errors import InputError
from hydrometer.report import figures
from hydrometer.report.figures import draw, free_labels, short_names, text_width, wrapped
from hydrometer.report.kinship_figures import RAMP, PopulationView, nearest_chart, relatives_chart, similarity_map
from hydrometer.report.kinship_files import all_figures, view_of
from hydrometer.report.kinship_tree import FAIR, tree_chart

pytest.importorskip("altair", reason="the extra `figures` is not installed")

SIZES = (5, 30, 250)


def view(n: int) -> PopulationView:
    return view_of(some_kinship(n))


# Names and labels


@given(st.lists(st.text("ab-0…\u202e\x1b ", max_size=40), max_size=12), st.integers(4, 30))
def test_names_that_differ_stay_apart_when_they_are_cut(names: list[str], limit: int) -> None:
    short = short_names(names, limit)
    whole = short_names(names, 400)
    assert len(short) == len(names)
    for one, other in combinations(range(len(names)), 2):
        assert (short[one] == short[other]) == (whole[one] == whole[other]) or "…" in whole[one] + whole[other]
    assert not any(character in "".join(short) for character in "\u202e\x1b\n")


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    assert short_names(["Infinity-Instruct-3M-0613-Llama3-70B"], 20) == ["Infinity-I…lama3-70B"]
    two = ["Infinity-Instruct-3M-0613-Llama3-70B", "Infinity-Instruct-3M-0625-Llama3-70B"]
    assert len(set(short_names(two, 20))) == 2


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), max_size=25),
    st.lists(st.text("abc长", min_size=1, max_size=15), min_size=25, max_size=25),
)
def test_labels_cover_neither_each_other_nor_a_point(points: list[tuple[float, float]], texts: list[str]) -> None:
    size = 10.0
    boxes = []
    for index, x, y, align in free_labels(points, texts[: len(points)], size, (300, 200), radius=4):
        width = text_width(texts[index], size)
        left = {"left": x, "right": x - width, "center": x - width / 2}[align]
        boxes.append((left, y - size * 0.6, left + width, y + size * 0.6))
    for left, top, right, bottom in boxes:
        assert left >= 0
        assert top >= 0
        assert right <= 300
        assert bottom <= 200
        assert not any(left < x < right and top < y < bottom for x, y in points)
    for one, other in combinations(boxes, 2):
        assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]


def test_one_point_gets_its_label() -> None:
    assert free_labels([(50, 50)], ["name"], 10, (200, 100)) == [(0, 58, 50, "left")]


@given(st.text("ab ", max_size=200), st.integers(20, 200))
def test_wrapped_lines_hold_all_words_in_order(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(text_width(line, 11) <= width or " " not in line for line in lines)


# What the figures hold


def test_the_similarity_map_holds_each_pair_at_its_place() -> None:
    shown = view(30)
    tables = similarity_map(shown).tables
    cells = figures.rows_of(tables["cells"])
    assert len(cells) == 30 * 29
    for cell in cells[::17]:
        a, b = shown.order[cell["y"]], shown.order[cell["x"]]
        assert cell["value"] == round(float(shown.residual[a, b]), 3)
        assert tables["models"]["name"][cell["y"]] == shown.names[a]
    dots = {(int(dot["y"]), int(dot["x"])) for dot in figures.rows_of(tables["dots"])}
    assert dots == {
        (row, column)
        for row, a in enumerate(shown.order)
        for column, b in enumerate(shown.order)
        if shown.supported[a, b]
    }
    assert len(dots) > 20


def test_families_stand_together_on_the_similarity_map() -> None:
    shown = view(30)
    brackets = figures.rows_of(similarity_map(shown).tables["brackets"])
    assert len(brackets) == len(shown.families)
    for bracket, (name, members) in zip(
        sorted(brackets, key=lambda one: one["family"]), sorted(shown.families), strict=True
    ):
        assert bracket["family"] == name
        assert round(bracket["end"] - bracket["start"]) == len(members)


def test_a_pair_without_common_prompts_is_left_empty() -> None:
    pairs = pair_blocks(model_names(8))
    pairs.residual[:, 0] = pairs.common[:, 0] = 0
    shown = view_of(kinship_of(pairs))
    at = {model: place for place, model in enumerate(shown.order)}
    empty = [cell for cell in figures.rows_of(similarity_map(shown).tables["cells"]) if cell["value"] is None]
    assert {(cell["x"], cell["y"]) for cell in empty} == {(at[0], at[1]), (at[1], at[0])}
    assert all(draw(figure, "svg") for figure in all_figures(shown))


def test_many_models_are_cut_to_those_with_the_strongest_relatives() -> None:
    n = 310
    rng = np.random.default_rng(0)
    residual = rng.normal(0, 0.01, (n, n))
    residual = (residual + residual.T) / 2
    residual[:20, :20] = 0.5
    shown = PopulationView(
        [f"m{at}" for at in range(n)],
        residual,
        residual > 0.4,
        list(range(n)),
        [("f", list(range(20)))],
        [],
        [],
        None,
        9,
    )
    figure = similarity_map(shown)
    assert figure.tables["models"]["name"][:20] == [f"m{at}" for at in range(20)]
    assert len(figure.tables["models"]["name"]) == 300
    assert "The 300 with the strongest relatives are shown" in " ".join(figure.spec["title"]["subtitle"])


@pytest.mark.parametrize("n", SIZES)
def test_the_tree_has_each_model_in_a_row_of_its_own_and_keeps_lengths(n: int) -> None:
    shown = view(n)
    tables = tree_chart(shown).tables
    assert sorted(tables["leaves"]["y"]) == list(range(n))
    assert sorted(tables["leaves"]["full"]) == sorted(shown.names)
    drawn = sum(end - start for start, end in zip(tables["branches"]["x1"], tables["branches"]["x2"], strict=True))
    assert drawn == pytest.approx(sum(branch.length for branch in shown.tree))
    assert all(support >= FAIR for support in tables["marks"]["support"])
    strong = sum((branch.support or 0) >= FAIR for branch in shown.tree)
    assert len(tables["marks"]["support"]) == strong


def test_the_chart_of_relatives_has_intervals_verdicts_and_the_range_of_unrelated_pairs() -> None:
    shown = view(30)
    figure = relatives_chart(shown, 1)
    rows = figures.rows_of(figure.tables["rows"])
    assert [row["estimate"] for row in rows] == sorted((row["estimate"] for row in rows), reverse=True)
    assert {row["full"] for row in rows[:3]} == {shown.names[at] for at in (0, 2, 3)}
    assert all(row["low"] < row["estimate"] < row["high"] for row in rows)
    assert [row["verdict"] for row in rows[:3]] == ["supported"] * 3
    low, high = figure.tables["unrelated"]["low"][0], figure.tables["unrelated"]["high"][0]
    assert low < 0 < high < rows[2]["estimate"]


@pytest.mark.parametrize("n", SIZES)
def test_each_figure_says_how_many_models_and_prompts_it_rests_on(n: int) -> None:
    for figure in all_figures(view(n)):
        assert f"{n} models, 90 prompts" in " ".join(figure.spec["title"]["subtitle"])
        assert figure.spec["title"]["text"]


def test_copies_do_not_set_the_scales_and_are_marked() -> None:
    shown = view_of(with_copies())
    assert shown.residual[0, 1] > 0.9
    heat = similarity_map(shown)
    domains = [
        layer["encoding"]["color"]["scale"]["domain"]
        for layer in heat.spec["layer"]
        if "scale" in layer["encoding"].get("color", {})
    ]
    assert domains[0][1] < 0.5
    at = {model: place for place, model in enumerate(shown.order)}
    assert {(int(x), int(y)) for x, y in zip(heat.tables["twins"]["x"], heat.tables["twins"]["y"], strict=True)} == {
        (at[0], at[1]),
        (at[1], at[0]),
    }
    bars = relatives_chart(shown, 0)
    rows = bars.tables["rows"]
    assert rows["estimate"][0] > 0.9
    assert rows["drawn"][0] < 0.5
    assert rows["low"][0] is None
    assert rows["drawn"][1:] == rows["estimate"][1:]
    assert bars.tables["clones"]["text"] == [f"nearly the same answers: {rows['estimate'][0]:.2f}"]
    assert all(draw(figure, "svg") for figure in (heat, bars))


def test_two_that_are_each_others_nearest_share_a_bar() -> None:
    shown = view(30)
    names = nearest_chart(shown).tables["rows"]["full"]
    pairs = [frozenset(re.split(" [↔→] ", name)) for name in names]
    assert len(set(pairs)) == len(pairs)
    nearest = [rows[0].model for rows in shown.relatives]
    for name in names:
        first, arrow, second = re.split(" ([↔→]) ", name)
        a, b = shown.names.index(first), shown.names.index(second)
        assert nearest[a] == b
        assert (nearest[b] == a) == (arrow == "↔")
    assert set().union(*pairs) == set(shown.names)


def test_the_tree_gives_the_percentages_of_the_newick_file() -> None:
    found = some_kinship(30)
    written = sorted(re.findall(r"\)(\d+)", found.tree.newick()), key=int)
    drawn = sorted((one.removesuffix(" %") for one in tree_chart(view_of(found)).tables["marks"]["percent"]), key=int)
    assert drawn
    assert drawn == [one for one in written if int(one) >= 100 * FAIR]


def test_the_map_speaks_of_shapes_where_it_has_some() -> None:
    for n, word in ((30, "Colour: family"), (60, "Colour and shape together: family")):
        figure = next(one for one in all_figures(view(n)) if one.name == "map")
        assert word in " ".join(figure.spec["title"]["subtitle"])
        assert (len(set(figure.tables["models"]["shape"])) > 1) == ("shape" in word)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_the_colours_of_similarity_can_be_told_apart_in_grey() -> None:
    greys = [luminance(colour) for colour in RAMP]
    assert all(before - after > 0.06 for before, after in pairwise(greys))


# What is drawn


def texts_of(svg: bytes) -> list[tuple[str, float, float]]:
    """Texts of a drawing with font size and width."""
    found = []
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        size = float(str(element.get("font-size", "10")).removesuffix("px"))
        text = "".join(element.itertext())
        found.append((text, size, text_width(text, size)))
    return found


@pytest.mark.parametrize("n", SIZES)
def test_every_figure_is_drawn_with_letters_that_can_be_read(n: int) -> None:
    for figure in all_figures(view(n)):
        texts = texts_of(draw(figure, "svg"))
        assert min(size for text, size, _ in texts if text.strip()) >= 8.5
        assert any(figure.spec["title"]["text"] in text for text, _, _ in texts)


def test_where_rows_are_too_thin_the_similarity_map_names_families_only() -> None:
    few, many = (" ".join(text for text, _, _ in texts_of(draw(similarity_map(view(n)), "svg"))) for n in (30, 250))
    assert few.count("llama-0-7b") == 2
    assert "llama-0-7b" not in many
    assert "llama-0 (4)" in many


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_the_same_population_gives_the_same_bytes(form: str) -> None:
    starts = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}
    for one, other in zip(all_figures(view(5)), all_figures(view(5)), strict=True):
        first = draw(one, form)
        assert first.startswith(starts[form])
        assert first == draw(other, form)


def test_hostile_names_are_drawn_and_do_nothing() -> None:
    names = [f"{at} {text}"[:300] for at, text in enumerate(HOSTILE)]
    for figure in all_figures(view_of(kinship_of(pair_blocks(names)))):
        svg = draw(figure, "svg").decode()
        root = ElementTree.fromstring(svg)
        kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert kinds <= {
            "svg",
            "g",
            "path",
            "rect",
            "text",
            "tspan",
            "defs",
            "linearGradient",
            "stop",
            "clipPath",
            "line",
        }
        names_used = {name.rpartition("}")[2] for element in root.iter() for name in element.attrib}
        assert not {name for name in names_used if name.startswith("on") or name in {"href", "src", "style"}}
        assert "\x1b" not in svg
        assert "\u202e" not in svg


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = similarity_map(view(5))
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match=re.escape(figures.INSTALL)):
        draw(figure, "svg")


@pytest.mark.parametrize("n", [8, 30])
def test_relatives_lie_nearer_on_the_map_than_others(n: int) -> None:
    shown = view(n)
    tables = next(figure for figure in all_figures(shown) if figure.name == "map").tables["models"]
    places = np.array([tables["x"], tables["y"]]).T
    gap = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2))
    _, family = shown.families[0]
    others = [at for at in range(n) if at not in family]
    assert gap[np.ix_(family, family)].mean() < 0.4 * gap[np.ix_(family, others)].mean()
