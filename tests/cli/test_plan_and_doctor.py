"""What is missing, what a run will take, and what can run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from le_bench.cli import call
from le_bench.planning.experiment import ModelRow
from le_bench.running.estimates import encoder_work, measured_rate, model_work
from le_bench.types import Layer
from le_bench_plugins.encoders.open_clip import OpenCLIPEncoder
from le_bench_plugins.models.presets import PresetModel
from tests.conftest import Bench

PAPER = Path(__file__).parent.parent.parent / "leaderboards" / "experiments" / "paper"


def test_a_plan_of_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Steps and messages all the same, one for each file and weight; then exit code 6."""
    cache = ["--cache", str(tmp_path)]

    code = call(["plan", str(PAPER / "table7.toml"), "--json", "--device", "cpu", *cache])

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
    reading = 50_000 * 0.005 / (os.cpu_count() or 1)
    assert record["seconds"] == pytest.approx(operations / (0.5 * plan["rate"]) + reading)


def test_an_experiment_with_missing_files_does_not_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The same messages, exit code 6, nothing written."""
    code = call(["run", str(PAPER / "table7.toml"), "--cache", str(tmp_path / "cache")])

    assert code == 6
    assert "missing files, nothing was run:" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


SEGMENTER = (
    "segmenter lraspp_mobilenet_v3_large: its weights are not on this machine; `le-bench run` "
    "fetches them if it has network; by hand: fetch "
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
    """Something between a pocket calculator and a supercomputer, in either number type."""
    rates = [measured_rate(torch.device("cpu"), precision, 0.02) for precision in ("fp32", "bf16")]

    assert 1e7 < min(rates) < max(rates) < 1e15


def test_memory_counts_the_presence_of_concepts(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three words in the train and val images that an explainer with an encoder sees."""
    code = call(["plan", "toy.toml", "--json", "--plugin", str(bench.plugin)])

    steps = json.loads(capsys.readouterr().out)["steps"]
    memory = {s["title"]: s["estimate"]["memory"] for s in steps if s["stage"] == "explain"}
    assert code == 0
    assert memory["net / first / toy-word"] == 64 * 3 * 4
    assert memory["net / first / toy-label"] is None


def test_a_small_network_is_reckoned_on_images_that_it_takes() -> None:
    """The preset of CIFAR-100, whose images are 32 x 32: 2 x 313 million multiply-adds."""
    source = PresetModel("vgg16-bn-cifar100", sha256="00000000")

    work = model_work(ModelRow("VGG", source, (Layer("classifier.4"),)))

    assert work is not None
    assert work.operations == pytest.approx(2 * 314e6, rel=0.01)
    assert work.outputs == 100


def test_a_cache_that_is_not_there_yet(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Plan and doctor say where it will be, and make nothing."""
    before = sorted(bench.folder.rglob("*"))
    options = ["toy.toml", "--plugin", str(bench.plugin), "--cache", str(tmp_path / "a" / "b")]

    plan = call(["plan", *options])
    planned = capsys.readouterr().out
    doctor = call(["doctor", *options, "--json"])

    found = {each["subject"]: each for each in json.loads(capsys.readouterr().out)}
    assert (plan, doctor) == (0, 0)
    assert f"cache: {tmp_path / 'a' / 'b'}" in planned
    assert found["cache"]["about"].startswith(f"{tmp_path / 'a' / 'b'}: made by the first run, ")
    assert sorted(bench.folder.rglob("*")) == before


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
