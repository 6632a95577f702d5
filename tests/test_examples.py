"""The examples run as they are, and the commands of the README exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_score_recorded_prints_the_counts() -> None:
    done = run(str(EXAMPLES / "score_recorded.py"))
    assert done.returncode == 0, done.stderr
    assert "9 attempts, 1 failed" in done.stdout
    assert "strict: 3 of 8" in done.stdout
    assert "claimed: openai 3 times, 3 against the card" in done.stdout


def test_the_command_line_gives_the_same_as_the_script(tmp_path: Path) -> None:
    done = run(
        "-m", "hydrometer", "ice", "score", str(EXAMPLES / "recorded.jsonl"),
        "--card", str(EXAMPLES / "aurora.toml"), "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["loose"]["count"], found["strict"]["count"], found["failed"]) == (3, 3, 1)
    assert {maker: claim["foreign"] for maker, claim in found["claimed"].items()} == {
        "openai": 3,
        "own:borealis labs": 0,
    }


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(r"^hydrometer (.+?)\s*(?:#.*)?$", text, re.MULTILINE)


@pytest.mark.parametrize("command", readme_commands())
def test_options_of_the_readme_exist(command: str, tmp_path: Path) -> None:
    words = [word for word in command.split() if word.startswith("--")]
    names = [word for word in command.split()[:2] if re.fullmatch(r"[a-z]+", word)]
    done = run("-m", "hydrometer", *names, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words)


def test_readme_has_exactly_two_lines_to_start_with() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert "hydrometer ice run" in lines[0]
    assert lines[1].endswith("pytest")
