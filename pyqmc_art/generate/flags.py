"""What ``generate`` takes, whatever draws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

MANY: Final = Parameter(consume_multiple=True)
MOST: Final = 10**7


@dataclass(frozen=True)
class GenerateFlags:
    """What ``generate`` takes beside the model.

    Parameters
    ----------
    n
        How many to draw.
    seed
        Of all draws.
    seeds
        Instead of --n: one draw for each seed, for instance 0-29, or 3 7 11; a seed always gives the same draw.
    out
        Folder to write.
    m2
        For a flow that was trained for a range: squared mass to draw at.
    lam
        For a flow that was trained for a range: quartic coupling to draw at.
    truncation
        For a GAN: below 1 for less variety and more likeness to the average.
    label
        For a diffusion model with classes: the one to draw; default: each as often as it was learned with.
    sampler
        For a diffusion model: heun or euler (flow), ddim or ddpm (epsilon, v).
    steps
        Of the sampler; default: 5 with heun, else 20; 30 for Stable Diffusion.
    guidance
        Above 1 for more typical pictures of a class (default 1), or closer to the words (default 7.5).
    prompt
        For Stable Diffusion: what shall be seen.
    negative
        For Stable Diffusion: what shall not.
    image
        For Stable Diffusion: picture to start from.
    mask
        For Stable Diffusion: what is white in this picture is painted anew in --image.
    strength
        Share of the way from --image to noise that is walked back; default: 0.8.
    resolution
        For Stable Diffusion: width and height in pixels, or one number for both.
    lora
        For Stable Diffusion: directory with small changes to its network.
    rank_by
        For pictures: trained detector, by whose log-odds the drawn candidates are ranked.
    keep
        How many of the ranked candidates are kept.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    force
        Replace draws that are there.
    """

    n: Annotated[int | None, Parameter(name="--n"), options.WHOLE] = None
    seed: Annotated[int, options.WHOLE] = 0
    seeds: Annotated[tuple[str, ...] | None, MANY] = None
    out: Path | None = None
    m2: float | None = None
    lam: float | None = None
    truncation: float | None = None
    label: str | None = None
    sampler: str | None = None
    steps: Annotated[int | None, options.WHOLE] = None
    guidance: float | None = None
    prompt: str | None = None
    negative: str | None = None
    image: Path | None = None
    mask: Path | None = None
    strength: float | None = None
    resolution: Annotated[tuple[int, ...] | None, MANY, options.WHOLE] = None
    lora: Path | None = None
    rank_by: Path | None = None
    keep: Annotated[int | None, options.WHOLE] = None
    threads: Annotated[int | None, options.WHOLE] = None
    force: bool = False


def read_seeds(words: tuple[str, ...]) -> tuple[int, ...]:
    """Read seeds: whole numbers, and ranges of which both ends count.

    Raises
    ------
    InputError
        For anything else, or too many.

    Examples
    --------
    >>> read_seeds(("0-3", "7"))
    (0, 1, 2, 3, 7)
    """
    found: list[int] = []
    for word in words:
        ends = word.split("-")
        if not 1 <= len(ends) <= 2 or not all(end.isascii() and end.isdecimal() for end in ends):
            raise InputError(f"seeds is {' '.join(words)!r}; expected numbers and ranges, for instance 0-29, or 3 7 11")
        first, last = int(ends[0]), int(ends[-1])
        if last < first or last - first >= MOST or last >= 2**63:
            raise InputError(f"the range of seeds {word} is empty or too large; expected at most {MOST}, below 2^63")
        found.extend(range(first, last + 1))
    return tuple(found)
