"""The built-in estimate of response similarity on recorded answers of many models, beside raw TF-IDF cosine.

    python benchmarks/rse_builtin.py FOLDER [--reference NAME] [--only order|variants|dose|trap|speed]

FOLDER holds `responses.parquet` (model, prompt_id, response) and `prompts.parquet` (prompt_id, instruction), such as
the answers to AlpacaEval. Printed: nearest models to the reference and the order of five, whether each `_concise` and
`_verbose` variant is nearest to its base, the dose curve, the length and markdown trap, time and memory.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from hydrometer.similarity.builtin import Yardstick
from hydrometer.similarity.content import Grams, Rarity, grams, likeness
from hydrometer.similarity.text import Array, Vocabulary, tokenise

#: Published order of five successors, the most similar first (Lee et al. 2025, table 3).
FIVE = (
    "gpt-4o-mini-2024-07-18",
    "Qwen2-72B-Instruct",
    "mistral-large-2402",
    "claude-3-5-sonnet-20240620",
    "Meta-Llama-3.1-70B-Instruct-Turbo",
)
REFERENCE = "gpt-4o-2024-05-13"
STYLES = ("_concise", "_verbose")
UNRELATED = ("alpaca-7b", "vicuna-13b", "claude-3-5-sonnet-20240620", "mistral-large-2402", "phi-2", "guanaco-33b")
SEEDS = 20
DOSES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
FILLER = (
    "There is more to say about this subject. It is worth keeping the context in mind. In general many aspects play a "
    "role here. Each of them deserves some attention. "
)

Texts = list[str | None]


class Data:
    """Prompts, and the answers of each model in their order."""

    def __init__(self, folder: Path) -> None:
        prompts = pl.read_parquet(folder / "prompts.parquet").sort("prompt_id")
        ids = prompts["prompt_id"].to_list()
        self.prompts: list[str] = prompts["instruction"].to_list()
        table = pl.scan_parquet(folder / "responses.parquet").select("model", "prompt_id", "response").collect()
        self.answers: dict[str, Texts] = {}
        for (name,), part in table.partition_by("model", as_dict=True).items():
            answers = dict(zip(part["prompt_id"].to_list(), part["response"].to_list(), strict=True))
            self.answers[str(name)] = [answers.get(i) for i in ids]


class TfIdf:
    """The plain alternative: mean cosine of sublinear TF-IDF over 1- and 2-grams, prompt words included."""

    def __init__(self, reference: Texts) -> None:
        self._vocabulary = Vocabulary()
        self._n = len(reference)
        ours = self._grams(reference)
        self._rarity = Rarity.of(ours, self._n)
        self._ours = self._rarity.vectors(ours, self._n)

    def score(self, subject: Texts) -> float:
        """Mean cosine over the prompts."""
        theirs = self._rarity.vectors(self._grams(subject), self._n)
        return float(likeness(self._ours, theirs, self._n).mean())

    def _grams(self, texts: Texts) -> tuple[Grams, ...]:
        return grams(tokenise([text or "" for text in texts], self._vocabulary))


def mean(values: Array) -> float:
    return float(np.nanmean(values))


def order(data: Data, reference: str) -> None:
    yardstick, plain = Yardstick(data.prompts, data.answers[reference]), TfIdf(data.answers[reference])
    scores = {name: mean(yardstick.grades(texts).overall) for name, texts in data.answers.items() if name != reference}
    cosines = {name: plain.score(texts) for name, texts in data.answers.items() if name != reference}
    for label, found in (("built-in", scores), ("TF-IDF cosine", cosines)):
        nearest = sorted(found, key=lambda name: -found[name])[:5]
        print(f"{label}: nearest to {reference}: " + ", ".join(f"{name} {found[name]:.3f}" for name in nearest))
        if all(name in found for name in FIVE):
            five = [found[name] for name in FIVE]
            print(f"  the five: {', '.join(f'{value:.3f}' for value in five)}; Kendall tau {kendall(five):.2f}")


def kendall(descending: Sequence[float]) -> float:
    """Kendall's tau of the values with the order in which they stand."""
    signs = [np.sign(a - b) for i, a in enumerate(descending) for b in descending[i + 1 :]]
    return float(np.mean(signs))


def variants(data: Data, _reference: str) -> None:
    for name in [name for name in data.answers if name.endswith(STYLES)]:
        style = name[name.rindex("_") :]
        base = name.removesuffix(style)
        others = [other for other in data.answers if not other.endswith(style)]
        yardstick, plain = Yardstick(data.prompts, data.answers[name]), TfIdf(data.answers[name])
        line = []
        for label, score in (
            ("built-in", lambda texts, y=yardstick: mean(y.grades(texts).overall)),
            ("TF-IDF cosine", lambda texts, p=plain: p.score(texts)),
        ):
            scores = {other: score(data.answers[other]) for other in others}
            ranked = sorted(scores, key=lambda other: -scores[other])
            margin = scores[base] - max(scores[other] for other in others if other != base)
            line.append(f"{label}: base is number {ranked.index(base) + 1}, margin {margin:+.3f}")
        print(f"{name}: " + "; ".join(line))


def dose(data: Data, reference: str) -> None:
    ours = data.answers[reference]
    yardstick = Yardstick(data.prompts, ours)
    for model in UNRELATED[:2]:
        theirs = data.answers[model]
        curve = np.zeros((SEEDS, len(DOSES)))
        for seed in range(SEEDS):
            shuffled = np.random.default_rng(seed).permutation(len(ours))
            for column, share in enumerate(DOSES):
                replaced = set(shuffled[: round(share * len(ours))].tolist())
                mixed = [ours[i] if i in replaced else text for i, text in enumerate(theirs)]
                curve[seed, column] = mean(yardstick.grades(mixed).overall)
        rising = bool((np.diff(curve, axis=1) > 0).all())
        middle = curve.mean(axis=0)
        line = middle[0] + np.array(DOSES) * (middle[-1] - middle[0])
        off = float(np.abs(middle - line).max() / (middle[-1] - middle[0]))
        print(f"dose in {model}: {', '.join(f'{value:.3f}' for value in middle)}; rising in every seed: {rising}; "
              f"largest distance from the line {off:.4f} of the range")  # fmt: skip


def forged(answer: str, reference: str, padding: str) -> str:
    """The answer cut, or padded with `padding`, to the reference's number of words, in its lines and markdown."""
    words = re.sub(r"[#*_`>|]|^\s*(?:[-+•]|\d+[.)])\s+", "", answer, flags=re.MULTILINE).split()
    wanted = len(reference.split())
    source = padding.split()
    while source and len(words) < wanted:
        words += source[: wanted - len(words)]
    words = words[:wanted]
    lines, at = [], 0
    for line in reference.split("\n"):
        mark, bold = re.match(r"\s*((?:#{1,6}|[-*+•]|\d+[.)]|>)\s)?\s*(\*\*)?", line).groups()  # type: ignore[union-attr]
        size = len(line.split()) - bool(mark)
        part, at = words[at : at + size], at + size
        if bold and part:
            part = [f"**{part[0]}**", *part[1:]]
        if part or not line.strip():
            lines.append((mark or "") + " ".join(part))
    return "\n".join([*lines, " ".join(words[at:])])


def trap(data: Data, reference: str) -> None:
    ours = data.answers[reference]
    yardstick = Yardstick(data.prompts, ours)
    for model in UNRELATED:
        theirs = data.answers[model]
        before = yardstick.compare(theirs)
        paddings: dict[str, Texts] = {
            "filler": [FILLER] * len(theirs),
            "repeated": theirs,
            "answers to other prompts": [f"{theirs[i - 1]} {theirs[i - 2]}" for i in range(len(theirs))],
        }
        for padding, texts in paddings.items():
            rows = zip(theirs, ours, texts, strict=True)
            after = yardstick.compare([forged(a or "", b or "", text or "") for a, b, text in rows])
            raw = mean(after.grades.overall) - mean(before.grades.overall)
            matched = mean(after.matched.overall) - mean(before.matched.overall)
            print(f"trap, {model}, {padding}: raw {raw:+.3f}, matched {matched:+.3f}, ratio {abs(matched / raw):.3f}")


def speed(data: Data, reference: str) -> None:
    start = time.perf_counter()
    Yardstick(data.prompts, data.answers[reference]).compare(data.answers[FIVE[0]])
    print(f"one pair, {len(data.prompts)} prompts, with floor and matched score: {time.perf_counter() - start:.2f} s")
    start, busy = time.perf_counter(), time.process_time()
    yardstick = Yardstick(data.prompts, data.answers[reference])
    others = [texts for name, texts in data.answers.items() if name != reference]
    for texts in others:
        yardstick.compare(texts)
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"{len(others)} pairs, with floor and matched score: {wall:.1f} s, {busy:.1f} s of one core")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))
    print(f"peak memory {peak:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference", default=REFERENCE)
    parser.add_argument("--only", choices=("order", "variants", "dose", "trap", "speed"))
    options = parser.parse_args()
    data = Data(options.folder)
    steps = {"speed": speed, "order": order, "trap": trap, "variants": variants, "dose": dose}
    for name in [options.only] if options.only else list(steps):
        steps[name](data, options.reference)


if __name__ == "__main__":
    main()
