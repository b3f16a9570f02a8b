"""GANs: how they play, that a resumed training is the uninterrupted one, and what their pictures say of themselves."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.errors import InputError, Interrupted
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
for needed in ("accelerate", "safetensors"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from dataclasses import replace  # noqa: E402

from pyqmc_art.art.gan.catalogue import KINDS, GanShape, build_players  # noqa: E402
from pyqmc_art.art.gan.game import Game  # noqa: E402
from pyqmc_art.art.gan.models import load_gan  # noqa: E402
from pyqmc_art.art.gan.rules import Rules  # noqa: E402
from pyqmc_art.art.gan.training import GanTraining, train_gan  # noqa: E402
from pyqmc_art.art.synthesis.generation import write_pictures  # noqa: E402
from pyqmc_art.art.synthesis.pool import as_pixels, as_tensor  # noqa: E402
from pyqmc_art.learning.fit import fit  # noqa: E402
from pyqmc_art.testing.trainings import forget_part, make_discs  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

STREAM = Stream.from_seed(11)


def plan(kind, **more):
    shape = GanShape(kind, 32, 4, 8, 2)
    habit = shape.habit
    rules = Rules(habit.loss, habit.augment, habit.slope, 2, habit.path, 2, target=-2.0, pace=0.2, betas=habit.betas)
    given = {"shape": shape, "rules": rules, "kimg": 0.048, "batch": 6, "checkpoint_every": 0, "device": "cpu"}
    return GanTraining(**given | more)


def weights(trained):
    return {name: value.clone() for name, value in trained.game.state_dict().items()}


def differing(one, other):
    return [name for name in one if not torch.equal(one[name], other[name])]


# -- the game


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_player_does_not_change_by_one_bit(kind):
    training = plan(kind)
    pool = make_discs(size=32)
    rules = replace(training.rules, phases=(3, 2))
    game = Game(*build_players(training.shape, STREAM), rules)
    seen = []

    def look(model, step):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {}

    look(game, 0)
    fit(game, game.turns(), pool.batches(6, True, STREAM), training.fit_options, stream=STREAM, after=look, until=6)
    for step in range(6):
        moved = {name.partition(".")[0] for name in differing(seen[step], seen[step + 1])}
        player = "critic" if step % 5 < 3 else "generator"
        assert player in moved
        assert not moved & ({"critic", "generator"} - {player}), (step, moved)


@pytest.mark.parametrize("kind", KINDS)
def test_resume_is_bit_exact(kind, tmp_path):
    """2 N steps == N steps, resume, N steps: weights, averages, moments, ADA, counters, log, sheets."""
    pool, training = make_discs(size=32), plan(kind, snapshot_kimg=0.024)
    whole = train_gan(pool, training, tmp_path / "whole")
    assert training.steps == 8
    train_gan(pool, training, tmp_path / "parts", until=4)
    parts = train_gan(pool, training, tmp_path / "parts", resume=True)
    assert not differing(weights(whole), weights(parts))
    assert int(parts.game.images) == 48
    for name in ("average", "generator", "discriminator"):
        one, other = ((tmp_path / which / f"{name}.safetensors").read_bytes() for which in ("whole", "parts"))
        assert one == other
    logs = [(tmp_path / which / "log.jsonl").read_text().splitlines() for which in ("whole", "parts")]
    one, other = ([{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in log] for log in logs)
    assert one == other
    sheets = sorted(path.name for path in (tmp_path / "parts.snapshots").iterdir())
    assert sheets == ["00000.024-kimg.png", "00000.048-kimg.png"]
    for name in sheets:
        first, second = ((tmp_path / f"{which}.snapshots" / name).read_bytes() for which in ("whole", "parts"))
        assert first == second
    assert not (tmp_path / "parts.training").exists()
    if kind == "stylegan2":
        assert float(parts.game.probability) == pytest.approx(0.24)  # steered twice, upwards


@pytest.mark.parametrize("lost", ["optimizer critic/", "optimizer generator/", "model/average.", "model/signs"])
def test_every_part_of_the_state_matters(lost, tmp_path):
    """The power of the test above: a checkpoint that forgets one part gives another training."""
    pool, training = make_discs(size=32), plan("stylegan2", kimg=0.036)
    whole = train_gan(pool, training)
    train_gan(pool, training, tmp_path / "parts", until=3)
    forget_part(tmp_path / "parts.training", lost)
    assert differing(weights(whole), weights(train_gan(pool, training, tmp_path / "parts", resume=True)))


def test_ctrl_c_leaves_what_resume_needs_and_a_new_training_no_old_sheets(tmp_path):
    pool, training = make_discs(size=32), plan("dcgan", snapshot_kimg=0.018)
    whole = train_gan(pool, training, tmp_path / "model")

    def press(synthesizer):
        if synthesizer.kimg < 0.02:
            os.kill(os.getpid(), signal.SIGINT)
        return {}

    with pytest.raises(Interrupted, match="stopped at step 3 of 8"):
        train_gan(pool, training, tmp_path / "model", measure=press, force=True)
    sheets = tmp_path / "model.snapshots"
    assert [path.name for path in sheets.iterdir()] == ["00000.018-kimg.png"]
    resumed = train_gan(pool, training, tmp_path / "model", resume=True, force=True)
    assert not differing(weights(whole), weights(resumed))
    assert len(list(sheets.iterdir())) == 3


def test_another_plan_is_not_resumed(tmp_path):
    pool = make_discs(size=32)
    train_gan(pool, plan("dcgan"), tmp_path / "model", until=2)
    with pytest.raises(InputError, match="holds an interrupted training"):
        train_gan(pool, plan("dcgan"), tmp_path / "model")
    with pytest.raises(InputError, match="other rules"):
        train_gan(pool, plan("dcgan", rules=Rules(loss="hinge")), tmp_path / "model", resume=True)
    with pytest.raises(InputError, match="other pictures"):
        train_gan(make_discs(size=32, seed=1), plan("dcgan"), tmp_path / "model", resume=True)
    longer = train_gan(pool, plan("dcgan", kimg=0.06), tmp_path / "model", resume=True)
    assert int(longer.game.images) == 60


def test_tuning_goes_on_counting_and_freeze_d_keeps_its_stages(tmp_path):
    raw = train_gan(make_discs(size=32), plan("dcgan"), tmp_path / "raw")
    assert raw.synthesizer.role == "raw-gan"
    tuned = train_gan(
        make_discs(size=32, seed=3), plan("dcgan", freeze=2, kimg=0.012), tmp_path / "tuned", tune=tmp_path / "raw"
    )
    assert tuned.synthesizer.role == "tuned-gan"
    assert tuned.synthesizer.kimg == pytest.approx(0.060)
    assert [stage["stage"] for stage in tuned.synthesizer.history] == ["pre-train", "tune"]
    moved = differing(dict(raw.game.critic.named_parameters()), dict(tuned.game.critic.named_parameters()))
    assert {name.split(".")[1] for name in moved} == {"2", "3"}
    with pytest.raises(InputError, match="cannot be tuned as"):
        train_gan(make_discs(size=64), plan("dcgan", shape=GanShape("dcgan", 64, 4, 8)), tune=tmp_path / "raw")
    with pytest.raises(InputError, match="freeze is 9"):
        train_gan(make_discs(size=32), plan("dcgan", freeze=9))


def test_the_balance_is_judged_and_a_winner_held_back():
    generator, critic = build_players(GanShape("dcgan", 32, 4, 8), STREAM)
    game = Game(generator, critic, Rules(balance="hold"))
    (turn, *_) = game.turns()
    assert (game.balance(), turn.when(game, 0)) == ("even", True)
    game.right.fill_(0.99)
    assert (game.balance(), turn.when(game, 0)) == ("discriminator", False)
    game.right[1] = 0.6
    assert (game.balance(), turn.when(game, 0)) == ("even", True)
    game.right.fill_(0.1)
    assert (game.balance(), turn.when(game, 0)) == ("generator", True)


def test_a_discriminator_that_wins_is_told_of(tmp_path):
    """Its opponent never learns: minimax where it is flat, a discriminator much faster."""
    rules = Rules("minimax", "none", phases=(400, 1))
    shape = GanShape("dcgan", 16, 4, 8)
    training = plan("dcgan", shape=shape, rules=rules, kimg=1.2, batch=4, learning_rate=2e-3)
    trained = train_gan(make_discs(size=16), training, tmp_path / "model")
    assert trained.balance == "discriminator"
    lines = [json.loads(line) for line in (tmp_path / "model" / "log.jsonl").read_text().splitlines()]
    assert "discriminator" in {line.get("winning") for line in lines}


def test_ada_rises_when_the_discriminator_knows_the_pictures_by_heart():
    generator, critic = build_players(GanShape("dcgan", 32, 4, 8), STREAM)
    game = Game(generator, critic, Rules(augment="ada", pace=1.0))
    game.signs[:] = torch.tensor([64.0, 64.0])
    game.follow(16, 0)
    assert float(game.probability) == pytest.approx(0.064)
    game.signs[:] = torch.tensor([0.0, 32.0])
    game.follow(8, 0)
    assert float(game.probability) == pytest.approx(0.032)


# -- pictures


def test_pixels_and_tensors_are_each_others_inverse():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(as_pixels(as_tensor(images)), images)


def test_batches_are_functions_of_their_number_and_half_is_mirrored():
    pool = make_discs(40, 32)
    give = pool.batches(40, True, STREAM)
    assert torch.equal(give(3), give(3))
    plain = pool.batches(40, False, STREAM)
    turned = sum(not torch.equal(a, b) for a, b in zip(give(0), plain(0), strict=True))
    assert 8 < turned < 32
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(give(0), plain(0), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_means_one_picture_whatever_else_is_asked_for(kind, tmp_path):
    train_gan(make_discs(size=32), plan(kind, kimg=0.012), tmp_path / "model")
    synthesizer = load_gan(tmp_path / "model")
    three = synthesizer.draw([5, 2, 9])
    assert np.array_equal(synthesizer.draw([2])[0], three[1])
    made = synthesizer.sample(STREAM, 3)
    assert made.shape == (3, 3, 32, 32)
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    assert not torch.equal(made[0], made[1])
    torch.testing.assert_close(made[:2], synthesizer.sample(STREAM, 2), rtol=0, atol=1e-5)


def test_pictures_are_written_with_where_they_come_from(tmp_path):
    trained = train_gan(make_discs(size=32), plan("dcgan", kimg=0.012), tmp_path / "model")
    write_pictures(replace(load_gan(tmp_path / "model"), truncation=0.7), tmp_path / "made", range(3, 6))
    found = Manifest.read(tmp_path / "made" / "manifest.csv")
    assert [row.seed for row in found] == ["3", "4", "5"]
    assert {row.stratum for row in found} == {"raw-gan|dcgan"}
    assert dict(found.rows[0].extra) == {
        "checkpoint": trained.synthesizer.digest, "kimg": "0.012", "truncation": "0.7",
    }  # fmt: skip
    assert not found.check().problems
    assert (tmp_path / "made-sheet.png").is_file()
    with pytest.raises(InputError, match="already holds"):
        write_pictures(trained.synthesizer, tmp_path / "made", [1])
    with pytest.raises(InputError, match="none twice"):
        write_pictures(trained.synthesizer, tmp_path / "other", [1, 1])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "dcgam"}, "did you mean 'dcgan'"),
        ({"size": 48}, "resolution is 48; expected a power of two"),
        ({"kind": "light", "size": 16}, "starts at 32"),
        ({"width": 0}, "width is 0"),
    ],
)
def test_bad_shapes_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        GanShape(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"loss": "wasserstein"}, "unknown loss"), ({"phases": (3, 0)}, "phases are"), ({"slope": -1.0}, "slope is -1")],
)
def test_bad_rules_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        Rules(**given)


def test_bad_plans_are_refused():
    with pytest.raises(InputError, match="batch is 1"):
        plan("dcgan", batch=1)
    with pytest.raises(InputError, match="kimg is 0"):
        plan("dcgan", kimg=0.0)
    with pytest.raises(InputError, match="the networks take 32"):
        train_gan(make_discs(size=64), plan("dcgan"))
