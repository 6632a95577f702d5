"""A synthetic sampler of answers with known faults, shared by the benchmarks of integrity.

Each prompt has its topic, a number of answers that differ in what they say (classes with words of their own and
Zipf-like chances), rare words, and openings from a pool that all prompts share. An answer is an opening, its class's
words and filler, shuffled. No model is run; every fault is planted by the rules below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hydrometer.integrity.samples import Matched, Samples, match
from hydrometer.stats import Array

COMMON, TOPIC, TAIL = 500, 15, 60
CLASS_WORDS, OPENINGS = 30, 40


@dataclass(frozen=True)
class Fault:
    """What is done to a student; the default is nothing.

    Attributes:
        temperature: of the choice of what is said.
        words: temperature of every other choice, the openings' and the words'.
        dropped: share of a prompt's classes that are never given, those left in their proportions.
        swapped: share of a prompt's classes in whose place classes of the student's own stand, with the same chances.
        replaced: share of rare words in whose place common ones stand.
        opened: share of answers with one and the same opening.
        framed: share of common words in whose place those of one stock text stand, the same at every prompt.
        best_of: of so many draws the likeliest is taken.
    """

    temperature: float = 1.0
    words: float = 1.0
    dropped: float = 0.0
    swapped: float = 0.0
    replaced: float = 0.0
    opened: float = 0.0
    framed: float = 0.0
    best_of: int = 1


class World:
    """Prompts with their answers' chances."""

    def __init__(self, seed: int, prompts: int = 60, classes: int = 12, length: int = 30, skew: float = 0.8) -> None:
        self.rng = np.random.default_rng(seed)
        self.prompts, self.classes, self.length = prompts, classes, length
        ranks = np.arange(1, classes + 1, dtype=np.float64)
        self.chances = np.array([self.rng.permutation(ranks**-skew) for _ in range(prompts)])
        self.chances /= self.chances.sum(axis=1, keepdims=True)
        self.openings = np.array([self.rng.permutation(np.arange(1, OPENINGS + 1) ** -0.7) for _ in range(prompts)])
        self.openings /= self.openings.sum(axis=1, keepdims=True)
        common = 0.55 * _zipf(COMMON)
        self.words = np.concatenate([common, 0.2 * _zipf(TOPIC), 0.25 * _zipf(TAIL, 0.5)])

    def samples(self, name: str, k: int, fault: Fault = Fault()) -> Samples:
        """Draw k answers to every prompt from the world's own stream of random numbers."""
        texts = tuple(tuple(self._answer(row, fault) for _ in range(k)) for row in range(self.prompts))
        ids = tuple(f"p{row:03}" for row in range(self.prompts))
        return Samples(name, ids, texts, ("en",) * len(ids), ("open",) * len(ids), ("What is it?",) * len(ids))

    def matched(self, k: int, fault: Fault = Fault()) -> Matched:
        """A teacher, and a student with a fault."""
        return match(self.samples("student", k, fault), self.samples("teacher", k))

    def _answer(self, row: int, fault: Fault) -> str:
        tries = [self._draw(row, fault) for _ in range(fault.best_of)]
        return max(tries, key=lambda one: one[1])[0]

    def _draw(self, row: int, fault: Fault) -> tuple[str, float]:
        gone = round(fault.dropped * self.classes)
        chances = np.where(np.arange(self.classes) < gone, 0.0, self.chances[row])
        label = int(self.rng.choice(self.classes, p=_tempered(chances, fault.temperature)))
        own = "own" if label < round(fault.swapped * self.classes) else ""
        content = [f"{own}c{row}x{label}w{number}" for number in range(CLASS_WORDS)]
        opening = int(self.rng.choice(OPENINGS, p=_tempered(self.openings[row], fault.words)))
        if self.rng.random() < fault.opened:
            opening = OPENINGS
        length = int(self.rng.integers(self.length - 10, self.length + 11))
        p = _tempered(self.words, fault.words)
        filler = self.rng.choice(len(p), size=length, p=p)
        if fault.replaced:
            tail = (filler >= COMMON + TOPIC) & (self.rng.random(length) < fault.replaced)
            filler[tail] = self.rng.choice(COMMON // 10, size=int(tail.sum()))
        shown = [self._word(row, int(word)) for word in filler]
        stock = np.flatnonzero((filler < COMMON) & (self.rng.random(length) < fault.framed))
        for number, at in enumerate(stock):
            shown[at] = f"stock{number}"
        said = content + shown
        said = [said[at] for at in self.rng.permutation(len(said))]
        likely = math.log(self.chances[row, label]) + float(np.log(p[filler]).mean())
        return f"Open{opening}a open{opening}b open{opening}c " + " ".join(said) + ".", likely

    def _word(self, row: int, word: int) -> str:
        if word < COMMON:
            return f"common{word}"
        return f"topic{row}x{word}" if word < COMMON + TOPIC else f"tail{row}x{word}"


def _zipf(n: int, power: float = 1.0) -> Array:
    weights = np.arange(1, n + 1, dtype=np.float64) ** -power
    return np.asarray(weights / weights.sum())


def _tempered(chances: Array, temperature: float) -> Array:
    if temperature == 1.0:
        return np.asarray(chances / chances.sum())
    with np.errstate(divide="ignore"):
        logits = np.log(chances) / temperature
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
