"""A reference population: what is needed of many models' answers to tell what two others share, without the texts.

A file holds the habits of all answers, thinned to one feature in `THINNING` by hash (the same features for every model,
so similarities stay what they are but for noise), as hashes from which no text can be read. Features that one answer
alone has are counted, not listed. Two models of a user's are joined to the population prompt by prompt and measured
like any other models of it. A file is checked in all its parts when it is read.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.files import replacing
from hydrometer.kinship.habits import (
    KINDS,
    MARKS,
    MAX_ANSWERS,
    OPENING,
    PHRASE,
    TEMPLATE,
    WORDS,
    PromptHabits,
    habits,
    incidence,
    kind_of,
)
from hydrometer.kinship.words import Codes, Hashes
from hydrometer.response_checks import counted
from hydrometer.rows import content_id

if TYPE_CHECKING:
    from hydrometer.response_table import ResponseTable

VERSION = 2
_LARGEST = 65_535
_MOST_THINNING = 1024
_FEATURE_BITS = np.uint64(48)
#: One feature in so many is kept, a power of two.
THINNING = 8
_FORMAT = "hydrometer reference population"
_HABITS = [WORDS, PHRASE, OPENING, MARKS, TEMPLATE, len(KINDS)]
_ARRAYS: dict[str, type[np.unsignedinteger[Any] | np.float32]] = {
    "model": np.uint16,
    "sample": np.uint32,
    "words": np.uint16,
    "word_length": np.float32,
    "alone": np.uint16,
    "answers": np.uint32,
    "steps": np.uint64,
    "listed": np.uint32,
    "holders": np.uint16,
    "row": np.uint16,
}


@dataclass(frozen=True, slots=True)
class Population:
    """Reference models and their thinned habits.

    Attributes:
        models: names.
        prompts: ids of the prompts that they answered.
        texts: hash of each prompt's text, empty where it was not recorded.
        habits: thinned features of the answers to each prompt; `alone` counts what is not listed.
        thinning: one feature in so many was kept.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    habits: tuple[PromptHabits, ...]
    thinning: int

    def joined_to(self, table: ResponseTable) -> Joined:
        """The population beside a table's models.

        Raises:
            InputError: no prompt is shared.
        """
        return Joined(self, table)


class Joined:
    """A table's models followed by those of a population that do not bear the same name.

    Attributes:
        models: names of the population's models that are added.
        shared: number of prompts that both have.
        by_id: how many of them are known to be the same by their id alone.
    """

    def __init__(self, population: Population, table: ResponseTable) -> None:
        kept = [number for number, name in enumerate(population.models) if name not in table.models]
        self.models = tuple(population.models[number] for number in kept)
        self._thinning = np.uint64(population.thinning - 1)
        self._habits = population.habits
        self._place = np.full(len(population.models), -1)
        self._place[kept] = len(table.models) + np.arange(len(kept))
        self._prompt, self.by_id = _matched(population, table)
        self.shared = int((self._prompt >= 0).sum())
        if not self.shared:
            raise InputError(
                f"the responses and the population ({counted(len(population.prompts), 'prompt')}) share no prompt",
                "Have the models answer the population's prompts, or build one on yours.",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how the two were joined, one line each."""
        if not self.by_id:
            return ()
        were = "was matched by its id alone: make sure that it is the same prompt"
        if self.by_id > 1:
            were = "were matched by their ids alone: make sure that they are the same prompts"
        return (f"{counted(self.by_id, 'prompt')} of the population {were}",)

    def join(self, one: PromptHabits) -> PromptHabits | None:
        """The answers of a table to a prompt and the population's.

        Returns:
            None where the population has none, or thinning left nothing of them all.
        """
        number = int(self._prompt[one.prompt])
        if number < 0:
            return None
        other = self._habits[number]
        model = self._place[other.answer_model]
        kept = model >= 0
        new_row = len(one.answer_model) + np.cumsum(kept) - 1
        mine = thinned(one.features, self._thinning)[one.column]
        theirs = kept[other.row]
        features, row, column = incidence(
            np.concatenate(
                [
                    _keys(one.features[one.column[mine]], one.row[mine]),
                    _keys(other.features[other.column[theirs]], new_row[other.row[theirs]]),
                ]
            )
        )
        alone = np.concatenate([one.alone, other.alone[kept]])
        if not len(features) and not alone.any():
            return None
        return PromptHabits(
            prompt=one.prompt,
            answer_model=np.concatenate([one.answer_model, model[kept]]),
            answer_sample=np.concatenate([one.answer_sample, other.answer_sample[kept]]),
            features=features,
            row=row,
            column=column,
            words=np.concatenate([one.words, other.words[kept]]),
            word_length=np.concatenate([one.word_length, other.word_length[kept]]),
            alone=alone,
        )


def thinned(features: Hashes, mask: np.uint64) -> NDArray[np.bool_]:
    """Which features are kept in a population."""
    return np.asarray((features & mask) == 0)


def _keys(features: Hashes, row: Codes) -> Hashes:
    return np.asarray((features << np.uint64(16)) | row.astype(np.uint64))


def _matched(population: Population, table: ResponseTable) -> tuple[Codes, int]:
    """The population's prompt of each of the table's, -1 for none, and how many were found by their id alone.

    The text's hash decides; the id does where one of the two has no text.

    Raises:
        InputError: an id stands for one text in the table and for another in the population.
    """
    by_text = {text: number for number, text in enumerate(population.texts) if text}
    by_id = {name: number for number, name in enumerate(population.prompts)}
    out = np.full(len(table.prompts), -1, dtype=np.int64)
    by_id_alone, differ = 0, []
    for number, name in enumerate(table.prompts):
        text = _text_hash(table, name)
        found = by_text.get(text, -1) if text else -1
        if found < 0 and name in by_id:
            if text and population.texts[by_id[name]]:
                differ.append(name)
                continue
            found = by_id[name]
            by_id_alone += 1
        out[number] = found
    if differ:
        more = f" (and {counted(len(differ) - 1, 'other id')})" if len(differ) > 1 else ""
        raise InputError(
            f"prompt id {differ[0]!r}{more} stands for another text in the population than in the responses",
            "Leave the ids out and give the texts, by which prompts are matched, or give other prompts other ids.",
        )
    return out, by_id_alone


def _text_hash(table: ResponseTable, prompt: str) -> str:
    text = table.texts.get(prompt, "")
    return content_id("prompt", text) if text else ""


def build_population(table: ResponseTable, thinning: int = THINNING) -> Population:
    """A reference population of all models of a table.

    Args:
        table: recorded answers.
        thinning: one feature in so many is kept, a power of two up to 1024.

    Raises:
        InputError: too many models or answers to a prompt, or a thinning that is no such power.
    """
    if not _is_thinning(thinning):
        raise InputError(f"thinning is {thinning}", f"Give a power of two from 1 to {_MOST_THINNING}: 8 is usual.")
    if len(table.models) >= MAX_ANSWERS:
        raise InputError(f"{len(table.models)} models are too many for one population", f"At most {MAX_ANSWERS - 1}.")
    found = tuple(_thin(one, np.uint64(thinning - 1)) for one in habits(table))
    prompts = tuple(table.prompts[one.prompt] for one in found)
    return Population(table.models, prompts, tuple(_text_hash(table, name) for name in prompts), found, thinning)


def _is_thinning(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST_THINNING and value & (value - 1) == 0


def _thin(one: PromptHabits, mask: np.uint64) -> PromptHabits:
    kept = thinned(one.features, mask)
    holders = np.bincount(one.column, minlength=len(one.features))
    listed = kept & (holders > 1)
    single = (kept & (holders == 1))[one.column]
    kinds = len(KINDS)
    place = one.row[single] * kinds + kind_of(one.features)[one.column[single]]
    alone = one.alone + np.bincount(place, minlength=len(one.answer_model) * kinds).reshape(-1, kinds)
    inside = listed[one.column]
    return PromptHabits(
        prompt=one.prompt,
        answer_model=one.answer_model,
        answer_sample=one.answer_sample,
        features=one.features[listed],
        row=one.row[inside],
        column=(np.cumsum(listed) - 1)[one.column[inside]],
        words=one.words,
        word_length=one.word_length,
        alone=alone,
    )


def write_population(path: Path, population: Population) -> None:
    """Write a population to one file (a zip of plain arrays, without pickles).

    Raises:
        InputError: it cannot be written.
    """
    parts = population.habits
    meta = {
        "format": _FORMAT,
        "version": VERSION,
        "habits": _HABITS,
        "thinning": population.thinning,
        "models": population.models,
        "prompts": population.prompts,
        "texts": population.texts,
    }
    whole: dict[str, NDArray[Any]] = {
        "meta": np.frombuffer(json.dumps(meta, ensure_ascii=False).encode(), dtype=np.uint8),
        "model": _joined([one.answer_model for one in parts], "model"),
        "sample": _joined([one.answer_sample for one in parts], "sample"),
        "words": _joined([one.words for one in parts], "words"),
        "word_length": _joined([one.word_length for one in parts], "word_length"),
        "alone": _joined([one.alone.ravel() for one in parts], "alone"),
        "answers": np.array([len(one.answer_model) for one in parts], dtype=np.uint32),
        "steps": _joined([np.diff(one.features, prepend=np.uint64(0)) for one in parts], "steps"),
        "listed": np.array([len(one.features) for one in parts], dtype=np.uint32),
        "holders": _joined([np.bincount(one.column, minlength=len(one.features)) for one in parts], "holders"),
        "row": _joined([one.row for one in parts], "row"),
    }
    arrays = {**whole, "digest": _digest(whole)}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)


def _joined(pieces: Sequence[NDArray[Any]], name: str) -> NDArray[Any]:
    kind = _ARRAYS[name]
    whole = np.concatenate([np.zeros(0, dtype=kind), *pieces])
    return np.minimum(whole, _LARGEST).astype(kind) if kind is np.uint16 else whole.astype(kind)


def _digest(arrays: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """SHA-256 of the description and of all arrays, in their order."""
    summed = hashlib.sha256()
    for name in ("meta", *_ARRAYS):
        summed.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        summed.update(np.ascontiguousarray(arrays[name]).tobytes())
    return np.frombuffer(summed.digest(), dtype=np.uint8)


def read_population(path: Path) -> Population:
    """Read a population.

    Raises:
        InputError: there is no such file, it is no population, damaged, or of another version.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", "Make one with `hydrometer population build`.")
    try:
        with zipfile.ZipFile(path) as archive:
            described = _member(archive, "meta")
            meta = json.loads(described.tobytes().decode())
            if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
                raise ValueError("it is something else")
            _check_version(path, meta)
            arrays = {name: _member(archive, name) for name in _ARRAYS}
            if not np.array_equal(_digest({"meta": described, **arrays}), _member(archive, "digest")):
                raise ValueError("its checksum is another")
        return _unpacked(meta, arrays)
    except InputError:
        raise
    except Exception as error:  # a file can hold anything, and the parts of zip and array formats fail in many ways
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{path} is no reference population, or it is damaged ({reason})",
            "Make one with `hydrometer population build`.",
        ) from error


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as handle:
        return np.asarray(np.lib.format.read_array(handle, allow_pickle=False))


def _check_version(path: Path, meta: dict[str, Any]) -> None:
    version = meta["version"]
    if type(version) is not int:
        raise ValueError("its version is no number")
    if version > VERSION:
        raise InputError(f"{path} is of version {version}, this program reads {VERSION}", "Upgrade hydrometer.")
    if version < VERSION or meta["habits"] != _HABITS:
        raise InputError(f"{path} was made with other features than this program's", "Build the population anew.")


def _unpacked(meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Population:
    models, prompts, texts = (_names(meta[name], name) for name in ("models", "prompts", "texts"))
    thinning = meta["thinning"]
    _check(_is_thinning(thinning), "thinning")
    _check(models and "" not in models and len(set(models)) == len(models), "models")
    _check(len(set(prompts)) == len(prompts) == len(texts), "prompts")
    for name, kind in _ARRAYS.items():
        _check(arrays[name].dtype == kind and arrays[name].ndim == 1, name)
    rows, kinds = len(arrays["model"]), len(KINDS)
    for name, size in (("sample", rows), ("words", rows), ("word_length", rows), ("alone", rows * kinds)):
        _check(len(arrays[name]) == size, name)
    _check(bool(np.isfinite(arrays["word_length"]).all() and (arrays["word_length"] >= 0).all()), "word_length")
    answers, listed, entries = (_bounds(arrays[name]) for name in ("answers", "listed", "holders"))
    _check(len(answers) == len(listed) == len(prompts) + 1 and answers[-1] == rows, "answers")
    _check(listed[-1] == len(arrays["steps"]) == len(arrays["holders"]), "listed")
    _check(entries[-1] == len(arrays["row"]), "holders")
    out = []
    for number in range(len(prompts)):
        who = slice(answers[number], answers[number + 1])
        what = slice(listed[number], listed[number + 1])
        one = PromptHabits(
            prompt=number,
            answer_model=arrays["model"][who].astype(np.int64),
            answer_sample=arrays["sample"][who].astype(np.int64),
            features=np.cumsum(arrays["steps"][what], dtype=np.uint64),
            row=arrays["row"][entries[what.start] : entries[what.stop]].astype(np.int64),
            column=np.repeat(np.arange(what.stop - what.start), arrays["holders"][what]),
            words=arrays["words"][who].astype(np.int64),
            word_length=arrays["word_length"][who].astype(np.float64),
            alone=arrays["alone"][who.start * kinds : who.stop * kinds].astype(np.int64).reshape(-1, kinds),
        )
        _check_prompt(one, arrays["holders"][what], len(models), thinning)
        out.append(one)
    return Population(models, prompts, texts, tuple(out), thinning)


def _check_prompt(one: PromptHabits, holders: NDArray[np.uint16], models: int, thinning: int) -> None:
    """Whether the features of a prompt are as `_thin` leaves them."""
    answers = len(one.answer_model)
    _check(0 < answers < MAX_ANSWERS and int(one.answer_model.max()) < models, "model")
    _check(_ascends(one.answer_model << 32 | one.answer_sample), "sample")
    _check(_ascends(one.features), "steps")
    _check(
        not (one.features >> _FEATURE_BITS).any() and bool(thinned(one.features, np.uint64(thinning - 1)).all()),
        "steps",
    )
    _check(bool((holders >= 2).all()), "holders")
    _check(int(one.row.max(initial=0)) < answers and _ascends(one.column << 16 | one.row), "row")


def _ascends(values: NDArray[Any]) -> bool:
    return bool((values[1:] > values[:-1]).all())


def _bounds(counts: NDArray[Any]) -> list[int]:
    """Where each of some consecutive parts begins, and where the last ends."""
    return [0, *np.cumsum(counts, dtype=np.int64).tolist()]


def _names(values: object, name: str) -> tuple[str, ...]:
    _check(isinstance(values, list) and all(isinstance(one, str) for one in values), name)
    return tuple(values) if isinstance(values, list) else ()


def _check(holds: object, part: str) -> None:
    if not holds:
        raise ValueError(f"{part} cannot be right")
