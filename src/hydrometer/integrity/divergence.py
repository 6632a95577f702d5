"""Divergence of next-token distributions of which only the likeliest tokens are seen.

Endpoints show the top k of a vocabulary. What such a view leaves open is bounded, never guessed: of two models with one
tokenizer, both distributions are coarsened to the tokens seen on both sides, all that is seen on one side, all that is
seen on the other, and the rest; what is not known of these is taken as it likens the two most. By the data-processing
inequality, divergences of the coarsened are at most those of the whole. Two tokenizers have no tokens in common to
compare; their tokens are merged by what the text goes on with (`by_character`), and as unseen tokens may go on in any
way, bounds there are taken over all ways to distribute them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hydrometer.stats import Array

#: Mass of the head of a distribution: its likeliest classes up to this much; the others are its tail.
HEAD = 0.9
_HALF = re.compile(r" ?(\\x[89a-f][0-9a-f])")
_ROUNDS = 200
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is seen of a distribution.

    Attributes:
        mass: probability by class, the likeliest first.
        rest: probability of all that is not seen.
        exact: whether none of the rest belongs to a class that is seen; so with tokens, not with characters.
    """

    mass: Mapping[str, float]
    rest: float
    exact: bool = True

    @property
    def top(self) -> tuple[str, float]:
        """The likeliest class that is seen, and its probability."""
        return next(iter(self.mass.items()))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a figure lies that a partial view does not fix."""

    low: float
    high: float


def view(top: Iterable[tuple[str, float]]) -> View:
    """A view from tokens and the natural logarithms of their probabilities; tokens with one text are added up."""
    return _view((token, math.exp(value)) for token, value in top)


def by_text(seen: View) -> View:
    """The tokens at the start of an answer, where a space in front does not count."""
    return _view((text.removeprefix(" ") or text, mass) for text, mass in seen.mass.items())


def halved(seen: View) -> bool:
    """Whether tokens are seen that hold half a character."""
    return any(_HALF.match(token) for token in seen.mass)


def by_character(seen: View, *, start: bool = False, whole: bool = True) -> View:
    """Merge tokens by what the text goes on with, as told by `going_on`."""
    known = ((going_on(token, start=start, whole=whole), mass) for token, mass in seen.mass.items())
    merged = _view((name, mass) for name, mass in known if name is not None)
    return replace(merged, exact=merged.rest < _TINY)


def going_on(text: str, *, start: bool = False, whole: bool = True) -> str | None:
    r"""How a text begins: its first character, or a space and the one after it; the empty text is the end.

    Args:
        text: a token or what is left of an answer; half a character is written as its bytes, `\xe4\xbd`.
        start: whether this is the start of an answer, where a space in front of it does not count.
        whole: whether to tell characters outside ASCII apart, or only their first bytes, which tokenizers that split
            characters show as well.

    Returns:
        The class, or None where a single space or half a character leaves it open.
    """
    if start and text.startswith(" "):
        text = text[1:] or " "
    lead = " " if text.startswith(" ") else ""
    after = text[len(lead) :]
    if half := _HALF.match(text):
        return None if whole else lead + half.group(1)
    if after.startswith("\ufffd") or (lead and not after):
        return None
    if not after or whole or after[0].isascii():
        return lead + after[:1]
    return f"{lead}\\x{after.encode()[0]:02x}"


def divergence(p: Array, q: Array) -> float:
    """Kullback-Leibler divergence sum p log(p / q) of two distributions in nats; infinite where only q is 0."""
    seen = p > 0
    if (q[seen] <= 0).any():
        return math.inf
    return max(0.0, float(np.sum(p[seen] * np.log(p[seen] / q[seen]))))


def total_variation(p: Array, q: Array) -> float:
    """Half the sum of absolute differences of two distributions."""
    return float(np.abs(p - q).sum() / 2)


def entropy(seen: View) -> float:
    """Entropy in nats, all that is not seen taken as one class: never more than that of the whole distribution."""
    masses = [mass for mass in (*seen.mass.values(), seen.rest) if mass > 0]
    return max(0.0, -sum(mass * math.log(mass) for mass in masses))


def overlap(p: View, q: View) -> Bounds:
    """Overlap sum min(p, q) = 1 - total variation: how often speculative decoding accepts q's token for p's.

    Leviathan et al. 2023. At least what both are seen to put on one class; at most that and as much as what is not
    seen of one side may share with what is or is not seen of the other.
    """
    shared = sum(min(mass, q.mass[name]) for name, mass in p.mass.items() if name in q.mass)
    if p.exact and q.exact:
        from_q, from_p = min(_alone(p, q), q.rest), min(_alone(q, p), p.rest)
        more = from_q + from_p + min(p.rest - from_p, q.rest - from_q)
    else:
        more = p.rest + q.rest
    return Bounds(min(1.0, shared), min(1.0, shared + more))


def least_divergence(p: View, q: View) -> float:
    """The least Kullback-Leibler divergence in nats of distributions that look like `p` and `q`.

    Where unseen tokens may belong to any class, by alternating minimisation (Csiszar and Tusnady 1984). Elsewhere in
    closed form: of what is not seen of q the part b' lies on what is seen of p alone (a), and of p's the part a' on
    what is seen of q alone (b); both are best where each is in proportion to what it meets.
    """
    if not (p.exact and q.exact):
        return _alternating(p, q)
    known = sum(mass * math.log(mass / q.mass[name]) for name, mass in p.mass.items() if name in q.mass)
    a, b = _alone(p, q), _alone(q, p)
    rest_p, rest_q = max(p.rest, _TINY), max(q.rest, _TINY)
    left_p = max(0.0, (rest_p * rest_q - a * b) / (b + rest_q))
    left_q = rest_q * left_p / (a + left_p) if left_p else 0.0
    pairs = ((a, rest_q - left_q), (rest_p - left_p, b), (left_p, left_q))
    return max(0.0, known + sum(x * math.log(x / max(y, _TINY)) for x, y in pairs if x > 0))


def _alone(p: View, q: View) -> float:
    """Mass of `p` on what is not seen of `q`."""
    return sum(mass for name, mass in p.mass.items() if name not in q.mass)


def _alternating(p: View, q: View) -> float:
    names = list(dict.fromkeys([*p.mass, *q.mass]))
    low_p, low_q = (np.array([*(side.mass.get(name, 0.0) for name in names), _TINY]) for side in (p, q))
    b = low_q + q.rest / len(low_q)
    now = before = math.inf
    for _ in range(_ROUNDS):
        a = _filled(low_p, p.rest, b)
        b = _filled(low_q, q.rest, a)
        now = divergence(a, b)
        if before - now < 1e-9:
            break
        before = now
    return now


def top_agreement(p: View, q: View, k: int) -> float:
    """Share of the k likeliest classes that the two have in common; NaN where fewer are seen on a side."""
    if min(len(p.mass), len(q.mass)) < k:
        return math.nan
    return len(set(list(p.mass)[:k]) & set(list(q.mass)[:k])) / k


def tails(p: View, q: View) -> tuple[float, float]:
    """Mass of `p` and of `q` outside the head of `p`, its likeliest classes that together reach `HEAD`.

    Whatever of q's is not seen counts as outside, so q's figure is at most too high.
    """
    head: list[str] = []
    total = 0.0
    for name, mass in p.mass.items():
        head.append(name)
        total += mass
        if total >= HEAD:
            break
    return max(0.0, 1 - total), max(0.0, 1 - sum(q.mass.get(name, 0.0) for name in head))


def _view(pairs: Iterable[tuple[str, float]]) -> View:
    merged: dict[str, float] = {}
    for name, mass in pairs:
        if mass > _TINY:
            merged[name] = merged.get(name, 0.0) + mass
    scale = max(1.0, sum(merged.values()))  # servers round, to a little more than 1
    ordered = sorted(merged.items(), key=lambda item: (-item[1], item[0]))
    masses = {name: mass / scale for name, mass in ordered}
    return View(masses, max(0.0, 1 - sum(masses.values())))


def _filled(low: Array, extra: float, shape: Array) -> Array:
    """Of the distributions of at least `low` the nearest in divergence to `shape`: max(low, c shape).

    Args:
        low: lower limits, shape (classes,).
        extra: what is to be added to them.
        shape: its likeness, not negative, shape (classes,).
    """
    if extra <= 0:
        return low
    ratio = np.divide(low, shape, where=shape > 0, out=np.full_like(low, math.inf))
    order = np.argsort(ratio, kind="stable")
    raised = np.cumsum(shape[order])
    levels = (extra + np.cumsum(low[order])) / raised  # of the classes up to each, where these are raised
    following = np.append(ratio[order][1:], math.inf)
    at = int(np.argmax(levels <= following))
    return np.asarray(np.maximum(low, levels[at] * shape))
