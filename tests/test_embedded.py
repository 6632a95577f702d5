"""Models that run inside hydrometer: the real ones, through llama.cpp. The weights are fetched at first use."""

from __future__ import annotations

import asyncio
import gc
import random
import struct
from typing import TYPE_CHECKING

import pytest

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, Completion, Endpoint, FailureKind, Message, Sampling
from hydrometer.models.embedded import EmbeddedModel, _servers
from hydrometer.models.gguf import metadata_keys
from hydrometer.models.identity_probe import default_system_prompt
from hydrometer.models.registry import resolve
from hydrometer.models.weights import KNOWN, fetch

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("xllamacpp", reason="the extra 'embedded' is not installed")

SMOLLM, GEMMA = "embedded/smollm2-135m-instruct", "embedded/gemma-3-270m"
PROMPTS = ("Who made you?", "你是谁?", "Tell me about foxes. " * 12, "Tell me about foxes. " * 12 + "And dogs.")
DRAWS = [(prompt, sample) for prompt in PROMPTS for sample in (0, 1)]


async def draw(subject: EmbeddedModel, calls: list[tuple[str, int]], in_flight: int) -> dict[tuple[str, int], str]:
    gate = asyncio.Semaphore(in_flight)
    texts: dict[tuple[str, int], str] = {}

    async def one(prompt: str, sample: int) -> None:
        async with gate:
            try:
                wanted = Sampling(temperature=0.9, max_tokens=8)
                texts[prompt, sample] = (await subject.complete((Message("user", prompt),), wanted, sample)).text
            except CallFailure as failure:
                if failure.kind is not FailureKind.EMPTY:  # a base model may end at once
                    raise
                texts[prompt, sample] = ""

    await asyncio.gather(*(one(*call) for call in calls))
    return texts


@pytest.mark.parametrize("name", [SMOLLM, GEMMA])
def test_the_text_depends_on_nothing_but_the_call(name: str) -> None:
    async def run() -> None:
        subject = resolve(name, Endpoint(timeout_s=600))
        assert isinstance(subject, EmbeddedModel)
        try:
            first = await draw(subject, DRAWS, 1)
            shuffled = random.Random(0).sample(DRAWS, len(DRAWS))
            assert await draw(subject, shuffled, 4) == first
            assert len(set(first.values())) > len(PROMPTS)
        finally:
            await subject.aclose()
        fresh = resolve(name, Endpoint(timeout_s=600))
        assert isinstance(fresh, EmbeddedModel)
        try:
            assert await draw(fresh, DRAWS[-1:], 1) == {DRAWS[-1]: first[DRAWS[-1]]}
        finally:
            await fresh.aclose()

    asyncio.run(run())


def test_a_chat_model_its_hidden_system_prompt_and_what_it_reports(capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> tuple[str | None, Completion, CallFailure]:
        subject = resolve(SMOLLM, Endpoint(timeout_s=600))
        try:
            inserted = await default_system_prompt(subject)
            done = await subject.complete(
                (Message("user", "Say hello."),), Sampling(temperature=0.0, max_tokens=4, logprobs=2), 0
            )
            with pytest.raises(CallFailure) as caught:
                await subject.complete((Message("user", "word " * 6000),), Sampling(max_tokens=4), 0)
            return inserted, done, caught.value
        finally:
            await subject.aclose()

    inserted, done, too_long = asyncio.run(run())
    assert inserted == "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    assert done.logprobs is not None
    assert len(done.logprobs) == done.completion_tokens == 4
    assert all(token.logprob == pytest.approx(token.top[0][1]) for token in done.logprobs)
    assert (done.finish_reason, done.served_model) == ("length", "smollm2-135m-instruct")
    assert too_long.kind is FailureKind.BAD_REQUEST
    assert "context" in too_long.message
    assert capfd.readouterr() == ("", "")


def test_a_file_without_a_chat_template_is_a_base_model() -> None:
    gemma, smollm = resolve(GEMMA), resolve(SMOLLM)
    assert (gemma.capabilities.base, smollm.capabilities.base) == (True, False)
    assert resolve(SMOLLM, Endpoint(base=True)).capabilities.base
    assert resolve(SMOLLM, Endpoint(base=True)).endpoint != smollm.endpoint
    assert asyncio.run(default_system_prompt(gemma)) is None


def test_users_of_one_file_share_a_server_and_the_last_one_frees_it(tmp_path: Path) -> None:
    link = tmp_path / "copy.gguf"
    link.symlink_to(fetch(KNOWN["smollm2-135m-instruct"]))

    async def run() -> None:
        one, two, three = resolve(SMOLLM), resolve(f"embedded/{link}"), resolve(SMOLLM)
        ask = ((Message("user", "hi"),), Sampling(max_tokens=2, temperature=0.0), 0)
        for subject in (one, two):
            await subject.complete(*ask)
        assert len(_servers) == 1
        await one.aclose()
        await two.complete(*ask)
        await two.aclose()
        await two.aclose()
        await three.aclose()
        assert _servers == {}

    asyncio.run(run())
    gc.collect()


def test_the_time_limit_holds_and_the_next_call_is_served() -> None:
    async def run() -> None:
        hasty, patient = resolve(SMOLLM, Endpoint(timeout_s=0.2)), resolve(SMOLLM, Endpoint(timeout_s=600))
        try:
            await hasty.client()  # type: ignore[attr-defined]
            with pytest.raises(CallFailure) as caught:
                await hasty.complete((Message("user", "Tell a long story."),), Sampling(max_tokens=1000), 0)
            assert caught.value.kind is FailureKind.TIMEOUT
            done = await patient.complete((Message("user", "hi"),), Sampling(max_tokens=2, temperature=0.0), 0)
            assert done.text
        finally:
            await hasty.aclose()
            await patient.aclose()

    asyncio.run(run())


def damaged(path: Path, kind: str) -> Path:
    good = fetch(KNOWN["smollm2-135m-instruct"]).read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"hello, I am not a model at all, sorry",
            "old": struct.pack("<4sIQQ", b"GGUF", 1, 0, 0),
            "cut in the head": good[:500],
            "endless": struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 2**63),
        }[kind]
    )
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "old", "cut in the head", "endless"])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    path = damaged(tmp_path / "bad.gguf", kind)
    with pytest.raises(ModelError, match=r"bad\.gguf"):
        resolve(f"embedded/{path}")


def test_a_file_that_llama_cpp_refuses_is_one_clear_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.gguf"
    with fetch(KNOWN["smollm2-135m-instruct"]).open("rb") as file:
        path.write_bytes(file.read(8_000_000))
    assert "tokenizer.chat_template" in metadata_keys(path)
    subject = resolve(f"embedded/{path}")
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load .*cut\.gguf"):
        asyncio.run(subject.complete((Message("user", "hi"),), Sampling(), 0))
    assert capfd.readouterr() == ("", "")


def test_an_embedded_model_takes_no_address() -> None:
    with pytest.raises(ModelError, match="llamacpp/NAME"):
        resolve(SMOLLM, Endpoint(base_url="http://localhost:1/v1"))
