"""What two answers to a prompt are expected to share, from how ordinary each is and from its length.

Answers of one length share more than answers of different lengths, and short ones share much: left alone, the terse
models of a population look like relatives. So, per prompt, each model's similarities to all others are regressed on
what is known of the others' answers from outside (a constant, log length, its square, length of words), and so are the
models' coefficients in turn: e = HK + KH - HKH with H the projection on these covariates. With the constant alone that
is double-centring. A model's similarity to itself and to its clones is never used: it is replaced by its own
expectation, and clones of one model have one vote together.
"""

from __future__ import annotations

import numpy as np

from hydrometer.stats import Array, Codes

#: Models per covariate: fewer do not carry another coefficient.
PER_COVARIATE = 10
_ROUNDS = 50
_TOLERANCE = 1e-9


def covariates(words: Array, word_length: Array, votes: Array) -> Array:
    """Constant, log length, its square, log length of words; as many of them as the models can carry.

    Args:
        words: mean words read of each model's answers, shape (k,).
        word_length: mean bytes of a word, shape (k,).
        votes: weight of each model, shape (k,).

    Returns:
        Shape (k, 1 to 4), orthonormal in the votes.
    """
    total = float(votes.sum())
    length = np.log1p(words)
    length = length - votes @ length / total
    word = np.log1p(word_length)
    columns = np.stack([np.ones(len(votes)), length, length**2, word], axis=1)
    columns = columns[:, : max(1, int(total / PER_COVARIATE + 1e-9))]
    columns[:, 1:] -= votes @ columns[:, 1:] / total
    columns /= np.maximum(np.sqrt(votes @ columns**2), 1e-12)
    root = np.sqrt(votes)[:, None]
    basis, kept, _ = np.linalg.svd(root * columns, full_matrices=False)
    return np.asarray(basis[:, kept > 1e-3 * kept[0]] / root)


def expectation(raw: Array, basis: Array, group: Codes, votes: Array) -> Array:
    """Expected similarity of each two models; for two of one group, as if they were strangers.

    Args:
        raw: similarities, shape (k, k).
        basis: covariates, orthonormal in the votes, shape (k, c).
        group: clones have the same number, shape (k,).
        votes: weight of each model: 1 / number of its clones here, shape (k,).
    """
    same = group[:, None] == group[None, :]
    weighted = votes[:, None] * basis
    loads = np.where(same, 0.0, raw) @ weighted
    own = same @ weighted
    diagonal = np.where(same, 0.0, raw) @ votes / np.maximum(votes.sum() - 1, 1.0)
    for _ in range(_ROUNDS):
        full = loads + diagonal[:, None] * own
        inner = weighted.T @ full
        again = 2 * (full * basis).sum(axis=1) - ((basis @ inner) * basis).sum(axis=1)
        settled = np.abs(again - diagonal).max(initial=0) < _TOLERANCE
        diagonal = again
        if settled:
            break
    full = loads + diagonal[:, None] * own
    inner = weighted.T @ full
    crossed = basis @ full.T
    return np.asarray(crossed + crossed.T - basis @ inner @ basis.T)
