"""The solvers of the ranking problem by the name under which explainers offer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from le_bench.errors import unknown_name
from le_bench_plugins.explainers.linear.elastic_net import RankingSolver
from le_bench_plugins.explainers.linear.exact_solver import Exact
from le_bench_plugins.explainers.linear.glm_saga_solver import GlmSaga

SOLVERS: Mapping[str, Callable[[], RankingSolver]] = {
    "exact": Exact,
    "glm-saga": GlmSaga,
    "glm-saga-stochastic": lambda: GlmSaga(protocol="stochastic"),
}


def make_solver(name: str) -> RankingSolver:
    """The solver of this name. Raises ValueError, with near misses, if there is none."""
    if name not in SOLVERS:
        raise ValueError(unknown_name("solver", name, list(SOLVERS)))
    return SOLVERS[name]()
