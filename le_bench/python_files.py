"""Python files of users, run as modules."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType


class _FreshLoader(SourceFileLoader):
    """Compiles the source each time: bytecode caches go by time and size, keys by content."""

    def get_code(self, fullname: str) -> CodeType:
        """The compiled source."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def failure(error: BaseException) -> str:
    """What code of a user did, for a message about it.

    >>> failure(ValueError("on purpose")), failure(SystemExit(2))
    ('failed with ValueError: on purpose', 'ended the program (SystemExit: 2)')
    """
    told = f"{type(error).__name__}: {error}"
    return f"ended the program ({told})" if isinstance(error, SystemExit) else f"failed with {told}"


def run_file(path: Path, name: str) -> ModuleType:
    """The module that running a file gives, under a name that no other file may have.

    Raises what the file raises, and then leaves no module behind.
    """
    loader = _FreshLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up here
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
