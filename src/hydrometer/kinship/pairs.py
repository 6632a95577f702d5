"""Residual similarity: what two models' answers share beyond what everybody says and beyond how ordinary each is.

Per prompt, the raw similarity K of two answers is the cosine of their features, weighted by rarity (`cosines`), and
what is expected of the pair, e, comes from how like all others each of them is and from their lengths (`expected`).
The residual is (K - e) / (1 - e): 0 for a pair as alike as any, 1 for the same text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.kinship.clones import CLONE_PROMPTS, Clones, answered, find_clones
from hydrometer.kinship.cosines import Gram, cosines, gram_on, mean_over_samples
from hydrometer.kinship.expected import covariates, expectation
from hydrometer.kinship.habits import PromptHabits, chunks, habits_of
from hydrometer.stats import Array, Codes

if TYPE_CHECKING:
    import polars as pl

    from hydrometer.kinship.reference import Population
    from hydrometer.response_table import ResponseTable

Single = NDArray[np.float32]
T = TypeVar("T")

#: Fewer models than this have nothing in common that could be told from what two of them share.
FEWEST_MODELS = 4
#: Blocks of prompts at most; each is a unit of resampling.
MAX_BLOCKS = 256
#: Blocks where there are too many pairs to keep `MAX_BLOCKS` of them in memory.
MIN_BLOCKS = 40
_BLOCK_CELLS = 20_000_000
#: Least room above what is expected: a prompt to which everybody says the same tells little of a pair.
LEAST_ROOM = 0.2
#: Prompts that are remembered of each pair.
STRONGEST = 5
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class PairBlocks:
    """Similarities of all unordered pairs of n models, in the order of np.triu_indices(n, 1).

    Attributes:
        models: names.
        residual: sum over the block's prompts of the residual similarity, shape (blocks, pairs).
        common: prompts of the block that both answered, shape (blocks, pairs).
        raw: mean raw similarity over common prompts, NaN where there are none, shape (pairs,).
        resampled: residual similarity of two samples of one model, NaN where there is one sample, shape (n,).
        clones: groups of models (indices) with nearly the same answers.
        strongest: prompts on which a pair is most alike, the most alike first, -1 for none, shape (pairs, `STRONGEST`);
            None where this is not recorded.
        carried: residual similarity on each of them, -inf for none.
    """

    models: tuple[str, ...]
    residual: Single
    common: Single
    raw: Array
    resampled: Array
    clones: tuple[tuple[int, ...], ...]
    strongest: NDArray[np.int32] | None = None
    carried: Single | None = None


@dataclass(frozen=True, slots=True)
class Similarities:
    """Similarities of the models that answered one prompt.

    Attributes:
        prompt: index into the table's prompts.
        present: models, ascending, shape (k,).
        raw: mean cosine of each two, 1 on the diagonal, shape (k, k).
        residual: shape (k, k), the diagonal without meaning.
        resampled: residual similarity of each model's own samples, NaN where it has one, shape (k,).
    """

    prompt: int
    present: Codes
    raw: Array
    residual: Array
    resampled: Array


def residual_pairs(
    table: ResponseTable, *, seed: int = 0, population: Population | None = None, device: str = "cpu"
) -> PairBlocks:
    """Residual similarity of all pairs of a table's models.

    Args:
        table: recorded answers.
        seed: deals the prompts to blocks.
        population: reference models; they are added after the table's own, and only shared prompts count.
        device: "cpu" or "cuda".

    Raises:
        InputError: fewer than `FEWEST_MODELS` models, no prompts shared with the population, or no such device.
    """
    gram = gram_on(device)
    joined = None if population is None else population.joined_to(table)
    models = table.models if joined is None else (*table.models, *joined.models)
    if len(models) < FEWEST_MODELS:
        raise InputError(
            f"{len(models)} model{'s' * (len(models) != 1)} cannot show what everybody says",
            "Give more models, or a --population",
        )
    join = _as_it_is if joined is None else joined.join
    clones = find_clones(islice(all_habits(table, join), CLONE_PROMPTS), len(models), gram)
    gathered = _Gathered(len(models), len(table.prompts), seed)
    for found in each_prompt(table, lambda one: similarities(one, clones, gram), join):
        gathered.add(found)
    return gathered.pairs(models, clones)


def select(pairs: PairBlocks, keep: Sequence[int]) -> PairBlocks:
    """The pairs among some of the models, in the order given.

    Args:
        pairs: similarities of n models.
        keep: indices of models, ascending.
    """
    kept = np.asarray(keep, dtype=np.int64)
    place = pair_index(kept, len(pairs.models))
    new = {int(old): number for number, old in enumerate(kept)}
    groups = (tuple(new[one] for one in group if one in new) for group in pairs.clones)
    return PairBlocks(
        tuple(pairs.models[one] for one in kept.tolist()),
        pairs.residual[:, place],
        pairs.common[:, place],
        pairs.raw[place],
        pairs.resampled[kept],
        tuple(group for group in groups if len(group) > 1),
        None if pairs.strongest is None else pairs.strongest[place],
        None if pairs.carried is None else pairs.carried[place],
    )


def pair_index(present: Codes, n: int) -> Codes:
    """Places of all pairs of `present` models (ascending) among the pairs of n models."""
    inner = np.triu_indices(len(present), 1)
    i, j = present[inner[0]], present[inner[1]]
    return np.asarray(i * n - i * (i + 1) // 2 + (j - i - 1))


def similarities(each: PromptHabits, clones: Clones, gram: Gram) -> Similarities:
    """Raw and residual similarities of the models that answered a prompt.

    Args:
        each: features of the answers.
        clones: which models count as one.
        gram: how products are taken.
    """
    one, present, place = answered(each)
    if not len(present):
        return Similarities(one.prompt, present, np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0))
    samples = np.bincount(place).astype(np.float64)
    votes = clones.votes(present)
    raw, own = mean_over_samples(cosines(one, (votes / samples)[place], gram), place, len(present))
    words = np.bincount(place, one.words) / samples
    word_length = np.bincount(place, one.word_length) / samples
    basis = covariates(words, word_length, votes)
    expected = expectation(raw, basis, clones.group[present], votes)
    room = np.maximum(1 - expected, LEAST_ROOM)
    resampled = (own - np.diag(expected)) / np.diag(room)
    return Similarities(one.prompt, present, raw, (raw - expected) / room, resampled)


def _as_it_is(one: PromptHabits) -> PromptHabits | None:
    return one


Join = Callable[[PromptHabits], "PromptHabits | None"]


def all_habits(table: ResponseTable, join: Join = _as_it_is) -> Iterator[PromptHabits]:
    """The habits of all prompts that `join` keeps."""
    for part in chunks(table):
        yield from (one for one in map(join, habits_of(part)) if one is not None)


def each_prompt(table: ResponseTable, measure: Callable[[PromptHabits], T], join: Join = _as_it_is) -> Iterator[T]:
    """`measure` of each prompt's habits, in the table's order, on a few threads.

    Numpy and polars let go of the interpreter's lock in all that takes long.
    """

    def work(part: pl.DataFrame) -> list[T]:
        return [measure(one) for one in map(join, habits_of(part)) if one is not None]

    waiting: deque[Future[list[T]]] = deque()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for part in chunks(table):
            waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * _WORKERS:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


class _Gathered:
    """Sums over prompts, by block and pair."""

    def __init__(self, n: int, prompts: int, seed: int) -> None:
        pairs = n * (n - 1) // 2
        blocks = max(1, min(prompts, MAX_BLOCKS, max(MIN_BLOCKS, _BLOCK_CELLS // pairs)))
        self.n = n
        self.block = np.random.default_rng(seed).permutation(prompts) % blocks
        self.residual = np.zeros((blocks, pairs), dtype=np.float32)
        self.common = np.zeros((blocks, pairs), dtype=np.float32)
        self.raw = np.zeros(pairs)
        self.within, self.counted = np.zeros(n), np.zeros(n)
        self.strongest = np.full((pairs, STRONGEST), -1, dtype=np.int32)
        self.carried = np.full((pairs, STRONGEST), -np.inf, dtype=np.float32)

    def add(self, found: Similarities) -> None:
        if len(found.present) < FEWEST_MODELS:
            return
        inner = np.triu_indices(len(found.present), 1)
        place = np.arange(len(self.raw)) if len(found.present) == self.n else pair_index(found.present, self.n)
        block = self.block[found.prompt]
        residual = found.residual[inner]
        self.residual[block, place] += residual
        self.common[block, place] += 1
        self.raw[place] += found.raw[inner]
        has = np.isfinite(found.resampled)
        self.within[found.present[has]] += found.resampled[has]
        self.counted[found.present[has]] += 1
        self._remember(found.prompt, place, residual.astype(np.float32))

    def _remember(self, prompt: int, place: Codes, residual: Single) -> None:
        better = residual > self.carried[place, -1]
        place, residual = place[better], residual[better]
        carried, strongest = self.carried[place], self.strongest[place]
        carried[:, -1], strongest[:, -1] = residual, prompt
        order = np.argsort(-carried, axis=1, kind="stable")
        self.carried[place] = np.take_along_axis(carried, order, axis=1)
        self.strongest[place] = np.take_along_axis(strongest, order, axis=1)

    def pairs(self, models: tuple[str, ...], clones: Clones) -> PairBlocks:
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = self.raw / self.common.sum(axis=0, dtype=np.float64)
            own = self.within / self.counted
        return PairBlocks(models, self.residual, self.common, raw, own, clones.groups(), self.strongest, self.carried)
