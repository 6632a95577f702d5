"""Tail coverage: of the rare words, phrases and answers of a teacher, how many the student still has.

A student's mean can be its teacher's while the rare is gone. Words and pairs of words are put in bands by how many of
the teacher's prompts they occur at; words of the question itself do not count, as copying them is no choice. Per
prompt, the share of a band's words in one half of the teacher's answers that come back among as many answers of the
student is set against the share that comes back in the teacher's other half (`halves`), on length-matched answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from hydrometer.integrity.halves import against_itself, unrepeated
from hydrometer.integrity.metrics import Metric
from hydrometer.integrity.samples import Matched, Samples, words
from hydrometer.stats import Array, Codes

#: Upper limits of the bands, as shares of the prompts at which a word occurs.
RARE, UNCOMMON = 0.02, 0.1

Units = Callable[[str], list[str]]


def tails(matched: Matched, classes: tuple[Codes, Codes]) -> list[Metric]:
    """Tail coverage of words, phrases and answer classes.

    Args:
        matched: the answers.
        classes: (teacher, student) as `answer_classes` gives them, each of shape (prompts, k).
    """
    student, teacher = matched.trimmed
    found = [
        Metric(f"{band} {name} kept", "tail", True, *values)
        for name, cut in (("words", words), ("phrases", _pairs))
        for band, values in _bands(teacher, student, cut).items()
    ]
    rare = against_itself(
        teacher.k, lambda seen, other, of_student: _rare_classes(classes[0][:, seen], classes[of_student][:, other])
    )
    return [*found, Metric("rare answers kept", "tail", True, *rare, saturated=unrepeated(rare[0], teacher.k))]


def kept(seen: Sequence[set[str]], other: Sequence[set[str]]) -> Array:
    """Share of the words seen at each prompt that are among the others; NaN where none was seen. Shape (prompts,)."""
    return np.array([len(a & b) / len(a) if a else math.nan for a, b in zip(seen, other, strict=True)])


def _bands(teacher: Samples, student: Samples, cut: Units) -> dict[str, tuple[Array, Array]]:
    sides = [
        [
            [set(cut(text)) - set(cut(question)) for text in texts]
            for texts, question in zip(side.texts, side.questions, strict=True)
        ]
        for side in (teacher, student)
    ]
    spread = Counter(word for answers in sides[0] for word in set().union(*answers))
    limits = {"rare": (0, _limit(RARE, teacher)), "uncommon": (_limit(RARE, teacher), _limit(UNCOMMON, teacher))}
    found = {}
    for name, (above, most) in limits.items():
        band = {word for word, prompts in spread.items() if above < prompts <= most}

        def view(seen: slice, other: slice, of_student: bool, band: set[str] = band) -> Array:
            return kept(
                [set().union(*answers[seen]) & band for answers in sides[0]],
                [set().union(*answers[other]) for answers in sides[of_student]],
            )

        found[name] = against_itself(teacher.k, view)
    return found


def _limit(share: float, teacher: Samples) -> int:
    return max(1, math.floor(share * len(teacher.prompts)))


def _rare_classes(seen: Codes, other: Codes) -> Array:
    """Share of the classes seen once at each prompt that are among the others."""
    rows = []
    for ours, theirs in zip(seen, other, strict=True):
        labels, counts = np.unique(ours, return_counts=True)
        once = labels[counts == 1]
        rows.append(float(np.isin(once, theirs).mean()) if len(once) else math.nan)
    return np.array(rows)


def _pairs(text: str) -> list[str]:
    """Pairs of neighbouring words."""
    return [f"{a} {b}" for a, b in pairwise(words(text))]
