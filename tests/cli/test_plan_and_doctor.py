"""What is missing, what a run will take, and what can run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from le_bench.cli import call
from le_bench.running.estimates import encoder_work, measured_rate
from le_bench_plugins.encoders.open_clip import OpenCLIPEncoder
from tests.conftest import Bench

PAPER = Path(__file__).parent.parent.parent / "leaderboards" / "experiments" / "paper"


def test_a_plan_of_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Steps and messages all the same, one for each file and weight; then exit code 6."""
    cache = ["--cache", str(tmp_path)]

    code = call(["plan", str(PAPER / "table7.toml"), "--json", *cache])

    plan = json.loads(capsys.readouterr().out)
    assert code == 6
    assert plan["images"] == 50_000
    assert len(plan["missing"]) == len(set(plan["missing"]))
    folder = next(
        message for message in plan["missing"] if "imagenet/val does not exist" in message
    )
    assert "https://image-net.org/download-images" in folder
    assert any("resnet50-0676ba61.pth" in message for message in plan["missing"])
    record = next(step for step in plan["steps"] if step["stage"] == "record")["estimate"]
    assert record["disk"] == 50_000 * 2048 * 4
    operations = 50_000 * 8.178368512e9  # of ResNet-50: two for each of its multiply-adds
    assert record["seconds"] == pytest.approx(operations / (0.5 * plan["rate"]))


def test_an_experiment_with_missing_files_does_not_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The same messages, exit code 6, nothing written."""
    code = call(["run", str(PAPER / "table7.toml"), "--cache", str(tmp_path / "cache")])

    assert code == 6
    assert "missing files, nothing was run:" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


SEGMENTER = (
    "segmenter lraspp_mobilenet_v3_large: its weights are not on this machine; fetch "
    "https://download.pytorch.org/models/lraspp_mobilenet_v3_large-d234d4ea.pth and put it at "
    "{place} (`TORCH_HOME` moves that folder), or give the file as `segmenter_weights`"
)


def test_weights_of_an_explainer_are_told_before_a_run(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan, doctor and run name the file of NetDissect's segmenter; nothing is computed."""
    monkeypatch.setenv("TORCH_HOME", str(bench.folder / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    bench.edit(
        lambda text: text.replace(
            'use = "toy-label"', 'use = "netdissect"\nsegmenter = "lraspp_mobilenet_v3_large"'
        )
    )
    place = bench.folder / "torch/hub/checkpoints/lraspp_mobilenet_v3_large-d234d4ea.pth"
    plugin = ("--plugin", str(bench.plugin))

    plan = call(["plan", "toy.toml", "--json", *plugin])
    missing = json.loads(capsys.readouterr().out)["missing"]
    doctor = call(["doctor", "toy.toml", *plugin])
    run = bench.run()

    message = SEGMENTER.format(place=place)
    assert (plan, doctor, run) == (6, 6, 6)
    assert missing == [message]
    assert f"{message} (the download failed: HF_HUB_OFFLINE is set)" in capsys.readouterr().err
    assert not (bench.folder / "leaderboards").exists()


def test_an_encoder_that_nothing_uses(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights are neither missed nor fetched."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    unused = '[encoders.unused]\nuse = "open-clip"\nmodel = "RN50"\npretrained = "yfcc15m"\n'
    bench.edit(lambda text: text.replace("[encoders.eye]", f"{unused}\n[encoders.eye]"))

    plan = call(["plan", "toy.toml", "--json", "--plugin", str(bench.plugin)])
    missing = json.loads(capsys.readouterr().out)["missing"]
    run = bench.run()

    assert (plan, missing, run) == (0, [], 0)


def test_an_encoder_tells_its_work() -> None:
    """As counted by hand: the matrices of a ViT-B/32's blocks for 50 tokens are most of it."""
    work = encoder_work(OpenCLIPEncoder("ViT-B-32", "openai"))

    blocks = 12 * 2 * 50 * (12 * 768 * 768)
    assert work is not None
    assert work.widths == {"": 512}
    assert blocks < work.operations < 1.1 * blocks


def test_the_rate_of_this_device_is_measured() -> None:
    """Something between a pocket calculator and a supercomputer."""
    assert 1e7 < measured_rate(torch.device("cpu"), 0.02) < 1e15


def test_doctor_says_what_can_run(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """0 if the named experiments can run, 6 if they lack files, 2 if the cache is no good."""
    toy = ["doctor", "toy.toml", "--plugin", str(bench.plugin), "--json"]

    code = call(toy)

    found = {each["subject"]: each for each in json.loads(capsys.readouterr().out)}
    assert code == 0
    assert found["experiment toy.toml"]["about"] == "can run"
    assert found["experiment picturebook"]["state"] == "ok"
    assert torch.__version__.startswith(found["torch"]["about"])
    assert found["cache"]["state"] == "ok"
    assert call(["doctor", str(PAPER / "table7.toml")]) == 6
    (tmp_path / "file").write_text("")
    assert call([*toy, "--cache", str(tmp_path / "file" / "cache")]) == 2
