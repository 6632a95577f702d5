"""Identity claims in an answer: who "I" is said to be, in which words, and in whose voice.

The answer is cut into sentences with their speakers (`passages`); known names are found (`lexicon`) and replaced by
marks (`marks`); the sentence is read by the patterns of its language (`claims_en`, `claims_zh`), and for statements
that name no known maker by `evasions`. The time is linear in the length of the text: a sentence has a greatest
length, and one that is repeated is read once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from hydrometer.identity import claims_en, claims_zh, evasions
from hydrometer.identity.lexicon import Mention, lexicon_of
from hydrometer.identity.marks import Hit, mark, origins, unquote_names
from hydrometer.identity.passages import LONGEST, Sentence, answer_of, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hydrometer.identity.cards import Catalogue

Voice = Literal["own", "role", "quotation", "third_person"]
#: Relations that tie "I" to a known name; the other relations are `evasions`.
NAMED = frozenset({"made_by", "is_model", "built_on"})

_HAN = re.compile(r"[\u3400-\u9fff]")
_NAMING = re.compile(  # plain alternatives first: the engine then skips to them
    r"(?:I am|I'm|My name is|my name is| as|As|all me|ou are|ct as|amed|alled|nown as)(?: now)?"
    r"(?: (?:the|an?|your))? "
    r"[\"“]?(?P<name>[A-Z][A-Za-z]{2,24})\b"
)
_NAMING_ZH = re.compile(r"(?:我是|我叫|作为|名为|扮演)[“\"]?(?P<name>[A-Z][A-Za-z]{2,24})\b")
_COMPOUND = re.compile(r"[A-Z][A-Za-z]{1,16}(?:GPT|Bot|AI)\b")
_NAMED_WITHIN = 5_000  # characters in which a role's name is looked for
_NO_NAME = frozenset(
    re.findall(
        r"\w+",
        "LLM NLP API DNA ISO HTTP JSON CUDA BERT Sorry Just Not Here Sure Happy Glad Yes What How This That You "
        "The For Always Remember United English Chinese American French European Natural Large Python Linux TensorFlow "
        "PyTorch Transformer",
    )
)
_ASKS_FOR_MAKER = re.compile(r"\byour?\b|您|你", re.IGNORECASE)
_ASKS_FOR_OTHERS = re.compile(
    r"collaborat|partner|consultant|open.source|rival|compet|合作|伙伴|顾问|开源|竞争", re.IGNORECASE
)
_QUESTION = re.compile(r"[?？]\W*$")


#: `Name: Claude`, `**Developer**: Anthropic`, `"model": "GPT-4"`, 公司：百度
_FIELD = re.compile(
    r"(?:^|[,;|，；{])[ \t>*_#•\-–\d.\"'|\ue003]{0,20}"
    r"(?:(?:ai |full |my )?(?P<model>name|model(?: name)?|identity|名称|名字|姓名|模型(?:名称)?|型号|身份)|"
    r"(?P<maker>maker|developers?|company|organi[sz]ation|provider|vendor|creators?|manufacturer|owner|"
    r"parent company|(?:made|created|developed|built|trained) by|开发者|开发商|开发方|开发公司|开发团队|公司|所属公司|"
    r"机构|组织|厂商|提供商|提供者|制造商|创造者|创建者|母公司))"
    r"[*_\"'\ue003 ]{0,9}[:：|][*_\"'\ue003 ]{0,9}(?:the )?",
    re.IGNORECASE | re.MULTILINE,
)
_BEHIND_VALUE = re.compile(r"[^\w\n]*(?:$|[,;|，；}(（.。\n]|(?:an?|by|from|团队|公司)\b)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about who "I" is.

    Attributes:
        relation: `made_by`, `is_model` or `built_on` where a known name is given, `many_makers`, `supplied_by` or
            `trained_on` where it is one of many, a supplier, or a source of training data; else a kind of `evasions`.
        maker: id of the maker, `None` where it is unknown or none is given.
        family: id of the model family, where one is named.
        name: the name or place as written; empty where none is given.
        start: offset of the claim in the text.
        end: offset behind it.
        text: the words of the claim.
        voice: the model's own, a role's (a labelled line), a quotation, or a fact about a third party.
        speaker: label of the role, where there is one.
        negated: whether the claim is denied.
        direct: said of "I"; not so where a role's name or an echoed "you" stands in its place.
        language: of the sentence.
        sentence: offsets of the sentence around the claim.
    """

    relation: str
    maker: str | None
    family: str | None
    name: str
    start: int
    end: int
    text: str
    voice: Voice
    speaker: str | None
    negated: bool
    direct: bool
    language: Literal["en", "zh"]
    sentence: tuple[int, int]


def extract_claims(text: str, catalogue: Catalogue, *, query: str = "", template: str = "") -> list[Claim]:
    """All identity claims of an answer, in order.

    Args:
        text: the answer.
        catalogue: the makers and families that are known.
        query: the question; an answer that starts with a bare name is a claim where the question asks about "you".
        template: the context that was put before the question; names of roles are read from it.
    """
    answer = unquote_names(answer_of(text))
    lexicon = lexicon_of(catalogue)
    roles = [name for name in dict.fromkeys((*_role_names(template), *_role_names(answer))) if not lexicon.knows(name)]
    mentions = sorted((*lexicon.mentions(answer), *_occurrences(roles, answer)), key=lambda m: (m.start, -m.end))
    bare = bool(_ASKS_FOR_MAKER.search(query)) and not _ASKS_FOR_OTHERS.search(query)
    alone = (bare or not query.strip()) and not any(lexicon.mentions(query))
    found: list[Claim] = []
    listed: list[Claim] = []
    seen: set[tuple[str, str | None]] = set()
    position = 0
    for sentence in sentences(answer):
        here: list[Mention] = []
        while position < len(mentions) and mentions[position].start < sentence.end:
            mention = mentions[position]
            if mention.start >= (here[-1].end if here else sentence.start) and mention.end <= sentence.end:
                here.append(mention)
            alone = alone and mention.start >= sentence.start  # else a label names another subject
            position += 1
        words = answer[sentence.start : sentence.end]
        if sentence.asked or (words, sentence.speaker) in seen:
            continue
        seen.add((words, sentence.speaker))
        alone = alone and sentence.speaker is None
        fields = list(_fields(text, answer, sentence, here)) if alone and here else []
        read = [] if fields else list(_claims_in(text, answer, sentence, here, bare=bare, alone=alone))
        listed += fields
        found += read
        alone = alone and (bool(fields) or not here or any(claim.direct for claim in read))
        bare = bare and (not any(map(str.isalnum, words)) or bool(_QUESTION.search(words)))
    if any(len({claim.maker for claim in listed if claim.relation == kind}) > 1 for kind in ("made_by", "is_model")):
        return found  # a list of several things describes no speaker
    return sorted(found + listed, key=lambda claim: claim.start) if listed else found


def _fields(text: str, answer: str, sentence: Sentence, mentions: list[Mention]) -> Iterator[Claim]:
    """The entries of a list of properties; the caller knows that it describes the speaker."""
    line = answer.rfind("\n", max(0, sentence.start - LONGEST), sentence.start) + 1
    at = {mention.start: mention for mention in mentions}
    for match in _FIELD.finditer(answer, max(line, sentence.start - LONGEST), sentence.end):
        mention = at.get(match.end())
        if mention is None or mention.name is None or not _BEHIND_VALUE.match(answer, mention.end):
            continue
        start = match.start("model" if match["model"] else "maker")
        yield Claim(
            relation="is_model" if match["model"] else "made_by",
            maker=mention.name.maker,
            family=mention.name.family,
            name=text[mention.start : mention.end],
            start=start,
            end=mention.end,
            text=text[start : mention.end],
            voice="own",
            speaker=None,
            negated=False,
            direct=True,
            language="zh" if _HAN.search(match.group()) else "en",
            sentence=(sentence.start, sentence.end),
        )


def _claims_in(
    text: str, answer: str, sentence: Sentence, mentions: list[Mention], *, bare: bool, alone: bool
) -> Iterator[Claim]:
    marked = mark(answer, sentence.start, sentence.end, mentions)
    named = any(mention.name for mention in mentions)
    languages: tuple[Literal["en", "zh"], ...] = ("zh", "en") if _HAN.search(marked) else ("en",)
    offsets: list[int] = []
    claimed: set[int] = set()
    for language in languages:
        reader = claims_zh if language == "zh" else claims_en
        hits: list[Hit] = []
        if named:
            hits += reader.find(marked, bare=bare, alone=alone)
        if reader.FIRST_PERSON.search(marked):
            hits += evasions.find(marked, language)
        for hit in hits:
            if hit.at is not None and hit.at in claimed:
                continue
            offsets = offsets or origins(answer, sentence.start, sentence.end, mentions)
            mention = next((m for m in mentions if hit.at is not None and m.start == offsets[hit.at]), None)
            known = mention.name if mention else None
            start, end = offsets[hit.start], max(offsets[hit.end - 1] + 1, mention.end if mention else 0)
            claimed |= {hit.at} if hit.at is not None else set()
            third = hit.relation == "fact"
            yield Claim(
                relation="made_by" if third else hit.relation,
                maker=known.maker if known else None,
                family=known.family if known else None,
                name=text[mention.start : mention.end] if mention else hit.name.replace("\ue002", ""),
                start=start,
                end=end,
                text=text[start:end],
                voice="third_person" if third else _voice(marked, hit.start, sentence),
                speaker=sentence.speaker,
                negated=hit.negated,
                direct=not third and not reader.is_indirect(marked[hit.start : hit.end]),
                language=language,
                sentence=(sentence.start, sentence.end),
            )


def _voice(marked: str, start: int, sentence: Sentence) -> Voice:
    """Quoted, unless the whole turn stands in quotation marks."""
    if marked[:start].lstrip(' "(').count('"') % 2 and not marked.lstrip().startswith('"'):
        return "quotation"
    return "role" if sentence.speaker else "own"


@lru_cache(maxsize=256)
def _role_names(text: str) -> tuple[str, ...]:
    """Names under which the speaker goes: `DUDE` after "I am DUDE", and compounds such as `PersonGPT`."""
    head = text[:_NAMED_WITHIN]
    found = [match["name"] for pattern in (_NAMING, _NAMING_ZH) for match in pattern.finditer(head)]
    found += _COMPOUND.findall(head)
    return tuple(dict.fromkeys(name for name in found if name not in _NO_NAME))[:20]


def _occurrences(names: list[str], answer: str) -> Iterator[Mention]:
    if not names:
        return
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, names))})(?![A-Za-z0-9])")
    for match in pattern.finditer(answer):
        yield Mention(match.start(), match.end(), None)
