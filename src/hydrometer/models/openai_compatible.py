"""Every service and server that speaks the OpenAI format, through the openai SDK on its aiohttp transport.

The SDK carries the request (authentication, connections, proxies); its retries are off and its lenient response
models are not used: the body is read by `wire.parse_completion`, which costs less and says what is wrong.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from hydrometer.errors import ModelError
from hydrometer.models.base import CallFailure, Capabilities, Completion, Endpoint, Message, Sampling
from hydrometer.models.presets import Preset, forbid_when_offline, is_local, public_address
from hydrometer.models.transport import attempt, http_client
from hydrometer.models.wire import Dialect, parse_completion

if TYPE_CHECKING:
    from collections.abc import Mapping


class OpenAICompatible:
    """A model behind an OpenAI-compatible endpoint, by chat or, for base models, by raw completion.

    Args:
        name: `provider/name` as the user gave it.
        sent_name: model name on the wire.
        base_url: address up to and including `/v1`.
        key: the secret, empty for none.
        dialect: what the model takes.
        capabilities: what is known of it.
        timeout_s: limit of one attempt in seconds, over everything from connecting to the last byte.
        endpoint: stable description for the ledger key; default: kind and public address.
    """

    def __init__(
        self,
        name: str,
        sent_name: str,
        base_url: str,
        key: str,
        *,
        dialect: Dialect,
        capabilities: Capabilities,
        timeout_s: float = 120.0,
        endpoint: str | None = None,
    ) -> None:
        self.name = name
        self.sent_name = sent_name
        self.base_url = base_url
        self.capabilities = capabilities
        self.endpoint = endpoint or f"{'completions' if dialect.base else 'chat'} {public_address(base_url)}"
        self._secrets = (key,) if key else ()
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._path = "/completions" if dialect.base else "/chat/completions"
        self._client: Any = None
        self._response_type: Any = None
        self._sdk: Any = None

    def __repr__(self) -> str:
        return f"OpenAICompatible({self.name!r}, {self.endpoint!r})"

    def _connect(self) -> Any:
        """The SDK's client, made (and the SDK imported) at the first call."""
        if self._client is None:
            self._sdk = importlib.import_module("openai")
            http, self._response_type = http_client(self._sdk, self.base_url, self._timeout_s)
            self._client = self._sdk.AsyncOpenAI(
                base_url=self.base_url,
                api_key=self._secrets[0] if self._secrets else "none",
                max_retries=0,
                timeout=self._timeout_s,
                http_client=http,
            )
        return self._client

    async def complete(self, messages: tuple[Message, ...], sampling: Sampling, sample: int) -> Completion:
        """Answer once; a parameter that the model refuses is dropped for good and the call repeated.

        Raises:
            CallFailure: this attempt gave no usable answer.
        """
        while True:
            body, sent = self._dialect.body(self.sent_name, messages, sampling, sample)
            started = time.perf_counter()
            try:
                response = await self._post(self._path, body)
            except CallFailure as failure:
                if failure.status in {400, 422} and self._dialect.learn(failure.message, sent):
                    continue
                raise
            return parse_completion(
                response.content,
                response.headers.get("content-type", ""),
                sampling,
                base=self._dialect.base,
                latency_s=time.perf_counter() - started,
                dropped=self._dialect.dropped(sampling),
                secrets=self._secrets,
            )

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send one request; the answer to a success is returned, all else raised as `CallFailure`."""
        client = self._connect()
        return await attempt(
            client.post(path, cast_to=self._response_type, body=body),
            self._sdk,
            address=self.base_url,
            timeout_s=self._timeout_s,
            secrets=self._secrets,
        )

    async def post_json(self, url: str, body: Mapping[str, Any]) -> Any:
        """Ask the server something outside the protocol (its tokenizer, its chat template).

        Args:
            url: absolute address on the same server.
            body: JSON request.

        Returns:
            The decoded answer, or `None` where the server has no such thing.
        """
        try:
            return (await self._post(url, body)).json()
        except (CallFailure, ValueError):
            return None

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def from_preset(name: str, preset: Preset, sent_name: str, endpoint: Endpoint) -> OpenAICompatible:
    """Build a model of an OpenAI-compatible service.

    Args:
        name: `provider/name` as the user gave it.
        preset: the service.
        sent_name: the name after the prefix.
        endpoint: what the user adds or overrides.

    Raises:
        ModelError: no address, no key, or calls beyond this machine are forbidden.
    """
    url = preset.base_url(endpoint.base_url)
    forbid_when_offline(name, url)
    key, _ = preset.key()
    overridden = endpoint.base_url is not None
    local = preset.local or is_local(url)
    if not key and not local and not overridden:
        raise ModelError(f"No key for {preset.title}", f"Set the environment variable {' or '.join(preset.keys)}")
    rename = {k: v for k, v in preset.rename.items() if not (overridden and k == "max_tokens")}
    unsupported = () if overridden else preset.unsupported
    return OpenAICompatible(
        name,
        sent_name,
        url,
        key,
        dialect=Dialect(rename, unsupported, base=endpoint.base),
        capabilities=Capabilities(
            concurrency=preset.concurrency,
            seed="seed" not in unsupported,
            logprobs="logprobs" not in unsupported,
            base=endpoint.base,
            local=local,
        ),
        timeout_s=endpoint.timeout_s,
    )
