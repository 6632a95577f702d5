"""A reference population: what is needed of many models' answers to tell what two others share, without the texts.

A file holds the habits of all answers, thinned to one feature in `THINNING` by hash (the same features for every model,
so similarities stay what they are but for noise), as hashes from which no text can be read. Features that one answer
alone has are counted, not listed. Two models of a user's are joined to the population prompt by prompt and measured
like any other models of it.
"""

from __future__ import annotations

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
from hydrometer.rows import content_id

if TYPE_CHECKING:
    from hydrometer.response_table import ResponseTable

VERSION = 1
_LARGEST = 65_535
#: One feature in so many is kept, a power of two.
THINNING = 8
_FORMAT = "hydrometer reference population"
_HABITS = [WORDS, PHRASE, OPENING, MARKS, TEMPLATE, len(KINDS)]
_ARRAYS: dict[str, type[np.unsignedinteger[Any] | np.float32]] = {
    "model": np.uint16,
    "sample": np.uint16,
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
    """

    def __init__(self, population: Population, table: ResponseTable) -> None:
        kept = [number for number, name in enumerate(population.models) if name not in table.models]
        self.models = tuple(population.models[number] for number in kept)
        self._thinning = np.uint64(population.thinning - 1)
        self._habits = population.habits
        self._place = np.full(len(population.models), -1)
        self._place[kept] = len(table.models) + np.arange(len(kept))
        self._prompt = _matched(population, table)
        self.shared = int((self._prompt >= 0).sum())
        if not self.shared:
            raise InputError(
                f"none of the {len(table.prompts)} prompts is among the {len(population.prompts)} of the population",
                "Have the models answer the population's prompts, or build one on yours.",
            )

    def join(self, one: PromptHabits) -> PromptHabits | None:
        """The answers of a table to a prompt and the population's, or None where the population has none."""
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
        return PromptHabits(
            prompt=one.prompt,
            answer_model=np.concatenate([one.answer_model, model[kept]]),
            answer_sample=np.concatenate([one.answer_sample, other.answer_sample[kept]]),
            features=features,
            row=row,
            column=column,
            words=np.concatenate([one.words, other.words[kept]]),
            word_length=np.concatenate([one.word_length, other.word_length[kept]]),
            alone=np.concatenate([one.alone, other.alone[kept]]),
        )


def thinned(features: Hashes, mask: np.uint64) -> NDArray[np.bool_]:
    """Which features are kept in a population."""
    return np.asarray((features & mask) == 0)


def _keys(features: Hashes, row: Codes) -> Hashes:
    return np.asarray((features << np.uint64(16)) | row.astype(np.uint64))


def _matched(population: Population, table: ResponseTable) -> Codes:
    """The population's prompt of each of the table's, -1 for none: by the text's hash, else by id."""
    by_text = {text: number for number, text in enumerate(population.texts) if text}
    by_id = {name: number for number, name in enumerate(population.prompts)}
    out = np.full(len(table.prompts), -1, dtype=np.int64)
    for number, name in enumerate(table.prompts):
        text = _text_hash(table, name)
        found = by_text.get(text, -1) if text else -1
        if found < 0 and name in by_id and not (text and population.texts[by_id[name]]):
            found = by_id[name]
        out[number] = found
    return out


def _text_hash(table: ResponseTable, prompt: str) -> str:
    text = table.texts.get(prompt, "")
    return content_id("prompt", text) if text else ""


def build_population(table: ResponseTable, thinning: int = THINNING) -> Population:
    """A reference population of all models of a table.

    Args:
        table: recorded answers.
        thinning: one feature in so many is kept, a power of two.

    Raises:
        InputError: too many models or answers to a prompt, or a thinning that is no power of two.
    """
    if thinning < 1 or thinning & (thinning - 1):
        raise InputError(f"thinning is {thinning}", "Give a power of two: 1, 2, 4, 8, 16.")
    if len(table.models) >= MAX_ANSWERS:
        raise InputError(f"{len(table.models)} models are too many for one population", f"At most {MAX_ANSWERS - 1}.")
    found = tuple(_thin(one, np.uint64(thinning - 1)) for one in habits(table))
    prompts = tuple(table.prompts[one.prompt] for one in found)
    return Population(table.models, prompts, tuple(_text_hash(table, name) for name in prompts), found, thinning)


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
    arrays: dict[str, NDArray[Any]] = {
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
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)


def _joined(pieces: Sequence[NDArray[Any]], name: str) -> NDArray[Any]:
    kind = _ARRAYS[name]
    whole = np.concatenate([np.zeros(0, dtype=kind), *pieces])
    return whole.astype(kind) if kind in {np.float32, np.uint64} else np.minimum(whole, _LARGEST).astype(kind)


def read_population(path: Path) -> Population:
    """Read a population.

    Raises:
        InputError: there is no such file, it is no population, damaged, or of a newer version.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", "Make one with `hydrometer population build`.")
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes().decode())
            if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
                raise ValueError("no population")
            _check_version(path, meta)
            arrays = {name: np.asarray(archive[name]) for name in _ARRAYS}
        return _unpacked(meta, arrays)
    except (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no reference population, or it is damaged", "Make one with `hydrometer population build`."
        ) from error


def _check_version(path: Path, meta: dict[str, Any]) -> None:
    if int(meta["version"]) > VERSION:
        raise InputError(
            f"{path} is of version {int(meta['version'])}, this program reads up to {VERSION}", "Upgrade hydrometer."
        )
    if meta["habits"] != _HABITS:
        raise InputError(f"{path} was made with other features than this program's", "Build the population anew.")


def _unpacked(meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Population:
    models, prompts, texts = (tuple(map(str, meta[name])) for name in ("models", "prompts", "texts"))
    for name, kind in _ARRAYS.items():
        if arrays[name].dtype != kind or arrays[name].ndim != 1:
            raise ValueError(name)
    kinds = len(KINDS)
    answers, listed = np.cumsum(arrays["answers"]).tolist(), np.cumsum(arrays["listed"]).tolist()
    entries = np.concatenate([[0], np.cumsum(arrays["holders"].astype(np.int64))])
    thinning = int(meta["thinning"])
    if not len(prompts) == len(texts) == len(answers) == len(listed) or thinning < 1 or thinning & (thinning - 1):
        raise ValueError("shape")
    if (answers or [0])[-1] != len(arrays["model"]) or entries[-1] != len(arrays["row"]):
        raise ValueError("shape")
    if len(arrays["model"]) and int(arrays["model"].max()) >= len(models):
        raise ValueError("model")
    out = []
    for number in range(len(prompts)):
        who = slice(answers[number - 1] if number else 0, answers[number])
        what = slice(listed[number - 1] if number else 0, listed[number])
        m = who.stop - who.start
        row = arrays["row"][entries[what.start] : entries[what.stop]].astype(np.int64)
        if len(row) and int(row.max()) >= m:
            raise ValueError("row")
        out.append(
            PromptHabits(
                prompt=number,
                answer_model=arrays["model"][who].astype(np.int64),
                answer_sample=arrays["sample"][who].astype(np.int64),
                features=np.cumsum(arrays["steps"][what], dtype=np.uint64),
                row=row,
                column=np.repeat(np.arange(what.stop - what.start), arrays["holders"][what]),
                words=arrays["words"][who].astype(np.int64),
                word_length=arrays["word_length"][who].astype(np.float64),
                alone=arrays["alone"][who.start * kinds : who.stop * kinds].astype(np.int64).reshape(m, kinds),
            )
        )
    return Population(models, prompts, texts, tuple(out), thinning)
