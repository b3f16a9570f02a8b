"""Independence: exact however bad the proposal, and the weight is never stale."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

import pyqmc_art as qa
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.kernels.independence import Independence, judge_proposal, weigh
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Draw, Field, State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.fields import draw_fields, field_start_p_value
from pyqmc_art.testing.torus import TORUS, torus_bins, torus_p_value
from pyqmc_art.testing.verdict import BUDGET

N = 40_000
STREAM = Stream.from_seed(17)
LN_Z = 0.914433978
MASSES = {"fitting": None, "too narrow": 12.0, "too wide": 0.05}


class Noisy:
    """A latent model: a normal latent at every site, the field close to half of it, and r roughly the way back."""

    def __init__(self, tilt: float = 0.9) -> None:
        self.tilt = tilt

    def draw(self, stream: Stream, n: int) -> Draw:
        latent = stream.fold("latent").normal("user", 4, n)
        field = 0.5 * latent + 0.4 * stream.fold("field").normal("user", 4, n)
        return self._weighed(field.reshape(n, 2, 2), latent)

    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        flat = field.reshape(len(field), 4)
        latent = self.tilt * flat + 0.8 * stream.fold("inverse").normal("user", 4, len(field))
        return self._weighed(field, latent)

    def _weighed(self, field: NDArray[Any], latent: NDArray[Any]) -> Draw:
        flat = field.reshape(len(field), 4)
        forward = norm.logpdf(latent) + norm.logpdf(flat, 0.5 * latent, 0.4)
        return Draw(field, latent, (forward - norm.logpdf(latent, self.tilt * flat, 0.8)).sum(axis=1))


class Stale(Independence):
    """Planted: keeps the old weight although another kernel moved the field."""

    def _weight(self, stream: Stream, state: State) -> NDArray[np.float64]:
        kept = state.extra.get(f"{self.name}_weight")
        return super()._weight(stream, state) if kept is None or np.isnan(kept).any() else kept


class WithoutDensity(FreeProposal):
    """Planted: forgets log q."""

    def _log_density(self, field: NDArray[Any]) -> NDArray[np.float64]:
        return np.zeros(len(field))


class Swapped(Independence):
    """Planted: accepts by w - w'."""

    def _log_weight(self, drawn: Draw) -> NDArray[np.float64]:
        return -super()._log_weight(drawn)


def composed(kernel: Any) -> Any:
    return qa.Composition([(1, qa.HMC(TORUS, 0.3, 2, threads=1)), (2, kernel)])


def moved(kernel: Any, steps: int = 4) -> Field:
    starts = draw_fields(TORUS, N, STREAM.fold("starts"))
    return kernel.advance(STREAM.fold("steps"), kernel.init(starts), steps)[0].field


def holds(kernel: Any) -> bool:
    return BUDGET.passes(torus_p_value(TORUS, moved(kernel)))


def test_the_bins_are_exact() -> None:
    assert torus_bins(TORUS)[1] == pytest.approx(LN_Z, abs=1e-6)
    assert BUDGET.passes(torus_p_value(TORUS, draw_fields(TORUS, N, STREAM)))
    wrong = draw_fields(Phi4(TORUS.lattice, -4.0, 8.8), N, STREAM)
    assert not BUDGET.passes(torus_p_value(TORUS, wrong))


@pytest.mark.parametrize("mass", MASSES.values(), ids=MASSES)
def test_exact_starts_stay_exact(mass: float | None) -> None:
    kernel = Independence(TORUS, FreeProposal(TORUS, mass))
    assert holds(kernel)
    assert holds(composed(kernel))


@pytest.mark.parametrize("tilt", [0.9, -0.5])
def test_exact_starts_stay_exact_with_a_latent(tilt: float) -> None:
    kernel = Independence(TORUS, Noisy(tilt))
    assert holds(kernel)
    assert holds(composed(kernel))
    assert BUDGET.passes(field_start_p_value(Case("", TORUS), composed(kernel), 10_000, STREAM))


def test_it_forgets_its_start() -> None:
    """All replicas from one field reach the target: a kernel that never moves would pass the tests above."""
    kernel = Independence(TORUS, FreeProposal(TORUS))
    state = kernel.init(np.full((N, 2, 2), 0.4))
    state, _, info = kernel.advance(STREAM, state, 60)
    assert BUDGET.passes(torus_p_value(TORUS, state.field))
    assert 0.1 < info["acceptance"] < 1


def test_hot_starts_are_draws_of_the_proposal() -> None:
    """Others may have a weight so large that nothing is accepted for long."""
    narrow = Independence(TORUS, FreeProposal(TORUS, 12.0))
    hot, cold = narrow.start(STREAM, 500), narrow.start(STREAM, 2, "cold")
    assert (hot**2).mean() == pytest.approx((FreeProposal(TORUS, 12.0).draw(STREAM, 500).field ** 2).mean(), rel=0.2)
    np.testing.assert_allclose(cold, 0.5)
    np.testing.assert_array_equal(narrow.start(STREAM.shifted(3), 2), hot[3:5])


def test_a_stale_weight_is_caught() -> None:
    assert holds(Stale(TORUS, FreeProposal(TORUS))), "alone there is nothing that could make it stale"
    assert not holds(composed(Stale(TORUS, FreeProposal(TORUS))))


@pytest.mark.parametrize(
    "broken", [Independence(TORUS, WithoutDensity(TORUS)), Swapped(TORUS, FreeProposal(TORUS))], ids=["no q", "swapped"]
)
def test_broken_weights_are_caught(broken: Any) -> None:
    assert not holds(broken)


def test_two_parts_of_one_composition_do_not_share_weights() -> None:
    one, other = FreeProposal(TORUS), FreeProposal(TORUS, 3.0)
    with pytest.raises(InputError, match="two proposals are both named"):
        qa.Composition([(1, Independence(TORUS, one)), (1, Independence(TORUS, other))])
    inner = qa.Composition([(1, Independence(TORUS, one))])
    with pytest.raises(InputError, match="two proposals are both named"):
        qa.Composition([(1, inner), (1, Independence(TORUS, other))])
    both = qa.Composition([(1, Independence(TORUS, one)), (1, Independence(TORUS, other, name="second"))])
    assert holds(both)


class Counting(FreeProposal):
    """Counts how often it is asked for a weight."""

    encoded = 0

    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        self.encoded += 1
        return super().encode(stream, field, boundary)


def test_a_weight_is_computed_again_only_where_it_must_be() -> None:
    alone, mixed = Counting(TORUS), Counting(TORUS)
    kernel = Independence(TORUS, alone)
    kernel.advance(STREAM, kernel.init(draw_fields(TORUS, 50, STREAM)), 10)
    assert alone.encoded == 1, "the first field only"
    composition = composed(Independence(TORUS, mixed))
    composition.advance(STREAM, composition.init(draw_fields(TORUS, 50, STREAM)), 10)
    assert mixed.encoded == 10, "after each trajectory, not between the two draws behind it"


def test_resumed_and_cut_runs_are_the_same(tmp_path: Path) -> None:
    kernel = composed(Independence(TORUS, Noisy()))
    options: dict[str, Any] = {"warmup": 5, "replicas": 3, "seed": 4, "measure": ("phi2",), "save_every": 10}
    whole = qa.sample(TORUS, kernel, steps=60, out=tmp_path / "whole.h5", **options)
    qa.sample(TORUS, kernel, steps=20, out=tmp_path / "part.h5", **options).close()
    part = qa.resume(tmp_path / "part.h5", steps=60, kernel=composed(Independence(TORUS, Noisy())))
    assert whole.series["phi2"].tobytes() == part.series["phi2"].tobytes()
    with pytest.raises(InputError, match="give it"):
        qa.resume(tmp_path / "part.h5", steps=80)
    # Replica by replica: what one of them gets does not depend on the others.
    fields = draw_fields(TORUS, 4, STREAM)
    together = kernel.advance(STREAM, kernel.init(fields), 7)[0].field
    apart = kernel.advance(STREAM.shifted(2), kernel.init(fields[2:]), 7)[0].field
    np.testing.assert_array_equal(together[2:], apart)


class Failing(FreeProposal):
    """Every second draw is no number."""

    def draw(self, stream: Stream, n: int) -> Draw:
        drawn = super().draw(stream, n)
        drawn.field[::2] = np.nan
        drawn.log_ratio[1::4] = -np.inf
        return drawn


def test_draws_that_are_no_numbers_are_refused_and_counted() -> None:
    kernel = Independence(TORUS, Failing(TORUS))
    state, _, info = kernel.advance(STREAM, kernel.init(draw_fields(TORUS, 40, STREAM)), 5)
    assert np.isfinite(state.field).all()
    assert info["nonfinite"] == pytest.approx(0.75)
    assert 0 < info["acceptance"] <= 0.25
    assert judge_proposal(TORUS, Failing(TORUS), 400).nonfinite == 300


def test_a_field_without_a_weight_is_an_error() -> None:
    class Lost(FreeProposal):
        def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
            return Draw(field, None, np.full(len(field), math.nan))

    kernel = Independence(TORUS, Lost(TORUS))
    with pytest.raises(NumericalError, match="weight that is no number"):
        kernel.step(STREAM, kernel.init(draw_fields(TORUS, 3, STREAM)))


@pytest.mark.parametrize("proposal", [FreeProposal(TORUS), FreeProposal(TORUS, 1.0), Noisy()])
def test_ln_z_of_the_torus(proposal: Any) -> None:
    found = judge_proposal(TORUS, proposal, 60_000, seed=2)
    assert abs(found.log_partition.deviation(LN_Z)) < 5
    assert found.log_partition.error < 0.1
    assert found.lower_bound.value < LN_Z


def test_ln_z_without_the_density_is_wrong() -> None:
    found = judge_proposal(TORUS, WithoutDensity(TORUS), 60_000)
    assert abs(found.log_partition.deviation(LN_Z)) > 5


def test_weights_do_not_depend_on_how_draws_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weigh(TORUS, FreeProposal(TORUS), 100, STREAM)
    monkeypatch.setattr("pyqmc_art.lattice.kernels.independence._BATCH", 7)
    np.testing.assert_array_equal(weigh(TORUS, FreeProposal(TORUS), 100, STREAM), whole)
    with pytest.raises(InputError, match="n is 1"):
        judge_proposal(TORUS, FreeProposal(TORUS), 1)


def test_what_cannot_draw_is_refused() -> None:
    with pytest.raises(InputError, match="has no draw and encode"):
        Independence(TORUS, object())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no on_ladder"):
        qa.Tempering(TORUS, (-4.0, -3.0), Independence(TORUS, FreeProposal(TORUS)))
