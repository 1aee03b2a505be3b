"""What happens to a step that gave what no record can hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from le_bench.boards.files import ResultError
from le_bench.boards.folders import say_faults
from le_bench.errors import readable
from le_bench.running.execute import Progress
from le_bench.types import Outcome

UNFIT = (ResultError, ValueError, TypeError, ArithmeticError, LookupError)


@contextmanager
def failing_if_unfit(progress: Progress, key: str) -> Iterator[None]:
    """Turn what goes wrong while a record is made of a step's value into that step's failure."""
    try:
        yield
    except UNFIT as error:
        faults = say_faults(error) if isinstance(error, ValidationError) else str(error)
        reason = (
            f"no record can hold what it gave ({readable(faults)}); mend the component and raise "
            "its version"
        )
        progress.outcomes[key] = Outcome("failed", reason=reason)
