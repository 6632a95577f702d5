"""What all figures share: one style, names that fit, labels that do not overlap, and files without a browser.

A figure is a Vega-Lite specification and its tables. The same one is drawn by the page in the reader's browser and by
vl-convert into SVG, PDF and PNG, with no browser and no network.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from hydrometer.errors import InputError
from hydrometer.report.visible import label

#: What `--figures` can ask for.
FORMATS = ("svg", "pdf", "png")
INSTALL = "pip install 'hydrometer[figures]'"
#: Okabe and Ito's colours, told apart by colour-blind readers; without yellow, too light on white, and black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a3e9d")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
INK, MUTED, FAINT, GROUND = "#1b1d21", "#575b62", "#c9c9c3", "#ffffff"
FONT = "Liberation Sans, Arial, Helvetica, Noto Sans, Noto Sans CJK SC, sans-serif"
#: Mean width of a character in the font above, in its size.
_WIDTH, _WIDE = 0.56, 1.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure before it is drawn.

    Attributes:
        name: of its files.
        spec: Vega-Lite specification that names its tables but does not hold them.
        tables: each table as columns of equal length.
    """

    name: str
    spec: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Sequence[Any]]]

    def complete(self) -> dict[str, Any]:
        """The specification with its tables as rows."""
        return {**self.spec, "datasets": {name: rows_of(columns) for name, columns in self.tables.items()}}


def rows_of(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """A table of columns as a list of rows."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def can_draw() -> bool:
    """Whether the packages that draw are installed."""
    return find_spec("altair") is not None and find_spec("vl_convert") is not None


def draw(figure: Figure, form: str) -> bytes:
    """The figure as a file's content.

    Args:
        figure: what to draw.
        form: one of `FORMATS`; a PNG has two pixels for each point.

    Raises:
        InputError: the package that draws is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise InputError("Figures need the packages of the extra `figures`", f"Run {INSTALL}.") from error
    spec = figure.complete()
    if form == "svg":
        return _numbered_anew(str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))).encode()
    if form == "pdf":
        return _in_order(bytes(vl_convert.vegalite_to_pdf(spec, allowed_base_urls=[])))
    return bytes(vl_convert.vegalite_to_png(spec, scale=2, allowed_base_urls=[]))


def _numbered_anew(svg: str) -> str:
    """Gradients and clips numbered by their place in this drawing, not by how many the process has drawn."""
    known: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{known.setdefault(match[3], str(len(known)))}"

    return re.sub(r"""(id="|url\(#)(gradient_|clip)(\d+)""", renamed, svg)


_REFERENCE = re.compile(rb"(\d+) 0 R\b")


def _in_order(pdf: bytes) -> bytes:
    """The PDF with its objects numbered in the order in which they are needed; its writer leaves that to chance."""
    table = pdf.rindex(b"\nxref\n") + 1
    places = sorted(int(offset) for offset in re.findall(rb"(\d{10}) \d{5} n", pdf[table:]))
    heads, streams = {}, {}
    for start, end in zip(places, [*places[1:], table], strict=True):
        name, _, content = pdf[start:end].partition(b" 0 obj\n")
        head, mark, stream = content.partition(b"\nstream\n")
        heads[name] = re.sub(rb"(?:\n +/[a-z]+\d+ \d+ 0 R)+", _sorted_lines, head)
        streams[name] = mark + stream
    trailer = pdf[pdf.index(b"trailer", table) :]
    numbers: dict[bytes, bytes] = {}
    todo = _REFERENCE.findall(trailer)[::-1]
    while todo:
        name = todo.pop()
        if name not in numbers:
            numbers[name] = b"%d" % (len(numbers) + 1)
            todo += _REFERENCE.findall(heads[name])[::-1]

    def renumbered(text: bytes) -> bytes:
        return _REFERENCE.sub(lambda match: numbers[match[1]] + b" 0 R", text)

    made, found = bytearray(pdf[: places[0]]), []
    for name, number in numbers.items():
        found.append(b"%010d 00000 n \n" % len(made))
        made += number + b" 0 obj\n" + renumbered(heads[name]) + streams[name]
    size = b"%d" % (len(found) + 1)
    ending = re.sub(rb"(?<=/Size )\d+", size, renumbered(trailer))
    ending = re.sub(rb"(?<=startxref\n)\d+", b"%d" % len(made), ending)
    return bytes(made) + b"xref\n0 " + size + b"\n0000000000 65535 f \n" + b"".join(found) + ending


def _sorted_lines(match: re.Match[bytes]) -> bytes:
    return b"\n".join(sorted(match[0].split(b"\n")))


def finished(chart: Any, name: str, title: str, caption: Sequence[str], tables: Mapping[str, Any]) -> Figure:
    """A chart of altair with title, caption and the common style, taken apart into specification and tables."""
    texts = {"text": title, "subtitle": list(caption), "anchor": "start", "frame": "group", "offset": 14}
    spec = chart.properties(title=texts, padding=16, background=GROUND).configure(**_style()).to_dict(validate=False)
    return Figure(name, spec, tables)


def wrapped(text: str, width: float, size: float = 11) -> list[str]:
    """The text in lines of at most `width` points, broken between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def text_width(text: str, size: float) -> float:
    """About how wide a text is drawn, in points."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return size * (wide * _WIDE + (len(text) - wide) * _WIDTH)


def short_names(names: Sequence[str], limit: int) -> list[str]:
    """Names for a figure: visible, on one line, cut in the middle; longer where two would look the same."""
    shown = [label(name, 200) for name in names]
    short = [_middle_cut(name, limit) for name in shown]
    while limit < max(map(len, shown), default=0):
        limit += 4
        seen: dict[str, set[str]] = {}
        for cut, whole in zip(short, shown, strict=True):
            seen.setdefault(cut, set()).add(whole)
        if all(len(same) == 1 for same in seen.values()):
            break
        short = [
            cut if len(seen[cut]) == 1 else _middle_cut(whole, limit) for cut, whole in zip(short, shown, strict=True)
        ]
    return short


def _middle_cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def free_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    size: float,
    frame: tuple[float, float],
    *,
    radius: float = 5,
    order: Sequence[int] | None = None,
) -> list[tuple[int, float, float, str]]:
    """Labels that cover no other label and no other point, found greedily: first come, first placed.

    Args:
        points: where the points are, in points of the drawing.
        texts: the label of each.
        size: of the font.
        frame: width and height of the drawing.
        radius: of a point's mark.
        order: who comes first; the points' own order if None.

    Returns:
        For each label that found a place: index, x, y and how it is aligned (`left`, `right` or `center`) at its
        middle height.
    """
    taken: dict[tuple[int, int], list[tuple[float, float, float, float]]] = {}
    cell = 60.0

    def cells(box: tuple[float, float, float, float]) -> list[tuple[int, int]]:
        left, top, right, bottom = box
        return [
            (column, row)
            for column in range(int(left // cell), int(right // cell) + 1)
            for row in range(int(top // cell), int(bottom // cell) + 1)
        ]

    def take(box: tuple[float, float, float, float]) -> None:
        for place in cells(box):
            taken.setdefault(place, []).append(box)

    def free(box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        return not any(
            left < other[2] and right > other[0] and top < other[3] and bottom > other[1]
            for place in cells(box)
            for other in taken.get(place, ())
        )

    for x, y in points:
        take((x - radius, y - radius, x + radius, y + radius))
    placed = []
    for index in order if order is not None else range(len(points)):
        (x, y), width = points[index], text_width(texts[index], size)
        gap, half = radius + 3, size * 0.6
        for at_x, at_y, align, left in (
            (x + gap, y, "left", x + gap),
            (x - gap, y, "right", x - gap - width),
            (x, y - gap - half, "center", x - width / 2),
            (x, y + gap + half, "center", x - width / 2),
        ):
            box = (left, at_y - half, left + width, at_y + half)
            if box[0] >= 0 and box[1] >= 0 and box[2] <= frame[0] and box[3] <= frame[1] and free(box):
                take(box)
                placed.append((index, at_x, at_y, align))
                break
    return placed


def _style() -> dict[str, Any]:
    return {
        "font": FONT,
        "view": {"stroke": None},
        "title": {
            "fontSize": 16,
            "fontWeight": 600,
            "color": INK,
            "subtitleFontSize": 11,
            "subtitleColor": MUTED,
            "subtitlePadding": 6,
            "subtitleLineHeight": 15,
        },
        "axis": {
            "labelColor": MUTED,
            "titleColor": INK,
            "titleFontWeight": 400,
            "titleFontSize": 12,
            "labelFontSize": 11,
            "gridColor": "#ecece8",
            "domainColor": FAINT,
            "tickColor": FAINT,
        },
        "legend": {
            "labelColor": INK,
            "titleColor": INK,
            "titleFontWeight": 400,
            "titleFontSize": 12,
            "labelFontSize": 11,
            "titleLimit": 320,
        },
    }
