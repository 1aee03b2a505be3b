"""The fidelity of simulators in a run: measured on test images, recorded, rendered, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from sklearn.metrics import average_precision_score, brier_score_loss

from le_bench.boards.leaderboard import render
from le_bench.boards.simulators import SimulatorFidelity, read_fidelities
from le_bench.cli import call
from le_bench.planning.plan import make_plan
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins
from le_bench.running.fidelity import nearly_same
from le_bench.running.store import Store
from le_bench.running.workspace import Workspace

if TYPE_CHECKING:
    from conftest import Bench

ROWS = """
[[simulators]]
use = "siglip"
id = "eye"
encoder = "eye"
"""


def edit(bench: Bench, extra: str = ROWS) -> None:
    bench.edit(lambda text: f"allow_same_encoder = true\n{text}\n{extra}")


def found_in(bench: Bench) -> list[SimulatorFidelity]:
    return read_fidelities(bench.folder / "leaderboards" / "simulators")


def test_records_equal_scikit_learn_on_test_images(bench: Bench, plugins: Plugins) -> None:
    """Average precision and Brier score by concept are scikit-learn's on the test images alone."""
    edit(bench)
    code = bench.run()

    (found,) = found_in(bench)
    path = bench.folder / "toy.toml"
    plan = make_plan(build_experiment(read_table(path), path, plugins), plugins.origins)
    workspace = Workspace(plan, Store(bench.folder / "cache"), torch.device("cpu"))
    step = plan.steps[plan.fidelities["eye", "eye"]]
    view = workspace.view(step, "test")
    assert step.encoder is not None
    assert view.label_presence is not None
    cosines = view.cosines(step.encoder, view.label_presence.concepts)
    presence = view.presence(step.encoder, view.label_presence.concepts)
    assert code == 0
    assert found.num_images == len(view.rows)
    assert [each.concept for each in found.concepts] == list(view.label_presence.concepts)
    for column, each in enumerate(found.concepts):
        truth = view.label_presence.values[:, column].numpy()
        after = presence[:, column].double().numpy()
        before = cosines[:, column].clamp(0, 1).double().numpy()
        agreement = each.agreement
        if truth.any():
            assert each.average_precision == pytest.approx(
                average_precision_score(truth, after), abs=2e-6
            )
        else:
            assert each.average_precision is None
        assert agreement.brier_after == pytest.approx(brier_score_loss(truth, after), abs=2e-6)
        assert agreement.brier_before == pytest.approx(brier_score_loss(truth, before), abs=2e-6)
        assert each.share == pytest.approx(truth.mean(), abs=1e-6)


def test_concepts_have_categories(bench: Bench) -> None:
    """All concepts first, then classes and superclasses; counts and means add up."""
    edit(bench)
    bench.run()

    (found,) = found_in(bench)
    names = [each.category for each in found.categories]
    assert names == ["all", "class", "superclass"]
    assert [each.num_concepts for each in found.categories] == [5, 4, 1]
    whole = found.categories[0]
    defined = [e.average_precision for e in found.concepts if e.average_precision is not None]
    assert whole.num_undefined == 5 - len(defined)
    assert whole.average_precision == pytest.approx(sum(defined) / len(defined), abs=1e-5)
    assert whole.agreement.brier_after < whole.agreement.brier_before


def test_board_of_simulators_is_rendered_and_checked(bench: Bench) -> None:
    """The page is written with the boards, the index names it, and a change of it is noticed."""
    edit(bench)
    bench.run()
    folder = bench.folder / "leaderboards"

    page = (folder / "simulators.md").read_text()

    assert "### By category" in page
    assert "[simulators](simulators.md)" in (folder / "README.md").read_text()
    assert call(["leaderboard", "--check"]) == 0
    (folder / "simulators.md").write_text(page.replace("Simulators", "Simulation", 1))
    assert call(["leaderboard", "--check"]) == 4


def test_a_second_run_computes_and_changes_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fidelity comes from the cache like every other step."""
    edit(bench)
    bench.run()
    before = bench.files()
    capsys.readouterr()

    bench.run()

    assert capsys.readouterr().out.startswith("0 steps computed")
    assert bench.files() == before


def test_records_of_removed_simulators_go(bench: Bench) -> None:
    """A simulator that the experiment no longer has leaves no record and no page behind."""
    edit(bench)
    bench.run()
    bench.edit(lambda text: text.replace(ROWS, ""))

    bench.run()

    assert found_in(bench) == []
    assert not (bench.folder / "leaderboards" / "simulators.md").exists()


def test_simulators_without_an_encoder_have_no_fidelity(bench: Bench) -> None:
    """The labels are the truth: there is nothing to measure, and no step is planned."""
    bench.run()

    assert found_in(bench) == []


def test_board_tells_the_better_simulator(bench: Bench) -> None:
    """Two simulators are ordered by average precision with their paired difference."""
    edit(bench)
    bench.run()
    (found,) = found_in(bench)
    worse = SimulatorFidelity(
        **{
            **vars(found),
            "simulator": "blur",
            "categories": tuple(
                type(each)(**{**vars(each), "average_precision": 0.1}) for each in found.categories
            ),
            "concepts": tuple(
                type(each)(**{**vars(each), "average_precision": 0.1}) for each in found.concepts
            ),
        }
    )
    lost = SimulatorFidelity("0" * 64, "toy", "toy", "blind", "eye", reason="no ground truth")

    page = render([], simulators=[lost, worse, found])["simulators.md"]

    lines = [line for line in page.splitlines() if line.startswith("| eye ") or "| blur " in line]
    assert lines[0].endswith("best |")
    assert "[" in lines[1].split("|")[-2]
    assert "blind: n/a, no ground truth" in page


def test_records_of_one_key_may_differ_in_last_digits(bench: Bench) -> None:
    """Another machine reproduces a record up to rounding; a changed number is a change."""
    edit(bench)
    bench.run()
    (found,) = found_in(bench)

    def shifted(by: float) -> SimulatorFidelity:
        first = found.concepts[0]
        moved = type(first)(**{**vars(first), "share": first.share + by})
        return SimulatorFidelity(**{**vars(found), "concepts": (moved, *found.concepts[1:])})

    assert nearly_same(found, shifted(1e-5))
    assert not nearly_same(found, shifted(0.01))
