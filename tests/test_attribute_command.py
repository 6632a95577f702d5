from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from hydrometer.commands.attribute import attribute
from hydrometer.commands.dose import dose
from hydrometer.errors import InputError

app = typer.Typer()
app.command("attribute")(attribute)
app.command("dose")(dose)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen models that say words of their own; the student takes half of its answers from `b`."""
    rng = np.random.default_rng(0)
    names = ["a", "b", "c", *(f"other{one}" for one in range(10))]
    said = {name: [" ".join(f"w{word}" for word in rng.integers(0, 2000, 30)) for _ in range(40)] for name in names}
    own = [" ".join(f"w{word}" for word in rng.integers(0, 2000, 30)) for _ in range(40)]
    said["student"] = [said["b"][one] if one % 2 else own[one] for one in range(40)]
    rows = [(name, str(number), text) for name, texts in said.items() for number, text in enumerate(texts)]
    file = tmp_path_factory.mktemp("recorded") / "answers.parquet"
    pl.DataFrame(rows, schema=["model", "prompt_id", "response"], orient="row").write_parquet(file)
    return file


def test_attribute_prints_a_document_of_its_findings(recorded: Path) -> None:
    call = ["attribute", str(recorded), "--students", "student", "--teachers", "a, b,c", "--json"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    assert (found["student"], found["verdict"], found["teacher"]) == ("student", "supported", "b")
    assert found["impostors"] == 10
    assert found["candidates"][0]["teacher"] == "b"
    assert {"teacher", "probability", "score", "low", "high"} <= set(found["candidates"][0])
    assert CliRunner().invoke(app, call).stdout == result.stdout


def test_attribute_tells_in_words(recorded: Path) -> None:
    result = CliRunner().invoke(app, ["attribute", str(recorded), "--students", "student", "--teachers", "a,b"])
    assert result.stdout.startswith("student: consistent with b (none of these: 0%)\n")


def test_attribute_without_the_teacher_names_nobody(recorded: Path) -> None:
    call = ["attribute", str(recorded), "--students", "student", "--teachers", "a,c", "--json"]
    (found,) = json.loads(CliRunner().invoke(app, call).stdout)
    assert found["teacher"] is None


def test_few_impostors_are_told_on_standard_error(recorded: Path) -> None:
    call = ["attribute", str(recorded), "--students", "student", "--teachers", "a,b", "--impostors", "other0,other1"]
    result = CliRunner().invoke(app, call)
    assert "Note: student: 2 impostors" in result.stderr
    assert result.stdout.startswith("student: inconclusive\n")


def test_attribute_refuses_a_name_that_is_not_there(recorded: Path) -> None:
    result = CliRunner().invoke(app, ["attribute", str(recorded), "--students", "studnt", "--teachers", "a"])
    assert isinstance(result.exception, InputError)
    assert "Did you mean student" in str(result.exception)


def test_dose_prints_a_document_of_its_finding(recorded: Path) -> None:
    call = ["dose", str(recorded), "--student", "student", "--teacher", "b", "--control", "a", "--json"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["student"], found["teacher"], found["control"], found["prompts"]) == ("student", "b", "a", 40)
    assert found["dose"]["low"] < found["dose"]["estimate"] < found["dose"]["high"]
    assert found["dose"]["estimate"] == pytest.approx(0.5, abs=0.05)


def test_dose_tells_in_words(recorded: Path) -> None:
    call = ["dose", str(recorded), "--student", "student", "--teacher", "b", "--control", "a"]
    result = CliRunner().invoke(app, call)
    assert "of its behaviour is accounted for by b rather than by a (40 prompts)" in result.stdout
