"""Are two endpoints one and the same model? An e-process: evidence that may be looked at after every prompt.

A bettor starts with a capital of 1 and bets against "A and B are the same model", prompt by prompt. The payoff of a
bet on one prompt is

    exp(bet * z) / mean over all arrangements of exp(bet * z),

where z is a statistic of the prompt's answers, standardised over random permutations of the labels A and B, and the
observed arrangement is one of those in the mean. If A and B are the same model, the observed arrangement is as
likely as any other, so the expected payoff is exactly 1 whatever came before: the capital is a non-negative
martingale, and the chance that it ever exceeds 1 / alpha is at most alpha (Ville 1939). One may stop at any prompt,
for any reason, or go on.

Three bettors play, each with two sizes of bet: on MMD^2 under the kernels `characters` and `words`, and on `habits`,
the n-grams that told A from B at earlier prompts (the predictable witness function of Shekhar and Ramdas 2023). The
e-value is the mean of their capitals, which is a martingale too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from hydrometer.findings import Finding
from hydrometer.kinship.answer_kernels import (
    BUCKETS,
    Prepared,
    arrangements,
    contrast_variance,
    contrasts,
    mmd2,
    prepared,
    standardised,
)
from hydrometer.kinship.draws import MOST_SAMPLES, Counts, Draws, Tally, never_vary, notes_on, require_level
from hydrometer.kinship.two_sample import STATISTICS
from hydrometer.stats import Array

#: Sizes of bets. A bet of d is best where z is about d on average, and keeps 3/4 of the growth from d / 2 to 3 d / 2.
BETS = (0.25, 1.0)
#: Permutations for a payoff, which is thus at most one more than this.
PERMUTATIONS = 400
#: Answers of each model in one round: a prompt with more is played in several.
ROUND = 20


class Step(Finding):
    """One round of betting.

    Attributes:
        prompt: its id.
        log_e: natural logarithm of the e-value after it.
    """

    prompt: str
    log_e: float


class SameModelStream(Finding):
    """What the e-process found.

    Attributes:
        a: first model.
        b: second model.
        verdict: `differ` where the e-value ever reached 1 / level; else `inconclusive`, and one may go on.
        reason: the verdict in words.
        level: bound on the chance of a false `differ` at any stopping time.
        log_e: natural logarithm of the e-value after the last round.
        log_e_threshold: natural logarithm of 1 / level.
        p: anytime-valid p-value, 1 over the largest e-value so far.
        rounds_to_difference: rounds until the e-value reached 1 / level; None where it never did.
        seed: of the random generator.
        path: the e-value after every round.
        counts: what was compared and left out.
        notes: what else a reader must know.
    """

    a: str
    b: str
    verdict: Literal["differ", "inconclusive"]
    reason: str
    level: float
    log_e: float
    log_e_threshold: float
    p: float
    rounds_to_difference: int | None
    seed: int
    path: tuple[Step, ...]
    counts: Counts
    notes: tuple[str, ...]


class Bettors:
    """The capitals of all bettors, and what they learnt from earlier rounds.

    Args:
        rng: deals the labels anew.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._log_capital = np.zeros((len(STATISTICS), len(BETS)))
        self._seen = np.zeros(BUCKETS)
        self._variance = np.zeros(BUCKETS)

    @property
    def log_e(self) -> float:
        """Natural logarithm of the e-value: the mean capital."""
        return _log_mean_exp(self._log_capital.ravel())

    def play(self, one: Prepared) -> None:
        """Bet on one round, by what is known from earlier rounds alone, then learn from it."""
        dealt = arrangements(one.m, one.n, PERMUTATIONS, self._rng)
        contrast = contrasts(one, dealt)
        witness = self._seen / (self._variance + self._variance.mean() + np.finfo(float).tiny)
        for bettor, values in enumerate((*(mmd2(gram, dealt) for gram in one.grams), contrast @ witness)):
            z = standardised(values)
            for size, bet in enumerate(BETS):
                self._log_capital[bettor, size] += bet * z[0] - _log_mean_exp(bet * z)
        self._seen += one.size * contrast[0]
        self._variance += one.size**2 * contrast_variance(one)


def _log_mean_exp(values: Array) -> float:
    highest = float(values.max())
    return highest + math.log(float(np.exp(values - highest).mean()))


def rounds(draws: Draws) -> Iterator[Draws]:
    """A prompt's answers in the order in which they were drawn, in rounds of about `ROUND` of each model.

    Every round holds at least two answers of each, and at most `MOST_SAMPLES`.
    """
    count = max(1, min(math.ceil(max(len(draws.a), len(draws.b)) / ROUND), min(len(draws.a), len(draws.b)) // 2))
    for i in range(count):
        a, b = (texts[i * len(texts) // count : (i + 1) * len(texts) // count] for texts in (draws.a, draws.b))
        yield Draws(draws.prompt, a[:MOST_SAMPLES], b[:MOST_SAMPLES])


def e_values(draws: Iterable[Draws], seed: int = 0) -> Iterator[Step]:
    """The e-value after every round, for a stream that may be left at any time.

    Args:
        draws: answers prompt by prompt, at least two of each model to each.
        seed: of the random generator.
    """
    bettors = Bettors(np.random.default_rng(seed))
    for prompt in draws:
        for one in rounds(prompt):
            bettors.play(prepared(one.a, one.b))
            yield Step(prompt=prompt.prompt, log_e=bettors.log_e)


def e_text(log_e: float) -> str:
    """An e-value in three digits, from its natural logarithm, however large or small."""
    if abs(log_e) < math.log(1e6):
        value = math.exp(log_e)
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    power = math.floor(log_e / math.log(10))
    return f"{math.exp(log_e - power * math.log(10)):.1f}e{power:+d}"


def same_model_stream(draws: Iterable[Draws], a: str, b: str, *, level: float = 0.01, seed: int = 0) -> SameModelStream:
    """Test whether two models answer alike, with evidence that is valid at any stopping time.

    Args:
        draws: answers, prompt by prompt, in an order that does not depend on them.
        a: name of the first model.
        b: name of the second.
        level: bound on the chance of a false `differ` at any stopping time.
        seed: of the random generator.

    Raises:
        InputError: nothing can be compared, or the level is not between 0 and 1.
    """
    require_level(level)
    tally = Tally()
    path = tuple(e_values(tally.screened(draws), seed))
    tally.require(a, b)
    threshold = -math.log(level)
    crossed = next((i for i, step in enumerate(path, start=1) if step.log_e >= threshold), None)
    highest = max(0.0, *(step.log_e for step in path))
    counts = tally.counts()
    verdict: Literal["differ", "inconclusive"]
    if counts.repeated == counts.prompts:
        verdict, reason = "inconclusive", never_vary(counts)
    elif crossed is not None:
        verdict, reason = "differ", f"the e-value reached {1 / level:.4g} after {crossed} of {len(path)} rounds"
    else:
        verdict, reason = (
            "inconclusive",
            (
                f"the e-value never reached {1 / level:.4g} in {len(path)} rounds (now {e_text(path[-1].log_e)}). "
                "More prompts may be added at any time; without --sequential the same answers can speak for sameness"
            ),
        )
    return SameModelStream(
        a=a,
        b=b,
        verdict=verdict,
        reason=reason,
        level=level,
        log_e=path[-1].log_e,
        log_e_threshold=threshold,
        p=math.exp(-highest),
        rounds_to_difference=crossed,
        seed=seed,
        path=path,
        counts=counts,
        notes=notes_on(counts),
    )
