"""The files of a kinship run: the agreed columns and keys, words no stronger than the verdicts, the same bytes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ice_samples import HOSTILE
from kinship_samples import kinship_of, model_names, pair_blocks, shared_evidence, some_kinship, with_copies

from hydrometer.errors import InputError
from hydrometer.report import kinship_files, kinship_text
from hydrometer.report.kinship_files import (
    document,
    families_document,
    formats_of,
    pairs_table,
    population_document,
    relatives_document,
    unrelated_range,
    view_of,
    write_kinship,
)
from hydrometer.report.kinship_text import summary
from hydrometer.report.kinship_words import family_name, figure, interval, p_value

COLUMNS = ["a", "b", "raw", "residual", "low", "high", "p", "p_corrected", "verdict", "prompts"]
FILES = [
    "families.json",
    "kinship.html",
    "kinship.txt",
    "pairs.parquet",
    "population.json",
    "relatives.json",
    "tree.nwk",
]


def test_the_table_of_pairs_has_each_unordered_pair_once_with_its_figures() -> None:
    found = some_kinship(12)
    table = pairs_table(found)
    assert table.columns == COLUMNS
    assert len(table) == 66
    assert len({frozenset(pair) for pair in table.select("a", "b").iter_rows()}) == 66
    row = table.row(by_predicate=(pl.col("a") == found.models[0]) & (pl.col("b") == found.models[3]), named=True)
    assert row["residual"] == found.relations.estimate[2]
    assert row["raw"] == found.raw[2]
    assert row["verdict"] == found.relations.verdict[2] == "supported"
    assert row["prompts"] == 90
    assert row["low"] < row["residual"] < row["high"]


def test_what_a_pair_does_not_have_is_null_and_never_zero() -> None:
    pairs = pair_blocks(model_names(8))
    pairs.residual[:, 0] = pairs.common[:, 0] = 0
    pairs.raw[0] = np.nan
    found = kinship_of(pairs)
    row = pairs_table(found).row(0, named=True)
    assert all(row[name] is None for name in ("raw", "residual", "low", "high", "p", "p_corrected"))
    assert row["verdict"] == "inconclusive"
    assert row["prompts"] == 0
    assert "1 inconclusive: fewer than 10 prompts in common" in summary(found)
    first = relatives_document(found)[0]
    assert found.models[1] not in [one["model"] for one in first["relatives"]]


def test_the_documents_have_the_agreed_keys() -> None:
    found = some_kinship(12)
    population = population_document(found)
    assert list(population)[:2] == ["effective_models", "monoculture"]
    assert set(population["effective_models"]) >= {"estimate", "low", "high"}
    assert population["effective_models"]["low"] <= population["effective_models"]["estimate"] <= 12
    families = families_document(found)
    assert sorted(name for family in families["families"] for name in family["members"]) == sorted(found.models[:8])
    whole = json.loads(document(found))
    assert whole["population"] == json.loads(json.dumps(population))
    assert sum(whole["verdicts"].values()) == 66
    assert whole["tree"].endswith(";")
    assert len(whole["relatives"]) == 12


def test_relatives_are_the_nearest_first_and_all_supported_ones() -> None:
    found = some_kinship(12)
    for number, one in enumerate(relatives_document(found)):
        estimates = [relative["residual"]["estimate"] for relative in one["relatives"]]
        assert estimates == sorted(estimates, reverse=True)
        assert len(estimates) >= 3
        supported = {relative["model"] for relative in one["relatives"] if relative["verdict"] == "supported"}
        family = found.models[number // 4 * 4 : number // 4 * 4 + 4] if number < 8 else ()
        assert supported == set(family) - {one["model"]}


def test_relatives_carry_the_prompts_and_phrases_behind_them() -> None:
    found = some_kinship(12)
    first, second = found.models[:2]
    documents = relatives_document(replace(found, evidence=(shared_evidence(first, second),)))
    for one, other in ((0, second), (1, first)):
        relatives = {relative["model"]: relative["evidence"] for relative in documents[one]["relatives"]}
        phrase = {"text": "a singular turn", "others": 1, "of": 9}
        assert relatives.pop(other) == [{"prompt": "q1", "contribution": 0.5, "phrases": [phrase]}]
        assert set(map(len, relatives.values())) == {0}


def test_the_range_of_unrelated_pairs_leaves_the_supported_ones_out() -> None:
    found = some_kinship(30)
    low, high = unrelated_range(found) or (0, 0)
    supported = np.asarray(found.relations.verdict) == "supported"
    rest = found.relations.estimate[~supported]
    assert low < 0 < high < found.relations.estimate[supported].min()
    assert np.mean((rest >= low) & (rest <= high)) == pytest.approx(0.95, abs=0.01)
    assert unrelated_range(some_kinship(5)) is None


def test_the_view_keeps_the_tree_and_the_families() -> None:
    found = some_kinship(30)
    view = view_of(found)
    assert sorted(branch.model for branch in view.tree if branch.model is not None) == list(range(30))
    assert sum(branch.length for branch in view.tree) == pytest.approx(float(found.tree.length.sum()))
    assert all(branch.parent < place for place, branch in enumerate(view.tree))
    assert [found.models[at] for at in view.order] == list(found.families.order)
    assert [[found.models[at] for at in members] for _, members in view.families] == [
        list(family.members) for family in found.families.families
    ]


# The folder


def test_a_run_leaves_all_files_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    pytest.importorskip("altair", reason="the extra `figures` is not installed")
    for name in ("one", "two"):
        assert write_kinship(tmp_path / name, kinship_of(pair_blocks(model_names(8))), ("svg",)) == []
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert sorted(str(name) for name in one if len(name.parts) == 1) == FILES
    figures = {name.stem for name in one if name.parts[0] == "figures"}
    assert figures == {
        "similarity",
        "tree",
        "map",
        "nearest",
        *(f"relatives-{at:02}-{name}" for at, name in enumerate(model_names(8), 1)),
    }
    assert one == two


def test_only_the_formats_that_were_asked_for_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("altair", reason="the extra `figures` is not installed")
    write_kinship(tmp_path, some_kinship(5), ("png", "pdf"))
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".png", ".pdf"}
    write_kinship(tmp_path / "none", some_kinship(5), ())
    assert not (tmp_path / "none" / "figures").exists()


def test_what_an_earlier_run_drew_is_removed_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("altair", reason="the extra `figures` is not installed")
    write_kinship(tmp_path, some_kinship(12), ("svg",))
    assert len(list((tmp_path / "figures").iterdir())) == 16
    (tmp_path / "figures" / "my-tree.svg").touch()
    write_kinship(tmp_path, some_kinship(5), ("png",))
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {name for name in names if name.endswith(".svg")} == {"my-tree.svg"}
    assert len(names) == 10
    write_kinship(tmp_path, some_kinship(5), ())
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["my-tree.svg"]


def test_estimates_have_no_fields_of_rates() -> None:
    def estimates(value: object) -> list[dict[str, object]]:
        parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        own = [value] if isinstance(value, dict) and "estimate" in value else []
        return own + [one for part in parts for one in estimates(part)]

    found = estimates(json.loads(document(some_kinship(12))))
    assert len(found) > 12
    assert all(set(one) == {"estimate", "low", "high", "n"} for one in found)


def test_without_the_extra_everything_but_the_figures_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinship_files, "can_draw", lambda: False)
    lines = write_kinship(tmp_path, some_kinship(5), ("svg",))
    assert lines == ["No figures were made: they need pip install 'hydrometer[figures]'"]
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert "pip install &#39;hydrometer[figures]&#39;" in (tmp_path / "kinship.html").read_text(encoding="utf-8")


def test_hostile_names_read_back_from_every_file(tmp_path: Path) -> None:
    names = [f"{at} {text}"[:400] for at, text in enumerate(HOSTILE)]
    notes = [f"{name} is empty" for name in names[:3]]
    evidence = tuple(shared_evidence(names[at], names[at + 1], names[at]) for at in (0, 4))
    found = kinship_of(pair_blocks(names), notes, evidence=evidence)
    write_kinship(tmp_path, found, ())
    expected = [name.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for name in names]
    table = pl.read_parquet(tmp_path / "pairs.parquet")
    assert set(table["a"]) | set(table["b"]) == set(expected)
    relatives = json.loads((tmp_path / "relatives.json").read_text(encoding="utf-8"))
    assert [one["model"] for one in relatives] == expected
    assert "\x1b" not in (tmp_path / "kinship.txt").read_text(encoding="utf-8")
    assert "\u202e" not in summary(found)
    assert json.loads(document(found))["notes"][0].startswith("0 <script>")


@pytest.mark.parametrize(
    ("text", "formats"), [("none", ()), ("svg", ("svg",)), (" png, svg,png", ("png", "svg")), ("pdf,", ("pdf",))]
)
def test_formats_are_read(text: str, formats: tuple[str, ...]) -> None:
    assert formats_of(text) == formats


@pytest.mark.parametrize("text", ["", "gif", "svg,none", ","])
def test_formats_that_are_not_known_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--figures is"):
        formats_of(text)


# Words


def test_the_summary_says_numbers_with_intervals_and_nothing_stronger_than_the_verdict() -> None:
    text = summary(some_kinship(12))
    assert re.search(
        r"12 models answer like at most about \d+(\.\d)? \[.*\] independent ones: at most, because with one", text
    )
    assert "12 pairs supported" in text
    assert "consistent with" in text
    assert not re.search(r"\bprove|\bcertain|\bstolen|\bcopied from", text)
    assert "90" in text
    assert re.search(r"llama-0-7b +llama-0-70b-instruct +yes", text)


def test_without_relations_nothing_is_claimed() -> None:
    text = summary(kinship_of(pair_blocks(model_names(6), tie=0.0)))
    assert "consistent with" not in text
    assert "6 of 6 models have no supported relative" in text


def test_of_many_models_only_the_related_are_listed() -> None:
    found = some_kinship(250)
    text = summary(found)
    assert len(text.splitlines()) < 120
    assert "more in relatives.json" in text
    unrelated = found.models[-1]
    assert f"\n{unrelated} " not in text


def test_without_intervals_the_reason_is_said() -> None:
    found = some_kinship(12)
    blank = np.full(66, np.nan)
    relations = replace(found.relations, low=blank, high=blank, verdict=("inconclusive",) * 66)
    text = summary(replace(found, relations=relations, intervals=False))
    assert "66 inconclusive: neither clearly beyond unrelated pairs" in text
    assert "95 % interval" not in text
    assert "nan" not in text


def test_the_first_line_answers_the_owner() -> None:
    first = summary(with_copies()).splitlines()[0]
    found = with_copies()
    verdicts = found.relations.verdict
    assert first == (
        f"12 names, 11 distinct models ({found.models[0]} is {found.models[1]} by the answers); "
        f"{verdicts.count('supported')} pairs supported, {verdicts.count('inconclusive')} undecided, "
        f"{verdicts.count('not supported')} not supported."
    )


def test_of_too_few_prompts_there_is_no_number_of_models() -> None:
    found = kinship_of(pair_blocks(model_names(8), blocks=9, prompts=1))
    text = summary(found)
    assert "How many of the 8 models are independent is inconclusive" in text
    assert "answer like" not in text
    assert "Monoculture" not in text
    population = population_document(found)
    assert population["effective_models"]["estimate"] is None
    assert population["monoculture"]["estimate"] is None
    assert population["without"] == []


def test_undecided_pairs_that_could_lower_the_number_are_counted() -> None:
    found = some_kinship(12)
    changed = found.population.model_copy(update={"undecided": 1, "upper_bound": False})
    assert kinship_text.headline(replace(found, population=changed)).endswith(
        "independent ones: 1 undecided pair counts as unrelated and could lower it."
    )


@given(st.lists(st.text("gpt-4o_x", min_size=1, max_size=12), min_size=2, max_size=6))
def test_a_family_is_named_by_what_its_names_begin_with(members: list[str]) -> None:
    name = family_name(members)
    begin, _, number = name.rpartition(" (")
    if begin:
        assert all(member.startswith(begin) for member in members)
        assert number == f"{len(members)})"
    else:
        assert name == f"{members[0]} and {len(members) - 1} more"


def test_a_family_without_a_common_beginning_is_named_by_one_member() -> None:
    assert family_name(["gpt4_0613", "gpt4_0314"]) == "gpt4 (2)"
    assert family_name(["text_davinci_001", "text_davinci_003"]) == "text_davinci (2)"
    assert family_name(["Meta-Llama-3-8B", "Meta-Llama-3.1-8B"]) == "Meta-Llama (2)"
    assert family_name(["Samba-CoE-v0.1", "Samba-CoE-v0.2-best-of-16"]) == "Samba-CoE (2)"
    assert family_name(["guanaco-7b", "guanaco-13b"]) == "guanaco (2)"
    assert family_name(["tulu-2", "pairrm-tulu-2"]) == "tulu-2 and 1 more"


def test_figures_in_words() -> None:
    estimate = some_kinship(12).population.effective_models
    assert figure(estimate.model_copy(update={"estimate": None})) == "undefined"
    assert figure(estimate.model_copy(update={"estimate": 1.0, "low": None})) == "1.00"
    assert [p_value(p) for p in (1e-300, 0.00001, 0.005, 0.25, float("nan"), None)] == [
        "< 0.000001",
        "< 0.0001",
        "0.0050",
        "0.250",
        "-",
        "-",
    ]
    assert interval(float("nan"), 1.0) == "-"
