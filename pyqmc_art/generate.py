"""The command ``pyqmc-art generate``: draws from a trained model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

if TYPE_CHECKING:
    from pyqmc_art.art.synthesis.maker import Maker

_Many = Parameter(consume_multiple=True)
_MOST: Final = 10**7
_OF_FIELDS: Final = ("m2", "lam")
_OF_DIFFUSION: Final = ("label", "guidance", "sampler", "steps")
_OF_PICTURES: Final = ("truncation", *_OF_DIFFUSION)


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
    guidance
        For classes: above 1 for more typical pictures.
    sampler
        For a diffusion model: heun or euler (flow), ddim or ddpm (epsilon, v).
    steps
        Of the sampler; default: about twenty looks of the network.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    force
        Replace draws that are there.
    """

    n: Annotated[int | None, Parameter(name="--n"), options.WHOLE] = None
    seed: Annotated[int, options.WHOLE] = 0
    seeds: Annotated[tuple[str, ...] | None, _Many] = None
    out: Path | None = None
    m2: float | None = None
    lam: float | None = None
    truncation: float | None = None
    label: str | None = None
    guidance: float | None = None
    sampler: str | None = None
    steps: Annotated[int | None, options.WHOLE] = None
    threads: Annotated[int | None, options.WHOLE] = None
    force: bool = False


def generate(
    model: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[GenerateFlags, Parameter(name="*")] = GenerateFlags(),
) -> int:
    """Draw from a trained model into a folder: fields with their log weights, or pictures with a manifest.

    Parameters
    ----------
    model
        Directory that a training wrote.
    """
    given, _ = options.settle(settings, config, word=("model", model))
    chosen = dataclasses.replace(GenerateFlags(), **{key: value for key, value in given.items() if key != "model"})
    if "model" not in given:
        raise InputError("no model was given; for instance pyqmc-art generate model --n 30 --out draws")
    if chosen.out is None:
        raise InputError("no out was given; for instance --out draws")
    if (chosen.n is None) == (chosen.seeds is None):
        raise InputError("give either --n, for instance --n 30, or --seeds, for instance --seeds 0-29")
    if chosen.n is not None and not 1 <= chosen.n <= _MOST:
        raise InputError(f"n is {chosen.n}; expected 1 to {_MOST}")
    seeds = None if chosen.seeds is None else read_seeds(chosen.seeds)
    if print_config:
        print(options.as_toml({"model": Path(given["model"]), **dataclasses.asdict(chosen)}))
        return 0
    from pyqmc_art.learning.pretrained import read_kind

    place = Path(given["model"])
    kind = read_kind(place)
    if kind not in GENERATORS:
        raise InputError(f"{place} holds a {kind}; generate draws from a {' or a '.join(GENERATORS)}")
    GENERATORS[kind](place, chosen, seeds)
    return 0


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
        if last < first or last - first >= _MOST or last >= 2**63:
            raise InputError(f"the range of seeds {word} is empty or too large; expected at most {_MOST}, below 2^63")
        found.extend(range(first, last + 1))
    return tuple(found)


def _generate_fields(model: Path, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.backends import default_threads
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.proposals.draws import draw_fields, write_draws
    from pyqmc_art.proposals.models import load_flow

    _refuse(chosen, "a flow", *_OF_PICTURES)
    threads = chosen.threads or default_threads()
    flow = load_flow(model, threads=threads)
    asked = {name: getattr(chosen, name) for name in ("m2", "lam") if getattr(chosen, name) is not None}
    if asked:
        flow = flow.at(dataclasses.replace(flow.action, **asked))
    blocks = draw_fields(flow, chosen.n or 0, chosen.seed, seeds)
    count = chosen.n or len(seeds or ())
    written, weights = write_draws(
        Path(str(chosen.out)), flow, blocks, count, seed=chosen.seed, force=chosen.force, monitor=choose_monitor()
    )
    if weights is not None:
        print(weights)
    print(f"wrote {written}")


def _generate_gan(model: Path, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.art.gan.models import load_gan

    _refuse(chosen, "a GAN", *_OF_FIELDS, *_OF_DIFFUSION)
    truncation = 1.0 if chosen.truncation is None else chosen.truncation
    _write_pictures(dataclasses.replace(load_gan(model), truncation=truncation), chosen, seeds)


def _generate_diffusion(model: Path, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.art.diffusion.models import Manner, load_diffusion

    _refuse(chosen, "a diffusion model", *_OF_FIELDS, "truncation")
    guidance = 1.0 if chosen.guidance is None else chosen.guidance
    made = Manner(chosen.sampler, chosen.steps, guidance, chosen.label)
    _write_pictures(load_diffusion(model, made), chosen, seeds)


def _generate_vae(model: Path, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.art.autoencoder.models import load_autoencoder

    _refuse(chosen, "an autoencoder", *_OF_FIELDS, *_OF_PICTURES)
    _write_pictures(load_autoencoder(model), chosen, seeds)


def _refuse(chosen: GenerateFlags, what: str, *names: str) -> None:
    """Refuse flags that mean nothing for a kind of model."""
    for name in names:
        if getattr(chosen, name) is not None:
            raise InputError(f"{name} was given, and {what} has none; leave it out")


def _write_pictures(maker: Maker, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.art.synthesis.generation import describe_pictures, write_pictures
    from pyqmc_art.backends import default_threads
    from pyqmc_art.learning.threads import limit_torch
    from pyqmc_art.monitor import choose_monitor

    named = seeds or tuple(range(chosen.seed, chosen.seed + (chosen.n or 0)))
    with limit_torch(chosen.threads or default_threads()):
        written = write_pictures(maker, Path(str(chosen.out)), named, force=chosen.force, monitor=choose_monitor())
    print(describe_pictures(maker, written, len(named)))


GENERATORS: Final[Mapping[str, Callable[[Path, GenerateFlags, tuple[int, ...] | None], None]]] = {
    "flow": _generate_fields,
    "gan": _generate_gan,
    "diffusion": _generate_diffusion,
    "autoencoder": _generate_vae,
}
"""Kind of a model directory -> what draws from it."""
