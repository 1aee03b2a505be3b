"""What the documentation makes from the repository: the README as home, `--help` as reference."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from le_bench.cli import app, call

ROOT = Path(__file__).parent.parent
_FOLDERS = {
    "docs/decisions": "decisions/README.md",
    "docs/tutorials": "tutorials/first-run.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)([^)#\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files in `docs`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {"index.md": home(readme), "reference/commands.md": commands()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def home(readme: str) -> str:
    """The README with links that hold in the site; files outside it are named by their path.

    Raises ValueError for a link to a file that does not exist.
    """
    return _LINK.sub(_link, readme)


def _link(found: re.Match[str]) -> str:
    text, target = found[1], found[2]
    path = ROOT / target
    if not path.exists():
        raise ValueError(f"README.md links to {target}, which does not exist")
    if target in _FOLDERS:
        return f"[{text}]({_FOLDERS[target]})"
    if target.startswith("docs/"):
        return f"[{text}]({target.removeprefix('docs/')})"
    return f"`{target}`" if text in (target, path.name) else f"{text} (`{target}`)"


def commands() -> str:
    """Every command as its own `--help` explains it."""
    names = [command.name for command in app.registered_commands]
    names += [group.name for group in app.registered_groups]
    parts = ["# Commands", _fenced([])]
    for name in filter(None, names):
        parts += [f"## le-bench {name}", _fenced([name])]
    return "\n\n".join(parts) + "\n"


def _fenced(arguments: list[str]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        call([*arguments, "--help"])
    return f"```text\n{printed.getvalue().strip()}\n```"
