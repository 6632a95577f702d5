"""Kernels between answers, and what two groups of answers look like under every deal of their labels.

The two kernels within a prompt are the Hamming kernel of Gao et al. 2024 and the cosine of spectra of character
n-grams; contrasts of mean spectra serve what is learnt across prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hydrometer.stats import Array

WITHIN = ("characters", "words")
#: Characters that the Hamming kernel sees, as published.
HAMMING_CHARACTERS = 1000
#: Lengths of the n-grams of the spectrum: letters, parts of words, and words with their neighbours' edges.
NGRAMS = (1, 3, 5)
BUCKETS = 1024
#: Relative difference below which two values are the same but for rounding.
TIE = 1e-9
#: Bits of an n-gram's hash (the rest hold the number of its answer), and the one that is its sign.
_HASH_BITS = 48
_SIGN_BIT = 40


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prompt's answers ready for comparison, those of A first.

    Attributes:
        m: answers of A.
        n: answers of B.
        grams: kernel matrices in the order of `WITHIN`, each of shape (m + n, m + n).
        spectra: hashed n-gram spectra of unit length, shape (m + n, BUCKETS).
    """

    m: int
    n: int
    grams: tuple[Array, ...]
    spectra: Array

    @property
    def size(self) -> float:
        """Harmonic size m n / (m + n): the precision of a difference of means."""
        return self.m * self.n / (self.m + self.n)


def hamming(texts: tuple[str, ...]) -> Array:
    """Share of positions among the first characters that hold the same one; shorter answers are padded.

    Positions are counted up to the longest of the answers, at most `HAMMING_CHARACTERS`. Shape (n, n).
    """
    length = min(HAMMING_CHARACTERS, max(map(len, texts)))
    codes = np.array([_characters(text[:length].ljust(length, "\0")) for text in texts])
    return np.array([(codes == row).mean(axis=1) for row in codes])


def spectra(texts: tuple[str, ...]) -> Array:
    """Square roots of counts of character n-grams, hashed to signed buckets, of unit length. Shape (n, BUCKETS).

    The cosine of two spectra is that of the n-gram counts, but for collisions, which the signs let cancel on average.
    The square root keeps the commonest letters, and what an answer says over and over, from drowning the rest.
    """
    stream = np.concatenate([_characters(f"\0{text}\0") for text in texts]).astype(np.uint64)
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), [len(text) + 2 for text in texts])
    grams = []
    for size in NGRAMS:
        hashes = np.zeros(max(0, len(stream) - size + 1), dtype=np.uint64)
        for step in range(size):
            hashes = (hashes + stream[step : step + len(hashes)] + np.uint64(size)) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(29)
        inside = owner[: len(hashes)] == owner[size - 1 :]
        grams.append((owner[: len(inside)] << np.uint64(_HASH_BITS) | hashes >> np.uint64(64 - _HASH_BITS))[inside])
    keys, counts = np.unique(np.concatenate(grams), return_counts=True)
    place = (keys >> np.uint64(_HASH_BITS)) * np.uint64(BUCKETS) + keys % np.uint64(BUCKETS)
    signs = (keys >> np.uint64(_SIGN_BIT) & np.uint64(1)).astype(np.float64) * 2 - 1
    sums = np.bincount(place.astype(np.int64), weights=signs * np.sqrt(counts), minlength=len(texts) * BUCKETS)
    found = sums.reshape(len(texts), BUCKETS)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1.0))


def _characters(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def prepared(a: tuple[str, ...], b: tuple[str, ...]) -> Prepared:
    """Kernel matrices and spectra of the answers of two models to one prompt."""
    texts = (*a, *b)
    found = spectra(texts)
    return Prepared(len(a), len(b), (hamming(texts), found @ found.T), found)


def arrangements(m: int, n: int, permutations: int, rng: np.random.Generator) -> Array:
    """Ways to deal the label A to m of m + n answers: the observed one in row 0, then random ones.

    Returns:
        1 for A and 0 for B, shape (permutations + 1, m + n).
    """
    dealt = np.zeros((permutations + 1, m + n))
    dealt[0, :m] = 1
    np.put_along_axis(dealt[1:], rng.random((permutations, m + n)).argsort(axis=1)[:, :m], 1.0, axis=1)
    return dealt


def mmd2(gram: Array, dealt: Array) -> Array:
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, equation 3) under each arrangement.

    Args:
        gram: kernel matrix, shape (k, k).
        dealt: 1 for A and 0 for B, shape (arrangements, k); at least two of each in every row.

    Returns:
        Shape (arrangements,).
    """
    off = gram - np.diag(np.diag(gram))
    m = float(dealt[0].sum())
    n = dealt.shape[1] - m
    within_a = ((dealt @ off) * dealt).sum(axis=1)
    touching_a = dealt @ off.sum(axis=1)
    within_b = off.sum() - 2 * touching_a + within_a
    between = touching_a - within_a
    return np.asarray(within_a / (m * (m - 1)) + within_b / (n * (n - 1)) - 2 * between / (m * n))


def standardised(values: Array) -> Array:
    """Values over arrangements with mean 0 and variance 1; all 0 where they do not vary. Shape as given.

    The observed arrangement is one of those that set the scale, as any other: so exchangeability is kept.
    """
    spread = float(values.std())
    if spread <= TIE * max(1.0, float(np.abs(values).max())):
        return np.zeros_like(values)
    return np.asarray((values - values.mean()) / spread)


def contrast_weights(one: Prepared, dealt: Array) -> Array:
    """What each answer weighs in the mean spectrum of A minus that of B, shape (arrangements, answers)."""
    return np.asarray(dealt / one.m - (1 - dealt) / one.n)


def contrasts(one: Prepared, dealt: Array) -> Array:
    """Mean spectrum of A minus mean spectrum of B under each arrangement, shape (arrangements, BUCKETS)."""
    return np.asarray(contrast_weights(one, dealt) @ one.spectra)


def contrast_variance(one: Prepared) -> Array:
    """Variance of `contrasts` over all arrangements, shape (BUCKETS,)."""
    return np.asarray(one.spectra.var(axis=0, ddof=1) / one.size)


def tail_p(values: Array) -> float:
    """Share of arrangements with a value at least as large as the observed one, which is the first."""
    return float((values >= values[0] - TIE * max(1.0, abs(float(values[0])))).sum() / len(values))
