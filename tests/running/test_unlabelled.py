"""A probe dataset without labels: what needs none is scored, what does fails in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from le_bench.boards.results import read_results

if TYPE_CHECKING:
    from conftest import Bench

SETTINGS = (
    "--set",
    'dataset={use = "image-folder", folder = "pictures"}',
    "--set",
    'simulators=[{use = "toy", id = "eye", encoder = "eye"}]',
    "--set",
    "allow_same_encoder=true",
)
NO_CONSTANTS = (
    "encoder 'toy' has no constants a and b, and probe dataset 'pictures' has no labels to fit "
    "them on; give a and b in the experiment"
)


@pytest.fixture
def unlabelled(bench: Bench) -> Bench:
    """A folder of 30 pictures of noise beside the experiment."""
    folder = bench.folder / "pictures"
    folder.mkdir()
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return bench


def test_encoders_with_constants_need_no_labels(
    unlabelled: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Explainer and simulator with an encoder are scored; only what names labels fails."""
    code = unlabelled.run(*SETTINGS, "--set", "encoders.eye.a=10.0")

    results = read_results(unlabelled.folder / "leaderboards" / "results")
    assert code == 5
    assert {result.cell.explainer for result in results} == {"toy-word"}
    assert all(np.isfinite(result.score.mean) for result in results)
    assert "explain net / first / toy-word: done" in capsys.readouterr().err


def test_encodings_alone_need_no_constants(
    unlabelled: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLIP-Dissect explains by an encoder that cannot be calibrated; its simulator says why not."""
    dissect = 'explainers=[{use = "clip-dissect", encoder = "eye", concepts = "words"}]'

    code = unlabelled.run(*SETTINGS, "--set", dissect)

    lines = capsys.readouterr().err.splitlines()
    assert code == 5
    assert any("explain net / first / clip-dissect: done" in line for line in lines)
    assert f"failed: simulate net / first / clip-dissect / eye: {NO_CONSTANTS}" in lines
    assert any(
        line.endswith(
            "score net / first / clip-dissect / eye / correlation: skipped, "
            "needs simulate net / first / clip-dissect / eye"
        )
        for line in lines
    )
