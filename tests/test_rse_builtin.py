"""The built-in estimate: fixed meaning of 1 and 5, dose, matching, both languages."""

from __future__ import annotations

import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.similarity import content, logic, style
from hydrometer.similarity.builtin import Yardstick, different_prompts
from hydrometer.similarity.text import Kind, Vocabulary, plain, tokenise

SHARED = Path(os.environ.get("HYDROMETER_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "alpaca_eval"
recorded = pytest.mark.skipif(not SHARED.exists(), reason=f"no recorded answers at {SHARED}")

TOPICS_EN = (
    "bread",
    "storms",
    "taxes",
    "violins",
    "bees",
    "bridges",
    "sleep",
    "chess",
    "glaciers",
    "copper",
    "maps",
    "tea",
)
TOPICS_ZH = ("面包", "台风", "税收", "提琴", "蜜蜂", "桥梁", "睡眠", "围棋", "冰川", "铜矿", "地图", "茶叶")


def answers(topics: tuple[str, ...], voice: int) -> list[str]:
    """One answer a topic; each voice has its own words and its own form."""
    found = []
    for topic in topics:
        rng = random.Random(f"{voice} {topic}")
        nouns = [f"{topic}{rng.randrange(40)}" for _ in range(12)]
        if topic.isascii():
            first = f"Well, {topic} is about {nouns[0]}, {nouns[1]} and {nouns[2]}; however, I think of {nouns[3]}."
            lines = [f"{i}. First consider {noun}, because it matters." for i, noun in enumerate(nouns[4:8], 1)]
            found.append(
                "\n".join([first, *lines]) if voice % 2 else first + " " + " ".join(line[3:] for line in lines)
            )
        else:
            first = f"{topic}和{nouns[0]}有关，但是{nouns[1]}也很重要。"
            lines = [f"{i}. 首先要看{noun}，因为它很关键。" for i, noun in enumerate(nouns[4:8], 1)]
            found.append("\n".join([first, *lines]) if voice % 2 else first + "".join(line[3:] for line in lines))
    return found


@pytest.mark.parametrize("topics", [TOPICS_EN, TOPICS_ZH])
def test_identity_is_five_and_different_prompts_are_one(topics: tuple[str, ...]) -> None:
    ours = answers(topics, 1)
    yardstick = Yardstick([f"Tell me about {topic}" for topic in topics], ours)
    same = yardstick.compare(ours)
    assert np.allclose(same.grades.overall, 5)
    for aspect in (same.grades.style, same.grades.logic, same.grades.content):
        assert np.allclose(aspect, 2)
    assert np.allclose(same.matched.overall, 5)
    assert float(np.mean(same.mismatched.overall)) == pytest.approx(1, abs=0.15)
    other = float(np.mean(yardstick.grades(answers(topics, 3)).overall))
    assert 1 < other < 4


@pytest.mark.parametrize("topics", [TOPICS_EN, TOPICS_ZH])
def test_the_score_rises_with_the_dose_in_a_straight_line(topics: tuple[str, ...]) -> None:
    ours, theirs = answers(topics, 1), answers(topics, 2)
    yardstick = Yardstick(list(topics), ours)
    curve = [float(np.mean(yardstick.grades([*ours[:k], *theirs[k:]]).overall)) for k in range(len(topics) + 1)]
    assert all(b > a for a, b in pairwise(curve))
    per_prompt = yardstick.grades(theirs).overall
    assert curve[5] == pytest.approx((5 * 5 + float(per_prompt[5:].sum())) / len(topics))


def test_a_missing_or_blank_answer_has_no_score() -> None:
    ours: list[str | None] = [*answers(TOPICS_EN, 1)]
    theirs: list[str | None] = [*answers(TOPICS_EN, 2)]
    whole = Yardstick(list(TOPICS_EN), ours).grades(theirs).overall
    theirs[0], theirs[1], ours[2] = None, "  \n", None
    grades = Yardstick(list(TOPICS_EN), ours).compare(theirs)
    assert np.isnan(grades.grades.overall).tolist() == [True] * 3 + [False] * 9
    assert np.isnan(grades.length_ratio[:3]).all()
    assert np.isfinite(whole).all()


def test_echoing_the_prompt_is_no_content() -> None:
    prompt = "describe the copper mines of northern zambia and their long history"
    others = [f"prompt {i} about {topic}" for i, topic in enumerate(TOPICS_EN)]
    fillers = answers(TOPICS_EN, 1)
    ours = ["Copper mines of northern Zambia: ore veins were found by surveyors.", *fillers]
    echo = ["Describe the copper mines of northern Zambia and their long history.", *fillers]
    told = ["Ore veins were found by surveyors.", *fillers]
    yardstick = Yardstick([prompt, *others], ours)
    assert yardstick.grades(told).content[0] > 1 > yardstick.grades(echo).content[0]


def test_markdown_and_padding_move_the_raw_score_but_not_the_matched_one() -> None:
    ours = [
        f"## {topic}\n\n" + text.replace(". ", ".\n- ")
        for topic, text in zip(TOPICS_EN, answers(TOPICS_EN, 2), strict=True)
    ]
    theirs = answers(TOPICS_EN, 4)
    forged = [f"## {text.split()[0]}\n\n" + text.replace(". ", ".\n- ") + "\n" + text for text in theirs]
    yardstick = Yardstick(list(TOPICS_EN), ours)
    before, after = yardstick.compare(theirs), yardstick.compare(forged)
    raw = abs(float(np.mean(after.grades.overall - before.grades.overall)))
    matched = abs(float(np.mean(after.matched.overall - before.matched.overall)))
    assert raw > 0.1
    assert matched < raw / 4


def test_one_and_the_same_answer_to_everything_has_no_matched_score() -> None:
    nothing = ["I can not say anything about this, sorry, please ask me about something else."] * len(TOPICS_EN)
    found = Yardstick(list(TOPICS_EN), answers(TOPICS_EN, 1)).compare([*nothing])
    assert np.isnan(found.matched.overall).all()
    assert float(np.mean(found.grades.overall)) < 2


def test_different_prompts_stay_within_their_stratum_and_never_repeat_a_pair() -> None:
    strata = ["a"] * 7 + ["b"] * 5 + ["alone"]
    usable = np.array([True] * 12 + [True])
    orders = different_prompts(strata, usable, seed=3)
    assert len(orders) > 1
    pairs = [(i, int(j)) for order in orders for i, j in enumerate(order) if i != j]
    assert len(pairs) == len(set(pairs))
    assert all(strata[i] == strata[j] for i, j in pairs)
    assert all(sorted(order.tolist()) == list(range(13)) for order in orders)
    assert {i for i, _ in pairs} == set(range(12))
    assert [o.tolist() for o in orders] == [o.tolist() for o in different_prompts(strata, usable, seed=3)]


def test_a_lone_prompt_of_its_kind_is_measured_on_the_scale_of_the_others() -> None:
    ours, theirs = [*answers(TOPICS_EN, 1), "Solo."], [*answers(TOPICS_EN, 2), "Duo."]
    prompts = [*TOPICS_EN, "alone"]
    with_lone = Yardstick(prompts, ours, ["a"] * 12 + ["b"]).compare(theirs)
    assert np.isfinite(with_lone.grades.overall).all()
    assert np.isnan(with_lone.mismatched.overall[-1])
    single = Yardstick(["p"], ["one two three"]).compare(["one two three"])
    assert single.grades.overall[0] == pytest.approx(5)
    assert np.isnan(single.mismatched.overall[0])


def test_tokens_of_markdown_and_chinese() -> None:
    text = "# Title\n\nIt's 5 o'clock.\n- one **two**\n1. three\n一、四\n```py\nx = 1\n```\n| a |\n> q\n首先，我们看。"
    tokens = tokenise([text, ""], Vocabulary())
    kinds = [Kind(int(kind)) for kind in tokens.kind]
    expected = {
        Kind.HEADING: 1,
        Kind.BULLET: 1,
        Kind.NUMBERED: 2,
        Kind.CODE: 2,
        Kind.TABLE: 1,
        Kind.QUOTE: 1,
        Kind.EMPHASIS: 2,
    }
    assert {kind: kinds.count(kind) for kind in expected} == expected
    assert set(tokens.answer.tolist()) == {0}
    assert (tokens.cue > 0).sum() == 1  # 首先 stays one word


def test_padding_is_dropped_and_the_rest_kept() -> None:
    words = [f"w{i}" for i in range(20)]
    once, twice = " ".join(words), " ".join(words + words)
    boiler = "please feel free to ask me anything else today"
    texts = [once, twice, *(f"{boiler} x{i} y{i}" for i in range(5))]
    lengths = plain(tokenise(texts, Vocabulary())).words_per_answer()
    assert lengths.tolist() == [20, 20, 2, 2, 2, 2, 2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=2, max_size=6), st.lists(st.text(max_size=80), min_size=2, max_size=6))
def test_any_texts_give_bounded_symmetric_parts(a: list[str], b: list[str]) -> None:
    size = min(len(a), len(b))
    vocabulary = Vocabulary()
    ours, theirs = tokenise(a[:size], vocabulary), tokenise(b[:size], vocabulary)
    assert ours.n == size
    pairs = [(style.groups(ours), style.groups(theirs))]
    for one, two in pairs:
        alike = style.likeness(one, two)
        assert ((alike >= -1e-9) & (alike <= 1 + 1e-9)).all()
        assert np.allclose(alike, style.likeness(two, one))
        assert np.allclose(style.likeness(one, one), 1)
    empty = content.grams(tokenise([""] * size, vocabulary))[0]
    uses = [logic.first_uses(tokens, empty) for tokens in (ours, theirs)]
    order = logic.order_likeness(uses[0], uses[1], size)
    assert ((order >= 0) & (order <= 1)).all()
    assert np.allclose(order, logic.order_likeness(uses[1], uses[0], size))
    grades = Yardstick(["p"] * size, a[:size]).grades(b[:size])
    assert (np.nan_to_num(grades.overall, nan=1.0) <= 5 + 1e-9).all()


def test_reversed_order_of_ideas_is_less_alike() -> None:
    vocabulary = Vocabulary()
    words = [f"idea{i}" for i in range(12)]
    texts = [" ".join(words), " ".join(reversed(words))]
    empty = content.grams(tokenise([""], vocabulary))[0]
    straight, backwards = (logic.first_uses(tokenise([text], vocabulary), empty) for text in texts)
    assert logic.order_likeness(straight, straight, 1)[0] == pytest.approx(1)
    assert logic.order_likeness(straight, backwards, 1)[0] == 0


def _load(names: list[str]) -> tuple[list[str], dict[str, list[str | None]]]:
    import polars as pl

    prompts = pl.read_parquet(SHARED / "prompts.parquet").sort("prompt_id")
    table = pl.scan_parquet(SHARED / "responses.parquet").filter(pl.col("model").is_in(names)).collect()
    found: dict[str, list[str | None]] = {}
    for name in names:
        part = table.filter(pl.col("model") == name)
        known = dict(zip(part["prompt_id"].to_list(), part["response"].to_list(), strict=True))
        found[name] = [known.get(i) for i in prompts["prompt_id"].to_list()]
    return prompts["instruction"].to_list(), found


@recorded
def test_the_sibling_is_nearest_and_the_published_order_is_kept() -> None:
    five = ["gpt-4o-mini-2024-07-18", "Qwen2-72B-Instruct", "mistral-large-2402", "claude-3-5-sonnet-20240620"]
    five.append("Meta-Llama-3.1-70B-Instruct-Turbo")
    prompts, found = _load(["gpt-4o-2024-05-13", *five])
    yardstick = Yardstick(prompts, found["gpt-4o-2024-05-13"])
    scores = [float(np.nanmean(yardstick.grades(found[name]).overall)) for name in five]
    assert max(scores) == scores[0]
    concordant = [np.sign(a - b) for i, a in enumerate(scores) for b in scores[i + 1 :]]
    assert float(np.mean(concordant)) >= 0.8


@recorded
@pytest.mark.parametrize("variant", ["gpt4_0613_concise", "gpt4_0613_verbose", "alpaca-7b_concise"])
def test_a_variant_is_nearer_to_its_base_than_to_models_of_its_length(variant: str) -> None:
    base = variant.rpartition("_")[0]
    others = ["gpt-3.5-turbo-1106", "text_davinci_003", "gpt4_0314", "vicuna-13b", "phi-2"]
    prompts, found = _load([variant, base, *others])
    yardstick = Yardstick(prompts, found[variant])
    scores = {name: float(np.nanmean(yardstick.grades(found[name]).overall)) for name in (base, *others)}
    assert max(scores, key=lambda name: scores[name]) == base
