"""Plugins that do what nobody expects harm no others."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from le_bench.boards.results import read_failures, read_results
from le_bench.fingerprint import digest
from le_bench.running.seeds import seed_everything

if TYPE_CHECKING:
    from conftest import Bench

ODD = Path(__file__).parent.parent / "toy" / "odd_plugin.py"


ROWS = {
    "choosy": """
shade = "dark"
words = ["two", "one"]
rule = { most = 2 }
rules = { first = { shades = [] } }
""",
    "dated": "day = 1979-05-27",
    "listing": "",
}


def run(bench: Bench, *arguments: str) -> int:
    """`le-bench run toy.toml` with the odd plugins at hand; the exit code."""
    return bench.run("--plugin", str(ODD), *arguments)


def add_row(bench: Bench, kind: str, **options: str) -> None:
    """Put a row of an odd component before all others of its kind."""
    lines = "\n".join(f"{name} = {value}" for name, value in options.items())
    first = f"[[{kind}s]]"
    bench.edit(lambda text: text.replace(first, f'{first}\nuse = "odd"\n{lines}\n\n{first}', 1))


def test_a_scorer_that_writes_into_its_input_changes_no_other_score(bench: Bench) -> None:
    """The scorer after it scores the simulations as they were."""
    bench.run("--out", "usual", "--cache", "usual-cache")
    expected = {
        result.cell: result.values for result in read_results(bench.folder / "usual" / "results")
    }
    add_row(bench, "scorer", oddity='"writes"')

    code = run(bench)

    results = read_results(bench.folder / "leaderboards" / "results")
    found = {result.cell: result.values for result in results if result.cell.scorer != "odd"}
    assert code == 0
    assert len(results) == 2 * len(expected)
    assert found == expected


NO_NUMBERS = (
    "weights, bias and figures must be finite Python numbers, not [{}]; where there is none, give "
    "a reason and no terms"
)
REFUSED = {
    ("explainer", "n/a"): (
        "NotApplicableError was raised without a message; give one that says why"
    ),
    ("explainer", "concept"): (
        "explainer 'odd', unit 0: Term(concept='caf\\udce9', weight=1.0) is not a Term of a text "
        "and a weight"
    ),
    ("explainer", "reason"): "explainer 'odd', unit 0: the reason 5 is not a text",
    ("explainer", "figure"): "explainer 'odd', unit 0: '' is no name of a figure; give a text",
    ("explainer", "huge"): (
        f"explainer 'odd', unit 0: {NO_NUMBERS.format('1' + '0' * 400 + ', 1.0')}"
    ),
    ("simulator", ""): ("simulator 'odd': unit 0 is undefined for the reason ''; say why in words"),
    ("scorer", "infinite"): (
        "scorer 'odd' gave infinite scores for units [1]; it must give NaN with a reason where a "
        "score is undefined"
    ),
    ("scorer", "reason"): "scorer 'odd': unit 1 is undefined for the reason ''; say why in words",
}


@pytest.mark.parametrize(("kind", "oddity"), REFUSED)
def test_what_no_record_can_hold_fails_its_own_step(bench: Bench, kind: str, oddity: str) -> None:
    """The component and the unit are named, and all cells without it are scored."""
    add_row(bench, kind, **({"oddity": f'"{oddity}"'} if oddity else {}))

    code = run(bench)

    folder = bench.folder / "leaderboards"
    failures = read_failures(folder / "results")
    title = {
        "explainer": "explain net / {} / odd",
        "simulator": "simulate net / {} / {} / odd",
        "scorer": "score net / {} / {} / labels / odd",
    }[kind]
    assert code == 5
    assert len(read_results(folder / "results")) == 4
    assert {failure.reason for failure in failures} == {
        f"{title.format(cell.layer, cell.explainer)}: {REFUSED[kind, oddity]}"
        for cell in (failure.cell for failure in failures)
    }
    assert (folder / "toy.md").exists()


@pytest.mark.parametrize(
    ("oddity", "begin"),
    [
        ("unreadable n/a", "no caf\\udce9.png"),
        ("unreadable error", "explain net / {} / odd: RuntimeError: no caf\\udce9.png (odd_plugin"),
    ],
)
def test_what_no_file_can_hold_is_written_as_an_escape(
    bench: Bench, oddity: str, begin: str
) -> None:
    """Half a surrogate pair in a message, as file names may have, spoils no board."""
    add_row(bench, "explainer", oddity=f'"{oddity}"')

    run(bench)

    folder = bench.folder / "leaderboards"
    failures = read_failures(folder / "results")
    assert len(failures) == 2
    assert all(each.reason.startswith(begin.format(each.cell.layer)) for each in failures)
    assert (folder / "toy.md").exists()


def spoil(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a finished step with a number in it that no record can hold."""
    record = document["record"]
    if document["stage"] == "score":
        record["values"][0] = inf
    if document["stage"] == "explain":
        record["explanations"][1]["terms"] = [["caf\udce9", 1.0]]
    if document["stage"] == "fidelity":
        record["num_images"] = -1
    del document["digest"]
    return document | {"digest": digest(document)}


@pytest.mark.parametrize(
    ("stage", "results", "fault"),
    [
        (
            "score",
            5,
            "toy: {1}, {2}, {3}, {4}, {5}: the scorer gave infinite scores for units [0]; it "
            "must give NaN with a reason where a score is undefined",
        ),
        (
            "explain",
            4,
            "[1][0][0]: input should be a valid string, unable to parse raw data as a unicode "
            "string",
        ),
        ("fidelity", 6, "num_images: input should be greater than or equal to 0"),
    ],
)
def test_what_a_cache_holds_and_no_record_can_is_a_failure_of_its_own(
    bench: Bench, stage: str, results: int, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step is named with what is wrong, all other cells have results, and there is a board."""
    simulators = '[[simulators]]\nuse = "toy"\nencoder = "eye"\n\n[[simulators]]'
    bench.edit(lambda text: text.replace("[[simulators]]", simulators))
    bench.run("--out", "before")
    paths = sorted((bench.folder / "cache" / stage).rglob("*.json"))
    path = next(path for path in paths if "toy-word" not in path.read_text())
    document = spoil(json.loads(path.read_text()))
    path.write_text(json.dumps(document))
    capsys.readouterr()

    codes = [bench.run(), bench.run()]

    faults = fault.format(*document["about"].replace(" /", "").split())
    message = (
        f"failed: {document['about']}: no record can hold what it gave ({faults}); mend the "
        "component and raise its version\n"
    )
    folder = bench.folder / "leaderboards"
    assert codes == [5, 5]
    assert capsys.readouterr().err.count(message) == 2
    assert len(read_results(folder / "results")) == results
    assert (folder / "toy.md").exists()


def add_explainer(bench: Bench, name: str) -> None:
    """Put the row of an explainer with options before the others."""
    row = f'[[explainers]]\nuse = "{name}"\n{ROWS[name]}\n\n[[explainers]]'
    bench.edit(lambda text: text.replace("[[explainers]]", row, 1))


def test_every_option_that_enters_a_key_enters_the_provenance(bench: Bench) -> None:
    """Members of enumerations, sets, dataclasses, mappings and infinity, by their content."""
    add_explainer(bench, "choosy")

    code = run(bench)

    results = read_results(bench.folder / "leaderboards" / "results")
    made = [result.made_by.components["explainer"] for result in results]
    assert code == 0
    assert next(each.options for each in made if each.name == "choosy") == {
        "oddity": "",
        "shade": "dark",
        "words": ["one", "two"],
        "rule": {"most": 2, "shades": ["dark"]},
        "rules": {"first": {"most": 3, "shades": []}},
        "limit": "Infinity",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "dated",
            "error: explainer 'dated', option 'day': a date cannot enter a cache key; take "
            "numbers, texts, paths, encoders and tuples of these as options\n",
        ),
        (
            "listing",
            "error: toy.toml: 1 fault, nothing was run:\n  - explainers 1 (listing): explainer "
            "'listing' cannot be hashed, for its option 'words' is a list; let it be a tuple, or "
            "declare it with field(hash=False)\n",
        ),
    ],
)
def test_options_that_cannot_be_part_of_a_key_are_one_message(
    bench: Bench, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs, and the message names the component, the option and the way out."""
    add_explainer(bench, name)

    code = run(bench)

    assert code == 2
    assert capsys.readouterr().err == message


def test_components_that_load_at_random_are_the_same_in_any_process(bench: Bench) -> None:
    """Weights and directions drawn from the global generators follow from the component alone."""
    bench.edit(
        lambda text: (
            text.replace('use = "toy"\nid = "net"', 'use = "odd"\nid = "net"')
            .replace('[encoders.eye]\nuse = "toy"', '[encoders.eye]\nuse = "odd"')
            .replace(', { path = "second", pooling = "max" }', "")
        )
    )
    run(bench, "--out", "one", "--cache", "cache-one")
    seed_everything(77)
    run(bench, "--out", "two", "--cache", "cache-two")

    code = run(bench, "--out", "three", "--cache", "cache-three", "--workers", "2")

    results = bench.files("one/results")
    assert code == 0
    assert len(results) == 2
    assert results == bench.files("two/results") == bench.files("three/results")
