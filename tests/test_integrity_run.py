"""Collecting for integrity: live, recorded and mixed; resumed; and every bad input as one clear line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import typer
from doubles import Answer, Double, collector_at, failure, quick
from faulty_server import FaultyServer, faulty
from typer.testing import CliRunner

from hydrometer.commands.integrity import integrity
from hydrometer.errors import HydrometerError, InputError, ModelError
from hydrometer.integrity_run import Collected, IntegrityPlan, prompts_of, run
from hydrometer.models.base import Completion, Message, Sampling
from hydrometer.progress import Progress
from hydrometer.prompts.integrity_sets import load_stability, load_variety
from hydrometer.prompts.sets import ConversationPrompt
from hydrometer.report.integrity_answers import write_answers
from hydrometer.responses import Responses, is_recorded, read_responses
from hydrometer.rse import all_prompts
from hydrometer.session import Session

__all__ = ["faulty"]

PROMPTS = all_prompts(load_variety())[::9]
VARIANTS = load_stability()[:14]


class Drawing(Double):
    """Answers that depend on model, prompt and draw; everything it was asked is kept."""

    def __init__(self, name: str, script: object = None, endpoint: str = "") -> None:
        super().__init__(lambda text, attempt: "unused", f"test/{name}", endpoint or name)
        self.asked: list[tuple[tuple[Message, ...], Sampling, int]] = []
        self._answer = script

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        await super().complete(messages, sampling, sample)
        self.asked.append((messages, sampling, sample))
        text = messages[-1].content
        answer: Answer = f"{self.sent_name} on {text[:40]}, draw {sample}" + "".join(
            f" {sample}x{i}" for i in range(60)
        )
        if callable(self._answer):
            answer = self._answer(text, sample)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(str(answer))


def plan_of(**changes: object) -> IntegrityPlan:
    base: dict[str, object] = {
        "student": "test/s",
        "teacher": "test/t",
        "prompts": PROMPTS,
        "samples": 3,
        "sampling": Sampling(temperature=0.9, top_p=0.95, max_tokens=50, seed=7),
        "system": "Be kind.",
        "alternatives": 0,
    }
    return IntegrityPlan(**{**base, **changes})  # type: ignore[arg-type]


def done(folder: Path, plan: IntegrityPlan, *models: Double) -> Collected:
    session = Session(collector_at(folder, quick()), Progress(), {model.name: model for model in models})
    recordings = read_responses([name for name in (plan.student, plan.teacher) if is_recorded(name)])
    try:
        return session.run(lambda: run(session, plan, recordings))
    finally:
        session.collector.ledger.close()  # type: ignore[attr-defined]


def recorded(student: str, teacher: str, **changes: object) -> Collected:
    recordings = read_responses([student, teacher])
    plan = plan_of(student=student, teacher=teacher, prompts=prompts_of(recordings.values()), samples=None, **changes)
    return asyncio.run(run(None, plan, recordings))


def test_k_draws_of_every_prompt_at_the_same_settings_of_both(tmp_path: Path) -> None:
    student, teacher = Drawing("s"), Drawing("t")
    found = done(tmp_path, plan_of(), student, teacher)
    assert found.matched.student.prompts == tuple(prompt.id for prompt in PROMPTS)
    assert found.matched.student.languages == tuple(prompt.language for prompt in PROMPTS)
    assert found.matched.student.k == 3
    assert [text.split(", draw ")[1][0] for text in found.matched.teacher.texts[0]] == ["0", "1", "2"]
    for model in (student, teacher):
        assert sorted({sample for _, _, sample in model.asked}) == [0, 1, 2]
        assert {sampling for _, sampling, _ in model.asked} == {plan_of().sampling}
        assert {messages[0] for messages, _, _ in model.asked} == {Message("system", "Be kind.")}
        assert len(model.asked) == 3 * len(PROMPTS)
    assert found.variants is None
    assert found.notes == ()


def test_ten_draws_where_no_number_is_given(tmp_path: Path) -> None:
    assert (
        done(tmp_path, plan_of(samples=None, prompts=PROMPTS[:2]), Drawing("s"), Drawing("t")).matched.student.k == 10
    )


def test_variants_are_asked_once_at_temperature_zero(tmp_path: Path) -> None:
    student, teacher = Drawing("s"), Drawing("t")
    found = done(tmp_path, plan_of(variants=VARIANTS, prompts=PROMPTS[:2]), student, teacher)
    assert found.variants is not None
    assert found.variants[0].samples.prompts == tuple(one.id for one in VARIANTS)
    assert all(len(texts) == 1 for texts in found.variants[1].samples.texts)
    cold = [(messages[-1].content, sample) for messages, sampling, sample in teacher.asked if sampling.temperature == 0]
    assert cold == [(one.turns[0], 0) for one in VARIANTS]


def test_a_second_run_makes_no_calls_and_a_larger_k_only_the_new_ones(tmp_path: Path) -> None:
    texts = []
    for samples, calls in ((3, 3), (3, 0), (5, 2)):
        models = Drawing("s"), Drawing("t")
        texts.append(done(tmp_path, plan_of(samples=samples), *models).matched.student.texts)
        assert [len(model.asked) for model in models] == [calls * len(PROMPTS)] * 2
    assert texts[0] == texts[1] == tuple(answers[:3] for answers in texts[2])


def test_several_turns_follow_the_models_own_answers(tmp_path: Path) -> None:
    prompt = ConversationPrompt("1", "s", ("first", "second"))
    student = Drawing("s")
    found = done(tmp_path, plan_of(prompts=(prompt,), samples=2), student, Drawing("t"))
    second = [messages for messages, _, sample in student.asked if messages[-1].content == "second" and sample == 1]
    (said,) = [[message.content for message in messages[1:]] for messages in second]
    assert said[::2] == ["first", "second"]
    assert said[1].startswith("s on first, draw 1 ")
    first, _, last = found.matched.student.texts[0][0].partition("\n\n")
    assert first.startswith("s on first, draw 0 ")
    assert last.startswith("s on second, draw 0 ")


def test_what_was_not_honoured_cut_or_failed_is_said(tmp_path: Path) -> None:
    def script(text: str, sample: int) -> Answer:
        if sample == 2 and text == PROMPTS[0].text:
            return failure("content_filter")
        return Completion(f"{text} {sample}", finish_reason="length" if sample else "stop", dropped=("top_p", "seed"))

    found = done(tmp_path, plan_of(), Drawing("s", script), Drawing("t"))
    total = 3 * len(PROMPTS)
    assert found.student.honoured == replace(plan_of().sampling, top_p=None, seed=None)
    assert found.teacher.honoured == plan_of().sampling
    assert found.student.cut == 2 * len(PROMPTS) - 1
    notes = " ".join(found.notes)
    assert "test/s does not take top_p, so it was not sampled as requested." in notes
    assert f"{found.student.cut} of {total} answers of test/s end at the limit of 50 tokens" in notes
    assert f"1 of {total} answers of test/s are empty or failed" in notes
    assert "answers of test/t" not in notes


def test_a_model_without_any_answer_is_told_with_its_reason(tmp_path: Path) -> None:
    mute = Drawing("s", lambda text, sample: failure("bad_request", "no such thing"))
    with pytest.raises(ModelError, match=r"test/s answered none of the prompts: .*no such thing"):
        done(tmp_path, plan_of(), mute, Drawing("t"))


def test_prompts_of_one_id_in_two_sets_stay_apart(tmp_path: Path) -> None:
    prompts = (ConversationPrompt("1", "a", ("One?",)), ConversationPrompt("1", "b", ("Two?",)))
    found = done(tmp_path, plan_of(prompts=prompts), Drawing("s"), Drawing("t"))
    assert found.matched.student.prompts == ("a/1", "b/1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher": "test/s"}, "test/s is both student and teacher"),
        ({"samples": 1}, "--samples is 1"),
        ({"sampling": Sampling(temperature=0.0)}, "--temperature is 0"),
    ],
)
def test_plans_that_can_show_no_loss_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan_of(**changes)


def rows_of(model: str, k: int, prompts: range = range(6), first: int = 0) -> list[dict[str, object]]:
    return [
        {
            "model": model,
            "prompt_id": str(p),
            "sample": first + i,
            "response": f"{model} says {p} {'x' * (i + 1)} {'y' * (p + 1)}",
            "prompt": f"About {p}?",
            "category": "c",
        }
        for p in prompts
        for i in range(k)
    ]


def recording(folder: Path, *groups: list[dict[str, object]]) -> str:
    pl.DataFrame([row for rows in groups for row in rows]).write_parquet(folder / "f.parquet")
    return f"replay/{folder}/f.parquet"


def test_recorded_answers_are_used_in_full_whatever_their_numbers(tmp_path: Path) -> None:
    path = recording(tmp_path, rows_of("s", 4, first=1), rows_of("t", 6, range(1, 8)))
    found = recorded(f"{path}#s", f"{path}#t", sampling=Sampling(temperature=0.0))
    assert found.matched.student.k == 4
    assert found.matched.student.prompts == ("1", "2", "3", "4", "5")
    assert found.matched.student.languages == ("en",) * 5
    assert found.matched.student.questions[0] == "About 1?"
    notes = " ".join(found.notes)
    assert "recorded; whether both sides were sampled with the same settings is not known" in notes
    assert "1 of 6 prompts of" in notes
    assert "2 of 7 prompts of" in notes


def test_one_side_recorded_and_the_other_asked(tmp_path: Path) -> None:
    path = recording(tmp_path, rows_of("t", 4))
    (responses,) = read_responses([path]).values()
    student = Drawing("s")
    plan = plan_of(teacher=path, prompts=prompts_of([responses]), samples=3, variants=VARIANTS)
    found = done(tmp_path, plan, student)
    assert found.matched.teacher.k == found.matched.student.k == 3
    assert len(student.asked) == 3 * 6
    assert found.variants is None
    assert any("stability is left out" in note for note in found.notes)


def test_the_answers_of_a_run_can_be_replayed(tmp_path: Path) -> None:
    live = done(tmp_path, plan_of(variants=VARIANTS), Drawing("s"), Drawing("t"))
    write_answers(tmp_path / "answers.parquet", live)
    path = f"replay/{tmp_path}/answers.parquet"
    again = recorded(f"{path}#test/s", f"{path}#test/t", variants=VARIANTS)
    assert again.matched.student.texts == live.matched.student.texts
    assert again.matched.teacher.categories == live.matched.teacher.categories
    assert again.matched.student.prompts == live.matched.student.prompts
    assert live.variants is not None
    assert again.variants is not None
    assert again.variants[0].samples.texts == live.variants[0].samples.texts


def test_recordings_of_nothing_have_no_prompts() -> None:
    assert prompts_of([Responses("m")]) == ()


def command(*words: str) -> HydrometerError:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(integrity)
    result = CliRunner().invoke(app, list(words))
    assert isinstance(result.exception, HydrometerError), result.output
    return result.exception


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["FILE#s", "--teacher", "FILE#single"], "FILE#single has one answer per prompt"),
        (["FILE#s", "--teacher", "FILE#t", "--samples", "1"], "--samples is 1"),
        (["FILE#s", "--teacher", "FILE#t", "--logprobs", "0"], "--logprobs is '0'"),
        (["FILE#s", "--teacher", "FILE#t", "--logprobs", "many"], "--logprobs is 'many'"),
        (["FILE#s", "--teacher", "FILE#s"], "is both student and teacher"),
        (["FILE#s", "--teacher", "COPY#s"], "the same answers, word for word, to all 6 prompts"),
        (["FILE#s", "--teacher", "FILE#elsewhere"], "have no prompt in common"),
        (["FILE#s", "--teacher", "FILE#silent"], "all 18 answers to these prompts are empty"),
        (["FILE#s", "--teacher", "FILE#nobody"], "Did you mean"),
        (["FILE#s", "--teacher", "FILE#t", "--prompts", "variety"], "answers none of the 75 prompts"),
        (["FILE#s", "--teacher", "FILE#t", "--prompts", "nowhere"], "no prompt set or file"),
        (["FILE#s", "--teacher", "FILE#t", "--format", "pdf"], "--format is 'pdf'"),
        (["FILE#s", "--teacher", "FILE#t", "--format", "model-card", "--json"], "Both --json and --format"),
        (["FILE#s", "--teacher", "FILE#t", "--top-p", "0"], "--top-p is 0"),
        (["FILE#s", "--teacher", "FILE#t", "--system", " "], "system message is empty"),
        (["openai/x", "--teacher", "FILE#t", "--temperature", "0"], "--temperature is 0"),
        (["openai/x", "--teacher", "openai/x"], "is both student and teacher"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, words: list[str], message: str) -> None:
    silent = [{**row, "response": " "} for row in rows_of("silent", 3)]
    path = recording(
        tmp_path, rows_of("s", 3), rows_of("t", 3), rows_of("single", 1), rows_of("elsewhere", 3, range(20, 26)), silent
    )
    (tmp_path / "copy.jsonl").write_text("\n".join(map(json.dumps, rows_of("s", 3))))
    names = {"FILE": path, "COPY": f"replay/{tmp_path}/copy.jsonl"}
    for short, name in names.items():
        words = [word.replace(short, name) for word in words]
        message = message.replace(short, name)
    error = command(*words)
    assert message in str(error)
    assert "\n" not in str(error)


def test_a_recording_without_prompts_cannot_be_asked_of_a_model(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("model", "prompt_id", "sample", "response")} for row in rows_of("t", 3)]
    path = recording(tmp_path, rows)
    (responses,) = read_responses([path]).values()
    with pytest.raises(InputError, match="holds no prompts"):
        done(tmp_path, plan_of(teacher=path, prompts=prompts_of([responses])), Drawing("s"))


def test_a_model_that_cannot_be_reached_is_told_with_its_reason(
    tmp_path: Path, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    error = command(
        "openai/auth", "--teacher", recording(tmp_path, rows_of("t", 3)), "--base-url", faulty.url,
        "--ledger", str(tmp_path / "ledger.db"), "--quiet",
    )  # fmt: skip
    assert "openai/auth answered none of the prompts" in str(error)
    assert "401" in str(error)
