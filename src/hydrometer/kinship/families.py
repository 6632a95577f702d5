"""Families: groups of models that their answers tie together, with bootstrap support and an order for a map.

Average linkage on residual similarity (Sokal and Michener 1958): the groups that are most alike on average are joined
first. A join counts while more than half of the pairs that it newly brings together can be told from unrelated ones,
at a rate of false discoveries of 5 % (a family rests on many pairs, so no single one has to stand alone). So the cut
is where a typical link can no longer be told from that of unrelated models, it needs no threshold of its own, and one
strong pair cannot chain two families together.

The support of a group is the share of resamples of the prompts in which exactly the same group appears as a clade of
the dendrogram (Felsenstein 1985). A family is a largest group all of whose joins count, in which every model has a
supported relation, and that more than half of the resamples repeat, the majority rule of consensus trees (Margush and
McMorris 1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hydrometer.findings import Estimate, Finding
from hydrometer.kinship.resampling import (
    Keys,
    Single,
    discoveries,
    leaf_keys,
    mean_similarity,
    resampled_similarity,
    resamples_for,
    square,
)
from hydrometer.stats import Array, Codes, percentile_interval

if TYPE_CHECKING:
    from hydrometer.kinship.pairs import PairBlocks
    from hydrometer.kinship.relations import Relations

#: Resamples at most, and the operations that they may take in all: 1,000 at up to 460 models, 100 at 1,000.
RESAMPLES = 1000
_OPERATIONS = 1e11
#: A family is a group that more than this share of the resamples repeat.
MAJORITY = 0.5


class Family(Finding):
    """Models that are tied together.

    Attributes:
        members: two models or more, in the order of the similarity map.
        support: share of resamples of the prompts in which the same group appears as a clade.
        tie: mean residual similarity over the pairs within the family, with its interval; n is the median number of
            prompts that a pair has in common.
        join: mean residual similarity of the two parts that were joined last.
    """

    members: tuple[str, ...]
    support: float
    tie: Estimate
    join: float


class Families(Finding):
    """How a population falls into families.

    Attributes:
        families: largest first, then by their place in `order`.
        singletons: models that no such group holds, in the order of the similarity map.
        order: all models, so that neighbours are as alike as the dendrogram allows (optimal leaf ordering).
        resamples: resamples of the prompts behind support and intervals.
        blocks: blocks of prompts that were resampled.
        seed: of the random generator.
    """

    families: tuple[Family, ...]
    singletons: tuple[str, ...]
    order: tuple[str, ...]
    resamples: int
    blocks: int
    seed: int


@dataclass(frozen=True, slots=True)
class Dendrogram:
    """A hierarchy of n leaves.

    Attributes:
        children: the two nodes that each join brings together, shape (n - 1, 2); nodes below n are leaves, node n + k
            is join k. Joins come in the order of falling similarity.
        height: mean similarity across each join, shape (n - 1,).
        keys: a key of the set of leaves below each join, the same for the same set in every dendrogram of n leaves.
    """

    children: Codes
    height: Array
    keys: Keys

    def members(self) -> list[Codes]:
        """Leaves below each node, leaves first, in the order of the joins."""
        below = [np.array([leaf]) for leaf in range(len(self.children) + 1)]
        for left, right in self.children:
            below.append(np.concatenate([below[left], below[right]]))
        return below


def families(pairs: PairBlocks, relations: Relations, *, seed: int = 0, resamples: int | None = None) -> Families:
    """Families of a population with bootstrap support.

    Args:
        pairs: residual similarities by block of prompts.
        relations: verdicts on the same pairs.
        seed: of the random generator that draws the blocks.
        resamples: number of resamples; by default 1,000, and fewer from 470 models on.
    """
    n, blocks = len(pairs.models), len(pairs.residual)
    resamples = resamples_for(n, RESAMPLES, _OPERATIONS) if resamples is None else resamples
    estimate = np.nan_to_num(relations.estimate)
    centre = mean_similarity(pairs) - estimate
    dendrogram = average_linkage(_matrices(estimate[None], n))[0]
    support = _support(pairs, dendrogram, centre, resamples, seed)
    counting = counting_joins(dendrogram, square(discoveries(relations), n, False))
    below = dendrogram.members()
    order = leaf_order(dendrogram, square(estimate, n, 0.0))
    place = np.argsort(order)
    supported = square(np.asarray(relations.verdict) == "supported", n, False)
    tied = np.array([supported[np.ix_(leaves, leaves)].any(axis=1).all() for leaves in below[n:]], dtype=bool)
    groups = _largest([n + int(join) for join in np.flatnonzero(counting & tied & (support > MAJORITY))], below)
    groups.sort(key=lambda node: (-len(below[node]), int(place[below[node]].min())))
    prompts = pairs.common.sum(axis=0)
    found = []
    for node in groups:
        inside = _inside(below[node], n)
        chunks = resampled_similarity(pairs, resamples, seed, inside)
        ties = np.concatenate([(chunk - centre[inside]).mean(axis=1) for chunk in chunks])
        low, high = percentile_interval(ties, blocks) if blocks > 1 else (None, None)
        mean = float(estimate[inside].mean())
        found.append(
            Family(
                members=_names(pairs.models, sorted(below[node], key=lambda leaf: int(place[leaf]))),
                support=float(support[node - n]),
                tie=Estimate(estimate=mean, low=low, high=high, n=int(np.median(prompts[inside]))),
                join=float(dendrogram.height[node - n]),
            )
        )
    grouped = {int(leaf) for node in groups for leaf in below[node]}
    return Families(
        families=tuple(found),
        singletons=_names(pairs.models, [leaf for leaf in order if int(leaf) not in grouped]),
        order=_names(pairs.models, order),
        resamples=resamples,
        blocks=blocks,
        seed=seed,
    )


def average_linkage(similarity: Single) -> list[Dendrogram]:
    """Average-linkage dendrograms of several similarity matrices over the same models, joined side by side.

    Every model keeps its nearest neighbour; as the average of two similarities is never above the larger one, a join
    changes the nearest neighbour only of those whose neighbour it swallowed. So a step costs O(n), all n - 1 about
    O(n^2) for each matrix.

    Args:
        similarity: symmetric, with -inf on the diagonal; shape (matrices, n, n). Overwritten.
    """
    count, n = similarity.shape[:2]
    row = np.arange(count)
    size = np.ones((count, n), dtype=np.float32)
    node = np.repeat(np.arange(n)[None], count, axis=0)
    key = np.repeat(leaf_keys(n)[None], count, axis=0)
    children = np.zeros((count, max(0, n - 1), 2), dtype=np.int64)
    height = np.zeros((count, max(0, n - 1)))
    keys = np.zeros((count, max(0, n - 1)), dtype=np.uint64)
    nearest = similarity.argmax(axis=2) if n else np.zeros((count, 0), dtype=np.int64)
    best = np.take_along_axis(similarity, nearest[..., None], axis=2)[..., 0]
    for step in range(n - 1):
        first = best.argmax(axis=1)
        second = nearest[row, first]
        kept, gone = np.minimum(first, second), np.maximum(first, second)
        height[:, step] = best[row, first]
        children[:, step] = np.stack([node[row, kept], node[row, gone]], axis=1)
        key[row, kept] ^= key[row, gone]
        keys[:, step] = key[row, kept]
        node[row, kept] = n + step
        share = (size[row, kept] / (size[row, kept] + size[row, gone]))[:, None]
        size[row, kept] += size[row, gone]
        joined = share * similarity[row, kept] + (1 - share) * similarity[row, gone]
        joined[row, kept] = joined[row, gone] = -np.inf
        similarity[row, kept] = joined
        similarity[row, :, kept] = joined
        similarity[row, gone] = -np.inf
        similarity[row, :, gone] = -np.inf
        best[row, gone] = -np.inf
        nearest[row, gone] = gone
        nearest[row, kept] = kept
        stale = (nearest == kept[:, None]) | (nearest == gone[:, None])
        stale[row, gone] = False
        at, model = np.nonzero(stale)
        rows = similarity[at, model]
        nearest[at, model] = rows.argmax(axis=1)
        best[at, model] = rows[np.arange(len(at)), nearest[at, model]]
    return [Dendrogram(children[one], height[one], keys[one]) for one in range(count)]


def counting_joins(dendrogram: Dendrogram, supported: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Joins that bring together more related pairs than others, and whose parts are leaves or such joins.

    Args:
        dendrogram: of n leaves.
        supported: whether a pair can be told from unrelated ones, shape (n, n).

    Returns:
        Shape (n - 1,).
    """
    n = len(supported)
    counts, sizes = supported.astype(np.float64), np.ones(n)
    slot, counting = list(range(n)), [True] * n
    for left, right in dendrogram.children:
        a, b = slot[left], slot[right]
        counting.append(bool(counting[left] and counting[right] and counts[a, b] > sizes[a] * sizes[b] / 2))
        slot.append(a)
        counts[a] += counts[b]
        counts[:, a] += counts[:, b]
        sizes[a] += sizes[b]
    return np.array(counting[n:], dtype=bool)


def leaf_order(dendrogram: Dendrogram, similarity: Array) -> Codes:
    """The order of leaves that a dendrogram allows with the largest sum of similarities between neighbours.

    Optimal leaf ordering (Bar-Joseph, Gifford and Jaakkola 2001). `best[i, j]`, for leaves on opposite sides of a
    join, is the best sum of an order of its leaves that begins with i and ends with j; it is built from the parts'
    own by products in which + stands for x and max for +.

    Args:
        dendrogram: of n leaves.
        similarity: shape (n, n).

    Returns:
        Leaves in order, shape (n,), beginning with the end of the lower index.
    """
    n = len(similarity)
    below, children = dendrogram.members(), dendrogram.children
    best = np.zeros((n, n))

    def sides(node: int) -> list[tuple[Codes, Codes]]:
        """(beginnings, ends) that an order of the node's leaves may have."""
        if node < n:
            return [(below[node], below[node])]
        left, right = (below[child] for child in children[node - n])
        return [(left, right), (right, left)]

    for left, right in children:
        reach = np.empty((len(below[left]), len(below[right])))
        position = {int(leaf): at for at, leaf in enumerate(below[left])}
        for begin, end in sides(left):
            at = [position[int(leaf)] for leaf in begin]
            reach[at] = _max_plus(best[np.ix_(begin, end)], similarity[np.ix_(end, below[right])])
        column = {int(leaf): at for at, leaf in enumerate(below[right])}
        for begin, end in sides(right):
            at = [column[int(leaf)] for leaf in begin]
            whole = _max_plus(reach[:, at], best[np.ix_(begin, end)])
            best[np.ix_(below[left], end)] = whole
            best[np.ix_(end, below[left])] = whole.T

    def ends(node: int, begin: int) -> Codes:
        """Leaves that may end an order of the node's leaves that begins with one of them."""
        return next(end for start, end in sides(node) if begin in start)

    if n < 2:
        return np.arange(n)
    root = n + len(children) - 1
    left, right = (below[child] for child in children[-1])
    first, last = np.unravel_index(int(best[np.ix_(left, right)].argmax()), (len(left), len(right)))
    start, stop = sorted((int(left[first]), int(right[last])))
    order: list[int] = []
    todo = [(root, start, stop)]
    while todo:
        node, start, stop = todo.pop()
        if node < n:
            order.append(node)
            continue
        front, back = (int(child) for child in children[node - n])
        if start not in below[front]:
            front, back = back, front
        middle, after = ends(front, start), ends(back, stop)
        total = best[start, middle][:, None] + similarity[np.ix_(middle, after)] + best[after, stop][None]
        x, y = np.unravel_index(int(total.argmax()), total.shape)
        todo += [(back, int(after[y]), stop), (front, start, int(middle[x]))]
    return np.array(order)


def _max_plus(left: Array, right: Array) -> Array:
    """Maximum over k of left[i, k] + right[k, j], for all i and j."""
    if left.size * right.shape[1] <= 100_000:
        return np.asarray((left[:, :, None] + right[None]).max(axis=1))
    out = np.full((len(left), right.shape[1]), -np.inf)
    for k in range(len(right)):
        np.maximum(out, left[:, k, None] + right[k], out=out)
    return out


def _inside(members: Codes, n: int) -> Codes:
    """Which pairs, in the order of `np.triu_indices(n, 1)`, lie within a group."""
    a, b = np.triu_indices(len(members), 1)
    low, high = np.sort(members)[a], np.sort(members)[b]
    return np.asarray(low * n - low * (low + 1) // 2 + high - low - 1)


def _largest(nodes: Sequence[int], below: Sequence[Codes]) -> list[int]:
    """The nodes that lie in no other of them."""
    kept: list[int] = []
    covered = np.zeros(len(below), dtype=bool)
    for node in sorted(nodes, reverse=True):
        if not covered[below[node][0]]:
            kept.append(node)
            covered[below[node]] = True
    return kept


def _support(pairs: PairBlocks, dendrogram: Dendrogram, centre: Array, resamples: int, seed: int) -> Array:
    """Share of resamples in whose dendrogram each join's leaves are a clade, shape (n - 1,); 1 without resampling."""
    n = len(pairs.models)
    if not resamples or n < 2:
        return np.ones(len(dendrogram.keys))
    hits = np.zeros(n - 1)
    for chunk in resampled_similarity(pairs, resamples, seed):
        keys = np.concatenate([one.keys for one in average_linkage(_matrices(chunk - centre, n))])
        keys.sort()
        hits += np.searchsorted(keys, dendrogram.keys, "right") - np.searchsorted(keys, dendrogram.keys, "left")
    return hits / resamples


def _matrices(values: NDArray[np.floating], n: int) -> Single:
    return square(values.astype(np.float32), n, -np.inf)


def _names(models: Sequence[str], leaves: Sequence[int] | Codes) -> tuple[str, ...]:
    return tuple(models[int(leaf)] for leaf in leaves)
