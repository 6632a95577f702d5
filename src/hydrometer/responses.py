"""Response sets: recorded answers of one or several models, the one form in which they enter a measure.

A table `model, prompt_id, sample, response`, optionally with `prompt` (or `turns`), `category`, `language` and `set`,
as Parquet, jsonl, json or csv; also AlpacaEval's `model_outputs.json` (`instruction, output, generator`) and the
`model_answer/*.jsonl` of MT-Bench and Arena-Hard (`question_id`, `model_id` or `model`, `choices` or `messages`). One
model of a file is addressed as `FILE#NAME`.

Only the rows of the models asked for are held; Parquet is filtered while it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydrometer.errors import InputError
from hydrometer.rows import Row, content_id, csv_rows, json_rows, jsonl_rows

_PREFIX = "replay/"
_COLUMNS = ("model", "prompt_id", "sample", "response", "prompt", "turns", "category", "language", "set")
#: Between the answers of one conversation, where they are shown as one text.
TURN_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded answer.

    Attributes:
        prompt_id: which prompt it answers.
        sample: index of the draw, from 0.
        turns: the answer to each turn of the user; a text that is empty was recorded empty.
        prompt: the user's turns, empty where they are not recorded.
        category: of the prompt.
        language: of the prompt.
        set: of the prompt.
    """

    prompt_id: str
    sample: int
    turns: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    category: str = ""
    language: str = ""
    set: str = ""

    @property
    def text(self) -> str:
        """All answers of the conversation."""
        return TURN_BREAK.join(self.turns)


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
    if path.suffix.lower() == ".parquet":
        import polars as pl

        if "model" in _schema(path):
            column = pl.scan_parquet(path).select(pl.col("model").cast(pl.String)).unique(maintain_order=True)
            return [str(name) for name in column.collect()["model"] if name is not None]
    return list(dict.fromkeys(_model(row, path) for row in _rows(path, None)))


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
    for row in _rows(path, chosen):
        model = _model(row, path)
        if chosen is not None and model not in chosen:
            continue
        responses = by_model.setdefault(model, Responses(model))
        for recorded in _recorded(row):
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


def _schema(path: Path) -> list[str]:
    import polars as pl

    try:
        return list(pl.scan_parquet(path).collect_schema())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name}: not a readable Parquet file ({error})", "Write it anew.") from error


def _rows(path: Path, chosen: set[str] | None) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_rows(path, chosen)
    if suffix in {".jsonl", ".ndjson"}:
        return jsonl_rows(path)
    if suffix == ".json":
        return json_rows(path)
    if suffix == ".csv":
        return csv_rows(path, "response")
    raise InputError(f"{path} is of no known form", "Known forms: .parquet, .jsonl, .ndjson, .json, .csv.")


def _parquet_rows(path: Path, chosen: set[str] | None) -> Iterator[Row]:
    import polars as pl

    names = _schema(path)
    lazy = pl.scan_parquet(path).with_row_index("row", 1)
    if "model" in names:
        lazy = lazy.select("row", *(name for name in _COLUMNS if name in names))
        if chosen is not None:
            lazy = lazy.filter(pl.col("model").cast(pl.String).is_in(sorted(chosen)))
    try:
        table = lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name}: not a readable Parquet file ({error})", "Write it anew.") from error
    for fields in table.iter_rows(named=True):
        yield Row(f"{path.name}, row {fields.pop('row')}", fields)


def _model(row: Row, path: Path) -> str:
    for name in ("model", "model_id", "generator"):
        if row.fields.get(name):
            return str(row.fields[name])
    return path.stem


def _recorded(row: Row) -> Iterable[Recorded]:
    fields = row.fields
    if "choices" in fields:
        return _of_choices(row)
    if isinstance(fields.get("messages"), list):
        messages = [item for item in fields["messages"] if isinstance(item, dict)]
        asked = tuple(_text(row, item.get("content")) for item in messages if item.get("role") == "user")
        turns = tuple(_text(row, item.get("content")) for item in messages if item.get("role") == "assistant")
        return [Recorded(_id(row, asked), 0, turns, asked, **_labels(fields))]
    answer = next((fields[name] for name in ("response", "output") if name in fields), row)
    if answer is row:
        row.fail(
            "no answer: none of `response`, `output`, `choices`, `messages`", "Columns: model, prompt_id, response."
        )
    asked = _asked(row)
    return [Recorded(_id(row, asked), _sample(row), _answer(row, answer), asked, **_labels(fields))]


def _of_choices(row: Row) -> list[Recorded]:
    """MT-Bench's and Arena-Hard's form: each choice is a sample with the answers to all turns."""
    choices = row.fields["choices"]
    if not isinstance(choices, list) or not all(
        isinstance(one, dict) and isinstance(one.get("turns"), list) for one in choices
    ):
        row.fail("`choices` is not a list of objects with `turns`")
    asked = _asked(row)
    return [
        Recorded(_id(row, asked), number, _answer(row, choice["turns"]), asked, **_labels(row.fields))
        for number, choice in enumerate(choices)
    ]


def _answer(row: Row, value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(row, item.get("content") if isinstance(item, dict) else item) for item in value)
    return (_text(row, value),)


def _asked(row: Row) -> tuple[str, ...]:
    fields = row.fields
    if isinstance(fields.get("turns"), list):
        return _answer(row, fields["turns"])
    value = next((fields[name] for name in ("prompt", "instruction") if fields.get(name)), None)
    return () if value is None else _answer(row, value)


def _id(row: Row, asked: tuple[str, ...]) -> str:
    for name in ("prompt_id", "question_id", "uid"):
        if row.fields.get(name) not in (None, ""):
            return str(row.fields[name])
    if not asked:
        row.fail("no `prompt_id` and no prompt", "Say which prompt is answered.")
    return content_id("prompt", TURN_BREAK.join(asked))


def _sample(row: Row) -> int:
    value = row.fields.get("sample")
    if value in (None, ""):
        return 0
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < 0:
        row.fail(f"the sample is {str(value)[:20]!r}", "Number samples from 0.")
    return number


def _labels(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(fields[name]) for name in ("category", "language", "set") if fields.get(name) is not None}


def _text(row: Row, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        row.fail(f"an answer is {type(value).__name__}, not text")
    return value
