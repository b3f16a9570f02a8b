"""The study of mode collapse: what it says is what the flows did, and a planted collapse is in its answer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.modes import judge_modes, mirror_modes
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.weighted_draws import measure_proposal
from pyqmc_art.monitor import Silent
from pyqmc_art.proposals.samples import draw_samples
from pyqmc_art.protocols import Draw, Field, Findings, Panel, Table
from pyqmc_art.report import page
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.mode_collapse import WAYS, ModeCollapse, Trained, Walk
from pyqmc_art.studies.mode_collapse_report import tell

TINY = ModeCollapse(extent=4, layers=2, training=20, trainings=1, draws=1000, fields=4, chain_steps=40)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return TINY.run(tmp_path_factory.mktemp("study"), stream=Stream.from_seed(1), monitor=Silent())


def table(findings: Findings, name: str) -> Table:
    return next(one for one in findings.tables if one.name == name)


def test_every_way_is_judged_and_walks(findings: Findings, tmp_path: Path) -> None:
    assert [row[0] for row in table(findings, "verdicts").rows] == list(WAYS)
    verdicts = {str(row[2]).split(";")[0] for row in table(findings, "verdicts").rows}
    assert verdicts <= {"collapsed", "hollow", "healthy", "gaps", "undecided"}
    assert [row[2] for row in table(findings, "draws").rows] == [1000] * len(WAYS)
    walks = table(findings, "walks").rows
    assert len(walks) == len(WAYS) + 2
    assert page.write(tmp_path / "index.html", TINY.name, [findings], provenance={}).exists()


def test_hybrid_monte_carlo_alone_stays_where_it_began(findings: Findings) -> None:
    hmc = table(findings, "walks").rows[0]
    assert hmc[0] == "hmc"
    assert isinstance(hmc[1], Estimate)
    # 16 sites behind a barrier of m2^2 / (4 lam) each: a wrong share without an error.
    assert (hmc[1].value, hmc[1].error, hmc[3]) == (1.0, 0.0, 0.0)
    assert "hmc" in findings.answer.split("never reached the other:")[1]


def test_bounds_of_ln_z_hold_and_the_target_has_two_phases(findings: Findings) -> None:
    for row in table(findings, "limits").rows:
        lower, upper = row[2], row[4]
        assert isinstance(lower, Estimate)
        assert isinstance(upper, Estimate)
        assert lower.value - upper.value < 5 * math.hypot(lower.error, upper.error)
    density = next(one for one in findings.figures if one.name == "densities").panels[0]
    assert isinstance(density, Panel)
    target = density.curves[0]
    below = sum(y for x, y in zip(target.x, target.y, strict=True) if x < 0)
    assert below == pytest.approx(sum(target.y) / 2)


def test_the_same_seed_gives_the_same_numbers(findings: Findings, tmp_path: Path) -> None:
    again = TINY.run(tmp_path, stream=Stream.from_seed(1), monitor=Silent())
    assert table(again, "verdicts") == table(findings, "verdicts")
    assert table(again, "walks") == table(findings, "walks")


class OneHump(FreeProposal):
    """Free fields round one of the two minima, +4: a collapse that is planted."""

    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw fields round +4."""
        drawn = super().draw(stream, n)
        return Draw(drawn.field + 4.0, None, drawn.log_ratio)

    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Tell the density round +4."""
        return Draw(field, None, super().encode(stream, field - 4.0).log_ratio)


def test_a_planted_collapse_is_in_the_answer() -> None:
    action = Phi4(Lattice((4, 4)), m2=-4.0, lam=0.125)
    modes = mirror_modes(draw_samples(action, 10, Stream.from_seed(4)))
    judged = judge_modes(action, OneHump(action, mass=8.0), modes, 4000, seed=1)
    drawn = measure_proposal(action, OneHump(action, mass=8.0), ("magnetization",), 1000)
    history = ({"step": 1, "lower": 0.0, "lower_error": 0.1, "upper": 99.0, "upper_error": 1.0},)
    flow = Trained("planted", 0, judged, history, 0.0, drawn.series["magnetization"], drawn.log_weights)
    # Both phases together weigh twice as much.
    exact = Estimate(judged.weights.log_partition.value + math.log(2), 0.001)
    still = Walk("hmc", Estimate(1.0, 0.0), 0.0, None, drawn.series["magnetization"])
    found = tell("mode-collapse", "?", [flow], [still], exact, modes, {}, 0.0)
    assert "planted: 1 collapsed of 1" in found.answer
    assert "1 never reached the other: hmc" in found.answer
    row = table(found, "verdicts").rows[0]
    assert row[2] == "collapsed; M < 0 lost"
    assert isinstance(row[7], Estimate)
    assert row[7].deviation(0.0) < -10
    raw, weighted = found.figures[0].panels[0].curves[1:]  # type: ignore[union-attr]
    for curve in (raw, weighted):
        assert sum(y for x, y in zip(curve.x, curve.y, strict=True) if x < 0) == 0.0


def test_bad_input() -> None:
    with pytest.raises(InputError, match="expected at least 2"):
        ModeCollapse(layers=1)
    with pytest.raises(InputError, match="0 < lam < ramp_from"):
        ModeCollapse(lam=9.0)
    with pytest.raises(InputError, match="a quarter of which is warm-up"):
        ModeCollapse(chain_steps=10)
