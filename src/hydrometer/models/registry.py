"""From a model's name to a model: `provider/name`, each provider imported only when it is used."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hydrometer.errors import ModelError
from hydrometer.models.base import Endpoint
from hydrometer.models.presets import presets

if TYPE_CHECKING:
    from collections.abc import Callable

    from hydrometer.models.base import Model


@dataclass(frozen=True, slots=True)
class Provider:
    """One line of the listing.

    Attributes:
        name: prefix of the model names.
        title: what it is.
        keys: environment variables that may hold its key.
        key_set: whether one of them is set; `None` where no key is used.
        key_required: whether it answers nothing without a key.
        address: where it is reached, empty where nothing is reached.
        package: the package it needs beyond the core, empty for none.
        installed: whether that package is there.
    """

    name: str
    title: str
    keys: tuple[str, ...] = ()
    key_set: bool | None = None
    key_required: bool = False
    address: str = ""
    package: str = ""
    installed: bool = True


def _anthropic(name: str, rest: str, endpoint: Endpoint) -> Model:
    from hydrometer.models.anthropic import AnthropicModel

    return AnthropicModel(name, rest, endpoint)


def _hf(name: str, rest: str, endpoint: Endpoint) -> Model:
    from hydrometer.models.hf import load

    return load(name, rest, endpoint)


def _embedded(name: str, rest: str, endpoint: Endpoint) -> Model:
    from hydrometer.models.embedded import EmbeddedModel

    return EmbeddedModel(name, rest, endpoint)


def _replay(name: str, rest: str, _: Endpoint) -> Model:
    from hydrometer.models.replay import ReplayModel

    return ReplayModel(name, rest)


def _scripted(name: str, rest: str, _: Endpoint) -> Model:
    from hydrometer.models.scripted import from_name

    return from_name(name, rest)


@dataclass(frozen=True, slots=True)
class _Own:
    """A provider that is not a preset: how to build it, and the package it needs."""

    build: Callable[[str, str, Endpoint], Model]
    title: str
    package: str = ""
    extra: str = ""
    keys: tuple[str, ...] = ()
    listed: bool = True


_OWN = {
    "embedded": _Own(
        _embedded, "models that run inside hydrometer (GGUF files through llama.cpp)", "xllamacpp", "embedded"
    ),
    "anthropic": _Own(_anthropic, "Anthropic", "anthropic", "anthropic", ("ANTHROPIC_API_KEY",)),
    "hf": _Own(_hf, "local models through Hugging Face transformers", "transformers", "hf"),
    "replay": _Own(_replay, "recorded answers from a Parquet, JSON Lines or CSV file"),
    "scripted": _Own(_scripted, "deterministic test double", listed=False),
}


def resolve(name: str, endpoint: Endpoint | None = None) -> Model:
    """Set up the model of that name. Nothing is sent yet.

    Args:
        name: `provider/name`, for instance `openai/gpt-4o-2024-08-06` or `replay/answers.parquet`.
        endpoint: what the user adds or overrides.

    Raises:
        ModelError: unknown provider, missing key, package, file or address.
    """
    endpoint = endpoint or Endpoint()
    prefix, slash, rest = name.partition("/")
    if endpoint.timeout_s <= 0:
        raise ModelError(f"A time limit of {endpoint.timeout_s:g} s for {name}", "Give a positive number of seconds")
    own, preset = _OWN.get(prefix), presets().get(prefix)
    if (own is not None or preset is not None) and not rest.strip():
        raise ModelError(f"'{name}' names no model", f"Write {prefix}/NAME")
    if preset is not None:
        from hydrometer.models.openai_compatible import from_preset

        return from_preset(name, preset, rest, endpoint)
    if own is None:
        raise _unknown(name, prefix if slash else "")
    if own.package and importlib.util.find_spec(own.package) is None:
        raise ModelError(f"{prefix}/ needs the package {own.package}", f"Run: pip install 'hydrometer[{own.extra}]'")
    return own.build(name, rest, endpoint)


def _unknown(name: str, prefix: str) -> ModelError:
    names = [*(key for key, own in _OWN.items() if own.listed), *presets()]
    if not prefix:
        example = "embedded/smollm2-135m-instruct" if name not in names else f"{name}/NAME"
        return ModelError(
            f"'{name}' is not of the form provider/name",
            f"For instance {example}; `hydrometer models` lists the providers",
        )
    near = get_close_matches(prefix.lower(), names, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(f'{one}/' for one in near)}? " if near else ""
    return ModelError(
        f"Unknown provider '{prefix}' in '{name}'",
        f"{meant}`hydrometer models` lists the providers; any other server: compatible/NAME with --base-url",
    )


def providers() -> tuple[Provider, ...]:
    """All providers for the listing, hydrometer's own first, then the presets in the order of their table."""
    import os

    own = [
        Provider(
            name=name,
            title=entry.title,
            keys=entry.keys,
            key_set=any(os.environ.get(key) for key in entry.keys) if entry.keys else None,
            key_required=bool(entry.keys),
            package=entry.package,
            installed=not entry.package or importlib.util.find_spec(entry.package) is not None,
        )
        for name, entry in _OWN.items()
        if entry.listed
    ]
    services = [
        Provider(
            name=preset.name,
            title=preset.title,
            keys=preset.keys,
            key_set=any(os.environ.get(key) for key in preset.keys) if preset.keys else None,
            key_required=not preset.local,
            address=preset.url or (f"${preset.address}" if preset.address else "--base-url"),
        )
        for preset in presets().values()
    ]
    return (*own, *services)
