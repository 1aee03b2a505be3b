"""A run that is killed, interrupted or finds a damaged cache goes on and gives the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench


def start(bench: Bench, out: str, cache: str) -> subprocess.Popen[bytes]:
    """A run in a process of its own."""
    arguments = ["run", "toy.toml", "--plugin", str(bench.plugin), "--out", out, "--cache", cache]
    code = f"import sys; from le_bench.cli import call; sys.exit(call({arguments!r}))"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=bench.folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for_steps(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        if sum(1 for _ in folder.glob("*/??/*.json")) >= count:
            return
        time.sleep(0.002)


def test_killing_and_resuming_gives_the_same_bytes(bench: Bench) -> None:
    """Killed after several numbers of finished steps, the run goes on without repeating one."""
    bench.run("--out", "whole", "--cache", "cache-whole")

    for count in (2, 11):
        cache = bench.folder / f"cache-{count}"
        process = start(bench, f"out-{count}", cache.name)
        wait_for_steps(cache, count, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        finished = {path: path.stat().st_mtime_ns for path in cache.glob("*/??/*.json")}
        bench.run("--out", f"out-{count}", "--cache", cache.name)

        assert len(finished) >= count
        assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
        for part in ("results", "explanations"):
            assert bench.files(f"out-{count}/{part}") == bench.files(f"whole/{part}")


def test_an_interrupt_leaves_with_130(bench: Bench) -> None:
    """SIGTERM ends a run with exit code 130 and a sentence that says how to go on."""
    process = start(bench, "out", "cache-term")
    wait_for_steps(bench.folder / "cache-term", 1, process)

    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)

    if process.returncode == 0:
        pytest.skip("the run had ended before the signal came")
    assert process.returncode == 130
    assert b"run the same command again to go on" in output


def test_a_damaged_cache_entry_is_made_again(bench: Bench) -> None:
    """Truncated activations are found when read, recomputed in the same run, and never served."""
    bench.run()
    expected = bench.files("leaderboards/results")
    cache = bench.folder / "cache"
    for path in (cache / "record").rglob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    for stage in ("explain", "simulate", "score"):
        for path in (cache / stage).rglob("*.json"):
            path.unlink()

    code = bench.run("--out", "again")

    assert code == 0
    assert bench.files("again/results") == expected
