"""Divergence of next-token distributions: closed forms, and bounds that hold whatever is not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.integrity import divergence as dv
from hydrometer.integrity.divergence import View, view

COUNTS = st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), min_size=3, max_size=12)


def seen(masses: Sequence[float], k: int | None = None, names: Sequence[str] | None = None) -> View:
    """The k likeliest of a distribution over tokens t0, t1, ..."""
    names = names or [f"t{at}" for at in range(len(masses))]
    ranked = sorted(zip(masses, names, strict=True), reverse=True)[:k]
    return view((name, math.log(mass)) for mass, name in ranked)


def whole(pairs: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array(pairs, dtype=float)
    p, q = (counts / counts.sum(axis=0)).T
    return p, q


def test_two_coins() -> None:
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    assert dv.divergence(p, q) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert dv.divergence(p, p) == 0
    assert dv.divergence(np.array([1.0, 0.0]), q) == pytest.approx(math.log(4))
    assert dv.divergence(q, np.array([1.0, 0.0])) == math.inf
    assert dv.total_variation(p, q) == pytest.approx(0.25)
    assert dv.entropy(seen(p.tolist())) == pytest.approx(math.log(2))


@pytest.mark.parametrize("k", [3, 10, 200])
def test_geometric_distributions_of_which_k_are_seen(k: int) -> None:
    a, b = 0.3, 0.2
    p, q = ([c * (1 - c) ** at for at in range(200)] for c in (a, b))
    one, other = seen(p, k), seen(q, k)
    step = math.log((1 - a) / (1 - b))
    shown = sum(mass * (math.log(a / b) + at * step) for at, mass in enumerate(p[:k]))
    assert dv.least_divergence(one, other) == pytest.approx(shown + (1 - a) ** k * k * step)
    exact = math.log(a / b) + (1 - a) / a * step
    assert dv.least_divergence(one, other) <= exact + 1e-12
    assert one.rest == pytest.approx((1 - a) ** k, abs=1e-10)
    entropy = -(math.log(a) + (1 - a) / a * math.log(1 - a))
    assert dv.entropy(one) <= entropy + 1e-12
    if k == 200:
        assert dv.least_divergence(one, other) == pytest.approx(exact)
        assert dv.entropy(one) == pytest.approx(entropy)


@given(COUNTS, st.integers(1, 12), st.integers(1, 12))
def test_what_is_not_seen_never_makes_models_more_different(pairs: list[tuple[int, int]], k_p: int, k_q: int) -> None:
    p, q = whole(pairs)
    one, other = seen(p.tolist(), k_p), seen(q.tolist(), k_q)
    assert dv.least_divergence(one, other) <= dv.divergence(p, q) + 1e-9
    bounds = dv.overlap(one, other)
    assert bounds.low - 1e-9 <= 1 - dv.total_variation(p, q) <= bounds.high + 1e-9
    entropy = -float(np.sum(p * np.log(p)))
    assert dv.entropy(one) <= entropy + 1e-9


@given(COUNTS)
def test_overlap_and_total_variation_are_one_where_all_is_seen(pairs: list[tuple[int, int]]) -> None:
    p, q = whole(pairs)
    bounds = dv.overlap(seen(p.tolist()), seen(q.tolist()))
    assert bounds.low == pytest.approx(bounds.high)
    assert bounds.low + dv.total_variation(p, q) == pytest.approx(1)
    assert dv.least_divergence(seen(p.tolist()), seen(q.tolist())) == pytest.approx(dv.divergence(p, q), abs=1e-9)


@given(COUNTS, st.integers(1, 12), st.integers(1, 12), st.data())
def test_bounds_over_characters_hold_though_unseen_tokens_may_be_any(
    pairs: list[tuple[int, int]], k_p: int, k_q: int, data: st.DataObject
) -> None:
    p, q = whole(pairs)
    names = [data.draw(st.sampled_from("abc")) + str(at) for at in range(len(p))]
    one, other = (dv.by_character(seen(side.tolist(), k, names)) for side, k in ((p, k_p), (q, k_q)))
    a, b = (np.array([side[[name[0] == c for name in names]].sum() for c in "abc"]) for side in (p, q))
    bounds = dv.overlap(one, other)
    assert bounds.low - 1e-9 <= 1 - dv.total_variation(a, b) <= bounds.high + 1e-9
    assert -1e-9 <= dv.least_divergence(one, other) <= dv.divergence(a, b) + 1e-6


def test_the_least_divergence_fills_what_is_open_where_it_likens_most() -> None:
    p, q = View({"a": 0.8}, 0.2, exact=False), View({"b": 0.6, "a": 0.2}, 0.2, exact=False)
    expected = 0.8 * math.log(0.8 / 0.4) + 0.2 * math.log(0.2 / 0.6)
    assert dv.least_divergence(p, q) == pytest.approx(expected, abs=1e-6)
    assert dv.least_divergence(p, p) == pytest.approx(0, abs=1e-6)
    bounds = dv.overlap(p, q)
    assert (bounds.low, bounds.high) == pytest.approx((0.2, 0.6))


def test_what_is_seen_on_one_side_alone_is_shared_with_what_is_not_seen_of_the_other() -> None:
    p, q = View({"a": 0.5, "b": 0.4}, 0.1), View({"a": 0.5, "c": 0.3}, 0.2)
    # Of q's 0.2 as much as can be on b, of p's 0.1 all on c: nothing is left for tokens that neither shows.
    expected = 0.4 * math.log(0.4 / 0.2) + 0.1 * math.log(0.1 / 0.3)
    assert dv.least_divergence(p, q) == pytest.approx(expected)
    assert dv.overlap(p, q) == dv.Bounds(pytest.approx(0.5), pytest.approx(0.8))  # type: ignore[arg-type]
    grid = [at / 200 for at in range(201)]
    ways = [
        dv.divergence(np.array([0.5, 0.4, x, 0.1 - x]), np.array([0.5, y, 0.3, 0.2 - y]))
        for x in (0.1 * one for one in grid)
        for y in (0.2 * one for one in grid)
    ]
    assert min(ways) == pytest.approx(expected, abs=1e-4)


def test_a_token_that_only_one_side_can_write_does_not_make_the_divergence_infinite() -> None:
    found = dv.least_divergence(seen([0.5, 0.5], names=["a", "b"]), seen([1.0], names=["a"]))
    assert 10 < found < 20


def test_a_view_adds_up_tokens_of_one_text_and_drops_what_is_next_to_impossible() -> None:
    found = view([("", math.log(0.2)), ("a", math.log(0.5)), ("", math.log(0.2)), ("b", -9999.0)])
    assert found.mass == {"a": pytest.approx(0.5), "": pytest.approx(0.4)}
    assert found.rest == pytest.approx(0.1)
    assert found.top[0] == "a"
    rounded = view([("a", math.log(0.8)), ("b", math.log(0.201))])
    assert sum(rounded.mass.values()) == pytest.approx(1)
    assert rounded.rest == pytest.approx(0)


@pytest.mark.parametrize(
    ("text", "start", "whole", "expected"),
    [
        (" the", False, True, " t"),
        ("the", False, True, "t"),
        (" the", True, True, "t"),
        ("", False, True, ""),
        (" ", False, True, None),
        (" ", True, True, None),
        ("  x", False, True, "  "),
        ("\n\n- a", False, True, "\n"),
        (" 山", False, True, " 山"),
        (" 山", False, False, " \\xe5"),
        ("山水", False, False, "\\xe5"),
        ("\\xe5\\xb1", False, True, None),
        ("\\xe5\\xb1", False, False, "\\xe5"),
        (" \\xe5", False, False, " \\xe5"),
        ("\ufffd", False, False, None),
        ("\\x41", False, True, "\\"),
    ],
)
def test_what_a_text_goes_on_with(text: str, start: bool, whole: bool, expected: str | None) -> None:
    assert dv.going_on(text, start=start, whole=whole) == expected


def test_tokens_become_characters_and_what_leaves_them_open_is_not_seen() -> None:
    found = dv.by_character(seen([0.4, 0.3, 0.2, 0.1], names=[" the", " ", " to", "\\xe5"]))
    assert found.mass == {" t": pytest.approx(0.6)}
    assert found.rest == pytest.approx(0.4)
    assert not found.exact
    assert dv.by_character(seen([0.6, 0.4], names=["ab", "cd"])).exact
    assert dv.halved(seen([0.5, 0.5], names=["a", " \\xe5\\xb1"]))
    assert not dv.halved(seen([0.5, 0.5], names=["a", "山"]))


def test_at_the_start_a_space_in_front_makes_no_other_token() -> None:
    found = dv.by_text(seen([0.5, 0.2, 0.2, 0.1], names=[" Mars", "Mars", " ", ""]))
    assert found.mass == {"Mars": pytest.approx(0.7), " ": pytest.approx(0.2), "": pytest.approx(0.1)}


def test_likeliest_tokens_in_common() -> None:
    p, q = seen([0.4, 0.3, 0.2, 0.1]), seen([0.1, 0.4, 0.3, 0.2])
    assert dv.top_agreement(p, q, 2) == 0.5
    assert dv.top_agreement(p, q, 4) == 1
    assert math.isnan(dv.top_agreement(p, q, 5))


def test_the_tail_is_what_the_teachers_head_leaves() -> None:
    p, q = seen([0.6, 0.32, 0.05, 0.03]), seen([0.2, 0.3, 0.4, 0.1])
    assert dv.tails(p, q) == pytest.approx((0.08, 0.5))
    assert dv.tails(p, seen([0.9, 0.1])) == pytest.approx((0.08, 0))
    assert dv.tails(p, seen([0.9, 0.1], 1)) == pytest.approx((0.08, 0.1))
