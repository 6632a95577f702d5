"""How often the interval of a rate holds the true rate, on simulated attacks clustered by template and question.

    python benchmarks/coverage.py [--repetitions 200]

Log-odds of a leak = level + template effect (standard deviation 1.2) + question effect (0.7), 20 templates
x 50 questions as in the published records. The true rate is the mean over the population of templates and questions.
"""

from __future__ import annotations

import argparse

import numpy as np

from hydrometer.identity.judgement import Judgement
from hydrometer.identity.records import Attempt
from hydrometer.identity.scores import Judged, score

TEMPLATES, QUESTIONS = 20, 50
TEMPLATE_SD, QUESTION_SD = 1.2, 0.7


def sigmoid(value: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-value)))


def attempts(level: float, rng: np.random.Generator) -> list[Judged]:
    odds = level + rng.normal(0, TEMPLATE_SD, (TEMPLATES, 1)) + rng.normal(0, QUESTION_SD, (1, QUESTIONS))
    leaks = rng.random(odds.shape) < sigmoid(odds)
    return [
        Judged(Attempt("m", f"template {t} {{query}}", f"question {q}", "answer"), Judgement(bool(leak), bool(leak)))
        for (t, q), leak in np.ndenumerate(leaks)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    population = np.random.default_rng(0).normal(0, np.hypot(TEMPLATE_SD, QUESTION_SD), 1_000_000)
    print("true rate  coverage  mean width")
    for level in (-4.0, -2.0, -1.0, 0.0):
        true = float(sigmoid(level + population).mean())
        rng = np.random.default_rng(1)
        held, widths = [], []
        for number in range(repetitions):
            found = score(attempts(level, rng), judge="simulated", seed=number).loose
            assert found.low is not None
            assert found.high is not None
            held.append(found.low <= true <= found.high)
            widths.append(found.high - found.low)
        print(f"{true:9.3f}  {np.mean(held):8.3f}  {np.mean(widths):10.3f}")


if __name__ == "__main__":
    main()
