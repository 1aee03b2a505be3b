"""Components may have an encoder by default, which no table of the experiment names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from le_bench.boards.results import read_results
from le_bench.errors import ExperimentError
from le_bench.planning.reading import build_experiment
from le_bench.planning.tables import read_table
from le_bench.plugins import Plugins

if TYPE_CHECKING:
    from conftest import Bench

OWN = """
from dataclasses import dataclass
import torch
from le_bench import hookimpl
from le_bench.components import Encoder, Explainer
from le_bench.types import Calibration, Explanation, Term

@dataclass(frozen=True)
class Even(Encoder):
    name = "even"
    width: int = 4

    def encode_images(self, images, device):
        return torch.ones(len(images), self.width)

    def encode_texts(self, texts, device):
        return torch.ones(len(texts), self.width)

    def constants(self):
        return Calibration(1.0, 0.0, "given")

@dataclass(frozen=True)
class Seeing(Explainer):
    name = "seeing"
    encoder: Encoder = Even()

    def explain(self, evidence):
        evidence.train.cosines(self.encoder, ["red"])
        return [Explanation(unit, (Term("red"),)) for unit in range(evidence.num_units)]

@hookimpl
def le_bench_encoders():
    return [Even]

@hookimpl
def le_bench_explainers():
    return [Seeing]
"""
ROW = '[[explainers]]\nuse = "seeing"\n'


def test_a_default_encoder_goes_by_its_component_name(bench: Bench) -> None:
    """The explainer runs with it, and the results say so."""
    file = bench.folder / "own.py"
    file.write_text(OWN)
    bench.edit(lambda text: text + ROW)

    code = bench.run("--plugin", str(file), "--explainer", "seeing")

    results = read_results(bench.folder / "leaderboards" / "results")
    assert code == 0
    constants = [constants for result in results for constants in result.made_by.calibrations]
    assert [getattr(each, "encoder", None) for each in constants] == ["even", "even"]


def test_two_encoders_of_one_name_are_refused(bench: Bench) -> None:
    """A table of the default encoder's name with other options leaves open which one is meant."""
    file = bench.folder / "own.py"
    file.write_text(OWN)
    bench.edit(lambda text: f'{text}{ROW}[encoders.even]\nuse = "even"\nwidth = 5\n')
    source = Path("toy.toml")

    with pytest.raises(ExperimentError) as caught:
        build_experiment(read_table(source), source, Plugins.find([bench.plugin, file]))

    assert str(caught.value) == (
        "toy.toml: 1 fault, nothing was run:\n  - seeing: there is another encoder 'even' than its "
        "default one; name the encoder that it is to use"
    )


def test_a_table_like_the_default_encoder_names_it(bench: Bench) -> None:
    """Whatever the table is called."""
    file = bench.folder / "own.py"
    file.write_text(OWN)
    bench.edit(lambda text: f'{text}{ROW}[encoders.mine]\nuse = "even"\n')
    source = Path("toy.toml")

    experiment = build_experiment(read_table(source), source, Plugins.find([bench.plugin, file]))

    assert list(experiment.encoders) == ["eye", "mine"]
