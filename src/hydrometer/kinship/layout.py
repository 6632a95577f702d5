"""A two-dimensional map of a population: relatives stand together, unrelated models apart.

Most models of a population are at about the same distance from each other, which no plane can show: the first two
axes of classical scaling show two families and heap up the rest. So the map keeps neighbourhoods instead: t-SNE (van
der Maaten and Hinton 2008), exact, started from classical scaling rather than at random, so that the same
similarities always give the same map. Only what is near is meaningful; distances between groups are not.
"""

from __future__ import annotations

import numpy as np

from hydrometer.stats import Array

#: Neighbours that a model has in effect; fewer where there are not four times as many models.
PERPLEXITY = 8.0
_STEPS = 500
_EARLY = 100
_EXAGGERATION = 4.0


def map_coordinates(similarity: Array) -> Array:
    """Places of models on a map.

    Args:
        similarity: residual similarity, symmetric, shape (n, n); the diagonal is not read.

    Returns:
        Shape (n, 2), centred, the larger spread along x, the farthest model of each axis on its positive side.
    """
    n = len(similarity)
    distance = np.maximum(1 - similarity, 0.0)
    np.fill_diagonal(distance, 0.0)
    start = classical_scaling(distance)
    if n < 4:
        return start
    return _turned(_neighbour_embedding(distance, start))


def classical_scaling(distance: Array) -> Array:
    """Classical multidimensional scaling (Torgerson 1952) of squared distances to two dimensions.

    Args:
        distance: squared distances, shape (n, n); 1 - correlation is one.

    Returns:
        Shape (n, 2), turned as in `map_coordinates`.
    """
    n = len(distance)
    if n < 2:
        return np.zeros((n, 2))
    centred = distance - distance.mean(axis=0) - distance.mean(axis=1)[:, None] + distance.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    places = np.zeros((n, 2))
    kept = min(2, n - 1)
    places[:, :kept] = vectors[:, ::-1][:, :kept] * np.sqrt(np.maximum(values[::-1][:kept], 0.0))
    return _turned(places)


def _turned(places: Array) -> Array:
    places = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(places, full_matrices=False)
    places = places @ axes.T
    farthest = np.abs(places).round(9).argmax(axis=0)
    signs = np.where(places[farthest, [0, 1]] < 0, -1.0, 1.0)
    return np.asarray(places * signs)


def _neighbour_embedding(distance: Array, start: Array) -> Array:
    """Gradient descent on the divergence of the map's neighbourhoods from those of the distances."""
    n = len(distance)
    near = _neighbourhoods(distance, min(PERPLEXITY, n / 4))
    places = start / max(float(start[:, 0].std()), 1e-12) * 1e-2
    speed, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(n / _EXAGGERATION / 4, 50.0)
    for step in range(_STEPS):
        early = step < _EARLY
        kernel = 1 / (1 + _squared(places))
        np.fill_diagonal(kernel, 0.0)
        pull = ((_EXAGGERATION if early else 1.0) * near - kernel / kernel.sum()) * kernel
        slope = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
        gains = np.maximum(np.where(np.sign(slope) == np.sign(speed), gains * 0.8, gains + 0.2), 0.01)
        speed = (0.5 if early else 0.8) * speed - rate * gains * slope
        places = places + speed
    return places


def _neighbourhoods(distance: Array, perplexity: float) -> Array:
    """Shares of each pair in the neighbourhoods of all models, adding up to 1: Gaussian, of one perplexity for all."""
    n = len(distance)
    low, high = np.full(n, 0.0), np.full(n, np.inf)
    sharp = np.full(n, 1 / max(float(distance.std()), 1e-12))
    least = np.where(np.eye(n, dtype=bool), np.inf, distance).min(axis=1)
    shares = np.zeros((n, n))
    for _ in range(60):
        shares = np.exp(-np.maximum(distance - least[:, None], 0.0) * sharp[:, None])
        np.fill_diagonal(shares, 0.0)
        shares /= shares.sum(axis=1, keepdims=True)
        spread = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1)
        wide = spread > np.log(perplexity)
        low, high = np.where(wide, sharp, low), np.where(wide, high, sharp)
        sharp = np.where(np.isfinite(high), (low + high) / 2, sharp * 2)
    return np.asarray((shares + shares.T) / (2 * n))


def _squared(places: Array) -> Array:
    squares = (places**2).sum(axis=1)
    return np.asarray(np.maximum(squares[:, None] + squares - 2 * places @ places.T, 0.0))
