"""Errors that a user can cause; each carries one complete message and an exit code."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

LISTED = 20  # names in a message


class BenchError(Exception):
    """Something the user can mend. The message says what, where and what to do."""

    exit_code = 2


class ExperimentError(BenchError):
    """An experiment file was refused; the message lists every fault found in it."""


class PluginError(BenchError):
    """A plugin could not be used."""


class LayerError(BenchError):
    """A layer was asked for that the target model does not have or cannot be pooled so."""


class MissingFileError(BenchError):
    """Data or weights that a component needs are not on this machine."""

    exit_code = 6


class UnreadableFileError(BenchError):
    """A file exists but does not hold what it should."""


class NotApplicableError(BenchError):
    """A component has no meaning for this layer or dataset; nobody's fault.

    Boards then show "n/a" with this message, and nothing that depends on it is computed.
    """


class DifferenceError(BenchError):
    """A check found that a committed file and the results disagree."""

    exit_code = 4


def near_misses(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names closest to `name`, best first.

    >>> near_misses("le-lable", ["le-label", "le-siglip", "random"])
    ['le-label']
    """
    return difflib.get_close_matches(name, sorted(known), n=count, cutoff=0.6)


def unknown_name(what: str, name: str, known: Sequence[str]) -> str:
    """The sentence for a name that nobody offers, with near misses or else what there is.

    >>> unknown_name("explainer", "randon", ["le-label", "random"])
    "unknown explainer 'randon'; did you mean 'random'?"
    """
    close = near_misses(name, known)
    if close:
        return f"unknown {what} '{name}'; did you mean {' or '.join(map(repr, close))}?"
    return f"unknown {what} '{name}'; there are: {listed(known)}"


def listed(names: Collection[str]) -> str:
    """Names in order, with no more than fit a message.

    >>> listed(["b", "a"]), listed([]), listed([f"{n:02}" for n in range(50)])[-14:]
    ('a, b', 'none', '19 and 30 more')
    """
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(sorted(names)[:LISTED]) or "none") + rest


def readable(text: str) -> str:
    """The text with what no file can hold, such as half a surrogate pair, written as an escape.

    >>> readable("caf\\udce9.png")
    'caf\\\\udce9.png'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
