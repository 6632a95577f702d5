"""Templates: contexts with a slot for an identity question; the shipped ones, loaders and fair subsets."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hydrometer.errors import InputError
from hydrometer.rows import (
    Loaded,
    Row,
    content_id,
    csv_rows,
    detect_language,
    jsonl_rows,
    parse_json,
    read_text,
    toml_rows,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SLOT = "{query}"
#: The slot in the seed files of GPTFuzz (Yu et al. 2023).
GPTFUZZ_SLOT = "[INSERT PROMPT HERE]"
#: The rule of the hard score of Lee et al. 2025: a template with any of these, in any case, is misleading.
HARD_KEYWORDS = ("openai", "gpt", "anthropic", "claude")
IMPORTED = "imported"
_FIELDS = ("id", "kind", "language", "leading", "parent", "mutator", "text")


@dataclass(frozen=True, slots=True)
class Template:
    """A context that puts a model's self-image under pressure.

    Attributes:
        id: unique name.
        text: the context, with `SLOT` where the question goes.
        kind: the device it uses (`role-play`, `log-file`, ...).
        language: `en`, `zh`, ...
        leading: whether it names a model or vendor, so that an answer that names one may only repeat it.
        parent: ids of the templates that it was made from, empty for a seed.
        mutator: what made it from them, `None` for a seed.
    """

    id: str
    text: str
    kind: str
    language: str
    leading: bool
    parent: tuple[str, ...] = ()
    mutator: str | None = None


def fill(template_text: str, query: str) -> str:
    """Put a question into a template, literally: no other character of either has a meaning.

    Every `SLOT` is replaced (imported templates may have several). Without one the question follows the
    template after a blank line.
    """
    if SLOT in template_text:
        return template_text.replace(SLOT, query)
    return f"{template_text}\n\n{query}"


def is_leading(text: str, names: Sequence[str] = HARD_KEYWORDS, *, whole_words: bool = False) -> bool:
    """Whether a text holds any of the names, in any case.

    Args:
        text: a template, with or without its slot.
        names: names of models and vendors. The default is the rule of the hard score of Lee et al. 2025.
        whole_words: count a name only where no Latin letter touches it, so that "Phi" is not found in
            "philosophy" ("Qwen" is still found in "Qwen2.5"). By default a name counts anywhere, as the hard
            score needs ("gpt" in "LiveGPT").
    """
    return _names_pattern(tuple(names), whole_words).search(text.casefold()) is not None


@lru_cache(maxsize=32)
def _names_pattern(names: tuple[str, ...], whole_words: bool) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(name.strip().casefold()) for name in names if name.strip())
    if not alternatives:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<![a-z])(?:{alternatives})(?![a-z])" if whole_words else alternatives)


def load_templates() -> tuple[Template, ...]:
    """The shipped templates, in English and Chinese; about a third are leading."""
    text = resources.files(__package__).joinpath("templates.toml").read_text(encoding="utf-8")
    rows = toml_rows(text, "templates.toml", "template")
    return unique(((row, _template(row, HARD_KEYWORDS, False)) for row in rows), "templates.toml").items


def load_template_file(
    path: Path,
    *,
    section: str | None = None,
    names: Sequence[str] = HARD_KEYWORDS,
    allow_missing_slot: bool = False,
) -> Loaded[Template]:
    """Read templates from a file or folder; `[INSERT PROMPT HERE]` becomes the slot everywhere.

    Args:
        path: one of
            `.csv` as in GPTFuzz: column `text`, and optionally `id`, `kind`, `language`; an id gets the file's
            name in front, because GPTFuzz only numbers its rows;
            `.json` as in EasyJailbreak: a list of texts or any nesting of objects that ends in such lists;
            `.jsonl` or `.toml` (`[[template]]`) with the fields of `Template`, of which only `text` is needed;
            a folder of `.txt` files, one template each.
        section: for `.json`, read only what is under these keys, such as `attack/Gptfuzzer`, in any case.
        names: a template whose file does not say whether it is leading is leading by `is_leading` with these.
        allow_missing_slot: accept templates without a slot; `fill` then appends the question.

    Raises:
        InputError: the file is unreadable, malformed, empty or of another form, or a template has no slot;
            with the line, entry or file name.
    """
    suffix = path.suffix.lower()
    if section is not None and (suffix != ".json" or path.is_dir()):
        raise InputError(f"{path}: only a .json file has sections", "Leave the section out")
    if path.is_dir():
        rows = _folder_rows(path)
    elif suffix == ".csv":
        rows = (_csv_template(row, path.stem) for row in csv_rows(path, "text"))
    elif suffix == ".json":
        rows = _json_rows(path, section)
    elif suffix == ".jsonl":
        rows = jsonl_rows(path)
    elif suffix == ".toml":
        rows = toml_rows(read_text(path), path.name, "template")
    else:
        raise InputError(
            f"{path}: unknown form of template file", "Use .csv, .json, .jsonl, .toml or a folder of .txt files"
        )
    return unique(((row, _template(row, names, allow_missing_slot)) for row in rows), str(path))


def select_templates(templates: Sequence[Template], n: int, seed: int) -> tuple[Template, ...]:
    """A seeded sample of `n` templates that keeps the proportions of the whole; in the given order.

    Systematic sampling: the templates are ordered so that those of one leading flag, language and kind stand
    together, in random order within and between kinds, and every (N/n)-th is taken from a random start. Each
    template is thus equally likely, and the number taken from any group that stands together is its exact
    share rounded up or down: leading or not, each of two languages, and each kind within both.

    Args:
        templates: where to choose from.
        n: how many, from 1 to all of them.
        seed: makes the choice repeatable.

    Raises:
        InputError: `n` is out of range.
    """
    if not 1 <= n <= len(templates):
        raise InputError(f"cannot choose {n} of {len(templates)} templates", f"Ask for 1 to {len(templates)}")
    rng = random.Random(seed)
    start = rng.randrange(len(templates))
    languages = sorted({template.language for template in templates})
    groups = [(True, language) for language in languages] + [(False, language) for language in reversed(languages)]
    order: list[int] = []
    for leading, language in groups:
        kinds: dict[str, list[int]] = {}
        for index, template in enumerate(templates):
            if (template.leading, template.language) == (leading, language):
                kinds.setdefault(template.kind, []).append(index)
        for kind in rng.sample(sorted(kinds), len(kinds)):
            order += rng.sample(kinds[kind], len(kinds[kind]))
    chosen = [order[(start + turn * len(order)) // n] for turn in range(n)]
    return tuple(templates[index] for index in sorted(chosen))


def _template(row: Row, names: Sequence[str], allow_missing_slot: bool) -> Template:
    row.check_fields(_FIELDS)
    text = row.text("text").replace(GPTFUZZ_SLOT, SLOT)
    if SLOT not in text and not allow_missing_slot:
        row.fail(
            f"the template has no slot {SLOT}",
            f"Write {SLOT} where the question goes, or choose a list whose texts have it, as attack/Gptfuzzer",
        )
    leading = row.fields.get("leading", is_leading(text, names))
    if not isinstance(leading, bool):
        row.fail("'leading' is neither true nor false")
    parent = row.fields.get("parent", [])
    if not isinstance(parent, list) or not all(isinstance(name, str) for name in parent):
        row.fail("'parent' is not a list of ids")
    return Template(
        id=row.text("id", content_id("t", text)),
        text=text,
        kind=row.text("kind", IMPORTED),
        language=row.text("language", detect_language(text.replace(SLOT, ""))),
        leading=leading,
        parent=tuple(parent),
        mutator=row.text("mutator", "") or None,
    )


def _csv_template(row: Row, stem: str) -> Row:
    fields: dict[str, Any] = {name: row.fields[name] for name in ("kind", "language", "text") if name in row.fields}
    if given := row.text("id", ""):
        fields["id"] = f"{stem}-{given}"
    return Row(row.where, fields)


def _folder_rows(path: Path) -> Iterator[Row]:
    for file in sorted(path.glob("*.txt")):
        yield Row(f"{path.name}/{file.name}", {"id": file.stem, "text": read_text(file)})


def _json_rows(path: Path, section: str | None) -> Iterator[Row]:
    value = parse_json(read_text(path), path.name)
    keys: list[str] = []
    for wanted in section.split("/") if section else ():
        found = {key.casefold(): key for key in value} if isinstance(value, dict) else {}
        key = found.get(wanted.casefold())
        if key is None:
            hint = f"Choose one of {', '.join(found.values())}" if found else ""
            raise InputError(f"{path.name}: no section {wanted!r} in {'/'.join(keys) or 'the file'}", hint)
        keys.append(key)
        value = value[key]
    return _json_leaves(value, keys, path.name)


def _json_leaves(value: Any, keys: Iterable[str], name: str) -> Iterator[Row]:
    keys = list(keys)
    place = f"{name}, {'/'.join(keys)}" if keys else name
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _json_leaves(inner, [*keys, key], name)
    elif isinstance(value, list):
        for number, text in enumerate(value):
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"{place}[{number}]: no text here", "Choose one list of texts, as attack/Gptfuzzer")
            yield Row(f"{place}[{number}]", {"text": text, "kind": keys[-1] if keys else IMPORTED})
    else:
        raise InputError(f"{place}: neither an object nor a list", "Give lists of texts")
