"""Holding the components of a plugin against the laws of their kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from le_bench.components import KINDS
from le_bench.errors import BenchError, PluginError, unknown_name
from le_bench.plugins import Offer, Plugins
from le_bench.testing.laws import LAWS, Law, Verdict, make_for_laws
from le_bench.testing.laws.law import raised


@dataclass(frozen=True, slots=True)
class Checked:
    """A component and what the laws say; `not_made` says why there is none to be judged."""

    kind: str
    name: str
    verdicts: tuple[Verdict, ...] = ()
    not_made: str = ""

    def count(self, state: str) -> int:
        """How many laws are in this state."""
        return sum(verdict.state == state for verdict in self.verdicts)

    def causes(self, state: str) -> list[list[Verdict]]:
        """The verdicts of a state, those with the same words together."""
        causes: dict[str, list[Verdict]] = {}
        for verdict in self.verdicts:
            if verdict.state == state:
                causes.setdefault(verdict.words, []).append(verdict)
        return list(causes.values())

    @property
    def holds(self) -> bool:
        """Whether the component was made and no law is broken."""
        return not self.not_made and not self.count("broken")

    def record(self) -> dict[str, Any]:
        """All of it as JSON-able content."""
        verdicts = [
            {"law": v.law, "demand": v.demand, "state": v.state, "words": v.words}
            for v in self.verdicts
        ]
        made = {"not_made": self.not_made, "laws": verdicts}
        return {"kind": self.kind, "name": self.name, "holds": self.holds, **made}


def find_offers(what: str, kind: str | None, files: Sequence[Path]) -> list[Offer]:
    """What is offered by a plugin file, or by a component's, plugin's or distribution's name.

    Raises PluginError with near misses.
    """
    if kind is not None and kind not in KINDS:
        raise BenchError(f"--kind {kind}: {unknown_name('kind', kind, list(KINDS))}")
    own = Path(what)
    from_file = own.suffix == ".py" or own.is_file()
    plugins = Plugins.find([*files, own] if from_file else files)
    offers = plugins.offers(kind)
    if from_file:
        found = [offer for offer in plugins.offered_by(own) if offer in offers]
        if not found:
            raise PluginError(f"{what} offers no {kind or 'component'}")
        return found
    for named in (_component, _plugin, _distribution):
        found = [offer for offer in offers if named(offer) == what]
        if found:
            return found
    for report in plugins.reports:
        if report.reason and what in (report.plugin, report.distribution):
            raise PluginError(f"plugin '{what}' cannot be checked: {report.reason}")
    known = {named(offer) for offer in offers for named in (_component, _plugin, _distribution)}
    message = unknown_name("component, plugin or file", what, sorted(known))
    raise PluginError(f"{message} (a file's name ends in .py)")


def check_offers(
    offers: Sequence[Offer],
    table: Mapping[str, Any],
    folder: Path,
    tell: Callable[[Offer, Law], None],
) -> Iterator[Checked]:
    """The verdicts on each component, told of each law before it is tried.

    An option in `table` is given to the components that have it. Raises BenchError for one that
    none has.
    """
    known = {option.name for offer in offers for option in fields(offer.component)}
    for option in table:
        if option not in known:
            raise BenchError(f"--set {option}: {unknown_name('option', option, sorted(known))}")
    for offer in offers:
        yield _check(offer, table, folder, tell)


def _check(
    offer: Offer, table: Mapping[str, Any], folder: Path, tell: Callable[[Offer, Law], None]
) -> Checked:
    kind, name = offer.component.kind, offer.component.name
    own = {
        option.name: table[option.name]
        for option in fields(offer.component)
        if option.name in table
    }
    try:
        component = make_for_laws(offer.component, own, folder)
    except BenchError as error:
        return Checked(kind, name, not_made=f"{error}; give options by --set OPTION=VALUE")
    except Exception as error:  # a plugin may raise anything
        return Checked(kind, name, not_made=raised(error))
    verdicts = []
    for law in LAWS[kind]:
        tell(offer, law)
        verdicts.append(law(component))
    return Checked(kind, name, tuple(verdicts))


def _component(offer: Offer) -> str:
    return offer.component.name


def _plugin(offer: Offer) -> str:
    return offer.plugin


def _distribution(offer: Offer) -> str:
    return offer.distribution
