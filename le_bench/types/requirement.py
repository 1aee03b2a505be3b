"""How values are refused where they are made."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Refuse malformed values where they are made, so that nobody downstream checks again."""
    if not condition:
        raise ValueError(message)
