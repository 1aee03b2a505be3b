"""A component's version is raised when its code changes, so that no cache serves old numbers.

`golden/versions.json` holds, for every component of ours, its version and a digest of the code
behind it: its module, the modules beside it in its own package, and the core's numerical modules.
Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from le_bench.planning import plan
from le_bench.plugins import HOME, Plugins

GOLDEN = Path(__file__).parent / "golden" / "versions.json"
ACCEPT = "LE_BENCH_ACCEPT_SAME_NUMBERS"
SHARED_FOLDERS = {"explainers", "datasets", "models", "encoders", "simulators", "scorers"}
CORE = (
    "formulas.calibration",
    "formulas.correlation",
    "formulas.curves",
    "formulas.fidelity",
    "formulas.impact",
    "formulas.ranking",
    "formulas.simulation",
    "formulas.temperature",
    "networks.ablating",
    "networks.affine",
    "networks.embedding",
    "networks.maps",
    "networks.preprocessing",
    "networks.recording",
    "networks.rest",
    "probing.files",
    "probing.presence",
    "probing.splits",
    "running.explaining",
    "running.fidelity",
    "running.seeds",
    "running.ablation",
    "running.heads",
    "running.judged",
    "running.losses",
    "running.stages",
)


@cache
def code_digest(path: Path) -> str:
    """A digest of a module's code without docstrings, comments and layout."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            body.pop(0)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def digest_of(paths: list[Path]) -> str:
    whole = "".join(f"{path.name}:{code_digest(path)}" for path in sorted(paths))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def own_modules(module: str) -> list[Path]:
    """The module, and its whole package unless that is only a folder of plugins."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin)
    if path.parent.name in SHARED_FOLDERS:
        return [path]
    return [file for file in path.parent.rglob("*.py") if "training" not in file.parts]


def current() -> dict[str, list[object]]:
    entries: dict[str, list[object]] = {}
    for offer in Plugins.find().offers():
        if offer.distribution == HOME:
            component = offer.component
            digest = digest_of(own_modules(component.__module__))
            entries[f"{component.kind} {component.name}"] = [component.version, digest]
    core = [Path(find_spec(f"le_bench.{name}").origin) for name in CORE]  # type: ignore[union-attr,arg-type]  # they exist
    entries["core"] = [plan.NUMERICS, digest_of(core)]
    return entries


def test_changed_code_comes_with_a_raised_version() -> None:
    """Code that changed under an unchanged version is refused until one or the other is settled."""
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    now = current()

    stale = [
        name
        for name, (version, digest) in now.items()
        if name in known and known[name][0] == version and known[name][1] != digest
    ]
    if os.environ.get(ACCEPT) or (known != now and not stale and os.environ.get("CI") is None):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        known, stale = now, []

    assert not stale, (
        f"the code of {', '.join(stale)} changed; raise its version (or NUMERICS for the core) and "
        f"run `le-bench run`, or, if no number changes, run this test once with {ACCEPT}=1"
    )
    assert known == now, f"{GOLDEN.name} is out of date; run this test locally and commit it"
