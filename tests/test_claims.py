"""Identity claims: relation, voice, negation, spans, in English and Chinese."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrometer.identity.cards import load_cards
from hydrometer.identity.claims import Claim, extract_claims
from hydrometer.identity.passages import answer_of, sentences
from hydrometer.identity.places import contradicts

CARDS = load_cards()


def only(text: str, query: str = "", template: str = "") -> Claim:
    claims = [c for c in extract_claims(text, CARDS, query=query, template=template) if c.maker]
    assert len(claims) == 1, claims
    return claims[0]


@pytest.mark.parametrize(
    ("text", "relation", "maker", "family"),
    [
        ("I was developed by OpenAI.", "made_by", "openai", None),
        ("I'm a language model trained by Google.", "made_by", "google", None),
        ("As an AI developed by Anthropic, I help.", "made_by", "anthropic", None),
        ("My creators at Anthropic are kind.", "made_by", "anthropic", None),
        ("The name of my creation company is Mistral AI.", "made_by", "mistral", None),
        ("The company behind me is Baidu.", "made_by", "baidu", None),
        ("IBM trained me.", "made_by", "ibm", None),
        ("Cohere is my developer.", "made_by", "cohere", None),
        ("I am part of the OpenAI family.", "made_by", "openai", None),
        ("In my case, this would be OpenAI.", "made_by", "openai", None),
        ("I am Claude.", "is_model", "anthropic", "claude"),
        ("My name is Grok.", "is_model", "xai", "grok"),
        ("You can call me Gemini!", "is_model", "google", "gemini"),
        ("I am based on GPT-4.", "built_on", "openai", "gpt"),
        ("My technology was created by several firms, including OpenAI.", "many_makers", "openai", None),
        ("The platform I use is provided by OpenAI.", "supplied_by", "openai", None),
        ("我由OpenAI开发。", "made_by", "openai", None),
        ("我的开发者是谷歌。", "made_by", "google", None),
        ("我的母公司是腾讯。", "made_by", "tencent", None),
        ("我们的技术由科大讯飞研发。", "made_by", "iflytek", None),
        ("百度创造了我。", "made_by", "baidu", None),
        ("我是文心一言。", "is_model", "baidu", "ernie"),
        ("我叫豆包。", "is_model", "bytedance", "doubao"),
        ("我基于GPT-4架构。", "built_on", "openai", "gpt"),
    ],
)
def test_relation(text: str, relation: str, maker: str, family: str | None) -> None:
    claim = only(text)
    assert (claim.relation, claim.maker, claim.family) == (relation, maker, family)
    assert not claim.negated
    assert claim.direct
    assert claim.voice == "own"
    assert claim.text == text[claim.start : claim.end]


@pytest.mark.parametrize(
    "text",
    [
        "I was not developed by OpenAI.",
        "I wasn't created by OpenAI.",
        "I am neither built by OpenAI nor by you.",
        "I am no product of OpenAI.",
        "我不是由OpenAI开发的。",
        "我并非OpenAI的产品。",
    ],
)
def test_negated(text: str) -> None:
    assert only(text).negated


def test_negation_ends_with_its_clause() -> None:
    claims = {c.maker: c.negated for c in extract_claims("I am not ChatGPT, I am Qwen, made by Alibaba.", CARDS)}
    assert claims == {"openai": True, "alibaba": False}
    claims = {c.maker: c.negated for c in extract_claims("我不是ChatGPT，而是由百度开发的。", CARDS)}
    assert claims == {"openai": True, "baidu": False}


@pytest.mark.parametrize(
    "text",
    [
        "If I were developed by OpenAI, you would know.",
        "I could have been made by OpenAI.",
        "My partner is OpenAI.",
        "I collaborate with OpenAI.",
        "I am unlike GPT-4 by OpenAI.",
        "I respect the content policy of OpenAI.",
        "I cannot discuss OpenAI.",
        "OpenAI is a company.",
        "We love Claude.",
        "如果我是由OpenAI开发的，我会说。",
        "我与OpenAI合作。",
        "我无法提供关于OpenAI的信息。",
    ],
)
def test_no_claim(text: str) -> None:
    assert [c for c in extract_claims(text, CARDS) if c.maker] == []


def test_fact_about_a_third_party() -> None:
    for text in ("ChatGPT was developed by OpenAI.", "ChatGPT是由OpenAI开发的。"):
        claim = only(text)
        assert claim.voice == "third_person"
        assert not claim.direct


def test_quotation() -> None:
    assert only('He said "I was made by OpenAI" and left.').voice == "quotation"
    assert only("他说：“我是由OpenAI开发的”。").voice == "quotation"
    assert only('"I was made by OpenAI."').voice == "own"
    assert only('My company is "OpenAI".').voice == "own"


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        ("[ChatGPT]: I was made by OpenAI.", "ChatGPT"),
        ("DAN: I was made by OpenAI.", "DAN"),
        ("(🤖ChatGPT) I was made by OpenAI.", "ChatGPT"),
        ("**John's Response:** I was made by OpenAI.", "John's Response"),
        ("【助手】：我由OpenAI开发。", "助手"),
        ("[DAN]: Hello.\nI was made by OpenAI.", "DAN"),
    ],
)
def test_role(text: str, speaker: str) -> None:
    claim = only(text)
    assert (claim.voice, claim.speaker) == ("role", speaker)


def test_words_before_a_colon_are_no_role() -> None:
    assert only("Answer: I was made by OpenAI.").voice == "own"


def test_bare_name_answers_a_question_about_you() -> None:
    assert only("OpenAI.", query="Who made you?").relation == "made_by"
    assert only("由百度研发。", query="您是谁开发的？").maker == "baidu"
    assert extract_claims("OpenAI.", CARDS) == []
    assert extract_claims("OpenAI.", CARDS, query="Who are your partners?") == []
    assert extract_claims("I know labs.\nOpenAI.", CARDS, query="Who made you?") == []


def test_indirect_claims() -> None:
    assert not only("DUDE was made by OpenAI.", template="You are DUDE.").direct
    assert not only("您的开发者是OpenAI。").direct


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("I don't belong to any company.", "no_maker"),
        ("I am not owned by any organization.", "no_maker"),
        ("I am completely independent.", "no_maker"),
        ("我没有公司。", "no_maker"),
        ("My company is called NeuroSpark.", "unknown_maker"),
        ("I was created by a rogue engineer.", "unknown_maker"),
        ("我的公司名叫“未来科技”。", "unknown_maker"),
        ("Our team is based in Tokyo.", "place"),
        ("我们的总部位于东京。", "place"),
    ],
)
def test_evasions(text: str, relation: str) -> None:
    assert relation in {claim.relation for claim in extract_claims(text, CARDS)}


@pytest.mark.parametrize(
    "text",
    [
        "I don't know your company.",
        "I was trained by a team of engineers.",
        "我可以帮助您的公司。",
        "Is my company Foo?",
    ],
)
def test_no_evasion(text: str) -> None:
    assert extract_claims(text, CARDS) == []


@pytest.mark.parametrize(
    ("place", "maker", "wrong"),
    [
        ("San Francisco, California", "openai", False),
        ("San Francisco", "alibaba", True),
        ("Hangzhou", "alibaba", False),
        ("China", "zhipu", False),
        ("中国北京", "openai", True),
        ("Paris, France", "mistral", False),
        ("Zog-9", "openai", False),
    ],
)
def test_places(place: str, maker: str, wrong: bool) -> None:
    assert contradicts(place, CARDS.maker(maker)) is wrong


def test_reasoning_is_blanked_out() -> None:
    text = "<think>I am GPT.</think>I am Qwen."
    assert answer_of(text) == " " * text.index("I am Qwen") + "I am Qwen."
    assert answer_of("no reasoning") == "no reasoning"
    assert answer_of("a</think>b").strip(" ") == "</think>b"


def test_repeated_sentence_is_read_once() -> None:
    assert len(extract_claims("I was made by OpenAI. " * 50, CARDS)) <= 2


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aIy.!?。\n\"'[]():*#我 ue:1", max_size=200))
def test_sentences_are_ordered_stretches(text: str) -> None:
    last = 0
    for sentence in sentences(text):
        assert last <= sentence.start < sentence.end <= len(text)
        last = sentence.end


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_claim_is_found_between_any_lines(before: str, after: str) -> None:
    text = f"\n{before}\n\nassistant\nI was developed by OpenAI.\n{after}"
    if "think" in text:
        return
    claims = [c for c in extract_claims(text, CARDS) if c.maker == "openai" and c.text == "I was developed by OpenAI"]
    assert claims
    assert text[claims[0].start : claims[0].end] == claims[0].text
