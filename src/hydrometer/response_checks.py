"""What a reader of a response set should know: gaps, empty, repeated, constant and copied answers, mixed languages.

The checks look at one key an answer, never at the texts: prompt, model and sample (numbers), whether it is empty, its
size in bytes, a hash of its text and its language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from hydrometer.errors import InputError
from hydrometer.rows import HAN, KANA_OR_HANGUL, LATIN_WORD  # one rule for the language of a text

if TYPE_CHECKING:
    import polars as pl

    from hydrometer.response_table import ResponseTable

#: With fewer prompts no verdict is possible.
FEW_PROMPTS = 10
LANGUAGES = ("und", "en", "zh")
#: A model that gives one text to this share of the prompts answers everything alike.
_CONSTANT = 0.9
#: Shares of identical answers from which two models are told together, and from which they look like one.
_SHARED, _SAME = 0.1, 0.95
#: Shorter answers ("yes", "B") agree by chance.
_LONG = 40
#: A model whose median answer is below this share of the other models' hardly answers.
_HARDLY = 0.05
#: Shares of a language among prompts, and of a model's answers that depart from it, from which they are told.
_MIXED, _DEPARTS = 0.05, 0.2
#: A character that leaves a mark: no white space, control or format character.
_SEEN = r"[^\s\p{Cc}\p{Cf}]"
#: Letters whose language is told, and prompts by which pairs of models are screened.
_HEAD, _SCREEN = 200, 128
_LISTED = 5


def answer_keys(responses: pl.Series) -> pl.DataFrame:
    """What the checks look at: columns `empty`, `size`, `hash` and `language` (an index into `LANGUAGES`)."""
    texts = responses.str.strip_chars()
    return texts.to_frame("text").select(
        empty=~texts.str.contains(_SEEN),
        size=texts.str.len_bytes(),
        hash=texts.hash(),
        language=language_codes(texts.str.slice(0, _HEAD)),
    )


def language_codes(texts: pl.Series) -> pl.Series:
    """Indices into `LANGUAGES`, by the rule of `rows.detect_language`."""
    import polars as pl

    codes = texts.str.contains(LATIN_WORD.pattern).cast(pl.UInt8).to_numpy().copy()
    wide = texts.str.len_bytes() != texts.str.len_chars()
    searched = texts.filter(wide)
    chinese = searched.str.count_matches(HAN.pattern) > searched.str.count_matches(LATIN_WORD.pattern)
    found = np.where(chinese.to_numpy(), LANGUAGES.index("zh"), codes[wide.to_numpy()])
    found[searched.str.contains(KANA_OR_HANGUL.pattern).to_numpy()] = LANGUAGES.index("und")
    codes[wide.to_numpy()] = found
    return pl.Series(codes)


def repeated(keys: pl.DataFrame) -> pl.DataFrame:
    """The keys of answers to one prompt, of one model and sample, that are there more than once."""
    import polars as pl

    return keys.filter(pl.struct("prompt", "model", "sample").is_duplicated())


def notes(models: Sequence[str], prompts: int, keys: pl.DataFrame) -> Iterator[str]:
    """One line for each thing found; names are quoted so that none can drive a terminal.

    Args:
        models: their names.
        prompts: how many there are.
        keys: one row an answer, with `prompt`, `model` and the columns of `answer_keys`.
    """
    import polars as pl

    recorded = np.zeros((len(models), prompts), np.bool_)
    recorded[keys["model"].to_numpy(), keys["prompt"].to_numpy()] = True
    if prompts < FEW_PROMPTS:
        yield f"only {counted(prompts, 'prompt')}: too few for a verdict, which needs {FEW_PROMPTS}"
    if len(models) == 1:
        yield f"one model only: {models[0]!r}"
    yield from _alike(models)
    missing = prompts - recorded.sum(axis=1)
    if missing.any():
        listing = _largest(models, missing)
        yield f"{int(missing.sum())} of {recorded.size} pairs of model and prompt without an answer: {listing}"
    apart = int((np.triu(recorded.astype(np.float32) @ recorded.T.astype(np.float32) + 1, 1) == 1).sum())
    if apart:
        yield f"{counted(apart, 'pair')} of models without a prompt in common"
    empty = np.bincount(keys.filter("empty")["model"].to_numpy(), minlength=len(models))
    if empty.any():
        yield f"{counted(int(empty.sum()), 'empty answer')} left out: {_largest(models, empty)}"
    first = keys.filter(~pl.col("empty")).unique(("prompt", "model"), keep="first", maintain_order=True)
    constant = _constant(first)
    for model, share in sorted(constant.items()):
        yield f"{models[model]!r} answers everything alike: one text for {share:.0%} of its prompts"
    yield from _hardly(models, first, constant)
    yield from _copies(models, prompts, first)
    yield from _languages(models, prompts, first)


def require_models(table: ResponseTable, *, at_least: int = 2) -> None:
    """Refuse a set with too few models.

    Raises:
        InputError: fewer models have answers.
    """
    count = int(table.answered.any(axis=1).sum())
    if count < at_least:
        names = ", ".join(repr(name) for name in table.models[:_LISTED])
        raise InputError(
            f"the responses hold answers of {counted(count, 'model')} ({names}), {at_least} are needed",
            "Give more files, or reference models with --population.",
        )


def require_common_prompts(table: ResponseTable, models: Iterable[str] | None = None, *, at_least: int = 1) -> None:
    """Refuse models of which no two, or not all of those named, answered the same prompts.

    Args:
        table: the answers.
        models: all of these must share prompts; None where any two models of the set suffice.
        at_least: how many prompts.

    Raises:
        InputError: there are fewer.
    """
    if models is None:
        count = int((table.answered.sum(axis=0) >= 2).sum())
        who = "no two models"
    else:
        count = int(table.answered[[table.find(name) for name in models]].all(axis=0).sum())
        who = " and ".join(repr(name) for name in models)
    if count < at_least:
        raise InputError(
            f"{who} answered {'the same prompt' if models is None else counted(count, 'prompt') + ' in common'}"
            + ("" if at_least == 1 else f", {at_least} are needed"),
            "Prompts are matched by prompt_id, or by their text where there is none.",
        )


def degenerate_models(table: ResponseTable) -> dict[str, str]:
    """Models that say nothing of their own, and how: one text for nearly all prompts, or next to nothing."""
    import polars as pl

    keys = pl.concat(
        batch.select("prompt", "model").hstack(answer_keys(batch["response"])) for batch in table.batches()
    )
    first = keys.unique(("prompt", "model"), keep="first", maintain_order=True)
    constant = _constant(first)
    found = dict.fromkeys(constant, "answers everything alike")
    found |= {model: "hardly answers" for model, _, _ in _terse(first) if model not in constant}
    return {table.models[model]: found[model] for model in sorted(found)}


def _constant(first: pl.DataFrame) -> dict[int, float]:
    """Share of the commonest text, of models that have hardly another."""
    import polars as pl

    if first.is_empty():
        return {}
    shares = (
        first.group_by("model", "hash")
        .len()
        .group_by("model")
        .agg(pl.col("len").max() / pl.col("len").sum(), answers=pl.col("len").sum())
        .filter((pl.col("len") >= _CONSTANT) & (pl.col("answers") > 1))
    )
    return {int(model): float(share) for model, share, _ in shares.iter_rows()}


def _hardly(models: Sequence[str], first: pl.DataFrame, constant: dict[int, float]) -> Iterator[str]:
    for model, size, usual in _terse(first):
        if model not in constant:
            yield f"{models[model]!r} hardly answers: its median answer has {size:.0f} bytes, the models' {usual:.0f}"


def _terse(first: pl.DataFrame) -> list[tuple[int, float, float]]:
    """Models that hardly answer, with the bytes of their median answer and of the models'."""
    import polars as pl

    medians = first.group_by("model").agg(pl.col("size").median()).sort("model")
    usual = medians["size"].median()
    if not isinstance(usual, float) or usual < _LONG:
        return []
    return [(model, size, usual) for model, size in medians.iter_rows() if size < _HARDLY * usual]


def _copies(models: Sequence[str], prompts: int, first: pl.DataFrame) -> Iterator[str]:
    """Pairs of models that give the same answers."""
    model, prompt = first["model"].to_numpy(), first["prompt"].to_numpy()
    hashes = np.zeros((len(models), prompts), np.uint64)
    hashes[model, prompt] = first["hash"].to_numpy()
    long = np.zeros(hashes.shape, np.bool_)
    long[model, prompt] = first["size"].to_numpy() >= _LONG
    screen = hashes[:, :: max(1, prompts // _SCREEN)]
    found = []
    for a in range(len(models)):
        likely = ((screen[a] == screen[a + 1 :]) & (screen[a] != 0)).mean(axis=1) > _SHARED / 4
        for b in (np.flatnonzero(likely) + a + 1).tolist():
            common = (hashes[a] != 0) & (hashes[b] != 0)
            same = common & (hashes[a] == hashes[b])
            of = int(common.sum())
            share = same.sum() / max(of, 1)
            one_model = share >= _SAME and of >= FEW_PROMPTS
            if one_model or (same & long[a]).sum() >= max(_SHARED * of, 1):
                found.append((float(share), a, b, int(same.sum()), of))
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    for share, a, b, same_answers, of in found[: 2 * _LISTED]:
        shared = counted(of, "prompt")
        ending = ": one model under two names?" if share >= _SAME else ""
        yield f"{models[a]!r} and {models[b]!r} give the same answer to {same_answers} of {shared}{ending}"
    if len(found) > 2 * _LISTED:
        yield f"{counted(len(found) - 2 * _LISTED, 'more pair')} of models with answers in common"


def _languages(models: Sequence[str], prompts: int, first: pl.DataFrame) -> Iterator[str]:
    counts = np.zeros((prompts, len(LANGUAGES)), np.int64)
    model, prompt, language = (first[name].to_numpy() for name in ("model", "prompt", "language"))
    np.add.at(counts, (prompt, language), 1)
    answered = counts.sum(axis=1) > 0
    usual = counts.argmax(axis=1)
    of_prompts = np.bincount(usual[answered], minlength=len(LANGUAGES))
    if (of_prompts[1:] >= _MIXED * max(int(answered.sum()), 1)).sum() > 1:
        names = ("neither English nor Chinese", *LANGUAGES[1:])
        listing = ", ".join(f"{name} {count}" for name, count in zip(names, of_prompts, strict=True) if count)
        yield f"prompts are answered in several languages: {listing}"
    if len(models) > 2:
        departs = (language != usual[prompt]) & (language > 0) & (usual[prompt] > 0)
        shares = np.bincount(model[departs], minlength=len(models)) / np.maximum(
            np.bincount(model, minlength=len(models)), 1
        )
        for one in np.flatnonzero(shares >= _DEPARTS).tolist():
            yield f"{models[one]!r} answers {shares[one]:.0%} of its prompts in another language than most models"


def counted(count: int, noun: str) -> str:
    """The count with its noun, which takes an s in the plural."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _alike(models: Sequence[str]) -> Iterator[str]:
    """Names that look the same; written in ASCII, for in print nobody could tell them apart."""
    groups: dict[str, list[str]] = {}
    for name in models:
        groups.setdefault(normalize("NFC", name).strip(), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            listing = " and ".join(ascii(name) for name in group[:_LISTED])
            yield f"{listing} differ only in spaces or in how their characters are coded: one model?"


def _largest(models: Sequence[str], counts: NDArray[np.int64]) -> str:
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda one: (-counts[one], one))
    more = f" and {len(order) - _LISTED} more" if len(order) > _LISTED else ""
    return ", ".join(f"{models[one]!r} {counts[one]}" for one in order[:_LISTED]) + more
