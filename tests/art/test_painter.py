"""The procedural painter: bytes that depend on the seed alone, hands that differ and hands that do not."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyqmc_art.art.collection import Commission, make_collection, paint_all, plan_collection, write_collection
from pyqmc_art.art.hands import HABITS, Hand
from pyqmc_art.art.machines import PERIODS, draw_lattice, leave_traces
from pyqmc_art.art.motifs import Motif
from pyqmc_art.art.painter import paint, photograph
from pyqmc_art.art.pigments import ROLES, mix_palette, to_rgb, turn_cosine, turn_sine
from pyqmc_art.art.scenes import SCENES
from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

ROOT = Stream.from_seed(2024)
HAND = Hand.draw(ROOT.fold("hand"))
needs_numba = pytest.mark.skipif("numba" not in list_available(), reason="plain Python would take minutes")


def edge_energy(pixels: Any) -> float:
    """Mean square difference of neighbouring pixels: a statistic that thick and dry brushes raise."""
    grey = pixels.astype(float).mean(axis=2)
    return float((np.diff(grey, axis=0) ** 2).mean() + (np.diff(grey, axis=1) ** 2).mean())


def sign_flip_p_value(one: Any, other: Any, n: int = 4000) -> float:
    """Two-sided test that pairs are exchangeable, by flipping the signs of their differences; exact level."""
    difference = np.log(one) - np.log(other)
    signs = np.random.default_rng(1).choice((-1.0, 1.0), (n, len(difference)))
    hits = np.sum(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-12)
    return float((1 + hits) / (1 + n))


@pytest.mark.parametrize("kind", SCENES)
@needs_numba
def test_the_seed_decides_every_byte(kind: str) -> None:
    motif = Motif.draw(ROOT.fold("m"), kind)
    first = paint(motif, HAND, (72, 56), ROOT.fold("p"))
    assert first.shape == (56, 72, 3) and first.dtype == np.uint8
    assert first.tobytes() == paint(motif, HAND, (72, 56), ROOT.fold("p")).tobytes()
    assert first.tobytes() != paint(motif, HAND, (72, 56), ROOT.fold("q")).tobytes()


@needs_numba
def test_plain_python_writes_the_same_bytes() -> None:
    motif = Motif.draw(ROOT.fold("m"), "village")
    plain = paint(motif, HAND, (40, 32), ROOT, backend="python")
    assert plain.tobytes() == paint(motif, HAND, (40, 32), ROOT, backend="numba").tobytes()


@needs_numba
@pytest.mark.parametrize("size", [(16, 16), (128, 128), (200, 40), (33, 150), (700, 500)])
def test_any_size_is_filled_with_paint(size: tuple[int, int]) -> None:
    pixels = paint(Motif.draw(ROOT.fold("s")), HAND, size, ROOT)
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.reshape(-1, 3).std(axis=0).min() > 5


@needs_numba
def test_a_picture_depends_neither_on_the_collection_nor_on_threads() -> None:
    counts = {"original": 3, "diffusion": 2, "proxy": 2}
    whole = make_collection(ROOT, counts, 48)
    threaded = make_collection(ROOT, counts, 48, threads=3)
    part = make_collection(ROOT, {"proxy": 1, "original": 2}, 48)
    assert [p.tobytes() for p, _ in whole] == [p.tobytes() for p, _ in threaded]
    assert part[0][0].tobytes() == whole[5][0].tobytes() and part[2][0].tobytes() == whole[1][0].tobytes()
    for pixels, commission in reversed(whole):
        assert commission.paint().tobytes() == pixels.tobytes()


@needs_numba
def test_known_statistic_differs_between_hands_and_not_at_gap_zero() -> None:
    """Pairs of one motif, level 1/1000: two hands are told apart, a hand and its forger at gap 0 are not."""
    rough = replace(HAND, dryness=0.75, bristle=0.95, value_jitter=0.055, impasto=1.25)
    calm = replace(HAND, dryness=0.15, bristle=0.35, value_jitter=0.020, impasto=0.55)

    def energies(hand: Hand, name: str) -> Any:
        motifs = [Motif.draw(ROOT.fold("pair", k)) for k in range(16)]
        return [edge_energy(paint(m, hand, (96, 96), ROOT.fold(name, k))) for k, m in enumerate(motifs)]

    own = energies(calm, "own")
    assert sign_flip_p_value(energies(rough, "rough"), own) < 1e-3
    assert sign_flip_p_value(energies(calm.shifted(ROOT.fold("forger"), gap=0.0), "copy"), own) > 1e-3
    assert sign_flip_p_value(energies(calm.shifted(ROOT.fold("forger"), gap=2.0), "copy"), own) < 1e-3


def test_at_gap_zero_roles_differ_in_name_only() -> None:
    """The null by construction: same hand, motifs from the same law, no traces; only streams and labels differ."""
    counts = dict.fromkeys(("original", "proxy", "forgery", "raw-gan", "tuned-gan", "diffusion", "other-machine"), 3)
    plan = plan_collection(ROOT, counts, 32, gap=0.0, proxy_gap=0.0, traces=0.0)
    assert {one.habits for one in plan} == {plan[0].habits}
    assert len({one.motif for one in plan}) == len({one.seed for one in plan}) == len(plan)
    apart = plan_collection(ROOT, counts, 32, gap=1.0)
    assert all(one.habits != apart[0].habits for one in apart if one.role != "original")


def test_shift_grows_with_the_gap_and_costs_confidence() -> None:
    span = {name: high - low for name, (low, high, _, _) in HABITS.items()}

    def distance(hand: Hand) -> float:
        own, other = asdict(HAND), asdict(hand)
        return sum(abs(own[n] - other[n]) / span[n] for n in span)

    for k in range(20):
        copies = [HAND.shifted(ROOT.fold("forger", k), gap) for gap in (0.0, 0.25, 0.5, 1.0)]
        assert copies[0] == HAND
        assert np.all(np.diff([distance(hand) for hand in copies]) > 0)
        assert copies[-1].coherence < HAND.coherence and copies[-1].correction > HAND.correction
        for name, (_, _, least, most) in HABITS.items():
            assert least <= getattr(HAND.shifted(ROOT.fold("forger", k), 4), name) <= most


def test_towards_reaches_the_other_hand() -> None:
    other = Hand.draw(ROOT.fold("other"))
    assert HAND.towards(other, 0) == HAND
    assert asdict(HAND.towards(other, 1)) == pytest.approx(asdict(other))


@needs_numba
def test_forgery_repeats_the_motif_of_an_original() -> None:
    plan = plan_collection(ROOT, {"original": 3, "forgery": 4}, 96, copies=True)
    originals = {one.motif: one for one in plan[:3]}
    for forgery in plan[3:]:
        model = originals[forgery.motif]
        assert forgery.group != model.group and "after no." in forgery.title
        a, b = forgery.paint().astype(float), model.paint().astype(float)
        stranger = next(one for one in plan[:3] if one is not model).paint().astype(float)
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > np.corrcoef(a.ravel(), stranger.ravel())[0, 1]
    fresh = plan_collection(ROOT, {"original": 3, "forgery": 4}, 96)
    assert not {one.motif for one in fresh[3:]} & originals.keys()


def line_ratio(pictures: list[Any], period: int, harmonics: list[tuple[int, int]]) -> Any:
    """Power at (p, q)/period cycles a pixel over the median power around it, of the mean power spectrum."""
    power = np.mean([np.abs(np.fft.fft2(grey_residual(p))) ** 2 for p in pictures], axis=0)
    n = power.shape[0]
    ratios = []
    for p, q in harmonics:
        row, column = p * n // period, q * n // period
        around = power[np.ix_((row + np.arange(-4, 5)) % n, (column + np.arange(-4, 5)) % n)]
        ratios.append(power[row, column] / np.median(around))
    return np.array(ratios)


def grey_residual(pixels: Any) -> Any:
    grey = pixels.astype(float).mean(axis=2)
    window = np.hanning(len(grey))
    return (grey - grey.mean()) * window[:, None] * window


LINES = {
    "raw-gan": [(2, 2), (2, 0), (0, 2), (1, 1), (1, 3)],
    "tuned-gan": [(2, 2), (2, 0), (0, 2)],
    "diffusion": [(4, 4), (4, 0), (0, 4), (2, 2), (2, 6), (3, 0)],
    "other-machine": [(1, 0), (0, 1)],
}


@needs_numba
@pytest.mark.parametrize("machine", LINES)
def test_machines_leave_lines_in_the_spectrum_and_hands_do_not(machine: str) -> None:
    """Lines at k/period cycles a pixel stand out with the traces and only with them."""
    period = PERIODS[machine]
    plan = plan_collection(ROOT, {machine: 12}, 192)
    by_hand = [replace(one, traces=0.0).paint() for one in plan]
    traced = [leave_traces(p, machine, Stream(plan[0].machine_key)) for p in by_hand]
    assert np.array_equal(traced[0], plan[0].paint())
    every = [(p, q) for p in range(period) for q in range(period) if p or q]
    # Without traces each ratio is a mean of 12 exponentials over their median: above 4 once in 10^8.
    assert line_ratio(by_hand, period, every).max() < 4
    assert line_ratio(traced, period, LINES[machine]).min() > 4


@pytest.mark.parametrize("machine", PERIODS)
def test_lattice_is_balanced_and_belongs_to_the_generator(machine: str) -> None:
    lattice = draw_lattice(machine, ROOT)
    assert lattice.shape == (PERIODS[machine],) * 2 + (3,)
    np.testing.assert_allclose(lattice.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose((lattice**2).mean(axis=(0, 1)), 1)
    assert np.array_equal(lattice, draw_lattice(machine, ROOT))
    assert not np.array_equal(lattice, draw_lattice(machine, ROOT.fold("another")))


def test_traces_are_slight_and_vanish_at_strength_zero() -> None:
    pixels = np.random.default_rng(1).integers(60, 200, (37, 50, 3), dtype=np.uint8)
    assert leave_traces(pixels, "diffusion", ROOT, 0) is pixels
    flat = np.full((37, 50, 3), 128, np.uint8)
    for machine in PERIODS:
        left = leave_traces(flat, machine, ROOT).astype(int)
        assert left.shape == flat.shape
        assert 0 < np.abs(left - 128).max() <= 8


def test_photograph_has_a_motif_and_no_strokes() -> None:
    motif = Motif.draw(ROOT.fold("photo"), "harbour")
    pixels = photograph(motif, HAND, (60, 40), ROOT)
    assert pixels.shape == (40, 60, 3) and pixels.std() > 10
    assert pixels.tobytes() == photograph(motif, HAND, (60, 40), ROOT).tobytes()


def test_palette_is_within_the_gamut_and_dark_before_light() -> None:
    for k in range(30):
        palette = mix_palette(Hand.draw(ROOT.fold("palette", k)), (0.0, 0.0, 0.0, 1.0))
        assert palette.shape == (len(ROLES), 5, 3)
        assert np.all(np.diff(palette[..., 0], axis=1) > 0)
        rgb = to_rgb(palette)
        assert rgb.min() >= 0 and rgb.max() <= 1


def test_polynomials_match_the_functions() -> None:
    turns = np.linspace(-2, 2, 1001)
    np.testing.assert_allclose(turn_sine(turns), np.sin(2 * np.pi * turns), atol=1.1e-3)
    np.testing.assert_allclose(turn_cosine(turns), np.cos(2 * np.pi * turns), atol=1.1e-3)
    grey = np.linspace(0, 1, 101)
    rgb = to_rgb(np.stack((grey, 0 * grey, 0 * grey), axis=1))
    linear = grey**3
    exact = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(rgb, np.repeat(exact[:, None], 3, axis=1), atol=0.01)


@needs_numba
def test_written_collection_reads_back_as_painted(tmp_path: Path) -> None:
    pictures = pytest.importorskip("pyqmc_art.art.pictures")
    from pyqmc_art.art.manifest import Manifest

    plan = plan_collection(ROOT, {"original": 2, "forgery": 1, "raw-gan": 1}, (40, 32))
    path = write_collection(tmp_path / "set", plan)
    manifest = Manifest.read(path)
    assert [row.role for row in manifest] == ["original", "original", "forgery", "raw-gan"]
    assert len({row.group for row in manifest}) == 4
    for row, (pixels, one) in zip(manifest, paint_all(plan), strict=True):
        assert np.array_equal(pictures.read_picture(manifest.path(row)).pixels, pixels)
        assert (row.source, row.title, row.hand) == ("simulated", one.title, one.hand)
        assert "simulated" in row.title and int(row.seed, 16) == one.seed
    with pytest.raises(InputError, match="already holds"):
        write_collection(tmp_path / "set", plan)


def refuse(**changes: Any) -> list[Commission]:
    return plan_collection(ROOT, **{"counts": {"original": 1, "forgery": 1}, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"orignal": 1}}, "did you mean 'original'"),
        ({"counts": {"original": -1}}, "whole number"),
        ({"counts": {"original": 1.5}}, "whole number"),
        ({"size": 3}, "size"),
        ({"size": (64, 1e9)}, "size"),
        ({"size": float("nan")}, "size"),
        ({"size": "large"}, "size"),
        ({"gap": -0.1}, "gap"),
        ({"gap": float("nan")}, "gap"),
        ({"proxy_gap": 2}, "proxy_gap"),
        ({"traces": float("inf")}, "traces"),
        ({"forgers": 0}, "forgers"),
        ({"counts": {"forgery": 1}, "copies": True}, "originals"),
    ],
)
def test_bad_input_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse(**changes)


def test_unknown_motif_and_machine_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'harbour'"):
        Motif.draw(ROOT, "harbor")
    with pytest.raises(InputError, match="unknown machine"):
        draw_lattice("gan", ROOT)
