"""Dose: what share of a student's behaviour the teacher accounts for, rather than a control.

Per prompt, r is the residual similarity of two answers (0 as alike as any, 1 the same text). The dose is the contrast

    sum (r_student,teacher - r_control,teacher) / sum (ceiling - r_control,teacher)

over prompts that all three answered: how far the student went from where the control stands towards the teacher. The
control enters only as one that does not learn from the teacher, so the student need not be made of it; a student that
gives the teacher's answers to a share of the prompts and the control's to the rest has exactly that share, weighted by
the room that a prompt leaves. The ceiling is 1, the same text, unless the teacher answered several times: then it is
the similarity of its own samples, and 1 means as alike to the teacher as the teacher is to itself, whether a student
copies one of them or answers anew. Answers that are the same have one vote in what is ordinary. An answer made
of both models' sentences is scaled to its share of them (`gains`).

A share is what the answers are consistent with; it is no proof of training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from hydrometer.errors import InputError
from hydrometer.findings import Estimate, Finding
from hydrometer.kinship.clones import CLONE_PROMPTS, Clones, find_clones
from hydrometer.kinship.cosines import gram_on
from hydrometer.kinship.habits import PromptHabits
from hydrometer.kinship.pairs import FEWEST_MODELS, Similarities, all_habits, each_prompt, similarities
from hydrometer.kinship.words import Hashes, mixed
from hydrometer.stats import RESAMPLES, Array, Codes, percentile_interval

if TYPE_CHECKING:
    from hydrometer.response_table import ResponseTable

#: Fewer common prompts than this: inconclusive.
FEWEST_PROMPTS = 10
#: From this residual similarity on, over all prompts, two models count as one under two names.
CLONE = 0.98
#: Mean room between control and teacher, below which there is nothing to tell them apart by.
LEAST_ROOM = 0.02
#: Share of the room from which on an answer is taken to be made of teacher and control alone.
MOSTLY = 0.5
_CHUNK = 500
_SALT = np.uint64(0x5EED)


class Dose(Finding):
    """What the teacher accounts for.

    Attributes:
        student: the subject.
        teacher: the suspected source.
        control: a model that did not learn from the teacher.
        dose: share with its interval, held within [0, 1]; no estimate with too few prompts or no room.
        unclipped: the estimate before it was held within [0, 1]: to be averaged, where several are.
        ceiling: "identity" where 1 means the teacher's own text, "resampled" where it means another sample of it.
        prompts: prompts that all three answered.
        models: models that show what is ordinary (all of the set).
        notes: what a reader should know.
    """

    student: str
    teacher: str
    control: str
    dose: Estimate
    unclipped: float | None
    ceiling: str
    prompts: int
    models: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Residual similarities by prompt, shape (prompts,): the material of a dose.

    Attributes:
        student: of student and teacher.
        control: of control and teacher.
        between: of student and control.
        own: of the teacher's own samples, NaN where it has one.
        prompt: indices into the table's prompts.
    """

    student: Array
    control: Array
    between: Array
    own: Array
    prompt: Codes


def contrast(table: ResponseTable, student: str, teacher: str, control: str) -> Contrast:
    """Similarities of three models on the prompts that all three answered.

    What is ordinary is read off the other models, the three having one vote: else what the student shares with the
    teacher would pass for what everybody says. Where too few others answered, similarities are raw.

    Raises:
        InputError: a name that is not in the set or is given twice.
    """
    s, t, c = (table.find(name) for name in (student, teacher, control))
    if len({s, t, c}) < 3:
        raise InputError("student, teacher and control are not three models", "Give three different names")
    gram = gram_on("cpu")
    found_clones = find_clones(islice(all_habits(table), CLONE_PROMPTS), len(table.models), gram)
    clones = Clones(merged(found_clones.group, [(s, t), (s, c)]))

    def measure(one: PromptHabits) -> tuple[Similarities, float, float]:
        keys = answer_keys(one)
        found = similarities(one, alike_here(one, keys, clones), gram)
        return found, copied(one, keys, s, t), copied(one, keys, c, t)

    rows, prompts = [], []
    for found, student_copies, control_copies in each_prompt(table, measure):
        place = {int(model): number for number, model in enumerate(found.present)}
        if not {s, t, c} <= place.keys():
            continue
        i, j, k = place[s], place[t], place[c]
        enough = len(place) >= FEWEST_MODELS + 2
        alike = found.residual if enough else found.raw
        own = float(found.resampled[j]) if enough else np.nan
        spare = 1 - own if np.isfinite(own) else 0.0
        rows.append((alike[i, j] - student_copies * spare, alike[k, j] - control_copies * spare, alike[i, k], own))
        prompts.append(found.prompt)
    of_student, of_control, between, of_teacher = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Contrast(of_student, of_control, between, of_teacher, np.array(prompts, dtype=np.int64))


def answer_keys(one: PromptHabits) -> Hashes:
    """A number for each answer, the same for answers with the same features, shape (m,); 0 for one without any."""
    keys = np.zeros(len(one.answer_model), dtype=np.uint64)
    np.add.at(keys, one.row, mixed(one.features, _SALT)[one.column])
    return keys


def alike_here(one: PromptHabits, keys: Hashes, clones: Clones) -> Clones:
    """Clones, with the models of which two answers to this prompt are the same.

    A student that takes some answers from another model of the set would make its own and that model's answers look
    like what everybody says; like clones, they have one vote between them.
    """
    order = np.argsort(keys, kind="stable")
    key, model = keys[order], one.answer_model[order]
    same = (key[1:] == key[:-1]) & (key[1:] > 0)
    return Clones(merged(clones.group, zip(model[:-1][same].tolist(), model[1:][same].tolist(), strict=True)))


def merged(group: Codes, pairs: Iterable[tuple[int, int]]) -> Codes:
    """Groups of models, shape (n,), with each pair of models in one."""
    group = group.copy()
    for a, b in pairs:
        low, high = sorted((int(group[a]), int(group[b])))
        group[group == high] = low
    return group


def copied(one: PromptHabits, keys: Hashes, model: int, teacher: int) -> float:
    """Share of the pairs of a model's and the teacher's answers to a prompt that are one and the same answer.

    Where the teacher answered several times, a copy is one of these answers and no more like the teacher than they are
    like each other: the pair of a copy and its original is left out.
    """
    mine, theirs = keys[one.answer_model == model], keys[one.answer_model == teacher]
    same = (mine[:, None] == theirs[None, :]) & (mine[:, None] > 0)
    return float(same.mean()) if same.size else 0.0


def dose(table: ResponseTable, student: str, teacher: str, control: str, *, seed: int = 0) -> Dose:
    """The share of a student's behaviour that a teacher accounts for, rather than a control.

    Raises:
        InputError: a name that is not in the set or is given twice.
    """
    found = contrast(table, student, teacher, control)
    prompts = len(found.student)
    sampled = prompts > 0 and bool(np.isfinite(found.own).mean() > 0.5)
    ceiling = found.own if sampled else np.ones(prompts)
    gain, room = gains(found, ceiling)
    known = np.isfinite(gain + room)
    gain, room = gain[known], room[known]
    notes = _notes(found, sampled, len(table.models))
    if len(gain) < FEWEST_PROMPTS:
        notes.insert(0, f"{len(gain)} prompts that all three answered are too few (at least {FEWEST_PROMPTS})")
    elif room.mean() < LEAST_ROOM:
        notes.insert(0, f"{control} is as alike to {teacher} as can be: nothing tells them apart")
    else:
        share = float(gain.sum() / room.sum())
        low, high = dose_interval(gain, room, seed)
        estimate = Estimate(estimate=_held(share), low=_held(low), high=_held(high), n=len(gain))
        return _dose(student, teacher, control, estimate, share, sampled, table, notes)
    nothing = Estimate(estimate=None, low=None, high=None, n=len(gain))
    return _dose(student, teacher, control, nothing, None, sampled, table, notes)


def gains(found: Contrast, ceiling: Array | float = 1.0) -> tuple[Array, Array]:
    """What the student gained towards the teacher by prompt, and the room that there was; each of shape (prompts,).

    An answer put together from both models' sentences is less like each of the two than its share of them. Where
    teacher and control together account for more than `MOSTLY` of the room, both gains are scaled to account for all.
    """
    room = ceiling - found.control
    gain, other = found.student - found.control, found.between - found.control
    both = gain + other
    put_together = (room > LEAST_ROOM) & (both > MOSTLY * room) & (gain > 0) & (other > 0)
    scaled = gain * np.divide(room, both, out=np.ones_like(gain), where=put_together)
    return scaled, room


def dose_interval(gain: Array, room: Array, seed: int) -> tuple[float, float]:
    """Percentile interval of sum(gain) / sum(room) when prompts are drawn with replacement.

    Args:
        gain: r_student,teacher - r_control,teacher by prompt, shape (prompts,).
        room: ceiling - r_control,teacher by prompt, shape (prompts,).
        seed: of the random generator.
    """
    rng = np.random.default_rng(seed)
    n = len(gain)
    columns = np.stack([gain, room], axis=1)
    values = []
    for start in range(0, RESAMPLES, _CHUNK):
        size = min(_CHUNK, RESAMPLES - start)
        sums = rng.multinomial(n, np.full(n, 1 / n), size=size) @ columns
        values.append(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))
    return percentile_interval(np.concatenate(values), n)


def _held(value: float) -> float:
    return float(min(1.0, max(0.0, value)))


def _notes(found: Contrast, sampled: bool, models: int) -> list[str]:
    notes = []
    if len(found.student) and float(found.student.mean()) >= CLONE:
        notes.append("student and teacher give the same answers: one model under two names, or a copy")
    if len(found.student) and not sampled:
        notes.append(
            "the teacher answered once, so 1 means its very words; another sample of the teacher itself stays below 1"
        )
    if models < FEWEST_MODELS + 2:
        notes.append(f"{models - 3} other models do not show what is ordinary: raw similarities are compared")
    return notes


def _dose(
    student: str,
    teacher: str,
    control: str,
    estimate: Estimate,
    unclipped: float | None,
    sampled: bool,
    table: ResponseTable,
    notes: list[str],
) -> Dose:
    return Dose(
        student=student,
        teacher=teacher,
        control=control,
        dose=estimate,
        unclipped=unclipped,
        ceiling="resampled" if sampled else "identity",
        prompts=estimate.n,
        models=len(table.models),
        notes=tuple(notes),
    )
