"""Diversity within a prompt: how many different things a model says when it is asked the same again.

Every measure takes the answers of one model to one prompt and gives one value; words are those of `samples.words`
(of Chinese each character). Measures that length would decide are taken on the length-matched answers.

Counts saturate: k answers cannot show more than k classes. Collision measures do not: the share of pairs of answers
that agree estimates the same quantity without bias at every k from 2 on (Simpson 1949).
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from hydrometer.integrity.embedding import Space
from hydrometer.integrity.metrics import Metric, Theme
from hydrometer.integrity.samples import Matched, words
from hydrometer.stats import Array, Codes

#: Words that make an opening.
OPENING = 3
#: Longest n-gram of self-BLEU.
BLEU = 4
#: Share of prompts on which a count is at its limit, from which on it is called saturated.
_SATURATED = 0.5
#: Share of k from which on a Vendi score is at its limit: lexical vectors are never quite orthogonal.
_NEAR = 0.95

Words = Sequence[Sequence[str]]


def diversity(matched: Matched, space: Space, classes: tuple[Codes, Codes]) -> list[Metric]:
    """All measures of diversity within a prompt.

    Args:
        matched: the answers.
        space: their vectors.
        classes: (teacher, student) as `answer_classes` gives them.
    """
    student, teacher = matched.trimmed
    ours, theirs = ([[words(text) for text in texts] for texts in side.texts] for side in (student, teacher))
    vocabulary = len({word for side in (ours, theirs) for texts in side for text in texts for word in text})
    k = teacher.k

    def of_words(name: str, measure: Callable[[Words], float], *, higher_is_kept: bool, theme: Theme) -> Metric:
        values = _both(measure, theirs, ours)
        return Metric(name, theme, higher_is_kept, *values, worst=0.0 if higher_is_kept else 1.0)

    def share(name: str, measure: Callable[[Words], float]) -> Metric:
        """Of k copies of one answer a k-th of the n-grams are different ones."""
        teacher, student = _both(measure, theirs, ours)
        return Metric(name, "diversity", True, teacher, student, worst=_mean(teacher) / k)

    vectors = space.teacher, space.student
    counts = _both(_distinct, *classes)
    scores = _both(vendi, *vectors)
    ratios = _both(compression_ratio, teacher.texts, student.texts)
    # k copies of an answer take the room of one: of 1 / ratio all but a k-th can be lost, here to first order.
    twice = _mean(ratios[0]) * (2 - 1 / k)
    return [
        Metric(
            "distinct answers", "diversity", True, *counts, worst=1.0, saturated=_limit(counts, k, k), unit=f"of {k}"
        ),
        Metric("same answer twice", "diversity", False, *_both(collision, *classes), worst=1.0),
        Metric("entropy of answers", "diversity", True, *_both(entropy, *classes), unit="bits"),
        Metric(
            "Vendi score", "diversity", True, *scores, worst=1.0, saturated=_limit(scores, _NEAR * k, k), unit=f"of {k}"
        ),
        *(share(f"distinct-{n}", partial(distinct_n, n=n)) for n in (1, 2, 3)),
        share("EAD", partial(expectation_adjusted_distinct, vocabulary=vocabulary)),
        of_words(f"self-BLEU-{BLEU}", self_bleu, higher_is_kept=False, theme="diversity"),
        Metric("compression ratio", "diversity", False, *ratios, worst=twice),
        of_words("entropy of openings", lambda texts: entropy(opened(texts)), higher_is_kept=True, theme="openings"),
        of_words("same opening twice", lambda texts: collision(opened(texts)), higher_is_kept=False, theme="openings"),
    ]


def distinct_n(texts: Words, n: int) -> float:
    """Different n-grams / all n-grams of the answers together (Li et al. 2016); NaN without any."""
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def expectation_adjusted_distinct(texts: Words, vocabulary: int) -> float:
    """Different words / number expected of as many draws from a vocabulary, V (1 - (1 - 1/V)^C) (Liu et al. 2022).

    Args:
        texts: words of the answers, C in all.
        vocabulary: V, words that both models use over all prompts.
    """
    total = sum(map(len, texts))
    if not total:
        return math.nan
    expected = vocabulary * -math.expm1(total * math.log1p(-1 / vocabulary)) if vocabulary > 1 else 1.0
    return len({word for text in texts for word in text}) / expected


def self_bleu(texts: Words) -> float:
    """Mean BLEU of each answer against the others to the same prompt (Zhu et al. 2018), as defined here.

    BLEU with n-grams of 1 to 4, uniform weights, counts clipped at the largest count in any one reference, brevity
    penalty against the reference nearest in length (the shorter at a tie); a precision without a match counts half a
    match, n-grams longer than the answer are left out.
    """
    if len(texts) < 2:
        return math.nan
    logs: list[list[float]] = [[] for _ in texts]
    for n in range(1, BLEU + 1):
        counted = [Counter(_grams(text, n)) for text in texts]
        top: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for owner, counts in enumerate(counted):
            for gram, count in counts.items():
                first, who, second = top.get(gram, (0, -1, 0))
                top[gram] = (count, owner, first) if count > first else (first, who, max(second, count))
        for owner, counts in enumerate(counted):
            total = counts.total()
            if total:
                matched = sum(
                    min(count, top[gram][2] if top[gram][1] == owner else top[gram][0])
                    for gram, count in counts.items()
                )
                logs[owner].append(math.log(max(matched, 0.5) / total))
    scores = []
    for owner, found in enumerate(logs):
        long = len(texts[owner])
        if not found:
            continue
        nearest = min((abs(len(other) - long), len(other)) for at, other in enumerate(texts) if at != owner)[1]
        scores.append(math.exp(min(0.0, 1 - nearest / long) + sum(found) / len(found)))
    return float(np.mean(scores)) if scores else math.nan


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes / bytes after DEFLATE at level 9 of the answers, a line feed between them (Shaib et al. 2024)."""
    raw = "\n".join(texts).encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw, 9)) if raw else math.nan


def vendi(vectors: Array) -> float:
    """Vendi score: exp of the entropy of the eigenvalues of K / k, K the cosines (Friedman and Dieng 2023).

    1 where all answers are alike, k where all are orthogonal.

    Args:
        vectors: unit vectors, shape (k, d).
    """
    kernel = vectors @ vectors.T
    np.fill_diagonal(kernel, 1.0)
    values = np.linalg.eigvalsh(kernel / len(kernel))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def collision(labels: Sequence[object] | Codes) -> float:
    """Share of pairs of answers with the same label: unbiased for the probability that two answers agree."""
    counts = np.array(list(Counter(_plain(labels)).values()), dtype=np.float64)
    n = counts.sum()
    return float((counts * (counts - 1)).sum() / (n * (n - 1))) if n > 1 else math.nan


def entropy(labels: Sequence[object] | Codes) -> float:
    """Entropy in bits with the correction of Chao and Shen (2003) for labels that were not seen in so few draws."""
    counts = np.array(list(Counter(_plain(labels)).values()), dtype=np.float64)
    n = counts.sum()
    if not n:
        return math.nan
    singles = float((counts == 1).sum())
    seen = 1 - min(singles, n - 1) / n
    share = seen * counts / n
    found = share * np.log2(share) / (1 - (1 - share) ** n)
    return max(0.0, -float(found.sum()))


def opened(texts: Words) -> list[tuple[str, ...]]:
    """First words of each answer."""
    return [tuple(text[:OPENING]) for text in texts]


def _distinct(labels: Codes) -> float:
    return float(len(np.unique(labels)))


def _limit(values: tuple[Array, Array], most: float, k: int) -> str:
    """A line where a model is at the limit of a count on many prompts."""
    sides = zip(("teacher", "student"), values, strict=True)
    full = [side for side, found in sides if (found >= most).mean() >= _SATURATED]
    return f"At k = {k} the {' and the '.join(full)} reached the most that can be counted." if full else ""


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _plain(labels: Sequence[object] | Codes) -> Iterable[object]:
    return labels.tolist() if isinstance(labels, np.ndarray) else labels


def _both(measure: Callable[..., float], teacher: Iterable[object], student: Iterable[object]) -> tuple[Array, Array]:
    """The measure of each prompt's answers, of both models."""
    theirs, ours = (np.array([measure(row) for row in rows], dtype=np.float64) for rows in (teacher, student))
    return theirs, ours


def _grams(text: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(text[start:] for start in range(n)), strict=False))
