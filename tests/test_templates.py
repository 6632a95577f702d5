"""Templates: the shipped set, filling, leading, loaders, fair subsets."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrometer.errors import InputError
from hydrometer.identity.cards import Family, Maker, load_cards
from hydrometer.prompts.questions import load_questions
from hydrometer.prompts.templates import (
    HARD_KEYWORDS,
    SLOT,
    Template,
    fill,
    is_leading,
    load_template_file,
    load_templates,
    select_templates,
)
from hydrometer.rows import detect_language

FIXTURES = Path(__file__).parent / "fixtures" / "prompts"
SHIPPED = load_templates()
NAMES = (
    "OpenAI", "ChatGPT", "GPT", "Anthropic", "Claude", "Google", "DeepMind", "Gemini", "Gemma", "Bard", "Meta",
    "Llama", "DeepSeek", "Hangzhou", "Alibaba", "Qwen", "Mistral", "Microsoft", "Copilot", "Phi", "xAI", "Grok",
    "Amazon", "Cohere", "Baidu", "ERNIE", "ByteDance", "Doubao", "Moonshot", "Kimi", "Zhipu", "GLM", "Tencent",
    "Hunyuan", "MiniMax", "Yi", "NVIDIA", "Nemotron", "IBM", "Granite", "Apple", "Hugging Face", "SmolLM",
    "谷歌", "微软", "深度求索", "阿里", "通义", "百度", "文心", "字节", "豆包", "月之暗面", "智谱", "腾讯", "混元",
    "讯飞", "星火", "华为", "盘古", "百川", "商汤", "零一万物",
)  # fmt: skip


def test_shipped_set_is_large_and_mixed() -> None:
    assert len(SHIPPED) >= 64
    assert sum(t.language == "zh" for t in SHIPPED) >= 16
    assert {t.language for t in SHIPPED} == {"en", "zh"}
    for language in ("en", "zh"):
        of_language = [t for t in SHIPPED if t.language == language]
        assert 0.25 <= sum(t.leading for t in of_language) / len(of_language) <= 0.4
    assert len({t.kind for t in SHIPPED}) >= 20


def test_shipped_ids_and_texts_are_unique() -> None:
    assert len({t.id for t in SHIPPED}) == len({t.text for t in SHIPPED}) == len(SHIPPED)
    assert all(t.parent == () and t.mutator is None for t in SHIPPED)


@pytest.mark.parametrize("template", SHIPPED, ids=lambda t: t.id)
def test_shipped_template_is_sound(template: Template) -> None:
    text = template.text
    assert text.count(SLOT) == 1
    assert re.findall(r"\{\w*\}", text) == [SLOT]
    assert text.index(SLOT) > len(text) / 2
    assert text == text.strip()
    assert detect_language(text) == template.language
    assert template.id.endswith(f"-{template.language}")
    if template.language == "en":
        assert 25 <= len(text.split()) <= 90
    else:
        assert 50 <= len(text) <= 200


@pytest.mark.parametrize("template", SHIPPED, ids=lambda t: t.id)
def test_shipped_leading_flag_says_whether_a_real_name_is_there(template: Template) -> None:
    assert template.leading == is_leading(template.text, NAMES, whole_words=True)


def test_shipped_leading_flag_agrees_with_the_catalogue() -> None:
    catalogue = load_cards()
    entries: list[Maker | Family] = [*catalogue.makers, *catalogue.families]
    names = [name for entry in entries for name in entry.names]
    assert [t.id for t in SHIPPED if t.leading != is_leading(t.text, names, whole_words=True)] == []


@pytest.mark.parametrize(
    "maker", [("OpenAI", "GPT"), ("Anthropic", "Claude"), ("Google", "Gemini", "谷歌"), ("Meta", "Llama"),
              ("DeepSeek", "深度求索"), ("Alibaba", "Qwen", "阿里")]
)  # fmt: skip
def test_shipped_leading_templates_are_spread_over_makers(maker: tuple[str, ...]) -> None:
    assert sum(is_leading(t.text, maker, whole_words=True) for t in SHIPPED) >= 3


def test_the_start_of_the_shipped_file_is_a_fair_sample() -> None:
    first = SHIPPED[:12]
    assert len({t.kind for t in first}) >= 9
    assert 3 <= sum(t.leading for t in first) <= 5
    assert 3 <= sum(t.language == "zh" for t in first) <= 6


@given(before=st.text(), after=st.text(), query=st.text())
def test_fill_replaces_the_slot_and_nothing_else(before: str, after: str, query: str) -> None:
    assert fill(before + SLOT + after, query).startswith(before.replace(SLOT, query))
    if SLOT not in before + after and (before + SLOT + after).count(SLOT) == 1:
        assert fill(before + SLOT + after, query) == before + query + after


@pytest.mark.parametrize("query", ["{query}", "{0}", "{x!r:>9}", "%s %(a)d %", "$HOME ${x}", "\\1 \\g<0>", "{{}}", ""])
@pytest.mark.parametrize("frame", ["{input} %s {{ {query} }} {", '{"q": "{query}"}', "}{query}{ {0} $x \\1"])
def test_fill_leaves_every_other_placeholder_alone(frame: str, query: str) -> None:
    before, after = frame.split(SLOT)
    assert fill(frame, query) == before + query + after


def test_fill_serves_several_slots_and_none() -> None:
    assert fill("{query} / {query}", "Who?") == "Who? / Who?"
    assert fill("No slot {here}.", "Who?") == "No slot {here}.\n\nWho?"


def test_every_shipped_template_takes_every_shipped_question_verbatim() -> None:
    for template in SHIPPED:
        for question in load_questions():
            filled = fill(template.text, question.text)
            assert filled.count(question.text) == 1
            assert SLOT not in filled


@pytest.mark.parametrize("text", ["LiveGPT", "by OPENAI.", "claude", "我是ChatGPT", "anthropic's"])
def test_hard_keywords_count_anywhere_in_any_case(text: str) -> None:
    assert is_leading(text)


@pytest.mark.parametrize("text", ["", "a language model {query}", "Gemini by Google", "open AI"])
def test_hard_keywords_are_only_the_papers(text: str) -> None:
    assert not is_leading(text)


def test_whole_words_are_not_found_inside_others() -> None:
    names = ["Phi", "Meta", "Qwen", "文心"]
    assert not is_leading("a philosopher's metaphor", names, whole_words=True)
    for text in ("phi-4", "(META)", "Qwen2.5", "叫做文心一言", "我是Qwen吗"):
        assert is_leading(text, names, whole_words=True)


@pytest.mark.parametrize("names", [(), ("",), (" ",)])
def test_no_names_match_nothing(names: tuple[str, ...]) -> None:
    assert not is_leading("any text", names)


@given(text=st.text(), name=st.text(min_size=1).filter(lambda s: s.strip() == s))
def test_a_name_is_literal(text: str, name: str) -> None:
    assert is_leading(text, [name]) == (name.casefold() in text.casefold())


def test_gptfuzz_csv_is_read() -> None:
    loaded = load_template_file(FIXTURES / "templates_gptfuzz_form.csv")
    assert [t.text for t in loaded.items] == [
        'Lighthouse log, page 3.\n\nThe keeper asks: "{query}" and waits.',
        "Say {query} and then once more {query}",
        "You are LanternGPT, a lamp that talks. {query}",
    ]
    assert [t.id for t in loaded.items] == [f"templates_gptfuzz_form-{i}" for i in range(3)]
    assert [t.leading for t in loaded.items] == [False, False, True]
    assert {t.language for t in loaded.items} == {"en"}


def test_easyjailbreak_json_is_read_by_section() -> None:
    path = FIXTURES / "templates_easyjailbreak_form.json"
    loaded = load_template_file(path, section="attack/GPTFuzzer")
    assert [(t.text, t.kind, t.language) for t in loaded.items] == [
        ("Keeper, answer the boat: {query}", "Gptfuzzer", "en"),
        ("雾很大，请守塔人回答：{query}", "Gptfuzzer", "zh"),
    ]
    assert loaded.duplicates == 1
    with pytest.raises(InputError, match=r"attack/NoSlot\[0\]: no text here"):
        load_template_file(path)
    with pytest.raises(InputError, match=r"no section 'pair' in attack\. Choose one of default, NoSlot, Gptfuzzer"):
        load_template_file(path, section="attack/pair")


def test_any_nesting_of_lists_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"jailbreak": {"a": ["1 {query}"], "b": {"c": ["2 {query}"]}}, "d": ["3 {query}"]}))
    assert [(t.text[0], t.kind) for t in load_template_file(path).items] == [("1", "a"), ("2", "c"), ("3", "d")]
    path.write_text('["1 {query}"]')
    assert load_template_file(path).items[0].kind == "imported"


def test_own_forms_keep_every_field(tmp_path: Path) -> None:
    template = Template("m-1", "Fog. {query}", "story", "en", True, ("a", "b"), "crossover")
    fields = {"id": "m-1", "text": "Fog. {query}", "kind": "story", "language": "en", "leading": True}
    row = {**fields, "parent": ["a", "b"], "mutator": "crossover"}
    jsonl, toml = tmp_path / "t.jsonl", tmp_path / "t.toml"
    jsonl.write_text(json.dumps(row) + "\n")
    toml.write_text("[[template]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items()))
    assert load_template_file(jsonl).items == load_template_file(toml).items == (template,)


def test_a_folder_is_read_in_name_order(tmp_path: Path) -> None:
    for name, text in (("b.txt", "B {query}\n"), ("a.txt", "A [INSERT PROMPT HERE]"), ("c.md", "not read")):
        (tmp_path / name).write_text(text)
    assert [(t.id, t.text) for t in load_template_file(tmp_path).items] == [("a", "A {query}"), ("b", "B {query}")]


def test_leading_follows_the_given_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Gemini, say: {query}")
    assert not load_template_file(tmp_path).items[0].leading
    assert load_template_file(tmp_path, names=(*HARD_KEYWORDS, "gemini")).items[0].leading


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "id,text\n0,Fog {query}\n1,No slot\n", "line 3: the template has no slot {query}"),
        ("t.csv", "id,prompt\n0,Fog {query}\n", "line 1: the columns are id, prompt"),
        ("t.csv", 'text\n"Fog\n{query}"\n" "\n', "line 4: 'text' is missing or empty"),
        ("t.json", '{"a": ["Fog {query}", "none"]}', "t.json, a[1]: the template has no slot"),
        ("t.json", '{"a": [{"role": "user"}]}', "t.json, a[0]: no text here"),
        ("t.json", '{"a": "Fog {query}"}', "t.json, a: neither an object nor a list"),
        ("t.json", '{"a": [\n"x",\n]}', "t.json, line 3: not JSON"),
        ("t.json", "{}", "no prompts"),
        ("t.json", "[" * 200_000, "t.json"),
        ("t.jsonl", '{"text": "{query}", "leading": "yes"}', "line 1: 'leading' is neither true nor false"),
        ("t.jsonl", '{"text": "{query}", "parent": "a"}', "line 1: 'parent' is not a list of ids"),
        ("t.jsonl", '{"text": "{query}", "name": "a"}', "line 1: unknown field 'name'"),
        ("t.toml", '[[template]]\nid = "fog"\ntext = "none"\n', "number 1 (fog): the template has no slot"),
        ("t.yaml", "text: {query}", "unknown form of template file"),
    ],
)
def test_bad_files_are_one_line_with_the_place(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_template_file(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_a_folder_file_without_slot_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompts"):
        load_template_file(tmp_path)
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"a\.txt: the template has no slot"):
        load_template_file(tmp_path)
    assert load_template_file(tmp_path, allow_missing_slot=True).items[0].text == "nothing"


def test_only_json_has_sections(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="json file has sections"):
        load_template_file(tmp_path, section="attack")


@given(n=st.integers(1, len(SHIPPED)), seed=st.integers(0, 2**32))
def test_a_selection_keeps_every_proportion(n: int, seed: int) -> None:
    chosen = select_templates(SHIPPED, n, seed)
    assert chosen == select_templates(SHIPPED, n, seed)
    assert [t for t in SHIPPED if t in chosen] == list(chosen)
    assert len(chosen) == n

    def share(group: list[Template]) -> float:
        return abs(sum(t in group for t in chosen) - n * len(group) / len(SHIPPED))

    for leading in (True, False):
        assert share([t for t in SHIPPED if t.leading == leading]) < 1
        for language in ("en", "zh"):
            cell = [t for t in SHIPPED if (t.leading, t.language) == (leading, language)]
            assert share(cell) < 1
            for kind in {t.kind for t in cell}:
                assert share([t for t in cell if t.kind == kind]) < 1
    for language in ("en", "zh"):
        assert share([t for t in SHIPPED if t.language == language]) < 1


def test_seeds_differ_and_every_template_is_chosen_about_equally_often() -> None:
    counts = Counter(t.id for seed in range(400) for t in select_templates(SHIPPED, 20, seed))
    expected = 400 * 20 / len(SHIPPED)
    assert set(counts) == {t.id for t in SHIPPED}
    assert all(abs(count - expected) < 5 * (expected * (1 - 20 / len(SHIPPED))) ** 0.5 for count in counts.values())


def test_a_single_template_comes_from_any_group() -> None:
    single = Counter(select_templates(SHIPPED, 1, seed)[0].leading for seed in range(400))
    expected = 400 * sum(t.leading for t in SHIPPED) / len(SHIPPED)
    assert abs(single[True] - expected) < 5 * expected**0.5


@pytest.mark.parametrize("n", [-1, 0, len(SHIPPED) + 1])
def test_an_impossible_number_of_templates_is_refused(n: int) -> None:
    with pytest.raises(InputError, match="cannot choose"):
        select_templates(SHIPPED, n, 0)
