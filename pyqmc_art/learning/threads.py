"""How many threads torch uses, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def limit_torch(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads inside a ``with`` block; None changes nothing.

    Examples
    --------
    >>> with limit_torch(1):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
