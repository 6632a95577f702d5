"""`hydrometer integrity`: what a student lost of its teacher's range, as a Distillation Loss Statement."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.commands import options
from hydrometer.errors import InputError
from hydrometer.session import DEFAULT_LEDGER, RunOptions

if TYPE_CHECKING:
    from hydrometer.integrity.findings import IntegrityFindings
    from hydrometer.integrity_run import Collected
    from hydrometer.prompts.sets import ConversationPrompt
    from hydrometer.responses import Responses

REMOTE_MAX_TOKENS = 1024
EMBEDDED_MAX_TOKENS = 256
FORMATS = ("statement", "model-card")


def integrity(
    student: Annotated[str, typer.Argument(metavar="STUDENT", help="The distilled model, or replay/FILE#NAME.")],
    teacher: Annotated[
        str, typer.Option("--teacher", metavar="MODEL", help="The model that it may have lost something of.")
    ],
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompts",
            metavar="SET",
            help="variety, any prompt set of `hydrometer rse`, or a file; repeat for several (default: variety; those "
            "of the recordings where both are recorded).",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(metavar="K", help="Answers per prompt (default: 10 of a model, all of a recording)."),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="Decoding temperature, the same for both.")] = 1.0,
    top_p: Annotated[float | None, typer.Option(help="Nucleus mass, the same for both.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer in tokens (default: 1024; embedded 256).")
    ] = None,
    stability: Annotated[
        bool, typer.Option("--stability/--no-stability", help="Ask the shipped questions in several ways as well.")
    ] = True,
    logprobs: Annotated[
        str,
        typer.Option(
            metavar="auto|none|N",
            help="Likeliest tokens asked for at places in the teacher's answers, by one short call per place and model "
            "(auto: as many as the endpoint is known to give).",
        ),
    ] = "auto",
    system: Annotated[
        str, typer.Option(metavar="neutral|none|TEXT", help="System message, the same for both.")
    ] = "neutral",
    draw: Annotated[int, typer.Option(min=1, metavar="N", help="Prompts drawn from a larger set.")] = 1000,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write statement, findings and all answers here.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="statement|model-card", help="What is printed.")
    ] = "statement",
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
    """What a student lost of its teacher's range: diversity, coverage, tails, stability; kept, lost or inconclusive."""
    from hydrometer.ice import system_of
    from hydrometer.integrity_run import IntegrityPlan, run
    from hydrometer.models.base import Sampling
    from hydrometer.prompts.integrity_sets import load_stability
    from hydrometer.responses import is_recorded, read_responses
    from hydrometer.session import open_session

    _check(form, as_json, top_p)
    options.check_results(out, None)
    names = (student, teacher)
    live = [name for name in names if not is_recorded(name)]
    limit = EMBEDDED_MAX_TOKENS if any(name.startswith("embedded/") for name in live) else REMOTE_MAX_TOKENS
    recordings = read_responses([name for name in names if name not in live])
    found, notes = _prompts(prompts, recordings, bool(live), draw, seed)
    plan = IntegrityPlan(
        student=student,
        teacher=teacher,
        prompts=found,
        samples=samples,
        sampling=Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens or limit, seed=seed),
        variants=load_stability() if stability else (),
        system=system_of(system),
        alternatives=_alternatives(logprobs),
        seed=seed,
    )
    for note in notes:
        sys.stderr.write(f"{note}\n")
    if not live:
        _finish(asyncio.run(run(None, plan, recordings)), out, form, as_json)
        return
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
    with open_session(run_options, tuple(live)) as session:
        collected = session.run(lambda: run(session, plan, recordings))
    _finish(collected, out, form, as_json)


def _check(form: str, as_json: bool, top_p: float | None) -> None:
    if form not in FORMATS:
        raise InputError(f"--format is {form!r}", f"Choose one of {', '.join(FORMATS)}.")
    if as_json and form != FORMATS[0]:
        raise InputError("Both --json and --format are given", "Choose one.")
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"--top-p is {top_p:g}", "Give a number above 0 and up to 1.")


def _alternatives(logprobs: str) -> int | None:
    """How many likeliest tokens are asked for: None for as many as known to be given, 0 for no log-probabilities."""
    if logprobs in {"auto", "none"}:
        return None if logprobs == "auto" else 0
    if not logprobs.isdecimal() or not int(logprobs):
        raise InputError(f"--logprobs is {logprobs!r}", "Give auto, none or a number of at least 1.")
    return int(logprobs)


def _prompts(
    specs: list[str] | None, recordings: dict[str, Responses], live: bool, draw: int, seed: int
) -> tuple[tuple[ConversationPrompt, ...], list[str]]:
    """The prompts, and a line for each set from which something was left out."""
    from hydrometer.commands.rse import left_out
    from hydrometer.integrity_run import prompts_of
    from hydrometer.prompts.integrity_sets import load_variety
    from hydrometer.rse import all_prompts

    if specs is None and recordings:
        found = prompts_of(recordings.values())
        if not live or all(prompt.turns for prompt in found):
            return found, []
    sets = load_variety(specs, draw, seed)
    return all_prompts(sets), [note for one in sets for note in left_out(one)]


def _finish(collected: Collected, out: Path | None, form: str, as_json: bool) -> None:
    """Write what was asked for, the answers first, then print the statement, the model card or the JSON document."""
    from hydrometer.integrity.loss import measure
    from hydrometer.integrity.stability import Questions
    from hydrometer.report.integrity_answers import write_answers

    if out is not None:
        write_answers(out / "answers.parquet", collected)
    questions = None
    if collected.variants is not None:
        student, teacher = collected.variants
        questions = Questions(collected.plan.variants, teacher.samples, student.samples)
    findings = measure(collected.matched, questions=questions, evidence=collected.logprobs, seed=collected.plan.seed)
    if out is not None:
        from hydrometer.report.integrity_files import write_integrity

        write_integrity(out, collected, findings)
    sys.stdout.write(_rendered(collected, findings, form, as_json))


def _rendered(collected: Collected, findings: IntegrityFindings, form: str, as_json: bool) -> str:
    if as_json:
        from hydrometer.report.integrity_files import findings_json

        return findings_json(collected, findings)
    from hydrometer.report.integrity_text import model_card, statement

    return (statement if form == FORMATS[0] else model_card)(collected, findings)
