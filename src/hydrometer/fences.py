"""Delimiters for hostile text in prompts: the text between them cannot close them."""

from __future__ import annotations

import hashlib


def fenced(label: str, text: str, limit: int = 24_000) -> str:
    """Text between two marker lines that carry a digest of the text itself.

    To close the fence from inside, a text would have to contain its own SHA-256. The same text always gives the same
    fence, so a prompt is reproducible. Text over `limit` characters keeps its beginning and end.
    """
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return f"<<<{label} {digest}\n{text}\n{digest} {label}>>>"
