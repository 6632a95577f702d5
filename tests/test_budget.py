"""Prices and bounds on what a run may spend."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrometer.budget import PRICES_TEMPLATE, Budget, Price, load_prices, price_of
from hydrometer.errors import InputError, Stopped


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_price_is_per_million_tokens() -> None:
    assert Price(2.0, 10.0).of(500_000, 100_000) == pytest.approx(2.0)
    assert Price(2.0, 10.0).of(None, None) == 0


def test_exact_names_come_before_patterns_and_long_patterns_before_short_ones(tmp_path: Path) -> None:
    prices = load_prices(
        table(
            tmp_path,
            '["*"]\ninput = 1\noutput = 1\n["openai/*"]\ninput = 2\noutput = 2\n'
            '["openai/gpt-4o*"]\ninput = 3\noutput = 3\n["openai/gpt-4o-mini"]\ninput = 4\noutput = 4.5\n',
        )
    )
    assert price_of("openai/gpt-4o-mini", prices) == Price(4.0, 4.5)
    assert price_of("openai/gpt-4o-2024", prices) == Price(3.0, 3.0)
    assert price_of("openai/o1", prices) == Price(2.0, 2.0)
    assert price_of("groq/x", prices) == Price(1.0, 1.0)


def test_patterns_know_case_and_nothing_fits_no_pattern() -> None:
    prices = {"openai/gpt*": Price(1, 1)}
    assert price_of("openai/GPT", prices) is None
    assert price_of("groq/x", {}) is None


def test_what_runs_on_this_machine_is_free() -> None:
    for name in ("embedded/x", "replay/x", "hf/x"):
        assert price_of(name, {}) == Price(0, 0)


def test_no_table_is_no_prices_and_the_template_is_a_table(tmp_path: Path) -> None:
    assert load_prices(tmp_path / "none.toml") == {}
    assert load_prices(table(tmp_path, PRICES_TEMPLATE)) == {}
    uncommented = "\n".join(line.removeprefix("# ") for line in PRICES_TEMPLATE.splitlines()[3:])
    assert load_prices(table(tmp_path, uncommented)) == {"openai/gpt-4o-mini*": Price(0.15, 0.6)}


@pytest.mark.parametrize(
    "text",
    [
        '["a/b"]\ninput = 1\n',
        '["a/b"]\ninput = -1\noutput = 1\n',
        '["a/b"]\ninput = "1"\noutput = 1\n',
        '["a/b"]\ninput = nan\noutput = 1\n',
        '["a/b"]\ninput = inf\noutput = 1\n',
        '["a/b"]\ninput = true\noutput = 1\n',
        '"a/b" = 3\n',
        "[a.b]\ninput = 1\noutput = 1\n",
    ],
)
def test_a_bad_price_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"prices.toml: \[a(/b)?\] needs `input` and `output`"):
        load_prices(table(tmp_path, text))


@pytest.mark.parametrize("content", [b"not toml at all", b"\xff\xfe", b'["a"]\ninput = 1\ninput = 2\n'])
def test_a_table_that_cannot_be_read_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "prices.toml").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        load_prices(tmp_path / "prices.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load_prices(tmp_path)


@pytest.mark.parametrize("bad", [-1, float("nan")])
def test_a_bound_that_bounds_nothing_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="--max-cost"):
        Budget(max_cost=bad)
    with pytest.raises(InputError, match="--max-calls is -1"):
        Budget(max_calls=-1)


def test_a_bound_on_cost_needs_a_price_for_every_model() -> None:
    prices = {"openai/*": Price(1, 1)}
    Budget(max_cost=1.0, prices=prices).check_priced(["openai/a", "embedded/b"])
    Budget(prices=prices).check_priced(["groq/c"])
    with pytest.raises(InputError, match="groq/c has no price"):
        Budget(max_cost=1.0, prices=prices).check_priced(["openai/a", "groq/c"])


def test_the_bound_on_calls_is_exact() -> None:
    budget = Budget(max_calls=2)
    budget.reserve()
    budget.reserve()
    with pytest.raises(Stopped, match="budget of 2 calls") as stop:
        budget.reserve()
    assert "larger --max-calls" in stop.value.hint
    assert budget.sent == 2


def test_the_bound_on_cost_counts_what_is_in_flight() -> None:
    budget = Budget(max_cost=1.0, prices={"a/b": Price(1.0, 0.0)})
    budget.reserve()
    budget.settle("a/b", 300_000, 0)
    budget.reserve()
    budget.reserve()
    with pytest.raises(Stopped, match=r"budget of 1 after 0\.3"):
        budget.reserve()
    budget.settle("a/b", 0, 0)
    budget.reserve()


def test_a_failed_call_costs_nothing_and_moves_no_mean() -> None:
    budget = Budget(max_cost=1.0, prices={"a/b": Price(1.0, 0.0)})
    for _ in range(5):
        budget.reserve()
        budget.settle("a/b", None, None)
    budget.reserve()
    budget.settle("a/b", 400_000, 0)
    assert budget.cost == pytest.approx(0.4)
    budget.reserve()
