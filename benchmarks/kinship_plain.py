"""The plain script that residual similarity is measured against: a day's work of a careful reader of the field.

Binary words and pairs of words of the first 150 words, idf per prompt, cosine, averaged over prompts, double-centred.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl


def plain_similarity(frame: pl.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Raw and double-centred mean cosine of the models named, in their order; columns model, prompt_id, response."""
    models = {name: number for number, name in enumerate(names)}
    n = len(models)
    by_prompt: dict[object, list[tuple[int, str]]] = defaultdict(list)
    for model, prompt, response in frame.select("model", "prompt_id", "response").iter_rows():
        by_prompt[prompt].append((models[model], response or ""))
    total = np.zeros((n, n))
    for rows in by_prompt.values():
        features = []
        for _, text in rows:
            words = re.findall(r"\w+", text.lower())[:150]
            features.append(set(words) | {f"{a} {b}" for a, b in pairwise(words)})
        counts = Counter(feature for found in features for feature in found)
        index = {feature: number for number, feature in enumerate(counts)}
        matrix = np.zeros((n, len(index)), dtype=np.float32)
        for (model, _), found in zip(rows, features, strict=True):
            for feature in found:
                matrix[model, index[feature]] = math.log((1 + len(rows)) / (1 + counts[feature])) + 1
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
        total += matrix @ matrix.T
    raw = total / len(by_prompt)
    off = raw.copy()
    np.fill_diagonal(off, np.nan)
    mean = np.nanmean(off, axis=0)
    return raw, raw - mean - mean[:, None] + np.nanmean(off)
