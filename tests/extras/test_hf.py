"""The transformers provider on a tiny random Llama with a tokenizer made here: no download."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from hydrometer.models.base import CallFailure, Completion, Endpoint, FailureKind, Message, Sampling
from hydrometer.models.identity_probe import default_system_prompt
from hydrometer.models.registry import resolve

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch", reason="the extra 'hf' is not installed")
transformers = pytest.importorskip("transformers", reason="the extra 'hf' is not installed")
tokenizers = pytest.importorskip("tokenizers")

TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|system|>You are Tiny, made by Nobody.{% endif %}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|>"
)


def save(folder: Path, *, template: str | None) -> str:
    """A byte-level tokenizer over every byte, and a two-layer Llama with random weights."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<eos>", *alphabet])}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    network = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        network.lm_head.weight.mul_(20)
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("chat"), template=TEMPLATE)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("base"), template=None)


def ask(folder: str, calls: list[tuple[str, Sampling, int]], **extra: Any) -> list[Completion | CallFailure]:
    async def run() -> list[Completion | CallFailure]:
        subject = resolve(f"hf/{folder}", Endpoint(extra=extra))

        async def one(text: str, sampling: Sampling, sample: int) -> Completion | CallFailure:
            try:
                return await subject.complete((Message("user", text),), sampling, sample)
            except CallFailure as failure:
                return failure

        try:
            return await asyncio.gather(*(one(*call) for call in calls))
        finally:
            await subject.aclose()

    return asyncio.run(run())


def text(outcome: Completion | CallFailure) -> str:
    assert isinstance(outcome, Completion), outcome
    return outcome.text


def test_a_draw_is_the_same_alone_and_in_any_batch(chat: str) -> None:
    calls = [(f"question {'x' * index}", Sampling(temperature=1.0, max_tokens=12, seed=index), 0) for index in range(5)]
    together = [text(one) for one in ask(chat, calls)]
    alone = [text(ask(chat, [call])[0]) for call in calls]
    backwards = [text(one) for one in ask(chat, calls[::-1], batch_size=2)][::-1]
    assert together == alone == backwards
    assert len(set(together)) > 1


def test_seeds_and_samples_make_different_draws_and_greedy_makes_one(chat: str) -> None:
    sampled = ask(chat, [("hi", Sampling(temperature=2.0, max_tokens=12, seed=1), sample) for sample in range(4)])
    assert len({text(one) for one in sampled}) == 4
    shifted = ask(chat, [("hi", Sampling(temperature=2.0, max_tokens=12, seed=2), 0)])
    assert text(shifted[0]) == text(sampled[1])
    greedy = ask(chat, [("hi", Sampling(temperature=0.0, max_tokens=12), sample) for sample in range(3)])
    assert len({text(one) for one in greedy}) == 1


def test_rows_draw_from_the_softmax_of_their_logits() -> None:
    from hydrometer.models.hf_sampling import RowSampler

    rows = 4000
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).repeat(rows, 1)
    draws = RowSampler([Sampling(temperature=1.0)] * rows, list(range(rows)), None)(None, logits).argmax(-1)
    shares = torch.bincount(draws, minlength=4) / rows
    for share, expected in zip(shares.tolist(), [0.5, 0.3, 0.15, 0.05], strict=True):
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / rows)
    nucleus = RowSampler([Sampling(temperature=1.0, top_p=0.6)] * rows, list(range(rows)), None)(None, logits).argmax(
        -1
    )
    assert set(nucleus.tolist()) == {0, 1}


def test_limits_stops_and_log_probabilities_belong_to_their_row(chat: str) -> None:
    free = text(ask(chat, [("hi", Sampling(temperature=0.0, max_tokens=30), 0)])[0])
    mark = free[5:7]
    outcomes = ask(
        chat,
        [
            ("hi", Sampling(temperature=0.0, max_tokens=4, logprobs=3), 0),
            ("hi", Sampling(temperature=0.0, max_tokens=30, stop=(mark,)), 0),
            ("hi", Sampling(temperature=0.0, max_tokens=30), 0),
        ],
    )
    short, stopped, whole = outcomes
    assert isinstance(short, Completion)
    assert (short.completion_tokens, short.finish_reason) == (4, "length")
    assert short.logprobs is not None
    assert len(short.logprobs) == 4
    for token in short.logprobs:
        assert token.logprob == pytest.approx(token.top[0][1])
        assert token.top[0][1] >= token.top[1][1] >= token.top[2][1]
        assert sum(math.exp(value) for _, value in token.top) <= 1 + 1e-6
    assert text(stopped) == free[: free.index(mark)]
    assert text(whole) == free


def peeked(folder: str, *messages: Message) -> Completion:
    async def run() -> Completion:
        subject = resolve(f"hf/{folder}", Endpoint())
        try:
            return await subject.complete(messages, Sampling(temperature=1.0, max_tokens=1, seed=0, logprobs=300), 0)
        finally:
            await subject.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize("template", ["chat", "base"])
def test_an_answer_that_was_begun_is_continued_and_all_alternatives_are_shown(
    template: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(template)
    start, begun = (peeked(folder, Message("user", "hi"), *more) for more in ((), (Message("assistant", "yes"),)))
    assert begun.prompt_tokens == (start.prompt_tokens or 0) + 3 + (template == "base")  # the frame's space
    assert start.logprobs is not None
    assert begun.logprobs is not None
    (one,) = begun.logprobs
    assert len(one.top) == 257
    assert sum(math.exp(value) for _, value in one.top) == pytest.approx(1, abs=1e-4)
    assert {"", " ", "a", "~"} <= {token for token, _ in one.top}
    assert one.top != start.logprobs[0].top


def test_a_prompt_that_does_not_fit_is_a_bad_request_and_harms_nobody(chat: str) -> None:
    long, fine = ask(chat, [("x" * 400, Sampling(), 0), ("hi", Sampling(max_tokens=3, temperature=0.0), 0)])
    assert isinstance(long, CallFailure)
    assert long.kind is FailureKind.BAD_REQUEST
    assert text(fine)


def test_base_models_get_the_frame_and_chat_templates_are_looked_into(chat: str, base: str) -> None:
    async def inserted(folder: str) -> tuple[str | None, bool]:
        subject = resolve(f"hf/{folder}")
        found = await default_system_prompt(subject)
        await subject.aclose()
        return found, subject.capabilities.base

    assert asyncio.run(inserted(chat)) == ("You are Tiny, made by Nobody.", False)
    assert asyncio.run(inserted(base)) == (None, True)
    (done,) = ask(base, [("hi", Sampling(max_tokens=5, temperature=0.0), 0)])
    assert isinstance(done, Completion)
    assert done.prompt_tokens == len("User: hi\n\nAssistant:")
