"""Claims: what a baseline does as well is refused, what few works leave open stays open, and the null is kept."""

import numpy as np
import pytest

from pyqmc_art.art.claims import REFUSED, SUPPORTED, UNDECIDED, Claim, judge_claim, tabulate_claims
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.proportions import Rate

STREAM = Stream.from_seed(51)


def scores(generator: np.random.Generator, labels: np.ndarray, shift: float) -> np.ndarray:
    return shift * labels + generator.normal(size=labels.size)


def judge(model: float, baseline: float, works: tuple[int, int] = (60, 60), seed: int = 1) -> Claim:
    """Judge a detector and a baseline whose classes lie so many standard deviations apart."""
    generator, labels = np.random.default_rng(seed), np.arange(sum(works)) < works[0]
    rivals = {"metadata": scores(generator, labels, baseline), "subject": scores(generator, labels, 0.0)}
    return judge_claim("a hand", scores(generator, labels, model), rivals, labels, STREAM, samples=400)


@pytest.mark.parametrize(
    ("model", "baseline", "status", "said"),
    [
        (2.5, 0.0, SUPPORTED, ""),
        (3.0, 1.0, SUPPORTED, "the metadata baseline sees something, too"),
        (1.5, 1.5, REFUSED, "the metadata baseline does as well"),
        (1.5, 4.0, REFUSED, "the metadata baseline does as well"),
        (0.0, 3.0, REFUSED, "the metadata baseline does as well"),
        (-2.0, 0.0, REFUSED, "the wrong way round"),
        (0.0, 0.0, UNDECIDED, "may be at chance"),
    ],
)
def test_the_three_answers(model: float, baseline: float, status: str, said: str) -> None:
    claim = judge(model, baseline)
    assert claim.status == status
    assert said in "; ".join(claim.reasons)
    assert (claim.reasons == ()) == (not said)
    assert claim.rivals == (("metadata",) if "does as well" in said else ())


def test_few_works_decide_nothing() -> None:
    """Four forgeries, told perfectly: a baseline at chance cannot be excluded, nor can the detector's luck."""
    claim = judge(9.0, 0.0, works=(60, 4))
    assert claim.score.value == 1.0
    assert claim.status == UNDECIDED
    assert "too few" in claim.reasons[0]


def test_works_too_few_to_tell_from_a_baseline_leave_it_open() -> None:
    """The detector is above chance, the baseline perhaps not, and their difference may be nothing."""
    claims = [judge(1.2, 0.4, works=(14, 14), seed=seed) for seed in range(30)]
    between = [
        one
        for one in claims
        if one.score.low > 0.5 and all(b.low <= 0.5 for b in one.baselines.values())
        and all(d.value > 0 for d in one.advantages.values()) and any(d.low <= 0 for d in one.advantages.values())
    ]  # fmt: skip
    assert between
    assert {one.status for one in between} == {UNDECIDED}
    assert "may be no better than the" in between[0].reasons[0]


def test_a_claim_without_an_advantage_is_hardly_ever_supported() -> None:
    """Detector and baseline see the same thing, with noise of their own: at most 2.5 % are supported (one side)."""
    generator, labels, supported = np.random.default_rng(3), np.arange(60) < 30, []
    for i in range(200):
        shared = scores(generator, labels, 1.5)
        first, second = (shared + generator.normal(size=60) for _ in range(2))
        claim = judge_claim("", first, {"metadata": second}, labels, STREAM.fold("null", i), samples=200)
        supported.append(claim.status == SUPPORTED)
    assert Rate.count(supported).low <= 0.025


def test_planted_bug_a_rule_without_the_pairs_would_support_it() -> None:
    """A detector that reads the file format ranks to 0.98: judged by its own interval alone it would be believed."""
    claim = judge(3.0, 3.0)
    assert claim.score.low > 0.9
    assert claim.status == REFUSED


def test_the_table_never_shows_a_rate_alone() -> None:
    table = tabulate_claims([judge(2.5, 0.0), judge(1.5, 1.5)])
    assert table.columns == ("claim", "status", "works", "AUC", "metadata baseline", "subject baseline", "because")
    for row in table.rows:
        assert row[2] == "60 v 60"
        assert all("[" in str(cell) for cell in row[3:6])


def test_bad_input() -> None:
    labels = np.arange(10) < 5
    with pytest.raises(InputError, match="no baseline was given"):
        judge_claim("a hand", labels, {}, labels, STREAM)
    with pytest.raises(InputError, match="metadata has scores of shape"):
        judge_claim("a hand", labels, {"metadata": labels[:4]}, labels, STREAM)
