"""One attempt through an SDK: its connections, its time limit, and its exceptions as typed failures.

The openai and anthropic SDKs are built alike; what holds for their transport is written here once.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import TYPE_CHECKING, Any

from hydrometer.models.base import CallFailure, FailureKind
from hydrometer.models.failures import classify, redact
from hydrometer.models.presets import is_local, public_address

if TYPE_CHECKING:
    from collections.abc import Awaitable

_CONNECTIONS = 4096  # the collector bounds what is in flight; the pool must not be a second, hidden bound


def http_client(sdk: Any, address: str, timeout_s: float) -> tuple[Any, Any]:
    """An aiohttp-backed client for an SDK, and the class of its responses.

    Args:
        sdk: the imported `openai` or `anthropic`.
        address: base address; proxies of the environment do not hold for this machine.
        timeout_s: limit of one attempt.
    """
    # The SDKs moved from httpx to httpx2: take the one that this SDK's client is made of.
    origin = next(base for base in sdk.DefaultAioHttpClient.__mro__ if base.__name__ == "AsyncClient")
    httpx: Any = importlib.import_module(origin.__module__.partition(".")[0])
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=60)
    client = sdk.DefaultAioHttpClient(limits=limits, timeout=timeout_s, trust_env=not is_local(address))
    return client, httpx.Response


async def attempt(
    request: Awaitable[Any], sdk: Any, *, address: str, timeout_s: float, secrets: tuple[str, ...]
) -> Any:
    """Await one request.

    Args:
        request: the SDK's coroutine.
        sdk: the imported SDK, for its exceptions.
        address: base address, for messages.
        timeout_s: limit over everything from connecting to the last byte.
        secrets: keys that must not appear in a message.

    Returns:
        What the SDK returned.

    Raises:
        CallFailure: the service refused, or no whole answer arrived.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await request
    except TimeoutError:
        raise CallFailure(FailureKind.TIMEOUT, f"no complete answer within {timeout_s:g} s") from None
    except sdk.APIStatusError as error:
        answer = error.response
        raise classify(answer.status_code, answer.headers, answer.text, now=time.time(), secrets=secrets) from None
    except sdk.APIConnectionError as error:
        raise _broken(error, address, secrets) from None
    except sdk.APIError as error:
        raise CallFailure(FailureKind.MALFORMED, redact(str(error), secrets)) from None


def _broken(error: BaseException, address: str, secrets: tuple[str, ...]) -> CallFailure:
    """Why a connection failed. The transport reports some disconnects as timeouts: the cause tells."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    words = redact(f"{public_address(address)}: {str(causes[-1]) or type(causes[-1]).__name__}", secrets)
    if any(type(cause).__name__ == "DecodingError" for cause in causes):
        return CallFailure(FailureKind.MALFORMED, words)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return CallFailure(FailureKind.TIMEOUT, words)
    return CallFailure(FailureKind.CONNECTION, words)
