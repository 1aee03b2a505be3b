"""The seven hooks of le_bench: six offer components, one observes.

A plugin is a module (or object) with functions of these names, marked `@hookimpl`:

```python
from le_bench import hookimpl

@hookimpl
def le_bench_explainers():
    return [MyExplainer]
```

The registration hooks take no argument and return component *classes*; the core makes,
checks and sorts them by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from le_bench.markers import hookspec

if TYPE_CHECKING:
    from le_bench.components import (
        DatasetSource,
        Encoder,
        Explainer,
        ModelSource,
        Scorer,
        Simulator,
    )
    from le_bench.planning.plan import Step
    from le_bench.types import Outcome


@hookspec
def le_bench_models() -> Iterable[type[ModelSource]]:  # type: ignore[empty-body]  # a spec has no body
    """Offer sources of target models."""


@hookspec
def le_bench_datasets() -> Iterable[type[DatasetSource]]:  # type: ignore[empty-body]  # a spec has no body
    """Offer sources of probe datasets."""


@hookspec
def le_bench_encoders() -> Iterable[type[Encoder]]:  # type: ignore[empty-body]  # a spec has no body
    """Offer encoders of images and texts (CLIP, SigLIP)."""


@hookspec
def le_bench_explainers() -> Iterable[type[Explainer]]:  # type: ignore[empty-body]  # a spec has no body
    """Offer explainers."""


@hookspec
def le_bench_simulators() -> Iterable[type[Simulator]]:  # type: ignore[empty-body]  # a spec has no body
    """Offer simulators."""


@hookspec
def le_bench_scorers() -> Iterable[type[Scorer]]:  # type: ignore[empty-body]  # a spec has no body
    """Offer scorers."""


@hookspec
def le_bench_step_done(step: Step, outcome: Outcome) -> None:
    """Observe a step that has just been finished, found in the cache, failed or skipped.

    An exception raised here is logged and never stops the run.
    """
