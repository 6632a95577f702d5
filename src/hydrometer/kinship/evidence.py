"""Evidence of a relation: the prompts that carry it most, both answers to them, and the rare phrases they share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hydrometer.errors import InputError
from hydrometer.findings import Finding
from hydrometer.kinship.habits import CHARACTERS
from hydrometer.kinship.pairs import STRONGEST, PairBlocks, pair_index

if TYPE_CHECKING:
    from hydrometer.response_table import ResponseTable

#: A phrase that a larger share of the other models use on the prompt is not rare.
RARE = 0.1
#: Phrases shown of one prompt at most.
PHRASES = 6

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*|[^\w\s]")
_LETTERS = re.compile(rf"[^\W{_UNSPACED}]{{2}}")


class Phrase(Finding):
    """A run of words that both answers use.

    Attributes:
        text: as the first model wrote it.
        in_a: characters of the first answer, from and up to.
        in_b: characters of the second answer.
        others: how many other models use it in their answer to this prompt.
        of: how many other models answered it.
    """

    text: str
    in_a: tuple[int, int]
    in_b: tuple[int, int]
    others: int
    of: int


class SharedPrompt(Finding):
    """A prompt that carries a relation.

    Attributes:
        prompt: its id.
        text: its own text, empty where it is not recorded.
        contribution: residual similarity of the two answers to it.
        answer_a: of the first model.
        answer_b: of the second.
        phrases: the rare phrases that they share, the most telling first.
    """

    prompt: str
    text: str
    contribution: float
    answer_a: str
    answer_b: str
    phrases: tuple[Phrase, ...]


class Evidence(Finding):
    """What a relation rests on.

    Attributes:
        a: first model.
        b: second model.
        prompts: of those that carry it most, the ones with rare phrases first; the strongest first.
        alike: groups of prompts on which the two are more alike than expected of them.
        of: groups of prompts that both answered; a group is one prompt, or several where there are more than 256.
    """

    a: str
    b: str
    alike: int
    of: int
    prompts: tuple[SharedPrompt, ...]


def evidence(
    table: ResponseTable, pairs: PairBlocks, wanted: Sequence[tuple[str, str]], *, prompts: int = STRONGEST
) -> list[Evidence]:
    """The prompts that carry some pairs' relations most, and what their answers share there.

    Prompts on which the two share a rare phrase come before those where only many small habits add up. Which prompts
    carry it is known from `residual_pairs`; only their answers are read again.

    Args:
        table: the answers.
        pairs: their similarities.
        wanted: pairs of model names.
        prompts: how many for each pair, at most `STRONGEST`.

    Raises:
        InputError: a name that is not in the table, or similarities that are not of answers.
    """
    if pairs.strongest is None or pairs.carried is None:
        raise InputError("these similarities are not of answers, so that no prompts carry them")
    n = len(pairs.models)
    found: dict[tuple[int, int], SharedPrompt] = {}
    sought: dict[int, list[int]] = {}
    ends = [(table.find(a), table.find(b)) for a, b in wanted]
    places = [int(pair_index(np.array(sorted(pair)), n)[0]) for pair in ends]
    for number, place in enumerate(places):
        for prompt in pairs.strongest[place].tolist():
            sought.setdefault(prompt, []).append(number)
    for part in _parts(table, [prompt for prompt in sought if prompt >= 0]):
        prompt = int(part["prompt"][0])
        for number in sought[prompt]:
            rank = pairs.strongest[places[number]].tolist().index(prompt)
            carried = float(pairs.carried[places[number], rank])
            found[number, rank] = _shared(table, part, prompt, ends[number], carried)
    told = []
    for number, (a, b) in enumerate(wanted):
        ranks = [rank for rank in range(STRONGEST) if (number, rank) in found]
        kept = sorted(ranks, key=lambda rank: (not found[number, rank].phrases, rank))[:prompts]
        answered = pairs.common[:, places[number]] > 0
        alike = answered & (pairs.residual[:, places[number]] > 0)
        shown = tuple(found[number, rank] for rank in kept)
        told.append(Evidence(a=a, b=b, alike=int(alike.sum()), of=int(answered.sum()), prompts=shown))
    return told


def _parts(table: ResponseTable, prompts: Sequence[int]) -> Iterator[pl.DataFrame]:
    """The answers to each of some prompts."""
    for batch in table.batches():
        kept = batch.filter(pl.col("prompt").is_in(sorted(prompts)))
        yield from kept.partition_by("prompt", maintain_order=True)


def _shared(
    table: ResponseTable, part: pl.DataFrame, prompt: int, pair: tuple[int, int], carried: float
) -> SharedPrompt:
    answers: dict[int, list[str]] = {}
    for model, text in part.select("model", "response").iter_rows():
        answers.setdefault(model, []).append(text or "")
    a, b = answers[pair[0]][0], answers[pair[1]][0]
    others = [texts for model, texts in answers.items() if model not in pair]
    name = table.prompts[prompt]
    return SharedPrompt(
        prompt=name,
        text=table.texts.get(name, ""),
        contribution=round(carried, 4),
        answer_a=a,
        answer_b=b,
        phrases=tuple(shared_phrases(a, b, others)),
    )


def shared_phrases(a: str, b: str, others: Sequence[Sequence[str]]) -> list[Phrase]:
    """The rare phrases that two answers share: those of many words that few others use, none within another.

    Args:
        a: the first answer.
        b: the second.
        others: the answers of each other model to the same prompt.
    """
    spans_a, words_a = _tokens(a)
    spans_b, words_b = _tokens(b)
    read = [[_plain(text) for text in texts] for texts in others]
    users: dict[str, int] = {}
    ranked = []
    for start_a, start_b, length in common_runs(words_a, words_b):
        telling = sum(word[0].isalnum() for word in words_a[start_a : start_a + length])
        if not telling:
            continue
        phrase = _plain(a[spans_a[start_a][0] : spans_a[start_a + length - 1][1]])
        if phrase not in users:
            users[phrase] = sum(any(_uses(text, phrase) for text in texts) for texts in read)
        used = users[phrase]
        if used <= RARE * len(read):
            score = telling * math.log((len(read) + 1) / (used + 1) + 1)
            ranked.append((-score, start_a, start_b, length, used))
    chosen: list[Phrase] = []
    for _, start_a, start_b, length, used in sorted(ranked):
        in_a = (spans_a[start_a][0], spans_a[start_a + length - 1][1])
        in_b = (spans_b[start_b][0], spans_b[start_b + length - 1][1])
        if all(_apart(in_a, one.in_a) and _apart(in_b, one.in_b) for one in chosen):
            chosen.append(Phrase(text=a[slice(*in_a)], in_a=in_a, in_b=in_b, others=used, of=len(read)))
        if len(chosen) == PHRASES:
            break
    return chosen


def common_runs(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int]]:
    """Runs of equal tokens that cannot be made longer: start in `a`, start in `b`, length."""
    numbers: dict[str, int] = {}
    first = np.array([numbers.setdefault(word, len(numbers)) for word in a], dtype=np.int64)
    second = np.array([numbers.setdefault(word, len(numbers)) for word in b], dtype=np.int64)
    if not len(first) or not len(second):
        return []
    equal = np.zeros((len(first) + 2, len(second) + 2), dtype=bool)
    equal[1:-1, 1:-1] = first[:, None] == second[None, :]
    length = np.zeros(equal.shape, dtype=np.int64)
    for i in range(len(first), 0, -1):
        length[i, :-1] = np.where(equal[i, :-1], length[i + 1, 1:] + 1, 0)
    begins = np.nonzero(equal[1:-1, 1:-1] & ~equal[:-2, :-2])
    return [(int(i), int(j), int(length[i + 1, j + 1])) for i, j in zip(*begins, strict=True)]


def _tokens(text: str) -> tuple[list[tuple[int, int]], list[str]]:
    """Where the words and marks of what is read of an answer stand, and what they are."""
    found = list(_TOKEN.finditer(text[:CHARACTERS]))
    return [match.span() for match in found], [match.group().lower().replace("’", "'") for match in found]


def _plain(text: str) -> str:
    """What is read of a text, without capitals and with single spaces."""
    return " ".join(text[:CHARACTERS].lower().replace("’", "'").split())


def _uses(text: str, phrase: str) -> bool:
    """Whether a plain text holds a plain phrase, not within longer words; scripts without spaces have no such."""
    at = text.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not (_glued(text[at - 1 : at], phrase[0]) or _glued(phrase[-1], text[end : end + 1])):
            return True
        at = text.find(phrase, at + 1)
    return False


def _glued(left: str, right: str) -> bool:
    return bool(_LETTERS.fullmatch(left + right))


def _apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[1] <= other[0] or other[1] <= one[0]
