"""Two-sample test: p-values under the null, power, and the e-process at every stopping time.

    python benchmarks/two_sample.py [--ledger FILE] [--save FILE.parquet | --samples FILE.parquet]

The embedded model answers 12 short prompts under two seeds, at another temperature, under a system prompt, and another
model answers them: 720 answers of at most 16 tokens, about ten minutes on two quiet cores. They are kept in the
ledger, so a second run draws none. Power is the share of random subsets of them at which the test rejects; subsets
overlap, so the shares are rough.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hydrometer.kinship.draws import Draws
from hydrometer.kinship.evalues import e_values, same_model_stream
from hydrometer.kinship.two_sample import same_model
from hydrometer.models.base import CallFailure, Message, Sampling
from hydrometer.session import RunOptions, Session, open_session

SMOLLM, GEMMA = "embedded/smollm2-135m-instruct", "embedded/gemma-3-270m"
TOKENS = 16
PROMPTS = (
    "Describe the sea.",
    "Tell me a story.",
    "What is love?",
    "Name a good book.",
    "Give me some advice.",
    "Why do we dream?",
    "Write a short poem.",
    "What should I cook?",
    "Explain gravity.",
    "Tell me a joke.",
    "What is a computer?",
    "How do birds fly?",
)
Pool = dict[tuple[str, str], list[str]]
#: Draw i of a run is seeded with the run's seed + i: seeds this far apart share no draw.
FAR = 1_000_000


@dataclass(frozen=True)
class Source:
    """One endpoint as the test sees it."""

    name: str
    model: str = SMOLLM
    temperature: float = 1.0
    system: str | None = None
    seed: int = 0
    samples: int = 10


SOURCES = (
    Source("seed 0", samples=20),
    Source("seed 1", seed=FAR),
    Source("gemma-3-270m", model=GEMMA, seed=2 * FAR),
    Source("temperature 0.7", temperature=0.7, seed=3 * FAR),
    Source("system prompt", system="You answer briefly and politely.", seed=4 * FAR),
)


async def draw(session: Session, source: Source) -> pl.DataFrame:
    sampling = Sampling(temperature=source.temperature, max_tokens=TOKENS, seed=source.seed)
    system = () if source.system is None else (Message("system", source.system),)

    async def one(prompt: str, sample: int) -> dict[str, object]:
        messages = (*system, Message("user", prompt))
        answer = await session.collector.ask(session.models[source.model], messages, sampling, sample=sample)
        found = "" if isinstance(answer, CallFailure) else answer.text
        return {"model": source.name, "prompt_id": prompt, "sample": sample, "response": found}

    calls = (one(prompt, i) for prompt in PROMPTS for i in range(source.samples))
    return pl.DataFrame(await asyncio.gather(*calls))


def collect(ledger: Path) -> pl.DataFrame:
    """The samples of all sources: read from the ledger where they were drawn before."""

    async def all_of(session: Session) -> list[pl.DataFrame]:
        tables = []
        for source in SOURCES:
            start = time.perf_counter()
            tables.append(await draw(session, source))
            empty = tables[-1].filter(pl.col("response").str.strip_chars() == "").height
            took = time.perf_counter() - start
            print(f"{source.name}: {tables[-1].height} answers, {empty} empty, {took:.1f} s", flush=True)
        return tables

    with open_session(RunOptions(ledger=ledger, timeout_s=600, quiet=True), (SMOLLM, GEMMA)) as session:
        return pl.concat(session.run(lambda: all_of(session)))


def answers_of(table: pl.DataFrame) -> Pool:
    """Answers that are not empty, by source and prompt."""
    kept = table.filter(pl.col("response").str.strip_chars() != "")
    grouped = kept.group_by("model", "prompt_id", maintain_order=True).agg("response")
    return {(str(model), str(prompt)): texts for model, prompt, texts in grouped.iter_rows()}


def subset(pool: Pool, a: str, b: str, prompts: int, samples: int, rng: np.random.Generator) -> list[Draws]:
    """Random prompts, and random answers of each source to them; where both are one source, no answer twice."""
    found = []
    for at in rng.permutation(len(PROMPTS))[:prompts]:
        first, second = pool.get((a, PROMPTS[at]), []), pool.get((b, PROMPTS[at]), [])
        texts = first if a == b else [*first, *second]
        cut = len(texts) // 2 if a == b else len(first)
        order = rng.permutation(len(texts)) if a == b else np.arange(len(texts))
        groups = [rng.permutation(part)[:samples] for part in (order[:cut], order[cut:])]
        if min(map(len, groups)) >= 2:
            found.append(Draws(PROMPTS[at], *(tuple(texts[i] for i in group) for group in groups)))
    return found


def uniformity(p_values: Sequence[float]) -> str:
    """Kolmogorov-Smirnov distance from the uniform distribution and its asymptotic p, and the share below levels."""
    ordered = np.sort(p_values)
    n = len(ordered)
    distance = float(max((np.arange(1, n + 1) / n - ordered).max(), (ordered - np.arange(n) / n).max()))
    scaled = (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance
    tail = 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    below = ", ".join(f"{(ordered <= level).mean():.3f} at {level:g}" for level in (0.01, 0.05, 0.1))
    return f"{n} p-values, KS distance {distance:.3f} (p = {min(1.0, tail):.2f}); rejected {below}"


def synthetic(prompts: int, m: int, n: int, rng: np.random.Generator, words: int = 40) -> list[Draws]:
    """Two samples of one random talker."""
    vocabulary = np.array([f"w{i}" for i in range(200)])

    def answers(size: int) -> tuple[str, ...]:
        return tuple(" ".join(vocabulary[np.minimum(rng.zipf(1.4, words), 200) - 1]) for _ in range(size))

    return [Draws(f"p{i}", answers(m), answers(n)) for i in range(prompts)]


def null(pool: Pool, repetitions: int) -> None:
    rng = np.random.default_rng(0)
    for prompts, m, n in ((1, 10, 10), (5, 4, 4), (5, 3, 9)):
        found = [
            same_model(synthetic(prompts, m, n, rng), "a", "b", permutations=299, seed=i).p for i in range(repetitions)
        ]
        print(f"null, synthetic, {prompts} prompts x {m} + {n}: {uniformity(found)}")
    blocks = [
        Draws(prompt, tuple(pool["seed 0", prompt][i : i + 5]), tuple(pool["seed 1", prompt][i : i + 5]))
        for prompt in PROMPTS
        for i in (0, 5)
        if ("seed 1", prompt) in pool
    ]
    found = [same_model([one], "a", "b", permutations=999, seed=i).p for i, one in enumerate(blocks)]
    print(f"null, two seeds, single prompts x 5 + 5: {uniformity(found)}")
    whole = same_model(subset(pool, "seed 0", "seed 1", len(PROMPTS), 10, rng), "a", "b")
    print(f"null, two seeds, all prompts: p = {whole.p:.3f}, {whole.verdict}: {whole.reason}")
    splits = [
        same_model(subset(pool, "seed 0", "seed 0", len(PROMPTS), 10, rng), "a", "b", permutations=299, seed=i).p
        for i in range(repetitions)
    ]
    print(f"null, random splits of seed 0: {uniformity(splits)}")


def power(pool: Pool, repetitions: int) -> None:
    for source in SOURCES[2:]:
        found = same_model(subset(pool, "seed 0", source.name, len(PROMPTS), 10, np.random.default_rng(0)), "a", "b")
        shares = ", ".join(f"{one.kernel} {one.share.estimate:.3f}" for one in found.discrepancies)
        print(f"{source.name}: {found.verdict}, p = {found.p:.4f}; share of variation: {shares}")
        for prompts, samples in ((2, 4), (4, 4), (6, 5), (12, 5), (12, 10)):
            rng = np.random.default_rng(1)
            results = [
                same_model(
                    subset(pool, "seed 0", source.name, prompts, samples, rng), "a", "b", permutations=299, seed=i
                )
                for i in range(repetitions)
            ]
            rates = {"all three": np.mean([one.p <= 0.05 for one in results])}
            for at, kernel in enumerate(("Hamming", "words")):
                rates[kernel] = np.mean([one.discrepancies[at].p <= 0.05 for one in results])
            shown = ", ".join(f"{name} {rate:.2f}" for name, rate in rates.items())
            print(f"  power at 0.05, {prompts} prompts x {samples} + {samples}: {shown}")


def stream(pool: Pool, repetitions: int) -> None:
    rng = np.random.default_rng(2)
    highest = {
        "synthetic, 20 prompts x 5 + 5": [
            max(step.log_e for step in e_values(synthetic(20, 5, 5, rng), i)) for i in range(repetitions)
        ],
        "random splits of seed 0": [
            max(step.log_e for step in e_values(subset(pool, "seed 0", "seed 0", 12, 10, rng), i))
            for i in range(repetitions)
        ],
    }
    for name, values in highest.items():
        crossed = ", ".join(
            f"{np.mean(np.array(values) >= -math.log(a)):.3f} for {a:g}" for a in (0.01, 0.05, 0.1, 0.2)
        )
        print(f"e-process, null, {name}: ever above 1 / alpha in {crossed}")
    for source in SOURCES[2:]:
        found = [
            same_model_stream(subset(pool, "seed 0", source.name, 12, 10, rng), "a", "b", seed=i) for i in range(50)
        ]
        rounds = [one.rounds_to_difference or math.inf for one in found]
        print(
            f"e-process, {source.name}: crosses 1 / 0.01 within 12 prompts in {np.mean(np.isfinite(rounds)):.2f}, "
            f"median round {np.median(rounds):.0f}, mean log e at the end {np.mean([one.log_e for one in found]):.1f}"
        )


def speed() -> None:
    draws = synthetic(50, 10, 10, np.random.default_rng(3), words=300)
    letters = np.mean([len(text) for one in draws for text in one.a])
    for name, test in (("permutation test", same_model), ("e-process", same_model_stream)):
        start, busy = time.perf_counter(), time.process_time()
        test(draws, "a", "b")
        wall, busy = time.perf_counter() - start, time.process_time() - busy
        print(f"{name}, 50 prompts x 10 + 10 of {letters:.0f} characters: {wall:.2f} s, {busy:.2f} s of one core")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))
    print(f"peak memory {peak:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ledger", type=Path, default=Path(".hydrometer") / "two_sample.sqlite")
    parser.add_argument("--save", type=Path, help="write the samples to this Parquet file")
    parser.add_argument("--samples", type=Path, help="take the samples from such a file")
    parser.add_argument("--repetitions", type=int, default=200)
    options = parser.parse_args()
    speed()
    table = pl.read_parquet(options.samples) if options.samples else collect(options.ledger)
    if options.save:
        table.write_parquet(options.save)
    pool = answers_of(table)
    null(pool, options.repetitions)
    power(pool, options.repetitions // 4)
    stream(pool, options.repetitions)


if __name__ == "__main__":
    main()
