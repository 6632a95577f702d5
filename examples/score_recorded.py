"""Score recorded answers from Python: read, judge with the built-in judge, print whose identity was claimed.

Run it with `python examples/score_recorded.py`.
"""

from __future__ import annotations

from pathlib import Path

from hydrometer.identity.builtin_judge import judge
from hydrometer.identity.cards import load_card_file, load_cards
from hydrometer.identity.records import read_records
from hydrometer.identity.scores import Judged, score

HERE = Path(__file__).parent


def main() -> None:
    card = load_card_file(HERE / "aurora.toml")
    catalogue = load_cards().including(card)
    attempts = read_records([HERE / "recorded.jsonl"])
    judged = [
        Judged(
            attempt,
            None if attempt.response is None else judge(attempt.response, card, catalogue, query=attempt.query),
        )
        for attempt in attempts
    ]
    result = score(judged, judge="builtin", seed=0)
    print(f"{result.n} attempts, {result.failed} failed")
    for name in ("loose", "strict", "hard", "strict_unprompted"):
        rate = getattr(result, name)
        print(f"{name}: {rate.count} of {rate.n}, {rate.estimate:.3f} [{rate.low:.3f}, {rate.high:.3f}]")
    for maker, claims in result.claimed.items():
        print(f"claimed: {maker} {claims.count} times, {claims.foreign} against the card")


if __name__ == "__main__":
    main()
