"""What a plan reckons, and what it leaves open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from le_bench.cli import call
from le_bench.running.estimates import EFFICIENCY, Speed

PAPER = Path(__file__).parent.parent.parent / "leaderboards" / "experiments" / "paper"
WORDS = 'concepts.paper={words = ["red", "green"]}'


def steps_of(
    capsys: pytest.CaptureFixture[str], name: str, *options: str
) -> list[tuple[str, str, Any]]:
    """Stage, title and bytes on disk of each step of an experiment of the paper."""
    call(["plan", str(PAPER / name), "--json", "--cache", "nowhere", *options])
    steps = json.loads(capsys.readouterr().out)["steps"]
    return [(step["stage"], step["title"], step["estimate"]["disk"]) for step in steps]


def test_concept_sets_that_are_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its own steps, whose size is not known; a set that is there has numbers of 4 bytes.

    Embeddings of images may be kept in half of that.
    """
    steps = steps_of(capsys, "table6.toml", "--set", WORDS, "--set", "embeddings=fp16")

    disk = {title: size for stage, title, size in steps if stage.startswith("embed")}
    assert [stage for stage, _, _ in steps].count("explain") == 4
    assert disk["siglip-l, concepts paper"] == 2 * 1024 * 4
    assert disk["siglip-l, concepts words-20k"] is None
    assert disk["siglip-l, concepts labels"] is None
    assert disk["siglip-l"] == 50_000 * 1024 * 2


def test_logits_and_what_follows_from_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Logits of all images are kept; what replaced units do depends on the layer."""
    steps = steps_of(capsys, "table1.toml")

    disk = {stage: size for stage, _, size in steps}
    assert disk["temper"] == 50_000 * 1000 * 4
    assert disk["impact"] is None
    assert disk["explain"] is None
    assert disk["score"] == 0


def test_reading_takes_processors_from_networks_on_them() -> None:
    """Beside a network on another device the slower of both counts."""
    same = Speed(rate=1e9, reading=0.5).seconds(4, EFFICIENCY * 1e9)
    other = Speed(rate=1e9, reading=0.5, waits=False).seconds(4, EFFICIENCY * 1e9)

    assert (same, other) == (6.0, 4.0)
