"""Agreement of the built-in identity judge with labels, per model and pooled, beside a one-line regular expression.

Usage: `python benchmarks/builtin_judge.py RECORDS`, where RECORDS is a folder of JSON Lines files with the fields
`model, template, query, response, loose, strict`. Kappa is Cohen's (1960); sensitivity and specificity take the
label for the truth; the rates are shares of all rows.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from hydrometer.identity.builtin_judge import judge
from hydrometer.identity.cards import IdentityCard, card_for, load_cards

BASELINE = re.compile(
    r"\b(?:I am|I'm|I was|as an AI|my|our)\b[^.\n]*\b(?:OpenAI|ChatGPT|GPT|Anthropic|Claude)\b"
    r"|我[^。\n]*(?:OpenAI|ChatGPT|GPT|Anthropic|Claude)",
    re.IGNORECASE,
)
_KEYWORDS = {"gpt": re.compile("openai|gpt", re.IGNORECASE), "claude": re.compile("anthropic|claude", re.IGNORECASE)}


def kappa(ours: list[bool], labels: list[bool]) -> float:
    """Cohen's kappa of two binary ratings; not a number where both never vary."""
    n = len(ours)
    observed = sum(a == b for a, b in zip(ours, labels, strict=True)) / n
    p, q = sum(ours) / n, sum(labels) / n
    chance = p * q + (1 - p) * (1 - q)
    return (observed - chance) / (1 - chance) if chance < 1 else float("nan")


def row(name: str, loose: list[tuple[bool, bool]], strict: list[tuple[bool, bool]]) -> str:
    """One line of the table; each pair is (judge, label). Without loose pairs their columns stay empty."""
    cells = []
    for pairs in (loose, strict):
        if not pairs:
            cells.append(" " * 28)
            continue
        ours, labels = [a for a, _ in pairs], [b for _, b in pairs]
        hits = sum(a and b for a, b in pairs)
        clear = sum(not a and not b for a, b in pairs)
        positives, negatives = sum(labels), len(labels) - sum(labels)
        cells += [
            f"{kappa(ours, labels):6.3f}",
            f"{hits / positives if positives else float('nan'):6.3f}",
            f"{clear / negatives if negatives else float('nan'):6.3f}",
            f"{(sum(ours) - sum(labels)) / len(pairs):+7.3f}",
        ]
    return f"{name:26s} {len(strict):5d} " + " ".join(cells)


def baseline(record: dict[str, Any], card: IdentityCard) -> bool:
    """A first-person word before a foreign name in one sentence."""
    match = BASELINE.search(record["response"])
    own = _KEYWORDS.get(card.family.id)
    return bool(match) and not (own and own.search(match.group() if match else ""))


def main(folder: Path) -> None:
    """Print the table."""
    catalogue = load_cards()
    head = ["kappa", "sens", "spec", "rate+"]
    print(f"{'':26s} {'rows':>5s} {'loose':^30s} {'strict':^30s}")
    print(f"{'model':26s} {'':5s} " + " ".join(f"{cell:>6s}" for cell in head * 2))
    loose: list[tuple[bool, bool]] = []
    strict: list[tuple[bool, bool]] = []
    regex: list[tuple[bool, bool]] = []
    unparsed = 0
    seconds = 0.0
    for path in sorted(folder.glob("*.jsonl")):
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        card = card_for(records[0]["model"], catalogue)
        start = time.process_time()
        outcomes = [judge(r["response"], card, catalogue, query=r["query"], template=r["template"]) for r in records]
        seconds += time.process_time() - start
        unparsed += sum(o.error is not None for o in outcomes)
        pairs = [(r, o) for r, o in zip(records, outcomes, strict=True) if o.error is None]
        mine = (
            [(bool(o.loose), bool(r["loose"])) for r, o in pairs],
            [(bool(o.strict), bool(r["strict"])) for r, o in pairs],
        )
        loose += mine[0]
        strict += mine[1]
        regex += [(baseline(r, card), bool(r["strict"])) for r in records]
        print(row(path.stem, *mine))
    print(row("all", loose, strict))
    print(row("all, regular expression", [], regex))
    print(f"unparsed: {unparsed}; rows per second of processor time: {len(strict) / seconds:.0f}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not any(Path(sys.argv[1]).glob("*.jsonl")):
        sys.exit("usage: python benchmarks/builtin_judge.py RECORDS (a folder of .jsonl files)")
    main(Path(sys.argv[1]))
