"""le_bench: a benchmark for methods that explain single units of vision models.

Importing this package is cheap: it loads neither torch nor pandas.
"""

from importlib.metadata import version

from le_bench.markers import hookimpl

__version__ = version("le-bench")
__all__ = ["__version__", "hookimpl"]
