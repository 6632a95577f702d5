"""`hydrometer ice`: measure identity consistency, on a live model or on recorded attacks."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer import __version__
from hydrometer.commands import options
from hydrometer.errors import InputError, ModelError
from hydrometer.session import DEFAULT_LEDGER, RunOptions

if TYPE_CHECKING:
    from hydrometer.ice import IcePlan
    from hydrometer.identity.cards import IdentityCard
    from hydrometer.identity.judge_quality import JudgeQuality
    from hydrometer.identity.scores import IceScore, Judged
    from hydrometer.judging import Judge
    from hydrometer.prompts.templates import Template

app = typer.Typer(help="Identity Consistency Evaluation: does the model contradict its own identity under pressure?")

DEFAULT_SUBJECT = "embedded/smollm2-135m-instruct"


@app.command()
def run(
    subjects: Annotated[
        list[str] | None, typer.Argument(metavar="SUBJECT...", help=f"Models under test (default: {DEFAULT_SUBJECT}).")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(help="mcts, random, fixed or mcts-published (default: mcts; fixed for several subjects)."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(metavar="N", help="Questions put to each subject (default: 1000; embedded 80).")
    ] = None,
    templates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Seed templates in place of ours (csv, json, jsonl, toml).")
    ] = None,
    section: Annotated[
        str | None, typer.Option(metavar="KEYS", help="Of a json template file, read only this (attack/Gptfuzzer).")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Identity questions in place of ours (csv, jsonl, toml).")
    ] = None,
    judge: Annotated[str, typer.Option(metavar="builtin|MODEL", help="Who judges the answers.")] = "builtin",
    mutator: Annotated[str, typer.Option(metavar="builtin|MODEL", help="Who rewrites templates.")] = "builtin",
    system: Annotated[
        str, typer.Option(metavar="neutral|none|TEXT", help="System message, the same for all subjects.")
    ] = "neutral",
    temperature: Annotated[float, typer.Option(min=0.0, help="The subjects' decoding temperature.")] = 0.0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer in tokens (default: 512; embedded 48).")
    ] = None,
    card: options.Card = None,
    judge_quality: options.JudgeQualityFile = None,
    out: options.Out = None,
    rows: options.Rows = None,
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
    """Attack the identity of one or several models and score their answers."""
    from hydrometer.ice import run_subjects
    from hydrometer.identity.cards import card_for, load_card_file, load_cards
    from hydrometer.identity.scores import score
    from hydrometer.judging import make_judge
    from hydrometer.session import open_session

    plan = _plan(
        subjects, search, budget, templates, section, questions, system, temperature, max_tokens, judge, mutator, seed
    )
    own = load_card_file(card) if card else None
    catalogue = load_cards() if own is None else load_cards().including(own)
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
    options.check_results(out, rows)
    helpers = tuple(name for name in (judge, mutator) if name != "builtin")
    with open_session(run_options, plan.subjects, helpers) as session:
        cards = {name: own or card_for(session.models[name].sent_name, catalogue) for name in plan.subjects}
        the_judge = make_judge(judge, catalogue, session)
        quality = _quality(judge_quality, the_judge)
        if not quiet:
            sys.stderr.writelines(f"{name}: {value}\n" for name, value in _plan_settings(plan))
        runs = session.run(lambda: run_subjects(session, plan, cards, catalogue, the_judge))
        reasons = dict(session.collector.reasons)
    scores = [
        score(result.judged, judge=the_judge.name, seed=seed, quality=quality, warnings=result.warnings)
        for result in runs.values()
    ]
    templates_used = {template.id: template for result in runs.values() for template in result.templates}
    settings = [*_plan_settings(plan), *_judge_settings(the_judge, cards, judge_quality)]
    _finish(
        scores, [result.judged for result in runs.values()], [*templates_used.values()], settings, out, rows, as_json
    )
    unanswered = [found.subject for found in scores if found.n == found.failed]
    if unanswered:
        address = f" --base-url {base_url}" if base_url else ""
        raise ModelError(
            f"{unanswered[0]} gave no answer: {reasons.get(unanswered[0], 'every call failed')}",
            f"Try `hydrometer models check {unanswered[0]}{address}`.",
        )


@app.command(name="score")
def score_records(
    records: Annotated[list[Path], typer.Argument(metavar="RECORDS...", help="Recorded attacks: jsonl, csv, Parquet.")],
    judge: Annotated[str, typer.Option(metavar="labels|builtin|MODEL", help="Who judges.")] = "builtin",
    subject: Annotated[str | None, typer.Option(help="The model's name, where the records do not say it.")] = None,
    card: options.Card = None,
    judge_quality: options.JudgeQualityFile = None,
    out: options.Out = None,
    rows: options.Rows = None,
    as_json: options.Json = False,
    seed: options.Seed = 0,
    concurrency: options.Concurrency = 64,
    timeout: options.Timeout = 120.0,
    max_calls: options.MaxCalls = None,
    max_cost: options.MaxCost = None,
    base_url: options.BaseUrl = None,
    ledger: options.LedgerPath = DEFAULT_LEDGER,
    quiet: options.Quiet = False,
) -> None:
    """Judge and score recorded attacks, those of Lee et al. 2025 or our own."""
    from hydrometer.identity.records import read_records
    from hydrometer.identity.scores import Judged, score
    from hydrometer.judging import judge_records

    options.check_model_or("--judge", judge, "builtin", "labels")
    options.check_results(out, rows)
    attempts = read_records(records, subject)
    run_options = RunOptions(
        ledger=ledger,
        concurrency=concurrency,
        timeout_s=timeout,
        max_calls=max_calls,
        max_cost=max_cost,
        base_url=base_url,
        quiet=quiet,
    )
    the_judge, judgements, cards = judge_records(judge, attempts, card, run_options)
    quality = _quality(judge_quality, the_judge)
    groups: dict[str, list[Judged]] = {}
    for attempt, judgement in zip(attempts, judgements, strict=True):
        groups.setdefault(attempt.model, []).append(Judged(attempt, judgement))
    scores = [score(group, judge=the_judge.name, seed=seed, quality=quality) for group in groups.values()]
    settings = [
        ("Records", ", ".join(path.name for path in records)),
        *_judge_settings(the_judge, cards, judge_quality),
        ("Seed", str(seed)),
        ("Version", f"hydrometer {__version__}"),
    ]
    _finish(scores, list(groups.values()), [], settings, out, rows, as_json)


def _plan(
    subjects: list[str] | None,
    search: str | None,
    budget: int | None,
    templates: Path | None,
    section: str | None,
    questions: Path | None,
    system: str,
    temperature: float,
    max_tokens: int | None,
    judge: str,
    mutator: str,
    seed: int,
) -> IcePlan:
    """The plan that the options state, with the defaults filled in."""
    from hydrometer import ice
    from hydrometer.identity.search import STRATEGIES
    from hydrometer.models.base import Sampling
    from hydrometer.prompts.questions import load_question_file, load_questions
    from hydrometer.prompts.templates import load_template_file, load_templates

    options.check_model_or("--judge", judge, "builtin")
    options.check_model_or("--mutator", mutator, "builtin")
    names = tuple(subjects or [DEFAULT_SUBJECT])
    if len(set(names)) != len(names):
        raise InputError("A subject is named twice", "Name each subject once.")
    strategy = search or ("fixed" if len(names) > 1 else "mcts")
    if strategy not in STRATEGIES:
        raise InputError(f"There is no search {strategy!r}", f"Choose one of {', '.join(STRATEGIES)}.")
    if budget is not None and budget < 1:
        raise InputError(f"--budget is {budget}", "Give a number of at least 1.")
    provider = names[0].split("/", 1)[0]
    return ice.IcePlan(
        subjects=names,
        search=strategy,
        budget=budget if budget is not None else ice.DEFAULT_BUDGET.get(provider, ice.PUBLISHED_BUDGET),
        templates=load_template_file(templates, section=section).items if templates else load_templates(),
        questions=load_question_file(questions).items if questions else load_questions(),
        system=ice.system_of(system),
        sampling=Sampling(
            temperature=temperature,
            max_tokens=max_tokens or ice.DEFAULT_MAX_TOKENS.get(provider, ice.REMOTE_MAX_TOKENS),
            seed=seed if temperature > 0 else None,
        ),
        judge=judge,
        mutator=mutator,
        seed=seed,
    )


def _quality(path: Path | None, judge: Judge) -> JudgeQuality | None:
    from hydrometer.identity.judge_quality import load_quality

    return None if path is None else load_quality(path, judge.fingerprint)


def _plan_settings(plan: IcePlan) -> list[tuple[str, str]]:
    """What was asked, for the page and the files."""
    sampling = plan.sampling
    return [
        ("Subjects", ", ".join(plan.subjects)),
        ("Mutator", plan.mutator),
        ("Search", f"{plan.search}, {plan.budget} questions per subject"),
        ("System message", "none" if plan.system is None else plan.system),
        ("Decoding", f"temperature {sampling.temperature:g}, at most {sampling.max_tokens} tokens"),
        ("Seed templates", f"{len(plan.templates)}, {_digest([template.text for template in plan.templates])}"),
        ("Questions", f"{len(plan.questions)}, {_digest([question.text for question in plan.questions])}"),
        ("Seed", str(plan.seed)),
        ("Version", f"hydrometer {__version__}"),
    ]


def _judge_settings(judge: Judge, cards: dict[str, IdentityCard], quality: Path | None) -> list[tuple[str, str]]:
    """How answers were judged, for the page and the files."""
    settings = [("Judge", f"{judge.name}, {judge.fingerprint[:12]}")]
    if cards:
        known = (f"{name}: {card.name} by {card.maker.name}" for name, card in cards.items())
        settings.append(("Identity cards", ", ".join(known)))
    if quality is not None:
        settings.append(("Corrected for the judge's error", quality.name))
    return settings


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _finish(
    scores: list[IceScore],
    groups: list[list[Judged]],
    templates: list[Template],
    settings: list[tuple[str, str]],
    out: Path | None,
    rows: Path | None,
    as_json: bool,
) -> None:
    """Compare the subjects, write the files that were asked for, then print the table or the JSON document."""
    from hydrometer.identity.scores import compare
    from hydrometer.report.ice_files import scores_json, write_ice, write_rows
    from hydrometer.report.ice_page import IcePage
    from hydrometer.report.ice_text import summary_table

    seed = scores[0].seed
    comparisons = compare(groups, seed=seed)
    scores = [
        found.model_copy(update={"comparisons": tuple(c for c in comparisons if found.subject in (c.a, c.b))})
        for found in scores
    ]
    pairs = len(scores) * (len(scores) - 1) // 2
    apart = pairs - len({(c.a, c.b) for c in comparisons})
    notes = (f"{apart} of {pairs} pairs of subjects have no template and question in common and are not compared.",)
    page = IcePage(scores, comparisons, groups, templates, settings, notes if apart else ())
    if rows is not None:
        write_rows(rows, [row for group in groups for row in group])
    if out is not None:
        write_ice(out, page)
    if as_json:
        sys.stdout.write(scores_json(scores))
    else:
        width = shutil.get_terminal_size((100, 24)).columns
        sys.stdout.write(summary_table(scores, comparisons, width=width))
        sys.stdout.writelines(f"{note}\n" for note in page.warnings)
    if out is not None:
        sys.stderr.write(f"Report: {out / 'report.html'}\n")
