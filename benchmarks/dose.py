"""Dose of mixtures of two models of AlpacaEval, made without training: its error and the coverage of its intervals.

    python benchmarks/dose.py RESPONSES.parquet FAMILIES.json [PAIRS]

Four kinds of student at each dose, all seen as one more model of the set:
  copies   each prompt's answer is the teacher's with the probability of the dose, else the control's
  third    else that of a relative of the control
  within   each answer has a share of the teacher's sentences, the rest from the control's
  sample   copies of a near version of the teacher (of its family) in place of the teacher: below the dose by design
Error and coverage are against the dose that answers (or sentences) were drawn with, not against the share really drawn.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from hydrometer.kinship.dose import Contrast, contrast, dose_interval, gains
from hydrometer.response_table import read_table

DOSES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
KINDS = ("copies", "third", "within", "sample")
SIZES = (805, 200)
#: Mixtures drawn of each pair and dose; one where answers are made of both models' sentences.
DRAWS = 3


def main(path: Path, families: Path, pairs: int = 12) -> None:
    frame = pl.read_parquet(path).select("model", pl.col("prompt_id").cast(pl.String), "response")
    frame = frame.filter(~pl.col("model").is_in(["NullModel", "gpt4_gamed"]))
    groups = [sorted(group) for group in json.loads(families.read_text(encoding="utf-8")).values() if len(group) > 2]
    answers = {
        str(model): dict(part.select("prompt_id", "response").iter_rows())
        for (model,), part in frame.group_by("model", maintain_order=True)
    }
    rng = np.random.default_rng(0)
    error: dict[tuple[str, float, int], list[float]] = {}
    inside: dict[tuple[str, int], list[bool]] = {}
    for number in range(pairs):
        one, two = rng.choice(len(groups), 2, replace=False)
        teacher, near = (str(name) for name in rng.choice(groups[one], 2, replace=False))
        control, relative = (str(name) for name in rng.choice(groups[two], 2, replace=False))
        named = (teacher, near, control, relative)
        prompts = [one for one in answers[teacher] if all(answers[name].get(one, "").strip() for name in named)]
        kept = frame.filter(pl.col("model").is_in([teacher, control, *sample_of(answers, rng)]))

        def compared(said: dict[str, str]) -> Contrast:
            return seen(kept, {one: said[one] for one in prompts}, teacher, control)  # noqa: B023

        whole = {name: compared(answers[name]) for name in named}
        sources = {"copies": (teacher, control), "third": (teacher, relative), "sample": (near, control)}
        for kind in KINDS:
            for share in DOSES:
                found = []
                if kind == "within" and 0 < share < 1:
                    found = [compared(blended(answers[teacher], answers[control], share, rng, prompts))]
                else:
                    source, base = sources.get(kind, sources["copies"])
                    found = [chosen(whole[source], whole[base], share, rng) for _ in range(DRAWS)]
                for each in found:
                    gain, room = gains(each)
                    for size in SIZES:
                        drawn = rng.permutation(len(gain))[:size]
                        estimate = gain[drawn].sum() / room[drawn].sum()
                        error.setdefault((kind, share, size), []).append(estimate - share)
                        if 0 < share < 1:
                            low, high = dose_interval(gain[drawn], room[drawn], number)
                            inside.setdefault((kind, size), []).append(low <= share <= high)
        print(f"{number + 1} pairs: {teacher} and {control} ({relative}; {near})", flush=True)
    tell(error, inside)


def tell(error: dict[tuple[str, float, int], list[float]], inside: dict[tuple[str, int], list[bool]]) -> None:
    """Root mean square error and bias at each dose, and coverage of 95 % intervals."""
    for kind in KINDS:
        for size in SIZES:
            rmse = [float(np.sqrt(np.mean(np.square(error[kind, share, size])))) for share in DOSES]
            bias = [float(np.mean(error[kind, share, size])) for share in DOSES]
            print(f"{kind:<8} {size:>4} prompts  rmse " + " ".join(f"{one:.3f}" for one in rmse), end="  bias ")
            print(" ".join(f"{one:+.3f}" for one in bias), f" coverage {np.mean(inside[kind, size]):.2f}")


def sample_of(answers: dict[str, dict[str, str]], rng: np.random.Generator, size: int = 8) -> list[str]:
    """Other models that show what is ordinary."""
    return [str(name) for name in rng.choice(sorted(answers), size, replace=False)]


def seen(kept: pl.DataFrame, said: dict[str, str], teacher: str, control: str) -> Contrast:
    """A student with the given answers, beside the models of `kept`."""
    size = len(said)
    student = pl.DataFrame({"model": ["student"] * size, "prompt_id": list(said), "response": list(said.values())})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "mixed.parquet"
        pl.concat([kept.filter(pl.col("prompt_id").is_in(list(said))), student]).write_parquet(file)
        return contrast(read_table([file]), "student", teacher, control)


def chosen(one: Contrast, other: Contrast, share: float, rng: np.random.Generator) -> Contrast:
    """That share of the first's prompts and the second's for the rest: each prompt is measured on its own."""
    _, left, right = np.intersect1d(one.prompt, other.prompt, return_indices=True)
    pick = rng.random(len(left)) < share
    parts = ("student", "control", "between", "own", "prompt")
    return Contrast(*(np.where(pick, getattr(one, part)[left], getattr(other, part)[right]) for part in parts))


def blended(
    teacher: dict[str, str], control: dict[str, str], share: float, rng: np.random.Generator, prompts: list[str]
) -> dict[str, str]:
    """Answers with that share of the teacher's sentences, and the rest of the control's."""
    out = {}
    for prompt in prompts:
        a, b = sentences(teacher[prompt]), sentences(control[prompt])
        kept = [one for one in a if rng.random() < share] + [one for one in b if rng.random() >= share]
        out[prompt] = "".join(kept) or control[prompt]
    return out


def sentences(text: str) -> list[str]:
    """Sentences and lines with the spaces after them."""
    return re.findall(r".+?(?:[.!?](?=\s)|\n|$)\s*", text, re.DOTALL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(one) for one in sys.argv[3:]))
