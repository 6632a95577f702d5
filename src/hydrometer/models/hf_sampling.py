"""Sampling row by row inside one transformers batch: own temperature, top-p, seed and stops for every row.

Argmax of logits / T + Gumbel noise is a draw from softmax(logits / T) (the Gumbel-max trick), so greedy generation
over processed logits samples each row by a generator of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

if TYPE_CHECKING:
    from hydrometer.models.base import Sampling


class RowSampler(LogitsProcessor):  # type: ignore[misc, unused-ignore]
    """Turns logits (rows, vocabulary) into scores whose maximum is each row's draw.

    Args:
        samplings: parameters of each row.
        seeds: seed of each row.
        default_temperature: the model's own, for rows that ask for none; 1 where it has none.
    """

    def __init__(self, samplings: list[Sampling], seeds: list[int], default_temperature: float | None) -> None:
        fallback = default_temperature if default_temperature is not None else 1.0
        self._temperatures = torch.tensor([fallback if s.temperature is None else s.temperature for s in samplings])
        self._top_p = torch.tensor([1.0 if s.top_p is None else s.top_p for s in samplings])
        self._nucleus = bool((self._top_p < 1).any())
        self._wanted = [s.logprobs for s in samplings]
        self._most = max(1, *(wanted or 0 for wanted in self._wanted))
        self._seeds = seeds
        self._generators: list[torch.Generator] = []
        self._steps: list[list[tuple[float, list[tuple[int, float]]]]] = [[] for _ in samplings]

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 - the library's signature
        """Process one step; everything stays on the device of the logits."""
        logits = scores.float()
        if not self._generators:
            self._generators = [torch.Generator(logits.device).manual_seed(seed) for seed in self._seeds]
            self._temperatures = self._temperatures.to(logits.device)
            self._top_p = self._top_p.to(logits.device)
        drawn = self._draw(logits)
        if any(wanted is not None for wanted in self._wanted):
            self._note(logits, drawn.argmax(-1))
        return drawn

    def _draw(self, logits: Any) -> Any:
        greedy = (self._temperatures <= 0)[:, None]
        scaled = logits / torch.where(greedy[:, 0], 1.0, self._temperatures)[:, None]
        if self._nucleus:
            ordered, order = scaled.sort(dim=-1, descending=True)
            share = ordered.softmax(-1)
            outside = torch.zeros_like(share, dtype=torch.bool)
            outside.scatter_(1, order, share.cumsum(-1) - share >= self._top_p[:, None])
            scaled = scaled.masked_fill(outside & (self._top_p < 1)[:, None], float("-inf"))
        noise = torch.empty_like(logits)
        for row, generator in enumerate(self._generators):
            noise[row].uniform_(generator=generator)
        noise.clamp_(1e-20, 1 - 1e-7).log_().neg_().log_()
        return torch.where(greedy, logits, scaled - noise)

    def _note(self, logits: Any, chosen: Any) -> None:
        logprobs = logits.log_softmax(-1)
        values, tokens = (part.tolist() for part in logprobs.topk(min(self._most, logits.shape[-1])))
        own = logprobs.gather(1, chosen[:, None])[:, 0].tolist()
        for row, wanted in enumerate(self._wanted):
            if wanted is not None:
                top = list(zip(tokens[row], values[row], strict=True))[:wanted]
                self._steps[row].append((own[row], top))

    def logprobs(self, row: int) -> list[tuple[float, list[tuple[int, float]]]]:
        """Of each generated token of a row: its log-probability, and the likeliest tokens with theirs."""
        return self._steps[row]


class RowStops(StoppingCriteria):  # type: ignore[misc, unused-ignore]
    """Ends each row at its own token limit or stop string.

    Args:
        tokenizer: decodes the tail in which a stop string may end.
        stops: stop strings of each row.
        limits: most new tokens of each row.
        width: prompt length in tokens, padding included.
    """

    def __init__(self, tokenizer: Any, stops: list[tuple[str, ...]], limits: list[int], width: int) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._limits = limits
        self._width = width

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 - the library's signature
        """Which rows are done."""
        count = input_ids.shape[1] - self._width
        done = [count >= limit or self._stopped(input_ids[row], row) for row, limit in enumerate(self._limits)]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def _stopped(self, ids: Any, row: int) -> bool:
        if not self._stops[row]:
            return False
        tail = max(len(stop) for stop in self._stops[row]) + 8
        text = self._tokenizer.decode(ids[max(self._width, len(ids) - tail) :].tolist(), skip_special_tokens=True)
        return any(stop in text for stop in self._stops[row])
