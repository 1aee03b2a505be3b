"""What every plugin must keep to: laws of each kind of component, and their verdicts in words."""

from __future__ import annotations

from collections.abc import Mapping

from le_bench.testing.laws import (
    datasets,
    encoders,
    explainers,
    models,
    scorers,
    simulators,
)
from le_bench.testing.laws.components import (
    files_by_content,
    hashable,
    key_by_options,
    picklable,
)
from le_bench.testing.laws.law import Law, Verdict, laws, verdicts
from le_bench.testing.laws.options import make_for_laws, planted_options

__all__ = ["LAWS", "Law", "Verdict", "make_for_laws", "planted_options", "verdicts"]

COMMON = laws(hashable, key_by_options, files_by_content, picklable)
LAWS: Mapping[str, tuple[Law, ...]] = {
    "model": (*COMMON, *models.LAWS),
    "dataset": (*COMMON, *datasets.LAWS),
    "encoder": (*COMMON, *encoders.LAWS),
    "explainer": (*COMMON, *explainers.LAWS),
    "simulator": (*COMMON, *simulators.LAWS),
    "scorer": (*COMMON, *scorers.LAWS),
}
