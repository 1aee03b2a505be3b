"""What two explainers of a layer must have in common to share results."""

from __future__ import annotations

import hashlib

from torch import Tensor


class Content:
    """A digest of shapes and values, however the values come in blocks.

    The content and not its origin is the key, so that no option of an encoder can be forgotten.

    >>> import torch
    >>> whole, parts = Content((4, 1)), Content((4, 1))
    >>> whole.add(torch.ones(4, 1))
    >>> for _ in range(2):
    ...     parts.add(torch.ones(2, 1))
    >>> whole.digest() == parts.digest()
    True
    """

    def __init__(self, *shapes: tuple[int, int]) -> None:
        self._digest = hashlib.sha256(repr(shapes).encode())

    def add(self, values: Tensor) -> None:
        """Take in the next rows (B, C)."""
        self._digest.update(values.contiguous().cpu().numpy().data)

    def digest(self) -> str:
        """The digest of all that was added."""
        return self._digest.hexdigest()
