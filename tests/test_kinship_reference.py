"""Reference populations: two models against one are measured as within it; files that are not what they say."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinship_core_samples import population, table_of
from numpy.typing import NDArray
from typer.testing import CliRunner

from hydrometer.commands import population as command
from hydrometer.errors import InputError
from hydrometer.kinship import reference
from hydrometer.kinship.pairs import pair_index, residual_pairs
from hydrometer.kinship.reference import Population, build_population, read_population, write_population
from hydrometer.kinship.relations import relate
from hydrometer.kinship_run import run as kinship

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
    anew = {name: text + (" anew" if name not in {"p0", "p7"} else "") for name, text in texts.items()}
    with pytest.raises(InputError, match=r"prompt id 'p1' \(and 37 other ids\) stands for another text in the popul"):
        residual_pairs(table_of(MINE, anew), population=known)


def test_prompts_that_are_matched_by_their_id_alone_are_told(built: Population) -> None:
    texts = {f"p{number}": f"question {number}" for number in range(40)}
    known = build_population(table_of(OTHERS, texts), 2)
    both, one = known.joined_to(table_of(MINE, texts)), known.joined_to(table_of(MINE))
    assert (both.shared, both.by_id, both.notes) == (40, 0, ())
    assert (one.shared, one.by_id) == (40, 40)
    (line,) = one.notes
    assert line.startswith("40 prompts of the population were matched by their ids alone: make sure")
    single = built.joined_to(table_of([*MINE[:1], ("m5", "new", "an answer")]))
    assert single.notes[0].startswith("1 prompt of the population was matched by its id alone")
    assert kinship(table_of(MINE), reference=known, intervals=False).notes[-1] == line


def test_only_shared_prompts_count(built: Population) -> None:
    more = [*MINE, ("m2", "new", "an answer of mine"), ("m5", "new", "an answer of mine")]
    assert residual_pairs(table_of(more), population=built).common[:, 0].sum() == 40
    with pytest.raises(InputError, match="share no prompt"):
        residual_pairs(table_of(more[-2:]), population=built)


def test_thinning_is_a_power_of_two() -> None:
    for thinning in (-1, 0, 3, 2048, 2**70):
        with pytest.raises(InputError, match=rf"thinning is {thinning}\. Give a power of two from 1 to 1024"):
            build_population(table_of(OTHERS), thinning)


def test_a_population_that_lists_no_feature_still_counts_them(tmp_path: Path) -> None:
    def rows(names: str, words: int) -> list[tuple[str, str, str]]:
        return [(name, "p", " ".join(f"{name}{number}" for number in range(words))) for name in names]

    write_population(tmp_path / "population", build_population(table_of(rows("abcdefgh", 90)), 128))
    known = read_population(tmp_path / "population")
    assert not any(len(one.features) for one in known.habits)
    assert known.habits[0].alone.any()
    assert residual_pairs(table_of(rows("xy", 90)), population=known).common[:, 0].sum() == 1
    nothing = build_population(table_of(rows("abcdefgh", 1)), 1024)
    assert residual_pairs(table_of(rows("xy", 1)), population=nothing).common[:, 0].sum() == 0


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


@contextmanager
def rewritten(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """The description and the arrays of a file, to be changed; it is then written with a checksum that fits."""
    with zipfile.ZipFile(path) as archive:
        arrays = {name: reference._member(archive, name).copy() for name in ("meta", *reference._ARRAYS)}
    meta = json.loads(arrays["meta"].tobytes())
    yield meta, arrays
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in {**arrays, "digest": reference._digest(arrays)}.items():
            with archive.open(f"{name}.npy", "w") as handle:
                np.lib.format.write_array(handle, array)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", float("inf")),
        ("version", None),
        ("thinning", float("inf")),
        ("thinning", 2.0),
        ("thinning", 3),
        ("thinning", 1 << 20),
        ("models", ["m"] * 10),
        ("models", [""]),
        ("models", list(range(10))),
        ("prompts", ["p"] * 40),
        ("texts", None),
    ],
)
def test_a_description_that_cannot_be_right_is_one_line(
    name: str, value: object, built: Population, tmp_path: Path
) -> None:
    write_population(tmp_path / "file", built)
    with rewritten(tmp_path / "file") as (meta, _):
        meta[name] = value
    with pytest.raises(InputError, match=rf"or it is damaged \(.*{name}"):
        read_population(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 10),
        ("model", 0),
        ("sample", 0),
        ("word_length", np.nan),
        ("word_length", -1),
        ("answers", 0),
        ("listed", 2**32 - 1),
        ("steps", 0),
        ("steps", 1),
        ("steps", 2**63),
        ("holders", 1),
        ("row", 10),
        ("row", 0),
    ],
)
def test_arrays_that_cannot_be_right_are_one_line(name: str, value: float, built: Population, tmp_path: Path) -> None:
    write_population(tmp_path / "file", built)
    with rewritten(tmp_path / "file") as (_, arrays):
        arrays[name][:] = value
        if name == "sample":
            arrays["model"][:] = 0
    with pytest.raises(InputError, match="cannot be right"):
        read_population(tmp_path / "file")


def test_a_rewritten_file_is_read_as_it_was(built: Population, tmp_path: Path) -> None:
    write_population(tmp_path / "file", built)
    with rewritten(tmp_path / "file"):
        pass
    assert read_population(tmp_path / "file").models == built.models


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_flipped_bit_goes_unseen(data: st.DataObject) -> None:
    whole = damageable()
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        with suppress(InputError):  # no other error; else a bit that says nothing of the content, such as a date
            write_population(path, read_population(path))
            assert path.read_bytes() == whole


@cache
def damageable() -> bytes:
    with TemporaryDirectory() as folder:
        write_population(Path(folder) / "file", build_population(table_of(population(4, 3)), 2))
        return (Path(folder) / "file").read_bytes()


def test_a_newer_version_is_one_line(built: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "VERSION", 3)
    write_population(tmp_path / "new", built)
    monkeypatch.setattr(reference, "VERSION", 1)
    write_population(tmp_path / "old", built)
    monkeypatch.undo()
    with pytest.raises(InputError, match="is of version 3"):
        read_population(tmp_path / "new")
    with pytest.raises(InputError, match=r"made with other features.*Build the population anew"):
        read_population(tmp_path / "old")


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
