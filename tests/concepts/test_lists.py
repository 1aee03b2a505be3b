"""Concept texts from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from le_bench.concepts.lists import broden_concepts, read_concepts
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError

HEADER = "number,name,category,frequency,coverage,syns\n"


def test_lines_of_every_kind(tmp_path: Path) -> None:
    """Line ends of three systems, a mark at the start, space, empty and repeated lines."""
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffdog\rcat \r\n\n  null\nnan\nNaN\r\rdog\n0\nca\u2028fé".encode())

    assert read_concepts(path) == ("dog", "cat", "null", "nan", "NaN", "0", "ca\u2028fé")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": holds no concept; write one a line"),
        (b"\n \r\n", ": holds no concept; write one a line"),
        (
            b"dog\ncat\x00\n",
            ", line 2: holds characters that are no text; give a file of UTF-8 text with one "
            "concept a line",
        ),
        (b"dog\n\xe9\n", ", line 2: is not UTF-8 text; save the file in that encoding"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """With the file and the line."""
    path = tmp_path / "words.txt"
    path.write_bytes(content)

    with pytest.raises(BenchError) as caught:
        read_concepts(path)

    assert str(caught.value) == f"{path}{message}"


def test_missing_list(tmp_path: Path) -> None:
    """A file that is not there is missing, not malformed."""
    with pytest.raises(MissingFileError, match=r"words\.txt: no such file$"):
        read_concepts(tmp_path / "words.txt")


def test_labels_of_broden(tmp_path: Path) -> None:
    """Clean names in order, each once, without the label for nothing."""
    (tmp_path / "label.csv").write_text(
        HEADER
        + "0,-,,0,0,\n"
        + "1,blue-c,color(12),12,0.5,blue-c\n"
        + "2,x_ray-indoor-s,scene(3),3,0,\n"
        + '3,"sky",object(9);part(1),10,2.5,"sky;heaven"\n'
        + "4,sky,material(2),2,0.1,\n"
        + "5,tile-shaped,texture,2,0.1,\n"
    )
    expected = ("blue color", "x ray, indoor", "sky", "tile, shaped")

    assert broden_concepts(tmp_path) == expected
    assert broden_concepts(tmp_path / "label.csv") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nsky\n", ": column 'number' and 'category' missing; this is not Broden's label.csv"),
        (
            HEADER + "1,sky,object,1,1,\n2,,object,1,1,\n3\n",
            ": no label can be read from line 3, 4; fetch the file again",
        ),
        (HEADER, ": no label can be read from line 1; fetch the file again"),
    ],
)
def test_faulty_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """With the lines that are at fault."""
    path = tmp_path / "label.csv"
    path.write_text(text)

    with pytest.raises(UnreadableFileError) as caught:
        broden_concepts(tmp_path)

    assert str(caught.value) == f"{path}{message}"
