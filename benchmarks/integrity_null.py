"""No loss, none reported: one model against itself, drawn again. How often is anything flagged?

    python benchmarks/integrity_null.py [--repetitions 100] [--k 10] [--prompts 60] [--recorded FILE#NAME]

Synthetic models (Zipf-like words, topics and classes of answers) or, with --recorded, a recording with enough answers
per prompt: its draws are split at random into a teacher's and a student's half in every repetition. Printed per
measure: share of repetitions in which it is flagged, before and after Holm's correction, mean loss in its own standard
errors (a bias shows here), and how often the 95 % interval holds zero; then the verdicts of the themes.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
from integrity_sampler import World

from hydrometer.errors import InputError
from hydrometer.integrity.findings import IntegrityFindings
from hydrometer.integrity.inference import LEVEL
from hydrometer.integrity.loss import measure
from hydrometer.integrity.samples import Matched, Samples, match
from hydrometer.responses import read_responses

#: Synthetic models by what sets them apart: many even answers, few uneven ones, short texts.
WORLDS = {
    "even": {"classes": 20, "skew": 0.3},
    "uneven": {"classes": 8, "skew": 1.5},
    "short": {"classes": 12, "skew": 0.8, "length": 12},
}


def synthetic(name: str, repetitions: int, prompts: int, k: int) -> Iterator[Matched]:
    for seed in range(repetitions):
        yield World(seed, prompts=prompts, **WORLDS[name]).matched(k)  # type: ignore[arg-type]


def recorded(name: str, repetitions: int) -> Iterator[Matched]:
    (responses,) = read_responses([name]).values()
    texts: dict[str, list[str]] = defaultdict(list)
    rows = {}
    for (prompt, _), row in responses.answers.items():
        if row.text.strip():
            texts[prompt].append(row.text)
            rows[prompt] = row
    k = min(map(len, texts.values())) // 2
    if k < 2:
        raise InputError(f"{name} has fewer than 4 answers to a prompt", "Record at least 4 draws of each.")
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        order = {prompt: rng.permutation(len(found)) for prompt, found in texts.items()}
        sides = [
            Samples(
                side,
                tuple(texts),
                tuple(tuple(texts[prompt][at] for at in order[prompt][start : start + k]) for prompt in texts),
                tuple(rows[prompt].language for prompt in texts),
                tuple(rows[prompt].category for prompt in texts),
                tuple(" ".join(rows[prompt].prompt) for prompt in texts),
            )
            for side, start in (("student", 0), ("teacher", k))
        ]
        yield match(*sides)


def report(title: str, runs: list[IntegrityFindings]) -> None:
    print(f"\n{title}: {len(runs)} repetitions, {runs[0].prompts} prompts, k = {runs[0].k}")
    print(f"{'measure':32}{'p < .05':>9}{'corrected':>11}{'bias / s.e.':>13}{'zero held':>11}")
    flagged = total = 0
    for place, first in enumerate(runs[0].metrics):
        found = [run.metrics[place] for run in runs]
        losses = np.array([one.loss.estimate for one in found if one.loss.estimate is not None])
        raw = np.mean([one.p is not None and one.p < LEVEL for one in found])
        held = np.mean([(one.loss.low or 0.0) <= 0 <= (one.loss.high or 0.0) for one in found])
        corrected = sum(one.p_corrected is not None and one.p_corrected < LEVEL for one in found)
        flagged, total = flagged + corrected, total + len(found)
        spread = losses.std(ddof=1)
        bias = losses.mean() / spread if spread > 0 else 0.0
        print(f"{first.name:32}{raw:>9.3f}{corrected / len(found):>11.3f}{bias:>13.2f}{held:>11.3f}")
    any_flag = np.mean([any(one.reading in {"lost", "gained"} for one in run.metrics) for run in runs])
    print(f"flagged after correction: {flagged} of {total}; repetitions with any: {any_flag:.2f}")
    for place, theme in enumerate(runs[0].themes):
        print(f"  {theme.theme:16}", dict(Counter(run.themes[place].verdict for run in runs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--recorded", metavar="FILE#NAME")
    parser.add_argument("--world", choices=list(WORLDS), action="append")
    args = parser.parse_args()
    if args.recorded:
        report(args.recorded, [measure(one) for one in recorded(args.recorded, args.repetitions)])
        return
    for name in args.world or WORLDS:
        report(name, [measure(one) for one in synthetic(name, args.repetitions, args.prompts, args.k)])


if __name__ == "__main__":
    main()
