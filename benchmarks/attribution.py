"""Attribution of students whose main teacher is documented, on AlpacaEval's answers.

    python benchmarks/attribution.py RESPONSES.parquet

Prints top-1 of the ranking (with no abstention), the verdicts, what is abstained when the teacher and its near versions
are taken away, and for students of human-written answers; and the trade-off between risk and coverage.
"""

from __future__ import annotations

import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from hydrometer.kinship.attribution import Attribution, attribute, lineup
from hydrometer.kinship.frames import Frames, frames
from hydrometer.kinship.pairs import PairBlocks, residual_pairs
from hydrometer.response_table import read_table

STUDENTS = Path(__file__).with_name("attribution_students.toml")


def main(path: Path) -> None:
    listed = tomllib.loads(STUDENTS.read_text(encoding="utf-8"))
    start = time.perf_counter()
    table = read_table([path])
    pairs = residual_pairs(table)
    paired = time.perf_counter() - start
    start = time.perf_counter()
    ends = frames(table, pairs)
    framed = time.perf_counter() - start
    candidates = [*listed["candidates"]["teachers"], *listed["candidates"]["distractors"]]
    truth = {one["name"]: one["teacher"] for one in listed["students"]}
    certain = {one["name"] for one in listed["students"] if one["certain"]}
    start = time.perf_counter()
    found = run(pairs, ends, list(truth), candidates)
    print(f"pairs {paired:.1f} s, frames {framed:.1f} s, attribution {time.perf_counter() - start:.1f} s")
    for name, chosen in (("all", set(truth)), ("certain", certain)):
        part = [one for one in found if one.student in chosen]
        print(f"{name}: top-1 {right(part, truth)} of {len(part)}, by teacher {by_teacher(part, truth)}")
    raw = by_raw(pairs, truth, candidates)
    print(f"raw similarity: top-1 {raw} of {len(truth)}; always the commonest teacher: {commonest(truth)}")
    print("verdicts", counts(found))
    removed = []
    for name, teacher in truth.items():
        gone = {teacher, *listed["near"][teacher]}
        left = [one for one in candidates if one not in gone]
        others = [one for one in pairs.models if one not in gone and one not in left and one not in truth]
        removed += attribute(pairs, lineup(pairs.models, [name], left, others), ends)
    print("teacher removed", counts(removed))
    print("human-written", counts(run(pairs, ends, listed["human"]["models"], candidates, tuple(truth))))
    near = {one: teacher for teacher, ones in listed["near"].items() for one in ones if one in pairs.models}
    near_found = run(pairs, ends, list(near), candidates, tuple(truth))
    given = [one for one in near_found if one.teacher]
    print(f"near versions: supported {len(given)} of {len(near)}, right {right(given, near)}")
    print("threshold of the best score: covered, right among them, abstained when removed")
    for limit in (0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 2.75, 3.0):
        covered = [one for one in found if best(one) >= limit]
        quiet = sum(best(one) < limit for one in removed) / len(removed)
        print(f"  {limit:.2f}  {len(covered):2d}  {right(covered, truth):2d}  {quiet:.2f}")
    for one in found:
        top = one.candidates[0]
        print(f"  {one.student:<30} {one.verdict:<14} {top.teacher:<28} {top.score:+.2f} true {truth[one.student]}")


def run(
    pairs: PairBlocks,
    ends: tuple[Frames, ...],
    students: list[str],
    teachers: list[str],
    without: tuple[str, ...] = (),
) -> list[Attribution]:
    parts = {*students, *teachers, *without}
    others = [one for one in pairs.models if one not in parts]
    return attribute(pairs, lineup(pairs.models, students, teachers, others), ends)


def right(found: list[Attribution], truth: dict[str, Any]) -> int:
    return sum(one.candidates[0].teacher == truth[one.student] for one in found)


def by_teacher(found: list[Attribution], truth: dict[str, Any]) -> dict[str, str]:
    groups: dict[str, list[Attribution]] = {}
    for one in found:
        groups.setdefault(truth[one.student], []).append(one)
    return {teacher: f"{right(part, truth)}/{len(part)}" for teacher, part in groups.items()}


def by_raw(pairs: PairBlocks, truth: dict[str, Any], candidates: list[str]) -> int:
    from hydrometer.kinship.resampling import square

    raw = square(pairs.raw, len(pairs.models), 1.0)
    place = {name: number for number, name in enumerate(pairs.models)}
    best_of = {name: max(candidates, key=lambda one: raw[place[name], place[one]]) for name in truth}
    return sum(best_of[name] == teacher for name, teacher in truth.items())


def commonest(truth: dict[str, Any]) -> int:
    teachers = list(truth.values())
    return max(teachers.count(one) for one in teachers)


def counts(found: list[Attribution]) -> dict[str, int]:
    verdicts = [one.verdict for one in found]
    return {name: verdicts.count(name) for name in ("supported", "none of these", "inconclusive")}


def best(one: Attribution) -> float:
    return one.candidates[0].score or 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
