"""Made-up populations: similarities with families in them, measured by the real relations, families and tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from hydrometer.kinship.effective import population
from hydrometer.kinship.evidence import Evidence, Phrase, SharedPrompt
from hydrometer.kinship.families import families
from hydrometer.kinship.pairs import PairBlocks
from hydrometer.kinship.relations import relate
from hydrometer.kinship.tree import tree
from hydrometer.kinship_run import Kinship

MAKERS = ("llama", "qwen", "mistral", "gpt", "claude", "gemini", "deepseek", "yi", "falcon", "phi", "olmo", "tulu")


def model_names(n: int) -> list[str]:
    """Names of families of four, some of them long."""
    tail = ("7b", "70b-instruct", "13b-chat-v0.1", "8b-a-fine-tune-with-quite-a-long-name-of-its-own")
    return [f"{MAKERS[at // 4 % len(MAKERS)]}-{at // 4}-{tail[at % 4]}" for at in range(n)]


def pair_blocks(names: Sequence[str], blocks: int = 30, prompts: int = 3, tie: float = 0.3) -> PairBlocks:
    """Similarities in which each four models in a row are a family, but for the last quarter, who are unrelated."""
    n = len(names)
    rng = np.random.default_rng(7)
    a, b = np.triu_indices(n, 1)
    related = (a // 4 == b // 4) & (b < max(2, 3 * n // 4))
    level = np.where(related, tie * (1 - 0.1 * (a % 4)), 0.0)
    residual = (level + rng.normal(0, 0.02, (blocks, len(a)))) * prompts
    common = np.full((blocks, len(a)), float(prompts))
    return PairBlocks(
        tuple(names), residual.astype(np.float32), common.astype(np.float32), level + 0.4, np.full(n, np.nan), ()
    )


def kinship_of(pairs: PairBlocks, notes: Sequence[str] = (), **more: object) -> Kinship:
    """The kinship that the similarities show."""
    relations = relate(pairs)
    found = {
        "relations": relations,
        "raw": pairs.raw,
        "clones": pairs.clones,
        "families": families(pairs, relations, resamples=40),
        "tree": tree(pairs, resamples=20),
        "population": population(pairs, relations, resamples=40),
        "evidence": (),
        "prompts": int(pairs.common.sum(axis=0).max()),
        "notes": tuple(notes),
        "intervals": True,
        "seed": 0,
    }
    return Kinship(**{**found, **more})  # type: ignore[arg-type]


def shared_evidence(
    a: str, b: str, answer: str = "By the way, a singular turn of phrase.", id_: str = "q1"
) -> Evidence:
    """One prompt on which two models share a phrase."""
    at = answer.find("a singular turn")
    span = (at, at + len("a singular turn")) if at >= 0 else (0, len(answer))
    phrase = Phrase(text=answer[slice(*span)], in_a=span, in_b=span, others=1, of=9)
    shared = SharedPrompt(
        prompt=id_, text=f"{answer}?", contribution=0.5, answer_a=answer, answer_b=answer, phrases=(phrase,)
    )
    return Evidence(a=a, b=b, alike=71, of=90, prompts=(shared,))


@cache
def with_copies() -> Kinship:
    """Twelve models of which the first two give nearly the same answers."""
    pairs = pair_blocks(model_names(12))
    residual = pairs.residual.copy()
    residual[:, 0] = 0.99 * pairs.common[:, 0]
    return kinship_of(replace(pairs, residual=residual, clones=((0, 1),)))


@cache
def some_kinship(n: int) -> Kinship:
    """A population of n models."""
    return kinship_of(pair_blocks(model_names(n)))
