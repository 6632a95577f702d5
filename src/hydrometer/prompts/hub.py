"""Fetching one file of a public data set of the Hugging Face hub, by its plain address."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

from hydrometer.errors import InputError
from hydrometer.files import replacing

_TIMEOUT_S = 30
_CHUNK = 1 << 20


def fetch(spec: str) -> Path:
    """The local copy of `OWNER/DATASET/PATH/IN/IT`, fetched on first use.

    The address is that of the hub, or of the mirror named in `HF_ENDPOINT`. The copy is kept in the cache folder of the
    platform and is never fetched again.

    Raises:
        InputError: not of that form, no connection, no such file, or nowhere to keep it.
    """
    owner, _, rest = spec.partition("/")
    dataset, _, inside = rest.partition("/")
    parts = inside.split("/")
    if not (owner and dataset and inside) or any(part in {"", ".", ".."} for part in (owner, dataset, *parts)):
        raise InputError(f"{spec!r} is no file of a hub data set", "Write hub:OWNER/DATASET/FILE.")
    import platformdirs

    path = Path(platformdirs.user_cache_dir("hydrometer")) / "hub" / owner / dataset / Path(*parts)
    if path.is_file():
        return path
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{base}/datasets/{owner}/{dataset}/resolve/main/{inside}"
    if not url.startswith(("https://", "http://")):
        raise InputError(f"HF_ENDPOINT is {base!r}", "Give an address that begins with https://.")
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply,  # noqa: S310 - the scheme is checked above
            replacing(path) as target,
            target.open("wb") as file,
        ):
            while block := reply.read(_CHUNK):
                file.write(block)
    except urllib.error.HTTPError as error:
        raise InputError(f"{url} answers with status {error.code}", "Check the name, or give a local file.") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"{url} cannot be reached: {reason}", "Give a local file instead.") from error
    return path
