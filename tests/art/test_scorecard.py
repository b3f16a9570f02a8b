"""Work-level tables: no rate without n and interval, and no forgery hidden among proxies."""

import re

import numpy as np
import pytest

from pyqmc_art.art.scorecard import Outcomes, count_recalls, score_contrast, tabulate_contrasts, tabulate_recalls
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.ranking import auc

STREAM = Stream.from_seed(41)
ROLES = ["original"] * 40 + ["proxy"] * 60 + ["forgery"] * 5 + ["diffusion"] * 8
SUBLABELS = [""] * 100 + ["wacker"] * 3 + ["myatt"] * 2 + [""] * 8


@pytest.fixture
def outcomes() -> Outcomes:
    """Proxies are easy; every forgery passes as an original."""
    scores = np.concatenate([np.full(40, 2.0), np.full(60, -2.0), np.full(5, 3.0), np.full(8, -1.0)])
    return Outcomes(scores + np.random.default_rng(1).normal(0, 0.1, 113), ROLES, SUBLABELS)


def test_recall_per_sublabel(outcomes: Outcomes) -> None:
    recalls = count_recalls(outcomes)
    assert list(recalls) == ["original", "proxy", "forgery / myatt", "forgery / wacker", "diffusion"]
    assert [(one.k, one.n) for one in recalls.values()] == [(40, 40), (60, 60), (0, 2), (0, 3), (8, 8)]


def test_pooling_would_hide_the_forgeries(outcomes: Outcomes) -> None:
    """Planted bug: 65 pooled negatives are ranked to 0.92 while no forgery is caught; the pool is refused."""
    scores, roles = np.asarray(outcomes.scores), np.array(ROLES)
    assert auc(scores[roles == "original"], scores[np.isin(roles, ["proxy", "forgery"])]) > 0.9
    assert score_contrast(outcomes, ["forgery"], STREAM, samples=200).auc.value == 0.0
    with pytest.raises(InputError, match="would hide the few forgeries"):
        score_contrast(outcomes, ["proxy", "forgery"], STREAM)


def test_every_rate_has_n_and_interval(outcomes: Outcomes) -> None:
    recalls = tabulate_recalls(outcomes)
    for _, n, text in recalls.rows:
        assert re.fullmatch(rf"\d+/{n} = [01]\.\d\d \[[01]\.\d\d, [01]\.\d\d\]", str(text))
    contrasts = tabulate_contrasts(outcomes, STREAM)
    assert [row[0] for row in contrasts.rows] == [f"original v {role}" for role in ("proxy", "forgery", "diffusion")]
    for _, n, *cells in contrasts.rows:
        assert re.fullmatch(r"40 v \d+", str(n))
        assert all(re.fullmatch(r"[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\]", str(cell)) for cell in cells)
    for table in (recalls, contrasts):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_thresholds_of_each_work_are_used() -> None:
    one = Outcomes([1.0, 1.0, 1.0, 1.0], ["original", "original", "proxy", "proxy"], thresholds=[0.0, 2.0, 0.0, 2.0])
    assert [(rate.k, rate.n) for rate in count_recalls(one).values()] == [(1, 2), (1, 2)]
    assert score_contrast(one, ["proxy"], STREAM, samples=100).balanced_accuracy.value == 0.5


def test_machine_roles_may_be_pooled() -> None:
    one = Outcomes([3.0, 2.0, -1.0, -2.0], ["original", "original", "raw-gan", "diffusion"])
    contrast = score_contrast(one, ["raw-gan", "diffusion"], STREAM, samples=100)
    assert (contrast.auc.value, contrast.auc.negatives) == (1.0, 2)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="one for each work"):
        Outcomes([1.0], ["original", "proxy"])
    with pytest.raises(InputError, match="unknown role"):
        Outcomes([1.0], ["orignal"])
    with pytest.raises(InputError, match="not finite"):
        Outcomes([np.nan], ["original"])
    with pytest.raises(InputError, match="need both"):
        score_contrast(Outcomes([1.0], ["original"]), ["proxy"], STREAM)
    with pytest.raises(InputError, match="at least one role"):
        score_contrast(Outcomes([1.0], ["original"]), [], STREAM)
