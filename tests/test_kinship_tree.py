"""Trees: additive ones are recovered exactly, support is the frequency of bipartitions, Newick survives any name."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_populations import blocks_of, planted

from hydrometer.kinship.layout import classical_scaling, map_coordinates
from hydrometer.kinship.resampling import leaf_keys
from hydrometer.kinship.tree import Tree, midpoint_rooted, neighbour_joining, tree
from hydrometer.stats import Array


@dataclass
class Node:
    """A node as the reader finds it."""

    name: str = ""
    length: float = 0.0
    children: list[Node] = field(default_factory=list)

    def leaves(self) -> list[Node]:
        return [self] if not self.children else [leaf for child in self.children for leaf in child.leaves()]


def read_newick(text: str) -> Node:
    """A reader of the Newick format with quoted names."""
    at = 0

    def name() -> str:
        nonlocal at
        found = ""
        if text[at] == "'":
            at += 1
            while True:
                end = text.index("'", at)
                found += text[at:end]
                at = end + 1
                if text[at] != "'":
                    return found
                found += "'"
                at += 1
        while text[at] not in ",():;":
            found += text[at]
            at += 1
        return found

    def node() -> Node:
        nonlocal at
        children = []
        if text[at] == "(":
            while text[at] != ")":
                at += 1
                children.append(node())
            at += 1
        one = Node(name(), children=children)
        if text[at] == ":":
            start = at = at + 1
            while text[at] not in ",();":
                at += 1
            one.length = float(text[start:at])
        return one

    root = node()
    assert text[at:] == ";\n"
    return root


def random_additive(n: int, seed: int) -> tuple[Array, set[frozenset[int]]]:
    """Path lengths of a random binary tree of n leaves, and its inner bipartitions (the side without leaf 0)."""
    rng = np.random.default_rng(seed)
    distance = np.zeros((n, n))
    groups = [[leaf] for leaf in range(n)]
    depth = dict.fromkeys(range(n), 0.0)
    splits = set()
    while len(groups) > 1:
        a, b = sorted(rng.choice(len(groups), size=2, replace=False).tolist())
        for group in (groups[a], groups[b]):
            up = float(rng.uniform(0.05, 1.0))
            for leaf in group:
                depth[leaf] += up
        for i, j in itertools.product(groups[a], groups[b]):
            distance[i, j] = distance[j, i] = depth[i] + depth[j]
        joined = groups[a] + groups[b]
        groups = [group for index, group in enumerate(groups) if index not in (a, b)] + [joined]
        if 2 <= len(joined) <= n - 2:
            splits.add(frozenset(joined) if 0 not in joined else frozenset(range(n)) - frozenset(joined))
    return distance, splits


def path_lengths(one: Tree) -> Array:
    """Distances between the leaves along the tree."""
    n = len(one.models)

    def above(node: int) -> dict[int, float]:
        found, depth = {node: 0.0}, 0.0
        while one.parent[node] >= 0:
            depth += float(one.length[node])
            node = int(one.parent[node])
            found[node] = depth
        return found

    ways = [above(leaf) for leaf in range(n)]
    return np.array([[min(a[k] + b[k] for k in a if k in b) for b in ways] for a in ways])


def _names(n: int) -> tuple[str, ...]:
    return tuple(f"model {index}" for index in range(n))


def _rooted(distance: Array) -> Tree:
    drawn = neighbour_joining(distance)
    return midpoint_rooted(_names(len(distance)), drawn, np.full(len(drawn.length), np.nan))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 30), seed=st.integers(0, 10_000))
def test_an_additive_tree_is_recovered_exactly(n: int, seed: int) -> None:
    distance, splits = random_additive(n, seed)
    drawn = neighbour_joining(distance)
    keys = leaf_keys(n)
    every = int(np.bitwise_xor.reduce(keys))
    expected = set()
    for split in splits:
        key = int(np.bitwise_xor.reduce(keys[sorted(split)]))
        expected.add(min(key, key ^ every))
    assert {int(key) for key in drawn.keys[drawn.inner]} == expected
    assert path_lengths(_rooted(distance)) == pytest.approx(distance, abs=1e-8)


def _slow_first_joins(distance: Array) -> list[frozenset[int]]:
    """Neighbour joining by its definition: the groups that are joined, in order."""
    groups = [frozenset([leaf]) for leaf in range(len(distance))]
    joins = []
    while len(groups) > 3:
        m, total = len(groups), distance.sum(axis=1)
        criterion = (m - 2) * distance - total[:, None] - total
        np.fill_diagonal(criterion, np.inf)
        i, j = np.unravel_index(int(criterion.argmin()), criterion.shape)
        kept = [k for k in range(m) if k not in (i, j)]
        joined = (distance[i] + distance[j] - distance[i, j]) / 2
        new = np.zeros((m - 1, m - 1))
        new[:-1, :-1] = distance[np.ix_(kept, kept)]
        new[-1, :-1] = new[:-1, -1] = joined[kept]
        joins.append(groups[i] | groups[j])
        distance, groups = new, [groups[k] for k in kept] + [joins[-1]]
    return joins


@settings(max_examples=40, deadline=None)
@given(n=st.integers(4, 25), seed=st.integers(0, 10_000), spread=st.sampled_from([0.01, 0.3, 2.0]))
def test_the_bounded_search_makes_the_joins_of_the_full_one(n: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    noise = np.triu(rng.uniform(0, spread, size=(n, n)), 1)
    distance = 1 + noise + noise.T
    np.fill_diagonal(distance, 0.0)
    keys = leaf_keys(n)
    every = np.bitwise_xor.reduce(keys)
    expected = [np.bitwise_xor.reduce(keys[sorted(group)]) for group in _slow_first_joins(distance)]
    drawn = neighbour_joining(distance)
    assert {int(key) for key in drawn.keys[drawn.inner]} == {int(min(key, key ^ every)) for key in expected}
    assert (drawn.length >= 0).all()


def test_the_root_lies_halfway_along_the_longest_path() -> None:
    distance, _ = random_additive(12, 5)
    rooted = _rooted(distance)
    depth = np.zeros(len(rooted.parent))
    for node in range(len(rooted.parent) - 1, -1, -1):
        step = node
        while rooted.parent[step] >= 0:
            depth[node] += rooted.length[step]
            step = int(rooted.parent[step])
    leaves = np.sort(depth[:12])[::-1]
    assert leaves[0] == pytest.approx(distance.max() / 2)
    assert leaves[1] == pytest.approx(distance.max() / 2)
    assert sorted(rooted.order().tolist()) == list(range(12))


def test_planted_families_have_full_support_and_noise_has_little() -> None:
    related = tree(blocks_of(planted([4, 4, 4], 0.4), noise=0.2), resamples=60)
    clades = {frozenset(_below(related, node)): related.support[node] for node in range(12, len(related.parent))}
    family = [clades.get(frozenset(range(start, start + 4)), math.nan) for start in (0, 4, 8)]
    assert sum(support == 1.0 for support in family) >= 2, "a family may be what is left beside the root"
    noise = tree(blocks_of(np.eye(14), noise=1.0), resamples=60)
    assert np.nanmean(noise.support) < 0.5


def _below(one: Tree, node: int) -> list[int]:
    children = one.children()
    if node < len(one.models):
        return [node]
    return [leaf for child in children[node] for leaf in _below(one, child)]


def test_leaves_and_the_root_have_no_support() -> None:
    found = tree(blocks_of(planted([3, 3], 0.4), noise=0.2), resamples=10)
    assert np.isnan(found.support[:6]).all()
    assert np.isnan(found.support[found.root()])


printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.just(" "), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(printable | st.text("'\"(),:;[] _%{}", max_size=6), min_size=1, max_size=8, unique=True),
    seed=st.integers(0, 1000),
)
def test_newick_returns_every_name_length_and_support(names: list[str], seed: int) -> None:
    distance, _ = random_additive(len(names), seed)
    drawn = neighbour_joining(distance)
    rng = np.random.default_rng(seed)
    one = midpoint_rooted(tuple(names), drawn, np.where(drawn.inner, rng.random(len(drawn.inner)), np.nan))
    root = read_newick(one.newick())
    assert [leaf.name for leaf in root.leaves()] == [names[leaf] for leaf in one.order()]

    def check(found: Node, node: int) -> None:
        assert found.length == pytest.approx(one.length[node], rel=1e-5)
        if found.children:
            support = one.support[node]
            assert found.name == ("" if np.isnan(support) else f"{100 * support:.0f}")
        for child, below in zip(found.children, one.children()[node], strict=True):
            check(child, below)

    check(root, one.root())


def test_newick_writes_what_does_not_print_as_its_code() -> None:
    one = Tree(("a\n;b\x1b'", "c"), np.array([2, 2, -1]), np.array([0.5, 0.5, 0.0]), np.full(3, np.nan))
    assert one.newick() == "('a<U+000A>;b<U+001B>''':0.5,'c':0.5);\n"


def test_a_deep_tree_is_written_without_recursion() -> None:
    n = 1500
    parent = np.array([n, *range(2 * n - 2, n - 1, -1), -1, *range(n, 2 * n - 2)])
    parent[0] = parent[1] = 2 * n - 2
    one = Tree(_names(n), parent, np.zeros(2 * n - 1), np.full(2 * n - 1, np.nan))
    assert one.newick().count("(") == n - 1


@pytest.mark.parametrize(("n", "text"), [(1, "'model 0';\n"), (2, "('model 0':0.3,'model 1':0.3);\n")])
def test_the_smallest_trees(n: int, text: str) -> None:
    assert tree(blocks_of(planted([n], 0.4)), resamples=3).newick() == text


def test_identical_models_make_a_tree_of_no_length() -> None:
    found = tree(blocks_of(np.ones((5, 5))), resamples=3)
    assert found.length.tolist() == [0.0] * 9


def test_the_same_seed_gives_the_same_tree() -> None:
    pairs = blocks_of(planted([4, 3, 1], 0.2), noise=0.5)
    assert tree(pairs, seed=4, resamples=20).newick() == tree(pairs, seed=4, resamples=20).newick()


def test_classical_scaling_returns_points_of_the_plane() -> None:
    points = np.random.default_rng(0).normal(size=(9, 2))
    squared = ((points[:, None] - points) ** 2).sum(axis=2)
    found = classical_scaling(squared)
    assert ((found[:, None] - found) ** 2).sum(axis=2) == pytest.approx(squared, abs=1e-9)


def test_the_map_keeps_relatives_together() -> None:
    sizes = [5] * 8
    places = map_coordinates(planted(sizes, 0.2))
    squared = ((places[:, None] - places) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    family = np.repeat(np.arange(8), sizes)
    assert (family[squared.argmin(axis=1)] == family).all()
    assert (places == map_coordinates(planted(sizes, 0.2))).all()


@pytest.mark.parametrize("n", range(7))
def test_the_map_of_few_or_identical_models_is_finite(n: int) -> None:
    for similarity in (np.eye(n), np.ones((n, n))):
        assert np.isfinite(map_coordinates(similarity)).all()
