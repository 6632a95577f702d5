"""What the pages share: one template environment that escapes everything, and content that no parser can leave."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hydrometer.report.visible import label, visible

if TYPE_CHECKING:
    from jinja2 import Environment


def embedded_json(data: Any) -> Any:
    """JSON that no HTML parser can take for markup: `<` cannot start a tag or comment, nor `&` an entity."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return trusted(text)


def trusted(text: str) -> Any:
    """Text of ours that the template must not escape."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, and JSON in which no markup can begin


def asset(name: str) -> str:
    """A file of this folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """What the page's policy names a script or style by."""
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates of this folder: autoescaped, undefined names are errors, every string is made visible."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("hydrometer", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["label"] = label
    return made
