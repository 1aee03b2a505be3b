"""Laws as tests: a test marked with a component is run once for each law of its kind.

```python
from le_bench.testing.pytest_plugin import laws_of
from nearest_word import NearestWord

@laws_of(NearestWord)
def test_law(law):
    law()
```

`laws_of` takes a component class and its options, encoders by themselves, or a component. Nothing
heavy is imported by a test run that has no such mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from le_bench.testing.worlds import World

MARK = "laws_of"


def laws_of(component: Any, **options: Any) -> pytest.MarkDecorator:
    """The mark of a test that is run once for each law of this component's kind.

    `pytest.mark.laws_of(NearestWord)` would mark the class instead.
    """
    return getattr(pytest.mark, MARK).with_args(component, **options)  # type: ignore[no-any-return]


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", f"{MARK}(component, **options): run once for each law of this component's kind"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a law, named after it."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None or "law" not in metafunc.fixturenames:
        return
    from le_bench.testing.laws import LAWS

    component = _component(mark.args[0], mark.kwargs)
    chosen = LAWS[component.kind]
    trials = [_Trial(component, law) for law in chosen]
    metafunc.parametrize("law", trials, ids=[law.name.replace(" ", "-") for law in chosen])


class _Trial:
    """A law with the component it is to judge; calling it fails or skips the test."""

    def __init__(self, component: Any, law: Any) -> None:
        self.component, self.law = component, law

    def __call__(self) -> None:
        __tracebackhide__ = True
        verdict = self.law(self.component)
        if verdict.state == "n/a":
            pytest.skip(verdict.words)
        if verdict.state == "broken":
            pytest.fail(f"{self.component.kind} '{self.component.name}': {verdict}", pytrace=False)


def _component(given: Any, options: Mapping[str, Any]) -> Any:
    if not isinstance(given, type):
        return given
    from le_bench.testing.laws import planted_options

    return given(**{**planted_options(given), **options})


@pytest.fixture
def world() -> World:
    """A small planted world: images, concepts and units whose answers are known."""
    from le_bench.testing.worlds import plant

    return plant()
