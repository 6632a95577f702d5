"""Identity cards: what is true of a model family and of its maker.

The catalogue ships as `cards.toml`. A user's own card is a TOML file of one table:

```toml
name = "Aurora"                      # required: what the model calls itself
maker = "Borealis Labs"              # required: a maker of the catalogue (id, name or alias), or a new one
aliases = ["Aurora Chat"]            # other names of the model, former names too
aliases_zh = ["极光"]
common = ["Dawn"]                    # names that are also words; they count only beside "model" or a version
products = ["Borealis Search"]       # other things of the same maker
based_on = ["llama"]                 # families it was openly built from: naming them is true
maker_aliases = ["Borealis"]         # these five only describe a new maker
maker_aliases_zh = ["北极光实验室"]
country = "Norway"
country_zh = "挪威"
headquarters = "Oslo"
```
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hydrometer.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Maker:
    """Who builds models.

    Attributes:
        id: short lower-case key.
        name: its usual English name.
        aliases: other English names, former ones and units included; matched in any case.
        cased: names that are also words (`Meta`, `Apple`); matched only in this capitalisation.
        aliases_zh: Chinese names.
        country: where it is at home, in English.
        country_zh: the same in Chinese.
        headquarters: city of its head office.
        places: other true answers to "where are you from", in both languages.
        affiliates: other bodies that may truly be named as makers of its models.
    """

    id: str
    name: str
    aliases: Names = ()
    cased: Names = ()
    aliases_zh: Names = ()
    country: str = ""
    country_zh: str = ""
    headquarters: str = ""
    places: Names = ()
    affiliates: Names = ()

    @property
    def names(self) -> Names:
        """All names, the usual one first."""
        return (self.name, *self.aliases, *self.cased, *self.aliases_zh)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models that share a name.

    Attributes:
        id: short lower-case key.
        name: its usual English name.
        maker: id of its maker.
        aliases: other English names; matched in any case.
        cased: names that are also words; matched only in this capitalisation.
        common: names so common (`Nova`, `Yi`) that they count only beside "model" or a version number.
        aliases_zh: Chinese names.
        products: other things of the same maker.
        based_on: ids of the families that it was openly built from.
        patterns: regular expressions over a normalised model name.
    """

    id: str
    name: str
    maker: str
    aliases: Names = ()
    cased: Names = ()
    common: Names = ()
    aliases_zh: Names = ()
    products: Names = ()
    based_on: Names = ()
    patterns: Names = ()

    @property
    def names(self) -> Names:
        """All names, the usual one first."""
        return (self.name, *self.aliases, *self.cased, *self.common, *self.aliases_zh)


@dataclass(frozen=True, slots=True)
class IdentityCard:
    """What is true of one subject: its family and the maker of that family."""

    family: Family
    maker: Maker

    @property
    def name(self) -> str:
        """The family's usual name."""
        return self.family.name


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All makers and families that claims are compared with; equal only to itself, so that it is a cheap key."""

    makers: tuple[Maker, ...]
    families: tuple[Family, ...]

    def maker(self, maker_id: str) -> Maker:
        """The maker with this id."""
        return next(m for m in self.makers if m.id == maker_id)

    def family(self, family_id: str) -> Family:
        """The family with this id."""
        return next(f for f in self.families if f.id == family_id)

    def card(self, family: Family) -> IdentityCard:
        """The card of a family of this catalogue."""
        return IdentityCard(family, self.maker(family.maker))

    def including(self, card: IdentityCard) -> Catalogue:
        """This catalogue with a user's card in it; the card wins where ids coincide."""
        if card.family in self.families and card.maker in self.makers:
            return self
        makers = tuple(m for m in self.makers if m.id != card.maker.id)
        families = tuple(f for f in self.families if f.id != card.family.id)
        return Catalogue((*makers, card.maker), (*families, card.family))


@lru_cache(maxsize=1)
def load_cards() -> Catalogue:
    """The catalogue that ships with hydrometer."""
    table = tomllib.loads(resources.files(__package__).joinpath("cards.toml").read_text(encoding="utf-8"))
    makers = tuple(Maker(**_tuples(row)) for row in table["maker"])
    families = tuple(Family(**_tuples(row)) for row in table["family"])
    return Catalogue(makers, families)


def card_for(model_name: str, cards: Catalogue) -> IdentityCard:
    """The card that fits a model name such as `openai/gpt-4o` or `Meta-Llama-3.1-70B-Instruct`.

    The last part of the name decides; the parts before it only where the last fits no family. Where a name
    fits several families, one that is built from another wins over it (`Llama-3.1-Nemotron-70B`), then the one
    named first (`DeepSeek-R1-Distill-Qwen-7B`).

    Raises:
        InputError: no family fits.
    """
    parts = [_normalise(part) for part in model_name.split("/") if part.strip()]
    for part in reversed(parts):
        found = _families_of(part, cards.families)
        if found:
            return cards.card(found[0])
    known = {_normalise(name): name for family in cards.families for name in family.names if name.isascii()}
    near = difflib.get_close_matches(parts[-1] if parts else "", known, n=3, cutoff=0.5)
    nearest = f" (nearest names: {', '.join(known[name] for name in near)})" if near else ""
    raise InputError(
        f"no identity card fits the model name {model_name!r}{nearest}",
        "Describe the model in a TOML file with its name and maker, and pass it with --card FILE",
    )


def load_card_file(path: Path) -> IdentityCard:
    """Read a user's own card, in the form that this module's docstring shows.

    Raises:
        InputError: unreadable file, bad TOML (with its line), unknown or missing key, wrong type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the card {path}: {error.strerror}", "Give the path of a TOML file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the card {path} is not UTF-8 text", "Save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the card {path} is not valid TOML: {error}", "Correct that line") from error
    _check_keys(table, path)
    catalogue = load_cards()
    known = {name.casefold(): maker for maker in catalogue.makers for name in (maker.id, *maker.names)}
    maker = known.get(table["maker"].strip().casefold()) or _new_maker(table)
    based_on = tuple(_family_id(name, catalogue, path) for name in table.get("based_on", ()))
    lists = {key: tuple(table.get(key, ())) for key in ("aliases", "aliases_zh", "common", "products")}
    name = table["name"].strip()
    return IdentityCard(Family(id=_own_id(name), name=name, maker=maker.id, based_on=based_on, **lists), maker)


_TEXT_KEYS = ("name", "maker", "country", "country_zh", "headquarters")
_LIST_KEYS = ("aliases", "aliases_zh", "common", "products", "based_on", "maker_aliases", "maker_aliases_zh")


def _check_keys(table: dict[str, Any], path: Path) -> None:
    for key, value in table.items():
        if key not in (*_TEXT_KEYS, *_LIST_KEYS):
            near = difflib.get_close_matches(key, (*_TEXT_KEYS, *_LIST_KEYS), n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join((*_TEXT_KEYS, *_LIST_KEYS))}"
            raise InputError(f"unknown key {key!r} in the card {path}", hint)
        wanted = "a text" if key in _TEXT_KEYS else "a list of non-empty texts"
        right = isinstance(value, str) if key in _TEXT_KEYS else _is_name_list(value)
        if not right:
            raise InputError(f"{key!r} in the card {path} must be {wanted}", f"Correct {key!r}")
    for key in ("name", "maker"):
        if not table.get(key, "").strip():
            raise InputError(f"the card {path} has no {key}", f'Add a line such as {key} = "..."')


def _is_name_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name.strip() for name in value)


def _new_maker(table: dict[str, Any]) -> Maker:
    name = table["maker"].strip()
    return Maker(
        id=_own_id(name),
        name=name,
        aliases=tuple(table.get("maker_aliases", ())),
        aliases_zh=tuple(table.get("maker_aliases_zh", ())),
        country=table.get("country", ""),
        country_zh=table.get("country_zh", ""),
        headquarters=table.get("headquarters", ""),
    )


def _family_id(name: str, catalogue: Catalogue, path: Path) -> str:
    known = {n.casefold(): family.id for family in catalogue.families for n in (family.id, *family.names)}
    found = known.get(name.strip().casefold())
    if found is None:
        near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else "Name a family of the catalogue"
        raise InputError(f"unknown family {name!r} under 'based_on' in the card {path}", hint)
    return found


def _own_id(name: str) -> str:
    return "own:" + " ".join(name.casefold().split())


def _normalise(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.casefold()).strip("-")


def _families_of(name: str, families: tuple[Family, ...]) -> list[Family]:
    """The families whose patterns are in a normalised name, the best first."""
    found: list[tuple[int, Family]] = []
    for family in families:
        starts = [match.start() for pattern in family.patterns if (match := re.search(pattern, name))]
        if starts:
            found.append((min(starts), family))
    found = found or [(0, family) for family in families if _own_name(name, family)]
    bases = {base for _, family in found for base in family.based_on}
    built = [item for item in found if item[1].id not in bases] or found
    return [family for _, family in sorted(built, key=lambda item: item[0])]


def _own_name(name: str, family: Family) -> bool:
    return name in {_normalise(own) for own in (family.id, family.name)}


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
