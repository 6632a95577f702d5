"""Examples of what was lost: answers that the student never gives, rare words that it never uses."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hydrometer.integrity.findings import LostAnswer, LostWord
from hydrometer.integrity.samples import Matched, words
from hydrometer.integrity.tails import RARE
from hydrometer.stats import Codes

#: Examples of each kind.
SHOWN = 12
#: Answers of a class from which on its absence is worth an example.
OFTEN = 2
#: Letters of a word worth showing; one ideograph is enough.
_LETTERS = 4


def lost_answers(matched: Matched, classes: tuple[Codes, Codes]) -> tuple[tuple[LostAnswer, ...], int, int]:
    """Classes with two or more of the teacher's answers and none of the student's.

    Returns:
        (examples, how many such classes are lost, how many classes of two or more there are).
    """
    found: list[LostAnswer] = []
    seen = 0
    teacher, student = matched.teacher, matched.student
    for row, prompt in enumerate(teacher.prompts):
        theirs, ours = classes[0][row].tolist(), classes[1][row].tolist()
        favourite = Counter(ours).most_common(1)[0][0]
        for label, count in sorted(Counter(theirs).items()):
            seen += count >= OFTEN
            if count >= OFTEN and label not in ours:
                found.append(
                    LostAnswer(
                        prompt=prompt,
                        question=teacher.questions[row],
                        answer=teacher.texts[row][theirs.index(label)],
                        count=count,
                        instead=student.texts[row][ours.index(favourite)],
                    )
                )
    found.sort(key=lambda one: -one.count)
    return tuple(found[:SHOWN]), len(found), seen


def lost_words(matched: Matched) -> tuple[LostWord, ...]:
    """Rare words that several of the teacher's answers hold and no answer of the student."""
    teacher, student = matched.teacher, matched.student
    used = frozenset(word for texts in student.texts for text in texts for word in words(text))
    asked = frozenset(word for question in teacher.questions for word in words(question))
    holders: Counter[str] = Counter()
    places: dict[str, list[str]] = {}
    for prompt, texts in zip(teacher.prompts, teacher.texts, strict=True):
        for text in texts:
            holders.update(list(dict.fromkeys(words(text))))
            for word in dict.fromkeys(words(text)):
                known = places.setdefault(word, [])
                if not known or known[-1] != prompt:
                    known.append(prompt)
    limit = max(1, int(np.floor(RARE * len(teacher.prompts))))
    lost = [
        LostWord(word=word, count=count, prompt=places[word][0])
        for word, count in holders.items()
        if count >= OFTEN
        and len(places[word]) <= limit
        and word not in used
        and word not in asked
        and (len(word) >= _LETTERS or not word.isascii())
        and not word.isdigit()
    ]
    lost.sort(key=lambda one: (-one.count, one.word))
    return tuple(lost[: 2 * SHOWN])
