"""The study of synthesizers: it measures against pictures never seen, and the flag of copying tells who copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art import options
from pyqmc_art.art.collection import plan_collection, write_collection
from pyqmc_art.art.metrics.vision import PixelVision
from pyqmc_art.art.synthesis.curves import make_measure
from pyqmc_art.art.synthesis.pool import Pool, as_tensor
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Findings
from pyqmc_art.report import page
from pyqmc_art.rng import Stream
from pyqmc_art.studies import catalogue, synthesis
from pyqmc_art.studies.pupils import Lesson, Pupil, teach
from pyqmc_art.studies.synthesis_report import Course

STREAM = Stream.from_seed(6)
TINY: dict[str, Any] = {
    "kinds": ("dcgan",), "pictures": 60, "resolution": 16, "width": 8, "kimg": 0.064, "few": 8, "few_kimg": 0.032,
    "snapshots": 1, "vision": "pixels", "made": 16,
}  # fmt: skip


def ask(out: Path, **overrides: Any) -> Findings:
    study = catalogue.configure("synthesis", "quick", {**TINY, **overrides}, options.parse)
    return catalogue.answer(study, out, seed=1, monitor=Silent())


def table(found: Findings, name: str) -> Any:
    return next(one for one in found.tables if one.name == name)


def test_every_snapshot_of_both_trainings_is_told_with_errors(tmp_path: Path) -> None:
    found = ask(tmp_path, snapshots=2)
    numbers, copying, cost = (table(found, name) for name in ("numbers", "copying", "cost"))
    assert [row[2] for row in numbers.rows] == ["0.032", "0.064", "0.016", "0.032"]
    assert all(value.error > 0 for row in numbers.rows for value in row[3:5])
    assert [row[1].rpartition(" ")[2] for row in copying.rows] == ["39", "39", "8", "8"]
    assert [row[2] for row in cost.rows] == [64, 32]
    assert any("21 held-out pictures" in note for note in found.notes)
    sheets = [figure for figure in found.figures if figure.name.startswith("sheets")]
    assert [len(figure.panels) for figure in sheets] == [3, 3]
    page.write(tmp_path / "index.html", "synthesis", [found], provenance={})


def test_one_more_snapshot_is_taken_where_learning_is_fastest(tmp_path: Path) -> None:
    rows = table(ask(tmp_path, snapshots=2, early=0.25), "numbers").rows
    assert [row[2] for row in rows] == ["0.016", "0.032", "0.064", "0.008", "0.016", "0.032"]


def test_the_same_seed_gives_the_same_numbers_and_trainings_are_found_again(tmp_path: Path) -> None:
    first = ask(tmp_path / "one")
    assert ask(tmp_path / "two").tables == first.tables
    folders = sorted(path.name for path in (tmp_path / "one" / "synthesizers").iterdir())
    assert ask(tmp_path / "one").tables == first.tables
    assert sorted(path.name for path in (tmp_path / "one" / "synthesizers").iterdir()) == folders


@pytest.mark.parametrize(
    "kind",
    [
        "vae",
        pytest.param("diffusion", marks=pytest.mark.slow),
        pytest.param("latent-diffusion", marks=pytest.mark.slow),
    ],
)
def test_other_kinds_take_the_same_way(kind: str, tmp_path: Path) -> None:
    if kind.endswith("diffusion"):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
    # At 32 pixels, because a latent map needs eight places a side.
    found = ask(tmp_path, kinds=(kind,), resolution=32, kimg=0.16, few_kimg=0.16)
    assert [row[0] for row in table(found, "cost").rows] == [kind, kind]
    bounds = [figure for figure in found.figures if figure.name.startswith("bound")]
    assert [len(figure.panels) for figure in bounds] == ([3] if kind == "vae" else [])


def test_images_shown_to_the_autoencoder_of_a_latent_diffusion_model_are_part_of_its_cost(tmp_path: Path) -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from pyqmc_art.art.diffusion.models import DiffusionSynthesizer

    pool = pool_of(noise(1, 16).repeat(2, axis=1).repeat(2, axis=2), "one")
    pupil = teach(Lesson("latent-diffusion", 32, 8, 0.064, 1), pool, tmp_path)
    assert pupil.images == 64 + 32
    assert isinstance(pupil.synthesizer, DiffusionSynthesizer)
    assert pupil.synthesizer.name == "latent-diffusion"
    tuned = teach(Lesson("latent-diffusion", 32, 8, 0.064, 1), pool, tmp_path, before=pupil)
    assert tuned.images == 64 + 64 + 32


def test_pictures_of_a_folder_are_learned_from(tmp_path: Path) -> None:
    plan = plan_collection(STREAM, {"original": 50, "proxy": 2}, 32)
    write_collection(tmp_path / "pictures", plan)
    found = ask(tmp_path / "out", manifest=str(tmp_path / "pictures"))
    assert not any("simulated" in note for note in found.notes)
    # Of 50 originals 18 are held out; the proxies are left alone.
    assert any("18 held-out pictures" in note for note in found.notes)
    with pytest.raises(InputError, match="no picture has the role diffusion"):
        ask(tmp_path / "out", manifest=str(tmp_path / "pictures"), role="diffusion")


def course(healthy: list[bool], crammed: list[bool]) -> Course:
    """A course whose snapshots raised the flag or not."""

    class Told(Pupil):
        def __init__(self, flags: list[bool]) -> None:
            object.__setattr__(self, "flags", flags)

        @property
        def memories(self) -> tuple[tuple[float, str, bool], ...]:
            return tuple((float(k + 1), "", flag) for k, flag in enumerate(self.flags))  # type: ignore[attr-defined]

    return Course(Told(healthy), Told(crammed))


def test_alarms_are_those_of_the_crammed_one() -> None:
    assert course([True, False], [False, True, False, True]).alarms == (2.0, 4.0)
    assert course([True], [False]).alarms == ()


class Fake:
    """A synthesizer whose pictures are given."""

    def __init__(self, images: Any) -> None:
        self.images = images

    def sample(self, stream: Stream, n: int) -> Any:
        return (as_tensor(self.images[np.arange(n) % len(self.images)]) + 1) / 2


def noise(seed: int, count: int) -> Any:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def pool_of(images: Any, name: str) -> Pool:
    names = tuple(f"{name} {k}" for k in range(len(images)))
    return Pool(images, np.arange(len(images)), names, names)


def test_held_out_pictures_are_what_is_compared_with_and_the_reference_of_copying() -> None:
    few, held_out, others = noise(1, 12), noise(2, 60), noise(3, 60)
    measure = make_measure(
        pool_of(few, "few"), PixelVision(), STREAM, mirror=False, made=60, held_out=pool_of(held_out, "held out")
    )
    copier, healthy, cheat = (measure(Fake(images)) for images in (few, others, held_out))  # type: ignore[arg-type]
    assert (copier["copies"], healthy["copies"]) == ("yes", "no")
    assert "against held-out pictures" in str(healthy["memory"])
    # What is compared with are the held-out pictures: who makes those is at no distance.
    assert float(cheat["KID (pixels@8)"]) < float(healthy["KID (pixels@8)"])
    with pytest.raises(InputError, match="12 held-out pictures are learned from"):
        make_measure(pool_of(few, "few"), PixelVision(), STREAM, held_out=pool_of(noise(1, 20), "few"))


def test_copies_may_be_looked_for_by_other_eyes() -> None:
    class Blind(PixelVision):
        def features(self, images: Any) -> Any:
            return np.random.default_rng(len(images)).standard_normal((len(images), 3))

    few, held_out = pool_of(noise(1, 12), "few"), pool_of(noise(2, 60), "held out")
    seeing = make_measure(few, Blind("blind"), STREAM, False, 60, held_out, PixelVision())
    blind = make_measure(few, PixelVision(), STREAM, False, 60, held_out, Blind("blind"))
    assert seeing(Fake(few.images))["copies"] == "yes"  # type: ignore[arg-type]
    assert blind(Fake(few.images))["copies"] == "no"  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_gan_trained_for_long_on_few_pictures_is_found_copying_and_one_trained_on_many_is_not(tmp_path: Path) -> None:
    found = ask(tmp_path, pictures=240, resolution=32, width=16, kimg=4.0, few=10, few_kimg=14.0, snapshots=3, made=200)
    flags = {(row[1].partition(":")[0], row[2]): row[4] for row in table(found, "copying").rows}
    healthy = [flag for (name, _), flag in flags.items() if name == "many pictures"]
    crammed = [flag for (name, _), flag in flags.items() if name != "many pictures"]
    assert set(healthy) == {"silent"}
    assert "raised" in crammed


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"kinds": ("dcgna",)}, "did you mean 'dcgan'"),
        ({"few": 7}, "at least 8 pictures"),
        ({"snapshots": 0}, "snapshots is 0"),
        ({"made": 15}, "made is 15"),
        ({"early": 1.0}, "early is 1.0"),
        ({"vision": "pixel"}, "did you mean 'pixels'"),
        ({"hand": "Monet"}, "there is no manifest"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        catalogue.configure("synthesis", "quick", overrides, options.parse)


def test_no_kind_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="name at least one of dcgan"):
        synthesis.Synthesis(kinds=())


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="13 pictures to learn from and 7 held out"):
        ask(tmp_path, pictures=20)


def test_a_lesson_is_crammed_or_not() -> None:
    study = synthesis.Synthesis()
    usual, crammed = study.lesson("dcgan", 1.0), study.lesson("dcgan", 1.0, crammed=True)
    assert (usual.mirrored, crammed.mirrored) == (True, False)
    assert crammed.width > usual.width
    with pytest.raises(InputError, match="unknown synthesizer"):
        Lesson("gan")
