"""What ``verify`` asks of learned local updates: exact whatever the network, and the same bytes everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pyqmc_art.lattice.free_blocks import FreeBlocks
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.blocked import Blocked
from pyqmc_art.lattice.kernels.compose import Composition
from pyqmc_art.lattice.kernels.field_vae import VaeLocal
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops.patches import LocalNetwork
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.fields import draw_fields, same_law
from pyqmc_art.testing.networks import draw_network, fit_network
from pyqmc_art.testing.row import Row
from pyqmc_art.testing.torus import TORUS, torus_p_value
from pyqmc_art.testing.trials import list_variants, run_variant_of


@dataclass(frozen=True)
class PatchCase:
    """A network on a target whose exact starts can be drawn.

    Attributes
    ----------
    label : how the network came about
    block, latents, hidden, size : see :func:`pyqmc_art.testing.networks.draw_network`
    """

    label: str
    action: Any
    block: tuple[int, ...]
    latents: int
    hidden: tuple[int, ...] = (5,)
    size: float = 0.5

    def network(self) -> LocalNetwork:
        """The weights, always the same."""
        stream = Stream.from_seed(5).fold(self.label)
        if self.label == "fitted":
            return fit_network(self.action, draw_fields(self.action, 2000, stream))
        return draw_network(self.action, self.block, self.latents, self.hidden, self.size, stream)

    def build(self, **options: Any) -> VaeLocal:
        """Build the kernel."""
        return VaeLocal(self.action, network=self.network(), block=self.block, **options)


_VECTORS: Final = ON(Lattice((2, 2)), 2, 0.5)
_CHAIN: Final = Phi4(Lattice((4,)), -1.0, 0.5, convention="D")

PATCH_CASES: Final = (
    PatchCase("untrained", TORUS, (1, 1), 1, size=0.0),
    PatchCase("crooked", TORUS, (1, 1), 2, hidden=(4, 3)),
    PatchCase("crooked, no latents", TORUS, (1, 1), 0),
    PatchCase("fitted", TORUS, (1, 1), 0),
    PatchCase("blocks", _CHAIN, (2,), 1, size=0.3),
    PatchCase("blocks of a free field", Phi4(Lattice((4, 4)), 0.7, 0.0), (2, 1), 1, size=0.2),
    PatchCase("crooked, three axes", Phi4(Lattice((2, 2, 2)), 0.7, 0.0), (1, 1, 1), 1),
    PatchCase("crooked, four axes", Phi4(Lattice((2, 2, 2, 2)), 1.0, 0.0), (1, 1, 1, 1), 1),
    PatchCase("crooked", _VECTORS, (1, 1), 2),
    PatchCase("blocks", ON(Lattice((4,)), 2, 1.0), (2,), 1, size=0.3),
)
"""Networks from those that see nothing to those that fit; every one must leave its target as it is."""


_BLOCKS: Final = (PatchCase("single sites", TORUS, (1, 1), 0), PatchCase("pairs", _CHAIN, (2,), 0))


def patch_p_value(case: PatchCase, kernel: Any, n: int, stream: Stream, steps: int) -> float:
    """Move n exact starts by ``steps`` steps, and ask whether they are still exact draws."""
    starts = draw_fields(case.action, n, stream.fold("starts"))
    state, _, _ = kernel.advance(stream.fold("steps"), kernel.init(starts), steps)
    if case.action is TORUS:
        return torus_p_value(TORUS, state.field)
    return same_law(case.action, state.field, draw_fields(case.action, n, stream.fold("others")))


def judge_patches(
    stream: Stream, draws: int, moves: int, build: Callable[[PatchCase], Any] = PatchCase.build
) -> list[Row]:
    """Exact starts stay exact under every network, alone and behind another kernel; every variant writes one text."""
    rows, variants = [], list_variants()
    for case in PATCH_CASES:
        own = stream.fold(f"{case.label} {case.action.name}")
        target = Case("vae-local", case.action).target
        kernel = build(case)
        p_value = patch_p_value(case, kernel, draws, own, moves)
        rows.append(Row(f"vae-local({case.label})", f"exact starts, {target}", p_value=p_value))
        written = {run_variant_of(case.build(backend=v.backend, threads=v.threads), v, own, 2, 3) for v in variants}
        sound = len(written) == 1
        rows.append(Row(f"vae-local({case.label})", f"same bytes on {len(variants)} variants, {target}", sound=sound))
    mixed: Any = Composition([(1, compose.build("hmc", TORUS, {"md_steps": 4})), (2, build(PATCH_CASES[1]))])
    p_value = patch_p_value(PATCH_CASES[1], mixed, draws, stream.fold("mixed"), moves)
    rows.append(Row(f"{mixed.name}(crooked)", f"exact starts, {Case('', TORUS).target}", p_value=p_value))
    return rows + [_judge_blocks(case, mass, draws, stream, moves) for case in _BLOCKS for mass in (None, 9.0)]


def _judge_blocks(case: PatchCase, mass: float | None, draws: int, stream: Stream, moves: int) -> Row:
    """Blocks of free fields with a mass that fits, or one far too large."""
    kernel, label = Blocked(case.action, FreeBlocks(case.action, case.block, mass)), "too narrow" if mass else "fitting"
    p_value = patch_p_value(case, kernel, draws, stream.fold(f"{label} {case.label}"), moves)
    return Row(f"blocked({label})", f"exact starts, {Case('', case.action).target}", p_value=p_value)
