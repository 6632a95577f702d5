"""Identity cards: the catalogue is complete and consistent, names find their card, users' cards are checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hydrometer.errors import InputError
from hydrometer.identity.cards import card_for, load_card_file, load_cards
from hydrometer.identity.lexicon import fold, lexicon_of

if TYPE_CHECKING:
    from pathlib import Path

CARDS = load_cards()


def test_catalogue_covers_the_field() -> None:
    assert len(CARDS.families) >= 36
    assert len(CARDS.makers) >= 20
    makers = [maker.id for maker in CARDS.makers]
    families = [family.id for family in CARDS.families]
    assert len(set(makers)) == len(makers)
    assert len(set(families)) == len(families)
    assert {family.maker for family in CARDS.families} == set(makers)
    for family in CARDS.families:
        assert set(family.based_on) <= set(families)
        for pattern in family.patterns:
            re.compile(pattern)
    for maker in CARDS.makers:
        assert maker.country
        assert maker.country_zh
        assert maker.headquarters


def test_no_name_belongs_to_two_makers() -> None:
    owner: dict[str, str] = {}
    named = [(maker.id, name) for maker in CARDS.makers for name in maker.names]
    named += [(family.maker, name) for family in CARDS.families for name in family.names]
    for maker, name in named:
        assert owner.setdefault(name.casefold(), maker) == maker, name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("glm-4-plus", "glm"),
        ("zai-org/GLM-4.5-Air", "glm"),
        ("Meta-Llama-3.1-70B-Instruct", "llama"),
        ("openai/gpt-4o", "gpt"),
        ("gpt4o-0806", "gpt"),
        ("openai/o3-mini", "o-series"),
        ("qwen2.5-72b", "qwen"),
        ("Qwen/QwQ-32B", "qwen"),
        ("embedded/smollm2-135m-instruct", "smollm"),
        ("embedded/gemma3-270m", "gemma"),
        ("claude-3.5-sonnet", "claude"),
        ("openrouter/anthropic/claude-opus-4", "claude"),
        ("gemini-2.0-flash", "gemini"),
        ("Phi4", "phi"),
        ("phi-4", "phi"),
        ("doubao-pro-32k", "doubao"),
        ("deepseek-r1-distill-llama-70b", "deepseek"),
        ("deepseek-qwen-7b", "deepseek"),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct", "nemotron"),
        ("vicuna-13b-v1.5", "vicuna"),
        ("mixtral-8x7b-instruct", "mistral"),
        ("yi-34b-chat", "yi"),
        ("moonshot-v1-8k", "kimi"),
        ("kimi-k2", "kimi"),
        ("command-r-plus", "command"),
        ("ernie-4.0-turbo", "ernie"),
        ("amazon.nova-pro-v1:0", "nova"),
        ("upstage/SOLAR-10.7B-Instruct", "solar"),
        ("spark", "spark"),
        ("chatgpt-4o-latest", "gpt"),
        ("claude", "claude"),
        ("EXAONE-3.5-7.8B", "exaone"),
    ],
)
def test_model_name_finds_its_card(name: str, family: str) -> None:
    assert card_for(name, CARDS).family.id == family


def test_every_family_finds_itself() -> None:
    for family in CARDS.families:
        assert card_for(family.name, CARDS).maker.id == family.maker, family.id


@pytest.mark.parametrize("name", ["foo-bar", "", "/", "my-own-model", "alphabet-soup", "yield", "octopus-9b"])
def test_unknown_model_name_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(InputError, match="--card FILE"):
        card_for(name, CARDS)


def test_near_names_are_named() -> None:
    with pytest.raises(InputError, match="Llama"):
        card_for("lama-3", CARDS)


def _names(text: str) -> list[tuple[str, str, str | None]]:
    found = lexicon_of(CARDS).mentions(text)
    return [(text[m.start : m.end], m.name.maker, m.name.family) for m in found if m.name]


def test_lexicon_prefers_the_longest_name() -> None:
    assert _names("GPT-4 by OpenAI; ChatGPT4") == [
        ("GPT-4", "openai", "gpt"),
        ("OpenAI", "openai", None),
        ("ChatGPT", "openai", "gpt"),
    ]


@pytest.mark.parametrize(
    "text",
    ["a meta-analysis", "an apple", "Nova Scotia", "titan of industry", "my GPTs' AntiGPT", "Yi Wang", "on command"],
)
def test_common_words_are_no_names(text: str) -> None:
    assert [name for name in _names(text) if name[0] != "GPTs"] == []


def test_common_words_count_beside_model_words() -> None:
    assert _names("the Nova model, Yi-34B and the Falcon LLM") == [
        ("Nova", "amazon", "nova"),
        ("Yi-34B", "01ai", "yi"),
        ("Falcon LLM", "tii", "falcon"),
    ]


def test_chinese_names_need_no_boundary() -> None:
    assert _names("由智谱AI开发的大模型，我叫通义千问。") == [("智谱", "zhipu", None), ("通义千问", "alibaba", "qwen")]


def test_folding_keeps_length() -> None:
    text = "İstanbul ẞ OpenAI"
    assert len(fold(text)) == len(text)
    assert _names(text) == [("OpenAI", "openai", None)]


def _card(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "card.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_own_card_of_a_new_maker(tmp_path: Path) -> None:
    card = load_card_file(
        _card(
            tmp_path,
            'name = "Aurora"\nmaker = "Borealis Labs"\naliases = ["Aurora Chat"]\naliases_zh = ["极光"]\n'
            'maker_aliases = ["Borealis"]\ncountry = "Norway"\nheadquarters = "Oslo"\nbased_on = ["Llama"]\n',
        )
    )
    assert card.name == "Aurora"
    assert card.maker.names == ("Borealis Labs", "Borealis")
    assert card.family.based_on == ("llama",)
    grown = CARDS.including(card)
    assert grown.card(card.family) == card
    assert len(grown.families) == len(CARDS.families) + 1
    assert _names("极光") == []
    assert [m.name.maker for m in lexicon_of(grown).mentions("极光") if m.name] == [card.maker.id]


def test_own_card_of_a_known_maker(tmp_path: Path) -> None:
    card = load_card_file(_card(tmp_path, 'name = "Next"\nmaker = "facebook"\n'))
    assert card.maker == CARDS.maker("meta")


def test_catalogue_is_itself_with_a_card_it_has() -> None:
    assert CARDS.including(CARDS.card(CARDS.family("glm"))) is CARDS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "A"\n', "has no maker"),
        ('maker = "B"\n', "has no name"),
        ('name = "A"\nmaker = "  "\n', "has no maker"),
        ('name = "A"\nmaker = "B"\nalias = ["C"]\n', "Did you mean 'aliases'"),
        ('name = "A"\nmaker = "B"\nxyzzy = 1\n', "Known keys"),
        ('name = "A"\nmaker = 3\n', "'maker' .* must be a text"),
        ('name = "A"\nmaker = "B"\naliases = "C"\n', "must be a list of non-empty texts"),
        ('name = "A"\nmaker = "B"\naliases = [""]\n', "must be a list of non-empty texts"),
        ('name = "A"\nmaker = "B"\nbased_on = ["lama"]\n', "Did you mean 'llama'"),
        ('name = "A"\nmaker = \n', "line 2"),
    ],
)
def test_bad_card_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        load_card_file(_card(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_and_binary_card(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load_card_file(tmp_path / "none.toml")
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_card_file(binary)
