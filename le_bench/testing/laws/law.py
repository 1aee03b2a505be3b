"""A law: what is demanded of a component, and the verdict on one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from le_bench.components import Component
from le_bench.errors import NotApplicableError
from le_bench.running.seeds import seed_everything
from le_bench.running.stages import global_state_kept

State = Literal["holds", "broken", "n/a"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a law says of a component: `words` tell what is broken, or why it does not apply."""

    law: str
    demand: str
    state: State
    words: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.state == "holds":
            return f"'{self.law}' holds"
        return f"'{self.law}' is {self.state}: {self.words}\nThe law: {self.demand}"


@dataclass(frozen=True, slots=True)
class Law:
    """One demand. `judge` gives what is broken in words, empty if the law holds.

    Whatever the component raises breaks the law, but for NotApplicableError, with which the
    component or the law itself says that it does not apply.
    """

    name: str
    demand: str
    judge: Callable[[Any], str]

    def __call__(self, component: Component) -> Verdict:
        """The verdict on this component."""
        start = perf_counter()
        state, words = self._judged(component)
        return Verdict(self.name, self.demand, state, words, perf_counter() - start)

    def _judged(self, component: Component) -> tuple[State, str]:
        seed_everything(0)
        try:
            with global_state_kept():
                words = self.judge(component)
        except NotApplicableError as reason:
            return "n/a", str(reason)
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            return "broken", raised(error)
        return ("broken", words) if words else ("holds", "")


def law(judge: Callable[[Any], str]) -> Law:
    """The law of a function: its name in words, its demand the first paragraph of the docstring."""
    demand = (inspect.getdoc(judge) or "").split("\n\n")[0].replace("\n", " ")
    return Law(judge.__name__.replace("_", " "), demand, judge)


def laws(*judges: Callable[[Any], str]) -> tuple[Law, ...]:
    """The laws of several functions, in this order."""
    return tuple(law(judge) for judge in judges)


def verdicts(component: Component, chosen: Sequence[Law]) -> Iterator[Verdict]:
    """The verdict of each law, one after the other."""
    for each in chosen:
        yield each(component)


def raised(error: BaseException) -> str:
    """An exception in one line, with the innermost place outside of torch and the like."""
    place, inner = "", error.__traceback__
    while inner is not None:
        file = Path(inner.tb_frame.f_code.co_filename)
        if "site-packages" not in file.parts and file.suffix == ".py":
            place = f" ({file.name}:{inner.tb_lineno})"
        inner = inner.tb_next
    return f"it raised {type(error).__name__}: {' '.join(str(error).split())}{place}"


def not_applicable_if(condition: bool, reason: str) -> None:
    """Raise NotApplicableError with this reason if the condition holds."""
    if condition:
        raise NotApplicableError(reason)
