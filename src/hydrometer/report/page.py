"""What all self-contained pages share: escaping templates, files of the package, and hashes that allow them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hydrometer.report.visible import label, visible

if TYPE_CHECKING:
    from jinja2 import Environment


def trusted(text: str) -> Any:
    """Our own text as markup that is not escaped again; never give it a model's."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, and JSON in which no markup can begin


def asset(name: str) -> str:
    """A text file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def sha256(text: str) -> str:
    """The hash by which a content security policy allows an inline script or style."""
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates that escape everything and make every text visible."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.PackageLoader("hydrometer", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["label"] = label
    return found
