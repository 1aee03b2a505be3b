"""Which parquet files of a folder make up a split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from le_bench.errors import BenchError, MissingFileError, unknown_name
from le_bench.folders import files_below

SUFFIX = ".parquet"
NUMBERED = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]{16})?")
CONVERTED = re.compile(r"\d{4,}")  # 0000.parquet in a folder named as the split


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """The files of each split below a folder, by `folder/split`, in the order of their numbers.

    A split is `train-00000-of-00002.parquet` and so on, or a folder `train` of `0000.parquet` and
    so on, or one file `train.parquet`. Hidden files and folders are left out.
    """
    found: dict[str, list[Path]] = {}
    files = files_below(folder) if folder.is_dir() else []
    for path in (file for file in files if file.name.endswith(SUFFIX)):
        inner = path.relative_to(folder).parent.as_posix()
        numbered = NUMBERED.fullmatch(path.stem)
        if numbered is not None:
            place = Path(inner, numbered["split"]).as_posix()
        elif CONVERTED.fullmatch(path.stem):
            place = folder.name if inner == "." else inner
        else:
            place = Path(inner, path.stem).as_posix()
        found.setdefault(place, []).append(path)
    return found


def places_of(found: Mapping[str, list[Path]], split: str) -> list[str]:
    """The splits that a name stands for: `folder/split`, or `split` alone."""
    return [place for place in found if split in (place, Path(place).name)]


def names_tell_number(paths: Sequence[Path]) -> bool:
    """Whether the names of a split's files say how many there are: `0000.parquet` does not."""
    return not any(CONVERTED.fullmatch(path.stem) for path in paths)


def choose_split(origin: str, found: Mapping[str, list[Path]], split: str) -> list[Path]:
    """The files of the one split of that name, or of the only one for an empty name.

    Raises BenchError if the name is not clear or parts are there twice, and MissingFileError if
    there is no file or a part is missing.
    """
    if not found:
        raise MissingFileError(f"{origin}: no {SUFFIX} file in it; check the path")
    if not split:
        if len(found) > 1:
            raise BenchError(
                f"{origin}: has several splits: {', '.join(found)}; choose one as `split`"
            )
        return _whole(next(iter(found.values())))
    chosen = places_of(found, split)
    if len(chosen) > 1:
        raise BenchError(
            f"{origin}: split '{split}' is there {len(chosen)} times: {', '.join(chosen)}; give "
            "one of these as `split`"
        )
    if not chosen:
        raise BenchError(f"{origin}: {unknown_name('split', split, list(found))}")
    return _whole(found[chosen[0]])


def _whole(paths: list[Path]) -> list[Path]:
    """The files of a split, unless by the numbers in their names some are missing or there twice.

    How many files `0000.parquet` and so on should be nothing tells: only gaps are seen.
    """
    numbers, counts = [], set()
    for path in paths:
        numbered = NUMBERED.fullmatch(path.stem)
        if numbered is not None:
            numbers.append(int(numbered["number"]))
            counts.add(int(numbered["count"]))
        elif CONVERTED.fullmatch(path.stem):
            numbers.append(int(path.stem))
    if len(counts) > 1 or len(set(numbers)) < len(numbers):
        raise BenchError(
            f"{paths[0].parent}: the parts of {paths[0].name} are those of several writings, or "
            "there twice; keep those of one writing"
        )
    count = next(iter(counts), max(numbers, default=-1) + 1)
    missing = sorted(set(range(count)) - set(numbers))
    if missing:
        raise MissingFileError(
            f"{paths[0].parent}: {len(missing)} of {count} parts of {paths[0].name} are missing, "
            f"the first: number {missing[0]}; complete the data set"
        )
    return paths
