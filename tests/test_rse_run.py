"""Whole runs of response similarity: live, recorded, judged; several turns; and every bad input as one clear line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from doubles import Answer, Double, collector_at, failure, quick
from faulty_server import FaultyServer, faulty
from typer.testing import CliRunner

from hydrometer.commands.rse import rse
from hydrometer.errors import HydrometerError, InputError
from hydrometer.identity.cards import load_cards
from hydrometer.models.base import Sampling
from hydrometer.progress import Progress
from hydrometer.prompts.sets import ConversationPrompt, load_own
from hydrometer.rse import RsePlan, RseResult, all_prompts, run
from hydrometer.rse_judges import kinship_warnings
from hydrometer.session import Session

__all__ = ["faulty"]

PROMPTS = all_prompts(load_own())[::3]
GRADE = "Alike. <style>2</style><logic>1</logic><content>1</content><overall>{}</overall>"


def session_of(folder: Path, *models: Double) -> Session:
    return Session(collector_at(folder, quick()), Progress(), {model.name: model for model in models})


def done(folder: Path, plan: RsePlan, *models: Double) -> RseResult:
    session = session_of(folder, *models)
    try:
        return session.run(lambda: run(session, plan))
    finally:
        session.collector.ledger.close()  # type: ignore[attr-defined]


def plan_of(**changes: object) -> RsePlan:
    base: dict[str, object] = {
        "subjects": ("test/a",),
        "reference": "test/r",
        "prompts": PROMPTS,
        "sampling": Sampling(),
    }
    return RsePlan(**{**base, **changes})  # type: ignore[arg-type]


def talks(name: str) -> Double:
    """A model with its own words, which depend on the prompt."""
    return Double(lambda text, _: f"{name} thinks: {text[::-1][:60]} because of {len(text)}.", f"test/{name}", name)


def judge(answer: Answer | None = None, name: str = "test/judge") -> Double:
    """Gives 4, or 1 where the two answers hold different words."""

    def script(text: str, _: int) -> Answer:
        if answer is not None:
            return answer
        one, two = (re.findall(rf"<<<ANSWER {side}.*?\n(.*?)\n", text) for side in ("ONE", "TWO"))
        return GRADE.format(4 if one and two and one[0][-8:] == two[0][-8:] else 1)

    return Double(script, name, name)


def test_the_built_in_estimate_of_live_models(tmp_path: Path) -> None:
    same, other, reference = talks("r"), talks("b"), talks("r")
    same.name, same.endpoint = "test/a", "a"
    plan = plan_of(subjects=("test/a", "test/b"), ceiling=True)
    found, worse = done(tmp_path, plan, same, other, reference).findings
    assert found.overall.estimate == pytest.approx(5)
    assert worse.overall.estimate is not None
    assert worse.overall.estimate < 4.9
    assert found.judge == "builtin"
    assert found.judging is None
    assert set(found.by_set) == {"reasoning", "mathematics", "conversation"}
    assert found.ceiling is not None
    assert found.ceiling.estimate == pytest.approx(5)
    assert any("same words" in warning for warning in found.warnings)


def test_the_reference_as_a_subject_answers_anew(tmp_path: Path) -> None:
    moody = Double(lambda text, attempt: f"take {attempt} on {text}" + " more" * attempt, "test/r", "r")
    (found,) = done(tmp_path, plan_of(subjects=("test/r",), prompts=PROMPTS[:8]), moody).findings
    assert found.overall.estimate is not None
    assert found.overall.estimate < 5
    assert moody.calls == 2 * sum(len(prompt.turns) for prompt in PROMPTS[:8])


@pytest.mark.parametrize("history", ["own", "reference", "recorded"])
def test_several_turns_use_the_history_that_was_asked_for(tmp_path: Path, history: str) -> None:
    prompt = ConversationPrompt("1", "s", ("first", "second"), recorded=("RECORDED",))
    seen: dict[str, list[str]] = {"a": [], "r": []}

    class Remembers(Double):
        async def complete(self, messages, sampling, sample):  # type: ignore[no-untyped-def]
            if len(messages) > 1:
                seen[self.sent_name].append(messages[1].content)
            return await super().complete(messages, sampling, sample)

    models = [
        Remembers(lambda text, _: f"a on {text}", "test/a", "a"),
        Remembers(lambda text, _: f"r on {text}", "test/r", "r"),
    ]
    result = done(tmp_path, plan_of(prompts=(prompt,), history=history), *models)
    expected = {
        "own": {"a": "a on first", "r": "r on first"},
        "reference": {"a": "r on first", "r": "r on first"},
        "recorded": {"a": "RECORDED", "r": "RECORDED"},
    }
    assert {name: texts[0] for name, texts in seen.items()} == expected[history]
    assert result.findings[0].overall.n == 1


def test_a_judged_run_with_floor_both_orders_and_two_judges(tmp_path: Path) -> None:
    same = talks("r")
    same.name, same.endpoint = "test/a", "a"
    plan = plan_of(judges=("test/judge", "test/second"), both_orders=True, floor_pairs=10)
    judges = judge(), judge(GRADE.format(3), "test/second")
    (found,) = done(tmp_path, plan, same, talks("r"), *judges).findings
    assert found.overall.estimate == pytest.approx(3.5)
    assert found.style.estimate == 2
    assert found.floor is not None
    assert found.floor.estimate == pytest.approx(2)
    assert found.floor.n == 10
    assert found.judging is not None
    assert found.judging.position is not None
    assert found.judging.position.estimate == 0
    assert found.judging.means == {"test/judge": 4, "test/second": 3}
    assert list(found.judging.kappa) == ["test/judge | test/second"]
    assert any("test/second gave 3 to every pair" in warning for warning in found.warnings)


def test_a_judge_of_one_maker_with_a_side_is_named() -> None:
    roles = {"replay/f.parquet#gpt-4o-2024-05-13": "reference", "mistral/mistral-large": "subject"}
    (warning,) = kinship_warnings(["openai/gpt-4o-mini"], roles, load_cards())
    assert "the reference replay/f.parquet#gpt-4o-2024-05-13" in warning
    assert "mistral" not in warning
    assert kinship_warnings(["test/unknown"], roles, load_cards()) == []


def test_a_judge_that_errs_is_asked_again_and_then_left_unscored(tmp_path: Path) -> None:
    never = Double(lambda text, attempt: "No.", "test/judge", "judge")
    plan = plan_of(prompts=PROMPTS[:6], judges=("test/judge",), floor_pairs=0)
    (found,) = done(tmp_path / "never", _mkdir(tmp_path / "never", plan), talks("a"), talks("r"), never).findings
    assert found.overall.estimate is None
    assert (found.unscored, found.failed) == (6, 0)
    assert never.calls == 18

    def later(text: str, _: int) -> Answer:
        return GRADE.format(2) if "did not end" in text else "Hm."

    patient = Double(later, "test/judge", "judge")
    (found,) = done(tmp_path / "later", _mkdir(tmp_path / "later", plan), talks("a"), talks("r"), patient).findings
    assert found.overall.estimate == 2
    assert found.unscored == 0


def _mkdir(folder: Path, plan: RsePlan) -> RsePlan:
    folder.mkdir()
    return plan


def test_failed_answers_are_counted_and_never_scored(tmp_path: Path) -> None:
    def sometimes(text: str, attempt: int) -> Answer:
        return failure("content_filter") if len(text) % 2 else "An answer."

    (found,) = done(tmp_path, plan_of(), Double(sometimes, "test/a", "a"), talks("r")).findings
    assert found.failed > 0
    assert found.failed + found.overall.n == len(PROMPTS)
    assert any("no answer to" in warning for warning in found.warnings)


def test_a_second_run_makes_no_calls_and_gives_the_same_bytes(tmp_path: Path) -> None:
    plan = plan_of(judges=("test/judge",), floor_pairs=5)
    texts, calls = [], []
    for _ in range(2):
        models = talks("a"), talks("r"), judge()
        texts.append([one.model_dump_json() for one in done(tmp_path, plan, *models).findings])
        calls.append(sum(model.calls for model in models))
    assert texts[0] == texts[1]
    assert calls[0] > 0
    assert calls[1] == 0


def test_plans_that_compare_a_model_with_itself_are_refused() -> None:
    for changes, words in (
        ({"controls": ("test/a",)}, "control test/a is also a subject"),
        ({"controls": ("test/r",)}, "also the reference"),
        ({"subjects": ("test/a", "test/a")}, "named twice"),
    ):
        with pytest.raises(InputError, match=words):
            plan_of(**changes)


def recording(folder: Path) -> Path:
    rows = []
    for model in ("ref", "near", "far", "other"):
        for i in range(12):
            words = [f"{'far' if model in ('far', 'other') else 'ref'}{i}x{j}" for j in range(30)]
            text = " ".join(words[: 25 if model == "near" else 30])
            rows.append({"model": model, "prompt_id": str(i), "response": text + f" {model}", "prompt": f"About {i}?"})
    rows.append({"model": "stranger", "prompt_id": "x", "response": "Hm", "prompt": "Else?"})
    pl.DataFrame(rows).write_parquet(folder / "all.parquet")
    return folder / "all.parquet"


def command(*words: str) -> tuple[str, HydrometerError | None]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(rse)
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, HydrometerError):
        raise result.exception
    return result.stdout, result.exception


def test_recorded_models_from_one_file_to_json_rows_and_folder(tmp_path: Path) -> None:
    path = recording(tmp_path)
    names = [f"replay/{path}#{name}" for name in ("near", "far", "ref", "other")]
    out, error = command(
        *names[:2], "--reference", names[2], "--controls", names[3], "--json", "--rows", str(tmp_path / "rows.parquet"),
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert error is None
    near, far = json.loads(out)
    keys = {"subject", "reference", "judge", "overall", "style", "logic", "content", "by_set", "floor", "ceiling"}
    assert keys | {"normalised", "controls", "unscored", "failed"} <= set(near)
    assert set(near["overall"]) == {"estimate", "low", "high", "n"}
    assert near["overall"]["estimate"] > far["overall"]["estimate"]
    assert near["controls"]["percentile"] == 1
    assert near["overall"]["n"] == 12
    rows = pl.read_parquet(tmp_path / "rows.parquet")
    assert rows.height == 3 * 12
    assert rows.filter(pl.col("subject") == names[0])["overall"].mean() == pytest.approx(near["overall"]["estimate"])
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "rse.json",
        "comparisons.json",
        "rse.txt",
        "rows.parquet",
    }
    assert json.loads((tmp_path / "out" / "rse.json").read_text()) == [near, far]
    table, _ = command(*names[:2], "--reference", names[2])
    assert "an estimate" in table
    assert table.index("near") < table.index("far")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["FILE#stranger", "--reference", "FILE#ref"], "answers none of the 12 prompts"),
        (["FILE#nera", "--reference", "FILE#ref"], "Did you mean near"),
        (["FILE#near", "--reference", "FILE#ref", "--controls", "FILE#near"], "also a subject"),
        (["FILE#near", "--reference", "FILE#ref", "--order", "twice"], "--order is 'twice'"),
        (["FILE#near", "--reference", "FILE#ref", "--history", "mine"], "--history is 'mine'"),
        (["FILE#near", "--reference", "FILE#ref", "--ceiling-at", "9"], "ceiling is 9"),
        (["FILE#near", "--reference", "FILE#ref", "--ceiling"], "holds no second answers"),
        (["FILE#near", "--reference", "FILE#ref", "--judges", "builtin,x/y"], "never mixed"),
        (["FILE#near", "--reference", "FILE#ref", "--prompts", "nowhere"], "no prompt set or file"),
        (["FILE#near", "--reference", "FILE#ref", "--prompts", "own"], "answers none of the 126"),
        (["FILE#near", "--reference", "FILE#ref", "--rows", "rows.csv"], "does not end in .parquet"),
        (["FILE#none", "--reference", "FILE#ref", "--rows", "rows.csv"], "does not end in .parquet"),
        (["FILE#near", "--reference", "FILE#ref", "--judges", " ,"], "--judges names no model"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, words: list[str], message: str) -> None:
    path = recording(tmp_path)
    _, error = command(*(word.replace("FILE", f"replay/{path}") for word in words))
    assert error is not None
    assert message in str(error)
    assert "\n" not in str(error)


def test_a_file_with_empty_answers_on_one_side_is_counted(tmp_path: Path) -> None:
    rows = [
        {"model": m, "prompt_id": str(i), "response": "" if m == "s" and i < 2 else f"{m} {i} says so"}
        for m in "sr"
        for i in range(6)
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "f.parquet")
    out, error = command(f"replay/{tmp_path}/f.parquet#s", "--reference", f"replay/{tmp_path}/f.parquet#r", "--json")
    assert error is None
    (found,) = json.loads(out)
    assert (found["failed"], found["overall"]["n"]) == (2, 4)
    assert any("no answer to 2 of 6" in warning for warning in found["warnings"])
    assert any("holds no prompts" in warning for warning in found["warnings"])
    assert np.isfinite(found["overall"]["estimate"])


def test_a_reference_that_says_the_same_to_everything_has_no_scale(tmp_path: Path) -> None:
    rows = [
        {"model": m, "prompt_id": str(i), "prompt": f"About {i}?", "response": "Yes" if m == "r" or i % 2 else "No"}
        for m in "sr"
        for i in range(40)
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "f.parquet")
    out, error = command(f"replay/{tmp_path}/f.parquet#s", "--reference", f"replay/{tmp_path}/f.parquet#r", "--json")
    assert "nearly the same to different prompts" in str(error)
    (found,) = json.loads(out)
    assert found["overall"]["estimate"] is None
    assert (found["unscored"], found["failed"]) == (40, 0)


def test_names_from_files_cannot_drive_the_terminal(tmp_path: Path) -> None:
    path = recording(tmp_path)
    rows = [{"prompt_id": str(i), "prompt": f"About {i}?", "set": f"s{i % 2}\x1b[2J\u202e"} for i in range(12)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    names = f"replay/{path}#near", "--reference", f"replay/{path}#ref"
    table, error = command(*names, "--prompts", str(tmp_path / "p.jsonl"))
    assert error is None
    assert "s0‹U+001B›[2J" in table
    assert not re.search("[\x1b\u202e]", table)


def test_a_judge_that_cannot_be_reached_is_told_with_its_reason(
    tmp_path: Path, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    path = recording(tmp_path)
    _, error = command(
        f"replay/{path}#near", "--reference", f"replay/{path}#ref", "--judge", "openai/auth",
        "--base-url", faulty.url, "--ledger", str(tmp_path / "ledger.db"), "--quiet",
    )  # fmt: skip
    assert "openai/auth gave no grade (12 pairs unscored)" in str(error)
    assert "401" in str(error)


def test_a_judge_without_grades_among_several_is_named(tmp_path: Path) -> None:
    mute = Double(lambda text, attempt: "No.", "test/mute", "mute")
    plan = plan_of(judges=("test/judge", "test/mute"), prompts=PROMPTS[:8], floor_pairs=0)
    (found,) = done(tmp_path, plan, talks("a"), talks("r"), judge(), mute).findings
    assert found.overall.n == 8
    assert any("test/mute gave no usable grade to 8 of 8" in warning for warning in found.warnings)
    assert not any("test/judge gave no" in warning for warning in found.warnings)


def test_answers_to_another_prompt_of_the_same_id_are_refused(tmp_path: Path) -> None:
    path = recording(tmp_path)
    names = f"replay/{path}#near", "--reference", f"replay/{path}#ref"
    spaced = [{"prompt_id": str(i), "prompt": f"About  {i}?\n"} for i in range(12)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, spaced)))
    _, error = command(*names, "--prompts", str(tmp_path / "p.jsonl"))
    assert error is None
    others = [{"prompt_id": str(i), "prompt": f"Of the sea {i}"} for i in range(12)]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, others)))
    _, error = command(*names, "--prompts", str(tmp_path / "q.jsonl"))
    assert "an answer to another prompt under the id '0'" in str(error)


def test_one_answer_is_never_counted_in_two_sets(tmp_path: Path) -> None:
    path = recording(tmp_path)
    for name in ("p", "q"):
        rows = [{"prompt_id": str(i), "prompt": f"About {i}?" if name == "p" else f"Sea {i}"} for i in range(12)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sets = "--prompts", str(tmp_path / "p.jsonl"), "--prompts", str(tmp_path / "q.jsonl")
    out, error = command(f"replay/{path}#near", "--reference", f"replay/{path}#ref", *sets, "--json")
    assert error is None
    (found,) = json.loads(out)
    assert (found["overall"]["n"], found["failed"]) == (12, 12)
    bare = tmp_path / "bare.parquet"
    pl.read_parquet(path).drop("prompt").write_parquet(bare)
    _, error = command(f"replay/{bare}#near", "--reference", f"replay/{bare}#ref", *sets)
    assert "is in several prompt sets" in str(error)


def test_a_control_is_known_under_any_spelling_of_its_file(tmp_path: Path) -> None:
    path = recording(tmp_path)
    names = f"replay/{path}#near", "--reference", f"replay/{path}#ref"
    for spelling in (f"{path}#near", f"replay/{tmp_path}/../{tmp_path.name}/all.parquet#near"):
        _, error = command(*names, "--controls", spelling)
        assert "is also a subject" in str(error)
    _, error = command(*names, "--controls", f"{path}#far")
    assert error is None


def test_a_recording_of_empty_answers_is_told_as_such(tmp_path: Path) -> None:
    path = recording(tmp_path)
    empty = pl.read_parquet(path).filter(pl.col("model") == "near").with_columns(response=pl.lit("  "))
    empty.write_parquet(tmp_path / "empty.parquet")
    _, error = command(f"replay/{tmp_path}/empty.parquet", "--reference", f"replay/{path}#ref")
    assert "all 12 answers to these prompts are empty" in str(error)
