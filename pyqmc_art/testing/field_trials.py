"""The part of the certificate that is about continuous fields."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from pyqmc_art.lattice.field_exact import free_field, transfer_operator
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.compose import Composition
from pyqmc_art.lattice.kernels.independence import Independence, judge_proposal
from pyqmc_art.lattice.kernels.integrators import INTEGRATORS, Integrator
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import plain_scalar, plain_sphere
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.fields import FIELD_MEANS, FIELD_STARTS, draw_fields, exact_field_values, field_start_p_value
from pyqmc_art.testing.patch_trials import judge_patches
from pyqmc_art.testing.row import Row, Trial
from pyqmc_art.testing.torus import TORUS, torus_bins, torus_p_value
from pyqmc_art.testing.trials import estimate_means, list_variants, run_variant_of
from pyqmc_art.testing.verdict import compare

Builder = Callable[[Case], Any]

_ROUNDING: Final = 1e-11


def plan_fields(stream: Stream, build: Builder, draws: int, moves: int, replicas: int, steps: int) -> list[Trial]:
    """All trials of fields: exact starts, known averages, and the properties hybrid Monte Carlo rests on."""
    plan: list[Trial] = [partial(judge_field_oracle, Phi4(Lattice((9,)), 0.6, 0.0))]
    plan += [partial(judge_field_bytes, case, stream) for case in FIELD_STARTS]
    plan += [partial(judge, integrator) for judge in (judge_flow, judge_circles) for integrator in INTEGRATORS.values()]
    plan += [partial(judge_force, case.action) for case in FIELD_STARTS if case.kernel == "hmc"]
    plan += [partial(judge_field_start, case, build, stream, draws, moves) for case in FIELD_STARTS]
    plan += [partial(judge_energy_errors, case, build, stream) for case in FIELD_STARTS if case.kernel == "hmc"]
    plan += [partial(judge_torus, stream), partial(judge_proposals, stream, draws, moves)]
    plan += [partial(judge_patches, stream, draws, moves)]
    return plan + [partial(judge_field_means, case, build, stream, replicas, steps) for case in FIELD_MEANS]


def judge_field_oracle(action: Phi4) -> list[Row]:
    """Two exact methods against each other."""
    one, two = free_field(action).log_partition, transfer_operator(action).log_partition
    target = f"ln Z by momenta = quadrature, {Case('', action).target}"
    return [Row("(oracle)", target, exact=one, measured=two, sound=math.isclose(one, two, rel_tol=1e-8))]


def judge_field_bytes(case: Case, stream: Stream) -> list[Row]:
    """The same bytes from every variant of this machine."""
    variants = list_variants()
    written = {run_variant_of(case.build(v.backend, v.threads), v, stream.fold(case.name), 2, 4) for v in variants}
    return [Row(case.title, f"same bytes on {len(variants)} variants, {case.target}", sound=len(written) == 1)]


def judge_flow(integrator: Integrator) -> list[Row]:
    """Trajectories of phi^4 return when followed backwards; their energy error is of the order of the integrator."""
    action = Phi4(Lattice((4, 4)), 0.5, 0.3)
    table, coefficients = action.lattice.neighbours, np.array(action.coefficients)

    def follow(phi: Any, momentum: Any, kicks: Any, drifts: Any) -> tuple[Any, float]:
        return plain_scalar.trajectory(phi, table, 4, coefficients, momentum, 1.0, kicks, drifts)

    random = np.random.default_rng(Stream.from_seed(8).fold("flow").key)
    starts = [(action.width * random.normal(size=16), random.normal(size=16)) for _ in range(8)]
    return _judge_trajectories(f"hmc({integrator.name})", integrator, follow, starts, 0.8)


def judge_circles(integrator: Integrator) -> list[Row]:
    """The same of unit vectors of three components."""
    action = ON(Lattice((4, 4)), 3, 0.6)

    def follow(spins: Any, momentum: Any, kicks: Any, drifts: Any) -> tuple[Any, float]:
        return plain_sphere.trajectory(spins, action.lattice.neighbours, 4, action.beta, momentum, 1.0, kicks, drifts)

    random, starts = np.random.default_rng(Stream.from_seed(8).fold("circles").key), []
    for _ in range(8):
        spins, momentum = random.normal(size=(2, 16, 3))
        spins /= np.linalg.norm(spins, axis=1, keepdims=True)
        starts.append((spins, momentum - spins * (spins * momentum).sum(axis=1, keepdims=True)))
    return _judge_trajectories(f"hmc({integrator.name}), O(3)", integrator, follow, starts, 0.8)


def _judge_trajectories(
    name: str,
    integrator: Integrator,
    follow: Callable[..., tuple[Any, float]],
    starts: list[tuple[Any, Any]],
    length: float,
) -> list[Row]:
    """``follow`` moves momenta in place and returns where the field arrives, and the energy error."""

    def run(field: Any, momentum: Any, steps: int) -> tuple[Any, Any, float]:
        own = momentum.copy()
        end, error = follow(field, own, *integrator.schedule(length, steps))
        return end, own, float(error)

    end, arrived, _ = run(*starts[0], 12)
    back, _, _ = run(end, -arrived, 12)
    gap = float(np.abs(back - starts[0][0]).max())
    steps = 12 if integrator.order == 4 else 32
    errors = [sum(abs(run(*start, n)[2]) for start in starts) for n in (steps, 2 * steps)]
    order = math.log2(errors[0] / errors[1])
    sound = abs(order - integrator.order) < 0.1
    return [
        Row(name, "returns when followed backwards", 0.0, gap, sound=gap < _ROUNDING),
        Row(name, "order of the energy error", float(integrator.order), order, sound=sound),
    ]


def judge_force(action: Phi4 | ON) -> list[Row]:
    """The force against finite differences of S; of unit vectors the tangent part."""
    random = np.random.default_rng(Stream.from_seed(9).fold("force").key)
    field, along = random.normal(size=(2, 1, *action.lattice.shape, *action.space.shape))
    ends = [field + 1e-5 * along, field - 1e-5 * along]
    if isinstance(action, ON):
        field = field / np.linalg.norm(field, axis=-1, keepdims=True)
        along = along - field * (field * along).sum(axis=-1, keepdims=True)
        ends = [
            end / np.linalg.norm(end, axis=-1, keepdims=True) for end in (field + 1e-5 * along, field - 1e-5 * along)
        ]
    up, down = action(np.concatenate(ends))
    slope, force = -(up - down) / 2e-5, float((action.force(field) * along).sum())
    sound = math.isclose(slope, force, rel_tol=1e-6, abs_tol=1e-6)
    return [Row("(force)", f"-dS against differences, {Case('', action).target}", slope, force, sound=sound)]


def judge_field_start(case: Case, build: Builder, stream: Stream, draws: int, moves: int) -> list[Row]:
    """Exact starts stay exact."""
    own = stream.fold("exact starts of " + case.name)
    p_value = field_start_p_value(case, build(case), draws, own, moves)
    return [Row(case.title, f"exact starts, {case.target}", p_value=p_value)]


def judge_torus(stream: Stream) -> list[Row]:
    """The bins of a torus add up to its Z, and exact draws fall into them."""
    exact, found = transfer_operator(TORUS).log_partition, torus_bins(TORUS)[1]
    p_value = torus_p_value(TORUS, draw_fields(TORUS, 20_000, stream.fold("draws of a torus")))
    target = f"ln Z by bins = quadrature, {Case('', TORUS).target}"
    return [
        Row("(oracle)", target, exact=exact, measured=found, sound=math.isclose(exact, found, abs_tol=1e-6)),
        Row("(oracle)", f"exact draws in bins, {Case('', TORUS).target}", p_value=p_value),
    ]


def judge_proposals(stream: Stream, draws: int, moves: int) -> list[Row]:
    """Fields stay exact however bad the proposal is, also when another kernel moves them; ln Z from the weights."""
    case, rows = Case("independence", TORUS), []
    for label, mass in (("fitting", None), ("too narrow", 12.0), ("too wide", 0.05)):
        own = stream.fold("proposals " + label)
        proposal = FreeProposal(TORUS, mass)
        plain: Any = Independence(TORUS, proposal)
        mixed: Any = Composition([(1, compose.build("hmc", TORUS, {"md_steps": 4})), (2, plain)])
        for kernel in (plain, mixed):
            starts = draw_fields(TORUS, draws, own.fold("starts"))
            state, _, _ = kernel.advance(own.fold(kernel.name), kernel.init(starts), moves)
            p_value = torus_p_value(TORUS, state.field)
            rows.append(Row(f"{kernel.name} ({label})", f"exact starts, {case.target}", p_value=p_value))
    weights = judge_proposal(TORUS, FreeProposal(TORUS), 50_000, seed=stream.key >> 1)
    exact = transfer_operator(TORUS).log_partition
    found = compare(weights.log_partition, exact)
    row = Row("independence", f"ln Z, {case.target}", exact, weights.log_partition, found.deviation, found.p_value)
    return [*rows, row]


def judge_energy_errors(case: Case, build: Builder, stream: Stream) -> list[Row]:
    """The average of exp(-dH) over independent replicas in equilibrium is 1."""
    kernel, own = build(case), stream.fold("energy errors of " + case.name)
    state = kernel.init(draw_fields(case.action, 20_000, own.fold("starts")))
    weights = np.exp(-kernel.energy_errors(own, state, 1)[0])
    error = float(weights.std() / math.sqrt(len(weights)))
    found = compare(SimpleNamespace(value=float(weights.mean()), error=error), 1.0)
    return [Row(case.title, f"<exp(-dH)>, {case.target}", 1.0, found.value, found.deviation, found.p_value)]


def judge_field_means(case: Case, build: Builder, stream: Stream, replicas: int, steps: int) -> list[Row]:
    """Averages of a long run against exact ones."""
    own, exact = stream.fold("means of " + case.name), exact_field_values(case.action)
    means = estimate_means(build(case), own, exact, replicas, steps // 4, steps)
    rows = []
    for name, estimates in means.items():
        found = compare(estimates[0], exact[name])
        target = f"{name}, {case.target}"
        rows.append(Row(case.title, target, exact[name], estimates[0], found.deviation, found.p_value))
    return rows
