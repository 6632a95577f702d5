"""Made-up answers of a teacher and of students that lost something, for the tests of integrity."""

from __future__ import annotations

import numpy as np

from hydrometer.integrity.samples import Matched, Samples, match

PROMPTS, CLASSES, K = 30, 6, 10


def answers(
    seed: int, *, classes: int = CLASSES, temperature: float = 1.0, without: int = 0, stock: bool = False
) -> list[list[str]]:
    """K answers to each prompt: words of one of its classes, common words and some of its rare ones.

    Args:
        seed: of the draws.
        classes: that are given, the most frequent first.
        temperature: of the choice of the class.
        without: of the most frequent classes are never given.
        stock: all answers open alike.
    """
    rng = np.random.default_rng(seed)
    chances = np.arange(1, CLASSES + 1) ** (-1 / temperature)
    chances[:without] = 0.0
    chances[:classes] /= chances[:classes].sum()
    rows = []
    for prompt in range(PROMPTS):
        found = []
        for _ in range(K):
            label = rng.choice(classes, p=chances[:classes])
            said = [f"c{prompt}x{label}w{word}" for word in range(10)]
            said += [f"common{word}" for word in rng.integers(0, 40, 8)]
            said += [f"rare{prompt}x{word}" for word in rng.integers(0, 12, 3)]
            opening = "I would say that" if stock else f"Open{rng.integers(12)} with this"
            found.append(f"{opening} {' '.join(said[at] for at in rng.permutation(len(said)))}.")
        rows.append(found)
    return rows


def samples(model: str, rows: list[list[str]]) -> Samples:
    n = len(rows)
    ids = tuple(f"p{number:02}" for number in range(n))
    questions = tuple(f"What about matter {number}?" for number in range(n))
    return Samples(model, ids, tuple(map(tuple, rows)), ("en",) * n, ("open",) * n, questions)


def pair(seed: int, **lost: object) -> Matched:
    """A teacher, and a student with a loss (arguments of `answers`)."""
    return match(samples("s", answers(2 * seed + 1, **lost)), samples("t", answers(2 * seed)))  # type: ignore[arg-type]
