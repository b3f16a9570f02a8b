"""What is done to a kernel before it is judged: exact starts, long runs, the same run on every backend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.enumeration import boltzmann_probabilities, configuration_codes, encode, sample_exactly
from pyqmc_art.lattice.kernels.stepwise import DiscreteKernel
from pyqmc_art.lattice.observables import default_measure, find
from pyqmc_art.ops import inventory
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import gamma_method_components
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.verdict import bonferroni, chi_square, equilibrium_p_value, kernel_step, sample_p_value


def exact_start_p_value(case: Case, kernel: DiscreteKernel, n: int, stream: Stream, steps: int = 3) -> float:
    """Start n replicas in exact equilibrium, move them by ``steps`` steps, and judge whether they still are.

    Parameters
    ----------
    case : says what the target is; its lattice can be enumerated
    kernel : what is judged, as a rule ``case.build()``
    n : number of replicas
    stream : source of the starts and of the steps
    steps : one single call of ``advance``

    Examples
    --------
    >>> from pyqmc_art.testing.cases import EXACT
    >>> exact_start_p_value(EXACT[0], EXACT[0].build(), 10_000, Stream.from_seed(1)) > 1e-6
    True
    """
    if kernel.ladder:
        return _ladder_p_value(case, kernel, n, stream, steps)
    move = kernel_step(kernel, stream.fold("steps"), steps)
    return equilibrium_p_value(case.action, move, n, stream.fold("starts"), spin_sum=case.spin_sum)


def _ladder_p_value(case: Case, kernel: DiscreteKernel, n: int, stream: Stream, steps: int) -> float:
    """Each rung by itself, and the joint configurations: the target is the product over the rungs."""
    fields = np.stack(
        [
            sample_exactly(action, n, stream.fold("starts", rung), case.spin_sum)
            for rung, action in enumerate(case.targets)
        ],
        axis=1,
    )
    state, _, _ = kernel.advance(stream.fold("steps"), kernel.init(fields), steps)
    codes = configuration_codes(case.action, case.spin_sum)
    joint, probability = np.zeros(n, np.int64), np.ones(1)
    p_values = []
    for rung, action in enumerate(case.targets):
        moved = np.ascontiguousarray(state.field[:, rung])
        p_values.append(sample_p_value(action, moved, case.spin_sum))
        joint = joint * len(codes) + np.searchsorted(codes, encode(action, moved))
        probability = np.outer(probability, boltzmann_probabilities(action, case.spin_sum)).ravel()
    p_values.append(chi_square(np.bincount(joint, minlength=len(probability)), probability))
    return bonferroni(p_values)


def estimate_means(
    kernel: DiscreteKernel,
    stream: Stream,
    observables: Iterable[str],
    replicas: int,
    warmup: int,
    steps: int,
    start: str = "both",
) -> dict[str, tuple[Estimate, ...]]:
    """Measure means by the Gamma method over replicas: name of the observable -> an Estimate for each rung.

    Parameters
    ----------
    observables : their names
    replicas : independent chains
    warmup, steps : steps before the first measurement, and measured steps
    start : ``"hot"``, ``"cold"``, or ``"both"``: half of the replicas hot, the others cold

    Examples
    --------
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> case = Case("wolff", Ising(Lattice((8, 8)), beta=0.4))
    >>> means = estimate_means(case.build(), Stream.from_seed(1), ["energy"], replicas=4, warmup=50, steps=500)
    >>> bool(abs(means["energy"][0].deviation(case.exact_values()["energy"][0])) < 5)
    True
    """
    how = ("hot", "cold") if start == "both" else (start,)
    if replicas % len(how):
        raise InputError(f"replicas is {replicas}; hot and cold starts need an even number")
    fields = [kernel.start(stream.fold("starts", i), replicas // len(how), each) for i, each in enumerate(how)]
    state = kernel.init(np.concatenate(fields))
    state, _, _ = kernel.advance(stream, state, warmup)
    state, series, _ = kernel.advance(stream, state, steps, 1, find(observables))
    # One component for each rung, also where there is no ladder.
    return {name: tuple(gamma_method_components(np.atleast_3d(values))) for name, values in series.items()}


@dataclass(frozen=True)
class Variant:
    """One way to run the same thing: a backend, for C++ an instruction set, and a number of threads."""

    backend: str
    isa: str = ""
    threads: int = 1

    @property
    def label(self) -> str:
        """For instance ``cpp/avx2``, or ``cpp, 3 threads``."""
        name = f"{self.backend}/{self.isa}" if self.isa else self.backend
        return name if self.threads == 1 else f"{name}, {self.threads} threads"


def list_variants() -> tuple[Variant, ...]:
    """Every variant of this machine.

    Examples
    --------
    >>> Variant("python") in list_variants()
    True
    """
    facts = inventory.take()
    found = []
    for backend in facts["backends"]:
        isas = facts["instruction_sets"] if backend == "cpp" else ("",)
        found += [Variant(backend, isa) for isa in isas]
        if backend == "cpp":
            found.append(Variant(backend, threads=3))
    return tuple(found)


def run_variant(case: Case, variant: Variant, stream: Stream, replicas: int, steps: int) -> bytes:
    """All bytes that a few steps produce: fields, sums and tallies; the same for every variant.

    Parameters
    ----------
    steps : done from the middle of a run, with a measurement after every second one

    Examples
    --------
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> case = Case("wolff", Ising(Lattice((3, 4)), beta=0.4))
    >>> len({run_variant(case, v, Stream.from_seed(1), replicas=2, steps=2) for v in list_variants()})
    1
    """
    kernel = case.build(variant.backend, variant.threads)
    if not kernel.ladder:
        kernel = kernel.on_ladder([replace(case.action, beta=case.action.beta * factor) for factor in (1.0, 0.8)])
    return run_variant_of(kernel, variant, stream, replicas, steps)


def run_variant_of(kernel: Any, variant: Variant, stream: Stream, replicas: int, steps: int) -> bytes:
    """All bytes that a few steps of a kernel produce; as :func:`run_variant`, for a kernel built for the variant."""
    observables = [default_measure(kernel.action.name)[0], "magnetization"]
    state = kernel.init(kernel.start(stream.fold("starts"), replicas))
    state.step = 7
    with _instruction_set(variant.isa):
        state, series, info = kernel.advance(stream, state, steps, 2, find(observables))
    parts: list[Any] = [state.field, *series.values(), np.array(list(info.values()))]
    return b"".join(part.tobytes() for part in parts)


@contextmanager
def _instruction_set(name: str) -> Iterator[None]:
    before = os.environ.get("PYQMC_ISA")
    if name:
        os.environ["PYQMC_ISA"] = name
    try:
        yield
    finally:
        if before is not None:
            os.environ["PYQMC_ISA"] = before
        elif name:
            del os.environ["PYQMC_ISA"]
