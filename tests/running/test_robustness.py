"""What a run survives: lost cache entries, plugins that misbehave, folders that cannot be used."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from le_bench.boards.results import read_results
from le_bench.planning.plan import make_plan
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.running.execute import execute, survey
from le_bench.running.executors import InProcess
from le_bench.running.store import Store
from le_bench.running.workspace import Workspace

if TYPE_CHECKING:
    from conftest import Bench


@pytest.mark.parametrize(
    "stage", ["record", "embed-images", "embed-texts", "calibrate", "explain", "simulate", "score"]
)
def test_any_lost_stage_is_made_again(bench: Bench, stage: str) -> None:
    """With one stage of the cache gone the next run gives the same results and no failure."""
    bench.run()
    expected = bench.files()
    shutil.rmtree(bench.folder / "cache" / stage)

    code = bench.run()

    assert code == 0
    assert bench.files() == expected


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exit", "SystemExit: 3"),
        ("weight", "weights, bias and figures must be finite Python numbers"),
    ],
)
def test_misbehaving_explainers_cost_their_own_cells(
    bench: Bench, fault: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An explainer that leaves or gives NaN weights fails in words; the other one is scored."""
    code = bench.run("--set", f"explainers.toy-label.fault={fault}")

    results = read_results(bench.folder / "leaderboards" / "results")
    assert code == 5
    assert {result.cell.explainer for result in results} == {"toy-word"}
    assert reason in capsys.readouterr().err


def test_global_state_of_torch_is_kept(bench: Bench) -> None:
    """An explainer that changes torch's defaults changes nothing for those that follow."""
    bench.run()
    expected = {p: c for p, c in bench.files("leaderboards/results").items() if "toy-word" in p}

    bench.run("--set", "explainers.toy-label.fault=dtype", "--cache", "other", "--out", "changed")

    after = {p: c for p, c in bench.files("changed/results").items() if "toy-word" in p}
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert after == expected


def test_a_view_holds_no_other_images(bench: Bench, plugins: Plugins) -> None:
    """Embeddings of images outside a view are NaN, and writing into them reaches nobody else."""
    path = bench.folder / "toy.toml"
    plan = make_plan(build_experiment(read_table(path), path, plugins), plugins.origins)
    store = Store(bench.folder / "cache")
    workspace = Workspace(plan, store, torch.device("cpu"))
    execute(survey(plan, store), InProcess(workspace), lambda step, outcome: None)
    step = next(s for s in plan.steps.values() if s.title.endswith("toy-word"))
    encoder = plan.experiment.encoders["eye"]

    view = workspace.view(step, "train")
    images = view.encodings.images(encoder)
    inside = torch.zeros(len(images), dtype=torch.bool)
    inside[view.rows] = True
    images[:] = 0

    again = workspace.view(step, "train").encodings.images(encoder)
    assert again[~inside].isnan().all()
    assert not again[inside].isnan().any()
    assert again[inside].norm(dim=1).allclose(torch.ones(int(inside.sum())))


def test_an_unwritable_cache_ends_the_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """If steps cannot be kept, the run stops with one sentence and leaves all results alone."""
    bench.run()
    expected = bench.files()
    shutil.rmtree(bench.folder / "cache" / "record")
    (bench.folder / "cache" / "record").write_text("in the way")
    capsys.readouterr()

    code = bench.run("--set", "seed=9")

    assert code == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("make room or give another folder with --cache")
    )
    assert bench.files() == expected


def test_partial_results_never_replace_whole_ones(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run over some units refuses a folder of whole results before it writes anything."""
    bench.run()
    expected = bench.files()

    code = bench.run("--limit-units", "2", "--out", "leaderboards")
    by_setting = bench.run("--set", "units=2", "--out", "leaderboards")
    beside = bench.run("--set", "units=2")

    assert (code, by_setting, beside) == (2, 2, 0)
    assert "so give another folder with --out; nothing was written" in capsys.readouterr().err
    assert bench.files() == expected
    results = read_results(bench.folder / "leaderboards-partial" / "results")
    assert all(result.partial for result in results)


def test_a_selection_under_other_settings_is_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results of another data set never mix with those that a folder keeps."""
    bench.run()
    expected = bench.files()

    code = bench.run("--explainer", "toy-word", "--set", "dataset.num_images=70")

    assert code == 2
    assert "or give another folder with --out; nothing was written" in capsys.readouterr().err
    assert bench.files() == expected


def test_an_unwritable_out_is_found_before_the_run(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder for boards that cannot be made is refused at the start."""
    (bench.folder / "file").write_text("")

    code = bench.run("--out", "file/boards")

    assert code == 2
    assert "--out file/boards: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["text", "truncated"])
def test_a_damaged_image_is_one_message_and_writes_nothing(
    bench: Bench, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is no image ends the run with its name, exit code 2 and no result."""
    noise = np.random.default_rng(0)
    for number in range(20):
        pixels = noise.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        folder = bench.folder / "photos" / ("red" if number % 2 else "green")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    victim = bench.folder / "photos" / "red" / "7.png"
    victim.write_bytes(b"no image" if damage == "text" else victim.read_bytes()[:60])
    bench.edit(
        lambda text: text.replace(
            '[dataset]\nuse = "toy"', '[dataset]\nuse = "image-folder"\nfolder = "photos"'
        )
    )

    code = bench.run()

    errors = capsys.readouterr().err
    assert code == 2
    assert "red/7.png" in errors.splitlines()[-1]
    assert not (bench.folder / "leaderboards").exists()
