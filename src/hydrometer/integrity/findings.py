"""Typed values of a run of integrity: every measure with its interval, and what they say of each theme."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hydrometer.findings import Estimate, Finding
from hydrometer.integrity.fidelity import Fidelity
from hydrometer.integrity.metrics import Theme

Verdict = Literal["kept", "lost", "inconclusive"]
Reading = Literal["kept", "lost", "gained", "inconclusive", "saturated"]

Values = tuple[float | None, ...]


class MetricFinding(Finding):
    """One measure of both models.

    Attributes:
        name: of the measure.
        theme: what it speaks about.
        unit: of the values; empty for shares and counts.
        higher_is_kept: whether a student that keeps more has the higher value.
        teacher: its value, mean over prompts, with a 95 % interval.
        student: the same of the student.
        loss: teacher minus student, turned so that positive is lost.
        relative: loss as a share of what the teacher has to lose, down to a model with nothing left; None where that
            is not known.
        margin: the loss up to which the measure counts as kept; None where `relative` is.
        p: two-sided p-value that nothing was lost or gained; None where too few prompts have a value.
        p_corrected: after Holm's correction over all measures of the run.
        reading: what interval and p-value say of this measure alone.
        saturated: one line where the estimator cannot see more at this number of answers.
        teacher_values: per prompt, not part of the document.
        student_values: per prompt, not part of the document.
    """

    name: str
    theme: Theme
    unit: str
    higher_is_kept: bool
    teacher: Estimate
    student: Estimate
    loss: Estimate
    relative: float | None
    margin: float | None
    p: float | None
    p_corrected: float | None
    reading: Reading
    saturated: str
    teacher_values: Values = Field(exclude=True, repr=False)
    student_values: Values = Field(exclude=True, repr=False)


class ThemeFinding(Finding):
    """What the measures of one theme say together.

    Attributes:
        theme: its name.
        verdict: lost where a measure of it is lost, kept where those precise enough to speak are, else inconclusive.
        lead: the measure that answers to this theme and least to the others.
        measures: how many there are.
        lost: names of those that are lost.
        gained: names of those in which the student has more than its teacher.
    """

    theme: Theme
    verdict: Verdict
    lead: str
    measures: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]


class Steadiness(Finding):
    """How one group of variants was answered.

    Attributes:
        group: the way of asking, or the category of the question.
        teacher_changed: share of variants that the teacher answers otherwise than the original question.
        student_changed: the same of the student.
        teacher_right: share of variants with an accepted answer.
        student_right: the same of the student.
    """

    group: str
    teacher_changed: Estimate
    student_changed: Estimate
    teacher_right: Estimate
    student_right: Estimate


class Stability(Finding):
    """Answers to questions asked in several ways.

    Attributes:
        questions: that both models answered in their original form.
        blank: (teacher, student) answers that are empty or failed, in no figure.
        undetermined: (teacher, student) pairs of wrong answers of which it cannot be said whether they are the same.
        by_way: per way of asking.
        by_category: per category of the question.
    """

    questions: int
    blank: tuple[int, int]
    undetermined: tuple[int, int]
    by_way: tuple[Steadiness, ...]
    by_category: tuple[Steadiness, ...]


class LostAnswer(Finding):
    """A class of the teacher's answers that the student never gave.

    Attributes:
        prompt: id of the prompt.
        question: the prompt.
        answer: the teacher's first answer of that class.
        count: its answers of that class, of k.
        instead: the student's most frequent answer, the first of its class.
    """

    prompt: str
    question: str
    answer: str
    count: int
    instead: str


class LostWord(Finding):
    """A rare word of the teacher that no answer of the student holds.

    Attributes:
        word: in lower case.
        count: answers of the teacher that hold it.
        prompt: id of the prompt that they answer.
    """

    word: str
    count: int
    prompt: str


class IntegrityFindings(Finding):
    """What a student kept and lost of its teacher.

    Attributes:
        student: its name.
        teacher: its name.
        prompts: that both answered.
        k: answers per prompt and model.
        vectors: what made the vectors of the answers.
        themes: in a fixed order; a theme without measures is not among them.
        metrics: all measures, those of one theme together.
        stability: None where no questions were asked in several ways.
        fidelity: None where there are no log-probabilities.
        lost_answers: examples, the most frequent first.
        lost_words: examples, the most frequent first.
        answers_lost: how many classes of two or more of the teacher's answers the student never gave.
        answers_seen: how many such classes there are.
        resamples: of the prompts, behind each interval.
        seed: of every random choice.
        level: p-value below which a difference is told from chance.
        share: of what there is to lose, up to which a loss counts as kept.
    """

    student: str
    teacher: str
    prompts: int
    k: int
    vectors: str
    themes: tuple[ThemeFinding, ...]
    metrics: tuple[MetricFinding, ...]
    stability: Stability | None
    fidelity: Fidelity | None
    lost_answers: tuple[LostAnswer, ...]
    lost_words: tuple[LostWord, ...]
    answers_lost: int
    answers_seen: int
    resamples: int
    seed: int
    level: float
    share: float
