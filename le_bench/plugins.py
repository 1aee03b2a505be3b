"""Finding plugins, checking them one by one, and making components by name."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from le_bench import hookspecs
from le_bench.components import KINDS, Component
from le_bench.errors import PluginError, near_misses, unknown_name
from le_bench.fingerprint import path_digest
from le_bench.markers import PROJECT
from le_bench.python_files import run_file

if TYPE_CHECKING:
    from le_bench.planning.plan import Step
    from le_bench.types import Outcome

GROUP = "le_bench"
HOME = "le-bench"  # our own distribution
HOOK_OF_KIND = {kind: f"le_bench_{kind}s" for kind in KINDS}
HOOKS = (*HOOK_OF_KIND.values(), "le_bench_step_done")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A component class and where it comes from."""

    component: type[Component]
    plugin: str
    distribution: str
    distribution_version: str
    origin: str


@dataclass(frozen=True, slots=True)
class PluginReport:
    """One plugin's fate at loading: `reason` is empty if it was loaded."""

    plugin: str
    distribution: str
    distribution_version: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a plugin module is found."""

    plugin: str
    distribution: str
    version: str
    entry_point: EntryPoint | None = None
    file: Path | None = None

    def load(self) -> ModuleType:
        if self.entry_point is not None:
            return self.entry_point.load()  # type: ignore[no-any-return]  # untyped in the library
        return _import_file(self.file or Path())

    def origin(self) -> str:
        """What identifies the code behind the component versions; empty for our own."""
        if self.file is not None:
            return f"file {path_digest(self.file)}"
        return "" if self.distribution == HOME else f"{self.distribution} {self.version}"


class Plugins:
    """All usable components, and a report on every plugin found.

    One plugin that fails never takes down the others: it is left out whole and reported.
    """

    def __init__(self, sources: Iterable[_Source]) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._offers: dict[tuple[str, str], Offer] = {}
        self.reports: list[PluginReport] = []
        for source in sources:
            self._load(source)

    @classmethod
    def find(cls, files: Sequence[Path] = ()) -> Plugins:
        """Load every installed plugin, then the given plugin files.

        Installed plugins that fail are reported; a file that fails raises PluginError at once,
        since the user has just asked for it.
        """
        installed = [
            _Source(
                plugin=point.name,
                distribution=point.dist.name if point.dist else "unknown",
                version=point.dist.version if point.dist else "",
                entry_point=point,
            )
            for point in entry_points(group=GROUP)
        ]
        installed.sort(key=lambda s: (s.distribution != HOME, s.distribution, s.plugin))
        plugins = cls(installed)
        for file in {file.resolve(): file for file in files}.values():
            plugins.add_file(file)
        return plugins

    def add_file(self, file: Path) -> None:
        """Load one Python file as a plugin; nothing happens if it is installed as it stands.

        Raises PluginError.
        """
        if not file.is_file():
            raise PluginError(f"--plugin {file}: no such file; check the path")
        if self.offered_by(file):
            return
        self._load(_Source(plugin=file.stem, distribution=str(file), version="", file=file))
        if self.reports[-1].reason:
            raise PluginError(f"--plugin {file}: {self.reports[-1].reason}")

    def offered_by(self, file: Path) -> list[Offer]:
        """What this plugin file offers, loaded as a file or installed as it stands."""
        content = file.read_bytes()
        homes = {offer.component: _source_file(offer.component) for offer in self.offers()}
        alike = {home for home in set(homes.values()) if home and home.read_bytes() == content}
        return [
            offer
            for offer in self.offers()
            if offer.distribution == str(file) or homes[offer.component] in alike
        ]

    @property
    def origins(self) -> Mapping[type[Component], str]:
        """Per class what identifies its code beyond its version (see `fingerprint`)."""
        return {offer.component: offer.origin for offer in self._offers.values()}

    def offers(self, kind: str | None = None) -> list[Offer]:
        """What is offered, sorted by kind and name."""
        return [o for (k, _), o in sorted(self._offers.items()) if kind in (None, k)]

    def offer(self, kind: str, name: str) -> Offer:
        """The component of this kind and name.

        Raises PluginError with near misses; a plugin that failed and might have held it is named.
        """
        try:
            return self._offers[kind, name]
        except KeyError:
            message = unknown_name(kind, name, [n for k, n in self._offers if k == kind])
            failed = [report for report in self.reports if report.reason]
            if failed:
                first = failed[0]
                message += (
                    f" (plugin '{first.plugin}' of {first.distribution} was left out: "
                    f"{first.reason})"
                )
            if "did you mean" not in message:
                message += "; is it in a file? add --plugin FILE.py"
            raise PluginError(message) from None

    def observe(self, observer: object) -> None:
        """Register an object with a `le_bench_step_done` hook."""
        self._manager.register(observer)

    def step_done(self, step: Step, outcome: Outcome) -> None:
        """Tell every observer; one that raises is logged and otherwise ignored."""
        for implementation in self._manager.hook.le_bench_step_done.get_hookimpls():
            arguments = {"step": step, "outcome": outcome}
            try:
                implementation.function(*[arguments[n] for n in implementation.argnames])
            except Exception:
                logger.exception("observer %s failed", implementation.plugin_name)

    def _load(self, source: _Source) -> None:
        reason = ""
        try:
            offers = self._register(source)
        except PluginError as error:
            reason = str(error)
        except (Exception, SystemExit) as error:
            logger.debug("plugin %s", source.plugin, exc_info=True)
            reason = (
                f"importing it raised {type(error).__name__}: {error}; "
                "mend the plugin or uninstall its distribution"
            )
        else:
            self._offers.update(offers)
        self.reports.append(
            PluginReport(source.plugin, source.distribution, source.version, reason)
        )

    def _register(self, source: _Source) -> dict[tuple[str, str], Offer]:
        module = source.load()
        _check_hooks(module)
        name = f"{source.distribution}:{source.plugin}"
        try:
            self._manager.register(module, name)
            return self._collect(source, name)
        except pluggy.PluginValidationError as error:
            self._withdraw(name)
            detail = " ".join(str(error).split())
            raise PluginError(
                f"a hook has arguments it should not have ({detail}); "
                "registration hooks take none, le_bench_step_done takes step and outcome"
            ) from error
        except BaseException:
            self._withdraw(name)
            raise

    def _withdraw(self, name: str) -> None:
        """Take all hooks of a plugin back, if it got so far as to be registered."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _collect(self, source: _Source, name: str) -> dict[tuple[str, str], Offer]:
        found: dict[tuple[str, str], Offer] = {}
        for kind, hook in HOOK_OF_KIND.items():
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                if implementation.plugin_name != name:
                    continue
                for component in implementation.function():
                    _check_component(component, kind, hook)
                    key = (kind, component.name)
                    other = self._offers.get(key) or found.get(key)
                    if other is not None:
                        way_out = "choose another name"
                        if source.file is not None and other.distribution != HOME:
                            way_out += ", or leave one of the two out"
                        raise PluginError(
                            f"{hook} offers {kind} '{component.name}', a name already taken by "
                            f"plugin '{other.plugin}' of {other.distribution}; {way_out}"
                        )
                    found[key] = Offer(
                        component,
                        source.plugin,
                        source.distribution,
                        source.version,
                        source.origin(),
                    )
        return found


def _source_file(component: type[Component]) -> Path | None:
    """The file that a component's code is in, if it is there to be read."""
    try:
        name = inspect.getsourcefile(component)
    except TypeError:  # its module has no file
        return None
    return Path(name) if name is not None and Path(name).is_file() else None


def _import_file(file: Path) -> ModuleType:
    """The module of a plugin file, under a name that files of other folders do not have."""
    if file.suffix != ".py":
        raise PluginError("not a Python file; its name must end in .py")
    place = hashlib.sha256(os.fsencode(file.resolve())).hexdigest()
    return run_file(file, f"le_bench_plugin_file_{file.stem}_{place[:16]}")


def _check_hooks(module: ModuleType) -> None:
    """Refuse misspelt, unmarked and missing hooks."""
    marked = 0
    for name, function in vars(module).items():
        if not inspect.isfunction(function):
            continue
        is_marked = hasattr(function, f"{PROJECT}_impl")
        if is_marked and name not in HOOKS:
            close = near_misses(name, HOOKS)
            hint = f"did you mean {close[0]}?" if close else f"hooks are: {', '.join(HOOKS)}"
            raise PluginError(f"'{name}' is marked @hookimpl but is no hook; {hint}")
        if not is_marked and name in HOOKS:
            raise PluginError(f"'{name}' lacks the @hookimpl mark; add it above the function")
        marked += is_marked
    if not marked:
        raise PluginError(
            "it implements no hook; write a function such as le_bench_explainers, "
            "marked @hookimpl, that returns a list of component classes"
        )


def _check_component(component: Any, kind: str, hook: str) -> None:
    """Refuse what is not a well-formed component class of this kind."""
    base = KINDS[kind]
    label = getattr(component, "__name__", repr(component))
    if not inspect.isclass(component):
        raise PluginError(
            f"{hook} returned {label}, which is not a class; return the class, not an instance"
        )
    if not issubclass(component, base):
        raise PluginError(f"{hook} returned {label}, which is not a subclass of {base.__name__}")
    if inspect.isabstract(component):
        missing = ", ".join(sorted(component.__abstractmethods__))
        raise PluginError(f"{hook}: {label} does not define {missing}")
    parameters = getattr(component, "__dataclass_params__", None)
    if "__dataclass_params__" not in vars(component) or not is_dataclass(component):
        raise PluginError(f"{hook}: {label} is not a dataclass; add @dataclass(frozen=True)")
    if not parameters.frozen:  # type: ignore[union-attr]  # a dataclass has parameters
        raise PluginError(f"{hook}: {label} can be changed; use @dataclass(frozen=True)")
    if any(option.name == "kind" for option in fields(component)):
        raise PluginError(f"{hook}: an option of {label} is called `kind`; give it another name")
    name = getattr(component, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(
            f"{hook}: {label} needs a class variable `name` in lower-case words joined by "
            f"hyphens, not {name!r}"
        )
    version = component.version
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise PluginError(
            f"{hook}: the version of {label} must be a whole number from 1, not {version!r}"
        )
