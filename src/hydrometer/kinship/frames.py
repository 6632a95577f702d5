"""Frames: how a model's answers begin and end, which it does alike whatever it is asked.

The words of an answer depend on the question and on how able a model is; its first and last words hardly do, and they
are learnt early from a teacher. So they are compared across prompts: for each beginning (of an answer, or of its last
sentence) of one to eight words, how much oftener a model uses it than all models do on the same prompts. A student that
begins as its teacher begins, on other questions too, is alike even where it never gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hydrometer.kinship.habits import openings
from hydrometer.kinship.words import stream
from hydrometer.stats import Array, Codes

if TYPE_CHECKING:
    from hydrometer.kinship.pairs import PairBlocks
    from hydrometer.response_table import ResponseTable

Single = NDArray[np.float32]
Hashes = NDArray[np.uint64]

#: Frames that are met on fewer prompts are topics, not habits.
FEWEST_PROMPTS = 10
#: Groups of prompts, each of which is left out in turn.
GROUPS = 32
#: Prompts that are read: enough to know how a model begins and ends.
MOST_PROMPTS = 2000
#: Variance added to that of each frame, so that one which is hardly ever chosen does not decide.
PRIOR = 2.0
#: Characters of a beginning, enough for its words.
_CHARACTERS = 160
_CELLS = 40_000_000
_LEAST = 1e-9
#: The last sentence: what follows the last full stop, colon or line break that something follows.
_LAST = r"(?s)^.*(?:[.!?:]\s|[。！？]|\n)\s*(.+)$"


@dataclass(frozen=True, slots=True)
class Frames:
    """How much oftener than all models each model uses each frame.

    Attributes:
        name: "opening" or "closing".
        excess: answers with the frame, less those expected from all models on the same prompts, by group of prompts;
            shape (groups, models, frames).
        scale: standard deviation of the excess over models, shape (frames,).
    """

    name: str
    excess: Single
    scale: Array

    def likeness(self, rows: Sequence[int], columns: Sequence[int], left_out: int | None = None) -> Array:
        """Cosines of the standardised excesses of models, shape (rows, columns); 0 for one without any.

        Args:
            rows: models.
            columns: the models they are compared with.
            left_out: the group of prompts that does not count.
        """
        total = self.excess.sum(axis=0, dtype=np.float64)
        if left_out is not None:
            total -= self.excess[left_out]
        z = (total - total.mean(axis=0)) / self.scale
        z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), _LEAST)
        return np.asarray(z[list(rows)] @ z[list(columns)].T)


def groups_of(prompts: int, blocks: int, seed: int) -> Codes:
    """Group of each prompt: `residual_pairs`' blocks, taken together to at most `GROUPS` groups. Shape (prompts,)."""
    return np.asarray(np.random.default_rng(seed).permutation(prompts) % blocks % min(GROUPS, blocks))


def frames(table: ResponseTable, pairs: PairBlocks, *, seed: int = 0) -> tuple[Frames, ...]:
    """Openings and closings of a table's models, where there are any to compare.

    Args:
        table: recorded answers.
        pairs: the same table's similarities, whose blocks of prompts and clones are taken over.
        seed: that `pairs` was made with.
    """
    group = groups_of(len(table.prompts), len(pairs.residual), seed)
    votes = np.ones(len(table.models))
    for members in pairs.clones:
        votes[list(members)] = 1 / len(members)
    parts: dict[str, list[pl.DataFrame]] = {"opening": [], "closing": []}
    answers = np.zeros((len(table.prompts), len(table.models)), dtype=np.float32)
    for batch in table.batches():
        kept = batch.filter(pl.col("prompt") < MOST_PROMPTS)
        np.add.at(answers, (kept["prompt"].to_numpy(), kept["model"].to_numpy()), 1)
        texts = kept["response"].fill_null("").str.strip_chars()
        parts["opening"].append(_beginnings(kept, texts))
        parts["closing"].append(_beginnings(kept, texts.str.extract(_LAST)))
    found = (_counted(name, pl.concat(each), answers, votes, group) for name, each in parts.items() if each)
    return tuple(one for one in found if one.excess.shape[2])


def _beginnings(rows: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
    """The beginnings of texts: columns model, prompt, frame."""
    hashes, owner = openings(stream(texts, _CHARACTERS))
    return rows.select("model", "prompt")[owner].with_columns(pl.Series("frame", hashes, dtype=pl.UInt64))


def _counted(name: str, found: pl.DataFrame, answers: Single, votes: Array, group: Codes) -> Frames:
    """Excesses of the frames that are met often enough; the most varied where there are too many.

    Args:
        name: of the line of evidence.
        found: one row an answer and frame.
        answers: how many there are, shape (prompts, models).
        votes: weight of each model in what is expected, shape (models,).
        group: of each prompt, shape (prompts,).
    """
    prompts, models = answers.shape
    groups = int(group.max(initial=0)) + 1
    often = found.group_by("frame").agg(pl.col("prompt").n_unique().alias("prompts"))
    kept: Hashes = np.sort(often.filter(pl.col("prompts") >= FEWEST_PROMPTS)["frame"].to_numpy())
    found = found.filter(pl.col("frame").is_in(kept.tolist()))
    place = np.searchsorted(kept, found["frame"].to_numpy())
    model, prompt = (found[column].to_numpy().astype(np.int64) for column in ("model", "prompt"))
    share = 1 / answers[prompt, model]
    voting = (answers > 0) @ votes
    cell = place * prompts + prompt
    at, inverse = np.unique(cell, return_inverse=True)
    expected = np.bincount(inverse, share * votes[model], len(at)) / voting[at % prompts]
    chance = np.bincount(at // prompts, expected * (1 - expected), len(kept))
    most = max(1, _CELLS // (groups * models))
    chosen = np.sort(np.argsort(-chance, kind="stable")[:most])
    new = np.full(len(kept), -1)
    new[chosen] = np.arange(len(chosen))
    excess = np.zeros((groups, models, len(chosen)), dtype=np.float32)
    there = new[place] >= 0
    np.add.at(excess, (group[prompt[there]], model[there], new[place[there]]), share[there])
    for number in range(groups):
        inside = np.flatnonzero(group == number)
        row = np.full(prompts, -1)
        row[inside] = np.arange(len(inside))
        here = (row[at % prompts] >= 0) & (new[at // prompts] >= 0)
        table = np.zeros((len(inside), len(chosen)), dtype=np.float32)
        table[row[at[here] % prompts], new[at[here] // prompts]] = expected[here]
        excess[number] -= (answers[inside] > 0).T.astype(np.float32) @ table
    total = excess.sum(axis=0, dtype=np.float64)
    spread = ((total - total.mean(axis=0)) ** 2).mean(axis=0)
    return Frames(name, excess, np.sqrt(PRIOR + np.maximum(chance[chosen], spread)))
