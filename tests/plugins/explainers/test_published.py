"""Published descriptions: the authors' formats, the traps of their files, and malformed ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from le_bench.errors import MissingFileError, NotApplicableError, UnreadableFileError
from le_bench.testing.worlds import Recipe, World, plant
from le_bench.types import Explanation, Term
from le_bench_plugins.explainers.published.explainer import Published

if TYPE_CHECKING:
    from conftest import Bench

LINEAR = "layer,unit,val correlation,weight0,concept0,weight1,concept1,bias\n"
TEXTS = "layer,unit,description\n"
WORLD = plant(Recipe(num_units=3))
LAYER = WORLD.layer.path


def explain(
    folder: Path, content: str | bytes, world: World = WORLD, **options: Any
) -> Sequence[Explanation]:
    """What a file with this content says of the three units of a layer."""
    path = folder / "published.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Published(file=path, **options).explain(world.evidence())


def texts(explanations: Sequence[Explanation]) -> list[str]:
    return [each.terms[0].concept if each.terms else each.reason for each in explanations]


def described(*words: str, first: int = 0) -> str:
    rows = [f"{LAYER},{unit},{word}\n" for unit, word in enumerate(words, first)]
    return TEXTS + "".join(rows)


def test_descriptions_are_single_terms_of_weight_one(tmp_path: Path) -> None:
    """Further columns, such as CLIP-Dissect's similarity, do not matter, nor does their order."""
    content = f"similarity,unit,layer,description\n0.1,0,{LAYER},Red  dogs\n"
    content += f"0.2,2,{LAYER},sky\nnan,1,{LAYER},sun\n0.3,0,other,moon\n"

    explanations = explain(tmp_path, content)

    assert explanations == [
        Explanation(0, (Term("Red dogs"),), figures={"similarity": 0.1}),
        Explanation(1, (Term("sun"),)),
        Explanation(2, (Term("sky"),), figures={"similarity": 0.2}),
    ]


def test_linear_explanations_keep_weights_and_bias(tmp_path: Path) -> None:
    """0 in both columns is no concept; with a weight it is the word 0."""
    content = LINEAR + (
        f"{LAYER},0,0.5,1.5,dog,-0.25,cat,0.125\n"
        f"{LAYER},1,0.5,2.0,sky,0,0,-1e-3\n"
        f"{LAYER},2,0.5,0.75,0,0.0,0,0\n"
    )

    figures = {"val correlation": 0.5}
    assert explain(tmp_path, content) == [
        Explanation(0, (Term("dog", 1.5), Term("cat", -0.25)), 0.125, "", figures),
        Explanation(1, (Term("sky", 2.0),), -0.001, "", figures),
        Explanation(2, (Term("0", 0.75),), 0.0, "", figures),
    ]


def test_a_unit_without_concepts_has_a_reason(tmp_path: Path) -> None:
    """All slots empty means that nothing was found, not that the unit is constant."""
    rows = "".join(f"{LAYER},{unit},,0,0,0,0,0.5\n" for unit in range(3))

    reasons = texts(explain(tmp_path, LINEAR + rows))

    assert reasons == ["the published file names no concept for the unit"] * 3


def test_network_dissection_counts_from_one_and_has_endings(tmp_path: Path) -> None:
    """Its labels become words; a unit without one has a reason."""
    content = "unit,category,label,score,color-label\n3,color,red-c,0.1,x\n"
    content += "1,scene,art_gallery-indoor-s,0.02,x\n2,object,,0,x\n"

    explanations = explain(tmp_path, content, layer=LAYER)

    assert texts(explanations) == [
        "art gallery, indoor",
        "the published file leaves the unit's description empty",
        "red color",
    ]


@pytest.mark.parametrize("word", ["null", "nan", "NaN", "None", "inf", "true", "NA", "1e5", "0"])
def test_words_that_pandas_takes_for_values_stay_words(word: str, tmp_path: Path) -> None:
    """In descriptions and as concepts of linear explanations."""
    linear = LINEAR + "".join(f"{LAYER},{u},,1.5,{word},0,0,0\n" for u in range(3))

    assert texts(explain(tmp_path, described(word, word, word))) == [word] * 3
    assert texts(explain(tmp_path, linear)) == [word] * 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_do_not_matter(end: str, mark: str, tmp_path: Path) -> None:
    """Also with quoted commas, quotes and blank lines."""
    content = mark + described('"general store, indoor"', '"say ""hi"""', "jalapeño") + "\n"

    explanations = explain(tmp_path, content.replace("\n", end))

    assert texts(explanations) == ["general store, indoor", 'say "hi"', "jalapeño"]


def test_units_count_from_zero_or_one(tmp_path: Path) -> None:
    """Unit 0 or the unit of the layer's size decides; otherwise the option has to."""
    assert texts(explain(tmp_path, described("a", "b", "c", first=1))) == ["a", "b", "c"]
    missing = "the published file has no row for the unit"
    assert texts(explain(tmp_path, described("a", "b"))) == ["a", "b", missing]
    one = described("a", first=1)
    assert texts(explain(tmp_path, one, first_unit=0)) == [missing, "a", missing]
    assert texts(explain(tmp_path, one, first_unit=1)) == ["a", missing, missing]
    with pytest.raises(UnreadableFileError) as caught:
        explain(tmp_path, one)
    assert str(caught.value).endswith(
        "its units 1 to 1 may count from 0 or from 1, for a layer of 3; say which by option "
        "`first_unit`"
    )
    with pytest.raises(ValueError, match="first_unit is 2; units are counted from 0 or from 1"):
        Published(file=tmp_path / "published.csv", first_unit=2)


def test_units_beyond_the_layer_are_ignored(tmp_path: Path) -> None:
    """A run may be limited to the first units of a layer."""
    assert texts(explain(tmp_path, described(*"abcdef"))) == ["a", "b", "c"]


@pytest.mark.parametrize("count", [5, 6])
def test_a_limit_of_units_does_not_change_how_a_file_counts(bench: Bench, count: int) -> None:
    """The six units of the layer decide, so five from 1 on are refused with a limit of five too."""
    rows = "".join(
        f"{layer},{u},red\n" for layer in ("first", "second") for u in range(1, count + 1)
    )
    (bench.folder / "published.csv").write_text(TEXTS + rows)
    published = '[[explainers]]\nuse = "published"\nfile = "published.csv"\n'
    bench.edit(lambda text: text + published)

    codes = [bench.run(), *(bench.run("--limit-units", limit) for limit in ("4", "5", "6"))]

    assert codes == [5 if count == 5 else 0] * 4


def test_layers_are_chosen_by_name(tmp_path: Path) -> None:
    """By the path, by a pair of path and name, or by option for files without the column."""
    renamed = described("a", "b", "c").replace(f"{LAYER},", "features[43],")
    bare = "unit,description\n0,a\n1,b\n2,c\n"

    chosen = explain(tmp_path, renamed, layers=((LAYER, "features[43]"),))

    assert texts(chosen) == texts(explain(tmp_path, bare, layer=LAYER)) == ["a", "b", "c"]
    with pytest.raises(NotApplicableError) as caught:
        explain(tmp_path, renamed)
    assert str(caught.value) == (
        f"published.csv has no row for layer '{LAYER}'; it has features[43]"
    )
    with pytest.raises(NotApplicableError, match=r"published.csv describes layer 'fc' only"):
        explain(tmp_path, bare, layer="fc")
    with pytest.raises(UnreadableFileError, match="there is no column 'layer'; say by option"):
        explain(tmp_path, bare)


def test_each_layer_can_have_its_own_file(tmp_path: Path) -> None:
    """With or without the column; a layer without a file is not applicable."""
    bare, named = tmp_path / "bare.csv", tmp_path / "named.csv"
    bare.write_text("unit,description\n0,a\n1,b\n2,c\n")
    named.write_text(described("d", "e", "f"))
    evidence = WORLD.evidence()

    both = [
        texts(Published(files=(("other", other), (LAYER, own))).explain(evidence))
        for other, own in ((named, bare), (bare, named))
    ]

    assert both == [["a", "b", "c"], ["d", "e", "f"]]
    with pytest.raises(NotApplicableError) as caught:
        Published(files=(("fc", bare), ("layer9", named))).explain(evidence)
    assert str(caught.value) == "there are files for fc, layer9 only"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either `file` or `files`, pairs of a layer's path and its file"),
        ({"layer": "a"}, "give either `file` or `files`, pairs of a layer's path and its file"),
        (
            {"file": Path("x"), "files": (("a", Path("x")),)},
            "give either `file` or `files`, pairs of a layer's path and its file",
        ),
        (
            {"files": (("a", Path("x")),), "layer": "a"},
            "`layer` goes with `file`; `files` says the layer of each",
        ),
        (
            {"files": (("a", Path("x")), ("a", Path("y")))},
            "files: layer 'a' has two files",
        ),
    ],
)
def test_where_descriptions_are_is_said_once(options: dict[str, Any], message: str) -> None:
    """In a file, or in one for each layer."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Published(**options)


MALFORMED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", ": the file is empty; it needs a header and a row a unit"),
    "header only": (TEXTS, ": it has a header but no row"),
    "no unit": ("layer,units,description\nx,1,a\n", ": there is no column 'unit'; did you mean"),
    "nothing said": (f"layer,unit\n{LAYER},0\n", ": nothing says what a unit responds to"),
    "two kinds": (
        f"layer,unit,description,weight0,concept0,bias\n{LAYER},0,a,1,b,0\n",
        ": it has columns description and weight0 and concept0; a file holds one kind",
    ),
    "column twice": ("unit,unit,description\n0,0,a\n", ": column 'unit' occurs twice"),
    "semicolons": ("layer;unit;description\nx;0;a\n", "separated by semicolons"),
    "few cells": (f"{described('a')}{LAYER},1\n", ", line 3: 2 cells for 3 columns"),
    "many cells": (f"{described('a, b')}", ", line 2: 4 cells for 3 columns; quote a cell"),
    "text unit": (f"{TEXTS}{LAYER},one,a\n", ", line 2: unit 'one' is no whole number from 0"),
    "float unit": (f"{TEXTS}{LAYER},1.0,a\n", ", line 2: unit '1.0' is no whole number from 0"),
    "negative unit": (f"{TEXTS}{LAYER},-1,a\n", ", line 2: unit '-1' is no whole number"),
    "huge unit": (f"{TEXTS}{LAYER},{10**30},a\n", "is no whole number from 0"),
    "empty unit": (f"{TEXTS}{LAYER},,a\n", ", line 2: unit '' is no whole number from 0"),
    "unit twice": (
        f"{described('a', 'b')}{LAYER},0,c\n",
        ", line 4: unit 0 has been described on line 2 already",
    ),
    "weight without concept": (
        f"{LINEAR}{LAYER},0,,1.5,,0,0,0\n",
        ", line 2: weight0 is 1.5 but concept0 is empty",
    ),
    "concept without weight": (
        f"{LINEAR}{LAYER},0,,,dog,0,0,0\n",
        ", line 2: weight0 is '', which is no finite number",
    ),
    "infinite weight": (f"{LINEAR}{LAYER},0,,inf,dog,0,0,0\n", "weight0 is 'inf', which is no"),
    "nan bias": (f"{LINEAR}{LAYER},0,,1,dog,0,0,nan\n", "bias is 'nan', which is no finite number"),
    "comma weight": (f'{LINEAR}{LAYER},0,,"1,5",dog,0,0,0\n', "weight0 is '1,5', which is no"),
    "hole": (
        f"layer,unit,weight0,concept0,weight2,concept2,bias\n{LAYER},0,1,a,1,b,0\n",
        ": there is no column 'weight1'; did you mean",
    ),
    "no partner": (
        f"layer,unit,weight0,concept0,weight1,bias\n{LAYER},0,1,a,1,0\n",
        ": there is no column 'concept1'; did you mean concept0?",
    ),
    "no bias": (f"layer,unit,weight0,concept0\n{LAYER},0,1,a\n", ": there is no column 'bias'"),
    "latin-1": (described("a", "jalapeño").encode("latin-1"), ", line 3: this is not UTF-8 text"),
    "utf-16": (described("a").encode("utf-16"), ", line 1: this is not UTF-8 text"),
    "nul": (described("a\0b"), ": it holds NUL characters"),
    "open quote": (described('"a', "b"), ", line 2: unexpected end of data; check its quotes"),
    "stray quote": (described('"a"b'), "check its quotes"),
    "long cell": (described("a" * 200_000), "field larger than field limit"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_files_are_refused(fault: str, tmp_path: Path) -> None:
    """With the line, what is wrong there, and nothing explained."""
    content, message = MALFORMED[fault]

    with pytest.raises(UnreadableFileError) as caught:
        explain(tmp_path, content)

    assert str(caught.value).startswith(str(tmp_path / "published.csv"))
    assert message in str(caught.value)


def test_line_numbers_count_lines_within_quotes(tmp_path: Path) -> None:
    """A description may hold a line end; the number is that of the row's first line."""
    content = described('"two\nlines"', "b") + f"{LAYER},x,c\n"

    with pytest.raises(UnreadableFileError, match="line 5: unit 'x' is no whole number"):
        explain(tmp_path, content)

    assert texts(explain(tmp_path, described('"two\nlines"', "b", "c")))[0] == "two lines"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(MissingFileError, match=r"none.csv: no such file; check the path"):
        Published(file=tmp_path / "none.csv").explain(WORLD.evidence())


def test_a_folder_is_refused_when_the_experiment_is_read(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(ValueError, match=f"^{tmp_path} is a folder; name a CSV file$"):
        Published(file=tmp_path)


def test_unit_zero_contradicts_counting_from_one(tmp_path: Path) -> None:
    """The message names the option."""
    with pytest.raises(UnreadableFileError, match="line 2: unit 0, but units begin with 1"):
        explain(tmp_path, described("a", "b"), first_unit=1)
