"""`hydrometer rse`: how alike a subject's answers and a reference's are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from hydrometer.commands import options
from hydrometer.errors import InputError, ModelError
from hydrometer.session import DEFAULT_LEDGER, RunOptions

if TYPE_CHECKING:
    from hydrometer.prompts.sets import ConversationPrompt, PromptSet
    from hydrometer.rse import RsePlan, RseResult

REMOTE_MAX_TOKENS = 1024
EMBEDDED_MAX_TOKENS = 256


def rse(
    subjects: Annotated[
        list[str], typer.Argument(metavar="SUBJECT...", help="Models under test, or replay/FILE#NAME.")
    ],
    reference: Annotated[
        str, typer.Option("--reference", metavar="MODEL", help="The model that they are compared with.")
    ],
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompts",
            metavar="SET",
            help="own, reasoning, mathematics, conversation, arena-hard, numina, sharegpt, hub:OWNER/DATASET/FILE or a "
            "file; repeat for several (default: own; those of the recording where all answers are recorded).",
        ),
    ] = None,
    judge: Annotated[
        str, typer.Option(metavar="builtin|MODEL", help="Who scores; builtin is an estimate.")
    ] = "builtin",
    judges: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Several judge models and their agreement.")
    ] = None,
    controls: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Models known to be unrelated to the reference.")
    ] = None,
    order: Annotated[str, typer.Option(metavar="once|both", help="both: judge each pair in both orders.")] = "once",
    ceiling: Annotated[bool, typer.Option("--ceiling", help="Have the reference answer twice.")] = False,
    ceiling_at: Annotated[float | None, typer.Option(metavar="SCORE", help="The ceiling, if it is known.")] = None,
    history: Annotated[
        str, typer.Option(metavar="own|reference|recorded", help="Whose earlier answers stand in a conversation.")
    ] = "own",
    sample: Annotated[int, typer.Option(min=1, metavar="N", help="Prompts drawn from a larger set.")] = 1000,
    floor: Annotated[int, typer.Option(min=0, metavar="N", help="Mismatched pairs that a judge sees.")] = 50,
    system: Annotated[
        str, typer.Option(metavar="neutral|none|TEXT", help="System message, the same for all models.")
    ] = "neutral",
    temperature: Annotated[float, typer.Option(min=0.0, help="Decoding temperature of subjects and reference.")] = 0.0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer in tokens (default: 1024; embedded 256).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write findings and rows here.")] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE.parquet", help="Write one row per model and prompt.")
    ] = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
    concurrency: options.Concurrency = 64,
    timeout: options.Timeout = 120.0,
    max_calls: options.MaxCalls = None,
    max_cost: options.MaxCost = None,
    base_url: options.BaseUrl = None,
    base: options.Base = False,
    ledger: options.LedgerPath = DEFAULT_LEDGER,
    quiet: options.Quiet = False,
) -> None:
    """Response Similarity Evaluation: style, logic and content of two models' answers, with floor and controls."""
    from hydrometer.ice import system_of
    from hydrometer.models.base import Sampling
    from hydrometer.responses import is_recorded
    from hydrometer.rse import History, RsePlan
    from hydrometer.session import open_session

    judge_names = _judges(judge, judges)
    if order == "both" and not judge_names:
        raise InputError(
            "--order both needs a judge model: the built-in estimate knows no order", "Give --judge MODEL."
        )
    options.check_results(out, rows)
    names = (reference, *subjects, *_listed(controls))
    found, notes = _prompts(prompts, names, sample, seed)
    live = [name for name in names if not is_recorded(name)]
    plan = RsePlan(
        subjects=tuple(subjects),
        reference=reference,
        prompts=found,
        judges=judge_names,
        controls=_listed(controls),
        both_orders=_choice(order, ("once", "both"), "--order") == "both",
        ceiling=_ceiling(ceiling, ceiling_at),
        history=cast("History", _choice(history, get_args(History), "--history")),
        system=system_of(system),
        sampling=Sampling(
            temperature=temperature,
            max_tokens=max_tokens or _longest(live),
            seed=seed if temperature > 0 else None,
        ),
        floor_pairs=floor,
        seed=seed,
    )
    if not live and not judge_names:
        result, reasons = _without_calls(plan), {}
    else:
        run_options = RunOptions(
            ledger=ledger,
            concurrency=concurrency,
            timeout_s=timeout,
            max_calls=max_calls,
            max_cost=max_cost,
            base_url=base_url,
            base=base,
            quiet=quiet,
        )
        tested = tuple(name for name in subjects if name in live) or tuple(live) or judge_names
        with open_session(run_options, tested, (*live, *judge_names)) as session:
            from hydrometer.rse import run

            result = session.run(lambda: run(session, plan))
            reasons = dict(session.collector.reasons)
    _finish(result, out, rows, as_json, notes)
    _refuse_nothing(result, reasons)


def _without_calls(plan: RsePlan) -> RseResult:
    import asyncio

    from hydrometer.rse import run

    return asyncio.run(run(None, plan))


def _prompts(
    specs: list[str] | None, names: tuple[str, ...], sample: int, seed: int
) -> tuple[tuple[ConversationPrompt, ...], list[str]]:
    """The prompts, and a line for each set from which something was left out."""
    from hydrometer.prompts.sets import load_own, load_sets
    from hydrometer.responses import is_recorded
    from hydrometer.rse import all_prompts, prompts_of_recordings

    recorded = [name for name in names if is_recorded(name)]
    if specs is None and recorded:
        found = prompts_of_recordings(recorded)
        if len(recorded) == len(names) or all(prompt.turns for prompt in found):
            return found, []
    sets = load_own(sample, seed) if specs is None else load_sets(specs, sample, seed)
    return all_prompts(sets), [note for one in sets for note in left_out(one)]


def left_out(one: PromptSet) -> list[str]:
    """A line for each reason why prompts of a set were left out."""
    notes = []
    if one.duplicates or one.empty:
        notes.append(f"{one.name}: {one.duplicates} duplicated and {one.empty} empty prompts were left out")
    if len(one) < one.available:
        notes.append(f"{one.name}: {len(one)} of {one.available} prompts were drawn")
    return notes


def _judges(judge: str, judges: str | None) -> tuple[str, ...]:
    if judges is not None:
        if judge != "builtin":
            raise InputError("Both --judge and --judges are given", "Name all judges with --judges.")
        names = _listed(judges)
        if not names:
            raise InputError("--judges names no model", "Name judges, or leave the option out for the estimate.")
        if "builtin" in names:
            raise InputError(
                "builtin is no judge model and its estimates are never mixed with judged scores", "Leave it out."
            )
        return names
    return () if judge == "builtin" else (judge,)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _choice(value: str, known: tuple[str, ...], option: str) -> str:
    if value not in known:
        raise InputError(f"{option} is {value!r}", f"Choose one of {', '.join(known)}.")
    return value


def _ceiling(measured: bool, given: float | None) -> bool | float:
    if measured and given is not None:
        raise InputError("Both --ceiling and --ceiling-at are given", "Choose one.")
    return measured if given is None else given


def _longest(live: list[str]) -> int:
    return EMBEDDED_MAX_TOKENS if any(name.startswith("embedded/") for name in live) else REMOTE_MAX_TOKENS


def _finish(result: RseResult, out: Path | None, rows: Path | None, as_json: bool, notes: list[str]) -> None:
    """Write the files that were asked for, then print the table or the JSON document."""
    from hydrometer.report.rse_files import findings_json, write_rows, write_rse
    from hydrometer.report.rse_text import summary

    for note in notes:
        sys.stderr.write(f"{note}\n")
    if rows is not None:
        write_rows(rows, result)
    if out is not None:
        write_rse(out, result)
    sys.stdout.write(findings_json(result.findings) if as_json else summary(result.findings, result.comparisons))


def _refuse_nothing(result: RseResult, reasons: dict[str, str]) -> None:
    """Raise where nothing could be scored, after all that there is was written."""
    from hydrometer.rse import BUILTIN, NO_SCALE

    for one in result.findings:
        if one.overall.n:
            continue
        if one.failed == len(result.plan.prompts):
            silent = next((name for name in (one.subject, one.reference) if name in reasons), one.subject)
            reason = reasons.get(silent, "no answers")
            raise ModelError(
                f"{one.subject} and {one.reference} have no prompt that both answered: {reason}",
                f"Try `hydrometer models check {silent}`.",
            )
        if one.judge == BUILTIN:
            raise InputError(f"{one.reference} says {NO_SCALE}", "Take a reference that answers each prompt.")
        for name in result.plan.judges:
            if name in reasons:
                raise ModelError(
                    f"{name} gave no grade ({one.unscored} pairs unscored): {reasons[name]}",
                    f"Try `hydrometer models check {name}`.",
                )
        raise ModelError(
            f"{one.judge} never gave a grade that could be read ({one.unscored} pairs unscored)",
            "Take a judge that keeps to the format, or --judge builtin.",
        )
