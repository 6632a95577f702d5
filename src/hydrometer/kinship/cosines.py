"""Raw similarity of answers: cosines of their features, weighted by rarity, each kind of choice with one vote.

A feature's weight is log(1.001 answers / answers that have it), so that what everybody does weighs next to nothing.
Each kind's features are scaled to unit length before they are laid side by side: the few choices of how to open an
answer then count as much as the many of its words.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.kinship.habits import KINDS, PromptHabits, kind_of
from hydrometer.stats import Array, Codes

#: Products of the rows of a sparse matrix with one another: (row, column, value, shape) -> (rows, rows).
Gram = Callable[[Codes, Codes, Array, tuple[int, int]], Array]
#: A feature that fewer than this share of the answers have is counted pair by pair, which costs less than a column.
_RARE = 1 / 9
_LEAST = 1e-12
#: So that answers which all say the same are found to be the same.
_BARELY = 1.001
_CELLS = 2_000_000


def cosines(one: PromptHabits, share: Array, gram: Gram) -> Array:
    """Cosines of the features of all answers to a prompt, shape (answers, answers); 0 for an answer without any.

    Args:
        one: features of the answers.
        share: weight of each answer in how common a feature is, shape (answers,).
        gram: how products are taken.
    """
    m = len(share)
    total = float(share.sum())
    kinds = len(KINDS)
    holders = np.bincount(one.column, share[one.row], len(one.features))
    weight = np.log(np.maximum(total / np.maximum(holders, _LEAST), 1.0) * _BARELY)
    kind = kind_of(one.features)
    place = one.row * kinds + kind[one.column]
    squares = np.bincount(place, weight[one.column], m * kinds).astype(np.float64).reshape(m, kinds)
    squares += one.alone * np.log(np.maximum(total / np.maximum(share, _LEAST), 1.0) * _BARELY)[:, None]
    voting = np.maximum((squares > _LEAST).sum(axis=1), 1)
    scale = 1 / np.sqrt(np.maximum(squares, _LEAST) * voting[:, None])
    value = np.sqrt(weight)[one.column] * scale.ravel()[place]
    out = gram(one.row, one.column, value, (m, len(one.features)))
    np.fill_diagonal(out, (squares > _LEAST).any(axis=1))
    return out


def sparse_gram(row: Codes, column: Codes, value: Array, shape: tuple[int, int]) -> Array:
    """Row products on the processor: frequent columns as a matrix, rare ones pair by pair; `column` ascends."""
    m, columns = shape
    many = np.bincount(column, minlength=columns)
    limit = max(4, int(m * _RARE))
    frequent = many > limit
    dense = frequent[column]
    place = np.cumsum(frequent) - 1
    matrix = np.zeros((m, int(frequent.sum())), dtype=np.float32)
    matrix[row[dense], place[column[dense]]] = value[dense]
    out = (matrix @ matrix.T).astype(np.float64)
    starts = np.cumsum(many) - many
    places: list[Codes] = []
    values: list[Array] = []
    for holders in range(2, limit + 1):
        chosen = starts[many == holders]
        left, right = np.triu_indices(holders, 1)
        for start in range(0, len(chosen), max(1, _CELLS // len(left))):
            members = chosen[start : start + max(1, _CELLS // len(left)), None] + np.arange(holders)
            rows, held = row[members], value[members]
            places.append((rows[:, left] * m + rows[:, right]).ravel())
            values.append((held[:, left] * held[:, right]).ravel())
        if sum(map(len, places)) > _CELLS or holders == limit:
            flat = np.concatenate([np.zeros(0, dtype=np.int64), *places])
            counted = np.bincount(flat, np.concatenate([np.zeros(0), *values]), m * m).reshape(m, m)
            out += counted
            out += counted.T
            places.clear()
            values.clear()
    return out


def gram_on(device: str) -> Gram:
    """How row products are taken on a device: "cpu", or "cuda" ("cuda:1" for the second).

    Raises:
        InputError: another device, torch is not installed, or does not find the device.
    """
    if device == "cpu":
        return sparse_gram
    if device.partition(":")[0] != "cuda":
        raise InputError(f"device {device!r} is unknown", "Give cpu or cuda.")
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"device {device!r} needs PyTorch", "pip install 'hydrometer[hf]', or leave the device out"
        ) from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"PyTorch cannot use device {device!r}: {reason}", "Use the cpu.") from error

    def dense_gram(row: Codes, column: Codes, value: Array, shape: tuple[int, int]) -> Array:
        shared = np.bincount(column, minlength=shape[1]) > 1
        kept = shared[column]
        place = (np.cumsum(shared) - 1)[column[kept]]
        matrix = torch.zeros((shape[0], int(shared.sum())), dtype=torch.float32, device=device)
        where = torch.from_numpy(np.stack([row[kept], place])).to(device)
        matrix[where[0], where[1]] = torch.from_numpy(value[kept].astype(np.float32)).to(device)
        return np.asarray((matrix @ matrix.T).cpu().numpy(), dtype=np.float64)

    return dense_gram


def mean_over_samples(cosine: Array, model: Codes, models: int) -> tuple[Array, Array]:
    """Mean similarity of two models' answers, and of two different answers of one model.

    Args:
        cosine: similarities of answers, shape (answers, answers).
        model: model of each answer, 0..models-1, shape (answers,).
        models: number of models.

    Returns:
        Similarities of models, shape (models, models), 1 on the diagonal; and of each model with itself, NaN where it
        has one sample, shape (models,).
    """
    samples = np.bincount(model, minlength=models).astype(np.float64)
    if len(model) == models:
        between: NDArray[np.float64] = cosine[np.ix_(np.argsort(model), np.argsort(model))]
        return between, np.full(models, np.nan)
    mean = np.zeros((models, len(model)))
    mean[model, np.arange(len(model))] = 1 / samples[model]
    between = mean @ cosine @ mean.T
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(samples > 1, (np.diag(between) * samples - 1) / (samples - 1), np.nan)
    np.fill_diagonal(between, 1.0)
    return between, own
