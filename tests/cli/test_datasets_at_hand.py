"""Plan and doctor open a dataset whose files are there, as a run would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from le_bench.cli import call
from le_bench.components import DatasetSource
from le_bench.running.readiness import Look, look_at
from le_bench.types import ProbeDataset
from le_bench_plugins.datasets.imagenet import TRUTH
from le_bench_plugins.picturebook.plugin import Picturebook
from tests.conftest import Bench
from tests.plugins.datasets.layouts import write_jpeg


@dataclass(frozen=True)
class Faulty(DatasetSource):
    """A dataset whose code has a fault."""

    name: ClassVar[str] = "faulty"

    def load(self) -> ProbeDataset:
        """Fail as no dataset may."""
        return {}["images"]  # type: ignore[no-any-return]


def commands(bench: Bench, capsys: pytest.CaptureFixture[str]) -> tuple[list[int], dict[str, str]]:
    """Exit codes of plan, doctor and run, and what each said of the experiment."""
    plugin = ("--plugin", str(bench.plugin))
    plan = call(["plan", "toy.toml", *plugin, "--json"])
    planned = json.loads(capsys.readouterr().out)
    doctor = call(["doctor", "toy.toml", *plugin, "--json"])
    found = json.loads(capsys.readouterr().out)
    run = bench.run()
    said = {
        "missing": "; ".join(planned["missing"]),
        "broken": "; ".join(planned["broken"]),
        "doctor": next(f["about"] for f in found if f["subject"] == "experiment toy.toml"),
        "run": capsys.readouterr().err.splitlines()[-1],
    }
    return [plan, doctor, run], said


def test_a_dataset_of_which_a_part_is_there(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a run refuses is broken for plan and doctor too, in the same words."""
    bench.edit(lambda text: text.replace('use = "toy"', 'use = "imagenet"\nfolder = "val"', 1))
    write_jpeg(bench.folder / "val" / "n01440764" / "a.JPEG", 0)

    codes, said = commands(bench, capsys)

    message = (
        "val: 999 of 1,000 classes have no folder with images, the first: n01443537; complete the "
        "data set"
    )
    assert codes == [2, 2, 2]
    assert said == {
        "missing": "",
        "broken": message,
        "doctor": message,
        "run": f"error: {message}",
    }


def test_a_dataset_without_its_labels(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that only the content of a folder calls for is missing."""
    bench.edit(lambda text: text.replace('use = "toy"', 'use = "imagenet"\nfolder = "val"', 1))
    write_jpeg(bench.folder / "val" / "a.JPEG", 0)

    codes, said = commands(bench, capsys)

    message = (
        "val: the images are not in folders of their classes; name the file of their labels as "
        f"`ground_truth`: {TRUTH}"
    )
    assert codes == [6, 6, 6]
    assert said == {
        "missing": message,
        "broken": "",
        "doctor": message,
        "run": f"error: {message}",
    }


def test_the_plan_counts_the_images_that_are_there(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The content of the folder counts, not what is expected of it."""
    bench.edit(lambda text: text.replace('use = "toy"', 'use = "image-folder"\nfolder = "val"', 1))
    for number in range(12):
        write_jpeg(bench.folder / "val" / "class" / f"{number:02}.JPEG", number)

    code = call(["plan", "toy.toml", "--plugin", str(bench.plugin), "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out)["images"] == 12


def test_what_has_no_files_is_not_drawn() -> None:
    """A dataset that says its number is taken at its word: a million pictures take no time."""
    look = look_at(Picturebook(num_images=1_000_000))

    assert look == Look(1_000_000)


def test_a_faulty_plugin_is_broken_alone() -> None:
    """Whatever its code raises is told; the command goes on."""
    look = look_at(Faulty())

    assert look == Look(
        None,
        broken="dataset 'faulty' cannot be loaded: KeyError: 'images'; this is a fault of its "
        "plugin",
    )
