"""Models that run inside hydrometer: a GGUF file served by llama.cpp in this process, through xllamacpp.

Deterministic: the same messages, sampling and sample number give the same text, whatever was asked before and in
whatever order. That takes one slot, no flash attention, no prompt cache and no context checkpoints (with several
slots or flash attention the text depends on its neighbours in the batch; with a cache, on how much of the prompt
was cached, because llama.cpp computes one token and many tokens by different kernels). Where no seed is requested,
the sample's number is the seed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydrometer.errors import ModelError
from hydrometer.models.base import Capabilities, Completion, Endpoint, Message, Sampling
from hydrometer.models.cpus import inference_threads
from hydrometer.models.gguf import fingerprint, metadata_keys
from hydrometer.models.openai_compatible import OpenAICompatible
from hydrometer.models.weights import KNOWN, cached, fetch
from hydrometer.models.wire import Dialect

CONTEXT_TOKENS = 4096
DEFAULT_MAX_TOKENS = 1024


@dataclass(slots=True)
class _Served:
    server: Any
    url: str
    users: int


_servers: dict[Path, _Served] = {}
_guard = threading.Lock()


def _acquire(path: Path, alias: str) -> str:
    """Start the server of a file, or share the running one; returns its address."""
    with _guard:
        if (served := _servers.get(path)) is None:
            server = _start(path, alias)
            served = _servers[path] = _Served(server, server.listening_address, 0)
        served.users += 1
        return served.url


def _release(path: Path) -> None:
    """Give a server back; the last user frees its memory."""
    with _guard:
        served = _servers[path]
        served.users -= 1
        if served.users == 0:
            del _servers[path]
            served.server = None


def _start(path: Path, alias: str) -> Any:
    # OpenMP threads spin while they wait for each other: with a busy neighbour, up to eight times slower.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 1
    params.n_ctx = CONTEXT_TOKENS
    params.n_predict = DEFAULT_MAX_TOKENS
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_prompt = False
    params.n_ctx_checkpoints = 0
    params.cache_ram_mib = 0
    params.warmup = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = inference_threads()
    params.ui = False
    params.verbosity = -1
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"llama.cpp cannot load {path}", "It may be damaged or newer than xllamacpp: fetch it again or upgrade"
        ) from error


class EmbeddedModel:
    """A model in this process.

    Args:
        name: `embedded/NAME` or `embedded/PATH.gguf`.
        rest: the part after `embedded/`.
        endpoint: `base` forces raw completion; a file without a chat template is a base model in any case.

    Raises:
        ModelError: unknown name, no such file, not GGUF, or the weights cannot be fetched.
    """

    def __init__(self, name: str, rest: str, endpoint: Endpoint) -> None:
        if endpoint.base_url:
            raise ModelError(
                f"{name} runs in this process and takes no --base-url", "For a llama.cpp server use llamacpp/NAME"
            )
        self.name = name
        self._path, self.sent_name, identity = _find(rest)
        base = endpoint.base or "tokenizer.chat_template" not in metadata_keys(self._path)
        self.endpoint = f"embedded {'completions' if base else 'chat'} {identity}"
        self.capabilities = Capabilities(concurrency=2, base=base, local=True, alternatives=1000)
        self._timeout_s = endpoint.timeout_s
        self._inner: OpenAICompatible | None = None
        self._starting = asyncio.Lock()

    def __repr__(self) -> str:
        return f"EmbeddedModel({self.name!r})"

    async def client(self) -> OpenAICompatible:
        """The client of the running server, which is started at first use (about 1 s).

        Raises:
            ModelError: llama.cpp cannot load the file.
        """
        async with self._starting:
            if self._inner is None:
                url = await asyncio.to_thread(_acquire, self._path, self.sent_name)
                self._inner = OpenAICompatible(
                    self.name,
                    self.sent_name,
                    f"{url}/v1",
                    "",
                    dialect=Dialect(base=self.capabilities.base),
                    capabilities=self.capabilities,
                    timeout_s=self._timeout_s,
                    endpoint=self.endpoint,
                )
            return self._inner

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        """Answer once.

        Raises:
            CallFailure: this attempt gave no usable answer; `bad_request` where the prompt exceeds the context.
            ModelError: llama.cpp cannot load the file.
        """
        seeded = sampling if sampling.seed is not None else replace(sampling, seed=0)
        return await (await self.client()).complete(messages, seeded, sample)

    async def aclose(self) -> None:
        """Close the connection and, as the last user of the file, free the model's memory."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()
            await asyncio.to_thread(_release, self._path)


def _find(rest: str) -> tuple[Path, str, str]:
    """Path of the weights, name to send, and identity for the ledger key."""
    if weights := KNOWN.get(rest):
        return cached(weights) or fetch(weights), weights.name, f"sha256:{weights.sha256[:16]}"
    if not rest.endswith(".gguf"):
        from difflib import get_close_matches

        near = get_close_matches(rest, KNOWN, n=1) or list(KNOWN)
        raise ModelError(
            f"Unknown embedded model '{rest}'",
            f"Use {' or '.join(f'embedded/{one}' for one in near)}, or embedded/PATH.gguf",
        )
    path = Path(rest).expanduser()
    metadata_keys(path)
    return path.resolve(), path.stem, f"file:{fingerprint(path)}"
