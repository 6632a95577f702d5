"""Finds the system prompt that a chat template slips in when no system message is given.

Such a prompt (Qwen2.5: "You are Qwen, created by Alibaba Cloud ...") states an identity, so it changes what an
identity question measures. It is visible only where the template can be rendered: here, and on servers that offer
`/apply-template` (llama.cpp) or `/tokenize` and `/detokenize` (vLLM). Hosted services show nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hydrometer.models.openai_compatible import OpenAICompatible

if TYPE_CHECKING:
    from hydrometer.models.base import Model

_MARK = "Qx7question"
_TAG = re.compile(
    r"<\|?[\w/ .:-]{1,40}\|?>|<｜[^｜]{1,40}｜>|<</?SYS>>|\[/?(?:INST|SYS|SYSTEM_PROMPT)\]"
    r"|\b(?:system|user)\s*\n|###\s*(?:User|Human|Instruction):",
    re.IGNORECASE,
)


@runtime_checkable
class _Renders(Protocol):
    def render(self, messages: list[dict[str, str]]) -> str | None: ...


async def default_system_prompt(model: Model) -> str | None:
    """The text that the model's chat template adds on its own when no system message is given.

    Args:
        model: any model; it is not asked anything, only its template is rendered.

    Returns:
        The inserted text, or `None` where there is none, or none can be seen (base models, hosted services).
    """
    if model.capabilities.base or not model.capabilities.local:
        return None
    messages = [{"role": "user", "content": _MARK}]
    rendered: str | None = None
    if isinstance(model, _Renders):
        rendered = model.render(messages)
    elif isinstance(model, OpenAICompatible):
        rendered = await _render_remote(model, messages)
    elif (client := getattr(model, "client", None)) is not None:
        rendered = await _render_remote(await client(), messages)
    return inserted_text(rendered) if isinstance(rendered, str) else None


def inserted_text(rendered: str) -> str | None:
    """What stands before the user's turn in a rendered template, without the template's own tags.

    Args:
        rendered: a conversation of one user message, rendered.

    Returns:
        The text, or `None` where there are only tags.
    """
    before, found, _ = rendered.partition(_MARK)
    text = " ".join(_TAG.sub(" ", before).split()) if found else ""
    return text if re.search(r"\w{2,} \w{2,}", text) else None


async def _render_remote(client: OpenAICompatible, messages: list[dict[str, str]]) -> str | None:
    root = client.base_url.removesuffix("/v1")
    answer: Any = await client.post_json(f"{root}/apply-template", {"messages": messages})
    if isinstance(answer, dict) and isinstance(answer.get("prompt"), str):
        return str(answer["prompt"])
    answer = await client.post_json(f"{root}/tokenize", {"model": client.sent_name, "messages": messages})
    if not (isinstance(answer, dict) and isinstance(answer.get("tokens"), list)):
        return None
    tokens = answer["tokens"]
    answer = await client.post_json(f"{root}/detokenize", {"model": client.sent_name, "tokens": tokens})
    return str(answer["prompt"]) if isinstance(answer, dict) and isinstance(answer.get("prompt"), str) else None
