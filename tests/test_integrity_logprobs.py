"""Log-probabilities of both models at places in the teacher's answers: what is asked, and what failures say."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doubles import Double, collector_at, failure

from hydrometer.integrity import divergence
from hydrometer.integrity.fidelity import fidelity
from hydrometer.integrity.inference import resampling
from hydrometer.integrity.loss import measure
from hydrometer.integrity.samples import Samples
from hydrometer.integrity_logprobs import ANSWERS, DRAWS, PLACES, Logprobs, collect_logprobs
from hydrometer.integrity_run import Collected, IntegrityPlan, run
from hydrometer.models.base import (
    CallFailure,
    Capabilities,
    Completion,
    Endpoint,
    Message,
    Model,
    Sampling,
    TokenLogprob,
)
from hydrometer.models.registry import resolve
from hydrometer.models.wire import CONTINUE, Dialect, parse_completion
from hydrometer.progress import Progress
from hydrometer.prompts.sets import ConversationPrompt
from hydrometer.session import Session

WORDS = "the quick brown fox jumps over the lazy dog and then sleeps under an old tree until morning comes again"
ENGLISH = Samples("t/t", ("a", "b"), ((WORDS, "x"), (WORDS[10:], "y")), ("en", "en"), ("c", "c"), ("Tell.", "More."))
PROMPTS = {
    "a": ConversationPrompt("a", "own", ("Tell.",), "c", "en"),
    "b": ConversationPrompt("b", "own", ("More.", "And?"), "c", "en"),
}
COPY = "Oltermark"
#: Calls that find out whether a model continues answers, and how it splits text.
PROBES = 1 + 4


class Reader(Double):
    """Expects the next letter of its text after what it has read, the more surely the lower its `doubt`."""

    def __init__(self, name: str, *, doubt: float = 0.2, tokens: int = 1, script: object = None) -> None:
        super().__init__(lambda text, attempt: "unused", f"t/{name}", name)
        self.asked: list[tuple[tuple[Message, ...], Sampling, int]] = []
        self._doubt = doubt
        self._tokens = tokens
        self._answer = script

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        await super().complete(messages, sampling, sample)
        self.asked.append((messages, sampling, sample))
        last = messages[-1]
        likeliest = " " if last.role == "user" else "mark" if COPY in last.content else f" {len(last.content)}"
        top = ((likeliest, math.log(1 - self._doubt)), (" other", math.log(self._doubt / 2)))
        answer = Completion(
            likeliest,
            prompt_tokens=10 + sum(len(one.content.split()) for one in messages) * self._tokens,
            logprobs=(TokenLogprob(likeliest, top[0][1], top),),
        )
        if callable(self._answer):
            answer = self._answer(messages, sample, answer)
        if isinstance(answer, Exception):
            raise answer
        return answer


def collected(
    folder: Path, student: Model, teacher: Model, answers: Samples = ENGLISH, *, alternatives: int | None = None
) -> Logprobs:
    session = Session(collector_at(folder), Progress(), {model.name: model for model in (student, teacher)})
    try:
        return session.run(
            lambda: collect_logprobs(
                session, student.name, teacher.name, answers, PROMPTS, system="Be kind.", alternatives=alternatives
            )
        )
    finally:
        session.collector.ledger.close()  # type: ignore[attr-defined]


def test_both_are_asked_one_token_at_the_same_places_of_the_teachers_answer(tmp_path: Path) -> None:
    student, teacher = Reader("s"), Reader("t")
    found = collected(tmp_path, student, teacher)
    assert found.notes == ()
    evidence = found.evidence
    assert evidence is not None
    assert evidence.same_tokens
    assert (evidence.prompts, evidence.asked, len(evidence.positions)) == (("a", "b"), 2 * PLACES, 2 * PLACES)
    assert [one[:2] for one in student.asked] == [one[:2] for one in teacher.asked]
    assert len(student.asked) == PROBES + 2 * PLACES
    assert {sampling for _, sampling, _ in student.asked} == {
        Sampling(temperature=1.0, max_tokens=1, seed=0, logprobs=Capabilities().alternatives)
    }
    places = [messages for messages, _, _ in student.asked if messages[0].role == "system"]
    opened = [messages for messages in places if messages[-1].role == "user"]
    assert opened == [(Message("system", "Be kind."), Message("user", text)) for text in ("Tell.", "More.")]
    begun = [messages[-1].content for messages in places if messages[-1].role == "assistant"]
    for position in evidence.positions:
        whole = ENGLISH.texts[position.prompt][0]
        assert whole.endswith(position.following)
        shown = whole.removesuffix(position.following)
        assert position.start == (shown == "")
        assert position.start or (shown in begun and position.following[0] == " " and shown[-1] != " ")
    cuts = [len(text) for text in begun if WORDS.startswith(text)]
    assert cuts == sorted(cuts)
    assert max(np.diff(cuts)) < len(WORDS) / 3


def test_a_second_run_makes_no_call_and_other_beginnings_are_other_calls(tmp_path: Path) -> None:
    first = collected(tmp_path, Reader("s"), Reader("t"))
    again = Reader("s"), Reader("t")
    second = collected(tmp_path, *again)
    assert sum(model.calls for model in again) == 0
    assert first.evidence is not None
    assert second.evidence is not None
    assert [one.following for one in first.evidence.positions] == [one.following for one in second.evidence.positions]
    assert [one.teacher.mass for one in first.evidence.positions] == [
        one.teacher.mass for one in second.evidence.positions
    ]
    assert len({one.teacher.top[0] for one in first.evidence.positions}) > PLACES
    other = replace(ENGLISH, texts=((WORDS.replace("fox", "cat"), "x"), (WORDS[10:], "y")))
    changed = Reader("s"), Reader("t")
    collected(tmp_path, *changed, other)
    assert 0 < changed[0].calls < PLACES


def test_the_number_of_alternatives_is_that_of_the_endpoint_or_the_callers(tmp_path: Path) -> None:
    local, remote = Reader("s"), Reader("t")
    local.capabilities = Capabilities(alternatives=1000)
    collected(tmp_path, local, remote)
    assert (local.asked[0][1].logprobs, remote.asked[0][1].logprobs) == (1000, 20)
    few = Reader("s2")
    collected(tmp_path, few, remote, alternatives=5)
    assert few.asked[0][1].logprobs == 5


def test_one_answer_of_at_most_so_many_prompts(tmp_path: Path) -> None:
    names = tuple(str(at) for at in range(ANSWERS + 20))
    many = Samples("t/t", names, (("one two", "x"),) * len(names), ("en",) * len(names), ("c",) * len(names), names)
    prompts = {name: ConversationPrompt(name, "own", (name,), "c", "en") for name in names}
    models: dict[str, Model] = {"t/s": Reader("s"), "t/t": Reader("t")}
    session = Session(collector_at(tmp_path), Progress(), models)
    found = session.run(lambda: collect_logprobs(session, "t/s", "t/t", many, prompts, system=None))
    session.collector.ledger.close()  # type: ignore[attr-defined]
    assert found.evidence is not None
    assert len(found.evidence.prompts) == ANSWERS
    assert found.evidence.asked == 2 * ANSWERS


def test_a_run_collects_them_after_the_answers_unless_told_not_to(tmp_path: Path) -> None:
    def script(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
        return answer if answer.text == "mark" else replace(answer, text=f"{WORDS} {sample} {len(messages)}")

    def ran(alternatives: int | None) -> Collected:
        models: dict[str, Model] = {
            "t/s": Reader("s", script=lambda m, n, a: replace(script(m, n, a), text=f"so {n} {WORDS}")),
            "t/t": Reader("t", script=script),
        }
        plan = IntegrityPlan("t/s", "t/t", tuple(PROMPTS.values()), 2, Sampling(), alternatives=alternatives)
        session = Session(collector_at(tmp_path), Progress(), models)
        try:
            return session.run(lambda: run(session, plan, {}))
        finally:
            session.collector.ledger.close()  # type: ignore[attr-defined]

    found = ran(None)
    assert found.logprobs is not None
    assert found.logprobs.prompts == ("a", "b")
    whole = measure(found.matched, evidence=found.logprobs)
    assert whole.fidelity is not None
    assert whole.fidelity.asked == 2 * PLACES
    (theme,) = (one for one in whole.themes if one.theme == "fidelity")
    assert theme.lead in {one.name for one in whole.metrics if one.theme == "fidelity"}
    without = ran(0)
    assert without.logprobs is None
    assert without.notes == found.notes
    assert measure(without.matched).fidelity is None


def refusing(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion | CallFailure:
    return failure("bad_request", "no prefill here") if messages[-1].role == "assistant" else answer


def anew(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
    top = (("The", math.log(0.9)), ("my", math.log(0.1)))
    return replace(answer, logprobs=(TokenLogprob("The", top[0][1], top),))


@pytest.mark.parametrize("script", [refusing, anew])
def test_an_endpoint_that_does_not_continue_is_compared_at_the_start_alone(tmp_path: Path, script: object) -> None:
    teacher = Reader("t")
    found = collected(tmp_path, Reader("s", script=script), teacher)
    assert found.evidence is not None
    assert all(one.start for one in found.evidence.positions)
    assert len(teacher.asked) == PROBES + 2
    assert found.evidence.same_tokens
    assert found.notes == (
        "t/s cannot continue a given answer: log-probabilities are compared at the start of answers alone.",
    )


def silent(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
    return replace(answer, logprobs=None, dropped=("logprobs",))


def alone(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
    return replace(answer, logprobs=(TokenLogprob("x", -1.0),))


@pytest.mark.parametrize("script", [silent, alone])
def test_without_log_probabilities_the_theme_is_left_out_after_a_few_calls(tmp_path: Path, script: object) -> None:
    student, teacher = Reader("s", script=script), Reader("t")
    found = collected(tmp_path, student, teacher)
    assert found.evidence is None
    assert found.notes == ("t/s gives no log-probabilities: the theme fidelity is left out.",)
    assert (len(student.asked), len(teacher.asked)) == (DRAWS, 1)


def test_models_known_to_give_none_are_not_asked(tmp_path: Path) -> None:
    student, teacher = Reader("s"), Reader("t")
    student.capabilities = teacher.capabilities = Capabilities(logprobs=False)
    found = collected(tmp_path, student, teacher)
    assert found.notes == ("t/t and t/s give no log-probabilities: the theme fidelity is left out.",)
    assert student.calls == teacher.calls == 0
    recorded = asyncio.run(collect_logprobs(None, "replay/a", "replay/b", ENGLISH, PROMPTS, system=None))
    assert recorded.notes == ("replay/b and replay/a give no log-probabilities: the theme fidelity is left out.",)


def test_a_model_that_fails_everywhere_leaves_the_theme_out(tmp_path: Path) -> None:
    found = collected(tmp_path, Reader("s", script=lambda *_: failure("bad_request", "down")), Reader("t"))
    assert found.evidence is None
    assert found.notes[-1] == "t/s gives no log-probabilities: the theme fidelity is left out."


def test_places_that_fail_are_counted_and_in_no_figure(tmp_path: Path) -> None:
    def script(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion | CallFailure:
        return failure("content_filter") if "lazy" in messages[-1].content else answer

    found = collected(tmp_path, Reader("s", script=script), Reader("t"))
    assert found.evidence is not None
    lost = found.evidence.asked - len(found.evidence.positions)
    assert 0 < lost < found.evidence.asked
    assert found.notes == (
        f"At {lost} of {2 * PLACES} places in the teacher's answers a model gave no log-probabilities; "
        "they are in no figure.",
    )
    assert all("lazy" in one.following or one.start or one.prompt for one in found.evidence.positions)


def test_half_a_character_is_drawn_again(tmp_path: Path) -> None:
    def script(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
        return answer if sample == 2 else replace(answer, logprobs=None, text="\ufffd")

    student = Reader("s", script=script)
    found = collected(tmp_path, student, Reader("t"))
    assert found.notes == ()
    assert [sample for _, _, sample in student.asked[:3]] == [0, 1, 2]


def test_other_numbers_of_tokens_are_another_tokenizer(tmp_path: Path) -> None:
    found = collected(tmp_path, Reader("s", tokens=2), Reader("t"))
    assert found.evidence is not None
    assert not found.evidence.same_tokens
    assert found.notes == (
        "t/t and t/s split text into different tokens: their distributions are compared by the character that comes "
        "next.",
    )

    def unsaid(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
        return replace(answer, prompt_tokens=None)

    other = collected(tmp_path, Reader("s2", script=unsaid), Reader("t"))
    assert other.evidence is not None
    assert not other.evidence.same_tokens
    assert "may split" in other.notes[0]


def test_special_tokens_are_the_end_and_sentences_of_chinese_are_cut(tmp_path: Path) -> None:
    def script(messages: tuple[Message, ...], sample: int, answer: Completion) -> Completion:
        if COPY in messages[-1].content:
            return answer
        top = (("<|im_end|>", math.log(0.5)), ("</s>", math.log(0.25)), ("", math.log(0.125)), ("山", math.log(0.125)))
        return replace(answer, logprobs=(TokenLogprob("山", top[3][1], top),))

    text = "山很高，水很长。我们去看看！好吗？好的，走吧。"
    chinese = replace(ENGLISH, texts=((text, "x"), (text, "y")))
    found = collected(tmp_path, Reader("s", script=script), Reader("t", script=script), chinese)
    assert found.evidence is not None
    assert found.evidence.positions[0].teacher.mass == {"": pytest.approx(0.875), "山": pytest.approx(0.125)}
    cuts = [len(text) - len(one.following) for one in found.evidence.positions if one.prompt == 0]
    assert [text[cut - 1 : cut] for cut in cuts] == ["", "，", "。", "！", "？", "，"]


def test_the_wire_asks_to_continue_and_a_token_without_text_is_an_answer() -> None:
    said = (Message("user", "Hi"), Message("assistant", "Hello"))
    sampling = Sampling(max_tokens=1, logprobs=3)
    body, _ = Dialect().body("m", said, sampling, 0)
    assert {name: body[name] for name in CONTINUE} == CONTINUE
    assert body["messages"][-1] == {"role": "assistant", "content": "Hello"}
    assert CONTINUE.keys().isdisjoint(Dialect().body("m", said[:1], sampling, 0)[0])
    raw, _ = Dialect(base=True).body("m", said, sampling, 0)
    assert raw["prompt"] == "User: Hi\n\nAssistant: Hello"
    assert CONTINUE.keys().isdisjoint(raw)
    ended = (
        b'{"choices":[{"finish_reason":"stop","message":{"content":""},"logprobs":{"content":[{"token":"","bytes":[],'
        b'"logprob":-0.1,"top_logprobs":[{"token":"","bytes":[],"logprob":-0.1},{"token":"","bytes":[228,189],'
        b'"logprob":-3},{"token":"\xef\xbf\xbd","bytes":[162],"logprob":-4},{"token":"a","logprob":-5}]}]}}]}'
    )
    done = parse_completion(ended, "application/json", sampling, base=False)
    assert done.logprobs is not None
    assert [token for token, _ in done.logprobs[0].top] == ["", "\\xe4\\xbd", "\\xa2", "a"]
    with pytest.raises(CallFailure):
        parse_completion(ended, "application/json", Sampling(max_tokens=2, logprobs=3), base=False)
    with pytest.raises(CallFailure):
        parse_completion(ended.replace(b'"stop"', b'"content_filter"'), "application/json", sampling, base=False)


def test_real_models_continue_answers_and_differ_from_each_other(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra 'embedded' is not installed")
    names = "embedded/smollm2-135m-instruct", "embedded/gemma-3-270m"
    chat, base = (resolve(name, Endpoint(timeout_s=600)) for name in names)
    text = "The sky is blue because air scatters the light of the sun"
    answers = Samples("x", ("a",), ((text, "x"),), ("en",), ("c",), ("Why is the sky blue?",))
    prompts = {"a": ConversationPrompt("a", "own", ("Why is the sky blue?",), "c", "en")}
    models: dict[str, Model] = {chat.name: chat, base.name: base}
    session = Session(collector_at(tmp_path), Progress(), models)
    found = session.run(lambda: collect_logprobs(session, base.name, chat.name, answers, prompts, system=None))
    session.collector.ledger.close()  # type: ignore[attr-defined]
    evidence = found.evidence
    assert evidence is not None
    assert len(evidence.positions) == PLACES
    assert not any(one.start for one in evidence.positions[1:])
    assert not evidence.same_tokens
    for one in evidence.positions:
        assert len(one.teacher.mass) > 900
        assert one.teacher.rest < 0.2
    within = divergence.by_character(evidence.positions[-1].teacher)
    assert within.mass[" s"] > 0.1
    _, figures = fidelity(evidence, resampling(1, 10, 0))
    assert 0.2 < (figures.overlap_high.estimate or 0.0) < 0.98
