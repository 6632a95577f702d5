"""Reads what hydrometer needs to know from the head of a GGUF file: whether the model has a chat template.

The format: magic `GGUF`, version, counts, then key-value pairs (github.com/ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import BinaryIO

from hydrometer.errors import ModelError

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_LIMIT = 1 << 40


def metadata_keys(path: Path) -> frozenset[str]:
    """Names of the metadata in a GGUF file.

    Raises:
        ModelError: the file is missing, unreadable, or not GGUF.
    """
    try:
        with path.open("rb") as file:
            magic, version, _, pairs = struct.unpack("<4sIQQ", _read(file, 24))
            if magic != b"GGUF" or version < 2 or pairs > 1_000_000:
                raise ModelError(f"{path} is not a GGUF file of version 2 or later", "Give the path of a .gguf file")
            keys = []
            for _ in range(pairs):
                keys.append(_string(file))
                _skip(file, _number(file, "<I"))
            return frozenset(keys)
    except FileNotFoundError as error:
        raise ModelError(f"No file at {path}", "Give the path of a .gguf file after embedded/") from error
    except (EOFError, struct.error, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is cut off or damaged: its head cannot be read", "Download it again") from error
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}", "Check the path and its permissions"
        ) from error


def fingerprint(path: Path) -> str:
    """A short identity of a weights file: size, first and last megabyte (hashing gigabytes would take minutes)."""
    digest = hashlib.sha256(str(size := path.stat().st_size).encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    return digest.hexdigest()[:16]


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(count) if 0 <= count < _LIMIT else b""
    if len(data) != count:
        raise EOFError
    return data


def _number(file: BinaryIO, form: str) -> int:
    (value,) = struct.unpack(form, _read(file, struct.calcsize(form)))
    return int(value)


def _string(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > 1 << 16:
        raise EOFError
    return _read(file, length).decode()


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _jump(file, _number(file, "<Q"))
    elif kind == _ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in _SIZES:
            _jump(file, _SIZES[inner] * count)
        elif inner == _STRING:
            for _ in range(min(count, 10_000_000)):
                _jump(file, _number(file, "<Q"))
        else:
            raise EOFError
    elif kind in _SIZES:
        _jump(file, _SIZES[kind])
    else:
        raise EOFError


def _jump(file: BinaryIO, count: int) -> None:
    if count >= _LIMIT:
        raise EOFError
    file.seek(count, 1)
