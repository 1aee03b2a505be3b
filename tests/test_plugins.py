"""Plugins are checked at load, each fault with its plugin and remedy, and never harm each other."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from le_bench.cli import call
from le_bench.components import KINDS
from le_bench.errors import PluginError
from le_bench.hookspecs import __dict__ as hookspecs
from le_bench.plugins import HOOKS, Plugins
from le_bench.testing.checking import find_offers

ROOT = Path(__file__).parent.parent
HEAD = """
from dataclasses import dataclass
from le_bench import hookimpl
from le_bench.components import Explainer, Scorer
from le_bench.types import Explanation, Term

@dataclass(frozen=True)
class Mine(Explainer):
    name = "mine"
    def explain(self, evidence):
        return [Explanation(u, (Term("cat"),)) for u in range(evidence.num_units)]
"""
GOOD = HEAD + "@hookimpl\ndef le_bench_explainers():\n    return [Mine]\n"

FAULTY = {
    "misspelt": (
        HEAD + "@hookimpl\ndef le_bench_explainer():\n    return [Mine]\n",
        "'le_bench_explainer' is marked @hookimpl but is no hook; "
        "did you mean le_bench_explainers?",
    ),
    "unmarked": (
        HEAD + "def le_bench_explainers():\n    return [Mine]\n",
        "'le_bench_explainers' lacks the @hookimpl mark; add it above the function",
    ),
    "hookless": (
        HEAD,
        "it implements no hook; write a function such as le_bench_explainers, marked @hookimpl, "
        "that returns a list of component classes",
    ),
    "instance": (
        HEAD + "@hookimpl\ndef le_bench_explainers():\n    return [Mine()]\n",
        "le_bench_explainers returned Mine(), which is not a class; return the class, "
        "not an instance",
    ),
    "wrong_kind": (
        HEAD + "@hookimpl\ndef le_bench_scorers():\n    return [Mine]\n",
        "le_bench_scorers returned Mine, which is not a subclass of Scorer",
    ),
    "abstract": (
        HEAD
        + "@dataclass(frozen=True)\nclass Half(Explainer):\n    name = 'half'\n"
        + "@hookimpl\ndef le_bench_explainers():\n    return [Half]\n",
        "le_bench_explainers: Half does not define explain",
    ),
    "no_dataclass": (
        HEAD.replace("@dataclass(frozen=True)\n", "")
        + "@hookimpl\ndef le_bench_explainers():\n    return [Mine]\n",
        "le_bench_explainers: Mine is not a dataclass; add @dataclass(frozen=True)",
    ),
    "kind": (
        GOOD.replace('name = "mine"', 'name = "mine"\n    kind: str = "x"'),
        "le_bench_explainers: an option of Mine is called `kind`; give it another name",
    ),
    "bad_name": (
        GOOD.replace('"mine"', '"My Explainer"'),
        "le_bench_explainers: Mine needs a class variable `name` in lower-case words joined by "
        "hyphens, not 'My Explainer'",
    ),
    "bad_version": (
        GOOD.replace('name = "mine"', 'name = "mine"\n    version = "1.0"'),
        "le_bench_explainers: the version of Mine must be a whole number from 1, not '1.0'",
    ),
    "taken": (
        GOOD.replace('"mine"', '"le-label"'),
        "le_bench_explainers offers explainer 'le-label', a name already taken by plugin "
        "'linear-explanations' of le-bench; choose another name",
    ),
    "raises": (
        "raise ImportError('no module named x')\n",
        "importing it raised ImportError: no module named x; mend the plugin or uninstall its "
        "distribution",
    ),
    "exits": (
        "import sys\nsys.exit('bye')\n",
        "importing it raised SystemExit: bye; mend the plugin or uninstall its distribution",
    ),
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_of_a_plugin_is_said_with_its_remedy(name: str, tmp_path: Path) -> None:
    """A faulty plugin file is refused with one message that names the file and what to do."""
    text, reason = FAULTY[name]
    file = write(tmp_path, name, text)

    with pytest.raises(PluginError) as caught:
        Plugins.find([file])

    assert str(caught.value) == f"--plugin {file}: {reason}"


def test_wrong_hook_arguments_are_refused(tmp_path: Path) -> None:
    """A registration hook that takes an argument is refused, naming the hook."""
    text = HEAD + "@hookimpl\ndef le_bench_explainers(config):\n    return [Mine]\n"
    file = write(tmp_path, "arguments", text)

    with pytest.raises(PluginError) as caught:
        Plugins.find([file])

    message = str(caught.value)
    assert message.startswith(f"--plugin {file}: a hook has arguments it should not have (")
    assert "le_bench_explainers" in message
    assert message.endswith(
        "registration hooks take none, le_bench_step_done takes step and outcome"
    )


def test_a_good_plugin_file_offers_its_components(tmp_path: Path) -> None:
    """A plugin in one file is found under its name, its code identified by the file's content."""
    plugins = Plugins.find([write(tmp_path, "good", GOOD)])

    offer = plugins.offer("explainer", "mine")

    assert offer.plugin == "good"
    assert offer.origin.startswith("file ")


def test_a_failed_plugin_leaves_the_others_alone(tmp_path: Path) -> None:
    """After one plugin failed, the next one still loads and the first leaves no hook behind."""
    plugins = Plugins.find()
    before = len(plugins.offers())

    with pytest.raises(PluginError):
        plugins.add_file(write(tmp_path, "taken", FAULTY["taken"][0]))
    plugins.add_file(write(tmp_path, "good", GOOD))

    assert len(plugins.offers()) == before + 1


def test_unknown_component_gets_near_misses(plugins: Plugins) -> None:
    """An unknown name is answered with the closest known ones."""
    with pytest.raises(PluginError) as caught:
        plugins.offer("explainer", "le-lable")

    assert str(caught.value).startswith("unknown explainer 'le-lable'; did you mean 'le-label'")


def test_an_observer_that_raises_is_ignored(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in le_bench_step_done is logged and does not stop anything."""
    from le_bench import hookimpl
    from le_bench.types import Outcome

    seen = []

    class Broken:
        @hookimpl
        def le_bench_step_done(self) -> None:
            raise RuntimeError("observer broke")

    class Good:
        @hookimpl
        def le_bench_step_done(self, outcome: Outcome) -> None:
            seen.append(outcome.state)

    fresh = Plugins.find()
    fresh.observe(Good())
    fresh.observe(Broken())

    fresh.step_done(None, Outcome("done"))  # type: ignore[arg-type]  # observers ignore it here

    assert seen == ["done"]
    assert "observer broke" in caplog.text


def test_every_hook_has_a_kind_or_observes() -> None:
    """The hook specifications are exactly the hooks that the core calls."""
    specified = {name for name in hookspecs if name.startswith("le_bench_")}

    assert specified == set(HOOKS)
    assert len(HOOKS) == len(KINDS) + 1


def test_entry_points_agree_with_modules_and_metadata() -> None:
    """Every plugin module is declared, every declaration is installed and every one loads."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = project["project"]["entry-points"]["le_bench"]
    installed = {p.name: p.value for p in entry_points(group="le_bench") if p.dist}
    source = ROOT / "plugins" / "le_bench_plugins"
    modules = {
        ".".join(("le_bench_plugins", *path.relative_to(source).with_suffix("").parts))
        for path in source.rglob("*.py")
        if "\n@hookimpl" in path.read_text()
    }

    assert declared.items() <= installed.items(), "reinstall: pip install -e '.[test]'"
    assert set(declared.values()) == modules
    assert [r for r in Plugins.find().reports if r.reason and r.distribution == "le-bench"] == []


def test_plugins_command_lists_components_as_json(
    toy_plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`le-bench plugins --json` names kind, plugin, distribution, version and state of each."""
    code = call(["plugins", "--json", "--kind", "explainer", "--plugin", str(toy_plugin)])

    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert code == 0
    assert rows["toy-label"]["plugin"] == "toy_plugin"
    assert rows["le-label"]["distribution"].startswith("le-bench ")
    assert {"kind", "name", "version", "plugin", "distribution", "state"} <= set(rows["le-label"])


def test_help_is_quick_to_import() -> None:
    """Neither torch nor pandas is imported to print the help."""
    code = (
        "import sys; from le_bench.cli import call; call(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas')))"
    )

    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert finished.returncode == 0
    assert b"leaderboard" in finished.stdout


def test_a_plugin_file_counts_once(tmp_path: Path) -> None:
    """Named twice, or installed as it stands, it is the same plugin; a changed one is refused."""
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    copy = tmp_path / "copy.py"
    copy.write_text(GOOD)

    plugins = Plugins.find([file, tmp_path / "." / "mine.py", copy])

    assert [offer.plugin for offer in plugins.offers("explainer")].count("mine") == 1
    copy.write_text(GOOD + "\n# changed\n")
    with pytest.raises(PluginError, match="choose another name, or leave one of the two out"):
        Plugins.find([file, copy])


def test_plugin_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    """Each component finds the module of its own file, whatever the folders are."""
    files = {name: tmp_path / name / "plugin.py" for name in ("mine", "yours")}
    for name, file in files.items():
        file.parent.mkdir()
        file.write_text(GOOD.replace('"mine"', f'"{name}"'))

    plugins = Plugins.find(list(files.values()))

    homes = {name: plugins.offer("explainer", name).component.__module__ for name in files}
    assert {name: sys.modules[homes[name]].__file__ for name in files} == {
        name: str(file) for name, file in files.items()
    }


def test_an_unknown_component_may_be_in_a_file() -> None:
    """The likeliest mistake with a plugin that is no package."""
    with pytest.raises(PluginError, match=r"is it in a file\? add --plugin FILE.py"):
        Plugins.find().offer("explainer", "zzzz")


def test_an_installed_plugin_is_found_by_its_file(tmp_path: Path) -> None:
    """After `pip install` the commands that name the file go on working."""
    home = importlib.util.find_spec("le_bench_plugins.explainers.clip_dissect")
    assert home is not None
    assert home.origin is not None
    copy = tmp_path / "mine.py"
    copy.write_bytes(Path(home.origin).read_bytes())

    offers = find_offers(str(copy), "explainer", [])

    assert [offer.component.name for offer in offers] == ["clip-dissect"]
    assert offers[0].distribution == "le-bench"
    copy.write_text(copy.read_text() + "# changed\n")
    with pytest.raises(PluginError, match="a name already taken by plugin"):
        find_offers(str(copy), "explainer", [])
