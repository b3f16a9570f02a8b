"""Acceptance tests of the guards that concern pictures and splits: what is planted must be caught.

It must be caught by a function of the package, not by a comparison that only this file makes. The guards of numbers and
verdicts stand in test_guards_of_verdicts; ``docs/theory/guards.md`` lists all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.audit import audit_split
from pyqmc_art.art.claims import REFUSED, SUPPORTED, Claim, judge_claim
from pyqmc_art.art.collection import plan_collection
from pyqmc_art.art.degrade import Degradation, Equaliser
from pyqmc_art.art.duplicates import find_duplicates, merge_duplicates, take_fingerprint
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture, decode_picture, encode_jpeg, read_picture, write_picture
from pyqmc_art.art.roles import hand_key
from pyqmc_art.art.rows import Row
from pyqmc_art.art.splits import (
    Split,
    Works,
    leave_one_forger_out,
    leave_one_generator_out,
    split_folds,
    split_inner,
    split_talk,
)
from pyqmc_art.rng import Stream
from pyqmc_art.stats.crossvalidation import score_out_of_fold

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from pyqmc_art.art.detectors.baselines import MetadataExtractor, SubjectExtractor
from pyqmc_art.art.detectors.features import collect_features
from pyqmc_art.art.detectors.heads import assign_folds, make_learner
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.detectors.residual import ResidualExtractor
from pyqmc_art.protocols import PatchSpec
from pyqmc_art.studies.leaks import Samples, measure_inflation

STREAM = Stream.from_seed(61)
ROOT = Path(__file__).resolve().parents[2]


def texture(seed: int, blur: float = 0.7, size: int = 64) -> np.ndarray:
    """Noise as rough as somebody's brush."""
    drawn = np.random.default_rng(seed).normal(128, 50, (size, size, 3))
    return np.clip(np.rint(gaussian_filter(drawn, (blur, blur, 0))), 0, 255).astype(np.uint8)


def claim_of(
    pictures: Sequence[Picture], labels: np.ndarray, size: int = 64, files: Sequence[Picture] | None = None
) -> Claim:
    """Hold out scores of the residual detector and of the baselines, and judge what may be claimed.

    ``files`` are the pictures as they came, where ``pictures`` have been equalised.
    """
    works = [str(i) for i in range(len(pictures))]
    seen = {
        "": (ResidualExtractor(PatchSpec(size, (1,))), pictures),
        "metadata": (MetadataExtractor(), pictures),
        "subject": (SubjectExtractor(), pictures),
        **({} if files is None else {"file metadata": (MetadataExtractor(), files)}),
    }
    folds = assign_folds(works, labels, STREAM, 4)
    held = {}
    for name, (extractor, shown) in seen.items():
        learn = make_learner(collect_features(extractor, shown, works), STREAM, strengths=(0.1,))
        held[name] = score_out_of_fold(learn, np.arange(len(works)), labels, folds)
    return judge_claim("another hand", held.pop(""), held, labels, STREAM, samples=300)


# Patches of one painting on both sides


@settings(max_examples=30, deadline=None, derandomize=True)
@given(patches=st.lists(st.integers(1, 5), min_size=40, max_size=60), seed=st.integers(0, 2**40))
def test_no_work_is_in_two_sets(patches: list[int], seed: int) -> None:
    """Whatever the works and the seed, no split of the package leaks; splitting patches does."""
    works = [f"work {i}" for i, count in enumerate(patches) for _ in range(count)]
    strata = ["original" if int(work.split()[1]) % 2 else "proxy" for work in works]
    stream = Stream.from_seed(seed)
    collected = Works.of(works, strata, strata)
    outer = split_folds(collected, stream, 4, repeats=1)
    for split in [*outer, *split_talk(collected, stream, 3), *split_inner(collected, outer[0], stream, 3)]:
        assert audit_split(split, works) == ()
    if max(patches) > 1:
        alone = Works.of([str(i) for i in range(len(works))], strata, strata)
        leaks = [leak for split in split_folds(alone, stream, 4) for leak in audit_split(split, works)]
        assert leaks


def test_noise_labels_score_half_by_work_and_far_above_by_patch() -> None:
    """Patches that resemble their work carry nothing about a coin, unless the work was in training."""
    generator = np.random.default_rng(1)
    names = tuple(f"w{i}" for i in range(40))
    works = tuple(np.repeat(names, 6).tolist())
    values = np.repeat(generator.normal(size=(40, 20)), 6, axis=0) + generator.normal(size=(240, 20))
    samples = Samples(values.astype(np.float32), works, names, np.arange(40) < 20)
    ways = (("by work", works), ("by patch", [str(i) for i in range(240)]))
    found = measure_inflation(samples, ways, STREAM, folds=5, repeats=1, labellings=12)
    sound, leaky = found.sound.noise, found.leaky.noise
    print(f"noise labels: by work {sound}; by patch {leaky}")
    assert abs(sound.value - 0.5) < 2 * (sound.high - sound.low)
    assert leaky.low > max(0.6, sound.high)
    assert found.sound.shared == 0 < 20 < found.leaky.shared


# Near-duplicates


def test_a_planted_twin_ends_in_the_same_set(tmp_path: Path) -> None:
    """A picture saved again, smaller and as a poor JPEG, stays with its work; unmerged, the audit finds it."""
    rows = []
    for number, (pixels, one) in enumerate(
        (c.paint(), c) for c in plan_collection(STREAM, {"original": 12, "proxy": 12}, 96)
    ):
        write_picture(tmp_path / f"{number}.png", pixels)
        rows.append(Row(f"{number}.png", one.role, one.hand))
    again = Degradation((0.0, 0.0, 96.0, 96.0), (80, 80), quality=60)
    write_picture(tmp_path / "twin.jpg", again.apply(read_picture(tmp_path / "3.png").pixels), quality=60)
    manifest = Manifest((*rows, Row("twin.jpg", "original", rows[3].hand)), tmp_path)
    prints = [take_fingerprint(read_picture(path).pixels) for path in manifest.paths]
    twins = find_duplicates(prints)
    assert (3, 24) in twins
    merged = merge_duplicates(manifest).manifest
    assert merged.works[3] == merged.works[24]

    def leaks(of: Manifest) -> int:
        labels = ["own" if row.role == "original" else "other" for row in of]
        splits = split_folds(Works.of_manifest(of, labels), STREAM, 3)
        return sum(len(audit_split(split, of.works, twins)) for split in splits)

    assert leaks(merged) == 0
    assert leaks(manifest) > 0


# The same forger or generator in training and test


@pytest.mark.parametrize("leave_out", [leave_one_forger_out, leave_one_generator_out])
def test_whoever_is_left_out_is_in_no_training(leave_out: Callable[..., list[Split]]) -> None:
    rows = [Row(f"o{i}", "original", "Ann") for i in range(30)] + [Row(f"p{i}", "proxy", "Bob") for i in range(30)]
    rows += [Row(f"f{i}", "forgery", ("Wacker", "Myatt", "Keating")[i % 3]) for i in range(15)]
    rows += [Row(f"g{i}", role) for role in ("raw-gan", "tuned-gan", "diffusion") for i in range(8)]
    manifest = Manifest(tuple(rows))
    splits = leave_out(manifest, STREAM, manifest.authentic("Ann"))
    assert len(splits) == 3
    for split in splits:
        left = split.name.removeprefix("without ")
        his = {i for i, row in enumerate(rows) if i >= 60 and hand_key(row.maker) == left}
        assert his
        assert his <= set(split.test.tolist())
        assert audit_split(split, manifest.works) == ()


# JPEG v PNG, resolution, blur by class


def saved(number: int, form: str) -> Picture:
    """One brush, saved as PNG, or as JPEG and read again."""
    if form == "PNG":
        return Picture(texture(number), Path(f"{number}.png"), "PNG", f"{number:064x}")
    return decode_picture(encode_jpeg(texture(number), 75), f"{number}.jpg")


def test_planted_format_bias_is_caught_and_the_claim_refused() -> None:
    """One brush, the originals JPEG and the others PNG: the detector is nearly perfect, and nothing may be claimed."""
    labels = np.arange(60) < 30
    pictures = [saved(i, "JPEG" if own else "PNG") for i, own in enumerate(labels)]
    claim = claim_of(pictures, labels)
    print(f"JPEG v PNG: {claim}")
    assert claim.score.value > 0.95
    assert claim.baselines["metadata"].value > 0.95
    assert claim.status == REFUSED
    assert "metadata" in claim.reasons[0]


def test_a_true_difference_of_brushes_is_not_refused() -> None:
    """The guard has to let pass what is true: two grains of the same spectrum and file, told by their distribution."""
    labels = np.arange(60) < 30
    pictures = []
    for i, own in enumerate(labels):
        draw = np.random.default_rng(i)
        grain = draw.laplace(0, 1, (64, 64, 1)) if own else draw.normal(0, math.sqrt(2), (64, 64, 1))
        pixels = np.clip(np.rint(128 + 20 * grain + np.zeros(3)), 0, 255).astype(np.uint8)
        pictures.append(Picture(pixels, Path(str(i)), "PNG", f"{i:064x}"))
    claim = claim_of(pictures, labels)
    print(f"two brushes: {claim}")
    assert claim.status == SUPPORTED


def test_planted_formats_are_refused_after_equalisation_too() -> None:
    """What a JPEG did to the pixels outlives one resize and another JPEG, and the detector finds it.

    The equalised metadata no longer show it; those of the files as they came do, and so they stand beside the claim.
    """
    labels = np.arange(60) < 30
    preparation = Preparation(Equaliser(size=48), STREAM.key)
    files = [saved(i, "JPEG" if own else "PNG") for i, own in enumerate(labels)]
    claim = claim_of([preparation.apply(one) for one in files], labels, 48, files)
    print(f"JPEG v PNG, equalised: {claim}")
    assert claim.score.low > 0.8
    assert claim.advantages["metadata"].low > 0
    assert claim.status == REFUSED
    assert "file metadata" in claim.reasons[0]


def test_blur_by_class_is_seen_by_the_baseline() -> None:
    """Capture: one brush, photographed a little less sharply; equalised, and still the baseline says so."""
    labels = np.arange(60) < 30
    preparation = Preparation(Equaliser(size=64), STREAM.key)
    pictures = [Picture(texture(i, 0.7 if own else 1.0), Path(str(i)), "PNG", f"{i:064x}")
                for i, own in enumerate(labels)]  # fmt: skip
    claim = claim_of([preparation.apply(one) for one in pictures], labels)
    print(f"blur by class: {claim}")
    assert claim.baselines["metadata"].low > 0.8
    assert claim.status == REFUSED


def test_the_subject_alone_stands_beside_every_claim() -> None:
    """Reds against blues: the subject baseline tells them apart, its number is there, and the claim is refused."""
    labels = np.arange(40) < 20
    pictures = []
    for i, own in enumerate(labels):
        pixels = texture(i).astype(int) + (np.array([40, 0, -40]) if own else np.array([-40, 0, 40]))
        pictures.append(Picture(np.clip(pixels, 0, 255).astype(np.uint8), Path(str(i)), "PNG", f"{i:064x}"))
    claim = claim_of(pictures, labels)
    assert claim.baselines["subject"].value == 1.0
    assert claim.status == REFUSED
    assert "subject" in claim.reasons[0]
