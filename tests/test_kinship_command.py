"""`hydrometer kinship` from files of answers to files of results, and what it says of input that cannot be used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from hydrometer.commands.kinship import kinship
from hydrometer.commands.population import app as population_app
from hydrometer.errors import InputError
from hydrometer.kinship.reference import build_population, read_population, write_population
from hydrometer.response_table import read_table

app = typer.Typer()
app.command()(kinship)

MODELS = ("teacher", "student", "cousin", *(f"alone-{number}" for number in range(1, 14)))
#: Models with the same number choose their words from one list.
HABIT = (0, 0, 0, *range(1, 14))


def answers(models: tuple[str, ...] = MODELS, prompts: int = 30, seed: int = 0) -> pl.DataFrame:
    """Answers that share what the prompt asks for; relatives moreover share most of their rare words."""
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        topic = [f"topic{prompt}word{at}" for at in range(20)]
        for model in models:
            number = MODELS.index(model)
            rare = [f"p{prompt}h{HABIT[number]}w{at}" for at in rng.choice(20, 14, replace=False)]
            own = [f"p{prompt}m{number}w{at}" for at in range(8)]
            words = [*rng.choice(topic, 15, replace=False), *rare, *own]
            rows.append({"model": model, "prompt_id": f"q{prompt}", "response": " ".join(rng.permutation(words))})
    return pl.DataFrame(rows)


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    path = tmp_path / "answers.parquet"
    answers().write_parquet(path)
    return path


def ran(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(*arguments: object) -> dict[str, Any]:
    found = json.loads(ran(*arguments, "--json").stdout)
    assert isinstance(found, dict)
    return found


def test_relatives_are_found_and_the_others_are_left_alone(responses: Path) -> None:
    found = told(responses)
    related = {
        frozenset((one["model"], relative["model"]))
        for one in found["relatives"]
        for relative in one["relatives"]
        if relative["verdict"] == "supported"
    }
    family = MODELS[:3]
    assert related == {frozenset((a, b)) for a in family for b in family if a != b}
    assert [sorted(one["members"]) for one in found["families"]["families"]] == [sorted(family)]
    number = found["population"]["effective_models"]
    assert 12 < number["low"] <= number["estimate"] <= number["high"] < 16


def test_the_evidence_is_what_relatives_and_nobody_else_said(responses: Path) -> None:
    found = told(responses)
    relatives = {relative["model"]: relative for relative in found["relatives"][-1]["relatives"]}
    shared = relatives["student"]["evidence"] + relatives["cousin"]["evidence"]
    words = [word for one in shared for phrase in one["phrases"] for word in phrase["text"].split()]
    assert len({one["prompt"] for one in shared}) >= 3
    assert words
    assert sum("h0w" in word for word in words) > len(words) / 2


def test_nothing_is_written_unless_asked(responses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    result = ran(responses)
    assert "16 models answer like" in result.stdout
    assert list(folder.iterdir()) == []


def test_the_folder_holds_what_the_terminal_says(responses: Path, tmp_path: Path) -> None:
    result = ran(responses, "--out", tmp_path / "out", "--figures", "none")
    assert (tmp_path / "out" / "kinship.txt").read_text(encoding="utf-8") == result.stdout
    table = pl.read_parquet(tmp_path / "out" / "pairs.parquet")
    assert len(table) == 120
    assert table.filter(pl.col("verdict") == "supported").height == 3
    assert not (tmp_path / "out" / "figures").exists()


def test_the_same_answers_and_seed_give_the_same_files(responses: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        ran(responses, "--out", tmp_path / name, "--figures", "none", "--seed", 3)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_without_intervals_the_relations_are_still_found(responses: Path) -> None:
    found = told(responses, "--no-intervals")
    assert found["verdicts"] == told(responses)["verdicts"]
    assert found["verdicts"]["supported"] == 3
    assert found["population"]["effective_models"]["low"] is None
    assert found["families"]["families"][0]["tie"]["high"] is None
    assert not re.search(r"\[[\d.-]+, ", ran(responses, "--no-intervals").stdout)
    first = found["relatives"][0]["relatives"][0]
    assert first["residual"]["low"] is None


def test_only_the_named_models_are_measured(responses: Path) -> None:
    found = told(responses, "--models", "teacher, alone-1,alone-2,alone-3")
    assert [one["model"] for one in found["relatives"]] == ["alone-1", "alone-2", "alone-3", "teacher"]


def test_two_models_are_measured_against_a_population(tmp_path: Path) -> None:
    rest = tmp_path / "rest.parquet"
    answers(MODELS[2:]).write_parquet(rest)
    write_population(tmp_path / "reference", build_population(read_table([rest])))
    two = tmp_path / "two.parquet"
    answers(MODELS[:2], seed=1).write_parquet(two)
    found = told(two, "--population", tmp_path / "reference")
    assert found["models"] == 2
    assert found["relatives"][0]["relatives"][0]["verdict"] == "supported"
    result = ran(two, "--population", tmp_path / "reference", "--out", tmp_path / "out")
    assert "2 models answer like" in result.stdout
    assert (tmp_path / "out" / "kinship.html").is_file()


def test_what_stands_beside_the_reference_is_said(tmp_path: Path) -> None:
    rest = tmp_path / "rest.parquet"
    answers(MODELS[1:]).write_parquet(rest)
    write_population(tmp_path / "reference", build_population(read_table([rest])))
    two = tmp_path / "two.parquet"
    answers(("teacher", "student")).write_parquet(two)
    found = told(two, "--population", tmp_path / "reference")["reference"]
    assert (found["models"], found["left_out"]) == (14, ["student"])
    nearest = {one["model"]: one["relatives"] for one in found["nearest"]}
    for name in ("teacher", "student"):
        assert nearest[name][0]["model"] == "cousin"
        assert nearest[name][0]["verdict"] == "supported"
        estimates = [one["residual"]["estimate"] for one in nearest[name]]
        assert len(estimates) == 3
        assert estimates == sorted(estimates, reverse=True)
    text = ran(two, "--population", tmp_path / "reference").stdout
    assert "2 models, 30 prompts shared with 14 reference models; of student, which the reference has too" in text
    assert re.search(r"\nteacher +cousin +0\.", text)


def test_texts_of_the_prompts_can_be_added(responses: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"prompt_id": f"q{at}", "instruction": f"Write of topic {at}."} for at in range(30)]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for given, held in (((), False), (("--prompts", prompts), True)):
        ran(responses, *given, "--out", tmp_path / "out", "--figures", "none")
        page = (tmp_path / "out" / "kinship.html").read_text(encoding="utf-8")
        assert ("Write of topic" in page) == held
        assert ("its text is not recorded" in page) != held
    with pytest.raises(InputError, match="is no file of prompts"):
        ran(responses, "--prompts", responses)


def test_few_prompts_are_inconclusive_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "few.parquet"
    answers(prompts=6).write_parquet(path)
    result = ran(path)
    assert "120 inconclusive: fewer than 10 prompts in common" in result.stdout
    assert "consistent with" not in result.stdout


def test_notes_on_the_answers_go_to_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "gaps.parquet"
    answers().slice(3).write_parquet(path)
    result = ran(path, "--json")
    assert "without an answer" in result.stderr
    assert all(line.startswith("Note: ") for line in result.stderr.splitlines())
    assert "without an answer" in json.loads(result.stdout)["notes"][0]


def test_one_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    answers(MODELS[:1]).write_parquet(path)
    with pytest.raises(InputError, match="1 model"):
        ran(path)


def test_models_without_a_common_prompt_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "apart.parquet"
    table = answers(MODELS[3:9])
    table.with_columns(prompt_id=pl.col("model") + pl.col("prompt_id")).write_parquet(path)
    with pytest.raises(InputError, match="No two models answered the same prompt"):
        ran(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--figures", "gif"), "--figures is 'gif'"),
        (("--models", ","), "no model is named"),
        (("--models", "teacher,student,nobody"), "nobody"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    responses: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ran(responses, "--out", tmp_path / "out", *arguments)


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(responses: Path) -> None:
    with pytest.raises(InputError, match="cannot hold the results"):
        ran(responses, "--out", responses)


def test_a_population_is_built_without_models_that_say_nothing(tmp_path: Path) -> None:
    table = answers(MODELS[2:])
    mute = table.filter(pl.col("model") == "cousin").with_columns(model=pl.lit("mute"), response=pl.lit("I cannot."))
    path, out = tmp_path / "answers.parquet", tmp_path / "reference"
    pl.concat([table, mute]).write_parquet(path)
    result = CliRunner().invoke(population_app, ["build", str(path), "--out", str(out)])
    assert result.exit_code == 0
    assert "Note: left out of the population: 'mute' (answers everything alike)" in result.stderr
    assert sorted(read_population(out).models) == sorted(MODELS[2:])
    assert "and 4 more (--json lists all)" in result.stdout
