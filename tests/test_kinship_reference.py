"""Reference populations: two models against one are measured as within it; files that are not what they say."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from kinship_core_samples import population, table_of
from typer.testing import CliRunner

from hydrometer.commands import population as command
from hydrometer.errors import InputError
from hydrometer.kinship import reference
from hydrometer.kinship.pairs import pair_index, residual_pairs
from hydrometer.kinship.reference import Population, build_population, read_population, write_population
from hydrometer.kinship.relations import relate

ROWS = population(12, 40, copies={5: (2, 0.5)})
MINE = [row for row in ROWS if row[0] in {"m2", "m5"}]
OTHERS = [row for row in ROWS if row[0] not in {"m2", "m5"}]


@pytest.fixture(scope="module")
def built() -> Population:
    return build_population(table_of(OTHERS), 2)


def test_two_models_against_a_population_are_as_within_it(built: Population) -> None:
    whole, mine = residual_pairs(table_of(ROWS)), residual_pairs(table_of(MINE), population=built)
    assert mine.models[:2] == ("m2", "m5")
    assert set(mine.models) == set(whole.models)
    full = relate(whole)
    place = int(pair_index(np.array([2, 5]), 12)[0])
    near = relate(mine)
    assert (whole.models[2], whole.models[5]) == ("m2", "m5")
    assert near.verdict[0] == full.verdict[place] == "supported"
    assert near.estimate[0] == pytest.approx(full.estimate[place], abs=0.1)
    assert near.prompts[0] == 40


def test_a_population_that_keeps_all_features_changes_little() -> None:
    whole, mine = (
        residual_pairs(table_of(ROWS)),
        residual_pairs(table_of(MINE), population=build_population(table_of(OTHERS), 1)),
    )
    place = int(pair_index(np.array([2, 5]), 12)[0])
    full, near = whole.residual.sum(axis=0)[place] / 40, mine.residual.sum(axis=0)[0] / 40
    assert near == pytest.approx(full, abs=0.02)  # features of one reference answer alone are counted, not listed


def test_a_model_of_the_same_name_is_left_out_of_the_reference(built: Population) -> None:
    rows = [row for row in ROWS if row[0] in {"m0", "m5"}]
    assert sorted(residual_pairs(table_of(rows), population=built).models) == sorted(
        {"m0", "m5"} | {row[0] for row in OTHERS}
    )


def test_files_are_the_same_bytes_and_come_back_whole(built: Population, tmp_path: Path) -> None:
    write_population(tmp_path / "one", built)
    write_population(tmp_path / "two", built)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    back = read_population(tmp_path / "one")
    assert (back.models, back.prompts, back.texts, back.thinning) == (
        built.models,
        built.prompts,
        built.texts,
        built.thinning,
    )
    for left, right in zip(built.habits, back.habits, strict=True):
        for name in ("answer_model", "answer_sample", "features", "row", "column", "words", "alone"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
        np.testing.assert_allclose(left.word_length, right.word_length, rtol=1e-6)


def test_a_file_holds_no_text(built: Population, tmp_path: Path) -> None:
    write_population(tmp_path / "one", built)
    with zipfile.ZipFile(tmp_path / "one") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"m0" in content
    assert b"common" not in content


def test_prompts_are_known_by_text_before_id() -> None:
    texts = {f"p{number}": f"question {number}" for number in range(40)}
    known = build_population(table_of(OTHERS, texts), 2)
    turned = [(model, f"p{39 - int(prompt[1:])}", text) for model, prompt, text in MINE]
    names = {f"p{39 - number}": f"question {number}" for number in range(40)}
    right = residual_pairs(table_of(turned, names), population=known)
    assert right.common[:, 0].sum() == 40
    assert relate(right).verdict[0] == "supported"
    changed = residual_pairs(
        table_of(MINE, {name: text + (" anew" if name != "p0" else "") for name, text in texts.items()}),
        population=known,
    )
    assert changed.common[:, 0].sum() == 1


def test_only_shared_prompts_count(built: Population) -> None:
    more = [*MINE, ("m2", "new", "an answer of mine"), ("m5", "new", "an answer of mine")]
    assert residual_pairs(table_of(more), population=built).common[:, 0].sum() == 40
    with pytest.raises(InputError, match="none of the 1 prompts"):
        residual_pairs(table_of(more[-2:]), population=built)


def test_thinning_is_a_power_of_two() -> None:
    with pytest.raises(InputError, match="thinning is 3"):
        build_population(table_of(OTHERS), 3)


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04 not a zip", b"\x80\x04N."])
def test_what_is_no_population_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "population"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no reference population"):
        read_population(path)
    with pytest.raises(InputError, match="there is no file"):
        read_population(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["model", "row", "steps", "holders", "alone"])
def test_a_damaged_file_is_one_line(name: str, built: Population, tmp_path: Path) -> None:
    write_population(tmp_path / "good", built)
    with zipfile.ZipFile(tmp_path / "good") as archive, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        for item in archive.namelist():
            content = archive.read(item)
            bad.writestr(item, content[:-8] if item == f"{name}.npy" else content)
    with pytest.raises(InputError, match="damaged"):
        read_population(tmp_path / "bad")


def test_a_newer_version_is_one_line(built: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "VERSION", 2)
    write_population(tmp_path / "new", built)
    monkeypatch.undo()
    with pytest.raises(InputError, match="is of version 2"):
        read_population(tmp_path / "new")


def test_the_commands(tmp_path: Path) -> None:
    import polars as pl

    source = tmp_path / "responses.parquet"
    pl.DataFrame(OTHERS, schema=["model", "prompt_id", "response"], orient="row").write_parquet(source)
    file = tmp_path / "population"
    made = CliRunner().invoke(command.app, ["build", str(source), "--out", str(file), "--json"])
    assert made.exit_code == 0
    shown = CliRunner().invoke(command.app, ["show", str(file), "--json"])
    assert json.loads(made.stdout) == json.loads(shown.stdout)
    assert json.loads(shown.stdout)["prompts"] == 40
    assert "10 models, 40 prompts, 400 answers" in CliRunner().invoke(command.app, ["show", str(file)]).stdout
