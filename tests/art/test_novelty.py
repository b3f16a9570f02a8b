"""One-class scores: independent of units and order, 1/2 under the null, and able to see what is unlike."""

import numpy as np
import pytest

from pyqmc_art.art.novelty import METHODS, score_familiarity
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.ranking import auc

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

every_method = pytest.mark.parametrize("method", METHODS)


@every_method
def test_what_is_unlike_scores_low(method: str) -> None:
    generator = np.random.default_rng(1)
    mixing = generator.normal(size=(12, 12)) / 3
    known, own = (generator.normal(size=(n, 12)) @ mixing for n in (60, 200))
    wide = 2 * generator.normal(size=(200, 12)) @ mixing
    assert auc(score_familiarity(known, own, method), score_familiarity(known, wide, method)) > 0.85


@every_method
def test_the_null_gives_one_half(method: str) -> None:
    """Works from the distribution of the known ones, fewer of them than features: the AUC is 1/2 within its error."""
    generator = np.random.default_rng(2)
    areas = []
    for _ in range(20):
        known, first, second = (generator.normal(size=(30, 50)) for _ in range(3))
        areas.append(auc(score_familiarity(known, first, method), score_familiarity(known, second, method)))
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas, ddof=1) / len(areas) ** 0.5


@every_method
def test_planted_bug_scoring_the_known_works_themselves(method: str) -> None:
    """Known works look familiar to those who know them: that is why the studies leave them out."""
    generator = np.random.default_rng(3)
    known, others = generator.normal(size=(2, 30, 50))
    assert auc(score_familiarity(known, known, method), score_familiarity(known, others, method)) > 0.6


@every_method
def test_units_and_order_do_not_matter(method: str) -> None:
    generator = np.random.default_rng(4)
    known, others = generator.normal(size=(30, 6)), generator.normal(size=(9, 6))
    plain = score_familiarity(known, others, method)
    units = 10.0 ** np.arange(-3, 3)
    turned = generator.permutation(30)
    np.testing.assert_allclose(score_familiarity(known * units + 5, others * units + 5, method), plain, rtol=1e-4)
    np.testing.assert_allclose(score_familiarity(known[turned], others, method), plain, rtol=1e-4, atol=1e-6)


@every_method
def test_a_feature_that_never_varies_is_harmless(method: str) -> None:
    generator = np.random.default_rng(5)
    known, others = generator.normal(size=(20, 4)), generator.normal(size=(5, 4))
    known[:, 1] = others[:, 1] = 3.0
    assert np.all(np.isfinite(score_familiarity(known, others, method)))


def test_reconstruction_by_hand() -> None:
    """Works on a line in the plane: what is left is the distance from the line, in standard deviations."""
    t = np.linspace(-1, 1, 21)
    known = np.stack([t, t + 0.01 * (-1.0) ** np.arange(21)], axis=1)
    near, far = score_familiarity(known, [[0.5, 0.5], [0.5, -0.5]], "reconstruction")
    # Both axes have nearly one scale s, and the point lies 0.5 sqrt(2) from the diagonal.
    assert near > -0.05
    assert far == pytest.approx(-0.5 * np.sqrt(2) / known.std(axis=0).mean(), rel=0.01)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least 10 known works"):
        score_familiarity(np.zeros((4, 2)), np.zeros((1, 2)))
    with pytest.raises(InputError, match="unknown method"):
        score_familiarity(np.zeros((20, 2)), np.zeros((1, 2)), "mahalonobis")
    with pytest.raises(NumericalError, match="nan or inf"):
        score_familiarity(np.full((20, 2), np.nan), np.zeros((1, 2)))
