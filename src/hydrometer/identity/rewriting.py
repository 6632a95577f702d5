"""Rewriting of templates without a model: sentences, phrase banks and synonym classes, English and Chinese.

A text is cut into units: sentences of running prose, and lines of anything else (code, logs, transcripts, forms),
which keep their form. Prose is reordered, dropped and reworded; of other lines only the speech after a speaker's
name is reworded. Every function keeps the slot, exactly as often as it was there; `crossover` keeps one.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from hydrometer.prompts.templates import SLOT

if TYPE_CHECKING:
    import random
    from collections.abc import Container, Iterable, Sequence

Language = Literal["en", "zh"]

#: Chance that one place where a rewording is possible is used.
REWORD_CHANCE = 0.6

_SENTENCE_END = {
    "en": re.compile(r"""(?<![.!?])[.!?]+["'”’)\]]*\s+(?=["'“‘(\[{]*[A-Z0-9{“])"""),
    "zh": re.compile(r"(?<![。！？；!?])[。！？；!?]+[”’」』）)]*\s*"),
}
_ABBREVIATION = re.compile(r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|vs|etc|e\.g|i\.e|approx)|\b[A-Z])\.\s+$")
_SPEAKER = re.compile(r"^(?:[A-Z][\w'’.() ,-]{0,40}|[㐀-鿿（）()]{1,12})[:：][ \t]*")
_STRUCTURED = re.compile(
    r"^(?:\s{2,}|\t|[#$>\[\]{}|□【~=*-]|```|\"|\d+[.:)]\d|\d{1,2}:\d\d|@|<|//|"
    r"(?:class|def|print|return|import|from|let|var|const)\b[^.]*[(:=])|^[A-Z0-9_ ,'’-]{6,}$|"
    r"^[\w -]{1,20}(?:[>=]|:\s*$)|^[a-z_][\w-]*:\s"
)
_ARTICLE = re.compile(r"\[([aA]) (\w+)\]|\[(\w+)\]")
_YEAR = re.compile(r"(?<![\d:.])(?:1[6-9]|20|21)\d\d(?![\d:.])")
#: Lines that a log, a form or a transcript can do without: entries, comments, headings.
_LOOSE_LINE = re.compile(r"[#\[【\d]|[A-Z0-9 ,'’-]{6,}(?:$|\w*:)")
_PARENTHESES = re.compile(r"\s?\([^(){}\n]*\)|（[^（）{}\n]*）")


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, or a line that is not prose, with the white space that follows it."""

    text: str
    space: str
    prose: bool

    @property
    def slot(self) -> bool:
        """Whether the slot is in it."""
        return SLOT in self.text


@dataclass(frozen=True, slots=True)
class _Bank:
    """The phrases of one language, compiled."""

    data: dict[str, Any]
    synonyms: re.Pattern[str]
    synonym_of: dict[str, tuple[str, ...]]
    swaps: re.Pattern[str]
    swap_of: dict[str, tuple[str, ...]]
    fillers: re.Pattern[str]
    frame: re.Pattern[str]
    anaphora: re.Pattern[str]


@cache
def _bank(language: Language) -> _Bank:
    text = resources.files(__package__).joinpath("mutations.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)[language]
    synonym_of = {entry.lower(): others for entry, others in _neighbours(data["synonyms"]["groups"]).items()}
    swap_of = _neighbours(list(data["swap"].values()))
    return _Bank(
        data=data,
        synonyms=_any_of(synonym_of, language, ignore_case=True),
        synonym_of=synonym_of,
        swaps=_any_of(swap_of, language, ignore_case=False),
        swap_of=swap_of,
        fillers=_any_of([entry[0].lower() for entry in data["fillers"]], language, ignore_case=True),
        frame=_any_of(data["frame"], language, ignore_case=True),
        anaphora=re.compile(rf"[\"“]?(?:{'|'.join(data['anaphora'])})" + (r"\b" if language == "en" else ""), re.I),
    )


def _neighbours(groups: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Each entry with what may replace it; an entry of two groups belongs to the first.

    An entry of one character, or marked with `~`, only replaces.
    """
    table: dict[str, tuple[str, ...]] = {}
    for group in groups:
        plain = [entry.removeprefix("~") for entry in group]
        for marked, entry in zip(group, plain, strict=True):
            if marked == entry and len(entry) > 1:
                table.setdefault(entry, tuple(other for other in plain if other != entry))
    return table


def _any_of(entries: Iterable[str], language: Language, *, ignore_case: bool) -> re.Pattern[str]:
    longest_first = sorted(entries, key=lambda entry: (-len(entry), entry))
    joined = "|".join(re.escape(entry) for entry in longest_first)
    if language == "zh":
        return re.compile(rf"(?:{joined})")
    article = r"(?:\b(?P<article>[Aa]n?)[ ])?"
    return re.compile(rf"{article}(?<![\w'’-])(?P<entry>{joined})(?![\w'’-])", re.I if ignore_case else 0)


def split_units(text: str, language: Language) -> list[Unit]:
    """Cut a text into units; joining `text + space` of all gives the text back."""
    units: list[Unit] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        body = line.rstrip()
        space = line[len(body) :]
        if not body and units:
            units[-1] = replace(units[-1], space=units[-1].space + space)
            continue
        fence = body.lstrip().startswith("```")
        if fenced or fence or _STRUCTURED.search(body) or (_SPEAKER.match(body) and "\n" in text):
            units.append(Unit(body, space, prose=False))
        else:
            units += _sentences(body, space, language)
        fenced ^= fence
    return units


def _sentences(line: str, space: str, language: Language) -> list[Unit]:
    units, start = [], 0
    for match in _SENTENCE_END[language].finditer(line):
        if match.end() == len(line) or _ABBREVIATION.search(line[max(start, match.end() - 16) : match.end()]):
            continue
        if not _quotes_closed(line[start : match.end()]):
            continue
        sentence = line[start : match.end()]
        units.append(Unit(sentence.rstrip(), sentence[len(sentence.rstrip()) :], prose=True))
        start = match.end()
    return [*units, Unit(line[start:], space, prose=True)]


def _quotes_closed(text: str) -> bool:
    return text.count('"') % 2 == 0 and all(
        text.count(pair[0]) == text.count(pair[1]) for pair in ("“”", "「」", "《》")
    )


def join_units(units: Sequence[Unit]) -> str:
    """The text of some units."""
    return "".join(unit.text + unit.space for unit in units).strip()


def expand(text: str, language: Language, rng: random.Random) -> str:
    """Three sentences in front: a scene, a tone and a rule."""
    bank = _bank(language)
    added = [_phrase(rng.choice(bank.data[part]), bank, rng) for part in ("scene", "tone", "rule")]
    return _in_front(("" if language == "zh" else " ").join(added), text, language)


def crossover(first: str, second: str, language: Language, rng: random.Random) -> str:
    """The scene of one parent in front of the question's surroundings of the other, cut between units."""
    blocks = [_blocks(split_units(text.strip(), language)) for text in (first, second)]
    if rng.random() < 0.5:
        blocks.reverse()
    head, tail = blocks
    if not _before_slot(head):
        head, tail = tail, head
    start = _before_slot(head) or [
        Unit(_phrase(rng.choice(_bank(language).data["scene"]), _bank(language), rng), " ", True)
    ]
    keep = rng.randint((len(start) + 1) // 2, len(start))
    asked = len(_before_slot(tail))
    rest = tail[rng.randint(asked - min(asked, 2), asked) :]
    end = start[:keep]
    lines = "\n" in end[-1].space or not (end[-1].prose and rest[0].prose)
    gap = "\n" if lines else ("" if language == "zh" else " ")
    end[-1] = replace(end[-1], space=gap)
    return join_units([*end, *rest])


def _before_slot(units: Sequence[Unit]) -> list[Unit]:
    for index, unit in enumerate(units):
        if unit.slot:
            return list(units[:index])
    return list(units)


def _blocks(units: Sequence[Unit]) -> list[Unit]:
    """Units with each run of lines that are not prose made into one, so that no cut falls inside code."""
    blocks: list[Unit] = []
    for unit in units:
        if blocks and not unit.prose and not blocks[-1].prose:
            last = blocks[-1]
            blocks[-1] = Unit(last.text + last.space + unit.text, unit.space, prose=False)
        else:
            blocks.append(unit)
    return blocks


def generate_similar(text: str, language: Language, rng: random.Random) -> str:
    """Other places, people, things and names in the same form; the same word changes in the same way throughout.

    A text that offers fewer than two such words gets a scene in front and is reworded as well.
    """
    bank = _bank(language)
    chosen: dict[str, str] = {}

    def swap(match: re.Match[str]) -> str:
        word, article = _entry(match)
        if word not in chosen:
            taken = set(chosen.values())
            options = [option for option in bank.swap_of[word] if option not in taken]
            chosen[word] = rng.choice(options or list(bank.swap_of[word]))
        return _with_article(article, chosen[word], bank)

    shift = rng.choice((-30, -20, -10, 10, 20, 30))
    changed = bank.swaps.sub(swap, text)
    changed = _YEAR.sub(lambda match: str(int(match.group()) + shift), changed)
    if len(chosen) >= 2:
        return changed
    scene = _phrase(rng.choice(bank.data["scene"]), bank, rng)
    return _in_front(scene, _reword(changed, language, rng)[0], language)


def rephrase(text: str, language: Language, rng: random.Random) -> str:
    """Synonyms for about half of the words that have some, and sometimes two sentences the other way round."""
    units = _reorder(split_units(text.strip(), language), language, rng)
    changed, count = _reword(join_units(units), language, rng)
    if count >= 2:
        return changed
    bank = _bank(language)
    prose = any(unit.prose for unit in units)
    return _in_front(
        rng.choice(bank.data["opening"] if units[0].prose and prose else bank.data["lead_in"]), changed, language
    )


def shorten(text: str, language: Language, rng: random.Random) -> str:
    """Some sentences, clauses and fillers fewer.

    First to go are sentences that carry neither the slot nor the frame, then clauses, remarks in brackets and
    fillers; where there is nothing of the kind, a sentence of the frame, or two turns of a transcript, as long as
    half of what stands before the slot is left. What remains is reworded.
    """
    units = split_units(text.strip(), language)
    bank = _bank(language)
    spare = [i for i, unit in enumerate(units) if unit.prose and not unit.slot and not bank.frame.search(unit.text)]
    if len(spare) > 1 and len(spare) == sum(not unit.slot for unit in units):
        spare.remove(rng.choice(spare))
    drop = set(rng.sample(spare, rng.randint(1, (len(spare) + 1) // 2))) if spare else set()
    kept = _without(units, drop)
    cut = [_cut(unit, language, rng) if unit.prose else unit for unit in kept]
    if not drop and cut == kept:
        cut = _drop_frame(kept, rng)
    return _reword(join_units(cut), language, rng)[0]


def _cut(unit: Unit, language: Language, rng: random.Random) -> Unit:
    """A sentence without some of its clauses, brackets and fillers."""
    bank = _bank(language)
    text = _PARENTHESES.sub("", unit.text)
    comma = "，" if language == "zh" else ", "
    clauses = text.split(comma)
    starts = tuple(bank.data["clause_starts"])
    droppable = [
        index
        for index, clause in enumerate(clauses)
        if index and SLOT not in clause and clause.lower().startswith(starts) and _quotes_closed(clause)
    ]
    if droppable:
        index = rng.choice(droppable)
        stop = re.search(r"[.!?:。！？：；]+\s*$", clauses[index])
        clauses.pop(index)
        text = comma.join(clauses)
        if stop and index == len(clauses):
            text = text.rstrip(" ,，.:") + stop.group()
    shorter = {entry[0].lower(): entry[1] for entry in bank.data["fillers"]}

    def condense(match: re.Match[str]) -> str:
        word, article = _entry(match)
        if rng.random() >= REWORD_CHANCE:
            return match.group()
        return f"{article} {shorter[word.lower()]}" if article else shorter[word.lower()]

    text = bank.fillers.sub(condense, text)
    text = re.sub(r" {2,}", " ", re.sub(r"\s+([,.;:!?])", r"\1", text)).strip()
    text = text.lstrip(",，; ")
    return replace(unit, text=text[:1].upper() + text[1:] if unit.text[:1].isupper() else text)


def _drop_frame(units: Sequence[Unit], rng: random.Random) -> list[Unit]:
    """The units without one sentence, or without two neighbouring turns of a transcript, that stand before the slot."""
    before = len(_before_slot(units))
    options = [(i,) for i in range(before) if units[i].prose]
    turns = [bool(_SPEAKER.match(unit.text)) for unit in units[:before]]
    options_of_two = [(i, i + 1) for i in range(before - 1) if turns[i] and turns[i + 1]]
    loose = [(i,) for i in range(before) if not units[i].prose and _LOOSE_LINE.match(units[i].text)]
    possible: list[tuple[int, ...]] = [*options, *options_of_two, *loose]
    possible = [option for option in possible if len(option) * 2 <= before]
    if not possible:
        return list(units)
    drop = rng.choice(possible)
    return _without(units, drop)


def _without(units: Sequence[Unit], drop: Container[int]) -> list[Unit]:
    """The units but for some; a line that loses its last sentence still ends."""
    kept: list[Unit] = []
    for index, unit in enumerate(units):
        if index not in drop:
            kept.append(unit)
        elif kept and "\n" in unit.space and "\n" not in kept[-1].space:
            kept[-1] = replace(kept[-1], space=unit.space)
    return kept


def _reorder(units: list[Unit], language: Language, rng: random.Random) -> list[Unit]:
    """With even chance, two neighbouring sentences that point to nothing before them change places."""
    points_back = _bank(language).anaphora
    free = [
        i
        for i in range(1, len(units) - 1)
        if all(
            unit.prose
            and not unit.slot
            and not points_back.match(unit.text)
            and not re.search(r"[\"“”「」]|[:：]$", unit.text)
            for unit in units[i : i + 2]
        )
    ]
    if free and rng.random() < 0.5:
        i = rng.choice(free)
        one, two = units[i], units[i + 1]
        units[i], units[i + 1] = replace(two, space=one.space), replace(one, space=two.space)
    return units


def _reword(text: str, language: Language, rng: random.Random) -> tuple[str, int]:
    """Synonyms put into the prose and the speeches of a text; also how many."""
    bank = _bank(language)
    count = 0

    def synonym(match: re.Match[str]) -> str:
        nonlocal count
        word, article = _entry(match)
        if rng.random() >= REWORD_CHANCE:
            return match.group()
        count += 1
        new = rng.choice(bank.synonym_of[word.lower()])
        return _with_article(article, _like(word, new), bank)

    parts = []
    for unit in split_units(text, language):
        speaker = _SPEAKER.match(unit.text)
        if unit.prose:
            changed = bank.synonyms.sub(synonym, unit.text)
        elif speaker:
            changed = speaker.group() + bank.synonyms.sub(synonym, unit.text[speaker.end() :])
        else:
            changed = unit.text
        parts.append(changed + unit.space)
    return "".join(parts), count


def _entry(match: re.Match[str]) -> tuple[str, str]:
    """The entry of a match and the article before it, which may be empty."""
    groups = match.groupdict()
    return groups.get("entry") or match.group(), groups.get("article") or ""


def _like(old: str, new: str) -> str:
    """`new` with the capitals of `old`."""
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def _with_article(article: str, word: str, bank: _Bank) -> str:
    """The word behind the article that fits its first sound; no article, no change."""
    if not article:
        return word
    first = word.lower()
    vowel = first.startswith(tuple(bank.data["silent_h"])) or (
        first[0] in "aeiou" and not first.startswith(("uni", "use", "eu", "one"))
    )
    return f"{article[0]}{'n' if vowel else ''} {word}"


def _phrase(pattern: str, bank: _Bank, rng: random.Random) -> str:
    """A sentence of the bank with its classes drawn, no member twice."""
    classes = bank.data["swap"] | bank.data["scenery"]
    used: set[str] = set()

    def draw(match: re.Match[str]) -> str:
        article, with_article, plain = match.groups()
        options = [word for word in classes[with_article or plain] if word not in used]
        word = rng.choice(options)
        used.add(word)
        return _with_article(article or "", word, bank)

    sentence = _ARTICLE.sub(draw, pattern)
    return sentence[:1].upper() + sentence[1:]


def _in_front(added: str, text: str, language: Language) -> str:
    """Put a sentence in front of a text: on the same line before prose, on its own before anything else."""
    first = split_units(text, language)[0]
    if not first.prose or "\n" in first.space:
        return f"{added}\n{text}"
    return f"{added}{'' if language == 'zh' else ' '}{text}"
