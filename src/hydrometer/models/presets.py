"""The table of OpenAI-compatible services: addresses, key variables and peculiarities, read from presets.toml."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from hydrometer.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFLINE_VARIABLE = "HYDROMETER_OFFLINE"


@dataclass(frozen=True, slots=True)
class Preset:
    """One OpenAI-compatible service. The fields are explained at the head of presets.toml."""

    name: str
    title: str
    url: str = ""
    address: str = ""
    suffix: str = ""
    keys: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    local: bool = False
    concurrency: int = 512

    def base_url(self, override: str | None) -> str:
        """Address to use: the override, else the address variable, else the preset's own.

        Raises:
            ModelError: there is none, or it is not an http(s) address.
        """
        url = override or ""
        if not url and self.address and (url := os.environ.get(self.address, "").strip()):
            url = url if "://" in url else f"http://{url}"
            url = url if url.rstrip("/").endswith(self.suffix) else url.rstrip("/") + self.suffix
        url = (url or self.url).strip().rstrip("/")
        if not url:
            variable = f" or set {self.address}" if self.address else ""
            raise ModelError(f"{self.name}/ has no address of its own", f"Give --base-url URL{variable}")
        try:
            parts = urlsplit(url)
            valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise ModelError(
                f"'{public_address(url)}' is not an http or https address", "Give it as http://HOST:PORT/v1"
            )
        return url

    def key(self) -> tuple[str, str]:
        """The key and the variable it came from, both empty where none is set.

        Raises:
            ModelError: the key holds characters that no HTTP header can carry.
        """
        for variable in self.keys:
            if key := os.environ.get(variable, "").strip():
                if not (key.isascii() and key.isprintable()):
                    raise ModelError(
                        f"The key in {variable} holds characters that are not printable ASCII", f"Set {variable} anew"
                    )
                return key, variable
        return "", ""


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name, in the order of the table."""
    table = tomllib.loads(files("hydrometer.models").joinpath("presets.toml").read_text("utf-8"))
    return MappingProxyType({name: _preset(name, row) for name, row in table.items()})


def _preset(name: str, row: dict[str, Any]) -> Preset:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Preset(name=name, **cast("Any", fields))


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in {"localhost", "::1", "0.0.0.0"} or host.startswith("127.") or host.endswith(".localhost")  # noqa: S104


def public_address(url: str) -> str:
    """An address without user, password, query and fragment, fit to be shown and stored."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url.rpartition("@")[2].partition("?")[0]
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}" if parts.scheme else parts.path


def offline() -> bool:
    """Whether calls beyond this machine are forbidden (`HYDROMETER_OFFLINE` set and not 0)."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in {"", "0", "false", "no"}


def forbid_when_offline(name: str, url: str) -> None:
    """Refuse a model beyond this machine while `HYDROMETER_OFFLINE` is set.

    Raises:
        ModelError: calls to that address are forbidden now.
    """
    if offline() and not is_local(url):
        raise ModelError(
            f"{name} would call {public_address(url)}, and {OFFLINE_VARIABLE} is set",
            f"Unset {OFFLINE_VARIABLE}, or use a model on this machine",
        )
