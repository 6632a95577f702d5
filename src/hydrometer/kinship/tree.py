"""A neighbour-joining tree of models with bootstrap support on every branch, rooted for display, and as Newick.

The distance of two models is 1 - residual similarity, never below 0. The similarity is a correlation of what the two
chose, so 1 - r is half the squared Euclidean distance of their standardised habits; where habits drift independently
along the branches of a tree, squared distances add up along its paths (Cavalli-Sforza and Edwards 1967), which is what
neighbour joining asks for. Unrelated models stand at distance 1, with noise that is the same at every level; the
logarithm that is usual for gene frequencies would have to be cut off there.

A tree is drawn for any population. Read its support: a branch that few resamples of the prompts repeat is no finding,
and models without relatives hang from its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hydrometer.kinship.resampling import Keys, leaf_keys, mean_similarity, resampled_similarity, resamples_for, square
from hydrometer.stats import Array, Codes

if TYPE_CHECKING:
    from hydrometer.kinship.pairs import PairBlocks

#: Resamples at most, and the operations that they may take in all: 200 at up to 790 models, 100 at 1,000.
RESAMPLES = 200
_OPERATIONS = 1e11


@dataclass(frozen=True, slots=True)
class Unrooted:
    """An unrooted tree as its branches; nodes below n are leaves.

    Attributes:
        ends: the two nodes of each branch, shape (branches, 2).
        length: of each branch, not negative, shape (branches,).
        keys: a key of the bipartition of the leaves that the branch makes, the same in every tree of n leaves.
        inner: whether the branch has two leaves or more on both sides, shape (branches,).
    """

    ends: Codes
    length: Array
    keys: Keys
    inner: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tree:
    """A rooted tree; nodes below n are leaves, then inner nodes from the root down, parents before children.

    Attributes:
        models: names of the leaves.
        parent: of each node, -1 for the root; shape (nodes,).
        length: of the branch above each node, 0 for the root; shape (nodes,).
        support: share of resamples whose tree has the branch above the node, as a bipartition of the models; NaN for
            leaves, the root and where nothing was resampled. Shape (nodes,).
    """

    models: tuple[str, ...]
    parent: Codes
    length: Array
    support: Array

    def children(self) -> list[list[int]]:
        """Children of each node, smaller clades first."""
        below = [1] * len(self.models) + [0] * (len(self.parent) - len(self.models))
        out: list[list[int]] = [[] for _ in self.parent]
        inner = range(len(self.parent) - 1, len(self.models) - 1, -1)
        for node in (*inner, *range(len(self.models))):
            if self.parent[node] >= 0:
                out[self.parent[node]].append(node)
        for node in inner:
            below[node] = sum(below[child] for child in out[node])
            out[node].sort(key=lambda child: (below[child], child))
        return out

    def order(self) -> Codes:
        """Leaves from top to bottom as the tree is drawn, shape (n,)."""
        children, order = self.children(), []
        todo = [self.root()]
        while todo:
            node = todo.pop()
            todo += reversed(children[node])
            if node < len(self.models):
                order.append(node)
        return np.array(order)

    def root(self) -> int:
        """The node without a parent."""
        return int(np.flatnonzero(self.parent < 0)[0])

    def newick(self) -> str:
        """The tree in the Newick format: names in single quotes, support in whole percent as names of inner nodes.

        A single quote in a name is doubled, as the format asks; a character that does not print, a line feed for
        one, has no place in it and is written as its code.
        """
        children = self.children()
        text = [_quoted(name) for name in self.models] + [""] * (len(self.parent) - len(self.models))
        for node in range(len(self.parent) - 1, len(self.models) - 1, -1):
            inside = ",".join(f"{text[child]}:{self.length[child]:.6g}" for child in children[node])
            label = "" if np.isnan(self.support[node]) else f"{100 * self.support[node]:.0f}"
            text[node] = f"({inside}){label}"
        return text[self.root()] + ";\n"


def tree(pairs: PairBlocks, *, seed: int = 0, resamples: int | None = None) -> Tree:
    """The neighbour-joining tree of a population, rooted at its midpoint, with bootstrap support.

    Args:
        pairs: residual similarities by block of prompts.
        seed: of the random generator that draws the blocks.
        resamples: number of resamples; by default 200, and fewer from 800 models on.
    """
    n = len(pairs.models)
    drawn = neighbour_joining(_distance(mean_similarity(pairs), n))
    resamples = resamples_for(n, RESAMPLES, _OPERATIONS) if resamples is None else resamples
    hits = np.zeros(len(drawn.keys))
    for chunk in resampled_similarity(pairs, resamples, seed):
        for similarity in chunk:
            other = neighbour_joining(_distance(similarity.astype(np.float64), n))
            hits += np.isin(drawn.keys, other.keys)
    support = np.where(drawn.inner & (resamples > 0), hits / max(1, resamples), np.nan)
    return midpoint_rooted(pairs.models, drawn, support)


def neighbour_joining(distance: Array) -> Unrooted:
    """The neighbour-joining tree of a distance matrix (Saitou and Nei 1987; Studier and Keppler 1988).

    Exact, but most pairs are never looked at. With m nodes left, a row's smallest distance bounds its criterion
    (m - 2) d - r_i - r_j from below, so only rows whose bound is under the best value found are searched (after
    Simonsen, Mailund and Pedersen 2008). The bound is tight when all row sums r are alike, and adding a constant to
    all distances of one node changes no choice, it only lengthens that node's branch: so every node is given the
    constant (`shift`) that brings its row sum to the mean. A negative branch is set to 0 and its sibling takes up the
    difference (Kuhner and Felsenstein 1994).

    Args:
        distance: symmetric, shape (n, n).
    """
    n = len(distance)
    left = distance.astype(np.float64)
    np.fill_diagonal(left, 0.0)
    total = left.sum(axis=1)
    shift = (total.mean() - total) / (n - 2) if n > 2 else np.zeros(n)
    left += shift[:, None] + shift
    np.fill_diagonal(left, 0.0)
    total = left.sum(axis=1)
    np.fill_diagonal(left, np.inf)
    least = left.min(axis=1, initial=np.inf)
    node, key, size = np.arange(n), leaf_keys(n), np.ones(n, dtype=np.int64)
    branches: list[tuple[int, int, float]] = []
    keys, sizes = [], []

    def branch(slot: int, to: int, length: float) -> None:
        branches.append((int(node[slot]), to, length))
        keys.append(key[slot])
        sizes.append(size[slot])

    for m in range(n, 3, -1):
        a, b = _closest(left[:m, :m], total[:m], least[:m])
        new = 2 * n - m
        between = float(left[a, b])
        apart = max(between - float(shift[a] + shift[b]), 0.0)
        length = between / 2 + float(total[a] - total[b]) / (2 * (m - 2)) - float(shift[a])
        length = min(max(length, 0.0), apart)
        branch(a, new, length)
        branch(b, new, apart - length)
        _join(left, total, least, shift, (a, b), m)
        node[a], key[a], size[a] = new, key[a] ^ key[b], size[a] + size[b]
        for column in (node, key, size):
            column[b] = column[m - 1]
    if n == 2:
        branch(0, 1, max(float(distance[0, 1]), 0.0))
    elif n > 2:
        for a, b, c in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
            length = float(left[a, b] + left[a, c] - left[b, c]) / 2 - float(shift[a])
            branch(a, 2 * n - 3, max(length, 0.0))
    side, count = np.array(keys, dtype=np.uint64), np.array(sizes, dtype=np.int64)
    return Unrooted(
        ends=np.array([(a, b) for a, b, _ in branches], dtype=np.int64).reshape(-1, 2),
        length=np.array([length for _, _, length in branches]),
        keys=np.minimum(side, np.bitwise_xor.reduce(leaf_keys(n)) ^ side),
        inner=(count > 1) & (n - count > 1),
    )


def _closest(left: Array, total: Array, least: Array) -> tuple[int, int]:
    """The pair that neighbour joining joins next.

    `least` bounds each row's smallest distance from below, and is made exact for the rows that are searched.
    """
    m = len(left)
    bound = (m - 2) * least - total - total.max()
    rows = np.array([int(bound.argmin())])
    best, pair = np.inf, (0, 0)
    searched = np.zeros(m, dtype=bool)
    while len(rows):
        part = left[rows]
        least[rows] = part.min(axis=1)
        criterion = (m - 2) * part - total[rows, None] - total
        at = int(criterion.argmin())
        if criterion.flat[at] < best:
            best, pair = float(criterion.flat[at]), (int(rows[at // m]), at % m)
        searched[rows] = True
        rows = np.flatnonzero((bound < best) & ~searched) if len(rows) == 1 else rows[:0]
    return min(pair), max(pair)


def _join(left: Array, total: Array, least: Array, shift: Array, pair: tuple[int, int], m: int) -> None:
    """Puts the node that joins a pair in the first one's place, and the last of the m nodes in the second one's."""
    a, b = pair
    between = float(left[a, b])
    left[a, a] = left[b, b] = 0.0
    both = left[a, :m] + left[b, :m]
    joined = (both - between) / 2
    total[:m] += joined - both
    total[a] = total[b] = joined[a] = joined[b] = 0.0
    own = float(joined.sum())
    shift[a] = (float(total[:m].sum()) / (m - 2) - own) / (m - 3)
    joined += shift[a]
    total[:m] += shift[a]
    total[a] = own + (m - 2) * shift[a]
    joined[a] = joined[b] = np.inf
    left[a, :m] = left[:m, a] = joined
    np.minimum(least[:m], joined, out=least[:m])
    least[a] = joined.min()
    left[b, :m] = left[m - 1, :m]
    left[:m, b] = left[:m, m - 1]
    left[b, b] = np.inf
    for column in (total, least, shift):
        column[b] = column[m - 1]


def midpoint_rooted(models: tuple[str, ...], drawn: Unrooted, support: Array) -> Tree:
    """The tree with its root halfway along the longest path between two leaves (Farris 1972).

    Args:
        models: names of the leaves.
        drawn: the unrooted tree.
        support: of each branch, NaN where it has none.
    """
    n = len(models)
    if n < 2:
        return Tree(models, np.full(n, -1), np.zeros(n), np.full(n, np.nan))
    nodes = int(drawn.ends.max()) + 1
    beside: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]
    for branch, (a, b) in enumerate(drawn.ends.tolist()):
        beside[a].append((b, branch))
        beside[b].append((a, branch))
    far, _, _ = _reach(beside, drawn.length, 0, n)
    end, via, depth = _reach(beside, drawn.length, far, n)
    half, low = depth[end] / 2, end
    while depth[via[low][0]] > half:
        low = via[low][0]
    high, split = via[low]
    root = nodes
    parent, length, shown = np.full(nodes + 1, -1), np.zeros(nodes + 1), np.full(nodes + 1, np.nan)
    below = depth[low] - half
    for child, above in ((low, below), (high, drawn.length[split] - below)):
        parent[child], length[child], shown[child] = root, above, support[split]
    order, todo = [], [low, high]
    while todo:
        node = todo.pop()
        order.append(node)
        for other, branch in beside[node]:
            if branch != split and parent[other] < 0:
                parent[other], length[other], shown[other] = node, drawn.length[branch], support[branch]
                todo.append(other)
    shown[:n] = np.nan
    inner = [root, *(node for node in order if node >= n)]
    old = np.array([*range(n), *inner])
    number = np.zeros(nodes + 1, dtype=np.int64)
    number[old] = np.arange(nodes + 1)
    above = np.where(parent[old] < 0, -1, number[parent[old]])
    return Tree(models, above, length[old], shown[old])


def _reach(
    beside: list[list[tuple[int, int]]], length: Array, start: int, n: int
) -> tuple[int, dict[int, tuple[int, int]], dict[int, float]]:
    """The leaf farthest from a node; the step back to it from every node, as (node, branch); and the depths."""
    depth, via, todo = {start: 0.0}, {start: (start, -1)}, [start]
    while todo:
        node = todo.pop()
        for other, branch in beside[node]:
            if other not in depth:
                depth[other], via[other] = depth[node] + float(length[branch]), (node, branch)
                todo.append(other)
    farthest = max((leaf for leaf in range(n) if leaf != start), key=lambda leaf: (depth[leaf], -leaf))
    return farthest, via, depth


def _distance(similarity: Array, n: int) -> Array:
    return np.asarray(square(np.maximum(1 - similarity, 0.0), n, 0.0))


def _quoted(name: str) -> str:
    shown = "".join(character if character.isprintable() else f"<U+{ord(character):04X}>" for character in name)
    return "'" + shown.replace("'", "''") + "'"
