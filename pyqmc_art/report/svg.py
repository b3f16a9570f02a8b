"""SVG inside a page: samples for legends, and matplotlib's SVG made fit to stand among other elements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Final

from pyqmc_art.report.indices import svg_indices
from pyqmc_art.report.palette import LIGHT, SHAPES, Key

FONTS: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif"


def swatch(key: Key) -> str:
    """Draw the sample of a legend entry: a tiny SVG element with the marker, line or area of the curve."""
    colour = key.style.colour
    paint = colour if colour.startswith("#") else f"var(--qa-{colour},{LIGHT[colour]})"
    if key.kind in ("bars", "state"):
        shape = f'<rect x="7" y="1" width="12" height="12" rx="2.5" fill="{paint}" stroke="var(--qa-frame)"/>'
    elif key.kind == "points":
        points = " ".join(f"{13 + 4.2 * x:.2f},{7 - 4.2 * y:.2f}" for x, y in SHAPES[key.style.shape])
        fill = "var(--qa-paper)" if key.style.hollow else paint
        shape = f'<path d="M13 0V14" stroke="{paint}" stroke-width="1.4"/>'
        shape += f'<polygon points="{points}" fill="{fill}" stroke="{paint}" stroke-width="1.3"/>'
    else:
        band = f'<rect x="1" y="2" width="24" height="10" fill="{paint}" opacity=".25"/>' if key.kind == "band" else ""
        dashes = ' stroke-dasharray="6 3"' if key.kind == "dashed" else ""
        shape = f'{band}<path d="M1 7H25" stroke="{paint}" stroke-width="2"{dashes}/>'
    return f'<svg class="swatch" viewBox="0 0 26 14" width="26" height="14" aria-hidden="true">{shape}</svg>'


def fit_into_page(svg: str, *, prefix: str, title: str, variables: bool) -> str:
    """Make matplotlib's SVG fit to stand inside a page: it scales, its identifiers are its own, its fonts the page's.

    Only tags are rewritten: text between them may say anything.
    """
    view = re.search(r'viewBox="([^"]*)"', svg)
    box = view.group(1) if view else ""
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = re.sub(r"<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>|<metadata/>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', " ".join(re.findall(r"<[^>]+>", body))))
    own = re.sub(r"[^A-Za-z0-9_-]", "-", prefix)

    def rewrite(match: re.Match[str]) -> str:
        tag = match.group(0)
        tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{own}-{m[1]}"' if m[1] in used else "", tag)
        tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}-", tag)
        tag = re.sub(r"'DejaVu Sans'[^;\"]*", FONTS, tag)
        if variables:
            names = {colour: role for role, colour in LIGHT.items()}
            tag = re.sub(r"#[0-9a-f]{6}\b", lambda m: _variable(m[0], names), tag)
        return tag

    body = re.sub(r"<[^>]+>", rewrite, body)
    body = re.sub(r"(<text[^>]*>)([^<]*)</text>", lambda m: f"{m[1]}{svg_indices(m[2])}</text>", body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box}" role="img" aria-label="{escape(title)}" '
        f'style="width:100%;height:auto;stroke-linejoin:round">{body}</svg>'
    )


def _variable(colour: str, names: Mapping[str, str]) -> str:
    return f"var(--qa-{names[colour]},{colour})" if colour in names else colour
