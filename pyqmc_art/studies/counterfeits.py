"""Fields and forgeries of them whose exact weights are known: what a judge of fields is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.fields import FieldSet, look_at
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.chain import sample
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream
from pyqmc_art.store.ensemble import Ensemble

Floats = NDArray[np.float64]
Weigh = Callable[[NDArray[Any]], Floats]
"""Takes fields (n, *shape); returns ln p_A/p_B of each, up to a constant."""

CHAINS: Final = 64
_APART: Final = 6
_WARMUP: Final = 200


@dataclass(frozen=True, eq=False)
class Counterfeit:
    """A forgery of an ensemble.

    Attributes
    ----------
    name : of the forgery
    how : it was made, in words
    fields : looked at
    weigh : the exact log weights; None where nobody knows them
    """

    name: str
    how: str
    fields: FieldSet
    weigh: Weigh | None


def draw_scalar(action: Phi4, each: int, stream: Stream) -> Floats:
    """Fields of phi^4 from 64 chains of hybrid Monte Carlo, shape (each, 64, *shape)."""
    return _run(HMC(action, 1.0, 10, "omelyan2", 0.3, threads=1), each, stream)


def draw_spins(action: Ising, each: int, stream: Stream) -> NDArray[np.int8]:
    """Fields of the Ising model from 64 chains of Swendsen and Wang, shape (each, 64, *shape)."""
    return _run(SwendsenWang(action, threads=1), each, stream)


def _run(kernel: Any, each: int, stream: Stream) -> NDArray[Any]:
    run = sample(
        kernel.action, kernel, steps=each * _APART, warmup=_WARMUP, every=_APART, save_every=_APART, replicas=CHAINS,
        seed=stream.key >> 1, measure=("action",),
    )  # fmt: skip
    return np.asarray(run.fields)


def wrap(name: str, raw: NDArray[Any], action: Any) -> FieldSet:
    """Make an ensemble of fields in memory, shape (measurements, replicas, *shape), and look at it."""
    told = {"action": action.name, **action.lattice.configuration(), **action.couplings()}
    return look_at(Ensemble.in_memory(told, {}, {}, raw), name)


def forge_scalar(action: Phi4, each: int, strength: float, training: int, stream: Stream) -> list[Counterfeit]:
    """Make forgeries of phi^4, each of as many fields as ``draw_scalar`` gives.

    Parameters
    ----------
    action : the target
    each : fields of every chain
    strength : how far the forgeries are from the target: the relative change of lam, and of the smoothing
    training : steps of the flow's training
    """
    fields = {
        name: draw_scalar(action, each, stream.fold(name)) for name in ("genuine", "smoothed", "one phase", "twin")
    }
    other = Phi4(action.lattice, action.m2, action.lam * (1 + strength), action.convention)
    wrong = draw_scalar(other, each, stream.fold("wrong coupling"))
    smoothed, undo = _smooth(fields["smoothed"], action.lattice, strength)
    upward = fields["one phase"] * np.where(fields["one phase"].mean(axis=(2, 3)) < 0, -1.0, 1.0)[..., None, None]
    twin, gaussian = _draw_twin(fields["twin"], stream.fold("twin draws"))
    found = [
        Counterfeit("genuine", "the same target, other random numbers", wrap("genuine", fields["genuine"], action),
                    lambda x: np.zeros(len(x))),
        Counterfeit("wrong coupling", f"lam larger by {strength:.0%}", wrap("wrong coupling", wrong, action),
                    lambda x: other(x) - action(x)),
        Counterfeit("smoothed", "every Fourier mode of genuine fields damped a little, phi2 restored",
                    wrap("smoothed", smoothed, action), lambda x: action(undo(x)) - action(x)),
        Counterfeit("Gaussian twin", "a Gaussian field with the two-point function of the target",
                    wrap("Gaussian twin", twin, action), lambda x: -gaussian(x) - action(x)),
        Counterfeit("one phase", "genuine fields, turned so that the magnetization is positive",
                    wrap("one phase", upward, action),
                    lambda x: np.where(x.mean(axis=(1, 2)) < 0, np.inf, 0.0)),
    ]  # fmt: skip
    return [*found, _train_flow(action, each, training, stream.fold("flow"))]


def generate_scalar(action: Phi4, each: int, training: int, stream: Stream) -> list[Counterfeit]:
    """Let two generators learn from fields of the target, and draw from them; nobody knows their densities.

    Parameters
    ----------
    action, each : as in :func:`forge_scalar`
    training : steps of the diffusion model's training; the adversarial network makes half as many
    """
    from pyqmc_art.proposals.field_generators import train_adversarial, train_diffusion

    learned = draw_scalar(action, each, stream.fold("learned from")).reshape(-1, *action.lattice.shape)
    models: dict[str, tuple[Any, int]] = {
        "diffusion": (train_diffusion(learned, training, stream.fold("diffusion")), training),
        "GAN": (train_adversarial(learned, max(2, training // 2), stream.fold("GAN")), max(2, training // 2)),
    }
    found = []
    for name, (model, steps) in models.items():
        drawn = model.draw(stream.fold(f"draws of {name}"), each * CHAINS)
        raw = drawn.reshape(each, CHAINS, *action.lattice.shape)
        how = f"draws of a small network that learned from {len(learned)} fields in {steps} steps"
        found.append(Counterfeit(name, how, wrap(name, raw, action), None))
    return found


def forge_spins(action: Ising, each: int, strength: float, stream: Stream) -> Counterfeit:
    """Make a forgery of the Ising model: another temperature."""
    other = Ising(action.lattice, beta=action.beta * (1 + strength))
    raw = draw_spins(other, each, stream)
    return Counterfeit(
        "Ising, wrong temperature", f"beta larger by {strength:.0%}", wrap("wrong temperature", raw, action),
        lambda x: other(x.astype(np.int8)) - action(x.astype(np.int8)),
    )  # fmt: skip


def _smooth(fields: Floats, lattice: Lattice, strength: float) -> tuple[Floats, Weigh]:
    """Multiply mode k by ``c (1 - strength khat^2 / 8)``, c restoring the mean square; and what undoes it."""
    momenta = [2 * np.pi * np.fft.fftfreq(extent) for extent in lattice.shape]
    laplacian = np.sum(np.meshgrid(*(4 * np.sin(k / 2) ** 2 for k in momenta), indexing="ij"), axis=0)
    damping = 1 - strength * laplacian / 8
    scale = float(np.sqrt((fields**2).mean() / (_multiply(fields, damping) ** 2).mean()))
    return _multiply(fields, damping * scale), lambda x: _multiply(x, 1 / (damping * scale))


def _multiply(fields: NDArray[Any], factor: Floats) -> Floats:
    """Multiply the Fourier modes of fields (..., rows, columns)."""
    return np.asarray(np.fft.ifft2(np.fft.fft2(fields) * factor).real, np.float64)


def _draw_twin(fields: Floats, stream: Stream) -> tuple[Floats, Weigh]:
    """Draw Gaussian fields with the power spectrum of others, and give their log density up to a constant."""
    volume = float(np.prod(fields.shape[2:]))
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(axis=(0, 1)) / volume
    white = stream.normal("user", int(volume), int(np.prod(fields.shape[:2]))).reshape(fields.shape)
    drawn = _multiply(white, np.sqrt(power))

    def gaussian(x: NDArray[Any]) -> Floats:
        return np.asarray(-0.5 * (np.abs(np.fft.fft2(x)) ** 2 / power).sum(axis=(1, 2)) / volume, np.float64)

    return drawn, gaussian


def _train_flow(action: Phi4, each: int, training: int, stream: Stream) -> Counterfeit:
    """Train a flow for a short while; its density is known."""
    from pyqmc_art.proposals.shapes import FlowShape
    from pyqmc_art.proposals.training import FlowTraining, train_flow

    plan = FlowTraining(FlowShape(4, (8, 8)), training, 128, draws=1024, seed=stream.key >> 1, device="cpu")
    flow = train_flow(action, plan, threads=1).flow
    drawn = flow.draw(stream.fold("draws"), each * CHAINS).field

    def weigh(x: NDArray[Any]) -> Floats:
        return np.asarray(-action(x) - flow.encode(stream.fold("encode"), np.ascontiguousarray(x)).log_ratio)

    raw = drawn.reshape(each, CHAINS, *drawn.shape[1:])
    return Counterfeit("flow", f"draws of a flow trained for {training} steps", wrap("flow", raw, action), weigh)
