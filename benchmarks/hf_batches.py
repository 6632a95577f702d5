"""Tokens per second of a model in transformers, on the CPU and on the GPU, one call at a time and in batches.

    python benchmarks/hf_batches.py [--tokens 64] [--calls 64] [--layers 30]

The weights are random, in the shape of SmolLM2-135M (30 layers of width 576): what is timed is the provider, and no
weights need be fetched. Needs the extra `hf`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import tokenizers
import torch
import transformers

from hydrometer.models.base import Endpoint, Message, Sampling
from hydrometer.models.registry import resolve

WORDS = 49_152


def save(folder: Path, layers: int) -> str:
    """A tokenizer over every byte, and a network with random weights that never ends its answer early."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    words = [f"w{number}" for number in range(WORDS - 1 - len(alphabet))]
    vocabulary = {token: index for index, token in enumerate(["<eos>", *alphabet, *words])}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


async def speed(folder: str, device: str, batch: int, calls: int, tokens: int) -> float:
    model = resolve(f"hf/{folder}", Endpoint(extra={"device": device, "batch_size": batch}))
    sampling = Sampling(temperature=1.0, max_tokens=tokens)

    async def ask(numbers: range) -> int:
        answers = [model.complete((Message("user", f"Question {number}"),), sampling, 0) for number in numbers]
        return sum(answer.completion_tokens or 0 for answer in await asyncio.gather(*answers))

    try:
        await ask(range(batch))
        begun = time.perf_counter()
        done = await ask(range(batch, batch + calls))
        return done / (time.perf_counter() - begun)
    finally:
        await model.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--calls", type=int, default=64)
    parser.add_argument("--layers", type=int, default=30)
    given = parser.parse_args()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    with tempfile.TemporaryDirectory() as place:
        folder = save(Path(place), given.layers)
        found = {}
        for device in devices:
            for batch in (1, 8, 32) if device == "cpu" else (1, 8, 32, 128):
                calls = min(given.calls, 4 * batch)
                found[device, batch] = asyncio.run(speed(folder, device, batch, calls, given.tokens))
                print(f"{device}, {batch:3} at a time: {found[device, batch]:8.0f} tokens/s", flush=True)
    best = {device: max(rate for (where, _), rate in found.items() if where == device) for device in devices}
    if "cuda" in best:
        name = torch.cuda.get_device_name()
        print(
            f"{name} / CPU: {best['cuda'] / best['cpu']:.1f} times, {best['cuda'] / found['cuda', 1]:.1f} by batching"
        )


if __name__ == "__main__":
    main()
