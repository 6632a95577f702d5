"""What a run may spend, and what calls cost.

Prices are the user's: a TOML file, one table per model name, in currency units per million tokens. hydrometer ships
none, because a price list that is out of date is worse than none.
"""

from __future__ import annotations

import fnmatch
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hydrometer.errors import InputError, Stopped

PRICES_TEMPLATE = """\
# Prices for `hydrometer ledger` and `--max-cost`, per million tokens, in any one currency.
# The table's name is a model as you name it to hydrometer; * stands for anything.
#
# ["openai/gpt-4o-mini*"]
# input = 0.15
# output = 0.60
"""


@dataclass(frozen=True, slots=True)
class Price:
    """Cost per million tokens read (`input`) and written (`output`)."""

    input: float
    output: float

    def of(self, prompt_tokens: int | None, completion_tokens: int | None) -> float:
        """Cost of one call."""
        return ((prompt_tokens or 0) * self.input + (completion_tokens or 0) * self.output) / 1e6


def prices_path() -> Path:
    """Where the user's price table is: `prices.toml` in the configuration folder of the platform."""
    import platformdirs

    return Path(platformdirs.user_config_dir("hydrometer")) / "prices.toml"


def load_prices(path: Path | None = None) -> dict[str, Price]:
    """The price table; empty where the file does not exist.

    Raises:
        InputError: the file is not TOML, or a price is missing, negative or not a number.
    """
    path = path or prices_path()
    if not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"The price table {path} cannot be read: {error}", "Mend it, or delete it.") from error
    prices = {}
    for name, table in tables.items():
        values = [table.get(side) if isinstance(table, dict) else None for side in ("input", "output")]
        if any(type(value) not in {int, float} or not 0 <= float(value or 0) < math.inf for value in values):
            raise InputError(f"{path}: [{name}] needs `input` and `output`, numbers of at least 0")
        prices[name] = Price(float(values[0] or 0), float(values[1] or 0))
    return prices


def price_of(model: str, prices: dict[str, Price]) -> Price | None:
    """The price of a model: the exact name first, then the longest pattern that matches."""
    if model in prices:
        return prices[model]
    if model.startswith(("embedded/", "replay/", "hf/", "scripted/")):
        return Price(0, 0)
    matching = [pattern for pattern in prices if fnmatch.fnmatchcase(model, pattern)]
    return prices[max(matching, key=len)] if matching else None


class Budget:
    """Counts what this run sends and spends; answers from the ledger are free.

    Args:
        max_calls: calls that may be sent, retries included; None for no bound.
        max_cost: what may be spent, in the currency of the price table; None for no bound.
        prices: the price table.

    Raises:
        InputError: a negative bound.
    """

    def __init__(
        self, max_calls: int | None = None, max_cost: float | None = None, prices: dict[str, Price] | None = None
    ) -> None:
        for name, value in (("--max-calls", max_calls), ("--max-cost", max_cost)):
            if value is not None and not value >= 0:
                raise InputError(f"{name} is {value}", "Give a number of at least 0.")
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.prices = prices or {}
        self.sent = 0
        self.cost = 0.0
        self._answered = 0
        self._in_flight = 0

    def check_priced(self, models: list[str]) -> None:
        """Refuse a cost bound that cannot be kept because a model has no price.

        Raises:
            InputError: naming the model and the file to put its price in.
        """
        unpriced = [model for model in models if price_of(model, self.prices) is None]
        if self.max_cost is not None and unpriced:
            raise InputError(
                f"--max-cost is given, but {unpriced[0]} has no price",
                f"Add it to {prices_path()} (`hydrometer ledger prices` writes a commented one).",
            )

    def reserve(self) -> None:
        """Claim one call.

        Raises:
            Stopped: the bound is reached. The bound on cost counts calls in flight at the mean cost so far.
        """
        if self.max_calls is not None and self.sent >= self.max_calls:
            raise Stopped(
                f"Stopped at the budget of {self.max_calls} calls; every answer so far is in the ledger",
                "Run the same command with a larger --max-calls to go on from here.",
            )
        mean = self.cost / self._answered if self._answered else 0.0
        if self.max_cost is not None and self.cost + mean * (self._in_flight + 1) > self.max_cost:
            raise Stopped(
                f"Stopped at the budget of {self.max_cost:g} after {self.cost:.4g}; every answer is in the ledger",
                "Run the same command with a larger --max-cost to go on from here.",
            )
        self.sent += 1
        self._in_flight += 1

    def settle(self, model: str, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Book a call that came back, with or without tokens."""
        self._in_flight -= 1
        price = price_of(model, self.prices)
        if price is not None:
            self.cost += price.of(prompt_tokens, completion_tokens)
        if prompt_tokens is not None or completion_tokens is not None:
            self._answered += 1
