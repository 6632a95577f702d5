"""`hydrometer ledger` on a real file: listing, export, prices."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from doubles import entry, failure, put
from typer.testing import CliRunner

from hydrometer.errors import InputError
from hydrometer.ledger import SqliteLedger
from hydrometer.models.base import Completion


def run(*args: str) -> Any:
    from hydrometer.commands.ledger import app

    return CliRunner().invoke(app, list(args))


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("hydrometer.commands.ledger.prices_path", lambda: tmp_path / "prices.toml")
    monkeypatch.setattr("hydrometer.budget.prices_path", lambda: tmp_path / "prices.toml")
    path = tmp_path / "l"
    put(
        path,
        entry("a", Completion("x", prompt_tokens=1000, completion_tokens=500, latency_s=2.0)),
        entry("b", Completion("y", prompt_tokens=3000, completion_tokens=None, latency_s=4.0)),
        entry("c", failure("timeout", "slow")),
    )
    return path


def test_ledger_json_is_one_document_with_runs_models_failures_and_cost(filled: Path) -> None:
    (filled.parent / "prices.toml").write_text('["test/*"]\ninput = 2.0\noutput = 10.0\n')
    result = run("--ledger", str(filled), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["models"] == [
        {
            "model": "test/m",
            "purpose": "subject",
            "calls": 3,
            "failed": 1,
            "tokens_in": 4000,
            "tokens_out": 500,
            "mean_latency_s": 3.0,
            "cost": pytest.approx(0.013),
        }
    ]
    assert document["failures"] == [{"model": "test/m", "failure": "timeout", "count": 1}]
    ((run_row),) = document["runs"]
    assert (run_row["status"], run_row["calls"], run_row["failed"], run_row["command"]) == ("done", 3, 1, "test")


def test_ledger_table_says_where_to_put_a_price(filled: Path) -> None:
    result = run("--ledger", str(filled))
    assert result.exit_code == 0
    assert "3 calls, 1 failed" in result.stdout
    assert "cost unknown" in result.stdout
    assert "prices.toml" in result.stdout


def test_export_holds_every_call(filled: Path) -> None:
    import polars as pl

    target = filled.parent / "calls.parquet"
    result = run("export", str(target), "--ledger", str(filled))
    assert result.exit_code == 0, result.output
    table = pl.read_parquet(target)
    assert table["text"].to_list() == ["x", "y", None]
    assert table["failure"].to_list() == [None, None, "timeout"]
    assert table["key"][0] == entry("a", Completion("")).key.hex().upper()
    assert json.loads(table["request"][0])["messages"] == [["user", "a"]]
    assert hashlib.sha256(table["request"][0].encode()).hexdigest() == table["key"][0].lower()


def test_export_takes_the_ledger_given_before_the_command(filled: Path) -> None:
    result = run("--ledger", str(filled), "export", str(filled.parent / "calls.parquet"))
    assert result.exit_code == 0, result.output
    assert (filled.parent / "calls.parquet").exists()


def test_export_of_an_empty_ledger_is_an_empty_table(tmp_path: Path) -> None:
    import polars as pl

    SqliteLedger(tmp_path / "l", command="test").close()
    assert run("export", str(tmp_path / "t.parquet"), "--ledger", str(tmp_path / "l")).exit_code == 0
    assert pl.read_parquet(tmp_path / "t.parquet").height == 0


def test_export_to_an_impossible_place_is_an_input_error(filled: Path) -> None:
    (filled.parent / "file").write_text("x")
    result = run("export", str(filled.parent / "file" / "t.parquet"), "--ledger", str(filled))
    assert isinstance(result.exception, InputError)
    result = run("export", str(filled.parent / "t.csv"), "--ledger", str(filled))
    assert isinstance(result.exception, InputError)


def test_prices_writes_a_commented_table_once(filled: Path) -> None:
    path = filled.parent / "prices.toml"
    assert run("prices").stdout == f"{path}\n"
    path.write_text(path.read_text() + '["a/b"]\ninput = 1\noutput = 1\n')
    run("prices")
    assert '["a/b"]' in path.read_text()


def test_prices_that_cannot_be_written_are_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("hydrometer.commands.ledger.prices_path", lambda: tmp_path / "file" / "prices.toml")
    assert isinstance(run("prices").exception, InputError)
