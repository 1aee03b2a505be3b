"""New plugin projects, from the templates that ship."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import torch
from safetensors.torch import save_file

from le_bench.errors import BenchError, PluginError, unknown_name
from le_bench.plugins import NAME, Plugins
from le_bench.templates.model import Network

TEMPLATES = "le_bench.templates"
KINDS_TO_BEGIN = ("explainer", "simulator", "scorer", "model", "dataset")
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Project:
    """What was written; `given` is what `le-bench check` must be told of options."""

    folder: Path
    module: str
    files: tuple[Path, ...]
    given: str = ""


def write_project(kind: str, name: str, folder: Path) -> Project:
    """Write a project of this kind. Raises BenchError, and then writes nothing.

    A name may neither be taken by an installed component nor hide an installed module.
    """
    if kind not in KINDS_TO_BEGIN:
        raise BenchError(unknown_name("kind", kind, KINDS_TO_BEGIN))
    module = _module(kind, name)
    words = _words(kind, name, module)
    texts = {
        f"{module}.py": _plugin(kind, words),
        f"tests/test_{module}.py": _filled("test.txt", words),
        "pyproject.toml": _filled("pyproject.txt", words),
        "README.md": _filled("readme.txt", words),
        "experiment.toml": _filled(f"experiment-{kind}.txt", words),
    }
    there = [file for file in (*texts, WEIGHTS) if (folder / file).exists()]
    if there:
        raise BenchError(
            f"{folder / there[0]} exists, and nothing is overwritten; give another --out"
        )
    try:
        for file, text in texts.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        if kind == "model":
            _write_weights(folder / WEIGHTS)
    except OSError as error:
        raise BenchError(f"{folder}: cannot be written ({error.strerror}); give --out") from error
    written = [*texts, WEIGHTS] if kind == "model" else list(texts)
    return Project(folder, module, tuple(folder / file for file in written), words["given"])


def _module(kind: str, name: str) -> str:
    """The module's name. Raises BenchError for a component's name that does not do."""
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or not module.isidentifier() or keyword.iskeyword(module):
        proposed = "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
        hint = f", such as '{proposed}'" if NAME.fullmatch(proposed) and proposed != name else ""
        raise BenchError(
            f"'{name}' cannot be a component's name; take lower-case words joined by hyphens that "
            f"begin with a letter{hint}"
        )
    if module in sys.stdlib_module_names or _importable(module):
        raise BenchError(f"'{name}': a module '{module}' is installed; choose another name")
    try:
        offer = Plugins.find().offer(kind, name)
    except PluginError:
        return module
    raise BenchError(
        f"there is {kind} '{name}' already, of {offer.distribution}; choose another name"
    )


def _importable(module: str) -> bool:
    """Whether an installed module of this name would be hidden."""
    spec = find_spec(module)
    return spec is not None and "site-packages" in str(spec.origin)


def _words(kind: str, name: str, module: str) -> Mapping[str, str]:
    """What stands in the templates for what."""
    class_name = "".join(part.capitalize() for part in name.split("-"))
    from_file = kind == "model"
    return {
        "kind": kind,
        "article": "An" if kind == "explainer" else "A",
        "name": name,
        "module": module,
        "class_name": class_name,
        "distribution": f"le-bench-{name}",
        "title": name.replace("-", " ").capitalize(),
        "given": f" --set weights={WEIGHTS}" if from_file else "",
        "imports": "\nfrom pathlib import Path\n" if from_file else "",
        "options": f', weights=Path(__file__).parent.parent / "{WEIGHTS}"' if from_file else "",
    }


def _plugin(kind: str, words: Mapping[str, str]) -> str:
    source = (files(TEMPLATES) / f"{kind}.py").read_text(encoding="utf-8")
    return source.replace(f"My{kind.capitalize()}", words["class_name"]).replace(
        f"my-{kind}", words["name"]
    )


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (files(TEMPLATES) / template).read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _write_weights(path: Path) -> None:
    """Random weights from a fixed seed, so that there is something to load."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(Network().state_dict(), path)
