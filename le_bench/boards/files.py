"""Small JSON files that people review: safe names, stable text, atomic writing, strict reading."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from le_bench.atomic import write_whole
from le_bench.errors import BenchError

RESTORE = "restore it from version control, or delete it and run `le-bench run` again"

_SAFE = "@+=,"  # kept beside letters, digits and _ - . by file_name; fine on every file system
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\.|$)", re.IGNORECASE)  # by Windows
_LONGEST = 100
_NUMBERS_IN_LINE = 8
_WIDTH = 100
_MOST_DIGITS = 100


class ResultError(BenchError):
    """Results, explanations, costs or boards on disk cannot be used; the message lists all faults.

    >>> ResultError.exit_code
    2
    """


def faults_message(what: str, folder: Path, faults: Sequence[str]) -> str:
    """One message for all faults found in the files of a folder, sorted.

    >>> print(faults_message("results", Path("r"), ["b.json: empty", "a.json: empty"]))
    2 faults in the results under r:
    - a.json: empty
    - b.json: empty
    """
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = "".join(f"\n- {fault}" for fault in sorted(faults))
    return f"{count} in the {what} under {folder}:{lines}"


@lru_cache(maxsize=4096)  # a thousand files share a few names
def file_name(name: str, *, keep_dots: bool = True) -> str:
    """A name for a file or folder that is safe everywhere; different names stay different.

    Percent-encoding of UTF-8, so `urllib.parse.unquote` gives the name back; encoded are all but
    ASCII letters, digits and `_-.@+=,`, dots at either end and the first letter of names that
    Windows reserves. An encoding over 100 characters keeps its first 60 and a digest after `%~`.
    Case is kept: names that differ in case only share a file on macOS and Windows.

    >>> file_name("torchvision:resnet50"), file_name("../../x"), file_name("CON")
    ('torchvision%3Aresnet50', '%2E.%2F..%2Fx', '%43ON')
    """
    safe = quote(name, safe=_SAFE, errors="surrogatepass").replace("~", "%7E")
    if not keep_dots:
        safe = safe.replace(".", "%2E")
    if safe.startswith(".") or _RESERVED.match(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if safe.endswith("."):
        safe = f"{safe[:-1]}%2E"
    if len(safe) > _LONGEST:
        whole = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        safe = f"{safe[:60]}%~{whole}"
    return safe


def dump_json(content: Any) -> str:
    """JSON text for review: sorted keys, short things on one line, eight numbers a line, newline.

    Lines do not move when a number gets longer or shorter. Raises ValueError for NaN or infinity.

    >>> print(dump_json({"b": [1, 2], "a": None}), end="")
    {"a": null, "b": [1, 2]}
    """
    return _dump(content, 0) + "\n"


def _dump(content: Any, indent: int) -> str:
    """Content as JSON whose further lines are indented by `indent` spaces."""
    inner = " " * (indent + 1)
    if isinstance(content, list) and content and all(map(_is_number, content)):
        starts = range(0, len(content), _NUMBERS_IN_LINE)
        lines = [_line(content[at : at + _NUMBERS_IN_LINE])[1:-1] for at in starts]
        if len(lines) == 1:
            return f"[{lines[0]}]"
        return f"[\n{inner}" + f",\n{inner}".join(lines) + f"\n{' ' * indent}]"
    line = _line(content)
    if not content or not isinstance(content, list | dict) or len(line) + indent <= _WIDTH:
        return line
    if isinstance(content, list):
        items, brackets = [_dump(item, indent + 1) for item in content], "[]"
    else:
        brackets = "{}"
        items = [f"{_line(key)}: {_dump(content[key], indent + 1)}" for key in sorted(content)]
    joined = f",\n{inner}".join(items)
    return f"{brackets[0]}\n{inner}{joined}\n{' ' * indent}{brackets[1]}"


def _line(content: Any) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _is_number(content: Any) -> bool:
    return content is None or (isinstance(content, int | float) and not isinstance(content, bool))


def load_json(text: str) -> Any:
    """Parse JSON strictly: NaN, infinity and repeated keys are refused with a ValueError."""
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_whole_number
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"not valid JSON at {place} ({error.msg})") from None
    except RecursionError:
        raise ValueError("not valid JSON (nested too deeply)") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"not valid JSON (key {repeated!r} is there twice)")
    return content


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"not valid JSON (a number has {len(digits):,} digits)")
    return int(digits)


def _refuse(constant: str) -> Any:
    raise ValueError(f"not valid JSON ({constant} is no number; undefined scores are null)")


def write_text(path: Path, text: str) -> bool:
    """Write a file whole or not at all; say whether it changed. Equal content is left untouched.

    The text goes to a hidden `.tmp` file in the same folder, which then replaces `path`: a killed
    process leaves at most that file. Line ends are not translated.
    """
    content = text.encode()
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise ResultError(
            f"cannot write {path}: {error.strerror}; make room or give a place that can be "
            "written, then run the same command again"
        ) from error
    return True
