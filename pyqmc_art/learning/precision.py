"""Whether shortened numbers make a training faster on this machine."""

from __future__ import annotations

import torch


def multiplies_bf16() -> bool:
    """Whether this processor multiplies matrices of bf16 (AMX), twice as fast as float32 where that is the work.

    Where a GPU would be taken the answer is no: nothing was measured there.

    Examples
    --------
    >>> multiplies_bf16() in (True, False)
    True
    """
    # torch before 2.7 does not tell what a processor can do.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16")) and not torch.cuda.is_available()
