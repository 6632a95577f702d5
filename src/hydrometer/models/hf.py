"""Local models through Hugging Face transformers (extra `hf`), batched, on a GPU where there is one.

Calls that arrive together are gathered into one batch (left padding). Each row of a batch keeps its own temperature,
top-p, seed, limits and stop strings: sampling is done by adding Gumbel noise of the row's own generator to its
scaled logits and taking the maximum, which draws from the same softmax. So a row's draw does not depend on its
neighbours, up to the rounding differences that padding and batch size cause in the logits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hydrometer.errors import ModelError
from hydrometer.models.base import (
    CallFailure,
    Capabilities,
    Completion,
    Endpoint,
    FailureKind,
    Message,
    Sampling,
    TokenLogprob,
    draw_seed,
)
from hydrometer.models.frame import frame_prompt, frame_stops, trim_at_stop
from hydrometer.models.presets import offline

DEFAULT_MAX_TOKENS = 512
_GATHER_S = 0.01


@dataclass(slots=True)
class _Call:
    """One waiting call: its prompt as token ids, what is wanted, and where the answer goes."""

    ids: list[int]
    sampling: Sampling
    stop: tuple[str, ...]
    seed: int
    answer: asyncio.Future[Completion]


def load(name: str, rest: str, endpoint: Endpoint) -> HFModel:
    """Load a model and its tokenizer from the hub's cache, the hub, or a folder.

    Args:
        name: `hf/NAME`.
        rest: hub name or path of a folder.
        endpoint: `base`, and in `extra`: `batch_size`, `device`, `dtype`.

    Raises:
        ModelError: it cannot be loaded.
    """
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    device = endpoint.extra.get("device") or (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    local = {"local_files_only": True} if offline() else {}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(rest, padding_side="left", **local)
        network = transformers.AutoModelForCausalLM.from_pretrained(
            rest, dtype=endpoint.extra.get("dtype", "auto" if device != "cpu" else "float32"), **local
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        words = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{name} cannot be loaded: {words[:200]}", "Check the name or path after hf/") from error
    return HFModel(name, rest, tokenizer, network.to(device), endpoint)


class HFModel:
    """A loaded transformers model.

    Args:
        name: `hf/NAME`.
        sent_name: the name after the prefix.
        tokenizer: a transformers tokenizer; without a chat template the model is a base model.
        network: a transformers causal language model, on its device.
        endpoint: `base`, `timeout_s`, and in `extra` `batch_size` (default 32 on a GPU, 8 on the CPU).
    """

    def __init__(self, name: str, sent_name: str, tokenizer: Any, network: Any, endpoint: Endpoint) -> None:
        self.name = name
        self.sent_name = sent_name
        base = endpoint.base or not getattr(tokenizer, "chat_template", None)
        revision = getattr(network.config, "_commit_hash", None) or "local"
        self.endpoint = f"hf {'completions' if base else 'chat'} {revision}"
        self._batch = int(endpoint.extra.get("batch_size") or (8 if network.device.type == "cpu" else 32))
        self.capabilities = Capabilities(concurrency=2 * self._batch, base=base, local=True, alternatives=1000)
        self._timeout_s = endpoint.timeout_s
        self._tokenizer = tokenizer
        self._network = network.eval()
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "left"
        self._anchor = list(tokenizer("a", add_special_tokens=False)["input_ids"])
        self._texts: dict[int, str] = {}
        self._limit = int(getattr(network.config, "max_position_embeddings", None) or 1 << 30)
        self._waiting: list[_Call] = []
        self._pump: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hf")

    def __repr__(self) -> str:
        return f"HFModel({self.name!r})"

    def render(self, messages: list[dict[str, str]]) -> str | None:
        """A conversation as the chat template writes it, `None` for a base model; the assistant's last turn is open."""
        if self.capabilities.base:
            return None
        begun = bool(messages) and messages[-1]["role"] == "assistant"
        how = {"continue_final_message": True} if begun else {"add_generation_prompt": True}
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, **how))

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        """Answer once, in a batch with whatever else is waiting.

        Raises:
            CallFailure: `bad_request` where the prompt does not fit or the template refuses it, `timeout`, `empty`,
                or `server` where the computation failed.
        """
        ids = self._encode(messages)
        if len(ids) >= self._limit:
            raise CallFailure(
                FailureKind.BAD_REQUEST, f"a prompt of {len(ids)} tokens exceeds the context of {self._limit}"
            )
        seed = draw_seed(sampling, sample)
        if seed is None:  # the same call is the same draw, as on the embedded models
            seed = int.from_bytes(hashlib.sha256(f"{sample} {ids}".encode()).digest()[:4], "big")
        stop = frame_stops(sampling.stop, 99) if self.capabilities.base else sampling.stop
        call = _Call(ids, sampling, stop, seed, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call.answer
        except TimeoutError:
            raise CallFailure(FailureKind.TIMEOUT, f"no answer within {self._timeout_s:g} s") from None
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(call)

    def _encode(self, messages: tuple[Message, ...]) -> list[int]:
        if self.capabilities.base:
            return list(self._tokenizer(frame_prompt(messages))["input_ids"])
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text = self.render(turns)
        except Exception as error:  # templates raise their own exceptions for roles they do not know
            raise CallFailure(
                FailureKind.BAD_REQUEST, f"the chat template refuses this conversation: {error}"
            ) from error
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    async def _serve(self) -> None:
        """Take batches off the queue until it is empty."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(_GATHER_S)
        while self._waiting:
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            try:
                outcomes: list[Completion | CallFailure] = list(
                    await loop.run_in_executor(self._thread, self._generate, batch)
                )
            except (RuntimeError, ValueError, IndexError, MemoryError) as error:
                outcomes = [CallFailure(FailureKind.SERVER, f"generation failed: {str(error)[:300]}")] * len(batch)
            for call, outcome in zip(batch, outcomes, strict=True):
                if call.answer.done():
                    continue
                if isinstance(outcome, CallFailure):
                    call.answer.set_exception(outcome)
                else:
                    call.answer.set_result(outcome)

    def _generate(self, batch: list[_Call]) -> list[Completion | CallFailure]:
        """Run one batch, in the thread of its own."""
        import torch

        from hydrometer.models.hf_sampling import RowSampler, RowStops

        started = time.perf_counter()
        padded = self._tokenizer.pad({"input_ids": [call.ids for call in batch]}, return_tensors="pt").to(
            self._network.device
        )
        width = padded["input_ids"].shape[1]
        limits = [min(call.sampling.max_tokens or DEFAULT_MAX_TOKENS, self._limit - len(call.ids)) for call in batch]
        default = getattr(self._network.generation_config, "temperature", None)
        sampler = RowSampler([call.sampling for call in batch], [call.seed for call in batch], default)
        stops = RowStops(self._tokenizer, [call.stop for call in batch], limits, width)
        with torch.inference_mode():
            output = self._network.generate(
                **padded,
                max_new_tokens=max(limits),
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                logits_processor=[sampler],
                stopping_criteria=[stops],
                pad_token_id=self._tokenizer.pad_token_id,
            )
        latency = time.perf_counter() - started
        return [
            self._finish(call, output[row, width:].tolist()[: limits[row]], limits[row], sampler.logprobs(row), latency)
            for row, call in enumerate(batch)
        ]

    def _finish(
        self,
        call: _Call,
        ids: list[int],
        limit: int,
        logprobs: list[tuple[float, list[tuple[int, float]]]],
        latency: float,
    ) -> Completion | CallFailure:
        ends = self._network.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        count = next((at for at, token in enumerate(ids) if token in ends), len(ids))
        text = self._tokenizer.decode(ids[:count], skip_special_tokens=True)
        finish = "length" if count == limit else "stop"
        if self.capabilities.base:
            text, cut = trim_at_stop(text, call.sampling.stop)
        else:
            at = min((at for mark in call.stop if (at := text.find(mark)) >= 0), default=-1)
            text, cut = (text[:at], True) if at >= 0 else (text, False)
        if not text.strip() and not call.sampling.peek:
            return CallFailure(FailureKind.EMPTY, f"no text in the answer ({count} tokens, limit {limit})")
        tokens = None
        if call.sampling.logprobs is not None:
            shown = ids[:1] if call.sampling.peek else ids[:count]
            tokens = tuple(
                TokenLogprob(self._written(token), value, tuple((self._written(other), lp) for other, lp in top))
                for token, (value, top) in zip(shown, logprobs, strict=False)
            )
        return Completion(
            text=text.strip() if self.capabilities.base else text,
            finish_reason="stop" if cut else finish,
            prompt_tokens=len(call.ids),
            completion_tokens=count,
            latency_s=latency,
            logprobs=tokens,
            served_model=self.sent_name,
        )

    def _written(self, token: int) -> str:
        """What a token adds to a text; alone, some tokenizers would lose its leading space. Empty for a special one."""
        if token not in self._texts:
            after = self._tokenizer.decode([*self._anchor, token], skip_special_tokens=True)
            self._texts[token] = after[len(self._tokenizer.decode(self._anchor)) :]
        return self._texts[token]

    async def aclose(self) -> None:
        """Stop and free the model's memory."""
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        self._thread.shutdown(wait=True, cancel_futures=True)
        on_gpu = self._network.device.type == "cuda"
        self._network = None
        if on_gpu:
            import torch

            torch.cuda.empty_cache()
