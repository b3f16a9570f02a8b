"""What each kind of model draws, and which options it understands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyqmc_art.errors import InputError
from pyqmc_art.generate.flags import GenerateFlags

if TYPE_CHECKING:
    from pyqmc_art.art.synthesis.maker import Maker

_EVERYWHERE: Final = ("n", "seed", "seeds", "out", "threads", "force")
_PICTURES: Final = ("rank_by", "keep")


@dataclass(frozen=True)
class PictureKind:
    """A kind of model that makes pictures: what it is called, the options it understands, and how it is opened."""

    called: str
    takes: tuple[str, ...]
    open: Callable[[Path, GenerateFlags], Maker]


def draw(model: Path, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    """Draw from a model directory, or from a pipeline of diffusers.

    Raises
    ------
    InputError
        For a model of another kind, and options that it does not understand.
    """
    from pyqmc_art.art.diffusion.stable_folder import looks_stable
    from pyqmc_art.learning.pretrained import read_kind

    kind = STABLE if looks_stable(model) else read_kind(model)
    if kind == "flow":
        _draw_fields(model, chosen, seeds)
    elif kind in KINDS:
        _draw_pictures(model, KINDS[kind], chosen, seeds)
    else:
        known = ["flow", *KINDS]
        raise InputError(f"{model} holds a {kind}; generate draws from a {' or a '.join(known)}")


def _refuse(chosen: GenerateFlags, called: str, takes: tuple[str, ...]) -> None:
    """Refuse options that mean nothing for a kind of model."""
    for field in dataclasses.fields(chosen):
        if field.name not in (*_EVERYWHERE, *takes) and getattr(chosen, field.name) is not None:
            raise InputError(f"{field.name} was given, and {called} has none; leave it out")


def _draw_fields(model: Path, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.backends import default_threads
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.proposals.draws import draw_fields, write_draws
    from pyqmc_art.proposals.models import load_flow

    _refuse(chosen, "a flow", ("m2", "lam"))
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


def _draw_pictures(model: Path, kind: PictureKind, chosen: GenerateFlags, seeds: tuple[int, ...] | None) -> None:
    from pyqmc_art.art.synthesis.generation import describe_pictures, write_pictures
    from pyqmc_art.art.synthesis.ranking import Ranking
    from pyqmc_art.backends import default_threads
    from pyqmc_art.learning.threads import limit_torch
    from pyqmc_art.monitor import choose_monitor

    _refuse(chosen, kind.called, (*_PICTURES, *kind.takes))
    if (chosen.rank_by is None) != (chosen.keep is None):
        raise InputError("rank_by and keep belong together; for instance --rank-by detector --keep 5")
    named = seeds or tuple(range(chosen.seed, chosen.seed + (chosen.n or 0)))
    threads = chosen.threads or default_threads()
    ranking = None if chosen.rank_by is None else Ranking(chosen.rank_by, chosen.keep or 0, threads)
    with limit_torch(threads):
        maker = kind.open(model, chosen)
        written = write_pictures(
            maker, Path(str(chosen.out)), named, ranking=ranking, force=chosen.force, monitor=choose_monitor()
        )
    print(describe_pictures(maker, written, len(named), ranking))


def _open_gan(model: Path, chosen: GenerateFlags) -> Maker:
    from pyqmc_art.art.gan.models import load_gan

    return dataclasses.replace(load_gan(model), truncation=1.0 if chosen.truncation is None else chosen.truncation)


def _open_diffusion(model: Path, chosen: GenerateFlags) -> Maker:
    from pyqmc_art.art.diffusion.models import Manner, load_diffusion

    guidance = 1.0 if chosen.guidance is None else chosen.guidance
    return load_diffusion(model, Manner(chosen.sampler, chosen.steps, guidance, chosen.label))


def _open_autoencoder(model: Path, chosen: GenerateFlags) -> Maker:
    from pyqmc_art.art.autoencoder.models import load_autoencoder

    return load_autoencoder(model)


def _open_stable(model: Path, chosen: GenerateFlags) -> Maker:
    from pyqmc_art.art.diffusion.stable import Request, open_stable

    if chosen.prompt is None:
        raise InputError("no prompt was given; say what shall be seen, for instance --prompt 'a harbour at dusk'")
    if len(chosen.resolution or (0,)) > 2:
        raise InputError(f"resolution has {len(chosen.resolution or ())} numbers; expected width and height, or one")
    size = None if chosen.resolution is None else (chosen.resolution[0], chosen.resolution[-1])
    asked = {name: getattr(chosen, name) for name in _STABLE if name not in ("prompt", "resolution")}
    given = {name: value for name, value in asked.items() if value is not None}
    return open_stable(model, Request(chosen.prompt, size=size, **given))


STABLE: Final = "stable diffusion"
_STABLE: Final = (
    "prompt", "negative", "steps", "guidance", "image", "mask", "strength", "resolution", "lora",
)  # fmt: skip
KINDS: Final[Mapping[str, PictureKind]] = {
    "gan": PictureKind("a GAN", ("truncation",), _open_gan),
    "diffusion": PictureKind("a diffusion model", ("label", "sampler", "steps", "guidance"), _open_diffusion),
    "autoencoder": PictureKind("an autoencoder", (), _open_autoencoder),
    STABLE: PictureKind("Stable Diffusion", _STABLE, _open_stable),
}
"""Kind of a model directory that makes pictures -> what it understands and how it is opened."""
