"""Names of models and prompts: found in a text that lists them, sorted as people sort them, or misspelt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

#: Commas in a name that are reckoned with where names are parted by commas.
_COMMAS = 8


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint that names what was probably meant."""
    near = get_close_matches(name, names, n=3, cutoff=0.4) or list(names[:3])
    return f"Did you mean {' or '.join(near)}?" if near else ""


def split_names(text: str, known: Collection[str]) -> list[str]:
    """The names in a text where they are parted by commas.

    A name that has commas or spaces at its ends is told by being known; the longest such name counts. Otherwise spaces
    around a name do not.

    Args:
        text: such as "gpt-4o, llama-3".
        known: names that there are.
    """
    if text in known:
        return [text]
    pieces = text.split(",")
    names: list[str] = []
    start = 0
    while start < len(pieces):
        tried = [",".join(pieces[start:stop]) for stop in range(start + 1, min(len(pieces), start + 1 + _COMMAS) + 1)]
        found = [(size, name) for size, one in enumerate(tried, 1) for name in (one.strip(), one) if name in known]
        size, name = found[-1] if found else (1, tried[0].strip())
        names += [name] if name else []
        start += size
    return names


def runs_of(pieces: Sequence[str]) -> Iterator[str]:
    """Runs of pieces with the commas between them."""
    for start in range(len(pieces)):
        for stop in range(start + 1, min(len(pieces), start + 1 + _COMMAS) + 1):
            yield ",".join(pieces[start:stop])


def natural_order(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """A key by which names sort as people count: "p2" before "p10"."""
    parts: list[str | tuple[int, str]] = list(re.split("([0-9]+)", name))
    for place in range(1, len(parts), 2):
        digits = str(parts[place]).lstrip("0")
        parts[place] = (len(digits), digits)
    return parts, name


def ranked(found: Iterable[str]) -> tuple[tuple[str, ...], NDArray[np.uint32]]:
    """Names in natural order, and the place in it of each as it was found."""
    names = list(found)
    order = sorted(range(len(names)), key=lambda one: natural_order(names[one]))
    rank = np.empty(len(names), np.uint32)
    rank[order] = np.arange(len(names), dtype=np.uint32)
    return tuple(names[one] for one in order), rank
