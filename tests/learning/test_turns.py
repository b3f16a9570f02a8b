"""Losses that take turns: each moves its own part, all of them come back on resume."""

from __future__ import annotations

import json

import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.learning.fit import fit  # noqa: E402
from pyqmc_art.learning.options import FitOptions  # noqa: E402
from pyqmc_art.learning.turns import Turn, call_frozen  # noqa: E402

STREAM = Stream.from_seed(4)


class Pair(torch.nn.Module):
    """Two parts with batch statistics, and a counter that somebody else moves."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            self.left = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3))
            self.right = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


def left_loss(pair, batch):
    return call_frozen(pair.right, pair.left(batch + torch.randn(batch.shape))).square().mean()


def right_loss(pair, batch):
    return (pair.right(call_frozen(pair.left, batch)) - 1).square().mean()


def count(pair, step):
    pair.count += 1
    return {"count": float(pair.count)} if step % 2 == 0 else {}


def batches(number):
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(number))


def options(steps):
    return FitOptions(steps, 0.05, "constant", clip=None, device="cpu", log_every=1, checkpoint_every=0)


def run(turns, steps=6, **more):
    pair = Pair()
    fit(pair, turns, batches, options(steps), stream=STREAM, after=count, **more)
    return {name: value.clone() for name, value in pair.state_dict().items()}


BOTH = (Turn("left", "left", left_loss), Turn("right", "right", right_loss, rate=0.5, betas=(0.5, 0.9)))


def parts_that_moved(after):
    before = Pair().state_dict()
    return {name.partition(".")[0] for name, value in after.items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("part", ["left", "right"])
def test_only_the_part_whose_turn_it_is_moves_weights_and_statistics_alike(part):
    """Both turns exist; the other is never due: not a bit of its part may change."""
    turns = [Turn(t.name, t.part, t.loss, lambda model, step, own=t.part: own == part) for t in BOTH]
    assert parts_that_moved(run(turns)) == {part, "count"}


def test_a_loss_that_forgets_to_freeze_is_caught_by_the_same_look():
    """The planted fault: calling the other part plainly moves its batch statistics."""
    careless = Turn("left", "left", lambda pair, batch: pair.right(pair.left(batch)).square().mean())
    assert "right" in parts_that_moved(run([careless]))


def test_no_gradient_stays_behind_for_the_next_turn():
    """A careless loss reaches the other part's parameters; its next step must not see that gradient."""
    careless = Turn("left", "left", lambda pair, batch: 1e3 * pair.right(pair.left(batch)).square().mean())
    idle = Turn("right", "right", lambda pair, batch: 0 * sum(p.sum() for p in pair.right.parameters()))
    after = run([careless, idle])
    assert torch.equal(after["right.0.weight"], Pair().state_dict()["right.0.weight"])


def test_resume_gives_the_very_numbers_of_one_run(tmp_path):
    whole = run(BOTH, 8, out=tmp_path / "whole")
    run(BOTH, 8, out=tmp_path / "parts", until=3)
    parts = run(BOTH, 8, out=tmp_path / "parts", resume=True)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert int(parts["count"]) == 8
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    one, other = ([{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in log] for log in logs)
    assert one == other
    assert {"loss_left", "loss_right"} <= set(one[0])


def test_moments_of_each_part_matter_on_resume(tmp_path):
    """The power of the test above: with other betas the run is another one."""
    other = (BOTH[0], Turn("right", "right", right_loss, rate=0.5))
    one, two = run(BOTH, 5), run(other, 5)
    assert not torch.equal(one["right.0.weight"], two["right.0.weight"])


def test_a_part_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"no part 'middle'; it has left"):
        run([Turn("middle", "middle", left_loss)])
    frozen = Pair().requires_grad_(False)
    with pytest.raises(InputError, match="no parameter of the part 'left'"):
        fit(frozen, BOTH, batches, options(2), stream=STREAM)
