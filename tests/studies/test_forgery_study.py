from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyqmc_art import options
from pyqmc_art.art.claims import SUPPORTED
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Findings
from pyqmc_art.report import page
from pyqmc_art.rng import Stream
from pyqmc_art.stats.comparisons import Difference
from pyqmc_art.studies import catalogue, talk
from pyqmc_art.studies.forgery import Forgery, check_gallery
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.grids import Grid, Term
from pyqmc_art.studies.regimes import REGIMES, Regime, WorkOutcomes
from pyqmc_art.studies.talk import CONFIRMED, OPEN, REFUTED, Effect

COUNTS = {"original": 40, "proxy": 30, "forgery": 30, "raw-gan": 20, "tuned-gan": 20, "diffusion": 20}
JUDGES = ("residual", "tf_efficientnet_lite0", "metadata", "subject", "files")
Strength = Mapping[tuple[str, str, str], float]


def hang(hand: str = "master") -> Gallery:
    rows = [
        Row(f"{role}-{k}.png", role, hand if role == "original" else "other" if role in ("proxy", "forgery") else "")
        for role, count in COUNTS.items()
        for k in range(count)
    ]
    manifest = Manifest(tuple(rows))
    count = len(rows)
    empty = FeatureTable(np.zeros((count, 1), np.float32), np.arange(count), np.ones(count, np.int64), manifest.works)
    return Gallery(manifest, hand, dict.fromkeys(JUDGES[:-1], empty), empty, True)


def build(strength: Strength, hand: str = "master", regimes: tuple[Regime, ...] = REGIMES) -> Grid:
    """A grid of scores: ``strength`` (judge, regime, role) is how far the role lies below the originals, else 0.

    The noise of a judge is the same in all regimes, up to a little of its own, as with real detectors.
    """
    gallery = hang(hand)
    roles = gallery.roles
    generator = np.random.default_rng(4)
    outcomes = {}
    for judge in JUDGES:
        common = generator.standard_normal(len(roles))
        for regime in regimes:
            depth = [strength.get((judge, regime.name, role), 0.0) for role in roles]
            scores = common + 0.1 * generator.standard_normal(len(roles)) - np.array(depth)
            outcomes[judge, regime.name] = WorkOutcomes(scores, roles, ("",) * len(roles), 0.0, gallery.manifest.works)
    return Grid(gallery, regimes, outcomes, Stream.from_seed(1))


def everywhere(value: float, role: str = "forgery", judges: tuple[str, ...] = JUDGES[:2]) -> dict[Any, float]:
    return {(judge, regime.name, role): value for judge in judges for regime in REGIMES}


def helped(by: str, value: float, judges: tuple[str, ...] = JUDGES[:2], base: float = 0.5) -> dict[Any, float]:
    """Every regime with these pictures has more against forgeries than the others."""
    gains = {(j, r.name, "forgery"): value for j in judges for r in REGIMES if by in r.synthetic}
    return {**everywhere(base, judges=judges), **gains}


def effect(low: float, high: float, adjusted: float = 0.01, refused: str = "") -> Effect:
    return Effect("", Difference((low + high) / 2, low, high, adjusted, 40, 20), adjusted, refused)


GAIN, LOSS, NOTHING = effect(0.05, 0.2), effect(-0.2, -0.05), effect(-0.1, 0.1, 0.9)
UNSURE, BARRED, ALIKE = effect(0.05, 0.2, 0.2), effect(0.05, 0.2, refused="the baseline"), effect(-0.02, 0.03, 0.9)


@pytest.mark.parametrize(
    ("rule", "effects", "verdict"),
    [
        (talk.decide_always, [GAIN, GAIN], CONFIRMED),
        (talk.decide_always, [GAIN, NOTHING], OPEN),
        (talk.decide_always, [GAIN, UNSURE], OPEN),
        (talk.decide_always, [GAIN, BARRED], OPEN),
        (talk.decide_always, [GAIN, LOSS], REFUTED),
        (talk.decide_always, [], OPEN),
        (talk.decide_differs, [NOTHING, GAIN], CONFIRMED),
        (talk.decide_differs, [LOSS], CONFIRMED),
        (talk.decide_differs, [ALIKE, ALIKE], REFUTED),
        (talk.decide_differs, [ALIKE, NOTHING], OPEN),
        (talk.decide_differs, [BARRED], OPEN),
        (talk.decide_differs, [], OPEN),
        (talk.decide_every, [GAIN, GAIN], CONFIRMED),
        (talk.decide_every, [LOSS, LOSS], REFUTED),
        (talk.decide_every, [GAIN, LOSS], OPEN),
        (talk.decide_every, [GAIN, BARRED], OPEN),
        (talk.decide_every, [], OPEN),
    ],
)
def test_the_rules_decide_as_they_say(rule: Any, effects: list[Effect], verdict: str) -> None:
    assert rule(effects) == verdict


def test_the_rule_of_excess() -> None:
    assert talk.decide_excess([LOSS, NOTHING], [GAIN, GAIN], False) == CONFIRMED
    assert talk.decide_excess([LOSS], [NOTHING], True) == OPEN
    assert talk.decide_excess([GAIN, GAIN], [GAIN, GAIN], True) == REFUTED
    # What more pictures would do is not known from fewer.
    assert talk.decide_excess([GAIN, GAIN], [GAIN, GAIN], False) == OPEN
    assert talk.decide_excess([GAIN, BARRED], [GAIN, GAIN], True) == OPEN
    assert talk.decide_excess([], [], True) == OPEN


def test_planted_truths_are_marked_so() -> None:
    assert talk.judge_always(build(helped("diffusion", 2.5))).verdict == CONFIRMED
    assert talk.judge_always(build(helped("diffusion", 0.0, base=2.0))).verdict == REFUTED
    one_only = helped("tuned-gan", 2.5, JUDGES[:1]) | everywhere(0.8, judges=JUDGES[1:2])
    assert talk.judge_gan(build(one_only)).verdict == CONFIRMED
    easy = {(j, "diffusion", "tuned-gan"): 3.0 for j in JUDGES[:2]}
    assert talk.judge_unseen(build(easy)).verdict == CONFIRMED
    hard = {(j, "tuned GAN", "diffusion"): 3.0 for j in JUDGES[:2]} | {k: 1.0 for k in easy}
    assert talk.judge_unseen(build(hard)).verdict == REFUTED
    most = "diffusion + GAN"
    forgotten = everywhere(2.0) | {(j, most, "forgery"): 0.2 for j in JUDGES[:2]}
    forgotten |= {(j, most, role): 3.0 for j in JUDGES[:2] for role in ("diffusion", "tuned-gan")}
    assert talk.judge_excess(build(forgotten)).verdict == CONFIRMED


def test_without_an_effect_nothing_is_claimed() -> None:
    for strength in ({}, everywhere(1.5)):
        verdicts = talk.judge_talk(build(strength))
        assert len(verdicts) == 6
        assert CONFIRMED not in [one.verdict for one in verdicts]
        assert talk.judge_always(build(strength)).verdict == OPEN


def test_a_claim_is_refused_when_a_baseline_does_as_well() -> None:
    """The same gain, seen by the file's metadata too, is no gain in knowing the hand."""
    sound = helped("diffusion", 2.5)
    tainted = sound | helped("diffusion", 3.0, ("files",))
    assert talk.judge_always(build(sound)).verdict == CONFIRMED
    found = talk.judge_always(build(tainted))
    assert found.verdict == OPEN
    assert all("file metadata baseline does as well" in one.refused for one in found.effects)


def test_what_this_machine_cannot_decide_says_so() -> None:
    grid = build(helped("diffusion", 2.5))
    assert talk.judge_swin(grid).verdict == OPEN and "Swin" in talk.judge_swin(grid).remark
    assert talk.judge_modigliani(grid).verdict == OPEN
    # Of Modigliani's own pictures it can be decided, both ways.
    assert talk.judge_modigliani(build(helped("diffusion", 2.5), "Amedeo Modigliani")).verdict == REFUTED
    known = build(everywhere(3.0), "Amedeo Modigliani")
    assert all(abs(one.found.value) < talk.ALIKE for one in talk.judge_modigliani(known).effects)
    assert talk.judge_modigliani(known).verdict == CONFIRMED
    few = tuple(regime for regime in REGIMES if not regime.synthetic)
    assert {one.verdict for one in talk.judge_talk(build({}, regimes=few))} == {OPEN}


def test_combined_areas_add_up() -> None:
    grid = build(helped("diffusion", 2.5))
    terms = [Term(1, "residual", "diffusion", "forgery"), Term(-1, "residual", "no synthetic", "forgery")]
    both, gain = grid.combine(terms), grid.gain("residual", "no synthetic", "diffusion", "forgery")
    assert both.value == pytest.approx(gain.value, abs=1e-12)
    assert both.low == pytest.approx(gain.low, abs=0.03) and both.high == pytest.approx(gain.high, abs=0.03)
    nothing = grid.combine([*terms, *(Term(-one.sign, one.judge, one.regime, one.role) for one in terms)])
    assert nothing.value == 0 and nothing.p_value == 1 and nothing.low < 0 < nothing.high
    areas = [grid.area("residual", "diffusion", role).value for role in ("forgery", "proxy")]
    apart = grid.combine([Term(1, "residual", "diffusion", "forgery"), Term(-1, "residual", "diffusion", "proxy")])
    assert apart.value == pytest.approx(areas[0] - areas[1], abs=1e-12)


def study(**settings: Any) -> Forgery:
    small = {"detectors": ("residual",), "originals": 24, "proxies": 24, "forgeries": 18, "machines": 8, "pixels": 96,
             "folds": 4, "strengths": (1e-2,)}  # fmt: skip
    made = catalogue.configure("forgery", "quick", {**small, **settings}, options.parse)
    assert isinstance(made, Forgery)
    return made


def answered(folder: Path, **settings: Any) -> Findings:
    return catalogue.answer(study(**settings), folder, seed=2, monitor=Silent())


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return answered(tmp_path_factory.mktemp("easy"), gap=3.0)


def test_an_easy_gap_is_found_and_told(easy: Findings) -> None:
    claims = next(t for t in easy.tables if t.name == "claims")
    status = {row[0]: row[claims.columns.index("status")] for row in claims.rows}
    assert status["residual statistics: originals from human forgeries, others of them in training"] == SUPPORTED
    assert "found it" in easy.answer and "no detector" not in easy.answer
    assert easy.answer.startswith("Simulated pictures")


def test_every_rate_stands_with_its_number_and_its_baselines(easy: Findings) -> None:
    tables = {table.name: table for table in easy.tables}
    headline = tables["headline"]
    assert len(headline.rows) == 10
    for name in ("equalised metadata", "subject", "file metadata"):
        assert f"AUC, {name}" in headline.columns and f"AUC, {name}" in tables["contrast-proxy"].columns
    for row in headline.rows:
        assert all("[" in str(cell) and "]" in str(cell) for cell in row[2:])
    for name in ("recalls-without", "recalls-with"):
        works = {(row[0], row[1]): row[2] for row in tables[name].rows}
        assert works["residual statistics", "forgery"] == 18
        assert sum(n for (_, who), n in works.items() if who.startswith("forgery / ")) == 18
        assert ("file metadata", "forgery") in works
    assert {row[2] for row in tables["talk"].rows} <= {CONFIRMED, REFUTED, OPEN}
    assert all("Simulated" in figure.caption for figure in easy.figures)


def test_the_findings_make_a_page(easy: Findings, tmp_path: Path) -> None:
    written = page.write(tmp_path / "index.html", "forgery", [easy], provenance={})
    assert page.read_findings_json(written)[0]["answer"] == easy.answer


@pytest.mark.slow
def test_a_hidden_null_claims_nothing(tmp_path: Path) -> None:
    """Forgers, painters and generators who all paint by the master's hand."""
    found = answered(tmp_path, gap=0.0, proxy_gap=0.0, traces=0.0)
    tables = {table.name: table for table in found.tables}
    column = tables["claims"].columns.index("status")
    assert SUPPORTED not in [row[column] for row in tables["claims"].rows]
    assert {row[2] for row in tables["talk"].rows} == {OPEN}
    assert "no detector claimed to" in found.answer


def test_pictures_without_the_roles_are_refused() -> None:
    gallery = hang()
    roles = np.array(gallery.roles)
    check_gallery(gallery)
    with pytest.raises(InputError, match="role forgery"):
        check_gallery(gallery.keep(np.flatnonzero(roles != "forgery")))
    with pytest.raises(InputError, match="folds"):
        check_gallery(gallery.keep([*np.flatnonzero(roles != "original")[:60].tolist(), 0, 1]))
