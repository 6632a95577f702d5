"""Recorded answers of one or several models, addressed as `replay/FILE`, `replay/FILE#NAME` or `FILE#NAME`.

A file is of any form that `response_formats` knows. Only the answers of the models asked for are held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from hydrometer.errors import InputError
from hydrometer.response_formats.files import models_of, read_answers, source_of
from hydrometer.response_formats.record import TURN_BREAK, Recorded

__all__ = ["TURN_BREAK", "Recorded", "Responses", "is_recorded", "models_in", "read_responses", "same_model"]

_PREFIX = "replay/"


@dataclass(slots=True)
class Responses:
    """The recorded answers of one model.

    Attributes:
        model: its name in the file.
        answers: by prompt id and sample.
        empty: how many of them are blank.
    """

    model: str
    answers: dict[tuple[str, int], Recorded] = field(default_factory=dict)
    empty: int = 0

    def prompts(self) -> dict[str, Recorded]:
        """The first sample of each prompt, in the order of the file."""
        return {prompt_id: row for (prompt_id, sample), row in self.answers.items() if sample == 0}


def is_recorded(name: str) -> bool:
    """Whether a model's name stands for a file of answers: `replay/FILE`, `replay/FILE#NAME` or `FILE#NAME`."""
    return name.startswith(_PREFIX) or ("#" in name and Path(name.rpartition("#")[0]).expanduser().is_file())


def same_model(a: str, b: str) -> bool:
    """Whether two names stand for one model, however the file of its answers is written."""
    if not (is_recorded(a) and is_recorded(b)):
        return a == b
    (path, model), (other_path, other) = _split(a), _split(b)
    return path.resolve() == other_path.resolve() and (model == other or None in (model, other))


def read_responses(names: Sequence[str]) -> dict[str, Responses]:
    """The recorded answers of several models; a file that several share is read once.

    Args:
        names: each as `is_recorded` knows it; a file with one model needs no `#NAME`.

    Returns:
        By the names given, in their order.

    Raises:
        InputError: no such file or model (near names are given), several models and none named, a duplicated row, a
            malformed row.
    """
    wanted: dict[Path, list[tuple[str, str | None]]] = {}
    for name in dict.fromkeys(names):
        path, model = _split(name)
        wanted.setdefault(path, []).append((name, model))
    found: dict[str, Responses] = {}
    for path, pairs in wanted.items():
        chosen = None if any(model is None for _, model in pairs) else {model for _, model in pairs if model}
        by_model = _read(path, chosen)
        for name, model in pairs:
            found[name] = by_model[_choose(path, model, by_model)]
    return {name: found[name] for name in names}


def models_in(path: Path) -> list[str]:
    """Names of the models of a file, in their order."""
    return models_of(source_of(path))


def _split(name: str) -> tuple[Path, str | None]:
    rest = name.removeprefix(_PREFIX)
    path = Path(rest).expanduser()
    if "#" in rest and not path.is_file():
        file, _, model = rest.rpartition("#")
        return Path(file).expanduser(), model
    return path, None


def _read(path: Path, chosen: set[str] | None) -> dict[str, Responses]:
    if not path.is_file():
        raise InputError(f"There is no file {path}", "Write replay/FILE, or replay/FILE#NAME for one of its models.")
    by_model: dict[str, Responses] = {}
    places: dict[tuple[str, str, int], str] = {}
    for row, model, recorded in read_answers(source_of(path), chosen):
        responses = by_model.setdefault(model, Responses(model))
        key = (recorded.prompt_id, recorded.sample)
        if key in responses.answers:
            first = places[model, *key]
            row.fail(
                f"a second answer of {model} to prompt {key[0]!r}, sample {key[1]} (the first: {first})",
                "Remove one, or number repeated draws in a column `sample`.",
            )
        responses.answers[key] = recorded
        places[model, *key] = row.where
        responses.empty += not recorded.text.strip()
    return by_model


def _choose(path: Path, model: str | None, by_model: Mapping[str, Responses]) -> str:
    if model in by_model:
        return str(model)
    names = list(by_model) if model is None else models_in(path)
    if not names:
        raise InputError(f"{path} holds no answers", "Columns wanted: model, prompt_id, response.")
    if model is None:
        if len(names) == 1:
            return names[0]
        listing = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise InputError(f"{path} holds {len(names)} models: {listing}", f"Name one: replay/{path}#{names[0]}.")
    near = get_close_matches(model, names, n=3, cutoff=0.4) or names[:3]
    raise InputError(f"{path} holds no answers of {model!r}", f"Did you mean {' or '.join(near)}?")
