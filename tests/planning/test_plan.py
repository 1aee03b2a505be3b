"""Keys change with everything that matters and with nothing else; shared steps appear once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from le_bench.cli import call
from le_bench.planning.plan import Plan, make_plan
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins

if TYPE_CHECKING:
    from conftest import Bench

TOY = Path(__file__).parent.parent / "toy"


def plan_of(plugins: Plugins, text: str, folder: Path) -> Plan:
    path = folder / "toy.toml"
    path.write_text(text)
    experiment = build_experiment(read_table(path), path, plugins)
    return make_plan(experiment, plugins.origins)


def score_keys(plan: Plan) -> list[str]:
    return sorted(cell.score for cell in plan.cells)


def test_steps_are_counted_and_shared(plugins: Plugins, tmp_path: Path) -> None:
    """Two layers, two explainers and one simulator share recordings and embeddings."""
    plan = plan_of(plugins, (TOY / "toy.toml").read_text(), tmp_path)

    counts = plan.counts()

    assert counts == {
        "record": 2,
        "embed-images": 1,
        "embed-texts": 2,
        "calibrate": 1,
        "fidelity": 0,
        "temper": 0,
        "ablate": 0,
        "impact": 0,
        "explain": 4,
        "simulate": 4,
        "score": 4,
    }
    assert len({step.group for step in plan.steps.values() if step.stage == "record"}) == 1


def test_inputs_come_before_their_readers(plugins: Plugins, tmp_path: Path) -> None:
    """The steps are listed in an order in which every input is computed before it is read."""
    plan = plan_of(plugins, (TOY / "toy.toml").read_text(), tmp_path)
    place = {key: number for number, key in enumerate(plan.steps)}

    early = [place[i] < place[s.key] for s in plan.steps.values() for i in s.inputs]

    assert all(early)
    assert early


CHANGES: dict[str, Callable[[str], str]] = {
    "dataset option": lambda t: t.replace(
        '[dataset]\nuse = "toy"', '[dataset]\nuse = "toy"\nnum_images = 90'
    ),
    "model option": lambda t: t.replace('id = "net"', 'id = "net"\nseed = 3'),
    "pooling": lambda t: t.replace('"max"', '"avg"'),
    "concept": lambda t: t.replace('"sky"', '"sea"'),
    "concept order": lambda t: t.replace('"red", "green"', '"green", "red"'),
    "explainer option": lambda t: t.replace('use = "toy-label"', 'use = "toy-label"\nshift = 2'),
    "seed": lambda t: t.replace("seed = 1", "seed = 2"),
    "units": lambda t: t.replace("seed = 1", "seed = 1\nunits = 3"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_experiment_changes_keys(
    plugins: Plugins, tmp_path: Path, change: str
) -> None:
    """Any option that could change a number changes the keys of cells it could reach."""
    text = (TOY / "toy.toml").read_text()

    before = score_keys(plan_of(plugins, text, tmp_path))
    after = score_keys(plan_of(plugins, CHANGES[change](text), tmp_path))

    assert before != after


def test_names_and_places_do_not_change_keys(plugins: Plugins, tmp_path: Path) -> None:
    """Titles, row names, another folder and the order of rows leave all keys as they are."""
    text = (TOY / "toy.toml").read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    before = score_keys(plan_of(plugins, text, tmp_path))
    renamed = text.replace('"A toy"', '"Another"').replace('id = "net"', 'id = "other"')
    after = score_keys(plan_of(plugins, renamed.replace("eye", "ear"), elsewhere))

    assert before == after


def test_a_changed_file_changes_keys(plugins: Plugins, tmp_path: Path) -> None:
    """A checkpoint enters by content: one changed byte changes the keys, a moved file does not."""
    text = (TOY / "toy.toml").read_text().replace('id = "net"', 'id = "net"\ncheckpoint = "w.txt"')
    moved = text.replace("w.txt", "moved.txt")
    (tmp_path / "w.txt").write_text("0.5")

    first = score_keys(plan_of(plugins, text, tmp_path))
    shutil.copy(tmp_path / "w.txt", tmp_path / "moved.txt")
    same = score_keys(plan_of(plugins, moved, tmp_path))
    (tmp_path / "moved.txt").write_text("0.6")
    other = score_keys(plan_of(plugins, moved, tmp_path))

    assert first == same
    assert first != other


def test_plugin_file_and_version_change_keys(tmp_path: Path) -> None:
    """A plugin file enters by content, so a changed helper in it changes the keys."""
    text = (TOY / "toy.toml").read_text()
    code = (TOY / "toy_plugin.py").read_text()
    file = tmp_path / "toy_plugin.py"

    file.write_text(code)
    before = score_keys(plan_of(Plugins.find([file]), text, tmp_path))
    file.write_text(code.replace("/ 255\n\n\n@dataclass", "/ 256\n\n\n@dataclass"))
    after = score_keys(plan_of(Plugins.find([file]), text, tmp_path))

    assert file.read_text() != code
    assert before != after


def test_a_simulator_never_judges_its_own_encoder(plugins: Plugins, tmp_path: Path) -> None:
    """A cell whose simulator uses the explainer's encoder is not applicable, unless allowed."""
    text = (TOY / "toy.toml").read_text()
    simulator = '\n[[simulators]]\nuse = "toy"\nencoder = "eye"\n'

    plan = plan_of(plugins, text + simulator, tmp_path)
    allowed = plan_of(plugins, "allow_same_encoder = true\n" + text + simulator, tmp_path)

    assert {(c.explainer, c.simulator) for c in plan.not_applicable} == {("toy-word", "toy")}
    assert set(plan.not_applicable.values()) == {"the simulator uses the explainer's own encoder"}
    assert not allowed.not_applicable


def test_plan_command_computes_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """`le-bench plan` tells steps, what is cached and what is to do, and leaves no result."""
    arguments = ["plan", "toy.toml", "--plugin", str(bench.plugin)]

    code = call(arguments)
    table = capsys.readouterr().out
    call([*arguments, "--json"])
    steps = json.loads(capsys.readouterr().out)["steps"]

    assert code == 0
    assert "\n4 cells; a run may find more that are not applicable\n" in table
    assert len(steps) == 18
    assert all(step["needed"] and not step["cached"] for step in steps)
    assert not (bench.folder / "leaderboards").exists()
