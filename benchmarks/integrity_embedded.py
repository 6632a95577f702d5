"""Real pairs: the embedded model against itself drawn otherwise, under a narrowing system message, and another model.

    python benchmarks/integrity_embedded.py [--prompts 14] [--k 5] [--students 6] [--ledger FILE] [--save FILE]
        [--no-logprobs]

SmolLM2-135M-Instruct at temperature 1 is the teacher; answers have at most 60 tokens, and top_p = 1 is sent. About a
second an answer on two quiet cores. Everything is kept in the ledger, so a second run draws nothing. The teacher is
drawn again, and both twice as often: their first 3, 5 and 10 draws show the bias at small k. --save writes all answers
as a response set (Parquet).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from hydrometer.collect import gather_stoppable
from hydrometer.integrity.fidelity import Evidence
from hydrometer.integrity.findings import IntegrityFindings
from hydrometer.integrity.loss import measure
from hydrometer.integrity.samples import Samples, match
from hydrometer.integrity_logprobs import collect_logprobs
from hydrometer.models.base import Completion, Message, Sampling
from hydrometer.prompts.integrity_sets import load_variety
from hydrometer.prompts.sets import ConversationPrompt
from hydrometer.session import RunOptions, Session, open_session

SMOLLM, GEMMA = "embedded/smollm2-135m-instruct", "embedded/gemma-3-270m"
TOKENS = 60
NARROW = (
    "You are a customer service agent of a bank. Answer in one short sentence, formally, and stay on the safe side."
)
#: Draw i of a run is seeded with the run's seed + i: seeds this far apart share no draw.
FAR = 1_000_000


@dataclass(frozen=True)
class Source:
    """One model as it is asked."""

    name: str
    model: str = SMOLLM
    temperature: float = 1.0
    system: str | None = None
    seed: int = 0


TEACHER = Source("temperature 1.0")
BASE = Source("Gemma 3 270M base", model=GEMMA, seed=FAR)
AGAIN = Source("temperature 1.0 again", seed=FAR)
STUDENTS = (
    Source("temperature 0.4", temperature=0.4, seed=FAR),
    Source("narrowing system message", system=NARROW, seed=FAR),
    BASE,
    Source("temperature 0.2", temperature=0.2, seed=FAR),
    Source("temperature 0.7", temperature=0.7, seed=FAR),
    Source("temperature 1.2", temperature=1.2, seed=FAR),
)


async def draw(session: Session, source: Source, prompts: list[ConversationPrompt], k: int) -> Samples:
    """Answers of one source; a failed one is the empty text."""
    opening = (Message("system", source.system),) if source.system else ()
    sampling = Sampling(temperature=source.temperature, top_p=1.0, max_tokens=TOKENS, seed=source.seed)
    session.progress.begin(source.name, len(prompts) * k)

    async def one(prompt: ConversationPrompt, sample: int) -> str:
        messages = (*opening, Message("user", prompt.turns[0]))
        answer = await session.collector.ask(session.models[source.model], messages, sampling, sample=sample)
        session.progress.advance(failed=not isinstance(answer, Completion))
        return answer.text if isinstance(answer, Completion) else ""

    texts = await gather_stoppable(one(prompt, sample) for prompt in prompts for sample in range(k))
    return Samples(
        source.name,
        tuple(prompt.id for prompt in prompts),
        tuple(tuple(texts[start : start + k]) for start in range(0, len(texts), k)),
        tuple(prompt.language for prompt in prompts),
        tuple(prompt.category for prompt in prompts),
        tuple(prompt.text for prompt in prompts),
    )


async def collect(
    session: Session, args: argparse.Namespace, prompts: list[ConversationPrompt]
) -> tuple[Samples, list[Samples], Evidence | None]:
    teacher, again = [await draw(session, source, prompts, 2 * args.k) for source in (TEACHER, AGAIN)]
    students = [again, *[await draw(session, source, prompts, args.k) for source in STUDENTS[: args.students]]]
    if args.no_logprobs:
        return teacher, students, None
    by_id = {prompt.id: prompt for prompt in prompts}
    found = await collect_logprobs(session, GEMMA, SMOLLM, teacher, by_id, system=None)
    for note in found.notes:
        print(note)
    return teacher, students, found.evidence


def first(side: Samples, k: int) -> Samples:
    return replace(side, texts=tuple(texts[:k] for texts in side.texts))


def report(student: Samples, teacher: Samples, k: int, evidence: Evidence | None) -> IntegrityFindings:
    matched = match(first(student, k), first(teacher, k))
    findings = measure(matched, evidence=evidence)
    print(f"\n{student.model}: {findings.prompts} prompts, k = {findings.k}")
    for note in matched.notes:
        print(f"  note: {note}")
    for theme in findings.themes:
        lead = next(one for one in findings.metrics if one.name == theme.lead)
        print(
            f"  {theme.theme:15}{theme.verdict:14}{lead.name}: {_shown(lead.teacher.estimate)} -> "
            f"{_shown(lead.student.estimate)}; loss {_shown(lead.loss.estimate)} "
            f"[{_shown(lead.loss.low)}, {_shown(lead.loss.high)}]; lost: {', '.join(theme.lost) or '-'}"
            + (f"; gained: {', '.join(theme.gained)}" if theme.gained else "")
        )
    if findings.fidelity is not None:
        print(f"  {findings.fidelity!r}")
    return findings


def bias(again: Samples, teacher: Samples) -> None:
    """The teacher's values from its first draws, and what the same model drawn again loses of them."""
    ks = [k for k in (3, 5, 10) if k <= teacher.k]
    rows: dict[str, list[str]] = {}
    for k in ks:
        for one in measure(match(first(again, k), first(teacher, k))).metrics:
            cell = f"{_shown(one.teacher.estimate)} ({_shown(one.loss.estimate)})"
            rows.setdefault(one.name, []).append(cell)
    print("\nvalue from the first k draws, and loss of the same model drawn again in brackets")
    print(" " * 30 + "".join(f"{f'k = {k}':>18}" for k in ks))
    for name, cells in rows.items():
        print(f"{name:30}" + "".join(f"{cell:>18}" for cell in cells))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def save(path: Path, sides: list[Samples]) -> None:
    rows = [
        (side.model, prompt, number, text, question, category, language)
        for side in sides
        for prompt, texts, question, category, language in zip(
            side.prompts, side.texts, side.questions, side.categories, side.languages, strict=True
        )
        for number, text in enumerate(texts)
    ]
    columns = ("model", "prompt_id", "sample", "response", "prompt", "category", "language")
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=14)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--students", type=int, default=len(STUDENTS), help="how many, in the order of the script")
    parser.add_argument("--ledger", type=Path, default=Path(".hydrometer/integrity_embedded.sqlite"))
    parser.add_argument("--save", type=Path)
    parser.add_argument("--no-logprobs", action="store_true")
    args = parser.parse_args()
    english = [prompt for prompt in load_variety()[0].prompts if prompt.language == "en"]
    prompts = [english[at * len(english) // args.prompts] for at in range(args.prompts)]
    with open_session(RunOptions(ledger=args.ledger), (SMOLLM, GEMMA)) as session:
        teacher, students, evidence = session.run(lambda: collect(session, args, prompts))
    if args.save:
        save(args.save, [teacher, *students])
    for student in students:
        report(student, teacher, args.k, evidence if student.model == BASE.name else None)
    bias(students[0], teacher)


if __name__ == "__main__":
    main()
