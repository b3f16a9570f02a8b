"""The detector of mode collapse fires on planted collapse and is silent on a healthy proposal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.modes import ModeReport, judge_modes, mirror_modes
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Draw, Field
from pyqmc_art.rng import Stream

ACTION = Phi4(Lattice((4, 4)), m2=-4.0, lam=0.125)  # minima at phi = +4 and -4, curvature that of a mass of 8


@dataclass
class TwoHumps:
    """Free fields round +4 or -4; the share of the first is told, and which part of it is drawn at all."""

    up: float = 0.5
    cut: float | None = None  # of the fields round -4 those whose first site lies above -4 + cut are left out
    spread: float = 8.0

    def __post_init__(self) -> None:
        self.hump = FreeProposal(ACTION, mass=self.spread)

    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw a hump, and a field round it."""
        z = self.hump.draw(stream.fold("hump"), n).field
        up = stream.fold("which").uniform("user", np.arange(1), n)[:, 0] < self.up
        if self.cut is not None:  # a mirror image of a free field is as likely
            beyond = ~up & (z[:, 0, 0] > self.cut)
            z[beyond] *= -1
        field = z + np.where(up, 4.0, -4.0)[:, None, None]
        return Draw(field, None, self.log_density(field))

    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Tell the density."""
        return Draw(field, None, self.log_density(field))

    def log_density(self, field: Field) -> NDArray[np.float64]:
        """ln of the sum of both humps."""
        stream = Stream.from_seed(0)
        above, below = (self.hump.encode(stream, field - centre).log_ratio for centre in (4.0, -4.0))
        if self.cut is not None:
            first = field[:, 0, 0] + 4
            below = np.where(first > self.cut, -np.inf, np.where(first < -self.cut, below + math.log(2), below))
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp(above + np.log(self.up), below + np.log(1 - self.up)), np.float64)


@pytest.fixture(scope="module")
def modes() -> dict[str, NDArray[np.float64]]:
    kernel = HMC(ACTION, 1.0, 10, "omelyan2", 0.3)
    stream = Stream.from_seed(5)
    state = kernel.init(kernel.start(stream.fold("start"), 32))
    state, _, _ = kernel.advance(stream, state, 200)
    kept = []
    for _ in range(40):
        state, _, _ = kernel.advance(stream, state, 5)
        kept.append(state.field.copy())
    return mirror_modes(np.stack(kept))


def judged(proposal: TwoHumps, modes: dict[str, NDArray[np.float64]], n: int = 8192) -> ModeReport:
    return judge_modes(ACTION, proposal, modes, n, seed=3)


def test_silent_on_a_healthy_proposal(modes: dict[str, NDArray[np.float64]]) -> None:
    for seed in range(10):
        report = judge_modes(ACTION, TwoHumps(), modes, 2048, seed=seed)
        assert report.verdict == "healthy"
    report = judged(TwoHumps(), modes, 65_536)
    # Both sides estimate the same number.
    assert report.forward.value == pytest.approx(report.weights.effective / report.weights.count, rel=0.25)
    for mode in report.modes:
        assert abs(mode.reweighted.deviation(0.5)) < 5
    # Twice too rare is a matter of weights, not a collapse.
    assert judged(TwoHumps(up=0.75), modes).verdict == "healthy"


@pytest.mark.parametrize("up", [1.0, 0.999, 0.98])
def test_fires_on_a_mode_that_is_hardly_drawn(up: float, modes: dict[str, NDArray[np.float64]]) -> None:
    report = judged(TwoHumps(up=up), modes)
    assert report.collapsed
    assert report.verdict == "collapsed"
    above, below = report.modes
    assert (above.verdict, below.verdict) == ("held", "lost")
    assert "lost" in str(report)


def test_a_full_collapse_is_not_told_by_its_own_draws(modes: dict[str, NDArray[np.float64]]) -> None:
    whole, half = judged(TwoHumps(), modes), judged(TwoHumps(up=1.0), modes)
    assert half.weights.effective > 0.8 * whole.weights.effective
    assert half.weights.log_partition.reliable
    lost = half.weights.log_partition.deviation(whole.weights.log_partition)
    assert lost < -10
    assert half.weights.log_partition.value == pytest.approx(whole.weights.log_partition.value - math.log(2), abs=0.05)
    # The fields of the other mode tell at once.
    assert half.forward.value < 1e-6


def test_fires_on_a_mode_of_which_a_part_is_never_drawn(modes: dict[str, NDArray[np.float64]]) -> None:
    report = judged(TwoHumps(cut=0.0), modes)
    assert report.collapsed
    assert report.verdict == "hollow"
    above, below = report.modes
    assert below.occupation.low < 0.5 < below.occupation.high
    assert (above.verdict, below.verdict) == ("held", "hollow")
    # Half of it, but for the asymmetry of the mode.
    assert 0.3 < below.unseen.value < 0.7
    assert above.unseen.value < 0.1


def test_a_small_part_that_is_never_drawn_is_a_gap(modes: dict[str, NDArray[np.float64]]) -> None:
    report = judged(TwoHumps(cut=0.4), modes)
    assert [mode.verdict for mode in report.modes] == ["held", "held"]
    assert 0 < report.modes[1].unseen.value < 0.1
    assert report.verdict == "gaps"
    assert not report.collapsed


def test_a_bad_proposal_that_reaches_everything_is_neither_healthy_nor_collapsed(
    modes: dict[str, NDArray[np.float64]],
) -> None:
    wide = judge_modes(ACTION, FreeProposal(ACTION), modes, 4096, seed=1)
    assert wide.verdict == "undecided"
    assert not wide.collapsed


def test_the_planted_density_is_one() -> None:
    """The cut proposal is no bug of its own: its weights are normalised."""
    proposal, humps = TwoHumps(cut=0.0), TwoHumps()
    drawn = humps.draw(Stream.from_seed(8), 50_000)
    ratio = np.exp(proposal.log_density(drawn.field) - drawn.log_ratio)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(len(ratio))


def test_bad_input(modes: dict[str, NDArray[np.float64]]) -> None:
    with pytest.raises(InputError, match="expected at least two"):
        judge_modes(ACTION, TwoHumps(), {"up": modes["up"]})
    with pytest.raises(InputError, match="are not of it"):
        judge_modes(ACTION, TwoHumps(), {"up": modes["down"], "down": modes["up"]})
    with pytest.raises(InputError, match="at least 8"):
        judge_modes(ACTION, TwoHumps(), {name: field[:, :4] for name, field in modes.items()})
    with pytest.raises(InputError, match="sum to 1"):
        judge_modes(ACTION, TwoHumps(), modes, shares={"up": 0.5, "down": 0.6})
    with pytest.raises(InputError, match="an even number"):
        mirror_modes(np.zeros((2, 3, 4, 4)))
