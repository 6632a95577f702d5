"""Planted losses: does each theme fall with its own fault, in order, and more than with the faults of others?

    python benchmarks/integrity_planted.py [--seeds 3] [--first 0] [--prompts 60] [--k 10] [--only doses|matrix|bias]

doses: each fault in steps, with the leading measure of its theme. matrix: theme by fault, in two units. bias: every
measure at small k against k = 200, for a faultless student (its value, and its loss where there is none).

Strength is what the leading measure of a theme loses, as a share of what there is to lose, and (z) in standard
deviations of the same loss between faultless students.
"""

from __future__ import annotations

import argparse

import numpy as np
from integrity_sampler import Fault, World

from hydrometer.integrity.findings import IntegrityFindings
from hydrometer.integrity.loss import THEMES, measure

#: Each fault in steps, from weak to strong, with the theme that is its own.
DOSES: dict[str, tuple[str, list[Fault]]] = {
    "temperature of what is said": ("diversity", [Fault(temperature=t) for t in (0.8, 0.6, 0.4, 0.2)]),
    "temperature of all": ("diversity", [Fault(temperature=t, words=t) for t in (0.8, 0.6, 0.4, 0.2)]),
    "best of n": ("diversity", [Fault(best_of=n) for n in (2, 4, 8, 16)]),
    "classes dropped": ("coverage", [Fault(dropped=d) for d in (0.25, 0.5, 0.75)]),
    "classes replaced by its own": ("coverage", [Fault(swapped=d) for d in (0.25, 0.5, 0.75)]),
    "rare words made common": ("tail", [Fault(replaced=d) for d in (0.25, 0.5, 0.75, 1.0)]),
    "one opening everywhere": ("openings", [Fault(opened=d) for d in (0.25, 0.5, 1.0)]),
    "one stock text everywhere": ("homogenisation", [Fault(framed=d) for d in (0.25, 0.5, 1.0)]),
}
#: One strength of each fault for the matrix.
MATRIX = {
    "temperature of what is said": Fault(temperature=0.2),
    "mild temperature of the same": Fault(temperature=0.6),
    "temperature of all": Fault(temperature=0.4, words=0.4),
    "best of n": Fault(best_of=8),
    "classes dropped": Fault(dropped=0.5),
    "classes replaced by its own": Fault(swapped=0.5),
    "rare words made common": Fault(replaced=0.75),
    "one opening everywhere": Fault(opened=0.5),
    "one stock text everywhere": Fault(framed=0.5),
}
OWN = {name: own for name, (own, _) in DOSES.items()} | {"mild temperature of the same": "diversity"}
KS = (3, 5, 10, 20, 50, 200)


def strengths(findings: IntegrityFindings) -> dict[str, float]:
    """Relative loss of each theme's leading measure."""
    leads = {one.lead: one.theme for one in findings.themes}
    return {leads[one.name]: one.relative or 0.0 for one in findings.metrics if one.name in leads}


def runs(fault: Fault, args: argparse.Namespace) -> list[IntegrityFindings]:
    seeds = range(args.first, args.first + args.seeds)
    return [measure(World(seed, prompts=args.prompts).matched(args.k, fault)) for seed in seeds]


def doses(args: argparse.Namespace) -> None:
    print("\nrelative loss of each theme's leading measure, and verdicts; * the fault's own theme")
    for name, (own, steps) in DOSES.items():
        print(f"\n{name}")
        before = -np.inf
        for fault in steps:
            found = runs(fault, args)
            means = _means(found)
            order = "" if means[own] > before else "  NOT IN ORDER"
            before = means[own]
            changed = {key: value for key, value in vars(fault).items() if value != getattr(Fault(), key)}
            verdicts = {one.theme: one.verdict for one in found[0].themes}
            row = "  ".join(
                f"{'*' if theme == own else ''}{theme} {value:+.2f} {verdicts[theme]}"  # type: ignore[index]
                for theme, value in means.items()
            )
            print(f"  {changed}: {row}{order}")


def matrix(args: argparse.Namespace) -> None:
    null = runs(Fault(), with_(args, first=args.first + 100, seeds=max(6, args.seeds)))
    spread = {theme: float(np.std([strengths(one)[theme] for one in null], ddof=1)) for theme in strengths(null[0])}
    found = {name: _means(runs(fault, args)) for name, fault in MATRIX.items()}
    for title, scale in (("share of what there is to lose", None), ("z", spread)):
        print(f"\n{title}\n{'fault':30}" + "".join(f"{theme:>16}" for theme in spread))
        for name, values in found.items():
            cells = (value / (scale[theme] if scale else 1.0) for theme, value in values.items())
            form = "16.1f" if scale else "16.2f"
            print(f"{name:30}" + "".join(f"{cell:>{form}}" for cell in cells))
    # Sharper words are rarer rare words: this fault is one of several themes, and no other's yardstick.
    single = {name: own for name, own in OWN.items() if name != "temperature of all"}
    print("\nown fault against the strongest other fault, for each theme; own theme against the strongest other theme")
    for name, own in single.items():
        ours = found[name][own]
        others = {other: found[other][own] for other, theme in single.items() if theme != own}
        by_fault = max(others, key=lambda other: abs(others[other]))
        by_theme = max((theme for theme in spread if theme != own), key=lambda theme: abs(found[name][theme]))
        print(
            f"  {name} ({own}): {_times(ours, others[by_fault])} of {by_fault}; "
            f"{_times(ours, found[name][by_theme])} of {by_theme}"
        )


def bias(args: argparse.Namespace) -> None:
    rows: dict[str, list[tuple[float, float]]] = {}
    for k in KS:
        found = runs(Fault(), with_(args, k=k))
        for place, one in enumerate(found[0].metrics):
            values = [run.metrics[place] for run in found]
            rows.setdefault(one.name, []).append(
                (
                    _mean([value.teacher.estimate for value in values]),
                    _mean([value.loss.estimate for value in values]),
                )
            )
    print("\nteacher's value, and loss of a faultless student in brackets")
    print(f"{'measure':30}" + "".join(f"{f'k = {k}':>20}" for k in KS))
    for name, cells in rows.items():
        print(f"{name:30}" + "".join(f"{f'{value:.3f} ({loss:+.3f})':>20}" for value, loss in cells))


def with_(args: argparse.Namespace, **others: int) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), **others})


def _means(found: list[IntegrityFindings]) -> dict[str, float]:
    each = [strengths(one) for one in found]
    return {theme: float(np.mean([one[theme] for one in each])) for theme in THEMES if theme in each[0]}


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else np.nan


def _times(own: float, other: float) -> str:
    return f"{own / max(abs(other), 1e-6):.1f} x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--only", choices=["doses", "matrix", "bias"])
    args = parser.parse_args()
    for name, part in (("doses", doses), ("matrix", matrix), ("bias", bias)):
        if args.only in {None, name}:
            part(args)


if __name__ == "__main__":
    main()
