"""`hydrometer models check`: what one call tells about a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hydrometer.models.base import CallFailure, Message, Model, Sampling
from hydrometer.models.identity_probe import default_system_prompt

if TYPE_CHECKING:
    from hydrometer.models.base import Completion

_MARKER = "albatross"
_SYSTEM = f"Whatever you are asked, your answer must contain the word {_MARKER}."
_QUESTION = "In one short sentence: what is the capital of France?"
_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What one call showed.

    Attributes:
        model: name as given.
        endpoint: where it was asked.
        answered: whether it answered.
        failure: kind and words of the failure, where it did not.
        text: the answer.
        latency_s: seconds of the call.
        prompt_tokens: tokens read, where the endpoint says.
        completion_tokens: tokens written, where the endpoint says.
        served_model: the name that the endpoint reports.
        base: whether it was asked as a base model.
        seed: whether the seed was taken; that it is obeyed, one call cannot show.
        logprobs: whether log-probabilities came back.
        system_prompt: whether the answer follows the system message.
        dropped: parameters that the endpoint refused.
        inserted_system_prompt: what the chat template adds on its own when there is no system message.
    """

    model: str
    endpoint: str
    answered: bool
    failure: str | None = None
    text: str = ""
    latency_s: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    served_model: str | None = None
    base: bool = False
    seed: bool | None = None
    logprobs: bool | None = None
    system_prompt: bool | None = None
    dropped: tuple[str, ...] = ()
    inserted_system_prompt: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {**asdict(self), "dropped": list(self.dropped)}


async def check(model: Model) -> CheckReport:
    """Make one call and report what came of it; a failed call is a report too.

    Args:
        model: the model; it is not closed.

    Raises:
        ModelError: a local model cannot be loaded.
    """
    messages = (Message("system", _SYSTEM), Message("user", _QUESTION))
    wanted = Sampling(temperature=0.0, max_tokens=_MAX_TOKENS, seed=1, logprobs=1)
    inserted = await default_system_prompt(model)
    try:
        done: Completion = await model.complete(messages, wanted, 0)
    except CallFailure as failure:
        return CheckReport(
            model.name,
            model.endpoint,
            answered=False,
            failure=str(failure),
            base=model.capabilities.base,
            inserted_system_prompt=inserted,
        )
    return CheckReport(
        model.name,
        model.endpoint,
        answered=True,
        text=done.text,
        latency_s=done.latency_s,
        prompt_tokens=done.prompt_tokens,
        completion_tokens=done.completion_tokens,
        served_model=done.served_model,
        base=model.capabilities.base,
        seed="seed" not in done.dropped,
        logprobs=done.logprobs is not None,
        system_prompt=_MARKER in done.text.lower(),
        dropped=done.dropped,
        inserted_system_prompt=inserted,
    )
