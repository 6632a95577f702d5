"""A run of `hydrometer kinship`: from recorded answers to relations, families, tree and effective number.

Everything is a function of the answers and the seed; no model is called.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.response_checks import FEW_PROMPTS
from hydrometer.stats import Array, Codes

if TYPE_CHECKING:
    from hydrometer.findings import Estimate
    from hydrometer.kinship.effective import Population
    from hydrometer.kinship.evidence import Evidence
    from hydrometer.kinship.families import Families
    from hydrometer.kinship.pairs import PairBlocks
    from hydrometer.kinship.reference import Population as Reference
    from hydrometer.kinship.relations import Relations
    from hydrometer.kinship.tree import Tree
    from hydrometer.response_table import ResponseTable

#: Resamples of the prompts behind the supports of families and tree where no intervals are asked for.
FEW_RESAMPLES = 20
#: Fewer models than this: in subsets of this size, of models of different makers, about 2 % of pairs were "supported".
FEW_MODELS = 15
#: Relatives among the reference models that are named for each model.
NEAREST_REFERENCE = 3
#: Pairs whose evidence is looked up, and prompts of each: it takes another reading of those prompts.
EVIDENCE_PAIRS, EVIDENCE_PROMPTS = 100, 3


@dataclass(frozen=True, slots=True)
class Outside:
    """A relation to a reference model.

    Attributes:
        model: index of the own model.
        name: of the reference model.
        estimate: residual similarity.
        low: lower end of its interval, NaN where there is none.
        high: upper end.
        p_corrected: p-value, corrected for all pairs with an own model.
        verdict: what it supports.
        prompts: common prompts.
        clone: whether the two give nearly the same answers.
    """

    model: int
    name: str
    estimate: float
    low: float
    high: float
    p_corrected: float
    verdict: str
    prompts: int
    clone: bool


@dataclass(frozen=True, slots=True)
class ReferenceUse:
    """What the reference population was used for.

    Attributes:
        models: reference models that the own ones were measured beside.
        left_out: reference models of the same name as an own one; the own answers count.
        nearest: for each own model the reference models nearest to it, nearest first.
    """

    models: int
    left_out: tuple[str, ...]
    nearest: tuple[Outside, ...]


@dataclass(frozen=True, slots=True)
class Kinship:
    """What was found out about a population.

    Attributes:
        relations: estimate, interval, p-values and verdict of every pair.
        raw: mean raw similarity of every pair, shape (pairs,).
        clones: groups of models with nearly the same answers.
        families: groups that supported relations join, the largest first, then by their tie.
        tree: neighbour-joining tree with support.
        population: effective number of independent models, and monoculture.
        evidence: prompts and shared rare phrases behind the strongest supported relations.
        prompts: number of prompts, with a reference those that it has too.
        notes: what the check of the answers found, one line each.
        intervals: whether intervals were asked for.
        seed: of every random choice.
        reference: what reference models showed, None without them.
    """

    relations: Relations
    raw: Array
    clones: tuple[tuple[int, ...], ...]
    families: Families
    tree: Tree
    population: Population
    evidence: tuple[Evidence, ...]
    prompts: int
    notes: tuple[str, ...]
    intervals: bool
    seed: int
    reference: ReferenceUse | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of the pairs."""
        return self.relations.models

    def ends(self) -> tuple[Codes, Codes]:
        """The two models of every pair, as indices."""
        a, b = np.triu_indices(len(self.models), 1)
        return a, b

    def relatives(self, least: int, most: int) -> list[list[int]]:
        """For each model the pairs with its nearest relatives, nearest first.

        Args:
            least: so many at least, whatever their verdict.
            most: so many at most, supported ones beyond `least`.

        Returns:
            For each model places in the order of the pairs; a pair without common prompts is in none.
        """
        n = len(self.models)
        a, b = self.ends()
        place = np.full((n, n), -1)
        place[a, b] = place[b, a] = np.arange(len(a))
        estimate = np.nan_to_num(self.relations.estimate, nan=-np.inf)
        found = []
        for model in range(n):
            pairs = np.delete(place[model], model)
            pairs = pairs[np.argsort(-estimate[pairs], kind="stable")][:most]
            kept = [int(pair) for pair in pairs if np.isfinite(estimate[pair])]
            found.append([pair for at, pair in enumerate(kept) if at < least or self.supported(pair)])
        return found

    def same(self) -> NDArray[np.bool_]:
        """Which pairs give nearly the same answers, shape (pairs,)."""
        voice = np.arange(len(self.models))
        for group in self.clones:
            voice[list(group)] = group[0]
        a, b = self.ends()
        return np.asarray(voice[a] == voice[b])

    def enough(self) -> bool:
        """Whether any two models have prompts enough in common for a verdict."""
        return int(self.relations.prompts.max(initial=0)) >= FEW_PROMPTS

    def supported(self, pair: int) -> bool:
        """Whether the relation of a pair is supported."""
        return self.relations.verdict[pair] == "supported"


def run(
    table: ResponseTable,
    *,
    reference: Reference | None = None,
    intervals: bool = True,
    with_evidence: bool = True,
    device: str = "cpu",
    seed: int = 0,
) -> Kinship:
    """Measure the kinship of all models of a table.

    Args:
        table: the recorded answers.
        reference: further models that show what everybody says, where the table has too few.
        intervals: whether to resample prompts for intervals; families and tree are then supported by few resamples.
        with_evidence: whether to look up what the strongest supported relations rest on.
        device: `cpu` or `cuda`.
        seed: fixes every random choice.

    Raises:
        InputError: too few models, no prompt in common, or no such device.
    """
    from hydrometer.kinship.effective import RESAMPLES
    from hydrometer.kinship.effective import population as effective
    from hydrometer.kinship.evidence import evidence
    from hydrometer.kinship.families import families
    from hydrometer.kinship.pairs import FEWEST_MODELS, pair_index, residual_pairs, select
    from hydrometer.kinship.recentre import recentred
    from hydrometer.kinship.relations import relate
    from hydrometer.kinship.tree import tree

    n = len(table.models)
    if n < (FEWEST_MODELS if reference is None else 2):
        raise InputError(
            f"The responses hold {n} model{'s' * (n != 1)}, too few to show what everybody says",
            f"Give at least {FEWEST_MODELS}, or two with a --population (`hydrometer population build`).",
        )
    pairs = recentred(residual_pairs(table, seed=seed, population=reference, device=device), seed)
    relations = relate(pairs, intervals=intervals, own=None if reference is None else n)
    use = None
    if reference is not None:
        use = _reference_use(relations, pairs, n, reference.models)
        relations = _among(relations, pair_index(np.arange(n), len(pairs.models)), n)
        pairs = select(pairs, range(n))
    if not relations.prompts.any():
        raise InputError(
            "No two models answered the same prompt", "Give answers of several models to one set of prompts."
        )
    few = None if intervals else FEW_RESAMPLES
    joined = None if reference is None else reference.joined_to(table)
    found = Kinship(
        relations=relations,
        raw=pairs.raw,
        clones=pairs.clones,
        families=_by_size(families(pairs, relations, seed=seed, resamples=few)),
        tree=tree(pairs, seed=seed, resamples=few),
        population=effective(pairs, relations, seed=seed, resamples=few or RESAMPLES),
        evidence=(),
        prompts=len(table.prompts) if joined is None else joined.shared,
        notes=(*table.notes, *(_few(n) if joined is None else joined.notes)),
        intervals=intervals,
        seed=seed,
        reference=use,
    )
    if not intervals:
        found = _without_intervals(found)
    if not with_evidence:
        return found
    wanted = [(found.models[a], found.models[b]) for a, b in _most_telling(found)]
    return replace(found, evidence=tuple(evidence(table, pairs, wanted, prompts=EVIDENCE_PROMPTS)))


def _by_size(found: Families) -> Families:
    """The families in the order of size, then tie."""
    order = sorted(found.families, key=lambda one: (-len(one.members), -(one.tie.estimate or 0.0)))
    return found.model_copy(update={"families": tuple(order)})


def _without_intervals(kinship: Kinship) -> Kinship:
    """The same without the intervals that few resamples gave."""

    def bare(estimate: Estimate) -> Estimate:
        return estimate.model_copy(update={"low": None, "high": None})

    number, families = kinship.population, kinship.families
    names = ("effective_models", "effective_in_use", "monoculture")
    return replace(
        kinship,
        population=number.model_copy(update={name: bare(getattr(number, name)) for name in names}),
        families=families.model_copy(
            update={"families": tuple(one.model_copy(update={"tie": bare(one.tie)}) for one in families.families)}
        ),
    )


def _reference_use(relations: Relations, pairs: PairBlocks, n: int, names: tuple[str, ...]) -> ReferenceUse:
    """What the reference shows of the first n models."""
    total = len(relations.models)
    group = np.arange(total)
    for clones in pairs.clones:
        group[list(clones)] = clones[0]
    others = np.arange(n, total)
    nearest = []
    for model in range(n):
        # The place of (model, other) among all pairs, as in np.triu_indices.
        places = model * total - model * (model + 1) // 2 + (others - model - 1)
        strength = np.nan_to_num(relations.estimate[places], nan=-np.inf)
        for at in np.argsort(-strength, kind="stable")[:NEAREST_REFERENCE].tolist():
            place = int(places[at])
            if np.isfinite(strength[at]):
                nearest.append(
                    Outside(
                        model=model,
                        name=relations.models[n + at],
                        estimate=float(relations.estimate[place]),
                        low=float(relations.low[place]),
                        high=float(relations.high[place]),
                        p_corrected=float(relations.p_corrected[place]),
                        verdict=relations.verdict[place],
                        prompts=int(relations.prompts[place]),
                        clone=bool(group[model] == group[n + at]),
                    )
                )
    own = relations.models[:n]
    return ReferenceUse(total - n, tuple(name for name in names if name in own), tuple(nearest))


def _few(models: int) -> list[str]:
    """A line where so few models show what everybody says that relations are easily missed or mistaken."""
    if models >= FEW_MODELS:
        return []
    return [
        f"{models} models show little of what unrelated models share: a --population makes verdicts surer "
        "(`hydrometer population build`)."
    ]


def _most_telling(kinship: Kinship) -> list[tuple[int, int]]:
    """Pairs to look up: each model's nearest supported relative first, then the others, the strongest first."""
    a, b = kinship.ends()
    nearest = {pairs[0] for pairs in kinship.relatives(0, 1) if pairs}
    supported = [pair for pair in range(len(a)) if kinship.supported(pair)]
    supported.sort(key=lambda pair: (pair not in nearest, -kinship.relations.estimate[pair], pair))
    return [(int(a[pair]), int(b[pair])) for pair in supported[:EVIDENCE_PAIRS]]


def _among(relations: Relations, places: Codes, n: int) -> Relations:
    """The relations of the first n models only."""
    return replace(
        relations,
        models=relations.models[:n],
        verdict=tuple(relations.verdict[place] for place in places),
        **{
            name: getattr(relations, name)[places]
            for name in ("estimate", "low", "high", "p", "p_corrected", "prompts")
        },
    )
