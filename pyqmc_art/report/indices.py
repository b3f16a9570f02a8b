"""Indices and powers in plain text: ``β_c``, ``τ_int``, ``L^2.48`` are raised and lowered where a report shows them.

Only a single letter takes an index, so that names like ``abs_magnetization`` stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Final

_INDEX: Final = re.compile(
    r"(?<![^\W_])(?P<base>[^\W\d_])_(?P<low>[^\W_]{1,3})(?!\w)"
    r"|\^(?P<high>[-−]?\d+(?:\.\d+)?|[^\W\d_])(?!\w)"
)


def html_indices(text: str) -> str:
    """Escape a text for HTML and set its indices and powers.

    Examples
    --------
    >>> html_indices("τ_int < 2 L^2.48, tau_int")
    'τ<sub>int</sub> &lt; 2 L<sup>2.48</sup>, tau_int'
    """
    return _replace(escape(text), lambda low: f"<sub>{low}</sub>", lambda high: f"<sup>{high}</sup>")


def svg_indices(escaped: str) -> str:
    r"""Set the indices and powers of an already escaped SVG text; the baseline returns after each.

    Examples
    --------
    >>> svg_indices("β_c")
    'β<tspan dy=".25em" font-size="75%">c</tspan><tspan dy="-.19em">\u200b</tspan>'
    """
    return _replace(
        escaped,
        lambda low: f'<tspan dy=".25em" font-size="75%">{low}</tspan><tspan dy="-.19em">\u200b</tspan>',
        lambda high: f'<tspan dy="-.45em" font-size="75%">{high}</tspan><tspan dy=".34em">\u200b</tspan>',
    )


def _replace(text: str, lower: Callable[[str], str], raise_: Callable[[str], str]) -> str:
    def one(match: re.Match[str]) -> str:
        if match["high"]:
            return raise_(match["high"])
        return match["base"] + lower(match["low"])

    return _INDEX.sub(one, text)
