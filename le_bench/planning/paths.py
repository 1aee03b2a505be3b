"""Paths as experiments write them."""

from __future__ import annotations

import reprlib
from contextlib import suppress
from os.path import normpath, realpath
from pathlib import Path

from le_bench.errors import ExperimentError


def resolve_path(given: str, folder: Path) -> Path:
    """A path of an experiment in this folder, whether or not anything is there; `~` is a home.

    It has no `..` in it, unless a symbolic link before it makes that another path.
    Raises ExperimentError for a text that is no path on this machine, or one that may not be
    looked at.
    """
    try:
        path = folder / Path(given).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        plain = Path(normpath(path))
    except RuntimeError:
        why = "its ~ stands for no home that is known here"
    except OSError as error:
        why = str(error.strerror)
    except ValueError:
        why = "it holds a character that no path may have"
    else:
        return plain if realpath(plain) == realpath(path) else path
    raise ExperimentError(f"{reprlib.repr(given)} leads nowhere ({why}); check the path")
