"""The arms race: generators move against a frozen detector, and the report counts what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

import torch

from pyqmc_art import options
from pyqmc_art.art.gan.catalogue import GanShape
from pyqmc_art.art.gan.rivals import Rival, RivalNetwork, RivalTraining, train_rival
from pyqmc_art.art.gan.rules import Rules
from pyqmc_art.art.gan.training import GanTraining, train_gan
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.studies import arms_race_report as report
from pyqmc_art.studies import catalogue
from pyqmc_art.studies.arms_race_report import Generation, Judge, Race

STREAM = Stream.from_seed(4)
RNG = np.random.default_rng(4)
DARK, LIGHT = (RNG.integers(a, a + 60, (80, 16, 16, 3), dtype=np.uint8) for a in (20, 170))
QUICK = RivalTraining(width=4, steps=60, batch=16, learning_rate=3e-3)
GAN = GanTraining(
    shape=GanShape("dcgan", 16, 4, 8), rules=Rules(augment="none"), kimg=1.6, batch=16, learning_rate=1e-3
)


def pool_of(images: Any) -> Pool:
    names = tuple(map(str, range(len(images))))
    return Pool(images, np.arange(len(images)), names, names)


@pytest.fixture(scope="module")
def rival() -> Rival:
    return train_rival(LIGHT[:60], [DARK[:60]], QUICK, STREAM, threads=1)


def test_a_detector_tells_what_it_learned_on_pictures_it_did_not_see(rival: Rival) -> None:
    assert (rival.judge(LIGHT[60:]) > 0).all()
    assert (rival.judge(DARK[60:]) < 0).all()
    assert rival.judge(DARK[:0]).shape == (0,)


def test_every_generation_is_learned_from() -> None:
    """Left out of the training, the second generation passes."""
    grey = RNG.integers(95, 155, (80, 16, 16, 3), dtype=np.uint8)
    one = train_rival(LIGHT[:60], [DARK[:60]], QUICK, STREAM, threads=1)
    both = train_rival(LIGHT[:60], [DARK[:60], grey[:60]], QUICK, STREAM, threads=1)
    assert both.generations == 2
    assert (both.judge(grey[60:]) < 0).mean() > 0.9 > (one.judge(grey[60:]) < 0).mean()


def test_the_same_stream_gives_the_same_detector(rival: Rival) -> None:
    again = train_rival(LIGHT[:60], [DARK[:60]], QUICK, STREAM, threads=1)
    assert np.array_equal(again.judge(LIGHT[:10]), rival.judge(LIGHT[:10]))


def test_a_generator_moves_against_a_detector_which_does_not_move(rival: Rival) -> None:
    before = {name: value.clone() for name, value in rival.network.state_dict().items()}
    free = train_gan(pool_of(DARK), GAN, threads=1).synthesizer.draw(range(50))
    pressed = train_gan(pool_of(DARK), GAN, rival=lambda x: 10 * rival.blame(x), threads=1).synthesizer.draw(range(50))
    # It learns dark pictures, and the detector takes only light ones for real.
    assert np.median(rival.judge(pressed)) > np.median(rival.judge(free)) + 1
    assert all(torch.equal(before[name], value) for name, value in rival.network.state_dict().items())
    assert all(p.grad is None for p in rival.network.parameters())


def test_a_weight_of_nothing_is_no_detector(rival: Rival) -> None:
    free = train_gan(pool_of(DARK), GAN, threads=1, until=5).synthesizer
    idle = train_gan(pool_of(DARK), GAN, rival=lambda x: 0 * rival.blame(x), threads=1, until=5).synthesizer
    assert free.digest == idle.digest


def test_what_cannot_be_trained_is_refused(rival: Rival, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="real pictures and made ones"):
        train_rival(LIGHT, [DARK, DARK[:0]], QUICK, STREAM)
    with pytest.raises(InputError, match="an even batch"):
        RivalTraining(batch=5)
    with pytest.raises(InputError, match="is not resumed"):
        train_gan(pool_of(DARK), GAN, tmp_path / "gan", rival=rival.blame, resume=True)


def stage(marks: list[list[int]], controls: list[int], n: int = 100) -> Race:
    """A race in which detector j catches ``marks[j][k]`` of n pictures of generation k."""

    def judge(number: int) -> Judge:
        def catch(images: Any) -> Rate:
            known = int(images[0, 0, 0, 0])
            return Rate.of(controls[number] if known == 99 else marks[number][known], n)

        return Judge(number, catch, Rate.of(5, n))

    def pictures(mark: int, number: int) -> Generation:
        return Generation(number, np.full((4, 8, 8, 3), mark, np.uint8), Estimate(10.0, 1.0), 1.0)

    generations = tuple(pictures(k, k) for k in range(len(marks) + 1))
    others = tuple(pictures(99, k + 1) for k in range(len(marks)))
    return Race(generations, others, tuple(map(judge, range(len(marks)))), "pixels@8", 0.05, 10, 10, True)


def test_evading_and_catching_up_are_counted_by_intervals_apart() -> None:
    race = stage([[95, 10, 50], [90, 92, 80]], [90, 85])
    assert race.evaded == (0,)  # 80 and 85 of 100 are not apart
    assert race.caught_up == (1,)
    assert stage([[95, 85, 50], [90, 88, 10]], [90, 85]).caught_up == ()
    # Drifting away without a detector is no evasion.
    assert stage([[95, 10]], [12]).evaded == ()


def test_the_report_says_every_rate_with_its_number() -> None:
    race = stage([[95, 10, 50], [90, 92, 80]], [90, 85])
    (table, _) = report.tables(race)
    assert len(table.rows) == 2
    assert table.rows[0][2:] == tuple(str(Rate.of(k, 100)) for k in (95, 10, 50, 90))
    assert "1 of 2 rounds" in report.answer(race)
    assert "92/100 = 0.92" in report.answer(race)


def test_the_study_runs_and_keeps_its_parts_apart(tmp_path: Path) -> None:
    overrides = {
        "pictures": 120, "resolution": 16, "width": 4, "detector_width": 4, "kimg": 0.064, "tuned_kimg": 0.032,
        "rounds": 2, "steps": 5, "made": 20, "judged": 30,
    }  # fmt: skip
    study = catalogue.configure("arms-race", "quick", overrides, options.parse)
    found = catalogue.answer(study, tmp_path, seed=1, monitor=Silent())
    race, pictures = found.tables
    assert [len(row) for row in race.rows] == [6, 6]
    assert [row[1] for row in pictures.rows] == ["0.064", "0.096", "0.128"]
    assert found.notes[1].startswith("72 works were learned from; 24 others")
    again = catalogue.answer(study, tmp_path / "again", seed=1, monitor=Silent())
    assert again.tables == found.tables


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"gan": "dcgn"}, "did you mean 'dcgan'"),
        ({"rounds": 0}, "at least 1 of each"),
        ({"alarm": 1.0}, "a share between 0 and 1"),
        ({"hand": "Monet"}, "there is no manifest"),
        ({"resolution": 30}, "power of two"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        catalogue.configure("arms-race", "quick", overrides, options.parse)


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    study = catalogue.configure("arms-race", "quick", {"pictures": 60, "resolution": 16}, options.parse)
    with pytest.raises(InputError, match="60 pictures make parts of 12"):
        catalogue.answer(study, tmp_path, seed=1, monitor=Silent())


def test_the_network_sees_every_pixel() -> None:
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    RivalNetwork(32, 4)(images).sum().backward()
    assert (images.grad != 0).any(dim=1).all()
