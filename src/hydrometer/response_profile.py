"""What is in a response set, model by model, and the set as one file of our own form."""

from __future__ import annotations

import tempfile
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hydrometer.errors import InputError
from hydrometer.files import replacing
from hydrometer.findings import Finding
from hydrometer.response_checks import LANGUAGES, language_codes
from hydrometer.response_table import ResponseTable

if TYPE_CHECKING:
    import polars as pl

#: A word, or a Chinese character.
_WORD = r"\p{Han}|[^\s\p{Han}]+"
#: Headings, lists, tables, code, bold.
_MARKDOWN = r"(?m)^\s*(?:#{1,6} |[-*+] |\d+[.)] |\|)|\*\*|`"


class ModelProfile(Finding):
    """The answers of one model.

    Attributes:
        model: its name.
        prompts: prompts with an answer that is not empty.
        answers: answers that are not empty.
        samples: most answers to one prompt.
        empty: answers that are empty.
        median_words: of an answer; a Chinese character counts as a word. None without answers.
        formatted: share of the answers with headings, lists, tables, code or bold. None without answers.
        languages: answers by language, as far as the script tells (`en`, `zh`, `und`).
    """

    model: str
    prompts: int
    answers: int
    samples: int
    empty: int
    median_words: float | None
    formatted: float | None
    languages: dict[str, int]


class SetProfile(Finding):
    """A response set.

    Attributes:
        models: in natural order of their names.
        prompts: prompts that any model was given.
        common_prompts: prompts that every model answered.
        answers: answers that are not empty.
        notes: what a reader should know about the set.
    """

    models: list[ModelProfile]
    prompts: int
    common_prompts: int
    answers: int
    notes: list[str]


def profile(table: ResponseTable) -> SetProfile:
    """Counts, lengths, formatting and languages of a set, in one pass over its answers."""
    import polars as pl

    parts = []
    for batch in table.batches():
        text = pl.col("response")
        parts.append(
            batch.select(
                "prompt",
                "model",
                words=text.str.count_matches(_WORD),
                formatted=text.str.contains(_MARKDOWN),
                language=language_codes(batch["response"]),
            )
        )
    by_model = pl.concat(parts).partition_by("model", as_dict=True) if parts else {}
    empty = np.bincount(table.empty["model"].to_numpy(), minlength=len(table.models))
    models = [_model(name, by_model.get((number,)), int(empty[number])) for number, name in enumerate(table.models)]
    return SetProfile(
        models=models,
        prompts=len(table.prompts),
        common_prompts=int(table.answered.all(axis=0).sum()),
        answers=sum(one.answers for one in models),
        notes=list(table.notes),
    )


def _model(name: str, answers: pl.DataFrame | None, empty: int) -> ModelProfile:
    if answers is None:
        return ModelProfile(
            model=name, prompts=0, answers=0, samples=0, empty=empty, median_words=None, formatted=None, languages={}
        )
    by_prompt = np.bincount(answers["prompt"].to_numpy())
    by_language = np.bincount(answers["language"].to_numpy(), minlength=len(LANGUAGES))
    return ModelProfile(
        model=name,
        prompts=int((by_prompt > 0).sum()),
        answers=answers.height,
        samples=int(by_prompt.max()),
        empty=empty,
        median_words=float(np.median(answers["words"].to_numpy())),
        formatted=float(answers["formatted"].to_numpy().mean()),
        languages={LANGUAGES[code]: int(count) for code, count in enumerate(by_language) if count},
    )


def check_table_path(path: Path) -> None:
    """Refuse a name for a set that is not Parquet's, best before the set is read.

    Raises:
        InputError: not a .parquet name.
    """
    if path.suffix != ".parquet":
        raise InputError(f"{path} does not end in .parquet", "A response set is written as Parquet.")


def write_table(path: Path, table: ResponseTable) -> None:
    """Write a set as Parquet: `model`, `prompt_id`, `sample`, `response`, `prompt`, `category`, `language`.

    What is not recorded of a prompt is empty; empty answers are kept.

    Raises:
        InputError: not a .parquet name, or it cannot be written.
    """
    import polars as pl

    check_table_path(path)
    models = pl.Series(table.models, dtype=pl.String)
    prompts = pl.DataFrame(
        {
            "prompt_id": table.prompts,
            "prompt": [table.texts.get(name, "") for name in table.prompts],
            "category": [table.categories.get(name, "") for name in table.prompts],
            "language": [table.languages.get(name, "") for name in table.prompts],
        },
        schema=dict.fromkeys(("prompt_id", "prompt", "category", "language"), pl.String),
    )

    def named(answers: pl.DataFrame) -> pl.DataFrame:
        about = prompts[answers["prompt"]]
        first = answers.select(
            pl.lit(models[answers["model"]]).alias("model"), about["prompt_id"], "sample", "response"
        )
        return first.hstack(about.drop("prompt_id"))

    with replacing(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent, prefix=".hydrometer-") as folder:
        empty = table.empty.with_columns(response=pl.lit(""))
        for number, batch in enumerate(chain(table.batches(), [empty])):
            named(batch).write_parquet(Path(folder) / f"{number:06}.parquet")
        pl.scan_parquet(Path(folder) / "*.parquet").sink_parquet(temporary)
