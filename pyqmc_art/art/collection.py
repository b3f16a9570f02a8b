"""Simulated collections: originals, proxies, forgeries and machine-made pictures whose makers are known."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.hands import Hand, check_strength, draw_uniforms
from pyqmc_art.art.machines import leave_traces
from pyqmc_art.art.motifs import Motif
from pyqmc_art.art.painter import check_size, paint, photograph
from pyqmc_art.art.roles import MACHINE_ROLES, ROLES
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream

Pixels = NDArray[np.uint8]

MASTER: Final = "Simulated Master"
GENERATORS: Final = {
    "raw-gan": "simulated raw GAN",
    "tuned-gan": "simulated tuned GAN",
    "diffusion": "simulated diffusion",
    "other-machine": "simulated other machine",
}
_NEARNESS: Final = {"tuned-gan": 0.5, "diffusion": 0.8, "other-machine": 0.8}


@dataclass(frozen=True)
class Commission:
    """One picture of a collection: everything that determines its bytes, and the truth about it.

    Attributes
    ----------
    role : one of :data:`pyqmc_art.art.roles.ROLES`
    hand : name of the painter; empty for pictures made by a machine
    title : motif and number, always marked as simulated
    generator : name of the machine, or empty
    group : the work; every picture is a work of its own
    motif, habits, size, seed : what is painted, by which habits, how large, and the key of its stream
    machine_key : key of the generator's stream, the same for all its pictures
    traces : strength of the generator's traces
    """

    role: str
    hand: str
    title: str
    generator: str
    group: str
    motif: Motif
    habits: Hand
    size: tuple[int, int]
    seed: int
    machine_key: int = 0
    traces: float = 0.0

    @property
    def truth(self) -> dict[str, float]:
        """The hidden habits by name, and the strength of a generator's traces."""
        return {**asdict(self.habits), "traces": self.traces}

    def paint(self, backend: str | None = None) -> Pixels:
        """Paint it: the same bytes whenever, wherever and beside whatever else."""
        stream = Stream(self.seed)
        if self.role == "photo":
            return photograph(self.motif, self.habits, self.size, stream)
        pixels = paint(self.motif, self.habits, self.size, stream, backend=backend)
        if self.role in MACHINE_ROLES:
            pixels = leave_traces(pixels, self.role, Stream(self.machine_key), self.traces)
        return pixels


def plan_collection(
    stream: Stream,
    counts: Mapping[str, int],
    size: int | tuple[int, int] = 256,
    gap: float = 1.0,
    *,
    proxy_gap: float = 1.0,
    traces: float = 1.0,
    proxies: int = 11,
    forgers: int = 2,
    copies: bool = False,
) -> list[Commission]:
    """Plan a collection without painting it.

    Picture k of a role depends on the stream, the role and k alone: a larger collection contains a smaller one.

    Parameters
    ----------
    stream : of the collection; the master's hand, the forgers' and the generators' are drawn from it
    counts : role -> number of pictures
    size : side in pixels, or (width, height)
    gap : distance of the forgers' and generators' hands from the master's; at 0 a forgery comes from the same
        distribution as an original, by construction
    proxy_gap : share of the way from the master's hand to that of another painter, 0 to 1
    traces : strength of the generators' traces; at 0 and gap 0 machine-made pictures are originals too
    proxies, forgers : numbers of other painters and of forgers
    copies : whether forgeries repeat the motifs of originals in this collection. By default they copy originals of
        the master's that are not in it: with twins on both sides of a split, a detector that remembers motifs errs
        against the truth and a null test at gap 0 lands below one half.

    Raises
    ------
    InputError
        If a role is unknown, a number is out of range, or copies are asked for without originals.

    Examples
    --------
    >>> plan = plan_collection(Stream.from_seed(1), {"original": 2, "forgery": 1}, size=32, gap=0)
    >>> [(c.role, c.hand) for c in plan]
    [('original', 'Simulated Master'), ('original', 'Simulated Master'), ('forgery', 'Simulated Forger 1')]
    >>> plan[2].habits == plan[0].habits
    True
    """
    for role, count in counts.items():
        if role not in ROLES:
            raise unknown("role", role, ROLES)
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
            raise InputError(f"the count of {role} is {count!r}; expected a whole number from 0")
    if copies and counts.get("forgery") and not counts.get("original"):
        raise InputError("copies=True needs originals in the collection to copy; give a count of originals")
    if proxies < 1 or forgers < 1:
        raise InputError(f"proxies is {proxies} and forgers is {forgers}; expected at least one of each")
    workshop = _Workshop(
        stream, check_size((size, size) if isinstance(size, (int, np.integer)) else size), check_strength("gap", gap),
        check_strength("proxy_gap", proxy_gap, 1.0), check_strength("traces", traces), proxies, forgers,
        int(counts.get("original", 0)) if copies else 0,
    )  # fmt: skip
    return [workshop.commission(role, k) for role, count in counts.items() for k in range(int(count))]


@dataclass(frozen=True)
class _Workshop:
    """What all pictures of a collection share."""

    stream: Stream
    size: tuple[int, int]
    gap: float
    proxy_gap: float
    traces: float
    proxies: int
    forgers: int
    copied: int

    def commission(self, role: str, number: int) -> Commission:
        own = self.stream.fold(role, number)
        motif = Motif.draw(own.fold("motif"))
        title = f"{motif.title}, no. {number + 1}"
        if role == "forgery" and self.copied:
            model = int(draw_uniforms(own.fold("model"), 1)[0] * self.copied)
            motif = Motif.draw(self.stream.fold("original", model).fold("motif"))
            title = f"{motif.title}, after no. {model + 1}"
        name, habits = self._maker(role, number)
        machine = role in MACHINE_ROLES
        return Commission(
            role=role, hand=name, title=f"{title} (simulated)", generator=GENERATORS.get(role, ""),
            group=f"simulated {role} {number + 1} of {self.stream.key:016x}", motif=motif, habits=habits,
            size=self.size, seed=own.fold("picture").key, machine_key=self.stream.fold("machine").key if machine else 0,
            traces=self.traces if machine else 0.0,
        )  # fmt: skip

    def _maker(self, role: str, number: int) -> tuple[str, Hand]:
        master = Hand.draw(self.stream.fold("master"))
        if role == "original":
            return MASTER, master
        if role == "proxy":
            one = number % self.proxies
            other = Hand.draw(self.stream.fold("painter", one))
            return f"Simulated Painter {one + 1}", master.towards(other, self.proxy_gap)
        if role == "forgery":
            one = number % self.forgers
            return f"Simulated Forger {one + 1}", master.shifted(self.stream.fold("forger", one), self.gap)
        if role == "raw-gan":
            # Not yet tuned to the master: halfway to any painter, another one in each picture.
            other = Hand.draw(self.stream.fold("raw-gan hand", number))
            return "", master.towards(other, min(0.6 * self.gap, 1.0))
        if role == "photo":
            return "", master.towards(Hand.draw(self.stream.fold("camera")), min(self.gap, 1.0))
        return "", master.shifted(self.stream.fold(f"{role} hand"), _NEARNESS[role] * self.gap)


def make_collection(
    stream: Stream,
    counts: Mapping[str, int],
    size: int | tuple[int, int] = 256,
    gap: float = 1.0,
    *,
    proxy_gap: float = 1.0,
    traces: float = 1.0,
    proxies: int = 11,
    forgers: int = 2,
    copies: bool = False,
    threads: int = 1,
    backend: str | None = None,
) -> list[tuple[Pixels, Commission]]:
    """Plan a collection and paint it, on one or more threads; see :func:`plan_collection`.

    Returns
    -------
    list of (pixels uint8 (height, width, 3), Commission)
    """
    plan = plan_collection(
        stream, counts, size, gap, proxy_gap=proxy_gap, traces=traces, proxies=proxies, forgers=forgers, copies=copies
    )
    return list(paint_all(plan, threads, backend))


def paint_all(
    plan: list[Commission], threads: int = 1, backend: str | None = None
) -> Iterator[tuple[Pixels, Commission]]:
    """Paint the pictures of a plan in its order, a few ahead on the given number of threads.

    Raises
    ------
    InputError
        If there is not at least one thread.
    """
    if threads < 1:
        raise InputError(f"threads is {threads}; expected at least 1")
    if threads == 1:
        yield from ((one.paint(backend), one) for one in plan)
        return
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(plan), 8 * threads):
            part = plan[start : start + 8 * threads]
            yield from zip(pool.map(lambda one: one.paint(backend), part), part, strict=True)


def write_collection(
    folder: str | os.PathLike[str],
    plan: list[Commission],
    *,
    form: str = "png",
    quality: int = 90,
    threads: int = 1,
    backend: str | None = None,
) -> Path:
    """Paint a plan into a folder: a sub-folder for each role, and ``manifest.csv`` with the truth beside it.

    Parameters
    ----------
    folder : made if absent; an existing manifest there is refused
    plan : from :func:`plan_collection`
    form : suffix of the files, "png" or "jpg"
    quality : of JPEG files

    Returns
    -------
    path of the manifest

    Raises
    ------
    InputError
        If the folder already holds a manifest or the form is unknown.
    StoreError
        If a file cannot be written.
    """
    from pyqmc_art.art.manifest import Manifest
    from pyqmc_art.art.pictures import read_picture, write_picture
    from pyqmc_art.art.rows import Row, measured

    place = Path(folder)
    if form not in ("png", "jpg"):
        raise unknown("form", form, ("png", "jpg"))
    if (place / "manifest.csv").exists():
        raise InputError(f"{place} already holds a manifest.csv; choose another folder or remove it")
    numbers: dict[str, int] = {}
    rows = []
    for pixels, one in paint_all(plan, threads, backend):
        numbers[one.role] = numbers.get(one.role, 0) + 1
        (place / one.role).mkdir(parents=True, exist_ok=True)
        path = write_picture(place / one.role / f"{one.role}-{numbers[one.role]:04d}.{form}", pixels, quality)
        row = Row(
            path=f"{one.role}/{path.name}", role=one.role, hand=one.hand, title=one.title, style="simulated",
            genre=one.motif.kind, source="simulated", licence="CC0-1.0", basis="simulated: the maker is known",
            group=one.group, generator=one.generator, seed=f"{one.seed:016x}",
            extra=(("truth", json.dumps(one.truth, sort_keys=True)),),
        )  # fmt: skip
        rows.append(measured(row, read_picture(path)))
    return Manifest(tuple(rows), place).write(place / "manifest.csv")
